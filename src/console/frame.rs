//! What every page has around it, who is looking at it, and what is said when something goes wrong.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::{FromRequestParts, OriginalUri, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use jiff::Timestamp;

use super::Desk;
use super::secure::same;
use super::session::Session;
use crate::config::Settings;
use crate::config::settings::Insider;
use crate::office::roles::{Right, signed_in};
use crate::office::{Doer, Fault};
use crate::records::StoreError;
use crate::records::access::Identity;

/// What stands around a page.
pub(super) struct Frame {
    pub council: String,
    /// Who is signed in.
    pub person: Option<String>,
    pub token: String,
    pub menu: Vec<Item>,
}

pub(super) struct Item {
    pub href: &'static str,
    pub text: &'static str,
    pub here: bool,
    /// What waits there.
    pub count: usize,
}

/// The pages of the menu, each with what one must be allowed to see it.
const MENU: [(&str, &str, &[Right]); 10] = [
    ("/", "Today", &[]),
    ("/held", "Held", &[Right::Held]),
    ("/find", "Find a message", &[Right::LookUp]),
    ("/rules", "Rules", &[]),
    ("/rights", "Rights", &[Right::Rights]),
    ("/retention", "Retention", &[Right::Retention, Right::Holds]),
    ("/papers", "Papers", &[]),
    ("/people", "People", &[Right::People]),
    ("/access", "Access log", &[Right::Audit, Right::OpenContent]),
    ("/mine", "About me", &[]),
];

/// Somebody who is signed in, and still has a role.
pub(super) struct Signed {
    pub session: Session,
    pub settings: Arc<Settings>,
    pub insider: Insider,
    pub desk: Arc<Desk>,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Trouble {
    /// With the cookie that brings them back.
    SignIn(Option<HeaderValue>),
    /// The form was of another session, or old.
    Stale,
    Nowhere,
    Office(Fault),
    /// The program's own.
    Broken,
}

pub(super) type Answer = Result<Response, Trouble>;

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Trouble {
        Trouble::Office(fault)
    }
}

impl From<StoreError> for Trouble {
    fn from(fault: StoreError) -> Trouble {
        Trouble::Office(Fault::Store(fault))
    }
}

impl FromRequestParts<Arc<Desk>> for Signed {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Signed, Trouble> {
        let sign_in = || Trouble::SignIn(desk.cookie.want(parts));
        let name = desk.cookie.read(&parts.headers).ok_or_else(sign_in)?;
        let session = desk.sessions.of(name, Instant::now()).ok_or_else(sign_in)?;
        let settings = desk.settings();
        // Whoever was taken out of the site file, or is suspended, is signed out by that.
        let groups = session.federated.as_ref().map(|f| &f.groups[..]);
        let insider = signed_in(&settings, &session.person, groups, Timestamp::now()).ok_or_else(sign_in)?;
        Ok(Signed { session, settings, insider, desk: desk.clone() })
    }
}

impl Signed {
    /// Them, doing something for a reason.
    pub(super) fn doer(&self, purpose: &str) -> Result<Doer, Trouble> {
        Ok(Doer::signed(&self.settings, &self.insider, Identity::Signed(self.session.person.clone()), purpose))
    }

    pub(super) fn may(&self, right: Right) -> bool {
        self.insider.duties.iter().any(|duty| right.of().contains(duty))
    }

    /// Errors if none of these is theirs: before anything of a form is looked at.
    pub(super) fn must(&self, rights: &[Right]) -> Result<(), Trouble> {
        if rights.iter().any(|right| self.may(*right)) {
            return Ok(());
        }
        let doer = self.doer("")?;
        rights.iter().try_for_each(|right| Ok(doer.may(*right)?))
    }

    /// Errors if the form was not made for this session.
    pub(super) fn sent(&self, token: &str) -> Result<(), Trouble> {
        if same(token, &self.session.form_token) { Ok(()) } else { Err(Trouble::Stale) }
    }

