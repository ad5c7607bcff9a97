//! Answers to the gateway's questions: taken where only the council's own people send, never passed on.
//!
//! The address has a token that nobody can guess; besides, the answer must be its sender's own: the log-in's on submission, on a
//! connector a message of the council's whose author and reverse path are the same. Programs do not answer (RFC 3834).

use super::admission;
use super::custody::is_login_of;
use super::session::Session;
use crate::config::settings::Role;
use crate::message::RawMessage;
use crate::message::view::View;
use crate::outbox::{Answered, held};
use crate::policy::Envelope;
use crate::policy::detect::{automatic, recipients};
use crate::smtp::{Address, Answer, Committed, wording};

/// Octets of an answer that are read.
const MOST_TEXT: usize = 8_192;

impl Session {
    /// The token, where mail to this address is an answer.
    pub(super) fn answer_token(&self, to: &Address) -> Option<String> {
        let settings = &self.site.settings;
        if self.settings().role == Role::Mx || self.worker.shared.outbox.is_none() {
            return None;
        }
        held::token_in(&settings.outbox.as_ref()?.answers, to)
    }

    /// Takes the message as an answer to each of these. What its client hears.
    pub(super) async fn answered(&self, tokens: Vec<String>, message: &RawMessage, envelope: &Envelope) -> Answer {
        let Some(by) = self.proven_author(message, envelope) else { return Answer::Reply(wording::ANSWER_HERE_ONLY) };
        let view = View::new(message.as_bytes());
        let mut text = view.body_text().new.clone();
        if text.len() > MOST_TEXT {
            let cut = (0..=MOST_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
        }
        let Some(outbox) = self.worker.shared.outbox.clone() else { return Answer::Reply(wording::CUSTODY_FAULT) };
        let mut said: Option<Committed> = None;
        // An out-of-office is no answer; it is taken, so that nobody hears of a failure.
        if automatic::kind(&view, envelope.reverse_path.address().is_none()).is_some() {
            tracing::info!(event = "answer_ignored", "an automatic message is no answer");
            return Answer::Dropped;
        }
        for token in tokens {
            match outbox.answer(Answered { token, by: by.clone(), text: text.clone(), chosen: None }).await {
                Ok((_, proof)) => said = Some(Committed::kept(proof, wording::ANSWER_TAKEN)),
                Err(error) => {
                    tracing::error!(event = "answer_failed", %error);
                    return Answer::Reply(wording::CUSTODY_FAULT);
                }
            }
        }
        said.map_or(Answer::Reply(wording::LOCAL_FAULT), Answer::Committed)
    }

    /// Whose message this is, where that is sure.
    fn proven_author(&self, message: &RawMessage, envelope: &Envelope) -> Option<String> {
        let view = View::new(message.as_bytes());
        let authors = recipients::named(&view, &["From"]);
        let [(author, _)] = authors.as_slice() else { return None };
        let reverse_path = envelope.reverse_path.address()?.normal();
        if reverse_path != *author || !self.site.settings.policy.is_council(crate::policy::people::domain_of(author)) {
            return None;
        }
        let proven = match self.settings().role {
            Role::Submission => is_login_of(&self.login, author) || (!self.peer.upstream_has_auth && self.peer.address.is_loopback()),
            Role::Connector => admission::content(self.settings(), &self.peer, self.header_is_right(&view), true, true).is_none(),
            Role::Mx => false,
        };
        proven.then(|| author.clone())
    }

    fn header_is_right(&self, view: &View<'_>) -> bool {
        admission::header_is_right(self.settings(), view)
    }
}

/// Whether nobody else is to get the message.
pub(super) fn is_for_us_alone(envelope: &Envelope) -> bool {
    envelope.accepted().next().is_none()
}
