//! Hourly counts by rule and by disposition: all that is kept without `[monitoring]`, and of mail that is only counted.

use std::collections::BTreeMap;

use super::StoreError;
use super::database::{Statements, values};
use super::entry::Entry;

/// Counts that wait for the next commit.
#[derive(Default)]
pub(super) struct Tally {
    counts: BTreeMap<(i64, Kind, String), u64>,
}

/// What is counted; the numbers are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Disposition = 1,
    Rule = 2,
}

const HOUR: i64 = 3_600_000;
/// Aggregates name nobody; they are kept for two years' comparison and a month.
const KEPT: i64 = 25 * 31 * 24;

impl Tally {
    pub(super) fn add(&mut self, entry: &Entry) {
        let hour = entry.time.as_millisecond().div_euclid(HOUR);
        self.one(hour, Kind::Disposition, entry.disposition.word());
        for rule in &entry.matches {
            let mode = if rule.overridden.is_some() { "overridden" } else { rule.mode.word() };
            self.one(hour, Kind::Rule, &format!("{}\t{mode}", rule.rule));
        }
    }

    fn one(&mut self, hour: i64, kind: Kind, name: &str) {
        // A batch is of one hour and few names: look before a String is made.
        match self.counts.iter_mut().find(|((h, k, n), _)| *h == hour && *k == kind && n == name) {
            Some((_, count)) => *count += 1,
            None => {
                self.counts.insert((hour, kind, name.to_owned()), 1);
            }
        }
    }

    pub(super) fn write(&self, tx: &mut (dyn Statements + '_)) -> Result<(), StoreError> {
        let rows: Vec<_> = self
            .counts
            .iter()
            .map(|((hour, kind, name), count)| values![*hour, *kind as i64, name.as_str(), count.cast_signed()].to_vec())
            .collect();
        tx.execute_many(
            "INSERT INTO tally (hour, kind, name, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (hour, kind, name) DO UPDATE SET count = tally.count + excluded.count",
            &rows,
        )?;
        Ok(())
    }
}

/// Drops counts that are older than 25 months.
pub(super) fn purge(tx: &mut (dyn Statements + '_), now: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM tally WHERE hour < ?1", values![now.div_euclid(HOUR) - KEPT])
}
