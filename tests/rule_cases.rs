//! Cases for rules, told in Markdown: `tests/rules/*.md`. Each `##` is a case: prose, then blocks.
//!
//! ```text
//! ```toml       rules, beside those of the line "Rules: rules/wragby" at the top of the page (before the first case: for all)
//! ```envelope   from, to (comma between), role, login; otherwise From and To, Cc, Bcc of the message, on a submission listener
//! ```outside    what was asked outside: `virus: true`, `dmarc: fail`, `first-contact: unknown the index is away`, `rate: 300`;
//!               otherwise no virus, all authentication passed, nobody new, nobody seen together, nothing sent before
//! ```message    as it came, LF for CRLF; `{{openers}}` are filled from the page's ```name blocks
//! ```expect     one statement a line, see `check`
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lychgate::config::rules::{self, Site};
use lychgate::config::settings::{Council, Markings, People, Person};
use lychgate::config::{Diagnostics, Source};
use lychgate::message::{RawMessage, Splice, View};
use lychgate::policy::detect::encryption::{EncryptionSettings, Wrapper};
use lychgate::policy::detect::recipients;
use lychgate::policy::outside::{Authentication, Fact};
use lychgate::policy::plain;
use lychgate::policy::{
    Case, Envelope, Facts, Login, Malformed, Mode, Outside, Policy, Recipient, Role, Session, Sources, Verdict, evaluate, explain_all,
};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub fn council() -> Council {
    Council {
        name: "Wragby Parish Council".into(),
        domains: vec!["wragbyparishcouncil.gov.uk".into()],
        clerk: Some("clerk@wragbyparishcouncil.gov.uk".into()),
        chair: Some("chair@wragbyparishcouncil.gov.uk".into()),
        review: None,
    }
}

fn people() -> People {
    let person = |address: &str, name: &str, own: &[&str]| Person {
        address: address.into(),
        name: Some(name.into()),
        own_accounts: own.iter().map(|a| a.to_string()).collect(),
    };
    People {
        councillors: vec![
            person("cllr.elm@wragbyparishcouncil.gov.uk", "Ann Elm", &["rosebud12@gmail.com"]),
            person("cllr.ashby@wragbyparishcouncil.gov.uk", "Jane Ashby", &[]),
        ],
        staff: vec![],
        ..People::default()
    }
}

/// Compiles rules as the site of the cases would.
pub fn load(files: &[Arc<Source>], mode: Mode) -> (Option<Policy>, Diagnostics) {
    load_as(files, mode, Malformed::Judge)
}

pub fn load_as(files: &[Arc<Source>], mode: Mode, malformed: Malformed) -> (Option<Policy>, Diagnostics) {
    let (council, people) = (council(), people());
    let markings = Markings {
        labels: vec!["0f1e2d3c-aaaa-bbbb-cccc-0123456789ab".into()],
        site_id: Some("11111111-2222-3333-4444-555555555555".into()),
        header: Some("X-Council-Confidential".into()),
    };
    let encryption = EncryptionSettings {
        wrappers: vec![Wrapper { header: "X-Secure-Mail".into(), value: Some("yes".into()), listeners: vec!["connector".into()] }],
        ..EncryptionSettings::default()
    };
    let listeners = [("submission".into(), Role::Submission), ("connector".into(), Role::Connector), ("mx".into(), Role::Mx)];
    let site = Site {
        council: &council,
        people: &people,
        markings: &markings,
        encryption: &encryption,
        mode,
        malformed,
        bank_accounts: &["20456741234567".to_string()],
        listeners: &listeners,
        source: None,
        tune: &[],
        desk: Default::default(),
        sources: Sources::ALL,
    };
    let mut diagnostics = Diagnostics::new();
    let policy = rules::load(files, &site, &mut diagnostics);
    (policy, diagnostics)
}

/// A page of cases.
struct Page {
    rules: Option<String>,
    toml: String,
    named: HashMap<String, String>,
    cases: Vec<CaseText>,
}

