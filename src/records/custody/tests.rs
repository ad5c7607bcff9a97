use super::*;
use crate::records::database::{Database, Durability, Value, values};
use crate::records::tests::{Folder, on_each_engine};

const DAY: i64 = 86_400_000;
const NONE: [i64; 0] = [];
const NOW: i64 = 1_780_000_000_000;

fn sheet(to: &[&str]) -> Sheet {
    let recipients =
        to.iter().map(|a| Recipient { address: (*a).into(), parameters: " NOTIFY=FAILURE".into(), state: Fate::Waiting }).collect();
    Sheet { reference: "LG-7F3KXXXX".into(), taken: NOW, reverse_path: "clerk@wragby.gov.uk".into(), recipients, ..Sheet::default() }
}

pub(super) fn parcel(state: State, to: &[&str]) -> NewParcel {
    NewParcel { id: None, state, due: NOW, ends: NOW + 5 * DAY, sheet: sheet(to) }
}

pub(super) fn deposit(parcels: Vec<NewParcel>) -> Deposit {
    Deposit { kind: Kind::Mail, content: b"Subject: Hedge\r\n\r\nMrs Ashby\r\n".to_vec(), parcels, told: vec![(b"once".to_vec(), DAY)] }
}

/// Each of these runs on every engine that is there.
pub(super) fn on_each(test: impl Fn(&mut dyn FnMut() -> Box<dyn Custody>)) {
    with_options(|options| test(&mut || open(options).unwrap()));
}

fn with_options(test: impl Fn(&Options)) {
    on_each_engine(|| {
        let folder = Folder::new();
        test(&folder.prepared());
    });
}

