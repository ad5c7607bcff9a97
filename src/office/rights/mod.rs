//! People's rights over what is kept of them: the acts. What the record does for them is [`crate::records::rights`]; how it is written
//! down for the person is [`export`].

mod export;
mod page;
pub mod requests;

pub(in crate::office) use export::put_together;
pub use export::{Export, Exported, export, gather};

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::masks::Masks;
use super::roles::Right;
use super::{Doer, Fault, about, address};
use crate::config::Settings;
use crate::records::custody::Custody;
use crate::records::rights::{self, Erased, Note};
use crate::records::trace::Question;
use crate::records::{Keeping, Options};

/// Notes beside a person's row what they say is wrong with it; says on how many rows.
pub fn rectify(options: &Options, person: &str, reference: &str, text: &str, now: Timestamp, doer: &Doer) -> Result<usize, Fault> {
    let person = address(person)?;
    doer.log(options, Right::Rights, "noted a correction", Question { reference: Some(reference.into()), ..about(&person) })?;
    let note = Note { time: now, by: doer.who.name().into(), text: text.trim().into() };
    match Keeping::open(options)?.annotate(&person, reference, &note)? {
        0 => Err(Fault::NoRow(reference.into())),
        n => Ok(n),
    }
}

/// What became of an erasure.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Erasure {
    /// Rows of what they sent, deleted.
    pub rows_deleted: u64,
    /// Rows of what they received, which no longer tell that they did.
    pub rows_cleared: u64,
    /// Pairs in the index of past mail.
    pub contacts: u64,
    /// Rows that stay, by the case that keeps them.
    pub kept: BTreeMap<String, u64>,
    /// Messages in custody, by their reference: to be delivered, released or refused first.
    pub in_custody: Vec<String>,
    /// What else stays, and why.
    pub stays: Vec<&'static str>,
    /// The number of the signed receipt; none while nothing was erased.
    pub receipt: Option<u64>,
}

/// What an erasure leaves, and why: also in the README.
pub const STAYS: [&str; 5] = [
    "The access log still says who looked at this person's rows and why: the council must be able to show it (UK GDPR Article 5(2), 17(3)(b)). It goes after its own retention.",
    "Counts by hour, rule and outcome name nobody.",
    "Who was told what (one week) and how much somebody sent (hours) are hashes that cannot be listed; they go by themselves.",
    "Who saw whom in which message is a hash of message and person together: without the message it cannot be found. It goes with the retention of contacts.",
    "The address is remembered, sealed, beside the keys until no backup can hold anything of it, so that a restored backup forgets it again.",
];

/// Erases what the record holds of a person, except what a hold keeps.
pub fn erase(
    settings: &Settings,
    options: &Options,
    custody: Option<&mut dyn Custody>,
    person: &str,
    now: Timestamp,
    doer: &Doer,
) -> Result<Erasure, Fault> {
    let person = address(person)?;
    doer.log(options, Right::Rights, "erased what is held", about(&person))?;
    let erased = Keeping::open(options)?.erase(&person, &Masks::council(settings), now.as_millisecond())?;
    told(erased, custody, &person)
}

/// What an erasure would take now, and what it would leave. Nothing is changed; that somebody looked is logged.
pub fn would_erase(
    settings: &Settings,
    options: &Options,
    custody: Option<&mut dyn Custody>,
    person: &str,
    now: Timestamp,
    doer: &Doer,
) -> Result<Erasure, Fault> {
    let person = address(person)?;
    doer.log(options, Right::Rights, "looked what an erasure would take", about(&person))?;
    let erased = Keeping::open(options)?.would_erase(&person, &Masks::council(settings), now.as_millisecond())?;
    told(erased, custody, &person)
}

fn told(erased: Erased, custody: Option<&mut dyn Custody>, person: &str) -> Result<Erasure, Fault> {
    let parcels = custody.map(|c| rights::parcels(c, person, &[])).transpose()?.unwrap_or_default();
    let mut in_custody: Vec<String> = parcels.into_iter().map(|p| p.reference).collect();
    in_custody.sort();
    in_custody.dedup();
    Ok(Erasure {
        rows_deleted: erased.rows_deleted,
        rows_cleared: erased.rows_cleared,
        contacts: erased.contacts,
        kept: erased.kept,
        in_custody,
        stays: STAYS.to_vec(),
        receipt: erased.receipt,
    })
}
