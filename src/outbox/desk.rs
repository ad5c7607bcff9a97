//! The custody store's own thread, and how others reach it.
//!
//! Whatever waits to be taken into custody is taken in one transaction, so that a burst pays for one fsync together and a lone message
//! does not wait for others. Everything else is done one after another, in the order in which it came.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::{Enqueued, Kept, MOST, Setup, Shared, ToKeep, Told, letter};
use crate::observe::crash::{self, Point};
use crate::records::StoreError;
use crate::records::custody::{self, Custody, Deposit, Kind, NewParcel, Recipient, Sheet, State};

/// Deposits of one transaction, and the octets at which it is closed.
const GROUP: usize = 256;
const OCTETS: usize = 32 << 20;
const HOUR: i64 = 3_600_000;

pub(super) enum Job {
    Tell(Box<Told>, oneshot::Sender<Result<Enqueued, StoreError>>),
    Accept(Box<Deposit>, oneshot::Sender<Result<Vec<i64>, StoreError>>),
    Keep(Box<ToKeep>, oneshot::Sender<Result<Kept, StoreError>>),
    With(Act),
}

/// Something that is done with the store, at a time.
type Act = Box<dyn FnOnce(&mut dyn Custody, i64) + Send>;

/// The way to the store's thread. Cheap to clone; the thread ends with the last one.
#[derive(Clone)]
pub(super) struct Desk(SyncSender<Job>);

impl Desk {
    pub(super) fn new(jobs: SyncSender<Job>) -> Desk {
        Desk(jobs)
    }

    /// Puts a job in the queue and waits for its answer. [`StoreError::QueueFull`] if too much waits.
    pub(super) async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, StoreError> {
        let (answer, heard) = oneshot::channel();
        match self.0.try_send(job(answer)) {
            Ok(()) => heard.await.map_err(|_| StoreError::Stopped),
            Err(TrySendError::Full(_)) => Err(StoreError::QueueFull),
            Err(TrySendError::Disconnected(_)) => Err(StoreError::Stopped),
        }
    }

    /// Does something with the store. Waits while the queue is full: what became of a delivery must be heard.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut dyn Custody, i64) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, heard) = oneshot::channel();
        let mut job = Job::With(Box::new(move |custody, now| drop(answer.send(act(custody, now)))));
        loop {
            match self.0.try_send(job) {
                Ok(()) => return heard.await.map_err(|_| StoreError::Stopped)?,
                Err(TrySendError::Full(back)) => {
                    job = back;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(TrySendError::Disconnected(_)) => return Err(StoreError::Stopped),
            }
        }
    }
}

pub(super) struct Keeper {
    pub(super) custody: Box<dyn Custody>,
    pub(super) shared: Arc<Shared>,
    pub(super) setup: watch::Receiver<Arc<Setup>>,
    /// When it was last tidied, in milliseconds.
    pub(super) tidied: i64,
}

/// Deposits that are about to share a transaction, and who waits for which of them.
#[derive(Default)]
struct Group {
    deposits: Vec<Deposit>,
    octets: usize,
    waiting: Vec<Waiting>,
}

enum Waiting {
    /// This many deposits of the group are a telling's.
    Tell(Enqueued, oneshot::Sender<Result<Enqueued, StoreError>>),
    Accept(oneshot::Sender<Result<Vec<i64>, StoreError>>),
    /// The same of a message with its notices.
    Keep(usize, oneshot::Sender<Result<Kept, StoreError>>),
}

impl Keeper {
    pub(super) fn run(mut self, jobs: Receiver<Job>) {
        // Ends when every sender is gone.
        while let Ok(job) = jobs.recv() {
            let now = now();
            if now - self.tidied >= HOUR || now < self.tidied {
                self.tidied = now;
                self.tidy(now);
            }
            let mut group = Group::default();
            let mut next = Some(job);
            let mut after = None;
            while let Some(job) = next.take() {
                match job {
                    Job::Tell(told, answer) => self.join_telling(&mut group, &told, answer, now),
                    Job::Accept(deposit, answer) => group.join(*deposit, answer),
                    Job::Keep(message, answer) => self.join_message(&mut group, *message, answer, now),
                    Job::With(act) => {
                        // It may ask for what was taken before it.
                        after = Some(act);
                        break;
                    }
                }
                if group.deposits.len() < GROUP && group.octets < OCTETS {
                    next = jobs.try_recv().ok();
                }
            }
            if !group.waiting.is_empty() {
                self.accept(group, now);
            }
            if let Some(act) = after {
                act(self.custody.as_mut(), now);
            }
            if let Err(error) = self.shared.count(self.custody.as_mut()) {
                tracing::error!(event = "custody_unreadable", %error, "the custody store cannot be read");
            }
        }
    }

