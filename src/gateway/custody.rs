//! Custody instead of the upstream: a message that is held, or that leaves as copies.
//!
//! Nothing of it goes upstream, and its client hears 250 only when message and notices are on the disk. What is frozen here leaves
//! later as it would leave now; only the council's signature and the stamp are made when it does.

use std::time::Duration;

use super::journey::Judged;
use super::late;
use super::session::Session;
use crate::config::settings::Role;
use crate::message::EditPlan;
use crate::outbox::{Care, HeldNews, ToKeep, Told, estimate, held};
use crate::policy::people::Class;
use crate::policy::reply::kept;
use crate::policy::verdict::Held;
use crate::policy::{self, Disposition, Mode, Notice, Person, RecordLevel};
use crate::records::custody::{Deposit, Hold, Kind, NewParcel, Origin, Recipient, Record, RuleNote, Sheet, SplitCopy, State};
use crate::records::sealing::random_octets;
use crate::records::{Outcome, StoreError};
use crate::smtp::{Answer, Committed, wording};

/// The longest time before its end at which people are warned.
const WARNING: Duration = Duration::from_secs(86_400);
/// How long delivery is tried (RFC 5321 §4.5.4.1).
const GIVES_UP: Duration = Duration::from_secs(5 * 86_400);

impl Session {
    /// Steps 5 to 7 of the journey for a message that the gateway takes into its own care.
    pub(super) async fn take_into_custody(&mut self, mut judged: Judged, reference: &str, now: &jiff::Zoned) -> Answer {
        let shared = self.worker.shared.clone();
        self.reset_upstream().await;
        let Some(outbox) = shared.outbox.clone() else { return Answer::Reply(wording::CUSTODY_FAULT) };
        let ticket = match self.reserve(&mut judged, reference, now.timestamp()).await {
            Ok(ticket) => ticket,
            Err(error) => {
                tracing::error!(event = "record_failed", %error);
                return Answer::Reply(wording::RECORD_FAULT);
            }
        };
        let digest = late::digest(&self.settings().name, &self.login, &judged.envelope, judged.message.as_bytes());
        let held = match &judged.verdict.disposition {
            Disposition::Hold { held, .. } => Some(held.clone()),
            _ => None,
        };
        let (parcels, care) = match self.parcels(&judged, held.as_ref(), reference, now, &digest) {
            Ok(made) => made,
            Err(error) => {
                tracing::error!(event = "custody_failed", %error);
                return Answer::Reply(wording::CUSTODY_FAULT);
            }
        };
        let copies = parcels.iter().filter(|p| p.state == State::Waiting).count();
        let told = self.telling(&mut judged, reference, now, care);
        let content = judged.message.as_bytes().to_vec();
        let deposit = Deposit { kind: Kind::Mail, content, parcels, told: Vec::new() };
        let outcome = match outbox.keep(ToKeep { deposit, told, once: digest.to_vec() }).await {
            Ok(proof) => Ok(Committed::kept(proof, kept(held.as_ref(), copies, reference))),
            Err(StoreError::QueueFull) => Err(wording::CUSTODY_FULL),
            Err(_) => Err(wording::CUSTODY_FAULT),
        };
        let end = Outcome::own(match &outcome {
            Ok(committed) => committed.reply().code(),
            Err(reply) => reply.code(),
        });
        match ticket {
            Some(ticket) => shared.recorder.complete(ticket, end),
            None => self.record(judged, reference, now.timestamp(), end),
        }
        outcome.map_or_else(Answer::Reply, Answer::Committed)
    }

