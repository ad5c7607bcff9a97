//! The load: so many messages over so many connections, one thread for each, each waiting for its replies as a mail client does.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::process;
use super::wire::{Replies, Stream};

/// The domain of the benchmark's council.
pub const COUNCIL_DOMAIN: &str = "council.bench.example";

/// What is sent.
#[derive(Clone)]
pub struct Load {
    pub messages: usize,
    /// Octets of one message.
    pub size: usize,
    /// Envelope recipients of each message.
    pub recipients: usize,
    /// How many of them To names.
    pub visible: usize,
    pub connections: usize,
    /// Messages on one connection; 0 is all.
    pub per_connection: usize,
    /// MAIL, every RCPT and DATA in one write.
    pub pipelining: bool,
    /// STARTTLS, and the name that the certificate must bear.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Messages that were acknowledged.
    pub sent: usize,
    pub errors: usize,
    pub first_error: Option<String>,
    pub started: Instant,
    pub finished: Instant,
    /// From the start of a transaction (of the connection, where the message is its first) to the reply after the dot, sorted.
    pub latencies: Vec<Duration>,
    /// CPU time of the sending threads.
    pub cpu: Duration,
}

impl Outcome {
    /// The latency below which this share of the messages stayed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

const TIMEOUT: Duration = Duration::from_secs(60);
const FAILURES_AT_MOST: usize = 20;
const STACK: usize = 256 * 1024;

/// Sends the load and waits until every message has its reply.
pub fn send(load: &Load, to: SocketAddr) -> io::Result<Outcome> {
    let template = Template::new(load);
    let next = AtomicUsize::new(0);
    let gathered = Mutex::new((Vec::with_capacity(load.messages), Vec::new(), Duration::ZERO));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..load.connections.min(load.messages) {
            std::thread::Builder::new().name("source".into()).stack_size(STACK).spawn_scoped(scope, || {
                let mine =
                    Sender { load, to, message: template.clone(), connection: None, latencies: Vec::new(), errors: Vec::new() }.run(&next);
                let mut all = gathered.lock().unwrap_or_else(|broken| broken.into_inner());
                all.0.extend(mine.latencies);
                all.1.extend(mine.errors);
                all.2 += process::this_thread();
            })?;
        }
        Ok::<(), io::Error>(())
    })?;
    let finished = Instant::now();
    let (mut latencies, errors, cpu) = gathered.into_inner().unwrap_or_else(|broken| broken.into_inner());
    latencies.sort_unstable();
    Ok(Outcome { sent: latencies.len(), errors: errors.len(), first_error: errors.into_iter().next(), started, finished, latencies, cpu })
}

struct Sender<'a> {
    load: &'a Load,
    to: SocketAddr,
    message: Template,
    connection: Option<Connection>,
    latencies: Vec<Duration>,
    errors: Vec<String>,
}

impl Sender<'_> {
    fn run(mut self, next: &AtomicUsize) -> Self {
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= self.load.messages {
                break;
            }
            let start = Instant::now();
            match self.transaction(number) {
                Ok(()) => {
                    self.latencies.push(start.elapsed());
                    if self.connection.as_ref().is_some_and(|c| self.load.per_connection > 0 && c.sent >= self.load.per_connection) {
                        self.quit();
                    }
                }
                Err(error) => {
                    self.connection = None;
                    self.errors.push(error.to_string());
                    // What does not work at all need not be tried a hundred thousand times.
                    if self.errors.len() >= FAILURES_AT_MOST {
                        break;
                    }
                }
            }
        }
        self.quit();
        self
    }

    fn transaction(&mut self, number: usize) -> io::Result<()> {
        let connection = match &mut self.connection {
            Some(open) => open,
            none => none.insert(Connection::open(self.load, self.to)?),
        };
        self.message.number(number);
        connection.message(self.load, &self.message.octets, number)?;
        connection.sent += 1;
        Ok(())
    }

    fn quit(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _ = connection.stream.send(b"QUIT\r\n").and_then(|()| connection.replies.next(&mut connection.stream));
        }
    }
}

struct Connection {
    stream: Stream,
    replies: Replies,
    sent: usize,
    commands: Vec<u8>,
}

impl Connection {
    fn open(load: &Load, to: SocketAddr) -> io::Result<Connection> {
        let stream = Stream::plain(TcpStream::connect(to)?, Some(TIMEOUT))?;
        let mut connection = Connection { stream, replies: Replies::default(), sent: 0, commands: Vec::new() };
        connection.replies.expect(&mut connection.stream, 2, "greeting")?;
        connection.command(b"EHLO source.bench.example\r\n", 2, "EHLO")?;
        if let Some((config, name)) = &load.tls {
            connection.command(b"STARTTLS\r\n", 2, "STARTTLS")?;
            connection.stream = connection.stream.into_client(config, name)?;
            connection.command(b"EHLO source.bench.example\r\n", 2, "EHLO")?;
        }
        Ok(connection)
    }

    fn command(&mut self, line: &[u8], class: u16, what: &str) -> io::Result<()> {
        self.stream.send(line)?;
        self.replies.expect(&mut self.stream, class, what)
    }

