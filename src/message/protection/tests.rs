//! Files of every kind with a password that is known, whole and cut short; archives made at random, against how they were made.
//!
//! The files in `fixtures` were made for these tests: by 7-Zip, pikepdf, msoffcrypto-tool and pyzipper; the RAR and OpenDocument ones
//! after their descriptions, with another implementation of the key derivation.

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::lock::locks_of;
use super::*;

const PASSWORD: &str = "Sunny-Meadow7";

macro_rules! fixtures {
    ($($name:literal: $answer:expr, $opens:expr;)+) => {
        &[$(($name, include_bytes!(concat!("fixtures/", $name)), $answer, $opens)),+]
    };
}

type Fixture = (&'static str, &'static [u8], Result<How, WhyNot>, &'static [&'static str]);

fn fixtures() -> Vec<Fixture> {
    let strong = |kind| Ok(How::strong(kind));
    let weak = |kind| Ok(How::weak(kind));
    let opens: &'static [&'static str] = &[PASSWORD];
    let both: &'static [&'static str] = &[PASSWORD, "owner-Key9"];
    let none: &'static [&'static str] = &[];
    let all: &[Fixture] = fixtures! {
        "password.zip": strong(Kind::Zip), opens;
        "password-aes128.zip": strong(Kind::Zip), opens;
        "password-old.zip": weak(Kind::Zip), opens;
        "split.zip.001": Err(WhyNot::Damaged), none;
        "password.7z": strong(Kind::SevenZip), opens;
        "password-lzma.7z": strong(Kind::SevenZip), opens;
        "password-headers.7z": strong(Kind::SevenZip), opens;
        "password.rar": strong(Kind::Rar), opens;
        "password-headers.rar": strong(Kind::Rar), opens;
        "password.docx": strong(Kind::Office), opens;
        "built-in.docx": weak(Kind::Office), &["VelvetSweatshop"];
        "built-in.xlsx": Err(WhyNot::OpensWithoutPassword), &["VelvetSweatshop"];
        "password.odt": strong(Kind::OpenDocument), opens;
        "password-r2.pdf": weak(Kind::Pdf), both;
        "password-r3.pdf": strong(Kind::Pdf), both;
        "password-r4.pdf": strong(Kind::Pdf), both;
        "password-r6.pdf": strong(Kind::Pdf), both;
        "owner-only-r3.pdf": Err(WhyNot::OpensWithoutPassword), none;
        "owner-only-r6.pdf": Err(WhyNot::OpensWithoutPassword), none;
    };
    all.to_vec()
}

#[test]
fn each_kind_is_judged_and_opened_by_its_password_only() {
    for (name, file, answer, passwords) in fixtures() {
        // Whatever it is called.
        for called in [name, "minutes.txt", "photo.jpg", "x.docx"] {
            assert_eq!(judge_file(called, file), answer, "{name} called {called}");
        }
        let locks = locks_of(name, file, &mut Looking::default());
        assert_eq!(locks.is_empty(), passwords.is_empty(), "{name}");
        for lock in &locks {
            for password in passwords {
                assert!(lock.opens(password), "{name} by {password}");
            }
            for wrong in ["", "Sunny-Meadow8", "sunny-meadow7", "Sunny-Meadow7 ", "\u{1f512}", &"x".repeat(300)] {
                assert!(!lock.opens(wrong), "{name} by {wrong:?}");
            }
            assert!((1..2_000_000).contains(&lock.rounds(PASSWORD)), "{name}: {}", lock.rounds(PASSWORD));
        }
    }
}

#[test]
fn what_is_cut_short_is_not_protected() {
    for (name, file, answer, _) in fixtures() {
        // Encrypted headers do not tell in clear how long the archive is.
        if answer.is_err() || name == "password-headers.rar" {
            continue;
        }
        // A PDF may lack its last line, and a compound file the end of its last sector.
        let least = file.len() - if file.len() > 2_000 { 600 } else { 48.min(file.len() / 4) };
        for length in (0..least).step_by(if file.len() > 2_000 { 37 } else { 1 }) {
            let judged = judge_file(name, &file[..length]);
            assert!(judged.is_err(), "{name} cut to {length} of {}: {judged:?}", file.len());
            locks_of(name, &file[..length], &mut Looking::default());
        }
    }
}

