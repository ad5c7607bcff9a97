//! What one message may cost: octets unpacked, files looked into, text kept.

/// Octets unpacked for one message, over all its archives and documents.
pub const MAX_UNPACKED: usize = 64 << 20;
/// One file within an archive, or one part of a document.
pub const MAX_MEMBER: usize = 32 << 20;
/// Text kept of one message's attachments: some two thousand pages.
pub const MAX_TEXT: usize = 4 << 20;
/// Strings that the sheets of one workbook share.
pub const MAX_STRINGS: usize = 500_000;
/// Files within archives, and parts of documents.
pub const MAX_ENTRIES: usize = 10_000;

#[derive(Debug)]
pub struct Budget {
    unpacked: usize,
    text: usize,
    entries: usize,
    /// Some text was dropped since somebody asked last.
    cut: bool,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { unpacked: MAX_UNPACKED, text: MAX_TEXT, entries: MAX_ENTRIES, cut: false }
    }
}

impl Budget {
    /// Octets that may still be unpacked.
    pub fn unpacked_left(&self) -> usize {
        self.unpacked
    }

    /// So many octets were unpacked, or looked through once more.
    pub fn unpacked(&mut self, octets: usize) {
        self.unpacked = self.unpacked.saturating_sub(octets);
    }

    /// One more file; false if there were too many.
    pub fn entry(&mut self) -> bool {
        let more = self.entries > 0;
        self.entries = self.entries.saturating_sub(1);
        more
    }

    pub fn text_left(&self) -> usize {
        self.text
    }

    /// Adds `text` to `out`, as far as there is room.
    pub fn push(&mut self, out: &mut String, text: &str) {
        let room = if text.len() > self.text {
            self.cut = true;
            text.floor_char_boundary(self.text)
        } else {
            text.len()
        };
        self.text -= room;
        out.push_str(&text[..room]);
    }

    /// Whether text was dropped since the last call.
    pub fn take_cut(&mut self) -> bool {
        std::mem::take(&mut self.cut)
    }
}
