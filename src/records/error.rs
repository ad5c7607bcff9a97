//! What can go wrong with the store, in words an operator can act on.

use std::path::PathBuf;

use super::database::Location;

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
    #[error("{0} was made with another key file than the one configured")]
    WrongKey(Location),
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
