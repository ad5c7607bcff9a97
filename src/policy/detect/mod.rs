//! What can be told from a message by looking: one file for each thing that is looked for. Each says what it saw, in words for
//! the Clerk that show no address.

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
