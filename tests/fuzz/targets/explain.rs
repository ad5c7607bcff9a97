//! Explanations: whatever the message, no reason shows whom it is to.

use lychgate::message::{RawMessage, View};
use lychgate::policy::detect::recipients;
use lychgate::policy::{Outside, Role, evaluate, explain_all, explain_facts};

use super::council::{POLICY, harmless, with_facts};
use super::mail::wire;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "explain",
    run,
    seeds: || {
        super::messages(&[
            "From: clerk@wragbyparishcouncil.gov.uk\nTo: jo@gmail.com, al@example.com, c@example.org, d@example.net\nSubject: FW: jo@gmail.com [CONFIDENTIAL]\n\nHello jo@gmail.com\n",
            "From: jo@gmail.com\nReply-To: rosebud12@gmail.com\nTo: clerk@wragbyparishcouncil.gov.uk\nSubject: x\nContent-Type: application/zip; name=\"jo@gmail.com\"\n\nx\n",
        ])
    },
    given: Given::Messages,
};

fn run(octets: &[u8]) {
    let raw = wire(octets);
    let message = RawMessage::new(raw.clone());
    let view = View::new(&raw);
    let domains: Vec<String> =
        recipients::named(&view, &["To", "Cc", "Bcc", "Reply-To"]).iter().filter_map(|(a, _)| a.rsplit_once('@').map(|(_, d)| d.to_lowercase())).collect();
    let unknown = Outside::unknown("the scanner is away");
    for (role, outside) in [(Role::Submission, &harmless(&POLICY)), (Role::Mx, &unknown)] {
        with_facts(&POLICY, &message, role, outside, |facts| {
            let verdict = evaluate(&POLICY, facts);
            let reasons = verdict.matches.iter().flat_map(|m| m.because.clone()).chain(explain_all(&POLICY, facts).into_iter().map(|(_, why)| why));
            for reason in reasons {
                let lower = reason.to_lowercase();
                for at in lower.match_indices('@').map(|(i, _)| &lower[i + 1..]) {
                    assert!(!domains.iter().any(|d| !d.is_empty() && at.starts_with(d.as_str())), "{reason:?} shows an address");
                }
                assert!(!reason.chars().any(char::is_control), "{reason:?}");
            }
            // A rule is either matched or explained, not both and not neither.
            let unmatched: Vec<_> = explain_all(&POLICY, facts).into_iter().map(|(id, _)| id).collect();
            for rule in POLICY.rules() {
                let judged = verdict.matches.iter().any(|m| m.rule == rule.id);
                assert!(judged || unmatched.contains(&rule.id), "nothing is said of {}", rule.id);
            }
            explain_facts(facts)
        });
    }
}
