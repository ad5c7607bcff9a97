//! Banners: what leaves is what came with one stretch put in, in bodies only, and a reader sees the banner and then what they would have seen.

use lychgate::message::banner::{Placed, place};
use lychgate::message::text::{Lines, render};
use lychgate::message::{EditPlan, RawMessage, Splice, View};

use super::mail::wire;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "banner",
    run,
    seeds: || {
        super::messages(&[
            "From: a@x.uk\nSubject: s\n\nHello\n",
            "Content-Type: text/html; charset=utf-8\n\n<html><BODY class=\"x\">Hello</body></html>\n",
            "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n",
            "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<body style=3D\"a=\n:b\"><p>Hello</p>\n",
            "Content-Type: multipart/alternative; boundary=a\n\n--a\n\nplain\n--a\nContent-Type: text/html\n\n<p>html</p>\n--a--\n",
            "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n//5IAGkA\n",
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\nContent-Type: text/html\n\n<p>html</p>\n--b--\n",
            "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPGJvZHk+PHA+SGVsbG88L3A+\n",
        ])
    },
    given: Given::Messages,
};

const TEXT: &str = "From outside the council. Don't open <files> you did not expect.";

fn run(octets: &[u8]) {
    let raw = wire(octets);
    let message = RawMessage::new(raw.clone());
    let view = View::new(&raw);
    let mut plan = EditPlan::new();
    if place(&view, TEXT, &mut plan) != Placed::Yes {
        assert!(plan.is_untouched());
        return;
    }
    let out = Splice::apply(&message, &plan).to_vec();
    let after = View::new(&out);
    assert_eq!(out[..after.header_end()], raw[..view.header_end()], "the header changed");
    assert_eq!(after.parts().len(), view.parts().len());
    let mut placed = 0;
    for (new, old) in after.parts().iter().zip(view.parts()) {
        assert_eq!(out[new.header.clone()], raw[old.header.clone()]);
        if !old.is_leaf() || out[new.body.clone()] == raw[old.body.clone()] {
            continue;
        }
        placed += 1;
        let (with, without) = (after.decoded(new), view.decoded(old));
        let added = with.len().checked_sub(without.len()).expect("a banner takes nothing away");
        let same = with.iter().zip(without.iter()).take_while(|(a, b)| a == b).count();
        assert_eq!(with[same + added..], without[same..], "more than the banner changed");
        let seen = |view: &View<'_>, part| view.part_text(part).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        if old.content_type == "text/plain" {
            assert_eq!(seen(&after, new), format!("{TEXT} {}", seen(&view, old)).trim_end());
        } else {
            // Bold words in front of a body tag that stands within something odd may be hidden with it.
            let source = String::from_utf8_lossy(&with).into_owned();
            let all = render(&source, Lines::Collapse);
            assert!(squeeze(&format!("{} {}", all.text, all.hidden)).contains(&squeeze(TEXT)) || !source.is_ascii() || odd(&source), "{source}");
        }
    }
    assert!(placed > 0);
    assert_ne!(place(&after, TEXT, &mut EditPlan::new()), Placed::Impossible, "it can be placed once and not be looked for again");
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Comments, scripts and quotes that are never closed: where a tag stands, readers disagree.
fn odd(html: &str) -> bool {
    ["<!--", "<script", "<style", "<title", "<template", "\"", "'"].iter().any(|o| html.to_ascii_lowercase().contains(o))
}
