//! What is promised of mail in custody, shown: a message for which the client was told that it is in hand is neither lost nor doubled,
//! whatever ends the gateway, the disk or the clock, and wherever.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use self::shim::Shim;
use crate::support::client::{Client, stuffed};
use crate::support::gateway::{Gateway, Site};
use crate::support::sink::{Captured, Sink};
use crate::support::{CLERK, Random, loopback, port};

mod clock;
mod crash_points;
mod disk;
mod groups;
mod kills;
mod power_cut;
mod remains;
mod scan;
mod servers;
mod shim;

/// How long anything may take to arrive that must.
const PATIENCE: Duration = Duration::from_secs(30);
/// Messages on their way at one time.
const BACKLOG: usize = 60;

/// Connections by which one gateway delivers, one for notices and four for mail: at most so many messages had been taken and were not
/// settled when it ended.
const CONNECTIONS: usize = 5;

/// What becomes of a message of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// Refused; the notice to its sender was durable before the client heard so.
    Refused,
    /// Relayed: never in custody, and beside it all the same.
    Relayed,
    /// In custody as a copy for each of its recipients.
    Copied,
    /// Held in custody, and let go at the end of its time.
    Held,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::Refused, Fate::Relayed, Fate::Copied, Fate::Held];

    /// What arrives of it in the end: what, and for whom.
    fn arrives(self) -> Vec<(What, &'static str)> {
        let letters: &[What] = match self {
            Fate::Refused => &[What::NotSent],
            Fate::Relayed => &[],
            Fate::Copied => &[What::Copying, What::Copied],
            Fate::Held => &[What::Waiting],
        };
        let mail = self.recipients().iter().filter(|_| self != Fate::Refused).map(|to| (What::Mail, *to));
        letters.iter().map(|what| (*what, CLERK)).chain(mail).collect()
    }

    fn subject(self) -> &'static str {
        match self {
            Fate::Refused => "apples",
            Fate::Relayed => "bread",
            Fate::Copied => "cherries",
            Fate::Held => "damsons",
        }
    }

    fn recipients(self) -> &'static [&'static str] {
        match self {
            Fate::Copied => &["jo@outside.test", "mo@outside.test", "flo@elsewhere.test"],
            _ => &["jo@outside.test"],
        }
    }

    /// What its client hears when the gateway answers for it.
    fn answer(self) -> u16 {
        if self == Fate::Refused { 550 } else { 250 }
    }
}

/// The message itself, or what is written about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Mail,
    NotSent,
    Waiting,
    Copying,
    Copied,
}

impl What {
    /// None of a letter that nobody waits for.
    fn of(text: &str) -> Option<What> {
        if !text.contains("\r\nAuto-Submitted: auto-generated\r\n") {
            return Some(What::Mail);
        }
        let subject = text.split_once("\r\nSubject: ")?.1;
        let starts = [
            ("Not sent: ", What::NotSent),
            ("Waiting for a decision: ", What::Waiting),
            ("Going out one by one: ", What::Copying),
            ("All sent: ", What::Copied),
        ];
        starts.into_iter().find(|(start, _)| subject.starts_with(start)).map(|(_, what)| what)
    }
}

const RULES: &str = r#"
[[rule]]
id = "no-apples"
title = "No apples"
when.subject.words = ["apples"]
then.reject = "Not sent: it has apples."

[[rule]]
id = "a-cherry-each"
title = "A cherry each"
when.subject.words = ["cherries"]
when.visible-external.at-least = 2
then.hide-recipients = "split"

[[rule]]
id = "damsons-ripen"
title = "Damsons ripen"
when.subject.words = ["damsons"]
then.hold = { by = "clerk", for = "1s", then = "release" }
"#;

/// A council whose rules know a fate for every fruit, between a connector and the counting upstream.
fn site(name: &str, upstream: SocketAddr) -> Site {
    Site::new(name).rules(RULES).listener("in", "connector", "none", "out", "").upstream("out", upstream, "none", "")
}

/// What one upstream was given, and when.
#[derive(Default)]
struct Arrivals {
    /// For each message, what and recipient: over which connection each of its copies came, and as which of its messages.
    copies: Mutex<BTreeMap<Arrived, Vec<(u64, u64)>>>,
    /// Messages of each connection.
    taken: Mutex<BTreeMap<u64, u64>>,
    seen: Mutex<BTreeSet<String>>,
    /// Of a gateway with the shim: how much stood in its log when something first came.
    shim: OnceLock<Shim>,
    at: Mutex<BTreeMap<Arrived, u64>>,
    messages: AtomicUsize,
}

/// Message, what of it, and to whom.
type Arrived = (String, What, String);

