//! Accounts that the council has suspended: refused at log-in, at MAIL and, for what its author alone tells, with the content. The record
//! has a row of each message that was refused so, as what it is.

use super::admission;
use super::session::Session;
use crate::policy::{Disposition, Envelope, Login, Match, Mode, RecordLevel};
use crate::records::{Entry, Outcome, Stage};
use crate::smtp::{Reply, ReversePath, wording};

/// What stands in the record in place of a rule's id. No rule can be called so: their ids have no blank.
pub const WORD: &str = "suspended account";

/// The record's words for it.
pub(super) fn matched() -> Match {
    Match {
        rule: WORD.into(),
        title: "Suspended account".into(),
        mode: Mode::Enforce,
        clauses: Vec::new(),
        because: vec!["the council suspended the sender's account".into()],
        actions: vec!["reject"],
        overridden: None,
    }
}

impl Session {
    /// Whether this may not be sent by whoever logged in, or under this name.
    pub(super) fn is_suspended(&self, from: &ReversePath) -> bool {
        let site = self.worker.shared.site.load();
        if !site.settings.at_desk.suspends() {
            return false;
        }
        let login = match &self.login {
            Login::Known(login) => Some(login.as_str()),
            _ => None,
        };
        let sender = from.address().map(|a| a.normal());
        admission::is_suspended(self.settings(), &site.settings, sender.as_deref(), login)
    }

    /// What a suspended account hears after a log-in that was right. The upstream's connection, which is logged in, is given up.
    pub(super) fn suspended_login(&mut self, reply: &Reply, names: &[&str]) -> Option<Reply> {
        if !reply.is_success() {
            return None;
        }
        let site = self.worker.shared.site.load_full();
        let is = |name: &&str| !name.is_empty() && admission::is_suspended(self.settings(), &site.settings, None, Some(name));
        if !names.iter().any(is) {
            return None;
        }
        tracing::warn!(event = "suspended_login", listener = %self.settings().name);
        if let Some(upstream) = self.upstream.take() {
            tokio::task::spawn_local(upstream.quit());
        }
        Some(wording::ACCOUNT_SUSPENDED)
    }

    /// A row of a message that came no further than MAIL. Never waits.
    pub(super) fn record_suspended(&self, reverse_path: ReversePath) {
        let reference = self.worker.reference();
        tracing::info!(event = "message", listener = %self.settings().name, reference, disposition = "refused", rules = WORD);
        let disposition = Disposition::Reject { text: String::new() };
        self.worker.shared.metrics.listener(self.listener).message(&disposition);
        let entry = Entry {
            time: jiff::Timestamp::now(),
            reference,
            listener: self.settings().name.clone(),
            role: self.settings().role,
            envelope: Envelope { reverse_path, recipients: Vec::new() },
            rules: self.site.classes.clone(),
            message_id: None,
            subject: None,
            size: 0,
            disposition,
            matches: vec![matched()],
            facts: Default::default(),
            level: RecordLevel::Metadata,
            personal: false,
            automatic: false,
            imprint: None,
            vector: None,
            detectors: Vec::new(),
            outcome: Some(Outcome::own(wording::SENDER_SUSPENDED.code())),
            stage: Stage::Judged,
        };
        let _ = self.worker.shared.recorder.record(entry);
    }
}
