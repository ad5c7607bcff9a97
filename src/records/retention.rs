//! Purging on time: rows by class and period, then the period's key, then the space they took.
//!
//! A row goes when its own time has come; the key of its period when the last row of the period has expired, which also erases
//! what backups of the database still hold. What a hold covers is kept under the hold's key first ([`super::holds`]). Work is done in
//! pieces, each a transaction of its own, so that the writer never keeps the queue waiting for long; what is done by which time is
//! [`super::guard`]'s to say, and what was done is in the receipt ([`super::receipts`]).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::database::{Database, Statements, values};
use super::guard::{self, Clock};
use super::holds::{self, Net};
use super::keeping::reading;
use super::keyring::{Keyring, millis};
use super::store::{SERIAL, Store, first_id};
use super::{RecordClass, StoreError, access, past, receipts, rights, tally};

pub use super::receipts::{ClassReceipt, Receipt};

/// The classes that this database holds.
pub(super) const CLASSES: [RecordClass; 4] = [RecordClass::Events, RecordClass::Incidents, RecordClass::Access, RecordClass::Contacts];
/// Rows in one piece of work.
pub(super) const PIECE: i64 = 5_000;
/// How long the command line waits for another purge to end.
const PATIENCE: Duration = Duration::from_secs(90);
/// A purge that did nothing leaves a receipt once in so many milliseconds, so that its silence is noticed.
const DAILY: i64 = 86_400_000;

/// Whether a purge has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    More,
    Done,
}

/// How often a purge is due: hourly, and more often where the retention is short.
pub(super) fn interval(store: &Store) -> Duration {
    every(&store.options)
}

/// The same, for whoever asks when the next one comes.
pub fn every(options: &super::Options) -> Duration {
    let shortest = CLASSES.iter().map(|c| options.retention_of(*c)).min().unwrap_or(Duration::MAX);
    (shortest / 4).clamp(Duration::from_millis(250), Duration::from_secs(3600))
}

impl Store {
    /// A retention that was made shorter since the last run holds for what is already there; one that was made longer does not:
    /// what people were told when they wrote stays true.
    pub(super) fn apply_retention(&mut self) -> Result<(), StoreError> {
        for class in CLASSES {
            let now = millis(self.options.retention_of(class));
            let before = "SELECT milliseconds FROM retention WHERE class = ?1";
            let number = i64::from(class.number());
            let before = self.db.statements().first(before, values![number], |row| row.integer(0))?;
            if before == Some(now) {
                continue;
            }
            let shorter = before.map(|b| b - now).filter(|d| *d > 0);
            self.db.transaction(|tx| {
                tx.serial(SERIAL)?;
                if let Some(shorter) = shorter {
                    match class {
                        RecordClass::Access => drop(tx.execute("UPDATE access_log SET expires = expires - ?1", values![shorter])?),
                        RecordClass::Contacts => {
                            for table in past::TABLES {
                                tx.execute(&format!("UPDATE {table} SET expires = expires - ?1"), values![shorter])?;
                            }
                        }
                        _ => {
                            for table in ["record", "note"] {
                                let shorten = format!("UPDATE {table} SET expires = expires - ?1 WHERE class = ?2");
                                tx.execute(&shorten, values![shorter, number])?;
                            }
                        }
                    }
                }
                tx.execute(
                    "INSERT INTO retention (class, milliseconds) VALUES (?1, ?2) ON CONFLICT (class) DO UPDATE SET milliseconds = excluded.milliseconds",
                    values![number, now],
                )?;
                Ok(())
            })?;
            if shorter.is_some() {
                self.ring.shorten(class, self.options.retention_of(class))?;
                self.past.forget();
            }
        }
        Ok(())
    }

    /// Does one piece of the purge and adds it to the receipt. `wall` is the time that the clock shows.
    pub(super) fn purge_piece(&mut self, wall: i64, receipt: &mut Receipt) -> Result<Progress, StoreError> {
        if receipt.classes.is_empty() {
            self.begin_purge(wall, receipt)?;
        }
        let now = receipt.time.as_millisecond();
        for (i, class) in CLASSES.into_iter().enumerate() {
            let gone = match class {
                RecordClass::Access => self.purge_access(now, i, receipt)?,
                RecordClass::Contacts => self.purge_past(now, i, receipt)?,
                _ => self.purge_rows(class, now, i, receipt)?,
            };
            if gone > 0 {
                return Ok(Progress::More);
            }
        }
        self.end_purge(now, receipt)?;
        Ok(Progress::Done)
    }

