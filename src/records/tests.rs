//! The record as a whole: written, found, purged, broken, beside a reader.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::access::accesses;
use super::database::Location;
use super::entry::{Class, Classes, Entry, Outcome, Stage};
use super::place::Monitoring;
use super::trace::{Question, look_up};
use super::*;
use crate::config::settings::Retention;
use crate::policy::verdict::FactSummary;
use crate::policy::*;
use crate::smtp::address::Charset;
use crate::smtp::{Address, ReversePath};

const DAY: Duration = Duration::from_secs(86_400);

/// A folder that goes when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        let name = u64::from_be_bytes(sealing::random_octets().unwrap());
        let path = std::env::temp_dir().join(format!("lychgate-test-{name:016x}"));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn options(&self) -> Options {
        let [database, keyring, custody] = self.locations();
        Options {
            database,
            keyring,
            custody,
            key_file: self.path("data/site.key"),
            retention: Retention { events: 90 * DAY, incidents: 365 * DAY, held: 7 * DAY, access: 730 * DAY, contacts: 180 * DAY },
            queue: 10_000,
            monitoring: Some(Monitoring { mandatory: false, subject: false }),
        }
    }

    fn locations(&self) -> [Location; 3] {
        #[cfg(feature = "postgres")]
        if let Some(server) = ON.get() {
            let database = server.database();
            return [database.clone(), server.database(), database];
        }
        ["data/lychgate.db", "data/site.key.ring", "data/custody.db"].map(|name| Location::Sqlite(self.path(name)))
    }

    pub(crate) fn prepared(&self) -> Options {
        let options = self.options();
        prepare(&options).unwrap();
        options
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(feature = "postgres")]
thread_local! {
    /// The server that folders' options are for; none: SQLite.
    static ON: std::cell::Cell<Option<&'static database::trial::Trial>> = const { std::cell::Cell::new(None) };
}

/// Runs a test on each engine that is there.
pub(crate) fn on_each_engine(test: impl Fn()) {
    test();
    #[cfg(feature = "postgres")]
    if let Some(server) = database::trial::shared() {
        eprintln!("and on PostgreSQL");
        ON.set(Some(server));
        test();
        ON.set(None);
    }
}

