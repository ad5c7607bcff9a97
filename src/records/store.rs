//! The database of the record: its tables, and the one transaction in which a group of entries is written.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::aead::NONCE_LEN;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::database::{Database, Durability, Location};
use super::entry::{Entry, Kept};
use super::keyring::{Keyring, millis};
use super::place::Options;
use super::row;
use super::sealing::{Nonces, RowPlace, SiteKey, Table, random_octets};
use super::tally::Tally;
use super::{RecordClass, StoreError, past};
use crate::observe::crash::{self, Point};
use crate::policy::past::{Answer, Question};

/// The database and the keys, owned by one thread.
pub(super) struct Store {
    pub(super) db: Connection,
    /// The same database, for what is written for both engines.
    pub(super) ledger: Database,
    /// When a purge last began, by the steady clock.
    pub(super) purged: Option<std::time::Instant>,
    /// What names this process among those that could purge.
    pub(super) purger: i64,
    pub(super) ring: Keyring,
    pub(super) options: Options,
    pub(super) nonces: Nonces,
    buffer: Vec<u8>,
    batches: Vec<Batch>,
    pub(super) past: super::past::Periods,
}

/// What one commit adds to the index of one class and period.
struct Batch {
    class: RecordClass,
    period: i64,
    first: i64,
    last: i64,
    oldest: i64,
    newest: i64,
    rows: i64,
    hashes: Vec<u64>,
}

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub id: i64,
    pub class: RecordClass,
    pub period: i64,
}

/// Batches below this many rows are merged, this many at a time.
const SMALL: i64 = 256;
const MERGE: i64 = 32;

/// The highest seven bits of a row's number are its class, so that the rows of a class lie together in order of time.
pub(super) fn first_id(class: RecordClass) -> i64 {
    i64::from(class.number()) << 56
}

