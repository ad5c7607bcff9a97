//! The Clerk's digest, and what the operator sees of mail in the gateway's own care.

use std::net::SocketAddr;

use super::provider::{Behaviour, Provider};
use super::*;
use crate::support::{loopback, port};

const HELD: &str = "[[rule]]\nid = \"fruit\"\ntitle = \"Fruit is for the Clerk to see\"\nwhen.subject.words = [\"apples\"]\nthen.hold = { by = \"clerk\", for = \"7d\" }\n";

/// As if the last digest, or the beginning, was so many days ago.
fn back(gateway: &Gateway, days: i64) {
    let db = rusqlite::Connection::open(gateway.data().join("custody.db")).expect("it opens");
    let changed = db.execute("UPDATE digest SET due = due - ?1, since = since - ?1", [days * 86_400_000]).expect("it is written");
    assert_eq!(changed, 1, "the watch has begun, and no digest was sent");
}

fn health(metrics: SocketAddr, part: &str, state: &str) -> Option<()> {
    let (code, body) = http(metrics, "/health").ok()?;
    let body: serde_json::Value = serde_json::from_str(&body).ok()?;
    assert!(code == 200 || body["state"] == "starting", "mail needs none of these parts: {body}");
    (body["components"][part] == state).then_some(())
}

fn figure(metrics: SocketAddr, line: &str) -> Option<()> {
    http(metrics, "/metrics").ok()?.1.lines().any(|l| l == line).then_some(())
}

fn check(gateway: &Gateway) -> String {
    String::from_utf8_lossy(&gateway.command(&["check"]).stdout).into_owned()
}

fn digests(provider: &Provider) -> Vec<Captured> {
    provider.heard().messages.iter().filter(|m| text(m).contains("\r\nSubject: Mail gateway: ")).cloned().collect()
}

#[test]
fn the_digest_comes_once_over_restarts_and_is_missed_until_it_comes() {
    let sink = Sink::start(&["PIPELINING"]);
    let (later, metrics) = (loopback(port()), loopback(port()));
    let mut gateway = site("digest", sink.address)
        .upstream("notices", later, "none", "")
        .table(&format!("[outbox]\nupstream = \"notices\"\nfrom = \"gate@wragby.test\"\n[metrics]\nbind = \"{metrics}\""))
        .start();
    eventually("the beginning of the watch", || health(metrics, "digest", "ok"));
    assert!(!check(&gateway).contains("weekly digest"), "{}", check(&gateway));
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &letter("in-it", "jo@outside.test", "Bins", "x")).code, 250);
    gateway.kill();
    back(&gateway, 20);

    // It is due, and its letter cannot leave: sent is not delivered.
    gateway.restart();
    eventually("its silence", || health(metrics, "digest", "degraded"));
    eventually("the same in figures", || figure(metrics, "lychgate_digest_overdue 1"));
    assert!(gateway.log().contains("digest_overdue"), "{}", gateway.tail(20));
    assert!(check(&gateway).contains("The weekly digest is overdue: none has come since "), "{}", check(&gateway));
    gateway.kill();
    gateway.restart();
    eventually("its silence after a restart", || health(metrics, "digest", "degraded"));
    gateway.kill();

    let provider = Provider::start_at(later, Behaviour::default());
    gateway.restart();
    let digest = eventually("the digest", || digests(&provider).pop());
    assert!(is_notice(&digest) && digest.recipients == [format!("RCPT TO:<{CLERK}>")], "{}", text(&digest));
    let said = text(&digest).replace("=\r\n", "");
    for part in [
        "The mail gateway of Wragby Parish Council, ",
        "TO DO",
        "Judged: ",
        "The next digest comes on Monday ",
        "If it does not, something is wrong",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Bins") && !said.contains("outside.test"), "{said}");
    eventually("all is well", || health(metrics, "digest", "ok"));
    assert!(!check(&gateway).contains("overdue"), "{}", check(&gateway));
    for _ in 0..2 {
        gateway.kill();
        gateway.restart();
        eventually("a look", || health(metrics, "digest", "ok"));
    }
    // A notice comes after all that was due before it.
    let marker = letter("marker", "jo@outside.test", "[CONFIDENTIAL] marker", "x");
    assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &marker).code, 550);
    eventually("the notice", || provider.heard().messages.iter().any(|m| text(m).contains("<marker@")).then_some(()));
    assert_eq!(digests(&provider).len(), 1, "once");

    // Whoever asks sees it, and may send it.
    let shown = String::from_utf8_lossy(&gateway.command(&["digest", "--print"]).stdout).into_owned();
    assert!(shown.starts_with("Subject: Mail gateway: as of ") && shown.contains("\n  refused: "), "{shown}");
    let sent = String::from_utf8_lossy(&gateway.command(&["digest", "--send"]).stdout).into_owned();
    assert!(sent.starts_with("1 letter on the way"), "{sent}");
    eventually("the one that was asked for", || (digests(&provider).len() == 2).then_some(()));
    let output = gateway.command(&["digest", "--week", "2999-01-01"]);
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("that week has not begun"));
}

