//! What the tests stand on: loopback ports, scratch folders, a gateway under test, peers' ends of a wire, and an honest upstream.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

pub mod browser;
pub mod certificates;
pub mod client;
pub mod dns;
pub mod gateway;
pub mod postgres;
pub mod sink;
pub mod wire;

/// The council whose gateway is under test.
pub const DOMAIN: &str = "wragby.test";
pub const CLERK: &str = "clerk@wragby.test";
pub const PASSWORD: &str = "Secret-1 & more";
/// The name the gateway goes by.
pub const GATEWAY: &str = "gate.wragby.test";

/// Says that something was not tested, in a way that the test harness does not swallow. Where peers are required it fails instead.
pub fn skip(what: &str, why: &str) {
    let required = std::env::var("LYCHGATE_PEERS").is_ok_and(|v| v == "required") || std::env::var("CI").is_ok_and(|v| v == "true");
    assert!(!required, "{what} cannot be tested here: {why}");
    say(&format!("SKIPPED: {what}: {why}"));
}

/// One line to the real standard error: libtest captures only the print macros.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A loopback port that nobody else is given in this run, nor in another that runs beside it. It lies below the ephemeral range, so that no outgoing connection can
/// take it while the gateway is being restarted on it.
pub fn port() -> u16 {
    const LOW: u16 = 11_000;
    const SPAN: u16 = 21_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let start = (std::process::id() % 70) as u16 * 300;
    for _ in 0..SPAN {
        let port = LOW + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % SPAN;
        // UDP's port of the same number, which nothing here uses, says until this process ends that the port is taken.
        let Ok(claim) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else { continue };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            CLAIMS.lock().expect("nobody panics here").push(claim);
            return port;
        }
    }
    panic!("no free loopback port");
}

/// Listens on a free port. A program that is being started holds, between its fork and its exec, whatever was open here: a port that
/// was free a moment ago may seem taken for another.
pub fn listen() -> TcpListener {
    let port = port();
    for _ in 0..200 {
        if let Ok(listener) = TcpListener::bind(loopback(port)) {
            return listener;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("port {port} was free, and is taken");
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A scratch folder, removed at the end unless the test failed. Under the temporary folder, since Postfix's and Dovecot's own
/// users must be able to reach it and a Unix socket's path is at most 107 octets.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!("lychgate-{}-{}-{name}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir_all(&path).expect("a scratch folder can be made");
        Scratch(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into the folder and tells its path.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("a folder can be made");
        }
        std::fs::write(&path, content).expect("a scratch file can be written");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("kept for a look: {}", self.0.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// The folder of given messages, or none (said aloud).
pub fn given(what: &str) -> Option<PathBuf> {
    let path = std::env::var_os("LYCHGATE_GIVEN")
        .map(PathBuf::from)
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/given"));
    if path.join("TRUTH.tsv").is_file() {
        return Some(path);
    }
    // Not a peer: a clean clone has no such folder, and that alone is no failure.
    say(&format!("SKIPPED: {what}: no given messages (set LYCHGATE_GIVEN to their folder)"));
    None
}

/// A pseudo-random number generator: enough for "at random moments", and a failure can be repeated from its seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = u32::from(chunk[0]) << 16 | u32::from(*chunk.get(1).unwrap_or(&0)) << 8 | u32::from(*chunk.get(2).unwrap_or(&0));
        for i in 0..4 {
            out.push(if i <= chunk.len() { ALPHABET[(word >> (18 - 6 * i)) as usize & 63] as char } else { '=' });
        }
    }
    out
}

pub fn unbase64(text: &str) -> Vec<u8> {
    let (mut word, mut bits, mut out) = (0u32, 0, Vec::new());
    for c in text.bytes().filter(|&c| c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("not base64: {text}"),
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    out
}

/// Splits the gateway's Received field off the front of what an upstream got. The rest must be what the client sent.
pub fn below_received(content: &[u8]) -> Result<(&[u8], &[u8]), String> {
    if !content.starts_with(b"Received: ") {
        return Err(format!("does not begin with a Received field: {:?}", String::from_utf8_lossy(&content[..content.len().min(80)])));
    }
    let mut at = 0;
    loop {
        let Some(end) = content[at..].windows(2).position(|w| w == b"\r\n") else { return Err("Received field without an end".into()) };
        at += end + 2;
        if !matches!(content.get(at), Some(b' ' | b'\t')) {
            return Ok(content.split_at(at));
        }
    }
}

/// The place where two byte strings part, for a failure's text.
pub fn difference(want: &[u8], got: &[u8]) -> String {
    let at = want.iter().zip(got).take_while(|(a, b)| a == b).count();
    let show = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[at.saturating_sub(40).min(bytes.len())..bytes.len().min(at + 60)]).escape_debug().to_string()
    };
    format!("{} and {} octets, alike up to {at}\n   want …{}…\n   got  …{}…", want.len(), got.len(), show(want), show(got))
}

mod tests {
    #[test]
    fn base64_goes_there_and_back() {
        for text in ["", "a", "ab", "abc", "\0clerk\0Secret-1"] {
            assert_eq!(super::unbase64(&super::base64(text.as_bytes())), text.as_bytes());
        }
        assert_eq!(super::base64(b"\0a\0b"), "AGEAYg==");
    }
}
