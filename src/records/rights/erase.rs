//! Erasure (UK GDPR Article 17): what the record holds of one person goes before its time, except what a hold keeps.
//!
//! - Rows of what they sent go. Rows of what they received stay, for they are somebody else's record too, and lose the person's hash
//!   and domain: nobody can ask any more whether they were among the recipients.
//! - The index loses their hashes, except where a row under hold needs them.
//! - The index of past mail loses each pair that can be asked for: the person with the council addresses that are known. What cannot be
//!   asked for is nobody's to find either, and goes within its retention. So do rate counts (within hours), memories of what people
//!   were told (within a week) and who saw whom in a message.
//! - Mail in custody is left alone: it is somebody's letter, and is to be delivered, released or refused first.
//! - The access log stays, since it says who looked at whom (Article 5(2), Article 17(3)(b)).
//!
//! A backup still holds what was erased. So the keyring, which has a backup of its own, remembers sealed whom to forget, until every
//! key has died that a backup could need; a database that was restored is made to forget again when it is opened.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dossier::pair_hashes;
use super::search;
use crate::records::database::{Statements, values};
use crate::records::holds::{Net, Scope};
use crate::records::keeping::{Keeping, Named, reading};
use crate::records::keyring::{Keyring, Period, millis};
use crate::records::receipts::{self, ErasureReceipt, Receipt};
use crate::records::retention::count_removed;
use crate::records::sealing::{Kind, Nonces, RowPlace, Table};
use crate::records::store::SERIAL;
use crate::records::trace::normal;
use crate::records::{Options, RecordClass, StoreError, row};
use aws_lc_rs::aead::NONCE_LEN;

/// What an erasure did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Rows of what they sent, deleted.
    pub rows_deleted: u64,
    /// Rows of what they received, which no longer tell that they did.
    pub rows_cleared: u64,
    /// Rows that stay, by the case that keeps them.
    pub kept: BTreeMap<String, u64>,
    /// Pairs with a council address in the index of past mail.
    pub contacts: u64,
    /// The number of the signed receipt; none while nothing was erased.
    #[serde(default)]
    pub receipt: Option<u64>,
}

/// Whom to forget again, as the keyring remembers it.
#[derive(Serialize, Deserialize)]
struct Forgotten {
    person: String,
    /// Whose pairs with them the index of past mail forgets.
    council: Vec<String>,
    /// Mail after this is another matter.
    until: Timestamp,
}

impl Keeping {
    /// Erases what is held of a person now. `council` are addresses whose pairs with them the index of past mail is to forget.
    pub fn erase(&mut self, person: &str, council: &[String], now: i64) -> Result<Erased, StoreError> {
        let person = normal(person);
        let until = Timestamp::from_millisecond(now).map_err(|_| StoreError::Damaged)?;
        // First whom to forget, then the forgetting: after a crash it is done again from the start.
        let key = Named::only(&mut self.ring, RecordClass::Rights)?;
        let number = self.ring.next_erasure()?;
        let sealed = key.seal_json(
            &mut self.nonces,
            Table::Erasure,
            number,
            &Forgotten { person: person.clone(), council: council.to_vec(), until },
        )?;
        self.ring.remember_erasure(number, now.saturating_add(self.longest()), &sealed)?;
        let mut erased = self.forget(&person, council, until)?;
        erased.receipt = Some(self.note_erased(number, &erased)?);
        // Deleted octets are overwritten; the log that held them is emptied.
        self.db.reclaim()?;
        Ok(erased)
    }

    /// What [`Keeping::erase`] would do now. Nothing is changed.
    pub fn would_erase(&mut self, person: &str, council: &[String], now: i64) -> Result<Erased, StoreError> {
        let person = normal(person);
        let until = Timestamp::from_millisecond(now).map_err(|_| StoreError::Damaged)?;
        let scope = Scope { person: Some(person.clone()), until: Some(until), ..Scope::default() };
        let mut others: Vec<String> = council.iter().map(|a| normal(a)).collect();
        let Keeping { db, ring, .. } = self;
        reading(db, |tx| {
            let mut erased = Erased::default();
            let net = Net::all(tx, ring)?;
            net.is_whole()?;
            let mut found = Vec::new();
            search::live(tx, ring, &scope, &mut |f, _| {
                found.push((f.id, normal(&f.row.sender), f.recipient));
                Ok(())
            })?;
            for (id, sender, recipient) in found {
                let cases = net.cases_of(tx, id)?;
                if !cases.is_empty() {
                    cases.into_iter().for_each(|(case, _)| *erased.kept.entry(case).or_insert(0) += 1);
                } else if sender == person {
                    erased.rows_deleted += 1;
                } else if recipient.is_some() {
                    erased.rows_cleared += 1;
                    others.push(sender);
                }
            }
            others.sort();
            others.dedup();
            for period in ring.periods(RecordClass::Contacts, i64::MIN, i64::MAX)? {
                for hash in others.iter().flat_map(|other| pair_hashes(&period.key, &person, other)) {
                    let there = "SELECT count(*) FROM past WHERE period = ?1 AND hash = ?2";
                    erased.contacts += tx.number(there, values![period.starts, hash])?.cast_unsigned();
                }
            }
            Ok(erased)
        })
    }

