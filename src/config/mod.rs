//! The operator's input: what a file may say (`options`), what the program runs on (`settings`), and every fault at once
//! (`diagnostics`), each with its file, line and a word of help. `rules` turns rule files into a `policy::Policy`.
//!
//! It reads files and never writes one. A secret is read from a file of its own or from the environment, never from the site file.

pub mod diagnostics;
mod files;
pub mod markup;
pub mod options;
pub mod overlay;
pub mod own_accounts;
mod provider;
pub mod reference;
mod resolve;
pub mod rules;
mod saml;
mod secrets;
pub mod settings;
pub mod spelling;
pub mod syntax;
mod table;
pub mod units;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use diagnostics::{Diagnostic, Diagnostics, Level, Source};
pub use settings::Settings;

use self::settings::UpstreamTls;
use crate::policy::{Malformed, Mode, Sources};

/// Larger than any site file: what is larger is the wrong file.
const LARGEST: u64 = 1 << 20;

/// Where the site file is: the given path, else `$LYCHGATE_CONFIG`, else `./lychgate.toml`, else `/etc/lychgate/lychgate.toml`.
pub fn find(given: Option<&Path>) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    if let Some(path) = std::env::var_os("LYCHGATE_CONFIG").filter(|v| !v.is_empty()) {
        return path.into();
    }
    let here = PathBuf::from("lychgate.toml");
    let there = PathBuf::from("/etc/lychgate/lychgate.toml");
    if !here.exists() && there.exists() { there } else { here }
}

/// Reads a site file and the rules it names, with what was changed at the desk. None where there is an error; all of them are in
/// `diagnostics`, warnings too. Where only what was changed at the desk is at fault, it is left out, its faults are warnings, and
/// `Settings::rules` says so: nobody at the desk can keep the gateway from starting.
pub fn load(path: &Path, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let text = read(path, diagnostics)?;
    let mut found = Diagnostics::new();
    let loaded = load_file(path, text.clone(), Which::Site, &mut found);
    if loaded.settings.is_some() || !loaded.desk {
        diagnostics.extend(found);
        return loaded.settings;
    }
    let alone = load_file(path, text, Which::Operator, diagnostics).settings;
    alone.map(|settings| without_desk(settings, found, diagnostics))
}

/// The operator's files alone are good: what is wrong is what was changed at the desk.
fn without_desk(mut settings: Settings, found: Diagnostics, diagnostics: &mut Diagnostics) -> Settings {
    let faults: Vec<Diagnostic> = found.iter().filter(|d| d.level == Level::Error).cloned().collect();
    let words: Vec<&str> = faults.iter().map(|d| d.message.as_str()).take(5).collect();
    settings.rules.left_out = Some(words.join("; "));
    diagnostics.warning_without_place(
        "what was changed at the desk has faults and is left out: the operator's own rules are in force",
        "Mend it under Rules in the console, or put an earlier version back there.",
    );
    for fault in faults {
        diagnostics.push(Diagnostic { level: Level::Warning, ..fault });
    }
    settings
}

/// As [`load`], with this in place of what was changed at the desk. A fault of it is an error.
pub fn load_proposed(path: &Path, overlay: &overlay::rules::Overlay, diagnostics: &mut Diagnostics) -> Option<Settings> {
    let text = read(path, diagnostics)?;
    load_file(path, text, Which::Proposed(overlay), diagnostics).settings
}

/// As [`load`], with the rules at `rules` in place of those that the site file names.
pub fn load_with_rules(path: &Path, rules: &[PathBuf], diagnostics: &mut Diagnostics) -> Option<Settings> {
    let text = read(path, diagnostics)?;
    load_file(path, text, Which::Other(rules), diagnostics).settings
}

fn load_file(path: &Path, text: String, which: Which<'_>, diagnostics: &mut Diagnostics) -> Loaded {
    let base = path.parent().unwrap_or(Path::new(""));
    load_as(&path.display().to_string(), text, base, &|variable| std::env::var(variable).ok(), which, diagnostics)
}

/// As [`load`], of a text that is called `name` in diagnostics; relative paths are relative to `base`.
pub fn load_text(name: &str, text: String, base: &Path, diagnostics: &mut Diagnostics) -> Option<Settings> {
    load_with(name, text, base, &|variable| std::env::var(variable).ok(), diagnostics)
}

