//! What the judge says: one disposition, who decided it, every rule that matched and why, what changes, who is told.

use std::sync::Arc;

use super::missing::Missing;
use super::route::Route;
use crate::message::EditPlan;

/// What becomes of the message, from the mildest to the strictest; the strictest of all rules wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    Deliver,
    /// Taken into custody, and answered 250: it waits there for somebody's decision.
    Hold {
        text: String,
        /// What all rules that hold the message come to together.
        held: Held,
    },
    /// 451 4.7.1 with this text.
    Defer {
        text: String,
    },
    /// 550 5.7.1 with this text.
    Reject {
        text: String,
    },
    /// 550 5.6.0 with this text: nobody can say what the message holds, whatever the rules.
    Malformed {
        text: String,
    },
}

/// Who must let a held message go, and what becomes of it if they do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// All of them, each once, in the order of [`Person`].
    pub by: Vec<Person>,
    /// Seconds.
    pub within: u64,
    /// At the end of the time it is released; otherwise returned to its sender.
    pub release: bool,
}

impl Held {
    /// Both at once: everybody of either must release it, within the shorter time, and it is released by itself only if both would.
    pub fn join(&mut self, other: &Held) {
        self.by.extend(&other.by);
        self.by.sort();
        self.by.dedup();
        self.within = self.within.min(other.within);
        self.release &= other.release;
    }
}

impl Disposition {
    /// The contract's word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Disposition::Deliver => "deliver",
            Disposition::Hold { .. } => "hold",
            Disposition::Defer { .. } => "defer",
            Disposition::Reject { .. } | Disposition::Malformed { .. } => "reject",
        }
    }

    /// Larger is stricter.
    pub fn strictness(&self) -> u8 {
        match self {
            Disposition::Deliver => 0,
            Disposition::Hold { .. } => 1,
            Disposition::Defer { .. } => 2,
            Disposition::Malformed { .. } => 3,
            // A rule's own words help more than that a message is malformed.
            Disposition::Reject { .. } => 4,
        }
    }
}

/// How far a rule may act. The order is the order of strength; a ceiling takes the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Not judged.
    Off,
    /// Judged and recorded, nothing else.
    Observe,
    /// Delivered unchanged; sender and `notify` people hear what would have happened.
    Warn,
    Enforce,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Observe => "observe",
            Mode::Warn => "warn",
            Mode::Enforce => "enforce",
        }
    }
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub rule: Arc<str>,
    pub title: Arc<str>,
    /// The mode in force: the rule's own under the site's ceiling.
    pub mode: Mode,
    pub clauses: Vec<Arc<str>>,
    /// Why, in plain words and masked: "17 external addresses are visible".
    pub because: Vec<String>,
    /// What the rule's `then` would do, as the contract's action words ("reject", "hide-recipients").
    pub actions: Vec<&'static str>,
    /// The sender's override was used: the rule yielded, and this is the reason given.
    pub overridden: Option<String>,
}

/// A rule of which a record does not tell whether it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRule {
    pub rule: Arc<str>,
    pub missing: Missing,
}

/// How much of a message is recorded; of all matching rules the least wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordLevel {
    Nothing,
    Count,
    Metadata,
    Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Person {
    Sender,
    Clerk,
    Chair,
}

impl Person {
    pub fn word(self) -> &'static str {
        match self {
            Person::Sender => "sender",
            Person::Clerk => "clerk",
            Person::Chair => "chair",
        }
    }
}

/// One person is to be told about one rule. The outbox merges those of one message to one person, and drops what was told
/// already (once for each rule, Message-ID and person).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub person: Person,
    /// Where it goes: the council address of that person.
    pub to: String,
    pub rule: Arc<str>,
    /// The rule's `say` filled in, or its title.
    pub text: String,
    /// Seconds within which this person is not told of the rule again.
    pub every: Option<u64>,
}

/// A change to one header field, for `explain` and the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldEdit {
    pub field: String,
    pub rule: Arc<str>,
}

/// What `explain --json` prints under `facts`, and the record keeps (sealed).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FactSummary {
    pub direction: String,
    pub marked: Option<String>,
    /// `none`, `message` or `attachments`; worked out only if a rule asked, else `none`.
    pub protected: String,
    pub visible_external: usize,
}

impl Verdict {
    /// Whether it leaves as copies.
    pub fn splits(&self) -> bool {
        self.split && !self.alternatives.copies.is_empty()
    }
}

/// Other plans for the same message than the verdict's.
#[derive(Clone, Debug, Default)]
pub struct Alternatives {
    /// Outsiders hidden from one another.
    pub hidden: Option<EditPlan>,
    /// For each outsider among the recipients (by place in the envelope) the copy that shows them alone.
    pub copies: Vec<(usize, EditPlan)>,
    /// What leaves by one of them is to be signed: its author is the council's.
    pub sign: bool,
}

/// The outcome of judging one message.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub disposition: Disposition,
    /// The rule whose disposition won; none for plain delivery.
    pub decided_by: Option<Arc<str>>,
    pub matches: Vec<Match>,
    /// Replacements in the received octets; empty unless the disposition is deliver (or hold, frozen).
    pub plan: EditPlan,
    pub edits: Vec<FieldEdit>,
    /// What leaves is to bear a signature of the author's domain, where there is a key for it.
    pub sign: bool,
    /// Empty unless the disposition is deliver (or hold, frozen).
    pub route: Route,
    /// A rule wants a copy for each outsider.
    pub split: bool,
    /// What else may be made of the message: for a split, and for a sender who is to choose.
    pub alternatives: Alternatives,
    pub notices: Vec<Notice>,
    /// Of a record: rules that may have matched, and what would tell. None of a message.
    pub open: Vec<OpenRule>,
    pub record: RecordLevel,
    /// The message is marked personal or private: counts only.
    pub personal: bool,
    /// What the facts came to that were worked out.
    pub facts: FactSummary,
    /// The message answers, bounces or was generated by itself: its sender is told nothing (RFC 3834 §2).
    pub automatic: bool,
}
