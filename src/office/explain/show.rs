//! One explained message as a Clerk reads it, and as a script does.

use super::changes::Change;
use super::{Explained, Judged, Outcome, REFERENCE};
use crate::config::Settings;
use crate::config::settings::Listener;
use crate::policy::reply::{kept, reply};
use crate::policy::{Disposition, Match, Mode, Verdict};
use crate::smtp::{Reply, ReversePath};

const WIDTH: usize = 96;

/// One JSON object, without a line end.
pub fn json(explained: &Explained) -> String {
    let recipients: Vec<&str> = explained.envelope.recipients.iter().map(|r| r.address.as_str()).collect();
    let value = match &explained.outcome {
        Outcome::Refused(reply) => serde_json::json!({
            "file": explained.file,
            "disposition": if reply.code() >= 500 { "reject" } else { "defer" },
            "reply": reply.to_string(),
            "rules": [], "edits": [], "notices": [],
            "recipients": recipients,
            "facts": crate::policy::verdict::FactSummary::default(),
        }),
        Outcome::Judged(judged) => {
            let Judged { verdict, facts, changes, unmatched } = &**judged;
            let mut value = serde_json::json!({
                "file": explained.file,
                "disposition": verdict.disposition.word(),
                "decided_by": verdict.decided_by.as_deref(),
                "reply": heard(verdict).map(|r| r.to_string()),
                "rules": verdict.matches.iter().map(rule).collect::<Vec<_>>(),
                "edits": verdict.edits.iter().map(|e| serde_json::json!({ "field": e.field, "rule": &*e.rule })).collect::<Vec<_>>(),
                "changes": changes.iter().map(change).collect::<Vec<_>>(),
                "notices": verdict.notices.iter().map(|n| serde_json::json!({ "to": n.to, "rule": &*n.rule, "text": n.text })).collect::<Vec<_>>(),
                "recipients": leaving(explained, verdict),
                "facts": facts,
            });
            if let Disposition::Hold { held, .. } = &verdict.disposition {
                let by: Vec<&str> = held.by.iter().map(|p| p.word()).collect();
                let then = if held.release { "release" } else { "return" };
                value["hold"] = serde_json::json!({ "by": by, "seconds": held.within, "then": then });
            }
            if let Some(rule) = &verdict.route.drop {
                value["dropped_by"] = (&**rule).into();
            }
            if !unmatched.is_empty() {
                value["unmatched"] = unmatched.iter().map(|(id, why)| serde_json::json!({ "id": &**id, "because": why })).collect();
            }
            value
        }
    };
    value.to_string()
}

/// What the client hears of the gateway itself; none where it hears the upstream.
fn heard(verdict: &Verdict) -> Option<Reply> {
    match &verdict.disposition {
        Disposition::Hold { held, .. } => Some(kept(Some(held), 0, REFERENCE)),
        Disposition::Deliver if verdict.splits() => Some(kept(None, verdict.alternatives.copies.len(), REFERENCE)),
        disposition => reply(disposition, REFERENCE),
    }
}

/// Beside `edits`: how many addresses a field has before and after.
fn change(change: &Change) -> serde_json::Value {
    serde_json::json!({ "field": change.field, "rules": change.rules, "before": change.before, "after": change.after })
}

fn rule(found: &Match) -> serde_json::Value {
    let clauses: Vec<&str> = found.clauses.iter().map(|c| &**c).collect();
    let mut value = serde_json::json!({ "id": &*found.rule, "mode": found.mode.word(), "clauses": clauses, "because": found.because });
    if let Some(reason) = &found.overridden {
        value["overridden"] = reason.as_str().into();
    }
    value
}

/// The envelope that leaves.
fn leaving(explained: &Explained, verdict: &Verdict) -> Vec<String> {
    let recipients = explained.envelope.recipients.iter().enumerate().map(|(i, r)| (i, &r.address));
    verdict.route.legs(recipients).into_iter().map(|leg| leg.address.as_str().to_owned()).collect()
}

/// A paragraph or a page, for reading.
pub fn text(explained: &Explained, settings: &Settings, listener: &Listener) -> String {
    let mut out = format!("{}\n", printable(&explained.file));
    for (indent, line) in lines(explained, settings, listener) {
        wrap(&mut out, indent, &line);
    }
    out.push('\n');
    out
}

/// The same line by line, each with how far it is set in: 2, 4 or 6.
pub fn lines(explained: &Explained, settings: &Settings, listener: &Listener) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut say = |indent: usize, text: &str| out.push((indent, printable(text)));
    let from = match &explained.envelope.reverse_path {
        ReversePath::Null => "nobody (<>)",
        ReversePath::Address(address) => address.as_str(),
    };
    let to = whom(explained);
    match &explained.outcome {
        Outcome::Refused(reply) => {
            say(2, "REFUSED by the gateway itself, before any rule");
            say(2, &format!("from {from} to {to}, by the listener {}", listener.name));
            say(2, &format!("The client hears: {reply}"));
        }
        Outcome::Judged(judged) => {
            let verdict = &judged.verdict;
            say(2, headline(verdict));
            say(2, &format!("{} mail from {from} to {to}, by the listener {}", capital(&judged.facts.direction), listener.name));
            match reply(&verdict.disposition, REFERENCE) {
                Some(reply) => say(2, &format!("The client hears: {reply}")),
                None => say(2, "The client hears the provider's own answer."),
            }
            rules(&mut say, verdict, settings);
            changes(&mut say, &judged.changes);
            routes(&mut say, verdict);
            told(&mut say, verdict);
            if !judged.unmatched.is_empty() {
                say(2, "Rules that did not match");
                for (id, why) in &judged.unmatched {
                    say(4, &format!("{id}: {why}"));
                }
            }
        }
    }
    out
}

