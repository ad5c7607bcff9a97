//! A subject access export (UK GDPR Article 15): everything that is held of one person, for that person. Everybody else appears by
//! role or class; what is not held, or cannot be found, is said in words.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::config::Settings;
use crate::message::View;
use crate::office::masks::Masks;
use crate::office::roles::Right;
use crate::office::{Doer, Fault, about, address, length};
use crate::records::access::{Access, Identity, accesses};
use crate::records::custody::{Custody, Fate, Kind, State};
use crate::records::holds::Scope;
use crate::records::rights::{self, Dossier, OwnParcel, OwnRow, Part};
use crate::records::{Keeping, Options};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Exported {
    pub page: PathBuf,
    pub json: PathBuf,
    pub messages: usize,
    pub in_custody: usize,
    pub looked_at: usize,
}

/// An export, before anybody has it.
pub struct Export {
    /// A page to read and print, HTML.
    pub page: String,
    pub json: Vec<u8>,
    pub messages: usize,
    pub in_custody: usize,
    pub looked_at: usize,
}

/// Writes `index.html` and `export.json` into a folder that only its owner can read. Nothing that is there is overwritten.
#[expect(clippy::too_many_arguments, reason = "what is asked, of what, when and by whom")]
pub fn export(
    settings: &Settings,
    options: &Options,
    custody: Option<&mut dyn Custody>,
    person: &str,
    out: &Path,
    now: Timestamp,
    zone: &TimeZone,
    doer: &Doer,
) -> Result<Exported, Fault> {
    let export = gather(settings, options, custody, person, now, zone, doer)?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Fault::Io { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(out).map_err(io(out))?;
    let files = [(out.join("export.json"), export.json), (out.join("index.html"), export.page.into_bytes())];
    for (path, octets) in &files {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io(path))?;
        file.write_all(octets).and_then(|()| file.sync_all()).map_err(io(path))?;
    }
    let [(json, _), (page, _)] = files;
    Ok(Exported { page, json, messages: export.messages, in_custody: export.in_custody, looked_at: export.looked_at })
}

/// Everything that is held of a person, for that person. The access log hears of it first.
pub fn gather(
    settings: &Settings,
    options: &Options,
    custody: Option<&mut dyn Custody>,
    person: &str,
    now: Timestamp,
    zone: &TimeZone,
    doer: &Doer,
) -> Result<Export, Fault> {
    let person = address(person)?;
    doer.log(options, Right::Rights, "exported what is held", about(&person))?;
    put_together(settings, options, custody, &person, now, zone, doer)
}

/// The same, of a normal address, where whoever calls this has written to the access log who asks, and why.
pub(in crate::office) fn put_together(
    settings: &Settings,
    options: &Options,
    custody: Option<&mut dyn Custody>,
    person: &str,
    now: Timestamp,
    zone: &TimeZone,
    doer: &Doer,
) -> Result<Export, Fault> {
    let mut keeping = Keeping::open(options)?;
    let dossier = keeping.dossier(person, &Masks::council(settings), now.as_millisecond())?;
    let references: Vec<String> = dossier.rows.iter().map(|r| r.row.reference.clone()).collect();
    let parcels = custody.map(|c| rights::parcels(c, person, &references)).transpose()?.unwrap_or_default();
    let looked = looked_at(accesses(options)?, &dossier, &mut keeping)?;
    let masks = Masks::new(settings, person);
    let mut value = document(settings, options, &dossier, &parcels, &looked, &masks, now, doer);
    masks.json(&mut value);
    Ok(Export {
        page: super::page::page(&value, zone),
        json: serde_json::to_vec_pretty(&value).expect("a JSON value is JSON"),
        messages: dossier.rows.len(),
        in_custody: parcels.len(),
        looked_at: looked.len(),
    })
}

/// By role; an address that was only stated is said to be that.
fn looker(access: &Access, masks: &Masks<'_>) -> String {
    match &access.identity {
        Some(Identity::Signed(address)) => masks.who(address),
        Some(Identity::Terminal { stated: Some(address), .. }) => format!("{}, by their own word", masks.who(address)),
        _ if access.who.contains('@') => masks.who(&access.who),
        _ => "somebody with access at the council".into(),
    }
}

