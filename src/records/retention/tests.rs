use std::sync::mpsc::channel;

use super::*;
use crate::records::tests::{Folder, entry, in_runtime, on_each_engine};
use crate::records::{Keeping, Options, Recorder};

const DAY: i64 = 86_400_000;

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn flush(recorder: &Recorder) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(recorder.flush()).unwrap();
}

/// Purges as of another time; the receipt, and how many rows each piece took.
fn purge(recorder: &Recorder, wall: i64, confirmed: bool) -> (Receipt, Vec<u64>) {
    let (send, receive) = channel();
    recorder.with(move |store| {
        let mut receipt = Receipt { confirmed, ..Receipt::default() };
        let mut pieces = Vec::new();
        loop {
            let before: u64 = receipt.classes.iter().map(|c| c.rows).sum();
            let progress = store.purge_piece(wall, &mut receipt).unwrap();
            pieces.push(receipt.classes.iter().map(|c| c.rows).sum::<u64>() - before);
            if progress == Progress::Done {
                break;
            }
        }
        send.send((receipt, pieces)).unwrap();
    });
    receive.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn number(options: &Options, sql: &str) -> i64 {
    Keeping::open(options).unwrap().db.statements().number(sql, &[]).unwrap()
}

#[test]
fn a_large_purge_is_many_small_ones_and_the_index_goes_with_it() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = Options { queue: 100_000, ..folder.prepared() };
        let recorder = Recorder::start(&options).unwrap();
        let rows = 3 * PIECE as u64 + 700;
        for i in 0..rows {
            let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
            // Over three days, in order.
            e.time = Timestamp::from_millisecond(now() - 3 * DAY + (i * 3 * DAY as u64 / rows) as i64).unwrap();
            recorder.record(e).unwrap();
            if i % 5_000 == 0 {
                flush(&recorder);
            }
        }
        flush(&recorder);
        assert!(number(&options, "SELECT count(*) FROM batch") > 0);
        let (receipt, pieces) = purge(&recorder, now() + 100 * DAY, true);
        assert_eq!((receipt.classes[0].rows, receipt.classes[0].remaining), (rows, 0));
        assert!(receipt.classes[0].keys >= 3);
        assert_eq!(pieces.iter().sum::<u64>(), rows);
        assert!(pieces.iter().all(|p| *p <= PIECE as u64), "{pieces:?}");
        assert!(pieces.len() >= 4);
        assert_eq!(number(&options, "SELECT count(*) FROM batch"), 0);
        assert_eq!(number(&options, "SELECT count(*) FROM record"), 0);
    });
}

#[test]
fn what_remains_is_counted_exactly() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        let recorder = Recorder::start(&options).unwrap();
        for days in [1, 95, 2, 96, 3] {
            let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
            e.time = Timestamp::from_millisecond(now() - days * DAY).unwrap();
            recorder.record(e).unwrap();
        }
        flush(&recorder);
        let (receipt, _) = purge(&recorder, now(), false);
        // The writer may have purged already, at its start.
        assert_eq!(receipt.classes[0].remaining, 3);
        assert_eq!(number(&options, "SELECT count(*) FROM record"), 3);
        Keeping::open(&options).unwrap().erase("clerk@wragby.gov.uk", &[], now()).unwrap();
        assert_eq!(purge(&recorder, now(), false).0.classes[0].remaining, 0);
        recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).unwrap();
        flush(&recorder);
        assert_eq!(purge(&recorder, now(), false).0.classes[0].remaining, 1);
    });
}

/// Rows that were written while the clock was a year ahead stand before all that came after it was set right.
#[test]
fn rows_from_a_wrong_clock_keep_nobody_elses_alive() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = Options { queue: 100_000, ..folder.prepared() };
        let recorder = Recorder::start(&options).unwrap();
        let record = |at: i64, times: i64| {
            for _ in 0..times {
                let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
                e.time = Timestamp::from_millisecond(at).unwrap();
                recorder.record(e).unwrap();
            }
            flush(&recorder);
        };
        record(now() + 365 * DAY, PIECE + 10);
        record(now(), 20);
        let (receipt, _) = purge(&recorder, now() + 92 * DAY, true);
        assert_eq!((receipt.classes[0].rows, receipt.classes[0].remaining), (20, PIECE as u64 + 10));
        assert_eq!(number(&options, &format!("SELECT count(*) FROM record WHERE expires < {}", now() + 92 * DAY)), 0);
    });
}

