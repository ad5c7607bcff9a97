//! Signing in by a link that comes by mail. Programs look at links before people do, so following one changes nothing: a button does.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;

use super::Desk;
use super::frame::{Answer, Frame, Message, Signed, bare, show};
use super::server::From;
use crate::config::Settings;
use crate::office::roles::insider;
use crate::smtp::address::{Address, Charset};

#[derive(Template)]
#[template(path = "sign-in.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    /// Whether people may sign in with the council's account.
    account: bool,
    sent: bool,
    link: Option<String>,
    fault: Option<&'static str>,
}

#[derive(serde::Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    address: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Followed {
    #[serde(default)]
    key: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Entered {
    #[serde(default)]
    link: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Left {
    #[serde(default)]
    token: String,
}

pub(super) async fn page(State(desk): State<Arc<Desk>>) -> Answer {
    let settings = desk.settings();
    show(&Page { frame: bare(&settings), account: has_account(&settings), sent: false, link: None, fault: None })
}

fn has_account(settings: &Settings) -> bool {
    settings.console.as_ref().is_some_and(|c| c.saml.is_some())
}

/// Mails a link. The answer is the same whoever asks: nobody learns who has a role.
pub(super) async fn send(State(desk): State<Arc<Desk>>, Extension(From(from)): Extension<From>, Form(asked): Form<Asked>) -> Answer {
    let settings = desk.settings();
    let page = |sent, fault| Page { frame: bare(&settings), account: has_account(&settings), sent, link: None, fault };
    let Ok(address) = Address::parse(asked.address.trim(), Charset::Utf8) else {
        return show(&page(false, Some("Enter your council mail address, such as clerk@council.gov.uk")));
    };
    let (address, now) = (address.normal(), Instant::now());
    if !desk.links.may_try(from.ip(), now) {
        return show(&page(false, Some("Too many links were asked for from here. Wait a quarter of an hour")));
    }
    if insider(&settings, &address, Timestamp::now()).is_some()
        && let Some(link) = desk.links.make(&address, now)
        && let Some(outbox) = desk.around.outbox.clone()
    {
        let text = vec![
            "Somebody, most likely you, wants to sign in to the mail gateway's pages. To do so, follow this link and press the button:"
                .into(),
            format!("{}/sign-in/link?key={}", desk.url, link.0),
            "It works once, within 15 minutes. If it was not you, do nothing: without the link nobody gets in.".to_string(),
        ];
        // Not waited for: how long it takes must not tell whether there is somebody.
        tokio::spawn(async move {
            if let Err(error) = outbox.memo(&address, "Your link to sign in", &text).await {
                tracing::error!(event = "sign_in_link_lost", %error);
            }
        });
    }
    show(&page(true, None))
}

pub(super) async fn followed(State(desk): State<Arc<Desk>>, Query(followed): Query<Followed>) -> Answer {
    show(&Page { frame: bare(&desk.settings()), account: false, sent: false, link: Some(followed.key), fault: None })
}

pub(super) async fn enter(State(desk): State<Arc<Desk>>, Extension(From(from)): Extension<From>, Form(entered): Form<Entered>) -> Answer {
    let (settings, now) = (desk.settings(), Instant::now());
    if !desk.links.may_try(from.ip(), now) {
        return too_often(&settings);
    }
    let good = desk.links.take(&entered.link, now);
    let person = good.filter(|address| insider(&settings, address, Timestamp::now()).is_some());
    let Some(name) = person.and_then(|person| desk.sessions.begin(&person, now)) else {
        tracing::warn!(event = "sign_in_refused");
        let text = "It was used already, or it is older than 15 minutes.";
        return Message::show(bare(&settings), "That link does not work any more", text, ("/sign-in", "Send me another link"));
    };
    tracing::info!(event = "signed_in");
    Ok(([(header::SET_COOKIE, desk.cookie.set(&name.0))], Redirect::to("/")).into_response())
}

/// For whoever has tried too much.
pub(super) fn too_often(settings: &Settings) -> Answer {
    let text = "Links were followed from here too often. Your own is as good as it was: wait a quarter of an hour, and follow it again.";
    Message::show(bare(settings), "Wait a little", text, ("/", "Go to the first page"))
}

pub(super) async fn leave(signed: Signed, headers: HeaderMap, Form(left): Form<Left>) -> Answer {
    signed.sent(&left.token)?;
    if let Some(name) = signed.desk.cookie.read(&headers) {
        signed.desk.sessions.end(name);
    }
    let clear = [(header::SET_COOKIE, signed.desk.cookie.clear())];
    #[cfg(feature = "saml")]
    if let Some(away) = signed.session.federated.as_ref().and_then(|f| super::saml::away(&signed.desk, f)) {
        return Ok((clear, away?).into_response());
    }
    Ok((clear, Redirect::to("/sign-in")).into_response())
}
