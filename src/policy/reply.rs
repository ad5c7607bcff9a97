//! From a disposition to what the client hears: one map. 4xx or 5xx is decided by the disposition, and the enhanced code follows.

use unicode_normalization::UnicodeNormalization as _;

use super::verdict::{Disposition, Held};
use crate::smtp::Reply;

/// Room for the rule's words: with code, enhanced code and reference the line stays below the 512 octets of RFC 5321 §4.5.3.1.5.
const MOST_WORDS: usize = 400;

/// What the client hears after the content; none for delivery, where it hears the upstream. `reference` is what the sender
/// quotes to the Clerk, such as `LG-7F3K`.
pub fn reply(disposition: &Disposition, reference: &str) -> Option<Reply> {
    // RFC 3463 §3.8: X.7.1, delivery not authorised. Not 5.7.10 or 5.7.30, which speak of mechanisms.
    let (code, enhanced, text, default) = match disposition {
        Disposition::Deliver => return None,
        // It is taken, and waits: [`kept`].
        Disposition::Hold { .. } => return None,
        Disposition::Defer { text } => (451, "4.7.1", text, "Not sent yet: it will be tried again."),
        Disposition::Reject { text } => (550, "5.7.1", text, "Not sent: the council's policy does not allow it."),
        // RFC 3463 §3.7: X.6.0, other or undefined media error.
        Disposition::Malformed { text } => (550, "5.6.0", text, "Not sent: mail programs cannot agree on what this message holds."),
    };
    let words = plain(text);
    let words = if words.is_empty() { default } else { &words };
    Some(Reply::line(code, enhanced, &format!("{words} Ref {reference}")))
}

/// What the client hears when the gateway has taken a message into its own care: held, or to leave as so many copies.
pub fn kept(held: Option<&Held>, copies: usize, reference: &str) -> Reply {
    let text = match held {
        Some(held) => {
            let by: Vec<&str> = held.by.iter().map(|p| p.word()).collect();
            format!("Taken, and waits for the {}. Ref {reference}", by.join(" and the "))
        }
        None => format!("Taken: {copies} copies go out one by one. Ref {reference}"),
    };
    Reply::line(250, "2.0.0", &text)
}

/// Printable ASCII in one line: marks and typographer's characters as a reader would type them, white space as single spaces.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd() {
        match c {
            ' '..='~' => out.push(c),
            '\u{300}'..='\u{36f}' => {}
            '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' => out.push('\''),
            '\u{201c}' | '\u{201d}' | '\u{201f}' | '\u{ab}' | '\u{bb}' => out.push('"'),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
            '£' => out.push_str("GBP "),
            c if c.is_whitespace() => out.push(' '),
            c if c.is_control() => {}
            _ => out.push('?'),
        }
        // A rule's text is short; a file's worth of it is not read to the end.
        if out.len() > MOST_WORDS * 4 {
            break;
        }
    }
    let mut line = out.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MOST_WORDS {
        let end = line[..MOST_WORDS - 3].rfind(' ').unwrap_or(MOST_WORDS - 3);
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::verdict::Person;

    #[test]
    fn one_line_with_its_reference_whatever_the_rule_says() {
        let cases = [
            (
                Disposition::Reject { text: "Not sent: marked Confidential. Encrypt, then resend.".into() },
                "550 5.7.1 Not sent: marked Confidential. Encrypt, then resend. Ref LG-7F3K\r\n",
            ),
            (
                Disposition::Defer { text: "The scanner – ‘ClamAV’ – is\r\n250 OK silent…".into() },
                "451 4.7.1 The scanner - 'ClamAV' - is 250 OK silent... Ref LG-7F3K\r\n",
            ),
            (
                Disposition::Defer { text: "Ysgrifennwch at y clerc: dŵr, £5, 日".into() },
                "451 4.7.1 Ysgrifennwch at y clerc: dwr, GBP 5, ? Ref LG-7F3K\r\n",
            ),
            (Disposition::Malformed { text: "Not sent: x.".into() }, "550 5.6.0 Not sent: x. Ref LG-7F3K\r\n"),
            (Disposition::Reject { text: " \n".into() }, "550 5.7.1 Not sent: the council's policy does not allow it. Ref LG-7F3K\r\n"),
        ];
        for (disposition, wire) in cases {
            assert_eq!(String::from_utf8_lossy(reply(&disposition, "LG-7F3K").unwrap().wire()), wire);
        }
        assert!(reply(&Disposition::Deliver, "LG-7F3K").is_none());
        let held = Held { by: vec![Person::Clerk, Person::Chair], within: 60, release: false };
        assert!(reply(&Disposition::Hold { text: "x".into(), held: held.clone() }, "LG-7F3K").is_none());
        assert_eq!(kept(Some(&held), 0, "LG-7F3K").wire(), b"250 2.0.0 Taken, and waits for the clerk and the chair. Ref LG-7F3K\r\n");
        assert_eq!(kept(None, 200, "LG-7F3K").wire(), b"250 2.0.0 Taken: 200 copies go out one by one. Ref LG-7F3K\r\n");
    }

    #[test]
    fn a_long_text_keeps_its_reference_and_the_line_its_limit() {
        for word in ["encrypt it ", "x", "\u{fdfa}"] {
            let said = reply(&Disposition::Reject { text: word.repeat(10_000) }, "LG-7F3K").unwrap();
            assert!(said.wire().len() <= 512 && said.wire().ends_with(b" Ref LG-7F3K\r\n"), "{said}");
        }
    }
}
