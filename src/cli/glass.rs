//! `lychgate break-glass`: the code for the sealed envelope.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::{Fault, glass};
use crate::records::Options;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a new code, print it this once, and void the one of before. Put it in an envelope, seal it, and have both sign over the flap
    Make {
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "for the sealed envelope")]
        reason: String,
    },
    /// Whether there is a code that is good, and since when
    Show,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    match &args.command {
        Command::Make { reason } => {
            let code = glass::make(settings, &options, Timestamp::now(), &asker.doer(settings, reason)?)?;
            Ok(format!("{code}\n"))
        }
        Command::Show => Ok(match glass::made(&options)? {
            Some(made) => {
                format!("There is a code, made on {}. It was not used.\n", made.to_zoned(time_zone()).strftime("%A %-d %B %Y, %H:%M"))
            }
            None => "There is no code: none was made, or it was used. lychgate break-glass make\n".into(),
        }),
    }
}
