//! The monitoring record: what it answers, what it does not hold, when it goes, and what a broken disk does to mail.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::provider::{Behaviour, CLOSES, Provider};
use super::*;

/// What `trace --json` says, one object a message.
fn trace(gateway: &Gateway, question: &[&str]) -> Vec<Value> {
    let words = [&["trace", "--json", "--purpose", "a resident asked"], question].concat();
    let output = gateway.command(&words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn traced(gateway: &Gateway, question: &[&str], messages: usize) -> Vec<Value> {
    eventually(&format!("{messages} of {question:?}"), || Some(trace(gateway, question)).filter(|found| found.len() == messages))
}

/// A meeting's mail: an agenda to three residents, Mrs Ashby among them, one to partners, and a refused one.
fn meeting(gateway: &Gateway) -> String {
    let residents = [ASHBY, "tom@gmail.com", "ann@sky.com"];
    let agenda = letter("agenda-7", &residents.join(", "), "Agenda of the May meeting", "The agenda.");
    assert_eq!(send(gateway, "in", CLERK, &residents, &agenda).code, 250);
    let county = letter("county-8", "a@lincolnshire.gov.uk", "Potholes", "Please.");
    assert_eq!(send(gateway, "in", "chair@wragby.test", &["a@lincolnshire.gov.uk"], &county).code, 250);
    let secret = letter("secret-9", ASHBY, "[CONFIDENTIAL] Grievance", "x");
    let refusal = send(gateway, "in", CLERK, &[ASHBY], &secret);
    assert_eq!(refusal.code, 550);
    refusal.lines[0].rsplit_once("Ref ").expect("a reference").1.to_string()
}

#[test]
fn did_mrs_ashby_get_the_agenda() {
    let (_sink, gateway) = council("trace");
    let reference = meeting(&gateway);
    let hers = traced(&gateway, &["--recipient", "Mrs.Ashby@BTinternet.com"], 2);
    let agenda = hers.iter().find(|m| m["disposition"] == "deliver").expect("the agenda");
    for key in ["time", "reference", "listener", "sender", "disposition", "rules", "upstream_reply", "recipients"] {
        assert!(agenda.get(key).is_some(), "{key} is missing: {agenda}");
    }
    assert_eq!(agenda["sender"], CLERK);
    assert_eq!(agenda["recipient_outcome"], 250);
    assert_eq!(agenda["rules"][0]["id"], "hide-recipients");
    assert_eq!(agenda["recipients"]["personal"], 3, "{agenda}");
    assert!(agenda["upstream_reply"].as_str().is_some_and(|r| r.contains("kept")), "{agenda}");
    assert!(!agenda.to_string().contains("ashby") && !agenda.to_string().contains("tom@"), "{agenda}");

    assert_eq!(traced(&gateway, &["--sender", "chair@wragby.test"], 1)[0]["recipients"]["partner"], 1);
    assert_eq!(traced(&gateway, &["--sender", CLERK], 2).len(), 2);
    assert_eq!(traced(&gateway, &["--sender", CLERK, "--recipient", "tom@gmail.com"], 1)[0]["disposition"], "deliver");
    for id in ["<agenda-7@wragby.test>", "agenda-7@wragby.test"] {
        assert_eq!(traced(&gateway, &["--message-id", id], 1)[0]["reference"], agenda["reference"]);
    }
    let refused = &traced(&gateway, &["--reference", &reference], 1)[0];
    assert_eq!((&refused["disposition"], &refused["upstream_reply"]), (&"reject".into(), &Value::Null));
    assert!(trace(&gateway, &["--recipient", "nobody@gmail.com"]).is_empty());
    assert_eq!(trace(&gateway, &["--recipient", ASHBY, "--since", "1h"]).len(), 2);
    assert!(trace(&gateway, &["--recipient", ASHBY, "--since", "2d", "--until", "1d"]).is_empty());

    // As the Clerk reads it.
    let told = gateway.command(&["trace", "--recipient", ASHBY, "--sender", CLERK, "--purpose", "she asked"]);
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(told.starts_with("2 messages fit."), "{told}");
    assert!(told.contains(&format!("{ASHBY}: accepted by the provider for them (250)")), "{told}");
    assert!(told.contains(&format!("{ASHBY}: not sent to them (550)")) && told.contains("hide-recipients (enforced"), "{told}");

    // Without a purpose nobody looks.
    for words in [&["trace", "--recipient", ASHBY][..], &["trace", "--recipient", ASHBY, "--purpose", "  "]] {
        let output = gateway.command(words);
        assert!(!output.status.success() && output.stdout.is_empty(), "{words:?}");
    }
}

#[test]
fn each_recipient_has_an_outcome_and_each_refusal_its_author() {
    let provider = Provider::start(Behaviour::default());
    let vanishing = Provider::start(Behaviour { says: vec![(".", CLOSES.into())], ..Behaviour::default() });
    let gateway = site("outcomes", provider.address)
        .listener("vanishing", "connector", "none", "vanishing", "")
        .upstream("vanishing", vanishing.address, "none", "")
        .start();
    let mut client = greeted(&gateway, "in");
    assert_eq!(client.command(&format!("MAIL FROM:<{CLERK}>")).expect("an answer").code, 250);
    assert_eq!(client.command(&format!("RCPT TO:<{ASHBY}>")).expect("an answer").code, 250);
    assert_eq!(client.command("RCPT TO:<gone@outside.test>").expect("an answer").code, 550);
    assert_eq!(client.command("DATA").expect("an answer").code, 354);
    client.send(&stuffed(letter("agenda", ASHBY, "Agenda", "x").as_bytes())).expect("it is sent");
    assert_eq!(client.reply().expect("an answer").code, 250);
    assert_eq!(traced(&gateway, &["--recipient", ASHBY], 1)[0]["recipient_outcome"], 250);
    assert_eq!(traced(&gateway, &["--recipient", "gone@outside.test"], 1)[0]["recipient_outcome"], 550);

    // What the gateway itself refuses is no delivery, and what the provider never said is not put into its mouth.
    let looping =
        format!("{}{}", "Received: from a by b; Thu, 14 May 2026 10:00:00 +0100\r\n".repeat(120), letter("loop", ASHBY, "x", "x"));
    assert_eq!(send(&gateway, "in", CLERK, &[ASHBY], &looping).code, 554);
    let refused = &traced(&gateway, &["--message-id", "loop@wragby.test"], 1)[0];
    assert_eq!((&refused["disposition"], &refused["outcome"], &refused["upstream_reply"]), (&"reject".into(), &554.into(), &Value::Null));
    assert_eq!(send(&gateway, "vanishing", CLERK, &[ASHBY], &letter("unsure", ASHBY, "x", "x")).code, 451);
    let unsure = &traced(&gateway, &["--message-id", "unsure@wragby.test"], 1)[0];
    assert_eq!((&unsure["disposition"], &unsure["outcome"], &unsure["upstream_reply"]), (&"deliver".into(), &451.into(), &Value::Null));
    let told =
        |id: &str| String::from_utf8(gateway.command(&["trace", "--message-id", id, "--purpose", "she asked"]).stdout).expect("UTF-8");
    assert!(told("loop@wragby.test").contains("refused by the gateway before any rule"), "{}", told("loop@wragby.test"));
    assert!(told("unsure@wragby.test").contains("perhaps delivered"), "{}", told("unsure@wragby.test"));
}

#[test]
fn a_store_without_its_key_or_that_is_none_is_not_started_on() {
    let (_sink, mut gateway) = council("keyless");
    gateway.signal("TERM");
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
    let (data, config) = (gateway.scratch.path().join("data"), gateway.scratch.path().join("lychgate.toml"));
    let serve = |what: &str, word: &str| {
        let mut command = Command::new("timeout");
        let output = command.args(["20", &crate::support::gateway::binary(), "serve", "--config"]).arg(&config).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{what}: {told}");
        assert!(told.contains(word) && !told.contains("panicked"), "{what}: {told}");
    };
    let key = std::fs::read(data.join("site.key")).expect("there is a key");
    std::fs::remove_file(data.join("site.key")).expect("it goes");
    serve("the key is gone", "site.key");
    assert!(!data.join("site.key").exists(), "a new key opens nothing");
    gateway.scratch.file("data/site.key", "short");
    serve("another key", "site.key");
    gateway.scratch.file("data/site.key", key);
    gateway.scratch.file("data/lychgate.db", "this is no database, however long one reads it".repeat(200));
    let _ = std::fs::remove_file(data.join("lychgate.db-wal"));
    serve("no database", "lychgate.db");
}

#[test]
fn mail_marked_personal_is_only_counted_and_subjects_are_kept_only_if_the_council_says_so() {
    for subjects in [false, true] {
        let sink = Sink::start(&["PIPELINING"]);
        let mut gateway = site("personal", sink.address).monitored(&format!("subject = {subjects}")).start();
        let personal = format!("Sensitivity: Personal\r\n{}", letter("personal", ASHBY, "My operation", "x"));
        assert_eq!(send(&gateway, "in", CLERK, &[ASHBY], &personal).code, 250);
        assert_eq!(send(&gateway, "in", CLERK, &[ASHBY], &letter("plain", ASHBY, "=?utf-8?q?F=C3=AAte?=", "x")).code, 250);
        assert_eq!(traced(&gateway, &["--recipient", ASHBY], 1)[0]["subject"], if subjects { "F\u{ea}te".into() } else { Value::Null });
        gateway.signal("TERM");
        assert!(gateway.wait(PATIENCE).expect("it ends").success());
        assert_eq!(trace(&gateway, &["--sender", CLERK]).len(), 1, "personal mail is counted only");
        files_are_silent(&gateway.scratch.path().join("data"), &["F\u{ea}te", "operation", "ashby"]);
    }
}

#[test]
fn a_mandatory_record_is_there_after_a_kill() {
    let sink = Sink::start(&["PIPELINING"]);
    let mut gateway = site("killed", sink.address).monitored("mandatory = true").start();
    for n in 0..5 {
        let id = format!("kill-{n}");
        assert_eq!(send(&gateway, "in", CLERK, &[ASHBY], &letter(&id, ASHBY, "Hedge", "Text")).code, 250);
        gateway.kill();
        let found = trace(&gateway, &["--message-id", &format!("{id}@wragby.test")]);
        assert_eq!(found.len(), 1, "{id} was delivered and is not in the record");
        gateway.restart();
    }
    assert_eq!(sink.take().len(), 5);
}

#[test]
fn nothing_can_be_read_in_the_files() {
    let (_sink, mut gateway) = council("unreadable");
    meeting(&gateway);
    traced(&gateway, &["--recipient", ASHBY], 2);
    let secrets = [
        "ashby",
        "btinternet",
        "tom@",
        "gmail",
        CLERK,
        "wragby.test",
        "lincolnshire",
        "agenda",
        "Agenda",
        "Grievance",
        "LG-",
        "2.0.0 kept",
        "resident asked",
    ];
    // While it runs, with its log beside it, and after it has closed.
    files_are_silent(&gateway.scratch.path().join("data"), &secrets);
    gateway.signal("TERM");
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
    files_are_silent(&gateway.scratch.path().join("data"), &secrets);
    // Closed, it still answers.
    assert_eq!(trace(&gateway, &["--recipient", ASHBY]).len(), 2);
}

fn files_are_silent(folder: &Path, secrets: &[&str]) {
    use std::os::unix::fs::PermissionsExt;
    let mut octets = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let Ok(file) = std::fs::read(entry.path()) else { continue };
        let mode = entry.metadata().map_or(0, |m| m.permissions().mode() & 0o077);
        assert_eq!(mode, 0, "{} is open to others", entry.path().display());
        octets += file.len();
        for secret in secrets {
            let found = file.windows(secret.len()).any(|w| w.eq_ignore_ascii_case(secret.as_bytes()));
            assert!(!found, "{secret:?} stands in {}", entry.path().display());
        }
    }
    assert!(octets > 4096, "{octets} octets are no record");
}

#[test]
fn records_go_when_their_time_has_come() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("retention", sink.address).retention("events = \"2s\"\nincidents = \"1h\"").start();
    meeting(&gateway);
    traced(&gateway, &["--recipient", ASHBY], 2);
    // The letter to the county was an event; the refusal and the rewritten agenda were incidents.
    traced(&gateway, &["--sender", "chair@wragby.test"], 0);
    assert_eq!(trace(&gateway, &["--recipient", ASHBY]).len(), 2);
    let database = gateway.scratch.path().join("data/lychgate.db");
    let rows = || {
        let db = rusqlite::Connection::open_with_flags(&database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        db.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).ok()
    };
    eventually("the row is gone, not only hidden", || rows().filter(|n| *n == 2));
}

