//! Trying rules on a pasted message or over the last weeks: fields that stand on several pages, and what came of them.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::rejection::FormRejection;
use jiff::Timestamp;

use super::super::frame::{Answer, Frame, Signed, Trouble, plain, show};
use super::{Problem, look, read, sentence};
use crate::config::Settings;
use crate::office::Fault;
use crate::office::replay::{DISPOSITIONS, Difference, Report};
use crate::office::roles::Right;
use crate::office::rules::trial::{Message, Untried, Verdict, on_message, on_record};
use crate::records::Options;

/// Differences that are listed.
const LISTED: usize = 100;

/// As they come out of a form.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub from: String,
    #[serde(default)]
    pub to: String,
    #[serde(default)]
    pub listener: String,
    #[serde(default)]
    pub days: String,
    #[serde(default)]
    pub purpose: String,
}

impl Fields {
    pub(super) fn is_days(&self, days: &str) -> bool {
        self.days == days || (self.days.is_empty() && days == "30")
    }
}

/// The fields and what came of them.
pub(super) struct Trial {
    /// Where the buttons lead: below this.
    pub to: String,
    pub fields: Fields,
    pub listeners: Vec<String>,
    pub may_look: bool,
    pub result: Option<Tried>,
}

pub(super) enum Tried {
    Message { verdict: Verdict, now: Option<String> },
    Month(Month),
}

pub(super) struct Month {
    pub messages: u64,
    pub different: u64,
    pub undecided: u64,
    pub sums: Vec<(&'static str, u64, String)>,
    pub rules: Vec<(String, u64, String)>,
    pub differences: Vec<(String, String, String, String)>,
    pub open: Vec<(String, String, u64)>,
    pub left_out: u64,
}

/// Which rules are tried.
pub(super) enum Rules {
    /// Those that hold.
    Live,
    /// Those of a proposed change, which was looked through.
    Proposed(Box<Settings>),
}

impl Trial {
    pub(super) fn empty(signed: &Signed, to: String, fields: Fields) -> Trial {
        Trial {
            to,
            fields,
            listeners: signed.settings.listeners.iter().map(|l| l.name.to_string()).collect(),
            may_look: signed.may(Right::LookUp),
            result: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        let f = &self.fields;
        self.result.is_some() || [&f.message, &f.from, &f.to, &f.purpose].iter().any(|text| !text.is_empty())
    }

    /// What these rules would make of the message.
    pub(super) async fn with_message(mut self, signed: &Signed, rules: Rules) -> Result<(Trial, Vec<Problem>), Trouble> {
        let f = &self.fields;
        let message = Message { text: f.message.clone(), from: f.from.clone(), to: f.to.clone(), listener: f.listener.clone() };
        let live = signed.settings.clone();
        let tried = look(move || match rules {
            Rules::Live => on_message(&live, &message).map(|verdict| (verdict, None)),
            Rules::Proposed(settings) => {
                let verdict = on_message(&settings, &message)?;
                Ok((verdict, on_message(&live, &message).ok().map(|v| v.headline)))
            }
        });
        match tried.await? {
            Ok((verdict, now)) => {
                self.result = Some(Tried::Message { verdict, now });
                Ok((self, Vec::new()))
            }
            Err(untried) => {
                let at = match untried {
                    Untried::Empty => "message",
                    Untried::NoListener => "listener",
                    Untried::From(_) => "from",
                    Untried::To(_) | Untried::TooMany => "to",
                };
                Ok((self, Problem::one(at, sentence(&untried.to_string()))))
            }
        }
    }

    /// What these rules would have made of the last days' mail.
    pub(super) async fn with_month(mut self, signed: &Signed, settings: Arc<Settings>) -> Result<(Trial, Vec<Problem>), Trouble> {
        if settings.monitoring.is_none() {
            return Ok((self, Problem::one("days", "There is nothing to judge: only hourly counts are kept.")));
        }
        let days = self.fields.days.parse().unwrap_or(30);
        let doer = signed.doer(&self.fields.purpose)?;
        let judged = look(move || on_record(&settings, &Options::of(&settings), days, Timestamp::now(), &doer)).await?;
        match judged {
            Ok(report) => {
                self.result = Some(Tried::Month(month(signed, &report)));
                Ok((self, Vec::new()))
            }
            Err(fault @ Fault::Purpose) => Ok((self, Problem::one("purpose", plain(&fault)))),
            Err(fault) => Err(Trouble::Office(fault)),
        }
    }
}

fn month(signed: &Signed, report: &Report) -> Month {
    let words = ["Delivered", "Held", "Put off", "Refused"];
    let mut sums: Vec<_> = words.into_iter().zip(&report.dispositions).map(|(w, c)| (w, c.happened, c.would.to_string())).collect();
    sums.push(("Mended", report.mended.happened, report.mended.would.to_string()));
    sums.push(("Warned", report.warned.happened, report.warned.would.to_string()));
    let changed = report.rules.iter().filter(|(_, c)| c.would.least != c.happened || c.would.most != c.happened);
    Month {
        messages: report.messages,
        different: report.different,
        undecided: report.undecided,
        sums,
        rules: changed.map(|(id, c)| (id.clone(), c.happened, c.would.to_string())).collect(),
        differences: report.differences.iter().take(LISTED).map(|d| difference(signed, d)).collect(),
        open: report.open.iter().map(|((rule, missing), n)| (rule.clone(), missing.words(), *n)).collect(),
        left_out: report.without_facts + report.unreadable,
    }
}

fn difference(signed: &Signed, d: &Difference) -> (String, String, String, String) {
    let said = |word: &str| DISPOSITIONS.iter().position(|w| *w == word).map_or("", |n| ["delivered", "held", "put off", "refused"][n]);
    let mended = |yes: bool| if yes { ", mended" } else { "" };
    let would =
        if d.would[0] == d.would[1] { said(d.would[0]).to_string() } else { format!("{} to {}", said(d.would[0]), said(d.would[1])) };
    let was = format!("{}{}", said(&d.was), mended(d.was_mended));
    (d.reference.clone(), super::moment(signed, d.time), was, format!("{would}{}", mended(d.would_be_mended)))
}

#[derive(Template)]
#[template(path = "rule-trial.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    trial: Trial,
    problems: Vec<Problem>,
}

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(flatten)]
    fields: Fields,
}

/// Who may change rules may try them: what people registered shows in a verdict.
pub(super) fn may(signed: &Signed) -> Result<(), Trouble> {
    Ok(signed.doer("")?.may(Right::Rules)?)
}

pub(super) async fn page(signed: Signed) -> Answer {
    may(&signed)?;
    let trial = Trial::empty(&signed, "/rule-trial".into(), Fields::default());
    show(&Page { frame: signed.frame("/rules"), trial, problems: Vec::new() })
}

pub(super) async fn try_message(signed: Signed, form: Result<Form<Asked>, FormRejection>) -> Answer {
    let asked = match read(&signed, form) {
        Ok(asked) => asked,
        Err(answer) => return *answer,
    };
    signed.sent(&asked.token)?;
    may(&signed)?;
    let trial = Trial::empty(&signed, "/rule-trial".into(), asked.fields);
    let (trial, problems) = trial.with_message(&signed, Rules::Live).await?;
    show(&Page { frame: signed.frame("/rules"), trial, problems })
}
