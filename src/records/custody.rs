//! What is in the gateway's own care until it is delivered: a store of its own, fully synchronous, with its own writer.
//!
//! Today that is the gateway's own mail (notices) and the memory of who was told what. A letter is on the disk, sealed, before
//! [`Custody::put`] returns, and stays until it was delivered or given up; a crash in between sends it again at worst.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::aead::NONCE_LEN;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::keyring::{Keyring, millis};
use super::place::Options;
use super::sealing::{Kind, Nonces, RowPlace, SiteKey, Table};
use super::store::{Sync, connect};
use super::{RecordClass, StoreError};

/// Longer than any letter waits and any telling is remembered: when a custody key may go.
pub(super) const KEPT: Duration = Duration::from_secs(15 * 86_400);
/// How long it is remembered that a person was told.
pub const TOLD: Duration = Duration::from_secs(7 * 86_400);

/// The custody store, owned by one thread.
pub struct Custody {
    db: Connection,
    ring: Keyring,
    nonces: Nonces,
}

/// A letter to one person, complete, and what it tells them.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    /// RFC 5322 octets.
    pub message: Vec<u8>,
    /// What names each thing told (rule, message and person), and for how many milliseconds it is not told again.
    pub told: Vec<(Vec<u8>, i64)>,
}

/// A letter that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub id: i64,
    pub to: String,
    pub message: Vec<u8>,
    pub attempts: u32,
}

impl Custody {
    /// Makes the store (0600).
    pub fn create(path: &Path) -> Result<(), StoreError> {
        super::place::create_private(path)?;
        let db = connect(path, Sync::Full)?;
        db.execute_batch(
            "PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             BEGIN;
             CREATE TABLE letter (id INTEGER PRIMARY KEY AUTOINCREMENT, period INTEGER NOT NULL, due INTEGER NOT NULL,
                                  attempts INTEGER NOT NULL, gives_up INTEGER NOT NULL, sealed BLOB NOT NULL);
             CREATE INDEX letter_due ON letter (due);
             CREATE TABLE told (hash BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
             PRAGMA user_version = 1;
             COMMIT;",
        )?;
        Ok(())
    }

    /// Opens what [`super::prepare`] made.
    pub fn open(options: &Options) -> Result<Custody, StoreError> {
        let path = options.custody();
        if !path.exists() {
            return Err(StoreError::Absent(path));
        }
        let ring = Keyring::open(&options.key_file, &SiteKey::read(&options.key_file)?)?;
        Ok(Custody { db: connect(&path, Sync::Full)?, ring, nonces: Nonces::new() })
    }

    /// Whether this was told within the last week.
    pub fn is_told(&mut self, what: &[u8], now: i64) -> Result<bool, StoreError> {
        // Each period has its own hash key, so the memory fades with the keys.
        for period in self.ring.periods(RecordClass::Custody, now - millis(TOLD), i64::MAX)? {
            let hash = period.key.hash_16(Kind::Told, what);
            let mut select = self.db.prepare_cached("SELECT 1 FROM told WHERE hash = ?1 AND expires > ?2")?;
            if select.exists(params![hash, now])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes letters into custody, and remembers what they tell; durable when this returns.
    pub fn put(&mut self, letters: &[Letter], now: i64, gives_up: i64) -> Result<(), StoreError> {
        let period = self.ring.at(RecordClass::Custody, now, KEPT)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for letter in letters {
            tx.execute(
                "INSERT INTO letter (period, due, attempts, gives_up, sealed) VALUES (?1, ?2, 0, ?3, x'')",
                params![period.starts, now, gives_up],
            )?;
            let id = tx.last_insert_rowid();
            let mut sealed = vec![0; NONCE_LEN];
            sealed.extend_from_slice(&(letter.to.len() as u32).to_le_bytes());
            sealed.extend_from_slice(letter.to.as_bytes());
            sealed.extend_from_slice(&letter.message);
            period.key.seal(&place(id, period.starts), &mut self.nonces, &mut sealed)?;
            tx.execute("UPDATE letter SET sealed = ?2 WHERE id = ?1", params![id, sealed])?;
            for (what, kept) in &letter.told {
                let hash = period.key.hash_16(Kind::Told, what);
                tx.execute(
                    "INSERT OR REPLACE INTO told (hash, expires) VALUES (?1, ?2)",
                    params![hash, now.saturating_add((*kept).min(millis(TOLD)))],
                )?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    /// Letters whose time has come, oldest first. One that cannot be opened is removed: nobody could ever send it.
    pub fn due(&mut self, now: i64, most: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut waiting = Vec::new();
        let mut broken = Vec::new();
        {
            let mut select =
                self.db.prepare_cached("SELECT id, period, attempts, sealed FROM letter WHERE due <= ?1 ORDER BY due, id LIMIT ?2")?;
            let mut rows = select.query(params![now, most as i64])?;
            while let Some(r) = rows.next()? {
                let (id, starts, attempts, mut sealed): (i64, i64, u32, Vec<u8>) = (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?);
                let period = self.ring.period(RecordClass::Custody, starts);
                let opened = match &period {
                    Ok(Some(period)) => period.key.open(&place(id, starts), &mut sealed).ok().and_then(parts),
                    Ok(None) => None,
                    // The keyring could not be read just now: that is no reason to throw a letter away.
                    Err(StoreError::Sqlite(_)) => continue,
                    Err(_) => None,
                };
                match opened {
                    Some((to, message)) => waiting.push(Waiting { id, to, message, attempts }),
                    None => broken.push(id),
                }
            }
        }
        for id in broken {
            tracing::error!(event = "notice_unreadable", "a notice could not be opened and was removed");
            self.remove(id)?;
        }
        Ok(waiting)
    }

    /// When the next letter is due.
    pub fn next_due(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.db.query_row("SELECT min(due) FROM letter", [], |r| r.get(0)).optional()?.flatten())
    }

    /// Delivered, or refused for good.
    pub fn remove(&mut self, id: i64) -> Result<(), StoreError> {
        self.db.prepare_cached("DELETE FROM letter WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    /// To be tried again.
    pub fn again(&mut self, id: i64, due: i64) -> Result<(), StoreError> {
        self.db.prepare_cached("UPDATE letter SET attempts = attempts + 1, due = ?2 WHERE id = ?1")?.execute(params![id, due])?;
        Ok(())
    }

    /// Letters that wait.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        Ok(self.db.query_row("SELECT count(*) FROM letter", [], |r| r.get::<_, i64>(0))? as u64)
    }

    /// Drops letters that waited too long, and memory and keys that have expired; says how many letters.
    pub fn tidy(&mut self, now: i64) -> Result<usize, StoreError> {
        let letters = self.db.execute("DELETE FROM letter WHERE gives_up <= ?1", [now])?;
        let told = self.db.execute("DELETE FROM told WHERE expires <= ?1", [now])?;
        let keys = self.ring.drop_expired(RecordClass::Custody, now)?;
        if letters + told + keys > 0 {
            let mut vacuum = self.db.prepare("PRAGMA incremental_vacuum(1000)")?;
            let mut rows = vacuum.query([])?;
            while rows.next()?.is_some() {}
            self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        Ok(letters)
    }
}

fn place(row: i64, period: i64) -> RowPlace {
    RowPlace { table: Table::Notice, row, class: RecordClass::Custody, period }
}

fn parts(plain: &[u8]) -> Option<(String, Vec<u8>)> {
    let (length, rest) = plain.split_first_chunk::<4>()?;
    let (to, message) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((String::from_utf8(to.to_vec()).ok()?, message.to_vec()))
}
