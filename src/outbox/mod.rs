//! The gateway's own mail: notices to the sender, the Clerk and the Chair.
//!
//! [`Outbox::tell`] merges what one person is to hear about one message into one letter, drops what they were told already (once
//! for each rule, message and person, however often a phone retries), and returns when the letter is on the disk. A task delivers
//! it through the configured upstream, with the gateway's own credential or as a connector, and tries again until it is delivered.
//!
//! **Never:** an answer to automatic mail (RFC 3834 §2), a reverse path that could make a loop, an address or a text in a log.

mod delivery;
mod desk;
mod letter;
mod memo;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use self::desk::{Desk, Job, Keeper};

use crate::config::settings::{Role, Settings, Upstream};
use crate::policy::{Disposition, Match, Notice};
use crate::records::custody::{self, Custody, Deposit};
use crate::records::{self, StoreError};

/// Letters that may wait at one time.
const MOST: u64 = 10_000;
/// Tellings that may wait for the disk.
const QUEUE: usize = 256;

/// What the outbox needs to know of the settings.
#[derive(Clone)]
pub struct Options {
    pub store: records::Options,
    pub upstream: Arc<Upstream>,
    pub from: String,
    /// Username and password; none on a connector.
    pub credential: Option<(String, String)>,
    /// The upstream is a submission service: without a credential notices wait.
    pub needs_credential: bool,
    /// The name for EHLO.
    pub hostname: String,
    pub council: String,
    pub pace: Pace,
}

/// How patiently delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure; doubled after each.
    pub first: Duration,
    pub longest: Duration,
    /// RFC 5321 §4.5.4.1: at least four or five days.
    pub gives_up: Duration,
    /// For one letter, connecting included.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(3600),
            gives_up: Duration::from_secs(5 * 86_400),
            timeout: Duration::from_secs(180),
        }
    }
}

impl Options {
    /// None if the site has no listener, and so no upstream.
    pub fn of(settings: &Settings) -> Option<Options> {
        let index = match &settings.outbox {
            Some(outbox) => outbox.upstream,
            None => settings.listeners.first()?.upstream,
        };
        let domain = settings.council.domains.first().map_or("localhost", String::as_str);
        Some(Options {
            store: records::Options::of(settings),
            upstream: settings.upstreams.get(index)?.clone(),
            from: settings.outbox.as_ref().map_or_else(|| format!("gateway@{domain}"), |o| o.from.clone()),
            credential: settings.outbox.as_ref().and_then(|o| o.credential.clone()),
            needs_credential: settings.listeners.iter().any(|l| l.role == Role::Submission && l.upstream == index),
            hostname: settings.hostname.clone(),
            council: settings.council.name.clone(),
            pace: Pace::default(),
        })
    }

    fn is_blocked(&self) -> bool {
        self.needs_credential && self.credential.is_none()
    }
}

/// What people are to hear about one message.
#[derive(Clone)]
pub struct Told {
    pub notices: Vec<Notice>,
    /// The rules that matched, for their titles and clauses.
    pub matches: Vec<Match>,
    pub disposition: Disposition,
    pub message_id: Option<String>,
    /// What names the message where it has no Message-ID: a digest of its content and sender.
    pub fallback: String,
    /// "LG-7F3K".
    pub reference: String,
    /// In the council's time zone.
    pub time: jiff::Zoned,
    /// Who sent it, for people other than the sender.
    pub sender: String,
    /// For the sender's own letter only, so that they know which message it is about.
    pub subject: Option<String>,
    /// The message was automatic: its sender is not told.
    pub automatic: bool,
}

/// What became of a telling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enqueued {
    /// Letters that are now on the disk.
    pub letters: usize,
    /// Notices that the person had been given before.
    pub repeated: usize,
}

/// The handle. Cheap to clone; the last one ends the outbox.
#[derive(Clone)]
pub struct Outbox {
    inner: Arc<Inner>,
}

struct Inner {
    desk: Mutex<Option<Desk>>,
    shared: Arc<Shared>,
    options: watch::Sender<Arc<Setup>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// What delivery runs on; replaced whole on reload.
struct Setup {
    options: Options,
    tls: Arc<rustls::ClientConfig>,
}

#[derive(Default)]
struct Shared {
    arrived: Notify,
    waiting: AtomicU64,
    queued: AtomicU64,
    repeated: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
    expired: AtomicU64,
    dropped: AtomicU64,
}

/// What the metrics show, since the start; `waiting` is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub waiting: u64,
    pub queued: u64,
    /// Notices not sent again.
    pub repeated: u64,
    pub delivered: u64,
    /// Refused for good by the upstream.
    pub refused: u64,
    /// Given up after five days.
    pub expired: u64,
    /// Not taken: too many waited.
    pub dropped: u64,
}