    fn accept(&mut self, group: Group, now: i64) {
        let result = self.custody.accept(&group.deposits, now);
        if let Err(error) = &result {
            tracing::error!(event = "custody_failed", deposits = group.deposits.len(), %error, "nothing was taken into custody");
        }
        let refused = || match result {
            Err(StoreError::QueueFull) => StoreError::QueueFull,
            _ => StoreError::Unwritten,
        };
        crash::here(Point::DepositCommitted);
        let mut taken = result.as_ref().ok().map(|ids| ids.iter().cloned());
        let arrived = taken.as_ref().is_some_and(|ids| ids.len() > 0);
        for waiting in group.waiting {
            match (waiting, &mut taken) {
                (Waiting::Tell(done, answer), Some(ids)) => {
                    ids.by_ref().take(done.letters).for_each(drop);
                    self.shared.repeated.fetch_add(done.repeated as u64, Ordering::Relaxed);
                    self.shared.queued.fetch_add(done.letters as u64, Ordering::Relaxed);
                    let _ = answer.send(Ok(done));
                }
                (Waiting::Accept(answer), Some(ids)) => drop(answer.send(Ok(ids.next().unwrap_or_default()))),
                (Waiting::Keep(deposits, answer), Some(ids)) => {
                    ids.by_ref().take(deposits).for_each(drop);
                    self.shared.queued.fetch_add(deposits.saturating_sub(1) as u64, Ordering::Relaxed);
                    let _ = answer.send(Ok(Kept { _taken: () }));
                }
                (Waiting::Keep(_, answer), None) => drop(answer.send(Err(refused()))),
                (Waiting::Tell(_, answer), None) => drop(answer.send(Err(refused()))),
                (Waiting::Accept(answer), None) => drop(answer.send(Err(refused()))),
            }
        }
        if arrived {
            self.shared.arrive();
            self.warn_if_blocked();
        }
    }

    fn warn_if_blocked(&self) {
        let waiting = self.shared.waiting.load(Ordering::Relaxed) + 1;
        if self.setup.borrow().options.is_blocked() && waiting.is_power_of_two() {
            let why = "[outbox] has no credential for a submission upstream: notices wait";
            tracing::warn!(event = "outbox_no_credential", waiting, "{why}");
        }
    }

    fn tidy(&mut self, now: i64) {
        match self.custody.purge(now) {
            Ok(purged) => {
                if purged.notices > 0 {
                    self.shared.expired.fetch_add(purged.notices, Ordering::Relaxed);
                    tracing::warn!(
                        event = "notice_expired",
                        letters = purged.notices,
                        "notices could not be delivered in time and were given up"
                    );
                }
                if purged.broken > 0 {
                    tracing::error!(event = "parcel_lost", parcels = purged.broken, "messages that could not be opened were given up");
                }
            }
            Err(error) => tracing::error!(event = "custody_tidy_failed", %error, "the custody store cannot be tidied"),
        }
    }