/// Those look-ups that asked for this person, or for a message of theirs.
fn looked_at(all: Vec<Access>, dossier: &Dossier, keeping: &mut Keeping) -> Result<Vec<Access>, Fault> {
    let same = |given: &Option<String>| given.as_deref().is_some_and(|a| address(a).is_ok_and(|a| a == dossier.person));
    let theirs = |reference: &Option<String>| {
        reference.as_deref().is_some_and(|r| dossier.rows.iter().any(|own| own.row.reference.eq_ignore_ascii_case(r.trim())))
    };
    // The record has Message-IDs as hashes only: each is asked for once.
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    let mut by_id = |id: &Option<String>| -> Result<bool, Fault> {
        let Some(id) = id else { return Ok(false) };
        if let Some(known) = known.get(id) {
            return Ok(*known);
        }
        let scope = Scope { person: Some(dossier.person.clone()), message_id: Some(id.clone()), ..Scope::default() };
        let is_theirs = !keeping.exposed(&scope, None, &[], 1)?.0.is_empty();
        known.insert(id.clone(), is_theirs);
        Ok(is_theirs)
    };
    let mut looked = Vec::new();
    for access in all {
        if same(&access.sender) || same(&access.recipient) || theirs(&access.reference) || by_id(&access.message_id)? {
            looked.push(access);
        }
    }
    Ok(looked)
}

#[expect(clippy::too_many_arguments, reason = "everything that is known, put together once")]
fn document(
    settings: &Settings,
    options: &Options,
    dossier: &Dossier,
    parcels: &[OwnParcel],
    looked: &[Access],
    masks: &Masks<'_>,
    now: Timestamp,
    doer: &Doer,
) -> Value {
    json!({
        "council": settings.council.name,
        "person": dossier.person,
        "made": now,
        "purpose": doer.purpose,
        "messages": dossier.rows.iter().map(|r| message(r, masks)).collect::<Vec<_>>(),
        "in_custody": parcels.iter().map(|p| parcel(p, masks)).collect::<Vec<_>>(),
        "past_mail": {
            "asked_for": dossier.contacts.asked,
            "remembered_with": dossier.contacts.known.iter().map(|a| masks.who(a)).collect::<Vec<_>>(),
        },
        "looked_at": looked.iter().map(|a| json!({
            "time": a.time,
            "who": looker(a, masks),
            "why": a.purpose,
        })).collect::<Vec<_>>(),
        "requests": dossier.requests.iter().map(|r| json!({
            "kind": r.kind, "received": r.received, "extended": r.extended.is_some(),
            "closed": r.closed.as_ref().map(|c| json!({ "on": c.on, "outcome": c.outcome })),
        })).collect::<Vec<_>>(),
        "kept_longer": dossier.cases.iter().map(|(case, until)| json!({ "case": case, "until": until })).collect::<Vec<_>>(),
        "retention": retention(options),
        "not_held": not_held(options, dossier),
    })
}

fn retention(options: &Options) -> Value {
    let r = &options.retention;
    let of = |d: std::time::Duration| length(i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    json!({
        "ordinary mail": of(r.events), "mail that a rule acted on": of(r.incidents), "held mail": of(r.held),
        "who looked": of(r.access), "index of past mail": of(r.contacts),
    })
}

/// One row, as far as it is about this person.
fn message(own: &OwnRow, masks: &Masks<'_>) -> Value {
    let row = &own.row;
    let wrote = matches!(own.part, Part::Sender | Part::Both);
    let read = own.own_code.is_some_and(|c| c / 100 == 2);
    json!({
        "time": row.time,
        "reference": row.reference,
        "your_part": part_word(own.part),
        "from": masks.who(&row.sender),
        "recipients": row.classes,
        "decision": row.disposition,
        "outcome": row.outcome_code,
        "your_copy": own.own_code.filter(|c| *c != 0),
        // What was delivered to them they have read; what they wrote is theirs.
        "subject": row.subject.as_deref().filter(|_| wrote || read),
        "size": row.size,
        "rules": row.rules.iter().map(|r| json!({
            "id": r.id, "mode": r.mode, "clauses": r.clauses,
            "because": if wrote { r.because.clone() } else { Vec::new() },
            "overridden": r.overridden.as_deref().filter(|_| wrote),
        })).collect::<Vec<_>>(),
        "found": if wrote { json!(row.detectors) } else { Value::Null },
        "provider_said": row.upstream_reply,
        "class": own.class.word(),
        "notes": own.notes.iter().map(|n| json!({ "time": n.time, "text": n.text })).collect::<Vec<_>>(),
        "kept_for_cases": own.cases,
    })
}

fn part_word(part: Part) -> &'static str {
    match part {
        Part::Sender => "sender",
        Part::Recipient => "recipient",
        Part::Both => "sender and recipient",
        Part::Subject => "a notice to somebody else about a message of yours",
    }
}

