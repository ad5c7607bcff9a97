//! The index through the recorder, as sessions use it.

use std::collections::HashSet;
use std::time::Duration;

use jiff::ToSpan;
use proptest::prelude::*;

use super::super::tests::{Folder, entry, in_runtime, number, on_each_engine};
use super::super::{Entry, Options, Recorder};
use super::*;
use crate::policy::past::{Contact, Tally};

const CLERK: &str = "clerk@wragby.gov.uk";

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|t| t.to_string()).collect()
}

/// A delivered message that leaves this behind.
fn leaving(id: &str, sender: &str, others: &[&str], circle: Option<Circle>) -> Entry {
    let imprint =
        Imprint { message_id: Some(id.into()), sender: sender.into(), others: texts(others), contact: true, circle, ..Imprint::default() };
    Entry { imprint: Some(Box::new(imprint)), ..entry(CLERK, &["jo@gmail.com"]) }
}

fn circle(people: &[&str], from_council: bool) -> Option<Circle> {
    Some(Circle { people: texts(people), from_council })
}

async fn first(recorder: &Recorder, id: &str, sender: &str, others: &[&str], any: bool) -> bool {
    let contact = Some(Contact { sender: sender.into(), others: texts(others), any });
    let question = Question { message_id: Some(id.into()), contact, ..Question::default() };
    recorder.past(question).await.unwrap().first_contact.unwrap()
}

async fn together(recorder: &Recorder, ids: &[&str], people: &[&str]) -> bool {
    let seen_together = Some(Thread { ids: texts(ids), people: texts(people) });
    recorder.past(Question { seen_together, ..Question::default() }).await.unwrap().seen_together.unwrap()
}

#[test]
fn mail_either_way_ends_the_first_contact_at_once_and_for_good() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            assert!(first(&recorder, "1", "jo@gmail.com", &[CLERK], false).await);
            recorder.record(leaving("1", "jo@gmail.com", &[CLERK], None)).unwrap();
            // Nothing waits for the batch to be written.
            assert!(!first(&recorder, "2", "jo@gmail.com", &[CLERK, "chair@wragby.gov.uk"], false).await);
            assert!(!first(&recorder, "2", CLERK, &["jo@gmail.com"], true).await, "the answer goes the other way");
            assert!(first(&recorder, "2", "jo@gmail.com", &["chair@wragby.gov.uk"], false).await, "another addressee");
            assert!(first(&recorder, "2", CLERK, &["jo@gmail.com", "new@gmail.com"], true).await, "one of two is new");
            assert!(!first(&recorder, "2", CLERK, &[], true).await);
            recorder.stop();
            let recorder = Recorder::start(&options).unwrap();
            assert!(!first(&recorder, "3", "jo@gmail.com", &[CLERK], false).await, "a restart keeps it");
        })
    });
}

#[test]
fn parts_of_one_message_are_judged_alike() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let recorder = Recorder::start(&folder.prepared()).unwrap();
            recorder.record(leaving("m", CLERK, &["a@gmail.com"], None)).unwrap();
            assert!(first(&recorder, "m", CLERK, &["a@gmail.com", "b@gmail.com"], true).await);
            assert!(first(&recorder, "m", CLERK, &["a@gmail.com"], true).await, "its own part is no earlier mail");
            assert!(!first(&recorder, "n", CLERK, &["a@gmail.com"], true).await);
            recorder.record(leaving("n", CLERK, &["a@gmail.com"], None)).unwrap();
            for id in ["m", "n"] {
                assert!(!first(&recorder, id, CLERK, &["a@gmail.com"], true).await, "two messages are a correspondence");
            }
        })
    });
}

#[test]
fn what_was_not_delivered_left_nothing() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let recorder = Recorder::start(&folder.prepared()).unwrap();
            for code in [451, 550] {
                let mut refused = leaving("m", CLERK, &["a@gmail.com"], circle(&["a@gmail.com", "b@gmail.com"], true));
                refused.outcome.as_mut().unwrap().code = code;
                recorder.record(refused).unwrap();
            }
            assert!(first(&recorder, "n", CLERK, &["a@gmail.com"], true).await);
            assert!(!together(&recorder, &["m"], &["a@gmail.com", "b@gmail.com"]).await);
        })
    });
}

