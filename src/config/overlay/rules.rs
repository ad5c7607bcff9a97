//! What was changed at the desk: modes of rules, and rule files in place of the operator's. It lies in a folder that the gateway may
//! write, and is laid over the operator's own files, which are never touched.
//!
//! ```text
//! desk/rules.toml          what holds now: one version, whole
//! desk/rules/HASH.toml     texts, each called by its BLAKE3; what a copy was made from is kept, too
//! desk/versions/12.toml    every version as it was, with who, when and why
//! ```
//!
//! `office::rules` writes it; this reads it, and believes nothing that does not fit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::{Diagnostics, Source, rules};
use crate::policy::Mode;

/// What holds now, in the desk's folder.
pub const MANIFEST: &str = "rules.toml";
/// The folder of texts in it.
pub const TEXTS: &str = "rules";
/// Octets of a rule file that is changed at the desk.
pub const LARGEST_TEXT: usize = 256 * 1024;
/// Rule files that are changed or made at the desk.
pub const MOST_FILES: usize = 100;
/// Modes that are said at the desk.
pub const MOST_MODES: usize = 1_000;
/// Octets of a manifest: all modes and files, and words.
const LARGEST: u64 = 1 << 20;

/// One version, as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    pub change: Change,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mode: BTreeMap<String, String>,
    #[serde(default, rename = "file", skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<Entry>,
}

/// Who made a version, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// From 1.
    pub number: u64,
    pub time: Timestamp,
    pub who: String,
    pub why: String,
    /// A sentence for each thing that became different.
    pub what: Vec<String>,
}

/// A file in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Entry {
    /// The operator's file that it stands for, relative to the site file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead_of: Option<String>,
    /// The name of a file that was made at the desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The hash of its text.
    pub text: String,
    /// The hash of the operator's text that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<String>,
}

/// What is laid over the operator's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// None: nothing was ever changed.
    pub change: Option<Change>,
    pub modes: BTreeMap<String, Mode>,
    pub files: Vec<Changed>,
}

/// A text of the desk's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub of: Of,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// In place of the operator's file at `path`, relative to the site file, as it was then.
    File { path: String, original: String },
    /// A file of the desk's own, called so without its ending.
    Own(String),
}

impl Of {
    /// What stands for it in addresses of pages: never a path.
    pub fn key(&self) -> String {
        match self {
            Of::File { path, .. } => key(path),
            Of::Own(name) => own_key(name),
        }
    }

    /// The operator's text that a copy was made from.
    pub fn original(&self) -> Option<&str> {
        match self {
            Of::File { original, .. } => Some(original),
            Of::Own(_) => None,
        }
    }

    /// As people call it.
    pub fn shown(&self) -> String {
        match self {
            Of::File { path, .. } => path.clone(),
            Of::Own(name) => format!("{name}.toml"),
        }
    }
}

/// The key of an operator's file.
pub fn key(path: &str) -> String {
    hash(&format!("file {path}"))[..16].to_string()
}

/// The key of a file that is made at the desk.
pub fn own_key(name: &str) -> String {
    hash(&format!("own {name}"))[..16].to_string()
}

/// How a text is called.
pub fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name for a rule file of the desk's own.
pub fn is_name(name: &str) -> bool {
    name.len() <= 60 && crate::policy::people::is_name(name)
}

/// The modes by their words.
pub fn mode(word: &str) -> Option<Mode> {
    [Mode::Off, Mode::Observe, Mode::Warn, Mode::Enforce].into_iter().find(|m| m.word() == word)
}

/// What holds now. Nothing where there is no such folder; errors say what does not fit.
pub fn read(folder: &Path) -> Result<Overlay, String> {
    match manifest(&folder.join(MANIFEST))? {
        Some(manifest) => overlay(folder, &manifest),
        None => Ok(Overlay::default()),
    }
}

/// A version as it was written; none where it is not there.
pub fn manifest(path: &Path) -> Result<Option<Manifest>, String> {
    let shown = path.display();
    match read_text(path, LARGEST) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| format!("{shown} is damaged: {}", error.message())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{shown} cannot be read: {error}")),
    }
}

/// With the texts that it names.
pub fn overlay(folder: &Path, manifest: &Manifest) -> Result<Overlay, String> {
    if manifest.files.len() > MOST_FILES || manifest.mode.len() > MOST_MODES {
        return Err(format!("version {} names more files or rules than there can be", manifest.change.number));
    }
    let mut out = Overlay { change: Some(manifest.change.clone()), ..Overlay::default() };
    for (id, word) in &manifest.mode {
        let mode = mode(word).ok_or_else(|| format!("the rule \"{id}\" cannot have the mode \"{word}\""))?;
        out.modes.insert(id.clone(), mode);
    }
    for entry in &manifest.files {
        let of = match (&entry.instead_of, &entry.name, &entry.made_from) {
            (Some(path), None, Some(from)) => Of::File { path: path.clone(), original: text(folder, from)? },
            (None, Some(name), None) if is_name(name) => Of::Own(name.clone()),
            _ => return Err("a [[file]] says neither what it stands for nor what it is called".into()),
        };
        if out.files.iter().any(|f| f.of.key() == of.key()) {
            return Err(format!("{} is named twice", of.shown()));
        }
        out.files.push(Changed { text: text(folder, &entry.text)?, of });
    }
    Ok(out)
}

