//! Links that sign somebody in: random, good once and for a quarter of an hour, kept as hashes in memory alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::session::{Secret, hash, secret};

/// How long a link is good.
pub(super) const GOOD: Duration = Duration::from_secs(15 * 60);
/// Links of one person in that time; and tries of one client, whatever they ask for.
const EACH: usize = 3;
const TRIES: u32 = 20;
/// Links, and clients that are remembered.
const MOST: usize = 10_000;

pub(super) struct Links {
    links: Mutex<HashMap<[u8; 32], (String, Instant)>>,
    tries: Tries,
}

impl Default for Links {
    fn default() -> Links {
        Links { links: Mutex::default(), tries: Tries::new(TRIES) }
    }
}

/// How often each client tried in the last quarter of an hour.
pub(super) struct Tries {
    most: u32,
    clients: Mutex<HashMap<IpAddr, (u32, Instant)>>,
}

impl Links {
    /// None: they have enough of them already, or the system gives no random octets.
    pub(super) fn make(&self, address: &str, now: Instant) -> Option<Secret> {
        let link = secret()?;
        let mut all = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, made)| now.duration_since(*made) < GOOD);
        if all.len() >= MOST || all.values().filter(|(whose, _)| whose == address).count() >= EACH {
            return None;
        }
        all.insert(hash(&link.0), (address.to_string(), now));
        Some(link)
    }

    /// Whose it is; it is used up.
    pub(super) fn take(&self, link: &str, now: Instant) -> Option<String> {
        let (address, made) = self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash(link))?;
        (now.duration_since(made) < GOOD).then_some(address)
    }

    /// Counts a try; false where a client has had too many.
    pub(super) fn may_try(&self, client: IpAddr, now: Instant) -> bool {
        self.tries.may_try(client, now)
    }
}

impl Tries {
    pub(super) fn new(most: u32) -> Tries {
        Tries { most, clients: Mutex::default() }
    }

    /// Counts a try; false where a client has had too many.
    pub(super) fn may_try(&self, client: IpAddr, now: Instant) -> bool {
        // A household has one /64 of IPv6 or more.
        let client = match client {
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !((1 << 64) - 1)).into()),
            v4 => v4,
        };
        let mut all = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, since)| now.duration_since(*since) < GOOD);
        if all.len() >= MOST && !all.contains_key(&client) {
            return false;
        }
        let (count, _) = all.entry(client).or_insert((0, now));
        *count = count.saturating_add(1);
        *count <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_once_and_for_its_time() {
        let (links, now) = (Links::default(), Instant::now());
        let link = links.make("clerk@x.uk", now).unwrap().0;
        assert_eq!(links.take("another", now), None);
        assert_eq!(links.take(&link, now).as_deref(), Some("clerk@x.uk"));
        assert_eq!(links.take(&link, now), None);
        let link = links.make("clerk@x.uk", now).unwrap().0;
        assert_eq!(links.take(&link, now + GOOD), None);
    }

    #[test]
    fn nobody_gets_or_tries_too_many() {
        let (links, now) = (Links::default(), Instant::now());
        assert!((0..EACH).all(|_| links.make("clerk@x.uk", now).is_some()));
        assert!(links.make("clerk@x.uk", now).is_none() && links.make("chair@x.uk", now).is_some());
        assert!(links.make("clerk@x.uk", now + GOOD).is_some());
        let client = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!((0..TRIES).all(|n| links.may_try(client(n as u16), now)));
        assert!(!links.may_try(client(7), now), "one household is one client");
        assert!(links.may_try("192.0.2.1".parse().unwrap(), now) && links.may_try(client(7), now + GOOD));
    }
}
