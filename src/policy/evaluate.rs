//! Judging: every rule, in no order; the strictest disposition wins, edits and notices add up, the least record wins.

use std::sync::Arc;

use super::condition::Marking;
use super::facts::Facts;
use super::judge;
use super::missing::Missing;
use super::people::Class;
use super::readings;
use super::route::Route;
use super::rule::{ExemptFrom, HELD_FOR, Hiding, IfUnknown, Policy, Rule};
use super::subject::{Edited, Subject};
use super::truth::{Known, Truth};
use super::verdict::{Disposition, Held, Match, Mode, Notice, OpenRule, Person, RecordLevel, Verdict};
use crate::message::EditPlan;
use crate::message::reading::Other;

/// Judges a message, or what the record kept of one. Pure: the same facts give the same verdict, and the order of rules gives no other.
///
/// Where mail programs may read it in several ways, every reading is judged and the strictest of all stands: see [`readings`].
pub fn evaluate<S: Subject>(policy: &Policy, subject: &S) -> Verdict {
    let mut rulings = Rulings::of(policy, subject);
    let others = subject.others();
    subject.judge_others(policy, &others, &mut |second| rulings.join(second));
    rulings.malformed(policy, subject, &others);
    rulings.finish(policy, subject, &others)
}

/// Why `rule` is not judged for this message; none if it is.
pub(super) fn exempt_reason(policy: &Policy, rule: &Rule, facts: &Facts<'_>) -> Option<String> {
    match Exempts::new(policy, facts).exempt(rule, facts) {
        Exempted::Yes(why) => Some(why.to_string()),
        Exempted::No | Exempted::Open(_) => None,
    }
}

/// The `[[exempt]]` tables that hold: judged before all rules.
#[derive(Default)]
struct Exempts<'p> {
    rules: Vec<&'p Arc<str>>,
    content: bool,
    record: Option<RecordLevel>,
    /// Those of which a record does not tell whether they hold.
    open: Vec<(&'p ExemptFrom, Missing)>,
}

