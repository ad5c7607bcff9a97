//! The rules in plain English, with their clauses and how often each matched.

use std::collections::BTreeMap;

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::super::frame::{Answer, Frame, Signed, show};
use crate::office::roles::Right;
use crate::policy::Mode;
use crate::policy::rule::{Rule, SaidBy};
use crate::records::Keeping;

#[derive(Template)]
#[template(path = "rules.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    left_out: Option<String>,
    may_change: bool,
    groups: Vec<(&'static str, &'static str, Vec<Line>)>,
}

struct Line {
    id: String,
    title: String,
    clauses: Vec<String>,
    hits: u64,
    overrides: u64,
    /// Its mode was said at the desk.
    here: bool,
}

pub(super) type Hits = BTreeMap<(String, String), u64>;

/// How often a rule matched, and how often it yielded.
pub(super) fn hits(all: &Hits, id: &str) -> (u64, u64) {
    let of = all.iter().filter(|((rule, _), _)| rule == id);
    of.fold((0, 0), |(hits, overrides), ((_, mode), n)| if mode == "overridden" { (hits, overrides + n) } else { (hits + n, overrides) })
}

pub(super) async fn page(signed: Signed) -> Answer {
    let now = Timestamp::now();
    let figures = signed
        .ask(move |_, options| {
            Ok(Keeping::open(options)?.figures(now - SignedDuration::from_hours(24 * 28), now + SignedDuration::from_hours(1))?)
        })
        .await?;
    let line = |rule: &Rule| {
        let (hits, overrides) = hits(&figures.rules, &rule.id);
        Line {
            id: rule.id.to_string(),
            title: rule.title.to_string(),
            clauses: rule.clauses.iter().map(|c| c.to_string()).collect(),
            hits,
            overrides,
            here: rule.said.by == SaidBy::Desk,
        }
    };
    let groups = [
        (Mode::Enforce, "Enforced", "They do what they say."),
        (Mode::Warn, "On trial", "Mail is delivered, and its sender hears what the rule would have done."),
        (Mode::Observe, "Observed", "What they would have done is recorded; nobody notices."),
        (Mode::Off, "Off", "They are there and do nothing."),
    ];
    let groups = groups
        .into_iter()
        .map(|(mode, title, words)| {
            let of = signed.settings.policy.rules().iter().filter(|r| r.mode == mode).map(line).collect::<Vec<_>>();
            (title, words, of)
        })
        .filter(|(_, _, rules)| !rules.is_empty())
        .collect();
    let left_out = signed.settings.rules.left_out.clone();
    show(&List { frame: signed.frame("/rules"), left_out, may_change: signed.may(Right::Rules), groups })
}
