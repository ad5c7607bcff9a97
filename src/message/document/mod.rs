//! The text inside what is attached: documents, archives, messages in messages.
//!
//! A file's kind is told by its bytes first, then by what it is called. Nothing is loaded whole that can be read in passing, and one
//! message may unpack only so much: octets, entries, depth and text are bounded together, so that a bomb costs no more than any
//! other attachment. What should have text and cannot be read is *unreadable*, with the reason; a photograph is not, and nor is
//! what needs a password (it is protected). The parts of a document that people do not see count as hidden text.

mod archive;
mod budget;
mod compound;
mod inflate;
mod kind;
mod labels;
mod odf;
mod ooxml;
mod pdf;
mod rtf;
mod sheet;
pub(in crate::message) mod tnef;
mod workbook;
mod xml;
mod zip;

use std::fmt;

use super::parts::Part;
use super::text::{self, Lines};
use super::{View, body, charset, fold, protection};
use budget::Budget;
use kind::Kind;
pub use labels::Label;

/// What could be read of all that is attached to one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// What whoever opens the files sees; lines end with a line feed.
    pub text: String,
    /// What is in the files and is not shown: hidden rows, deleted words, where links go.
    pub hidden: String,
    /// The text of the body's other alternatives: what a reader with another program sees.
    pub alternative: String,
    /// Files that should have text and could not be read, or not whole.
    pub unreadable: Vec<Unreadable>,
    /// Sensitivity labels in the properties of documents.
    pub labels: Vec<Label>,
}

/// A file that could not be read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// As the sender called it.
    pub name: String,
    pub why: Why,
}

/// Why a file could not be read, in words that follow "could not be read: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Damaged,
    /// Packed small, it is larger than what is unpacked for one message.
    Bomb,
    /// One file in it is larger than what is looked at.
    TooLarge,
    /// More text than is kept.
    TooMuchText,
    TooManyFiles,
    TooDeep,
    /// A format, or a way of packing, that is not known here.
    Format(&'static str),
    /// Encrypted, though everybody can open it.
    OpenSecret,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Damaged => f.write_str("it is damaged"),
            Why::Bomb => write!(f, "it unpacks to more than {} MiB", budget::MAX_UNPACKED >> 20),
            Why::TooLarge => f.write_str("it is too large to look into"),
            Why::TooMuchText => f.write_str("it has more text than is read"),
            Why::TooManyFiles => f.write_str("it holds too many files"),
            Why::TooDeep => f.write_str("files are packed in one another too deep"),
            Why::Format(what) => write!(f, "{what}"),
            Why::OpenSecret => f.write_str("it is encrypted, though it opens without a password"),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} could not be read: {}", self.name, self.why)
    }
}

/// Archives and messages within one another; the message itself is at none.
const MAX_DEPTH: usize = 6;
/// Markup is many times its text; what is beyond this is not looked at.
const MAX_SOURCE: usize = 32 << 20;
/// Names of files that could not be read; more are not listed.
const MAX_UNREADABLE: usize = 32;

/// Reads all that is attached to `view`, and what else it holds beside its body.
pub(super) fn read(view: &View<'_>) -> Extracted {
    let mut reader = Reader::default();
    reader.message(view, 0);
    let mut out = reader.finish();
    for text in [&mut out.text, &mut out.hidden, &mut out.alternative] {
        fold::in_place(text);
    }
    out
}

/// One pass over everything that is attached to one message.
#[derive(Default)]
struct Reader {
    out: Extracted,
    budget: Budget,
    /// What may be spent on seeing whether files need a password.
    looking: protection::Looking,
}

/// One file, as it was found.
struct File<'a> {
    name: &'a str,
    /// What the mail says it is; empty inside archives.
    content_type: &'a str,
    charset: Option<&'a str>,
    bytes: &'a [u8],
    depth: usize,
}

impl Reader {
    fn finish(self) -> Extracted {
        self.out
    }

    /// The parts of one message that are not its body. Of an embedded message (`depth` > 0) everything, its header too.
    fn message(&mut self, view: &View<'_>, depth: usize) {
        let shown = body::readable(view);
        if depth > 0 {
            self.envelope(view, view.fields());
        }
        for (index, part) in view.parts().iter().enumerate() {
            if part.nested_message
                && let Some(inner) = view.parts().get(index + 1)
            {
                self.envelope(view, &view.part_fields(inner));
            }
            if !part.is_leaf() || part.body.is_empty() || depth == 0 && shown.contains(&index) {
                continue;
            }
            self.part(view, part, depth);
        }
    }

    /// Who wrote an embedded message to whom: a reader sees that too.
    fn envelope(&mut self, view: &View<'_>, fields: &[super::Field]) {
        for field in fields.iter().take(200) {
            let name = view.name(field);
            if ["From", "To", "Cc", "Subject"].iter().any(|n| n.eq_ignore_ascii_case(name)) {
                let line = format!("{name}: {}\n", view.text(field));
                self.seen(&line);
            }
        }
    }

