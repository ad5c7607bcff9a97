//! The council's papers, made out of the configuration as it is: pages to read and to print.

use askama::Template;
use axum::extract::Path;
use jiff::Timestamp;

use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::documents::{self, Kind, Paper, Part};
use crate::office::papers;

#[derive(Template)]
#[template(path = "papers.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    papers: Vec<(&'static str, &'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "paper.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    paper: Paper,
    made: String,
    mark: String,
    gaps: usize,
}

pub(super) async fn list(signed: Signed) -> Answer {
    let papers = Kind::ALL.map(|kind| (kind.word(), kind.title(), kind.about())).to_vec();
    show(&List { frame: signed.frame("/papers"), papers })
}

pub(super) async fn one(signed: Signed, Path(name): Path<String>) -> Answer {
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == name).ok_or(Trouble::Nowhere)?;
    let now = Timestamp::now();
    let paper = signed.ask(move |settings, _| Ok(documents::make(kind, settings, &papers::live(settings, now)?))).await?;
    let made = now.to_zoned(signed.settings.time_zone.clone()).strftime("%-d %B %Y, %H:%M").to_string();
    show(&One { frame: signed.frame("/papers"), made, mark: paper.mark(), gaps: paper.gaps(), paper })
}
