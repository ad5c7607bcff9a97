//! The council's policy as data, and one pure function that judges a message by it.
//!
//! `evaluate(&Policy, &Facts) -> Verdict`: every rule is judged, the strictest disposition wins, edits and notices add up, and
//! each keeps the rule that asked for it. Nothing here does I/O, reads a clock or knows a file format.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod case;
pub mod verdict;

pub use case::{Case, Envelope, Login, Recipient, Role, Session};
pub use verdict::{Disposition, Match, Mode, Notice, Person, RecordLevel, Verdict};

/// The compiled rules of one council. (Placeholder until `rule` lands.)
#[derive(Debug, Default)]
pub struct Policy {}
