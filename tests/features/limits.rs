//! Limits, each with a clear reply.

use super::provider::{Behaviour, Provider};
use super::*;
use crate::support::base64;

fn relay(name: &str, sink: &Sink) -> Site {
    // Strangers are limited; a connector's trusted network is not.
    Site::new(name).listener("in", "mx", "none", "out", "").listener("trusted", "connector", "none", "out", "").upstream(
        "out",
        sink.address,
        "none",
        "",
    )
}

/// The first reply on a new connection.
fn greeting(gateway: &Gateway, listener: &str) -> (u16, Option<Client>) {
    match Client::connect(gateway.address(listener)) {
        Ok(client) => (220, Some(client)),
        Err(e) if e.to_string().contains("code: 421") => (421, None),
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn too_many_connections_hear_421() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = relay("connections", &sink).limit("connections-per-client", "3").limit("connections", "6").start();
    // The harness's own greeting may still be counted.
    let mut kept = Vec::new();
    eventually("three places", || {
        kept.extend(greeting(&gateway, "in").1);
        (kept.len() == 3).then_some(())
    });
    assert_eq!(greeting(&gateway, "in").0, 421, "a fourth of one client");
    eventually("trusted ones up to the whole limit", || {
        kept.extend(greeting(&gateway, "trusted").1);
        (kept.len() == 6).then_some(())
    });
    assert_eq!(greeting(&gateway, "trusted").0, 421, "a seventh of all");
    kept.clear();
    eventually("places are given back", || greeting(&gateway, "in").1);
}

#[test]
fn connections_too_fast_hear_421() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = relay("rate", &sink).limit("connection-rate", "5").start();
    let heard: Vec<u16> = (0..8).map(|_| greeting(&gateway, "in").0).collect();
    // One went to the harness, which waited for the greeting.
    assert_eq!(heard[..4], [220; 4], "{heard:?}");
    assert!(heard[4..].contains(&421), "{heard:?}");
    assert!((0..8).all(|_| greeting(&gateway, "trusted").0 == 220), "the provider's network is not a stranger");
}

#[test]
fn content_beyond_the_memory_hears_452_and_is_drained() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = relay("memory", &sink).limit("message-size", "\"400kB\"").limit("memory", "\"500kB\"").start();
    let begun = |client: &mut Client| {
        for line in ["MAIL FROM:<jo@outside.test>", &format!("RCPT TO:<{CLERK}>"), "DATA"] {
            assert!(client.command(line).expect("an answer").code < 400, "{line}");
        }
    };
    let big = "x".repeat(70).to_string() + "\r\n";
    let big = big.repeat(5000);
    let mut first = greeted(&gateway, "in");
    begun(&mut first);
    first.send(format!("Subject: big\r\n\r\n{big}").as_bytes()).expect("it is sent");
    // The gateway has read it all when it holds it: a second one of that size finds no room.
    let mut second = greeted(&gateway, "in");
    let refused = eventually("there is no room", || {
        begun(&mut second);
        second.send(&stuffed(format!("Subject: second\r\n\r\n{big}").as_bytes())).expect("it is sent");
        Some(second.reply().expect("an answer")).filter(|r| r.code != 250)
    });
    assert_eq!((refused.code, &refused.lines[0][..5]), (452, "4.3.1"), "{refused:?}");
    // The session goes on, and what is small still fits.
    assert_eq!(transact(&mut second, "jo@outside.test", &[CLERK], "Subject: small\r\n\r\nx\r\n").code, 250);
    first.send(b".\r\n").expect("it is sent");
    assert_eq!(first.reply().expect("an answer").code, 250, "who came first is served");
    let content = format!("Subject: again\r\n\r\n{big}");
    assert_eq!(transact(&mut second, "jo@outside.test", &[CLERK], &content).code, 250, "and then there is room again");
    // BDAT too.
    let mut third = greeted(&gateway, "in");
    assert!(third.command("MAIL FROM:<jo@outside.test>").expect("an answer").ok());
    assert!(third.command(&format!("RCPT TO:<{CLERK}>")).expect("an answer").ok());
    third.send(format!("BDAT {} LAST\r\n", 2_000_000).as_bytes()).expect("it is sent");
    third.send(&vec![b'x'; 2_000_000]).expect("it is sent");
    assert_eq!(third.reply().expect("an answer").code, 552, "larger than a message may be");
    assert!(third.command("NOOP").expect("an answer").ok());
    let arrived: Vec<String> = sink.take().iter().map(text).collect();
    assert!(arrived.iter().any(|t| t.contains("Subject: big\r\n")) && arrived.iter().any(|t| t.contains("Subject: small\r\n")));
}

