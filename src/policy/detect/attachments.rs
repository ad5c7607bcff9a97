//! What files a message carries, by name and by their first octets.

use crate::message::protection::{Kind as Lock, members};
use crate::message::{Part, View};
use crate::policy::condition::{AttachmentKind, AttachmentTest};

const EXECUTABLE: &[&str] = &[
    "exe",
    "scr",
    "com",
    "pif",
    "msi",
    "msp",
    "msix",
    "appx",
    "dll",
    "cpl",
    "ocx",
    "sys",
    "jar",
    "apk",
    "app",
    "deb",
    "rpm",
    "gadget",
    "application",
];
const SCRIPT: &[&str] = &[
    "js", "jse", "vbs", "vbe", "vb", "wsf", "wsh", "wsc", "hta", "ps1", "psm1", "ps2", "bat", "cmd", "sh", "lnk", "reg", "scf", "inf",
    "url", "chm", "msc", "sct", "xll", "one", "py",
];
const MACRO: &[&str] = &["docm", "dotm", "xlsm", "xltm", "xlam", "xlsb", "pptm", "potm", "ppam", "ppsm", "sldm"];
const ARCHIVE: &[&str] = &["zip", "7z", "rar", "gz", "tgz", "tar", "bz2", "xz", "zst", "cab", "arj", "ace", "lzh", "z"];
const DISK_IMAGE: &[&str] = &["iso", "img", "vhd", "vhdx", "dmg", "udf", "wim"];
const VIDEO: &[&str] = &["mp4", "mov", "avi", "mkv", "wmv", "webm", "m4v", "mpg", "mpeg", "3gp", "ts", "flv", "dav"];
const DOCUMENT: &[&str] = &[
    "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "rtf", "txt", "csv", "jpg", "jpeg", "png", "gif", "htm", "html",
    "mp3", "mp4", "zip",
];

/// The first file that fits the whole test, by its name, or `None`.
pub fn first_fit(view: &View<'_>, test: &AttachmentTest) -> Option<String> {
    view.parts().iter().filter(|p| is_file(p)).find_map(|p| {
        let inner = fits(view, p, test)?;
        let name = p.file_name.clone().unwrap_or_else(|| "a file without a name".into());
        Some(match inner {
            Fit::Itself => name,
            // Only the last piece of its path: the folders say nothing here.
            Fit::Inside(member) => format!("{} in {name}", member.rsplit(['/', '\\']).next().unwrap_or_default()),
        })
    })
}

/// What the tests on attachments can ask of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Octets, decoded.
    pub size: u64,
    /// One bit for each kind, by its number.
    pub kinds: u16,
    /// Whether it was looked for locks: otherwise nobody knows of the encrypted kinds.
    pub knows_locks: bool,
}

/// Every file, as [`first_fit`] sees it. Decodes each; looks for locks only where that was done already.
pub fn survey(view: &View<'_>) -> Vec<FileFacts> {
    let knows_locks = view.looked_into().protection;
    view.parts()
        .iter()
        .filter(|p| is_file(p))
        .map(|part| {
            let content = view.decoded(part);
            let name = part.file_name.as_deref().unwrap_or_default();
            let members = if is_archive(&content) || members::is_archive(&content) { members::names(&content) } else { Vec::new() };
            let is = |kind: AttachmentKind| {
                let locks = matches!(kind, AttachmentKind::EncryptedArchive | AttachmentKind::EncryptedDocument);
                by_name(kind, name, part)
                    || ((!locks || knows_locks) && by_content(kind, &content, name, view))
                    || (is_dangerous(kind) && members.iter().any(|member| by_file_name(kind, member)))
            };
            let kinds = AttachmentKind::WORDS.iter().filter(|(_, kind)| is(*kind)).fold(0, |bits, (_, kind)| bits | 1 << *kind as u16);
            FileFacts { size: content.len() as u64, kinds, knows_locks }
        })
        .collect()
}

/// Octets of all files as they were sent.
pub fn sent_size(view: &View<'_>) -> usize {
    view.parts().iter().filter(|p| is_file(p)).map(|p| p.body.len()).sum()
}

