//! The database of the record: its tables, and the one transaction in which a group of entries is written.

use std::time::Duration;

use aws_lc_rs::aead::NONCE_LEN;

use super::database::{Database, Durability, Schema, Statements, values};
use super::entry::{Entry, Kept};
use super::keyring::{Keyring, millis};
use super::place::Options;
use super::row;
use super::sealing::{Nonces, RowPlace, Table, random_octets};
use super::tally::Tally;
use super::{RecordClass, StoreError, past};
use crate::observe::crash::{self, Point};
use crate::policy::past::{Answer, Question};

pub(super) const SCHEMA: Schema = Schema {
    part: "record",
    // The tables of databases that were made before there were versions are the same.
    versions: &["CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, class INTEGER NOT NULL, period INTEGER NOT NULL,
                                            expires INTEGER NOT NULL, sealed BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS batch (id INTEGER PRIMARY KEY, class INTEGER NOT NULL, period INTEGER NOT NULL, level INTEGER NOT NULL,
                                           first INTEGER NOT NULL, last INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL,
                                           rows INTEGER NOT NULL, hashes BLOB NOT NULL);
         CREATE INDEX IF NOT EXISTS batch_of ON batch (class, period, level);
         CREATE TABLE IF NOT EXISTS sequence (class INTEGER PRIMARY KEY, next INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS tally (hour INTEGER NOT NULL, kind INTEGER NOT NULL, name TEXT NOT NULL, count INTEGER NOT NULL,
                                           PRIMARY KEY (hour, kind, name)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS access (id INTEGER PRIMARY KEY AUTOINCREMENT, period INTEGER NOT NULL, expires INTEGER NOT NULL,
                                            sealed BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS retention (class INTEGER PRIMARY KEY, milliseconds INTEGER NOT NULL)"],
};

/// Under which word those write who share the database.
pub(super) const SERIAL: &str = "record";

/// The database and the keys, owned by one thread.
pub(super) struct Store {
    pub(super) db: Database,
    /// When a purge last began, by the steady clock.
    pub(super) purged: Option<std::time::Instant>,
    /// What names this process among those that could purge.
    pub(super) purger: i64,
    pub(super) ring: Keyring,
    pub(super) options: Options,
    pub(super) nonces: Nonces,
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
    /// Opens what [`super::prepare`] made.
    pub(super) fn open(options: &Options) -> Result<Store, StoreError> {
        let ring = options.open_ring()?;
        // A mandatory row is on the disk before its message goes on; otherwise a power cut may cost the last moment's rows.
        let mandatory = options.monitoring.is_some_and(|m| m.mandatory);
        let mut db = Database::open(&options.database, if mandatory { Durability::Full } else { Durability::Relaxed })?;
        migrate(&mut db)?;
        super::site::same(&mut db, &ring, options)?;
        Ok(Store {
            db,
            purged: None,
            purger: i64::from_be_bytes(random_octets()?),
            ring,
            options: options.clone(),
            nonces: Nonces::new(),
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
        for (_, entry) in completed {
            tally.complete(entry);
        }
        self.batches.clear();
        let Store { db, ring, options, nonces, batches, past, .. } = self;
        let keep_subject = options.monitoring.is_some_and(|m| m.subject);
        db.transaction(|tx| {
            // Gateways that share the database take turns: what they merge and count they would otherwise take from one another.
            tx.serial(SERIAL)?;
            let mut next = [0; 2];
            for (i, class) in [RecordClass::Events, RecordClass::Incidents].into_iter().enumerate() {
                if counts[i] > 0 {
                    next[i] = take_numbers(tx, class, counts[i])?;
                }
            }
            let mut rows = Vec::with_capacity((counts[0] + counts[1]) as usize);
            for entry in entries.clone() {
                let Kept::Row(class) = entry.kept(monitored) else {
                    places.push(None);
                    continue;
                };
                let id = &mut next[usize::from(class == RecordClass::Incidents)];
                let retention = options.retention_of(class);
                let time = entry.time.as_millisecond();
                let period = ring.at(class, time, retention)?;
                let at = Address { id: *id, class, period: period.starts };
                *id += 1;
                let batch = batch_of(batches, at, time);
                let mut sealed = vec![0; NONCE_LEN];
                row::encode(entry, &period.key, keep_subject, &mut sealed, &mut batch.hashes);
                period.key.seal(&at.place(), nonces, &mut sealed)?;
                rows.push((at, time.saturating_add(millis(retention)), sealed));
                places.push(Some(at));
            }
            insert_rows(tx, &rows)?;
            for (at, entry) in completed {
                // The key may be gone if the retention is shorter than the upstream was slow: then there is nothing to complete.
                let Some(period) = ring.period(at.class, at.period)? else { continue };
                let mut sealed = vec![0; NONCE_LEN];
                row::encode(entry, &period.key, keep_subject, &mut sealed, &mut Vec::new());
                period.key.seal(&at.place(), nonces, &mut sealed)?;
                tx.execute("UPDATE record SET sealed = ?2 WHERE id = ?1 AND period = ?3", values![at.id, &sealed, at.period])?;
            }
            for batch in batches.iter_mut() {
                write_batch(tx, batch)?;
            }
            for entry in entries.chain(completed.iter().map(|(_, entry)| *entry)) {
                if let Some(imprint) = entry.imprint() {
                    past::remember(tx, ring, past, options, entry.time.as_millisecond(), imprint)?;
                }
            }
            tally.write(tx)?;
            crash::here(Point::RecordWritten);
            Ok(())
        })?;
        crash::here(Point::RecordCommitted);
        self.batches.clear();
        Ok(places)
    }
}

impl Store {
    /// What the index of past mail says.
    pub(super) fn past(&mut self, question: &Question) -> Result<Answer, StoreError> {
        past::answer(self.db.statements(), &self.ring, &mut self.past, jiff::Timestamp::now().as_millisecond(), question)
    }

    /// What was counted for each key.
    pub(super) fn counted(&mut self, keys: &[String]) -> Result<Vec<Vec<(i64, u64)>>, StoreError> {
        past::counted(self.db.statements(), &self.ring, &mut self.past, jiff::Timestamp::now().as_millisecond(), keys)
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

/// Brings all tables that stand in the record's database to their versions.
pub(super) fn migrate(db: &mut Database) -> Result<(), StoreError> {
    SCHEMAS.iter().try_for_each(|schema| db.migrate(schema))
}

/// All that stand in the record's database.
pub(super) const SCHEMAS: &[&Schema] = &[&SCHEMA, &past::SCHEMA, &super::keeping::SCHEMA, &super::site::SCHEMA, &super::access::SCHEMA];

/// Row numbers are never used twice, so that a late completion cannot reach another message's row.
fn take_numbers(tx: &mut (dyn Statements + '_), class: RecordClass, count: i64) -> Result<i64, StoreError> {
    let take = "INSERT INTO sequence (class, next) VALUES (?1, ?2) ON CONFLICT (class) DO UPDATE SET next = sequence.next + ?3
                RETURNING next";
    let first = first_id(class) + 1;
    let next = tx.first(take, values![i64::from(class.number()), first + count, count], |row| row.integer(0))?;
    Ok(next.ok_or(StoreError::Damaged)? - count)
}

fn insert_rows(tx: &mut (dyn Statements + '_), rows: &[(Address, i64, Vec<u8>)]) -> Result<(), StoreError> {
    let rows: Vec<_> = rows
        .iter()
        .map(|(at, expires, sealed)| values![at.id, i64::from(at.class.number()), at.period, *expires, sealed].to_vec())
        .collect();
    tx.execute_many("INSERT INTO record (id, class, period, expires, sealed) VALUES (?1, ?2, ?3, ?4, ?5)", &rows)?;
    Ok(())
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

fn write_batch(tx: &mut (dyn Statements + '_), batch: &mut Batch) -> Result<(), StoreError> {
    batch.hashes.sort_unstable();
    batch.hashes.dedup();
    let level = i64::from(batch.rows >= SMALL);
    insert_batch(tx, batch, level)?;
    if level == 0 {
        let count = "SELECT count(*) FROM batch WHERE class = ?1 AND period = ?2 AND level = 0";
        if tx.number(count, values![i64::from(batch.class.number()), batch.period])? >= MERGE {
            merge(tx, batch.class, batch.period)?;
        }
    }
    Ok(())
}

fn insert_batch(tx: &mut (dyn Statements + '_), batch: &Batch, level: i64) -> Result<(), StoreError> {
    let mut octets = Vec::with_capacity(batch.hashes.len() * 8);
    for hash in &batch.hashes {
        octets.extend_from_slice(&hash.to_be_bytes());
    }
    let (class, Batch { period, first, last, oldest, newest, rows, .. }) = (i64::from(batch.class.number()), batch);
    tx.execute(
        "INSERT INTO batch (class, period, level, first, last, oldest, newest, rows, hashes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values![class, *period, level, *first, *last, *oldest, *newest, *rows, &octets],
    )?;
    Ok(())
}

/// Makes one batch of many small ones, so that a quiet council's index is not a row for each message.
fn merge(tx: &mut (dyn Statements + '_), class: RecordClass, period: i64) -> Result<(), StoreError> {
    let mut whole: Option<Batch> = None;
    let of = [i64::from(class.number()).into(), period.into()];
    let small = "SELECT first, last, oldest, newest, rows, hashes FROM batch WHERE class = ?1 AND period = ?2 AND level = 0";
    tx.each(small, &of, &mut |r| {
        let hashes = r.octets(5)?.as_chunks::<8>().0.iter().map(|h| u64::from_be_bytes(*h));
        let (first, last, oldest, newest, rows) = (r.integer(0)?, r.integer(1)?, r.integer(2)?, r.integer(3)?, r.integer(4)?);
        match &mut whole {
            Some(batch) => {
                batch.first = batch.first.min(first);
                batch.last = batch.last.max(last);
                batch.oldest = batch.oldest.min(oldest);
                batch.newest = batch.newest.max(newest);
                batch.rows += rows;
                batch.hashes.extend(hashes);
            }
            None => whole = Some(Batch { class, period, first, last, oldest, newest, rows, hashes: hashes.collect() }),
        }
        Ok(())
    })?;
    let Some(mut batch) = whole else { return Ok(()) };
    batch.hashes.sort_unstable();
    batch.hashes.dedup();
    tx.execute("DELETE FROM batch WHERE class = ?1 AND period = ?2 AND level = 0", &of)?;
    insert_batch(tx, &batch, 1)
}
