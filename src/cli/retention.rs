//! `lychgate retention`: purge now, show how things stand, list and check the receipts.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::{Fault, retention};
use crate::records::receipts::Signed;
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
    /// Delete now what has expired, and show the receipt
    Run {
        /// The machine's clock is right, though it is far ahead of the last purge: the gateway was switched off for so long
        #[arg(long)]
        confirm: bool,
    },
    /// Each class: what it is, how long it is kept, when the oldest goes, what is held back and why
    Show,
    /// The receipts of purges, the latest first
    Receipts {
        /// Hold each against its signature and the one before it; exit 1 if one is not as it was signed
        #[arg(long)]
        verify: bool,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: usize,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let (now, zone) = (Timestamp::now(), time_zone());
    match &args.command {
        Command::Run { confirm } => {
            let doer = asker.doer(settings, "the clock was looked at")?;
            let clock = if *confirm { retention::Clock::Confirmed } else { retention::Clock::AsItSeems };
            let signed = retention::run(&options, clock, &doer)?;
            if args.json { json(&signed, &options) } else { Ok(retention::receipt_words(&signed.receipt()?, &zone)) }
        }
        Command::Show => {
            let (overview, last, key) = retention::overview(&options, now)?;
            if args.json {
                let held = options.retention.held.as_millis() as i64;
                return Ok(format!(
                    "{}\n",
                    serde_json::json!({ "overview": overview, "held_mail": held, "last_receipt": last, "key": key })
                ));
            }
            let words = retention::overview_words(&overview, last.as_ref(), &options, now, &zone);
            Ok(format!("{words}Receipts are signed (Ed25519); the public key is {key}.\n"))
        }
        Command::Receipts { verify: true, .. } => {
            let verified = retention::verify(&options)?;
            let said = if args.json {
                format!("{}\n", serde_json::to_string(&verified).map_err(|_| StoreError::Damaged)?)
            } else if verified.faults.is_empty() {
                let range = format!("{} to {}", verified.first, verified.last);
                format!("{} receipts ({range}), each as it was signed and in its place.\nPublic key: {}\n", verified.receipts, verified.key)
            } else {
                verified.faults.iter().map(|f| format!("{f}\n")).collect()
            };
            if verified.faults.is_empty() {
                return Ok(said);
            }
            super::print(&said);
            Err(Fault::Receipts(verified.faults.len()))
        }
        Command::Receipts { last, .. } => {
            let mut keeping = crate::records::Keeping::open(&options)?;
            let mut out = String::new();
            for signed in keeping.receipts(*last)? {
                out.push_str(&if args.json { json(&signed, &options)? } else { retention::receipt_words(&signed.receipt()?, &zone) });
            }
            Ok(out)
        }
    }
}

/// The receipt's fields, and what it was signed as: whoever has the public key can check the signature of `body` elsewhere.
fn json(signed: &Signed, options: &Options) -> Result<String, Fault> {
    let mut value: serde_json::Value = serde_json::from_str(&signed.body).map_err(|_| StoreError::Damaged)?;
    value["body"] = signed.body.clone().into();
    value["signature"] = signed.signature.iter().map(|b| format!("{b:02x}")).collect::<String>().into();
    value["key"] = crate::records::Keeping::open(options)?.receipt_key()?.into();
    Ok(format!("{value}\n"))
}
