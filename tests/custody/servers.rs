//! The same on PostgreSQL: two gateways that share nothing but the database, a server that goes away and comes back.

use super::*;
use crate::support::postgres::{self, Databases, Postgres};
use crate::support::say;

const KILLS: u64 = 250;

/// Two gateways with one upstream: the second has the site key of the first, as its operator would give it.
fn two(name: &str, databases: &Databases, upstream: SocketAddr) -> [Gateway; 2] {
    let first = site(name, upstream).on(databases).start();
    let key = std::fs::read(first.data().join("site.key")).expect("the first start made the key");
    let second = site(name, upstream).on(databases).file("data/site.key", key).start();
    [first, second]
}

fn server(what: &str) -> Option<&'static Postgres> {
    postgres::shared(what)
}

#[test]
fn two_gateways_on_one_server_neither_lose_nor_double_over_five_hundred_kills() {
    let Some(server) = server("kills on PostgreSQL") else { return };
    let (sink, arrivals) = Arrivals::upstream();
    let mut gateways = two("pg-kills", &server.databases(), sink.address);
    let kills = KILLS * thoroughness();
    let (mut promises, mut unsure) = (Vec::new(), 0);
    let loads: Vec<_> = std::thread::scope(|scope| {
        let rigs: Vec<_> = gateways
            .iter_mut()
            .enumerate()
            .map(|(n, gateway)| {
                let arrivals = &arrivals;
                scope.spawn(move || {
                    let address = gateway.address("in");
                    let mut unsure = 0;
                    let promises = Load::during(address, &format!("pg{n}"), 2, &Watch::of(arrivals), |load| {
                        let mut random = Random::new(n as u64 + 1);
                        for _ in 0..kills {
                            let (enough, end) = (load.promised() + random.below(4) as usize, Instant::now() + Duration::from_secs(5));
                            while load.promised() < enough && Instant::now() < end {
                                std::thread::sleep(Duration::from_millis(1));
                            }
                            std::thread::sleep(Duration::from_micros(random.below(15_000)));
                            gateway.kill();
                            gateway.restart();
                        }
                        unsure = load.unsure.load(Ordering::Relaxed);
                    });
                    (promises, unsure)
                })
            })
            .collect();
        rigs.into_iter().map(|rig| rig.join().expect("a rig does not panic")).collect()
    });
    for (more, cut_off) in loads {
        promises.extend(more);
        unsure += cut_off;
    }
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE * 3);
    assert!(missing.is_empty(), "{} are lost, such as {:?}", missing.len(), missing.first());
    assert!(drained(&gateways[0], PATIENCE * 3), "something stays in custody:\n{}", gateways[0].tail(20));
    let doubled = arrivals.doubled().expect("what came twice is explained");
    assert!(promises.len() as u64 > kills, "only {} messages were taken into custody", promises.len());
    assert!(unsure > kills / 16, "only {unsure} messages were cut off by a kill");
    let promised = promises.len();
    say(&format!(
        "kill -9 on PostgreSQL: two gateways, {} kills, {promised} promised, {unsure} cut off, {doubled} doubled, none lost",
        kills * 2
    ));
}

/// One goes for good: what it had begun is finished by the other when its leases end.
#[test]
fn what_a_gateway_leaves_behind_is_delivered_by_the_other() {
    let Some(server) = server("a gateway that goes for good, on PostgreSQL") else { return };
    let (sink, arrivals) = Arrivals::upstream();
    let databases = server.databases();
    let mut gateways = two("pg-heir", &databases, sink.address);
    let address = gateways[0].address("in");
    let promises = Load::during(address, "heir", 3, &Watch { arrivals: None, position: &|| 0 }, |load| {
        while load.promised() < 60 {
            std::thread::sleep(Duration::from_millis(1));
        }
        gateways[0].kill();
    });
    // Nobody waits a minute for what can be said at once: its leases are as old as if one had passed.
    databases.ask("UPDATE parcel SET leased = leased - 60000 WHERE leased > 0").expect("the server answers");
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE);
    assert!(missing.is_empty(), "lost: {missing:?}\n{}", gateways[1].tail(20));
    assert!(drained(&gateways[1], PATIENCE), "{}", gateways[1].tail(20));
    arrivals.doubled().expect("what came twice is explained");
}

#[test]
fn a_server_that_goes_away_and_comes_back_stops_no_mail_that_needs_none() {
    let Some(_) = server("a server that goes away") else { return };
    let server = Postgres::start().expect("it was there a moment ago");
    let (sink, arrivals) = Arrivals::upstream();
    let gateway = site("pg-away", sink.address).on(&server.databases()).start();
    let mut promises = Vec::new();
    let once = |id: &str, fate: Fate, promises: &mut Vec<Promise>| {
        let code = connect(gateway.address("in")).and_then(|mut c| send(&mut c, id, fate).ok()).expect("an answer");
        if code == 250 || (code == 550 && fate == Fate::Refused && !id.starts_with("away")) {
            promises.push(Promise { id: id.into(), fate, position: 0 });
        }
        code
    };
    for fate in Fate::ALL {
        assert_eq!(once(&format!("before-{}", fate.subject()), fate, &mut promises), fate.answer());
    }
    server.set_down(true);
    for n in 0..3 {
        for fate in Fate::ALL {
            let code = once(&format!("away-{n}-{}", fate.subject()), fate, &mut promises);
            let expected = if matches!(fate, Fate::Copied | Fate::Held) { 451 } else { fate.answer() };
            assert_eq!(code, expected, "{fate:?}\n{}", gateway.tail(20));
        }
    }
    server.set_down(false);
    let end = Instant::now() + PATIENCE * 2;
    let back = (0..).find(|n| {
        assert!(Instant::now() < end, "custody does not come back:\n{}", gateway.tail(20));
        once(&format!("back-{n}"), Fate::Held, &mut promises) == 250
    });
    assert!(back.is_some());
    for fate in Fate::ALL {
        assert_eq!(once(&format!("after-{}", fate.subject()), fate, &mut promises), fate.answer());
    }
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE * 2);
    assert!(missing.is_empty(), "lost: {missing:?}\n{}", gateway.tail(20));
    assert_eq!(arrivals.doubled(), Ok(0));
}

/// A start without the server ends with what is wrong, and makes nothing.
#[test]
fn a_start_without_its_server_says_so() {
    let Some(server) = server("a start without its server") else { return };
    let (sink, _) = Arrivals::upstream();
    let mut databases = server.databases();
    let right = std::mem::replace(&mut databases.password, "wrong".into());
    let mut gateway = site("pg-wrong", sink.address).on(&databases).prepare();
    assert!(gateway.try_restart().is_err());
    assert!(gateway.log().contains("password authentication failed"), "{}", gateway.tail(20));
    assert!(!gateway.log().contains("wrong\""), "the password stands in the log");
    assert!(!gateway.data().join("site.key").exists());
    databases.password = right;
    databases.record.push_str("_nothere");
    let mut gateway = site("pg-none", sink.address).on(&databases).prepare();
    assert!(gateway.try_restart().is_err());
    assert!(gateway.log().contains("does not exist"), "{}", gateway.tail(20));
    // A second gateway without the key of the first.
    let databases = server.databases();
    let _first = site("pg-first", sink.address).on(&databases).start();
    let mut second = site("pg-second", sink.address).on(&databases).prepare();
    assert!(second.try_restart().is_err());
    assert!(second.log().contains("site.key"), "{}", second.tail(20));
}
