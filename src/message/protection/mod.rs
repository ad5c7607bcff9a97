//! Is it encrypted, and how? By the bytes, never by a name or a claim.
//!
//! Nothing is decrypted but for one question: whether the password that everybody's program tries first opens it (the empty one of
//! PDF, Excel's built-in one), since that protects nothing. What cannot be read as protected is not protected, and the reason is
//! said. Bytes, entries and depth are bounded while looking inside.

mod archive;
mod cms;
mod digest;
mod legacy;
mod lzma;
mod office;
mod pdf;
mod pgp;

use std::fmt;

use super::View;
use super::parts::Part;
use super::text::{self, Lines};

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
    /// A file encrypted with OpenPGP.
    PgpFile,
    Zip,
    SevenZip,
    Rar,
    Pdf,
    Office,
    OpenDocument,
}

/// Weak is what a curious person breaks with a program from the web: ZipCrypto, 40-bit keys, XOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    Weak,
    Strong,
}

/// Why a file is not protected, in words for the Clerk that follow the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    NotProtected,
    OpensWithoutPassword,
    /// Some of what it holds is clear; the name of the first such file.
    ClearInside(String),
    Empty,
    Damaged,
    TooLarge,
    /// It says that it is encrypted, and is not.
    OnlyClaims,
    SignedOnly,
}

impl How {
    pub(crate) fn strong(kind: Kind) -> How {
        How { kind, strength: Strength::Strong }
    }

    pub(crate) fn weak(kind: Kind) -> How {
        How { kind, strength: Strength::Weak }
    }
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

    /// Why the attachments are not protected, a sentence for each: "tender.docx is not protected".
    pub fn why_not(&self) -> impl Iterator<Item = String> {
        self.attachments.iter().filter_map(|(name, how)| how.as_ref().err().map(|why| format!("{name} {why}")))
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

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Smime => "encrypted with S/MIME",
            Kind::PgpMime | Kind::PgpInline | Kind::PgpFile => "encrypted with OpenPGP",
            Kind::RightsManagement => "protected by Microsoft rights management",
            Kind::Zip => "a ZIP archive with a password",
            Kind::SevenZip => "a 7z archive with a password",
            Kind::Rar => "a RAR archive with a password",
            Kind::Pdf => "a PDF that needs a password",
            Kind::Office => "an Office document that needs a password",
            Kind::OpenDocument => "an OpenDocument file that needs a password",
        })?;
        if self.strength == Strength::Weak { f.write_str(" (weak)") } else { Ok(()) }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WhyNot::NotProtected => "is not protected",
            WhyNot::OpensWithoutPassword => "opens without a password",
            WhyNot::ClearInside(name) => return write!(f, "holds {name}, which is not protected"),
            WhyNot::Empty => "holds nothing",
            WhyNot::Damaged => "cannot be read, so nobody can tell that it is protected",
            WhyNot::TooLarge => "is too large to look into",
            WhyNot::OnlyClaims => "says that it is encrypted, but is not",
            WhyNot::SignedOnly => "is signed, but not encrypted",
        })
    }
}

/// Signed within signed within signed: nobody goes further.
const MAX_SIGNED: usize = 6;
/// Files beyond this are not looked into.
const MAX_FILE: usize = 64 << 20;
/// The first bytes, by which a file's kind is known.
const SNIFF: usize = 2048;

pub(super) fn judge(view: &View<'_>) -> Protection {
    let mut found = Found::default();
    found.look(view, 0);
    let whole = found.encrypted.filter(|how| {
        // What rights management protects always comes in a clear wrapper that says how to open it.
        let wrapper = how.kind == Kind::RightsManagement && found.clear_text < 4_000;
        (wrapper || !found.clear) && !found.clear_picture && found.attachments.iter().all(|(_, how)| how.is_ok())
    });
    Protection { whole, attachments: found.attachments, clear_text: found.clear_text }
}

