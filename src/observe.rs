//! What the operator sees: the log, the figures, and whether all is well.
//!
//! Never an address, a subject or a word of a message above debug level: the types that hold them show none in `Debug`, and a
//! figure's labels are listener names, rule ids and fixed words only, so that their number is bounded by the site file.

pub mod crash;
pub mod custody;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::config::Settings;
use crate::config::settings::Log;
use crate::policy::{Disposition, Match, Mode};

/// Starts the log, to standard error. `LYCHGATE_LOG` says how much (`info` when unset); what it cannot mean is said and ignored.
/// A second call changes nothing.
pub fn init(log: Log) {
    init_at("info", log);
}

/// As [`init`], of warnings and errors only when `LYCHGATE_LOG` is unset: for a command that has better things to print.
pub fn init_quiet() {
    init_at("warn", Log::Text);
}

fn init_at(usual: &str, log: Log) {
    use tracing_subscriber::EnvFilter;
    let wanted = std::env::var("LYCHGATE_LOG").ok().filter(|v| !v.trim().is_empty());
    let (filter, fault) = match wanted.as_deref().map(|w| w.parse::<EnvFilter>()) {
        None => (EnvFilter::new(usual), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(fault)) => (EnvFilter::new(usual), Some(fault)),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // What cannot be logged, on a full disk, is not worth a panic: telling of it would go to standard error too.
    let builder = builder.log_internal_errors(false);
    let started = match log {
        Log::Text => builder.try_init(),
        Log::Json => builder.json().flatten_event(true).try_init(),
    };
    if let (Ok(()), Some(fault)) = (started, fault) {
        tracing::warn!(%fault, "LYCHGATE_LOG was not understood");
    }
}

/// All figures. Handles are resolved once; to bump one is an atomic addition, without a look-up or an allocation.
pub struct Metrics {
    registry: Registry,
    listeners: Vec<ListenerMetrics>,
    matches: Family<RuleLabels, Counter>,
    /// Upstream faults, by kind.
    upstream_errors: [Counter; UpstreamError::ALL.len()],
    /// Times an upstream connection was reused.
    pub upstream_reused: Counter,
    pub records_written: Counter,
    pub records_dropped: Counter,
    pub records_failed: Counter,
    /// Records that wait for the disk.
    pub records_queued: Gauge,
    pub records_purged: Counter,
    pub notices_queued: Counter,
    pub notices_sent: Counter,
    pub notices_failed: Counter,
    /// Notices that wait to be sent.
    pub notices_waiting: Gauge,
    /// Octets of messages in flight.
    pub memory: Gauge,
    /// Messages turned away with 452 because `[limits] memory` was reached.
    pub memory_refused: Counter,
    /// Messages that the scanner was shown, those in which it found something, and those of which it could say nothing.
    pub scans: Counter,
    pub scans_infected: Counter,
    pub scans_failed: Counter,
    /// Messages whose sender was looked up in the DNS, and those of which something was left open.
    pub lookups: Counter,
    pub lookups_failed: Counter,
    /// Rules read again on SIGHUP, and refused.
    pub reloads: Counter,
    pub reloads_refused: Counter,
    judge_seconds: Histogram,
    custody: custody::Custody,
    health: Health,
}

/// The figures of one listener.
#[derive(Debug, Default)]
pub struct ListenerMetrics {
    pub sessions: Counter,
    pub open: Gauge,
    /// Connections turned away by a limit.
    pub turned_away: Counter,
    pub delivered: Counter,
    pub held: Counter,
    pub deferred: Counter,
    pub rejected: Counter,
    /// Accepted by the judge, refused or lost by the upstream.
    pub upstream_refused: Counter,
    pub auth_failures: Counter,
    pub tls_failures: Counter,
    /// Octets of content received.
    pub bytes: Counter,
    pub recipients: Counter,
}

/// What went wrong towards an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    Connect,
    Tls,
    Timeout,
    Closed,
    Protocol,
    /// Closed or silent after the dot: the outcome is not known.
    UnknownOutcome,
}

impl UpstreamError {
    const ALL: [UpstreamError; 6] = [
        UpstreamError::Connect,
        UpstreamError::Tls,
        UpstreamError::Timeout,
        UpstreamError::Closed,
        UpstreamError::Protocol,
        UpstreamError::UnknownOutcome,
    ];

    pub fn word(self) -> &'static str {
        match self {
            UpstreamError::Connect => "connect",
            UpstreamError::Tls => "tls",
            UpstreamError::Timeout => "timeout",
            UpstreamError::Closed => "closed",
            UpstreamError::Protocol => "protocol",
            UpstreamError::UnknownOutcome => "unknown-outcome",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    rule: Arc<str>,
    mode: ModeLabel,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ModeLabel(&'static str);

impl EncodeLabelValue for ModeLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
        self.0.encode(encoder)
    }
}

impl Metrics {
    pub fn new(settings: &Settings) -> Metrics {
        Metrics::for_listeners(settings.listeners.iter().map(|l| (l.name.to_string(), role_word(l.role))))
    }

