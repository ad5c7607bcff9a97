//! The handle that the gateway has, the bounded queue behind it, and the one thread that writes.
//!
//! A session never waits for the disk: it puts its entry into the queue, or hears at once that the queue is full. The writer takes
//! what has gathered in a fifth of a second (or a thousand entries) and commits it as one transaction. Where the record is
//! mandatory it does not wait to gather, and [`Recorder::reserve`] returns when the row is on the disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::entry::{Entry, Kept, Outcome};
use super::retention::{Progress, Receipt, interval};
use super::spare::Spare;
use super::store::{Address, Store};
use super::{Options, Rates, StoreError};
use crate::policy::past::{Answer, Question};

/// How long entries gather before they are written together.
const GATHER: Duration = Duration::from_millis(200);
/// Entries of one transaction.
const GROUP: usize = 1_000;
/// Octets in the queue at which the writer is woken before its time.
const EAGER: usize = 1 << 20;
/// Octets that the queue may hold, whatever their number.
const MOST: usize = 16 << 20;
/// How long a session waits for its mandatory row before it is answered 451.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a message waits for what the index of past mail says.
const ANSWER: Duration = Duration::from_secs(2);
/// Failures in a row after which a group that is not the disk's fault is given up.
const STUBBORN: u32 = 5;

/// Records messages. Cheap to clone; the writer ends when the last one is gone.
#[derive(Clone)]
pub struct Recorder {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    mandatory: bool,
    monitored: bool,
    rates: Arc<Rates>,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    most: usize,
    counters: Counts,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Entries among the jobs, and about what they weigh.
    entries: usize,
    octets: usize,
    /// The writer sleeps until something comes.
    idle: bool,
    /// Somebody waits for the answer.
    urgent: bool,
    closed: bool,
}

enum Job {
    Record(Box<Entry>),
    Reserve(Box<Entry>, oneshot::Sender<Result<Ticket, StoreError>>),
    Complete(Address, Box<Entry>),
    Flush(oneshot::Sender<Result<(), StoreError>>),
    Retention(Purge, oneshot::Sender<Result<Receipt, StoreError>>),
    Past(Box<Question>, oneshot::Sender<Result<Answer, StoreError>>),
    Counted(Vec<String>, oneshot::Sender<Result<Counted, StoreError>>),
    #[cfg(test)]
    With(Box<dyn FnOnce(&mut Store) + Send>),
}

/// What is asked of a purge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purge {
    Now,
    /// The clock is right, whatever it looks like.
    Confirmed,
}

/// For each key that was asked for: buckets and numbers.
type Counted = Vec<Vec<(i64, u64)>>;

/// The queue was full: the entry is lost, and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record's queue is full")]
pub struct QueueFull;

/// A row that is on the disk and waits for its outcome. Dropped without one, the row says that the outcome is not known, which
/// is the truth.
#[must_use = "a reserved row waits for its outcome"]
pub struct Ticket {
    row: Option<(Address, Box<Entry>)>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.row.is_some() { "Ticket(row)" } else { "Ticket(counted)" })
    }
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
    purged: AtomicU64,
    purges: AtomicU64,
    last_purge: AtomicI64,
    clock_ahead: AtomicBool,
}

/// What the metrics show, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Entries written or counted.
    pub written: u64,
    /// Entries lost: the queue was full, or the store broken for too long.
    pub lost: u64,
    /// Commits that failed.
    pub failures: u64,
    /// Rows deleted because their time had come.
    pub purged: u64,
    /// Purges that came to their end.
    pub purges: u64,
    /// By which time a purge last came to its end, in milliseconds since 1970; 0 if none has since the start.
    pub last_purge: i64,
    /// The last purge did not believe the machine's clock.
    pub clock_ahead: bool,
    /// Entries that wait now.
    pub waiting: u64,
}

