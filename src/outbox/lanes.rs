//! Delivery of the council's mail out of custody: one lane for each upstream, a few connections on each, no faster than it likes.
//!
//! Three kinds of trouble are kept apart. Trouble with an upstream (no connection, no TLS, no log-in) lets the whole lane rest, longer
//! each time. A refusal for now puts that parcel off. A refusal for good, or the end of its time, is told to its sender (RFC 3464) in the
//! same transaction that ends the parcel: neither can be lost without the other.
//!
//! What the upstream has taken is settled before anything else is done with it. A crash in between sends that one message again
//! (RFC 1047); there is no other way in which one goes twice.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::departure::Departure;
use super::desk::{Desk, now};
use super::leg::{self, Leg};
use super::pace::{Pacer, backoff};
use super::{Options, Setup, Shared, bounce};
use crate::config::settings::{Dkim, Stamp, Upstream};
use crate::message::RawMessage;
use crate::records::StoreError;
use crate::records::custody::{Becomes, Decision, Fate, Kind, LEASE, NewParcel, Parcel, State};
use crate::smtp::client::Asked;
use crate::smtp::sasl::Credentials;
use crate::transport::UpstreamError;
use crate::transport::connection::Connection;
use crate::transport::tls;

/// Idle connections of a lane are closed after this.
const IDLE: Duration = Duration::from_secs(20);
/// Messages on one connection: providers limit them.
const USES: u32 = 50;
/// How often the store is looked at, though nobody has said that something came.
pub(super) const LOOK: Duration = Duration::from_secs(2);
/// How long without an answer of the store's before nothing more is sent under a lease.
const SURE: i64 = (LEASE.as_millis() as i64) * 3 / 4;

/// The way out by one upstream.
#[derive(Clone)]
pub struct LaneOptions {
    pub upstream: Arc<Upstream>,
    /// Username and password; none on a connector.
    pub credential: Option<(String, String)>,
    /// It is a submission service, and there is no credential for it: what is to leave by it waits.
    pub is_blocked: bool,
    pub dkim: Vec<Dkim>,
    /// By listener.
    pub stamps: Vec<(Arc<str>, Stamp)>,
    /// Whether the upstream makes delivery reports (RFC 3461), as far as it has said.
    pub passes_dsn: Arc<AtomicBool>,
}

/// What the record hears of deliveries.
pub trait Chronicle: Send + Sync {
    /// The upstream has answered for these recipients of a parcel, by their places on its sheet.
    fn answered(&self, parcel: &Parcel, fates: &[(usize, Fate)]);
}

/// Starts a lane for each upstream, also for those that come with a reload, until the outbox is gone.
pub(super) async fn run(mut setup: watch::Receiver<Arc<Setup>>, desk: Desk, shared: Arc<Shared>) {
    let mut lanes: HashMap<Arc<str>, tokio::task::JoinHandle<()>> = HashMap::new();
    loop {
        let now = setup.borrow_and_update().clone();
        let names: Vec<String> = now.options.lanes.iter().map(|l| l.upstream.name.to_string()).collect();
        let heir = now.options.upstream.name.to_string();
        let adopted = desk
            .with(move |custody, _| {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                custody.adopt(&names, &heir)
            })
            .await;
        match adopted {
            Ok(0) => {}
            Ok(parcels) => tracing::warn!(event = "lane_gone", parcels, "mail of an upstream that is no more leaves by the outbox's"),
            Err(StoreError::Stopped) => return,
            Err(error) => tracing::error!(event = "custody_unreadable", %error, "the custody store cannot be read"),
        }
        for lane in &now.options.lanes {
            let name = lane.upstream.name.clone();
            if lanes.get(&name).is_none_or(tokio::task::JoinHandle::is_finished) {
                let runner = Lane::new(name.clone(), desk.clone(), shared.clone());
                lanes.insert(name, tokio::spawn(runner.run(setup.clone())));
            }
        }
        drop(now);
        if setup.changed().await.is_err() {
            return;
        }
    }
}

/// One lane.
struct Lane {
    name: Arc<str>,
    desk: Desk,
    shared: Arc<Shared>,
    trouble: u32,
    /// The upstream is let alone until then.
    rests_until: Instant,
}

/// What the flights of a lane share.
struct Field {
    setup: Arc<Setup>,
    lane: LaneOptions,
    tls: Arc<rustls::ClientConfig>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    /// When the leases were last known to be good, in milliseconds.
    sure: AtomicI64,
    /// What another gateway may be delivering by now.
    lost: Mutex<HashSet<i64>>,
}

