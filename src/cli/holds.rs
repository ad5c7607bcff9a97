//! `lychgate hold-records`: keep what a case needs.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::asker::Asker;
use super::trace::{point, time_zone};
use crate::config::Settings;
use crate::office::{Doer, Fault, holds};
use crate::records::holds::{Hold, Keeps, Scope};
use crate::records::{Options, custody};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long, global = true)]
    json: bool,
    /// A request that a second person approved, where the site file wants one for holds
    #[arg(long, value_name = "NUMBER", global = true)]
    request: Option<i64>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Default, clap::Args)]
struct Place {
    /// The case: it stands in receipts, so no name belongs in it
    #[arg(long, value_name = "NUMBER")]
    case: Option<String>,
    /// Why: it is kept with the hold
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Mail from or to this address
    #[arg(long, value_name = "ADDRESS")]
    person: Option<String>,
    /// One message, by its Message-ID
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// One message, by the reference in a notice or refusal
    #[arg(long, value_name = "REFERENCE")]
    reference: Option<String>,
    /// From this time on: "30d", or a date
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to this date; otherwise also what is still to come
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// When the hold ends by itself
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The holds in force, and what each keeps
    List,
    /// End the holds of a case now: what only they kept is gone
    Lift {
        #[arg(long, value_name = "NUMBER", required_unless_present = "unreadable")]
        case: Option<String>,
        /// Instead: those that were altered and cannot be read, which stop every purge
        #[arg(long, conflicts_with = "case")]
        unreadable: bool,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let the holds of a case end later
    Prolong {
        #[arg(long, value_name = "NUMBER")]
        case: String,
        #[arg(long, value_name = "DATE")]
        expires: String,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) fn run(args: &Args, settings: &Settings, asker: &Asker) -> Result<String, Fault> {
    let options = Options::of(settings);
    let (now, zone) = (Timestamp::now(), time_zone());
    let doer = |reason: &str| asker.doer(settings, reason).map(|d| d.with_request(args.request));
    match &args.command {
        Some(Command::List) => {
            let all = holds::list(&options, now, &doer("to see what is held")?)?;
            if all.is_empty() && !args.json {
                return Ok("There is no hold.\n".into());
            }
            Ok(all.iter().map(|(hold, keeps)| show(args, hold, keeps, &zone)).collect())
        }
        Some(Command::Lift { case: None, reason, .. }) => {
            let n = holds::lift_unreadable(&options, &doer(reason)?)?;
            Ok(format!("{} that could not be read ended. What only they kept is gone.\n", super::counted(n, "hold")))
        }
        Some(Command::Lift { case: Some(case), reason, .. }) => {
            let n = holds::lift(&options, case, &doer(reason)?)?;
            Ok(format!("{} of case {case} ended. What only they kept is gone.\n", super::counted(n, "hold")))
        }
        Some(Command::Prolong { case, expires, reason }) => {
            let expires = end_of(expires, "expires", &zone)?;
            let n = holds::prolong(&options, case, expires, now, &doer(reason)?)?;
            Ok(format!("{} of case {case} prolonged.\n", super::counted(n, "hold")))
        }
        None => place(args, &options, now, &zone, &doer),
    }
}

fn place(
    args: &Args,
    options: &Options,
    now: Timestamp,
    zone: &TimeZone,
    doer: &dyn Fn(&str) -> Result<Doer, Fault>,
) -> Result<String, Fault> {
    let asked = &args.place;
    let (Some(case), Some(expires)) = (&asked.case, &asked.expires) else { return Err(Fault::HoldNeeds) };
    let scope = Scope {
        person: asked.person.clone(),
        message_id: asked.message_id.clone(),
        reference: asked.reference.clone(),
        since: asked.since.as_deref().map(|t| point(t, now, zone).ok_or_else(|| Fault::Time("since", t.into()))).transpose()?,
        until: asked.until.as_deref().map(|t| end_of(t, "until", zone)).transpose()?,
    };
    let wanted = holds::Wanted { case: case.clone(), scope, expires: end_of(expires, "expires", zone)? };
    let mut custody = custody::open_beside(options)?;
    let (hold, keeps) = holds::place(options, Some(custody.as_mut()), wanted, now, &doer(asked.reason.as_deref().unwrap_or_default())?)?;
    Ok(show(args, &hold, &keeps, zone))
}

/// The end of a day that is named, or a time.
fn end_of(text: &str, name: &'static str, zone: &TimeZone) -> Result<Timestamp, Fault> {
    let fault = || Fault::Time(name, text.into());
    match text.trim().parse::<jiff::civil::Date>() {
        Ok(day) => Ok(day.tomorrow().and_then(|d| d.to_zoned(zone.clone())).map_err(|_| fault())?.timestamp()),
        Err(_) => text.trim().parse().map_err(|_| fault()),
    }
}

fn show(args: &Args, hold: &Hold, keeps: &Keeps, zone: &TimeZone) -> String {
    if !args.json {
        return holds::words(hold, keeps, zone);
    }
    let line = serde_json::json!({
        "case": hold.case, "reason": hold.reason, "scope": hold.scope, "placed": hold.placed, "by": hold.by,
        "expires": hold.expires, "keeps": keeps,
    });
    format!("{line}\n")
}
