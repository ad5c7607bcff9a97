//! Judging: every rule, in no order; the strictest disposition wins, edits and notices add up, the least record wins.

use std::sync::Arc;

use super::condition::Number;
use super::explain::{because, clean};
use super::facts::Facts;
use super::judge;
use super::people::Class;
use super::readings;
use super::route::Route;
use super::rule::{ExemptFrom, Hiding, IfUnknown, Policy, Rule};
use super::say::{Fill, Template, list};
use super::truth::Truth;
use super::verdict::{Disposition, FieldEdit, Match, Mode, Notice, Person, RecordLevel, Verdict};
use crate::message::banner::{self, Placed};
use crate::message::reading::{Other, Others};
use crate::message::rewrite::{self, WhatIfToEmpty};
use crate::message::{EditPlan, View, subject};

/// Judges one message. Pure: the same facts give the same verdict, and the order of rules gives no other.
///
/// Where mail programs may read it in several ways, every reading is judged and the strictest of all stands: see [`readings`].
pub fn evaluate(policy: &Policy, facts: &Facts<'_>) -> Verdict {
    let mut judging = Judging::of(policy, facts);
    let others = readings::others(facts);
    for other in &others.readings {
        let seen = readings::seen_by(facts, other);
        let mut second = Judging::of(policy, &seen);
        second.say_who_reads_so(other);
        judging.join(second);
        facts.also_wants(seen.wants());
    }
    judging.malformed(&others);
    judging.finish(&others)
}

/// Why `rule` is not judged for this message; none if it is.
pub(super) fn exempt_reason(policy: &Policy, rule: &Rule, facts: &Facts<'_>) -> Option<String> {
    Exempts::new(policy, facts).reason(rule, facts).map(str::to_string)
}

/// The `[[exempt]]` tables that hold: judged before all rules.
#[derive(Default)]
struct Exempts<'p> {
    rules: Vec<&'p Arc<str>>,
    content: bool,
    record: Option<RecordLevel>,
}

impl<'p> Exempts<'p> {
    fn new(policy: &'p Policy, facts: &Facts<'_>) -> Exempts<'p> {
        let mut out = Exempts::default();
        // An exemption that cannot be told does not hold.
        for exempt in policy.exempts.iter().filter(|e| judge::holds(&e.when, facts).is_true()) {
            match &exempt.from {
                ExemptFrom::Rules(ids) => out.rules.extend(ids),
                ExemptFrom::Content => out.content = true,
                ExemptFrom::Nothing => {}
            }
            out.record = least(out.record, exempt.record);
        }
        out
    }

    fn reason(&self, rule: &Rule, facts: &Facts<'_>) -> Option<&'static str> {
        if rule.guards {
            return None;
        }
        if self.rules.iter().any(|id| **id == rule.id) || (self.content && rule.reads_content) {
            return Some("the message is exempt");
        }
        // FIELD "Flagged confidential": mail marked personal is not read by rules, but for malware.
        (rule.reads_content && facts.personal().is_some()).then_some("the message is marked personal, and the rule reads what people wrote")
    }
}

fn least(a: Option<RecordLevel>, b: Option<RecordLevel>) -> Option<RecordLevel> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

struct Judging<'p, 'f, 'a> {
    policy: &'p Policy,
    facts: &'f Facts<'a>,
    matches: Vec<Match>,
    /// Every disposition that a rule asks for.
    wanted: Vec<(Disposition, Arc<str>)>,
    /// Rules whose edits are to be made.
    editing: Vec<&'p Rule>,
    notices: Vec<Notice>,
    /// A rule wants the council's signature.
    sign: bool,
    record: Option<RecordLevel>,
    /// From rules that only observe: they may lower the record, not raise it.
    record_ceiling: Option<RecordLevel>,
    /// By exemption.
    exempt_record: Option<RecordLevel>,
    personal: bool,
}

impl<'p, 'f, 'a> Judging<'p, 'f, 'a> {
    fn new(policy: &'p Policy, facts: &'f Facts<'a>) -> Self {
        Judging {
            policy,
            facts,
            matches: Vec::new(),
            wanted: Vec::new(),
            editing: Vec::new(),
            notices: Vec::new(),
            sign: false,
            record: None,
            record_ceiling: None,
            exempt_record: None,
            personal: facts.personal().is_some(),
        }
    }

