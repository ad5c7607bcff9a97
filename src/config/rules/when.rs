//! Conditions as they are written: `when`, `unless`, `[[condition]]`, to [`Condition`].

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::{Reader, Value, in_order, kind};
use super::{Loading, Named, RULE, words};
use crate::config::{Diagnostics, Source, spelling, units};
use crate::policy::Role;
use crate::policy::condition::*;
use crate::policy::outside::{Authentication, Outer};
use crate::policy::pattern::{Kind, Pattern, PatternError, PatternSet};

/// How deep conditions may stand in one another.
const DEPTH: usize = 32;

/// The patterns of all rules, by the text that they are held against, each once.
#[derive(Default)]
pub struct Patterns {
    sets: Vec<(Kind, Vec<Pattern>)>,
    known: HashMap<(usize, bool, String), usize>,
}

impl Patterns {
    fn set(&mut self, kind: Kind) -> usize {
        match self.sets.iter().position(|(k, _)| *k == kind) {
            Some(at) => at,
            None => {
                self.sets.push((kind, Vec::new()));
                self.sets.len() - 1
            }
        }
    }

    pub fn kind(&self, set: usize) -> Option<&Kind> {
        self.sets.get(set).map(|(k, _)| k)
    }

    pub fn compile(self, d: &mut Diagnostics) -> Option<Vec<PatternSet>> {
        let mut out = Vec::with_capacity(self.sets.len());
        for (kind, patterns) in self.sets {
            match PatternSet::compile(kind, &patterns) {
                Ok(set) => out.push(set),
                Err(error) => {
                    d.error_without_place(
                        format!("the patterns of the rules cannot be compiled together: {error:?}"),
                        "Make the largest of them smaller.",
                    );
                    return None;
                }
            }
        }
        Some(out)
    }
}

/// Whether a condition reads what people wrote.
pub fn reads_content(condition: &Condition, patterns: &Patterns) -> bool {
    match condition {
        Condition::Identifiers { .. }
        | Condition::Links(_)
        | Condition::UnreadableText
        | Condition::Number(Number::AddressesInText | Number::ClearText, _) => true,
        Condition::PasswordDisclosed(_) | Condition::NoPasswordDisclosed => true,
        Condition::Pattern(used) => !matches!(patterns.kind(used.set), Some(Kind::Header(_) | Kind::AttachmentName) | None),
        _ => false,
    }
}

/// Whether a condition reads the text inside attachments, which may not be readable.
pub fn reads_attachments(condition: &Condition, patterns: &Patterns) -> bool {
    match condition {
        Condition::Identifiers { .. } | Condition::Number(Number::AddressesInText, _) => true,
        Condition::Pattern(used) => matches!(patterns.kind(used.set), Some(Kind::Text)),
        _ => false,
    }
}

/// Whether a condition guards against malware: nothing exempts from a rule that has it.
pub fn guards(condition: &Condition, patterns: &Patterns) -> bool {
    match condition {
        Condition::Attachment(_) | Condition::Ambiguous(_) | Condition::AmbiguousIn(_) => true,
        Condition::Virus(_) => true,
        Condition::UnknownFact(any) => any.contains(&Outer::Virus),
        Condition::Pattern(used) => matches!(patterns.kind(used.set), Some(Kind::AttachmentName)),
        _ => false,
    }
}