/// The text of this hash.
pub fn text(folder: &Path, name: &str) -> Result<String, String> {
    if !is_hash(name) {
        return Err("a text has a name that is no hash".into());
    }
    let path = folder.join(TEXTS).join(format!("{name}.toml"));
    // What a copy was made from may be as large as any rule file.
    let text = read_text(&path, rules::LARGEST).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    if hash(&text) == name { Ok(text) } else { Err(format!("{} is not the text that was written there", path.display())) }
}

/// Of a file only: a pipe would never end.
fn read_text(path: &Path, most: u64) -> std::io::Result<String> {
    use std::io::{Error, Read as _};
    if !std::fs::metadata(path)?.is_file() {
        return Err(Error::other("it is no file"));
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(most + 1).read_to_string(&mut text)?;
    if text.len() as u64 > most { Err(Error::other("it is too large")) } else { Ok(text) }
}

/// The rule files that are in force, and what was said of them at the desk.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub files: Vec<RuleFile>,
    /// The desk's latest change, of which they are made; none: all are the operator's.
    pub change: Option<Change>,
    /// Why what was changed at the desk is left out, where it is.
    pub left_out: Option<String>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Stands for it in addresses.
    pub key: String,
    /// As people call it: relative to the site file.
    pub shown: String,
    /// What is in force.
    pub source: Arc<Source>,
    pub made: Made,
}

#[derive(Clone, Debug)]
pub enum Made {
    Operator,
    /// At the desk, out of the operator's text as it was then; and as it is today, where it can be read.
    Changed {
        original: String,
        today: Option<String>,
    },
    Own,
}

impl Made {
    /// The operator's file is another one than the copy was made from.
    pub fn is_overtaken(&self) -> bool {
        matches!(self, Made::Changed { original, today: Some(today) } if today != original)
    }
}

impl Files {
    pub fn of(&self, key: &str) -> Option<&RuleFile> {
        self.files.iter().find(|f| f.key == key)
    }

    /// The file that a rule's place names, and the line.
    pub fn at(&self, place: &str) -> Option<(&RuleFile, usize)> {
        let (name, line) = place.rsplit_once(':')?;
        Some((self.files.iter().find(|f| f.source.name == name)?, line.parse().ok()?))
    }
}

/// Reads the files at `paths`, with the desk's texts in place of those that it changed, and its own behind them. `base` is where the
/// site file lies, `folder` the desk's.
pub fn lay(overlay: &Overlay, paths: &[PathBuf], base: &Path, folder: &Path, d: &mut Diagnostics) -> Vec<RuleFile> {
    let mut out = Vec::new();
    let mut used = vec![false; overlay.files.len()];
    for path in paths {
        let shown = relative(path, base);
        let copy = overlay.files.iter().position(|f| matches!(&f.of, Of::File { path, .. } if *path == shown));
        let Some(at) = copy else {
            if let Some(source) = rules::read(path, d) {
                out.push(RuleFile { key: key(&shown), shown, source, made: Made::Operator });
            }
            continue;
        };
        used[at] = true;
        let Changed { of: Of::File { original, .. }, text } = &overlay.files[at] else { continue };
        let source = Source { name: format!("{} (as changed at the desk)", path.display()), text: text.clone() };
        let today = rules::read(path, &mut Diagnostics::new()).map(|s| s.text.clone());
        let made = Made::Changed { original: original.clone(), today };
        let file = RuleFile { key: key(&shown), shown, source: Arc::new(source), made };
        if file.made.is_overtaken() {
            let message = format!("{} was changed after the desk's copy of it was made, which stays in force", path.display());
            d.warning_without_place(message, "Look at it under Rules in the console: take what is new into the copy, or give the copy up.");
        }
        out.push(file);
    }
    for (changed, used) in overlay.files.iter().zip(used) {
        match &changed.of {
            Of::Own(name) => {
                let source =
                    Source { name: folder.join(TEXTS).join(format!("{name}.toml")).display().to_string(), text: changed.text.clone() };
                out.push(RuleFile { key: own_key(name), shown: changed.of.shown(), source: Arc::new(source), made: Made::Own });
            }
            Of::File { path, .. } if !used => d.warning_without_place(
                format!("the desk's copy of {path} is not used: [rules] paths does not name that file any more"),
                "Name it again, or give the copy up under Rules in the console.",
            ),
            Of::File { .. } => {}
        }
    }
    out
}

/// A path as the site file would say it: the same wherever the program is started from.
fn relative(path: &Path, base: &Path) -> String {
    let whole = |p: &Path| if p.as_os_str().is_empty() { std::env::current_dir() } else { std::path::absolute(p) };
    match (whole(path), whole(base)) {
        (Ok(path), Ok(base)) => path.strip_prefix(&base).unwrap_or(&path).display().to_string(),
        _ => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
