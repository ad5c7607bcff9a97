//! Documents made here, so that what they say is known; and every kind of damage done to them.

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;

pub(super) fn zipped(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Deflated);
    for (name, bytes) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

const TYPES: &[u8] = b"<?xml version=\"1.0\"?><Types xmlns=\"x\"/>";

fn docx(paragraphs: &[String]) -> Vec<u8> {
    let mut body = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"w\"><w:body>");
    for paragraph in paragraphs {
        body.push_str("<w:p><w:pPr><w:tabs><w:tab w:val=\"left\"/></w:tabs></w:pPr>");
        // Word cuts a paragraph into runs wherever it likes.
        let middle = paragraph.floor_char_boundary(paragraph.len() / 2);
        for run in [&paragraph[..middle], &paragraph[middle..]] {
            body.push_str(&format!("<w:r><w:rPr><w:b/></w:rPr><w:t xml:space=\"preserve\">{}</w:t></w:r>", escaped(run)));
        }
        body.push_str("</w:p>");
    }
    body.push_str("</w:body></w:document>");
    zipped(&[("[Content_Types].xml", TYPES), ("word/document.xml", body.as_bytes())])
}

fn xlsx() -> Vec<u8> {
    zipped(&[
        ("[Content_Types].xml", TYPES),
        ("xl/workbook.xml", b"<workbook xmlns:r=\"r\"><sheets><sheet name=\"A\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"B\" sheetId=\"2\" state=\"hidden\" r:id=\"rId2\"/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", b"<Relationships><Relationship Id=\"rId1\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Target=\"/xl/worksheets/sheet2.xml\"/></Relationships>"),
        ("xl/worksheets/sheet1.xml", b"<worksheet><cols><col min=\"3\" max=\"3\" hidden=\"1\"/></cols><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>1</v></c><c r=\"B1\"><v>12345678</v></c><c r=\"C1\"><v>77</v></c></row><row r=\"2\" hidden=\"1\"><c r=\"A2\" t=\"inlineStr\"><is><t>unseen</t></is></c></row></sheetData><headerFooter><oddFooter>page foot</oddFooter></headerFooter></worksheet>"),
        ("xl/worksheets/sheet2.xml", b"<worksheet><sheetData><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row></sheetData></worksheet>"),
        ("xl/sharedStrings.xml", b"<sst><si><t>secret sheet</t></si><si><r><t>20-00</t></r><r><t>-00</t></r><rPh><t>sound</t></rPh></si></sst>"),
        ("xl/comments1.xml", b"<comments><commentList><comment><text><r><t>a comment</t></r></text></comment></commentList></comments>"),
    ])
}

fn pptx() -> Vec<u8> {
    zipped(&[
        ("[Content_Types].xml", TYPES),
        ("ppt/slides/slide1.xml", b"<p:sld><a:p><a:r><a:t>On the </a:t></a:r><a:r><a:t>slide</a:t></a:r></a:p></p:sld>"),
        ("ppt/slides/slide2.xml", b"<p:sld show=\"0\"><a:p><a:r><a:t>left out</a:t></a:r></a:p></p:sld>"),
        ("ppt/notesSlides/notesSlide1.xml", b"<p:notes><a:p><a:r><a:t>what to say</a:t></a:r></a:p></p:notes>"),
    ])
}

