//! "Did Mrs Ashby get the agenda?": finding rows by what is known, and saying so in the access log.
//!
//! Each period has its own hash key, so a question is hashed once for each period. The batches of the index tell by binary search
//! where a hash occurs; only the rows of those batches are opened, and each is held against the question again.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::access::{self, Identity};
use super::database::{Database, Durability, Statements, values};
use super::holds::Net;
use super::keeping::reading;
use super::keyring::{Keyring, Period};
use super::rights::{Note, notes};
use super::row::{self, Row};
use super::sealing::{Kind, LookUpKey, RowPlace, Table};
use super::store::migrate;
use super::{Keeping, Options, RecordClass, StoreError};

/// What is asked for. All that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct Question {
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub message_id: Option<String>,
    pub reference: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// A message that was found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The row's number, and the period whose key sealed it; `i64::MIN` where only a hold keeps it.
    pub(super) id: i64,
    pub(super) period: i64,
    pub row: Row,
    pub class: RecordClass,
    /// What was noted of it at somebody's request.
    pub notes: Vec<Note>,
    /// The cases for which it is kept.
    pub cases: Vec<String>,
    /// What became of the copy for the recipient that was asked for: its code; 0 while that is not known.
    pub recipient_code: Option<u16>,
}

/// What a look-up found, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub hits: Vec<Hit>,
    /// There was more than [`MOST`].
    pub cut: bool,
    /// Rows that could not be opened: altered, or their key erased while we looked.
    pub unreadable: usize,
}

/// Hits of one look-up.
pub const MOST: usize = 5_000;

/// Looks up, after writing who looked, for what and why to the access log. Without that log nothing is shown. Works beside a
/// running gateway.
pub fn look_up(options: &Options, question: &Question, purpose: &str, who: impl Into<Identity>) -> Result<Answer, StoreError> {
    let (mut db, mut ring) = open(options)?;
    access::append(&mut db, &mut ring, options, question, purpose, &who.into())?;
    let mut answer = Answer::default();
    for class in [RecordClass::Events, RecordClass::Incidents] {
        for period in ring.periods(class, question.since.as_millisecond(), question.until.as_millisecond())? {
            look_in(db.statements(), class, &period, question, &mut answer)?;
        }
    }
    Keeping::open(options)?.complete(question, &mut answer)?;
    answer.hits.sort_by_key(|h| h.row.time);
    answer.cut |= answer.hits.len() > MOST;
    answer.hits.truncate(MOST);
    Ok(answer)
}

pub(super) fn open(options: &Options) -> Result<(Database, Keyring), StoreError> {
    let ring = options.open_ring()?;
    let mut db = Database::open(&options.database, Durability::Full)?;
    migrate(&mut db)?;
    super::site::same(&mut db, &ring, options)?;
    Ok((db, ring))
}

/// The question as this period's hashes.
struct Sought {
    all: Vec<u64>,
    recipient: Option<u64>,
    message_id: Option<u64>,
    sender: Option<String>,
    reference: Option<String>,
}

impl Question {
    fn sought(&self, key: &LookUpKey) -> Sought {
        let sender = self.sender.as_deref().map(normal);
        let reference = self.reference.as_deref().map(row::reference_key);
        let recipient = self.recipient.as_deref().map(|r| key.hash(Kind::Recipient, &normal(r)));
        let message_id = self.message_id.as_deref().map(|m| key.hash(Kind::MessageId, row::message_id_key(m)));
        let mut all: Vec<u64> = recipient.into_iter().chain(message_id).collect();
        all.extend(sender.as_deref().map(|s| key.hash(Kind::Sender, s)));
        all.extend(reference.as_deref().map(|r| key.hash(Kind::Reference, r)));
        Sought { all, recipient, message_id, sender, reference }
    }
}

/// An address as the record knows it; what is no address is sought as it is, and not found.
pub(super) fn normal(address: &str) -> String {
    let address = address.trim().trim_start_matches('<').trim_end_matches('>');
    match address.rsplit_once('@') {
        Some((local, domain)) => crate::smtp::address::normal(local, domain),
        None => address.to_lowercase(),
    }
}

