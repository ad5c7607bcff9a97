//! The rules as a schedule to the policy, and what they do of it.

use super::{Part, heading, list, say};
use crate::config::Settings;
use crate::policy::adopted::{coverage, schedule};
use crate::policy::rule::Reach;

pub(super) fn schedule(settings: &Settings) -> Vec<Part> {
    let mut out = vec![say(
        "Every rule is held against every message; their order does not matter, and the strictest outcome wins. This is made out of the rules that run, so that it says what is done and nothing else.",
    )];
    for (n, entry) in (1..).zip(schedule::entries(&settings.policy)) {
        out.push(heading(&format!("{n}. {}", entry.title)));
        out.push(say(format!("It applies when {}.", entry.looks_for)));
        if !entry.exceptions.is_empty() {
            out.push(say("But not when:"));
            out.push(list(entry.exceptions));
        }
        out.push(list(entry.happens.iter().map(|what| format!("{what}."))));
        if !entry.if_unknown.is_empty() {
            out.push(say(entry.if_unknown));
        }
        let told = if entry.told.is_empty() { "nobody".to_string() } else { entry.told.join(", ") };
        out.push(say(format!("Told: {told}. In force as: {}.", entry.mode.word())));
        for (id, words) in entry.clauses.into_iter().filter(|(_, words)| !words.is_empty()) {
            out.push(Part::Quote(words.split_whitespace().collect::<Vec<_>>().join(" "), id));
        }
    }
    let exempt = schedule::exemptions(&settings.policy);
    if !exempt.is_empty() {
        out.push(heading("Exemptions"));
        out.push(list(exempt));
    }
    out
}

pub(super) fn coverage(settings: &Settings) -> Vec<Part> {
    let all = coverage::coverage(&settings.policy);
    if all.is_empty() {
        return vec![say("No policy is loaded: no rule file has a [[clause]].")];
    }
    let count = |state: coverage::State| all.iter().filter(|c| c.state == state).count();
    let counts = coverage::State::ALL.iter().filter(|s| count(**s) > 0).map(|s| format!("{} {}", count(*s), s.word()));
    let mut out = vec![say(format!("{} clauses: {}.", all.len(), counts.collect::<Vec<_>>().join(", ")))];
    for state in coverage::State::ALL.iter().copied() {
        let of: Vec<_> = all.iter().filter(|c| c.state == state).collect();
        if of.is_empty() {
            continue;
        }
        let word = state.word();
        out.push(heading(&format!("{}{}", word[..1].to_uppercase(), &word[1..])));
        for one in of {
            let words = one.clause.words.split_whitespace().collect::<Vec<_>>().join(" ");
            out.push(Part::Quote(words, one.clause.id.to_string()));
            if let Reach::Outside(why) = &one.clause.reach {
                out.push(say(why.clone()));
            }
            let rules: Vec<String> = one
                .rules
                .iter()
                .map(|(id, rule)| {
                    rule.map_or_else(|| format!("{id}, which is not in the rule files"), |r| format!("{} ({})", r.title, r.mode.word()))
                })
                .collect();
            if !rules.is_empty() {
                out.push(list(rules));
            }
        }
    }
    out
}
