//! The acts on a store with people in every state.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::*;
use crate::config::{Diagnostics, Settings};
use crate::office::rights::requests;
use crate::policy::past::Imprint;
use crate::records::access::accesses;
use crate::records::custody::{self, Deposit, NewParcel, Origin, Recipient, Sheet, State};
use crate::records::holds::Scope;
use crate::records::place::Monitoring;
use crate::records::rights::Kind;
use crate::records::tests::{Folder, entry, matched};
use crate::records::trace::{Question, look_up};
use crate::records::{Keeping, Options, Outcome, Recorder};

const CLERK: &str = "clerk@wragby.gov.uk";
const ASHBY: &str = "edith.ashby@gmail.com";
const DAY: i64 = 86_400_000;

const SITE: &str = r#"
[council]
name = "Wragby Parish Council"
domains = ["wragby.gov.uk"]
clerk = "clerk@wragby.gov.uk"
chair = "chair@wragby.gov.uk"

[people]
councillors = ["Ann Elm <cllr.elm@wragby.gov.uk>"]

[[listener]]
name = "submission"
role = "submission"
bind = "127.0.0.1:2525"
tls = "none"

[upstream.provider]
address = "127.0.0.1:2526"
"#;

fn settings() -> Settings {
    settings_in(Path::new("/nonexistent"))
}

/// With the store in this folder.
fn settings_in(base: &Path) -> Settings {
    settings_with("", base)
}

/// With further tables.
fn settings_with(more: &str, base: &Path) -> Settings {
    let mut diagnostics = Diagnostics::new();
    let settings = crate::config::load_with("lychgate.toml", format!("{SITE}\n{more}"), base, &|_| None, &mut diagnostics);
    settings.unwrap_or_else(|| panic!("{diagnostics}"))
}

pub(super) fn doer(purpose: &str) -> Doer {
    Doer::new(&settings(), "clerk".into(), purpose).unwrap()
}

/// Each of these runs on every engine that is there.
fn on_each(test: impl Fn(&Options, &Folder)) {
    let folder = Folder::new();
    let mut options = folder.prepared();
    options.monitoring = Some(Monitoring { mandatory: false, subject: true });
    test(&options, &folder);
}

