//! Compound files ([MS-CFB]): the documents of Office before 2007, Outlook's saved messages, and objects within documents.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::budget::{Budget, MAX_MEMBER};
use super::labels::{self, Label};
use super::{File, Reader, Why, rtf};
use crate::message::text::{self, Lines};
use crate::message::words;

/// Streams by their paths, as far as they are of use here.
type Streams = BTreeMap<String, Vec<u8>>;

const MAX_STREAMS: usize = 4_000;

impl Reader {
    pub(super) fn compound(&mut self, file: &File<'_>) -> Result<(), Why> {
        let budget = &mut self.budget;
        // The library checks what it reads; a defect in it must not cost more than this one file.
        let (mut streams, fault) = catch_unwind(AssertUnwindSafe(|| open(file.bytes, budget))).unwrap_or(Err(Why::Damaged))?;
        self.out.labels.extend(labels_of(file.name, &streams));
        if streams.contains_key("/EncryptedPackage") {
            // Not protected, or it would not come here: Excel's own password opens it.
            return Err(Why::OpenSecret);
        }
        let result = if let Some(main) = streams.remove("/WordDocument") {
            self.word_document(&main, &streams)
        } else if let Some(book) = streams.remove("/Workbook").or_else(|| streams.remove("/Book")) {
            self.workbook(&book)
        } else if let Some(show) = streams.remove("/PowerPoint Document") {
            self.presentation(&show);
            Ok(())
        } else if streams.keys().any(|p| p.starts_with("/__properties_version1.0") || p.starts_with("/__substg1.0_")) {
            self.saved_message(file, &streams)
        } else if let Some(package) = streams.remove("/Package").or_else(|| streams.remove("/CONTENTS")) {
            self.file(&File { name: file.name, content_type: "", charset: None, bytes: &package, depth: file.depth + 1 });
            Ok(())
        } else if let Some((name, content)) = streams.get("/\u{1}Ole10Native").and_then(|s| native(s)) {
            self.file(&File { name: &name, content_type: "", charset: None, bytes: content, depth: file.depth + 1 });
            Ok(())
        } else if super::kind::promises_text(file.name, file.content_type) {
            Err(Why::Damaged)
        } else {
            Ok(())
        };
        fault.map_or(result, Err)
    }

    /// The pieces of a Word document in their order ([MS-DOC] §2.4.1).
    fn word_document(&mut self, main: &[u8], streams: &Streams) -> Result<(), Why> {
        let text = word_text(main, streams).ok_or(Why::Damaged)?;
        let (mut seen, mut hidden) = (String::with_capacity(text.len()), String::new());
        let mut fields: Vec<bool> = Vec::new();
        for c in text.chars() {
            let out = if fields.iter().any(|instruction| *instruction) { &mut hidden } else { &mut seen };
            match c {
                // A field: its instruction, and behind the mark what it shows.
                '\u{13}' if fields.len() < 64 => fields.push(true),
                '\u{14}' => {
                    if let Some(last) = fields.last_mut() {
                        *last = false;
                        out.push('\n');
                    }
                }
                '\u{15}' => {
                    fields.pop();
                }
                '\r' | '\u{b}' | '\u{c}' | '\u{e}' => out.push('\n'),
                '\u{7}' | '\t' => out.push('\t'),
                '\u{1e}' => out.push('-'),
                c if c.is_control() => {}
                c => out.push(c),
            }
        }
        self.seen(&seen);
        self.seen("\n");
        self.hidden(&hidden);
        Ok(())
    }

    /// Text atoms of slides and notes, wherever they stand ([MS-PPT] §2.9.42, §2.9.44).
    fn presentation(&mut self, show: &[u8]) {
        const TEXT_CHARS: u16 = 0x0fa0;
        const TEXT_BYTES: u16 = 0x0fa8;
        const C_STRING: u16 = 0x0fba;
        let mut at = 0usize;
        while let Some(head) = show.get(at..at + 8) {
            let (version, kind) = (head[0] & 0x0f, u16::from_le_bytes([head[2], head[3]]));
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            at += 8;
            if version == 0x0f {
                continue;
            }
            let end = at.saturating_add(size).min(show.len());
            let content = &show[at..end];
            let text = match kind {
                TEXT_CHARS | C_STRING => encoding_rs::UTF_16LE.decode_without_bom_handling(content).0,
                TEXT_BYTES => encoding_rs::WINDOWS_1252.decode_without_bom_handling(content).0,
                _ => {
                    at = end;
                    continue;
                }
            };
            let text: String = text
                .chars()
                .map(|c| if matches!(c, '\r' | '\u{b}') { '\n' } else { c })
                .filter(|c| *c == '\n' || !c.is_control())
                .collect();
            if kind == C_STRING {
                self.hidden(&text);
                self.hidden("\n");
            } else {
                self.seen(&text);
                self.seen("\n");
            }
            at = end;
        }
    }

