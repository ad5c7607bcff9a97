//! The message as it leaves: slices of the received octets with the edits' octets between them.
//!
//! Property: the output with the edits' octets taken out equals the input with the same ranges taken out.

use super::{EditPlan, RawMessage};

/// Slices that, one after another, are the message to send (not dot-stuffed).
pub struct Splice<'a> {
    slices: Vec<&'a [u8]>,
}

impl<'a> Splice<'a> {
    /// Untouched octets are borrowed from `message`, replacements from `plan`.
    pub fn apply(message: &'a RawMessage, plan: &'a EditPlan) -> Splice<'a> {
        let bytes = message.as_bytes();
        let mut slices = Vec::with_capacity(plan.edits().len() * 2 + 2);
        let mut push = |slice: &'a [u8]| {
            if !slice.is_empty() {
                slices.push(slice);
            }
        };
        push(plan.prefix_bytes());
        let mut from = 0;
        for edit in plan.edits() {
            push(&bytes[from..edit.range.start]);
            push(&edit.with);
            from = edit.range.end;
        }
        push(&bytes[from..]);
        Splice { slices }
    }

    pub fn slices(&self) -> &[&'a [u8]] {
        &self.slices
    }

    pub fn len(&self) -> usize {
        self.slices.iter().map(|s| s.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    pub fn to_vec(&self) -> Vec<u8> {
        self.slices.concat()
    }
}
