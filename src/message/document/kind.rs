//! What kind of file it is: by its first bytes, and only where they do not tell by its name and declared type.

use std::borrow::Cow;

use crate::message::{header, words};

/// So many of a file's first bytes are looked at.
pub const SNIFF: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It carries no text: a picture, sound, a program, nothing at all.
    Silent,
    /// It is called a document, and its bytes are those of none.
    Unlikely,
    /// It has text in a form that is not known here.
    Foreign(&'static str),
    Text,
    Html,
    Message,
    /// S/MIME around clear content.
    Signed,
    Zip,
    Pdf,
    /// Office before 2007, saved Outlook messages.
    Compound,
    Rtf,
    Tnef,
    Gzip,
    Tar,
}

impl Kind {
    pub fn of(head: &[u8], name: &str, content_type: &str) -> Kind {
        if head.iter().all(u8::is_ascii_whitespace) {
            return Kind::Silent;
        }
        if let Some(kind) = by_magic(head) {
            return kind;
        }
        if matches!(content_type, "message/rfc822" | "message/global") || has_extension(name, &["eml"]) && is_message(head) {
            return Kind::Message;
        }
        if matches!(content_type, "application/pkcs7-mime" | "application/x-pkcs7-mime") || has_extension(name, &["p7m"]) {
            return Kind::Signed;
        }
        if is_text(head, content_type) {
            return as_text(head, name, content_type);
        }
        if promises_text(name, content_type) { Kind::Unlikely } else { Kind::Silent }
    }
}

fn by_magic(head: &[u8]) -> Option<Kind> {
    for (magic, kind) in [
        (&b"PK\x03\x04"[..], Kind::Zip),
        (b"PK\x05\x06", Kind::Zip),
        (b"PK\x07\x08PK\x03\x04", Kind::Zip),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Compound),
        (b"{\\rt", Kind::Rtf),
        (&super::tnef::MAGIC, Kind::Tnef),
        (b"\x1f\x8b\x08", Kind::Gzip),
        (b"7z\xbc\xaf\x27\x1c", Kind::Foreign("7z archives are not unpacked here")),
        (b"Rar!\x1a\x07", Kind::Foreign("RAR archives are not unpacked here")),
        (b"BZh", Kind::Foreign("it is packed in a way that is not known here")),
        (b"\xfd7zXZ\0", Kind::Foreign("it is packed in a way that is not known here")),
        (b"\x28\xb5\x2f\xfd", Kind::Foreign("it is packed in a way that is not known here")),
        (b"MSCF", Kind::Foreign("cabinet files are not unpacked here")),
    ] {
        if head.starts_with(magic) {
            return Some(kind);
        }
    }
    if head.len() >= 512 && &head[257..262] == b"ustar" {
        return Some(Kind::Tar);
    }
    if memchr::memmem::find(&head[..head.len().min(1_024)], b"%PDF-").is_some() {
        return Some(Kind::Pdf);
    }
    SILENT.iter().any(|magic| head.starts_with(magic)).then_some(Kind::Silent).or_else(|| {
        let media = head.len() >= 12 && (&head[4..8] == b"ftyp" || head.starts_with(b"RIFF"));
        media.then_some(Kind::Silent)
    })
}

/// Pictures, sound, film, fonts, programs.
const SILENT: [&[u8]; 22] = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"\0\0\x01\0",
    b"ID3",
    b"OggS",
    b"fLaC",
    b"\x1aE\xdf\xa3",
    b"\0\0\x01\xba",
    b"\0\0\x01\xb3",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
    b"wOFF",
    b"wOF2",
    b"OTTO",
    b"\0\x01\0\0\0",
    b"ttcf",
    b"MZ\x90\0",
    b"\x7fELF",
    b"8BPS",
    b"\xd7\xcd\xc6\x9a",
];

