//! Purging on time: rows by class and period, then the period's key, then the space they took.
//!
//! A row goes when its own time has come; the key of its period when the last row of the period has expired, which also erases
//! what backups of the database still hold. Work is done in pieces, so that the writer never keeps the queue waiting for long.

use std::time::Duration;

use rusqlite::params;

use super::keyring::millis;
use super::store::{Store, first_id, last_retention};
use super::{RecordClass, StoreError, past, tally};

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    /// When it ended.
    pub time: jiff::Timestamp,
    pub classes: Vec<ClassReceipt>,
    /// Hourly counts older than 25 months that were dropped.
    pub counts: u64,
}

/// What a purge did to one class.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ClassReceipt {
    pub class: &'static str,
    pub rows: u64,
    /// Period keys dropped.
    pub keys: u64,
    /// Rows that have expired and are kept under a hold.
    pub held_back: u64,
    /// Rows that remain.
    pub remaining: u64,
}

/// The classes that this database holds.
const CLASSES: [RecordClass; 4] = [RecordClass::Events, RecordClass::Incidents, RecordClass::Access, RecordClass::Contacts];
/// Rows in one piece of work.
const PIECE: i64 = 5_000;

/// Whether a purge has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

/// How often a purge is due: hourly, and more often where the retention is short.
pub(super) fn interval(store: &Store) -> Duration {
    let shortest = CLASSES.iter().map(|c| store.options.retention_of(*c)).min().unwrap_or(Duration::MAX);
    (shortest / 4).clamp(Duration::from_millis(250), Duration::from_secs(3600))
}

impl Store {
    /// A retention that was made shorter since the last run holds for what is already there; one that was made longer does not:
    /// what people were told when they wrote stays true.
    pub(super) fn apply_retention(&mut self) -> Result<(), StoreError> {
        for class in CLASSES {
            let now = self.options.retention_of(class);
            let before = last_retention(&self.db, class)?;
            if before == Some(millis(now)) {
                continue;
            }
            if let Some(shorter) = before.map(|b| b - millis(now)).filter(|d| *d > 0) {
                let tables: &[&str] = match class {
                    RecordClass::Access => &["access"],
                    RecordClass::Contacts => &past::TABLES,
                    _ => &["record"],
                };
                // The others have no class column: all of them is of their class.
                let of_class = if tables == ["record"] { "class = ?2" } else { "?2 = ?2" };
                for table in tables {
                    let shorten = format!("UPDATE {table} SET expires = expires - ?1 WHERE {of_class}");
                    self.db.execute(&shorten, params![shorter, class.number()])?;
                }
                self.ring.shorten(class, now)?;
                self.past.forget();
            }
            self.db.execute(
                "INSERT INTO retention (class, milliseconds) VALUES (?1, ?2) ON CONFLICT (class) DO UPDATE SET milliseconds = excluded.milliseconds",
                params![class.number(), millis(now)],
            )?;
        }
        Ok(())
    }

    /// Does one piece of the purge and adds it to the receipt.
    pub(super) fn purge_piece(&mut self, now: i64, receipt: &mut Receipt) -> Result<Progress, StoreError> {
        if receipt.classes.is_empty() {
            receipt.classes =
                CLASSES.iter().map(|c| ClassReceipt { class: c.word(), rows: 0, keys: 0, held_back: 0, remaining: 0 }).collect();
        }
        for (class, told) in CLASSES.into_iter().zip(&mut receipt.classes) {
            // Rows of a class lie in order of time, give or take a moment: a piece without an expired row is the end.
            let gone = match class {
                RecordClass::Access => self.db.prepare_cached("DELETE FROM access WHERE expires <= ?1")?.execute([now])?,
                RecordClass::Contacts => self.purge_past(now)?,
                _ => self
                    .db
                    .prepare_cached(
                        "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3) AND expires <= ?4",
                    )?
                    .execute(params![first_id(class), first_id(class) + (1 << 56), PIECE, now])?,
            };
            told.rows += gone as u64;
            if gone > 0 && class != RecordClass::Access {
                return Ok(Progress::More);
            }
        }
        for (class, told) in CLASSES.into_iter().zip(&mut receipt.classes) {
            let keys = self.ring.drop_expired(class, now)? as u64;
            told.keys += keys;
            if class == RecordClass::Contacts && keys > 0 {
                self.past.forget();
            }
            let count = match class {
                RecordClass::Access => self.db.query_row("SELECT count(*) FROM access", [], |r| r.get::<_, i64>(0))?,
                RecordClass::Contacts => {
                    let count = "SELECT (SELECT count(*) FROM past) + (SELECT count(*) FROM circle) + (SELECT count(*) FROM rate)";
                    self.db.query_row(count, [], |r| r.get::<_, i64>(0))?
                }
                _ => self.drop_batches(class, now)?,
            };
            told.remaining = count as u64;
        }
        receipt.counts = tally::purge(&self.db, now)? as u64;
        if receipt.classes.iter().any(|c| c.rows + c.keys > 0) {
            self.give_back_space()?;
        }
        receipt.time = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
        Ok(Progress::Done)
    }

    /// One piece of what the index of past mail is to forget; says how many rows went.
    fn purge_past(&mut self, now: i64) -> Result<usize, StoreError> {
        let mut gone = 0;
        for (table, key) in past::TABLES.into_iter().zip(["period, hash", "period, hash", "period, hash, bucket"]) {
            let forget =
                format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires <= ?1 ORDER BY expires LIMIT ?2)");
            gone += self.db.prepare_cached(&forget)?.execute(params![now, PIECE])?;
        }
        Ok(gone)
    }

    /// Index batches go with their last row. Says how many rows of the class are left, by its numbers.
    fn drop_batches(&mut self, class: RecordClass, now: i64) -> Result<i64, StoreError> {
        let of_class = params![first_id(class), first_id(class) + (1 << 56)];
        let oldest: Option<i64> = self.db.query_row("SELECT min(id) FROM record WHERE id >= ?1 AND id < ?2", of_class, |r| r.get(0))?;
        let floor = oldest.unwrap_or(i64::MAX);
        self.db.execute("DELETE FROM batch WHERE class = ?1 AND last < ?2 AND newest < ?3", params![class.number(), floor, now])?;
        let newest: Option<i64> = self.db.query_row("SELECT max(id) FROM record WHERE id >= ?1 AND id < ?2", of_class, |r| r.get(0))?;
        Ok(oldest.zip(newest).map_or(0, |(oldest, newest)| newest - oldest + 1))
    }

    /// Deleted content is already overwritten (`secure_delete`); this shortens the file, and empties the log that held it.
    fn give_back_space(&mut self) -> Result<(), StoreError> {
        let mut vacuum = self.db.prepare("PRAGMA incremental_vacuum(2000)")?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
        drop(rows);
        drop(vacuum);
        // A reader in the middle of something keeps the log; the next purge empties it.
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }
}
