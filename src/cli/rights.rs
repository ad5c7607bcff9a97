//! `lychgate rights`: a copy, a correction, erasure, and the requests with their clock.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;

use super::asker::Asker;
use super::trace::time_zone;
use crate::config::Settings;
use crate::office::rights::{self, requests};
use crate::office::{Doer, Fault};
use crate::records::rights::{Kind, Request};
use crate::records::{Options, custody};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Everything that is held of a person, as a page to print and as JSON
    Export {
        /// Whose: an address
        #[arg(long, value_name = "ADDRESS")]
        person: String,
        /// Why you look: it is kept in the access log, and the person reads it
        #[arg(long, value_name = "TEXT")]
        purpose: String,
        /// A folder for index.html and export.json
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Note beside a row what the person says is wrong; the row itself stays as it is
    Rectify {
        #[arg(long, value_name = "ADDRESS")]
        person: String,
        /// The reference of the message, such as LG-7F3K
        #[arg(long, value_name = "REFERENCE")]
        reference: String,
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
    /// Erase what is held of a person, except what a hold keeps. It cannot be undone
    Erase {
        #[arg(long, value_name = "ADDRESS")]
        person: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Requests and by when they are owed an answer
    Request {
        #[command(subcommand)]
        command: Option<Change>,
        #[command(flatten)]
        new: New,
    },
}

#[derive(Debug, clap::Args)]
struct New {
    /// Whose: an address
    #[arg(long, value_name = "ADDRESS")]
    person: Option<String>,
    /// access, rectification or erasure
    #[arg(long, value_name = "KIND", value_parser = ["access", "rectification", "erasure"])]
    kind: Option<String>,
    /// The day it was received; today, if left out
    #[arg(long, value_name = "DATE")]
    received: Option<Date>,
}

#[derive(Debug, clap::Subcommand)]
enum Change {
    /// All requests that are kept
    List,
    /// The clock stands still: the person was asked what they mean, or who they are
    Pause(On),
    /// The person has answered
    Resume(On),
    /// By two further months, because it is complex or there are many; the person must be told within the first
    Extend(On),
    /// It is answered, or refused; the reason says how
    Close(On),
}

#[derive(Debug, clap::Args)]
struct On {
    /// The request's number
    id: i64,
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The day; today, if left out
    #[arg(long, value_name = "DATE")]
    on: Option<Date>,
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let (now, zone) = (Timestamp::now(), time_zone());
    let today = now.to_zoned(zone.clone()).date();
    let doer = |purpose: &str| asker.doer(settings, purpose);
    match &args.command {
        Command::Export { person, purpose, out } => {
            let mut custody = custody::open_beside(&options)?;
            let done = rights::export(settings, &options, Some(custody.as_mut()), person, out, now, &zone, &doer(purpose)?)?;
            if args.json {
                return Ok(format!("{}\n", serde_json::json!(done)));
            }
            Ok(format!(
                "{} in the record, {} waiting or held, {} of who looked.\nRead {} before you send it: people are masked by their addresses, not by their names in a text.\nThis look-up and its purpose were written to the access log.\n",
                super::counted(done.messages, "message"),
                done.in_custody,
                super::counted(done.looked_at, "entry").replace("entrys", "entries"),
                done.page.display(),
            ))
        }
        Command::Rectify { person, reference, note } => {
            let n = rights::rectify(&options, person, reference, note, now, &doer(note)?)?;
            Ok(format!("Noted beside {}. It is shown wherever the row is shown.\n", super::counted(n, "row")))
        }
        Command::Erase { person, reason } => {
            let mut custody = custody::open_beside(&options)?;
            let done = rights::erase(settings, &options, Some(custody.as_mut()), person, now, &doer(reason)?)?;
            if args.json {
                return Ok(format!("{}\n", serde_json::json!(done)));
            }
            Ok(erasure_words(&done))
        }
        Command::Request { command, new } => {
            let changed = match command {
                Some(Change::List) => {
                    let all = requests::list(&options, &doer("to see what is due")?)?;
                    if all.is_empty() && !args.json {
                        return Ok("There is no request.\n".into());
                    }
                    return Ok(all.iter().map(|r| show(args, r, now, &zone)).collect());
                }
                Some(Change::Pause(on)) => changed(&options, requests::Change::Pause, on, today, &doer)?,
                Some(Change::Resume(on)) => changed(&options, requests::Change::Resume, on, today, &doer)?,
                Some(Change::Extend(on)) => changed(&options, requests::Change::Extend, on, today, &doer)?,
                Some(Change::Close(on)) => changed(&options, requests::Change::Close, on, today, &doer)?,
                None => {
                    let (Some(person), Some(kind)) = (&new.person, new.kind.as_deref().and_then(Kind::of)) else {
                        return Err(Fault::RequestNeeds);
                    };
                    requests::receive(&options, person, kind, new.received.unwrap_or(today), &doer("a request of theirs")?)?
                }
            };
            Ok(show(args, &changed, now, &zone))
        }
    }
}

fn changed(
    options: &Options,
    what: requests::Change,
    on: &On,
    today: Date,
    doer: &dyn Fn(&str) -> Result<Doer, Fault>,
) -> Result<Request, Fault> {
    requests::change(options, on.id, what, on.on.unwrap_or(today), &doer(&on.reason)?)
}

fn show(args: &Args, request: &Request, now: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    if !args.json {
        return requests::words(request, now, zone);
    }
    let today = now.to_zoned(zone.clone()).date();
    let mut value = serde_json::json!(request);
    value["id"] = request.id.into();
    value["due"] = serde_json::json!(request.due(today));
    value["report_by"] = serde_json::json!(request.report_by());
    format!("{value}\n")
}

fn erasure_words(done: &rights::Erasure) -> String {
    let mut out = format!(
        "Deleted: {} of what they sent. Cleared: {} of what they received, which no longer tell that they did. Past mail: {} forgotten.\n",
        super::counted(done.rows_deleted as usize, "row"),
        super::counted(done.rows_cleared as usize, "row"),
        super::counted(done.contacts as usize, "pair"),
    );
    for (case, rows) in &done.kept {
        out.push_str(&format!(
            "Kept: {} that case {case} needs. Lift the hold, then erase again.\n",
            super::counted(*rows as usize, "row")
        ));
    }
    if !done.in_custody.is_empty() {
        out.push_str(&format!(
            "In custody: {}. Deliver, release or refuse these first; they are somebody's letters.\n",
            done.in_custody.join(", ")
        ));
    }
    out.push_str("What stays, and why:\n");
    done.stays.iter().for_each(|s| out.push_str(&format!("  - {s}\n")));
    if let Some(number) = done.receipt {
        out.push_str(&format!("Receipt {number} is signed: lychgate retention receipts\n"));
    }
    out
}
