//! Which of its own questions a policy has answered for the record.
//!
//! No word of a subject or body is kept. But whether it had the words of a rule that was in force may be: other rules with the same
//! words can then be judged, however they differ otherwise.

use super::condition::{Condition, PatternUse};
use super::pattern::digest;
use super::rule::Policy;

/// The questions of a policy's rules whose answers are kept, each once.
#[derive(Clone, Debug, Default)]
pub struct Remembers {
    pub words: Vec<(u32, PatternUse)>,
    pub fields: Vec<(u32, std::sync::Arc<str>)>,
    pub overrides: Vec<(u32, std::sync::Arc<str>)>,
    /// Of the lists that decide whom the council trusts and who writes from an account of their own.
    pub lists: u32,
}

impl Remembers {
    pub fn of(policy: &Policy) -> Remembers {
        let mut out = Remembers::default();
        let rules = policy.rules.iter().flat_map(|r| std::iter::once(&r.when).chain(&r.unless));
        for condition in rules.chain(policy.exempts.iter().map(|e| &e.when)) {
            out.collect(condition, policy);
        }
        for name in policy.rules.iter().filter_map(|r| r.override_name.as_ref()) {
            let id = digest("override", name.as_bytes());
            if !out.overrides.iter().any(|(known, _)| *known == id) {
                out.overrides.push((id, name.clone()));
            }
        }
        out.lists = digest("lists", [policy.partners.digest(), policy.consumer.digest()].as_flattened());
        out
    }

    fn collect(&mut self, condition: &Condition, policy: &Policy) {
        match condition {
            Condition::All(each) | Condition::Any(each) => each.iter().for_each(|c| self.collect(c, policy)),
            Condition::Not(one) | Condition::IfReadable(one) => self.collect(one, policy),
            Condition::Is(_, one) => self.collect(one, policy),
            Condition::Pattern(used) => {
                let Some(set) = policy.patterns.get(used.set) else { return };
                let id = question(set.digest(&used.patterns));
                if !self.words.iter().any(|(_, known)| known == used) {
                    self.words.push((id, used.clone()));
                }
            }
            Condition::HeaderPresent(name, _) => {
                let id = question(digest("field", name.to_ascii_lowercase().as_bytes()));
                if !self.fields.iter().any(|(known, _)| *known == id) {
                    self.fields.push((id, name.clone()));
                }
            }
            _ => {}
        }
    }

    /// What stands for that question; none if no rule asks it.
    pub fn word(&self, used: &PatternUse) -> Option<u32> {
        self.words.iter().find(|(_, known)| known == used).map(|(id, _)| *id)
    }

    pub fn field(&self, name: &str) -> Option<u32> {
        self.fields.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(id, _)| *id)
    }

    pub fn override_tag(&self, name: &str) -> Option<u32> {
        self.overrides.iter().find(|(_, known)| **known == *name).map(|(id, _)| *id)
    }
}

/// What stands for a question leaves room for its answer in the lowest bit.
fn question(digest: u32) -> u32 {
    digest & !1
}