    /// Every rule held against one reading.
    fn of(policy: &'p Policy, facts: &'f Facts<'a>) -> Self {
        let mut judging = Judging::new(policy, facts);
        let exempts = Exempts::new(policy, facts);
        for rule in &policy.rules {
            if rule.mode == Mode::Off || exempts.reason(rule, facts).is_some() {
                continue;
            }
            match judge::matches(rule, facts) {
                // A rule that nothing here can judge is not judged; `check` says so.
                Truth::False | Truth::Absent(_) => {}
                Truth::True => judging.matched(rule),
                Truth::Unknown(why) => judging.unknown(rule, &why),
            }
        }
        judging.exempt_record = exempts.record;
        judging
    }

    fn say_who_reads_so(&mut self, other: &Other) {
        for found in &mut self.matches {
            found.because.push(format!("as a reader that {} sees it", other.reading));
        }
    }

    /// Takes in what another reading came to: whatever is stricter, and each rule once.
    fn join(&mut self, other: Judging<'p, '_, '_>) {
        for found in other.matches {
            match self.matches.iter_mut().find(|m| m.rule == found.rule) {
                // An override that another reader does not see is none.
                Some(mine) if mine.overridden.is_some() && found.overridden.is_none() => *mine = found,
                Some(_) => {}
                None => self.matches.push(found),
            }
        }
        self.wanted.extend(other.wanted);
        for rule in other.editing {
            if !self.editing.iter().any(|r| r.id == rule.id) {
                self.editing.push(rule);
            }
        }
        for notice in other.notices {
            if !self.notices.iter().any(|n| n.rule == notice.rule && n.to == notice.to) {
                self.notices.push(notice);
            }
        }
        self.record = least(self.record, other.record);
        self.record_ceiling = least(self.record_ceiling, other.record_ceiling);
        self.exempt_record = least(self.exempt_record, other.exempt_record);
        self.personal |= other.personal;
        self.sign |= other.sign;
    }

    /// What nobody can judge, or shall be refused unjudged. Only where a rule may refuse mail at all: the site's mode is a ceiling.
    fn malformed(&mut self, others: &Others) {
        if !self.policy.rules.iter().any(|r| r.mode == Mode::Enforce) {
            return;
        }
        let Some((text, because)) = readings::why_malformed(self.policy, self.facts.view(), others) else { return };
        let rule: Arc<str> = readings::MALFORMED.into();
        self.wanted.push((Disposition::Malformed { text: text.clone() }, rule.clone()));
        if let Some(to) = self.facts.sender_to_tell() {
            self.notices.push(Notice { person: Person::Sender, to, rule: rule.clone(), text, every: None });
        }
        self.matches.push(Match {
            rule,
            title: "Mail must say one thing to every reader".into(),
            mode: Mode::Enforce,
            clauses: Vec::new(),
            because,
            actions: vec!["reject"],
            overridden: None,
        });
    }

    /// The reason, where the sender is the council's and wrote the rule's override into the subject.
    fn override_reason(&self, rule: &Rule) -> Option<String> {
        let name = rule.override_name.as_ref().filter(|_| self.facts.is_council_sender())?;
        subject::override_reason(self.facts.view(), name)
    }

    fn matched(&mut self, rule: &'p Rule) {
        let overridden = self.override_reason(rule);
        let yields = overridden.is_some();
        self.matches.push(Match {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            mode: rule.mode,
            clauses: rule.clauses.clone(),
            because: because(rule, self.facts),
            actions: rule.then.words(),
            overridden,
        });
        if yields {
            return;
        }
        match rule.mode {
            Mode::Off => {}
            Mode::Observe => self.record_ceiling = least(self.record_ceiling, rule.then.record),
            Mode::Warn => {
                self.record_ceiling = least(self.record_ceiling, rule.then.record);
                if rule.then.stops() || rule.then.edits() || rule.then.routes() || !rule.then.notify.is_empty() {
                    let text = format!("{} (a trial: the message was delivered unchanged)", self.text(rule));
                    self.tell(rule, Person::Sender, text.clone());
                    for person in &rule.then.notify {
                        self.tell(rule, *person, text.clone());
                    }
                }
            }
            Mode::Enforce => self.enforce(rule),
        }
    }

    fn enforce(&mut self, rule: &'p Rule) {
        self.record = least(self.record, rule.then.record);
        self.sign |= rule.then.sign;
        if rule.then.edits() || rule.then.routes() {
            self.editing.push(rule);
        }
        let text = self.text(rule);
        for person in &rule.then.notify {
            self.tell(rule, *person, text.clone());
        }
        if let Some(template) = &rule.then.reject {
            self.wanted.push((Disposition::Reject { text: self.fill(rule, template) }, rule.id.clone()));
            // FIELD: a refusal is easily missed, so every council sender whose mail is refused is told.
            self.tell(rule, Person::Sender, text.clone());
        }
        if let Some(template) = &rule.then.defer {
            self.wanted.push((Disposition::Defer { text: self.fill(rule, template) }, rule.id.clone()));
        }
        if let Some(hold) = &rule.then.hold {
            self.wanted.push((Disposition::Hold { text: format!("Waiting for the {}: {}", hold.by.word(), rule.title) }, rule.id.clone()));
            self.tell(rule, Person::Sender, text);
        }
    }

