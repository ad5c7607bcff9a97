//! `kill -9` at random moments under load.

use super::*;
use crate::support::say;

const RIGS: u64 = 4;
const KILLS: u64 = 126;

#[test]
fn nothing_in_custody_is_lost_or_doubled_over_five_hundred_kills() {
    let kills = KILLS * thoroughness();
    let results: Vec<_> = std::thread::scope(|scope| {
        let rigs: Vec<_> = (0..RIGS).map(|rig| scope.spawn(move || run(rig, kills))).collect();
        rigs.into_iter().map(|rig| rig.join().expect("a rig does not panic")).collect()
    });
    let (mut promised, mut unsure, mut doubled, mut faults) = (0, 0, 0, Vec::new());
    for result in results {
        promised += result.promised;
        unsure += result.unsure;
        faults.extend(result.missing.iter().map(|m| format!("{m:?} never came")));
        match result.doubled {
            Ok(n) => doubled += n,
            Err(fault) => faults.push(fault),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The load must have been there, and the kills must have hit it.
    assert!(promised as u64 > RIGS * kills, "only {promised} messages were taken into custody");
    assert!(unsure > RIGS * kills / 8, "only {unsure} messages were cut off by a kill");
    say(&format!("kill -9, custody: {} kills, {promised} promised, {unsure} cut off, {doubled} doubled, none lost", RIGS * kills));
}

struct Outcome {
    promised: usize,
    unsure: u64,
    missing: Vec<Arrived>,
    doubled: Result<usize, String>,
}

fn run(rig: u64, kills: u64) -> Outcome {
    let (sink, arrivals) = Arrivals::upstream();
    let mut gateway = site("kills", sink.address).start();
    let address = gateway.address("in");
    let mut unsure = 0;
    let promises = Load::during(address, &format!("k{rig}"), 3, &Watch::of(&arrivals), |load| {
        let mut random = Random::new(rig + 1);
        for _ in 0..kills {
            // Some mail first, however slow the disk; then a moment at random.
            let (enough, end) = (arrivals.messages() + random.below(6) as usize, Instant::now() + Duration::from_secs(5));
            while arrivals.messages() < enough && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_micros(random.below(15_000)));
            gateway.kill();
            gateway.restart();
        }
        unsure = load.unsure.load(Ordering::Relaxed);
    });
    let missing = arrivals.wait_for(&all_that(&promises), PATIENCE);
    assert!(drained(&gateway, PATIENCE), "something stays in custody:\n{}", gateway.tail(20));
    Outcome { promised: promises.len(), unsure, missing, doubled: arrivals.doubled() }
}
