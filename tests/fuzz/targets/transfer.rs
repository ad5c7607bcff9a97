//! Base64 and quoted-printable, against a crate and against the definition, and there and back.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use lychgate::message::transfer;

use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "transfer",
    run,
    seeds: || super::texts(&["QUJD\r\nRA==", "QQ==QUI=", "a=3Db=\r\nc= \t\r\nd=zz=e", "=", "=E2=82=AC"]),
    given: Given::Nothing,
};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn run(octets: &[u8]) {
    // There and back, in lines as mail has them.
    let encoded = base64::engine::general_purpose::STANDARD.encode(octets);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|c| std::str::from_utf8(c).expect("ASCII")).collect();
    assert_eq!(transfer::base64(lines.join("\r\n").as_bytes()), octets);
    assert_eq!(transfer::quoted_printable(&quoted(octets)), octets);

    // Any octets: what stands before, between and behind padding are runs of their own, and a run that ends on one digit loses it.
    let mut expected = Vec::new();
    for run in octets.split(|b| *b == b'=') {
        let mut digits: Vec<u8> = run.iter().copied().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
        if digits.len() % 4 == 1 {
            digits.pop();
        }
        expected.extend(LENIENT.decode(&digits).expect("whole groups of the alphabet"));
    }
    assert_eq!(transfer::base64(octets), expected);
    for limit in [0, 1, 2, 3, 5, 64] {
        let prefix = transfer::base64_prefix(octets, limit);
        assert!(prefix.len() <= limit && expected.starts_with(&prefix));
    }
    assert_eq!(transfer::quoted_printable(octets), unquoted(octets));
}

/// RFC 2045 §6.7, the hard way: everything encoded, soft breaks every 25 octets.
fn quoted(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, b) in octets.iter().enumerate() {
        if i > 0 && i % 25 == 0 {
            out.extend_from_slice(b"=\r\n");
        }
        out.extend_from_slice(format!("={b:02X}").as_bytes());
    }
    out
}

/// Octet by octet, with nothing clever.
fn unquoted(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut i = 0;
    while i < octets.len() {
        if octets[i] != b'=' {
            out.push(octets[i]);
            i += 1;
            continue;
        }
        let digits = octets.get(i + 1..i + 3).and_then(|d| std::str::from_utf8(d).ok()).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(value) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            out.push(value);
            i += 3;
            continue;
        }
        let blanks = octets[i + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let after = &octets[i + 1 + blanks..];
        // No line of mail has more blanks at its end than a line can hold.
        if blanks <= 80 && (after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r\n")) {
            i += 1 + blanks + if after.starts_with(b"\r\n") { 2 } else { usize::from(!after.is_empty()) };
        } else {
            out.push(b'=');
            i += 1;
        }
    }
    out
}
