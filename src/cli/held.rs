//! `lychgate held`: mail that waits for people.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::asker::{Asker, secret};
use super::trace::time_zone;
use crate::config::Settings;
use crate::config::settings::Duty;
use crate::office::held::Means;
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
        /// Why you look: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "to see what waits")]
        purpose: String,
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
    /// Read a message. It takes a request that a second person approved (lychgate requests), or the code from the sealed envelope
    Open {
        /// Its reference
        id: String,
        /// The request that was approved
        #[arg(long, value_name = "NUMBER", conflicts_with = "break_glass")]
        request: Option<i64>,
        /// Open it alone: the code is read from standard input, is used up, and Clerk and Chair hear of it at once
        #[arg(long)]
        break_glass: bool,
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Write it there, as it came: a new file that only you can read. Otherwise it is printed, with what could act on a terminal
        /// written out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Let messages go: they are delivered as they came, with the changes that were decided when they were held
    Release {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Why: it is kept in the access log
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Your own address, if you have mail of your own here: nobody lets their own message go
        #[arg(long, value_name = "ADDRESS")]
        by: Option<String>,
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
    /// Ask the sender of a message about it, by mail; it stays held
    Ask {
        /// Its reference
        id: String,
        /// The question, as the sender will read it
        #[arg(long, value_name = "TEXT")]
        question: String,
        /// Why you ask: it is kept in the access log
        #[arg(long, value_name = "TEXT", default_value = "to decide about it")]
        reason: String,
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

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let doer = |purpose: &str| asker.doer(settings, purpose);
    match &args.command {
        Command::List { purpose, json } => {
            let all = held::list(&options, &doer(purpose)?)?;
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
            let preview = held::show(settings, &options, id, &doer(purpose)?)?;
            Ok(if *json { format!("{}\n", serde_json::json!(preview)) } else { held::words(&preview, &time_zone()) })
        }
        Command::Open { id, request, break_glass, reason, out } => {
            let doer = doer(reason)?.with_request(*request);
            let code = if *break_glass { Some(secret("The code from the envelope")?) } else { None };
            // A file that cannot be made must not cost a request or the code.
            let file = out.as_deref().map(New::create).transpose()?;
            let means = code.as_deref().map_or(Means::Together, |code| Means::BreakGlass(code));
            let (reference, content) = held::open(settings, &options, id, means, &doer)?;
            match file {
                Some(file) => {
                    let path = file.path.display().to_string();
                    file.write(&content).map(|()| format!("{reference} is in {path}. Delete it when it is no longer needed.\n"))
                }
                None => Ok(held::escaped(&content)),
            }
        }
        Command::Release { ids, reason, by, json } => {
            let roles = roles(asker, &doer(reason)?);
            let by = match (by, &asker.stated) {
                (Some(by), _) => Some(by.clone()),
                (None, Some(_)) => asker.identity(settings)?.address().map(str::to_string),
                (None, None) => settings.council.clerk.clone(),
            };
            let by = by.map(|b| b.to_ascii_lowercase());
            let done = held::let_go(settings, &options, ids, &roles, by, &doer(reason)?)?;
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
        Command::Ask { id, question, reason } => {
            let reference = held::ask_sender(settings, &options, id, question, &doer(reason)?)?;
            Ok(format!("The sender of {reference} was asked. It stays held.\n"))
        }
        Command::Refuse { ids, reason, json } => {
            let done = held::send_back(settings, &options, ids, &doer(reason)?)?;
            let line = |id: &String| {
                if *json { format!("{}\n", serde_json::json!({ "id": id, "state": "refused" })) } else { format!("{id} was sent back.\n") }
            };
            Ok(done.iter().map(line).collect())
        }
    }
}

/// On whose behalf: the Clerk's, where nobody says who they are.
fn roles(asker: &Asker, doer: &Doer) -> Vec<Person> {
    match asker.stated.as_deref() {
        None | Some("clerk") => vec![Person::Clerk],
        Some("chair") => vec![Person::Chair],
        Some(_) => match (doer.is(Duty::Clerk), doer.is(Duty::Chair)) {
            (true, true) => vec![Person::Clerk, Person::Chair],
            (false, true) => vec![Person::Chair],
            _ => vec![Person::Clerk],
        },
    }
}

/// A new file that only its owner can read. It goes again unless it is written.
struct New<'p> {
    path: &'p Path,
    file: Option<File>,
}

impl New<'_> {
    fn create(path: &Path) -> Result<New<'_>, Fault> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Ok(New { path, file: Some(file.map_err(|source| Fault::Io { path: path.into(), source })?) })
    }

    fn write(mut self, content: &[u8]) -> Result<(), Fault> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(|source| Fault::Io { path: self.path.into(), source })
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = std::fs::remove_file(self.path);
        }
    }
}
