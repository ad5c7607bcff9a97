//! What can be seen in a message. Looking costs nothing until something is asked for.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::addresses::{self, Entry};
use super::header::{self, Field, Header};
use super::parts::Part;
use super::protection::Protection;
use super::{Ambiguity, BodyText};

/// A message looked at. Only the header's fields are found at once; all else is worked out when first asked for, and kept.
pub struct View<'a> {
    raw: &'a [u8],
    header: Header,
    subject: OnceCell<String>,
    parts: OnceCell<Vec<Part>>,
    body_text: OnceCell<BodyText>,
    ambiguities: OnceCell<Vec<Ambiguity>>,
    protection: OnceCell<Protection>,
}

impl<'a> View<'a> {
    pub fn new(raw: &'a [u8]) -> View<'a> {
        View {
            raw,
            header: header::scan(raw, 0..raw.len()),
            subject: OnceCell::new(),
            parts: OnceCell::new(),
            body_text: OnceCell::new(),
            ambiguities: OnceCell::new(),
            protection: OnceCell::new(),
        }
    }

    /// The octets as received.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub fn fields(&self) -> &[Field] {
        &self.header.fields
    }

    /// The fields of this name, in any case.
    pub fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Field> {
        self.fields().iter().filter(move |f| self.raw[f.name.clone()].eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The field's name as written.
    pub fn name(&self, field: &Field) -> &'a str {
        std::str::from_utf8(&self.raw[field.name.clone()]).unwrap_or_default()
    }

    /// What follows the colon, octet for octet.
    pub fn raw_body(&self, field: &Field) -> &'a [u8] {
        &self.raw[field.body.clone()]
    }

    /// The body on one line, outer blanks off, nothing decoded.
    pub fn unfolded(&self, field: &Field) -> Cow<'a, [u8]> {
        let body = self.raw_body(field).trim_ascii();
        if memchr::memchr2(b'\r', b'\n', body).is_none() {
            return Cow::Borrowed(body);
        }
        Cow::Owned(body.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect())
    }

    /// The body as a reader sees it: unfolded, encoded words decoded, 8-bit octets as UTF-8 or else windows-1252.
    pub fn text(&self, field: &Field) -> Cow<'a, str> {
        Cow::Owned(String::from_utf8_lossy(&self.unfolded(field)).into_owned())
    }

    /// The field as a list of addresses.
    pub fn addresses(&self, field: &Field) -> Vec<Entry> {
        addresses::parse(self.raw, field.body.clone())
    }

    /// The Message-ID with its angle brackets; none if it is missing or not text.
    pub fn message_id(&self) -> Option<&'a str> {
        let field = self.named("Message-ID").next()?;
        let id = std::str::from_utf8(self.raw_body(field).trim_ascii()).ok()?;
        (!id.is_empty()).then_some(id)
    }

    /// The subject as a reader sees it; empty if there is none.
    pub fn subject(&self) -> &str {
        self.subject.get_or_init(|| self.named("Subject").next().map(|f| self.text(f).into_owned()).unwrap_or_default())
    }

    /// Where the body starts.
    pub fn header_end(&self) -> usize {
        self.header.end
    }

    pub fn body(&self) -> &'a [u8] {
        &self.raw[self.header.end..]
    }

    /// The message itself, then every part in the order that it stands.
    pub fn parts(&self) -> &[Part] {
        self.parts.get_or_init(Vec::new)
    }

    /// A part's header fields, with offsets in the message.
    pub fn part_fields(&self, part: &Part) -> Vec<Field> {
        header::scan(self.raw, part.header.clone()).fields
    }

    /// A part's content with its transfer encoding undone.
    pub fn decoded(&self, part: &Part) -> Cow<'a, [u8]> {
        Cow::Borrowed(&self.raw[part.body.clone()])
    }

    /// The text of a `text/*` part, in its charset; HTML as the reader sees it.
    pub fn part_text(&self, part: &Part) -> Option<Cow<'a, str>> {
        let _ = part;
        None
    }

    /// The readable body.
    pub fn body_text(&self) -> &BodyText {
        self.body_text.get_or_init(|| {
            let all = String::from_utf8_lossy(self.body()).into_owned();
            BodyText { new: all.clone(), all, ..BodyText::default() }
        })
    }

    /// Where readers may disagree on what the message holds.
    pub fn ambiguities(&self) -> &[Ambiguity] {
        self.ambiguities.get_or_init(Vec::new)
    }

    /// What protects the message.
    pub fn protection(&self) -> &Protection {
        self.protection.get_or_init(Protection::default)
    }
}