#[test]
fn failed_log_ins_are_limited_by_account_before_they_reach_the_provider() {
    let provider = Provider::start(Behaviour { auth: Some("PLAIN"), says: vec![("AUTH", "535 5.7.8 no".into())], ..Behaviour::default() });
    let gateway = Site::new("log-ins")
        .listener("in", "submission", "none", "out", "")
        .upstream("out", provider.address, "none", "")
        .limit("auth-failures", "3")
        .start();
    let attempt = |account: &str| {
        greeted(&gateway, "in")
            .command(&format!("AUTH PLAIN {}", base64(format!("\0{account}\0guess").as_bytes())))
            .expect("an answer")
            .code
    };
    let heard: Vec<u16> = (0..6).map(|_| attempt(CLERK)).collect();
    assert_eq!(heard[..3], [535; 3], "{heard:?}");
    assert_eq!(heard[4..], [421; 2], "{heard:?}");
    let asked = provider.heard().auth.len();
    assert!(asked <= 4, "{asked} reached the provider");
    assert_eq!(attempt("chair@wragby.test"), 421, "the address is limited too");
    assert_eq!(provider.heard().auth.len(), asked);
}

#[test]
fn content_that_stops_or_drips_ends() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway =
        relay("drips", &sink).limit("data-timeout", "\"1s\"").limit("message-timeout", "\"2s\"").limit("command-timeout", "\"1s\"").start();
    let begun = || {
        let mut client = greeted(&gateway, "in");
        for line in ["MAIL FROM:<jo@outside.test>", &format!("RCPT TO:<{CLERK}>"), "DATA"] {
            assert!(client.command(line).expect("an answer").code < 400, "{line}");
        }
        client
    };
    let mut silent = begun();
    let mut idle = greeted(&gateway, "in");
    let start = Instant::now();
    let mut dripping = begun();
    // Never silent for a second, and yet it ends.
    while dripping.send(b"x\r\n").is_ok() && start.elapsed() < Duration::from_millis(2600) {
        std::thread::sleep(Duration::from_millis(100));
    }
    for (what, client) in [("silent", &mut silent), ("idle", &mut idle), ("dripping", &mut dripping)] {
        assert_eq!(client.reply().expect(what).code, 421, "{what}");
    }
    assert!(sink.take().is_empty());
}

#[test]
fn sizes_and_recipients_have_clear_replies() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = relay("sizes", &sink).limit("message-size", "\"10kB\"").limit("recipients", "3").limit("errors", "4").start();
    let reply = send(&gateway, "in", "jo@outside.test", &[CLERK], &format!("Subject: big\r\n\r\n{}", "x\r\n".repeat(5000)));
    assert_eq!((reply.code, &reply.lines[0][..5]), (552, "5.3.4"));
    let four = ["a@wragby.test", "b@wragby.test", "c@wragby.test", "d@wragby.test"];
    let reply = send(&gateway, "in", "jo@outside.test", &four, "Subject: four\r\n\r\nx\r\n");
    assert_eq!((reply.code, &reply.lines[0][..5]), (452, "4.5.3"));
    let mut client = greeted(&gateway, "in");
    let codes: Vec<u16> = (0..6).map_while(|_| client.command("NONSENSE").ok()).map(|r| r.code).collect();
    assert_eq!(codes.last(), Some(&421), "{codes:?}");
    assert!(sink.take().is_empty());
}
