//! The gateway's own mail: notices to the sender, the Clerk and the Chair.
//!
//! [`Outbox::tell`] merges what one person is to hear about one message into one letter, drops what they were told already (once
//! for each rule, message and person, however often a phone retries), and returns when the letter is on the disk. A task delivers
//! it through the configured upstream, with the gateway's own credential or as a connector, and tries again until it is delivered.
//!
//! **Never:** an answer to automatic mail (RFC 3834 §2), a reverse path that could make a loop, an address or a text in a log.

pub mod answers;
mod bounce;
mod delivery;
mod departure;
mod desk;
mod dkim;
pub mod held;
mod lanes;
mod leg;
mod letter;
mod memo;
mod pace;
pub mod stamp;
mod standing;
mod vigil;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};

pub use self::answers::{Answered, Came, Question};
pub use self::departure::{Departure, author_domains};
use self::desk::{Desk, Job, Keeper};
pub use self::lanes::{Chronicle, LaneOptions};
pub use self::memo::letter_to;
pub use self::pace::estimate;
pub use self::standing::{Answers, LaneStanding, Standing};

use crate::config::settings::{Role, Settings, Upstream};
use crate::policy::answer::Choice;
use crate::policy::{Disposition, Match, Notice, Person};
use crate::records::custody::{self, Covered, Custody, Deposit, DigestStanding};
use crate::records::{self, StoreError};
use crate::smtp::Durable;

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
    /// Where answers to notices go, with a token.
    pub answers: String,
    /// Username and password; none on a connector.
    pub credential: Option<(String, String)>,
    /// The upstream is a submission service: without a credential notices wait.
    pub needs_credential: bool,
    /// The name for EHLO.
    pub hostname: String,
    pub council: String,
    pub clerk: Option<String>,
    pub chair: Option<String>,
    /// Where people reach the console, if there is one.
    pub console: Option<String>,
    pub time_zone: jiff::tz::TimeZone,
    pub pace: Pace,
    /// The ways out for the council's mail.
    pub lanes: Vec<LaneOptions>,
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
        let credential = settings.outbox.as_ref().and_then(|o| o.credential.clone());
        let stamps: Vec<_> = settings.listeners.iter().filter_map(|l| Some((l.name.clone(), l.stamp.clone()?))).collect();
        let takes_passwords = |upstream: usize| settings.listeners.iter().any(|l| l.role == Role::Submission && l.upstream == upstream);
        let lane = |(at, upstream): (usize, &Arc<Upstream>)| {
            // A connector's upstream knows the gateway by its address or certificate.
            let credential = credential.clone().filter(|_| at == index);
            LaneOptions {
                is_blocked: takes_passwords(at) && credential.is_none(),
                upstream: upstream.clone(),
                credential,
                dkim: settings.dkim.clone(),
                stamps: stamps.clone(),
                passes_dsn: Arc::default(),
            }
        };
        Some(Options {
            store: records::Options::of(settings),
            lanes: settings.upstreams.iter().enumerate().map(lane).collect(),
            clerk: settings.council.clerk.clone(),
            chair: settings.council.chair.clone(),
            console: settings.console.as_ref().and_then(|console| console.url.clone()),
            time_zone: settings.time_zone.clone(),
            upstream: settings.upstreams.get(index)?.clone(),
            answers: settings.outbox.as_ref().map_or_else(|| format!("gateway@{domain}"), |o| o.answers.clone()),
            from: settings.outbox.as_ref().map_or_else(|| format!("gateway@{domain}"), |o| o.from.clone()),
            needs_credential: takes_passwords(index),
            credential: credential.clone(),
            hostname: settings.hostname.clone(),
            council: settings.council.name.clone(),
            pace: Pace::default(),
        })
    }

    /// Of the Clerk or the Chair.
    pub fn address_of(&self, role: &str) -> Option<String> {
        match role {
            "clerk" => self.clerk.clone(),
            "chair" => self.chair.clone(),
            _ => None,
        }
    }

    /// The upstream wants a credential and there is none: letters wait.
    pub fn is_blocked(&self) -> bool {
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
    /// The message is in the gateway's own care.
    pub care: Option<Care>,
}

/// Why a message is in custody, for those who hear of it.
#[derive(Clone)]
pub enum Care {
    Held(HeldNews),
    /// It leaves as so many copies; how long that takes, where something slows them.
    Split {
        copies: usize,
        takes: Option<Duration>,
    },
}

#[derive(Clone)]
pub struct HeldNews {
    pub by: Vec<Person>,
    pub until: jiff::Zoned,
    pub release_at_end: bool,
    /// What its sender may answer.
    pub offered: Vec<Choice>,
    /// Where answers go.
    pub answers: String,
    /// The page on which its sender may choose, if there is a console.
    pub page: Option<String>,
}

/// A message that is to be taken into custody, with what people hear of it: both or neither.
pub struct ToKeep {
    pub deposit: Deposit,
    pub told: Option<Told>,
    /// Names the message as it came: the same within the hour is the same, sent again by a client that did not hear.
    pub once: Vec<u8>,
}

/// Proof that a message is in custody, on the disk.
#[derive(Debug)]
pub struct Kept {
    /// Made by the store's thread alone.
    _taken: (),
}

