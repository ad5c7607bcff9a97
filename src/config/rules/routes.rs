//! Rules that send mail elsewhere: what only the whole set of rules shows to be wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::config::{Diagnostics, Source};
use crate::policy::condition::Condition;
use crate::policy::rule::Rule;
use crate::policy::{Mode, Sources, logic};

pub type Places = BTreeMap<Arc<str>, (Arc<Source>, Range<usize>)>;

/// Tells of drops that would lose a person's mail, of promises that nothing keeps, and of redirects that contradict one another.
pub fn check(rules: &[Rule], places: &Places, sources: Sources, d: &mut Diagnostics) {
    let live: Vec<&Rule> = rules.iter().filter(|r| r.mode > Mode::Off).collect();
    for rule in &live {
        let Some((source, span)) = places.get(&rule.id) else { continue };
        if rule.then.drop && !rule.when.requires(&|c| matches!(c, Condition::Automatic(_))) {
            d.error(
                source,
                span.clone(),
                "`drop` would lose mail that somebody wrote and waits for an answer to",
                "It goes with automatic mail only: add when.automatic = true. For other mail use then.reject.",
            );
        }
        if rule.then.require_tls && !sources.tls {
            d.error(
                source,
                span.clone(),
                "`require-tls` cannot be kept here: no upstream's certificate is checked",
                "Set tls = \"starttls\" or \"implicit\" in the [upstream] table, or delete the line.",
            );
        }
    }
    for (i, one) in live.iter().enumerate() {
        for other in &live[i + 1..] {
            if contradict(one, other) && !logic::disjoint(&one.when, &other.when) {
                let Some((source, span)) = places.get(&other.id) else { continue };
                d.error(
                    source,
                    span.clone(),
                    format!("the rules \"{}\" and \"{}\" may both match, and send the same mail to different people", one.id, other.id),
                    "Give both the same redirect, or conditions that exclude each other, such as another direction or listener.",
                );
            }
        }
    }
}

fn contradict(one: &Rule, other: &Rule) -> bool {
    let normal = |rule: &Rule| {
        let mut all: Vec<String> = rule.then.redirect_to.iter().map(|a| a.normal()).collect();
        all.sort();
        all
    };
    let (a, b) = (normal(one), normal(other));
    if !a.is_empty() && !b.is_empty() && a != b {
        return true;
    }
    one.then.redirect.iter().any(|(from, to)| {
        other.then.redirect.iter().any(|(from_too, to_too)| {
            from.written.iter().any(|w| from_too.written.iter().any(|v| v.eq_ignore_ascii_case(w))) && to.normal() != to_too.normal()
        })
    })
}
