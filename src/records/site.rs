//! Whether the keyring and the database belong together: of one site, and neither older than the other knows.
//!
//! Both bear the site's name. A key is on the disk before anything is sealed with it, and goes after the last row that it sealed; so
//! a row that is still to be kept and has no key means that an older keyring was put in place. That is refused before new keys are
//! made under the same periods, since the right keyring could not be put back afterwards without losing what they sealed.

use jiff::Timestamp;

use super::database::{Database, Durability, Row, Schema, Statements, values};
use super::keyring::{Keyring, millis};
use super::{Options, RecordClass, StoreError};

pub(super) const SCHEMA: Schema = Schema { part: "site", versions: &["CREATE TABLE belongs (site BLOB PRIMARY KEY) WITHOUT ROWID"] };

/// Rows of one period whose key is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    class: RecordClass,
    period: i64,
    rows: u64,
}

/// Errors if they are of different sites.
pub(super) fn same(db: &mut Database, ring: &Keyring, options: &Options) -> Result<(), StoreError> {
    match belongs(db.statements())? {
        Some(site) if site != ring.site() => {
            Err(StoreError::AnotherSite { ring: options.keyring.clone(), database: options.database.clone() })
        }
        _ => Ok(()),
    }
}

fn belongs(tx: &mut (dyn Statements + '_)) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first("SELECT site FROM belongs", &[], |row| Ok(row.octets(0)?.to_vec()))
}

/// Looks at both before a gateway starts, and names the site in a database that has no name yet.
pub(super) fn verify(options: &Options, now: i64) -> Result<(), StoreError> {
    let ring = options.open_ring()?;
    let mut db = Database::open(&options.database, Durability::Full)?;
    super::store::migrate(&mut db)?;
    same(&mut db, &ring, options)?;
    let lost = lost(&mut db, &ring, options, now)?;
    if let Some(first) = lost.first() {
        let rows = lost.iter().map(|l| l.rows).sum();
        let since = lost.iter().filter(|l| l.class.has_periods()).map(|l| l.period).min();
        let since = Timestamp::from_millisecond(since.unwrap_or(first.period)).unwrap_or_default();
        let (ring, database) = (options.keyring.clone(), options.database.clone());
        return Err(StoreError::RingOlder { ring, database, periods: lost.len(), rows, since });
    }
    name(&mut db, &ring)
}

/// Writes the site's name into its database.
pub(super) fn name(db: &mut Database, ring: &Keyring) -> Result<(), StoreError> {
    if belongs(db.statements())?.is_none() {
        db.statements().execute("INSERT INTO belongs (site) VALUES (?1) ON CONFLICT (site) DO NOTHING", values![&ring.site()[..]])?;
    }
    Ok(())
}

/// What is to be kept and has no key. The index of what has expired without a key goes: no purge would come by it any more.
fn lost(db: &mut Database, ring: &Keyring, options: &Options, now: i64) -> Result<Vec<Lost>, StoreError> {
    // The rows first: a key that one needs is there before it.
    let mut needs = Vec::new();
    let mut need = |row: &dyn Row, class: i64, at: usize| {
        needs.push((class, row.integer(at)?, row.integer(at + 1)?.cast_unsigned(), row.integer(at + 2)?));
        Ok(())
    };
    let tx = db.statements();
    let index = "SELECT class, period, CAST(sum(rows) AS BIGINT), max(newest) FROM batch GROUP BY class, period";
    tx.each(index, &[], &mut |row| need(row, row.integer(0)?, 1))?;
    for (table, class) in [("access_log", RecordClass::Access), ("past", RecordClass::Contacts)] {
        let all = format!("SELECT period, count(*), max(expires) FROM {table} GROUP BY period");
        tx.each(&all, &[], &mut |row| need(row, i64::from(class.number()), 0))?;
    }
    let holds = i64::from(RecordClass::Holds.number());
    tx.each("SELECT id, CAST(1 AS BIGINT), expires FROM case_hold", &[], &mut |row| need(row, holds, 0))?;
    if options.custody.may_be_there() {
        // What is in custody is kept for as long as it is there.
        let all = format!("SELECT class, period, count(*), CAST({} AS BIGINT) FROM content GROUP BY class, period", i64::MAX);
        let mut custody = Database::open(&options.custody, Durability::Full)?;
        super::custody::migrate(&mut custody)?;
        custody.statements().each(&all, &[], &mut |row| need(row, row.integer(0)?, 1))?;
    }
    let mut lost = Vec::new();
    for (number, period, rows, newest) in needs {
        let Some(class) = RecordClass::of(number) else { continue };
        if ring.is_there(class, period)? {
            continue;
        }
        // The index says when the newest row came, the others when it goes.
        let indexed = matches!(class, RecordClass::Events | RecordClass::Incidents);
        let goes = if indexed { newest.saturating_add(millis(options.retention_of(class))) } else { newest };
        if goes > now {
            lost.push(Lost { class, period, rows });
        } else if indexed {
            db.statements().execute("DELETE FROM batch WHERE class = ?1 AND period = ?2", values![number, period])?;
        }
    }
    lost.sort_by_key(|l| (l.period, l.class));
    Ok(lost)
}

/// What was given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GivenUp {
    pub periods: usize,
    pub rows: u64,
    /// Messages in custody, which are listed and can be neither read nor delivered.
    pub parcels: u64,
}

/// Goes on without the keys that are missing: what they sealed is deleted, but for mail in custody, which is listed as broken until
/// somebody has looked at it.
pub fn accept_loss(options: &Options, now: i64) -> Result<GivenUp, StoreError> {
    let ring = options.open_ring()?;
    let mut db = Database::open(&options.database, Durability::Full)?;
    super::store::migrate(&mut db)?;
    same(&mut db, &ring, options)?;
    let mut given_up = GivenUp::default();
    for Lost { class, period, rows } in lost(&mut db, &ring, options, now)? {
        given_up.periods += 1;
        let of = values![i64::from(class.number()), period];
        match class {
            RecordClass::Custody | RecordClass::Held => {
                let broken = super::custody::State::Broken as i64;
                let mut custody = Database::open(&options.custody, Durability::Full)?;
                let set_aside = "UPDATE parcel SET state = ?3 WHERE class = ?1 AND period = ?2";
                given_up.parcels += custody.statements().execute(set_aside, values![of[0], period, broken])?;
                // Its content can be read by nobody.
                custody.statements().execute("DELETE FROM content WHERE class = ?1 AND period = ?2", of)?;
            }
            RecordClass::Holds => {
                for table in ["kept WHERE hold", "kept_look_up WHERE hold", "case_hold WHERE id"] {
                    given_up.rows += db.statements().execute(&format!("DELETE FROM {table} = ?1"), values![period])?;
                }
            }
            RecordClass::Access => given_up.rows += super::access::chain::give_up(&mut db, &ring, period, now)?,
            RecordClass::Contacts => {
                for table in super::past::TABLES {
                    given_up.rows += db.statements().execute(&format!("DELETE FROM {table} WHERE period = ?1"), values![period])?;
                }
            }
            _ => {
                given_up.rows += rows;
                db.transaction(|tx| {
                    let gone = tx.execute("DELETE FROM record WHERE class = ?1 AND period = ?2", of)?;
                    super::retention::count_removed(tx, class, gone)?;
                    tx.execute("DELETE FROM batch WHERE class = ?1 AND period = ?2", of).map(drop)
                })?;
            }
        }
    }
    if given_up.periods > 0 {
        db.reclaim()?;
    }
    name(&mut db, &ring)?;
    Ok(given_up)
}

#[cfg(test)]
mod tests;
