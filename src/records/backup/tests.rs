//! Backup beside a writer, restore elsewhere, from one engine to the other, and everything that is refused.

use std::cell::RefCell;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, ToSpan};

use super::make::make_watched;
use super::*;
use crate::policy::past::Imprint;
use crate::records::access::accesses;
use crate::records::custody::{self, Deposit, Kind, NewParcel, Sheet, State, Which};
use crate::records::database::{Database, Durability, Location};
use crate::records::tests::{Folder, entry, everything, in_runtime, matched, number, on_each_engine};
use crate::records::trace::{Question, look_up};
use crate::records::{Keeping, Options, Recorder, prepare, retention, rotation};

const CLERK: &str = "clerk@wragby.gov.uk";
const ASHBY: &str = "ashby@gmail.com";
const DAY: i64 = 86_400_000;
const LETTER: &[u8] = b"Subject: Hedge\r\n\r\nMrs Ashby\r\n";

fn deposit(state: State) -> Deposit {
    let now = Timestamp::now().as_millisecond();
    let parcel = NewParcel { id: None, state, due: now, ends: now + 5 * DAY, sheet: Sheet::default() };
    Deposit { kind: Kind::Mail, content: LETTER.to_vec(), parcels: vec![parcel], told: vec![(b"once".to_vec(), DAY)] }
}

/// Rows of every kind: 30 of mail, one look, one receipt, a pair in the index, one message that waits and one that is held.
fn filled(folder: &Folder) -> Options {
    let options = folder.prepared();
    in_runtime(async {
        let recorder = Recorder::start(&options).unwrap();
        for n in 0..30 {
            let mut entry = entry(CLERK, &[ASHBY]);
            if n % 3 == 0 {
                entry.matches.push(matched("hide-recipients"));
            }
            let imprint = Imprint {
                message_id: Some(format!("m{n}")),
                sender: CLERK.into(),
                others: vec![ASHBY.into()],
                contact: true,
                ..Imprint::default()
            };
            entry.imprint = Some(Box::new(imprint));
            recorder.record(entry).unwrap();
        }
        recorder.flush().await.unwrap();
        recorder.retention_run().await.unwrap();
        recorder.stop();
    });
    look_up(&options, &everything(), "before the backup", "clerk").unwrap();
    let mut custody = custody::open(&options).unwrap();
    custody.accept(&[deposit(State::Waiting), deposit(State::Held)], Timestamp::now().as_millisecond()).unwrap();
    options
}

/// Another machine: nothing but the copy of the key file.
fn elsewhere(folder: &Folder, key_file: &Path) -> Options {
    let options = folder.options();
    fs::create_dir_all(options.key_file.parent().unwrap()).unwrap();
    fs::copy(key_file, &options.key_file).unwrap();
    options
}

fn found(options: &Options) -> usize {
    let question = Question { recipient: Some(ASHBY.into()), ..everything() };
    let answer = look_up(options, &question, "test", "me").unwrap();
    assert_eq!(answer.unreadable, 0);
    answer.hits.len()
}

fn listed(options: &Options, state: State) -> Vec<i64> {
    let mut custody = custody::open(options).unwrap();
    custody.list(Which { kind: Kind::Mail, state, most: 100, due: None }).unwrap().iter().map(|p| p.id).collect()
}

fn count(location: &Location, sql: &str) -> i64 {
    number(location, sql)
}

const PLAIN: How = How { replace: false, resume: false, confirmed: false };
const REPLACE: How = How { replace: true, ..PLAIN };

