//! What the rules' edits do to the octets of a message, and its recipients.

use std::sync::Arc;

use super::condition::Number;
use super::explain::clean;
use super::facts::Facts;
use super::readings;
use super::route::Route;
use super::rule::Rule;
use super::say::{Fill, Template, list};
use super::subject::Edited;
use super::verdict::{Alternatives, FieldEdit, Mode};
use crate::message::banner::{self, Placed};
use crate::message::reading::Others;
use crate::message::rewrite::{self, WhatIfToEmpty};
use crate::message::{EditPlan, View};
use crate::smtp::Address;

/// All edits of all rules.
pub(super) fn edited(facts: &Facts<'_>, editing: &[&Rule], others: &Others) -> Edited {
    let (mut plan, mut edits) = (EditPlan::new(), Vec::new());
    edit(facts, editing, Shown::AsRulesSay, &mut plan, &mut edits, others);
    let hides = editing.iter().any(|r| r.then.hide_recipients.is_some());
    if hides && !others.readings.is_empty() && readings::still_shows(facts, &plan) {
        return Edited::StillShown;
    }
    Edited::Made { plan, edits }
}

/// The plans of a message whose recipients are to be hidden, or to have a copy each, whether a rule says so or its sender may choose so.
pub(super) fn alternatives(facts: &Facts<'_>, editing: &[&Rule], others: &Others) -> Alternatives {
    let made = |shown: Shown<'_>| {
        let mut plan = EditPlan::new();
        edit(facts, editing, shown, &mut plan, &mut Vec::new(), others);
        plan
    };
    let is_stranger = |address: &Address| facts.policy.classify(&address.normal()).is_stranger();
    let recipients = facts.case.envelope.recipients.iter().enumerate();
    let strangers: Vec<_> = recipients.filter(|(_, r)| r.is_accepted() && is_stranger(&r.address)).collect();
    let hidden = made(Shown::ToCouncil);
    if strangers.is_empty() || (!others.readings.is_empty() && readings::still_shows(facts, &hidden)) {
        return Alternatives::default();
    }
    let copies = strangers.into_iter().map(|(index, recipient)| (index, made(Shown::Only(&recipient.address)))).collect();
    Alternatives { hidden: Some(hidden), copies, sign: facts.is_council_sender() }
}

/// Which recipients a message shows.
#[derive(Clone, Copy)]
enum Shown<'a> {
    AsRulesSay,
    /// The council's own and its partners.
    ToCouncil,
    Only(&'a Address),
}

/// Addresses are hidden once, however many rules ask.
fn edit(facts: &Facts<'_>, editing: &[&Rule], shown: Shown<'_>, plan: &mut EditPlan, edits: &mut Vec<FieldEdit>, others: &Others) {
    let view = facts.view();
    let mut changed: Vec<String> = Vec::new();
    let mut note = |field: &str, rule: &Arc<str>, edits: &mut Vec<FieldEdit>| {
        if !changed.iter().any(|c| c.eq_ignore_ascii_case(field)) {
            changed.push(field.to_string());
        }
        let edit = FieldEdit { field: field.to_string(), rule: rule.clone() };
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    };
    // Split beats bcc; of several that ask for the same the first is as good as any.
    let hides = editing.iter().rev().max_by_key(|r| r.then.hide_recipients).filter(|r| r.then.hide_recipients.is_some());
    // Where nobody asks and its sender may choose, the change is still to be noted: a signature over the field breaks.
    let by = hides.map_or_else(|| Arc::from("sender"), |rule| rule.id.clone());
    if hides.is_some() || !matches!(shown, Shown::AsRulesSay) {
        let keep = |mailbox: &crate::message::Mailbox| !facts.policy.classify(&mailbox.normal()).is_stranger();
        let mut hide = |view: &View<'_>| {
            let hidden = match shown {
                Shown::Only(own) => rewrite::only_recipient(view, own, &keep, plan),
                Shown::AsRulesSay | Shown::ToCouncil => rewrite::hide_recipients(view, &keep, WhatIfToEmpty::default(), plan),
            };
            for field in &hidden.fields {
                note(field, &by, edits);
            }
        };
        hide(view);
        // Another reader may find recipient fields where we see none.
        for other in others.readings.iter().filter(|o| o.octets.is_none()) {
            hide(&View::read_as(view.raw(), other.reading.clone()));
        }
    }
    for (name, rule) in overrides(facts) {
        if rewrite::cut_override(view, &name, plan).is_some() {
            note("Subject", &rule, edits);
        }
    }
    for rule in editing {
        let mut tag = rule.then.tag_subject.as_deref();
        if let Some(banner) = &rule.then.banner {
            match banner::place(view, &fill(facts, rule, &banner.text), plan) {
                Placed::Yes => note("body", &rule.id, edits),
                Placed::Already => {}
                Placed::Impossible => tag = tag.or(Some(&banner.tag)),
            }
        }
        if let Some(tag) = tag
            && rewrite::tag_subject(view, tag, plan)
        {
            note("Subject", &rule.id, edits);
        }
    }
    for rule in editing {
        for name in &rule.then.remove_header {
            for field in view.named(name) {
                // A field that another rule changes is left to that rule.
                if plan.edit(field.whole.clone(), Vec::new()).is_ok() {
                    note(name, &rule.id, edits);
                }
            }
        }
    }
    let mut added = Vec::new();
    for rule in editing {
        for (name, value) in &rule.then.add_header {
            let line = format!("{name}: {value}\r\n").into_bytes();
            let there = view.named(name).any(|f| view.unfolded(f).as_ref() == value.as_bytes());
            if !there && memchr::memmem::find(&added, &line).is_none() {
                added.extend_from_slice(&line);
                note(name, &rule.id, edits);
            }
        }
    }
    if !added.is_empty() && plan.edit(0..0, added).is_err() {
        // An insertion at the very start overlaps nothing; were it refused, the message would only lack a comment.
        edits.retain(|e| view.named(&e.field).next().is_some());
    }
    if let Some(first) = edits.first().map(|e| e.rule.clone())
        && rewrite::remove_dkim(view, &changed, &facts.policy.council.domains, plan) > 0
    {
        edits.push(FieldEdit { field: "DKIM-Signature".into(), rule: first });
    }
}

