//! Holding the access log against its chain, its anchor and what the keyring knows of its end.
//!
//! What this tells: an entry that was altered, taken out, put elsewhere or made by somebody else; entries that were cut off at the end;
//! a database, or a keyring, from an older copy than the other. What it cannot tell: an older copy of both at once. For that the last
//! number and digest are printed, to be noted down elsewhere; purge receipts hold the anchors, and the log of the machine has those.

use jiff::Timestamp;
use serde::Serialize;

use super::chain::{self, Gap, Head, LINK, Link, Why};
use super::{Access, open, opened};
use crate::records::database::values;
use crate::records::receipts::{hex, signer};
use crate::records::{Options, RecordClass, StoreError};

/// In which way the log does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// An entry is not what was written.
    Altered,
    /// Entries are not there.
    Missing,
    /// An entry does not follow from the one before it, and is one that was written.
    Reordered,
    /// Entries are missing at the end.
    CutOff,
    /// The database ends before what the keyring knows, and agrees with itself.
    OlderDatabase,
    /// The database goes on beyond what the keyring knows.
    OlderKeyring,
    /// The place where the log begins after a purge was not signed by this site.
    Anchor,
    /// The entries had gone with their retention, and did not hold when they did.
    PurgedBroken,
}

/// One break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Break {
    pub kind: Kind,
    pub first: i64,
    pub last: i64,
    pub says: String,
}

/// What came of looking through the whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub entries: u64,
    /// The first entry that is there, and the last; 0 if there is none.
    pub first: i64,
    pub last: i64,
    /// The last one's digest, in hexadecimal.
    pub head: String,
    /// In order; none is good. At most [`MOST`].
    pub breaks: Vec<Break>,
    /// What is no fault and is to be known.
    pub notes: Vec<String>,
}

/// Breaks that are named.
const MOST: usize = 50;

/// Holds the whole log. Works beside a running gateway, and keeps nobody waiting.
pub fn verify(options: &Options) -> Result<Verified, StoreError> {
    let (mut db, mut ring) = open(options)?;
    chain::adopt(&mut db, &mut ring)?;
    let signer = signer(&mut ring)?;
    // The end is noted in the keyring after it is committed. So what the keyring knew before we look must be there, and it will have
    // known all but the last by the time we have looked.
    let before = ring.access_head()?.unwrap_or(Head::NONE);
    let mut walk = Walk { known: before.clone(), gaps: ring.gaps()?, ..Walk::default() };
    let mut own_head = 0;
    db.snapshot(|tx| {
        if let Some(anchor) = chain::anchor(tx)? {
            if !anchor.holds(&signer) {
                let n = anchor.head.number;
                walk.fault(Kind::Anchor, n, n, format!("That the log begins after entry {n} was not signed by this site."));
            }
            walk.at = anchor.head;
        }
        own_head = tx.number("SELECT number FROM access_chain", &[])?;
        tx.each(&format!("{LINK} ORDER BY number"), values![], &mut |row| {
            let link = Link::read(row)?;
            let period = ring.period(RecordClass::Access, link.period)?;
            walk.step(&link, period.map(|p| opened(&p, link.place, &mut link.sealed.clone()).ok()));
            Ok(())
        })
    })?;
    let after = ring.access_head()?.unwrap_or(Head::NONE);
    walk.end(own_head, after.number);
    Ok(walk.verified)
}

struct Walk {
    verified: Verified,
    /// The entry that was looked at last, or the anchor.
    at: Head,
    place: i64,
    known: Head,
    gaps: Vec<Gap>,
}

impl Default for Walk {
    fn default() -> Walk {
        Walk { verified: Verified::default(), at: Head::NONE, place: 0, known: Head::NONE, gaps: Vec::new() }
    }
}

impl Walk {
    fn fault(&mut self, kind: Kind, first: i64, last: i64, says: String) {
        let breaks = &mut self.verified.breaks;
        if let Some(before) = breaks.last_mut()
            && (before.kind, before.last + 1) == (kind, first)
            && matches!(kind, Kind::Altered | Kind::Reordered)
        {
            // What lies side by side is one break.
            before.last = last;
            before.says = words(kind, before.first, last);
        } else if breaks.len() < MOST {
            breaks.push(Break { kind, first, last, says });
        }
    }

