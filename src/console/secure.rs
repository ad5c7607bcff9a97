//! What every answer carries, and what every request that changes something must: a page of ours, a form of this session.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

/// Nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not "no-referrer": under that a form's Origin would be null.
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Puts the headers on an answer. Pages are not kept by browsers or what lies between: they are about people.
pub(super) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Turns away what another site's page makes a browser send. The form's token is looked at besides.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || is_ours(request.headers()) || is_answer(&request) { next.run(request).await } else { StatusCode::FORBIDDEN.into_response() }
}

/// The identity provider's answer comes from its own page. It is believed for what it is signed and bound to, never for a cookie of a
/// session's (see `saml`); and no other path is.
fn is_answer(request: &Request) -> bool {
    cfg!(feature = "saml") && request.method() == Method::POST && request.uri().path() == "/saml/acs"
}

/// Whether a browser says that the request comes from a page of ours. One that says nothing at all is old, or no browser: for it
/// the token decides alone.
fn is_ours(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
    }
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
pub(super) fn same(given: &str, wanted: &str) -> bool {
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}

/// How the cookie is called and guarded. `__Host-` (RFC 6265bis §4.1.3.2) needs TLS; without, on loopback, a plain name is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    Host,
    Loopback,
}

impl Cookie {
    fn name(self) -> &'static str {
        match self {
            Cookie::Host => "__Host-lychgate",
            Cookie::Loopback => "lychgate",
        }
    }

    /// The session's name in a request. Of two cookies of the name neither is believed.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<&str> {
        Cookie::value(headers, self.name())
    }

    pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
        let pairs = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
        let mut ours = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name);
        match (ours.next(), ours.next()) {
            (Some((_, value)), None) if value.len() <= 128 => Some(value),
            _ => None,
        }
    }

    /// Lax, since people come from the links in their mail; nothing is changed by following one.
    pub(super) fn set(self, name: &str) -> HeaderValue {
        let secure = if self == Cookie::Host { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{}={name}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name()))
            .expect("a secret is of letters, digits, - and _")
    }

    pub(super) fn clear(self) -> HeaderValue {
        let secure = if self == Cookie::Host { "; Secure" } else { "" };
        HeaderValue::from_str(&format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}", self.name())).expect("plain ASCII")
    }
}

/// A second cookie, by which an answer of the identity provider's is known to come to the browser that asked. It goes with a form that
/// another site's page sends, which the session's does not; it opens nothing by itself, and lives for minutes.
#[cfg(feature = "saml")]
impl Cookie {
    fn asking_name(self) -> &'static str {
        match self {
            Cookie::Host => "__Host-lychgate-saml",
            Cookie::Loopback => "lychgate-saml",
        }
    }

    pub(super) fn asking(self, headers: &HeaderMap) -> Option<&str> {
        Cookie::value(headers, self.asking_name())
    }

    /// Browsers take `None` only together with `Secure`, and that on loopback without TLS as well.
    pub(super) fn set_asking(self, secret: &str, good: std::time::Duration) -> HeaderValue {
        let text = format!("{}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=None; Secure", self.asking_name(), good.as_secs());
        HeaderValue::from_str(&text).expect("a secret is of letters, digits, - and _")
    }

    pub(super) fn clear_asking(self) -> HeaderValue {
        self.set_asking("", std::time::Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn whose_page_a_form_was_on() {
        for (given, ours) in [
            (&[][..], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://a.x.uk"), ("host", "a.x.uk")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://gate.x.uk:8025"), ("host", "gate.x.uk:8025")], true),
            (&[("origin", "https://evil.example"), ("host", "gate.x.uk:8025")], false),
            (&[("origin", "null"), ("host", "gate.x.uk:8025")], false),
            (&[("origin", "https://gate.x.uk")], false),
        ] {
            assert_eq!(is_ours(&headers(given)), ours, "{given:?}");
        }
    }

    #[test]
    fn the_cookie_of_one_name() {
        let read = |cookie: &str| Cookie::Host.read(&headers(&[("cookie", cookie)])).map(str::to_string);
        assert_eq!(read("a=b; __Host-lychgate=abc; c=d").as_deref(), Some("abc"));
        assert_eq!(read("__Host-lychgate=abc; __Host-lychgate=def"), None);
        assert_eq!(read("lychgate=abc"), None);
        assert_eq!(read(&format!("__Host-lychgate={}", "x".repeat(129))), None);
        assert_eq!(Cookie::Host.set("abc"), "__Host-lychgate=abc; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(Cookie::Loopback.set("abc"), "lychgate=abc; Path=/; HttpOnly; SameSite=Lax");
    }
}
