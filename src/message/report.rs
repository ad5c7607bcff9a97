//! Delivery status notifications (RFC 3461, RFC 3464): what a sender hears of mail that the gateway had taken and could not hand on.
//!
//! Three parts: plain words, the fields that programs read, the header of the message (or all of it, where its sender asked for that).
//! Whatever came from an upstream or a client is cut to printable ASCII: nothing of it starts a line or a part.

use std::fmt::Write as _;

/// What became of a recipient's copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    /// Not yet; it is still being tried.
    Delayed,
    /// Handed to a system that makes no such reports.
    Relayed,
}

/// One recipient of a report.
#[derive(Clone, Debug)]
pub struct About<'a> {
    /// Without brackets.
    pub address: &'a str,
    /// The ESMTP parameters of its RCPT, verbatim: NOTIFY and ORCPT.
    pub parameters: &'a str,
    pub action: Action,
    /// What the upstream said last; empty if nothing.
    pub reply: &'a str,
    /// The time was over before the upstream took it.
    pub expired: bool,
}

/// All that a report says.
pub struct Report<'a> {
    /// The gateway's own name.
    pub hostname: &'a str,
    pub council: &'a str,
    /// The author of the report.
    pub from: &'a str,
    /// The reverse path of the message.
    pub to: &'a str,
    /// Unique, without brackets; also names the parts' boundary.
    pub id: &'a str,
    /// Now, and when the message was taken, in the form of RFC 5322 §3.3.
    pub date: &'a str,
    pub arrival: &'a str,
    /// Until when it is tried, for what is delayed.
    pub until: Option<&'a str>,
    /// "LG-7F3K".
    pub reference: &'a str,
    /// Decoded; empty if there is none.
    pub subject: &'a str,
    /// The ESMTP parameters of its MAIL, verbatim: RET and ENVID.
    pub parameters: &'a str,
    /// The name of the upstream.
    pub upstream: &'a str,
    pub about: &'a [About<'a>],
    /// The message as it was taken.
    pub message: &'a [u8],
}

/// Octets of a message that are returned whole, at most.
const WHOLE: usize = 100_000;
/// Octets of its header.
const HEADER: usize = 30_000;

/// Whether a recipient's sender wants to hear of this (RFC 3461 §4.1). Without NOTIFY: of failures and delays.
pub fn is_wanted(parameters: &str, action: Action) -> bool {
    let Some(wanted) = parameter(parameters, "NOTIFY") else { return action != Action::Relayed };
    let word = match action {
        Action::Failed => "FAILURE",
        Action::Delayed => "DELAY",
        Action::Relayed => "SUCCESS",
    };
    wanted.split(',').any(|w| w.eq_ignore_ascii_case(word))
}

/// The value of an ESMTP parameter.
pub fn parameter<'a>(parameters: &'a str, keyword: &str) -> Option<&'a str> {
    parameters
        .split_ascii_whitespace()
        .filter_map(|p| p.split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case(keyword))
        .map(|(_, value)| value)
}

/// Undoes xtext (RFC 3461 §4). None if it is none, or stands for what is not printable.
pub fn from_xtext(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let plain = if octet == b'+' {
            let mut digit = || octets.next().filter(|d| matches!(d, b'0'..=b'9' | b'A'..=b'F')).and_then(|d| char::from(d).to_digit(16));
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            octet
        };
        if !matches!(plain, b' '..=b'~') {
            return None;
        }
        out.push(char::from(plain));
    }
    Some(out)
}

