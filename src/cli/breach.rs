//! `lychgate breach`: what a message showed to whom, the 72 hours, and two drafts.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::{point, time_zone};
use crate::config::Settings;
use crate::office::{Fault, breach};
use crate::records::Options;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The reference in a notice or refusal, such as LG-7F3K
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
    /// The message's Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// All messages that this rule matched, with --since
    #[arg(long, value_name = "RULE", requires = "since")]
    rule: Option<String>,
    /// How far back: "30d", or a date
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Whether this address was among the recipients; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// When the council came to know: a date, or a time such as 2026-05-14T09:30:00Z. Given, the 72 hours are noted among the requests
    #[arg(long, value_name = "TIME")]
    known: Option<String>,
    /// Why you look: it is kept in the access log
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let (now, zone) = (Timestamp::now(), time_zone());
    let time = |text: &Option<String>, name: &'static str| {
        text.as_deref().map(|t| point(t, now, &zone).ok_or_else(|| Fault::Time(name, t.into()))).transpose()
    };
    let asked = breach::Asked {
        reference: args.reference.clone(),
        message_id: args.message_id.clone(),
        rule: args.rule.clone(),
        since: time(&args.since, "since")?,
        addresses: args.address.clone(),
        known: time(&args.known, "known")?,
    };
    let doer = asker.doer(settings, &args.purpose)?;
    let found = breach::breach(settings, &Options::of(settings), &asked, now, &zone, &doer)?;
    if args.json {
        return Ok(format!("{}\n", serde_json::json!(found)));
    }
    let line = "-".repeat(78);
    Ok(format!("{}{line}\n{}\n{line}\n{}", breach::words(&found, &zone), found.report, found.note))
}
