//! The access log as an auditor asks about it: what it says, and whether it holds.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault, counted, moment};
use crate::records::Options;
use crate::records::access::{self, Numbered, Verified};
use crate::records::trace::Question;

/// Entries since then, oldest first. This look is one of them.
pub fn list(options: &Options, since: Timestamp, now: Timestamp, doer: &Doer) -> Result<Vec<Numbered>, Fault> {
    doer.log(options, Right::Audit, "read the access log", Question { since, until: now, ..Question::default() })?;
    Ok(access::entries(options, since)?)
}

/// Holds the whole log against its chain. It shows nobody's data, so it is not logged: a log that does not hold can be looked at
/// without adding to it.
pub fn verify(options: &Options, doer: &Doer) -> Result<Verified, Fault> {
    doer.may(Right::Audit)?;
    Ok(access::verify(options)?)
}

/// One entry in plain words.
pub fn line(entry: &Numbered, zone: &TimeZone) -> String {
    let access = &entry.access;
    let who = access.identity.as_ref().map_or_else(|| access.who.clone(), ToString::to_string);
    let mut about: Vec<String> = Vec::new();
    if let Some(reference) = &access.reference {
        about.push(reference.clone());
    }
    if let Some(id) = &access.message_id {
        about.push(id.clone());
    }
    match (&access.sender, &access.recipient) {
        (Some(sender), Some(recipient)) if sender == recipient => about.push(sender.clone()),
        (sender, recipient) => {
            about.extend(sender.iter().map(|s| format!("from {s}")));
            about.extend(recipient.iter().map(|r| format!("to {r}")));
        }
    }
    let about = if about.is_empty() { String::new() } else { format!("  [{}]", about.join(", ")) };
    let line = format!("{}  {}  {who}  {}{about}", entry.number, moment(access.time, zone), access.purpose);
    // What somebody typed may act on no terminal, nor look like another entry.
    format!("{}\n", super::held::escaped(line.replace('\n', " ").as_bytes()))
}

/// `audit verify` in plain words.
pub fn words(verified: &Verified) -> String {
    let mut out = String::new();
    match verified.breaks.first() {
        None => out.push_str(&format!("The access log holds: {}, ", counted(verified.entries, "entry").replace("entrys", "entries"))),
        Some(first) => {
            out.push_str(&format!("The access log does not hold. First break: {}\n", first.says));
            verified.breaks[1..].iter().for_each(|b| out.push_str(&format!("Then: {}\n", b.says)));
            out.push_str(
                "First keep a copy of the database and the keyring as they are, then ask whoever can write to either. Do not restore anything before.\n",
            );
            out.push_str(&format!("{} looked at, ", counted(verified.entries, "entry").replace("entrys", "entries")));
        }
    }
    if verified.entries > 0 {
        out.push_str(&format!("numbers {} to {}. ", verified.first, verified.last));
    } else {
        out.push_str("none there. ");
    }
    out.push_str(&format!(
        "Its end: {}\nWrite the last number and the end down elsewhere: an older copy of database and keyring together shows by that alone.\n",
        verified.head
    ));
    verified.notes.iter().for_each(|note| out.push_str(&format!("Note: {note}\n")));
    out
}

/// What the Clerk's digest says of a log that does not hold.
pub fn for_the_digest(options: &Options) -> Result<Option<String>, Fault> {
    let verified = access::verify(options)?;
    Ok(verified.breaks.first().map(|first| {
        format!(
            "The log of who looked at what does not hold. {} First: lychgate audit verify, and keep copies of everything as it is.",
            first.says
        )
    }))
}
