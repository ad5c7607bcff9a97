//! The parts of a message, found by an iterative walk over boundaries (RFC 2046 §5.1, §5.2).
//!
//! Nothing is decoded and no octet of content is looked at singly: only boundaries are searched for. Depth and number of parts are
//! bounded, so that a message made of nothing but nesting costs no more than any other.

use std::borrow::Cow;
use std::ops::Range;

use super::ambiguity::Ambiguity;
use super::header::{self, Closing, Header};
use super::{transfer, words};

/// No honest message nests deeper.
pub const MAX_DEPTH: usize = 32;
/// No honest message has more parts.
pub const MAX_PARTS: usize = 2_000;

/// One part: the message itself (always the first), a multipart, a leaf, or an embedded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part that holds it, by its place in the list.
    pub parent: Option<usize>,
    pub depth: usize,
    /// Its header, blank line included.
    pub header: Range<usize>,
    /// Its content as sent, still encoded.
    pub body: Range<usize>,
    /// `type/subtype` in lower case.
    pub content_type: String,
    /// Parameters of the content type, names in lower case, values decoded (RFC 2231).
    pub params: Vec<(String, String)>,
    pub encoding: Encoding,
    pub disposition: Disposition,
    /// What a reader would call it: the disposition's filename, else the type's name.
    pub file_name: Option<String>,
    pub content_id: Option<String>,
    /// A reader sees it as a file beside the text.
    pub is_attachment: bool,
    pub is_multipart: bool,
    /// `message/rfc822` whose content is walked: the inner message is the next part.
    pub nested_message: bool,
}

impl Part {
    /// A parameter of the content type, by its name in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// It holds content itself, and no parts.
    pub fn is_leaf(&self) -> bool {
        !self.is_multipart && !self.nested_message
    }

    pub fn is_text(&self) -> bool {
        self.content_type.starts_with("text/")
    }
}

/// The transfer encoding (RFC 2045 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, or one that nobody knows.
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    pub fn decode<'a>(self, content: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Encoding::Identity => Cow::Borrowed(content),
            Encoding::Base64 => Cow::Owned(transfer::base64(content)),
            Encoding::QuotedPrintable => Cow::Owned(transfer::quoted_printable(content)),
        }
    }
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    #[default]
    Unsaid,
    Inline,
    Attachment,
}

/// The parts in the order that they stand, each before what it holds, and what was odd about them.
pub fn walk(raw: &[u8], root: &Header) -> (Vec<Part>, Vec<Ambiguity>) {
    let mut walk = Walk { raw, parts: Vec::new(), odd: Vec::new(), todo: Vec::new() };
    let start = root.fields.first().map_or(0, |f| f.whole.start);
    walk.add(Pending { parent: None, depth: 0, range: start..raw.len(), digest: false }, Some(root));
    while let Some(pending) = walk.todo.pop() {
        if walk.parts.len() >= MAX_PARTS {
            walk.note(Ambiguity::TooManyParts);
            break;
        }
        walk.add(pending, None);
    }
    (walk.parts, walk.odd)
}

struct Walk<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
    odd: Vec<Ambiguity>,
    /// Parts found and not yet looked into; the next one last.
    todo: Vec<Pending>,
}

struct Pending {
    parent: Option<usize>,
    depth: usize,
    /// Header and body.
    range: Range<usize>,
    /// In a multipart/digest the default type is message/rfc822 (RFC 2046 §5.1.5).
    digest: bool,
}