/// An archive of clear files.
fn clear_zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn a_clear_archive_is_as_protected_as_what_is_in_it() {
    let pdf: &[u8] = include_bytes!("fixtures/password-r6.pdf");
    let docx: &[u8] = include_bytes!("fixtures/password.docx");
    let open: &[u8] = include_bytes!("fixtures/owner-only-r3.pdf");
    let old: &[u8] = include_bytes!("fixtures/password-old.zip");
    let inside = Ok(How::strong(Kind::ZipOfProtected));
    assert_eq!(judge_file("a.zip", &clear_zip(&[("tender.pdf", pdf), ("accounts/2026.docx", docx)])), inside);
    assert_eq!(judge_file("a.zip", &clear_zip(&[("tender.pdf", pdf), ("old.zip", old)])), Ok(How::weak(Kind::ZipOfProtected)));
    assert_eq!(
        judge_file("a.zip", &clear_zip(&[("tender.pdf", pdf), ("read me.txt", b"It says all.")])),
        Err(WhyNot::ClearInside("read me.txt".into()))
    );
    let opens = judge_file("a.zip", &clear_zip(&[("tender.pdf", open)]));
    assert_eq!(opens, Err(WhyNot::Inside("tender.pdf".into(), Box::new(WhyNot::OpensWithoutPassword))));
    assert_eq!(opens.unwrap_err().to_string(), "holds tender.pdf, which opens without a password");
    // In archives in archives, to a depth.
    let mut nested = clear_zip(&[("tender.pdf", pdf)]);
    for _ in 0..2 {
        nested = clear_zip(&[("inner.zip", &nested)]);
    }
    assert_eq!(judge_file("a.zip", &nested), inside);
    assert_eq!(locks_of("a.zip", &nested, &mut Looking::default()).iter().filter(|l| l.opens(PASSWORD)).count(), 1);
    for _ in 0..40 {
        nested = clear_zip(&[("inner.zip", &nested)]);
    }
    assert!(judge_file("a.zip", &nested).unwrap_err().to_string().contains("deeper than is looked into"));
}

#[test]
fn bombs_cost_no_more_than_their_bound() {
    // A gigabyte of nothing that calls itself a PDF, in an archive, many times over.
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default();
    for i in 0..2 {
        writer.start_file(format!("{i}.pdf"), options).unwrap();
        writer.write_all(b"%PDF-1.7 /Encrypt ").unwrap();
        for _ in 0..80 {
            writer.write_all(&vec![0; 1 << 20]).unwrap();
        }
    }
    let bomb = writer.finish().unwrap().into_inner();
    assert_eq!(judge_file("a.zip", &bomb), Err(WhyNot::Inside("0.pdf".into(), Box::new(WhyNot::TooLarge))));
    // So many locked documents that trying Excel's own password on each would take minutes.
    let docx: &[u8] = include_bytes!("fixtures/password.docx");
    let names: Vec<String> = (0..150).map(|i| format!("{i}.docx")).collect();
    let many = clear_zip(&names.iter().map(|n| (n.as_str(), docx)).collect::<Vec<_>>());
    assert!(
        judge_file("a.zip", &many)
            .unwrap_err()
            .to_string()
            .ends_with("could not be tried in time, so nobody can tell that it is protected")
    );
}

/// A list of `count` files that all are the same deflated megabyte of nothing: it unpacks to no octet.
fn shared_nothing(count: usize, name: &str, flags: u16, size: u32) -> Vec<u8> {
    let data = [0, 0, 0, 0xff, 0xff].repeat(200_000);
    let mut common = Vec::new();
    for v in [20, flags, 8, 0, 0] {
        common.extend_from_slice(&u16::to_le_bytes(v));
    }
    for v in [0, data.len() as u32, size] {
        common.extend_from_slice(&v.to_le_bytes());
    }
    common.extend_from_slice(&(name.len() as u16).to_le_bytes());
    common.extend_from_slice(&[0, 0]);
    let mut file = [b"PK\x03\x04", &common[..], name.as_bytes(), &data].concat();
    let start = file.len() as u32;
    let record = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    file.extend(record.repeat(count));
    let size = file.len() as u32 - start;
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        file.extend_from_slice(&(count as u16).to_le_bytes());
    }
    file.extend_from_slice(&size.to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file
}

