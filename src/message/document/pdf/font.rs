//! Which letters a font's codes stand for (ISO 32000-2 §9.10): by its ToUnicode map, else by its encoding and the names of its
//! glyphs. And how wide they are, by which words are told apart.

use std::collections::HashMap;

use super::glyph;
use super::object::{Dictionary, Lexer, Object};
use super::store::Store;
use crate::message::document::budget::Budget;

pub struct Font {
    codes: Codes,
    map: HashMap<(u8, u32), String>,
    simple: Option<Box<[Option<char>; 256]>>,
    /// Composite fonts whose codes are those of a charset.
    charset: Option<&'static encoding_rs::Encoding>,
    widths: HashMap<u32, f64>,
    default_width: f64,
    /// Entries of its tables that may still be made, those that replace others too.
    left: usize,
    /// Thousandths for Type 3, whose glyphs are drawn in a space of their own.
    pub scale: f64,
}

/// How a string is cut into codes.
enum Codes {
    Single,
    Double,
    /// The ranges of each length, from the map.
    Ranges(Vec<(u8, u32, u32)>),
}

/// One letter as it was shown.
pub struct Shown {
    /// In text space, for a font of size one.
    pub width: f64,
    /// A one-octet blank: word spacing applies.
    pub is_space: bool,
}

/// Entries of one map.
const MAX_ENTRIES: usize = 100_000;

impl Font {
    pub fn load(dictionary: &Dictionary, store: &mut Store<'_>, budget: &mut Budget) -> Font {
        budget.unpacked(4_096);
        let composite = dictionary.says("Subtype", "Type0");
        let mut font = Font {
            codes: if composite { Codes::Double } else { Codes::Single },
            map: HashMap::new(),
            simple: None,
            charset: None,
            widths: HashMap::new(),
            default_width: if composite { 1000.0 } else { 500.0 },
            left: 4 * MAX_ENTRIES,
            scale: 0.001,
        };
        if composite {
            font.composite(dictionary, store, budget)
        } else {
            font.simple(dictionary, store, budget)
        }
        let to_unicode = dictionary.find("ToUnicode").cloned();
        if let Some(loaded) = to_unicode.and_then(|t| store.loaded(&t, budget)).filter(|l| l.has_stream())
            && let Some(bytes) = store.content(&loaded, budget)
        {
            font.read_map(&bytes, composite);
        }
        font
    }

    fn composite(&mut self, dictionary: &Dictionary, store: &mut Store<'_>, budget: &mut Budget) {
        let encoding = store.value(dictionary, "Encoding", budget);
        if let Object::Name(name) = &encoding {
            let name = String::from_utf8_lossy(name).into_owned();
            self.charset = predefined(&name);
        } else if let Some(loaded) = dictionary.find("Encoding").cloned().and_then(|e| store.loaded(&e, budget)).filter(|l| l.has_stream())
            && let Some(bytes) = store.content(&loaded, budget)
        {
            // A map of its own tells at least how long codes are.
            self.read_ranges(&bytes);
        }
        let descendant = match store.value(dictionary, "DescendantFonts", budget) {
            Object::Array(list) => list.first().map_or(Object::Null, |d| store.resolve(d, budget)),
            other => other,
        };
        let Object::Dictionary(descendant) = descendant else { return };
        self.default_width = store.value(&descendant, "DW", budget).number().unwrap_or(1000.0);
        let Object::Array(list) = store.value(&descendant, "W", budget) else { return };
        let mut list = list.iter();
        while let Some(first) = list.next().and_then(Object::index) {
            match list.next().map(|o| store.resolve(o, budget)) {
                Some(Object::Array(widths)) => {
                    for (i, width) in widths.iter().enumerate().take(self.left) {
                        self.left -= 1;
                        self.widths.insert((first + i) as u32, width.number().unwrap_or(self.default_width));
                    }
                }
                Some(Object::Number(last)) => {
                    let width = list.next().and_then(Object::number).unwrap_or(self.default_width);
                    for code in (first..=(last.max(0.0) as usize).min(first.saturating_add(65_535))).take(self.left) {
                        self.left -= 1;
                        self.widths.insert(code as u32, width);
                    }
                }
                _ => break,
            }
        }
    }

