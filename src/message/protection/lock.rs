//! Passwords tried on files, in memory, each at a known cost.
//!
//! A try takes a file's own check: a verifier, a checksum, the structure of what comes out. Nothing is kept of the password, and of
//! the file's content nothing is read by anybody.

use super::files::{FileKind, Looking, MAX_FILE, SNIFF};
use super::office_lock::OfficeLock;
use super::open_document::OpenDocumentLock;
use super::pdf::PdfLock;
use super::rar::RarLock;
use super::seven_zip::SevenZipLock;
use super::zip::ZipLock;
use super::{name_of, office, pdf, pgp, rar, seven_zip, zip};
use crate::message::View;

/// What a password can be tried on.
pub enum Lock {
    Zip(ZipLock),
    SevenZip(SevenZipLock),
    Rar(RarLock),
    Pdf(PdfLock),
    Office(OfficeLock),
    OpenDocument(OpenDocumentLock),
}

impl Lock {
    /// What one try costs: blocks that are hashed, of 64 octets or so each.
    pub fn rounds(&self, password: &str) -> u64 {
        match self {
            Lock::Zip(lock) => lock.rounds(),
            Lock::SevenZip(lock) => lock.rounds(password),
            Lock::Rar(lock) => lock.rounds(password),
            Lock::Pdf(lock) => lock.rounds(),
            Lock::Office(lock) => lock.rounds(),
            Lock::OpenDocument(lock) => lock.rounds(),
        }
    }

    pub fn opens(&self, password: &str) -> bool {
        match self {
            Lock::Zip(lock) => lock.opens(password),
            Lock::SevenZip(lock) => lock.opens(password),
            Lock::Rar(lock) => lock.opens(password),
            Lock::Pdf(lock) => lock.opens(password),
            Lock::Office(lock) => lock.opens(password),
            Lock::OpenDocument(lock) => lock.opens(password),
        }
    }
}

/// A file that somebody needs a password for.
pub struct Locked {
    pub name: String,
    /// Where a password can be tried; empty where the file has no check that is known here.
    pub locks: Vec<Lock>,
}

/// Locked files beyond this are not tried.
const MAX_LOCKED: usize = 32;

/// Every file of the message that takes a password.
pub fn locked(view: &View<'_>) -> Vec<Locked> {
    let mut looking = Looking::default();
    let mut out = Vec::new();
    for part in view.parts().iter().filter(|p| p.is_leaf() && p.body.len() <= MAX_FILE) {
        if out.len() >= MAX_LOCKED {
            break;
        }
        let name = name_of(part);
        let lower = name.to_ascii_lowercase();
        let head = view.decoded_prefix(part, SNIFF);
        if FileKind::of(&head, &lower) == FileKind::Other || part.is_text() && !part.is_attachment {
            continue;
        }
        let file = view.decoded(part);
        let locks = locks_of(&lower, &file, &mut looking);
        if FileKind::of(&head, &lower) == FileKind::Pgp && !pgp::takes_passphrase(&file) {
            continue;
        }
        if !locks.is_empty() || FileKind::of(&head, &lower).judge(&file, &mut looking).is_ok() {
            out.push(Locked { name, locks });
        }
    }
    out
}

/// The locks of one file, and of the files in it.
pub(super) fn locks_of(lower_name: &str, file: &[u8], looking: &mut Looking) -> Vec<Lock> {
    let mut out = Vec::new();
    match FileKind::of(file, lower_name) {
        FileKind::Zip => zip::locks(file, looking, &mut out),
        FileKind::SevenZip => out.extend(seven_zip::lock(file).map(Lock::SevenZip)),
        FileKind::Rar => out.extend(rar::lock(file).map(Lock::Rar)),
        FileKind::Pdf => out.extend(pdf::lock(file).filter(|lock| looking.spend(lock.rounds()) && !lock.opens("")).map(Lock::Pdf)),
        FileKind::CompoundFile => out.extend(office::lock(file).map(Lock::Office)),
        FileKind::Pgp | FileKind::Other => {}
    }
    out
}
