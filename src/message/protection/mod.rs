//! Is it encrypted, and how? By the bytes, never by a name or a claim.
//!
//! Nothing is decrypted but for one question: whether the password that everybody's program tries first opens it (the empty one of
//! PDF, Excel's built-in one), since that protects nothing. What cannot be read as protected is not protected, and the reason is
//! said. Bytes, entries and depth are bounded while looking inside.

mod cms;
pub(super) mod digest;
mod files;
pub mod lock;
mod lzma;
pub mod members;
mod office;
mod office_lock;
mod open_document;
mod pdf;
mod pgp;
mod rar;
mod seven_zip;
mod zip;

use std::fmt;

use files::{FileKind, MAX_FILE, SNIFF};
pub use files::{Looking, judge_file, judge_one_of};

use super::parts::Part;
use super::text::{self, Lines};
use super::{View, body};

/// What protects a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// The whole content is encrypted.
    pub whole: Option<How>,
    /// Every attached file: how it is protected, or why it is not.
    pub attachments: Vec<(String, Result<How, WhyNot>)>,
    /// Characters left readable outside what is protected: blanks, signature and legal footer not counted, of alternatives the
    /// longest, of the subject what is more than a line.
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
    /// A clear ZIP archive of files each of which needs a password.
    ZipOfProtected,
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
    /// A file in it is not protected, for this reason.
    Inside(String, Box<WhyNot>),
    /// It holds what its list of contents does not name.
    Hidden,
    /// It says two things about what it holds.
    Contradicts,
    /// One piece of an archive in several.
    Piece,
    TooDeep,
    /// To see whether it opens without a password would take too long, or too many such files came together.
    TooSlow,
    /// Encrypted, but more weakly than the council accepts.
    TooWeak,
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

impl WhyNot {
    /// Why an archive is not protected, by one of its files.
    fn inside(name: &str, why: WhyNot) -> WhyNot {
        let name = name.chars().filter(|c| !c.is_control()).take(80).collect();
        match why {
            WhyNot::NotProtected => WhyNot::ClearInside(name),
            why => WhyNot::Inside(name, Box::new(why)),
        }
    }
}

impl Protection {
    /// What is protected, by encryption that is at least so strong.
    pub fn level(&self, least: Strength) -> ProtectionLevel {
        let counts = |how: &How| how.strength >= least;
        if self.whole.as_ref().is_some_and(counts) {
            ProtectionLevel::Message
        } else if !self.attachments.is_empty() && self.attachments.iter().all(|(_, how)| how.as_ref().is_ok_and(counts)) {
            ProtectionLevel::Attachments
        } else {
            ProtectionLevel::None
        }
    }

    /// What is not protected so strongly, each with the reason that follows its name: "tender.docx", "is not protected".
    pub fn open(&self, least: Strength) -> Vec<(&str, WhyNot)> {
        let weak = |how: &How| (how.strength < least).then_some(WhyNot::TooWeak);
        let mut out: Vec<(&str, WhyNot)> = self
            .attachments
            .iter()
            .filter_map(|(name, how)| Some((name.as_str(), how.as_ref().map_or_else(|why| Some(why.clone()), weak)?)))
            .collect();
        out.extend(self.whole.as_ref().and_then(weak).map(|why| ("the message", why)));
        out
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
            Kind::ZipOfProtected => "a ZIP archive in which every file needs a password",
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
            WhyNot::Inside(name, why) => return write!(f, "holds {name}, which {why}"),
            WhyNot::Hidden => "holds more than its list of contents names",
            WhyNot::Contradicts => "says two things about what it holds, so nobody can tell that it is protected",
            WhyNot::Piece => "is one piece of an archive in several, and cannot be looked into alone",
            WhyNot::TooDeep => "holds archives in archives, deeper than is looked into",
            WhyNot::TooSlow => "could not be tried in time, so nobody can tell that it is protected",
            WhyNot::TooWeak => "is encrypted too weakly",
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
/// A line of subject says what a message is about; what is more tells the rest.
const SUBJECT: usize = 150;
/// A longer footer is a text.
const FOOTER: usize = 2_500;
/// What may stand below an encrypted text and not count as clear: a signature, a legal line or two.
const FOOTER_OF_ENCRYPTED: usize = 1_000;

pub(super) fn judge(view: &View<'_>) -> Protection {
    let mut found = Found::default();
    found.look(view, 0);
    let whole = found.encrypted.filter(|how| {
        // What rights management protects always comes in a clear wrapper that says how to open it.
        let wrapper = how.kind == Kind::RightsManagement && found.clear_text < 4_000;
        (wrapper || !found.clear) && !found.clear_picture && found.attachments.iter().all(|(_, how)| how.is_ok())
    });
    let subject = view.subject().chars().count().saturating_sub(SUBJECT);
    Protection { whole, attachments: found.attachments, clear_text: found.clear_text + subject }
}

/// Characters that are no blanks.
fn readable(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).count()
}

/// The characters of a view's text parts: of alternatives the longest, else all.
fn clear_characters(parts: &[Part], of_part: &[usize]) -> usize {
    let (mut sums, mut longest) = (vec![0; parts.len()], vec![0; parts.len()]);
    let mut all = 0;
    // A part stands after its parent.
    for (i, part) in parts.iter().enumerate().rev() {
        let inside = if part.content_type == "multipart/alternative" { longest[i] } else { sums[i] };
        let total = of_part[i] + inside;
        match part.parent {
            Some(parent) => {
                sums[parent] += total;
                longest[parent] = longest[parent].max(total);
            }
            None => all += total,
        }
    }
    all
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
    looking: Looking,
}

impl Found {
    fn look(&mut self, view: &View<'_>, depth: usize) {
        let parts = view.parts();
        let mut clear_messages = Vec::new();
        let mut characters = vec![0; parts.len()];
        for (i, part) in parts.iter().enumerate().filter(|(_, p)| p.is_leaf()) {
            let was_clear = std::mem::take(&mut self.clear);
            characters[i] = self.leaf(view, part, depth);
            if self.clear
                && let Some(message) = outermost_message(parts, part)
                && !clear_messages.contains(&message)
            {
                clear_messages.push(message);
            }
            self.clear |= was_clear;
        }
        self.clear_text += clear_characters(parts, &characters);
        for message in clear_messages {
            self.attachments.push((name_of(&parts[message]), Err(WhyNot::NotProtected)));
        }
    }

