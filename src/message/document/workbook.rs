//! Workbooks of Excel 5 to 2003 ([MS-XLS]): a stream of records. Cells come row by row; their strings are shared.

use std::collections::HashSet;

use super::budget::{MAX_STRINGS, MAX_TEXT};
use super::compound::{u16_at, u32_at};
use super::{Reader, Why};

/// One record, with those that continue it.
struct Record<'a> {
    kind: u16,
    at: usize,
    content: &'a [u8],
    continued: Vec<&'a [u8]>,
}

struct Records<'a> {
    book: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn one(&self, at: usize) -> Option<(u16, &'a [u8])> {
        let (kind, size) = (u16_at(self.book, at)?, usize::from(u16_at(self.book, at + 2)?));
        Some((kind, self.book.get(at + 4..at + 4 + size)?))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        const CONTINUE: u16 = 0x003c;
        let (kind, content) = self.one(self.at)?;
        let mut record = Record { kind, at: self.at, content, continued: Vec::new() };
        self.at += 4 + content.len();
        while let Some((CONTINUE, content)) = self.one(self.at) {
            record.continued.push(content);
            self.at += 4 + content.len();
        }
        Some(record)
    }
}

#[derive(Default)]
struct Book {
    /// Excel 97 and later.
    eighth: bool,
    strings: Vec<String>,
    kept: usize,
    /// Where hidden sheets begin.
    hidden_sheets: HashSet<usize>,
    sheet_hidden: bool,
    hidden_rows: HashSet<u16>,
    hidden_columns: Vec<(u16, u16)>,
    row: Option<u16>,
}

impl Reader {
    pub(super) fn workbook(&mut self, book: &[u8]) -> Result<(), Why> {
        let mut state = Book::default();
        let mut records = Records { book, at: 0 };
        for record in records.by_ref() {
            self.record(&record, &mut state);
            if self.budget.text_left() == 0 {
                return Ok(());
            }
        }
        // A stream ends with zeros, or at the end of a record.
        if book[records.at..].iter().any(|b| *b != 0) { Err(Why::Damaged) } else { Ok(()) }
    }

    fn record(&mut self, record: &Record<'_>, book: &mut Book) {
        let c = record.content;
        match record.kind {
            // BOF: version and kind of what follows.
            0x0809 => {
                book.eighth = u16_at(c, 0) == Some(0x0600);
                book.sheet_hidden = book.hidden_sheets.contains(&record.at);
                book.hidden_rows.clear();
                book.hidden_columns.clear();
                book.row = None;
                self.seen("\n");
            }
            // BOUNDSHEET: where a sheet begins, and whether it shows.
            0x0085 => {
                if c.get(4).is_some_and(|state| state & 3 != 0)
                    && let Some(at) = u32_at(c, 0)
                {
                    book.hidden_sheets.insert(at as usize);
                }
            }
            0x00fc => book.read_strings(record),
            // ROW, COLINFO.
            0x0208 if u16_at(c, 12).is_some_and(|flags| flags & 0x20 != 0) => {
                book.hidden_rows.extend(u16_at(c, 0));
            }
            0x007d if u16_at(c, 8).is_some_and(|flags| flags & 1 != 0) && book.hidden_columns.len() < 64 => {
                book.hidden_columns.extend(u16_at(c, 0).zip(u16_at(c, 2)));
            }
            // LABELSST, LABEL, RSTRING, RK, NUMBER, MULRK, FORMULA and its STRING.
            0x00fd => {
                let text = u32_at(c, 6).and_then(|i| book.strings.get(i as usize)).cloned().unwrap_or_default();
                self.cell(c, 0, &text, book);
            }
            0x0204 | 0x00d6 => {
                let text = book.string(c.get(6..).unwrap_or_default(), &record.continued);
                self.cell(c, 0, &text, book);
            }
            0x027e => {
                if let Some(rk) = u32_at(c, 6) {
                    self.cell(c, 0, &number(compact(rk)), book);
                }
            }
            0x0203 => {
                if let Some(value) = c.get(6..14) {
                    self.cell(c, 0, &number(f64::from_le_bytes(value.try_into().expect("it has eight octets"))), book);
                }
            }
            0x00bd => {
                for i in 0..c.len().saturating_sub(6) / 6 {
                    if let Some(rk) = u32_at(c, 6 + i * 6) {
                        self.cell(c, i as u16, &number(compact(rk)), book);
                    }
                }
            }
            0x0006 => match c.get(6..14) {
                Some([_, _, _, _, _, _, 0xff, 0xff]) => self.cell(c, 0, "", book),
                Some(value) => self.cell(c, 0, &number(f64::from_le_bytes(value.try_into().expect("it has eight octets"))), book),
                None => {}
            },
            0x0207 => {
                let text = book.string(c, &record.continued);
                if book.sheet_hidden {
                    self.hidden(&text)
                } else {
                    self.seen(&text)
                }
                self.seen("\t");
            }
            // HEADER, FOOTER.
            0x0014 | 0x0015 if !c.is_empty() => {
                let text = book.string(c, &record.continued);
                self.seen(&text);
                self.seen("\n");
            }
            // TXO: the text of boxes and comments is in the record that continues it.
            0x01b6 => {
                if let Some([flags, rest @ ..]) = record.continued.first() {
                    let text = characters(rest, flags & 1 != 0);
                    self.seen(&text);
                    self.seen("\n");
                }
            }
            _ => {}
        }
    }

