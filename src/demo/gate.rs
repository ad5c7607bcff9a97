//! The one place where the demo touches the gateway: starting and stopping it, and asking why.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::DemoError;
use crate::app::{self, Running};
use crate::config::{self, Diagnostics};
use crate::message::RawMessage;
use crate::policy::{self, Case, Envelope, Facts, Login, Mode, Policy, Recipient, Role, Session};
use crate::records::trace::{Question, look_up};
use crate::records::{self, row::RowRule};
use crate::smtp::address::Charset;
use crate::smtp::{Address, ReversePath};

/// The gateway, running in this process.
pub struct Gate {
    running: Running,
    policy: Arc<Policy>,
    time_zone: jiff::tz::TimeZone,
    store: records::Options,
}

/// A rule that matched, and why.
#[derive(Debug)]
pub struct Reason {
    pub title: String,
    pub because: Vec<String>,
    /// The words of the adopted policy that it stands on; the first, if several.
    pub clause: Option<String>,
    pub weight: Weight,
}

/// What a match came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weight {
    Acted,
    /// Delivered unchanged; people hear what would have happened.
    Warned,
    /// Written down, nothing else.
    Observed,
    /// The sender said why it should not act.
    Overridden(String),
}

impl Weight {
    fn of(mode: &str, overridden: Option<String>) -> Weight {
        match overridden {
            Some(why) => Weight::Overridden(why),
            None if mode == Mode::Warn.word() => Weight::Warned,
            None if mode == Mode::Observe.word() => Weight::Observed,
            None => Weight::Acted,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        if !self.because.is_empty() {
            write!(f, ": {}", self.because.join("; "))?;
        }
        match &self.weight {
            Weight::Acted => Ok(()),
            Weight::Warned => f.write_str(" (this rule only warns)"),
            Weight::Observed => f.write_str(" (only noted in the record)"),
            Weight::Overridden(why) => write!(f, " (set aside by the sender: {why})"),
        }
    }
}

/// What the monitoring record has of one message.
#[derive(Debug)]
pub struct Recorded {
    pub reference: String,
    pub delivered: bool,
    pub reasons: Vec<Reason>,
}

impl Gate {
    /// Starts the gateway with this site file; before it, a month is put into the record if it is wanted.
    pub fn start(site_file: &Path, month: bool) -> Result<Gate, DemoError> {
        let mut faults = Diagnostics::new();
        let settings = config::load(site_file, &mut faults).ok_or_else(|| DemoError::Gateway(format!("\n{faults}")))?;
        let (policy, time_zone, store) = (settings.policy.clone(), settings.time_zone.clone(), records::Options::of(&settings));
        records::prepare(&store).map_err(|e| DemoError::Gateway(e.to_string()))?;
        if month {
            super::month::write(&settings).map_err(|e| DemoError::Gateway(e.to_string()))?;
        }
        let running = app::start(site_file.to_owned(), settings).map_err(|e| DemoError::Gateway(format!("{e:#}")))?;
        Ok(Gate { running, policy, time_zone, store })
    }

    /// The rules that match this message on the submission listener, by the same judge that the gateway asks; and why `rule`, if
    /// it is not among them, is not.
    pub fn reasons(&self, sender: &str, recipients: &[String], octets: &[u8], rule: &str) -> (Vec<Reason>, Option<(String, String)>) {
        let address = |text: &str| Address::parse(text, Charset::Utf8).ok();
        let envelope = Envelope {
            reverse_path: address(sender).map_or(ReversePath::Null, ReversePath::Address),
            recipients: recipients.iter().filter_map(|r| address(r)).map(|address| Recipient { address, reply_code: 250 }).collect(),
        };
        let session = Session { role: Role::Submission, listener: "submission".into(), login: Login::Known(sender.into()), tls: false };
        let message = RawMessage::new(octets.to_vec());
        let now = jiff::Timestamp::now().to_zoned(self.time_zone.clone());
        let case = Case { message: &message, envelope: &envelope, session: &session, now, outside: policy::Outside::unasked() };
        let facts = Facts::new(&case, &self.policy);
        let reason = |m: &policy::Match| {
            let weight = Weight::of(m.mode.word(), m.overridden.clone());
            Reason { title: m.title.to_string(), because: m.because.clone(), clause: self.clause(m.clauses.first()), weight }
        };
        let matched = policy::evaluate(&self.policy, &facts).matches.iter().map(reason).collect();
        let unmatched = policy::explain_all(&self.policy, &facts).into_iter().find(|(id, _)| **id == *rule);
        (matched, unmatched.map(|(id, why)| (self.title(&id), why)))
    }

    /// What the record has of messages of the last minutes that fit, oldest first.
    pub fn recorded(&self, reference: Option<&str>, sender: Option<&str>) -> Result<Vec<Recorded>, records::StoreError> {
        self.running.flush();
        let until = jiff::Timestamp::now();
        let question = Question {
            reference: reference.map(str::to_owned),
            sender: sender.map(str::to_owned),
            since: until - Duration::from_secs(300),
            until,
            ..Question::default()
        };
        let found = look_up(&self.store, &question, "the demo's account", "demo")?;
        let recorded = |hit: records::trace::Hit| Recorded {
            delivered: hit.row.outcome_code.is_some_and(|code| code / 100 == 2),
            reasons: hit.row.rules.iter().map(|r| self.recorded_reason(r)).collect(),
            reference: hit.row.reference,
        };
        Ok(found.hits.into_iter().map(recorded).collect())
    }

    fn recorded_reason(&self, row: &RowRule) -> Reason {
        let weight = Weight::of(&row.mode, row.overridden.clone());
        Reason { title: self.title(&row.id), because: row.because.clone(), clause: self.clause(row.clauses.first()), weight }
    }

    fn title(&self, rule: &str) -> String {
        self.policy.rules().iter().find(|r| *r.id == *rule).map_or(rule, |r| &r.title).to_owned()
    }

    fn clause(&self, id: Option<impl AsRef<str>>) -> Option<String> {
        Some(self.policy.clause(id?.as_ref())?.words.clone())
    }

    /// A link that signs the Clerk in at the console, once.
    pub fn sign_in_link(&self) -> Option<String> {
        self.running.console()?.sign_in_link(&format!("clerk@{}", super::site::DOMAIN))
    }

    /// Lets sessions in their content finish and stops.
    pub fn stop(self) {
        self.running.stop();
    }
}
