//! Rule files: which there are, and the text of one in an editor whose faults are told at their lines.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::extract::rejection::FormRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::super::frame::{Answer, Frame, Signed, Trouble, show};
use super::trial::{Fields, Rules, Trial, Tried, may};
use super::{Problem, look, made, make, read, sentence};
use crate::config::Settings;
use crate::config::overlay::rules::{LARGEST_TEXT, Made};
use crate::office::roles::Right;
use crate::office::rules::difference::{FileDifference, Kind, texts};
use crate::office::rules::{self, Act, Found, Refused, View, check as look_through};

#[derive(Template)]
#[template(path = "rule-files.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    files: Vec<Line>,
    left_out: Option<String>,
    may_change: bool,
}

struct Line {
    key: String,
    shown: String,
    state: &'static str,
    rules: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "rule-file.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    /// None: a new one.
    file: Option<View>,
    state: &'static str,
    /// What became of the operator's file since the copy was made.
    overtaken: Option<FileDifference>,
    may_change: bool,
    too_large: bool,
    to: String,
    form: Shown,
    /// After it was looked through.
    found: Option<Vec<Found>>,
    trial: Trial,
    problems: Vec<Problem>,
}

/// What stands in the form.
#[derive(Default)]
struct Shown {
    name: String,
    text: String,
    began: String,
    reason: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Written {
    #[serde(default)]
    token: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    text: String,
    /// The hash of the text that they began with.
    #[serde(default)]
    began: String,
    #[serde(default)]
    reason: String,
    #[serde(flatten)]
    fields: Fields,
}

#[derive(serde::Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    token: String,
    #[serde(default)]
    began: String,
    #[serde(default)]
    reason: String,
}

/// A new file starts with something that can be changed.
const TEMPLATE: &str = r#"# A rule of the council's own. It is observed at first: see what it would do, then let it warn or enforce.
[[rule]]
id    = "our-first-rule"
title = "What it is for, in a few words"
mode  = "observe"
when.direction     = "outbound"
when.subject.words = ["draft minutes"]
then.notify = ["sender"]
say = "This looks like draft minutes. Is it meant to leave the council?"
"#;

fn state(file: &View) -> &'static str {
    match &file.made {
        _ if file.left_out => "changed here, and left out since it has faults",
        Made::Operator => "as the operator wrote it",
        Made::Own => "made here",
        made if made.is_overtaken() => "changed here; the operator's file was changed after that",
        Made::Changed { .. } => "changed here",
    }
}

pub(super) async fn list(signed: Signed) -> Answer {
    let settings = &signed.settings;
    let of = |key: &str| {
        let rules = settings.policy.rules().iter();
        rules
            .filter(|r| settings.rules.at(&r.place).is_some_and(|(f, _)| f.key == key))
            .map(|r| (r.id.to_string(), r.title.to_string()))
            .collect()
    };
    let files = rules::files(settings)
        .into_iter()
        .map(|file| Line { rules: of(&file.key), state: state(&file), key: file.key, shown: file.shown })
        .collect();
    let left_out = settings.rules.left_out.clone();
    show(&List { frame: signed.frame("/rules"), files, left_out, may_change: signed.may(Right::Rules) })
}

/// Which file is edited.
enum Edited {
    File(Box<View>),
    New,
}

impl Edited {
    fn of(settings: &Settings, key: &str) -> Result<Edited, Trouble> {
        rules::file(settings, key).map(|file| Edited::File(Box::new(file))).ok_or(Trouble::Nowhere)
    }

    fn to(&self) -> String {
        match self {
            Edited::File(file) => format!("/rule-files/{}", file.key),
            Edited::New => "/rule-files/new".into(),
        }
    }

    fn act(&self, form: &Shown) -> Act {
        match self {
            Edited::File(file) => Act::Write { key: file.key.clone(), text: form.text.clone(), began: form.began.clone() },
            Edited::New => Act::New { name: form.name.clone(), text: form.text.clone() },
        }
    }
}

fn shown(signed: &Signed, edited: Edited, form: Shown, found: Option<Vec<Found>>, trial: Trial, problems: Vec<Problem>) -> Answer {
    let to = edited.to();
    let file = match edited {
        Edited::File(file) => Some(*file),
        Edited::New => None,
    };
    show(&Page {
        frame: signed.frame("/rules"),
        state: file.as_ref().map_or("", state),
        overtaken: file.as_ref().and_then(overtaken),
        may_change: signed.may(Right::Rules),
        too_large: file.as_ref().is_some_and(|f| f.text.len() > LARGEST_TEXT),
        to,
        file,
        form,
        found,
        trial,
        problems,
    })
}

fn overtaken(file: &View) -> Option<FileDifference> {
    match &file.made {
        Made::Changed { original, today: Some(today) } if today != original => Some(texts(file.shown.clone(), original, today)),
        _ => None,
    }
}

pub(super) async fn page(signed: Signed, Path(key): Path<String>) -> Answer {
    let edited = Edited::of(&signed.settings, &key)?;
    let Edited::File(file) = &edited else { return Err(Trouble::Nowhere) };
    let form = Shown { text: file.text.clone(), began: file.hash(), ..Shown::default() };
    let trial = Trial::empty(&signed, edited.to(), Fields::default());
    shown(&signed, edited, form, None, trial, Vec::new())
}

pub(super) async fn new(signed: Signed) -> Answer {
    may(&signed)?;
    let trial = Trial::empty(&signed, Edited::New.to(), Fields::default());
    shown(&signed, Edited::New, Shown { text: TEMPLATE.into(), ..Shown::default() }, None, trial, Vec::new())
}