pub(crate) fn in_runtime(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// The one number that a database answers.
pub(crate) fn number(location: &Location, sql: &str) -> i64 {
    database::Database::open(location, database::Durability::Full).unwrap().statements().number(sql, &[]).unwrap()
}

struct Rules;

impl Classes for Rules {
    fn class(&self, normal: &str) -> Class {
        match normal.rsplit_once('@').map_or("", |(_, d)| d) {
            "wragby.gov.uk" => Class::Internal,
            "lincs.gov.uk" => Class::Partner,
            "gmail.com" => Class::Personal,
            _ => Class::External,
        }
    }

    fn configuration(&self) -> &[u8] {
        &[0xc0; 16]
    }
}

/// What is kept of a message with that header that was judged by these rules, sent as the entry's envelope says.
pub(crate) fn looked_at(e: &Entry, header: &str, policy: &crate::policy::Policy) -> crate::policy::FactVector<String> {
    use crate::policy::{Case, FactVector, Facts, Login, Outside, Session, evaluate};
    let text = format!("{}\r\n\r\nText.\r\n", header.replace('\n', "\r\n"));
    let message = crate::message::RawMessage::new(text.into_bytes());
    let session = Session { role: e.role, listener: e.listener.clone(), login: Login::None, tls: true };
    let now = e.time.to_zoned(jiff::tz::TimeZone::UTC);
    let case = Case { message: &message, envelope: &e.envelope, session: &session, now, outside: Outside::unasked() };
    let facts = Facts::new(&case, policy);
    facts.keep_readings();
    let verdict = evaluate(policy, &facts);
    FactVector::of(&facts, &verdict)
}

pub(crate) fn entry(sender: &str, recipients: &[&str]) -> Entry {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let address = |a: &str| Address::parse(a, Charset::Utf8).unwrap();
    Entry {
        time: Timestamp::now(),
        reference: format!("LG-{n:04X}"),
        listener: "submission".into(),
        role: Role::Submission,
        envelope: Envelope {
            reverse_path: if sender.is_empty() { ReversePath::Null } else { ReversePath::Address(address(sender)) },
            recipients: recipients.iter().map(|r| Recipient { address: address(r), reply_code: 250 }).collect(),
        },
        rules: Arc::new(Rules),
        message_id: Some(format!("<{n}@wragby.gov.uk>")),
        subject: None,
        size: 1234,
        disposition: Disposition::Deliver,
        matches: Vec::new(),
        facts: FactSummary { direction: "outbound".into(), protected: "none".into(), visible_external: 2, ..FactSummary::default() },
        level: RecordLevel::Metadata,
        personal: false,
        automatic: false,
        imprint: None,
        vector: None,
        detectors: Vec::new(),
        outcome: Some(Outcome { code: 250, upstream_reply: Some("250 2.0.0 Ok: queued as 4FK".into()) }),
        stage: Stage::Judged,
    }
}

pub(crate) fn matched(rule: &str) -> Match {
    Match {
        rule: rule.into(),
        title: "Hide residents' addresses from one another".into(),
        mode: Mode::Enforce,
        clauses: vec!["wragby/multiple-recipients".into()],
        because: vec!["17 external addresses are visible".into()],
        actions: vec!["hide-recipients"],
        overridden: None,
    }
}

pub(crate) fn everything() -> Question {
    let now = Timestamp::now();
    Question { since: now - 48.hours(), until: now + 1.hours(), ..Question::default() }
}

fn count(options: &Options, sql: &str) -> i64 {
    number(&options.database, sql)
}

#[test]
fn what_was_written_is_found_by_each_of_its_marks() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            for i in 0..600 {
                recorder.record(entry("clerk@wragby.gov.uk", &[&format!("resident{i}@gmail.com"), "all@wragby.gov.uk"])).unwrap();
                if i % 7 == 0 {
                    recorder.flush().await.unwrap();
                }
            }
            let mut special = entry("Cllr.Elm@Wragby.gov.uk", &["ashby@gmail.com", "officer@lincs.gov.uk"]);
            special.message_id = Some("<agenda-1@wragby.gov.uk>".into());
            special.reference = "LG-7F3K".into();
            special.matches.push(matched("hide-recipients"));
            special.envelope.recipients[1].reply_code = 550;
            recorder.record(special).unwrap();
            recorder.flush().await.unwrap();

            let ask = |q: Question| look_up(&options, &q, "test", "me").unwrap().hits;
            let all = everything();
            assert_eq!(ask(Question { recipient: Some("RESIDENT77@gmail.com".into()), ..all.clone() }).len(), 1);
            assert_eq!(ask(Question { recipient: Some("all@wragby.gov.uk".into()), ..all.clone() }).len(), 600);
            assert_eq!(ask(Question { recipient: Some("nobody@gmail.com".into()), ..all.clone() }).len(), 0);
            for q in [
                Question { recipient: Some("<Ashby@GMAIL.com>".into()), ..all.clone() },
                Question { sender: Some("cllr.elm@wragby.gov.uk".into()), ..all.clone() },
                Question { message_id: Some("agenda-1@wragby.gov.uk".into()), ..all.clone() },
                Question { reference: Some("lg-7f3k".into()), ..all.clone() },
                Question { sender: Some("cllr.elm@wragby.gov.uk".into()), recipient: Some("ashby@gmail.com".into()), ..all.clone() },
            ] {
                let hits = ask(q.clone());
                assert_eq!(hits.len(), 1, "{q:?}");
                assert_eq!(hits[0].row.reference, "LG-7F3K");
                assert_eq!(hits[0].class, RecordClass::Incidents, "a rule with a clause acted");
            }
            let refused = ask(Question { recipient: Some("officer@lincs.gov.uk".into()), ..all.clone() });
            assert_eq!(refused[0].recipient_code, Some(550));
            let other = Question { sender: Some("clerk@wragby.gov.uk".into()), recipient: Some("ashby@gmail.com".into()), ..all.clone() };
            assert!(ask(other).is_empty(), "both must hold in one message");
            let before = Question { until: Timestamp::now() - 1.hours(), ..all.clone() };
            assert!(ask(before).is_empty());
            // 87 groups of a few rows were merged: the index does not grow by a row for each commit.
            assert!(count(&options, "SELECT count(*) FROM batch") < 40);
            assert_eq!(count(&options, "SELECT count(*) FROM record"), 601);
            // Each look-up is in the access log, sealed.
            let log = accesses(&options).unwrap();
            assert_eq!(log.len(), 11);
            assert_eq!((log[0].who.as_str(), log[0].purpose.as_str()), ("me", "test"));
            assert_eq!(log[0].recipient.as_deref(), Some("RESIDENT77@gmail.com"));
            // Nothing of it can be read in the files.
            recorder.stop();
            for file in std::fs::read_dir(folder.path("data")).unwrap() {
                let path = file.unwrap().path();
                let octets = std::fs::read(&path).unwrap();
                for text in ["ashby", "clerk@", "agenda-1", "queued as", "LG-7F3K", "RESIDENT77"] {
                    assert!(memchr::memmem::find(&octets, text.as_bytes()).is_none(), "{text} in {}", path.display());
                }
                use std::os::unix::fs::MetadataExt;
                assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o077, 0, "{}", path.display());
            }
        })
    });
}