impl Durable for Kept {}

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
    /// Counted up when the council's mail may have come.
    arrivals: watch::Sender<u64>,
    stopping: AtomicBool,
    chronicle: OnceLock<Arc<dyn Chronicle>>,
    heard: standing::Heard,
    mail: AtomicU64,
    held: AtomicU64,
    stopped: AtomicU64,
    broken: AtomicU64,
    oldest: AtomicI64,
    mail_delivered: AtomicU64,
    mail_deferred: AtomicU64,
    mail_refused: AtomicU64,
    mail_expired: AtomicU64,
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
    /// Of the council's mail, now.
    pub mail: u64,
    pub held: u64,
    pub stopped: u64,
    pub broken: u64,
    /// When the oldest that waits was taken, in milliseconds since 1970; 0 if none waits.
    pub oldest: i64,
    /// Recipients of the council's mail, since the start.
    pub mail_delivered: u64,
    pub mail_deferred: u64,
    pub mail_refused: u64,
    pub mail_expired: u64,
}

impl Outbox {
    /// Opens the custody store, starts its writer and the delivery task. Errors if the store cannot be opened.
    ///
    /// Panics if called outside a tokio runtime.
    pub fn start(options: Options, tls: Arc<rustls::ClientConfig>) -> Result<Outbox, StoreError> {
        let (outbox, changes) = Outbox::open(options, tls)?;
        if let Some(desk) = outbox.inner.desk() {
            tokio::spawn(lanes::run(changes.clone(), desk.clone(), outbox.inner.shared.clone()));
            tokio::spawn(vigil::run(changes.clone(), desk.clone(), outbox.inner.shared.clone()));
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
        let tally = changes.clone();
        custody.on_split_end(Box::new(move |sheet, now| {
            let options = &tally.borrow().options;
            held::split_ended(sheet, options, now)
        }));
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

    /// Takes a message into custody together with what people hear of it; durable when this returns.
    pub async fn keep(&self, message: ToKeep) -> Result<Kept, StoreError> {
        self.inner.desk().ok_or(StoreError::Stopped)?.ask(|answer| Job::Keep(Box::new(message), answer)).await?
    }

    /// Writes to somebody at the council about something that is no message; on the disk when this returns. Errors if `to` is no address.
    pub async fn memo(&self, to: &str, subject: &str, paragraphs: &[String]) -> Result<(), StoreError> {
        let now = desk::now();
        let deposit = {
            let setup = self.inner.options.borrow();
            memo::letter_to(to, subject, paragraphs, &setup.options, now)?
        };
        self.accept(deposit).await.map(drop)
    }

    /// Sends a digest to each of these people, unless any gateway has sent it before: then false. On the disk when this returns.
    pub async fn digest(&self, covered: Covered, to: &[String], page: &Page) -> Result<bool, StoreError> {
        let letters = digest_letters(to, page, &self.inner.options.borrow().options, desk::now())?;
        let sent =
            self.inner.desk().ok_or(StoreError::Stopped)?.with(move |custody, now| custody.send_digest(covered, &letters, now)).await?;
        self.inner.shared.arrive();
        Ok(sent)
    }

    /// How the digests stand.
    pub async fn digest_standing(&self) -> Result<DigestStanding, StoreError> {
        self.inner.desk().ok_or(StoreError::Stopped)?.with(|custody, now| custody.digest(now)).await
    }

    /// Does something with the custody store on its own thread: `act` gets the time too. Waits where much waits.
    pub async fn custody<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Custody, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.inner.desk().ok_or(StoreError::Stopped)?.with(act).await;
        // A decision may have made something due.
        self.inner.shared.arrive();
        done
    }

    /// New settings after a reload; the store stays.
    pub fn reload(&self, options: Options, tls: Arc<rustls::ClientConfig>) {
        self.inner.options.send_replace(Arc::new(Setup { options, tls }));
        self.inner.shared.arrive();
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
            mail: of(&s.mail),
            held: of(&s.held),
            stopped: of(&s.stopped),
            broken: of(&s.broken),
            oldest: s.oldest.load(Ordering::Relaxed),
            mail_delivered: of(&s.mail_delivered),
            mail_deferred: of(&s.mail_deferred),
            mail_refused: of(&s.mail_refused),
            mail_expired: of(&s.mail_expired),
        }
    }

    /// Whom the record hears of deliveries from; once.
    pub fn set_chronicle(&self, chronicle: Arc<dyn Chronicle>) {
        let _ = self.inner.shared.chronicle.set(chronicle);
    }

    /// Begins no more deliveries: what is on its way may land.
    pub fn drain(&self) {
        self.inner.shared.stopping.store(true, Ordering::Relaxed);
    }

    /// Takes nothing more. What waits stays on the disk. A letter that is on its way may be sent again after the next start.
    pub fn stop(&self) {
        // Without senders and without a setup the two workers end.
        self.inner.desk.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A letter of several lines, for the Clerk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub subject: String,
    /// Lines end in LF; blanks at their beginning stay.
    pub text: String,
}

/// The letters of a digest, one for each person. `now` in milliseconds since 1970. Errors if somebody is no address.
pub fn digest_letters(to: &[String], page: &Page, options: &Options, now: i64) -> Result<Vec<Deposit>, StoreError> {
    let gives_up = now.saturating_add(i64::try_from(options.pace.gives_up.as_millis()).unwrap_or(i64::MAX));
    let letter = |to: &String| Ok(desk::notice_to(to, memo::page(to, page, options, now)?, Vec::new(), now, gives_up, ""));
    to.iter().map(letter).collect()
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
        self.mail.store(counts.mail, Ordering::Relaxed);
        self.held.store(counts.held, Ordering::Relaxed);
        self.stopped.store(counts.stopped, Ordering::Relaxed);
        self.broken.store(counts.broken, Ordering::Relaxed);
        self.oldest.store(counts.oldest.unwrap_or(0), Ordering::Relaxed);
        Ok(())
    }

    /// Something may have become due.
    fn arrive(&self) {
        self.arrived.notify_one();
        self.arrivals.send_modify(|n| *n += 1);
    }

    /// No more is begun.
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
