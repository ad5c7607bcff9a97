//! Sensitivity labels that Office writes into a document's properties ([MS-OFFCRYPTO] §2.6.3: LabelInfo; before it, custom
//! properties named `MSIP_Label_GUID_…`, as in the mail header of that name).

use super::xml::{self, Piece};

/// One label on one file. A file collects the labels of every organisation that worked on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The file that bears it, as the sender called it.
    pub file: String,
    /// The label's GUID, in lower case, without braces.
    pub id: String,
    /// The tenant that set it, in the same form; empty if it does not say.
    pub site_id: String,
    pub enabled: bool,
}

/// The labels on one file; more are not kept.
const MAX_LABELS: usize = 64;

/// The file's name on a label: names within archives may be as long as they like, and every label bears one.
fn name_of(file: &str) -> String {
    file.chars().take(80).collect()
}

/// `docMetadata/LabelInfo.xml`.
pub fn of_label_info(file: &str, xml: &[u8]) -> Vec<Label> {
    let mut out = Vec::new();
    let _ = xml::each(xml, |piece| {
        if let Piece::Start { name: "label", element, .. } = piece
            && out.len() < MAX_LABELS
        {
            let value = |name: &str| xml::attribute(element, name).unwrap_or_default();
            let on = |name: &str, default: bool| match &*value(name) {
                "" => default,
                v => v == "1" || v.eq_ignore_ascii_case("true"),
            };
            out.push(Label {
                file: name_of(file),
                id: guid(&value("id")),
                site_id: guid(&value("siteId")),
                enabled: on("enabled", false) && !on("removed", false),
            });
        }
    });
    out
}

/// `docProps/custom.xml`.
pub fn of_custom_properties(file: &str, xml: &[u8]) -> Vec<Label> {
    let mut pairs = Pairs::default();
    let mut name = None;
    let mut value = String::new();
    let _ = xml::each(xml, |piece| match piece {
        Piece::Start { name: "property", element, .. } => {
            name = xml::attribute(element, "name").map(|n| n.into_owned());
            value.clear();
        }
        Piece::Text(text) if name.is_some() && value.len() < 256 => value.push_str(&text[..text.floor_char_boundary(256.min(text.len()))]),
        Piece::End { name: "property" } => {
            if let Some(name) = name.take() {
                pairs.add(&name, &value);
            }
        }
        _ => {}
    });
    pairs.labels(file)
}

/// Properties of labels, put together from their names and values.
#[derive(Default)]
pub struct Pairs(Vec<Label>);

impl Pairs {
    pub fn add(&mut self, name: &str, value: &str) {
        let Some(rest) = name.get(..11).filter(|p| p.eq_ignore_ascii_case("MSIP_Label_")).map(|_| &name[11..]) else { return };
        let Some((id, key)) = rest.split_once('_') else { return };
        let id = guid(id);
        let at = match self.0.iter().position(|l| l.id == id) {
            Some(at) => at,
            None if self.0.len() < MAX_LABELS => {
                self.0.push(Label { id, ..Label::default() });
                self.0.len() - 1
            }
            None => return,
        };
        if key.eq_ignore_ascii_case("Enabled") {
            self.0[at].enabled = value.trim().eq_ignore_ascii_case("true") || value.trim() == "1";
        } else if key.eq_ignore_ascii_case("SiteId") {
            self.0[at].site_id = guid(value);
        }
    }

    pub fn labels(mut self, file: &str) -> Vec<Label> {
        self.0.iter_mut().for_each(|l| l.file = name_of(file));
        self.0
    }
}

fn guid(written: &str) -> String {
    written.trim().trim_matches(['{', '}', '"']).chars().take(64).flat_map(char::to_lowercase).collect()
}
