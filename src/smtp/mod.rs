//! RFC 5321 as values and sans-io state machines.
//!
//! Nothing here does I/O or reads a clock: bytes and decisions come in, bytes and questions go out, so that a machine fed whole
//! and one fed byte by byte say the same. Replies of our own are worded in `wording` and `rules/`, nowhere else.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod address;
pub mod client;
pub mod command;
pub mod data;
pub mod extension;
pub mod reply;
pub mod sasl;
pub mod server;
pub mod wording;

pub use address::{Address, ReversePath};
pub use client::{ClientSession, Committed, Durable, Final};
pub use extension::{Extensions, Mechanism, Mechanisms};
pub use reply::{Reply, Severity};
pub use server::{Answer, Ask, Input, Outputs, ServerConfig, ServerSession};