    fn cell(&mut self, content: &[u8], further: u16, text: &str, book: &mut Book) {
        let (Some(row), Some(column)) = (u16_at(content, 0), u16_at(content, 2)) else { return };
        let column = column.wrapping_add(further);
        let hidden = book.sheet_hidden
            || book.hidden_rows.contains(&row)
            || book.hidden_columns.iter().any(|(first, last)| (*first..=*last).contains(&column));
        let turned = book.row.replace(row).is_some_and(|last| last != row);
        for text in [if turned { "\n" } else { "" }, text, "\t"] {
            if hidden { self.hidden(text) } else { self.seen(text) }
        }
    }
}

impl Book {
    /// The shared strings. Where a record is continued, a string goes on behind an octet that says its width anew.
    fn read_strings(&mut self, record: &Record<'_>) {
        let mut pieces = Pieces { now: record.content, rest: record.continued.iter() };
        let Some(head) = pieces.take(8) else { return };
        let count = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        for _ in 0..count.min(MAX_STRINGS as u32) {
            let Some(text) = pieces.string() else { return };
            self.kept += text.len();
            // What will not be shown is not kept; the places are.
            self.strings.push(if self.kept <= MAX_TEXT { text } else { String::new() });
        }
    }

    /// A string of its own, with its length in front.
    fn string(&self, content: &[u8], continued: &[&[u8]]) -> String {
        if self.eighth {
            Pieces { now: content, rest: continued.iter() }.string().unwrap_or_default()
        } else {
            let length = u16_at(content, 0).map_or(0, usize::from);
            characters(&content.get(2..).unwrap_or_default()[..length.min(content.len().saturating_sub(2))], false)
        }
    }
}

struct Pieces<'a, 'r> {
    now: &'a [u8],
    rest: std::slice::Iter<'r, &'a [u8]>,
}

impl<'a> Pieces<'a, '_> {
    /// So many octets, wherever they lie; an owned copy, since they may lie in two records.
    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < count {
            if self.now.is_empty() {
                self.now = self.rest.next()?;
                continue;
            }
            let part = (count - out.len()).min(self.now.len());
            out.extend_from_slice(&self.now[..part]);
            self.now = &self.now[part..];
        }
        Some(out)
    }

    /// XLUnicodeRichExtendedString ([MS-XLS] §2.5.293).
    fn string(&mut self) -> Option<String> {
        let head = self.take(3)?;
        let mut left = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let flags = head[2];
        let runs = if flags & 8 != 0 { u16_at(&self.take(2)?, 0)? } else { 0 };
        let extended = if flags & 4 != 0 { u32_at(&self.take(4)?, 0)? } else { 0 };
        let mut wide = flags & 1 != 0;
        let mut out = String::new();
        while left > 0 {
            if self.now.is_empty() {
                self.now = self.rest.next()?;
                wide = self.take(1)?[0] & 1 != 0;
            }
            let width = if wide { 2 } else { 1 };
            let count = left.min(self.now.len() / width);
            if count == 0 {
                return None;
            }
            out.push_str(&characters(&self.now[..count * width], wide));
            self.now = &self.now[count * width..];
            left -= count;
        }
        self.skip(usize::from(runs) * 4)?;
        self.skip(extended as usize)?;
        Some(out)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        let mut left = count;
        while left > 0 {
            if self.now.is_empty() {
                self.now = self.rest.next()?;
                continue;
            }
            let part = left.min(self.now.len());
            self.now = &self.now[part..];
            left -= part;
        }
        Some(())
    }
}

fn characters(octets: &[u8], wide: bool) -> String {
    let encoding = if wide { encoding_rs::UTF_16LE } else { encoding_rs::WINDOWS_1252 };
    encoding.decode_without_bom_handling(octets).0.into_owned()
}

/// A number in four octets ([MS-XLS] §2.5.217).
fn compact(rk: u32) -> f64 {
    let value = if rk & 2 != 0 { f64::from((rk as i32) >> 2) } else { f64::from_bits(u64::from(rk & !3) << 32) };
    if rk & 1 != 0 { value / 100.0 } else { value }
}

fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
