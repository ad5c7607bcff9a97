//! What time a purge believes it is.
//!
//! A purge cannot be undone, and a clock can be wrong: a machine that wakes in 2031 would find every row expired. So the time of the
//! last purge is kept in the store, and a clock that has run ahead of it by more than passed on the machine's own steady clock and
//! [`GAP`] is not believed: the purge goes on by the steady clock, says so in its receipt, and waits for somebody to confirm that the
//! time is right (`lychgate retention run --confirm`). A clock that went back expires nothing early, and is not remembered.

use super::StoreError;
use super::database::{Statements, values};

/// How far the clock may run ahead between two purges without anybody being asked: a machine may be switched off over a holiday.
/// Milliseconds.
pub const GAP: i64 = 7 * 86_400_000;

/// What is thought of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// As it says.
    Right,
    /// It is ahead of what can be explained by so many milliseconds.
    Ahead(i64),
}

/// What time to purge by, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    pub now: i64,
    pub clock: Clock,
}

/// `seen` is the time of the last purge, `elapsed` what passed since on the steady clock as far as this process knows, `wall` the time
/// that the clock shows. All in milliseconds.
pub(super) fn judge(seen: Option<i64>, elapsed: i64, wall: i64) -> Time {
    let Some(seen) = seen else { return Time { now: wall, clock: Clock::Right } };
    let explained = seen.saturating_add(elapsed.max(0));
    if wall <= explained.saturating_add(GAP) {
        return Time { now: wall, clock: Clock::Right };
    }
    Time { now: explained, clock: Clock::Ahead(wall - explained) }
}

/// The same from the store, which then remembers it. `confirmed`: somebody says that the clock is right.
pub(super) fn time(tx: &mut (dyn Statements + '_), elapsed: i64, wall: i64, confirmed: bool) -> Result<Time, StoreError> {
    let seen = tx.first("SELECT seen FROM purge_clock WHERE one = 1", &[], |row| row.integer(0))?;
    let time = if confirmed { Time { now: wall, clock: Clock::Right } } else { judge(seen, elapsed, wall) };
    // A clock that went back for a while must not make its return look like a jump; one that was set right on purpose is believed.
    let seen = if confirmed { wall } else { seen.map_or(time.now, |s| s.max(time.now)) };
    let ahead = if let Clock::Ahead(by) = time.clock { by } else { 0 };
    tx.execute(
        "INSERT INTO purge_clock (one, seen, ahead, since) VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE
         SET seen = excluded.seen, ahead = excluded.ahead,
             since = CASE WHEN excluded.ahead = 0 THEN 0 WHEN purge_clock.since > 0 THEN purge_clock.since ELSE excluded.seen END",
        values![seen, ahead, if ahead > 0 { seen } else { 0 }],
    )?;
    Ok(time)
}

/// When the last purge was, and by how much the clock is not believed (0: it is).
pub(super) fn last(tx: &mut (dyn Statements + '_)) -> Result<Option<(i64, i64)>, StoreError> {
    tx.first("SELECT seen, ahead FROM purge_clock WHERE one = 1", &[], |row| Ok((row.integer(0)?, row.integer(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::keeping::Keeping;
    use crate::records::tests::Folder;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 1_790_000_000_000;

    #[test]
    fn what_can_be_explained_is_believed() {
        for (seen, elapsed, wall, now, clock) in [
            (None, 0, NOW, NOW, Clock::Right),
            (Some(NOW), DAY, NOW + DAY, NOW + DAY, Clock::Right),
            // Switched off over a holiday.
            (Some(NOW), 0, NOW + GAP, NOW + GAP, Clock::Right),
            (Some(NOW), 0, NOW + GAP + 1, NOW, Clock::Ahead(GAP + 1)),
            (Some(NOW), DAY, NOW + 400 * DAY, NOW + DAY, Clock::Ahead(399 * DAY)),
            // Back: nothing expires early.
            (Some(NOW), DAY, NOW - 30 * DAY, NOW - 30 * DAY, Clock::Right),
        ] {
            assert_eq!(judge(seen, elapsed, wall), Time { now, clock }, "{seen:?} {elapsed} {wall}");
        }
    }

    #[test]
    fn a_jump_is_refused_as_often_as_it_is_seen_and_until_it_is_confirmed() {
        let folder = Folder::new();
        let mut keeping = Keeping::open(&folder.prepared()).unwrap();
        let mut at = |elapsed, wall, confirmed| keeping.db.transaction(|tx| time(tx, elapsed, wall, confirmed)).unwrap();
        assert_eq!(at(0, NOW, false).now, NOW);
        // A year ahead: hour by hour only the hours that passed.
        for hours in 1..=3 {
            let hour = DAY / 24;
            let time = at(hour, NOW + 365 * DAY + hours * hour, false);
            assert_eq!((time.now, matches!(time.clock, Clock::Ahead(_))), (NOW + hours * hour, true));
        }
        assert!(keeping.db.transaction(|tx| last(tx)).unwrap().is_some_and(|(_, ahead)| ahead > 300 * DAY));
        let mut at = |elapsed, wall, confirmed| keeping.db.transaction(|tx| time(tx, elapsed, wall, confirmed)).unwrap();
        // The clock is set right: as if nothing had been.
        assert_eq!(at(DAY, NOW + DAY, false), Time { now: NOW + DAY, clock: Clock::Right });
        // It starts at 1970 for a while: when it comes back, that is no jump.
        assert_eq!(at(0, 5, false).now, 5);
        assert_eq!(at(0, NOW + 2 * DAY, false).clock, Clock::Right);
        // The machine really was off for a year.
        assert!(matches!(at(0, NOW + 365 * DAY, false).clock, Clock::Ahead(_)));
        assert_eq!(at(0, NOW + 365 * DAY, true).now, NOW + 365 * DAY);
        assert_eq!(at(0, NOW + 366 * DAY, false).clock, Clock::Right);
        // It was confirmed while wrong, and is set back on purpose: the right time is confirmed in turn.
        assert_eq!(at(0, NOW + 3 * DAY, true).now, NOW + 3 * DAY);
        assert!(matches!(at(0, NOW + 366 * DAY, false).clock, Clock::Ahead(_)));
    }
}