impl Recorder {
    /// Opens the store and starts the writer. Errors if the store cannot be opened.
    pub fn start(options: &Options) -> Result<Recorder, StoreError> {
        let mut store = Store::open(options)?;
        // Before anybody can ask: a database that was restored may know people who were to be forgotten.
        super::rights::again(options, jiff::Timestamp::now().as_millisecond())?;
        store.apply_retention()?;
        let mandatory = options.monitoring.is_some_and(|m| m.mandatory);
        let shared =
            Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), most: options.queue.max(1), counters: Counts::default() });
        let writer = Writer {
            store,
            shared: shared.clone(),
            gather: if mandatory { Duration::ZERO } else { GATHER },
            failed: 0,
            purge: None,
            asked: Vec::new(),
            waiting: Vec::new(),
            resume: Instant::now(),
            spare: Spare::of(options.database.file()),
        };
        writer.spare.make();
        let thread = std::thread::Builder::new().name("records".into()).spawn(move || writer.run()).map_err(StoreError::Thread)?;
        let inner =
            Inner { shared, writer: Mutex::new(Some(thread)), mandatory, monitored: options.monitoring.is_some(), rates: Arc::default() };
        Ok(Recorder { inner: Arc::new(inner) })
    }

    /// Whether the council wants no mail without its row: then [`Recorder::reserve`] comes before DATA goes upstream.
    pub fn is_mandatory(&self) -> bool {
        self.inner.mandatory
    }

    /// Puts a message in the record. Never waits.
    pub fn record(&self, entry: Entry) -> Result<(), QueueFull> {
        let shared = &self.inner.shared;
        if entry.kept(self.inner.monitored) == Kept::Nothing {
            return Ok(());
        }
        let weight = entry.weight();
        let mut state = shared.lock();
        if !shared.has_room(&state, weight) {
            drop(state);
            // The log says it once for every doubling, not once for every message.
            let lost = shared.counters.lost.fetch_add(1, Ordering::Relaxed) + 1;
            if lost.is_power_of_two() {
                tracing::warn!(event = "record_lost", lost, "the record's queue is full: messages are delivered without a record");
            }
            return Err(QueueFull);
        }
        shared.push_entry(&mut state, Job::Record(Box::new(entry)), weight);
        Ok(())
    }

    /// Makes the row of a message durable before its content goes upstream. An error is answered 451: nothing has been accepted.
    /// A message that is only counted gets an empty ticket at once.
    pub async fn reserve(&self, entry: Entry) -> Result<Ticket, StoreError> {
        match entry.kept(self.inner.monitored) {
            Kept::Nothing => return Ok(Ticket { row: None }),
            // Counts are never a reason to defer mail; a lost one is counted as lost.
            Kept::Count => {
                let _ = self.record(entry);
                return Ok(Ticket { row: None });
            }
            Kept::Row(_) => {}
        }
        let (answer, heard) = oneshot::channel();
        {
            let shared = &self.inner.shared;
            let weight = entry.weight();
            let mut state = shared.lock();
            if state.closed {
                return Err(StoreError::Stopped);
            }
            if !shared.has_room(&state, weight) {
                return Err(StoreError::QueueFull);
            }
            state.urgent = true;
            shared.push_entry(&mut state, Job::Reserve(Box::new(entry), answer), weight);
        }
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(StoreError::Stopped),
            Err(_) => Err(StoreError::Slow),
        }
    }

    /// Completes a reserved row with what became of the message. Never waits, and is never lost to a full queue: there are no
    /// more completions than there were reservations.
    pub fn complete(&self, ticket: Ticket, outcome: Outcome) {
        let Some((address, mut entry)) = ticket.row else { return };
        entry.outcome = Some(outcome);
        let shared = &self.inner.shared;
        let weight = entry.weight();
        let mut state = shared.lock();
        if state.closed {
            // The row keeps saying that the outcome is not known.
            shared.counters.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        shared.push_entry(&mut state, Job::Complete(address, entry), weight);
    }

    /// Waits until everything recorded so far is written.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.ask(Job::Flush).await?
    }

    /// Purges now; other work is done between the pieces.
    pub async fn retention_run(&self) -> Result<Receipt, StoreError> {
        self.ask(|answer| Job::Retention(Purge::Now, answer)).await?
    }

    /// The same, by somebody who says that the machine's clock is right.
    pub async fn retention_confirm(&self) -> Result<Receipt, StoreError> {
        self.ask(|answer| Job::Retention(Purge::Confirmed, answer)).await?
    }

    /// What was counted of late.
    pub fn rates(&self) -> &Arc<Rates> {
        &self.inner.rates
    }

    /// Asks the index of past mail, in which everything recorded so far stands when it answers.
    pub async fn past(&self, question: Question) -> Result<Answer, StoreError> {
        let asked = self.ask(|answer| Job::Past(Box::new(question), answer));
        tokio::time::timeout(ANSWER, asked).await.map_err(|_| StoreError::Slow)??
    }

    /// What the store has counted for each of these keys.
    pub async fn counted(&self, keys: Vec<String>) -> Result<Counted, StoreError> {
        let asked = self.ask(|answer| Job::Counted(keys, answer));
        tokio::time::timeout(ANSWER, asked).await.map_err(|_| StoreError::Slow)??
    }

    /// Asks the writer and waits for it.
    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        let (answer, heard) = oneshot::channel();
        self.inner.shared.push_urgent(job(answer))?;
        heard.await.map_err(|_| StoreError::Stopped)
    }

    /// Writes what waits and ends the writer. Later entries are lost, and counted. Blocks for as long as the disk takes.
    pub fn stop(&self) {
        self.inner.stop();
    }

    pub fn counters(&self) -> Counters {
        let shared = &self.inner.shared;
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let c = &shared.counters;
        Counters {
            written: of(&c.written),
            lost: of(&c.lost),
            failures: of(&c.failures),
            purged: of(&c.purged),
            purges: of(&c.purges),
            last_purge: c.last_purge.load(Ordering::Relaxed),
            clock_ahead: c.clock_ahead.load(Ordering::Relaxed),
            waiting: shared.lock().entries as u64,
        }
    }

    #[cfg(test)]
    pub(super) fn with(&self, act: impl FnOnce(&mut Store) + Send + 'static) {
        self.inner.shared.push_urgent(Job::With(Box::new(act))).unwrap();
    }
}

