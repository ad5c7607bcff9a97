//! How much somebody sent of late, for `rate`: counted in memory, and in the store as keyed hashes where an index of past mail is
//! kept, so that a restart forgets nothing.
//!
//! The window slides in twelfths: a part that has only half expired still counts whole, so that a limit is never let through. What
//! is on its way counts too, so that a hundred sessions at once do not each see room for one more.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::policy::past::Tally;

/// Parts of the time within which is counted.
const PARTS: i64 = 12;
/// People (or pairs) that are counted in memory; beyond it those not heard of for longest are dropped.
const MOST: usize = 50_000;

/// The counts, shared by all sessions.
#[derive(Default)]
pub struct Rates {
    counts: Mutex<HashMap<u64, Count>>,
    /// Keys are hashed with a secret of this process, so that nobody can choose two that collide.
    hasher: RandomState,
}

#[derive(Default)]
struct Count {
    /// Start and number, oldest first.
    buckets: VecDeque<(i64, u64)>,
    /// Of messages that are being judged or delivered.
    in_flight: u64,
    /// The message that was counted last: its other parts are not counted again.
    last: u64,
    touched: i64,
    /// What the store knows is in the buckets.
    loaded: bool,
}

/// Counted as on its way, until it is dropped.
#[must_use = "what is not held does not count"]
pub struct Reserved {
    rates: Arc<Rates>,
    keys: Vec<(u64, u64)>,
}

/// The start of the bucket that holds the time `at` (milliseconds).
pub(super) fn bucket(at: i64, per: u64) -> i64 {
    let width = width(per);
    at.div_euclid(width) * width
}

/// When a bucket counts no longer.
pub(super) fn ends(bucket: i64, per: u64) -> i64 {
    bucket.saturating_add(width(per)).saturating_add(milliseconds(per))
}

fn width(per: u64) -> i64 {
    (milliseconds(per) / PARTS).max(1)
}

fn milliseconds(per: u64) -> i64 {
    i64::try_from(per).unwrap_or(i64::MAX).saturating_mul(1000)
}

impl Count {
    fn forget(&mut self, now: i64, per: u64) {
        while self.buckets.front().is_some_and(|(start, _)| ends(*start, per) <= now) {
            self.buckets.pop_front();
        }
    }

    fn sum(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    fn add(&mut self, bucket: i64, n: u64) {
        match self.buckets.iter_mut().find(|(start, _)| *start == bucket) {
            Some((_, count)) => *count = count.saturating_add(n),
            None => {
                let at = self.buckets.iter().position(|(start, _)| *start > bucket).unwrap_or(self.buckets.len());
                self.buckets.insert(at, (bucket, n));
            }
        }
    }
}

impl Rates {
    /// Keys of which the store must be asked first. `stored` is whether it holds any.
    pub fn missing(&self, tally: &Tally, stored: bool, now: i64) -> Vec<String> {
        let mut counts = self.lock();
        let mut out = Vec::new();
        for key in &tally.keys {
            let id = self.hasher.hash_one(key);
            make_room(&mut counts, id);
            let count = counts.entry(id).or_insert_with(|| Count { loaded: !stored, touched: now, ..Count::default() });
            if !count.loaded {
                out.push(key.clone());
            }
        }
        out
    }

    /// What the store said of a key.
    pub fn load(&self, key: &str, stored: &[(i64, u64)]) {
        if let Some(count) = self.lock().get_mut(&self.hasher.hash_one(key))
            && !count.loaded
        {
            count.loaded = true;
            stored.iter().for_each(|(bucket, n)| count.add(*bucket, *n));
        }
    }

    /// How much it is with this message, of the key that has most; the message counts as on its way from here on.
    pub fn reserve(self: &Arc<Self>, tally: &Tally, message: Option<&str>, now: i64) -> (u64, Reserved) {
        let message = self.message(message);
        let mut most = 0;
        let mut keys = Vec::with_capacity(tally.keys.len());
        let mut counts = self.lock();
        for key in &tally.keys {
            let id = self.hasher.hash_one(key);
            let count = counts.entry(id).or_default();
            count.touched = now;
            count.forget(now, tally.per);
            let adds = if tally.once && count.last == message && message != 0 { 0 } else { tally.adds };
            most = most.max(count.sum().saturating_add(count.in_flight).saturating_add(adds));
            count.in_flight = count.in_flight.saturating_add(adds);
            keys.push((id, adds));
        }
        drop(counts);
        (most, Reserved { rates: self.clone(), keys })
    }

    /// Takes out what was counted already for another part of the same message.
    pub fn without_repeats(&self, tallies: &mut [Tally], message: Option<&str>) {
        let message = self.message(message);
        if message == 0 {
            return;
        }
        let counts = self.lock();
        for tally in tallies.iter_mut().filter(|t| t.once) {
            tally.keys.retain(|key| counts.get(&self.hasher.hash_one(key)).is_none_or(|c| c.last != message));
        }
    }

    /// A message was delivered. `stored` is whether the store counts it too: then what is not in memory is found there.
    pub fn add(&self, tallies: &[Tally], message: Option<&str>, stored: bool, now: i64) {
        let message = self.message(message);
        let mut counts = self.lock();
        for tally in tallies {
            for key in &tally.keys {
                let id = self.hasher.hash_one(key);
                if !stored {
                    make_room(&mut counts, id);
                    counts.entry(id).or_insert_with(|| Count { loaded: true, ..Count::default() });
                }
                let Some(count) = counts.get_mut(&id) else { continue };
                count.touched = now;
                count.last = message;
                count.forget(now, tally.per);
                count.add(bucket(now, tally.per), tally.adds);
            }
        }
    }

