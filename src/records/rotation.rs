//! A new site key in place of the old one, while gateways run.
//!
//! The new key is written as `<key-file>.new`; in one transaction every key of the keyring is wrapped under it, and the proof with
//! them; then the file gets its name. After a crash before that transaction the old key is in force, after it the new one, and either
//! has its file: whoever opens the keyring tries both, and the next start (or the next change) tidies up and says so. The file is
//! written, named and removed under the keyring's own lock, so that two changes cannot meet.
//!
//! Processes that run go on with what they have unwrapped, and read the key file again when they need more
//! ([`super::keyring::Keyring`]). On other machines the file has to be carried there; until then they wait where they need a key that
//! they have not unwrapped, and say so.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::database::{Database, Durability, values};
use super::keyring::{self, Keyring, PROOF, SERIAL};
use super::place::{Options, sync_folder};
use super::sealing::{Print, SiteKey};
use super::{RecordClass, StoreError};

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    pub before: Print,
    pub print: Print,
    /// Keys that are wrapped under the new site key.
    pub keys: u64,
    /// Keys that were damaged before, and stay as they are.
    pub damaged: u64,
}

/// What became of a change that had not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The keys were under the new site key: it has its name now.
    Finished,
    /// They were not: the old site key stays in force, and the new one is gone.
    Undone,
}

/// Where a crash may come in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The new key file is written.
    Written,
    /// The keys are wrapped under it.
    Rewrapped,
    /// Nothing of the old wrapping is left in the keyring.
    Rewritten,
}

/// `<key-file>.new`, beside the file itself where the name is a link.
pub(super) fn new_path(key_file: &Path) -> PathBuf {
    let mut name = real(key_file).into_os_string();
    name.push(".new");
    name.into()
}

fn real(key_file: &Path) -> PathBuf {
    fs::canonicalize(key_file).unwrap_or_else(|_| key_file.to_owned())
}

/// Makes a new site key and wraps all keys under it.
pub fn rotate(options: &Options) -> Result<Rotated, StoreError> {
    let done = rotate_until(options, &mut |_| Ok(()));
    if done.is_err() {
        // Whatever was reached is brought to one end or the other now; where that fails too, the next start does it.
        let _ = settle(options);
    }
    done
}

/// The keyring, where it is that of the database.
fn open(options: &Options) -> Result<Keyring, StoreError> {
    let ring = options.open_ring()?;
    let mut db = Database::open(&options.database, Durability::Full)?;
    super::store::migrate(&mut db)?;
    super::site::same(&mut db, &ring, options)?;
    Ok(ring)
}

fn rotate_until(options: &Options, step: &mut dyn FnMut(Step) -> Result<(), StoreError>) -> Result<Rotated, StoreError> {
    settle(options)?;
    let ring = open(options)?;
    let before = SiteKey::read(&options.key_file)?.print();
    let site = SiteKey::generate()?;
    let (new, next) = (new_path(&options.key_file), site.wrapping());
    let (keys, damaged) = ring.with_key_in_force(|tx, wrapping| {
        site.write(&new)?;
        sync_folder(&new)?;
        step(Step::Written)?;
        let (mut keys, mut damaged) = (0, 0);
        let all = "SELECT class, starts, wrapped FROM key ORDER BY class, starts";
        for (class, starts, wrapped) in tx.all(all, &[], |row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec())))? {
            let about = keyring::named_by(class, starts);
            match wrapping.unwrap(&wrapped, &about) {
                Ok(key) => {
                    let wrapped = next.wrap(&key, &about)?;
                    tx.execute("UPDATE key SET wrapped = ?3 WHERE class = ?1 AND starts = ?2", values![class, starts, &wrapped])?;
                    keys += 1;
                }
                // Nobody can open it any more: that is no reason to keep a site key that should go.
                Err(StoreError::Sealed | StoreError::Damaged) => damaged += 1,
                Err(error) => return Err(error),
            }
        }
        tx.execute("UPDATE proof SET wrapped = ?1", values![&next.wrap(&[0; 32], PROOF)?])?;
        keyring::note_print(tx, &site.print(), Timestamp::now().as_millisecond())?;
        Ok((keys, damaged))
    })?;
    step(Step::Rewrapped)?;
    let mut db = ring.db.into_inner();
    forget_wrapping(&mut db)?;
    step(Step::Rewritten)?;
    name(&new, &options.key_file)?;
    Ok(Rotated { before, print: site.print(), keys, damaged })
}