fn parcel(own: &OwnParcel, masks: &Masks<'_>) -> Value {
    json!({
        "reference": own.reference,
        "taken": Timestamp::from_millisecond(own.taken).unwrap_or_default(),
        "what": if own.kind == Kind::Notice { "a notice of the gateway" } else { "a message" },
        "state": match own.state {
            State::Waiting => "to be delivered",
            State::Stopped => "kept back by an operator",
            State::Held => "held for a decision",
            State::Broken => "cannot be opened",
            State::Tally => "a list of what became of the copies of a message",
        },
        "your_part": part_word(own.part),
        "from": if own.kind == Kind::Notice { "the gateway".into() } else { masks.who(&own.sender) },
        "other_recipients": own.others,
        "your_copy": own.fate.as_ref().map(|f| match f {
            Fate::Waiting => "not tried yet",
            Fate::Later { .. } => "put off by the next mail system",
            Fate::Delivered { .. } => "delivered",
            Fate::Refused { .. } => "refused",
            Fate::Expired { .. } => "given up",
        }),
        "rules": own.rules.iter().map(|r| json!({ "id": r.id, "title": r.title, "clauses": r.clauses })).collect::<Vec<_>>(),
        "until": Timestamp::from_millisecond(own.ends).unwrap_or_default(),
        "size": own.size,
        "content": own.content.as_deref().map(content),
    })
}

/// Their own words. What they quoted is somebody else's, and files are named by kind and size: the person has both.
fn content(octets: &[u8]) -> Value {
    let view = View::new(octets);
    let files: Vec<Value> =
        view.parts().iter().filter(|p| p.is_attachment).map(|p| json!({ "kind": p.content_type, "size_as_sent": p.body.len() })).collect();
    json!({ "subject": view.subject(), "your_words": view.body_text().new, "files": files })
}

/// What is not there, so that nobody takes silence for completeness.
fn not_held(options: &Options, dossier: &Dossier) -> Vec<String> {
    let mut out: Vec<String> = vec![
        "The text, the files and the file names of messages that were delivered: the gateway keeps no copy of them. They may be in the council's mailboxes, which are not part of this.".into(),
        "Messages that were marked personal or private: they are counted, and nothing else is kept of them.".into(),
        format!("Messages older than the times given under \"How long\": they have been erased, and the keys with them, so that backups cannot be read either. Events go after {}.", length(options.retention.events.as_millis() as i64)),
        "Other addresses of yours: the record can be asked for an address that is known, and was asked for exactly the one above.".into(),
        format!("Who had mail with whom is remembered as hashes only. It cannot be listed: it was asked for {} of the council that are known.", super::super::counted(dossier.contacts.asked as u64, "address")),
        "Whether you were told something by the gateway (kept one week) and how much you sent of late (kept for hours): hashes that cannot be listed.".into(),
        "Look-ups that asked for somebody else or for a time, and may have shown a row of yours among others: recipients are shown as numbers only, so that they named nobody but whom they asked for.".into(),
        "Hourly counts by rule and outcome: they name nobody.".into(),
        "The names and addresses of other people, their mail domains and what they wrote: they are given as roles and numbers. Held messages of other people that mention you are listed without content; ask the Clerk about them.".into(),
        "The log of the gateway's machine: it holds no addresses. Backups hold the same rows as this, sealed.".into(),
    ];
    if !dossier.cases.is_empty() {
        out.push(
            "Why something is kept longer for a case: that may have to be withheld (Data Protection Act 2018, Schedule 2). Ask the Clerk."
                .into(),
        );
    }
    if options.monitoring.is_none() {
        out.push("The council keeps no record of single messages: only hourly counts.".into());
    }
    if dossier.unreadable > 0 {
        out.push(format!(
            "{} could not be opened, so that it is not known whose they are: they were altered, or their time ended while we looked.",
            super::super::counted(dossier.unreadable as u64, "row")
        ));
    }
    out
}
