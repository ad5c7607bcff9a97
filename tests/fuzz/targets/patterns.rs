//! Pattern sets: one pass over all says what each says alone.

use std::sync::LazyLock;

use lychgate::policy::pattern::{Kind, Pattern, PatternSet};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "patterns",
    run,
    seeds: || super::texts(&["act now", "é act now é fact nowhere", "start\nline\nend", "£1,000 \u{212a}elvin \u{130}stanbul", "don\u{2019}t  pay", "ß SS \u{1e9e}", "a\u{300}b"]),
    given: Given::Nothing,
};

const REGEXES: [&str; 20] = [
    r"\bact now\b", r"^start", r"end$", r"[^\x00-\x7f]{3}", r"\Bx\B", r"(?m)^line$", r"\$[0-9,]{4,}", r"\bkelvin\b", r"(?-u:\bfoo\b)",
    r"\w+@\w+\.uk", r"(a|ab)(c|bcd)(d*)", r"\b(one|two|three) (parcels?|letters?)\b", r"[£$€][0-9]+", r"\bss\b", r"(?s)a.b", r"\bé\w*\b",
    r"^\s*$", r"\d{2}/\d{2}/\d{4}", r"(?i)İ", r"\b\p{Lu}{2,}\b",
];

const WORDS: [&str; 6] = ["fee", "act now", "c++", "hedge", "x", "co-opted"];

struct Sets {
    all: PatternSet,
    singly: Vec<Regex>,
}

static SETS: LazyLock<Sets> = LazyLock::new(|| {
    let words = WORDS.iter().map(|w| Pattern::words(w).expect("a word"));
    let regexes = REGEXES.iter().map(|r| Pattern::regex(r).expect("a pattern"));
    let patterns: Vec<Pattern> = words.chain(regexes).collect();
    let config = syntax::Config::new().case_insensitive(true);
    let singly = REGEXES.iter().map(|r| Regex::builder().syntax(config).build(r).expect("a pattern")).collect();
    Sets { all: PatternSet::compile(Kind::BodyAll, &patterns).expect("a set"), singly }
});

fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    check(&text);
    // Texts made of pieces of the patterns themselves.
    let mut input = Input::new(octets);
    let mut built = String::new();
    while !input.is_empty() && built.len() < 400 {
        built.push_str(input.pick(&[
            "act now", "start", "end", "\n", " ", "é", "x", "line", "$1,000", "Kelvin", "\u{212a}elvin", "foo", "a@b.uk", "abcd", "two parcels", "£4",
            "ß", "SS", "12/05/2026", "HALL", "-", "fee", "coffee", "C++", "hedge", "co\u{2010}opted", "\u{301}", "_", "7",
        ]));
    }
    check(&built);
}

fn check(text: &str) {
    let found = SETS.all.search([text]);
    for (i, word) in WORDS.iter().enumerate() {
        if text.is_ascii() {
            assert_eq!(found.has(i), has_word(&text.to_lowercase(), word), "{word:?} in {text:?}");
        }
    }
    for (i, regex) in SETS.singly.iter().enumerate() {
        assert_eq!(found.has(WORDS.len() + i), regex.is_match(text), "{:?} in {text:?}", REGEXES[i]);
    }
    // Several texts are searched as each.
    let (one, two) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let (both, first, second) = (SETS.all.search([one, two]), SETS.all.search([one]), SETS.all.search([two]));
    assert!((0..WORDS.len() + REGEXES.len()).all(|i| both.has(i) == (first.has(i) || second.has(i))));
}

/// A phrase between octets that belong to no word, any blanks for a blank.
fn has_word(text: &str, phrase: &str) -> bool {
    let is_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let bytes = text.as_bytes();
    (0..bytes.len()).filter(|at| *at == 0 || !is_word(bytes.get(at - 1))).any(|start| {
        let mut at = start;
        for c in phrase.bytes() {
            match (c, bytes.get(at)) {
                (b' ', Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) => {
                    at += bytes[at..].iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)).count();
                }
                (c, Some(b)) if c == *b => at += 1,
                _ => return false,
            }
        }
        !is_word(bytes.get(at))
    })
}
