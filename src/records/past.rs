//! The index of past mail: who had mail with whom, who saw one another in which message, who was sent a protected document.
//!
//! It holds keyed hashes and the times at which they are forgotten, nothing else: no address, subject or Message-ID can be read out
//! of it, and without the keys of its class not even asked for. A question is asked under each key that still lives; when a key
//! dies, what it hashed can be found by nobody. It is written in the record's own transactions and asked on the record's own
//! thread, behind everything that waits to be written: a message that was answered with 250 is known to the next one.
//!
//! Entries of one pair made by one Message-ID only do not count against that same Message-ID: a provider may hand over a message
//! in several parts, and all of them are to be judged alike.

use super::database::{Row, Schema, Statements, values};
use super::keyring::{Keyring, Period, millis};
use super::place::Options;
use super::sealing::Kind;
use super::{RecordClass, StoreError, rates};
use crate::policy::past::{Answer, CIRCLE, Circle, Imprint, Question, Thread};

/// The keys that live, so that a question costs the keyring nothing.
#[derive(Default)]
pub(super) struct Periods {
    known: Option<Vec<Period>>,
}

impl Periods {
    fn live(&mut self, ring: &Keyring, now: i64) -> Result<&[Period], StoreError> {
        // A period that nobody here has begun may be another gateway's, which shares the database.
        let current = |known: &Vec<Period>| known.iter().any(|p| p.starts <= now && now < p.until);
        let known = match self.known.take().filter(current) {
            Some(known) => known,
            None => ring.periods(RecordClass::Contacts, i64::MIN, i64::MAX)?,
        };
        let known = self.known.insert(known);
        known.retain(|p| p.expires > now);
        // The latest first: that is where most is found.
        known.sort_by_key(|p| std::cmp::Reverse(p.starts));
        Ok(known)
    }

    fn add(&mut self, period: &Period) {
        if let Some(known) = &mut self.known
            && !known.iter().any(|p| p.starts == period.starts)
        {
            known.push(period.clone());
        }
    }

    /// Keys were dropped, or their time was changed.
    pub(super) fn forget(&mut self) {
        self.known = None;
    }
}

pub(super) const SCHEMA: Schema = Schema {
    part: "past",
    versions: &["CREATE TABLE IF NOT EXISTS past (period INTEGER NOT NULL, hash INTEGER NOT NULL, expires INTEGER NOT NULL,
                                                  message INTEGER NOT NULL, PRIMARY KEY (period, hash)) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS past_expires ON past (expires);
         CREATE TABLE IF NOT EXISTS circle (period INTEGER NOT NULL, hash INTEGER NOT NULL, expires INTEGER NOT NULL, members BLOB NOT NULL,
                                            PRIMARY KEY (period, hash)) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS circle_expires ON circle (expires);
         CREATE TABLE IF NOT EXISTS rate (period INTEGER NOT NULL, hash INTEGER NOT NULL, bucket INTEGER NOT NULL, count INTEGER NOT NULL,
                                          expires INTEGER NOT NULL, PRIMARY KEY (period, hash, bucket)) WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS rate_expires ON rate (expires)"],
};

/// The tables of the class, by the column in which each says when a row is to go.
pub(super) const TABLES: [&str; 3] = ["past", "circle", "rate"];

/// A hash as the store takes it.
fn hash(period: &Period, kind: Kind, text: &str) -> i64 {
    period.key.hash(kind, text).cast_signed()
}

/// A pair in either direction.
pub(super) fn either_way(a: &str, b: &str) -> String {
    if a <= b { format!("{a}\0{b}") } else { format!("{b}\0{a}") }
}

/// A message by who wrote it: an outsider who uses the Message-ID of a letter of the council's adds nobody to its readers.
fn thread_key(id: &str, from_council: bool) -> String {
    format!("{}{id}", if from_council { 'c' } else { 'o' })
}