/// Whether a rule is not judged for this message.
enum Exempted {
    No,
    Yes(&'static str),
    Open(Missing),
}

impl<'p> Exempts<'p> {
    fn new<S: Subject>(policy: &'p Policy, subject: &S) -> Exempts<'p> {
        let mut out = Exempts::default();
        for exempt in &policy.exempts {
            match judge::holds(&exempt.when, subject) {
                Truth::True => {
                    match &exempt.from {
                        ExemptFrom::Rules(ids) => out.rules.extend(ids),
                        ExemptFrom::Content => out.content = true,
                        ExemptFrom::Nothing => {}
                    }
                    out.record = least(out.record, exempt.record);
                }
                Truth::Open(missing) => out.open.push((&exempt.from, missing)),
                // An exemption that cannot be told does not hold.
                Truth::False | Truth::Unknown(_) | Truth::Absent(_) => {}
            }
        }
        out
    }

    fn exempt<S: Subject>(&self, rule: &Rule, subject: &S) -> Exempted {
        if rule.guards {
            return Exempted::No;
        }
        if self.rules.iter().any(|id| **id == rule.id) || (self.content && rule.reads_content) {
            return Exempted::Yes("the message is exempt");
        }
        // FIELD "Flagged confidential": mail marked personal is not read by rules, but for malware.
        if rule.reads_content && subject.is_marked(Marking::Personal) == Ok(true) {
            return Exempted::Yes("the message is marked personal, and the rule reads what people wrote");
        }
        let concerns = |from: &ExemptFrom| match from {
            ExemptFrom::Rules(ids) => ids.contains(&rule.id),
            ExemptFrom::Content => rule.reads_content,
            ExemptFrom::Nothing => false,
        };
        self.open.iter().find(|(from, _)| concerns(from)).map_or(Exempted::No, |(_, missing)| Exempted::Open(*missing))
    }
}

fn least(a: Option<RecordLevel>, b: Option<RecordLevel>) -> Option<RecordLevel> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// What all rules say of one reading, or of all readings together.
pub struct Rulings<'p> {
    matches: Vec<Match>,
    /// Every disposition that a rule asks for.
    wanted: Vec<(Disposition, Arc<str>)>,
    /// Rules whose edits are to be made.
    editing: Vec<&'p Rule>,
    notices: Vec<Notice>,
    /// Rules of which a record does not tell whether they match.
    open: Vec<OpenRule>,
    /// A rule wants the council's signature.
    sign: bool,
    record: Option<RecordLevel>,
    /// From rules that only observe: they may lower the record, not raise it.
    record_ceiling: Option<RecordLevel>,
    /// By exemption.
    exempt_record: Option<RecordLevel>,
    personal: bool,
}

impl<'p> Rulings<'p> {
    /// Every rule held against one reading.
    pub(super) fn of<S: Subject>(policy: &'p Policy, subject: &S) -> Rulings<'p> {
        let mut out = Rulings {
            matches: Vec::new(),
            wanted: Vec::new(),
            editing: Vec::new(),
            notices: Vec::new(),
            open: Vec::new(),
            sign: false,
            record: None,
            record_ceiling: None,
            exempt_record: None,
            personal: subject.is_marked(Marking::Personal) == Ok(true),
        };
        let exempts = Exempts::new(policy, subject);
        for rule in &policy.rules {
            if rule.mode == Mode::Off {
                continue;
            }
            let exempted = match exempts.exempt(rule, subject) {
                Exempted::Yes(_) => continue,
                Exempted::No => None,
                Exempted::Open(missing) => Some(missing),
            };
            match (judge::matches(rule, subject), exempted) {
                // A rule that nothing here can judge is not judged; `check` says so.
                (Truth::False | Truth::Absent(_), _) => {}
                (Truth::True | Truth::Unknown(_), Some(missing)) | (Truth::Open(missing), _) => out.open(rule, missing),
                (Truth::True, None) => out.matched(policy, rule, subject),
                (Truth::Unknown(why), None) => out.unknown(rule, &why, subject),
            }
        }
        out.exempt_record = exempts.record;
        out
    }

    pub(super) fn say_who_reads_so(&mut self, other: &Other) {
        for found in &mut self.matches {
            found.because.push(format!("as a reader that {} sees it", other.reading));
        }
    }

    /// Takes in what another reading came to: whatever is stricter, and each rule once.
    fn join(&mut self, other: Rulings<'p>) {
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
        for open in other.open {
            if !self.open.iter().any(|o| o.rule == open.rule) {
                self.open.push(open);
            }
        }
        self.record = least(self.record, other.record);
        self.record_ceiling = least(self.record_ceiling, other.record_ceiling);
        self.exempt_record = least(self.exempt_record, other.exempt_record);
        self.personal |= other.personal;
        self.sign |= other.sign;
    }

    /// What nobody can judge, or shall be refused unjudged. Only where a rule may refuse mail at all: the site's mode is a ceiling.
    fn malformed<S: Subject>(&mut self, policy: &Policy, subject: &S, others: &S::Others) {
        if !policy.rules.iter().any(|r| r.mode == Mode::Enforce) {
            return;
        }
        let Some((text, because)) = subject.why_malformed(policy, others) else { return };
        let rule: Arc<str> = readings::MALFORMED.into();
        self.wanted.push((Disposition::Malformed { text: text.clone() }, rule.clone()));
        if let Some(to) = subject.sender_to_tell() {
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

    fn open(&mut self, rule: &'p Rule, missing: Missing) {
        self.open.push(OpenRule { rule: rule.id.clone(), missing });
    }

    fn matched<S: Subject>(&mut self, policy: &Policy, rule: &'p Rule, subject: &S) {
        let overridden = match override_reason(rule, subject) {
            Ok(overridden) => overridden,
            Err(Truth::Open(missing)) => return self.open(rule, missing),
            Err(_) => None,
        };
        let yields = overridden.is_some();
        self.matches.push(Match {
            rule: rule.id.clone(),
            title: rule.title.clone(),
            mode: rule.mode,
            clauses: rule.clauses.clone(),
            because: subject.because(rule),
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
                    let text = format!("{} (a trial: the message was delivered unchanged)", text(rule, subject));
                    self.tell(policy, rule, Person::Sender, text.clone(), subject);
                    for person in &rule.then.notify {
                        self.tell(policy, rule, *person, text.clone(), subject);
                    }
                }
            }
            Mode::Enforce => self.enforce(policy, rule, subject),
        }
    }

    fn enforce<S: Subject>(&mut self, policy: &Policy, rule: &'p Rule, subject: &S) {
        self.record = least(self.record, rule.then.record);
        self.sign |= rule.then.sign;
        if rule.then.edits() || rule.then.routes() {
            self.editing.push(rule);
        }
        let text = text(rule, subject);
        for person in &rule.then.notify {
            self.tell(policy, rule, *person, text.clone(), subject);
        }
        if let Some(template) = &rule.then.reject {
            self.wanted.push((Disposition::Reject { text: subject.fill(rule, template) }, rule.id.clone()));
            // FIELD: a refusal is easily missed, so every council sender whose mail is refused is told.
            self.tell(policy, rule, Person::Sender, text.clone(), subject);
        }
        if let Some(template) = &rule.then.defer {
            self.wanted.push((Disposition::Defer { text: subject.fill(rule, template) }, rule.id.clone()));
        }
        if let Some(hold) = &rule.then.hold {
            let held = Held { by: vec![hold.by], within: hold.within, release: hold.release };
            self.wanted
                .push((Disposition::Hold { text: format!("Waiting for the {}: {}", hold.by.word(), rule.title), held }, rule.id.clone()));
            self.tell(policy, rule, Person::Sender, text.clone(), subject);
            self.tell(policy, rule, hold.by, text, subject);
        }
    }

    /// A fact that the rule needs could not be had. Only an enforced rule may stop mail for that.
    fn unknown<S: Subject>(&mut self, rule: &'p Rule, why: &str, subject: &S) {
        if rule.mode != Mode::Enforce || rule.if_unknown == IfUnknown::Skip {
            return;
        }
        match override_reason(rule, subject) {
            Ok(Some(_)) => return,
            Err(Truth::Open(missing)) => return self.open(rule, missing),
            Ok(None) | Err(_) => {}
        }
        let (disposition, action) = match rule.if_unknown {
            IfUnknown::Hold => {
                // Nobody but the Clerk can say what the scanner or the DNS could not.
                let held = Held { by: vec![Person::Clerk], within: HELD_FOR, release: false };
                (Disposition::Hold { text: format!("Waiting, since it could not be checked: {}", rule.title), held }, "hold")
            }
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

    fn finish<S: Subject>(mut self, policy: &Policy, subject: &S, others: &S::Others) -> Verdict {
        let (mut disposition, mut decided_by) = strictest(std::mem::take(&mut self.wanted));
        // Two tags, banners or added fields stand in the order of their rules' ids: order of files must not decide.
        self.editing.sort_by(|a, b| a.id.cmp(&b.id));
        let mut plan = EditPlan::new();
        let mut edits = Vec::new();
        let mut route = Route::default();
        if disposition_leaves(&disposition) {
            match subject.edit(policy, &self.editing, others) {
                Edited::Made { plan: made, edits: all } => {
                    (plan, edits) = (made, all);
                    route = subject.route(&self.editing);
                }
                Edited::StillShown => {
                    // Hidden from one program and shown by another is not hidden.
                    let hides = self.editing.iter().copied().find(|r| r.then.hide_recipients.is_some());
                    let text = "Not sent: its recipients cannot be hidden from every mail program. Write it anew, then resend.".to_string();
                    if let Some(rule) = hides {
                        self.tell(policy, rule, Person::Sender, text.clone(), subject);
                    }
                    (disposition, decided_by) = (Disposition::Malformed { text }, hides.map(|rule| rule.id.clone()));
                }
            }
        }
        // A signature that a change has broken is made anew, whether a rule asks or not; on mx a council author may be anybody.
        let resigned = edits.iter().any(|e| e.field == "DKIM-Signature");
        let sign = (self.sign || resigned) && disposition_leaves(&disposition) && subject.is_council_sender() == Ok(true);
        let split = !plan.is_untouched() && self.editing.iter().any(|r| r.then.hide_recipients == Some(Hiding::Split));
        let chooses = matches!(&disposition, Disposition::Hold { held, .. } if held.by.contains(&Person::Sender));
        let alternatives = if split || chooses { subject.alternatives(&self.editing, others) } else { Default::default() };
        let judged = !policy.rules.is_empty();
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
            alternatives,
            notices: self.notices,
            open: self.open,
            record,
            personal,
            facts: if judged { subject.summary() } else { Default::default() },
            automatic: matches!(subject.automatic(), Ok(Some(_))),
        }
    }

    fn tell<S: Subject>(&mut self, policy: &Policy, rule: &Rule, person: Person, text: String, subject: &S) {
        let to = match person {
            Person::Sender => subject.sender_to_tell(),
            Person::Clerk => policy.council.clerk.clone(),
            Person::Chair => policy.council.chair.clone(),
        };
        let Some(to) = to else { return };
        if !self.notices.iter().any(|n| n.rule == rule.id && n.to == to) {
            self.notices.push(Notice { person, to, rule: rule.id.clone(), text, every: rule.then.notify_every });
        }
    }
}

/// The reason, where the sender is the council's and wrote the rule's override into the subject.
fn override_reason<S: Subject>(rule: &Rule, subject: &S) -> Known<Option<String>> {
    rule.override_name.as_ref().map_or(Ok(None), |name| subject.override_reason(name))
}

/// What people are told: the rule's `say`, else the words of its refusal, else its title.
fn text<S: Subject>(rule: &Rule, subject: &S) -> String {
    match rule.say.as_ref().or(rule.then.reject.as_ref()).or(rule.then.defer.as_ref()) {
        Some(template) => subject.fill(rule, template),
        None => rule.title.to_string(),
    }
}

/// The strictest, and of equals the rule whose id comes first in the alphabet: order of files must not decide.
fn strictest(mut wanted: Vec<(Disposition, Arc<str>)>) -> (Disposition, Option<Arc<str>>) {
    wanted.sort_by(|(a, x), (b, y)| b.strictness().cmp(&a.strictness()).then_with(|| x.cmp(y)));
    let mut wanted = wanted.into_iter();
    match wanted.next() {
        Some((mut disposition, rule)) => {
            if let Disposition::Hold { held, .. } = &mut disposition {
                // Those that are milder than a hold ask for nothing.
                for (other, _) in wanted {
                    if let Disposition::Hold { held: other, .. } = other {
                        held.join(&other);
                    }
                }
            }
            (disposition, Some(rule))
        }
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
