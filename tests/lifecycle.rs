//! The process as its operator handles it: SIGTERM drains, SIGHUP takes new rules and refuses bad ones while the old stay.

use std::time::{Duration, Instant};

use crate::support::certificates::certificates;
use crate::support::client::Client;
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::Sink;
use crate::support::{CLERK, below_received};

#[test]
fn sigterm_lets_a_message_finish_and_says_421_to_the_rest() {
    let sink = Sink::start(&["PIPELINING"]);
    let mut gateway = Site::new("drain").listener("in", "connector", "none", "out", "").upstream("out", sink.address, "none", "").start();
    let address = gateway.address("in");
    let mut idle = greeted(&gateway);
    let mut sending = greeted(&gateway);
    for (line, code) in [(&format!("MAIL FROM:<{CLERK}>")[..], 250), ("RCPT TO:<jo@outside.test>", 250), ("DATA", 354)] {
        assert_eq!(sending.command(line).expect("an answer").code, code, "{line}");
    }
    sending.send(b"Subject: under way\r\n\r\nfirst half\r\n").expect("it is sent");
    std::thread::sleep(Duration::from_millis(50));

    gateway.signal("TERM");
    let farewell = idle.reply().expect("a farewell");
    assert_eq!(farewell.code, 421, "{farewell:?}");
    // The port closes a moment later: who comes in between hears the same.
    if let Ok(mut late) = Client::connect(address) {
        assert_eq!(late.reply().expect("a farewell").code, 421, "a new client was taken while draining");
    }

    sending.send(b"second half\r\n.\r\n").expect("it is sent");
    let kept = sending.reply().expect("the upstream's answer");
    assert_eq!((kept.code, &kept.lines[0][..]), (250, "2.0.0 kept"));
    let status = gateway.wait(Duration::from_secs(20)).expect("it ends by itself");
    assert!(status.success(), "{status:?}\n{}", gateway.tail(20));
    let arrived = sink.take();
    let (_, rest) = below_received(&arrived[0].content).expect("one Received field");
    assert_eq!((arrived.len(), rest), (1, &b"Subject: under way\r\n\r\nfirst half\r\nsecond half\r\n"[..]));
}

#[test]
fn sighup_takes_new_rules_and_refuses_bad_ones() {
    let rule = |word: &str| {
        format!(
            "[[rule]]\nid = \"no-fruit\"\ntitle = \"No fruit\"\nwhen.subject.words = [\"{word}\"]\nthen.reject = \"Not sent: it has fruit.\"\n"
        )
    };
    let sink = Sink::start(&["PIPELINING"]);
    let site = Site::new("reload").listener("in", "connector", "none", "out", "").upstream("out", sink.address, "none", "");
    let gateway = site.rules(&rule("apples")).start();
    assert_eq!((send(&gateway, "apples"), send(&gateway, "pears")), (550, 250));

    gateway.scratch.file("rules/rules.toml", rule("pears"));
    gateway.signal("HUP");
    let end = Instant::now() + Duration::from_secs(10);
    while send(&gateway, "pears") != 550 {
        assert!(Instant::now() < end, "the new rules were not taken:\n{}", gateway.tail(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(send(&gateway, "apples"), 250);

    // A session that is open goes on through all of it.
    let mut open = greeted(&gateway);
    gateway.scratch.file("rules/rules.toml", "[[rule]]\nid = \"no-fruit\"\nwhen.subjekt = \"apples\"\n");
    let before = gateway.log().len();
    gateway.signal("HUP");
    let end = Instant::now() + Duration::from_secs(10);
    while gateway.log().len() == before {
        assert!(Instant::now() < end, "nothing was said of the bad rules");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!((send(&gateway, "pears"), send(&gateway, "apples")), (550, 250), "{}", gateway.tail(20));
    assert!(open.command("NOOP").expect("an answer").ok());
}

#[test]
fn sighup_takes_a_new_certificate_and_refuses_one_without_its_key() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = Site::new("renewed").listener("in", "connector", "starttls", "out", "").upstream("out", sink.address, "none", "").start();
    let pki = certificates();
    // The client wants the gateway's name: it sees which certificate is in force.
    let trusted = || greeted(&gateway).start_tls().is_ok();
    assert!(trusted());
    gateway.scratch.file("tls/gateway.pem", &pki.upstream.certificate_pem);
    gateway.signal("HUP");
    let end = Instant::now() + Duration::from_secs(10);
    while !gateway.log().contains("reload_refused") {
        assert!(Instant::now() < end, "nothing was said of the bad certificate:\n{}", gateway.tail(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(trusted(), "the old certificate stays");
    gateway.scratch.file("tls/gateway.key", &pki.upstream.key_pem);
    gateway.signal("HUP");
    let end = Instant::now() + Duration::from_secs(10);
    while trusted() {
        assert!(Instant::now() < end, "the new certificate was not taken:\n{}", gateway.tail(20));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn greeted(gateway: &Gateway) -> Client {
    let mut client = Client::connect(gateway.address("in")).expect("the gateway answers");
    assert!(client.command("EHLO client.example").expect("an answer").ok());
    client
}

/// The code that a message with this subject gets.
fn send(gateway: &Gateway, subject: &str) -> u16 {
    let mut client = greeted(gateway);
    for line in [&format!("MAIL FROM:<{CLERK}>")[..], "RCPT TO:<jo@outside.test>", "DATA"] {
        assert!(client.command(line).expect("an answer").code < 400, "{line}");
    }
    client.send(format!("From: {CLERK}\r\nSubject: {subject}\r\n\r\nfresh\r\n.\r\n").as_bytes()).expect("it is sent");
    client.reply().expect("an answer").code
}
