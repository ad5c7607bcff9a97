//! SQLite: one file, one connection a thread, write-ahead log, deleted content overwritten.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql};

use super::{Durability, Row, Shape, Statements, Value};
use crate::records::StoreError;
use crate::records::place::create_private;

/// Pages that one reclaim gives back.
const PAGES: u32 = 2_000;

/// How long somebody else's writing is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Sqlite(Connection);

pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    create_private(path)?;
    let engine = Sqlite::open(path, Durability::Full)?;
    engine.0.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")?;
    Ok(())
}

/// Whether another connection has the file open: then it cannot be had alone.
pub(super) fn is_in_use(path: &Path) -> Result<bool, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::ZERO)?;
    match db.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK;") {
        Err(rusqlite::Error::SqliteFailure(e, _))
            if matches!(e.code, rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) =>
        {
            Ok(true)
        }
        done => Ok(done.map(|()| false)?),
    }
}

impl Sqlite {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Sqlite, StoreError> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        db.busy_timeout(PATIENCE)?;
        db.set_prepared_statement_cache_capacity(96);
        db.execute_batch(match durability {
            Durability::Relaxed => "PRAGMA synchronous = NORMAL;",
            Durability::Full => "PRAGMA synchronous = FULL;",
            // Extra also syncs the folder when the journal goes. The write-ahead log would keep what was deleted.
            Durability::Final => "PRAGMA synchronous = EXTRA; PRAGMA journal_mode = DELETE;",
        })?;
        db.execute_batch(
            "PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000;
             PRAGMA journal_size_limit = 4194304;",
        )?;
        Ok(Sqlite(db))
    }

    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut Connection {
        &mut self.0
    }

    pub(super) fn begin(&mut self) -> Result<(), StoreError> {
        self.0.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// The first reading settles the moment.
    pub(super) fn begin_reading(&mut self) -> Result<(), StoreError> {
        self.0.execute_batch("BEGIN")?;
        Ok(self.0.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?)
    }

    pub(super) fn end<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        let done = done.and_then(|value| {
            self.0.prepare_cached("COMMIT")?.execute([])?;
            Ok(value)
        });
        if done.is_err() && !self.0.is_autocommit() {
            // A commit that failed for want of space leaves the transaction open; whoever comes next must not find it.
            self.0.execute_batch("ROLLBACK")?;
        }
        done
    }

    pub(super) fn rewrite(&mut self) -> Result<(), StoreError> {
        Ok(self.0.execute_batch("VACUUM")?)
    }

    pub(super) fn is_sound(&mut self) -> Result<bool, StoreError> {
        let number = |sql| self.0.query_row(sql, [], |row| row.get::<_, i64>(0));
        // While this reads nobody writes into the file; where it has a log, its length says nothing.
        self.0.execute_batch("BEGIN")?;
        let sound = || -> Result<bool, StoreError> {
            let octets = number(
                "SELECT count(*) * 0 + (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size) FROM sqlite_schema",
            )?;
            let mode: String = self.0.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
            let path = Path::new(self.0.path().unwrap_or_default());
            let there = std::fs::metadata(path).map_err(|e| StoreError::io(path, e))?.len();
            let whole = mode == "wal" || i64::try_from(there).is_ok_and(|there| there == octets);
            let checked: String = self.0.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            Ok(whole && checked == "ok")
        };
        let sound = sound();
        self.0.execute_batch("ROLLBACK")?;
        sound
    }

    pub(super) fn reclaim(&mut self) -> Result<(), StoreError> {
        let mut vacuum = self.0.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(vacuum);
        // A reader in the middle of something keeps the log; the next time empties it. Nobody waits for one here: a backup reads long.
        self.0.busy_timeout(Duration::ZERO)?;
        let emptied = self.0.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.0.busy_timeout(PATIENCE)?;
        match emptied {
            Err(rusqlite::Error::SqliteFailure(e, _)) if e.code == rusqlite::ErrorCode::DatabaseBusy => Ok(()),
            emptied => Ok(emptied?),
        }
    }
}

impl Statements for Sqlite {
    fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        Ok(statement.raw_execute()? as u64)
    }

    fn each(&mut self, sql: &str, values: &[Value<'_>], row: &mut dyn FnMut(&dyn Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        bind(&mut statement, values)?;
        let mut rows = statement.raw_query();
        while let Some(found) = rows.next()? {
            row(found)?;
        }
        Ok(())
    }

    fn shapes(&mut self) -> Result<Vec<Shape>, StoreError> {
        let columns = "SELECT t.name, c.name, c.type, c.pk FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
                       WHERE t.type = 'table' AND substr(t.name, 1, 7) <> 'sqlite_' ORDER BY t.name, c.cid";
        let statements: &mut dyn Statements = self;
        Shape::gather(statements, columns)
    }

    fn for_update(&self) -> &'static str {
        ""
    }

    fn skip_locked(&self) -> &'static str {
        // One writer at a time: nobody else is in between.
        ""
    }
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, values: &[Value<'_>]) -> Result<(), StoreError> {
    for (i, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(n) => ValueRef::Integer(n),
            Value::Octets(octets) => ValueRef::Blob(octets),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn integer(&self, column: usize) -> Result<i64, StoreError> {
        self.get_ref(column)?.as_i64().map_err(|_| StoreError::Damaged)
    }

    fn optional(&self, column: usize) -> Result<Option<i64>, StoreError> {
        self.get_ref(column)?.as_i64_or_null().map_err(|_| StoreError::Damaged)
    }

    fn octets(&self, column: usize) -> Result<&[u8], StoreError> {
        self.get_ref(column)?.as_blob().map_err(|_| StoreError::Damaged)
    }

    fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.get_ref(column)?.as_str().map_err(|_| StoreError::Damaged)
    }
}
