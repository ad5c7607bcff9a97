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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The output without the edits' octets is the input without the edited ranges.
        #[test]
        fn only_what_is_edited_changes(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            prefix in proptest::collection::vec(any::<u8>(), 0..20),
            edits in proptest::collection::vec((0usize..220, 0usize..30, proptest::collection::vec(any::<u8>(), 0..10)), 0..12),
        ) {
            let message = RawMessage::new(bytes.clone());
            let mut plan = EditPlan::new();
            plan.prefix(&prefix);
            for (start, length, with) in edits {
                let start = start.min(bytes.len());
                let _ = plan.edit(start..(start + length).min(bytes.len()), with);
            }
            let out = Splice::apply(&message, &plan).to_vec();
            let (mut left, mut expected) = (Vec::new(), Vec::new());
            let (mut at, mut from) = (prefix.len(), 0);
            prop_assert_eq!(&out[..at], &prefix[..]);
            for edit in plan.edits() {
                prop_assert!(edit.range.start >= from);
                let gap = edit.range.start - from;
                left.extend_from_slice(&out[at..at + gap]);
                expected.extend_from_slice(&bytes[from..edit.range.start]);
                at += gap;
                prop_assert_eq!(&out[at..at + edit.with.len()], &edit.with[..]);
                at += edit.with.len();
                from = edit.range.end;
            }
            left.extend_from_slice(&out[at..]);
            expected.extend_from_slice(&bytes[from..]);
            prop_assert_eq!(left, expected);
            prop_assert_eq!(Splice::apply(&message, &plan).len(), out.len());
        }
    }

    #[test]
    fn an_insertion_may_stand_before_a_replacement() {
        let message = RawMessage::new(b"0123456789".to_vec());
        for order in [[0, 1], [1, 0]] {
            let mut plan = EditPlan::new();
            for i in order {
                match i {
                    0 => plan.edit(3..3, *b"x").unwrap(),
                    _ => plan.edit(3..5, *b"y").unwrap(),
                }
            }
            assert_eq!(Splice::apply(&message, &plan).to_vec(), b"012xy56789");
        }
    }

    #[test]
    fn overlaps_are_refused() {
        let mut plan = EditPlan::new();
        plan.edit(3..6, *b"x").unwrap();
        assert!(plan.edit(3..6, *b"x").is_ok());
        for range in [3..6, 2..4, 5..7, 4..5, 0..9, 4..4] {
            assert!(plan.edit(range.clone(), *b"y").is_err(), "{range:?}");
        }
        assert!(plan.edit(6..7, *b"z").is_ok());
        assert!(plan.edit(0..3, *b"w").is_ok());
    }
}
