//! RFC 5321 as values and sans-io state machines.
//!
//! Nothing here does I/O or reads a clock: bytes and decisions come in, bytes and questions go out, so that a machine fed whole
//! and one fed byte by byte say the same. Replies to peers are worded here and in `rules/`, nowhere else.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod address;
pub mod reply;

pub use address::{Address, ReversePath};
pub use reply::{Reply, Severity};