/// How a flight ended.
enum Landed {
    Settled,
    /// The upstream is in trouble; the parcel may be had again.
    Trouble,
}

impl Lane {
    fn new(name: Arc<str>, desk: Desk, shared: Arc<Shared>) -> Lane {
        Lane { name, desk, shared, trouble: 0, rests_until: Instant::now() }
    }

    async fn run(mut self, mut setup: watch::Receiver<Arc<Setup>>) {
        let mut arrivals = self.shared.arrivals.subscribe();
        let mut flying: JoinSet<(i64, Landed)> = JoinSet::new();
        let mut ids: Vec<i64> = Vec::new();
        let mut field: Option<(Arc<Field>, Pacer)> = None;
        let mut renewal = tokio::time::interval(LEASE / 4);
        loop {
            if setup.has_changed().is_err() {
                return;
            }
            if field.is_none() || setup.has_changed().unwrap_or(false) {
                let now = setup.borrow_and_update().clone();
                let Some(lane) = now.options.lanes.iter().find(|l| l.upstream.name == self.name).cloned() else {
                    // What flies lands; the rest has another lane now.
                    while flying.join_next().await.is_some() {}
                    return;
                };
                self.rests_until = Instant::now();
                self.trouble = 0;
                field = self.open(now, lane);
            }
            let Some((shared_field, pacer)) = &field else {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(60)) => {}
                    _ = setup.changed() => {}
                }
                continue;
            };
            arrivals.borrow_and_update();
            let wake = match self.launch(shared_field, pacer, &mut flying, &mut ids).await {
                Ok(next) => next,
                Err(StoreError::Stopped) => return,
                Err(error) => {
                    tracing::error!(event = "custody_unreadable", %error, "the custody store cannot be read");
                    Instant::now() + Duration::from_secs(10)
                }
            };
            let free = ids.len() < pacer.pacing.connections;
            tokio::select! {
                landed = flying.join_next(), if !flying.is_empty() => self.land(landed, &mut ids, &shared_field.setup.options),
                () = tokio::time::sleep_until(wake), if free => {}
                changed = arrivals.changed(), if free => if changed.is_err() { return },
                changed = setup.changed() => match changed {
                    // Waiting for it has marked it as seen, and the loop looks for what was not.
                    Ok(()) => setup.mark_changed(),
                    Err(_) => {
                        while flying.join_next().await.is_some() {}
                        return;
                    }
                },
                _ = renewal.tick(), if !ids.is_empty() => self.renew(&ids, shared_field).await,
            }
        }
    }

    fn open(&self, setup: Arc<Setup>, lane: LaneOptions) -> Option<(Arc<Field>, Pacer)> {
        let tls = match tls::client_config(&lane.upstream) {
            Ok(tls) => tls,
            Err(error) => {
                tracing::error!(event = "lane_closed", upstream = %self.name, %error);
                return None;
            }
        };
        let pacer = Pacer::new(lane.upstream.pacing);
        let field = Field { setup, lane, tls, idle: Mutex::default(), sure: AtomicI64::new(now()), lost: Mutex::default() };
        Some((Arc::new(field), pacer))
    }

    /// Claims what may go now and sends it off; says when to look again.
    async fn launch(
        &mut self,
        field: &Arc<Field>,
        pacer: &Pacer,
        flying: &mut JoinSet<(i64, Landed)>,
        ids: &mut Vec<i64>,
    ) -> Result<Instant, StoreError> {
        let later = Instant::now() + Duration::from_secs(3_600);
        if field.lane.is_blocked || self.shared.is_stopping() {
            return Ok(later);
        }
        loop {
            if Instant::now() < self.rests_until {
                return Ok(self.rests_until);
            }
            let mut free = pacer.pacing.connections.saturating_sub(ids.len());
            if free == 0 {
                return Ok(later);
            }
            if pacer.pacing.interval > Duration::ZERO {
                // The next one's turn is waited for before it is leased.
                if let Err(wait) = pacer.next() {
                    return Ok(Instant::now() + wait);
                }
                free = 1;
            }
            let lane = self.name.clone();
            let claim = self.desk.with(move |custody, now| custody.claim(Kind::Mail, &lane, free, now)).await?;
            if ids.is_empty() {
                field.sure.store(now(), Ordering::Relaxed);
            }
            if claim.parcels.is_empty() {
                // The command line, or another gateway on the same database, decides without a word to this one.
                let most = LOOK.as_millis() as i64;
                let wait = Duration::from_millis(claim.next.map_or(most, |next| (next - now()).clamp(10, most)) as u64);
                return Ok(Instant::now() + wait);
            }
            for parcel in claim.parcels {
                ids.push(parcel.id);
                let flight = Flight { field: field.clone(), desk: self.desk.clone(), shared: self.shared.clone() };
                flying.spawn(async move { (parcel.id, flight.fly(parcel).await) });
            }
        }
    }

    fn land(&mut self, landed: Option<Result<(i64, Landed), tokio::task::JoinError>>, ids: &mut Vec<i64>, options: &Options) {
        match landed {
            Some(Ok((id, Landed::Settled))) => {
                ids.retain(|i| *i != id);
                self.trouble = 0;
            }
            Some(Ok((id, Landed::Trouble))) => {
                ids.retain(|i| *i != id);
                // Those that flew together fail together: that is one trouble.
                if Instant::now() >= self.rests_until {
                    let rest = backoff(&options.pace, self.trouble, chance());
                    self.trouble = self.trouble.saturating_add(1);
                    self.rests_until = Instant::now() + rest;
                    tracing::warn!(event = "lane_rests", upstream = %self.name, seconds = rest.as_secs(), "the upstream is let alone for a while");
                }
            }
            // Its lease ends by itself; then it is tried again.
            Some(Err(error)) => {
                tracing::error!(event = "delivery_failed", %error);
                ids.clear();
            }
            None => {}
        }
    }

    async fn renew(&self, ids: &[i64], field: &Field) {
        let own = ids.to_vec();
        match self.desk.with(move |custody, now| custody.renew(&own, now)).await {
            Ok(lost) => {
                *field.lost.lock().unwrap_or_else(PoisonError::into_inner) = lost.into_iter().collect();
                field.sure.store(now(), Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(event = "lease_not_renewed", %error, "nothing more is sent until the store answers"),
        }
    }
}

impl Field {
    /// Whether this gateway may still send what it has leased.
    fn is_sure(&self, id: i64) -> bool {
        (0..SURE).contains(&(now() - self.sure.load(Ordering::Relaxed)))
            && !self.lost.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    async fn connection(&self) -> Result<Connection, Trouble> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match kept {
                None => break,
                Some((mut connection, since)) => {
                    if since.elapsed() < IDLE && connection.is_alive() {
                        return Ok(connection);
                    }
                    drop(tokio::spawn(connection.quit()));
                }
            }
        }
        let mut connection = Connection::dial(&self.lane.upstream, &self.tls, &self.setup.options.hostname).await?;
        if let Some((username, password)) = &self.lane.credential {
            log_in(&mut connection, username, password).await?;
        }
        Ok(connection)
    }

    fn keep(&self, connection: Connection) {
        if connection.owed() > 0 || connection.uses >= USES {
            drop(tokio::spawn(connection.quit()));
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((connection, Instant::now()));
    }
}

/// Why nothing can be sent by an upstream at all.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    #[error("it did not take the gateway's log-in")]
    Credential,
}

