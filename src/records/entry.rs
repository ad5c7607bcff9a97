//! What the gateway hands over for one message: moved values, put together in no time on the session's thread. Hashing,
//! classifying and sealing are the writer's work.

use std::sync::Arc;

use super::RecordClass;
use crate::policy::past::Imprint;
use crate::policy::verdict::FactSummary;
use crate::policy::{Disposition, Envelope, FactVector, Match, Mode, RecordLevel, Role};
use crate::smtp::Reply;

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// At one of the council's domains.
    Internal,
    /// The council's trusted outside.
    Partner,
    /// At a consumer or ISP domain.
    Personal,
    /// Any other outsider.
    External,
}

/// What the writer asks the rules in force when the message was judged.
pub trait Classes: Send + Sync {
    /// The class of an address in its normal form.
    fn class(&self, normal: &str) -> Class;
    /// The class of every address at a domain in its normal form, where the domain alone decides.
    fn class_of_domain(&self, _domain: &str) -> Option<Class> {
        None
    }
    /// Which configuration judged: at most 32 octets are kept.
    fn configuration(&self) -> &[u8];
}

/// One message, as it is to be recorded.
pub struct Entry {
    pub time: jiff::Timestamp,
    /// What the sender and the Clerk quote: "LG-7F3K".
    pub reference: String,
    pub listener: Arc<str>,
    pub role: Role,
    /// The envelope as the client gave it, with the code that each RCPT got.
    pub envelope: Envelope,
    pub rules: Arc<dyn Classes>,
    pub message_id: Option<String>,
    /// Kept only if `[monitoring]` says so.
    pub subject: Option<String>,
    /// Octets as received.
    pub size: u64,
    pub disposition: Disposition,
    pub matches: Vec<Match>,
    pub facts: FactSummary,
    pub level: RecordLevel,
    /// Marked personal or private: counted, nothing else.
    pub personal: bool,
    pub automatic: bool,
    /// What the index of past mail is to remember once it is delivered.
    pub imprint: Option<Box<Imprint>>,
    /// What other rules might ask of it.
    pub vector: Option<Box<FactVector<String>>>,
    /// Detectors that found something, and how often.
    pub detectors: Vec<(Arc<str>, u32)>,
    /// What became of the content; none while that is open (a reserved row).
    pub outcome: Option<Outcome>,
    pub stage: Stage,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// A message that was judged.
    #[default]
    Judged,
    /// What an upstream answered for a message that had been judged and was in custody.
    Answered,
}

/// How the message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The code that the client heard.
    pub code: u16,
    /// The upstream's words, where the upstream was asked. Addresses in them are not kept.
    pub upstream_reply: Option<String>,
}

impl Outcome {
    /// The upstream answered.
    pub fn relayed(reply: &Reply) -> Outcome {
        Outcome { code: reply.code(), upstream_reply: Some(reply.to_string()) }
    }

    /// The gateway answered.
    pub fn own(code: u16) -> Outcome {
        Outcome { code, upstream_reply: None }
    }
}

/// How much of an entry is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Nothing,
    Count,
    Row(RecordClass),
}

impl Entry {
    /// What is kept of this message; `monitored` is whether the council has the monitoring record at all.
    pub(super) fn kept(&self, monitored: bool) -> Kept {
        if self.level == RecordLevel::Nothing {
            return Kept::Nothing;
        }
        if !monitored || self.personal || self.level == RecordLevel::Count {
            return Kept::Count;
        }
        let acted = self.matches.iter().any(|m| m.mode >= Mode::Warn && !m.clauses.is_empty() && m.overridden.is_none());
        let overridden = self.matches.iter().any(|m| m.overridden.is_some());
        if acted || overridden || self.disposition != Disposition::Deliver {
            Kept::Row(RecordClass::Incidents)
        } else {
            Kept::Row(RecordClass::Events)
        }
    }

    /// What is to be remembered of it, if it was delivered.
    pub(super) fn imprint(&self) -> Option<&Imprint> {
        self.imprint.as_deref().filter(|_| self.outcome.as_ref().is_some_and(|o| o.code / 100 == 2))
    }

    /// About the memory that it takes while it waits.
    pub(super) fn weight(&self) -> usize {
        let fixed = size_of::<Entry>() + 256;
        let recipients = self.envelope.recipients.iter().map(|r| r.address.as_str().len() + 64).sum::<usize>();
        let texts = self.message_id.as_ref().map_or(0, String::len) + self.subject.as_ref().map_or(0, String::len);
        let imprint = self.imprint.as_ref().map_or(0, |i| i.weight());
        let vector = self.vector.as_ref().map_or(0, |v| v.weight());
        fixed + recipients + texts + imprint + vector + self.matches.len() * 256
    }
}

/// Shows no address.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({}, {}, {} recipients)", self.reference, self.disposition.word(), self.envelope.recipients.len())
    }
}
