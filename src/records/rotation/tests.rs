//! A change of the site key: whole, cut short anywhere, under a gateway that runs, and on two machines.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use jiff::ToSpan;

use super::*;
use crate::records::database::Location;
use crate::records::tests::{Folder, entry, everything, in_runtime, on_each_engine};
use crate::records::trace::{Question, look_up};
use crate::records::{Recorder, SiteKey, prepare};

const DAY: Duration = Duration::from_secs(86_400);

/// A record with so many rows.
fn written(folder: &Folder, rows: usize) -> Options {
    let options = folder.prepared();
    write(&options, rows);
    options
}

fn write(options: &Options, rows: usize) {
    in_runtime(async {
        let recorder = Recorder::start(options).unwrap();
        for _ in 0..rows {
            recorder.record(entry("clerk@wragby.gov.uk", &["ashby@gmail.com"])).unwrap();
        }
        recorder.flush().await.unwrap();
        recorder.stop();
    });
}

fn found(options: &Options) -> usize {
    let question = Question { recipient: Some("ashby@gmail.com".into()), ..everything() };
    look_up(options, &question, "test", "me").unwrap().hits.len()
}

fn print_of(options: &Options) -> Print {
    SiteKey::read(&options.key_file).unwrap().print()
}

/// The wrapped keys and the proof, as they stand.
fn wrapped(options: &Options) -> Vec<Vec<u8>> {
    let mut db = Database::open(&options.keyring, Durability::Final).unwrap();
    db.statements().all("SELECT wrapped FROM key UNION ALL SELECT wrapped FROM proof", &[], |row| Ok(row.octets(0)?.to_vec())).unwrap()
}

#[test]
fn all_opens_under_the_new_key_and_nothing_is_left_of_the_old() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = written(&folder, 5);
        assert_eq!(found(&options), 5);
        let (before, old, copy) = (wrapped(&options), print_of(&options), folder.path("copy"));
        std::fs::copy(&options.key_file, &copy).unwrap();
        let rotated = rotate(&options).unwrap();
        assert_eq!((rotated.before, rotated.print, rotated.damaged), (old, print_of(&options), 0));
        assert_eq!(rotated.keys as usize, before.len() - 1);
        assert_eq!(found(&options), 5);
        let after = wrapped(&options);
        assert_eq!(after.len(), before.len());
        assert!(after.iter().all(|w| !before.contains(w)));
        if let Some(ring) = options.keyring.file() {
            let file = std::fs::read(ring).unwrap();
            assert!(after.iter().all(|w| memchr::memmem::find(&file, w).is_some()), "the search finds what is there");
            assert!(before.iter().all(|w| memchr::memmem::find(&file, w).is_none()), "the old wrapping is still in the file");
        }
        assert!(!new_path(&options.key_file).exists());
        assert_eq!(std::fs::metadata(&options.key_file).unwrap().permissions().mode() & 0o777, 0o600);
        // The old key is known for what it is.
        let told = Keyring::of(&options.keyring, &copy).err().unwrap().to_string();
        let (since, copy) = (overview(&options).unwrap().since, copy.display());
        assert_eq!(
            told,
            format!(
                "the site key was changed on {since}: the key file {copy} holds an earlier one (print {old}; {} is in force). Copy the key file from where `lychgate keys rotate` was run; a gateway that runs takes it up by itself",
                rotated.print
            )
        );
        // And as often as somebody likes.
        assert_eq!(rotate(&options).unwrap().before, rotated.print);
        assert_eq!(found(&options), 5);
    });
}

#[test]
fn a_crash_anywhere_leaves_a_pair_that_opens() {
    on_each_engine(|| {
        for (crash, settled) in
            [(Step::Written, Some(Settled::Undone)), (Step::Rewrapped, Some(Settled::Finished)), (Step::Rewritten, Some(Settled::Finished))]
        {
            let folder = Folder::new();
            let options = written(&folder, 3);
            let before = print_of(&options);
            let stopped = rotate_until(&options, &mut |step| if step == crash { Err(StoreError::Stopped) } else { Ok(()) });
            assert!(matches!(stopped, Err(StoreError::Stopped)), "{crash:?}");
            assert!(new_path(&options.key_file).exists());
            // Whoever comes before the next start reads all of it.
            assert_eq!(found(&options), 3, "{crash:?}");
            write(&options, 1);
            assert_eq!(settle(&options).unwrap(), settled, "{crash:?}");
            assert_eq!(settle(&options).unwrap(), None);
            assert!(!new_path(&options.key_file).exists());
            assert_eq!(print_of(&options) != before, settled == Some(Settled::Finished));
            prepare(&options).unwrap();
            assert_eq!(found(&options), 4, "{crash:?}");
            rotate(&options).unwrap();
            assert_eq!(found(&options), 4);
        }
    });
}

