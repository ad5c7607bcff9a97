//! What a form asks for, in the Design System's patterns: a label, a hint, what was typed, and what is wrong with it. After a fault a form
//! comes back as it was sent.

use std::collections::BTreeMap;

use askama::Template;
use jiff::civil::Date;

use super::frame::{Trouble, plain};
use crate::office::Fault;

/// Octets of a line that is typed.
const LONGEST: usize = 2_000;

/// A form as it came. Of two fields of a name the last counts.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Sent(BTreeMap<String, String>);

impl Sent {
    /// What stands in a field, without the space around it; nothing where there is no such field, or it is longer than a line may be.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map(|text| text.trim()).filter(|text| text.len() <= LONGEST).unwrap_or_default()
    }

    /// A day; none where nothing is typed. Errors with what is wrong.
    pub(super) fn day(&self, name: &str) -> Result<Option<Date>, &'static str> {
        match self.text(name) {
            "" => Ok(None),
            text => day(text).map(Some).ok_or("Enter a real date, such as 27 3 2026"),
        }
    }
}

/// "27 3 2026", "27/3/2026", "27 March 2026", "2026-03-27".
fn day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let &[a, month, b] = parts.as_slice() else { return None };
    let (year, day) = if a.len() == 4 { (a, b) } else { (b, a) };
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let word = month.to_ascii_lowercase();
    let named = (1..).zip(MONTHS).find(|(_, name)| word.starts_with(name)).map(|(n, _)| n);
    let year = Some(year).filter(|y| y.len() == 4)?.parse().ok()?;
    Date::new(year, named.or_else(|| month.parse().ok())?, day.parse().ok()?).ok()
}

/// Which form of a page came back, with what was typed and what is wrong. By default none did.
#[derive(Default)]
pub(super) struct Typed {
    form: String,
    sent: Sent,
    wrong: Vec<(&'static str, String)>,
}

impl Typed {
    pub(super) fn new(form: impl Into<String>, sent: Sent) -> Typed {
        Typed { form: form.into(), sent, wrong: Vec::new() }
    }

    pub(super) fn wrong(mut self, name: &'static str, text: impl Into<String>) -> Typed {
        self.note(name, text);
        self
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.sent.text(name)
    }

    /// A day that must be there; what is wrong is noted.
    pub(super) fn day(&mut self, name: &'static str, missing: &str) -> Option<Date> {
        match self.sent.day(name) {
            Ok(Some(day)) => return Some(day),
            Ok(None) => self.note(name, missing),
            Err(text) => self.note(name, text),
        }
        None
    }

    /// A day, if there is one; what is wrong is noted.
    pub(super) fn day_if(&mut self, name: &'static str) -> Option<Date> {
        match self.sent.day(name) {
            Ok(day) => day,
            Err(text) => {
                self.note(name, text);
                None
            }
        }
    }

    /// A day that may be left out; what is wrong is noted.
    pub(super) fn day_or(&mut self, name: &'static str, otherwise: Date) -> Date {
        self.day_if(name).unwrap_or(otherwise)
    }

    /// Words that must be there.
    pub(super) fn needs(&mut self, name: &'static str, missing: &str) {
        if self.sent.text(name).is_empty() {
            self.note(name, missing);
        }
    }

    /// What is wrong with a field.
    pub(super) fn note(&mut self, name: &'static str, text: impl Into<String>) {
        self.wrong.push((name, text.into()));
    }

    pub(super) fn is_whole(&self) -> bool {
        self.wrong.is_empty()
    }

    /// What the office had against it, at a field of the form; what is no fault of a form is trouble.
    pub(super) fn refused(self, trouble: Trouble, at: impl FnOnce(&Fault) -> Option<&'static str>) -> Result<Typed, Trouble> {
        match trouble {
            Trouble::Office(fault) => match at(&fault) {
                Some(name) => Ok(self.wrong(name, plain(&fault))),
                None => Err(Trouble::Office(fault)),
            },
            other => Err(other),
        }
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            form: self.form.clone(),
            faults: self.wrong.iter().map(|(name, text)| (format!("{}-{name}", self.form), text.clone())).collect(),
        }
    }

    /// A field of a form: what it held comes back in it.
    pub(super) fn field(&self, form: &str, name: &'static str, label: &str) -> Field {
        let ours = self.form == form;
        Field {
            id: format!("{form}-{name}"),
            name,
            label: label.into(),
            hint: String::new(),
            value: if ours { self.sent.text(name).to_string() } else { String::new() },
            fault: self.wrong.iter().find(|(at, _)| ours && *at == name).map(|(_, text)| text.clone()),
            shape: Shape::Line,
        }
    }
}

