//! Header fields as byte ranges, cut by a strict scanner (RFC 5322 §2.2, §3.6.8).
//!
//! It never guesses: a line that is no field ends the header and is said so, since readers disagree about what follows.

use std::ops::Range;

use super::reading::{Question, Reading};

/// One header field. All ranges are offsets in the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The whole field with its continuation lines and the last CRLF.
    pub whole: Range<usize>,
    /// The name, without the colon and blanks before it (RFC 5322 §4.5 allows those in old mail).
    pub name: Range<usize>,
    /// What follows the colon, without the last CRLF.
    pub body: Range<usize>,
}

/// What the scanner found between an offset and the start of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub fields: Vec<Field>,
    /// Where the body starts: after the blank line, or at the line that is no field.
    pub end: usize,
    pub closing: Closing,
    /// A continuation line has only blanks: some readers take it for the end of the header.
    pub blank_continuation: bool,
    /// A name is followed by blanks before its colon: some readers do not take it for a field.
    pub blank_before_colon: bool,
    /// Lines that are no fields and were passed over: only in readings that do so.
    pub skipped: usize,
}

/// How a header ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// By a blank line, as it should.
    BlankLine,
    /// The message ends first.
    EndOfMessage,
    /// By a line that is neither field nor continuation, at this offset.
    Invalid(usize),
    /// It goes on and on; nothing behind this offset was looked at as a field.
    TooLong(usize),
}

/// No honest header has more fields, or is longer; 13,000 recipients fit.
pub const MAX_FIELDS: usize = 10_000;
pub const MAX_HEADER: usize = 1 << 20;

/// Scans the header that starts at `range.start`; nothing behind `range.end` is looked at.
pub fn scan(bytes: &[u8], range: Range<usize>) -> Header {
    scan_as(bytes, range, &Reading::default())
}

/// The same, as a program of that reading does it.
pub fn scan_as(bytes: &[u8], range: Range<usize>, reading: &Reading) -> Header {
    let skip_junk = reading.answer(Question::JunkLine) == 1;
    let blank_ends = reading.answer(Question::BlankLine) == 1;
    let tight_colon = reading.answer(Question::SpacedColon) == 1;
    let mut header = Header {
        fields: Vec::with_capacity(24),
        end: range.end,
        closing: Closing::EndOfMessage,
        blank_continuation: false,
        blank_before_colon: false,
        skipped: 0,
    };
    let mut at = range.start;
    while at < range.end {
        let rest = &bytes[at..range.end];
        if rest[0] == b'\n' || rest.starts_with(b"\r\n") {
            header.end = at + if rest[0] == b'\n' { 1 } else { 2 };
            header.closing = Closing::BlankLine;
            return header;
        }
        let Some((name, colon)) = field_name(rest).filter(|(name, colon)| !tight_colon || name == colon) else {
            if (skip_junk || tight_colon && field_name(rest).is_some()) && at - range.start < MAX_HEADER {
                header.skipped += 1;
                at = continued_end(bytes, at, range.end, blank_ends).0;
                continue;
            }
            header.end = at;
            header.closing = Closing::Invalid(at);
            return header;
        };
        header.blank_before_colon |= name != colon;
        if header.fields.len() >= MAX_FIELDS || at - range.start >= MAX_HEADER {
            header.end = at;
            header.closing = Closing::TooLong(at);
            return header;
        }
        let (end, blank) = continued_end(bytes, at, range.end, blank_ends);
        header.blank_continuation |= blank;
        let body_end = at + rest[..end - at].strip_suffix(b"\n").map_or(end - at, |r| r.strip_suffix(b"\r").unwrap_or(r).len());
        let body_start = at + colon + 1;
        header.fields.push(Field { whole: at..end, name: at..at + name, body: body_start..body_end.max(body_start) });
        at = end;
        if blank_ends && blank {
            header.end = line_end(bytes, at, range.end);
            header.closing = Closing::BlankLine;
            return header;
        }
    }
    header
}

/// Where the line at `at` ends with its continuation lines, and whether one of these has only blanks. If blanks end a header, the
/// end is before that line.
fn continued_end(bytes: &[u8], at: usize, limit: usize, blank_ends: bool) -> (usize, bool) {
    let mut end = line_end(bytes, at, limit);
    let mut blank = false;
    while end < limit && matches!(bytes[end], b' ' | b'\t') {
        let next = line_end(bytes, end, limit);
        if bytes[end..next].trim_ascii().is_empty() {
            blank = true;
            if blank_ends {
                break;
            }
        }
        end = next;
    }
    (end, blank)
}

/// The offset just after the next line feed.
fn line_end(bytes: &[u8], from: usize, limit: usize) -> usize {
    memchr::memchr(b'\n', &bytes[from..limit]).map_or(limit, |i| from + i + 1)
}

/// The length of the field name at the start of `line`, and where its colon is.
fn field_name(line: &[u8]) -> Option<(usize, usize)> {
    let name = line.iter().position(|&b| b == b':' || !b.is_ascii_graphic())?;
    let colon = name + line[name..].iter().position(|&b| !matches!(b, b' ' | b'\t'))?;
    (name > 0 && line[colon] == b':').then_some((name, colon))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_without_end_is_cut() {
        let bytes = b"a:\r\n".repeat(MAX_FIELDS + 5);
        let header = scan(&bytes, 0..bytes.len());
        assert_eq!(header.fields.len(), MAX_FIELDS);
        assert_eq!(header.closing, Closing::TooLong(MAX_FIELDS * 4));
    }
}