#[test]
fn without_monitoring_only_counts_are_kept() {
    let sink = Sink::start(&["PIPELINING"]);
    let mut gateway = site("unmonitored", sink.address).unmonitored().start();
    meeting(&gateway);
    gateway.signal("TERM");
    assert!(gateway.wait(PATIENCE).expect("it ends").success());
    let told = gateway.command(&["trace", "--recipient", ASHBY, "--purpose", "she asked"]);
    assert!(told.status.success());
    let told = String::from_utf8(told.stdout).expect("UTF-8");
    assert!(told.contains("Only hourly counts"), "{told}");
    assert!(trace(&gateway, &["--recipient", ASHBY]).is_empty());
    let db = rusqlite::Connection::open(gateway.scratch.path().join("data/lychgate.db")).expect("it opens");
    let rows: i64 = db.query_row("SELECT count(*) FROM record", [], |row| row.get(0)).expect("the table is there");
    assert_eq!(rows, 0);
    drop(db);
    let words = ["ashby", "gmail", CLERK, "agenda", "Grievance"];
    files_are_silent(&gateway.scratch.path().join("data"), &words);
}

/// No file can grow: what a full disk is, without having to fill one. A gateway that ignores the signal gets an error at each write.
const FULL: &str = "trap '' XFSZ";