    fn part(&mut self, view: &View<'_>, part: &Part, depth: usize) {
        let beside = !part.is_attachment && part.is_text();
        if beside && part.content_type == "text/calendar" {
            return;
        }
        let nested = depth > 0 || view.is_nested(part);
        if beside && !nested {
            self.alternative(view, part);
            return;
        }
        let name = name_of(part);
        // Pictures and the like are known by their first octets, and most of a mail's weight is theirs.
        let head = view.decoded_prefix(part, kind::SNIFF);
        if Kind::of(&head, &name, &part.content_type) == Kind::Silent {
            return;
        }
        drop(head);
        let bytes = view.decoded(part);
        self.file(&File { name: &name, content_type: &part.content_type, charset: part.param("charset"), bytes: &bytes, depth });
    }

    /// Text beside the body that some other program would show instead.
    fn alternative(&mut self, view: &View<'_>, part: &Part) {
        let Some(source) = view.part_source(part) else { return };
        if part.content_type == "text/html" {
            let rendered = text::render(&source[..source.floor_char_boundary(MAX_SOURCE)], Lines::Collapse);
            self.budget.push(&mut self.out.alternative, &rendered.text);
            self.budget.push(&mut self.out.alternative, "\n");
            self.budget.push(&mut self.out.alternative, &rendered.hidden);
        } else {
            self.budget.push(&mut self.out.alternative, &source);
        }
        self.budget.push(&mut self.out.alternative, "\n");
        if self.budget.take_cut() {
            self.unreadable("the message", Why::TooMuchText);
        }
    }

    fn file(&mut self, file: &File<'_>) {
        let kind = Kind::of(&file.bytes[..file.bytes.len().min(kind::SNIFF)], file.name, file.content_type);
        let before = self.out.text.len();
        let result = match kind {
            Kind::Silent => Ok(()),
            Kind::Unlikely => Err(Why::Damaged),
            Kind::Foreign(what) => {
                if self.is_protected(file) {
                    Ok(())
                } else {
                    Err(Why::Format(what))
                }
            }
            Kind::Text => self.text(file),
            Kind::Html => self.html(file),
            _ if file.depth >= MAX_DEPTH => Err(Why::TooDeep),
            Kind::Message => {
                self.message(&View::new(file.bytes), file.depth + 1);
                Ok(())
            }
            Kind::Signed => match protection::signed_content(file.bytes) {
                Some(inner) => {
                    self.message(&View::new(&inner), file.depth + 1);
                    Ok(())
                }
                None => Ok(()),
            },
            Kind::Pdf | Kind::Compound if self.is_protected(file) => Ok(()),
            Kind::Pdf => self.pdf(file),
            Kind::Zip => self.zip(file),
            Kind::Compound => self.compound(file),
            Kind::Rtf => self.rtf(file.bytes),
            Kind::Tnef => self.tnef(file),
            Kind::Gzip => self.gzip(file),
            Kind::Tar => self.tar(file),
        };
        if let Err(why) = result {
            self.unreadable(file.name, why);
        }
        if self.out.text.len() > before && !self.out.text.ends_with('\n') {
            self.out.text.push('\n');
        }
        if self.budget.take_cut() {
            self.unreadable(file.name, Why::TooMuchText);
        }
    }

    fn is_protected(&mut self, file: &File<'_>) -> bool {
        protection::judge_one_of(file.name, file.bytes, &mut self.looking).is_ok()
    }

    fn unreadable(&mut self, name: &str, why: Why) {
        let one = Unreadable { name: name.chars().filter(|c| !c.is_control()).take(80).collect(), why };
        if self.out.unreadable.len() < MAX_UNREADABLE && !self.out.unreadable.contains(&one) {
            self.out.unreadable.push(one);
        }
    }

    /// Text that is shown, as far as there is room.
    fn seen(&mut self, text: &str) {
        self.budget.push(&mut self.out.text, text);
    }

    fn hidden(&mut self, text: &str) {
        self.budget.push(&mut self.out.hidden, text);
    }

    fn text(&mut self, file: &File<'_>) -> Result<(), Why> {
        let source = kind::text_of(file.charset, file.bytes);
        self.seen(&source);
        Ok(())
    }

    fn html(&mut self, file: &File<'_>) -> Result<(), Why> {
        let cut = file.bytes.len() > MAX_SOURCE;
        let bytes = &file.bytes[..file.bytes.len().min(MAX_SOURCE)];
        let said = file.charset.is_none().then(|| charset::of_html(bytes)).flatten();
        let source = kind::text_of(file.charset.or(said.as_deref()), bytes);
        let rendered = text::render(&source, Lines::Collapse);
        self.seen(&rendered.text);
        if !rendered.hidden.is_empty() {
            self.hidden(&rendered.hidden);
            self.hidden("\n");
        }
        if cut { Err(Why::TooLarge) } else { Ok(()) }
    }
}

/// What the Clerk would call it.
fn name_of(part: &Part) -> String {
    match &part.file_name {
        Some(name) => name.clone(),
        None if matches!(part.content_type.as_str(), "message/rfc822" | "message/global") => "the attached message".into(),
        None => format!("an unnamed attachment ({})", part.content_type),
    }
}

/// Reads one file by its bytes, as if it were attached under `name`.
pub fn read_file(name: &str, bytes: &[u8]) -> Extracted {
    let mut reader = Reader::default();
    reader.file(&File { name, content_type: "", charset: None, bytes, depth: 0 });
    reader.finish()
}

#[cfg(test)]
mod given;
#[cfg(test)]
mod tests;
