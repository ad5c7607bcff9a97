//! `lychgate held`: mail that waits for people.

use std::path::PathBuf;

use super::trace::{time_zone, who};
use crate::config::Settings;
use crate::office::{Doer, Fault, held};
use crate::outbox::held::Released;
use crate::policy::Person;
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
    /// What waits, from whom, why and until when
    List {
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
    /// What a message is, without reading it
    Show {
        /// Its reference, such as LG-7F3K
        id: String,
        /// Why you look: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "to decide about it")]
        purpose: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Let messages go: they are delivered as they came, with the changes that were decided when they were held
    Release {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// On whose behalf
        #[arg(long = "as", value_name = "ROLE", default_value = "clerk", value_parser = ["clerk", "chair"])]
        role: String,
        /// Your own address, if you have mail of your own here: nobody lets their own message go
        #[arg(long, value_name = "ADDRESS")]
        by: Option<String>,
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
    /// Send messages back: their senders hear the reason
    Refuse {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// The reason, as the sender will read it
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<String, Fault> {
    let options = Options::of(settings);
    let doer = |purpose: &str| Doer { who: who(), purpose: purpose.into() };
    match &args.command {
        Command::List { json } => {
            let all = held::list(&options)?;
            if *json {
                return Ok(all.iter().map(|h| format!("{}\n", serde_json::json!(h))).collect());
            }
            if all.is_empty() {
                return Ok("Nothing is held.\n".into());
            }
            let zone = time_zone();
            let line = |h: &held::Held| {
                let until = h.expires.to_zoned(zone.clone()).strftime("%-d %b %H:%M").to_string();
                let asked = if h.asked { ", its sender asks for it" } else { "" };
                format!(
                    "{}  from {}  for the {}  until {until}, then {}{asked}  ({})\n",
                    h.id,
                    h.sender,
                    h.waits_for.join(", "),
                    h.then,
                    h.rules.join(", ")
                )
            };
            Ok(all.iter().map(line).collect())
        }
        Command::Show { id, purpose, json } => {
            let preview = held::show(settings, &options, id, &doer(purpose))?;
            Ok(if *json { format!("{}\n", serde_json::json!(preview)) } else { held::words(&preview, &time_zone()) })
        }
        Command::Release { ids, reason, role, by, json } => {
            let role = if role == "chair" { Person::Chair } else { Person::Clerk };
            let by = by.as_deref().or(match role {
                Person::Chair => settings.council.chair.as_deref(),
                _ => settings.council.clerk.as_deref(),
            });
            let by = by.map(str::to_ascii_lowercase);
            let done = held::let_go(settings, &options, ids, role, by, &doer(reason))?;
            let line = |(id, released): &(String, Released)| {
                let leaves = *released == Released::Leaves;
                if *json {
                    let state = if leaves { "released" } else { "held" };
                    format!("{}\n", serde_json::json!({ "id": id, "state": state }))
                } else if leaves {
                    format!("{id} leaves now.\n")
                } else {
                    format!("{id}: noted. Somebody else must let it go too.\n")
                }
            };
            Ok(done.iter().map(line).collect())
        }
        Command::Refuse { ids, reason, json } => {
            let done = held::send_back(settings, &options, ids, &doer(reason))?;
            let line = |id: &String| {
                if *json { format!("{}\n", serde_json::json!({ "id": id, "state": "refused" })) } else { format!("{id} was sent back.\n") }
            };
            Ok(done.iter().map(line).collect())
        }
    }
}
