//! The council's papers, made out of the configuration as it is: pages to read and to print, what of them the council adopted, and what
//! has changed since.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;
use jiff::civil::Date;

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, Trouble, plain, show};
use crate::documents::{self, Kind, Paper, Part};
use crate::office::adopted::{self, Adoption, Change, Standing};
use crate::office::roles::Right;
use crate::office::{Fault, papers};

/// Earlier adoptions that a page names.
const EARLIER: usize = 20;

#[derive(Template)]
#[template(path = "papers.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    papers: Vec<Line>,
    /// Why it cannot be said which are as they were adopted.
    trouble: Option<String>,
}

struct Line {
    key: &'static str,
    title: &'static str,
    about: &'static str,
    tag: Option<(&'static str, &'static str)>,
    says: String,
}

#[derive(Template)]
#[template(path = "paper.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    summary: Summary,
    done: Option<&'static str>,
    key: &'static str,
    paper: Paper,
    /// Under the title.
    note: String,
    gaps: usize,
    /// None for one that was adopted: it is as it was.
    live: Option<Live>,
}

/// What stands beside a paper as it is now.
struct Live {
    tag: Option<(&'static str, &'static str)>,
    says: String,
    changes: Vec<Change>,
    trouble: Option<String>,
    earlier: Vec<(usize, String)>,
    digest: String,
    may_adopt: bool,
    adopt: Vec<Field>,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    done: String,
}

fn day(date: Date) -> String {
    date.strftime("%-d %B %Y").to_string()
}

/// A tag with its colour, and a sentence.
fn words(standing: &Standing) -> (Option<(&'static str, &'static str)>, String) {
    match standing {
        Standing::Never => (None, String::new()),
        Standing::Fresh(one) => {
            (Some(("As adopted", "green")), format!("The council adopted it on {} ({}).", day(one.adopted), one.reference))
        }
        Standing::Stale(one) => {
            let program = env!("CARGO_PKG_VERSION");
            let or = if one.program == program {
                String::new()
            } else {
                format!(", or the program\u{2019}s words (version {} then, {program} now),", one.program)
            };
            let has = if or.is_empty() { " has" } else { " have" };
            (
                Some(("Changed", "orange")),
                format!("Stale: the configuration{or}{has} changed since it was adopted on {} ({}).", day(one.adopted), one.reference),
            )
        }
    }
}

pub(super) async fn list(signed: Signed) -> Answer {
    let (standings, trouble) = match signed.ask(|settings, _| adopted::standings(settings)).await {
        Ok(standings) => (standings, None),
        // The papers themselves are there all the same.
        Err(Trouble::Office(fault @ (Fault::Altered(_) | Fault::Io { .. }))) => {
            (Kind::ALL.map(|kind| (kind, Standing::Never)).to_vec(), Some(plain(&fault)))
        }
        Err(trouble) => return Err(trouble),
    };
    let papers = standings
        .iter()
        .map(|(kind, standing)| {
            let (tag, says) = words(standing);
            Line { key: kind.word(), title: kind.title(), about: kind.about(), tag, says }
        })
        .collect();
    show(&List { frame: signed.frame("/papers"), papers, trouble })
}

fn kind_of(name: &str) -> Result<Kind, Trouble> {
    Kind::ALL.into_iter().find(|kind| kind.word() == name).ok_or(Trouble::Nowhere)
}

pub(super) async fn one(signed: Signed, Path(name): Path<String>, Query(done): Query<Done>) -> Answer {
    let done = (done.done == "adopted").then_some("It is noted. If the configuration changes, the paper is marked as stale.");
    page(&signed, kind_of(&name)?, Typed::default(), done).await
}

async fn page(signed: &Signed, kind: Kind, typed: Typed, done: Option<&'static str>) -> Answer {
    let now = Timestamp::now();
    let (paper, basis, standing, mut all, changes, trouble) = signed
        .ask(move |settings, _| {
            let basis = documents::basis(kind, settings);
            let mut trouble = None;
            // What the desk keeps may be out of reach: the paper as it is now is not.
            let (standing, all) = adopted::of(settings, kind).unwrap_or_else(|fault| {
                trouble = Some(plain(&fault));
                (Standing::Never, Vec::new())
            });
            let was = match &standing {
                Standing::Stale(one) => adopted::text(settings, kind, one.number).map_err(|fault| trouble = Some(plain(&fault))).ok(),
                _ => None,
            };
            let changes = was.map(|(_, was)| adopted::changes(&was.basis, &basis)).unwrap_or_default();
            Ok((documents::make(kind, settings, &papers::live(settings, now)?), basis, standing, all, changes, trouble))
        })
        .await?;
    let made = now.to_zoned(signed.settings.time_zone.clone()).strftime("%-d %B %Y, %H:%M");
    let (tag, says) = words(&standing);
    all.truncate(EARLIER);
    let adopt = vec![
        typed.field("adopt", "adopted", "The day on which the council adopted it, or it was issued").day("For example, 27 3 2026"),
        typed
            .field("adopt", "reason", "The minute")
            .hint("Such as \u{201c}Minute 2026/41\u{201d}. It is kept with the paper and in the access log"),
    ];
    show(&One {
        frame: signed.frame("/papers"),
        summary: typed.summary(),
        done,
        key: kind.word(),
        note: format!("Made on {made} out of the configuration in force, which the mark {} names.", basis.mark()),
        gaps: paper.gaps(),
        paper,
        live: Some(Live {
            tag,
            says,
            changes,
            trouble,
            earlier: all.iter().map(|one| (one.number, format!("{} ({})", day(one.adopted), one.reference))).collect(),
            digest: basis.digest(),
            may_adopt: signed.may(Right::Rules),
            adopt,
        }),
    })
}

/// Notes that the council adopted what was read.
pub(super) async fn adopt(signed: Signed, Path(name): Path<String>, Form(sent): Form<Sent>) -> Answer {
    signed.must(&[Right::Rules])?;
    signed.sent(sent.text("token"))?;
    let kind = kind_of(&name)?;
    let mut typed = Typed::new("adopt", sent);
    let date = typed.day("adopted", "Enter the day on which it was adopted");
    typed.needs("reason", "Enter the minute, or who issued it");
    let (Some(date), true) = (date, typed.is_whole()) else { return page(&signed, kind, typed, None).await };
    let doer = signed.doer(typed.text("reason"))?;
    let seen = typed.text("seen").to_string();
    match signed.ask(move |settings, _| adopted::adopt(settings, kind, &seen, date, Timestamp::now(), &doer)).await {
        Ok(_) => Ok(Redirect::to(&format!("/papers/{}?done=adopted", kind.word())).into_response()),
        Err(trouble) => {
            let typed = typed.refused(trouble, |fault| match fault {
                Fault::AdoptedLater => Some("adopted"),
                Fault::PaperChanged => Some("reason"),
                _ => None,
            })?;
            page(&signed, kind, typed, None).await
        }
    }
}

/// A paper as it was adopted, whatever the configuration says now.
pub(super) async fn adopted(signed: Signed, Path((name, number)): Path<(String, usize)>) -> Answer {
    let kind = kind_of(&name)?;
    let (one, text): (Adoption, _) = signed.ask(move |settings, _| adopted::text(settings, kind, number)).await?;
    show(&One {
        frame: signed.frame("/papers"),
        summary: Typed::default().summary(),
        done: None,
        key: kind.word(),
        note: format!("As the council adopted it on {} ({}), under the mark {}.", day(one.adopted), one.reference, &text.basis.mark()),
        gaps: text.paper.gaps(),
        paper: text.paper,
        live: None,
    })
}