/// What all rules together do to the envelope. Order of files must not decide, so that each list is in the order of its addresses.
pub(super) fn route(facts: &Facts<'_>, editing: &[&Rule]) -> Route {
    let mut route = Route::default();
    let mut ids: Vec<&Arc<str>> = editing.iter().filter(|r| r.then.drop).map(|r| &r.id).collect();
    ids.sort();
    route.drop = ids.first().map(|id| (*id).clone());
    for rule in editing {
        route.require_tls |= rule.then.require_tls;
        route.copies.extend(rule.then.copy_to.iter().cloned());
        route.redirect.extend(rule.then.redirect_to.iter().cloned());
        for party in facts.case.envelope.accepted() {
            let normal = party.address.normal();
            for (_, to) in rule.then.redirect.iter().filter(|(who, _)| who.contains(&normal)) {
                route.moved.push((normal.clone(), to.clone()));
            }
        }
    }
    for list in [&mut route.copies, &mut route.redirect] {
        list.sort_by_key(|a| a.normal());
        list.dedup_by_key(|a| a.normal());
    }
    route.moved.sort_by_key(|(from, to)| (from.clone(), to.normal()));
    route.moved.dedup_by(|a, b| a.0 == b.0);
    route
}

/// Tags of overrides that a council sender wrote: cut even where the rule would not have matched, since they are for us.
fn overrides(facts: &Facts<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let mut out: Vec<(Arc<str>, Arc<str>)> = Vec::new();
    for rule in facts.policy.rules.iter().filter(|r| r.mode == Mode::Enforce) {
        if let Some(name) = &rule.override_name
            && !out.iter().any(|(n, _)| n == name)
        {
            out.push((name.clone(), rule.id.clone()));
        }
    }
    if out.is_empty() || !facts.view().subject().contains('[') || !facts.is_council_sender() {
        return Vec::new();
    }
    out
}

pub(super) fn fill(facts: &Facts<'_>, rule: &Rule, template: &Template) -> String {
    template.fill(|fill| match fill {
        Fill::Count => {
            let number = if rule.then.hide_recipients.is_some() {
                Number::VisibleExternal
            } else {
                rule.when.first_number().unwrap_or(Number::VisibleExternal)
            };
            facts.number(number).to_string()
        }
        Fill::Subject => facts.view().subject().to_string(),
        Fill::Files => {
            let protection = facts.view().protection();
            let open: Vec<String> = protection.attachments.iter().filter(|(_, how)| how.is_err()).map(|(name, _)| clean(name)).collect();
            if open.is_empty() { "the message".into() } else { list(&open, 3) }
        }
        Fill::Domains => list(&facts.visible().external_domains(), 5),
        Fill::Direction => facts.direction().word().to_string(),
    })
}