/// What a button of the editor does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Button {
    Save,
    Check,
    Message,
    Month,
}

type Sent = Result<Form<Written>, FormRejection>;

pub(super) async fn save(signed: Signed, Path(key): Path<String>, form: Sent) -> Answer {
    pressed(signed, Some(key), form, Button::Save).await
}

pub(super) async fn make_file(signed: Signed, form: Sent) -> Answer {
    pressed(signed, None, form, Button::Save).await
}

pub(super) async fn try_message(signed: Signed, Path(key): Path<String>, form: Sent) -> Answer {
    pressed(signed, Some(key), form, Button::Message).await
}

pub(super) async fn try_new(signed: Signed, form: Sent) -> Answer {
    pressed(signed, None, form, Button::Message).await
}

pub(super) async fn try_month(signed: Signed, Path(key): Path<String>, form: Sent) -> Answer {
    pressed(signed, Some(key), form, Button::Month).await
}

pub(super) async fn month_new(signed: Signed, form: Sent) -> Answer {
    pressed(signed, None, form, Button::Month).await
}

pub(super) async fn check(signed: Signed, Path(key): Path<String>, headers: HeaderMap, form: Sent) -> Answer {
    checked(signed, Some(key), headers, form).await
}

pub(super) async fn check_new(signed: Signed, headers: HeaderMap, form: Sent) -> Answer {
    checked(signed, None, headers, form).await
}

/// The page; or, for the script of the page, what was found alone.
async fn checked(signed: Signed, key: Option<String>, headers: HeaderMap, form: Sent) -> Answer {
    let wants_json = headers.get(header::ACCEPT).is_some_and(|v| v == "application/json");
    if !wants_json {
        return pressed(signed, key, form, Button::Check).await;
    }
    let written = match read(&signed, form) {
        Ok(written) => written,
        Err(answer) => return *answer,
    };
    signed.sent(&written.token)?;
    may(&signed)?;
    let edited = key.map_or(Ok(Edited::New), |key| Edited::of(&signed.settings, &key))?;
    let act = edited.act(&Shown { name: written.name, text: written.text, began: written.began, reason: String::new() });
    let (found, fault) = match through(&signed, act).await? {
        Ok((_, found)) | Err(Refused::Faults(found)) => (found, None),
        // A name is not there yet while they write.
        Err(Refused::Name | Refused::NameTaken) => (Vec::new(), None),
        Err(other) => (Vec::new(), Some(sentence(&other.to_string()))),
    };
    let said = serde_json::json!({ "found": found, "fault": fault }).to_string();
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], said).into_response())
}

/// The settings with what is proposed, and its warnings.
async fn through(signed: &Signed, act: Act) -> Result<Result<(Settings, Vec<Found>), Refused>, Trouble> {
    let doer = signed.doer("")?;
    let (desk, settings) = (signed.desk.clone(), signed.settings.clone());
    look(move || look_through(&desk.around.file, &settings, &act, &doer).map(|(_, settings, found)| (settings, found))).await
}

async fn pressed(signed: Signed, key: Option<String>, form: Sent, button: Button) -> Answer {
    let written = match read(&signed, form) {
        Ok(written) => written,
        Err(answer) => return *answer,
    };
    signed.sent(&written.token)?;
    may(&signed)?;
    let edited = key.map_or(Ok(Edited::New), |key| Edited::of(&signed.settings, &key))?;
    let Written { name, text, began, reason, fields, .. } = written;
    let form = Shown { name, text, began, reason };
    let trial = Trial::empty(&signed, edited.to(), fields);
    let act = edited.act(&form);
    let refused = if button == Button::Save {
        let doer = signed.doer(&form.reason)?;
        match make(&signed, act, doer).await? {
            Ok(done) => return Ok(made(&done)),
            Err(refused) => refused,
        }
    } else {
        match through(&signed, act).await? {
            Err(refused) => refused,
            Ok((settings, found)) => {
                let (trial, problems) = match button {
                    Button::Message => trial.with_message(&signed, Rules::Proposed(Box::new(settings))).await?,
                    Button::Month => trial.with_month(&signed, Arc::new(settings)).await?,
                    _ => (trial, Vec::new()),
                };
                return shown(&signed, edited, form, Some(found), trial, problems);
            }
        }
    };
    let found = match &refused {
        Refused::Faults(found) => Some(found.clone()),
        _ => None,
    };
    let problems = Problem::of(refused, "reason", "text")?;
    shown(&signed, edited, form, found, trial, problems)
}

/// The operator's file again, or a file of the desk's own deleted.
pub(super) async fn give_up(signed: Signed, Path(key): Path<String>, Form(given): Form<Given>) -> Result<Response, Trouble> {
    signed.sent(&given.token)?;
    let edited = Edited::of(&signed.settings, &key)?;
    let doer = signed.doer(&given.reason)?;
    match make(&signed, Act::GiveUp { key: key.clone(), began: given.began }, doer).await? {
        Ok(done) => Ok(made(&done)),
        Err(refused) => {
            let found = match &refused {
                Refused::Faults(found) => Some(found.clone()),
                _ => None,
            };
            let problems = Problem::of(refused, "give-up-reason", "give-up-reason")?;
            let Edited::File(file) = &edited else { return Err(Trouble::Nowhere) };
            let form = Shown { text: file.text.clone(), began: file.hash(), ..Shown::default() };
            let trial = Trial::empty(&signed, edited.to(), Fields::default());
            shown(&signed, edited, form, found, trial, problems)
        }
    }
}
