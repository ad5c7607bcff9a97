//! Addresses as the envelope carries them: `local-part "@" domain` (RFC 5321 §4.1.2, RFC 6531 §3.3).

use std::fmt;

/// A mailbox: local part and domain, its text kept as it came.
///
/// Source routes are cut off while parsing (RFC 5321 §3.3 allows a server to ignore them); a quoted local part keeps its quotes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    text: Box<str>,
    at: u32,
}

/// Why a path was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("the address is empty")]
    Empty,
    #[error("the local part is longer than 64 octets")]
    LongLocalPart,
    #[error("the address is longer than 254 octets")]
    Long,
    #[error("the address has no domain")]
    NoDomain,
    #[error("the domain is not well formed")]
    Domain,
    #[error("the local part is not well formed")]
    LocalPart,
    #[error("the address has characters outside ASCII")]
    NotAscii,
}

/// Whether addresses may hold UTF-8 (the transaction said SMTPUTF8, RFC 6531).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    Ascii,
    Utf8,
}

impl Address {
    /// Parses `local@domain`, without angle brackets.
    pub fn parse(text: &str, charset: Charset) -> Result<Address, AddressError> {
        let text = strip_route(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if charset == Charset::Ascii && !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        let at = split_at(text.as_bytes()).ok_or(AddressError::NoDomain)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        // RFC 5321 §4.5.3.1.1: a local part has at most 64 octets; §4.5.3.1.3: a path has at most 256 with its brackets.
        if local.len() > 64 {
            return Err(AddressError::LongLocalPart);
        }
        if text.len() > 254 {
            return Err(AddressError::Long);
        }
        if !local_part_is_valid(local.as_bytes()) {
            return Err(AddressError::LocalPart);
        }
        if !domain_is_valid(domain.as_bytes()) {
            return Err(AddressError::Domain);
        }
        Ok(Address { text: text.into(), at: at as u32 })
    }

    /// The fast way for what nearly every path is: a dot-string, an `@`, a plain domain. None for all else, good or bad.
    pub(crate) fn parse_plain(path: &[u8]) -> Option<Address> {
        let at = path.iter().position(|&b| b == b'@')?;
        let (local, domain) = (&path[..at], &path[at + 1..]);
        let plain = |b: &u8| b.is_ascii() && ATEXT_OR_DOT[*b as usize];
        let good = !local.is_empty()
            && local.len() <= 64
            && path.len() <= 254
            && local.iter().all(plain)
            && domain.is_ascii()
            && domain_is_valid(domain)
            && domain[0] != b'[';
        let text = good.then(|| std::str::from_utf8(path).ok())??;
        Some(Address { text: text.into(), at: at as u32 })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn local(&self) -> &str {
        &self.text[..self.at as usize]
    }

    pub fn domain(&self) -> &str {
        &self.text[self.at as usize + 1..]
    }

    /// The form that two spellings of one mailbox share: lower case, the domain in IDNA's ASCII form, needless quotes off.
    ///
    /// RFC 5321 §2.4 makes local parts case-sensitive; no provider that councils use treats them so, and an address that differs
    /// only in case is the same person.
    pub fn normal(&self) -> String {
        normal(self.local(), self.domain())
    }
}

/// The common form of an address that was never parsed as a path (from a header field): see [`Address::normal`].
pub fn normal(local: &str, domain: &str) -> String {
    let local = unquote(local);
    let mut out = String::with_capacity(local.len() + domain.len() + 1);
    if local.is_ascii() {
        out.extend(local.chars().map(|c| c.to_ascii_lowercase()))
    } else {
        out.push_str(&local.to_lowercase())
    }
    out.push('@');
    out.push_str(&normal_domain(domain));
    out
}

/// A domain in lower case and IDNA's ASCII form, without final dots. A domain that IDNA refuses is only lower-cased.
pub fn normal_domain(domain: &str) -> String {
    let domain = domain.trim_end_matches('.');
    if domain.is_ascii() && !domain.contains("xn--") {
        return domain.to_ascii_lowercase();
    }
    let mut normal = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
    // IDNA makes dots of the full stops of other scripts.
    normal.truncate(normal.trim_end_matches('.').len());
    normal
}

fn unquote(local: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) else { return local.into() };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out.into()
}

/// RFC 5321 §4.1.1.3 and appendix C: `@a,@b:user@host` is `user@host`.
fn strip_route(text: &str) -> &str {
    match text.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some((route, rest)) if !route.contains('"') => rest,
        _ => text,
    }
}

