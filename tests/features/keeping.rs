//! Holds, receipts and people's rights, through the command line beside a gateway that runs.

use serde_json::Value;

use super::*;

fn run(gateway: &Gateway, words: &[&str]) -> String {
    let output = gateway.command(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn lines(gateway: &Gateway, words: &[&str]) -> Vec<Value> {
    run(gateway, words).lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn traced(gateway: &Gateway, recipient: &str) -> Vec<Value> {
    lines(gateway, &["trace", "--json", "--recipient", recipient, "--purpose", "a test"])
}

#[test]
fn a_hold_stops_the_purge_for_its_case_and_the_receipt_says_so() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let gateway = site("hold", sink.address).retention("events = \"2s\"\nincidents = \"2s\"").start();
    let day_after = "2099-01-01";
    let bare = gateway.command(&["hold-records", "--case", "2026/41", "--expires", day_after, "--reason", "A complaint"]);
    assert!(!bare.status.success() && String::from_utf8_lossy(&bare.stderr).contains("what it covers"));
    run(&gateway, &["hold-records", "--case", "2026/41", "--reason", "A complaint", "--person", ASHBY, "--expires", day_after]);

    let both = letter("both", "a@lincolnshire.gov.uk", "Agenda", "x");
    assert_eq!(send(&gateway, "in", CLERK, &[ASHBY, "a@lincolnshire.gov.uk"], &both).code, 250);
    assert_eq!(send(&gateway, "in", CLERK, &["b@lincolnshire.gov.uk"], &letter("other", "b@lincolnshire.gov.uk", "x", "x")).code, 250);
    eventually("both rows", || Some(()).filter(|()| traced(&gateway, "b@lincolnshire.gov.uk").len() + traced(&gateway, ASHBY).len() == 2));
    // The one goes; the other has no key of its period any more either, and can be asked for by anybody who received it.
    eventually("the purge", || Some(()).filter(|()| traced(&gateway, "b@lincolnshire.gov.uk").is_empty()));
    let kept = eventually("the kept row", || {
        let receipt = lines(&gateway, &["retention", "run", "--json"]).remove(0);
        Some(receipt).filter(|r| r["classes"][0]["remaining"] == 0 && r["classes"][1]["remaining"] == 0)
    });
    assert_eq!(kept["held_back"]["2026/41"], 1, "{kept}");
    assert!(kept["number"].as_u64().is_some_and(|n| n >= 1) && kept["signature"].as_str().is_some_and(|s| s.len() == 128), "{kept}");
    assert!(!kept.to_string().contains('@'), "no receipt says of whom: {kept}");
    for recipient in [ASHBY, "a@lincolnshire.gov.uk"] {
        let found = traced(&gateway, recipient);
        assert_eq!((found.len(), &found[0]["kept_for_cases"][0]), (1, &"2026/41".into()), "{recipient}");
    }
    let list = lines(&gateway, &["hold-records", "list", "--json"]);
    assert_eq!((list.len(), &list[0]["keeps"]["held_back"]), (1, &1.into()));
    let show = run(&gateway, &["retention", "show"]);
    assert!(show.contains("Case 2026/41 keeps 1 row beyond their time") && show.contains("Kept 2 seconds"), "{show}");
    assert!(run(&gateway, &["retention", "receipts", "--verify"]).contains("each as it was signed"));

    run(&gateway, &["hold-records", "lift", "--case", "2026/41", "--reason", "It is closed"]);
    assert!(traced(&gateway, ASHBY).is_empty());
    assert!(gateway.log().contains("purge_receipt"), "{}", gateway.tail(20));
    assert!(!gateway.log().contains("ashby"));
}

#[test]
fn receipts_count_every_row_over_kills() {
    let sink = Sink::start(&["PIPELINING", "8BITMIME"]);
    let mut gateway = site("receipts", sink.address).retention("events = \"1s\"\nincidents = \"1s\"").start();
    for round in 0..6 {
        for n in 0..10 {
            let to = "a@lincolnshire.gov.uk";
            assert_eq!(send(&gateway, "in", CLERK, &[to], &letter(&format!("{round}-{n}"), to, "x", "x")).code, 250);
        }
        // Somewhere in the middle of writing and purging.
        std::thread::sleep(Duration::from_millis(150 * round));
        gateway.kill();
        gateway.restart();
    }
    eventually("an empty record", || {
        let receipt = lines(&gateway, &["retention", "run", "--json"]).remove(0);
        Some(()).filter(|()| receipt["classes"][0]["remaining"] == 0 && receipt["classes"][1]["remaining"] == 0)
    });
    let verified = lines(&gateway, &["retention", "receipts", "--verify", "--json"]).remove(0);
    assert_eq!(verified["faults"], serde_json::json!([]));
    let receipts = lines(&gateway, &["retention", "receipts", "--last", "100000", "--json"]);
    let counted: u64 =
        receipts.iter().flat_map(|r| [&r["classes"][0], &r["classes"][1]]).map(|c| c["rows"].as_u64().expect("a number")).sum();
    let db = rusqlite::Connection::open(gateway.scratch.path().join("data/lychgate.db")).expect("it opens");
    let written: i64 = db.query_row("SELECT sum(next - ((class << 56) + 1)) FROM sequence", [], |r| r.get(0)).expect("a number");
    assert!(written > 0 && counted == written as u64, "{counted} of {written} rows are in receipts");
}

#[test]
fn a_person_is_shown_what_is_held_and_forgotten_when_they_ask() {
    let (_sink, mut gateway) = council("rights");
    let residents = [ASHBY, "tom@gmail.com", "ann@sky.com"];
    assert_eq!(send(&gateway, "in", CLERK, &residents, &letter("agenda", &residents.join(", "), "Agenda", "x")).code, 250);
    assert_eq!(send(&gateway, "in", CLERK, &["tom@gmail.com"], &letter("tom", "tom@gmail.com", "x", "x")).code, 250);
    let row = eventually("her row", || traced(&gateway, ASHBY).pop());
    let reference = row["reference"].as_str().expect("a reference").to_string();
    let folder = |name: &str| gateway.scratch.path().join(name).display().to_string();
    let export = |name: &str| {
        let out = folder(name);
        run(&gateway, &["rights", "export", "--person", ASHBY, "--purpose", "Her request", "--out", &out]);
        let page = std::fs::read_to_string(format!("{out}/index.html")).expect("a page");
        (serde_json::from_str::<Value>(&std::fs::read_to_string(format!("{out}/export.json")).expect("a file")).expect("JSON"), page)
    };
    run(&gateway, &["rights", "rectify", "--person", ASHBY, "--reference", &reference, "--note", "It went to her neighbour too"]);
    let (value, page) = export("before");
    assert_eq!(value["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!((&value["messages"][0]["from"], &value["messages"][0]["recipients"]["personal"]), (&"the Clerk".into(), &3.into()));
    assert_eq!(value["messages"][0]["notes"][0]["text"], "It went to her neighbour too");
    for text in [&value.to_string(), &page] {
        assert!(!text.contains("tom@") && !text.contains("sky.com") && !text.contains("wragby.test"), "{text}");
    }
    assert_eq!(traced(&gateway, ASHBY)[0]["notes"][0]["text"], "It went to her neighbour too");

    let request =
        lines(&gateway, &["rights", "request", "--person", ASHBY, "--kind", "erasure", "--received", "2026-01-31", "--json"]).remove(0);
    assert_eq!(request["due"], "2026-03-02", "28 February 2026 is a Saturday");
    let id = request["id"].to_string();
    let data = gateway.scratch.path().join("data");
    let backup = data.join("backup.db").display().to_string();
    rusqlite::Connection::open(data.join("lychgate.db")).expect("it opens").execute("VACUUM INTO ?1", [&backup]).expect("a backup");
    run(&gateway, &["rights", "erase", "--person", ASHBY, "--reason", "Her request"]);
    let (value, _) = export("after");
    assert_eq!(value["messages"], serde_json::json!([]));
    assert!(traced(&gateway, ASHBY).is_empty());
    assert_eq!(traced(&gateway, "tom@gmail.com").len(), 2, "other people's rows stay");
    run(&gateway, &["rights", "request", "close", &id, "--reason", "Erased, and told so"]);
    let twice = gateway.command(&["rights", "request", "close", &id, "--reason", "x"]);
    assert!(!twice.status.success() && String::from_utf8_lossy(&twice.stderr).contains("it is closed"));
    let breach =
        lines(&gateway, &["breach", "--reference", &reference, "--address", "tom@gmail.com", "--purpose", "a test", "--json"]).remove(0);
    assert_eq!(
        (&breach["events"][0]["among"][0], &breach["events"][0]["hidden"], &breach["exposing"]),
        (&"tom@gmail.com".into(), &true.into(), &0.into())
    );

    // The backup still has her; the gateway that is started on it does not.
    gateway.kill();
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("lychgate.db{end}")));
    }
    std::fs::rename(&backup, data.join("lychgate.db")).expect("it is restored");
    assert_eq!(traced(&gateway, ASHBY).len(), 1, "the backup was of before");
    gateway.restart();
    assert!(traced(&gateway, ASHBY).is_empty());
    assert!(gateway.log().contains("erased_again"), "{}", gateway.tail(20));
}
