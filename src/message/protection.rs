//! Is it encrypted, and how? Nothing is decrypted, and no name or claim is believed without the bytes behind it.

use std::fmt;

/// What protects a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The whole content is encrypted.
    pub whole: Option<How>,
    /// Every attached file: how it is protected, or why it is not.
    pub attachments: Vec<(String, Result<How, WhyNot>)>,
    /// Characters left readable outside what is protected, the subject not counted.
    pub clear_text: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectionLevel {
    None,
    /// The message itself.
    Message,
    /// Every attachment, at least one; the body stays readable.
    Attachments,
}

/// The kind of encryption and whether it is any good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    pub kind: Kind,
    pub strength: Strength,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Smime,
    PgpMime,
    PgpInline,
    RightsManagement,
    Pgp,
    Zip,
    SevenZip,
    Rar,
    Pdf,
    Office,
    OpenDocument,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Weak,
    Strong,
}

/// Why a file is not protected, in words for the Clerk: they follow the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    NotProtected,
    OpensWithoutPassword,
}

impl Protection {
    pub fn level(&self) -> ProtectionLevel {
        if self.whole.is_some() {
            ProtectionLevel::Message
        } else if !self.attachments.is_empty() && self.attachments.iter().all(|(_, how)| how.is_ok()) {
            ProtectionLevel::Attachments
        } else {
            ProtectionLevel::None
        }
    }
}

impl ProtectionLevel {
    /// The contract's word for it.
    pub fn word(self) -> &'static str {
        match self {
            ProtectionLevel::None => "none",
            ProtectionLevel::Message => "message",
            ProtectionLevel::Attachments => "attachments",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::NotProtected => "is not protected",
            WhyNot::OpensWithoutPassword => "opens without a password",
        })
    }
}
