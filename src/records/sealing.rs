//! Sealing: the site key, the keys of one class and period, sealed rows and look-up hashes.
//!
//! Rows are sealed with AES-256-GCM-SIV (RFC 8452), whose associated data are the table, the row, the class and the period: a row
//! that is altered, or moved to another place, does not open. Look-up hashes derive from the same key (HKDF-SHA256, RFC 5869), so
//! that they die with it. A key is never written except wrapped, never printed, and is overwritten in memory when dropped.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, rand};
use zeroize::{Zeroize, Zeroizing};

use super::{RecordClass, StoreError};

/// What sealing adds to a row: nonce in front, tag behind.
pub const OVERHEAD: usize = NONCE_LEN + TAG;
const TAG: usize = 16;

/// The site key: 32 random octets, in a file of its own, which wraps every other key.
pub struct SiteKey(Zeroizing<[u8; 32]>);

impl SiteKey {
    /// Reads the key file. A file that others can read is refused.
    pub fn read(path: &Path) -> Result<SiteKey, StoreError> {
        let io = |e| StoreError::io(path, e);
        let file = fs::File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(StoreError::KeyMode { path: path.into(), mode });
        }
        // One octet more than the longest good file, so that a longer one shows.
        let mut text = Zeroizing::new(Vec::with_capacity(80));
        file.take(80).read_to_end(&mut text).map_err(io)?;
        let octets = from_base64(text.trim_ascii()).ok_or_else(|| StoreError::KeyMalformed(path.into()))?;
        Ok(SiteKey(octets))
    }

    pub fn generate() -> Result<SiteKey, StoreError> {
        random_key().map(SiteKey)
    }

    /// Writes a new key file (0600), on disk when this returns. Errors if it exists.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        let io = |e| StoreError::io(path, e);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        let mut text = to_base64(&self.0);
        text.push('\n');
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        text.zeroize();
        written.map_err(io)
    }

    /// What tells site keys apart: it says nothing of the key, and may be shown to anybody.
    pub fn print(&self) -> Print {
        let derived = derive(&self.0, b"lychgate print v1");
        Print(derived[..8].try_into().expect("eight of thirty-two octets"))
    }

    /// The key that wraps the keyring's keys.
    pub(super) fn wrapping(&self) -> Wrapping {
        Wrapping(aead(&derive(&self.0, b"lychgate ring v1")))
    }
}

/// Shows no key.
impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SiteKey(…)")
    }
}

/// Eight octets derived from a site key, by which people see whether two files hold the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print(pub [u8; 8]);

/// "3f2a-91c0-77de-0b15".
impl std::fmt::Display for Print {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, pair) in self.0.chunks(2).enumerate() {
            write!(f, "{}{:02x}{:02x}", if i > 0 { "-" } else { "" }, pair[0], pair[1])?;
        }
        Ok(())
    }
}

/// Wraps and unwraps the keys of periods under the site key.
pub struct Wrapping(LessSafeKey);

impl Wrapping {
    /// `about` says which key it is; the wrapped key opens under no other name.
    pub fn wrap(&self, key: &[u8; 32], about: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| StoreError::Random)?;
        let mut out = Vec::with_capacity(32 + OVERHEAD);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(key);
        let sealed = self.0.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut out[NONCE_LEN..]);
        match sealed {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            Err(_) => {
                out.zeroize();
                return Err(StoreError::Sealed);
            }
        }
        Ok(out)
    }

    pub fn unwrap(&self, wrapped: &[u8], about: &[u8]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let mut octets = Zeroizing::new(wrapped.to_vec());
        let plain = open(&self.0, about, &mut octets)?;
        // Filled where it stays: an array that is moved leaves a copy behind.
        let mut key = Zeroizing::new([0; 32]);
        if plain.len() != key.len() {
            return Err(StoreError::Damaged);
        }
        key.copy_from_slice(plain);
        Ok(key)
    }
}

/// What a look-up hash stands for: the same text hashes differently as each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sender = 1,
    Recipient = 2,
    MessageId = 3,
    Reference = 4,
    /// A person was told about a rule and a message.
    Told = 5,
    /// Two people had mail with one another.
    Contact = 6,
    /// A protected document went from one to another.
    Protected = 7,
    /// A message in which people saw one another.
    Thread = 8,
    /// Somebody in such a message.
    Member = 9,
    /// What is counted of whom.
    Rate = 10,
    /// A domain that a message names.
    Domain = 11,
    /// A code that was mailed to somebody.
    Code = 12,
}

/// The place of a sealed row: what its seal is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlace {
    pub table: Table,
    pub row: i64,
    pub class: RecordClass,
    /// Start of the period, in milliseconds since 1970.
    pub period: i64,
}