#[test]
fn a_thread_knows_who_saw_whom() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let recorder = Recorder::start(&folder.prepared()).unwrap();
            let (a, b, c, d) = ("a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com");
            recorder.record(leaving("m1", a, &[CLERK], circle(&[a, b, c], false))).unwrap();
            assert!(together(&recorder, &["m1"], &[a, b, c]).await);
            assert!(together(&recorder, &["unknown", "m1"], &[c, a]).await);
            assert!(!together(&recorder, &["m1"], &[a, b, c, d]).await, "one is new");
            assert!(!together(&recorder, &["m2"], &[a, b]).await, "another thread");
            assert!(!together(&recorder, &[], &[a, b]).await);
            assert!(together(&recorder, &[], &[a]).await);
            // Each pair needs a message that showed both: a saw d, and d never saw b.
            recorder.record(leaving("m2", CLERK, &[], circle(&[a, d], true))).unwrap();
            assert!(!together(&recorder, &["m1", "m2"], &[a, b, d]).await);
            assert!(together(&recorder, &["m1", "m2"], &[a, d]).await);
            // Parts of one letter of the council's add up.
            recorder.record(leaving("m3", CLERK, &[], circle(&[a, b], true))).unwrap();
            recorder.record(leaving("m3", CLERK, &[], circle(&[d], true))).unwrap();
            assert!(together(&recorder, &["m3"], &[a, b, d]).await);
            // Somebody outside who uses its Message-ID adds nobody to it, and cannot change what another outsider showed.
            recorder.record(leaving("m3", "x@sky.com", &[CLERK], circle(&["x@sky.com", a], false))).unwrap();
            assert!(!together(&recorder, &["m3"], &["x@sky.com", b]).await);
            recorder.record(leaving("m1", "x@sky.com", &[CLERK], circle(&["x@sky.com", a], false))).unwrap();
            assert!(together(&recorder, &["m1"], &[a, b, c]).await);
            assert!(!together(&recorder, &["m1"], &["x@sky.com", a]).await);
        })
    });
}

#[test]
fn a_circle_is_bounded() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let street: Vec<String> = (0..3 * CIRCLE).map(|n| format!("r{n}@gmail.com")).collect();
            for part in street.chunks(CIRCLE / 2) {
                let part: Vec<&str> = part.iter().map(String::as_str).collect();
                recorder.record(leaving("m", CLERK, &[], circle(&part, true))).unwrap();
            }
            let everybody: Vec<&str> = street.iter().map(String::as_str).collect();
            assert!(!together(&recorder, &["m"], &everybody).await);
            recorder.flush().await.unwrap();
            let octets = number(&options.database, "SELECT length(members) FROM circle");
            assert_eq!(octets, 8 * CIRCLE as i64);
        })
    });
}

#[test]
fn a_protected_document_is_remembered_for_its_own_time() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let recorder = Recorder::start(&folder.prepared()).unwrap();
            let mut sent = leaving("m", CLERK, &["a@gmail.com"], None);
            sent.imprint.as_mut().unwrap().protected_for = Some(Duration::from_secs(3600));
            sent.time -= 30.minutes();
            recorder.record(sent).unwrap();
            let mut old = leaving("o", CLERK, &["b@gmail.com"], None);
            old.imprint.as_mut().unwrap().protected_for = Some(Duration::from_secs(3600));
            old.time -= 2.hours();
            recorder.record(old).unwrap();
            for (id, to, before) in
                [("n", "a@gmail.com", true), ("m", "a@gmail.com", false), ("n", "b@gmail.com", false), ("n", "c@gmail.com", false)]
            {
                let protected = Some((CLERK.to_string(), texts(&["z@gmail.com", to])));
                let question = Question { message_id: Some(id.into()), protected, ..Question::default() };
                assert_eq!(recorder.past(question).await.unwrap().protected_before, Some(before), "{id} {to}");
            }
            // It went one way only.
            let protected = Some(("a@gmail.com".to_string(), texts(&[CLERK])));
            assert_eq!(recorder.past(Question { protected, ..Question::default() }).await.unwrap().protected_before, Some(false));
        })
    });
}

