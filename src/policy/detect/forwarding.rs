//! Was the message forwarded, by hand or by a rule in somebody's mailbox? FIELD: `Auto-Submitted` marks replies, not forwards.

use super::prefixes::{self, Prefix};
use super::quoted;
use crate::message::View;

/// Evidence of each way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    pub by_hand: Option<&'static str>,
    pub automatic: Option<&'static str>,
}

/// What the header and envelope show. `reverse_path` as it came.
pub fn automatic(view: &View<'_>, reverse_path: &str, delivered_inside: impl Fn(&str) -> bool) -> Option<&'static str> {
    let present = |name: &'static str| view.named(name).next().is_some();
    let says_yes = |name: &'static str| {
        view.named(name).any(|f| !["false", "no", "0"].iter().any(|no| view.unfolded(f).eq_ignore_ascii_case(no.as_bytes())))
    };
    if present("X-MS-Exchange-Inbox-Rules-Loop") {
        return Some("a mailbox rule forwarded it (X-MS-Exchange-Inbox-Rules-Loop)");
    }
    if says_yes("X-MS-Exchange-Organization-AutoForwarded")
        || says_yes("Autoforwarded")
        || says_yes("Auto-Forwarded")
        || says_yes("X-Autoforwarded")
        || present("X-MS-Exchange-Generated-Message-Source") && present("Resent-From")
    {
        return Some("it says that it was forwarded automatically");
    }
    if present("X-Forwarded-To") || present("X-Forwarded-For") && view.named("X-Forwarded-For").any(|f| view.unfolded(f).contains(&b'@')) {
        return Some("the mailbox forwards its mail (X-Forwarded-To)");
    }
    let path = reverse_path.to_ascii_lowercase();
    if path.contains("+caf_=") {
        return Some("the mailbox forwards its mail (its reverse path says so)");
    }
    if path.starts_with("srs0=") || path.starts_with("srs1=") || path.starts_with("srs0+") || path.starts_with("srs0-") {
        return Some("its reverse path was rewritten by a forwarder (SRS)");
    }
    for field in view.named("Delivered-To") {
        let value = view.unfolded(field);
        if delivered_inside(String::from_utf8_lossy(&value).trim_matches(['<', '>', ' '])) {
            return Some("it had been delivered to a council mailbox before");
        }
    }
    None
}

