//! The page that somebody wanted when they had to sign in first: they come to it afterwards. It is kept in their browser, in a cookie that
//! opens nothing, and is a path of the console's own or none at all.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

use super::secure::Cookie;

/// As long as the link to sign in with is good.
const GOOD: u32 = 15 * 60;
/// Characters of a path.
const LONGEST: usize = 100;

impl Cookie {
    fn wanted_name(self) -> &'static str {
        match self {
            Cookie::Host => "__Host-lychgate-to",
            Cookie::Loopback => "lychgate-to",
        }
    }

    /// The cookie to set for whoever asked for this and must sign in; none where there is nothing to come back to.
    pub(super) fn want(self, asked: &Parts) -> Option<HeaderValue> {
        let path = asked.uri.path();
        (asked.method == Method::GET && is_page(path)).then(|| self.wants(path, GOOD))
    }

    /// Where somebody wanted to be.
    pub(super) fn wanted(self, headers: &HeaderMap) -> Option<&str> {
        Cookie::value(headers, self.wanted_name()).filter(|path| is_page(path))
    }

    /// Nowhere any more.
    pub(super) fn forget_wanted(self) -> HeaderValue {
        self.wants("", 0)
    }

    fn wants(self, path: &str, seconds: u32) -> HeaderValue {
        let secure = if self == Cookie::Host { "; Secure" } else { "" };
        let text = format!("{}={path}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.wanted_name());
        HeaderValue::from_str(&text).expect("a path of letters, digits, - and /")
    }
}

/// A path of ours, and never another site's (`//evil.example`). The first page is where everybody comes anyhow.
fn is_page(path: &str) -> bool {
    let rest = path.strip_prefix('/').unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'/';
    !rest.is_empty() && !rest.starts_with('/') && path.len() <= LONGEST && rest.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_our_own_alone() {
        for page in ["/held/LG-7F3K", "/rules", "/access"] {
            assert!(is_page(page), "{page}");
        }
        for none in [
            "",
            "/",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a;b",
            "/a b",
            "/..",
            "/a%0d",
            &format!("/{}", "a".repeat(100)),
        ] {
            assert!(!is_page(none), "{none}");
        }
    }
}
