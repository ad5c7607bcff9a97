//! Receipts of purges and erasures: what went, how much of it, under which rule, and what a hold kept back; nothing about anybody.
//!
//! A receipt is one line of JSON, signed with a key of the site's own (Ed25519, RFC 8032) and kept as it was signed. Each names the
//! digest of the one before it (SHA-256), so that one that was altered or taken out of the middle shows; each is also written to the
//! log, where the last ones can be looked for. What a purge has done so far is kept in the same transaction as the doing, so that a
//! power cut takes nothing from a receipt.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::database::{Statements, values};
use super::keeping::Keeping;
use super::keyring::{Keyring, millis};
use super::{Options, RecordClass, StoreError};

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// From 1, without a gap.
    pub number: u64,
    /// By which time it purged.
    pub time: Timestamp,
    /// The retention in force, in milliseconds, by class.
    pub retention: BTreeMap<String, i64>,
    /// Names that retention: the first 16 hexadecimal digits of the digest of its JSON.
    pub rule: String,
    pub classes: Vec<ClassReceipt>,
    /// Hourly counts older than 25 months that were dropped.
    pub counts: u64,
    /// What is kept beyond its time, by case number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub held_back: BTreeMap<String, u64>,
    /// Where the access log begins now, if entries of it went: number and digest of the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<super::access::chain::Anchor>,
    /// The machine's clock was ahead of what can be true by so many milliseconds, and was not believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead: Option<i64>,
    /// Somebody said that the clock is right.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
    /// Somebody asked for this purge.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// It is of an erasure that a person asked for, and of no purge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erasure: Option<ErasureReceipt>,
    /// The digest of the receipt before, in hexadecimal; empty for the first.
    pub before: String,
}

/// What an erasure took: numbers, and not whose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureReceipt {
    /// Rows of what they sent, deleted.
    pub rows_deleted: u64,
    /// Rows of what they received, which no longer tell that they did.
    pub rows_cleared: u64,
    /// Pairs with a council address in the index of past mail.
    pub contacts: u64,
}

/// What a purge did to one class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassReceipt {
    pub class: String,
    pub rows: u64,
    /// Period keys dropped.
    pub keys: u64,
    /// Rows that have expired and are kept under a hold.
    pub held_back: u64,
    /// Rows that remain.
    pub remaining: u64,
}

/// A receipt as it was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub body: String,
    pub signature: Vec<u8>,
}

/// What came of looking through all receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub receipts: u64,
    pub first: u64,
    pub last: u64,
    /// The public key, in hexadecimal.
    pub key: String,
    /// In plain words; none is good.
    pub faults: Vec<String>,
}

/// How long a purge that was begun is one process's, after each piece: long enough for a slow disk, short enough after a crash. Milliseconds.
const CLAIMED: i64 = 10_000;
/// Receipts name nobody; they are kept as long as the monthly figures. Milliseconds.
const KEPT: i64 = 25 * 31 * 86_400_000;

impl Receipt {
    /// Nothing went, and no key was dropped.
    pub fn is_idle(&self) -> bool {
        self.counts == 0 && self.classes.iter().all(|c| c.rows + c.keys == 0)
    }

    /// Notes the retention in force.
    pub(super) fn under(&mut self, options: &Options, classes: &[RecordClass]) {
        self.retention = classes.iter().map(|c| (c.word().to_owned(), millis(options.retention_of(*c)))).collect();
        let rule = serde_json::to_vec(&self.retention).expect("words and numbers are JSON");
        self.rule = hex(&digest(&SHA256, &rule).as_ref()[..8]);
    }
}

impl Signed {
    pub fn receipt(&self) -> Result<Receipt, StoreError> {
        serde_json::from_str(&self.body).map_err(|_| StoreError::Damaged)
    }
}

