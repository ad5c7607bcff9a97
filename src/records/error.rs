//! What can go wrong with the store, in words an operator can act on.

use std::path::PathBuf;

use super::database::Location;
use super::sealing::Print;

/// Why the store could not be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the key file {key} is there, but the database {database} is not. Restore the database; or, to begin a new record, move the key file and its .ring away"
    )]
    KeyWithoutDatabase { key: PathBuf, database: Location },
    #[error("the database {database} is there, but its key file {key} is not. Restore the key file: without it the record cannot be read")]
    DatabaseWithoutKey { key: PathBuf, database: Location },
    #[error("the keyring {0} is missing. Restore it together with the key file: without it the record cannot be read")]
    RingMissing(Location),
    #[error("there is no record yet: {0} does not exist. `lychgate serve` makes it")]
    Absent(Location),
    #[error("the key file {path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")]
    KeyMode { path: PathBuf, mode: u32 },
    #[error("the key file {0} is not 32 octets in base64")]
    KeyMalformed(PathBuf),
    #[error(
        "the keyring {ring} does not belong to the key file {key} (print {print}{}). First look whether both come from the same site and the same backup; then put the key file back that belongs to it", wanted.map(|w| format!("; it wants {w}")).unwrap_or_default()
    )]
    WrongKey { ring: Location, key: PathBuf, print: Print, wanted: Option<Print> },
    #[error(
        "the site key was changed on {since}: the key file {key} holds an earlier one (print {print}; {wanted} is in force). Copy the key file from where `lychgate keys rotate` was run; a gateway that runs takes it up by itself"
    )]
    KeyChanged { key: PathBuf, print: Print, wanted: Print, since: jiff::Timestamp },
    #[error(
        "the keyring {0} is damaged: cut short, or no keyring. Stop the gateway and put the latest copy of it back; the database may stay as it is"
    )]
    RingDamaged(Location),
    #[error("the keyring {path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")]
    RingMode { path: PathBuf, mode: u32 },
    #[error(
        "the keyring {ring} and the database {database} belong to different sites. First look which of the two was put in the wrong place; nothing was changed"
    )]
    AnotherSite { ring: Location, database: Location },
    #[error(
        "the keyring {ring} is older than the database {database}: it lacks the keys of {periods} periods since {since}, so that {rows} rows cannot be read. Was it restored from a backup? Put the latest keyring back. If there is none: lychgate keys accept-loss --reason TEXT"
    )]
    RingOlder { ring: Location, database: Location, periods: usize, rows: u64, since: jiff::Timestamp },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
    #[error("PostgreSQL {0}")]
    Postgres(super::database::Fault),
    #[error("PostgreSQL: {0}")]
    Server(String),
    #[error("PostgreSQL is not part of this build")]
    NoPostgres,
    #[error("the database was made by a newer version of this program ({part} is version {have}, this knows {known})")]
    Newer { part: &'static str, have: i64, known: i64 },
    #[error("a sealed row could not be opened: it was altered, or its key has been erased")]
    Sealed,
    #[error("a row is damaged")]
    Damaged,
    #[error("too much waits to be written")]
    QueueFull,
    #[error("the store could not be written; the log says why")]
    Unwritten,
    #[error("the store did not answer in time")]
    Slow,
    #[error(
        "a hold of records cannot be read: it was altered. Nothing is deleted, since it is not known what it covers. Restore the database, or: lychgate hold-records lift --unreadable --reason TEXT"
    )]
    HoldUnreadable,
    #[error("another purge is under way; try again in a minute")]
    PurgeUnderWay,
    #[error("the store has been closed")]
    Stopped,
    #[error("the system gave no random numbers")]
    Random,
}

impl StoreError {
    /// Whether trying the same again later may succeed: a full or failing disk, a locked file.
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(e, _)) => matches!(
                e.code,
                Code::DiskFull
                    | Code::SystemIoFailure
                    | Code::DatabaseBusy
                    | Code::DatabaseLocked
                    | Code::CannotOpen
                    | Code::ReadOnly
                    | Code::OutOfMemory
            ),
            StoreError::Postgres(fault) => fault.may_pass(),
            // Somebody carries the new key here.
            StoreError::KeyChanged { .. } => true,
            StoreError::Io { .. } | StoreError::QueueFull | StoreError::Slow | StoreError::Unwritten | StoreError::Random => true,
            _ => false,
        }
    }

    /// Whether it failed for want of space.
    pub fn is_full(&self) -> bool {
        match self {
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(e, _)) => e.code == rusqlite::ErrorCode::DiskFull,
            StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> StoreError {
        StoreError::Io { path: path.into(), source }
    }
}
