//! Field text: what is encoded decodes to itself; encoded words that were built decode to what they were built of.

use base64::Engine as _;
use lychgate::message::words;

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "words",
    run,
    seeds: || super::texts(&["Agenda for May", "Café — a long subject that needs more than one encoded word, surely", "x =?utf-8?Q?y?=", "\u{1}\u{7}abcdefgh", "日本語", "a  b\tc", "a=\r?utf-8?Q?y"]),
    given: Given::Nothing,
};

fn run(octets: &[u8]) {
    match octets {
        [1, choices @ ..] => built(&mut Input::new(choices)),
        _ => there_and_back(octets),
    }
}

fn there_and_back(octets: &[u8]) {
    let decoded = words::decode(octets);
    assert!(!decoded.contains(['\r', '\n', '\t']), "{decoded:?}");
    // Where nothing is encoded, a reader sees the octets.
    let line: Vec<u8> = octets.trim_ascii().iter().copied().filter(|b| !b"\r\n".contains(b)).collect();
    if line.is_ascii() && !line.windows(2).any(|w| w == b"=?") {
        assert_eq!(decoded.as_bytes(), line.iter().map(|b| if *b == b'\t' { b' ' } else { *b }).collect::<Vec<_>>());
    }
    let text = String::from_utf8_lossy(octets);
    // Control characters and outer blanks have no place in a field.
    let text: String = text.chars().filter(|c| !c.is_control() && *c != '\u{feff}').collect();
    for used in [0, 9, 70] {
        let wire = words::encode(text.trim(), used);
        assert!(wire.is_ascii());
        let longest = text.split(' ').map(str::len).max().unwrap_or(0);
        if longest < 60 || !text.is_ascii() {
            let first = wire.split(|b| *b == b'\n').next().map_or(0, <[u8]>::len);
            assert!(first <= 79, "{first}");
            assert!(wire.split(|b| *b == b'\n').skip(1).all(|line| line.len() <= 79));
        }
        assert_eq!(words::decode(&wire), text.trim(), "{}", String::from_utf8_lossy(&wire));
    }
}

/// Encoded words of UTF-8, cut anywhere, in both encodings, with any folding between.
fn built(input: &mut Input<'_>) {
    let text = input.words(6);
    let mut wire = Vec::new();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at((1 + input.below(12)).min(rest.len()));
        if !wire.is_empty() {
            wire.extend_from_slice(input.pick(&[&b" "[..], b"\r\n ", b"\r\n\t ", b"\t"]));
        }
        wire.extend_from_slice(input.pick(&[&b"=?utf-8?"[..], b"=?UTF-8*en?"]));
        if input.flag() {
            wire.extend_from_slice(b"B?");
            wire.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(chunk).as_bytes());
        } else {
            wire.extend_from_slice(b"q?");
            for b in chunk {
                match b {
                    b' ' => wire.push(b'_'),
                    b if b.is_ascii_alphanumeric() && input.flag() => wire.push(*b),
                    b => wire.extend_from_slice(format!("={b:02x}").as_bytes()),
                }
            }
        }
        wire.extend_from_slice(b"?=");
        rest = tail;
    }
    assert!(words::has_encoded_word(&wire));
    assert_eq!(words::decode(&wire), text);
}