/// The tables that hold sealed rows; the numbers are part of every seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Record = 1,
    Access = 2,
    /// Of what is in custody.
    Content = 3,
    Sheet = 4,
    /// What is kept beside the record: holds and what they keep, notes, requests.
    Case = 20,
    Kept = 21,
    LookUp = 22,
    Note = 23,
    Request = 24,
    Erasure = 25,
    /// What two people do together.
    Approval = 26,
}

impl RowPlace {
    fn associated_data(&self) -> [u8; 18] {
        let mut out = [0; 18];
        out[0] = self.table as u8;
        out[1] = self.class.number();
        out[2..10].copy_from_slice(&self.row.to_be_bytes());
        out[10..18].copy_from_slice(&self.period.to_be_bytes());
        out
    }
}

/// The key of one class and period.
pub struct PeriodKey {
    seal: LessSafeKey,
    look_up: LookUpKey,
}

/// The half of a period's key that hashes: it opens nothing.
pub struct LookUpKey(Zeroizing<[u8; 32]>);

impl PeriodKey {
    pub fn new(key: &[u8; 32]) -> PeriodKey {
        PeriodKey { seal: aead(&derive(key, b"lychgate row v1")), look_up: LookUpKey(derive(key, b"lychgate look-up v1")) }
    }

    /// Seals what is in `buffer` after its first [`NONCE_LEN`] octets, in place: nonce, sealed octets, tag.
    pub fn seal(&self, place: &RowPlace, nonces: &mut Nonces, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        let nonce = nonces.next()?;
        buffer[..NONCE_LEN].copy_from_slice(&nonce);
        let tag = self
            .seal
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.associated_data()), &mut buffer[NONCE_LEN..])
            .map_err(|_| StoreError::Sealed)?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a sealed row in place.
    pub fn open<'a>(&self, place: &RowPlace, sealed: &'a mut [u8]) -> Result<&'a [u8], StoreError> {
        open(&self.seal, &place.associated_data(), sealed)
    }

    /// The half that hashes.
    pub fn look_up(&self) -> &LookUpKey {
        &self.look_up
    }

    /// [`LookUpKey::hash`] under this period's own key.
    pub fn hash(&self, kind: Kind, text: &str) -> u64 {
        self.look_up.hash(kind, text)
    }

    /// [`LookUpKey::hash_16`] under this period's own key.
    pub fn hash_16(&self, kind: Kind, text: &[u8]) -> [u8; 16] {
        self.look_up.hash_16(kind, text)
    }
}

impl LookUpKey {
    pub(super) fn of(octets: &[u8]) -> Result<LookUpKey, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        if octets.len() != key.len() {
            return Err(StoreError::Damaged);
        }
        key.copy_from_slice(octets);
        Ok(LookUpKey(key))
    }

    /// To be sealed under another key, where rows outlive their period's.
    pub(super) fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// The look-up hash of a text, 8 octets of BLAKE3 under this key.
    pub fn hash(&self, kind: Kind, text: &str) -> u64 {
        let hash = self.hash_16(kind, text.as_bytes());
        u64::from_be_bytes(hash[..8].try_into().expect("eight of sixteen octets"))
    }

    /// The same in 16 octets, where a chance collision would keep a notice back.
    pub fn hash_16(&self, kind: Kind, text: &[u8]) -> [u8; 16] {
        // Short input goes on the stack in one piece: one compression of 64 octets, where an updating hasher costs several times that.
        let mut short = [0u8; 64];
        let hash = if text.len() < short.len() {
            short[0] = kind as u8;
            short[1..=text.len()].copy_from_slice(text);
            blake3::keyed_hash(&self.0, &short[..=text.len()])
        } else {
            let mut hasher = blake3::Hasher::new_keyed(&self.0);
            hasher.update(&[kind as u8]);
            hasher.update(text);
            hasher.finalize()
        };
        hash.as_bytes()[..16].try_into().expect("sixteen of thirty-two octets")
    }
}

/// Random nonces, drawn many at a time.
pub struct Nonces {
    pool: [u8; 64 * NONCE_LEN],
    used: usize,
}

impl Nonces {
    pub fn new() -> Nonces {
        Nonces { pool: [0; 64 * NONCE_LEN], used: 64 }
    }

    fn next(&mut self) -> Result<[u8; NONCE_LEN], StoreError> {
        if self.used == 64 {
            rand::fill(&mut self.pool).map_err(|_| StoreError::Random)?;
            self.used = 0;
        }
        let at = self.used * NONCE_LEN;
        self.used += 1;
        Ok(self.pool[at..at + NONCE_LEN].try_into().expect("one nonce"))
    }
}

impl Default for Nonces {
    fn default() -> Nonces {
        Nonces::new()
    }
}

/// A random identifier for Message-IDs and the like.
pub fn random_octets<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut out = [0; N];
    rand::fill(&mut out).map_err(|_| StoreError::Random)?;
    Ok(out)
}

/// A new key, filled where it stays.
pub(super) fn random_key() -> Result<Zeroizing<[u8; 32]>, StoreError> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut()).map_err(|_| StoreError::Random)?;
    Ok(key)
}

