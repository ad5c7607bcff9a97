//! Proof that what a purge deletes is erased: not only here, but in every copy of the database that was made before.
//!
//! A copy is made while everything is there, raw, log and all. After the purge every key that the keyring then holds is tried on every
//! sealed row of the copy, and every look-up hash that it could make is sought in it. The same trials with a copy of the keyring from
//! before succeed throughout: so they can fail, and so a keyring's backups must not be kept for longer than what they open.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::custody::{self, Deposit, NewParcel, Recipient as To, Sheet, State};
use super::database::{Database, Durability, Location};
use super::keyring::Keyring;
use super::past::either_way;
use super::sealing::{Kind, PeriodKey, RowPlace, Table};
use super::tests::{Folder, entry, everything, in_runtime, matched, number, on_each_engine};
use super::trace::look_up;
use super::{Entry, Options, RecordClass, Recorder, SiteKey, access, retention};
use crate::policy::past::Imprint;

const CLERK: &str = "clerk@wragby.gov.uk";
const ASHBY: &str = "ashby@gmail.com";
const TOLD: &[u8] = b"rule\0message\0person";
const DAY: i64 = 86_400_000;

/// Class, start of the period, as it is wrapped, as it is.
pub(super) type Key = (RecordClass, i64, Vec<u8>, zeroize::Zeroizing<[u8; 32]>);

/// What a copy of the databases holds: every sealed row, and every look-up hash.
struct Copy {
    rows: Vec<(RowPlace, Vec<u8>)>,
    hashes: BTreeSet<u64>,
    told: Vec<Vec<u8>>,
}

impl Copy {
    fn of(database: &Location, custody: &Location) -> Copy {
        let mut copy = Copy { rows: Vec::new(), hashes: BTreeSet::new(), told: Vec::new() };
        for (location, table, sql) in [
            (database, Table::Record, "SELECT id, class, period, sealed FROM record"),
            (database, Table::Access, "SELECT place, CAST(4 AS BIGINT), period, sealed FROM access_log"),
            (database, Table::Approval, "SELECT id, CAST(4 AS BIGINT), period, sealed FROM access_request"),
            (custody, Table::Content, "SELECT id, class, period, sealed FROM content"),
            (custody, Table::Sheet, "SELECT id, class, period, sealed FROM parcel"),
        ] {
            let mut db = Database::open(location, Durability::Full).unwrap();
            let before = copy.rows.len();
            db.statements()
                .each(sql, &[], &mut |row| {
                    let class = RecordClass::of(row.integer(1)?).unwrap();
                    let place = RowPlace { table, row: row.integer(0)?, class, period: row.integer(2)? };
                    copy.rows.push((place, row.octets(3)?.to_vec()));
                    Ok(())
                })
                .unwrap();
            assert!(copy.rows.len() > before, "{sql}");
        }
        let mut db = Database::open(database, Durability::Full).unwrap();
        for sql in ["SELECT hashes FROM batch", "SELECT members FROM circle"] {
            let batches = db.statements().all(sql, &[], |row| Ok(row.octets(0)?.to_vec())).unwrap();
            copy.hashes.extend(batches.iter().flat_map(|b| b.as_chunks::<8>().0).map(|h| u64::from_be_bytes(*h)));
        }
        for sql in ["SELECT hash FROM past", "SELECT hash FROM circle", "SELECT hash FROM rate"] {
            copy.hashes.extend(db.statements().all(sql, &[], |row| Ok(row.integer(0)?.cast_unsigned())).unwrap());
        }
        let mut db = Database::open(custody, Durability::Full).unwrap();
        copy.told = db.statements().all("SELECT hash FROM told", &[], |row| Ok(row.octets(0)?.to_vec())).unwrap();
        copy
    }