#[test]
fn a_backup_beside_a_writer_is_of_one_moment_and_is_read_elsewhere() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = filled(&folder);
        let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
        let recorder = Recorder::start(&options).unwrap();
        let mut custody = custody::open(&options).unwrap();
        let mut meanwhile = 0;
        let made = make_watched(&options, &out, Some(&ring_out), Timestamp::now(), &mut |table| {
            // While the backup reads, mail is recorded and taken into custody, and a purge goes by.
            if table == "record" && meanwhile < 20 {
                let before = recorder.counters().written;
                recorder.record(entry(CLERK, &[ASHBY])).unwrap();
                let until = Instant::now() + Duration::from_secs(15);
                while recorder.counters().written == before {
                    assert!(Instant::now() < until, "the record waits for the backup");
                    std::thread::yield_now();
                }
                custody.accept(&[deposit(State::Waiting)], Timestamp::now().as_millisecond()).unwrap();
                if meanwhile == 0 {
                    retention::run(&options, false).unwrap();
                }
                meanwhile += 1;
            }
        })
        .unwrap();
        recorder.stop();
        drop(custody);
        assert_eq!(meanwhile, 20, "the backup did read while others wrote");
        assert_eq!(found(&options), 50);
        for folder in [&out, &ring_out] {
            assert_eq!(fs::metadata(folder).unwrap().mode() & 0o777, 0o700);
            for file in fs::read_dir(folder).unwrap() {
                let file = file.unwrap();
                assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
                let octets = fs::read(file.path()).unwrap();
                for clear in ["ashby", "clerk@", "Hedge"] {
                    assert!(memchr::memmem::find(&octets, clear.as_bytes()).is_none(), "{clear} in {:?}", file.path());
                }
            }
        }

        let other = Folder::new();
        let there = elsewhere(&other, &options.key_file);
        let restored = restore(&there, &out, Some(&ring_out), PLAIN, Timestamp::now()).unwrap();
        assert_eq!((restored.stopped, restored.held, restored.forgotten), (1, 1, 0));
        assert_eq!(restored.manifest, made.database);
        assert_eq!(found(&there), 30, "what came after the first moment is not in it");
        assert!(accesses(&there).unwrap().iter().any(|a| a.purpose == "before the backup"));
        assert_eq!(count(&there.database, "SELECT count(*) FROM past"), 1);
        assert_eq!(
            (listed(&there, State::Waiting).len(), listed(&there, State::Stopped).len(), listed(&there, State::Held).len()),
            (0, 1, 1)
        );
        let mut custody = custody::open(&there).unwrap();
        for state in [State::Stopped, State::Held] {
            assert_eq!(custody.content(listed(&there, state)[0]).unwrap().unwrap(), LETTER);
        }
        assert!(custody.is_told(b"once", Timestamp::now().as_millisecond()).unwrap());
        // The chain of receipts holds, and goes on.
        let verified = Keeping::open(&there).unwrap().verify_receipts().unwrap();
        assert!(verified.faults.is_empty() && verified.receipts >= 2, "{verified:?}");
        // It goes on as a gateway does, with numbers after those that are there.
        in_runtime(async {
            let recorder = Recorder::start(&there).unwrap();
            recorder.record(entry(CLERK, &[ASHBY])).unwrap();
            recorder.flush().await.unwrap();
        });
        assert_eq!(found(&there), 31);
        prepare(&there).unwrap();
    });
}

#[test]
fn a_site_moves_from_one_engine_to_the_other_and_back() {
    let all = RefCell::new(Vec::new());
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.options();
        all.borrow_mut().push((folder, options));
    });
    let all = all.into_inner();
    let [(_, sqlite), (_, server)] = &all[..] else { return };
    let folder = Folder::new();
    let options = filled(&folder);
    fs::create_dir_all(sqlite.key_file.parent().unwrap()).unwrap();
    fs::create_dir_all(server.key_file.parent().unwrap()).unwrap();
    let mut from = &options;
    for (n, to) in [server, sqlite, server].into_iter().enumerate() {
        fs::copy(&options.key_file, &to.key_file).unwrap();
        let [out, ring] = ["out", "ring"].map(|name| folder.path(&format!("{name}{n}")));
        make(from, &out, Some(&ring), Timestamp::now()).unwrap();
        restore(to, &out, Some(&ring), How { resume: true, ..REPLACE }, Timestamp::now()).unwrap();
        assert_eq!(found(to), 30, "{n}");
        assert_eq!((listed(to, State::Waiting).len(), listed(to, State::Held).len()), (1, 1));
        assert!(Keeping::open(to).unwrap().verify_receipts().unwrap().faults.is_empty());
        from = to;
    }
}

