//! What can be seen in a message. Looking costs nothing until something is asked for.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::addresses::{self, Entry};
use super::document::{self, Extracted};
use super::header::{self, Field, Header};
use super::parts::{self, Encoding, Part};
use super::protection::{self, Protection};
use super::reading::{Question, Reading};
use super::text::{self, Lines};
use super::{Ambiguity, BodyText, Mailbox, ambiguity, body, charset, fold, transfer, words};

/// A message looked at. Only the header's fields are found at once; all else is worked out when first asked for, and kept.
pub struct View<'a> {
    raw: &'a [u8],
    reading: Reading,
    header: Header,
    subject: OnceCell<String>,
    parts: OnceCell<(Vec<Part>, Vec<Ambiguity>)>,
    body_text: OnceCell<BodyText>,
    odd: OnceCell<Vec<Ambiguity>>,
    ambiguities: OnceCell<Vec<Ambiguity>>,
    protection: OnceCell<Protection>,
    documents: OnceCell<Extracted>,
}

impl<'a> View<'a> {
    pub fn new(raw: &'a [u8]) -> View<'a> {
        View::read_as(raw, Reading::default())
    }

    /// As a program of that reading sees it.
    pub fn read_as(raw: &'a [u8], reading: Reading) -> View<'a> {
        let mut header = header::scan_as(raw, 0..raw.len(), &reading);
        reading.choose(raw, &mut header.fields);
        View {
            raw,
            reading,
            header,
            subject: OnceCell::new(),
            parts: OnceCell::new(),
            body_text: OnceCell::new(),
            odd: OnceCell::new(),
            ambiguities: OnceCell::new(),
            protection: OnceCell::new(),
            documents: OnceCell::new(),
        }
    }

    pub fn reading(&self) -> &Reading {
        &self.reading
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
        words::unfold(self.raw_body(field))
    }

    /// The body as a reader sees it: unfolded, encoded words decoded, 8-bit octets as UTF-8 or else windows-1252.
    pub fn text(&self, field: &Field) -> Cow<'a, str> {
        words::decode(self.raw_body(field))
    }

    /// The field as a list of addresses.
    pub fn addresses(&self, field: &Field) -> Vec<Entry> {
        if self.reading.answer(Question::Address) == 1 {
            return addresses::alike(self.raw, field.body.clone()).into_iter().map(Entry::Mailbox).collect();
        }
        addresses::parse(self.raw, field.body.clone())
    }

    /// Every mailbox of the field in any reading of its addresses: what one program shows is shown.
    pub fn every_mailbox(&self, field: &Field) -> Vec<Mailbox> {
        let mut out: Vec<Mailbox> = self.addresses(field).iter().flat_map(|e| e.mailboxes().to_vec()).collect();
        if addresses::is_doubtful(self.raw, field.body.clone()) {
            out.extend(addresses::alike(self.raw, field.body.clone()));
        }
        out
    }

    /// The Message-ID with its angle brackets; none if it is missing or not text.
    pub fn message_id(&self) -> Option<&'a str> {
        let field = self.named("Message-ID").next()?;
        let id = std::str::from_utf8(self.raw_body(field).trim_ascii()).ok()?;
        (!id.is_empty()).then_some(id)
    }

    /// The subject as a reader sees it; empty if there is none.
    pub fn subject(&self) -> &str {
        self.subject.get_or_init(|| self.named("Subject").next().map(|f| fold::fold(&self.text(f)).into_owned()).unwrap_or_default())
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
        &self.walked().0
    }

    fn walked(&self) -> &(Vec<Part>, Vec<Ambiguity>) {
        self.parts.get_or_init(|| parts::walk_as(self.raw, &self.header, &self.reading))
    }

    /// A part's header fields, with offsets in the message.
    pub fn part_fields(&self, part: &Part) -> Vec<Field> {
        let mut fields = header::scan_as(self.raw, part.header.clone(), &self.reading).fields;
        self.reading.choose(self.raw, &mut fields);
        fields
    }

