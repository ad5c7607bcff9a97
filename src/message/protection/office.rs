//! Office documents: encrypted packages, the old binary formats, OpenDocument ([MS-OFFCRYPTO] §2.2, §2.3; OpenDocument 1.3 part 2 §3.4).

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::archive::{ZipEntry, zip_member};
use super::{How, Kind, WhyNot, legacy, u16_at, u32_at};

/// A compound file: an encrypted package of today's formats, or an old document with its encryption flag.
pub fn compound(lower_name: &str, file: &[u8]) -> Result<How, WhyNot> {
    // The reader checks what it reads; a defect in it must not cost more than this one file.
    catch_unwind(AssertUnwindSafe(|| judge(lower_name, file))).unwrap_or(Err(WhyNot::Damaged))
}

fn judge(lower_name: &str, file: &[u8]) -> Result<How, WhyNot> {
    let mut container = cfb::CompoundFile::open(Cursor::new(file)).map_err(|_| WhyNot::Damaged)?;
    if container.is_stream("/EncryptedPackage") {
        return package(lower_name, &mut container);
    }
    if let Some(head) = stream(&mut container, "/WordDocument", 32) {
        // FibBase: fEncrypted; XOR or RC4, weak either way ([MS-DOC] §2.5.2).
        let flags = u16_at(&head, 10).ok_or(WhyNot::Damaged)?;
        return if flags & 0x0100 == 0 { Err(WhyNot::NotProtected) } else { Ok(How::weak(Kind::Office)) };
    }
    if let Some(book) = stream(&mut container, "/Workbook", 1 << 16).or_else(|| stream(&mut container, "/Book", 1 << 16)) {
        return workbook(&book);
    }
    if let Some(user) = stream(&mut container, "/Current User", 64) {
        // CurrentUserAtom: the token of an encrypted presentation ([MS-PPT] §2.3.2).
        return if u32_at(&user, 12) == Some(0xf3d1_c4df) { Ok(How::weak(Kind::Office)) } else { Err(WhyNot::NotProtected) };
    }
    Err(WhyNot::NotProtected)
}

type Container<'a> = cfb::CompoundFile<Cursor<&'a [u8]>>;

fn package(lower_name: &str, container: &mut Container<'_>) -> Result<How, WhyNot> {
    if container.exists("/\u{6}DataSpaces/TransformInfo/DRMEncryptedTransform") {
        return Ok(How::strong(Kind::RightsManagement));
    }
    let info = stream(container, "/EncryptionInfo", 1 << 16).ok_or(WhyNot::OnlyClaims)?;
    // Eight octets of length, then ciphertext: a package that starts like a ZIP archive is none.
    let head = stream(container, "/EncryptedPackage", 16).filter(|p| p.len() == 16).ok_or(WhyNot::OnlyClaims)?;
    if head.starts_with(b"PK\x03\x04") || head[8..].starts_with(b"PK\x03\x04") {
        return Err(WhyNot::OnlyClaims);
    }
    if legacy::opens_package(&info) {
        // Excel tries this password by itself; Word and PowerPoint ask, though the answer is in every manual.
        let asks = [".doc", ".dot", ".ppt", ".pps", ".pot"]
            .iter()
            .any(|e| lower_name.rfind('.').is_some_and(|dot| lower_name[dot..].starts_with(e)));
        return if asks { Ok(How::weak(Kind::Office)) } else { Err(WhyNot::OpensWithoutPassword) };
    }
    Ok(How::strong(Kind::Office))
}

/// A workbook of the old format: FILEPASS follows the first BOF ([MS-XLS] §2.4.117).
fn workbook(book: &[u8]) -> Result<How, WhyNot> {
    const FILEPASS: u16 = 0x002f;
    let mut at = 0;
    for _ in 0..64 {
        let (Some(kind), Some(size)) = (u16_at(book, at), u16_at(book, at + 2)) else { break };
        let content = book.get(at + 4..at + 4 + size as usize).unwrap_or_default();
        if kind == FILEPASS {
            return if legacy::opens_workbook(content) { Err(WhyNot::OpensWithoutPassword) } else { Ok(How::weak(Kind::Office)) };
        }
        at += 4 + size as usize;
    }
    Err(WhyNot::NotProtected)
}