fn odt() -> Vec<u8> {
    zipped(&[
        ("mimetype", b"application/vnd.oasis.opendocument.text"),
        ("content.xml", b"<office:document-content xmlns:office=\"o\" xmlns:text=\"t\"><office:body><text:tracked-changes><text:p>old words</text:p></text:tracked-changes><text:p>One<text:s text:c=\"2\"/>two<text:tab/>three <text:a xlink:href=\"mailto:jo@gmail.com\">Jo</text:a></text:p><text:h>Head</text:h></office:body></office:document-content>"),
        ("styles.xml", b"<office:document-styles><style:header><text:p>letterhead</text:p></style:header></office:document-styles>"),
        ("META-INF/manifest.xml", b"<manifest:manifest/>"),
    ])
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A page of these lines, its stream packed, with a right cross-reference table.
fn pdf(lines: &[&str], font: &str) -> Vec<u8> {
    let mut content = String::from("BT /F1 12 Tf 72 720 Td 14 TL\n");
    for line in lines {
        content.push_str(&format!("({}) Tj T*\n", line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")));
    }
    content.push_str("ET");
    let packed = deflated(content.as_bytes());
    let mut out = b"%PDF-1.5\n".to_vec();
    let mut offsets = Vec::new();
    let mut object = |out: &mut Vec<u8>, body: &[u8]| {
        offsets.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", offsets.len()).as_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\nendobj\n");
    };
    object(&mut out, b"<< /Type /Catalog /Pages 2 0 R >>");
    object(&mut out, b"<< /Type /Pages /Kids [3 0 R] /Count 1 /Resources << /Font << /F1 4 0 R >> >> >>");
    object(&mut out, b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>");
    object(&mut out, font.as_bytes());
    let stream = [format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len()).as_bytes(), &packed, b"\nendstream"].concat();
    object(&mut out, &stream);
    object(&mut out, b"<< /MSIP_Label_AA-BB_Enabled (true) /MSIP_Label_AA-BB_SiteId (CC-DD) >>");
    let xref = out.len();
    out.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1).as_bytes());
    for offset in &offsets {
        out.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    out.extend_from_slice(
        format!("trailer << /Root 1 0 R /Info 6 0 R /Size {} >>\nstartxref\n{xref}\n%%EOF\n", offsets.len() + 1).as_bytes(),
    );
    out
}

const HELVETICA: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn documents_say_what_was_written() {
    for (name, file, text, hidden) in [
        ("a.docx", docx(&["Dear all,".into(), "£5 & <more>".into()]), "Dear all, £5 & <more>", ""),
        ("a.xlsx", xlsx(), "20-00-00 12345678 page foot a comment", "77 unseen secret sheet"),
        ("a.pptx", pptx(), "On the slide what to say", "left out"),
        ("a.odt", odt(), "One two three Jo Head letterhead", "old words jo@gmail.com"),
        ("a.pdf", pdf(&["First (line)", "second"], HELVETICA), "First (line) second", ""),
        ("a.rtf", br"{\rtf1 Rich \b text\par}".to_vec(), "Rich text", ""),
        ("a.csv", b"name,number\r\nJo,5".to_vec(), "name,number Jo,5", ""),
        ("a.txt", b"\xff\xfec\0a\0f\0\xe9\0".to_vec(), "café", ""),
        ("a.txt", b"caf\xe9".to_vec(), "café", ""),
        ("a.html", b"<html><p>Seen<p style='display:none'>not".to_vec(), "Seen", "not"),
        ("a.zip", zipped(&[("in/b.txt", b"in a zip"), ("c.docx", &docx(&["in a docx".into()]))]), "in a zip in a docx", ""),
        // Lying names: the bytes count.
        ("a.jpg", docx(&["a lie".into()]), "a lie", ""),
        ("a.docx", pdf(&["a lie"], HELVETICA), "a lie", ""),
    ] {
        let read = read_file(name, &file);
        assert_eq!((words_of(&read.text), words_of(&read.hidden)), (text.to_string(), hidden.to_string()), "{name}");
        assert_eq!(read.unreadable, [], "{name}");
    }
}

#[test]
fn gzip_and_tar_are_unpacked() {
    let mut header = [0u8; 512];
    header[..5].copy_from_slice(b"a.txt");
    header[124..135].copy_from_slice(b"00000000005");
    header[156] = b'0';
    header[257..262].copy_from_slice(b"ustar");
    let mut tar = [&header[..], b"hello"].concat();
    tar.resize(2_048, 0);
    assert_eq!(read_file("a.tar", &tar).text, "hello\n");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&tar).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(read_file("a.tgz", &packed).text, "hello\n");
    assert_eq!(read_file("a.tgz", &packed[..packed.len() - 9]).unreadable[0].why, Why::Damaged);
}

