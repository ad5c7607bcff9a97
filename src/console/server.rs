//! The listener: connections counted and bounded in time, TLS with the gateway's own certificate, HTTP/1.1 and nothing else.
//!
//! A stranger can cost a connection, some kilobytes and ten seconds, no more.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Connections at one time, and of these from one address.
const MOST: usize = 256;
const MOST_FROM_ONE: usize = 64;
/// For the TLS handshake, and for the header of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of a request's header.
const HEADER: usize = 32 * 1024;
/// For what is being answered when the gateway ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// The client's address, as the handlers see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct From(pub SocketAddr);

/// Serves until `stopped` says so, then finishes what is being answered. `tls` is asked for each connection, so that a renewed
/// certificate is used at once; none serves in the clear, which the settings allow on loopback only.
pub(super) async fn serve(
    listener: TcpListener,
    tls: impl Fn() -> Option<Arc<rustls::ServerConfig>>,
    app: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(MOST));
    let callers = Arc::new(Callers::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let (tcp, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(event = "console_accept_failed", %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Whoever finds no place is closed at once: a browser tries again.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let Some(caller) = callers.enter(from.ip()) else { continue };
        let (tls, app, stopped) = (tls(), app.clone(), stopped.clone());
        tokio::spawn(async move {
            let _place = (place, caller);
            connection(tcp, from, tls, app, stopped).await;
        });
    }
}

async fn connection(tcp: TcpStream, from: SocketAddr, tls: Option<Arc<rustls::ServerConfig>>, app: Router, stopped: watch::Receiver<bool>) {
    let _ = tcp.set_nodelay(true);
    match tls {
        None => requests(tcp, from, app, stopped).await,
        Some(config) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, TlsAcceptor::from(config).accept(tcp)).await {
                requests(stream, from, app, stopped).await;
            }
        }
    }
}

async fn requests<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: T,
    from: SocketAddr,
    app: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(app.layer(axum::Extension(From(from))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(FAREWELL, connection).await;
}

/// Who is connected how often.
#[derive(Default)]
struct Callers(Mutex<HashMap<IpAddr, usize>>);

/// One connection of a caller, counted for as long as it lives.
struct Caller {
    callers: Arc<Callers>,
    address: IpAddr,
}

impl Callers {
    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Caller> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(address).or_default();
        if *count == MOST_FROM_ONE {
            return None;
        }
        *count += 1;
        Some(Caller { callers: self.clone(), address })
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let mut all = self.callers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.address);
            }
        }
    }
}
