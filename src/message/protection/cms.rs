//! S/MIME by its CMS content type, whatever its MIME parameters claim (RFC 5652 §3, RFC 8551 §3).
//!
//! A walk over BER, definite and indefinite lengths, that goes only where the content type leads.

use std::borrow::Cow;

use super::Strength;
use super::files::reads_as_text;
use crate::message::transfer;

pub enum Content {
    /// Enveloped or authenticated-enveloped data: encrypted.
    Enveloped(Strength),
    /// Signed data and what is signed: a MIME entity.
    Signed(Vec<u8>),
    CertificatesOnly,
    /// Compressed, digested, authenticated: readable by anybody.
    Other,
}

const PKCS7: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07];
const SIGNED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
const AUTH_ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
/// RC2 and single DES in CBC mode.
const WEAK: [&[u8]; 2] = [&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x03, 0x02], &[0x2b, 0x0e, 0x03, 0x02, 0x07]];

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0xa0;

/// Whether a file starts as CMS does: SEQUENCE, then an object identifier of PKCS #7.
pub fn looks_like(head: &[u8]) -> bool {
    let head = &unarmoured(head);
    element(head).is_some_and(|(outer, _)| {
        outer.tag == SEQUENCE
            && element(outer.content).is_some_and(|(oid, _)| oid.tag == OBJECT_IDENTIFIER && oid.content.starts_with(PKCS7))
    })
}

/// What a ContentInfo holds, whether it is armoured or not; none if it is no ContentInfo.
pub fn read(bytes: &[u8]) -> Option<Content> {
    read_plain(&unarmoured(bytes))
}

/// The octets of PEM (RFC 7468), of base64 without a field that says so, or of what is neither.
fn unarmoured(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.first() == Some(&SEQUENCE) && !reads_as_text(bytes) {
        return Cow::Borrowed(bytes);
    }
    let text = match memchr::memmem::find(bytes, b"-----BEGIN ") {
        Some(begin) => {
            let label_end = memchr::memchr(b'\n', &bytes[begin..]).map_or(bytes.len(), |n| begin + n);
            let end = memchr::memmem::find(&bytes[label_end..], b"-----END ").map_or(bytes.len(), |n| label_end + n);
            &bytes[label_end..end]
        }
        None => bytes.trim_ascii_start(),
    };
    // SEQUENCE and its length make the first letter an M.
    if text.trim_ascii_start().first() == Some(&b'M') { Cow::Owned(transfer::base64(text)) } else { Cow::Borrowed(bytes) }
}

fn read_plain(bytes: &[u8]) -> Option<Content> {
    let (outer, _) = element(bytes).filter(|(e, _)| e.tag == SEQUENCE)?;
    let (oid, rest) = element(outer.content).filter(|(e, _)| e.tag == OBJECT_IDENTIFIER)?;
    let (wrapped, _) = element(rest).filter(|(e, _)| e.tag == CONTEXT_0)?;
    let (data, _) = element(wrapped.content).filter(|(e, _)| e.tag == SEQUENCE)?;
    match oid.content {
        ENVELOPED | AUTH_ENVELOPED => enveloped(data.content).map(Content::Enveloped),
        SIGNED => signed(data.content),
        _ => Some(Content::Other),
    }
}

/// EnvelopedData: version, originator (optional), recipients, encrypted content. All of them must really be there.
fn enveloped(data: &[u8]) -> Option<Strength> {
    let (_, mut rest) = element(data).filter(|(e, _)| e.tag == INTEGER)?;
    let (mut next, after) = element(rest)?;
    rest = after;
    if next.tag == CONTEXT_0 {
        (next, rest) = element(rest)?;
    }
    if next.tag != SET || next.content.is_empty() {
        return None;
    }
    let (encrypted, _) = element(rest).filter(|(e, _)| e.tag == SEQUENCE)?;
    let (_, after) = element(encrypted.content).filter(|(e, _)| e.tag == OBJECT_IDENTIFIER)?;
    let (algorithm, after) = element(after).filter(|(e, _)| e.tag == SEQUENCE)?;
    let (oid, _) = element(algorithm.content).filter(|(e, _)| e.tag == OBJECT_IDENTIFIER)?;
    // [0] IMPLICIT OCTET STRING, primitive or in pieces; detached ciphertext protects nothing that is here.
    let (content, _) = element(after).filter(|(e, _)| matches!(e.tag, 0x80 | CONTEXT_0))?;
    if content.content.is_empty()
        || reads_as_text(&octets(&content.content[..content.content.len().min(1_024)]))
        || reads_as_text(content.content)
    {
        return None;
    }
    Some(if WEAK.contains(&oid.content) { Strength::Weak } else { Strength::Strong })
}

