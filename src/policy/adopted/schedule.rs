//! The live rules as a schedule that a council can adopt with its policy: plain English, one entry a rule.

use crate::policy::plain;
use crate::policy::rule::{ExemptFrom, Policy, Rule};
use crate::policy::verdict::{Mode, RecordLevel};

/// What stands on the front.
pub struct Front<'a> {
    pub council: &'a str,
    /// When the rules were last changed.
    pub date: Option<jiff::civil::Date>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    Markdown,
}

/// One rule in plain English.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub title: String,
    pub mode: Mode,
    pub looks_for: String,
    pub exceptions: Vec<String>,
    pub happens: Vec<String>,
    pub told: Vec<&'static str>,
    /// What they are told.
    pub says: Option<String>,
    pub if_unknown: &'static str,
    /// Id and words.
    pub clauses: Vec<(String, String)>,
}

/// Rules that are off are not part of the schedule.
pub fn entries(policy: &Policy) -> Vec<Entry> {
    policy.rules.iter().filter(|r| r.mode > Mode::Off).map(|r| entry(r, policy)).collect()
}

fn entry(rule: &Rule, policy: &Policy) -> Entry {
    Entry {
        id: rule.id.to_string(),
        title: rule.title.to_string(),
        mode: rule.mode,
        looks_for: plain::looks_for(rule, policy),
        exceptions: plain::exceptions(rule, policy),
        happens: plain::happens(rule),
        told: plain::told(rule),
        says: rule.say.as_ref().map(plain::template),
        if_unknown: plain::if_unknown(rule),
        clauses: rule.clauses.iter().map(|c| (c.to_string(), policy.clause(c).map_or(String::new(), |c| c.words.clone()))).collect(),
    }
}

/// Mail that rules let alone, as sentences.
pub fn exemptions(policy: &Policy) -> Vec<String> {
    let mut out = Vec::new();
    for exempt in &policy.exempts {
        let from = match &exempt.from {
            ExemptFrom::Rules(ids) => format!("is exempt from {}", ids.iter().map(|i| format!("\"{i}\"")).collect::<Vec<_>>().join(", ")),
            ExemptFrom::Content => "is exempt from every rule that reads what people wrote".to_string(),
            ExemptFrom::Nothing => String::new(),
        };
        let record = match exempt.record {
            Some(RecordLevel::Nothing) => "nothing of it is recorded",
            Some(RecordLevel::Count) => "it is only counted",
            Some(_) => "it is recorded as usual",
            None => "",
        };
        let both: Vec<&str> = [from.as_str(), record].into_iter().filter(|s| !s.is_empty()).collect();
        out.push(format!("A message of which this holds: {}; {}.", plain::condition(&exempt.when, policy), both.join(", and ")));
    }
    out.push(
        "A message that its sender marked personal is exempt from every rule that reads what people wrote; rules on viruses, attachments and ambiguity apply to every message.".to_string(),
    );
    out
}

/// The whole schedule.
pub fn page(policy: &Policy, front: &Front<'_>, form: Form) -> String {
    let mut out = Page { text: String::new(), form };
    let entries = entries(policy);
    out.heading(1, &format!("{}: rules for electronic mail", front.council));
    let date = front.date.map_or(String::new(), |d| format!("as of {d}, "));
    out.paragraph(&format!(
        "A schedule to the council's policy, {date}version {}. It is printed from the rules that run, so that it says what is done and nothing else.",
        policy.hash()
    ));
    let count = |mode| entries.iter().filter(|e| e.mode == mode).count();
    out.paragraph(&format!(
        "{} rules: {} enforced, {} that warn, {} that only observe. Every rule is held against every message; their order does not matter, and the strictest outcome wins.",
        entries.len(),
        count(Mode::Enforce),
        count(Mode::Warn),
        count(Mode::Observe)
    ));
    for (i, entry) in entries.iter().enumerate() {
        out.heading(2, &format!("{}. {}", i + 1, entry.title));
        out.item("Rule", &format!("{}: {}", entry.id, mode(entry)));
        out.item("Applies when", &format!("{}.", entry.looks_for));
        if !entry.exceptions.is_empty() {
            out.item("Not when", &format!("{}.", entry.exceptions.join("; or ")));
        }
        for sentence in &entry.happens {
            out.item("What happens", &full_stop(sentence));
        }
        let told = if entry.mode == Mode::Observe || entry.told.is_empty() {
            "nobody.".to_string()
        } else {
            full_stop(&entry.told.join(", and "))
        };
        out.item("Who is told", &told);
        if let Some(says) = entry.says.as_ref().filter(|_| !entry.told.is_empty()) {
            out.item("In these words", &format!("\"{says}\""));
        }
        if !entry.if_unknown.is_empty() {
            out.item("If unknown", entry.if_unknown);
        }
        for (id, words) in &entry.clauses {
            out.item("Clause", &format!("{id}: \"{words}\""));
        }
    }
    out.heading(2, "Exemptions");
    for sentence in exemptions(policy) {
        out.bullet(&sentence);
    }
    out.text
}

fn mode(entry: &Entry) -> &'static str {
    match entry.mode {
        Mode::Enforce => "enforced.",
        Mode::Warn => "warns only for now. Mail is delivered unchanged; the people below hear what would have happened.",
        Mode::Observe => {
            "observes only for now. Mail is delivered unchanged, nobody is told, and the record says what would have happened."
        }
        Mode::Off => "off.",
    }
}

fn full_stop(text: &str) -> String {
    if text.trim_end_matches('"').ends_with(['.', '!', '?']) { text.to_string() } else { format!("{text}.") }
}

struct Page {
    text: String,
    form: Form,
}

/// Columns of the text form.
const WIDTH: usize = 96;

impl Page {
    fn heading(&mut self, level: usize, words: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        match self.form {
            Form::Markdown => self.text.push_str(&format!("{} {}\n\n", "#".repeat(level), escape(words))),
            Form::Text => {
                let line = if level == 1 { "=" } else { "-" };
                self.text.push_str(&format!("{words}\n{}\n", line.repeat(words.chars().count().min(WIDTH))));
            }
        }
    }

    fn paragraph(&mut self, words: &str) {
        match self.form {
            Form::Markdown => self.text.push_str(&format!("{}\n\n", escape(words))),
            Form::Text => self.fill("", "", words),
        }
    }

    fn item(&mut self, name: &str, words: &str) {
        match self.form {
            Form::Markdown => self.text.push_str(&format!("- **{name}:** {}\n", escape(words))),
            Form::Text => self.fill(&format!("{:<16}", format!("{name}:")), &" ".repeat(16), words),
        }
    }

    fn bullet(&mut self, words: &str) {
        match self.form {
            Form::Markdown => self.text.push_str(&format!("- {}\n", escape(words))),
            Form::Text => self.fill("- ", "  ", words),
        }
    }

    fn fill(&mut self, first: &str, rest: &str, words: &str) {
        let mut line = first.to_string();
        let mut bare = true;
        for word in words.split_whitespace() {
            if !bare && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.text.push_str(line.trim_end());
                self.text.push('\n');
                line = rest.to_string();
                bare = true;
            }
            if !bare {
                line.push(' ');
            }
            line.push_str(word);
            bare = false;
        }
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

/// What would be markup is not: the texts of rules are a Clerk's.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '_' | '<' | '[' | ']' | '`' | '\\' | '#' | '|') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}
