//! The rules in plain English, with their clauses and how often each matched.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::Path;
use jiff::{SignedDuration, Timestamp};

use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::policy::rule::Rule;
use crate::policy::{Mode, plain};
use crate::records::Keeping;

#[derive(Template)]
#[template(path = "rules.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    groups: Vec<(&'static str, &'static str, Vec<Line>)>,
}

struct Line {
    id: String,
    title: String,
    clauses: Vec<String>,
    hits: u64,
    overrides: u64,
}

#[derive(Template)]
#[template(path = "rule.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    id: String,
    title: String,
    mode: &'static str,
    place: String,
    looks_for: String,
    exceptions: Vec<String>,
    happens: Vec<String>,
    told: Vec<&'static str>,
    says: Option<String>,
    if_unknown: &'static str,
    clauses: Vec<(String, String)>,
    weeks: Vec<(String, u64, u64)>,
}

type Hits = BTreeMap<(String, String), u64>;

fn hits(all: &Hits, id: &str) -> (u64, u64) {
    let of = all.iter().filter(|((rule, _), _)| rule == id);
    of.fold((0, 0), |(hits, overrides), ((_, mode), n)| if mode == "overridden" { (hits, overrides + n) } else { (hits + n, overrides) })
}

pub(super) async fn list(signed: Signed) -> Answer {
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
    show(&List { frame: signed.frame("/rules"), groups })
}

pub(super) async fn one(signed: Signed, Path(id): Path<String>) -> Answer {
    let settings = signed.settings.clone();
    let policy = &settings.policy;
    let rule = policy.rules().iter().find(|r| *r.id == *id).ok_or(Trouble::Nowhere)?;
    let (now, zone) = (Timestamp::now(), settings.time_zone.clone());
    let weeks = signed
        .ask(move |_, options| {
            let mut keeping = Keeping::open(options)?;
            let mut weeks = Vec::new();
            for back in 0..8 {
                let until = now + SignedDuration::from_hours(1) - SignedDuration::from_hours(24 * 7 * back);
                let from = until - SignedDuration::from_hours(24 * 7);
                weeks.push((from, keeping.figures(from, until)?.rules));
            }
            Ok(weeks)
        })
        .await?;
    show(&One {
        frame: signed.frame("/rules"),
        id: rule.id.to_string(),
        title: rule.title.to_string(),
        mode: rule.mode.word(),
        place: rule.place.to_string(),
        looks_for: plain::looks_for(rule, policy),
        exceptions: plain::exceptions(rule, policy),
        happens: plain::happens(rule),
        told: plain::told(rule),
        says: rule.say.as_ref().map(plain::template),
        if_unknown: plain::if_unknown(rule),
        clauses: rule.clauses.iter().map(|c| (c.to_string(), policy.clause(c).map_or(String::new(), |c| c.words.clone()))).collect(),
        weeks: weeks
            .iter()
            .map(|(from, all)| {
                let (n, overrides) = hits(all, &rule.id);
                (from.to_zoned(zone.clone()).strftime("%-d %B").to_string(), n, overrides)
            })
            .collect(),
    })
}