async fn log_in(connection: &mut Connection, username: &str, password: &str) -> Result<(), Trouble> {
    let credentials = Credentials::new(username.into(), password.into());
    let lines = credentials.lines_for(connection.extensions.auth).map_err(|_| Trouble::Credential)?;
    for line in lines {
        match connection.secret_line(Asked::Auth, &line).await?.code() {
            334 => {}
            235 => return Ok(()),
            _ => break,
        }
    }
    Err(Trouble::Credential)
}

/// One parcel on its way.
struct Flight {
    field: Arc<Field>,
    desk: Desk,
    shared: Arc<Shared>,
}

impl Flight {
    async fn fly(&self, parcel: Parcel) -> Landed {
        let id = parcel.id;
        let content = match self.desk.with(move |custody, _| custody.content(id)).await {
            Ok(Some(content)) => RawMessage::new(content),
            Ok(None) => return Landed::Settled,
            Err(error) if error.may_pass() => {
                tracing::warn!(event = "custody_unreadable", %error, "a message waits: the custody store cannot be read");
                return self.put_back(id).await;
            }
            Err(_) => return self.set_aside(parcel).await,
        };
        let Some(mut plan) = parcel.sheet.plan.plan(content.len()) else { return self.set_aside(parcel).await };
        let lane = &self.field.lane;
        let departure = Departure {
            dkim: if parcel.sheet.sign { &lane.dkim } else { &[] },
            stamp: lane.stamps.iter().find(|(listener, _)| **listener == *parcel.sheet.listener).map(|(_, stamp)| stamp),
            reverse_path: &parcel.sheet.reverse_path,
            now: now() / 1_000,
        };
        departure.seal(&content, &mut plan);
        let mut connection = match self.field.connection().await {
            Ok(connection) => connection,
            Err(trouble) => {
                let upstream = &lane.upstream.name;
                self.shared.heard.silent(upstream);
                tracing::warn!(event = "lane_trouble", %upstream, %trouble, "mail in custody waits");
                if parcel.ends > now() {
                    self.put_back(id).await;
                } else if parcel.attempts > 0 {
                    self.end(parcel).await;
                } else {
                    // Its time may be over because the gateway was off, or the clock wrong: it has one try at least.
                    self.settle(parcel, Vec::new(), content.as_bytes()).await;
                }
                return Landed::Trouble;
            }
        };
        self.shared.heard.answers(&lane.upstream.name);
        lane.passes_dsn.store(connection.extensions.dsn, Ordering::Relaxed);
        let go = async || self.field.is_sure(id) && !self.shared.is_stopping();
        let leg = leg::send(&mut connection, &parcel.sheet, &content, &plan, go).await;
        match leg {
            Leg::Answered(fates) => {
                // Settled before anything else: what the upstream took must not be sent again.
                let landed = self.settle(parcel, fates, content.as_bytes()).await;
                self.field.keep(connection);
                landed
            }
            Leg::Broken(error) => {
                self.shared.heard.silent(&lane.upstream.name);
                tracing::warn!(event = "delivery_broken", upstream = %lane.upstream.name, %error, "a message in custody is tried again");
                self.settle(parcel, Vec::new(), content.as_bytes()).await;
                Landed::Trouble
            }
            Leg::CalledOff => self.put_back(id).await,
        }
    }

