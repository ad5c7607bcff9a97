//! What somebody at the council sees of themselves: their own messages that are held, and what is kept of them. No right is needed for
//! that, and none gives more: whose it is comes from who is signed in, never from a form. It stands in the access log like every look.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::held::{self, Preview};
use super::masks::Masks;
use super::rights::{self, Export, requests};
use super::{Doer, Fault, about, length};
use crate::config::Settings;
use crate::config::settings::Insider;
use crate::outbox;
use crate::outbox::Came;
use crate::outbox::answers::{choices, chosen};
use crate::policy::answer::Choice;
use crate::records::custody::{self, Becomes, Decided, Decision, Kind, Parcel, State, Which};
use crate::records::rights::{OwnRow, Part, Request};
use crate::records::trace::Question;
use crate::records::{Keeping, Options, RecordClass};

/// Rows that a page shows; the export has all.
const SHOWN: usize = 100;

/// A held message of theirs.
pub struct Own {
    pub preview: Preview,
    pub choices: Vec<Choice>,
}

/// Their held messages, oldest first.
pub fn held(settings: &Settings, options: &Options, of: &Insider, doer: &Doer) -> Result<Vec<Own>, Fault> {
    doer.note(options, "looked at their own held mail", about(&of.addresses[0]))?;
    if !options.custody.is_there() {
        return Ok(Vec::new());
    }
    let mut custody = custody::open_beside(options)?;
    let mut out = Vec::new();
    for parcel in theirs(custody.as_mut(), of)? {
        let content = custody.content(parcel.id)?.unwrap_or_default();
        out.push(Own { choices: choices(&parcel), preview: held::preview(settings, &parcel, &content) });
    }
    Ok(out)
}

fn theirs(custody: &mut dyn custody::Custody, of: &Insider) -> Result<Vec<Parcel>, Fault> {
    let mut all = custody.list(Which { kind: Kind::Mail, state: State::Held, most: custody::MOST as usize, due: None })?;
    all.retain(|p| of.addresses.contains(&p.sheet.origin.sender));
    Ok(all)
}

/// Their choice about a held message of theirs. Of what waits for the Clerk they may take back what they wrote, and no more.
pub fn choose(
    settings: &Settings,
    options: &Options,
    of: &Insider,
    reference: &str,
    choice: Choice,
    reason: &str,
    doer: &Doer,
) -> Result<Came, Fault> {
    let outbox = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    let mut custody = custody::open_beside(options)?;
    let wanted = held::reference(reference);
    let found = theirs(custody.as_mut(), of)?.into_iter().find(|p| held::reference(&p.sheet.reference) == wanted);
    // Whether somebody else has one of that name is nobody's to learn.
    let parcel = found.ok_or_else(|| Fault::NotHeld(reference.chars().take(20).collect()))?;
    let verb = if choice == Choice::Cancel { "took their held message back" } else { "decided about their held message" };
    doer.note(
        options,
        verb,
        Question {
            sender: Some(parcel.sheet.origin.sender.clone()),
            reference: Some(parcel.sheet.reference.clone()),
            ..Question::default()
        },
    )?;
    let now = Timestamp::now().as_millisecond();
    let mut came = Came::Over;
    let decided = custody.decide(parcel.id, now, &mut |parcel| {
        let (decision, what) = chosen(parcel, &parcel.sheet.origin.sender, choice, reason, &outbox, now);
        came = what;
        // By another process it may have become somebody else's to decide.
        Ok(if matches!(what, Came::Unclear | Came::NotYours) { Decision::of(Becomes::Same) } else { decision })
    })?;
    match (decided, came) {
        (Decided::Done(_), Came::Cancelled | Came::Leaves | Came::WaitsForOthers) => Ok(came),
        (Decided::Done(_), Came::Unclear) => Err(Fault::NotYours(parcel.sheet.reference, outbox::held::NotYours::NotOffered)),
        _ => Err(Fault::NotHeld(parcel.sheet.reference)),
    }
}

/// A kind of record, how long it is kept, and how many rows of it are theirs.
pub struct Kept {
    pub what: &'static str,
    pub how_long: String,
    pub rows: usize,
}

/// A row of theirs, for a page.
pub struct Line {
    pub time: Timestamp,
    pub reference: String,
    pub part: &'static str,
    /// By role or class.
    pub from: String,
    pub recipients: u64,
    pub decision: String,
    pub rules: Vec<String>,
    /// What it is kept as.
    pub class: &'static str,
}

