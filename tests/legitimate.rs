//! Two hundred messages as parish councils really send and get them: none is refused, and hardly any hears from a rule that has no
//! business with it. `tests/mail/COUNCIL/expected.toml` says of each which rules should act (in warn or enforce), and why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lychgate::config::rules::{self, Site};
use lychgate::config::settings::{Council, Markings, People, Person};
use lychgate::config::{Diagnostics, Source};
use lychgate::message::{RawMessage, View};
use lychgate::policy::outside::{Authentication, Fact};
use lychgate::policy::{Case, Envelope, Facts, Login, Malformed, Mode, Outside, Policy, Recipient, Role, Session, Sources, evaluate};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};

#[derive(serde::Deserialize)]
struct Expected {
    mail: Vec<Entry>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Entry {
    file: String,
    role: String,
    #[serde(default)]
    login: String,
    mail_from: String,
    rcpt_to: Vec<String>,
    expect: String,
    rules: Vec<String>,
    #[serde(default)]
    first_contact: bool,
    #[expect(dead_code, reason = "it is for whoever reads the file")]
    why: String,
}

struct Parish {
    folder: &'static str,
    name: &'static str,
    domains: &'static [&'static str],
    partners: &'static str,
    /// Councillors' local parts with their names.
    people: &'static [(&'static str, &'static str)],
}

