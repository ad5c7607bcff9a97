//! Whole site files through the public door.

use super::settings::*;
use super::*;

const GOOD: &str = r#"
[council]
name = "Wragby Parish Council"
domains = ["WragbyParishCouncil.gov.uk."]
clerk = "Clerk@wragbyparishcouncil.gov.uk"

[[listener]]
name = "submission"
role = "submission"
bind = "127.0.0.1:2525"
tls = "none"

[upstream.provider]
address = "127.0.0.1:2526"
"#;

fn load(text: &str) -> (Option<Settings>, Diagnostics) {
    let mut d = Diagnostics::new();
    let settings = load_with("lychgate.toml", text.to_owned(), Path::new("/nonexistent"), &|_| None, &mut d);
    (settings, d)
}

fn messages(text: &str) -> Vec<String> {
    load(text).1.iter().map(|d| d.message.clone()).collect()
}

#[test]
fn little_is_enough() {
    let (settings, d) = load(GOOD);
    let s = settings.unwrap_or_else(|| panic!("{d}"));
    assert_eq!(s.council.domains, ["wragbyparishcouncil.gov.uk"]);
    assert_eq!(s.council.clerk.as_deref(), Some("clerk@wragbyparishcouncil.gov.uk"));
    assert_eq!(s.hostname, "lychgate.wragbyparishcouncil.gov.uk");
    assert_eq!((s.listeners[0].upstream, s.listeners[0].role, s.listeners[0].received_client_address), (0, Role::Submission, false));
    assert_eq!(
        (s.upstreams[0].tls, s.upstreams[0].server_name.as_str(), s.upstreams[0].address.as_str()),
        (UpstreamTls::None, "127.0.0.1", "127.0.0.1:2526")
    );
    assert_eq!(s.records.database, Database::Sqlite("/nonexistent/data/lychgate.db".into()));
    assert_eq!(s.records.retention, Retention::default());
    assert_eq!((s.limits.message_size, s.limits.recipients, s.limits.hops), (35_000_000, 1_000, 100));
    assert_eq!(s.outbox.as_ref().unwrap().from, "gateway@wragbyparishcouncil.gov.uk");
    assert!(s.outbox.as_ref().unwrap().credential.is_none() && s.monitoring.is_none() && s.metrics.is_none());
    assert_eq!(s.log, Log::Text);
    let summer = "2027-07-01T12:00:00Z".parse::<jiff::Timestamp>().unwrap().to_zoned(s.time_zone.clone());
    assert_eq!(summer.hour(), 13);
}

/// Every key of the reference with its own example is a file that loads: the page and the reader say the same.
#[test]
fn every_documented_example_is_taken() {
    let mut text = String::new();
    for (table, heading) in [
        ("council", "[council]"),
        ("rules", "[rules]"),
        ("monitoring", "[monitoring]"),
        ("records", "[records]"),
        ("records.retention", "[records.retention]"),
        ("limits", "[limits]"),
        ("console", "[console]"),
        ("metrics", "[metrics]"),
        ("log", "[log]"),
        ("people", "[people]"),
        ("markings", "[markings]"),
        ("encryption", "[encryption]"),
        ("listener", "[[listener]]"),
        ("upstream", "[upstream.provider]"),
    ] {
        text.push_str(&format!("{heading}\n"));
        for key in reference::KEYS.iter().filter(|k| k.table == table && !k.example.is_empty()) {
            let example = match (table, key.key) {
                ("rules", "paths") | ("upstream", "ca-file") => continue,
                ("records", "database-password-file" | "database-ca-file" | "keyring-password-file") => continue,
                ("listener", "role") => "\"connector\"",
                ("listener", "tls") => "\"none\"",
                _ => key.example,
            };
            text.push_str(&format!("{} = {}\n", key.key, example));
        }
        if table == "listener" {
            text.push_str("trust = { networks = [\"192.0.2.0/24\"] }\n");
        }
    }
    let (settings, d) = load(&text);
    let s = settings.unwrap_or_else(|| panic!("{d}"));
    assert!(s.listeners[0].normalise_line_ends && s.monitoring.unwrap().mandatory);
    assert_eq!(s.people.councillors[0].name.as_deref(), Some("Ann Elm"));
}

