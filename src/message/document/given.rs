//! Real documents and messages that nobody here wrote: how many yield their text, and no false alarm.
#![expect(clippy::disallowed_methods, reason = "the tests read the given files")]

use std::path::PathBuf;

use super::*;

fn given() -> Option<PathBuf> {
    let folder =
        std::env::var_os("LYCHGATE_GIVEN").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/given"), PathBuf::from);
    if folder.join("TRUTH.tsv").exists() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} is not here; set LYCHGATE_GIVEN", folder.display());
    None
}

fn truths(kind: &str) -> Vec<(String, String, Vec<u8>)> {
    let Some(folder) = given() else { return Vec::new() };
    let table = std::fs::read_to_string(folder.join("TRUTH.tsv")).unwrap();
    table
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .filter(|row| row.get(1) == Some(&kind))
        .map(|row| (row[0].to_string(), row.get(2).unwrap_or(&"").to_string(), std::fs::read(folder.join(row[0])).unwrap()))
        .collect()
}

#[test]
fn documents_yield_their_text() {
    // What readers beside this one make of these files (seen by hand): no text is in them.
    const EMPTY: [&str; 3] = ["plain.doc", "sheetProtection_allLocked.xlsx", "encrypted-with-images.pdf"];
    // Nobody asks for a password, and yet nothing here opens them: said, not passed over.
    const UNREADABLE: [&str; 1] = ["protect.xlsx"];
    let mut wrong = Vec::new();
    let (mut read_whole, mut open) = (0, 0);
    for (path, truth, bytes) in truths("document") {
        let name = path.rsplit('/').next().expect("split gives at least one piece");
        let read = read_file(name, &bytes);
        let protected = matches!(truth.as_str(), "ole-encrypted" | "pdf-needs-password");
        let silent = protected || EMPTY.contains(&name);
        let has_text = read.text.chars().any(char::is_alphanumeric);
        let right = if UNREADABLE.contains(&name) {
            !has_text && read.unreadable.len() == 1
        } else {
            has_text != silent && read.unreadable.is_empty()
        };
        if !protected {
            open += 1;
            read_whole += usize::from(right && !UNREADABLE.contains(&name));
        }
        if !right {
            wrong.push(format!("{path}: {truth}, read {:?}, {:?}", read.text.chars().take(60).collect::<String>(), read.unreadable));
        }
    }
    eprintln!("{read_whole} of {open} documents that open are read whole");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documents_say_what_others_read_in_them() {
    // By unzip and by hand.
    for (end, phrase) in [
        ("example.docx", "Lorem ipsum"),
        ("example.xlsx", "lorem\tipsum"),
        ("rc4cryptoapi_password_plain.doc", "lorem ipsum"),
        ("rc4cryptoapi_password_plain.xls", "lorem ipsum"),
        ("rc4cryptoapi_password_plain.ppt", "Lorem ipsum"),
        ("workbookProtection-sheet_password-2013.xlsx", "The password of this Sheet is: \"pwd\""),
        ("documentProtection_forms_no_password.docx", "Filling forms senza password."),
        ("V4-aes.pdf", "Potato 0"),
        ("enc-XI-R6,V5,O=master.pdf", "Potato 9"),
        ("nontrivial-crypt-filter-decrypted.pdf", "This is the first attachment."),
    ] {
        for (path, _, bytes) in truths("document").into_iter().filter(|(p, ..)| p.ends_with(&format!("/{end}"))) {
            let read = read_file(&path, &bytes);
            assert!(read.text.contains(phrase), "{path}: {:?}", read.text);
        }
    }
}

/// A message from another mail system must not look unreadable: only broken documents do.
#[test]
fn messages_are_readable() {
    let (mut all, mut unreadable) = (0, Vec::new());
    for (path, _, bytes) in truths("message") {
        let start = if bytes.starts_with(b"From ") { memchr::memchr(b'\n', &bytes).map_or(0, |n| n + 1) } else { 0 };
        let view = View::new(&bytes[start..]);
        let read = view.documents();
        all += 1;
        if !read.unreadable.is_empty() {
            unreadable.push(format!("{path}: {}", read.unreadable.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
        }
    }
    eprintln!("{} of {all} messages hold what could not be read\n{}", unreadable.len(), unreadable.join("\n"));
    assert!(unreadable.len() * 50 <= all.max(1), "{}", unreadable.join("\n"));
}
