//! Which PostgreSQL, how it proves itself, and what it said when something failed.

use std::path::PathBuf;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::records::StoreError;

/// A database on a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// `postgres://user@host:port/database?sslmode=…`; a Unix socket as `?host=/run/postgresql`.
    pub url: String,
    pub password: Option<Zeroizing<String>>,
    /// Certificates that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
}

impl Server {
    pub fn new(url: impl Into<String>) -> Server {
        Server { url: url.into(), password: None, ca_file: None }
    }
}

/// What was being done when something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Connect,
    Statement,
}

/// What the server said, or that it said nothing. No value of a statement is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    doing: Doing,
    /// SQLSTATE; none where the connection failed.
    state: Option<String>,
    text: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let doing = match self.doing {
            Doing::Connect => "cannot be reached",
            Doing::Statement => "did not do what it was asked",
        };
        write!(f, "{doing}: {}", self.text)?;
        self.state.as_deref().map_or(Ok(()), |state| write!(f, " (SQLSTATE {state})"))
    }
}

impl Fault {
    pub(super) fn lost(doing: Doing) -> Fault {
        Fault { doing, state: None, text: "the connection was lost".into() }
    }

    pub(super) fn slow(doing: Doing) -> Fault {
        Fault { doing, state: None, text: "no answer came in time".into() }
    }

    /// Nothing can be done on this connection any more.
    pub(super) fn is_lost(&self) -> bool {
        self.state.as_deref().is_none_or(|s| s.starts_with("57P") || s.starts_with("08"))
    }

    /// A prepared statement does not fit the tables any more.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.state.as_deref(), Some("0A000" | "26000"))
    }

    /// Whether the same may succeed later. What keeps us from connecting is somebody's to mend: nothing is given up for it.
    pub(crate) fn may_pass(&self) -> bool {
        let Some(state) = self.state.as_deref() else { return true };
        self.doing == Doing::Connect
            || self.is_lost()
            || self.is_stale()
            // Serialization failure, deadlock; lock not to be had; cancelled; read-only after a failover; no disk, no memory; I/O.
            || matches!(state, "40001" | "40P01" | "55P03" | "57014" | "25006")
            || state.starts_with("53")
            || state.starts_with("58")
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        StoreError::Postgres(fault)
    }
}

#[cfg(feature = "postgres")]
impl Fault {
    pub(super) fn of(doing: Doing, error: &tokio_postgres::Error) -> Fault {
        match error.as_db_error() {
            // The detail of an error may hold values; its message does not.
            Some(said) => Fault { doing, state: Some(said.code().code().to_string()), text: said.message().to_string() },
            None => {
                let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
                Fault { doing, state: None, text: format!("{error}{source}") }
            }
        }
    }
}

#[cfg(feature = "postgres")]
impl Server {
    /// How to connect, and whom to trust. On this machine's own loopback or socket TLS may be left out; elsewhere the server proves
    /// itself by a certificate that is verified, its name included.
    pub(super) fn config(&self) -> Result<(tokio_postgres::Config, Option<rustls::ClientConfig>), StoreError> {
        use tokio_postgres::config::{Host, SslMode};
        let (url, mode) = without_mode(&self.url);
        let bad = |why: &str| StoreError::Server(why.to_string());
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| bad("it is not \"postgres://user@host/database\""))?;
        if let Some(password) = &self.password {
            config.password(password.as_bytes());
        }
        let here = config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback()),
        });
        let encrypted = match mode.as_deref() {
            None => !here,
            Some("disable") if here => false,
            Some("disable") => return Err(bad("sslmode=disable is for a server on this machine only")),
            Some("require" | "verify-full") => true,
            Some(_) => {
                return Err(bad("sslmode is \"require\" or \"verify-full\", which are the same here; on this machine also \"disable\""));
            }
        };
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let tls = if encrypted { Some(self.tls()?) } else { None };
        Ok((config, tls))
    }

    /// The system's roots and those of `ca-file`; names are held to.
    fn tls(&self) -> Result<rustls::ClientConfig, StoreError> {
        use rustls_pki_types::{CertificateDer, pem::PemObject};
        let mut roots = Vec::new();
        if let Some(path) = &self.ca_file {
            let file = |e: rustls_pki_types::pem::Error| StoreError::Server(format!("{}: {e}", path.display()));
            roots = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(file)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let made =
            rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().and_then(|builder| {
                let verifier = Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider)?);
                Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
            });
        made.map_err(|e| StoreError::Server(e.to_string()))
    }
}

/// The URL without its `sslmode`, whose words are ours.
#[cfg(feature = "postgres")]
fn without_mode(url: &str) -> (String, Option<String>) {
    let Some((front, query)) = url.split_once('?') else { return (url.into(), None) };
    let (mode, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|p| p.starts_with("sslmode="));
    let url = if rest.is_empty() { front.into() } else { format!("{front}?{}", rest.join("&")) };
    (url, mode.last().and_then(|m| m.strip_prefix("sslmode=")).map(str::to_owned))
}

/// So that a location may be had from a text.
impl From<&str> for Server {
    fn from(url: &str) -> Server {
        Server::new(url)
    }
}
