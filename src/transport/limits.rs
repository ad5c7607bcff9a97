//! Who may connect how often, how often a password may be wrong, and how much content may be in memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::config::settings;

type Keyed<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// Counters that all threads share.
pub struct Limits {
    connections: AtomicUsize,
    max_connections: usize,
    per_client: Mutex<HashMap<IpAddr, usize>>,
    max_per_client: usize,
    rate: Keyed<IpAddr>,
    /// Connections that were counted since the rate's last tidying: each may have made it one entry larger.
    untidied: AtomicU32,
    auth_failures: RateLimiter<AuthKey, DashMapStateStore<AuthKey>, DefaultClock, StateInformationMiddleware>,
    blocked: Mutex<HashMap<AuthKey, Instant>>,
    memory: AtomicU64,
    max_memory: u64,
}

/// What AUTH failures are counted by. Accounts are kept as a hash of this process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthKey {
    Client(IpAddr),
    Account(u64),
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Connections,
    PerClient,
    Rate,
}

/// A place among the connections; given back when dropped.
pub struct Place<'a> {
    limits: &'a Limits,
    client: Option<IpAddr>,
}

/// How long failures are remembered. Ten minutes is what the reply says.
const AUTH_WINDOW: Duration = Duration::from_secs(600);
/// Connections after which the rate's memory of clients is tidied, though the minute is not over.
const UNTIDIED: u32 = 50_000;
/// Blocked keys that are remembered at most: beyond, the oldest go.
const MAX_BLOCKED: usize = 10_000;

fn quota(count: u32, period: Duration) -> Quota {
    let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
    let each = period / count.get();
    Quota::with_period(each.max(Duration::from_nanos(1))).map_or(Quota::per_minute(count), |q| q.allow_burst(count))
}

impl Limits {
    pub fn new(limits: &settings::Limits) -> Limits {
        Limits {
            connections: AtomicUsize::new(0),
            max_connections: limits.connections,
            per_client: Mutex::default(),
            max_per_client: limits.connections_per_client,
            rate: RateLimiter::keyed(quota(limits.connection_rate, Duration::from_secs(60))),
            untidied: AtomicU32::new(0),
            auth_failures: RateLimiter::keyed(quota(limits.auth_failures, AUTH_WINDOW)).with_middleware(),
            blocked: Mutex::default(),
            memory: AtomicU64::new(0),
            max_memory: limits.memory,
        }
    }

    /// Takes a place for a connection. `client` is counted for itself unless it is a trusted connector.
    pub fn connect(&self, client: Option<IpAddr>) -> Result<Place<'_>, Refusal> {
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.max_connections {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Connections);
        }
        // From here on the place gives the count back, whatever follows.
        let mut place = Place { limits: self, client: None };
        let Some(address) = client.map(network) else { return Ok(place) };
        if self.untidied.fetch_add(1, Ordering::Relaxed) >= UNTIDIED {
            self.untidied.store(0, Ordering::Relaxed);
            self.rate.retain_recent();
        }
        if self.rate.check_key(&address).is_err() {
            return Err(Refusal::Rate);
        }
        let mut counts = lock(&self.per_client);
        if counts.get(&address).is_some_and(|count| *count >= self.max_per_client) {
            return Err(Refusal::PerClient);
        }
        *counts.entry(address).or_default() += 1;
        place.client = Some(address);
        Ok(place)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether a log-in attempt may go to the provider.
    pub fn auth_allowed(&self, keys: &[AuthKey]) -> bool {
        let blocked = lock(&self.blocked);
        let now = Instant::now();
        !keys.iter().any(|key| blocked.get(key).is_some_and(|until| *until > now))
    }

    /// Counts a failed log-in; too many block the key for a while.
    pub fn auth_failed(&self, keys: &[AuthKey]) {
        for key in keys {
            // The failure that uses up the last one blocks already: no more than that many reach the provider.
            if self.auth_failures.check_key(key).map_or(true, |left| left.remaining_burst_capacity() == 0) {
                let mut blocked = lock(&self.blocked);
                let now = Instant::now();
                if blocked.len() >= MAX_BLOCKED {
                    blocked.retain(|_, until| *until > now);
                }
                if blocked.len() < MAX_BLOCKED {
                    blocked.insert(*key, now + AUTH_WINDOW);
                }
            }
        }
    }

    /// Forgets what no longer matters; to be called every minute.
    pub fn tidy(&self) {
        self.rate.retain_recent();
        self.untidied.store(0, Ordering::Relaxed);
        self.auth_failures.retain_recent();
        let now = Instant::now();
        lock(&self.blocked).retain(|_, until| *until > now);
    }

    /// Notes that one message's content grew from `before` to `now` octets; false if there is no room.
    pub fn grow(&self, before: usize, now: usize) -> bool {
        if now <= before {
            self.memory.fetch_sub((before - now) as u64, Ordering::Relaxed);
            return true;
        }
        let added = (now - before) as u64;
        if self.memory.fetch_add(added, Ordering::Relaxed) + added <= self.max_memory {
            return true;
        }
        self.memory.fetch_sub(added, Ordering::Relaxed);
        false
    }

    pub fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.limits.connections.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.client else { return };
        let mut counts = lock(&self.limits.per_client);
        match counts.get_mut(&address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&address)),
        }
    }
}

/// What a client is counted as: one IPv6 customer has a /64 of addresses at the least.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

/// A poisoned lock only means that another thread panicked between two counts: the counts are still counts.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let mut usual = settings::Limits::default();
        (usual.connections_per_client, usual.connection_rate, usual.auth_failures) = (2, 1000, 3);
        Limits::new(&usual)
    }

    #[test]
    fn a_block_of_ipv6_addresses_is_one_client() {
        let limits = limits();
        let address = |last: u16| Some(IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        let first = (limits.connect(address(1)), limits.connect(address(2)));
        assert!(first.0.is_ok() && first.1.is_ok());
        assert_eq!(limits.connect(address(3)).err(), Some(Refusal::PerClient));
        assert!(limits.connect(Some(IpAddr::from([0x2001, 0xdb8, 0, 2, 0, 0, 0, 1]))).is_ok());
        drop(first);
        assert!(lock(&limits.per_client).is_empty() && limits.connections() == 0);
        assert!(limits.connect(address(3)).is_ok());
    }

    #[test]
    fn a_spray_of_clients_is_forgotten() {
        // So many a minute that a client is forgotten within a millisecond: however fast this machine is, most of them are.
        let limits = Limits::new(&settings::Limits { connection_rate: 1_000_000, ..settings::Limits::default() });
        for n in 0..3 * UNTIDIED {
            let _ = limits.connect(Some(IpAddr::from(n.to_be_bytes())));
        }
        assert!(limits.rate.len() < 2 * UNTIDIED as usize, "{}", limits.rate.len());
    }

    #[test]
    fn as_many_failures_as_are_allowed_reach_the_provider() {
        let limits = limits();
        let keys = [AuthKey::Account(7)];
        let mut reached = 0;
        while limits.auth_allowed(&keys) && reached < 10 {
            limits.auth_failed(&keys);
            reached += 1;
        }
        assert_eq!(reached, 3);
    }
}
