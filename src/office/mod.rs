//! What people may do with what is kept: each act says who does it and why, and the access log hears of it before anything is shown
//! or changed.
//!
//! The acts are values in, values out; the command line prints them, and whatever else calls them shows them its own way.

pub mod acknowledgements;
pub mod adopted;
pub mod atomic;
pub mod audit;
pub mod backup;
pub mod breach;
pub mod digest;
pub mod explain;
pub mod glass;
pub mod held;
pub mod holds;
pub mod keys;
pub mod masks;
pub mod mine;
pub mod papers;
pub mod people;
pub mod queue;
pub mod replay;
pub mod reports;
pub mod requests;
pub mod retention;
pub mod rights;
pub mod roles;
pub mod rounds;
pub mod rules;
pub mod trail;
pub mod upkeep;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use self::roles::Right;
use crate::config::Settings;
use crate::config::settings::{Duty, Insider, TwoPeople};
use crate::records::access::{self, Identity};
use crate::records::trace::Question;
use crate::records::{Options, StoreError};

/// Who does something, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doer {
    pub who: Identity,
    pub purpose: String,
    /// Their entry in the site file.
    person: Option<String>,
    duties: Vec<Duty>,
    /// What they do with somebody else only.
    two_people: Vec<TwoPeople>,
    /// A request that a second person approved.
    request: Option<i64>,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("say why, in a few words; it is kept in the access log")]
    Purpose,
    #[error("write what its sender is to be asked")]
    Question,
    #[error("\"{0}\" is not an address. The record knows whole addresses only, so that none can be listed")]
    Address(String),
    #[error("\"{0}\" is no case number: up to 60 letters, digits and - / . _ or space. It stands in receipts, so no name belongs in it")]
    Case(String),
    #[error("a hold needs to say what it covers")]
    Everything,
    #[error("a hold needs --case NUMBER, --reason TEXT, --expires DATE and what it covers; or: hold-records list, lift, prolong")]
    HoldNeeds,
    #[error(
        "a request needs --person ADDRESS and --kind access, rectification or erasure; or: rights request list, pause, resume, extend, close"
    )]
    RequestNeeds,
    #[error("{0} of the receipts' marks did not hold: they are named above")]
    Receipts(usize),
    #[error("the hold would end before it begins: give a day that is to come")]
    Over,
    #[error("{0} is nobody of the site file: [council] and [people.NAME] say who has which role")]
    Nobody(String),
    #[error("say who you are: --as ADDRESS, an address that the site file has in [council] or [people.NAME]")]
    WhoAreYou,
    #[error("{who} may not {right}: that is for {roles}{}", if *stated { "" } else { ". Say who you are with --as ADDRESS" })]
    NotAllowed { who: String, right: &'static str, roles: String, stated: bool },
    #[error("that takes two people: ask, and somebody else must agree first")]
    TakesTwo(&'static str),
    #[error("nobody else may {0}, and it takes two: give a second person a role in [people.NAME]")]
    NobodyElse(&'static str),
    #[error("one of the two has that right from the other, for a time: it takes somebody who has it from the site file, or from a third")]
    LentByAsker,
    #[error("there is no request {0}")]
    NoTwoPeople(i64),
    #[error("request {0}: {1}")]
    TwoPeople(i64, crate::records::access::requests::Refused),
    #[error("you have {0} requests open; first take back what you do not need")]
    TooManyOpen(usize),
    #[error("the gateway cannot send mail of its own, so nobody would get a code: [outbox] has no credential")]
    NoPost,
    #[error("that is not the break-glass code, or it was used. This try is in the access log")]
    WrongGlass,
    #[error("two people must hear when the glass is broken: set clerk and chair in [council], to two addresses")]
    NobodyToAlert,
    #[error("the access log does not hold: see above")]
    Broken,
    #[error("there is no hold for the case {0}")]
    NoHold(String),
    #[error("there is no request {0}")]
    NoRequest(i64),
    #[error("your request {0} is open already: the Clerk owes you an answer to it")]
    Asked(i64),
    #[error("there is no receipt {0}; they are kept for 25 months")]
    NoReceipt(u64),
    #[error("request {0} was not changed: {1}")]
    Request(i64, crate::records::rights::requests::Refused),
    #[error("{0} has no row of this person's; the reference stands in the export and in notices")]
    NoRow(String),
    #[error("say which message or messages: --reference, --message-id, or --rule with --since")]
    WhichMessage,
    #[error("nothing is held under {0}: it was decided, or its time is over")]
    NotHeld(String),
    #[error("{0}: {1}")]
    NotYours(String, crate::outbox::held::NotYours),
    #[error("nothing waits under {0}")]
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
    #[error("{0}")]
    People(#[from] people::Refused),
    #[error("nothing was changed: the gateway refused it. {0}")]
    Reload(String),
    #[error("there is no desk to keep it at: the site file has no [console]")]
    NoDesk,
    #[error(
        "{0} was altered since it was written, or cannot be read. Put it back from a backup, or move it away and have the paper adopted again"
    )]
    Altered(std::path::PathBuf),
    #[error("the day on which it was adopted is not to come: give a day up to today")]
    AdoptedLater,
    #[error("what the paper says has changed since you read it. Read it again; nothing was noted")]
    PaperChanged,
    #[error("the desk keeps {0} adopted papers, and no more")]
    DeskFull(usize),
    #[error("there is no such adopted paper")]
    NoAdoption,
    #[error("{path}: {source}")]
    Io { path: std::path::PathBuf, source: std::io::Error },
    #[error("{0}")]
    Backup(#[from] crate::records::backup::Fault),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Fault {
    /// What helps at the command line, for behind the words: pages have links instead.
    pub fn command(&self) -> Option<String> {
        Some(match self {
            Fault::Everything => "--person, --message-id, --reference, --since or --until".into(),
            Fault::Over => "--expires DATE".into(),
            Fault::TakesTwo(act) => format!("lychgate requests ask {act} SUBJECT --reason TEXT --as ADDRESS, then --request NUMBER"),
            Fault::NoTwoPeople(_) => "lychgate requests list".into(),
            Fault::TooManyOpen(_) => "lychgate requests refuse NUMBER".into(),
            Fault::NoRequest(_) => "lychgate rights request list".into(),
            Fault::NoRow(_) => "lychgate trace".into(),
            Fault::NotHeld(_) => "lychgate held list".into(),
            Fault::NotQueued(_) => "lychgate queue list".into(),
            _ => return None,
        })
    }
}

impl Doer {
    /// Somebody with the roles that the site file gives them. Whoever is at the machine and says no address has the role `it`. Errors if
    /// the address is nobody's.
    pub fn new(settings: &Settings, who: Identity, purpose: &str) -> Result<Doer, Fault> {
        let known = Doer::known(settings, &who)?;
        Ok(Doer {
            purpose: purpose.into(),
            duties: known.as_ref().map_or_else(|| vec![Duty::It], |insider| insider.duties.clone()),
            person: known.map(|insider| insider.name),
            two_people: settings.access.two_people.clone(),
            request: None,
            who,
        })
    }

    /// Somebody who signed in, with the roles they have in this session.
    pub fn signed(settings: &Settings, insider: &Insider, who: Identity, purpose: &str) -> Doer {
        Doer {
            purpose: purpose.into(),
            duties: insider.duties.clone(),
            person: Some(insider.name.clone()),
            two_people: settings.access.two_people.clone(),
            request: None,
            who,
        }
    }

    /// With a request that a second person approved.
    pub fn with_request(self, request: Option<i64>) -> Doer {
        Doer { request, ..self }
    }

    /// Whether they have this role.
    pub fn is(&self, duty: Duty) -> bool {
        self.duties.contains(&duty)
    }

    /// Errors if none of their roles has this right.
    pub fn may(&self, right: Right) -> Result<(), Fault> {
        if self.duties.iter().any(|duty| right.of().contains(duty)) {
            return Ok(());
        }
        let roles: Vec<&str> = right.of().iter().map(|duty| duty.word()).collect();
        let stated = self.who.address().is_some();
        Err(Fault::NotAllowed { who: self.who.name().into(), right: right.words(), roles: roles.join(", "), stated })
    }

    /// Writes to the access log what is done to whose rows, and why, if they may.
    fn log(&self, options: &Options, right: Right, act: &str, about: Question) -> Result<(), Fault> {
        self.may(right)?;
        self.note(options, act, about)
    }

    /// The same of what anybody may do.
    fn note(&self, options: &Options, act: &str, about: Question) -> Result<(), Fault> {
        let purpose = self.purpose.trim();
        if purpose.is_empty() {
            return Err(Fault::Purpose);
        }
        Ok(access::log(options, &about, &format!("{act}: {purpose}"), self.who.clone())?)
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
pub(crate) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
