//! The chain of the access log: each entry's digest covers the one before it and the entry as it is sealed, so that it holds after the
//! key of the entry has died.
//!
//! The number and the digest of the last entry stand in the database and, apart from it, in the keyring. An entry is committed to the
//! database first and then noted in the keyring; who appends makes sure before that the keyring knows the last one. So after a crash
//! **the database may be ahead of the keyring by one entry, and the keyring is never ahead**: where it is, entries were cut off, or the
//! database was put back from an older copy. The next entry then takes the number after the one that the keyring knows, and the gap
//! stays to be seen.

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{Access, opened};
use crate::records::database::{Database, Row, Statements, values};
use crate::records::keyring::{Keyring, millis};
use crate::records::receipts::{hex, signer};
use crate::records::{Options, RecordClass, StoreError};

/// Under this word those write who add to the log or take from it.
pub(in crate::records) const SERIAL: &str = "access";

/// The end of the chain, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::records) struct Head {
    /// 0 before the first entry.
    pub number: i64,
    pub digest: [u8; 32],
}

/// What is known about entries that are not there, or did not hold: kept in the keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::records) struct Gap {
    pub first: i64,
    pub last: i64,
    /// The last one's, where the chain goes on.
    pub digest: [u8; 32],
    pub why: Why,
    /// When it was noted, in milliseconds.
    pub noted: i64,
}

/// How it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::records) enum Why {
    /// A backup was restored that does not have them.
    Restored = 1,
    /// Their key was lost, and somebody went on without it.
    KeyLost = 2,
    /// The keyring did not know them: it was put back from an older copy.
    KeyringOlder = 3,
    /// They did not follow from what the keyring knew.
    Unlinked = 4,
    /// They were purged, and did not hold when they were.
    PurgedBroken = 5,
    /// They were purged before the retention that was in force then.
    PurgedEarly = 6,
}

impl Why {
    pub(in crate::records) fn of(number: i64) -> Result<Why, StoreError> {
        use Why::*;
        [Restored, KeyLost, KeyringOlder, Unlinked, PurgedBroken, PurgedEarly]
            .into_iter()
            .find(|w| *w as i64 == number)
            .ok_or(StoreError::Damaged)
    }
}

/// Where the log begins after a purge; in the purge's receipt too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The last entry that went.
    pub number: i64,
    /// Its digest, in hexadecimal.
    pub digest: String,
}

impl Head {
    pub(in crate::records) const NONE: Head = Head { number: 0, digest: [0; 32] };

    /// The head after this entry. SHA-256 over: a word for the format, the digest before, and of the entry number, place and period
    /// (big end first), the length of its sealed octets, and these.
    pub(super) fn next(&self, number: i64, place: i64, period: i64, sealed: &[u8]) -> Head {
        let mut context = Context::new(&SHA256);
        context.update(b"lychgate access v1\0");
        context.update(&self.digest);
        for n in [number, place, period, sealed.len() as i64] {
            context.update(&n.to_be_bytes());
        }
        context.update(sealed);
        Head { number, digest: context.finish().as_ref().try_into().expect("SHA-256 gives 32 octets") }
    }
}

/// An entry as it stands in the database.
pub(super) struct Link {
    pub number: i64,
    pub place: i64,
    pub period: i64,
    pub expires: i64,
    pub sealed: Vec<u8>,
    /// Empty where it is none.
    pub digest: Vec<u8>,
}

/// What an entry without a digest has in its place is not one.
pub(super) const LINK: &str = "SELECT number, place, period, expires, sealed, coalesce(digest, sealed) FROM access_log";

impl Link {
    pub(super) fn read(row: &dyn Row) -> Result<Link, StoreError> {
        Ok(Link {
            number: row.integer(0)?,
            place: row.integer(1)?,
            period: row.integer(2)?,
            expires: row.integer(3)?,
            sealed: row.octets(4)?.to_vec(),
            digest: row.octets(5)?.to_vec(),
        })
    }

    /// The head after it, if it is linked to `before`.
    pub(super) fn follows(&self, before: &Head) -> Option<Head> {
        let head = before.next(self.number, self.place, self.period, &self.sealed);
        (self.number == before.number + 1 && head.digest[..] == self.digest[..]).then_some(head)
    }

    /// The head that it claims to be.
    pub(super) fn claimed(&self) -> Head {
        Head { number: self.number, digest: self.digest.as_slice().try_into().unwrap_or([0; 32]) }
    }
}