impl Walk<'_> {
    fn note(&mut self, odd: Ambiguity) {
        if !self.odd.contains(&odd) {
            self.odd.push(odd);
        }
    }

    fn add(&mut self, pending: Pending, scanned: Option<&Header>) {
        let own;
        let header = match scanned {
            Some(header) => header,
            None => {
                own = header::scan(self.raw, pending.range.clone());
                if matches!(own.closing, Closing::Invalid(_) | Closing::TooLong(_)) {
                    self.note(Ambiguity::InvalidPartHeader);
                }
                &own
            }
        };
        let mut part = describe(self.raw, header, &pending, &mut self.odd);
        let index = self.parts.len();
        let may_hold = part.is_multipart || part.nested_message;
        if may_hold && pending.depth >= MAX_DEPTH {
            self.note(Ambiguity::TooDeep);
            (part.is_multipart, part.nested_message) = (false, false);
        }
        if part.is_multipart {
            let children = self.children(&part);
            part.is_multipart = !children.is_empty();
            let digest = part.content_type == "multipart/digest";
            self.todo.extend(children.into_iter().rev().map(|range| Pending {
                parent: Some(index),
                depth: pending.depth + 1,
                range,
                digest,
            }));
        } else if part.nested_message {
            self.todo.push(Pending { parent: Some(index), depth: pending.depth + 1, range: part.body.clone(), digest: false });
        }
        self.parts.push(part);
    }

    /// The body parts of a multipart: what stands between its delimiter lines (RFC 2046 §5.1.1).
    fn children(&mut self, part: &Part) -> Vec<Range<usize>> {
        let Some(boundary) = part.param("boundary").filter(|b| !b.is_empty()) else {
            self.note(Ambiguity::NoBoundary);
            return Vec::new();
        };
        let body = &self.raw[part.body.clone()];
        let mut needle = Vec::with_capacity(boundary.len() + 3);
        needle.extend_from_slice(b"\n--");
        needle.extend_from_slice(boundary.as_bytes());
        let finder = memchr::memmem::Finder::new(&needle);
        let mut children = Vec::new();
        let mut open: Option<usize> = None;
        // The first delimiter may stand at the very start, without a line feed before it.
        let mut from = 0;
        let mut hit = body.starts_with(&needle[1..]).then_some((0, needle.len() - 1));
        loop {
            let (line, after) = match hit.take() {
                Some(found) => found,
                None => match finder.find(&body[from..]) {
                    Some(at) => (from + at + 1, from + at + needle.len()),
                    None => break,
                },
            };
            from = after;
            let Some((closing, next)) = delimiter_rest(body, after) else { continue };
            if let Some(start) = open.take() {
                // The line end before a delimiter belongs to the delimiter.
                let end = line.saturating_sub(1);
                let end = if end > start && body[end - 1] == b'\r' { end - 1 } else { end };
                children.push(part.body.start + start..part.body.start + end.max(start));
            }
            // A search may begin on the line end that this delimiter shares with the next.
            from = next.saturating_sub(1).max(after);
            if closing {
                if finder.find_iter(&body[from..]).any(|at| delimiter_rest(body, from + at + needle.len()).is_some()) {
                    self.note(Ambiguity::PartsAfterEnd);
                }
                return children;
            }
            open = Some(next);
            if children.len() >= MAX_PARTS {
                self.note(Ambiguity::TooManyParts);
                break;
            }
        }
        match open {
            Some(start) => {
                self.note(Ambiguity::UnclosedMultipart);
                children.push(part.body.start + start..part.body.end);
            }
            None if children.is_empty() => self.note(Ambiguity::NoBoundary),
            None => {}
        }
        children
    }
}

/// Whether what follows a boundary at `at` makes it a delimiter line: whether it is the last, and where the next line starts.
fn delimiter_rest(body: &[u8], at: usize) -> Option<(bool, usize)> {
    let rest = &body[at..];
    let closing = rest.starts_with(b"--");
    let mut i = if closing { 2 } else { 0 };
    while i < rest.len() && matches!(rest[i], b' ' | b'\t') {
        i += 1;
    }
    match &rest[i..] {
        [b'\r', b'\n', ..] => Some((closing, at + i + 2)),
        [b'\n', ..] => Some((closing, at + i + 1)),
        [] => Some((closing, at + i)),
        // Some programs write text right behind the last delimiter.
        _ if closing => Some((true, at + 2)),
        _ => None,
    }
}

