//! Address lists: lists that were built, against how they were built and against another reader; any octets, for ranges that hold.

use lychgate::message::{View, addresses, words};
use lychgate::smtp::address::normal_domain;

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "addresses",
    run,
    seeds: || {
        super::texts(&[
            "Jo Smith <jo@x.uk>, \"Smith, Al\" <al@y.uk> (work), all: a@x.uk, b@y.uk;, c@z.uk",
            "a@x.uk;b@y.uk;",
            "<@route.uk:a@x.uk>",
            "\"unclosed <a@x.uk>",
            "=?utf-8?Q?a=40x.uk?= <b@y.uk>",
            "a @ x . uk",
            "=?utf-8?Q?a=40x.uk?= --b.uk",
            "<a@x..>, a@x\u{3002}",
            "b@y.u()a@t.uk",
            "\u{1}abcdefghijklmnopqrstuvwxyz0123456789",
        ])
    },
    given: Given::Nothing,
};

fn run(octets: &[u8]) {
    match octets {
        [1, choices @ ..] => built(&mut Input::new(choices)),
        _ => ranges(octets),
    }
}

fn ranges(octets: &[u8]) {
    let entries = addresses::parse(octets, 0..octets.len());
    let mut end = 0;
    let mut before = 0..0;
    for entry in &entries {
        let range = entry.range();
        // Two addresses that are one stretch of text share its range; otherwise entries stand one after another.
        assert!(range.end <= octets.len() && range.start <= range.end && (range.start >= end || range == before), "{range:?} behind {end}");
        for mailbox in entry.mailboxes() {
            assert!(mailbox.range.start >= range.start && mailbox.range.end <= range.end);
            // A reader decodes encoded words, whatever stands in them.
            let shown = &octets[mailbox.range.clone()];
            assert!(shown.contains(&b'@') || words::decode(shown).contains('@'), "an address where nobody sees one");
            // A normal form is its own normal form.
            let normal = normal_domain(&mailbox.domain);
            assert_eq!(normal_domain(&normal), normal);
        }
        (end, before) = (range.end, range);
    }
    // Reading a window reads nothing outside it.
    let framed = [b"a@before.uk, ", octets, b", b@behind.uk"].concat();
    let shifted = addresses::parse(&framed, 13..13 + octets.len());
    assert_eq!(shifted.len(), entries.len());
    for (a, b) in shifted.iter().zip(&entries) {
        assert_eq!(a.range(), b.range().start + 13..b.range().end + 13);
        assert_eq!(a.mailboxes().len(), b.mailboxes().len());
    }
    // Dots and apostrophes around an address in running text are the sentence's.
    let text = String::from_utf8_lossy(octets);
    for (local, domain) in addresses::in_text(&text) {
        let sides = text.split('@').collect::<Vec<_>>();
        let stands = |pair: &[&str]| pair[0].trim_end_matches(['.', '\'']).ends_with(&local) && pair[1].trim_start_matches(['.', '-', '_']).starts_with(&domain);
        assert!(sides.windows(2).any(stands), "{local}@{domain} in {text:?}");
    }
}

fn built(input: &mut Input<'_>) {
    let mut list = String::new();
    let mut truth: Vec<(String, Option<String>)> = Vec::new();
    let separator = input.pick(&[", ", ",\r\n ", ",", " ,\r\n\t", ",, "]);
    for number in 0..1 + input.below(8) {
        if number > 0 {
            list.push_str(separator);
        }
        if input.below(6) == 0 {
            list.push_str("Friends of the pond:");
            for member in 0..input.below(3) {
                list.push_str(if member > 0 { ", " } else { " " });
                mailbox(input, &mut list, &mut truth);
            }
            list.push(';');
        } else {
            mailbox(input, &mut list, &mut truth);
        }
    }
    let raw = format!("To: {list}\r\n\r\n");
    let view = View::new(raw.as_bytes());
    let found: Vec<(String, Option<String>)> = view
        .addresses(&view.fields()[0])
        .iter()
        .flat_map(|e| e.mailboxes().to_vec())
        .map(|m| (format!("{}@{}", m.local, m.domain), m.display))
        .collect();
    assert_eq!(found, truth, "{list}");
    let theirs = mail_parser::MessageParser::default().parse(raw.as_bytes()).expect("it is a message");
    let theirs: Vec<String> =
        theirs.to().map(|to| to.iter().filter_map(|a| a.address()).map(str::to_string).collect()).unwrap_or_default();
    assert_eq!(theirs, truth.iter().map(|(a, _)| a.clone()).collect::<Vec<_>>(), "{list}");
}

fn mailbox(input: &mut Input<'_>, list: &mut String, truth: &mut Vec<(String, Option<String>)>) {
    let mut local = input.letters(8);
    local.push_str(input.pick(&["", ".elm", "+pond", "-1", "_x", "'s", "=y"]));
    let domain = format!("{}.{}", input.letters(8), input.pick(&["uk", "gov.uk", "com", "org.uk"]));
    let address = format!("{local}@{domain}");
    let (text, display) = match input.below(6) {
        0 => (address.clone(), None),
        1 => (format!("<{address}>"), None),
        2 => (format!("Ann Elm <{address}>"), Some("Ann Elm")),
        3 => (format!("\"Elm, Ann \\\"Annie\\\"; (Cllr)\" <{address}>"), Some("Elm, Ann \"Annie\"; (Cllr)")),
        4 => (format!("=?utf-8?Q?Ann=C3=A9?= <{address}>"), Some("Anné")),
        _ => (format!("{address} (Ann Elm)"), Some("Ann Elm")),
    };
    list.push_str(&text);
    truth.push((address, display.map(str::to_string)));
}
