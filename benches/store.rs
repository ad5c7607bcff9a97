//! What the stores cost on this machine's own disk: records, look-ups, purges, and custody beside what one fsync costs.
//!
//! `cargo bench --bench store [-- --rows N] [-- --json]`. Times say more about the disk than about the program; what is held
//! (benches/floor.toml, `[store]`) is ratios taken in the same run, and counts.

use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lychgate::config::{self, Diagnostics};
use lychgate::outbox::{self, Outbox};
use lychgate::policy::verdict::FactSummary;
use lychgate::policy::{Disposition, Envelope, Recipient, RecordLevel, Role};
use lychgate::records::custody::{self, Decision, Deposit, Kind, NewParcel, Sheet, State};
use lychgate::records::{self, Class, Classes, Entry, Outcome, Recorder, Stage, trace};
use lychgate::smtp::address::Charset;
use lychgate::smtp::{Address, ReversePath};

/// How long each of the quick ones is measured.
const MEASURED: Duration = Duration::from_secs(2);
/// Messages that ask for custody at one time.
const TOGETHER: usize = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let rows = arguments.iter().position(|a| a == "--rows").and_then(|i| arguments.get(i + 1)?.parse().ok()).unwrap_or(100_000);
    let json = arguments.iter().any(|a| a == "--json");
    let mut told = Vec::new();
    let mut tell = |name: &'static str, value: f64, unit: &str| {
        if !json {
            println!("{name:<28} {value:>14.2} {unit}");
        }
        told.push((name, value));
    };
    custody_figures(&Site::new("custody"), &mut tell);
    record_figures(&Site::new("record"), rows, &mut tell);
    purge_figures(&Site::new("purge"), rows, &mut tell);
    if json {
        let figures: Vec<String> = told.iter().map(|(name, value)| format!("\"{name}\":{value:.4}")).collect();
        println!("{{{}}}", figures.join(","));
    }
    ExitCode::SUCCESS
}

