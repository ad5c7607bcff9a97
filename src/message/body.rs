//! The readable body: what the sender wrote now, what is quoted, and the footer.
//!
//! Only text that a reader sees at once is read: of alternatives the plain one, no attachments, no embedded messages. Wrong guesses
//! err towards *new*: a rule must not miss what the sender wrote because it looked like a quote.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::View;
use super::fold;
use super::parts::Part;
use super::text::{self, Kind, Lines};

/// The readable text of a message, in the order that a reader sees it within each piece; lines end with a line feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyText {
    /// Without quotes and footer.
    pub new: String,
    pub quoted: String,
    /// Signature and legal disclaimer.
    pub footer: String,
    pub all: String,
    /// Text in the HTML that no reader is shown; in none of the others.
    pub hidden: String,
}

pub(super) fn read(view: &View<'_>) -> BodyText {
    let mut body = BodyText::default();
    for index in readable(view) {
        let part = &view.parts()[index];
        let Some(source) = view.part_source(part) else { continue };
        if part.content_type == "text/html" {
            let rendered = text::render(&source, Lines::Collapse);
            body.hidden.push_str(&rendered.hidden);
            split(&rendered.text, &rendered.marks, &mut body);
        } else if part.param("format").is_some_and(|f| f.eq_ignore_ascii_case("flowed")) {
            let deletes = part.param("delsp").is_some_and(|d| d.eq_ignore_ascii_case("yes"));
            split(&fold::fold(&unflow(&source, deletes)), &[], &mut body);
        } else {
            split(&fold::fold(&source), &[], &mut body);
        }
    }
    body
}

/// One text sorted into its pieces; `marks` are those of the HTML it came from.
pub(super) fn sorted(text: &str, marks: &[(usize, Kind)]) -> BodyText {
    let mut body = BodyText::default();
    split(text, marks, &mut body);
    body
}

/// The text parts that are the body, by their place in the list.
pub(super) fn readable(view: &View<'_>) -> Vec<usize> {
    let parts = view.parts();
    let end_of = |i: usize| parts[i + 1..].iter().position(|p| p.depth <= parts[i].depth).map_or(parts.len(), |n| i + 1 + n);
    let mut out = Vec::new();
    // Ranges still to be read, the next one last; a part's descendants follow it in the list.
    let mut todo = vec![(0, parts.len())];
    while let Some((start, end)) = todo.pop() {
        let mut i = start;
        while i < end {
            let part = &parts[i];
            if i > 0 && part.is_attachment || part.nested_message {
                i = end_of(i);
                continue;
            }
            if part.is_multipart && part.content_type == "multipart/alternative" {
                let after = end_of(i);
                todo.push((after, end));
                if let Some(choice) = alternative(view, i, after) {
                    todo.push((choice, end_of(choice)));
                }
                break;
            }
            if part.is_leaf() && part.is_text() && part.content_type != "text/calendar" {
                out.push(i);
            }
            i += 1;
        }
    }
    out
}

/// Of the alternatives in `multipart`: the plain text if it says anything, else the last that has text.
fn alternative(view: &View<'_>, multipart: usize, end: usize) -> Option<usize> {
    let parts = view.parts();
    let children = (multipart + 1..end).filter(|&i| parts[i].parent == Some(multipart));
    let mut fallback = None;
    for child in children {
        let part = &parts[child];
        if part.content_type == "text/plain" && part.is_leaf() {
            if says_something(view, part) {
                return Some(child);
            }
        } else if part.is_multipart || part.is_text() && part.content_type != "text/calendar" {
            fallback = Some(child);
        }
    }
    fallback
}

/// The new text of the alternatives that [`read`] passes over.
pub(super) fn other_alternatives(view: &View<'_>, word: &str) -> Vec<String> {
    let parts = view.parts();
    let chosen = readable(view);
    let in_alternative = |part: &Part| {
        std::iter::successors(part.parent, |up| parts[*up].parent).any(|up| parts[up].content_type == "multipart/alternative")
    };
    let mut out = Vec::new();
    for (i, part) in parts.iter().enumerate() {
        let shown = part.is_leaf() && part.is_text() && !part.is_attachment && part.content_type != "text/calendar";
        if !shown || chosen.contains(&i) || view.is_nested(part) || !in_alternative(part) {
            continue;
        }
        let Some(source) = view.part_source(part) else { continue };
        if !source.contains("&#") && !source.to_ascii_lowercase().contains(word) {
            continue;
        }
        let new = if part.content_type == "text/html" {
            let rendered = text::render(&source, Lines::Collapse);
            sorted(&rendered.text, &rendered.marks).new
        } else {
            sorted(&source, &[]).new
        };
        out.push(new);
    }
    out
}

