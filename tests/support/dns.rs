//! A small name server on loopback, over UDP and TCP (RFC 1035), with a zone in text.
//!
//! ```text
//! wragby.test          TXT    v=spf1 ip4:127.0.0.1 -all
//! mail.wragby.test     A      192.0.2.1
//! wragby.test          MX     10 mail.wragby.test
//! loop.test            CNAME  loop.test
//! away.test            SILENT                              nothing comes back, of whatever type
//! broken.test          FAIL                                SERVFAIL
//! garbled.test         GARBLE                              octets that are no answer
//! ```

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::loopback;

#[derive(Clone, Debug)]
enum Record {
    A(Ipv4Addr),
    Txt(String),
    Mx(u16, String),
    Cname(String),
    Silent,
    Fail,
    Garble,
}

type Zone = HashMap<String, Vec<Record>>;

pub struct Dns {
    pub address: SocketAddr,
    questions: Arc<AtomicUsize>,
    zone: Arc<Mutex<Zone>>,
}

impl Dns {
    pub fn start(zone: &str) -> Dns {
        // The port's UDP side is what `support::port` claims ports by, so this one is had from the system, on both sides.
        let (udp, tcp) = (0..100)
            .find_map(|_| {
                let udp = UdpSocket::bind(loopback(0)).expect("a UDP port");
                let tcp = TcpListener::bind(udp.local_addr().expect("it is bound")).ok()?;
                Some((udp, tcp))
            })
            .expect("a port that is free on both sides");
        let address = udp.local_addr().expect("it is bound");
        let zone = Arc::new(Mutex::new(parse(zone)));
        let questions = Arc::new(AtomicUsize::new(0));
        let (theirs, counted) = (zone.clone(), questions.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((n, from)) = udp.recv_from(&mut buffer) {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Some(reply) = answer(&buffer[..n], &theirs, Some(1232)) {
                    let _ = udp.send_to(&reply, from);
                }
            }
        });
        let (theirs, counted) = (zone.clone(), questions.clone());
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let (zone, counted) = (theirs.clone(), counted.clone());
                std::thread::spawn(move || serve(stream, &zone, &counted));
            }
        });
        Dns { address, questions, zone }
    }

    /// Questions that were asked so far.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    /// Adds to the zone.
    pub fn add(&self, zone: &str) {
        let mut kept = self.zone.lock().expect("no other panics");
        for (name, records) in parse(zone) {
            kept.entry(name).or_default().extend(records);
        }
    }
}

fn serve(mut stream: TcpStream, zone: &Mutex<Zone>, counted: &AtomicUsize) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    loop {
        let mut length = [0; 2];
        if stream.read_exact(&mut length).is_err() {
            return;
        }
        let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut question).is_err() {
            return;
        }
        counted.fetch_add(1, Ordering::Relaxed);
        if let Some(reply) = answer(&question, zone, None) {
            let whole = [&u16::try_from(reply.len()).expect("an answer fits TCP").to_be_bytes()[..], &reply].concat();
            if stream.write_all(&whole).is_err() {
                return;
            }
        }
    }
}

fn parse(zone: &str) -> Zone {
    let mut out = Zone::new();
    for line in zone.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let mut words = line.splitn(3, char::is_whitespace).map(str::trim);
        let (name, kind) = (words.next().expect("a name"), line[line.find(char::is_whitespace).expect("a type")..].trim());
        let (kind, data) = kind.split_once(char::is_whitespace).map_or((kind, ""), |(k, d)| (k, d.trim()));
        let record = match kind {
            "A" => Record::A(data.parse().expect("an IPv4 address")),
            "TXT" => Record::Txt(data.into()),
            "CNAME" => Record::Cname(data.into()),
            "MX" => {
                let (preference, host) = data.split_once(' ').expect("a preference and a host");
                Record::Mx(preference.parse().expect("a number"), host.trim().into())
            }
            "SILENT" => Record::Silent,
            "FAIL" => Record::Fail,
            "GARBLE" => Record::Garble,
            other => panic!("no such type: {other}"),
        };
        out.entry(name.to_ascii_lowercase()).or_default().push(record);
    }
    out
}

/// The answer to a question; none where there is to be silence. `most` octets, else only a sign that there is more.
fn answer(question: &[u8], zone: &Mutex<Zone>, most: Option<usize>) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let mut at = 12;
    let mut name = String::new();
    while *question.get(at)? != 0 {
        let length = usize::from(question[at]);
        if !name.is_empty() {
            name.push('.');
        }
        name += &String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_ascii_lowercase();
        at += 1 + length;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes([*question.get(at + 1)?, *question.get(at + 2)?]);
    let zone = zone.lock().expect("no other panics");
    let records = zone.get(&name).cloned().unwrap_or_default();
    // NXDOMAIN only where nothing stands below the name either.
    let below = format!(".{name}");
    let code = if records.iter().any(|r| matches!(r, Record::Fail)) {
        2
    } else if records.is_empty() && !zone.keys().any(|k| k.ends_with(&below)) {
        3
    } else {
        0
    };
    let mut body = Vec::new();
    let mut count = 0u16;
    for record in &records {
        let (type_, data) = match record {
            Record::Silent => return None,
            Record::Garble => return Some([id, &[0x84, 0, 0, 1, 0, 9, 0, 0, 0, 0, 0xC0, 0xFF, 1]].concat()),
            Record::Fail => continue,
            Record::A(address) if kind == 1 => (1, address.octets().to_vec()),
            Record::Txt(text) if kind == 16 => {
                (16, text.as_bytes().chunks(255).flat_map(|c| [&[u8::try_from(c.len()).expect("a chunk fits")][..], c].concat()).collect())
            }
            Record::Mx(preference, host) if kind == 15 => (15, [&preference.to_be_bytes()[..], &encoded(host)].concat()),
            Record::Cname(target) => (5, encoded(target)),
            _ => continue,
        };
        body.extend_from_slice(&[0xC0, 12]);
        body.extend_from_slice(&(type_ as u16).to_be_bytes());
        body.extend_from_slice(&[0, 1, 0, 0, 0, 60]);
        body.extend_from_slice(&u16::try_from(data.len()).expect("a record fits").to_be_bytes());
        body.extend_from_slice(&data);
        count += 1;
    }
    let question = question.get(12..end)?;
    let truncated = most.is_some_and(|most| 12 + question.len() + body.len() > most);
    if truncated {
        (body, count) = (Vec::new(), 0);
    }
    let flags = [0x85 | if truncated { 2 } else { 0 }, 0x80 | code];
    Some([id, &flags, &[0, 1], &count.to_be_bytes(), &[0, 0, 0, 0], question, &body].concat())
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        out.push(u8::try_from(label.len()).expect("a label fits"));
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}
