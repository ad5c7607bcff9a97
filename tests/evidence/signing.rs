//! What the gateway signs, another's verifier takes; over what really leaves, and nothing that anybody else claims to be.

use super::authentication::{Asking, Key, PASS, claims};
use super::through_the_gateway::send_to;
use crate::support::CLERK;
use crate::support::dns::Dns;
use crate::support::gateway::Site;
use crate::support::sink::Sink;

const RULES: &str = r#"
[[rule]]
id = "sign"
title = "Signed"
when.subject.words = "sign"
then.sign = "dkim"

[[rule]]
id = "tag"
title = "Tagged"
when.subject.words = "tag"
then.tag-subject = "[Wragby]"

[[rule]]
id = "hide"
title = "Hidden"
when.direction = "outbound"
when.visible-external.at-least = 3
then.hide-recipients = "bcc"
"#;

#[test]
fn what_leaves_is_signed() {
    let key = Key::new();
    let dns = Dns::start(&format!("gate1._domainkey.wragby.test TXT {}", key.record));
    let asking = Asking::at(&dns, std::time::Duration::from_secs(5));
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = Site::new("signing")
        .listener("connector", "connector", "none", "out", "")
        .listener("mx", "mx", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .rules(RULES)
        .file("dkim.key", key.pem())
        .table("[[dkim]]\nselector = \"gate1\"\nkey-file = \"dkim.key\"")
        .start();
    let through = |listener: &str, content: &[u8]| {
        let reply = send_to(&gateway, listener, CLERK, if listener == "mx" { CLERK } else { "jo@outside.test" }, content);
        assert!(reply.ok(), "{reply:?}");
        sink.take().pop().expect("it was relayed").content
    };
    let signatures = |message: &[u8]| String::from_utf8_lossy(message).matches("DKIM-Signature:").count();
    let passes = |message: &[u8]| asking.about(message, claims("x@elsewhere.test", "wragby.test")).dkim == PASS;

    let head = format!("From: Clerk <{CLERK}>\r\nTo: jo@outside.test\r\n");
    let residents = "To: a@x.example, b@y.example, c@z.example\r\n";
    for (what, message) in [
        ("plain", format!("{head}Subject: sign\r\n\r\nText\r\n")),
        (
            "folded",
            format!(
                "{head}Subject: sign\r\n  this   one\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n\tcharset=utf-8\r\n\r\nText \t \r\n\r\n\r\n"
            ),
        ),
        ("no body", format!("{head}Subject: sign\r\n\r\n")),
        ("blank body", format!("{head}Subject: sign\r\n\r\n\r\n\r\n")),
        ("dots", format!("{head}Subject: sign\r\n\r\n.\r\n..\r\n. x\r\n")),
        ("two subjects", format!("{head}Subject: sign\r\nSubject: again\r\n\r\nText\r\n")),
        ("tagged", format!("{head}Subject: sign and tag\r\n\r\nText\r\n")),
        ("hidden", format!("From: {CLERK}\r\n{residents}Subject: sign\r\n\r\nText\r\n")),
        ("large", format!("{head}Subject: sign\r\n\r\n{}", "A line of the minutes. \r\n".repeat(50_000))),
    ] {
        let left = through("connector", message.as_bytes());
        assert!(passes(&left), "{what}: {}", String::from_utf8_lossy(&left[..left.len().min(2_000)]));
        assert_eq!(signatures(&left), 1, "{what}");
        // A second From in front is no part of what was signed.
        assert!(!passes(&[b"From: evil@elsewhere.test\r\n", &left[..]].concat()), "{what}");
    }
    let latin = [head.as_bytes(), b"Subject: sign\r\nX-\xe9: \xe9\r\n\r\nCaf\xe9\r\n"].concat();
    assert!(passes(&through("connector", &latin)));

    // Nobody asked, nothing broken: not signed, and what the provider signed is kept.
    let unasked = format!("{head}Subject: hedge\r\n\r\nText\r\n");
    assert_eq!(signatures(&through("connector", unasked.as_bytes())), 0);
    let signed = key.sign_as("wragby.test", "gate1", &unasked);
    let left = through("connector", &signed);
    assert!(passes(&left) && signatures(&left) == 1 && left.ends_with(&signed));
    // A rule's change breaks the provider's signature: it goes, and there is a new one.
    let tagged = key.sign_as("wragby.test", "gate1", &format!("{head}Subject: tag\r\n\r\nText\r\n"));
    let left = through("connector", &tagged);
    assert!(String::from_utf8_lossy(&left).contains("[Wragby]"), "{}", String::from_utf8_lossy(&left));
    assert!(passes(&left) && signatures(&left) == 1, "{}", String::from_utf8_lossy(&left));
    // At mx anybody may write the Clerk's address.
    assert_eq!(signatures(&through("mx", format!("{head}Subject: sign\r\n\r\nText\r\n").as_bytes())), 0);
}
