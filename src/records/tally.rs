//! Hourly counts by rule, by disposition and by what came of it: all that is kept without `[monitoring]`, and of mail that is only
//! counted.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::database::{Statements, values};
use super::entry::{Entry, Stage};
use super::{Keeping, StoreError};
use crate::policy::{Disposition, Mode};

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
    Outcome = 3,
}

/// What came of a message besides its disposition. A message may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Delivered, with outsiders hidden from one another.
    Hidden,
    /// Delivered, with another change.
    Changed,
    /// A rule that only warns matched it.
    Warned,
    /// Its sender overrode a rule.
    Overridden,
    /// Passed by the gateway, and refused for good by the mail provider.
    ProviderRefused,
    /// Mail out of custody that was refused for good for one of its recipients, or given up.
    Bounced,
}

impl Outcome {
    const ALL: [Outcome; 6] =
        [Outcome::Hidden, Outcome::Changed, Outcome::Warned, Outcome::Overridden, Outcome::ProviderRefused, Outcome::Bounced];

    /// As it stands in the store.
    fn word(self) -> &'static str {
        match self {
            Outcome::Hidden => "hidden",
            Outcome::Changed => "changed",
            Outcome::Warned => "warned",
            Outcome::Overridden => "overridden",
            Outcome::ProviderRefused => "provider-refused",
            Outcome::Bounced => "bounced",
        }
    }

    fn of(entry: &Entry) -> impl Iterator<Item = Outcome> {
        let passed = entry.disposition == Disposition::Deliver;
        let judged = entry.stage == Stage::Judged;
        let refused = entry.outcome.as_ref().is_some_and(|o| o.code / 100 == 5 && o.upstream_reply.is_some());
        let bounced = entry.envelope.recipients.iter().any(|r| r.reply_code / 100 == 5);
        let does = |words: &[&str]| {
            let mut forced = entry.matches.iter().filter(|m| m.mode == Mode::Enforce && m.overridden.is_none());
            passed && forced.any(|m| m.actions.iter().any(|a| words.contains(a)))
        };
        let hidden = does(&["hide-recipients"]);
        [
            (Outcome::Hidden, hidden),
            (Outcome::Changed, !hidden && does(CHANGES)),
            (Outcome::Warned, entry.matches.iter().any(|m| m.mode == Mode::Warn && m.overridden.is_none())),
            (Outcome::Overridden, entry.matches.iter().any(|m| m.overridden.is_some())),
            (Outcome::ProviderRefused, judged && passed && refused),
            (Outcome::Bounced, !judged && bounced),
        ]
        .into_iter()
        .filter_map(|(outcome, is)| is.then_some(outcome))
    }
}

/// The words of the actions that change a message or where it goes.
const CHANGES: &[&str] = &["banner", "tag-subject", "add-header", "remove-header", "redirect", "redirect-to", "copy-to"];

/// What was counted within some hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// By disposition, in the contract's words: "deliver", "hold", "defer", "reject".
    pub dispositions: BTreeMap<String, u64>,
    pub outcomes: BTreeMap<Outcome, u64>,
    /// By rule and the mode it was in, or "overridden".
    pub rules: BTreeMap<(String, String), u64>,
}

impl Figures {
    /// Messages that were judged.
    pub fn judged(&self) -> u64 {
        self.dispositions.values().sum()
    }

    pub fn disposition(&self, word: &str) -> u64 {
        self.dispositions.get(word).copied().unwrap_or(0)
    }

    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or(0)
    }

    /// How often a rule matched in a mode, or was "overridden".
    pub fn rule(&self, rule: &str, mode: &str) -> u64 {
        self.rules.get(&(rule.to_owned(), mode.to_owned())).copied().unwrap_or(0)
    }
}

impl Keeping {
    /// What was counted within these times, in whole hours: from the one that `since` is in, up to but not with the one that `until` is
    /// in. There with and without `[monitoring]`.
    pub fn figures(&mut self, since: Timestamp, until: Timestamp) -> Result<Figures, StoreError> {
        let hour = |time: Timestamp| time.as_millisecond().div_euclid(HOUR);
        let all = "SELECT kind, name, CAST(sum(count) AS BIGINT) FROM tally WHERE hour >= ?1 AND hour < ?2 GROUP BY kind, name";
        let mut figures = Figures::default();
        self.db.statements().each(all, values![hour(since), hour(until)], &mut |row| {
            let (kind, name, count) = (row.integer(0)?, row.text(1)?, row.integer(2)?.max(0).cast_unsigned());
            if kind == Kind::Disposition as i64 {
                figures.dispositions.insert(name.to_owned(), count);
            } else if kind == Kind::Rule as i64 {
                let (rule, mode) = name.rsplit_once('\t').unwrap_or((name, ""));
                figures.rules.insert((rule.to_owned(), mode.to_owned()), count);
            } else if let Some(outcome) = Outcome::ALL.into_iter().find(|o| o.word() == name) {
                figures.outcomes.insert(outcome, count);
            }
            Ok(())
        })?;
        Ok(figures)
    }
}

