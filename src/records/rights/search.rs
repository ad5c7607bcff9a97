//! Every row of one person, one message or one time, wherever the keys still open it: in the record, and in what holds keep.

use std::collections::BTreeSet;

use crate::records::database::{Statements, values};
use crate::records::holds::{Net, Scope};
use crate::records::keyring::{Keyring, Period};
use crate::records::row::{self, Row};
use crate::records::sealing::{Kind, LookUpKey, RowPlace, Table};
use crate::records::trace::{contains, normal};
use crate::records::{RecordClass, StoreError};

/// A row that was found.
pub(super) struct Found {
    pub id: i64,
    pub class: RecordClass,
    pub period: i64,
    pub expires: i64,
    pub row: Row,
    /// The person's hash among the recipients, where the scope names one and they are.
    pub recipient: Option<u64>,
}

/// Hears of each row that was found, and of the key that its hashes were made with.
type Show<'a> = &'a mut dyn FnMut(Found, &LookUpKey) -> Result<(), StoreError>;

/// The person's row as a recipient.
pub(super) fn recipient_hash(scope: &Scope, key: &LookUpKey) -> Option<u64> {
    scope.person.as_deref().map(|p| key.hash(Kind::Recipient, &normal(p)))
}

/// The rows that stand in the record, in no order. Says how many in their neighbourhood could not be opened.
pub(super) fn live(tx: &mut (dyn Statements + '_), ring: &Keyring, scope: &Scope, show: Show<'_>) -> Result<usize, StoreError> {
    let since = scope.since.map_or(i64::MIN, |t| t.as_millisecond());
    let until = scope.until.map_or(i64::MAX, |t| t.as_millisecond());
    let mut unreadable = 0;
    for class in [RecordClass::Events, RecordClass::Incidents] {
        for period in ring.periods(class, since, until)? {
            unreadable += in_period(tx, class, &period, scope, show)?;
        }
    }
    Ok(unreadable)
}

/// Ranges of row numbers of a period in which the scope may be found.
pub(super) fn ranges(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    scope: &Scope,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let key = period.key.look_up();
    let person = scope.person.as_deref().map(normal);
    let either = person.as_deref().map(|p| [key.hash(Kind::Sender, p), key.hash(Kind::Recipient, p)]);
    let mut all = Vec::new();
    all.extend(scope.reference.as_deref().map(|r| key.hash(Kind::Reference, &row::reference_key(r))));
    all.extend(scope.message_id.as_deref().map(|m| key.hash(Kind::MessageId, row::message_id_key(m))));
    let mut ranges = Vec::new();
    let batches = "SELECT first, last, hashes FROM batch WHERE class = ?1 AND period = ?2";
    tx.each(batches, values![i64::from(class.number()), period.starts], &mut |r| {
        let hashes = r.octets(2)?;
        if either.is_none_or(|e| e.iter().any(|h| contains(hashes, *h))) && all.iter().all(|h| contains(hashes, *h)) {
            ranges.push((r.integer(0)?, r.integer(1)?));
        }
        Ok(())
    })?;
    Ok(ranges)
}

pub(super) fn in_period(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    scope: &Scope,
    show: Show<'_>,
) -> Result<usize, StoreError> {
    let mut unreadable = 0;
    // Batches that were merged may reach over others.
    let mut seen = BTreeSet::new();
    for (first, last) in ranges(tx, class, period, scope)? {
        let rows = "SELECT id, expires, sealed FROM record WHERE id BETWEEN ?1 AND ?2 AND period = ?3 ORDER BY id";
        tx.each(rows, values![first, last, period.starts], &mut |r| {
            let id = r.integer(0)?;
            let mut sealed = r.octets(2)?.to_vec();
            let place = RowPlace { table: Table::Record, row: id, class, period: period.starts };
            let Ok(row) = period.key.open(&place, &mut sealed).and_then(row::decode) else {
                unreadable += 1;
                return Ok(());
            };
            if scope.covers(&row, period.key.look_up()) && seen.insert(id) {
                let recipient = recipient_hash(scope, period.key.look_up()).filter(|h| row.recipients.iter().any(|r| r.hash == *h));
                show(Found { id, class, period: period.starts, expires: r.integer(1)?, row, recipient }, period.key.look_up())?;
            }
            Ok(())
        })?;
    }
    Ok(unreadable)
}

/// The rows that stand in the record and those that only a hold keeps, each once.
pub(super) fn everything(
    tx: &mut (dyn Statements + '_),
    ring: &Keyring,
    net: &Net,
    scope: &Scope,
    show: Show<'_>,
) -> Result<usize, StoreError> {
    let mut seen = BTreeSet::new();
    let mut unreadable = live(tx, ring, scope, &mut |found, key| {
        seen.insert(found.id);
        show(found, key)
    })?;
    let mut told = Ok(());
    unreadable += net.each(tx, &mut |_, class, id, look_up, row| {
        if scope.covers(&row, look_up) && seen.insert(id) {
            let recipient = recipient_hash(scope, look_up).filter(|h| row.recipients.iter().any(|r| r.hash == *h));
            let found = Found { id, class, period: i64::MIN, expires: 0, row, recipient };
            if told.is_ok() {
                told = show(found, look_up);
            }
        }
    })?;
    told.map(|()| unreadable)
}
