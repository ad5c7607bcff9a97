//! HTML as the text that a reader sees.
//!
//! No tree is built: one pass over the source, every byte looked at a bounded number of times. Scripts and styles are dropped, text
//! that is marked as hidden is kept apart, and the regions that mail programs mark as quotes or signatures are known.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::fold;
use super::look::{self, Look, WHITE};

/// HTML turned into text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// What is seen, a line for each block.
    pub text: String,
    /// From each offset in `text` on, what kind of text it is; always at the start of a line. Before the first it is plain.
    pub marks: Vec<(usize, Kind)>,
    /// Text that is there and not shown.
    pub hidden: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    /// An earlier message.
    Quote,
    Signature,
}

/// What becomes of line ends in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Blanks, as HTML has it.
    Collapse,
    /// Kept: for text whose lines matter though the sender forgot to say so.
    Keep,
}

/// Turns `html` into text.
pub fn render(html: &str, lines: Lines) -> Rendered {
    let mut renderer = Renderer {
        html,
        out: Rendered { text: String::with_capacity(html.len() / 2), ..Rendered::default() },
        regions: Vec::new(),
        quote_rest: false,
        kind: Kind::Plain,
        pre: 0,
        keep: lines == Lines::Keep,
        space: false,
        hidden: false,
        plain_paper: None,
        ends: [true; 4],
    };
    renderer.run();
    renderer.out
}

struct Renderer<'a> {
    html: &'a str,
    out: Rendered,
    regions: Vec<Region<'a>>,
    /// Everything from here on is an earlier message.
    quote_rest: bool,
    kind: Kind,
    pre: u32,
    keep: bool,
    /// A blank is due before the next word.
    space: bool,
    /// What is read now is not shown.
    hidden: bool,
    /// No background is set anywhere: the paper is white. Looked for when it first matters.
    plain_paper: Option<bool>,
    /// Whether it is worth looking for `>`, `"`, `'`, `-->` once more: where one was not found, none follows.
    ends: [bool; 4],
}

/// An open element that means something: it lasts until as many of its name are closed as were opened.
struct Region<'a> {
    tag: &'a str,
    open: u32,
    what: What,
    look: Look,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Only its look matters.
    Plain,
    Quote,
    Signature,
}

/// More open regions than this are not kept; no honest mail has them.
const MAX_REGIONS: usize = 64;