/// What a part's header says about it.
fn describe(raw: &[u8], header: &Header, pending: &Pending, odd: &mut Vec<Ambiguity>) -> Part {
    let mut content_type = None;
    let mut part = Part {
        parent: pending.parent,
        depth: pending.depth,
        header: pending.range.start..header.end,
        body: header.end..pending.range.end,
        content_type: String::new(),
        params: Vec::new(),
        encoding: Encoding::Identity,
        disposition: Disposition::Unsaid,
        file_name: None,
        content_id: None,
        is_attachment: false,
        is_multipart: false,
        nested_message: false,
    };
    let (mut encodings, mut types) = (0, 0);
    for field in &header.fields {
        let name = &raw[field.name.clone()];
        if name.len() < 10 || !name[..8].eq_ignore_ascii_case(b"content-") {
            continue;
        }
        let body = words::unfold(&raw[field.body.clone()]);
        if name.eq_ignore_ascii_case(b"content-type") {
            types += 1;
            content_type.get_or_insert_with(|| Value::parse(&body));
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            encodings += 1;
            if encodings == 1 {
                part.encoding = encoding(&body, odd);
            }
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            let value = Value::parse(&body);
            part.disposition = if value.main == "inline" { Disposition::Inline } else { Disposition::Attachment };
            if part.file_name.is_none() {
                part.file_name = value.param("filename");
            }
        } else if name.eq_ignore_ascii_case(b"content-id") {
            part.content_id = Some(words::eight_bit(&body).into_owned());
        }
    }
    if types > 1 && pending.parent.is_some() {
        push_once(odd, Ambiguity::Duplicate("Content-Type".into()));
    }
    if encodings > 1 {
        push_once(odd, Ambiguity::Duplicate("Content-Transfer-Encoding".into()));
    }
    let value = content_type.unwrap_or_default();
    if value.params.iter().filter(|(n, _)| n == "boundary").count() > 1 {
        push_once(odd, Ambiguity::TwoBoundaries);
    }
    part.content_type = match value.main.contains('/') {
        true => value.main,
        false if pending.digest => "message/rfc822".into(),
        false => "text/plain".into(),
    };
    part.params = value.params;
    if part.file_name.is_none() {
        part.file_name = part.param("name").map(str::to_string);
    }
    part.file_name = part.file_name.take().filter(|n| !n.trim().is_empty());
    part.is_multipart = part.content_type.starts_with("multipart/");
    // An embedded message that is encoded is a leaf: RFC 2046 §5.2.1 forbids it, and its offsets would not be ours.
    part.nested_message = matches!(part.content_type.as_str(), "message/rfc822" | "message/global") && part.encoding == Encoding::Identity;
    if part.is_multipart && part.encoding != Encoding::Identity {
        push_once(odd, Ambiguity::EncodedMultipart);
    }
    part.is_attachment = is_attachment(&part);
    part
}

fn push_once(odd: &mut Vec<Ambiguity>, one: Ambiguity) {
    if !odd.contains(&one) {
        odd.push(one);
    }
}

fn encoding(body: &[u8], odd: &mut Vec<Ambiguity>) -> Encoding {
    let word = body.split(|b| matches!(b, b';' | b' ' | b'(' | b'\t')).next().unwrap_or_default();
    if word.eq_ignore_ascii_case(b"base64") {
        Encoding::Base64
    } else if word.eq_ignore_ascii_case(b"quoted-printable") {
        Encoding::QuotedPrintable
    } else {
        if ![&b"7bit"[..], b"8bit", b"binary", b""].iter().any(|known| word.eq_ignore_ascii_case(known)) {
            push_once(odd, Ambiguity::UnknownEncoding);
        }
        Encoding::Identity
    }
}

/// A reader lists it as a file. Pictures that are shown within the text are none.
fn is_attachment(part: &Part) -> bool {
    if part.is_multipart || part.parent.is_none() && part.is_text() {
        return part.disposition == Disposition::Attachment && !part.is_multipart;
    }
    let picture = part.content_type.starts_with("image/");
    match part.disposition {
        Disposition::Attachment => true,
        _ if part.nested_message || part.content_type == "message/rfc822" => true,
        Disposition::Inline => part.file_name.is_some() && !picture,
        Disposition::Unsaid if picture => part.content_id.is_none(),
        Disposition::Unsaid => part.file_name.is_some() || !(part.is_text() || part.content_type.starts_with("message/")),
    }
}

/// A structured value with parameters (RFC 2045 §5.1, RFC 2231).
#[derive(Debug, Default)]
struct Value {
    /// In lower case.
    main: String,
    params: Vec<(String, String)>,
}

