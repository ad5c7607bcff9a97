//! The ways in which mail programs may read one message.
//!
//! Where a message is not written as the RFCs ask, programs part ways: one takes the first of two Content-Type fields, another the
//! last. Each such place is a [`Question`] with a few answers, and a [`Reading`] is one program: an answer to every question that
//! the message raises. Our own reading gives the first answer to all. A rule is held against every reading, so that nobody slips
//! past it by writing for one program what another does not see.

use std::fmt;
use std::sync::Arc;

use super::View;
use super::header::{self, Field};
use super::parts::Encoding;

/// Where programs part ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// A field that may stand once stands more often, and says different things.
    Field(&'static str),
    /// A parameter of one field stands twice.
    Parameter,
    /// A file has several names (RFC 2231 beside the plain form, Content-Disposition beside Content-Type).
    FileName,
    /// A Content-Type is no type.
    Type,
    /// A boundary that is missing, or met only loosely, or used again after its end.
    Boundary,
    /// A transfer encoding that nobody knows.
    Encoding,
    /// A part that holds parts is encoded as a whole, which RFC 2045 §6.4 forbids.
    Container,
    /// Base64 goes on behind its padding.
    Padding,
    /// A line in a header is no field.
    JunkLine,
    /// A line in a header has only blanks.
    BlankLine,
    /// A blank stands before a field's colon.
    SpacedColon,
    /// A file stands within a text (uuencode, yEnc).
    EmbeddedFile,
    /// What the grammar takes for an address is not all that looks like one.
    Address,
    /// From names several.
    Author,
}

/// Fields of which a reader takes one, where the choice changes what is judged. Those that name people may also be joined.
pub(super) const CHOSEN: [&str; 9] =
    ["To", "Cc", "Bcc", "Reply-To", "Subject", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Sensitivity"];
const JOINED: [&str; 4] = ["To", "Cc", "Bcc", "Reply-To"];

impl Question {
    /// How many answers there are, at least two.
    fn answers(self) -> u8 {
        match self {
            Question::Field(name) if JOINED.contains(&name) => 3,
            Question::Type => 4,
            Question::FileName | Question::Boundary | Question::Encoding | Question::Author => 3,
            _ => 2,
        }
    }

    /// What a reader does that gives this answer, after "a reader that".
    fn says(self, answer: u8) -> String {
        match (self, answer) {
            (Question::Field(name), 1) if JOINED.contains(&name) => format!("takes the first {name}"),
            (Question::Field(name), 0) if JOINED.contains(&name) => format!("takes every {name}"),
            (Question::Field(name), 0) => format!("takes the first {name}"),
            (Question::Field(name), _) => format!("takes the last {name}"),
            (Question::Parameter, 0) => "takes a parameter where it first stands".into(),
            (Question::Parameter, _) => "takes a parameter where it last stands".into(),
            (Question::FileName, 0) => "takes a file's full name".into(),
            (Question::FileName, 1) => "takes a file's plain name".into(),
            (Question::FileName, _) => "takes a file's name from its type".into(),
            (Question::Type, 0) => "makes the best of a type that is none".into(),
            (Question::Type, 1) => "takes a comment for a part of the type".into(),
            (Question::Type, 2) => "takes what has no true type for text".into(),
            (Question::Type, _) => "takes what has no true type for a file".into(),
            (Question::Boundary, 0) => "holds to the boundaries".into(),
            (Question::Boundary, 1) => "follows boundaries loosely".into(),
            (Question::Boundary, _) => "shows parts without boundaries as text".into(),
            (Question::Encoding, 0) => "leaves an unknown encoding alone".into(),
            (Question::Encoding, 1) => "takes an unknown encoding for base64".into(),
            (Question::Encoding, _) => "takes an unknown encoding for quoted-printable".into(),
            (Question::Container, 0) => "overlooks the encoding of what holds parts".into(),
            (Question::Container, _) => "decodes what holds parts".into(),
            (Question::Padding, 0) => "reads on behind base64's padding".into(),
            (Question::Padding, _) => "stops at base64's padding".into(),
            (Question::JunkLine, 0) => "ends a header at a line that is no field".into(),
            (Question::JunkLine, _) => "skips a line that is no field".into(),
            (Question::BlankLine, 0) => "reads on behind a line of blanks".into(),
            (Question::BlankLine, _) => "ends a header at a line of blanks".into(),
            (Question::SpacedColon, 0) => "allows a blank before a colon".into(),
            (Question::SpacedColon, _) => "overlooks a field with a blank before its colon".into(),
            (Question::EmbeddedFile, 0) => "shows a file within the text as text".into(),
            (Question::EmbeddedFile, _) => "takes a file out of the text".into(),
            (Question::Address, 0) => "reads addresses by the grammar".into(),
            (Question::Address, _) => "takes all for an address that looks like one".into(),
            (Question::Author, 0) => "takes every author".into(),
            (Question::Author, 1) => "takes the first author".into(),
            (Question::Author, _) => "takes the last author".into(),
        }
    }
}

/// One program's answers. What is not answered is answered as we do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    answers: Vec<(Question, u8)>,
}

impl Reading {
    /// The place of the answer; 0 is ours.
    pub fn answer(&self, question: Question) -> u8 {
        self.answers.iter().find(|(q, _)| *q == question).map_or(0, |(_, a)| *a)
    }

    pub fn is_ours(&self) -> bool {
        self.answers.iter().all(|(_, a)| *a == 0)
    }

