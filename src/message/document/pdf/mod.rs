//! The text of a PDF (ISO 32000-2): pages in their order, notes and form fields, and the files that it carries.
//!
//! Only what the pages need is loaded. A file that opens without a password is read, whatever its permissions say; pictures of text
//! have none. Fonts that do not say what their letters are make a page unreadable, and that is said.

mod crypt;
mod filter;
mod font;
mod glyph;
mod object;
mod page;
mod store;

use std::collections::HashSet;

use super::labels::Pairs;
use super::{File, Reader, Why};
use crate::message::text::{self, Lines};
use crate::message::words;
use object::{Dictionary, Object};
use page::Painter;
use store::Store;

const MAX_PAGES: usize = 5_000;
/// Nodes of the tree of pages, and of names.
const MAX_NODES: usize = 20_000;

impl Reader {
    pub(super) fn pdf(&mut self, file: &File<'_>) -> Result<(), Why> {
        let mut store = Store::open(file.bytes, &mut self.budget).ok_or(Why::Damaged)?;
        let trailer = store.trailer.clone();
        if store.locked {
            return Err(Why::OpenSecret);
        }
        let catalog = store.catalog(&mut self.budget);
        let mut painter = Painter::default();
        let pages = self.pages(&mut store, catalog.as_ref());
        for page in &pages {
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            self.page(page, &mut store, &mut painter);
            self.seen(&std::mem::take(&mut painter.text));
            if self.budget.unpacked_left() == 0 || self.budget.text_left() == 0 {
                break;
            }
        }
        self.hidden(&painter.instead);
        if let Some(catalog) = &catalog {
            self.form(catalog, &mut store);
            self.carried(file, catalog, &mut store);
        }
        self.pdf_labels(file, &trailer, &mut store);
        match store.broken {
            _ if self.budget.unpacked_left() == 0 => Err(Why::Bomb),
            Some(why) => Err(why),
            None if pages.is_empty() => Err(Why::Damaged),
            None if painter.unknown > 20 && painter.unknown > painter.known => {
                Err(Why::Format("its fonts do not say what their letters are"))
            }
            None => Ok(()),
        }
    }

    /// The pages in their order, each with the resources that it inherits.
    fn pages(&mut self, store: &mut Store<'_>, catalog: Option<&Dictionary>) -> Vec<Dictionary> {
        let mut out = Vec::new();
        let mut seen = HashSet::new();
        let mut todo: Vec<(Object, Option<Object>)> =
            catalog.and_then(|c| c.find("Pages")).cloned().map(|p| (p, None)).into_iter().collect();
        while let Some((node, inherited)) = todo.pop() {
            if let Object::Reference(number) = node
                && !seen.insert(number)
            {
                continue;
            }
            if out.len() >= MAX_PAGES || seen.len() > MAX_NODES {
                store.note(Why::TooLarge);
                break;
            }
            let Object::Dictionary(mut dictionary) = store.resolve(&node, &mut self.budget) else {
                store.note(Why::Damaged);
                continue;
            };
            let resources = dictionary.find("Resources").cloned().or(inherited);
            match store.value(&dictionary, "Kids", &mut self.budget) {
                Object::Array(kids) => todo.extend(kids.into_iter().rev().map(|k| (k, resources.clone()))),
                _ if dictionary.says("Type", "Pages") => store.note(Why::Damaged),
                _ => {
                    if dictionary.find("Resources").is_none() {
                        dictionary.0.extend(resources.map(|r| (b"Resources".to_vec(), r)));
                    }
                    out.push(dictionary);
                }
            }
        }
        if out.is_empty() {
            store.note(Why::Damaged);
            for number in store.loose_pages(&mut self.budget).into_iter().take(MAX_PAGES) {
                if let Object::Dictionary(page) = store.resolve(&Object::Reference(number), &mut self.budget) {
                    out.push(page);
                }
            }
        }
        out
    }

    fn page(&mut self, page: &Dictionary, store: &mut Store<'_>, painter: &mut Painter) {
        let resources = match store.value(page, "Resources", &mut self.budget) {
            Object::Dictionary(resources) => resources,
            _ => Dictionary::default(),
        };
        let streams = match page.find("Contents") {
            None | Some(Object::Null) => Vec::new(),
            Some(Object::Array(list)) => list.clone(),
            Some(one) => match store.resolve(one, &mut self.budget) {
                Object::Array(list) => list,
                _ => vec![one.clone()],
            },
        };
        let mut content = Vec::new();
        for stream in streams.iter().take(10_000) {
            // A page may be empty; one whose content is lost is damaged.
            let loaded = store.loaded(stream, &mut self.budget).filter(|l| l.has_stream());
            match loaded.and_then(|l| store.content(&l, &mut self.budget)) {
                Some(bytes) if content.len() + bytes.len() <= super::budget::MAX_MEMBER => {
                    content.extend_from_slice(&bytes);
                    content.push(b'\n');
                }
                Some(_) => store.note(Why::TooLarge),
                None => store.note(Why::Damaged),
            }
        }
        painter.paint(&content, &resources, store, &mut self.budget);
        let Object::Array(notes) = store.value(page, "Annots", &mut self.budget) else { return };
        for note in notes.iter().take(2_000) {
            let Object::Dictionary(note) = store.resolve(note, &mut self.budget) else { continue };
            if let Object::Text(text) = store.value(&note, "Contents", &mut self.budget) {
                painter.text.push_str(&text_string(&text));
                painter.text.push('\n');
            }
            if let Object::Dictionary(action) = store.value(&note, "A", &mut self.budget)
                && let Object::Text(target) = store.value(&action, "URI", &mut self.budget)
                && target.starts_with(b"mailto:")
            {
                self.hidden(&format!("{}\n", text_string(&target[7..])));
            }
        }
    }

