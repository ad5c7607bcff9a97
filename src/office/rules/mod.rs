//! Changing rules at the desk: a rule's mode, a rule file's text, an earlier version.
//!
//! A change is held against everything first: the whole configuration is read with it in place, samples and all, and what has a fault
//! is not written. Then it is written, whole, and put in force; where that is refused, it is taken back. The operator's own files are
//! never touched, and nothing but rules can be changed here: no edit takes anybody's way in.

pub mod difference;
mod folder;
pub mod hangs;
mod propose;
pub mod trial;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use self::folder::{KEPT, version, versions};
pub use self::propose::{Act, Proposed, propose};
use super::roles::Right;
use super::{Doer, Fault};
use crate::config::overlay::rules::{self as overlay, Change, Entry, Made, Manifest, Of, Overlay, RuleFile};
use crate::config::{Diagnostics, Level, Settings};
use crate::documents;
use crate::policy::Mode;
use crate::records::Options;
use crate::records::trace::Question;
use folder::Folder;

/// Characters of a reason.
const LONGEST_REASON: usize = 500;
/// Faults that are shown; more are counted by mending these.
const MOST_FOUND: usize = 50;

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error(transparent)]
    Office(#[from] Fault),
    #[error("the rules would have faults; nothing was changed")]
    Faults(Vec<Found>),
    #[error("somebody else changed this meanwhile. Nothing was saved: copy what you wrote, load the page again, and put it in there")]
    Stale,
    #[error("nothing would be different")]
    Same,
    #[error("there is no such rule, file or version")]
    NotThere,
    #[error("a name has letters, digits and hyphens only, at most 60 of them, such as our-own-rules")]
    Name,
    #[error("there is a file of that name already")]
    NameTaken,
    #[error("a rule file that is changed here has at most {} kB", overlay::LARGEST_TEXT / 1024)]
    TooLarge,
    #[error("at most {} files are changed or made here", overlay::MOST_FILES)]
    TooMany,
    #[error("what was changed here before cannot be read: {0}. Put an earlier version back first")]
    Damaged(String),
    #[error("there is no folder for what is changed here: the site file has no [console]")]
    NoFolder,
    #[error(
        "nothing was saved, since {path} cannot be written: {source}. Whoever runs the gateway makes that folder writable for it, or names another: [console] folder"
    )]
    Folder { path: PathBuf, source: io::Error },
    #[error("the gateway did not take it, and it was taken back: {0}")]
    Reload(String),
}

/// A fault or a warning, for people who see the text with the numbers of its lines.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Found {
    pub error: bool,
    /// The file, where it is not the one that was changed.
    pub file: Option<String>,
    /// From 1; none where it stands nowhere in a file.
    pub line: Option<usize>,
    pub message: String,
    pub help: String,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub version: u64,
    /// Papers that say something else now.
    pub stale: Vec<documents::Kind>,
}

/// A rule file as the desk shows it.
#[derive(Clone, Debug)]
pub struct View {
    pub key: String,
    pub shown: String,
    pub text: String,
    pub made: Made,
    /// It is not in force, since what was changed at the desk is left out.
    pub left_out: bool,
}

impl View {
    fn of(file: &RuleFile) -> View {
        View { key: file.key.clone(), shown: file.shown.clone(), text: file.source.text.clone(), made: file.made.clone(), left_out: false }
    }

    /// For a form, so that a change that began with another text is noticed.
    pub fn hash(&self) -> String {
        overlay::hash(&self.text)
    }
}

/// Where the desk writes.
fn folder(settings: &Settings) -> Result<&Path, Refused> {
    settings.console.as_ref().map(|c| c.folder.as_path()).ok_or(Refused::NoFolder)
}

/// All rule files; with those of the desk where they are left out, so that they can be mended.
pub fn files(settings: &Settings) -> Vec<View> {
    let mut out: Vec<View> = settings.rules.files.iter().map(View::of).collect();
    if settings.rules.left_out.is_none() {
        return out;
    }
    let Some(overlay) = folder(settings).ok().and_then(|f| overlay::read(f).ok()) else { return out };
    for changed in overlay.files {
        let (key, shown) = (changed.of.key(), changed.of.shown());
        let today = out.iter().find(|f| f.key == key).map(|f| f.text.clone());
        let made = match changed.of {
            Of::File { original, .. } => Made::Changed { original, today },
            Of::Own(_) => Made::Own,
        };
        out.retain(|f| f.key != key);
        out.push(View { key, shown, text: changed.text, made, left_out: true });
    }
    out
}

pub fn file(settings: &Settings, key: &str) -> Option<View> {
    files(settings).into_iter().find(|f| f.key == key)
}

/// What is said of a proposed change: its faults, or its warnings.
pub fn check(site: &Path, settings: &Settings, act: &Act, doer: &Doer) -> Result<(Proposed, Settings, Vec<Found>), Refused> {
    doer.may(Right::Rules)?;
    let proposed = propose(settings, act)?;
    let mut diagnostics = Diagnostics::new();
    let loaded = crate::config::load_proposed(site, &proposed.overlay, &mut diagnostics);
    let found = found(&diagnostics, proposed.key.as_deref(), loaded.as_ref().unwrap_or(settings), &proposed.overlay);
    match loaded {
        Some(loaded) => Ok((proposed, loaded, found)),
        None => Err(Refused::Faults(found)),
    }
}

/// The gateway that rules are changed of.
pub struct Gateway<'a> {
    /// The site file.
    pub file: &'a Path,
    /// As they are when asked.
    pub settings: &'a dyn Fn() -> Arc<Settings>,
    /// Puts in force what is written; errors say why the old stays.
    pub reload: &'a dyn Fn() -> Result<(), String>,
}