/// Writes what is to be remembered of one message that was delivered at `time`.
pub(super) fn remember(
    tx: &mut (dyn Statements + '_),
    ring: &mut Keyring,
    periods: &mut Periods,
    options: &Options,
    time: i64,
    imprint: &Imprint,
) -> Result<(), StoreError> {
    let retention = options.retention_of(RecordClass::Contacts);
    let period = ring.at(RecordClass::Contacts, time, retention)?;
    periods.add(&period);
    let expires = time.saturating_add(millis(retention));
    let message = imprint.message_id.as_deref().map_or(0, |id| hash(&period, Kind::MessageId, id));
    let note = "INSERT INTO past (period, hash, expires, message) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (period, hash) DO UPDATE
                SET expires = CASE WHEN past.expires > excluded.expires THEN past.expires ELSE excluded.expires END,
                    message = CASE WHEN past.message = excluded.message THEN past.message ELSE 0 END";
    for other in &imprint.others {
        if imprint.contact {
            let pair = hash(&period, Kind::Contact, &either_way(&imprint.sender, other));
            tx.execute(note, values![period.starts, pair, expires, message])?;
        }
        if let Some(within) = imprint.protected_for {
            let sent = hash(&period, Kind::Protected, &format!("{}\0{other}", imprint.sender));
            tx.execute(note, values![period.starts, sent, expires.min(time.saturating_add(millis(within))), message])?;
        }
    }
    if let (Some(circle), Some(id)) = (&imprint.circle, &imprint.message_id) {
        remember_circle(tx, &period, id, circle, expires)?;
    }
    let count = "INSERT INTO rate (period, hash, bucket, count, expires) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (period, hash, bucket) DO UPDATE SET count = rate.count + excluded.count";
    for tally in &imprint.tallies {
        let bucket = rates::bucket(time, tally.per);
        let ends = rates::ends(bucket, tally.per);
        for key in &tally.keys {
            let adds = i64::try_from(tally.adds).unwrap_or(i64::MAX);
            tx.execute(count, values![period.starts, hash(&period, Kind::Rate, key), bucket, adds, ends])?;
        }
    }
    Ok(())
}

fn remember_circle(tx: &mut (dyn Statements + '_), period: &Period, id: &str, circle: &Circle, expires: i64) -> Result<(), StoreError> {
    let key = hash(period, Kind::Thread, &thread_key(id, circle.from_council));
    let stored = "SELECT members FROM circle WHERE period = ?1 AND hash = ?2";
    let before: Option<Vec<u64>> = tx.first(stored, values![period.starts, key], |row| Ok(unpack(row.octets(0)?).collect()))?;
    if before.is_some() && !circle.from_council {
        // What a message from outside shows does not change; whoever sends another under its Message-ID is not believed.
        return Ok(());
    }
    let mut members = before.unwrap_or_default();
    members.extend(circle.people.iter().map(|who| member(period, id, who)));
    members.sort_unstable();
    members.dedup();
    members.truncate(CIRCLE);
    let packed: Vec<u8> = members.iter().flat_map(|m| m.to_be_bytes()).collect();
    tx.execute(
        "INSERT INTO circle (period, hash, expires, members) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (period, hash) DO UPDATE SET expires = excluded.expires, members = excluded.members",
        values![period.starts, key, expires, &packed],
    )?;
    Ok(())
}

/// The same person hashes differently in each message, so that nobody can be followed from one to the next.
fn member(period: &Period, id: &str, who: &str) -> u64 {
    period.key.hash(Kind::Member, &format!("{id}\0{who}"))
}

fn unpack(members: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
    members.as_chunks::<8>().0.iter().map(|m| u64::from_be_bytes(*m))
}

/// Answers one question as of `now`.
pub(super) fn answer(
    tx: &mut (dyn Statements + '_),
    ring: &Keyring,
    periods: &mut Periods,
    now: i64,
    question: &Question,
) -> Result<Answer, StoreError> {
    let mut index = Index { tx, periods: periods.live(ring, now)?, now };
    let own = question.message_id.as_deref();
    let mut answer = Answer::default();
    if let Some(contact) = &question.contact {
        let mut first = !contact.any && !contact.others.is_empty();
        for other in &contact.others {
            let known = index.notes(Kind::Contact, &either_way(&contact.sender, other), own)?;
            if known != contact.any {
                first = contact.any;
                break;
            }
        }
        answer.first_contact = Some(first);
    }
    if let Some((sender, near)) = &question.near_names {
        let mut new = false;
        for other in near {
            new = new || !index.notes(Kind::Contact, &either_way(sender, other), own)?;
        }
        answer.near_name = Some(new);
    }
    if let Some((sender, others)) = &question.protected {
        let mut sent = false;
        for other in others {
            sent = sent || index.notes(Kind::Protected, &format!("{sender}\0{other}"), own)?;
        }
        answer.protected_before = Some(sent);
    }
    if let Some(thread) = &question.seen_together {
        answer.seen_together = Some(index.seen_together(thread)?);
    }
    Ok(answer)
}

struct Index<'a> {
    tx: &'a mut (dyn Statements + 'a),
    periods: &'a [Period],
    now: i64,
}

impl Index<'_> {
    /// Whether this was noted, by another message than `own`.
    fn notes(&mut self, kind: Kind, text: &str, own: Option<&str>) -> Result<bool, StoreError> {
        let select = "SELECT message FROM past WHERE period = ?1 AND hash = ?2 AND expires > ?3";
        for period in self.periods {
            let of = values![period.starts, hash(period, kind, text), self.now];
            if let Some(message) = self.tx.first(select, of, |row| row.integer(0))?
                && (message == 0 || own.is_none_or(|id| message != hash(period, Kind::MessageId, id)))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether each two of them were in one earlier message of the thread together.
    fn seen_together(&mut self, thread: &Thread) -> Result<bool, StoreError> {
        let people = &thread.people;
        if people.len() < 2 || people.len() > CIRCLE {
            return Ok(people.len() < 2);
        }
        // For each person the messages that showed them, one bit for each message.
        let mut shown = vec![0u64; people.len()];
        let mut messages = 0;
        let select = "SELECT members FROM circle WHERE period = ?1 AND hash = ?2 AND expires > ?3";
        for id in &thread.ids {
            for period in self.periods {
                for from_council in [true, false] {
                    let key = hash(period, Kind::Thread, &thread_key(id, from_council));
                    let read = |row: &dyn Row| Ok(unpack(row.octets(0)?).collect::<Vec<u64>>());
                    let members = self.tx.first(select, values![period.starts, key, self.now], read)?;
                    let Some(members) = members.filter(|_| messages < u64::BITS) else { continue };
                    for (who, bits) in people.iter().zip(&mut shown) {
                        if members.binary_search(&member(period, id, who)).is_ok() {
                            *bits |= 1 << messages;
                        }
                    }
                    messages += 1;
                }
            }
        }
        Ok(shown.iter().enumerate().all(|(i, a)| shown[..i].iter().all(|b| a & b != 0)))
    }
}

/// What was counted for each key and is not forgotten yet: bucket and number.
pub(super) fn counted(
    tx: &mut (dyn Statements + '_),
    ring: &Keyring,
    periods: &mut Periods,
    now: i64,
    keys: &[String],
) -> Result<Vec<Vec<(i64, u64)>>, StoreError> {
    let periods = periods.live(ring, now)?;
    let select = "SELECT bucket, count FROM rate WHERE period = ?1 AND hash = ?2 AND expires > ?3 ORDER BY bucket";
    let mut out = Vec::with_capacity(keys.len());
    for key in keys {
        let mut found = Vec::new();
        for period in periods {
            tx.each(select, values![period.starts, hash(period, Kind::Rate, key), now], &mut |row| {
                found.push((row.integer(0)?, row.integer(1)?.cast_unsigned()));
                Ok(())
            })?;
        }
        out.push(found);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
