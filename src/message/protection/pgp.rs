//! OpenPGP messages by their packets: a message that is only signed or only compressed hides nothing (RFC 9580 §4, §6, §10.3).

use super::{How, Kind, WhyNot};
use crate::message::transfer;

pub const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";

/// A file named or armoured as OpenPGP.
pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
    if is_encrypted(file) { Ok(How::strong(Kind::PgpFile)) } else { Err(WhyNot::NotProtected) }
}

/// Whether the whole of it is an encrypted message, armoured or binary.
pub fn is_encrypted(content: &[u8]) -> bool {
    match memchr::memmem::find(content, BEGIN.as_bytes()) {
        Some(_) => {
            let (clear, encrypted) = split_armour(&String::from_utf8_lossy(content));
            encrypted && !clear.chars().any(char::is_alphanumeric)
        }
        None => packets_are_encrypted(content),
    }
}

/// Takes the armoured messages out of a text: what is left, and whether there was one and all of them were encrypted.
pub fn split_armour(text: &str) -> (String, bool) {
    let mut clear = String::new();
    let mut rest = text;
    let (mut any, mut all) = (false, true);
    while let Some(start) = rest.find(BEGIN) {
        let Some(length) = rest[start..].find(END) else { break };
        clear.push_str(&rest[..start]);
        any = true;
        all &= packets_are_encrypted(&armoured(&rest[start + BEGIN.len()..start + length]));
        rest = &rest[start + length + END.len()..];
    }
    clear.push_str(rest);
    (clear, any && all)
}

/// The octets between the armour lines, headers and checksum off (RFC 9580 §6.2).
fn armoured(body: &str) -> Vec<u8> {
    let mut base64 = Vec::with_capacity(body.len());
    for line in body.lines() {
        let line = line.trim().trim_start_matches('>').trim();
        if line.contains(": ") || line.ends_with(':') {
            continue;
        }
        // The checksum.
        if line.starts_with('=') && !base64.is_empty() {
            break;
        }
        base64.extend_from_slice(line.as_bytes());
    }
    transfer::base64(&base64)
}

/// Key packets, then an encrypted data packet that holds something.
fn packets_are_encrypted(mut bytes: &[u8]) -> bool {
    for _ in 0..1_000 {
        let Some((tag, body, after)) = packet(bytes) else { return false };
        match tag {
            // Public-key and symmetric-key encrypted session keys, markers, padding.
            1 | 3 | 10 | 21 => bytes = after,
            // Encrypted data, with integrity or without, and GnuPG's own kind.
            9 | 18 | 20 => return body > 0,
            _ => return false,
        }
    }
    false
}

/// A packet's tag, the length of what is there of its body, and what follows.
fn packet(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let &first = bytes.first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let (tag, start, length) = if first & 0x40 != 0 {
        let tag = first & 0x3f;
        match *bytes.get(1)? {
            l @ 0..=191 => (tag, 2, Some(l as usize)),
            l @ 192..=223 => (tag, 3, Some((l as usize - 192) * 256 + *bytes.get(2)? as usize + 192)),
            // A partial length: the first piece is enough to know that there is content.
            l @ 224..=254 => (tag, 2, Some(1usize << (l & 0x1f))),
            255 => (tag, 6, Some(u32::from_be_bytes(bytes.get(2..6)?.try_into().ok()?) as usize)),
        }
    } else {
        let tag = (first >> 2) & 0x0f;
        match first & 3 {
            0 => (tag, 2, Some(*bytes.get(1)? as usize)),
            1 => (tag, 3, Some(u16::from_be_bytes(bytes.get(1..3)?.try_into().ok()?) as usize)),
            2 => (tag, 5, Some(u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize)),
            _ => (tag, 1, None),
        }
    };
    let rest = bytes.get(start..)?;
    let length = length.unwrap_or(rest.len()).min(rest.len());
    Some((tag, length, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_packets_count() {
        // A session key of two octets, then integrity-protected data.
        assert!(is_encrypted(&[0x84, 2, 3, 0, 0xd2, 2, 1, 9]));
        // A literal packet; a compressed one; a session key without data.
        assert!(!is_encrypted(&[0xcb, 3, b'b', 0, 0]));
        assert!(!is_encrypted(&[0xc8, 2, 1, 0]));
        assert!(!is_encrypted(&[0x84, 2, 3, 0]));
        assert!(!is_encrypted(b""));
        assert!(!is_encrypted(b"hello"));
        let armour = format!("{BEGIN}\r\nVersion: x\r\n\r\nhAIDANICAQk=\r\n=abcd\r\n{END}\r\n");
        assert!(is_encrypted(armour.as_bytes()));
        assert!(!is_encrypted(format!("hello\r\n{armour}").as_bytes()));
    }
}
