//! A banner in front of what the reader reads: a line of text in plain bodies, a box in HTML bodies. Only in bodies that nothing
//! signs and nothing encrypts; the caller tags the subject where this cannot be done.

use super::parts::{Encoding, Part};
use super::{EditPlan, View, transfer};

/// How far into a body an earlier banner is looked for.
const TOP: usize = 4_096;
/// No honest body is larger; a banner in front of more is left to the subject.
const LARGEST: usize = 8 * 1024 * 1024;

/// What came of a banner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Yes,
    /// It stands there already.
    Already,
    /// The body is signed, encrypted, in an encoding that cannot hold it, or not there.
    Impossible,
}

/// Puts `text` (one paragraph) in front of every body that a reader may be shown.
pub fn place(view: &View<'_>, text: &str, plan: &mut EditPlan) -> Placed {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || is_sealed(view) || !view.ambiguities().is_empty() {
        return Placed::Impossible;
    }
    let squeezed = squeeze(&text);
    let top: String = view.body_text().all.chars().take(TOP).collect();
    if squeeze(&top).contains(&squeezed) {
        return Placed::Already;
    }
    let mut edits = Vec::new();
    for part in bodies(view) {
        match edit(view, part, &text) {
            Some(edit) => edits.push(edit),
            // One reader would see it and another not.
            None => return Placed::Impossible,
        }
    }
    if edits.is_empty() {
        return Placed::Impossible;
    }
    // All or none.
    let mut tried = plan.clone();
    for (range, with) in edits {
        if tried.edit(range, with).is_err() {
            return Placed::Impossible;
        }
    }
    *plan = tried;
    Placed::Yes
}

/// The first plain and the first HTML body: of alternatives a reader is shown either, and what follows them is more of the same.
fn bodies<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v Part> {
    let parts = view.parts();
    let inside_another = |part: &Part| {
        std::iter::successors(part.parent.and_then(|i| parts.get(i)), |p| p.parent.and_then(|i| parts.get(i))).any(|p| p.nested_message)
    };
    ["text/plain", "text/html"].into_iter().filter_map(move |wanted| {
        parts.iter().find(|p| p.is_leaf() && p.content_type == wanted && !p.is_attachment && has_body(view, p) && !inside_another(p))
    })
}

/// Between two delimiter lines without a blank line there is a header and nothing else: a banner there would be a header field.
fn has_body(view: &View<'_>, part: &Part) -> bool {
    let header = &view.raw()[part.header.clone()];
    let Some(rest) = header.strip_suffix(b"\n") else { return false };
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    rest.is_empty() || rest.ends_with(b"\n")
}

/// A change to any body would break a signature (RFC 1847 §2.1, RFC 8551), or has no place in what is encrypted.
fn is_sealed(view: &View<'_>) -> bool {
    view.parts().iter().any(|p| {
        matches!(
            p.content_type.as_str(),
            "multipart/signed" | "multipart/encrypted" | "application/pkcs7-mime" | "application/x-pkcs7-mime" | "multipart/report"
        )
    }) || memchr::memmem::find(view.body(), b"-----BEGIN PGP ").is_some()
}

/// The place and the octets of one part's banner.
fn edit(view: &View<'_>, part: &Part, text: &str) -> Option<(std::ops::Range<usize>, Vec<u8>)> {
    if part.body.len() > LARGEST || !holds(part, text) {
        return None;
    }
    let raw = &view.raw()[part.body.clone()];
    // A byte order mark says how to read what follows, and only from the very start.
    let head = view.decoded_prefix(part, 3);
    if [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| head.starts_with(mark)) {
        return None;
    }
    let html = part.content_type == "text/html";
    let words = if html { boxed(text) } else { format!("{text}\r\n\r\n") };
    match part.encoding {
        Encoding::Base64 => {
            let mut content = transfer::base64(raw);
            let at = if html { behind_body_tag(&content) } else { 0 };
            content.splice(at..at, words.into_bytes());
            let mut with = base64_lines(&content);
            // What stood behind the encoded text (a boundary's line end) stays.
            if !raw.ends_with(b"\n") {
                with.truncate(with.len() - 2);
            }
            Some((part.body.clone(), with))
        }
        Encoding::QuotedPrintable => {
            let at = part.body.start + if html { behind_body_tag(raw) } else { 0 };
            let mut with = quoted_printable(words.as_bytes());
            if html {
                // Soft line breaks (RFC 2045 §6.7 rule 5), so that no line grows too long.
                with.splice(0..0, *b"=\r\n");
                with.extend_from_slice(b"=\r\n");
            }
            Some((at..at, with))
        }
        Encoding::Identity => {
            let at = part.body.start + if html { behind_body_tag(raw) } else { 0 };
            let words = if html { format!("\r\n{words}\r\n") } else { words };
            Some((at..at, wrapped(&words)))
        }
        // Only other programs' readings have these.
        Encoding::Base64Strict | Encoding::Uuencode | Encoding::Yenc => None,
    }
}