impl Store {
    /// Makes the tables in a new file (0600).
    pub(super) fn create(path: &Path) -> Result<(), StoreError> {
        super::place::create_private(path)?;
        let db = connect(path, Sync::Full)?;
        db.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             BEGIN;
             CREATE TABLE record (id INTEGER PRIMARY KEY, class INTEGER NOT NULL, period INTEGER NOT NULL, expires INTEGER NOT NULL, sealed BLOB NOT NULL);
             CREATE TABLE batch (id INTEGER PRIMARY KEY, class INTEGER NOT NULL, period INTEGER NOT NULL, level INTEGER NOT NULL,
                                 first INTEGER NOT NULL, last INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL,
                                 rows INTEGER NOT NULL, hashes BLOB NOT NULL);
             CREATE INDEX batch_of ON batch (class, period, level);
             CREATE TABLE sequence (class INTEGER PRIMARY KEY, next INTEGER NOT NULL);
             CREATE TABLE tally (hour INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
                                 PRIMARY KEY (hour, kind, name)) WITHOUT ROWID;
             CREATE TABLE access (id INTEGER PRIMARY KEY AUTOINCREMENT, period INTEGER NOT NULL, expires INTEGER NOT NULL, sealed BLOB NOT NULL);
             CREATE TABLE retention (class INTEGER PRIMARY KEY, milliseconds INTEGER NOT NULL);
             PRAGMA user_version = 1;
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);",
        )?;
        Ok(())
    }

    /// Opens what [`super::prepare`] made.
    pub(super) fn open(options: &Options) -> Result<Store, StoreError> {
        let site = match (options.key_file.exists(), options.database.exists()) {
            (true, true) => SiteKey::read(&options.key_file)?,
            (true, false) => {
                return Err(StoreError::KeyWithoutDatabase { key: options.key_file.clone(), database: options.database.clone() });
            }
            (false, true) => {
                return Err(StoreError::DatabaseWithoutKey { key: options.key_file.clone(), database: options.database.clone() });
            }
            (false, false) => return Err(StoreError::Absent(options.database.clone())),
        };
        let ring = Keyring::open(&options.key_file, &site)?;
        // A mandatory row is on the disk before its message goes on; otherwise a power cut may cost the last moment's rows.
        let sync = if options.monitoring.is_some_and(|m| m.mandatory) { Sync::Full } else { Sync::Normal };
        let db = connect(&options.database, sync)?;
        super::past::prepare(&db)?;
        let durability = if sync == Sync::Full { Durability::Full } else { Durability::Relaxed };
        let mut ledger = Database::open(&Location::Sqlite(options.database.clone()), durability)?;
        ledger.migrate(&super::keeping::SCHEMA)?;
        Ok(Store {
            db,
            ledger,
            purged: None,
            purger: i64::from_be_bytes(random_octets()?),
            ring,
            options: options.clone(),
            nonces: Nonces::new(),
            buffer: Vec::new(),
            batches: Vec::new(),
            past: Default::default(),
        })
    }

    /// Writes a group in one transaction: all of it or nothing. Says where each row is; none for what is only counted.
    pub(super) fn write<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry> + Clone,
        completed: &[(Address, &'a Entry)],
    ) -> Result<Vec<Option<Address>>, StoreError> {
        let monitored = self.options.monitoring.is_some();
        let mut tally = Tally::default();
        let mut places = Vec::new();
        let mut counts = [0i64; 2];
        for entry in entries.clone() {
            let kept = entry.kept(monitored);
            if kept != Kept::Nothing {
                tally.add(entry);
            }
            if let Kept::Row(class) = kept {
                counts[usize::from(class == RecordClass::Incidents)] += 1;
            }
        }
        self.batches.clear();
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut next = [0; 2];
        for (i, class) in [RecordClass::Events, RecordClass::Incidents].into_iter().enumerate() {
            if counts[i] > 0 {
                next[i] = take_numbers(&tx, class, counts[i])?;
            }
        }
        {
            let mut insert = tx.prepare_cached("INSERT INTO record (id, class, period, expires, sealed) VALUES (?1, ?2, ?3, ?4, ?5)")?;
            let keep_subject = self.options.monitoring.is_some_and(|m| m.subject);
            for entry in entries.clone() {
                let Kept::Row(class) = entry.kept(monitored) else {
                    places.push(None);
                    continue;
                };
                let id = &mut next[usize::from(class == RecordClass::Incidents)];
                let retention = self.options.retention_of(class);
                let time = entry.time.as_millisecond();
                let period = self.ring.at(class, time, retention)?;
                let at = Address { id: *id, class, period: period.starts };
                *id += 1;
                let batch = batch_of(&mut self.batches, at, time);
                self.buffer.clear();
                self.buffer.resize(NONCE_LEN, 0);
                row::encode(entry, &period.key, keep_subject, &mut self.buffer, &mut batch.hashes);
                period.key.seal(&at.place(), &mut self.nonces, &mut self.buffer)?;
                insert.execute(params![at.id, class.number(), at.period, time.saturating_add(millis(retention)), self.buffer])?;
                places.push(Some(at));
            }
            let mut update = tx.prepare_cached("UPDATE record SET sealed = ?2 WHERE id = ?1 AND period = ?3")?;
            for (at, entry) in completed {
                // The key may be gone if the retention is shorter than the upstream was slow: then there is nothing to complete.
                let Some(period) = self.ring.period(at.class, at.period)? else { continue };
                self.buffer.clear();
                self.buffer.resize(NONCE_LEN, 0);
                row::encode(entry, &period.key, keep_subject, &mut self.buffer, &mut Vec::new());
                period.key.seal(&at.place(), &mut self.nonces, &mut self.buffer)?;
                update.execute(params![at.id, self.buffer, at.period])?;
            }
        }
        for batch in &mut self.batches {
            write_batch(&tx, batch)?;
        }
        for entry in entries.chain(completed.iter().map(|(_, entry)| *entry)) {
            if let Some(imprint) = entry.imprint() {
                past::remember(&tx, &mut self.ring, &mut self.past, &self.options, entry.time.as_millisecond(), imprint)?;
            }
        }
        tally.write(&tx)?;
        crash::here(Point::RecordWritten);
        tx.commit()?;
        crash::here(Point::RecordCommitted);
        // One long list must not hold its memory for ever.
        if self.buffer.capacity() > 1 << 20 {
            self.buffer = Vec::new();
        }
        self.batches.clear();
        Ok(places)
    }
}

impl Store {
    /// What the index of past mail says.
    pub(super) fn past(&mut self, question: &Question) -> Result<Answer, StoreError> {
        past::answer(&self.db, &self.ring, &mut self.past, jiff::Timestamp::now().as_millisecond(), question)
    }

    /// What was counted for each key.
    pub(super) fn counted(&mut self, keys: &[String]) -> Result<Vec<Vec<(i64, u64)>>, StoreError> {
        past::counted(&self.db, &self.ring, &mut self.past, jiff::Timestamp::now().as_millisecond(), keys)
    }
}

impl Address {
    pub(super) fn place(&self) -> RowPlace {
        RowPlace { table: Table::Record, row: self.id, class: self.class, period: self.period }
    }
}