#[test]
fn a_key_file_whose_writing_was_cut_short_stands_in_nobodys_way() {
    let folder = Folder::new();
    let options = written(&folder, 1);
    let new = new_path(&options.key_file);
    std::fs::write(&new, b"cut").unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    prepare(&options).unwrap();
    assert!(!new.exists());
    std::fs::write(&new, b"").unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    rotate(&options).unwrap();
    assert_eq!(found(&options), 1);
}

#[test]
fn a_gateway_that_runs_goes_on() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let write = async |days: i64| {
                let mut entry = entry("clerk@wragby.gov.uk", &["ashby@gmail.com"]);
                entry.time -= (days * 24).hours();
                recorder.record(entry).unwrap();
                recorder.flush().await.unwrap();
            };
            write(0).await;
            let mut reader = options.open_ring().unwrap();
            rotate(&options).unwrap();
            // Under a key that it had unwrapped, and under one that it makes now.
            write(0).await;
            write(1).await;
            assert_eq!(found(&options), 3);
            // Another that had unwrapped nothing yet.
            assert_eq!(reader.periods(RecordClass::Events, i64::MIN, i64::MAX).unwrap().len(), 2);
            rotate(&options).unwrap();
            write(2).await;
            reader.named(RecordClass::Holds, 7).unwrap();
            let now = Timestamp::now();
            let question = Question {
                recipient: Some("ashby@gmail.com".into()),
                since: now - 96.hours(),
                until: now + 1.hours(),
                ..Question::default()
            };
            assert_eq!(look_up(&options, &question, "test", "me").unwrap().hits.len(), 4);
            assert!(options.open_ring().unwrap().named_if_there(RecordClass::Holds, 7).unwrap().is_some());
            assert_eq!(recorder.counters().lost, 0);
        })
    });
}

#[test]
fn another_machine_waits_for_the_key_file_to_be_carried_there() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = written(&folder, 1);
        let there = Options { key_file: folder.path("there.key"), ..options.clone() };
        std::fs::copy(&options.key_file, &there.key_file).unwrap();
        let mut ring = there.open_ring().unwrap();
        let day = 86_400_000;
        ring.at(RecordClass::Events, 100 * day, 30 * DAY).unwrap();
        let rotated = rotate(&options).unwrap();
        // What it has unwrapped serves on.
        ring.at(RecordClass::Events, 100 * day + 5, 30 * DAY).unwrap();
        for _ in 0..2 {
            let refused = ring.at(RecordClass::Events, 101 * day, 30 * DAY).err().unwrap();
            assert!(
                matches!(&refused, StoreError::KeyChanged { print, wanted, .. } if (*print, *wanted) == (rotated.before, rotated.print))
            );
            assert!(refused.may_pass(), "what waits to be written waits on");
        }
        // It does not take what it cannot open for what is not there.
        assert!(matches!(ring.periods(RecordClass::Events, i64::MIN, i64::MAX), Err(StoreError::KeyChanged { .. })));
        assert!(matches!(there.open_ring().err(), Some(StoreError::KeyChanged { .. })));
        assert!(matches!(rotate(&there), Err(StoreError::KeyChanged { .. })));
        std::fs::copy(&options.key_file, &there.key_file).unwrap();
        ring.at(RecordClass::Events, 101 * day, 30 * DAY).unwrap();
        assert!(there.open_ring().unwrap().is_there(RecordClass::Events, 101 * day).unwrap());
    });
}

#[test]
fn a_damaged_key_is_counted_and_left() {
    let folder = Folder::new();
    let options = written(&folder, 2);
    let mut db = Database::open(&options.keyring, Durability::Final).unwrap();
    db.statements()
        .execute("INSERT INTO key (class, starts, until, expires, wrapped) VALUES (1, 5, 6, 7, ?1)", values![&vec![1u8; 60]])
        .unwrap();
    drop(db);
    let rotated = rotate(&options).unwrap();
    assert_eq!(rotated.damaged, 1);
    assert_eq!(found(&options), 2);
}

#[test]
fn a_link_to_the_key_file_stays_a_link() {
    let folder = Folder::new();
    let options = written(&folder, 1);
    let link = Options { key_file: folder.path("link.key"), ..options.clone() };
    std::os::unix::fs::symlink(&options.key_file, &link.key_file).unwrap();
    let rotated = rotate(&link).unwrap();
    assert!(std::fs::symlink_metadata(&link.key_file).unwrap().is_symlink());
    assert_eq!((print_of(&options), found(&link)), (rotated.print, 1));
}

