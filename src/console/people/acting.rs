//! Who acts for whom, until a day.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Done, Entry, Wrong, acts, change, date, day, last_day, look, offered, wrong, wrong_at};
use crate::config::overlay::people::LONGEST;
use crate::config::settings::Duty;
use crate::console::frame::{Answer, Frame, Signed, Trouble, show};
use crate::office::{people, roles};

#[derive(Template)]
#[template(path = "people-acting.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    entries: Vec<Line>,
    people: Vec<(String, String)>,
    /// What this person may lend.
    roles: Vec<(&'static str, &'static str)>,
    longest: i64,
    asked: Asked,
    fault: Option<Wrong>,
    done: Option<&'static str>,
}

struct Line {
    to: String,
    name: String,
    role: &'static str,
    acts: &'static str,
    reason: String,
    since: String,
    until: String,
    by: String,
}

#[derive(Clone, Default, serde::Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    role: String,
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
        "lent" => Some("From now on they have that role as well, until the end of that day."),
        "ended" => Some("They have that role no more."),
        _ => None,
    };
    whole(&signed, Asked::default(), None, done).await
}

fn role_of(word: &str) -> Option<Duty> {
    Duty::WORDS.iter().find(|(known, _)| *known == word).map(|(_, duty)| *duty)
}

async fn whole(signed: &Signed, asked: Asked, fault: Option<Wrong>, done: Option<&'static str>) -> Answer {
    look(signed, "who acts for whom").await?;
    let (settings, now) = (&signed.settings, Timestamp::now());
    let entries = roles::lent(settings, now).map(|lent| Line {
        to: lent.to.clone(),
        name: people::name_of(settings, &lent.to),
        role: lent.role.word(),
        acts: acts(lent.role),
        reason: lent.reason.clone(),
        since: day(signed, lent.since),
        until: last_day(signed, lent.until),
        by: people::name_of(settings, &lent.by),
    });
    let own = roles::bearer(settings, &signed.session.person).map(|b| b.duties).unwrap_or_default();
    let lendable = own.into_iter().filter(|d| *d != Duty::Member).map(|d| (d.word(), acts(d)));
    show(&Page {
        frame: signed.frame("/people"),
        entries: entries.collect(),
        people: offered(signed, &signed.insider.name),
        roles: lendable.collect(),
        longest: LONGEST,
        asked,
        fault,
        done,
    })
}

pub(in crate::console) async fn lend(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let doer = signed.doer(&asked.reason)?;
    // Before the form is looked at: whoever may not learns nothing from what is wrong with it.
    doer.may(roles::Right::People)?;
    let fault = |at: &str, text: &str| Some(Wrong { at: at.into(), text: text.into() });
    let last = match date(&asked.day, &asked.month, &asked.year) {
        Ok(Some(last)) => last,
        Ok(None) => return whole(&signed, asked, fault("day", "Enter the last day"), None).await,
        Err(fault) => return whole(&signed, asked, Some(fault), None).await,
    };
    let Some(role) = role_of(&asked.role) else { return whole(&signed, asked, fault("role", "Choose a role"), None).await };
    if asked.who.is_empty() {
        return whole(&signed, asked, fault("who", "Choose who is to act"), None).await;
    }
    let who = asked.who.clone();
    let done = change(&signed, move |settings, options, reload| {
        people::lend(settings, options, role, &who, last, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/acting?done=lent").into_response()),
        Err(trouble) => {
            let fault = wrong(trouble)?;
            whole(&signed, asked, Some(fault), None).await
        }
    }
}

pub(in crate::console) async fn end(signed: Signed, Form(entry): Form<Entry>) -> Answer {
    signed.sent(&entry.token)?;
    let (doer, who) = (signed.doer(&entry.reason)?, entry.who.clone());
    let role = role_of(&entry.role).ok_or(Trouble::Nowhere)?;
    let done =
        change(&signed, move |settings, options, reload| people::take_back(settings, options, role, &who, Timestamp::now(), &doer, reload));
    match done.await {
        // Whoever gave up the role by which they are here sees this page no more.
        Ok(()) if !super::still_may(&signed) => Ok(Redirect::to("/").into_response()),
        Ok(()) => Ok(Redirect::to("/people/acting?done=ended").into_response()),
        Err(trouble) => {
            let fault = wrong_at(trouble, entry.n)?;
            whole(&signed, Asked::default(), Some(fault), None).await
        }
    }
}
