//! `[[list]]`: named sets of addresses, which may name one another in any order, and the lists that ship.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;

use super::reader::Reader;
use super::{Doc, Site};
use crate::config::{Diagnostics, Source, spelling};
use crate::policy::people::{AddressSet, CONSUMER_DOMAINS, Pattern, PatternFault, Who, is_name};

/// Lists that the site file or the program makes; a rule file may add to `consumer` and make `partners`.
const MADE: &[&str] = &["council", "clerk", "chair", "councillors", "staff"];
const LISTS_IN_ALL: usize = 1_000_000;

#[derive(Default)]
pub struct Lists {
    own: BTreeMap<String, List>,
    flat: BTreeMap<String, Arc<AddressSet>>,
}

#[derive(Default)]
struct List {
    patterns: Vec<Pattern>,
    /// Lists named in it, with their places.
    lists: Vec<(String, Arc<Source>, Range<usize>)>,
}

impl Lists {
    pub fn read(site: &Site<'_>, docs: &[Doc<'_>], d: &mut Diagnostics) -> Lists {
        let mut lists = Lists::default();
        lists.make("council", site.council.domains.iter().map(|x| Pattern::Domain(x.clone())).collect());
        // A council that moves to another domain holds both for a while: the same mailbox answers at each.
        let person = |address: &String| -> Vec<Pattern> {
            let domains = &site.council.domains;
            match address.rsplit_once('@') {
                Some((local, domain)) if domains.iter().any(|d| *d == crate::smtp::address::normal_domain(domain)) => {
                    domains.iter().filter_map(|d| Pattern::parse(&format!("{local}@{d}")).ok()).collect()
                }
                _ => Pattern::parse(address).into_iter().collect(),
            }
        };
        lists.make("clerk", site.council.clerk.iter().flat_map(person).collect());
        lists.make("chair", site.council.chair.iter().flat_map(person).collect());
        lists.make("councillors", site.people.councillors.iter().flat_map(|p| person(&p.address)).collect());
        lists.make("staff", site.people.staff.iter().flat_map(|p| person(&p.address)).collect());
        lists.make("partners", Vec::new());
        let consumer = CONSUMER_DOMAINS.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        lists.make("consumer", consumer.filter_map(|l| Pattern::parse(l).ok()).collect());
        for doc in docs {
            let reader = Reader::new(doc.source, doc.faults);
            // Lists of one name in several files add up: a council adds its partners beside the shipped files.
            let mut seen: BTreeMap<String, ()> = BTreeMap::new();
            for (span, table) in reader.tables(doc.root, "list", d) {
                reader.only(table, &["name", "entries"], "a list", d);
                let Some(name) = reader.text(table, "name", d) else {
                    if reader.value(table, "name").is_none() {
                        reader.error(span, "this [[list]] has no name", "Add: name = \"…\"; rules use it as \"@…\".", d);
                    }
                    continue;
                };
                let word = name.get_ref().trim_start_matches('@').to_string();
                if !is_name(&word) {
                    reader.error(name.span(), "a list's name has letters, digits and hyphens only", "Write it like \"partners\".", d);
                } else if MADE.contains(&word.as_str()) {
                    reader.error(
                        name.span(),
                        format!("@{word} is made from the site file"),
                        "Change it in [council] or [people] of the site file, or take another name here.",
                        d,
                    );
                    continue;
                } else if seen.insert(word.clone(), ()).is_some() {
                    reader.error(
                        name.span(),
                        format!("there are two lists named \"{word}\" in this file"),
                        "Put all entries into one of them.",
                        d,
                    );
                }
                lists.own.entry(word.clone()).or_default();
                if reader.value(table, "entries").is_none() {
                    reader.error(
                        span,
                        format!("the list \"{word}\" has no entries"),
                        "Add: entries = [\"lincolnshire.gov.uk\", \".police.uk\"].",
                        d,
                    );
                }
                for entry in reader.value(table, "entries").map(|v| entries(reader, v, d)).unwrap_or_default() {
                    lists.entry(reader, &word, &entry, d);
                }
            }
        }
        lists.resolve(d);
        lists
    }

    fn make(&mut self, name: &str, patterns: Vec<Pattern>) {
        self.own.insert(name.to_string(), List { patterns, lists: Vec::new() });
    }

    fn entry(&mut self, reader: Reader<'_>, list: &str, entry: &Spanned<String>, d: &mut Diagnostics) {
        let Some(pattern) = pattern(reader, entry, d) else { return };
        if list == "partners" && self.is_consumer(&pattern) {
            reader.error(
                entry.span(),
                format!("\"{}\" is a consumer domain: every resident who has an account there would count as a partner", entry.get_ref()),
                "Name the partner's own address instead, such as \"auditor.jones@gmail.com\".",
                d,
            );
            return;
        }
        let own = self.own.entry(list.to_string()).or_default();
        match pattern {
            Pattern::List(name) => own.lists.push((name, reader.source.clone(), entry.span())),
            other => own.patterns.push(other),
        }
    }

    fn is_consumer(&self, pattern: &Pattern) -> bool {
        matches!(pattern, Pattern::Domain(_) | Pattern::Below(_)) && self.own.get("consumer").is_some_and(|c| c.patterns.contains(pattern))
    }

    /// Follows the lists that each list names, however deep; a list that reaches itself is a fault.
    fn resolve(&mut self, d: &mut Diagnostics) {
        let mut names: Vec<&String> = self.own.keys().collect();
        names.sort();
        let mut flat = BTreeMap::new();
        let mut told = Vec::new();
        for name in names {
            let mut set = AddressSet::default();
            let mut visited = vec![name.as_str()];
            let mut queue = vec![name.as_str()];
            while let Some(current) = queue.pop() {
                let Some(list) = self.own.get(current) else { continue };
                list.patterns.iter().take(LISTS_IN_ALL).cloned().for_each(|p| set.insert(p));
                for (other, source, span) in &list.lists {
                    if !self.own.contains_key(other) {
                        if !told.contains(&(source.name.clone(), span.start)) {
                            told.push((source.name.clone(), span.start));
                            d.error(source, span.clone(), format!("there is no list \"@{other}\""), self.suggestion(other));
                        }
                    } else if other == name {
                        if !told.contains(&(source.name.clone(), span.start)) {
                            told.push((source.name.clone(), span.start));
                            d.error(
                                source,
                                span.clone(),
                                format!("the list \"@{name}\" contains itself"),
                                "Take one of the lists out of the other.",
                            );
                        }
                    } else if !visited.contains(&other.as_str()) {
                        visited.push(other);
                        queue.push(other);
                    }
                }
            }
            flat.insert(name.clone(), Arc::new(set));
        }
        self.flat = flat;
    }

    fn suggestion(&self, name: &str) -> String {
        match spelling::nearest(name, self.own.keys().map(String::as_str)) {
            Some(near) => format!("Did you mean \"@{near}\"?"),
            None => format!("Add a [[list]] with name = \"{name}\" and its entries."),
        }
    }

    pub fn set(&mut self, name: &str) -> Arc<AddressSet> {
        self.flat.get(name).cloned().unwrap_or_default()
    }

    /// The addresses that a condition names.
    pub fn who(&self, reader: Reader<'_>, texts: &[Spanned<String>], d: &mut Diagnostics) -> Who {
        let mut who = Who::default();
        let mut own = AddressSet::default();
        for text in texts {
            match pattern(reader, text, d) {
                Some(Pattern::List(name)) => match self.flat.get(&name) {
                    Some(set) => who.sets.push(set.clone()),
                    None => reader.error(text.span(), format!("there is no list \"@{name}\""), self.suggestion(&name), d),
                },
                Some(other) => own.insert(other),
                None => continue,
            }
            who.written.push(text.get_ref().clone());
        }
        if !own.is_empty() {
            who.sets.push(Arc::new(own));
        }
        who
    }
}

