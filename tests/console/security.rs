//! What a stranger, another site's page, an old form or somebody without a role can do: nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;

pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// One HTTP exchange, written by hand: what a browser would never send must be refused as well.
pub(super) fn http(council: &Council, request: &str) -> Reply {
    let address = council.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the console answers");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let all = String::from_utf8_lossy(&all).into_owned();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or((&all, ""));
    Reply { code: head.get(9..12).and_then(|c| c.parse().ok()).unwrap_or(0), head: head.to_string(), body: body.to_string() }
}

pub(super) fn get(council: &Council, path: &str, cookie: &str) -> Reply {
    http(
        council,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n",
            council.url.trim_start_matches("http://")
        ),
    )
}

pub(super) fn post(council: &Council, path: &str, more: &str, body: &str) -> Reply {
    let host = council.url.trim_start_matches("http://");
    http(
        council,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{more}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// The cookie of a session, and the token of its forms.
pub(super) fn session(council: &Council, address: &str) -> (String, String) {
    assert_eq!(post(council, "/sign-in", "", &format!("address={address}")).code, 200);
    let link = council.link_for(address, "/sign-in/link?key=");
    let key = link.split_once("key=").expect("a key").1;
    assert!(get(council, &format!("/sign-in/link?key={key}"), "").body.contains("press the button"), "following it changes nothing");
    let entered = post(council, "/sign-in/link", "", &format!("link={key}"));
    assert_eq!(entered.code, 303, "{}", entered.head);
    let set = entered.head.split("set-cookie: ").nth(1).expect("a cookie").lines().next().expect("a line").to_string();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    let again = post(council, "/sign-in/link", "", &format!("link={key}"));
    assert!(again.code == 200 && again.body.contains("does not work any more"), "a link works once");
    let cookie = set.split(';').next().expect("a value").to_string();
    let page = get(council, "/", &cookie).body;
    let token = page.split("name=\"token\" value=\"").nth(1).expect("a token").split('"').next().expect("its end");
    (cookie, token.to_string())
}

#[test]
fn a_stranger_sees_nothing() {
    let council = Council::start("console-strange");
    assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "x"), 250);
    for path in [
        "/",
        "/held",
        "/held/LG-1",
        "/find",
        "/rules",
        "/rules/fruit",
        "/papers",
        "/papers/schedule",
        "/access",
        "/people",
        "/people/suspended",
        "/people/acting",
        "/people/accounts",
        "/mine",
        "/mine/notice",
        "/rights",
        "/rights/1",
        "/retention",
        "/retention/holds/new",
        "/receipts/1",
    ] {
        for cookie in ["", "lychgate=", "lychgate=abc", "__Host-lychgate=abc", "lychgate=../../etc"] {
            let reply = get(&council, path, cookie);
            assert!(reply.code == 303 && reply.head.contains("location: /sign-in") && reply.body.is_empty(), "{path}: {}", reply.head);
        }
    }
    for path in [
        "/held/LG-1/release",
        "/held/LG-1/refuse",
        "/held/LG-1/ask",
        "/held/LG-1/open",
        "/find",
        "/access",
        "/sign-out",
        "/access/requests/1/approve",
        "/people/suspended/lift",
        "/people/acting/end",
        "/people/accounts/remove",
        "/mine/held/LG-1",
        "/mine/export",
        "/mine/request",
        "/rights",
        "/rights/1/export",
        "/rights/1/erase",
        "/retention/purge",
        "/retention/holds",
        "/papers/notice/adopt",
    ] {
        assert_eq!(post(&council, path, "", "token=x&reason=y").code, 303, "{path}");
        assert_eq!(
            get(&council, path, "").code,
            if matches!(path, "/find" | "/access" | "/rights") { 303 } else { 405 },
            "{path}: a state is changed by POST alone"
        );
    }
    // Whether somebody has a role is told to nobody: the same page, and no letter.
    let (known, unknown) =
        (post(&council, "/sign-in", "", &format!("address={CLERK}")), post(&council, "/sign-in", "", "address=who@wragby.test"));
    assert_eq!((known.code, &known.body), (unknown.code, &unknown.body));
    council.link_for(CLERK, "/sign-in/link?key=");
    assert!(council.sink.take().iter().all(|c| !c.recipients[0].contains("who@")));
    // A mailbox is not filled, and a client does not try for ever.
    for _ in 0..30 {
        post(&council, "/sign-in", "", &format!("address={CLERK}"));
    }
    assert!(post(&council, "/sign-in", "", &format!("address={CLERK}")).body.contains("Too many links"));
    let letters = council.sink.take().iter().filter(|c| text(c).contains("/sign-in/link")).count();
    assert!(letters <= 2, "{letters} more letters");
    let headers = get(&council, "/sign-in", "").head;
    for wanted in [
        "content-security-policy: default-src 'none'",
        "x-frame-options: DENY",
        "x-content-type-options: nosniff",
        "cache-control: no-store",
    ] {
        assert!(headers.contains(wanted), "{wanted} in {headers}");
    }
    assert!(!headers.contains("unsafe-inline") && !headers.contains("server:"), "{headers}");
}

