//! Sheets of a workbook, row by row, so that what stands side by side is read side by side (ECMA-376 part 1 §18).

use std::collections::{HashMap, HashSet};

use super::budget::{Budget, MAX_STRINGS, MAX_TEXT};
use super::xml::{self, Piece};
use super::zip::Archive;
use super::{Reader, Why};

/// What the sheets of one workbook share.
#[derive(Default)]
pub struct Book {
    strings: Vec<String>,
    /// Parts of sheets that are hidden, in lower case.
    hidden: HashSet<String>,
    /// The part that holds the strings.
    strings_part: Option<String>,
    binary: bool,
}

impl Book {
    pub fn open(archive: &Archive<'_>, budget: &mut Budget) -> Book {
        let mut book =
            Book { binary: archive.entries.iter().any(|e| e.name.to_ascii_lowercase().ends_with("workbook.bin")), ..Book::default() };
        if !archive.entries.iter().any(|e| e.name.to_ascii_lowercase().ends_with("workbook.xml")) {
            return book;
        }
        let ends = |end: &str| archive.entries.iter().find(|e| e.name.to_ascii_lowercase().ends_with(end) && !e.encrypted);
        if let (Some(workbook), Some(relations)) = (ends("workbook.xml"), ends("workbook.xml.rels")) {
            let folder = workbook.name.rsplit_once('/').map_or("", |(f, _)| f);
            book.read_hidden(&archive.unpack(workbook, budget).0, &archive.unpack(relations, budget).0, folder);
        }
        if let Some(strings) = ends("sharedstrings.xml") {
            let (xml, fault) = archive.unpack(strings, budget);
            // What is damaged is read again as text, and said.
            if fault.is_none() && book.read_strings(&xml).is_ok() {
                book.strings_part = Some(strings.name.clone());
            }
        }
        book
    }

    pub fn has_read(&self, part: &str) -> bool {
        self.strings_part.as_deref() == Some(part)
    }

    pub fn is_binary(&self) -> bool {
        self.binary
    }

    fn read_hidden(&mut self, workbook: &[u8], relations: &[u8], folder: &str) {
        let mut hidden = HashSet::new();
        let _ = xml::each(workbook, |piece| {
            if let Piece::Start { name: "sheet", element, .. } = piece
                && xml::attribute(element, "state").is_some_and(|s| matches!(&*s, "hidden" | "veryHidden"))
            {
                // `r:id`, not `sheetId`.
                hidden.extend(xml::attribute(element, "id").map(|id| id.into_owned()));
            }
        });
        let mut targets = HashMap::new();
        let _ = xml::each(relations, |piece| {
            if let Piece::Start { name: "Relationship", element, .. } = piece
                && let (Some(id), Some(target)) = (xml::attribute(element, "Id"), xml::attribute(element, "Target"))
            {
                targets.insert(id.into_owned(), target.into_owned());
            }
        });
        for target in hidden.iter().filter_map(|id| targets.get(id)) {
            let path = match target.strip_prefix('/') {
                Some(absolute) => absolute.to_string(),
                None if folder.is_empty() => target.clone(),
                None => format!("{folder}/{target}"),
            };
            self.hidden.insert(path.to_ascii_lowercase());
        }
    }

    fn read_strings(&mut self, xml: &[u8]) -> Result<(), Why> {
        let mut current = String::new();
        let (mut text, mut phonetic, mut kept) = (false, 0u32, 0usize);
        xml::each(xml, |piece| match piece {
            Piece::Start { name: "si", empty, .. } => {
                current.clear();
                if empty && self.strings.len() < MAX_STRINGS {
                    self.strings.push(String::new());
                }
            }
            Piece::Start { name: "t", empty: false, .. } => text = true,
            Piece::Start { name: "rPh", empty: false, .. } => phonetic += 1,
            Piece::End { name: "rPh" } => phonetic = phonetic.saturating_sub(1),
            Piece::End { name: "t" } => text = false,
            Piece::End { name: "si" } => {
                kept += current.len();
                if self.strings.len() < MAX_STRINGS {
                    self.strings.push(std::mem::take(&mut current));
                }
            }
            // More than this will not be shown anyway.
            Piece::Text(piece) if text && phonetic == 0 && kept + current.len() < MAX_TEXT => current.push_str(piece),
            _ => {}
        })
    }
}

impl Reader {
    pub(super) fn worksheet(&mut self, book: &Book, part: &str, xml: &[u8]) -> Result<(), Why> {
        let all_hidden = book.hidden.contains(&part.to_ascii_lowercase());
        let mut columns: Vec<(u32, u32)> = Vec::new();
        let (mut row_hidden, mut cell_hidden, mut shared, mut reading) = (false, false, false, false);
        let mut column = 0u32;
        let mut value = String::new();
        let result = xml::each(xml, |piece| match piece {
            Piece::Start { name: "col", element, .. } if columns.len() < 64 => {
                let number = |name: &str| xml::attribute(element, name).and_then(|v| v.parse().ok()).unwrap_or(0);
                if xml::attribute(element, "hidden").is_some_and(|v| matches!(&*v, "1" | "true")) {
                    columns.push((number("min"), number("max")));
                }
            }
            Piece::Start { name: "row", element, .. } => {
                row_hidden = xml::attribute(element, "hidden").is_some_and(|v| matches!(&*v, "1" | "true"));
                column = 0;
            }
            Piece::Start { name: "c", element, .. } => {
                column = xml::attribute(element, "r").and_then(|r| column_of(&r)).unwrap_or(column + 1);
                cell_hidden = columns.iter().any(|(min, max)| (*min..=*max).contains(&column));
                shared = xml::attribute(element, "t").is_some_and(|t| &*t == "s");
                value.clear();
            }
            Piece::Start {
                name: "v" | "t" | "oddHeader" | "oddFooter" | "evenHeader" | "evenFooter" | "firstHeader" | "firstFooter",
                empty: false,
                ..
            } => {
                reading = true;
                value.clear();
            }
            Piece::Text(text) if reading && value.len() < MAX_TEXT => value.push_str(text),
            Piece::End { name: "v" | "t" } => {
                reading = false;
                let cell =
                    if shared { value.trim().parse().ok().and_then(|i: usize| book.strings.get(i)).map_or("", |s| s) } else { &value };
                let hidden = all_hidden || row_hidden || cell_hidden;
                for text in [cell, "\t"] {
                    if hidden { self.hidden(text) } else { self.seen(text) }
                }
            }
            Piece::End { name: "oddHeader" | "oddFooter" | "evenHeader" | "evenFooter" | "firstHeader" | "firstFooter" } => {
                reading = false;
                self.seen(&value);
                self.seen("\n");
            }
            Piece::End { name: "row" } => {
                if all_hidden || row_hidden {
                    self.hidden("\n")
                } else {
                    self.seen("\n")
                }
            }
            _ => {}
        });
        self.seen("\n");
        result
    }
}

/// The column of a reference such as `AB12`, from one.
fn column_of(reference: &str) -> Option<u32> {
    let letters = reference.bytes().take(3).take_while(u8::is_ascii_alphabetic);
    let mut column = 0u32;
    for letter in letters {
        column = column * 26 + u32::from(letter.to_ascii_uppercase() - b'A') + 1;
    }
    (column > 0).then_some(column)
}