    /// Notes what became of the recipients: the parcel ends, or is put off for those that are still open.
    async fn settle(&self, mut parcel: Parcel, fates: Vec<(usize, Fate)>, content: &[u8]) -> Landed {
        let options = &self.field.setup.options;
        let now = now();
        for (index, fate) in &fates {
            if let Some(recipient) = parcel.sheet.recipients.get_mut(*index) {
                recipient.state = fate.clone();
            }
        }
        let throttled = fates.iter().any(|(_, fate)| matches!(fate, Fate::Later { reply } if is_throttled(reply)));
        self.count(&fates);
        let failed: Vec<usize> = fates.iter().filter(|(_, f)| matches!(f, Fate::Refused { .. })).map(|(i, _)| *i).collect();
        let mut decision = Decision::of(Becomes::Nothing);
        decision.also.extend(bounce::failed(options, &self.field.lane, &parcel, &failed, content, now));
        decision.also.extend(bounce::relayed(options, &self.field.lane, &parcel, &fates, content, now));
        decision.tally = tally(&parcel, &fates);
        let tried = !fates.is_empty() || parcel.attempts > 0;
        if parcel.sheet.recipients.iter().any(|r| r.state.is_open()) && parcel.ends <= now && tried {
            // The last try: who is still open now is given up.
            return self.end_with(parcel, decision, content).await;
        }
        if parcel.sheet.recipients.iter().any(|r| r.state.is_open()) {
            if bounce::is_late(&parcel, now) {
                decision.also.extend(bounce::delayed(options, &self.field.lane, &parcel, content, now));
                parcel.sheet.told_late = true;
            }
            let wait = backoff(&options.pace, parcel.attempts, chance());
            let due = now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2)).min(parcel.ends);
            let sheet = parcel.sheet.clone();
            decision.becomes = Becomes::This(Box::new(NewParcel { id: None, state: State::Waiting, due, ends: parcel.ends, sheet }));
        }
        let settled = self.conclude(parcel.id, decision).await;
        if settled && !fates.is_empty() {
            self.chronicle(&parcel, &fates);
        }
        if throttled { Landed::Trouble } else { Landed::Settled }
    }

    /// Its time is over: its sender hears which recipients did not get it.
    async fn end(&self, parcel: Parcel) -> Landed {
        let id = parcel.id;
        let content = self.desk.with(move |custody, _| custody.content(id)).await.ok().flatten().unwrap_or_default();
        self.end_with(parcel, Decision::of(Becomes::Nothing), &content).await
    }

    /// The same, with what was decided about its other recipients.
    async fn end_with(&self, mut parcel: Parcel, mut decision: Decision, content: &[u8]) -> Landed {
        let id = parcel.id;
        let mut fates = Vec::new();
        for (index, recipient) in parcel.sheet.recipients.iter_mut().enumerate().filter(|(_, r)| r.state.is_open()) {
            let reply = match &recipient.state {
                Fate::Later { reply } => reply.clone(),
                _ => String::new(),
            };
            recipient.state = Fate::Expired { reply };
            fates.push((index, recipient.state.clone()));
        }
        self.count(&fates);
        let ended: Vec<usize> = fates.iter().map(|(i, _)| *i).collect();
        decision.becomes = Becomes::Nothing;
        decision.also.extend(bounce::failed(&self.field.setup.options, &self.field.lane, &parcel, &ended, content, now()));
        decision.tally = merge(decision.tally, tally(&parcel, &fates));
        tracing::warn!(event = "delivery_expired", reference = %parcel.sheet.reference, recipients = ended.len(), "a message was given up");
        if self.conclude(id, decision).await {
            self.chronicle(&parcel, &fates);
        }
        Landed::Settled
    }

    async fn conclude(&self, id: i64, decision: Decision) -> bool {
        // What the upstream took must be noted, however long the store takes to come back: otherwise it goes a second time.
        loop {
            let decided = decision.clone();
            match self.desk.with(move |custody, now| custody.settle(vec![(id, decided)], now)).await {
                Ok(()) => {
                    // A report may have come with it.
                    self.shared.arrive();
                    return true;
                }
                Err(StoreError::Stopped) => return false,
                Err(error) => {
                    tracing::error!(event = "delivery_not_settled", %error, "what became of a message cannot be written down yet");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        }
    }

    async fn put_back(&self, id: i64) -> Landed {
        self.conclude(id, Decision::of(Becomes::Same)).await;
        Landed::Settled
    }

    /// Its content or its plan cannot be opened: it is kept, and the others go on.
    async fn set_aside(&self, parcel: Parcel) -> Landed {
        tracing::error!(event = "parcel_broken", reference = %parcel.sheet.reference, "a message in custody cannot be opened and was set aside");
        let Parcel { id, due, ends, sheet, .. } = parcel;
        self.conclude(id, Decision::of(Becomes::This(Box::new(NewParcel { id: None, state: State::Broken, due, ends, sheet })))).await;
        Landed::Settled
    }

    fn count(&self, fates: &[(usize, Fate)]) {
        self.shared.heard.answered(&self.field.lane.upstream.name, fates);
        for (_, fate) in fates {
            let counter = match fate {
                Fate::Delivered { .. } => &self.shared.mail_delivered,
                Fate::Refused { .. } => &self.shared.mail_refused,
                Fate::Expired { .. } => &self.shared.mail_expired,
                Fate::Waiting | Fate::Later { .. } => &self.shared.mail_deferred,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn chronicle(&self, parcel: &Parcel, fates: &[(usize, Fate)]) {
        if let Some(chronicle) = self.shared.chronicle.get() {
            chronicle.answered(parcel, fates);
        }
    }
}

fn tally(parcel: &Parcel, fates: &[(usize, Fate)]) -> Option<(i64, Vec<(String, Fate)>)> {
    let tally = parcel.sheet.tally?;
    let of = |(index, fate): &(usize, Fate)| Some((parcel.sheet.recipients.get(*index)?.address.clone(), fate.clone()));
    Some((tally, fates.iter().filter_map(of).collect()))
}

type Entered = Option<(i64, Vec<(String, Fate)>)>;

fn merge(first: Entered, second: Entered) -> Entered {
    match (first, second) {
        (Some((id, mut fates)), Some((_, more))) => {
            fates.extend(more);
            Some((id, fates))
        }
        (first, second) => first.or(second),
    }
}

/// An upstream that says "not so fast" in one of the usual ways: 421, or 4.7.x of RFC 3463 (policy), or 4.3.2.
fn is_throttled(reply: &str) -> bool {
    let mut words = reply.split([' ', '-']);
    let code = words.next().unwrap_or_default();
    let enhanced = words.next().unwrap_or_default();
    code == "421" || (code.starts_with('4') && (enhanced.starts_with("4.7.") || enhanced == "4.3.2"))
}

fn chance() -> u8 {
    let mut octet = [0];
    // Without chance the waits are merely less even.
    let _ = aws_lc_rs::rand::fill(&mut octet);
    octet[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_say_not_so_fast() {
        for reply in ["421 4.7.0 too many connections", "451 4.7.1 slow down", "450 4.3.2 busy", "421 bye"] {
            assert!(is_throttled(reply), "{reply}");
        }
        for reply in ["451 4.3.0 later", "450 4.2.1 mailbox busy", "550 5.7.1 no"] {
            assert!(!is_throttled(reply), "{reply}");
        }
    }
}
