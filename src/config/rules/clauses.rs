//! The clauses of the adopted policies: the two that ship are compiled in, others come from `[policy]` and `[[clause]]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::Doc;
use super::reader::Reader;
use crate::config::{Diagnostics, Source, syntax};
use crate::policy::rule::{Clause, Reach};

const SHIPPED: &[(&str, &str)] = &[
    ("rules/wragby/clauses.toml", include_str!("../../../rules/wragby/clauses.toml")),
    ("rules/wrentham/clauses.toml", include_str!("../../../rules/wrentham/clauses.toml")),
];

pub type Clauses = BTreeMap<Arc<str>, Clause>;

/// Every clause that a rule may name.
pub fn known(docs: &[Doc<'_>], d: &mut Diagnostics) -> Clauses {
    let mut clauses = Clauses::new();
    for (name, text) in SHIPPED {
        let source = Arc::new(Source { name: (*name).into(), text: (*text).into() });
        file(&source, &mut clauses, d);
    }
    for doc in docs {
        tables(Reader::new(doc.source, doc.faults), doc.root, &mut clauses, d);
    }
    for doc in docs {
        policy(doc, &mut clauses, d);
    }
    clauses
}

fn file(source: &Arc<Source>, clauses: &mut Clauses, d: &mut Diagnostics) {
    let parsed = syntax::parse(source, d);
    let reader = Reader::new(source, &parsed.faults);
    reader.only(parsed.root.get_ref(), &["clause", "policy"], "a file of clauses", d);
    tables(reader, parsed.root.get_ref(), clauses, d);
}

/// `[policy]`: `text` (what was adopted) and `clauses` (a file of `[[clause]]` tables), beside the rule file.
fn policy(doc: &Doc<'_>, clauses: &mut Clauses, d: &mut Diagnostics) {
    let reader = Reader::new(doc.source, doc.faults);
    let Some(value) = doc.root.get("policy") else { return };
    let DeValue::Table(table) = value.get_ref() else {
        reader.error(value.span(), "`policy` is a table", "Write [policy] on a line of its own, and text and clauses below.", d);
        return;
    };
    reader.only(table, &["text", "clauses"], "[policy]", d);
    let base = Path::new(&doc.source.name).parent().unwrap_or(Path::new("."));
    for key in ["text", "clauses"] {
        let Some(path) = reader.text(table, key, d) else { continue };
        match std::fs::read_to_string(base.join(path.get_ref())) {
            Ok(text) if key == "clauses" => {
                let source = Arc::new(Source { name: base.join(path.get_ref()).display().to_string(), text });
                file(&source, clauses, d);
            }
            Ok(_) => {}
            Err(error) => reader.error(
                path.span(),
                format!("the file \"{}\" cannot be read: {error}", path.get_ref()),
                "The path is relative to this rule file.",
                d,
            ),
        }
    }
}

fn tables(reader: Reader<'_>, root: &DeTable<'_>, clauses: &mut Clauses, d: &mut Diagnostics) {
    for (span, table) in reader.tables(root, "clause", d) {
        reader.only(table, &["id", "words", "enforced-by", "assisted-by", "outside"], "a clause", d);
        let (Some(id), Some(words)) = (reader.text(table, "id", d), reader.text(table, "words", d)) else {
            if table.get("id").is_none() || table.get("words").is_none() {
                reader.error(span, "a clause needs an id and its words", "Add: id = \"policy/clause\" and words = \"…\".", d);
            }
            continue;
        };
        let reach = match (reader.texts(table, "enforced-by", d), reader.texts(table, "assisted-by", d), reader.text(table, "outside", d)) {
            (Some(rules), None, None) => Reach::Enforced(rules.into_iter().map(|r| r.into_inner()).collect()),
            (None, Some(rules), None) => Reach::Assisted(rules.into_iter().map(|r| r.into_inner()).collect()),
            (None, None, Some(why)) => Reach::Outside(why.into_inner()),
            _ => {
                reader.error(
                    id.span(),
                    "a clause is enforced, assisted or outside: one of them",
                    "Add one of enforced-by = [\"rule-id\"], assisted-by = [\"rule-id\"], outside = \"why\".",
                    d,
                );
                continue;
            }
        };
        let id: Arc<str> = id.get_ref().as_str().into();
        clauses.insert(id.clone(), Clause { id, words: words.into_inner(), reach });
    }
}
