//! The parts of a message, found by an iterative walk over boundaries (RFC 2046 §5.1).

use std::ops::Range;

/// One part: the message itself (always the first), a multipart, a leaf, or an embedded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part that holds it, by its place in the list.
    pub parent: Option<usize>,
    pub depth: usize,
    /// Its header, blank line included.
    pub header: Range<usize>,
    /// Its content as sent, still encoded.
    pub body: Range<usize>,
    /// `type/subtype` in lower case.
    pub content_type: String,
    /// Parameters of the content type, names in lower case, values decoded (RFC 2231).
    pub params: Vec<(String, String)>,
    pub encoding: Encoding,
    pub disposition: Disposition,
    /// What a reader would call it: the disposition's filename, else the type's name.
    pub file_name: Option<String>,
    pub content_id: Option<String>,
    /// A reader sees it as a file beside the text.
    pub is_attachment: bool,
    pub is_multipart: bool,
    /// `message/rfc822` whose content is walked: the inner message is the next part.
    pub nested_message: bool,
}

impl Part {
    /// A parameter of the content type, by its name in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The transfer encoding (RFC 2045 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, or one that nobody knows.
    #[default]
    Identity,
    Base64,
    QuotedPrintable,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    #[default]
    Unsaid,
    Inline,
    Attachment,
}