impl Arrivals {
    /// An upstream that counts.
    fn upstream() -> (Sink, Arc<Arrivals>) {
        let arrivals = Arc::new(Arrivals::default());
        let counting = arrivals.clone();
        let jitter = AtomicU64::new(0);
        let sink = Sink::counting(&["8BITMIME", "PIPELINING", "SIZE 10000000", "DSN"], move |captured| {
            // It takes its time before and after it has taken a message, so that some kills fall there.
            let wait = jitter.fetch_add(1, Ordering::Relaxed) % 7;
            if wait == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            counting.count(&captured);
            if wait == 1 {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        (sink, arrivals)
    }

    fn count(&self, captured: &Captured) {
        let text = String::from_utf8_lossy(&captured.content);
        let Some(what) = What::of(&text) else { return };
        let field = if what == What::Mail { "\r\nMessage-ID: <" } else { "\r\nIn-Reply-To: <" };
        let id = text.split_once(field).and_then(|(_, rest)| rest.split_once('@')).expect("it has an id").0.to_string();
        if what == What::Mail {
            assert!(text.ends_with(&format!("end of {id}\r\n")), "{id} came incomplete");
        }
        let place = {
            let mut taken = self.taken.lock().expect("no other panics");
            let number = taken.entry(captured.session).or_default();
            *number += 1;
            (captured.session, *number)
        };
        let mut copies = self.copies.lock().expect("no other panics");
        for recipient in &captured.recipients {
            let to = recipient.split_once('<').and_then(|(_, r)| r.split_once('>')).expect("a path").0.to_string();
            let arrived = (id.clone(), what, to);
            if let Some(shim) = self.shim.get() {
                self.at.lock().expect("no other panics").entry(arrived.clone()).or_insert_with(|| shim.position());
            }
            copies.entry(arrived).or_default().push(place);
        }
        if self.seen.lock().expect("no other panics").insert(id) {
            self.messages.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn watch(&self, shim: Shim) {
        assert!(self.shim.set(shim).is_ok(), "one gateway, one log");
    }

    fn taken_at(&self) -> BTreeMap<Arrived, u64> {
        self.at.lock().expect("no other panics").clone()
    }

    fn copies(&self) -> BTreeMap<Arrived, Vec<(u64, u64)>> {
        self.copies.lock().expect("no other panics").clone()
    }

    /// Messages of which anything has come.
    fn messages(&self) -> usize {
        self.messages.load(Ordering::Relaxed)
    }

    /// Waits until all that these messages are to lead to has come, and says what has not.
    fn wait_for(&self, promised: &BTreeSet<Arrived>, patience: Duration) -> Vec<Arrived> {
        let end = Instant::now() + patience;
        loop {
            let copies = self.copies();
            let missing: Vec<Arrived> = promised.iter().filter(|p| !copies.contains_key(*p)).cloned().collect();
            if missing.is_empty() || Instant::now() > end {
                return missing;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Copies beyond the first, all of which RFC 1047 must explain: the upstream took a message, and a crash came before the gateway
    /// kept that it had. So each copy but the latest was the last that came over its connection.
    fn doubled(&self) -> Result<usize, String> {
        let taken = self.taken.lock().expect("no other panics");
        let mut again = 0;
        for (arrived, places) in self.copies() {
            let (_, earlier) = places.split_last().expect("a copy");
            if let Some((connection, number)) = earlier.iter().find(|(connection, number)| taken[connection] != *number) {
                let of = taken[connection];
                return Err(format!("{arrived:?} came {} times; once as message {number} of {of} of a connection", places.len()));
            }
            again += earlier.len();
        }
        Ok(again)
    }
}

/// A message whose client was told that it is in hand, and how much stood in the shim's log then.
struct Promise {
    id: String,
    fate: Fate,
    position: u64,
}

impl Promise {
    fn arrives(&self) -> impl Iterator<Item = Arrived> {
        self.fate.arrives().into_iter().map(|(what, to)| (self.id.clone(), what, to.to_string()))
    }
}

fn all_that(promises: &[Promise]) -> BTreeSet<Arrived> {
    promises.iter().flat_map(Promise::arrives).collect()
}

/// What the clients look at while they send.
struct Watch<'a> {
    /// What has come; none where nothing can.
    arrivals: Option<&'a Arrivals>,
    /// How long the shim's log is.
    position: &'a (dyn Fn() -> u64 + Sync),
}

impl<'a> Watch<'a> {
    fn of(arrivals: &'a Arrivals) -> Watch<'a> {
        Watch { arrivals: Some(arrivals), position: &|| 0 }
    }
}

/// Clients that send messages of all fates, one after another, until they are to stop. What is without an answer is not sent again: it
/// may come, once.
struct Load {
    promises: Mutex<Vec<Promise>>,
    /// Messages whose client never heard an answer to the content.
    unsure: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Runs `clients` of them against a gateway while `act` runs.
    fn during(address: SocketAddr, name: &str, clients: usize, watch: &Watch<'_>, act: impl FnOnce(&Load)) -> Vec<Promise> {
        let load = Load { promises: Mutex::default(), unsure: AtomicU64::new(0), stop: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            for client in 0..clients {
                let load = &load;
                scope.spawn(move || load.send(address, &format!("{name}-{client}"), watch));
            }
            // However this ends, the clients must: the scope waits for them.
            let _end = End(&load.stop);
            act(&load);
        });
        load.promises.into_inner().expect("no other panics")
    }

    fn promised(&self) -> usize {
        self.promises.lock().expect("no other panics").len()
    }

    fn send(&self, address: SocketAddr, name: &str, watch: &Watch<'_>) {
        let (mut number, mut client) = (0usize, None);
        while !self.stop.load(Ordering::Relaxed) {
            let fate = Fate::ALL[number % Fate::ALL.len()];
            let id = format!("{name}-{number}");
            // Taken quicker than delivered, what waits would only grow.
            if watch.arrivals.is_some_and(|a| a.messages() + BACKLOG < self.promised()) {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
            let Some(mut connected) = client.take().or_else(|| connect(address)) else {
                std::thread::sleep(Duration::from_millis(3));
                continue;
            };
            let began = Instant::now();
            match send(&mut connected, &id, fate) {
                // A refusal waits two seconds for its notice and not longer: then it was not promised.
                Ok(550) if fate == Fate::Refused && began.elapsed() > Duration::from_millis(1_500) => number += 1,
                Ok(code) if code == fate.answer() => {
                    let promise = Promise { id, fate, position: (watch.position)() };
                    self.promises.lock().expect("no other panics").push(promise);
                    number += 1;
                    // A connection carries some messages, not all.
                    client = (!number.is_multiple_of(5)).then_some(connected);
                }
                // Deferred: nothing was taken, and it is sent again.
                Ok(_) => {}
                Err(()) => {
                    self.unsure.fetch_add(1, Ordering::Relaxed);
                    number += 1;
                }
            }
        }
    }
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn connect(address: SocketAddr) -> Option<Client> {
    let mut client = Client::connect(address).ok()?;
    client.command("EHLO client.example").ok().filter(|r| r.ok()).map(|_| client)
}

/// One message; the code of the first refusal or of the answer to the content, or nothing where the connection broke.
fn send(client: &mut Client, id: &str, fate: Fate) -> Result<u16, ()> {
    let mut lines = vec![format!("MAIL FROM:<{CLERK}>")];
    lines.extend(fate.recipients().iter().map(|to| format!("RCPT TO:<{to}>")));
    lines.push("DATA".into());
    for line in lines {
        let reply = client.command(&line).map_err(drop)?;
        if reply.code >= 400 {
            return Ok(reply.code);
        }
    }
    client.send(&stuffed(content(id, fate).as_bytes())).and_then(|()| client.reply()).map(|reply| reply.code).map_err(drop)
}

fn content(id: &str, fate: Fate) -> String {
    let filler = "All the minutes of all the meetings, in full.\r\n".repeat(20);
    format!(
        "From: Parish Clerk <{CLERK}>\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: <{id}@wragby.test>\r\nDate: Thu, 14 May 2026 10:00:00 +0100\r\n\r\n{filler}end of {id}\r\n",
        fate.recipients().join(", "),
        fate.subject()
    )
}

/// Notices and mail in custody leave by an upstream that is away.
fn away(site: Site) -> Site {
    site.upstream("away", loopback(port()), "none", "").table("[outbox]\nupstream = \"away\"\nfrom = \"gate@wragby.test\"")
}

/// Parcels that still wait to be delivered. None while the store cannot be asked.
fn waiting(gateway: &Gateway) -> Option<i64> {
    if let Some(databases) = &gateway.databases {
        return databases.ask("SELECT count(*) FROM parcel WHERE state IN (1, 3)")?.parse().ok();
    }
    let path = gateway.data().join("custody.db");
    let db = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    db.query_row("SELECT count(*) FROM parcel WHERE state IN (1, 3)", [], |row| row.get(0)).ok()
}

/// Waits until nothing is in custody any more.
fn drained(gateway: &Gateway, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if waiting(gateway) == Some(0) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// How much more is to be tried than in every run: `LYCHGATE_KILLS=10` is ten times as much.
fn thoroughness() -> u64 {
    std::env::var("LYCHGATE_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(1).max(1)
}

fn copy_folder(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a file can be copied");
        }
    }
}