#[test]
#[expect(clippy::disallowed_methods, reason = "work without bound would take hours: this ends as a failure")]
fn files_that_share_their_octets_cost_each_by_itself() {
    let started = std::time::Instant::now();
    let sealed = shared_nothing(10_000, "a.txt", 1, 9);
    assert_eq!(judge_file("a.zip", &sealed), Err(WhyNot::TooSlow));
    let clear = shared_nothing(10_000, "a.zip", 0, 9);
    assert!(judge_file("a.zip", &clear).is_err());
    assert!(members::names(&clear).len() <= 2);
    assert!(!super::super::document::read_file("a.zip", &clear).unreadable.is_empty());
    // A manifest of one element with very many attributes.
    let attributes: String = (0..100_000).map(|i| format!("a{i:x}='' ")).collect();
    let manifest = format!("<m><file-entry {attributes}/></m>");
    let text = clear_zip(&[("mimetype", b"application/vnd.oasis.opendocument.text"), ("META-INF/manifest.xml", manifest.as_bytes())]);
    assert!(judge_file("a.odt", &text).is_err());
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

/// How a member of a made archive is.
#[derive(Clone, Debug)]
struct Member {
    lock: Option<bool>,
    content: Vec<u8>,
    descriptor: bool,
}

/// What is wrong with a made archive beside its members.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trick {
    None,
    /// A member that the list does not name.
    Unlisted,
    /// A clear archive in front, a clear archive behind.
    InFront,
    Behind,
    /// The member's own header says that it is clear.
    HeaderSaysClear,
    HeaderSaysShorter,
    CountTooSmall,
}

