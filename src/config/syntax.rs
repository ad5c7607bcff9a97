//! TOML text to a table with spans, every fault of syntax at once, in words for a person who does not write TOML daily.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnostics::{Diagnostics, Source};
use super::units;

/// A file as far as it could be read.
pub struct Parsed<'i> {
    pub root: Spanned<DeTable<'i>>,
    /// Where the syntax is at fault. What stands there was guessed at, and what is missing elsewhere may only be hidden by it.
    pub faults: Vec<Range<usize>>,
}

/// Reads `source`, telling every fault of syntax, one for each line.
pub fn parse<'i>(source: &'i Arc<Source>, diagnostics: &mut Diagnostics) -> Parsed<'i> {
    let (root, errors) = DeTable::parse_recoverable(&source.text);
    let mut faults: Vec<Range<usize>> = Vec::new();
    let mut lines = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = line_at(&source.text, span.start);
        // One slip often breaks what follows on its line: the first fault says it best.
        if lines.contains(&line.start) {
            continue;
        }
        lines.push(line.start);
        faults.push(line.clone());
        let (message, help, span) = explain(error.message(), &source.text, line, span);
        diagnostics.error(source, span, message, help);
    }
    Parsed { root, faults }
}

/// The octets of the line around `at`, without its end.
fn line_at(text: &str, at: usize) -> Range<usize> {
    let at = at.min(text.len());
    let bytes = text.as_bytes();
    let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |i| i + 1);
    let end = memchr::memchr(b'\n', &bytes[at..]).map_or(text.len(), |i| at + i);
    start..end.max(start)
}

fn explain(parser: &str, text: &str, line: Range<usize>, span: Range<usize>) -> (String, String, Range<usize>) {
    let shown = &text[line.clone()];
    if let Some((at, c)) = shown.char_indices().find(|&(_, c)| matches!(c, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}')) {
        let span = line.start + at..line.start + at + c.len_utf8();
        return (
            format!("this is a curly quote ({c}), which a word processor puts in"),
            "Write straight quotes: \"like this\".".into(),
            span,
        );
    }
    if let Some((at, c)) = shown.char_indices().find(|&(_, c)| matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{200b}' | '\u{feff}')) {
        let span = line.start + at..line.start + at + c.len_utf8();
        return (
            "this is an invisible special space, as web pages and word processors put in".into(),
            "Delete it and type an ordinary space.".into(),
            span,
        );
    }
    if let Some((at, c)) = shown.char_indices().find(|&(_, c)| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')) {
        let span = line.start + at..line.start + at + c.len_utf8();
        return (format!("this is a long dash ({c}), not a hyphen"), "Type an ordinary hyphen: -".into(), span);
    }
    let value = shown.split_once('=').map(|(_, v)| v.split('#').next().unwrap_or(v).trim());
    // Alone or in a list.
    if let Some(help) = value.and_then(|v| v.split(['[', ']', ',', '"']).find_map(units::other_order)) {
        return ("this date is in the wrong order".into(), help, span);
    }
    if parser.contains("duplicate key") {
        // Two alternatives in one rule: both are meant, and TOML has one key for them.
        if let Some(key) = shown.split('=').next().map(str::trim).filter(|k| k.ends_with("when.any") || *k == "any") {
            let help =
                format!("If one of each group must hold, write {} = [{{ any = [...] }}, {{ any = [...] }}].", key.replace("any", "all"));
            return (format!("`{key}` was said already in this rule"), help, span);
        }
        return ("this was said already, further up in the same table".into(), "Keep one of the two.".into(), span);
    }
    // A single-line string that was opened and not closed.
    if value.is_some_and(|v| v.starts_with('"') && v.matches('"').count() % 2 == 1) {
        return ("the quotes are opened here and not closed".into(), "Put a \" at the end of the value.".into(), span);
    }
    // A bare word where a value belongs.
    if let Some(value) = value.filter(|v| v.starts_with(|c: char| c.is_alphabetic()) && !matches!(*v, "true" | "false")) {
        let value = value.trim_end_matches('"');
        return ("text is written in quotes".into(), format!("Write \"{value}\"."), span);
    }
    if let Some(value) = value.filter(|v| v.is_empty()) {
        debug_assert!(value.is_empty());
        return ("nothing stands after the =".into(), "Write the value, or delete the line.".into(), span);
    }
    if value.is_none() && !shown.trim_start().starts_with('[') {
        return (format!("this line cannot be read: {parser}"), "A line is key = value, [table], or a # comment.".into(), span);
    }
    (format!("this cannot be read: {parser}"), String::new(), span)
}
