//! What the gateway brings to the judge: the message, its envelope, the session that sent it, and the time.

use std::sync::Arc;

use super::outside::Outside;
use crate::message::RawMessage;
use crate::smtp::{Address, ReversePath};

/// Everything that a verdict may depend on.
pub struct Case<'a> {
    pub message: &'a RawMessage,
    pub envelope: &'a Envelope,
    pub session: &'a Session,
    /// The time of judging, in the council's time zone.
    pub now: jiff::Zoned,
    /// What was asked outside about it.
    pub outside: &'a Outside,
}

/// The envelope as the client gave it and as the upstream answered.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub reverse_path: ReversePath,
    pub recipients: Vec<Recipient>,
}

/// One RCPT.
#[derive(Clone, Debug)]
pub struct Recipient {
    pub address: Address,
    /// The code that the client heard. Recipients that were refused count in the record, not in the facts.
    pub reply_code: u16,
}

impl Recipient {
    pub fn is_accepted(&self) -> bool {
        self.reply_code / 100 == 2
    }
}

impl Envelope {
    pub fn accepted(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().filter(|r| r.is_accepted())
    }
}

/// The part of the session that facts are made of.
#[derive(Clone, Debug)]
pub struct Session {
    pub role: Role,
    pub listener: Arc<str>,
    /// Whom the upstream's AUTH accepted (submission).
    pub login: Login,
    pub tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Submission,
    Connector,
    Mx,
}

/// The account that a submission client proved to be, as far as the gateway could see it.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// No AUTH in this session.
    None,
    /// AUTH succeeded, and the mechanism told the name.
    Known(String),
    /// AUTH succeeded, and the mechanism hid the name.
    Hidden,
}

/// Shows no account.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Login::None => "None",
            Login::Known(_) => "Known(…)",
            Login::Hidden => "Hidden",
        })
    }
}