    fn for_listeners(listeners: impl Iterator<Item = (String, &'static str)>) -> Metrics {
        let mut registry = Registry::with_prefix("lychgate");
        let listeners = listeners.map(|(name, role)| register_listener(&mut registry, name, role)).collect();
        let matches = Family::<RuleLabels, Counter>::default();
        registry.register("rule_matches", "Messages that a rule matched, by the mode in force", matches.clone());
        let upstream_errors = UpstreamError::ALL.map(|kind| {
            let counter = Counter::default();
            registry.sub_registry_with_label(("kind".into(), kind.word().into())).register(
                "upstream_errors",
                "Faults towards upstreams",
                counter.clone(),
            );
            counter
        });
        // From 10 µs, which a plain message takes, to 10 s.
        let judge_seconds = Histogram::new([0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]);
        registry.register_with_unit("judge", "Time from a complete message to its verdict", Unit::Seconds, judge_seconds.clone());
        let custody = custody::Custody::register(&mut registry);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let upstream_reused = counter("upstream_reused", "Times a kept upstream connection was used again");
        let records_written = counter("records_written", "Records on disk");
        let records_dropped = counter("records_dropped", "Records dropped because too many were waiting");
        let records_failed = counter("records_failed", "Records that the store refused");
        let records_purged = counter("records_purged", "Records deleted at the end of their time");
        let notices_queued = counter("notices_queued", "Notices to send");
        let notices_sent = counter("notices_sent", "Notices that the upstream took");
        let notices_failed = counter("notices_failed", "Notices that the upstream refused for good");
        let memory_refused = counter("memory_refused", "Messages told to come again because memory was full");
        let scans = counter("scans", "Messages that the virus scanner was shown");
        let scans_infected = counter("scans_infected", "Messages in which the virus scanner found something");
        let scans_failed = counter("scans_failed", "Messages of which the virus scanner could say nothing");
        let lookups = counter("lookups", "Messages whose sender was looked up in the DNS");
        let lookups_failed = counter("lookups_failed", "Messages of which the DNS left something open");
        let reloads = counter("reloads", "Reloads of rules and certificates");
        let reloads_refused = counter("reloads_refused", "Reloads refused because of faults; the old stayed");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Metrics {
            records_queued: gauge("records_queued", "Records that wait for the disk"),
            notices_waiting: gauge("notices_waiting", "Notices that wait to be sent"),
            memory: gauge("memory_bytes", "Octets of messages in flight"),
            registry,
            listeners,
            matches,
            upstream_errors,
            upstream_reused,
            records_written,
            records_dropped,
            records_failed,
            records_purged,
            notices_queued,
            notices_sent,
            notices_failed,
            memory_refused,
            scans,
            scans_infected,
            scans_failed,
            lookups,
            lookups_failed,
            reloads,
            reloads_refused,
            judge_seconds,
            custody,
            health: Health::default(),
        }
    }

    /// The figures of the listener at this index of [`Settings::listeners`].
    ///
    /// # Panics
    /// If there is no such listener: reload never adds one.
    pub fn listener(&self, index: usize) -> &ListenerMetrics {
        &self.listeners[index]
    }

    /// One message was judged.
    pub fn judged(&self, took: Duration, matches: &[Match]) {
        self.judge_seconds.observe(took.as_secs_f64());
        for found in matches {
            // The id is shared, not copied.
            self.matches.get_or_create(&RuleLabels { rule: found.rule.clone(), mode: mode_label(found) }).inc();
        }
    }

    pub fn upstream_error(&self, kind: UpstreamError) {
        self.upstream_errors[kind as usize].inc();
    }

    /// Of mail in the gateway's own care.
    pub fn custody(&self) -> &custody::Custody {
        &self.custody
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Every figure, as Prometheus reads it.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut out, &self.registry);
        out
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metrics({} listeners)", self.listeners.len())
    }
}

impl ListenerMetrics {
    /// One message got this verdict.
    pub fn message(&self, disposition: &Disposition) {
        match disposition {
            Disposition::Deliver => &self.delivered,
            Disposition::Hold { .. } => &self.held,
            Disposition::Defer { .. } => &self.deferred,
            Disposition::Reject { .. } | Disposition::Malformed { .. } => &self.rejected,
        }
        .inc();
    }
}

fn mode_label(found: &Match) -> ModeLabel {
    ModeLabel(match (found.overridden.is_some(), found.mode) {
        (true, _) => "overridden",
        (false, Mode::Off) => Mode::Off.word(),
        (false, mode) => mode.word(),
    })
}

fn role_word(role: crate::policy::Role) -> &'static str {
    match role {
        crate::policy::Role::Submission => "submission",
        crate::policy::Role::Connector => "connector",
        crate::policy::Role::Mx => "mx",
    }
}