    fn message(&mut self, load: &Load, octets: &[u8], number: usize) -> io::Result<()> {
        let mut commands = std::mem::take(&mut self.commands);
        commands.clear();
        write!(commands, "MAIL FROM:<officer{number}@{COUNCIL_DOMAIN}>\r\n")?;
        if load.pipelining {
            for k in 0..load.recipients {
                write!(commands, "RCPT TO:<{}>\r\n", recipient(k))?;
            }
            commands.extend_from_slice(b"DATA\r\n");
            self.stream.send(&commands)?;
            self.replies.expect(&mut self.stream, 2, "MAIL")?;
            for _ in 0..load.recipients {
                self.replies.expect(&mut self.stream, 2, "RCPT")?;
            }
            self.replies.expect(&mut self.stream, 3, "DATA")?;
        } else {
            self.command(&commands, 2, "MAIL")?;
            for k in 0..load.recipients {
                commands.clear();
                write!(commands, "RCPT TO:<{}>\r\n", recipient(k))?;
                self.command(&commands, 2, "RCPT")?;
            }
            self.command(b"DATA\r\n", 3, "DATA")?;
        }
        self.commands = commands;
        self.command(octets, 2, "end of data")
    }
}

fn recipient(k: usize) -> String {
    format!("resident{k}@village.example")
}

/// A message as it goes on the wire, the dot included; only the number in its Message-ID changes.
#[derive(Clone)]
struct Template {
    octets: Vec<u8>,
    /// Where the ten digits stand.
    digits: usize,
}

const WORDS: &[&str] = &[
    "the",
    "parish",
    "council",
    "meeting",
    "agenda",
    "minutes",
    "footpath",
    "allotment",
    "please",
    "find",
    "enclosed",
    "Tuesday",
    "village",
    "hall",
    "hedge",
    "planning",
    "application",
    "drain",
    "precept",
    "report",
    "from",
    "and",
    "with",
    "resident",
    "of",
    "to",
    "bench",
    "notice",
    "will",
    "be",
    "£42.00",
    "https://council.bench.example/p/1",
];

impl Template {
    fn new(load: &Load) -> Template {
        let mut octets = Vec::with_capacity(load.size + 512);
        octets.extend_from_slice(b"Message-ID: <");
        let digits = octets.len();
        octets.extend_from_slice(
            format!("0000000000.bench@{COUNCIL_DOMAIN}>\r\nFrom: The Clerk <clerk@{COUNCIL_DOMAIN}>\r\nTo: ").as_bytes(),
        );
        for k in 0..load.visible.clamp(1, load.recipients.max(1)) {
            octets.extend_from_slice(if k > 0 { b",\r\n " } else { b"" });
            octets.extend_from_slice(recipient(k).as_bytes());
        }
        octets
            .extend_from_slice(b"\r\nSubject: Re: =?utf-8?q?Caf=C3=A9?= in the village hall\r\nDate: Thu, 14 May 2026 10:11:12 +0100\r\n");
        octets
            .extend_from_slice(b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        let mut column = 0;
        let mut state = 42u64;
        while octets.len() + 80 < load.size {
            // Knuth's multiplier: the same text in every run.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let word = WORDS[(state >> 33) as usize % WORDS.len()];
            if column + word.len() > 72 {
                octets.extend_from_slice(b"\r\n");
                column = 0;
            }
            octets.extend_from_slice(word.as_bytes());
            octets.push(b' ');
            column += word.len() + 1;
        }
        octets.extend_from_slice(b"\r\n.\r\n");
        Template { octets, digits }
    }

    fn number(&mut self, number: usize) {
        let mut rest = number;
        for digit in self.octets[self.digits..self.digits + 10].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sink::Sink;
    use super::super::wire::{Certificate, SERVER_NAME};
    use super::*;

    fn load() -> Load {
        Load { messages: 40, size: 3000, recipients: 3, visible: 1, connections: 4, per_connection: 0, pipelining: false, tls: None }
    }

    #[test]
    fn every_message_arrives_whole() {
        let certificate = Certificate::make().unwrap();
        let sink = Sink::start("127.0.0.1:0".parse().unwrap(), Some(certificate.server.clone())).unwrap();
        let tls = Some((certificate.client.clone(), ServerName::try_from(SERVER_NAME).unwrap()));
        let octets = Template::new(&load()).octets.len() as u64 - 3;
        for load in
            [load(), Load { pipelining: true, ..load() }, Load { per_connection: 1, ..load() }, Load { tls, per_connection: 7, ..load() }]
        {
            let before = sink.count();
            let outcome = send(&load, sink.address()).unwrap();
            let after = sink.count();
            assert_eq!((outcome.sent, outcome.errors, outcome.first_error.as_deref()), (40, 0, None));
            assert_eq!((after.messages - before.messages, after.recipients - before.recipients), (40, 120));
            assert_eq!(after.octets - before.octets, 40 * octets);
            assert!(outcome.quantile(0.5) <= outcome.quantile(0.99));
        }
    }

    #[test]
    fn a_dead_port_is_an_error_and_not_a_hang() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let outcome = send(&load(), closed).unwrap();
        assert_eq!(outcome.sent, 0);
        assert!(outcome.errors > 0);
    }

    #[test]
    fn no_line_of_the_message_needs_stuffing() {
        let template = Template::new(&Load { size: 20_000, ..load() });
        let text = String::from_utf8(template.octets).unwrap();
        assert!(text.strip_suffix("\r\n.\r\n").unwrap().split("\r\n").all(|line| !line.starts_with('.') && line.len() < 998));
    }
}
