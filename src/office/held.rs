//! Held mail: what waits, what it is without reading it, letting it go, sending it back.
//!
//! The preview is masked: who it is for by class and domain, what it carries by kind and size, why it waits; no word of its text.

use jiff::Timestamp;

use super::roles::{Right, bearer};
use super::{Doer, Fault, glass};
use crate::config::Settings;
use crate::config::settings::TwoPeople;
use crate::message::view::View;
use crate::outbox;
use crate::outbox::held::{Decider, NotYours, Released, ask_sender as ask_sender_of, refuse, release};
use crate::policy::Person;
use crate::policy::answer::Choice;
use crate::policy::people::domain_of;
use crate::records::custody::{self, Becomes, Custody, Decided, Decision, Kind, Parcel, Sheet, State, Which};
use crate::records::trace::Question;
use crate::records::{Options, StoreError};

/// Characters of a question to a sender.
const QUESTION: usize = 1_000;

/// One held message.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Held {
    /// Its reference, which people quote.
    pub id: String,
    pub time: Timestamp,
    pub sender: String,
    pub rules: Vec<String>,
    pub state: &'static str,
    /// Who must let it go, and has not.
    pub waits_for: Vec<String>,
    pub expires: Timestamp,
    /// What becomes of it then: `returned` or `released`.
    pub then: &'static str,
    /// Its sender has asked for it to be sent.
    pub asked: bool,
    /// When its sender was asked about it, by whom and what.
    pub questions: Vec<(Timestamp, String, String)>,
}

/// What can be seen of a message without reading it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Preview {
    #[serde(flatten)]
    pub held: Held,
    /// The first letter of each word.
    pub subject: String,
    pub octets: u64,
    /// How many recipients at each domain; the council's own by `council`.
    pub recipients: Vec<(String, usize)>,
    /// Kind and octets of each file.
    pub attachments: Vec<(String, usize)>,
    /// Rule, and why it matched, masked.
    pub because: Vec<(String, Vec<String>)>,
    pub clauses: Vec<String>,
}

/// All that waits for people, oldest first.
pub fn list(options: &Options, doer: &Doer) -> Result<Vec<Held>, Fault> {
    doer.log(options, Right::Held, "listed held mail", Question::default())?;
    Ok(all(custody::open_beside(options)?.as_mut())?.iter().map(Held::of).collect())
}

/// What one message is, as far as it can be said without reading it.
pub fn show(settings: &Settings, options: &Options, id: &str, doer: &Doer) -> Result<Preview, Fault> {
    let mut custody = custody::open_beside(options)?;
    let parcel = find(custody.as_mut(), id)?;
    doer.log(options, Right::Held, "look at held mail", about(&parcel.sheet))?;
    let content = custody.content(parcel.id)?.unwrap_or_default();
    Ok(preview(settings, &parcel, &content))
}

/// By what right one person reads what another wrote.
pub enum Means<'c> {
    /// A request that a second person approved, where the site file wants one.
    Together,
    /// The code from the sealed envelope.
    BreakGlass(&'c str),
}

/// The content of a held message, as it came, and its reference.
pub fn open(settings: &Settings, options: &Options, id: &str, means: Means<'_>, doer: &Doer) -> Result<(String, Vec<u8>), Fault> {
    let mut custody = custody::open_beside(options)?;
    let at = Timestamp::now();
    let parcel = match means {
        Means::Together => {
            doer.may(Right::OpenContent)?;
            let parcel = find(custody.as_mut(), id)?;
            let together = doer.together(options, TwoPeople::Content, &parcel.sheet.reference, at)?;
            doer.log(options, Right::OpenContent, &format!("opened held mail{together}"), about(&parcel.sheet))?;
            parcel
        }
        Means::BreakGlass(code) => {
            let parcel = find(custody.as_mut(), id)?;
            glass::break_it(settings, options, code, &parcel.sheet, at, doer)?;
            parcel
        }
    };
    let content = custody.content(parcel.id)?.ok_or_else(|| Fault::NotHeld(id.into()))?;
    Ok((parcel.sheet.reference, content))
}

/// Content for a terminal: nothing in it can move the cursor, change colours or answer for whoever looks.
pub fn escaped(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\r' => {}
            '\t' => out.push(' '),
            // Marks that turn the direction of what follows (Unicode's Bidi_Control) are no letters either.
            c if c.is_control()
                || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                out.extend(c.escape_default());
            }
            c => out.push(c),
        }
    }
    out
}

/// Its reference, as it stands in the store.
pub(super) fn reference_of(options: &Options, id: &str) -> Result<String, Fault> {
    Ok(find(custody::open_beside(options)?.as_mut(), id)?.sheet.reference)
}