/// Mrs Ashby as sender, as recipient and as one whom others looked at; and others, of whom nothing may be shown to her.
fn written(options: &Options) {
    let recorder = Recorder::start(options).unwrap();
    let record = |sender: &str, recipients: &[&str], reference: &str, change: &dyn Fn(&mut crate::records::Entry)| {
        let mut e = entry(sender, recipients);
        e.reference = reference.into();
        change(&mut e);
        recorder.record(e).unwrap();
    };
    record(CLERK, &[ASHBY, "bob@bob-home.example", "jo@gmail.com"], "LG-TOHER", &|e| {
        e.subject = Some("Allotments: ask bob@bob-home.example".into());
        e.message_id = Some("<to-her@wragby.gov.uk>".into());
        e.outcome = Some(Outcome { code: 250, upstream_reply: Some("250 <bob@bob-home.example> ok".into()) });
        let contact = Imprint {
            sender: CLERK.into(),
            others: vec![ASHBY.into(), "bob@bob-home.example".into()],
            contact: true,
            ..Imprint::default()
        };
        e.imprint = Some(Box::new(contact));
    });
    record(ASHBY, &[CLERK], "LG-FROMHER", &|e| {
        e.matches = vec![crate::policy::Match { overridden: Some("jo@gmail.com asked me to".into()), ..matched("hide-recipients") }];
        e.subject = Some("Hedge of jo@gmail.com".into());
    });
    record("bob@bob-home.example", &[ASHBY], "LG-REFUSED", &|e| {
        e.envelope.recipients[0].reply_code = 550;
        e.subject = Some("Bob's secret".into());
        e.outcome = Some(Outcome { code: 550, upstream_reply: None });
    });
    record("bob@bob-home.example", &[CLERK], "LG-BOBONLY", &|e| e.message_id = Some("<bob-only@wragby.gov.uk>".into()));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(recorder.flush()).unwrap();
    recorder.stop();

    let mut custody = custody::open(options).unwrap();
    let at = Timestamp::now().as_millisecond();
    let mut accept = |kind, state, sender: &str, recipients: &[&str], reference: &str, content: &[u8]| {
        let recipients =
            recipients.iter().map(|r| Recipient { address: (*r).into(), parameters: String::new(), state: custody::Fate::Waiting });
        let origin = Origin {
            sender: sender.into(),
            size: content.len() as u64,
            subject: Some("of bob@bob-home.example".into()),
            ..Origin::default()
        };
        let sheet = Sheet { reference: reference.into(), taken: at, recipients: recipients.collect(), origin, ..Sheet::default() };
        let parcel = NewParcel { id: None, state, due: at, ends: at + 5 * DAY, sheet };
        custody.accept(&[Deposit { kind, content: content.to_vec(), parcels: vec![parcel], told: vec![] }], at).unwrap();
    };
    let hers = b"From: edith.ashby@gmail.com\r\nTo: jo@gmail.com\r\nSubject: Hedge\r\n\r\nMy own words, cc jo@gmail.com.\r\n\r\n> bob@bob-home.example wrote:\r\n> Bob's words\r\n";
    accept(custody::Kind::Mail, State::Held, ASHBY, &["jo@gmail.com", CLERK], "LG-HELDHERS", hers);
    accept(custody::Kind::Mail, State::Held, "bob@bob-home.example", &[ASHBY], "LG-HELDTOHER", b"Subject: x\r\n\r\nBob's content\r\n");
    accept(custody::Kind::Mail, State::Waiting, CLERK, &[ASHBY, "jo@gmail.com"], "LG-QUEUED", b"Subject: x\r\n\r\nqueued content\r\n");
    accept(custody::Kind::Mail, State::Held, "bob@bob-home.example", &["jo@gmail.com"], "LG-HELDOTHERS", b"Subject: x\r\n\r\nx\r\n");
    accept(custody::Kind::Notice, State::Waiting, "", &[ASHBY], "LG-NOTICE", b"Subject: x\r\n\r\nx\r\n");
    accept(custody::Kind::Notice, State::Waiting, "", &[CLERK], "LG-FROMHER", b"Subject: x\r\n\r\nx\r\n");
    accept(custody::Kind::Notice, State::Waiting, "", &[CLERK], "LG-BOBONLY", b"Subject: x\r\n\r\nx\r\n");

    let asked = |recipient: &str, purpose: &str| {
        let question = Question {
            recipient: Some(recipient.into()),
            since: Timestamp::now() - 24.hours(),
            until: Timestamp::now(),
            ..Question::default()
        };
        look_up(options, &question, purpose, "it.person@wragby.gov.uk").unwrap();
    };
    asked("Edith.Ashby@gmail.com", "Did Mrs Ashby get it? bob@bob-home.example asks");
    asked("bob@bob-home.example", "Looking at Bob alone");
    for (id, purpose) in [("<to-her@wragby.gov.uk>", "By its Message-ID"), ("<bob-only@wragby.gov.uk>", "Another's Message-ID")] {
        let question =
            Question { message_id: Some(id.into()), since: Timestamp::now() - 24.hours(), until: Timestamp::now(), ..Question::default() };
        look_up(options, &question, purpose, "it.person@wragby.gov.uk").unwrap();
    }
}

fn exported(options: &Options, out: &Path) -> (serde_json::Value, String, String) {
    let mut custody = custody::open(options).unwrap();
    let zone = TimeZone::UTC;
    let why = doer("Her request of 1 September");
    rights::export(&settings(), options, Some(custody.as_mut()), "Edith.Ashby@Gmail.com", out, Timestamp::now(), &zone, &why).unwrap();
    let json = std::fs::read_to_string(out.join("export.json")).unwrap();
    (serde_json::from_str(&json).unwrap(), json, std::fs::read_to_string(out.join("index.html")).unwrap())
}

fn of(value: &serde_json::Value, list: &str, key: &str) -> Vec<String> {
    let mut all: Vec<String> = value[list].as_array().unwrap().iter().map(|m| m[key].as_str().unwrap().to_string()).collect();
    all.sort();
    all
}

