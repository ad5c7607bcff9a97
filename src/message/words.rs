//! Field text: unfolding, encoded words, charsets (RFC 5322 §2.2.3, RFC 2047).
//!
//! Reading is lenient as mail programs are: broken encoded words are decoded as far as they go, a character cut in two by a word
//! boundary is put together again, and octets that fit no charset become text somehow. Writing is strict.

use std::borrow::Cow;

pub use super::charset::{eight_bit, text as charset_text};
use super::transfer;

/// Takes the line ends of folding out and outer blanks off.
pub fn unfold(body: &[u8]) -> Cow<'_, [u8]> {
    let body = body.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', body).is_none() {
        return Cow::Borrowed(body);
    }
    Cow::Owned(body.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect())
}

/// Unstructured field text as a reader sees it.
pub fn decode(body: &[u8]) -> Cow<'_, str> {
    let body = body.trim_ascii();
    if body.is_ascii() && memchr::memchr3(b'\r', b'\n', b'\t', body).is_none() && memchr::memmem::find(body, b"=?").is_none() {
        return Cow::Borrowed(std::str::from_utf8(body).expect("ASCII is UTF-8"));
    }
    let flat = unfold(body);
    if flat.is_ascii() && memchr::memmem::find(&flat, b"=?").is_none() {
        let text = String::from_utf8_lossy(&flat);
        return Cow::Owned(if memchr::memchr(b'\t', &flat).is_some() { text.replace('\t', " ") } else { text.into_owned() });
    }
    let mut out = Decoded::default();
    let mut rest: &[u8] = &flat;
    // Where no "?=" follows, none follows later either: without this the search would be quadratic.
    let mut open = true;
    while !rest.is_empty() {
        let Some(start) = memchr::memmem::find(rest, b"=?").filter(|_| open) else { break };
        match encoded_word(&rest[start..], &mut open) {
            Some(word) => {
                out.between(&rest[..start]);
                out.word(&word);
                rest = &rest[start + word.len..];
            }
            None => {
                out.text(&rest[..start + 2]);
                rest = &rest[start + 2..];
            }
        }
    }
    out.text(rest);
    Cow::Owned(out.finish().replace('\t', " "))
}

/// Whether a reader would decode something in it.
pub fn has_encoded_word(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"=?").is_some_and(|at| memchr::memmem::find(&body[at..], b"?=").is_some())
}

struct Word<'a> {
    charset: &'a [u8],
    octets: Vec<u8>,
    /// Of the whole word in the source.
    len: usize,
}

/// The encoded word that starts `text` (RFC 2047 §2); blanks inside, which that forbids, are borne.
fn encoded_word<'a>(text: &'a [u8], open: &mut bool) -> Option<Word<'a>> {
    let charset_end = 2 + text.get(2..)?.iter().take(40).position(|&b| b == b'?')?;
    // A charset is a token (RFC 2047 §2); no reader takes what holds an address, or a mark between addresses, for one.
    if text[2..charset_end].iter().any(|b| !b.is_ascii_graphic() || b"()<>@,;:\"".contains(b)) {
        return None;
    }
    let encoding = text.get(charset_end + 1)?.to_ascii_lowercase();
    if text.get(charset_end + 2) != Some(&b'?') || !matches!(encoding, b'q' | b'b') {
        return None;
    }
    let start = charset_end + 3;
    let Some(len) = memchr::memmem::find(&text[start..], b"?=") else {
        *open = false;
        return None;
    };
    let content = &text[start..start + len];
    let octets = if encoding == b'b' { transfer::base64(content) } else { q_encoding(content) };
    // RFC 2231 §5 lets a language follow the charset.
    let charset = text[2..charset_end].split(|&b| b == b'*').next().unwrap_or_default();
    Some(Word { charset, octets, len: start + len + 2 })
}

/// RFC 2047 §4.2: quoted-printable with an underscore for a space.
fn q_encoding(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    let mut rest = content;
    loop {
        match rest {
            [b'=', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(transfer::hex(*a) << 4 | transfer::hex(*b));
                rest = tail;
            }
            [b'_', tail @ ..] => {
                out.push(b' ');
                rest = tail;
            }
            [octet, tail @ ..] => {
                out.push(*octet);
                rest = tail;
            }
            [] => return out,
        }
    }
}

/// Text that grows word by word; the octets of neighbouring words of one charset are decoded together.
#[derive(Default)]
struct Decoded {
    out: String,
    charset: Vec<u8>,
    pending: Vec<u8>,
    after_word: bool,
}

impl Decoded {
    /// What stands between the last word and the next: blanks alone vanish (RFC 2047 §6.2).
    fn between(&mut self, text: &[u8]) {
        if !(self.after_word && text.trim_ascii().is_empty()) {
            self.text(text);
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset.to_vec();
        }
        self.pending.extend_from_slice(&word.octets);
        self.after_word = true;
    }

