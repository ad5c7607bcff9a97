//! Whatever waits for custody at the same time shares one sync of the disk; counted, not timed.

use super::remains::syncs;
use super::shim::{Shim, around, logged};
use super::*;
use crate::support::say;

const CLIENTS: usize = 24;
const MESSAGES: usize = 240;

#[test]
fn many_messages_share_one_sync() {
    let (sink, _arrivals) = Arrivals::upstream();
    let Some(site) = around(away(site("groups", sink.address)), "group commit") else { return };
    let mut gateway = logged(site).prepare();
    let shim = Shim::of(&gateway);
    gateway.restart();
    // A slow disk, also beside a slow processor: the quicker it is, the less there is to share.
    shim.slow(Duration::from_millis(30));
    let before = syncs(&shim.log(), "custody.db-wal");
    let watch = Watch { arrivals: None, position: &|| 0 };
    let promises = Load::during(gateway.address("in"), "groups", CLIENTS, &watch, |load| {
        let end = Instant::now() + PATIENCE;
        while load.promised() < MESSAGES && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    gateway.kill();
    let deposits = promises.iter().filter(|p| p.fate != Fate::Relayed).count();
    let syncs = syncs(&shim.log(), "custody.db-wal") - before;
    assert!(deposits >= MESSAGES / 3, "only {deposits} messages were taken");
    // By itself each would take one at least; a busy processor leaves fewer that wait together (36 to 89 for 200 were seen).
    assert!(syncs * 3 < deposits * 2, "{deposits} messages took {syncs} syncs: each pays for its own");
    say(&format!("group commit: {deposits} messages took {syncs} syncs"));
}