fn aead(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, key).expect("32 octets are the length of an AES-256 key"))
}

fn open<'a>(key: &LessSafeKey, about: &[u8], sealed: &'a mut [u8]) -> Result<&'a [u8], StoreError> {
    let (nonce, sealed) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(StoreError::Sealed)?;
    key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), sealed).map(|p| &*p).map_err(|_| StoreError::Sealed)
}

/// The key is uniformly random, so HKDF's extraction has nothing to mend; a salt of its own keeps us apart from other users of it.
fn derive(key: &[u8; 32], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, b"lychgate")
        .extract(key)
        .expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(out.as_mut()))
        .expect("HKDF-SHA256 gives up to 8,160 octets");
    out
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 §4, of 32 octets: ten groups of three, and two octets more.
fn to_base64(octets: &[u8; 32]) -> String {
    let mut out = String::with_capacity(45);
    for group in octets.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &b| bits << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for i in 0..=group.len() {
            out.push(char::from(BASE64[(bits >> (18 - 6 * i)) as usize & 63]));
        }
    }
    out.push('=');
    out
}

fn from_base64(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.strip_suffix(b"=").unwrap_or(text);
    if text.len() != 43 {
        return None;
    }
    let mut out = Zeroizing::new([0; 32]);
    let (mut bits, mut have, mut at) = (0u32, 0, 0);
    for &b in text {
        bits = bits << 6 | BASE64.iter().position(|&c| c == b)? as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            out[at] = (bits >> have) as u8;
            at += 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: RowPlace = RowPlace { table: Table::Record, row: 7, class: RecordClass::Events, period: 86_400_000 };

    fn sealed(key: &PeriodKey, text: &[u8]) -> Vec<u8> {
        let mut buffer = vec![0; NONCE_LEN];
        buffer.extend_from_slice(text);
        key.seal(&PLACE, &mut Nonces::new(), &mut buffer).unwrap();
        assert_eq!(buffer.len(), text.len() + OVERHEAD);
        buffer
    }

    #[test]
    fn opens_in_its_own_place_only() {
        let key = PeriodKey::new(&[1; 32]);
        let row = sealed(&key, b"agenda");
        assert_eq!(key.open(&PLACE, &mut row.clone()).unwrap(), b"agenda");
        for place in [
            RowPlace { row: 8, ..PLACE },
            RowPlace { period: 0, ..PLACE },
            RowPlace { class: RecordClass::Incidents, ..PLACE },
            RowPlace { table: Table::Access, ..PLACE },
        ] {
            assert!(matches!(key.open(&place, &mut row.clone()), Err(StoreError::Sealed)), "{place:?}");
        }
        assert!(matches!(PeriodKey::new(&[2; 32]).open(&PLACE, &mut row.clone()), Err(StoreError::Sealed)));
    }

    #[test]
    fn every_altered_octet_shows() {
        let key = PeriodKey::new(&[1; 32]);
        let row = sealed(&key, b"agenda");
        for i in 0..row.len() {
            let mut altered = row.clone();
            altered[i] ^= 1;
            assert!(key.open(&PLACE, &mut altered).is_err(), "octet {i}");
            assert!(key.open(&PLACE, &mut row[..i].to_vec()).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn nonces_are_not_used_twice() {
        let mut nonces = Nonces::new();
        let drawn: std::collections::HashSet<_> = (0..1000).map(|_| nonces.next().unwrap()).collect();
        assert_eq!(drawn.len(), 1000);
    }

    #[test]
    fn hashes_differ_by_kind_key_and_text() {
        let key = PeriodKey::new(&[1; 32]);
        let hash = key.hash(Kind::Sender, "jo@x.uk");
        assert_eq!(hash, key.hash(Kind::Sender, "jo@x.uk"));
        assert_ne!(hash, key.hash(Kind::Recipient, "jo@x.uk"));
        assert_ne!(hash, key.hash(Kind::Sender, "joe@x.uk"));
        assert_ne!(hash, PeriodKey::new(&[2; 32]).hash(Kind::Sender, "jo@x.uk"));
        // The two ways of hashing agree that lengths around one block are all different.
        let all: std::collections::HashSet<_> = (0..200).map(|n| key.hash(Kind::MessageId, &"m".repeat(n))).collect();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn base64_goes_round() {
        for seed in 0..50u8 {
            let octets: [u8; 32] = std::array::from_fn(|i| seed.wrapping_mul(37).wrapping_add((i * 11) as u8));
            let text = to_base64(&octets);
            assert_eq!(text.len(), 44);
            assert_eq!(*from_base64(text.as_bytes()).unwrap(), octets);
        }
        assert_eq!(to_base64(&[0xff; 32]), "//////////////////////////////////////////8=");
        assert!(from_base64(b"short").is_none());
        assert!(from_base64(&[b'!'; 43]).is_none());
    }
}
