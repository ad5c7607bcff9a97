//! How the ways out stand: what waits where since when, what the upstreams answered, and which of them does not answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::desk::now;
use super::{Outbox, StoreError};
use crate::records::custody::{Fate, Happenings, Heap, Kind, State};

/// What one upstream answered, in recipients, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub delivered: u64,
    /// Refused for now.
    pub deferred: u64,
    /// Refused for good: each is reported to its sender.
    pub refused: u64,
    /// Given up after five days.
    pub expired: u64,
    /// Connections that could not be made, or broke.
    pub troubles: u64,
    /// Since when it has not answered, in milliseconds since 1970; none while it does.
    pub silent: Option<i64>,
}

/// One upstream, for mail in custody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaneStanding {
    pub name: String,
    pub waiting: u64,
    pub stopped: u64,
    pub held: u64,
    /// Cannot be opened.
    pub set_aside: u64,
    /// Since when the oldest has been waiting to be delivered, in milliseconds since 1970. One that was held waits since it was let go.
    pub waiting_since: Option<i64>,
    /// When the oldest that is held was taken.
    pub held_since: Option<i64>,
    /// When the time of the next that is held is over.
    pub held_until: Option<i64>,
    pub answers: Answers,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// By name; every upstream of the site, and any other that has mail.
    pub lanes: Vec<LaneStanding>,
    /// Letters of the gateway's own that wait, and since when the oldest does.
    pub notices: u64,
    pub notices_since: Option<i64>,
}

impl Standing {
    /// From what the store has; `gives_up` is how long mail is tried, in milliseconds.
    pub fn of(heaps: &[Heap], names: impl IntoIterator<Item = String>, gives_up: i64) -> Standing {
        let named = |name: String| (name.clone(), LaneStanding { name, ..LaneStanding::default() });
        let mut lanes: BTreeMap<String, LaneStanding> = names.into_iter().map(named).collect();
        let mut standing = Standing::default();
        for heap in heaps {
            // What is to be delivered is given up after so long, from when it began to wait.
            let since = heap.ends.saturating_sub(gives_up);
            if heap.kind == Kind::Notice {
                if heap.state == State::Waiting {
                    (standing.notices, standing.notices_since) = (heap.parcels, Some(since));
                }
                continue;
            }
            let lane = lanes.entry(heap.lane.clone()).or_insert_with(|| named(heap.lane.clone()).1);
            match heap.state {
                State::Waiting => (lane.waiting, lane.waiting_since) = (heap.parcels, Some(since)),
                State::Stopped => lane.stopped = heap.parcels,
                State::Held => (lane.held, lane.held_since, lane.held_until) = (heap.parcels, Some(heap.taken), Some(heap.ends)),
                State::Broken => lane.set_aside = heap.parcels,
                // A list is no message.
                State::Tally => {}
            }
        }
        standing.lanes = lanes.into_values().collect();
        standing
    }

    /// Whether something does not leave as it should: mail waits for an upstream that does not answer, or has waited longer than `late`
    /// milliseconds, or cannot be opened. What an operator stopped and what is held waits for people.
    pub fn is_stuck(&self, now: i64, late: i64) -> bool {
        let is_late = |since: Option<i64>| since.is_some_and(|since| now - since > late);
        let lane = |l: &LaneStanding| l.set_aside > 0 || is_late(l.waiting_since) || (l.waiting > 0 && l.answers.silent.is_some());
        self.lanes.iter().any(lane) || is_late(self.notices_since)
    }
}

/// What the lanes have heard.
#[derive(Default)]
pub(super) struct Heard(Mutex<BTreeMap<Arc<str>, Answers>>);

impl Heard {
    fn with(&self, lane: &Arc<str>, act: impl FnOnce(&mut Answers)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(lane.clone()).or_default());
    }

    /// An upstream answered for recipients.
    pub(super) fn answered(&self, lane: &Arc<str>, fates: &[(usize, Fate)]) {
        self.with(lane, |answers| {
            for (_, fate) in fates {
                *match fate {
                    Fate::Delivered { .. } => &mut answers.delivered,
                    Fate::Refused { .. } => &mut answers.refused,
                    Fate::Expired { .. } => &mut answers.expired,
                    Fate::Waiting | Fate::Later { .. } => &mut answers.deferred,
                } += 1;
            }
        });
    }

    /// It is there.
    pub(super) fn answers(&self, lane: &Arc<str>) {
        self.with(lane, |answers| answers.silent = None);
    }

    /// It could not be reached, or broke off.
    pub(super) fn silent(&self, lane: &Arc<str>) {
        self.with(lane, |answers| {
            answers.troubles += 1;
            answers.silent.get_or_insert_with(now);
        });
    }

    fn of(&self, lane: &str) -> Answers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(lane).copied().unwrap_or_default()
    }
}