impl<'a> Loading<'a, '_> {
    /// A rule's `when`.
    pub(super) fn when(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>, span: &Range<usize>) -> Option<Condition> {
        let always = "Write when = \"always\" for every message, or say when: when.direction = \"outbound\".";
        match table.get("when") {
            None => {
                if !reader.has_faults() {
                    reader.error(span.clone(), "this rule does not say when it applies", always, self.d);
                }
                None
            }
            Some(value) => match value.get_ref() {
                DeValue::String(word) if word == "always" => Some(Condition::Always),
                DeValue::Table(inner) if inner.is_empty() => {
                    reader.error(value.span(), "an empty `when` does not say when the rule applies", always, self.d);
                    None
                }
                DeValue::Table(inner) => self.table(reader, inner, 0),
                _ => {
                    reader.error(value.span(), "`when` takes conditions", always, self.d);
                    None
                }
            },
        }
    }

    /// A rule's `unless`: a list of exceptions, or a single table.
    pub(super) fn unless(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>) -> Vec<Condition> {
        let Some(value) = table.get("unless") else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(entries) => entries
                .iter()
                .filter_map(|entry| match entry.get_ref() {
                    DeValue::Table(inner) if !inner.is_empty() => self.table(reader, inner, 0),
                    other => {
                        reader.error(
                            entry.span(),
                            format!(
                                "an exception is a table, and this is {}",
                                if matches!(other, DeValue::Table(_)) { "empty" } else { kind(other) }
                            ),
                            "Write unless = [{ calendar = true }].",
                            self.d,
                        );
                        None
                    }
                })
                .collect(),
            DeValue::Table(inner) => {
                let bare: Vec<_> = in_order(inner);
                if let [_, second, ..] = bare.as_slice() {
                    let names: Vec<String> = bare.iter().map(|(k, v)| written(reader.source, k, v)).collect();
                    reader.error(
                        second.0.span(),
                        "either or both? `unless` has two exceptions in one table",
                        format!(
                            "For either write unless = [{}]; for both at once unless = [{{ {} }}].",
                            names.iter().map(|n| format!("{{ {n} }}")).collect::<Vec<_>>().join(", "),
                            names.join(", ")
                        ),
                        self.d,
                    );
                    return Vec::new();
                }
                self.table(reader, inner, 0).into_iter().collect()
            }
            other => {
                reader.error(
                    value.span(),
                    format!("`unless` takes a list of exceptions, and this is {}", kind(other)),
                    "Write unless = [{ calendar = true }, { list-mail = true }].",
                    self.d,
                );
                Vec::new()
            }
        }
    }

    /// A `[[condition]]` by its name.
    pub(super) fn named(&mut self, name: &str) -> Option<Arc<Condition>> {
        match self.conditions.get_mut(name)? {
            Named::Read(condition) => Some(condition.clone()),
            Named::Broken | Named::Reading => None,
            unread => {
                let Named::Unread(source, faults, table) = std::mem::replace(unread, Named::Reading) else { return None };
                let tuned = std::mem::take(&mut self.tuned);
                let condition = self.condition_table(Reader::new(source, faults), table);
                self.tuned = tuned;
                let condition = condition.map(Arc::new);
                self.conditions.insert(name.to_string(), condition.clone().map_or(Named::Broken, Named::Read));
                condition
            }
        }
    }

    fn condition_table(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>) -> Option<Condition> {
        let keys: Vec<_> = in_order(table).into_iter().filter(|(k, _)| k.get_ref() != "name").collect();
        if keys.is_empty() {
            let at = reader.key_span(table, "name");
            reader.error(at, "this condition asks for nothing", "Add what must hold, such as direction = \"outbound\".", self.d);
            return None;
        }
        // `when` in a condition is a slip that is easily understood.
        if let [(key, value)] = keys.as_slice()
            && key.get_ref() == "when"
            && let DeValue::Table(inner) = value.get_ref()
        {
            return self.table(reader, inner, 0);
        }
        self.join(reader, keys, 0)
    }

    /// All conditions of a table: *and*.
    fn table(&mut self, reader: Reader<'a>, table: &'a DeTable<'a>, depth: usize) -> Option<Condition> {
        self.join(reader, in_order(table), depth)
    }

    fn join(
        &mut self,
        reader: Reader<'a>,
        keys: Vec<(&'a Spanned<std::borrow::Cow<'a, str>>, &'a Value<'a>)>,
        depth: usize,
    ) -> Option<Condition> {
        if depth > DEPTH {
            if let Some((key, _)) = keys.first() {
                reader.error(key.span(), "conditions stand too deep in one another", "Use [[condition]] and `is` instead.", self.d);
            }
            return None;
        }
        let mut out = Vec::with_capacity(keys.len());
        let mut broken = false;
        for (key, value) in keys {
            match self.condition(reader, key, value, depth) {
                Some(condition) => out.push(condition),
                None => broken = true,
            }
        }
        if broken {
            return None;
        }
        out.sort_by_key(Condition::cost);
        Some(match out.len() {
            1 => out.remove(0),
            _ => Condition::All(out),
        })
    }

    fn each(&mut self, reader: Reader<'a>, key: &str, value: &'a Value<'a>, depth: usize) -> Option<Vec<Condition>> {
        let DeValue::Array(items) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`{key}` takes a list of tables"),
                format!("Write {key} = [{{ calendar = true }}, {{ list-mail = true }}]."),
                self.d,
            );
            return None;
        };
        if items.is_empty() {
            reader.error(value.span(), format!("the list of `{key}` is empty"), "Put conditions in it, or delete the line.", self.d);
            return None;
        }
        let mut out = Vec::new();
        let mut broken = false;
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => match self.table(reader, inner, depth + 1) {
                    Some(c) => out.push(c),
                    None => broken = true,
                },
                other => {
                    let what = if matches!(other, DeValue::Table(_)) { "an empty table" } else { kind(other) };
                    reader.error(
                        item.span(),
                        format!("`{key}` takes tables, and this is {what}"),
                        "Write each condition as a table: { calendar = true }.",
                        self.d,
                    );
                    broken = true;
                }
            }
        }
        out.sort_by_key(Condition::cost);
        (!broken).then_some(out)
    }

    fn condition(
        &mut self,
        reader: Reader<'a>,
        key: &'a Spanned<std::borrow::Cow<'a, str>>,
        value: &'a Value<'a>,
        depth: usize,
    ) -> Option<Condition> {
        let word: &str = key.get_ref();
        // The documented words are the door: what is not among them is read by no arm below.
        if !words::is_condition(word) && !word.starts_with("header.") {
            self.unknown_word(reader, key, word);
            return None;
        }
        match word {
            "any" => self.each(reader, word, value, depth).map(Condition::Any),
            "all" => self.each(reader, word, value, depth).map(Condition::All),
            "not" => match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() => self.table(reader, inner, depth + 1).map(|c| Condition::Not(Box::new(c))),
                _ => {
                    reader.error(value.span(), "`not` takes a table with conditions", "Write not = { calendar = true }.", self.d);
                    None
                }
            },
            "is" => self.is(reader, value),
            "direction" => self.words(reader, value, word, Direction::WORDS).map(Condition::Direction),
            "role" => {
                let roles = [("submission", Role::Submission), ("connector", Role::Connector), ("mx", Role::Mx)];
                self.words(reader, value, word, &roles).map(Condition::Role)
            }
            "listener" => self.listener(reader, value),
            "sender" => self.who(reader, value, word).map(Condition::Sender),
            "proven-sender" => self.who(reader, value, word).map(Condition::ProvenSender),
            "impersonates" => self.impersonates(reader, value),
            "envelope-sender" => self.who(reader, value, word).map(Condition::EnvelopeSender),
            "recipient" => self.who(reader, value, word).map(Condition::Recipient),
            "every-recipient" => self.who(reader, value, word).map(Condition::EveryRecipient),
            "every-outsider" => self.who(reader, value, word).map(Condition::EveryOutsider),
            "sends-as-other" => reader.boolean(value, word, self.d).map(Condition::SendsAsOther),
            "subject" => self.text(reader, value, word, Kind::Subject),
            "text" => self.text(reader, value, word, Kind::Text),
            "body" => self.body(reader, value),
            "attachment-name" => self.attachment_name(reader, value),
            "header" => self.headers(reader, value),
            "marked" => self.words(reader, value, word, Marking::WORDS).map(Condition::Marked),
            "protected" => self.protected(reader, value),
            "forwarded" => match value.get_ref() {
                DeValue::Boolean(true) => Some(Condition::Forwarded(vec![Forwarding::ByHand, Forwarding::Automatic])),
                DeValue::Boolean(false) => Some(Condition::NotForwarded),
                _ => self.words(reader, value, word, Forwarding::WORDS).map(Condition::Forwarded),
            },
            "personal-account" => self.words(reader, value, word, PersonalAccount::WORDS).map(Condition::PersonalAccount),
            "calendar" => reader.boolean(value, word, self.d).map(Condition::Calendar),
            "list-mail" => reader.boolean(value, word, self.d).map(Condition::ListMail),
            "ambiguous" => match value.get_ref() {
                DeValue::Boolean(_) => reader.boolean(value, word, self.d).map(Condition::Ambiguous),
                _ => self.words(reader, value, word, Ambiguous::WORDS).map(Condition::AmbiguousIn),
            },
            "automatic" => match value.get_ref() {
                DeValue::Boolean(true) => Some(Condition::Automatic(Automatic::WORDS.iter().map(|(_, a)| *a).collect())),
                DeValue::Boolean(false) => Some(Condition::NotAutomatic),
                _ => self.words(reader, value, word, Automatic::WORDS).map(Condition::Automatic),
            },
            "reply" => match value.get_ref() {
                DeValue::Boolean(true) => Some(Condition::Reply(ReplyKind::Any)),
                DeValue::Boolean(false) => Some(Condition::Reply(ReplyKind::Not)),
                _ => reader.one_of(value, word, &["to-all"], self.d).map(|_| Condition::Reply(ReplyKind::ToAll)),
            },
            "attachment" => self.attachment(reader, value),
            "identifiers" => self.identifiers(reader, value),
            "links" => match value.get_ref() {
                DeValue::Boolean(true) => Some(Condition::Links(Link::WORDS.iter().map(|(_, l)| *l).collect())),
                _ => self.words(reader, value, word, Link::WORDS).map(Condition::Links),
            },
            "password-disclosed" => match value.get_ref() {
                DeValue::Boolean(true) => Some(Condition::PasswordDisclosed(vec![Disclosure::Beside, Disclosure::Later])),
                DeValue::Boolean(false) => Some(Condition::NoPasswordDisclosed),
                _ => self.words(reader, value, word, Disclosure::WORDS).map(Condition::PasswordDisclosed),
            },
            "dates" => self.dates(reader, value),
            "hours" => self.hours(reader, value),
            "weekdays" => {
                use jiff::civil::Weekday::*;
                let days = [
                    ("mon", Monday),
                    ("tue", Tuesday),
                    ("wed", Wednesday),
                    ("thu", Thursday),
                    ("fri", Friday),
                    ("sat", Saturday),
                    ("sun", Sunday),
                ];
                self.words(reader, value, word, &days).map(Condition::Weekdays)
            }
            _ => {
                if let Some(number) = Number::ALL.iter().find(|n| n.word() == word) {
                    let span = self.span(reader, value, word, *number == Number::Size)?;
                    let span = self.tuned.iter_mut().find(|(n, ..)| n == number).map_or(span, |(_, tuned, used)| {
                        *used = true;
                        *tuned
                    });
                    return Some(Condition::Number(*number, span));
                }
                if let Some(name) = word.strip_prefix("header.") {
                    return self.header(reader, key.span(), name, value);
                }
                if let Some(condition) = self.outer(reader, word, value) {
                    return condition;
                }
                self.unknown_word(reader, key, word);
                None
            }
        }
    }

    fn unknown_word(&mut self, reader: Reader<'a>, key: &Spanned<std::borrow::Cow<'a, str>>, word: &str) {
        if RULE.contains(&word) {
            reader.error(
                key.span(),
                format!("`{word}` stands among the conditions and belongs to the rule"),
                format!("Move the line with `{word}` up, above [rule.when]."),
                self.d,
            );
            return;
        }
        let help = match spelling::nearest(word, words::conditions()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None => "`lychgate policy words` lists all conditions.".to_string(),
        };
        reader.error(key.span(), format!("there is no condition `{word}`"), help, self.d);
    }

    fn is(&mut self, reader: Reader<'a>, value: &Value<'a>) -> Option<Condition> {
        let texts = reader.texts_of(value, "is", self.d);
        let mut out = Vec::new();
        for text in &texts {
            let name = text.get_ref();
            if matches!(self.conditions.get(name), Some(Named::Reading)) {
                reader.error(text.span(), format!("the condition \"{name}\" asks for itself"), "Take one of the `is` out.", self.d);
                continue;
            }
            match self.named(name) {
                Some(condition) => out.push(Condition::Is(name.as_str().into(), condition)),
                // Its own faults are told where it stands.
                None if self.conditions.contains_key(name) => {}
                None => {
                    let help = match spelling::nearest(name, self.conditions.keys().map(String::as_str)) {
                        Some(near) => format!("Did you mean \"{near}\"?"),
                        None => format!("Add a [[condition]] with name = \"{name}\"."),
                    };
                    reader.error(text.span(), format!("there is no condition named \"{name}\""), help, self.d);
                }
            }
        }
        if texts.is_empty() || out.len() < texts.len() {
            return None;
        }
        Some(if out.len() == 1 { out.remove(0) } else { Condition::Any(out) })
    }

    fn words<T: Copy>(&mut self, reader: Reader<'_>, value: &Value<'_>, what: &str, words: &[(&str, T)]) -> Option<Vec<T>> {
        let names: Vec<&str> = words.iter().map(|(w, _)| *w).collect();
        let found = reader.several(value, what, &names, self.d);
        let wanted = if let DeValue::Array(items) = value.get_ref() { items.len() } else { 1 };
        (found.len() == wanted && wanted > 0)
            .then(|| found.iter().filter_map(|f| words.iter().find(|(w, _)| w == f).map(|(_, t)| *t)).collect())
    }

    /// `unknown`: facts from outside, and text that could not be read.
    fn unknown_fact(&mut self, reader: Reader<'_>, value: &Value<'_>, what: &str) -> Option<Condition> {
        let words: Vec<(&str, Option<Outer>)> = Outer::WORDS.iter().map(|(w, o)| (*w, Some(*o))).chain([("text", None)]).collect();
        let found = self.words(reader, value, what, &words)?;
        let outer: Vec<Outer> = found.iter().copied().flatten().collect();
        Some(match (outer.len() < found.len(), outer.is_empty()) {
            (false, _) => Condition::UnknownFact(outer),
            (true, true) => Condition::UnreadableText,
            (true, false) => Condition::Any(vec![Condition::UnreadableText, Condition::UnknownFact(outer)]),
        })
    }

    fn who(&mut self, reader: Reader<'_>, value: &Value<'_>, what: &str) -> Option<crate::policy::people::Who> {
        let texts = reader.texts_of(value, what, self.d);
        let who = self.lists.who(reader, &texts, self.d);
        (!texts.is_empty() && who.written.len() == texts.len()).then_some(who)
    }

    fn impersonates(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let texts = reader.texts_of(value, "impersonates", self.d);
        let mut whom = Impersonated::default();
        let mut lists = Vec::new();
        for text in &texts {
            match text.get_ref().as_str() {
                "council" | "@council" => whom.council = true,
                "clerk" | "@clerk" => whom.clerk = true,
                "chair" | "@chair" => whom.chair = true,
                "councillors" => lists.push(Spanned::new(text.span(), "@councillors".to_string())),
                list if list.starts_with('@') => lists.push(text.clone()),
                other => {
                    let one = Spanned::new(text.span(), DeValue::String(other.to_owned().into()));
                    reader.one_of(&one, "impersonates", &["council", "clerk", "chair", "councillors"], self.d);
                    return None;
                }
            }
        }
        whom.people = self.lists.who(reader, &lists, self.d);
        let all = whom.people.written.len() == lists.len();
        whom.written = texts.iter().map(|t| t.get_ref().clone()).collect();
        (!texts.is_empty() && all).then_some(Condition::Impersonates(whom))
    }

    fn listener(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let texts = reader.texts_of(value, "listener", self.d);
        for text in &texts {
            if !self.site.listeners.is_empty() && !self.site.listeners.iter().any(|(name, _)| **name == **text.get_ref()) {
                let near = spelling::nearest(text.get_ref(), self.site.listeners.iter().map(|(n, _)| n.as_ref()));
                reader.error(
                    text.span(),
                    format!("there is no listener \"{}\"", text.get_ref()),
                    near.map_or("It must be the name of a [[listener]] of the site file.".into(), |n| format!("Did you mean \"{n}\"?")),
                    self.d,
                );
            }
        }
        (!texts.is_empty()).then(|| Condition::Listener(texts.iter().map(|t| t.get_ref().as_str().into()).collect()))
    }

    /// `{ at-least = 3, at-most = 9 }`.
    pub(super) fn span(&mut self, reader: Reader<'_>, value: &Value<'_>, what: &str, is_size: bool) -> Option<Span> {
        let example = if is_size { "\"15MB\"" } else { "3" };
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`{what}` takes the least or the most, and this is {}", kind(value.get_ref())),
                format!("Write {what}.at-least = {example}."),
                self.d,
            );
            return None;
        };
        reader.only(table, &["at-least", "at-most"], what, self.d);
        let mut bound = |key: &str| -> Option<Option<u64>> {
            let Some(value) = table.get(key) else { return Some(None) };
            match value.get_ref() {
                DeValue::String(text) if is_size => match units::size(text) {
                    Ok(n) => Some(Some(n)),
                    Err(fault) => {
                        reader.error(value.span(), fault.message, fault.help, self.d);
                        None
                    }
                },
                _ => reader.integer(value, key, self.d).map(Some),
            }
        };
        let (least, most) = (bound("at-least")?, bound("at-most")?);
        if least.is_none() && most.is_none() {
            reader.error(
                value.span(),
                format!("`{what}` says neither at-least nor at-most"),
                format!("Write {what}.at-least = {example}."),
                self.d,
            );
            return None;
        }
        let span = Span { at_least: least.unwrap_or(0), at_most: most.unwrap_or(u64::MAX) };
        if span.at_least > span.at_most {
            reader.error(
                value.span(),
                format!("`{what}` can never be at least {} and at most {}", span.at_least, span.at_most),
                "Swap the two.",
                self.d,
            );
            return None;
        }
        Some(span)
    }

    /// `{ words = […] }`, `{ matches = ['…'] }`, or both: any of all of them.
    fn text(&mut self, reader: Reader<'_>, value: &Value<'_>, what: &str, kind_of: Kind) -> Option<Condition> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                format!("`{what}` takes words or patterns, and this is {}", kind(value.get_ref())),
                format!("Write {what}.words = [\"…\"] for whole words, or {what}.matches = ['…'] for a regular expression."),
                self.d,
            );
            return None;
        };
        reader.only(table, &["words", "matches"], what, self.d);
        self.patterns_of(reader, value.span(), table, what, kind_of)
    }

    fn patterns_of(&mut self, reader: Reader<'_>, span: Range<usize>, table: &DeTable<'_>, what: &str, kind_of: Kind) -> Option<Condition> {
        if table.get("words").is_none() && table.get("matches").is_none() {
            reader.error(span, format!("`{what}` says neither words nor matches"), format!("Write {what}.words = [\"…\"]."), self.d);
            return None;
        }
        let set = self.patterns.set(kind_of);
        let mut patterns = Vec::new();
        let mut broken = false;
        for (key, is_regex) in [("words", false), ("matches", true)] {
            for text in reader.texts(table, key, self.d).unwrap_or_default() {
                match self.pattern(reader, set, is_regex, &text) {
                    Some(pattern) => patterns.push(pattern),
                    None => broken = true,
                }
            }
        }
        (!broken && !patterns.is_empty()).then_some(Condition::Pattern(PatternUse { set, patterns }))
    }

    fn pattern(&mut self, reader: Reader<'_>, set: usize, is_regex: bool, text: &Spanned<String>) -> Option<usize> {
        let written = text.get_ref();
        if let Some(control) = written.chars().find(|c| c.is_control()) {
            let name = match control {
                '\u{8}' => "a backspace (\\b in double quotes)".to_string(),
                '\t' => "a tab".to_string(),
                '\n' | '\r' => "the end of a line".to_string(),
                c => format!("the control character U+{:04X}", c as u32),
            };
            reader.error(
                text.span(),
                format!("this pattern has {name} in it"),
                format!(
                    "Write it in single quotes: use '{}'.",
                    written
                        .chars()
                        .map(|c| match c {
                            '\u{8}' => "\\b".into(),
                            '\t' => "\\t".into(),
                            '\n' => "\\n".into(),
                            '\r' => "\\r".into(),
                            c if c.is_control() => String::new(),
                            c => c.to_string(),
                        })
                        .collect::<String>()
                ),
                self.d,
            );
            return None;
        }
        let key = (set, is_regex, written.clone());
        if let Some(known) = self.patterns.known.get(&key) {
            return Some(*known);
        }
        let parsed = if is_regex { Pattern::regex(written) } else { Pattern::words(written) };
        match parsed {
            Ok(pattern) => {
                if pattern.matches_everything() {
                    reader.warning(text.span(), "this pattern is in every text", "It finds even nothing. Is it meant so?", self.d);
                }
                let list = &mut self.patterns.sets[set].1;
                list.push(pattern);
                let number = list.len() - 1;
                self.patterns.known.insert(key, number);
                Some(number)
            }
            Err(error) => {
                let (message, help) = match error {
                    PatternError::Syntax { message, at } if is_regex => {
                        let piece = written.get(at).unwrap_or_default();
                        (
                            format!("this pattern cannot be read: {message}"),
                            if piece.is_empty() {
                                "For plain words use `words` instead.".to_string()
                            } else {
                                format!("The trouble is at \"{piece}\". For plain words use `words` instead.")
                            },
                        )
                    }
                    PatternError::Syntax { message, .. } | PatternError::Other(message) => {
                        (format!("this cannot be searched for: {message}"), String::new())
                    }
                    PatternError::TooLarge => (
                        "this pattern is too large".to_string(),
                        "Repeat less: {1000} and the like multiply. Split it into several patterns.".to_string(),
                    ),
                    PatternError::MatchesEverything => ("these words are empty".to_string(), "Put words in, or delete them.".to_string()),
                };
                reader.error(text.span(), message, help, self.d);
                None
            }
        }
    }

    fn body(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let DeValue::Table(table) = value.get_ref() else { return self.text(reader, value, "body", Kind::BodyNew) };
        reader.only(table, &["in", "words", "matches"], "body", self.d);
        let kind = match reader.word(table, "in", &["new", "quoted", "all"], self.d).as_deref() {
            Some("quoted") => Kind::BodyQuoted,
            Some("all") => Kind::BodyAll,
            _ => Kind::BodyNew,
        };
        self.patterns_of(reader, value.span(), table, "body", kind)
    }

    fn attachment_name(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        if let DeValue::Boolean(wanted) = value.get_ref() {
            return Some(Condition::Attachment(AttachmentTest { kinds: Vec::new(), size: Span::at_least(0), absent: !wanted }));
        }
        self.text(reader, value, "attachment-name", Kind::AttachmentName)
    }

    /// `header.NAME = …`, dotted: a table of names.
    fn headers(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(
                value.span(),
                "`header` takes the name of a field",
                "Write header.Subject.words = [\"…\"], or header.X-Council = true.",
                self.d,
            );
            return None;
        };
        let mut out = Vec::new();
        for (name, value) in in_order(table) {
            out.push(self.header(reader, name.span(), name.get_ref(), value)?);
        }
        Some(match out.len() {
            1 => out.remove(0),
            _ => Condition::All(out),
        })
    }

    fn header(&mut self, reader: Reader<'_>, span: Range<usize>, name: &str, value: &Value<'_>) -> Option<Condition> {
        // RFC 5322 §3.6.8: printable, no colon.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            reader.error(
                span,
                format!("\"{name}\" is not the name of a header field"),
                "Write the name without the colon: header.X-Council.",
                self.d,
            );
            return None;
        }
        let name: Arc<str> = name.to_ascii_lowercase().into();
        match value.get_ref() {
            DeValue::Boolean(wanted) => Some(Condition::HeaderPresent(name, *wanted)),
            _ => self.text(reader, value, &format!("header.{name}"), Kind::Header(name.clone())),
        }
    }

    fn protected(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        match value.get_ref() {
            DeValue::Boolean(true) => Some(Condition::Protected(vec![Protected::Message, Protected::Attachments])),
            DeValue::Boolean(false) => Some(Condition::Protected(vec![Protected::Neither])),
            _ => self
                .words(reader, value, "protected", &[("message", Protected::Message), ("attachments", Protected::Attachments)])
                .map(Condition::Protected),
        }
    }

    fn attachment(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let any = |kinds, size| Condition::Attachment(AttachmentTest { kinds, size, absent: false });
        match value.get_ref() {
            DeValue::Boolean(wanted) => {
                Some(Condition::Attachment(AttachmentTest { kinds: Vec::new(), size: Span::at_least(0), absent: !wanted }))
            }
            DeValue::Table(table) => {
                reader.only(table, &["kinds", "at-least", "at-most"], "attachment", self.d);
                let kinds = match table.get("kinds") {
                    Some(kinds) => self.words(reader, kinds, "kinds", AttachmentKind::WORDS)?,
                    None => Vec::new(),
                };
                let size = if table.get("at-least").is_some() || table.get("at-most").is_some() {
                    let mut only_size = DeTable::new();
                    for key in ["at-least", "at-most"] {
                        if let Some((k, v)) = table.get_key_value(key) {
                            only_size.insert(k.clone(), v.clone());
                        }
                    }
                    self.span(reader, &Spanned::new(value.span(), DeValue::Table(only_size)), "attachment", true)?
                } else {
                    Span::at_least(0)
                };
                if table.is_empty() {
                    reader.error(
                        value.span(),
                        "`attachment` asks for nothing",
                        "Write attachment.kinds = [\"executable\"], attachment.at-least = \"15MB\", or attachment = true.",
                        self.d,
                    );
                    return None;
                }
                Some(any(kinds, size))
            }
            _ => self.words(reader, value, "attachment", AttachmentKind::WORDS).map(|kinds| any(kinds, Span::at_least(0))),
        }
    }

    fn identifiers(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let all = || Identifier::WORDS.iter().map(|(_, i)| *i).collect::<Vec<_>>();
        match value.get_ref() {
            DeValue::Boolean(true) => Some(Condition::Identifiers { kinds: all(), count: Span::at_least(1) }),
            DeValue::Table(table) => {
                reader.only(table, &["kinds", "at-least", "at-most"], "identifiers", self.d);
                let kinds = match table.get("kinds") {
                    Some(kinds) => self.words(reader, kinds, "kinds", Identifier::WORDS)?,
                    None => all(),
                };
                let number = |key: &str, d: &mut Diagnostics| match table.get(key) {
                    Some(v) => reader.integer(v, key, d).map(Some),
                    None => Some(None),
                };
                let least = number("at-least", self.d)?;
                let most = number("at-most", self.d)?;
                let count = Span { at_least: least.unwrap_or(if most.is_some() { 0 } else { 1 }), at_most: most.unwrap_or(u64::MAX) };
                Some(Condition::Identifiers { kinds, count })
            }
            _ => self
                .words(reader, value, "identifiers", Identifier::WORDS)
                .map(|kinds| Condition::Identifiers { kinds, count: Span::at_least(1) }),
        }
    }

    fn dates(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let example = "Write dates = [2027-03-22, 2027-05-06]; both days count.";
        let DeValue::Array(items) = value.get_ref() else {
            reader.error(value.span(), "`dates` takes the first and the last day", example, self.d);
            return None;
        };
        let mut days = Vec::new();
        for item in items.iter() {
            days.push(self.date(reader, item)?);
        }
        match days.as_slice() {
            [first, last] if first <= last => Some(Condition::Dates(*first, *last)),
            [_, _] => {
                reader.error(value.span(), "the last day is before the first", "Swap the two.", self.d);
                None
            }
            _ => {
                reader.error(value.span(), "`dates` takes two days: the first and the last", example, self.d);
                None
            }
        }
    }

    fn date(&mut self, reader: Reader<'_>, item: &Value<'_>) -> Option<jiff::civil::Date> {
        match item.get_ref() {
            DeValue::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None }) => {
                let made = jiff::civil::Date::new(i16::try_from(date.year).unwrap_or(i16::MAX), date.month as i8, date.day as i8).ok();
                if made.is_none() {
                    reader.error(item.span(), "this is not a day of the calendar", "Write the year first: 2027-03-22.", self.d);
                }
                made
            }
            DeValue::String(text) => match units::date(text) {
                Ok(date) => Some(date),
                Err(fault) => {
                    reader.error(item.span(), fault.message, fault.help, self.d);
                    None
                }
            },
            other => {
                reader.error(
                    item.span(),
                    format!("a day is wanted, and this is {}", kind(other)),
                    "Write the year first: 2027-03-22.",
                    self.d,
                );
                None
            }
        }
    }

    fn hours(&mut self, reader: Reader<'_>, value: &Value<'_>) -> Option<Condition> {
        let example = "Write hours = [\"19:00\", \"07:00\"].";
        let texts = reader.texts_of(value, "hours", self.d);
        let mut times = Vec::new();
        for text in &texts {
            let parsed = text
                .get_ref()
                .split_once(':')
                .filter(|(h, m)| h.len() <= 2 && m.len() == 2)
                .and_then(|(h, m)| jiff::civil::Time::new(h.parse().ok()?, m.parse().ok()?, 0, 0).ok());
            match parsed {
                Some(time) => times.push(time),
                None => {
                    reader.error(text.span(), format!("\"{}\" is not a time of day", text.get_ref()), example, self.d);
                    return None;
                }
            }
        }
        match times.as_slice() {
            [from, to] => Some(Condition::Hours(*from, *to)),
            _ => {
                reader.error(value.span(), "`hours` takes from and to", example, self.d);
                None
            }
        }
    }

    /// Facts from outside; none if the word is another.
    fn outer(&mut self, reader: Reader<'a>, word: &str, value: &'a Value<'a>) -> Option<Option<Condition>> {
        Some(match word {
            "virus" => reader.boolean(value, word, self.d).map(Condition::Virus),
            "spf" => self.words(reader, value, word, Authentication::WORDS).map(Condition::Spf),
            "dkim" => self.words(reader, value, word, Authentication::WORDS).map(Condition::Dkim),
            "dmarc" => self.words(reader, value, word, Authentication::WORDS).map(Condition::Dmarc),
            "seen-together" => reader.boolean(value, word, self.d).map(Condition::SeenTogether),
            "first-contact" => match value.get_ref() {
                DeValue::String(text) if !matches!(text.as_ref(), "true" | "false" | "yes" | "no") => {
                    reader.one_of(value, word, &["near-name"], self.d).map(|_| Condition::NearName)
                }
                _ => reader.boolean(value, word, self.d).map(Condition::FirstContact),
            },
            "unknown" => self.unknown_fact(reader, value, word),
            "rate" => self.rate(reader, value),
            _ => return None,
        })
    }

    fn rate(&mut self, reader: Reader<'a>, value: &'a Value<'a>) -> Option<Condition> {
        let example = "Write rate = { of = \"messages\", by = \"login\", at-least = 300, per = \"1h\" }.";
        let DeValue::Table(table) = value.get_ref() else {
            reader.error(value.span(), "`rate` takes a table", example, self.d);
            return None;
        };
        reader.only(table, &["of", "by", "at-least", "per"], "rate", self.d);
        for key in ["by", "at-least", "per"] {
            if table.get(key).is_none() {
                reader.error(value.span(), format!("`rate` does not say `{key}`"), example, self.d);
                return None;
            }
        }
        let word = |word: Option<String>, words: &[(&str, RateOf)]| match word {
            None => Some(RateOf::Messages),
            Some(word) => words.iter().find(|(w, _)| *w == word).map(|(_, of)| *of),
        };
        let of = word(reader.word(table, "of", &["messages", "recipients"], self.d), RateOf::WORDS)?;
        let by = reader.word(table, "by", &["login", "sender", "pair"], self.d)?;
        let by = RateBy::WORDS.iter().find(|(w, _)| *w == by).map(|(_, by)| *by)?;
        let at_least = reader.integer(table.get("at-least")?, "at-least", self.d)?;
        let per = reader.text(table, "per", self.d)?;
        let per = match units::duration(per.get_ref()) {
            Ok(duration) => duration.as_secs().max(1),
            Err(fault) => {
                reader.error(per.span(), fault.message, fault.help, self.d);
                return None;
            }
        };
        let rate = Rate { of, by, per };
        let at = self.rates.iter().position(|r| *r == rate).unwrap_or_else(|| {
            self.rates.push(rate);
            self.rates.len() - 1
        });
        Some(Condition::Rate(RateTest { rate: at, at_least }))
    }
}

/// A key and its value as they stand in the file, for help that can be copied.
fn written(source: &Arc<Source>, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Value<'_>) -> String {
    let text = source.text.get(value.span()).unwrap_or("…").trim();
    if matches!(value.get_ref(), DeValue::Table(_)) && !text.starts_with('{') {
        format!("{} = {{ … }}", key.get_ref())
    } else {
        format!("{} = {text}", key.get_ref())
    }
}