    /// What is made of the message, and what is to be said of it.
    fn parcels(
        &self,
        judged: &Judged,
        held: Option<&Held>,
        reference: &str,
        now: &jiff::Zoned,
        once: &late::Digest,
    ) -> Result<(Vec<NewParcel>, Care), StoreError> {
        let at = now.timestamp().as_millisecond();
        let sheet = self.sheet(judged, reference, at);
        let dressed = |plan: &EditPlan| {
            let mut plan = plan.clone();
            self.dress(&mut plan, judged, reference, now);
            (&plan).into()
        };
        let alternatives = &judged.verdict.alternatives;
        let accepted = judged.envelope.recipients.iter().enumerate().filter(|(_, r)| r.is_accepted()).map(|(i, r)| (i, &r.address));
        let legs = judged.verdict.route.legs(accepted);
        let mut copies = Vec::new();
        let mut inside = Vec::new();
        for (leg, recipient) in legs.iter().zip(&sheet.recipients) {
            let to = (recipient.address.clone(), recipient.parameters.clone());
            let own = leg.stands_for.and_then(|i| alternatives.copies.iter().find(|(index, _)| *index == i));
            match own {
                Some((_, plan)) => copies.push(SplitCopy { recipients: vec![to], plan: dressed(plan), sign: alternatives.sign }),
                None => inside.push(to),
            }
        }
        if let Some(hidden) = alternatives.hidden.as_ref().filter(|_| !inside.is_empty() && !copies.is_empty()) {
            copies.push(SplitCopy { recipients: inside, plan: dressed(hidden), sign: alternatives.sign });
        }
        let Some(held) = held else {
            let upstream = &self.site.settings.upstreams[self.settings().upstream];
            let care = Care::Split { copies: copies.len(), takes: estimate(&upstream.pacing, copies.len()) };
            return Ok((held::split(&sheet, copies, at, GIVES_UP), care));
        };
        let within = Duration::from_secs(held.within).min(self.site.settings.records.retention.held);
        let ends = at.saturating_add(i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 4));
        let warning = i64::try_from(WARNING.min(within / 3).as_millis()).unwrap_or(0);
        let secret: [u8; 16] = random_octets()?;
        let key: String = secret.iter().map(|b| format!("{b:02x}")).collect();
        let token = held::answer_token(&key);
        let hold = Hold {
            by: held.by.iter().map(|p| p.word().to_string()).collect(),
            release_at_end: held.release,
            leave: if judged.verdict.splits() { "separately".into() } else { String::new() },
            token: held::token_digest(&token),
            once: once.to_vec(),
            hidden: alternatives.hidden.as_ref().filter(|_| held.by.contains(&Person::Sender)).map(dressed),
            sign: alternatives.sign,
            copies,
            ..Hold::default()
        };
        let sheet = Sheet { plan: dressed(&judged.verdict.plan), hold: Some(hold), ..sheet };
        let news = HeldNews {
            by: held.by.clone(),
            until: jiff::Timestamp::from_millisecond(ends).unwrap_or_default().to_zoned(now.time_zone().clone()),
            release_at_end: held.release,
            offered: held::offered(&sheet),
            page: self.site.settings.console.as_ref().and_then(|c| c.url.as_ref()).map(|url| format!("{url}/confirm/{key}")),
            answers: self.site.settings.outbox.as_ref().map_or_else(String::new, |o| held::answer_address(&o.answers, &token)),
        };
        let parcel = NewParcel { id: None, state: State::Held, due: ends - warning, ends, sheet };
        Ok((vec![parcel], Care::Held(news)))
    }

    /// What all parcels of the message share; its recipients are those of the route.
    fn sheet(&self, judged: &Judged, reference: &str, taken: i64) -> Sheet {
        let accepted = judged.envelope.recipients.iter().enumerate().filter(|(_, r)| r.is_accepted()).map(|(i, r)| (i, &r.address));
        let route = &judged.verdict.route;
        let recipients = route.legs(accepted).into_iter().map(|leg| {
            let parameters = match leg.stands_for {
                Some(index) => self.said.rcpt.get(index).map(|p| p.to_string()).unwrap_or_default(),
                // Nobody is to hear from a mail system that a copy exists (RFC 3461 §4.1).
                None if route.redirect.iter().all(|to| to.normal() != leg.address.normal()) => " NOTIFY=NEVER".into(),
                None => String::new(),
            };
            Recipient { address: leg.address.as_str().to_string(), parameters, state: Default::default() }
        });
        let settings = &self.site.settings;
        let rules = judged.verdict.matches.iter().filter(|m| m.mode == Mode::Enforce && m.overridden.is_none());
        Sheet {
            reference: reference.into(),
            taken,
            reverse_path: judged.envelope.reverse_path.as_str().to_string(),
            mail_parameters: self.said.mail.to_string(),
            recipients: recipients.collect(),
            sign: judged.verdict.sign,
            require_tls: route.require_tls,
            upstream: settings.upstreams[self.settings().upstream].name.to_string(),
            listener: self.settings().name.to_string(),
            origin: Origin {
                sender: judged.sender.clone(),
                message_id: judged.message_id.clone(),
                subject: Some(judged.subject_text()),
                size: judged.size,
                tell_sender: self.may_tell_sender(judged),
                record: match judged.verdict.record {
                    RecordLevel::Nothing => Record::Nothing,
                    RecordLevel::Count => Record::Count,
                    RecordLevel::Metadata | RecordLevel::Evidence => Record::Row,
                },
                personal: judged.verdict.personal,
                rules: rules
                    .map(|m| RuleNote {
                        id: m.rule.to_string(),
                        title: m.title.to_string(),
                        clauses: m.clauses.iter().map(|c| c.to_string()).collect(),
                        because: m.because.clone(),
                    })
                    .collect(),
            },
            ..Sheet::default()
        }
    }

    /// No backscatter: only to the council's own, and to no program (RFC 3834 §2).
    fn may_tell_sender(&self, judged: &Judged) -> bool {
        self.settings().role != Role::Mx
            && !judged.verdict.automatic
            && self.site.settings.policy.classify(&judged.sender) == Class::Internal
    }

    /// What people are to hear of it.
    fn telling(&self, judged: &mut Judged, reference: &str, now: &jiff::Zoned, care: Care) -> Option<Told> {
        if matches!(care, Care::Split { .. }) && self.may_tell_sender(judged) {
            let rule = judged.verdict.matches.iter().find(|m| m.actions.contains(&"hide-recipients"));
            let known = judged.verdict.notices.iter().any(|n| n.person == Person::Sender);
            if let Some(rule) = rule.filter(|_| !known) {
                let (to, text) = (judged.sender.clone(), rule.title.to_string());
                judged.verdict.notices.push(Notice { person: Person::Sender, to, rule: rule.rule.clone(), text, every: None });
            }
        }
        let mut told = self.told(judged, reference, now.clone())?;
        told.care = Some(care);
        Some(told)
    }

    /// Whether the message is one that the gateway takes into its own care.
    pub(super) fn is_to_be_kept(judged: &Judged) -> bool {
        match judged.verdict.disposition {
            Disposition::Hold { .. } => true,
            Disposition::Deliver => judged.verdict.splits(),
            _ => false,
        }
    }
}

/// Whether a log-in is known to be this address, or may be since the mechanism hid it.
pub(super) fn is_login_of(login: &policy::Login, address: &str) -> bool {
    match login {
        policy::Login::Hidden => true,
        policy::Login::Known(name) => {
            crate::smtp::Address::parse(name.trim(), crate::smtp::address::Charset::Utf8).is_ok_and(|login| login.normal() == address)
        }
        policy::Login::None => false,
    }
}