    /// A part's content with its transfer encoding undone.
    pub fn decoded(&self, part: &Part) -> Cow<'a, [u8]> {
        part.encoding.decode(&self.raw[part.body.clone()])
    }

    /// At most the first `limit` octets of [`View::decoded`], at no more cost than they are worth.
    pub fn decoded_prefix(&self, part: &Part, limit: usize) -> Cow<'a, [u8]> {
        let content = &self.raw[part.body.clone()];
        match part.encoding {
            Encoding::Identity => Cow::Borrowed(&content[..content.len().min(limit)]),
            Encoding::Base64 => Cow::Owned(transfer::base64_prefix(content, limit)),
            Encoding::QuotedPrintable => {
                let mut octets = transfer::quoted_printable(&content[..content.len().min(limit.saturating_mul(3))]);
                octets.truncate(limit);
                Cow::Owned(octets)
            }
            // Four octets make three, and a line has two that count for nothing.
            Encoding::Uuencode | Encoding::Yenc | Encoding::Base64Strict => {
                let mut octets = part.encoding.decode(&content[..content.len().min(limit.saturating_mul(2))]).into_owned();
                octets.truncate(limit);
                Cow::Owned(octets)
            }
        }
    }

    /// The source of a `text/*` part in its charset, HTML as HTML; none for other types.
    pub fn part_source(&self, part: &Part) -> Option<Cow<'a, str>> {
        if !part.is_text() {
            return None;
        }
        let decoded = self.decoded(part);
        let said = (part.content_type == "text/html" && part.param("charset").is_none()).then(|| charset::of_html(&decoded)).flatten();
        let charset = part.param("charset").or(said.as_deref());
        Some(match decoded {
            Cow::Borrowed(octets) => words::charset_text(charset, octets),
            Cow::Owned(octets) => Cow::Owned(match words::charset_text(charset, &octets) {
                Cow::Owned(text) => text,
                // Borrowed: the octets are the text (but for a mark at the start), and need no copy.
                Cow::Borrowed(text) if text.len() == octets.len() => {
                    String::from_utf8(octets).expect("the octets were just seen to be UTF-8")
                }
                Cow::Borrowed(text) => text.to_string(),
            }),
        })
    }

    /// The text of a `text/*` part, in its charset; HTML as the reader sees it.
    pub fn part_text(&self, part: &Part) -> Option<Cow<'a, str>> {
        let source = self.part_source(part)?;
        if part.content_type == "text/html" { Some(Cow::Owned(text::render(&source, Lines::Collapse).text)) } else { Some(source) }
    }

    /// The readable body.
    pub fn body_text(&self) -> &BodyText {
        self.body_text.get_or_init(|| body::read(self))
    }

    /// Where readers may disagree on what the message holds.
    /// What the sender wrote now, in each of the body's alternatives that is not [`body_text`](Self::body_text): some programs show
    /// that one. Only those are read that have `word` (lower case), or letters written as numbers.
    pub fn other_alternatives(&self, word: &str) -> Vec<String> {
        body::other_alternatives(self, word)
    }

    pub fn ambiguities(&self) -> &[Ambiguity] {
        self.ambiguities.get_or_init(|| {
            let mut odd = self.odd().to_vec();
            if self.author_is_doubtful() {
                odd.push(Ambiguity::Author);
            }
            odd
        })
    }

    /// What can be told without another parser.
    pub fn odd(&self) -> &[Ambiguity] {
        self.odd.get_or_init(|| {
            let mut odd = ambiguity::of_header(self, &self.header);
            if self
                .fields()
                .iter()
                .any(|f| ADDRESSES.iter().any(|n| self.name(f).eq_ignore_ascii_case(n)) && addresses::is_doubtful(self.raw, f.body.clone()))
            {
                odd.push(Ambiguity::Address);
            }
            odd.extend(self.walked().1.iter().cloned());
            odd
        })
    }

    /// Where programs part ways over it. Empty for mail that is written as it should be.
    pub fn questions(&self) -> impl Iterator<Item = Question> {
        self.odd().iter().filter_map(Ambiguity::question)
    }

    /// Whether another reader finds other authors than we do. It is shown the header only.
    fn author_is_doubtful(&self) -> bool {
        let Some(theirs) = mail_parser::MessageParser::default().parse_headers(&self.raw[..self.header.end]) else {
            return !self.fields().is_empty();
        };
        let mut theirs: Vec<String> = theirs
            .from()
            .map(|list| list.iter().filter_map(|a| a.address()).map(|a| a.trim().to_lowercase()).collect())
            .unwrap_or_default();
        let mut ours: Vec<String> = self
            .named("From")
            .last()
            .map(|f| {
                self.addresses(f)
                    .iter()
                    .flat_map(|e| e.mailboxes().to_vec())
                    .map(|m| format!("{}@{}", m.local, m.domain).to_lowercase())
                    .collect()
            })
            .unwrap_or_default();
        theirs.retain(|a| a.contains('@'));
        theirs.sort();
        ours.sort();
        theirs != ours
    }

    /// Whether `part` is within an embedded message.
    pub fn is_nested(&self, part: &Part) -> bool {
        let mut up = part.parent;
        while let Some(index) = up {
            if self.parts()[index].nested_message {
                return true;
            }
            up = self.parts()[index].parent;
        }
        false
    }

    /// The text inside what is attached. Dear: every document and archive is unpacked, once.
    pub fn documents(&self) -> &Extracted {
        self.documents.get_or_init(|| document::read(self))
    }

    /// What was asked for so far of what is dear to find out.
    pub fn looked_into(&self) -> LookedInto {
        LookedInto {
            body: self.body_text.get().is_some(),
            documents: self.documents.get().is_some(),
            protection: self.protection.get().is_some(),
            ambiguities: self.ambiguities.get().is_some(),
        }
    }

    /// What protects the message.
    pub fn protection(&self) -> &Protection {
        self.protection.get_or_init(|| protection::judge(self))
    }
}

