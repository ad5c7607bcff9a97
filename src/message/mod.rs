//! A message as bytes received, what can be seen in it, and how it leaves.
//!
//! Received bytes are never changed: [`RawMessage`] has no way to do so, and [`Splice`] only borrows. Only `view` imports
//! `mail_parser`, and shows it header fields and leaves, never a nested message (RFC 5322, RFC 2045 to 2049).
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod edit;
pub mod raw;
pub mod splice;

pub use edit::{Edit, EditPlan};
pub use raw::RawMessage;
pub use splice::Splice;
