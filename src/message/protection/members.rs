//! What the files in an archive are called, also in archives within it. Names are read wherever any program could read them: in the
//! list of a ZIP and in front of each of its files, whether or not the two agree; of tar and gzip in their headers; of Outlook's
//! `winmail.dat` in its properties. A name can be read of an encrypted file, too.

use std::io::Read as _;

use super::files::{FileKind, Looking};
use super::{u16_at, zip};
use crate::message::document::tnef;

/// Names beyond these are not listed: no honest archive is named for its number of files.
const MOST: usize = 5_000;
const LONGEST: usize = 1_024;
/// Octets of a gzip's content that are unpacked to see whether it is a tar, and its headers.
const UNPACKED: usize = 8 << 20;
/// An archive in an archive is unpacked as far as this.
const LARGEST: usize = 16 << 20;

/// The names, each with its folders; empty for what is no archive.
pub fn names(file: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    collect(file, &mut Looking::default(), &mut out);
    out
}

fn collect(file: &[u8], looking: &mut Looking, out: &mut Vec<String>) {
    match FileKind::of(file, "") {
        FileKind::Zip => of_zip(file, looking, out),
        _ if file.starts_with(b"\x1f\x8b") => of_gzip(file, looking, out),
        _ if file.get(257..262) == Some(b"ustar") => of_tar(file, looking, out),
        _ if file.starts_with(&tnef::MAGIC) => of_tnef(file, looking, out),
        _ => {}
    }
}

fn add(name: &[u8], out: &mut Vec<String>) {
    if out.len() < MOST && !name.is_empty() {
        out.push(String::from_utf8_lossy(&name[..name.len().min(LONGEST)]).into_owned());
    }
}

