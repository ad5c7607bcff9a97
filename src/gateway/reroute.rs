//! The upstream's transaction, made into the one that the verdict wants: copies, redirects, a promise of TLS.
//!
//! All of it is settled before a byte of content goes upstream, in the same session and under the same log-in. Where the upstream
//! does not take it, nothing is sent and the client keeps its message: a copy that the policy asks for is not silently left out.

use super::session::Session;
use crate::config::settings::UpstreamTls;
use crate::policy::{Envelope, Route};
use crate::smtp::client::Asked;
use crate::smtp::{Reply, wording};
use crate::transport::UpstreamError;
use crate::transport::connection::COMMAND;

/// The parameters of the client's transaction, verbatim, for an envelope that is said again.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub mail: Box<str>,
    /// One for each RCPT, also those that were refused.
    pub rcpt: Vec<Box<str>>,
}

impl Session {
    /// The error is what the client hears; the upstream's transaction is over then.
    pub(super) async fn reroute(&mut self, envelope: &Envelope, route: &Route) -> Result<(), Reply> {
        let accepted = envelope.recipients.iter().enumerate().filter(|(_, r)| r.is_accepted()).map(|(i, r)| (i, &r.address));
        let mut legs = route.legs(accepted);
        if route.is_another() {
            let Some(upstream) = &self.upstream else { return Err(wording::UPSTREAM_LOST) };
            // RFC 8689 §4.1: only where the next hop's certificate was checked.
            let checked =
                matches!(self.site.settings.upstreams[self.settings().upstream].tls, UpstreamTls::Starttls | UpstreamTls::Implicit);
            if route.require_tls && !(upstream.extensions.require_tls && checked) {
                self.reset_upstream().await;
                return Err(wording::NO_PROMISE_OF_TLS);
            }
            self.reset_upstream().await;
            let parameters = self.said.mail.clone();
            // RFC 8689 §2.
            let promise = if route.require_tls { " REQUIRETLS" } else { "" };
            let path = envelope.reverse_path.as_str();
            self.ask(Asked::Mail, &["MAIL FROM:<", path, ">", &parameters, promise]).await?;
        } else {
            // The client's own recipients stand already.
            legs.retain(|leg| leg.stands_for.is_none());
        }
        for leg in &legs {
            let parameters = leg.stands_for.and_then(|i| self.said.rcpt.get(i)).cloned().unwrap_or_default();
            // Nobody is to hear from a mail system that a copy exists (RFC 3461 §4.1). Where it goes instead of to its recipients it is
            // the message itself: were nobody told that it failed, it would be lost.
            let is_copy = leg.stands_for.is_none() && route.redirect.iter().all(|to| to.normal() != leg.address.normal());
            let silent = is_copy && self.upstream.as_ref().is_some_and(|u| u.extensions.dsn);
            let notify = if silent { " NOTIFY=NEVER" } else { "" };
            self.ask(Asked::Rcpt, &["RCPT TO:<", leg.address.as_str(), ">", &parameters, notify]).await?;
        }
        Ok(())
    }

    /// One command of ours, answered with 2xx.
    async fn ask(&mut self, asked: Asked, words: &[&str]) -> Result<(), Reply> {
        let Some(upstream) = &mut self.upstream else { return Err(wording::UPSTREAM_LOST) };
        upstream.queue(asked, words);
        let mut heard = upstream.round_trip(COMMAND).await;
        // Replies to an earlier RSET or NOOP come first.
        while matches!(heard, Ok((Asked::Rset | Asked::Noop, _))) {
            heard = upstream.reply(COMMAND).await;
        }
        match heard {
            Ok((answered, reply)) if answered == asked && reply.is_success() => Ok(()),
            Ok((_, reply)) => {
                tracing::error!(event = "reroute_refused", listener = %self.settings().name, code = reply.code());
                self.reset_upstream().await;
                Err(wording::REROUTE_REFUSED)
            }
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn lost(&mut self, error: &UpstreamError) -> Reply {
        self.lose_upstream(error);
        error.reply()
    }
}
