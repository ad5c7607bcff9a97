//! The gateway's own mail: by credential, by connector, after a restart; once, and never in answer to a machine.

use super::provider::{Behaviour, Provider, initial};
use super::*;
use crate::support::{PASSWORD, base64, loopback, port};

#[test]
fn by_the_gateways_own_credential_through_a_submission_upstream() {
    let provider = Provider::start(Behaviour { tls: true, auth: Some("PLAIN LOGIN"), login_required: true, ..Behaviour::default() });
    let gateway = Site::new("credential")
        .wragby("")
        .listener("in", "submission", "starttls", "out", "")
        .upstream("out", provider.address, "starttls", "")
        .table("[outbox]\nusername = \"gate@wragby.test\"\npassword-file = \"outbox-password\"")
        .file("outbox-password", "Gate's own \u{e9}\n")
        .environment("LYCHGATE_LOG", "trace")
        .start();
    let mut client = greeted(&gateway, "in").start_tls().expect("TLS");
    assert!(client.command("EHLO client.example").expect("an answer").ok());
    let login = base64(format!("\0{CLERK}\0{PASSWORD}").as_bytes());
    assert_eq!(client.command(&format!("AUTH PLAIN {login}")).expect("an answer").code, 235);
    let content = letter("minutes", "jo@outside.test", "[CONFIDENTIAL] Minutes", "x");
    assert_eq!(transact(&mut client, CLERK, &["jo@outside.test"], &content).code, 550);
    let notice = eventually("a notice", || provider.heard().messages.first().cloned());
    assert!(is_notice(&notice), "{}", text(&notice));
    assert_eq!(notice.recipients, [format!("RCPT TO:<{CLERK}>")]);
    assert!(notice.mail.starts_with("MAIL FROM:<>"), "{}", notice.mail);
    let head = head(&notice);
    assert!(head.contains("gate@wragby.test") && head.contains("\r\nX-Auto-Response-Suppress: All\r\n"), "{head}");
    assert!(head.contains("<minutes@wragby.test>"), "it is an answer in the sender's thread: {head}");
    let heard = provider.heard();
    assert_eq!(heard.by, [true]);
    let own = heard.auth.iter().map(|a| initial(a)).find(|a| a.contains("gate@")).expect("its own log-in");
    assert_eq!(own, "|gate@wragby.test|Gate's own \u{e9}");
    drop(heard);
    let log = gateway.log();
    for secret in ["Gate's own", PASSWORD, &login, &base64("\0gate@wragby.test\0Gate's own \u{e9}".as_bytes())] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_notice_survives_a_kill_while_the_upstream_is_down() {
    let sink = Sink::start(&["PIPELINING"]);
    let later = loopback(port());
    let mut gateway = site("survives", sink.address)
        .upstream("notices", later, "none", "")
        .table("[outbox]\nupstream = \"notices\"\nfrom = \"gate@wragby.test\"")
        .start();
    let content = letter("lost", "jo@outside.test", "[CONFIDENTIAL] Minutes", "x");
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &content).code, 550);
    // A refusal is answered when its notice is on the disk: from here on it cannot be lost.
    gateway.kill();
    gateway.restart();
    gateway.kill();
    let provider = Provider::start_at(later, Behaviour::default());
    gateway.restart();
    let notice = eventually("the notice", || provider.heard().messages.first().cloned());
    assert!(is_notice(&notice) && text(&notice).contains("<lost@wragby.test>"), "{}", text(&notice));
    // The client tries again after the restart, and is not told again.
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &content).code, 550);
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &letter("next", "jo@outside.test", "[CONFIDENTIAL] x", "x")).code, 550);
    eventually("the next notice", || provider.heard().messages.iter().any(|m| text(m).contains("<next@")).then_some(()));
    let all = provider.heard().messages.iter().filter(|m| text(m).contains("<lost@")).count();
    assert_eq!(all, 1, "told once");
    assert!(sink.take().is_empty(), "a notice went to another upstream");
}

#[test]
fn without_a_credential_notices_wait_and_check_says_so() {
    let provider = Provider::start(Behaviour { auth: Some("PLAIN"), login_required: true, ..Behaviour::default() });
    let metrics = loopback(port());
    let gateway = Site::new("waits")
        .wragby("")
        .listener("in", "submission", "none", "out", "")
        .upstream("out", provider.address, "none", "")
        .table(&format!("[metrics]\nbind = \"{metrics}\""))
        .start();
    let mut client = greeted(&gateway, "in");
    assert_eq!(client.command(&format!("AUTH PLAIN {}", base64(b"\0me\0secret"))).expect("an answer").code, 235);
    let content = letter("waits", "jo@outside.test", "[CONFIDENTIAL] Minutes", "x");
    assert_eq!(transact(&mut client, CLERK, &["jo@outside.test"], &content).code, 550);
    eventually("one notice waits", || http(metrics, "/metrics").ok()?.1.contains("lychgate_notices_waiting 1").then_some(()));
    assert!(gateway.log().contains("outbox_no_credential"));
    assert_eq!(provider.heard().auth.len(), 1, "the client's log-in is the client's");
}

#[test]
fn once_also_where_the_message_has_no_message_id() {
    let (sink, gateway) = council("nameless");
    let content =
        letter("nameless", "jo@outside.test", "[CONFIDENTIAL] Minutes", "x").replace("Message-ID: <nameless@wragby.test>\r\n", "");
    for _ in 0..3 {
        assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &content).code, 550);
    }
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert_eq!(arrived.len(), 1, "one notice");
}

#[test]
fn never_in_answer_to_automatic_mail_and_never_to_strangers() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("automatic", sink.address)
        .listener("world", "mx", "none", "out", "")
        .rules("[[rule]]\nid = \"no-fruit\"\ntitle = \"No fruit\"\nwhen.subject.words = [\"apples\"]\nthen.reject = \"Not sent: it has fruit.\"\nthen.notify = [\"sender\"]\n")
        .start();
    let to = ["jo@outside.test"];
    for (id, field) in [
        ("a1", "Auto-Submitted: auto-replied\r\n"),
        ("a2", "Auto-Submitted: auto-generated; x=y\r\n"),
        ("a3", "X-Autoreply: yes\r\n"),
        ("a4", "Precedence: auto_reply\r\n"),
        ("a5", "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n"),
    ] {
        let content = format!("{field}{}", letter(id, to[0], "apples", "x"));
        assert_eq!(send(&gateway, "in", CLERK, &to, &content).code, 550, "{field}");
    }
    // A bounce has nobody to tell, whatever its From says.
    assert_eq!(send(&gateway, "in", "", &to, &letter("bounce", to[0], "apples", "x")).code, 550);
    // From the world, a council address in From is a forgery as likely as not: no backscatter.
    assert_eq!(send(&gateway, "world", "spam@outside.test", &[CLERK], &letter("forged", CLERK, "apples", "x")).code, 550);
    let stranger = letter("stranger", CLERK, "apples", "x").replace(&format!("<{CLERK}>\r\nTo"), "<jo@outside.test>\r\nTo");
    assert_eq!(send(&gateway, "in", "jo@outside.test", &[CLERK], &stranger).code, 550);
    let arrived = all_until_marker(&gateway, &sink, "in");
    assert!(arrived.is_empty(), "{}", arrived.iter().map(text).collect::<String>());
}