impl<'a> Renderer<'a> {
    fn run(&mut self) {
        let bytes = self.html.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let stop = memchr::memchr2(b'<', b'&', &bytes[at..]).map_or(bytes.len(), |i| at + i);
            self.text(&self.html[at..stop]);
            if stop == bytes.len() {
                break;
            }
            at = if bytes[stop] == b'&' { self.entity(stop) } else { self.markup(stop) };
        }
        let end = self.out.text.trim_end().len();
        self.out.text.truncate(end);
        self.out.marks.retain(|(offset, _)| *offset <= end);
    }

    /// `<` at `start`: answers where to go on.
    fn markup(&mut self, start: usize) -> usize {
        let rest = &self.html.as_bytes()[start..];
        match rest.get(1) {
            Some(b'!') => {
                if rest.starts_with(b"<!--") && self.ends[3] {
                    match memchr::memmem::find(&rest[4..], b"-->") {
                        Some(end) => return start + 4 + end + 3,
                        None => self.ends[3] = false,
                    }
                }
                self.past_bracket(start)
            }
            Some(b'?') => self.past_bracket(start),
            Some(b'/') if rest.get(2).is_some_and(u8::is_ascii_alphabetic) => {
                let end = self.past_bracket(start);
                self.close(tag_name(self.html.get(start + 2..end).unwrap_or_default()));
                end
            }
            Some(b) if b.is_ascii_alphabetic() => {
                let end = self.tag_end(start);
                let tag = &self.html[start + 1..end];
                self.open(tag, end)
            }
            _ => {
                self.text("<");
                start + 1
            }
        }
    }

    fn past_bracket(&mut self, start: usize) -> usize {
        let bytes = self.html.as_bytes();
        if self.ends[0] {
            if let Some(end) = memchr::memchr(b'>', &bytes[start..]) {
                return start + end + 1;
            }
            self.ends[0] = false;
        }
        start + 1
    }

    /// The end of the opening tag at `start`; a bracket within a quoted attribute does not count.
    fn tag_end(&mut self, start: usize) -> usize {
        if !self.ends[0] {
            return start + 1;
        }
        let bytes = self.html.as_bytes();
        let mut at = start + 1;
        while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &bytes[at..]) {
            let stop = at + found;
            let which = match bytes[stop] {
                b'>' => return stop + 1,
                b'"' => 1,
                _ => 2,
            };
            at = stop + 1;
            // Only after an equals sign does a mark open a value.
            let value = bytes[start..stop].iter().rfind(|b| !b.is_ascii_whitespace()) == Some(&b'=');
            if value && self.ends[which] {
                match memchr::memchr(bytes[stop], &bytes[at..]) {
                    Some(end) => at += end + 1,
                    None => self.ends[which] = false,
                }
            }
        }
        self.past_bracket(start)
    }

    fn open(&mut self, tag: &'a str, end: usize) -> usize {
        let name = tag_name(tag);
        let lower = Lower::of(name);
        let name_lower = lower.as_str();
        // What these hold is no text; without an end they swallow the rest, as in a browser.
        if matches!(name_lower, "script" | "style" | "title" | "template") && !tag.ends_with("/>") {
            return self.past_closing(end, name_lower);
        }
        match block(name_lower) {
            Block::Line => self.line(),
            Block::Paragraph => self.paragraph(),
            Block::Break => self.newline(),
            Block::Cell => self.space = true,
            Block::Inline => {}
        }
        if name_lower == "pre" {
            self.pre += 1;
        }
        let void = matches!(name_lower, "br" | "hr" | "img" | "input" | "meta" | "link" | "col" | "area" | "wbr" | "source")
            || tag.ends_with("/>");
        let (what, look) = self.meaning(&tag[name.len()..]);
        let what = if name_lower == "blockquote" { What::Quote } else { what };
        if !void {
            if (what != What::Plain || !look.says_nothing()) && self.regions.len() < MAX_REGIONS {
                self.line_at_edge(what);
                self.regions.push(Region { tag: name, open: 1, what, look });
                self.settle_look();
            } else if let Some(at) = self.region_of(name) {
                self.regions[at].open = self.regions[at].open.saturating_add(1);
            }
        }
        end
    }

    /// The open region that a tag of that name belongs to. Badly nested tags reach through regions that only look different, never
    /// through a quote.
    fn region_of(&self, name: &str) -> Option<usize> {
        for (at, region) in self.regions.iter().enumerate().rev() {
            if region.tag.eq_ignore_ascii_case(name) {
                return Some(at);
            }
            if region.what != What::Plain || region.look.concealed {
                return None;
            }
        }
        None
    }

    /// What the attributes of an element say about its content.
    fn meaning(&mut self, attributes: &str) -> (What, Look) {
        let (mut looks, mut what) = (false, What::Plain);
        if attributes.len() < 7 {
            return (what, Look::default());
        }
        for found in MARKS.find_iter(attributes) {
            match MARK_TABLE[found.pattern().as_usize()].1 {
                Mark::Looks => looks = true,
                Mark::RestQuoted => {
                    self.quote_rest = true;
                    self.line();
                }
                Mark::Quote => what = What::Quote,
                Mark::Signature if what == What::Plain => what = What::Signature,
                Mark::Signature => {}
            }
        }
        (what, if looks { Look::of(attributes) } else { Look::default() })
    }

    /// Whether the text that follows is seen, by all regions that are open.
    fn settle_look(&mut self) {
        let inner = |of: fn(&Look) -> Option<look::Colour>| self.regions.iter().rev().find_map(|r| of(&r.look));
        let tiny = self.regions.iter().rev().find_map(|r| r.look.tiny) == Some(true);
        let concealed = self.regions.iter().any(|r| r.look.concealed);
        let hidden = concealed
            || tiny
            || match (inner(|l| l.colour), inner(|l| l.background)) {
                (Some(colour), Some(background)) => look::same(colour, background),
                (Some(colour), None) => look::same(colour, WHITE) && self.is_plain_paper(),
                (None, _) => false,
            };
        self.hidden = hidden;
    }

    fn is_plain_paper(&mut self) -> bool {
        let html = self.html;
        *self.plain_paper.get_or_insert_with(|| !BACKGROUND.is_match(html))
    }

    fn close(&mut self, name: &str) {
        let lower = Lower::of(name);
        match block(lower.as_str()) {
            Block::Line => self.line(),
            Block::Paragraph => self.paragraph(),
            Block::Break | Block::Cell | Block::Inline => {}
        }
        if lower.as_str() == "pre" {
            self.pre = self.pre.saturating_sub(1);
        }
        if let Some(at) = self.region_of(name) {
            self.regions[at].open -= 1;
            if self.regions[at].open == 0 {
                let what = self.regions[at].what;
                self.regions.truncate(at);
                self.settle_look();
                self.line_at_edge(what);
            }
        }
    }

    /// Just behind `</name`…`>`; the end of the source if there is none.
    fn past_closing(&mut self, from: usize, name: &str) -> usize {
        let bytes = self.html.as_bytes();
        let mut at = from;
        while let Some(found) = memchr::memmem::find(&bytes[at..], b"</") {
            let start = at + found + 2;
            if bytes.len() >= start + name.len() && bytes[start..start + name.len()].eq_ignore_ascii_case(name.as_bytes()) {
                return memchr::memchr(b'>', &bytes[start..]).map_or(bytes.len(), |i| start + i + 1);
            }
            at = start;
        }
        bytes.len()
    }

    fn entity(&mut self, start: usize) -> usize {
        let bytes = self.html.as_bytes();
        let name_end = bytes[start + 1..]
            .iter()
            .take(32)
            .position(|b| !(b.is_ascii_alphanumeric() || *b == b'#'))
            .map_or(bytes.len().min(start + 33), |i| start + 1 + i);
        let name = &self.html[start + 1..name_end];
        let Some(c) = entity(name) else {
            self.text("&");
            return start + 1;
        };
        if c == '\u{a0}' {
            self.word(" ");
        } else if !matches!(c, '\u{ad}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\0') {
            self.word(c.encode_utf8(&mut [0; 4]));
        }
        if bytes.get(name_end) == Some(&b';') { name_end + 1 } else { name_end }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.pre > 0 || self.keep {
            for (i, line) in text.split('\n').enumerate() {
                if i > 0 {
                    self.newline();
                }
                let line = line.strip_suffix('\r').unwrap_or(line);
                if !line.is_empty() {
                    self.word(line);
                }
            }
            return;
        }
        let bytes = text.as_bytes();
        let mut at = 0;
        loop {
            let start = at + bytes[at..].iter().position(|b| !is_blank(*b)).unwrap_or(bytes.len() - at);
            self.space |= start > at;
            if start == bytes.len() {
                return;
            }
            // Words with single spaces between them are copied together.
            let mut end = start + 1;
            while end < bytes.len() && !(is_blank(bytes[end]) && (bytes[end] != b' ' || bytes.get(end + 1).is_none_or(|b| is_blank(*b)))) {
                end += 1;
            }
            self.word(&text[start..end]);
            at = end;
        }
    }

    fn word(&mut self, word: &str) {
        self.settle_kind();
        let hidden = self.hidden;
        let space = std::mem::take(&mut self.space);
        let out = if hidden { &mut self.out.hidden } else { &mut self.out.text };
        if space && !out.is_empty() && !out.ends_with(['\n', ' ']) {
            out.push(' ');
        }
        out.push_str(&fold::fold(word));
    }

    /// Marks where the kind of text changes.
    fn settle_kind(&mut self) {
        let kind = match self.regions.iter().find(|r| r.what != What::Plain) {
            _ if self.quote_rest => Kind::Quote,
            Some(region) if region.what == What::Signature => Kind::Signature,
            Some(_) => Kind::Quote,
            None => Kind::Plain,
        };
        if kind != self.kind && !self.hidden {
            self.line();
            self.out.marks.push((self.out.text.len(), kind));
            self.kind = kind;
        }
    }

    fn line_at_edge(&mut self, what: What) {
        if what != What::Plain {
            self.line();
        }
    }

    /// A new line, if this one holds anything.
    fn line(&mut self) {
        self.space = false;
        let out = if self.hidden { &mut self.out.hidden } else { &mut self.out.text };
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
    }

    fn newline(&mut self) {
        self.space = false;
        let out = if self.hidden { &mut self.out.hidden } else { &mut self.out.text };
        // A run of line breaks says no more than two.
        if !out.is_empty() && !out.ends_with("\n\n") {
            out.push('\n');
        }
    }

    /// An empty line between what was and what comes.
    fn paragraph(&mut self) {
        self.line();
        self.newline();
    }
}

