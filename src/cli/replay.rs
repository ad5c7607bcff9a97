//! `lychgate replay`: what other rules would have done to what is recorded, and what cannot be told.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::{point, time_zone};
use crate::config::{self, Diagnostics, Settings};
use crate::office::{Fault, replay};
use crate::records::Options;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The other rules: a folder, or a file. Can be given several times
    #[arg(long, value_name = "DIR", required = true)]
    rules: Vec<PathBuf>,
    /// How far back: "30d", "12h", or a date such as 2026-05-14
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: String,
    /// Why you look: it is kept in the access log
    #[arg(long, value_name = "TEXT", default_value = "replay of rules")]
    purpose: String,
    /// One JSON object a line: the sums, each rule, what stays open, each difference
    #[arg(long)]
    json: bool,
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Args {
    /// The site with the other rules in place of its own. None, with every fault told, where they do not load.
    pub(super) fn settings(&self) -> Option<Settings> {
        let mut diagnostics = Diagnostics::new();
        let settings = config::load_with_rules(&config::find(self.config.as_deref()), &self.rules, &mut diagnostics);
        if settings.is_none() {
            super::complain(&format!("{diagnostics}lychgate: {}\n", super::check::tally(&diagnostics)));
        }
        settings
    }
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let zone = time_zone();
    let since = point(&args.since, Timestamp::now(), &zone).ok_or_else(|| Fault::Time("since", args.since.clone()))?;
    if settings.monitoring.is_none() {
        return Ok("Nothing to judge: only hourly counts are kept, since [monitoring] is not set in the site file.\n".into());
    }
    let doer = asker.doer(settings, &args.purpose)?;
    let report = replay::run(&Options::of(settings), &settings.policy, &settings.time_zone, since, &doer)?;
    Ok(if args.json { replay::json(&report) } else { replay::words(&report, &zone) })
}