fn says_something(view: &View<'_>, part: &Part) -> bool {
    view.decoded_prefix(part, 512).iter().any(|b| b.is_ascii_alphanumeric() || *b >= 128)
}

/// Joins the lines of format=flowed, each depth of quoting for itself (RFC 3676 §4).
fn unflow(source: &str, deletes: bool) -> String {
    let mut out = String::with_capacity(source.len());
    // The depth of the paragraph that goes on.
    let mut open: Option<usize> = None;
    for line in source.lines() {
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let text = &line[depth..];
        let text = text.strip_prefix(' ').unwrap_or(text);
        let is_signature = text == "-- ";
        if open.is_some_and(|d| d != depth || is_signature) {
            out.push('\n');
            open = None;
        }
        if open.is_none() && depth > 0 {
            out.extend(std::iter::repeat_n('>', depth));
            out.push(' ');
        }
        if text.ends_with(' ') && !is_signature {
            out.push_str(if deletes { &text[..text.len() - 1] } else { text });
            open = Some(depth);
        } else {
            out.push_str(text);
            out.push('\n');
            open = None;
        }
    }
    if open.is_some() {
        out.push('\n');
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    New,
    Quoted,
    Footer,
}

/// What is longer is not sorted beyond this: it counts as new.
const MAX_SORTED: usize = 1 << 20;

/// Sorts the lines of one text into the body's pieces.
fn split(text: &str, marks: &[(usize, Kind)], body: &mut BodyText) {
    let cut = if text.len() > MAX_SORTED { text.floor_char_boundary(MAX_SORTED) } else { text.len() };
    let (text, rest) = text.split_at(cut);
    sort(text, marks, body);
    for out in [&mut body.new, &mut body.all] {
        out.push_str(rest);
    }
}

fn sort(text: &str, marks: &[(usize, Kind)], body: &mut BodyText) {
    let lines: Vec<&str> = text.lines().collect();
    let mut classes = vec![Class::New; lines.len()];
    mark_quotes(text, &lines, marks, &mut classes);
    mark_signature(&lines, &mut classes);
    mark_disclaimer(&lines, &mut classes);
    body.all.reserve(text.len() + 1);
    if classes.iter().all(|c| *c == Class::New) {
        body.new.reserve(text.len() + 1);
    }
    for (line, class) in lines.iter().zip(classes) {
        let piece = match class {
            Class::New => &mut body.new,
            Class::Quoted => &mut body.quoted,
            Class::Footer => &mut body.footer,
        };
        for out in [piece, &mut body.all] {
            out.push_str(line);
            out.push('\n');
        }
    }
}

fn mark_quotes(text: &str, lines: &[&str], marks: &[(usize, Kind)], classes: &mut [Class]) {
    let mut marks = marks.iter().peekable();
    let mut kind = Kind::Plain;
    let mut i = 0;
    while i < lines.len() {
        let offset = lines[i].as_ptr() as usize - text.as_ptr() as usize;
        while let Some((_, next)) = marks.next_if(|(at, _)| *at <= offset) {
            kind = *next;
        }
        let line = lines[i].trim();
        match kind {
            Kind::Quote => classes[i] = Class::Quoted,
            Kind::Signature => classes[i] = Class::Footer,
            Kind::Plain if line.starts_with('>') => classes[i] = Class::Quoted,
            Kind::Plain => match opening(lines, i) {
                Some(Opening::Rest) => {
                    classes[i..].fill(Class::Quoted);
                    return;
                }
                Some(Opening::Attribution(count)) => {
                    classes[i..i + count].fill(Class::Quoted);
                    i += count;
                    continue;
                }
                None => {}
            },
        }
        i += 1;
    }
}

/// What opens a quote.
enum Opening {
    /// Everything from here on is an earlier message.
    Rest,
    /// "On … wrote:" over so many lines, with marked quotes after it.
    Attribution(usize),
}

fn opening(lines: &[&str], i: usize) -> Option<Opening> {
    let line = lines[i].trim();
    match line.as_bytes().first()? {
        b'-' if is_divider(line) => Some(Opening::Rest),
        b'_' if line.len() >= 20
            && line.bytes().all(|b| b == b'_')
            && (i + 1..lines.len().min(i + 4)).any(|j| is_header_block(lines, j)) =>
        {
            Some(Opening::Rest)
        }
        b'B' if line.eq_ignore_ascii_case("begin forwarded message:") => Some(Opening::Rest),
        b'*' | b'F' | b'V' | b'D' | b'O' if is_header_block(lines, i) => Some(Opening::Rest),
        b'O' | b'A' => attribution(lines, i),
        _ => None,
    }
}

/// "-----Original Message-----" and its kind.
fn is_divider(line: &str) -> bool {
    let words = line.trim_matches(|c| matches!(c, '-' | ' '));
    line.starts_with("--")
        && ["original message", "forwarded message", "original appointment", "neges wreiddiol", "reply message"]
            .iter()
            .any(|w| words.eq_ignore_ascii_case(w))
        || line.starts_with("---") && words.get(..13).is_some_and(|w| w.eq_ignore_ascii_case("forwarded by "))
}

/// The block of fields that Outlook puts above an earlier message.
fn is_header_block(lines: &[&str], i: usize) -> bool {
    let label = |line: &str, names: &[&str]| {
        let line = line.trim().trim_start_matches('*');
        names.iter().any(|n| {
            line.get(..n.len()).is_some_and(|l| l.eq_ignore_ascii_case(n))
                && line[n.len()..].trim_start_matches('*').trim_start().starts_with(':')
        })
    };
    label(lines[i], &["From", "Von", "De", "Oddi wrth"])
        && lines[i + 1..].iter().take(5).any(|l| label(l, &["Sent", "Date", "Gesendet", "Envoyé", "Anfonwyd", "Dyddiad"]))
        && lines[i + 1..].iter().take(8).any(|l| label(l, &["To", "Subject", "An", "Betreff", "À", "Objet", "At", "Pwnc"]))
}

/// "On 3 May 2026, Jo wrote:", which mail programs wrap over up to four lines.
fn attribution(lines: &[&str], i: usize) -> Option<Opening> {
    let first = lines[i].trim();
    if !(first.starts_with("On ") || first.starts_with("Ar ")) {
        return None;
    }
    let count = lines[i..].iter().take(4).take_while(|l| !l.trim().is_empty()).position(|l| {
        let l = l.trim_end();
        l.ends_with("wrote:") || l.ends_with("writes:") || l.ends_with("ysgrifennodd:")
    })? + 1;
    if !lines[i..i + count].iter().any(|l| l.bytes().any(|b| b.is_ascii_digit() || b == b'@')) {
        return None;
    }
    let next = lines[i + count..].iter().find(|l| !l.trim().is_empty());
    Some(if next.is_none_or(|l| l.trim_start().starts_with('>')) { Opening::Attribution(count) } else { Opening::Rest })
}

/// The signature begins at "-- " (RFC 3676 §4.3). A long text below that line is no signature.
fn mark_signature(lines: &[&str], classes: &mut [Class]) {
    let Some(start) = (0..lines.len()).rev().find(|&i| classes[i] == Class::New && matches!(lines[i].trim_end_matches('\r'), "-- " | "--"))
    else {
        return;
    };
    let below: usize = (start + 1..lines.len()).filter(|&i| classes[i] == Class::New).map(|i| lines[i].len()).sum();
    if below <= 2_500 {
        classes[start..].iter_mut().filter(|c| **c == Class::New).for_each(|c| *c = Class::Footer);
    }
}

/// A legal disclaimer at the end, with the small print around it.
fn mark_disclaimer(lines: &[&str], classes: &mut [Class]) {
    let mut start = None;
    let mut small = 0;
    let mut end = lines.len();
    while end > 0 {
        // One paragraph, from the end: new lines between blank ones.
        while end > 0 && (classes[end - 1] != Class::New || lines[end - 1].trim().is_empty()) {
            end -= 1;
        }
        let mut first = end;
        let mut length = 0;
        // No disclaimer is longer, and long texts without a blank line are no disclaimers.
        while first > 0 && length < 3_000 && classes[first - 1] == Class::New && !lines[first - 1].trim().is_empty() {
            first -= 1;
            length += lines[first].len();
        }
        if first == end {
            break;
        }
        let paragraph = &lines[first..end];
        if let Some(line) = disclaimer_start(paragraph) {
            start = Some(first + line);
            // What stands above it in the same paragraph was written.
            if line > 0 {
                break;
            }
        } else {
            small += 1;
            if small > 6 || length > 250 {
                break;
            }
        }
        end = first;
    }
    if let Some(start) = start {
        classes[start..].iter_mut().filter(|c| **c == Class::New).for_each(|c| *c = Class::Footer);
    }
}

/// The line at which a paragraph turns into a disclaimer; none if it is no disclaimer.
fn disclaimer_start(paragraph: &[&str]) -> Option<usize> {
    let mut score = 0;
    let mut start = None;
    let joined = paragraph.join(" ");
    if !could_disclaim(&joined) {
        return None;
    }
    let mut seen = [false; PHRASES.len()];
    for found in MATCHER.find_overlapping_iter(&joined) {
        let phrase = found.pattern().as_usize();
        if !std::mem::replace(&mut seen[phrase], true) {
            score += PHRASES[phrase].1;
        }
        start.get_or_insert(found.start());
    }
    if score < 4 {
        return None;
    }
    let mut offset = 0;
    let start = start?;
    Some(
        paragraph
            .iter()
            .take_while(|line| {
                offset += line.len() + 1;
                offset <= start
            })
            .count(),
    )
}

/// Whether any word of the phrases is there at all. In nearly all mail none is, and a few plain searches cost a tenth of the whole.
fn could_disclaim(paragraph: &str) -> bool {
    let lower = paragraph.to_ascii_lowercase();
    STEMS.iter().any(|stem| stem.find(lower.as_bytes()).is_some())
}

/// The longest word of each phrase.
static STEMS: LazyLock<Vec<memchr::memmem::Finder<'static>>> = LazyLock::new(|| {
    let longest = |phrase: &'static str| phrase.split(' ').max_by_key(|word| word.len()).unwrap_or(phrase);
    let words: std::collections::BTreeSet<&'static str> = PHRASES.iter().map(|(phrase, _)| longest(phrase)).collect();
    words.into_iter().map(memchr::memmem::Finder::new).collect()
});