/// Makes a change: it is looked through, written to the access log, written, and put in force.
pub fn change(gateway: &Gateway<'_>, options: &Options, act: &Act, now: Timestamp, doer: &Doer) -> Result<Done, Refused> {
    doer.may(Right::Rules)?;
    let why = reason(&doer.purpose)?;
    let first = (gateway.settings)();
    let path = folder(&first)?;
    let io = |source| Refused::Folder { path: path.to_owned(), source };
    let held = Folder::open(path).map_err(io)?;
    // As they are now that nobody else changes them.
    let settings = (gateway.settings)();
    let (mut proposed, loaded, _) = check(gateway.file, &settings, act, doer)?;
    if proposed.what.is_empty() {
        return Err(Refused::Same);
    }
    // Rules that are gone have no mode any more.
    proposed.overlay.modes.retain(|id, _| loaded.policy.rules().iter().any(|r| *r.id == **id));
    let number = held.next();
    let change = Change { number, time: now, who: doer.who.name().to_string(), why, what: proposed.what };
    doer.log(options, Right::Rules, &format!("changed rules, version {number} ({})", change.what.join("; ")), Question::default())?;
    let before = held.now().map_err(io)?;
    let (manifest, texts) = written(change, &proposed.overlay);
    if let Err(source) = held.write(&manifest, &texts) {
        // What came of it is not known: what held before holds on.
        let _ = held.take_back(number, before.as_deref());
        return Err(io(source));
    }
    let left_out = || (gateway.settings)().rules.left_out.clone();
    // A reload of what was left out before may leave out this, too.
    if let Err(why) = (gateway.reload)().and_then(|()| left_out().map_or(Ok(()), Err)) {
        held.take_back(number, before.as_deref()).map_err(io)?;
        // What is in force is what is written again; `/health` hears it.
        let _ = (gateway.reload)();
        return Err(Refused::Reload(why));
    }
    Ok(Done { version: number, stale: hangs::papers(&settings, &loaded, now) })
}

/// One line, and not for ever.
fn reason(text: &str) -> Result<String, Refused> {
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words: String = words.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
    if words.is_empty() { Err(Fault::Purpose.into()) } else { Ok(words) }
}

/// A version to be written, and the texts that it needs.
fn written(change: Change, overlay: &Overlay) -> (Manifest, Vec<&str>) {
    let entry = |changed: &overlay::Changed| {
        let (instead_of, name, made_from) = match &changed.of {
            Of::File { path, original } => (Some(path.clone()), None, Some(overlay::hash(original))),
            Of::Own(name) => (None, Some(name.clone()), None),
        };
        Entry { instead_of, name, text: overlay::hash(&changed.text), made_from }
    };
    let manifest = Manifest {
        change,
        mode: overlay.modes.iter().map(|(id, mode)| (id.clone(), mode.word().to_string())).collect(),
        files: overlay.files.iter().map(entry).collect(),
    };
    let texts = overlay.files.iter().flat_map(|f| std::iter::once(f.text.as_str()).chain(f.of.original())).collect();
    (manifest, texts)
}

/// Faults with their lines; those of the file that was changed first, then errors before warnings.
fn found(diagnostics: &Diagnostics, key: Option<&str>, settings: &Settings, overlay: &Overlay) -> Vec<Found> {
    let changed = key.and_then(|key| overlay.files.iter().find(|f| f.of.key() == key));
    let mut out: Vec<Found> = diagnostics
        .iter()
        .map(|d| {
            let line = d.at.as_ref().map(|(source, span)| {
                let before = &source.text.as_bytes()[..span.start.min(source.text.len())];
                memchr::memchr_iter(b'\n', before).count() + 1
            });
            let here = d.at.as_ref().is_some_and(|(source, _)| changed.is_some_and(|c| c.text == source.text));
            let shown = |name: &str| {
                let known = settings.rules.files.iter().find(|f| f.source.name == name).map(|f| f.shown.clone());
                known.unwrap_or_else(|| name.rsplit('/').next().unwrap_or(name).to_string())
            };
            let file = d.at.as_ref().filter(|_| !here).map(|(source, _)| shown(&source.name));
            let help = d.help.clone().unwrap_or_default();
            Found { error: d.level == Level::Error, file, line, message: d.message.clone(), help }
        })
        .collect();
    out.sort_by_key(|f| (!f.error, f.file.is_some(), f.file.clone(), f.line));
    out.truncate(MOST_FOUND);
    out
}

/// Whether the desk could write, for `check`: what is in the way.
pub fn in_the_way(settings: &Settings) -> Option<String> {
    let path = folder(settings).ok()?;
    let there = path.ancestors().find(|p| p.exists())?;
    let may = rustix::fs::access(there, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    let is_folder = there.is_dir();
    match (is_folder, may) {
        (true, Ok(())) => None,
        (false, _) => Some(format!("{} is no folder", there.display())),
        (true, Err(error)) => Some(format!("{} cannot be written: {error}", there.display())),
    }
}

/// What each mode means.
pub const MODES: [(Mode, &str, &str); 4] = [
    (Mode::Off, "Off", "The rule is there and does nothing."),
    (Mode::Observe, "Observe", "What it would have done is recorded; nobody notices anything."),
    (Mode::Warn, "Warn", "Mail is delivered unchanged, and whoever the rule tells hears what would have happened."),
    (Mode::Enforce, "Enforce", "The rule does what it says."),
];

#[cfg(test)]
mod tests;
