//! An honest upstream: it counts a message before it says 250 for it, ends content on CRLF.CRLF only, and keeps every octet.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::listen;

#[derive(Clone, Debug)]
pub struct Captured {
    pub mail: String,
    pub recipients: Vec<String>,
    /// The content as it came over the wire: dots doubled, without the final line.
    pub wire: Vec<u8>,
    /// The content itself.
    pub content: Vec<u8>,
    /// Which connection it came over.
    pub session: u64,
}

type Keep = dyn Fn(Captured) + Send + Sync;

pub struct Sink {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    captured: Arc<Mutex<Vec<Captured>>>,
}

impl Sink {
    /// Keeps what it gets, for [`Sink::take`].
    pub fn start(offers: &'static [&'static str]) -> Sink {
        let captured = Arc::new(Mutex::new(Vec::new()));
        let into = captured.clone();
        Sink::with(listen(), offers, captured, Arc::new(move |c| into.lock().expect("no reader panics").push(c)))
    }

    /// Hands what it gets to `keep`, which returns before the client hears 250.
    pub fn counting(offers: &'static [&'static str], keep: impl Fn(Captured) + Send + Sync + 'static) -> Sink {
        Sink::with(listen(), offers, Arc::default(), Arc::new(keep))
    }

    /// The same at an address where there was nobody until now.
    pub fn counting_at(address: SocketAddr, offers: &'static [&'static str], keep: impl Fn(Captured) + Send + Sync + 'static) -> Sink {
        let listener = TcpListener::bind(address).expect("the address is free");
        Sink::with(listener, offers, Arc::default(), Arc::new(keep))
    }

    fn with(listener: TcpListener, offers: &'static [&'static str], captured: Arc<Mutex<Vec<Captured>>>, keep: Arc<Keep>) -> Sink {
        let address = listener.local_addr().expect("it is bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let keep = keep.clone();
                if let Ok(stream) = stream {
                    std::thread::spawn(move || session(stream, offers, &*keep));
                }
            }
        });
        Sink { address, stop, captured }
    }

    pub fn take(&self) -> Vec<Captured> {
        std::mem::take(&mut self.captured.lock().expect("no writer panics"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn session(stream: TcpStream, offers: &[&str], keep: &Keep) -> Option<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let session = NEXT.fetch_add(1, Ordering::Relaxed);
    let _ = stream.set_nodelay(true);
    let mut out = stream.try_clone().ok()?;
    let mut input = BufReader::with_capacity(64 * 1024, stream);
    out.write_all(b"220 sink.provider.test ESMTP\r\n").ok()?;
    let (mut mail, mut recipients, mut chunks) = (None, Vec::new(), Vec::new());
    loop {
        let line = line(&mut input)?;
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        let verb = line.split_ascii_whitespace().next().unwrap_or("").to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => {
                let mut reply = String::from("250-sink.provider.test\r\n");
                for offer in offers {
                    reply += &format!("250-{offer}\r\n");
                }
                reply + "250 ENHANCEDSTATUSCODES\r\n"
            }
            "HELO" | "NOOP" => "250 2.0.0 ok\r\n".into(),
            "RSET" => {
                (mail, recipients, chunks) = (None, Vec::new(), Vec::new());
                "250 2.0.0 ok\r\n".into()
            }
            "MAIL" => {
                mail = Some(line);
                "250 2.1.0 ok\r\n".into()
            }
            "RCPT" if mail.is_some() => {
                recipients.push(line);
                "250 2.1.5 ok\r\n".into()
            }
            "DATA" if !recipients.is_empty() => {
                out.write_all(b"354 go\r\n").ok()?;
                let wire = data(&mut input)?;
                let content = unstuffed(&wire);
                keep(Captured { mail: mail.take()?, recipients: std::mem::take(&mut recipients), wire, content, session });
                "250 2.0.0 kept\r\n".into()
            }
            "BDAT" if !recipients.is_empty() => {
                let mut words = line.split_ascii_whitespace().skip(1);
                let size: usize = words.next()?.parse().ok()?;
                let start = chunks.len();
                chunks.resize(start + size, 0);
                input.read_exact(&mut chunks[start..]).ok()?;
                if words.next().is_some() {
                    let content = std::mem::take(&mut chunks);
                    keep(Captured {
                        mail: mail.take()?,
                        recipients: std::mem::take(&mut recipients),
                        wire: content.clone(),
                        content,
                        session,
                    });
                }
                "250 2.0.0 kept\r\n".into()
            }
            "QUIT" => {
                let _ = out.write_all(b"221 2.0.0 bye\r\n");
                return None;
            }
            _ => "503 5.5.1 not now\r\n".into(),
        };
        out.write_all(reply.as_bytes()).ok()?;
    }
}

fn line(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        if input.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
    }
    Some(line)
}

/// Everything up to CRLF.CRLF and nothing else (RFC 5321 §4.1.1.4); the first CRLF belongs to the content.
fn data(input: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut wire = Vec::new();
    loop {
        let line = line(input)?;
        if line == b".\r\n" {
            return Some(wire);
        }
        wire.extend_from_slice(&line);
    }
}

fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(wire.len());
    let mut line_start = true;
    for (i, &b) in wire.iter().enumerate() {
        if !(line_start && b == b'.') {
            out.push(b);
        }
        line_start = b == b'\n' && i > 0 && wire[i - 1] == b'\r';
    }
    out
}