impl Options {
    pub(super) fn retention_of(&self, class: RecordClass) -> Duration {
        match class {
            RecordClass::Events => self.retention.events,
            RecordClass::Incidents => self.retention.incidents,
            RecordClass::Held => self.retention.held,
            RecordClass::Access => self.retention.access,
            RecordClass::Custody => super::custody::KEPT,
            RecordClass::Contacts => self.retention.contacts,
            // Their keys have names, not periods: each goes when what it is for is over.
            RecordClass::Holds | RecordClass::Rights | RecordClass::Receipts => Duration::MAX,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    Normal,
    Full,
}

pub(super) fn connect(path: &Path, sync: Sync) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    db.execute_batch(match sync {
        Sync::Normal => "PRAGMA synchronous = NORMAL;",
        Sync::Full => "PRAGMA synchronous = FULL;",
    })?;
    db.execute_batch("PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000; PRAGMA journal_size_limit = 4194304;")?;
    Ok(db)
}

/// Row numbers are never used twice, so that a late completion cannot reach another message's row.
fn take_numbers(tx: &Transaction<'_>, class: RecordClass, count: i64) -> Result<i64, StoreError> {
    let mut take = tx.prepare_cached(
        "INSERT INTO sequence (class, next) VALUES (?1, ?2 + ?3) ON CONFLICT (class) DO UPDATE SET next = next + ?3 RETURNING next - ?3",
    )?;
    Ok(take.query_row(params![class.number(), first_id(class) + 1, count], |r| r.get(0))?)
}

fn batch_of(batches: &mut Vec<Batch>, at: Address, time: i64) -> &mut Batch {
    let i = match batches.iter().position(|b| b.class == at.class && b.period == at.period) {
        Some(i) => i,
        None => {
            batches.push(Batch {
                class: at.class,
                period: at.period,
                first: at.id,
                last: at.id,
                oldest: time,
                newest: time,
                rows: 0,
                hashes: Vec::new(),
            });
            batches.len() - 1
        }
    };
    let batch = &mut batches[i];
    batch.last = batch.last.max(at.id);
    batch.first = batch.first.min(at.id);
    batch.oldest = batch.oldest.min(time);
    batch.newest = batch.newest.max(time);
    batch.rows += 1;
    batch
}

fn write_batch(tx: &Transaction<'_>, batch: &mut Batch) -> Result<(), StoreError> {
    batch.hashes.sort_unstable();
    batch.hashes.dedup();
    let level = u8::from(batch.rows >= SMALL);
    insert_batch(tx, batch, level)?;
    if level == 0 {
        let mut count = tx.prepare_cached("SELECT count(*) FROM batch WHERE class = ?1 AND period = ?2 AND level = 0")?;
        let small: i64 = count.query_row(params![batch.class.number(), batch.period], |r| r.get(0))?;
        if small >= MERGE {
            merge(tx, batch.class, batch.period)?;
        }
    }
    Ok(())
}

fn insert_batch(tx: &Transaction<'_>, batch: &Batch, level: u8) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO batch (class, period, level, first, last, oldest, newest, rows, hashes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    let mut octets = Vec::with_capacity(batch.hashes.len() * 8);
    for hash in &batch.hashes {
        octets.extend_from_slice(&hash.to_be_bytes());
    }
    insert.execute(params![
        batch.class.number(),
        batch.period,
        level,
        batch.first,
        batch.last,
        batch.oldest,
        batch.newest,
        batch.rows,
        octets
    ])?;
    Ok(())
}

/// Makes one batch of many small ones, so that a quiet council's index is not a row for each message.
fn merge(tx: &Transaction<'_>, class: RecordClass, period: i64) -> Result<(), StoreError> {
    let mut whole: Option<Batch> = None;
    {
        let mut select = tx
            .prepare_cached("SELECT first, last, oldest, newest, rows, hashes FROM batch WHERE class = ?1 AND period = ?2 AND level = 0")?;
        let mut rows = select.query(params![class.number(), period])?;
        while let Some(r) = rows.next()? {
            let hashes = r.get_ref(5)?.as_blob().map_err(|_| StoreError::Damaged)?;
            let hashes = hashes.chunks_exact(8).map(|h| u64::from_be_bytes(h.try_into().expect("chunks of eight")));
            let (first, last, oldest, newest, count): (i64, i64, i64, i64, i64) = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?);
            match &mut whole {
                Some(batch) => {
                    batch.first = batch.first.min(first);
                    batch.last = batch.last.max(last);
                    batch.oldest = batch.oldest.min(oldest);
                    batch.newest = batch.newest.max(newest);
                    batch.rows += count;
                    batch.hashes.extend(hashes);
                }
                None => whole = Some(Batch { class, period, first, last, oldest, newest, rows: count, hashes: hashes.collect() }),
            }
        }
    }
    let Some(mut batch) = whole else { return Ok(()) };
    batch.hashes.sort_unstable();
    batch.hashes.dedup();
    tx.prepare_cached("DELETE FROM batch WHERE class = ?1 AND period = ?2 AND level = 0")?.execute(params![class.number(), period])?;
    insert_batch(tx, &batch, 1)
}
