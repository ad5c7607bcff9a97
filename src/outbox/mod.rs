//! The gateway's own mail: notices to the sender, the Clerk and the Chair.
//!
//! [`Outbox::tell`] merges what one person is to hear about one message into one letter, drops what they were told already (once
//! for each rule, message and person, however often a phone retries), and returns when the letter is on the disk. A task delivers
//! it through the configured upstream, with the gateway's own credential or as a connector, and tries again until it is delivered.
//!
//! **Never:** an answer to automatic mail (RFC 3834 §2), a reverse path that could make a loop, an address or a text in a log.

mod delivery;
mod letter;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use crate::config::settings::{Role, Settings, Upstream};
use crate::policy::{Disposition, Match, Notice};
use crate::records::custody::{Custody, Waiting};
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
    jobs: Mutex<Option<SyncSender<Job>>>,
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

enum Job {
    Tell(Box<Told>, oneshot::Sender<Result<Enqueued, StoreError>>),
    Due(usize, oneshot::Sender<Result<Due, StoreError>>),
    Delivered(i64),
    Refused(i64),
    Again(i64, i64),
}

/// Letters to send now, and when the next is due (milliseconds).
struct Due {
    letters: Vec<Waiting>,
    next: Option<i64>,
}

impl Outbox {
    /// Opens the custody store, starts its writer and the delivery task. Errors if the store cannot be opened.
    ///
    /// Panics if called outside a tokio runtime.
    pub fn start(options: Options, tls: Arc<rustls::ClientConfig>) -> Result<Outbox, StoreError> {
        let custody = Custody::open(&options.store)?;
        let shared = Arc::new(Shared::default());
        shared.waiting.store(custody.waiting()?, Ordering::Relaxed);
        if options.is_blocked() {
            let waiting = shared.waiting.load(Ordering::Relaxed);
            tracing::warn!(event = "outbox_no_credential", waiting, "[outbox] has no credential for a submission upstream: notices wait");
        }
        let (jobs, received) = sync_channel(QUEUE);
        let (setup, changes) = watch::channel(Arc::new(Setup { options, tls }));
        let keeper = Keeper { custody, shared: shared.clone(), setup: changes.clone(), tidied: 0 };
        let path = setup.borrow().options.store.custody();
        let thread = std::thread::Builder::new()
            .name("custody".into())
            .spawn(move || keeper.run(received))
            .map_err(|e| StoreError::Io { path, source: e })?;
        tokio::spawn(delivery::run(changes, jobs.clone(), shared.clone()));
        Ok(Outbox { inner: Arc::new(Inner { jobs: Mutex::new(Some(jobs)), shared, options: setup, keeper: Mutex::new(Some(thread)) }) })
    }

