//! A keyring of another day or another site.

use std::time::Duration;

use jiff::ToSpan;

use super::*;
use crate::records::custody::{self, Deposit, Kind, NewParcel, Sheet, State};
use crate::records::database::Location;
use crate::records::tests::{Folder, entry, in_runtime, number, on_each_engine};
use crate::records::{Recorder, StoreError, prepare};

const DAY: i64 = 86_400_000;

/// A row of so many days ago for each, and a message in custody.
fn written(options: &Options, days: &[i64]) {
    in_runtime(async {
        let recorder = Recorder::start(options).unwrap();
        for days in days {
            let mut entry = entry("clerk@wragby.gov.uk", &["ashby@gmail.com"]);
            entry.time -= (days * 24).hours();
            recorder.record(entry).unwrap();
        }
        recorder.flush().await.unwrap();
        recorder.stop();
    });
}

fn drop_keys(options: &Options, which: &str) {
    let mut ring = Database::open(&options.keyring, Durability::Final).unwrap();
    assert!(ring.statements().execute(&format!("DELETE FROM key WHERE {which}"), &[]).unwrap() > 0);
}

fn count(location: &Location, sql: &str) -> i64 {
    number(location, sql)
}

#[test]
fn a_keyring_older_than_the_database_is_refused_until_the_loss_is_accepted() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        written(&options, &[0, 1, 1, 3]);
        let now = Timestamp::now().as_millisecond();
        let mut custody = custody::open(&options).unwrap();
        let parcel = NewParcel { id: None, state: State::Waiting, due: now, ends: now + DAY, sheet: Sheet::default() };
        let deposit = Deposit { kind: Kind::Mail, content: b"Subject: x\r\n\r\n".to_vec(), parcels: vec![parcel], told: Vec::new() };
        custody.accept(&[deposit], now).unwrap();
        drop(custody);
        prepare(&options).unwrap();
        // As it was the day before yesterday.
        let since = (now / DAY - 1) * DAY;
        drop_keys(&options, &format!("starts >= {since}"));
        let told = prepare(&options).unwrap_err().to_string();
        let (ring, database) = (&options.keyring, &options.database);
        let since = Timestamp::from_millisecond(since).unwrap();
        assert_eq!(
            told,
            format!(
                "the keyring {ring} is older than the database {database}: it lacks the keys of 3 periods since {since}, so that 4 rows cannot be read. Was it restored from a backup? Put the latest keyring back. If there is none: lychgate keys accept-loss --reason TEXT"
            )
        );
        assert_eq!(count(&options.custody, "SELECT count(*) FROM parcel WHERE state = 1"), 1, "nothing is given up by looking");
        assert_eq!(count(&options.database, "SELECT count(*) FROM record"), 4);
        assert_eq!(accept_loss(&options, now).unwrap(), GivenUp { periods: 3, rows: 3, parcels: 1 });
        assert_eq!(count(&options.database, "SELECT count(*) FROM record"), 1);
        assert_eq!(count(&options.custody, "SELECT count(*) FROM parcel WHERE state = 4"), 1, "it is listed");
        prepare(&options).unwrap();
        assert_eq!(accept_loss(&options, now).unwrap(), GivenUp::default());
        written(&options, &[0]);
        prepare(&options).unwrap();
    });
}

#[test]
fn what_has_expired_needs_no_key() {
    on_each_engine(|| {
        let folder = Folder::new();
        let mut options = folder.prepared();
        written(&options, &[0, 40]);
        // The purge of another copy has dropped it on time; this database was restored from before.
        drop_keys(&options, &format!("class = 1 AND until <= {}", Timestamp::now().as_millisecond() - 30 * DAY));
        assert!(matches!(prepare(&options), Err(StoreError::RingOlder { periods: 1, rows: 1, .. })));
        options.retention.events = Duration::from_secs(30 * 86_400);
        prepare(&options).unwrap();
        assert_eq!(count(&options.database, "SELECT count(*) FROM batch"), 1, "the index that no purge would come by has gone");
    });
}

#[test]
fn a_database_of_before_gets_its_name_when_the_keyring_fits() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        written(&options, &[0]);
        let unname = || {
            let mut db = Database::open(&options.database, Durability::Full).unwrap();
            assert_eq!(db.statements().execute("DELETE FROM belongs", &[]).unwrap(), 1);
        };
        unname();
        prepare(&options).unwrap();
        assert_eq!(count(&options.database, "SELECT count(*) FROM belongs"), 1);
        unname();
        drop_keys(&options, "class = 1");
        assert!(matches!(prepare(&options), Err(StoreError::RingOlder { .. })));
        assert_eq!(count(&options.database, "SELECT count(*) FROM belongs"), 0, "a keyring that does not fit names nothing");
    });
}
