//! Files: their kind by their first bytes, whatever they are called, and one judge for each kind.

use super::{How, WhyNot, office, pdf, pgp, rar, seven_zip, zip};

/// The first bytes, by which a file's kind is known.
pub(super) const SNIFF: usize = 2048;
/// Files beyond this are not looked into.
pub(super) const MAX_FILE: usize = 64 << 20;

/// What may still be spent on looking into the files of one message. Unpacking is the only thing that can cost more than what was
/// received, so it is what is counted.
#[derive(Debug)]
pub struct Looking {
    /// Octets that may still be unpacked.
    pub bytes: usize,
    /// Members of archives that may still be looked at.
    pub members: usize,
    /// Archives in archives that may still be opened.
    pub depth: usize,
    /// Blocks that may still be hashed to see whether files open without a password. Fifty documents of Word's kind.
    rounds: u64,
}

impl Default for Looking {
    fn default() -> Looking {
        Looking { bytes: MAX_FILE, members: 2_000, depth: 4, rounds: 5_000_000 }
    }
}

impl Looking {
    /// So many octets were made of so many that were gone through: of hostile files the second number may be far larger.
    pub fn unpacked(&mut self, made: usize, used: usize) {
        self.bytes = self.bytes.saturating_sub(made.max(used / 8));
    }

    /// Whether so much work may still be done; then it is counted.
    pub fn spend(&mut self, rounds: u64) -> bool {
        match self.rounds.checked_sub(rounds) {
            Some(left) => {
                self.rounds = left;
                true
            }
            None => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Zip,
    SevenZip,
    Rar,
    Pdf,
    CompoundFile,
    Pgp,
    Other,
}

impl FileKind {
    /// A name is only needed for binary OpenPGP, which has no magic.
    pub fn of(head: &[u8], lower_name: &str) -> FileKind {
        let head = &head[..head.len().min(SNIFF)];
        if head.starts_with(b"PK\x03\x04")
            || head.starts_with(b"PK\x05\x06")
            || head.starts_with(b"PK\x07\x08")
            || head.starts_with(b"PK00")
        {
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

    pub fn judge(self, file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
        if file.len() > MAX_FILE {
            return Err(if self == FileKind::Other { WhyNot::NotProtected } else { WhyNot::TooLarge });
        }
        match self {
            FileKind::Zip => zip::judge(file, looking),
            FileKind::SevenZip => seven_zip::judge(file),
            FileKind::Rar => rar::judge(file),
            FileKind::Pdf => pdf::judge(file, looking),
            FileKind::CompoundFile => office::compound(file, looking),
            FileKind::Pgp => pgp::judge(file),
            FileKind::Other => Err(WhyNot::NotProtected),
        }
    }
}

/// Judges one file by its bytes.
pub fn judge_file(name: &str, file: &[u8]) -> Result<How, WhyNot> {
    judge_one_of(name, file, &mut Looking::default())
}

/// As [`judge_file`], of one of many files that may cost only so much together.
pub fn judge_one_of(name: &str, file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
    FileKind::of(file, &name.to_ascii_lowercase()).judge(file, looking)
}

/// What is called encrypted and reads as plain text is not. No ciphertext of this length is printable by chance.
pub(super) fn reads_as_text(content: &[u8]) -> bool {
    let head = &content[..content.len().min(512)];
    head.len() >= 32 && head.iter().all(|b| matches!(b, b'\t' | b'\r' | b'\n' | b' '..=b'~'))
}
