//! `kill -9` at random moments under load, with an honest counting upstream. What a client heard 250 for is at the upstream, whole;
//! and nothing is there more often than the client, unsure of the outcome, sent it (RFC 1047).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::client::Client;
use crate::support::gateway::Site;
use crate::support::sink::Sink;
use crate::support::{CLERK, Random, say};

const RIGS: u64 = 4;
const KILLS: u64 = 52;
const CLIENTS: u64 = 3;

/// What the clients of one rig have seen.
#[derive(Default)]
struct Seen {
    /// Heard 250 for.
    acknowledged: HashSet<String>,
    /// Attempts whose outcome the client never heard.
    unsure: HashMap<String, u64>,
    /// Connections that broke within a message.
    broken: u64,
}

#[test]
fn nothing_acknowledged_is_lost_over_two_hundred_kills() {
    let results: Vec<_> = std::thread::scope(|scope| {
        let rigs: Vec<_> = (0..RIGS).map(|rig| scope.spawn(move || run(rig))).collect();
        rigs.into_iter().map(|rig| rig.join().expect("a rig does not panic")).collect()
    });
    let (mut acknowledged, mut broken, mut doubled, mut faults) = (0, 0, 0, Vec::new());
    for (seen, arrived) in results {
        acknowledged += seen.acknowledged.len() as u64;
        broken += seen.broken;
        for id in &seen.acknowledged {
            if !arrived.contains_key(id) {
                faults.push(format!("{id}: heard 250 and is not at the upstream"));
            }
        }
        for (id, times) in &arrived {
            let unsure = seen.unsure.get(id).copied().unwrap_or(0);
            doubled += times - 1;
            if *times > unsure + u64::from(seen.acknowledged.contains(id)) {
                faults.push(format!("{id}: arrived {times} times, of which the client was unsure of {unsure}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The load must have been there, and the kills must have hit it.
    assert!(acknowledged > RIGS * KILLS, "only {acknowledged} messages were acknowledged");
    assert!(broken > RIGS * KILLS / 2, "only {broken} messages were cut off by a kill");
    say(&format!("kill -9: {} kills, {acknowledged} acknowledged, {broken} cut off, {doubled} doubled, none lost", RIGS * KILLS));
}

fn run(rig: u64) -> (Seen, HashMap<String, u64>) {
    let arrived = Arc::new(Mutex::new(HashMap::<String, u64>::new()));
    let counting = arrived.clone();
    let jitter = AtomicU64::new(rig);
    let sink = Sink::counting(&["8BITMIME", "PIPELINING", "SIZE 10000000"], move |captured| {
        let text = String::from_utf8_lossy(&captured.content);
        let id = text.split("X-Id: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("every message has its id").to_string();
        assert!(text.ends_with(&format!("end of {id}\r\n")), "{id} came incomplete");
        // An upstream takes its time, so that some kills fall between its taking and its saying so.
        let wait = jitter.fetch_add(1, Ordering::Relaxed) % 7;
        if wait == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
        *counting.lock().expect("no other panics").entry(id).or_default() += 1;
        if wait == 1 {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let mut gateway = Site::new("kill9").listener("in", "connector", "none", "out", "").upstream("out", sink.address, "none", "").start();
    let address = gateway.address("in");
    let (seen, stop) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (seen, stop) = (&seen, &stop);
            scope.spawn(move || load(address, &format!("{rig}-{client}"), seen, stop));
        }
        // However this ends, the clients must: the scope waits for them.
        let _end = End(&stop);
        let mut random = Random::new(rig + 1);
        for _ in 0..KILLS {
            std::thread::sleep(Duration::from_millis(15 + random.below(90)));
            gateway.kill();
            gateway.restart();
        }
        // What the last kill left undecided is sent again before the count.
        std::thread::sleep(Duration::from_millis(300));
    });
    drop(gateway);
    // A message whose 250 was lost on the way may still be being counted.
    std::thread::sleep(Duration::from_millis(50));
    let arrived = arrived.lock().expect("no other panics").clone();
    (seen.into_inner().expect("no other panics"), arrived)
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends messages with ids of its own, one after another; one without an answer again, until it has one.
fn load(address: SocketAddr, name: &str, seen: &Mutex<Seen>, stop: &AtomicBool) {
    let (mut number, mut client) = (0u64, None);
    while !stop.load(Ordering::Relaxed) {
        let id = format!("{name}-{number}");
        let Some(mut connected) = client.take().or_else(|| connect(address)) else {
            std::thread::sleep(Duration::from_millis(3));
            continue;
        };
        match send(&mut connected, &id) {
            Sent::Acknowledged => {
                seen.lock().expect("no other panics").acknowledged.insert(id);
                number += 1;
                // A connection carries some messages, not all.
                client = (!number.is_multiple_of(5)).then_some(connected);
            }
            // Refused for a while: nothing was taken, and it is sent again.
            Sent::Refused => {}
            Sent::CutOff { content_sent } => {
                let mut seen = seen.lock().expect("no other panics");
                seen.broken += 1;
                if content_sent {
                    *seen.unsure.entry(id).or_default() += 1;
                }
            }
        }
    }
}

fn connect(address: SocketAddr) -> Option<Client> {
    let mut client = Client::connect(address).ok()?;
    client.command("EHLO client.example").ok().filter(|r| r.ok()).map(|_| client)
}

enum Sent {
    Acknowledged,
    Refused,
    CutOff { content_sent: bool },
}

fn send(client: &mut Client, id: &str) -> Sent {
    for (line, code) in [(format!("MAIL FROM:<{CLERK}>"), 2), ("RCPT TO:<jo@outside.test>".into(), 2), ("DATA".into(), 3)] {
        match client.command(&line) {
            Ok(reply) if reply.code / 100 == code => {}
            Ok(_) => return Sent::Refused,
            Err(_) => return Sent::CutOff { content_sent: false },
        }
    }
    let filler = "All the minutes of all the meetings, in full.\r\n".repeat(40);
    let content = format!("From: {CLERK}\r\nSubject: load\r\nX-Id: {id}\r\n\r\n{filler}end of {id}\r\n.\r\n");
    match client.send(content.as_bytes()).and_then(|()| client.reply()) {
        Ok(reply) if reply.ok() => Sent::Acknowledged,
        Ok(reply) if reply.code == 451 => Sent::CutOff { content_sent: true },
        Ok(_) => Sent::Refused,
        Err(_) => Sent::CutOff { content_sent: true },
    }
}
