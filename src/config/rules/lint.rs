//! What is allowed and probably not meant: warnings for the Clerk.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::Site;
use super::reader::{Reader, in_order};
use crate::config::{Diagnostics, Source};
use crate::policy::condition::{Condition, Direction};
use crate::policy::rule::Rule;
use crate::policy::{Mode, Person, Role, logic};

/// Words that stand in nearly every legal footer.
const FOOTER: &[&str] = &[
    "confidential",
    "confidentiality",
    "privileged",
    "intended recipient",
    "intended solely",
    "in error",
    "received this email in error",
    "disclaimer",
    "unauthorised",
    "freedom of information",
    "virus",
];

pub fn rule(reader: Reader<'_>, table: &DeTable<'_>, span: &Range<usize>, rule: &Rule, site: &Site<'_>, d: &mut Diagnostics) {
    if let Some(unless) = table.get("unless") {
        exceptions(reader, unless, rule, site, d);
    }
    for key in ["when", "unless"] {
        if let Some(value) = table.get(key) {
            footer_phrases(reader, value.get_ref(), d);
        }
    }
    past_dates(reader, table, rule, d);
    never(reader, table, span, rule, d);
    unknowable(reader, table, span, rule, site, d);
    nobody_there(reader, table, rule, d);
    if rule.then.hide_recipients.is_some() && !rule.when.mentions(&|c| matches!(c, Condition::Direction(_))) {
        reader.warning(span.clone(), "this rule would hide addresses in mail that comes in, too", "Add when.direction = \"outbound\".", d);
    }
}

/// Conditions that can never hold together, and exceptions that always hold where the rule would.
fn never(reader: Reader<'_>, table: &DeTable<'_>, span: &Range<usize>, rule: &Rule, d: &mut Diagnostics) {
    if let Some((a, b)) = logic::contradiction(&rule.when) {
        let (a, b) = (word_of(a), word_of(b));
        let at = find_last(table.get("when"), b).or_else(|| find_last(table.get("when"), a)).unwrap_or_else(|| span.clone());
        let what = if a == b {
            format!("`{a}` is asked for twice, and no message can be both")
        } else {
            format!("`{a}` and `{b}` can never hold of one message")
        };
        reader.error(at, format!("{what}: this rule would never apply"), "Take one of the two out, or join them with `any`.", d);
        return;
    }
    let entries: Vec<Range<usize>> = match table.get("unless").map(|v| v.get_ref()) {
        Some(DeValue::Array(items)) => items.iter().map(|i| i.span()).collect(),
        Some(_) => vec![reader.key_span(table, "unless")],
        None => Vec::new(),
    };
    // Entries that could not be read are not in the rule: then nothing is said of any.
    if entries.len() == rule.unless.len() {
        for (exception, at) in rule.unless.iter().zip(entries) {
            if logic::implies(&rule.when, exception) {
                let message = "this exception holds whenever the rule would: it never applies";
                reader.error(at, message, "Take the exception out, or make `when` wider.", d);
            } else if logic::disjoint(&rule.when, exception) {
                let message = "this exception can never hold where the rule applies";
                reader.warning(at, message, "It does no harm: take it out, or see whether `when` says what you mean.", d);
            }
        }
    }
}

/// A fact that no listener which the rule is for can know.
fn unknowable(reader: Reader<'_>, table: &DeTable<'_>, span: &Range<usize>, rule: &Rule, site: &Site<'_>, d: &mut Diagnostics) {
    let roles = logic::roles(&rule.when, site.listeners);
    if roles.is_empty() {
        return;
    }
    for key in ["when", "unless"] {
        let Some(value) = table.get(key) else { continue };
        let mut found = Vec::new();
        words_in(value.get_ref(), &mut found);
        for (word, value) in found {
            let (known, why): (&[Role], &str) = match word {
                "sends-as-other" => (&[Role::Submission], "only a submission listener sees who logged in"),
                "rate" if by_login(value) => (&[Role::Submission], "only a submission listener sees who logged in"),
                "spf" => (&[Role::Mx], "it proves mail from the world, which comes through mx"),
                "dkim" | "dmarc" => {
                    (&[Role::Mx, Role::Connector], "they prove mail that a server sent, and mail programs send before one has signed")
                }
                _ => continue,
            };
            if roles.iter().any(|r| known.contains(r)) {
                continue;
            }
            let shown = if word == "rate" { "rate by login" } else { word };
            reader.error(
                find_last(table.get(key), word).unwrap_or_else(|| span.clone()),
                format!("`{shown}` is not known where this rule is judged: {why}"),
                format!("This rule is for {}. Take the word out, or change `role`, `direction` or `listener`.", role_words(&roles)),
                d,
            );
        }
    }
}