/// Makes the purge this process's, unless another is at it at this moment; says what one that did not come to its end had done.
pub(super) fn claim(tx: &mut (dyn Statements + '_), holder: i64, wall: i64) -> Result<Option<Receipt>, StoreError> {
    let sql = format!("SELECT holder, touched, body FROM purging WHERE one = 1{}", tx.for_update());
    let found = tx.first(&sql, &[], |row| Ok((row.integer(0)?, row.integer(1)?, row.text(2)?.to_owned())))?;
    let left = match found {
        Some((other, touched, _)) if other != holder && (wall - touched).abs() < CLAIMED => {
            return Err(StoreError::PurgeUnderWay);
        }
        Some((_, _, body)) => serde_json::from_str(&body).ok(),
        None => None,
    };
    keep(tx, holder, wall, left.as_ref().unwrap_or(&Receipt::default()))?;
    Ok(left)
}

/// What a purge has done so far.
pub(super) fn note(tx: &mut (dyn Statements + '_), holder: i64, receipt: &Receipt) -> Result<(), StoreError> {
    let still = tx.number("SELECT holder FROM purging WHERE one = 1", &[])?;
    // Slower than its claim lasts: another goes on with it.
    if still != holder { Err(StoreError::PurgeUnderWay) } else { keep(tx, holder, Timestamp::now().as_millisecond(), receipt) }
}

fn keep(tx: &mut (dyn Statements + '_), holder: i64, wall: i64, receipt: &Receipt) -> Result<(), StoreError> {
    let body = serde_json::to_string(receipt).map_err(|_| StoreError::Damaged)?;
    tx.execute(
        "INSERT INTO purging (one, holder, touched, body) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE
         SET holder = excluded.holder, touched = excluded.touched, body = excluded.body",
        values![holder, wall, body.as_str()],
    )?;
    Ok(())
}

/// The purge has come to its end.
pub(super) fn release(tx: &mut (dyn Statements + '_)) -> Result<(), StoreError> {
    tx.execute("DELETE FROM purging", &[])?;
    Ok(())
}

/// When the last receipt of a purge was made. What stands in a receipt is words, numbers and case numbers, which have no quotes.
pub(super) fn last_made(tx: &mut (dyn Statements + '_)) -> Result<Option<i64>, StoreError> {
    Ok(tx.first("SELECT max(made) FROM receipt WHERE body NOT LIKE '%\"erasure\":%'", &[], |row| row.optional(0))?.flatten())
}

/// Numbers, chains, signs and keeps a receipt.
pub(super) fn issue(tx: &mut (dyn Statements + '_), signer: &Ed25519KeyPair, receipt: &mut Receipt) -> Result<Signed, StoreError> {
    let last = "SELECT number, body FROM receipt ORDER BY number DESC LIMIT 1";
    let before = tx.first(last, &[], |row| Ok((row.integer(0)?, row.text(1)?.to_owned())))?;
    receipt.number = before.as_ref().map_or(0, |(n, _)| n.cast_unsigned()) + 1;
    receipt.before = before.map(|(_, body)| digest_of(&body)).unwrap_or_default();
    let body = serde_json::to_string(receipt).map_err(|_| StoreError::Damaged)?;
    let signature = signer.sign(body.as_bytes()).as_ref().to_vec();
    tx.execute(
        "INSERT INTO receipt (number, made, body, signature) VALUES (?1, ?2, ?3, ?4)",
        values![receipt.number.cast_signed(), receipt.time.as_millisecond(), body.as_str(), &signature],
    )?;
    tx.execute("DELETE FROM receipt WHERE made < ?1", values![receipt.time.as_millisecond() - KEPT])?;
    Ok(Signed { body, signature })
}

/// The key that signs, made when it is first asked for.
pub(super) fn signer(ring: &mut Keyring) -> Result<Ed25519KeyPair, StoreError> {
    let seed = ring.named(RecordClass::Receipts, 0)?;
    Ed25519KeyPair::from_seed_unchecked(&seed[..]).map_err(|_| StoreError::Damaged)
}

impl Keeping {
    /// How the record stands with its retention.
    pub fn retention(&mut self, now: i64) -> Result<super::retention::Overview, StoreError> {
        super::retention::overview(&mut self.db, &self.ring, &self.options, now)
    }

    /// The public key of receipts, in hexadecimal.
    pub fn receipt_key(&mut self) -> Result<String, StoreError> {
        Ok(hex(signer(&mut self.ring)?.public_key().as_ref()))
    }

    /// Receipts, the latest first.
    pub fn receipts(&mut self, most: usize) -> Result<Vec<Signed>, StoreError> {
        let latest = "SELECT body, signature FROM receipt ORDER BY number DESC LIMIT ?1";
        let read = |row: &dyn super::database::Row| Ok(Signed { body: row.text(0)?.to_owned(), signature: row.octets(1)?.to_vec() });
        self.db.statements().all(latest, values![i64::try_from(most).unwrap_or(i64::MAX)], read)
    }

    /// The receipt of this number, as it was signed; none if it is not there.
    pub fn receipt(&mut self, number: u64) -> Result<Option<Signed>, StoreError> {
        let one = "SELECT body, signature FROM receipt WHERE number = ?1";
        let read = |row: &dyn super::database::Row| Ok(Signed { body: row.text(0)?.to_owned(), signature: row.octets(1)?.to_vec() });
        self.db.statements().first(one, values![number.cast_signed()], read)
    }

    /// Holds every receipt against its signature and against the one before it.
    pub fn verify_receipts(&mut self) -> Result<Verified, StoreError> {
        let signer = signer(&mut self.ring)?;
        let key = UnparsedPublicKey::new(&ED25519, signer.public_key().as_ref());
        let mut report = Verified { key: hex(signer.public_key().as_ref()), ..Verified::default() };
        let mut before: Option<(u64, String)> = None;
        let all = "SELECT number, body, signature FROM receipt ORDER BY number";
        self.db.statements().each(all, &[], &mut |row| {
            let (number, body) = (row.integer(0)?.cast_unsigned(), row.text(1)?);
            report.receipts += 1;
            report.last = number;
            if before.is_none() {
                report.first = number;
            }
            if key.verify(body.as_bytes(), row.octets(2)?).is_err() {
                report.faults.push(format!("Receipt {number} was altered, or signed with another key."));
            }
            match serde_json::from_str::<Receipt>(body) {
                Ok(receipt) if receipt.number != number => report.faults.push(format!("Receipt {number} stands in another's place.")),
                Ok(receipt) => match &before {
                    Some((n, _)) if n + 1 != number => report.faults.push(missing(n + 1, number - 1)),
                    Some((_, digest)) if *digest != receipt.before => {
                        report.faults.push(format!("Receipt {number} does not follow from the one before it."));
                    }
                    // The oldest ones go after 25 months, and so what came before the first is not known.
                    _ => {}
                },
                Err(_) => report.faults.push(format!("Receipt {number} cannot be read.")),
            }
            before = Some((number, digest_of(body)));
            Ok(())
        })?;
        Ok(report)
    }
}

fn missing(from: u64, to: u64) -> String {
    if from == to { format!("Receipt {from} is missing.") } else { format!("Receipts {from} to {to} are missing.") }
}

fn digest_of(body: &str) -> String {
    hex(digest(&SHA256, body.as_bytes()).as_ref())
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::Folder;

    fn issued(keeping: &mut Keeping, rows: u64) -> Signed {
        let mut receipt = Receipt {
            time: Timestamp::now(),
            classes: vec![ClassReceipt { class: "events".into(), rows, keys: 1, held_back: 0, remaining: 9 }],
            ..Receipt::default()
        };
        receipt.under(&keeping.options, &[RecordClass::Events, RecordClass::Access]);
        let signer = signer(&mut keeping.ring).unwrap();
        keeping.db.transaction(|tx| issue(tx, &signer, &mut receipt)).unwrap()
    }

    #[test]
    fn receipts_chain_and_whatever_is_done_to_them_shows() {
        let folder = Folder::new();
        let options = folder.prepared();
        let mut keeping = Keeping::open(&options).unwrap();
        for rows in 0..5 {
            issued(&mut keeping, rows);
        }
        let good = keeping.verify_receipts().unwrap();
        assert_eq!((good.receipts, good.first, good.last, good.faults.len()), (5, 1, 5, 0));
        assert_eq!(good.key, Keeping::open(&options).unwrap().receipt_key().unwrap());
        let latest = keeping.receipts(2).unwrap();
        assert_eq!(latest.iter().map(|s| s.receipt().unwrap().number).collect::<Vec<_>>(), [5, 4]);
        assert_eq!(latest[0].receipt().unwrap().retention["events"], 90 * 86_400_000);

        let mut faults_after = |change: &str, back: &str| {
            keeping.db.statements().execute(change, &[]).unwrap();
            let faults = keeping.verify_receipts().unwrap().faults;
            keeping.db.statements().execute(back, &[]).unwrap();
            faults
        };
        let altered = faults_after(
            "UPDATE receipt SET body = replace(body, '\"rows\":2', '\"rows\":1') WHERE number = 3",
            "UPDATE receipt SET body = replace(body, '\"rows\":1', '\"rows\":2') WHERE number = 3",
        );
        assert_eq!(altered, ["Receipt 3 was altered, or signed with another key.", "Receipt 4 does not follow from the one before it."]);
        let swapped = faults_after("UPDATE receipt SET number = 40 WHERE number = 4", "UPDATE receipt SET number = 4 WHERE number = 40");
        assert_eq!(swapped, ["Receipt 4 is missing.", "Receipt 40 stands in another's place."]);
        keeping.db.statements().execute("DELETE FROM receipt WHERE number = 2", &[]).unwrap();
        assert_eq!(keeping.verify_receipts().unwrap().faults, ["Receipt 2 is missing."]);
        // The oldest are no longer there: that is no fault.
        keeping.db.statements().execute("DELETE FROM receipt WHERE number <= 2", &[]).unwrap();
        assert_eq!(keeping.verify_receipts().unwrap().faults, Vec::<String>::new());
    }

    #[test]
    fn what_an_interrupted_purge_did_is_not_forgotten() {
        let folder = Folder::new();
        let mut keeping = Keeping::open(&folder.prepared()).unwrap();
        let receipt = Receipt { counts: 7, ..Receipt::default() };
        let db = &mut keeping.db;
        let wall = Timestamp::now().as_millisecond();
        assert_eq!(db.transaction(|tx| claim(tx, 1, 1000)).unwrap(), None);
        db.transaction(|tx| note(tx, 1, &receipt)).unwrap();
        // Another process leaves it alone, until it has been left for too long; then the first one is out.
        assert!(matches!(db.transaction(|tx| claim(tx, 2, wall)), Err(StoreError::PurgeUnderWay)));
        assert_eq!(db.transaction(|tx| claim(tx, 2, wall + 2 * CLAIMED)).unwrap(), Some(receipt.clone()));
        assert!(matches!(db.transaction(|tx| note(tx, 1, &receipt)), Err(StoreError::PurgeUnderWay)));
        db.transaction(|tx| release(tx)).unwrap();
        assert_eq!(db.transaction(|tx| claim(tx, 1, wall)).unwrap(), None);
    }
}
