//! Replies (RFC 5321 §4.2), kept as the octets that go on the wire, so that an upstream's reply is relayed verbatim.

use std::fmt;

/// One complete reply: every line with its code, each ended by CRLF.
#[derive(Clone)]
pub struct Reply {
    code: u16,
    wire: Wire,
}

/// Most replies are short: those need no memory of their own.
#[derive(Clone)]
enum Wire {
    Fixed(&'static [u8]),
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

const SHORT: usize = 46;

impl Wire {
    fn new(octets: &[u8]) -> Wire {
        let mut short = [0; SHORT];
        match short.get_mut(..octets.len()) {
            Some(place) => {
                place.copy_from_slice(octets);
                Wire::Short(octets.len() as u8, short)
            }
            None => Wire::Long(octets.into()),
        }
    }
}

impl PartialEq for Reply {
    fn eq(&self, other: &Reply) -> bool {
        self.wire() == other.wire()
    }
}

impl Eq for Reply {}

/// The first digit of a reply code, which is all a client must understand (RFC 5321 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Success,
    Intermediate,
    Transient,
    Permanent,
}

impl Reply {
    /// A reply of our own, one line: `line` is `CODE SP text` without CRLF, known to be well formed.
    pub(crate) const fn fixed(code: u16, wire: &'static [u8]) -> Reply {
        Reply { code, wire: Wire::Fixed(wire) }
    }

    /// A reply of our own in one line. What is not printable ASCII in `text` is replaced by `?`, and it is cut at 480 octets
    /// (RFC 5321 §4.5.3.1.5 allows 512 for the line), so that nothing from a rule or a message can start a second line.
    pub fn line(code: u16, enhanced: &str, text: &str) -> Reply {
        let mut wire = Vec::with_capacity(text.len() + 16);
        wire.extend_from_slice(format!("{code} {enhanced} ").as_bytes());
        wire.extend(text.chars().take(480).map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }));
        wire.extend_from_slice(b"\r\n");
        Reply { code, wire: Wire::new(&wire) }
    }

    /// A reply as it came from an upstream: `wire` was found well formed by the reply parser.
    pub(crate) fn received(code: u16, wire: &[u8]) -> Reply {
        Reply { code, wire: Wire::new(wire) }
    }

    pub fn code(&self) -> u16 {
        self.code
    }

    /// The octets as they go on the wire.
    pub fn wire(&self) -> &[u8] {
        match &self.wire {
            Wire::Fixed(octets) => octets,
            Wire::Short(length, octets) => &octets[..usize::from(*length)],
            Wire::Long(octets) => octets,
        }
    }

    pub fn severity(&self) -> Severity {
        match self.code / 100 {
            2 => Severity::Success,
            3 => Severity::Intermediate,
            5 => Severity::Permanent,
            _ => Severity::Transient,
        }
    }

    pub fn is_success(&self) -> bool {
        self.severity() == Severity::Success
    }

    /// The text of every line, without codes, joined by one space; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for line in self.lines() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&String::from_utf8_lossy(line));
        }
        out
    }

    /// Each line's text, after its code and separator.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.wire().split(|&b| b == b'\n').filter(|l| !l.is_empty()).map(|l| {
            let l = l.strip_suffix(b"\r").unwrap_or(l);
            l.get(4..).unwrap_or(b"")
        })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.wire()).trim_end())
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(String::from_utf8_lossy(self.wire()).trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_cannot_write_a_second_line() {
        let reply = Reply::line(550, "5.7.1", "no\r\n250 yes – é");
        assert_eq!(reply.wire(), b"550 5.7.1 no??250 yes ? ?\r\n");
        assert_eq!(reply.severity(), Severity::Permanent);
    }
}