#[test]
fn what_has_no_text_is_no_failure() {
    for (name, content_type, bytes) in [
        ("a.jpg", "image/jpeg", &b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"[..]),
        ("a.png", "application/octet-stream", b"\x89PNG\r\n\x1a\n\0\0"),
        ("voice.m4a", "audio/mp4", b"\0\0\0\x20ftypM4A \0\0\0\0"),
        ("unknown", "application/octet-stream", b"\x01\x02\x03\x04\x05\0\0\0\0\xff\xff"),
        ("empty.docx", "", b""),
        ("blank.pdf", "", b"  \r\n"),
        ("smime.p7s", "application/pkcs7-signature", b"\x30\x82\x05\x00\x06\x09\x2a"),
    ] {
        let mut reader = Reader::default();
        reader.file(&File { name, content_type, charset: None, bytes, depth: 0 });
        assert_eq!(reader.finish(), Extracted::default(), "{name}");
    }
}

#[test]
fn failures_are_said() {
    let bomb = |size: usize| zipped(&[("a.txt", &vec![b'a'; size])]);
    let nested = (0..9).fold(docx(&["deep".into()]), |inner, i| zipped(&[(format!("{i}.zip").as_str(), &inner)]));
    for (name, file, why) in [
        ("a.docx", b"\x00\x01garbage\x00\x00".to_vec(), Why::Damaged),
        ("a.pdf", b"%PDF-1.4\nnothing more".to_vec(), Why::Damaged),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1short".to_vec(), Why::Damaged),
        ("a.zip", nested, Why::TooDeep),
        ("a.zip", bomb(40 << 20), Why::TooLarge),
        ("a.zip", zipped(&[("1.txt", &[b'a'; 3 << 20]), ("2.txt", &[b'b'; 3 << 20])]), Why::TooMuchText),
        ("a.rar", b"Rar!\x1a\x07\x01\0rest".to_vec(), Why::Format("RAR archives are not unpacked here")),
        ("a.docx", zipped(&[("[Content_Types].xml", TYPES), ("word/document.xml", b"<w:document><w:p><w:t>cut")]), Why::Damaged),
    ] {
        let read = read_file(name, &file);
        assert!(read.unreadable.iter().any(|u| u.why == why), "{name}: {why:?} but {:?}", read.unreadable);
    }
    // Each file is small enough, and all of them together are a bomb.
    let blanks = vec![b' '; 16 << 20];
    let many: Vec<(String, &[u8])> = (0..8).map(|i| (format!("{i}.docx"), &blanks[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(n, b)| (n.as_str(), *b)).collect();
    assert_eq!(read_file("a.zip", &zipped(&many)).unreadable, [Unreadable { name: "a.zip".into(), why: Why::Bomb }]);
    assert_eq!(read_file("tender.pdf", b"%PDF-1.4").unreadable[0].to_string(), "tender.pdf could not be read: it is damaged");
}

#[test]
fn labels_are_found() {
    let label = |file: &str, enabled| Label { file: file.into(), id: "aa-bb".into(), site_id: "cc-dd".into(), enabled };
    let custom = b"<Properties xmlns:vt=\"v\"><property name=\"MSIP_Label_AA-BB_Enabled\"><vt:lpwstr>true</vt:lpwstr></property><property name=\"MSIP_Label_AA-BB_SiteId\"><vt:lpwstr>CC-DD</vt:lpwstr></property><property name=\"Other\"><vt:lpwstr>x</vt:lpwstr></property></Properties>";
    let old = zipped(&[("[Content_Types].xml", TYPES), ("docProps/custom.xml", custom)]);
    assert_eq!(read_file("old.docx", &old).labels, [label("old.docx", true)]);
    for (attributes, enabled) in [("enabled=\"1\"", true), ("enabled=\"0\"", false), ("enabled=\"1\" removed=\"1\"", false), ("", false)] {
        let info =
            format!("<clbl:labelList xmlns:clbl=\"l\"><clbl:label id=\"{{AA-BB}}\" siteId=\"{{CC-DD}}\" {attributes}/></clbl:labelList>");
        let new = zipped(&[("[Content_Types].xml", TYPES), ("docMetadata/LabelInfo.xml", info.as_bytes())]);
        assert_eq!(read_file("new.xlsx", &new).labels, [label("new.xlsx", enabled)]);
    }
    assert_eq!(read_file("a.pdf", &pdf(&["x"], HELVETICA)).labels, [label("a.pdf", true)]);
}

fn message(parts: &str) -> Extracted {
    let raw = format!("From: a@x.uk\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHello\n{parts}--b--\n").replace('\n', "\r\n");
    View::new(raw.as_bytes()).documents().clone()
}

#[test]
fn messages_within_messages_are_read() {
    let inner = "From: Jo <jo@gmail.com>\nTo: Al <al@sky.com>\nSubject: =?utf-8?Q?Caf=C3=A9?=\nContent-Type: text/plain; charset=utf-8\n\nthe inner words\n";
    let expected = "From: Jo <jo@gmail.com>\nTo: Al <al@sky.com>\nSubject: Café\nthe inner words\n";
    let encoded: String = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(inner.replace('\n', "\r\n"))
    };
    for part in [
        format!("--b\nContent-Type: message/rfc822\n\n{inner}"),
        format!("--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}\n"),
        format!("--b\nContent-Type: application/octet-stream; name=x.eml\nContent-Transfer-Encoding: base64\n\n{encoded}\n"),
    ] {
        let read = message(&part);
        assert_eq!(read.text.replace('\r', "").trim_end(), expected.trim_end(), "{part}");
        assert_eq!(read.unreadable, []);
    }
}

#[test]
fn the_other_alternative_is_known() {
    let read = message(
        "--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain\n\nplain\n--c\nContent-Type: text/html\n\n<p>told only here\n--c--\n",
    );
    assert_eq!((read.alternative.trim(), read.text.as_str()), ("told only here", ""));
    let alone = View::new(b"Subject: x\r\n\r\nHello\r\n").documents().clone();
    assert_eq!(alone, Extracted::default());
}

/// winmail.dat with a body and a file under its long name.
#[test]
fn winmail_is_unwrapped() {
    let attribute = |level: u8, id: u16, kind: u16, content: &[u8]| {
        let sum = content.iter().fold(0u16, |s, b| s.wrapping_add(u16::from(*b)));
        [&[level][..], &id.to_le_bytes(), &kind.to_le_bytes(), &(content.len() as u32).to_le_bytes(), content, &sum.to_le_bytes()].concat()
    };
    let mut name = b"1\0\0\0\x1e\0\x07\x37".to_vec();
    name[0] = 1;
    name.extend_from_slice(&1u32.to_le_bytes());
    name.extend_from_slice(&14u32.to_le_bytes());
    name.extend_from_slice(b"long name.txt\0\0\0");
    let tnef = [
        &tnef::MAGIC[..],
        &[1, 0],
        &attribute(1, 0x800c, 2, b"the body\0"),
        &attribute(2, 0x9002, 6, &[0; 14]),
        &attribute(2, 0x8010, 1, b"LONGNA~1.TXT\0"),
        &attribute(2, 0x800f, 6, b"the file"),
        &attribute(2, 0x9005, 6, &name),
    ]
    .concat();
    let read = read_file("winmail.dat", &tnef);
    assert_eq!((read.text.as_str(), read.unreadable.as_slice()), ("the body\nthe file\n", &[][..]));
    assert_eq!(read_file("winmail.dat", &tnef[..tnef.len() - 20]).unreadable[0].why, Why::Damaged);
}

/// Type 0 with two-octet codes and a map; without the map nobody can tell the letters.
#[test]
fn fonts_say_their_letters_or_are_said_not_to() {
    let mapped = "<< /Type /Font /Subtype /Type1 /BaseFont /X /Encoding << /Differences [65 /eacute /f_i /zero] >> >>";
    assert_eq!(read_file("a.pdf", &pdf(&["ABC"], mapped)).text, "éfi0\n");
    let identity =
        "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< /Subtype /CIDFontType2 /DW 500 >>] >>";
    let read = read_file("a.pdf", &pdf(&["A page of sixty letters that cannot be told from their codes."], identity));
    assert_eq!(read.unreadable[0].why, Why::Format("its fonts do not say what their letters are"));
}

fn all_made() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a.docx", docx(&["One two three.".into(), "Four five six, seven eight.".into()])),
        ("a.xlsx", xlsx()),
        ("a.pptx", pptx()),
        ("a.odt", odt()),
        ("a.pdf", pdf(&["One line of text", "and another"], HELVETICA)),
        ("a.rtf", br"{\rtf1\ansi Rich text that goes on for a while\par and ends}".to_vec()),
        ("a.zip", zipped(&[("b.txt", b"text in a zip"), ("c.docx", &docx(&["x".into()]))])),
    ]
}