fn register_listener(registry: &mut Registry, name: String, role: &'static str) -> ListenerMetrics {
    let made = ListenerMetrics::default();
    let labelled = registry.sub_registry_with_labels([("listener".into(), name.into()), ("role".into(), role.into())].into_iter());
    labelled.register("sessions", "Sessions begun", made.sessions.clone());
    labelled.register("sessions_open", "Sessions open now", made.open.clone());
    labelled.register("turned_away", "Connections turned away by a limit", made.turned_away.clone());
    for (word, counter) in [("deliver", &made.delivered), ("hold", &made.held), ("defer", &made.deferred), ("reject", &made.rejected)] {
        labelled.sub_registry_with_label(("disposition".into(), word.into())).register("messages", "Messages, by verdict", counter.clone());
    }
    labelled.register("upstream_refused", "Messages that passed and that the upstream did not take", made.upstream_refused.clone());
    labelled.register("auth_failures", "Logins that the upstream refused", made.auth_failures.clone());
    labelled.register("tls_failures", "TLS handshakes that failed", made.tls_failures.clone());
    labelled.register_with_unit("received", "Octets of content received", Unit::Bytes, made.bytes.clone());
    labelled.register("recipients", "Recipients accepted", made.recipients.clone());
    made
}

/// Whether the gateway runs, and how its parts are.
#[derive(Debug, Default)]
pub struct Health {
    stage: AtomicU8,
    parts: [AtomicU8; Part::ALL.len()],
    /// Seconds since 1970; 0 where there is none.
    certificate_ends: AtomicI64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Starting,
    Running,
    Draining,
}

/// A part whose state `/health` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Listeners,
    Rules,
    Records,
    Outbox,
    Upstream,
    /// Where one is set up.
    Scanner,
    /// Where look-ups are set up.
    Dns,
    /// Records are purged on time, by a clock that is believed.
    Retention,
    /// Mail in the gateway's own care leaves: nothing waits for long, and the upstreams that it waits for answer.
    Queue,
    /// The Clerk's digest is delivered every week.
    Digest,
    /// What was changed of people at the desk can be read.
    People,
    /// The gateway's own is good for three weeks at least. It never fails as a part: until its last moment mail passes.
    Certificate,
    /// There is room where the store is.
    Disk,
    /// The Clerk's desk can write in its folder.
    Desk,
}

/// How a part is. Only `Failed` of a part that mail needs makes the gateway unhealthy; that is for who sets it to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartState {
    Unknown,
    Ok,
    Degraded,
    Failed,
}

impl Part {
    const ALL: [Part; 14] = [
        Part::Listeners,
        Part::Rules,
        Part::Records,
        Part::Outbox,
        Part::Upstream,
        Part::Scanner,
        Part::Dns,
        Part::Retention,
        Part::Queue,
        Part::Digest,
        Part::People,
        Part::Certificate,
        Part::Disk,
        Part::Desk,
    ];

    /// Not every site has it: while nothing was heard of it, it is not shown.
    fn is_optional(self) -> bool {
        matches!(
            self,
            Part::Scanner
                | Part::Dns
                | Part::Retention
                | Part::Queue
                | Part::Digest
                | Part::Certificate
                | Part::Disk
                | Part::Desk
                | Part::People
        )
    }

    fn word(self) -> &'static str {
        match self {
            Part::Listeners => "listeners",
            Part::Rules => "rules",
            Part::Records => "records",
            Part::Outbox => "outbox",
            Part::Upstream => "upstream",
            Part::Scanner => "scanner",
            Part::Dns => "dns",
            Part::Retention => "retention",
            Part::Queue => "queue",
            Part::Digest => "digest",
            Part::People => "people",
            Part::Certificate => "certificate",
            Part::Disk => "disk",
            Part::Desk => "desk",
        }
    }
}

