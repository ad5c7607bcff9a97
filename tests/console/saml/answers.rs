//! A forger: makes answers of an identity provider's, and signs them with its key or another.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};

use super::*;

pub const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// A council whose identity provider is a key and a certificate.
pub struct Forge {
    pub council: Council,
    folder: Scratch,
}

/// What an answer says. Times are seconds from now.
#[derive(Clone)]
pub struct Answer {
    pub id: String,
    pub request: String,
    pub issuer: String,
    pub name: String,
    pub group: String,
    pub destination: String,
    pub from: i64,
    pub until: i64,
    /// What is done to the assertion before it is signed.
    pub edit: fn(String) -> String,
}

impl Forge {
    /// None where there is no program to sign with, which is said aloud.
    pub fn start(name: &str, more: &str) -> Option<Forge> {
        if !have("forged answers of an identity provider", &["xmlsec1", "openssl"]) {
            return None;
        }
        let folder = Scratch::new("forge");
        for who in ["idp", "evil"] {
            let (key, certificate) = (folder.path().join(format!("{who}.key")), folder.path().join(format!("{who}.pem")));
            let mut openssl = Command::new("openssl");
            openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=idp", "-keyout"]).arg(&key);
            openssl.arg("-out").arg(&certificate).stderr(Stdio::null());
            assert!(openssl.status().expect("openssl runs").success());
        }
        let metadata = metadata(&std::fs::read_to_string(folder.path().join("idp.pem")).expect("a certificate"));
        let bind = loopback(port());
        let council = Council::at(name, &bind.to_string(), format!("http://{bind}"), &format!("{SAML}{more}"), &[("idp.xml", &metadata)]);
        Some(Forge { council, folder })
    }

