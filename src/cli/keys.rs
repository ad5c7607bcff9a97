//! `lychgate keys`: what the keyring holds, a new site key.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::{Fault, keys};
use crate::records::{Options, StoreError};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// As JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What keys there are, of which class and time, and when each dies. No key is shown
    Show {
        /// Every key, not only every class
        #[arg(long)]
        all: bool,
    },
    /// Make a new site key, while the gateway runs or while it does not
    Rotate {
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "as a matter of routine")]
        reason: String,
    },
    /// Go on without keys that are lost for good: what they sealed is deleted
    #[command(name = "accept-loss")]
    AcceptLoss {
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let (now, zone) = (Timestamp::now(), time_zone());
    let doer = |reason: &String| asker.doer(settings, reason);
    let json = |value: serde_json::Value| format!("{value}\n");
    Ok(match &args.command {
        Command::Show { all } => {
            let overview = keys::overview(&options)?;
            match args.json {
                true => json(serde_json::to_value(&overview).map_err(|_| StoreError::Damaged)?),
                false => keys::overview_words(&overview, *all, &options, &zone),
            }
        }
        Command::Rotate { reason } => {
            let rotated = keys::rotate(&options, &doer(reason)?)?;
            match args.json {
                true => json(serde_json::json!({
                    "before": rotated.before.to_string(), "print": rotated.print.to_string(), "keys": rotated.keys, "damaged": rotated.damaged
                })),
                false => keys::rotated_words(&rotated, &options),
            }
        }
        Command::AcceptLoss { reason } => {
            let given_up = keys::accept_loss(&options, now, &doer(reason)?)?;
            match args.json {
                true => json(serde_json::json!({ "periods": given_up.periods, "rows": given_up.rows, "parcels": given_up.parcels })),
                false => keys::given_up_words(&given_up, now, &zone),
            }
        }
    })
}
