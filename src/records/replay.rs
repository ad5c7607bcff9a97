//! Every message of the record, one after the other, for judging it by other rules. Rows are opened a batch at a time, so that memory
//! does not grow with the record.

use jiff::Timestamp;

use super::access::{self, Identity};
use super::database::{Statements, values};
use super::keyring::Period;
use super::row::{self, Row};
use super::sealing::{Kind, PeriodKey, RowPlace, Table};
use super::trace::{self, Question};
use super::{Entry, Options, RecordClass, StoreError};
use crate::policy::recorded::Names;

/// Rows that are opened at one time.
const PIECE: i64 = 1_000;

/// What is done with each row. `names` looks addresses up in it.
pub type Each<'e> = dyn FnMut(&Row, &Names<'_>) + 'e;

/// Opens every row since then, after writing to the access log who did so and why. Gives how many could not be opened. Works beside a
/// running gateway.
pub fn each(options: &Options, since: Timestamp, purpose: &str, who: impl Into<Identity>, each: &mut Each<'_>) -> Result<u64, StoreError> {
    let until = Timestamp::now();
    access::log(options, &Question { since, until, ..Question::default() }, purpose, who)?;
    let (mut db, ring) = trace::open(options)?;
    let mut unreadable = 0;
    for class in [RecordClass::Events, RecordClass::Incidents] {
        for period in ring.periods(class, since.as_millisecond(), until.as_millisecond())? {
            unreadable += period_rows(db.statements(), class, &period, since, each)?;
        }
    }
    Ok(unreadable)
}

pub(super) fn period_rows(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    since: Timestamp,
    each: &mut Each<'_>,
) -> Result<u64, StoreError> {
    // Batches may reach over one another; together they say between which numbers the period's rows are.
    let bounds = "SELECT min(first), max(last) FROM batch WHERE class = ?1 AND period = ?2 AND newest >= ?3";
    let asked = values![i64::from(class.number()), period.starts, since.as_millisecond()];
    let bounds = tx.first(bounds, asked, |row| Ok((row.optional(0)?, row.optional(1)?)))?;
    let Some((Some(first), Some(last))) = bounds else { return Ok(0) };
    let mut unreadable = 0;
    let mut next = first;
    loop {
        let piece = "SELECT id, sealed FROM record WHERE id BETWEEN ?1 AND ?2 AND period = ?3 ORDER BY id LIMIT ?4";
        let rows = tx.all(piece, values![next, last, period.starts, PIECE], |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))?;
        let Some((newest, _)) = rows.last() else { return Ok(unreadable) };
        next = newest + 1;
        with_names(&period.key, &mut |names| {
            for (id, mut sealed) in rows.iter().cloned() {
                let place = RowPlace { table: Table::Record, row: id, class, period: period.starts };
                match period.key.open(&place, &mut sealed).and_then(row::decode) {
                    Ok(row) if row.time >= since => each(&row, names),
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
        });
    }
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