/// What the record holds of them.
pub struct Mine {
    pub classes: Vec<Kept>,
    /// The latest first, and not more than fit on a page.
    pub lines: Vec<Line>,
    /// Within the time that was asked for.
    pub found: usize,
    pub requests: Vec<Request>,
    /// False: the council keeps hourly counts alone.
    pub recorded: bool,
}

/// What is kept of them, and the rows of the last days.
pub fn kept(settings: &Settings, options: &Options, of: &Insider, days: i64, now: Timestamp, doer: &Doer) -> Result<Mine, Fault> {
    let mut rows: Vec<(String, OwnRow)> = Vec::new();
    let mut own_requests = Vec::new();
    let mut keeping = Keeping::open(options)?;
    for address in &of.addresses {
        doer.note(options, "looked at what is kept of themselves", about(address))?;
        let dossier = keeping.dossier(address, &[], now.as_millisecond())?;
        own_requests.extend(dossier.requests);
        // From one address of theirs to another is one row.
        let fresh = dossier
            .rows
            .into_iter()
            .filter(|row| !rows.iter().any(|(_, r)| r.row.reference == row.row.reference && r.row.time == row.row.time));
        let fresh: Vec<_> = fresh.map(|row| (address.clone(), row)).collect();
        rows.extend(fresh);
    }
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (_, row) in &rows {
        *counts.entry(row.class.word()).or_default() += 1;
    }
    let since = now - SignedDuration::from_hours(24 * days);
    rows.retain(|(_, row)| row.row.time >= since);
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.row.time));
    let retention = &options.retention;
    let of_time = |d: std::time::Duration| length(i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let classes = [
        ("Ordinary mail", RecordClass::Events, retention.events),
        ("Mail on which a rule acted", RecordClass::Incidents, retention.incidents),
    ]
    .map(|(what, class, time)| Kept { what, how_long: of_time(time), rows: counts.get(class.word()).copied().unwrap_or(0) });
    let longer = counts.values().sum::<usize>() - classes.iter().map(|c| c.rows).sum::<usize>();
    let longer = (longer > 0).then(|| Kept { what: "Kept longer for a case", how_long: "the case".into(), rows: longer });
    let found = rows.len();
    let lines = rows.into_iter().take(SHOWN).map(|(address, row)| line(settings, &address, row)).collect();
    Ok(Mine {
        classes: classes.into_iter().chain(longer).collect(),
        lines,
        found,
        requests: own_requests,
        recorded: options.monitoring.is_some(),
    })
}

fn line(settings: &Settings, address: &str, own: OwnRow) -> Line {
    let c = &own.row.classes;
    let masks = Masks::new(settings, address);
    Line {
        time: own.row.time,
        from: masks.who(&own.row.sender),
        part: match own.part {
            Part::Sender => "You sent it",
            Part::Recipient => "You received it",
            Part::Both => "You sent it, also to yourself",
            Part::Subject => "About a message of yours",
        },
        recipients: u64::from(c.internal) + u64::from(c.partner) + u64::from(c.personal) + u64::from(c.external),
        decision: own.row.disposition,
        rules: own.row.rules.iter().map(|r| r.id.to_string()).collect(),
        class: own.class.word(),
        reference: own.row.reference,
    }
}

/// A copy of all that is kept of one of their addresses (UK GDPR Article 15), with everybody else masked. None: it is not theirs.
pub fn export(
    settings: &Settings,
    options: &Options,
    of: &Insider,
    address: &str,
    now: Timestamp,
    doer: &Doer,
) -> Result<Option<Export>, Fault> {
    let Some(person) = of.addresses.iter().find(|a| *a == address) else { return Ok(None) };
    doer.note(options, "took a copy of what is kept of themselves", about(person))?;
    let mut custody = if options.custody.is_there() { Some(custody::open_beside(options)?) } else { None };
    let there: Option<&mut dyn custody::Custody> = match &mut custody {
        Some(custody) => Some(custody.as_mut()),
        None => None,
    };
    let found = rights::put_together(settings, options, there, person, now, &settings.time_zone, doer)?;
    Ok(Some(found))
}

/// Asks the Clerk for what this page cannot show: what is kept elsewhere.
pub fn ask(options: &Options, of: &Insider, today: Date, doer: &Doer) -> Result<Request, Fault> {
    requests::ask_own(options, &of.addresses[0], today, doer)
}
