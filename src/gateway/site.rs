//! What sessions run on: the site as last loaded, and what all loads share.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::late::Late;
use crate::config::Settings;
use crate::config::settings::{Listener, ListenerTls, Role};
use crate::evidence::Evidence;
use crate::evidence::dns::ResolverError;
use crate::observe::Metrics;
use crate::outbox::Outbox;
use crate::policy::{Class, Policy};
use crate::records::{self, Recorder};
use crate::smtp::Extensions;
use crate::smtp::data::LineEnds;
use crate::smtp::server::{self, ServerConfig, ServerSession, Starttls, WaitsFor};
use crate::transport::tls::{self, TlsError};
use crate::transport::{Pool, limits::Limits};

/// One load of the site file, ready to serve.
pub struct Site {
    pub settings: Arc<Settings>,
    /// By listener.
    pub servers: Vec<Arc<ServerConfig>>,
    /// By listener.
    pub tls_in: Vec<Option<Arc<rustls::ServerConfig>>>,
    /// By upstream.
    pub tls_out: Vec<Arc<rustls::ClientConfig>>,
    /// By upstream: what it offered last.
    pub offers: Vec<Mutex<Offered>>,
    pub classes: Arc<dyn records::Classes>,
    pub evidence: Evidence,
    /// Tells one load from the next, so that kept connections of an old one are not used.
    pub generation: u64,
}

/// What is known of an upstream without asking it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offered {
    pub extensions: Option<Extensions>,
    /// When it could not be reached last.
    failed: Option<Instant>,
}

/// For so long an upstream that could not be reached is not dialled again only to know what it offers.
const REST: Duration = Duration::from_secs(5);

impl Offered {
    /// Whether it is worth a dial to find out.
    pub fn is_worth_a_dial(&self) -> bool {
        self.extensions.is_none() && self.failed.is_none_or(|at| at.elapsed() >= REST)
    }

