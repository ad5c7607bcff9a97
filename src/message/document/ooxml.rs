//! Word, Excel and PowerPoint as Office writes them today (ECMA-376): a ZIP archive of XML parts.
//!
//! A part is known by its first element, not by its name: relations may give it any. Text that is not shown (deleted, vanished,
//! hidden sheets and rows, what fields and links point at) is hidden.

use super::xml::{self, Piece};
use super::zip::Archive;
use super::{File, Reader, Why, labels, sheet};

impl Reader {
    pub(super) fn office(&mut self, file: &File<'_>, archive: &Archive<'_>) -> Result<(), Why> {
        let mut result = archive.fault.map_or(Ok(()), Err);
        let book = sheet::Book::open(archive, &mut self.budget);
        for entry in archive.entries.iter().filter(|e| !e.is_folder()) {
            if entry.encrypted || entry.is("[Content_Types].xml") || book.has_read(&entry.name) {
                continue;
            }
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            if !(entry.has_extension("xml") || entry.has_extension("rels")) {
                if !super::kind::promises_silence(&entry.name, "") || entry.name.contains("embeddings") {
                    result = result.and(self.member(file, archive, entry));
                }
                continue;
            }
            let (xml, fault) = archive.unpack(entry, &mut self.budget);
            let read = self.office_part(file, &book, &entry.name, &xml);
            result = result.and(fault.map_or(read, Err));
            if fault == Some(Why::Bomb) {
                break;
            }
        }
        if book.is_binary() {
            return result.and(Err(Why::Format("binary workbooks are not known here")));
        }
        result
    }

    fn office_part(&mut self, file: &File<'_>, book: &sheet::Book, name: &str, xml: &[u8]) -> Result<(), Why> {
        let Some(root) = xml::root(xml) else {
            return if xml.trim_ascii().is_empty() { Ok(()) } else { Err(Why::Damaged) };
        };
        match root.as_str() {
            "theme" | "styles" | "styleSheet" | "fonts" | "settings" | "webSettings" | "Types" | "presentation" | "calcChain"
            | "workbook" | "tagLst" | "presentationPr" | "viewPr" | "tblStyleLst" | "persons" | "personList" | "metadata" | "people"
            | "colorsDef" | "styleDef" | "layoutDef" | "colorStyle" | "chartStyle" => Ok(()),
            "Relationships" => self.links(xml),
            "Properties" => {
                self.out.labels.extend(labels::of_custom_properties(file.name, xml));
                Ok(())
            }
            "labelList" => {
                self.out.labels.extend(labels::of_label_info(file.name, xml));
                Ok(())
            }
            "worksheet" | "macrosheet" | "dialogsheet" => self.worksheet(book, name, xml),
            _ => self.running_text(xml, matches!(root.as_str(), "sldMaster" | "sldLayout" | "notesMaster" | "handoutMaster")),
        }
    }

    /// Addresses behind links that may be called anything.
    fn links(&mut self, xml: &[u8]) -> Result<(), Why> {
        let mut found = String::new();
        xml::each(xml, |piece| {
            if let Piece::Start { name: "Relationship", element, .. } = piece
                && let Some(target) = xml::attribute(element, "Target")
                && target.get(..7).is_some_and(|s| s.eq_ignore_ascii_case("mailto:"))
                && found.len() < 1 << 20
            {
                found.push_str(&target[7..]);
                found.push('\n');
            }
        })?;
        self.hidden(&found);
        Ok(())
    }

    /// Paragraphs of runs, as Word and PowerPoint have them; drawings, comments and charts are made of the same.
    fn running_text(&mut self, xml: &[u8], all_hidden: bool) -> Result<(), Why> {
        let mut run = Run { all_hidden, ..Run::default() };
        let result = xml::each(xml, |piece| match piece {
            Piece::Start { name, element, empty } => run.start(self, name, element, empty),
            Piece::End { name } => run.end(self, name),
            Piece::Text(text) => run.text(self, text),
        });
        self.seen("\n");
        result
    }
}

/// Where in a text the reading is.
#[derive(Default)]
struct Run {
    all_hidden: bool,
    /// Within an element that holds text.
    text: bool,
    /// That text is deleted or an instruction.
    instruction: bool,
    vanished: bool,
    /// Within the properties of a paragraph or a run, so deep.
    properties: u32,
    /// Within what older programs would show instead, so deep.
    fallback: u32,
}

impl Run {
    fn start(&mut self, reader: &mut Reader, name: &str, element: &quick_xml::events::BytesStart<'_>, empty: bool) {
        if self.fallback > 0 || name == "Fallback" {
            self.fallback += u32::from(name == "Fallback" && !empty);
            return;
        }
        match name {
            "sld" if xml::attribute(element, "show").is_some_and(|v| matches!(&*v, "0" | "false")) => self.all_hidden = true,
            "pPr" | "rPr" | "tblPr" | "tcPr" | "sectPr" if !empty => self.properties += 1,
            "vanish" if self.properties > 0 => self.vanished |= xml::is_on(element),
            "r" => self.vanished = false,
            // `v` in charts are cached values.
            "t" | "v" | "text" if !empty => (self.text, self.instruction) = (true, false),
            "delText" | "instrText" | "delInstrText" if !empty => (self.text, self.instruction) = (true, true),
            "tab" | "ptab" if self.properties == 0 => self.put(reader, "\t"),
            "br" | "cr" if self.properties == 0 => self.put(reader, "\n"),
            "noBreakHyphen" => self.put(reader, "-"),
            _ => {}
        }
    }

    fn end(&mut self, reader: &mut Reader, name: &str) {
        match name {
            "Fallback" => self.fallback = self.fallback.saturating_sub(1),
            _ if self.fallback > 0 => {}
            "pPr" | "rPr" | "tblPr" | "tcPr" | "sectPr" => self.properties = self.properties.saturating_sub(1),
            "t" => self.text = false,
            "v" | "text" => {
                self.text = false;
                self.put(reader, "\n");
            }
            "delText" | "instrText" | "delInstrText" => {
                self.put(reader, "\n");
                (self.text, self.instruction) = (false, false);
            }
            "p" | "tr" => {
                self.vanished = false;
                self.put(reader, "\n");
            }
            "tc" => self.put(reader, "\t"),
            _ => {}
        }
    }

    fn text(&mut self, reader: &mut Reader, text: &str) {
        if self.text && self.fallback == 0 {
            self.put(reader, text);
        }
    }

    fn put(&self, reader: &mut Reader, text: &str) {
        if self.all_hidden || self.instruction || self.vanished { reader.hidden(text) } else { reader.seen(text) }
    }
}
