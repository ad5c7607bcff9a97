//! Address lists of header fields with the byte range of every mailbox, for surgery (RFC 5322 §3.4, §4.4).

use std::ops::Range;

use crate::smtp::address;

/// One member of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    Mailbox(Mailbox),
    /// `name: member, member;`. `range` covers all of it, the semicolon too.
    Group {
        name: String,
        range: Range<usize>,
        members: Vec<Mailbox>,
    },
    /// Text that is no address.
    Unparsed {
        range: Range<usize>,
    },
}

/// Somebody's address as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Where it stands in the message, without the separators.
    pub range: Range<usize>,
    /// The name beside the address, decoded.
    pub display: Option<String>,
    pub local: String,
    pub domain: String,
}

impl Mailbox {
    /// The form that two spellings of one mailbox share.
    pub fn normal(&self) -> String {
        address::normal(&self.local, &self.domain)
    }
}

impl Entry {
    /// The mailboxes in it: itself, a group's members, or none.
    pub fn mailboxes(&self) -> &[Mailbox] {
        match self {
            Entry::Mailbox(mailbox) => std::slice::from_ref(mailbox),
            Entry::Group { members, .. } => members,
            Entry::Unparsed { .. } => &[],
        }
    }

    pub fn range(&self) -> Range<usize> {
        match self {
            Entry::Mailbox(mailbox) => mailbox.range.clone(),
            Entry::Group { range, .. } | Entry::Unparsed { range } => range.clone(),
        }
    }
}

/// Reads the address list in `bytes[range]`. Ranges in the answer are offsets in `bytes`.
pub fn parse(bytes: &[u8], range: Range<usize>) -> Vec<Entry> {
    let text = &bytes[range.clone()];
    let mut out = Vec::new();
    let mut at = range.start;
    for piece in text.split(|&b| b == b',') {
        let lead = piece.len() - piece.trim_ascii_start().len();
        let trimmed = piece.trim_ascii();
        let place = at + lead..at + lead + trimmed.len();
        at += piece.len() + 1;
        let inner = String::from_utf8_lossy(trimmed);
        let address = inner.rsplit_once('<').map_or(inner.as_ref(), |(_, a)| a.trim_end_matches('>'));
        if let Some((local, domain)) = address.split_once('@') {
            out.push(Entry::Mailbox(Mailbox { range: place, display: None, local: local.into(), domain: domain.into() }));
        }
    }
    out
}
