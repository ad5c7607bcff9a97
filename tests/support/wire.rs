//! One end of a connection, plain or under TLS, read line by line with a patience that ends.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::certificates::certificates;

/// How long a peer is given to say what it must.
pub const PATIENCE: Duration = Duration::from_secs(10);

enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

pub struct Wire {
    stream: Stream,
    socket: TcpStream,
    buffer: Vec<u8>,
    closed: bool,
}

/// What came of waiting for a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line without its CRLF.
    Line(Vec<u8>),
    /// The peer closed, and this was left without an end.
    Closed(Vec<u8>),
    /// Nothing, or this beginning of a line, within the time.
    Silence(Vec<u8>),
}

impl Wire {
    pub fn connect(address: SocketAddr) -> io::Result<Wire> {
        TcpStream::connect_timeout(&address, PATIENCE).and_then(Wire::new)
    }

    pub fn new(socket: TcpStream) -> io::Result<Wire> {
        socket.set_nodelay(true)?;
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream: Stream::Plain(socket.try_clone()?), socket, buffer: Vec::new(), closed: false })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let out: &mut dyn Write = match &mut self.stream {
            Stream::Plain(s) => s,
            Stream::Client(s) => s.as_mut(),
            Stream::Server(s) => s.as_mut(),
        };
        out.write_all(bytes)?;
        out.flush()
    }

    /// The next line, which must end with CRLF: a bare LF is part of a line here.
    pub fn line(&mut self, patience: Duration) -> Heard {
        let end = Instant::now() + patience;
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer[from..].windows(2).position(|w| w == b"\r\n") {
                let rest = self.buffer.split_off(from + at + 2);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.truncate(line.len() - 2);
                return Heard::Line(line);
            }
            from = self.buffer.len().saturating_sub(1);
            if self.closed {
                return Heard::Closed(std::mem::take(&mut self.buffer));
            }
            if !self.fill(end) && !self.closed {
                return Heard::Silence(self.buffer.clone());
            }
        }
    }

    /// The next line, left unread; or none where it does not come.
    pub fn peek_line(&mut self, patience: Duration) -> Option<Vec<u8>> {
        match self.line(patience) {
            Heard::Line(line) => {
                let rest = std::mem::take(&mut self.buffer);
                self.buffer = [&line[..], b"\r\n", &rest].concat();
                Some(line)
            }
            Heard::Closed(rest) => {
                self.buffer = rest;
                None
            }
            Heard::Silence(_) => None,
        }
    }

    /// Whether the next octet is a blank: the line that follows continues a header field.
    pub fn continues(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.buffer.is_empty() && !self.closed && self.fill(end) {}
        matches!(self.buffer.first(), Some(b' ' | b'\t'))
    }

    /// Reads once more; false where the time is over or the peer has closed.
    fn fill(&mut self, end: Instant) -> bool {
        let mut chunk = [0; 16 * 1024];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let _ = self.socket.set_read_timeout(Some(left));
            let read = match &mut self.stream {
                Stream::Plain(s) => s.read(&mut chunk),
                Stream::Client(s) => s.read(&mut chunk),
                Stream::Server(s) => s.read(&mut chunk),
            };
            match read {
                Ok(0) => self.closed = true,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return false,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                // A reset, or TLS without close_notify: gone is gone.
                Err(_) => self.closed = true,
            }
            return !self.closed;
        }
    }

    /// The client's side of a TLS handshake. What was read before it stays unread: it would be seen as the peer's fault.
    pub fn start_tls_as_client(self) -> io::Result<Wire> {
        self.handshake(|socket| Stream::Client(Box::new(StreamOwned::new(certificates().client(), socket))))
    }

    pub fn start_tls_as_server(self) -> io::Result<Wire> {
        self.handshake(|socket| Stream::Server(Box::new(StreamOwned::new(certificates().server(), socket))))
    }

    fn handshake(self, wrap: impl FnOnce(TcpStream) -> Stream) -> io::Result<Wire> {
        let Stream::Plain(socket) = self.stream else { return Err(io::Error::other("TLS within TLS")) };
        if !self.buffer.is_empty() {
            return Err(io::Error::other("octets before the handshake"));
        }
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut stream = wrap(socket);
        match &mut stream {
            Stream::Client(s) => s.conn.complete_io(&mut s.sock).map(drop)?,
            Stream::Server(s) => s.conn.complete_io(&mut s.sock).map(drop)?,
            Stream::Plain(_) => {}
        }
        Ok(Wire { stream, socket: self.socket, buffer: Vec::new(), closed: false })
    }

    pub fn close(&mut self) {
        match &mut self.stream {
            Stream::Plain(_) => {}
            Stream::Client(s) => {
                s.conn.send_close_notify();
                let _ = s.conn.complete_io(&mut s.sock);
            }
            Stream::Server(s) => {
                s.conn.send_close_notify();
                let _ = s.conn.complete_io(&mut s.sock);
            }
        }
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
