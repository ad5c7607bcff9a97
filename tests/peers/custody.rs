//! Mail in the gateway's own care, with a real provider that wants a password: held, answered, copied, bounced.

use serde_json::Value;

use super::*;
use crate::support::client::stuffed;

const RULES: &str = r#"
[[rule]]
id = "a-cherry-each"
title = "A cherry each"
when.direction = "outbound"
when.subject.words = ["cherries"]
when.visible-external.at-least = 2
then.hide-recipients = "split"

[[rule]]
id = "mean-it"
title = "Did you mean this?"
when.direction = "outbound"
when.subject.words = ["damsons"]
then.hold = { by = "sender", for = "1h" }
"#;

fn submitted(gateway: &Gateway, to: &[&str], content: &str) -> u16 {
    let mut client = mail::submit(gateway, "sub");
    assert_eq!(client.command(&format!("AUTH PLAIN {}", mail::plain(CLERK, PASSWORD))).expect("an answer").code, 235);
    let mut code = client.command(&format!("MAIL FROM:<{CLERK}>")).expect("an answer").code;
    for to in to {
        code = code.max(client.command(&format!("RCPT TO:<{to}> NOTIFY=FAILURE,DELAY ORCPT=rfc822;{to}")).expect("an answer").code);
    }
    assert_eq!(code, 250);
    assert_eq!(client.command("DATA").expect("an answer").code, 354);
    client.send(&stuffed(content.as_bytes())).and_then(|()| client.reply()).expect("an answer").code
}

fn letter(id: &str, to: &[&str], subject: &str) -> String {
    format!(
        "Message-ID: <{id}@{DOMAIN}>\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\nFrom: The Clerk <{CLERK}>\r\nTo: {}\r\nSubject: {subject}\r\n\r\nTo whom it concerns: {id}.\r\n",
        to.join(", ")
    )
}

/// All that is in the mailbox, once there are as many as wanted of those with this in them.
fn with(mailbox: &Path, what: &str, wanted: usize) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let all = std::fs::read_dir(mailbox).into_iter().flatten().flatten();
        let all = all.filter_map(|e| std::fs::read(e.path()).ok()).map(|c| String::from_utf8_lossy(&c).into_owned());
        let found: Vec<String> = all.filter(|text| text.contains(what)).collect();
        if found.len() >= wanted {
            return found;
        }
        assert!(Instant::now() < end, "{} of {wanted} with {what:?} came", found.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn delivered_to(text: &str) -> &str {
    text.lines().find_map(|l| l.strip_prefix("X-Original-To: ").or_else(|| l.strip_prefix("Delivered-To: "))).unwrap_or_default()
}

#[test]
fn what_the_gateway_keeps_leaves_by_a_provider_with_a_password() {
    let what = "custody with Postfix as the upstream";
    if !have(what, &["python3", "postfix", "dovecot", "root"]) {
        return;
    }
    let postfix = Postfix::start();
    let gateway = Site::new("kept")
        .rules(RULES)
        .listener("sub", "submission", "starttls", "sub", "")
        .upstream("sub", postfix.sub, "starttls", "pacing = { connections = 2, messages = 40, per = \"1s\" }")
        .file("secrets/outbox", PASSWORD)
        .table(&format!(
            "[outbox]\nusername = \"{CLERK}\"\npassword-file = \"secrets/outbox\"\nfrom = \"{CLERK}\"\nanswers = \"gate@{DOMAIN}\""
        ))
        .start();
    let mailbox = postfix.maildir();

    // Copies.
    let to = ["jo@outside.test", "mo@outside.test", "flo@outside.test"];
    assert_eq!(submitted(&gateway, &to, &letter("copies", &to, "cherries")), 250);
    let copies = with(&mailbox, "To whom it concerns: copies.", 3);
    assert_eq!(copies.len(), 3);
    for copy in &copies {
        let own = delivered_to(copy);
        assert!(to.contains(&own) && copy.contains(&format!("\nTo: {own}\n")), "{copy}");
        assert!(to.iter().all(|other| *other == own || !copy.contains(other)), "{copy}");
        assert!(copy.contains(&format!("Message-ID: <copies@{DOMAIN}>")));
    }
    assert_eq!(with(&mailbox, "All sent: cherries", 1).len(), 1, "the sender hears the end");

    // What the provider takes by its envelope and not by its content comes back, in a form that programs read.
    let to = ["jo@outside.test", "mo@outside.test"];
    let refused = letter("refused", &to, "cherries").replace("Subject:", "X-Refuse: content\r\nSubject:");
    assert_eq!(submitted(&gateway, &to, &refused), 250);
    let reports = with(&mailbox, "message/delivery-status", 2);
    let report =
        reports.iter().find(|r| r.contains("rfc822; jo@outside.test")).unwrap_or_else(|| panic!("one for each:\n{}", reports.join("\n\n")));
    assert_eq!(with(&mailbox, "2 not sent: cherries", 1).len(), 1, "the sender hears the end");
    let file = gateway.scratch.file("report.eml", report.replace('\n', "\r\n"));
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/dsn_parse.py"))
        .arg(&file)
        .output()
        .expect("python3 runs");
    let parsed: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(
        (&parsed["type"], &parsed["report"], &parsed["defects"]),
        (&"multipart/report".into(), &"delivery-status".into(), &serde_json::json!([]))
    );
    assert_eq!(parsed["kinds"], serde_json::json!(["text/plain", "message/delivery-status", "text/rfc822-headers"]));
    let recipients = parsed["recipients"].as_array().expect("a list");
    assert_eq!(recipients.len(), 1);
    let failed = &recipients[0];
    assert_eq!((&failed["Final-Recipient"], &failed["Action"]), (&"rfc822; jo@outside.test".into(), &"failed".into()));
    assert_eq!(failed["Original-Recipient"], "rfc822; jo@outside.test");
    assert!(failed["Status"].as_str().is_some_and(|s| s.starts_with("5.")), "{failed}");
    assert!(failed["Diagnostic-Code"].as_str().is_some_and(|d| d.starts_with("smtp; 550 ")), "{failed}");
    assert_eq!(parsed["returned"]["Message-ID"], format!("<refused@{DOMAIN}>"));
    assert!(parsed["auto"] == "auto-replied" || parsed["auto"] == "auto-generated", "{}", parsed["auto"]);

    // Held for its sender, who answers by replying through their own log-in.
    let to = ["jo@outside.test"];
    assert_eq!(submitted(&gateway, &to, &letter("meant", &to, "damsons")), 250);
    let question = with(&mailbox, &format!("In-Reply-To: <meant@{DOMAIN}>"), 1).remove(0);
    let answers =
        question.lines().find_map(|l| l.strip_prefix("Reply-To: ")).expect("where answers go").trim_matches(['<', '>']).to_string();
    assert!(answers.ends_with(&format!("@{DOMAIN}")), "{answers}");
    let mut stranger = mail::submit(&gateway, "sub");
    assert!(!stranger.command(&format!("MAIL FROM:<{CLERK}>")).expect("an answer").ok(), "nobody answers without logging in");
    let answer = format!("From: <{CLERK}>\r\nTo: <{answers}>\r\nSubject: Re: Did you mean this?\r\n\r\n3 He asked for it\r\n");
    assert_eq!(submitted(&gateway, &[&answers], &answer), 250);
    let sent = with(&mailbox, "To whom it concerns: meant.", 1).remove(0);
    assert_eq!(delivered_to(&sent), "jo@outside.test");
    no_secret_in(&gateway.log());
    say("peers: custody: copies, a report that Python reads, an answer by reply, through Postfix");
}
