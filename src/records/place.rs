//! Where the store is, and how `serve` makes it: key, keyring and database together, or not at all.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::database::Location;
use super::keyring::Keyring;
use super::sealing::SiteKey;
use super::store::Store;
use super::{StoreError, custody};
use crate::config::settings::{Database, Retention, Settings};
use crate::observe::crash::{self, Point};

/// What the store needs to know of the settings.
#[derive(Clone, Debug)]
pub struct Options {
    pub database: PathBuf,
    pub key_file: PathBuf,
    pub retention: Retention,
    /// Records that may wait to be written.
    pub queue: usize,
    /// None: only hourly counts are kept.
    pub monitoring: Option<Monitoring>,
}

/// What `[monitoring]` says about the record.
#[derive(Clone, Copy, Debug)]
pub struct Monitoring {
    /// No mail without its row.
    pub mandatory: bool,
    /// Whether the subject is kept.
    pub subject: bool,
}

impl Options {
    pub fn of(settings: &Settings) -> Options {
        let Database::Sqlite(database) = &settings.records.database;
        Options {
            database: database.clone(),
            key_file: settings.records.key_file.clone(),
            retention: settings.records.retention,
            queue: settings.records.queue,
            monitoring: settings.monitoring.as_ref().map(|m| Monitoring { mandatory: m.mandatory, subject: m.subject }),
        }
    }

    /// The custody store, beside the database.
    pub fn custody(&self) -> PathBuf {
        self.database.with_file_name("custody.db")
    }
}

/// Makes key, keyring and database if none of them is there; errors if only some are. `serve` and `demo` call this; no other
/// command creates anything.
///
/// The key is written as `<key-file>.new` first and gets its name last. A crash in between leaves `.new` behind: with no
/// database it is thrown away, and with one it is the key that the database was made with.
pub fn prepare(options: &Options) -> Result<(), StoreError> {
    let key = &options.key_file;
    let database = &options.database;
    let mut new = key.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let ring = super::keyring::ring_path(key);
    match (key.exists(), database.exists()) {
        (true, true) => return prepare_custody(options),
        (true, false) => return Err(StoreError::KeyWithoutDatabase { key: key.clone(), database: database.clone() }),
        (false, true) if new.exists() && ring.exists() => return finish(&new, options),
        (false, true) => return Err(StoreError::DatabaseWithoutKey { key: key.clone(), database: database.clone() }),
        (false, false) => {}
    }
    for path in [key, database] {
        create_folder(path)?;
    }
    if new.exists() {
        // Only an unfinished start leaves this, and nothing was sealed with it.
        for left in [&new, &ring] {
            if left.exists() {
                fs::remove_file(left).map_err(|e| StoreError::io(left, e))?;
            }
        }
    }
    let site = SiteKey::generate()?;
    site.write(&new)?;
    crash::here(Point::SiteKeyMade);
    Keyring::create(key, &site)?;
    crash::here(Point::RingMade);
    // The database is made under another name too: under its own name it is whole.
    let unfinished = database.with_extension("new");
    if unfinished.exists() {
        fs::remove_file(&unfinished).map_err(|e| StoreError::io(&unfinished, e))?;
    }
    Store::create(&unfinished)?;
    fs::rename(&unfinished, database).map_err(|e| StoreError::io(database, e))?;
    sync_folder(database)?;
    crash::here(Point::DatabaseNamed);
    finish(&new, options)
}

fn finish(new: &Path, options: &Options) -> Result<(), StoreError> {
    fs::rename(new, &options.key_file).map_err(|e| StoreError::io(&options.key_file, e))?;
    sync_folder(&options.key_file)?;
    crash::here(Point::SiteKeyNamed);
    prepare_custody(options)
}

fn prepare_custody(options: &Options) -> Result<(), StoreError> {
    let path = options.custody();
    if !path.exists() { custody::create(&Location::Sqlite(path)) } else { Ok(()) }
}

/// Makes an empty file that only its owner may read; SQLite gives its journals the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(|e| StoreError::io(path, e))
}

fn create_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| StoreError::io(folder, e))
        }
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| StoreError::io(folder, e))
}
