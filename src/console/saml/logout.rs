//! Signing out at both ends (SAML 2.0 Profiles §4.4), by HTTP-Redirect: whoever signs out here is sent to sign out there, and the identity
//! provider's own request, which must be signed, ends sessions here.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Redirect};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::accept::{instant, short};
use super::messages::{Named, inflate, logout_request, logout_response, redirect, unpercent};
use super::names::*;
use super::refused::Refused;
use super::{configured, tell};
use crate::config::markup::{self, Comments};
use crate::config::settings::Saml;
use crate::console::Desk;
use crate::console::frame::{Answer, Frame, Message, Trouble, bare, show};
use crate::console::server::From;
use crate::console::session::{Federated, secret};

/// How old a request may be, or how far ahead of our clock.
const FRESH: SignedDuration = SignedDuration::from_secs(5 * 60);
/// Octets of a query, and of the state that goes back with the answer (80 by the standard).
const QUERY: usize = 16 * 1024;
const RELAY: usize = 512;

/// Sends somebody who was signed out here to the identity provider. The page goes there by itself: a form's answer may not, under the
/// policy that all pages carry.
#[derive(Template)]
#[template(path = "saml-out.html", config = "src/console/askama.toml")]
struct Out {
    frame: Frame,
    to: String,
}

/// The page that signs them out there too; None where the identity provider has no such thing.
pub(in crate::console) fn away(desk: &Desk, federated: &Federated) -> Option<Answer> {
    let settings = desk.settings();
    let saml = configured(&settings)?;
    let to = saml.provider.logout.as_deref()?;
    let named = Named { name: &federated.name, format: federated.format.as_deref(), index: federated.index.as_deref() };
    let request = logout_request(saml, to, &format!("_{}", secret()?.0), &named, Timestamp::now());
    Some(show(&Out { frame: bare(&settings), to: redirect(to, "SAMLRequest", &request, None) }))
}

/// What the identity provider sends: its own request, or its answer to ours, for which nothing is left to do.
pub(in crate::console) async fn logout(
    State(desk): State<Arc<Desk>>,
    Extension(From(from)): Extension<From>,
    RawQuery(query): RawQuery,
) -> Answer {
    let settings = desk.settings();
    let saml = configured(&settings).ok_or(Trouble::Nowhere)?;
    let query = query.unwrap_or_default();
    if query.split('&').any(|pair| pair.starts_with("SAMLResponse=")) {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    let asked =
        if desk.saml.tries.may_try(from.ip(), Instant::now()) { request(saml, &query, Timestamp::now()) } else { Err(Refused::TooOften) };
    let asked = asked.and_then(|asked| {
        let until = Timestamp::now() + FRESH + FRESH;
        if desk.saml.pending.first(&asked.id, until, Timestamp::now()) { Ok(asked) } else { Err(Refused::Replayed) }
    });
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => return tell(&settings, why),
    };
    let ended = desk.sessions.end_of(&asked.name, &asked.indexes);
    tracing::info!(event = "saml_signed_out", ended);
    let answer = saml.provider.logout_answer.as_deref().zip(secret()).map(|(to, id)| {
        let response = logout_response(saml, to, &format!("_{}", id.0), &asked.id, Timestamp::now());
        redirect(to, "SAMLResponse", &response, asked.relay_state.as_deref())
    });
    match answer {
        Some(to) => Ok(Redirect::to(&to).into_response()),
        None => {
            Message::show(bare(&settings), "You are signed out", "The council's account ended your session here.", ("/sign-in", "Sign in"))
        }
    }
}

struct Asked {
    id: String,
    name: String,
    indexes: Vec<String>,
    relay_state: Option<String>,
}

/// Reads a request whose signature over the query holds, as it was sent (SAML 2.0 Bindings §3.4.4.1).
fn request(saml: &Saml, query: &str, now: Timestamp) -> Result<Asked, Refused> {
    if query.len() > QUERY {
        return Err(Refused::Large);
    }
    let one = |name: &str| {
        let mut found = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(n, _)| *n == name).map(|(_, value)| value);
        let first = found.next();
        if found.next().is_some() { Err(Refused::Form) } else { Ok(first) }
    };
    let (message, relay) = (one("SAMLRequest")?.ok_or(Refused::Form)?, one("RelayState")?);
    let (algorithm, signature) = (one("SigAlg")?.ok_or(Refused::Unsigned)?, one("Signature")?.ok_or(Refused::Unsigned)?);
    let signed = match relay {
        Some(relay) => format!("SAMLRequest={message}&RelayState={relay}&SigAlg={algorithm}"),
        None => format!("SAMLRequest={message}&SigAlg={algorithm}"),
    };
    let decoded = |text: &str| unpercent(text).ok_or(Refused::Form);
    let signature = STANDARD.decode(decoded(signature)?).map_err(|_| Refused::Base64)?;
    let method = method(&decoded(algorithm)?).ok_or(Refused::Algorithm)?;
    let holds = |der: &Vec<u8>| {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
        let key = UnparsedPublicKey::new(method, &certificate.public_key().subject_public_key.data);
        key.verify(signed.as_bytes(), &signature).is_ok()
    };
    if !saml.provider.certificates.iter().any(holds) {
        return Err(Refused::Signature);
    }
    let root = markup::read(&inflate(&decoded(message)?)?, Comments::Refuse)?;
    if !root.is(PROTOCOL, "LogoutRequest") || root.attribute("Version") != Some("2.0") {
        return Err(Refused::NoLogout);
    }
    if root.only(ASSERTION, "Issuer").map(|i| i.text.trim()) != Some(&saml.provider.entity) {
        return Err(Refused::Issuer);
    }
    if root.attribute("Destination") != Some(&saml.logout) {
        return Err(Refused::Destination);
    }
    let issued = instant(&root, "IssueInstant")?.ok_or(Refused::Early)?;
    if issued > now + FRESH {
        return Err(Refused::Early);
    }
    if issued < now - FRESH || instant(&root, "NotOnOrAfter")?.is_some_and(|end| end <= now - SignedDuration::from_secs(60)) {
        return Err(Refused::Late);
    }
    let name = root.only(ASSERTION, "NameID").filter(|n| n.children.is_empty()).and_then(|n| short(&n.text)).ok_or(Refused::Name)?;
    Ok(Asked {
        id: root.attribute("ID").and_then(short).ok_or(Refused::Identifiers)?,
        name,
        indexes: root.all(PROTOCOL, "SessionIndex").filter_map(|i| short(&i.text)).collect(),
        relay_state: relay.and_then(unpercent).filter(|state| state.len() <= RELAY),
    })
}

