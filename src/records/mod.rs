//! The monitoring record: what was decided about each message, sealed, for as long as the council's retention says.
//!
//! One row a message, written by one thread in groups ([`Recorder`]), sealed under keys of its class and period ([`sealing`],
//! [`keyring`]), found again by keyed hashes ([`trace`]), purged on time ([`retention`]). Beside it stands an index of past mail
//! that holds keyed hashes and nothing else, where a rule asks for one ([`past`]), and counts of the last hours ([`rates`]). Mail that is in the gateway's own care
//! (notices, later held mail) has a store of its own ([`custody`]), fully synchronous. Who looked at any of it, and why, is in a log of
//! its own, chained so that nothing can be taken out of it ([`access`]).
//!
//! What is done to it now and then stands beside the writer ([`Keeping`]): holds of records by case number ([`holds`]), the signed
//! receipts of purges ([`receipts`]), and people's rights over what is kept of them ([`rights`]).
//!
//! **Never here:** a body, matched text, a file name; a recipient's address that could be read out (they are hashes: a known
//! address can be looked up, none can be listed), but for those whom a hold, a request or an erasure names; a credential. Without `[monitoring]` nothing but hourly counts is kept, and a
//! message marked personal is only counted (SI 2018/356; the monitoring notice says the same).

pub mod access;
pub mod backup;
pub mod custody;
pub(crate) mod database;
pub mod entry;
pub mod error;
mod guard;
pub mod holds;
mod keeping;
pub mod keyring;
pub mod overrides;
mod past;
pub mod place;
mod rates;
pub mod receipts;
pub mod recorder;
pub mod replay;
pub mod retention;
pub mod rights;
pub mod rotation;
pub mod row;
pub mod sealing;
pub mod site;
mod spare;
mod store;
pub mod tally;
pub mod trace;
mod vector;

pub use entry::{Class, Classes, Entry, Outcome, Stage};
pub use error::StoreError;
pub use keeping::Keeping;
pub use place::{Options, prepare};
pub use rates::{Rates, Reserved};
pub use recorder::{Counters, QueueFull, Recorder, Ticket};
pub use retention::Receipt;
pub use row::Row;
pub use sealing::SiteKey;
pub use tally::Figures;

/// The kind of record a row is, which decides its retention and its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordClass {
    /// Ordinary mail.
    Events,
    /// A rule with a clause acted or warned, or the message was not delivered.
    Incidents,
    /// Held mail.
    Held,
    /// Who looked at the record, and why.
    Access,
    /// The gateway's own mail, until it is delivered.
    Custody,
    /// The index of past mail.
    Contacts,
    /// What is kept for a case: each hold has a key of its own.
    Holds,
    /// Requests of people about their data, and whom to forget again after a restore: one key.
    Rights,
    /// The key that signs receipts: one.
    Receipts,
}

impl RecordClass {
    /// The number that stands for it in the store; never changed.
    pub fn number(self) -> u8 {
        match self {
            RecordClass::Events => 1,
            RecordClass::Incidents => 2,
            RecordClass::Held => 3,
            RecordClass::Access => 4,
            RecordClass::Custody => 5,
            RecordClass::Contacts => 6,
            RecordClass::Holds => 20,
            RecordClass::Rights => 21,
            RecordClass::Receipts => 22,
        }
    }

    /// The class that a number stands for.
    pub(crate) fn of(number: i64) -> Option<RecordClass> {
        use RecordClass::*;
        [Events, Incidents, Held, Access, Custody, Contacts, Holds, Rights, Receipts].into_iter().find(|c| i64::from(c.number()) == number)
    }

    /// Whether its keys are those of periods; the others have numbers.
    pub(crate) fn has_periods(self) -> bool {
        !matches!(self, RecordClass::Holds | RecordClass::Rights | RecordClass::Receipts)
    }

    /// The contract's word for it.
    pub fn word(self) -> &'static str {
        match self {
            RecordClass::Events => "events",
            RecordClass::Incidents => "incidents",
            RecordClass::Held => "held",
            RecordClass::Access => "access",
            RecordClass::Custody => "custody",
            RecordClass::Contacts => "contacts",
            RecordClass::Holds => "holds",
            RecordClass::Rights => "rights",
            RecordClass::Receipts => "receipts",
        }
    }
}

#[cfg(test)]
mod erasure;
#[cfg(test)]
pub(crate) mod tests;