impl Outbox {
    /// How the ways out stand, and what happened in the store since then (milliseconds since 1970).
    pub async fn standing(&self, since: i64) -> Result<(Standing, Happenings), StoreError> {
        let (names, gives_up): (Vec<String>, _) = {
            let setup = self.inner.options.borrow();
            let names = setup.options.lanes.iter().map(|l| l.upstream.name.to_string()).collect();
            (names, i64::try_from(setup.options.pace.gives_up.as_millis()).unwrap_or(i64::MAX))
        };
        let desk = self.inner.desk().ok_or(StoreError::Stopped)?;
        let looked = desk.with(move |custody, now| {
            let happened = custody.happenings(since, now.saturating_add(3_600_000))?;
            Ok((Standing::of(&custody.heaps()?, names, gives_up), happened))
        });
        let (mut standing, happened) = looked.await?;
        for lane in &mut standing.lanes {
            lane.answers = self.inner.shared.heard.of(&lane.name);
        }
        Ok((standing, happened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_waits_since_it_was_let_go() {
        let heap = |kind, lane: &str, state, parcels, taken, ends| Heap { kind, lane: lane.into(), state, parcels, taken, ends };
        let heaps = [
            heap(Kind::Notice, "", State::Waiting, 2, 7, 107),
            heap(Kind::Mail, "provider", State::Waiting, 3, 1, 150),
            heap(Kind::Mail, "provider", State::Held, 1, 2, 90),
            heap(Kind::Mail, "provider", State::Tally, 1, 1, 250),
            heap(Kind::Mail, "gone", State::Broken, 1, 1, 150),
        ];
        let standing = Standing::of(&heaps, ["provider".into(), "quiet".into()], 100);
        let named = |name: &str| LaneStanding { name: name.into(), ..LaneStanding::default() };
        let provider =
            LaneStanding { waiting: 3, waiting_since: Some(50), held: 1, held_since: Some(2), held_until: Some(90), ..named("provider") };
        let lanes = vec![LaneStanding { set_aside: 1, ..named("gone") }, provider, named("quiet")];
        assert_eq!(standing, Standing { lanes, notices: 2, notices_since: Some(7) });
    }

    #[test]
    fn what_waits_for_people_is_not_stuck_and_what_waits_for_an_upstream_is() {
        let lane = LaneStanding { name: "provider".into(), held: 3, held_since: Some(0), stopped: 2, ..LaneStanding::default() };
        let stuck = |change: &dyn Fn(&mut Standing)| {
            let mut standing = Standing { lanes: vec![lane.clone()], ..Standing::default() };
            change(&mut standing);
            standing.is_stuck(1_000, 100)
        };
        assert!(!stuck(&|_| {}));
        assert!(!stuck(&|s| (s.lanes[0].waiting, s.lanes[0].waiting_since) = (1, Some(900))));
        assert!(stuck(&|s| (s.lanes[0].waiting, s.lanes[0].waiting_since) = (1, Some(899))));
        assert!(stuck(&|s| (s.lanes[0].waiting, s.lanes[0].answers.silent) = (1, Some(999))));
        assert!(!stuck(&|s| s.lanes[0].answers.silent = Some(0)), "nothing waits for it");
        assert!(stuck(&|s| s.lanes[0].set_aside = 1));
        assert!(stuck(&|s| (s.notices, s.notices_since) = (1, Some(1))));
    }

    #[test]
    fn an_upstream_is_silent_since_the_first_trouble_until_it_answers() {
        let heard = Heard::default();
        let lane: Arc<str> = "provider".into();
        heard.silent(&lane);
        let first = heard.of("provider").silent;
        heard.silent(&lane);
        assert!(first.is_some() && heard.of("provider").silent == first && heard.of("provider").troubles == 2);
        heard.answered(&lane, &[(0, Fate::Delivered { reply: "250".into() }), (1, Fate::Later { reply: "450".into() })]);
        heard.answers(&lane);
        let answers = heard.of("provider");
        assert_eq!((answers.delivered, answers.deferred, answers.silent), (1, 1, None));
        assert_eq!(heard.of("another"), Answers::default());
    }
}