    /// `opens`: what is under its seal, if that opens; none where its key is gone.
    fn step(&mut self, link: &Link, opens: Option<Option<Access>>) {
        let n = link.number;
        if self.verified.entries == 0 {
            self.verified.first = n;
        }
        self.verified.entries += 1;
        let mut linked = true;
        if n > self.at.number + 1 {
            let (first, last) = (self.at.number + 1, n - 1);
            match self.gap(first, last) {
                Some(gap) => self.at = Head { number: last, digest: gap.digest },
                None => {
                    self.fault(Kind::Missing, first, last, words(Kind::Missing, first, last));
                    linked = false;
                }
            }
        }
        let follows = link.follows(&self.at).is_some();
        // Where its number is not that of its seal it was moved; entries of before there was a chain say no identity.
        let in_place = match &opens {
            Some(Some(access)) if access.identity.is_some() => link.place == n,
            Some(Some(_)) => link.place > self.place,
            _ => true,
        };
        if opens == Some(None) {
            self.fault(Kind::Altered, n, n, words(Kind::Altered, n, n));
        } else if (linked && !follows) || !in_place {
            // Without its key nobody can say which of the two it is.
            let kind = if opens.is_some() { Kind::Reordered } else { Kind::Altered };
            self.fault(kind, n, n, words(kind, n, n));
        }
        self.at = link.claimed();
        self.place = link.place;
        if n == self.known.number && self.at != self.known && follows {
            let says = format!("Entry {n} is not the one that the keyring knows: the log was written anew up to there.");
            self.fault(Kind::Altered, n, n, says);
        }
    }

    /// What is known of a gap, which is told.
    fn gap(&mut self, first: i64, last: i64) -> Option<Gap> {
        let gap = self.gaps.iter().find(|g| (g.first, g.last) == (first, last))?.clone();
        let which = which(first, last);
        let day = Timestamp::from_millisecond(gap.noted).unwrap_or_default();
        let why = match gap.why {
            Why::Restored => format!("a backup was restored that does not have them ({day})"),
            Why::KeyLost => format!("their key was lost, and somebody went on without it ({day})"),
            _ => return None,
        };
        self.verified.notes.push(format!("{which} not there: {why}."));
        Some(gap)
    }

    fn end(&mut self, own_head: i64, known_after: i64) {
        let last = self.at.number;
        self.verified.last = last;
        self.verified.head = hex(&self.at.digest);
        if last < self.known.number && self.gap(last + 1, self.known.number).is_none() {
            let (first, known) = (last + 1, self.known.number);
            let (kind, says) = if own_head > last {
                (Kind::CutOff, format!("{} cut off at the end.", which(first, known)))
            } else {
                let says = format!(
                    "The log ends at entry {last}, and the keyring knows {known}: the database is from an older copy, or its last entries were taken out with care."
                );
                (Kind::OlderDatabase, says)
            };
            self.fault(kind, first, known, says);
        } else if last == known_after + 1 {
            self.verified.notes.push(format!("Entry {last} is not known to the keyring yet: the gateway was stopped in between."));
        } else if last > known_after + 1 {
            let says =
                format!("The keyring knows the log up to entry {known_after}, and it ends at {last}: the keyring is from an older copy.");
            self.fault(Kind::OlderKeyring, known_after + 1, last, says);
        }
        for gap in std::mem::take(&mut self.gaps) {
            let (first, last) = (gap.first, gap.last);
            let day = Timestamp::from_millisecond(gap.noted).unwrap_or_default();
            let (entries, were) = (entries(first, last), if first == last { "was" } else { "were" });
            match gap.why {
                Why::Restored | Why::KeyLost => {}
                Why::KeyringOlder => {
                    let says = format!("{entries} {were} not known to the keyring on {day}: it had been put back from an older copy.");
                    self.fault(Kind::OlderKeyring, first, last, says);
                }
                Why::Unlinked => {
                    let says = format!("{entries} did not follow from what the keyring knew on {day}.");
                    self.fault(Kind::Altered, first, last, says);
                }
                Why::PurgedBroken => {
                    let says = format!("{entries} did not hold when they went with their retention on {day}.");
                    self.fault(Kind::PurgedBroken, first, last, says);
                }
                Why::PurgedEarly => self.verified.notes.push(format!(
                    "{entries} went on {day}, before the retention of then would have had them go. After a change of the retention that is right; otherwise look who can write to the database."
                )),
            }
        }
        self.verified.breaks.sort_by_key(|b| b.first);
    }
}

fn words(kind: Kind, first: i64, last: i64) -> String {
    let (which, entries) = (which(first, last), entries(first, last));
    match kind {
        Kind::Missing => format!("{which} missing."),
        Kind::Reordered => format!("{entries} did not stand there when written: entries were moved or taken out."),
        _ => format!("{which} not what was written."),
    }
}

/// "Entry 3", "Entries 3 to 9".
fn entries(first: i64, last: i64) -> String {
    if first == last { format!("Entry {first}") } else { format!("Entries {first} to {last}") }
}

/// With its verb.
fn which(first: i64, last: i64) -> String {
    format!("{} {}", entries(first, last), if first == last { "is" } else { "are" })
}
