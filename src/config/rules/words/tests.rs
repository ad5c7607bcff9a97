use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::*;
use crate::config::rules::{self, RULE, Site, TOP};
use crate::config::settings::{Council, Markings, People, Person};
use crate::config::{Diagnostics, Source};
use crate::policy::condition;
use crate::policy::say::Fill;
use crate::policy::{Mode, Role, Sources};

/// Compiles `text` as a file of Wragby's, in a folder that has what the examples name.
fn compile(text: &str) -> Diagnostics {
    let folder = std::env::temp_dir().join(format!("lychgate-words-{}-{:?}", std::process::id(), std::thread::current().id()));
    std::fs::create_dir_all(folder.join("samples")).expect("a folder");
    std::fs::write(
        folder.join("samples/agenda.eml"),
        "From: clerk@wragbyparishcouncil.gov.uk\nTo: jo@example.com\nSubject: Agenda\n\nIt is attached.\n",
    )
    .expect("a sample");
    std::fs::write(folder.join("policy.txt"), "Our policy\n\nDevices must be locked.\n").expect("a policy");
    std::fs::write(
        folder.join("clauses.toml"),
        "[[clause]]\nid = \"oakham/1\"\nwords = \"Devices must be locked.\"\noutside = \"Devices do not pass.\"\n",
    )
    .expect("its clauses");
    let (tune, text) = match text.strip_prefix("[rules.tune.") {
        // Stands in the site file, and tunes a rule that is there.
        Some(_) => (text.to_string(), "[[rule]]\nid = \"hide-recipients\"\nwhen.direction = \"outbound\"\nwhen.visible-external.at-least = 3\nthen.hide-recipients = \"bcc\"\n".to_string()),
        None => (String::new(), text.to_string()),
    };
    let site_source = Arc::new(Source { name: "lychgate.toml".into(), text: tune });
    let parsed = toml::de::DeTable::parse(&site_source.text).expect("toml");
    let tuned: Vec<_> = parsed
        .get_ref()
        .get("rules")
        .and_then(|r| r.get_ref().as_table()?.get("tune")?.get_ref().as_table())
        .into_iter()
        .flat_map(|t| t.iter())
        .filter_map(|(k, v)| v.get_ref().as_table().map(|t| (toml::Spanned::new(k.span(), k.get_ref().to_string()), t)))
        .collect();
    let council = Council {
        name: "Wragby Parish Council".into(),
        domains: vec!["wragbyparishcouncil.gov.uk".into()],
        clerk: Some("clerk@wragbyparishcouncil.gov.uk".into()),
        chair: Some("chair@wragbyparishcouncil.gov.uk".into()),
        review: None,
    };
    let people = People {
        councillors: vec![Person {
            address: "cllr.elm@wragbyparishcouncil.gov.uk".into(),
            name: Some("Ann Elm".into()),
            own_accounts: vec![],
        }],
        staff: vec![],
        ..People::default()
    };
    let markings = Markings::default();
    let listeners = [("submission".into(), Role::Submission), ("connector".into(), Role::Connector), ("mx".into(), Role::Mx)];
    let site = Site {
        council: &council,
        people: &people,
        markings: &markings,
        encryption: &Default::default(),
        mode: Mode::Enforce,
        listeners: &listeners,
        source: Some(&site_source),
        tune: &tuned,
        desk: Default::default(),
        malformed: crate::policy::Malformed::Judge,
        bank_accounts: &[],
        sources: Sources::ALL,
    };
    let mut d = Diagnostics::new();
    rules::load(&[Arc::new(Source { name: folder.join("x.toml").display().to_string(), text })], &site, &mut d);
    std::fs::remove_dir_all(&folder).expect("removed");
    d
}

#[test]
fn every_example_compiles_without_a_word() {
    for word in all() {
        let told: Vec<String> = compile(&file_of(word, word.example)).iter().map(|d| d.message.clone()).collect();
        assert!(told.is_empty(), "{}: {told:?}\n{}", word.word, file_of(word, word.example));
        // The example shows the very word.
        let bare = word.word.trim_matches(['[', ']', '"']).trim_start_matches('@').replace("rules.tune.ID", "rules.tune.");
        assert!(word.section == Section::Address || word.example.contains(&bare), "{}: {}", word.word, word.example);
    }
}

#[test]
fn every_mistake_is_told_in_its_words() {
    for word in all().filter(|w| !w.slip.0.is_empty()) {
        let told: Vec<String> = compile(&file_of(word, word.slip.0)).iter().map(|d| d.message.clone()).collect();
        assert!(told.iter().any(|m| m.contains(word.slip.1)), "{}: {told:?}\n{}", word.word, file_of(word, word.slip.0));
    }
}