/// Which dear questions were asked of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookedInto {
    pub body: bool,
    pub documents: bool,
    pub protection: bool,
    pub ambiguities: bool,
}

/// Fields of addresses that are judged.
const ADDRESSES: [&str; 9] = ["From", "To", "Cc", "Bcc", "Reply-To", "Resent-To", "Resent-Cc", "Resent-Bcc", "Mail-Followup-To"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::Field;

    fn crlf(text: &str) -> Vec<u8> {
        text.replace('\n', "\r\n").into_bytes()
    }

    #[test]
    fn fields_are_where_they_are() {
        let raw = crlf("From: a@x.uk\nSUBJECT:  one\n two\nX-Old : y\nEmpty:\n\nbody\n");
        let view = View::new(&raw);
        let shown: Vec<(&str, &[u8])> = view.fields().iter().map(|f| (view.name(f), view.raw_body(f))).collect();
        assert_eq!(shown, [("From", &b" a@x.uk"[..]), ("SUBJECT", b"  one\r\n two"), ("X-Old", b" y"), ("Empty", b"")]);
        assert_eq!(view.subject(), "one two");
        assert_eq!(view.body(), b"body\r\n");
        assert_eq!(&raw[view.fields()[1].whole.clone()], b"SUBJECT:  one\r\n two\r\n");
    }

    #[test]
    fn odd_headers_are_said() {
        for (text, odd) in [
            ("From: a@x.uk\nTo: b@x.uk\nTo: c@x.uk\n\n", Ambiguity::Duplicate("To".into())),
            ("From: a@x.uk\nno field\n\n", Ambiguity::InvalidHeaderLine),
            ("From: a@x.uk\n", Ambiguity::NoBlankLine),
            ("From: a@x.uk\n \nTo: b\n\n", Ambiguity::BlankContinuation),
            ("From : a@x.uk\n\n", Ambiguity::BlankBeforeColon),
            ("From: a@x.uk\n\nx\0", Ambiguity::Nul),
        ] {
            let raw = crlf(text);
            assert!(View::new(&raw).ambiguities().contains(&odd), "{text:?} {:?}", View::new(&raw).ambiguities());
        }
        assert!(View::new(b"From: a@x.uk\r\nX: \xff\r\n\r\n").ambiguities().contains(&Ambiguity::EightBitHeader));
        let plain = crlf("From: Jo Smith <jo@x.uk>\nTo: b@x.uk, c@x.uk\nSubject: Café\n\nHello\n");
        assert_eq!(View::new(&plain).ambiguities(), []);
    }

    #[test]
    fn the_plain_alternative_is_the_body() {
        let raw = crlf(
            "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=a\n\n\
             --a\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\nCaf=C3=A9\n--a\n\
             Content-Type: text/html\n\n<p>html</p>\n--a--\n--m\nContent-Type: text/plain; name=x.txt\nContent-Disposition: attachment\n\nattached\n--m--\n",
        );
        let view = View::new(&raw);
        assert_eq!(view.body_text().all, "Café\n");
        assert_eq!(view.parts().iter().filter(|p| p.is_attachment).count(), 1);
        let raw = crlf(
            "Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/plain\n\n \n--a\nContent-Type: text/html\n\n\
             <p>Hello</p><blockquote>old</blockquote>\n--a--\n",
        );
        let view = View::new(&raw);
        assert_eq!((view.body_text().new.trim(), view.body_text().quoted.trim()), ("Hello", "old"));
    }

    #[test]
    fn nesting_without_end_is_harmless() {
        let raw = "Content-Type: message/rfc822\r\n\r\n".repeat(25_000);
        let view = View::new(raw.as_bytes());
        assert!(view.ambiguities().contains(&Ambiguity::TooDeep));
        view.body_text();
        view.protection();
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(25_000);
        let view = View::new(raw.as_bytes());
        view.ambiguities();
        view.body_text();
        view.protection();
    }

    fn in_bounds(raw: &[u8]) {
        let view = View::new(raw);
        let inside = |f: &Field| {
            f.whole.start <= f.name.start
                && f.name.end <= f.body.start
                && f.body.start <= f.body.end
                && f.body.end <= f.whole.end
                && f.whole.end <= raw.len()
        };
        assert!(view.fields().iter().all(inside));
        assert!(view.header_end() <= raw.len());
        for field in view.fields() {
            view.text(field);
            for entry in view.addresses(field) {
                assert!(entry.range().start >= field.body.start && entry.range().end <= field.body.end);
            }
        }
        for part in view.parts() {
            assert!(
                part.header.start <= part.header.end
                    && part.header.end == part.body.start
                    && part.body.start <= part.body.end
                    && part.body.end <= raw.len()
            );
            view.part_text(part);
        }
        view.subject();
        view.message_id();
        view.body_text();
        view.ambiguities();
        view.protection();
        let mut plan = super::super::EditPlan::new();
        super::super::rewrite::hide_recipients(&view, &|m| m.domain.len() % 2 == 0, Default::default(), &mut plan);
        super::super::rewrite::cut_override(&view, "x", &mut plan);
        super::super::rewrite::tag_subject(&view, "[t]", &mut plan);
    }

    /// Bytes that look enough like mail to go deep.
    fn mailish() -> impl Strategy<Value = Vec<u8>> {
        let pieces = proptest::sample::select(vec![
            "From: ",
            "To: ",
            "Subject: ",
            "Content-Type: ",
            "multipart/mixed; boundary=b",
            "multipart/alternative; boundary=\"b\"",
            "message/rfc822",
            "text/html",
            "text/plain; charset=",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "--b",
            "--b--",
            "\r\n--b\r\n",
            " ",
            "\t",
            "a@x.uk",
            "<",
            ">",
            "(",
            ")",
            "\"",
            ",",
            ";",
            ":",
            "=?utf-8?Q?",
            "?=",
            "[x: y]",
            "@",
            "é",
            "Content-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: quoted-printable",
            "Content-Disposition: attachment; filename=",
            "name*0*=utf-8''%41",
            "-----BEGIN PGP MESSAGE-----",
            "-----END PGP MESSAGE-----",
            "<div style='display:none'>",
            "<blockquote>",
            "PK\u{3}\u{4}",
            "%PDF-1.4 /Encrypt",
            "application/pkcs7-mime",
            "MIAGCSqGSIb3DQEHA6CA",
            "> ",
            "-- ",
            "On 1 wrote:",
            "\0",
        ]);
        proptest::collection::vec(
            prop_oneof![9 => pieces.prop_map(|p| p.as_bytes().to_vec()), 1 => proptest::collection::vec(any::<u8>(), 0..8)],
            0..60,
        )
        .prop_map(|v| v.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_at(raw in prop_oneof![mailish(), proptest::collection::vec(any::<u8>(), 0..300)]) {
            in_bounds(&raw);
        }
    }
}
