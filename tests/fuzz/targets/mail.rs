//! Messages put together from octets, for targets whose truth lies in how a message was built.

use super::input::Input;

/// A field with this body in place of those of this name, in front of the rest; nothing else changes.
pub fn with_field(raw: &[u8], name: &str, body: &str) -> Vec<u8> {
    let view = lychgate::message::View::new(raw);
    let mut out = format!("{name}: {body}\r\n").into_bytes();
    if raw.starts_with(b" ") || raw.starts_with(b"\t") {
        // Or the message's first line would go on with the field.
        out.extend_from_slice(b"X-Next: x\r\n");
    }
    let mut from = 0;
    for field in view.named(name) {
        out.extend_from_slice(&raw[from..field.whole.start]);
        from = field.whole.end;
    }
    out.extend_from_slice(&raw[from..]);
    out
}

/// Line ends as the wire has them: the data machine lets no others in.
pub fn wire(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 16);
    for &b in octets {
        match b {
            b'\r' => {}
            b'\n' => out.extend_from_slice(b"\r\n"),
            _ => out.push(b),
        }
    }
    out
}

/// A simple text message of plain words from the Clerk to somebody.
pub fn plain(input: &mut Input<'_>, fields: &str, to: &str) -> String {
    let mut text = format!(
        "From: The Clerk <clerk@wragbyparishcouncil.gov.uk>\r\nTo: {to}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    for _ in 0..1 + input.below(4) {
        text.push_str(&input.words(9));
        text.push_str(".\r\n");
    }
    text
}
