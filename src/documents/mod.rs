//! What the Clerk prints: papers in plain English, made out of the configuration as it is, so that they say what is done and nothing
//! else. What the configuration cannot know stands there as a gap to be filled, in capitals, and is counted.
//!
//! A paper is a value ([`Paper`]); it is shown as a page, as text or as Markdown.

mod assertion;
mod impact;
mod notice;
mod print;
mod retention;
mod review;
mod rules;

use jiff::civil::Date;

use crate::config::Settings;
use crate::records::Figures;
use crate::records::retention::Overview;

pub use print::{markdown, text};

/// The papers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For everybody who may use the council's mail (SI 2018/356, regulation 4).
    Notice,
    /// A paragraph for people outside (UK GDPR, Article 13).
    Outsiders,
    /// UK GDPR, Article 35.
    Impact,
    /// The lawful basis, and whose interests were weighed.
    Interests,
    Retention,
    /// The rules, as a schedule to the policy.
    Schedule,
    Coverage,
    /// For the internal auditor.
    Assertion10,
    /// For the yearly review of the policy.
    Review,
}

impl Kind {
    pub const ALL: [Kind; 9] = [
        Kind::Notice,
        Kind::Outsiders,
        Kind::Impact,
        Kind::Interests,
        Kind::Retention,
        Kind::Schedule,
        Kind::Coverage,
        Kind::Assertion10,
        Kind::Review,
    ];

    /// The word of the command line and of the page's address.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Notice => "notice",
            Kind::Outsiders => "outsiders",
            Kind::Impact => "impact",
            Kind::Interests => "interests",
            Kind::Retention => "retention",
            Kind::Schedule => "schedule",
            Kind::Coverage => "coverage",
            Kind::Assertion10 => "assertion-10",
            Kind::Review => "review",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Kind::Notice => "Monitoring notice",
            Kind::Outsiders => "Privacy paragraph for people outside",
            Kind::Impact => "Data protection impact assessment",
            Kind::Interests => "Lawful basis and balance of interests",
            Kind::Retention => "Retention schedule",
            Kind::Schedule => "Schedule to the policy",
            Kind::Coverage => "What the gateway does of the policy",
            Kind::Assertion10 => "Evidence for Assertion 10",
            Kind::Review => "Annual review",
        }
    }

    /// What it is for.
    pub fn about(self) -> &'static str {
        match self {
            Kind::Notice => "For councillors and staff, before anything is recorded: what is looked at, why, for how long, who may look.",
            Kind::Outsiders => "For the council's privacy notice and the foot of its messages.",
            Kind::Impact => "For the council to decide, minute and review.",
            Kind::Interests => "Why the council may do this, and whose interests were weighed.",
            Kind::Retention => "What is kept, for how long, and what goes then.",
            Kind::Schedule => "Every rule that runs, in plain English, for the council to adopt with its policy.",
            Kind::Coverage => "Each clause of the policy: enforced, helped with, or out of a gateway's reach.",
            Kind::Assertion10 => "For the internal auditor: domain, policy, who may do what, what is proven.",
            Kind::Review => "Figures of the year, what was overridden, what to decide again.",
        }
    }
}

/// A paper.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Paper {
    pub title: String,
    pub parts: Vec<Part>,
}

/// What a paper is made of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Heading(String),
    Text(String),
    /// The words of the adopted policy, and the clause.
    Quote(String, String),
    List(Vec<String>),
    /// Each with the same number of cells as the head.
    Table(Vec<String>, Vec<Vec<String>>),
}

/// What the papers need beside the settings.
#[derive(Clone, Debug, Default)]
pub struct Live {
    pub today: Date,
    /// Of the last twelve months, and of the twelve before.
    pub year: Figures,
    pub before: Figures,
    /// None where there is no record yet.
    pub retention: Option<Overview>,
    pub receipts: u64,
}

/// Makes a paper.
pub fn make(kind: Kind, settings: &Settings, live: &Live) -> Paper {
    paper(kind, settings, Some(live))
}

/// What of a paper hangs on the configuration alone: no figure and no date that changes by itself. What the council adopts is held
/// against this.
pub fn basis(kind: Kind, settings: &Settings) -> Paper {
    paper(kind, settings, None)
}

fn paper(kind: Kind, settings: &Settings, live: Option<&Live>) -> Paper {
    let parts = match kind {
        Kind::Notice => notice::notice(settings),
        Kind::Outsiders => notice::outsiders(settings),
        Kind::Impact => impact::assessment(settings),
        Kind::Interests => impact::interests(settings),
        Kind::Retention => retention::schedule(settings, live),
        Kind::Schedule => rules::schedule(settings),
        Kind::Coverage => rules::coverage(settings),
        Kind::Assertion10 => assertion::evidence(settings, live),
        Kind::Review => review::pack(settings, live),
    };
    Paper { title: format!("{}: {}", settings.council.name, kind.title().to_lowercase()), parts }
}

impl Paper {
    /// SHA-256 of what it says, in hexadecimal. That of a [`basis`] names a configuration: the same paper out of another has another.
    pub fn digest(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text(self).as_bytes());
        digest.as_ref().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Its beginning, for people.
    pub fn mark(&self) -> String {
        self.digest()[..12].into()
    }

    /// Line by line, not broken to any width: to be held against another of its kind.
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![self.title.clone()];
        for part in &self.parts {
            match part {
                Part::Heading(text) | Part::Text(text) => out.push(text.clone()),
                Part::Quote(words, clause) => out.push(format!("{words} ({clause})")),
                Part::List(items) => out.extend(items.iter().cloned()),
                Part::Table(_, rows) => out.extend(rows.iter().map(|row| row.join("; "))),
            }
        }
        out
    }

    /// Places that somebody at the council must fill in.
    pub fn gaps(&self) -> usize {
        text(self).matches(GAP).count()
    }
}

/// How a gap begins.
const GAP: &str = "[FILL IN: ";

fn gap(what: &str) -> String {
    format!("{GAP}{what}]")
}

fn heading(text: &str) -> Part {
    Part::Heading(text.into())
}

fn say(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

fn list<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Part {
    Part::List(items.into_iter().map(Into::into).collect())
}

/// "90 days", "25 months" where it is days and more.
fn period(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    let (n, unit) = match seconds {
        s if s >= 86_400 && s.is_multiple_of(86_400) => (s / 86_400, "day"),
        s if s >= 3_600 && s.is_multiple_of(3_600) => (s / 3_600, "hour"),
        s => (s, "second"),
    };
    format!("{n} {unit}{}", if n == 1 { "" } else { "s" })
}

/// The purposes that SI 2018/356, regulation 3, lists, in words.
fn purpose(word: &str) -> &'static str {
    match word {
        "effective-operation" => "to secure the effective operation of the council's mail system",
        "unauthorised-use" => "to investigate or detect unauthorised use of it",
        "facts" => "to establish the existence of facts relevant to the council's business",
        "regulatory-practices" => "to ascertain compliance with practices or procedures that apply to the council",
        "standards" => "to ascertain the standards that those who use the system achieve or ought to achieve",
        "crime" => "to prevent or detect crime",
        _ => "for a purpose that the site file names",
    }
}

#[cfg(test)]
mod tests;
