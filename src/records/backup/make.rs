//! Making a backup, beside a gateway that runs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::frame::Writer;
use super::{FORMAT, Fault, FileNote, Holds, Manifest, create, empty_folder};
use crate::records::database::{Database, Durability, Statements};
use crate::records::keeping::Keeping;
use crate::records::receipts::{hex, signer};
use crate::records::rotation;
use crate::records::{Options, StoreError, custody};

/// Rows of one statement.
const PAGE: i64 = 1_000;

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    pub database: Manifest,
    pub keyring: Option<Manifest>,
}

/// Writes record and custody into the folder `out`, and the keyring into another where that is asked for. Works beside a gateway that
/// runs: mail is taken, kept and delivered meanwhile, and what comes after the first moment is not in the backup.
pub fn make(options: &Options, out: &Path, keyring_out: Option<&Path>, now: Timestamp) -> Result<Made, Fault> {
    make_watched(options, out, keyring_out, now, &mut |_| {})
}

/// The same; `watch` hears of each row that is written.
pub(super) fn make_watched(
    options: &Options,
    out: &Path,
    keyring_out: Option<&Path>,
    now: Timestamp,
    watch: &mut dyn FnMut(&str),
) -> Result<Made, Fault> {
    let mut keeping = Keeping::open(options)?;
    let signer = signer(&mut keeping.ring)?;
    let print = rotation::overview(options)?.print;
    let site = hex(&keeping.ring.site());
    let plain = |holds| Manifest {
        format: FORMAT,
        holds,
        program: env!("CARGO_PKG_VERSION").into(),
        made: now,
        site: site.clone(),
        print: print.clone(),
        schemas: BTreeMap::new(),
        files: Vec::new(),
    };
    let folders: Vec<&Path> = std::iter::once(out).chain(keyring_out).collect();
    if keyring_out.is_some_and(|ring| ring.starts_with(out) || out.starts_with(ring)) {
        // Whoever copies the one folder must not copy the other with it.
        return Err(Fault::NotEmpty(out.into()));
    }
    folders.iter().try_for_each(|folder| empty_folder(folder))?;
    let (mut database, mut keyring) = (plain(Holds::Database), keyring_out.map(|_| plain(Holds::Keyring)));
    let done = snapshot(options, &mut keeping.db, |record, custody| {
        // The keyring after the first moment: a key is there before what it seals.
        if let (Some(manifest), Some(folder)) = (&mut keyring, keyring_out) {
            let mut ring = Database::open(&options.keyring, Durability::Final)?;
            ring.snapshot(|tx| dump(tx, folder, "keyring.rows", manifest, watch))?;
        }
        dump(record, out, "record.rows", &mut database, watch)?;
        custody.map_or(Ok(()), |tx| dump(tx, out, "custody.rows", &mut database, watch))
    });
    let done = done.and_then(|()| {
        if let (Some(manifest), Some(folder)) = (&keyring, keyring_out) {
            manifest.write(folder, &signer)?;
        }
        database.write(out, &signer)
    });
    if let Err(error) = done {
        // Half a backup is none, and holds what is to be erased.
        for file in folders.iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten()) {
            let _ = fs::remove_file(file.path());
        }
        return Err(error.into());
    }
    Ok(Made { database, keyring })
}

type Act<'a> = &'a mut (dyn Statements + 'a);

/// Record and custody as of one moment: exactly where they are one database, otherwise within the time between two statements.
fn snapshot(
    options: &Options,
    record: &mut Database,
    act: impl FnOnce(Act<'_>, Option<Act<'_>>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    if options.custody == options.database {
        return record.snapshot(|tx| act(tx, None));
    }
    let mut beside = Database::open(&options.custody, Durability::Full)?;
    custody::migrate(&mut beside)?;
    record.snapshot(|record| beside.snapshot(|custody| act(record, Some(custody))))
}

/// Writes every table of a database into one file.
fn dump(
    tx: &mut (dyn Statements + '_),
    folder: &Path,
    name: &str,
    manifest: &mut Manifest,
    watch: &mut dyn FnMut(&str),
) -> Result<(), StoreError> {
    let path = folder.join(name);
    let io = |e| StoreError::io(&path, e);
    let mut writer = Writer::new(create(&path)?).map_err(io)?;
    let mut tables = BTreeMap::new();
    for shape in tx.shapes()? {
        if shape.table == "schema_version" {
            let versions = tx.all("SELECT part, version FROM schema_version", &[], |row| Ok((row.text(0)?.to_owned(), row.integer(1)?)))?;
            manifest.schemas.extend(versions);
            continue;
        }
        writer.table(&shape).map_err(io)?;
        let mut rows = 0;
        shape.each_row(tx, PAGE, &mut |cells| {
            rows += 1;
            watch(&shape.table);
            writer.row(cells).map_err(io)
        })?;
        writer.end_table(rows).map_err(io)?;
        tables.insert(shape.table, rows);
    }
    let (file, octets, digest) = writer.finish().map_err(io)?;
    file.sync_all().map_err(io)?;
    manifest.files.push(FileNote { name: name.into(), octets, sha256: hex(&digest), tables });
    Ok(())
}
