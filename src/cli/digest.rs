//! `lychgate digest`: what the Clerk is told every week, now.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;

use super::asker::Asker;
use crate::config::Settings;
use crate::config::units;
use crate::office::Fault;
use crate::office::digest::{self, Asked};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Show it (this is what happens without --send)
    #[arg(long, conflicts_with = "send")]
    print: bool,
    /// Send it now to whom it goes every week. That one comes at its time all the same
    #[arg(long)]
    send: bool,
    /// The week to which this day belongs, instead of the time since the last digest was due
    #[arg(long, value_name = "DATE", value_parser = |text: &str| units::date(text).map_err(|fault| format!("{} {}", fault.message, fault.help)))]
    week: Option<Date>,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let asked = args.week.map_or(Asked::SoFar, Asked::Week);
    let now = Timestamp::now();
    if args.send {
        let doer = asker.doer(settings, "asked for it")?;
        let letters = digest::send_now(settings, asked, now, &doer)?;
        return Ok(format!("{} on the way; the gateway delivers.\n", super::counted(letters, "letter")));
    }
    let page = digest::show(settings, asked, now, asker.identity(settings)?)?;
    Ok(format!("Subject: {}\n\n{}", page.subject, page.text))
}