/// SHA-256 and stronger. ECDSA's signatures are two numbers one after the other, as XML Signature writes them.
fn method(uri: &str) -> Option<&'static dyn VerificationAlgorithm> {
    let at = SIGNATURES.iter().position(|s| *s == uri)?;
    let known: [Option<&'static dyn VerificationAlgorithm>; 6] = [
        Some(&RSA_PKCS1_2048_8192_SHA256),
        Some(&RSA_PKCS1_2048_8192_SHA384),
        Some(&RSA_PKCS1_2048_8192_SHA512),
        Some(&ECDSA_P256_SHA256_FIXED),
        Some(&ECDSA_P384_SHA384_FIXED),
        None,
    ];
    known[at]
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

    use super::*;

    const NOW: &str = "2026-11-26T12:00:00Z";
    const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

    /// A provider that signs, and a query that it signed.
    fn signed(edit: impl Fn(String) -> String, relay: Option<&str>) -> (Saml, String) {
        let made = rcgen::generate_simple_self_signed(["idp".to_owned()]).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.signing_key.serialized_der()).unwrap();
        let mut saml = super::super::tests::saml();
        saml.provider.certificates = vec![vec![0], made.cert.der().to_vec()];
        let text = edit(format!(
            "<p:LogoutRequest xmlns:p='{PROTOCOL}' xmlns:a='{ASSERTION}' ID='_l' Version='2.0' IssueInstant='{NOW}' Destination='{}'>\
             <a:Issuer>https://idp.example/</a:Issuer><a:NameID>clerk@x.uk</a:NameID><p:SessionIndex>_1</p:SessionIndex></p:LogoutRequest>",
            saml.logout
        ));
        let url = redirect("", "SAMLRequest", &text, relay);
        let query = format!("{}&SigAlg={}", url.trim_start_matches('?'), ECDSA.replace(':', "%3A").replace('#', "%23"));
        let signature = STANDARD.encode(key.sign(&SystemRandom::new(), query.as_bytes()).unwrap());
        (saml, format!("{query}&Signature={}", signature.replace('+', "%2B").replace('=', "%3D")))
    }

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    #[test]
    fn a_signed_request_names_whom_it_signs_out() {
        let (saml, query) = signed(|text| text, Some("a b"));
        let asked = request(&saml, &query, now()).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((asked.id.as_str(), asked.name.as_str(), &asked.indexes[..]), ("_l", "clerk@x.uk", &["_1".to_string()][..]));
        assert_eq!(asked.relay_state.as_deref(), Some("a b"));
    }

    #[test]
    fn what_is_changed_or_not_for_us_signs_nobody_out() {
        let why = |saml: &Saml, query: &str| request(saml, query, now()).err();
        let (saml, query) = signed(|text| text, Some("a"));
        for (from, to, expected) in [
            ("RelayState=a", "RelayState=b", Refused::Signature),
            ("&RelayState=a", "", Refused::Signature),
            ("&RelayState=a", "&RelayState=a&RelayState=b", Refused::Form),
            ("ecdsa-sha256", "rsa-sha256", Refused::Signature),
            ("ecdsa-sha256", "ecdsa-sha1", Refused::Algorithm),
            ("&SigAlg=", "&Alg=", Refused::Unsigned),
            ("&Signature=", "&Sign=", Refused::Unsigned),
            ("SAMLRequest=", "SAMLRequest=A", Refused::Signature),
        ] {
            assert_eq!(why(&saml, &query.replacen(from, to, 1)), Some(expected), "{from} → {to}");
        }
        assert_eq!(why(&super::super::tests::saml(), &query), Some(Refused::Signature));
        for (from, to, expected) in [
            ("https://idp.example/<", "https://other.example/<", Refused::Issuer),
            ("Destination='", "Destination='https://other", Refused::Destination),
            ("T12:00:00Z", "T12:05:01Z", Refused::Early),
            ("T12:00:00Z", "T11:54:59Z", Refused::Late),
            (" IssueInstant", " NotOnOrAfter='2026-11-26T11:58:00Z' IssueInstant", Refused::Late),
            ("<a:NameID>clerk@x.uk</a:NameID>", "", Refused::Name),
            ("LogoutRequest", "LogoutResponse", Refused::NoLogout),
            ("<a:Issuer>", "<!-- --><a:Issuer>", Refused::Markup(markup::Fault::Comment)),
        ] {
            let (saml, query) = signed(|text| text.replace(from, to), None);
            assert_eq!(why(&saml, &query), Some(expected), "{from} → {to}");
        }
    }
}
