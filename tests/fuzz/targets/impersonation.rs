//! Impersonation: borrowed names and look-alike domains that were built are seen through any disguise of case, dashes and letters; strangers
//! under their own names are not accused.

use lychgate::message::RawMessage;
use lychgate::policy::{Outside, Role};

use super::council::{POLICY, with_facts};
use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "impersonation",
    run,
    seeds: || super::texts(&["a", "\u{1}bcdef", "\u{2}bcdefghijk", "\u{3}\u{1}xyz", "\u{4}abcdefghi", "Wragby Parish Council", "\u{5}\u{5}\u{5}"]),
    given: Given::Nothing,
};

fn claims(from: &str, reply_to: &str) -> Vec<String> {
    let raw = format!("{from}{reply_to}To: cllr.elm@wragbyparishcouncil.gov.uk\r\nSubject: x\r\n\r\nHello\r\n");
    let message = RawMessage::new(raw.into_bytes());
    with_facts(&POLICY, &message, Role::Mx, Outside::unasked(), |facts| facts.claims().iter().map(|c| format!("{c:?}")).collect())
}

/// The council's domain under another ending, or with something about it that a reader passes over.
fn look_alike(input: &mut Input<'_>) -> String {
    const NAME: &str = "wragbyparishcouncil";
    match input.below(6) {
        0 => format!("{NAME}.{}", input.pick(&["co.uk", "org.uk", "com", "info", "uk.com"])),
        1 => format!("wragby-parish-council.{}", input.pick(&["uk", "org", "gov.uk.com"])),
        2 => {
            let from_to = input.pick(&[('l', '1'), ('i', '1'), ('o', '0')]);
            format!("{}.uk", NAME.replacen(from_to.0, &from_to.1.to_string(), 1))
        }
        3 => {
            // Two letters that stand beside one another change places.
            let at = 1 + input.below(NAME.len() - 2);
            let mut letters: Vec<char> = NAME.chars().collect();
            letters.swap(at, at + 1);
            format!("{}.org.uk", letters.into_iter().collect::<String>())
        }
        4 => format!("xn--{}.uk", idna_of("wr\u{430}gbyparishcouncil")),
        _ => {
            let mut double = NAME.to_string();
            let at = 1 + input.below(NAME.len() - 1);
            double.insert(at, NAME.as_bytes()[at] as char);
            format!("{double}.com")
        }
    }
}

fn idna_of(name: &str) -> String {
    idna::domain_to_ascii(name).expect("it is a label").trim_start_matches("xn--").to_string()
}

/// As mail programs write a name.
fn dressed(input: &mut Input<'_>, name: &str) -> String {
    let name = match input.below(4) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        2 => name.replace(' ', "  "),
        _ => name.to_string(),
    };
    match input.below(3) {
        0 => format!("\"{name}\""),
        1 => format!("=?utf-8?Q?{}?=", name.replace(' ', "_")),
        _ => name,
    }
}

fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let stranger = format!("{}@{}-{}.example.com", input.letters(6), input.letters(5), input.letters(5));
    let found = match input.below(4) {
        0 => {
            let name = input.pick(&["Wragby Parish Council", "Clerk to Wragby Parish Council", "Wragby PC Clerk"]);
            claims(&format!("From: {} <{stranger}>\r\n", dressed(&mut input, name)), "")
        }
        1 => claims(&format!("From: {} <{stranger}>\r\n", dressed(&mut input, "Ann Elm")), ""),
        2 => claims(&format!("From: Accounts <pay@{}>\r\n", look_alike(&mut input)), ""),
        _ => claims(&format!("From: \"clerk@wragbyparishcouncil.gov.uk\" <{stranger}>\r\n"), ""),
    };
    assert!(!found.is_empty(), "{octets:?}");

    // Strangers under names of their own, and other councils.
    let name = format!("{} {}", input.pick(&["Jo", "Priya", "Tom", "Gwen"]), input.pick(&["Baker", "Oakes", "Patel", "Hughes"]));
    for (name, address) in [
        (name.as_str(), stranger.as_str()),
        ("Horncastle Town Council", "clerk@horncastletowncouncil.gov.uk"),
        ("The Clerk", "clerk@louth-tc.gov.uk"),
        ("Lincolnshire County Council", "highways@lincolnshire.gov.uk"),
    ] {
        let found = claims(&format!("From: {} <{address}>\r\n", dressed(&mut input, name)), "");
        assert!(found.is_empty(), "{name} <{address}>: {found:?}");
    }
    // Whatever octets stand as a name, no claim is made for somebody who says nothing of the council or its people.
    let any: String = String::from_utf8_lossy(octets).chars().filter(|c| c.is_ascii_alphanumeric() && !"aecilotuwrgbypshn".contains(c.to_ascii_lowercase())).take(40).collect();
    assert!(claims(&format!("From: \"{any}\" <{stranger}>\r\n"), "").is_empty(), "{any}");
}