    /// Adds a message and the letters about it, unless it is here already.
    fn join_message(&mut self, group: &mut Group, message: ToKeep, answer: oneshot::Sender<Result<Kept, StoreError>>, now: i64) {
        let ToKeep { mut deposit, told, once } = message;
        let joined = group.deposits.iter().flat_map(|d| &d.told).any(|(key, _)| *key == once);
        match self.custody.is_told(&once, now) {
            Ok(known) if known || joined => {
                tracing::info!(event = "custody_repeated", "a message that is in custody came again and was not taken twice");
                // What joined this group is on the disk when the group is: its answer waits for the same commit.
                group.waiting.push(Waiting::Keep(0, answer));
                return;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(event = "custody_unreadable", %error, "nothing was taken into custody");
                let _ = answer.send(Err(StoreError::Unwritten));
                return;
            }
        }
        deposit.told.push((once, HOUR));
        let mut deposits = vec![deposit];
        if let Some(told) = told {
            match self.letters(group, &told, now) {
                Ok((letters, _)) => deposits.extend(letters),
                // The message counts for more than the letter about it.
                Err(error) => tracing::error!(event = "notice_lost", reference = %told.reference, %error, "a notice could not be kept"),
            }
        }
        group.octets += deposits.iter().map(|d| d.content.len()).sum::<usize>();
        group.waiting.push(Waiting::Keep(deposits.len(), answer));
        group.deposits.extend(deposits);
    }

    /// Adds the letters of a telling that are news to the group.
    fn join_telling(&mut self, group: &mut Group, told: &Told, answer: oneshot::Sender<Result<Enqueued, StoreError>>, now: i64) {
        match self.letters(group, told, now) {
            Ok((letters, done)) => {
                group.octets += letters.iter().map(|l| l.content.len()).sum::<usize>();
                group.deposits.extend(letters);
                group.waiting.push(Waiting::Tell(done, answer));
            }
            Err(error) => {
                tracing::error!(event = "notice_lost", reference = %told.reference, %error, "a notice could not be kept");
                let _ = answer.send(Err(error));
            }
        }
    }

    fn letters(&mut self, group: &Group, told: &Told, now: i64) -> Result<(Vec<Deposit>, Enqueued), StoreError> {
        let setup = self.setup.borrow().clone();
        let mut done = Enqueued::default();
        let mut letters: Vec<Deposit> = Vec::new();
        let gives_up = now.saturating_add(i64::try_from(setup.options.pace.gives_up.as_millis()).unwrap_or(i64::MAX));
        for (to, notices) in letter::by_person(told) {
            let mut new = Vec::new();
            let mut keys: Vec<(Vec<u8>, i64)> = Vec::new();
            for notice in notices {
                let once = (letter::told_key(told, notice, &to), custody::TOLD.as_millis() as i64);
                let mut known = false;
                let each = [Some(once), letter::every_key(told, notice, &to)];
                for (key, _) in each.iter().flatten() {
                    let joined = group.deposits.iter().flat_map(|d| &d.told).chain(&keys).any(|(k, _)| k == key);
                    known |= joined || self.custody.is_told(key, now)?;
                }
                if known {
                    done.repeated += 1;
                    continue;
                }
                keys.extend(each.into_iter().flatten());
                new.push(notice);
            }
            if !new.is_empty() {
                let message = letter::compose(told, &to, &new, &setup.options)?;
                letters.push(notice_to(&to, message, keys, now, gives_up, &told.reference));
            }
        }
        if self.shared.waiting.load(Ordering::Relaxed) + letters.len() as u64 > MOST {
            self.shared.dropped.fetch_add(letters.len() as u64, Ordering::Relaxed);
            return Err(StoreError::QueueFull);
        }
        done.letters = letters.len();
        Ok((letters, done))
    }
}

/// A letter of the gateway's own to one person.
pub(super) fn notice_to(to: &str, message: Vec<u8>, told: Vec<(Vec<u8>, i64)>, now: i64, gives_up: i64, reference: &str) -> Deposit {
    let recipient = Recipient { address: to.to_string(), parameters: String::new(), state: custody::Fate::Waiting };
    let sheet = Sheet { reference: reference.to_string(), taken: now, recipients: vec![recipient], ..Sheet::default() };
    let parcel = NewParcel { id: None, state: State::Waiting, due: now, ends: gives_up, sheet };
    Deposit { kind: Kind::Notice, content: message, parcels: vec![parcel], told }
}

impl Group {
    fn join(&mut self, deposit: Deposit, answer: oneshot::Sender<Result<Vec<i64>, StoreError>>) {
        self.octets += deposit.content.len();
        self.deposits.push(deposit);
        self.waiting.push(Waiting::Accept(answer));
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