/// What a word may be set to is in its form: the reader's enumerations, one by one.
#[test]
fn the_forms_name_every_value() {
    fn names<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
        words.iter().map(|(w, _)| *w).collect()
    }
    let values = [
        ("direction", names(condition::Direction::WORDS)),
        ("marked", names(condition::Marking::WORDS)),
        ("forwarded", names(condition::Forwarding::WORDS)),
        ("personal-account", names(condition::PersonalAccount::WORDS)),
        ("automatic", names(condition::Automatic::WORDS)),
        ("attachment", names(condition::AttachmentKind::WORDS)),
        ("identifiers", names(condition::Identifier::WORDS)),
        ("links", names(condition::Link::WORDS)),
        ("password-disclosed", names(condition::Disclosure::WORDS)),
        ("spf", names(crate::policy::outside::Authentication::WORDS)),
        ("dkim", names(crate::policy::outside::Authentication::WORDS)),
        ("dmarc", names(crate::policy::outside::Authentication::WORDS)),
        ("unknown", names(crate::policy::outside::Outer::WORDS).into_iter().chain(["text"]).collect()),
        ("record", rules::then::RECORD.to_vec()),
    ];
    for (word, values) in values {
        let found = all().find(|w| w.word == word && w.section != Section::Rule).unwrap_or_else(|| panic!("{word} is not there"));
        let quoted: BTreeSet<&str> = found.form.split('"').skip(1).step_by(2).filter(|v| *v != "15MB").collect();
        assert_eq!(quoted, values.into_iter().collect(), "{word}");
    }
    for number in condition::Number::ALL {
        assert!(is_condition(number.word()), "{}", number.word());
    }
    let fills: Vec<String> = Fill::WORDS.iter().map(|(w, _)| format!("{{{w}}}")).collect();
    assert_eq!(all().filter(|w| w.section == Section::Fill).map(|w| w.word).collect::<Vec<_>>(), fills);
}

/// Tables and keys are those that the reader takes, no more and no fewer.
#[test]
fn tables_and_keys_are_the_readers() {
    let mut tables: Vec<&str> = all().filter(|w| w.section == Section::Table).map(|w| w.word.trim_matches(['[', ']'])).collect();
    tables.retain(|t| *t != "rules.tune.ID");
    assert_eq!(tables.iter().collect::<BTreeSet<_>>(), TOP.iter().collect::<BTreeSet<_>>());
    assert_eq!(all().filter(|w| w.section == Section::Rule).map(|w| w.word).collect::<Vec<_>>(), RULE);
    let mut seen = BTreeSet::new();
    for word in all() {
        assert!(seen.insert((word.section.heading(), word.word)), "{} stands there twice", word.word);
        assert!(!word.doc.is_empty() && !word.example.is_empty(), "{} is not documented", word.word);
        assert!(word.doc.ends_with('.'), "{}: a sentence ends with a full stop", word.word);
    }
    assert_eq!(all().count(), TABLES.iter().map(|t| t.len()).sum::<usize>(), "every section is in Section::ALL");
}

/// What no table holds is read by nobody, though an arm of the reader might know it.
#[test]
fn a_word_that_is_not_documented_is_refused() {
    for word in ["colour", "sent-by", "when", "proven_sender"] {
        let told: Vec<String> =
            compile(&format!("[[rule]]\nid = \"a\"\nwhen.{word} = true\nthen.notify = [\"clerk\"]\nthen.{word} = true\n"))
                .iter()
                .map(|d| d.message.clone())
                .collect();
        assert!(told.iter().any(|m| m.contains(&format!("`{word}`"))), "{word}: {told:?}");
    }
}

/// `LYCHGATE_BLESS=1 cargo test words` writes both pages.
#[test]
fn the_committed_pages_are_the_programs() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for (path, page) in [("rules/WORDS.md", markdown(&[])), ("deploy/lychgate-rules.7", man(&[]))] {
        if std::env::var_os("LYCHGATE_BLESS").is_some() {
            std::fs::write(root.join(path), &page).expect("the page");
        }
        assert!(
            std::fs::read_to_string(root.join(path)).unwrap_or_default() == page,
            "{path} is older than the program: run LYCHGATE_BLESS=1 cargo test words"
        );
    }
}

#[test]
fn a_word_can_be_asked_for_alone() {
    let page = |word: &str| text(&[word.to_string()]);
    assert!(page("direction").contains("outbound") && !page("direction").contains("visible-external"));
    assert_eq!(page("when.direction"), page("direction"));
    assert_eq!(page("[[list]]"), page("list"));
    assert_eq!(page("header.X-Priority"), page("header"));
    assert_eq!(page("nothing-such"), "");
    assert!(text(&[]).lines().all(|l| l.chars().count() <= 160), "no line of the page runs away");
    for line in man(&[]).lines() {
        assert!(!line.starts_with('\''), "{line}");
        assert!(
            !line.starts_with('.') || line.as_bytes().get(1).is_some_and(|b| b.is_ascii_uppercase() || *b == b'\\' || *b == b'b'),
            "{line}"
        );
    }
    for line in json(&[]).lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        assert!(value["example"].as_str().is_some_and(|e| e.contains('[')), "{line}");
    }
}