#[derive(Default)]
struct CaseText {
    title: String,
    toml: String,
    mode: Option<Mode>,
    /// Envelope, message and expectations, in order; a case may judge several messages.
    steps: Vec<(HashMap<String, String>, String, String)>,
}

fn parse(text: &str) -> Page {
    let mut page = Page { rules: None, toml: String::new(), named: HashMap::new(), cases: Vec::new() };
    let mut lines = text.lines();
    let (mut envelope, mut message) = (HashMap::new(), String::new());
    while let Some(line) = lines.next() {
        if let Some(rules) = line.strip_prefix("Rules: ") {
            page.rules = Some(rules.trim().to_string());
        } else if let Some(mode) = line.strip_prefix("Mode: ") {
            let mode = match mode.trim() {
                "off" => Mode::Off,
                "observe" => Mode::Observe,
                "warn" => Mode::Warn,
                _ => Mode::Enforce,
            };
            page.cases.last_mut().expect("a case before Mode:").mode = Some(mode);
        } else if let Some(title) = line.strip_prefix("## ") {
            page.cases.push(CaseText { title: title.to_string(), ..CaseText::default() });
        } else if let Some(kind) = line.strip_prefix("```") {
            let block: String = lines.by_ref().take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
            match (kind, page.cases.last_mut()) {
                ("toml", None) => page.toml.push_str(&block),
                ("toml", Some(case)) => case.toml.push_str(&block),
                ("envelope", _) => envelope.extend(words(&block)),
                ("outside", _) => envelope.extend(words(&block).map(|(k, v)| (format!("outside {k}"), v))),
                ("message", _) => message = block,
                ("expect", Some(case)) => {
                    case.steps.push((envelope.clone(), message.clone(), block));
                    envelope.clear();
                }
                (name, _) => drop(page.named.insert(name.to_string(), block)),
            }
        }
    }
    page
}

fn words(block: &str) -> impl Iterator<Item = (String, String)> {
    block.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim().to_string(), v.trim().to_string()))
}

/// What the case's `outside` block says; what it does not name is as harmless as can be.
fn outside(words: &HashMap<String, String>, policy: &Policy) -> Outside {
    fn fact<T>(words: &HashMap<String, String>, word: &str, otherwise: T, read: impl Fn(&str) -> T) -> Fact<T> {
        match words.get(&format!("outside {word}")) {
            None => Fact::Known(otherwise),
            Some(text) => match text.strip_prefix("unknown") {
                Some(why) => Fact::unknown(why.trim()),
                None => Fact::Known(read(text)),
            },
        }
    }
    let flag = |word: &str| fact(words, word, false, |text| text == "true");
    let result = |word: &str| {
        let read = |text: &str| Authentication::WORDS.iter().find(|(w, _)| *w == text).expect("pass, fail or none").1;
        fact(words, word, Authentication::Pass, read)
    };
    Outside {
        virus: flag("virus"),
        spf: result("spf"),
        dkim: result("dkim"),
        dmarc: result("dmarc"),
        seen_together: flag("seen-together"),
        first_contact: flag("first-contact"),
        near_name: flag("near-name"),
        protected_before: flag("protected-before"),
        rates: policy.rates().iter().map(|_| fact(words, "rate", 1, |text| text.parse().expect("a number"))).collect(),
    }
}

#[test]
fn cases() {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("tests/rules"))
        .expect("tests/rules")
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "md"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    let mut judged = 0;
    for file in files {
        let page = parse(&std::fs::read_to_string(&file).expect("page"));
        for case in &page.cases {
            for failure in run(&page, case) {
                failures.push(format!("{}: {}\n    {failure}", file.file_name().unwrap_or_default().to_string_lossy(), case.title));
            }
            judged += case.steps.len();
        }
    }
    assert!(judged > 0);
    assert!(failures.is_empty(), "{} of {judged} failed:\n{}", failures.len(), failures.join("\n"));
}

