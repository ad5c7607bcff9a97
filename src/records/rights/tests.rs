use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::*;
use crate::records::custody::{self, Deposit, Kind as Mail, NewParcel, Origin, Recipient, Sheet, State};
use crate::records::holds::{Hold, Scope};
use crate::records::retention::Progress;
use crate::records::tests::{Folder, entry, matched, on_each_engine};
use crate::records::trace::{Question, look_up};
use crate::records::{Keeping, Options, Receipt, Recorder};

const CLERK: &str = "clerk@wragby.gov.uk";
const ASHBY: &str = "edith.ashby@gmail.com";
const DAY: i64 = 86_400_000;

/// Each of these runs on every engine that is there.
fn on_each(test: impl Fn(&Options)) {
    let folder = Folder::new();
    test(&folder.prepared());
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Mail of two days: to and from Mrs Ashby, and of others.
fn written(options: &Options) -> Recorder {
    let recorder = Recorder::start(options).unwrap();
    let record = |sender: &str, recipients: &[&str], reference: &str, incident: bool| {
        let mut e = entry(sender, recipients);
        e.reference = reference.into();
        if incident {
            e.matches = vec![matched("hide-recipients")];
        }
        recorder.record(e).unwrap();
    };
    record(CLERK, &[ASHBY, "bob@gmail.com", "jo@ashby-family.example"], "LG-AAAA", false);
    record(CLERK, &["bob@gmail.com"], "LG-BBBB", false);
    record("edith.ashby@GMAIL.com", &[CLERK], "LG-CCCC", true);
    record("bob@gmail.com", &[CLERK, "Edith.Ashby@gmail.com"], "LG-DDDD", true);
    flush(&recorder);
    recorder
}

fn flush(recorder: &Recorder) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(recorder.flush()).unwrap();
}

/// Purges as of another time.
fn purge(recorder: &Recorder, now: i64) -> Receipt {
    let (send, receive) = std::sync::mpsc::channel();
    recorder.with(move |store| {
        let mut receipt = Receipt { confirmed: true, ..Receipt::default() };
        while store.purge_piece(now, &mut receipt).unwrap() == Progress::More {}
        send.send(receipt).unwrap();
    });
    receive.recv_timeout(Duration::from_secs(30)).unwrap()
}

fn references(dossier: &Dossier) -> Vec<(&str, Part)> {
    let mut all: Vec<_> = dossier.rows.iter().map(|r| (r.row.reference.as_str(), r.part)).collect();
    all.sort();
    all
}

fn hold(case: &str, scope: Scope, days: i64) -> Hold {
    Hold {
        id: 0,
        case: case.into(),
        reason: "A complaint is being looked into".into(),
        scope,
        placed: Timestamp::now(),
        by: vec!["clerk".into()],
        expires: Timestamp::from_millisecond(now() + days * DAY).unwrap(),
        warned: false,
    }
}

fn of_ashby() -> Scope {
    Scope { person: Some(ASHBY.into()), ..Scope::default() }
}

#[test]
fn a_dossier_has_all_of_a_persons_rows_and_no_others() {
    on_each_engine(|| {
        on_each(|options| {
            let _recorder = written(options);
            let mut keeping = Keeping::open(options).unwrap();
            let dossier = keeping.dossier("Edith.Ashby@gmail.com", &[CLERK.into()], now()).unwrap();
            assert_eq!(references(&dossier), [("LG-AAAA", Part::Recipient), ("LG-CCCC", Part::Sender), ("LG-DDDD", Part::Recipient)]);
            assert_eq!((dossier.person.as_str(), dossier.unreadable, dossier.contacts.asked), (ASHBY, 0, 2));
            assert!(keeping.dossier("nobody@gmail.com", &[], now()).unwrap().rows.is_empty());
        });
    });
}

