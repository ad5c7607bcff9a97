//! What is allowed and probably not meant: warnings for the Clerk.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::Site;
use super::reader::{Reader, in_order};
use crate::config::Diagnostics;
use crate::policy::condition::{Condition, Direction};
use crate::policy::rule::IfUnknown;
use crate::policy::rule::Rule;
use crate::policy::{Mode, Role};

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
    unavailable(reader, span, rule, d);
    if rule.then.hide_recipients && !rule.when.mentions(&|c| matches!(c, Condition::Direction(_))) {
        reader.warning(span.clone(), "this rule would hide addresses in mail that comes in, too", "Add when.direction = \"outbound\".", d);
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

/// A word whose fact cannot be had yet: say what that does to mail.
fn unavailable(reader: Reader<'_>, span: &Range<usize>, rule: &Rule, d: &mut Diagnostics) {
    let mut what = None;
    let find = |c: &Condition| matches!(c, Condition::Unavailable(_));
    for condition in std::iter::once(&rule.when).chain(&rule.unless) {
        if condition.mentions(&find) {
            what = first_unavailable(condition);
        }
    }
    let Some(what) = what else { return };
    if rule.mode == Mode::Enforce && rule.if_unknown != IfUnknown::Skip {
        reader.warning(
            span.clone(),
            format!(
                "{}, so this rule would {} mail that it cannot judge",
                what.why(),
                if rule.if_unknown == IfUnknown::Hold { "hold" } else { "defer" }
            ),
            "Until then set if-unknown = \"skip\" or mode = \"off\", or take the word out.",
            d,
        );
    }
}

fn first_unavailable(condition: &Condition) -> Option<crate::policy::condition::Unavailable> {
    match condition {
        Condition::Unavailable(what) => Some(*what),
        Condition::All(each) | Condition::Any(each) => each.iter().find_map(first_unavailable),
        Condition::Not(one) => first_unavailable(one),
        Condition::Is(_, one) => first_unavailable(one),
        _ => None,
    }
}
