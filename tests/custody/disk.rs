//! A disk that fills, and a store that does not answer for a while: what is in hand stays in hand, what cannot be taken is said at once,
//! and all goes on by itself when the trouble is over.

use super::shim::{Shim, around};
use super::*;
use crate::support::{loopback, port};

/// One message of this fate, over a connection of its own.
fn once(gateway: &Gateway, id: &str, fate: Fate) -> Option<u16> {
    let mut client = connect(gateway.address("in"))?;
    send(&mut client, id, fate).ok()
}

/// A message that is to be held, larger than what is kept in reserve for purges; the code of the answer to its content.
fn large(gateway: &Gateway) -> Option<u16> {
    let mut client = connect(gateway.address("in"))?;
    for line in [format!("MAIL FROM:<{CLERK}>"), "RCPT TO:<jo@outside.test>".into(), "DATA".into()] {
        assert!(client.command(&line).expect("an answer").code < 400);
    }
    let text = content("large", Fate::Held).replace("end of", &format!("{}end of", "All the minutes again.\r\n".repeat(900_000)));
    client.send(&stuffed(text.as_bytes())).and_then(|()| client.reply()).map(|reply| reply.code).ok()
}

fn promise(id: &str, fate: Fate) -> Promise {
    Promise { id: id.into(), fate, position: 0 }
}

#[test]
fn a_disk_that_fills_loses_nothing_and_stops_no_mail_that_needs_none() {
    let (sink, arrivals) = Arrivals::upstream();
    let Some(site) = around(site("full", sink.address), "a full disk") else { return };
    let mut gateway = site.prepare();
    let shim = Shim::of(&gateway);
    gateway.restart();
    let mut promises = Vec::new();
    // What needs more room than any file has left is turned away, and its client keeps it.
    shim.room(Some(0));
    let code = large(&gateway);
    assert!(matches!(code, Some(451 | 452)), "{code:?}, {} refused\n{}", shim.refused(), gateway.tail(20));
    shim.room(None);
    // It fills at once, and while messages are on their way: whatever step finds no room, nothing in hand is lost.
    for round in 0..6 {
        shim.room(Some(round * 7_000));
        let mut refused = 0;
        for n in 0..20 {
            for fate in Fate::ALL {
                let id = format!("full-{round}-{n}-{}", fate.subject());
                match (once(&gateway, &id, fate).expect("an answer"), fate) {
                    // Nothing of it needs the disk: it goes on being relayed, and its record is not mandatory.
                    (code, Fate::Relayed) => {
                        assert_eq!(code, 250, "relayed mail was stopped by a full disk");
                        promises.push(promise(&id, fate));
                    }
                    // A refusal is heard, whether or not its notice can be kept.
                    (code, Fate::Refused) => assert_eq!(code, 550),
                    // In hand, or to be tried again: nothing else.
                    (250, Fate::Copied | Fate::Held) => promises.push(promise(&id, fate)),
                    (code, Fate::Copied | Fate::Held) => assert!(matches!(code, 451 | 452), "{code}"),
                }
            }
            refused = shim.refused();
        }
        assert!(refused > 0, "the disk was never full");
        shim.room(None);
        // What comes now finds room, in the end, and what waited goes.
        let end = Instant::now() + PATIENCE;
        let recovered = (0..).map(|n| format!("after-{round}-{n}")).find(|id| {
            assert!(Instant::now() < end, "custody does not come back:\n{}", gateway.tail(20));
            once(&gateway, id, Fate::Refused) == Some(550)
                && arrivals.wait_for(&all_that(&[promise(id, Fate::Refused)]), Duration::from_secs(2)).is_empty()
        });
        promises.push(promise(&recovered.expect("one of them"), Fate::Refused));
        assert!(drained(&gateway, PATIENCE * 2), "something stays in custody:\n{}", gateway.tail(20));
    }
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE * 2);
    assert!(missing.is_empty(), "lost: {missing:?}");
    assert_eq!(arrivals.doubled(), Ok(0));
}

