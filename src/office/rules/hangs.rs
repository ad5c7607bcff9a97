//! What else hangs on a rule: clauses of the policy, and papers that say what the rules do.

use jiff::Timestamp;

use crate::config::Settings;
use crate::documents::{self, Kind, Live};
use crate::policy::adopted::coverage::{State, coverage};
use crate::policy::{Mode, Policy};

/// Clauses that nothing enforces any more if this rule does not: by this rule alone they are enforced now.
pub fn clauses(policy: &Policy, id: &str) -> Vec<String> {
    let all = coverage(policy);
    let enforced = all.iter().filter(|c| c.state == State::Enforced);
    let only = enforced.filter(|c| {
        let mut works = c.rules.iter().filter_map(|(_, rule)| *rule).filter(|r| r.mode == Mode::Enforce);
        works.next().is_some_and(|r| *r.id == *id) && works.next().is_none()
    });
    only.map(|c| c.clause.id.to_string()).collect()
}

/// Papers that say something else by these settings than by those.
pub fn papers(old: &Settings, new: &Settings, now: Timestamp) -> Vec<Kind> {
    let live = Live { today: now.to_zoned(old.time_zone.clone()).date(), ..Live::default() };
    let differs = |kind: &Kind| documents::make(*kind, old, &live).mark() != documents::make(*kind, new, &live).mark();
    Kind::ALL.into_iter().filter(differs).collect()
}
