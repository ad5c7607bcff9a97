//! Forwarding: each way that mail programs forward is seen, and a reply or a plain letter of the same words is not.

use lychgate::message::RawMessage;
use lychgate::policy::{Outside, Role};

use super::council::{POLICY, with_facts};
use super::input::Input;
use super::mail::plain;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "forwarding",
    run,
    seeds: || super::texts(&["a", "\u{1}bcdefghijklmnop", "\u{2}bcdefghijklmnop", "\u{3}bcd", "\u{4}bcd", "\u{5}bcd", "\u{6}xyz"]),
    given: Given::Nothing,
};

fn by_hand(text: &str) -> Option<String> {
    let message = RawMessage::new(text.as_bytes().to_vec());
    with_facts(&POLICY, &message, Role::Submission, Outside::unasked(), |facts| facts.forwarded().by_hand.map(|s| s.to_string()))
}

fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (way, subject) = (input.below(7), input.words(4));
    let to = "Jo <jo@example.com>";
    let letter = |input: &mut Input<'_>, fields: &str| plain(input, fields, to);
    let old = format!("From: Bob <bob@aol.com>\r\nSent: 3 May 2026 10:00\r\nTo: clerk@wragbyparishcouncil.gov.uk\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    let forwarded = match way {
        0 => letter(&mut input, &format!("Subject: {}: {subject}\r\n", ["FW", "Fwd", "WG", "TR", "Ymlaen", "RV"][octets.len() % 6])),
        1 => letter(&mut input, &format!("Subject: {subject}\r\n")) + "\r\n---------- Forwarded message ---------\r\n" + &old,
        2 => letter(&mut input, &format!("Subject: {subject}\r\n")) + "\r\nBegin forwarded message:\r\n\r\n" + &old,
        3 => letter(&mut input, &format!("Subject: {subject}\r\n")) + "\r\n-----Original Message-----\r\n" + &old,
        4 => letter(&mut input, &format!("Subject: {subject}\r\nResent-From: clerk@wragbyparishcouncil.gov.uk\r\n")),
        5 => {
            let part = letter(&mut input, "");
            let (head, body) = part.split_once("Content-Type").expect("it has a type");
            format!("{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type{body}\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{old}\r\n--b--\r\n")
        }
        _ => letter(&mut input, &format!("Subject: {subject}\r\n")) + "\r\n> ---------- Forwarded message ----------\r\n> From: Bob <bob@aol.com>\r\n",
    };
    assert!(by_hand(&forwarded).is_some(), "{forwarded}");

    // The same words as a letter and as a reply to Jo.
    let letter_text = letter(&mut input, &format!("Subject: {subject}\r\n"));
    assert_eq!(by_hand(&letter_text), None, "{letter_text}");
    let reply = letter(&mut input, &format!("Subject: Re: {subject}\r\nIn-Reply-To: <1@example.com>\r\n"));
    let quoted = format!("{reply}\r\n-----Original Message-----\r\nFrom: Jo <jo@example.com>\r\nSent: 3 May 2026 10:00\r\nTo: us\r\n\r\n{}\r\n", input.words(9));
    assert_eq!(by_hand(&quoted), None, "{quoted}");
    let marked = format!("{reply}\r\nOn 3 May 2026, Jo <jo@example.com> wrote:\r\n> {}\r\n", input.words(9));
    assert_eq!(by_hand(&marked), None, "{marked}");
}
