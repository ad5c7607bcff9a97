//! Restoring a backup into a gateway that is stopped.
//!
//! Everything that can be known is looked at before anything is changed. A server's databases are then changed in one transaction
//! each; files are made under other names and get theirs at the end, the record last: a crash in between leaves a key without a
//! database, which says of itself what to do, and the restore can be begun again. Before anything is served people who asked to be
//! forgotten are forgotten again, and what has expired since goes with its keys.
//!
//! What was in custody when the backup was made may have been delivered since, so it is stopped unless somebody says otherwise; what
//! was taken into custody after it is in no backup.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::frame::{Head, Item, Reader};
use super::{Fault, Holds, Manifest};
use crate::records::access::chain::note_restored;
use crate::records::custody::State;
use crate::records::database::{Cell, Database, Durability, Location, Schema, Statements, Value, values};
use crate::records::keyring::{self, Keyring};
use crate::records::place::{create_folder, sync_folder};
use crate::records::receipts::{hex, signer};
use crate::records::rights::{again, merge};
use crate::records::{Options, Receipt, StoreError, custody, place, retention, store};

/// How it is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// What is there goes.
    pub replace: bool,
    /// What waited in custody is delivered, though it may have been delivered already.
    pub resume: bool,
    /// The clock was looked at.
    pub confirmed: bool,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    pub manifest: Manifest,
    pub with_keyring: bool,
    /// Messages that waited in custody and are stopped.
    pub stopped: u64,
    /// Messages that are held: they may have been decided since.
    pub held: u64,
    /// People who had asked to be forgotten after the backup was made.
    pub forgotten: usize,
    /// What expired since.
    pub receipt: Receipt,
}

/// Rows of one statement to a server, and octets.
const ROWS: usize = 500;
const OCTETS: usize = 1 << 20;
/// A backup from further back needs somebody to look at the clock. Milliseconds.
const OLD: i64 = 7 * 86_400_000;
const HOUR: i64 = 3_600_000;

