//! Rectification: what somebody says is wrong is noted beside the row, and shown with it wherever the row is shown. The row itself
//! says what the gateway did, and stays (UK GDPR Article 16: "by means of providing a supplementary statement").
//!
//! A note is sealed under its row's own key, so that it goes when the row goes.

use aws_lc_rs::aead::NONCE_LEN;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::search::{self, Found};
use crate::records::database::{Statements, values};
use crate::records::holds::{Net, Scope};
use crate::records::keeping::{Keeping, next_number, reading};
use crate::records::keyring::Keyring;
use crate::records::sealing::{RowPlace, Table};
use crate::records::{RecordClass, StoreError};

/// What was noted of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub time: Timestamp,
    /// Who wrote it down.
    pub by: String,
    pub text: String,
}

impl Keeping {
    /// Notes something of the rows of a message that are this person's; says how many. What only a hold keeps is left as it is: a case
    /// needs it as it was.
    pub fn annotate(&mut self, person: &str, reference: &str, note: &Note) -> Result<usize, StoreError> {
        let scope = Scope { person: Some(person.into()), reference: Some(reference.into()), ..Scope::default() };
        let Keeping { db, ring, nonces, .. } = self;
        let mut rows = Vec::new();
        reading(db, |tx| {
            search::live(tx, ring, &scope, &mut |found: Found, _| {
                rows.push((found.id, found.class, found.period, found.expires));
                Ok(())
            })
        })?;
        db.transaction(|tx| {
            for (record, class, starts, expires) in &rows {
                let Some(period) = ring.period(*class, *starts)? else { continue };
                let id = next_number(tx, "note")?;
                let mut sealed = vec![0; NONCE_LEN];
                serde_json::to_writer(&mut sealed, note).map_err(|_| StoreError::Damaged)?;
                let place = RowPlace { table: Table::Note, row: id, class: *class, period: *starts };
                period.key.seal(&place, nonces, &mut sealed)?;
                tx.execute(
                    "INSERT INTO note (id, record, class, period, expires, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    values![id, *record, i64::from(class.number()), *starts, *expires, &sealed],
                )?;
            }
            Ok(rows.len())
        })
    }
}

/// The notes of a row, as they are sealed.
pub(in crate::records) fn sealed_notes(tx: &mut (dyn Statements + '_), record: i64) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    tx.all("SELECT id, sealed FROM note WHERE record = ?1 ORDER BY id", values![record], |row| {
        Ok((row.integer(0)?, row.octets(1)?.to_vec()))
    })
}

/// The notes of a row, from beside it and from what a hold keeps.
pub(in crate::records) fn of_row(
    tx: &mut (dyn Statements + '_),
    ring: &Keyring,
    net: &Net,
    class: RecordClass,
    starts: i64,
    record: i64,
) -> Result<Vec<Note>, StoreError> {
    let mut notes = std::collections::BTreeMap::new();
    if let Some(period) = ring.period(class, starts)? {
        for (id, mut sealed) in sealed_notes(tx, record)? {
            let place = RowPlace { table: Table::Note, row: id, class, period: starts };
            if let Some(note) = period.key.open(&place, &mut sealed).ok().and_then(|plain| serde_json::from_slice(plain).ok()) {
                notes.insert(id, note);
            }
        }
    }
    for (id, plain) in net.notes(tx, record)? {
        if let Ok(note) = serde_json::from_slice(&plain) {
            notes.entry(id).or_insert(note);
        }
    }
    Ok(notes.into_values().collect())
}

/// Notes go with their rows.
pub(in crate::records) fn purge(tx: &mut (dyn Statements + '_), now: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM note WHERE expires <= ?1", values![now])
}
