//! What the council accepts as encryption: how strong it must be, and which services encrypt on the way.

use std::sync::Arc;

use crate::message::View;
use crate::message::protection::Strength;

/// `[encryption]` of the site file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptionSettings {
    /// What is weaker protects nothing.
    pub least: Strength,
    pub wrappers: Vec<Wrapper>,
}

impl Default for EncryptionSettings {
    fn default() -> EncryptionSettings {
        EncryptionSettings { least: Strength::Weak, wrappers: Vec::new() }
    }
}

/// A service that takes messages and delivers them encrypted. It counts by its header field *and* by the way that the message takes:
/// a field alone anybody can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapper {
    pub header: String,
    /// What the field must say, in any case; none for anything.
    pub value: Option<String>,
    /// The listeners whose mail takes that way.
    pub listeners: Vec<Arc<str>>,
}

impl EncryptionSettings {
    /// The wrapper that encrypts this message, if one does.
    pub fn wrapper(&self, view: &View<'_>, listener: &str) -> Option<&Wrapper> {
        self.wrappers.iter().find(|wrapper| wrapper.listeners.iter().any(|l| **l == *listener) && wrapper.is_named_in(view))
    }
}

impl Wrapper {
    /// Two fields may say two things: then it is not named.
    fn is_named_in(&self, view: &View<'_>) -> bool {
        let fields: Vec<_> = view.named(&self.header).collect();
        let [field] = fields.as_slice() else { return false };
        let said = view.text(field);
        let said = said.trim();
        match &self.value {
            Some(value) => said.eq_ignore_ascii_case(value),
            None => !said.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_and_way_together() {
        let wrapper = |value: Option<&str>| Wrapper {
            header: "X-Zivver-Message".into(),
            value: value.map(str::to_string),
            listeners: vec!["out".into(), "again".into()],
        };
        let settings = |value| EncryptionSettings { wrappers: vec![wrapper(value)], ..EncryptionSettings::default() };
        for (header, value, listener, counts) in [
            ("X-Zivver-Message: secure", Some("secure"), "out", true),
            ("x-zivver-message:\r\n Secure ", Some("secure"), "again", true),
            ("X-Zivver-Message: anything", None, "out", true),
            ("X-Zivver-Message: ", None, "out", false),
            ("X-Zivver-Message: other", Some("secure"), "out", false),
            ("X-Zivver-Message: secure", Some("secure"), "mx", false),
            ("X-Zivver-Message: secure\r\nX-Zivver-Message: secure", Some("secure"), "out", false),
            ("X-Other: secure", Some("secure"), "out", false),
        ] {
            let raw = format!("{header}\r\n\r\nx\r\n");
            assert_eq!(settings(value).wrapper(&View::new(raw.as_bytes()), listener).is_some(), counts, "{header:?} {value:?} {listener}");
        }
    }
}