    /// A fact that the rule needs could not be had. Only an enforced rule may stop mail for that.
    fn unknown(&mut self, rule: &'p Rule, why: &str) {
        if rule.mode != Mode::Enforce || rule.if_unknown == IfUnknown::Skip || self.override_reason(rule).is_some() {
            return;
        }
        let (disposition, action) = match rule.if_unknown {
            IfUnknown::Hold => (Disposition::Hold { text: format!("Waiting, since it could not be checked: {}", rule.title) }, "hold"),
            _ => (Disposition::Defer { text: "It could not be checked just now. It is tried again by itself.".into() }, "defer"),
        };
        self.wanted.push((disposition, rule.id.clone()));
        self.matches.push(Match {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            mode: rule.mode,
            clauses: rule.clauses.clone(),
            because: vec![format!("it cannot be told: {why}")],
            actions: vec![action],
            overridden: None,
        });
    }

    fn finish(mut self, others: &Others) -> Verdict {
        let (mut disposition, mut decided_by) = strictest(std::mem::take(&mut self.wanted));
        // Two tags, banners or added fields stand in the order of their rules' ids: order of files must not decide.
        self.editing.sort_by(|a, b| a.id.cmp(&b.id));
        let mut plan = EditPlan::new();
        let mut edits = Vec::new();
        let mut route = Route::default();
        if disposition_leaves(&disposition) {
            self.edit(&mut plan, &mut edits, others);
            if let Some(rule) = self.editing.iter().copied().find(|r| r.then.hide_recipients.is_some())
                && !others.readings.is_empty()
                && readings::still_shows(self.facts, &plan)
            {
                // Hidden from one program and shown by another is not hidden.
                let text = "Not sent: its recipients cannot be hidden from every mail program. Write it anew, then resend.".to_string();
                self.tell(rule, Person::Sender, text.clone());
                (disposition, decided_by) = (Disposition::Malformed { text }, Some(rule.id.clone()));
                plan = EditPlan::new();
                edits.clear();
            } else {
                route = self.route();
            }
        }
        // A signature that a change has broken is made anew, whether a rule asks or not; on mx a council author may be anybody.
        let resigned = edits.iter().any(|e| e.field == "DKIM-Signature");
        let sign = (self.sign || resigned) && disposition_leaves(&disposition) && self.facts.is_council_sender();
        let split = !plan.is_untouched() && self.editing.iter().any(|r| r.then.hide_recipients == Some(Hiding::Split));
        let judged = !self.policy.rules.is_empty();
        let personal = self.personal;
        let mut record = self.record.unwrap_or(RecordLevel::Metadata);
        for ceiling in [self.record_ceiling, self.exempt_record, personal.then_some(RecordLevel::Count)].into_iter().flatten() {
            record = record.min(ceiling);
        }
        Verdict {
            disposition,
            decided_by,
            matches: self.matches,
            plan,
            edits,
            sign,
            route,
            split,
            notices: self.notices,
            record,
            personal,
            facts: if judged { self.facts.summary(false) } else { Default::default() },
            automatic: self.facts.automatic().is_some(),
        }
    }

