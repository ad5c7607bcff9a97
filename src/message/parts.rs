//! The parts of a message, found by an iterative walk over boundaries (RFC 2046 §5.1, §5.2).
//!
//! Nothing is decoded and no octet of content is looked at singly: only boundaries are searched for. Depth and number of parts are
//! bounded, so that a message made of nothing but nesting costs no more than any other.

use std::borrow::Cow;
use std::ops::Range;

use super::ambiguity::{Ambiguity, differ};
use super::header::{self, Closing, Header};
use super::reading::{Question, Reading};
use super::{boundary, embedded, transfer, words};

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

    /// It holds parts that are encoded as a whole, so that nobody sees them without decoding.
    pub(super) fn holds_encoded(&self) -> bool {
        let holds = self.content_type.starts_with("multipart/") || is_message(&self.content_type);
        holds && self.encoding != Encoding::Identity
    }
}

/// The transfer encoding (RFC 2045 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, or one that nobody knows.
    #[default]
    Identity,
    Base64,
    /// Base64 to its first padding: only in readings that stop there.
    Base64Strict,
    QuotedPrintable,
    Uuencode,
    Yenc,
}

impl Encoding {
    pub fn decode<'a>(self, content: &'a [u8]) -> Cow<'a, [u8]> {
        match self {
            Encoding::Identity => Cow::Borrowed(content),
            Encoding::Base64 => Cow::Owned(transfer::base64(content)),
            Encoding::Base64Strict => Cow::Owned(transfer::base64(&content[..first_padding(content).unwrap_or(content.len())])),
            Encoding::QuotedPrintable => Cow::Owned(transfer::quoted_printable(content)),
            Encoding::Uuencode => Cow::Owned(embedded::uudecode(content)),
            Encoding::Yenc => Cow::Owned(embedded::ydecode(content)),
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
    walk_as(raw, root, &Reading::default())
}

/// The same, as a program of that reading does it.
pub fn walk_as(raw: &[u8], root: &Header, reading: &Reading) -> (Vec<Part>, Vec<Ambiguity>) {
    let mut walk = Walk { raw, reading, parts: Vec::new(), odd: Vec::new(), todo: Vec::new() };
    let start = root.fields.first().map_or(0, |f| f.whole.start);
    walk.add(Pending { parent: None, depth: 0, range: start..raw.len(), digest: false }, Some(root));
    while let Some(pending) = walk.todo.pop() {
        if walk.parts.len() >= MAX_PARTS {
            walk.note(Ambiguity::TooManyParts);
            break;
        }
        walk.add(pending, None);
    }
    let known: Vec<&str> = walk.parts.iter().filter(|p| p.is_multipart).filter_map(|p| p.param("boundary")).collect();
    if boundary::is_loose(&raw[root.end.min(raw.len())..], &known) {
        walk.note(Ambiguity::LooseBoundary);
    }
    (walk.parts, walk.odd)
}

