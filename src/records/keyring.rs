//! The keyring: the wrapped key of every class and period, in a small file beside the site key and apart from the database.
//!
//! Erasure is the deletion of a wrapped key: what it sealed can be read by nobody afterwards, in the database, its log or a backup
//! of it. Backups of the database must therefore not hold the keyring's past states; the two have backup rules of their own.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::database::{Database, Durability, Location, Row, Schema, Value, values};
use super::sealing::{PeriodKey, SiteKey, Wrapping, random_octets};
use super::{RecordClass, StoreError};
use crate::observe::crash::{self, Point};

const SCHEMA: Schema = Schema {
    part: "keyring",
    // The tables of keyrings that were made before there were versions are the same.
    versions: &["CREATE TABLE IF NOT EXISTS key (class INTEGER NOT NULL, starts INTEGER NOT NULL, until INTEGER NOT NULL,
                                                 expires INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (class, starts)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS proof (wrapped BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS erasure (id INTEGER PRIMARY KEY, until INTEGER NOT NULL, sealed BLOB NOT NULL)"],
};

/// The keys, unwrapped as they are needed.
pub struct Keyring {
    // Looking a key up changes nothing that its caller could see.
    db: RefCell<Database>,
    wrapping: Wrapping,
    /// The period in use of each class, so that a row costs no query.
    current: Vec<(RecordClass, Period)>,
}

/// One period of one class.
#[derive(Clone)]
pub struct Period {
    /// Milliseconds since 1970; also what names the period in a seal.
    pub starts: i64,
    pub until: i64,
    /// When the key is dropped: the last row of the period has expired by then.
    pub expires: i64,
    pub key: Arc<PeriodKey>,
}

/// `<key-file>.ring`.
pub fn ring_path(key_file: &Path) -> PathBuf {
    let mut name = key_file.as_os_str().to_owned();
    name.push(".ring");
    name.into()
}

/// How long one key serves: a day, or a quarter of the retention where that is short, so that what is erased is erased on time. The
/// index of past mail is asked under every key that lives, so its keys are few: each serves a sixth of the retention.
pub fn period_length(class: RecordClass, retention: Duration) -> Duration {
    const DAY: Duration = Duration::from_secs(86_400);
    if class == RecordClass::Contacts {
        return (retention / 6).max(Duration::from_millis(250));
    }
    if retention >= 4 * DAY { DAY } else { (retention / 4).max(Duration::from_millis(250)) }
}

impl Keyring {
    /// Makes an empty keyring: a file that only its owner may read. Errors if it exists.
    pub(super) fn create(location: &Location, site: &SiteKey) -> Result<(), StoreError> {
        Database::create(location)?;
        let mut db = Database::open(location, Durability::Final)?;
        db.migrate(&SCHEMA)?;
        let proof = site.wrapping().wrap(&[0; 32], b"proof")?;
        db.transaction(|tx| {
            tx.serial("proof")?;
            if tx.number("SELECT count(*) FROM proof", &[])? > 0 {
                return Ok(());
            }
            tx.execute("INSERT INTO proof (wrapped) VALUES (?1)", values![&proof]).map(drop)
        })
    }

    /// Opens the keyring and proves that it belongs to the site key.
    pub(super) fn open(location: &Location, site: &SiteKey) -> Result<Keyring, StoreError> {
        if !location.may_be_there() {
            return Err(StoreError::RingMissing(location.clone()));
        }
        let mut db = Database::open(location, Durability::Final)?;
        db.migrate(&SCHEMA)?;
        let wrapping = site.wrapping();
        let proof = db.statements().first("SELECT wrapped FROM proof", &[], |row| Ok(row.octets(0)?.to_vec()))?;
        match proof.map(|p| wrapping.unwrap(&p, b"proof")) {
            Some(Ok(_)) => Ok(Keyring { db: RefCell::new(db), wrapping, current: Vec::new() }),
            Some(Err(_)) => Err(StoreError::WrongKey(location.clone())),
            None => Err(StoreError::RingMissing(location.clone())),
        }
    }

    /// The period that holds the time `at` (milliseconds), made if there is none; on disk before anything is sealed with it.
    pub fn at(&mut self, class: RecordClass, at: i64, retention: Duration) -> Result<Period, StoreError> {
        if let Some((_, period)) = self.current.iter().find(|(c, p)| *c == class && p.starts <= at && at < p.until) {
            return Ok(period.clone());
        }
        if let Some(period) = self.stored(class, at)? {
            return Ok(self.remember(class, period));
        }
        let length = millis(period_length(class, retention));
        let natural = at.div_euclid(length) * length;
        let number = i64::from(class.number());
        let key = Zeroizing::new(random_octets::<32>()?);
        let wrapping = &self.wrapping;
        let found = self.db.borrow_mut().transaction(|tx| {
            // Another process may have made it a moment ago: then theirs is taken.
            tx.serial("key")?;
            if let Some(found) = tx.first(AT, values![number, at], raw)? {
                return Ok(found);
            }
            // Neighbours made under another retention may cut into the natural period; none may overlap.
            let after = "SELECT max(until) FROM key WHERE class = ?1 AND until <= ?2";
            let before = "SELECT min(starts) FROM key WHERE class = ?1 AND starts > ?2";
            let after = tx.first(after, values![number, at], |row| row.optional(0))?.flatten();
            let before = tx.first(before, values![number, at], |row| row.optional(0))?.flatten();
            let starts = after.map_or(natural, |a| a.max(natural));
            let until = before.map_or(natural + length, |b| b.min(natural + length));
            let expires = until.saturating_add(millis(retention));
            let wrapped = wrapping.wrap(&key, &about(class, starts))?;
            let insert = "INSERT INTO key (class, starts, until, expires, wrapped) VALUES (?1, ?2, ?3, ?4, ?5)";
            crash::here(Point::KeyMaking);
            tx.execute(insert, values![number, starts, until, expires, &wrapped])?;
            Ok((starts, until, expires, wrapped))
        })?;
        crash::here(Point::KeyMade);
        let period = self.unwrap(class, found)?;
        Ok(self.remember(class, period))
    }

    fn remember(&mut self, class: RecordClass, period: Period) -> Period {
        // Rows come nearly in order of time: the latest two periods of a class are all that a batch can need.
        let of_class = self.current.iter().filter(|(c, _)| *c == class).count();
        if of_class >= 2
            && let Some(oldest) = self.current.iter().position(|(c, _)| *c == class)
        {
            self.current.remove(oldest);
        }
        self.current.push((class, period.clone()));
        period
    }

    fn stored(&self, class: RecordClass, at: i64) -> Result<Option<Period>, StoreError> {
        let found = self.db.borrow_mut().statements().first(AT, values![i64::from(class.number()), at], raw)?;
        found.map(|r| self.unwrap(class, r)).transpose()
    }

    /// The periods of a class that touch `[from, to]`, oldest first. One whose wrapped key is damaged is left out.
    pub fn periods(&self, class: RecordClass, from: i64, to: i64) -> Result<Vec<Period>, StoreError> {
        let touch = "SELECT starts, until, expires, wrapped FROM key WHERE class = ?1 AND until > ?2 AND starts <= ?3 ORDER BY starts";
        let rows = self.db.borrow_mut().statements().all(touch, values![i64::from(class.number()), from, to], raw)?;
        Ok(rows.into_iter().filter_map(|r| self.unwrap(class, r).ok()).collect())
    }

    /// The period of this very start.
    pub fn period(&self, class: RecordClass, starts: i64) -> Result<Option<Period>, StoreError> {
        if let Some((_, period)) = self.current.iter().find(|(c, p)| *c == class && p.starts == starts) {
            return Ok(Some(period.clone()));
        }
        let this = "SELECT starts, until, expires, wrapped FROM key WHERE class = ?1 AND starts = ?2";
        let found = self.db.borrow_mut().statements().first(this, values![i64::from(class.number()), starts], raw)?;
        found.map(|r| self.unwrap(class, r)).transpose()
    }

    fn unwrap(&self, class: RecordClass, (starts, until, expires, wrapped): Raw) -> Result<Period, StoreError> {
        let key = self.wrapping.unwrap(&wrapped, &about(class, starts))?;
        Ok(Period { starts, until, expires, key: Arc::new(PeriodKey::new(&key)) })
    }

    /// The periods of a class whose time has come, by their starts.
    pub fn due(&self, class: RecordClass, now: i64) -> Result<Vec<i64>, StoreError> {
        let due = "SELECT starts FROM key WHERE class = ?1 AND expires <= ?2 ORDER BY starts";
        self.db.borrow_mut().statements().all(due, values![i64::from(class.number()), now], |row| row.integer(0))
    }

    /// Drops the keys of a class whose time has come; says how many. Nothing that they sealed can be read again.
    pub fn drop_expired(&mut self, class: RecordClass, now: i64) -> Result<usize, StoreError> {
        self.current.retain(|(c, p)| *c != class || p.expires > now);
        let gone = self.execute("DELETE FROM key WHERE class = ?1 AND expires <= ?2", values![i64::from(class.number()), now])?;
        self.rewrite(gone, "key")?;
        Ok(gone as usize)
    }

    /// The key of a thing that has a number, not a time (a hold, the signature of receipts), made if there is none; it is dropped when
    /// it is told to be, never by a purge.
    pub fn named(&mut self, class: RecordClass, number: i64) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        if let Some(key) = self.named_if_there(class, number)? {
            return Ok(key);
        }
        let key = Zeroizing::new(random_octets::<32>()?);
        let wrapped = self.wrapping.wrap(&key, &about(class, number))?;
        self.execute(
            "INSERT INTO key (class, starts, until, expires, wrapped) VALUES (?1, ?2, ?2, ?3, ?4) ON CONFLICT (class, starts) DO NOTHING",
            values![i64::from(class.number()), number, i64::MAX, &wrapped],
        )?;
        self.named_if_there(class, number)?.ok_or(StoreError::Damaged)
    }

    /// The same, but never made.
    pub fn named_if_there(&self, class: RecordClass, number: i64) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        let this = "SELECT wrapped FROM key WHERE class = ?1 AND starts = ?2";
        let of = values![i64::from(class.number()), number];
        let wrapped = self.db.borrow_mut().statements().first(this, of, |row| Ok(row.octets(0)?.to_vec()))?;
        wrapped.map(|w| self.wrapping.unwrap(&w, &about(class, number))).transpose()
    }

    /// What it sealed can be read by nobody afterwards.
    pub fn drop_named(&mut self, class: RecordClass, number: i64) -> Result<(), StoreError> {
        let gone = self.execute("DELETE FROM key WHERE class = ?1 AND starts = ?2", values![i64::from(class.number()), number])?;
        self.rewrite(gone, "key")
    }

    /// Numbers of erasures are never used twice, so that a database that was restored does not take one for another.
    pub(super) fn next_erasure(&self) -> Result<i64, StoreError> {
        let last = self.db.borrow_mut().statements().number("SELECT max(id) FROM erasure", &[])?;
        Ok(last.max(jiff::Timestamp::now().as_millisecond()) + 1)
    }

    /// Whom to forget, sealed; until when a backup could still be read.
    pub(super) fn remember_erasure(&self, id: i64, until: i64, sealed: &[u8]) -> Result<(), StoreError> {
        self.execute("INSERT INTO erasure (id, until, sealed) VALUES (?1, ?2, ?3)", values![id, until, sealed]).map(drop)
    }

    pub(super) fn erasures(&self) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
        let all = "SELECT id, sealed FROM erasure ORDER BY id";
        self.db.borrow_mut().statements().all(all, &[], |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))
    }

    pub(super) fn forget_erasures(&self, now: i64) -> Result<(), StoreError> {
        let gone = self.execute("DELETE FROM erasure WHERE until <= ?1", values![now])?;
        self.rewrite(gone, "erasure")
    }

    /// Drops one period's key.
    pub fn drop_period(&mut self, class: RecordClass, starts: i64) -> Result<(), StoreError> {
        self.current.retain(|(c, p)| *c != class || p.starts != starts);
        self.drop_named(class, starts)
    }

    /// A retention that became shorter holds for what is already there.
    pub fn shorten(&mut self, class: RecordClass, retention: Duration) -> Result<(), StoreError> {
        self.current.retain(|(c, _)| *c != class);
        let shorten = "UPDATE key SET expires = until + ?2 WHERE class = ?1 AND expires > until + ?2";
        self.execute(shorten, values![i64::from(class.number()), millis(retention)]).map(drop)
    }

    fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        self.db.borrow_mut().statements().execute(sql, values)
    }

    /// Nothing is to be left of what was deleted.
    fn rewrite(&self, gone: u64, table: &'static str) -> Result<(), StoreError> {
        if gone > 0 { self.db.borrow_mut().rewrite(table) } else { Ok(()) }
    }
}