static BACKGROUND: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder().ascii_case_insensitive(true).build(["background", "bgcolor"]).expect("the names are few and fixed")
});

#[derive(Clone, Copy)]
enum Mark {
    /// The attributes may change how the text looks.
    Looks,
    /// All that follows is an earlier message.
    RestQuoted,
    Quote,
    Signature,
}

/// Names in attributes by which mail programs mark what they put in.
const MARK_TABLE: [(&str, Mark); 20] = [
    ("style", Mark::Looks),
    ("hidden", Mark::Looks),
    ("color", Mark::Looks),
    ("background", Mark::Looks),
    ("divrplyfwdmsg", Mark::RestQuoted),
    ("appendonsend", Mark::RestQuoted),
    ("mail-editor-reference-message-container", Mark::RestQuoted),
    ("ms-outlook-mobile-reference-message", Mark::RestQuoted),
    ("olk_src_body_section", Mark::RestQuoted),
    ("gmail_quote", Mark::Quote),
    ("moz-cite-prefix", Mark::Quote),
    ("moz-forward-container", Mark::Quote),
    ("yahoo_quoted", Mark::Quote),
    ("protonmail_quote", Mark::Quote),
    ("zmail_extra", Mark::Quote),
    ("gmail_signature", Mark::Signature),
    ("moz-signature", Mark::Signature),
    ("protonmail_signature", Mark::Signature),
    ("ms-outlook-mobile-signature", Mark::Signature),
    ("id=\"signature\"", Mark::Signature),
];

