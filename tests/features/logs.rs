//! What the operator sees: a log without people in it, figures, and health.

use super::provider::{Behaviour, Provider};
use super::*;
use crate::support::{PASSWORD, base64, loopback, port};

/// Mail of all kinds and faults, so that every sort of line is logged.
fn mixed_load(gateway: &Gateway, submission: &str) {
    let residents = [ASHBY, "tom@gmail.com", "ann@sky.com"];
    let agenda = letter("agenda", &residents.join(", "), "Agenda of the May meeting", "Bring your ballot");
    assert_eq!(send(gateway, "in", CLERK, &residents, &agenda).code, 250);
    assert_eq!(send(gateway, "in", CLERK, &[ASHBY], &letter("c", ASHBY, "[CONFIDENTIAL] Grievance", "Dismissal")).code, 550);
    assert_eq!(send(gateway, "in", "x@stranger.test", &[ASHBY], "Subject: Grievance\r\n\r\nDismissal\r\n").code, 550);
    assert_eq!(send(gateway, "down", CLERK, &[ASHBY], &agenda).code, 451);
    assert_eq!(send(gateway, "refusing", CLERK, &[ASHBY], &agenda).code, 554);
    assert_eq!(send(gateway, "in", CLERK, &[ASHBY], &letter("bare", ASHBY, "Bare\rGrievance", "Dismissal")).code, 554);
    let looping = format!("{}{agenda}", "Received: from a by b; Thu, 14 May 2026 10:00:00 +0100\r\n".repeat(120));
    assert_eq!(send(gateway, "in", CLERK, &[ASHBY], &looping).code, 554);
    let mut client = greeted(gateway, submission);
    for (login, code) in [(format!("\0{CLERK}\0wrong-{PASSWORD}"), 535), (format!("\0{CLERK}\0{PASSWORD}"), 535)] {
        assert_eq!(client.command(&format!("AUTH PLAIN {}", base64(login.as_bytes()))).expect("an answer").code, code);
    }
    for line in [format!("MAIL FROM:<{ASHBY}> GRIEVANCE=1"), format!("HELO {ASHBY}"), format!("NONSENSE {ASHBY} Grievance")] {
        let _ = client.command(&line);
    }
    drop(client);
    // A client that leaves within its content.
    let mut client = greeted(gateway, "in");
    for line in [format!("MAIL FROM:<{CLERK}>"), format!("RCPT TO:<{ASHBY}>"), "DATA".into()] {
        assert!(client.command(&line).expect("an answer").code < 400);
    }
    client.send(b"Subject: Grievance\r\n\r\nDismissal").expect("it is sent");
}

const PEOPLE: [&str; 15] = [
    "ashby",
    "btinternet",
    "gmail",
    "sky.com",
    "clerk@",
    "stranger",
    "agenda of",
    "grievance",
    "dismissal",
    "ballot",
    "@wragby.test",
    "secret-1",
    "jo@outside",
    "nonsense",
    "mailbox of",
];

fn silent(log: &str) {
    let lower = log.to_ascii_lowercase();
    for word in PEOPLE {
        let at = lower.find(word);
        let line = at.map(|at| lower[lower[..at].rfind('\n').map_or(0, |n| n + 1)..].lines().next().unwrap_or("").to_string());
        assert!(line.is_none(), "{word:?} is in the log: {}", line.unwrap_or_default());
    }
    for encoded in [base64(PASSWORD.as_bytes()), base64(format!("\0{CLERK}\0{PASSWORD}").as_bytes())] {
        assert!(!log.contains(&encoded), "a credential is in the log");
    }
}