fn run(page: &Page, case: &CaseText) -> Vec<String> {
    let mut sources: Vec<Arc<Source>> = Vec::new();
    let mut diagnostics = Diagnostics::new();
    if let Some(folder) = &page.rules {
        sources = rules::find(&[root().join(folder)], &mut diagnostics);
    }
    let toml = format!("{}\n{}", page.toml, case.toml);
    if !toml.trim().is_empty() {
        sources.push(Arc::new(Source { name: "page.toml".into(), text: toml }));
    }
    let (policy, found) = load(&sources, case.mode.unwrap_or(Mode::Enforce));
    diagnostics.extend(found);
    let Some(policy) = policy else { return vec![format!("the rules do not load:\n{diagnostics}")] };
    let mut failures = Vec::new();
    for (envelope, message, expect) in &case.steps {
        failures.extend(judge(page, &policy, envelope, message, expect));
    }
    failures
}

fn judge(page: &Page, policy: &Policy, words: &HashMap<String, String>, message: &str, expect: &str) -> Vec<String> {
    let mut text = message.to_string();
    for (name, block) in &page.named {
        text = text.replace(&format!("{{{{{name}}}}}\n"), block);
    }
    while let Some(at) = text.find("{{blank:") {
        let end = at + text[at..].find("}}").expect("}}");
        let n: usize = text[at + 8..end].parse().expect("a number");
        text.replace_range(at..end + 2, &"word ".repeat(n));
    }
    let raw = RawMessage::new(text.replace('\n', "\r\n").into_bytes());
    let view = View::new(raw.as_bytes());
    let named = |fields: &[&str]| recipients::named(&view, fields).into_iter().map(|(a, _)| a).collect::<Vec<_>>();
    let address = |a: &str| Address::parse(a, Charset::Utf8).unwrap_or_else(|e| panic!("{a}: {e}"));
    let reverse_path = match words.get("from").map(String::as_str) {
        Some("<>") => ReversePath::Null,
        Some(from) => ReversePath::Address(address(from)),
        None => ReversePath::Address(address(named(&["From"]).first().expect("a From"))),
    };
    let to = match words.get("to") {
        Some(to) => to.split(',').map(|a| a.trim().to_string()).collect(),
        None => named(&["To", "Cc", "Bcc"]),
    };
    let role = match words.get("role").map(String::as_str) {
        Some("mx") => Role::Mx,
        Some("connector") => Role::Connector,
        _ => Role::Submission,
    };
    let login = match words.get("login").map(String::as_str) {
        None => Login::None,
        Some("hidden") => Login::Hidden,
        Some(name) => Login::Known(name.to_string()),
    };
    let refused = words.get("refused").cloned().unwrap_or_default();
    let envelope = Envelope {
        reverse_path,
        recipients: to
            .iter()
            .map(|a| Recipient { reply_code: if refused.contains(a.as_str()) { 550 } else { 250 }, address: address(a) })
            .collect(),
    };
    let session = Session { role, listener: words.get("role").map_or("submission", String::as_str).into(), login, tls: true };
    let now = words.get("now").map_or("2026-05-14T10:00[Europe/London]", String::as_str).parse().expect("now");
    let outside = outside(words, policy);
    let case = Case { message: &raw, envelope: &envelope, session: &session, now, outside: &outside };
    let facts = Facts::new(&case, policy);
    let verdict = evaluate(policy, &facts);
    // The schedule that a council adopts names everybody who really is told.
    for notice in &verdict.notices {
        if let Some(rule) = policy.rules().iter().find(|r| r.id == notice.rule) {
            let named = plain::told(rule).iter().any(|who| who.to_lowercase().contains(notice.person.word()));
            assert!(named, "{}: the {} is told, and the schedule says {:?}", rule.id, notice.person.word(), plain::told(rule));
        }
    }
    crate::replay::agrees(policy, &case, &|policy| self::outside(words, policy));
    let output = Splice::apply(&raw, &verdict.plan).to_vec();
    let judged = Judged { policy, facts: &facts, verdict: &verdict, input: raw.as_bytes(), output: &output };
    expect
        .lines()
        .filter(|l| !l.trim().is_empty())
        .filter_map(|l| {
            judged.check(l.trim()).err().map(|e| {
                format!(
                    "{l}: {e}\n      got {:?}; {:?}; because {:?}; notices {:?}",
                    verdict.disposition,
                    verdict.matches.iter().map(|m| m.rule.to_string()).collect::<Vec<_>>(),
                    verdict.matches.iter().map(|m| m.because.clone()).collect::<Vec<_>>(),
                    verdict.notices
                )
            })
        })
        .collect()
}

