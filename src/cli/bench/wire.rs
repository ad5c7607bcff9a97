//! Blocking sockets of the burst benchmark, with or without TLS, and the certificates it makes for one run.
//!
//! The two ends are plain threads and blocking calls, so that what they cost is small beside what is measured.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// The name that the benchmark's own certificate bears.
pub const SERVER_NAME: &str = "gateway.bench.example";

/// A connection in the clear, or either side of TLS.
pub enum Stream {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// Both sides send small commands and wait: Nagle's algorithm would add 40 ms steps.
    pub fn plain(socket: TcpStream, timeout: Option<Duration>) -> io::Result<Stream> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(timeout)?;
        socket.set_write_timeout(timeout)?;
        Ok(Stream::Plain(socket))
    }

    pub fn is_plain(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    /// Starts TLS as the client. Errors if TLS is already on.
    pub fn into_client(self, config: &Arc<ClientConfig>, name: &ServerName<'static>) -> io::Result<Stream> {
        let connection = ClientConnection::new(config.clone(), name.clone()).map_err(io::Error::other)?;
        Ok(Stream::Client(Box::new(StreamOwned::new(connection, self.into_socket()?))))
    }

    /// Starts TLS as the server. Errors if TLS is already on.
    pub fn into_server(self, config: &Arc<ServerConfig>) -> io::Result<Stream> {
        let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
        Ok(Stream::Server(Box::new(StreamOwned::new(connection, self.into_socket()?))))
    }

    fn into_socket(self) -> io::Result<TcpStream> {
        match self {
            Stream::Plain(socket) => Ok(socket),
            Stream::Client(_) | Stream::Server(_) => Err(io::Error::other("TLS is already on")),
        }
    }

    /// Writes all of it and sends it off.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)?;
        self.flush()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(s) => s.read(buffer),
            Stream::Client(s) => s.read(buffer),
            Stream::Server(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(s) => s.write(bytes),
            Stream::Client(s) => s.write(bytes),
            Stream::Server(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(s) => s.flush(),
            Stream::Client(s) => s.flush(),
            Stream::Server(s) => s.flush(),
        }
    }
}

/// Reads replies, however the octets are cut up.
#[derive(Default)]
pub struct Replies {
    buffer: Vec<u8>,
    read: usize,
}

/// The longest reply line that is taken from a peer.
const LINE_LIMIT: usize = 64 * 1024;

impl Replies {
    /// The code of the next reply and the text of its last line.
    pub fn next(&mut self, stream: &mut Stream) -> io::Result<(u16, String)> {
        loop {
            let line = self.line(stream)?;
            let bytes = &self.buffer[line];
            let code = match bytes {
                [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
                    u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
                }
                _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "what came is not a reply")),
            };
            if bytes.get(3) != Some(&b'-') {
                return Ok((code, String::from_utf8_lossy(bytes).trim_end().to_owned()));
            }
        }
    }

    /// A reply whose first digit is `class`; anything else is an error that quotes it.
    pub fn expect(&mut self, stream: &mut Stream, class: u16, what: &str) -> io::Result<()> {
        let (code, text) = self.next(stream)?;
        if code / 100 == class { Ok(()) } else { Err(io::Error::other(format!("{what}: {text}"))) }
    }

    fn line(&mut self, stream: &mut Stream) -> io::Result<std::ops::Range<usize>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.read..]) {
                let line = self.read..self.read + end + 1;
                self.read = line.end;
                return Ok(line);
            }
            self.buffer.drain(..self.read);
            self.read = 0;
            if self.buffer.len() > LINE_LIMIT {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply line without end"));
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
                n => self.buffer.extend_from_slice(&chunk[..n]),
            }
        }
    }
}

/// A certificate for one run and both ends' configurations for it.
pub struct Certificate {
    pub certificate_pem: String,
    pub key_pem: String,
    pub client: Arc<ClientConfig>,
    pub server: Arc<ServerConfig>,
}

impl Certificate {
    /// Makes a P-256 key and a certificate that only this run trusts.
    pub fn make() -> io::Result<Certificate> {
        let key = rcgen::KeyPair::generate().map_err(io::Error::other)?;
        let names = vec![SERVER_NAME.to_owned(), "localhost".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).and_then(|p| p.self_signed(&key)).map_err(io::Error::other)?;
        let chain = vec![certificate.der().clone()];
        let secret = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|b| b.with_no_client_auth().with_single_cert(chain.clone(), secret))
            .map_err(io::Error::other)?;
        Ok(Certificate {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            client: client_that_trusts(&chain)?,
            server: Arc::new(server),
        })
    }
}

/// A client that believes these roots and no others. Sessions are never resumed: each connection pays for a full handshake,
/// as each new client of a real gateway does.
pub fn client_that_trusts(roots: &[CertificateDer<'static>]) -> io::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(io::Error::other)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