fn disk(gateway: &Gateway, full: bool) {
    let limit = if full { "--fsize=0:" } else { "--fsize=unlimited:" };
    let status = Command::new("prlimit").args(["--pid", &gateway.pid().to_string(), limit]).status();
    assert!(status.expect("prlimit runs").success());
}

#[test]
fn a_full_disk_defers_mail_where_the_record_is_mandatory() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("mandatory", sink.address).monitored("mandatory = true").shell(FULL, "2>/dev/null").start();
    let content = |id: &str| letter(id, "jo@outside.test", "Hedge", "Text");
    let to = ["jo@outside.test"];
    assert_eq!(send(&gateway, "in", CLERK, &to, &content("before")).code, 250);
    assert_eq!(sink.take().len(), 1);
    disk(&gateway, true);
    for n in 0..3 {
        let reply = send(&gateway, "in", CLERK, &to, &content(&format!("full-{n}")));
        assert_eq!((reply.code, &reply.lines[0][..5]), (451, "4.3.0"), "{reply:?}");
    }
    assert!(sink.take().is_empty(), "something went upstream without its record");
    disk(&gateway, false);
    eventually("mail flows again", || (send(&gateway, "in", CLERK, &to, &content("after")).code == 250).then_some(()));
    assert_eq!(sink.take().len(), 1);
    traced(&gateway, &["--message-id", "before@wragby.test"], 1);
    let after = traced(&gateway, &["--message-id", "after@wragby.test"], 1);
    assert_eq!(after[0]["outcome"], 250);
}

