//! One connection to an upstream: dialled, secured and greeted; then commands out and replies in.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::stream::{Read, Stream};
use super::timer::Timer;
use crate::config::settings::{Upstream, UpstreamTls};
use crate::smtp::client::{Asked, ClientSession, ProtocolFault};
use crate::smtp::{Extensions, Reply, data, wording};

/// RFC 5321 §4.5.3.2, client side, with the gateway's own bound on a dial: a client waits behind it.
pub const DIAL: Duration = Duration::from_secs(30);
/// A whole dial, greeting and EHLO included, where a client waits for it.
pub const DIAL_WHOLE: Duration = Duration::from_secs(60);
pub const GREETING: Duration = Duration::from_secs(300);
pub const COMMAND: Duration = Duration::from_secs(300);
pub const DATA_INITIATION: Duration = Duration::from_secs(120);
pub const DATA_BLOCK: Duration = Duration::from_secs(180);
pub const DATA_TERMINATION: Duration = Duration::from_secs(600);

/// How long octets that came early under TLS have to turn out to be words.
const TICKET: Duration = Duration::from_millis(50);

/// Pieces of stuffed content in one write: a message of dots must not become a list of its own size.
const PIECES: usize = 512;

/// What can go wrong with an upstream; each has its reply for the client.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("cannot be reached: {0}")]
    Down(std::io::Error),
    #[error("the connection was lost")]
    Lost,
    #[error("took too long")]
    Timeout,
    #[error(transparent)]
    Protocol(#[from] ProtocolFault),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("it refused: {0}")]
    Refused(Reply),
}

impl UpstreamError {
    /// What the client hears: always a 4xx of ours, or the upstream's own words.
    pub fn reply(&self) -> Reply {
        match self {
            UpstreamError::Down(_) => wording::UPSTREAM_DOWN,
            UpstreamError::Lost => wording::UPSTREAM_LOST,
            UpstreamError::Timeout => wording::UPSTREAM_TIMEOUT,
            UpstreamError::Protocol(_) => wording::UPSTREAM_PROTOCOL,
            UpstreamError::Tls(_) => wording::UPSTREAM_TLS,
            UpstreamError::Refused(reply) if reply.code() == 421 || reply.code() >= 500 => reply.clone(),
            UpstreamError::Refused(_) => wording::UPSTREAM_DOWN,
        }
    }

    /// A word for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            UpstreamError::Down(_) => "down",
            UpstreamError::Lost => "lost",
            UpstreamError::Timeout => "timeout",
            UpstreamError::Protocol(_) => "protocol",
            UpstreamError::Tls(_) => "tls",
            UpstreamError::Refused(_) => "refused",
        }
    }
}

pub struct Connection {
    stream: Stream,
    session: ClientSession,
    out: Vec<u8>,
    timer: Timer,
    pub extensions: Extensions,
    /// Messages that were sent through it.
    pub uses: u32,
    /// When it was last given back.
    pub idle_since: Instant,
}

impl Connection {
    /// Connects, does TLS as configured, and says EHLO.
    pub async fn dial(upstream: &Upstream, tls: &Arc<ClientConfig>, hostname: &str) -> Result<Connection, UpstreamError> {
        let connect = tokio::time::timeout(DIAL, TcpStream::connect(&upstream.address)).await;
        let tcp = connect.map_err(|_| UpstreamError::Timeout)?.map_err(UpstreamError::Down)?;
        tcp.set_nodelay(true).map_err(UpstreamError::Down)?;
        let mut stream = Stream::Plain(tcp);
        if upstream.tls == UpstreamTls::Implicit {
            stream = handshake(stream, upstream, tls).await?;
        }
        let mut connection = Connection {
            stream,
            session: ClientSession::new(),
            out: Vec::new(),
            timer: Timer::new(GREETING),
            extensions: Extensions::default(),
            uses: 0,
            idle_since: Instant::now(),
        };
        let (_, greeting) = connection.reply(GREETING).await?;
        if !greeting.is_success() {
            return Err(UpstreamError::Refused(greeting));
        }
        connection.hello(hostname).await?;
        let wanted =
            matches!(upstream.tls, UpstreamTls::Starttls) || (upstream.tls == UpstreamTls::Opportunistic && connection.extensions.starttls);
        if wanted { connection.starttls(upstream, tls, hostname).await } else { Ok(connection) }
    }