/// What would become of it, in a few words.
pub fn headline(verdict: &Verdict) -> &'static str {
    match &verdict.disposition {
        Disposition::Deliver if verdict.route.drop.is_some() => "TAKEN AND DROPPED",
        Disposition::Deliver if verdict.splits() => "DELIVERED in copies",
        Disposition::Deliver if verdict.plan.is_untouched() => "DELIVERED, unchanged",
        Disposition::Deliver => "DELIVERED, changed",
        Disposition::Hold { .. } => "HELD: somebody decides first",
        Disposition::Defer { .. } => "DEFERRED: the client tries again later",
        Disposition::Reject { .. } => "REFUSED",
        Disposition::Malformed { .. } => "REFUSED as malformed",
    }
}

fn rules(say: &mut impl FnMut(usize, &str), verdict: &Verdict, settings: &Settings) {
    if verdict.matches.is_empty() {
        say(2, "No rule matched.");
        return;
    }
    say(2, "Why");
    for found in &verdict.matches {
        let decides = verdict.decided_by.as_deref() == Some(&*found.rule);
        let effect = match (&found.overridden, found.mode) {
            (Some(_), _) => "yields to the sender's override".to_owned(),
            (None, Mode::Enforce) if decides => format!("decides: {}", found.actions.join(", ")),
            (None, Mode::Enforce) => found.actions.join(", "),
            (None, Mode::Warn) => format!("warns only; enforced it would: {}", found.actions.join(", ")),
            (None, _) => format!("observes only; enforced it would: {}", found.actions.join(", ")),
        };
        say(4, &format!("{}: {}", found.rule, if effect.is_empty() { "matched" } else { &effect }));
        if found.title != found.rule {
            say(6, &found.title);
        }
        if !found.because.is_empty() {
            say(6, &format!("because {}", found.because.join("; ")));
        }
        if let Some(reason) = &found.overridden {
            say(6, &format!("the sender's reason: {reason}"));
        }
        for id in &found.clauses {
            match settings.policy.clause(id).map(|c| c.words.trim()).filter(|w| !w.is_empty()) {
                Some(words) => say(6, &format!("{id}: \"{words}\"")),
                None => say(6, id),
            }
        }
    }
}

fn changes(say: &mut impl FnMut(usize, &str), changes: &[Change]) {
    if changes.is_empty() {
        return;
    }
    say(2, "What changes");
    for change in changes {
        say(4, &format!("{}: {} before, {} after ({})", change.field, change.before, change.after, change.rules.join(", ")));
    }
}

/// Where it goes besides, or instead. Addresses here are the council's own, out of its rules.
fn routes(say: &mut impl FnMut(usize, &str), verdict: &Verdict) {
    let route = &verdict.route;
    let names = |list: &[crate::smtp::Address]| list.iter().map(|a| a.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(rule) = &route.drop {
        say(2, &format!("It is taken and dropped ({rule})"));
    }
    if verdict.splits() {
        let n = verdict.alternatives.copies.len();
        say(
            2,
            &format!("{n} outsiders get a copy each, in which they see nobody else's address; the gateway keeps it until all have left"),
        );
    }
    if !route.redirect.is_empty() {
        say(2, &format!("It goes to {} instead", names(&route.redirect)));
    }
    for (from, to) in &route.moved {
        say(2, &format!("What is for {from} goes to {} instead", to.as_str()));
    }
    if !route.copies.is_empty() {
        say(2, &format!("A copy goes to {}", names(&route.copies)));
    }
    if route.require_tls {
        say(2, "It leaves only if the provider promises TLS all the way");
    }
}

fn told(say: &mut impl FnMut(usize, &str), verdict: &Verdict) {
    if verdict.notices.is_empty() {
        return;
    }
    say(2, "Who is told");
    for notice in &verdict.notices {
        say(4, &format!("the {} ({}): {}", notice.person.word(), notice.to, notice.text));
    }
}

fn whom(explained: &Explained) -> String {
    match explained.envelope.recipients.as_slice() {
        [] => "nobody".into(),
        [one] => one.address.as_str().to_owned(),
        [one, two] => format!("{} and {}", one.address.as_str(), two.address.as_str()),
        [first, rest @ ..] => format!("{} and {} others", first.address.as_str(), rest.len()),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

/// A line cannot start a second one, nor move the cursor: what comes out of a message is shown on a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { c })
        .collect()
}

fn wrap(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    let mut hang = indent;
    for word in printable(text).split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
            // Lines that follow stand a little to the right of the first.
            hang = indent + 2;
        }
        if column == 0 {
            out.extend(std::iter::repeat_n(' ', hang));
            column = hang;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}