#[test]
fn a_full_disk_stops_no_mail_where_the_record_is_not_mandatory() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("optional", sink.address).shell(FULL, "2>/dev/null").start();
    let to = ["jo@outside.test"];
    disk(&gateway, true);
    let mut client = greeted(&gateway, "in");
    for n in 0..50 {
        assert_eq!(transact(&mut client, CLERK, &to, &letter(&format!("full-{n}"), to[0], "Hedge", "Text")).code, 250);
    }
    // A refusal is heard even if its notice cannot be kept.
    let reply = send(&gateway, "in", CLERK, &to, &letter("no", to[0], "[CONFIDENTIAL] x", "x"));
    assert_eq!(reply.code, 550);
    assert_eq!(sink.take().len(), 50);
    disk(&gateway, false);
    // What waited in the queue is written when the disk is back.
    traced(&gateway, &["--recipient", to[0], "--sender", CLERK], 51);
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let sink = Sink::start(&["PIPELINING"]);
    let gateway = site("full-log", sink.address).environment("LYCHGATE_LOG", "trace").shell(":", "2>/dev/full >/dev/full").start();
    let to = ["jo@outside.test"];
    for n in 0..3 {
        assert_eq!(send(&gateway, "in", CLERK, &to, &letter(&format!("log-{n}"), to[0], "Hedge", "Text")).code, 250);
    }
    assert_eq!(send(&gateway, "in", CLERK, &to, &letter("log-no", to[0], "[CONFIDENTIAL] x", "x")).code, 550);
    let (before, _) = until_notice(&sink, CLERK);
    assert_eq!(before.len(), 3);
}
