//! What the desk's files would be after an act. Nothing is written.

use super::{Refused, View, file, folder};
use crate::config::Settings;
use crate::config::overlay::rules::{self as overlay, Changed, Made, Of, Overlay};
use crate::policy::Mode;

/// What somebody wants to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A rule's mode, which was another when they looked.
    Mode { rule: String, mode: Mode, was: Mode },
    /// The text of a rule file, which had the hash `began` when they began to write.
    Write { key: String, text: String, began: String },
    /// A file of the council's own.
    New { name: String, text: String },
    /// The operator's file again; a file of the desk's own goes.
    GiveUp { key: String, began: String },
    /// An earlier version; 0 is the operator's files alone. `began` was the latest when they looked.
    Back { number: u64, began: u64 },
}

/// What would be in force then.
#[derive(Clone, Debug)]
pub struct Proposed {
    pub overlay: Overlay,
    /// A sentence for each thing that would be different; empty where nothing would be.
    pub what: Vec<String>,
    /// The file whose text was changed.
    pub key: Option<String>,
}

/// The desk's files after an act.
pub fn propose(settings: &Settings, act: &Act) -> Result<Proposed, Refused> {
    let folder = folder(settings)?;
    if let Act::Back { number, began } = act {
        return back(folder, *number, *began);
    }
    let overlay = overlay::read(folder).map_err(Refused::Damaged)?;
    let proposed = Proposed { overlay, what: Vec::new(), key: None };
    match act {
        Act::Mode { rule, mode, was } => proposed.with_mode(settings, rule, *mode, *was),
        Act::Write { key, text, began } => {
            let file = file(settings, key).ok_or(Refused::NotThere)?;
            if file.hash() != *began {
                return Err(Refused::Stale);
            }
            proposed.with_text(&file, &lines(text))
        }
        Act::New { name, text } => proposed.with_new(settings, name, &lines(text)),
        Act::GiveUp { key, began } => proposed.without(key, began),
        Act::Back { .. } => Err(Refused::NotThere),
    }
}

/// A browser sends every line end as CRLF.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn back(folder: &std::path::Path, number: u64, began: u64) -> Result<Proposed, Refused> {
    let overlay = match number {
        0 => Overlay::default(),
        number => {
            let manifest = super::version(folder, number).ok_or(Refused::NotThere)?;
            overlay::overlay(folder, &manifest).map_err(Refused::Damaged)?
        }
    };
    let now = overlay::read(folder);
    if now.as_ref().is_ok_and(|now| now.change.as_ref().map_or(0, |c| c.number) != began) {
        return Err(Refused::Stale);
    }
    let same = now.is_ok_and(|now| now.modes == overlay.modes && now.files == overlay.files);
    let words = match number {
        0 => "Everything as in the operator's files".to_string(),
        number => format!("Version {number} put back"),
    };
    Ok(Proposed { overlay, what: if same { Vec::new() } else { vec![words] }, key: None })
}

impl Proposed {
    fn with_mode(mut self, settings: &Settings, id: &str, mode: Mode, began: Mode) -> Result<Proposed, Refused> {
        let rule = settings.policy.rules().iter().find(|r| *r.id == *id).ok_or(Refused::NotThere)?;
        // Where what the desk said is left out, the rule has no mode of it.
        let said = self.overlay.modes.get(id).copied().unwrap_or(rule.said.without_desk);
        let was = if settings.rules.left_out.is_some() { rule.said.mode } else { said };
        if was != began {
            return Err(Refused::Stale);
        }
        if mode == rule.said.without_desk {
            self.overlay.modes.remove(id);
        } else {
            self.overlay.modes.insert(id.to_string(), mode);
        }
        if self.overlay.modes.len() > overlay::MOST_MODES {
            return Err(Refused::TooMany);
        }
        if was != mode {
            self.what.push(format!("{id}: {} instead of {}", mode.word(), was.word()));
        }
        Ok(self)
    }

    fn with_text(mut self, file: &View, text: &str) -> Result<Proposed, Refused> {
        self.key = Some(file.key.clone());
        if text.len() > overlay::LARGEST_TEXT {
            return Err(Refused::TooLarge);
        }
        if *text == file.text {
            return Ok(self);
        }
        self.what.push(format!("{} edited", file.shown));
        match self.overlay.files.iter_mut().find(|f| f.of.key() == file.key) {
            Some(changed) => {
                changed.text = text.to_string();
                // Whoever edits a copy has seen what became of the operator's file: the page shows it.
                if let (Of::File { original, .. }, Made::Changed { today: Some(today), .. }) = (&mut changed.of, &file.made) {
                    original.clone_from(today);
                }
            }
            None => {
                let of = Of::File { path: file.shown.clone(), original: file.text.clone() };
                self.overlay.files.push(Changed { of, text: text.to_string() });
            }
        }
        self.bounded()
    }

    fn with_new(mut self, settings: &Settings, name: &str, text: &str) -> Result<Proposed, Refused> {
        let name = name.trim();
        let name = name.strip_suffix(".toml").unwrap_or(name);
        if !overlay::is_name(name) {
            return Err(Refused::Name);
        }
        if text.len() > overlay::LARGEST_TEXT {
            return Err(Refused::TooLarge);
        }
        let of = Of::Own(name.to_string());
        if file(settings, &of.key()).is_some() || self.overlay.files.iter().any(|f| f.of.key() == of.key()) {
            return Err(Refused::NameTaken);
        }
        self.key = Some(of.key());
        self.what.push(format!("{name}.toml made"));
        self.overlay.files.push(Changed { of, text: text.to_string() });
        self.bounded()
    }

    fn without(mut self, key: &str, began: &str) -> Result<Proposed, Refused> {
        let at = self.overlay.files.iter().position(|f| f.of.key() == key).ok_or(Refused::NotThere)?;
        let gone = self.overlay.files.remove(at);
        if overlay::hash(&gone.text) != began {
            return Err(Refused::Stale);
        }
        self.what.push(match gone.of {
            Of::File { path, .. } => format!("{path} as the operator wrote it"),
            Of::Own(name) => format!("{name}.toml deleted"),
        });
        Ok(self)
    }

    fn bounded(self) -> Result<Proposed, Refused> {
        if self.overlay.files.len() > overlay::MOST_FILES { Err(Refused::TooMany) } else { Ok(self) }
    }
}
