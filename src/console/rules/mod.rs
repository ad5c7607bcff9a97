//! The rules: in plain English, with their clauses and how often each matched; changing a mode or the text of a rule file; trying rules
//! before they are switched on; earlier versions. What can be changed is rules alone, and a change with a fault changes nothing.

mod files;
mod list;
mod one;
mod trial;
mod versions;

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::Desk;
use super::frame::{Answer, Frame, Message, Signed, Trouble, sentence};
use crate::documents::Kind;
use crate::office::rules::{Act, Done, Found, Gateway, Refused, change};
use crate::office::{Doer, Fault};
use crate::records::Options;

/// Rules that are looked through or tried at the same time: each takes a processor.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

pub(super) fn router() -> Router<Arc<Desk>> {
    Router::new()
        .route("/rules", get(list::page))
        .route("/rules/{id}", get(one::page))
        .route("/rules/{id}/mode", post(one::mode))
        .route("/rules/{id}/try", post(one::try_message))
        .route("/rules/{id}/month", post(one::try_month))
        .route("/rule-files", get(files::list))
        .route("/rule-files/new", get(files::new).post(files::make_file))
        .route("/rule-files/new/check", post(files::check_new))
        .route("/rule-files/new/try", post(files::try_new))
        .route("/rule-files/new/month", post(files::month_new))
        .route("/rule-files/{key}", get(files::page).post(files::save))
        .route("/rule-files/{key}/check", post(files::check))
        .route("/rule-files/{key}/try", post(files::try_message))
        .route("/rule-files/{key}/month", post(files::try_month))
        .route("/rule-files/{key}/give-up", post(files::give_up))
        .route("/rule-versions", get(versions::list))
        .route("/rule-versions/{number}", get(versions::one))
        .route("/rule-versions/{number}/back", post(versions::back))
        .route("/rule-trial", get(trial::page))
        .route("/rule-trial/try", post(trial::try_message))
}

/// Makes a change, away from whoever else is served.
async fn make(signed: &Signed, act: Act, doer: Doer) -> Result<Result<Done, Refused>, Trouble> {
    let desk = signed.desk.clone();
    let done = tokio::task::spawn_blocking(move || {
        let around = &desk.around;
        let gateway = Gateway { file: &around.file, settings: &|| desk.settings(), reload: &*around.reload };
        let options = Options::of(&desk.settings());
        change(&gateway, &options, &act, Timestamp::now(), &doer)
    });
    done.await.map_err(|_| Trouble::Broken)
}

/// The same for what only looks, a few at a time.
async fn look<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let _turn = AT_ONCE.acquire().await.map_err(|_| Trouble::Broken)?;
    tokio::task::spawn_blocking(act).await.map_err(|_| Trouble::Broken)
}

/// The page of a version that has just been made.
fn made(done: &Done) -> Response {
    let papers: Vec<&str> = done.stale.iter().map(|kind| kind.word()).collect();
    Redirect::to(&format!("/rule-versions/{}?saved=yes&papers={}", done.version, papers.join(","))).into_response()
}

/// Papers by their words in a URL.
fn papers(words: &str) -> Vec<(&'static str, &'static str)> {
    Kind::ALL.into_iter().filter(|kind| words.split(',').any(|w| w == kind.word())).map(|kind| (kind.word(), kind.title())).collect()
}

/// What is shown in a summary of errors: the field, the line in it, and the words.
struct Problem {
    at: &'static str,
    line: Option<usize>,
    words: String,
}

impl Problem {
    fn one(at: &'static str, words: impl Into<String>) -> Vec<Problem> {
        vec![Problem { at, line: None, words: words.into() }]
    }

    /// Of a change that was refused. What is no fault of a form is a page of its own.
    fn of(refused: Refused, reason: &'static str, field: &'static str) -> Result<Vec<Problem>, Trouble> {
        let words = sentence(&refused.to_string());
        Ok(match refused {
            Refused::Office(Fault::Purpose) => Problem::one(reason, words),
            Refused::Office(fault) => return Err(Trouble::Office(fault)),
            Refused::NotThere => return Err(Trouble::Nowhere),
            Refused::Faults(found) => found.into_iter().filter(|f| f.error).map(|f| Problem::in_text(field, &f)).collect(),
            Refused::Name | Refused::NameTaken => Problem::one("name", words),
            _ => Problem::one(field, words),
        })
    }

    fn in_text(field: &'static str, found: &Found) -> Problem {
        let line = found.line.filter(|_| found.file.is_none());
        let place = match (&found.file, found.line) {
            (Some(file), Some(line)) => format!("{file}, line {line}: "),
            (None, Some(line)) => format!("Line {line}: "),
            (Some(file), None) => format!("{file}: "),
            (None, None) => String::new(),
        };
        Problem { at: field, line, words: format!("{place}{}", found.message) }
    }
}

/// A form; or the page that says that it was too much.
fn read<T>(signed: &Signed, form: Result<Form<T>, FormRejection>) -> Result<T, Box<Answer>> {
    match form {
        Ok(Form(form)) => Ok(form),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let words = "At most a megabyte is taken at once, the message that is tried and the rule file together. Nothing was changed.";
            Err(Box::new(refuse(signed.frame("/rules"), StatusCode::PAYLOAD_TOO_LARGE, "That is too large", words)))
        }
        Err(_) => {
            let words = "Nothing was changed. Go back, load the page again, and do it once more.";
            Err(Box::new(refuse(signed.frame("/rules"), StatusCode::BAD_REQUEST, "That form was not whole", words)))
        }
    }
}

fn refuse(frame: Frame, status: StatusCode, title: &str, words: &str) -> Answer {
    let back = Some(("/rules".to_string(), "All rules".to_string()));
    let page = Message { frame, title: title.into(), paragraphs: vec![words.into()], back };
    Ok((status, axum::response::Html(page.render().map_err(|_| Trouble::Broken)?)).into_response())
}

/// "Thursday 14 May 2026, 10:02".
fn moment(signed: &Signed, time: Timestamp) -> String {
    time.to_zoned(signed.settings.time_zone.clone()).strftime("%A %-d %B %Y, %H:%M").to_string()
}