struct Judged<'a> {
    policy: &'a Policy,
    facts: &'a Facts<'a>,
    verdict: &'a Verdict,
    input: &'a [u8],
    output: &'a [u8],
}

impl Judged<'_> {
    /// One statement of an ```expect block.
    fn check(&self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let verdict = self.verdict;
        let yes = |holds: bool, got: String| if holds { Ok(()) } else { Err(got) };
        match word {
            // deliver | hold | defer | reject, and for the last three the start of the text.
            "deliver" | "hold" | "defer" | "reject" => {
                let text = match &verdict.disposition {
                    lychgate::policy::Disposition::Deliver => String::new(),
                    lychgate::policy::Disposition::Hold { text, .. }
                    | lychgate::policy::Disposition::Defer { text }
                    | lychgate::policy::Disposition::Reject { text }
                    | lychgate::policy::Disposition::Malformed { text } => text.clone(),
                };
                yes(verdict.disposition.word() == word && text.starts_with(rest), format!("{} {text}", verdict.disposition.word()))
            }
            // held-by PEOPLE, SECONDS, return|release
            "held-by" => {
                let lychgate::policy::Disposition::Hold { held, .. } = &verdict.disposition else {
                    return Err(verdict.disposition.word().into());
                };
                let people: Vec<&str> = held.by.iter().map(|p| p.word()).collect();
                let got = format!("{}, {}, {}", people.join(" "), held.within, if held.release { "release" } else { "return" });
                yes(got == rest, got)
            }
            "decided-by" => yes(verdict.decided_by.as_deref() == Some(rest), format!("{:?}", verdict.decided_by)),
            // matched RULE [because PART]
            "matched" => {
                let (rule, because) = rest.split_once(" because ").unwrap_or((rest, ""));
                let found = verdict.matches.iter().find(|m| *m.rule == *rule).ok_or("it did not match")?;
                yes(because.is_empty() || found.because.iter().any(|b| b.contains(because)), format!("{:?}", found.because))
            }
            "not-matched" => yes(!verdict.matches.iter().any(|m| *m.rule == *rest), "it matched".into()),
            "matches" => {
                let ids: Vec<_> = verdict.matches.iter().map(|m| m.rule.to_string()).collect();
                yes(ids.join(" ") == rest, ids.join(" "))
            }
            // why-not RULE PART: what `explain --all` says.
            "why-not" => {
                let (rule, part) = rest.split_once(' ').unwrap_or((rest, ""));
                let all = explain_all(self.policy, self.facts);
                let (_, why) = all.iter().find(|(id, _)| **id == *rule).ok_or("it matched")?;
                yes(why.contains(part), why.clone())
            }
            "clause" => yes(verdict.matches.iter().any(|m| m.clauses.iter().any(|c| **c == *rest)), "no match has it".into()),
            // goes-to ADDRESSES: the envelope that leaves, in any order.
            "goes-to" => {
                let envelope = &self.facts.case().envelope.recipients;
                let accepted = envelope.iter().enumerate().filter(|(_, r)| r.is_accepted()).map(|(i, r)| (i, &r.address));
                let mut legs: Vec<String> = verdict.route.legs(accepted).iter().map(|l| l.address.normal()).collect();
                legs.sort();
                yes(legs.join(" ") == rest, legs.join(" "))
            }
            "dropped" => yes(verdict.route.drop.as_deref() == Some(rest), format!("{:?}", verdict.route.drop)),
            "contains" => {
                let output = String::from_utf8_lossy(self.output).replace("\r\n", "\n");
                yes(output.contains(&rest.replace("\\n", "\n")), output)
            }
            "untouched" => yes(self.input == self.output && verdict.plan.is_untouched(), "bytes differ".into()),
            "body-untouched" => yes(body(self.input) == body(self.output), "bodies differ".into()),
            "overridden" => yes(
                verdict.matches.iter().any(|m| m.overridden.as_deref() == Some(rest)),
                format!("{:?}", verdict.matches.iter().map(|m| &m.overridden).collect::<Vec<_>>()),
            ),
            // field NAME: VALUE, as it stands in the output, unfolded.
            "field" => {
                let (name, value) = rest.split_once(':').unwrap_or((rest, ""));
                let view = View::new(self.output);
                let found: Vec<String> = view.named(name).map(|f| String::from_utf8_lossy(&view.unfolded(f)).into_owned()).collect();
                yes(found == [value.trim()] || (value.is_empty() && found.is_empty()), format!("{found:?}"))
            }
            "header-lacks" => yes(!String::from_utf8_lossy(header(self.output)).contains(rest), "it is there".into()),
            "edits" => {
                let fields: Vec<_> = verdict.edits.iter().map(|e| e.field.clone()).collect();
                yes(fields.join(" ") == rest, fields.join(" "))
            }
            // notice PERSON RULE [saying PART]
            "notice" => {
                let (who, part) = rest.split_once(" saying ").unwrap_or((rest, ""));
                let (person, rule) = who.split_once(' ').unwrap_or((who, ""));
                let found = verdict.notices.iter().find(|n| n.person.word() == person && *n.rule == *rule).ok_or("no such notice")?;
                yes(found.text.contains(part), found.text.clone())
            }
            "no-notice" => {
                let found: Vec<_> =
                    verdict.notices.iter().filter(|n| rest.is_empty() || n.person.word() == rest || *n.rule == *rest).collect();
                yes(found.is_empty(), format!("{found:?}"))
            }
            "record" => yes(format!("{:?}", verdict.record).eq_ignore_ascii_case(rest), format!("{:?}", verdict.record)),
            "direction" => yes(verdict.facts.direction == rest, verdict.facts.direction.clone()),
            "marked" => yes(verdict.facts.marked.as_deref().unwrap_or("no") == rest, format!("{:?}", verdict.facts.marked)),
            "visible-external" => yes(verdict.facts.visible_external.to_string() == rest, verdict.facts.visible_external.to_string()),
            _ => Err("this statement is not known".into()),
        }
    }
}