type Raw = (i64, i64, i64, Vec<u8>);

/// The period of a class that holds a time.
const AT: &str =
    "SELECT starts, until, expires, wrapped FROM key WHERE class = ?1 AND starts <= ?2 AND until > ?2 ORDER BY starts DESC LIMIT 1";

fn raw(row: &dyn Row) -> Result<Raw, StoreError> {
    Ok((row.integer(0)?, row.integer(1)?, row.integer(2)?, row.octets(3)?.to_vec()))
}

fn about(class: RecordClass, starts: i64) -> [u8; 9] {
    let mut out = [0; 9];
    out[0] = class.number();
    out[1..].copy_from_slice(&starts.to_be_bytes());
    out
}

/// Milliseconds, as the store counts time.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::Folder;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_dropped_key_erases_its_period_and_no_other() {
        let folder = Folder::new();
        let file = Location::Sqlite(folder.path("site.key.ring"));
        let site = SiteKey::generate().unwrap();
        Keyring::create(&file, &site).unwrap();
        let mut ring = Keyring::open(&file, &site).unwrap();
        let day = 86_400_000;
        let first = ring.at(RecordClass::Events, 10 * day + 5, 30 * DAY).unwrap();
        assert_eq!((first.starts, first.until, first.expires), (10 * day, 11 * day, 41 * day));
        let second = ring.at(RecordClass::Events, 11 * day, 30 * DAY).unwrap();
        let other = ring.at(RecordClass::Incidents, 10 * day + 5, 60 * DAY).unwrap();
        let told = |p: &Period| p.key.hash_16(super::super::sealing::Kind::Told, b"x");
        assert_ne!(told(&first), told(&second));
        assert_ne!(told(&first), told(&other));
        assert_eq!(ring.drop_expired(RecordClass::Events, 41 * day - 1).unwrap(), 0);
        assert_eq!(ring.drop_expired(RecordClass::Events, 41 * day).unwrap(), 1);
        assert!(ring.period(RecordClass::Events, first.starts).unwrap().is_none());
        assert!(ring.period(RecordClass::Events, second.starts).unwrap().is_some());
        assert!(ring.period(RecordClass::Incidents, other.starts).unwrap().is_some());
        // The same keys after the file is opened again, and not with another site key.
        let again = Keyring::open(&file, &site).unwrap();
        assert_eq!(told(&again.period(RecordClass::Events, second.starts).unwrap().unwrap()), told(&second));
        assert!(matches!(Keyring::open(&file, &SiteKey::generate().unwrap()), Err(StoreError::WrongKey(_))));
        assert!(matches!(Keyring::open(&Location::Sqlite(folder.path("other.ring")), &site), Err(StoreError::RingMissing(_))));
    }

    #[test]
    fn periods_never_overlap_when_the_retention_changes() {
        let folder = Folder::new();
        let file = Location::Sqlite(folder.path("site.key.ring"));
        let site = SiteKey::generate().unwrap();
        Keyring::create(&file, &site).unwrap();
        let mut ring = Keyring::open(&file, &site).unwrap();
        let short = Duration::from_secs(2);
        for (at, retention) in [
            (1_000, short),
            (90_000, DAY * 30),
            (1_600, short),
            (86_400_000, short),
            (86_400_100, DAY * 30),
            (0, DAY * 30),
            (86_390_000, DAY),
        ] {
            let period = ring.at(RecordClass::Events, at, retention).unwrap();
            assert!(period.starts <= at && at < period.until);
        }
        let all = ring.periods(RecordClass::Events, 0, i64::MAX).unwrap();
        assert!(all.windows(2).all(|w| w[0].until <= w[1].starts), "{:?}", all.iter().map(|p| (p.starts, p.until)).collect::<Vec<_>>());
    }
}
