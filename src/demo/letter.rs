//! Just enough of a message's form to show it: fields by name, where the body begins.
//!
//! For showing only. What the gateway decides by is read in `message`.

/// The header fields with the CRLF of the last one, and the body.
pub fn split(octets: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memmem::find(octets, b"\r\n\r\n") {
        Some(at) => (&octets[..at + 2], &octets[at + 4..]),
        None => (octets, b""),
    }
}

/// Each field as it stands, folding and all, without its last CRLF.
pub fn fields(octets: &[u8]) -> Vec<String> {
    let header = String::from_utf8_lossy(split(octets).0).into_owned();
    let mut fields: Vec<String> = Vec::new();
    for line in header.split_terminator("\r\n") {
        match fields.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push_str("\r\n");
                last.push_str(line);
            }
            _ => fields.push(line.to_owned()),
        }
    }
    fields
}

/// The first field of this name, unfolded, its white space made single.
pub fn field(octets: &[u8], name: &str) -> Option<String> {
    let found = fields(octets).into_iter().find_map(|f| {
        let (its_name, value) = f.split_once(':')?;
        its_name.eq_ignore_ascii_case(name).then(|| value.to_owned())
    })?;
    Some(found.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What the gateway was given, as far as one can tell: the message without the Received field that it put in front.
pub fn without_received(octets: &[u8]) -> &[u8] {
    match fields(octets).first() {
        Some(first) if first.get(..9).is_some_and(|n| n.eq_ignore_ascii_case("received:")) => {
            let end = memchr::memmem::find_iter(octets, b"\r\n").map(|at| at + 2).find(|&at| !matches!(octets.get(at), Some(b' ' | b'\t')));
            &octets[end.unwrap_or(octets.len())..]
        }
        _ => octets,
    }
}

/// The gateway's reference, from the Received field that it put in front.
pub fn reference(octets: &[u8]) -> Option<String> {
    let received = field(octets, "Received").filter(|r| r.contains(" (Lychgate) with "))?;
    let (_, after) = received.split_once(" id ")?;
    Some(after.split([';', ' ']).next().unwrap_or_default().to_owned())
}

/// The gateway's own mail (RFC 3834 §5).
pub fn is_notice(octets: &[u8]) -> bool {
    field(octets, "Auto-Submitted").is_some_and(|v| !v.eq_ignore_ascii_case("no"))
}

pub fn message_id(octets: &[u8]) -> Option<String> {
    field(octets, "Message-ID")
}

/// Whether this text stands anywhere in it.
pub fn mentions(octets: &[u8], text: &str) -> bool {
    memchr::memmem::find(octets, text.as_bytes()).is_some()
}

/// The addresses between angle brackets.
pub fn bracketed(value: &str) -> Vec<String> {
    value.split('<').skip(1).filter_map(|rest| Some(rest.split_once('>')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &[u8] =
        b"Received: from a\r\n\tby b;\r\n today\r\nTo: A <a@x>,\r\n  B <b@y>\r\nSubject: x\r\nmessage-id: <1@x>\r\n\r\nReceived: no\r\n";

    #[test]
    fn a_message_through_the_gateway_has_its_reference() {
        let passed = b"Received: from x\r\n\tby gw.x.uk (Lychgate) with ESMTPSA id LG-7F3K;\r\n\tMon, 23 Nov 2026 10:00:00 +0000\r\n\r\n";
        assert_eq!(reference(passed).as_deref(), Some("LG-7F3K"));
        assert_eq!(reference(MAIL), None);
    }

    #[test]
    fn shows_fields() {
        assert_eq!(field(MAIL, "to").as_deref(), Some("A <a@x>, B <b@y>"));
        assert_eq!(bracketed(&field(MAIL, "To").unwrap()), ["a@x", "b@y"]);
        assert_eq!(message_id(MAIL).as_deref(), Some("<1@x>"));
        assert_eq!(split(MAIL).1, b"Received: no\r\n");
        assert!(without_received(MAIL).starts_with(b"To: A"));
        assert_eq!(without_received(without_received(MAIL)), without_received(MAIL));
        assert_eq!(without_received(b"Received: x"), b"");
        assert!(!is_notice(MAIL));
        assert!(is_notice(b"Auto-Submitted: auto-generated\r\n\r\n"));
        assert_eq!(fields(b"").len(), 0);
    }
}
