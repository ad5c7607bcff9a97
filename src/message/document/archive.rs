//! Files within files: ZIP, gzip, tar. What a ZIP archive really is (a document, most often) is told by what it holds.

use super::budget::MAX_MEMBER;
use super::inflate::{self, End, Wrapper};
use super::kind::has_extension;
use super::zip::Archive;
use super::{File, Reader, Why};

impl Reader {
    pub(super) fn zip(&mut self, file: &File<'_>) -> Result<(), Why> {
        let archive = Archive::open(file.bytes);
        if archive.find("[Content_Types].xml").is_some() || archive.fault.is_some() && archive.find("word/document.xml").is_some() {
            return self.office(file, &archive);
        }
        let is_open_document = archive.find("META-INF/manifest.xml").is_some() && archive.find("content.xml").is_some();
        if is_open_document || archive.entries.first().is_some_and(|e| e.name == "mimetype") && archive.find("content.xml").is_some() {
            return self.open_document(file, &archive);
        }
        if has_extension(file.name, &["pages", "numbers", "key"]) || archive.find("Index/Document.iwa").is_some() {
            return Err(Why::Format("it is an Apple document, which is not known here"));
        }
        let mut result = archive.fault.map_or(Ok(()), Err);
        for entry in archive.entries.iter().filter(|e| !e.is_folder() && !e.encrypted) {
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            result = result.and(self.member(file, &archive, entry));
            if result == Err(Why::Bomb) {
                break;
            }
        }
        // A document of whose parts none could be found.
        if archive.entries.is_empty() && !file.bytes.starts_with(b"PK\x05\x06") { Err(Why::Damaged) } else { result }
    }

    /// A file within `archive`, read as a file of its own.
    pub(super) fn member(&mut self, outer: &File<'_>, archive: &Archive<'_>, entry: &super::zip::Entry) -> Result<(), Why> {
        let (bytes, fault) = archive.unpack(entry, &mut self.budget);
        let name = entry.name.rsplit('/').next().unwrap_or_default();
        let known = self.out.unreadable.len();
        self.file(&File { name, content_type: "", charset: None, bytes: &bytes, depth: outer.depth + 1 });
        let Some(why) = fault else { return Ok(()) };
        // The fault is the archive's, and is said of it; not of the document besides, which only breaks off for that.
        self.out.unreadable.truncate(known);
        if why != Why::Bomb && super::kind::promises_silence(name, "") { Ok(()) } else { Err(why) }
    }

    pub(super) fn gzip(&mut self, file: &File<'_>) -> Result<(), Why> {
        let limit = MAX_MEMBER.min(self.budget.unpacked_left());
        if !self.budget.entry() {
            return Err(Why::TooManyFiles);
        }
        let (bytes, end) = inflate::inflate(file.bytes, Wrapper::Gzip, limit);
        self.budget.unpacked(bytes.len());
        let stem =
            file.name.rsplit_once('.').filter(|(_, e)| ["gz", "tgz", "emz", "wmz", "svgz"].contains(&e.to_ascii_lowercase().as_str()));
        let name = stem.map_or(file.name, |(stem, _)| stem);
        self.file(&File { name, content_type: "", charset: None, bytes: &bytes, depth: file.depth + 1 });
        match end {
            End::Whole => Ok(()),
            End::Limit if limit < MAX_MEMBER => Err(Why::Bomb),
            End::Limit => Err(Why::TooLarge),
            End::Damaged => Err(Why::Damaged),
        }
    }

    /// POSIX.1 ustar, and its GNU kin as far as names go.
    pub(super) fn tar(&mut self, file: &File<'_>) -> Result<(), Why> {
        let mut rest = file.bytes;
        while let Some((header, after)) = rest.split_first_chunk::<512>() {
            if header.iter().all(|b| *b == 0) {
                return Ok(());
            }
            let size = octal(&header[124..136]).ok_or(Why::Damaged)?;
            let content = after.get(..size).ok_or(Why::Damaged)?;
            rest = after.get(size.next_multiple_of(512)..).unwrap_or_default();
            if !matches!(header[156], b'0' | 0 | b'7') {
                continue;
            }
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            let end = header[..100].iter().position(|b| *b == 0).unwrap_or(100);
            let path = String::from_utf8_lossy(&header[..end]).into_owned();
            let name = path.rsplit('/').next().unwrap_or_default();
            self.file(&File { name, content_type: "", charset: None, bytes: content, depth: file.depth + 1 });
        }
        Ok(())
    }
}

fn octal(field: &[u8]) -> Option<usize> {
    let digits: Vec<u8> = field.iter().copied().filter(|b| !matches!(b, b' ' | 0)).collect();
    usize::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}
