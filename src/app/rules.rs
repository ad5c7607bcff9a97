//! How the rules that are in force are told.

use crate::observe::{Metrics, Part, PartState};

/// Tells `/health` and the log of rules that are not all that they should be: what was changed at the desk may be left out.
pub(super) fn are(metrics: &Metrics, left_out: Option<&str>) {
    metrics.health().set(Part::Rules, if left_out.is_some() { PartState::Degraded } else { PartState::Ok });
    if let Some(why) = left_out {
        tracing::error!(event = "desk_left_out", "the operator's own rules are in force, without what was changed at the desk: {why}");
    }
}
