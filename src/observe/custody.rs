//! Figures of mail in the gateway's own care, by upstream, and of the Clerk's digest.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How one upstream stands.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    pub name: String,
    /// Messages (copies of a split count singly) by state.
    pub states: Vec<(&'static str, u64)>,
    /// Seconds that the oldest has been in a state.
    pub oldest: Vec<(&'static str, u64)>,
    /// Recipients by what the upstream answered, since the start.
    pub answers: Vec<(&'static str, u64)>,
    /// Messages that were split, since the start.
    pub splits: u64,
    pub troubles: u64,
    pub is_answering: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    upstream: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByAnswer {
    upstream: String,
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUpstream {
    upstream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// The figures. Upstreams are those of the site file, and those that still have mail.
#[derive(Debug, Default)]
pub struct Custody {
    messages: Family<ByState, Gauge>,
    oldest: Family<ByState, Gauge>,
    recipients: Family<ByAnswer, Counter>,
    splits: Family<ByUpstream, Counter>,
    troubles: Family<ByUpstream, Counter>,
    answering: Family<ByUpstream, Gauge>,
    decided: Family<ByOutcome, Counter>,
    digest_age: Gauge,
    digest_overdue: Gauge,
}

impl Custody {
    pub(super) fn register(registry: &mut Registry) -> Custody {
        let made = Custody::default();
        registry.register("custody_messages", "Messages in the gateway's own care, by upstream and state", made.messages.clone());
        let oldest = "Age of the oldest message in a state, by upstream";
        registry.register_with_unit("custody_oldest", oldest, Unit::Seconds, made.oldest.clone());
        let recipients = "Recipients of mail out of custody, by what the upstream answered";
        registry.register("custody_recipients", recipients, made.recipients.clone());
        registry.register("custody_splits", "Messages that were split into one copy for each outsider", made.splits.clone());
        registry.register("custody_troubles", "Connections for mail out of custody that failed or broke", made.troubles.clone());
        registry.register("custody_upstream_up", "Whether the upstream answered when it was last tried", made.answering.clone());
        registry.register("held_decided", "Held messages that were decided, by outcome", made.decided.clone());
        let age = "Time since the last digest was delivered, or since one was first awaited";
        registry.register_with_unit("digest_age", age, Unit::Seconds, made.digest_age.clone());
        registry.register("digest_overdue", "Whether a digest should have been delivered and was not", made.digest_overdue.clone());
        made
    }

    /// Shows these upstreams and no others.
    pub fn show(&self, lanes: &[Lane]) {
        // What is gone from the site file is gone here; a reader in between sees fewer for a moment.
        self.messages.clear();
        self.oldest.clear();
        self.answering.clear();
        for lane in lanes {
            let upstream = &lane.name;
            for &(state, number) in &lane.states {
                self.messages.get_or_create(&ByState { upstream: upstream.clone(), state }).set(signed(number));
            }
            for &(state, age) in &lane.oldest {
                self.oldest.get_or_create(&ByState { upstream: upstream.clone(), state }).set(signed(age));
            }
            for &(answer, total) in &lane.answers {
                raise(&self.recipients.get_or_create(&ByAnswer { upstream: upstream.clone(), answer }), total);
            }
            let by = ByUpstream { upstream: upstream.clone() };
            raise(&self.splits.get_or_create(&by), lane.splits);
            raise(&self.troubles.get_or_create(&by), lane.troubles);
            self.answering.get_or_create(&by).set(i64::from(lane.is_answering));
        }
    }

    /// Held messages that were decided this way since the start.
    pub fn decided(&self, outcome: &'static str, total: u64) {
        raise(&self.decided.get_or_create(&ByOutcome { outcome }), total);
    }

    /// How long ago the last digest was delivered, in seconds, and whether the next is overdue.
    pub fn digest(&self, age: u64, overdue: bool) {
        self.digest_age.set(signed(age));
        self.digest_overdue.set(i64::from(overdue));
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A counter that somebody else counts.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstreams_come_and_go_and_counters_only_rise() {
        let mut registry = Registry::with_prefix("lychgate");
        let figures = Custody::register(&mut registry);
        let lane = Lane {
            name: "provider".into(),
            states: vec![("waiting", 3), ("held", 1)],
            oldest: vec![("waiting", 90)],
            answers: vec![("delivered", 7), ("deferred", 2)],
            splits: 1,
            troubles: 4,
            is_answering: false,
        };
        figures.show(&[lane.clone(), Lane { name: "old".into(), states: vec![("waiting", 1)], ..Lane::default() }]);
        figures.show(&[Lane { answers: vec![("delivered", 9)], ..lane }]);
        figures.decided("released", 2);
        figures.digest(700_000, true);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "lychgate_custody_messages{upstream=\"provider\",state=\"waiting\"} 3",
            "lychgate_custody_oldest_seconds{upstream=\"provider\",state=\"waiting\"} 90",
            "lychgate_custody_recipients_total{upstream=\"provider\",answer=\"delivered\"} 9",
            "lychgate_custody_recipients_total{upstream=\"provider\",answer=\"deferred\"} 2",
            "lychgate_custody_splits_total{upstream=\"provider\"} 1",
            "lychgate_custody_troubles_total{upstream=\"provider\"} 4",
            "lychgate_custody_upstream_up{upstream=\"provider\"} 0",
            "lychgate_held_decided_total{outcome=\"released\"} 2",
            "lychgate_digest_age_seconds 700000",
            "lychgate_digest_overdue 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("custody_messages{upstream=\"old\""), "{text}");
    }
}
