//! Holds of records: what a case needs outlives its retention, and nothing else does.
//!
//! A hold has a case number, a scope and an end, and a key of its own. What it covers is sealed a second time under that key, at
//! once and again by each purge before it deletes anything, so that the keys of periods die on time for everybody else. Deleting
//! records that have been asked for is an offence (Freedom of Information Act 2000 s. 77; Data Protection Act 2018 s. 173).
//!
//! Hashes within a kept row were made by its period's key. The half of that key which hashes, and opens nothing, is therefore kept
//! under the hold's key too, or nobody could ask for a recipient any more. The price: for as long as the hold lasts, whoever has that
//! key and an old backup can ask the backup's index whether a known address had mail in that period. When the hold ends, all of it
//! goes with the hold's key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::custody::Sheet;
use super::database::{Statements, values};
use super::keeping::{Keeping, Named, next_number, reading};
use super::keyring::{Keyring, Period};
use super::row::{self, Row};
use super::sealing::{Kind, LookUpKey, Nonces, RowPlace, Table};
use super::store::first_id;
use super::trace::normal;
use super::{RecordClass, StoreError};

/// What a hold covers: all that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// An address, as sender or as recipient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A hold as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    #[serde(skip)]
    pub id: i64,
    /// The case number. It stands in receipts: no name belongs in it.
    pub case: String,
    pub reason: String,
    pub scope: Scope,
    pub placed: Timestamp,
    /// Who placed it.
    pub by: Vec<String>,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// The Clerk has been told that it ends soon.
    #[serde(default)]
    pub warned: bool,
}

/// How much a hold keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeps {
    /// Rows of the record.
    pub rows: u64,
    /// Of these, rows whose own time is over: only the hold keeps them.
    pub held_back: u64,
    /// Held mail, content included.
    pub messages: u64,
}

/// Rows in one piece of work.
const PIECE: i64 = 2_000;

/// What is kept, by the number that stands for it in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Row = 1,
    Note = 2,
    Sheet = 3,
    Content = 4,
}

impl Kept {
    fn table(self) -> Table {
        match self {
            Kept::Row => Table::Kept,
            Kept::Note => Table::Note,
            Kept::Sheet => Table::Sheet,
            Kept::Content => Table::Content,
        }
    }
}

/// A case number as it may stand in a receipt: short, and no address.
pub fn is_case_number(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-/._ ".contains(c)) && text.trim() == text
}

impl Scope {
    /// A hold on everything for ever would be no retention at all.
    pub fn is_empty(&self) -> bool {
        *self == Scope::default()
    }

    fn covers_time(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }

    pub(super) fn covers(&self, row: &Row, key: &LookUpKey) -> bool {
        let person = |p: &str| {
            let p = normal(p);
            normal(&row.sender) == p || {
                let hash = key.hash(Kind::Recipient, &p);
                row.recipients.iter().any(|r| r.hash == hash)
            }
        };
        self.covers_time(row.time)
            && self.reference.as_deref().is_none_or(|r| row::reference_key(r) == row::reference_key(&row.reference))
            && self.message_id.as_deref().is_none_or(|id| row.message_id_hash == Some(key.hash(Kind::MessageId, row::message_id_key(id))))
            && self.person.as_deref().is_none_or(person)
    }

    /// Whether it covers a message in custody.
    pub fn covers_sheet(&self, sheet: &Sheet) -> bool {
        let id = |m: &str| row::message_id_key(m).to_owned();
        let person = |p: &str| {
            let p = normal(p);
            sheet.origin.sender == p || normal(&sheet.reverse_path) == p || sheet.recipients.iter().any(|r| normal(&r.address) == p)
        };
        Timestamp::from_millisecond(sheet.taken).is_ok_and(|time| self.covers_time(time))
            && self.reference.as_deref().is_none_or(|r| row::reference_key(r) == row::reference_key(&sheet.reference))
            && self.message_id.as_deref().is_none_or(|m| sheet.origin.message_id.as_deref().map(id) == Some(id(m)))
            && self.person.as_deref().is_none_or(person)
    }

    /// In plain words, with the person in them.
    pub fn words(&self) -> String {
        let mut out = Vec::new();
        out.extend(self.person.as_ref().map(|p| format!("mail from or to {p}")));
        out.extend(self.message_id.as_ref().map(|m| format!("the message {m}")));
        out.extend(self.reference.as_ref().map(|r| format!("the message {r}")));
        out.extend(self.since.map(|t| format!("since {}", t.strftime("%-d %B %Y"))));
        out.extend(self.until.map(|t| format!("until {}", t.strftime("%-d %B %Y"))));
        out.join(", ")
    }
}

