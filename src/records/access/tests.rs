//! The chain, broken in every way that somebody with the database could think of.

use jiff::{SignedDuration, Timestamp};

use super::chain::Why;
use super::requests::{CODE_GOOD, CODES, GOOD, Party, Refused, Request, State, TRIES};
use super::*;
use crate::records::database::{Durability, Value};
use crate::records::tests::{Folder, number, on_each_engine};
use crate::records::{Keeping, backup, retention, site};

/// A log with so many entries.
fn logged(options: &Options, entries: usize) {
    for n in 0..entries {
        let about = Question { reference: Some(format!("LG-{n}")), ..Question::default() };
        log(options, &about, "test", "me").unwrap();
    }
}

pub(crate) fn execute(options: &Options, sql: &str, values: &[Value<'_>]) {
    let mut db = Database::open(&options.database, Durability::Full).unwrap();
    db.statements().execute(sql, values).unwrap();
}

fn in_ring(options: &Options, sql: &str) {
    Database::open(&options.keyring, Durability::Final).unwrap().statements().execute(sql, &[]).unwrap();
}

/// The breaks: kind, first, last.
fn breaks(options: &Options) -> Vec<(Kind, i64, i64)> {
    verify(options).unwrap().breaks.iter().map(|b| (b.kind, b.first, b.last)).collect()
}

#[test]
fn a_log_that_nobody_touched_holds() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        let empty = verify(&options).unwrap();
        assert_eq!((empty.entries, empty.breaks.len(), empty.notes.len()), (0, 0, 0));
        logged(&options, 7);
        let good = verify(&options).unwrap();
        assert_eq!((good.entries, good.first, good.last, good.breaks.len(), good.notes.len()), (7, 1, 7, 0, 0));
        assert_eq!(good.head.len(), 64);
        log(&options, &Question::default(), "another", Identity::Signed("clerk@wragby.gov.uk".into())).unwrap();
        let more = verify(&options).unwrap();
        assert!(more.head != good.head && more.breaks.is_empty() && more.last == 8);
        let all = entries(&options, Timestamp::MIN).unwrap();
        assert_eq!(all.iter().map(|e| e.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(all[0].access.identity, Some(Identity::Terminal { user: "me".into(), stated: None }));
        assert_eq!(all[7].access.identity, Some(Identity::Signed("clerk@wragby.gov.uk".into())));
    });
}

#[test]
fn whatever_is_done_to_it_shows_and_where() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 9);
        let copy = |n: i64| {
            let mut db = Database::open(&options.database, Durability::Full).unwrap();
            let sql = "SELECT place, period, expires, sealed, digest FROM access_log WHERE number = ?1";
            let read = |r: &dyn Row| Ok((r.integer(0)?, r.integer(1)?, r.integer(2)?, r.octets(3)?.to_vec(), r.octets(4)?.to_vec()));
            db.statements().first(sql, values![n], read).unwrap().unwrap()
        };
        let back = |n: i64, (place, period, expires, sealed, digest): &(i64, i64, i64, Vec<u8>, Vec<u8>)| {
            execute(&options, "DELETE FROM access_log WHERE number = ?1", values![n]);
            let insert = "INSERT INTO access_log (number, place, period, expires, sealed, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            execute(&options, insert, values![n, *place, *period, *expires, sealed, digest]);
        };
        let (third, fourth, fifth) = (copy(3), copy(4), copy(5));

        // An octet of an entry.
        let mut altered = third.clone();
        altered.3[20] ^= 1;
        back(3, &altered);
        assert_eq!(breaks(&options), [(Kind::Altered, 3, 3)]);
        assert_eq!(verify(&options).unwrap().breaks[0].says, "Entry 3 is not what was written.");
        back(3, &third);

        // Two that are taken out.
        execute(&options, "DELETE FROM access_log WHERE number IN (4, 5)", &[]);
        assert_eq!(breaks(&options), [(Kind::Missing, 4, 5)]);
        back(4, &fourth);
        back(5, &fifth);
        assert_eq!(breaks(&options), []);

        // Two that change places, and two that lend each other what is under their seals.
        back(3, &fourth);
        back(4, &third);
        assert_eq!(breaks(&options), [(Kind::Reordered, 3, 5)]);
        back(3, &(third.0, third.1, third.2, fourth.3.clone(), third.4.clone()));
        back(4, &(fourth.0, fourth.1, fourth.2, third.3.clone(), fourth.4.clone()));
        assert_eq!(breaks(&options), [(Kind::Altered, 3, 4)]);
        back(3, &third);
        back(4, &fourth);

        // One that is put where another was, with every digest behind it made anew: the keyring knows better.
        execute(&options, "DELETE FROM access_log WHERE number = 9", &[]);
        let gone = copy(8);
        execute(&options, "DELETE FROM access_log WHERE number = 8", &[]);
        let mut db = Database::open(&options.database, Durability::Full).unwrap();
        db.transaction(|tx| {
            tx.execute("UPDATE access_log SET digest = NULL", &[])?;
            chain::relink(tx)
        })
        .unwrap();
        assert_eq!(breaks(&options), [(Kind::OlderDatabase, 8, 9)]);
        back(8, &gone);
        assert_eq!(breaks(&options), [(Kind::OlderDatabase, 9, 9)]);
    });
}

