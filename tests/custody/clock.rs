//! A clock that is wrong: what is in custody is never made unreadable, and what is kept on record does not go at once.

use super::shim::{Shim, around};
use super::*;
use crate::support::{loopback, port};

const DAY: i64 = 86_400_000;

/// Notices wait while the clock jumps, in whichever direction and however far; then the upstream is there.
#[test]
fn a_clock_that_jumps_loses_nothing_in_custody() {
    // Notices are given up after five days, and the log says so: a clock that is wrong by more may cost one. One that was ahead by less
    // than a day delays them by as much.
    for (name, jump) in [("back", -4 * DAY), ("two", 2 * DAY), ("ahead", 4 * DAY)] {
        let (sink, arrivals) = Arrivals::upstream();
        let away = loopback(port());
        let table = "[digest]\nday = \"never\"\n[outbox]\nupstream = \"away\"\nfrom = \"gate@wragby.test\"";
        let Some(site) = around(site("clock", sink.address).upstream("away", away, "none", "").table(table), "a wrong clock") else {
            return;
        };
        let mut gateway = site.prepare();
        let shim = Shim::of(&gateway);
        gateway.restart();
        let mut promises = Vec::new();
        let mut take = |gateway: &Gateway, when: &str| {
            for n in 0..5 {
                let id = format!("{name}-{when}-{n}");
                let mut client = connect(gateway.address("in")).expect("it answers");
                assert_eq!(send(&mut client, &id, Fate::Refused), Ok(550));
                promises.push(Promise { id, fate: Fate::Refused, position: 0 });
            }
        };
        take(&gateway, "before");
        shim.clock(jump);
        take(&gateway, "after");
        gateway.restart();
        take(&gateway, "restarted");
        // It is set right again.
        shim.clock(0);
        take(&gateway, "right");
        let provider = Sink::counting_at(away, &["PIPELINING"], {
            let arrivals = arrivals.clone();
            move |captured| arrivals.count(&captured)
        });
        gateway.restart();
        let missing = arrivals.wait_for(&all_that(&promises), PATIENCE);
        assert!(missing.is_empty(), "{name}: lost: {missing:?}\n{}", gateway.tail(20));
        assert_eq!(arrivals.doubled(), Ok(0), "{name}");
        drop(provider);
    }
}
