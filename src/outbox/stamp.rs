//! The field that says "judged already", for a provider whose rule sends mail through the gateway and takes it back.
//!
//! It is an HMAC over reverse path, time, the fields that readers see and the body, so that it cannot be moved to another message. A
//! field of this name that comes in is always stripped; only one that verifies spares the message a second judging.

use crate::config::settings::Stamp;
use crate::message::RawMessage;
use crate::message::view::View;

/// How long a stamp is good: longer than a provider keeps trying.
const GOOD: i64 = 5 * 86_400;

/// The fields that the stamp covers, beside the body.
const COVERED: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To"];

/// The field for a message as it leaves, with its CRLF. `now` in seconds since 1970.
pub fn field(stamp: &Stamp, reverse_path: &str, message: &[u8], now: i64) -> String {
    format!("{}: v1 t={now} h={}\r\n", stamp.field, mac(stamp, reverse_path, message, now))
}

/// Whether the message bears a stamp of ours that is right.
pub fn verifies(stamp: &Stamp, reverse_path: &str, message: &RawMessage, now: i64) -> bool {
    let view = View::new(message.as_bytes());
    view.named(&stamp.field).any(|found| {
        let text = String::from_utf8_lossy(view.raw_body(found)).into_owned();
        let mut words = text.split_ascii_whitespace();
        let (Some("v1"), Some(time), Some(hash)) = (words.next(), words.next(), words.next()) else { return false };
        let Some(time) = time.strip_prefix("t=").and_then(|t| t.parse::<i64>().ok()) else { return false };
        let Some(hash) = hash.strip_prefix("h=") else { return false };
        let right = mac(stamp, reverse_path, message.as_bytes(), time);
        let fresh = (0..=GOOD).contains(&(now - time));
        fresh && subtle::ConstantTimeEq::ct_eq(right.as_bytes(), hash.as_bytes()).into()
    })
}

fn mac(stamp: &Stamp, reverse_path: &str, message: &[u8], time: i64) -> String {
    let view = View::new(message);
    let mut hash = blake3::Hasher::new_keyed(&stamp.key);
    let mut part = |octets: &[u8]| {
        hash.update(&(octets.len() as u64).to_le_bytes());
        hash.update(octets);
    };
    part(reverse_path.to_ascii_lowercase().as_bytes());
    part(&time.to_le_bytes());
    for name in COVERED {
        for found in view.named(name) {
            part(name.as_bytes());
            part(view.raw_body(found).trim_ascii());
        }
    }
    part(&message[view.header_end().min(message.len())..]);
    hash.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(message: &str, from: &str, now: i64) -> RawMessage {
        let stamp = Stamp { field: "X-Judged".into(), key: [7; 32] };
        let field = field(&stamp, from, message.as_bytes(), now);
        RawMessage::new(format!("Received: from x\r\n{field}{message}").into_bytes())
    }

    #[test]
    fn holds_for_this_message_only() {
        let stamp = Stamp { field: "X-Judged".into(), key: [7; 32] };
        let message = "From: jo@x.uk\r\nSubject: a\r\n\r\nbody\r\n";
        assert!(verifies(&stamp, "jo@x.uk", &stamped(message, "jo@x.uk", 1000), 2000));
        assert!(!verifies(&stamp, "al@x.uk", &stamped(message, "jo@x.uk", 1000), 2000), "another reverse path");
        assert!(!verifies(&stamp, "jo@x.uk", &stamped(message, "jo@x.uk", 1000), 1000 + GOOD + 1), "too old");
        let other = stamped(message, "jo@x.uk", 1000).as_bytes().to_vec();
        let other = String::from_utf8(other).unwrap().replace("body", "bode");
        assert!(!verifies(&stamp, "jo@x.uk", &RawMessage::new(other.into_bytes()), 2000), "another body");
        let forged = "X-Judged: v1 t=1000 h=00\r\nFrom: jo@x.uk\r\n\r\n";
        assert!(!verifies(&stamp, "jo@x.uk", &RawMessage::new(forged.as_bytes().to_vec()), 2000));
    }
}
