//! The pack for the yearly review: what the rules did, what was overridden, what to decide again.

use super::{Live, Part, gap, heading, list, say};
use crate::config::Settings;
use crate::policy::Mode;
use crate::policy::adopted::coverage;
use crate::records::tally::Outcome;

pub(super) fn pack(settings: &Settings, live: Option<&Live>) -> Vec<Part> {
    let policy = &settings.policy;
    let findings = coverage::lint(policy, &settings.council.name, &settings.council.domains);
    let mut decide = Vec::new();
    let mut out = match live {
        Some(live) => figures(settings, live, &mut decide),
        None => {
            let running = policy.rules().iter().filter(|r| r.mode > Mode::Off);
            let rules = running.map(|r| vec![r.title.to_string(), r.mode.word().into()]).collect();
            vec![heading("Rule by rule"), Part::Table(["Rule", "Mode"].map(String::from).to_vec(), rules)]
        }
    };
    out.push(heading("To be decided"));
    let trial: Vec<String> =
        policy.rules().iter().filter(|r| matches!(r.mode, Mode::Warn | Mode::Observe)).map(|r| r.title.to_string()).collect();
    if !trial.is_empty() {
        decide.push(format!("These are on trial or only observed: {}. Are they to be enforced?", trial.join("; ")));
    }
    if !findings.is_empty() {
        decide.push(format!("`lychgate policy lint` has {} findings about the text of the policy and the rules.", findings.len()));
    }
    decide.push("Is the impact assessment still right? Is the monitoring notice known to everybody who joined since?".into());
    decide.push(format!("Who has which role: {}.", settings.access.insiders.iter().map(|i| i.name.clone()).collect::<Vec<_>>().join(", ")));
    out.push(list(decide));
    out.push(say(format!("Reviewed by {}. Next review: {}.", gap("minute and date"), gap("month"))));
    out
}

/// What the year brought; adds to what is to be decided.
fn figures(settings: &Settings, live: &Live, decide: &mut Vec<String>) -> Vec<Part> {
    let (year, before) = (&live.year, &live.before);
    let line = |what: &str, now: u64, then: u64| vec![what.to_string(), now.to_string(), then.to_string()];
    let mut rules: Vec<Vec<String>> = Vec::new();
    for rule in settings.policy.rules().iter().filter(|r| r.mode > Mode::Off) {
        let all: u64 = year.rules.iter().filter(|((id, mode), _)| **id == *rule.id && mode != "overridden").map(|(_, n)| n).sum();
        rules.push(vec![rule.title.to_string(), rule.mode.word().into(), all.to_string(), year.rule(&rule.id, "overridden").to_string()]);
    }
    let never: Vec<String> = rules.iter().filter(|r| r[2] == "0").map(|r| r[0].clone()).collect();
    if !never.is_empty() {
        decide.push(format!("These rules never applied: {}. Are they needed?", never.join("; ")));
    }
    vec![
        heading("The year in figures"),
        Part::Table(
            ["", "Last twelve months", "The twelve before"].map(String::from).to_vec(),
            vec![
                line("Messages", year.judged(), before.judged()),
                line("Addresses hidden", year.outcome(Outcome::Hidden), before.outcome(Outcome::Hidden)),
                line("Held for a decision", year.disposition("hold"), before.disposition("hold")),
                line(
                    "Refused or put off",
                    year.disposition("reject") + year.disposition("defer"),
                    before.disposition("reject") + before.disposition("defer"),
                ),
                line("Overridden by their senders", year.outcome(Outcome::Overridden), before.outcome(Outcome::Overridden)),
            ],
        ),
        heading("Rule by rule"),
        Part::Table(["Rule", "Mode", "Applied", "Overridden"].map(String::from).to_vec(), rules),
    ]
}
