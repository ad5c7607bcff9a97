//! The policy that the council adopted: its text and defects, which clause is served by which rules, and the rules as a schedule
//! that can be adopted with it.

pub mod coverage;
pub mod defects;
pub mod schedule;
mod statutes;
pub mod text;

pub use text::{Adopted, Text};