/// As [`load_text`], with another environment.
pub fn load_with(
    name: &str,
    text: String,
    base: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Option<Settings> {
    load_as(name, text, base, environment, Which::Site, diagnostics).settings
}

/// Which rules are read.
#[derive(Clone, Copy)]
enum Which<'a> {
    /// Those that the site file names, with what was changed at the desk.
    Site,
    /// Those that the site file names.
    Operator,
    /// Those that the site file names, with this.
    Proposed(&'a overlay::rules::Overlay),
    /// These.
    Other(&'a [PathBuf]),
}

struct Loaded {
    settings: Option<Settings>,
    /// Something was changed at the desk.
    desk: bool,
}

fn load_as(
    name: &str,
    text: String,
    base: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    which: Which<'_>,
    diagnostics: &mut Diagnostics,
) -> Loaded {
    let mut found = Diagnostics::new();
    let source = Arc::new(Source { name: name.to_owned(), text });
    let parsed = syntax::parse(&source, &mut found);
    let options = options::read(&source, &parsed, &mut found);
    let files = files::Files { source: &source, base, environment };
    let folder = resolve::desk_folder(&options, &files);
    let mut desk = false;
    let mut standing = overlay::rules::Files::default();
    let compile =
        |council: &settings::Council, people: &settings::People, markings: &settings::Markings, encryption: &_, d: &mut Diagnostics| {
            let overlay = overlay(which, folder.as_deref(), d);
            desk = overlay.as_ref().is_none_or(|o| o.change.is_some());
            let overlay = overlay.unwrap_or_default();
            standing.files = match which {
                Which::Other(paths) => overlay::rules::lay(&overlay, &rules::paths(paths, d), base, Path::new(""), d),
                _ => {
                    let paths = rules::paths(&rule_paths(&options, &files, d), d);
                    overlay::rules::lay(&overlay, &paths, base, folder.as_deref().unwrap_or(Path::new("")), d)
                }
            };
            standing.change = overlay.change;
            let sources: Vec<Arc<Source>> = standing.files.iter().map(|f| f.source.clone()).collect();
            let changed: Vec<_> = standing
                .files
                .iter()
                .filter_map(|f| match &f.made {
                    overlay::rules::Made::Operator => None,
                    overlay::rules::Made::Changed { original, .. } => Some((f.source.clone(), Some(original.clone()))),
                    overlay::rules::Made::Own => Some((f.source.clone(), None)),
                })
                .collect();
            // What the site file tunes of its own rules, other rules may lack.
            let is_there = |id: &str| sources.iter().any(|s| s.text.contains(&format!("\"{id}\"")));
            let mut tune = options.rules.tune.clone();
            tune.retain(|(id, _)| !matches!(which, Which::Other(_)) || is_there(id.get_ref()));
            let listeners: Vec<_> = options
                .listeners
                .iter()
                .filter_map(|l| Some((l.name.as_ref()?.get_ref().as_str().into(), *l.role.as_ref()?.get_ref())))
                .collect();
            let mode = options.rules.mode.as_ref().map_or(Mode::Enforce, |m| *m.get_ref());
            let malformed = options.rules.malformed.as_ref().map_or(Malformed::default(), |m| *m.get_ref());
            let bank_accounts: Vec<String> = options.council.bank_accounts.iter().map(|a| a.get_ref().clone()).collect();
            let site = rules::Site {
                council,
                people,
                markings,
                encryption,
                mode,
                malformed,
                bank_accounts: &bank_accounts,
                listeners: &listeners,
                source: Some(&source),
                tune: &tune,
                desk: rules::Desk { modes: Some(&overlay.modes), files: &changed },
                sources: self::sources(&options),
            };
            rules::load(&sources, &site, d)
        };
    let settings = resolve::settings(&options, &files, compile, &mut found);
    found.sort();
    found.replace_source(&source, &Arc::new(Source { name: name.to_owned(), text: secrets::masked(&source.text) }));
    let refused = found.has_errors();
    diagnostics.extend(found);
    let settings = settings.filter(|_| !refused).map(|settings| Settings { rules: standing, ..settings });
    Loaded { settings, desk }
}

/// What is laid over the operator's files. None where it cannot be read, with the fault told.
fn overlay(which: Which<'_>, folder: Option<&Path>, d: &mut Diagnostics) -> Option<overlay::rules::Overlay> {
    match (which, folder) {
        (Which::Proposed(overlay), _) => Some(overlay.clone()),
        (Which::Site, Some(folder)) => match overlay::rules::read(folder) {
            Ok(overlay) => Some(overlay),
            Err(fault) => {
                d.error_without_place(format!("what was changed at the desk cannot be read: {fault}"), "");
                None
            }
        },
        _ => Some(overlay::rules::Overlay::default()),
    }
}

/// Where facts from outside come from at this site.
fn sources(options: &options::Options<'_>) -> Sources {
    // Who wrote to whom is more than an operational count: without [monitoring] no index of it is kept.
    let past = options.monitoring.as_ref().is_some_and(|m| m.past_mail.as_ref().is_none_or(|p| *p.get_ref()));
    let checked =
        |u: &options::Upstream| u.tls.as_ref().is_some_and(|t| matches!(*t.get_ref(), UpstreamTls::Starttls | UpstreamTls::Implicit));
    Sources {
        scanner: options.scan.is_some(),
        dns: options.dns.is_some(),
        past,
        tls: options.upstreams.iter().any(checked),
        signing: !options.dkim.is_empty(),
        counts: true,
    }
}

/// The files and folders of `[rules] paths` that are there.
fn rule_paths(options: &options::Options<'_>, files: &files::Files<'_>, diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for path in &options.rules.paths {
        let resolved = files.resolve(path.get_ref());
        if resolved.exists() {
            paths.push(resolved);
        } else {
            let message = format!("there is no file or folder {}", path.get_ref().display());
            diagnostics.error(files.source, path.span(), message, "The path is relative to the site file.");
        }
    }
    paths
}

fn read(path: &Path, diagnostics: &mut Diagnostics) -> Option<String> {
    use std::io::Read as _;
    let shown = path.display();
    let bytes = std::fs::File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = match bytes {
        Ok(bytes) if bytes.len() as u64 > LARGEST => {
            diagnostics.error_without_place(format!("{shown} is too large for a site file"), "Name the right file with --config.");
            return None;
        }
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            diagnostics.error_without_place(
                format!("there is no site file {shown}"),
                "Name it with --config FILE or LYCHGATE_CONFIG. Examples are in deploy/.",
            );
            return None;
        }
        Err(error) => {
            diagnostics.error_without_place(format!("{shown} cannot be read: {error}"), "");
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..error.utf8_error().valid_up_to()]).count() + 1;
            diagnostics.error_without_place(format!("{shown} is not UTF-8 text: see line {line}"), "Save it as UTF-8.");
            None
        }
    }
}

#[cfg(test)]
mod tests;
