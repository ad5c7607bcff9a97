//! What people may ask of the record about themselves: what is held (UK GDPR Article 15), that it be put right (16), that it be
//! forgotten (17), and by when they are owed an answer.
//!
//! The record can be asked for a known address and for no other; so all of this starts from one, and finds what the keys still open.

mod dossier;
mod erase;
mod exposure;
pub mod notes;
pub mod requests;
mod search;

pub use dossier::{Contacts, Dossier, OwnParcel, OwnRow, Part, parcels};
pub use erase::Erased;
pub(super) use erase::{again, merge};
pub use exposure::Exposed;
pub use notes::Note;
pub use requests::{Closed, Extended, Kind, Pause, Request};

#[cfg(test)]
mod tests;