#[test]
fn a_chain_that_is_made_anew_is_not_the_one_that_the_keyring_knows() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 5);
        // One is taken out, the rest is numbered and linked anew, and one of the same length follows.
        let mut db = Database::open(&options.database, Durability::Full).unwrap();
        db.transaction(|tx| {
            tx.execute("DELETE FROM access_log WHERE number = 2", &[])?;
            for n in 3..=5 {
                tx.execute("UPDATE access_log SET number = ?2 WHERE number = ?1", values![n, n - 1])?;
            }
            tx.execute("UPDATE access_log SET digest = NULL", &[])?;
            chain::relink(tx)
        })
        .unwrap();
        drop(db);
        assert_eq!(breaks(&options), [(Kind::Reordered, 2, 4), (Kind::OlderDatabase, 5, 5)]);
    });
}

#[test]
fn what_is_cut_off_at_the_end_shows_and_stays_to_be_seen() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 6);
        execute(&options, "DELETE FROM access_log WHERE number >= 5", &[]);
        assert_eq!(breaks(&options), [(Kind::CutOff, 5, 6)]);
        // By somebody who knows the second table.
        execute(&options, "UPDATE access_chain SET number = 4", &[]);
        assert_eq!(breaks(&options), [(Kind::OlderDatabase, 5, 6)]);
        // The log goes on behind the gap, which nothing heals.
        logged(&options, 2);
        assert_eq!(breaks(&options), [(Kind::Missing, 5, 6)]);
        assert_eq!(verify(&options).unwrap().last, 8);
        // Not even all of it.
        execute(&options, "DELETE FROM access_log", &[]);
        assert_eq!(breaks(&options), [(Kind::CutOff, 1, 8)]);
    });
}

#[test]
fn a_crash_leaves_the_database_ahead_by_one_entry_and_never_the_keyring() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 3);
        let head = || number(&options.keyring, "SELECT number FROM access_head");
        let (_, ring) = open(&options).unwrap();
        let before = ring.access_head().unwrap().unwrap();
        logged(&options, 1);
        // As it is when the power fails between the two commits.
        let set_back = |n: i64| {
            let mut db = Database::open(&options.keyring, Durability::Final).unwrap();
            db.statements().execute("UPDATE access_head SET number = ?1, digest = ?2", values![n, &before.digest[..]]).unwrap();
        };
        set_back(3);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.breaks.len(), verified.last, verified.notes.len()), (0, 4, 1), "{verified:?}");
        assert!(verified.notes[0].contains("Entry 4 is not known to the keyring yet"), "{verified:?}");
        // The next one settles it first.
        logged(&options, 1);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.breaks.len(), verified.last, verified.notes.len(), head()), (0, 5, 0, 5), "{verified:?}");
        // A keyring that is older by more than that was put back by somebody, and the log says so for good.
        set_back(3);
        assert_eq!(breaks(&options), [(Kind::OlderKeyring, 4, 5)]);
        logged(&options, 1);
        assert_eq!(breaks(&options), [(Kind::OlderKeyring, 4, 5)]);
        assert_eq!(head(), 6);
    });
}

