//! Passwords: one that opens the archive beside it is found by trying it; a wrong one, and none, opens nothing; no evidence shows it.

use base64::Engine as _;
use lychgate::message::View;
use lychgate::policy::detect::passwords::{Passwords, look};

use super::input::Input;
use super::zips::{Locked, Member, archive};
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "passwords",
    run,
    seeds: || super::texts(&["a", "\u{0}\u{1}bcdefgh", "\u{1}abcdefghijklmnop", "\u{3}\u{2}zyxwvutsrq", "\u{7}\u{5}Pa55"]),
    given: Given::Nothing,
};

fn letter(subject: &str, said: &str, file: &[u8]) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(file);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|l| std::str::from_utf8(l).expect("ASCII")).collect();
    format!(
        "From: clerk@wragbyparishcouncil.gov.uk\r\nTo: jo@example.com\r\nSubject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nDear Jo,\r\n\r\nHere is the list.\r\n{said}\r\n\r\nThe Clerk\r\n--b\r\nContent-Type: application/zip; name=list.zip\r\n\
         Content-Disposition: attachment; filename=list.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

fn shows(found: &Passwords, secret: &str) -> bool {
    [&found.beside, &found.alone, &found.for_another].into_iter().flatten().any(|evidence| evidence.contains(secret))
}

fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let place = input.below(5);
    // Of several kinds of characters, as people choose them, and unlike any word of the letter.
    let word = format!("{}{}{}", input.letters(6), input.pick(&["X", "Q!", "Z-"]), input.digits(4));
    let wrong = format!("{}W{}", input.letters(6), input.digits(5));
    let content = input.words(9);
    let member = |locked| Member { name: "list.txt".into(), locked, content: content.clone().into_bytes() };
    let file = archive(&[member(Locked::Weakly(&word))]);
    let said = |word: &str| match place {
        0 => ("The list".to_string(), format!("The password is {word}")),
        1 => ("The list".to_string(), format!("Password: {word}")),
        2 => (format!("The list (password: {word})"), String::new()),
        3 => ("The list".to_string(), format!("You will need the following password to open it:\r\n\r\n{word}")),
        _ => ("The list".to_string(), format!("Use \"{word}\" as the password.")),
    };
    let judge = |subject: &str, said: &str| {
        let raw = letter(subject, said, &file);
        look(&View::new(&raw), "")
    };
    let (subject, sentence) = said(&word);
    let right = judge(&subject, &sentence);
    assert!(right.beside.is_some(), "{subject} / {sentence}: {right:?}");
    assert!(!shows(&right, &word), "{right:?}");

    let (subject, sentence) = said(&wrong);
    let other = judge(&subject, &sentence);
    assert!(other.beside.is_none(), "{sentence} opens a file locked with {word}: {other:?}");
    assert!(!shows(&other, &wrong), "{other:?}");

    let none = judge("The list", "I shall telephone you.");
    assert_eq!(none, Passwords::default());
}