/// A list's entries; it may be empty, as a new council's is.
fn entries(reader: Reader<'_>, value: &super::Value<'_>, d: &mut Diagnostics) -> Vec<Spanned<String>> {
    match value.get_ref() {
        toml::de::DeValue::Array(items) if items.is_empty() => Vec::new(),
        _ => reader.texts_of(value, "entries", d),
    }
}

fn pattern(reader: Reader<'_>, text: &Spanned<String>, d: &mut Diagnostics) -> Option<Pattern> {
    let written = text.get_ref();
    match Pattern::parse(written) {
        Ok(pattern) => Some(pattern),
        Err(fault) => {
            let (message, help) = match fault {
                PatternFault::Empty => {
                    ("this address is empty".to_string(), "Write an address, a domain, or \"@\" and the name of a list.".to_string())
                }
                PatternFault::Star => (
                    format!("\"{written}\" has a star"),
                    format!("Write \"{}\" for every domain below it.", written.trim().trim_start_matches(['*', '@']).replace('*', "")),
                ),
                PatternFault::NotAnAddress => (
                    format!("\"{written}\" is neither an address, nor a domain, nor a list"),
                    "Write \"jo@x.uk\", \"x.uk\" for that domain, \".x.uk\" for all below it, or \"@name\" for a list.".to_string(),
                ),
            };
            reader.error(text.span(), message, help, d);
            None
        }
    }
}