fn stream(container: &mut Container<'_>, path: &str, limit: u64) -> Option<Vec<u8>> {
    let stream = container.open_stream(path).ok()?;
    let mut out = Vec::new();
    stream.take(limit).read_to_end(&mut out).ok()?;
    Some(out)
}

/// OpenDocument: the manifest names how each file is encrypted.
pub fn open_document(file: &[u8], entries: &[ZipEntry]) -> Result<How, WhyNot> {
    catch_unwind(AssertUnwindSafe(|| judge_open_document(file, entries))).unwrap_or(Err(WhyNot::Damaged))
}

fn judge_open_document(file: &[u8], entries: &[ZipEntry]) -> Result<How, WhyNot> {
    const MAX_MANIFEST: u64 = 1 << 20;
    let manifest = zip_member(file, "META-INF/manifest.xml", MAX_MANIFEST).ok_or(WhyNot::NotProtected)?;
    let encrypted = encrypted_paths(&manifest).ok_or(WhyNot::Damaged)?;
    if encrypted.is_empty() {
        return Err(WhyNot::NotProtected);
    }
    let content = |e: &&ZipEntry| !(e.name == "mimetype" || e.name.starts_with("META-INF/") || e.name.ends_with('/') || e.size == 0);
    let mut any = false;
    for entry in entries.iter().filter(content) {
        // What the manifest calls encrypted must not read as XML.
        let plain = || zip_member(file, &entry.name, 64).is_none_or(|head| head.trim_ascii_start().starts_with(b"<"));
        if !encrypted.contains(&entry.name) {
            return Err(WhyNot::ClearInside(entry.name.chars().filter(|c| !c.is_control()).take(80).collect()));
        }
        if entry.name.ends_with(".xml") && plain() {
            return Err(WhyNot::OnlyClaims);
        }
        any = true;
    }
    if any { Ok(How::strong(Kind::OpenDocument)) } else { Err(WhyNot::Empty) }
}

/// The paths of the file entries that have encryption data.
fn encrypted_paths(manifest: &[u8]) -> Option<Vec<String>> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_reader(manifest);
    let mut paths = Vec::new();
    let mut current = None;
    for _ in 0..100_000 {
        match reader.read_event().ok()? {
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                "file-entry" => {
                    current =
                        element.attributes().flatten().find(|a| a.key.local_name().as_ref() == "full-path").map(|a| a.value.into_owned());
                }
                "encryption-data" => paths.extend(current.take()),
                _ => {}
            },
            Event::Eof => return Some(paths),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::archive;
    use super::*;

    fn document(manifest: &str, content: &[u8]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in [
            ("mimetype", &b"application/vnd.oasis.opendocument.text"[..]),
            ("content.xml", content),
            ("META-INF/manifest.xml", manifest.as_bytes()),
        ] {
            writer.start_file(name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn open_document_by_its_manifest() {
        let entry = |inner: &str| {
            format!(
                "<?xml version=\"1.0\"?><m:manifest xmlns:m=\"urn:x\"><m:file-entry m:full-path=\"/\"/><m:file-entry m:full-path=\"content.xml\">{inner}</m:file-entry></m:manifest>"
            )
        };
        let sealed = entry("<m:encryption-data><m:algorithm/></m:encryption-data>");
        assert_eq!(archive::zip(&document(&sealed, b"\x81\x92 ciphertext")), Ok(How::strong(Kind::OpenDocument)));
        assert_eq!(archive::zip(&document(&sealed, b"<?xml version='1.0'?><office/>")), Err(WhyNot::OnlyClaims));
        assert_eq!(archive::zip(&document(&entry(""), b"<?xml version='1.0'?><office/>")), Err(WhyNot::NotProtected));
        let other = sealed.replace("content.xml", "other.xml");
        assert_eq!(archive::zip(&document(&other, b"<?xml version='1.0'?><office/>")), Err(WhyNot::ClearInside("content.xml".into())));
    }

    #[test]
    fn broken_containers_are_damaged() {
        for bytes in [&b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"[..], &[b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), vec![0xff; 2000]].concat()]
        {
            assert_eq!(compound("x.doc", bytes), Err(WhyNot::Damaged));
        }
    }
}