    fn text(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.flush();
            self.out.push_str(&eight_bit(text));
            self.after_word = false;
        }
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.out.push_str(&charset_text(std::str::from_utf8(&self.charset).ok(), &self.pending));
            self.pending.clear();
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        // A line end that hides in an encoded word must not become one in a notice or a log.
        if self.out.contains(['\r', '\n', '\0']) { self.out.replace(['\r', '\n', '\0'], " ") } else { self.out }
    }
}

/// Text as the body of an unstructured field whose first line already holds `used` octets: plain where that is enough, else in
/// encoded words; folded at 76 columns (RFC 2047 §2, RFC 5322 §2.1.1).
pub fn encode(text: &str, used: usize) -> Vec<u8> {
    let plain = text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.contains("=?") && !text.contains("  ");
    if plain && text.split(' ').all(|word| word.len() < 900) { fold(text, used) } else { encode_words(text, used) }
}

fn fold(text: &str, used: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut column = used;
    for (i, word) in text.split(' ').enumerate() {
        if i > 0 {
            if column + 1 + word.len() > 76 && !word.is_empty() {
                out.extend_from_slice(b"\r\n ");
                column = 1;
            } else {
                out.push(b' ');
                column += 1;
            }
        }
        out.extend_from_slice(word.as_bytes());
        column += word.len();
    }
    out
}

fn encode_words(text: &str, used: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 2 + 32);
    let mut rest = text;
    // 12 octets of frame; base64 makes 4 of 3. The first word has the room that the name leaves.
    let mut room = (76usize.saturating_sub(used + 12) / 4 * 3).clamp(6, 42);
    while !rest.is_empty() {
        let mut end = room.min(rest.len());
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (chunk, tail) = rest.split_at(end);
        if !out.is_empty() {
            out.extend_from_slice(b"\r\n ");
        }
        out.extend_from_slice(b"=?utf-8?B?");
        base64_into(chunk.as_bytes(), &mut out);
        out.extend_from_slice(b"?=");
        rest = tail;
        room = 42;
    }
    out
}

fn base64_into(octets: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in octets.chunks(3) {
        let word = u32::from(chunk[0]) << 16 | u32::from(*chunk.get(1).unwrap_or(&0)) << 8 | u32::from(*chunk.get(2).unwrap_or(&0));
        for i in 0..4 {
            out.push(if i <= chunk.len() { ALPHABET[(word >> (18 - 6 * i)) as usize & 63] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_readers_decode() {
        for (body, text) in [
            (" plain ", "plain"),
            ("a\r\n b\r\n\tc", "a b c"),
            ("=?utf-8?Q?caf=C3=A9_one?=", "café one"),
            ("=?UTF-8?B?Y2Fmw6k=?= x", "café x"),
            ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
            ("=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E9?=", "aé"),
            ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
            ("=?utf-8?Q?=C3?= =?utf-8?Q?=A9?=", "é"),
            ("=?utf-8*en?Q?x?=", "x"),
            ("=?utf-8?Q?has blanks in it?=", "has blanks in it"),
            ("=?utf-8?Q?open", "=?utf-8?Q?open"),
            ("=?nonsense?Q?=A3?=", "£"),
            ("=?us-ascii?Q?=C2=A3?=", "£"),
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            ("=?x?y?z?=", "=?x?y?z?="),
            ("=?a: b@c?Q?d=40e?=", "=?a: b@c?Q?d=40e?="),
            ("pre=?utf-8?q?fix?=ed", "prefixed"),
            ("=?utf-8?Q?a=0D=0ABcc:_x?=", "a  Bcc: x"),
        ] {
            assert_eq!(decode(body.as_bytes()), text, "{body:?}");
        }
        assert_eq!(decode(b"caf\xe9 \x80"), "café €");
        assert_eq!(decode("café".as_bytes()), "café");
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in [
            "Agenda",
            "Café in the Lych gate — and a very long subject that needs more than one encoded word, surely",
            "a  b",
            "x =?utf-8?Q?y?=",
            "日本語",
        ] {
            let wire = encode(text, 9);
            assert!(wire.split(|&b| b == b'\n').all(|line| line.len() <= 78), "{text}");
            assert!(wire.is_ascii());
            assert_eq!(decode(&wire), text);
        }
    }

    #[test]
    fn long_runs_of_openings_take_linear_time() {
        let hostile = "=?a?q?".repeat(200_000);
        assert!(!decode(hostile.as_bytes()).is_empty());
        let hostile = "=?".repeat(500_000);
        assert!(!decode(hostile.as_bytes()).is_empty());
    }
}
