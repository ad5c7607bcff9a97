//! Protection of files: archives that were built, against how they were built; any octets, against another reader of archives.

use std::io::Cursor;

use lychgate::message::protection::{Kind, Strength, judge_file};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "protection",
    run,
    seeds: || {
        let mut seeds = super::texts(&["\u{1}ab", "\u{1}\u{3}\u{1}\u{1}\u{1}\u{1}\u{1}abcdef", "%PDF-1.4\ntrailer << /Encrypt 1 0 R /Root 2 0 R >>\nstartxref\n0\n%%EOF", "-----BEGIN PGP MESSAGE-----\n\nhQ\n-----END PGP MESSAGE-----\n"]);
        let member = |encrypted, aes| Member { name: "a.txt".into(), encrypted, aes, content: b"0123456789abcdef".to_vec() };
        seeds.push(archive(&[member(true, true), member(true, false)]));
        seeds.push(archive(&[member(true, true), member(false, false)]));
        seeds
    },
    given: Given::Documents,
};

fn run(octets: &[u8]) {
    match octets {
        [1, choices @ ..] => built(&mut Input::new(choices)),
        _ => any(octets),
    }
}

fn any(file: &[u8]) {
    let verdict = judge_file("file", file);
    assert_eq!(judge_file("file", file), verdict);
    // A name cannot make a file protected, but for binary OpenPGP, which has no magic, and documents whose program asks for the password
    // that Excel tries by itself.
    for name in ["x.zip", "x.pdf", "x.7z", "x.xls"] {
        assert_eq!(judge_file(name, file).is_ok(), verdict.is_ok(), "{name}");
    }
    let Ok(how) = verdict else { return };
    if how.kind == Kind::Zip
        && let Ok(mut theirs) = zip::ZipArchive::new(Cursor::new(file))
    {
        for i in 0..theirs.len() {
            let Ok(member) = theirs.by_index_raw(i) else { continue };
            let name = member.name().map(|n| n.to_lowercase()).unwrap_or_default();
            // An archive within may be locked where its member is not.
            let archive = [".zip", ".7z", ".rar", ".pdf", ".docx", ".xlsx", ".pptx", ".doc", ".xls", ".ppt", ".odt", ".ods"].iter().any(|e| name.ends_with(e));
            assert!(member.encrypted() || member.is_dir() || member.size() == 0 || archive, "{name} can be read");
        }
    }
}

struct Member {
    name: String,
    encrypted: bool,
    aes: bool,
    content: Vec<u8>,
}

/// A ZIP archive by hand (APPNOTE 6.3 §4.3), every member stored.
fn archive(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let offset = out.len() as u32;
        let flags = u16::from(member.encrypted);
        let method: u16 = if member.encrypted && member.aes { 99 } else { 0 };
        let extra: &[u8] = if method == 99 { b"\x01\x99\x07\x00\x02\x00AE\x03\x00\x00" } else { b"" };
        // Encryption puts its own octets in front; what stands behind them cannot be told from chance.
        let content = if member.encrypted { [&[0xa7; 28][..], &member.content].concat() } else { member.content.clone() };
        let mut common = Vec::new();
        common.extend_from_slice(&20u16.to_le_bytes());
        common.extend_from_slice(&flags.to_le_bytes());
        common.extend_from_slice(&method.to_le_bytes());
        common.extend_from_slice(&[0; 4]);
        common.extend_from_slice(&crc(&content).to_le_bytes());
        common.extend_from_slice(&(content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(member.content.len() as u32).to_le_bytes());
        common.extend_from_slice(&(member.name.len() as u16).to_le_bytes());
        common.extend_from_slice(&(extra.len() as u16).to_le_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&common);
        out.extend_from_slice(member.name.as_bytes());
        out.extend_from_slice(extra);
        out.extend_from_slice(&content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(member.name.as_bytes());
        directory.extend_from_slice(extra);
    }
    let at = out.len() as u32;
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(members.len() as u16).to_le_bytes());
    out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

fn crc(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0u32, |crc, b| (0..8).fold(crc ^ u32::from(*b), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 }))
}

fn built(input: &mut Input<'_>) {
    let members: Vec<Member> = (0..1 + input.below(6))
        .map(|i| Member {
            name: format!("{}{i}.txt", input.pick(&["", "folder/", "é"])),
            encrypted: input.below(4) > 0,
            aes: input.flag(),
            content: input.words(6).into_bytes(),
        })
        .collect();
    let mut file = archive(&members);
    if input.below(4) == 3 {
        // A self-extractor: a program stands in front.
        file = [b"MZ\x90\x00 a program", &file[..]].concat();
        assert!(judge_file("x.exe", &file).is_err() || members.iter().all(|m| m.encrypted));
        return;
    }
    let verdict = judge_file("x.zip", &file);
    if members.iter().all(|m| m.encrypted) {
        let how = verdict.expect("every member is encrypted");
        assert_eq!(how.kind, Kind::Zip);
        assert_eq!(how.strength, if members.iter().all(|m| m.aes) { Strength::Strong } else { Strength::Weak });
    } else {
        assert!(verdict.is_err(), "a member is clear");
    }
    // Cut anywhere, it is no archive that a password guards.
    let cut = input.below(file.len());
    assert!(judge_file("x.zip", &file[..cut]).is_err(), "a part of an archive");
}