/// Each file cut short at many places, altered, taken away: refused, and nothing is changed.
#[test]
fn what_was_cut_short_or_altered_is_refused() {
    let folder = Folder::new();
    let options = filled(&folder);
    let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
    make(&options, &out, Some(&ring_out), Timestamp::now()).unwrap();
    let other = Folder::new();
    let there = elsewhere(&other, &options.key_file);
    let refused = |path: &Path, change: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        let whole = fs::read(path).unwrap();
        match change(whole.clone()) {
            Some(octets) => fs::write(path, octets).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        let told = restore(&there, &out, Some(&ring_out), PLAIN, Timestamp::now()).err().map(|e| e.to_string());
        fs::write(path, whole).unwrap();
        assert!(!there.database.may_be_there() && !there.custody.may_be_there() && !there.keyring.may_be_there(), "{path:?} {told:?}");
        assert_eq!(fs::read_dir(there.key_file.parent().unwrap()).unwrap().count(), 1, "only the key file is there");
        told.unwrap_or_else(|| panic!("{path:?} was taken for good"))
    };
    let record = out.join("record.rows");
    let shown = record.display();
    let was = fs::metadata(&record).unwrap().len();
    assert_eq!(
        refused(&record, &|o| Some(o[..o.len() - 1].to_vec())),
        format!(
            "{shown} is not as it was when the backup was made: it has {} octets, and had {was}. Nothing was changed; use another backup",
            was - 1
        )
    );
    assert_eq!(
        refused(&record, &|mut o| {
            o[500] ^= 1;
            Some(o)
        }),
        format!("{shown} is not as it was when the backup was made: its digest is another. Nothing was changed; use another backup")
    );
    assert_eq!(
        refused(&record, &|_| None),
        format!("{shown} is not as it was when the backup was made: it is not there. Nothing was changed; use another backup")
    );
    let manifest = out.join("manifest.json");
    assert_eq!(
        refused(&manifest, &|_| None),
        format!("{} holds no backup, or one that was cut short: it has no manifest. Nothing was changed", out.display())
    );
    // Whoever alters a file and its digest with it has no key to sign with.
    let said = refused(&manifest, &|o| Some(String::from_utf8(o).unwrap().replace("\"record\": 30", "\"record\": 29").into_bytes()));
    assert_eq!(
        said,
        format!(
            "{} is not as it was when the backup was made: its signature does not hold. Nothing was changed; use another backup",
            manifest.display()
        )
    );
    assert!(
        refused(&manifest, &|o| Some(String::from_utf8(o).unwrap().replace("\"format\": 1", "\"format\": 2").into_bytes()))
            .contains("newer version")
    );
    assert!(
        refused(&manifest, &|o| Some(String::from_utf8(o).unwrap().replace("custody.rows", "../x").into_bytes()))
            .contains("none of a backup's")
    );
    for folder in [&out, &ring_out] {
        for file in fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
            for part in 0..4 {
                refused(&file, &|o| Some(o[..o.len() * part / 4].to_vec()));
            }
        }
    }
    restore(&there, &out, Some(&ring_out), PLAIN, Timestamp::now()).unwrap();
    assert_eq!(found(&there), 30);
}

#[test]
fn what_is_refused_says_what_to_do_first() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = filled(&folder);
        let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
        let now = Timestamp::now();
        make(&options, &out, Some(&ring_out), now).unwrap();
        let says = |error: Option<Fault>, wanted: &str| assert_eq!(error.map(|e| e.to_string()).as_deref(), Some(wanted));
        let (shown, ring_shown) = (out.display(), ring_out.display());
        says(make(&options, &out, None, now).err(), &format!("{shown} is not empty: a backup goes into a folder of its own"));
        says(
            make(&options, &folder.path("a"), Some(&folder.path("a/b")), now).err(),
            &format!("{} is not empty: a backup goes into a folder of its own", folder.path("a").display()),
        );
        let again = |from: &Path, ring: Option<&Path>, how, now| restore(&options, from, ring, how, now).err();
        says(again(&out, None, PLAIN, now), &format!("{} is there already. To put the backup in its place: --replace", options.database));
        says(
            again(&ring_out, None, REPLACE, now),
            &format!("{ring_shown} holds a backup of the keyring; this needs one of the database. Nothing was changed"),
        );
        says(
            again(&out, Some(&out), REPLACE, now),
            &format!("{shown} holds a backup of the database; this needs one of the keyring. Nothing was changed"),
        );
        let early = now - 2.hours();
        says(
            again(&out, None, REPLACE, early),
            &format!(
                "the clock says {early}, and the backup was made at {now}: the clock is behind. Set it right first; nothing was changed"
            ),
        );
        let late = now + SignedDuration::from_hours(24 * 40);
        says(
            again(&out, None, REPLACE, late),
            &format!(
                "by the clock ({late}) the backup is 40 days old, and what has expired since is deleted at once, with its keys. If the clock is right: --confirm. Nothing was changed"
            ),
        );
        let held_open = Database::open(&options.database, Durability::Full).unwrap();
        let mut held_open = held_open;
        held_open.statements().number("SELECT count(*) FROM record", &[]).unwrap();
        says(again(&out, None, REPLACE, now), &format!("{} is in use: stop the gateway first. Nothing was changed", options.database));
        drop(held_open);
        assert_eq!(found(&options), 30);

        let other = Folder::new();
        let there = other.options();
        says(
            restore(&there, &out, Some(&ring_out), PLAIN, now).err(),
            &format!("there is no key file {}. Put the copy of it there first, mode 600: it is in no backup", there.key_file.display()),
        );
        let there = elsewhere(&other, &options.key_file);
        says(
            restore(&there, &out, None, PLAIN, now).err(),
            &format!("there is no keyring {}: name its backup with --keyring-from", there.keyring),
        );
        // Another site's gateway.
        let strange = Folder::new();
        let others = filled(&strange);
        says(
            restore(&others, &out, None, REPLACE, now).err(),
            &format!("the backup in {shown} is of another site than the keyring. Nothing was changed"),
        );
        assert_eq!(found(&others), 30);
        // The site key was changed since: the keyring's backup needs the one of its day.
        let old_key = folder.path("old.key");
        fs::copy(&options.key_file, &old_key).unwrap();
        rotation::rotate(&options).unwrap();
        let wrong = elsewhere(&other, &options.key_file);
        assert!(matches!(restore(&wrong, &out, Some(&ring_out), REPLACE, now), Err(Fault::Store(StoreError::WrongKey { .. }))));
        let right = elsewhere(&other, &old_key);
        restore(&right, &out, Some(&ring_out), REPLACE, now).unwrap();
        // The database alone needs the keyring that is there, whatever its site key.
        restore(&options, &out, None, REPLACE, now).unwrap();
        assert_eq!(found(&options), 30);
    });
}

