//! Everything that is held of one person, gathered; what of it may be shown to them is for whoever writes it down.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::notes::{self, Note};
use super::requests::Request;
use super::search;
use crate::records::custody::{Custody, Fate, Kind as Mail, RuleNote, Sheet, State, Which};
use crate::records::database::values;
use crate::records::holds::{Net, Scope};
use crate::records::keeping::{Keeping, reading};
use crate::records::past::either_way;
use crate::records::row::Row;
use crate::records::sealing::Kind;
use crate::records::trace::normal;
use crate::records::{RecordClass, StoreError, custody};

/// What is held of one person.
pub struct Dossier {
    /// Their address, in normal form.
    pub person: String,
    /// Oldest first.
    pub rows: Vec<OwnRow>,
    pub contacts: Contacts,
    pub requests: Vec<Request>,
    /// Cases for which something of theirs is kept longer, and until when.
    pub cases: Vec<(String, Timestamp)>,
    /// Rows in their neighbourhood that could not be opened: altered, or their key has just been erased.
    pub unreadable: usize,
}

/// A row of theirs.
pub struct OwnRow {
    pub row: Row,
    pub class: RecordClass,
    pub part: Part,
    /// What became of their own copy, where they were a recipient; 0 while that is not known.
    pub own_code: Option<u16>,
    pub notes: Vec<Note>,
    /// The cases by which it is kept.
    pub cases: Vec<String>,
}

/// What they had to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Sender,
    Recipient,
    Both,
    /// A notice to somebody else about a message of theirs.
    Subject,
}

/// The index of past mail holds hashes of pairs: it can be asked for a pair whose both sides are known, and not be listed.
#[derive(Default)]
pub struct Contacts {
    /// Council addresses that it was asked for.
    pub asked: usize,
    /// Of these, with whom it remembers mail.
    pub known: Vec<String>,
}

/// A message in custody that is theirs.
pub struct OwnParcel {
    pub id: i64,
    pub kind: Mail,
    pub state: State,
    pub ends: i64,
    pub part: Part,
    pub reference: String,
    pub taken: i64,
    pub sender: String,
    pub rules: Vec<RuleNote>,
    /// What became of their own copy.
    pub fate: Option<Fate>,
    /// Recipients besides them.
    pub others: usize,
    /// Octets.
    pub size: u64,
    /// As it came; only of what they sent themselves.
    pub content: Option<Vec<u8>>,
}

impl Keeping {
    /// Gathers what the record holds. `council` are addresses that the index of past mail is asked for.
    pub fn dossier(&mut self, person: &str, council: &[String], now: i64) -> Result<Dossier, StoreError> {
        let person = normal(person);
        let scope = Scope { person: Some(person.clone()), ..Scope::default() };
        let requests = self.requests()?.into_iter().filter(|r| normal(&r.person) == person).collect();
        let Keeping { db, ring, .. } = self;
        reading(db, |tx| {
            let net = Net::all(tx, ring)?;
            let mut found = Vec::new();
            let unreadable = search::everything(tx, ring, &net, &scope, &mut |f, _| {
                found.push(f);
                Ok(())
            })?;
            let mut rows = Vec::with_capacity(found.len());
            let mut cases = BTreeSet::new();
            for f in found {
                let by = net.cases_of(tx, f.id)?;
                let part = match (normal(&f.row.sender) == person, f.recipient) {
                    (true, Some(_)) => Part::Both,
                    (true, None) => Part::Sender,
                    _ => Part::Recipient,
                };
                let own_code = f.recipient.and_then(|h| f.row.recipients.iter().find(|r| r.hash == h)).map(|r| r.code);
                let notes = notes::of_row(tx, ring, &net, f.class, f.period, f.id)?;
                cases.extend(by.iter().cloned());
                rows.push(OwnRow { row: f.row, class: f.class, part, own_code, notes, cases: by.into_iter().map(|(c, _)| c).collect() });
            }
            rows.sort_by_key(|r| r.row.time);
            // Who wrote to them or was written to may have left the council since: their senders are asked for too.
            let mut asked: BTreeSet<String> = council.iter().map(|a| normal(a)).collect();
            asked.extend(rows.iter().filter(|r| r.part == Part::Recipient).map(|r| normal(&r.row.sender)));
            asked.retain(|a| a.contains('@') && *a != person);
            let mut contacts = Contacts { asked: asked.len(), known: Vec::new() };
            for period in ring.periods(RecordClass::Contacts, i64::MIN, i64::MAX)? {
                for other in &asked {
                    for hash in pair_hashes(&period.key, &person, other) {
                        let there = "SELECT count(*) FROM past WHERE period = ?1 AND hash = ?2 AND expires > ?3";
                        if tx.number(there, values![period.starts, hash, now])? > 0 && !contacts.known.contains(other) {
                            contacts.known.push(other.clone());
                        }
                    }
                }
            }
            contacts.known.sort();
            Ok(Dossier { person: person.clone(), rows, contacts, requests, cases: cases.into_iter().collect(), unreadable })
        })
    }
}

/// The hashes by which two people may be known to the index of past mail, as the store has them.
pub(super) fn pair_hashes(key: &crate::records::sealing::PeriodKey, a: &str, b: &str) -> [i64; 3] {
    let hash = |kind: Kind, text: String| key.hash(kind, &text).cast_signed();
    [hash(Kind::Contact, either_way(a, b)), hash(Kind::Protected, format!("{a}\0{b}")), hash(Kind::Protected, format!("{b}\0{a}"))]
}

/// What of this person's is in custody: mail that waits or is held, notices to them, and notices to others about the messages whose
/// references are given. Content only of what they sent and is held.
pub fn parcels(custody: &mut dyn Custody, person: &str, references: &[String]) -> Result<Vec<OwnParcel>, StoreError> {
    let person = normal(person);
    let mut out = Vec::new();
    for kind in [Mail::Mail, Mail::Notice] {
        for state in [State::Waiting, State::Stopped, State::Held] {
            for parcel in custody.list(Which { kind, state, most: custody::MOST as usize, due: None })? {
                let Some(part) = part(&parcel.sheet, &person, references, kind) else { continue };
                let sheet = &parcel.sheet;
                let own = sheet.recipients.iter().position(|r| normal(&r.address) == person);
                let wrote = kind == Mail::Mail && state == State::Held && matches!(part, Part::Sender | Part::Both);
                out.push(OwnParcel {
                    id: parcel.id,
                    kind,
                    state,
                    ends: parcel.ends,
                    part,
                    reference: sheet.reference.clone(),
                    taken: sheet.taken,
                    sender: sheet.origin.sender.clone(),
                    rules: sheet.origin.rules.clone(),
                    fate: own.map(|i| sheet.recipients[i].state.clone()),
                    others: sheet.recipients.len() - usize::from(own.is_some()),
                    size: sheet.origin.size,
                    content: if wrote { custody.content(parcel.id)? } else { None },
                });
            }
        }
    }
    out.sort_by_key(|p| (p.taken, p.id));
    Ok(out)
}

fn part(sheet: &Sheet, person: &str, references: &[String], kind: Mail) -> Option<Part> {
    let wrote = kind == Mail::Mail && (normal(&sheet.origin.sender) == person || normal(&sheet.reverse_path) == person);
    let receives = sheet.recipients.iter().any(|r| normal(&r.address) == person);
    match (wrote, receives) {
        (true, true) => Some(Part::Both),
        (true, false) => Some(Part::Sender),
        (false, true) => Some(Part::Recipient),
        (false, false) if kind == Mail::Notice && references.contains(&sheet.reference) => Some(Part::Subject),
        (false, false) => None,
    }
}
