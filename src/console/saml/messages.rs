//! What the console says to the identity provider, and how it goes there: by HTTP-Redirect (SAML 2.0 Bindings §3.4), deflated, in the
//! query of the address that the browser is sent to.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::Timestamp;

use super::names::*;
use super::refused::Refused;
use crate::config::markup::escaped;
use crate::config::settings::Saml;

/// Octets of what comes deflated, once it is not.
const LARGEST: u64 = 64 * 1024;

pub(super) fn authn_request(saml: &Saml, id: &str, now: Timestamp) -> String {
    format!(
        "<samlp:AuthnRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{}\" AssertionConsumerServiceURL=\"{}\" ProtocolBinding=\"{POST}\"><saml:Issuer>{}</saml:Issuer></samlp:AuthnRequest>",
        stamp(now),
        escaped(&saml.provider.sign_in),
        escaped(&saml.acs),
        escaped(&saml.entity)
    )
}

pub(super) fn logout_request(saml: &Saml, to: &str, id: &str, name: &Named<'_>, now: Timestamp) -> String {
    let index = name.index.map(|i| format!("<samlp:SessionIndex>{}</samlp:SessionIndex>", escaped(i))).unwrap_or_default();
    let format = name.format.map(|f| format!(" Format=\"{}\"", escaped(f))).unwrap_or_default();
    format!(
        "<samlp:LogoutRequest xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{}\"><saml:Issuer>{}</saml:Issuer><saml:NameID{format}>{}</saml:NameID>{index}</samlp:LogoutRequest>",
        stamp(now),
        escaped(to),
        escaped(&saml.entity),
        escaped(name.name)
    )
}

pub(super) fn logout_response(saml: &Saml, to: &str, id: &str, answers: &str, now: Timestamp) -> String {
    format!(
        "<samlp:LogoutResponse xmlns:samlp=\"{PROTOCOL}\" xmlns:saml=\"{ASSERTION}\" ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{}\" \
         Destination=\"{}\" InResponseTo=\"{}\"><saml:Issuer>{}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"{SUCCESS}\"/></samlp:Status>\
         </samlp:LogoutResponse>",
        stamp(now),
        escaped(to),
        escaped(answers),
        escaped(&saml.entity)
    )
}

/// Somebody as the identity provider calls them.
pub(super) struct Named<'a> {
    pub name: &'a str,
    pub format: Option<&'a str>,
    pub index: Option<&'a str>,
}

/// What the identity provider is told of the console.
pub(super) fn metadata(saml: &Saml) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"{}\">\n  \
         <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"{PROTOCOL}\">\n    \
         <md:SingleLogoutService Binding=\"{REDIRECT}\" Location=\"{}\"/>\n    <md:NameIDFormat>{EMAIL}</md:NameIDFormat>\n    \
         <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{}\" index=\"0\" isDefault=\"true\"/>\n  \
         </md:SPSSODescriptor>\n</md:EntityDescriptor>\n",
        escaped(&saml.entity),
        escaped(&saml.logout),
        escaped(&saml.acs)
    )
}

fn stamp(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The address that takes a message there.
pub(super) fn redirect(to: &str, parameter: &str, message: &str, relay_state: Option<&str>) -> String {
    let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
    let packed = deflated.write_all(message.as_bytes()).and_then(|()| deflated.finish()).expect("memory takes what is written");
    let start = if to.contains('?') { '&' } else { '?' };
    let relay = relay_state.map(|state| format!("&RelayState={}", percent(state.as_bytes()))).unwrap_or_default();
    format!("{to}{start}{parameter}={}{relay}", percent(STANDARD.encode(packed).as_bytes()))
}

/// What came so, with a bound on how large it grows.
pub(super) fn inflate(base64: &str) -> Result<Vec<u8>, Refused> {
    let packed = STANDARD.decode(base64).map_err(|_| Refused::Base64)?;
    let mut out = Vec::new();
    DeflateDecoder::new(&packed[..]).take(LARGEST + 1).read_to_end(&mut out).map_err(|_| Refused::Base64)?;
    if out.len() as u64 > LARGEST { Err(Refused::Large) } else { Ok(out) }
}

fn percent(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len());
    for &c in octets {
        if c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(c));
        } else {
            out.push_str(&format!("%{c:02X}"));
        }
    }
    out
}

/// Undoes that, and takes + for a space. None where it is neither.
pub(super) fn unpercent(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let [first, rest @ ..] = left {
        left = rest;
        match first {
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                out.push(u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|c| c.is_ascii_hexdigit()))?);
                left = &rest[2..];
            }
            b'+' => out.push(b' '),
            other => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::markup::{Comments, read};

    #[test]
    fn there_and_back() {
        let text = "<x a=\"1\">é &amp; +</x>";
        for to in ["https://idp.example/sso", "https://idp.example/sso?tenant=1"] {
            let url = redirect(to, "SAMLRequest", text, Some("a b&c"));
            assert!(url.starts_with(to) && url.matches('?').count() == 1 && url.ends_with("&RelayState=a%20b%26c"), "{url}");
            let packed = url.split("SAMLRequest=").nth(1).unwrap().split('&').next().unwrap();
            assert_eq!(inflate(&unpercent(packed).unwrap()).unwrap(), text.as_bytes());
        }
        assert_eq!(unpercent("a+b%20%C3%A9").as_deref(), Some("a b é"));
        assert!(["%", "%4", "%zz", "%+1", "%ff"].iter().all(|bad| unpercent(bad).is_none()));
    }

    #[test]
    fn what_grows_is_cut_off() {
        let large = redirect("https://x/", "S", &"a".repeat(10_000_000), None);
        assert_eq!(inflate(&unpercent(large.split("S=").nth(1).unwrap()).unwrap()), Err(Refused::Large));
        assert_eq!(inflate("%%%"), Err(Refused::Base64));
        assert_eq!(inflate("AAAA").err(), Some(Refused::Base64));
    }

    #[test]
    fn what_is_said_is_well_formed() {
        let saml = super::super::tests::saml();
        let now = Timestamp::now();
        let named = Named { name: "a<b>&\"", format: Some(EMAIL), index: Some("_\"1") };
        for text in [
            authn_request(&saml, "_1", now),
            logout_request(&saml, "https://x/?a=1&b=2", "_1", &named, now),
            logout_response(&saml, "https://x/?a=1&b=2", "_1", "_\"<", now),
            metadata(&saml),
        ] {
            let root = read(text.as_bytes(), Comments::Refuse).unwrap();
            assert!(root.walk().all(|e| !e.namespace.is_empty()), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_upsets_it(text: String) {
            let _ = (unpercent(&text), inflate(&text));
            proptest::prop_assert_eq!(unpercent(&percent(text.as_bytes())), Some(text));
        }
    }
}
