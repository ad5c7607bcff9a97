//! The clauses of the adopted policies: the two that ship are compiled in, others come from `[policy]` and `[[clause]]`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use super::{Doc, LARGEST};
use crate::config::{Diagnostics, Source, syntax};
use crate::policy::adopted::{Adopted, Text};
use crate::policy::rule::{Clause, Reach};

const SHIPPED: &[(&str, &str)] = &[
    ("rules/wragby/clauses.toml", include_str!("../../../rules/wragby/clauses.toml")),
    ("rules/wrentham/clauses.toml", include_str!("../../../rules/wrentham/clauses.toml")),
];

pub type Clauses = BTreeMap<Arc<str>, Clause>;

/// Every clause that a rule may name, and the policies that stand in the files themselves.
pub fn known(docs: &[Doc<'_>], d: &mut Diagnostics) -> (Clauses, Vec<Adopted>) {
    let mut clauses = Clauses::new();
    for (name, text) in SHIPPED {
        let source = Arc::new(Source { name: (*name).into(), text: (*text).into() });
        file(&source, &mut clauses, d);
    }
    let mut adopted: Vec<Adopted> = Vec::new();
    for doc in docs {
        let ids = tables(Reader::new(doc.source, doc.faults), doc.root, &mut clauses, d);
        let found = policy(doc, ids, &mut clauses, d);
        // A policy may be spread over several files; its text is in one of them.
        for one in found {
            match adopted.iter_mut().find(|a| a.name == one.name) {
                Some(known) if known.text.paragraphs.is_empty() => *known = one,
                Some(_) => {}
                None => adopted.push(one),
            }
        }
    }
    (clauses, adopted)
}

fn file(source: &Arc<Source>, clauses: &mut Clauses, d: &mut Diagnostics) -> Vec<Arc<str>> {
    let parsed = syntax::parse(source, d);
    let reader = Reader::new(source, &parsed.faults);
    reader.only(parsed.root.get_ref(), &["clause", "policy"], "a file of clauses", d);
    tables(reader, parsed.root.get_ref(), clauses, d)
}

/// `[policy]`: `text` (what was adopted) and `clauses` (a file of `[[clause]]` tables), beside the rule file.
fn policy(doc: &Doc<'_>, mut ids: Vec<Arc<str>>, clauses: &mut Clauses, d: &mut Diagnostics) -> Vec<Adopted> {
    let reader = Reader::new(doc.source, doc.faults);
    let mut text = None;
    match doc.root.get("policy").map(|v| (v, v.get_ref())) {
        None => {}
        Some((_, DeValue::Table(table))) => {
            reader.only(table, &["text", "clauses"], "[policy]", d);
            for key in ["text", "clauses"] {
                let Some(path) = reader.text(table, key, d) else { continue };
                let ending = if key == "clauses" { ".toml" } else { ".txt" };
                match doc.beside(path.get_ref(), ending).and_then(|full| Ok((read(&full)?, full))) {
                    Ok((found, full)) if key == "clauses" => {
                        let source = Arc::new(Source { name: full.display().to_string(), text: found });
                        ids.extend(file(&source, clauses, d));
                    }
                    Ok((found, full)) => text = Some((full.display().to_string(), found)),
                    Err(error) => reader.error(
                        path.span(),
                        format!("the file \"{}\" cannot be read: {error}", path.get_ref()),
                        "The path is relative to this rule file.",
                        d,
                    ),
                }
            }
        }
        Some((value, _)) => {
            reader.error(value.span(), "`policy` is a table", "Write [policy] on a line of its own, and text and clauses below.", d);
        }
    }
    let mut names: Vec<Arc<str>> = Vec::new();
    for id in &ids {
        let name: Arc<str> = id.split_once('/').map_or(&**id, |(name, _)| name).into();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let (Some((file, _)), true) = (&text, names.is_empty()) {
        // A text without clauses is called as its folder is.
        names.push(Path::new(file).parent().and_then(Path::file_name).map_or("policy".into(), |n| n.to_string_lossy().into()));
    }
    let mut out = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let (file, text) = match (&text, i) {
            (Some((file, text)), 0) => (file.clone(), Text::parse(text)),
            _ => (doc.source.name.clone(), Text::default()),
        };
        out.push(Adopted { name, file, text });
    }
    out
}

/// At most as much as a rule file may hold.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The clauses of a file; their ids in its order.
fn tables(reader: Reader<'_>, root: &DeTable<'_>, clauses: &mut Clauses, d: &mut Diagnostics) -> Vec<Arc<str>> {
    let mut ids = Vec::new();
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
        let name: Arc<str> = id.get_ref().as_str().into();
        if ids.contains(&name) {
            let message = format!("there is another clause \"{name}\" further up in this file");
            reader.error(id.span(), message, "Give each clause an id of its own.", d);
        }
        let order = clauses.len() + ids.len();
        clauses.insert(name.clone(), Clause { id: name.clone(), words: words.into_inner(), reach, order });
        ids.push(name);
    }
    ids
}
