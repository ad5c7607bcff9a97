//! What the record hears of mail in custody: a row for each answer of an upstream, under the reference of the message.

use std::sync::{Arc, Weak};

use super::site::Shared;
use crate::config::settings::Role;
use crate::outbox;
use crate::policy::{Disposition, Envelope, Recipient, RecordLevel};
use crate::records::custody::{Fate, Parcel, Record};
use crate::records::{Entry, Outcome, Stage};
use crate::smtp::address::Charset;
use crate::smtp::{Address, ReversePath};

/// Holds the gateway weakly: the outbox, which has this, is part of it.
pub struct Chronicle(Weak<Shared>);

impl Chronicle {
    pub fn of(shared: &Arc<Shared>) -> Arc<Chronicle> {
        Arc::new(Chronicle(Arc::downgrade(shared)))
    }
}

impl outbox::Chronicle for Chronicle {
    fn answered(&self, parcel: &Parcel, fates: &[(usize, Fate)]) {
        let Some(shared) = self.0.upgrade() else { return };
        let sheet = &parcel.sheet;
        let site = shared.site.load_full();
        let mut last = String::new();
        let mut recipients = Vec::with_capacity(fates.len());
        for (index, fate) in fates {
            let Some(address) = sheet.recipients.get(*index).and_then(|r| Address::parse(&r.address, Charset::Utf8).ok()) else { continue };
            let (reply, code) = match fate {
                Fate::Delivered { reply } | Fate::Refused { reply } | Fate::Later { reply } => (reply, code_of(reply)),
                // RFC 3463 §3.5: the time was over.
                Fate::Expired { reply } => (reply, 554),
                Fate::Waiting => continue,
            };
            last.clone_from(reply);
            recipients.push(Recipient { address, reply_code: code });
        }
        let Some(first) = recipients.first() else { return };
        let outcome = Outcome { code: first.reply_code, upstream_reply: Some(last).filter(|l| !l.is_empty()) };
        let reverse_path = match Address::parse(&sheet.reverse_path, Charset::Utf8) {
            Ok(address) => ReversePath::Address(address),
            Err(_) => ReversePath::Null,
        };
        let listener = site.settings.listeners.iter().find(|l| *l.name == *sheet.listener);
        let keeps_subject = site.settings.monitoring.as_ref().is_some_and(|m| m.subject);
        let entry = Entry {
            time: jiff::Timestamp::now(),
            reference: sheet.reference.clone(),
            listener: sheet.listener.as_str().into(),
            role: listener.map_or(Role::Connector, |l| l.role),
            envelope: Envelope { reverse_path, recipients },
            rules: site.classes.clone(),
            message_id: sheet.origin.message_id.clone(),
            subject: sheet.origin.subject.clone().filter(|_| keeps_subject),
            size: sheet.origin.size,
            disposition: Disposition::Deliver,
            matches: Vec::new(),
            facts: Default::default(),
            level: match sheet.origin.record {
                Record::Nothing => RecordLevel::Nothing,
                Record::Count => RecordLevel::Count,
                Record::Row => RecordLevel::Metadata,
            },
            personal: sheet.origin.personal,
            automatic: !sheet.origin.tell_sender,
            imprint: None,
            vector: None,
            detectors: Vec::new(),
            outcome: Some(outcome),
            stage: Stage::Answered,
        };
        // What the queue cannot take is counted there.
        let _ = shared.recorder.record(entry);
    }
}

fn code_of(reply: &str) -> u16 {
    reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
}
