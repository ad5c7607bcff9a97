//! How everything is, and what to do first where it is not.

use jiff::ToSpan as _;

use super::*;
use crate::support::certificates::ending;

/// A council whose certificate ends in so many days, with its figures at an address.
fn ends_in(name: &str, days: i64) -> (Council, std::net::SocketAddr) {
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(days.days());
    let (certificate, key) = ending(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
    let figures = loopback(port());
    let council = Council::with(name, |site| {
        site.file("tls/gateway.pem", certificate).file("tls/gateway.key", key).table(&format!("[metrics]\nbind = \"{figures}\""))
    });
    (council, figures)
}

/// What `/health` says, and the state of one part of it.
fn health(figures: std::net::SocketAddr, part: &str) -> (String, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(figures).expect("it answers");
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it is sent");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("an answer");
    let body = all.split("\r\n\r\n").nth(1).unwrap_or_default();
    let value: serde_json::Value = serde_json::from_str(body.trim()).unwrap_or_else(|e| panic!("{e}: {all}"));
    (all.lines().next().unwrap_or_default().to_string(), value["components"][part].as_str().unwrap_or_default().to_string())
}

#[test]
fn a_certificate_near_its_end_is_told_of_and_so_is_one_that_is_over() {
    for (days, tag, says, word) in [
        (200, "Well", "Good until", "ok"),
        (10, "Not well", "Ask whoever runs the gateway to renew it", "degraded"),
        (3, "Urgent", "then mail programs refuse the gateway", "degraded"),
        (-2, "Urgent", "mail programs refuse the gateway", "degraded"),
    ] {
        let (council, figures) = ends_in("console-certificate", days);
        let Some(browser) = Browser::start("the console in a browser", Size::Phone, false) else { return };
        council.sign_in(&browser, CLERK);
        let row = browser.run("return [...document.querySelectorAll('.govuk-summary-list__row')].map(e => e.innerText).find(t => t.includes('The certificate'))");
        let row = row.as_str().unwrap_or_else(|| panic!("no certificate on {}", browser.text()));
        assert!(row.contains(tag) && row.contains(says), "{days} days: {row}");
        let (status, state) = eventually("the look at the certificate", || {
            let found = health(figures, "certificate");
            (!found.1.is_empty()).then_some(found)
        });
        assert!(status.contains("200") && state == word, "{days} days: {status} {state}");
    }
}

/// Nothing of the gateway's ends then, but nobody could sign in.
#[cfg(feature = "saml")]
#[test]
fn the_identity_providers_certificate_is_told_of_too() {
    for (days, tag, says) in
        [(200, "Well", "Good until"), (10, "Not well", "metadata again"), (-2, "Urgent", "nobody may be able to sign in")]
    {
        let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(days.days());
        let (certificate, _) = ending(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
        let bind = loopback(port());
        let files = [("idp.xml", &*saml::metadata(&certificate))];
        let council = Council::at("console-provider", &bind.to_string(), format!("http://{bind}"), saml::SAML, &files);
        let (cookie, _) = super::security::session(&council, CLERK);
        let page = super::security::get(&council, "/", &cookie).body;
        let row = page.split("<div class=\"govuk-summary-list__row\">").find(|row| row.contains("certificate of the identity provider"));
        let row = row.unwrap_or_else(|| panic!("nothing of it on {page}"));
        assert!(row.contains(tag) && row.contains(says), "{days} days: {row}");
        // The digest says the same, before it is too late.
        let digest = council.gateway.command(&["digest"]);
        let digest = String::from_utf8_lossy(&digest.stdout).into_owned();
        assert!(digest.contains("TO DO"), "{digest}");
        assert_eq!(digest.contains("The identity provider's certificate end"), days < 21, "{days} days: {digest}");
    }
}

#[test]
fn each_part_that_is_not_well_says_what_to_do_first() {
    let nobody = loopback(port());
    let scanner = loopback(port());
    let figures = loopback(port());
    let council = Council::with("console-states", |site| {
        site.listener("dead", "connector", "none", "gone", "")
            .upstream("gone", nobody, "none", "")
            .table(&format!("[scan]\nclamd = \"tcp:{scanner}\""))
            .table(&format!("[metrics]\nbind = \"{figures}\""))
            .file("data/desk", "in the way")
    });
    let Some(browser) = Browser::start("the console in a browser", Size::Desktop, true) else { return };
    let content = letter("lost", "jo@outside.test", "Agenda", "x");
    assert!(send(&council.gateway, "dead", ELM, &["jo@outside.test"], &content).code >= 400);
    council.sign_in(&browser, CLERK);
    let shown = eventually("the looks", || {
        browser.go(&council.url);
        let text = browser.text();
        (text.contains("start clamd") && !health(figures, "disk").1.is_empty()).then_some(text)
    });
    assert!(shown.contains("ring the provider") || shown.contains("The mail provider answers"), "{shown}");
    assert!(shown.contains("The gateway cannot write there") && shown.contains("free.") && shown.contains("Nothing waits."), "{shown}");
    assert!(shown.contains("None was sent yet. The next one comes on"), "{shown}");
    assert!(!shown.contains("@outside") && !shown.contains(ELM), "nothing on it is about anybody: {shown}");
    for (part, word) in [("desk", "degraded"), ("disk", "ok"), ("scanner", "degraded"), ("certificate", "ok")] {
        assert_eq!(health(figures, part).1, word, "{part}");
    }
}

#[test]
fn what_is_due_stands_on_the_first_page_without_a_name() {
    let council = Council::start("console-due");
    let Some(browser) = Browser::start("the console in a browser", Size::Phone, true) else { return };
    let received = jiff::Zoned::now().date().saturating_sub(60.days()).to_string();
    let done = council.gateway.command(&["rights", "request", "--person", "jo@outside.test", "--kind", "access", "--received", &received]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    council.sign_in(&browser, CLERK);
    let shown = browser.text();
    assert!(shown.contains("Request 1 (access) was due on") && !shown.contains("jo@"), "{shown}");
    browser.press_what_says("See the requests");
    assert!(browser.text().contains("Overdue"), "{}", browser.text());
}