    /// Notes what came of a dial.
    pub fn note(&mut self, dialled: Option<Extensions>) {
        match dialled {
            Some(extensions) => *self = Offered { extensions: Some(extensions), failed: None },
            None => self.failed = Some(Instant::now()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("listener {listener}: {source}")]
    Listener { listener: Arc<str>, source: TlsError },
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    #[error("upstream {upstream}: {source}")]
    Upstream { upstream: Arc<str>, source: TlsError },
}

/// What outlives a reload.
pub struct Shared {
    pub site: ArcSwap<Site>,
    pub recorder: Recorder,
    pub outbox: Option<Outbox>,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub late: Late,
    draining: AtomicBool,
}

/// One thread's own things.
pub struct Worker {
    pub shared: Arc<Shared>,
    pub pool: Pool,
    references: Cell<u64>,
    date: RefCell<(i64, String)>,
    /// Sessions that would have to hear of the end.
    wakers: RefCell<HashMap<u64, Waker>>,
    next_session: Cell<u64>,
    pool_generation: Cell<u64>,
    /// Buffers of messages that are gone, for those that come.
    buffers: RefCell<Vec<Vec<u8>>>,
}

/// Buffers that one thread keeps, and the largest that is worth keeping.
const BUFFERS: usize = 8;
const BUFFER: usize = 2 * 1024 * 1024;

impl Site {
    pub fn new(settings: Settings, generation: u64) -> Result<Site, SiteError> {
        let servers = settings.listeners.iter().map(|l| Arc::new(server_config(l, &settings))).collect();
        let tls_in = settings.listeners.iter().map(|l| listener_tls(l, &settings)).collect::<Result<_, _>>()?;
        let tls_out = settings.upstreams.iter();
        let tls_out = tls_out.map(|u| tls::client_config(u).map_err(|source| SiteError::Upstream { upstream: u.name.clone(), source }));
        let tls_out = tls_out.collect::<Result<_, _>>()?;
        let offers = settings.upstreams.iter().map(|_| Mutex::default()).collect();
        let classes = classes(&settings.policy);
        let evidence = Evidence::new(&settings)?;
        Ok(Site { evidence, servers, tls_in, tls_out, offers, classes, settings: Arc::new(settings), generation })
    }
}

fn listener_tls(listener: &Listener, settings: &Settings) -> Result<Option<Arc<rustls::ServerConfig>>, SiteError> {
    match (&settings.tls, listener.tls) {
        (_, ListenerTls::None) | (None, _) => Ok(None),
        (Some(files), _) => tls::server_config(files, &listener.trust)
            .map(Some)
            .map_err(|source| SiteError::Listener { listener: listener.name.clone(), source }),
    }
}

fn server_config(listener: &Listener, settings: &Settings) -> ServerConfig {
    let limits = &settings.limits;
    ServerConfig {
        hostname: settings.hostname.as_str().into(),
        starttls: match (listener.tls, listener.role) {
            (ListenerTls::None | ListenerTls::Implicit, _) => Starttls::No,
            // A log-in may not go in clear, and submission is nothing without one.
            (ListenerTls::Starttls, Role::Submission) | (ListenerTls::StarttlsRequired, _) => Starttls::Required,
            (ListenerTls::Starttls, _) => Starttls::Offered,
        },
        auth: listener.role == Role::Submission,
        line_ends: match listener.role {
            _ if listener.normalise_line_ends => LineEnds::Normalise,
            Role::Connector => LineEnds::MendDoubled,
            Role::Submission | Role::Mx => LineEnds::Refuse,
        },
        limits: server::Limits {
            message: usize::try_from(limits.message_size).unwrap_or(usize::MAX),
            recipients: limits.recipients,
            commands: limits.commands,
            errors: limits.errors,
        },
    }
}

impl Shared {
    pub fn new(site: Site, recorder: Recorder, outbox: Option<Outbox>, metrics: Arc<Metrics>) -> Shared {
        let limits = Limits::new(&site.settings.limits);
        Shared {
            site: ArcSwap::from_pointee(site),
            recorder,
            outbox,
            limits,
            metrics,
            late: Late::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// From here on no message is begun.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl Worker {
    /// `seed` is random: references must not be guessed from one another.
    pub fn new(shared: Arc<Shared>, seed: u64) -> Worker {
        Worker {
            shared,
            pool: Pool::default(),
            references: Cell::new(seed),
            date: RefCell::new((i64::MIN, String::new())),
            wakers: RefCell::default(),
            next_session: Cell::new(0),
            pool_generation: Cell::new(0),
            buffers: RefCell::default(),
        }
    }

    /// A buffer for content that is about to come.
    pub fn borrow_buffer(&self, machine: &ServerSession) -> Option<Vec<u8>> {
        if machine.waits_for() == WaitsFor::Content && machine.content_held() == 0 { self.buffers.borrow_mut().pop() } else { None }
    }

    pub fn return_buffer(&self, buffer: Option<Vec<u8>>) {
        let mut buffers = self.buffers.borrow_mut();
        if let Some(buffer) = buffer.filter(|b| (1..=BUFFER).contains(&b.capacity()) && buffers.len() < BUFFERS) {
            buffers.push(buffer);
        }
    }

    /// Gives the memory of buffers back that nobody has wanted for a while.
    pub fn tidy_buffers(&self) {
        self.buffers.borrow_mut().pop();
    }

    /// A name for a message that a person can read out: eight characters without those that look alike.
    pub fn reference(&self) -> String {
        // SplitMix64 (Steele, Lea, Flood 2014) over a random seed. 40 bits are enough to find a message with its time, not to
        // be the only one for ever.
        let mut z = self.references.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.references.set(z);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut reference = String::with_capacity(11);
        reference.push_str("LG-");
        reference.extend((0..8).map(|i| LETTERS[(z >> (i * 5)) as usize & 31] as char));
        reference
    }

    /// The date of a Received field, worked out once a second.
    pub fn date(&self, now: &jiff::Zoned) -> String {
        let second = now.timestamp().as_second();
        let mut kept = self.date.borrow_mut();
        if kept.0 != second {
            *kept = (second, super::received::date(now));
        }
        kept.1.clone()
    }

    pub fn enter(&self) -> u64 {
        let id = self.next_session.get();
        self.next_session.set(id.wrapping_add(1));
        id
    }

    /// Notes how to wake a session for the end; once is enough, since a task keeps its waker.
    pub fn note_waker(&self, session: u64, waker: &Waker) {
        self.wakers.borrow_mut().insert(session, waker.clone());
    }

    pub fn leave(&self, session: u64) {
        self.wakers.borrow_mut().remove(&session);
    }

    pub fn sessions(&self) -> usize {
        self.wakers.borrow().len()
    }

    /// Wakes every session, so that it sees that the gateway is draining.
    pub fn wake_all(&self) {
        let wakers: Vec<Waker> = self.wakers.borrow().values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The kept connections that were dialled with the settings of this load: none for a session that a reload has outlived, whose
    /// upstream may be another by now.
    pub fn pool_of(&self, site: &Site) -> Option<&Pool> {
        if site.generation > self.pool_generation.get() {
            self.pool_generation.set(site.generation);
            drop(self.pool.clear());
        }
        (site.generation == self.pool_generation.get()).then_some(&self.pool)
    }
}

/// The rules' view of addresses, for the record.
pub fn classes(policy: &Arc<Policy>) -> Arc<dyn records::Classes> {
    Arc::new(Classes(policy.clone()))
}

struct Classes(Arc<Policy>);

impl records::Classes for Classes {
    fn class(&self, normal: &str) -> records::Class {
        record_class(self.0.classify(normal))
    }

    fn class_of_domain(&self, domain: &str) -> Option<records::Class> {
        self.0.classify_domain(domain).map(record_class)
    }

    fn configuration(&self) -> &[u8] {
        self.0.hash().as_bytes()
    }
}

fn record_class(class: Class) -> records::Class {
    match class {
        Class::Internal => records::Class::Internal,
        Class::Partner => records::Class::Partner,
        Class::Personal => records::Class::Personal,
        Class::External => records::Class::External,
    }
}