#[test]
fn an_export_has_everything_of_hers_and_nothing_of_anybody_else() {
    on_each(|options, folder| {
        written(options);
        rights::rectify(options, ASHBY, "lg-tohe r", "x", Timestamp::now(), &doer("x")).unwrap_err();
        rights::rectify(options, ASHBY, "lg-fromher", "It was my husband, says jo@gmail.com", Timestamp::now(), &doer("Her letter"))
            .unwrap();
        requests::receive(options, ASHBY, Kind::Access, jiff::civil::date(2026, 9, 1), &doer("Her letter")).unwrap();
        requests::receive(options, "bob@bob-home.example", Kind::Access, jiff::civil::date(2026, 9, 1), &doer("Bob's")).unwrap();
        let (value, json, page) = exported(options, &folder.path("out"));

        assert_eq!(of(&value, "messages", "reference"), ["LG-FROMHER", "LG-REFUSED", "LG-TOHER"]);
        assert_eq!(of(&value, "in_custody", "reference"), ["LG-FROMHER", "LG-HELDHERS", "LG-HELDTOHER", "LG-NOTICE", "LG-QUEUED"]);
        assert_eq!(value["past_mail"]["remembered_with"], serde_json::json!(["the Clerk"]));
        assert_eq!(value["requests"].as_array().unwrap().len(), 1);
        let looks = of(&value, "looked_at", "why");
        assert_eq!(looks.len(), 6, "{looks:?}");
        assert!(looks.iter().any(|l| l.starts_with("Did Mrs Ashby get it? (another address) asks")));
        assert!(looks.iter().any(|l| l == "exported what is held: Her request of 1 September"));
        assert!(looks.iter().any(|l| l == "By its Message-ID"));
        assert!(!json.contains("Bob alone") && !json.contains("Another's Message-ID"));
        // Her own words; not what she quoted, not what others wrote.
        let held = value["in_custody"].as_array().unwrap().iter().find(|p| p["reference"] == "LG-HELDHERS").unwrap();
        assert_eq!(held["content"]["your_words"].as_str().unwrap().trim(), "My own words, cc (another address).");
        for secret in ["Bob's words", "Bob's content", "queued content", "Bob's secret"] {
            assert!(!json.contains(secret) && !page.contains(secret), "{secret}");
        }
        let message = |reference: &str| value["messages"].as_array().unwrap().iter().find(|m| m["reference"] == reference).unwrap().clone();
        assert_eq!(message("LG-TOHER")["from"], "the Clerk");
        assert_eq!(message("LG-TOHER")["subject"], "Allotments: ask (another address)");
        assert_eq!(message("LG-REFUSED")["your_copy"], 550);
        assert_eq!(message("LG-FROMHER")["notes"][0]["text"], "It was my husband, says (another address)");
        assert_eq!(message("LG-FROMHER")["rules"][0]["overridden"], "(another address) asked me to");
        // The scanner: no address but hers, no domain of anybody, no name of an account, in either file.
        for text in [&json, &page] {
            for (at, _) in text.match_indices('@') {
                let from = text[..at].rfind(|c: char| c.is_whitespace() || "<>\"';:(,".contains(c)).map_or(0, |i| i + 1);
                assert!(text[from..].starts_with(ASHBY), "{}", &text[from..(at + 30).min(text.len())]);
            }
            for other in ["bob-home", "it.person", "jo@", "cllr.elm", "wragby.gov.uk"] {
                assert!(!text.contains(other), "{other}");
            }
        }
        for reference in ["LG-FROMHER", "LG-REFUSED", "LG-TOHER", "LG-HELDHERS"] {
            assert!(page.contains(reference));
        }
        assert!(!page.contains("<script") && page.contains("What is not held"));
        // Nothing is overwritten.
        let mut custody = custody::open(options).unwrap();
        let again = rights::export(
            &settings(),
            options,
            Some(custody.as_mut()),
            ASHBY,
            &folder.path("out"),
            Timestamp::now(),
            &TimeZone::UTC,
            &doer("x"),
        );
        assert!(matches!(again, Err(Fault::Io { .. })));
    });
}

#[test]
fn nothing_is_shown_or_changed_without_a_reason() {
    on_each(|options, folder| {
        written(options);
        let before = accesses(options).unwrap().len();
        let nobody = doer("  ");
        let now = Timestamp::now();
        assert!(matches!(rights::erase(&settings(), options, None, ASHBY, now, &nobody), Err(Fault::Purpose)));
        let export = rights::export(&settings(), options, None, ASHBY, &folder.path("out"), now, &TimeZone::UTC, &nobody);
        assert!(matches!(export, Err(Fault::Purpose)));
        let asked = breach::Asked { reference: Some("LG-TOHER".into()), ..breach::Asked::default() };
        assert!(matches!(breach::breach(&settings(), options, &asked, now, &TimeZone::UTC, &nobody), Err(Fault::Purpose)));
        let wanted =
            holds::Wanted { case: "1".into(), scope: Scope { person: Some(ASHBY.into()), ..Scope::default() }, expires: now + 1.hours() };
        assert!(matches!(holds::place(options, None, wanted, now, &nobody), Err(Fault::Purpose)));
        assert_eq!(accesses(options).unwrap().len(), before);
        assert!(holds::list(options, now, &doer("to see")).unwrap().is_empty());
        assert_eq!(Keeping::open(options).unwrap().dossier(ASHBY, &[], now.as_millisecond()).unwrap().rows.len(), 3);
    });
}