impl Inner {
    fn stop(&self) {
        {
            let mut state = self.shared.lock();
            state.closed = true;
            self.shared.wake.notify_all();
        }
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!(event = "record_writer_died", "the record's writer ended by a fault");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self, state: &State, weight: usize) -> bool {
        !state.closed && state.entries < self.most && state.octets + weight <= MOST
    }

    fn push_entry(&self, state: &mut State, job: Job, weight: usize) {
        state.jobs.push_back(job);
        state.entries += 1;
        let before = state.octets;
        state.octets += weight;
        // While the writer gathers or writes, nobody needs to wake it: that would cost a system call a message.
        if state.idle || state.urgent || state.entries == GROUP || (before < EAGER && state.octets >= EAGER) {
            self.wake.notify_one();
        }
    }

    fn push_urgent(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::Stopped);
        }
        state.jobs.push_back(job);
        state.urgent = true;
        self.wake.notify_one();
        Ok(())
    }
}

struct Writer {
    store: Store,
    shared: Arc<Shared>,
    gather: Duration,
    /// Commits that failed in a row.
    failed: u32,
    /// A purge that is under way.
    purge: Option<Receipt>,
    /// Who waits for the next purge that begins, and for the one that is under way.
    asked: Vec<(Purge, oneshot::Sender<Result<Receipt, StoreError>>)>,
    waiting: Vec<oneshot::Sender<Result<Receipt, StoreError>>>,
    /// Not before this is a purge tried again that another process had begun.
    resume: Instant,
    spare: Spare,
}

impl Writer {
    fn run(mut self) {
        // At start, so that what expired while we were down goes first.
        let mut due = Instant::now();
        loop {
            let (jobs, closing) = self.take(due);
            self.perform(jobs);
            let asked = !self.asked.is_empty() && Instant::now() >= self.resume;
            if Instant::now() >= due || self.purge.is_some() || asked {
                due = self.purge_some();
            }
            if closing && (self.shared.lock().jobs.is_empty() || self.failed > 0) {
                break;
            }
        }
    }