#[test]
fn counts_survive_a_restart_and_fade() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let options = folder.prepared();
            let recorder = Recorder::start(&options).unwrap();
            let tally = |per| Tally { keys: texts(&["messages login clerk"]), adds: 2, per, once: true };
            for (minutes, per) in [(0, 3600), (5, 3600), (200, 3600), (0, 60)] {
                let mut sent = leaving("m", CLERK, &[], None);
                sent.time -= minutes.minutes();
                sent.imprint.as_mut().unwrap().tallies = vec![tally(per)];
                recorder.record(sent).unwrap();
            }
            recorder.stop();
            let recorder = Recorder::start(&options).unwrap();
            let counted = recorder.counted(texts(&["messages login clerk", "messages login chair"])).await.unwrap();
            assert_eq!(counted[0].iter().map(|(_, n)| n).sum::<u64>(), 6, "{counted:?}");
            assert!(counted[1].is_empty());
        })
    });
}

fn connection(options: &Options) -> rusqlite::Connection {
    rusqlite::Connection::open(options.database.file().unwrap()).unwrap()
}

fn rows(options: &Options) -> Vec<i64> {
    TABLES.iter().map(|t| number(&options.database, &format!("SELECT count(*) FROM {t}"))).collect()
}

#[test]
fn all_is_forgotten_with_its_rows_and_its_key() {
    on_each_engine(|| {
        in_runtime(async {
            let folder = Folder::new();
            let mut options = folder.prepared();
            options.retention.contacts = Duration::from_secs(2);
            let recorder = Recorder::start(&options).unwrap();
            let mut sent = leaving("m", "a@gmail.com", &[CLERK], circle(&["a@gmail.com", "b@gmail.com"], false));
            sent.imprint.as_mut().unwrap().tallies = vec![Tally { keys: texts(&["k"]), adds: 1, per: 1, once: true }];
            recorder.record(sent).unwrap();
            recorder.flush().await.unwrap();
            assert_eq!(rows(&options), [1, 1, 1]);
            assert!(!first(&recorder, "n", "a@gmail.com", &[CLERK], false).await);
            tokio::time::sleep(Duration::from_millis(2_600)).await;
            assert!(first(&recorder, "n", "a@gmail.com", &[CLERK], false).await);
            assert!(!together(&recorder, &["m"], &["a@gmail.com", "b@gmail.com"]).await);
            let receipt = recorder.retention_run().await.unwrap();
            let contacts = receipt.classes.iter().find(|c| c.class == "contacts").unwrap();
            assert_eq!(contacts.remaining, 0);
            assert_eq!(rows(&options), [0, 0, 0]);
            let keys = number(&options.keyring, "SELECT count(*) FROM key WHERE class = 6");
            assert_eq!(keys, 0, "what a backup still holds cannot be asked any more");
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
            let mut sent = leaving("m", CLERK, &["a@gmail.com"], None);
            sent.time -= (24 * 20).hours();
            recorder.record(sent).unwrap();
            assert!(!first(&recorder, "n", CLERK, &["a@gmail.com"], true).await);
            recorder.stop();
            options.retention.contacts = Duration::from_secs(10 * 86_400);
            let recorder = Recorder::start(&options).unwrap();
            assert!(first(&recorder, "n", CLERK, &["a@gmail.com"], true).await);
            recorder.retention_run().await.unwrap();
            assert_eq!(rows(&options)[0], 0);
        })
    });
}