#[test]
fn an_erasure_shows_in_the_next_export_and_says_what_stays() {
    on_each(|options, folder| {
        written(options);
        let now = Timestamp::now();
        let mut custody = custody::open(options).unwrap();
        let scope = Scope { reference: Some("LG-REFUSED".into()), ..Scope::default() };
        let wanted = holds::Wanted { case: "2026/41".into(), scope, expires: now + (24 * 30).hours() };
        let (_, keeps) = holds::place(options, Some(custody.as_mut()), wanted, now, &doer("A complaint")).unwrap();
        assert_eq!((keeps.rows, keeps.messages), (1, 0));
        let done = rights::erase(&settings(), options, Some(custody.as_mut()), ASHBY, now + 1.second(), &doer("Her request")).unwrap();
        assert_eq!((done.rows_deleted, done.rows_cleared, done.contacts), (1, 1, 1));
        assert_eq!(done.kept.into_iter().collect::<Vec<_>>(), [("2026/41".to_string(), 1)]);
        assert_eq!(done.in_custody, ["LG-HELDHERS", "LG-HELDTOHER", "LG-NOTICE", "LG-QUEUED"]);
        let (value, ..) = exported(options, &folder.path("after"));
        assert_eq!(of(&value, "messages", "reference"), ["LG-REFUSED"]);
        assert_eq!(value["kept_longer"][0]["case"], "2026/41");
        assert_eq!(value["past_mail"]["remembered_with"], serde_json::json!([]));
        assert!(!value["looked_at"].as_array().unwrap().is_empty(), "who looked stays");
        // Bob's own rows are his.
        let bob = Keeping::open(options).unwrap().dossier("bob@bob-home.example", &[CLERK.into()], now.as_millisecond()).unwrap();
        assert_eq!((bob.rows.len(), bob.contacts.known), (3, vec![CLERK.to_string()]));
    });
}

#[test]
fn a_hold_is_placed_told_of_before_its_end_prolonged_and_lifted() {
    on_each(|options, _| {
        written(options);
        let now = Timestamp::now();
        let mut custody = custody::open(options).unwrap();
        let wanted = |case: &str, scope: Scope, days: i64| holds::Wanted { case: case.into(), scope, expires: now + (24 * days).hours() };
        let hers = || Scope { person: Some("Edith.Ashby@gmail.com".into()), ..Scope::default() };
        for (bad, fault) in [
            (wanted("jo@gmail.com", hers(), 30), "no case number"),
            (wanted("2026/41", Scope::default(), 30), "what it covers"),
            (wanted("2026/41", hers(), -1), "end before it begins"),
            (wanted("2026/41", Scope { person: Some("Mrs Ashby".into()), ..Scope::default() }, 3), "not an address"),
        ] {
            let said = holds::place(options, None, bad, now, &doer("x")).unwrap_err().to_string();
            assert!(said.contains(fault), "{said}");
        }
        let (_, keeps) = holds::place(options, Some(custody.as_mut()), wanted("2026/41", hers(), 30), now, &doer("A complaint")).unwrap();
        assert_eq!((keeps.rows, keeps.messages), (3, 2), "hers and the one to her");
        let mut keeping = Keeping::open(options).unwrap();
        let zone = TimeZone::UTC;
        assert!(holds::ending(&mut keeping, now, &zone).unwrap().is_empty());
        let told = holds::ending(&mut keeping, now + (24 * 20).hours(), &zone).unwrap();
        assert!(told.len() == 1 && told[0].1.contains("2026/41") && !told[0].1.contains('@'), "{}", told[0].1);
        holds::told(&mut keeping, told[0].0.clone()).unwrap();
        assert!(holds::ending(&mut keeping, now + (24 * 21).hours(), &zone).unwrap().is_empty(), "told once");
        assert_eq!(holds::prolong(options, "2026/41", now + (24 * 90).hours(), now, &doer("It goes on")).unwrap(), 1);
        let all = holds::list(options, now, &doer("to see")).unwrap();
        assert_eq!((all[0].0.expires, all[0].0.warned), (now + (24 * 90).hours(), false));
        assert!(holds::words(&all[0].0, &all[0].1, &zone).contains("Keeps:     3 rows and 2 held messages with their content"));
        assert_eq!(holds::lift(options, "2026/41", &doer("It is over")).unwrap(), 1);
        assert!(matches!(holds::lift(options, "2026/41", &doer("x")), Err(Fault::NoHold(_))));
        let acts: Vec<String> = accesses(options).unwrap().into_iter().map(|a| a.purpose).filter(|p| p.contains("2026/41")).collect();
        assert_eq!(acts.len(), 3, "{acts:?}");
    });
}

