//! Builds all from `Settings`, runs, reloads, drains.
//!
//! One thread for each core, each with a runtime of its own: a session lives on the thread that accepted it, and shares with the
//! others only the store's queue and a few counters. One more thread keeps the store's, the outbox's and the metrics' tasks.

mod care;
mod rules;
mod upkeep;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use arc_swap::ArcSwapOption;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};

use crate::config::{self, Diagnostics, Settings};
use crate::console::{self, Console};
use crate::gateway::chronicle::Chronicle;
use crate::gateway::{self, Shared, Site, Worker};
use crate::observe::{self, Metrics, Part, PartState};
use crate::office;
use crate::outbox::{self, Outbox};
use crate::records::{self, Recorder};
use crate::transport::{listen, tls};

/// Large messages that one thread's sessions have judged at the same time; names of upstreams are looked up there too.
const LARGE_AT_ONCE: usize = 4;

/// A purge that has not come to its end for so long is told in `/health`.
const PURGE_LATE: Duration = Duration::from_secs(2 * 86_400);
/// How often the office makes its round.
const ROUND: Duration = Duration::from_secs(3_600);

/// A gateway that runs.
pub struct Running {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    stop: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    keeper: tokio::runtime::Runtime,
    drain: Duration,
    console: Option<Console>,
    reloader: Arc<Reloader>,
}

/// Reads the site file anew, for whoever asks.
struct Reloader {
    file: PathBuf,
    shared: Arc<Shared>,
    generation: AtomicU64,
    /// The console's certificate as it is now.
    console_tls: ArcSwapOption<rustls::ServerConfig>,
    /// One at a time: the one who asked last is the one that stays.
    turn: Mutex<()>,
}

/// Runs until SIGTERM or SIGINT; SIGHUP reloads.
pub fn serve(path: PathBuf, settings: Settings) -> anyhow::Result<()> {
    records::prepare(&records::Options::of(&settings)).context("the store could not be made")?;
    // Before anything listens: a signal that comes with the first connection must not end the process.
    let desk = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signals = desk.block_on(async { Signals::listen() })?;
    let running = start(path, settings)?;
    tracing::info!(event = "started", version = env!("CARGO_PKG_VERSION"));
    desk.block_on(signals.obey(&running));
    running.stop();
    tracing::info!(event = "stopped");
    Ok(())
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Reloads as often as it is asked for, and returns when the gateway is to end.
    async fn obey(mut self, running: &Running) {
        loop {
            tokio::select! {
                // What was wrong with it is in the log.
                _ = self.hangup.recv() => drop(running.reloader.reload()),
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
            }
        }
    }
}

