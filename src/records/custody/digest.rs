//! When the Clerk was last told how the gateway fares, what came of held mail hour by hour, and how much waits for which upstream.
//!
//! That a digest was sent stands in the same transaction as its letters: of several gateways on one database one sends it, and a
//! crash leaves both or neither. That it was delivered is noted before its letter goes. The first look begins the watch: from then
//! on a digest that does not come is missed. Nothing here names anybody.

use std::collections::BTreeMap;

use super::store::Found;
use super::{Becomes, Kind, State};
use crate::records::StoreError;
use crate::records::database::{Database, Durability, Statements, values};
use crate::records::place::Options;

pub(super) const TABLES: &str = "CREATE TABLE digest (due INTEGER PRIMARY KEY, since INTEGER NOT NULL, sent INTEGER NOT NULL);
     CREATE TABLE digest_letter (parcel INTEGER PRIMARY KEY, due INTEGER NOT NULL, delivered INTEGER NOT NULL);
     CREATE TABLE happened (hour INTEGER NOT NULL, kind INTEGER NOT NULL, lane TEXT NOT NULL, count INTEGER NOT NULL,
                            PRIMARY KEY (hour, kind, lane)) WITHOUT ROWID";

const HOUR: i64 = 3_600_000;
/// As long as the record's own counts: two years' comparison and a month.
const KEPT: i64 = 25 * 31 * 24 * HOUR;
/// What was sent later than this by the clock of now was sent by a clock that was ahead, and did not happen.
const AHEAD: i64 = HOUR;

/// What a digest covers, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    pub since: i64,
    /// The moment that it was due, which names it.
    pub until: i64,
}

/// How the digests stand, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestStanding {
    /// Up to when the last one tells; when the watch began if there was none.
    pub told: i64,
    /// Up to when the last one tells that the mail provider has taken for everybody it goes to; when the watch began if there was none.
    pub arrived: i64,
    /// When that one was delivered.
    pub delivered: Option<i64>,
}

/// What came of mail in custody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// A message began to leave as one copy for each outsider.
    Split = 1,
    /// Somebody let a held message go.
    Released = 2,
    /// A held message was sent back, or cancelled by its sender.
    Returned = 3,
    /// Nobody decided, and it was sent.
    ReleasedAtEnd = 4,
    /// Nobody decided, and it went back.
    ReturnedAtEnd = 5,
}

/// How often what happened, by upstream.
pub type Happenings = BTreeMap<(Happened, String), u64>;

/// The parcels of one upstream in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    pub kind: Kind,
    /// The upstream; none for notices.
    pub lane: String,
    pub state: State,
    pub parcels: u64,
    /// When the gateway took the oldest.
    pub taken: i64,
    /// When the time of the first is over.
    pub ends: i64,
}

impl Happened {
    pub const ALL: [Happened; 5] =
        [Happened::Split, Happened::Released, Happened::Returned, Happened::ReleasedAtEnd, Happened::ReturnedAtEnd];

    /// What becomes of a held parcel, if this decides about it.
    pub(super) fn of(row: &Found, becomes: &Becomes, now: i64) -> Option<Happened> {
        if row.state != State::Held as i64 {
            return None;
        }
        let over = now >= row.ends;
        match becomes {
            Becomes::Same => None,
            Becomes::This(parcel) if parcel.state != State::Waiting => None,
            Becomes::This(_) | Becomes::These(_) => Some(if over { Happened::ReleasedAtEnd } else { Happened::Released }),
            Becomes::Nothing => Some(if over { Happened::ReturnedAtEnd } else { Happened::Returned }),
        }
    }

