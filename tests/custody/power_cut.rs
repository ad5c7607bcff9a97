//! A power cut at any moment: what was not synced is gone, or half there. Every message that was in hand is in hand afterwards.

use super::remains::rebuild;
use super::shim::{Shim, Swallow, around, logged};
use super::*;
use crate::support::{Scratch, loopback, port, say};

/// Moments at which the power is cut, in each run.
const CUTS: u64 = 24;

#[test]
fn a_power_cut_loses_nothing_that_was_in_hand() {
    let Some(run) = Run::new("power", Swallow::Nothing, 120) else { return };
    let mut found = Found::default();
    for cut in 0..CUTS * thoroughness() {
        run.cut(cut, &mut found);
    }
    assert!(found.faults.is_empty(), "{}", found.faults.join("\n"));
    assert!(found.open > CUTS as usize * 4, "only {} changes were not synced at the cuts: that shows little", found.open);
    say(&format!("power cut: {} cuts, {} promises kept, {} unsynced changes", found.cuts, found.kept, found.open));
}

/// The test of the test: a disk that lies about what it has must be found out.
#[test]
fn a_disk_that_swallows_a_sync_is_found_out() {
    for lie in [Swallow::Files, Swallow::Folders, Swallow::Keyring] {
        let Some(run) = Run::new("lies", lie, 30) else { return };
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
}

/// What was done to the folder of a gateway, and what its clients were promised.
struct Run {
    log: Vec<u8>,
    promises: Vec<Promise>,
    data: std::path::PathBuf,
    /// Keeps the names of the paths in the log.
    _scratch: Gateway,
}

impl Run {
    /// A gateway under load whose upstream is away, so that all stays in its hands. None where it cannot be had here.
    fn new(name: &str, lie: Swallow, messages: usize) -> Option<Run> {
        let upstream = loopback(port());
        let site = logged(around(with_upstream_away(name, upstream), "a power cut")?);
        let mut gateway = site.prepare();
        let shim = Shim::of(&gateway);
        shim.swallow(lie);
        gateway.restart();
        let position = || shim.position();
        let watch = Watch { arrivals: None, position: &position };
        let promises = Load::during(gateway.address("in"), name, 3, &watch, |load| {
            let end = Instant::now() + PATIENCE;
            while load.promised() < messages && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        gateway.kill();
        assert!(promises.len() >= messages, "only {} messages were taken", promises.len());
        Some(Run { log: shim.log(), promises, data: gateway.data(), _scratch: gateway })
    }

    /// Cuts the power at a moment, and sees what the next start makes of what is left.
    fn cut(&self, seed: u64, found: &mut Found) {
        let mut random = Random::new(seed + 1);
        let first = self.promises.iter().map(|p| p.position).min().unwrap_or(0);
        let position = first + random.below(self.log.len() as u64 - first + 1);
        let (sink, arrivals) = Arrivals::upstream();
        let mut gateway = site("after", sink.address).prepare();
        let _ = std::fs::remove_dir_all(gateway.data());
        let open = rebuild(&self.log, position, &self.data, &gateway.data(), &mut random);
        let promised: BTreeSet<Arrived> =
            self.promises.iter().filter(|p| p.position <= position && p.fate != Fate::Relayed).flat_map(Promise::arrives).collect();
        found.cuts += 1;
        found.open += open;
        let fault = match gateway.try_restart() {
            Err(error) => Some(format!("it does not start: {error}")),
            Ok(()) => {
                let quiet = drained(&gateway, PATIENCE);
                let missing = arrivals.wait_for(&promised, if quiet { Duration::from_millis(200) } else { PATIENCE });
                let doubled = arrivals.doubled();
                found.kept += promised.len() - missing.len();
                match (missing.first(), doubled) {
                    (Some(one), _) => Some(format!("{} of {} are lost, such as {one:?}", missing.len(), promised.len())),
                    (None, Err(fault)) => Some(fault),
                    _ if !quiet => Some("something stays in custody".into()),
                    _ => None,
                }
            }
        };
        if let Some(fault) = fault {
            // What it was can be looked at.
            let kept = Scratch::new("power-cut");
            copy_folder(&gateway.data(), kept.path());
            found.faults.push(format!("cut {seed} at {position} of {}: {fault}\n{}", self.log.len(), gateway.tail(8)));
        }
    }
}

fn with_upstream_away(name: &str, away: SocketAddr) -> Site {
    let (sink, _) = Arrivals::upstream();
    let site =
        site(name, sink.address).upstream("away", away, "none", "").table("[outbox]\nupstream = \"away\"\nfrom = \"gate@wragby.test\"");
    std::mem::forget(sink);
    site
}
