//! Links that say one thing and lead to another. Read from the HTML as sent, by a plain scan: no page is built, nothing is fetched.
//!
//! A text that is itself an address promises where its link leads; any other text promises nothing. Newsletters count clicks and mail
//! filters check them: where such a service says where it leads, that counts, and where it does not, it is let alone.

use std::borrow::Cow;

use super::look_alike::passes_for;
use crate::message::View;
use crate::policy::alignment::organisational_domain;
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
    "v.gd",
    "bl.ink",
    "s.id",
    "amzn.to",
    "lnkd.in",
    "qrco.de",
];

/// Services through which other people's links lead: filters that check them, and newsletters' counters.
const WRAPPERS: &[&str] = &[
    "safelinks.protection.outlook.com",
    "urldefense.com",
    "urldefense.proofpoint.com",
    "protect-eu.mimecast.com",
    "protect-us.mimecast.com",
    "url.uk.m.mimecastprotect.com",
    "linkprotect.cudasvc.com",
    "protection.sophos.com",
    "secure-web.cisco.com",
    "clicktime.symantec.com",
    "google.com",
    "list-manage.com",
    "mailchi.mp",
    "mandrillapp.com",
    "sendgrid.net",
    "mailgun.org",
    "createsend.com",
    "createsend1.com",
    "cmail19.com",
    "cmail20.com",
    "rs6.net",
    "constantcontact.com",
    "govdelivery.com",
    "links.govdelivery.com",
    "lnks.gd",
    "hubspotlinks.com",
    "sendinblue.com",
    "sibforms.com",
    "brevo.com",
    "mailerlite.com",
    "mlsend.com",
    "dotdigital.com",
    "dmtrk.net",
    "emlfiles.com",
    "exacttarget.com",
    "mjt.lu",
    "klclick.com",
    "substack.com",
    "eventbrite.com",
    "facebook.com",
];
/// Endings by which a reader knows a bare name for an address. Others are names of files (agenda.zip) and slips of the space bar.
const READ_AS_NAMES: &[&str] =
    &["uk", "com", "org", "net", "gov", "edu", "info", "eu", "biz", "ie", "scot", "wales", "cymru", "london", "int"];

/// Whether any link is of one of these kinds; `own` are domains that links may pass for.
pub fn has_any(view: &View<'_>, kinds: &[Link], own: &[String]) -> bool {
    for part in view.parts() {
        if part.content_type == "text/html" && !part.is_attachment {
            let html = view.decoded(part);
            let html = String::from_utf8_lossy(&html);
            if anchors(&html, |href, text| kinds.iter().any(|k| is(*k, href, Some(text), own))) {
                return true;
            }
        }
    }
    plain_links(&view.body_text().all).any(|url| kinds.iter().any(|k| is(*k, url, None, own)))
}

fn is(kind: Link, href: &str, text: Option<&str>, own: &[String]) -> bool {
    let Some(host) = host(href) else { return false };
    match kind {
        Link::Numeric => {
            host.starts_with('[') || (host.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !host.is_empty()) || host.starts_with("0x")
        }
        Link::Shortened => SHORTENERS.contains(&host.as_str()),
        // Letters of several alphabets in one label, in IDNA's form; or the council's own name in disguise.
        Link::LookAlike => {
            let foreign = host.rsplit('.').next().is_some_and(|last| last.starts_with("xn--"));
            (!foreign && host.split('.').any(|label| label.starts_with("xn--") && is_mixed(label)))
                || own.iter().any(|o| passes_for(&host, o))
        }
        Link::TextDiffers => {
            let promised = text.and_then(shown_host);
            promised.is_some_and(|shown| !leads_to(href, &host, &shown))
                || disguised_host(href).is_some_and(|shown| registrable(&shown) != registrable(&host))
        }
    }
}