#[test]
fn the_digest_says_what_is_due_and_names_nobody() {
    on_each(|options, _| {
        written(options);
        let zone = TimeZone::UTC;
        let now = Timestamp::now();
        let today = now.to_zoned(zone.clone()).date();
        let said = |now: Timestamp| rounds::for_the_digest(options, now, &zone).unwrap();
        assert_eq!(said(now), Vec::<String>::new(), "the gateway has purged at its start");
        requests::receive(options, ASHBY, Kind::Access, today.saturating_sub(28.days()), &doer("Her letter")).unwrap();
        requests::receive(options, ASHBY, Kind::Erasure, today, &doer("Her letter")).unwrap();
        let scope = Scope { person: Some(ASHBY.into()), ..Scope::default() };
        holds::place(options, None, holds::Wanted { case: "2026/41".into(), scope, expires: now + 100.hours() }, now, &doer("A complaint"))
            .unwrap();
        let lines = said(now);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("Request 1 (access) is due on ") && lines[1].contains("case 2026/41 ends on"), "{lines:?}");
        assert!(said(now + 60.hours()).iter().any(|l| l.starts_with("No records have been deleted for two days")));
        requests::change(options, 1, requests::Change::Pause, today, &doer("Which years?")).unwrap();
        assert!(said(now)[0].contains("stands still until the person answers"));
        assert!(said(now).iter().all(|l| !l.contains('@')));
    });
}

#[tokio::test]
async fn a_round_keeps_what_came_since_and_tells_the_clerk_once() {
    let folder = Folder::new();
    let options = folder.prepared();
    let settings = settings_in(&folder.path(""));
    let ours = crate::outbox::Options::of(&settings).unwrap();
    let tls = crate::transport::tls::client_config(&ours.upstream).unwrap();
    let outbox = crate::outbox::Outbox::at_rest(ours, tls).unwrap();
    let now = Timestamp::now();
    let scope = Scope { person: Some(ASHBY.into()), ..Scope::default() };
    let wanted = holds::Wanted { case: "2026/41".into(), scope, expires: now + (24 * 5).hours() };
    holds::place(&options, None, wanted, now, &doer("A complaint")).unwrap();
    let recipients = vec![Recipient { address: ASHBY.into(), parameters: String::new(), state: custody::Fate::Waiting }];
    let at = now.as_millisecond();
    let sheet = Sheet { reference: "LG-LATER".into(), taken: at, recipients, ..Sheet::default() };
    let parcel = NewParcel { id: None, state: State::Held, due: at, ends: at + 5 * DAY, sheet };
    let deposit = Deposit { kind: custody::Kind::Mail, content: b"Subject: x\r\n\r\nx\r\n".to_vec(), parcels: vec![parcel], told: vec![] };
    outbox.accept(deposit).await.unwrap();
    for _ in 0..2 {
        rounds::round(&settings, Some(&outbox)).await.unwrap();
        let notices = outbox
            .custody(|custody, _| {
                let which = custody::Which { kind: custody::Kind::Notice, state: State::Waiting, most: 100, due: None };
                custody
                    .list(which)?
                    .into_iter()
                    .map(|p| Ok((p.sheet.recipients[0].address.clone(), custody.content(p.id)?.unwrap())))
                    .collect::<Result<Vec<_>, _>>()
            })
            .await
            .unwrap();
        assert_eq!(notices.len(), 1);
        let letter = String::from_utf8_lossy(&notices[0].1).replace("=\r\n", "");
        assert!(notices[0].0 == CLERK && letter.contains("case 2026/41") && letter.contains("Auto-Submitted: auto-generated"), "{letter}");
        assert_eq!(holds::list(&options, now, &doer("to see")).unwrap()[0].1.messages, 1);
    }
}

#[test]
fn a_breach_is_counted_from_the_record_and_its_drafts_say_what_is_not_known() {
    on_each(|options, _| {
        written(options);
        let now = Timestamp::now();
        let zone = TimeZone::UTC;
        let known: Timestamp = "2026-09-04T16:30:00Z".parse().unwrap();
        let asked = breach::Asked {
            reference: Some("lg-toher".into()),
            addresses: vec!["Edith.Ashby@gmail.com".into(), "stranger@gmail.com".into()],
            known: Some(known),
            ..breach::Asked::default()
        };
        let b = breach::breach(&settings(), options, &asked, now, &zone, &doer("A resident rang")).unwrap();
        let event = &b.events[0];
        assert_eq!((event.visible_external, event.recipients.personal, event.recipients.external), (2, 2, 1));
        assert_eq!((event.consumer_domains, event.other_domains, event.delivered, event.hidden), (1, 1, true, false));
        assert_eq!((event.sender.as_str(), event.among.as_slice()), ("the Clerk", &[ASHBY.to_string()][..]));
        assert_eq!((b.exposing, b.most_in_one, b.copies), (1, 2, 3));
        assert_eq!(b.report_by, "2026-09-07T16:30:00Z".parse().unwrap());
        assert!(b.report.contains("To be reported by Monday 7 September 2026, 16:30") && b.report.matches("NOT KNOWN").count() >= 8);
        assert!(b.note.contains("Wragby Parish Council") && !b.note.contains("ashby"));
        let due = requests::due(&mut Keeping::open(options).unwrap(), known + 24.hours(), 7, &zone).unwrap();
        assert_eq!(due, ["Breach 1 (LG-TOHER): the 72 hours for the report to the regulator ends on Monday 7 September 2026, 16:30."]);
        // By rule and time; what was not delivered shows nobody.
        let by_rule = breach::Asked { rule: Some("hide-recipients".into()), since: Some(now - 24.hours()), ..breach::Asked::default() };
        let b = breach::breach(&settings(), options, &by_rule, now, &zone, &doer("A look round")).unwrap();
        assert_eq!(b.events.iter().map(|e| e.reference.as_str()).collect::<Vec<_>>(), ["LG-FROMHER"]);
        assert_eq!(b.events[0].rules, ["hide-recipients (overridden by the sender)"]);
        let refused = breach::Asked { reference: Some("LG-REFUSED".into()), ..breach::Asked::default() };
        assert_eq!(breach::breach(&settings(), options, &refused, now, &zone, &doer("x")).unwrap().exposing, 0);
        let none = breach::Asked { reference: Some("LG-NONE".into()), ..breach::Asked::default() };
        assert!(matches!(breach::breach(&settings(), options, &none, now, &zone, &doer("x")), Err(Fault::NothingFits)));
        assert!(matches!(
            breach::breach(&settings(), options, &breach::Asked::default(), now, &zone, &doer("x")),
            Err(Fault::WhichMessage)
        ));
    });
}

