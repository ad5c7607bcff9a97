//! Byte surgery on recipient fields: hiding addresses from one another (RFC 5322 §3.6.3).

use super::{EditPlan, Mailbox, View};

/// What stands in a `To` that would be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhatIfToEmpty {
    #[default]
    UndisclosedRecipients,
    /// The sender's own address.
    Sender,
}

/// What was hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Distinct addresses taken out of sight.
    pub count: usize,
    /// The fields that changed, by name, each once.
    pub fields: Vec<String>,
}

/// Takes the mailboxes that `keep` refuses out of every field that shows recipients.
pub fn hide_recipients(view: &View<'_>, keep: &dyn Fn(&Mailbox) -> bool, if_empty: WhatIfToEmpty, plan: &mut EditPlan) -> Hidden {
    let _ = (view, keep, if_empty, plan);
    Hidden::default()
}

/// Removes the DKIM signatures of `own_domains` that cover a changed field; says how many.
pub fn remove_dkim(view: &View<'_>, changed_fields: &[String], own_domains: &[String], plan: &mut EditPlan) -> usize {
    let _ = (view, changed_fields, own_domains, plan);
    0
}

pub use super::subject::{cut_override, tag_subject};