struct Walk<'a> {
    raw: &'a [u8],
    reading: &'a Reading,
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
                let mut scanned = header::scan_as(self.raw, pending.range.clone(), self.reading);
                match scanned.closing {
                    Closing::Invalid(_) => self.note(Ambiguity::InvalidPartHeader),
                    Closing::TooLong(_) => self.note(Ambiguity::HeaderTooLong),
                    Closing::BlankLine | Closing::EndOfMessage => {}
                }
                if scanned.blank_continuation {
                    self.note(Ambiguity::BlankContinuation);
                }
                if scanned.blank_before_colon {
                    self.note(Ambiguity::BlankBeforeColon);
                }
                self.duplicates(&scanned);
                self.reading.choose(self.raw, &mut scanned.fields);
                own = scanned;
                &own
            }
        };
        let mut part = describe(self.raw, header, &pending, self.reading, &mut self.odd);
        let index = self.parts.len();
        let may_hold = part.is_multipart || part.nested_message;
        if may_hold && pending.depth >= MAX_DEPTH {
            self.note(Ambiguity::TooDeep);
            (part.is_multipart, part.nested_message) = (false, false);
        }
        if part.is_multipart {
            let children = self.children(&part);
            part.is_multipart = !children.is_empty();
            if !part.is_multipart && self.reading.answer(Question::Boundary) == 2 {
                part.content_type = "text/plain".into();
                part.is_attachment = is_attachment(&part);
            }
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
        let files = if part.is_leaf() && part.is_text() { self.embedded(&part, index) } else { Vec::new() };
        self.parts.push(part);
        self.parts.extend(files);
    }

    /// Fields of a part's header that stand twice and differ.
    fn duplicates(&mut self, header: &Header) {
        for name in ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"] {
            let named = header.fields.iter().filter(|f| self.raw[f.name.clone()].eq_ignore_ascii_case(name.as_bytes()));
            if differ(self.raw, named) {
                self.note(Ambiguity::Duplicate(name.into()));
            }
        }
    }

    /// The files within a text, as parts of their own where the reading takes them out.
    fn embedded(&mut self, text: &Part, index: usize) -> Vec<Part> {
        let content = &self.raw[text.body.clone()];
        if text.encoding != Encoding::Identity {
            // Decoded first by whoever looks for files in it: see `reading::others`.
            if embedded::holds_file(&text.encoding.decode(content)) {
                self.note(Ambiguity::EmbeddedFile);
            }
            return Vec::new();
        }
        if !embedded::holds_file(content) {
            return Vec::new();
        }
        self.note(Ambiguity::EmbeddedFile);
        if self.reading.answer(Question::EmbeddedFile) == 0 {
            return Vec::new();
        }
        let room = MAX_PARTS.saturating_sub(self.parts.len() + 1);
        let files = embedded::find(content).into_iter().take(room);
        files
            .map(|file| Part {
                parent: Some(index),
                depth: text.depth + 1,
                header: text.body.start + file.content.start..text.body.start + file.content.start,
                body: text.body.start + file.content.start..text.body.start + file.content.end,
                content_type: "application/octet-stream".into(),
                params: Vec::new(),
                encoding: if file.yenc { Encoding::Yenc } else { Encoding::Uuencode },
                disposition: Disposition::Attachment,
                file_name: Some(file.name),
                content_id: None,
                is_attachment: true,
                is_multipart: false,
                nested_message: false,
            })
            .collect()
    }

    /// The body parts of a multipart: what stands between its delimiter lines (RFC 2046 §5.1.1).
    fn children(&mut self, part: &Part) -> Vec<Range<usize>> {
        let body = &self.raw[part.body.clone()];
        if self.reading.answer(Question::Boundary) == 1 {
            let found = boundary::loose_children(body, part.param("boundary"), MAX_PARTS);
            return found.into_iter().map(|r| part.body.start + r.start..part.body.start + r.end).collect();
        }
        let Some(boundary) = part.param("boundary").filter(|b| !b.is_empty()) else {
            self.note(Ambiguity::NoBoundary);
            return Vec::new();
        };
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
pub(super) fn delimiter_rest(body: &[u8], at: usize) -> Option<(bool, usize)> {
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
fn describe(raw: &[u8], header: &Header, pending: &Pending, reading: &Reading, odd: &mut Vec<Ambiguity>) -> Part {
    let mut content_type = None;
    let mut disposition: Option<Value> = None;
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
    let mut encodings = 0;
    for field in &header.fields {
        let name = &raw[field.name.clone()];
        if name.len() < 10 || !name[..8].eq_ignore_ascii_case(b"content-") {
            continue;
        }
        let body = words::unfold(&raw[field.body.clone()]);
        if name.eq_ignore_ascii_case(b"content-type") {
            content_type.get_or_insert_with(|| typed(&body, reading, odd));
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            encodings += 1;
            if encodings == 1 {
                part.encoding = encoding(&body, reading, odd);
            }
        } else if name.eq_ignore_ascii_case(b"content-disposition") {
            if disposition.is_none() {
                let value = Value::parse(&body, reading, true);
                if split_params(&body).len() > MAX_PARAMS {
                    push_once(odd, Ambiguity::HeaderTooLong);
                }
                part.disposition = if value.main == "inline" { Disposition::Inline } else { Disposition::Attachment };
                disposition = Some(value);
            }
        } else if name.eq_ignore_ascii_case(b"content-id") {
            part.content_id = Some(words::eight_bit(&body).into_owned());
        }
    }
    let value = content_type.unwrap_or_default();
    if value.twice.iter().any(|n| n == "boundary") {
        push_once(odd, Ambiguity::TwoBoundaries);
    }
    if value
        .twice
        .iter()
        .chain(disposition.iter().flat_map(|d| &d.twice))
        .any(|n| matches!(n.as_str(), "filename" | "name" | "charset" | "hp"))
    {
        push_once(odd, Ambiguity::TwoParameters);
    }
    part.content_type = match value.main.contains('/') {
        true => value.main.clone(),
        false if pending.digest => "message/rfc822".into(),
        false => "text/plain".into(),
    };
    let names = file_names(disposition.as_ref(), &value);
    if names.windows(2).any(|pair| !same_name(&pair[0], &pair[1])) {
        push_once(odd, Ambiguity::TwoNames);
    }
    let chosen = match reading.answer(Question::FileName) {
        0 => names.first(),
        // Plain forms stand behind the extended one, the type's name last.
        1 => names.get(1).or(names.first()),
        _ => names.last(),
    };
    part.file_name = chosen.cloned();
    part.params = value.params;
    part.is_multipart = part.content_type.starts_with("multipart/");
    // An embedded message that is encoded is a leaf: RFC 2046 §5.2.1 forbids it, and its offsets would not be ours.
    part.nested_message = is_message(&part.content_type) && part.encoding == Encoding::Identity;
    if part.holds_encoded() {
        push_once(odd, Ambiguity::EncodedMultipart);
    }
    if part.content_type == "message/partial" {
        push_once(odd, Ambiguity::Fragment);
    }
    if part.encoding == Encoding::Base64 && goes_on_behind_padding(&raw[part.body.clone()]) {
        push_once(odd, Ambiguity::EarlyPadding);
        if reading.answer(Question::Padding) == 1 {
            part.encoding = Encoding::Base64Strict;
        }
    }
    part.is_attachment = is_attachment(&part);
    part
}

fn push_once(odd: &mut Vec<Ambiguity>, one: Ambiguity) {
    if !odd.contains(&one) {
        odd.push(one);
    }
}

fn is_message(content_type: &str) -> bool {
    matches!(content_type, "message/rfc822" | "message/global")
}

fn encoding(body: &[u8], reading: &Reading, odd: &mut Vec<Ambiguity>) -> Encoding {
    let body: Cow<'_, [u8]> = if body.contains(&b'(') { Cow::Owned(without_comments(body)) } else { Cow::Borrowed(body) };
    let word = body.trim_ascii().split(|b| matches!(b, b';' | b' ' | b'\t')).next().unwrap_or_default();
    let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
    if is("base64") {
        Encoding::Base64
    } else if is("quoted-printable") {
        Encoding::QuotedPrintable
    } else if ["7bit", "8bit", "binary", ""].into_iter().any(is) {
        Encoding::Identity
    } else {
        push_once(odd, Ambiguity::UnknownEncoding);
        match reading.answer(Question::Encoding) {
            1 if ["x-uuencode", "x-uue", "uuencode", "uue"].into_iter().any(is) => Encoding::Uuencode,
            1 => Encoding::Base64,
            2 => Encoding::QuotedPrintable,
            _ => Encoding::Identity,
        }
    }
}

fn first_padding(content: &[u8]) -> Option<usize> {
    memchr::memchr(b'=', content)
}

/// Whether letters stand behind the padding. Text that was put below an attachment (a list's footer) does the same.
fn goes_on_behind_padding(content: &[u8]) -> bool {
    first_padding(content).is_some_and(|at| content[at..].iter().any(|b| b.is_ascii_alphanumeric()))
}

/// A Content-Type as the reading takes it.
fn typed(body: &[u8], reading: &Reading, odd: &mut Vec<Ambiguity>) -> Value {
    let mut value = Value::parse(body, reading, true);
    let pieces = split_params(body);
    if pieces.len() > MAX_PARAMS {
        push_once(odd, Ambiguity::HeaderTooLong);
    }
    let main = pieces.into_iter().next().unwrap_or_default().trim_ascii();
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(b);
    let written_well = main.is_empty()
        || main.split(|b| *b == b'/').count() == 2 && main.split(|b| *b == b'/').all(|half| !half.is_empty() && half.iter().all(token));
    let hides = body.contains(&b'(')
        && without_comments(body).iter().filter(|b| matches!(b, b';' | b'=')).count()
            != body.iter().filter(|b| matches!(b, b';' | b'=')).count();
    if written_well && !hides {
        return value;
    }
    // A type with a comment behind it is as it should be (RFC 2045 §5.1).
    if !hides && value.main.split('/').count() == 2 && main.ends_with(b")") && comment_is_last(main) {
        return value;
    }
    push_once(odd, Ambiguity::OddType);
    match reading.answer(Question::Type) {
        0 => value.main = best_type(&value),
        1 => value = Value::parse(body, reading, false),
        2 => value.main = "text/plain".into(),
        _ => value.main = "application/octet-stream".into(),
    }
    value
}

fn comment_is_last(main: &[u8]) -> bool {
    memchr::memchr(b'(', main).is_some_and(|at| {
        let before = main[..at].trim_ascii_end();
        before.iter().all(|b| b.is_ascii_graphic()) && without_comments(&main[at..]).trim_ascii().is_empty()
    })
}

/// What a willing program makes of a type that is none: encoded words decoded, quotation marks off, what follows it cut off, and
/// half a type made whole.
fn best_type(value: &Value) -> String {
    let main = words::decode(value.main.as_bytes()).to_ascii_lowercase();
    let main = main.trim_matches(['"', '\'', ' ', '<', '>']);
    let main = main.split([',', ' ', '"', '<']).next().unwrap_or_default();
    let mut halves = main.split('/');
    let (kind, sub) = (halves.next().unwrap_or_default().trim(), halves.next().unwrap_or_default().trim());
    match (kind, sub) {
        ("multipart", "") => "multipart/mixed".into(),
        ("text", "") => "text/plain".into(),
        ("html", "") => "text/html".into(),
        ("", _) | (_, "") if value.params.iter().any(|(n, _)| n == "boundary") => "multipart/mixed".into(),
        ("", _) | (_, "") => main.to_string(),
        (kind, sub) => format!("{kind}/{sub}"),
    }
}

/// A file's names, the fullest first: the disposition's before the type's, the extended form before the plain one.
fn file_names(disposition: Option<&Value>, content_type: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |name: Option<String>| names.extend(name.filter(|n| !n.trim().is_empty()));
    if let Some(value) = disposition {
        add(value.param("filename"));
        add(value.plain("filename"));
        // Some programs write the type's word here.
        add(value.param("name"));
    }
    add(content_type.param("name"));
    add(content_type.plain("name"));
    add(content_type.param("filename"));
    names
}

/// Whether two names mean one file to everybody: one may lack accents or have marks for what its form cannot hold.
fn same_name(a: &str, b: &str) -> bool {
    let plain = |name: &str| -> String {
        name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/')).flat_map(char::to_lowercase).collect()
    };
    a == b
        || plain(a) == plain(b)
        || !a.is_ascii() && b.is_ascii() && alike_but_for_accents(a, b)
        || !b.is_ascii() && a.is_ascii() && alike_but_for_accents(b, a)
}

/// `cafe.txt` for `café.txt`: letters, digits and dots agree once accents are off.
fn alike_but_for_accents(full: &str, ascii: &str) -> bool {
    use unicode_normalization::UnicodeNormalization as _;
    let plain =
        |text: &str| -> String { text.nfkd().filter(|c| c.is_ascii_alphanumeric() || *c == '.').flat_map(char::to_lowercase).collect() };
    plain(full) == plain(ascii)
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
    /// Parameters that an extended form put in the shade (RFC 2231 §4).
    shaded: Vec<(String, String)>,
    /// Names of parameters that stand twice with different values.
    twice: Vec<String>,
}

impl Value {
    /// `comments`: whether they are known for comments.
    fn parse(body: &[u8], reading: &Reading, comments: bool) -> Value {
        let body: Cow<'_, [u8]> = if comments && body.contains(&b'(') { Cow::Owned(without_comments(body)) } else { Cow::Borrowed(body) };
        let mut pieces = split_params(&body).into_iter();
        let main: String = pieces.next().map(|p| words::eight_bit(p).chars().filter(|c| !c.is_whitespace()).collect()).unwrap_or_default();
        let mut raw: Vec<(String, Vec<u8>)> = Vec::new();
        for piece in pieces.take(64) {
            let Some(eq) = memchr::memchr(b'=', piece) else { continue };
            let name = words::eight_bit(piece[..eq].trim_ascii()).to_ascii_lowercase();
            raw.push((name, unquote(piece[eq + 1..].trim_ascii())));
        }
        let last = reading.answer(Question::Parameter) == 1;
        let (mut params, shaded, mut twice) = join_params(raw, last);
        for (i, (name, value)) in params.iter().enumerate() {
            if params[..i].iter().any(|(n, v)| n == name && v != value) && !twice.contains(name) {
                twice.push(name.clone());
            }
        }
        if last {
            params.reverse();
        }
        Value { main: main.to_ascii_lowercase(), params, shaded, twice }
    }

    /// The plain form beside an extended one.
    fn plain(&self, name: &str) -> Option<String> {
        self.shaded.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }

    fn param(&self, name: &str) -> Option<String> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone())
    }
}

/// Cuts at semicolons outside quotation marks; a quotation mark that is never closed is an octet like others.
/// Parameters of one field that are told apart; each is held against the others. No honest field has a tenth of them.
const MAX_PARAMS: usize = 256;

fn split_params(body: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::with_capacity(4);
    let (mut start, mut at, mut quotes) = (0, 0, true);
    while at < body.len() {
        match body[at] {
            b';' if pieces.len() < MAX_PARAMS => {
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

/// Parameters, those that an extended form put in the shade, and the names of those that stand twice with different values.
type Joined = (Vec<(String, String)>, Vec<(String, String)>, Vec<String>);

/// Puts continued parameters together and decodes them (RFC 2231 §3, §4); encoded words, which do not belong there, too.
fn join_params(raw: Vec<(String, Vec<u8>)>, last: bool) -> Joined {
    let mut twice = Vec::new();
    let mut shaded = Vec::new();
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
            Some((_, pieces)) => match pieces.iter_mut().find(|(n, _, _)| *n == piece.0) {
                // A section that stands twice: one of them counts.
                Some(there) => {
                    if there.2 != piece.2 {
                        twice.push(base.to_string());
                    }
                    if last {
                        *there = piece;
                    }
                }
                None => pieces.push(piece),
            },
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
        out.retain(|(n, v)| {
            let stays = *n != name || n == "boundary";
            if !stays {
                shaded.push((n.clone(), v.clone()));
            }
            stays
        });
        out.push((name, value));
    }
    (out, shaded, twice)
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
        // To a program that looks at the beginning of a line only, "--bb" is a delimiter too.
        assert_eq!(odd, [Ambiguity::LooseBoundary]);
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
            assert_eq!(Value::parse(body.as_bytes(), &Reading::default(), true).param(name).as_deref(), Some(value), "{body}");
        }
        assert_eq!(Value::parse(b"Text / Plain; x", &Reading::default(), true).main, "text/plain");
    }

    #[test]
    fn parameters_are_bounded() {
        for field in ["Content-Type: text/plain", "Content-Type: text/plain\nContent-Disposition: attachment"] {
            let many = |count: usize| {
                let more: String = (0..count).map(|i| format!(";\n a{i}*=x")).collect();
                walked(&format!("{field}{more}; filename=a.exe\n\nText\n")).1
            };
            assert!(!many(200).contains(&Ambiguity::HeaderTooLong));
            assert!(many(40_000).contains(&Ambiguity::HeaderTooLong));
        }
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
