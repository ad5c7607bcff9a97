//! Links that say one thing and lead to another. Read from the HTML as sent, by a plain scan: no page is built, nothing is fetched.

use crate::message::View;
use crate::policy::condition::Link;
use crate::smtp::address::normal_domain;

/// Hosts that hide where a link leads.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "tinyurl.com",
    "t.co",
    "goo.gl",
    "ow.ly",
    "is.gd",
    "buff.ly",
    "rebrand.ly",
    "cutt.ly",
    "shorturl.at",
    "rb.gy",
    "tiny.cc",
    "t.ly",
];

/// Whether any link is of one of these kinds.
pub fn has_any(view: &View<'_>, kinds: &[Link]) -> bool {
    for part in view.parts() {
        if part.content_type == "text/html" && !part.is_attachment {
            let html = view.decoded(part);
            let html = String::from_utf8_lossy(&html);
            if anchors(&html, |href, text| kinds.iter().any(|k| is(*k, href, Some(text)))) {
                return true;
            }
        }
    }
    plain_links(&view.body_text().all).any(|url| kinds.iter().any(|k| is(*k, url, None)))
}

fn is(kind: Link, href: &str, text: Option<&str>) -> bool {
    let Some(host) = host(href) else { return false };
    match kind {
        Link::Numeric => {
            host.starts_with('[') || (host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !host.is_empty()) || host.starts_with("0x")
        }
        Link::Shortened => SHORTENERS.contains(&host.as_str()),
        // Letters of several alphabets in one label, in IDNA's form.
        Link::LookAlike => host.split('.').any(|label| label.starts_with("xn--") && is_mixed(label)),
        Link::TextDiffers => text.and_then(shown_host).is_some_and(|shown| registrable(&shown) != registrable(&host)),
    }
}

/// The host of an http(s) URL, in normal form.
fn host(url: &str) -> Option<String> {
    let url = url.trim();
    let rest = url
        .get(..8)
        .filter(|h| h.eq_ignore_ascii_case("https://"))
        .map(|_| &url[8..])
        .or_else(|| url.get(..7).filter(|h| h.eq_ignore_ascii_case("http://")).map(|_| &url[7..]))?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let host = if host.starts_with('[') { host.split_inclusive(']').next()? } else { host.split(':').next()? };
    (!host.is_empty()).then(|| normal_domain(host))
}

/// A host that a reader would take the text for: a URL, or a bare name with a public suffix.
fn shown_host(text: &str) -> Option<String> {
    let text = text.trim();
    if text.contains(char::is_whitespace) || text.contains('@') {
        return None;
    }
    host(text).or_else(|| {
        let name = text.split('/').next()?;
        let known = psl::suffix(name.as_bytes()).is_some_and(|s| s.is_known()) && name.contains('.');
        known.then(|| normal_domain(name))
    })
}

fn registrable(host: &str) -> String {
    psl::domain_str(host).unwrap_or(host).to_string()
}

fn is_mixed(label: &str) -> bool {
    let (shown, result) = idna::domain_to_unicode(label);
    if result.is_err() {
        return true;
    }
    let latin = shown.chars().any(|c| c.is_ascii_alphabetic());
    let other = shown.chars().any(|c| matches!(c, '\u{370}'..='\u{58f}'));
    // Cyrillic or Greek letters that are drawn like Latin ones, alone or mixed.
    other && (latin || shown.chars().filter(|c| c.is_alphabetic()).all(|c| "аеорсухіјѕԁһԛԝνοαικυ".contains(c)))
}

fn plain_links(text: &str) -> impl Iterator<Item = &str> {
    memchr::memmem::find_iter(text.as_bytes(), b"://").filter_map(move |at| {
        let scheme = if ends_with(&text[..at], "https") {
            5
        } else if ends_with(&text[..at], "http") {
            4
        } else {
            return None;
        };
        let end = text[at..].find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ')' | ']')).map_or(text.len(), |e| at + e);
        Some(&text[at - scheme..end])
    })
}

fn ends_with(text: &str, end: &str) -> bool {
    text.len() >= end.len() && text.as_bytes()[text.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// Calls `found` with address and text of every `<a href>`; stops and says true when it does.
fn anchors(html: &str, mut found: impl FnMut(&str, &str) -> bool) -> bool {
    let bytes = html.as_bytes();
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'<', &bytes[at..]).map(|i| at + i) {
        at = open + 1;
        if !matches!(bytes.get(open + 1), Some(b'a' | b'A')) || !bytes.get(open + 2).is_some_and(u8::is_ascii_whitespace) {
            continue;
        }
        let Some(close) = memchr::memchr(b'>', &bytes[open..]).map(|i| open + i) else { break };
        at = close + 1;
        let Some(href) = attribute(&html[open + 2..close], "href") else { continue };
        // The text runs to the next tag of the same kind; other tags in it are dropped.
        let mut text = String::new();
        let mut rest = &html[close + 1..];
        // Bounded, so that a page of nothing but tags costs no more than its length.
        for _ in 0..16 {
            let Some(tag) = rest.find('<').filter(|_| text.len() < 300) else { break };
            text.push_str(&rest[..tag]);
            rest = &rest[tag..];
            let head = &rest.as_bytes()[..rest.len().min(3)];
            if head.eq_ignore_ascii_case(b"</a") || head.eq_ignore_ascii_case(b"<a ") {
                break;
            }
            let Some(end) = rest.find('>') else { break };
            rest = &rest[end + 1..];
        }
        if found(&href.replace("&amp;", "&"), &text) {
            return true;
        }
    }
    false
}

fn attribute<'h>(tag: &'h str, name: &str) -> Option<&'h str> {
    let lower = tag.to_ascii_lowercase();
    let at = lower
        .match_indices(name)
        .map(|(i, _)| i)
        .find(|&i| (i == 0 || tag.as_bytes()[i - 1].is_ascii_whitespace()) && tag[i + name.len()..].trim_start().starts_with('='))?;
    let value = tag[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
    Some(match value.chars().next()? {
        quote @ ('"' | '\'') => value[1..].split(quote).next()?,
        _ => value.split(char::is_whitespace).next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        assert!(is(Link::Numeric, "http://192.0.2.1/x", None));
        assert!(is(Link::Shortened, "https://bit.ly/abc", None));
        assert!(is(Link::LookAlike, "https://wrаgby.gov.uk/", None));
        assert!(!is(Link::LookAlike, "https://bücher.de/", None));
        let html = r#"<p><a class=x HREF="https://evil.example/login">https://www.<b>bank</b>.co.uk</a> <a href='https://sub.bank.co.uk/'>www.bank.co.uk</a>"#;
        let mut pairs = Vec::new();
        anchors(html, |h, t| {
            pairs.push((h.to_string(), t.to_string()));
            false
        });
        assert!(is(Link::TextDiffers, &pairs[0].0, Some(&pairs[0].1)));
        assert!(!is(Link::TextDiffers, &pairs[1].0, Some(&pairs[1].1)));
        assert!(!is(Link::TextDiffers, "https://x.uk", Some("click here")));
        assert_eq!(plain_links("see HTTP://1.2.3.4/a, and (https://t.co/x)").collect::<Vec<_>>(), ["HTTP://1.2.3.4/a,", "https://t.co/x"]);
    }
}
