//! Signing in with the council's account: SAML 2.0's web browser sign-in (Profiles §4.1), the console being the service.
//!
//! An answer comes from a stranger's browser, across sites. It is read strictly ([`crate::config::markup`]), must look as answers do
//! ([`shape`]), must answer a request of the same browser's ([`pending`]), is verified ([`verifier`]), and of what was verified it is seen
//! whether it is meant for us and now ([`accept`]). Whoever is refused learns nothing but that; the log says why.

mod accept;
mod logout;
mod messages;
mod names;
mod pending;
mod refused;
mod shape;
mod verifier;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use self::accept::Vouched;
use self::pending::Pending;
use self::refused::Refused;
use self::verifier::{Verifier, Xmlsec};
use super::Desk;
use super::frame::{Answer, Message, Trouble, bare};
use super::links::Tries;
use super::server::From;
use super::session::Federated;
use crate::config::Settings;
use crate::config::markup::{self, Comments};
use crate::config::settings::Saml;
use crate::office::roles;

pub(super) use self::logout::{away, logout};
pub use self::verifier::{COMMAND, process};

/// Octets of an answer: the largest hold some hundred groups.
const LARGEST: usize = 256 * 1024;
/// Tries of one client in a quarter of an hour: a council's office is one client.
const TRIES: u32 = 100;

/// What is kept while people sign in.
pub(super) struct SingleSignOn {
    pending: Pending,
    tries: Tries,
    verifier: Box<dyn Verifier>,
}

impl Default for SingleSignOn {
    fn default() -> SingleSignOn {
        SingleSignOn { pending: Pending::default(), tries: Tries::new(TRIES), verifier: Box::new(Xmlsec::default()) }
    }
}

#[derive(serde::Deserialize)]
pub(super) struct Posted {
    #[serde(default, rename = "SAMLResponse")]
    response: String,
}

pub(super) fn configured(settings: &Settings) -> Option<&Saml> {
    settings.console.as_ref()?.saml.as_deref()
}

/// What the identity provider's own pages ask for.
pub(super) async fn metadata(State(desk): State<Arc<Desk>>) -> Answer {
    let settings = desk.settings();
    let saml = configured(&settings).ok_or(Trouble::Nowhere)?;
    let kind = HeaderValue::from_static("application/samlmetadata+xml");
    Ok(([(header::CONTENT_TYPE, kind)], messages::metadata(saml)).into_response())
}

/// Sends a browser to the identity provider, with a request that it alone can have answered.
pub(super) async fn start(State(desk): State<Arc<Desk>>, Extension(From(from)): Extension<From>) -> Answer {
    let settings = desk.settings();
    let saml = configured(&settings).ok_or(Trouble::Nowhere)?;
    let now = Instant::now();
    if !desk.saml.tries.may_try(from.ip(), now) {
        return tell(&settings, Refused::TooOften);
    }
    let Some((id, browser)) = desk.saml.pending.ask(now) else { return tell(&settings, Refused::Busy) };
    let to = messages::redirect(&saml.provider.sign_in, "SAMLRequest", &messages::authn_request(saml, &id, Timestamp::now()), None);
    Ok(([(header::SET_COOKIE, desk.cookie.set_asking(&browser.0, pending::GOOD))], Redirect::to(&to)).into_response())
}

/// The one form that another site's page may send. What it is worth, it must bring with it.
pub(super) async fn enter(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    headers: HeaderMap,
    posted: Result<Form<Posted>, FormRejection>,
) -> Answer {
    let settings = desk.settings();
    let saml = configured(&settings).ok_or(Trouble::Nowhere)?;
    if !desk.saml.tries.may_try(from.ip(), Instant::now()) {
        return tell(&settings, Refused::TooOften);
    }
    let vouched = match posted {
        Ok(Form(posted)) => vouched(&desk, saml, &headers, &posted.response).await,
        Err(_) => Err(Refused::Form),
    };
    let vouched = match vouched {
        Ok(vouched) => vouched,
        Err(why) => return tell(&settings, why),
    };
    let federated = Federated {
        name: vouched.name,
        format: vouched.format,
        index: vouched.index,
        groups: vouched.groups,
        ends: vouched.ends.map(|end| Instant::now() + Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default()),
    };
    if roles::signed_in(&settings, &vouched.address, Some(&federated.groups), Timestamp::now()).is_none() {
        tracing::warn!(event = "saml_no_role");
        let text = "You signed in with the council's account, but nobody gave you a role here. If you should have one, ask the Clerk.";
        let page = Message::show(bare(&settings), "You have no role here", text, ("/sign-in", "Go back"))?;
        return Ok((StatusCode::FORBIDDEN, [(header::SET_COOKIE, desk.cookie.clear_asking())], page).into_response());
    }
    // A session of a new name, whatever the browser had.
    let Some(name) = desk.sessions.begin_with(&vouched.address, Some(federated), Instant::now()) else {
        return tell(&settings, Refused::Session);
    };
    tracing::info!(event = "signed_in", by = "saml");
    let cookies = AppendHeaders([(header::SET_COOKIE, desk.cookie.set(&name.0)), (header::SET_COOKIE, desk.cookie.clear_asking())]);
    Ok((cookies, Redirect::to("/")).into_response())
}

/// Whom an answer vouches for, if it may be believed: first what is cheap, and the signature before what it covers.
async fn vouched(desk: &Desk, saml: &Saml, headers: &HeaderMap, posted: &str) -> Result<Vouched, Refused> {
    if posted.len() > LARGEST / 3 * 4 {
        return Err(Refused::Large);
    }
    let posted: String = posted.split_ascii_whitespace().collect();
    let document = String::from_utf8(STANDARD.decode(posted).map_err(|_| Refused::Base64)?).map_err(|_| markup::Fault::Encoding)?;
    let root = markup::read(document.as_bytes(), Comments::Refuse)?;
    let shape = shape::shape(&root)?;
    let request = accept::request_of(&shape)?;
    let browser = desk.cookie.asking(headers).ok_or(Refused::Unasked)?;
    if !desk.saml.pending.take(request, browser, Instant::now()) {
        return Err(Refused::Unasked);
    }
    let verified = desk.saml.verifier.verify(&document, &saml.provider.certificates).await?;
    let now = Timestamp::now();
    let vouched = accept::accept(saml, &shape, &verified, request, now)?;
    if !desk.saml.pending.first(&vouched.id, vouched.good_until, now) {
        return Err(Refused::Replayed);
    }
    Ok(vouched)
}

/// The log hears why; the browser, that it was so.
fn tell(settings: &Settings, why: Refused) -> Answer {
    tracing::warn!(event = "saml_refused", %why);
    let text = "The council's account did not sign you in here. Try it again. If that does not help, let us send you a link by mail.";
    let page = Message::show(bare(settings), "You are not signed in", text, ("/sign-in", "Go back to sign in"))?;
    Ok((StatusCode::FORBIDDEN, page).into_response())
}

#[cfg(test)]
mod tests {
    use crate::config::settings::{Provider, Saml};

    pub(super) fn saml() -> Saml {
        Saml {
            entity: "https://gate.x.uk/saml/metadata".into(),
            acs: "https://gate.x.uk/saml/acs".into(),
            logout: "https://gate.x.uk/saml/logout".into(),
            provider: Provider {
                entity: "https://idp.example/".into(),
                sign_in: "https://idp.example/in?a=1&b=2".into(),
                logout: Some("https://idp.example/out".into()),
                logout_answer: Some("https://idp.example/out".into()),
                certificates: vec![vec![0]],
            },
            address_attribute: None,
            groups_attribute: None,
            roles: None,
        }
    }
}
