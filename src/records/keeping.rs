//! The record opened for what is done to it now and then: holds, receipts, people's rights, breaches.
//!
//! A connection of its own, beside the writer's and on whatever thread asks: its transactions are short pieces, so that the writer
//! never waits long for its turn. The tables here stand beside the record's in the same database; what is personal in them is
//! sealed like everything else, under keys that have a number instead of a period.

use aws_lc_rs::aead::NONCE_LEN;
use zeroize::Zeroizing;

use super::database::{Database, Durability, Schema, Statements};
use super::keyring::Keyring;
use super::sealing::{Nonces, PeriodKey, RowPlace, Table};
use super::{Options, RecordClass, StoreError};

pub(super) const SCHEMA: Schema = Schema {
    part: "keeping",
    versions: &["CREATE TABLE case_hold (id INTEGER PRIMARY KEY, expires INTEGER NOT NULL, sealed BLOB NOT NULL);
         CREATE TABLE hold_copy (hold INTEGER NOT NULL, kind INTEGER NOT NULL, id INTEGER NOT NULL, class INTEGER NOT NULL,
                            period INTEGER NOT NULL, expires INTEGER NOT NULL, sealed BLOB NOT NULL,
                            PRIMARY KEY (hold, kind, id)) WITHOUT ROWID;
         CREATE TABLE hold_look_up (hold INTEGER NOT NULL, class INTEGER NOT NULL, period INTEGER NOT NULL, sealed BLOB NOT NULL,
                                    PRIMARY KEY (hold, class, period)) WITHOUT ROWID;
         CREATE TABLE note (id INTEGER PRIMARY KEY, record INTEGER NOT NULL, class INTEGER NOT NULL, period INTEGER NOT NULL,
                            expires INTEGER NOT NULL, sealed BLOB NOT NULL);
         CREATE INDEX note_record ON note (record);
         CREATE TABLE request (id INTEGER PRIMARY KEY, closed INTEGER NOT NULL, sealed BLOB NOT NULL);
         CREATE TABLE erased (id INTEGER PRIMARY KEY);
         CREATE TABLE receipt (number INTEGER PRIMARY KEY, made INTEGER NOT NULL, body TEXT NOT NULL, signature BLOB NOT NULL);
         CREATE TABLE purging (one INTEGER PRIMARY KEY, holder INTEGER NOT NULL, touched INTEGER NOT NULL, body TEXT NOT NULL);
         CREATE TABLE purge_clock (one INTEGER PRIMARY KEY, seen INTEGER NOT NULL, ahead INTEGER NOT NULL, since INTEGER NOT NULL);
         CREATE TABLE removed (class INTEGER PRIMARY KEY, total INTEGER NOT NULL)"],
};

/// The record, its keys, and what sealing needs.
pub struct Keeping {
    pub(super) db: Database,
    pub(super) ring: Keyring,
    pub(super) nonces: Nonces,
    pub(super) options: Options,
}

impl Keeping {
    /// Opens what [`super::prepare`] made. Errors if it is not there, or the key is another's.
    pub fn open(options: &Options) -> Result<Keeping, StoreError> {
        let ring = options.open_ring()?;
        let mut db = Database::open(&options.database, Durability::Full)?;
        super::store::migrate(&mut db)?;
        super::site::same(&mut db, &ring, options)?;
        Ok(Keeping { db, ring, nonces: Nonces::new(), options: options.clone() })
    }
}

/// Reads outside a transaction: on SQLite one would keep the writer waiting, and a person's rows may take seconds to go through. A row
/// that a purge takes away meanwhile is in what a hold keeps before it goes, which is why that is read last.
pub(super) fn reading<T>(
    db: &mut Database,
    act: impl FnOnce(&mut (dyn Statements + '_)) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    act(db.statements())
}

/// A key with a number, and the seals made with it.
#[derive(Clone)]
pub(super) struct Named {
    class: RecordClass,
    number: i64,
    key: std::sync::Arc<PeriodKey>,
}

impl Named {
    pub(super) fn new(class: RecordClass, number: i64, key: &[u8; 32]) -> Named {
        Named { class, number, key: std::sync::Arc::new(PeriodKey::new(key)) }
    }

    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// The one key of a class.
    pub(super) fn only(ring: &mut Keyring, class: RecordClass) -> Result<Named, StoreError> {
        Ok(Named::new(class, 0, &*ring.named(class, 0)?))
    }

    pub(super) fn seal(&self, nonces: &mut Nonces, table: Table, row: i64, octets: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = Vec::with_capacity(octets.len() + super::sealing::OVERHEAD);
        sealed.resize(NONCE_LEN, 0);
        sealed.extend_from_slice(octets);
        self.key.seal(&self.place(table, row), nonces, &mut sealed)?;
        Ok(sealed)
    }

    pub(super) fn open(&self, table: Table, row: i64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let mut sealed = Zeroizing::new(sealed.to_vec());
        Ok(Zeroizing::new(self.key.open(&self.place(table, row), &mut sealed)?.to_vec()))
    }

    pub(super) fn seal_json<T: serde::Serialize>(
        &self,
        nonces: &mut Nonces,
        table: Table,
        row: i64,
        value: &T,
    ) -> Result<Vec<u8>, StoreError> {
        let octets = Zeroizing::new(serde_json::to_vec(value).map_err(|_| StoreError::Damaged)?);
        self.seal(nonces, table, row, &octets)
    }

    pub(super) fn open_json<T: serde::de::DeserializeOwned>(&self, table: Table, row: i64, sealed: &[u8]) -> Result<T, StoreError> {
        serde_json::from_slice(&self.open(table, row, sealed)?).map_err(|_| StoreError::Damaged)
    }

    fn place(&self, table: Table, row: i64) -> RowPlace {
        RowPlace { table, row, class: self.class, period: self.number }
    }
}

/// A number for a new row: after all that are there.
pub(super) fn next_number(tx: &mut (dyn Statements + '_), table: &str) -> Result<i64, StoreError> {
    Ok(tx.number(&format!("SELECT max(id) FROM {table}"), &[])? + 1)
}
