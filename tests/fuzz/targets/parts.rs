//! The parts of a message: against a splitter that knows lines and nothing else, and, where a message was built here, against how it
//! was built and against another reader.

use lychgate::message::parts::{MAX_DEPTH, MAX_PARTS};
use lychgate::message::{Ambiguity, View};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "parts",
    run,
    seeds: || {
        super::messages(&[
            "\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b  \nContent-Type: message/rfc822\n\nSubject: x\n\ntwo\n--b--\nend\n--b\n",
            "Content-Type: multipart/mixed; boundary=\"b\"\n\n--b\n--b\n\n\n--b--trailing\n",
            "Content-Type: multipart/digest; boundary=b\n\npre\n--b\n\nSubject: x\n\ny",
            "\u{1}abcdefghijklmnopqrstuvwxyz",
        ])
    },
    given: Given::Messages,
};

fn run(octets: &[u8]) {
    match octets {
        [1, choices @ ..] => built(&mut Input::new(choices)),
        _ => split(octets),
    }
}

/// Every multipart holds what stands between its delimiter lines (RFC 2046 §5.1.1).
fn split(raw: &[u8]) {
    let view = View::new(raw);
    let parts = view.parts();
    let many = view.ambiguities().contains(&Ambiguity::TooManyParts) || parts.len() >= MAX_PARTS;
    for (index, part) in parts.iter().enumerate() {
        assert!(part.header.end == part.body.start && part.body.end <= raw.len() && part.header.start <= part.header.end);
        if let Some(parent) = part.parent {
            let around = &parts[parent];
            assert!(parent < index && part.depth == around.depth + 1 && (around.is_multipart || around.nested_message));
            assert!(around.body.start <= part.header.start && part.body.end <= around.body.end);
        }
        let held: Vec<_> = parts.iter().filter(|p| p.parent == Some(index)).map(|p| p.header.start..p.body.end).collect();
        if part.nested_message && !many {
            assert_eq!(held, std::slice::from_ref(&part.body));
        }
        let boundary = part.param("boundary").filter(|b| !b.is_empty() && !b.contains(['\n', '\r']));
        if let Some(boundary) = boundary.filter(|_| part.content_type.starts_with("multipart/") && part.depth < MAX_DEPTH && !many) {
            assert_eq!(held, between_delimiters(raw, part.body.clone(), boundary), "{boundary:?}");
        }
    }
}

fn between_delimiters(raw: &[u8], body: std::ops::Range<usize>, boundary: &str) -> Vec<std::ops::Range<usize>> {
    let delimiter = format!("--{boundary}");
    let mut out = Vec::new();
    let mut open = None;
    let mut at = body.start;
    for line in raw[body.clone()].split_inclusive(|b| *b == b'\n') {
        let next = at + line.len();
        let bare = line.strip_suffix(b"\n").map_or(line, |l| l.strip_suffix(b"\r").unwrap_or(l));
        if let Some(rest) = bare.strip_prefix(delimiter.as_bytes()) {
            let last = rest.starts_with(b"--");
            if last || rest.iter().all(|b| matches!(b, b' ' | b'\t')) {
                if let Some(start) = open.take() {
                    // The line end in front of a delimiter is the delimiter's.
                    let before = &raw[start..at];
                    let content = before.strip_suffix(b"\n").map_or(before, |c| c.strip_suffix(b"\r").unwrap_or(c));
                    out.push(start..start + content.len());
                }
                if last {
                    return out;
                }
                open = Some(next);
            }
        }
        at = next;
    }
    out.extend(open.map(|start| start..body.end));
    out
}

/// A message of which every part is known.
fn built(input: &mut Input<'_>) {
    let mut writer = Writer { out: b"Subject: x\r\n".to_vec(), truth: Vec::new(), boundaries: 0 };
    writer.part(input, 0);
    let Writer { out, truth, .. } = writer;
    let view = View::new(&out);
    let found: Vec<(String, Vec<u8>)> =
        view.parts().iter().filter(|p| p.is_leaf()).map(|p| (p.content_type.clone(), view.decoded(p).into_owned())).collect();
    assert_eq!(found, truth, "{}", String::from_utf8_lossy(&out));
    assert_eq!(view.ambiguities(), []);

    // The other reader loses its way among messages within multiparts (and says so in a debug assertion): it is shown none.
    if view.parts().iter().any(|p| p.nested_message) {
        return;
    }
    let theirs = mail_parser::MessageParser::default().parse(&out).expect("it is a message");
    let mut leaves = Vec::new();
    leaves_of(&theirs, &mut leaves);
    assert_eq!(leaves.len(), truth.len());
    for (theirs, (_, ours)) in leaves.iter().zip(&truth) {
        assert_eq!(theirs.trim_ascii_end(), ours.trim_ascii_end());
    }
}

fn leaves_of(message: &mail_parser::Message<'_>, out: &mut Vec<Vec<u8>>) {
    for part in &message.parts {
        match &part.body {
            mail_parser::PartType::Multipart(_) => {}
            mail_parser::PartType::Message(inner) => leaves_of(inner, out),
            mail_parser::PartType::Text(text) | mail_parser::PartType::Html(text) => out.push(text.as_bytes().to_vec()),
            mail_parser::PartType::Binary(octets) | mail_parser::PartType::InlineBinary(octets) => out.push(octets.to_vec()),
        }
    }
}

struct Writer {
    out: Vec<u8>,
    /// Type and content of every leaf, in order.
    truth: Vec<(String, Vec<u8>)>,
    boundaries: usize,
}

impl Writer {
    /// The rest of a header and a body; the body ends without a line end of its own.
    fn part(&mut self, input: &mut Input<'_>, depth: usize) {
        match input.below(if depth < 6 { 6 } else { 3 }) {
            0 | 1 => {
                let text = format!("{}\r\n{}", input.words(4), input.words(4));
                self.out.extend_from_slice(b"Content-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
                self.out.extend_from_slice(text.as_bytes());
                self.truth.push(("text/plain".into(), text.into_bytes()));
            }
            2 => {
                let content = input.take(40).to_vec();
                self.out.extend_from_slice(b"content-type: Application/PDF (a comment); name=x.pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\n");
                self.out.extend_from_slice(crate_base64(&content).as_bytes());
                self.truth.push(("application/pdf".into(), content));
            }
            3 => {
                self.out.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\nSubject: within\r\n");
                self.part(input, depth + 1);
            }
            _ => {
                self.boundaries += 1;
                let boundary = format!("=_{}{}", self.boundaries, input.pick(&["", "?", " :", "=_1"]));
                self.out.extend_from_slice(
                    format!("Content-Type: multipart/{};\r\n\tboundary=\"{boundary}\"\r\n\r\n", input.pick(&["mixed", "alternative", "related"])).as_bytes(),
                );
                if input.flag() {
                    self.out.extend_from_slice(b"A preamble.\r\n");
                }
                for _ in 0..1 + input.below(3) {
                    self.out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
                    self.part(input, depth + 1);
                    self.out.extend_from_slice(b"\r\n");
                }
                self.out.extend_from_slice(format!("--{boundary}--").as_bytes());
            }
        }
    }
}

fn crate_base64(content: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(content)
}