#[test]
fn a_locked_store_is_waited_for() {
    let (sink, arrivals) = Arrivals::upstream();
    let gateway = site("locked", sink.address).start();
    let mut promises = vec![promise("before", Fate::Refused)];
    assert_eq!(once(&gateway, "before", Fate::Refused), Some(550));
    assert!(arrivals.wait_for(&all_that(&promises), PATIENCE).is_empty());
    let other = rusqlite::Connection::open(gateway.data().join("custody.db")).expect("it opens");
    other.busy_timeout(PATIENCE).expect("a time-out can be set");
    other.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    std::thread::scope(|scope| {
        let (gateway, began) = (&gateway, Instant::now());
        let waits = scope.spawn(move || (once(gateway, "while", Fate::Refused), began.elapsed()));
        for n in 0..20 {
            assert_eq!(once(gateway, &format!("beside-{n}"), Fate::Relayed), Some(250));
        }
        // The refusal does not wait for ever for its notice; the notice is kept when the lock is gone.
        let (code, _) = waits.join().expect("no panic");
        assert_eq!(code, Some(550));
    });
    other.execute_batch("COMMIT").expect("the lock goes");
    promises.extend((0..20).map(|n| promise(&format!("beside-{n}"), Fate::Relayed)));
    promises.push(promise("while", Fate::Refused));
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE);
    assert!(missing.is_empty(), "lost: {missing:?}\n{}", gateway.tail(20));
    assert_eq!(arrivals.doubled(), Ok(0));
}

#[test]
fn what_cannot_be_opened_is_set_aside_and_holds_nobody_up() {
    let (sink, arrivals) = Arrivals::upstream();
    let away = loopback(port());
    let table = "[outbox]\nupstream = \"away\"\nfrom = \"gate@wragby.test\"";
    let mut gateway = site("damaged", sink.address).upstream("away", away, "none", "").table(table).start();
    let ids: Vec<String> = (0..9).map(|n| format!("damaged-{n}")).collect();
    for id in &ids {
        assert_eq!(once(&gateway, id, Fate::Refused), Some(550));
    }
    gateway.kill();
    // An octet of three sheets is another: the first, one between, the last.
    let db = rusqlite::Connection::open(gateway.data().join("custody.db")).expect("it opens");
    let parcels: Vec<i64> = db
        .prepare("SELECT id FROM parcel ORDER BY due, id")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
        .expect("the parcels can be listed");
    assert_eq!(parcels.len(), ids.len());
    for (id, at) in [(parcels[0], 3), (parcels[4], 30), (parcels[8], 20)] {
        let mut sealed: Vec<u8> = db.query_row("SELECT sealed FROM parcel WHERE id = ?1", [id], |row| row.get(0)).expect("a sheet");
        sealed[at] ^= 1;
        db.execute("UPDATE parcel SET sealed = ?2 WHERE id = ?1", (id, sealed)).expect("it can be altered");
    }
    drop(db);
    let provider = Sink::counting_at(away, &["PIPELINING"], {
        let arrivals = arrivals.clone();
        move |captured| arrivals.count(&captured)
    });
    gateway.restart();
    let end = Instant::now() + PATIENCE;
    while arrivals.messages() < 6 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(arrivals.messages(), 6, "{}", gateway.tail(20));
    assert_eq!(gateway.log().matches("parcel_broken").count(), 3, "{}", gateway.tail(20));
    // They are kept, for somebody to look at, and are not tried again after a restart.
    gateway.restart();
    let db = rusqlite::Connection::open(gateway.data().join("custody.db")).expect("it opens");
    let broken: i64 = db.query_row("SELECT count(*) FROM parcel WHERE state = 4", [], |row| row.get(0)).expect("they can be counted");
    assert_eq!(broken, 3);
    assert_eq!(arrivals.doubled(), Ok(0));
    drop(provider);
}

/// What is to free space must not need any: a full disk with expired records is purged all the same, sooner or later.
#[test]
fn a_purge_frees_space_on_a_full_disk() {
    let (sink, _arrivals) = Arrivals::upstream();
    let Some(site) = around(site("purge", sink.address).retention("events = \"3s\"\nincidents = \"3s\""), "a full disk") else { return };
    let mut gateway = site.prepare();
    let shim = Shim::of(&gateway);
    gateway.restart();
    let rows = || {
        let path = gateway.data().join("lychgate.db");
        let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        db.query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0)).ok()
    };
    let mut client = connect(gateway.address("in")).expect("it answers");
    for n in 0..300 {
        assert_eq!(send(&mut client, &format!("purge-{n}"), Fate::Relayed), Ok(250));
    }
    let end = Instant::now() + PATIENCE;
    while rows() == Some(0) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = rows().expect("the record can be read");
    assert!(before > 0, "nothing was recorded");
    shim.room(Some(0));
    let end = Instant::now() + PATIENCE;
    while rows() != Some(0) && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rows(), Some(0), "of {before}:\n{}", gateway.tail(20));
    assert!(shim.refused() > 0, "the disk was never full");
}
