//! What people may do with what is kept: each act says who does it and why, and the access log hears of it before anything is shown
//! or changed.
//!
//! The acts are values in, values out; the command line prints them, and whatever else calls them shows them its own way.

pub mod backup;
pub mod breach;
pub mod digest;
pub mod held;
pub mod holds;
pub mod keys;
pub mod masks;
pub mod queue;
pub mod replay;
pub mod retention;
pub mod rights;
pub mod rounds;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::records::access;
use crate::records::trace::Question;
use crate::records::{Options, StoreError};

/// Who does something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    pub who: String,
    pub purpose: String,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("say why, in a few words; it is kept in the access log")]
    Purpose,
    #[error("\"{0}\" is not an address. The record knows whole addresses only, so that none can be listed")]
    Address(String),
    #[error("\"{0}\" is no case number: up to 60 letters, digits and - / . _ or space. It stands in receipts, so no name belongs in it")]
    Case(String),
    #[error("a hold needs to say what it covers: --person, --message-id, --reference, --since or --until")]
    Everything,
    #[error("a hold needs --case NUMBER, --reason TEXT, --expires DATE and what it covers; or: hold-records list, lift, prolong")]
    HoldNeeds,
    #[error(
        "a request needs --person ADDRESS and --kind access, rectification or erasure; or: rights request list, pause, resume, extend, close"
    )]
    RequestNeeds,
    #[error("{0} of the receipts' marks did not hold: they are named above")]
    Receipts(usize),
    #[error("the hold would end before it begins; give --expires a day that is to come")]
    Over,
    #[error("there is no hold for the case {0}")]
    NoHold(String),
    #[error("there is no request {0}; `lychgate rights request list` shows them")]
    NoRequest(i64),
    #[error("request {0} was not changed: {1}")]
    Request(i64, crate::records::rights::requests::Refused),
    #[error("{0} has no row of this person's; the reference stands in `lychgate trace` and in notices")]
    NoRow(String),
    #[error("say which message or messages: --reference, --message-id, or --rule with --since")]
    WhichMessage,
    #[error("nothing is held under {0}: it was decided, or its time is over; `lychgate held list` shows what is")]
    NotHeld(String),
    #[error("{0}: {1}")]
    NotYours(String, crate::outbox::held::NotYours),
    #[error("nothing waits under {0}; `lychgate queue list` shows what does")]
    NotQueued(String),
    #[error("there is nobody to tell: name the Clerk under [council], or `to` under [digest]")]
    NobodyToTell,
    #[error("that week has not begun")]
    NotYet,
    #[error("the site has no listener, and so nothing that mail could leave by")]
    NoOutbox,
    #[error("nothing in the record fits. It may have gone with its retention, or have been only counted")]
    NothingFits,
    #[error("--{0} \"{1}\" is neither a date such as 2026-05-14 nor a length of time such as \"30d\"")]
    Time(&'static str, String),
    #[error("{path}: {source}")]
    Io { path: std::path::PathBuf, source: std::io::Error },
    #[error("{0}")]
    Backup(#[from] crate::records::backup::Fault),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Doer {
    /// Writes to the access log what is done to whose rows, and why.
    fn log(&self, options: &Options, act: &str, about: Question) -> Result<(), Fault> {
        let purpose = self.purpose.trim();
        if purpose.is_empty() {
            return Err(Fault::Purpose);
        }
        Ok(access::log(options, &about, &format!("{act}: {purpose}"), self.who.as_str())?)
    }
}

/// An address in its normal form.
fn address(text: &str) -> Result<String, Fault> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    match crate::smtp::Address::parse(text, crate::smtp::address::Charset::Utf8) {
        Ok(address) => Ok(address.normal()),
        Err(_) => Err(Fault::Address(text.into())),
    }
}

/// The question that stands for one person in the access log.
fn about(person: &str) -> Question {
    Question { sender: Some(person.into()), recipient: Some(person.into()), ..Question::default() }
}

/// "Thursday 3 September 2026".
fn day(time: Timestamp, zone: &TimeZone) -> String {
    Zoned::new(time, zone.clone()).strftime("%A %-d %B %Y").to_string()
}

/// "Thursday 3 September 2026, 16:30".
fn moment(time: Timestamp, zone: &TimeZone) -> String {
    Zoned::new(time, zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string()
}

/// "90 days", "2 seconds".
fn length(milliseconds: i64) -> String {
    let seconds = milliseconds / 1000;
    let (n, unit) = match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => (s / 86_400, "day"),
        s if s >= 3_600 && s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s >= 60 && s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    counted(n.unsigned_abs(), unit)
}

/// "1 row", "2 rows".
fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