#[test]
fn less_is_kept_where_less_was_asked() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let with = |change: fn(&mut Entry)| {
                let mut e = entry("clerk@wragby.gov.uk", &["a@gmail.com"]);
                change(&mut e);
                recorder.record(e).unwrap();
            };
            with(|e| e.personal = true);
            with(|e| e.level = RecordLevel::Count);
            with(|e| e.level = RecordLevel::Nothing);
            with(|e| e.disposition = Disposition::Reject { text: "Not sent".into() });
            with(|e| e.matches.push(Match { mode: Mode::Observe, ..matched("r") }));
            recorder.flush().await.unwrap();
            assert_eq!(count(&options, "SELECT count(*) FROM record"), 2);
            assert_eq!(count(&options, "SELECT count(*) FROM record WHERE class = 2"), 1, "only what was not delivered is an incident");
            assert_eq!(count(&options, "SELECT CAST(sum(count) AS BIGINT) FROM tally WHERE kind = 1"), 4);
            assert_eq!(count(&options, "SELECT CAST(sum(count) AS BIGINT) FROM tally WHERE kind = 2 AND name LIKE 'r_observe'"), 1);
            drop(recorder);

            let options = Options { monitoring: None, ..options };
            let recorder = Recorder::start(&options).unwrap();
            recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).unwrap();
            recorder.flush().await.unwrap();
            assert_eq!(count(&options, "SELECT count(*) FROM record"), 2, "without [monitoring] no row");
            assert_eq!(count(&options, "SELECT CAST(sum(count) AS BIGINT) FROM tally WHERE kind = 1"), 5);
        })
    });
}