    /// All edits of all rules. Addresses are hidden once, however many rules ask.
    fn edit(&self, plan: &mut EditPlan, edits: &mut Vec<FieldEdit>, others: &Others) {
        let view = self.facts.view();
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
        if let Some(rule) = self.editing.iter().rev().max_by_key(|r| r.then.hide_recipients).filter(|r| r.then.hide_recipients.is_some()) {
            let keep = |mailbox: &crate::message::Mailbox| !self.policy.classify(&mailbox.normal()).is_stranger();
            let hidden = rewrite::hide_recipients(view, &keep, WhatIfToEmpty::default(), plan);
            for field in &hidden.fields {
                note(field, &rule.id, edits);
            }
            // Another reader may find recipient fields where we see none.
            for other in others.readings.iter().filter(|o| o.octets.is_none()) {
                let seen = View::read_as(view.raw(), other.reading.clone());
                for field in &rewrite::hide_recipients(&seen, &keep, WhatIfToEmpty::default(), plan).fields {
                    note(field, &rule.id, edits);
                }
            }
        }
        for (name, rule) in self.overrides() {
            if rewrite::cut_override(view, &name, plan).is_some() {
                note("Subject", &rule, edits);
            }
        }
        for rule in &self.editing {
            let mut tag = rule.then.tag_subject.as_deref();
            if let Some(banner) = &rule.then.banner {
                match banner::place(view, &self.fill(rule, &banner.text), plan) {
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
        for rule in &self.editing {
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
        for rule in &self.editing {
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
            && rewrite::remove_dkim(view, &changed, &self.policy.council.domains, plan) > 0
        {
            edits.push(FieldEdit { field: "DKIM-Signature".into(), rule: first });
        }
    }

    /// What all rules together do to the envelope. Order of files must not decide, so that each list is in the order of its addresses.
    fn route(&self) -> Route {
        let mut route = Route::default();
        let mut ids: Vec<&Arc<str>> = self.editing.iter().filter(|r| r.then.drop).map(|r| &r.id).collect();
        ids.sort();
        route.drop = ids.first().map(|id| (*id).clone());
        for rule in &self.editing {
            route.require_tls |= rule.then.require_tls;
            route.copies.extend(rule.then.copy_to.iter().cloned());
            route.redirect.extend(rule.then.redirect_to.iter().cloned());
            for party in self.facts.case.envelope.accepted() {
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
    fn overrides(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut out: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for rule in self.policy.rules.iter().filter(|r| r.mode == Mode::Enforce) {
            if let Some(name) = &rule.override_name
                && !out.iter().any(|(n, _)| n == name)
            {
                out.push((name.clone(), rule.id.clone()));
            }
        }
        if out.is_empty() || !self.facts.view().subject().contains('[') || !self.facts.is_council_sender() {
            return Vec::new();
        }
        out
    }

    fn tell(&mut self, rule: &Rule, person: Person, text: String) {
        let to = match person {
            Person::Sender => self.facts.sender_to_tell(),
            Person::Clerk => self.policy.council.clerk.clone(),
            Person::Chair => self.policy.council.chair.clone(),
        };
        let Some(to) = to else { return };
        if !self.notices.iter().any(|n| n.rule == rule.id && n.to == to) {
            self.notices.push(Notice { person, to, rule: rule.id.clone(), text, every: rule.then.notify_every });
        }
    }

    /// What people are told: the rule's `say`, else the words of its refusal, else its title.
    fn text(&self, rule: &Rule) -> String {
        match rule.say.as_ref().or(rule.then.reject.as_ref()).or(rule.then.defer.as_ref()) {
            Some(template) => self.fill(rule, template),
            None => rule.title.to_string(),
        }
    }

    fn fill(&self, rule: &Rule, template: &Template) -> String {
        template.fill(|fill| match fill {
            Fill::Count => {
                let number = if rule.then.hide_recipients.is_some() {
                    Number::VisibleExternal
                } else {
                    rule.when.first_number().unwrap_or(Number::VisibleExternal)
                };
                self.facts.number(number).to_string()
            }
            Fill::Subject => self.facts.view().subject().to_string(),
            Fill::Files => {
                let protection = self.facts.view().protection();
                let open: Vec<String> =
                    protection.attachments.iter().filter(|(_, how)| how.is_err()).map(|(name, _)| clean(name)).collect();
                if open.is_empty() { "the message".into() } else { list(&open, 3) }
            }
            Fill::Domains => list(&self.facts.visible().external_domains(), 5),
            Fill::Direction => self.facts.direction().word().to_string(),
        })
    }
}

/// The strictest, and of equals the rule whose id comes first in the alphabet: order of files must not decide.
fn strictest(mut wanted: Vec<(Disposition, Arc<str>)>) -> (Disposition, Option<Arc<str>>) {
    wanted.sort_by(|(a, x), (b, y)| b.strictness().cmp(&a.strictness()).then_with(|| x.cmp(y)));
    match wanted.into_iter().next() {
        Some((disposition, rule)) => (disposition, Some(rule)),
        None => (Disposition::Deliver, None),
    }
}

/// Whether the message goes on, now or when somebody releases it.
fn disposition_leaves(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Deliver | Disposition::Hold { .. })
}

/// Classes of the recipients that were accepted, for the record's counts.
pub fn recipient_classes(policy: &Policy, facts: &Facts<'_>) -> Vec<Class> {
    facts.case.envelope.accepted().map(|r| policy.classify(&r.address.normal())).collect()
}
