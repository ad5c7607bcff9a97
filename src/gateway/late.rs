//! Messages whose 250 came too late for their client.
//!
//! A client that left while the upstream was thinking sends the message again, and would have it delivered twice. Only where the
//! upstream's 250 was really heard, and the client ended the connection without another word, is the same login's identical
//! message to the same recipients answered with that 250 (RFC 1047 describes the problem). Kept in memory only, for a day.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::policy::{Envelope, Login};
use crate::smtp::Committed;

const KEPT: Duration = Duration::from_secs(86_400);
const MOST: usize = 10_000;

/// Names a message: who sent it, to whom, and every octet.
pub type Digest = [u8; 32];

#[derive(Default)]
pub struct Late {
    heard: Mutex<HashMap<Digest, (Instant, Committed)>>,
}

impl Late {
    /// Whether anything is remembered: asked first, since a digest costs time.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub fn remember(&self, digest: Digest, committed: Committed) {
        let mut heard = self.lock();
        let now = Instant::now();
        if heard.len() >= MOST {
            heard.retain(|_, (at, _)| now.duration_since(*at) < KEPT);
        }
        if heard.len() < MOST {
            heard.insert(digest, (now, committed));
        }
    }

    /// The answer, once: a third submission is a new message.
    pub fn take(&self, digest: &Digest) -> Option<Committed> {
        let (at, committed) = self.lock().remove(digest)?;
        (at.elapsed() < KEPT).then_some(committed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, (Instant, Committed)>> {
        self.heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The digest of a message as it came.
pub fn digest(listener: &str, login: &Login, envelope: &Envelope, content: &[u8]) -> Digest {
    let mut hash = blake3::Hasher::new();
    let mut field = |octets: &[u8]| {
        hash.update(&(octets.len() as u64).to_le_bytes());
        hash.update(octets);
    };
    field(listener.as_bytes());
    field(match login {
        Login::None => b"",
        Login::Hidden => b"?",
        Login::Known(name) => name.as_bytes(),
    });
    field(envelope.reverse_path.as_str().as_bytes());
    let mut recipients: Vec<&str> = envelope.accepted().map(|r| r.address.as_str()).collect();
    recipients.sort_unstable();
    recipients.iter().for_each(|r| field(r.as_bytes()));
    field(content);
    *hash.finalize().as_bytes()
}