#[test]
fn what_has_expired_is_gone_with_its_key() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let mut options = folder.prepared();
            options.retention.events = Duration::from_secs(2);
            let recorder = Recorder::start(&options).unwrap();
            for _ in 0..50 {
                recorder.record(entry("clerk@wragby.gov.uk", &["ashby@gmail.com"])).unwrap();
            }
            let mut kept = entry("clerk@wragby.gov.uk", &["ashby@gmail.com"]);
            kept.matches.push(matched("r"));
            recorder.record(kept).unwrap();
            recorder.flush().await.unwrap();
            let question = Question { recipient: Some("ashby@gmail.com".into()), ..everything() };
            assert_eq!(look_up(&options, &question, "test", "me").unwrap().hits.len(), 51);
            let keys = || number(&options.keyring, "SELECT count(*) FROM key WHERE class = 1");
            assert!(keys() >= 1);
            tokio::time::sleep(Duration::from_millis(3_700)).await;
            assert_eq!(count(&options, "SELECT count(*) FROM record WHERE class = 1"), 0);
            assert_eq!(count(&options, "SELECT count(*) FROM batch WHERE class = 1"), 0);
            assert_eq!(keys(), 0);
            assert_eq!(look_up(&options, &question, "test", "me").unwrap().hits.len(), 1, "incidents are kept for longer");
            let receipt = recorder.retention_run().await.unwrap();
            assert_eq!(
                receipt.classes.iter().map(|c| (c.class.as_str(), c.rows, c.remaining)).collect::<Vec<_>>(),
                [("events", 0, 0), ("incidents", 0, 1), ("access", 0, 2), ("contacts", 0, 0)]
            );
            assert_eq!(recorder.counters().purged, 50);
        })
    });
}

#[test]
fn a_shorter_retention_holds_for_what_is_there() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let mut options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let mut old = entry("clerk@wragby.gov.uk", &["ashby@gmail.com"]);
            old.time = Timestamp::now() - 40.hours();
            recorder.record(old).unwrap();
            recorder.record(entry("clerk@wragby.gov.uk", &["ashby@gmail.com"])).unwrap();
            recorder.flush().await.unwrap();
            drop(recorder);
            options.retention.events = Duration::from_secs(30 * 3600);
            let recorder = Recorder::start(&options).unwrap();
            recorder.retention_run().await.unwrap();
            assert_eq!(count(&options, "SELECT count(*) FROM record"), 1);
        })
    });
}

#[test]
fn a_full_queue_says_so_at_once_and_a_stuck_disk_blocks_nobody() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = Options { queue: 20, ..folder.prepared() };
            let recorder = Recorder::start(&options).unwrap();
            recorder.flush().await.unwrap();
            // The writer is stuck until it is let go.
            let (free, stuck) = std::sync::mpsc::channel::<()>();
            let (at, there) = std::sync::mpsc::channel();
            recorder.with(move |_| {
                at.send(()).unwrap();
                let _ = stuck.recv();
            });
            there.recv().unwrap();
            let begin = std::time::Instant::now();
            let full = (0..50).filter(|_| recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).is_err()).count();
            assert!(begin.elapsed() < Duration::from_millis(500));
            assert_eq!(full, 30);
            assert!(matches!(recorder.reserve(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).await, Err(StoreError::QueueFull)));
            drop(free);
            recorder.flush().await.unwrap();
            let counters = recorder.counters();
            assert_eq!((counters.lost, counters.written, counters.waiting), (30, 20, 0));
            // The bound is in octets too.
            let options = Options { queue: 1_000_000, ..options };
            drop(recorder);
            let recorder = Recorder::start(&options).unwrap();
            let (free, stuck) = std::sync::mpsc::channel::<()>();
            recorder.with(move |_| {
                let _ = stuck.recv();
            });
            let many: Vec<String> = (0..1000).map(|i| format!("resident{i}@gmail.com")).collect();
            let many: Vec<&str> = many.iter().map(String::as_str).collect();
            let taken = (0..1000).take_while(|_| recorder.record(entry("clerk@wragby.gov.uk", &many)).is_ok()).count();
            drop(free);
            assert!((100..400).contains(&taken), "{taken}");
        })
    });
}

