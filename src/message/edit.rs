//! What is to be changed in a message, as replacements of byte ranges in the received octets.

use std::ops::Range;

/// One replacement. `range` may be empty (an insertion) and `with` may be empty (a removal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub with: Vec<u8>,
}

/// Edits in order of position that do not overlap, and what goes in front of everything (the Received field).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditPlan {
    prefix: Vec<u8>,
    edits: Vec<Edit>,
}

/// Two edits want the same octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two edits overlap at octet {0}")]
pub struct Overlap(pub usize);

impl EditPlan {
    pub fn new() -> EditPlan {
        EditPlan::default()
    }

    /// Puts whole header fields, each ended by CRLF, in front of the message.
    pub fn prefix(&mut self, fields: &[u8]) {
        self.prefix.extend_from_slice(fields);
    }

    /// Adds an edit in its place. Errors if its octets are already edited; an identical edit is taken once.
    pub fn edit(&mut self, range: Range<usize>, with: impl Into<Vec<u8>>) -> Result<(), Overlap> {
        let edit = Edit { range, with: with.into() };
        let at = self.edits.partition_point(|e| (e.range.start, e.range.end) < (edit.range.start, edit.range.end));
        if self.edits.get(at) == Some(&edit) {
            return Ok(());
        }
        let before = at.checked_sub(1).and_then(|i| self.edits.get(i));
        if before.is_some_and(|e| e.range.end > edit.range.start) {
            return Err(Overlap(edit.range.start));
        }
        if self.edits.get(at).is_some_and(|e| e.range.start < edit.range.end || (e.range == edit.range && !edit.range.is_empty())) {
            return Err(Overlap(edit.range.start));
        }
        self.edits.insert(at, edit);
        Ok(())
    }

    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    pub fn prefix_bytes(&self) -> &[u8] {
        &self.prefix
    }

    /// Whether the message's own octets stay as they are.
    pub fn is_untouched(&self) -> bool {
        self.edits.is_empty()
    }
}