    /// Today, in the council's time.
    pub(super) fn today(&self) -> jiff::civil::Date {
        jiff::Timestamp::now().to_zoned(self.settings.time_zone.clone()).date()
    }

    pub(super) fn frame(&self, here: &str) -> Frame {
        let allowed = |rights: &[Right]| rights.is_empty() || rights.iter().any(|right| self.may(*right));
        Frame {
            council: self.settings.council.name.clone(),
            person: Some(self.session.person.clone()),
            token: self.session.form_token.clone(),
            menu: MENU
                .iter()
                .filter(|(_, _, rights)| allowed(rights))
                .map(|(href, text, _)| Item { href, text, here: *href == here, count: 0 })
                .collect(),
        }
    }

    /// Asks the store, which may take its time, away from whoever else is served.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Settings, &crate::records::Options) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Trouble> {
        let settings = self.settings.clone();
        let done = tokio::task::spawn_blocking(move || act(&settings, &crate::records::Options::of(&settings))).await;
        Ok(done.map_err(|_| Trouble::Broken)??)
    }
}

/// A page for nobody in particular.
pub(super) fn bare(settings: &Settings) -> Frame {
    Frame { council: settings.council.name.clone(), person: None, token: String::new(), menu: Vec::new() }
}

pub(super) fn show(page: &impl Template) -> Answer {
    page.render().map(|html| Html(html).into_response()).map_err(|_| Trouble::Broken)
}

#[derive(Template)]
#[template(path = "message.html", config = "src/console/askama.toml")]
pub(super) struct Message {
    pub frame: Frame,
    pub title: String,
    pub paragraphs: Vec<String>,
    pub back: Option<(String, String)>,
}

impl Message {
    pub(super) fn show(frame: Frame, title: &str, text: &str, back: (&str, &str)) -> Answer {
        let back = Some((back.0.to_string(), back.1.to_string()));
        show(&Message { frame, title: title.into(), paragraphs: vec![text.into()], back })
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Trouble::SignIn(wanted) => {
                let cookie = wanted.map(|cookie| (header::SET_COOKIE, cookie));
                return (AppendHeaders(cookie), Redirect::to("/sign-in")).into_response();
            }
            Trouble::Stale => (
                StatusCode::FORBIDDEN,
                "That page was too old",
                "Nothing was changed. Go back, load the page again, and do it once more.".to_string(),
            ),
            Trouble::Nowhere => {
                (StatusCode::NOT_FOUND, "There is no such page", "If you typed the address, look whether it is right.".into())
            }
            Trouble::Office(Fault::Store(error)) => {
                tracing::error!(event = "console_store", %error);
                let text = "What is kept could not be read just now. Try again in a minute; mail goes on meanwhile.";
                (StatusCode::SERVICE_UNAVAILABLE, "That did not work", text.into())
            }
            Trouble::Office(fault @ (Fault::NotAllowed { .. } | Fault::TakesTwo(_) | Fault::LentByAsker)) => {
                (StatusCode::FORBIDDEN, "You may not do that", plain(&fault))
            }
            Trouble::Office(fault) => (StatusCode::BAD_REQUEST, "That was not done", plain(&fault)),
            Trouble::Broken => {
                (StatusCode::INTERNAL_SERVER_ERROR, "That did not work", "This is a fault of the gateway's. Mail is not affected.".into())
            }
        };
        let frame = Frame { council: String::new(), person: None, token: String::new(), menu: Vec::new() };
        let page = Message { frame, title: title.into(), paragraphs: vec![text], back: Some(("/".into(), "Go to the first page".into())) };
        (status, Html(page.render().unwrap_or_default())).into_response()
    }
}

/// A fault in words for a browser.
pub(super) fn plain(fault: &Fault) -> String {
    sentence(&fault.to_string())
}

/// A first letter, a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

pub(super) async fn nowhere(State(_): State<Arc<Desk>>, OriginalUri(_): OriginalUri) -> Trouble {
    Trouble::Nowhere
}