/// Lets messages go on behalf of one of somebody's roles; says of each what came of it.
pub fn let_go(
    settings: &Settings,
    options: &Options,
    ids: &[String],
    roles: &[Person],
    by: Option<String>,
    doer: &Doer,
) -> Result<Vec<(String, Released)>, Fault> {
    let outbox = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    let mut custody = custody::open_beside(options)?;
    let known = by.as_deref().and_then(|a| bearer(settings, a));
    let name = known.as_ref().map(|i| i.name.clone()).or(by.clone());
    let by = Decider { roles: roles.to_vec(), name, address: by };
    let mut done = Vec::new();
    for id in ids {
        let parcel = find(custody.as_mut(), id)?;
        // Nor under another address of the same person's.
        if known.as_ref().is_some_and(|i| i.addresses.contains(&parcel.sheet.origin.sender)) {
            return Err(Fault::NotYours(id.clone(), NotYours::Own));
        }
        let try_it = |p: &Parcel| release(p, &by, Choice::AsItIs, &doer.purpose, now(), outbox.pace.gives_up);
        // Refused before the log says that it was done.
        let (_, released) = try_it(&parcel).map_err(|why| Fault::NotYours(id.clone(), why))?;
        doer.log(options, Right::Release, "release held mail", about(&parcel.sheet))?;
        decided(custody.as_mut(), &parcel, id, &mut |p| try_it(p).map(|(decision, _)| decision))?;
        done.push((parcel.sheet.reference.clone(), released));
    }
    Ok(done)
}

/// Asks the sender of a held message about it; the answer goes to whoever asks, or to the Clerk. The message stays held.
pub fn ask_sender(settings: &Settings, options: &Options, id: &str, question: &str, doer: &Doer) -> Result<String, Fault> {
    let outbox = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    let answers_to = doer.who.address().map(str::to_string).or(settings.council.clerk.clone()).ok_or(Fault::NobodyToTell)?;
    let text: String = question.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUESTION).collect();
    if text.is_empty() {
        return Err(Fault::Question);
    }
    let mut custody = custody::open_beside(options)?;
    let parcel = find(custody.as_mut(), id)?;
    let asked = custody::Asked { time: now(), by: answers_to, text };
    let try_it = |p: &Parcel| ask_sender_of(p, asked.clone(), &outbox);
    // Refused before the log says that it was done.
    try_it(&parcel).map_err(|why| Fault::NotYours(id.into(), why))?;
    doer.log(options, Right::Release, "ask the sender of held mail", about(&parcel.sheet))?;
    decided(custody.as_mut(), &parcel, id, &mut |p| try_it(p))?;
    Ok(parcel.sheet.reference)
}

/// Sends messages back to their senders, who hear the reason.
pub fn send_back(settings: &Settings, options: &Options, ids: &[String], doer: &Doer) -> Result<Vec<String>, Fault> {
    let outbox = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    let mut custody = custody::open_beside(options)?;
    let mut done = Vec::new();
    for id in ids {
        let parcel = find(custody.as_mut(), id)?;
        doer.log(options, Right::Refuse, "refuse held mail", about(&parcel.sheet))?;
        let reason = format!("The reason: {}", doer.purpose.trim());
        decided(custody.as_mut(), &parcel, id, &mut |p| {
            if p.state == State::Held { Ok(refuse(p, &reason, &outbox, now())) } else { Err(NotYours::NotHeld) }
        })?;
        done.push(parcel.sheet.reference.clone());
    }
    Ok(done)
}

/// Decides in one transaction, of the parcel as it stands then.
fn decided(
    custody: &mut dyn Custody,
    parcel: &Parcel,
    id: &str,
    act: &mut dyn FnMut(&Parcel) -> Result<Decision, NotYours>,
) -> Result<(), Fault> {
    let mut refused = None;
    let decided = custody.decide(parcel.id, now(), &mut |found| match act(found) {
        Ok(decision) => Ok(decision),
        Err(why) => {
            refused = Some(why);
            Ok(Decision::of(Becomes::Same))
        }
    })?;
    match (decided, refused) {
        (_, Some(why)) => Err(Fault::NotYours(id.into(), why)),
        (Decided::Done(_), None) => Ok(()),
        (Decided::Absent | Decided::Busy, None) => Err(Fault::NotHeld(id.into())),
    }
}

fn all(custody: &mut dyn Custody) -> Result<Vec<Parcel>, StoreError> {
    custody.list(Which { kind: Kind::Mail, state: State::Held, most: custody::MOST as usize, due: None })
}