/// Whether a link leads to where its text says, as far as can be told.
fn leads_to(href: &str, host: &str, shown: &str) -> bool {
    if registrable(shown) == registrable(host) {
        return true;
    }
    let wrapper = WRAPPERS.iter().any(|w| host.strip_suffix(w).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    wrapper && wrapped(href).is_none_or(|target| registrable(&target) == registrable(shown))
}

/// The host of the address that stands inside another, in clear or with its marks encoded.
fn wrapped(href: &str) -> Option<String> {
    let inside = href.get(8..)?;
    let decoded = decode_percent(inside);
    // Proofpoint writes https-3A__www.x.uk_; version 3 https://www.x.uk__.
    let decoded = decoded.replace("-3A__", "://").replace("-2D", "-");
    let at = decoded.find("https://").or_else(|| decoded.find("http://"))?;
    let host = host(&decoded[at..])?;
    // There an underscore stands for a slash, and at the end of an address.
    host.split('_').next().map(str::to_string)
}

fn decode_percent(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let pair = bytes.get(at + 1..at + 3).and_then(|p| std::str::from_utf8(p).ok()).and_then(|p| u8::from_str_radix(p, 16).ok());
        match (byte, pair) {
            (b'%', Some(octet)) => {
                out.push(octet);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `https://www.bank.co.uk@evil.example/`: the address that a reader sees first is a user's name.
fn disguised_host(href: &str) -> Option<String> {
    let authority = href.trim().split_once("://")?.1.split(['/', '?', '#', '\\']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let user = user.split(':').next()?;
    user.contains('.').then(|| shown_host(user))?
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
    let text = text.trim().trim_end_matches(['.', ',', ';', ':']);
    if text.contains(char::is_whitespace) || text.contains('@') {
        return None;
    }
    host(text).or_else(|| {
        let name = text.split(['/', '?', '#', ':']).next()?;
        let ending = name.rsplit('.').next()?.to_ascii_lowercase();
        let www = name.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("www."));
        let known = psl::suffix(name.as_bytes()).is_some_and(|s| s.is_known()) && name.contains('.');
        (known && (www || READ_AS_NAMES.contains(&ending.as_str()))).then(|| normal_domain(name))
    })
}

fn registrable(host: &str) -> &str {
    organisational_domain(host).unwrap_or(host)
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
    let mut run_end = 0;
    memchr::memmem::find_iter(text.as_bytes(), b"://").filter_map(move |at| {
        let scheme = if ends_with(&text[..at], "https") {
            5
        } else if ends_with(&text[..at], "http") {
            4
        } else {
            return None;
        };
        // Addresses that run together have one end: a text of nothing else must not be gone through for each of them.
        if at >= run_end {
            run_end =
                text[at..].find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ')' | ']')).map_or(text.len(), |e| at + e);
        }
        let end = run_end.min(at + text[at..].floor_char_boundary(LONGEST_LINK));
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
        let Some(close) = tag_end(bytes, open) else { break };
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
        // Browsers drop line ends and tabs from an address (WHATWG URL, 4.4).
        let href: String = decode_entities(href).chars().filter(|c| !matches!(c, '\t' | '\r' | '\n')).collect();
        let text: String = decode_entities(&text).chars().filter(|c| !is_invisible(*c)).collect();
        if found(&href, &text) {
            return true;
        }
    }
    false
}

/// The `>` that ends a tag: not one within quotes. Where quotes never end, the next.
fn tag_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut quote = None;
    for (i, byte) in bytes[open..].iter().enumerate().take(LONGEST_TAG) {
        match (quote, byte) {
            (None, b'>') => return Some(open + i),
            // A quote begins a value only after an equals sign; elsewhere it is an apostrophe.
            (None, b'"' | b'\'') if bytes[open..open + i].iter().rev().find(|b| !b.is_ascii_whitespace()) == Some(&b'=') => {
                quote = Some(*byte)
            }
            (Some(q), b) if q == *b => quote = None,
            _ => {}
        }
    }
    memchr::memchr(b'>', &bytes[open..]).map(|i| open + i)
}

/// Octets of one address in running text.
const LONGEST_LINK: usize = 4_096;
/// Octets of one tag, counters' addresses included.
const LONGEST_TAG: usize = 8_192;

/// Characters that a reader does not see.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// The entities that addresses are written with.
fn decode_entities(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(12).position(|b| b == b';');
        let decoded = end.and_then(|end| {
            let name = &rest[1..end];
            match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "nbsp" => Some(' '),
                "period" => Some('.'),
                "colon" => Some(':'),
                "sol" => Some('/'),
                "shy" => Some('\u{ad}'),
                "zwnj" => Some('\u{200c}'),
                _ => {
                    let digits = name.strip_prefix('#')?;
                    let code = match digits.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16),
                        None => digits.parse(),
                    };
                    char::from_u32(code.ok()?)
                }
            }
        });
        match (decoded, end) {
            (Some(c), Some(end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            _ => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out.into()
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
    use proptest::prelude::*;

    use super::*;

    fn found(html: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        anchors(html, |h, t| {
            pairs.push((h.to_string(), t.to_string()));
            false
        });
        pairs
    }

    fn differs(href: &str, text: &str) -> bool {
        is(Link::TextDiffers, href, Some(text), &[])
    }

    #[test]
    fn kinds() {
        for url in ["http://192.0.2.1/x", "https://[2001:db8::1]/", "http://3221225985/", "http://0xC0000201/a"] {
            assert!(is(Link::Numeric, url, None, &[]), "{url}");
        }
        assert!(!is(Link::Numeric, "https://4x4.co.uk/", None, &[]));
        assert!(is(Link::Shortened, "https://bit.ly/abc", None, &[]));
        assert!(!is(Link::Shortened, "https://orbit.ly/abc", None, &[]));
        assert!(is(Link::LookAlike, "https://wrаgby.gov.uk/", None, &[]));
        assert!(!is(Link::LookAlike, "https://bücher.de/", None, &[]));
        assert!(!is(Link::LookAlike, "https://сора.рф/", None, &[]));
        let own = ["wragbyparishcouncil.gov.uk".to_string()];
        assert!(is(Link::LookAlike, "https://wragbyparishcouncil-gov.uk/pay", None, &own));
        assert!(!is(Link::LookAlike, "https://www.wragbyparishcouncil.gov.uk/", None, &own));
        assert_eq!(plain_links("see HTTP://1.2.3.4/a, and (https://t.co/x)").collect::<Vec<_>>(), ["HTTP://1.2.3.4/a,", "https://t.co/x"]);
    }

    #[test]
    fn texts_that_promise_another_place() {
        for (href, text) in [
            ("https://evil.example/login", "https://www.bank.co.uk"),
            ("https://evil.example/login", "www.bank.co.uk"),
            ("https://evil.example/", "bank.co.uk/secure"),
            ("https://bank.co.uk.evil.example/", "bank.co.uk"),
            ("https://evil.example/", "HTTPS://WWW.GOV.UK/pay."),
            ("https://evil.example/?u=https://www.bank.co.uk/", "www.bank.co.uk"),
            ("https://www.bank.co.uk@evil.example/", "Log in"),
            ("https://eur03.safelinks.protection.outlook.com/?url=https%3A%2F%2Fevil.example%2Fx&data=05", "www.bank.co.uk"),
            ("https://www.google.com/url?q=https://evil.example/&sa=D", "https://www.bank.co.uk/"),
            ("https://a.github.io/", "https://b.github.io/"),
        ] {
            assert!(differs(href, text), "{href} {text}");
        }
    }

    #[test]
    fn texts_that_promise_nothing_or_keep_it() {
        for (href, text) in [
            ("https://sub.bank.co.uk/", "www.bank.co.uk"),
            ("https://x.uk", "click here"),
            ("https://x.uk", "See www.bank.co.uk for more"),
            ("https://www.wragby.gov.uk/agenda.zip", "agenda.zip"),
            ("https://www.wragby.gov.uk/m", "minutes.md"),
            ("https://www.wragby.gov.uk/m", "Agenda.Draft"),
            ("https://www.wragby.gov.uk/book", "Book.now"),
            ("mailto:clerk@wragby.gov.uk", "clerk@wragby.gov.uk"),
            ("https://www.wragby.gov.uk/contact", "clerk@wragby.gov.uk"),
            ("tel:01673858000", "01673 858000"),
            ("#top", "www.wragby.gov.uk"),
            ("https://eur03.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.bank.co.uk%2Fx&data=05", "www.bank.co.uk"),
            ("https://urldefense.com/v3/__https://www.bank.co.uk/x__;!!abc", "https://www.bank.co.uk/x"),
            ("https://urldefense.proofpoint.com/v2/url?u=https-3A__www.bank.co.uk_x&d=Dw", "www.bank.co.uk"),
            ("https://protect-eu.mimecast.com/s/AbCdE", "www.bank.co.uk"),
            ("https://wragby.us8.list-manage.com/track/click?u=1&id=2&e=3", "www.wragby.gov.uk"),
            ("https://u123.ct.sendgrid.net/ls/click?upn=abc", "https://www.wragby.gov.uk/news"),
            ("https://lnks.gd/l/eyJ", "www.gov.uk"),
            ("https://user@www.bank.co.uk/", "www.bank.co.uk"),
            ("", "www.bank.co.uk"),
        ] {
            assert!(!differs(href, text), "{href} {text}");
        }
    }

    #[test]
    fn anchors_as_they_are_written() {
        let html = r#"<p><a class=x HREF="https://evil.example/login">https://www.<b>bank</b>.co.uk</a> <a href='https://sub.bank.co.uk/'>www.bank.co.uk</a>
            <a title="more > less" href="https://a.example/?x=1&amp;y=2">www&#46;bank&#x2e;co.uk</a><a
            href="ht
tps://b.example/">bank.&#8203;co.uk</a><abbr href="https://c.example/">x</abbr><a>y</a><a href=https://d.example/>z</a>"#;
        let pair = |href: &str, text: &str| (href.to_string(), text.to_string());
        assert_eq!(
            found(html),
            [
                pair("https://evil.example/login", "https://www.bank.co.uk"),
                pair("https://sub.bank.co.uk/", "www.bank.co.uk"),
                pair("https://a.example/?x=1&y=2", "www.bank.co.uk"),
                pair("https://b.example/", "bank.co.uk"),
                pair("https://d.example/", "z"),
            ]
        );
        // A quote that never ends: its address is looked at all the same.
        assert_eq!(found("<a href=\"https://x.example/ >never ends"), [pair("https://x.example/ ", "")]);
    }

    proptest! {
        /// A link whose text is its own address never differs, however it is written; nothing panics, and all is bounded.
        #[test]
        fn an_honest_link_is_honest(host in "(www\\.)?[a-z]{2,8}\\.(co\\.uk|gov\\.uk|com|example)", path in "(/[a-z0-9]{0,6}){0,3}") {
            let url = format!("https://{host}{path}");
            prop_assert!(!differs(&url, &url));
            prop_assert!(!differs(&url, &host));
            let entities: String = url.chars().map(|c| format!("&#{};", c as u32)).collect();
            prop_assert_eq!(decode_entities(&entities).into_owned(), url.clone());
            prop_assert_eq!(found(&format!("<a href='{url}'>{entities}</a>")), vec![(url.clone(), url)]);
        }

        #[test]
        fn nothing_panics(html in "(<a |href=|'|\"|>|https://|www\\.x\\.uk|&#|;|%2F|@|\\PC){0,60}") {
            for (href, text) in found(&html) {
                for kind in [Link::TextDiffers, Link::LookAlike, Link::Numeric, Link::Shortened] {
                    let _ = is(kind, &href, Some(&text), &["wragby.gov.uk".into()]);
                }
            }
        }
    }

    #[test]
    fn addresses_run_together_are_bounded() {
        let text = "http://".repeat(150_000);
        assert!(plain_links(&text).all(|link| link.len() <= LONGEST_LINK + 8));
        assert_eq!(plain_links("see https://x.uk/é, or HTTP://y.uk").collect::<Vec<_>>(), ["https://x.uk/é,", "HTTP://y.uk"]);
    }
}
