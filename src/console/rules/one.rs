//! One rule: what it does, where its mode is said, changing that with a reason, and trying it first.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use jiff::{SignedDuration, Timestamp};

use super::super::frame::{Answer, Frame, Signed, Trouble, show};
use super::list::hits;
use super::trial::{Fields, Rules, Trial, Tried, may};
use super::{Problem, look, made, make, read};
use crate::config::Settings;
use crate::config::overlay::rules as overlay;
use crate::office::roles::Right;
use crate::office::rules::{Act, MODES, Refused, check, hangs};
use crate::policy::rule::{Rule, SaidBy};
use crate::policy::{Mode, plain};
use crate::records::Keeping;

#[derive(Template)]
#[template(path = "rule.html", config = "src/console/askama.toml")]
struct One {
    frame: Frame,
    id: String,
    title: String,
    mode: &'static str,
    said: String,
    place: String,
    file: Option<(String, usize)>,
    looks_for: String,
    exceptions: Vec<String>,
    happens: Vec<String>,
    told: Vec<&'static str>,
    says: Option<String>,
    if_unknown: &'static str,
    clauses: Vec<(String, String)>,
    weeks: Vec<(String, u64, u64)>,
    /// None for those who may not change it.
    change: Option<Change>,
    problems: Vec<Problem>,
}

struct Change {
    /// As it was said, under whatever ceiling.
    was: &'static str,
    chosen: &'static str,
    tried: &'static str,
    modes: Vec<(&'static str, &'static str, &'static str)>,
    /// Clauses that this rule alone enforces.
    hangs: Vec<String>,
    ceiling: Option<&'static str>,
    reason: String,
    trial: Trial,
}

#[derive(Clone, Default, serde::Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    token: String,
    #[serde(default)]
    mode: String,
    #[serde(default)]
    was: String,
    #[serde(default)]
    reason: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    mode: String,
    #[serde(flatten)]
    fields: Fields,
}

pub(super) async fn page(signed: Signed, Path(id): Path<String>) -> Answer {
    let trial = Trial::empty(&signed, format!("/rules/{id}"), Fields::default());
    shown(&signed, &id, Chosen::default(), "", trial, Vec::new()).await
}

async fn shown(signed: &Signed, id: &str, chosen: Chosen, tried: &str, trial: Trial, problems: Vec<Problem>) -> Answer {
    let settings = signed.settings.clone();
    let policy = &settings.policy;
    let rule = policy.rules().iter().find(|r| *r.id == *id).ok_or(Trouble::Nowhere)?;
    let (now, zone) = (Timestamp::now(), settings.time_zone.clone());
    let weeks = signed
        .ask(move |_, options| {
            let mut keeping = Keeping::open(options)?;
            let mut weeks = Vec::new();
            for back in 0..8 {
                let until = now + SignedDuration::from_hours(1) - SignedDuration::from_hours(24 * 7 * back);
                let from = until - SignedDuration::from_hours(24 * 7);
                weeks.push((from, keeping.figures(from, until)?.rules));
            }
            Ok(weeks)
        })
        .await?;
    let change = signed.may(Right::Rules).then(|| change(&settings, rule, &chosen, tried, trial));
    show(&One {
        frame: signed.frame("/rules"),
        id: rule.id.to_string(),
        title: rule.title.to_string(),
        mode: rule.mode.word(),
        said: said(rule),
        place: rule.place.to_string(),
        file: settings.rules.at(&rule.place).map(|(file, line)| (file.key.clone(), line)),
        looks_for: plain::looks_for(rule, policy),
        exceptions: plain::exceptions(rule, policy),
        happens: plain::happens(rule),
        told: plain::told(rule),
        says: rule.say.as_ref().map(plain::template),
        if_unknown: plain::if_unknown(rule),
        clauses: rule.clauses.iter().map(|c| (c.to_string(), policy.clause(c).map_or(String::new(), |c| c.words.clone()))).collect(),
        weeks: weeks
            .iter()
            .map(|(from, all)| {
                let (n, overrides) = hits(all, &rule.id);
                (from.to_zoned(zone.clone()).strftime("%-d %B").to_string(), n, overrides)
            })
            .collect(),
        change,
        problems,
    })
}