fn header(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |i| i + 2);
    &bytes[..end]
}

fn body(bytes: &[u8]) -> &[u8] {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(b"", |i| &bytes[i + 4..])
}

/// Bad rules: each `tests/bad-rules/NAME.toml` gets exactly the diagnostics in `NAME.txt`. `BLESS=1` writes them.
#[test]
fn bad_rules() {
    let folder = root().join("tests/bad-rules");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("tests/bad-rules")
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|x| x == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("file");
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (_, mut diagnostics) = load(&[Arc::new(Source { name, text })], Mode::Enforce);
        diagnostics.sort();
        let shown = diagnostics.render();
        let expected = file.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expected, &shown).expect("write");
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != shown {
            failures.push(format!("{}:\n{shown}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The rules that ship load without a warning, alone and beside one another's shared file.
#[test]
fn shipped_rules_are_clean() {
    for folder in ["rules/wragby", "rules/wrentham"] {
        let mut diagnostics = Diagnostics::new();
        let files = rules::find(&[root().join(folder), root().join("rules/shared")], &mut diagnostics);
        let (policy, found) = load(&files, Mode::Enforce);
        diagnostics.extend(found);
        assert!(diagnostics.is_empty(), "{folder}:\n{diagnostics}");
        let policy = policy.expect("a policy");
        // Every rule that a clause of this policy names is there, so that coverage tells the truth.
        let own = Path::new(folder).file_name().unwrap_or_default().to_string_lossy().into_owned();
        for clause in policy.clauses().filter(|c| c.id.starts_with(&own)) {
            if let lychgate::policy::Reach::Enforced(ids) | lychgate::policy::Reach::Assisted(ids) = &clause.reach {
                for id in ids {
                    assert!(policy.rules().iter().any(|r| *r.id == **id), "{}: {id}", clause.id);
                }
            }
        }
    }
}

/// Order never decides: the files and the rules in them may stand in any order.
#[test]
fn order_never_decides() {
    let rules = [
        "[[rule]]\nid = \"a\"\nwhen = \"always\"\nthen.reject = \"A\"\n",
        "[[rule]]\nid = \"b\"\nwhen = \"always\"\nthen.reject = \"B\"\n",
        "[[rule]]\nid = \"c\"\nwhen = \"always\"\nthen.hold = { by = \"clerk\" }\n",
        "[[rule]]\nid = \"d\"\nwhen = \"always\"\nthen.tag-subject = \"[x]\"\n",
    ];
    let mut seen = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        let text: String = order.iter().map(|&i| rules[i]).collect();
        let (policy, found) = load(&[Arc::new(Source { name: "x.toml".into(), text })], Mode::Enforce);
        let policy = policy.unwrap_or_else(|| panic!("{found}"));
        let raw = RawMessage::new(b"From: a@b.uk\r\nSubject: x\r\n\r\nx\r\n".to_vec());
        let envelope = Envelope { reverse_path: ReversePath::Null, recipients: vec![] };
        let session = Session { role: Role::Mx, listener: "mx".into(), login: Login::None, tls: false };
        let case = Case {
            message: &raw,
            envelope: &envelope,
            session: &session,
            now: "2026-05-14T10:00[UTC]".parse().expect("now"),
            outside: Outside::unasked(),
        };
        let verdict = evaluate(&policy, &Facts::new(&case, &policy));
        seen.push((verdict.disposition.clone(), verdict.decided_by.clone(), verdict.plan.is_untouched()));
    }
    assert!(seen.windows(2).all(|w| w[0] == w[1]), "{seen:?}");
    assert_eq!(seen[0].1.as_deref(), Some("a"));
}

/// Real messages that nobody here wrote: the judge bears them all, and what it says of them shows no address.
#[test]
fn given_messages_are_judged() {
    let given = std::env::var_os("LYCHGATE_GIVEN").map_or_else(|| root().join("../shared/given"), PathBuf::from);
    if !given.exists() {
        eprintln!("skipped: there are no given messages at {}", given.display());
        return;
    }
    let mut diagnostics = Diagnostics::new();
    let mut files = rules::find(&[root().join("rules/wragby"), root().join("rules/shared")], &mut diagnostics);
    // Every shipped rule, those that are off too.
    files = files.iter().map(|f| Arc::new(Source { name: f.name.clone(), text: f.text.replace("= \"off\"", "= \"enforce\"") })).collect();
    let policy = load(&files, Mode::Enforce).0.expect("a policy");
    let mut folders = vec![given.join("messages")];
    let mut judged = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder).expect("a folder").filter_map(|e| e.ok().map(|e| e.path())) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("a message");
            if bytes.len() > 200_000 {
                continue;
            }
            let mut crlf = Vec::with_capacity(bytes.len() + bytes.len() / 32);
            for line in bytes.split(|b| *b == b'\n') {
                crlf.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                crlf.extend_from_slice(b"\r\n");
            }
            let raw = RawMessage::new(crlf);
            let from = Address::parse("cllr.elm@wragbyparishcouncil.gov.uk", Charset::Ascii).expect("an address");
            let to = Address::parse("resident@gmail.com", Charset::Ascii).expect("an address");
            let envelope =
                Envelope { reverse_path: ReversePath::Address(from), recipients: vec![Recipient { address: to, reply_code: 250 }] };
            let session = Session { role: Role::Submission, listener: "submission".into(), login: Login::None, tls: true };
            let case = Case {
                message: &raw,
                envelope: &envelope,
                session: &session,
                now: "2026-05-14T10:00[UTC]".parse().expect("now"),
                outside: Outside::unasked(),
            };
            let facts = Facts::new(&case, &policy);
            let verdict = evaluate(&policy, &facts);
            let said =
                verdict.matches.iter().flat_map(|m| m.because.clone()).chain(explain_all(&policy, &facts).into_iter().map(|(_, why)| why));
            for sentence in said {
                let shows = sentence.split_whitespace().any(|w| w.split_once('@').is_some_and(|(l, d)| !l.is_empty() && d.contains('.')));
                assert!(!shows, "{}: {sentence}", path.display());
            }
            let _ = lychgate::policy::explain_facts(&facts);
            let _ = Splice::apply(&raw, &verdict.plan).to_vec();
            judged += 1;
        }
    }
    assert!(judged > 100, "only {judged}");
}