static MARKS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(MARK_TABLE.iter().map(|(name, _)| name))
        .expect("the names are few and fixed")
});

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn tag_name(tag: &str) -> &str {
    let end = tag.bytes().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'))).unwrap_or(tag.len());
    &tag[..end]
}

/// A short name in lower case, without an allocation.
struct Lower {
    bytes: [u8; 12],
    len: usize,
}

impl Lower {
    fn of(name: &str) -> Lower {
        let mut bytes = [0; 12];
        let len = if name.len() <= 12 { name.len() } else { 0 };
        for (to, from) in bytes.iter_mut().zip(name[..len].bytes()) {
            *to = from.to_ascii_lowercase();
        }
        Lower { bytes, len }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

enum Block {
    Inline,
    Line,
    Paragraph,
    Break,
    Cell,
}

fn block(name: &str) -> Block {
    match name {
        "br" => Block::Break,
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => Block::Paragraph,
        "div" | "tr" | "table" | "ul" | "ol" | "li" | "blockquote" | "hr" | "section" | "article" | "header" | "footer" | "pre"
        | "center" | "form" | "dl" | "dt" | "dd" | "body" | "fieldset" | "address" | "main" | "nav" | "aside" | "option" => Block::Line,
        "td" | "th" => Block::Cell,
        _ => Block::Inline,
    }
}

/// The character of an entity, its ampersand and semicolon off.
fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        // Browsers read these as windows-1252.
        if (128..160).contains(&code) {
            return encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[code as u8]).0.chars().next();
        }
        return Some(char::from_u32(code).unwrap_or('\u{fffd}'));
    }
    let at = ENTITIES.binary_search_by_key(&name, |(n, _)| n).ok()?;
    Some(ENTITIES[at].1)
}