/// Whether the part's charset has the text as these octets. An unlabelled or ASCII part takes ASCII only (RFC 2045 §5.2).
fn holds(part: &Part, text: &str) -> bool {
    let charset = part.param("charset").unwrap_or("us-ascii").to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" => part.encoding != Encoding::Identity || text.is_ascii() || part.content_type == "text/html",
        // Those do not have ASCII in its place.
        _ if charset.starts_with("utf-16")
            || charset.starts_with("utf-32")
            || charset.starts_with("utf-7")
            || charset.starts_with("iso-2022") =>
        {
            false
        }
        _ => text.is_ascii() || part.content_type == "text/html",
    }
}

/// The banner in HTML, in ASCII whatever it says.
fn boxed(text: &str) -> String {
    let mut inner = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => inner.push_str("&amp;"),
            '<' => inner.push_str("&lt;"),
            '>' => inner.push_str("&gt;"),
            '"' => inner.push_str("&quot;"),
            ' '..='~' => inner.push(c),
            c => inner.push_str(&format!("&#{};", u32::from(c))),
        }
    }
    format!("<div style=\"border:1px solid #505a5f;padding:6px 10px;margin:0 0 12px 0;font-family:Arial,sans-serif\">{inner}</div>")
}

/// Behind `<body …>`, or at the start if there is none. In quoted-printable the tag stands as it is, but for `=3D` in it.
fn behind_body_tag(html: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'<', &html[at..]) {
        let start = at + found + 1;
        let rest = &html[start..];
        if rest.len() > 4 && rest[..4].eq_ignore_ascii_case(b"body") && matches!(rest[4], b'>' | b' ' | b'\t' | b'\r' | b'\n' | b'=' | b'/')
        {
            // Without an end here there is none behind either.
            return memchr::memchr(b'>', rest).map_or(0, |end| start + end + 1);
        }
        at = start;
    }
    0
}

/// Lines of at most 900 octets or so: RFC 5322 §2.1.1 allows 998.
fn wrapped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 8);
    let mut column = 0;
    for c in text.chars() {
        let (mut bytes, width) = ([0; 4], c.len_utf8());
        match c {
            '\n' => column = 0,
            ' ' if column > 880 => {
                out.extend_from_slice(b"\r\n");
                column = 0;
                continue;
            }
            _ => column += width,
        }
        out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
    }
    out
}

/// In lines of 76 (RFC 2045 §6.8), each ended.
fn base64_lines(content: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(content);
    let mut out = Vec::with_capacity(text.len() + text.len() / 38 + 2);
    for line in text.as_bytes().chunks(76) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// In lines of at most 76 (RFC 2045 §6.7); line ends stay.
fn quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() * 2);
    let mut column = 0;
    for (i, &b) in content.iter().enumerate() {
        if matches!(b, b'\r' | b'\n') {
            out.push(b);
            column = 0;
            continue;
        }
        let ends = matches!(content.get(i + 1), None | Some(b'\r' | b'\n'));
        let plain = matches!(b, b'!'..=b'<' | b'>'..=b'~') || b == b' ' && !ends;
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        match plain {
            true => out.push(b),
            false => out.extend_from_slice(format!("={b:02X}").as_bytes()),
        }
        column += width;
    }
    out
}