#[test]
fn a_writer_that_dies_keeps_nobody_waiting() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            recorder.with(|_| panic!("on purpose"));
            let flushed = tokio::time::timeout(Duration::from_secs(5), recorder.flush()).await.expect("an answer");
            assert!(matches!(flushed, Err(StoreError::Stopped)));
            // The answer is dropped a moment before the queue is closed; what comes in that moment is counted as lost too.
            let mut tries = 0;
            while recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).is_ok() {
                tries += 1;
                assert!(tries < 200);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(recorder.counters().lost, tries + 1);
        })
    });
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_fits_the_queue() {
    let folder = Folder::new();
    let options = Options { queue: 100, ..folder.prepared() };
    let recorder = Recorder::start(&options).unwrap();
    recorder.with(|store| {
        let pages: i64 = store.db.sqlite().unwrap().query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
        store.db.sqlite().unwrap().query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    });
    recorder.flush().await.unwrap();
    let many: Vec<String> = (0..200).map(|i| format!("resident{i}@gmail.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for _ in 0..50 {
        recorder.record(entry("clerk@wragby.gov.uk", &many)).unwrap();
    }
    assert!(recorder.flush().await.is_err());
    let counters = recorder.counters();
    assert_eq!((counters.lost, counters.waiting), (0, 50));
    assert!(counters.failures >= 1);
    // Mail flows on; the queue takes what it can.
    let lost = (0..60).filter(|_| recorder.record(entry("clerk@wragby.gov.uk", &["a@gmail.com"])).is_err()).count();
    assert_eq!(lost, 10);
    recorder.with(|store| {
        store.db.sqlite().unwrap().query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
    });
    let mut tries = 0;
    while recorder.flush().await.is_err() || recorder.counters().waiting > 0 {
        tries += 1;
        assert!(tries < 100);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(count(&options, "SELECT count(*) FROM record"), 100);
    assert_eq!(recorder.counters().lost, 10);
}

#[tokio::test]
async fn a_mandatory_row_is_there_before_the_mail_and_completed_after() {
    let folder = Folder::new();
    let options = Options { monitoring: Some(Monitoring { mandatory: true, subject: true }), ..folder.prepared() };
    let recorder = Recorder::start(&options).unwrap();
    assert!(recorder.is_mandatory());
    let open = || {
        let mut e = entry("clerk@wragby.gov.uk", &["ashby@gmail.com"]);
        e.outcome = None;
        e.subject = Some("Agenda".into());
        e
    };
    let begin = std::time::Instant::now();
    let first = recorder.reserve(open()).await.unwrap();
    let second = recorder.reserve(open()).await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(150), "a reservation does not wait to gather: {:?}", begin.elapsed());
    let question = Question { recipient: Some("ashby@gmail.com".into()), ..everything() };
    let hits = look_up(&options, &question, "test", "me").unwrap().hits;
    assert_eq!(hits.iter().map(|h| h.row.outcome_code).collect::<Vec<_>>(), [None, None]);
    recorder.complete(first, Outcome { code: 250, upstream_reply: Some("250 ok".into()) });
    drop(second);
    recorder.flush().await.unwrap();
    let hits = look_up(&options, &question, "test", "me").unwrap().hits;
    assert_eq!(hits.iter().map(|h| h.row.outcome_code).collect::<Vec<_>>(), [Some(250), None]);
    assert_eq!(hits[0].recipient_code, Some(250));
    assert_eq!(hits[0].row.subject.as_deref(), Some("Agenda"));
    assert_eq!(count(&options, "SELECT count(*) FROM record"), 2);
    // What is only counted needs no row.
    let ticket = recorder.reserve(Entry { personal: true, ..open() }).await.unwrap();
    recorder.complete(ticket, Outcome::own(250));
    // A full disk is said before the mail goes on.
    recorder.with(|store| {
        let pages: i64 = store.db.sqlite().unwrap().query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
        store.db.sqlite().unwrap().query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    });
    recorder.flush().await.unwrap();
    let many: Vec<String> = (0..1000).map(|i| format!("resident{i}@gmail.com")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut refused = None;
    for _ in 0..20 {
        if let Err(e) = recorder.reserve(Entry { outcome: None, ..entry("clerk@wragby.gov.uk", &many) }).await {
            refused = Some(e);
            break;
        }
    }
    assert!(matches!(refused, Some(StoreError::Unwritten)), "{refused:?}");
}

#[test]
fn key_and_database_are_made_together_or_not_at_all() {
    let folder = Folder::new();
    let options = folder.options();
    assert!(matches!(Recorder::start(&options).err(), Some(StoreError::Absent(_))), "only prepare makes anything");
    assert!(!options.database.may_be_there() && !options.key_file.exists());
    prepare(&options).unwrap();
    let key = std::fs::read(&options.key_file).unwrap();
    prepare(&options).unwrap();
    assert_eq!(std::fs::read(&options.key_file).unwrap(), key, "what is there stays");
    drop(Recorder::start(&options).unwrap());

    let away = folder.path("away");
    std::fs::rename(options.database.file().unwrap(), &away).unwrap();
    assert!(matches!(prepare(&options), Err(StoreError::KeyWithoutDatabase { .. })));
    std::fs::rename(&away, options.database.file().unwrap()).unwrap();
    std::fs::rename(&options.key_file, &away).unwrap();
    assert!(matches!(prepare(&options), Err(StoreError::DatabaseWithoutKey { .. })));
    assert!(matches!(Recorder::start(&options).err(), Some(StoreError::DatabaseWithoutKey { .. })));
    // A crash just before the key got its name.
    std::fs::rename(&away, folder.path("data/site.key.new")).unwrap();
    prepare(&options).unwrap();
    drop(Recorder::start(&options).unwrap());

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&options.key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Recorder::start(&options).err(), Some(StoreError::KeyMode { mode: 0o644, .. })));
    std::fs::remove_file(&options.key_file).unwrap();
    SiteKey::generate().unwrap().write(&options.key_file).unwrap();
    assert!(matches!(Recorder::start(&options).err(), Some(StoreError::WrongKey { .. })));
}

