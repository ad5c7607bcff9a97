//! Every named point is passed under load, the program ends there, and what it leaves behind is made good by the next start.

use std::process::Stdio;

use lychgate::observe::crash::Point;

use super::*;
use crate::support::gateway::binary;
use crate::support::{say, skip};

/// Which passings of a point end the program: the first finds an empty store, a later one a busy one.
const PASSINGS: [u32; 2] = [1, 4];

/// How a point is come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// The first start.
    FirstStart,
    /// Mail.
    Load,
    /// Another test.
    Nobody,
}

fn by(point: Point) -> By {
    match point {
        Point::SiteKeyMade | Point::RingMade | Point::DatabaseNamed | Point::SiteKeyNamed => By::FirstStart,
        // Passed once a week: tests/features/digest.rs.
        Point::DigestWritten | Point::DigestSent => By::Nobody,
        // Office work, not mail: src/records/access/tests.rs.
        Point::AccessLogged => By::Nobody,
        _ => By::Load,
    }
}

/// Points that a busy gateway passes once in its life, or once a day.
fn is_rare(point: Point) -> bool {
    matches!(point, Point::KeyMaking | Point::KeyMade | Point::CustodyRowsPurged | Point::CustodyKeysPurged)
}

#[test]
fn a_crash_at_any_point_loses_nothing() {
    if !cfg!(debug_assertions) || std::env::var_os("LYCHGATE_BINARY").is_some() {
        return skip("crash points", "a release build has none");
    }
    let points: Vec<Point> = Point::ALL.iter().copied().filter(|p| by(*p) != By::Nobody).collect();
    let faults: Vec<String> = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let points = points.clone();
                scope.spawn(move || points.into_iter().skip(half).step_by(2).flat_map(crashes).collect::<Vec<_>>())
            })
            .collect();
        halves.into_iter().flat_map(|h| h.join().expect("a rig does not panic")).collect()
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    say(&format!("crash points: {} points passed, none lost", points.len()));
}

fn crashes(point: Point) -> Vec<String> {
    let passings = if by(point) == By::Load && !is_rare(point) { &PASSINGS[..] } else { &PASSINGS[..1] };
    let crash = |nth: &u32| crash(point, *nth).err().map(|fault| format!("{} ({nth}): {fault}", point.name()));
    passings.iter().filter_map(crash).collect()
}

fn crash(point: Point, nth: u32) -> Result<(), String> {
    let (sink, arrivals) = Arrivals::upstream();
    let mut gateway = site("crash", sink.address).environment("LYCHGATE_CRASH", &format!("{}:{nth}", point.name())).prepare();
    if by(point) == By::FirstStart {
        let ended = gateway.try_restart();
        if ended.is_ok() {
            return Err("the first start did not pass it".into());
        }
    }
    let address = gateway.address("in");
    let mut crashed = false;
    let promises = Load::during(address, point.name(), 2, &Watch::of(&arrivals), |load| {
        if by(point) == By::Load {
            // It may end while it starts, too.
            let _ = gateway.try_restart();
            crashed = gateway.wait(PATIENCE).is_some_and(|status| !status.success());
        } else {
            crashed = true;
        }
        gateway.set_environment(&[]);
        gateway.restart();
        let enough = load.promised() + 10;
        let end = Instant::now() + PATIENCE;
        while load.promised() < enough && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    if !crashed {
        return Err("it was never passed".into());
    }
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE);
    if !missing.is_empty() {
        return Err(format!("lost: {missing:?}\n{}", gateway.tail(20)));
    }
    if !drained(&gateway, PATIENCE) {
        return Err(format!("something stays in custody:\n{}", gateway.tail(20)));
    }
    let doubled = arrivals.doubled()?;
    // One crash, and at most as many as there were connections; where the crash came between the taking and the keeping, it must show.
    let must = usize::from(matches!(point, Point::NoticeTaken | Point::MailAnswered));
    if doubled > CONNECTIONS || doubled < must {
        return Err(format!("{doubled} came twice"));
    }
    Ok(())
}

#[test]
fn a_point_that_does_not_exist_ends_the_program_at_once() {
    if !cfg!(debug_assertions) || std::env::var_os("LYCHGATE_BINARY").is_some() {
        return skip("crash points", "a release build has none");
    }
    let (sink, _) = Arrivals::upstream();
    let gateway = site("misspelt", sink.address).prepare();
    let ended = std::process::Command::new("timeout")
        .args(["20", &binary(), "serve", "--config"])
        .arg(gateway.scratch.path().join("lychgate.toml"))
        .env("LYCHGATE_CRASH", "deposit-writen")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    assert!(!ended.success() && ended.code() != Some(124), "{ended}");
}
