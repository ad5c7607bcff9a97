//! A plain-spoken SMTP client, for tests that count messages rather than compare dialogs.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::wire::{Heard, Wire};

pub struct Client {
    wire: Wire,
    pub patience: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    pub lines: Vec<String>,
}

impl Reply {
    pub fn ok(&self) -> bool {
        self.code / 100 == 2
    }

    pub fn offers(&self, keyword: &str) -> bool {
        self.lines.iter().skip(1).any(|l| l.split_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case(keyword)))
    }
}

impl Client {
    /// Connects and hears the greeting.
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        let mut client = Client { wire: Wire::connect(address)?, patience: Duration::from_secs(30) };
        client.expect(220)?;
        Ok(client)
    }

    pub fn start_tls(mut self) -> io::Result<Client> {
        let reply = self.command("STARTTLS")?;
        if !reply.ok() {
            return Err(io::Error::other(format!("STARTTLS: {reply:?}")));
        }
        Ok(Client { wire: self.wire.start_tls_as_client()?, patience: self.patience })
    }

    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// The next reply; a connection that ends first, or says nothing in time, is an error.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = match self.wire.line(self.patience) {
                Heard::Line(line) => String::from_utf8_lossy(&line).into_owned(),
                Heard::Closed(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Heard::Silence(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            let code = line.get(..3).and_then(|c| c.parse().ok()).ok_or_else(|| io::Error::other(format!("no reply: {line:?}")))?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line.get(4..).unwrap_or("").to_string());
            if last {
                return Ok(Reply { code, lines });
            }
        }
    }

    fn expect(&mut self, code: u16) -> io::Result<Reply> {
        let reply = self.reply()?;
        if reply.code == code { Ok(reply) } else { Err(io::Error::other(format!("wanted {code}, heard {reply:?}"))) }
    }
}

/// Content as DATA carries it: a line's leading dot doubled (RFC 5321 §4.5.2), and the end.
pub fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 64);
    let mut line_start = true;
    for (i, &b) in content.iter().enumerate() {
        if line_start && b == b'.' {
            out.push(b'.');
        }
        out.push(b);
        line_start = b == b'\n' && i > 0 && content[i - 1] == b'\r';
    }
    out.extend_from_slice(if line_start { b".\r\n" } else { b"\r\n.\r\n" });
    out
}
