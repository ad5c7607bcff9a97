//! The letters as they are read, whole. `LYCHGATE_BLESS=1` writes what is composed now: read it before it is committed.

use std::path::Path;

use jiff::civil::date;

use super::*;
use crate::outbox::Answers;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn figures(dispositions: &[(&str, u64)], outcomes: &[(Outcome, u64)]) -> Figures {
    Figures {
        dispositions: dispositions.iter().map(|(word, n)| (word.to_string(), *n)).collect(),
        outcomes: outcomes.iter().copied().collect(),
        ..Figures::default()
    }
}

fn quiet() -> Report {
    Report {
        console: None,
        council: "Wragby Parish Council".into(),
        zone: TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").unwrap(),
        now: at("2026-11-23T08:00:03Z"),
        since: at("2026-11-16T08:00:00Z"),
        until: at("2026-11-23T08:00:00Z"),
        next: Some(at("2026-11-30T08:00:00Z")),
        by_hand: false,
        week: Figures::default(),
        before: Figures::default(),
        rules: Vec::new(),
        overrides: Vec::new(),
        forwarded: (0, 0),
        held: HeldEnded::default(),
        standing: Standing::default(),
        certificate: Certificate::None,
        provider_ends: None,
        review: None,
        notice: None,
        scanner: Scanner::None,
        dates: Vec::new(),
        more: Vec::new(),
    }
}

fn busy() -> Report {
    let rule = |title: &str, what: &str, week, before| RuleLine { title: title.into(), what: what.into(), week, before };
    let millis = |text: &str| Some(at(text).as_millisecond());
    let lane = LaneStanding {
        name: "provider".into(),
        waiting: 12,
        stopped: 1,
        held: 2,
        waiting_since: millis("2026-11-23T05:10:00Z"),
        held_since: millis("2026-11-19T14:00:00Z"),
        held_until: millis("2026-11-26T14:00:00Z"),
        answers: Answers { silent: millis("2026-11-23T05:15:00Z"), ..Answers::default() },
        ..LaneStanding::default()
    };
    Report {
        week: figures(
            &[("deliver", 398), ("hold", 4), ("reject", 7), ("defer", 1)],
            &[(Outcome::Hidden, 11), (Outcome::Changed, 3), (Outcome::Warned, 6), (Outcome::ProviderRefused, 2), (Outcome::Bounced, 1)],
        ),
        before: figures(&[("deliver", 371), ("reject", 6)], &[(Outcome::Hidden, 9), (Outcome::Warned, 8)]),
        rules: vec![
            rule("Confidential mail must be encrypted", "refused", 7, 6),
            rule("Hide residents' addresses from one another", "addresses hidden", 11, 9),
            rule("Council mail was forwarded to a personal account", "warned only (in force: told of)", 3, 5),
        ],
        overrides: vec![OverrideLine {
            title: "Hide residents' addresses from one another".into(),
            word: "show-recipients".into(),
            week: 5,
            before: 1,
            reasons: ["they all know one another", "Mrs Ashby (01507 600000) asked", "edith@gmail.com wants it", "agreed", "x"]
                .map(String::from)
                .to_vec(),
        }],
        forwarded: (3, 5),
        held: HeldEnded { released: 3, returned: 1, released_at_end: 0, returned_at_end: 1 },
        standing: Standing { lanes: vec![lane], ..Standing::default() },
        certificate: Certificate::Ends(at("2026-12-06T12:00:00Z")),
        provider_ends: Some(at("2026-12-08T12:00:00Z")),
        review: Some(date(2026, 12, 31)),
        notice: Some(("2026-05".into(), date(2026, 5, 14))),
        scanner: Scanner::Silent,
        dates: vec!["Request 1 (access) is due on Friday 27 November 2026.".into()],
        more: vec!["The sealed code for two people was used on Thursday 19 November 2026.".into()],
        ..quiet()
    }
}

fn golden(name: &str, report: &Report) -> Page {
    let page = compose(report);
    let said = format!("Subject: {}\n\n{}", page.subject, page.text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/office/digest/letter/golden/{name}.txt"));
    if std::env::var_os("LYCHGATE_BLESS").is_some() {
        std::fs::write(&path, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(&path).unwrap_or_default(), "{name}");
    page
}

#[test]
fn a_quiet_week() {
    let page = golden("quiet", &quiet());
    assert!(page.text.contains("TO DO\n- Nothing.\n"));
}

#[test]
fn a_busy_week_is_one_screen_and_names_nobody() {
    let page = golden("busy", &busy());
    assert!(page.text.lines().count() <= 60, "{}", page.text.lines().count());
    for secret in ["Ashby", "01507", "edith", "gmail"] {
        assert!(!page.text.contains(secret), "{secret}");
    }
}

#[test]
fn three_weeks_that_were_missed_say_which_days_they_are() {
    let page = golden("missed", &Report { since: at("2026-11-02T08:00:00Z"), ..quiet() });
    assert!(page.text.contains("Monday 2 November 2026, 08:00 to Monday 23 November 2026, 08:00."));
    assert!(page.text.contains("In brackets: the 21 days before."));
}

#[test]
fn what_somebody_asks_for_is_not_the_one_of_the_week() {
    let report = Report {
        by_hand: true,
        until: at("2026-11-17T14:37:00Z"),
        now: at("2026-11-17T14:37:00Z"),
        certificate: Certificate::Ends(at("2026-11-17T14:00:00Z")),
        provider_ends: Some(at("2026-12-20T12:00:00Z")),
        review: Some(date(2026, 10, 31)),
        scanner: Scanner::Unasked,
        next: None,
        ..quiet()
    };
    let page = golden("by-hand", &report);
    assert!(page.text.contains("ended on Tuesday 17 November 2026") && page.text.contains("was to be reviewed by the end of October 2026"));
}

#[test]
fn a_provider_that_answers_is_not_blamed_and_short_waits_are_none_of_the_clerks_business() {
    let mut report = busy();
    let lane = &mut report.standing.lanes[0];
    (lane.answers.silent, lane.stopped, lane.held, lane.held_until) = (None, 0, 0, None);
    let text = compose(&report).text;
    assert!(text.contains("- 12 messages wait to leave by provider, the oldest since Monday 23 November 2026, 05:10: lychgate queue list"));
    report.standing.lanes[0].waiting_since = Some(at("2026-11-23T07:30:00Z").as_millisecond());
    assert!(!compose(&report).text.contains("wait to leave"));
}

#[test]
fn many_rules_and_reasons_are_counted() {
    let rule = |n: u64| RuleLine { title: format!("Rule {n}"), what: "refused".into(), week: 1, before: 0 };
    let text = compose(&Report { rules: (0..40).map(rule).collect(), ..quiet() }).text;
    assert!(text.contains("Rule 11: refused: 1 (0)\nand 28 rules more that matched\n"), "{text}");
}
