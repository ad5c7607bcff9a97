//! The command line: thin. It reads arguments, calls the room that does the work, prints what comes back, and says how it went
//! by the exit code: 0 done, 1 not done, 2 not understood.

mod asker;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod breach;
pub mod check;
pub mod digest;
mod document;
pub mod explain;
pub mod glass;
pub mod held;
mod holds;
pub mod keys;
pub mod people;
pub mod policy;
mod queue;
pub mod replay;
pub mod requests;
pub mod retention;
pub mod rights;
pub mod trace;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::config::{self, Diagnostics, Settings};
use crate::office;

/// A mail gateway that holds a council's mail against the IT policy it adopted.
#[derive(Debug, Parser)]
#[command(name = "lychgate", version, arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
struct Arguments {
    /// Who you are, for what needs to know: an address of the site file, or clerk or chair. The access log says that you said so
    #[arg(long = "as", value_name = "ADDRESS", global = true)]
    stated: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// A whole council on this machine: gateway, mailbox and sample mail, and what happened to each message and why
    Demo {
        /// End after the sample messages instead of staying up
        #[arg(long)]
        once: bool,
    },
    /// Run the gateway. SIGHUP reloads rules and certificates, SIGTERM finishes what has begun and stops
    Serve {
        #[command(flatten)]
        site: SiteFile,
    },
    /// Tell every fault of the site file and the rules at once. Changes nothing
    Check {
        #[command(flatten)]
        site: SiteFile,
    },
    /// What would happen to messages, and why. Sends nothing, changes nothing
    Explain(explain::Args),
    /// Register accounts of people's own without naming them
    People(people::Args),
    /// Find a message in the record: did it arrive, what was done with it
    Trace(trace::Args),
    /// What other rules would have done to what is recorded, and what cannot be told
    Replay(replay::Args),
    /// Mail that waits for people: look, let it go, send it back
    Held(held::Args),
    /// Mail that waits to be delivered: look, hasten, stop
    Queue(queue::Args),
    /// What the Clerk is told every week: show it, or send it now
    Digest(digest::Args),
    /// Keep what a case needs beyond its retention, by case number
    #[command(name = "hold-records")]
    HoldRecords(holds::Args),
    /// What is kept for how long; purge now; the receipts of purges
    Retention(retention::Args),
    /// What people may ask about themselves: a copy, a correction, erasure, and by when they are owed an answer
    Rights(rights::Args),
    /// From a message to what it showed to whom, the 72 hours and the drafts of a breach report
    Breach(breach::Args),
    /// What takes two people: ask, approve, refuse
    Requests(requests::Args),
    /// The code with which one person opens held mail alone, and two others hear of it
    BreakGlass(glass::Args),
    /// Who looked at what and why, and whether that log holds
    Audit(audit::Args),
    /// The keys that the record is sealed with: what there is, and a new site key
    Keys(keys::Args),
    /// Copy record and custody, as of one moment, into a folder; while the gateway runs
    Backup(backup::Args),
    /// Put a backup in place. The gateway must be stopped
    Restore(backup::RestoreArgs),
    /// The council's papers, out of the configuration as it is: notice, assessments, schedules, evidence, review
    Document(document::Args),
    /// Measure a burst of mail through the gateway beside the same burst without it
    Bench(bench::Args),
    /// Looks at signatures for the console; see `console::saml`
    #[cfg(feature = "saml")]
    #[command(name = crate::console::saml::COMMAND, hide = true)]
    VerifySaml,
    /// Every key that the site file may hold, with its meaning
    Options,
    /// The rules: their language, and what they make of the council's policy
    #[command(subcommand)]
    Policy(policy::Command),
}

