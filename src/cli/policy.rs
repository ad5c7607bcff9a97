//! `lychgate policy`: the rules as a language, held against the council's policy, and as a schedule to it.

mod page;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::Settings;
use crate::config::rules::words;
use crate::policy::adopted::{coverage, schedule};

/// What is asked about the policy.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Every word that a rule file may hold, with its meaning and an example
    Words {
        /// How it is printed
        #[arg(long, value_enum, default_value_t = WordsFormat::Text)]
        format: WordsFormat,
        /// One JSON object a line
        #[arg(long, conflicts_with = "format")]
        json: bool,
        /// These words only, such as direction or then.hold
        #[arg(value_name = "WORD")]
        only: Vec<String>,
    },
    /// Each clause of the adopted policy: enforced, assisted, outside a gateway's reach, or unset; by which rules, in what mode
    Coverage(Args),
    /// What does not fit together: clauses without rules, rules without clauses, defects of the policy's text. Exit 1 if there is any
    Lint(Args),
    /// The rules that run, in plain English, as a schedule that the council can adopt with its policy
    Print {
        #[command(flatten)]
        args: Args,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = PageFormat::Text, conflicts_with = "json")]
        format: PageFormat,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WordsFormat {
    Text,
    Markdown,
    Man,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum PageFormat {
    Text,
    Markdown,
}

/// 0 done; 1 if the site file has errors, a word is not known, or `lint` found something.
pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Words { format, json, only } => vocabulary(*format, *json, only),
        Command::Coverage(args) => {
            with(args, |settings| (page::coverage(&coverage::coverage(&settings.policy), settings, args.json), true))
        }
        Command::Lint(args) => with(args, |settings| {
            let found = coverage::lint(&settings.policy, &settings.council.name, &settings.council.domains);
            (page::lint(&found, args.json), found.is_empty())
        }),
        Command::Print { args, format } => with(args, |settings| {
            let front = schedule::Front { council: &settings.council.name, date: changed(settings) };
            let page = match format {
                _ if args.json => page::entries(&schedule::entries(&settings.policy), settings, front.date),
                PageFormat::Text => schedule::page(&settings.policy, &front, schedule::Form::Text),
                PageFormat::Markdown => schedule::page(&settings.policy, &front, schedule::Form::Markdown),
            };
            (page, true)
        }),
    }
}

fn with(args: &Args, make: impl FnOnce(&Settings) -> (String, bool)) -> ExitCode {
    let Some(settings) = super::load(args.config.as_deref()) else { return ExitCode::FAILURE };
    let (page, good) = make(&settings);
    super::print(&page);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn vocabulary(format: WordsFormat, json: bool, only: &[String]) -> ExitCode {
    if let Some(word) = only.iter().find(|w| words::text(std::slice::from_ref(w)).is_empty()) {
        let near = crate::config::spelling::nearest(word, words::all().map(|w| w.word));
        let help = near.map_or(String::new(), |n| format!(" Did you mean {n}?"));
        super::complain(&format!("lychgate policy words: there is no word `{word}`.{help}\n"));
        return ExitCode::FAILURE;
    }
    super::print(&match format {
        _ if json => words::json(only),
        WordsFormat::Text => words::text(only),
        WordsFormat::Markdown => words::markdown(only),
        WordsFormat::Man => words::man(only),
    });
    ExitCode::SUCCESS
}

/// The day on which a rule file was last changed, there or at the desk, in the council's time.
fn changed(settings: &Settings) -> Option<jiff::civil::Date> {
    let times = settings.policy.files().iter().filter_map(|f| std::fs::metadata(f).ok()?.modified().ok());
    let at_desk = settings.rules.change.as_ref().filter(|_| settings.rules.left_out.is_none()).map(|change| change.time);
    let newest = times.filter_map(|time| jiff::Timestamp::try_from(time).ok()).chain(at_desk).max()?;
    Some(newest.to_zoned(settings.time_zone.clone()).date())
}