/// What the subject, the parts and the text show. `is_party` says whether an address (normal form) is the sender or a recipient.
pub fn by_hand(view: &View<'_>, is_report: bool, is_party: impl Fn(&str) -> bool) -> Option<&'static str> {
    // A reply to what was forwarded is a reply: only the outermost prefix tells.
    if matches!(prefixes::strip_one(view.subject()), Some((Prefix::Forward, _))) {
        return Some("its subject says that it was forwarded");
    }
    if view.named("Resent-From").next().is_some() || view.named("Resent-To").next().is_some() {
        return Some("it was sent on (Resent-From)");
    }
    // A bounce carries the message that it returns.
    if !is_report && view.parts().iter().skip(1).any(|p| matches!(p.content_type.as_str(), "message/rfc822" | "message/global")) {
        return Some("a message is attached");
    }
    // Of a file's name, since many programs attach what they forward as any file.
    if !is_report && view.parts().iter().skip(1).filter_map(|p| p.file_name.as_deref()).any(is_message_file) {
        return Some("a message is attached");
    }
    let text = &view.body_text().all;
    if text.lines().any(|line| quoted::opening(line) == Some(quoted::Opening::Forwarded)) {
        return Some("it holds a forwarded message");
    }
    // Replies quote too: only a quoted sender who takes no part in this message tells.
    quoted::first_sender(text).filter(|a| !is_party(a)).map(|_| "it quotes a message of somebody who is not a recipient")
}

fn is_message_file(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, e)| ["eml", "msg", "emlx"].iter().any(|known| e.trim().eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand(header: &str, body: &str) -> bool {
        let raw = format!("{header}\r\n\r\n{body}");
        by_hand(&View::new(raw.as_bytes()), false, |a| a == "res@gmail.com").is_some()
    }

    #[test]
    fn by_hand_and_not() {
        assert!(hand("Subject: FW: x", ""));
        assert!(hand("Subject: Ymlaen: x", ""));
        assert!(hand("Subject: x\r\nResent-From: a@b.uk", ""));
        assert!(hand("Subject: x", "See.\r\n\r\nBegin forwarded message:\r\n\r\nFrom: a"));
        assert!(hand("Subject: x", "---------- Forwarded message ---------\r\nFrom: a"));
        assert!(hand("Subject: x", "-----Original Message-----\r\nFrom: Bob <bob@aol.com>\r\nTo: us"));
        assert!(!hand("Subject: x", "-----Original Message-----\r\nFrom: Res <res@gmail.com>\r\nTo: us"));
        assert!(!hand("Subject: x", "-----Original Message-----\r\nFrom: Bob Smith\r\nTo: us"));
        assert!(hand("Subject: x", "See.\r\n\r\nVon: Bob <bob@aol.com>\r\nGesendet: Montag\r\nAn: wir\r\nBetreff: x"));
        assert!(hand("Subject: x", "See.\r\n\r\nDe : Bob <bob@aol.com>\r\nEnvoyé : lundi\r\nÀ : nous\r\nObjet : x"));
        assert!(hand("Subject: x", "See.\r\n\r\nFrom: Bob <bob@aol.com>\r\nSent: Monday\r\nTo: us\r\nSubject: x"));
        assert!(!hand("Subject: Re: x", "Yes.\r\n\r\nFrom: Res <res@gmail.com>\r\nSent: Monday\r\nTo: us\r\nSubject: x"));
        let with_file = |name: &str| {
            format!(
                "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Disposition: attachment; filename={name}\r\n\r\nx\r\n--b--"
            )
        };
        assert!(hand(&with_file("mail.eml"), "") && hand(&with_file("mail.MSG"), "") && !hand(&with_file("msg.pdf"), ""));
        for prefix in ["FW", "Fwd", "WG", "TR", "RV", "VS", "VB", "I", "ENC", "Ymlaen", "Fw[2]", "TR "] {
            assert!(hand(&format!("Subject: {prefix}: x"), ""), "{prefix}");
        }
        assert!(!hand("Subject: Re: x", "> quoted\r\nplain"));
        assert!(!hand("Subject: Re: FW: x", "thanks"));
        assert!(!hand("Subject: Information", "forwarded message"));
    }

    #[test]
    fn automatic_and_not() {
        let auto = |header: &str, path: &str| {
            automatic(&View::new(format!("{header}\r\n\r\n").as_bytes()), path, |a| a == "clerk@council.uk").is_some()
        };
        assert!(auto("X-MS-Exchange-Inbox-Rules-Loop: clerk@council.uk", ""));
        assert!(auto("X-Forwarded-To: me@gmail.com", ""));
        assert!(auto("Subject: x", "clerk+caf_=me=gmail.com@council.uk"));
        assert!(auto("Subject: x", "SRS0=abc=de=x.uk=jo@council.uk"));
        assert!(auto("Delivered-To: clerk@council.uk", ""));
        assert!(auto("Autoforwarded: true", ""));
        assert!(auto("Auto-Forwarded: true", ""));
        assert!(auto("X-MS-Exchange-Organization-AutoForwarded: true", ""));
        assert!(!auto("Autoforwarded: FALSE", ""));
        assert!(!auto("X-MS-Exchange-Organization-AutoForwarded: false", ""));
        assert!(!auto("Delivered-To: me@gmail.com", "clerk@council.uk"));
        assert!(!auto("Auto-Submitted: auto-replied", ""));
        assert!(!auto("X-Forwarded-For: 192.0.2.1", ""));
    }
}
