//! OpenDocument text, sheets and slides (OpenDocument 1.3 part 3): `content.xml`, and `styles.xml` for headers and footers.

use super::xml::{self, Piece};
use super::zip::Archive;
use super::{File, Reader, Why};

impl Reader {
    pub(super) fn open_document(&mut self, file: &File<'_>, archive: &Archive<'_>) -> Result<(), Why> {
        let manifest = archive.find("META-INF/manifest.xml").map(|m| archive.unpack(m, &mut self.budget).0).unwrap_or_default();
        if memchr::memmem::find(&manifest, b"encryption-data").is_some() && self.is_protected(file) {
            return Ok(());
        }
        let mut result = archive.fault.map_or(Ok(()), Err);
        for entry in archive.entries.iter().filter(|e| !e.is_folder() && !e.encrypted) {
            if !self.budget.entry() {
                return Err(Why::TooManyFiles);
            }
            let base = entry.name.rsplit('/').next().unwrap_or_default();
            let is_text = matches!(base, "content.xml" | "styles.xml");
            if !is_text {
                let furniture = entry.has_extension("xml") || entry.has_extension("rdf") || entry.name == "mimetype";
                if !furniture && !entry.name.starts_with("Thumbnails/") && !super::kind::promises_silence(&entry.name, "") {
                    result = result.and(self.member(file, archive, entry));
                }
                continue;
            }
            let (xml, fault) = archive.unpack(entry, &mut self.budget);
            let read = self.open_document_part(&xml);
            result = result.and(fault.map_or(read, Err));
            if fault == Some(Why::Bomb) {
                break;
            }
        }
        result
    }

    fn open_document_part(&mut self, xml: &[u8]) -> Result<(), Why> {
        // Paragraphs and headings that are open, and hidden elements within one another.
        let (mut paragraphs, mut hidden) = (0u32, 0u32);
        let mut styles_hidden = std::collections::HashSet::new();
        let mut style = None;
        let result = xml::each(xml, |piece| {
            let mut put = |text: &str, hidden: u32| if hidden > 0 { self.hidden(text) } else { self.seen(text) };
            match piece {
                Piece::Start { name, element, empty } => {
                    let says = |attribute: &str, value: &str| xml::attribute(element, attribute).is_some_and(|v| &*v == value);
                    match name {
                        "style" => style = xml::attribute(element, "name").map(|n| n.into_owned()),
                        // The style of a hidden sheet, or of hidden words.
                        "table-properties" | "text-properties" if says("display", "false") || says("display", "none") => {
                            styles_hidden.extend(style.take());
                        }
                        _ => {}
                    }
                    let by_style = xml::attribute(element, "style-name").is_some_and(|s| styles_hidden.contains(&*s));
                    let hides = matches!(name, "tracked-changes" | "hidden-text" | "hidden-paragraph")
                        || says("visibility", "collapse")
                        || matches!(name, "table" | "span" | "p" | "h") && by_style;
                    if !empty && (hidden > 0 || hides) {
                        hidden += 1;
                    }
                    match name {
                        "p" | "h" if !empty => paragraphs += 1,
                        "s" => {
                            let count = xml::attribute(element, "c").and_then(|c| c.parse().ok()).unwrap_or(1usize);
                            put(&" ".repeat(count.min(100)), hidden);
                        }
                        "tab" => put("\t", hidden),
                        "line-break" => put("\n", hidden),
                        "a" => {
                            if let Some(target) = xml::attribute(element, "href").filter(|h| h.starts_with("mailto:")) {
                                put(&format!("{}\n", &target[7..]), 1);
                            }
                        }
                        _ => {}
                    }
                }
                Piece::Text(text) if paragraphs > 0 => put(text, hidden),
                Piece::Text(_) => {}
                Piece::End { name } => {
                    match name {
                        "p" | "h" => {
                            paragraphs = paragraphs.saturating_sub(1);
                            put("\n", hidden);
                        }
                        "table-cell" => put("\t", hidden),
                        "table-row" => put("\n", hidden),
                        _ => {}
                    }
                    hidden = hidden.saturating_sub(1);
                }
            }
        });
        self.seen("\n");
        result
    }
}