#[test]
fn a_clock_that_jumps_destroys_nothing_until_it_is_confirmed() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        let recorder = Recorder::start(&options).unwrap();
        recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).unwrap();
        flush(&recorder);
        purge(&recorder, now(), false);
        let ahead = now() + 400 * DAY;
        let (receipt, _) = purge(&recorder, ahead, false);
        assert_eq!((receipt.classes[0].rows, receipt.classes[0].keys, receipt.classes[0].remaining), (0, 0, 1));
        assert!(receipt.clock_ahead.is_some_and(|by| by > 399 * DAY));
        // Not by trying again, nor by a new start.
        assert_eq!(purge(&recorder, ahead + DAY, false).0.classes[0].remaining, 1);
        recorder.stop();
        let recorder = Recorder::start(&options).unwrap();
        // The purge at the start goes by the machine's own clock, which is right.
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(recorder.retention_run()).unwrap();
        assert_eq!(purge(&recorder, ahead + 2 * DAY, false).0.classes[0].remaining, 1);
        assert!(Keeping::open(&options).unwrap().retention(now()).unwrap().clock_ahead > 0);
        let (receipt, _) = purge(&recorder, ahead + 2 * DAY, true);
        assert_eq!((receipt.classes[0].rows, receipt.classes[0].remaining, receipt.clock_ahead), (1, 0, None));
        assert!(receipt.confirmed);
    });
}

#[test]
fn the_purge_keeps_what_a_hold_covers_and_its_receipt_says_so() {
    on_each_engine(|| {
        use crate::records::holds::{Hold, Scope};
        let folder = Folder::new();
        let options = folder.prepared();
        let recorder = Recorder::start(&options).unwrap();
        let mut keeping = Keeping::open(&options).unwrap();
        let hold = Hold {
            id: 0,
            case: "2026/41".into(),
            reason: "A complaint".into(),
            scope: Scope { person: Some("ashby@gmail.com".into()), ..Scope::default() },
            placed: Timestamp::now(),
            by: vec!["clerk".into()],
            expires: Timestamp::from_millisecond(now() + 200 * DAY).unwrap(),
            warned: false,
        };
        assert_eq!(keeping.hold(hold, now()).unwrap().1.rows, 0);
        // What comes after the hold was placed is covered too.
        for to in ["ashby@gmail.com", "bob@gmail.com", "ashby@gmail.com"] {
            recorder.record(entry("clerk@wragby.gov.uk", &[to])).unwrap();
        }
        flush(&recorder);
        let (receipt, _) = purge(&recorder, now() + 100 * DAY, true);
        let events = &receipt.classes[0];
        assert_eq!((events.rows, events.held_back, events.remaining), (3, 2, 0));
        assert_eq!(receipt.held_back.iter().map(|(c, n)| (c.as_str(), *n)).collect::<Vec<_>>(), [("2026/41", 2)]);
        // The period's key died on time, and the rows can still be read and found.
        assert!(events.keys >= 1);
        assert_eq!(keeping.dossier("ashby@gmail.com", &[], now() + 100 * DAY).unwrap().rows.len(), 2);
        // The purge ends the hold when its time is over.
        let (receipt, _) = purge(&recorder, now() + 201 * DAY, true);
        assert!(receipt.held_back.is_empty() && keeping.holds(now()).unwrap().is_empty());
        assert!(keeping.dossier("ashby@gmail.com", &[], now()).unwrap().rows.is_empty());
        // Receipts were made of all this, and hold together; no receipt says of whom.
        let verified = keeping.verify_receipts().unwrap();
        assert_eq!(verified.faults, Vec::<String>::new());
        assert!(verified.receipts >= 2);
        assert!(keeping.receipts(100).unwrap().iter().all(|s| !s.body.contains('@')));
    });
}