#[test]
fn a_purge_on_demand_gives_a_receipt_and_show_says_how_things_stand() {
    on_each(|options, _| {
        let mut options = options.clone();
        written(&options);
        options.retention.events = Duration::from_secs(1);
        std::thread::sleep(Duration::from_millis(1100));
        let signed = retention::run(&options, retention::Clock::AsItSeems, &doer("")).unwrap();
        let receipt = signed.receipt().unwrap();
        assert_eq!((receipt.classes[0].rows, receipt.classes[0].remaining), (3, 0));
        assert!(receipt.asked && receipt.retention["events"] == 1000);
        let words = retention::receipt_words(&receipt, &TimeZone::UTC);
        assert!(words.contains("events     3 rows deleted") && words.contains("kept 1 second"), "{words}");
        let (overview, last, _) = retention::overview(&options, Timestamp::now()).unwrap();
        let show = retention::overview_words(&overview, last.as_ref(), &options, Timestamp::now(), &TimeZone::UTC);
        for said in [
            "There is nothing of it.",
            "There are 1 row. The oldest goes on ",
            "No hold keeps anything beyond its time.",
            "The last purge was on ",
        ] {
            assert!(show.contains(said), "{said}: {show}");
        }
        assert!(retention::verify(&options).unwrap().faults.is_empty());
    });
}

#[test]
fn masks_take_rather_too_much_than_too_little() {
    let settings = settings();
    let masks = masks::Masks::new(&settings, ASHBY);
    for (text, masked) in [
        ("ask jo@gmail.com.", "ask (another address)."),
        ("<Jo.Elm+x@sub.gmail.com>, Edith.Ashby@GMAIL.com!", "<(another address)>, Edith.Ashby@GMAIL.com!"),
        ("\"Jo Elm\"@x.uk", "(another address)"),
        ("xedith.ashby@gmail.com", "(another address)"),
        ("edith.ashby@gmail.com.evil.example", "(another address)"),
        ("édith@café.example and @", "(another address) and @"),
        ("no address", "no address"),
    ] {
        assert_eq!(masks.text(text), masked);
    }
    assert_eq!(masks.who("cllr.elm@wragby.gov.uk"), "a councillor");
    assert_eq!(masks.who("somebody@wragby.gov.uk"), "somebody at the council");
    assert_eq!(masks.who("jo@gmail.com"), "somebody outside the council, at a consumer provider");
}

