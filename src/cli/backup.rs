//! `lychgate backup` and `lychgate restore`.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::{Fault, backup};
use crate::records::backup::How;
use crate::records::{Options, StoreError};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A new folder for the database's backup
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Another new folder for the keyring's. Keep it apart, and for a few days only
    #[arg(long, value_name = "DIR")]
    keyring_out: Option<PathBuf>,
    /// Why: it is kept in the access log
    #[arg(long, value_name = "TEXT", default_value = "as a matter of routine")]
    reason: String,
    /// The manifests, one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder of the database's backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder of the keyring's. Without it the keyring that is there stays, which is better where there is one
    #[arg(long, value_name = "DIR")]
    keyring_from: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    replace: bool,
    /// Deliver what waited for delivery when the backup was made, though it may have been delivered already
    #[arg(long)]
    resume: bool,
    /// The machine's clock is right, though the backup is more than a week old by it
    #[arg(long)]
    confirm: bool,
    /// Why: it is kept in the access log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let doer = asker.doer(settings, &args.reason)?;
    let made = backup::back_up(&options, &args.out, args.keyring_out.as_deref(), Timestamp::now(), &doer)?;
    if !args.json {
        return Ok(backup::made_words(&made, &args.out, args.keyring_out.as_deref(), &time_zone()));
    }
    let mut out = String::new();
    for manifest in std::iter::once(&made.database).chain(&made.keyring) {
        out.push_str(&serde_json::to_string(manifest).map_err(|_| StoreError::Damaged)?);
        out.push('\n');
    }
    Ok(out)
}

pub(super) fn restore(args: &RestoreArgs, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let doer = asker.doer(settings, &args.reason)?;
    let how = How { replace: args.replace, resume: args.resume, confirmed: args.confirm };
    let restored = backup::put_back(&options, &args.from, args.keyring_from.as_deref(), how, Timestamp::now(), &doer)?;
    if args.json {
        let value = serde_json::json!({
            "manifest": restored.manifest, "stopped": restored.stopped, "held": restored.held, "forgotten": restored.forgotten,
            "receipt": restored.receipt
        });
        return Ok(format!("{value}\n"));
    }
    backup::restored_words(&restored, &options, how, &time_zone())
}