#[test]
fn a_hold_outlives_the_retention_and_the_keys_of_everybody_else() {
    on_each_engine(|| {
        on_each(|options| {
            let recorder = written(options);
            let mut keeping = Keeping::open(options).unwrap();
            let (held, keeps) = keeping.hold(hold("2026/41", of_ashby(), 1000), now()).unwrap();
            assert_eq!((keeps.rows, keeps.held_back), (3, 0));
            // Long after the retention of everything.
            let later = now() + 400 * DAY;
            let receipt = purge(&recorder, later);
            assert_eq!(
                receipt.classes.iter().map(|c| (c.class.as_ref(), c.rows, c.remaining)).take(2).collect::<Vec<(&str, u64, u64)>>(),
                [("events", 2, 0), ("incidents", 2, 0)]
            );
            let dossier = keeping.dossier(ASHBY, &[], later).unwrap();
            assert_eq!(references(&dossier), [("LG-AAAA", Part::Recipient), ("LG-CCCC", Part::Sender), ("LG-DDDD", Part::Recipient)]);
            assert_eq!(dossier.rows[0].cases, ["2026/41"]);
            assert_eq!(dossier.cases, [("2026/41".to_string(), held.expires)]);
            // Anybody who traces it finds it too.
            let bob = |m: Option<&str>| Question {
                recipient: Some("bob@gmail.com".into()),
                reference: m.map(Into::into),
                since: Timestamp::now() - 1.hours(),
                until: Timestamp::now() + 1.hours(),
                ..Question::default()
            };
            let hits = look_up(options, &bob(None), "a test", "clerk").unwrap().hits;
            assert_eq!(hits.iter().map(|h| (h.row.reference.as_str(), h.recipient_code)).collect::<Vec<_>>(), [("LG-AAAA", Some(250))]);
            assert_eq!(hits[0].cases, ["2026/41"]);
            assert!(look_up(options, &bob(Some("LG-BBBB")), "a test", "clerk").unwrap().hits.is_empty());
            // Another recipient of a kept row can be asked for, too; what was not kept is gone for everybody.
            assert_eq!(
                references(&keeping.dossier("bob@gmail.com", &[], later).unwrap()),
                [("LG-AAAA", Part::Recipient), ("LG-DDDD", Part::Sender)]
            );
            assert_eq!(keeping.holds(later).unwrap()[0].1.held_back, 3);
            // Its own end.
            assert_eq!(keeping.lapse(held.expires.as_millisecond() - 1).unwrap(), Vec::<String>::new());
            assert_eq!(keeping.lapse(held.expires.as_millisecond()).unwrap(), ["2026/41"]);
            assert!(keeping.dossier(ASHBY, &[], later).unwrap().rows.is_empty());
            assert!(keeping.holds(later).unwrap().is_empty());
        });
    });
}

#[test]
fn a_hold_is_as_wide_as_it_says() {
    on_each_engine(|| {
        on_each(|options| {
            let _recorder = written(options);
            let mut keeping = Keeping::open(options).unwrap();
            let now_ = Timestamp::now();
            for (scope, rows) in [
                (Scope { reference: Some("ref lg-aaaa".into()), ..Scope::default() }, 1),
                (Scope { reference: Some("LG-AAAA".into()), ..of_ashby() }, 1),
                (Scope { reference: Some("LG-BBBB".into()), ..of_ashby() }, 0),
                (Scope { since: Some(now_ - 1.hours()), until: Some(now_ + 1.hours()), ..Scope::default() }, 4),
                (Scope { since: Some(now_ + 1.hours()), ..Scope::default() }, 0),
                (Scope { message_id: Some("<nobody@x.uk>".into()), ..Scope::default() }, 0),
            ] {
                assert_eq!(keeping.hold(hold("C-1", scope.clone(), 30), now()).unwrap().1.rows, rows, "{scope:?}");
            }
            assert_eq!(keeping.lift("C-1").unwrap(), 6);
            assert_eq!(keeping.lift("C-1").unwrap(), 0);
            assert_eq!(keeping.db.statements().number("SELECT count(*) FROM hold_copy", &[]).unwrap(), 0);
        });
    });
}

#[test]
fn held_mail_is_kept_for_a_case_with_its_content() {
    on_each_engine(|| {
        on_each(|options| {
            let mut custody = custody::open(options).unwrap();
            let at = now();
            let sheet = Sheet {
                reference: "LG-HELD".into(),
                taken: at,
                reverse_path: CLERK.into(),
                recipients: vec![Recipient { address: ASHBY.into(), parameters: String::new(), state: custody::Fate::Waiting }],
                origin: Origin { sender: CLERK.into(), ..Origin::default() },
                ..Sheet::default()
            };
            let parcel = NewParcel { id: None, state: State::Held, due: at, ends: at + 7 * DAY, sheet: sheet.clone() };
            let deposit = Deposit {
                kind: Mail::Mail,
                content: b"Subject: Hedge\r\n\r\nDear Edith\r\n".to_vec(),
                parcels: vec![parcel],
                told: vec![],
            };
            let id = custody.accept(&[deposit], at).unwrap()[0][0];
            let mut keeping = Keeping::open(options).unwrap();
            keeping.hold(hold("2026/41", of_ashby(), 30), at).unwrap();
            let mut keep = |keeping: &mut Keeping| keeping.keep_message(id, &sheet, || custody.content(id)).unwrap();
            assert_eq!((keep(&mut keeping), keep(&mut keeping)), (1, 0));
            custody.decide(id, at, &mut |_| Ok(custody::Decision::done())).unwrap();
            let kept = keeping.kept_messages("2026/41").unwrap();
            assert_eq!((kept[0].0.reference.as_str(), kept[0].1.as_slice()), ("LG-HELD", &b"Subject: Hedge\r\n\r\nDear Edith\r\n"[..]));
            assert_eq!(keeping.holds(at).unwrap()[0].1.messages, 1);
        });
    });
}