/// In order of their names.
const ENTITIES: [(&str, char); 62] = [
    ("AMP", '&'),
    ("Aacute", 'Á'),
    ("Eacute", 'É'),
    ("GT", '>'),
    ("LT", '<'),
    ("Ouml", 'Ö'),
    ("QUOT", '"'),
    ("Uuml", 'Ü'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("acute", '´'),
    ("agrave", 'à'),
    ("amp", '&'),
    ("apos", '\''),
    ("auml", 'ä'),
    ("bull", '•'),
    ("ccedil", 'ç'),
    ("cent", '¢'),
    ("commat", '@'),
    ("copy", '©'),
    ("deg", '°'),
    ("divide", '÷'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("egrave", 'è'),
    ("emsp", '\u{2003}'),
    ("ensp", '\u{2002}'),
    ("euro", '€'),
    ("frac12", '½'),
    ("frac14", '¼'),
    ("frac34", '¾'),
    ("gt", '>'),
    ("hellip", '…'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("laquo", '«'),
    ("ldquo", '“'),
    ("lsquo", '‘'),
    ("lt", '<'),
    ("mdash", '—'),
    ("middot", '·'),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("ntilde", 'ñ'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("ouml", 'ö'),
    ("period", '.'),
    ("pound", '£'),
    ("quot", '"'),
    ("raquo", '»'),
    ("rdquo", '”'),
    ("reg", '®'),
    ("rsquo", '’'),
    ("shy", '\u{ad}'),
    ("szlig", 'ß'),
    ("thinsp", '\u{2009}'),
    ("times", '×'),
    ("trade", '™'),
    ("uuml", 'ü'),
    ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shows_what_a_reader_sees() {
        assert!(ENTITIES.is_sorted_by_key(|(n, _)| *n));
        for (html, text) in [
            ("plain  text\nhere", "plain text here"),
            ("<p>One</p><p>Two</p>", "One\n\nTwo"),
            ("a<br>b<BR/>c", "a\nb\nc"),
            ("<div>a</div><div>b</div>", "a\nb"),
            ("<b>bo</b>ld <i>it</i>", "bold it"),
            ("a &lt;b&gt; &amp; &pound;5 &#163;6 &#xA3;7 &nbsp;x &unknown; &", "a <b> & £5 £6 £7  x &unknown; &"),
            ("<script>var a = '<p>x</p>';</script>b", "b"),
            ("<STYLE>p{}</STYLE >b", "b"),
            ("<style>p{}", ""),
            ("<!-- c <p> -->b", "b"),
            ("<!-- open <b>c", "c"),
            ("<a href=\"x>y\">link</a>", "link"),
            ("<a href=\"open>link</a>", "link"),
            ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
            ("<pre>a\n  b</pre>", "a\n  b"),
            ("<td>a</td><td>b</td>", "a b"),
            ("soft&shy;hyphen", "softhyphen"),
            ("<", "<"),
            ("<a", "a"),
        ] {
            assert_eq!(render(html, Lines::Collapse).text, text, "{html}");
        }
    }

    fn words_of(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn knows_what_is_hidden() {
        let r = render("<div style='DISPLAY : none'>pre<div>header</div>x</div>shown<span hidden>y</span>", Lines::Collapse);
        assert_eq!((r.text.as_str(), r.hidden.as_str()), ("shown", "pre\nheader\nx\ny"));
        for (html, seen, hidden) in [
            ("<p class=\"not hidden\">x</p>", "x", ""),
            ("<span style='font-size:0'>a</span>b", "b", "a"),
            // What newsletters do against gaps between cells.
            ("<td style='font-size:0px'><div style='font-size:13px'>a</div></td>", "a", ""),
            ("<span style='color:#fff'>a</span>b", "b", "a"),
            ("<font color=white>a</font>b", "b", "a"),
            ("<td bgcolor='#003366'><span style='color:#ffffff'>a</span></td> b", "a b", ""),
            ("<table style='background:url(x)'><tr><td style='color:#fff'>a", "a", ""),
            ("<div style='background-color:#eeeeee;color:#eee'>a</div>b", "b", "a"),
            ("<div style='color:#fff;background:#fff'>a<b style='color:#000'>c</b></div>", "c", "a"),
            ("<div style='opacity:0'>a</div>b", "b", "a"),
            ("<div style='position:absolute;left:-9999px'>a</div>b", "b", "a"),
            // Tags that cross each other leave no colour behind.
            ("<td style='display:none'>a<font color=red></td>b</font> c", "b c", "a"),
            ("<blockquote>old<span style='color:red'></blockquote>new</span>", "old\nnew", ""),
            ("con\u{200b}fi&shy;den\u{ad}tial\u{a0}now", "confidential now", ""),
        ] {
            let r = render(html, Lines::Collapse);
            assert_eq!((words_of(&r.text), words_of(&r.hidden)), (words_of(seen), words_of(hidden)), "{html}");
        }
    }

    #[test]
    fn knows_quotes_and_signatures() {
        let r = render(
            "new<blockquote>old<blockquote>older</blockquote>old</blockquote>more<div class=\"gmail_signature\">Jo</div>",
            Lines::Collapse,
        );
        assert_eq!(r.text, "new\nold\nolder\nold\nmore\nJo");
        assert_eq!(r.marks, [(4, Kind::Quote), (18, Kind::Plain), (23, Kind::Signature)]);
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        for piece in
            ["<a ", "<a b=\"", "<!--", "</", "<script", "<div style='display:none'>", "&#", "<blockquote>", "<a b='\"", "<title></"]
        {
            render(&piece.repeat(300_000 / piece.len()), Lines::Collapse);
        }
    }

    proptest! {
        #[test]
        fn any_text_renders(html in "[<>/a-c \"'=&;#!-]{0,80}|\\PC{0,80}") {
            let r = render(&html, Lines::Collapse);
            for (offset, _) in r.marks {
                prop_assert!(r.text.is_char_boundary(offset));
            }
        }
    }
}
