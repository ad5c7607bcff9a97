//! Reading one table of a rule file: values with their spans, or a fault in plain words.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::{Diagnostics, Source, spelling};

pub type Value<'a> = Spanned<DeValue<'a>>;

/// The file that is read, and where its syntax is broken: nothing more is said of those lines.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    pub source: &'a Arc<Source>,
    faults: &'a [Range<usize>],
}

impl<'a> Reader<'a> {
    pub fn new(source: &'a Arc<Source>, faults: &'a [Range<usize>]) -> Reader<'a> {
        Reader { source, faults }
    }

    pub fn error(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>, d: &mut Diagnostics) {
        if !self.is_broken(&span) {
            d.error(self.source, span, message, help);
        }
    }

    pub fn warning(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>, d: &mut Diagnostics) {
        if !self.is_broken(&span) {
            d.warning(self.source, span, message, help);
        }
    }

    /// `rules/a.toml:14`, for what is told later.
    pub fn place(&self, at: usize) -> String {
        let before = &self.source.text.as_bytes()[..at.min(self.source.text.len())];
        format!("{}:{}", self.source.name, memchr::memchr_iter(b'\n', before).count() + 1)
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        self.faults.iter().any(|f| f.start <= span.end && span.start <= f.end)
    }

    /// The file has broken lines, so that what seems missing may only not have been read.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Refuses every key that is not in `allowed`.
    pub fn only(&self, table: &DeTable<'_>, allowed: &[&str], place: &str, d: &mut Diagnostics) {
        for (key, _) in in_order(table) {
            let word: &str = key.get_ref();
            if allowed.contains(&word) {
                continue;
            }
            let near = spelling::nearest(word, allowed.iter().copied());
            let help = match near {
                Some(near) => format!("Did you mean `{near}`?"),
                None => format!("It may have: {}.", allowed.join(", ")),
            };
            self.error(key.span(), format!("{place} has no key `{word}`"), help, d);
        }
    }

    pub fn value<'t>(&self, table: &'t DeTable<'t>, key: &str) -> Option<&'t Value<'t>> {
        table.get(key)
    }

    /// Where the key itself stands.
    pub fn key_span(&self, table: &DeTable<'_>, key: &str) -> Range<usize> {
        table.get_key_value(key).map_or(0..0, |(k, _)| k.span())
    }

    pub fn text(&self, table: &DeTable<'_>, key: &str, d: &mut Diagnostics) -> Option<Spanned<String>> {
        let value = table.get(key)?;
        self.text_of(value, key, d)
    }

    pub fn text_of(&self, value: &Value<'_>, what: &str, d: &mut Diagnostics) -> Option<Spanned<String>> {
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            other => {
                self.error(
                    value.span(),
                    format!("`{what}` takes a text, and this is {}", kind(other)),
                    format!("Write it in quotes: {what} = \"…\"."),
                    d,
                );
                None
            }
        }
    }

    /// One text or a list of texts.
    pub fn texts(&self, table: &DeTable<'_>, key: &str, d: &mut Diagnostics) -> Option<Vec<Spanned<String>>> {
        table.get(key).map(|value| self.texts_of(value, key, d))
    }

    pub fn texts_of(&self, value: &Value<'_>, what: &str, d: &mut Diagnostics) -> Vec<Spanned<String>> {
        match value.get_ref() {
            DeValue::Array(items) => {
                if items.is_empty() {
                    self.error(value.span(), format!("the list of `{what}` is empty"), "Put something in it, or delete the line.", d);
                }
                items.iter().filter_map(|item| self.text_of(item, what, d)).collect()
            }
            DeValue::String(_) => self.text_of(value, what, d).into_iter().collect(),
            other => {
                self.error(
                    value.span(),
                    format!("`{what}` takes a text or a list of texts, and this is {}", kind(other)),
                    format!("Write {what} = \"…\" or {what} = [\"…\", \"…\"]."),
                    d,
                );
                Vec::new()
            }
        }
    }

    /// One of some words.
    pub fn word(&self, table: &DeTable<'_>, key: &str, words: &[&str], d: &mut Diagnostics) -> Option<String> {
        self.one_of(table.get(key)?, key, words, d)
    }

    pub fn one_of(&self, value: &Value<'_>, what: &str, words: &[&str], d: &mut Diagnostics) -> Option<String> {
        let text = self.text_of(value, what, d)?;
        self.known(text, what, words, d)
    }

    /// One or several of some words.
    pub fn several(&self, value: &Value<'_>, what: &str, words: &[&str], d: &mut Diagnostics) -> Vec<String> {
        self.texts_of(value, what, d).into_iter().filter_map(|text| self.known(text, what, words, d)).collect()
    }

    fn known(&self, text: Spanned<String>, what: &str, words: &[&str], d: &mut Diagnostics) -> Option<String> {
        if words.contains(&text.get_ref().as_str()) {
            return Some(text.into_inner());
        }
        let help = match spelling::nearest(text.get_ref(), words.iter().copied()) {
            Some(near) => format!("Did you mean \"{near}\"?"),
            None => format!("It takes: {}.", words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")),
        };
        self.error(text.span(), format!("`{what}` does not take \"{}\"", text.get_ref()), help, d);
        None
    }

    pub fn boolean(&self, value: &Value<'_>, what: &str, d: &mut Diagnostics) -> Option<bool> {
        match value.get_ref() {
            DeValue::Boolean(yes) => Some(*yes),
            DeValue::String(text) if matches!(text.as_ref(), "true" | "false" | "yes" | "no") => {
                let yes = matches!(text.as_ref(), "true" | "yes");
                self.error(value.span(), format!("`{what}` takes true or false, without quotes"), format!("Write {what} = {yes}."), d);
                None
            }
            other => {
                self.error(
                    value.span(),
                    format!("`{what}` takes true or false, and this is {}", kind(other)),
                    format!("Write {what} = true."),
                    d,
                );
                None
            }
        }
    }

    pub fn integer(&self, value: &Value<'_>, what: &str, d: &mut Diagnostics) -> Option<u64> {
        match value.get_ref() {
            DeValue::Integer(n) => match u64::from_str_radix(&n.as_str().replace('_', ""), n.radix()) {
                Ok(n) => Some(n),
                Err(_) => {
                    self.error(value.span(), format!("`{what}` takes a number that is not negative"), "Write 0, 1, 2 and so on.", d);
                    None
                }
            },
            DeValue::String(text) if text.trim().parse::<u64>().is_ok() => {
                self.error(value.span(), format!("`{what}` takes a number, without quotes"), format!("Write {what} = {}.", text.trim()), d);
                None
            }
            other => {
                self.error(
                    value.span(),
                    format!("`{what}` takes a whole number, and this is {}", kind(other)),
                    format!("Write {what} = 3."),
                    d,
                );
                None
            }
        }
    }

    /// `[[key]]`, each with the place to point at.
    pub fn tables<'t>(&self, table: &'t DeTable<'t>, key: &str, d: &mut Diagnostics) -> Vec<(Range<usize>, &'t DeTable<'t>)> {
        let Some((word, value)) = table.get_key_value(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(items) => {
                let mut out = Vec::new();
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(inner) => out.push((self.header_span(item.span()), inner)),
                        other => self.error(
                            item.span(),
                            format!("`{key}` takes tables, and this is {}", kind(other)),
                            format!("Write [[{key}]] on a line of its own, and its keys below."),
                            d,
                        ),
                    }
                }
                out
            }
            _ => {
                self.error(
                    word.span(),
                    format!("there may be several of `{key}`, so it takes two brackets"),
                    format!("Write [[{key}]]."),
                    d,
                );
                Vec::new()
            }
        }
    }

    /// The line `[[…]]` of a table, not its whole text.
    fn header_span(&self, span: Range<usize>) -> Range<usize> {
        let text = &self.source.text;
        let from = span.start.min(text.len());
        let end = memchr::memchr(b'\n', &text.as_bytes()[from..]).map_or(text.len(), |i| from + i);
        from..end.min(span.end.max(from))
    }
}

/// Keys in the order of the file; the table itself keeps them in order of the alphabet.
pub fn in_order<'t, 'a>(table: &'t DeTable<'a>) -> Vec<(&'t Spanned<std::borrow::Cow<'a, str>>, &'t Value<'a>)> {
    let mut out: Vec<_> = table.iter().collect();
    out.sort_by_key(|(key, _)| key.span().start);
    out
}

pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