#[test]
fn what_is_cut_off_is_read_whole_or_said() {
    for (name, file) in all_made() {
        let whole = read_file(name, &file);
        assert_eq!(whole.unreadable, [], "{name}");
        // In fewer octets than this nobody can tell what it was.
        for part in (1..20).filter(|part| file.len() * part / 20 >= 8) {
            let cut = read_file(name, &file[..file.len() * part / 20]);
            assert!(cut.text == whole.text || !cut.unreadable.is_empty(), "{name} at {part}/20: {:?}", cut.text);
        }
    }
}

/// What is small in the mail and asks for much work: each is done with in a moment, or said to be too much.
#[test]
fn hostile_documents_take_bounded_work() {
    let fonts: String = (0..20_000).map(|i| format!("/F{i} 4 0 R ")).collect();
    let names = "/eacute ".repeat(20_000);
    let content = deflated("/F1 1 Tf /X Do ".repeat(200_000).as_bytes());
    let stream = |dictionary: &str, bytes: &[u8]| {
        [format!("<< /Length {} {dictionary} >>\nstream\n", bytes.len()).as_bytes(), bytes, b"\nendstream"].concat()
    };
    let page = format!("<< /Type /Page /Contents 5 0 R /Resources << /Font << {fonts} >> /XObject << /X 6 0 R >> >> >>");
    let mut file = b"%PDF-1.4\n".to_vec();
    for (number, body) in [
        (1, b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()),
        (2, b"<< /Type /Pages /Kids [3 0 R] >>".to_vec()),
        (3, page.into_bytes()),
        (4, format!("<< /Type /Font /Subtype /Type1 /Encoding << /Differences [0 {names}] >> >>").into_bytes()),
        (5, stream("/Filter /FlateDecode", &content)),
        // A form that draws itself.
        (6, stream("/Subtype /Form /Resources << /XObject << /X 6 0 R >> >>", b"/X Do /X Do")),
    ] {
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(&body);
        file.extend_from_slice(b"\nendobj\n");
    }
    file.extend_from_slice(b"trailer << /Root 1 0 R >>\n%%EOF\n");
    assert!(read_file("a.pdf", &file).unreadable.iter().any(|u| u.why == Why::Bomb));
    let open = format!("%PDF-1.4\n{}", (0..50_000).map(|i| format!("{i} 0 obj (")).collect::<String>());
    assert!(!read_file("a.pdf", open.as_bytes()).unreadable.is_empty());
    let strings = zipped(&[
        ("[Content_Types].xml", TYPES),
        ("xl/workbook.xml", b"<workbook/>"),
        ("xl/sharedStrings.xml", "<si/>".repeat(2_000_000).as_bytes()),
    ]);
    read_file("a.xlsx", &strings);
}

