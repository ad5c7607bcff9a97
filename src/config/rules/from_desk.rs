//! What a rule that is written at the desk may not do: send mail to somebody else, or let it vanish. One person alone could read other
//! people's mail by it, where the council wants two. Such rules are the operator's; a copy of their file may bear them unchanged, and
//! the lists that they go by are the Clerk's.

use toml::de::{DeTable, DeValue};

use super::Doc;
use crate::config::diagnostics::Diagnostics;

/// Actions by which mail goes elsewhere or nowhere.
const ELSEWHERE: [&str; 4] = ["copy-to", "redirect", "redirect-to", "drop"];

/// Tells of each rule of the desk's that does so and is not the operator's.
pub(super) fn look(docs: &[Doc<'_>], d: &mut Diagnostics) {
    for doc in docs {
        let Some(original) = doc.desk else { continue };
        let theirs = original.map_or_else(Vec::new, rules);
        for (rule, span) in rules(&doc.source.text).iter().zip(spans(doc.root)) {
            if goes_elsewhere(rule) && !theirs.contains(rule) {
                d.error(
                    doc.source,
                    span,
                    "a rule that is written at the desk neither sends mail to somebody else nor lets it vanish",
                    "Whoever runs the machine writes such a rule in a rule file there; who is in its lists can be changed here.",
                );
            }
        }
    }
}

/// The rules of a text, whatever its layout; none where it has a fault, which is told elsewhere.
fn rules(text: &str) -> Vec<toml::Table> {
    let Ok(mut whole) = text.parse::<toml::Table>() else { return Vec::new() };
    let Some(toml::Value::Array(all)) = whole.remove("rule") else { return Vec::new() };
    all.into_iter().map(|value| if let toml::Value::Table(table) = value { table } else { toml::Table::new() }).collect()
}

fn spans(root: &DeTable<'_>) -> Vec<std::ops::Range<usize>> {
    match root.get("rule").map(|value| value.get_ref()) {
        Some(DeValue::Array(all)) => all.iter().map(|table| table.span()).collect(),
        _ => Vec::new(),
    }
}

fn goes_elsewhere(rule: &toml::Table) -> bool {
    let then = rule.get("then").and_then(toml::Value::as_table);
    then.is_some_and(|then| ELSEWHERE.iter().any(|word| then.get(*word).is_some_and(|value| *value != toml::Value::Boolean(false))))
}
