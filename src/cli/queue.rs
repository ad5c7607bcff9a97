//! `lychgate queue`: mail that waits to be delivered.

use std::path::PathBuf;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::Fault;
use crate::office::queue::{self, Act};
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
    /// What waits since when, for which domains, and what the provider said last
    List {
        /// As JSON, one message or copy a line
        #[arg(long)]
        json: bool,
    },
    /// Try messages now, or all that wait
    Hasten(Which),
    /// Keep messages back until they are started again; their time goes on
    Stop(Which),
    /// Let stopped messages go on
    Start(Which),
}

#[derive(Debug, clap::Args)]
struct Which {
    /// References, such as LG-7F3K; none: all
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Why: it is kept in the access log
    #[arg(long, value_name = "TEXT", default_value = "care of the queue")]
    reason: String,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let act = |act: Act, which: &Which| {
        let doer = asker.doer(settings, &which.reason)?;
        queue::act(&options, act, &which.ids, &doer).map(|n| format!("{}.\n", super::counted(n, "message")))
    };
    match &args.command {
        Command::List { json } => {
            let all = queue::list(&options)?;
            if *json {
                return Ok(all.iter().map(|w| format!("{}\n", serde_json::json!(w))).collect());
            }
            if all.is_empty() {
                return Ok("Nothing waits.\n".into());
            }
            let zone = time_zone();
            let line = |w: &queue::Waiting| {
                let time = |t: jiff::Timestamp| t.to_zoned(zone.clone()).strftime("%-d %b %H:%M").to_string();
                let copy = w.copy.as_ref().map_or_else(String::new, |c| format!(" copy {c}"));
                let last = w.last.as_ref().map_or_else(String::new, |l| format!("  the provider said: {l}"));
                format!(
                    "{}{copy}  {}  since {}  next {}  to {}  by {}{last}\n",
                    w.id,
                    w.state,
                    time(w.since),
                    time(w.next),
                    w.to.join(", "),
                    w.upstream
                )
            };
            Ok(all.iter().map(line).collect())
        }
        Command::Hasten(which) => act(Act::Hasten, which),
        Command::Stop(which) => act(Act::Stop, which),
        Command::Start(which) => act(Act::Start, which),
    }
}
