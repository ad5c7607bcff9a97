//! Every message of the record, one after the other, for judging it by other rules. Rows are opened a batch at a time, so that memory
//! does not grow with the record.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;

use super::keyring::{Keyring, Period};
use super::row::{self, Row};
use super::sealing::{Kind, PeriodKey, RowPlace, SiteKey, Table};
use super::store::{Sync, connect};
use super::trace::{self, Question};
use super::{Entry, Options, RecordClass, StoreError};
use crate::policy::recorded::Names;

/// What is done with each row. `names` looks addresses up in it.
pub type Each<'e> = dyn FnMut(&Row, &Names<'_>) + 'e;

/// Opens every row since then, after writing to the access log who did so and why. Gives how many could not be opened. Works beside a
/// running gateway.
pub fn each(options: &Options, since: Timestamp, purpose: &str, who: &str, each: &mut Each<'_>) -> Result<u64, StoreError> {
    if !options.database.exists() {
        return Err(StoreError::Absent(options.database.clone()));
    }
    let until = Timestamp::now();
    trace::log(options, &Question { since, until, ..Question::default() }, purpose, who)?;
    let ring = Keyring::open(&options.key_file, &SiteKey::read(&options.key_file)?)?;
    let db = connect(&options.database, Sync::Normal)?;
    db.busy_timeout(Duration::from_secs(20))?;
    let mut unreadable = 0;
    for class in [RecordClass::Events, RecordClass::Incidents] {
        for period in ring.periods(class, since.as_millisecond(), until.as_millisecond())? {
            unreadable += period_rows(&db, class, &period, since, each)?;
        }
    }
    Ok(unreadable)
}

fn period_rows(
    db: &rusqlite::Connection,
    class: RecordClass,
    period: &Period,
    since: Timestamp,
    each: &mut Each<'_>,
) -> Result<u64, StoreError> {
    let mut unreadable = 0;
    let batches = {
        let mut select =
            db.prepare_cached("SELECT first, last FROM batch WHERE class = ?1 AND period = ?2 AND newest >= ?3 ORDER BY first")?;
        let found = select.query_map(params![class.number(), period.starts, since.as_millisecond()], |r| Ok((r.get(0)?, r.get(1)?)))?;
        found.collect::<Result<Vec<(i64, i64)>, _>>()?
    };
    with_names(&period.key, &mut |names| {
        let mut sealed = Vec::new();
        for (first, last) in &batches {
            let mut select = db.prepare_cached("SELECT id, sealed FROM record WHERE id BETWEEN ?1 AND ?2 AND period = ?3")?;
            let mut rows = select.query(params![first, last, period.starts])?;
            while let Some(r) = rows.next()? {
                let place = RowPlace { table: Table::Record, row: r.get(0)?, class, period: period.starts };
                sealed.clear();
                sealed.extend_from_slice(r.get_ref(1)?.as_blob().map_err(|_| StoreError::Damaged)?);
                match period.key.open(&place, &mut sealed).and_then(row::decode) {
                    Ok(row) if row.time >= since => each(&row, names),
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
        }
        Ok::<(), StoreError>(())
    })?;
    Ok(unreadable)
}

fn with_names<T>(key: &PeriodKey, act: &mut dyn FnMut(&Names<'_>) -> T) -> T {
    let address = |text: &str| key.hash(Kind::Recipient, text);
    let domain = |text: &str| key.hash(Kind::Domain, text);
    act(&Names::new(&address, &domain))
}

/// The row of an entry as the writer would keep it and [`each`] would read it, under a key that is given; and what it weighs.
pub fn through_a_row(entry: &Entry, key: &[u8; 32], each: &mut Each<'_>) -> Result<usize, StoreError> {
    let key = PeriodKey::new(key);
    let mut plain = Vec::new();
    row::encode(entry, &key, false, &mut plain, &mut Vec::new());
    let row = row::decode(&plain)?;
    with_names(&key, &mut |names| each(&row, names));
    Ok(plain.len())
}
