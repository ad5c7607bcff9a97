//! A connection with or without TLS, read through one buffer for all sessions of a thread, so that an idle one holds none.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use super::timer::Timer;

/// Octets that one read may bring.
const READ: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

pub enum Stream {
    Plain(TcpStream),
    Server(Box<server::TlsStream<TcpStream>>),
    Client(Box<client::TlsStream<TcpStream>>),
    /// Nothing: while a handshake has the socket, or after it failed.
    None,
}

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// Octets came, and this was made of them.
    Octets(T),
    /// The peer will send no more.
    End,
}

impl Stream {
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Stream::Plain(tcp) => Some(tcp),
            Stream::Server(tls) => Some(tls.get_ref().0),
            Stream::Client(tls) => Some(tls.get_ref().0),
            Stream::None => None,
        }
    }

    /// Whether octets (or the end) have come that nobody has read: asked of the kernel, without waiting.
    pub fn has_unread(&self) -> bool {
        let Some(tcp) = self.tcp() else { return false };
        let mut one = [std::mem::MaybeUninit::uninit()];
        socket2::SockRef::from(tcp).peek(&mut one).is_ok()
    }

    /// Reads once and gives the octets to `take`.
    pub fn poll_read<T>(&mut self, cx: &mut Context<'_>, take: impl FnOnce(&[u8]) -> T) -> Poll<io::Result<Read<T>>> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            ready!(self.pinned_read(cx, &mut read))?;
            let octets = read.filled();
            Poll::Ready(Ok(if octets.is_empty() { Read::End } else { Read::Octets(take(octets)) }))
        })
    }

    fn pinned_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Stream::Server(tls) => Pin::new(tls).poll_read(cx, buffer),
            Stream::Client(tls) => Pin::new(tls).poll_read(cx, buffer),
            Stream::None => Poll::Ready(Ok(())),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(cx, octets),
            Stream::Server(tls) => Pin::new(tls).poll_write(cx, octets),
            Stream::Client(tls) => Pin::new(tls).poll_write(cx, octets),
            Stream::None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Plain(_) | Stream::None => Poll::Ready(Ok(())),
            Stream::Server(tls) => Pin::new(tls).poll_flush(cx),
            Stream::Client(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    /// Writes all of `octets`; times out when nothing moves until `timer` expires.
    pub async fn write(&mut self, octets: &[u8], timer: &mut Timer) -> io::Result<()> {
        let mut rest = octets;
        std::future::poll_fn(|cx| {
            while !rest.is_empty() {
                match self.poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => rest = &rest[n..],
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return timed_out(timer, cx),
                }
            }
            match self.poll_flush(cx) {
                Poll::Pending => timed_out(timer, cx),
                ready => ready,
            }
        })
        .await
    }

    /// Writes all of `slices`, in as few system calls as may be. `progress` moves the deadline on as octets leave.
    pub async fn write_slices(&mut self, slices: &[&[u8]], timer: &mut Timer, block: std::time::Duration) -> io::Result<()> {
        if !matches!(self, Stream::Plain(_)) {
            // TLS gathers small pieces into one record by itself only within one write: small messages go as one.
            let total: usize = slices.iter().map(|s| s.len()).sum();
            timer.set(block);
            if total <= READ {
                return self.write(&slices.concat(), timer).await;
            }
            for slice in slices {
                for piece in slice.chunks(READ) {
                    timer.set(block);
                    self.write(piece, timer).await?;
                }
            }
            return Ok(());
        }
        timer.set(block);
        let mut vectors: Vec<IoSlice<'_>> = slices.iter().map(|s| IoSlice::new(s)).collect();
        let mut left = &mut vectors[..];
        IoSlice::advance_slices(&mut left, 0);
        std::future::poll_fn(|cx| {
            while !left.is_empty() {
                let Stream::Plain(tcp) = self else { return Poll::Ready(Err(io::ErrorKind::Unsupported.into())) };
                match Pin::new(tcp).poll_write_vectored(cx, left) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(n)) => {
                        IoSlice::advance_slices(&mut left, n);
                        if !left.is_empty() {
                            timer.set(block);
                        }
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return timed_out(timer, cx),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Says goodbye as the protocol wants it; errors do not matter any more.
    pub async fn close(&mut self, timer: &mut Timer) {
        timer.set(std::time::Duration::from_secs(5));
        std::future::poll_fn(|cx| {
            let closed = match self {
                Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
                Stream::Server(tls) => Pin::new(tls).poll_shutdown(cx),
                Stream::Client(tls) => Pin::new(tls).poll_shutdown(cx),
                Stream::None => Poll::Ready(Ok(())),
            };
            if closed.is_ready() || timer.poll_expired(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

fn timed_out<T>(timer: &mut Timer, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
    timer.poll_expired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
}