#[tokio::test]
async fn a_store_of_before_gets_its_index_and_a_stuck_one_answers_in_time() {
    let folder = Folder::new();
    let options = folder.prepared();
    // As it was made before there was an index.
    let db = connection(&options);
    let later: Vec<String> = db
        .prepare(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
             AND name NOT IN ('record', 'batch', 'sequence', 'tally', 'access', 'retention')",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(later.iter().any(|table| table == "past"));
    for table in later {
        db.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    drop(db);
    let recorder = Recorder::start(&options).unwrap();
    assert!(first(&recorder, "m", CLERK, &["a@gmail.com"], true).await);
    recorder.with(|_| std::thread::sleep(Duration::from_secs(3)));
    let started = std::time::Instant::now();
    let question = Question { protected: Some((CLERK.into(), texts(&["a"]))), ..Question::default() };
    assert!(matches!(recorder.past(question).await, Err(StoreError::Slow)));
    assert!(started.elapsed() < Duration::from_millis(2_500));
}

#[tokio::test]
async fn nobody_can_be_read_out_of_the_files() {
    let folder = Folder::new();
    let options = folder.prepared();
    let recorder = Recorder::start(&options).unwrap();
    let mut sent = leaving("secret-id@wragby", "ashby@btinternet.com", &[CLERK], circle(&["ashby@btinternet.com", "tom@sky.com"], false));
    sent.imprint.as_mut().unwrap().tallies = vec![Tally { keys: texts(&["messages login ashby"]), adds: 1, per: 60, once: true }];
    recorder.record(sent).unwrap();
    recorder.flush().await.unwrap();
    assert_eq!(rows(&options), [1, 1, 1]);
    for file in std::fs::read_dir(folder.path("data")).unwrap() {
        let file = file.unwrap().path();
        let octets = match std::fs::read(&file) {
            // What is written anew stands beside the old until it takes its place.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.unwrap(),
        };
        for secret in ["ashby", "btinternet", "tom@", "secret-id", "clerk", "messages login"] {
            assert!(memchr::memmem::find(&octets, secret.as_bytes()).is_none(), "{secret} in {}", file.display());
        }
    }
}

/// Who can be shown to whom, straight from the messages.
fn all_pairs_seen(messages: &[Vec<usize>], people: &[usize]) -> bool {
    let saw = |a: usize, b: usize| messages.iter().any(|m| m.contains(&a) && m.contains(&b));
    people.iter().all(|a| people.iter().all(|b| a == b || saw(*a, *b)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn seen_together_is_what_the_messages_showed(
        messages in proptest::collection::vec((proptest::collection::hash_set(0usize..6, 1..6), any::<bool>()), 0..6),
        people in proptest::collection::hash_set(0usize..6, 0..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let name = |n: &usize| format!("p{n}@gmail.com");
        runtime.block_on(async {
            let folder = Folder::new();
            let recorder = Recorder::start(&folder.prepared()).unwrap();
            for (i, (members, from_council)) in messages.iter().enumerate() {
                let circle = Circle { people: members.iter().map(name).collect(), from_council: *from_council };
                recorder.record(leaving(&format!("m{i}"), CLERK, &[], Some(circle))).unwrap();
            }
            let ids: Vec<String> = (0..messages.len()).map(|i| format!("m{i}")).collect();
            let names: Vec<String> = people.iter().map(name).collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let members: Vec<Vec<usize>> = messages.iter().map(|(m, _)| m.iter().copied().collect()).collect();
            let people: Vec<usize> = people.iter().copied().collect::<HashSet<_>>().into_iter().collect();
            assert_eq!(together(&recorder, &ids, &names).await, all_pairs_seen(&members, &people));
        });
    }
}

#[tokio::test]
#[ignore = "a measurement, not a test: run by name with --nocapture"]
async fn cost_of_the_index() {
    for recipients in [1usize, 20] {
        for indexed in [false, true] {
            let folder = Folder::new();
            let options = Options { queue: 1_000_000, ..folder.prepared() };
            let recorder = Recorder::start(&options).unwrap();
            let names: Vec<String> = (0..recipients).map(|i| format!("resident.number{i}@example{}.org", i % 7)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let rounds = 20_000 / recipients;
            let begin = super::super::tests::cpu();
            for n in 0..rounds {
                let circle = circle(&names, true).filter(|_| recipients > 1);
                let sent = leaving(&format!("m{n}"), &format!("clerk{}@wragby.gov.uk", n % 500), &names, circle);
                let sent = if indexed { sent } else { Entry { imprint: None, ..sent } };
                while recorder.counters().waiting > 2_000 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                recorder.record(sent).unwrap();
            }
            recorder.flush().await.unwrap();
            let used = (super::super::tests::cpu() - begin).as_secs_f64() * 1e6 / rounds as f64;
            println!("{recipients} recipients, indexed {indexed}: {used:.1} µs of CPU a message");
            if !indexed {
                continue;
            }
            for waiting in [false, true] {
                let begin = std::time::Instant::now();
                for n in 0..500 {
                    if waiting {
                        recorder.record(leaving(&format!("w{n}"), CLERK, &names, circle(&names, true))).unwrap();
                    }
                    let ids = [format!("m{n}"), "unknown".into(), format!("m{}", n + 7)];
                    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
                    together(&recorder, &ids, &names).await;
                    first(&recorder, "x", CLERK, &names, true).await;
                }
                println!(
                    "  two questions, {}: {:.0} µs",
                    if waiting { "behind a message that waits to be written" } else { "nothing waiting" },
                    begin.elapsed().as_secs_f64() * 1e6 / 500.0
                );
            }
        }
    }
}