    /// Looks at one part; its readable characters, where it is text that is shown.
    fn leaf(&mut self, view: &View<'_>, part: &Part, depth: usize) -> usize {
        if matches!(
            part.content_type.as_str(),
            "application/pgp-signature" | "application/pkcs7-signature" | "application/x-pkcs7-signature" | "application/pgp-keys"
        ) {
            return 0;
        }
        let in_encrypted = part.parent.is_some_and(|p| view.parts()[p].content_type == "multipart/encrypted");
        if in_encrypted {
            let content = view.decoded(part);
            if part.content_type == "application/pgp-encrypted" && is_pgp_version(&content) {
                return 0;
            }
            if pgp::is_encrypted(&content) {
                self.encrypted = Some(How::strong(Kind::PgpMime));
            } else {
                self.attachments.push((name_of(part), Err(WhyNot::OnlyClaims)));
            }
            return 0;
        }
        // Exchange and some list programs make multipart/mixed of PGP/MIME; its version part still says nothing.
        if part.content_type == "application/pgp-encrypted" && part.body.len() < 256 && is_pgp_version(&view.decoded(part)) {
            return 0;
        }
        if part.is_text() && !part.is_attachment {
            return self.text(view, part);
        }
        if part.content_type.starts_with("image/") && !part.is_attachment {
            self.clear_picture = true;
        } else {
            self.file(view, part, depth);
        }
        0
    }

    /// Text that is shown: clear, or inline PGP and nothing else but a footer. Its readable characters.
    fn text(&mut self, view: &View<'_>, part: &Part) -> usize {
        let Some(source) = view.part_source(part) else { return 0 };
        let armoured = memchr::memmem::find(source.as_bytes(), pgp::BEGIN.as_bytes()).is_some();
        let (seen, marks, hidden) = if part.content_type == "text/html" {
            let rendered = text::render(&source, if armoured { Lines::Keep } else { Lines::Collapse });
            (rendered.text, rendered.marks, rendered.hidden)
        } else {
            (source.into_owned(), Vec::new(), String::new())
        };
        let mut encrypted = false;
        let mut sorted = None;
        if armoured {
            let (rest, all_encrypted) = pgp::split_armour(&seen);
            if all_encrypted {
                encrypted = true;
                self.encrypted = Some(How::strong(Kind::PgpInline));
                sorted = Some(body::sorted(&rest, &[]));
            }
        }
        let sorted = sorted.unwrap_or_else(|| body::sorted(&seen, &marks));
        let footer = readable(&sorted.footer);
        let says_something = |text: &str| text.chars().any(char::is_alphanumeric);
        if [&sorted.new, &sorted.quoted, &hidden].iter().any(|text| says_something(text))
            || says_something(&sorted.footer) && (!encrypted || footer > FOOTER_OF_ENCRYPTED)
        {
            self.clear = true;
        }
        readable(&sorted.new) + readable(&sorted.quoted) + readable(&hidden) + footer.saturating_sub(FOOTER)
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
        if head.starts_with(&RPMSG) && head.len() > RPMSG.len() && !files::reads_as_text(&head[RPMSG.len()..]) {
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
            kind => kind.judge(&view.decoded(part), &mut self.looking),
        };
        self.attachments.push((name, how));
    }

    fn smime(&mut self, name: String, view: &View<'_>, part: &Part, depth: usize) {
        match cms::read(&view.decoded(part)) {
            Some(cms::Content::Enveloped(strength)) => self.encrypted = Some(How { kind: Kind::Smime, strength }),
            Some(cms::Content::Signed(inner)) if depth < MAX_SIGNED => {
                let inner_view = View::read_as(&inner, view.reading().clone());
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

/// The first part of PGP/MIME: fields of control, `Version: 1` and no more (RFC 3156 §4).
fn is_pgp_version(content: &[u8]) -> bool {
    content.len() < 256
        && content
            .split(|b| *b == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|l| !l.is_empty())
            .all(|line| line.len() <= 40 && line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"version:")))
}

/// Magic bytes of a rights-managed message.
const RPMSG: [u8; 8] = [0x76, 0xe8, 0x04, 0x60, 0xc4, 0x11, 0xe3, 0x86];

/// What an opaque S/MIME signature is around; none if it is no signature, or around nothing.
pub(super) fn signed_content(file: &[u8]) -> Option<Vec<u8>> {
    match cms::read(file) {
        Some(cms::Content::Signed(inner)) => Some(inner.to_vec()),
        _ => None,
    }
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
#[cfg(test)]
mod tests;
