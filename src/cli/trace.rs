//! `lychgate trace`: "did Mrs Ashby get the agenda?", answered in plain words or as JSON, one object a line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::asker::Asker;
use crate::config::Settings;
use crate::office::reports;
use crate::office::trail::{for_recipient, outcome, recipients};
use crate::records::Options;
use crate::records::access::Identity;
use crate::records::trace::{Answer, Hit, Question, look_up};

/// What was asked on the command line.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Who sent it: an address
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// Who was to get it: an address
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<String>,
    /// Its Message-ID, as the header field has it
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
    /// The reference in a notice or a refusal, such as LG-7F3K
    #[arg(long, value_name = "REFERENCE")]
    pub reference: Option<String>,
    /// How far back: "30d", "12h", or a date such as 2026-05-14
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub since: String,
    /// Up to when: the same forms; now, if left out
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Why you look: it is kept in the access log
    #[arg(long, value_name = "TEXT")]
    pub purpose: String,
    /// A request that a second person approved, where the site file wants one for reports
    #[arg(long, value_name = "NUMBER")]
    pub request: Option<i64>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// The site file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Looks up and prints. 0 whether something was found or not; 1 if the question or the record could not be read.
pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> ExitCode {
    let options = Options::of(settings);
    let mut out = std::io::stdout().lock();
    let now = Timestamp::now();
    let mut asked = || -> Result<(), Fault> {
        let doer = asker.doer(settings, &args.purpose)?.with_request(args.request);
        let one = args.message_id.is_some() || args.reference.is_some();
        let (sender, recipient) = (args.sender.as_deref(), args.recipient.as_deref());
        let together = reports::allowed(settings, &options, sender, recipient, one, now, &doer)?;
        let args = Args { purpose: format!("{}{together}", args.purpose), ..args.clone() };
        answer(&args, &options, now, &time_zone(), doer.who, &mut out)
    };
    match asked() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault::Output(e)) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("lychgate trace: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("--purpose says why you look, in a few words; it cannot be empty")]
    Purpose,
    #[error("--{0} \"{1}\" is neither a length of time such as \"30d\" nor a date such as 2026-05-14")]
    Time(&'static str, String),
    #[error("--{0} \"{1}\" is not an address. The record knows whole addresses only, so that none can be listed")]
    Address(&'static str, String),
    #[error("{0}")]
    Office(#[from] crate::office::Fault),
    #[error("{0}")]
    Store(#[from] crate::records::StoreError),
    #[error("{0}")]
    Output(#[from] std::io::Error),
}

/// The whole of the command but its surroundings: the time, the zone, who asks and where to print come in.
pub fn answer(
    args: &Args,
    options: &Options,
    now: Timestamp,
    zone: &TimeZone,
    who: impl Into<Identity>,
    out: &mut impl Write,
) -> Result<(), Fault> {
    let purpose = args.purpose.trim();
    if purpose.is_empty() {
        return Err(Fault::Purpose);
    }
    for (name, address) in [("sender", &args.sender), ("recipient", &args.recipient)] {
        if let Some(address) = address.as_ref().filter(|a| !a.contains('@')) {
            return Err(Fault::Address(name, address.clone()));
        }
    }
    let question = Question {
        sender: args.sender.clone(),
        recipient: args.recipient.clone(),
        message_id: args.message_id.clone(),
        reference: args.reference.clone(),
        since: point(&args.since, now, zone).ok_or_else(|| Fault::Time("since", args.since.clone()))?,
        until: match &args.until {
            Some(text) => point(text, now, zone).ok_or_else(|| Fault::Time("until", text.clone()))?,
            None => now,
        },
    };
    if options.monitoring.is_none() {
        let note = "Only hourly counts by rule and outcome are kept: [monitoring] is not set in the site file, so single messages are not recorded.";
        if args.json {
            eprintln!("{note}")
        } else {
            writeln!(out, "{note}")?
        }
        return Ok(());
    }
    let found = look_up(options, &question, purpose, who)?;
    if args.json {
        print_json(&found, out)?
    } else {
        print_text(&found, args, zone, out)?
    }
    out.flush()?;
    Ok(())
}

/// `30d`, `12h`, `10min`, `30s`, a date (its start), or a full RFC 3339 time.
pub(super) fn point(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(date) = text.parse::<jiff::civil::Date>() {
        return date.to_zoned(zone.clone()).ok().map(|z| z.timestamp());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    let seconds = number.parse::<i64>().ok()?.checked_mul(seconds)?;
    Timestamp::from_second(now.as_second().checked_sub(seconds)?).ok()
}

fn print_json(found: &Answer, out: &mut impl Write) -> std::io::Result<()> {
    for hit in &found.hits {
        let row = &hit.row;
        let line = serde_json::json!({
            "time": row.time,
            "reference": row.reference,
            "listener": row.listener,
            "sender": row.sender,
            "disposition": row.disposition,
            "rules": row.rules.iter().map(|r| serde_json::json!({
                "id": r.id, "mode": r.mode, "clauses": r.clauses, "override": r.overridden,
            })).collect::<Vec<_>>(),
            "upstream_reply": row.upstream_reply,
            "outcome": row.outcome_code,
            "recipients": row.classes,
            "recipient_outcome": hit.recipient_code.filter(|c| *c != 0),
            "external_domains": row.external_domains,
            "size": row.size,
            "class": hit.class.word(),
            "subject": row.subject,
            "notes": hit.notes,
            "kept_for_cases": hit.cases,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print_text(found: &Answer, args: &Args, zone: &TimeZone, out: &mut impl Write) -> std::io::Result<()> {
    match found.hits.len() {
        0 => writeln!(out, "Nothing in the record fits.")?,
        1 => writeln!(out, "One message fits.")?,
        n => writeln!(out, "{n} messages fit.")?,
    }
    for hit in &found.hits {
        writeln!(out)?;
        print_hit(hit, args, zone, out)?;
    }
    if found.cut {
        writeln!(out, "\nThere is more: ask for a shorter time.")?;
    }
    if found.unreadable > 0 {
        writeln!(out, "\n{} rows could not be opened: they were altered, or have just expired.", found.unreadable)?;
    }
    writeln!(out, "\nThis look-up and its purpose were written to the access log.")
}

fn print_hit(hit: &Hit, args: &Args, zone: &TimeZone, out: &mut impl Write) -> std::io::Result<()> {
    let row = &hit.row;
    let time = Zoned::new(row.time, zone.clone());
    writeln!(out, "{}", time.strftime("%A %-d %B %Y, %H:%M:%S"))?;
    writeln!(out, "  From:      {}", if row.sender.is_empty() { "nobody (an automatic message)" } else { &row.sender })?;
    if let Some(subject) = &row.subject {
        writeln!(out, "  Subject:   {}", subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>())?;
    }
    writeln!(out, "  Outcome:   {}", outcome(hit))?;
    if let Some(recipient) = &args.recipient {
        writeln!(out, "  {recipient}: {}", for_recipient(hit))?;
    }
    writeln!(out, "  To:        {}", recipients(hit))?;
    for rule in &row.rules {
        let clauses = if rule.clauses.is_empty() { String::new() } else { format!("; clause {}", rule.clauses.join(", ")) };
        let mode = match (&rule.overridden, rule.mode.as_str()) {
            (Some(reason), _) => format!("overridden by the sender: {reason}"),
            (None, "enforce") => "enforced".into(),
            (None, "warn") => "warned only".into(),
            (None, "observe") => "observed only".into(),
            (None, other) => other.into(),
        };
        writeln!(out, "  Rule:      {} ({mode}{clauses})", rule.id)?;
    }
    for note in &hit.notes {
        writeln!(out, "  Noted:     {} ({})", note.text, Zoned::new(note.time, zone.clone()).strftime("%-d %B %Y"))?;
    }
    if !hit.cases.is_empty() {
        writeln!(out, "  Kept for:  case {}", hit.cases.join(", "))?;
    }
    match &row.upstream_reply {
        Some(reply) => writeln!(out, "  Provider:  {}", reply.replace(['\r', '\n'], " "))?,
        None if row.outcome_code.is_some() && row.disposition == "deliver" => writeln!(out, "  Provider:  gave no answer that counts")?,
        None if row.outcome_code.is_some() => writeln!(out, "  Provider:  was not asked")?,
        None => {}
    }
    writeln!(out, "  Reference: {}, by the listener {}", row.reference, row.listener)
}

/// Councils that this is for keep British time; a machine in a data centre often keeps UTC.
pub(super) fn time_zone() -> TimeZone {
    TimeZone::get("Europe/London").unwrap_or_else(|_| TimeZone::system())
}
