//! Office documents: encrypted packages and the old binary formats ([MS-OFFCRYPTO] §2.2, §2.3). OpenDocument has its own file.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::files::Looking;
use super::office_lock::{BUILT_IN, OfficeLock};
use super::{How, Kind, WhyNot, u16_at, u32_at};

/// A compound file: an encrypted package of today's formats, or an old document with its encryption flag.
pub fn compound(file: &[u8], looking: &mut Looking) -> Result<How, WhyNot> {
    // The reader checks what it reads; a defect in it must not cost more than this one file.
    let found = catch_unwind(AssertUnwindSafe(|| find(file))).unwrap_or(Err(WhyNot::Damaged))?;
    // Only Excel tries its built-in password by itself.
    let Some(lock) = &found.lock else { return Ok(found.how) };
    if found.kind == Document::Other {
        return Ok(found.how);
    }
    if !looking.spend(lock.rounds()) {
        return Err(WhyNot::TooSlow);
    }
    if !lock.opens(BUILT_IN) {
        return Ok(found.how);
    }
    // Word and PowerPoint ask, though the answer is in every manual.
    let is_workbook = found.kind == Document::Workbook
        || lock.start(BUILT_IN, &found.start).is_none_or(|start| memchr::memmem::find(&start, b"xl/").is_some());
    if is_workbook { Err(WhyNot::OpensWithoutPassword) } else { Ok(How::weak(Kind::Office)) }
}

/// What a password can be tried on.
pub fn lock(file: &[u8]) -> Option<OfficeLock> {
    catch_unwind(AssertUnwindSafe(|| find(file))).ok()?.ok()?.lock
}

/// An encrypted document.
struct Found {
    how: How,
    kind: Document,
    lock: Option<OfficeLock>,
    /// The first octets of an encrypted package.
    start: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Document {
    /// Which of today's formats it is can be seen only when it is open.
    Package,
    Workbook,
    Other,
}

fn find(file: &[u8]) -> Result<Found, WhyNot> {
    let mut container = cfb::CompoundFile::open(Cursor::new(file)).map_err(|_| WhyNot::Damaged)?;
    if container.is_stream("/EncryptedPackage") {
        return package(&mut container);
    }
    let old = |kind, lock| Ok(Found { how: How::weak(Kind::Office), kind, lock, start: Vec::new() });
    if let Some(head) = stream(&mut container, "/WordDocument", 32) {
        // FibBase: fEncrypted, fWhichTblStm, fObfuscated, lKey ([MS-DOC] §2.5.2).
        let flags = u16_at(&head, 10).ok_or(WhyNot::Damaged)?;
        let key = u32_at(&head, 14).ok_or(WhyNot::Damaged)?;
        if flags & 0x0100 == 0 {
            return Err(WhyNot::NotProtected);
        }
        if flags & 0x8000 != 0 {
            return old(Document::Other, Some(OfficeLock::Xor([key as u16, (key >> 16) as u16])));
        }
        let table = stream(&mut container, if flags & 0x0200 != 0 { "/1Table" } else { "/0Table" }, 4_096).unwrap_or_default();
        return old(Document::Other, OfficeLock::of_info(&table));
    }
    if let Some(book) = stream(&mut container, "/Workbook", 1 << 16).or_else(|| stream(&mut container, "/Book", 1 << 16)) {
        let pass = file_pass(&book).ok_or(WhyNot::NotProtected)?;
        return old(Document::Workbook, OfficeLock::of_file_pass(pass));
    }
    if let Some(user) = stream(&mut container, "/Current User", 64) {
        // CurrentUserAtom: the token of an encrypted presentation ([MS-PPT] §2.3.2).
        if u32_at(&user, 12) != Some(0xf3d1_c4df) {
            return Err(WhyNot::NotProtected);
        }
        let document = stream(&mut container, "/PowerPoint Document", super::files::MAX_FILE as u64).unwrap_or_default();
        // CryptSession10Container (§2.10.1), which stands at the end.
        let session = memchr::memmem::rfind(&document, &[0x0f, 0x00, 0x14, 0x2f]).and_then(|at| document.get(at + 8..));
        return old(Document::Other, session.and_then(OfficeLock::of_info));
    }
    Err(WhyNot::NotProtected)
}

type Container<'a> = cfb::CompoundFile<Cursor<&'a [u8]>>;

fn package(container: &mut Container<'_>) -> Result<Found, WhyNot> {
    if container.exists("/\u{6}DataSpaces/TransformInfo/DRMEncryptedTransform") {
        return Ok(Found { how: How::strong(Kind::RightsManagement), kind: Document::Other, lock: None, start: Vec::new() });
    }
    let info = stream(container, "/EncryptionInfo", 1 << 16).ok_or(WhyNot::OnlyClaims)?;
    // Eight octets of length, then ciphertext of whole blocks: a package that starts like a ZIP archive is none.
    let whole = container.entry("/EncryptedPackage").map_or(0, |e| e.len());
    let start = stream(container, "/EncryptedPackage", 8 + (1 << 16)).filter(|p| p.len() >= 24).ok_or(WhyNot::OnlyClaims)?;
    if start.starts_with(b"PK\x03\x04") || start[8..].starts_with(b"PK\x03\x04") || super::files::reads_as_text(&start[8..]) {
        return Err(WhyNot::OnlyClaims);
    }
    if super::u64_at(&start, 0).is_none_or(|length| length > whole - 8) {
        return Err(WhyNot::Damaged);
    }
    Ok(Found { how: How::strong(Kind::Office), kind: Document::Package, lock: OfficeLock::of_info(&info), start })
}

/// The FILEPASS record of a workbook of the old format: it follows the first BOF ([MS-XLS] §2.4.117).
fn file_pass(book: &[u8]) -> Option<&[u8]> {
    const FILEPASS: u16 = 0x002f;
    let mut at = 0;
    for _ in 0..64 {
        let (kind, size) = (u16_at(book, at)?, usize::from(u16_at(book, at + 2)?));
        if kind == FILEPASS {
            return Some(book.get(at + 4..at + 4 + size).unwrap_or_default());
        }
        at += 4 + size;
    }
    None
}

fn stream(container: &mut Container<'_>, path: &str, limit: u64) -> Option<Vec<u8>> {
    let stream = container.open_stream(path).ok()?;
    let mut out = Vec::new();
    stream.take(limit).read_to_end(&mut out).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::judge_file;
    use super::*;

    #[test]
    fn broken_containers_are_damaged() {
        for bytes in [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), vec![0xff; 2000]].concat()]
        {
            assert_eq!(judge_file("x.doc", bytes), Err(WhyNot::Damaged));
        }
    }
}
