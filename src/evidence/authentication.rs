//! Who really sent it: SPF (RFC 7208), DKIM (RFC 6376, RFC 8301) and DMARC (RFC 7489 and its successor), by mail-auth.
//!
//! - `spf` is that of MAIL FROM, or of HELO where that is empty. Softfail, neutral and a record that cannot be read say nothing
//!   either way (RFC 7208 §2.6, §8.5): *none*.
//! - `dkim` is that of the author's own domain: a stranger's good signature proves nothing. *fail* where such signatures are there
//!   and none holds; by itself no reason to refuse (RFC 6376 §6.1).
//! - `dmarc` is *none* where the author's domain publishes no policy.
//! - What the DNS could not say just now is unknown, never *none*.
//!
//! Hostile mail pays for itself only: a few signatures of the author's domain are looked at, none with more fields than a real one
//! has, and all look-ups together have one time limit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mail_auth::common::crypto::Algorithm;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, MessageAuthenticator, SpfOutput, SpfResult};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::dns::{self, ResolverError};
use crate::config::settings::Dns;
use crate::message::RawMessage;
use crate::policy::alignment::is_aligned;
use crate::policy::outside::{Authentication, Fact};

/// Signatures of the author's domain that are tried: one for each kind of key, and one more for a change of keys.
const SIGNATURES: usize = 4;
/// Fields that a signature may cover, and fields of a message that has signatures tried: each signed name is looked for among all.
const COVERED: usize = 200;
const FIELDS: usize = 2_000;
/// Octets above which the hash of a body is worked out apart.
const LARGE: usize = 1024 * 1024;
/// Octets of a header whose signatures are tried.
const HEADER: usize = 512 * 1024;

/// Asks the DNS about mail, for all threads.
#[derive(Clone)]
pub struct Authenticator {
    resolver: MessageAuthenticator,
    timeout: Duration,
    /// The gateway's own name, for macros in SPF explanations.
    hostname: Arc<str>,
    /// Where look-ups run, so that a connection to a name server never outlives its runtime.
    runtime: Option<Handle>,
}

/// What the three look-ups found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    pub spf: Fact<Authentication>,
    pub dkim: Fact<Authentication>,
    pub dmarc: Fact<Authentication>,
}

/// Whom a message claims to come from.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The other end of the connection; none where it is the council's own provider, whose address says nothing of the author.
    pub peer: Option<IpAddr>,
    pub hello: String,
    /// The reverse path, empty for `<>`.
    pub reverse_path: String,
    /// Domains of the From authors, in normal form, each once.
    pub author_domains: Vec<String>,
}

impl Authenticated {
    /// Nothing to look up: there is no claim that the DNS could bear out.
    pub fn nothing() -> Authenticated {
        let none = || Fact::Known(Authentication::None);
        Authenticated { spf: none(), dkim: none(), dmarc: none() }
    }

    fn unknown(why: &str) -> Authenticated {
        Authenticated { spf: Fact::unknown(why), dkim: Fact::unknown(why), dmarc: Fact::unknown(why) }
    }
}

const TOO_LONG: &str = "the DNS did not answer in time";

impl Authenticator {
    /// Look-ups run on the runtime that this is called on.
    pub fn new(settings: &Dns, hostname: &str) -> Result<Authenticator, ResolverError> {
        Ok(Authenticator {
            resolver: MessageAuthenticator(dns::resolver(settings)?),
            timeout: settings.timeout,
            hostname: hostname.into(),
            runtime: Handle::try_current().ok(),
        })
    }

    /// All three, within the time limit. When this returns nothing holds on to `message`.
    pub async fn authenticate(&self, message: Arc<RawMessage>, claims: Claims) -> Authenticated {
        let Some(runtime) = &self.runtime else { return Authenticated::unknown("nothing here can ask the DNS") };
        let this = self.clone();
        let mut asking = runtime.spawn(async move { this.ask(&message, &claims).await });
        match tokio::time::timeout(self.timeout, &mut asking).await {
            Ok(Ok(found)) => found,
            // A task that panicked or was ended with its runtime.
            Ok(Err(_)) => Authenticated::unknown("the look-ups in the DNS failed"),
            Err(_) => {
                asking.abort();
                let _ = asking.await;
                Authenticated::unknown(TOO_LONG)
            }
        }
    }

    async fn ask(&self, message: &RawMessage, claims: &Claims) -> Authenticated {
        let spf = self.spf(claims).await;
        let parsed = apart(message.len(), || parse(message, claims));
        let (dkim, unhandled) = match &parsed {
            Some((parsed, unhandled)) => (self.resolver.verify_dkim(parsed).await, *unhandled),
            None => (Vec::new(), 0),
        };
        let dmarc = match (&parsed, claims.author_domains.as_slice()) {
            (Some((parsed, _)), [_]) => self.dmarc(parsed, &dkim, spf.as_ref(), claims).await,
            // Several domains: none of them can be held to be the author's, which is as good as forged (RFC 7489 §6.6.1).
            (_, [_, _, ..]) => Fact::Known(Authentication::Fail),
            _ => Fact::Known(Authentication::None),
        };
        Authenticated { spf: spf.as_ref().map_or(Fact::Known(Authentication::None), of_spf), dkim: of_dkim(&dkim, unhandled), dmarc }
    }

