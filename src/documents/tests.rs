use super::*;
use crate::config::{self, Diagnostics};

fn settings(more: &str) -> Settings {
    let text = format!(
        r#"
[council]
name = "Wragby Parish Council"
domains = ["wragbyparishcouncil.gov.uk"]
clerk = "clerk@wragbyparishcouncil.gov.uk"
chair = "chair@wragbyparishcouncil.gov.uk"

[rules]
paths = ["{}/rules/wragby"]

[[listener]]
name = "in"
role = "connector"
bind = "127.0.0.1:2525"
tls = "none"
upstream = "out"
trust = {{ networks = ["127.0.0.0/8"] }}

[upstream.out]
address = "127.0.0.1:2526"
tls = "none"
{more}
"#,
        env!("CARGO_MANIFEST_DIR")
    );
    let mut found = Diagnostics::new();
    config::load_with("lychgate.toml", text, std::path::Path::new("/nonexistent"), &|_| None, &mut found)
        .unwrap_or_else(|| panic!("{found}"))
}

const MONITORED: &str = r#"
[monitoring]
purposes = ["effective-operation", "unauthorised-use"]
notice-version = "2026-05"
notice-date = 2026-05-14
impact-assessment = "Minute 2026/41"
"#;

fn live() -> Live {
    Live { today: jiff::civil::date(2026, 11, 26), receipts: 7, ..Live::default() }
}

#[test]
fn each_says_what_the_configuration_says() {
    let (open, monitored) = (settings(""), settings(MONITORED));
    let of = |kind, settings: &Settings| text(&make(kind, settings, &live())).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(of(Kind::Notice, &open).contains("records nothing about single messages"));
    let notice = of(Kind::Notice, &monitored);
    for said in [
        "version 2026-05 of 14 May 2026",
        "Minute 2026/41",
        "unauthorised use of it",
        "Ordinary mail: 90 days",
        "not the subject",
        "clerk@wragbyparishcouncil.gov.uk",
    ] {
        assert!(notice.contains(said), "{said}\n{notice}");
    }
    let subject = settings(&MONITORED.replace("[monitoring]", "[monitoring]\nsubject = true"));
    assert!(of(Kind::Notice, &subject).contains(" the subject;") && !of(Kind::Notice, &subject).contains("not the subject"));
    let long = settings(&format!("{MONITORED}\n[records.retention]\nevents = \"37d\"\n"));
    for kind in [Kind::Notice, Kind::Retention, Kind::Impact, Kind::Outsiders] {
        assert!(of(kind, &long).contains("37 days") && !of(kind, &monitored).contains("37 days"), "{kind:?}");
        assert_ne!(make(kind, &long, &live()).mark(), make(kind, &monitored, &live()).mark(), "{kind:?}: a change marks it");
        assert_eq!(make(kind, &long, &live()).mark(), make(kind, &long, &live()).mark());
    }
    assert!(of(Kind::Schedule, &monitored).contains("Hide residents' addresses from one another"));
    assert!(of(Kind::Assertion10, &monitored).contains("7 signed receipts"));
    let two = settings(&format!("{MONITORED}\n[access]\ntwo-people = []\n"));
    assert!(of(Kind::Impact, &two).contains("consider `two-people"), "{}", of(Kind::Impact, &two));
}

#[test]
fn what_changes_by_itself_is_no_change_of_the_configuration() {
    let monitored = settings(MONITORED);
    let mut later = live();
    later.today = jiff::civil::date(2027, 3, 1);
    later.receipts = 900;
    later.retention = Some(crate::records::retention::Overview {
        classes: Vec::new(),
        held_back: [("2026/41".to_string(), 3)].into(),
        purged: None,
        clock_ahead: 0,
    });
    for kind in Kind::ALL {
        let basis = basis(kind, &monitored);
        assert!(!basis.parts.is_empty() && basis.digest().len() == 64 && basis.digest().starts_with(&basis.mark()), "{kind:?}");
        let said = text(&basis);
        assert!(!said.contains("2026/41\n") && !said.contains("7 signed") && !said.contains("900"), "{kind:?}\n{said}");
        let printed = text(&make(kind, &monitored, &later));
        // All that the basis says stands in the paper too, but for the tables that have further columns of figures there.
        let missing = basis.lines().into_iter().filter(|l| !make(kind, &monitored, &later).lines().contains(l)).count();
        assert!(missing == 0 || matches!(kind, Kind::Review | Kind::Assertion10), "{kind:?}\n{printed}");
    }
    assert_ne!(text(&make(Kind::Retention, &monitored, &later)), text(&make(Kind::Retention, &monitored, &live())));
    // A rule that is switched to trial changes the papers that speak of rules, and no other.
    let trial = settings(&format!("{MONITORED}\n[rules.tune.hide-recipients]\nmode = \"warn\"\n"));
    let changed: Vec<Kind> = Kind::ALL.into_iter().filter(|k| basis(*k, &trial).digest() != basis(*k, &monitored).digest()).collect();
    assert!(changed.contains(&Kind::Schedule) && changed.contains(&Kind::Review) && !changed.contains(&Kind::Notice), "{changed:?}");
}

#[test]
fn what_cannot_be_known_is_a_gap_and_is_counted() {
    let monitored = settings(MONITORED);
    let gaps = |kind| make(kind, &monitored, &live()).gaps();
    assert_eq!(gaps(Kind::Notice), 0, "the notice can go out as it is");
    assert!(gaps(Kind::Impact) >= 1 && gaps(Kind::Interests) >= 1 && gaps(Kind::Assertion10) >= 1);
    assert!(make(Kind::Impact, &settings(&format!("{MONITORED}\n")), &live()).gaps() < make(Kind::Impact, &settings(""), &live()).gaps());
}

#[test]
fn every_paper_can_be_printed_and_nothing_in_it_is_mark_up() {
    let hostile = settings(MONITORED);
    for kind in Kind::ALL {
        let paper = make(kind, &hostile, &live());
        assert!(!paper.parts.is_empty(), "{kind:?}");
        for part in &paper.parts {
            if let Part::Table(head, rows) = part {
                assert!(rows.iter().all(|row| row.len() == head.len()), "{kind:?}");
            }
        }
        let plain = text(&paper);
        assert!(plain.lines().all(|line| line.chars().count() <= 110), "{kind:?}\n{plain}");
        assert!(!markdown(&paper).contains("<script") && markdown(&paper).starts_with("# "));
    }
    let paper = Paper { title: "a <b>".into(), parts: vec![Part::Table(vec!["x|y".into()], vec![vec!["*z*\n# h".into()]])] };
    assert_eq!(markdown(&paper), "# a \\<b\\>\n\n| x\\|y |\n|---|\n| \\*z\\* \\# h |\n");
}