    /// Tries every key of a keyring on every row, in the row's own place and in the key's; and on every hash. Says how many rows open and
    /// how many of the things that are known of the mail can be looked up.
    fn tried_with(&self, keys: &[Key], known: &[(Kind, String)]) -> (usize, usize) {
        let (mut opened, mut matched) = (BTreeSet::new(), BTreeSet::new());
        for (class, starts, _, octets) in keys {
            let key = PeriodKey::new(octets);
            for (i, (place, sealed)) in self.rows.iter().enumerate() {
                let theirs = RowPlace { class: *class, period: *starts, ..*place };
                if [*place, theirs].iter().any(|place| key.open(place, &mut sealed.clone()).is_ok()) {
                    opened.insert(i);
                }
            }
            for (i, (kind, text)) in known.iter().enumerate() {
                let told = key.hash_16(*kind, text.as_bytes());
                if self.hashes.contains(&key.hash(*kind, text)) || self.told.iter().any(|t| t[..] == told) {
                    matched.insert(i);
                }
            }
        }
        (opened.len(), matched.len())
    }
}

/// What somebody who has the copy may know of the mail, and ask for.
fn known(entries: &[Entry]) -> Vec<(Kind, String)> {
    let mut known = vec![
        (Kind::Sender, CLERK.into()),
        (Kind::Recipient, ASHBY.into()),
        (Kind::Contact, either_way(CLERK, ASHBY)),
        (Kind::Told, String::from_utf8(TOLD.to_vec()).unwrap()),
    ];
    for entry in entries {
        known.push((Kind::MessageId, super::row::message_id_key(entry.message_id.as_deref().unwrap()).into()));
        known.push((Kind::Reference, super::row::reference_key(&entry.reference)));
    }
    known
}

/// One of everything, with a retention of two seconds.
fn written(folder: &Folder) -> (Options, Vec<(Kind, String)>) {
    let mut options = folder.options();
    let short = Duration::from_secs(2);
    options.retention = crate::config::settings::Retention { events: short, incidents: short, held: short, access: short, contacts: short };
    super::prepare(&options).unwrap();
    let mut entries: Vec<Entry> = (0..20).map(|_| entry(CLERK, &[ASHBY])).collect();
    for entry in &mut entries[10..] {
        entry.matches.push(matched("hide-recipients"));
    }
    let imprint =
        Imprint { message_id: Some("m".into()), sender: CLERK.into(), others: vec![ASHBY.into()], contact: true, ..Imprint::default() };
    entries[0].imprint = Some(Box::new(imprint));
    let known = known(&entries);
    in_runtime(async {
        let recorder = Recorder::start(&options).unwrap();
        for entry in entries {
            recorder.record(entry).unwrap();
        }
        recorder.flush().await.unwrap();
        recorder.stop();
    });
    look_up(&options, &everything(), "to see", "clerk").unwrap();
    let now = Timestamp::now().as_millisecond();
    access::requests::add(&options, access::tests::request(access::requests::State::Asked, Timestamp::now()), now).unwrap();
    let sheet =
        Sheet { recipients: vec![To { address: ASHBY.into(), parameters: String::new(), state: Default::default() }], ..Sheet::default() };
    let parcel = |state| NewParcel { id: None, state, due: now, ends: now + DAY, sheet: sheet.clone() };
    let deposit = |state, kind| Deposit {
        kind,
        content: b"Subject: Hedge\r\n\r\nMrs Ashby\r\n".to_vec(),
        parcels: vec![parcel(state)],
        told: vec![(TOLD.to_vec(), DAY)],
    };
    let mut custody = custody::open(&options).unwrap();
    custody.accept(&[deposit(State::Waiting, custody::Kind::Notice), deposit(State::Held, custody::Kind::Notice)], now).unwrap();
    (options, known)
}

