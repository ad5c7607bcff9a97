//! Header fields, against one regular expression that says RFC 5322 §2.2 in its own way.

use std::sync::LazyLock;

use lychgate::message::View;
use lychgate::message::header::{self, Closing};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "header",
    run,
    seeds: || {
        super::messages(&[
            "From: a@x.uk\nSUBJECT:  one\n two\nX-Old : y\nEmpty:\n\nbody\n",
            "a:b\n ",
            "a:\n \n\t\nb :c\n\n",
            " lead\na: b\n\n",
            "a b: c\n\n",
            ":x\n\n",
            "a: b",
        ])
    },
    given: Given::Messages,
};

static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    let syntax = syntax::Config::new().unicode(false).utf8(false);
    Regex::builder()
        .configure(Regex::config().utf8_empty(false))
        .syntax(syntax)
        .build(r"^([!-9;-~]+)[ \t]*:((?:[^\n]|\n[ \t])*)(?:\n|\z)")
        .expect("the expression is fixed")
});

fn run(raw: &[u8]) {
    let header = header::scan(raw, 0..raw.len());
    if matches!(header.closing, Closing::TooLong(_)) {
        return;
    }
    let mut at = 0;
    let mut fields = header.fields.iter();
    let closing = loop {
        let rest = &raw[at..];
        if rest.is_empty() {
            break (Closing::EndOfMessage, at);
        }
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            break (Closing::BlankLine, at + if rest[0] == b'\n' { 1 } else { 2 });
        }
        let mut groups = FIELD.create_captures();
        // A slice of its own, so that `^` means here.
        FIELD.captures(Input::new(rest).anchored(Anchored::Yes), &mut groups);
        let Some(whole) = groups.get_match() else { break (Closing::Invalid(at), at) };
        let (name, body) = (groups.get_group(1).expect("a name"), groups.get_group(2).expect("a body"));
        let ended = rest[..whole.end()].ends_with(b"\n");
        let body_end = if ended && rest[body.start..body.end].ends_with(b"\r") { body.end - 1 } else { body.end };
        let found = fields.next().expect("a field stands here");
        assert_eq!(found.whole, at..at + whole.end());
        assert_eq!(found.name, at + name.start..at + name.end);
        assert_eq!(found.body, at + body.start..at + body_end);
        at += whole.end();
    };
    assert_eq!(fields.next(), None);
    assert_eq!((header.closing, header.end), closing);

    // Looking at the message changes none of it.
    let view = View::new(raw);
    assert_eq!(view.fields(), header.fields);
    assert_eq!(view.body(), &raw[header.end..]);
    for field in view.fields() {
        let unfolded = view.unfolded(field);
        let by_hand: Vec<u8> = raw[field.body.clone()].trim_ascii().iter().copied().filter(|b| !b"\r\n".contains(b)).collect();
        assert_eq!(unfolded.as_ref(), by_hand);
    }
}
