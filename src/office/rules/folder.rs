//! The desk's folder: what is written there is whole or not there, whenever the machine stops.
//!
//! Texts first, then the version, then the manifest, each by a temporary file, fsync, rename and fsync of its folder. A crash leaves
//! texts that nobody names, or a version that was never in force: its number is taken again by the next change, and it is not shown.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::atomic;
use crate::config::overlay::rules::{self as overlay, MANIFEST, Manifest, TEXTS};

const VERSIONS: &str = "versions";
/// What a name of a file that is not whole yet ends with.
const UNFINISHED: &str = ".new";
/// Versions that are kept.
pub const KEPT: u64 = 1_000;

/// The folder while somebody changes something in it, and nobody else does.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes it where it is not there, and waits until whoever writes in it is done.
    pub fn open(path: &Path) -> io::Result<Folder> {
        for folder in [path.to_owned(), path.join(TEXTS), path.join(VERSIONS)] {
            match DirBuilder::new().mode(0o700).create(&folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.join("lock"))?;
        lock.lock()?;
        Ok(Folder { path: path.to_owned(), _lock: lock })
    }

    /// The number of the next version.
    pub fn next(&self) -> u64 {
        let current = overlay::manifest(&self.path.join(MANIFEST));
        let number = match current {
            Ok(None) => 0,
            Ok(Some(manifest)) => manifest.change.number,
            // It is damaged: after all that there are.
            Err(_) => numbers(&self.path).into_iter().max().unwrap_or(0),
        };
        number.saturating_add(1)
    }

    /// What holds now, as it is written; none where nothing was ever changed.
    pub fn now(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(MANIFEST)) {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a version in force for the next time that the rules are read. `texts` are those that it names, and what they were made from.
    pub fn write(&self, manifest: &Manifest, texts: &[&str]) -> io::Result<()> {
        for folder in [TEXTS, VERSIONS] {
            sweep(&self.path.join(folder))?;
        }
        for text in texts {
            let path = self.path.join(TEXTS).join(format!("{}.toml", overlay::hash(text)));
            if !path.exists() {
                put(&path, text)?;
            }
        }
        let written = toml::to_string(manifest).map_err(io::Error::other)?;
        let head = "# Written by the console, which changes it. The operator's own files are those of the site file.\n";
        let written = format!("{head}{written}");
        put(&version_path(&self.path, manifest.change.number), &written)?;
        put(&self.path.join(MANIFEST), &written)?;
        // What is too old is no part of the change: it may stay where it cannot go.
        let _ = self.prune(manifest.change.number);
        Ok(())
    }

    /// Takes a version back that could not be put in force. `before` is what [`Folder::now`] gave.
    pub fn take_back(&self, number: u64, before: Option<&[u8]>) -> io::Result<()> {
        match before {
            Some(octets) => put(&self.path.join(MANIFEST), &String::from_utf8_lossy(octets))?,
            None => {
                fs::remove_file(self.path.join(MANIFEST))?;
                File::open(&self.path)?.sync_all()?;
            }
        }
        fs::remove_file(version_path(&self.path, number))
    }

    /// Deletes what is older than the versions that are kept, and the texts that none of these names.
    fn prune(&self, newest: u64) -> io::Result<()> {
        let old: Vec<u64> = numbers(&self.path).into_iter().filter(|n| n.saturating_add(KEPT) <= newest).collect();
        if old.is_empty() {
            return Ok(());
        }
        for number in old {
            fs::remove_file(version_path(&self.path, number))?;
        }
        let mut named = std::collections::HashSet::new();
        for number in numbers(&self.path) {
            // What cannot be read may name any text: then all stay.
            let Ok(Some(manifest)) = overlay::manifest(&version_path(&self.path, number)) else { return Ok(()) };
            for entry in manifest.files {
                named.extend(std::iter::once(entry.text).chain(entry.made_from));
            }
        }
        for entry in fs::read_dir(self.path.join(TEXTS))? {
            let path = entry?.path();
            if !path.file_stem().and_then(|n| n.to_str()).is_some_and(|n| named.contains(n)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The versions from the one before `below` on, latest first, at most `most` of them. What is damaged is left out.
pub fn versions(folder: &Path, below: Option<u64>, most: usize) -> Vec<Manifest> {
    let newest = match overlay::manifest(&folder.join(MANIFEST)) {
        Ok(Some(manifest)) => manifest.change.number,
        Ok(None) => return Vec::new(),
        Err(_) => u64::MAX,
    };
    let mut all = numbers(folder);
    all.retain(|n| *n <= newest && below.is_none_or(|below| *n < below));
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.into_iter().take(most).filter_map(|number| version(folder, number)).collect()
}

/// One version. None where it is not there, was never in force, or is damaged.
pub fn version(folder: &Path, number: u64) -> Option<Manifest> {
    if let Ok(Some(manifest)) = overlay::manifest(&folder.join(MANIFEST))
        && manifest.change.number < number
    {
        return None;
    }
    overlay::manifest(&version_path(folder, number)).ok().flatten().filter(|manifest| manifest.change.number == number)
}

fn version_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(VERSIONS).join(format!("{number}.toml"))
}

fn numbers(folder: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(folder.join(VERSIONS)) else { return Vec::new() };
    entries.filter_map(|e| e.ok()?.file_name().to_str()?.strip_suffix(".toml")?.parse().ok()).collect()
}

/// A file that is whole or not there.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().and_then(|n| n.to_str()).ok_or(io::ErrorKind::InvalidInput)?;
    atomic::write(folder, name, text)
}

/// Deletes what a crash left unfinished.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|n| n.ends_with(UNFINISHED)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