    /// Settles by which time is purged, ends the holds whose time is over, and goes on with what an interrupted purge had done.
    fn begin_purge(&mut self, wall: i64, receipt: &mut Receipt) -> Result<(), StoreError> {
        let elapsed = self.purged.map_or(0, |at: Instant| millis(at.elapsed()));
        self.purged = Some(Instant::now());
        let (ring, confirmed, asked) = (&mut self.ring, receipt.confirmed, receipt.asked);
        let holder = self.purger;
        let (time, before, ended) = self.db.transaction(|tx| {
            tx.serial(SERIAL)?;
            let before = receipts::claim(tx, holder, wall)?;
            let time = guard::time(tx, elapsed, wall, confirmed)?;
            Ok((time, before, holds::lapse(tx, ring, time.now)?))
        })?;
        for case in ended {
            tracing::info!(event = "hold_ended", case, "a hold of records has ended by itself");
        }
        *receipt = Receipt { confirmed, asked, ..before.unwrap_or_default() };
        receipt.time = Timestamp::from_millisecond(time.now).map_err(|_| StoreError::Damaged)?;
        receipt.clock_ahead = if let Clock::Ahead(by) = time.clock { Some(by) } else { None };
        if let Some(by) = receipt.clock_ahead {
            tracing::error!(
                event = "purge_clock",
                days = by / 86_400_000,
                "the clock is ahead of what can be true: records are purged by the time that has really passed. If the clock is right: lychgate retention run --confirm"
            );
        }
        receipt.under(&self.options, &CLASSES);
        if receipt.classes.len() != CLASSES.len() {
            let none = |c: &RecordClass| ClassReceipt { class: c.word().into(), rows: 0, keys: 0, held_back: 0, remaining: 0 };
            receipt.classes = CLASSES.iter().map(none).collect();
        }
        Ok(())
    }

    /// One piece of a class of rows: the oldest that have expired; where there are none, what is left of periods whose keys are to go.
    fn purge_rows(&mut self, class: RecordClass, now: i64, i: usize, receipt: &mut Receipt) -> Result<u64, StoreError> {
        // Rows of a class lie in order of time, give or take a moment.
        let front = "SELECT id FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3";
        let (first, end) = (first_id(class), first_id(class) + (1 << 56));
        let gone = self.purge_some_rows(class, front, [first, end, PIECE], now, i, receipt)?;
        if gone > 0 {
            return Ok(gone);
        }
        // Where a clock was wrong for a while they do not; but none may stay behind when its key goes.
        for starts in self.ring.due(class, now)? {
            let ranges = "SELECT first, last FROM batch WHERE class = ?1 AND period = ?2";
            let of = values![i64::from(class.number()), starts];
            let batches = self.db.statements().all(ranges, of, |row| Ok((row.integer(0)?, row.integer(1)?)))?;
            for (first, last) in batches {
                let left = format!("SELECT id FROM record WHERE id BETWEEN ?1 AND ?2 AND period = {starts} ORDER BY id LIMIT ?3");
                let gone = self.purge_some_rows(class, &left, [first, last, PIECE], i64::MAX, i, receipt)?;
                if gone > 0 {
                    return Ok(gone);
                }
            }
            // The index of a period goes with its last row.
            let dropped = "DELETE FROM batch WHERE class = ?1 AND period = ?2";
            self.db.statements().execute(dropped, values![i64::from(class.number()), starts])?;
        }
        Ok(0)
    }

    /// Keeps for the holds and deletes what has expired of the rows that `which` selects, in one transaction.
    fn purge_some_rows(
        &mut self,
        class: RecordClass,
        which: &str,
        [from, to, most]: [i64; 3],
        expired: i64,
        i: usize,
        receipt: &mut Receipt,
    ) -> Result<u64, StoreError> {
        let (ring, nonces, holder) = (&self.ring, &mut self.nonces, self.purger);
        let bounds = values![from, to, most, expired];
        let gone = self.db.transaction(|tx| {
            tx.serial(SERIAL)?;
            let net = Net::all(tx, ring)?;
            net.is_whole()?;
            if !net.is_empty() {
                let piece = format!("SELECT id, period, expires, sealed FROM record WHERE id IN ({which}) AND expires <= ?4");
                net.keep(tx, ring, nonces, class, &piece, bounds, to)?;
            }
            let gone = tx.execute(&format!("DELETE FROM record WHERE id IN ({which}) AND expires <= ?4"), bounds)?;
            if gone > 0 {
                count_removed(tx, class, gone)?;
                receipt.classes[i].rows += gone;
                receipts::note(tx, holder, receipt)?;
            }
            Ok(gone)
        });
        // What was rolled back was not done.
        gone.inspect_err(|_| receipt.classes.clear())
    }

