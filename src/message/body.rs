//! The readable body: what the sender wrote now, what is quoted, and the footer.

/// The readable text of a message, in the order that a reader sees it within each piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyText {
    /// Without quotes and footer.
    pub new: String,
    pub quoted: String,
    /// Signature and legal disclaimer.
    pub footer: String,
    pub all: String,
}