type Tell<'a> = &'a mut dyn FnMut(&'static str, f64, &str);

/// Custody beside the disk's own rate: one after another, and many at once, which share a commit.
fn custody_figures(site: &Site, tell: Tell<'_>) {
    let syncs = syncs_a_second(&site.folder);
    tell("fsyncs", syncs, "a second, of 4 KiB each");
    {
        let mut store = custody::open(&site.options.store).expect("custody opens");
        let (began, mut taken, mut now) = (Instant::now(), 0u64, 0i64);
        while began.elapsed() < MEASURED {
            now += 1;
            store.accept(&[deposit(now)], now).expect("it is taken");
            taken += 1;
        }
        let alone = taken as f64 / began.elapsed().as_secs_f64();
        tell("custody-alone", alone, "messages a second, one after another");
        tell("custody-alone-per-fsync", alone / syncs, "messages for each fsync that the disk can do");
        clear(store.as_mut());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let outbox = Outbox::at_rest(site.options.clone(), tls()).expect("custody opens");
        let before = syncs_a_second(&site.folder);
        let began = Instant::now();
        let tasks: Vec<_> = (0..TOGETHER)
            .map(|_| {
                let outbox = outbox.clone();
                tokio::spawn(async move {
                    let mut taken = 0u64;
                    while began.elapsed() < MEASURED {
                        outbox.accept(deposit(1)).await.expect("it is taken");
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        let mut taken = 0;
        for task in tasks {
            taken += task.await.expect("no panic");
        }
        let together = taken as f64 / began.elapsed().as_secs_f64();
        let syncs = (before + syncs_a_second(&site.folder)) / 2.0;
        tell("custody-together", together, "messages a second, 64 at a time");
        tell("custody-per-fsync", together / syncs, "messages for each fsync that the disk can do");
    });
}

/// The record: written, and looked up in.
fn record_figures(site: &Site, rows: u64, tell: Tell<'_>) {
    let options = &site.options.store;
    let recorder = Recorder::start(options).expect("the record opens");
    let start = jiff::Timestamp::now() - Duration::from_secs(rows / 1_000);
    fill(&recorder, 0..rows / 10, start);
    let few = look_up(options, rows / 20, start);
    let began = Instant::now();
    fill(&recorder, rows / 10..rows, start);
    tell("records", (rows - rows / 10) as f64 / began.elapsed().as_secs_f64(), "a second");
    let all = look_up(options, rows / 2, start);
    tell("trace", all, "ms, for the letter to one of so many");
    tell("trace-growth", all / few, "times as long as in a tenth of them");
}

/// How long it takes to find the one letter to somebody, in milliseconds.
fn look_up(options: &records::Options, n: u64, start: jiff::Timestamp) -> f64 {
    let minute = Duration::from_secs(60);
    let (since, until) = (start - minute, jiff::Timestamp::now() + minute);
    let question = trace::Question { recipient: Some(format!("resident{n}@gmail.com")), since, until, ..Default::default() };
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let began = Instant::now();
            let answer = trace::look_up(options, &question, "to see how long it takes", "bench").expect("it can be asked");
            assert_eq!(answer.hits.len(), 1, "there is one");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[4]
}

/// A purge of rows whose time has come, while others write rows that somebody waits for.
fn purge_figures(site: &Site, rows: u64, tell: Tell<'_>) {
    let recorder = Recorder::start(&site.options.store).expect("the record opens");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    // The purge at the start comes before the second: it must not take away what is to be measured.
    for _ in 0..2 {
        runtime.block_on(recorder.retention_run()).expect("it can be purged");
    }
    fill(&recorder, 0..rows, jiff::Timestamp::now() - Duration::from_secs(200 * 86_400));
    let quiet = runtime.block_on(longest_wait(&recorder, MEASURED));
    let (memory, began) = (Memory::watch(), Instant::now());
    let (worst, receipt) = runtime.block_on(async {
        let purge = {
            let recorder = recorder.clone();
            tokio::spawn(async move { recorder.retention_run().await.expect("it can be purged") })
        };
        let mut worst = Duration::ZERO;
        while !purge.is_finished() {
            worst = worst.max(longest_wait(&recorder, Duration::ZERO).await);
        }
        (worst, purge.await.expect("no panic"))
    });
    let took = began.elapsed();
    let purged: u64 = receipt.classes.iter().map(|c| c.rows).sum();
    assert!(purged >= rows, "{purged} of {rows} rows were purged");
    tell("purge", purged as f64 / took.as_secs_f64(), "rows a second, while others write");
    tell("purge-seconds", took.as_secs_f64(), "seconds");
    tell("purge-memory", memory.grown(), "MiB more than before, at most");
    tell("wait-quiet", quiet.as_secs_f64() * 1e3, "ms, the longest wait for a durable row");
    tell("wait-purging", worst.as_secs_f64() * 1e3, "ms, the same beside the purge");
    tell("wait-share", worst.as_secs_f64() / took.as_secs_f64(), "of the purge, the longest wait");
}

fn fill(recorder: &Recorder, rows: Range<u64>, start: jiff::Timestamp) {
    for n in rows {
        // A row is made anew where the queue is full.
        while recorder.record(entry(n, start + Duration::from_millis(n), Some(250))).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(recorder.flush()).expect("it is written");
}

/// The longest that a durable row takes, for a while.
async fn longest_wait(recorder: &Recorder, during: Duration) -> Duration {
    let (began, mut worst) = (Instant::now(), Duration::ZERO);
    while worst.is_zero() || began.elapsed() < during {
        let asked = Instant::now();
        let ticket = recorder.reserve(entry(u64::MAX, jiff::Timestamp::now(), None)).await.expect("there is room");
        worst = worst.max(asked.elapsed());
        recorder.complete(ticket, Outcome::own(250));
    }
    worst
}

fn deposit(now: i64) -> Deposit {
    let recipient = custody::Recipient { address: "resident@gmail.com".into(), parameters: String::new(), state: custody::Fate::Waiting };
    let sheet = Sheet { reference: "LG-BENCH".into(), taken: now, recipients: vec![recipient], ..Sheet::default() };
    let parcel = NewParcel { id: None, state: State::Waiting, due: now, ends: now + 1_000_000, sheet };
    Deposit { kind: Kind::Mail, content: vec![b'x'; 4_096], parcels: vec![parcel], told: Vec::new() }
}

fn clear(store: &mut dyn custody::Custody) {
    loop {
        let claim = store.claim(Kind::Mail, "", 1_000, 1_000_000).expect("it can be claimed");
        if claim.parcels.is_empty() {
            return;
        }
        store.settle(claim.parcels.iter().map(|p| (p.id, Decision::done())).collect(), 1).expect("it can be settled");
    }
}

struct Council;

impl Classes for Council {
    fn class(&self, normal: &str) -> Class {
        if normal.ends_with("@bench.example") { Class::Internal } else { Class::Personal }
    }

    fn configuration(&self) -> &[u8] {
        b"bench"
    }
}

fn entry(n: u64, time: jiff::Timestamp, outcome: Option<u16>) -> Entry {
    let address = |text: String| Address::parse(&text, Charset::Utf8).expect("an address");
    Entry {
        time,
        reference: format!("LG-{n:X}"),
        listener: "bench".into(),
        role: Role::Submission,
        envelope: Envelope {
            reverse_path: ReversePath::Address(address(format!("officer{}@bench.example", n % 40))),
            recipients: vec![Recipient { address: address(format!("resident{n}@gmail.com")), reply_code: 250 }],
        },
        rules: Arc::new(Council),
        message_id: Some(format!("<{n}@bench.example>")),
        subject: None,
        size: 4_096,
        disposition: Disposition::Deliver,
        matches: Vec::new(),
        facts: FactSummary { direction: "outbound".into(), protected: "none".into(), ..FactSummary::default() },
        level: RecordLevel::Metadata,
        personal: false,
        automatic: false,
        imprint: None,
        vector: None,
        detectors: Vec::new(),
        outcome: outcome.map(Outcome::own),
        stage: Stage::Judged,
    }
}

/// How often the disk under a folder can write 4 KiB and say that they are there.
fn syncs_a_second(folder: &std::path::Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("syncs")).expect("a file can be made");
    let (began, mut syncs) = (Instant::now(), 0u32);
    while began.elapsed() < MEASURED / 2 {
        file.write_all(&[7; 4_096]).and_then(|()| file.sync_data()).expect("it can be written");
        syncs += 1;
    }
    f64::from(syncs) / began.elapsed().as_secs_f64()
}

/// Watches the memory that this process has of its own, without files that are mapped.
struct Memory {
    before: u64,
    most: Arc<AtomicU64>,
}

impl Memory {
    fn watch() -> Memory {
        let memory = Memory { before: own_memory(), most: Arc::default() };
        let most = Arc::downgrade(&memory.most);
        std::thread::spawn(move || {
            while let Some(most) = most.upgrade() {
                most.fetch_max(own_memory(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        memory
    }

    /// In MiB.
    fn grown(&self) -> f64 {
        self.most.load(Ordering::Relaxed).saturating_sub(self.before) as f64 / 1_024.0
    }
}

/// In KiB.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn tls() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("default versions");
    Arc::new(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// A site on the disk of the build folder, not of a temporary one, which may be memory.
struct Site {
    folder: PathBuf,
    options: outbox::Options,
}

impl Site {
    fn new(name: &str) -> Site {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let text = r#"
[council]
name = "Bench Parish Council"
domains = ["bench.example"]
clerk = "clerk@bench.example"
[rules]
paths = []
[[listener]]
name = "in"
role = "connector"
bind = "127.0.0.1:2525"
tls = "none"
upstream = "out"
trust = { networks = ["127.0.0.0/8"] }
[upstream.out]
address = "127.0.0.1:2526"
tls = "none"
[monitoring]
purposes = ["effective-operation"]
notice-version = "1"
notice-date = 2026-01-01
impact-assessment = "none"
mandatory = true
"#;
        let mut diagnostics = Diagnostics::new();
        let settings = config::load_text("bench", text.into(), &folder, &mut diagnostics).expect("the site is good");
        let options = outbox::Options::of(&settings).expect("it has a listener");
        records::prepare(&options.store).expect("the stores can be made");
        Site { folder, options }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
