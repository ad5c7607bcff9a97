//! The keyring: the wrapped key of every class and period, in a small file beside the site key and apart from the database.
//!
//! Erasure is the deletion of a wrapped key: what it sealed can be read by nobody afterwards, in the database, its log or a backup
//! of it. Backups of the database must therefore not hold the keyring's past states; the two have backup rules of their own.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::access::chain::{Gap, Head, Why};
use super::database::{Database, Durability, Location, Row, Schema, Statements, Value, values};
use super::rotation;
use super::sealing::{PeriodKey, Print, SiteKey, Wrapping, random_key, random_octets};
use super::{RecordClass, StoreError};
use crate::observe::crash::{self, Point};

pub(super) const SCHEMA: Schema = Schema {
    part: "keyring",
    // The tables of keyrings that were made before there were versions are the same.
    versions: &["CREATE TABLE IF NOT EXISTS key (class INTEGER NOT NULL, starts INTEGER NOT NULL, until INTEGER NOT NULL,
                                                 expires INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (class, starts)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS proof (wrapped BLOB NOT NULL);
         CREATE TABLE IF NOT EXISTS erasure (id INTEGER PRIMARY KEY, until INTEGER NOT NULL, sealed BLOB NOT NULL)",
        // Which site it belongs to, and the prints of the site keys that it has been wrapped with.
        "CREATE TABLE site (id BLOB PRIMARY KEY, made INTEGER NOT NULL) WITHOUT ROWID;
         CREATE TABLE site_key (print BLOB PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID",
        // The end of the access log, what is known of its gaps, and what the break-glass code is known by.
        "CREATE TABLE access_head (one INTEGER PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL);
         CREATE TABLE access_gap (first INTEGER NOT NULL, why INTEGER NOT NULL, last INTEGER NOT NULL, digest BLOB NOT NULL,
                                  noted INTEGER NOT NULL, PRIMARY KEY (first, why)) WITHOUT ROWID;
         CREATE TABLE glass (one INTEGER PRIMARY KEY, made INTEGER NOT NULL, digest BLOB NOT NULL)"],
};

/// The keys, unwrapped as they are needed.
pub struct Keyring {
    // Looking a key up changes nothing that its caller could see.
    pub(super) db: RefCell<Database>,
    // The site key may be changed while we run: see `follow`.
    pub(super) wrapping: RefCell<Wrapping>,
    /// Where the new site key will be looked for; none: the one that was given is the only one.
    key_file: Option<PathBuf>,
    location: Location,
    /// Names the site, in its keyring and in its database.
    site: [u8; 16],
    /// Something was deleted, and its table was not written anew.
    stale: Cell<bool>,
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
        let proof = site.wrapping().wrap(&[0; 32], PROOF)?;
        db.transaction(|tx| {
            tx.serial(SERIAL)?;
            if tx.number("SELECT count(*) FROM proof", &[])? > 0 {
                return Ok(());
            }
            tx.execute("INSERT INTO proof (wrapped) VALUES (?1)", values![&proof])?;
            name_site(tx, &site.print()).map(drop)
        })
    }

    /// Opens the keyring and proves that it belongs to the site key in `key_file`, or to the one that is about to take its place there.
    pub(super) fn of(location: &Location, key_file: &Path) -> Result<Keyring, StoreError> {
        let site = SiteKey::read(key_file)?;
        Keyring::open_for(location, &site, Some(key_file)).or_else(|error| {
            let refused = matches!(error, StoreError::WrongKey { .. } | StoreError::KeyChanged { .. });
            match SiteKey::read(&rotation::new_path(key_file)) {
                Ok(next) if refused => Keyring::open_for(location, &next, Some(key_file)).map_err(|_| error),
                _ => Err(error),
            }
        })
    }

    /// Opens the keyring and proves that it belongs to this site key.
    pub(super) fn open(location: &Location, site: &SiteKey) -> Result<Keyring, StoreError> {
        Keyring::open_for(location, site, None)
    }

    fn open_for(location: &Location, key: &SiteKey, key_file: Option<&Path>) -> Result<Keyring, StoreError> {
        if !location.may_be_there() {
            return Err(StoreError::RingMissing(location.clone()));
        }
        private(location)?;
        let mut db = Database::open(location, Durability::Final).map_err(|e| damaged(e, location))?;
        if !db.is_sound().map_err(|e| damaged(e, location))? {
            return Err(StoreError::RingDamaged(location.clone()));
        }
        db.migrate(&SCHEMA).map_err(|e| damaged(e, location))?;
        let wrapping = key.wrapping();
        let proof = read_proof(db.statements()).map_err(|e| damaged(e, location))?;
        match proof.map(|p| wrapping.unwrap(&p, PROOF)) {
            Some(Ok(_)) => {}
            Some(Err(_)) => return Err(stranger(db.statements(), location, &key.print(), key_file)),
            None if location.file().is_some() => return Err(StoreError::RingDamaged(location.clone())),
            None => return Err(StoreError::RingMissing(location.clone())),
        }
        let site = match read_site(db.statements())? {
            Some(site) => site,
            // It was made before sites had names.
            None => db.transaction(|tx| {
                tx.serial(SERIAL)?;
                name_site(tx, &key.print())
            })?,
        };
        let (db, wrapping) = (RefCell::new(db), RefCell::new(wrapping));
        Ok(Keyring {
            db,
            wrapping,
            key_file: key_file.map(Path::to_owned),
            location: location.clone(),
            site,
            stale: Cell::new(false),
            current: Vec::new(),
        })
    }

    /// Names the site that the keyring belongs to.
    pub fn site(&self) -> [u8; 16] {
        self.site
    }

    /// The site key may have been changed since we opened: then the new one is taken from the key file. Says whether it was.
    fn follow(&self) -> Result<bool, StoreError> {
        let mut db = self.db.borrow_mut();
        let proof = read_proof(db.statements())?.ok_or_else(|| StoreError::RingDamaged(self.location.clone()))?;
        if self.wrapping.borrow().unwrap(&proof, PROOF).is_ok() {
            return Ok(false);
        }
        let Some(key_file) = &self.key_file else { return Err(StoreError::Sealed) };
        // While it is being changed, the new one has its name yet to get.
        for path in [key_file.clone(), rotation::new_path(key_file)] {
            let Ok(key) = SiteKey::read(&path) else { continue };
            let wrapping = key.wrapping();
            if wrapping.unwrap(&proof, PROOF).is_ok() {
                tracing::info!(event = "site_key_followed", "the site key was changed; this process goes on with the new one");
                *self.wrapping.borrow_mut() = wrapping;
                return Ok(true);
            }
        }
        let print = SiteKey::read(key_file)?.print();
        Err(stranger(db.statements(), &self.location, &print, Some(key_file)))
    }

    /// Does something with the site key in force, once more if it turns out to have been changed.
    pub(super) fn with_key_in_force<T>(
        &self,
        mut act: impl FnMut(&mut (dyn Statements + '_), &Wrapping) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for last in [false, true] {
            let done = self.db.borrow_mut().transaction(|tx| {
                tx.serial(SERIAL)?;
                let wrapping = self.wrapping.borrow();
                let proof = read_proof(tx)?.ok_or_else(|| StoreError::RingDamaged(self.location.clone()))?;
                // What is wrapped under a key that is no longer in force could be opened by nobody.
                if wrapping.unwrap(&proof, PROOF).is_err() { Ok(None) } else { act(tx, &wrapping).map(Some) }
            })?;
            match done {
                Some(done) => return Ok(done),
                None if last => return Err(StoreError::Sealed),
                None => drop(self.follow()?),
            }
        }
        Err(StoreError::Sealed)
    }

    fn opened(&self, wrapped: &[u8], about: &[u8]) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let opened = self.wrapping.borrow().unwrap(wrapped, about);
        match opened {
            Err(StoreError::Sealed) if self.follow()? => self.wrapping.borrow().unwrap(wrapped, about),
            opened => opened,
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
        let key = random_key()?;
        let found = self.with_key_in_force(|tx, wrapping| {
            // Another process may have made it a moment ago: then theirs is taken.
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
        let mut periods = Vec::with_capacity(rows.len());
        for row in rows {
            match self.unwrap(class, row) {
                Ok(period) => periods.push(period),
                Err(StoreError::Sealed | StoreError::Damaged) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(periods)
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

    /// Whether the key of this period, or of this number, is there.
    pub(super) fn is_there(&self, class: RecordClass, starts: i64) -> Result<bool, StoreError> {
        let this = "SELECT count(*) FROM key WHERE class = ?1 AND starts = ?2";
        Ok(self.db.borrow_mut().statements().number(this, values![i64::from(class.number()), starts])? > 0)
    }

    fn unwrap(&self, class: RecordClass, (starts, until, expires, wrapped): Raw) -> Result<Period, StoreError> {
        let key = self.opened(&wrapped, &about(class, starts))?;
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
        let key = random_key()?;
        self.with_key_in_force(|tx, wrapping| {
            let wrapped = wrapping.wrap(&key, &about(class, number))?;
            tx.execute(
                "INSERT INTO key (class, starts, until, expires, wrapped) VALUES (?1, ?2, ?2, ?3, ?4) ON CONFLICT (class, starts) DO NOTHING",
                values![i64::from(class.number()), number, i64::MAX, &wrapped],
            )
        })?;
        self.named_if_there(class, number)?.ok_or(StoreError::Damaged)
    }

    /// The same, but never made.
    pub fn named_if_there(&self, class: RecordClass, number: i64) -> Result<Option<Zeroizing<[u8; 32]>>, StoreError> {
        let this = "SELECT wrapped FROM key WHERE class = ?1 AND starts = ?2";
        let of = values![i64::from(class.number()), number];
        let wrapped = self.db.borrow_mut().statements().first(this, of, |row| Ok(row.octets(0)?.to_vec()))?;
        wrapped.map(|w| self.opened(&w, &about(class, number))).transpose()
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

    /// The same, with the times until when.
    pub(super) fn erasures_until(&self) -> Result<Vec<(i64, i64, Vec<u8>)>, StoreError> {
        let all = "SELECT id, until, sealed FROM erasure ORDER BY id";
        self.db.borrow_mut().statements().all(all, &[], |row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec())))
    }

    pub(super) fn forget_erasures(&self, now: i64) -> Result<(), StoreError> {
        let gone = self.execute("DELETE FROM erasure WHERE until <= ?1", values![now])?;
        self.rewrite(gone, "erasure")
    }

    /// The end of the access log as far as the keyring knows it; none before there was a chain.
    pub(super) fn access_head(&self) -> Result<Option<Head>, StoreError> {
        let read =
            |row: &dyn Row| Ok(Head { number: row.integer(0)?, digest: row.octets(1)?.try_into().map_err(|_| StoreError::Damaged)? });
        self.db.borrow_mut().statements().first("SELECT number, digest FROM access_head", &[], read)
    }

    /// The log has another end. One that came late is not taken for the last.
    pub(super) fn set_access_head(&self, head: &Head) -> Result<(), StoreError> {
        let set = "INSERT INTO access_head (one, number, digest) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE
                   SET number = excluded.number, digest = excluded.digest WHERE access_head.number < excluded.number";
        self.execute(set, values![head.number, &head.digest[..]]).map(drop)
    }

    /// What the keyring that was here before knew of the access log is not forgotten with it.
    pub(super) fn take_access_head(&self, before: &Keyring) -> Result<(), StoreError> {
        before.access_head()?.map_or(Ok(()), |head| self.set_access_head(&head))?;
        before.gaps()?.iter().try_for_each(|gap| self.note_gap(gap))
    }

    pub(super) fn note_gap(&self, gap: &Gap) -> Result<(), StoreError> {
        let note = "INSERT INTO access_gap (first, why, last, digest, noted) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (first, why) DO UPDATE
                    SET last = excluded.last, digest = excluded.digest, noted = excluded.noted";
        self.execute(note, values![gap.first, gap.why as i64, gap.last, &gap.digest[..], gap.noted]).map(drop)
    }

    /// What is known of the gaps of the access log, in order.
    pub(super) fn gaps(&self) -> Result<Vec<Gap>, StoreError> {
        let all = "SELECT first, last, digest, why, noted FROM access_gap ORDER BY first, why";
        self.db.borrow_mut().statements().all(all, &[], |row| {
            let digest = row.octets(2)?.try_into().map_err(|_| StoreError::Damaged)?;
            Ok(Gap { first: row.integer(0)?, last: row.integer(1)?, digest, why: Why::of(row.integer(3)?)?, noted: row.integer(4)? })
        })
    }

    /// Gaps up to this number that were noted before this time.
    pub(super) fn forget_gaps(&self, up_to: i64, before: i64) -> Result<(), StoreError> {
        self.execute("DELETE FROM access_gap WHERE last <= ?1 AND noted <= ?2", values![up_to, before]).map(drop)
    }

    /// What the break-glass code is known by, and when it was made.
    pub(super) fn glass(&self) -> Result<Option<(Vec<u8>, i64)>, StoreError> {
        let all = "SELECT digest, made FROM glass";
        self.db.borrow_mut().statements().first(all, &[], |row| Ok((row.octets(0)?.to_vec(), row.integer(1)?)))
    }

    /// There is one code: a new one takes the old one's place.
    pub(super) fn set_glass(&self, digest: &[u8], now: i64) -> Result<(), StoreError> {
        let set = "INSERT INTO glass (one, made, digest) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE
                   SET made = excluded.made, digest = excluded.digest";
        self.execute(set, values![now, digest]).map(drop)
    }

    /// A copy of the keyring may hold a code that was used since: only the one that was good in the keyring before stays.
    pub(super) fn settle_glass(&self, before: Option<&Keyring>) -> Result<(), StoreError> {
        let good = before.map(Keyring::glass).transpose()?.flatten();
        match self.glass()? {
            Some((digest, made)) if good != Some((digest.clone(), made)) => self.break_glass(&digest).map(drop),
            _ => Ok(()),
        }
    }

    /// Uses the code up; says whether it was there still.
    pub(super) fn break_glass(&self, digest: &[u8]) -> Result<bool, StoreError> {
        Ok(self.execute("DELETE FROM glass WHERE digest = ?1", values![digest])? > 0)
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
        // What could not be written anew (somebody reads it for a backup) is written anew the next time.
        if gone > 0 || self.stale.get() {
            self.stale.set(true);
            self.db.borrow_mut().rewrite(table)?;
            self.stale.set(false);
        }
        Ok(())
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
    named_by(i64::from(class.number()), starts)
}

/// What a wrapped key is bound to.
pub(super) fn named_by(class: i64, starts: i64) -> [u8; 9] {
    let mut out = [0; 9];
    out[0] = class as u8;
    out[1..].copy_from_slice(&starts.to_be_bytes());
    out
}

/// Under this word whoever adds keys or changes the site key takes turns.
pub(super) const SERIAL: &str = "key";
/// What is wrapped under it says which site key is in force.
pub(super) const PROOF: &[u8] = b"proof";

pub(super) fn read_proof(tx: &mut (dyn Statements + '_)) -> Result<Option<Vec<u8>>, StoreError> {
    tx.first("SELECT wrapped FROM proof", &[], |row| Ok(row.octets(0)?.to_vec()))
}

fn read_site(tx: &mut (dyn Statements + '_)) -> Result<Option<[u8; 16]>, StoreError> {
    tx.first("SELECT id FROM site", &[], |row| row.octets(0)?.try_into().map_err(|_| StoreError::Damaged))
}

/// Gives the site a name unless it has one, and notes the print of its key.
fn name_site(tx: &mut (dyn Statements + '_), print: &Print) -> Result<[u8; 16], StoreError> {
    if let Some(site) = read_site(tx)? {
        return Ok(site);
    }
    let site = random_octets::<16>()?;
    let now = jiff::Timestamp::now().as_millisecond();
    tx.execute("INSERT INTO site (id, made) VALUES (?1, ?2)", values![&site[..], now])?;
    note_print(tx, print, now)?;
    Ok(site)
}

/// The site key with this print is in force from now on.
pub(super) fn note_print(tx: &mut (dyn Statements + '_), print: &Print, now: i64) -> Result<(), StoreError> {
    let note = "INSERT INTO site_key (print, since) VALUES (?1, ?2) ON CONFLICT (print) DO UPDATE SET since = excluded.since";
    tx.execute(note, values![&print.0[..], now]).map(drop)
}

/// The prints of all site keys that the keyring was wrapped with, the one in force last.
pub(super) fn prints(tx: &mut (dyn Statements + '_)) -> Result<Vec<(Print, i64)>, StoreError> {
    let all = "SELECT print, since FROM site_key ORDER BY since";
    tx.all(all, &[], |row| Ok((Print(row.octets(0)?.try_into().map_err(|_| StoreError::Damaged)?), row.integer(1)?)))
}

/// Why a site key does not open the keyring: it was the key once, or it never was.
fn stranger(tx: &mut (dyn Statements + '_), location: &Location, print: &Print, key_file: Option<&Path>) -> StoreError {
    let known = match prints(tx) {
        Ok(known) => known,
        Err(error) => return error,
    };
    let key = key_file.unwrap_or(Path::new("given")).to_owned();
    match known.last() {
        Some((wanted, since)) if known.iter().any(|(p, _)| p == print) => {
            let since = jiff::Timestamp::from_millisecond(*since).unwrap_or_default();
            StoreError::KeyChanged { key, print: *print, wanted: *wanted, since }
        }
        wanted => StoreError::WrongKey { ring: location.clone(), key, print: *print, wanted: wanted.map(|(p, _)| *p) },
    }
}

/// A keyring that others may read is refused, as the key file is.
fn private(location: &Location) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt;
    let Some(path) = location.file() else { return Ok(()) };
    let mode = std::fs::metadata(path).map_err(|e| StoreError::io(path, e))?.mode() & 0o777;
    if mode & 0o077 != 0 { Err(StoreError::RingMode { path: path.into(), mode }) } else { Ok(()) }
}

/// SQLite's words for a file that was cut short or is something else, in ours.
fn damaged(error: StoreError, location: &Location) -> StoreError {
    use rusqlite::ErrorCode as Code;
    match error {
        StoreError::Sqlite(rusqlite::Error::SqliteFailure(e, _)) if matches!(e.code, Code::NotADatabase | Code::DatabaseCorrupt) => {
            StoreError::RingDamaged(location.clone())
        }
        StoreError::Damaged => StoreError::RingDamaged(location.clone()),
        error => error,
    }
}

/// Milliseconds, as the store counts time.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
impl Keyring {
    /// Every key, for those who try them all.
    pub(super) fn everything(&self) -> Vec<super::erasure::Key> {
        let all = "SELECT class, starts, wrapped FROM key";
        let read = |row: &dyn Row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec()));
        let rows = self.db.borrow_mut().statements().all(all, &[], read).unwrap();
        let open = |(class, starts, wrapped): (i64, i64, Vec<u8>)| {
            let key = self.opened(&wrapped, &named_by(class, starts)).unwrap();
            (RecordClass::of(class).unwrap(), starts, wrapped, key)
        };
        rows.into_iter().map(open).collect()
    }
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
        assert!(matches!(Keyring::open(&file, &SiteKey::generate().unwrap()), Err(StoreError::WrongKey { .. })));
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
