//! Where the store is, and how `serve` makes it: key, keyring and database together, or not at all.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::database::{Durability, Location, Server};
use super::keyring::Keyring;
use super::sealing::SiteKey;
use super::{StoreError, custody, rotation, site};
use crate::config::settings::{Database, DatabaseServer, Retention, Settings};
use crate::observe::crash::{self, Point};

/// What the store needs to know of the settings.
#[derive(Clone, Debug)]
pub struct Options {
    pub database: Location,
    /// A database of its own: whoever restores the one must not bring back the keys of the other.
    pub keyring: Location,
    pub custody: Location,
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
        let (database, custody) = match &settings.records.database {
            Database::Sqlite(file) => (Location::Sqlite(file.clone()), Location::Sqlite(file.with_file_name("custody.db"))),
            Database::Postgres(server) => (on(server), on(server)),
        };
        let beside = || Location::Sqlite(super::keyring::ring_path(&settings.records.key_file));
        Options {
            database,
            keyring: settings.records.keyring.as_deref().map_or_else(beside, on),
            custody,
            key_file: settings.records.key_file.clone(),
            retention: settings.records.retention,
            queue: settings.records.queue,
            monitoring: settings.monitoring.as_ref().map(|m| Monitoring { mandatory: m.mandatory, subject: m.subject }),
        }
    }

    /// Opens the keyring of a record that is there: with its site key, and a database that the key is for.
    pub(super) fn open_ring(&self) -> Result<Keyring, StoreError> {
        let (key, database) = (self.key_file.clone(), self.database.clone());
        match (key.exists(), super::database::Database::is_made(&database)?) {
            (true, true) => Keyring::of(&self.keyring, &key),
            (true, false) => Err(StoreError::KeyWithoutDatabase { key, database }),
            (false, true) => Err(StoreError::DatabaseWithoutKey { key, database }),
            (false, false) => Err(StoreError::Absent(database)),
        }
    }
}

fn on(server: &DatabaseServer) -> Location {
    let DatabaseServer { url, password, ca_file } = server.clone();
    Location::Postgres(Arc::new(Server { url, password, ca_file }))
}

/// Makes key, keyring and database if none of them is there; errors if only some are. `serve` and `demo` call this; no other
/// command creates anything.
///
/// The key is written as `<key-file>.new` first and gets its name last. A crash in between leaves `.new` behind: with no
/// database it is thrown away, and with one it is the key that the database was made with.
pub fn prepare(options: &Options) -> Result<(), StoreError> {
    let key = &options.key_file;
    let new = rotation::new_path(key);
    let (Location::Sqlite(database), Location::Sqlite(ring)) = (&options.database, &options.keyring) else {
        return prepare_on_server(options, &new);
    };
    match (key.exists(), database.exists()) {
        (true, true) => return look_after(options),
        (true, false) => return Err(StoreError::KeyWithoutDatabase { key: key.clone(), database: options.database.clone() }),
        (false, true) if new.exists() && ring.exists() => return finish(&new, options),
        (false, true) => return Err(StoreError::DatabaseWithoutKey { key: key.clone(), database: options.database.clone() }),
        (false, false) => {}
    }
    for path in [key, database] {
        create_folder(path)?;
    }
    if new.exists() {
        // Only an unfinished start leaves this, and nothing was sealed with it.
        for left in [&new, ring] {
            if left.exists() {
                fs::remove_file(left).map_err(|e| StoreError::io(left, e))?;
            }
        }
    }
    let site = SiteKey::generate()?;
    site.write(&new)?;
    crash::here(Point::SiteKeyMade);
    Keyring::create(&options.keyring, &site)?;
    crash::here(Point::RingMade);
    // The database is made under another name too: under its own name it is whole.
    let unfinished = database.with_extension("new");
    if unfinished.exists() {
        fs::remove_file(&unfinished).map_err(|e| StoreError::io(&unfinished, e))?;
    }
    let made = Location::Sqlite(unfinished.clone());
    super::database::Database::create(&made)?;
    let mut db = super::database::Database::open(&made, Durability::Full)?;
    super::store::migrate(&mut db)?;
    // The last connection takes the log with it.
    drop(db);
    fs::rename(&unfinished, database).map_err(|e| StoreError::io(database, e))?;
    sync_folder(database)?;
    crash::here(Point::DatabaseNamed);
    finish(&new, options)
}

/// The same on PostgreSQL, whose two databases are there already and empty. What says that the record is made is its tables, which
/// come last.
fn prepare_on_server(options: &Options, new: &Path) -> Result<(), StoreError> {
    use super::database::Database;
    let (key, database) = (&options.key_file, &options.database);
    match (key.exists(), Database::is_made(database)?) {
        (true, true) => return look_after(options),
        (true, false) => return Err(StoreError::KeyWithoutDatabase { key: key.clone(), database: database.clone() }),
        (false, true) if !new.exists() => return Err(StoreError::DatabaseWithoutKey { key: key.clone(), database: database.clone() }),
        (false, _) => {}
    }
    create_folder(key)?;
    let site = if new.exists() {
        SiteKey::read(new)?
    } else {
        let site = SiteKey::generate()?;
        site.write(new)?;
        site
    };
    Keyring::create(&options.keyring, &site)?;
    // Another gateway may have been first: then its key is the one.
    drop(Keyring::open(&options.keyring, &site)?);
    super::store::migrate(&mut Database::open(database, Durability::Full)?)?;
    finish(new, options)
}

fn finish(new: &Path, options: &Options) -> Result<(), StoreError> {
    fs::rename(new, &options.key_file).map_err(|e| StoreError::io(&options.key_file, e))?;
    sync_folder(&options.key_file)?;
    crash::here(Point::SiteKeyNamed);
    prepare_custody(options)?;
    let ring = options.open_ring()?;
    site::name(&mut super::database::Database::open(&options.database, Durability::Full)?, &ring)
}

/// What is there: a change of the site key that was cut short is settled, and what does not belong together is refused.
fn look_after(options: &Options) -> Result<(), StoreError> {
    rotation::settle(options)?;
    prepare_custody(options)?;
    site::verify(options, jiff::Timestamp::now().as_millisecond())
}

fn prepare_custody(options: &Options) -> Result<(), StoreError> {
    if options.custody.file().is_some_and(Path::exists) { Ok(()) } else { custody::create(&options.custody) }
}

/// Makes an empty file that only its owner may read; SQLite gives its journals the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).map_err(|e| StoreError::io(path, e))
}

pub(super) fn create_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| StoreError::io(folder, e))
        }
        _ => Ok(()),
    }
}

pub(super) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::File::open(folder).and_then(|f| f.sync_all()).map_err(|e| StoreError::io(folder, e))
}
