//! Other people in what one person is shown: by role or class, never by address.

use crate::config::Settings;
use crate::policy::people::Class;

/// Who is who at the council.
pub struct Masks<'a> {
    settings: &'a Settings,
    /// The one person who may read their own address.
    person: String,
}

impl<'a> Masks<'a> {
    pub fn new(settings: &'a Settings, person: &str) -> Masks<'a> {
        Masks { settings, person: person.into() }
    }

    /// Addresses of the council that are known from the site file.
    pub fn council(settings: &Settings) -> Vec<String> {
        let people = settings.people.councillors.iter().chain(&settings.people.staff).map(|p| p.address.clone());
        settings.council.clerk.iter().chain(&settings.council.chair).cloned().chain(people).collect()
    }

    /// Somebody, as the person may hear of them.
    pub fn who(&self, address: &str) -> String {
        if address.is_empty() {
            return "a mail system (an automatic message)".into();
        }
        if address == self.person {
            return self.person.clone();
        }
        let is = |known: &Option<String>| known.as_deref() == Some(address);
        let among = |people: &[crate::config::settings::Person]| people.iter().any(|p| p.address == address);
        let council = &self.settings.council;
        match () {
            () if is(&council.clerk) => "the Clerk",
            () if is(&council.chair) => "the Chair",
            () if among(&self.settings.people.councillors) => "a councillor",
            () if among(&self.settings.people.staff) => "a member of the council's staff",
            () => match self.settings.policy.classify(address) {
                Class::Internal => "somebody at the council",
                Class::Partner => "a partner of the council (another authority or body)",
                Class::Personal => "somebody outside the council, at a consumer provider",
                Class::External => "somebody outside the council",
            },
        }
        .into()
    }

    /// A text without anybody else's address. What may be one is taken for one.
    pub fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let start =
                rest[..at].rfind(|c: char| !is_address_char(c)).map_or(0, |i| i + rest[i..].chars().next().map_or(1, char::len_utf8));
            // A quoted local part: `"Edith Ashby"@x.uk`.
            let start = match rest[..start].strip_suffix('"') {
                Some(quoted) if start == at => quoted.rfind('"').unwrap_or(start),
                _ => start,
            };
            let end = at + 1 + rest[at + 1..].find(|c: char| !is_address_char(c)).unwrap_or(rest.len() - at - 1);
            let found = rest[start..end].trim_end_matches(['.', '!', '?']);
            out.push_str(&rest[..start]);
            if found.len() < 3 {
                out.push_str(&rest[start..end]);
            } else {
                let own = super::address(found).is_ok_and(|a| a == self.person);
                out.push_str(if own { found } else { "(another address)" });
                out.push_str(&rest[start + found.len()..end]);
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        out
    }

    /// Every text of a JSON value likewise: what stands in an export has gone through here.
    pub fn json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.text(text),
            serde_json::Value::Array(all) => all.iter_mut().for_each(|v| self.json(v)),
            serde_json::Value::Object(all) => all.values_mut().for_each(|v| self.json(v)),
            _ => {}
        }
    }
}

/// Octets of RFC 5321's dot-string, of domains, and whatever is not ASCII (RFC 6531). An equals sign or a colon in front of an address
/// belongs to what stands before it more often than to it, but is hidden with it: rather too much than too little.
fn is_address_char(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() || "!#$%&'*+/=?^_`{|}~.-@".contains(c)
}
