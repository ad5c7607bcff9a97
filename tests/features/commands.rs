//! `explain` and `check`, as scripts rely on them.

use serde_json::Value;

use super::*;

/// The keys of the contract, and of what is in it.
const KEYS: [&str; 8] = ["file", "disposition", "reply", "rules", "edits", "notices", "recipients", "facts"];

fn explain(gateway: &Gateway, words: &[&str]) -> Vec<Value> {
    let output = gateway.command(&[&["explain", "--json"], words].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

#[test]
fn explain_says_what_would_happen_in_the_words_of_the_contract() {
    let (sink, gateway) = council("explain");
    let residents: Vec<String> = (1..=17).map(|n| format!("resident{n}@gmail.com")).collect();
    let to = residents.join(", ");
    let file = |name: &str, content: &str| gateway.scratch.file(name, content).display().to_string();
    let many = file("many.eml", &letter("many", &to, "Playground", "Text"));
    // LF counts as CRLF, and an mbox From line is skipped.
    let unix = file(
        "unix.eml",
        &format!("From clerk@wragby.test Thu May 14 10:00:00 2026\n{}", letter("unix", &to, "Playground", "Text").replace("\r\n", "\n")),
    );
    let secret = file("secret.eml", &letter("secret", "jo@outside.test", "[CONFIDENTIAL] Tender", "Prices"));
    let plain = file("plain.eml", &letter("plain", "jo@outside.test", "Hedge", "Text"));
    let loose = file("nul.eml", "From: clerk@wragby.test\r\nTo: jo@outside.test\r\n\r\na\0b\r\n");

    let told = explain(&gateway, &[&many, &unix, &secret, &plain, &loose]);
    assert_eq!(told.len(), 5);
    for (object, file) in told.iter().zip([&many, &unix, &secret, &plain, &loose]) {
        for key in KEYS {
            assert!(object.get(key).is_some(), "{key} is missing in {object}");
        }
        for key in ["direction", "marked", "protected", "visible_external"] {
            assert!(object["facts"].get(key).is_some(), "facts.{key} is missing in {object}");
        }
        assert_eq!(object["file"], **file);
    }
    for object in &told[..2] {
        assert_eq!((&object["disposition"], &object["reply"]), (&"deliver".into(), &Value::Null));
        let rule = &object["rules"][0];
        assert_eq!((&rule["id"], &rule["mode"]), (&"hide-recipients".into(), &"enforce".into()));
        assert!(rule["clauses"].as_array().is_some_and(|c| c.contains(&"wragby/multiple-recipients".into())), "{rule}");
        assert_eq!(rule["because"][0], "17 external addresses are visible");
        assert_eq!(object["edits"], serde_json::json!([{ "field": "To", "rule": "hide-recipients" }]));
        assert_eq!((&object["notices"][0]["to"], &object["notices"][0]["rule"]), (&CLERK.into(), &"hide-recipients".into()));
        assert_eq!(object["recipients"].as_array().map(Vec::len), Some(17));
        let facts = &object["facts"];
        assert_eq!((&facts["direction"], &facts["visible_external"]), (&"outbound".into(), &17.into()));
        assert_eq!((&facts["marked"], &facts["protected"]), (&Value::Null, &"none".into()));
    }
    let secret = &told[2];
    assert_eq!((&secret["disposition"], &secret["facts"]["marked"]), (&"reject".into(), &"confidential".into()));
    assert!(secret["reply"].as_str().is_some_and(|r| r.starts_with("550 5.7.1 Not sent: marked confidential")), "{secret}");
    assert_eq!(told[3]["rules"], serde_json::json!([]));
    assert_eq!((&told[4]["disposition"], told[4]["reply"].as_str().map(|r| &r[..3])), (&"reject".into(), Some("554")));

    // The envelope can be given, and another listener.
    let inside = &explain(&gateway, &["--listener", "in", "--mail-from", "chair@wragby.test", "--rcpt-to", "cllr@wragby.test", &plain])[0];
    assert_eq!(inside["recipients"], serde_json::json!(["cllr@wragby.test"]));
    let stranger = gateway.command(&["explain", "--listener", "nowhere", &plain]);
    assert!(!stranger.status.success() && String::from_utf8_lossy(&stranger.stderr).contains("no listener"));
    let missing = gateway.command(&["explain", "--json", "/nowhere.eml", &plain]);
    assert_eq!(missing.status.code(), Some(1), "one file is missing");
    assert_eq!(String::from_utf8_lossy(&missing.stdout).lines().count(), 1, "the other is explained all the same");

    // --all adds the rules that did not match; text is for people.
    let all = &explain(&gateway, &["--all", &plain])[0];
    assert!(all["unmatched"].as_array().is_some_and(|u| u.iter().any(|r| r["id"] == "hide-recipients")), "{all}");
    let page = String::from_utf8(gateway.command(&["explain", &many]).stdout).expect("UTF-8");
    assert!(page.contains("DELIVERED, changed") && page.contains("hide-recipients"), "{page}");

    // What it says is what happens.
    let reply = send(&gateway, "in", CLERK, &["jo@outside.test"], &letter("secret", "jo@outside.test", "[CONFIDENTIAL] Tender", "Prices"));
    let (said, heard) = (secret["reply"].as_str().expect("a reply"), format!("{} {}", reply.code, reply.lines[0]));
    assert_eq!(said.split(" Ref ").next(), heard.split(" Ref ").next());
    assert!(sink.take().iter().all(is_notice), "explain sends nothing");
}

#[test]
fn check_says_good_or_tells_every_fault_and_creates_nothing() {
    let (_sink, mut gateway) = council("check");
    gateway.kill();
    let data = gateway.scratch.path().join("data");
    for entry in std::fs::read_dir(&data).expect("it is there") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("it goes");
    }
    let good = gateway.command(&["check"]);
    assert_eq!(good.status.code(), Some(0), "{}", String::from_utf8_lossy(&good.stdout));
    gateway.scratch.file("rules/zz.toml", "[[rule]]\nid = \"a\"\nwhen.subjekt = \"x\"\nthen.reject = \"no\"\n\n[[rule]]\nid = \"hide-recipients\"\ntitle = \"again\"\nwhen = \"always\"\nthen.notfy = [\"sender\"]\n");
    let bad = gateway.command(&["check"]);
    assert_eq!(bad.status.code(), Some(1));
    let told = String::from_utf8(bad.stdout).expect("UTF-8");
    for word in ["zz.toml", "subjekt", "notfy", "hide-recipients", "╭─["] {
        assert!(told.contains(word), "{word:?} is not in\n{told}");
    }
    assert!(std::fs::read_dir(&data).expect("it is there").next().is_none(), "check created something");
    let serve = gateway.command(&["serve"]);
    assert_eq!(serve.status.code(), Some(1), "a faulty site does not start");
    let missing =
        std::process::Command::new(crate::support::gateway::binary()).args(["check", "--config", "/nowhere/lychgate.toml"]).output();
    assert_eq!(missing.expect("it runs").status.code(), Some(1));
}

#[test]
fn an_own_account_is_registered_without_being_named() {
    let (_sink, gateway) = council("own-account");
    let hashed = gateway.command(&["people", "hash", "Rosebud12@Gmail.com"]);
    assert!(hashed.status.success(), "{}", String::from_utf8_lossy(&hashed.stderr));
    let hash = String::from_utf8_lossy(&hashed.stdout).trim().to_string();
    assert!(hash.starts_with("account:") && hash.len() == 40, "{hash}");
    let site = std::fs::read_to_string(gateway.scratch.path().join("lychgate.toml")).expect("the site file");
    let with = gateway.scratch.file("hashed.toml", format!("{site}\n[people.own-accounts]\n\"cllr.elm@wragby.test\" = [\"{hash}\"]\n"));
    let raw = "From: cllr.elm@wragby.test\r\nTo: rosebud12@gmail.com\r\nSubject: FW: Tender\r\n\r\nx\r\n";
    let letter = gateway.scratch.file("fw.eml", raw);
    let matches = |config: &std::path::Path| {
        let words = ["explain", "--json", "--config", &config.display().to_string(), &letter.display().to_string()].map(str::to_string);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_lychgate")).args(words).output().expect("explain runs");
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        told["rules"].as_array().expect("rules").iter().any(|r| r["id"] == "forward-to-own-account")
    };
    assert!(matches(&with), "the hash is known");
    assert!(!matches(&gateway.scratch.path().join("lychgate.toml")), "without it nothing tells");
    let other = gateway.scratch.file("bad.toml", std::fs::read_to_string(&with).expect("it is there").replace(&hash, "account:12"));
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_lychgate")).args(["check", "--config"]).arg(&other).output().expect("check runs");
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("is not what `lychgate people hash` prints"));
}