    async fn hello(&mut self, hostname: &str) -> Result<(), UpstreamError> {
        self.queue(Asked::Ehlo, &["EHLO ", hostname]);
        let (_, reply) = self.round_trip(COMMAND).await?;
        if reply.is_success() {
            self.extensions = Extensions::from_ehlo(&reply);
            return Ok(());
        }
        // RFC 5321 §3.2: a server that does not know EHLO knows HELO.
        if reply.code() == 421 || reply.code() / 100 == 4 {
            return Err(UpstreamError::Refused(reply));
        }
        self.queue(Asked::Helo, &["HELO ", hostname]);
        let (_, reply) = self.round_trip(COMMAND).await?;
        if reply.is_success() { Ok(()) } else { Err(UpstreamError::Refused(reply)) }
    }

    async fn starttls(mut self, upstream: &Upstream, tls: &Arc<ClientConfig>, hostname: &str) -> Result<Connection, UpstreamError> {
        if !self.extensions.starttls {
            return Err(UpstreamError::Tls("STARTTLS is not offered".into()));
        }
        self.queue(Asked::StartTls, &["STARTTLS"]);
        let (_, reply) = self.round_trip(COMMAND).await?;
        if !reply.is_success() {
            return Err(UpstreamError::Tls("STARTTLS was refused".into()));
        }
        self.session = self.session.secured()?;
        self.stream = handshake(self.stream, upstream, tls).await?;
        self.hello(hostname).await?;
        Ok(self)
    }

    /// Puts a command line into the next write; its reply is owed from now on.
    pub fn queue(&mut self, asked: Asked, words: &[&str]) {
        for word in words {
            self.out.extend_from_slice(word.as_bytes());
        }
        self.out.extend_from_slice(b"\r\n");
        self.session.asked(asked);
    }

    /// Puts lines that another connection did not hear into the next write.
    pub fn queue_again(&mut self, asked: &[Asked], wire: &[u8]) {
        self.out.extend_from_slice(wire);
        asked.iter().for_each(|asked| self.session.asked(*asked));
    }

    /// Replies that are owed.
    pub fn owed(&self) -> usize {
        self.session.owed()
    }

    /// What waits to be written, for a connection that must be replaced before anything was heard.
    pub fn queued(&self) -> &[u8] {
        &self.out
    }