#[test]
fn a_crash_before_the_database_was_named_starts_over() {
    let folder = Folder::new();
    let options = folder.options();
    std::fs::create_dir_all(folder.path("data")).unwrap();
    let site = SiteKey::generate().unwrap();
    site.write(&folder.path("data/site.key.new")).unwrap();
    keyring::Keyring::create(&options.keyring, &site).unwrap();
    std::fs::write(folder.path("data/lychgate.new"), b"half").unwrap();
    prepare(&options).unwrap();
    drop(Recorder::start(&options).unwrap());
}

#[tokio::test]
async fn a_row_that_was_moved_or_altered_is_told_and_not_shown() {
    let folder = Folder::new();
    let options = folder.prepared();
    let recorder = Recorder::start(&options).unwrap();
    for _ in 0..3 {
        recorder.record(entry("clerk@wragby.gov.uk", &["ashby@gmail.com"])).unwrap();
    }
    recorder.flush().await.unwrap();
    let db = rusqlite::Connection::open(options.database.file().unwrap()).unwrap();
    // One row's content put in another's place.
    db.execute("UPDATE record SET sealed = (SELECT sealed FROM record ORDER BY id LIMIT 1) WHERE id = (SELECT max(id) FROM record)", [])
        .unwrap();
    let answer = look_up(&options, &Question { recipient: Some("ashby@gmail.com".into()), ..everything() }, "test", "me").unwrap();
    assert_eq!((answer.hits.len(), answer.unreadable), (2, 1));
}