    /// Zero is no message that could be told from another.
    fn message(&self, id: Option<&str>) -> u64 {
        id.map_or(0, |id| self.hasher.hash_one(id))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for one more, at the cost of those not heard of for longest; nothing that is on its way is dropped.
fn make_room(counts: &mut HashMap<u64, Count>, id: u64) {
    if counts.len() < MOST || counts.contains_key(&id) {
        return;
    }
    let mut times: Vec<i64> = counts.values().map(|c| c.touched).collect();
    let at = times.len() / 4;
    let (_, old, _) = times.select_nth_unstable(at);
    let old = *old;
    let mut drop = at + 1;
    counts.retain(|_, c| {
        let goes = drop > 0 && c.touched <= old && c.in_flight == 0;
        drop -= usize::from(goes);
        !goes
    });
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut counts = self.rates.lock();
        for (id, n) in &self.keys {
            if let Some(count) = counts.get_mut(id) {
                count.in_flight = count.in_flight.saturating_sub(*n);
            }
        }
    }
}

/// Shows nobody.
impl std::fmt::Debug for Reserved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reserved({} keys)", self.keys.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(key: &str, adds: u64, per: u64) -> Tally {
        Tally { keys: vec![key.into()], adds, per, once: true }
    }

    /// What a message at `now` comes to, and whether it then goes out.
    fn one(rates: &Arc<Rates>, tally: &Tally, id: &str, now: i64) -> u64 {
        assert!(rates.missing(tally, false, now).is_empty());
        let (n, reserved) = rates.reserve(tally, Some(id), now);
        rates.add(std::slice::from_ref(tally), Some(id), false, now);
        drop(reserved);
        n
    }

    #[test]
    fn counts_what_was_sent_within_the_time_and_what_is_on_its_way() {
        let rates = Arc::new(Rates::default());
        let hourly = tally("messages login 3600 clerk", 1, 3600);
        for n in 1..=5u64 {
            assert_eq!(one(&rates, &hourly, &format!("m{n}"), n.cast_signed() * 1000), n);
        }
        let (six, first) = rates.reserve(&hourly, Some("a"), 6000);
        let (seven, second) = rates.reserve(&hourly, Some("b"), 6000);
        assert_eq!((six, seven), (6, 7));
        // The one was refused: it is counted no more.
        drop((first, second));
        assert_eq!(rates.reserve(&hourly, Some("c"), 6000).0, 6);
        // An hour and a twelfth later all of it is forgotten, and not before the hour is over.
        assert_eq!(rates.reserve(&hourly, Some("d"), 3_600_000).0, 6);
        assert_eq!(rates.reserve(&hourly, Some("d"), 3_600_000 + 300_000 + 5_001).0, 1);
        // Somebody else is somebody else.
        assert_eq!(rates.reserve(&tally("messages login 3600 chair", 1, 3600), Some("e"), 7000).0, 1);
    }

    #[test]
    fn parts_of_one_message_count_once() {
        let rates = Arc::new(Rates::default());
        let mut hourly = vec![tally("k", 1, 3600)];
        assert_eq!(one(&rates, &hourly[0], "m", 0), 1);
        assert_eq!(rates.reserve(&hourly[0], Some("m"), 1).0, 1);
        assert_eq!(rates.reserve(&hourly[0], None, 1).0, 2);
        rates.without_repeats(&mut hourly, Some("m"));
        assert!(hourly[0].keys.is_empty());
        // Recipients add up.
        let mut of_recipients = vec![Tally { once: false, ..tally("r", 40, 3600) }];
        assert_eq!(one(&rates, &of_recipients[0], "m", 0), 40);
        rates.without_repeats(&mut of_recipients, Some("m"));
        assert_eq!(one(&rates, &of_recipients[0], "m", 0), 80);
    }

    #[test]
    fn the_store_is_asked_once_and_its_counts_are_added() {
        let rates = Arc::new(Rates::default());
        let hourly = tally("k", 1, 3600);
        // Delivered before anybody asked: the store has it, memory does not.
        rates.add(std::slice::from_ref(&hourly), Some("m"), true, 0);
        assert_eq!(rates.missing(&hourly, true, 0), ["k"]);
        rates.load("k", &[(0, 41)]);
        rates.load("k", &[(0, 41)]);
        assert!(rates.missing(&hourly, true, 0).is_empty());
        assert_eq!(rates.reserve(&hourly, Some("n"), 10).0, 42);
    }

    #[test]
    fn memory_is_bounded() {
        let rates = Arc::new(Rates::default());
        let kept = tally("kept", 1, 3600);
        let (_, held) = rates.reserve(&kept, None, 0);
        for n in 0..MOST as i64 + 20_000 {
            let _ = one(&rates, &tally(&format!("k{n}"), 1, 3600), "m", n);
        }
        assert!(rates.lock().len() <= MOST);
        assert_eq!(rates.reserve(&kept, None, 1).0, 2, "what is on its way was dropped");
        drop(held);
    }

    proptest! {
        /// Never less than was sent within the time, never more than within it and a twelfth.
        #[test]
        fn between_the_window_and_a_twelfth_more(times in proptest::collection::vec(0i64..200_000, 1..60), per in 1u64..100) {
            let mut times = times;
            times.sort_unstable();
            let rates = Arc::new(Rates::default());
            let tally = tally("k", 1, per);
            for (i, now) in times.iter().enumerate() {
                let n = one(&rates, &tally, &format!("m{i}"), *now);
                let within = |ms: i64| times[..i].iter().filter(|t| now - **t < ms).count() as u64 + 1;
                prop_assert!(n >= within(milliseconds(per)), "{} of {}", n, within(milliseconds(per)));
                prop_assert!(n <= within(milliseconds(per) + width(per) + 1), "{} of {}", n, within(milliseconds(per) + width(per)));
            }
        }
    }
}