proptest! {
    /// The second implementation is what was written.
    #[test]
    fn word_documents_say_what_was_put_in(paragraphs in proptest::collection::vec("[ -~£é€\u{4e00}]{0,60}", 0..8)) {
        let read = read_file("a.docx", &docx(&paragraphs));
        prop_assert_eq!(&read.unreadable, &[]);
        let mut expected: String = paragraphs.iter().map(|p| format!("{p}\n")).collect();
        expected.push('\n');
        prop_assert_eq!(read.text, expected);
    }

    #[test]
    fn pdf_pages_say_what_was_put_in(lines in proptest::collection::vec("[!-~][ -~]{0,60}", 1..8)) {
        let lines: Vec<&str> = lines.iter().map(|l| l.trim_end()).collect();
        let read = read_file("a.pdf", &pdf(&lines, HELVETICA));
        prop_assert_eq!(&read.unreadable, &[]);
        prop_assert_eq!(read.text, lines.iter().map(|l| format!("{l}\n")).collect::<String>());
    }

    /// Any octets, and any octets in the middle of a document, are read or said not to be; nothing panics, and text is bounded.
    #[test]
    fn any_octets_are_harmless(which in 0usize..7, at in 0usize..4_000, noise in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (name, mut file) = all_made().swap_remove(which);
        let at = at % file.len();
        let end = (at + noise.len()).min(file.len());
        file.splice(at..end, noise.iter().copied());
        read_file(name, &file);
        let head = file.len().min(8);
        read_file(name, &[&file[..head], &noise[..]].concat());
        for magic in [&b"%PDF-1.4\n"[..], b"{\\rtf1 ", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"\x78\x9f\x3e\x22\0\0", b"\x1f\x8b\x08"] {
            read_file("x", &[magic, &noise].concat());
        }
    }
}