impl FileFacts {
    /// Whether the file fits the test, as far as that is known.
    pub fn fits(&self, test: &AttachmentTest) -> Option<bool> {
        if !test.size.holds(self.size) {
            return Some(false);
        }
        if test.kinds.is_empty() || test.kinds.iter().any(|k| self.kinds & (1 << *k as u16) != 0) {
            return Some(true);
        }
        let locks = |k: &AttachmentKind| matches!(k, AttachmentKind::EncryptedArchive | AttachmentKind::EncryptedDocument);
        (self.knows_locks || !test.kinds.iter().any(locks)).then_some(false)
    }
}

/// Names of all files.
pub fn names<'v>(view: &'v View<'_>) -> impl Iterator<Item = &'v str> {
    view.parts().iter().filter(|p| !p.is_multipart).filter_map(|p| p.file_name.as_deref())
}

fn is_file(part: &Part) -> bool {
    !part.is_multipart && (part.is_attachment || part.file_name.is_some() || part.content_type == "text/calendar")
}

/// What fits: the file, or one that is packed in it.
enum Fit {
    Itself,
    Inside(String),
}

fn fits(view: &View<'_>, part: &Part, test: &AttachmentTest) -> Option<Fit> {
    // What the encoding bounds settles most sizes without decoding.
    let sent = part.body.len() as u64;
    if sent < test.size.at_least {
        return None;
    }
    let bounded = test.size.at_least > 0 || test.size.at_most < u64::MAX;
    if !bounded && test.kinds.is_empty() {
        return Some(Fit::Itself);
    }
    let name = part.file_name.as_deref().unwrap_or_default();
    if !bounded && test.kinds.iter().any(|k| by_name(*k, name, part)) {
        return Some(Fit::Itself);
    }
    let content = view.decoded(part);
    if bounded && !test.size.holds(content.len() as u64) {
        return None;
    }
    if test.kinds.is_empty() || test.kinds.iter().any(|k| by_name(*k, name, part) || by_content(*k, &content, name, view)) {
        return Some(Fit::Itself);
    }
    // A program is none the less one for being packed, with or without a password.
    let packed: Vec<AttachmentKind> = test.kinds.iter().copied().filter(|k| is_dangerous(*k)).collect();
    if packed.is_empty() || !(is_archive(&content) || members::is_archive(&content)) {
        return None;
    }
    members::names(&content).into_iter().find(|member| packed.iter().any(|k| by_file_name(*k, member))).map(Fit::Inside)
}

fn is_dangerous(kind: AttachmentKind) -> bool {
    use AttachmentKind::*;
    matches!(kind, Executable | Script | Macro | DiskImage | DoubleExtension)
}

/// Extensions from the last to the first, in lower case. Blanks and dots at the end are what Windows drops.
fn extensions(name: &str) -> Vec<String> {
    let trimmed = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    trimmed
        .rsplit('.')
        .take(3)
        .map(|e| e.trim().to_lowercase())
        .collect::<Vec<_>>()
        .into_iter()
        .take(trimmed.matches('.').count().min(3))
        .collect()
}

fn by_name(kind: AttachmentKind, name: &str, part: &Part) -> bool {
    by_file_name(kind, name)
        || match kind {
            AttachmentKind::Video => part.content_type.starts_with("video/"),
            AttachmentKind::Calendar => matches!(part.content_type.as_str(), "text/calendar" | "application/ics"),
            _ => false,
        }
}

fn by_file_name(kind: AttachmentKind, name: &str) -> bool {
    let extensions = extensions(name);
    let last = extensions.first().map(String::as_str).unwrap_or_default();
    let is = |list: &[&str]| list.contains(&last);
    match kind {
        AttachmentKind::Executable => is(EXECUTABLE),
        AttachmentKind::Script => is(SCRIPT),
        AttachmentKind::Macro => is(MACRO),
        AttachmentKind::Archive => is(ARCHIVE),
        AttachmentKind::DiskImage => is(DISK_IMAGE),
        AttachmentKind::Video => is(VIDEO),
        AttachmentKind::Calendar => matches!(last, "ics" | "vcs" | "ical"),
        // `minutes.pdf.exe`, or a name that a right-to-left override turns round.
        AttachmentKind::DoubleExtension => {
            let dangerous = is(EXECUTABLE) || is(SCRIPT) || is(DISK_IMAGE);
            (dangerous && extensions.get(1).is_some_and(|e| DOCUMENT.contains(&e.as_str())))
                || name.contains(['\u{202e}', '\u{202d}', '\u{2067}'])
        }
        AttachmentKind::EncryptedArchive | AttachmentKind::EncryptedDocument => false,
    }
}