fn of_zip(file: &[u8], looking: &mut Looking, out: &mut Vec<String>) {
    // Records of the list and the headers in front of the files: signature, where the name's length stands, where the name starts.
    for (signature, length_at, name_at) in [(b"PK\x01\x02", 28, 46), (b"PK\x03\x04", 26, 30)] {
        for at in memchr::memmem::find_iter(file, signature).take(MOST) {
            let record = &file[at..];
            if let Some(name) = u16_at(record, length_at).and_then(|n| record.get(name_at..name_at + usize::from(n))) {
                add(name, out);
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    // An Office document is an archive to programs only: what is in it is no file to anybody.
    if out.iter().any(|n| n == "[Content_Types].xml" || n == "META-INF/manifest.xml") || looking.depth == 0 {
        return;
    }
    let Ok(directory) = zip::Directory::read(file) else { return };
    looking.depth -= 1;
    for entry in directory.entries.iter().filter(|e| e.lock == zip::EntryLock::None && !e.is_folder()) {
        if out.len() >= MOST || looking.bytes == 0 {
            break;
        }
        let head = entry.read(file, 512, looking).unwrap_or_default();
        let limit = looking.bytes.min(LARGEST);
        if is_archive(&head)
            && limit > 0
            && let Some(inner) = entry.read(file, limit, looking)
        {
            collect(&inner, looking, out);
        }
    }
    looking.depth += 1;
}

fn of_tnef(file: &[u8], looking: &mut Looking, out: &mut Vec<String>) {
    for (name, content) in tnef::files(file) {
        add(name.as_bytes(), out);
        if is_archive(content) && looking.depth > 0 {
            looking.depth -= 1;
            collect(content, looking, out);
            looking.depth += 1;
        }
    }
}

/// By its first octets.
pub fn is_archive(head: &[u8]) -> bool {
    head.starts_with(&tnef::MAGIC)
        || FileKind::of(head, "") == FileKind::Zip
        || head.starts_with(b"\x1f\x8b")
        || head.get(257..262) == Some(b"ustar")
}

/// RFC 1952 §2.3: the name is there if a flag says so; and a tar in it has names of its own.
fn of_gzip(file: &[u8], looking: &mut Looking, out: &mut Vec<String>) {
    if let (Some(flags), true) = (file.get(3), file.len() > 10) {
        let extra = if flags & 4 != 0 { 2 + usize::from(u16_at(file, 10).unwrap_or_default()) } else { 0 };
        if flags & 8 != 0
            && let Some(rest) = file.get(10 + extra..)
        {
            add(&rest[..memchr::memchr(0, &rest[..rest.len().min(LONGEST)]).unwrap_or(0)], out);
        }
    }
    let limit = looking.bytes.min(UNPACKED);
    if looking.depth == 0 || limit == 0 {
        return;
    }
    let mut content = Vec::new();
    // What is broken is read as far as it goes.
    let _ = flate2::read::MultiGzDecoder::new(file).take(limit as u64).read_to_end(&mut content);
    looking.bytes = looking.bytes.saturating_sub(content.len());
    looking.depth -= 1;
    collect(&content, looking, out);
    looking.depth += 1;
}

/// Headers of 512 octets, each before its content (POSIX.1-1988 ustar).
fn of_tar(file: &[u8], looking: &mut Looking, out: &mut Vec<String>) {
    let mut at = 0;
    while let Some(header) = file.get(at..at + 512) {
        if header.iter().all(|b| *b == 0) || out.len() >= MOST {
            break;
        }
        let text = |range: std::ops::Range<usize>| {
            let field = &header[range];
            &field[..memchr::memchr(0, field).unwrap_or(field.len())]
        };
        let size = text(124..136)
            .iter()
            .filter(|b| b.is_ascii_digit())
            .fold(0usize, |n, b| n.saturating_mul(8).saturating_add(usize::from(b - b'0')));
        let content = file.get(at + 512..(at + 512).saturating_add(size).min(file.len())).unwrap_or_default();
        match header[156] {
            // GNU's long name stands as the content.
            b'L' => add(&content[..memchr::memchr(0, content).unwrap_or(content.len())], out),
            b'0' | 0 | b'7' => {
                add(text(0..100), out);
                if is_archive(content) && looking.depth > 0 {
                    looking.depth -= 1;
                    collect(content, looking, out);
                    looking.depth += 1;
                }
            }
            _ => {}
        }
        at = at.saturating_add(512).saturating_add(size.div_ceil(512).saturating_mul(512));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, content) in files {
            out.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
            out.write_all(content).unwrap();
        }
        out.finish().unwrap().into_inner()
    }

    fn tarred(name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = b'0';
        header[257..262].copy_from_slice(b"ustar");
        let mut out = header.to_vec();
        out.extend_from_slice(content);
        out.resize(out.len().div_ceil(512) * 512 + 1024, 0);
        out
    }

    fn gzipped(content: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        out.write_all(content).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn names_at_every_depth() {
        let inner = zipped(&[("setup.exe", b"MZ"), ("read.me", b"x")]);
        let outer = zipped(&[("minutes.pdf", b"%PDF-"), ("more.zip", &inner)]);
        assert_eq!(names(&outer), ["minutes.pdf", "more.zip", "read.me", "setup.exe"]);
        assert_eq!(names(&gzipped(&tarred("run.sh", b"#!/bin/sh"))), ["run.sh"]);
        assert_eq!(names(&tarred("a.zip", &inner)), ["a.zip", "read.me", "setup.exe"]);
        assert_eq!(names(b"no archive"), [""; 0]);
        assert!(names(&zipped(&[("[Content_Types].xml", b""), ("word/a.zip", &inner)])).iter().all(|n| n != "setup.exe"));
    }

    #[test]
    fn names_in_winmail_dat() {
        let mut file = vec![0x78, 0x9f, 0x3e, 0x22, 1, 0];
        let mut attribute = |id: u16, content: &[u8]| {
            file.push(2);
            file.extend_from_slice(&id.to_le_bytes());
            file.extend_from_slice(&[6, 0]);
            file.extend_from_slice(&(content.len() as u32).to_le_bytes());
            file.extend_from_slice(content);
            file.extend_from_slice(&[0, 0]);
        };
        attribute(0x9002, &[0; 14]);
        attribute(0x8010, b"tender.zip\0");
        attribute(0x800f, &zipped(&[("setup.exe", b"MZ")]));
        attribute(0x9002, &[0; 14]);
        attribute(0x8010, b"run.vbs\0");
        assert_eq!(names(&file), ["setup.exe", "tender.zip", "run.vbs"]);
        for end in 0..file.len() {
            names(&file[..end]);
        }
    }

    #[test]
    fn a_name_that_only_one_of_the_two_places_has() {
        let file = zipped(&[("invoice.pdf.exe", b"MZ")]);
        let last = memchr::memmem::rfind(&file, b"invoice.pdf.exe").unwrap();
        let mut hidden = file.clone();
        hidden[last..last + 15].copy_from_slice(b"invoice.pdf.txt");
        assert!(names(&hidden).contains(&"invoice.pdf.exe".to_string()));
        assert!(names(&file[..last - 46]).contains(&"invoice.pdf.exe".to_string()), "without its list");
    }

    proptest! {
        #[test]
        fn any_bytes_have_few_names(mut file in proptest::collection::vec(any::<u8>(), 0..600), kind in 0..3usize) {
            let start: &[u8] = [b"PK\x03\x04".as_slice(), b"\x1f\x8b\x08\x08", b""][kind];
            file.splice(0..0, start.iter().copied());
            prop_assert!(names(&file).len() <= MOST);
        }

        /// Every name that is put in is found, however deep.
        #[test]
        fn what_is_put_in_is_found(name in "[a-z]{1,12}\\.[a-z]{2,3}", depth in 0..3usize) {
            let mut file = zipped(&[(&name, b"x")]);
            for level in 0..depth {
                file = if level % 2 == 0 { gzipped(&tarred("in.zip", &file)) } else { zipped(&[("in.tar.gz", &file)]) };
            }
            prop_assert!(names(&file).contains(&name));
        }
    }
}
