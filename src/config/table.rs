//! One table of a TOML file, read key by key; every value comes out typed and with its span, or a diagnostic says why not.
//!
//! What a table may hold is what [`super::reference`] documents: a key that is not there is an error, with the nearest that is.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Diagnostics, Source};
use super::units::Fault;
use super::{reference, spelling, units};

/// A table under reading.
pub struct Table<'a> {
    source: &'a Arc<Source>,
    /// Its name in the reference: `listener.trust`.
    section: &'static str,
    /// Where it is said to be when something is missing.
    span: Range<usize>,
    map: &'a DeTable<'a>,
    faults: &'a [Range<usize>],
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Table<'a> {
    /// The whole file.
    pub fn root(source: &'a Arc<Source>, map: &'a DeTable<'a>, faults: &'a [Range<usize>], diagnostics: &mut Diagnostics) -> Table<'a> {
        Table::new(source, "", 0..0, map, faults, diagnostics)
    }

    fn new(
        source: &'a Arc<Source>,
        section: &'static str,
        span: Range<usize>,
        map: &'a DeTable<'a>,
        faults: &'a [Range<usize>],
        diagnostics: &mut Diagnostics,
    ) -> Table<'a> {
        let table = Table { source, section, span, map, faults };
        table.refuse_unknown(diagnostics);
        table
    }

    fn refuse_unknown(&self, diagnostics: &mut Diagnostics) {
        for (key, value) in self.map {
            let word: &str = key.get_ref();
            if reference::keys(self.section).any(|k| k == word || k == "*") || self.is_broken(&key.span()) {
                continue;
            }
            if reference::has_names(self.section) && matches!(value.get_ref(), DeValue::Table(_)) {
                continue;
            }
            let place = self.place();
            let help = if let Some(secret) = reference::secret_file(self.section, word) {
                format!("A secret is never written in this file. Put it in a file of its own (chmod 600) and write {secret} = \"path\".")
            } else if let Some(near) = spelling::nearest(word, reference::keys(self.section)) {
                format!("Did you mean `{near}`?")
            } else if let Some(home) = reference::home_of(word) {
                format!("`{word}` belongs in [{home}].")
            } else {
                format!("Known here: {}.", reference::keys(self.section).collect::<Vec<_>>().join(", "))
            };
            diagnostics.error(self.source, key.span(), format!("`{word}` is not known in {place}"), help);
        }
    }

    /// The table as the file writes it.
    fn place(&self) -> String {
        match self.section {
            "" => "the site file".to_owned(),
            "listener" => "[[listener]]".to_owned(),
            "upstream" => "[upstream.NAME]".to_owned(),
            "upstream.pacing" => "`pacing`".to_owned(),
            "listener.trust" => "`trust`".to_owned(),
            "listener.stamp" => "`stamp`".to_owned(),
            section => format!("[{section}]"),
        }
    }

    /// Whether a place was only guessed at because its line has a fault of syntax.
    fn is_broken(&self, span: &Range<usize>) -> bool {
        self.faults.iter().any(|f| span.start <= f.end && f.start <= span.end)
    }

    fn value(&self, key: &str) -> Option<&'a Value<'a>> {
        debug_assert!(reference::keys(self.section).any(|k| k == key || k == "*"), "{}.{key} is not in the reference", self.section);
        self.map.get(key).filter(|v| !self.is_broken(&v.span()))
    }

    /// The keys as they are written, for a table whose keys are names.
    pub fn names(&self) -> impl Iterator<Item = Spanned<String>> + use<'a> {
        self.map.iter().map(|(key, _)| Spanned::new(key.span(), key.get_ref().to_string()))
    }

    /// Says that a list is empty where it must not be.
    pub fn not_empty(&self, key: &str, help: &str, diagnostics: &mut Diagnostics) {
        if let Some(value) = self.value(key)
            && value.get_ref().as_array().is_some_and(|a| a.is_empty())
        {
            diagnostics.error(self.source, value.span(), format!("`{key}` is empty"), help);
        }
    }

    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Says that a key is missing, unless a fault of syntax may be hiding it.
    pub fn require<T>(&self, key: &str, value: Option<T>, example: &str, diagnostics: &mut Diagnostics) -> Option<T> {
        if value.is_none() && self.map.get(key).is_none() && self.faults.is_empty() {
            let place = self.place();
            diagnostics.error(self.source, self.span.clone(), format!("{place} has no `{key}`"), format!("Add: {example}"));
        }
        value
    }

    fn wrong_kind(&self, key: &str, value: &Value<'_>, wanted: &str, help: String, diagnostics: &mut Diagnostics) {
        let kind = match value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a decimal point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        diagnostics.error(self.source, value.span(), format!("`{key}` wants {wanted}, and this is {kind}"), help);
    }

    /// Text in quotes, not empty, without control characters.
    pub fn text(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.text_of(key, text, value.span(), diagnostics),
            _ => {
                self.wrong_kind(key, value, "text in quotes", reference::example(self.section, key), diagnostics);
                None
            }
        }
    }

    fn text_of(&self, key: &str, text: &str, span: Range<usize>, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        if text.trim().is_empty() {
            diagnostics.error(self.source, span, format!("`{key}` is empty"), reference::example(self.section, key));
            return None;
        }
        if text.contains(char::is_control) {
            diagnostics.error(
                self.source,
                span,
                format!("`{key}` has a line break or another control character in it"),
                "Write it in one line.",
            );
            return None;
        }
        Some(Spanned::new(span, text.to_owned()))
    }

    /// Text that `parse` makes a value of.
    pub fn parsed<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>, diagnostics: &mut Diagnostics) -> Option<Spanned<T>> {
        let text = self.text(key, diagnostics)?;
        match parse(text.get_ref()) {
            Ok(value) => Some(Spanned::new(text.span(), value)),
            Err(fault) => {
                diagnostics.error(self.source, text.span(), fault.message, fault.help);
                None
            }
        }
    }

    pub fn path(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<PathBuf>> {
        self.parsed(key, |text| Ok(PathBuf::from(text)), diagnostics)
    }

    pub fn duration(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<Duration>> {
        self.parsed(key, units::duration, diagnostics)
    }

    pub fn size(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        self.parsed(key, units::size, diagnostics)
    }

    /// One word of a few.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)], diagnostics: &mut Diagnostics) -> Option<Spanned<T>> {
        let text = self.text(key, diagnostics)?;
        match words.iter().find(|(word, _)| word == text.get_ref()) {
            Some(&(_, value)) => Some(Spanned::new(text.span(), value)),
            None => {
                let list = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
                let help = match spelling::nearest(text.get_ref(), words.iter().map(|(word, _)| *word)) {
                    Some(near) => format!("Did you mean \"{near}\"? It may be {list}."),
                    None => format!("It may be {list}."),
                };
                diagnostics.error(self.source, text.span(), format!("`{key}` cannot be \"{}\"", text.get_ref()), help);
                None
            }
        }
    }

    pub fn boolean(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<bool>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(b) => Some(Spanned::new(value.span(), *b)),
            _ => {
                self.wrong_kind(key, value, "true or false, without quotes", String::new(), diagnostics);
                None
            }
        }
    }

    /// A whole number within `range`.
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<u64>, diagnostics: &mut Diagnostics) -> Option<Spanned<u64>> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_kind(key, value, "a whole number, without quotes", reference::example(self.section, key), diagnostics);
            return None;
        };
        let digits = integer.as_str().replace('_', "");
        match u64::from_str_radix(digits.trim_start_matches('+'), integer.radix()) {
            Ok(number) if range.contains(&number) => Some(Spanned::new(value.span(), number)),
            _ => {
                diagnostics.error(
                    self.source,
                    value.span(),
                    format!("`{key}` must be from {} to {}", range.start(), range.end()),
                    String::new(),
                );
                None
            }
        }
    }

    /// A date, bare or in quotes.
    pub fn date(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Spanned<jiff::civil::Date>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None }) => {
                let made = jiff::civil::Date::new(i16::try_from(date.year).unwrap_or(i16::MAX), date.month as i8, date.day as i8);
                match made {
                    Ok(date) => Some(Spanned::new(value.span(), date)),
                    Err(_) => {
                        diagnostics.error(
                            self.source,
                            value.span(),
                            format!("`{key}` is not a day of the calendar"),
                            reference::example(self.section, key),
                        );
                        None
                    }
                }
            }
            DeValue::String(_) => self.parsed(key, units::date, diagnostics),
            _ => {
                self.wrong_kind(key, value, "a date without a time", reference::example(self.section, key), diagnostics);
                None
            }
        }
    }

    /// A list of texts; one text reads as a list of one.
    pub fn texts(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Vec<Spanned<String>>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => self.text_of(key, text, value.span(), diagnostics).map(|text| vec![text]),
            DeValue::Array(array) => Some(
                array
                    .iter()
                    .filter_map(|item| match item.get_ref() {
                        DeValue::String(text) => self.text_of(key, text, item.span(), diagnostics),
                        _ => {
                            self.wrong_kind(key, item, "texts in quotes", reference::example(self.section, key), diagnostics);
                            None
                        }
                    })
                    .collect(),
            ),
            _ => {
                self.wrong_kind(key, value, "a list of texts", reference::example(self.section, key), diagnostics);
                None
            }
        }
    }

    /// As [`Table::texts`], each parsed.
    pub fn list<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Fault>, diagnostics: &mut Diagnostics) -> Option<Vec<Spanned<T>>> {
        let texts = self.texts(key, diagnostics)?;
        let mut out = Vec::with_capacity(texts.len());
        for text in texts {
            match parse(text.get_ref()) {
                Ok(value) => out.push(Spanned::new(text.span(), value)),
                Err(fault) => diagnostics.error(self.source, text.span(), fault.message, fault.help),
            }
        }
        Some(out)
    }

    /// A table in this one.
    pub fn table(&self, key: &str, section: &'static str, diagnostics: &mut Diagnostics) -> Option<Table<'a>> {
        let (word, value) = self.map.get_key_value(key)?;
        match value.get_ref() {
            DeValue::Table(map) => Some(Table::new(self.source, section, word.span(), map, self.faults, diagnostics)),
            _ => {
                if !self.is_broken(&value.span()) {
                    self.wrong_kind(
                        key,
                        value,
                        "a table",
                        format!("Write [{section}] on a line of its own, and its keys below."),
                        diagnostics,
                    );
                }
                None
            }
        }
    }

    /// `[[key]]`, any number of times.
    pub fn tables(&self, key: &str, section: &'static str, diagnostics: &mut Diagnostics) -> Vec<Table<'a>> {
        let Some((word, value)) = self.map.get_key_value(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .filter_map(|item| match item.get_ref() {
                    DeValue::Table(map) => {
                        let span = if item.span().is_empty() { word.span() } else { item.span() };
                        Some(Table::new(self.source, section, span, map, self.faults, diagnostics))
                    }
                    _ => {
                        self.wrong_kind(
                            key,
                            item,
                            "a table",
                            format!("Write [[{key}]] on a line of its own, and its keys below."),
                            diagnostics,
                        );
                        None
                    }
                })
                .collect(),
            DeValue::Table(_) => {
                diagnostics.error(
                    self.source,
                    word.span(),
                    format!("there may be several of `{key}`, so it takes two brackets"),
                    format!("Write [[{key}]]."),
                );
                Vec::new()
            }
            _ => {
                self.wrong_kind(key, value, "a table", format!("Write [[{key}]] on a line of its own, and its keys below."), diagnostics);
                Vec::new()
            }
        }
    }

    /// `[key.NAME]`, for every name.
    pub fn named(&self, key: &str, section: &'static str, diagnostics: &mut Diagnostics) -> Vec<(Spanned<String>, Table<'a>)> {
        let Some((word, value)) = self.map.get_key_value(key) else { return Vec::new() };
        let DeValue::Table(map) = value.get_ref() else {
            diagnostics.error(self.source, word.span(), format!("`{key}` takes a name"), format!("Write [{key}.NAME]."));
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in map {
            match value.get_ref() {
                DeValue::Table(map) => {
                    let table = Table::new(self.source, section, name.span(), map, self.faults, diagnostics);
                    out.push((Spanned::new(name.span(), name.get_ref().to_string()), table));
                }
                _ if self.is_broken(&value.span()) => {}
                _ => diagnostics.error(
                    self.source,
                    name.span(),
                    format!("`{}` stands directly under [{key}], which takes a name", name.get_ref()),
                    format!("Write [{key}.NAME] above it."),
                ),
            }
        }
        // The map is in order of the names; the file's order is the reader's.
        out.sort_by_key(|(name, _)| name.span().start);
        out
    }

    /// The tables in this one that have names of people's own, beside the keys that it knows.
    pub fn others(&self, section: &'static str, diagnostics: &mut Diagnostics) -> Vec<(Spanned<String>, Table<'a>)> {
        let mut out = Vec::new();
        for (name, value) in self.map {
            let word: &str = name.get_ref();
            if let DeValue::Table(map) = value.get_ref()
                && !reference::keys(self.section).any(|k| k == word)
            {
                let table = Table::new(self.source, section, name.span(), map, self.faults, diagnostics);
                out.push((Spanned::new(name.span(), word.to_owned()), table));
            }
        }
        out.sort_by_key(|(name, _)| name.span().start);
        out
    }

    /// `[key.NAME]` tables as they stand, for another reader.
    pub fn raw(&self, key: &str, diagnostics: &mut Diagnostics) -> Vec<(Spanned<String>, &'a DeTable<'a>)> {
        let Some((word, value)) = self.map.get_key_value(key) else { return Vec::new() };
        let DeValue::Table(map) = value.get_ref() else {
            diagnostics.error(
                self.source,
                word.span(),
                format!("`{key}` takes a rule's id"),
                format!("Write [{}.{key}.ID].", self.section),
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in map {
            match value.get_ref() {
                DeValue::Table(map) => out.push((Spanned::new(name.span(), name.get_ref().to_string()), map)),
                _ => {
                    let message = format!("`{}` stands directly under [{}.{key}], which takes a rule's id", name.get_ref(), self.section);
                    diagnostics.error(self.source, name.span(), message, format!("Write [{}.{key}.ID] above it.", self.section));
                }
            }
        }
        out.sort_by_key(|(name, _)| name.span().start);
        out
    }
}