    pub(super) fn note(self, tx: &mut (dyn Statements + '_), lane: &str, now: i64) -> Result<(), StoreError> {
        tx.execute(
            "INSERT INTO happened (hour, kind, lane, count) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT (hour, kind, lane) DO UPDATE SET count = happened.count + 1",
            values![now.div_euclid(HOUR), self as i64, lane],
        )?;
        Ok(())
    }
}

/// How the digests stand; begins the watch if nobody has.
pub(super) fn standing(tx: &mut (dyn Statements + '_), now: i64) -> Result<DigestStanding, StoreError> {
    if let Some(standing) = known(tx, now)? {
        return Ok(standing);
    }
    // Another gateway may begin it at the same moment.
    tx.execute("INSERT INTO digest (due, since, sent) VALUES (?1, ?1, 0) ON CONFLICT (due) DO NOTHING", values![now])?;
    Ok(DigestStanding { told: now, arrived: now, delivered: None })
}

fn known(tx: &mut (dyn Statements + '_), now: i64) -> Result<Option<DigestStanding>, StoreError> {
    let now = now.saturating_add(AHEAD);
    let told = tx.first("SELECT max(due) FROM digest WHERE due <= ?1", values![now], |row| row.optional(0))?.flatten();
    let Some(told) = told else { return Ok(None) };
    let whole = "SELECT max(due) FROM digest WHERE due <= ?1
                 AND NOT EXISTS (SELECT 1 FROM digest_letter WHERE digest_letter.due = digest.due AND delivered = 0)";
    // Where the first was forgotten, the oldest that is known is what can be said.
    let arrived = match tx.first(whole, values![now], |row| row.optional(0))?.flatten() {
        Some(arrived) => arrived,
        None => tx.number("SELECT min(since) FROM digest WHERE due <= ?1", values![now])?,
    };
    let delivered = "SELECT max(delivered) FROM digest_letter WHERE due = ?1";
    let delivered = tx.first(delivered, values![arrived], |row| row.optional(0))?.flatten();
    Ok(Some(DigestStanding { told, arrived, delivered }))
}

/// Notes that a digest is sent; false if it was before.
pub(super) fn claim(tx: &mut (dyn Statements + '_), digest: Covered, now: i64) -> Result<bool, StoreError> {
    for table in ["digest_letter", "digest"] {
        let untrue = format!("DELETE FROM {table} WHERE due > ?1 OR due < ?2");
        tx.execute(&untrue, values![now.saturating_add(AHEAD), now - KEPT])?;
    }
    let insert = "INSERT INTO digest (due, since, sent) VALUES (?1, ?2, ?3) ON CONFLICT (due) DO NOTHING";
    Ok(tx.execute(insert, values![digest.until, digest.since, now])? > 0)
}

/// Notes a letter of a digest.
pub(super) fn letter(tx: &mut (dyn Statements + '_), digest: Covered, parcel: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO digest_letter (parcel, due, delivered) VALUES (?1, ?2, 0)", values![parcel, digest.until])?;
    Ok(())
}

/// The mail provider has taken a letter; nothing is changed if it is not a digest's.
pub(super) fn delivered(tx: &mut (dyn Statements + '_), parcel: i64, now: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE digest_letter SET delivered = ?2 WHERE parcel = ?1 AND delivered = 0", values![parcel, now])?;
    Ok(())
}

/// What happened within these times, in whole hours: from the one that `since` is in, up to but not with the one that `until` is in.
pub(super) fn happenings(tx: &mut (dyn Statements + '_), since: i64, until: i64) -> Result<Happenings, StoreError> {
    let all = "SELECT kind, lane, CAST(sum(count) AS BIGINT) FROM happened WHERE hour >= ?1 AND hour < ?2 GROUP BY kind, lane";
    let mut out = Happenings::new();
    tx.each(all, values![since.div_euclid(HOUR), until.div_euclid(HOUR)], &mut |row| {
        let number = row.integer(0)?;
        // What a newer program counts is none of this one's figures.
        if let Some(what) = Happened::ALL.into_iter().find(|h| *h as i64 == number) {
            out.insert((what, row.text(1)?.to_owned()), row.integer(2)?.max(0).cast_unsigned());
        }
        Ok(())
    })?;
    Ok(out)
}

/// How much is in custody, by upstream and state.
pub(super) fn heaps(tx: &mut (dyn Statements + '_)) -> Result<Vec<Heap>, StoreError> {
    let all = "SELECT kind, lane, state, count(*), min(taken), min(ends) FROM parcel GROUP BY kind, lane, state ORDER BY kind, lane, state";
    tx.all(all, &[], |row| {
        Ok(Heap {
            kind: Kind::of(row.integer(0)?)?,
            lane: row.text(1)?.to_owned(),
            state: State::of(row.integer(2)?)?,
            parcels: row.integer(3)?.max(0).cast_unsigned(),
            taken: row.integer(4)?,
            ends: row.integer(5)?,
        })
    })
}

/// Drops counts that nobody compares any more.
pub(super) fn purge(tx: &mut (dyn Statements + '_), now: i64) -> Result<(), StoreError> {
    tx.execute("DELETE FROM happened WHERE hour < ?1", values![(now - KEPT).div_euclid(HOUR)])?;
    Ok(())
}

/// How the digests stand, looked at without changing anything. None before a gateway has begun the watch.
pub fn digest_standing(options: &Options, now: i64) -> Result<Option<DigestStanding>, StoreError> {
    if !options.custody.may_be_there() {
        return Ok(None);
    }
    let mut db = Database::open(&options.custody, Durability::Full)?;
    let tx = db.statements();
    if !tx.shapes()?.iter().any(|shape| shape.table == "digest_letter") {
        return Ok(None);
    }
    known(tx, now)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{deposit, parcel};
    use super::super::{Custody, Decision};
    use super::*;
    use crate::records::tests::on_each_engine;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 1_780_000_000_000;

    fn on_each(test: impl Fn(&mut dyn FnMut() -> Box<dyn Custody>)) {
        on_each_engine(|| super::super::tests::on_each(&test));
    }

    fn letters(n: usize) -> Vec<super::super::Deposit> {
        (0..n)
            .map(|_| super::super::Deposit {
                kind: Kind::Notice,
                told: Vec::new(),
                ..deposit(vec![parcel(State::Waiting, &["clerk@wragby.gov.uk"])])
            })
            .collect()
    }

    fn waiting(custody: &mut dyn Custody) -> Vec<i64> {
        custody.claim(Kind::Notice, "", 100, NOW + 30 * DAY).unwrap().parcels.iter().map(|p| p.id).collect()
    }

    #[test]
    fn a_digest_is_sent_once_whoever_tries_and_is_there_after_a_restart() {
        on_each(|open| {
            let (mut one, mut two) = (open(), open());
            let begun = DigestStanding { told: NOW, arrived: NOW, delivered: None };
            assert_eq!(one.digest(NOW).unwrap(), begun);
            assert_eq!(two.digest(NOW + 1).unwrap(), begun, "the watch has begun");
            let digest = Covered { since: NOW, until: NOW + 7 * DAY };
            assert!(one.send_digest(digest, &letters(2), NOW + 7 * DAY).unwrap());
            assert!(!two.send_digest(digest, &letters(2), NOW + 7 * DAY).unwrap(), "the other gateway has sent it");
            drop(one);
            assert!(!open().send_digest(digest, &letters(2), NOW + 7 * DAY).unwrap(), "nor after a restart");
            let ids = waiting(two.as_mut());
            assert_eq!(ids.len(), 2);
            // Sent is not delivered, and delivered to one is not delivered.
            let sent = DigestStanding { told: NOW + 7 * DAY, ..begun };
            assert_eq!(two.digest(NOW + 7 * DAY).unwrap(), sent);
            two.digest_delivered(ids[0], NOW + 8 * DAY).unwrap();
            assert_eq!(two.digest(NOW + 8 * DAY).unwrap(), sent);
            two.digest_delivered(ids[1], NOW + 9 * DAY).unwrap();
            two.digest_delivered(ids[1], NOW + 10 * DAY).unwrap();
            two.settle(ids.iter().map(|id| (*id, Decision::done())).collect(), NOW + 9 * DAY).unwrap();
            let arrived = DigestStanding { told: NOW + 7 * DAY, arrived: NOW + 7 * DAY, delivered: Some(NOW + 9 * DAY) };
            assert_eq!(two.digest(NOW + 9 * DAY).unwrap(), arrived);
        });
    }

    #[test]
    fn of_gateways_that_try_at_the_same_moment_one_sends_it() {
        on_each(|open| {
            let digest = Covered { since: NOW, until: NOW + 7 * DAY };
            open().digest(NOW).unwrap();
            let stores: Vec<_> = (0..4).map(|_| open()).collect();
            let sent: usize = std::thread::scope(|scope| {
                let send =
                    |mut store: Box<dyn Custody>| scope.spawn(move || store.send_digest(digest, &letters(1), NOW + 7 * DAY).unwrap());
                let tries: Vec<_> = stores.into_iter().map(send).collect();
                tries.into_iter().filter_map(|t| t.join().unwrap().then_some(())).count()
            });
            assert_eq!((sent, waiting(open().as_mut()).len()), (1, 1));
        });
    }

    #[test]
    fn what_a_clock_that_was_ahead_sent_did_not_happen() {
        on_each(|open| {
            let mut custody = open();
            custody.digest(NOW).unwrap();
            let ahead = Covered { since: NOW, until: NOW + 7 * DAY };
            assert!(custody.send_digest(ahead, &letters(1), NOW + 7 * DAY).unwrap());
            assert_eq!(custody.digest(NOW + DAY).unwrap().told, NOW, "the clock is back");
            assert!(custody.send_digest(Covered { since: NOW, until: NOW + DAY }, &letters(1), NOW + DAY).unwrap());
            assert!(custody.send_digest(Covered { since: NOW + DAY, ..ahead }, &letters(1), NOW + 7 * DAY).unwrap());
        });
    }

    #[test]
    fn what_came_of_held_mail_is_counted_with_the_decision() {
        on_each(|open| {
            let mut custody = open();
            let held = || parcel(State::Held, &["a@x.uk"]);
            let ids = custody.accept(&[deposit((0..5).map(|_| held()).collect())], NOW).unwrap().remove(0);
            let mut decide = |id: i64, now: i64, becomes: Becomes| {
                custody.decide(id, now, &mut |_| Ok(Decision::of(becomes.clone()))).unwrap();
            };
            decide(ids[0], NOW, Becomes::This(Box::new(held())));
            decide(ids[0], NOW, Becomes::This(Box::new(parcel(State::Waiting, &["a@x.uk"]))));
            decide(ids[1], NOW, Becomes::Nothing);
            decide(ids[2], NOW + 5 * DAY, Becomes::Nothing);
            decide(ids[3], NOW + 5 * DAY, Becomes::This(Box::new(parcel(State::Waiting, &["a@x.uk"]))));
            decide(ids[4], NOW, Becomes::These(vec![parcel(State::Tally, &["a@x.uk"]), parcel(State::Waiting, &["a@x.uk"])]));
            // It was decided: it is not held any more.
            decide(ids[0], NOW, Becomes::Nothing);
            let all = custody.happenings(NOW, NOW + 6 * DAY).unwrap();
            let of = |what| all.get(&(what, String::new())).copied().unwrap_or(0);
            assert_eq!(Happened::ALL.map(of), [1, 2, 1, 1, 1]);
            let later = custody.happenings(NOW + HOUR, NOW + 6 * DAY).unwrap();
            assert_eq!(later.values().sum::<u64>(), 2, "hours are told apart: {later:?}");
            custody.purge(NOW + 3 * KEPT).unwrap();
            assert!(custody.happenings(0, i64::MAX).unwrap().is_empty());
        });
    }

    #[test]
    fn heaps_say_how_much_waits_where_since_when() {
        on_each(|open| {
            let mut custody = open();
            custody.accept(&[deposit(vec![parcel(State::Waiting, &["a@x.uk"]), parcel(State::Held, &["a@x.uk"])])], NOW).unwrap();
            let mut later = parcel(State::Waiting, &["a@x.uk"]);
            later.ends += 1;
            custody.accept(&[deposit(vec![later])], NOW + 1).unwrap();
            let heap = |state, parcels| Heap { kind: Kind::Mail, lane: String::new(), state, parcels, taken: NOW, ends: NOW + 5 * DAY };
            assert_eq!(custody.heaps().unwrap(), [heap(State::Waiting, 2), heap(State::Held, 1)]);
        });
    }
}
