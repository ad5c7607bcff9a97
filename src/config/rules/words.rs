//! Every word that a rule file may hold: what it means, how it is written, an example, and how it is easily mistaken.
//!
//! The reader refuses what is not here, and `lychgate policy words` prints it (`rules/WORDS.md` and the manual page are its
//! output), so that the page can never be older than the program. Every example is compiled by a test, and every mistake too.

mod conditions;
mod print;
mod tables;

pub use print::{json, man, markdown, text};

/// Where a word belongs, in the order in which a Clerk meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Table,
    /// A key of `[[rule]]`.
    Rule,
    Mode,
    IfUnknown,
    Address,
    /// Conditions, by what they ask about.
    Joining,
    Way,
    Sender,
    Recipients,
    Text,
    Marking,
    Nature,
    Files,
    Outside,
    Time,
    Action,
    Fill,
}

impl Section {
    pub const ALL: &[Section] = &[
        Section::Table,
        Section::Rule,
        Section::Mode,
        Section::IfUnknown,
        Section::Address,
        Section::Joining,
        Section::Way,
        Section::Sender,
        Section::Recipients,
        Section::Text,
        Section::Marking,
        Section::Nature,
        Section::Files,
        Section::Outside,
        Section::Time,
        Section::Action,
        Section::Fill,
    ];

    pub fn heading(self) -> &'static str {
        match self {
            Section::Table => "Tables of a rule file",
            Section::Rule => "Keys of a [[rule]]",
            Section::Mode => "Modes",
            Section::IfUnknown => "if-unknown",
            Section::Address => "Addresses",
            Section::Joining => "Joining conditions",
            Section::Way => "Conditions: which way the mail goes",
            Section::Sender => "Conditions: who sends",
            Section::Recipients => "Conditions: who receives, and who sees whom",
            Section::Text => "Conditions: words",
            Section::Marking => "Conditions: confidential, protected, personal",
            Section::Nature => "Conditions: what kind of mail it is",
            Section::Files => "Conditions: attachments and links",
            Section::Outside => "Conditions: what must be asked elsewhere",
            Section::Time => "Conditions: when and how much",
            Section::Action => "Actions: what a rule does",
            Section::Fill => "Facts in the text of `say`, `reject` and `defer`",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Section::Table => "A rule file is TOML. It may hold these tables, in any order and as many as you like; order never decides.",
            Section::Rule => {
                "A rule says when it applies (when), what lifts it (unless) and what then happens (then). One condition a line, written with dots, is easily taken out with a # in front."
            }
            Section::Mode => {
                "Bring a new rule in step by step: observe, then warn, then enforce. The site file's [rules] mode is a ceiling for every rule."
            }
            Section::IfUnknown => {
                "What happens when a rule needs something from outside (a virus scanner, the DNS, the record of past mail) that could not be had."
            }
            Section::Address => "Wherever a condition takes addresses, it takes these; one, or several in a list.",
            Section::Joining => {
                "All conditions of `when` must hold together. These words combine them otherwise. Joined conditions may stand in one another."
            }
            Section::Action => {
                "All actions stand under `then`. The strictest outcome of all matching rules wins: reject, then defer, then hold, then deliver. Edits and notices add up, but a message that is refused or deferred is not edited."
            }
            Section::Fill => "Write them in braces. For a brace itself write {{ or }}.",
            _ => "",
        }
    }

    pub fn is_condition(self) -> bool {
        use Section::*;
        matches!(self, Joining | Way | Sender | Recipients | Text | Marking | Nature | Files | Outside | Time)
    }
}

/// One documented word.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    pub section: Section,
    pub word: &'static str,
    /// How it is written: what may stand to the right of the `=`.
    pub form: &'static str,
    /// In plain words.
    pub doc: &'static str,
    /// Lines that can be copied. A condition's stand in a `[[rule]]`; those with `[[…]]` are a whole file.
    pub example: &'static str,
    /// Lines that are easily written instead, and what `check` says of them; empty where nothing is.
    pub slip: (&'static str, &'static str),
}

const fn word(section: Section, word: &'static str, form: &'static str, doc: &'static str, example: &'static str) -> Word {
    Word { section, word, form, doc, example, slip: ("", "") }
}

impl Word {
    const fn slip(self, lines: &'static str, said: &'static str) -> Word {
        Word { slip: (lines, said), ..self }
    }
}

/// The whole vocabulary, section by section.
pub fn all() -> impl Iterator<Item = &'static Word> {
    Section::ALL.iter().flat_map(|s| TABLES.iter().flat_map(|t| t.iter()).filter(move |w| w.section == *s))
}

const TABLES: &[&[Word]] = &[tables::WORDS, conditions::WORDS];

/// The words that a condition may begin with.
pub fn conditions() -> impl Iterator<Item = &'static str> {
    all().filter(|w| w.section.is_condition()).map(|w| w.word)
}

/// The words that may stand under `then`.
pub fn actions() -> impl Iterator<Item = &'static str> {
    all().filter(|w| w.section == Section::Action).map(|w| w.word)
}

pub fn is_condition(word: &str) -> bool {
    conditions().any(|w| w == word)
}

pub fn is_action(word: &str) -> bool {
    actions().any(|w| w == word)
}

/// `example` as a whole rule file.
pub fn file_of(word: &Word, lines: &str) -> String {
    if lines.lines().any(|l| l.starts_with('[')) {
        return lines.to_string();
    }
    let has = |key: &str| lines.lines().any(|l| l.starts_with(key));
    let mut out = String::from("[[rule]]\n");
    if !has("id ") {
        out.push_str("id = \"example\"\n");
    }
    out.push_str(lines);
    out.push('\n');
    if !has("when") {
        out.push_str("when.direction = \"outbound\"\n");
    }
    if !has("then") && word.section != Section::Action {
        out.push_str("then.notify = [\"clerk\"]\n");
    }
    out
}

#[cfg(test)]
mod tests;