fn find(custody: &mut dyn Custody, id: &str) -> Result<Parcel, Fault> {
    let wanted = reference(id);
    all(custody)?.into_iter().find(|p| reference(&p.sheet.reference) == wanted).ok_or_else(|| Fault::NotHeld(id.into()))
}

/// As people may type it: any case, with or without "LG-".
pub(super) fn reference(text: &str) -> String {
    let text = text.trim().to_ascii_uppercase();
    text.strip_prefix("LG-").unwrap_or(&text).to_string()
}

pub(super) fn about(sheet: &Sheet) -> Question {
    Question { sender: Some(sheet.origin.sender.clone()), reference: Some(sheet.reference.clone()), ..Question::default() }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

impl Held {
    fn of(parcel: &Parcel) -> Held {
        let sheet = &parcel.sheet;
        let hold = sheet.hold.clone().unwrap_or_default();
        Held {
            id: sheet.reference.clone(),
            time: time(sheet.taken),
            sender: sheet.origin.sender.clone(),
            rules: sheet.origin.rules.iter().map(|r| r.id.clone()).collect(),
            state: parcel.state.word(),
            waits_for: hold.by.iter().filter(|b| !hold.released.contains(b)).cloned().collect(),
            expires: time(parcel.ends),
            then: if hold.release_at_end { "released" } else { "returned" },
            asked: hold.asked,
            questions: hold.questions.iter().map(|q| (time(q.time), q.by.clone(), q.text.clone())).collect(),
        }
    }
}

pub(super) fn preview(settings: &Settings, parcel: &Parcel, content: &[u8]) -> Preview {
    let sheet = &parcel.sheet;
    let mut recipients: Vec<(String, usize)> = Vec::new();
    for recipient in &sheet.recipients {
        let domain = domain_of(&recipient.address).to_string();
        let group = if settings.policy.is_council(&domain) { "council".to_string() } else { domain };
        match recipients.iter_mut().find(|(known, _)| *known == group) {
            Some((_, n)) => *n += 1,
            None => recipients.push((group, 1)),
        }
    }
    let view = View::new(content);
    let attachments =
        view.parts().iter().filter(|p| p.is_leaf() && p.is_attachment).map(|p| (p.content_type.to_string(), p.body.len())).collect();
    let rules = &sheet.origin.rules;
    Preview {
        held: Held::of(parcel),
        subject: masked(sheet.origin.subject.as_deref().unwrap_or_default()),
        octets: sheet.origin.size,
        recipients,
        attachments,
        because: rules.iter().map(|r| (r.title.clone(), r.because.clone())).collect(),
        clauses: rules.iter().flat_map(|r| r.clauses.clone()).collect(),
    }
}

/// "Tender for the hall" as "T. f. t. h.": enough to know one's own message again, not to read another's.
fn masked(subject: &str) -> String {
    subject
        .split_whitespace()
        .take(12)
        .filter_map(|w| w.chars().find(|c| c.is_alphanumeric()))
        .map(|c| format!("{c}."))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A paragraph for the Clerk.
pub fn words(preview: &Preview, zone: &jiff::tz::TimeZone) -> String {
    let held = &preview.held;
    let mut out = format!("{}  from {}, {}\n", held.id, held.sender, super::moment(held.time, zone));
    let waits = if held.waits_for.is_empty() { "nobody".to_string() } else { held.waits_for.join(" and the ") };
    out += &format!("  Waits for the {waits} until {}; then it is {}.\n", super::moment(held.expires, zone), held.then);
    if held.asked {
        out += "  Its sender asks for it to be sent.\n";
    }
    for (time, by, text) in &held.questions {
        out += &format!("  {by} asked its sender on {}: {text}\n", super::moment(*time, zone));
    }
    for (title, because) in &preview.because {
        out += &format!("  {title}{}\n", if because.is_empty() { String::new() } else { format!(": {}", because.join("; ")) });
    }
    if !preview.clauses.is_empty() {
        out += &format!("  Clauses of the policy: {}\n", preview.clauses.join(", "));
    }
    let to: Vec<String> = preview.recipients.iter().map(|(domain, n)| format!("{n} at {domain}")).collect();
    out += &format!("  To: {}\n  Subject, masked: {}\n  {} octets", to.join(", "), preview.subject, preview.octets);
    if preview.attachments.is_empty() {
        out += ", no files\n";
    } else {
        let files: Vec<String> = preview.attachments.iter().map(|(kind, octets)| format!("{kind} ({octets} octets)")).collect();
        out += &format!(", with {}\n", files.join(", "));
    }
    out
}
