//! `lychgate audit`: the log of who looked at what.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::{point, time_zone};
use crate::config::Settings;
use crate::office::{Fault, audit};
use crate::records::Options;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// As JSON: one object a line, or the one of `verify`
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Hold the log against its chain and against what the keyring knows of it. Exit 1 where it does not hold, and says where first
    Verify,
    /// Who did what, when and why; this look is in the log too
    List {
        /// How far back: "30d", "12h", or a date such as 2026-05-14
        #[arg(long, value_name = "TIME", default_value = "30d")]
        since: String,
        /// Why you look: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "to read the log")]
        purpose: String,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    match &args.command {
        Command::Verify => {
            let verified = audit::verify(&options, &asker.doer(settings, "")?)?;
            let holds = verified.breaks.is_empty();
            let text = if args.json {
                let mut value = serde_json::json!(verified);
                value["holds"] = holds.into();
                format!("{value}\n")
            } else {
                audit::words(&verified)
            };
            if holds {
                return Ok(text);
            }
            // Said before the exit code says it again.
            super::print(&text);
            Err(Fault::Broken)
        }
        Command::List { since, purpose } => {
            let (now, zone) = (Timestamp::now(), time_zone());
            let from = point(since, now, &zone).ok_or_else(|| Fault::Time("since", since.clone()))?;
            let all = audit::list(&options, from, now, &asker.doer(settings, purpose)?)?;
            Ok(all.iter().map(|e| if args.json { format!("{}\n", serde_json::json!(e)) } else { audit::line(e, &zone) }).collect())
        }
    }
}
