//! Which clause of the adopted policy is served by which rules, as they run here; and what does not fit together.

use std::collections::BTreeSet;

use super::defects;
use super::text::quotations;
use crate::policy::outside::Source;
use crate::policy::rule::{Clause, Policy, Reach, Rule};
use crate::policy::verdict::Mode;

/// How far a clause is served at this site, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// By at least one rule that enforces.
    Enforced,
    /// The clause is to be enforced, and its rules only warn so far.
    Warned,
    /// … and its rules only observe so far.
    Observed,
    /// Rules help with it.
    Assisted,
    /// A gateway cannot reach it.
    Outside,
    /// Its rules are off, or not here.
    Unset,
}

impl State {
    pub const ALL: &[State] = &[State::Enforced, State::Warned, State::Observed, State::Assisted, State::Outside, State::Unset];

    pub fn word(self) -> &'static str {
        match self {
            State::Enforced => "enforced",
            State::Warned => "warned",
            State::Observed => "observed",
            State::Assisted => "assisted",
            State::Outside => "outside",
            State::Unset => "unset",
        }
    }
}

/// One clause, and the rules that serve it.
#[derive(Debug)]
pub struct Covered<'p> {
    pub clause: &'p Clause,
    pub state: State,
    /// Each rule that the clause names or that names the clause; none where it is not loaded.
    pub rules: Vec<(String, Option<&'p Rule>)>,
    /// Of these, the ones that this site has no means to judge, with what is missing.
    pub unjudged: Vec<(&'p str, &'static str)>,
}

/// Names of the policies whose clauses count: those in the loaded files, and those that a rule names.
pub fn adopted_names(policy: &Policy) -> BTreeSet<String> {
    let prefix = |id: &str| id.split_once('/').map_or(id, |(p, _)| p).to_string();
    let mut out: BTreeSet<String> = policy.adopted.iter().map(|a| a.name.to_string()).collect();
    out.extend(policy.rules.iter().flat_map(|r| r.clauses.iter()).map(|c| prefix(c)));
    out
}

/// Every clause of those policies, in the order of the text where there is one.
pub fn coverage(policy: &Policy) -> Vec<Covered<'_>> {
    let mut out = Vec::new();
    for name in adopted_names(policy) {
        let mut clauses: Vec<&Clause> = policy.clauses().filter(|c| c.id.split_once('/').map_or(&*c.id, |(p, _)| p) == name).collect();
        clauses.sort_by_key(|c| c.order);
        out.extend(clauses.into_iter().map(|c| covered(policy, c)));
    }
    out
}

fn covered<'p>(policy: &'p Policy, clause: &'p Clause) -> Covered<'p> {
    let named: &[String] = match &clause.reach {
        Reach::Enforced(ids) | Reach::Assisted(ids) => ids,
        Reach::Outside(_) => &[],
    };
    let mut rules: Vec<(String, Option<&Rule>)> =
        named.iter().map(|id| (id.clone(), policy.rules.iter().find(|r| *r.id == **id))).collect();
    for rule in policy.rules.iter().filter(|r| r.clauses.contains(&clause.id)) {
        if !named.iter().any(|id| **id == *rule.id) {
            rules.push((rule.id.to_string(), Some(rule)));
        }
    }
    let mut unjudged = Vec::new();
    for source in [Source::Scanner, Source::Dns, Source::Past] {
        for id in policy.unjudged(source) {
            if rules.iter().any(|(name, _)| name == id) {
                unjudged.push((id, source.absence()));
            }
        }
    }
    let works = |rule: &&Rule| rule.mode > Mode::Off && !unjudged.iter().any(|(id, _)| **id == *rule.id);
    let best = rules.iter().filter_map(|(_, r)| *r).filter(works).map(|r| r.mode).max();
    let state = match (&clause.reach, best) {
        (Reach::Outside(_), None) => State::Outside,
        (_, None) => State::Unset,
        (Reach::Assisted(_) | Reach::Outside(_), Some(_)) => State::Assisted,
        (Reach::Enforced(_), Some(Mode::Enforce)) => State::Enforced,
        (Reach::Enforced(_), Some(Mode::Warn)) => State::Warned,
        (Reach::Enforced(_), Some(_)) => State::Observed,
    };
    Covered { clause, state, rules, unjudged }
}