fn as_text(head: &[u8], name: &str, content_type: &str) -> Kind {
    const SECRET: [&[u8]; 3] = [b"-----BEGIN PGP MESSAGE", b"-----BEGIN PGP SIGNATURE", b"-----BEGIN PKCS7"];
    let start = head.trim_ascii_start();
    if SECRET.iter().any(|armour| start.starts_with(armour)) {
        return Kind::Silent;
    }
    let lower: Vec<u8> = head[..head.len().min(1_024)].to_ascii_lowercase();
    let says = |what: &[u8]| memchr::memmem::find(&lower, what).is_some();
    if content_type == "text/html"
        || has_extension(name, &["htm", "html", "xhtml", "svg", "xml", "fodt", "fods", "fodp"])
        || content_type.ends_with("+xml")
        || says(b"<html")
        || says(b"<!doctype html")
        || start.starts_with(b"<?xml")
    {
        return Kind::Html;
    }
    if has_extension(name, &["mht", "mhtml"]) && is_message(head) { Kind::Message } else { Kind::Text }
}

/// Two or more of the fields that begin a message.
fn is_message(head: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] =
        [b"received", b"from", b"to", b"subject", b"date", b"mime-version", b"message-id", b"return-path", b"content-type"];
    let fields = header::scan(head, 0..head.len()).fields;
    fields.iter().filter(|f| FIELDS.iter().any(|n| head[f.name.clone()].eq_ignore_ascii_case(n))).count() >= 2
}

/// Whether the first bytes read as text in some charset.
fn is_text(head: &[u8], content_type: &str) -> bool {
    if wide(head).is_some() {
        return true;
    }
    let odd = head.iter().filter(|b| matches!(b, 0..=8 | 14..=26 | 28..=31 | 127)).count();
    let nul = memchr::memchr(0, head).is_some();
    if content_type.starts_with("text/") { odd * 10 <= head.len() } else { !nul && odd * 100 <= head.len() }
}

/// UTF-16, by its mark or by where its zeros are.
fn wide(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    match bytes {
        [0xff, 0xfe, ..] => return Some(encoding_rs::UTF_16LE),
        [0xfe, 0xff, ..] => return Some(encoding_rs::UTF_16BE),
        _ => {}
    }
    let pairs = bytes[..bytes.len().min(512)].chunks_exact(2);
    let (mut even, mut odd, mut all) = (0, 0, 0);
    for pair in pairs {
        all += 1;
        even += usize::from(pair[0] == 0 && matches!(pair[1], 9 | 10 | 13 | 32..=126));
        odd += usize::from(pair[1] == 0 && matches!(pair[0], 9 | 10 | 13 | 32..=126));
    }
    match all {
        0..=3 => None,
        _ if odd * 10 >= all * 9 => Some(encoding_rs::UTF_16LE),
        _ if even * 10 >= all * 9 => Some(encoding_rs::UTF_16BE),
        _ => None,
    }
}

/// The text of a file: its mark, its shape, the declared charset, in this order.
pub fn text_of<'a>(charset: Option<&str>, bytes: &'a [u8]) -> Cow<'a, str> {
    match wide(bytes) {
        Some(encoding) => encoding.decode_with_bom_removal(bytes).0,
        None => words::charset_text(charset, bytes),
    }
}

pub fn has_extension(name: &str, any: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, e)| any.iter().any(|a| e.eq_ignore_ascii_case(a)))
}

/// Called a document, by name or by type.
pub fn promises_text(name: &str, content_type: &str) -> bool {
    has_extension(
        name,
        &[
            "doc", "docx", "docm", "dot", "dotx", "xls", "xlsx", "xlsm", "xlsb", "ppt", "pptx", "pps", "ppsx", "odt", "ods", "odp", "pdf",
            "rtf", "txt", "csv", "htm", "html", "eml", "msg", "vcf", "zip", "gz", "tgz", "tar", "pages", "numbers",
        ],
    ) || content_type.starts_with("application/vnd.openxmlformats")
        || content_type.starts_with("application/vnd.oasis")
        || content_type.starts_with("application/vnd.ms-excel")
        || content_type.starts_with("application/vnd.ms-powerpoint")
        || matches!(content_type, "application/pdf" | "application/msword" | "application/rtf" | "text/rtf" | "application/zip")
}

/// Called something that has no text.
pub fn promises_silence(name: &str, content_type: &str) -> bool {
    has_extension(
        name,
        &[
            "jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "heic", "mp3", "mp4", "mov", "avi", "wav", "ttf", "otf", "woff",
            "bin", "emf", "wmf",
        ],
    ) || ["image/", "audio/", "video/", "font/"].iter().any(|t| content_type.starts_with(t))
}