/// SignedData: version, digest algorithms, what is signed.
fn signed(data: &[u8]) -> Option<Content> {
    let (_, rest) = element(data).filter(|(e, _)| e.tag == INTEGER)?;
    let (_, rest) = element(rest).filter(|(e, _)| e.tag == SET)?;
    let (info, _) = element(rest).filter(|(e, _)| e.tag == SEQUENCE)?;
    let (oid, rest) = element(info.content).filter(|(e, _)| e.tag == OBJECT_IDENTIFIER)?;
    let Some((wrapped, _)) = element(rest).filter(|(e, _)| e.tag == CONTEXT_0) else { return Some(Content::CertificatesOnly) };
    if oid.content == ENVELOPED || oid.content == AUTH_ENVELOPED {
        let octets = octets(wrapped.content);
        // CMS wraps it in an OCTET STRING, PKCS #7 did not.
        let inner = element(&octets).or_else(|| element(wrapped.content)).filter(|(e, _)| e.tag == SEQUENCE);
        return inner.and_then(|(e, _)| enveloped(e.content)).map(Content::Enveloped);
    }
    Some(Content::Signed(octets(wrapped.content)))
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

/// The octets of all primitive strings in `bytes`, pieces of constructed ones put together.
fn octets(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(header) = header(&bytes[at..]) {
        if header.tag == 0 && header.length == Some(0) {
            at += 2;
            continue;
        }
        match header.length {
            // Into constructed ones, over the rest.
            _ if header.tag & 0x20 != 0 => at += header.len,
            Some(length) => {
                let start = at + header.len;
                let end = start.saturating_add(length).min(bytes.len());
                out.extend_from_slice(&bytes[start..end]);
                at = end;
            }
            None => break,
        }
    }
    out
}

struct Header {
    tag: u8,
    /// Of tag and length together.
    len: usize,
    /// None: indefinite.
    length: Option<usize>,
}

fn header(bytes: &[u8]) -> Option<Header> {
    let &[tag, first, ..] = bytes else { return None };
    // Tags of several octets do not occur in CMS.
    if tag & 0x1f == 0x1f {
        return None;
    }
    match first {
        0..=0x7f => Some(Header { tag, len: 2, length: Some(first as usize) }),
        0x80 => (tag & 0x20 != 0).then_some(Header { tag, len: 2, length: None }),
        _ => {
            let count = (first & 0x7f) as usize;
            let octets = bytes.get(2..2 + count)?;
            if count > 8 {
                return None;
            }
            let length = octets.iter().fold(0u64, |n, &b| n << 8 | u64::from(b));
            Some(Header { tag, len: 2 + count, length: Some(usize::try_from(length).ok()?) })
        }
    }
}

/// The element at the start and what follows it. Content that is cut short ends where the bytes end.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let first = header(bytes)?;
    if let Some(length) = first.length {
        let end = first.len.saturating_add(length).min(bytes.len());
        return Some((Element { tag: first.tag, content: &bytes[first.len..end] }, &bytes[end..]));
    }
    let (mut depth, mut at) = (1usize, first.len);
    while let Some(next) = header(&bytes[at..]) {
        match next.length {
            Some(0) if next.tag == 0 => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some((Element { tag: first.tag, content: &bytes[first.len..at - 2] }, &bytes[at..]));
                }
            }
            Some(length) => match at.saturating_add(next.len).checked_add(length).filter(|end| *end <= bytes.len()) {
                Some(end) => at = end,
                None => break,
            },
            None => {
                depth += 1;
                at += next.len;
            }
        }
    }
    Some((Element { tag: first.tag, content: &bytes[first.len..] }, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_lengths_are_harmless() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x80",
            b"\x30\x88\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x30\x89\0\0\0\0\0\0\0\0\x01",
            b"\x3f\x01",
            b"\x06\x80",
            // A length that comes round to nothing: whoever adds it up stands still.
            b"\x30\x80\x02\x88\xff\xff\xff\xff\xff\xff\xff\xf6\0\0",
        ] {
            assert!(read(bytes).is_none(), "{bytes:?}");
        }
        let nested = [0x30, 0x80].repeat(500_000);
        assert!(read(&nested).is_none());
        octets(&[0x24, 0x80].repeat(500_000));
    }
}
