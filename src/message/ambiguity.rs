//! Where readers may disagree on what a message holds.
//!
//! A gateway that reads a message one way protects nobody from a mail program that reads it another way: what can be read twice is
//! a fact of its own, which a rule may act on.

use std::fmt;

use super::View;
use super::header::{Closing, Header};

/// One reason why two mail programs may show two different messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// A field that may stand once stands more often (RFC 5322 §3.6, RFC 2045 §3).
    Duplicate(String),
    InvalidHeaderLine,
    /// The header is longer than anybody's; what follows was not read as fields.
    HeaderTooLong,
    /// The message ends within its header.
    NoBlankLine,
    BlankContinuation,
    BlankBeforeColon,
    EightBitHeader,
    Nul,
    /// Programs differ on who is in the From field.
    Author,
    InvalidPartHeader,
    TwoBoundaries,
    NoBoundary,
    UnclosedMultipart,
    PartsAfterEnd,
    EncodedMultipart,
    UnknownEncoding,
    TooDeep,
    TooManyParts,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ambiguity::Duplicate(name) => return write!(f, "{name} stands more than once"),
            Ambiguity::InvalidHeaderLine => "a line in the header is no header field",
            Ambiguity::HeaderTooLong => "the header is too long to read",
            Ambiguity::NoBlankLine => "no blank line ends the header",
            Ambiguity::BlankContinuation => "a line in the header has only blanks",
            Ambiguity::BlankBeforeColon => "a header field has a blank before its colon",
            Ambiguity::EightBitHeader => "the header has characters that are neither ASCII nor UTF-8",
            Ambiguity::Nul => "the message has a NUL character",
            Ambiguity::Author => "mail programs differ on who is in the From field",
            Ambiguity::InvalidPartHeader => "a line in the header of a part is no header field",
            Ambiguity::TwoBoundaries => "two boundaries are named for one part",
            Ambiguity::NoBoundary => "a part should hold parts, but its boundary is missing or never used",
            Ambiguity::UnclosedMultipart => "the last part is not closed",
            Ambiguity::PartsAfterEnd => "more parts stand behind the last one",
            Ambiguity::EncodedMultipart => "a part that holds parts is encoded as a whole",
            Ambiguity::UnknownEncoding => "a part is encoded in a way that nobody knows",
            Ambiguity::TooDeep => "parts are nested too deeply to look into",
            Ambiguity::TooManyParts => "there are too many parts to look at",
        })
    }
}

/// Fields of which a message has one at most.
const SINGLE: [&str; 16] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Sensitivity",
];

/// What is odd about the header itself.
pub(super) fn of_header(view: &View<'_>, header: &Header) -> Vec<Ambiguity> {
    let mut odd = Vec::new();
    for name in SINGLE {
        if view.named(name).nth(1).is_some() {
            odd.push(Ambiguity::Duplicate(name.to_string()));
        }
    }
    match header.closing {
        Closing::BlankLine => {}
        Closing::EndOfMessage => odd.push(Ambiguity::NoBlankLine),
        Closing::TooLong(_) => odd.push(Ambiguity::HeaderTooLong),
        Closing::Invalid(_) => odd.push(Ambiguity::InvalidHeaderLine),
    }
    if header.blank_continuation {
        odd.push(Ambiguity::BlankContinuation);
    }
    if header.blank_before_colon {
        odd.push(Ambiguity::BlankBeforeColon);
    }
    if std::str::from_utf8(&view.raw()[..header.end]).is_err() {
        odd.push(Ambiguity::EightBitHeader);
    }
    if memchr::memchr(0, view.raw()).is_some() {
        odd.push(Ambiguity::Nul);
    }
    odd
}
