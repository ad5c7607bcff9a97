//! A message as bytes received, what can be seen in it, and how it leaves.
//!
//! Received bytes are never changed: [`RawMessage`] has no way to do so, and [`Splice`] only borrows. Only `view` imports
//! `mail_parser`, and shows it header fields, never a nested message (RFC 5322, RFC 2045 to 2049).
//!
//! Everything here bears hostile bytes: no input panics, overflows the stack, or costs more than a fixed multiple of its length.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod addresses;
pub mod ambiguity;
pub mod banner;
pub mod body;
mod boundary;
pub mod charset;
pub mod document;
pub mod edit;
pub mod embedded;
pub mod fold;
pub mod header;
pub mod look;
pub mod parts;
pub mod protection;
pub mod raw;
pub mod reading;
pub mod report;
pub mod rewrite;
pub mod splice;
pub mod subject;
pub mod text;
pub mod transfer;
pub mod view;
pub mod words;

pub use addresses::{Entry, Mailbox};
pub use ambiguity::Ambiguity;
pub use body::BodyText;
pub use document::Extracted;
pub use edit::{Edit, EditPlan};
pub use header::Field;
pub use parts::Part;
pub use protection::{Protection, ProtectionLevel};
pub use raw::RawMessage;
pub use reading::{Question, Reading};
pub use splice::Splice;
pub use view::View;