#[derive(Default)]
struct Found {
    /// A part that is encrypted as mail, not as a file.
    encrypted: Option<How>,
    attachments: Vec<(String, Result<How, WhyNot>)>,
    clear_text: usize,
    /// Text that somebody can read.
    clear: bool,
    clear_picture: bool,
}

impl Found {
    fn look(&mut self, view: &View<'_>, depth: usize) {
        let parts = view.parts();
        let mut clear_messages = Vec::new();
        for part in parts.iter().filter(|p| p.is_leaf()) {
            let was_clear = std::mem::take(&mut self.clear);
            self.leaf(view, part, depth);
            if self.clear
                && let Some(message) = outermost_message(parts, part)
                && !clear_messages.contains(&message)
            {
                clear_messages.push(message);
            }
            self.clear |= was_clear;
        }
        for message in clear_messages {
            self.attachments.push((name_of(&parts[message]), Err(WhyNot::NotProtected)));
        }
    }

    fn leaf(&mut self, view: &View<'_>, part: &Part, depth: usize) {
        if matches!(
            part.content_type.as_str(),
            "application/pgp-signature" | "application/pkcs7-signature" | "application/x-pkcs7-signature" | "application/pgp-keys"
        ) {
            return;
        }
        let in_encrypted = part.parent.is_some_and(|p| view.parts()[p].content_type == "multipart/encrypted");
        if in_encrypted {
            let content = view.decoded(part);
            if part.content_type == "application/pgp-encrypted" && content.len() < 256 {
                return;
            }
            if pgp::is_encrypted(&content) {
                self.encrypted = Some(How::strong(Kind::PgpMime));
            } else {
                self.attachments.push((name_of(part), Err(WhyNot::OnlyClaims)));
            }
            return;
        }
        if part.is_text() && !part.is_attachment {
            self.text(view, part);
        } else if part.content_type.starts_with("image/") && !part.is_attachment {
            self.clear_picture = true;
        } else {
            self.file(view, part, depth);
        }
    }

    /// Text that is shown: clear, or inline PGP and nothing else.
    fn text(&mut self, view: &View<'_>, part: &Part) {
        let Some(source) = view.part_source(part) else { return };
        let html = part.content_type == "text/html";
        let armoured = memchr::memmem::find(source.as_bytes(), pgp::BEGIN.as_bytes()).is_some();
        let seen: String = if html {
            let rendered = text::render(&source, if armoured { Lines::Keep } else { Lines::Collapse });
            rendered.text + &rendered.hidden
        } else {
            source.into_owned()
        };
        let mut rest = seen;
        if armoured {
            let (clear, encrypted) = pgp::split_armour(&rest);
            if encrypted {
                self.encrypted = Some(How::strong(Kind::PgpInline));
                rest = clear;
            }
        }
        let readable = rest.chars().filter(|c| !c.is_whitespace() && !c.is_control()).count();
        if rest.chars().any(char::is_alphanumeric) {
            self.clear = true;
            self.clear_text += readable;
        }
    }