    fn simple(&mut self, dictionary: &Dictionary, store: &mut Store<'_>, budget: &mut Budget) {
        let encoding = store.value(dictionary, "Encoding", budget);
        let descriptor = store.value(dictionary, "FontDescriptor", budget);
        let symbolic = match &descriptor {
            Object::Dictionary(d) => store.value(d, "Flags", budget).index().is_some_and(|f| f & 4 != 0),
            _ => false,
        };
        let base = match &encoding {
            Object::Name(name) => Some(name.clone()),
            Object::Dictionary(d) => match store.value(d, "BaseEncoding", budget) {
                Object::Name(name) => Some(name),
                _ => None,
            },
            _ => None,
        };
        let mut table: Box<[Option<char>; 256]> = Box::new(glyph::base(base.as_deref(), symbolic));
        if let Object::Dictionary(d) = &encoding
            && let Object::Array(differences) = store.value(d, "Differences", budget)
        {
            budget.unpacked(64 * differences.len());
            let mut code = 0usize;
            for item in differences.iter().take(2_000) {
                match item {
                    Object::Number(n) => code = n.clamp(0.0, 1e6) as usize,
                    Object::Name(name) => {
                        if let Some(slot) = table.get_mut(code) {
                            let text = glyph::text(name);
                            *slot = text.as_deref().and_then(|t| t.chars().next());
                            // Ligatures are more than one letter.
                            if let Some(text) = text.filter(|t| t.chars().count() > 1) {
                                self.map.insert((1, code as u32), text);
                            }
                        }
                        code += 1;
                    }
                    _ => {}
                }
            }
        }
        self.simple = Some(table);
        if let Object::Dictionary(d) = &descriptor
            && let Some(width) = store.value(d, "MissingWidth", budget).number().filter(|w| *w > 0.0)
        {
            self.default_width = width;
        }
        let first = store.value(dictionary, "FirstChar", budget).index().unwrap_or(0);
        if let Object::Array(widths) = store.value(dictionary, "Widths", budget) {
            for (i, width) in widths.iter().enumerate().take(256) {
                if let Some(width) = store.resolve(width, budget).number() {
                    self.widths.insert((first + i) as u32, width);
                }
            }
        } else if let Some(Object::Name(name)) = dictionary.find("BaseFont")
            && memchr::memmem::find(name, b"Courier").is_some()
        {
            self.default_width = 600.0;
        }
        if dictionary.says("Subtype", "Type3")
            && let Object::Array(matrix) = store.value(dictionary, "FontMatrix", budget)
        {
            self.scale = matrix.first().and_then(Object::number).filter(|s| *s != 0.0).unwrap_or(0.001).abs();
        }
    }

    /// A ToUnicode map (§9.10.3).
    fn read_map(&mut self, bytes: &[u8], composite: bool) {
        if composite && self.charset.is_none() {
            self.read_ranges(bytes);
        }
        let mut lexer = Lexer::new(bytes, 0);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(token) = lexer.token() {
            let Object::Word(word) = &token else {
                if operands.len() < 3 * MAX_ENTRIES {
                    operands.push(token);
                }
                continue;
            };
            match word.as_slice() {
                b"endbfchar" => {
                    for pair in operands.chunks_exact(2) {
                        if let [Object::Text(code), Object::Text(text)] = pair {
                            self.insert(code, 0, utf16(text, 0));
                        }
                    }
                }
                b"endbfrange" => {
                    for three in operands.chunks_exact(3) {
                        let [Object::Text(low), Object::Text(high), to] = three else { continue };
                        let count = number(high).saturating_sub(number(low)).min(65_535);
                        for i in 0..=count {
                            let text = match to {
                                Object::Text(text) => utf16(text, i),
                                Object::Array(list) => match list.get(i as usize) {
                                    Some(Object::Text(text)) => utf16(text, 0),
                                    _ => break,
                                },
                                _ => break,
                            };
                            if !self.insert(low, i, text) {
                                break;
                            }
                        }
                    }
                }
                _ => {}
            }
            operands.clear();
        }
    }

    fn insert(&mut self, code: &[u8], add: u32, text: String) -> bool {
        // Codes of simple fonts are one octet, however they are written.
        let length = match self.codes {
            Codes::Single => 1,
            _ => code.len().clamp(1, 4) as u8,
        };
        // Ranges may overlap, so that it is not the map alone that bounds the work.
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        // What stands for nothing is no letter.
        if self.map.len() < MAX_ENTRIES && !text.is_empty() && text != "\0" {
            self.map.insert((length, number(code).saturating_add(add)), text);
        }
        self.map.len() < MAX_ENTRIES
    }