/// The report's octets. It goes with an empty reverse path, and never about a message that had one.
pub fn compose(report: &Report<'_>) -> Vec<u8> {
    let boundary = format!("=_{}", report.id.replace('@', "_"));
    let global = report.about.iter().any(|a| !a.address.is_ascii());
    let mut out = String::new();
    let delayed = report.about.iter().all(|a| a.action == Action::Delayed);
    let relayed = report.about.iter().all(|a| a.action == Action::Relayed);
    let subject = if delayed {
        "Not delivered yet"
    } else if relayed {
        "Passed on"
    } else {
        "Not delivered"
    };
    let _ = write!(
        out,
        "Date: {}\r\nFrom: Mail gateway <{}>\r\nTo: <{}>\r\nSubject: {subject}: {}\r\nMessage-ID: <{}>\r\n\
         Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\r\n\r\n",
        report.date, report.from, report.to, report.reference, report.id
    );
    part(&mut out, &boundary, "text/plain; charset=utf-8");
    words(&mut out, report, delayed, relayed);
    part(&mut out, &boundary, if global { "message/global-delivery-status" } else { "message/delivery-status" });
    fields(&mut out, report);
    let mut out = out.into_bytes();
    let whole = parameter(report.parameters, "RET").is_some_and(|r| r.eq_ignore_ascii_case("FULL"))
        && report.message.len() <= WHOLE
        && report.message.is_ascii();
    let header_end = memchr::memmem::find(report.message, b"\r\n\r\n").map_or(report.message.len(), |at| at + 2).min(HEADER);
    let (kind, returned) = if whole { ("message/rfc822", report.message) } else { ("text/rfc822-headers", &report.message[..header_end]) };
    out.extend_from_slice(format!("--{boundary}\r\nContent-Type: {kind}\r\n\r\n").as_bytes());
    // A header with other than ASCII would need a path that takes 8 bits.
    out.extend(returned.iter().map(|octet| if octet.is_ascii() { *octet } else { b'?' }));
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

fn part(out: &mut String, boundary: &str, kind: &str) {
    let encoding = if kind.starts_with("text/plain") || kind.contains("global") { "Content-Transfer-Encoding: 8bit\r\n" } else { "" };
    let _ = write!(out, "--{boundary}\r\nContent-Type: {kind}\r\n{encoding}\r\n");
}

fn words(out: &mut String, report: &Report<'_>, delayed: bool, relayed: bool) {
    let which = if report.subject.is_empty() { String::new() } else { format!(" \"{}\"", clean(report.subject, 200)) };
    let _ = write!(out, "Your message{which} of {}\r\n", report.arrival);
    let _ = match (delayed, relayed) {
        (true, _) => write!(out, "has not been delivered yet to:\r\n\r\n"),
        (_, true) => write!(out, "was passed on; no further report will come for:\r\n\r\n"),
        _ => write!(out, "could not be delivered to:\r\n\r\n"),
    };
    for about in report.about {
        let _ = write!(out, "  {}\r\n", clean(about.address, 254));
        if about.expired {
            let _ = write!(out, "    The mail provider did not take it in the time that it is tried.\r\n");
        }
        if !about.reply.is_empty() {
            let _ = write!(out, "    The mail provider said: {}\r\n", clean(about.reply, 400));
        }
    }
    out.push_str("\r\n");
    match (delayed, report.until) {
        (true, Some(until)) => {
            let _ = write!(out, "It is tried again until {until}. You need not do anything.\r\n");
        }
        (true, None) => out.push_str("It is tried again. You need not do anything.\r\n"),
        _ if relayed => {}
        _ => out.push_str(
            "Everybody else has it, or will be told of in another message. Check the address, and send it again to these only.\r\n",
        ),
    }
    let _ = write!(
        out,
        "\r\nReference: {}. Please quote it if you ask about this.\r\nThis was written by the mail gateway of {}.\r\n\r\n",
        clean(report.reference, 40),
        clean(report.council, 80)
    );
}

fn fields(out: &mut String, report: &Report<'_>) {
    let _ = write!(out, "Reporting-MTA: dns; {}\r\n", clean(report.hostname, 255));
    // RFC 3464 §2.2.1: as it was given, decoded.
    if let Some(id) = parameter(report.parameters, "ENVID").and_then(from_xtext) {
        let _ = write!(out, "Original-Envelope-Id: {id}\r\n");
    }
    let _ = write!(out, "Arrival-Date: {}\r\n", report.arrival);
    for about in report.about {
        out.push_str("\r\n");
        let original = parameter(about.parameters, "ORCPT").and_then(|o| o.split_once(';'));
        if let Some((kind, address)) = original
            && let Some(address) = from_xtext(address)
        {
            let _ = write!(out, "Original-Recipient: {}; {address}\r\n", clean(kind, 40));
        }
        let kind = if about.address.is_ascii() { "rfc822" } else { "utf-8" };
        let action = match about.action {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Relayed => "relayed",
        };
        let _ = write!(out, "Final-Recipient: {kind}; {}\r\nAction: {action}\r\nStatus: {}\r\n", clean(about.address, 254), status(about));
        if !about.reply.is_empty() {
            let _ =
                write!(out, "Remote-MTA: dns; {}\r\nDiagnostic-Code: smtp; {}\r\n", clean(report.upstream, 255), clean(about.reply, 400));
        }
        if let (Action::Delayed, Some(until)) = (about.action, report.until) {
            let _ = write!(out, "Will-Retry-Until: {until}\r\n");
        }
    }
    out.push_str("\r\n");
}

/// The enhanced code of the reply (RFC 3463) if it has one that fits its code, else the most general.
fn status(about: &About<'_>) -> String {
    if about.expired {
        return "4.4.7".into();
    }
    let class = match about.action {
        Action::Failed => '5',
        Action::Delayed => '4',
        Action::Relayed => '2',
    };
    let enhanced = about.reply.split([' ', '-']).nth(1).filter(|e| {
        let mut parts = e.split('.');
        let number =
            |p: Option<&str>, most: usize| p.is_some_and(|p| !p.is_empty() && p.len() <= most && p.bytes().all(|b| b.is_ascii_digit()));
        parts.next().is_some_and(|c| c.len() == 1 && c.starts_with(class))
            && number(parts.next(), 3)
            && number(parts.next(), 3)
            && parts.next().is_none()
    });
    enhanced.map_or_else(|| format!("{class}.0.0"), str::to_string)
}

/// One line of what may be shown.
fn clean(text: &str, longest: usize) -> String {
    text.chars()
        .take(longest)
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report<'a>(about: &'a [About<'a>], parameters: &'a str, message: &'a [u8]) -> Report<'a> {
        Report {
            hostname: "gate.wragby.uk",
            council: "Wragby Parish Council",
            from: "gateway@wragby.uk",
            to: "clerk@wragby.uk",
            id: "abc@wragby.uk",
            date: "Tue, 12 May 2026 10:03:00 +0100",
            arrival: "Tue, 12 May 2026 09:03:00 +0100",
            until: Some("Sun, 17 May 2026 09:03:00 +0100"),
            reference: "LG-7F3K",
            subject: "Tender\r\nBcc: x@evil.example",
            parameters,
            upstream: "smtp.provider.example",
            about,
            message,
        }
    }

    #[test]
    fn who_wants_to_hear_of_what() {
        use Action::{Delayed, Failed, Relayed};
        for (parameters, failed, delayed, relayed) in [
            ("", true, true, false),
            (" NOTIFY=NEVER", false, false, false),
            (" NOTIFY=SUCCESS,FAILURE", true, false, true),
            (" ORCPT=rfc822;a@x.uk notify=delay", false, true, false),
        ] {
            assert_eq!([Failed, Delayed, Relayed].map(|a| is_wanted(parameters, a)), [failed, delayed, relayed], "{parameters}");
        }
    }

    #[test]
    fn xtext() {
        assert_eq!(from_xtext("a+2Bb+3D").as_deref(), Some("a+b="));
        for bad in ["+2", "+", "+zz", "a+0D+0Ab", "caf\u{e9}"] {
            assert_eq!(from_xtext(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_report_says_it_to_people_and_to_programs() {
        let about = [
            About {
                address: "jo@x.uk",
                parameters: " NOTIFY=FAILURE ORCPT=rfc822;jo+2Bhome@x.uk",
                action: Action::Failed,
                reply: "550 5.1.1 <jo@x.uk> unknown\r\nSubject: forged",
                expired: false,
            },
            About { address: "al@x.uk", parameters: "", action: Action::Failed, reply: "451 busy", expired: true },
        ];
        let message = b"From: clerk@wragby.uk\r\nSubject: Tender\r\n\r\nPrivate\r\n";
        let out = String::from_utf8(compose(&report(&about, " RET=HDRS ENVID=case+3D7", message))).unwrap();
        for part in [
            "Subject: Not delivered: LG-7F3K\r\n",
            "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=_abc_wragby.uk\"\r\n",
            "Your message \"Tender  Bcc: x@evil.example\" of",
            "Reporting-MTA: dns; gate.wragby.uk\r\nOriginal-Envelope-Id: case=7\r\nArrival-Date: Tue, 12 May 2026 09:03:00 +0100\r\n\r\n\
             Original-Recipient: rfc822; jo+home@x.uk\r\nFinal-Recipient: rfc822; jo@x.uk\r\nAction: failed\r\nStatus: 5.1.1\r\n\
             Remote-MTA: dns; smtp.provider.example\r\nDiagnostic-Code: smtp; 550 5.1.1 <jo@x.uk> unknown  Subject: forged\r\n\r\n\
             Final-Recipient: rfc822; al@x.uk\r\nAction: failed\r\nStatus: 4.4.7\r\n",
            "Content-Type: text/rfc822-headers\r\n\r\nFrom: clerk@wragby.uk\r\nSubject: Tender\r\n--=_abc_wragby.uk--\r\n",
        ] {
            assert!(out.contains(part), "{part}\n---\n{out}");
        }
        assert!(!out.contains("Private") && !out.contains("\r\nBcc"), "{out}");
        let whole = String::from_utf8(compose(&report(&about, " RET=FULL", message))).unwrap();
        assert!(
            whole.contains("Content-Type: message/rfc822\r\n\r\nFrom: clerk@wragby.uk\r\nSubject: Tender\r\n\r\nPrivate\r\n"),
            "{whole}"
        );
    }

    #[test]
    fn a_delay_says_until_when() {
        let about = [About { address: "jo@x.uk", parameters: "", action: Action::Delayed, reply: "450-4.2.1 busy", expired: false }];
        let out = String::from_utf8(compose(&report(&about, "", b"Subject: x\r\n\r\n"))).unwrap();
        assert!(out.contains("Action: delayed\r\nStatus: 4.2.1\r\n") && out.contains("Will-Retry-Until: Sun, 17 May 2026"), "{out}");
        assert!(out.contains("Subject: Not delivered yet: LG-7F3K"));
    }

    proptest::proptest! {
        /// Whatever an upstream or a client says, the parts stay three and no line of theirs starts one.
        #[test]
        fn nothing_breaks_out(reply in ".{0,80}", subject in ".{0,80}", address in "[a-z\r\n:=_-]{1,40}", parameters in "[ A-Z=;+0-9a-z]{0,60}") {
            let about = [About { address: &address, parameters: &parameters, action: Action::Failed, reply: &reply, expired: false }];
            let mut report = report(&about, &parameters, b"Subject: x\r\n\r\n");
            report.subject = &subject;
            let out = String::from_utf8_lossy(&compose(&report)).into_owned();
            proptest::prop_assert_eq!(out.matches("\r\n--=_abc_wragby.uk").count(), 4);
            proptest::prop_assert!(out.split("\r\n").all(|line| !line.contains(['\r', '\n'])));
        }
    }
}