/// Purges until nothing is left; custody by a clock that is far enough ahead.
fn purge(options: &Options) {
    let until = Instant::now() + Duration::from_secs(120);
    let left = || number(&options.keyring, "SELECT count(*) FROM key WHERE class IN (1, 2, 4, 6)");
    while left() > 0 {
        assert!(Instant::now() < until, "the keys did not die in time");
        retention::run(options, false).unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut custody = custody::open(options).unwrap();
    let purged = custody.purge(Timestamp::now().as_millisecond() + 40 * DAY).unwrap();
    assert_eq!((purged.notices, purged.told), (2, 1));
    assert!(purged.keys >= 2, "one for what waited and one for what was held");
}

#[test]
fn a_copy_from_before_the_purge_cannot_be_read_after_it() {
    on_each_engine(|| {
        let folder = Folder::new();
        let (options, known) = written(&folder);
        // The copy: files and their logs, byte for byte; of a server, its rows.
        let (copy, site) = match (options.database.file(), options.custody.file()) {
            (Some(database), Some(custody)) => {
                let copies = [database, custody].map(|file| copy_raw(file, &folder.path("copies")));
                (Copy::of(&copies[0], &copies[1]), SiteKey::read(&options.key_file).unwrap())
            }
            _ => (Copy::of(&options.database, &options.custody), SiteKey::read(&options.key_file).unwrap()),
        };
        assert_eq!(copy.rows.len(), 20 + 1 + 1 + 2 + 2);
        // Before: everything opens and everything can be looked up, so that the trials are worth something.
        let before = options.open_ring().unwrap().everything();
        assert_eq!(copy.tried_with(&before, &known), (copy.rows.len(), known.len()));
        let dropped: Vec<Vec<u8>> =
            before.iter().filter(|(class, ..)| class.has_periods()).map(|(_, _, wrapped, _)| wrapped.clone()).collect();
        assert!(dropped.len() >= 6);
        let old_ring = options.keyring.file().map(|ring| copy_raw(ring, &folder.path("copies")));

        purge(&options);

        for table in ["record", "batch", "access_log", "access_request", "past", "circle", "rate"] {
            assert_eq!(number(&options.database, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
        }
        for table in ["parcel", "content", "told"] {
            assert_eq!(number(&options.custody, &format!("SELECT count(*) FROM {table}")), 0, "{table}");
        }
        // The copy with the keyring of this day: nothing.
        let today = options.open_ring().unwrap().everything();
        assert!(!today.is_empty(), "the key that signs receipts is there, and is tried too");
        assert_eq!(copy.tried_with(&today, &known), (0, 0));
        // The copy with a copy of the keyring from before: all of it. That is why keyring backups are kept apart, and not for long.
        let old = old_ring.map_or(before, |old| Keyring::open(&old, &site).unwrap().everything());
        assert_eq!(copy.tried_with(&old, &known), (copy.rows.len(), known.len()));
        leaves_nothing(&options, &dropped);
    });
}

/// Copies a database's file with its log, if it has one.
fn copy_raw(file: &Path, folder: &Path) -> Location {
    std::fs::create_dir_all(folder).unwrap();
    let copy = folder.join(file.file_name().unwrap());
    std::fs::copy(file, &copy).unwrap();
    let log = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        std::path::PathBuf::from(name)
    };
    if log(file).exists() {
        std::fs::copy(log(file), log(&copy)).unwrap();
    }
    Location::Sqlite(copy)
}

/// Of the dropped keys' wrapped octets nothing is left where the keyring is.
fn leaves_nothing(options: &Options, dropped: &[Vec<u8>]) {
    let holds = |path: &Path| {
        let octets = std::fs::read(path).unwrap_or_default();
        dropped.iter().filter(|wrapped| memchr::memmem::find(&octets, wrapped).is_some()).count()
    };
    if let Some(ring) = options.keyring.file() {
        let left = std::fs::read_dir(ring.parent().unwrap()).unwrap().map(|f| holds(&f.unwrap().path())).sum::<usize>();
        assert_eq!(left, 0, "wrapped keys are left in the folder of the keyring");
        return;
    }
    #[cfg(feature = "postgres")]
    {
        let data = super::database::trial::shared().unwrap().settled();
        let all = |folder: &str| files(&data.join(folder)).iter().map(|f| holds(f)).sum::<usize>();
        assert_eq!(all("base"), 0, "wrapped keys are left in the tables' files");
        // What the server's own log keeps is its operator's: until it is recycled, and in every archive of it.
        assert!(all("pg_wal") > 0, "the search finds what is there");
    }
}

#[cfg(feature = "postgres")]
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for found in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = found.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}
