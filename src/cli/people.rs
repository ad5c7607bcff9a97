//! `lychgate people hash`: an account of somebody's own, as it can stand in the site file without being readable there.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config;
use crate::smtp::Address;
use crate::smtp::address::Charset;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Who may do what, and who is who
    Roles,
    /// The line for [people.own-accounts] that registers an account without naming it
    Hash {
        /// The account, such as ann.elm@gmail.com
        address: String,
    },
}

/// Exit 1 if the site has no key yet, 2 if the address is none.
pub fn run(args: &Args) -> ExitCode {
    let address = match &args.command {
        Command::Hash { address } => address,
        Command::Roles => {
            return super::with(args.config.as_deref(), |settings| Ok(crate::office::roles::words(settings, jiff::Timestamp::now())));
        }
    };
    let address = match Address::parse(address.trim(), Charset::Utf8) {
        Ok(address) => address.normal(),
        Err(why) => {
            super::complain(&format!("lychgate people hash: \"{address}\" is not a mail address: {why}\n"));
            return ExitCode::from(2);
        }
    };
    let Some(settings) = super::load(args.config.as_deref()) else { return ExitCode::FAILURE };
    match config::own_accounts::key(&settings.records.key_file) {
        Ok(key) => {
            super::print(&format!("{}\n", key.hash(&address)));
            ExitCode::SUCCESS
        }
        Err(error) => {
            super::complain(&format!(
                "lychgate people hash: the site's key {} cannot be read: {error}. It is made when the gateway first starts.\n",
                settings.records.key_file.display()
            ));
            ExitCode::FAILURE
        }
    }
}