/// Puts a backup in place. `from` holds the database; the keyring is the one that is there, or one from a backup of its own.
pub fn restore(options: &Options, from: &Path, keyring_from: Option<&Path>, how: How, now: Timestamp) -> Result<Restored, Fault> {
    let (manifest, signed) = Manifest::read(from, Holds::Database)?;
    let ring_from = keyring_from.map(|folder| Manifest::read(folder, Holds::Keyring)).transpose()?;
    look_at_clock(&manifest, how, now)?;
    if !options.key_file.exists() {
        return Err(Fault::NoKeyFile(options.key_file.clone()));
    }
    for (location, taken) in [(&options.database, true), (&options.custody, true), (&options.keyring, keyring_from.is_some())] {
        let there = is_there(location)?;
        if there && taken && !how.replace {
            return Err(Fault::Occupied(location.clone()));
        }
        if there && Database::is_in_use(location)? {
            return Err(Fault::InUse(location.clone()));
        }
        create_folder(location.file().unwrap_or(&options.key_file))?;
    }

    // The keyring first: it says whether the backup is what it was. It is tried as a file, whatever it is to become.
    let mut unnamed = Vec::new();
    let mut ring_rows = None;
    if let (Some(folder), Some((ring_manifest, ring_signed))) = (keyring_from, &ring_from) {
        let before = if is_there(&options.keyring)? { Keyring::of(&options.keyring, &options.key_file).ok() } else { None };
        let tried = Making::tried(&options.keyring, &options.key_file);
        tried.fill(&[&keyring::SCHEMA], &[(folder, ring_manifest)], &mut |_| Ok(()))?;
        let mut ring = Keyring::of(&tried.at, &options.key_file)?;
        ring_signed.verify(&signer(&mut ring)?)?;
        check(&mut ring, &manifest, from, &signed)?;
        ring.settle_glass(before.as_ref().filter(|b| b.site() == ring.site()))?;
        // Whoever was forgotten since is in the keyring that is there, and in no other.
        if let Some(mut before) = before.filter(|b| b.site() == ring.site()) {
            merge(&mut before, &mut ring)?;
            ring.take_access_head(&before)?;
        }
        drop(ring);
        if options.keyring.file().is_some() {
            unnamed.push(tried);
        } else {
            ring_rows = Some((folder, ring_manifest, tried));
        }
    } else if is_there(&options.keyring)? {
        check(&mut Keyring::of(&options.keyring, &options.key_file)?, &manifest, from, &signed)?;
    } else {
        return Err(Fault::NoKeyring(options.keyring.clone()));
    }

    let (mut stopped, mut held) = (0, 0);
    let mut stop = |tx: &mut (dyn Statements + '_)| {
        held = tx.number("SELECT count(*) FROM parcel WHERE state = ?1", values![State::Held as i64])?.cast_unsigned();
        tx.execute("UPDATE parcel SET holder = 0, leased = 0", &[])?;
        if !how.resume {
            let stop = "UPDATE parcel SET state = ?2 WHERE state = ?1";
            stopped = tx.execute(stop, values![State::Waiting as i64, State::Stopped as i64])?;
        }
        Ok(())
    };
    let of_record = store::SCHEMAS;
    if options.custody == options.database {
        let all: Vec<&Schema> = of_record.iter().copied().chain([&custody::SCHEMA]).collect();
        let made = Making::of(&options.database);
        made.fill(&all, &[(from, &manifest)], &mut stop)?;
        unnamed.push(made);
    } else {
        for (location, schemas, and) in [
            (&options.custody, &[&custody::SCHEMA][..], &mut stop as &mut dyn FnMut(&mut (dyn Statements + '_)) -> Result<(), StoreError>),
            (&options.database, of_record, &mut |_| Ok(())),
        ] {
            let made = Making::of(location);
            made.fill(schemas, &[(from, &manifest)], and)?;
            unnamed.push(made);
        }
    }
    // A server's keyring after its record: a keyring that knows more than the record does no harm, should this end here.
    if let Some((folder, ring_manifest, tried)) = ring_rows {
        Making::of(&options.keyring).fill(&[&keyring::SCHEMA], &[(folder, ring_manifest)], &mut |_| Ok(()))?;
        let mut ring = Keyring::of(&options.keyring, &options.key_file)?;
        let mut merged = Keyring::of(&tried.at, &options.key_file)?;
        merge(&mut merged, &mut ring)?;
        ring.take_access_head(&merged)?;
        ring.settle_glass(Some(&merged))?;
    }
    // Without a record under its name nothing starts.
    if let Some(database) = options.database.file() {
        remove(database)?;
    }
    unnamed.iter().try_for_each(Making::name)?;

    place::prepare(options)?;
    note_restored(options, now.as_millisecond())?;
    let forgotten = again(options, now.as_millisecond())?;
    // The clock has been looked at above.
    let receipt = retention::run(options, true)?;
    let mut custody = custody::open(options)?;
    custody.purge(now.as_millisecond())?;
    Ok(Restored { manifest, with_keyring: keyring_from.is_some(), stopped, held, forgotten, receipt })
}

fn look_at_clock(manifest: &Manifest, how: How, now: Timestamp) -> Result<(), Fault> {
    let (made, age) = (manifest.made, now.as_millisecond() - manifest.made.as_millisecond());
    if age < -HOUR {
        return Err(Fault::ClockBehind { now, made });
    }
    if age > OLD && !how.confirmed {
        return Err(Fault::Old { now, days: age / 86_400_000 });
    }
    Ok(())
}

/// Holds the backup of the database against a keyring: the same site, and signed with its key.
fn check(ring: &mut Keyring, manifest: &Manifest, from: &Path, signed: &super::Signed) -> Result<(), Fault> {
    if hex(&ring.site()) != manifest.site {
        return Err(Fault::AnotherSite(from.into()));
    }
    signed.verify(&signer(ring)?)
}

fn is_there(location: &Location) -> Result<bool, StoreError> {
    Ok(location.may_be_there() && Database::is_made(location)?)
}

/// A database that is being made: a file under another name, or the server's own, whose change is one transaction.
struct Making {
    at: Location,
    becomes: Location,
}

impl Making {
    fn of(location: &Location) -> Making {
        let at = match location.file() {
            Some(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(".restored");
                Location::Sqlite(PathBuf::from(name))
            }
            None => location.clone(),
        };
        Making { at, becomes: location.clone() }
    }

    /// A keyring as a file: the one that it becomes, or beside the key file, to be tried and thrown away.
    fn tried(ring: &Location, key_file: &Path) -> Making {
        match ring.file() {
            Some(_) => Making::of(ring),
            None => Making::of(&Location::Sqlite(keyring::ring_path(key_file))),
        }
    }

    /// Makes the tables as they were when the backup was made, puts in those rows of its files that belong there, and then brings the
    /// tables to what this program knows.
    fn fill(
        &self,
        schemas: &[&Schema],
        from: &[(&Path, &Manifest)],
        and: &mut dyn FnMut(&mut (dyn Statements + '_)) -> Result<(), StoreError>,
    ) -> Result<(), Fault> {
        if let Some(file) = self.at.file() {
            remove(file)?;
        }
        Database::create(&self.at)?;
        let mut db = Database::open(&self.at, Durability::Full)?;
        let mut fault = None;
        let done = db.transaction(|tx| {
            // On a server there may be others.
            for shape in tx.shapes()? {
                tx.execute(&format!("DROP TABLE \"{}\"", shape.table), &[])?;
            }
            for (_, manifest) in from {
                for schema in schemas {
                    if let Some(version) = manifest.schemas.get(schema.part) {
                        schema.bring_to(tx, *version)?;
                    }
                }
            }
            for (folder, manifest) in from {
                for note in &manifest.files {
                    if let Err(error) = carry(tx, &folder.join(&note.name), &note.tables) {
                        fault = Some(error);
                        return Err(StoreError::Damaged);
                    }
                }
            }
            for schema in schemas {
                schema.bring_to(tx, schema.versions.len() as i64)?;
            }
            and(tx)
        });
        match (done, fault) {
            (Err(_), Some(fault)) => Err(fault),
            (done, _) => Ok(done?),
        }
    }

    fn name(&self) -> Result<(), StoreError> {
        let (Some(at), Some(becomes)) = (self.at.file(), self.becomes.file()) else { return Ok(()) };
        // The last connection has taken the log with it; one that is left is that of the file which goes.
        remove(becomes)?;
        fs::rename(at, becomes).map_err(|e| StoreError::io(becomes, e))?;
        sync_folder(becomes)
    }
}

impl Drop for Making {
    /// What did not get its name is nobody's.
    fn drop(&mut self) {
        if let Some(file) = self.at.file() {
            let _ = remove(file);
        }
    }
}

/// Removes a database's file and what stands beside it.
fn remove(file: &Path) -> Result<(), StoreError> {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let mut name = file.as_os_str().to_owned();
        name.push(beside);
        match fs::remove_file(&name) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io(Path::new(&name), e)),
            _ => {}
        }
    }
    Ok(())
}

/// Carries rows from a file into the tables that are there; those of other tables are passed over.
fn carry(tx: &mut (dyn Statements + '_), path: &Path, noted: &BTreeMap<String, u64>) -> Result<(), Fault> {
    let altered = |what: &str| Fault::Altered { path: path.into(), what: what.into() };
    let shapes = tx.shapes()?;
    let file = fs::File::open(path).map_err(|e| StoreError::io(path, e))?;
    let mut reader = Reader::new(file).map_err(|e| altered(&e.to_string()))?;
    let mut into: Option<(Head, String)> = None;
    let (mut rows, mut octets): (Vec<Vec<Cell>>, usize) = (Vec::new(), 0);
    while let Some(item) = reader.next().map_err(|e| altered(&e.to_string()))? {
        match item {
            Item::Table(head) => {
                if !noted.contains_key(&head.table) {
                    return Err(altered("it holds a table that the manifest does not name"));
                }
                into = shapes.iter().find(|s| s.table == head.table).map(|shape| {
                    let places: Vec<String> = (1..=shape.columns.len()).map(|n| format!("?{n}")).collect();
                    let insert = format!("INSERT INTO \"{}\" ({}) VALUES ({})", shape.table, shape.names(), places.join(", "));
                    (head.clone(), insert)
                });
                let known = shapes.iter().find(|s| s.table == head.table);
                if known.is_some_and(|shape| shape.columns != head.columns) {
                    return Err(altered("a table has other columns than its version"));
                }
            }
            Item::Row(cells) => {
                let Some((head, insert)) = &into else { continue };
                if !head.columns.iter().zip(&cells).all(|((_, of), cell)| cell.fits(*of)) {
                    return Err(altered("a value is of another kind than its column"));
                }
                octets += cells.iter().map(Cell::octets).sum::<usize>();
                rows.push(cells);
                if rows.len() >= ROWS || octets >= OCTETS {
                    put(tx, insert, &mut rows)?;
                    octets = 0;
                }
            }
            Item::EndTable(count) => {
                if let Some((head, insert)) = into.take() {
                    put(tx, &insert, &mut rows)?;
                    octets = 0;
                    if noted.get(&head.table) != Some(&count) {
                        return Err(altered("it has another number of rows than the manifest says"));
                    }
                    if let Some(shape) = shapes.iter().find(|s| s.table == head.table)
                        && let [key] = shape.key[..]
                    {
                        tx.numbers_follow(&shape.table, &shape.columns[key].0)?;
                    }
                }
            }
        }
    }
    Ok(())
}

fn put(tx: &mut (dyn Statements + '_), insert: &str, rows: &mut Vec<Vec<Cell>>) -> Result<(), StoreError> {
    let values: Vec<Vec<Value<'_>>> = rows.iter().map(|cells| cells.iter().map(Cell::value).collect()).collect();
    tx.execute_many(insert, &values)?;
    rows.clear();
    Ok(())
}