const HOUR: i64 = 3_600_000;
/// Aggregates name nobody; they are kept for two years' comparison and a month.
const KEPT: i64 = 25 * 31 * 24;

impl Tally {
    pub(super) fn add(&mut self, entry: &Entry) {
        let hour = entry.time.as_millisecond().div_euclid(HOUR);
        // A message is counted when it is judged; what its provider answers later is no further message.
        if entry.stage == Stage::Judged {
            self.one(hour, Kind::Disposition, entry.disposition.word());
        }
        for outcome in Outcome::of(entry) {
            self.one(hour, Kind::Outcome, outcome.word());
        }
        for rule in &entry.matches {
            let mode = if rule.overridden.is_some() { "overridden" } else { rule.mode.word() };
            self.one(hour, Kind::Rule, &format!("{}\t{mode}", rule.rule));
        }
    }

    /// What became of a message that was counted when its row was reserved.
    pub(super) fn complete(&mut self, entry: &Entry) {
        if Outcome::of(entry).any(|o| o == Outcome::ProviderRefused) {
            self.one(entry.time.as_millisecond().div_euclid(HOUR), Kind::Outcome, Outcome::ProviderRefused.word());
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

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::super::tests::{Folder, entry, in_runtime, matched, on_each_engine};
    use super::super::{Outcome as End, Recorder};
    use super::*;
    use crate::policy::Match;

    #[test]
    fn figures_say_what_was_judged_and_what_came_of_it() {
        on_each_engine(|| {
            let folder = Folder::new();
            // Also where nothing else is kept.
            let options = super::super::Options { monitoring: None, ..folder.prepared() };
            let recorder = Recorder::start(&options).unwrap();
            let now = Timestamp::now();
            let record = |at: Timestamp, change: &dyn Fn(&mut Entry)| {
                let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
                e.time = at;
                change(&mut e);
                recorder.record(e).unwrap();
            };
            let with = |actions: &[&'static str], m: Match| Match { actions: actions.to_vec(), ..m };
            record(now, &|_| {});
            record(now, &|e| {
                e.matches = vec![with(&["hide-recipients", "notify"], matched("hide")), with(&["banner"], matched("outside"))]
            });
            record(now, &|e| e.matches = vec![with(&["tag-subject"], matched("tag"))]);
            record(now, &|e| e.matches = vec![Match { mode: Mode::Warn, ..with(&["reject"], matched("later")) }]);
            record(now, &|e| {
                e.matches = vec![Match { overridden: Some("they know".into()), ..with(&["hide-recipients"], matched("hide")) }]
            });
            record(now, &|e| {
                e.disposition = Disposition::Reject { text: "x".into() };
                e.matches = vec![with(&["reject"], matched("stop")), with(&["hide-recipients"], matched("hide"))];
                e.outcome = Some(End::own(550));
            });
            record(now, &|e| e.outcome = Some(End { code: 552, upstream_reply: Some("552 full".into()) }));
            // What comes out of custody is no further message.
            record(now, &|e| e.stage = Stage::Answered);
            record(now, &|e| {
                e.stage = Stage::Answered;
                e.envelope.recipients.push(crate::policy::Recipient { reply_code: 554, ..e.envelope.recipients[0].clone() });
            });
            record(now - 48.hours(), &|_| {});
            in_runtime(async { recorder.flush().await.unwrap() });
            recorder.stop();
            let mut keeping = Keeping::open(&options).unwrap();
            let figures = keeping.figures(now - 1.hour(), now + 1.hour()).unwrap();
            assert_eq!((figures.judged(), figures.disposition("deliver"), figures.disposition("reject")), (7, 6, 1));
            assert_eq!(Outcome::ALL.map(|o| figures.outcome(o)), [1, 1, 1, 1, 1, 1]);
            assert_eq!([figures.rule("hide", "enforce"), figures.rule("hide", "overridden"), figures.rule("later", "warn")], [2, 1, 1]);
            assert_eq!(keeping.figures(now - 49.hours(), now - 40.hours()).unwrap().judged(), 1);
            // The last hour is the next one's.
            assert_eq!(keeping.figures(now - 1.hour(), now).unwrap().judged(), 0);
        });
    }
}
