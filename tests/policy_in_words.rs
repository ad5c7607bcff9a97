//! The shipped packs against the policies that they serve: every clause, every rule, and the page that a council would adopt.

use std::path::{Path, PathBuf};
use std::process::Command;

use lychgate::config::{Diagnostics, rules};
use lychgate::policy::adopted::coverage::{self, State};
use lychgate::policy::adopted::schedule::{self, Form, Front};
use lychgate::policy::{Mode, Policy, Reach};

use crate::rule_cases::load;

const PACKS: &[(&str, &str, &str)] = &[
    ("wragby", "Wragby Parish Council", "wragbyparishcouncil.gov.uk"),
    ("wrentham", "Wrentham Parish Council", "wrenthamparishcouncil.gov.uk"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pack(name: &str) -> Policy {
    let mut diagnostics = Diagnostics::new();
    let files = rules::find(&[root().join("rules").join(name)], &mut diagnostics);
    let (policy, found) = load(&files, Mode::Enforce);
    assert!(diagnostics.is_empty() && found.is_empty(), "{name}:\n{diagnostics}{found}");
    policy.expect("a policy")
}

/// Every sentence of both policies stands in a clause, and every clause quotes its policy: what `lint` finds are the defects of
/// the texts as they were adopted, and nothing of our own.
#[test]
fn every_sentence_of_the_policies_is_a_clause() {
    for (name, council, domain) in PACKS {
        let policy = pack(name);
        let found = coverage::lint(&policy, council, &[domain.to_string()]);
        let told: Vec<String> = found
            .iter()
            .filter(|f| !matches!(f.what, "weak-rule" | "not-enforced"))
            .map(|f| format!("{} {}", f.at.rsplit('/').next().unwrap_or_default(), f.message))
            .collect();
        let expected: &[&str] = match *name {
            "wragby" => &[
                "policy.txt:251 14 is the only number in the text: the other sections have none, or this one should have none",
                "policy.txt:267 a sentence is not finished: \"… or systems change and .\"",
                "policy.txt:267 another council is named, once: \"Immingham Town Council\" (this is the policy of Wragby Parish Council)",
            ],
            _ => &[],
        };
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{name}\n{}", told.join("\n"));
        }
        for defect in expected {
            assert!(told.iter().any(|t| without_line(t) == without_line(defect)), "{name}: {defect}\n{}", told.join("\n"));
        }
        for what in ["quotation", "uncovered", "no-rule", "no-clause", "one-sided", "not-outside", "no-text"] {
            let own: Vec<_> = found.iter().filter(|f| f.what == what).collect();
            assert!(own.is_empty(), "{name}: {own:#?}");
        }
    }
}

fn without_line(text: &str) -> String {
    match text.split_once(' ') {
        Some((place, rest)) => format!("{} {rest}", place.split(':').next().unwrap_or_default()),
        None => text.into(),
    }
}

/// The defects that a person finds in Wrentham's text are found: a statute misnamed (two), numbers left out.
#[test]
fn the_defects_of_wrenthams_text_are_found() {
    let policy = pack("wrentham");
    let found = coverage::lint(&policy, "Wrentham Parish Council", &["wrenthamparishcouncil.gov.uk".into()]);
    for (what, part) in [
        ("statute", "Interception by Councils etc for Monitoring and Record-keeping Purposes) Regulations 2018\" should be"),
        ("statute", "Interception by Businesses etc. for Monitoring"),
        ("statute", "\"Openness of Local Government Regulations 2014\" should be \"Openness of Local Government Bodies Regulations 2014\""),
        ("number", "3 is missing before 4"),
        ("number", "4.1.5 is missing before 4.1.6"),
        ("number", "5.1.2 to 5.1.4 are missing before 5.1.5"),
        ("broken", "advisers for the"),
        ("bracket", "opened and not closed"),
    ] {
        assert!(found.iter().any(|f| f.what == what && f.message.contains(part)), "{what} {part}: {found:#?}");
    }
    assert!(!found.iter().any(|f| matches!(f.what, "council" | "domain" | "placeholder")), "{found:#?}");
}

/// Each policy is enforced by its own pack: they differ where the policies differ.
#[test]
fn each_pack_enforces_its_own_policy() {
    let (wragby, wrentham) = (pack("wragby"), pack("wrentham"));
    let state = |policy: &Policy, id: &str| {
        let found = coverage::coverage(policy).into_iter().find(|c| *c.clause.id == *id).map(|c| c.state);
        found.unwrap_or_else(|| panic!("no clause {id}"))
    };
    for id in ["wragby/multiple-recipients", "wragby/email-confidential", "wragby/council-addresses", "wragby/attachments-and-links"] {
        assert_eq!(state(&wragby, id), State::Enforced, "{id}");
    }
    for id in ["wrentham/7.1.1", "wrentham/7.1.3-withdrawn", "wrentham/7.1.4", "wrentham/9.1.3", "wrentham/9.1.3-disclosure"] {
        assert_eq!(state(&wrentham, id), State::Enforced, "{id}");
    }
    assert_eq!(state(&wrentham, "wrentham/8.2.2"), State::Assisted);
    assert_eq!(state(&wragby, "wragby/shut-down"), State::Outside);
    // No Bcc clause and no encryption clause in Wrentham's: its rules on them only warn. It allows personal use: nothing bars it.
    for rule in wrentham.rules().iter().filter(|r| r.clauses.iter().any(|c| **c == *"wrentham/8.2.2")) {
        assert!(rule.mode <= Mode::Warn, "{} is {}", rule.id, rule.mode.word());
    }
    assert!(wragby.rules().iter().any(|r| *r.id == *"copy-to-oneself"));
    assert!(!wrentham.rules().iter().any(|r| *r.id == *"copy-to-oneself"));
    for policy in [&wragby, &wrentham] {
        for covered in coverage::coverage(policy) {
            if let Reach::Outside(why) = &covered.clause.reach {
                assert!(why.len() > 10 && why.ends_with('.'), "{}: {why}", covered.clause.id);
            }
        }
    }
}

/// Every rule of a pack has a case in which it matches and one in which it does not.
#[test]
fn every_rule_of_a_pack_has_its_cases() {
    for (name, ..) in PACKS {
        let page = std::fs::read_to_string(root().join(format!("tests/rules/{name}-pack.md"))).expect("the page of the pack");
        for rule in pack(name).rules() {
            let has =
                |statement: &str| page.lines().any(|l| l.strip_prefix(statement).is_some_and(|r| r.split(' ').next() == Some(&*rule.id)));
            let wanted = if rule.mode == Mode::Off { has("why-not ") } else { has("matched ") && (has("not-matched ") || has("why-not ")) };
            assert!(wanted, "{name}: {} lacks a case", rule.id);
        }
    }
}

/// Both packs let the same mail in confidence alone.
#[test]
fn mail_in_confidence_is_the_same_for_all() {
    let read = |pack: &str| std::fs::read_to_string(root().join(format!("rules/{pack}/00-in-confidence.toml"))).expect("the list");
    assert_eq!(read("wragby"), read("wrentham"));
}

/// The schedule says every rule that runs, by the words that a council could adopt; it is the same however often it is printed.
#[test]
fn the_schedule_says_every_rule() {
    for (name, council, _) in PACKS {
        let policy = pack(name);
        let front = Front { council, date: Some(jiff::civil::date(2026, 5, 14)) };
        for form in [Form::Text, Form::Markdown] {
            let page = schedule::page(&policy, &front, form);
            assert!(page.contains(policy.hash()) && page.contains(council) && page.contains("2026-05-14"), "{page}");
            for rule in policy.rules() {
                // As a whole word: no id of a rule is lost behind another.
                let is_there = page.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|w| w == &*rule.id);
                assert_eq!(is_there, rule.mode > Mode::Off, "{name}: {}", rule.id);
            }
            assert!(!page.contains("Also: ") && !page.contains("  ."), "{page}");
            assert_eq!(page, schedule::page(&policy, &front, form));
        }
        for entry in schedule::entries(&policy) {
            assert!(!entry.looks_for.is_empty() && entry.looks_for.len() < 1_000, "{entry:?}");
            assert!(!entry.happens.is_empty() || !entry.told.is_empty(), "{entry:?}");
            assert!(entry.clauses.iter().all(|(_, words)| !words.is_empty()), "{entry:?}");
        }
    }
}