/// Rows with facts are judged by other rules; a row without is left out and said; who looked is on record.
#[test]
fn other_rules_are_held_against_what_is_kept() {
    on_each(|options, folder| {
        let rules = |text: &str| {
            std::fs::write(folder.path("rules.toml"), text).unwrap();
            let site = format!("{SITE}\n[rules]\npaths = [\"rules.toml\"]\n");
            let mut diagnostics = Diagnostics::new();
            let base = folder.path("rules.toml");
            let settings = crate::config::load_with("lychgate.toml", site, base.parent().unwrap(), &|_| None, &mut diagnostics);
            settings.unwrap_or_else(|| panic!("{diagnostics}")).policy
        };
        let then = rules("[[rule]]\nid = \"swearing\"\nwhen.body.words = [\"drat\"]\nthen.notify = [\"clerk\"]\n");
        let recorder = Recorder::start(options).unwrap();
        for (reference, to, header) in [
            ("LG-ONE11", vec![ASHBY], "To: edith.ashby@gmail.com"),
            ("LG-TWO22", vec![ASHBY, "bob@sky.com"], "To: edith.ashby@gmail.com, bob@sky.com"),
        ] {
            let mut e = entry(CLERK, &to);
            e.reference = reference.into();
            e.time = Timestamp::now();
            let header = format!("From: {CLERK}\nSubject: Drat\n{header}");
            e.vector = Some(Box::new(crate::records::tests::looked_at(&e, &header, &then)));
            recorder.record(e).unwrap();
        }
        let mut old = entry(CLERK, &[ASHBY]);
        old.time = Timestamp::now();
        recorder.record(old).unwrap();
        recorder.stop();

        let now = rules(
            "[[rule]]\nid = \"no-crowds\"\nwhen.visible-external.at-least = 2\nthen.reject = \"No.\"\n
             [[rule]]\nid = \"not-her\"\nwhen.recipient = \"edith.ashby@gmail.com\"\nthen.notify = [\"clerk\"]\n
             [[rule]]\nid = \"new-words\"\nwhen.subject.words = [\"bother\"]\nthen.hold = { by = \"clerk\", for = \"1d\" }\n
             [[rule]]\nid = \"swearing\"\nwhen.body.words = [\"drat\"]\nthen.reject = \"Language.\"\n",
        );
        let since = Timestamp::now() - 1.hours();
        assert!(matches!(replay::run(options, &now, &TimeZone::UTC, since, &doer(" ")), Err(Fault::Purpose)));
        let report = replay::run(options, &now, &TimeZone::UTC, since, &doer("before the rules change")).unwrap();
        assert_eq!((report.messages, report.without_facts, report.unreadable), (2, 1, 0));
        let [deliver, hold, _, reject] = report.dispositions;
        assert_eq!((deliver.happened, reject.happened), (2, 0));
        assert_eq!(reject.would, replay::Between { least: 1, most: 1 }, "who is seen is kept, and so is that nobody swore");
        assert_eq!((deliver.would, hold.would), (replay::Between { least: 0, most: 1 }, replay::Between { least: 0, most: 1 }));
        assert_eq!(report.undecided, 1);
        assert_eq!(report.rules["not-her"].would, replay::Between { least: 2, most: 2 }, "a known address can be asked for");
        assert!(!report.rules.contains_key("swearing"), "its words were looked for then, and not found");
        assert_eq!(report.open.keys().map(|(rule, _)| rule.as_str()).collect::<Vec<_>>(), ["new-words"]);
        assert_eq!((report.different, report.differences[0].reference.as_str()), (1, "LG-TWO22"));
        let said = replay::words(&report, &TimeZone::UTC);
        assert!(said.contains("new-words needs words in a subject") && said.contains("1 message left out"), "{said}");
        assert!(!said.contains('@'), "{said}");
        let looked = accesses(options).unwrap();
        assert_eq!(looked.last().map(|a| a.purpose.as_str()), Some("replay: before the rules change"));
        assert_eq!(replay::json(&report).lines().count(), 1 + report.rules.len() + 1 + 1);
    });
}

#[test]
fn the_digest_is_gathered_sent_once_and_missed_when_it_does_not_leave() {
    let folder = Folder::new();
    let options = Options { monitoring: Some(Monitoring { mandatory: false, subject: true }), ..folder.prepared() };
    written(&options);
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(told_of_the_week(&options, &folder));
}

