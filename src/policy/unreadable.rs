//! What becomes of a condition on text where some of the text could not be read: a broken document, a bomb, a format unknown here.
//!
//! By itself such a file changes nothing: a rule that stops mail must not answer 451 for ever because a councillor's spreadsheet is
//! damaged, and what is not found is not there. A rule that says `if-unknown` asked to hear of it: for that rule the condition is
//! unknown where it found too little and could have found more. Every rule may ask for it by name: `unknown = ["text"]`.

use std::sync::Arc;

use super::condition::{Condition, Span};
use super::explain::clean;
use super::facts::Facts;
use super::judge;
use super::subject::Subject;
use super::truth::Truth;

/// `condition` with every part of it that `reads` the text inside attachments made heedful of what could not be read.
pub fn heeding(condition: Condition, reads: &dyn Fn(&Condition) -> bool) -> Condition {
    let each = |all: Vec<Condition>| all.into_iter().map(|c| heeding(c, reads)).collect();
    match condition {
        Condition::All(all) => Condition::All(each(all)),
        Condition::Any(all) => Condition::Any(each(all)),
        Condition::Not(one) => Condition::Not(Box::new(heeding(*one, reads))),
        Condition::Is(name, one) => Condition::Is(name, Arc::new(heeding((*one).clone(), reads))),
        one if reads(&one) => Condition::IfReadable(Box::new(one)),
        other => other,
    }
}

/// Whether `condition` holds, or nobody can tell.
pub(super) fn judge<S: Subject>(condition: &Condition, subject: &S) -> Truth {
    let truth = judge::holds(condition, subject);
    // More text can only mean more hits.
    let could_change = match condition {
        Condition::Number(number, span) => subject.number(*number).map(|n| could_change(*span, n)),
        Condition::Identifiers { kinds, count } => subject.identifiers(kinds).map(|n| could_change(*count, n)),
        _ => Ok(truth == Truth::False),
    };
    match could_change {
        Ok(true) => match subject.unreadable() {
            Ok(Some(why)) => Truth::unknown(&why),
            Ok(None) => truth,
            Err(open) => open,
        },
        Ok(false) | Err(_) => truth,
    }
}

/// Whether a count that can only grow may come to the other side of `span`.
fn could_change(span: Span, n: u64) -> bool {
    if n < span.at_least { true } else { n <= span.at_most && span.at_most != u64::MAX }
}

/// What could not be read, masked; none if all could.
pub(super) fn why(facts: &Facts<'_>) -> Option<String> {
    let files = &facts.view().documents().unreadable;
    let said: Vec<String> = files.iter().take(3).map(|u| format!("{} could not be read: {}", clean(&u.name), u.why)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The second opinion counts on: is there any larger number that would be judged otherwise?
        #[test]
        fn a_count_can_only_grow(at_least in 0u64..6, more in 0u64..6, open: bool, n in 0u64..12) {
            let span = Span { at_least, at_most: if open { u64::MAX } else { at_least + more } };
            let other = (n..40).any(|larger| span.holds(larger) != span.holds(n));
            prop_assert_eq!(could_change(span, n), other);
        }
    }
}