/// Writes the end of the chain into the database.
pub(super) fn keep_head(tx: &mut (dyn Statements + '_), head: &Head) -> Result<(), StoreError> {
    let keep = "INSERT INTO access_chain (one, number, digest) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE
                SET number = excluded.number, digest = excluded.digest";
    tx.execute(keep, values![head.number, &head.digest[..]]).map(drop)
}

/// Links the entries of before there was a chain, once: until the keyring knows an end of it.
pub(in crate::records) fn adopt(db: &mut Database, ring: &mut Keyring) -> Result<(), StoreError> {
    if ring.access_head()?.is_some() {
        return Ok(());
    }
    let head = db.transaction(|tx| {
        tx.serial(SERIAL)?;
        link_all(tx)
    })?;
    ring.set_access_head(&head)
}

fn link_all(tx: &mut (dyn Statements + '_)) -> Result<Head, StoreError> {
    let mut head = anchor(tx)?.map_or(Head::NONE, |a| a.head);
    for link in tx.all(&format!("{LINK} WHERE number > ?1 ORDER BY number"), values![head.number], Link::read)? {
        head = head.next(link.number, link.place, link.period, &link.sealed);
        tx.execute("UPDATE access_log SET digest = ?2 WHERE number = ?1 AND digest IS NULL", values![link.number, &head.digest[..]])?;
    }
    keep_head(tx, &head)?;
    Ok(head)
}

/// Brings the keyring up to what the database has, and says what the next entry is linked to.
pub(super) fn settle(tx: &mut (dyn Statements + '_), ring: &Keyring, now: i64) -> Result<Head, StoreError> {
    let known = ring.access_head()?.unwrap_or(Head::NONE);
    let mut head = known.clone();
    let (mut linked, mut more) = (true, 0);
    let mut first = known.number + 1;
    tx.each(&format!("{LINK} WHERE number > ?1 ORDER BY number"), values![known.number], &mut |row| {
        let link = Link::read(row)?;
        if more == 0 {
            first = link.number;
        }
        more += 1;
        match link.follows(&head) {
            Some(next) => head = next,
            None => {
                linked = false;
                head = link.claimed();
            }
        }
        Ok(())
    })?;
    if more > 0 {
        let why = match (linked, more) {
            (false, _) => Some(Why::Unlinked),
            // One may be the last moment's.
            (true, 1) => None,
            (true, _) => Some(Why::KeyringOlder),
        };
        if let Some(why) = why {
            ring.note_gap(&Gap { first, last: head.number, digest: head.digest, why, noted: now })?;
        }
        ring.set_access_head(&head)?;
    }
    Ok(head)
}

/// The anchor as it stands in the database.
pub(super) struct Anchored {
    pub head: Head,
    pub made: i64,
    pub signature: Vec<u8>,
}

pub(super) fn anchor(tx: &mut (dyn Statements + '_)) -> Result<Option<Anchored>, StoreError> {
    tx.first("SELECT number, digest, made, signature FROM access_anchor", &[], |row| {
        let digest = row.octets(1)?.try_into().map_err(|_| StoreError::Damaged)?;
        let head = Head { number: row.integer(0)?, digest };
        Ok(Anchored { head, made: row.integer(2)?, signature: row.octets(3)?.to_vec() })
    })
}

fn signed(head: &Head, made: i64) -> Vec<u8> {
    let mut text = b"lychgate access anchor v1\0".to_vec();
    text.extend_from_slice(&head.number.to_be_bytes());
    text.extend_from_slice(&made.to_be_bytes());
    text.extend_from_slice(&head.digest);
    text
}

impl Anchored {
    /// Whether this site's key signed it.
    pub(super) fn holds(&self, signer: &Ed25519KeyPair) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, signer.public_key().as_ref());
        key.verify(&signed(&self.head, self.made), &self.signature).is_ok()
    }
}

/// Takes at most so many entries from the front whose time is over, and anchors the rest. Says how many went, and the anchor.
pub(in crate::records) fn purge(
    tx: &mut (dyn Statements + '_),
    ring: &mut Keyring,
    options: &Options,
    now: i64,
    most: i64,
) -> Result<(u64, Option<Anchor>), StoreError> {
    tx.serial(SERIAL)?;
    settle(tx, ring, now)?;
    let mut links = tx.all(&format!("{LINK} ORDER BY number LIMIT ?1"), values![most], Link::read)?;
    let over = links.iter().take_while(|l| l.expires <= now).count();
    links.truncate(over);
    let Some(last) = links.last() else { return Ok((0, None)) };
    let signer = signer(ring)?;
    let before = anchor(tx)?;
    let mut sound = before.as_ref().is_none_or(|a| a.holds(&signer));
    let mut head = before.map_or(Head::NONE, |a| a.head);
    let first = head.number + 1;
    let gaps = ring.gaps()?;
    let mut early = None;
    for link in &links {
        if link.number > head.number + 1
            && let Some(gap) = gaps.iter().find(|g| g.first == head.number + 1 && g.last == link.number - 1)
        {
            head = Head { number: gap.last, digest: gap.digest };
        }
        head = link.follows(&head).unwrap_or_else(|| {
            sound = false;
            link.claimed()
        });
        if early.is_none() && is_early(ring, options, link, now)? {
            early = Some(link.number);
        }
    }
    let purged = |first, why| Gap { first, last: last.number, digest: head.digest, why, noted: now };
    if !sound {
        ring.note_gap(&purged(first, Why::PurgedBroken))?;
    } else if let Some(early) = early {
        ring.note_gap(&purged(early, Why::PurgedEarly))?;
    }
    let gone = tx.execute("DELETE FROM access_log WHERE number <= ?1", values![last.number])?;
    let signature = signer.sign(&signed(&head, now)).as_ref().to_vec();
    tx.execute(
        "INSERT INTO access_anchor (one, number, digest, made, signature) VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT (one) DO UPDATE
         SET number = excluded.number, digest = excluded.digest, made = excluded.made, signature = excluded.signature",
        values![head.number, &head.digest[..], now, &signature],
    )?;
    // What is before the anchor need not be explained for ever.
    ring.forget_gaps(head.number, now.saturating_sub(millis(options.retention_of(RecordClass::Access))))?;
    Ok((gone, Some(Anchor { number: head.number, digest: hex(&head.digest) })))
}

/// Whether the retention in force would have kept it: its time to go stands in the clear, and may have been changed by somebody.
fn is_early(ring: &Keyring, options: &Options, link: &Link, now: i64) -> Result<bool, StoreError> {
    let Some(period) = ring.period(RecordClass::Access, link.period)? else { return Ok(false) };
    let entry: Result<Access, _> = opened(&period, link.place, &mut link.sealed.clone());
    let keeps = millis(options.retention_of(RecordClass::Access));
    Ok(entry.is_ok_and(|e| e.time.as_millisecond().saturating_add(keeps) > now))
}

/// A backup was restored that ends before what the keyring knows: that is noted, so that it is not taken for somebody's deed.
pub fn note_restored(options: &Options, now: i64) -> Result<(), StoreError> {
    let (mut db, ring) = crate::records::trace::open(options)?;
    let Some(known) = ring.access_head()? else { return Ok(()) };
    let last = db.transaction(|tx| {
        tx.serial(SERIAL)?;
        // A backup of before there was a chain.
        if tx.number("SELECT count(*) FROM access_log WHERE digest IS NOT NULL", &[])? == 0 {
            link_all(tx)?;
        }
        let last = tx.number("SELECT max(number) FROM access_log", &[])?;
        Ok(last.max(anchor(tx)?.map_or(0, |a| a.head.number)))
    })?;
    if last < known.number {
        ring.note_gap(&Gap { first: last + 1, last: known.number, digest: known.digest, why: Why::Restored, noted: now })?;
    }
    Ok(())
}

/// The key of a period was lost, and its entries go: what follows them is still linked. Says how many went.
pub(in crate::records) fn give_up(db: &mut Database, ring: &Keyring, period: i64, now: i64) -> Result<u64, StoreError> {
    db.transaction(|tx| {
        tx.serial(SERIAL)?;
        settle(tx, ring, now)?;
        let mut gaps: Vec<Gap> = Vec::new();
        for link in tx.all(&format!("{LINK} WHERE period = ?1 ORDER BY number"), values![period], Link::read)? {
            let head = link.claimed();
            match gaps.last_mut() {
                Some(gap) if gap.last + 1 == link.number => {
                    gap.last = link.number;
                    gap.digest = head.digest;
                }
                _ => gaps.push(Gap { first: link.number, last: link.number, digest: head.digest, why: Why::KeyLost, noted: now }),
            }
        }
        // Noted first: a note of what is still there does no harm.
        gaps.iter().try_for_each(|gap| ring.note_gap(gap))?;
        tx.execute("DELETE FROM access_log WHERE period = ?1", values![period])
    })
}

/// As somebody would who has the database, and not the keyring.
#[cfg(test)]
pub(super) fn relink(tx: &mut (dyn Statements + '_)) -> Result<(), StoreError> {
    link_all(tx).map(drop)
}