#[test]
fn a_hold_that_was_altered_stops_every_purge_and_no_look_up() {
    use crate::records::holds::{Hold, Scope};
    let folder = Folder::new();
    let options = folder.prepared();
    let recorder = Recorder::start(&options).unwrap();
    recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).unwrap();
    flush(&recorder);
    let mut keeping = Keeping::open(&options).unwrap();
    let scope = Scope { person: Some("a@gmail.com".into()), ..Scope::default() };
    let expires = Timestamp::from_millisecond(now() + 500 * DAY).unwrap();
    let hold = Hold { id: 0, case: "1".into(), reason: "x".into(), scope, placed: Timestamp::now(), by: vec![], expires, warned: false };
    keeping.hold(hold, now()).unwrap();
    keeping.db.statements().execute("UPDATE case_hold SET sealed = ?1", values![&[0u8; 60][..]]).unwrap();
    let (send, receive) = channel();
    recorder.with(move |store| {
        let mut receipt = Receipt { confirmed: true, ..Receipt::default() };
        send.send(store.purge_piece(now() + 100 * DAY, &mut receipt)).unwrap();
    });
    let purged = receive.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(purged, Err(StoreError::HoldUnreadable)), "{purged:?}");
    assert_eq!(keeping.dossier("a@gmail.com", &[], now()).unwrap().rows.len(), 1);
    assert!(matches!(keeping.erase("a@gmail.com", &[], now()), Err(StoreError::HoldUnreadable)));
    assert_eq!(keeping.lift_unreadable().unwrap(), 1);
    assert_eq!(purge(&recorder, now() + 100 * DAY, true).0.classes[0].rows, 1);
}

#[test]
fn a_purge_that_is_asked_for_gives_a_receipt_and_others_wait_no_longer_than_a_piece() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let first = recorder.retention_run().await.unwrap();
            let second = recorder.retention_run().await.unwrap();
            assert!(first.asked && second.number == first.number + 1, "{first:?} {second:?}");
            assert!(recorder.retention_confirm().await.unwrap().confirmed);
            assert!(recorder.counters().last_purge > 0 && !recorder.counters().clock_ahead);
        })
    });
}

/// What a purge of a million rows costs, without and with a hold that covers a thousandth of them.
#[test]
#[ignore = "a measurement, not a test: run by name with --nocapture"]
fn cost_of_a_large_purge() {
    use crate::records::holds::{Hold, Scope};
    let rows: u64 = std::env::var("ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let memory = |key: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|l| l.strip_prefix(key)).unwrap().trim().to_string()
    };
    for held in [false, true] {
        let folder = Folder::new();
        let options = Options { queue: 100_000, ..folder.prepared() };
        let recorder = Recorder::start(&options).unwrap();
        for i in 0..rows {
            let to = if i % 1000 == 0 { "ashby@gmail.com" } else { "bob@gmail.com" };
            let mut e = entry("clerk@wragby.gov.uk", &[to, "all@wragby.gov.uk"]);
            e.time = Timestamp::from_millisecond(now() - 30 * DAY + (i * 30 * DAY as u64 / rows) as i64).unwrap();
            recorder.record(e).unwrap();
            if i % 20_000 == 0 {
                flush(&recorder);
            }
        }
        flush(&recorder);
        if held {
            let scope = Scope { person: Some("ashby@gmail.com".into()), ..Scope::default() };
            let expires = Timestamp::from_millisecond(now() + 200 * DAY).unwrap();
            let hold =
                Hold { id: 0, case: "1".into(), reason: "x".into(), scope, placed: Timestamp::now(), by: vec![], expires, warned: false };
            let begin = Instant::now();
            let keeps = Keeping::open(&options).unwrap().hold(hold, now()).unwrap().1;
            println!("placing the hold: {:?}, {} rows kept", begin.elapsed(), keeps.rows);
        }
        let before = memory("VmRSS:");
        let wall = now() + 100 * DAY;
        let (send, receive) = channel();
        recorder.with(move |store| {
            let mut receipt = Receipt { confirmed: true, ..Receipt::default() };
            let mut pieces = Vec::new();
            loop {
                let begin = Instant::now();
                let progress = store.purge_piece(wall, &mut receipt).unwrap();
                pieces.push(begin.elapsed());
                if progress == Progress::Done {
                    break;
                }
            }
            send.send((receipt, pieces)).unwrap();
        });
        let (receipt, mut pieces) = receive.recv().unwrap();
        let (n, total) = (pieces.len(), pieces.iter().sum::<Duration>());
        pieces.sort();
        println!(
            "{rows} rows, held {held}: {n} pieces, {total:?} in all, median {:?}, longest {:?}; memory {before} before, {} after, {} at most; {} rows gone, {} held back",
            pieces[n / 2],
            pieces[n - 1],
            memory("VmRSS:"),
            memory("VmHWM:"),
            receipt.classes[0].rows,
            receipt.classes[0].held_back,
        );
    }
}
