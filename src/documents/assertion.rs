//! Evidence for Assertion 10 of the annual governance statement: data protection and digital compliance.

use super::{Live, Part, gap, heading, list, say};
use crate::config::Settings;
use crate::policy::Mode;
use crate::policy::adopted::coverage::{self, State};

pub(super) fn evidence(settings: &Settings, live: Option<&Live>) -> Vec<Part> {
    let council = &settings.council;
    let policy = &settings.policy;
    let covered = coverage::coverage(policy);
    let count = |state: State| covered.iter().filter(|c| c.state == state).count();
    let gov = council.domains.iter().any(|d| d.ends_with(".gov.uk"));
    let domain =
        if gov { "a gov.uk domain, which the council alone can hold" } else { "owned by the council: show the registrar's record" };
    let mut out = vec![
        say(
            "The internal auditor asks whether the council has a mail domain of its own, an adopted IT policy, and data protection that is kept. What the gateway can show of it stands here; what it cannot know is to be filled in.",
        ),
        heading("Council-owned mail"),
        list([
            format!("Domains: {} ({domain}).", council.domains.join(", ")),
            format!("Clerk: {}.", council.clerk.clone().unwrap_or_else(|| gap("address"))),
        ]),
        heading("An adopted IT policy that is applied"),
        list([
            format!("Policy: {}; adopted by {}.", policies(&covered), gap("minute and date")),
            format!(
                "{} clauses: {} enforced by the gateway, {} helped with, {} out of its reach, {} not covered.",
                covered.len(),
                count(State::Enforced),
                count(State::Assisted) + count(State::Warned) + count(State::Observed),
                count(State::Outside),
                count(State::Unset)
            ),
            format!("{} rules run.", policy.rules().iter().filter(|r| r.mode > Mode::Off).count()),
            format!("Next review of the policy: {}.", council.review.map_or_else(|| gap("month"), |d| d.strftime("%B %Y").to_string())),
        ]),
        heading("Data protection"),
    ];
    out.push(list(match &settings.monitoring {
        Some(monitoring) => vec![
            format!("Monitoring notice version {} of {}.", monitoring.notice_version, monitoring.notice_date.strftime("%-d %B %Y")),
            format!("Impact assessment: {}.", monitoring.impact_assessment),
            match live {
                Some(live) => {
                    format!("Records expire by themselves; {} signed receipts of purges are there to be verified.", live.receipts)
                }
                None => "Records expire by themselves; signed receipts of purges are there to be verified.".into(),
            },
        ],
        None => vec!["Single messages are not recorded.".to_string()],
    }));
    out.push(heading("Who may do what"));
    out.push(list(settings.access.insiders.iter().map(|person| {
        let roles: Vec<&str> = person.duties.iter().map(|d| d.word()).collect();
        format!("{}: {}", person.name, roles.join(", "))
    })));
    let two: Vec<&str> = settings.access.two_people.iter().map(|t| t.word()).collect();
    out.push(say(if two.is_empty() {
        "Nothing takes two people.".to_string()
    } else {
        format!("It takes two people for: {}.", two.join(", "))
    }));
    let proven = "The access log is chained; `lychgate audit verify` proves it.";
    match live {
        Some(live) => {
            out.push(heading("The year in figures"));
            out.push(list([
                format!(
                    "{} messages; {} refused or put off, {} held.",
                    live.year.judged(),
                    live.year.disposition("reject") + live.year.disposition("defer"),
                    live.year.disposition("hold")
                ),
                proven.to_string(),
            ]));
        }
        None => out.push(say(proven)),
    }
    out
}

fn policies(covered: &[coverage::Covered<'_>]) -> String {
    let mut names: Vec<String> = covered.iter().filter_map(|c| c.clause.id.split_once('/').map(|(name, _)| name.to_string())).collect();
    names.dedup();
    names.sort();
    names.dedup();
    if names.is_empty() { gap("name of the policy") } else { names.join(", ") }
}