    fn read_ranges(&mut self, bytes: &[u8]) {
        let mut lexer = Lexer::new(bytes, 0);
        let mut operands: Vec<Object> = Vec::new();
        let mut ranges = Vec::new();
        while let Some(token) = lexer.token() {
            match &token {
                Object::Word(word) => {
                    if word == b"endcodespacerange" {
                        for pair in operands.chunks_exact(2) {
                            if let [Object::Text(low), Object::Text(high)] = pair
                                && (1..=4).contains(&low.len())
                                && ranges.len() < 64
                            {
                                ranges.push((low.len() as u8, number(low), number(high)));
                            }
                        }
                    }
                    operands.clear();
                }
                _ if operands.len() < 256 => operands.push(token),
                _ => {}
            }
        }
        if !ranges.is_empty() {
            self.codes = Codes::Ranges(ranges);
        }
    }

    /// Adds what `string` shows to `out`: each code with its letters, or none where they cannot be told.
    pub fn show(&self, string: &[u8], mut on: impl FnMut(Option<&str>, Shown)) {
        let mut rest = string;
        let mut letters = String::new();
        while !rest.is_empty() {
            let length = self.code_length(rest);
            let (code, tail) = rest.split_at(length);
            rest = tail;
            let value = number(code);
            let width = self.widths.get(&value).copied().unwrap_or(self.default_width) * self.scale;
            let shown = Shown { width, is_space: length == 1 && code == b" " };
            if let Some(text) = self.map.get(&(length as u8, value)) {
                on(Some(text), shown);
                continue;
            }
            letters.clear();
            if let Some(table) = &self.simple {
                letters.extend(table[usize::from(code[0])]);
            } else if let Some(charset) = self.charset {
                letters.push_str(&charset.decode_without_bom_handling(code).0);
            }
            on((!letters.is_empty()).then_some(&letters), shown);
        }
    }

    fn code_length(&self, rest: &[u8]) -> usize {
        match (&self.codes, self.charset) {
            (Codes::Single, _) => 1,
            // Charsets of two octets with ASCII in one.
            (_, Some(charset)) if charset != encoding_rs::UTF_16BE => {
                if rest[0] < 0x80 {
                    1
                } else {
                    2.min(rest.len())
                }
            }
            (Codes::Ranges(ranges), _) => (1..=rest.len().min(4))
                .find(|n| {
                    let code = number(&rest[..*n]);
                    ranges.iter().any(|(length, low, high)| usize::from(*length) == *n && (*low..=*high).contains(&code))
                })
                .unwrap_or_else(|| usize::from(ranges.iter().map(|r| r.0).min().unwrap_or(1)).min(rest.len())),
            (Codes::Double, _) => 2.min(rest.len()),
        }
    }
}

/// The charset that a predefined map's codes are in (§9.7.5.2).
fn predefined(name: &str) -> Option<&'static encoding_rs::Encoding> {
    [
        ("UCS2", encoding_rs::UTF_16BE),
        ("UTF16", encoding_rs::UTF_16BE),
        ("RKSJ", encoding_rs::SHIFT_JIS),
        ("GBK", encoding_rs::GBK),
        ("GB-EUC", encoding_rs::GBK),
        ("B5", encoding_rs::BIG5),
        ("KSC", encoding_rs::EUC_KR),
    ]
    .into_iter()
    .find(|(part, _)| name.contains(part))
    .map(|(_, encoding)| encoding)
}

fn number(code: &[u8]) -> u32 {
    code.iter().take(4).fold(0, |n, b| n << 8 | u32::from(*b))
}

/// UTF-16 with `add` added to its last unit.
fn utf16(octets: &[u8], add: u32) -> String {
    let mut units: Vec<u16> = octets.chunks(2).take(64).map(|c| c.iter().fold(0, |n, b| n << 8 | u16::from(*b))).collect();
    if let Some(last) = units.last_mut() {
        *last = last.wrapping_add(add as u16);
    }
    String::from_utf16_lossy(&units)
}
