//! Where readers may disagree on what a message holds.

use std::fmt;

/// One reason why two mail programs may show two different messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// A field that may stand once stands more often (RFC 5322 §3.6).
    Duplicate(String),
    /// A line in the header is no field.
    InvalidHeaderLine,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ambiguity::Duplicate(name) => write!(f, "{name} stands more than once"),
            Ambiguity::InvalidHeaderLine => f.write_str("a line in the header is no header field"),
        }
    }
}