#[test]
fn entries_that_did_not_come_from_here_show() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 3);
        let (mut db, ring) = open(&options).unwrap();
        let head = ring.access_head().unwrap().unwrap();
        // Linked as it should be; but nobody without the key can seal.
        let forged = vec![7; 120];
        let starts = number(&options.database, "SELECT max(period) FROM access_log");
        let digest = head.next(4, 4, starts, &forged).digest;
        let insert = "INSERT INTO access_log (number, place, period, expires, sealed, digest) VALUES (4, 4, ?1, ?2, ?3, ?4)";
        db.statements().execute(insert, values![starts, i64::MAX, &forged, &digest[..]]).unwrap();
        assert_eq!(breaks(&options), [(Kind::Altered, 4, 4)]);
        // Nor is what does not follow taken for a part of it later.
        db.statements().execute("UPDATE access_log SET digest = ?1 WHERE number = 4", values![&[1u8; 32][..]]).unwrap();
        logged(&options, 1);
        assert_eq!(breaks(&options), [(Kind::Altered, 4, 4), (Kind::Altered, 4, 4)], "by its seal, and by the keyring");
        let gaps = open(&options).unwrap().1.gaps().unwrap();
        assert_eq!(gaps.iter().map(|g| (g.first, g.last, g.why)).collect::<Vec<_>>(), [(4, 4, Why::Unlinked)]);
    });
}

#[test]
fn gateways_that_write_at_once_make_one_chain() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| logged(&options, 15));
            }
            for _ in 0..8 {
                let verified = verify(&options).unwrap();
                assert_eq!(verified.breaks, [], "at any moment");
            }
        });
        let verified = verify(&options).unwrap();
        assert_eq!((verified.entries, verified.last, verified.breaks.len(), verified.notes.len()), (61, 61, 0, 0));
    });
}

#[test]
fn the_purge_takes_from_the_front_and_signs_where_the_rest_begins() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 6);
        let expire = |up_to: i64| execute(&options, "UPDATE access_log SET expires = 1 WHERE number <= ?1", values![up_to]);
        expire(2);
        let receipt = retention::run(&options, false).unwrap();
        let access = receipt.classes.iter().find(|c| c.class == "access").unwrap();
        assert_eq!((access.rows, access.remaining), (2, 4));
        let anchor = receipt.access_log.clone().unwrap();
        assert_eq!((anchor.number, anchor.digest.len()), (2, 64));
        let receipts = Keeping::open(&options).unwrap().verify_receipts().unwrap();
        assert!(receipts.faults.is_empty(), "{receipts:?}");
        let verified = verify(&options).unwrap();
        assert_eq!((verified.first, verified.last, verified.breaks.len()), (3, 6, 0), "{verified:?}");
        // It was not their time yet, by the retention in force; whoever changed that in the database is seen to have.
        assert!(verified.notes.len() == 1 && verified.notes[0].starts_with("Entries 1 to 2 went on "), "{verified:?}");
        // Only from the front: what comes after one that stays, stays.
        execute(&options, "UPDATE access_log SET expires = 1 WHERE number = 5", &[]);
        retention::run(&options, false).unwrap();
        assert_eq!(verify(&options).unwrap().entries, 4);
        // Somebody else's anchor is none.
        execute(&options, "DELETE FROM access_log WHERE number = 3", &[]);
        execute(&options, "UPDATE access_anchor SET number = 3", &[]);
        assert_eq!(breaks(&options)[0], (Kind::Anchor, 3, 3));
        // What was broken when it was purged is not made good by that.
        execute(&options, "UPDATE access_anchor SET number = 2", &[]);
        assert_eq!(breaks(&options), [(Kind::Missing, 3, 3)]);
        expire(4);
        retention::run(&options, false).unwrap();
        let verified = verify(&options).unwrap();
        let broken = &verified.breaks[0];
        assert_eq!((verified.first, broken.kind, broken.first, broken.last), (6, Kind::PurgedBroken, 3, 5), "{verified:?}");
        // All of it may go, and the next entry still follows.
        expire(6);
        retention::run(&options, false).unwrap();
        assert_eq!(verify(&options).unwrap().entries, 0);
        logged(&options, 1);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.first, verified.last, verified.breaks.len()), (7, 7, 1), "{verified:?}");
    });
}

