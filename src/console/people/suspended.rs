//! Accounts that may not send and cannot sign in.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Done, Entry, Wrong, change, date, day, last_day, look, wrong, wrong_at};
use crate::console::frame::{Answer, Frame, Signed, show};
use crate::office::people;

#[derive(Template)]
#[template(path = "people-suspended.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    entries: Vec<Line>,
    asked: Asked,
    fault: Option<Wrong>,
    done: Option<&'static str>,
}

struct Line {
    address: String,
    name: String,
    reason: String,
    since: String,
    until: Option<String>,
    by: String,
}

#[derive(Clone, Default, serde::Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    month: String,
    #[serde(default)]
    year: String,
}

impl Page {
    fn is_at(&self, at: &str) -> Option<&str> {
        self.fault.as_ref().filter(|f| f.at == at).map(|f| f.text.as_str())
    }

    fn is_entry(&self, n: impl std::fmt::Display) -> bool {
        self.is_at(&format!("reason-{n}")).is_some()
    }
}

pub(in crate::console) async fn page(signed: Signed, Query(done): Query<Done>) -> Answer {
    let done = match done.done.as_str() {
        "suspended" => Some("The account is suspended. Its mail is refused from now on."),
        "lifted" => Some("The suspension is lifted. The account may send and sign in again."),
        _ => None,
    };
    whole(&signed, Asked::default(), None, done).await
}

async fn whole(signed: &Signed, asked: Asked, fault: Option<Wrong>, done: Option<&'static str>) -> Answer {
    look(signed, "whose account is suspended").await?;
    let (settings, now) = (&signed.settings, Timestamp::now());
    let entries = settings.at_desk.suspended.iter().filter(|s| !s.is_over(now)).map(|s| Line {
        name: people::name_of(settings, &s.address),
        address: s.address.clone(),
        reason: s.reason.clone(),
        since: day(signed, s.since),
        until: s.until.map(|until| last_day(signed, until)),
        by: people::name_of(settings, &s.by),
    });
    show(&Page { frame: signed.frame("/people"), entries: entries.collect(), asked, fault, done })
}

pub(in crate::console) async fn suspend(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let last = match date(&asked.day, &asked.month, &asked.year) {
        Ok(last) => last,
        Err(fault) => return whole(&signed, asked, Some(fault), None).await,
    };
    let (doer, who) = (signed.doer(&asked.reason)?, asked.who.clone());
    let done =
        change(&signed, move |settings, options, reload| people::suspend(settings, options, &who, last, Timestamp::now(), &doer, reload));
    match done.await {
        Ok(theirs) => {
            signed.desk.sessions.end_all(&theirs);
            Ok(Redirect::to("/people/suspended?done=suspended").into_response())
        }
        Err(trouble) => {
            let fault = wrong(trouble)?;
            whole(&signed, asked, Some(fault), None).await
        }
    }
}

pub(in crate::console) async fn lift(signed: Signed, Form(entry): Form<Entry>) -> Answer {
    signed.sent(&entry.token)?;
    let (doer, who) = (signed.doer(&entry.reason)?, entry.who.clone());
    let done = change(&signed, move |settings, options, reload| people::lift(settings, options, &who, Timestamp::now(), &doer, reload));
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/suspended?done=lifted").into_response()),
        Err(trouble) => {
            let fault = wrong_at(trouble, entry.n)?;
            whole(&signed, Asked::default(), Some(fault), None).await
        }
    }
}