#[test]
fn a_note_goes_with_its_row() {
    on_each_engine(|| {
        on_each(|options| {
            let recorder = written(options);
            let mut keeping = Keeping::open(options).unwrap();
            let note = Note { time: Timestamp::now(), by: "clerk".into(), text: "She says it was her husband who wrote".into() };
            assert_eq!(keeping.annotate(ASHBY, "lg-cccc", &note).unwrap(), 1);
            assert_eq!(keeping.annotate(ASHBY, "LG-BBBB", &note).unwrap(), 0, "not her row");
            let noted = |keeping: &mut Keeping| {
                let dossier = keeping.dossier(ASHBY, &[], now()).unwrap();
                dossier.rows.into_iter().flat_map(|r| r.notes).collect::<Vec<_>>()
            };
            assert_eq!(noted(&mut keeping), std::slice::from_ref(&note));
            let question = Question {
                reference: Some("LG-CCCC".into()),
                since: Timestamp::now() - 1.hours(),
                until: Timestamp::now() + 1.hours(),
                ..Question::default()
            };
            assert_eq!(look_up(options, &question, "a test", "clerk").unwrap().hits[0].notes, std::slice::from_ref(&note));
            // A case keeps it with the row.
            keeping.hold(hold("2026/41", of_ashby(), 1000), now()).unwrap();
            purge(&recorder, now() + 400 * DAY);
            assert_eq!(noted(&mut keeping), [note]);
            keeping.lift("2026/41").unwrap();
            assert_eq!(noted(&mut keeping), []);
        });
    });
}

#[tokio::test]
async fn requests_are_kept_sealed_and_can_be_changed() {
    let folder = Folder::new();
    let options = folder.prepared();
    let mut keeping = Keeping::open(&options).unwrap();
    let received = jiff::civil::date(2026, 9, 1);
    let mut one =
        Request { id: 0, kind: Kind::Access, person: ASHBY.into(), received, known: None, pauses: vec![], extended: None, closed: None };
    let mut two = Request { kind: Kind::Erasure, ..one.clone() };
    keeping.put_request(&mut one).unwrap();
    keeping.put_request(&mut two).unwrap();
    two.close(received, "done").unwrap();
    keeping.put_request(&mut two).unwrap();
    assert_eq!(keeping.requests().unwrap(), [one, two]);
    assert_eq!(keeping.dossier(ASHBY, &[], now()).unwrap().requests.len(), 2);
    drop(keeping);
    raw_search(&options, &["ashby", "clerk"]);
}

/// None of these words is in any file of the store.
fn raw_search(options: &Options, words: &[&str]) {
    let folder = options.database.file().unwrap().parent().unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let octets = std::fs::read(&path).unwrap().to_ascii_lowercase();
        for word in words {
            assert!(memchr::memmem::find(&octets, word.as_bytes()).is_none(), "\"{word}\" is in {}", path.display());
        }
    }
}

/// Whether this octet string is in any file of the store.
fn occurs(options: &Options, octets: &[u8]) -> bool {
    let folder = options.database.file().unwrap().parent().unwrap();
    std::fs::read_dir(folder).unwrap().any(|f| memchr::memmem::find(&std::fs::read(f.unwrap().path()).unwrap(), octets).is_some())
}

