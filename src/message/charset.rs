//! Charsets by the names that mail gives them, wrong and old ones too.
//!
//! What no program here decodes must not vanish: text under an unknown name, or under one that browsers refuse, is read as what its
//! octets look like, since some reader shows it.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Octets as text in the charset of that name; an unknown name is taken for none.
pub fn text<'a>(charset: Option<&str>, octets: &'a [u8]) -> Cow<'a, str> {
    let name = charset.map(|name| name.trim().trim_matches(['"', '\'', ';'])).unwrap_or_default();
    if name.eq_ignore_ascii_case("utf-7") || name.eq_ignore_ascii_case("unicode-1-1-utf-7") {
        return Cow::Owned(utf_7(octets));
    }
    match encoding(name) {
        Some(encoding) if encoding.is_ascii_compatible() && octets.is_ascii() => {
            Cow::Borrowed(std::str::from_utf8(octets).expect("ASCII is UTF-8"))
        }
        // Labels of the Latin kind are often wrong: text that is well-formed UTF-8 is UTF-8 with near certainty.
        Some(encoding) if encoding == WINDOWS_1252 || encoding == UTF_8 => {
            eight_bit(octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets))
        }
        // So is text that claims two octets for each letter and has none of the zeros that Latin letters then have.
        Some(encoding) if (encoding == UTF_16LE || encoding == UTF_16BE) && memchr::memchr(0, octets).is_none() => eight_bit(octets),
        Some(encoding) => encoding.decode_with_bom_removal(octets).0,
        None => match octets {
            [0xff, 0xfe, ..] => UTF_16LE.decode_with_bom_removal(octets).0,
            [0xfe, 0xff, ..] => UTF_16BE.decode_with_bom_removal(octets).0,
            _ => eight_bit(octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets)),
        },
    }
}

/// Octets that no charset is named for: UTF-8 if they are, else windows-1252.
pub fn eight_bit(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

fn encoding(name: &str) -> Option<&'static Encoding> {
    let label = ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map_or(name, |(_, label)| label);
    // Browsers show nothing at all of the charsets behind REPLACEMENT; mail programs do.
    Encoding::for_label(label.as_bytes()).filter(|e| *e != REPLACEMENT)
}

/// Names that mail programs write and browsers do not know.
const ALIASES: [(&str, &str); 16] = [
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp65001", "utf-8"),
    ("utf-8-mac", "utf-8"),
    ("latin-1", "windows-1252"),
    ("latin-9", "iso-8859-15"),
    ("ansi", "windows-1252"),
    ("cp-1252", "windows-1252"),
    ("cp-1251", "windows-1251"),
    ("windows1252", "windows-1252"),
    ("iso8859-15", "iso-8859-15"),
    ("iso-2022-jp-ms", "iso-2022-jp"),
    ("iso-2022-jp-1", "iso-2022-jp"),
    ("iso-2022-jp-2", "iso-2022-jp"),
];

/// What an HTML page says of itself, where the mail says nothing: `<meta charset=…>`, or the older form of it.
pub fn of_html(octets: &[u8]) -> Option<String> {
    let head = octets[..octets.len().min(1_024)].to_ascii_lowercase();
    let meta = memchr::memmem::find(&head, b"<meta")?;
    let at = meta + memchr::memmem::find(&head[meta..], b"charset=")? + 8;
    let value = head[at..].trim_ascii_start();
    let value = value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value);
    let end = value.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'))).unwrap_or(value.len());
    let name = std::str::from_utf8(&value[..end]).ok()?;
    // A page that can be read up to here is not in two octets for each letter.
    (!name.is_empty() && !name.starts_with("utf-16")).then(|| name.to_string())
}

/// UTF-7 (RFC 2152), leniently: what is no base64 between `+` and `-` stands for itself.
fn utf_7(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = memchr::memchr(b'+', rest) {
        out.push_str(&eight_bit(&rest[..at]));
        let after = &rest[at + 1..];
        let length = after.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
        if length == 0 {
            out.push('+');
        } else {
            let units: Vec<u16> =
                super::transfer::base64(&after[..length]).chunks_exact(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
            out.push_str(&String::from_utf16_lossy(&units));
        }
        rest = &after[length..];
        rest = rest.strip_prefix(b"-").unwrap_or(rest);
    }
    out.push_str(&eight_bit(rest));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_what_some_reader_shows() {
        for (charset, octets, expected) in [
            (Some("utf-8"), &b"caf\xc3\xa9"[..], "café"),
            (Some("us-ascii"), b"caf\xc3\xa9", "café"),
            (Some("utf-8"), b"caf\xe9", "café"),
            (Some("nonsense"), b"caf\xe9", "café"),
            (None, b"\xef\xbb\xbfcaf\xc3\xa9", "café"),
            (None, b"\xff\xfea\0b\0", "ab"),
            (Some("\"UTF-8\""), b"x", "x"),
            (Some("utf-7"), b"caf+AOk- 1 +- 2 +2D3eAA-", "café 1 + 2 😀"),
            (Some("UTF-16"), b"plain after all", "plain after all"),
            (Some("utf-16le"), b"a\0b\0", "ab"),
            (Some("cp932"), b"\x93\xfa", "日"),
            (Some("koi8-r"), b"\xf0", "П"),
            // Browsers show a single replacement character for all of it.
            (Some("hz-gb-2312"), b"NI AB123456C", "NI AB123456C"),
            (Some("iso-2022-kr"), b"NI AB123456C", "NI AB123456C"),
        ] {
            assert_eq!(text(charset, octets), expected, "{charset:?}");
        }
    }

    #[test]
    fn pages_say_their_charset() {
        for (html, charset) in [
            ("<html><META charset='koi8-r'>", Some("koi8-r")),
            ("<meta http-equiv=Content-Type content=\"text/html; charset=windows-1251\">", Some("windows-1251")),
            ("<meta name=x>", None),
            ("<meta charset=utf-16>", None),
            ("charset=x", None),
        ] {
            assert_eq!(of_html(html.as_bytes()).as_deref(), charset, "{html}");
        }
    }
}