#[test]
fn who_was_forgotten_since_is_forgotten_again() {
    on_each_engine(|| {
        for with_keyring in [false, true] {
            let folder = Folder::new();
            let options = filled(&folder);
            let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
            make(&options, &out, Some(&ring_out), Timestamp::now()).unwrap();
            let erased = Keeping::open(&options).unwrap().erase(ASHBY, &[CLERK.into()], Timestamp::now().as_millisecond()).unwrap();
            assert_eq!(erased.rows_cleared, 30);
            let restored = restore(&options, &out, with_keyring.then_some(&ring_out), REPLACE, Timestamp::now()).unwrap();
            assert_eq!((restored.forgotten, restored.with_keyring), (1, with_keyring));
            assert_eq!(found(&options), 0);
            assert_eq!(count(&options.database, "SELECT count(*) FROM record"), 30, "they are still the Clerk's");
            assert_eq!(restore(&options, &out, None, REPLACE, Timestamp::now()).unwrap().forgotten, 1, "however often");
        }
    });
}

#[test]
fn what_has_expired_since_goes_before_anything_is_served() {
    on_each_engine(|| {
        let folder = Folder::new();
        let mut options = folder.options();
        options.retention.events = Duration::from_secs(2);
        prepare(&options).unwrap();
        in_runtime(async {
            let recorder = Recorder::start(&options).unwrap();
            recorder.record(entry(CLERK, &[ASHBY])).unwrap();
            let mut kept = entry(CLERK, &[ASHBY]);
            kept.matches.push(matched("r"));
            recorder.record(kept).unwrap();
            recorder.flush().await.unwrap();
            recorder.stop();
        });
        let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
        make(&options, &out, Some(&ring_out), Timestamp::now()).unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        while count(&options.keyring, "SELECT count(*) FROM key WHERE class = 1") > 0 {
            assert!(Instant::now() < until);
            retention::run(&options, false).unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        // Without its key it is no more than noise, and goes.
        restore(&options, &out, None, REPLACE, Timestamp::now()).unwrap();
        assert_eq!((found(&options), count(&options.database, "SELECT count(*) FROM record WHERE class = 1")), (1, 0));
        // With a keyring from before it could be read, and goes with its key.
        let restored = restore(&options, &out, Some(&ring_out), REPLACE, Timestamp::now()).unwrap();
        assert_eq!(restored.receipt.classes[0].rows, 1);
        assert_eq!((found(&options), count(&options.keyring, "SELECT count(*) FROM key WHERE class = 1")), (1, 0));
    });
}

#[test]
fn half_a_backup_is_none() {
    let folder = Folder::new();
    let options = filled(&folder);
    let [out, ring_out] = ["backup", "ring-backup"].map(|name| folder.path(name));
    let mut db = Database::open(&options.database, Durability::Full).unwrap();
    db.statements().execute("UPDATE record SET sealed = 'text' WHERE id = (SELECT max(id) FROM record)", &[]).unwrap();
    assert!(matches!(make(&options, &out, Some(&ring_out), Timestamp::now()), Err(Fault::Store(StoreError::Damaged))));
    for folder in [&out, &ring_out] {
        assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    }
}

#[test]
fn a_restore_that_was_cut_short_can_be_begun_again() {
    let folder = Folder::new();
    let options = filled(&folder);
    let out = folder.path("backup");
    make(&options, &out, None, Timestamp::now()).unwrap();
    // Made and not named yet: what is left of it is in nobody's way.
    fs::write(folder.path("data/lychgate.db.restored"), b"half").unwrap();
    fs::set_permissions(folder.path("data/lychgate.db.restored"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(options.database.file().unwrap()).unwrap();
    assert!(matches!(prepare(&options), Err(StoreError::KeyWithoutDatabase { .. })));
    restore(&options, &out, None, REPLACE, Timestamp::now()).unwrap();
    assert_eq!(found(&options), 30);
    assert!(!folder.path("data/lychgate.db.restored").exists());
}