impl Health {
    pub fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Starting,
            1 => Stage::Running,
            _ => Stage::Draining,
        }
    }

    pub fn set(&self, part: Part, state: PartState) {
        self.parts[part as usize].store(state as u8, Ordering::Relaxed);
    }

    pub fn part(&self, part: Part) -> PartState {
        match self.parts[part as usize].load(Ordering::Relaxed) {
            0 => PartState::Unknown,
            1 => PartState::Ok,
            2 => PartState::Degraded,
            _ => PartState::Failed,
        }
    }

    /// When the certificate ends that is in use, in seconds since 1970; none where there is none. One that lies on the disk and was not
    /// loaded yet is no help to anybody.
    pub fn certificate_ends(&self) -> Option<i64> {
        Some(self.certificate_ends.load(Ordering::Relaxed)).filter(|at| *at != 0)
    }

    pub fn set_certificate_ends(&self, at: Option<i64>) {
        self.certificate_ends.store(at.unwrap_or(0), Ordering::Relaxed);
    }

    /// 200 while running and no part has failed, else 503; and what to show.
    pub fn report(&self) -> (u16, serde_json::Value) {
        let stage = self.stage();
        let mut parts = serde_json::Map::new();
        let mut failed = false;
        for part in Part::ALL {
            let state = self.part(part);
            if state == PartState::Unknown && part.is_optional() {
                continue;
            }
            failed |= state == PartState::Failed;
            let word = match state {
                PartState::Unknown => "unknown",
                PartState::Ok => "ok",
                PartState::Degraded => "degraded",
                PartState::Failed => "failed",
            };
            parts.insert(part.word().into(), word.into());
        }
        let state = match stage {
            Stage::Starting => "starting",
            Stage::Running if failed => "failed",
            Stage::Running => "running",
            Stage::Draining => "draining",
        };
        let code = if stage == Stage::Running && !failed { 200 } else { 503 };
        (code, serde_json::json!({ "state": state, "version": env!("CARGO_PKG_VERSION"), "components": parts }))
    }
}

/// Answers `/metrics` and `/health` at `address` until the future is dropped. Errors if the address cannot be had.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    serve_on(listener, metrics).await
}

/// As [`serve`], on a listener that is bound already.
pub async fn serve_on(listener: tokio::net::TcpListener, metrics: Arc<Metrics>) -> std::io::Result<()> {
    let health = metrics.clone();
    let app = axum::Router::new()
        .route(
            "/metrics",
            axum::routing::get(move || {
                let text = metrics.render();
                async move { ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text) }
            }),
        )
        .route(
            "/health",
            axum::routing::get(move || {
                let (code, body) = health.health().report();
                let status = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
                async move { (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response() }
            }),
        );
    axum::serve(listener, app).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics() -> Metrics {
        Metrics::for_listeners([("submission".to_owned(), "submission"), ("mx".to_owned(), "mx")].into_iter())
    }

    #[test]
    fn figures_carry_listener_rule_and_mode_and_no_more() {
        let m = metrics();
        m.listener(1).sessions.inc();
        m.listener(0).message(&Disposition::Reject { text: "x".into() });
        m.listener(0).bytes.inc_by(1_000);
        m.upstream_error(UpstreamError::UnknownOutcome);
        let found = Match {
            rule: "hide-recipients".into(),
            title: "t".into(),
            mode: Mode::Warn,
            clauses: vec![],
            because: vec![],
            actions: vec![],
            overridden: None,
        };
        m.judged(Duration::from_micros(50), std::slice::from_ref(&found));
        let text = m.render();
        for line in [
            "lychgate_sessions_total{listener=\"mx\",role=\"mx\"} 1",
            "lychgate_messages_total{listener=\"submission\",role=\"submission\",disposition=\"reject\"} 1",
            "lychgate_received_bytes_total{listener=\"submission\",role=\"submission\"} 1000",
            "lychgate_rule_matches_total{rule=\"hide-recipients\",mode=\"warn\"} 1",
            "lychgate_upstream_errors_total{kind=\"unknown-outcome\"} 1",
            "lychgate_judge_seconds_bucket{le=\"0.0001\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        for (line, next) in text.lines().zip(text.lines().skip(1)) {
            assert!(!(line.starts_with("# TYPE") && line == next), "{line}");
        }
    }

    #[test]
    fn health_is_503_unless_running_whole() {
        let m = metrics();
        assert_eq!(m.health().report().0, 503);
        m.health().set_stage(Stage::Running);
        m.health().set(Part::Records, PartState::Degraded);
        let (code, body) = m.health().report();
        assert_eq!((code, body["components"]["records"].as_str()), (200, Some("degraded")));
        m.health().set(Part::Listeners, PartState::Failed);
        assert_eq!(m.health().report().0, 503);
        m.health().set(Part::Listeners, PartState::Ok);
        m.health().set_stage(Stage::Draining);
        assert_eq!((m.health().report().0, m.health().report().1["state"].as_str()), (503, Some("draining")));
    }

    #[tokio::test]
    async fn answers_over_http() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let m = Arc::new(metrics());
        m.health().set_stage(Stage::Running);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve_on(listener, m));
        for (path, wanted) in [("/health", "200 OK"), ("/metrics", "200 OK"), ("/other", "404 Not Found")] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {wanted}")), "{answer}");
        }
        server.abort();
    }
}