/// Letters and digits only, so that wrapping and quoting do not hide an earlier banner.
fn squeeze(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::{RawMessage, Splice};

    const TEXT: &str = "From outside the council. Don't open <files> you did not expect.";

    fn placed(raw: &str, text: &str) -> (Placed, String) {
        let message = RawMessage::new(raw.replace('\n', "\r\n").into_bytes());
        let mut plan = EditPlan::new();
        let placed = place(&View::new(message.as_bytes()), text, &mut plan);
        (placed, String::from_utf8(Splice::apply(&message, &plan).to_vec()).unwrap())
    }

    /// The bodies of the result as a reader sees them.
    fn read(message: &str) -> Vec<String> {
        let view = View::new(message.as_bytes());
        bodies(&view).map(|p| view.part_text(p).unwrap().replace("\r\n", "\n").trim_end().to_string()).collect()
    }

    #[test]
    fn in_front_of_every_body_in_every_encoding() {
        for (head, body) in [
            ("", "Hello\n"),
            ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n", "Caf=C3=A9 =\nHello\n"),
            ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n", "Q2Fmw6kgSGVsbG8K\n"),
            ("Content-Type: text/plain; charset=windows-1252\nContent-Transfer-Encoding: base64\n", "Q2Fm6SBIZWxsbwo=\n"),
            ("Content-Type: text/html; charset=utf-8\n", "<html><BODY class=\"x\">Hello</body></html>\n"),
            ("Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n", "<body style=3D\"a=\n:b\"><p>Hello</p>\n"),
            ("Content-Type: text/html\nContent-Transfer-Encoding: base64\n", "PGJvZHk+PHA+SGVsbG88L3A+\n"),
            ("Content-Type: text/html\n", "<p>Hello</p>\n"),
        ] {
            let (outcome, out) = placed(&format!("From: a@x.uk\nSubject: s\n{head}\n{body}"), TEXT);
            assert_eq!(outcome, Placed::Yes, "{head}");
            let seen = read(&out);
            assert!(seen[0].starts_with(TEXT) && seen[0].ends_with("Hello"), "{head}: {out}");
            assert!(out.lines().all(|l| l.len() <= 998));
            let view = View::new(out.as_bytes());
            assert_eq!(place(&view, TEXT, &mut EditPlan::new()), Placed::Already, "{head}");
        }
    }

    #[test]
    fn both_alternatives_and_no_attachment() {
        let raw = "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=a\n\n--a\n\nplain\n--a\n\
                   Content-Type: text/html\n\n<p>html</p>\n--a--\n--m\nContent-Type: text/plain; name=x.txt\n\
                   Content-Disposition: attachment\n\nattached\n--m--\n";
        let (outcome, out) = placed(raw, "From outside.");
        assert_eq!(outcome, Placed::Yes);
        assert_eq!(read(&out), ["From outside.\n\nplain", "From outside.\n\nhtml"]);
        assert!(out.contains("\r\n\r\nattached\r\n--m--"));
    }

    #[test]
    fn a_part_without_a_body_is_passed_over() {
        let raw = "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: text/html\n\n<p>html</p>\n--b--\n";
        let (outcome, out) = placed(raw, "From outside.");
        assert_eq!((outcome, read(&out)), (Placed::Yes, vec!["From outside.\n\nhtml".to_string()]));
        assert!(View::new(out.as_bytes()).ambiguities().is_empty());
    }

    #[test]
    fn not_in_what_is_signed_encrypted_or_unclear() {
        for raw in [
            "Content-Type: multipart/signed; boundary=a\n\n--a\n\nx\n--a\nContent-Type: application/pgp-signature\n\nx\n--a--\n",
            "Content-Type: application/pkcs7-mime\n\nMIAG\n",
            "\n-----BEGIN PGP SIGNED MESSAGE-----\nx\n",
            "Content-Type: text/plain\nContent-Type: text/html\n\nx\n",
            "Content-Type: text/plain; charset=utf-16\n\nx\n",
            "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n//5IAGkA\n",
            "Content-Type: image/png\n\nx\n",
        ] {
            let (outcome, out) = placed(raw, TEXT);
            assert_eq!((outcome, out), (Placed::Impossible, raw.replace('\n', "\r\n")), "{raw}");
        }
        assert_eq!(placed("Content-Type: text/plain; charset=utf-8\n\nx\n", "Café").0, Placed::Impossible);
    }

    proptest! {
        /// What the reader sees is the banner and then what they would have seen.
        #[test]
        fn nothing_else_changes(body in "[ -~]{0,100}(\n[ -~]{0,100}){0,5}", kind in 0..3usize) {
            let content = format!("{}\n", body.replace("PGP", "").trim());
            let crlf = content.replace('\n', "\r\n");
            let (name, encoded) = match kind {
                0 => ("7bit", content.clone()),
                1 => ("base64", String::from_utf8(base64_lines(crlf.as_bytes())).unwrap().replace("\r\n", "\n")),
                _ => ("quoted-printable", String::from_utf8(quoted_printable(crlf.as_bytes())).unwrap().replace("\r\n", "\n")),
            };
            let raw = format!("From: a@x.uk\nContent-Type: text/plain\nContent-Transfer-Encoding: {name}\n\n{encoded}");
            let (outcome, out) = placed(&raw, TEXT);
            prop_assume!(outcome == Placed::Yes);
            let view = View::new(out.as_bytes());
            let seen = view.decoded(&view.parts()[0]).into_owned();
            prop_assert_eq!(String::from_utf8(seen).unwrap(), format!("{TEXT}\r\n\r\n{crlf}"));
        }
    }

    #[test]
    fn tags_without_an_end_are_looked_at_once() {
        assert_eq!(behind_body_tag(&b"<body ".repeat(700_000)), 0);
        assert_eq!(behind_body_tag(b"<bod><body\n>x"), 12);
    }
}