const PARISHES: [Parish; 2] = [
    Parish {
        folder: "wragby",
        name: "Wragby Parish Council",
        domains: &["wragbyparishcouncil.gov.uk"],
        partners: "\"lincolnshire.gov.uk\", \"e-lindsey.gov.uk\", \".police.uk\", \"lalc.co.uk\"",
        people: &[
            ("cllr.elm", "Margaret Elm"),
            ("cllr.ashby", "Colin Ashby"),
            ("cllr.marsh", "Priya Marsh"),
            ("cllr.thorpe", "Gareth Thorpe"),
            ("cllr.fenwick", "Louise Fenwick"),
            ("cllr.dowse", "Ken Dowse"),
            ("cllr.okafor", "Ngozi Okafor"),
            ("cllr.leary", "Siobhán Leary"),
        ],
    },
    Parish {
        folder: "wrentham",
        name: "Wrentham Parish Council",
        domains: &["wrenthamparishcouncil.gov.uk", "wrentham-pc.org.uk"],
        partners: "\"suffolk.gov.uk\", \"eastsuffolk.gov.uk\", \".police.uk\", \"salc.org.uk\"",
        people: &[],
    },
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Parish {
    fn policy(&self) -> Policy {
        let mut d = Diagnostics::new();
        let files: Vec<Arc<Source>> = rules::find(&[root().join("rules").join(self.folder)], &mut d)
            .into_iter()
            .map(|s| {
                let partners = format!("name    = \"partners\"\nentries = [{}]", self.partners);
                Arc::new(Source { name: s.name.clone(), text: s.text.replace("name    = \"partners\"\nentries = []", &partners) })
            })
            .collect();
        let at = |local: &str| format!("{local}@{}", self.domains[0]);
        let council = Council {
            name: self.name.into(),
            domains: self.domains.iter().map(|d| d.to_string()).collect(),
            clerk: Some(at("clerk")),
            chair: Some(at("chair")),
            review: None,
        };
        let person = |(local, name): &(&str, &str)| Person { address: at(local), name: Some(name.to_string()), own_accounts: Vec::new() };
        let people = People { councillors: self.people.iter().map(person).collect(), staff: Vec::new(), ..People::default() };
        let markings = Markings::default();
        let listeners = [("submission".into(), Role::Submission), ("connector".into(), Role::Connector), ("mx".into(), Role::Mx)];
        let site = Site {
            council: &council,
            people: &people,
            markings: &markings,
            encryption: &Default::default(),
            mode: Mode::Enforce,
            listeners: &listeners,
            source: None,
            tune: &[],
            desk: Default::default(),
            sources: Sources::ALL,
            malformed: Malformed::Judge,
            bank_accounts: &[],
        };
        rules::load(&files, &site, &mut d).unwrap_or_else(|| panic!("{d}"))
    }
}

fn read(path: &Path) -> RawMessage {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut out = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|b| *b == b'\n') {
        out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    RawMessage::new(out)
}

fn address(text: &str) -> Address {
    Address::parse(text, Charset::Utf8).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What would be known of honest mail.
fn outside(entry: &Entry, policy: &Policy) -> Outside {
    Outside {
        virus: Fact::Known(false),
        spf: Fact::Known(Authentication::Pass),
        dkim: Fact::Known(Authentication::Pass),
        dmarc: Fact::Known(Authentication::Pass),
        seen_together: Fact::Known(false),
        first_contact: Fact::Known(entry.first_contact),
        near_name: Fact::Known(false),
        protected_before: Fact::Known(false),
        rates: policy.rates().iter().map(|_| Fact::Known(1)).collect(),
    }
}

#[test]
fn legitimate_mail_passes() {
    let mut judged = 0;
    let (mut false_alarms, mut missed, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    let mut observed: BTreeMap<String, usize> = BTreeMap::new();
    for parish in &PARISHES {
        let folder = root().join("tests/mail").join(parish.folder);
        let policy = parish.policy();
        let text = std::fs::read_to_string(folder.join("expected.toml")).expect("expected.toml");
        let expected: Expected = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", parish.folder));
        for entry in &expected.mail {
            judged += 1;
            let raw = read(&folder.join(&entry.file));
            let envelope = Envelope {
                reverse_path: match entry.mail_from.as_str() {
                    "" => ReversePath::Null,
                    from => ReversePath::Address(address(from)),
                },
                recipients: entry.rcpt_to.iter().map(|to| Recipient { address: address(to), reply_code: 250 }).collect(),
            };
            let (role, login) = match entry.role.as_str() {
                "submission" => (Role::Submission, Login::Known(entry.login.clone())),
                "connector" => (Role::Connector, Login::None),
                _ => (Role::Mx, Login::None),
            };
            let session = Session { role, listener: entry.role.as_str().into(), login, tls: true };
            let outside = outside(entry, &policy);
            let now = "2026-06-10T10:00[Europe/London]".parse().expect("a time");
            let case = Case { message: &raw, envelope: &envelope, session: &session, now, outside: &outside };
            let facts = Facts::new(&case, &policy);
            let verdict = evaluate(&policy, &facts);
            let name = format!("{}/{}", parish.folder, entry.file);
            if verdict.disposition.word() != entry.expect {
                stopped.push(format!("{name}: {} by {:?}", verdict.disposition.word(), verdict.decided_by));
            }
            let mut acting: BTreeSet<&str> = BTreeSet::new();
            for found in &verdict.matches {
                if found.mode >= Mode::Warn {
                    acting.insert(&found.rule);
                } else {
                    *observed.entry(format!("{}/{}", parish.folder, found.rule)).or_default() += 1;
                }
            }
            let wanted: BTreeSet<&str> = entry.rules.iter().map(String::as_str).collect();
            let why = |rule: &str| verdict.matches.iter().find(|m| *m.rule == *rule).map(|m| m.because.join("; ")).unwrap_or_default();
            false_alarms.extend(acting.difference(&wanted).map(|rule| format!("{name}: {rule}: {}", why(rule))));
            missed.extend(wanted.difference(&acting).map(|rule| format!("{name}: {rule}")));
        }
    }
    println!(
        "legitimate mail: {judged} judged, {} false alarms, {} missed, {} stopped otherwise than expected",
        false_alarms.len(),
        missed.len(),
        stopped.len()
    );
    println!("  only noted in the record: {observed:?}");
    for line in false_alarms.iter().chain(&missed).chain(&stopped) {
        println!("  {line}");
    }
    assert!(judged >= 200, "{judged}");
    assert!(false_alarms.len() * 100 <= judged, "false alarms:\n{}", false_alarms.join("\n"));
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
    assert!(stopped.is_empty(), "stopped:\n{}", stopped.join("\n"));
}

/// Whole files of their own: but for footers, no paragraph stands in two of them.
#[test]
fn no_two_messages_share_a_paragraph() {
    let mut seen: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut shared = Vec::new();
    for parish in &PARISHES {
        let folder = root().join("tests/mail").join(parish.folder);
        let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
            .expect("tests/mail")
            .filter_map(|e| e.ok().map(|e| e.path()))
            .filter(|p| p.extension().is_some_and(|x| x == "eml"))
            .collect();
        files.sort();
        for file in files {
            let raw = read(&file);
            let view = View::new(raw.as_bytes());
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut own = BTreeSet::new();
            let text = &view.body_text().new;
            let paragraphs: Vec<&str> = text.split("\n\n").collect();
            let author = view.named("From").next().map(|f| view.text(f).into_owned()).unwrap_or_default();
            for (at, paragraph) in paragraphs.iter().enumerate() {
                let words: String = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
                if words.len() > 80 && !FOOTERS.iter().any(|f| words.to_lowercase().contains(f)) {
                    own.insert((words, at + SIGNATURE >= paragraphs.len()));
                }
            }
            for (words, at_the_end) in own {
                // A signature stands at the end, and is its writer's in every message.
                if let Some((other, its_author)) = seen.insert(words.clone(), (name.clone(), author.clone()))
                    && !(at_the_end && its_author == author)
                {
                    shared.push(format!("{name} and {other}: {words}"));
                }
            }
        }
    }
    assert!(seen.len() > 200, "{}", seen.len());
    assert!(shared.is_empty(), "{} shared:\n{}", shared.len(), shared.join("\n"));
}

/// So many paragraphs at the end may be a signature and what stands below it.
const SIGNATURE: usize = 4;

/// Words of footers, which may be the same in all mail of one sender.
const FOOTERS: &[&str] = &[
    "intended",
    "confidential",
    "disclaimer",
    "privacy",
    "data protection",
    "unsubscribe",
    "virus",
    "tel:",
    "tel ",
    "telephone",
    "office hours",
    "www.",
    "printing",
    "parish office",
    "sent from my",
    "gdpr policy",
    "crest",
    "cilca",
    "responsible financial officer",
    // Postfix says so in each of its bounces.
    "i'm sorry to have to inform you",
];