impl Keeping {
    /// Places a hold and keeps what it covers now; durable when this returns. A case may have several.
    pub fn hold(&mut self, hold: Hold, now: i64) -> Result<(Hold, Keeps), StoreError> {
        let Keeping { db, ring, nonces, .. } = self;
        // The key is on the disk before anything is sealed with it.
        let id = db.transaction(|tx| next_number(tx, "case_hold"))?.max(now);
        let hold = Hold { id, ..hold };
        let key = Named::new(RecordClass::Holds, id, &*ring.named(RecordClass::Holds, id)?);
        let sealed = key.seal_json(nonces, Table::Case, id, &hold)?;
        db.transaction(|tx| {
            let insert = "INSERT INTO case_hold (id, expires, sealed) VALUES (?1, ?2, ?3)";
            tx.execute(insert, values![id, hold.expires.as_millisecond(), &sealed])
        })?;
        let net = Net { holds: vec![(hold.clone(), key)], unreadable: Vec::new() };
        for class in [RecordClass::Events, RecordClass::Incidents] {
            let mut last = first_id(class);
            let end = last + (1 << 56);
            while last < end {
                last = db.transaction(|tx| {
                    let piece = "SELECT id, period, expires, sealed FROM record WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3";
                    net.keep(tx, ring, nonces, class, piece, values![last, end, PIECE], end)
                })?;
            }
        }
        let keeps = reading(db, |tx| keeps(tx, id, now))?;
        Ok((hold, keeps))
    }

    /// The holds, oldest first, with what each keeps.
    pub fn holds(&mut self, now: i64) -> Result<Vec<(Hold, Keeps)>, StoreError> {
        let Keeping { db, ring, .. } = self;
        reading(db, |tx| {
            let net = Net::all(tx, ring)?;
            net.holds.into_iter().map(|(hold, key)| Ok((hold, keeps(tx, key.number(), now)?))).collect()
        })
    }

    /// Ends the holds of a case now; says how many there were. What only they kept can be read by nobody afterwards.
    pub fn lift(&mut self, case: &str) -> Result<usize, StoreError> {
        let ids: Vec<i64> = self.holds(0)?.into_iter().filter(|(h, _)| h.case == case).map(|(h, _)| h.id).collect();
        for id in &ids {
            self.end(*id)?;
        }
        Ok(ids.len())
    }

    /// Ends holds that cannot be read any more, and that therefore stop every purge; says how many there were.
    pub fn lift_unreadable(&mut self) -> Result<usize, StoreError> {
        let Keeping { db, ring, .. } = self;
        let ids = reading(db, |tx| Net::all(tx, ring))?.unreadable;
        for id in &ids {
            self.end(*id)?;
        }
        Ok(ids.len())
    }

    /// Ends the holds whose time is over; says their case numbers.
    pub fn lapse(&mut self, now: i64) -> Result<Vec<String>, StoreError> {
        let Keeping { db, ring, .. } = self;
        db.transaction(|tx| lapse(tx, ring, now))
    }

    /// Changes a hold: its end, or that its end has been told.
    pub fn amend_hold(&mut self, hold: &Hold) -> Result<(), StoreError> {
        let Keeping { db, ring, nonces, .. } = self;
        let Some(key) = ring.named_if_there(RecordClass::Holds, hold.id)? else { return Ok(()) };
        let sealed = Named::new(RecordClass::Holds, hold.id, &key).seal_json(nonces, Table::Case, hold.id, hold)?;
        let update = "UPDATE case_hold SET expires = ?2, sealed = ?3 WHERE id = ?1";
        db.statements().execute(update, values![hold.id, hold.expires.as_millisecond(), &sealed])?;
        Ok(())
    }