fn made(members: &[Member], trick: Trick, zip64: bool) -> Vec<u8> {
    let (mut file, mut list) = (Vec::new(), Vec::new());
    if trick == Trick::InFront {
        file = clear_zip(&[("front.txt", &[b'f'; 90])]);
    }
    for (i, member) in members.iter().enumerate() {
        let name = format!("{i}.bin");
        let method = if member.lock == Some(true) { 99u16 } else { 0 };
        let flags = u16::from(member.lock.is_some()) | u16::from(member.descriptor) << 3;
        let aes: &[u8] = if method == 99 { b"\x01\x99\x07\0\x02\0AE\x03\0\0" } else { b"" };
        let size = member.content.len() as u32;
        let header = |flags: u16, packed: u32| {
            let mut out = Vec::new();
            for v in [20, flags, method, 0, 0] {
                out.extend_from_slice(&v.to_le_bytes());
            }
            for v in [0x1234_5678, packed, size] {
                out.extend_from_slice(&u32::to_le_bytes(v));
            }
            out.extend_from_slice(&(name.len() as u16).to_le_bytes());
            out.extend_from_slice(&(aes.len() as u16).to_le_bytes());
            out
        };
        let start = file.len() as u32;
        let local_flags = if trick == Trick::HeaderSaysClear { flags & !1 } else { flags };
        let local_packed = match trick {
            Trick::HeaderSaysShorter => size - 1,
            _ if member.descriptor => 0,
            _ => size,
        };
        file.extend_from_slice(b"PK\x03\x04");
        file.extend(header(local_flags, local_packed));
        file.extend([name.as_bytes(), aes, &member.content].concat());
        if member.descriptor {
            file.extend_from_slice(b"PK\x07\x08\x78\x56\x34\x12");
            file.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        }
        list.extend_from_slice(b"PK\x01\x02\x14\0");
        list.extend(header(flags, size));
        list.extend_from_slice(&[0; 10]);
        list.extend_from_slice(&start.to_le_bytes());
        list.extend([name.as_bytes(), aes].concat());
    }
    if trick == Trick::Unlisted {
        file.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\x78\x56\x34\x12\x04\0\0\0\x04\0\0\0\x01\0\0\0asecr");
    }
    let (start, count) = (file.len() as u64, members.len() as u64 - u64::from(trick == Trick::CountTooSmall));
    file.extend_from_slice(&list);
    let record = file.len() as u64;
    if zip64 {
        file.extend_from_slice(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\0\x2d\0\0\0\0\0\0\0\0\0");
        for v in [count, count, list.len() as u64, start] {
            file.extend_from_slice(&v.to_le_bytes());
        }
        file.extend_from_slice(b"PK\x06\x07\0\0\0\0");
        file.extend_from_slice(&record.to_le_bytes());
        file.extend_from_slice(&1u32.to_le_bytes());
    }
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        file.extend_from_slice(&(if zip64 { 0xffff } else { count as u16 }).to_le_bytes());
    }
    file.extend_from_slice(&(if zip64 { u32::MAX } else { list.len() as u32 }).to_le_bytes());
    file.extend_from_slice(&(if zip64 { u32::MAX } else { start as u32 }).to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    if trick == Trick::Behind {
        file.extend(clear_zip(&[("behind.txt", &[b'b'; 90])]));
    }
    file
}

fn member() -> impl Strategy<Value = Member> {
    // No text: what is called encrypted must not be.
    let content = proptest::collection::vec(any::<u8>(), 40..90).prop_map(|mut v| {
        v[0] = 0x80;
        v
    });
    (prop_oneof![4 => Just(Some(true)), 3 => Just(Some(false)), 1 => Just(None)], content, any::<bool>())
        .prop_map(|(lock, content, descriptor)| Member { lock, content, descriptor })
}

proptest! {
    /// Protected exactly if every member was made so and nothing else was put in; weak if one of them is.
    #[test]
    fn an_archive_is_judged_as_it_was_made(
        members in proptest::collection::vec(member(), 1..6),
        trick in proptest::sample::select(vec![
            Trick::None, Trick::None, Trick::None, Trick::Unlisted, Trick::InFront, Trick::Behind, Trick::HeaderSaysClear,
            Trick::HeaderSaysShorter, Trick::CountTooSmall,
        ]),
        zip64 in any::<bool>(),
    ) {
        let judged = judge_file("a.zip", &made(&members, trick, zip64));
        let all = members.iter().all(|m| m.lock.is_some());
        let weak = members.iter().any(|m| m.lock == Some(false));
        if trick == Trick::None && all {
            let strength = if weak { Strength::Weak } else { Strength::Strong };
            prop_assert_eq!(judged, Ok(How { kind: Kind::Zip, strength }));
        } else {
            prop_assert!(judged.is_err(), "{:?}", judged);
        }
    }

    /// One octet changed anywhere: no panic, and a clear archive never becomes a protected one.
    #[test]
    fn a_broken_archive_is_not_better_protected(
        members in proptest::collection::vec(member(), 1..4),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let clear: Vec<Member> = members.into_iter().map(|m| Member { lock: None, ..m }).collect();
        let mut file = made(&clear, Trick::None, false);
        let at = at.index(file.len());
        file[at] = octet;
        prop_assert!(judge_file("a.zip", &file).is_err());
    }

    /// Any octet changed in any kind of file: no panic, bounded.
    #[test]
    fn broken_files_are_harmless(which in 0usize..19, at in any::<prop::sample::Index>(), octets in proptest::collection::vec(any::<u8>(), 1..6)) {
        let all = fixtures();
        let (name, file, ..) = &all[which % all.len()];
        let mut file = file.to_vec();
        let at = at.index(file.len());
        for (i, octet) in octets.into_iter().enumerate() {
            if let Some(place) = file.get_mut(at + i) {
                *place = octet;
            }
        }
        // Trying a password is not part of it: its cost is bounded by those who try.
        let _ = judge_file(name, &file);
        locks_of(name, &file, &mut Looking::default());
    }
}

fn level(message: &str) -> (ProtectionLevel, usize) {
    let raw = message.replace('\n', "\r\n").into_bytes();
    let view = View::new(&raw);
    (view.protection().level(Strength::Weak), view.protection().clear_text)
}

#[test]
fn clear_text_is_what_a_reader_sees_once() {
    let letter = "The hearing of our employee is on Monday.";
    let footer = "-- \nJo Smith, Clerk\nThis email and any attachments are confidential and intended solely for the addressee.";
    let both = format!(
        "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n{letter}\n{footer}\n--b\n\
         Content-Type: text/html\n\n<p>{letter} More here.</p>\n--b--\n"
    );
    assert_eq!(level(&format!("Subject: Tender\n\n{letter}\n{footer}\n")).1, 34);
    assert_eq!(level(&both).1, 43, "of alternatives the longer");
    assert_eq!(level(&both.replace("alternative", "mixed")).1, 34 + 43, "two texts");
    assert_eq!(level(&format!("Subject: {}\n\n{letter}\n", "x".repeat(200))).1, 34 + 50, "a subject that is a text");
    assert_eq!(level("Content-Type: text/html\n\n<p>Short.</p><p style=\"display:none\">hidden words</p>\n").1, 6 + 11);
}

#[test]
fn inline_pgp_with_nothing_but_a_footer() {
    // A session key of two octets, then integrity-protected data.
    let armour = "-----BEGIN PGP MESSAGE-----\n\nhAIDANICAQk=\n-----END PGP MESSAGE-----\n";
    assert_eq!(level(&format!("Subject: x\n\n{armour}")).0, ProtectionLevel::Message);
    // PGP/MIME whose container became multipart/mixed on its way: its version part says nothing, and nothing else may stand there.
    let mixed = |version: &str| {
        format!(
            "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\n{version}\n--b\n\
             Content-Type: application/octet-stream; name=encrypted.asc\n\n{armour}\n--b--\n"
        )
    };
    assert_eq!(level(&mixed("Version: 1")).0, ProtectionLevel::Attachments);
    for told in
        ["Version: 1\nThe lowest bid is 41,250.", "The lowest bid is 41,250.", "Version: 1, and the lowest bid of the three is 41,250."]
    {
        assert_eq!(level(&mixed(told)).0, ProtectionLevel::None, "{told}");
        let encrypted = mixed(told).replace("multipart/mixed", "multipart/encrypted; protocol=\"application/pgp-encrypted\"");
        assert_eq!(level(&encrypted).0, ProtectionLevel::None, "{told}");
    }
    assert_eq!(level(&format!("Subject: x\n\n{armour}\n-- \nJo Smith\nWragby Parish Council\n")).0, ProtectionLevel::Message);
    let disclaimer = "This email and any attachments are confidential and intended solely for the use of the addressee. If you are not the intended recipient, please notify the sender and delete it.";
    assert_eq!(level(&format!("Subject: x\n\n{armour}\n{disclaimer}\n")).0, ProtectionLevel::Message);
    assert_eq!(level(&format!("Subject: x\n\nThe lowest bid is 41,250.\n\n{armour}")).0, ProtectionLevel::None);
    assert_eq!(level(&format!("Subject: x\n\n{armour}\nSee above. Jo\n")).0, ProtectionLevel::None);
    assert_eq!(level(&format!("Subject: x\n\n{armour}\n> The lowest bid is 41,250.\n")).0, ProtectionLevel::None);
    let long = "A line of the story. ".repeat(80);
    assert_eq!(level(&format!("Subject: x\n\n{armour}\n-- \n{long}\n")).0, ProtectionLevel::None);
    assert_eq!(level("Subject: x\n\n-----BEGIN PGP SIGNED MESSAGE-----\n\nhello\n-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n").0, ProtectionLevel::None);
}

/// DER of tag and content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length as u8);
    } else {
        out.extend([0x82, (length >> 8) as u8, length as u8]);
    }
    out.extend_from_slice(content);
    out
}

