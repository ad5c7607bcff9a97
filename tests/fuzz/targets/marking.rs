//! Marks of confidence: a legal footer never makes one, a mark that somebody sets always does, whatever the message.

use lychgate::message::RawMessage;
use lychgate::policy::{Outside, Role};

use super::council::{POLICY, with_facts};
use super::input::Input;
use super::mail::{plain, wire, with_field};
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "marking",
    run,
    seeds: || {
        super::messages(&[
            "\u{0}From: clerk@wragbyparishcouncil.gov.uk\nTo: a@x.uk\nSubject: Re: Confidentiality policy review\n\nHello\n",
            "\u{7}From: a@x.uk\nSubject: =?utf-8?Q?Agenda?=\nContent-Type: text/html\n\n<p>OFFICIAL opening</p>\n",
            "\u{1}0123456789abcdefghij",
            " a line that goes on from nowhere\nTo: a@x.uk\n\nx\n",
        ])
    },
    given: Given::Messages,
};

const FOOTERS: [&str; 4] = [
    "This email and any attachments are confidential and intended solely for the use of the individual to whom they are addressed.",
    "CONFIDENTIALITY NOTICE: The information in this e-mail is privileged and confidential. If you are not the intended recipient, delete it.",
    "Disclaimer: strictly private & confidential. If you have received this message in error please notify the sender.",
    "The views expressed are those of the author. Unauthorised use of official-sensitive or confidential material is prohibited, and no liability is accepted.",
];

const SUBJECTS: [&str; 8] = [
    "CONFIDENTIAL: ",
    "[Confidential] ",
    "Private & Confidential - ",
    "OFFICIAL-SENSITIVE ",
    "OFFICIAL \u{2013} SENSITIVE: ",
    "Re: FW: [CONFIDENTIAL] ",
    "AW: Fwd: Private and confidential: ",
    "OFFICIAL:SENSITIVE ",
];

fn is_marked(raw: &[u8]) -> bool {
    let message = RawMessage::new(raw.to_vec());
    with_facts(&POLICY, &message, Role::Submission, Outside::unasked(), |facts| facts.confidential().is_some())
}

fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let choice = input.below(32);
    let raw = match choice {
        // A message of plain words is never marked.
        1 => {
            let text = plain(&mut input, "Subject: The hedge\r\n", "jo@example.com").into_bytes();
            assert!(!is_marked(&text));
            text
        }
        _ => wire(octets),
    };
    if !is_marked(&raw) {
        let footer = FOOTERS[choice % FOOTERS.len()];
        for below in ["\r\n\r\n", "\r\n\r\n-- \r\nThe Clerk\r\n\r\n", "\r\n\r\n________________\r\n"] {
            let with_footer = [&raw[..], below.as_bytes(), footer.as_bytes(), b"\r\n"].concat();
            assert!(!is_marked(&with_footer), "a footer flags: {}", String::from_utf8_lossy(&with_footer));
        }
    }
    // In front of whatever the subject was.
    let view = lychgate::message::View::new(&raw);
    let subject: String = view.subject().chars().filter(|c| !c.is_control()).take(60).collect();
    let marked = format!("{}{subject}", SUBJECTS[choice % SUBJECTS.len()]);
    let wire = String::from_utf8(lychgate::message::words::encode(&marked, 9)).expect("it is ASCII");
    let flagged = with_field(&raw, "Subject", &wire);
    assert!(is_marked(&flagged), "{marked:?} does not flag");
    assert!(is_marked(&with_field(&raw, "Sensitivity", "Company-Confidential")));
    assert!(is_marked(&with_field(&raw, "X-Council-Confidential", "yes")));
}