/// Nothing is to be left of what the old site key could open.
fn forget_wrapping(db: &mut Database) -> Result<(), StoreError> {
    db.rewrite("key")?;
    db.rewrite("proof")
}

/// Gives the new key file its name, and overwrites the old one's octets as far as the disk does that.
fn name(new: &Path, key_file: &Path) -> Result<(), StoreError> {
    let path = real(key_file);
    let io = |e| StoreError::io(&path, e);
    let old = fs::OpenOptions::new().write(true).open(&path).ok();
    // One that has another name is somebody's copy.
    let old = old.filter(|f| f.metadata().is_ok_and(|m| m.nlink() == 1));
    match fs::rename(new, &path) {
        Ok(()) => {}
        // Another process that started meanwhile has done it.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io(e)),
    }
    sync_folder(&path)?;
    if let Some(mut old) = old {
        let length = old.metadata().map_err(io)?.len().min(4096) as usize;
        old.write_all(&vec![0; length]).and_then(|()| old.sync_all()).map_err(io)?;
    }
    Ok(())
}

/// Brings a change that was cut short to one end or the other. None where there is nothing of the kind.
pub fn settle(options: &Options) -> Result<Option<Settled>, StoreError> {
    let new = new_path(&options.key_file);
    if !new.exists() || !options.keyring.may_be_there() {
        return Ok(None);
    }
    let mut db = Database::open(&options.keyring, Durability::Final)?;
    let settled = db.transaction(|tx| {
        tx.serial(SERIAL)?;
        let Some(proof) = keyring::read_proof(tx)? else { return Ok(None) };
        let opens = |path: &Path| match SiteKey::read(path) {
            Ok(key) => Ok(key.wrapping().unwrap(&proof, PROOF).is_ok()),
            // The writing of it was cut short; or another process has given it its name.
            Err(StoreError::KeyMalformed(_)) => Ok(false),
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        if opens(&new)? {
            name(&new, &options.key_file)?;
            return Ok(Some(Settled::Finished));
        }
        if !opens(&options.key_file)? || !new.exists() {
            return Ok(None);
        }
        fs::remove_file(&new).map_err(|e| StoreError::io(&new, e))?;
        sync_folder(&new)?;
        Ok(Some(Settled::Undone))
    })?;
    match settled {
        Some(Settled::Finished) => {
            forget_wrapping(&mut db)?;
            tracing::warn!(
                event = "site_key_finished",
                "a change of the site key had been cut short; it is finished: the new key is in force"
            );
        }
        Some(Settled::Undone) => tracing::warn!(
            event = "site_key_undone",
            "a change of the site key had been cut short; it is undone: the old key is in force. Run `lychgate keys rotate` again"
        ),
        None => {}
    }
    Ok(settled)
}

/// What the keyring holds; no key material.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// The print of the site key in force.
    pub print: String,
    /// Since when it is in force; for keyrings that were made before this was noted, since it was noted.
    pub since: Timestamp,
    pub keys: Vec<Key>,
    /// People that a restored database is made to forget again.
    pub erasures: u64,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    pub class: String,
    /// The time that it seals; none for a key that has a number instead (a hold's, the one for requests, the one that signs).
    pub starts: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// When it dies; none where nothing but an act ends it.
    pub expires: Option<Timestamp>,
}

/// Shows what the keyring holds.
pub fn overview(options: &Options) -> Result<Overview, StoreError> {
    let mut db = open(options)?.db.into_inner();
    let tx = db.statements();
    let (print, since) = keyring::prints(tx)?.pop().ok_or(StoreError::Damaged)?;
    let time = |ms| Timestamp::from_millisecond(ms).ok();
    let all = "SELECT class, starts, until, expires FROM key ORDER BY class, starts";
    let keys = tx.all(all, &[], |row| {
        let class = RecordClass::of(row.integer(0)?);
        let of_time = class.is_some_and(RecordClass::has_periods);
        let expires = row.integer(3)?;
        Ok(Key {
            class: class.map_or("unknown", RecordClass::word).into(),
            starts: if of_time { time(row.integer(1)?) } else { None },
            until: if of_time { time(row.integer(2)?) } else { None },
            expires: if of_time { time(expires) } else { None },
        })
    })?;
    let erasures = tx.number("SELECT count(*) FROM erasure", &[])?.cast_unsigned();
    Ok(Overview { print: print.to_string(), since: time(since).ok_or(StoreError::Damaged)?, keys, erasures })
}

#[cfg(test)]
mod tests;
