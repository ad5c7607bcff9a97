//! Text in documents: what was written into a document is read, in its order; what its readers do not see is kept apart; any octets
//! cost a bounded amount.

use std::io::{Cursor, Write};

use lychgate::message::document::read_file;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "documents",
    run,
    seeds: || {
        let mut seeds = super::texts(&["\u{1}abcdefghijklmnop", "\u{1}\u{1}abcdefghijklmnop", "\u{1}\u{2}abcdefghijklmnop", "\u{1}\u{3}abcdefghij", "\u{1}\u{4}abcdefg", "{\\rtf1 hello {\\v hidden} world}", "%PDF-1.4\n"]);
        seeds.push(word(&[("Hello", false), ("there", true)], true));
        seeds.push(pdf(&["Hello"]));
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
    for name in ["file.docx", "file.pdf", "file"] {
        let read = read_file(name, file);
        assert_eq!(read_file(name, file), read);
        assert!(read.text.len() + read.hidden.len() <= 16 << 20, "{} octets", read.text.len());
        for file in &read.unreadable {
            assert!(!file.name.contains(char::is_control), "{:?}", file.name);
        }
    }
}

fn packed(members: &[(&str, &str)], deflate: bool) -> Vec<u8> {
    let method = if deflate { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("a member");
        writer.write_all(content.as_bytes()).expect("its content");
    }
    writer.finish().expect("an archive").into_inner()
}

/// Words, each in a paragraph of its own, some of them with hidden text's property.
fn word(words: &[(&str, bool)], deflate: bool) -> Vec<u8> {
    let mut body = String::new();
    for (word, hidden) in words {
        let property = if *hidden { "<w:rPr><w:vanish/></w:rPr>" } else { "" };
        body.push_str(&format!("<w:p><w:r>{property}<w:t xml:space=\"preserve\">{word}</w:t></w:r></w:p>"));
    }
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    );
    let types = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/word/document.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml\"/></Types>";
    let relations = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"word/document.xml\"/></Relationships>";
    packed(&[("[Content_Types].xml", types), ("_rels/.rels", relations), ("word/document.xml", &document)], deflate)
}

fn open_text(words: &[&str], deflate: bool) -> Vec<u8> {
    let paragraphs: String = words.iter().map(|w| format!("<text:p>{w}</text:p>")).collect();
    let content = format!(
        "<?xml version=\"1.0\"?><office:document-content xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\" xmlns:text=\"urn:oasis:names:tc:opendocument:xmlns:text:1.0\"><office:body><office:text>{paragraphs}</office:text></office:body></office:document-content>"
    );
    packed(&[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", &content)], deflate)
}

/// One page, a word a line, in a font that needs no table.
fn pdf(words: &[&str]) -> Vec<u8> {
    let lines: String = words.iter().map(|w| format!("({w}) Tj 0 -20 Td\n")).collect();
    let stream = format!("BT /F1 12 Tf 50 700 Td\n{lines}ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_string(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_string(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>".to_string(),
        format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_string(),
    ];
    let mut out = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(out.len());
        out.push_str(&format!("{} 0 obj\n{object}\nendobj\n", i + 1));
    }
    let xref = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    offsets.iter().for_each(|o| out.push_str(&format!("{o:010} 00000 n \n")));
    out.push_str(&format!("trailer << /Size {} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

fn built(input: &mut Input<'_>) {
    let kind = input.below(6);
    let deflate = input.flag();
    let words: Vec<(String, bool)> = (0..1 + input.below(12))
        .map(|i| {
            // Numbered, so that each is told from the others.
            let word = if kind == 2 { input.letters(8) } else { input.word().to_string() };
            (format!("{word}{i}"), kind == 0 && input.below(4) == 3)
        })
        .collect();
    let all: Vec<&str> = words.iter().map(|(w, _)| w.as_str()).collect();
    let flagged: Vec<(&str, bool)> = words.iter().map(|(w, h)| (w.as_str(), *h)).collect();
    let (name, file) = match kind {
        0 => ("minutes.docx", word(&flagged, deflate)),
        1 => ("minutes.odt", open_text(&all, deflate)),
        2 => ("minutes.pdf", pdf(&all)),
        3 => ("minutes.txt", all.join("\r\n").into_bytes()),
        4 => ("minutes.csv", all.join(",").into_bytes()),
        _ => ("minutes.zip", packed(&[("folder/minutes.txt", &all.join("\n"))], deflate)),
    };
    let read = read_file(name, &file);
    assert_eq!(read.unreadable, [], "{name}");
    let mut at = 0;
    for (word, hidden) in &words {
        let (text, from) = if *hidden { (&read.hidden, 0) } else { (&read.text, at) };
        match text[from..].find(word.as_str()) {
            Some(found) if !*hidden => at = from + found + word.len(),
            Some(_) => {}
            None => panic!("{word} of {name} is not read: {read:?}"),
        }
        assert!(!*hidden || !read.text.contains(word.as_str()), "{word} is hidden: {:?}", read.text);
    }
}
