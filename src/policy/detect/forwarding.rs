//! Was the message forwarded, by hand or by a rule in somebody's mailbox? FIELD: `Auto-Submitted` marks replies, not forwards.

use super::prefixes::{self, Prefix};
use crate::message::View;
use crate::smtp::address::normal;

/// Evidence of each way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    pub by_hand: Option<&'static str>,
    pub automatic: Option<&'static str>,
}

/// What the header and envelope show. `reverse_path` as it came.
pub fn automatic(view: &View<'_>, reverse_path: &str, delivered_inside: impl Fn(&str) -> bool) -> Option<&'static str> {
    let present = |name: &'static str| view.named(name).next().is_some();
    if present("X-MS-Exchange-Inbox-Rules-Loop") {
        return Some("a mailbox rule forwarded it (X-MS-Exchange-Inbox-Rules-Loop)");
    }
    if present("X-MS-Exchange-Organization-AutoForwarded")
        || present("Autoforwarded")
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
    if !is_report && view.parts().iter().skip(1).any(|p| p.content_type == "message/rfc822") {
        return Some("a message is attached");
    }
    let text = &view.body_text().all;
    for line in text.lines() {
        let bare = line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '*' | '_'));
        if bare.eq_ignore_ascii_case("Begin forwarded message:") {
            return Some("it holds a forwarded message");
        }
        if bare.starts_with("-----") {
            let words = bare.trim_matches(['-', ' ']);
            if words.eq_ignore_ascii_case("Forwarded message") || words.eq_ignore_ascii_case("Forwarded Message") {
                return Some("it holds a forwarded message");
            }
        }
    }
    // "-----Original Message-----" stands in replies too: only a quoted sender who takes no part in this message tells.
    original_sender(text).filter(|a| !is_party(a)).map(|_| "it quotes a message of somebody who is not a recipient")
}

/// The address in the `From:` line below the first "-----Original Message-----".
fn original_sender(text: &str) -> Option<String> {
    let mut lines = text.lines();
    lines.find(|l| {
        let bare = l.trim_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '*' | '_'));
        bare.starts_with("---") && bare.trim_matches(['-', ' ']).eq_ignore_ascii_case("Original Message")
    })?;
    for line in lines.take(8) {
        let bare = line.trim_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '*' | '_'));
        let Some(rest) = bare.get(..5).filter(|h| h.eq_ignore_ascii_case("from:")).map(|_| &bare[5..]) else { continue };
        let token = rest
            .split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '[' | ']' | '(' | ')' | '"' | ',' | ';' | '*'))
            .find(|t| t.contains('@'))?;
        let token = token.strip_prefix("mailto:").unwrap_or(token);
        let (local, domain) = token.rsplit_once('@')?;
        return (!local.is_empty() && !domain.is_empty()).then(|| normal(local, domain));
    }
    None
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
        assert!(!auto("Delivered-To: me@gmail.com", "clerk@council.uk"));
        assert!(!auto("Auto-Submitted: auto-replied", ""));
        assert!(!auto("X-Forwarded-For: 192.0.2.1", ""));
    }
}
