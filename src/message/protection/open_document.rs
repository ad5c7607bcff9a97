//! OpenDocument: the manifest names how each file is encrypted (OpenDocument 1.3 part 2 §3.4, §4.8).

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;
use quick_xml::events::{BytesStart, Event};

use super::digest::{Hash, aes_decrypt_chained};
use super::files::Looking;
use super::zip::{Directory, Entry};
use super::{How, Kind, WhyNot};
use crate::message::transfer;

const MANIFEST: &str = "META-INF/manifest.xml";
const MAX_MANIFEST: usize = 1 << 20;
/// LibreOffice spins 100,000 times.
const MAX_ITERATIONS: u32 = 1_000_000;

pub fn judge(file: &[u8], directory: &Directory, looking: &mut Looking) -> Result<How, WhyNot> {
    let manifest = directory.find(MANIFEST).and_then(|e| e.read(file, MAX_MANIFEST, looking)).ok_or(WhyNot::NotProtected)?;
    let encrypted = encrypted_files(&manifest).ok_or(WhyNot::Damaged)?;
    if encrypted.is_empty() {
        return Err(WhyNot::NotProtected);
    }
    let mut any = false;
    for entry in directory.entries.iter().filter(|e| is_content(e)) {
        if !encrypted.iter().any(|e| e.path == entry.name) {
            return Err(WhyNot::inside(&entry.name, WhyNot::NotProtected));
        }
        if looking.bytes == 0 {
            return Err(WhyNot::TooSlow);
        }
        // What the manifest calls encrypted must not read as text: a reader may ignore the manifest.
        let head = entry.read(file, 512, looking).unwrap_or_default();
        if head.trim_ascii_start().starts_with(b"<") || super::files::reads_as_text(&head) {
            return Err(WhyNot::OnlyClaims);
        }
        any = true;
    }
    if any { Ok(How::strong(Kind::OpenDocument)) } else { Err(WhyNot::Empty) }
}

/// What stands beside the content: the type, the manifest, signatures.
fn is_content(entry: &Entry) -> bool {
    let beside = (entry.name == "mimetype" && entry.size <= 128)
        || [MANIFEST, "META-INF/documentsignatures.xml", "META-INF/macrosignatures.xml"].contains(&entry.name.as_str());
    !(beside || entry.size == 0 && entry.data.is_empty())
}

/// What a password is checked against: the start of the smallest file.
pub struct OpenDocumentLock {
    key: KeyOf,
    iv: Vec<u8>,
    sealed: Vec<u8>,
    checksum: Vec<u8>,
}

struct KeyOf {
    /// Of the password, before the key is derived.
    start: Hash,
    checksum: Hash,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    len: usize,
}

/// The lock of a document; none where it uses what is not known here (Argon2, Blowfish).
pub fn lock(file: &[u8], directory: &Directory, looking: &mut Looking) -> Option<OpenDocumentLock> {
    let manifest = directory.find(MANIFEST)?.read(file, MAX_MANIFEST, looking)?;
    let encrypted = encrypted_files(&manifest)?;
    let smallest = encrypted.iter().filter_map(|e| Some((e, directory.find(&e.path)?))).filter(|(_, entry)| entry.data.len() >= 16);
    let (described, entry) = smallest.min_by_key(|(_, entry)| entry.data.len())?;
    described.lock(file.get(entry.data.clone())?)
}

impl OpenDocumentLock {
    pub fn rounds(&self) -> u64 {
        2 * u64::from(self.key.iterations.get()) * (self.key.len as u64).div_ceil(20) + 50
    }

    pub fn opens(&self, password: &str) -> bool {
        let start = self.key.start.of(&[password.as_bytes()]);
        let mut key = zeroize::Zeroizing::new(vec![0; self.key.len]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA1, self.key.iterations, &self.key.salt, &start, &mut key);
        let Some(mut opened) = aes_decrypt_chained(&key, &self.iv, &self.sealed) else { return false };
        // The padding says its own length in the last octet.
        if self.sealed.len() <= 1_024 {
            let padding = opened.last().map_or(0, |n| usize::from(*n));
            if !(1..=16).contains(&padding) {
                return false;
            }
            opened.truncate(opened.len() - padding);
        }
        opened.truncate(1_024);
        self.key.checksum.of(&[&opened]) == self.checksum
    }
}