fn by_login(rate: &DeValue<'_>) -> bool {
    rate.as_table().and_then(|t| t.get("by")).and_then(|by| by.get_ref().as_str()) == Some("login")
}

fn role_words(roles: &[Role]) -> String {
    let words: Vec<&str> = roles
        .iter()
        .map(|r| match r {
            Role::Submission => "submission",
            Role::Connector => "connector",
            Role::Mx => "mx",
        })
        .collect();
    words.join(" and ")
}

/// Mail from strangers: its sender is never told, and cannot decide over a hold.
fn nobody_there(reader: Reader<'_>, table: &DeTable<'_>, rule: &Rule, d: &mut Diagnostics) {
    if logic::directions(&rule.when) != [Direction::Inbound] {
        return;
    }
    let Some(then) = table.get("then") else { return };
    if rule.then.notify.contains(&Person::Sender) {
        let at = find_last(Some(then), "notify").unwrap_or_else(|| then.span());
        reader.warning(
            at,
            "the sender of inbound mail is a stranger, and strangers are told nothing",
            "Tell the clerk instead: then.notify = [\"clerk\"].",
            d,
        );
    }
    if rule.then.hold.as_ref().is_some_and(|h| h.by == Person::Sender) {
        let at = find_last(Some(then), "by").unwrap_or_else(|| then.span());
        reader.error(at, "the sender of inbound mail is a stranger, and cannot release what is held", "Write by = \"clerk\".", d);
    }
}

/// A rule that never decides anything, because another refuses the same mail whenever it applies.
pub fn always_refused_first(rules: &[Rule], place: impl Fn(&Rule) -> Option<(Arc<Source>, Range<usize>)>, d: &mut Diagnostics) {
    for rule in rules.iter().filter(|r| r.mode == Mode::Enforce && (r.then.stops() || r.then.edits() || r.then.routes())) {
        // What people are told and what is recorded happens beside a refusal, too.
        if !rule.then.notify.is_empty() || rule.then.record.is_some() || logic::contradiction(&rule.when).is_some() {
            continue;
        }
        let first = rules.iter().find(|other| {
            other.id != rule.id
                && other.mode == Mode::Enforce
                && other.then.reject.is_some()
                && other.override_name.is_none()
                && logic::contradiction(&other.when).is_none()
                && logic::implies(&rule.when, &other.when)
                // Where the other yields, this one must yield as well.
                && other.unless.iter().all(|e| rule.unless.iter().any(|own| logic::implies(e, own)) || logic::disjoint(&rule.when, e))
                // Of two that refuse the same mail the first by name is heard.
                && (rule.then.reject.is_none() || other.id < rule.id)
        });
        let (Some(first), Some((source, at))) = (first, place(rule)) else { continue };
        let message = format!("this rule never decides: \"{}\" always refuses the same mail first", first.id);
        d.warning(&source, at, message, format!("Take one of the two out, or give \"{}\" an exception or a narrower `when`.", first.id));
    }
}

/// The contract's word for a condition, as far as it is asked here.
fn word_of(condition: &Condition) -> &'static str {
    use Condition::*;
    match condition {
        Direction(_) => "direction",
        Role(_) => "role",
        Listener(_) => "listener",
        Number(number, _) => number.word(),
        Protected(_) => "protected",
        Automatic(_) | NotAutomatic => "automatic",
        Forwarded(_) | NotForwarded => "forwarded",
        Calendar(_) => "calendar",
        ListMail(_) => "list-mail",
        Ambiguous(_) | AmbiguousIn(_) => "ambiguous",
        SendsAsOther(_) => "sends-as-other",
        HeaderPresent(..) => "header",
        Reply(_) => "reply",
        Dates(..) => "dates",
        Weekdays(_) => "weekdays",
        Attachment(_) => "attachment",
        Marked(_) => "marked",
        Not(_) => "not",
        _ => "when",
    }
}

/// Every word with its value, however deep.
fn words_in<'v>(value: &'v DeValue<'v>, out: &mut Vec<(&'v str, &'v DeValue<'v>)>) {
    match value {
        DeValue::Table(table) => {
            for (key, inner) in in_order(table) {
                out.push((key.get_ref(), inner.get_ref()));
                words_in(inner.get_ref(), out);
            }
        }
        DeValue::Array(items) => items.iter().for_each(|i| words_in(i.get_ref(), out)),
        _ => {}
    }
}