/// The `@` that ends the local part: the first one outside quotes.
fn split_at(text: &[u8]) -> Option<usize> {
    if text.first() != Some(&b'"') {
        return memchr::memchr(b'@', text);
    }
    let mut i = 1;
    while i < text.len() {
        match text[i] {
            b'\\' => i += 2,
            b'"' => return (text.get(i + 1) == Some(&b'@')).then_some(i + 1),
            _ => i += 1,
        }
    }
    None
}

fn local_part_is_valid(local: &[u8]) -> bool {
    match local {
        [] => false,
        [b'"', inner @ .., b'"'] => {
            let mut i = 0;
            while i < inner.len() {
                match inner[i] {
                    b'\\' => match inner.get(i + 1) {
                        Some(32..=126) => i += 2,
                        _ => return false,
                    },
                    32..=126 if inner[i] != b'"' => i += 1,
                    128.. => i += 1,
                    _ => return false,
                }
            }
            true
        }
        // Dots at the ends and doubled are outside RFC 5321's Dot-string, but live mailboxes have them; they are no danger here.
        _ => local.iter().all(|&b| ATEXT_OR_DOT[b as usize]),
    }
}

const ATEXT_OR_DOT: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = matches!(b as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'/' | b'=' | b'?' | b'^' | b'_' | b'`' | b'{' | b'|' | b'}' | b'~' | b'.' | 128..);
        b += 1;
    }
    table
};

/// RFC 5321 §4.1.2 `Domain` or `address-literal`; underscores are let through, since mail to such hosts exists.
pub(crate) fn domain_is_valid(domain: &[u8]) -> bool {
    if let [b'[', literal @ .., b']'] = domain {
        return !literal.is_empty() && literal.iter().all(|&b| matches!(b, 33..=90 | 94..=126));
    }
    let domain = domain.strip_suffix(b".").unwrap_or(domain);
    if domain.is_empty() || domain.len() > 253 {
        return false;
    }
    let mut label = 0;
    let mut last = b'.';
    for &b in domain {
        match b {
            b'.' if label == 0 || last == b'-' => return false,
            b'.' => label = 0,
            b'-' if label == 0 => return false,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | 128.. => {
                label += 1;
                if label > 63 {
                    return false;
                }
            }
            _ => return false,
        }
        last = b;
    }
    label > 0 && last != b'-'
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Shows no address: this is what reaches a log by accident.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// The reverse path of a transaction (RFC 5321 §4.1.1.2): an address, or `<>` for mail that must not be bounced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReversePath {
    Null,
    Address(Address),
}

impl ReversePath {
    pub fn as_str(&self) -> &str {
        match self {
            ReversePath::Null => "",
            ReversePath::Address(address) => address.as_str(),
        }
    }

    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_normalises() {
        let cases = [
            ("jo@Example.UK", "jo@example.uk"),
            ("\"jo\"@example.uk", "jo@example.uk"),
            ("\"a@b\"@example.uk", "a@b@example.uk"),
            ("@relay.example,@b.example:jo@example.uk", "jo@example.uk"),
            ("jo+tag@example.uk.", "jo+tag@example.uk"),
            ("jo@[192.0.2.1]", "jo@[192.0.2.1]"),
        ];
        for (text, normal) in cases {
            assert_eq!(Address::parse(text, Charset::Ascii).expect(text).normal(), normal);
        }
        assert_eq!(Address::parse_plain(b"jo@Example.UK"), Address::parse("jo@Example.UK", Charset::Ascii).ok());
        for other in ["", "jo", "@x.uk", "jo@", "\"jo\"@x.uk", "@a:jo@x.uk", "jo@[192.0.2.1]", "jö@x.uk", "jo@x y", "jo@x@y"] {
            assert_eq!(Address::parse_plain(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Address::parse("jo@bücher.example", Charset::Utf8).unwrap().normal(), "jo@xn--bcher-kva.example");
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "jo",
            "@example.uk",
            "jo@",
            "jo@-x.uk",
            "jo@x..uk",
            "jo smith@x.uk",
            "jo@x.uk>",
            "\"jo@x.uk",
            "jo@a b",
            "j\u{7f}@x.uk",
            "jo@bücher.example",
        ] {
            assert!(Address::parse(text, Charset::Ascii).is_err(), "{text:?}");
        }
        assert!(Address::parse(&format!("{}@x.uk", "a".repeat(65)), Charset::Ascii).is_err());
    }
}