    /// Begins to sign in, as a browser would: its cookie, and an answer that is right.
    pub fn ask(&self) -> (String, Answer) {
        let reply = get(&self.council, "/saml/sign-in", "");
        assert_eq!(reply.code, 303, "{}", reply.head);
        let line = |name: &str| {
            reply.head.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("{name} {}", reply.head)).to_string()
        };
        let (cookie, to) = (line("set-cookie: "), line("location: "));
        assert!(cookie.contains("SameSite=None; Secure") && cookie.contains("HttpOnly"), "{cookie}");
        let packed = to.strip_prefix("https://idp.example/in?SAMLRequest=").expect("the identity provider").replace("%2B", "+");
        let packed = STANDARD.decode(packed.replace("%2F", "/").replace("%3D", "=")).expect("base64");
        let mut text = String::new();
        flate2::read::DeflateDecoder::new(&packed[..]).read_to_string(&mut text).expect("deflated text");
        let request = text.split(" ID=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an id").to_string();
        assert!(request.len() > 30, "more than 128 random bits: {request}");
        let answer = Answer {
            id: format!("_a{}", port()),
            request,
            issuer: "https://idp.example/".into(),
            name: CLERK.into(),
            group: "Clerks".into(),
            destination: format!("{}/saml/acs", self.council.url),
            from: -60,
            until: 300,
            edit: |text| text,
        };
        (cookie.split(';').next().expect("a value").to_string(), answer)
    }

    fn assertion(&self, a: &Answer, signature: &str) -> String {
        let at = |seconds: i64| (Timestamp::now() + SignedDuration::from_secs(seconds)).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (now, from, until, url) = (at(0), at(a.from), at(a.until), &self.council.url);
        (a.edit)(format!(
            "<saml:Assertion xmlns:saml=\"{ASSERTION}\" ID=\"{}\" Version=\"2.0\" IssueInstant=\"{now}\"><saml:Issuer>{}</saml:Issuer>{signature}\
             <saml:Subject><saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">{}</saml:NameID>\
             <saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData InResponseTo=\"{}\" \
             Recipient=\"{url}/saml/acs\" NotOnOrAfter=\"{until}\"/></saml:SubjectConfirmation></saml:Subject>\
             <saml:Conditions NotBefore=\"{from}\" NotOnOrAfter=\"{until}\"><saml:AudienceRestriction><saml:Audience>{url}/saml/metadata</saml:Audience>\
             </saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant=\"{now}\" SessionIndex=\"_s\"/>\
             <saml:AttributeStatement><saml:Attribute Name=\"groups\"><saml:AttributeValue>{}</saml:AttributeValue></saml:Attribute>\
             </saml:AttributeStatement></saml:Assertion>",
            a.id, a.issuer, a.name, a.request, a.group
        ))
    }

    /// An assertion, signed.
    pub fn signed(&self, a: &Answer) -> String {
        self.signed_by("idp", a, RSA_SHA256, SHA256)
    }

    pub fn signed_by(&self, who: &str, a: &Answer, method: &str, digest: &str) -> String {
        self.sign(who, &self.assertion(a, &template(&a.id, method, digest)))
    }

    pub fn unsigned(&self, a: &Answer) -> String {
        self.assertion(a, "")
    }

    /// A Response around something.
    pub fn response(&self, a: &Answer, inside: &str) -> String {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        format!(
            "<samlp:Response xmlns:samlp=\"{PROTOCOL}\" ID=\"_r{}\" Version=\"2.0\" IssueInstant=\"{now}\" Destination=\"{}\" InResponseTo=\"{}\">\
             <saml:Issuer xmlns:saml=\"{ASSERTION}\">{}</saml:Issuer><samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/>\
             </samlp:Status>{inside}</samlp:Response>",
            a.id, a.destination, a.request, a.issuer
        )
    }

    /// The same, with a signature over all of it.
    pub fn signed_response(&self, a: &Answer, inside: &str) -> String {
        let template = template(&format!("_r{}", a.id), RSA_SHA256, SHA256);
        self.sign("idp", &self.response(a, inside).replacen("</saml:Issuer>", &format!("</saml:Issuer>{template}"), 1))
    }

    /// Fills in the first signature of a document.
    pub fn sign(&self, who: &str, document: &str) -> String {
        let path = self.folder.file(&format!("{}.xml", port()), document);
        let out = path.with_extension("signed");
        let mut xmlsec = Command::new("xmlsec1");
        xmlsec.args(["--sign", "--id-attr:ID", &format!("{ASSERTION}:Assertion"), "--id-attr:ID", &format!("{PROTOCOL}:Response")]);
        xmlsec.arg("--privkey-pem").arg(self.folder.path().join(format!("{who}.key"))).arg("--output").arg(&out).arg(&path);
        let done = xmlsec.output().expect("xmlsec1 runs");
        assert!(done.status.success(), "{}\n{document}", String::from_utf8_lossy(&done.stderr));
        let text = std::fs::read_to_string(out).expect("what was signed");
        text.trim_start_matches("<?xml version=\"1.0\"?>").trim().to_string()
    }

    /// Sends it as the identity provider's page does: across sites, with the one cookie that comes so.
    pub fn send(&self, cookie: &str, document: impl AsRef<[u8]>) -> Reply {
        self.send_text(cookie, &STANDARD.encode(document))
    }

    pub fn send_text(&self, cookie: &str, text: &str) -> Reply {
        let more = format!("Cookie: {cookie}\r\nOrigin: https://idp.example\r\nSec-Fetch-Site: cross-site\r\n");
        let text = text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        post(&self.council, "/saml/acs", &more, &format!("SAMLResponse={text}&RelayState=https%3A%2F%2Fevil.example%2F"))
    }
}

fn template(id: &str, method: &str, digest: &str) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"{DS}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\"/><ds:SignatureMethod Algorithm=\"{method}\"/>\
         <ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"{DS}enveloped-signature\"/><ds:Transform Algorithm=\"{EXCLUSIVE}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{digest}\"/><ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>"
    )
}

/// The identity provider as its metadata says.
pub fn metadata(pem: &str) -> String {
    let certificate: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    let redirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.example/\"><IDPSSODescriptor \
         protocolSupportEnumeration=\"{PROTOCOL}\"><KeyDescriptor use=\"signing\"><KeyInfo xmlns=\"{DS}\"><X509Data><X509Certificate>{certificate}\
         </X509Certificate></X509Data></KeyInfo></KeyDescriptor><SingleLogoutService Binding=\"{redirect}\" Location=\"https://idp.example/out\"/>\
         <SingleSignOnService Binding=\"{redirect}\" Location=\"https://idp.example/in\"/></IDPSSODescriptor></EntityDescriptor>"
    )
}