/// Something that does not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A name for scripts.
    pub what: &'static str,
    /// The clause, the rule, or the place in the text.
    pub at: String,
    pub message: String,
}

/// Everything that `policy lint` tells. `council` and `domains` are the site's own.
pub fn lint(policy: &Policy, council: &str, domains: &[String]) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut tell = |what: &'static str, at: String, message: String| out.push(Finding { what, at, message });
    let covered = coverage(policy);
    for adopted in &policy.adopted {
        if adopted.text.paragraphs.is_empty() {
            tell(
                "no-text",
                adopted.file.clone(),
                format!("the text of the policy \"{}\" is not there: add [policy] and text = \"…\"", adopted.name),
            );
            continue;
        }
        for defect in defects::find(&adopted.text, council, domains) {
            tell(defect.what, format!("{}:{}", adopted.file, defect.line), defect.message);
        }
        let own: Vec<&Covered<'_>> =
            covered.iter().filter(|c| c.clause.id.split_once('/').is_some_and(|(p, _)| *p == *adopted.name)).collect();
        let words: Vec<&str> = own.iter().map(|c| c.clause.words.as_str()).collect();
        let quoted = quotations(&adopted.text, &words);
        for (i, piece) in quoted.missing {
            tell("quotation", own[i].clause.id.to_string(), format!("its words are not in {}: \"{}\"", adopted.file, short(&piece, 80)));
        }
        for (line, paragraph) in quoted.uncovered {
            tell("uncovered", format!("{}:{line}", adopted.file), format!("no clause quotes all of this: \"{}\"", short(&paragraph, 80)));
        }
    }
    for covered in &covered {
        let id = covered.clause.id.to_string();
        if let Reach::Enforced(named) | Reach::Assisted(named) = &covered.clause.reach {
            for name in named {
                match covered.rules.iter().find(|(n, _)| n == name).and_then(|(_, r)| *r) {
                    None => tell("no-rule", id.clone(), format!("it names the rule \"{name}\", which is not in the rule files")),
                    Some(rule) if !rule.clauses.contains(&covered.clause.id) && matches!(covered.clause.reach, Reach::Enforced(_)) => {
                        tell("one-sided", id.clone(), format!("it names the rule \"{name}\", which does not name the clause"));
                    }
                    Some(_) => {}
                }
            }
            if covered.state == State::Unset {
                let here: Vec<&Rule> = covered.rules.iter().filter_map(|(_, r)| *r).collect();
                match covered.unjudged.first() {
                    _ if here.is_empty() => tell("no-rule", id.clone(), "no rule serves it here".into()),
                    Some((_, why)) => tell("not-judged", id.clone(), format!("its rules cannot be judged here, since {why}")),
                    None => tell("rules-off", id.clone(), "its rules are off".into()),
                }
            }
        }
        match (&covered.clause.reach, covered.state) {
            (Reach::Enforced(_), State::Warned | State::Observed) => tell(
                "not-enforced",
                id,
                format!("it is called enforced, and its rules only {}", if covered.state == State::Warned { "warn" } else { "observe" }),
            ),
            (Reach::Enforced(_), State::Enforced) => {
                for (name, rule) in &covered.rules {
                    if rule.is_some_and(|r| r.mode < Mode::Warn) {
                        let mode = rule.map_or("", |r| r.mode.word());
                        tell("weak-rule", id.clone(), format!("it is called enforced, and its rule \"{name}\" is set to {mode}"));
                    }
                }
            }
            (Reach::Outside(_), State::Assisted) => {
                let names: Vec<&str> = covered.rules.iter().map(|(n, _)| n.as_str()).collect();
                tell("not-outside", id, format!("it is called outside a gateway's reach, and {} serves it", names.join(", ")));
            }
            _ => {}
        }
    }
    for rule in policy.rules.iter().filter(|r| r.clauses.is_empty() && r.mode > Mode::Off) {
        tell(
            "no-clause",
            rule.id.to_string(),
            "the rule serves no clause of the policy: name one under `clauses`, or ask whether it should be there".into(),
        );
    }
    out
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_string() } else { format!("{}…", text.chars().take(most).collect::<String>().trim_end()) }
}