    /// None where there is no address to hold against a record.
    async fn spf(&self, claims: &Claims) -> Option<SpfOutput> {
        let peer = claims.peer?.to_canonical();
        let parameters = if claims.reverse_path.is_empty() {
            SpfParameters::verify_ehlo(peer, &claims.hello, &self.hostname)
        } else {
            SpfParameters::verify_mail_from(peer, &claims.hello, &self.hostname, &claims.reverse_path)
        };
        Some(self.resolver.verify_spf(parameters).await)
    }

    async fn dmarc(
        &self,
        message: &AuthenticatedMessage<'_>,
        dkim: &[DkimOutput<'_>],
        spf: Option<&SpfOutput>,
        claims: &Claims,
    ) -> Fact<Authentication> {
        let nothing = SpfOutput::new(String::new());
        let domain = match claims.reverse_path.rsplit_once('@') {
            Some((_, domain)) => domain,
            None => &claims.hello,
        };
        let parameters = DmarcParameters::new(message, dkim, domain, spf.unwrap_or(&nothing));
        match self.resolver.verify_dmarc(parameters).await.result() {
            DmarcResult::Pass => Fact::Known(Authentication::Pass),
            // Behind a provider SPF cannot be told, and so not that both have failed.
            DmarcResult::Fail(_) if spf.is_none() => Fact::Known(Authentication::None),
            DmarcResult::Fail(_) => Fact::Known(Authentication::Fail),
            DmarcResult::TempError(_) => Fact::unknown("the DNS could not say what the author's domain wants (DMARC)"),
            DmarcResult::PermError(_) | DmarcResult::None => Fact::Known(Authentication::None),
        }
    }
}

/// The message as mail-auth reads it, with the author as the rest of the gateway reads it and with signatures of the author's domain
/// only; and how many of those are too many or too large to be tried.
fn parse<'m>(message: &'m RawMessage, claims: &Claims) -> Option<(AuthenticatedMessage<'m>, usize)> {
    let [author] = claims.author_domains.as_slice() else { return None };
    // Strict: a signature that covers only the beginning of the body (l=) lets anybody write the rest.
    let mut parsed = AuthenticatedMessage::parse_with_opts(message.as_bytes(), None, true)?;
    let small = parsed.headers.len() <= FIELDS && parsed.body_offset as usize <= HEADER;
    // The author is the one that the rules judge, whatever another reader makes of the field.
    parsed.from = vec![format!("author@{author}")];
    // What cannot be read as a signature at all, or covers a part of the body, may have been meant as the author's.
    let broken = parsed.errors.drain(..).filter(|e| names_domain(e.value, author)).count();
    parsed.dkim_headers.retain(|h| is_aligned(&h.header.d, author));
    let all = parsed.dkim_headers.len();
    parsed.dkim_headers.retain(|h| {
        let names = &h.header.h;
        small
            && names.len() <= COVERED
            // RFC 6376 §5.4: From must be covered; RFC 8301 §3.1: SHA-1 proves nothing any more.
            && names.iter().any(|n| n.eq_ignore_ascii_case("From"))
            && h.header.a != Algorithm::RsaSha1
    });
    parsed.dkim_headers.truncate(SIGNATURES);
    for header in &mut parsed.dkim_headers {
        // Reports (RFC 6651) and third parties (RFC 6541) would be further look-ups that nothing here is done with.
        (header.header.r, header.header.atps) = (false, None);
    }
    let unhandled = broken + all - parsed.dkim_headers.len();
    Some((parsed, unhandled))
}

/// Whether the tags of a signature name a domain of the author's.
fn names_domain(tags: &[u8], author: &str) -> bool {
    let tags: String = tags.iter().take(HEADER).filter(|b| b.is_ascii_graphic()).map(|b| *b as char).collect();
    tags.split(';').filter_map(|t| t.strip_prefix("d=")).any(|d| is_aligned(d, author))
}

/// The hash of a large body takes long enough for others to notice.
fn apart<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    let shared = Handle::try_current().is_ok_and(|h| h.runtime_flavor() == RuntimeFlavor::MultiThread);
    if octets > LARGE && shared { tokio::task::block_in_place(work) } else { work() }
}

fn of_spf(output: &SpfOutput) -> Fact<Authentication> {
    match output.result() {
        SpfResult::Pass => Fact::Known(Authentication::Pass),
        SpfResult::Fail => Fact::Known(Authentication::Fail),
        SpfResult::SoftFail | SpfResult::Neutral | SpfResult::PermError | SpfResult::None => Fact::Known(Authentication::None),
        SpfResult::TempError => Fact::unknown("the DNS could not say who may send for that domain (SPF)"),
    }
}

/// One good signature is enough; where none is, one that could not be told leaves it open.
fn of_dkim(outputs: &[DkimOutput<'_>], unhandled: usize) -> Fact<Authentication> {
    let any = |test: fn(&DkimResult) -> bool| outputs.iter().any(|o| test(o.result()));
    if any(|r| *r == DkimResult::Pass) {
        Fact::Known(Authentication::Pass)
    } else if any(|r| matches!(r, DkimResult::TempError(_))) {
        Fact::unknown("the DNS did not give the key of a signature (DKIM)")
    } else if !outputs.is_empty() || unhandled > 0 {
        Fact::Known(Authentication::Fail)
    } else {
        Fact::Known(Authentication::None)
    }
}