/// Binds every listener, opens the store and starts the threads. The store must be there already ([`records::prepare`]). `file` is what
/// a reload reads.
pub fn start(file: PathBuf, settings: Settings) -> anyhow::Result<Running> {
    let keeper = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("keeper").enable_all().build()?;
    let guard = keeper.enter();
    let metrics = Arc::new(Metrics::new(&settings));
    let recorder = Recorder::start(&records::Options::of(&settings)).context("the record could not be opened")?;
    let outbox = start_outbox(&settings)?;
    let mut sockets = Vec::new();
    for listener in &settings.listeners {
        sockets
            .push(listen::bind(listener.bind).with_context(|| format!("listener {} cannot listen on {}", listener.name, listener.bind))?);
    }
    if let Some(address) = settings.metrics {
        let listener = std::net::TcpListener::bind(address).with_context(|| format!("[metrics] cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let metrics = metrics.clone();
        keeper.spawn(async move {
            if let Ok(listener) = TcpListener::from_std(listener) {
                let _ = observe::serve_on(listener, metrics).await;
            }
        });
    }
    note_people(&metrics, &settings);
    let drain = settings.limits.drain;
    let left_out = settings.rules.left_out.clone();
    let site = Site::new(settings, 1)?;
    let shared = Arc::new(Shared::new(site, recorder, outbox, metrics.clone()));
    if let Some(outbox) = &shared.outbox {
        outbox.set_chronicle(Chronicle::of(&shared));
    }
    let (stop, stopped) = watch::channel(false);
    let reloader = Arc::new(Reloader {
        file,
        shared: shared.clone(),
        generation: AtomicU64::new(1),
        console_tls: ArcSwapOption::empty(),
        turn: Mutex::default(),
    });
    upkeep::loaded(&shared.site.load().settings, metrics.health());
    let console = start_console(&reloader, &stopped)?;
    let mut workers = Vec::new();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let (peers, mut inboxes): (Vec<_>, Vec<_>) = (0..threads)
        .map(|_| {
            let (send, receive) = mpsc::unbounded_channel();
            (Peer { load: AtomicUsize::new(0), send }, receive)
        })
        .unzip();
    let peers: Arc<[Peer]> = peers.into();
    for number in 0..threads {
        let sockets = sockets.iter().map(StdListener::try_clone).collect::<Result<Vec<_>, _>>()?;
        let mut seed = [0; 8];
        aws_lc_rs::rand::fill(&mut seed).map_err(|_| anyhow::anyhow!("the system gives no random octets"))?;
        let (shared, stopped) = (shared.clone(), stopped.clone());
        let desk = Desk { number, peers: peers.clone() };
        let inbox = inboxes.remove(0);
        let thread = std::thread::Builder::new().name(format!("worker-{number}"));
        workers.push(thread.spawn(move || work(shared, sockets, u64::from_le_bytes(seed), desk, inbox, stopped))?);
    }
    keeper.spawn(tidy(shared.clone()));
    keeper.spawn(watch_scanner(shared.clone()));
    keeper.spawn(rounds(shared.clone()));
    keeper.spawn(care::watch(shared.clone()));
    keeper.spawn(upkeep::watch(shared.clone()));
    drop(guard);
    metrics.health().set_stage(observe::Stage::Running);
    metrics.health().set(Part::Listeners, PartState::Ok);
    rules::are(&metrics, left_out.as_deref());
    Ok(Running { shared, metrics, stop, workers, keeper, drain, console, reloader })
}

/// A damaged `people.toml` keeps no mail waiting; it is told aloud.
fn note_people(metrics: &Metrics, settings: &Settings) {
    if settings.console.is_none() {
        return;
    }
    if let Some(fault) = &settings.at_desk.fault {
        tracing::error!(event = "people_unreadable", "nobody has a role that was lent, and suspensions may not count: {fault}");
    }
    metrics.health().set(Part::People, if settings.at_desk.fault.is_some() { PartState::Degraded } else { PartState::Ok });
}

/// Whether the console speaks TLS itself: always beyond this machine.
fn console_config(settings: &Settings) -> anyhow::Result<Option<Arc<rustls::ServerConfig>>> {
    match (&settings.console, &settings.tls) {
        (Some(console), Some(files)) if !console.bind.ip().is_loopback() => Ok(Some(tls::page_config(files)?)),
        _ => Ok(None),
    }
}

fn start_console(reloader: &Arc<Reloader>, stopped: &watch::Receiver<bool>) -> anyhow::Result<Option<Console>> {
    let shared = &reloader.shared;
    let site = shared.site.load_full();
    let Some(settings) = &site.settings.console else { return Ok(None) };
    reloader.console_tls.store(console_config(&site.settings)?);
    let bind = settings.bind;
    let listener = StdListener::bind(bind).with_context(|| format!("[console] cannot listen on {bind}"))?;
    let (of, again, certificate) = (shared.clone(), reloader.clone(), reloader.clone());
    let around = console::Around {
        file: reloader.file.clone(),
        settings: Box::new(move || of.site.load().settings.clone()),
        reload: Box::new(move || again.reload()),
        outbox: shared.outbox.clone(),
        metrics: shared.metrics.clone(),
    };
    Ok(Some(Console::start(listener, around, move || certificate.console_tls.load_full(), stopped.clone())?))
}

fn start_outbox(settings: &Settings) -> anyhow::Result<Option<Outbox>> {
    let Some(options) = outbox::Options::of(settings) else { return Ok(None) };
    let tls = tls::client_config(&options.upstream).context("the outbox's upstream")?;
    Ok(Some(Outbox::start(options, tls).context("the outbox could not be opened")?))
}

impl Reloader {
    /// Reads the site file anew. What is faulty is refused, and the old stays; errors say what it was.
    fn reload(&self) -> Result<(), String> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = &self.shared.metrics;
        let mut diagnostics = Diagnostics::new();
        let loaded = config::load(&self.file, &mut diagnostics);
        let old = self.shared.site.load();
        let refused = |why: String| {
            metrics.reloads_refused.inc();
            metrics.health().set(Part::Rules, PartState::Degraded);
            tracing::error!(event = "reload_refused", "the old rules stay: {why}");
            Err(why)
        };
        let Some(settings) = loaded else { return refused(format!("\n{diagnostics}")) };
        // Without what was changed at the desk only where it was so before: the rules that hold are not lost by a reload.
        if settings.rules.left_out.is_some() && old.settings.rules.left_out.is_none() {
            return refused(format!("\n{diagnostics}"));
        }
        let left_out = settings.rules.left_out.clone();
        let same = settings.listeners.len() == old.settings.listeners.len()
            && settings.listeners.iter().zip(&old.settings.listeners).all(|(a, b)| a.bind == b.bind && a.name == b.name);
        if !same || settings.records.database != old.settings.records.database {
            return refused("listeners' names and addresses, and the database, change only with a restart".into());
        }
        // Whoever is suspended stays so while the file is damaged; a gateway that started with it is no worse off.
        if let Some(fault) = settings.at_desk.fault.as_ref().filter(|_| old.settings.at_desk.fault.is_none()) {
            metrics.health().set(Part::People, PartState::Degraded);
            return refused(fault.clone());
        }
        note_people(metrics, &settings);
        let options = outbox::Options::of(&settings).and_then(|o| tls::client_config(&o.upstream).ok().map(|tls| (o, tls)));
        match Site::new(settings, self.generation.fetch_add(1, Ordering::Relaxed) + 1) {
            Ok(site) => {
                if let (Some(outbox), Some((options, tls))) = (&self.shared.outbox, options) {
                    outbox.reload(options, tls);
                }
                match console_config(&site.settings) {
                    Ok(config) => self.console_tls.store(config),
                    Err(error) => tracing::error!(event = "reload_refused", %error, "the console keeps its certificate"),
                }
                upkeep::loaded(&site.settings, metrics.health());
                self.shared.site.store(Arc::new(site));
                metrics.reloads.inc();
                rules::are(metrics, left_out.as_deref());
                tracing::info!(event = "reloaded");
                Ok(())
            }
            Err(error) => refused(error.to_string()),
        }
    }
}

impl Running {
    /// The Clerk's page, if there is one.
    pub fn console(&self) -> Option<&Console> {
        self.console.as_ref()
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What was recorded so far is on the disk when this returns.
    pub fn flush(&self) {
        let _ = self.keeper.block_on(self.shared.recorder.flush());
    }

    /// Takes no new connection, lets messages that are on their way finish, and closes the store.
    pub fn stop(self) {
        self.metrics.health().set_stage(observe::Stage::Draining);
        self.shared.drain();
        if let Some(outbox) = &self.shared.outbox {
            outbox.drain();
        }
        let _ = self.stop.send(true);
        let until = Instant::now() + self.drain + Duration::from_secs(5);
        for worker in self.workers {
            while !worker.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            if worker.is_finished() {
                let _ = worker.join();
            }
        }
        if let Some(outbox) = &self.shared.outbox {
            outbox.stop();
        }
        self.shared.recorder.stop();
        self.keeper.shutdown_timeout(Duration::from_secs(2));
    }
}

/// Asks the scanner from time to time whether it is there, so that `/health` knows it before mail has to wait.
async fn watch_scanner(shared: Arc<Shared>) {
    loop {
        if let Some(scanner) = &shared.site.load_full().evidence.scanner {
            let state = if scanner.ping().await.is_ok() { PartState::Ok } else { PartState::Degraded };
            shared.metrics.health().set(Part::Scanner, state);
        } else {
            shared.metrics.health().set(Part::Scanner, PartState::Unknown);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Once a second: figures that others keep. Once a minute: forgets what no longer matters.
async fn tidy(shared: Arc<Shared>) {
    let mut seconds = 0u64;
    let mut purged = Instant::now();
    let (mut before, mut told) = (records::Counters::default(), outbox::Counters::default());
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seconds += 1;
        if seconds.is_multiple_of(60) {
            shared.limits.tidy();
        }
        let metrics = &shared.metrics;
        let records = shared.recorder.counters();
        metrics.records_written.inc_by(records.written - before.written);
        metrics.records_dropped.inc_by(records.lost - before.lost);
        metrics.records_failed.inc_by(records.failures - before.failures);
        metrics.records_purged.inc_by(records.purged - before.purged);
        let health = metrics.health();
        if records.failures > before.failures {
            // Where the council wants no mail without its row, a store that fails stops mail.
            let state = if shared.recorder.is_mandatory() { PartState::Failed } else { PartState::Degraded };
            health.set(Part::Records, state);
        } else if records.written > before.written || health.part(Part::Records) == PartState::Unknown {
            health.set(Part::Records, PartState::Ok);
        }
        if records.purges > before.purges {
            purged = Instant::now();
        }
        // By the steady clock: a wall clock that jumps makes no purge late or early.
        let late = purged.elapsed() > PURGE_LATE;
        if records.purges > 0 || late {
            health.set(Part::Retention, if late || records.clock_ahead { PartState::Degraded } else { PartState::Ok });
        }
        before = records;
        metrics.records_queued.set(i64::try_from(records.waiting).unwrap_or(i64::MAX));
        metrics.memory.set(i64::try_from(shared.limits.memory()).unwrap_or(i64::MAX));
        if let Some(outbox) = &shared.outbox {
            let now = outbox.counters();
            metrics.notices_waiting.set(i64::try_from(now.waiting).unwrap_or(i64::MAX));
            metrics.notices_queued.inc_by(now.queued - told.queued);
            metrics.notices_sent.inc_by(now.delivered - told.delivered);
            let failed = |c: &outbox::Counters| c.refused + c.expired + c.dropped;
            metrics.notices_failed.inc_by(failed(&now) - failed(&told));
            told = now;
            health.set(Part::Outbox, if outbox.is_blocked() { PartState::Degraded } else { PartState::Ok });
        }
    }
}

/// What the office does by itself, hour by hour.
async fn rounds(shared: Arc<Shared>) {
    // Not while everything starts.
    tokio::time::sleep(Duration::from_secs(60)).await;
    loop {
        let site = shared.site.load_full();
        if let Err(error) = office::rounds::round(&site.settings, shared.outbox.as_ref()).await {
            tracing::error!(event = "round_failed", %error, "holds of records could not be looked after; this is tried again in an hour");
        }
        drop(site);
        tokio::time::sleep(ROUND).await;
    }
}

/// A connection on its way to another thread.
type Handed = (usize, std::net::TcpStream, SocketAddr);

/// What threads know of one another.
struct Peer {
    /// Sessions.
    load: AtomicUsize,
    send: mpsc::UnboundedSender<Handed>,
}

/// One thread among its peers.
#[derive(Clone)]
struct Desk {
    number: usize,
    peers: Arc<[Peer]>,
}

impl Desk {
    /// A peer that has clearly less to do: whoever wakes first accepts, and that must not be the same thread all the time.
    fn freer(&self) -> Option<&Peer> {
        let own = self.peers[self.number].load.load(Ordering::Relaxed);
        self.peers.iter().min_by_key(|p| p.load.load(Ordering::Relaxed)).filter(|p| p.load.load(Ordering::Relaxed) + 1 < own)
    }

    fn serve(&self, worker: &Rc<Worker>, index: usize, tcp: TcpStream, from: SocketAddr) {
        let site = worker.shared.site.load_full();
        let (desk, worker) = (self.clone(), worker.clone());
        let busy = Busy(desk);
        tokio::task::spawn_local(async move {
            let _busy = busy;
            gateway::serve(worker, site, index, tcp, from).await;
        });
    }
}

/// Counts a session for as long as it lives, however it ends.
struct Busy(Desk);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.peers[self.0.number].load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One thread's life.
fn work(
    shared: Arc<Shared>,
    sockets: Vec<StdListener>,
    seed: u64,
    desk: Desk,
    inbox: mpsc::UnboundedReceiver<Handed>,
    mut stopped: watch::Receiver<bool>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(LARGE_AT_ONCE).build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(event = "worker_failed", %error),
    };
    let worker = Rc::new(Worker::new(shared, seed));
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move {
        let closing = Rc::new(Notify::new());
        for (index, socket) in sockets.into_iter().enumerate() {
            match TcpListener::from_std(socket) {
                Ok(listener) => drop(tokio::task::spawn_local(accept(worker.clone(), desk.clone(), index, listener, closing.clone()))),
                Err(error) => tracing::error!(event = "worker_failed", %error),
            }
        }
        tokio::task::spawn_local(expire(worker.clone()));
        tokio::task::spawn_local(take_over(worker.clone(), desk, inbox));
        let _ = stopped.wait_for(|stop| *stop).await;
        closing.notify_waiters();
        drain(&worker).await;
    });
}

async fn accept(worker: Rc<Worker>, desk: Desk, index: usize, listener: TcpListener, closing: Rc<Notify>) {
    let closed = closing.notified();
    tokio::pin!(closed);
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = &mut closed => return,
        };
        match accepted {
            Ok((tcp, from)) => match desk.freer() {
                Some(peer) => {
                    // The count goes with the connection, so that a burst is spread evenly before anyone wakes.
                    peer.load.fetch_add(1, Ordering::Relaxed);
                    if let Ok(tcp) = tcp.into_std() {
                        let _ = peer.send.send((index, tcp, from));
                    }
                }
                None => {
                    desk.peers[desk.number].load.fetch_add(1, Ordering::Relaxed);
                    desk.serve(&worker, index, tcp, from);
                }
            },
            Err(error) => {
                // Out of file descriptors, most likely: others will be given back.
                tracing::warn!(event = "accept_failed", %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves what other threads accepted.
async fn take_over(worker: Rc<Worker>, desk: Desk, mut inbox: mpsc::UnboundedReceiver<Handed>) {
    while let Some((index, tcp, from)) = inbox.recv().await {
        match TcpStream::from_std(tcp) {
            Ok(tcp) => desk.serve(&worker, index, tcp, from),
            Err(_) => drop(Busy(desk.clone())),
        }
    }
}

async fn expire(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        worker.tidy_buffers();
        for connection in worker.pool.expire() {
            tokio::task::spawn_local(connection.quit());
        }
    }
}

/// Tells every session, then waits until each has finished what it had begun.
async fn drain(worker: &Worker) {
    worker.wake_all();
    let until = Instant::now() + worker.shared.site.load().settings.limits.drain;
    while worker.sessions() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for connection in worker.pool.clear() {
        let _ = tokio::time::timeout(Duration::from_secs(1), connection.quit()).await;
    }
}
