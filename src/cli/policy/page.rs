//! Coverage, findings and the schedule's entries, for reading and for scripts.

use crate::config::Settings;
use crate::policy::adopted::coverage::{Covered, Finding, State, adopted_names};
use crate::policy::adopted::schedule::Entry;
use crate::policy::rule::Reach;

/// Columns of the words that are quoted.
const QUOTED: usize = 100;

pub fn coverage(covered: &[Covered<'_>], settings: &Settings, json: bool) -> String {
    let mut out = String::new();
    if json {
        for one in covered {
            let rules: Vec<_> = one.rules.iter().map(|(id, r)| serde_json::json!({ "id": id, "mode": r.map(|r| r.mode.word()) })).collect();
            let why = match &one.clause.reach {
                Reach::Outside(why) => Some(why.as_str()),
                _ => None,
            };
            let value = serde_json::json!({
                "clause": &*one.clause.id,
                "state": one.state.word(),
                "rules": rules,
                "why": why,
                "not_judged": one.unjudged.iter().map(|(id, why)| serde_json::json!({ "rule": id, "why": why })).collect::<Vec<_>>(),
                "words": one.clause.words,
            });
            out.push_str(&format!("{value}\n"));
        }
        return out;
    }
    if covered.is_empty() {
        return "No policy is loaded: no rule file has a [[clause]] or names one under `clauses`.\n".into();
    }
    for name in adopted_names(&settings.policy) {
        let own: Vec<&Covered<'_>> =
            covered.iter().filter(|c| c.clause.id.split_once('/').map_or(&*c.clause.id, |(p, _)| p) == name).collect();
        let counts: Vec<String> = State::ALL
            .iter()
            .map(|s| (s, own.iter().filter(|c| c.state == *s).count()))
            .filter(|(_, n)| *n > 0)
            .map(|(s, n)| format!("{n} {}", s.word()))
            .collect();
        out.push_str(&format!("{name}: {}: {}\n", super::super::counted(own.len(), "clause"), counts.join(", ")));
        for one in own {
            out.push_str(&format!("\n{:<9} {}\n", one.state.word(), one.clause.id));
            out.push_str(&format!("          \"{}\"\n", short(&one.clause.words)));
            if let Reach::Outside(why) = &one.clause.reach {
                out.push_str(&format!("          {why}\n"));
            }
            for (id, rule) in &one.rules {
                let how = match (rule, one.unjudged.iter().find(|(u, _)| u == id)) {
                    (None, _) => "not in the rule files".to_string(),
                    (Some(rule), Some((_, why))) => format!("{}, not judged here: {why}", rule.mode.word()),
                    (Some(rule), None) => rule.mode.word().to_string(),
                };
                out.push_str(&format!("          by {id} ({how})\n"));
            }
        }
        out.push('\n');
    }
    out
}

pub fn lint(found: &[Finding], json: bool) -> String {
    let mut out = String::new();
    for finding in found {
        if json {
            let value = serde_json::json!({ "what": finding.what, "at": finding.at, "message": finding.message });
            out.push_str(&format!("{value}\n"));
        } else {
            out.push_str(&format!("{}: {}\n", finding.at, finding.message));
        }
    }
    if !json {
        match found.len() {
            0 => out.push_str("The policy, its clauses and the rules fit together.\n"),
            n => out.push_str(&format!("{}.\n", super::super::counted(n, "finding"))),
        }
    }
    out
}

/// The schedule, one rule a line.
pub fn entries(entries: &[Entry], settings: &Settings, date: Option<jiff::civil::Date>) -> String {
    let mut out = String::new();
    for entry in entries {
        let clauses: Vec<_> = entry.clauses.iter().map(|(id, words)| serde_json::json!({ "id": id, "words": words })).collect();
        let value = serde_json::json!({
            "council": settings.council.name,
            "version": settings.policy.hash(),
            "date": date.map(|d| d.to_string()),
            "id": entry.id,
            "title": entry.title,
            "mode": entry.mode.word(),
            "looks_for": entry.looks_for,
            "exceptions": entry.exceptions,
            "happens": entry.happens,
            "told": entry.told,
            "says": entry.says,
            "clauses": clauses,
        });
        out.push_str(&format!("{value}\n"));
    }
    out
}

fn short(words: &str) -> String {
    if words.chars().count() <= QUOTED {
        words.to_string()
    } else {
        format!("{}…", words.chars().take(QUOTED).collect::<String>().trim_end())
    }
}