/// Where its mode is said.
fn said(rule: &Rule) -> String {
    let otherwise = rule.said.without_desk.word();
    match rule.said.by {
        SaidBy::RuleFile => "said in the rule file".into(),
        SaidBy::SiteFile => format!("said in the site file, under [rules.tune.{}]", rule.id),
        SaidBy::Desk => format!("said here; without that it would be {otherwise}"),
    }
}

fn change(settings: &Settings, rule: &Rule, chosen: &Chosen, tried: &str, trial: Trial) -> Change {
    let was = rule.said.mode;
    let word = |word: &str, or: Mode| overlay::mode(word).unwrap_or(or).word();
    let ceiling = settings.policy.ceiling();
    Change {
        was: was.word(),
        chosen: word(&chosen.mode, was),
        tried: word(tried, Mode::Enforce),
        modes: MODES.into_iter().map(|(mode, name, words)| (mode.word(), name, words)).collect(),
        hangs: hangs::clauses(&settings.policy, &rule.id),
        ceiling: (ceiling < Mode::Enforce).then(|| ceiling.word()),
        reason: chosen.reason.clone(),
        trial,
    }
}

pub(super) async fn mode(signed: Signed, Path(id): Path<String>, Form(chosen): Form<Chosen>) -> Answer {
    signed.sent(&chosen.token)?;
    let trial = Trial::empty(&signed, format!("/rules/{id}"), Fields::default());
    let (Some(mode), Some(was)) = (overlay::mode(&chosen.mode), overlay::mode(&chosen.was)) else {
        let problems = Problem::one("mode-off", "Choose a mode.");
        return shown(&signed, &id, chosen, "", trial, problems).await;
    };
    let doer = signed.doer(&chosen.reason)?;
    match make(&signed, Act::Mode { rule: id.clone(), mode, was }, doer).await? {
        Ok(done) => Ok(made(&done)),
        Err(refused) => {
            let problems = match refused {
                Refused::Same => Problem::one("mode-off", "It has that mode already."),
                other => Problem::of(other, "reason", "mode-off")?,
            };
            shown(&signed, &id, chosen, "", trial, problems).await
        }
    }
}

/// The rules with this one in another mode.
async fn proposed(signed: &Signed, id: &str, mode: &str) -> Result<Result<Settings, Vec<Problem>>, Trouble> {
    let Some(mode) = overlay::mode(mode) else { return Ok(Err(Problem::one("try-mode", "Choose a mode."))) };
    let rule = signed.settings.policy.rules().iter().find(|r| *r.id == *id).ok_or(Trouble::Nowhere)?;
    let act = Act::Mode { rule: id.to_string(), mode, was: rule.said.mode };
    let doer = signed.doer("")?;
    let (desk, settings) = (signed.desk.clone(), signed.settings.clone());
    match look(move || check(&desk.around.file, &settings, &act, &doer)).await? {
        Ok((_, settings, _)) => Ok(Ok(settings)),
        Err(refused) => Problem::of(refused, "reason", "try-mode").map(Err),
    }
}

pub(super) async fn try_message(signed: Signed, Path(id): Path<String>, form: Result<Form<Asked>, FormRejection>) -> Answer {
    tried(signed, id, form, false).await
}

pub(super) async fn try_month(signed: Signed, Path(id): Path<String>, form: Result<Form<Asked>, FormRejection>) -> Answer {
    tried(signed, id, form, true).await
}

async fn tried(signed: Signed, id: String, form: Result<Form<Asked>, FormRejection>, month: bool) -> Answer {
    let asked = match read(&signed, form) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    signed.sent(&asked.token)?;
    may(&signed)?;
    let trial = Trial::empty(&signed, format!("/rules/{id}"), asked.fields);
    let settings = match proposed(&signed, &id, &asked.mode).await? {
        Ok(settings) => settings,
        Err(problems) => return shown(&signed, &id, Chosen::default(), &asked.mode, trial, problems).await,
    };
    let (trial, problems) = match month {
        true => trial.with_month(&signed, Arc::new(settings)).await?,
        false => trial.with_message(&signed, Rules::Proposed(Box::new(settings))).await?,
    };
    shown(&signed, &id, Chosen::default(), &asked.mode, trial, problems).await
}
