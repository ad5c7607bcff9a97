//! `lychgate document`: the council's papers, out of the configuration as it is.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::Settings;
use crate::documents::{self, Kind};
use crate::office::{Fault, adopted, papers};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The site file. Otherwise $LYCHGATE_CONFIG, ./lychgate.toml or /etc/lychgate/lychgate.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which: notice, outsiders, impact, interests, retention, schedule, coverage, assertion-10 or review; or status: which of them are
    /// as the council adopted them
    #[arg(value_name = "PAPER", value_parser = clap::builder::PossibleValuesParser::new(words()))]
    paper: String,
    /// As Markdown, for a website or to be edited further
    #[arg(long)]
    markdown: bool,
}

const STATUS: &str = "status";

fn words() -> Vec<&'static str> {
    Kind::ALL.map(Kind::word).into_iter().chain([STATUS]).collect()
}

pub(super) fn run(args: &Args, settings: &Settings) -> Result<String, Fault> {
    if args.paper == STATUS {
        return adopted::words(settings);
    }
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == args.paper).unwrap_or(Kind::Notice);
    let live = papers::live(settings, Timestamp::now())?;
    let paper = documents::make(kind, settings, &live);
    let made = if args.markdown { documents::markdown(&paper) } else { documents::text(&paper) };
    let gaps = match paper.gaps() {
        0 => String::new(),
        n => format!("{} to be filled in by hand; ", super::counted(n, "place")),
    };
    Ok(format!("{made}\n({gaps}mark {})\n", documents::basis(kind, settings).mark()))
}
