//! `replay` judges what the record kept of a message. Every message of the rule cases is judged twice here: by the rules themselves, and
//! by the same and by other rules from its row. What the row claims to tell must be what the message tells; where it cannot tell, the
//! truth must lie within what it allows.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use lychgate::config::Diagnostics;
use lychgate::config::rules;
use lychgate::message::RawMessage;
use lychgate::policy::condition::{Condition, Identifier, Link, Number, Span};
use lychgate::policy::detect::VERSION;
use lychgate::policy::recorded::{self, Recorded};
use lychgate::policy::{
    Case, Envelope, FactVector, Facts, Login, Mode, Outside, Policy, Recipient, RecordLevel, Role, Session, Verdict, evaluate, judge,
};
use lychgate::records::replay::through_a_row;
use lychgate::records::{Class, Classes, Entry, Outcome, Stage};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};

/// The rules that are shipped, whatever rules a case has.
static SHIPPED: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let load = |folder: &str| {
        let mut faults = Diagnostics::new();
        let files = rules::find(&[PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)], &mut faults);
        crate::rule_cases::load(&files, Mode::Enforce).0.expect("the shipped rules load")
    };
    vec![load("rules/wragby"), load("rules/wrentham")]
});

/// The classes of a message's people.
struct Known(HashMap<String, Class>);

impl Classes for Known {
    fn class(&self, normal: &str) -> Class {
        self.0.get(normal).copied().unwrap_or(Class::External)
    }

    fn configuration(&self) -> &[u8] {
        b"test"
    }
}

/// Holds the verdict from the row against that on the message, for the rules that judged it and for others.
pub fn agrees(policy: &Policy, case: &Case<'_>, outside: &dyn Fn(&Policy) -> Outside) {
    let facts = Facts::new(case, policy);
    facts.keep_readings();
    let verdict = evaluate(policy, &facts);
    if verdict.personal || verdict.record < RecordLevel::Metadata {
        return;
    }
    let vector = FactVector::of(&facts, &verdict);
    let entry = entry(case, &verdict, vector, policy);
    for other in std::iter::once(policy).chain(SHIPPED.iter()) {
        let outside = outside(other);
        let case = Case { outside: &outside, now: case.now.clone(), ..*case };
        let truth = evaluate(other, &Facts::new(&case, other));
        through_a_row(&entry, &[7; 32], &mut |row, names| {
            let vector = row.fact_vector().expect("the row is whole").expect("it has a vector");
            let record = Recorded { vector: &vector, policy: other, names, role: row.role, listener: &row.listener, now: case.now.clone() };
            within(&truth, &recorded::evaluate(&record), &String::from_utf8_lossy(case.message.as_bytes()));
        })
        .expect("the row is read again");
    }
}

/// The truth lies within what the record allows.
fn within(truth: &Verdict, told: &recorded::Told, about: &str) {
    let rank = |word: &str| ["deliver", "hold", "defer", "reject"].iter().position(|w| *w == word);
    let (least, is, most) = (told.verdict.disposition.word(), truth.disposition.word(), told.at_most);
    let open: BTreeSet<&str> = told.verdict.open.iter().map(|o| &*o.rule).collect();
    assert!(rank(least) <= rank(is) && rank(is) <= rank(most), "{is}, not from {least} to {most}; open: {:?}\n{about}", told.verdict.open);
    let rules = |v: &Verdict| v.matches.iter().map(|m| (m.rule.to_string(), m.overridden.is_some())).collect::<BTreeSet<_>>();
    let (sure, real) = (rules(&told.verdict), rules(truth));
    assert!(sure.is_subset(&real), "told: {sure:?}, but it was {real:?}\n{about}");
    let beyond: Vec<_> = real.difference(&sure).filter(|(rule, _)| !open.contains(rule.as_str())).collect();
    assert!(beyond.is_empty(), "{beyond:?} matched and was neither told nor open\n{about}");
    if open.is_empty() {
        assert_eq!(truth.decided_by, told.verdict.decided_by, "{about}");
    }
}

