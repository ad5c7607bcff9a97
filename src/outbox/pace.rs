//! How fast an upstream is sent to, and how long it is let alone when it is in trouble.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use super::Pace;
use crate::config::settings::Pacing;

/// Spreads messages evenly over time, as a provider's limits ask.
pub(super) struct Pacer {
    pub(super) pacing: Pacing,
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Pacer {
    pub(super) fn new(pacing: Pacing) -> Pacer {
        // One at a time: a burst after a quiet hour would be more than a minute may hold.
        let quota = Quota::with_period(pacing.interval).map(|q| q.allow_burst(NonZeroU32::MIN));
        Pacer { pacing, limiter: quota.map(RateLimiter::direct), clock: DefaultClock::default() }
    }

    /// Whether one more message may go now; otherwise how long to wait.
    pub(super) fn next(&self) -> Result<(), Duration> {
        match &self.limiter {
            None => Ok(()),
            Some(limiter) => limiter.check().map_err(|until| until.wait_time_from(self.clock.now())),
        }
    }
}

/// How long it takes to send so many messages at this pace, to the minute; none where nothing slows them.
pub fn estimate(pacing: &Pacing, messages: usize) -> Option<Duration> {
    let whole = pacing.interval.checked_mul(u32::try_from(messages.saturating_sub(1)).unwrap_or(u32::MAX))?;
    (whole > Duration::ZERO).then_some(whole)
}

/// The wait after so many failures: doubled each time, up to the longest; some of it by chance, so that what failed together does not
/// come again together. `chance` is anything.
pub(super) fn backoff(pace: &Pace, times: u32, chance: u8) -> Duration {
    let whole = pace.first.saturating_mul(1 << times.min(16)).min(pace.longest);
    whole - whole / 8 + whole / 4 * u32::from(chance) / 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_no_burst() {
        let pacer = Pacer::new(Pacing { connections: 3, interval: Duration::from_secs(2) });
        assert!(pacer.next().is_ok());
        let wait = pacer.next().unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(2), "{wait:?}");
        let free = Pacer::new(Pacing::default());
        assert!((0..1_000).all(|_| free.next().is_ok()));
    }

    #[test]
    fn estimates() {
        let pacing = Pacing { connections: 3, interval: Duration::from_secs(2) };
        assert_eq!(estimate(&pacing, 200), Some(Duration::from_secs(398)));
        assert_eq!(estimate(&pacing, 1), None);
        assert_eq!(estimate(&Pacing::default(), 200), None);
    }

    #[test]
    fn waits_grow_and_differ() {
        let pace = Pace { first: Duration::from_secs(64), longest: Duration::from_secs(3_600), ..Pace::default() };
        assert_eq!(backoff(&pace, 0, 128), Duration::from_secs(64));
        assert_eq!((backoff(&pace, 0, 0), backoff(&pace, 1, 0)), (Duration::from_secs(56), Duration::from_secs(112)));
        assert!(backoff(&pace, 40, 255) <= Duration::from_secs(4_050));
    }
}