    fn purge_access(&mut self, now: i64, i: usize, receipt: &mut Receipt) -> Result<u64, StoreError> {
        let (holder, ring, options) = (self.purger, &mut self.ring, &self.options);
        access::chain::adopt(&mut self.db, ring)?;
        let gone = self.db.transaction(|tx| {
            let (gone, anchor) = access::chain::purge(tx, ring, options, now, PIECE)?;
            if gone > 0 {
                receipt.classes[i].rows += gone;
                receipt.access_log = anchor;
                receipts::note(tx, holder, receipt)?;
            }
            Ok(gone)
        });
        gone.inspect_err(|_| receipt.classes.clear())
    }

    /// One piece of what the index of past mail is to forget; says how many rows went.
    fn purge_past(&mut self, now: i64, i: usize, receipt: &mut Receipt) -> Result<u64, StoreError> {
        let holder = self.purger;
        let gone = self.db.transaction(|tx| {
            tx.serial(SERIAL)?;
            let mut gone = 0;
            for (table, key) in past::TABLES.into_iter().zip(["period, hash", "period, hash", "period, hash, bucket"]) {
                let forget = format!(
                    "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE expires <= ?1 ORDER BY expires LIMIT ?2)"
                );
                gone += tx.execute(&forget, values![now, PIECE])?;
            }
            if gone > 0 {
                receipt.classes[i].rows += gone;
                receipts::note(tx, holder, receipt)?;
            }
            Ok(gone)
        });
        gone.inspect_err(|_| receipt.classes.clear())
    }

    /// Drops keys, counts what is left, signs the receipt and gives back the space.
    fn end_purge(&mut self, now: i64, receipt: &mut Receipt) -> Result<(), StoreError> {
        for (class, told) in CLASSES.into_iter().zip(&mut receipt.classes) {
            let keys = self.ring.drop_expired(class, now)? as u64;
            told.keys += keys;
            if class == RecordClass::Contacts && keys > 0 {
                self.past.forget();
            }
        }
        let holder = self.purger;
        self.db.transaction(|tx| receipts::note(tx, holder, receipt))?;
        self.ring.forget_erasures(now)?;
        let signer = receipts::signer(&mut self.ring)?;
        let closed = now - millis(self.options.retention_of(RecordClass::Access));
        let ring = &self.ring;
        let signed = self.db.transaction(|tx| {
            tx.serial(SERIAL)?;
            receipt.counts += tally::purge(tx, now)?;
            rights::notes::purge(tx, now)?;
            access::requests::purge(tx, now)?;
            tx.execute("DELETE FROM request WHERE closed > 0 AND closed <= ?1", values![closed])?;
            let (by_class, cases) = Net::all(tx, ring)?.held_back(tx, now)?;
            receipt.held_back = cases;
            for (class, told) in CLASSES.into_iter().zip(&mut receipt.classes) {
                told.held_back = by_class.get(&i64::from(class.number())).copied().unwrap_or(0);
                told.remaining = remaining(tx, class)?;
            }
            let due = receipts::last_made(tx)?.is_none_or(|made| now - made >= DAILY);
            receipts::release(tx)?;
            if receipt.is_idle() && !receipt.confirmed && !receipt.asked && !due {
                return Ok(None);
            }
            receipts::issue(tx, &signer, receipt).map(Some)
        });
        let signed = signed.inspect_err(|_| receipt.classes.clear())?;
        if let Some(signed) = signed {
            let signature = receipts::hex(&signed.signature);
            tracing::info!(event = "purge_receipt", receipt = signed.body, signature, "records were purged");
        }
        if !receipt.is_idle() {
            self.db.reclaim()?;
        }
        Ok(())
    }
}

/// Purges now, on this thread: for the command line, beside a gateway that runs or without one. Waits for a purge that is under way.
pub fn run(options: &super::Options, confirmed: bool) -> Result<Receipt, StoreError> {
    let mut store = Store::open(options)?;
    store.apply_retention()?;
    let until = Instant::now() + PATIENCE;
    loop {
        let mut receipt = Receipt { asked: true, confirmed, ..Receipt::default() };
        let done = loop {
            match store.purge_piece(Timestamp::now().as_millisecond(), &mut receipt) {
                Ok(Progress::More) => {}
                Ok(Progress::Done) => break Ok(receipt),
                Err(error) => break Err(error),
            }
        };
        match done {
            Err(StoreError::PurgeUnderWay) if Instant::now() < until => std::thread::sleep(Duration::from_millis(50)),
            done => return done,
        }
    }
}

