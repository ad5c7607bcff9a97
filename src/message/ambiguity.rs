//! Where readers may disagree on what a message holds.
//!
//! A gateway that reads a message one way protects nobody from a mail program that reads it another way: what can be read twice is
//! a fact of its own, which a rule may act on.

use std::fmt;

use super::View;
use super::header::{Closing, Field, Header};
use super::reading::{CHOSEN, Question};
use super::words;

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
    /// From names more than one, which RFC 5322 §3.6.2 allows and hardly anybody writes.
    SeveralAuthors,
    /// The grammar finds other addresses than a program that takes all for one which looks like one.
    Address,
    InvalidPartHeader,
    TwoBoundaries,
    /// Another parameter stands twice with different values.
    TwoParameters,
    NoBoundary,
    UnclosedMultipart,
    PartsAfterEnd,
    /// A line is a delimiter only if case, blanks or its end are overlooked.
    LooseBoundary,
    EncodedMultipart,
    UnknownEncoding,
    EarlyPadding,
    OddType,
    TwoNames,
    EmbeddedFile,
    /// A fragment of a larger message (RFC 2046 §5.2.2), which nobody can judge alone.
    Fragment,
    TooDeep,
    TooManyParts,
}

/// What kind of ambiguity it is, for rules: `ambiguous = ["boundary", "content-type"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    DuplicateField,
    BrokenHeader,
    Characters,
    Author,
    Address,
    Boundary,
    ContentType,
    Encoding,
    FileName,
    EmbeddedFile,
    Fragment,
    /// What was not looked at, since it is too deep, too long or too much.
    Unreadable,
}

impl Ambiguity {
    pub fn kind(&self) -> Kind {
        match self {
            Ambiguity::Duplicate(_) => Kind::DuplicateField,
            Ambiguity::InvalidHeaderLine
            | Ambiguity::NoBlankLine
            | Ambiguity::BlankContinuation
            | Ambiguity::BlankBeforeColon
            | Ambiguity::InvalidPartHeader => Kind::BrokenHeader,
            Ambiguity::EightBitHeader | Ambiguity::Nul => Kind::Characters,
            Ambiguity::Author | Ambiguity::SeveralAuthors => Kind::Author,
            Ambiguity::Address => Kind::Address,
            Ambiguity::TwoBoundaries
            | Ambiguity::NoBoundary
            | Ambiguity::UnclosedMultipart
            | Ambiguity::PartsAfterEnd
            | Ambiguity::LooseBoundary => Kind::Boundary,
            Ambiguity::OddType => Kind::ContentType,
            Ambiguity::EncodedMultipart | Ambiguity::UnknownEncoding | Ambiguity::EarlyPadding => Kind::Encoding,
            Ambiguity::TwoNames | Ambiguity::TwoParameters => Kind::FileName,
            Ambiguity::EmbeddedFile => Kind::EmbeddedFile,
            Ambiguity::Fragment => Kind::Fragment,
            Ambiguity::HeaderTooLong | Ambiguity::TooDeep | Ambiguity::TooManyParts => Kind::Unreadable,
        }
    }

    /// Where programs part ways for it; none where they only differ in what they show of one and the same, and where a program that
    /// stops early sees less than we judge.
    pub fn question(&self) -> Option<Question> {
        Some(match self {
            Ambiguity::Duplicate(name) => Question::Field(CHOSEN.into_iter().find(|c| c.eq_ignore_ascii_case(name))?),
            Ambiguity::InvalidHeaderLine | Ambiguity::InvalidPartHeader => Question::JunkLine,
            Ambiguity::BlankContinuation => Question::BlankLine,
            Ambiguity::BlankBeforeColon => Question::SpacedColon,
            Ambiguity::SeveralAuthors => Question::Author,
            Ambiguity::Address => Question::Address,
            Ambiguity::TwoBoundaries | Ambiguity::TwoParameters => Question::Parameter,
            Ambiguity::NoBoundary | Ambiguity::PartsAfterEnd | Ambiguity::LooseBoundary => Question::Boundary,
            Ambiguity::EncodedMultipart => Question::Container,
            Ambiguity::UnknownEncoding => Question::Encoding,
            Ambiguity::EarlyPadding => Question::Padding,
            Ambiguity::OddType => Question::Type,
            Ambiguity::TwoNames => Question::FileName,
            Ambiguity::EmbeddedFile => Question::EmbeddedFile,
            Ambiguity::HeaderTooLong
            | Ambiguity::NoBlankLine
            | Ambiguity::EightBitHeader
            | Ambiguity::Nul
            | Ambiguity::Author
            | Ambiguity::UnclosedMultipart
            | Ambiguity::Fragment
            | Ambiguity::TooDeep
            | Ambiguity::TooManyParts => return None,
        })
    }
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
            Ambiguity::SeveralAuthors => "the From field names more than one",
            Ambiguity::Address => "mail programs differ on who is addressed",
            Ambiguity::InvalidPartHeader => "a line in the header of a part is no header field",
            Ambiguity::TwoBoundaries => "two boundaries are named for one part",
            Ambiguity::TwoParameters => "a parameter stands twice",
            Ambiguity::NoBoundary => "a part should hold parts, but its boundary is missing or never used",
            Ambiguity::UnclosedMultipart => "the last part is not closed",
            Ambiguity::PartsAfterEnd => "more parts stand behind the last one",
            Ambiguity::LooseBoundary => "a line is a boundary to some mail programs and not to others",
            Ambiguity::EncodedMultipart => "a part that holds parts is encoded as a whole",
            Ambiguity::UnknownEncoding => "a part is encoded in a way that nobody knows",
            Ambiguity::EarlyPadding => "base64 goes on behind its end",
            Ambiguity::OddType => "a content type is not written as one",
            Ambiguity::TwoNames => "a file has two names",
            Ambiguity::EmbeddedFile => "a file stands within a text",
            Ambiguity::Fragment => "a part is a fragment of a larger message",
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
        if differ(view.raw(), view.named(name)) {
            odd.push(Ambiguity::Duplicate(name.to_string()));
        }
    }
    let authors: std::collections::HashSet<String> =
        view.named("From").flat_map(|f| view.addresses(f)).flat_map(|e| e.mailboxes().to_vec()).map(|m| m.normal()).collect();
    if authors.len() > 1 {
        odd.push(Ambiguity::SeveralAuthors);
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

/// Whether fields of one name say different things. Who finds the same thing twice is in no doubt.
pub(super) fn differ<'f>(raw: &[u8], mut fields: impl Iterator<Item = &'f Field>) -> bool {
    let Some(first) = fields.next() else { return false };
    let mut said = None;
    fields.any(|other| {
        let first = said.get_or_insert_with(|| words::unfold(&raw[first.body.clone()]));
        *first != words::unfold(&raw[other.body.clone()])
    })
}