/// The commands on a real site file: exit codes, and JSON of one object a line.
#[test]
fn the_commands_answer() {
    let folder = std::env::temp_dir().join(format!("lychgate-policy-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let site = |rules: &Path| {
        let path = folder.join("lychgate.toml");
        let text = format!(
            "[council]\nname = \"Wragby Parish Council\"\ndomains = [\"wragbyparishcouncil.gov.uk\"]\nclerk = \"clerk@wragbyparishcouncil.gov.uk\"\n\
             [rules]\npaths = [{:?}]\n[[listener]]\nname = \"mx\"\nrole = \"mx\"\nbind = \"127.0.0.1:2525\"\ntls = \"none\"\n\
             [upstream.provider]\naddress = \"127.0.0.1:2526\"\ntls = \"none\"\n",
            rules.display().to_string()
        );
        std::fs::write(&path, text).expect("a site file");
        path
    };
    let run = |words: &[&str], config: &PathBuf| {
        let out = Command::new(env!("CARGO_BIN_EXE_lychgate")).arg("policy").args(words).arg("--config").arg(config).output().expect("run");
        (out.status.code(), String::from_utf8(out.stdout).expect("text"), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let shipped = site(&root().join("rules/wragby"));
    let (code, text, errors) = run(&["coverage"], &shipped);
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.starts_with("wragby: ") && text.contains("wragby/email-confidential") && text.contains("not judged here"), "{text}");
    let (code, json, _) = run(&["coverage", "--json"], &shipped);
    assert_eq!(code, Some(0));
    let states: Vec<serde_json::Value> = json.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    assert!(states.len() > 70 && states.iter().all(|s| s["state"].is_string() && s["words"].is_string()), "{json}");
    let (code, text, _) = run(&["lint"], &shipped);
    assert!(code == Some(1) && text.contains("Immingham Town Council"), "{text}");
    let (code, text, _) = run(&["print"], &shipped);
    assert!(code == Some(0) && text.starts_with("Wragby Parish Council: rules for electronic mail\n="), "{text}");
    let (code, text, _) = run(&["print", "--format", "markdown"], &shipped);
    assert!(code == Some(0) && text.starts_with("# Wragby Parish Council"), "{text}");
    let (_, json, _) = run(&["print", "--json"], &shipped);
    assert!(json.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok_and(|v| v["looks_for"].is_string())), "{json}");

    // A council's own small policy, where everything fits together.
    let own = folder.join("rules");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("policy.txt"), "Policy\n\nNothing confidential is mailed.\n").expect("a policy");
    std::fs::write(
        own.join("a.toml"),
        "[policy]\ntext = \"policy.txt\"\n[[clause]]\nid = \"own/1\"\nwords = \"Nothing confidential is mailed.\"\nenforced-by = [\"a\"]\n\
         [[rule]]\nid = \"a\"\nclauses = [\"own/1\"]\nwhen.marked = \"confidential\"\nthen.reject = \"Not taken: it is confidential.\"\n",
    )
    .expect("rules");
    let (code, text, errors) = run(&["lint"], &site(&own));
    assert_eq!((code, text.as_str()), (Some(0), "The policy, its clauses and the rules fit together.\n"), "{errors}");
    let (code, _, errors) = run(&["coverage"], &folder.join("nowhere.toml"));
    assert!(code == Some(1) && errors.contains("there is no site file"), "{errors}");
    let words = Command::new(env!("CARGO_BIN_EXE_lychgate")).args(["policy", "words", "directoin"]).output().expect("run");
    assert!(words.status.code() == Some(1) && String::from_utf8_lossy(&words.stderr).contains("Did you mean direction?"));
    std::fs::remove_dir_all(&folder).expect("removed");
}