#[derive(Debug, clap::Args)]
struct SiteFile {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what the arguments ask (the first is the program's name).
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    undumpable();
    let (command, asker) = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => (arguments.command, asker::Asker { stated: arguments.stated }),
        Err(told) => {
            // Help and version are answers, not faults; a closed pipe is nobody's concern.
            let _ = told.print();
            return if told.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match command {
        #[cfg(feature = "saml")]
        Command::VerifySaml => crate::console::saml::process(),
        Command::Demo { once } => crate::demo::run(crate::demo::Options { once }),
        Command::Serve { site } => serve(site.config.as_deref()),
        Command::Check { site } => check::run(site.config.as_deref()),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::People(arguments) => people::run(&arguments),
        Command::Replay(arguments) => match arguments.settings() {
            Some(settings) => answer(replay::run(&arguments, &settings, &asker)),
            None => ExitCode::FAILURE,
        },
        Command::Trace(arguments) => match load(arguments.config.as_deref()) {
            Some(settings) => trace::run(&arguments, &settings, &asker),
            None => ExitCode::FAILURE,
        },
        Command::Held(arguments) => with(arguments.config.as_deref(), |settings| held::run(&arguments, settings, &asker)),
        Command::Queue(arguments) => with(arguments.config.as_deref(), |settings| queue::run(&arguments, settings, &asker)),
        Command::Digest(arguments) => with(arguments.config.as_deref(), |settings| digest::run(&arguments, settings, &asker)),
        Command::HoldRecords(arguments) => with(arguments.config.as_deref(), |settings| holds::run(&arguments, settings, &asker)),
        Command::Retention(arguments) => with(arguments.config.as_deref(), |settings| retention::run(&arguments, settings, &asker)),
        Command::Rights(arguments) => with(arguments.config.as_deref(), |settings| rights::run(&arguments, settings, &asker)),
        Command::Breach(arguments) => with(arguments.config.as_deref(), |settings| breach::run(&arguments, settings, &asker)),
        Command::Keys(arguments) => with(arguments.config.as_deref(), |settings| keys::run(&arguments, settings, &asker)),
        Command::Requests(arguments) => with(arguments.config.as_deref(), |settings| requests::run(&arguments, settings, &asker)),
        Command::BreakGlass(arguments) => with(arguments.config.as_deref(), |settings| glass::run(&arguments, settings, &asker)),
        Command::Audit(arguments) => with(arguments.config.as_deref(), |settings| audit::run(&arguments, settings, &asker)),
        Command::Backup(arguments) => with(arguments.config.as_deref(), |settings| backup::run(&arguments, settings, &asker)),
        Command::Restore(arguments) => with(arguments.config.as_deref(), |settings| backup::restore(&arguments, settings, &asker)),
        Command::Document(arguments) => with(arguments.config.as_deref(), |settings| document::run(&arguments, settings)),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Policy(asked) => policy::run(&asked),
        Command::Options => {
            print(&config::reference::print());
            ExitCode::SUCCESS
        }
    }
}

/// No image of this process's memory is written when it dies, and nobody else of the same user may read it: keys, credentials and mail
/// are in it. Whoever debugs the program does so as root.
fn undumpable() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // A system that knows no such thing still runs the gateway.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

fn serve(given: Option<&Path>) -> ExitCode {
    let path = config::find(given);
    let mut diagnostics = Diagnostics::new();
    let settings = config::load(&path, &mut diagnostics);
    if !diagnostics.is_empty() {
        complain(&diagnostics.to_string());
    }
    let Some(settings) = settings else {
        complain(&format!("lychgate: not started: {}\n", check::tally(&diagnostics)));
        return ExitCode::FAILURE;
    };
    crate::observe::init(settings.log);
    match crate::app::serve(path, settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("lychgate: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

/// The settings, for a command that only reads. Errors are told on standard error; warnings are `check`'s to tell.
fn load(given: Option<&Path>) -> Option<Settings> {
    let mut diagnostics = Diagnostics::new();
    let settings = config::load(&config::find(given), &mut diagnostics);
    if settings.is_none() {
        complain(&format!("{diagnostics}lychgate: {}\n", check::tally(&diagnostics)));
    }
    settings
}

/// Does something that needs the settings, prints what it says, or complains.
fn with(given: Option<&Path>, act: impl FnOnce(&Settings) -> Result<String, office::Fault>) -> ExitCode {
    let Some(settings) = load(given) else { return ExitCode::FAILURE };
    answer(act(&settings))
}

/// Prints what came of it.
fn answer(done: Result<String, office::Fault>) -> ExitCode {
    match done {
        Ok(text) => {
            print(&text);
            ExitCode::SUCCESS
        }
        Err(fault) => {
            let what_helps = fault.command().map(|command| format!("  {command}\n")).unwrap_or_default();
            complain(&format!("lychgate: {fault}\n{what_helps}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard error. A log on a full disk is no reason to end, as `eprint!` would.
fn complain(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Prints to standard output; whoever closed it does not want to read.
fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// `1 error`, `2 errors`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_image_of_the_memory_is_written() {
        let _ = run(["lychgate", "--version"].map(OsString::from).into_iter());
        let is = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(is, rustix::process::DumpableBehavior::NotDumpable);
    }

    #[test]
    fn what_is_not_understood_is_not_done() {
        let run = |words: &[&str]| format!("{:?}", run(std::iter::once("lychgate").chain(words.iter().copied()).map(OsString::from)));
        assert_eq!(run(&["frobnicate"]), format!("{:?}", ExitCode::from(2)));
        assert_eq!(run(&["--version"]), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(run(&["check", "--config", "/nonexistent/lychgate.toml"]), format!("{:?}", ExitCode::FAILURE));
    }
}