impl Value {
    fn parse(body: &[u8]) -> Value {
        let body: Cow<'_, [u8]> = if body.contains(&b'(') { Cow::Owned(without_comments(body)) } else { Cow::Borrowed(body) };
        let mut pieces = split_params(&body).into_iter();
        let main: String = pieces.next().map(|p| words::eight_bit(p).chars().filter(|c| !c.is_whitespace()).collect()).unwrap_or_default();
        let mut raw: Vec<(String, Vec<u8>)> = Vec::new();
        for piece in pieces.take(64) {
            let Some(eq) = memchr::memchr(b'=', piece) else { continue };
            let name = words::eight_bit(piece[..eq].trim_ascii()).to_ascii_lowercase();
            raw.push((name, unquote(piece[eq + 1..].trim_ascii())));
        }
        Value { main: main.to_ascii_lowercase(), params: join_params(raw) }
    }

    fn param(&self, name: &str) -> Option<String> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }
}

/// Cuts at semicolons outside quotation marks; a quotation mark that is never closed is an octet like others.
fn split_params(body: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(4);
    let (mut start, mut at, mut quotes) = (0, 0, true);
    while at < body.len() {
        match body[at] {
            b';' => {
                pieces.push(&body[start..at]);
                start = at + 1;
            }
            b'"' if quotes => match closing_quote(body, at) {
                Some(end) => at = end,
                None => quotes = false,
            },
            _ => {}
        }
        at += 1;
    }
    pieces.push(&body[start..]);
    pieces
}