/// The errors of a page, each leading to its field.
#[derive(Template)]
#[template(path = "summary.html", config = "src/console/askama.toml")]
pub(super) struct Summary {
    form: String,
    faults: Vec<(String, String)>,
}

impl Summary {
    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether they are of this form.
    pub(super) fn is_of(&self, form: &str) -> bool {
        !self.is_empty() && self.form == form
    }
}

/// How a field looks.
enum Shape {
    Line,
    Short,
    Address,
    /// Value and words.
    Choice(Vec<(&'static str, &'static str)>),
    /// The same, in a list that opens: for more of them, or for people.
    Select(Vec<(String, String)>),
    Tick(String),
}

#[derive(Template)]
#[template(path = "field.html", config = "src/console/askama.toml")]
pub(super) struct Field {
    id: String,
    name: &'static str,
    label: String,
    hint: String,
    value: String,
    fault: Option<String>,
    shape: Shape,
}

// They are templates: what was typed is escaped in them.
impl askama::filters::HtmlSafe for Field {}
impl askama::filters::HtmlSafe for Summary {}

impl Field {
    pub(super) fn hint(self, hint: &str) -> Field {
        Field { hint: hint.into(), ..self }
    }

    pub(super) fn short(self) -> Field {
        Field { shape: Shape::Short, ..self }
    }

    pub(super) fn day(self, hint: &str) -> Field {
        self.hint(hint).short()
    }

    pub(super) fn address(self) -> Field {
        Field { shape: Shape::Address, ..self }
    }

    pub(super) fn choice(self, choices: &[(&'static str, &'static str)]) -> Field {
        Field { shape: Shape::Choice(choices.to_vec()), ..self }
    }

    pub(super) fn select(self, choices: Vec<(String, String)>) -> Field {
        Field { shape: Shape::Select(choices), ..self }
    }

    /// One box to tick, with these words beside it.
    pub(super) fn tick(self, words: &str) -> Field {
        Field { shape: Shape::Tick(words.into()), ..self }
    }

    /// What stands there at first.
    pub(super) fn value(self, value: &str) -> Field {
        if self.value.is_empty() && self.fault.is_none() { Field { value: value.into(), ..self } } else { self }
    }

    fn is_short(&self) -> bool {
        matches!(self.shape, Shape::Short)
    }

    fn is_address(&self) -> bool {
        matches!(self.shape, Shape::Address)
    }

    fn described(&self) -> String {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.id));
        let fault = self.fault.is_some().then(|| format!("{}-error", self.id));
        hint.into_iter().chain(fault).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_people_write_it() {
        let date = jiff::civil::date;
        for (text, wanted) in [
            ("27 3 2026", Some(date(2026, 3, 27))),
            ("27/03/2026", Some(date(2026, 3, 27))),
            ("27.3.2026", Some(date(2026, 3, 27))),
            ("27 March 2026", Some(date(2026, 3, 27))),
            ("1 sept 2026", Some(date(2026, 9, 1))),
            ("2026-03-27", Some(date(2026, 3, 27))),
            ("27 3 26", None),
            ("31 2 2026", None),
            ("3 27 2026", None),
            ("soon", None),
            ("1 2 3 2026", None),
            ("27 3 99999", None),
            ("\u{2019}", None),
        ] {
            assert_eq!(day(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_was_typed_comes_back_as_text_beside_what_is_wrong() {
        let sent = Sent([("who".to_string(), "<b>\"x\"</b>".to_string())].into());
        let typed = Typed::new("new", sent).wrong("who", "Enter an <address>");
        let field = typed.field("new", "who", "Whose").hint("A whole address").to_string();
        assert!(field.contains("id=\"new-who\"") && field.contains("aria-describedby=\"new-who-hint new-who-error\""), "{field}");
        assert!(!field.contains("<b>") && field.contains("&#60;address&#62;"), "{field}");
        assert!(typed.summary().to_string().contains("href=\"#new-who\""));
        let list = vec![("<b>\"x\"</b>".to_string(), "<i>".to_string()), ("y".into(), "Y".into())];
        let select = typed.field("new", "who", "Whose").select(list).to_string();
        assert!(select.contains("selected>&#60;i&#62;") && select.matches("selected").count() == 1 && !select.contains("<i>"), "{select}");
        let other = typed.field("old", "who", "Whose").to_string();
        assert!(!other.contains("Enter") && !other.contains("&#34;x"), "{other}");
        assert!(Typed::default().summary().to_string().trim().is_empty());
        let long = Sent([("a".to_string(), "x".repeat(LONGEST + 1))].into());
        assert_eq!(long.text("a"), "");
    }
}