/// What is said of each way in which key and keyring can be wrong, in full.
#[test]
fn what_is_wrong_with_key_and_keyring_is_said_in_words() {
    let folder = Folder::new();
    let options = written(&folder, 20);
    // The key of the access log is made with the first look.
    assert_eq!(found(&options), 20);
    let other = Folder::new();
    let others = written(&other, 1);
    let (key, ring) = (options.key_file.clone(), options.keyring.file().unwrap().to_owned());
    let (key_is, ring_is) = (key.display().to_string(), ring.display().to_string());
    let kept = [&key, &ring].map(|path| std::fs::read(path).unwrap());
    let says = |change: &dyn Fn(), wanted: String| {
        change();
        let told = [prepare(&options).err(), Recorder::start(&options).err(), overview(&options).err(), rotate(&options).err()];
        assert_eq!(told.map(|e| e.map(|e| e.to_string())), [0; 4].map(|_| Some(wanted.clone())));
        let _ = std::fs::remove_file(&ring);
        for (path, octets) in [&key, &ring].into_iter().zip(&kept) {
            std::fs::write(path, octets).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(found(&options), 20);
    };
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let database = &options.database;
    says(
        &|| std::fs::remove_file(&key).unwrap(),
        format!(
            "the database {database} is there, but its key file {key_is} is not. Restore the key file: without it the record cannot be read"
        ),
    );
    says(&|| mode(&key, 0o640), format!("the key file {key_is} can be read by others (mode 640). Run: chmod 600 {key_is}"));
    says(&|| mode(&ring, 0o644), format!("the keyring {ring_is} can be read by others (mode 644). Run: chmod 600 {ring_is}"));
    says(&|| std::fs::write(&key, b"password").unwrap(), format!("the key file {key_is} is not 32 octets in base64"));
    says(
        &|| {
            std::fs::copy(&others.key_file, &key).unwrap();
        },
        format!(
            "the keyring {ring_is} does not belong to the key file {key_is} (print {}; it wants {}). First look whether both come from the same site and the same backup; then put the key file back that belongs to it",
            print_of(&others),
            print_of(&options)
        ),
    );
    says(
        &|| {
            std::fs::copy(&others.key_file, &key).unwrap();
            std::fs::copy(others.keyring.file().unwrap(), &ring).unwrap();
        },
        format!(
            "the keyring {ring_is} and the database {database} belong to different sites. First look which of the two was put in the wrong place; nothing was changed"
        ),
    );
    says(
        &|| std::fs::remove_file(&ring).unwrap(),
        format!("the keyring {ring_is} is missing. Restore it together with the key file: without it the record cannot be read"),
    );
    let damaged = format!(
        "the keyring {ring_is} is damaged: cut short, or no keyring. Stop the gateway and put the latest copy of it back; the database may stay as it is"
    );
    let length = kept[1].len();
    for cut in [0, 50, 4096, length / 2, length - 4096, length - 1] {
        says(&|| std::fs::write(&ring, &kept[1][..cut]).unwrap(), damaged.clone());
    }
    says(&|| std::fs::write(&ring, [7; 9000]).unwrap(), damaged.clone());
}

#[test]
fn what_the_keyring_holds_is_shown_without_a_key() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = written(&folder, 1);
        options.open_ring().unwrap().named(RecordClass::Holds, 3).unwrap();
        let overview = overview(&options).unwrap();
        assert_eq!(overview.print, print_of(&options).to_string());
        let of = |class: &str| overview.keys.iter().find(|k| k.class == class).cloned().unwrap();
        let events = of("events");
        let (starts, until, expires) = (events.starts.unwrap(), events.until.unwrap(), events.expires.unwrap());
        assert_eq!((until - starts).total(jiff::Unit::Hour).unwrap(), 24.0);
        assert_eq!((expires - until).total(jiff::Unit::Hour).unwrap(), 90.0 * 24.0);
        assert_eq!((of("holds").starts, of("holds").expires), (None, None));
        // Neither a wrapped key nor anything of the site key.
        let shown = format!("{}{overview:?}", serde_json::to_string(&overview).unwrap());
        let key = std::fs::read_to_string(&options.key_file).unwrap();
        assert!(!shown.contains(key.trim()));
        for wrapped in wrapped(&options) {
            let hex: String = wrapped[12..20].iter().map(|b| format!("{b:02x}")).collect();
            assert!(!shown.contains(&hex));
        }
    });
}

#[test]
fn nothing_secret_shows_in_debug() {
    let key = SiteKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "SiteKey(…)");
    let server = crate::records::database::Server {
        password: Some(zeroize::Zeroizing::new("secret".into())),
        ..crate::records::database::Server::new("postgres://me:secret@db.example/ring?sslmode=require")
    };
    assert_eq!(format!("{:?}", Location::Postgres(std::sync::Arc::new(server))), "postgres://db.example/ring");
}