    /// Waits for jobs, or for the time of the next purge; gives what belongs in one transaction.
    fn take(&self, due: Instant) -> (Vec<Job>, bool) {
        let mut state = self.shared.lock();
        // After a failure the store gets time to come back, while the queue takes what it can.
        let rest = Duration::from_millis(100 << self.failed.min(8));
        let mut until = if self.failed > 0 { Some(Instant::now() + rest) } else { None };
        loop {
            let now = Instant::now();
            let ready = match until {
                Some(t) => now >= t,
                None => !state.jobs.is_empty(),
            };
            if state.closed || state.urgent || ready {
                break;
            }
            let wait = until.unwrap_or(due).saturating_duration_since(now);
            if until.is_none() && wait.is_zero() {
                break;
            }
            state.idle = until.is_none();
            state = self.shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = false;
        }
        until = Some(Instant::now() + self.gather);
        while self.failed == 0 && !state.jobs.is_empty() && !state.closed && !state.urgent && state.entries < GROUP && state.octets < EAGER
        {
            let wait = until.map_or(Duration::ZERO, |t| t.saturating_duration_since(Instant::now()));
            if wait.is_zero() {
                break;
            }
            state = self.shared.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        let n = state.jobs.len().min(GROUP);
        let jobs: Vec<Job> = state.jobs.drain(..n).collect();
        for job in &jobs {
            if let Some(entry) = job.entry() {
                state.entries -= 1;
                state.octets = state.octets.saturating_sub(entry.weight());
            }
        }
        if state.jobs.is_empty() {
            state.urgent = false;
            // A burst's room is given back.
            if state.jobs.capacity() > 2 * GROUP {
                state.jobs.shrink_to(GROUP);
            }
        }
        (jobs, state.closed)
    }

    /// One transaction, then the answers. What could not be written and is nobody's to answer goes back to the queue's front.
    fn perform(&mut self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let completed: Vec<_> =
            jobs.iter().filter_map(|j| if let Job::Complete(at, entry) = j { Some((*at, &**entry)) } else { None }).collect();
        let entries = jobs.iter().filter_map(|j| match j {
            Job::Record(entry) | Job::Reserve(entry, _) => Some(&**entry),
            _ => None,
        });
        let count = entries.clone().count();
        let result = if count + completed.len() == 0 { Ok(Vec::new()) } else { self.store.write(entries, &completed) };
        match result {
            Ok(places) => {
                if count + completed.len() > 0 {
                    if self.failed > 0 {
                        tracing::info!(event = "record_recovered", "the record can be written again");
                    }
                    self.failed = 0;
                }
                self.shared.counters.written.fetch_add(count as u64, Ordering::Relaxed);
                self.answer(jobs, places);
            }
            Err(error) => self.put_back(jobs, error),
        }
    }

    fn answer(&mut self, jobs: Vec<Job>, places: Vec<Option<Address>>) {
        let mut places = places.into_iter();
        for job in jobs {
            match job {
                Job::Record(_) => {
                    places.next();
                }
                Job::Reserve(entry, answer) => {
                    let row = places.next().flatten().map(|at| (at, entry));
                    // A session that has gone leaves a row without an outcome.
                    let _ = answer.send(Ok(Ticket { row }));
                }
                Job::Complete(..) => {}
                Job::Flush(answer) => {
                    let _ = answer.send(Ok(()));
                }
                Job::Retention(how, answer) => self.asked.push((how, answer)),
                Job::Past(question, answer) => {
                    let _ = answer.send(self.store.past(&question));
                }
                Job::Counted(keys, answer) => {
                    let _ = answer.send(self.store.counted(&keys));
                }
                #[cfg(test)]
                Job::With(act) => act(&mut self.store),
            }
        }
    }

    fn put_back(&mut self, jobs: Vec<Job>, error: StoreError) {
        self.failed = self.failed.saturating_add(1);
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        if self.failed.is_power_of_two() {
            tracing::error!(event = "record_failed", failures = self.failed, %error, "the record cannot be written");
        }
        let give_up = !error.may_pass() && self.failed >= STUBBORN;
        let mut back = Vec::new();
        let mut asked = Vec::new();
        let mut lost = 0;
        for job in jobs {
            match job {
                Job::Record(_) | Job::Complete(..) if give_up => lost += 1,
                Job::Record(_) | Job::Complete(..) => back.push(job),
                job => asked.push(job),
            }
        }
        if lost > 0 {
            self.failed = 0;
            self.shared.counters.lost.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(event = "record_lost", lost, "records were given up");
        }
        {
            let mut state = self.shared.lock();
            for job in back.into_iter().rev() {
                if let Some(entry) = job.entry() {
                    state.entries += 1;
                    state.octets += entry.weight();
                }
                state.jobs.push_front(job);
            }
            // Only somebody who waits for an answer may cut the rest short.
            state.urgent = state.jobs.iter().any(|j| !matches!(j, Job::Record(_) | Job::Complete(..)));
        }
        for job in asked {
            match job {
                Job::Reserve(_, answer) => {
                    let _ = answer.send(Err(StoreError::Unwritten));
                }
                Job::Flush(answer) => {
                    let _ = answer.send(Err(StoreError::Unwritten));
                }
                Job::Retention(how, answer) => self.asked.push((how, answer)),
                // What waits to be written may be what is asked for.
                Job::Past(_, answer) => {
                    let _ = answer.send(Err(StoreError::Unwritten));
                }
                Job::Counted(_, answer) => {
                    let _ = answer.send(Err(StoreError::Unwritten));
                }
                #[cfg(test)]
                Job::With(act) => act(&mut self.store),
                Job::Record(_) | Job::Complete(..) => {}
            }
        }
    }

    /// One piece; says when the next is due.
    fn purge_some(&mut self) -> Instant {
        let mut receipt = self.purge.take().unwrap_or_else(|| self.next_purge());
        match self.piece(&mut receipt) {
            Ok(Progress::More) => {
                self.purge = Some(receipt);
                Instant::now()
            }
            Ok(Progress::Done) => {
                let counters = &self.shared.counters;
                counters.purges.fetch_add(1, Ordering::Relaxed);
                counters.last_purge.store(receipt.time.as_millisecond(), Ordering::Relaxed);
                counters.clock_ahead.store(receipt.clock_ahead.is_some(), Ordering::Relaxed);
                for answer in self.waiting.drain(..) {
                    let _ = answer.send(Ok(receipt.clone()));
                }
                self.spare.make();
                self.due_after(interval(&self.store))
            }
            // Another process is at it: what is asked of this one waits for its turn.
            Err(StoreError::PurgeUnderWay) => {
                let how = if receipt.confirmed { Purge::Confirmed } else { Purge::Now };
                self.asked.extend(self.waiting.drain(..).map(|answer| (how, answer)));
                self.resume = Instant::now() + Duration::from_millis(200);
                self.resume
            }
            // At once, before anybody else takes the room; what this frees lets the rest go on.
            Err(error) if error.is_full() && self.spare.give_up() => {
                tracing::warn!(event = "record_spare", "the disk is full: expired records are deleted with room that was kept for that");
                self.purge = Some(receipt);
                self.purge_some()
            }
            Err(error) => {
                tracing::error!(event = "record_purge_failed", %error, "expired records could not be deleted; this is tried again");
                for answer in self.waiting.drain(..) {
                    let _ = answer.send(Err(StoreError::Unwritten));
                }
                self.due_after(interval(&self.store).min(Duration::from_secs(60)))
            }
        }
    }

    /// Those who asked while a purge was under way have theirs at once after it.
    fn due_after(&self, pause: Duration) -> Instant {
        if self.asked.is_empty() { Instant::now() + pause } else { Instant::now() }
    }

    fn next_purge(&mut self) -> Receipt {
        let asked = std::mem::take(&mut self.asked);
        let receipt =
            Receipt { asked: !asked.is_empty(), confirmed: asked.iter().any(|(how, _)| *how == Purge::Confirmed), ..Receipt::default() };
        self.waiting = asked.into_iter().map(|(_, answer)| answer).collect();
        receipt
    }

    fn piece(&mut self, receipt: &mut Receipt) -> Result<Progress, StoreError> {
        let before: u64 = receipt.classes.iter().map(|c| c.rows).sum();
        let progress = self.store.purge_piece(jiff::Timestamp::now().as_millisecond(), receipt);
        let after: u64 = receipt.classes.iter().map(|c| c.rows).sum();
        self.shared.counters.purged.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        progress
    }
}

impl Drop for Writer {
    /// What is still there now could not be written. Also where the writer ends by a fault: nobody may wait for it in vain.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let lost = state.jobs.iter().filter(|j| j.entry().is_some()).count() as u64;
        state.jobs.clear();
        state.entries = 0;
        state.octets = 0;
        if lost > 0 {
            self.shared.counters.lost.fetch_add(lost, Ordering::Relaxed);
            tracing::error!(event = "record_lost", lost, "records were lost at the end: the store could not be written");
        }
    }
}

impl Job {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Job::Record(entry) | Job::Reserve(entry, _) | Job::Complete(_, entry) => Some(entry),
            _ => None,
        }
    }
}
