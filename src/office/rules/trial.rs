//! Trying rules before they are switched on: on a message that somebody has in hand, or on what the record kept of the last weeks.

use jiff::{SignedDuration, Timestamp};

use super::super::explain::{self, Explained, Outcome, Supposed, show};
use super::super::replay::{self, Report};
use super::super::roles::Right;
use super::super::{Doer, Fault};
use crate::config::Settings;
use crate::config::settings::Listener;
use crate::records::Options;

/// Recipients that are tried at once.
const MOST_RECIPIENTS: usize = 1_000;
/// Days back at most.
const LONGEST: i64 = 400;

/// A message to be tried. Empty fields are taken from the message itself.
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub text: String,
    pub from: String,
    /// Separated by commas, spaces or line ends.
    pub to: String,
    /// The first where it is empty.
    pub listener: String,
}

/// Why a message could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum Untried {
    #[error("paste the whole message, with its header: in most mail programs it is called source or original")]
    Empty,
    #[error("there is no listener of that name")]
    NoListener,
    #[error("{0}")]
    From(explain::Fault),
    #[error("{0}")]
    To(explain::Fault),
    #[error("at most {MOST_RECIPIENTS} recipients are tried at once")]
    TooMany,
}

/// What would become of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The words of `explain`, each line with how far it is set in: 2, 4 or 6.
    pub lines: Vec<(usize, String)>,
    pub headline: String,
}

/// Judges a message by these settings. It asks nobody and writes nothing, as `explain` does.
pub fn on_message(settings: &Settings, message: &Message) -> Result<Verdict, Untried> {
    if message.text.trim().is_empty() {
        return Err(Untried::Empty);
    }
    let wanted = message.listener.trim();
    let listener: Option<&Listener> = match wanted {
        "" => settings.listeners.first(),
        name => settings.listeners.iter().find(|l| *l.name == *name),
    };
    let listener = listener.ok_or(Untried::NoListener)?;
    let to: Vec<String> =
        message.to.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|t| !t.is_empty()).map(str::to_string).collect();
    if to.len() > MOST_RECIPIENTS {
        return Err(Untried::TooMany);
    }
    let from = Some(message.from.trim().to_string()).filter(|f| !f.is_empty());
    let judge = |supposed: &Supposed| explain::explain(supposed, settings, listener, String::new(), message.text.trim_start().as_bytes());
    // Each address apart, so that the fault is told where it was written.
    judge(&Supposed { mail_from: from.clone(), ..Supposed::default() }).map_err(Untried::From)?;
    let explained = judge(&Supposed { mail_from: from, rcpt_to: to, ..Supposed::default() }).map_err(Untried::To)?;
    Ok(Verdict { lines: show::lines(&explained, settings, listener), headline: headline(&explained) })
}

fn headline(explained: &Explained) -> String {
    match &explained.outcome {
        Outcome::Refused(_) => "REFUSED by the gateway itself, before any rule".into(),
        Outcome::Judged(judged) => show::headline(&judged.verdict).into(),
    }
}

/// Judges what the record kept of the last days by these settings' rules. It is a look at the record, and stands in the access log.
pub fn on_record(settings: &Settings, options: &Options, days: i64, now: Timestamp, doer: &Doer) -> Result<Report, Fault> {
    doer.may(Right::LookUp)?;
    let since = now - SignedDuration::from_hours(24 * days.clamp(1, LONGEST));
    replay::run(options, &settings.policy, &settings.time_zone, since, doer)
}