#[test]
fn faults_are_told_all_at_once() {
    let text = GOOD
        .replace("tls = \"none\"", "tls = \"sometimes\"\nupstraem = \"x\"")
        .replace("[upstream.provider]", "[upstream.provider]\nkeep = \"many\"");
    let found = messages(&format!(
        "{text}\n[records]\ndatabase = \"postgres://x\"\n[records.retention]\nevents = \"30m\"\n[limits]\nmemory = 5\nrecipients = 5"
    ));
    for wanted in [
        "`upstraem` is not known in [[listener]]",
        "`tls` cannot be \"sometimes\"",
        "`keep` wants a whole number, without quotes, and this is text",
        "the server's database has no name",
        "\"30m\" could mean minutes or months",
        "`memory` wants text in quotes, and this is a number",
        "a large list would be cut short",
    ] {
        assert!(found.iter().any(|m| m == wanted), "{wanted}\n{found:#?}");
    }
}

#[test]
fn syntax_and_meaning_in_one_go_without_ghosts() {
    let text =
        GOOD.replace("name = \"Wragby Parish Council\"", "name = Wragby Parish Council").replace("tls = \"none\"", "tls = \"nonne\"");
    let found = messages(&text);
    assert_eq!(found, ["text is written in quotes", "`tls` cannot be \"nonne\""]);
    assert_eq!(
        messages(&GOOD.replace("\"127.0.0.1:2525\"", "“127.0.0.1:2525”")),
        ["this is a curly quote (“), which a word processor puts in"]
    );
}

#[test]
fn secrets_are_never_inline() {
    let (settings, d) = load(&format!("{GOOD}\n[outbox]\nusername = \"u@wragbyparishcouncil.gov.uk\"\npassword = \"hunter2\"\n"));
    assert!(settings.is_none());
    assert!(d.iter().any(|d| d.help.as_deref().is_some_and(|h| h.contains("password-file"))), "{d}");
    let environment = |name: &str| (name == "LYCHGATE_OUTBOX_PASSWORD").then(|| "hunter2".to_owned());
    let mut d = Diagnostics::new();
    let text = format!("{GOOD}\n[outbox]\nusername = \"u@wragbyparishcouncil.gov.uk\"\n");
    let s = load_with("x", text, Path::new("/nonexistent"), &environment, &mut d).unwrap_or_else(|| panic!("{d}"));
    let outbox = s.outbox.unwrap();
    assert_eq!(outbox.credential, Some(("u@wragbyparishcouncil.gov.uk".into(), "hunter2".into())));
    assert_eq!(outbox.from, "u@wragbyparishcouncil.gov.uk");
    assert!(!format!("{outbox:?}").contains("hunter2"));
    assert!(d.is_empty(), "{d}");
}

#[test]
fn hostile_text_gets_a_diagnostic_and_never_a_panic() {
    let deep = format!("x = {}", "[".repeat(100_000));
    let long = format!("[council]\nname = \"{}\"", "x".repeat(500_000));
    let keys = (0..2_000).map(|i| format!("k{i} = {i}\n")).collect::<String>();
    for text in [
        "",
        "\0",
        "=",
        "[",
        "[[",
        "]",
        "[council",
        "[council]\n[council]",
        "listener = 3",
        "upstream = 3",
        "[[upstream]]\n",
        "council = [1]",
        "\u{feff}[council]",
        "a.b.c.d = 1",
        "x = 99999999999999999999999",
        "[limits]\nmemory = -5",
        "[rules]\ntune = 5",
        "[rules.tune]\nx = 5",
        "[people.own-accounts]\nx = 5",
        "[council]\nname = \"\\u0000\"",
        &deep,
        &long,
        &keys,
    ] {
        let (settings, d) = load(text);
        assert!(settings.is_none() && d.has_errors());
        // Rendering is quadratic in neither faults nor text as long as both are bounded.
        if text.len() < 10_000 {
            assert!(!d.render().is_empty());
        }
    }
    // Every prefix and every one-octet damage of a good file.
    for end in 0..GOOD.len() {
        load(&GOOD[..end]);
        let mut damaged = GOOD.as_bytes().to_vec();
        damaged[end] = b"\"[]={}\n#\\'x\0"[end % 12];
        load(&String::from_utf8(damaged).unwrap()).1.render();
    }
}