fn entry(case: &Case<'_>, verdict: &Verdict, vector: FactVector<String>, policy: &Policy) -> Entry {
    let classes = case
        .envelope
        .recipients
        .iter()
        .map(|r| r.address.normal())
        .map(|a| {
            let class = match policy.classify(&a) {
                lychgate::policy::Class::Internal => Class::Internal,
                lychgate::policy::Class::Partner => Class::Partner,
                lychgate::policy::Class::Personal => Class::Personal,
                lychgate::policy::Class::External => Class::External,
            };
            (a, class)
        })
        .collect();
    Entry {
        time: case.now.timestamp(),
        reference: "LG-7F3K".into(),
        listener: case.session.listener.clone(),
        role: case.session.role,
        envelope: case.envelope.clone(),
        rules: Arc::new(Known(classes)),
        message_id: None,
        subject: None,
        size: case.message.len() as u64,
        disposition: verdict.disposition.clone(),
        matches: verdict.matches.clone(),
        facts: verdict.facts.clone(),
        level: verdict.record,
        personal: false,
        automatic: verdict.automatic,
        imprint: None,
        vector: Some(Box::new(vector)),
        detectors: Vec::new(),
        outcome: Some(Outcome::own(250)),
        stage: Stage::Judged,
    }
}

/// What the detectors find in the sample messages, held against what this version of them found before. Where it is something else,
/// records say by which version a message was looked into, so the version must be raised. `BLESS=1` writes what is found, and refuses
/// to while a message is seen otherwise under the same version.
#[test]
fn detectors_that_find_something_else_have_another_version() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let page = root.join("tests/detectors.txt");
    let mut found = std::collections::BTreeMap::new();
    for folder in ["wragby", "wrentham"] {
        for file in std::fs::read_dir(root.join("tests/mail").join(folder)).expect("the samples").flatten() {
            let text = std::fs::read(file.path()).expect("a sample");
            found.insert(format!("{folder}/{}", file.file_name().to_string_lossy()), all_found(text));
        }
    }
    assert!(found.len() > 100);
    let before = std::fs::read_to_string(&page).unwrap_or_default();
    let mut lines = before.lines();
    let version = lines.next().and_then(|l| l.strip_prefix("version ")).and_then(|v| v.parse::<u32>().ok());
    let known: HashMap<&str, &str> = lines.filter_map(|l| l.split_once(' ')).map(|(digest, name)| (name, digest)).collect();
    let other: Vec<&String> =
        found.iter().filter(|(n, d)| known.get(n.as_str()).is_some_and(|k| *k != d.as_str())).map(|(n, _)| n).collect();
    let raised = version != Some(VERSION);
    assert!(
        other.is_empty() || raised,
        "the detectors find something else in {other:?}: raise policy::detect::VERSION, then run this again with BLESS=1"
    );
    let now: String =
        std::iter::once(format!("version {VERSION}\n")).chain(found.iter().map(|(name, digest)| format!("{digest} {name}\n"))).collect();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&page, now).expect("tests/detectors.txt");
        return;
    }
    assert_eq!(before, now, "run this again with BLESS=1");
}

/// A digest of all that is found in a message, whatever rules ask.
fn all_found(text: Vec<u8>) -> String {
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n").replace('\n', "\r\n");
    let message = RawMessage::new(text.into_bytes());
    let address = |a: &str| Address::parse(a, Charset::Utf8).expect("an address");
    let envelope = Envelope {
        reverse_path: ReversePath::Address(address("clerk@wragbyparishcouncil.gov.uk")),
        recipients: vec![Recipient { address: address("a@gmail.com"), reply_code: 250 }],
    };
    let session = Session { role: Role::Mx, listener: "mx".into(), login: Login::None, tls: true };
    let now = "2026-05-14T10:00[Europe/London]".parse().expect("a time");
    let case = Case { message: &message, envelope: &envelope, session: &session, now, outside: Outside::unasked() };
    // No rules, so that only what is found counts and not what is asked.
    let policy = crate::rule_cases::load(&[], Mode::Enforce).0.expect("no rules load");
    let facts = Facts::new(&case, &policy);
    let kinds: Vec<Identifier> = Identifier::WORDS.iter().map(|(_, kind)| *kind).collect();
    let text = Condition::Number(Number::AddressesInText, Span::at_least(1));
    let links = Link::WORDS.iter().map(|(_, kind)| Condition::Links(vec![*kind]));
    for condition in links.chain([text, Condition::Ambiguous(true), Condition::UnreadableText, Condition::NoPasswordDisclosed]) {
        judge::holds(&condition, &facts);
    }
    let _asked = (facts.identifiers(&kinds), facts.protection(), facts.own_recipient(), facts.forwarded(), facts.confidential());
    let vector = FactVector::of(&facts, &evaluate(&policy, &facts));
    let everything = format!("{:?} {:?}", vector.ours, vector.others);
    blake3::hash(everything.as_bytes()).to_hex()[..12].to_string()
}
