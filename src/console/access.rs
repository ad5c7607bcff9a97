//! Who looked at whom and why; and what one person asks that takes a second.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect};
use jiff::{SignedDuration, Timestamp};

use super::frame::{Answer, Frame, Signed, show};
use crate::config::settings::TwoPeople;
use crate::office::roles::{Right, right_of};
use crate::office::{audit, requests};
use crate::records::access::requests::{Request, State, all};

#[derive(Template)]
#[template(path = "access.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    requests: Vec<Asked>,
    may_audit: bool,
    entries: Option<Vec<Entry>>,
    verdict: Option<(bool, Vec<String>)>,
    fault: Option<&'static str>,
}

struct Asked {
    id: i64,
    what: String,
    by: String,
    why: String,
    until: String,
    state: &'static str,
    /// This person may say yes or no.
    open: bool,
}

struct Entry {
    number: i64,
    time: String,
    who: String,
    what: String,
    about: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Look {
    #[serde(default)]
    token: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    days: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Decision {
    #[serde(default)]
    token: String,
    #[serde(default)]
    reason: String,
}

pub(super) async fn page(signed: Signed) -> Answer {
    whole(&signed, None, None).await
}

async fn whole(signed: &Signed, looked: Option<(Vec<Entry>, bool, Vec<String>)>, fault: Option<&'static str>) -> Answer {
    let found = signed.ask(|_, options| Ok(all(options)?)).await?;
    let now = Timestamp::now();
    let requests = found.iter().rev().filter(|r| !r.is_over(now)).filter_map(|r| asked(signed, r)).collect();
    let (entries, verdict) = match looked {
        Some((entries, holds, says)) => (Some(entries), Some((holds, says))),
        None => (None, None),
    };
    show(&Page { frame: signed.frame("/access"), requests, may_audit: signed.may(Right::Audit), entries, verdict, fault })
}

/// None where it is none of this person's business.
fn asked(signed: &Signed, request: &Request) -> Option<Asked> {
    let act = TwoPeople::WORDS.iter().find(|(word, _)| *word == request.act).map(|(_, act)| *act)?;
    let own = request.asker.person == signed.insider.name;
    if !own && !signed.may(right_of(act)) {
        return None;
    }
    let what = match act {
        TwoPeople::Content => format!("Read the held message {}", request.subject),
        TwoPeople::Holds => format!("Hold records for the case {}", request.subject),
        TwoPeople::Reports => format!("Look up what {} sent and received", request.subject),
    };
    Some(Asked {
        id: request.id,
        what,
        by: request.asker.identity.name().to_string(),
        why: request.why.clone(),
        until: request.ends.to_zoned(signed.settings.time_zone.clone()).strftime("%A %-d %B, %H:%M").to_string(),
        state: request.state.word(),
        open: !own && request.state == State::Asked,
    })
}

pub(super) async fn look(signed: Signed, Form(form): Form<Look>) -> Answer {
    signed.sent(&form.token)?;
    if form.purpose.trim().is_empty() {
        return whole(&signed, None, Some("Say why you look, in a few words")).await;
    }
    let doer = signed.doer(&form.purpose)?;
    let now = Timestamp::now();
    let since = now - SignedDuration::from_hours(24 * form.days.parse::<i64>().unwrap_or(30).clamp(1, 1_000));
    let (entries, verified) = signed
        .ask(move |_, options| {
            let verified = audit::verify(options, &doer)?;
            Ok((audit::list(options, since, now, &doer)?, verified))
        })
        .await?;
    let zone = signed.settings.time_zone.clone();
    let entries = entries
        .iter()
        .rev()
        .take(1_000)
        .map(|entry| {
            let access = &entry.access;
            let mut about: Vec<&str> =
                [&access.reference, &access.message_id, &access.sender].into_iter().flatten().map(String::as_str).collect();
            about.extend(access.recipient.as_deref().filter(|r| Some(*r) != access.sender.as_deref()));
            Entry {
                number: entry.number,
                time: access.time.to_zoned(zone.clone()).strftime("%-d %B %Y, %H:%M").to_string(),
                who: access.identity.as_ref().map_or_else(|| access.who.clone(), ToString::to_string),
                what: access.purpose.clone(),
                about: about.join(", "),
            }
        })
        .collect();
    let says = audit::words(&verified).lines().map(str::to_string).collect();
    whole(&signed, Some((entries, verified.breaks.is_empty(), says)), None).await
}

pub(super) async fn approve(signed: Signed, Path(id): Path<i64>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer("approved on the console")?;
    signed.ask(move |settings, options| requests::approve(settings, options, id, None, Timestamp::now(), &doer)).await?;
    Ok(Redirect::to("/access").into_response())
}

pub(super) async fn refuse(signed: Signed, Path(id): Path<i64>, Form(form): Form<Decision>) -> Answer {
    signed.sent(&form.token)?;
    let doer = signed.doer(&form.reason)?;
    signed.ask(move |settings, options| requests::refuse(settings, options, id, Timestamp::now(), &doer)).await?;
    Ok(Redirect::to("/access").into_response())
}