    /// Notes, with its signed receipt, that this database has forgotten; says the receipt's number.
    fn note_erased(&mut self, number: i64, erased: &Erased) -> Result<u64, StoreError> {
        let signer = receipts::signer(&mut self.ring)?;
        let mut receipt = Receipt {
            time: Timestamp::now(),
            held_back: erased.kept.clone(),
            erasure: Some(ErasureReceipt {
                rows_deleted: erased.rows_deleted,
                rows_cleared: erased.rows_cleared,
                contacts: erased.contacts,
            }),
            ..Receipt::default()
        };
        self.db.transaction(|tx| {
            tx.serial(SERIAL)?;
            tx.execute("INSERT INTO erased (id) VALUES (?1) ON CONFLICT (id) DO NOTHING", values![number])?;
            receipts::issue(tx, &signer, &mut receipt)
        })?;
        Ok(receipt.number)
    }

    /// A backup can be read for as long as the last key lives that was in use when it was made.
    fn longest(&self) -> i64 {
        let of = |class| millis(self.options.retention_of(class));
        [RecordClass::Events, RecordClass::Incidents, RecordClass::Contacts].map(of).into_iter().max().unwrap_or_default() + 2 * 86_400_000
    }

    fn forget(&mut self, person: &str, council: &[String], until: Timestamp) -> Result<Erased, StoreError> {
        let mut erased = Erased::default();
        let scope = Scope { person: Some(person.into()), until: Some(until), ..Scope::default() };
        let mut others: Vec<String> = council.iter().map(|a| normal(a)).collect();
        for class in [RecordClass::Events, RecordClass::Incidents] {
            for period in self.ring.periods(class, i64::MIN, until.as_millisecond())? {
                let Keeping { db, ring, nonces, .. } = self;
                // A period is one transaction: its rows and its index stay of one mind.
                db.transaction(|tx| {
                    let net = Net::all(tx, ring)?;
                    net.is_whole()?;
                    forget_in(tx, nonces, &net, class, &period, &scope, person, &mut erased, &mut others)
                })?;
            }
        }
        others.sort();
        others.dedup();
        for period in self.ring.periods(RecordClass::Contacts, i64::MIN, i64::MAX)? {
            let hashes: Vec<i64> = others.iter().flat_map(|other| pair_hashes(&period.key, person, other)).collect();
            erased.contacts += self.db.transaction(|tx| {
                let rows: Vec<_> = hashes.iter().map(|hash| values![period.starts, *hash].to_vec()).collect();
                tx.execute_many("DELETE FROM past WHERE period = ?1 AND hash = ?2", &rows)
            })?;
        }
        Ok(erased)
    }
}