/// Rows of a class that are there: as many as were numbered, less those that were taken away. Numbers are never used twice.
pub(super) fn remaining(tx: &mut (dyn Statements + '_), class: RecordClass) -> Result<u64, StoreError> {
    let number = i64::from(class.number());
    let left = match class {
        RecordClass::Access => tx.number("SELECT count(*) FROM access_log", &[])?,
        RecordClass::Contacts => {
            tx.number("SELECT (SELECT count(*) FROM past) + (SELECT count(*) FROM circle) + (SELECT count(*) FROM rate)", &[])?
        }
        _ => {
            let numbered = numbered(tx, class)?;
            let gone = tx.first("SELECT total FROM removed WHERE class = ?1", values![number], |row| row.integer(0))?;
            match gone {
                Some(gone) => numbered - gone,
                // A store that was made before this was counted: its rows are counted once.
                None => {
                    let all = "SELECT count(*) FROM record WHERE id >= ?1 AND id < ?2";
                    let there = tx.number(all, values![first_id(class), first_id(class) + (1 << 56)])?;
                    tx.execute("INSERT INTO removed (class, total) VALUES (?1, ?2)", values![number, numbered - there])?;
                    there
                }
            }
        }
    };
    Ok(left.max(0).cast_unsigned())
}

fn numbered(tx: &mut (dyn Statements + '_), class: RecordClass) -> Result<i64, StoreError> {
    let next = tx.first("SELECT next FROM sequence WHERE class = ?1", values![i64::from(class.number())], |row| row.integer(0))?;
    Ok(next.map_or(0, |next| next - first_id(class) - 1))
}

/// Rows of a class were deleted.
pub(super) fn count_removed(tx: &mut (dyn Statements + '_), class: RecordClass, rows: u64) -> Result<(), StoreError> {
    // Only where it is counted already; otherwise the first count sees what is there.
    let add = "UPDATE removed SET total = total + ?2 WHERE class = ?1";
    tx.execute(add, values![i64::from(class.number()), rows.cast_signed()])?;
    Ok(())
}

/// How a class stands, for `retention show`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    pub class: String,
    /// How long a row is kept, in milliseconds.
    pub retention: i64,
    pub rows: u64,
    /// When the oldest row is to go; none if there is none.
    pub oldest_expires: Option<Timestamp>,
    /// Rows whose time is over and that a hold keeps.
    pub held_back: u64,
}

/// How the record stands with its retention.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Overview {
    pub classes: Vec<Standing>,
    pub held_back: BTreeMap<String, u64>,
    /// By which time was purged last; none before the first time.
    pub purged: Option<Timestamp>,
    /// By how much the clock is ahead of what is believed, in milliseconds; 0 while it is believed.
    pub clock_ahead: i64,
}

pub(super) fn overview(db: &mut Database, ring: &Keyring, options: &super::Options, now: i64) -> Result<Overview, StoreError> {
    let mut rows = Vec::new();
    for class in CLASSES {
        rows.push(db.transaction(|tx| remaining(tx, class))?);
    }
    reading(db, |tx| {
        let (by_class, held_back) = Net::all(tx, ring)?.held_back(tx, now)?;
        let mut classes = Vec::new();
        for (class, rows) in CLASSES.into_iter().zip(rows) {
            let (from, to) = (first_id(class), first_id(class) + (1 << 56));
            let oldest = match class {
                RecordClass::Access => tx.first("SELECT expires FROM access_log ORDER BY number LIMIT 1", &[], |row| row.integer(0))?,
                RecordClass::Contacts => tx.first("SELECT min(expires) FROM past", &[], |row| row.optional(0))?.flatten(),
                _ => {
                    let first = "SELECT expires FROM record WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
                    tx.first(first, values![from, to], |row| row.integer(0))?
                }
            };
            classes.push(Standing {
                class: class.word().into(),
                retention: millis(options.retention_of(class)),
                rows,
                oldest_expires: oldest.and_then(|o| Timestamp::from_millisecond(o).ok()),
                held_back: by_class.get(&i64::from(class.number())).copied().unwrap_or(0),
            });
        }
        let last = guard::last(tx)?;
        Ok(Overview {
            classes,
            held_back,
            purged: last.and_then(|(seen, _)| Timestamp::from_millisecond(seen).ok()),
            clock_ahead: last.map_or(0, |(_, ahead)| ahead),
        })
    })
}

#[cfg(test)]
mod tests;
