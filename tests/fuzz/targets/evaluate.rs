//! Judging: the order of rules gives no other verdict, and a lower ceiling none that is stricter.

use std::sync::{Arc, LazyLock};

use lychgate::config::Source;
use lychgate::message::{RawMessage, Splice, View};
use lychgate::policy::{Mode, Outside, Policy, Role, Verdict, evaluate};

use super::council::{EVERYTHING, compile, harmless, with_facts};
use super::mail::wire;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "evaluate",
    run,
    seeds: || {
        super::messages(&[
            "From: clerk@wragbyparishcouncil.gov.uk\nTo: jo@gmail.com, al@example.com, c@example.org, d@example.net\nSubject: FW: [CONFIDENTIAL] x\nDelivered-To: clerk@wragbyparishcouncil.gov.uk\n\nHello\n",
            "From: clerk@wragbyparishcouncil.gov.uk\nTo: jo@gmail.com, al@example.com, c@example.org\nSubject: [show-recipients: they asked] x\nReply-To: a@gmail.com, b@gmail.com\n\nHello\n",
            "From: a@x.uk\nTo: <redacted@Enron.com>\nContent-Transf\nSubject: The header may end above, or not\nTo: b@y.uk\n\nx\n",
            "From: cllr.elm@wragbyparishcouncil.gov.uk\nTo: jo@example.com\nSubject: Camera\nContent-Type: video/mp4; name=hall.mp4\n\nx\n",
            "From: cllr.elm@wragbyparishcouncil.gov.uk\nTo: jo@example.com\nSubject: The camera\nContent-Type: video/mp4; name=hall.mp4\n\nx\n",
            "From: cllr.elm@wragbyparishcouncil.gov.uk\nTo: jo@example.com\nSubject: Our old camera\nContent-Type: video/mp4; name=hall.mp4\n\nx\n",
            "From: \"Clerk\" <wragby.clerk@gmail.com>\nTo: clerk@wragbyparishcouncil.gov.uk\nSubject: Gift cards\nSensitivity: Personal\n\nhttp://192.0.2.1/\n",
        ])
    },
    given: Given::Messages,
};

/// The rules as they stand, backwards, and interleaved; then under each ceiling.
static ORDERS: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let files = &*EVERYTHING;
    let backwards: Vec<Arc<Source>> = files
        .iter()
        .rev()
        .map(|f| {
            let mut tables: Vec<String> = f.text.split("\n[[").enumerate().map(|(i, t)| if i == 0 { t.to_string() } else { format!("[[{t}") }).collect();
            // What stands above the first table is a comment.
            tables.reverse();
            Arc::new(Source { name: f.name.clone(), text: tables.join("\n") + "\n" })
        })
        .collect();
    let half = files.len() / 2;
    let interleaved: Vec<Arc<Source>> = (0..files.len()).map(|i| files[if i % 2 == 0 { i / 2 } else { half + i / 2 + files.len() % 2 }.min(files.len() - 1)].clone()).collect();
    assert_eq!(interleaved.iter().map(|f| &f.name).collect::<std::collections::BTreeSet<_>>().len(), files.len());
    [files.clone(), backwards, interleaved].iter().map(|f| compile(f, Mode::Enforce).expect("the order of rules is no fault")).collect()
});

static CEILINGS: LazyLock<Vec<(Mode, Policy)>> = LazyLock::new(|| {
    [Mode::Warn, Mode::Observe, Mode::Off].map(|mode| (mode, compile(&EVERYTHING, mode).expect("a ceiling is no fault"))).into()
});

/// Everything a verdict says, in an order of its own.
fn said(verdict: &Verdict) -> String {
    let mut matches: Vec<String> = verdict.matches.iter().map(|m| format!("{m:?}")).collect();
    let mut notices: Vec<String> = verdict.notices.iter().map(|n| format!("{n:?}")).collect();
    let mut fields: Vec<String> = verdict.edits.iter().map(|e| e.field.to_lowercase()).collect();
    matches.sort();
    notices.sort();
    fields.sort();
    fields.dedup();
    format!("{:?} {:?} {matches:#?} {fields:?} {notices:#?} {:?} {} {:?} {:?} {}", verdict.disposition, verdict.decided_by, verdict.record, verdict.personal, verdict.facts, verdict.route, verdict.split)
}

fn judge(policy: &Policy, octets: &[u8], message: &RawMessage) -> Verdict {
    let role = [Role::Submission, Role::Connector, Role::Mx][octets.len() % 3];
    let outside = match octets.len() / 3 % 4 {
        0 => Outside::unknown("nobody answers"),
        1 => Outside::unasked().clone(),
        _ => harmless(policy),
    };
    with_facts(policy, message, role, &outside, |facts| evaluate(policy, facts))
}

/// The disposition, and whether anything is edited.
#[allow(dead_code, reason = "the suite asks for it, the fuzzer does not")]
pub fn outcome(octets: &[u8]) -> (&'static str, bool) {
    let verdict = judge(&ORDERS[0], octets, &RawMessage::new(wire(octets)));
    (verdict.disposition.word(), !verdict.plan.is_untouched())
}

fn run(octets: &[u8]) {
    let raw = wire(octets);
    let message = RawMessage::new(raw.clone());
    let judge = |policy: &Policy| judge(policy, octets, &message);

    let first = judge(&ORDERS[0]);
    let out = Splice::apply(&message, &first.plan).to_vec();
    for other in &ORDERS[1..] {
        let verdict = judge(other);
        assert_eq!(said(&verdict), said(&first));
        assert_eq!(Splice::apply(&message, &verdict.plan).to_vec(), out, "another order of rules makes another message");
    }
    // Edits but banners stay in the header (where readers agree on where it ends), and a message that is not delivered is not edited.
    let view = View::new(&raw);
    let bannered = first.edits.iter().any(|e| e.field == "body");
    let doubtful = !view.ambiguities().is_empty();
    assert!(bannered || doubtful || first.plan.edits().iter().all(|e| e.range.end <= view.header_end()));
    let disposition = first.disposition.word();
    assert!(matches!(disposition, "deliver" | "hold") || first.plan.is_untouched());

    let mut above = first.disposition.strictness();
    for (mode, policy) in CEILINGS.iter() {
        let verdict = judge(policy);
        assert!(verdict.disposition.strictness() <= above);
        above = verdict.disposition.strictness();
        assert!(verdict.disposition.word() == "deliver" && verdict.plan.is_untouched(), "{mode:?} changes mail");
        assert!(*mode > Mode::Observe || verdict.notices.is_empty(), "{mode:?} tells somebody");
        assert!(*mode > Mode::Off || verdict.matches.is_empty());
        assert!(*mode != Mode::Warn || verdict.record <= first.record || first.disposition.word() != "deliver" || verdict.record == lychgate::policy::RecordLevel::Metadata);
    }
}
