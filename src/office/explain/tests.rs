use std::path::Path;

use super::*;
use crate::config::{Diagnostics, load_with};

fn settings(more: &str) -> Settings {
    let text = format!(
        "[council]\nname = \"Wragby\"\ndomains = [\"wragby.gov.uk\"]\nclerk = \"clerk@wragby.gov.uk\"\n\
         [[listener]]\nname = \"submission\"\nrole = \"submission\"\nbind = \"127.0.0.1:2525\"\ntls = \"none\"\n\
         [[listener]]\nname = \"provider\"\nrole = \"connector\"\nbind = \"127.0.0.1:2526\"\ntls = \"none\"\ntrust = {{ networks = [\"192.0.2.0/24\"] }}\nnormalise-line-ends = true\n\
         [upstream.provider]\naddress = \"127.0.0.1:2527\"\n{more}"
    );
    let mut d = Diagnostics::new();
    load_with("lychgate.toml", text, Path::new("/nonexistent"), &|_| None, &mut d).unwrap_or_else(|| panic!("{d}"))
}

#[test]
fn lines_are_as_they_would_come_over_the_wire() {
    let s = settings("[limits]\nmessage-size = \"100B\"\n");
    let (submission, connector) = (&s.listeners[0], &s.listeners[1]);
    let cases: [(&[u8], &[u8]); 7] = [
        (b"A: b\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"A: b\r\n\r\nx", b"A: b\r\n\r\nx\r\n"),
        (b"From jo@x Thu May 14\nA: b\r\n\nx\n", b"A: b\r\n\r\nx\r\n"),
        (b"From jo@x\r\nA: b\n", b"A: b\r\n"),
        (b"From jo@x", b""),
        (b"From: jo@x\n", b"From: jo@x\r\n"),
        (b"", b""),
    ];
    for (given, wanted) in cases {
        assert_eq!(receive(given, submission, &s).unwrap(), wanted, "{:?}", String::from_utf8_lossy(given));
    }
    assert_eq!(receive(b"A: b\rc\n", submission, &s).unwrap_err(), wording::CONTENT_BARE_LINE_END);
    assert_eq!(receive(b"A: b\rc\r\r\n", connector, &s).unwrap(), b"A: b\r\nc\r\n");
    assert_eq!(receive(b"A: b\r\r\n", submission, &s).unwrap_err(), wording::CONTENT_BARE_LINE_END);
    assert_eq!(receive(b"A: b\0c\n", connector, &s).unwrap_err(), wording::CONTENT_NUL);
    assert_eq!(receive(&[b'x'; 99], connector, &s).unwrap_err(), wording::TOO_LARGE);
}

#[test]
fn the_envelope_is_what_is_said_or_what_the_message_says() {
    let message = RawMessage::new(
        b"From: Jo <jo@wragby.gov.uk>\r\nTo: a@x.example, g: b@x.example, A@X.example;\r\nCc: c@y.example\r\n\r\nx\r\n".to_vec(),
    );
    let texts = |e: &Envelope| e.recipients.iter().map(|r| r.address.as_str().to_owned()).collect::<Vec<_>>();
    let found = envelope(&Supposed::default(), &message).unwrap();
    assert_eq!(found.reverse_path.as_str(), "jo@wragby.gov.uk");
    assert!(texts(&found).contains(&"a@x.example".to_owned()) && texts(&found).contains(&"c@y.example".to_owned()));
    let args = Supposed { mail_from: Some("<>".into()), rcpt_to: vec!["<z@z.example>".into()], ..Supposed::default() };
    let given = envelope(&args, &message).unwrap();
    assert_eq!((given.reverse_path, texts(&envelope(&args, &message).unwrap())), (ReversePath::Null, vec!["z@z.example".to_owned()]));
    assert!(envelope(&Supposed { rcpt_to: vec!["nobody".into()], ..Supposed::default() }, &message).is_err());
}

#[test]
fn both_forms_of_a_plain_message() {
    let s = settings("");
    let file = || "a\u{1b}[2J.eml".to_string();
    let text = b"From: clerk@wragby.gov.uk\nTo: ann@gmail.com\nSubject: hello\n\nx\n";
    let args = Supposed { all: true, ..Supposed::default() };
    let explained = explain(&args, &s, &s.listeners[0], file(), text).unwrap();
    let json: serde_json::Value = serde_json::from_str(&show::json(&explained)).unwrap();
    assert_eq!(
        (json["disposition"].as_str(), json["reply"].is_null(), json["facts"]["direction"].as_str()),
        (Some("deliver"), true, Some("outbound"))
    );
    assert_eq!(json["recipients"][0], "ann@gmail.com");
    let text = show::text(&explained, &s, &s.listeners[0]);
    assert!(text.contains("DELIVERED, unchanged") && text.contains("The client hears the provider's own answer."), "{text}");
    assert!(!text.contains('\u{1b}'), "a file's name cannot move the cursor");
    let refused = explain(&args, &s, &s.listeners[0], file(), b"From: clerk@wragby.gov.uk\nTo: ann@gmail.com\n\nx\0\n").unwrap();
    let json: serde_json::Value = serde_json::from_str(&show::json(&refused)).unwrap();
    assert_eq!((json["disposition"].as_str(), json["reply"].as_str()), (Some("reject"), Some("554 5.6.0 The message has a NUL character")));
}
