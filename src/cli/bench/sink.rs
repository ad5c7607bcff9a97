//! The counting sink: takes every message, keeps none, and counts what was complete.
//!
//! It answers at once and works on a pool of threads that never end, so that its CPU time can be read from outside to the
//! nanosecond. It is for loopback and test networks: it believes everybody.

use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::wire::Stream;

/// A sink that listens. It lives as long as the process.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What has come in so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub connections: u64,
    pub messages: u64,
    pub recipients: u64,
    pub octets: u64,
    /// Connections that ended within a message.
    pub cut_off: u64,
}

struct Shared {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    started: Instant,
    idle: AtomicUsize,
    threads: AtomicUsize,
    connections: AtomicU64,
    messages: AtomicU64,
    recipients: AtomicU64,
    octets: AtomicU64,
    cut_off: AtomicU64,
    /// When the last message was complete, in nanoseconds after `started`.
    last: AtomicU64,
}

const THREADS_AT_FIRST: usize = 32;
const THREADS_AT_MOST: usize = 4096;
const STACK: usize = 256 * 1024;
const BUFFER: usize = 128 * 1024;

impl Sink {
    /// Listens and serves. With `tls` it offers STARTTLS.
    pub fn start(bind: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Sink> {
        let listener = TcpListener::bind(bind)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            listener,
            tls,
            started: Instant::now(),
            idle: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            recipients: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            cut_off: AtomicU64::new(0),
            last: AtomicU64::new(0),
        });
        for _ in 0..THREADS_AT_FIRST {
            add_thread(&shared)?;
        }
        Ok(Sink { address, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn count(&self) -> Count {
        Count {
            connections: self.shared.connections.load(Relaxed),
            messages: self.shared.messages.load(Relaxed),
            recipients: self.shared.recipients.load(Relaxed),
            octets: self.shared.octets.load(Relaxed),
            cut_off: self.shared.cut_off.load(Relaxed),
        }
    }

    /// When the last message was complete.
    pub fn last(&self) -> Instant {
        self.shared.started + Duration::from_nanos(self.shared.last.load(Relaxed))
    }
}

fn add_thread(shared: &Arc<Shared>) -> io::Result<()> {
    shared.threads.fetch_add(1, Relaxed);
    let mine = shared.clone();
    let spawned = std::thread::Builder::new().name("sink".into()).stack_size(STACK).spawn(move || accept(&mine));
    if spawned.is_err() {
        shared.threads.fetch_sub(1, Relaxed);
    }
    spawned.map(drop)
}

/// One connection after another; the last idle thread sees to a successor before it gets busy.
fn accept(shared: &Arc<Shared>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        shared.idle.fetch_add(1, Relaxed);
        let accepted = shared.listener.accept();
        let idle_before = shared.idle.fetch_sub(1, Relaxed);
        if idle_before == 1 && shared.threads.load(Relaxed) < THREADS_AT_MOST {
            // Without a successor the next connection only waits until this one is over.
            let _ = add_thread(shared);
        }
        match accepted {
            Ok((socket, _)) => {
                shared.connections.fetch_add(1, Relaxed);
                // A peer that goes away early is counted by what is missing.
                let _ =
                    Stream::plain(socket, None).and_then(|stream| Session { shared, stream, start: 0, end: 0, buffer: &mut buffer }.run());
            }
            // Out of descriptors: wait for others to end.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

struct Session<'a> {
    shared: &'a Shared,
    stream: Stream,
    buffer: &'a mut Vec<u8>,
    /// What was read and not yet used: `buffer[start..end]`.
    start: usize,
    end: usize,
}

impl Session<'_> {
    fn run(mut self) -> io::Result<()> {
        self.stream.send(b"220 sink.bench.example ESMTP\r\n")?;
        let mut replies = Vec::with_capacity(4096);
        let mut recipients = 0;
        loop {
            while let Some(length) = memchr::memchr(b'\n', &self.buffer[self.start..self.end]) {
                let line = &self.buffer[self.start..self.start + length + 1];
                let mut verb = [0; 4];
                for (to, from) in verb.iter_mut().zip(line) {
                    *to = from.to_ascii_uppercase();
                }
                self.start += length + 1;
                match &verb {
                    b"EHLO" => replies.extend_from_slice(self.extensions().as_bytes()),
                    b"HELO" => replies.extend_from_slice(b"250 sink.bench.example\r\n"),
                    b"MAIL" => {
                        recipients = 0;
                        replies.extend_from_slice(b"250 2.1.0 Ok\r\n");
                    }
                    b"RCPT" => {
                        recipients += 1;
                        replies.extend_from_slice(b"250 2.1.5 Ok\r\n");
                    }
                    b"RSET" | b"NOOP" => replies.extend_from_slice(b"250 2.0.0 Ok\r\n"),
                    b"DATA" => {
                        replies.extend_from_slice(b"354 End data with <CR><LF>.<CR><LF>\r\n");
                        self.stream.send(&replies)?;
                        replies.clear();
                        let octets = self.content()?;
                        self.count(recipients, octets);
                        replies.extend_from_slice(b"250 2.0.0 Ok: counted\r\n");
                    }
                    b"STAR" if self.stream.is_plain() => match self.shared.tls.clone() {
                        Some(config) => {
                            self.stream.send(b"220 2.0.0 Ready\r\n")?;
                            // RFC 3207 §4.2: what was said before is gone.
                            (self.start, self.end) = (0, 0);
                            replies.clear();
                            self.stream = self.stream.into_server(&config)?;
                        }
                        None => replies.extend_from_slice(b"502 5.5.1 Not here\r\n"),
                    },
                    b"QUIT" => {
                        replies.extend_from_slice(b"221 2.0.0 Bye\r\n");
                        return self.stream.send(&replies);
                    }
                    _ => replies.extend_from_slice(b"502 5.5.2 Not understood\r\n"),
                }
            }
            if !replies.is_empty() {
                self.stream.send(&replies)?;
                replies.clear();
            }
            self.move_to_front();
            if self.end == self.buffer.len() || !self.fill()? {
                return Ok(());
            }
        }
    }

    fn extensions(&self) -> String {
        let starttls = if self.shared.tls.is_some() && self.stream.is_plain() { "250-STARTTLS\r\n" } else { "" };
        format!(
            "250-sink.bench.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-ENHANCEDSTATUSCODES\r\n{starttls}250-SMTPUTF8\r\n250-DSN\r\n250 8BITMIME\r\n"
        )
    }

    /// Reads on to the line with the single dot. The CRLF of the command counts as the one before it, so that an empty
    /// message ends too.
    fn content(&mut self) -> io::Result<u64> {
        const END: &[u8] = b"\r\n.\r\n";
        self.start = self.start.saturating_sub(2);
        let mut octets = 0;
        loop {
            if let Some(at) = memchr::memmem::find(&self.buffer[self.start..self.end], END) {
                self.start += at + END.len();
                // The two octets taken back from the command stand for the last line's CRLF.
                return Ok(octets + at as u64);
            }
            // Keep what may be the beginning of the end.
            let keep = (self.end - self.start).min(END.len() - 1);
            octets += (self.end - self.start - keep) as u64;
            self.start = self.end - keep;
            self.move_to_front();
            if !self.fill()? {
                self.shared.cut_off.fetch_add(1, Relaxed);
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn move_to_front(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    fn fill(&mut self) -> io::Result<bool> {
        let n = self.stream.read(&mut self.buffer[self.end..])?;
        self.end += n;
        Ok(n > 0)
    }

    fn count(&self, recipients: u64, octets: u64) {
        let shared = self.shared;
        shared.recipients.fetch_add(recipients, Relaxed);
        shared.octets.fetch_add(octets, Relaxed);
        shared.last.fetch_max(shared.started.elapsed().as_nanos() as u64, Relaxed);
        shared.messages.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Replies;
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn counts_messages_however_they_are_cut() {
        let sink = Sink::start("127.0.0.1:0".parse().unwrap(), None).unwrap();
        let dialog = b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\nQUIT\r\n";
        for step in [1, 3, dialog.len()] {
            let before = sink.count();
            let mut stream = Stream::plain(TcpStream::connect(sink.address()).unwrap(), Some(Duration::from_secs(5))).unwrap();
            for piece in dialog.chunks(step) {
                stream.send(piece).unwrap();
            }
            let mut replies = Replies::default();
            let codes: Vec<u16> = (0..11).map(|_| replies.next(&mut stream).unwrap().0).collect();
            assert_eq!(codes, [220, 250, 250, 250, 250, 354, 250, 250, 250, 354, 250]);
            let after = sink.count();
            assert_eq!((after.messages - before.messages, after.recipients - before.recipients), (2, 3));
            assert_eq!(after.octets - before.octets, "Subject: x\r\n\r\n..\r\n".len() as u64);
        }
    }
}