#[test]
fn what_another_page_or_an_old_form_sends_changes_nothing() {
    let council = Council::start("console-forged");
    assert_eq!(council.mail("basket", &["jo@outside.test"], "apples", "x"), 250);
    let (cookie, token) = session(&council, CLERK);
    let list = get(&council, "/held", &cookie).body;
    let id =
        list.split("/held/LG-").nth(1).map(|rest| format!("LG-{}", rest.split('"').next().expect("a reference"))).expect("one is held");
    let path = format!("/held/{id}/release");
    let with = |more: &str, token: &str| {
        post(&council, &path, &format!("Cookie: {cookie}\r\n{more}"), &format!("token={token}&reason=forged")).code
    };
    let host = council.url.trim_start_matches("http://");
    assert_eq!(with("", ""), 403);
    assert_eq!(with("", "wrong"), 403);
    for more in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"]
    {
        assert_eq!(with(more, &token), 403, "{more}");
    }
    // A form of another session's.
    let (_, other) = session(&council, CHAIR);
    assert_eq!(with("", &other), 403);
    assert!(get(&council, "/held", &cookie).body.contains(&id), "nothing of all that let it go");
    assert_eq!(with(&format!("Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n"), &token), 303);
    assert!(!get(&council, "/held", &cookie).body.contains(&id));
    // The chair's session does what the chair may, and not more than the site file says; who signed out is out.
    assert_eq!(post(&council, "/sign-out", &format!("Cookie: {cookie}\r\n"), &format!("token={token}")).code, 303);
    assert_eq!(get(&council, "/", &cookie).code, 303);
}

#[test]
fn hostile_requests_are_refused_and_cost_little() {
    let council = Council::start("console-hostile");
    let host = council.url.trim_start_matches("http://").to_string();
    let big = "a".repeat(2 * 1024 * 1024);
    assert_eq!(post(&council, "/sign-in", "", &format!("address={big}")).code, 413);
    for request in [
        format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "x".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "y".repeat(100_000)),
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c".to_string(),
        "GET / HTTP/9.9\r\n\r\n".to_string(),
        format!(
            "POST /sign-in HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"
        ),
    ] {
        let code = http(&council, &request).code;
        assert!(code == 0 || (400..600).contains(&code), "{code} for {:?}", &request[..40.min(request.len())]);
    }
    for path in
        ["/held/../../etc/passwd", "/papers/..%2f..%2fetc", "/rules/%00", "/confirm/%ff%fe", "/assets/../Cargo.toml", "//evil.example/"]
    {
        let reply = get(&council, path, "");
        assert!(matches!(reply.code, 303 | 400 | 404 | 200), "{path}: {}", reply.code);
        assert!(!reply.body.contains("root:") && !reply.head.contains("evil.example"), "{path}");
    }
    // What somebody types comes back as text.
    let (cookie, token) = session(&council, CLERK);
    let hostile = "%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E%40x.uk";
    let reply = post(&council, "/find", &format!("Cookie: {cookie}\r\n"), &format!("token={token}&who={hostile}&purpose={hostile}"));
    assert!(!reply.body.contains("<script>alert"), "{}", reply.body);
    assert!(council.gateway.log().contains("signed_in") && !council.gateway.log().contains("key="), "no link stands in the log");
}

#[test]
fn whoever_follows_too_many_links_is_asked_to_wait() {
    let council = Council::start("console-often");
    let follow = || get(&council, "/confirm/0123456789abcdef0123456789abcdef", "").body;
    assert!(follow().contains("waits no longer"));
    let mut last = String::new();
    (0..20).for_each(|_| last = follow());
    assert!(last.contains("Wait a little") && !last.contains("waits no longer"), "{last}");
    assert!(post(&council, "/sign-in/link", "", "link=x").body.contains("Wait a little"));
}