fn by_content(kind: AttachmentKind, content: &[u8], name: &str, view: &View<'_>) -> bool {
    let starts = |magic: &[u8]| content.starts_with(magic);
    let locked = |kinds: &[Lock]| {
        view.protection().attachments.iter().any(|(file, how)| file == name && how.as_ref().is_ok_and(|how| kinds.contains(&how.kind)))
    };
    match kind {
        AttachmentKind::Executable => is_executable(content),
        AttachmentKind::Script => starts(b"#!/") || starts(b"L\0\0\0\x01\x14\x02\0"),
        // The storage that holds macros has this name in OLE files, and this member in the newer ones.
        AttachmentKind::Macro => {
            (starts(b"\xd0\xcf\x11\xe0") && memchr::memmem::find(content, b"_\0V\0B\0A\0_\0P\0R\0O\0J\0E\0C\0T\0").is_some())
                || (starts(b"PK") && memchr::memmem::find(content, b"vbaProject.bin").is_some())
        }
        AttachmentKind::Archive => is_archive(content),
        AttachmentKind::EncryptedArchive => locked(&[Lock::Zip, Lock::ZipOfProtected, Lock::SevenZip, Lock::Rar]),
        AttachmentKind::EncryptedDocument => locked(&[Lock::Pdf, Lock::Office, Lock::OpenDocument, Lock::RightsManagement]),
        AttachmentKind::DiskImage => content.get(0x8001..0x8006) == Some(b"CD001") || starts(b"vhdxfile") || starts(b"conectix"),
        AttachmentKind::Calendar => content.trim_ascii_start().get(..15).is_some_and(|h| h.eq_ignore_ascii_case(b"BEGIN:VCALENDAR")),
        AttachmentKind::Video => {
            (content.get(4..8) == Some(b"ftyp") && !matches!(content.get(8..11), Some(b"M4A" | b"hei" | b"avi" | b"mif")))
                || starts(b"\x1aE\xdf\xa3")
                || (starts(b"RIFF") && content.get(8..11) == Some(b"AVI"))
        }
        AttachmentKind::DoubleExtension => false,
    }
}

/// A DOS or Windows program whose header points at a real one, an ELF or a Mach-O file.
fn is_executable(content: &[u8]) -> bool {
    (content.starts_with(b"MZ") && content.len() >= 64)
        || content.starts_with(b"\x7fELF")
        || matches!(content.get(..4), Some(b"\xfe\xed\xfa\xce" | b"\xfe\xed\xfa\xcf" | b"\xce\xfa\xed\xfe" | b"\xcf\xfa\xed\xfe"))
}

/// Office files are ZIP too, and are documents to everybody: they start with their content types.
fn is_archive(content: &[u8]) -> bool {
    let zip = content.starts_with(b"PK\x03\x04") || content.starts_with(b"PK\x05\x06");
    let head = &content[..content.len().min(4096)];
    let office = zip
        && (memchr::memmem::find(head, b"[Content_Types].xml").is_some()
            || memchr::memmem::find(head, b"mimetypeapplication/vnd.").is_some()
            || memchr::memmem::find(head, b"_rels/.rels").is_some());
    (zip && !office)
        || content.starts_with(b"7z\xbc\xaf\x27\x1c")
        || content.starts_with(b"Rar!\x1a\x07")
        || content.starts_with(b"\x1f\x8b")
        || content.starts_with(b"BZh")
        || content.starts_with(b"\xfd7zXZ\0")
        || content.starts_with(b"MSCF")
        || content.get(257..262) == Some(b"ustar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(extensions("minutes.pdf.exe"), ["exe", "pdf"]);
        assert_eq!(extensions("x.EXE . "), ["exe"]);
        assert!(extensions("README").is_empty());
    }
}