#[test]
fn a_crash_while_it_is_sent_neither_loses_nor_doubles_it() {
    if !cfg!(debug_assertions) || std::env::var_os("LYCHGATE_BINARY").is_some() {
        return crate::support::skip("the digest's crash points", "a release build has none");
    }
    for point in ["digest-written", "digest-sent"] {
        let (provider, metrics) = (Provider::start(Behaviour::default()), loopback(port()));
        let mut gateway = site(point, provider.address).table(&format!("[metrics]\nbind = \"{metrics}\"")).start();
        eventually("the beginning of the watch", || health(metrics, "digest", "ok"));
        gateway.kill();
        back(&gateway, 20);
        gateway.set_environment(&[("LYCHGATE_CRASH", point)]);
        // It may end while it starts.
        let _ = gateway.try_restart();
        let status = gateway.wait(PATIENCE);
        assert!(status.is_none_or(|status| !status.success()), "{point}");
        gateway.set_environment(&[]);
        gateway.restart();
        eventually("the digest", || (!digests(&provider).is_empty()).then_some(()));
        eventually("all is well", || health(metrics, "digest", "ok"));
        gateway.kill();
        gateway.restart();
        eventually("a look", || health(metrics, "digest", "ok"));
        let marker = letter("marker", "jo@outside.test", "[CONFIDENTIAL] marker", "x");
        assert_eq!(send(&gateway, "in", CLERK, &["jo@outside.test"], &marker).code, 550);
        eventually("the notice", || provider.heard().messages.iter().any(|m| text(m).contains("<marker@")).then_some(()));
        assert_eq!(digests(&provider).len(), 1, "{point}");
    }
}

#[test]
fn who_switches_it_off_gets_none_and_misses_none() {
    let sink = Sink::start(&["PIPELINING"]);
    let metrics = loopback(port());
    let gateway = site("no-digest", sink.address).table(&format!("[digest]\nday = \"never\"\n[metrics]\nbind = \"{metrics}\"")).start();
    eventually("a look at the queue", || health(metrics, "queue", "ok"));
    let (_, body) = http(metrics, "/health").expect("an answer");
    assert!(!body.contains("digest"), "{body}");
    let shown = gateway.command(&["digest"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("Digests are switched off"));
}

#[test]
fn mail_in_custody_is_seen_in_figures_and_health() {
    let (provider, sink, metrics) = (Provider::start(Behaviour::default()), Sink::start(&["PIPELINING"]), loopback(port()));
    let gateway = Site::new("figures")
        .rules(HELD)
        .listener("in", "connector", "none", "out", "")
        .upstream("out", provider.address, "none", "")
        .upstream("notices", sink.address, "none", "")
        .table(&format!("[outbox]\nupstream = \"notices\"\nfrom = \"gate@wragby.test\"\n[metrics]\nbind = \"{metrics}\""))
        .start();
    let content = letter("basket", "jo@outside.test", "apples", "x");
    assert_eq!(send(&gateway, "in", "cllr.elm@wragby.test", &["jo@outside.test"], &content).code, 250);
    eventually("it is held", || figure(metrics, "lychgate_custody_messages{upstream=\"out\",state=\"held\"} 1"));
    eventually("nothing is wrong", || health(metrics, "queue", "ok"));

    // Its provider goes away before it is let go.
    let address = provider.address;
    drop(provider);
    let list = String::from_utf8_lossy(&gateway.command(&["held", "list", "--json"]).stdout).into_owned();
    let held: serde_json::Value = serde_json::from_str(list.lines().next().expect("one")).expect("JSON");
    let id = held["id"].as_str().expect("a reference");
    assert!(gateway.command(&["held", "release", id, "--reason", "harmless"]).status.success());
    eventually("the provider is missed", || figure(metrics, "lychgate_custody_upstream_up{upstream=\"out\"} 0"));
    eventually("in health too", || health(metrics, "queue", "degraded"));
    eventually("what waits", || figure(metrics, "lychgate_custody_messages{upstream=\"out\",state=\"waiting\"} 1"));
    eventually("what was decided", || figure(metrics, "lychgate_held_decided_total{outcome=\"released\"} 1"));

    let provider = Provider::start_at(address, Behaviour::default());
    // A reload tries again at once.
    gateway.signal("HUP");
    eventually("it has gone", || provider.heard().messages.iter().any(|m| text(m).contains("<basket@")).then_some(()));
    eventually("the provider is back", || figure(metrics, "lychgate_custody_upstream_up{upstream=\"out\"} 1"));
    eventually("its answer", || figure(metrics, "lychgate_custody_recipients_total{upstream=\"out\",answer=\"delivered\"} 1"));
    eventually("all is well", || health(metrics, "queue", "ok"));
}
