//! `winmail.dat`, in which Outlook wraps a message and its files ([MS-OXTNEF]).

use super::rtf;
use super::{File, Reader, Why};
use crate::message::text::{self, Lines};
use crate::message::words;

pub const MAGIC: [u8; 4] = [0x78, 0x9f, 0x3e, 0x22];

/// A file in the making: its attributes follow one another.
#[derive(Default)]
struct Attached<'a> {
    name: String,
    content: &'a [u8],
}

/// The files that are wrapped in it, by name; as far as it can be read.
pub fn files(bytes: &[u8]) -> Vec<(String, &[u8])> {
    const MOST: usize = 500;
    let mut out: Vec<(String, &[u8])> = Vec::new();
    let mut rest = bytes.get(6..).unwrap_or_default();
    while rest.len() >= 9 && out.len() < MOST {
        let (id, size) = (u16::from_le_bytes([rest[1], rest[2]]), u32::from_le_bytes([rest[5], rest[6], rest[7], rest[8]]) as usize);
        let content = &rest[9..(9usize.saturating_add(size)).min(rest.len())];
        rest = rest.get(size.saturating_add(11)..).unwrap_or_default();
        if id == ATTACH_REND_DATA {
            out.push((String::new(), &[]));
        }
        let Some(last) = out.last_mut() else { continue };
        match id {
            ATTACH_TITLE if last.0.is_empty() => last.0 = words::eight_bit(content).trim_end_matches('\0').to_string(),
            ATTACH_DATA => last.1 = content,
            ATTACHMENT => {
                for (tag, kind, value) in Properties::of(content) {
                    match tag {
                        0x3707 => last.0 = string(kind, value),
                        0x3701 if last.1.is_empty() => last.1 = value,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    out
}

const ATTACH_DATA: u16 = 0x800f;
const ATTACH_TITLE: u16 = 0x8010;
const ATTACH_REND_DATA: u16 = 0x9002;
const ATTACHMENT: u16 = 0x9005;

impl Reader {
    pub(super) fn tnef(&mut self, file: &File<'_>) -> Result<(), Why> {
        const SUBJECT: u16 = 0x8004;
        const BODY: u16 = 0x800c;
        const MESSAGE_PROPERTIES: u16 = 0x9003;
        let mut rest = file.bytes.get(6..).ok_or(Why::Damaged)?;
        let mut attached = Attached::default();
        while rest.len() >= 9 {
            let (id, size) = (u16::from_le_bytes([rest[1], rest[2]]), u32::from_le_bytes([rest[5], rest[6], rest[7], rest[8]]) as usize);
            let content = rest[9..].get(..size).ok_or(Why::Damaged)?;
            // A checksum of two octets follows.
            rest = rest.get(9 + size + 2..).unwrap_or_default();
            match id {
                SUBJECT | BODY => {
                    let text = words::eight_bit(content);
                    self.seen(text.trim_end_matches('\0'));
                    self.seen("\n");
                }
                ATTACH_REND_DATA => self.attached(file, std::mem::take(&mut attached))?,
                ATTACH_TITLE => attached.name = words::eight_bit(content).trim_end_matches('\0').to_string(),
                ATTACH_DATA => attached.content = content,
                MESSAGE_PROPERTIES => self.properties(file, content, None),
                ATTACHMENT => self.properties(file, content, Some(&mut attached)),
                _ => {}
            }
        }
        self.attached(file, attached)
    }

    fn attached(&mut self, file: &File<'_>, attached: Attached<'_>) -> Result<(), Why> {
        if attached.content.is_empty() {
            return Ok(());
        }
        if !self.budget.entry() {
            return Err(Why::TooManyFiles);
        }
        self.file(&File { name: &attached.name, content_type: "", charset: None, bytes: attached.content, depth: file.depth + 1 });
        Ok(())
    }

    /// MAPI properties: of the message its text, of a file its long name and its content.
    fn properties<'a>(&mut self, file: &File<'_>, content: &'a [u8], mut attached: Option<&mut Attached<'a>>) {
        for (tag, kind, value) in Properties::of(content) {
            match (tag, attached.as_deref_mut()) {
                (0x0037 | 0x1000, None) => {
                    self.seen(&string(kind, value));
                    self.seen("\n");
                }
                (0x1009, None) => {
                    if let Some(rtf) = rtf::decompress(value) {
                        self.budget.unpacked(rtf.len());
                        let _ = self.rtf(&rtf);
                        self.seen("\n");
                    }
                }
                (0x1013, None) => {
                    let rendered = text::render(&words::eight_bit(value), Lines::Collapse);
                    self.seen(&rendered.text);
                    self.seen("\n");
                    self.hidden(&rendered.hidden);
                }
                (0x3707, Some(attached)) => attached.name = string(kind, value),
                // An embedded message or object: an interface id stands in front.
                (0x3701, Some(attached)) if kind == 0x0d && value.get(16..20) == Some(&MAGIC) => {
                    let inner =
                        File { name: "the attached message", content_type: "", charset: None, bytes: &value[16..], depth: file.depth + 1 };
                    attached.content = &[];
                    self.file(&inner);
                }
                (0x3701, Some(attached)) if attached.content.is_empty() => attached.content = value,
                _ => {}
            }
        }
    }
}

fn string(kind: u16, value: &[u8]) -> String {
    let text = if kind == 0x1f { encoding_rs::UTF_16LE.decode_without_bom_handling(value).0 } else { words::eight_bit(value) };
    text.trim_end_matches('\0').to_string()
}

/// The properties of one attribute: tag, type, value.
struct Properties<'a> {
    rest: &'a [u8],
    left: u32,
    /// Values of the last property that has several, and their tag and type.
    more: u32,
    last: (u16, u16),
}

impl<'a> Properties<'a> {
    fn of(content: &'a [u8]) -> Properties<'a> {
        let mut properties = Properties { rest: content, left: 0, more: 0, last: (0, 0) };
        properties.left = properties.number().unwrap_or(0);
        properties
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn value(&mut self, kind: u16) -> Option<&'a [u8]> {
        match kind {
            0x01..=0x04 | 0x0a | 0x0b => self.take(4),
            0x05..=0x07 | 0x14 | 0x40 => self.take(8),
            0x48 => self.take(16),
            0x0d | 0x1e | 0x1f | 0x102 => {
                let size = self.number()? as usize;
                let value = self.take(size)?;
                let padding = (4 - size % 4) % 4;
                self.rest = self.rest.get(padding..).unwrap_or_default();
                Some(value)
            }
            _ => None,
        }
    }

    fn step(&mut self) -> Option<(u16, u16, &'a [u8])> {
        if self.more == 0 {
            self.left = self.left.checked_sub(1)?;
            let head = self.take(4)?;
            let (kind, tag) = (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]));
            if tag >= 0x8000 {
                // A named property: its set, and its number or name.
                self.take(16)?;
                if self.number()? == 0 {
                    self.number()?;
                } else {
                    let size = self.number()? as usize;
                    self.take(size.checked_next_multiple_of(4)?)?;
                }
            }
            let single = kind & 0x0fff;
            let several = kind & 0x1000 != 0 || matches!(single, 0x0d | 0x1e | 0x1f | 0x102);
            self.more = if several { self.number()? } else { 1 };
            self.last = (tag, single);
            if self.more == 0 {
                return Some((tag, single, &[]));
            }
        }
        self.more -= 1;
        let value = self.value(self.last.1)?;
        Some((self.last.0, self.last.1, value))
    }
}

impl<'a> Iterator for Properties<'a> {
    type Item = (u16, u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_none() {
            (self.left, self.more) = (0, 0);
        }
        step
    }
}
