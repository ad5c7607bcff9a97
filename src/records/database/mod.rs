//! The two engines that a store stands on: SQLite beside the gateway, or PostgreSQL for several gateways.
//!
//! A store's operations (accept, claim, settle, purge) are whole transactions of a few statements, written once: an engine says
//! how statements are run, and what happens when a transaction fails. The SQL is what both understand: `?1` for a value,
//! `RETURNING`, `ON CONFLICT`, no function that only one of them has; the tables are written in SQLite's words, of which each has one
//! of PostgreSQL's. What is sealed is sealed before it comes here: an engine sees numbers, hashes and octets.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;

#[cfg(feature = "postgres")]
mod postgres;
mod server;
mod shape;
mod sqlite;
#[cfg(all(test, feature = "postgres"))]
pub(crate) mod trial;

pub use server::{Fault, Server};
pub use shape::{Cell, Shape, Type};

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a server.
    Postgres(Arc<Server>),
}

impl Location {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::Sqlite(path) => Some(path),
            Location::Postgres(_) => None,
        }
    }

    /// False where there is no such file. What a server has is seen when it is opened.
    pub fn is_there(&self) -> bool {
        self.may_be_there()
    }

    /// The same within the store.
    pub(super) fn may_be_there(&self) -> bool {
        self.file().is_none_or(Path::exists)
    }
}

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power cut may cost the last moment's transactions, whole.
    Relaxed,
    /// On the disk before the commit returns.
    Full,
    /// The same, and what was deleted does not come back after a power cut, nor stays in a log: for keys.
    Final,
}