async fn told_of_the_week(options: &Options, folder: &Folder) {
    use crate::office::digest::{self, Asked, Live, Scanner};
    use crate::outbox::{Outbox, Standing};

    const MONITORED: &str = "[monitoring]\npurposes = [\"effective-operation\"]\nnotice-version = \"2026-05\"\nnotice-date = 2026-05-14\nimpact-assessment = \"Minute 2026/41\"\n";
    let settings = settings_with(MONITORED, &folder.path(""));
    let digest = settings.digest.clone().expect("there is a Clerk");
    assert_eq!((digest.day, digest.to.clone()), (jiff::civil::Weekday::Monday, vec![CLERK.to_string()]));
    let outbox = {
        let ours = crate::outbox::Options::of(&settings).unwrap();
        let tls = crate::transport::tls::client_config(&ours.upstream).unwrap();
        Outbox::at_rest(ours, tls).unwrap()
    };
    let now = Timestamp::now();
    assert_eq!(digest::missed(&settings, now).unwrap(), None, "nobody has waited for one");
    let begun = outbox.digest_standing().await.unwrap();
    assert_eq!(digest::due(&settings, &begun, now), None, "not in the first hour");
    let later = now + (9 * 24).hours();
    let covered = digest::due(&settings, &begun, later).expect("a week is over");
    assert_eq!(covered.since, begun.told);
    assert!(digest::missed(&settings, later + 48.hours()).unwrap().is_some_and(|said| said.contains("none has come since")));

    let live = || Live { standing: Standing::default(), scanner: Scanner::None, more: vec!["A sealed code was used.".into()] };
    // As the week would be: what is there now is in it.
    let covered = custody::Covered { since: (now - 1.hour()).as_millisecond(), until: (now + 1.hour()).as_millisecond() };
    assert!(digest::send(&settings, &outbox, covered, live()).await.unwrap());
    assert!(!digest::send(&settings, &outbox, covered, live()).await.unwrap(), "once");
    let letters = outbox
        .custody(|custody, _| {
            let waiting = custody::Which { kind: custody::Kind::Notice, state: State::Waiting, most: 100, due: None };
            custody
                .list(waiting)?
                .iter()
                .map(|p| Ok(String::from_utf8(custody.content(p.id)?.unwrap()).unwrap()))
                .collect::<Result<Vec<_>, _>>()
        })
        .await
        .unwrap();
    let letters: Vec<&String> = letters.iter().filter(|l| l.contains("Subject: Mail gateway: ")).collect();
    assert_eq!(letters.len(), 1);
    let letter = letters[0].replace("=\r\n", "");
    assert!(letter.contains("Subject: Mail gateway: 1 day to ") && letter.contains("Auto-Submitted: auto-generated"), "{letter}");
    assert!(letter.contains("Judged: 4 (0)") && letter.contains("A sealed code was used."), "{letter}");
    assert!(
        letter.contains("hide-recipients: 1 (0)\r\n  \"=E2=80=A6 asked me to\"") || letter.contains("\u{2026} asked me to"),
        "{letter}"
    );
    for nobody in ["ashby", "jo@", "Hedge", "bob", "Allotments"] {
        assert!(!letter.to_lowercase().contains(&nobody.to_lowercase()), "{nobody}: {letter}");
    }
    assert!(accesses(options).unwrap().iter().any(|a| a.who == "the gateway" && a.purpose.contains("reasons for overrides")));

    let page = digest::show(&settings, Asked::SoFar, now, "clerk".into()).unwrap();
    assert!(page.text.contains("Held: 3, the oldest since") && page.text.contains("To be delivered: 1,"), "{}", page.text);
    assert_eq!(digest::send_now(&settings, Asked::SoFar, now, &doer("asked for it")).unwrap(), 1);
    let week = Asked::Week((now + (30 * 24).hours()).to_zoned(TimeZone::UTC).date());
    assert!(matches!(digest::show(&settings, week, now, "clerk".into()), Err(Fault::NotYet)));
}

#[test]
fn the_digest_says_what_rules_did_by_their_titles() {
    use crate::office::digest::letter_lines;
    use crate::records::Figures;

    let settings = settings_with("[rules]\npaths = [\"rules/wragby\"]\n", Path::new(env!("CARGO_MANIFEST_DIR")));
    let title = |id: &str| settings.policy.rules().iter().find(|r| *r.id == *id).map(|r| r.title.to_string()).expect("it is shipped");
    let counted = |all: &[(&str, &str, u64)]| Figures {
        rules: all.iter().map(|(rule, mode, n)| ((rule.to_string(), mode.to_string()), *n)).collect(),
        ..Figures::default()
    };
    let week = counted(&[
        ("forward-to-own-account", "warn", 3),
        ("hide-recipients", "enforce", 11),
        ("hide-recipients", "overridden", 2),
        ("confidential-must-be-encrypted", "enforce", 12),
        ("gone-by-now", "observe", 1),
    ]);
    let before = counted(&[("hide-recipients", "enforce", 9), ("confidential-must-be-encrypted", "overridden", 1)]);
    let (rules, overrides, forwarded) = letter_lines(&settings.policy, &week, &before);
    let said: Vec<String> = rules.iter().map(|r| format!("{}: {}: {} ({})", r.title, r.what, r.week, r.before)).collect();
    assert_eq!(
        said,
        [
            format!("{}: refused: 12 (0)", title("confidential-must-be-encrypted")),
            format!("{}: addresses hidden: 11 (9)", title("hide-recipients")),
            format!("{}: warned only (in force: told of): 3 (0)", title("forward-to-own-account")),
            "gone-by-now: watched only (in force: matched): 1 (0)".into(),
        ]
    );
    let said: Vec<String> = overrides.iter().map(|o| format!("[{}] {}: {} ({})", o.word, o.title, o.week, o.before)).collect();
    assert_eq!(said[0], format!("[show-recipients] {}: 2 (0)", title("hide-recipients")));
    assert_eq!((said.len(), forwarded), (2, (3, 0)));
}
