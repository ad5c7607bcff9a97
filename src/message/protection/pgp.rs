//! OpenPGP messages by their packets: a message that is only signed or only compressed hides nothing (RFC 9580 §4, §6, §10.3).

use super::files::reads_as_text;
use super::{How, Kind, WhyNot};
use crate::message::transfer;

pub const BEGIN: &str = "-----BEGIN PGP MESSAGE-----";
const END: &str = "-----END PGP MESSAGE-----";

/// A file named or armoured as OpenPGP.
pub fn judge(file: &[u8]) -> Result<How, WhyNot> {
    if is_encrypted(file) { Ok(How::strong(Kind::PgpFile)) } else { Err(WhyNot::NotProtected) }
}

/// Whether a password opens it. A message to nobody but holders of keys is opened by no password that somebody could write.
pub fn takes_passphrase(file: &[u8]) -> bool {
    let by_passphrase = |packets: &[u8]| session_keys(packets) == Some(Keys::Passphrase);
    if memchr::memmem::find(file, BEGIN.as_bytes()).is_none() {
        return by_passphrase(file);
    }
    let text = String::from_utf8_lossy(file);
    text.split(BEGIN).skip(1).any(|message| by_passphrase(&armoured(message.split(END).next().unwrap_or_default())))
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

/// Session keys, then an encrypted data packet that holds something, and nothing else. Each packet's version must exist: by its tag
/// alone too much looks like a packet.
fn packets_are_encrypted(bytes: &[u8]) -> bool {
    session_keys(bytes).is_some()
}

/// Who can open an encrypted message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keys {
    /// Holders of keys only.
    Holders,
    /// Also whoever knows a passphrase. Old programs wrote no session key at all then.
    Passphrase,
}

/// Who can open it; none if these are not the packets of an encrypted message.
fn session_keys(mut bytes: &[u8]) -> Option<Keys> {
    /// What may follow: the end of a line, a broken octet or two.
    const MAX_REST: usize = 16;
    let (mut holders, mut passphrase) = (false, false);
    for _ in 0..1_000 {
        let packet = packet(bytes)?;
        let is_message = |least: usize| {
            let keys = if passphrase || !holders { Keys::Passphrase } else { Keys::Holders };
            (packet.length > least && packet.after.len() <= MAX_REST).then_some(keys)
        };
        let version = packet.start.first().copied().unwrap_or(0);
        match packet.tag {
            // Session keys encrypted to a key or by a passphrase; marker; padding.
            1 if matches!(version, 2 | 3 | 6) => holders = true,
            3 if matches!(version, 4..=6) => passphrase = true,
            10 | 21 => {}
            // Encrypted data without integrity: of its start nothing is known.
            9 if !reads_as_text(packet.start) => return is_message(0),
            // With integrity (v2 is AEAD), and GnuPG's own AEAD.
            18 if matches!(version, 1 | 2) && !reads_as_text(&packet.start[1..]) => return is_message(1),
            20 if version == 1 && !reads_as_text(&packet.start[1..]) => return is_message(1),
            _ => return None,
        }
        bytes = packet.after;
    }
    None
}

struct Packet<'a> {
    tag: u8,
    /// Octets of its body that are there.
    length: usize,
    /// Its body, or the first piece of it.
    start: &'a [u8],
    after: &'a [u8],
}

fn packet(bytes: &[u8]) -> Option<Packet<'_>> {
    let &first = bytes.first()?;
    if first & 0x80 == 0 {
        return None;
    }
    if first & 0x40 == 0 {
        let (at, length) = match first & 3 {
            0 => (2, *bytes.get(1)? as usize),
            1 => (3, u16::from_be_bytes(bytes.get(1..3)?.try_into().ok()?) as usize),
            2 => (5, u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize),
            _ => (1, usize::MAX),
        };
        let (start, after) = cut(bytes.get(at..)?, length);
        return Some(Packet { tag: (first >> 2) & 0x0f, length: start.len(), start, after });
    }
    let tag = first & 0x3f;
    let (mut is_partial, piece, mut after) = piece(&bytes[1..])?;
    let mut length = piece.len();
    while is_partial {
        let Some((again, next, rest)) = self::piece(after) else { break };
        (is_partial, after) = (again, rest);
        length += next.len();
    }
    Some(Packet { tag, length, start: piece, after })
}

/// One piece of a body with its length in front, whether more follow, and what stands behind it.
fn piece(bytes: &[u8]) -> Option<(bool, &[u8], &[u8])> {
    let (is_partial, at, length) = match *bytes.first()? {
        l @ 0..=191 => (false, 1, l as usize),
        l @ 192..=223 => (false, 2, (l as usize - 192) * 256 + *bytes.get(1)? as usize + 192),
        l @ 224..=254 => (true, 1, 1usize << (l & 0x1f)),
        255 => (false, 5, u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?) as usize),
    };
    let (piece, after) = cut(bytes.get(at..)?, length);
    Some((is_partial, piece, after))
}

/// The first `length` octets, or all.
fn cut(bytes: &[u8], length: usize) -> (&[u8], &[u8]) {
    bytes.split_at(length.min(bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_packets_count() {
        // A session key of two octets, then integrity-protected data.
        assert!(is_encrypted(&[0x84, 2, 3, 0, 0xd2, 2, 1, 9]));
        // The same in pieces; by a passphrase; AEAD.
        assert!(is_encrypted(&[0x84, 2, 3, 0, 0xd2, 0xe1, 1, 9, 1, 7]));
        assert!(is_encrypted(&[0x8c, 2, 4, 9, 0xd2, 2, 1, 9]));
        assert!(is_encrypted(&[0x84, 2, 3, 0, 0xd4, 2, 1, 9]));
        // Versions that do not exist; clear text that claims; a literal packet behind the encrypted one.
        assert!(!is_encrypted(&[0x84, 2, 9, 0, 0xd2, 2, 1, 9]));
        assert!(!is_encrypted(&[0x84, 2, 3, 0, 0xd2, 2, 7, 9]));
        assert!(!is_encrypted(&[&[0x84, 2, 3, 0, 0xd2, 41, 1][..], &[b'x'; 40]].concat()));
        let mut two = vec![0x84, 2, 3, 0, 0xd2, 2, 1, 9, 0xcb, 40, b'b'];
        two.extend([b'x'; 39]);
        assert!(!is_encrypted(&two));
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
