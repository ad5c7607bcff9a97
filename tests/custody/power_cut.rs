//! A power cut at any moment: what was not synced is gone, or half there. Every message that was in hand is in hand afterwards.

use super::remains::rebuild;
use super::shim::{Shim, Swallow, around, logged};
use super::*;
use crate::support::{Scratch, say};

/// Moments at which the power is cut, in each run.
const CUTS: u64 = 24;

#[test]
fn a_power_cut_loses_nothing_that_was_in_hand() {
    let Some(run) = Run::new("power", Upstream::Away, Swallow::Nothing, 120) else { return };
    run.cut_and_tell("power cut, all in custody");
}

#[test]
fn a_power_cut_between_deliveries_loses_nothing_and_repeats_little() {
    let Some(run) = Run::new("deliveries", Upstream::There, Swallow::Nothing, 150) else { return };
    assert!(run.taken.len() > 50, "only {} messages were delivered before the cut", run.taken.len());
    run.cut_and_tell("power cut, between deliveries");
}

#[test]
fn a_power_cut_at_the_first_start_is_made_good_by_the_next() {
    let Some(run) = Run::new("first", Upstream::Away, Swallow::Nothing, 1) else { return };
    let mut found = Found::default();
    for cut in 0..CUTS * thoroughness() {
        let mut random = Random::new(cut + 1);
        let position = random.below(run.first() + 1);
        run.cut_at(position, &mut random, &mut found);
    }
    assert!(found.faults.is_empty(), "{}", found.faults.join("\n"));
    say(&format!("power cut, first start: {} cuts, {} unsynced changes", found.cuts, found.open));
}

/// The test of the test: a disk that lies about what it has must be found out.
#[test]
fn a_disk_that_swallows_a_sync_is_found_out() {
    for lie in [Swallow::Files, Swallow::Folders, Swallow::Keyring] {
        let Some(run) = Run::new("lies", Upstream::Away, lie, 30) else { return };
        let mut found = Found::default();
        for cut in 0..CUTS {
            run.cut(cut, &mut found);
            if !found.faults.is_empty() {
                break;
            }
        }
        assert!(!found.faults.is_empty(), "nothing was lost with the syncs of {lie:?} swallowed, over {} cuts", found.cuts);
    }
}

#[derive(Default)]
struct Found {
    faults: Vec<String>,
    cuts: u64,
    kept: usize,
    open: usize,
    doubled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Upstream {
    There,
    /// All stays in the gateway's hands.
    Away,
}

/// What was done to the folder of a gateway, and what its clients were promised.
struct Run {
    log: Vec<u8>,
    promises: Vec<Promise>,
    /// What the upstream had before the cut, and how much stood in the log then.
    taken: BTreeMap<Arrived, u64>,
    data: std::path::PathBuf,
    /// Keeps the names of the paths in the log.
    _gateway: Gateway,
}

impl Run {
    /// A gateway under load. None where the shim cannot be had here.
    fn new(name: &str, upstream: Upstream, lie: Swallow, messages: usize) -> Option<Run> {
        let (sink, arrivals) = Arrivals::upstream();
        let mut site = site(name, sink.address);
        if upstream == Upstream::Away {
            site = away(site);
        }
        let mut gateway = logged(around(site, "a power cut")?).prepare();
        let shim = Shim::of(&gateway);
        shim.swallow(lie);
        gateway.restart();
        let position = || shim.position();
        arrivals.watch(Shim::of(&gateway));
        let watch = Watch { arrivals: (upstream == Upstream::There).then_some(&arrivals), position: &position };
        let promises = Load::during(gateway.address("in"), name, 3, &watch, |load| {
            let end = Instant::now() + PATIENCE;
            while load.promised() < messages && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        gateway.kill();
        assert!(promises.len() >= messages, "only {} messages were taken", promises.len());
        Some(Run { log: shim.log(), promises, taken: arrivals.taken_at(), data: gateway.data(), _gateway: gateway })
    }

    /// Where the log stood when the first message was in hand.
    fn first(&self) -> u64 {
        self.promises.iter().map(|p| p.position).min().unwrap_or(0)
    }

    fn cut_and_tell(&self, what: &str) {
        let mut found = Found::default();
        for cut in 0..CUTS * thoroughness() {
            self.cut(cut, &mut found);
        }
        assert!(found.faults.is_empty(), "{}", found.faults.join("\n"));
        assert!(found.open > found.cuts as usize * 4, "only {} changes were not synced at the cuts: that shows little", found.open);
        let Found { cuts, kept, open, doubled, .. } = found;
        say(&format!("{what}: {cuts} cuts, {kept} promises kept, {doubled} doubled, {open} unsynced changes"));
    }

    fn cut(&self, seed: u64, found: &mut Found) {
        let mut random = Random::new(seed + 1);
        let position = self.first() + random.below(self.log.len() as u64 - self.first() + 1);
        self.cut_at(position, &mut random, found);
    }

    /// Cuts the power at a moment, and sees what the next start makes of what is left.
    fn cut_at(&self, position: u64, random: &mut Random, found: &mut Found) {
        let (sink, arrivals) = Arrivals::upstream();
        let mut gateway = site("after", sink.address).prepare();
        let _ = std::fs::remove_dir_all(gateway.data());
        found.open += rebuild(&self.log, position, &self.data, &gateway.data(), random);
        found.cuts += 1;
        let taken: BTreeSet<&Arrived> = self.taken.iter().filter(|(_, at)| **at <= position).map(|(arrived, _)| arrived).collect();
        let in_custody = self.promises.iter().filter(|p| p.position <= position && p.fate != Fate::Relayed);
        let promised: BTreeSet<Arrived> = in_custody.flat_map(Promise::arrives).filter(|a| !taken.contains(a)).collect();
        if let Err(fault) = self.outcome(&mut gateway, &arrivals, &promised, &taken, found) {
            // What it was can be looked at.
            let kept = Scratch::new("power-cut");
            copy_folder(&gateway.data(), kept.path());
            found.faults.push(format!("cut at {position} of {}: {fault}\n{}", self.log.len(), gateway.tail(8)));
        }
    }

    fn outcome(
        &self,
        gateway: &mut Gateway,
        arrivals: &Arrivals,
        promised: &BTreeSet<Arrived>,
        taken: &BTreeSet<&Arrived>,
        found: &mut Found,
    ) -> Result<(), String> {
        gateway.try_restart().map_err(|error| format!("it does not start: {error}"))?;
        let quiet = drained(gateway, PATIENCE);
        let missing = arrivals.wait_for(promised, if quiet { Duration::from_millis(200) } else { PATIENCE });
        found.kept += promised.len() - missing.len();
        if let Some(one) = missing.first() {
            return Err(format!("{} of {} are lost, such as {one:?}", missing.len(), promised.len()));
        }
        if !quiet {
            return Err("something stays in custody".into());
        }
        arrivals.doubled()?;
        let again = arrivals.copies().keys().filter(|a| taken.contains(a)).count();
        found.doubled += again;
        if again > CONNECTIONS {
            return Err(format!("{again} messages came again that had been delivered"));
        }
        // It takes mail as if nothing had been.
        let mut client = connect(gateway.address("in")).ok_or("it does not answer")?;
        match send(&mut client, "afterwards", Fate::Refused) {
            Ok(550) => Ok(()),
            other => Err(format!("a message afterwards is answered {other:?}")),
        }
    }
}
