//! Real documents and messages that nobody here wrote, held against the truth that came with them.
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

/// How many of each kind there are, and how many were judged right: recall where it is protected, the rest are false alarms.
#[derive(Default)]
struct Tally(std::collections::BTreeMap<String, (usize, usize)>);

impl Tally {
    fn count(&mut self, truth: &str, right: bool) {
        let entry = self.0.entry(truth.to_string()).or_default();
        entry.0 += 1;
        entry.1 += usize::from(right);
    }

    fn print(&self, what: &str) {
        for (truth, (all, right)) in &self.0 {
            eprintln!("protected, {what}: {truth}: {right} of {all} judged right");
        }
    }
}

#[test]
fn documents_are_judged_as_they_are() {
    let mut wrong = Vec::new();
    let mut tally = Tally::default();
    for (path, truth, bytes) in truths("document") {
        let answer = judge_file(&path, &bytes);
        let right = match truth.as_str() {
            "ole-encrypted" | "pdf-needs-password" => answer.is_ok(),
            "pdf-encrypted-empty-user-password" => answer == Err(WhyNot::OpensWithoutPassword),
            _ => answer.is_err(),
        };
        tally.count(&truth, right);
        if !right {
            wrong.push(format!("{path}: {truth}, judged {answer:?}"));
        }
    }
    tally.print("documents");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 30);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}

#[test]
fn messages_are_judged_as_they_are() {
    let mut wrong = Vec::new();
    let mut tally = Tally::default();
    for (path, truth, bytes) in truths("message") {
        // The line that a mailbox file puts before a message is none of the message.
        let start = if bytes.starts_with(b"From ") { memchr::memchr(b'\n', &bytes).map_or(0, |n| n + 1) } else { 0 };
        let raw = with_crlf(&bytes[start..]);
        let view = View::new(&raw);
        let level = view.protection().level(Strength::Weak);
        let right = match truth.as_str() {
            "ENCRYPTED-WHOLE" | "ENCRYPTED-ALL-PARTS" | "ENCRYPTED-INSIDE-SIGNED" => level == ProtectionLevel::Message,
            "PARTLY-CLEAR" | "NOT-ENCRYPTED" => level == ProtectionLevel::None,
            _ => {
                if level != ProtectionLevel::None {
                    eprintln!("{path}: no truth given, judged {level:?} {:?}", view.protection().attachments);
                }
                true
            }
        };
        tally.count(
            if truth.is_empty() { "(no truth given; judged not protected)" } else { &truth },
            right && (!truth.is_empty() || level == ProtectionLevel::None),
        );
        if !right {
            wrong.push(format!("{path}: {truth}, judged {:?}", view.protection()));
        }
        // All the rest is looked at too: nothing panics, and all is in bounds.
        view.body_text();
        view.ambiguities();
        for field in view.fields() {
            view.text(field);
            for entry in view.addresses(field) {
                assert!(field.body.start <= entry.range().start && entry.range().end <= field.body.end, "{path}");
            }
        }
    }
    tally.print("messages");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Passwords that their owners' own tests say.
const PASSWORDS: &[(&str, &[&str])] = &[
    ("inputs/ecma376standard_password.docx", &["Password1234_"]),
    ("inputs/example_password.docx", &["Password1234_"]),
    ("inputs/example_password.xlsx", &["Password1234_"]),
    ("inputs/rc4cryptoapi_password.doc", &["Password1234_"]),
    ("inputs/rc4cryptoapi_password.ppt", &["Password1234_"]),
    ("inputs/rc4cryptoapi_password.xls", &["Password1234_"]),
    ("inputs/xor_password_123456789012345.xls", &["123456789012345"]),
    ("document/bug53475-password-is-pass.docx", &["pass"]),
    ("document/bug53475-password-is-solrcell.docx", &["solrcell"]),
    ("document/password_password_cryptoapi.doc", &["password"]),
    ("document/password_tika_binaryrc4.doc", &["tika"]),
    ("poifs/60320-protected.xlsx", &["Test001!!"]),
    ("poifs/protected_sha512.xlsx", &["this is a test"]),
    ("slideshow/Password_Protected-56-hello.ppt", &["hello"]),
    ("slideshow/Password_Protected-hello.ppt", &["hello"]),
    ("slideshow/Password_Protected-np-hello.ppt", &["hello"]),
    ("slideshow/ppt_with_png_encrypted.ppt", &["password"]),
    ("spreadsheet/password.xls", &["password"]),
    ("spreadsheet/protected_passtika.xlsb", &["tika"]),
    ("spreadsheet/protected_passtika.xlsx", &["tika"]),
    ("spreadsheet/xor-encryption-abc.xls", &["abc"]),
    ("enc-R2,V1,U=view,O=master.pdf", &["view", "master"]),
    ("enc-R2,V1,U=view,O=view.pdf", &["view"]),
    ("enc-R3,V2,U=view,O=master.pdf", &["view", "master"]),
    ("enc-R3,V2,U=view,O=view.pdf", &["view"]),
    ("enc-XI-R6,V5,U=attachment,encrypted-attachments.pdf", &["attachment"]),
    ("enc-XI-R6,V5,U=view,O=master.pdf", &["view", "master"]),
    ("enc-XI-R6,V5,U=wwwww,O=wwwww.pdf", &["wwwww"]),
    ("enc-XI-R6,V5,U=view,attachments,cleartext-metadata.pdf", &["view"]),
];

#[test]
fn documents_open_by_their_passwords_and_no_other() {
    let mut wrong = Vec::new();
    let mut tally = Tally::default();
    for (path, _, bytes) in truths("document") {
        let Some((_, passwords)) = PASSWORDS.iter().find(|(end, _)| path.ends_with(end)) else { continue };
        let locks = lock::locks_of(&path, &bytes, &mut Looking::default());
        let opens = |password: &str| locks.iter().any(|lock| lock.opens(password));
        let right = passwords.iter().all(|password| opens(password)) && !["Password1234", "views", "x"].iter().any(|wrong| opens(wrong));
        tally.count(path.rsplit('.').next().unwrap_or_default(), right);
        if !right {
            wrong.push(format!("{path}: {} locks, opened by {:?}", locks.len(), passwords.iter().filter(|p| opens(p)).collect::<Vec<_>>()));
        }
    }
    tally.print("passwords tried on documents");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
