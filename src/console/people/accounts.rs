//! Accounts of people's own, registered as hashes: how many and since when is all that can be shown, not even where they are.

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::{Done, Entry, Wrong, change, day, look, offered, wrong, wrong_at};
use crate::console::frame::{Answer, Frame, Signed, show};
use crate::office::{people, roles};
use crate::smtp::address::{Address, Charset};

#[derive(Template)]
#[template(path = "people-accounts.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    entries: Vec<Line>,
    /// Name and how many, of those in the site file.
    elsewhere: Vec<(String, usize)>,
    people: Vec<(String, String)>,
    asked: Asked,
    fault: Option<Wrong>,
    done: Option<&'static str>,
}

struct Line {
    of: String,
    name: String,
    hash: String,
    since: String,
    by: String,
    /// Made under another key of the site: it fits nobody any more.
    stale: bool,
}

#[derive(Clone, Default, serde::Deserialize)]
pub(in crate::console) struct Asked {
    #[serde(default)]
    token: String,
    #[serde(default)]
    who: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    reason: String,
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
        "registered" => Some("The account is registered. The rules know it from now on; nobody can read here which it is."),
        "removed" => Some("The account is registered no more."),
        _ => None,
    };
    whole(&signed, Asked::default(), None, done).await
}

async fn whole(signed: &Signed, asked: Asked, fault: Option<Wrong>, done: Option<&'static str>) -> Answer {
    look(signed, "who has accounts of their own").await?;
    let settings = &signed.settings;
    let mark = people::key_mark(settings);
    let at_desk = &settings.at_desk.accounts;
    let entries = at_desk.iter().map(|account| Line {
        of: account.of.clone(),
        name: people::name_of(settings, &account.of),
        hash: account.account.clone(),
        since: day(signed, account.since),
        by: people::name_of(settings, &account.by),
        stale: mark.as_deref() != Some(account.key.as_str()),
    });
    let elsewhere = settings.people.councillors.iter().chain(&settings.people.staff).filter_map(|p| {
        let here = at_desk.iter().filter(|a| a.of == p.address).count();
        Some((people::name_of(settings, &p.address), p.own_accounts.len().saturating_sub(here))).filter(|(_, n)| *n > 0)
    });
    show(&Page {
        frame: signed.frame("/people"),
        entries: entries.collect(),
        elsewhere: elsewhere.collect(),
        people: offered(signed, ""),
        asked,
        fault,
        done,
    })
}

pub(in crate::console) async fn register(signed: Signed, Form(asked): Form<Asked>) -> Answer {
    signed.sent(&asked.token)?;
    let doer = signed.doer(&asked.reason)?;
    doer.may(roles::Right::People)?;
    let fault = |at: &str, text: &str| Some(Wrong { at: at.into(), text: text.into() });
    if asked.who.is_empty() {
        return whole(&signed, asked, fault("who", "Choose whose account it is"), None).await;
    }
    if Address::parse(asked.account.trim(), Charset::Utf8).is_err() {
        return whole(&signed, asked, fault("account", "Enter a whole address, such as ann.elm@btinternet.com"), None).await;
    }
    let (who, account) = (asked.who.clone(), asked.account.clone());
    let done = change(&signed, move |settings, options, reload| {
        people::register(settings, options, &who, &account, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/accounts?done=registered").into_response()),
        Err(trouble) => {
            let fault = wrong(trouble)?;
            whole(&signed, asked, Some(fault), None).await
        }
    }
}

pub(in crate::console) async fn remove(signed: Signed, Form(entry): Form<Entry>) -> Answer {
    signed.sent(&entry.token)?;
    let (doer, who, hash) = (signed.doer(&entry.reason)?, entry.who.clone(), entry.account.clone());
    let done = change(&signed, move |settings, options, reload| {
        people::unregister(settings, options, &who, &hash, Timestamp::now(), &doer, reload)
    });
    match done.await {
        Ok(()) => Ok(Redirect::to("/people/accounts?done=removed").into_response()),
        Err(trouble) => {
            let fault = wrong_at(trouble, entry.n)?;
            whole(&signed, Asked::default(), Some(fault), None).await
        }
    }
}