#[test]
fn what_is_erased_cannot_be_found_and_what_is_held_stays() {
    on_each(|options| {
        let recorder = written(options);
        let mut keeping = Keeping::open(options).unwrap();
        keeping.hold(hold("2026/41", Scope { reference: Some("LG-DDDD".into()), ..Scope::default() }, 30), now()).unwrap();
        // The hashes that name her in the index.
        let hashes: Vec<[u8; 8]> = [crate::records::RecordClass::Events]
            .iter()
            .flat_map(|class| keeping.ring.periods(*class, i64::MIN, i64::MAX).unwrap())
            .map(|p| p.key.hash(crate::records::sealing::Kind::Recipient, ASHBY).to_be_bytes())
            .collect();
        assert!(hashes.iter().any(|h| occurs(options, h)), "the search finds what is there");
        let would = keeping.would_erase(ASHBY, &[CLERK.into()], now() + 1).unwrap();
        assert!(hashes.iter().any(|h| occurs(options, h)), "to ask what would go takes nothing");
        let mut erased = keeping.erase(ASHBY, &[CLERK.into()], now() + 1).unwrap();
        assert_eq!((erased.rows_deleted, erased.rows_cleared), (1, 1));
        // The receipt has the numbers, and nobody's name; it stands in the chain with those of purges.
        let signed = keeping.receipt(erased.receipt.take().unwrap()).unwrap().unwrap();
        let receipt = signed.receipt().unwrap();
        let told = receipt.erasure.unwrap();
        assert_eq!((told.rows_deleted, told.rows_cleared, told.contacts), (1, 1, erased.contacts));
        assert_eq!(receipt.held_back, erased.kept);
        assert!(!signed.body.contains('@') && keeping.verify_receipts().unwrap().faults.is_empty());
        assert_eq!(would, erased, "what was shown before is what was done");
        assert_eq!(erased.kept.into_iter().collect::<Vec<_>>(), [("2026/41".to_string(), 1)]);
        let dossier = keeping.dossier(ASHBY, &[CLERK.into()], now()).unwrap();
        assert_eq!(references(&dossier), [("LG-DDDD", Part::Recipient)]);
        assert!(dossier.contacts.known.is_empty());
        // Other people's rows are as they were.
        let bob = keeping.dossier("bob@gmail.com", &[], now()).unwrap();
        assert_eq!(references(&bob), [("LG-AAAA", Part::Recipient), ("LG-BBBB", Part::Recipient), ("LG-DDDD", Part::Sender)]);
        let question = Question {
            reference: Some("LG-AAAA".into()),
            since: Timestamp::now() - 1.hours(),
            until: Timestamp::now() + 1.hours(),
            ..Question::default()
        };
        let row = &look_up(options, &question, "a test", "clerk").unwrap().hits[0].row;
        assert_eq!((row.recipients.len(), row.recipients[0].hash, row.classes.personal), (3, 0, 2));
        assert_eq!(row.external_domains, ["ashby-family.example"], "her own provider is not named any more");
        recorder.stop();
        drop(keeping);
        let mut keeping = Keeping::open(options).unwrap();
        keeping.db.reclaim().unwrap();
        assert!(!hashes.iter().any(|h| occurs(options, h)));
        raw_search(options, &["ashby"]);
    });
}

#[test]
fn a_restored_database_forgets_again() {
    on_each(|options| {
        let recorder = written(options);
        recorder.stop();
        let backup = std::fs::read(options.database.file().unwrap()).unwrap();
        let mut keeping = Keeping::open(options).unwrap();
        keeping.erase(ASHBY, &[], now() + 1).unwrap();
        assert!(keeping.dossier(ASHBY, &[], now()).unwrap().rows.is_empty());
        drop(keeping);
        assert_eq!(again(options, now()).unwrap(), 0, "it is done");
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", options.database));
        }
        std::fs::write(options.database.file().unwrap(), backup).unwrap();
        assert_eq!(Keeping::open(options).unwrap().dossier(ASHBY, &[], now()).unwrap().rows.len(), 3);
        assert_eq!(again(options, now()).unwrap(), 1);
        assert!(Keeping::open(options).unwrap().dossier(ASHBY, &[], now()).unwrap().rows.is_empty());
        // Mail after the request is another matter, and so is a backup whose keys are all dead.
        let recorder = Recorder::start(options).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        recorder.record(entry(CLERK, &[ASHBY])).unwrap();
        flush(&recorder);
        Keeping::open(options).unwrap().db.statements().execute("DELETE FROM erased", &[]).unwrap();
        assert_eq!(again(options, now()).unwrap(), 1);
        assert_eq!(Keeping::open(options).unwrap().dossier(ASHBY, &[], now()).unwrap().rows.len(), 1);
        Keeping::open(options).unwrap().db.statements().execute("DELETE FROM erased", &[]).unwrap();
        assert_eq!(again(options, now() + 400 * DAY).unwrap(), 0);
    });
}
