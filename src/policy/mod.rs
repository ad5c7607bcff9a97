//! The council's policy as data, and one pure function that judges a message by it.
//!
//! `evaluate(&Policy, &Facts) -> Verdict`: every rule is judged, the strictest disposition wins, edits and notices add up, and
//! each keeps the rule that asked for it. Facts are three-valued: what had to come from outside and could not be had is unknown,
//! and the rule says what then. Nothing here does I/O, reads a clock or knows a file format.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod account_key;
pub mod adopted;
pub mod alignment;
pub mod answer;
pub mod case;
pub mod condition;
pub mod detect;
mod edits;
pub mod evaluate;
pub mod explain;
pub mod facts;
pub mod judge;
pub mod logic;
mod message;
pub mod missing;
pub mod outside;
pub mod past;
pub mod pattern;
pub mod people;
pub mod plain;
mod readings;
pub mod recorded;
pub mod remembers;
pub mod reply;
pub mod route;
pub mod rule;
pub mod say;
pub mod subject;
pub mod truth;
pub mod unreadable;
pub mod vector;
pub mod verdict;

pub use case::{Case, Envelope, Login, Recipient, Role, Session};
pub use evaluate::evaluate;
pub use explain::{explain_all, explain_facts};
pub use facts::Facts;
pub use outside::{Authentication, Outer, Outside, Sources, Wants};
pub use people::Class;
pub use route::Route;
pub use rule::{Clause, Malformed, Policy, Reach, Rule};
pub use subject::Subject;
pub use truth::Truth;
pub use vector::FactVector;
pub use verdict::{Disposition, FieldEdit, Match, Mode, Notice, Person, RecordLevel, Verdict};
