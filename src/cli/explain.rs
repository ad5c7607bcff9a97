//! `lychgate explain`: what would happen to messages and why.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::config::Settings;
use crate::config::settings::Listener;
use crate::office::explain::{Explained, Supposed, explain, show};

/// What was asked on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The listener that it would come through; otherwise the first
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// The envelope's sender; otherwise the From of the message. "" or "<>" for none
    #[arg(long, value_name = "ADDRESS")]
    pub mail_from: Option<String>,
    /// A recipient of the envelope, as often as needed; otherwise those in To, Cc and Bcc
    #[arg(long, value_name = "ADDRESS")]
    pub rcpt_to: Vec<String>,
    /// The account that logged in (submission); otherwise the envelope's sender. "" for none
    #[arg(long, value_name = "ACCOUNT")]
    pub login: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Also the rules that did not match, and why not
    #[arg(long)]
    pub all: bool,
    /// Messages as files (.eml); - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Exit 0 whatever the verdicts; 1 if the site file has errors or a message could not be read.
pub fn run(args: &Args) -> ExitCode {
    let Some(settings) = super::load(args.config.as_deref()) else { return ExitCode::FAILURE };
    let Some(listener) = listener(args, &settings) else { return ExitCode::FAILURE };
    let supposed = Supposed { mail_from: args.mail_from.clone(), rcpt_to: args.rcpt_to.clone(), login: args.login.clone(), all: args.all };
    let mut code = ExitCode::SUCCESS;
    for file in &args.files {
        match one(&supposed, &settings, listener, file) {
            Ok(explained) if args.json => super::print(&format!("{}\n", show::json(&explained))),
            Ok(explained) => super::print(&show::text(&explained, &settings, listener)),
            Err(fault) => {
                eprintln!("lychgate explain: {}: {fault}", file.display());
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

fn listener<'s>(args: &Args, settings: &'s Settings) -> Option<&'s Listener> {
    let found = match &args.listener {
        None => settings.listeners.first(),
        Some(name) => settings.listeners.iter().find(|l| *l.name == **name),
    };
    if found.is_none() {
        let names = settings.listeners.iter().map(|l| &*l.name).collect::<Vec<_>>().join(", ");
        eprintln!("lychgate explain: there is no listener `{}`: there is {names}", args.listener.as_deref().unwrap_or_default());
    }
    found
}

fn one(supposed: &Supposed, settings: &Settings, listener: &Listener, file: &Path) -> anyhow::Result<Explained> {
    let bytes = read(file, settings.limits.message_size)?;
    Ok(explain(supposed, settings, listener, file.display().to_string(), &bytes)?)
}

/// At most a little more than the gateway would take, so that too much can be told from enough.
fn read(file: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // LF becomes CRLF, never the other way: what is over the limit here is over it on the wire.
    let most = limit.saturating_add(1 << 16);
    if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
