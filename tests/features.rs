//! What councils are promised, each promise through the running gateway: the field's cases with the shipped rules, the record and
//! who may ask it, notices, trust, logs, limits, and the commands that scripts rely on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::client::{Client, Reply, stuffed};
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::{Captured, Sink};
use crate::support::{CLERK, below_received, difference};

mod access;
mod cases;
mod commands;
mod custody;
mod digest;
mod keeping;
mod keys;
mod large;
mod limits;
mod logs;
mod notices;
mod past;
pub(crate) mod provider;
mod record;
mod trust;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ASHBY: &str = "mrs.ashby@btinternet.com";

/// Tries until something comes of it.
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < end, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// A council that its provider hands mail to, under the shipped rules.
pub(crate) fn council(name: &str) -> (Sink, Gateway) {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = site(name, sink.address).start();
    (sink, gateway)
}

pub(crate) fn site(name: &str, upstream: SocketAddr) -> Site {
    Site::new(name)
        .wragby("\"lincolnshire.gov.uk\", \".police.uk\"")
        .listener("in", "connector", "none", "out", "")
        .upstream("out", upstream, "none", "")
}

pub(crate) fn greeted(gateway: &Gateway, listener: &str) -> Client {
    let mut client = Client::connect(gateway.address(listener)).unwrap_or_else(|e| panic!("{listener}: {e}\n{}", gateway.tail(20)));
    assert!(client.command("EHLO client.example").expect("an answer").ok());
    client
}

/// One message over a connection of its own; the first refusal, or the answer to the content.
pub(crate) fn send(gateway: &Gateway, listener: &str, from: &str, to: &[&str], content: &str) -> Reply {
    transact(&mut greeted(gateway, listener), from, to, content)
}

pub(crate) fn transact(client: &mut Client, from: &str, to: &[&str], content: &str) -> Reply {
    let mut lines = vec![format!("MAIL FROM:<{from}>")];
    lines.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    lines.push("DATA".into());
    for line in lines {
        let reply = client.command(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        if reply.code >= 400 {
            return reply;
        }
    }
    client.send(&stuffed(content.as_bytes())).expect("it is sent");
    client.reply().expect("an answer to the content")
}

/// A plain message of the Clerk's.
pub(crate) fn letter(id: &str, to: &str, subject: &str, body: &str) -> String {
    format!(
        "From: Parish Clerk <{CLERK}>\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{id}@wragby.test>\r\nDate: Thu, 14 May 2026 10:00:00 +0100\r\n\r\n{body}\r\n"
    )
}

/// Everything that has arrived, in the order of arrival, until one is a notice to this person.
pub(crate) fn until_notice(sink: &Sink, to: &str) -> (Vec<Captured>, Captured) {
    let mut before = Vec::new();
    let notice = eventually(&format!("a notice to {to}"), || {
        for captured in sink.take() {
            if is_notice(&captured) && captured.recipients.iter().any(|r| r.contains(to)) {
                return Some(captured);
            }
            before.push(captured);
        }
        None
    });
    (before, notice)
}

/// A notice for certain comes after every other that is due: all that has arrived until then.
pub(crate) fn all_until_marker(gateway: &Gateway, sink: &Sink, listener: &str) -> Vec<Captured> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let marker = format!("marker-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let content = letter(&marker, "jo@outside.test", "[CONFIDENTIAL] marker", "x");
    assert_eq!(send(gateway, listener, CLERK, &["jo@outside.test"], &content).code, 550);
    let mut all = Vec::new();
    eventually("the last notice", || {
        all.extend(sink.take());
        let at = all.iter().position(|c| is_notice(c) && text(c).contains(&format!("<{marker}@")))?;
        all.truncate(at);
        Some(())
    });
    all
}

pub(crate) fn is_notice(captured: &Captured) -> bool {
    head(captured).to_ascii_lowercase().contains("\r\nauto-submitted: auto-generated\r\n")
}

pub(crate) fn head(captured: &Captured) -> String {
    let text = text(captured);
    let end = text.find("\r\n\r\n").map_or(text.len(), |at| at + 2);
    format!("\r\n{}", &text[..end])
}

pub(crate) fn text(captured: &Captured) -> String {
    String::from_utf8_lossy(&captured.content).into_owned()
}

/// The one message arrived as it was sent, below the gateway's one field.
pub(crate) fn untouched(captured: &Captured, content: &str) {
    let (_, rest) = below_received(&captured.content).expect("one Received field");
    assert!(rest == content.as_bytes(), "{}", difference(content.as_bytes(), rest));
}

/// One plain HTTP request.
pub(crate) fn http(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split_whitespace().nth(1).and_then(|c| c.parse().ok()).ok_or_else(|| std::io::Error::other("no HTTP"))?;
    Ok((code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default()))
}