    /// What people wrote into the fields of a form.
    fn form(&mut self, catalog: &Dictionary, store: &mut Store<'_>) {
        let Object::Dictionary(form) = store.value(catalog, "AcroForm", &mut self.budget) else { return };
        let mut seen = HashSet::new();
        let mut todo = match store.value(&form, "Fields", &mut self.budget) {
            Object::Array(fields) => fields,
            _ => Vec::new(),
        };
        while let Some(field) = todo.pop() {
            if let Object::Reference(number) = field
                && !seen.insert(number)
            {
                continue;
            }
            if seen.len() > MAX_NODES {
                break;
            }
            let Object::Dictionary(field) = store.resolve(&field, &mut self.budget) else { continue };
            if let Object::Text(value) = store.value(&field, "V", &mut self.budget) {
                self.seen(&text_string(&value));
                self.seen("\n");
            }
            if let Object::Array(kids) = store.value(&field, "Kids", &mut self.budget) {
                todo.extend(kids.into_iter().take(MAX_NODES));
            }
        }
        // Forms of the other kind are XML, in one stream or several.
        let pieces = match form.find("XFA") {
            Some(Object::Array(list)) => list.clone(),
            Some(one) => vec![one.clone()],
            None => return,
        };
        let mut xml = Vec::new();
        for piece in pieces.iter().take(64) {
            if let Some(loaded) = store.loaded(piece, &mut self.budget).filter(|l| l.has_stream()) {
                xml.extend(store.content(&loaded, &mut self.budget).unwrap_or_default());
            }
        }
        let rendered = text::render(&words::eight_bit(&xml), Lines::Collapse);
        self.seen(&rendered.text);
        self.seen("\n");
    }

    /// Files that the document carries (§7.11.4), found by their names.
    fn carried(&mut self, file: &File<'_>, catalog: &Dictionary, store: &mut Store<'_>) {
        let Object::Dictionary(names) = store.value(catalog, "Names", &mut self.budget) else { return };
        let mut todo: Vec<Object> = names.find("EmbeddedFiles").cloned().into_iter().collect();
        let mut seen = HashSet::new();
        while let Some(node) = todo.pop() {
            if let Object::Reference(number) = node
                && !seen.insert(number)
            {
                continue;
            }
            if seen.len() > MAX_NODES {
                return;
            }
            let Object::Dictionary(node) = store.resolve(&node, &mut self.budget) else { continue };
            if let Object::Array(kids) = store.value(&node, "Kids", &mut self.budget) {
                todo.extend(kids.into_iter().take(MAX_NODES));
            }
            let Object::Array(list) = store.value(&node, "Names", &mut self.budget) else { continue };
            for specification in list.iter().skip(1).step_by(2) {
                if !self.budget.entry() {
                    return;
                }
                self.carried_file(file, specification, store);
            }
        }
    }

    fn carried_file(&mut self, file: &File<'_>, specification: &Object, store: &mut Store<'_>) {
        let Object::Dictionary(specification) = store.resolve(specification, &mut self.budget) else { return };
        let Object::Dictionary(streams) = store.value(&specification, "EF", &mut self.budget) else { return };
        let name = ["UF", "F"].into_iter().find_map(|key| match store.value(&specification, key, &mut self.budget) {
            Object::Text(name) => Some(text_string(&name)),
            _ => None,
        });
        let Some(stream) = streams.find("UF").or(streams.find("F")).cloned() else { return };
        let Some(loaded) = store.loaded(&stream, &mut self.budget).filter(|l| l.has_stream()) else { return };
        if let Some(bytes) = store.content(&loaded, &mut self.budget) {
            let name = name.unwrap_or_default();
            self.file(&File { name: &name, content_type: "", charset: None, bytes: &bytes, depth: file.depth + 1 });
        }
    }

    /// Labels stand in the information dictionary, as custom properties do.
    fn pdf_labels(&mut self, file: &File<'_>, trailer: &Dictionary, store: &mut Store<'_>) {
        let Object::Dictionary(information) = store.value(trailer, "Info", &mut self.budget) else { return };
        let mut pairs = Pairs::default();
        for (key, value) in information.0.iter().take(1_000) {
            if let Object::Text(value) = store.resolve(value, &mut self.budget) {
                pairs.add(&String::from_utf8_lossy(key), &text_string(&value));
            }
        }
        self.out.labels.extend(pairs.labels(file.name));
    }
}

/// A text string (§7.9.2.2): UTF-16 or UTF-8 by its mark, else octets that are nearly windows-1252.
fn text_string(octets: &[u8]) -> String {
    match octets {
        [0xfe, 0xff, ..] => encoding_rs::UTF_16BE.decode_with_bom_removal(octets).0.into_owned(),
        [0xff, 0xfe, ..] => encoding_rs::UTF_16LE.decode_with_bom_removal(octets).0.into_owned(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(octets).0.into_owned(),
    }
}