/// `explain --json`: the keys of the contract, exactly those and what stands beside them by name.
#[test]
fn explain_keeps_its_contract() {
    let folder = std::env::temp_dir().join(format!("lychgate-contract-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let site = folder.join("lychgate.toml");
    let text = format!(
        "[council]\nname = \"Wragby Parish Council\"\ndomains = [\"wragbyparishcouncil.gov.uk\"]\nclerk = \"clerk@wragbyparishcouncil.gov.uk\"\n\
         [rules]\npaths = [{:?}]\n[[listener]]\nname = \"in\"\nrole = \"connector\"\nbind = \"127.0.0.1:2525\"\ntls = \"none\"\n\
         trust = {{ networks = [\"192.0.2.0/24\"] }}\n[upstream.provider]\naddress = \"127.0.0.1:2526\"\ntls = \"none\"\n",
        root().join("rules/wragby").display().to_string()
    );
    std::fs::write(&site, text).expect("a site file");
    let message = folder.join("a.eml");
    std::fs::write(
        &message,
        "From: clerk@wragbyparishcouncil.gov.uk\nTo: a@gmail.com, b@sky.com, c@aol.com\nSubject: [show-hall: x] Hall\n\nx\n",
    )
    .expect("a message");
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lychgate"));
        command.arg("explain").args(words).arg("--config").arg(&site).arg(&message);
        let out = command.output().expect("run");
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).expect("text")
    };
    let said: serde_json::Value = serde_json::from_str(&run(&["--json", "--all"])).expect("an object");
    let keys = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    for key in ["file", "disposition", "reply", "rules", "edits", "notices", "recipients", "facts", "unmatched"] {
        assert!(keys(&said).iter().any(|k| k == key), "{key}: {said}");
    }
    for (list, wanted) in [
        ("rules", &["id", "mode", "clauses", "because"][..]),
        ("edits", &["field", "rule"]),
        ("changes", &["field", "rules", "before", "after"]),
        ("notices", &["to", "rule"]),
        ("unmatched", &["id", "because"]),
    ] {
        let first = &said[list][0];
        assert!(wanted.iter().all(|w| keys(first).iter().any(|k| k == w)), "{list}: {first}");
    }
    let facts = &said["facts"];
    assert_eq!(
        (facts["direction"].as_str(), facts["visible_external"].as_u64(), facts["protected"].as_str()),
        (Some("outbound"), Some(3), Some("none"))
    );
    assert!(facts["marked"].is_null());
    assert_eq!((said["edits"][0]["field"].as_str(), said["changes"][0]["before"].as_str()), (Some("To"), Some("3 addresses")), "{said}");
    // Every rule is accounted for: it matched, or it is said why it did not.
    let told = said["rules"].as_array().map_or(0, Vec::len) + said["unmatched"].as_array().map_or(0, Vec::len);
    assert_eq!(told, pack("wragby").rules().len(), "{said}");
    let why = said["unmatched"].as_array().expect("a list").iter().find(|u| u["id"] == "virus").expect("the rule");
    assert!(why["because"].as_str().is_some_and(|b| b.contains("no virus scanner")), "{why}");
    let page = run(&["--all"]);
    assert!(page.contains("To: 3 addresses before, no address after (hide-recipients)"), "{page}");
    std::fs::remove_dir_all(&folder).expect("removed");
}