    /// Leaves of each field that stands twice the one that this reading takes.
    pub(super) fn choose(&self, raw: &[u8], fields: &mut Vec<Field>) {
        for (question, answer) in &self.answers {
            let Question::Field(name) = question else { continue };
            let is = |f: &Field| raw[f.name.clone()].eq_ignore_ascii_case(name.as_bytes());
            let first = match (JOINED.contains(name), answer) {
                (true, 0) => continue,
                (true, answer) => *answer == 1,
                (false, answer) => *answer == 0,
            };
            let taken = if first { fields.iter().position(is) } else { fields.iter().rposition(is) };
            let mut at = 0;
            fields.retain(|f| {
                at += 1;
                !is(f) || Some(at - 1) == taken
            });
        }
    }

    fn decides(&self, question: Question) -> bool {
        self.answers.iter().any(|(q, _)| *q == question)
    }

    fn with(&self, question: Question, answer: u8) -> Reading {
        let mut answers = self.answers.clone();
        answers.push((question, answer));
        Reading { answers }
    }
}

/// "takes the last Content-Type and skips a line that is no field": only where it differs from ours.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other: Vec<String> = self.answers.iter().filter(|(_, a)| *a != 0).map(|(q, a)| q.says(*a)).collect();
        match other.as_slice() {
            [] => f.write_str("reads as we do"),
            [only] => f.write_str(only),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

/// Another reading, and the octets as it has them; none where they are as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    pub reading: Reading,
    pub octets: Option<Arc<Vec<u8>>>,
}

/// Every plausible reading but ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    pub readings: Vec<Other>,
    /// There are more than anybody can judge: no honest program writes such mail.
    pub too_many: bool,
}

/// The most readings of one message; half as many for a large one, since each costs its length.
pub const MAX_READINGS: usize = 16;
const LARGE: usize = 2 << 20;

/// The other readings of `view`, which must be our own. None for mail that is written as it should be, and then nothing is done.
pub fn others(view: &View<'_>) -> Others {
    let mut out = Others::default();
    if view.questions().next().is_none() {
        return out;
    }
    let raw = view.raw();
    let most = if raw.len() > LARGE { MAX_READINGS / 2 } else { MAX_READINGS };
    let mut todo = vec![Other { reading: Reading::default(), octets: None }];
    while let Some(other) = todo.pop() {
        let octets = other.octets.as_ref().map_or(raw, |o| o.as_slice());
        let seen = View::read_as(octets, other.reading.clone());
        // Another answer may raise other questions: a skipped line shows more fields.
        let open = seen.questions().find(|q| !other.reading.decides(*q));
        match open {
            None if other.reading.is_ours() => {}
            None => out.readings.push(other),
            Some(question) => {
                for answer in (0..question.answers()).rev() {
                    let octets = match (question, answer) {
                        (Question::Container, 1) => decoded_containers(octets, &other.reading).map(Arc::new),
                        (Question::EmbeddedFile, 1) => decoded_texts(octets, &seen).map(Arc::new),
                        _ => None,
                    };
                    todo.push(Other { reading: other.reading.with(question, answer), octets: octets.or_else(|| other.octets.clone()) });
                }
            }
        }
        if out.readings.len() + todo.len() > most {
            out.too_many = true;
            return out;
        }
    }
    out
}

/// Containers that are encoded stand within one another at most so deep.
const MAX_LAYERS: usize = 4;

/// The message with every container decoded; none if nothing changes.
fn decoded_containers(raw: &[u8], reading: &Reading) -> Option<Vec<u8>> {
    let mut octets: Option<Vec<u8>> = None;
    for _ in 0..MAX_LAYERS {
        let current = octets.as_deref().unwrap_or(raw);
        let view = View::read_as(current, reading.clone());
        // Only what is not within another: the ranges stay true.
        let mut found: Vec<_> = view.parts().iter().filter(|p| p.holds_encoded() && !p.body.is_empty()).collect();
        found.dedup_by(|inner, outer| outer.body.contains(&inner.body.start));
        if found.is_empty() {
            break;
        }
        let next = spliced(current, &view, &found);
        octets = Some(next);
    }
    octets
}

/// The message with every encoded text decoded in which a file stands; none if nothing changes.
fn decoded_texts(raw: &[u8], view: &View<'_>) -> Option<Vec<u8>> {
    let found: Vec<_> = view
        .parts()
        .iter()
        .filter(|p| p.is_leaf() && p.is_text() && p.encoding != Encoding::Identity && super::embedded::holds_file(&view.decoded(p)))
        .collect();
    (!found.is_empty()).then(|| spliced(raw, view, &found))
}

/// `raw` with the bodies of `parts` decoded and the encoding taken out of their headers.
fn spliced(raw: &[u8], view: &View<'_>, parts: &[&super::Part]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    for part in parts.iter().filter(|p| !p.body.is_empty()) {
        if part.header.start < at {
            continue;
        }
        out.extend_from_slice(&raw[at..part.header.start]);
        let mut from = part.header.start;
        // All of them: the reading would choose again among those that are left.
        for field in header::scan_as(raw, part.header.clone(), view.reading()).fields {
            if raw[field.name.clone()].eq_ignore_ascii_case(b"Content-Transfer-Encoding") && field.whole.start >= from {
                out.extend_from_slice(&raw[from..field.whole.start]);
                from = field.whole.end;
            }
        }
        out.extend_from_slice(&raw[from..part.header.end.max(from)]);
        out.extend_from_slice(&part.encoding.decode(&raw[part.body.clone()]));
        at = part.body.end;
    }
    out.extend_from_slice(&raw[at..]);
    out
}