#[expect(clippy::too_many_arguments, reason = "one period of forget, split off to be read alone")]
fn forget_in(
    tx: &mut (dyn Statements + '_),
    nonces: &mut Nonces,
    net: &Net,
    class: RecordClass,
    period: &Period,
    scope: &Scope,
    person: &str,
    erased: &mut Erased,
    others: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut found = Vec::new();
    search::in_period(tx, class, period, scope, &mut |f, _| {
        found.push((f.id, normal(&f.row.sender), f.recipient));
        Ok(())
    })?;
    let mut kept = Vec::new();
    for (id, sender, recipient) in found {
        let cases = net.cases_of(tx, id)?;
        if !cases.is_empty() {
            cases.into_iter().for_each(|(case, _)| *erased.kept.entry(case).or_insert(0) += 1);
            kept.push(id);
            continue;
        }
        if sender == person {
            let gone = tx.execute("DELETE FROM record WHERE id = ?1", values![id])?;
            count_removed(tx, class, gone)?;
            tx.execute("DELETE FROM note WHERE record = ?1", values![id])?;
            erased.rows_deleted += 1;
        } else if let Some(hash) = recipient {
            clear_row(tx, nonces, class, period, id, hash, person)?;
            tx.execute("DELETE FROM note WHERE record = ?1", values![id])?;
            erased.rows_cleared += 1;
            others.push(sender);
        }
    }
    clear_batches(tx, class, period, scope, person, &kept)
}

/// The row again, without the person among its recipients.
fn clear_row(
    tx: &mut (dyn Statements + '_),
    nonces: &mut Nonces,
    class: RecordClass,
    period: &Period,
    id: i64,
    hash: u64,
    person: &str,
) -> Result<(), StoreError> {
    let read = |row: &dyn crate::records::database::Row| Ok(row.octets(0)?.to_vec());
    let sealed = tx.first(&format!("SELECT sealed FROM record WHERE id = ?1{}", tx.for_update()), values![id], read)?;
    let Some(mut sealed) = sealed else { return Ok(()) };
    let place = RowPlace { table: Table::Record, row: id, class, period: period.starts };
    let domain = person.rsplit_once('@').map_or("", |(_, domain)| domain);
    let plain = row::without_recipient(period.key.open(&place, &mut sealed)?, hash, domain)?;
    let mut sealed = vec![0; NONCE_LEN];
    sealed.extend_from_slice(&plain);
    period.key.seal(&place, nonces, &mut sealed)?;
    tx.execute("UPDATE record SET sealed = ?2 WHERE id = ?1", values![id, &sealed])?;
    Ok(())
}

/// Takes the person's hashes out of the index, unless a row that stays needs them in that batch.
fn clear_batches(
    tx: &mut (dyn Statements + '_),
    class: RecordClass,
    period: &Period,
    scope: &Scope,
    person: &str,
    kept: &[i64],
) -> Result<(), StoreError> {
    let gone = [Kind::Sender, Kind::Recipient].map(|kind| period.key.hash(kind, person).to_be_bytes());
    let until = scope.until.map_or(i64::MAX, |t| t.as_millisecond());
    let mut without = Vec::new();
    let batches = "SELECT id, first, last, newest, hashes FROM batch WHERE class = ?1 AND period = ?2";
    tx.each(batches, values![i64::from(class.number()), period.starts], &mut |r| {
        let (first, last) = (r.integer(1)?, r.integer(2)?);
        // What came after the request stays findable.
        if kept.iter().any(|id| (first..=last).contains(id)) || r.integer(3)? > until {
            return Ok(());
        }
        let (hashes, _) = r.octets(4)?.as_chunks::<8>();
        if gone.iter().any(|g| hashes.binary_search(g).is_ok()) {
            without.push((r.integer(0)?, hashes.iter().filter(|h| !gone.contains(h)).flatten().copied().collect::<Vec<u8>>()));
        }
        Ok(())
    })?;
    for (id, hashes) in without {
        tx.execute("UPDATE batch SET hashes = ?2 WHERE id = ?1", values![id, &hashes])?;
    }
    Ok(())
}

/// Takes over whom another keyring of the same site was told to forget.
pub(in crate::records) fn merge(from: &mut Keyring, into: &mut Keyring) -> Result<(), StoreError> {
    let (theirs, ours) = (Named::only(from, RecordClass::Rights)?, Named::only(into, RecordClass::Rights)?);
    let have: Vec<i64> = into.erasures()?.into_iter().map(|(number, _)| number).collect();
    let mut nonces = Nonces::new();
    for (number, until, sealed) in from.erasures_until()? {
        if have.contains(&number) {
            continue;
        }
        let forgotten: Forgotten = theirs.open_json(Table::Erasure, number, &sealed)?;
        let sealed = ours.seal_json(&mut nonces, Table::Erasure, number, &forgotten)?;
        into.remember_erasure(number, until, &sealed)?;
    }
    Ok(())
}

/// Forgets again whoever was to be forgotten, where this database does not know of it: it was restored from a backup. Says how many.
pub(in crate::records) fn again(options: &Options, now: i64) -> Result<usize, StoreError> {
    let mut keeping = Keeping::open(options)?;
    keeping.ring.forget_erasures(now)?;
    let mut done = 0;
    for (number, sealed) in keeping.ring.erasures()? {
        if keeping.db.statements().number("SELECT count(*) FROM erased WHERE id = ?1", values![number])? > 0 {
            continue;
        }
        let key = Named::only(&mut keeping.ring, RecordClass::Rights)?;
        // Mail does not wait for it: whoever runs the gateway must hear of it.
        let Ok(forgotten) = key.open_json::<Forgotten>(Table::Erasure, number, &sealed) else {
            tracing::error!(event = "erasure_unreadable", number, "whom to forget again cannot be read: the keyring was altered");
            continue;
        };
        let erased = keeping.forget(&forgotten.person, &forgotten.council, forgotten.until)?;
        keeping.note_erased(number, &erased)?;
        done += 1;
    }
    if done > 0 {
        keeping.db.reclaim()?;
        tracing::warn!(
            event = "erased_again",
            people = done,
            "the database was restored: people who had asked to be forgotten were erased again"
        );
    }
    Ok(done)
}