impl Outbox {
    /// Opens the custody store, starts its writer and the delivery task. Errors if the store cannot be opened.
    ///
    /// Panics if called outside a tokio runtime.
    pub fn start(options: Options, tls: Arc<rustls::ClientConfig>) -> Result<Outbox, StoreError> {
        let (outbox, changes) = Outbox::open(options, tls)?;
        if let Some(desk) = outbox.inner.desk() {
            tokio::spawn(delivery::run(changes, desk, outbox.inner.shared.clone()));
        }
        Ok(outbox)
    }

    /// Opens the custody store and starts its writer, and delivers nothing: for the command line while no gateway runs.
    pub fn at_rest(options: Options, tls: Arc<rustls::ClientConfig>) -> Result<Outbox, StoreError> {
        Ok(Outbox::open(options, tls)?.0)
    }

    fn open(options: Options, tls: Arc<rustls::ClientConfig>) -> Result<(Outbox, watch::Receiver<Arc<Setup>>), StoreError> {
        let mut custody = custody::open(&options.store)?;
        let shared = Arc::new(Shared::default());
        shared.count(custody.as_mut())?;
        if options.is_blocked() {
            let waiting = shared.waiting.load(Ordering::Relaxed);
            tracing::warn!(event = "outbox_no_credential", waiting, "[outbox] has no credential for a submission upstream: notices wait");
        }
        let (jobs, received) = sync_channel(QUEUE);
        let (setup, changes) = watch::channel(Arc::new(Setup { options, tls }));
        let keeper = Keeper { custody, shared: shared.clone(), setup: changes.clone(), tidied: 0 };
        let thread = std::thread::Builder::new().name("custody".into()).spawn(move || keeper.run(received)).map_err(StoreError::Thread)?;
        let inner = Inner { desk: Mutex::new(Some(Desk::new(jobs))), shared, options: setup, keeper: Mutex::new(Some(thread)) };
        Ok((Outbox { inner: Arc::new(inner) }, changes))
    }

    /// Takes what people are to hear into custody. Durable when this returns.
    pub async fn tell(&self, told: Told) -> Result<Enqueued, StoreError> {
        if told.notices.is_empty() {
            return Ok(Enqueued::default());
        }
        let told = self.inner.desk().ok_or(StoreError::Stopped)?.ask(|answer| Job::Tell(Box::new(told), answer)).await;
        if matches!(told, Err(StoreError::QueueFull)) {
            self.inner.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        told?
    }

    /// Takes a message into custody; durable when this returns. Says its parcels. Whatever waits at the same time shares one commit.
    pub async fn accept(&self, deposit: Deposit) -> Result<Vec<i64>, StoreError> {
        self.inner.desk().ok_or(StoreError::Stopped)?.ask(|answer| Job::Accept(Box::new(deposit), answer)).await?
    }

    /// Writes to somebody at the council about something that is no message; on the disk when this returns. Errors if `to` is no address.
    pub async fn memo(&self, to: &str, subject: &str, paragraphs: &[String]) -> Result<(), StoreError> {
        let now = desk::now();
        let deposit = {
            let setup = self.inner.options.borrow();
            let content = memo::compose(to, subject, paragraphs, &setup.options, now)?;
            let gives_up = now.saturating_add(i64::try_from(setup.options.pace.gives_up.as_millis()).unwrap_or(i64::MAX));
            desk::notice_to(to, content, Vec::new(), now, gives_up, "")
        };
        self.accept(deposit).await.map(drop)
    }

    /// Does something with the custody store on its own thread: `act` gets the time too. Waits where much waits.
    pub async fn custody<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Custody, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.inner.desk().ok_or(StoreError::Stopped)?.with(act).await;
        // A decision may have made something due.
        self.inner.shared.arrived.notify_one();
        done
    }

    /// New settings after a reload; the store stays.
    pub fn reload(&self, options: Options, tls: Arc<rustls::ClientConfig>) {
        self.inner.options.send_replace(Arc::new(Setup { options, tls }));
        self.inner.shared.arrived.notify_one();
    }

    /// Whether notices wait because the upstream wants a credential and there is none.
    pub fn is_blocked(&self) -> bool {
        self.inner.options.borrow().options.is_blocked()
    }

    pub fn counters(&self) -> Counters {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let s = &self.inner.shared;
        Counters {
            waiting: of(&s.waiting),
            queued: of(&s.queued),
            repeated: of(&s.repeated),
            delivered: of(&s.delivered),
            refused: of(&s.refused),
            expired: of(&s.expired),
            dropped: of(&s.dropped),
        }
    }

    /// Takes nothing more. What waits stays on the disk. A letter that is on its way may be sent again after the next start.
    pub fn stop(&self) {
        // Without senders and without a setup the two workers end.
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Inner {
    fn desk(&self) -> Option<Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The delivery task ends when the setup's sender is gone, which is after this; the keeper's thread ends after it.
        drop(self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

impl Shared {
    fn count(&self, custody: &mut dyn Custody) -> Result<(), StoreError> {
        let counts = custody.counts()?;
        self.waiting.store(counts.notices, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