fn statement(options: &Options, sql: &str, values: &[Value<'_>]) -> u64 {
    Database::open(&options.custody, Durability::Full).unwrap().statements().execute(sql, values).unwrap()
}

/// What is leased is so much older: leases go by the server's clock, which a test cannot put forward.
fn lets_pass(options: &Options, milliseconds: i64) {
    statement(options, "UPDATE parcel SET leased = leased - ?1 WHERE leased > 0", values![milliseconds]);
}

fn claimed(custody: &mut dyn Custody, now: i64) -> Vec<i64> {
    custody.claim(Kind::Mail, "", 100, now).unwrap().parcels.iter().map(|p| p.id).collect()
}

#[test]
fn what_is_accepted_is_there_after_a_restart_and_goes_with_its_last_copy() {
    on_each(|open| {
        let mut custody = open();
        let copies = ["a@x.uk", "b@x.uk"].map(|a| parcel(State::Waiting, &[a])).to_vec();
        let ids = custody.accept(&[deposit(copies), deposit(vec![parcel(State::Waiting, &["c@x.uk"])])], NOW).unwrap();
        assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        drop(custody);
        let mut custody = open();
        let claim = custody.claim(Kind::Mail, "", 100, NOW).unwrap();
        assert_eq!((claim.parcels.len(), claim.next), (3, None));
        let first = claim.parcels.iter().find(|p| p.id == ids[0][0]).unwrap();
        assert_eq!(first.sheet.recipients[0].address, "a@x.uk");
        assert_eq!(first.sheet.recipients[0].parameters, " NOTIFY=FAILURE");
        assert_eq!(custody.content(ids[0][1]).unwrap().unwrap(), b"Subject: Hedge\r\n\r\nMrs Ashby\r\n");
        custody.settle(vec![(ids[0][0], Decision::done())], NOW).unwrap();
        assert!(custody.content(ids[0][1]).unwrap().is_some(), "the other copy needs it");
        custody.settle(vec![(ids[0][1], Decision::done()), (ids[1][0], Decision::done())], NOW).unwrap();
        assert_eq!(custody.counts().unwrap(), Counts::default());
        assert_eq!(custody.content(ids[0][1]).unwrap(), None);
    });
}

#[test]
fn what_is_leased_is_nobody_elses_until_the_lease_ends() {
    with_options(|options| {
        let mut custody = open(options).unwrap();
        let id = custody.accept(&[deposit(vec![parcel(State::Waiting, &["a@x.uk"])])], NOW).unwrap()[0][0];
        assert_eq!(claimed(custody.as_mut(), NOW - 1), NONE, "it is not due");
        assert_eq!(claimed(custody.as_mut(), NOW), [id]);
        lets_pass(options, 30_000);
        assert_eq!(claimed(custody.as_mut(), NOW), NONE);
        assert_eq!(custody.decide(id, NOW, &mut |_| Ok(Decision::done())).unwrap(), Decided::Busy);
        assert_eq!(custody.renew(&[id], NOW).unwrap(), NONE);
        lets_pass(options, 50_000);
        assert_eq!(claimed(custody.as_mut(), NOW), NONE);
        lets_pass(options, 10_000);
        assert_eq!(claimed(custody.as_mut(), NOW), [id]);
        // Tried, and to be tried again.
        let later = NewParcel { id: None, due: NOW + DAY, ..parcel(State::Waiting, &["a@x.uk"]) };
        let again = Decision { becomes: Becomes::This(Box::new(later)), also: Vec::new(), tally: None };
        custody.settle(vec![(id, again)], NOW).unwrap();
        assert_eq!(custody.renew(&[id], NOW).unwrap(), [id], "the lease is over");
        let claim = custody.claim(Kind::Mail, "", 100, NOW + 120_000).unwrap();
        assert_eq!((claim.parcels.len(), claim.next), (0, Some(NOW + DAY)));
        let parcel = custody.parcel(id).unwrap().unwrap();
        assert_eq!((parcel.attempts, parcel.due), (1, NOW + DAY));
    });
}

#[test]
fn a_restart_frees_what_the_one_before_had_leased() {
    on_each(|open| {
        let mut custody = open();
        let id = custody.accept(&[deposit(vec![parcel(State::Waiting, &["a@x.uk"])])], NOW).unwrap()[0][0];
        assert_eq!(claimed(custody.as_mut(), NOW), [id]);
        drop(custody);
        let mut custody = open();
        assert_eq!(claimed(custody.as_mut(), NOW), [id]);
    });
}

/// What another gateway on the same server has leased is its own until the lease ends, whatever starts beside it.
#[test]
fn a_restart_frees_nothing_of_another_gateway() {
    on_each_engine(|| {
        let folder = Folder::new();
        let options = folder.prepared();
        if options.custody.file().is_some() {
            return;
        }
        let mut one = open(&options).unwrap();
        let id = one.accept(&[deposit(vec![parcel(State::Waiting, &["a@x.uk"])])], NOW).unwrap()[0][0];
        assert_eq!(claimed(one.as_mut(), NOW), [id]);
        // It has the file of its name locked, so that this is not the same gateway.
        let mut two = open(&options).unwrap();
        assert_eq!(claimed(two.as_mut(), NOW), NONE);
        assert_eq!(two.decide(id, NOW, &mut |_| Ok(Decision::done())).unwrap(), Decided::Busy);
        lets_pass(&options, LEASE.as_millis() as i64);
        assert_eq!(claimed(two.as_mut(), NOW), [id]);
        // Too late: what the first says of it now changes nothing.
        let later = Decision::of(Becomes::This(Box::new(NewParcel { due: NOW + DAY, ..parcel(State::Waiting, &["a@x.uk"]) })));
        one.settle(vec![(id, later)], NOW).unwrap();
        assert_eq!(two.parcel(id).unwrap().unwrap().due, NOW);
        // It hears which one it may not send any more, and keeps the others.
        let other = one.accept(&[deposit(vec![parcel(State::Waiting, &["b@x.uk"])])], NOW).unwrap()[0][0];
        assert_eq!(claimed(one.as_mut(), NOW), [other]);
        assert_eq!(one.renew(&[id, other], NOW).unwrap(), [id]);
    });
}

#[test]
fn a_clock_that_was_wrong_costs_no_parcel() {
    on_each(|open| {
        let mut custody = open();
        // Taken by a clock that was forty days ahead: due forty days from now, and so at once.
        let ids = custody.accept(&[deposit(vec![parcel_to("a@x.uk")])], NOW + 40 * DAY).unwrap();
        let ahead = NewParcel { id: None, due: NOW + 40 * DAY, ends: NOW + 45 * DAY, ..parcel_to("b@x.uk") };
        let other = custody.accept(&[deposit(vec![ahead])], NOW + 40 * DAY).unwrap();
        assert_eq!(claimed(custody.as_mut(), NOW), [ids[0][0], other[0][0]]);
        // A purge by a clock that is years ahead leaves the council's mail, and the keys that open it.
        custody.purge(NOW + 4_000 * DAY).unwrap();
        for id in [ids[0][0], other[0][0]] {
            assert!(custody.content(id).unwrap().is_some());
            custody.settle(vec![(id, Decision::done())], NOW).unwrap();
        }
        // With the last of it the keys go too.
        assert!(custody.purge(NOW + 4_000 * DAY).unwrap().keys > 0);
    });
}

#[test]
fn held_mail_is_released_as_copies_or_goes() {
    on_each(|open| {
        let mut custody = open();
        let held = custody.accept(&[deposit(vec![parcel(State::Held, &["a@x.uk", "b@x.uk"])])], NOW).unwrap()[0][0];
        assert_eq!(claimed(custody.as_mut(), NOW + DAY), NONE);
        let which = Which { kind: Kind::Mail, state: State::Held, most: 10, due: None };
        assert_eq!(custody.list(which).unwrap().iter().map(|p| p.id).collect::<Vec<_>>(), [held]);
        // What an error stops changes nothing.
        let refused = custody.decide(held, NOW, &mut |_| Err(StoreError::Stopped));
        assert!(matches!(refused, Err(StoreError::Stopped)));
        let mut seen = 0;
        let decided = custody
            .decide(held, NOW, &mut |parcel| {
                seen = parcel.sheet.recipients.len();
                let notice =
                    Deposit { kind: Kind::Notice, content: b"released".to_vec(), ..deposit(vec![parcel_to("clerk@wragby.gov.uk")]) };
                let copies = ["a@x.uk", "b@x.uk"].map(parcel_to).to_vec();
                Ok(Decision { becomes: Becomes::These(copies), also: vec![notice], tally: None })
            })
            .unwrap();
        let Decided::Done(ids) = decided else { panic!("{decided:?}") };
        assert_eq!((seen, ids.len()), (2, 2));
        assert_eq!(custody.content(ids[1]).unwrap().unwrap(), b"Subject: Hedge\r\n\r\nMrs Ashby\r\n");
        let counts = custody.counts().unwrap();
        assert_eq!((counts.held, counts.mail, counts.notices, counts.oldest), (0, 2, 1, Some(NOW)));
        assert_eq!(custody.decide(held, NOW, &mut |_| Ok(Decision::done())).unwrap(), Decided::Absent, "it was decided once");
    });
}

fn parcel_to(address: &str) -> NewParcel {
    parcel(State::Waiting, &[address])
}

#[test]
fn held_mail_keeps_its_number_when_it_is_released_whole() {
    on_each(|open| {
        let mut custody = open();
        let held = custody.accept(&[deposit(vec![parcel(State::Held, &["a@x.uk"])])], NOW).unwrap()[0][0];
        let release = |_: &Parcel| Ok(Decision { becomes: Becomes::This(Box::new(parcel_to("a@x.uk"))), also: Vec::new(), tally: None });
        assert_eq!(custody.decide(held, NOW + DAY, &mut |p| release(p)).unwrap(), Decided::Done(Vec::new()));
        assert_eq!(claimed(custody.as_mut(), NOW + DAY), [held]);
        // Its keys as held mail may go: it is under those of delivery now.
        custody.purge(NOW + 9 * DAY).unwrap();
        assert_eq!(custody.content(held).unwrap().unwrap(), b"Subject: Hedge\r\n\r\nMrs Ashby\r\n");
    });
}

#[test]
fn what_was_told_is_remembered_for_its_time() {
    on_each(|open| {
        let mut custody = open();
        assert!(!custody.is_told(b"once", NOW).unwrap());
        custody.accept(&[deposit(vec![parcel_to("a@x.uk")])], NOW).unwrap();
        assert!(custody.is_told(b"once", NOW + DAY - 1).unwrap());
        assert!(!custody.is_told(b"once", NOW + DAY).unwrap());
        assert!(!custody.is_told(b"twice", NOW).unwrap());
        assert_eq!(custody.purge(NOW + DAY).unwrap().told, 1);
    });
}

#[test]
fn a_purge_never_drops_the_councils_mail() {
    on_each(|open| {
        let mut custody = open();
        let notice = Deposit { kind: Kind::Notice, ..deposit(vec![parcel_to("clerk@wragby.gov.uk")]) };
        custody.accept(&[deposit(vec![parcel_to("a@x.uk")]), notice], NOW).unwrap();
        assert_eq!(custody.purge(NOW + 5 * DAY - 1).unwrap().notices, 0);
        assert_eq!(custody.purge(NOW + 5 * DAY).unwrap().notices, 1);
        let counts = custody.counts().unwrap();
        assert_eq!((counts.mail, counts.notices), (1, 0));
    });
}

/// A message that was kept back for long, or a clock that is a year ahead: its key goes when it goes, not before.
#[test]
fn no_key_goes_that_a_message_needs() {
    on_each(|open| {
        let mut custody = open();
        let ids = custody
            .accept(&[deposit(vec![parcel(State::Stopped, &["a@x.uk"])]), deposit(vec![parcel(State::Held, &["b@x.uk"])])], NOW)
            .unwrap();
        let year = NOW + 365 * DAY;
        assert_eq!(custody.purge(year).unwrap().keys, 0);
        for id in [ids[0][0], ids[1][0]] {
            assert_eq!(custody.content(id).unwrap().unwrap(), b"Subject: Hedge\r\n\r\nMrs Ashby\r\n");
            custody.decide(id, year, &mut |_| Ok(Decision::done())).unwrap();
        }
        assert_eq!(custody.purge(year).unwrap().keys, 2);
    });
}

#[test]
fn what_cannot_be_opened_is_set_aside_and_the_others_go_on() {
    with_options(|options| {
        let mut custody = open(options).unwrap();
        let ids = custody.accept(&[deposit(vec![parcel_to("a@x.uk")]), deposit(vec![parcel_to("b@x.uk")])], NOW).unwrap();
        let mut db = Database::open(&options.custody, Durability::Full).unwrap();
        let mut sealed = db
            .statements()
            .first("SELECT sealed FROM parcel WHERE id = ?1", values![ids[0][0]], |r| Ok(r.octets(0)?.to_vec()))
            .unwrap()
            .unwrap();
        *sealed.last_mut().unwrap() ^= 1;
        statement(options, "UPDATE parcel SET sealed = ?2 WHERE id = ?1", values![ids[0][0], &sealed[..]]);
        assert_eq!(claimed(custody.as_mut(), NOW), [ids[1][0]]);
        let counts = custody.counts().unwrap();
        assert_eq!((counts.broken, counts.mail), (1, 1));
        let broken = custody.list(Which { kind: Kind::Mail, state: State::Broken, most: 10, due: None }).unwrap();
        assert_eq!(broken.iter().map(|p| p.id).collect::<Vec<_>>(), [ids[0][0]]);
        // A row that was moved to another's place does not open either.
        let moved = "UPDATE parcel SET sealed = (SELECT sealed FROM parcel WHERE id = ?2), state = 1 WHERE id = ?1";
        statement(options, moved, values![ids[0][0], ids[1][0]]);
        assert!(matches!(custody.parcel(ids[0][0]), Err(StoreError::Sealed)));
    });
}
