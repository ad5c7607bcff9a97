//! `lychgate policy`: the rules as a language, and as the council's policy.

use std::process::ExitCode;

use crate::config::rules::words;

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
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WordsFormat {
    Text,
    Markdown,
    Man,
}

pub fn run(command: &Command) -> ExitCode {
    match command {
        Command::Words { format, json, only } => {
            let page = match format {
                _ if *json => words::json(only),
                WordsFormat::Text => words::text(only),
                WordsFormat::Markdown => words::markdown(only),
                WordsFormat::Man => words::man(only),
            };
            if let Some(word) = only.iter().find(|w| words::text(std::slice::from_ref(w)).is_empty()) {
                let near = crate::config::spelling::nearest(word, words::all().map(|w| w.word));
                let help = near.map_or(String::new(), |n| format!(" Did you mean {n}?"));
                super::complain(&format!("lychgate policy words: there is no word `{word}`.{help}\n"));
                return ExitCode::FAILURE;
            }
            super::print(&page);
            ExitCode::SUCCESS
        }
    }
}