fn look_in(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    question: &Question,
    answer: &mut Answer,
) -> Result<(), StoreError> {
    let sought = question.sought(period.key.look_up());
    let (since, until) = (question.since.as_millisecond(), question.until.as_millisecond());
    let batches = "SELECT first, last, hashes FROM batch WHERE class = ?1 AND period = ?2 AND newest >= ?3 AND oldest <= ?4 ORDER BY first";
    let mut ranges = Vec::new();
    tx.each(batches, values![i64::from(class.number()), period.starts, since, until], &mut |r| {
        let hashes = r.octets(2)?;
        if sought.all.iter().all(|h| contains(hashes, *h)) {
            ranges.push((r.integer(0)?, r.integer(1)?));
        }
        Ok(())
    })?;
    for (first, last) in ranges {
        open_rows(tx, class, period, first, last, question, &sought, answer)?;
        if answer.hits.len() > MOST {
            answer.cut = true;
            return Ok(());
        }
    }
    Ok(())
}

/// Binary search among sorted hashes of eight octets, big end first.
pub(super) fn contains(hashes: &[u8], sought: u64) -> bool {
    let (hashes, _) = hashes.as_chunks::<8>();
    hashes.binary_search_by(|h| u64::from_be_bytes(*h).cmp(&sought)).is_ok()
}

#[expect(clippy::too_many_arguments, reason = "one step of look_in, split off to be read alone")]
fn open_rows(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    first: i64,
    last: i64,
    question: &Question,
    sought: &Sought,
    answer: &mut Answer,
) -> Result<(), StoreError> {
    let rows = "SELECT id, sealed FROM record WHERE id BETWEEN ?1 AND ?2 AND period = ?3";
    let mut sealed = Vec::new();
    tx.each(rows, values![first, last, period.starts], &mut |r| {
        let place = RowPlace { table: Table::Record, row: r.integer(0)?, class, period: period.starts };
        sealed.clear();
        sealed.extend_from_slice(r.octets(1)?);
        let opened = period.key.open(&place, &mut sealed).and_then(row::decode);
        let Ok(row) = opened else {
            answer.unreadable += 1;
            return Ok(());
        };
        if row.time >= question.since && row.time <= question.until && sought.fits(&row) {
            answer.hits.push(sought.hit(place.row, period.starts, class, row));
        }
        Ok(())
    })
}

impl Keeping {
    /// Adds what only holds keep, and to each row what was noted of it.
    fn complete(&mut self, question: &Question, answer: &mut Answer) -> Result<(), StoreError> {
        let Keeping { db, ring, .. } = self;
        reading(db, |tx| {
            let net = Net::all(tx, ring)?;
            let mut found: BTreeSet<i64> = BTreeSet::new();
            // Batches that were merged may reach over others: a row is shown once.
            answer.hits.retain(|hit| found.insert(hit.id));
            let hits = &mut answer.hits;
            answer.unreadable += net.each(tx, &mut |_, class, id, look_up, row| {
                let sought = question.sought(look_up);
                if row.time >= question.since && row.time <= question.until && sought.fits(&row) && found.insert(id) {
                    hits.push(sought.hit(id, i64::MIN, class, row));
                }
            })?;
            for hit in &mut answer.hits {
                hit.notes = notes::of_row(tx, ring, &net, hit.class, hit.period, hit.id)?;
                hit.cases = net.cases_of(tx, hit.id)?.into_iter().map(|(case, _)| case).collect();
            }
            Ok(())
        })
    }
}

impl Sought {
    fn hit(&self, id: i64, period: i64, class: RecordClass, row: Row) -> Hit {
        let recipient_code = self.recipient.and_then(|h| row.recipients.iter().find(|r| r.hash == h)).map(|r| r.code);
        Hit { id, period, row, class, notes: Vec::new(), cases: Vec::new(), recipient_code }
    }

    fn fits(&self, row: &Row) -> bool {
        self.recipient.is_none_or(|h| row.recipients.iter().any(|r| r.hash == h))
            && self.message_id.is_none_or(|h| row.message_id_hash == Some(h))
            && self.sender.as_deref().is_none_or(|s| normal(&row.sender) == s)
            && self.reference.as_deref().is_none_or(|r| row::reference_key(&row.reference) == r)
    }
}