fn closing_quote(body: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < body.len() {
        match body[at] {
            b'\\' => at += 1,
            b'"' => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

fn unquote(value: &[u8]) -> Vec<u8> {
    let Some(inner) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let inner = closing_quote(value, 0).map_or(inner, |end| &value[1..end]);
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(b) = bytes.next() {
        match b {
            // Only these are escapes: programs write Windows paths without doubling anything.
            b'\\' if matches!(bytes.peek(), Some(b'"' | b'\\')) => out.extend(bytes.next()),
            _ => out.push(b),
        }
    }
    out
}

fn without_comments(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for &b in body {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            _ => {}
        }
        if depth == 0 {
            out.push(b);
        }
        if b == b')' && !quoted && depth > 0 {
            depth -= 1;
        }
    }
    // A comment that is never closed was none.
    if depth > 0 { body.to_vec() } else { out }
}

/// Puts continued parameters together and decodes them (RFC 2231 §3, §4); encoded words, which do not belong there, too.
fn join_params(raw: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::with_capacity(raw.len());
    /// Number, whether it is percent-encoded, and the octets.
    type Section = (u32, bool, Vec<u8>);
    let mut continued: Vec<(String, Vec<Section>)> = Vec::new();
    for (name, value) in raw {
        let Some((base, rest)) = name.split_once('*') else {
            out.push((name, words::decode(&value).into_owned()));
            continue;
        };
        let (number, encoded) = match rest.strip_suffix('*') {
            Some(number) => (number, true),
            None => (rest, rest.is_empty()),
        };
        let piece = (number.parse().unwrap_or(0), encoded, value);
        match continued.iter_mut().find(|(n, _)| n == base) {
            Some((_, pieces)) => pieces.push(piece),
            None => continued.push((base.to_string(), vec![piece])),
        }
    }
    for (name, mut pieces) in continued {
        pieces.sort_by_key(|(number, _, _)| *number);
        let mut charset = None;
        let mut octets = Vec::new();
        for (i, (_, encoded, value)) in pieces.iter().enumerate() {
            let mut value = &value[..];
            if *encoded && i == 0 {
                let mut quotes = memchr::memchr_iter(b'\'', value);
                if let (Some(first), Some(second)) = (quotes.next(), quotes.next()) {
                    charset = Some(words::eight_bit(&value[..first]).into_owned());
                    value = &value[second + 1..];
                }
            }
            if *encoded { percent_decode(value, &mut octets) } else { octets.extend_from_slice(value) }
        }
        let value = words::charset_text(charset.as_deref().filter(|c| !c.is_empty()), &octets).replace(['\r', '\n', '\0'], " ");
        // The extended form wins over the plain one (RFC 6266 §4.3 says so for the same syntax).
        out.retain(|(n, _)| *n != name || n == "boundary");
        out.push((name, value));
    }
    out
}

fn percent_decode(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    loop {
        match rest {
            [b'%', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(transfer::hex(*a) << 4 | transfer::hex(*b));
                rest = tail;
            }
            [octet, tail @ ..] => {
                out.push(*octet);
                rest = tail;
            }
            [] => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walked(text: &str) -> (Vec<String>, Vec<Ambiguity>) {
        let raw = text.replace('\n', "\r\n");
        let root = header::scan(raw.as_bytes(), 0..raw.len());
        let (parts, odd) = walk(raw.as_bytes(), &root);
        let shown = parts
            .iter()
            .map(|p| format!("{}{} {:?}", " ".repeat(p.depth), p.content_type, if p.is_leaf() { &raw[p.body.clone()] } else { "" }))
            .collect();
        (shown, odd)
    }

    #[test]
    fn finds_parts() {
        let (parts, odd) = walked(
            "Content-Type: multipart/mixed; boundary=b\n\npreamble\n--b\n\none\n--b\nContent-Type: multipart/alternative; boundary=\"b b\"\n\n\
             --b b\nContent-Type: TEXT/Html\n\ntwo\n\n--b b  \n\nthree\n--b b--\nepilogue\n--bb\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nfour\n--b--\nend\n",
        );
        assert_eq!(
            parts,
            [
                "multipart/mixed \"\"",
                " text/plain \"one\"",
                " multipart/alternative \"\"",
                "  text/html \"two\\r\\n\"",
                "  text/plain \"three\"",
                " message/rfc822 \"\"",
                "  text/plain \"four\"",
            ]
        );
        assert_eq!(odd, []);
    }

    #[test]
    fn says_what_is_odd() {
        for (text, expected) in [
            ("Content-Type: multipart/mixed\n\nx\n", Ambiguity::NoBoundary),
            ("Content-Type: multipart/mixed; boundary=b\n\nx\n", Ambiguity::NoBoundary),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n", Ambiguity::UnclosedMultipart),
            ("Content-Type: multipart/mixed; boundary=b; boundary=c\n\n--b\n\nx\n--b--\n", Ambiguity::TwoBoundaries),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b--\n\n--b\n\nhidden\n--b--\n", Ambiguity::PartsAfterEnd),
            ("Content-Type: multipart/mixed; boundary=b\n\n--b\nnot a field\n\nx\n--b--\n", Ambiguity::InvalidPartHeader),
            ("Content-Transfer-Encoding: x-uue\n\nx\n", Ambiguity::UnknownEncoding),
        ] {
            assert!(walked(text).1.contains(&expected), "{text:?} {:?}", walked(text).1);
        }
    }

    #[test]
    fn parameters_of_every_kind() {
        for (body, name, value) in [
            ("a/b; name=x.txt", "name", "x.txt"),
            ("a/b; name=\"a; b\\\".txt\"", "name", "a; b\".txt"),
            ("a/b; name=my file.txt; x=y", "name", "my file.txt"),
            ("a/b; filename*=UTF-8''caf%C3%A9.txt; filename=cafe.txt", "filename", "café.txt"),
            ("a/b; filename*0=\"long \"; filename*1=\"name.txt\"", "filename", "long name.txt"),
            ("a/b; filename*1*=%20b.txt; filename*0*=utf-8'en'caf%C3%A9", "filename", "café b.txt"),
            ("a/b; name=\"=?utf-8?Q?caf=C3=A9.txt?=\"", "name", "café.txt"),
            ("a/b (comment; x=y); name=z (c)", "name", "z"),
            ("a/b; name=\"open", "name", "open"),
            ("a/b; name=\"C:\\temp\\x.txt\"", "name", "C:\\temp\\x.txt"),
        ] {
            assert_eq!(Value::parse(body.as_bytes()).param(name).as_deref(), Some(value), "{body}");
        }
        assert_eq!(Value::parse(b"Text / Plain; x").main, "text/plain");
    }

    #[test]
    fn deep_nesting_is_bounded() {
        let text = "Content-Type: message/rfc822\r\n\r\n".repeat(25_000);
        let root = header::scan(text.as_bytes(), 0..text.len());
        let (parts, odd) = walk(text.as_bytes(), &root);
        assert_eq!(parts.len(), MAX_DEPTH + 1);
        assert_eq!(odd, [Ambiguity::TooDeep]);
    }

    #[test]
    fn many_parts_are_bounded() {
        let text = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(100_000));
        let root = header::scan(text.as_bytes(), 0..text.len());
        let (parts, odd) = walk(text.as_bytes(), &root);
        assert_eq!(parts.len(), MAX_PARTS);
        assert!(odd.contains(&Ambiguity::TooManyParts));
    }
}
