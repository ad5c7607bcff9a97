//! What was asked of the identity provider and by which browser, and which of its answers were used. In memory alone, bounded.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::console::session::{Secret, hash, secret};

/// How long somebody may take to sign in at the identity provider.
pub(super) const GOOD: Duration = Duration::from_secs(10 * 60);
/// Requests, and used answers, that are remembered.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Pending {
    /// By the request's id: the browser's secret, hashed.
    requests: Mutex<HashMap<String, ([u8; 32], Instant)>>,
    used: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Pending {
    /// A request's id, and the secret of the browser that makes it. None: there is no room, or the system gives no random octets.
    pub(super) fn ask(&self, now: Instant) -> Option<(String, Secret)> {
        // An identifier of XML does not begin with a digit or a hyphen.
        let (id, browser) = (format!("_{}", secret()?.0), secret()?);
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, asked)| now.duration_since(*asked) < GOOD);
        if all.len() >= MOST {
            return None;
        }
        all.insert(id.clone(), (hash(&browser.0), now));
        Some((id, browser))
    }

    /// Uses a request up, if this browser made it. Another's stays as it was: nobody ends what is not theirs.
    pub(super) fn take(&self, id: &str, browser: &str, now: Instant) -> bool {
        let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(id) {
            Some((whose, asked)) if *whose == hash(browser) && now.duration_since(*asked) < GOOD => all.remove(id).is_some(),
            _ => false,
        }
    }

    /// Marks a message of the identity provider's as used. False: it was before, or no more can be remembered.
    pub(super) fn first(&self, id: &str, until: Timestamp, now: Timestamp) -> bool {
        let mut all = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, until| *until > now);
        // What is full refuses: to forget would be to let one be used again.
        all.len() < MOST && all.insert(hash(id), until).is_none()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_request_is_one_browser_s_and_good_once() {
        let (pending, now) = (Pending::default(), Instant::now());
        let (id, browser) = pending.ask(now).unwrap();
        let (other, another) = pending.ask(now).unwrap();
        assert!(id.starts_with('_') && id.len() == 44 && id != other);
        assert!(!pending.take(&id, &another.0, now) && !pending.take("_x", &browser.0, now));
        assert!(pending.take(&id, &browser.0, now) && !pending.take(&id, &browser.0, now));
        assert!(!pending.take(&other, &another.0, now + GOOD));
    }

    #[test]
    fn an_answer_is_used_once_and_no_more_is_kept_than_fits() {
        let (pending, now) = (Pending::default(), Timestamp::now());
        let later = now + SignedDuration::from_secs(60);
        assert!(pending.first("_a", later, now) && !pending.first("_a", later, now));
        assert!(pending.first("_a", later, later), "its time is over: it is refused for that");
        for n in 1..MOST {
            assert!(pending.first(&n.to_string(), later, now));
        }
        assert!(!pending.first("_b", later, now));
        let start = Instant::now();
        assert!((0..MOST).all(|_| pending.ask(start).is_some()) && pending.ask(start).is_none() && pending.ask(start + GOOD).is_some());
    }
}