    /// Writes what was queued, in one go.
    pub async fn flush(&mut self) -> Result<(), UpstreamError> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.timer.set(DATA_BLOCK);
        let result = self.stream.write(&self.out, &mut self.timer).await;
        self.out.clear();
        if self.out.capacity() > 16 * 1024 {
            self.out = Vec::new();
        }
        result.map_err(lost)
    }

    /// The next reply if it is here already.
    pub fn ready_reply(&mut self) -> Result<Option<(Asked, Reply)>, UpstreamError> {
        Ok(self.session.next_reply()?)
    }

    /// Reads until at least one more reply may be whole.
    pub async fn receive(&mut self, within: Duration) -> Result<(), UpstreamError> {
        self.timer.set(within);
        let Connection { stream, session, timer, .. } = self;
        std::future::poll_fn(|cx| match stream.poll_read(cx, |octets| session.receive(octets)) {
            Poll::Ready(Ok(Read::Octets(()))) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(Read::End)) | Poll::Ready(Err(_)) => Poll::Ready(Err(UpstreamError::Lost)),
            Poll::Pending => timer.poll_expired(cx).map(|()| Err(UpstreamError::Timeout)),
        })
        .await
    }

    /// The next reply, waited for.
    pub async fn reply(&mut self, within: Duration) -> Result<(Asked, Reply), UpstreamError> {
        loop {
            if let Some(found) = self.ready_reply()? {
                return Ok(found);
            }
            self.receive(within).await?;
        }
    }

    pub async fn round_trip(&mut self, within: Duration) -> Result<(Asked, Reply), UpstreamError> {
        self.flush().await?;
        self.reply(within).await
    }

    /// One line that is wiped afterwards (a credential).
    pub async fn secret_line(&mut self, asked: Asked, line: &str) -> Result<Reply, UpstreamError> {
        self.flush().await?;
        let wire = zeroize::Zeroizing::new(format!("{line}\r\n"));
        self.session.asked(asked);
        self.timer.set(DATA_BLOCK);
        self.stream.write(wire.as_bytes(), &mut self.timer).await.map_err(lost)?;
        loop {
            let (answered, reply) = self.reply(COMMAND).await?;
            if answered == asked {
                return Ok(reply);
            }
        }
    }

    /// Writes content, dot-stuffed where it must be, and the end of data; the reply to it is owed.
    pub async fn content(&mut self, slices: &[&[u8]]) -> Result<(), UpstreamError> {
        self.session.asked(Asked::Final);
        // A slice may begin between a CR and its LF.
        if !slices.iter().any(|slice| data::needs_stuffing(slice) || slice.starts_with(b"\n")) {
            let ends_line = slices.last().is_none_or(|last| last.ends_with(b"\r\n"));
            let end: &[u8] = if ends_line { b".\r\n" } else { b"\r\n.\r\n" };
            let pieces: Vec<&[u8]> = slices.iter().copied().chain([end]).collect();
            return self.stream.write_slices(&pieces, &mut self.timer, DATA_BLOCK).await.map_err(lost);
        }
        let mut stuffed = data::Stuffed::new(slices).peekable();
        while stuffed.peek().is_some() {
            let pieces: Vec<&[u8]> = stuffed.by_ref().take(PIECES).collect();
            self.stream.write_slices(&pieces, &mut self.timer, DATA_BLOCK).await.map_err(lost)?;
        }
        Ok(())
    }

    /// Whether the upstream said something before it was asked: then nothing that it says is an answer.
    pub async fn spoke_early(&mut self) -> bool {
        if self.session.check_quiet().is_err() {
            return true;
        }
        if !self.stream.has_unread() {
            return false;
        }
        // Under TLS that may be no more than a ticket, which is not for us to read.
        matches!(self.stream, Stream::Plain(_)) || !matches!(self.receive(TICKET).await, Err(UpstreamError::Timeout))
    }

    /// A 4xx or 5xx that came before it was asked for, if that is what came.
    pub async fn early_refusal(&mut self) -> Option<Reply> {
        self.session.asked(Asked::Final);
        let (_, reply) = self.reply(Duration::from_secs(1)).await.ok()?;
        (reply.code() >= 400).then_some(reply)
    }

    /// Whether it can serve another client: no refusal was seen, nothing is owed, and nothing lies unread.
    pub fn is_clean(&self) -> bool {
        self.session.is_clean() && self.out.is_empty()
    }

    /// Looks, without waiting, whether the upstream has closed or spoken unasked.
    pub fn is_alive(&mut self) -> bool {
        let Connection { stream, session, .. } = self;
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        stream.poll_read(&mut cx, |octets| session.receive(octets)).is_pending() && session.check_quiet().is_ok()
    }

    /// Says QUIT and does not wait for the answer.
    pub async fn quit(mut self) {
        self.queue(Asked::Quit, &["QUIT"]);
        if self.flush().await.is_ok() {
            self.stream.close(&mut self.timer).await;
        }
    }
}

async fn handshake(stream: Stream, upstream: &Upstream, tls: &Arc<ClientConfig>) -> Result<Stream, UpstreamError> {
    let Stream::Plain(tcp) = stream else { return Err(UpstreamError::Tls("TLS is already active".into())) };
    let name = ServerName::try_from(upstream.server_name.clone()).map_err(|_| UpstreamError::Tls("server-name is no name".into()))?;
    let connected = tokio::time::timeout(DIAL, TlsConnector::from(tls.clone()).connect(name, tcp)).await;
    match connected {
        Err(_) => Err(UpstreamError::Timeout),
        Ok(Err(error)) => Err(UpstreamError::Tls(error.to_string())),
        Ok(Ok(stream)) => Ok(Stream::Client(Box::new(stream))),
    }
}

fn lost(error: std::io::Error) -> UpstreamError {
    if error.kind() == std::io::ErrorKind::TimedOut { UpstreamError::Timeout } else { UpstreamError::Lost }
}