#[test]
fn trace_answers_in_plain_words_and_in_json() {
    use crate::cli::trace::{Args, Fault, answer};
    let folder = Folder::new();
    let mut options = folder.prepared();
    let recorder = Recorder::start(&options).unwrap();
    let mut e = entry("clerk@wragby.gov.uk", &["ashby@gmail.com", "b@gmail.com", "cllr@wragby.gov.uk"]);
    e.reference = "LG-7F3K".into();
    e.matches.push(matched("hide-recipients"));
    recorder.record(e).unwrap();
    recorder.stop();
    let args = Args {
        sender: None,
        recipient: Some("ashby@gmail.com".into()),
        message_id: None,
        reference: None,
        since: "30d".into(),
        until: None,
        request: None,
        purpose: "resident's question".into(),
        json: false,
        config: None,
    };
    let zone = jiff::tz::TimeZone::UTC;
    let ask = |args: &Args, options: &Options| {
        let mut out = Vec::new();
        answer(args, options, Timestamp::now() + 1.seconds(), &zone, "clerk", &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let text = ask(&args, &options).unwrap();
    for part in [
        "One message fits.",
        "From:      clerk@wragby.gov.uk",
        "Outcome:   delivered to the provider",
        "ashby@gmail.com: accepted by the provider for them (250)",
        "3 recipients (1 council, 2 personal account; at gmail.com)",
        "Rule:      hide-recipients (enforced; clause wragby/multiple-recipients)",
        "Provider:  250 2.0.0 Ok: queued as 4FK",
        "Reference: LG-7F3K, by the listener submission",
        "access log",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let json = ask(&Args { json: true, ..args.clone() }, &options).unwrap();
    let line: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert_eq!(line["disposition"], "deliver");
    assert_eq!(line["reference"], "LG-7F3K");
    assert_eq!(line["listener"], "submission");
    assert_eq!(line["rules"][0]["id"], "hide-recipients");
    assert_eq!(line["upstream_reply"], "250 2.0.0 Ok: queued as 4FK");
    assert_eq!(line["recipients"], serde_json::json!({"internal": 1, "partner": 0, "personal": 2, "external": 0}));
    assert!(
        ask(&Args { since: "2001-01-01".into(), until: Some("2002-01-01".into()), ..args.clone() }, &options)
            .unwrap()
            .contains("Nothing in the record fits.")
    );
    assert!(matches!(ask(&Args { purpose: "  ".into(), ..args.clone() }, &options), Err(Fault::Purpose)));
    assert!(matches!(ask(&Args { since: "soon".into(), ..args.clone() }, &options), Err(Fault::Time("since", _))));
    assert!(matches!(ask(&Args { recipient: Some("gmail.com".into()), ..args.clone() }, &options), Err(Fault::Address("recipient", _))));
    options.monitoring = None;
    assert!(ask(&args, &options).unwrap().starts_with("Only hourly counts"));
}

#[test]
#[ignore = "a measurement, not a test: run by name with --nocapture"]
fn cost_of_a_record() {
    for recipients in [1usize, 100] {
        let folder = Folder::new();
        let options = Options { queue: 1_000_000, ..folder.prepared() };
        let recorder = Recorder::start(&options).unwrap();
        let rounds = if recipients == 1 { 50_000 } else { 5_000 };
        let names: Vec<String> = (0..recipients).map(|i| format!("resident.number{i}@example{}.org", i % 7)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut made = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let mut e = entry("clerk@wragby.gov.uk", &names);
            e.matches.push(matched("hide-recipients"));
            made.push(e);
        }
        let before = cpu();
        let begin = std::time::Instant::now();
        let mut handing = Duration::ZERO;
        for e in made {
            let t = std::time::Instant::now();
            let mut e = Some(e);
            while recorder.counters().waiting > if recipients == 1 { 5_000 } else { 500 } {
                std::thread::sleep(Duration::from_millis(1));
            }
            recorder.record(e.take().unwrap()).unwrap();
            handing += t.elapsed();
        }
        let open = recorder.counters();
        recorder.stop();
        let used = cpu() - before;
        println!(
            "{recipients} recipients: {:.2} µs of CPU a message, {:.3} µs a recipient ({} messages in {:?}; lost {}, handing over {:?} in all)",
            used.as_secs_f64() * 1e6 / rounds as f64,
            used.as_secs_f64() * 1e6 / (rounds * recipients) as f64,
            rounds,
            begin.elapsed(),
            open.lost,
            handing
        );
    }
}

/// CPU of this process, from Linux's own count in clock ticks of ten milliseconds.
pub(crate) fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
