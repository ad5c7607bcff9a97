//! Judging what several mail programs would make of one message.
//!
//! Mail that is written as it should be has one reading, and all of this costs nothing. Where programs may part ways, every
//! plausible reading is judged by every rule, and the strictest verdict of all stands. What nobody can judge is refused as
//! malformed; so is, where the site file says `malformed = "reject"`, whatever has more readings than one.

use super::facts::Facts;
use super::rule::{Malformed, Policy};
use crate::message::ambiguity::Kind;
use crate::message::reading::{self, Other, Others};
use crate::message::rewrite::{self, WhatIfToEmpty};
use crate::message::{EditPlan, Splice, View};

/// What stands for a rule's id where no rule decided.
pub(super) const MALFORMED: &str = "malformed";

/// The other readings of the message. None where no rule asks for anything.
pub(super) fn others(facts: &Facts<'_>) -> Others {
    if facts.policy.rules.is_empty() || !facts.view().reading().is_ours() {
        return Others::default();
    }
    reading::others(facts.view())
}

/// The case as another reader sees it.
pub(super) fn seen_by<'o, 'a: 'o>(facts: &Facts<'a>, other: &'o Other) -> Facts<'o> {
    let octets = other.octets.as_ref().map_or(facts.view().raw(), |o| o.as_slice());
    Facts::seen(facts.case, facts.policy, View::read_as(octets, other.reading.clone()))
}

/// What the client hears and why, where the message is refused as malformed.
pub(super) fn why_malformed(policy: &Policy, view: &View<'_>, others: &Others) -> Option<(String, Vec<String>)> {
    let unreadable: Vec<String> =
        view.odd().iter().filter(|a| a.kind() == Kind::Unreadable).map(|a| super::explain::clean(&a.to_string())).collect();
    if !unreadable.is_empty() {
        return Some(("Not sent: the message is nested too deeply to be checked. Write it anew, then resend.".into(), unreadable));
    }
    let odd =
        || view.odd().iter().filter(|a| a.question().is_some()).take(3).map(|a| super::explain::clean(&a.to_string())).collect::<Vec<_>>();
    if others.too_many {
        return Some(("Not sent: mail programs could read this message in too many ways. Write it anew, then resend.".into(), odd()));
    }
    (policy.malformed == Malformed::Reject && !others.readings.is_empty())
        .then(|| ("Not sent: mail programs could read this message in several ways. Write it anew, then resend.".into(), odd()))
}

/// Whether somebody who was to be hidden is still shown to a reader of the edited message.
pub(super) fn still_shows(facts: &Facts<'_>, plan: &EditPlan) -> bool {
    let edited = Splice::apply(facts.case.message, plan).to_vec();
    let view = View::new(&edited);
    let others = reading::others(&view);
    let keep = |mailbox: &crate::message::Mailbox| !facts.policy.classify(&mailbox.normal()).is_stranger();
    let shows = |view: &View<'_>| rewrite::hide_recipients(view, &keep, WhatIfToEmpty::default(), &mut EditPlan::new()).count > 0;
    others.too_many
        || shows(&view)
        || others.readings.iter().any(|other| {
            let octets = other.octets.as_ref().map_or(edited.as_slice(), |o| o.as_slice());
            shows(&View::read_as(octets, other.reading.clone()))
        })
}
