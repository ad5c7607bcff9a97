//! What an identity provider says of itself (SAML 2.0 Metadata): its name, where people sign in, and the keys that it signs with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::markup::{self, Comments, Element};
use super::settings::Provider;

const MD: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
/// Keys of one provider: this year's and next year's.
const MOST_KEYS: usize = 8;

/// Why the metadata cannot be used: what is wrong, and what helps.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub message: String,
    pub help: &'static str,
}

/// What was read, and until when it says that it is good.
#[derive(Debug)]
pub struct Read {
    pub provider: Provider,
    pub until: Option<Timestamp>,
}

fn fault<T>(message: impl Into<String>, help: &'static str) -> Result<T, Fault> {
    Err(Fault { message: message.into(), help })
}

/// Reads the metadata of one identity provider. It comes by the operator's hand, so that its own signature adds nothing.
pub fn read(bytes: &[u8]) -> Result<Read, Fault> {
    let fetch = "Fetch the identity provider's metadata (an XML file) again.";
    let root = match markup::read(bytes, Comments::Skip) {
        Ok(root) => root,
        Err(why) => return fault(format!("holds no metadata that can be read: {why}"), fetch),
    };
    if root.is(MD, "EntitiesDescriptor") {
        return fault("describes several parties", "Name a file that describes the council's identity provider alone.");
    }
    if !root.is(MD, "EntityDescriptor") {
        return fault("is no metadata of SAML 2.0", "Its outermost element should be EntityDescriptor.");
    }
    let entity = root.attribute("entityID").unwrap_or_default().to_string();
    if entity.is_empty() || entity.len() > 1024 {
        return fault("gives the identity provider no entityID", fetch);
    }
    let speaks = |e: &&Element| e.attribute("protocolSupportEnumeration").is_some_and(|p| p.split_whitespace().any(|p| p == PROTOCOL));
    let Some(idp) = root.all(MD, "IDPSSODescriptor").find(speaks) else {
        return fault("describes no identity provider of SAML 2.0", "It may be that of a service: fetch the identity provider's.");
    };
    let certificates = certificates(idp)?;
    let Some(sign_in) = endpoint(idp, "SingleSignOnService") else {
        return fault("names no page to sign in at by HTTP-Redirect", "Turn that binding on at the identity provider.");
    };
    let sign_in = page(sign_in.attribute("Location").unwrap_or_default())?;
    let (mut logout, mut logout_answer) = (None, None);
    if let Some(service) = endpoint(idp, "SingleLogoutService") {
        let location = page(service.attribute("Location").unwrap_or_default())?;
        logout_answer = Some(service.attribute("ResponseLocation").map_or(Ok(location.clone()), page)?);
        logout = Some(location);
    }
    let until = [&root, idp].iter().filter_map(|e| e.attribute("validUntil")?.parse().ok()).min();
    Ok(Read { provider: Provider { entity, sign_in, logout, logout_answer, certificates }, until })
}

fn endpoint<'a>(idp: &'a Element, name: &'a str) -> Option<&'a Element> {
    idp.all(MD, name).find(|e| e.attribute("Binding") == Some(REDIRECT))
}

/// Certificates of the keys that it signs with: those for signing, and those that do not say what for. Who signs with nothing could be
/// anybody, and some verifiers take an unsigned answer of such a provider.
fn certificates(idp: &Element) -> Result<Vec<Vec<u8>>, Fault> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for key in idp.all(MD, "KeyDescriptor").filter(|k| matches!(k.attribute("use"), None | Some("signing"))) {
        for element in key.walk().filter(|e| e.is(DS, "X509Certificate")) {
            let text: String = element.text.split_ascii_whitespace().collect();
            let Ok(der) = STANDARD.decode(text) else {
                return fault("holds a certificate that is damaged", "Fetch it again.");
            };
            strong(&der)?;
            if !found.contains(&der) {
                found.push(der);
            }
        }
    }
    match found.len() {
        0 => fault(
            "has no certificate that the identity provider signs with",
            "Without one anybody could sign anybody in. Turn signing on at the identity provider and fetch its metadata again.",
        ),
        1..=MOST_KEYS => Ok(found),
        _ => fault("has more than eight certificates", "Take the old ones out."),
    }
}