    /// An Outlook message ([MS-OXMSG]): each storage has its properties in streams named by tag and type.
    fn saved_message(&mut self, file: &File<'_>, streams: &Streams) -> Result<(), Why> {
        let mut attached: BTreeMap<&str, (String, &[u8])> = BTreeMap::new();
        for (path, content) in streams {
            let (storage, name) = path.rsplit_once('/').unwrap_or(("", path));
            let Some((tag, kind)) =
                name.strip_prefix("__substg1.0_").filter(|n| n.len() >= 8).and_then(|n| Some((n.get(..4)?, n.get(4..8)?)))
            else {
                continue;
            };
            let text = || match kind {
                "001F" => encoding_rs::UTF_16LE.decode_without_bom_handling(content).0.into_owned(),
                _ => words::eight_bit(content).into_owned(),
            };
            let in_attachment = storage.rsplit('/').next().is_some_and(|s| s.starts_with("__attach"));
            match tag {
                "3707" | "3704" if in_attachment => {
                    let slot = attached.entry(storage).or_default();
                    if slot.0.is_empty() || tag == "3707" {
                        slot.0 = text();
                    }
                }
                "3701" if in_attachment && kind == "0102" => attached.entry(storage).or_default().1 = content,
                // Subject, sender, recipients as shown, and the body.
                "0037" | "0C1A" | "0C1F" | "5D01" | "0E03" | "0E04" | "1000" | "39FE" | "3003" if matches!(kind, "001F" | "001E") => {
                    self.seen(&text());
                    self.seen("\n");
                }
                "1013" => {
                    let rendered = text::render(&words::eight_bit(content), Lines::Collapse);
                    self.seen(&rendered.text);
                    self.seen("\n");
                    self.hidden(&rendered.hidden);
                }
                "1009" => {
                    if let Some(rtf) = rtf::decompress(content) {
                        self.budget.unpacked(rtf.len());
                        let _ = self.rtf(&rtf);
                        self.seen("\n");
                    }
                }
                _ => {}
            }
        }
        for (name, content) in attached.into_values() {
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            self.file(&File { name: &name, content_type: "", charset: None, bytes: content, depth: file.depth + 1 });
        }
        Ok(())
    }
}

fn open(file: &[u8], budget: &mut Budget) -> Result<(Streams, Option<Why>), Why> {
    let mut container = cfb::CompoundFile::open(Cursor::new(file)).map_err(|_| Why::Damaged)?;
    let paths: Vec<(String, u64)> = container
        .walk()
        .filter(|e| e.is_stream())
        .take(MAX_STREAMS)
        .map(|e| (e.path().to_string_lossy().replace('\\', "/"), e.len()))
        .collect();
    let mut out = Streams::new();
    let mut fault = None;
    for (path, size) in paths {
        let name = path.rsplit('/').next().unwrap_or_default();
        let wanted = matches!(
            name,
            "WordDocument"
                | "0Table"
                | "1Table"
                | "Workbook"
                | "Book"
                | "PowerPoint Document"
                | "Package"
                | "CONTENTS"
                | "\u{1}Ole10Native"
                | "\u{5}DocumentSummaryInformation"
                | "EncryptedPackage"
        ) || name.starts_with("__substg1.0_")
            || name.starts_with("__properties");
        if !wanted {
            continue;
        }
        let limit = MAX_MEMBER.min(budget.unpacked_left());
        // The size is what the directory says; what is there may be less.
        if size > limit as u64 {
            fault = Some(if limit < MAX_MEMBER { Why::Bomb } else { Why::TooLarge });
        }
        let mut bytes = Vec::new();
        let read = container.open_stream(&path).and_then(|s| s.take(limit as u64).read_to_end(&mut bytes));
        if read.is_err() {
            fault = Some(Why::Damaged);
        }
        budget.unpacked(bytes.len());
        out.insert(path, bytes);
    }
    Ok((out, fault))
}

