//! What is different between two versions of the desk's files, line by line.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::config::overlay::rules::{self as overlay, Entry, Manifest};

/// Lines around a change that are shown, too.
const AROUND: usize = 3;
/// Lines of one file that are shown.
const MOST_LINES: usize = 2_000;
/// A comparison that takes longer becomes coarser.
const LONGEST: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Rules with the modes that the desk had and has for them; none: as the files say.
    pub modes: Vec<(String, Option<String>, Option<String>)>,
    pub files: Vec<FileDifference>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDifference {
    pub shown: String,
    pub lines: Vec<Line>,
    /// There are more.
    pub cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub kind: Kind,
    /// In the text before or, where it is new, after; from 1.
    pub number: usize,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Same,
    Gone,
    New,
    /// Lines between are left out.
    Gap,
}

/// From one version to another; none is the operator's files alone. Errors where a text is not there any more.
pub fn between(folder: &Path, before: Option<&Manifest>, after: &Manifest) -> Result<Difference, String> {
    let mut out = Difference::default();
    let mode = |manifest: Option<&Manifest>, id: &str| manifest.and_then(|m| m.mode.get(id).cloned());
    let ids: BTreeSet<&String> = before.into_iter().chain([after]).flat_map(|m| m.mode.keys()).collect();
    for id in ids {
        let (was, is) = (mode(before, id), mode(Some(after), id));
        if was != is {
            out.modes.push((id.clone(), was, is));
        }
    }
    let entries = |manifest: Option<&Manifest>| manifest.map(|m| m.files.clone()).unwrap_or_default();
    let (old, new) = (entries(before), entries(Some(after)));
    let called = |entry: &Entry| (entry.instead_of.clone(), entry.name.clone());
    let mut names: Vec<_> = old.iter().chain(&new).map(called).collect();
    names.sort();
    names.dedup();
    for name in names {
        let of = |list: &[Entry]| list.iter().find(|e| called(e) == name).cloned();
        let (was, is) = (of(&old), of(&new));
        // Where the desk has none it is the operator's; where there is no operator's either, it is nothing.
        let from = was.as_ref().map(|e| Some(e.text.clone())).unwrap_or_else(|| is.as_ref().and_then(|e| e.made_from.clone()));
        let to = is.as_ref().map(|e| Some(e.text.clone())).unwrap_or_else(|| was.as_ref().and_then(|e| e.made_from.clone()));
        if from == to {
            continue;
        }
        let read = |hash: Option<String>| hash.map_or(Ok(String::new()), |hash| overlay::text(folder, &hash));
        let shown = name.0.clone().or_else(|| name.1.as_ref().map(|n| format!("{n}.toml"))).unwrap_or_default();
        out.files.push(texts(shown, &read(from)?, &read(to)?));
    }
    Ok(out)
}

/// Two texts of one file.
pub fn texts(shown: String, before: &str, after: &str) -> FileDifference {
    let diff = TextDiff::configure().timeout(LONGEST).diff_lines(before, after);
    let mut lines = Vec::new();
    for (n, group) in diff.grouped_ops(AROUND).iter().enumerate() {
        if n > 0 {
            lines.push(Line { kind: Kind::Gap, number: 0, text: String::new() });
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (kind, number) = match change.tag() {
                ChangeTag::Equal => (Kind::Same, change.new_index()),
                ChangeTag::Delete => (Kind::Gone, change.old_index()),
                ChangeTag::Insert => (Kind::New, change.new_index()),
            };
            let text = change.value().trim_end_matches(['\r', '\n']).to_string();
            lines.push(Line { kind, number: number.unwrap_or_default() + 1, text });
        }
    }
    let cut = lines.len() > MOST_LINES;
    lines.truncate(MOST_LINES);
    FileDifference { shown, lines, cut }
}
