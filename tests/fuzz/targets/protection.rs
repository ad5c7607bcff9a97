//! Protection of files: archives that were built, against how they were built; any octets, against another reader of archives.

use std::io::Cursor;

use lychgate::message::protection::{Kind, Strength, judge_file};

use super::input::Input;
use super::zips::{Locked, Member, archive};
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "protection",
    run,
    seeds: || {
        let mut seeds = super::texts(&["\u{1}ab", "\u{1}\u{3}\u{1}\u{1}\u{1}\u{1}\u{1}abcdef", "%PDF-1.4\ntrailer << /Encrypt 1 0 R /Root 2 0 R >>\nstartxref\n0\n%%EOF", "-----BEGIN PGP MESSAGE-----\n\nhQ\n-----END PGP MESSAGE-----\n"]);
        let member = |locked| Member { name: "a.txt".into(), locked, content: b"0123456789abcdef".to_vec() };
        seeds.push(archive(&[member(Locked::Strongly), member(Locked::Weakly("hedge"))]));
        seeds.push(archive(&[member(Locked::Strongly), member(Locked::No)]));
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

fn built(input: &mut Input<'_>) {
    let members: Vec<Member<'_>> = (0..1 + input.below(6))
        .map(|i| Member {
            name: format!("{}{i}.txt", input.pick(&["", "folder/", "é"])),
            locked: input.pick(&[Locked::No, Locked::Strongly, Locked::Strongly, Locked::Weakly("hedge"), Locked::Strongly]),
            content: input.words(6).into_bytes(),
        })
        .collect();
    let all_locked = members.iter().all(|m| m.locked != Locked::No);
    let mut file = archive(&members);
    if input.below(4) == 3 {
        // A self-extractor: a program stands in front.
        file = [b"MZ\x90\x00 a program", &file[..]].concat();
        assert!(judge_file("x.exe", &file).is_err() || all_locked);
        return;
    }
    let verdict = judge_file("x.zip", &file);
    if all_locked {
        let how = verdict.expect("every member is encrypted");
        assert_eq!(how.kind, Kind::Zip);
        assert_eq!(how.strength, if members.iter().all(|m| m.locked == Locked::Strongly) { Strength::Strong } else { Strength::Weak });
    } else {
        assert!(verdict.is_err(), "a member is clear");
    }
    // Cut anywhere, it is no archive that a password guards.
    let cut = input.below(file.len());
    assert!(judge_file("x.zip", &file[..cut]).is_err(), "a part of an archive");
}