/// One file entry with encryption data, as the manifest has it.
#[derive(Default)]
struct Described {
    path: String,
    algorithm: String,
    iv: String,
    derivation: String,
    iterations: String,
    salt: String,
    key_size: String,
    start_key: String,
    checksum_type: String,
    checksum: String,
}

impl Described {
    fn lock(&self, data: &[u8]) -> Option<OpenDocumentLock> {
        if !self.algorithm.ends_with("aes256-cbc") || !self.derivation.to_ascii_lowercase().ends_with("pbkdf2") {
            return None;
        }
        let hash = |name: &str| {
            let name = name.to_ascii_lowercase();
            Some(match () {
                () if name.contains("sha256") => Hash::Sha256,
                () if name.contains("sha1") || name.is_empty() => Hash::Sha1,
                () => return None,
            })
        };
        let sealed = data.get(..data.len().min(1_040) / 16 * 16)?.to_vec();
        let len = self.key_size.parse().unwrap_or(32);
        let iterations = self.iterations.parse().ok().filter(|n| *n <= MAX_ITERATIONS).and_then(NonZeroU32::new)?;
        Some(OpenDocumentLock {
            key: KeyOf {
                start: hash(&self.start_key)?,
                checksum: hash(&self.checksum_type)?,
                salt: transfer::base64(self.salt.as_bytes()),
                iterations,
                len: Some(len).filter(|len| *len == 32)?,
            },
            iv: transfer::base64(self.iv.as_bytes()),
            sealed,
            checksum: transfer::base64(self.checksum.as_bytes()),
        })
    }
}

/// The file entries that have encryption data.
fn encrypted_files(manifest: &[u8]) -> Option<Vec<Described>> {
    let mut reader = quick_xml::Reader::from_reader(manifest);
    let mut out: Vec<Described> = Vec::new();
    let mut path = None;
    for _ in 0..100_000 {
        let (Event::Start(element) | Event::Empty(element)) = (match reader.read_event().ok()? {
            Event::Eof => return Some(out),
            event => event,
        }) else {
            continue;
        };
        let name = element.local_name();
        if name.as_ref() == "file-entry" {
            path = attribute(&element, "full-path");
            continue;
        }
        if name.as_ref() == "encryption-data" {
            out.push(Described { path: path.take().unwrap_or_default(), ..Described::default() });
        }
        let Some(last) = out.last_mut() else { continue };
        let read = |from: &str| attribute(&element, from).unwrap_or_default();
        match name.as_ref() {
            "encryption-data" => (last.checksum_type, last.checksum) = (read("checksum-type"), read("checksum")),
            "algorithm" => (last.algorithm, last.iv) = (read("algorithm-name"), read("initialisation-vector")),
            "key-derivation" => {
                (last.derivation, last.iterations) = (read("key-derivation-name"), read("iteration-count"));
                (last.salt, last.key_size) = (read("salt"), read("key-size"));
            }
            "start-key-generation" => last.start_key = read("start-key-generation-name"),
            _ => {}
        }
    }
    None
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    // Without the check for doubles, which is quadratic.
    let mut all = element.attributes();
    all.with_checks(false);
    all.flatten().find(|a| a.key.local_name().as_ref() == name).map(|a| a.value.into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::super::judge_file;
    use super::*;

    fn document(manifest: &str, content: &[u8]) -> Vec<u8> {
        let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = ::zip::write::SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
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
        let judged = |manifest: &str, content: &[u8]| judge_file("x.odt", &document(manifest, content));
        let sealed = entry("<m:encryption-data><m:algorithm/></m:encryption-data>");
        assert_eq!(judged(&sealed, b"\x81\x92 ciphertext"), Ok(How::strong(Kind::OpenDocument)));
        assert_eq!(judged(&sealed, b"<?xml version='1.0'?><office/>"), Err(WhyNot::OnlyClaims));
        assert_eq!(judged(&entry(""), b"<?xml version='1.0'?><office/>"), Err(WhyNot::NotProtected));
        let other = sealed.replace("content.xml", "other.xml");
        assert_eq!(judged(&other, b"<?xml version='1.0'?><office/>"), Err(WhyNot::ClearInside("content.xml".into())));
    }
}