    /// Takes what people are to hear into custody. Durable when this returns.
    pub async fn tell(&self, told: Told) -> Result<Enqueued, StoreError> {
        if told.notices.is_empty() {
            return Ok(Enqueued::default());
        }
        let (answer, heard) = oneshot::channel();
        {
            let jobs = self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let jobs = jobs.as_ref().ok_or(StoreError::Stopped)?;
            match jobs.try_send(Job::Tell(Box::new(told), answer)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    self.inner.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return Err(StoreError::QueueFull);
                }
                Err(TrySendError::Disconnected(_)) => return Err(StoreError::Stopped),
            }
        }
        heard.await.map_err(|_| StoreError::Stopped)?
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
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The delivery task ends when the setup's sender is gone, which is after this; the keeper's thread ends after it.
        drop(self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// The custody store's own thread.
struct Keeper {
    custody: Custody,
    shared: Arc<Shared>,
    setup: watch::Receiver<Arc<Setup>>,
    /// When it was last tidied, in milliseconds.
    tidied: i64,
}

const HOUR: i64 = 3_600_000;

impl Keeper {
    fn run(mut self, jobs: Receiver<Job>) {
        // Ends when every sender is gone.
        while let Ok(job) = jobs.recv() {
            let now = jiff::Timestamp::now().as_millisecond();
            if now - self.tidied >= HOUR || now < self.tidied {
                self.tidied = now;
                self.tidy(now);
            }
            match job {
                Job::Tell(told, answer) => {
                    let result = self.tell(&told, now);
                    if let Err(error) = &result {
                        tracing::error!(event = "notice_lost", reference = %told.reference, %error, "a notice could not be kept");
                    }
                    let arrived = result.as_ref().is_ok_and(|e| e.letters > 0);
                    let _ = answer.send(result);
                    if arrived {
                        self.shared.arrived.notify_one();
                    }
                }
                Job::Due(most, answer) => {
                    let _ = answer.send(self.due(now, most));
                }
                Job::Delivered(id) => self.settle("delivered", &self.shared.clone().delivered, |c| c.remove(id)),
                Job::Refused(id) => self.settle("refused", &self.shared.clone().refused, |c| c.remove(id)),
                Job::Again(id, due) => self.settle("deferred", &AtomicU64::new(0), |c| c.again(id, due)),
            }
        }
    }

    fn settle(&mut self, what: &'static str, counter: &AtomicU64, act: impl FnOnce(&mut Custody) -> Result<(), StoreError>) {
        match act(&mut self.custody) {
            Ok(()) => {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            // The letter would be sent again: say so.
            Err(error) => tracing::error!(event = "notice_not_settled", what, %error, "the custody store cannot be written"),
        }
        self.count();
    }

    fn count(&self) {
        if let Ok(n) = self.custody.waiting() {
            self.shared.waiting.store(n, Ordering::Relaxed);
        }
    }

    fn due(&mut self, now: i64, most: usize) -> Result<Due, StoreError> {
        let letters = self.custody.due(now, most)?;
        Ok(Due { letters, next: self.custody.next_due()? })
    }

    fn tidy(&mut self, now: i64) {
        match self.custody.tidy(now) {
            Ok(0) => {}
            Ok(letters) => {
                self.shared.expired.fetch_add(letters as u64, Ordering::Relaxed);
                tracing::warn!(event = "notice_expired", letters, "notices could not be delivered in time and were given up");
                self.count();
            }
            Err(error) => tracing::error!(event = "custody_tidy_failed", %error, "the custody store cannot be tidied"),
        }
    }

    fn tell(&mut self, told: &Told, now: i64) -> Result<Enqueued, StoreError> {
        let setup = self.setup.borrow().clone();
        let mut done = Enqueued::default();
        let mut letters = Vec::new();
        for (to, notices) in letter::by_person(told) {
            let mut new = Vec::new();
            let mut keys: Vec<(Vec<u8>, i64)> = Vec::new();
            for notice in notices {
                let once = (letter::told_key(told, notice, &to), records::custody::TOLD.as_millis() as i64);
                let mut known = false;
                let each = [Some(once), letter::every_key(told, notice, &to)];
                for (key, _) in each.iter().flatten() {
                    known |= keys.iter().any(|(k, _)| k == key) || self.custody.is_told(key, now)?;
                }
                if known {
                    done.repeated += 1;
                    continue;
                }
                keys.extend(each.into_iter().flatten());
                new.push(notice);
            }
            if new.is_empty() {
                continue;
            }
            let message = letter::compose(told, &to, &new, &setup.options)?;
            letters.push(records::custody::Letter { to, message, told: keys });
        }
        self.shared.repeated.fetch_add(done.repeated as u64, Ordering::Relaxed);
        if letters.is_empty() {
            return Ok(done);
        }
        if self.custody.waiting()? + letters.len() as u64 > MOST {
            self.shared.dropped.fetch_add(letters.len() as u64, Ordering::Relaxed);
            return Err(StoreError::QueueFull);
        }
        done.letters = letters.len();
        let gives_up = now.saturating_add(i64::try_from(setup.options.pace.gives_up.as_millis()).unwrap_or(i64::MAX));
        self.custody.put(&letters, now, gives_up)?;
        self.shared.queued.fetch_add(done.letters as u64, Ordering::Relaxed);
        self.count();
        if setup.options.is_blocked() {
            let waiting = self.shared.waiting.load(Ordering::Relaxed);
            if waiting.is_power_of_two() {
                tracing::warn!(
                    event = "outbox_no_credential",
                    waiting,
                    "[outbox] has no credential for a submission upstream: notices wait"
                );
            }
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests;
