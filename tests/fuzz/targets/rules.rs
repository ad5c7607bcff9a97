//! Rule files: any text is read to its end, every fault points into it, and the same text says the same.

use std::sync::Arc;

use lychgate::config::{Diagnostics, Source};
use lychgate::message::RawMessage;
use lychgate::policy::{Mode, Outside, Role, evaluate};

use super::council::{EVERYTHING, load, with_facts};
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "rules",
    run,
    seeds: || {
        let mut seeds: Vec<Vec<u8>> = EVERYTHING.iter().map(|s| s.text.as_bytes().to_vec()).collect();
        seeds.extend(super::texts(&["[[rule]]\nid = “x”\n", "[[rule]]\nid = \"x\"\nwhen.subject.matches = '('\nwhen.any = 3\n", "[[list]]\nname = \"a\"\nentries = [\"@a\", \"é\"]\n[[condition]]\nname = \"c\"\nis = \"c\"\n"]));
        seeds
    },
    given: Given::Nothing,
};

fn run(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets).into_owned();
    let read = || {
        let source = Arc::new(Source { name: "fuzz.toml".into(), text: text.clone() });
        let mut faults = Diagnostics::new();
        let policy = load(&[source], Mode::Enforce, &mut faults);
        (policy, faults)
    };
    let (policy, faults) = read();
    for fault in faults.iter() {
        assert!(!fault.message.is_empty());
        if let Some((source, span)) = fault.at.as_ref().filter(|(source, _)| source.name == "fuzz.toml") {
            assert!(span.start <= span.end && span.end <= source.text.len(), "{span:?} of {}", source.text.len());
            assert!(source.text.is_char_boundary(span.start) && source.text.is_char_boundary(span.end), "{span:?}");
        }
    }
    assert_eq!(policy.is_none(), faults.has_errors());
    let shown = faults.render();
    let (again, faults_again) = read();
    assert_eq!(shown, faults_again.render());
    let Some(policy) = policy else { return };
    assert_eq!(again.expect("it was read before").hash(), policy.hash());
    // What loads can judge.
    let message = RawMessage::new(b"From: clerk@wragbyparishcouncil.gov.uk\r\nTo: jo@gmail.com, al@x.uk\r\nSubject: FW: x\r\n\r\nHello\r\n".to_vec());
    for role in [Role::Submission, Role::Connector, Role::Mx] {
        with_facts(&policy, &message, role, Outside::unasked(), |facts| evaluate(&policy, facts));
    }
}