/// A PDF of one page with these further objects, from number 4 on; the page uses font 4 and shows stream 5.
fn pdf_of(objects: &[(u32, Vec<u8>)], contents: &str) -> Vec<u8> {
    let page = format!("<< /Type /Page /Contents {contents} /Resources << /Font << /F 4 0 R >> >> >>");
    let mut file = b"%PDF-1.4\n".to_vec();
    let first =
        [(1, b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()), (2, b"<< /Type /Pages /Kids [3 0 R] >>".to_vec()), (3, page.into_bytes())];
    for (number, body) in first.iter().chain(objects) {
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(body);
        file.extend_from_slice(b"\nendobj\n");
    }
    file.extend_from_slice(b"trailer << /Root 1 0 R >>\n%%EOF\n");
    file
}

fn pdf_stream(dictionary: &str, bytes: &[u8]) -> Vec<u8> {
    [format!("<< /Length {} {dictionary} >>\nstream\n", bytes.len()).as_bytes(), bytes, b"\nendstream"].concat()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "work without bound would take hours: this ends as a failure")]
fn hostile_fonts_and_streams_take_bounded_work() {
    let started = std::time::Instant::now();
    let shown = (5, pdf_stream("", b"/F 1 Tf (AB) Tj"));
    // Ranges that all map the same codes.
    let ranges = format!("{} endbfrange", "<0000> <ffff> <0041> ".repeat(90_000));
    let map = (6, pdf_stream("/Filter /FlateDecode", &deflated(ranges.as_bytes())));
    let font = |more: &str| (4, format!("<< /Type /Font {more} >>").into_bytes());
    read_file("a.pdf", &pdf_of(&[font("/Subtype /Type0 /ToUnicode 6 0 R"), shown.clone(), map], "5 0 R"));
    let widths = "0 65535 9 ".repeat(60_000);
    let widths = (7, format!("<< /W [{widths}] >>").into_bytes());
    read_file("a.pdf", &pdf_of(&[font("/Subtype /Type0 /DescendantFonts [7 0 R]"), shown.clone(), widths], "5 0 R"));
    // A code beyond all codes.
    read_file("a.pdf", &pdf_of(&[font("/Subtype /Type1 /Encoding << /Differences [1e300 /A /B] >>"), shown], "5 0 R"));
    // One code that stands for many letters, shown over and over by one operator.
    let letters = format!("1 beginbfchar <41> <{}> endbfchar", "0042".repeat(64));
    let many = format!("/F 1 Tf [{}] TJ", format!("({}) ", "A".repeat(1 << 20)).repeat(20));
    let objects = [
        font("/Subtype /Type1 /ToUnicode 6 0 R"),
        (5, pdf_stream("/Filter /FlateDecode", &deflated(many.as_bytes()))),
        (6, pdf_stream("", letters.as_bytes())),
    ];
    let read = read_file("a.pdf", &pdf_of(&objects, "5 0 R"));
    assert!(read.text.len() <= budget::MAX_TEXT + 1 && read.unreadable.iter().any(|u| u.why == Why::TooMuchText));
    // A page that is the same stream many times, which comes to nothing.
    let nothing = [&[0x78, 0x9c][..], &[0, 0, 0, 0xff, 0xff].repeat(400_000)].concat();
    let contents = format!("[{}]", "5 0 R ".repeat(10_000));
    read_file("a.pdf", &pdf_of(&[font(""), (5, pdf_stream("/Filter /FlateDecode", &nothing))], &contents));
    // References into one long run of blanks.
    let kids: String = (100..20_000).map(|i| format!("{i} 0 R ")).collect();
    let mut file = format!("%PDF-1.4\n1 0 obj << /Type /Catalog /Pages 2 0 R >>\n2 0 obj << /Type /Pages /Kids [{kids}] >>\n").into_bytes();
    let blanks = file.len();
    file.extend_from_slice(&b" ".repeat(4 << 20));
    let table = file.len();
    file.extend_from_slice(b"xref\n100 19900\n");
    file.extend_from_slice(format!("{blanks:010} 00000 n \n").repeat(19_900).as_bytes());
    file.extend_from_slice(b"1 2\n0000000009 00000 n \n0000000057 00000 n \n");
    file.extend_from_slice(format!("trailer << /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").as_bytes());
    assert!(!read_file("a.pdf", &file).unreadable.is_empty());
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "work without bound would take hours: this ends as a failure")]
fn a_lost_list_of_contents_is_looked_for_once() {
    // Every file says that its size stands behind it, and it does not.
    let started = std::time::Instant::now();
    let one = [b"PK\x03\x04\x14\0\x08\0\x63\0".as_slice(), &[0; 16], &[1, 0, 0, 0, b'a']].concat();
    let file = [one.repeat(9_000), vec![b'P'; 16 << 20]].concat();
    assert!(!read_file("a.zip", &file).unreadable.is_empty());
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[test]
fn long_text_without_a_line_is_cut_and_said() {
    let rtf = [br"{\rtf1\ansi\ansicpg1251 ".as_slice(), &vec![0xcf; 3 << 20], b"}"].concat();
    let read = read_file("a.rtf", &rtf);
    assert!(read.text.starts_with("ПП") && read.unreadable.iter().any(|u| u.why == Why::TooMuchText));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "work without bound would take hours: this ends as a failure")]
fn many_locked_documents_are_not_all_tried() {
    let docx: &[u8] = include_bytes!("../protection/fixtures/password.docx");
    let names: Vec<String> = (0..400).map(|i| format!("{i}.docx")).collect();
    let many = zipped(&names.iter().map(|n| (n.as_str(), docx)).collect::<Vec<_>>());
    let started = std::time::Instant::now();
    read_file("a.zip", &many);
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