/// BER of tag and content without a length.
fn indefinite(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

/// A ContentInfo of that content type around what could be an EnvelopedData.
fn cms_of(oid: &[u8], sealed: &[u8], build: fn(u8, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let aes_cbc = der(6, &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a]);
    let data = der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]);
    let content = if build(0x30, &[])[1] == 0x80 { indefinite(0xa0, &der(4, sealed)) } else { der(0x80, sealed) };
    let encrypted = build(0x30, &[data, der(0x30, &aes_cbc), content].concat());
    let recipients = der(0x31, &der(0x30, &der(2, &[0])));
    let inner = build(0x30, &[der(2, &[0]), recipients, encrypted].concat());
    build(0x30, &[der(6, oid), build(0xa0, &inner)].concat())
}

const ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
const AUTH_ENVELOPED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x17];
const SIGNED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const COMPRESSED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x09];

fn smime(content_type: &str, encoding: &str, body: &[u8]) -> ProtectionLevel {
    let head = format!("Subject: x\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
    let raw = [head.as_bytes(), body].concat();
    View::new(&raw).protection().level(Strength::Weak)
}

#[test]
fn smime_by_what_it_holds() {
    use base64::prelude::*;
    let sealed: Vec<u8> = (0..160u32).map(|i| (i * 89 + 200) as u8).collect();
    let mime = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";
    for build in [der as fn(u8, &[u8]) -> Vec<u8>, indefinite] {
        let enveloped = cms_of(ENVELOPED, &sealed, build);
        let text = BASE64_STANDARD.encode(&enveloped);
        for (encoding, body) in [
            ("base64", text.clone()),
            ("base64", format!("  {}\r\n!! {}", &text[..60], &text[60..])),
            ("7bit", text.clone()),
            ("7bit", format!("-----BEGIN PKCS7-----\r\n{text}\r\n-----END PKCS7-----\r\n")),
        ] {
            assert_eq!(smime(mime, encoding, body.as_bytes()), ProtectionLevel::Message, "{body}");
            // Whatever it says that it is.
            assert_eq!(smime("application/pkcs7-mime; smime-type=signed-data", encoding, body.as_bytes()), ProtectionLevel::Message);
            assert_eq!(smime("application/octet-stream; name=x.bin", encoding, body.as_bytes()), ProtectionLevel::Message, "{body}");
        }
        assert_eq!(smime(mime, "binary", &enveloped), ProtectionLevel::Message);
        assert_eq!(smime(mime, "binary", &cms_of(AUTH_ENVELOPED, &sealed, build)), ProtectionLevel::Message);
        assert_eq!(smime(mime, "binary", &cms_of(COMPRESSED, &sealed, build)), ProtectionLevel::None);
        // Clear text that calls itself enveloped.
        assert_eq!(
            smime(mime, "binary", &cms_of(ENVELOPED, "The lowest bid is 41,250. ".repeat(9).as_bytes(), build)),
            ProtectionLevel::None
        );
        // A signature around what is enveloped, and another around both.
        let mut wrapped = format!("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n");
        for _ in 0..2 {
            let data = der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]);
            let content = build(0x30, &[data, build(0xa0, &der(4, wrapped.as_bytes()))].concat());
            let signed =
                build(0x30, &[der(6, SIGNED), build(0xa0, &build(0x30, &[der(2, &[1]), der(0x31, &[]), content].concat()))].concat());
            assert_eq!(smime("application/pkcs7-mime; smime-type=signed-data", "binary", &signed), ProtectionLevel::Message);
            wrapped = format!(
                "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
                BASE64_STANDARD.encode(&signed)
            );
        }
        let parts = format!(
            "--b\r\nContent-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n--b\r\n\
             Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nMIIB\r\n--b--\r\n"
        );
        let signed = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b";
        assert_eq!(smime(signed, "7bit", parts.as_bytes()), ProtectionLevel::Message);
    }
    assert_eq!(smime(mime, "7bit", b"hello, this is no envelope"), ProtectionLevel::None);
    assert_eq!(smime("application/octet-stream; name=smime.p7m", "7bit", b"hello, this is no envelope"), ProtectionLevel::None);
}

#[test]
fn weak_encryption_counts_as_the_council_decides() {
    use base64::prelude::*;
    let message = |file: &[u8]| {
        format!(
            "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nAttached.\r\n--b\r\n\
             Content-Type: application/zip; name=a.zip\r\nContent-Disposition: attachment; filename=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
            BASE64_STANDARD.encode(file)
        )
    };
    let old = message(include_bytes!("fixtures/password-old.zip"));
    let view = View::new(old.as_bytes());
    assert_eq!(view.protection().level(Strength::Weak), ProtectionLevel::Attachments);
    assert_eq!(view.protection().level(Strength::Strong), ProtectionLevel::None);
    assert_eq!(view.protection().open(Strength::Strong), [("a.zip", WhyNot::TooWeak)]);
    let aes = message(include_bytes!("fixtures/password.zip"));
    let view = View::new(aes.as_bytes());
    assert_eq!(view.protection().level(Strength::Strong), ProtectionLevel::Attachments);
    let locked = lock::locked(&view);
    assert_eq!(locked.len(), 1);
    assert!(locked[0].name == "a.zip" && locked[0].locks[0].opens(PASSWORD));
}