static MATCHER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(PHRASES.iter().map(|(p, _)| p))
        .expect("the phrases are few and fixed")
});

/// What disclaimers say, and how much each phrase tells.
const PHRASES: [(&str, u32); 40] = [
    ("this email and any", 1),
    ("this e-mail and any", 1),
    ("this message and any", 1),
    ("this email is", 1),
    ("this e-mail is", 1),
    ("this message is", 1),
    ("the information in this", 1),
    ("the information contained in this", 2),
    ("the contents of this", 1),
    ("confidentiality notice", 3),
    ("disclaimer", 2),
    ("intended recipient", 3),
    ("intended only for", 2),
    ("intended solely", 3),
    ("solely for the use", 3),
    ("solely for the addressee", 3),
    ("named addressee", 3),
    ("the addressee", 2),
    ("received this email in error", 3),
    ("received this e-mail in error", 3),
    ("received this message in error", 3),
    ("received it in error", 3),
    ("legally privileged", 2),
    ("confidential", 1),
    ("privileged", 1),
    ("notify the sender", 2),
    ("delete it from", 1),
    ("views expressed", 2),
    ("opinions expressed", 2),
    ("do not necessarily", 1),
    ("accept liability", 2),
    ("no liability", 2),
    ("accept no responsibility", 2),
    ("virus", 1),
    ("strictly prohibited", 2),
    ("unauthorised", 1),
    ("data protection act", 1),
    ("freedom of information act", 2),
    ("may be monitored", 2),
    ("consider the environment", 4),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pieces(text: &str) -> (String, String, String) {
        let mut body = BodyText::default();
        split(text, &[], &mut body);
        assert_eq!(body.all.trim_end(), text.trim_end());
        (body.new.trim().into(), body.quoted.trim().into(), body.footer.trim().into())
    }

    #[test]
    fn quotes_are_told_apart() {
        for (text, new) in [
            ("Yes.\n\n> Is it?\n", "Yes."),
            ("Yes.\n\nOn 3 May 2026 at 10:00, Jo <jo@x.uk> wrote:\n> Is it?\n\nMore.\n", "Yes.\n\n\nMore."),
            ("Yes.\n\nOn Mon, 3 May 2026 at 10:00, Jo Smith\n<jo@x.uk> wrote:\n\nIs it?\nI ask.", "Yes."),
            ("Yes.\n-----Original Message-----\nFrom: x\nIs it?", "Yes."),
            ("Yes.\n---------- Forwarded message ---------\nFrom: x\nIs it?", "Yes."),
            ("FYI\n\nBegin forwarded message:\n\nFrom: x", "FYI"),
            ("Yes.\n________________________________\nFrom: Jo <jo@x.uk>\nSent: 3 May\nTo: Al\nSubject: x\n\nIs it?", "Yes."),
            ("Yes.\n\nFrom: Jo\nSent: 3 May\nTo: Al\nSubject: x\n\nIs it?", "Yes."),
            ("From: now on we meet at 7.\nOn Tuesday Jo wrote:\nnothing.", "From: now on we meet at 7.\nOn Tuesday Jo wrote:\nnothing."),
            ("-----\nA divider of my own\n-----", "-----\nA divider of my own\n-----"),
        ] {
            assert_eq!(pieces(text).0, new, "{text:?}");
        }
    }

    #[test]
    fn footers_are_told_apart() {
        let disclaimer = "This email and any attachments are confidential and intended solely for\nthe addressee. If you have received this email in error please notify\nthe sender.";
        let (new, _, footer) =
            pieces(&format!("Hello\n\nThe tender is confidential.\n\nRegards\nJo\n\n{disclaimer}\n\nwww.wragby.example\n"));
        assert_eq!(new, "Hello\n\nThe tender is confidential.\n\nRegards\nJo");
        assert!(footer.starts_with("This email and any") && footer.ends_with("www.wragby.example"), "{footer}");
        let (new, _, footer) = pieces(&format!("Regards\nJo\n{disclaimer}"));
        assert_eq!((new.as_str(), footer.as_str()), ("Regards\nJo", disclaimer));
        assert_eq!(pieces("Hi\n-- \nJo Smith\nClerk").2, "-- \nJo Smith\nClerk");
        assert_eq!(pieces("Hi\n-- \nJo\n\n> old").0, "Hi");
        let long = format!("Hi\n-- \n{}", "much text\n".repeat(400));
        assert_eq!(pieces(&long).2, "");
        assert_eq!(pieces("The disclaimer is on page 3.").2, "");
    }

    #[test]
    fn flowed_lines_are_joined() {
        for (source, deletes, text) in [
            ("a \r\nb\r\n> q \r\n  c\r\n-- \r\nd", false, "a b\n> q \n c\n-- \nd\n"),
            ("a \nb", true, "ab\n"),
            ("> one \n> two\n>> deeper \n>> still\nnew", false, "> one two\n>> deeper still\nnew\n"),
            ("sentence \n-- \nJo", false, "sentence \n-- \nJo\n"),
            (" >not a quote", false, ">not a quote\n"),
            ("ends open ", false, "ends open \n"),
        ] {
            assert_eq!(unflow(source, deletes), text, "{source:?}");
        }
    }

    /// Writes one paragraph as RFC 3676 §4.2 asks: broken behind blanks, stuffed where a line could be misread.
    fn flow(paragraph: &str, depth: usize) -> String {
        let mut out = String::new();
        let pieces: Vec<&str> = paragraph.split_inclusive(' ').collect();
        for line in pieces.chunks(3) {
            let line = line.concat();
            let stuffed = depth > 0 || line.starts_with([' ', '>']) || line.starts_with("From ");
            out.push_str(&">".repeat(depth));
            out.push_str(if stuffed { " " } else { "" });
            out.push_str(&line);
            out.push_str("\r\n");
        }
        out
    }

    proptest! {
        /// What a program flowed comes back as the paragraphs it was written in.
        #[test]
        fn flowing_comes_back(paragraphs in proptest::collection::vec((0usize..3, "[a-z>]{1,9}( [a-z>]{1,9}){0,12}"), 0..6)) {
            let wire: String = paragraphs.iter().map(|(depth, p)| flow(p, *depth)).collect();
            let expected: String = paragraphs
                .iter()
                .map(|(depth, p)| if *depth > 0 { format!("{} {p}\n", ">".repeat(*depth)) } else { format!("{p}\n") })
                .collect();
            prop_assert_eq!(unflow(&wire, false), expected);
        }
    }
}
