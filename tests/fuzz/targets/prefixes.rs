//! Reply and forward prefixes: a stack that was built comes off whole, and nothing else does.

use lychgate::policy::detect::prefixes::{Prefix, strip, strip_one};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "prefixes",
    run,
    seeds: || super::texts(&["Re: FW: x", "AW[2]: [list] Re: y", "转发：会议", "Report: z", "\u{1}abcdef"]),
    given: Given::Nothing,
};

/// FIELD: each with what it says.
const KNOWN: [(&str, Prefix); 14] = [
    ("Re", Prefix::Reply),
    ("RE", Prefix::Reply),
    ("AW", Prefix::Reply),
    ("Antw", Prefix::Reply),
    ("SV", Prefix::Reply),
    ("Ateb", Prefix::Reply),
    ("回复", Prefix::Reply),
    ("Fw", Prefix::Forward),
    ("FWD", Prefix::Forward),
    ("WG", Prefix::Forward),
    ("TR", Prefix::Forward),
    ("RV", Prefix::Forward),
    ("Ymlaen", Prefix::Forward),
    ("转发", Prefix::Forward),
];

fn run(octets: &[u8]) {
    if let [1, choices @ ..] = octets {
        let mut input = Input::new(choices);
        let base = input.words(4);
        let mut subject = base.clone();
        let mut outermost = None;
        for _ in 0..input.below(12) {
            let (word, kind) = input.pick(&KNOWN);
            subject = format!("{word}{}{}{subject}", input.pick(&["", "[2]", " (3)", "^4"]), input.pick(&[": ", ":", " : ", "\u{ff1a}"]));
            outermost = Some(kind);
        }
        assert_eq!(strip(&subject), base, "{subject}");
        assert_eq!(strip_one(&subject).map(|(kind, _)| kind), outermost);
        return;
    }
    let subject = String::from_utf8_lossy(octets);
    let stripped = strip(&subject);
    assert!(subject.ends_with(stripped));
    assert_eq!(strip(stripped), stripped);
    assert_eq!(strip(&format!("Re: {subject}")), stripped);
    let first = subject.trim_start().split([':', '\u{ff1a}']).next().unwrap_or_default();
    // What has no colon near its start has no prefix.
    if first.chars().count() > 16 || first == subject.trim_start() {
        assert_eq!(stripped, subject.trim_start());
    }
}