#[test]
fn the_chain_outlives_the_keys() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 4);
        // The key goes, the rows stay.
        in_ring(&options, "DELETE FROM key WHERE class = 4");
        let verified = verify(&options).unwrap();
        assert_eq!((verified.entries, verified.breaks.len()), (4, 0), "{verified:?}");
        assert!(accesses(&options).unwrap().is_empty());
        let third = "UPDATE access_log SET sealed = (SELECT b.sealed FROM access_log AS b WHERE b.number = 2) WHERE number = 3";
        execute(&options, third, &[]);
        assert_eq!(breaks(&options), [(Kind::Altered, 3, 3)]);
    });
}

#[test]
fn going_on_without_a_lost_key_is_noted_and_no_break() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 4);
        in_ring(&options, "DELETE FROM key WHERE class = 4");
        let given_up = site::accept_loss(&options, Timestamp::now().as_millisecond()).unwrap();
        assert_eq!(given_up.rows, 4);
        logged(&options, 2);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.first, verified.last, verified.breaks.len()), (5, 6, 0), "{verified:?}");
        assert!(verified.notes[0].starts_with("Entries 1 to 4 are not there: their key was lost"), "{verified:?}");
    });
}

#[test]
fn a_backup_that_was_restored_is_known_and_a_copy_that_was_put_back_is_not() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 3);
        let (out, now) = (folder.path("out"), Timestamp::now());
        backup::make(&options, &out, None, now).unwrap();
        logged(&options, 4);
        let how = backup::How { replace: true, ..backup::How::default() };
        backup::restore(&options, &out, None, how, now).unwrap();
        assert_eq!(breaks(&options), []);
        logged(&options, 1);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.entries, verified.last, verified.breaks.len()), (4, 8, 0), "{verified:?}");
        assert!(verified.notes[0].starts_with("Entries 4 to 7 are not there: a backup was restored"), "{verified:?}");
    });
    // With the keyring of that day: what the one that was there knew is not forgotten, and a code that was used since is not good again.
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        logged(&options, 3);
        let used = glass::make(&options, 1).unwrap();
        let (out, ring, now) = (folder.path("out"), folder.path("ring"), Timestamp::now());
        backup::make(&options, &out, Some(&ring), now).unwrap();
        logged(&options, 2);
        assert!(glass::use_up(&options, &used).unwrap());
        let how = backup::How { replace: true, ..backup::How::default() };
        backup::restore(&options, &out, Some(&ring), how, now).unwrap();
        assert!(!glass::fits(&options, &used).unwrap());
        logged(&options, 1);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.entries, verified.last, verified.breaks.len(), verified.notes.len()), (4, 6, 0, 1), "{verified:?}");
    });
    // A file, with nobody's leave.
    let folder = Folder::new();
    let options = folder.prepared();
    logged(&options, 3);
    let file = options.database.file().unwrap().to_owned();
    let copy = folder.path("copy.db");
    std::fs::copy(&file, &copy).unwrap();
    logged(&options, 2);
    for beside in ["-wal", "-shm"] {
        let mut name = file.clone().into_os_string();
        name.push(beside);
        let _ = std::fs::remove_file(name);
    }
    std::fs::copy(&copy, &file).unwrap();
    assert_eq!(breaks(&options), [(Kind::OlderDatabase, 4, 5)]);
}