    fn file(&mut self, view: &View<'_>, part: &Part, depth: usize) {
        let name = name_of(part);
        let lower = name.to_ascii_lowercase();
        let head = view.decoded_prefix(part, SNIFF);
        let smime = matches!(part.content_type.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
            || lower.ends_with(".p7m")
            || lower.ends_with(".p7z");
        if smime || cms::looks_like(&head) {
            return self.smime(name, view, part, depth);
        }
        if head.starts_with(&RPMSG) {
            self.encrypted = Some(How::strong(Kind::RightsManagement));
            return;
        }
        if head.is_empty() {
            self.attachments.push((name, Err(WhyNot::Empty)));
            return;
        }
        let how = match FileKind::of(&head, &lower) {
            FileKind::Other => Err(WhyNot::NotProtected),
            _ if part.body.len() > MAX_FILE => Err(WhyNot::TooLarge),
            kind => kind.judge(&lower, &view.decoded(part)),
        };
        self.attachments.push((name, how));
    }

    fn smime(&mut self, name: String, view: &View<'_>, part: &Part, depth: usize) {
        match cms::read(&view.decoded(part)) {
            Some(cms::Content::Enveloped(strength)) => self.encrypted = Some(How { kind: Kind::Smime, strength }),
            Some(cms::Content::Signed(inner)) if depth < MAX_SIGNED => {
                let inner_view = View::new(&inner);
                let before = (self.encrypted.is_some(), self.clear, self.attachments.len());
                self.look(&inner_view, depth + 1);
                // A signature around clear text is what the Clerk is told about, where nothing else is.
                if self.clear && !before.0 && self.attachments.len() == before.2 {
                    self.attachments.push((name, Err(WhyNot::SignedOnly)));
                }
            }
            Some(cms::Content::CertificatesOnly) => {}
            Some(cms::Content::Signed(_) | cms::Content::Other) => self.attachments.push((name, Err(WhyNot::SignedOnly))),
            None => self.attachments.push((name, Err(WhyNot::OnlyClaims))),
        }
    }
}

/// Magic bytes of a rights-managed message.
const RPMSG: [u8; 8] = [0x76, 0xe8, 0x04, 0x60, 0xc4, 0x11, 0xe3, 0x86];

/// A file's kind by its first bytes.
enum FileKind {
    Zip,
    SevenZip,
    Rar,
    Pdf,
    CompoundFile,
    Pgp,
    Other,
}

impl FileKind {
    fn of(head: &[u8], lower_name: &str) -> FileKind {
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || head.starts_with(b"PK\x07\x08") {
            FileKind::Zip
        } else if head.starts_with(b"7z\xbc\xaf\x27\x1c") {
            FileKind::SevenZip
        } else if head.starts_with(b"Rar!\x1a\x07") {
            FileKind::Rar
        } else if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            FileKind::CompoundFile
        } else if memchr::memmem::find(&head[..head.len().min(1024)], b"%PDF-").is_some() {
            FileKind::Pdf
        } else if memchr::memmem::find(head, pgp::BEGIN.as_bytes()).is_some()
            || [".gpg", ".pgp", ".asc"].iter().any(|e| lower_name.ends_with(e))
        {
            FileKind::Pgp
        } else {
            FileKind::Other
        }
    }

    fn judge(&self, lower_name: &str, file: &[u8]) -> Result<How, WhyNot> {
        match self {
            FileKind::Zip => archive::zip(file),
            FileKind::SevenZip => archive::seven_zip(file),
            FileKind::Rar => archive::rar(file),
            FileKind::Pdf => pdf::judge(file),
            FileKind::CompoundFile => office::compound(lower_name, file),
            FileKind::Pgp => pgp::judge(file),
            FileKind::Other => Err(WhyNot::NotProtected),
        }
    }
}

/// Judges one file by its bytes; its name is only needed for binary OpenPGP, which has no magic.
pub fn judge_file(name: &str, file: &[u8]) -> Result<How, WhyNot> {
    let lower = name.to_ascii_lowercase();
    FileKind::of(&file[..file.len().min(SNIFF)], &lower).judge(&lower, file)
}

/// The embedded message nearest to the root that holds `part`.
fn outermost_message(parts: &[Part], part: &Part) -> Option<usize> {
    let mut found = None;
    let mut up = part.parent;
    while let Some(index) = up {
        if parts[index].nested_message {
            found = Some(index);
        }
        up = parts[index].parent;
    }
    found
}

/// What the Clerk would call it.
fn name_of(part: &Part) -> String {
    match &part.file_name {
        Some(name) => name.chars().filter(|c| !c.is_control()).take(80).collect(),
        None if part.nested_message || part.content_type == "message/rfc822" => "the attached message".into(),
        None => format!("an unnamed attachment ({})", part.content_type),
    }
}

/// Little-endian numbers that may lie beyond the end.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod given;
