//! What the gateway does with what the DNS says, at mx, on a connector and at submission.

use std::time::{Duration, Instant};

use super::authentication::Key;
use crate::support::client::{Client, Reply, stuffed};
use crate::support::dns::Dns;
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::Sink;
use crate::support::{CLERK, loopback, port};

const RULES: &str = r#"
[[rule]]
id = "a-forged"
title = "Forged"
when.sender = "@council"
unless = [{ proven-sender = "@council" }]
then.reject = "This address is the council's."

[[rule]]
id = "dmarc"
title = "DMARC"
when.dmarc = "fail"
then.reject = "Its domain disowns it."

[[rule]]
id = "spf"
title = "SPF"
when.spf = "fail"
when.subject.words = "bill"
then.reject = "Not from there."
"#;

const ZONE: &str = "
    good.test           TXT  v=spf1 ip4:127.0.0.1 -all
    _dmarc.good.test    TXT  v=DMARC1; p=reject
    bad.test            TXT  v=spf1 ip4:198.51.100.1 -all
    _dmarc.strict.test  TXT  v=DMARC1; p=reject
    wragby.test         TXT  v=spf1 ip4:198.51.100.1 -all
    _dmarc.wragby.test  TXT  v=DMARC1; p=quarantine
    away.test           SILENT
    _dmarc.away.test    SILENT
";

fn letter(from: &str, subject: &str) -> String {
    format!("From: {from}\r\nTo: {CLERK}\r\nSubject: {subject}\r\n\r\nText\r\n")
}

fn send(gateway: &Gateway, listener: &str, from: &str, content: &[u8]) -> Reply {
    send_to(gateway, listener, from, CLERK, content)
}

pub fn send_to(gateway: &Gateway, listener: &str, from: &str, to: &str, content: &[u8]) -> Reply {
    let mut client = Client::connect(gateway.address(listener)).expect("the gateway answers");
    assert!(client.command("EHLO client.test").expect("an answer").ok());
    assert!(client.command(&format!("MAIL FROM:<{from}>")).expect("an answer").ok());
    assert!(client.command(&format!("RCPT TO:<{to}>")).expect("an answer").ok());
    assert_eq!(client.command("DATA").expect("an answer").code, 354);
    client.send(&stuffed(content)).expect("it is sent");
    client.reply().expect("an answer")
}

#[test]
fn senders_are_held_to_what_their_domains_publish() {
    let dns = Dns::start(ZONE);
    let key = Key::new();
    for domain in ["wragby.test", "strict.test"] {
        dns.add(&format!("s._domainkey.{domain} TXT {}", key.record));
    }
    let sink = Sink::start(&["PIPELINING"]);
    let metrics = loopback(port());
    let gateway = Site::new("dns")
        .listener("mx", "mx", "none", "out", "")
        .listener("connector", "connector", "none", "out", "")
        .listener("submission", "submission", "none", "out", "")
        .upstream("out", sink.address, "none", "")
        .rules(RULES)
        .table(&format!("[dns]\nservers = [\"{}\"]\ntimeout = \"3s\"\n\n[metrics]\nbind = \"{metrics}\"", dns.address))
        .start();
    let said = |reply: Reply| format!("{} {}", reply.code, reply.lines.join(" "));
    let chair = "chair@wragby.test";

    assert!(send(&gateway, "mx", "jo@good.test", letter("jo@good.test", "hedge").as_bytes()).ok());
    assert!(health(metrics).contains("\"dns\":\"ok\""), "{}", health(metrics));
    let forged = said(send(&gateway, "mx", "jo@good.test", letter(chair, "urgent").as_bytes()));
    assert!(forged.starts_with("550 5.7.1 ") && forged.contains("council's"), "{forged}");
    let signed = key.sign("wragby.test", &letter(chair, "minutes"));
    assert!(send(&gateway, "mx", "jo@good.test", &signed).ok(), "the council's own signature proves its Chair");
    let disowned = said(send(&gateway, "mx", "jo@good.test", letter("al@strict.test", "x").as_bytes()));
    assert!(disowned.contains("disowns"), "{disowned}");
    assert!(send(&gateway, "mx", "jo@good.test", &key.sign("strict.test", &letter("al@strict.test", "x"))).ok());
    assert!(said(send(&gateway, "mx", "jo@bad.test", letter("jo@bad.test", "the bill").as_bytes())).contains("Not from there"));
    assert!(send(&gateway, "mx", "jo@bad.test", letter("jo@bad.test", "hedge").as_bytes()).ok());

    // Nobody can say: mail waits, the reason stands in the log, and it takes no longer than the limit.
    let began = Instant::now();
    let waits = said(send(&gateway, "mx", "jo@away.test", letter("jo@away.test", "hedge").as_bytes()));
    assert!(waits.starts_with("451 4.7."), "{waits}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(health(metrics).contains("\"dns\":\"degraded\""), "{}", health(metrics));
    assert!(gateway.log().contains("lookups_failed") && !gateway.log().contains("away.test"), "{}", gateway.tail(5));

    // The provider's address on a connector is no forger's, and a mail program's at submission nobody's.
    assert!(said(send(&gateway, "connector", chair, letter(chair, "bill").as_bytes())).contains("council's"));
    assert!(send(&gateway, "connector", chair, &key.sign("wragby.test", &letter(chair, "bill"))).ok());
    let before = dns.questions();
    assert!(send(&gateway, "submission", "jo@bad.test", letter("jo@bad.test", "bill").as_bytes()).ok());
    assert!(said(send(&gateway, "submission", chair, letter(chair, "bill").as_bytes())).contains("council's"), "no log-in, no proof");
    assert_eq!(dns.questions(), before, "nothing to look up at submission");
}

/// What `/health` says.
pub fn health(metrics: std::net::SocketAddr) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(metrics).expect("/health answers");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it listens");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