/// RSA of 2048 bits and more, or ECDSA on a curve of 256 and more.
fn strong(der: &[u8]) -> Result<(), Fault> {
    let Ok((rest, certificate)) = X509Certificate::from_der(der) else {
        return fault("holds a certificate that is damaged", "Fetch it again.");
    };
    let bits = match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if rest.is_empty() => key.key_size() >= 2048,
        Ok(PublicKey::EC(key)) if rest.is_empty() => key.key_size() >= 256,
        _ => false,
    };
    if bits {
        Ok(())
    } else {
        fault(
            "has a certificate whose key is too weak to believe",
            "Let the identity provider sign with RSA of 2048 bits or more, or ECDSA P-256 or P-384.",
        )
    }
}

impl Provider {
    /// When the last of its certificates ends: by then it signs with another.
    pub fn signs_until(&self) -> Option<Timestamp> {
        let ends = |der: &Vec<u8>| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
        };
        self.certificates.iter().filter_map(ends).max()
    }
}

/// An address that people are sent to.
fn page(url: &str) -> Result<String, Fault> {
    let host = url.strip_prefix("http://").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let loopback = host.is_some_and(|host| {
        let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|c| c.is_ascii_digit())).map_or(host, |(name, _)| name);
        name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    });
    let plain = url.len() <= 2048 && url.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'"' | b'<' | b'>' | b'\\' | b'#'));
    if plain && (loopback || url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())) {
        return Ok(url.to_string());
    }
    fault("sends people to a page that is not reached over TLS", "Its pages must begin with https://.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        let made = rcgen::generate_simple_self_signed(["idp".to_owned()]).unwrap();
        STANDARD.encode(made.cert.der())
    }

    fn metadata(keys: &str, sso: &str) -> String {
        format!(
            "<!-- made today --><md:EntityDescriptor xmlns:md='{MD}' xmlns:ds='{DS}' entityID='https://idp.example/' validUntil='2031-01-01T00:00:00Z'>\
             <md:IDPSSODescriptor protocolSupportEnumeration='{PROTOCOL}'>{keys}\
             <md:SingleLogoutService Binding='{REDIRECT}' Location='https://idp.example/out'/>\
             <md:SingleSignOnService Binding='urn:other' Location='http://idp.example/'/>\
             <md:SingleSignOnService Binding='{REDIRECT}' Location='{sso}'/></md:IDPSSODescriptor></md:EntityDescriptor>"
        )
    }

    fn key(kind: &str, certificate: &str) -> String {
        format!(
            "<md:KeyDescriptor{kind}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{certificate}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        )
    }

    #[test]
    fn what_it_signs_with_and_where_it_is() {
        let one = certificate();
        let text = metadata(
            &(key(" use='signing'", &one) + &key("", &one) + &key(" use='encryption'", &certificate())),
            "https://idp.example/in?x=1",
        );
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.provider.certificates, [STANDARD.decode(one).unwrap()]);
        assert_eq!(read.provider.sign_in, "https://idp.example/in?x=1");
        assert_eq!(read.provider.logout.as_deref(), Some("https://idp.example/out"));
        assert_eq!(read.provider.logout, read.provider.logout_answer);
        assert!(read.until.is_some());
        // What rcgen makes unless it is told when: the last of the certificates that sign, whatever the others are for.
        assert_eq!(read.provider.signs_until(), Some("4096-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn what_could_be_anybody_is_refused() {
        let good = key(" use='signing'", &certificate());
        let says = |text: String| read(text.as_bytes()).unwrap_err().message;
        assert!(says(metadata("", "https://idp.example/")).contains("no certificate"));
        assert!(says(metadata(&key(" use='encryption'", &certificate()), "https://idp.example/")).contains("no certificate"));
        assert!(says(metadata(&key("", "AAAA"), "https://idp.example/")).contains("damaged"));
        for bad in [
            "http://idp.example/",
            "https://",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1:8@evil.example/",
            "http://127.0.0.1@evil.example/",
            "javascript:x",
            "https://a b",
            "",
        ] {
            assert!(says(metadata(&good, bad)).contains("over TLS"), "{bad}");
        }
        for fine in ["http://127.0.0.1:8091/sso", "http://[::1]/sso", "http://localhost?x"] {
            assert!(read(metadata(&good, fine).as_bytes()).is_ok(), "{fine}");
        }
        assert!(says("<x/>".into()).contains("no metadata of SAML"));
        assert!(
            says(format!("<EntityDescriptor xmlns='{MD}' entityID='x'><SPSSODescriptor/></EntityDescriptor>"))
                .contains("no identity provider")
        );
        assert!(says("<!DOCTYPE x>".into()).contains("document type"));
    }
}
