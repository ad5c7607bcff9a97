//! What can be told from a message by looking: one file for each thing that is looked for. Each says what it saw, in words for
//! the Clerk that show no address.

/// The version of the detectors, kept with what they found in each message. Raise it whenever they find something else in the same
/// message: `tests/replay.rs` holds what they find in the sample messages against `tests/detectors.txt`, and fails otherwise.
pub const VERSION: u32 = 1;

pub mod attachments;
pub mod automatic;
pub mod encryption;
pub mod forwarding;
pub mod identifiers;
pub mod impersonation;
pub mod links;
pub mod look_alike;
pub mod marking;
pub mod near_name;
pub mod own_account;
pub mod passwords;
pub mod prefixes;
mod quoted;
pub mod recipients;