/// `[rules.tune.ID]` changes a shipped rule without copying it; `[[expect]]` holds a change of rules to samples.
#[test]
fn tuning_and_expectations() {
    let folder = std::env::temp_dir().join(format!("lychgate-expect-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("pair.eml"), "From: clerk@wragbyparishcouncil.gov.uk\nTo: a@gmail.com, b@gmail.com\nSubject: x\n\nx\n")
        .expect("a sample");
    let rule = "[[rule]]\nid = \"two\"\nwhen.visible-external.at-least = 3\nwhen.direction = \"outbound\"\nthen.reject = \"no\"\n";
    let expect = "[[expect]]\nmessage = \"pair.eml\"\ndisposition = \"reject\"\n";
    let files = [Arc::new(Source { name: folder.join("x.toml").display().to_string(), text: format!("{rule}{expect}") })];
    let attempt = |tune: &str| {
        let source = Arc::new(Source { name: "lychgate.toml".into(), text: tune.into() });
        let table = toml::de::DeTable::parse(&source.text).expect("toml");
        let tuned: Vec<_> = table
            .get_ref()
            .iter()
            .filter_map(|(k, v)| v.get_ref().as_table().map(|t| (toml::Spanned::new(k.span(), k.get_ref().to_string()), t)))
            .collect();
        let (council, people, markings) = (council(), people(), Markings::default());
        let site = Site {
            council: &council,
            people: &people,
            markings: &markings,
            encryption: &Default::default(),
            mode: Mode::Enforce,
            malformed: Malformed::Judge,
            bank_accounts: &[],
            listeners: &[],
            source: Some(&source),
            tune: &tuned,
            desk: Default::default(),
            sources: Sources::ALL,
        };
        let mut diagnostics = Diagnostics::new();
        let policy = rules::load(&files, &site, &mut diagnostics);
        (policy.is_some(), diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>())
    };
    let (loads, said) = attempt("");
    assert!(!loads && said[0].contains("gets deliver, and reject is expected"), "{said:?}");
    assert_eq!(attempt("[two]\nvisible-external.at-least = 2\n"), (true, vec![]));
    assert_eq!(attempt("[too]\nmode = \"off\"\n").1[0], "there is no rule \"too\"");
    assert_eq!(attempt("[two]\nsize.at-least = \"1MB\"\n").1[0], "the rule \"two\" does not ask for size");
    assert_eq!(attempt("[two]\nmode = \"enforced\"\n").1[0], "`mode` does not take \"enforced\"");
    std::fs::remove_dir_all(&folder).expect("removed");
}