/// All text of a Word document, by its piece table; of Word 6 and 95 by where it starts and ends.
fn word_text(main: &[u8], streams: &Streams) -> Option<String> {
    if u16_at(main, 0)? == 0xa5dc {
        let (from, to) = (u32_at(main, 0x18)? as usize, u32_at(main, 0x1c)? as usize);
        return Some(encoding_rs::WINDOWS_1252.decode_without_bom_handling(main.get(from..to)?).0.into_owned());
    }
    let table = streams.get(if u16_at(main, 10)? & 0x0200 != 0 { "/1Table" } else { "/0Table" })?;
    let (start, size) = (u32_at(main, 0x1a2)? as usize, u32_at(main, 0x1a6)? as usize);
    let mut clx = table.get(start..start.checked_add(size)?)?;
    // Properties come first.
    while let [1, a, b, rest @ ..] = clx {
        clx = rest.get(usize::from(u16::from_le_bytes([*a, *b]))..)?;
    }
    let [2, rest @ ..] = clx else { return None };
    let pieces = rest.get(4..4 + u32_at(rest, 0)? as usize)?;
    let count = pieces.len().checked_sub(4)? / 12;
    let mut out = String::new();
    for i in 0..count {
        let (from, to) = (u32_at(pieces, i * 4)?, u32_at(pieces, i * 4 + 4)?);
        let length = to.checked_sub(from)? as usize;
        let place = u32_at(pieces, (count + 1) * 4 + i * 8 + 2)?;
        let offset = (place & 0x3fff_ffff) as usize;
        let text = if place & 0x4000_0000 != 0 {
            let offset = offset / 2;
            encoding_rs::WINDOWS_1252.decode_without_bom_handling(main.get(offset..offset.checked_add(length)?)?).0
        } else {
            encoding_rs::UTF_16LE.decode_without_bom_handling(main.get(offset..offset.checked_add(length.checked_mul(2)?)?)?).0
        };
        // Pieces may name the same text many times.
        if out.len() + text.len() > super::budget::MAX_TEXT + 1 {
            out.push_str(&text[..text.floor_char_boundary(super::budget::MAX_TEXT + 1 - out.len())]);
            break;
        }
        out.push_str(&text);
    }
    Some(out)
}

/// A file that was dropped into a document: its name and content.
fn native(stream: &[u8]) -> Option<(String, &[u8])> {
    let text = |at: usize| {
        let rest = stream.get(at..)?;
        let end = memchr::memchr(0, &rest[..rest.len().min(1_024)])?;
        Some((&rest[..end], at + end + 1))
    };
    let (label, next) = text(6)?;
    let (_, next) = text(next)?;
    let (_, next) = text(next + 8)?;
    let size = u32_at(stream, next)? as usize;
    let content = stream.get(next + 4..)?;
    Some((words::eight_bit(label).into_owned(), &content[..content.len().min(size)]))
}

/// Custom properties of the old formats ([MS-OLEPS] §2.21): a dictionary of names, and values by number.
fn labels_of(file: &str, streams: &Streams) -> Vec<Label> {
    let mut pairs = labels::Pairs::default();
    if let Some(set) = streams.get("/\u{5}DocumentSummaryInformation") {
        let _ = custom_properties(set, &mut pairs);
    }
    pairs.labels(file)
}

fn custom_properties(set: &[u8], pairs: &mut labels::Pairs) -> Option<()> {
    // The second section is the user's.
    if u32_at(set, 24)? < 2 {
        return None;
    }
    let section = set.get(u32_at(set, 64)? as usize..)?;
    let count = u32_at(section, 4)?.min(1_000) as usize;
    let offset_of =
        |id: u32| (0..count).find(|i| u32_at(section, 8 + i * 8) == Some(id)).and_then(|i| u32_at(section, 12 + i * 8)).map(|o| o as usize);
    let page = offset_of(1).and_then(|at| u16_at(section, at + 4)).unwrap_or(1252);
    let mut at = offset_of(0)?;
    let names = u32_at(section, at)?.min(1_000);
    at += 4;
    for _ in 0..names {
        let (id, length) = (u32_at(section, at)?, u32_at(section, at + 4)? as usize);
        at += 8;
        let size = if page == 1200 { length.checked_mul(2)?.checked_next_multiple_of(4)? } else { length };
        let name = string(section.get(at..at.checked_add(size)?)?, page == 1200);
        at += size;
        let Some(value) = offset_of(id) else { continue };
        let text = match u16_at(section, value)? {
            0x0b => if u16_at(section, value + 4) == Some(0) { "false" } else { "true" }.to_string(),
            kind @ (0x1e | 0x1f) => {
                let wide = kind == 0x1f || page == 1200;
                let length = u32_at(section, value + 4)? as usize * if kind == 0x1f { 2 } else { 1 };
                string(section.get(value + 8..(value + 8).checked_add(length)?)?, wide)
            }
            _ => continue,
        };
        pairs.add(&name, &text);
    }
    Some(())
}

fn string(octets: &[u8], wide: bool) -> String {
    let text = if wide { encoding_rs::UTF_16LE.decode_without_bom_handling(octets).0 } else { words::eight_bit(octets) };
    text.split('\0').next().unwrap_or_default().to_string()
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}