    /// Keeps a message in custody for each hold that covers it; says for how many it was not kept before. `content` is asked for only then.
    pub fn keep_message(
        &mut self,
        parcel: i64,
        sheet: &Sheet,
        mut content: impl FnMut() -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<usize, StoreError> {
        let Keeping { db, ring, nonces, .. } = self;
        let net = reading(db, |tx| Net::all(tx, ring))?;
        let mut new = 0;
        for (hold, key) in net.holds.iter().filter(|(h, _)| h.scope.covers_sheet(sheet)) {
            let there = "SELECT count(*) FROM hold_copy WHERE hold = ?1 AND kind = ?2 AND id = ?3";
            if db.statements().number(there, values![hold.id, Kept::Sheet as i64, parcel])? > 0 {
                continue;
            }
            let Some(content) = content()?.map(Zeroizing::new) else { continue };
            let sheet = key.seal_json(nonces, Table::Sheet, parcel, sheet)?;
            let content = key.seal(nonces, Table::Content, parcel, &content)?;
            db.transaction(|tx| {
                for (kind, sealed) in [(Kept::Sheet, &sheet), (Kept::Content, &content)] {
                    put(tx, hold.id, kind, parcel, RecordClass::Held, 0, i64::MAX, sealed)?;
                }
                Ok(())
            })?;
            new += 1;
        }
        Ok(new)
    }

    /// The messages that a case keeps: case number, sheet, and content as it came.
    pub fn kept_messages(&mut self, case: &str) -> Result<Vec<(Sheet, Vec<u8>)>, StoreError> {
        let Keeping { db, ring, .. } = self;
        let net = reading(db, |tx| Net::all(tx, ring))?;
        let mut out = Vec::new();
        for (hold, key) in net.holds.iter().filter(|(h, _)| h.case == case) {
            let select = "SELECT id, sealed FROM hold_copy WHERE hold = ?1 AND kind = ?2 ORDER BY id";
            let of = |kind: Kept| values![hold.id, kind as i64].to_vec();
            let read = |row: &dyn super::database::Row| Ok((row.integer(0)?, row.octets(1)?.to_vec()));
            let sheets = db.statements().all(select, &of(Kept::Sheet), read)?;
            let contents: BTreeMap<i64, Vec<u8>> = db.statements().all(select, &of(Kept::Content), read)?.into_iter().collect();
            for (id, sealed) in sheets {
                let content = contents.get(&id).ok_or(StoreError::Damaged)?;
                let content = key.open(Table::Content, id, content)?.to_vec();
                out.push((key.open_json(Table::Sheet, id, &sealed)?, content));
            }
        }
        Ok(out)
    }

    fn end(&mut self, id: i64) -> Result<(), StoreError> {
        // The key first: a crash here leaves rows that nobody can read, and that go with the next purge.
        self.ring.drop_named(RecordClass::Holds, id)?;
        self.db.transaction(|tx| forget(tx, id))
    }
}

/// Ends the holds whose time is over; says their case numbers.
pub(super) fn lapse(tx: &mut (dyn Statements + '_), ring: &mut Keyring, now: i64) -> Result<Vec<String>, StoreError> {
    let mut over = Net::all(tx, ring)?.holds;
    over.retain(|(hold, _)| hold.expires.as_millisecond() <= now);
    for (hold, _) in &over {
        ring.drop_named(RecordClass::Holds, hold.id)?;
        forget(tx, hold.id)?;
    }
    Ok(over.into_iter().map(|(hold, _)| hold.case).collect())
}

fn forget(tx: &mut (dyn Statements + '_), id: i64) -> Result<(), StoreError> {
    for delete in
        ["DELETE FROM hold_copy WHERE hold = ?1", "DELETE FROM hold_look_up WHERE hold = ?1", "DELETE FROM case_hold WHERE id = ?1"]
    {
        tx.execute(delete, values![id])?;
    }
    Ok(())
}

fn keeps(tx: &mut (dyn Statements + '_), id: i64, now: i64) -> Result<Keeps, StoreError> {
    let rows = "SELECT count(*) FROM hold_copy WHERE hold = ?1 AND kind = ?2 AND expires > ?3";
    let mut count = |kind: Kept, after: i64| Ok::<u64, StoreError>(tx.number(rows, values![id, kind as i64, after])?.cast_unsigned());
    let all = count(Kept::Row, i64::MIN)?;
    Ok(Keeps { rows: all, held_back: all - count(Kept::Row, now)?, messages: count(Kept::Sheet, i64::MIN)? })
}

#[expect(clippy::too_many_arguments, reason = "the columns of one row")]
fn put(
    tx: &mut (dyn Statements + '_),
    hold: i64,
    kind: Kept,
    id: i64,
    class: RecordClass,
    period: i64,
    expires: i64,
    sealed: &[u8],
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO hold_copy (hold, kind, id, class, period, expires, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (hold, kind, id) DO UPDATE SET expires = excluded.expires, sealed = excluded.sealed",
        values![hold, kind as i64, id, i64::from(class.number()), period, expires, sealed],
    )?;
    Ok(())
}

/// The holds in force, with their keys.
#[derive(Default)]
pub(super) struct Net {
    holds: Vec<(Hold, Named)>,
    /// Numbers of holds that are there and cannot be read: what they cover is not known.
    unreadable: Vec<i64>,
}

/// A note's number and what it says.
type Opened = (i64, Zeroizing<Vec<u8>>);
/// How many rows only a hold keeps: by class, by case.
type HeldBack = (BTreeMap<i64, u64>, BTreeMap<String, u64>);

/// A row that is covered.
struct Covered {
    id: i64,
    period: i64,
    expires: i64,
    plain: Zeroizing<Vec<u8>>,
    by: Vec<usize>,
}

impl Net {
    /// All holds. One whose key is gone is over: what is left of it goes.
    pub(super) fn all(tx: &mut (dyn Statements + '_), ring: &Keyring) -> Result<Net, StoreError> {
        let rows = tx.all("SELECT id, sealed FROM case_hold ORDER BY id", &[], |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))?;
        let mut net = Net::default();
        for (id, sealed) in rows {
            let Some(key) = ring.named_if_there(RecordClass::Holds, id)? else {
                forget(tx, id)?;
                continue;
            };
            let key = Named::new(RecordClass::Holds, id, &key);
            match key.open_json::<Hold>(Table::Case, id, &sealed) {
                Ok(hold) => net.holds.push((Hold { id, ..hold }, key)),
                Err(_) => net.unreadable.push(id),
            }
        }
        Ok(net)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// Whether it is known what is to be kept: otherwise nothing may be deleted.
    pub(super) fn is_whole(&self) -> Result<(), StoreError> {
        if self.unreadable.is_empty() { Ok(()) } else { Err(StoreError::HoldUnreadable) }
    }

    /// Keeps what is covered of the rows that `piece` selects (`id, period, expires, sealed`); says the last number, or `end` where there
    /// was none.
    #[expect(clippy::too_many_arguments, reason = "a statement and what it is run with")]
    pub(super) fn keep(
        &self,
        tx: &mut (dyn Statements + '_),
        ring: &Keyring,
        nonces: &mut Nonces,
        class: RecordClass,
        piece: &str,
        values: &[super::database::Value<'_>],
        end: i64,
    ) -> Result<i64, StoreError> {
        let mut covered: Vec<Covered> = Vec::new();
        let mut periods: BTreeMap<i64, Option<Period>> = BTreeMap::new();
        let mut last = end;
        tx.each(piece, values, &mut |r| {
            let (id, starts) = (r.integer(0)?, r.integer(1)?);
            last = id;
            let period = match periods.get(&starts) {
                Some(known) => known.clone(),
                None => periods.entry(starts).or_insert(ring.period(class, starts)?).clone(),
            };
            // What nobody can read any more cannot be kept.
            let Some(period) = period else { return Ok(()) };
            let mut sealed = Zeroizing::new(r.octets(3)?.to_vec());
            let place = RowPlace { table: Table::Record, row: id, class, period: starts };
            let Ok(plain) = period.key.open(&place, &mut sealed) else { return Ok(()) };
            let Ok(row) = row::decode(plain) else { return Ok(()) };
            let covers = |(i, (hold, _)): (usize, &(Hold, Named))| hold.scope.covers(&row, period.key.look_up()).then_some(i);
            let by: Vec<usize> = self.holds.iter().enumerate().filter_map(covers).collect();
            if !by.is_empty() {
                covered.push(Covered { id, period: starts, expires: r.integer(2)?, plain: Zeroizing::new(plain.to_vec()), by });
            }
            Ok(())
        })?;
        let mut keyed = std::collections::BTreeSet::new();
        for row in &covered {
            for (hold, key) in row.by.iter().map(|i| &self.holds[*i]) {
                let sealed = key.seal(nonces, Kept::Row.table(), row.id, &row.plain)?;
                put(tx, hold.id, Kept::Row, row.id, class, row.period, row.expires, &sealed)?;
                if keyed.insert((hold.id, row.period))
                    && let Some(Some(period)) = periods.get(&row.period)
                {
                    let sealed = key.seal(nonces, Table::LookUp, look_up_row(class, row.period), period.key.look_up().octets())?;
                    tx.execute(
                        "INSERT INTO hold_look_up (hold, class, period, sealed) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (hold, class, period) DO NOTHING",
                        values![hold.id, i64::from(class.number()), row.period, &sealed],
                    )?;
                }
                self.keep_notes(tx, nonces, class, row, hold, key, periods.get(&row.period).and_then(Option::as_ref))?;
            }
        }
        Ok(last)
    }

    /// What was noted of a row is kept with it.
    #[expect(clippy::too_many_arguments, reason = "one step of keep, split off to be read alone")]
    fn keep_notes(
        &self,
        tx: &mut (dyn Statements + '_),
        nonces: &mut Nonces,
        class: RecordClass,
        row: &Covered,
        hold: &Hold,
        key: &Named,
        period: Option<&Period>,
    ) -> Result<(), StoreError> {
        let Some(period) = period else { return Ok(()) };
        for (id, mut sealed) in super::rights::notes::sealed_notes(tx, row.id)? {
            let place = RowPlace { table: Table::Note, row: id, class, period: period.starts };
            let Ok(plain) = period.key.open(&place, &mut sealed) else { continue };
            let sealed = key.seal(nonces, Kept::Note.table(), id, plain)?;
            put(tx, hold.id, Kept::Note, id, class, row.id, row.expires, &sealed)?;
        }
        Ok(())
    }

    /// Shows each kept row, once for each hold that keeps it, with the key that its hashes were made with. One that cannot be opened is
    /// counted in what is returned.
    pub(super) fn each(
        &self,
        tx: &mut (dyn Statements + '_),
        show: &mut dyn FnMut(&Hold, RecordClass, i64, &LookUpKey, Row),
    ) -> Result<usize, StoreError> {
        let mut unreadable = 0;
        for (hold, key) in &self.holds {
            let mut look_ups = BTreeMap::new();
            let read = |row: &dyn super::database::Row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec()));
            for (class, period, sealed) in
                tx.all("SELECT class, period, sealed FROM hold_look_up WHERE hold = ?1", values![hold.id], read)?
            {
                let class_ = record_class(class)?;
                let octets = key.open(Table::LookUp, look_up_row(class_, period), &sealed)?;
                look_ups.insert((class, period), LookUpKey::of(&octets)?);
            }
            let select = "SELECT id, class, period, sealed FROM hold_copy WHERE hold = ?1 AND kind = ?2 ORDER BY id";
            tx.each(select, values![hold.id, Kept::Row as i64], &mut |r| {
                let (id, class, period) = (r.integer(0)?, r.integer(1)?, r.integer(2)?);
                let opened = key.open(Kept::Row.table(), id, r.octets(3)?).and_then(|plain| row::decode(&plain));
                match (opened, look_ups.get(&(class, period))) {
                    (Ok(row), Some(look_up)) => show(hold, record_class(class)?, id, look_up, row),
                    _ => unreadable += 1,
                }
                Ok(())
            })?;
        }
        Ok(unreadable)
    }

    /// Notes of a kept row, opened.
    pub(super) fn notes(&self, tx: &mut (dyn Statements + '_), record: i64) -> Result<Vec<Opened>, StoreError> {
        let mut out = Vec::new();
        for (hold, key) in &self.holds {
            let select = "SELECT id, sealed FROM hold_copy WHERE hold = ?1 AND kind = ?2 AND period = ?3";
            let of = values![hold.id, Kept::Note as i64, record];
            for (id, sealed) in tx.all(select, of, |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))? {
                out.push((id, key.open(Kept::Note.table(), id, &sealed)?));
            }
        }
        Ok(out)
    }

    /// The case numbers by which this row is kept.
    pub(super) fn cases_of(&self, tx: &mut (dyn Statements + '_), record: i64) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let by = "SELECT hold FROM hold_copy WHERE kind = ?1 AND id = ?2";
        let ids = tx.all(by, values![Kept::Row as i64, record], |row| row.integer(0))?;
        Ok(self.holds.iter().filter(|(h, _)| ids.contains(&h.id)).map(|(h, _)| (h.case.clone(), h.expires)).collect())
    }

    /// By class how many rows only a hold keeps, and by case number. A row that two cases keep counts once for the class, and in each case.
    pub(super) fn held_back(&self, tx: &mut (dyn Statements + '_), now: i64) -> Result<HeldBack, StoreError> {
        let by_class = "SELECT class, count(DISTINCT id) FROM hold_copy WHERE kind = ?1 AND expires <= ?2 GROUP BY class";
        let read = |row: &dyn super::database::Row| Ok((row.integer(0)?, row.integer(1)?.cast_unsigned()));
        let classes = tx.all(by_class, values![Kept::Row as i64, now], read)?.into_iter().collect();
        let mut cases = BTreeMap::new();
        for (hold, _) in &self.holds {
            *cases.entry(hold.case.clone()).or_insert(0) += keeps(tx, hold.id, now)?.held_back;
        }
        cases.retain(|_, rows| *rows > 0);
        Ok((classes, cases))
    }
}

/// The two classes that share a table of look-up keys may have periods that start together.
fn look_up_row(class: RecordClass, period: i64) -> i64 {
    period ^ (i64::from(class.number()) << 56)
}

fn record_class(number: i64) -> Result<RecordClass, StoreError> {
    [RecordClass::Events, RecordClass::Incidents].into_iter().find(|c| i64::from(c.number()) == number).ok_or(StoreError::Damaged)
}