#[test]
fn a_log_of_before_there_was_a_chain_is_linked_as_it_is() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        // As the version before made it: rows of the record's own, with a number missing.
        let (mut db, mut ring) = open(&options).unwrap();
        let period = ring.at(RecordClass::Access, Timestamp::now().as_millisecond(), options.retention_of(RecordClass::Access)).unwrap();
        let shape = "CREATE TABLE access (id INTEGER PRIMARY KEY AUTOINCREMENT, period INTEGER NOT NULL, expires INTEGER NOT NULL, sealed BLOB NOT NULL)";
        db.transaction(|tx| {
            for table in ["access_log", "access_chain", "access_anchor", "access_request"] {
                tx.execute(&format!("DROP TABLE {table}"), &[])?;
            }
            tx.execute("DELETE FROM schema_version WHERE part = 'access'", &[])?;
            tx.execute(shape, &[])?;
            for id in [1, 2, 5] {
                let old = format!(
                    r#"{{"time":"{}","who":"old","purpose":"test","sender":null,"recipient":null,"message_id":null,"reference":null,"since":"1970-01-01T00:00:00Z","until":"1970-01-01T00:00:00Z"}}"#,
                    Timestamp::now()
                );
                let mut sealed = vec![0; NONCE_LEN];
                sealed.extend_from_slice(old.as_bytes());
                period.key.seal(&place(id, period.starts), &mut Nonces::new(), &mut sealed)?;
                tx.execute(
                    "INSERT INTO access (id, period, expires, sealed) VALUES (?1, ?2, ?3, ?4)",
                    values![id, period.starts, i64::MAX, &sealed],
                )?;
            }
            Ok(())
        })
        .unwrap();
        drop((db, ring));
        assert_eq!(accesses(&options).unwrap().iter().map(|a| a.who.as_str()).collect::<Vec<_>>(), ["old", "old", "old"]);
        logged(&options, 2);
        let verified = verify(&options).unwrap();
        assert_eq!((verified.first, verified.last, verified.breaks.len(), verified.notes.len()), (1, 5, 0, 0), "{verified:?}");
        execute(&options, "DELETE FROM access_log WHERE number = 3", &[]);
        assert_eq!(breaks(&options), [(Kind::Missing, 3, 3)]);
    });
}

#[test]
fn the_code_in_the_envelope_opens_once() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        assert!(glass::made(&options).unwrap().is_none() && !glass::fits(&options, "").unwrap());
        let first = glass::make(&options, 5).unwrap();
        let code = glass::make(&options, 6).unwrap();
        assert_eq!((code.len(), glass::made(&options).unwrap()), (31, Some(6)));
        assert!(!glass::fits(&options, &first).unwrap() && !glass::use_up(&options, &first).unwrap(), "there is one code");
        let typed = format!(" {} \n", code.to_lowercase().replace('-', " "));
        assert!(glass::fits(&options, &typed).unwrap() && glass::use_up(&options, &typed).unwrap());
        assert!(!glass::use_up(&options, &code).unwrap() && glass::made(&options).unwrap().is_none());
    });
}

fn party(person: &str, address: &str) -> Party {
    Party { person: person.into(), identity: Identity::Signed(address.into()), at: Timestamp::now() }
}

pub(crate) fn request(state: State, now: Timestamp) -> Request {
    Request {
        id: 0,
        act: "content".into(),
        subject: "LG-1".into(),
        why: "a complaint".into(),
        asker: party("jane", "clerk@x.uk"),
        ends: now + SignedDuration::from_millis(GOOD),
        state,
        codes: Vec::new(),
    }
}

#[test]
fn it_takes_two_people_and_is_used_once() {
    let now = Timestamp::now();
    let mut asked = request(State::Asked, now);
    assert_eq!(asked.spend("jane", "content", "LG-1", now), Err(Refused::NotApproved));
    // The same person, whichever address; and the same address, whichever person.
    assert_eq!(asked.approve(party("jane", "jane@x.uk"), now), Err(Refused::Same));
    assert_eq!(asked.approve(party("other", "clerk@x.uk"), now), Err(Refused::Same));
    asked.approve(party("ann", "chair@x.uk"), now).unwrap();
    assert_eq!(asked.approve(party("bob", "bob@x.uk"), now), Err(Refused::Is("approved")));
    assert_eq!(asked.spend("ann", "content", "LG-1", now), Err(Refused::NotTheirs));
    assert_eq!(asked.spend("jane", "content", "LG-2", now), Err(Refused::AnotherAct));
    assert_eq!(asked.spend("jane", "holds", "LG-1", now), Err(Refused::AnotherAct));
    assert_eq!(asked.spend("jane", "content", "LG-1", asked.ends), Err(Refused::Over));
    assert_eq!(asked.spend("jane", "content", "LG-1", now).unwrap().person, "ann");
    assert_eq!(asked.spend("jane", "content", "LG-1", now), Err(Refused::Is("used")));
    let mut late = request(State::Asked, now);
    assert_eq!(late.approve(party("ann", "chair@x.uk"), late.ends), Err(Refused::Over));
    assert_eq!(late.word(late.ends), "expired");
    let mut unconfirmed = request(State::Unconfirmed, now);
    assert_eq!(unconfirmed.approve(party("ann", "chair@x.uk"), now), Err(Refused::Unconfirmed));
    assert_eq!(unconfirmed.confirm(party("ann", "chair@x.uk"), now), Err(Refused::NotTheirs));
    unconfirmed.confirm(party("jane", "clerk@x.uk"), now).unwrap();
    unconfirmed.refuse(party("ann", "chair@x.uk"), now).unwrap();
    assert_eq!(unconfirmed.approve(party("ann", "chair@x.uk"), now), Err(Refused::Is("refused")));
}