/// The place of the last value under this key, however deep.
fn find_last(value: Option<&super::Value<'_>>, key: &str) -> Option<Range<usize>> {
    match value?.get_ref() {
        DeValue::Table(table) => in_order(table)
            .into_iter()
            .filter_map(|(k, v)| find_last(Some(v), key).or_else(|| (k.get_ref() == key).then(|| k.span())))
            .max_by_key(|s| s.start),
        DeValue::Array(items) => items.iter().filter_map(|i| find_last(Some(i), key)).max_by_key(|s| s.start),
        _ => None,
    }
}

/// Exceptions that a stranger can type into a message, and exceptions that mean less than they seem to.
fn exceptions(reader: Reader<'_>, unless: &super::Value<'_>, rule: &Rule, site: &Site<'_>, d: &mut Diagnostics) {
    let stops = rule.then.reject.is_some() || rule.then.hold.is_some();
    let mut tables: Vec<&DeTable<'_>> = Vec::new();
    match unless.get_ref() {
        DeValue::Array(items) => tables.extend(items.iter().filter_map(|i| i.get_ref().as_table())),
        DeValue::Table(table) => tables.push(table),
        _ => {}
    }
    for table in tables {
        for (key, _) in in_order(table) {
            let word: &str = key.get_ref();
            if stops && reaches_mx(rule, site) && (word == "list-mail" || word == "header" || word.starts_with("header.")) {
                let shown = if word == "header" { "header.…" } else { word };
                reader.warning(
                    key.span(),
                    format!("a stranger can forge `{shown}`, and so get past this rule"),
                    "On mail from outside use an exception that proves something, such as `proven-sender`, or add when.role = [\"submission\", \"connector\"].",
                    d,
                );
            }
            if word == "recipient" {
                reader.warning(
                    key.span(),
                    "one such recipient lifts the rule for all the others too",
                    "Use `every-recipient` or `every-outsider` if all must be so.",
                    d,
                );
            }
        }
    }
}

/// Whether the rule can be asked about mail from anybody.
fn reaches_mx(rule: &Rule, site: &Site<'_>) -> bool {
    if !site.listeners.is_empty() && !site.listeners.iter().any(|(_, role)| *role == Role::Mx) {
        return false;
    }
    let parts: Vec<&Condition> = match &rule.when {
        Condition::All(each) => each.iter().collect(),
        one => vec![one],
    };
    !parts.iter().any(|c| match c {
        Condition::Direction(any) => !any.contains(&Direction::Inbound),
        Condition::Role(any) => !any.contains(&Role::Mx),
        _ => false,
    })
}

fn footer_phrases(reader: Reader<'_>, value: &DeValue<'_>, d: &mut Diagnostics) {
    match value {
        DeValue::Table(table) => {
            for (key, inner) in in_order(table) {
                let word: &str = key.get_ref();
                if !matches!(word, "body" | "text") {
                    footer_phrases(reader, inner.get_ref(), d);
                    continue;
                }
                let DeValue::Table(text) = inner.get_ref() else { continue };
                let Some(words) = text.get("words") else { continue };
                let words: Vec<_> = match words.get_ref() {
                    DeValue::Array(items) => items.iter().collect(),
                    _ => vec![words],
                };
                for item in words {
                    if item.get_ref().as_str().is_some_and(|w| FOOTER.contains(&w.trim().to_lowercase().as_str())) {
                        reader.warning(
                            item.span(),
                            format!("\"{}\" stands in nearly every legal footer", item.get_ref().as_str().unwrap_or_default()),
                            "For marked mail use marked = \"confidential\". Words of the body are looked for without footer and quotes only with in = \"new\".",
                            d,
                        );
                    }
                }
            }
        }
        DeValue::Array(items) => items.iter().for_each(|i| footer_phrases(reader, i.get_ref(), d)),
        _ => {}
    }
}

fn past_dates(reader: Reader<'_>, table: &DeTable<'_>, rule: &Rule, d: &mut Diagnostics) {
    let today = jiff::Zoned::now().date();
    if rule.when.mentions(&|c| matches!(c, Condition::Dates(_, last) if *last < today)) {
        let at = find(table, "dates").unwrap_or_else(|| reader.key_span(table, "when"));
        reader.warning(at, "these days are past: the rule does not apply any more", "Set the next dates, or mode = \"off\".", d);
    }
}

/// The place of the first value under this key, however deep.
fn find(table: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    for (k, value) in in_order(table) {
        if k.get_ref() == key {
            return Some(value.span());
        }
        let inner = match value.get_ref() {
            DeValue::Table(inner) => find(inner, key),
            DeValue::Array(items) => items.iter().filter_map(|i| i.get_ref().as_table()).find_map(|t| find(t, key)),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    None
}
