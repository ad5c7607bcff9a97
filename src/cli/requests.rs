//! `lychgate requests`: what one person asks and a second one approves.

use std::path::PathBuf;

use jiff::Timestamp;

use super::asker::{Asker, secret};
use super::trace::time_zone;
use crate::config::Settings;
use crate::config::settings::TwoPeople;
use crate::office::{Fault, requests};
use crate::records::Options;
use crate::records::access::requests::Request;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// As JSON, one request a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The requests that are kept, the latest first
    List,
    /// Ask for something that takes two people. A code is mailed to you (--as ADDRESS), for `confirm`
    Ask {
        /// What: content (read held mail), holds (of records), reports (on somebody at the council)
        #[arg(value_parser = ["content", "holds", "reports"])]
        act: String,
        /// On what: the reference of the held message, the case number, the address
        subject: String,
        /// Why: whoever approves reads it, and it is kept in the access log
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Confirm that it was you who asked; the code from your mailbox is read from standard input
    Confirm { id: i64 },
    /// Have a new code mailed to you
    Code { id: i64 },
    /// Approve somebody else's request; the code from your mailbox is read from standard input
    Approve { id: i64 },
    /// Refuse a request, or take your own back
    Refuse {
        id: i64,
        /// Why: whoever asked reads it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let (now, zone) = (Timestamp::now(), time_zone());
    let doer = |purpose: &str| asker.doer(settings, purpose);
    let told = |request: &Request, text: String| {
        if args.json { json(request, now) } else { text }
    };
    match &args.command {
        Command::List => {
            let all = requests::list(&options, &doer("to see what waits")?)?;
            if all.is_empty() && !args.json {
                return Ok("There is no request.\n".into());
            }
            Ok(all.iter().map(|r| told(r, requests::line(r, now, &zone))).collect())
        }
        Command::Ask { act, subject, reason } => {
            let known = TwoPeople::WORDS.iter().find(|(word, _)| word == act);
            let act = known.map(|(_, act)| *act).expect("the words are those that are read");
            let request = requests::ask(settings, &options, act, subject, now, &doer(reason)?)?;
            let id = request.id;
            Ok(told(&request, format!("Request {id}. A code was mailed to you: lychgate requests confirm {id}\n")))
        }
        Command::Confirm { id } => {
            let doer = doer("confirmed")?;
            let request = requests::confirm(settings, &options, *id, &secret("The code from your mailbox")?, now, &doer)?;
            Ok(told(&request, format!("Request {id} is asked. Those who may approve it were told, each with a code.\n")))
        }
        Command::Code { id } => {
            let request = requests::send_code(settings, &options, *id, now, &doer("a code")?)?;
            Ok(told(&request, "A code was mailed to you. It is good for 30 minutes.\n".into()))
        }
        Command::Approve { id } => {
            let doer = doer("approved")?;
            let code = secret("The code from your mailbox")?;
            let request = requests::approve(settings, &options, *id, Some(&code), now, &doer)?;
            Ok(told(&request, format!("Request {id} is approved. Whoever asked can use it once: --request {id}\n")))
        }
        Command::Refuse { id, reason } => {
            let request = requests::refuse(settings, &options, *id, now, &doer(reason)?)?;
            Ok(told(&request, format!("Request {id} is refused.\n")))
        }
    }
}

fn json(request: &Request, now: Timestamp) -> String {
    let line = serde_json::json!({
        "id": request.id, "act": request.act, "subject": request.subject, "why": request.why, "state": request.word(now),
        "asked_by": request.asker, "ends": request.ends, "decided": match &request.state {
            crate::records::access::requests::State::Approved(by) | crate::records::access::requests::State::Refused(by) => Some(by),
            _ => None,
        },
    });
    format!("{line}\n")
}