#[test]
fn a_code_is_one_persons_for_a_while_and_for_a_few_tries() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        let now = Timestamp::now();
        let id = requests::add(&options, request(State::Asked, now), now.as_millisecond()).unwrap().id;
        let code = |person: &str| requests::change(&options, id, |r, hash| r.code_for(person, now, hash)).unwrap().unwrap();
        let answer = |person: &str, code: &str, at: Timestamp| {
            requests::change(&options, id, |r, hash| Ok(r.answered(person, code, at, hash))).unwrap().unwrap()
        };
        let anns = code("ann").unwrap();
        assert!(anns.len() == 8 && anns.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(answer("bob", &anns, now), Err(Refused::NoCode), "it is Ann's");
        let wrong = if anns.starts_with('0') { anns.replacen('0', "1", 1) } else { format!("0{}", &anns[1..]) };
        for left in (0..TRIES).rev() {
            // What was tried is kept, though nothing else is done.
            assert_eq!(answer("ann", &wrong, now), Err(Refused::WrongCode(left)));
        }
        assert_eq!(answer("ann", &anns, now), Err(Refused::NoCode), "too many were tried");
        let again = code("ann").unwrap();
        assert_eq!(answer("ann", &again, now + SignedDuration::from_millis(CODE_GOOD)), Err(Refused::NoCode), "too late");
        assert_eq!(answer("ann", &format!("{} {}", &again[..4], &again[4..]), now), Ok(()));
        assert_eq!(answer("ann", &again, now), Err(Refused::NoCode), "once");
        for _ in 2..CODES {
            code("ann").unwrap();
        }
        assert_eq!(code("ann"), Err(Refused::TooManyCodes));
        // It is sealed, and goes with the retention of the log.
        let all = requests::all(&options).unwrap();
        assert_eq!((all.len(), all[0].why.as_str()), (1, "a complaint"));
        execute(&options, "UPDATE access_request SET ends = 1", &[]);
        retention::run(&options, false).unwrap();
        assert!(requests::all(&options).unwrap().is_empty());
        assert!(requests::change(&options, id, |_, _| Ok(())).unwrap().is_none());
    });
}

#[test]
#[ignore = "a measurement, not a test: run by name with --nocapture"]
fn cost_of_the_log() {
    let folder = Folder::new();
    let options = folder.prepared();
    let begin = std::time::Instant::now();
    logged(&options, 200);
    println!("{:?} an entry, opening the store for each", begin.elapsed() / 200);
    let (mut db, mut ring) = open(&options).unwrap();
    let period = ring.at(RecordClass::Access, Timestamp::now().as_millisecond(), options.retention_of(RecordClass::Access)).unwrap();
    let access = entries(&options, Timestamp::MIN).unwrap().remove(0).access;
    let mut head = ring.access_head().unwrap().unwrap();
    db.transaction(|tx| {
        let mut nonces = Nonces::new();
        for _ in 0..100_000 {
            let number = head.number + 1;
            let mut sealed = vec![0; NONCE_LEN];
            serde_json::to_writer(&mut sealed, &access).unwrap();
            period.key.seal(&place(number, period.starts), &mut nonces, &mut sealed)?;
            head = head.next(number, number, period.starts, &sealed);
            let insert = "INSERT INTO access_log (number, place, period, expires, sealed, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            tx.execute(insert, values![number, number, period.starts, i64::MAX, &sealed, &head.digest[..]])?;
        }
        chain::keep_head(tx, &head)
    })
    .unwrap();
    ring.set_access_head(&head).unwrap();
    let begin = std::time::Instant::now();
    let verified = verify(&options).unwrap();
    assert_eq!((verified.entries, verified.breaks.len()), (100_200, 0));
    println!("{:?} to hold 100,200 entries", begin.elapsed());
}