#[test]
fn no_address_subject_body_or_password_in_the_log_and_json_is_an_object_a_line() {
    let refusing =
        Provider::start(Behaviour { says: vec![(".", format!("554 5.7.1 mailbox of {ASHBY} hates you"))], ..Behaviour::default() });
    let locked = Provider::start(Behaviour {
        auth: Some("PLAIN"),
        says: vec![("AUTH", format!("535 5.7.8 {CLERK} has another password"))],
        ..Behaviour::default()
    });
    for format in ["text", "json"] {
        let sink = Sink::start(&["PIPELINING"]);
        let gateway = site("logs", sink.address)
            .listener("down", "connector", "none", "down", "")
            .listener("refusing", "connector", "none", "refusing", "")
            .listener("submission", "submission", "none", "locked", "")
            .upstream("down", loopback(port()), "none", "")
            .upstream("refusing", refusing.address, "none", "")
            .upstream("locked", locked.address, "none", "")
            .table(&format!("[log]\nformat = \"{format}\""))
            .start();
        mixed_load(&gateway, "submission");
        until_notice(&sink, CLERK);
        gateway.signal("HUP");
        eventually("it reloads", || gateway.log().contains("reloaded").then_some(()));
        let log = gateway.log();
        silent(&log);
        assert!(log.contains("hide-recipients") && log.contains("LG-") && log.contains("upstream_error"), "{log}");
        if format == "json" {
            for line in log.lines() {
                let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                assert!(object["timestamp"].is_string() && object["level"].is_string() && object["event"].is_string(), "{line}");
            }
        }
    }
}

#[test]
fn figures_and_health_and_503_while_draining() {
    let sink = Sink::start(&["PIPELINING"]);
    let metrics = loopback(port());
    let mut gateway = site("figures", sink.address).table(&format!("[metrics]\nbind = \"{metrics}\"")).start();
    let residents = [ASHBY, "tom@gmail.com", "ann@sky.com"];
    assert_eq!(send(&gateway, "in", CLERK, &residents, &letter("agenda", &residents.join(", "), "Agenda", "x")).code, 250);
    assert_eq!(send(&gateway, "in", CLERK, &[ASHBY], &letter("c", ASHBY, "[CONFIDENTIAL] Grievance", "x")).code, 550);
    let (code, health) = http(metrics, "/health").expect("an answer");
    let health: serde_json::Value = serde_json::from_str(&health).expect("JSON");
    assert_eq!((code, &health["state"]), (200, &"running".into()), "{health}");
    let figures = eventually("the record is counted", || {
        let (code, figures) = http(metrics, "/metrics").expect("an answer");
        assert_eq!(code, 200);
        let all = ["lychgate_records_written_total 2", "lychgate_notices_queued_total 2", "lychgate_notices_sent_total 2"];
        all.iter().all(|f| figures.contains(f)).then_some(figures)
    });
    for figure in [
        "lychgate_messages_total{listener=\"in\",role=\"connector\",disposition=\"deliver\"} 1",
        "lychgate_messages_total{listener=\"in\",role=\"connector\",disposition=\"reject\"} 1",
        "lychgate_rule_matches_total{rule=\"hide-recipients\",mode=\"enforce\"} 1",
        "lychgate_recipients_total{listener=\"in\",role=\"connector\"} 4",
    ] {
        assert!(figures.contains(figure), "{figure} is not in\n{figures}");
    }
    assert!(figures.trim_end().ends_with("# EOF"), "OpenMetrics ends so");
    silent(&figures);
    assert_eq!(http(metrics, "/other").expect("an answer").0, 404);

    let mut sending = greeted(&gateway, "in");
    for line in [format!("MAIL FROM:<{CLERK}>"), format!("RCPT TO:<{ASHBY}>"), "DATA".into()] {
        assert!(sending.command(&line).expect("an answer").code < 400);
    }
    gateway.signal("TERM");
    let draining = eventually("it drains", || http(metrics, "/health").ok().filter(|(code, _)| *code == 503));
    assert!(draining.1.contains("draining"), "{}", draining.1);
    sending.send(&stuffed(letter("last", ASHBY, "Last", "x").as_bytes())).expect("it is sent");
    assert_eq!(sending.reply().expect("an answer").code, 250);
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
}
