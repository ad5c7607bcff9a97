//! Versions of what was changed here: who changed what and why, what is different, and back to an earlier one.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query};

use super::super::frame::{Answer, Frame, Signed, Trouble, show};
use super::{Problem, look, made, make, moment, papers};
use crate::config::overlay::rules::Manifest;
use crate::office::roles::Right;
use crate::office::rules::difference::{Difference, Kind, between};
use crate::office::rules::{Act, KEPT, version, versions};

/// Versions on one page.
const EACH: usize = 50;

#[derive(Template)]
#[template(path = "rule-versions.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    left_out: Option<String>,
    versions: Vec<Line>,
    /// There are earlier ones than this.
    before: Option<u64>,
    kept: u64,
}

struct Line {
    number: u64,
    when: String,
    who: String,
    why: String,
    what: Vec<String>,
    now: bool,
}

#[derive(Template)]
#[template(path = "rule-version.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    /// None: the operator's files alone.
    line: Option<Line>,
    number: u64,
    now: bool,
    latest: u64,
    difference: Result<Difference, String>,
    may_change: bool,
    saved: bool,
    papers: Vec<(&'static str, &'static str)>,
    reason: String,
    problems: Vec<Problem>,
}

#[derive(serde::Deserialize)]
pub(super) struct From {
    #[serde(default)]
    before: String,
}

#[derive(Default, serde::Deserialize)]
pub(super) struct Saved {
    #[serde(default)]
    saved: String,
    #[serde(default)]
    papers: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    began: String,
    #[serde(default)]
    reason: String,
}

fn folder(signed: &Signed) -> Result<std::path::PathBuf, Trouble> {
    signed.settings.console.as_ref().map(|c| c.folder.clone()).ok_or(Trouble::Nowhere)
}

fn line(signed: &Signed, manifest: &Manifest, latest: u64) -> Line {
    let change = &manifest.change;
    Line {
        number: change.number,
        when: moment(signed, change.time),
        who: change.who.clone(),
        why: change.why.clone(),
        what: change.what.clone(),
        now: change.number == latest,
    }
}

pub(super) async fn list(signed: Signed, Query(from): Query<From>) -> Answer {
    let folder = folder(&signed)?;
    let below = from.before.parse().ok();
    let (all, latest) = look(move || {
        let latest = versions(&folder, None, 1).first().map_or(0, |m| m.change.number);
        (versions(&folder, below, EACH + 1), latest)
    })
    .await?;
    let before = (all.len() > EACH).then(|| all[EACH - 1].change.number);
    let versions = all.iter().take(EACH).map(|m| line(&signed, m, latest)).collect();
    let left_out = signed.settings.rules.left_out.clone();
    show(&List { frame: signed.frame("/rules"), left_out, versions, before, kept: KEPT })
}

pub(super) async fn one(signed: Signed, Path(number): Path<u64>, Query(saved): Query<Saved>) -> Answer {
    shown(&signed, number, saved, String::new(), Vec::new()).await
}

async fn shown(signed: &Signed, number: u64, saved: Saved, reason: String, problems: Vec<Problem>) -> Answer {
    let folder = folder(signed)?;
    let (manifest, latest, difference) = look(move || {
        let latest = versions(&folder, None, 1).first().map_or(0, |m| m.change.number);
        let manifest = version(&folder, number);
        let difference = match &manifest {
            Some(after) => between(&folder, versions(&folder, Some(number), 1).first(), after),
            None => Ok(Difference::default()),
        };
        (manifest, latest, difference)
    })
    .await?;
    if manifest.is_none() && number != 0 {
        return Err(Trouble::Nowhere);
    }
    show(&One {
        frame: signed.frame("/rules"),
        line: manifest.as_ref().map(|m| line(signed, m, latest)),
        number,
        // What is left out may be put back as it was written.
        now: number == latest && signed.settings.rules.left_out.is_none(),
        latest,
        difference,
        may_change: signed.may(Right::Rules),
        saved: saved.saved == "yes",
        papers: papers(&saved.papers),
        reason,
        problems,
    })
}

pub(super) async fn back(signed: Signed, Path(number): Path<u64>, Form(chosen): Form<Chosen>) -> Answer {
    signed.sent(&chosen.token)?;
    let doer = signed.doer(&chosen.reason)?;
    let act = Act::Back { number, began: chosen.began.parse().unwrap_or_default() };
    match make(&signed, act, doer).await? {
        Ok(done) => Ok(made(&done)),
        Err(refused) => {
            let problems = Problem::of(refused, "reason", "reason")?;
            shown(&signed, number, Saved::default(), chosen.reason, problems).await
        }
    }
}