/// A value of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Null,
    Integer(i64),
    Octets(&'a [u8]),
    Text(&'a str),
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Value::Integer(n)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Value::Octets(octets)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Value::Octets(octets)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A statement's values: `values![now, class.number(), &sealed]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::records::database::Value::from($value)),*] };
}
pub(crate) use values;

/// One row of an answer. Columns are counted from 0; a column of another type than asked for is a damaged store.
pub trait Row {
    fn integer(&self, column: usize) -> Result<i64, StoreError>;
    /// None for NULL.
    fn optional(&self, column: usize) -> Result<Option<i64>, StoreError>;
    fn octets(&self, column: usize) -> Result<&[u8], StoreError>;
    fn text(&self, column: usize) -> Result<&str, StoreError>;
}

/// What can be done within a transaction, or outside of one, each statement then being one of its own.
pub trait Statements {
    /// Says how many rows were changed.
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// The same statement for many rows, in as few exchanges as the engine can.
    fn execute_many(&mut self, sql: &str, rows: &[Vec<Value<'_>>]) -> Result<u64, StoreError> {
        let mut changed = 0;
        for values in rows {
            changed += self.execute(sql, values)?;
        }
        Ok(changed)
    }

    /// Shows each row of the answer, in order, until there are no more or one is not liked.
    fn each(&mut self, sql: &str, values: &[Value<'_>], row: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>) -> Result<(), StoreError>;

    /// The clock that leases are counted by: ours, or the server's, where gateways share it.
    fn clock(&mut self, ours: i64) -> Result<i64, StoreError> {
        Ok(ours)
    }

    /// Nobody else passes here with the same word until the transaction ends. Where there is one writer at a time, that is so anyway.
    fn serial(&mut self, _what: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// Numbers that the engine gives to new rows of a table go on after those that are there.
    fn numbers_follow(&mut self, _table: &str, _column: &str) -> Result<(), StoreError> {
        Ok(())
    }

    /// The tables that are there, each with its columns; by name.
    fn shapes(&mut self) -> Result<Vec<Shape>, StoreError>;

    /// What stands behind a `SELECT` of a row that is changed in the same transaction.
    fn for_update(&self) -> &'static str;

    /// What stands behind a `SELECT` that takes rows which nobody else is to take at the same time.
    fn skip_locked(&self) -> &'static str;
}

impl dyn Statements + '_ {
    /// The first row, if there is one.
    pub fn first<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.each(sql, values, &mut |row| {
            if found.is_none() {
                found = Some(read(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows.
    pub fn all<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.each(sql, values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The one number that is asked for; 0 where there is none.
    pub fn number(&mut self, sql: &str, values: &[Value<'_>]) -> Result<i64, StoreError> {
        Ok(self.first(sql, values, |row| row.optional(0))?.flatten().unwrap_or(0))
    }
}

/// The tables of one store, and how they came to be: a script for each version, each run once, in order.
pub struct Schema {
    /// What names the store among others in the same database.
    pub part: &'static str,
    pub versions: &'static [&'static str],
}

impl Schema {
    /// Brings the tables to a version, which is not below the one that they have.
    pub(super) fn bring_to(&self, tx: &mut (dyn Statements + '_), version: i64) -> Result<(), StoreError> {
        tx.execute("CREATE TABLE IF NOT EXISTS schema_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL)", &[])?;
        let have = tx.number("SELECT version FROM schema_version WHERE part = ?1", values![self.part])?;
        let known = self.versions.len() as i64;
        if have.max(version) > known {
            return Err(StoreError::Newer { part: self.part, have: have.max(version), known });
        }
        for script in self.versions.get(have as usize..version as usize).unwrap_or_default() {
            for statement in script.split(';').map(str::trim).filter(|s| !s.is_empty()) {
                tx.execute(statement, &[])?;
            }
        }
        tx.execute(
            "INSERT INTO schema_version (part, version) VALUES (?1, ?2) ON CONFLICT (part) DO UPDATE SET version = excluded.version",
            values![self.part, version.max(have)],
        )?;
        Ok(())
    }
}

/// One connection, owned by one thread.
pub struct Database {
    engine: Engine,
}

enum Engine {
    Sqlite(sqlite::Sqlite),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
}

impl Database {
    /// Makes the database: a file that only its owner may read. PostgreSQL's is there already. Errors if the file exists.
    pub fn create(location: &Location) -> Result<(), StoreError> {
        match location {
            Location::Sqlite(path) => sqlite::create(path),
            Location::Postgres(_) => Ok(()),
        }
    }

    pub fn open(location: &Location, durability: Durability) -> Result<Database, StoreError> {
        match location {
            Location::Sqlite(path) => Ok(Database { engine: Engine::Sqlite(sqlite::Sqlite::open(path, durability)?) }),
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => Ok(Database { engine: Engine::Postgres(postgres::Postgres::open(server, durability)?) }),
            #[cfg(not(feature = "postgres"))]
            Location::Postgres(_) => Err(StoreError::NoPostgres),
        }
    }

    /// Whether any store has made its tables in it.
    pub(super) fn is_made(location: &Location) -> Result<bool, StoreError> {
        match location {
            Location::Sqlite(path) => Ok(path.exists()),
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => postgres::Postgres::open(server, Durability::Full)?.is_made(),
            #[cfg(not(feature = "postgres"))]
            Location::Postgres(_) => Err(StoreError::NoPostgres),
        }
    }

    /// Statements outside a transaction.
    pub fn statements(&mut self) -> &mut (dyn Statements + '_) {
        match &mut self.engine {
            Engine::Sqlite(engine) => engine,
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine,
        }
    }

    /// All of it or nothing; as durable as the connection was opened for when this returns. On an error of `act` nothing has
    /// changed. An error of the commit itself leaves open whether it happened.
    pub fn transaction<T>(&mut self, act: impl FnOnce(&mut (dyn Statements + '_)) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(engine) => {
                engine.begin()?;
                let done = act(engine);
                engine.end(done)
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => {
                engine.begin()?;
                let done = act(engine);
                engine.end(done)
            }
        }
    }

    /// Reads everything as of one moment, and keeps no writer waiting for it. Nothing can be written meanwhile on this connection.
    pub(super) fn snapshot<T>(&mut self, act: impl FnOnce(&mut (dyn Statements + '_)) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(engine) => {
                engine.begin_reading()?;
                let done = act(engine);
                engine.end(done)
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => {
                engine.begin_reading()?;
                let done = act(engine);
                engine.end(done)
            }
        }
    }

    /// Whether somebody else has the database open.
    pub(super) fn is_in_use(location: &Location) -> Result<bool, StoreError> {
        match location {
            Location::Sqlite(path) => sqlite::is_in_use(path),
            #[cfg(feature = "postgres")]
            Location::Postgres(server) => postgres::Postgres::open(server, Durability::Full)?.is_in_use(),
            #[cfg(not(feature = "postgres"))]
            Location::Postgres(_) => Err(StoreError::NoPostgres),
        }
    }

    /// False where the file is damaged. A server looks after its own.
    pub(super) fn is_sound(&mut self) -> Result<bool, StoreError> {
        match &mut self.engine {
            Engine::Sqlite(engine) => engine.is_sound(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => Ok(true),
        }
    }

    /// Brings the tables of a store to the version that this program knows. A newer one is refused.
    pub fn migrate(&mut self, schema: &Schema) -> Result<(), StoreError> {
        self.transaction(|tx| {
            tx.serial("schema")?;
            schema.bring_to(tx, schema.versions.len() as i64)
        })
    }

    /// Gives the space of deleted rows back, and empties the log that held them.
    pub fn reclaim(&mut self) -> Result<(), StoreError> {
        match &mut self.engine {
            Engine::Sqlite(engine) => engine.reclaim(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine.reclaim(),
        }
    }

    /// Writes a table anew, so that nothing is left of the rows that were deleted. Not within a transaction.
    pub fn rewrite(
        &mut self,
        #[cfg_attr(not(feature = "postgres"), expect(unused_variables, reason = "a file is written anew whole"))] table: &'static str,
    ) -> Result<(), StoreError> {
        match &mut self.engine {
            // A file is written anew as a whole.
            Engine::Sqlite(engine) => engine.rewrite(),
            #[cfg(feature = "postgres")]
            Engine::Postgres(engine) => engine.rewrite(table),
        }
    }

    /// The SQLite connection, to break it with.
    #[cfg(test)]
    pub(super) fn sqlite(&mut self) -> Option<&mut rusqlite::Connection> {
        match &mut self.engine {
            Engine::Sqlite(engine) => Some(engine.connection()),
            #[cfg(feature = "postgres")]
            Engine::Postgres(_) => None,
        }
    }
}

/// Shows no password.
impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The file; or the URL without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Sqlite(path) => write!(f, "{}", path.display()),
            Location::Postgres(server) => {
                let url = &server.url;
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
                let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                write!(f, "{scheme}://{}", shown.split('?').next().unwrap_or(shown))
            }
        }
    }
}

#[cfg(test)]
mod tests;
