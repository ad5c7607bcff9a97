//! What is known of a message in custody besides its content: its envelope, what becomes of each recipient, what is to be changed in it,
//! why it is here. Sealed as JSON, so that a newer program reads what an older one wrote.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::message::EditPlan;

/// One parcel's sheet.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sheet {
    /// "LG-7F3K": what people quote. All parcels of one message share it.
    pub reference: String,
    /// When the gateway took the message, in milliseconds since 1970.
    pub taken: i64,
    /// Without brackets; empty for the null reverse path.
    pub reverse_path: String,
    /// What stood behind the reverse path, verbatim, with its leading space (RFC 3461 RET and ENVID, RFC 6152 BODY, …).
    pub mail_parameters: String,
    pub recipients: Vec<Recipient>,
    /// What is changed in the content when it leaves.
    pub plan: Plan,
    /// Signed with the council's key (RFC 6376) when it leaves.
    pub sign: bool,
    /// RFC 8689: only where the next hop promises TLS.
    pub require_tls: bool,
    /// The `[upstream.NAME]` it leaves by.
    pub upstream: String,
    /// The listener it came by.
    pub listener: String,
    pub origin: Origin,
    /// Which copy this is of a message that was split, and the parcel that lists what becomes of all.
    pub copy: Option<Copy>,
    pub tally: Option<i64>,
    /// Who must let it go; none once it may.
    pub hold: Option<Hold>,
    /// Its sender has been told that it is late (RFC 3461 §4.1, NOTIFY=DELAY).
    pub told_late: bool,
}

/// One recipient, and what became of their copy.
#[derive(Clone, Serialize, Deserialize)]
pub struct Recipient {
    /// Without brackets.
    pub address: String,
    /// What stood behind it, verbatim, with its leading space (RFC 3461 NOTIFY and ORCPT).
    #[serde(default)]
    pub parameters: String,
    #[serde(default)]
    pub state: Fate,
}

/// What became of one recipient's copy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nothing yet; the upstream's last answer, if it gave one.
    #[default]
    Waiting,
    Later {
        reply: String,
    },
    /// The upstream took it.
    Delivered {
        reply: String,
    },
    /// Refused for good.
    Refused {
        reply: String,
    },
    /// Given up.
    Expired {
        reply: String,
    },
}

impl Fate {
    pub fn is_open(&self) -> bool {
        matches!(self, Fate::Waiting | Fate::Later { .. })
    }
}

/// What the message was when it came, for those who are to decide or to be told.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Who sent it: the log-in, or the From author where there is none; in normal form. Notices go there.
    pub sender: String,
    pub message_id: Option<String>,
    pub subject: Option<String>,
    /// Octets as received.
    pub size: u64,
    /// Its sender is the council's and no program (RFC 3834): notices may go there.
    pub tell_sender: bool,
    /// What the record keeps of it, and of its delivery.
    pub record: Record,
    /// Marked personal or private.
    pub personal: bool,
    pub rules: Vec<RuleNote>,
}

/// What the record keeps of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    Nothing,
    Count,
    #[default]
    Row,
}

/// A rule that asked for this.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleNote {
    pub id: String,
    pub title: String,
    pub clauses: Vec<String>,
    /// Masked.
    pub because: Vec<String>,
}

/// One of several copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// From 1.
    pub number: u32,
    pub of: u32,
}

/// Who must let a message go.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hold {
    /// `clerk`, `chair`, `sender`: all of them.
    pub by: Vec<String>,
    /// Those who have.
    pub released: Vec<String>,
    /// Who that was, each as the site file names them: one person lets it go once, whatever roles they have.
    pub released_by: Vec<String>,
    /// At the end of its time it is released; otherwise returned to its sender.
    pub release_at_end: bool,
    /// How it is to leave, where its sender or a rule has said so already: `hidden` or `separately`.
    pub leave: String,
    /// Why its sender wants it sent as it is.
    pub reason: String,
    /// Names the answers that count: a digest of what stands in the notice's reply address.
    pub token: Vec<u8>,
    /// What its message is remembered by, so that it is not taken twice: forgotten where it goes back, since it may come again.
    #[serde(with = "base64_text")]
    pub once: Vec<u8>,
    /// Answers that could not be understood.
    pub misread: u32,
    /// The holders have been warned that its time ends.
    pub warned: bool,
    /// Its sender has asked for its release.
    pub asked: bool,
    /// What its sender was asked about it.
    pub questions: Vec<Asked>,
    /// What the sender may choose besides sending it as it is: the plan with addresses hidden, and the copies of a split.
    pub hidden: Option<Plan>,
    /// What leaves hidden is to be signed.
    pub sign: bool,
    pub copies: Vec<SplitCopy>,
}

/// A question to the sender of a held message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Milliseconds since 1970.
    pub time: i64,
    pub by: String,
    pub text: String,
}

/// A copy that a split would make.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitCopy {
    pub recipients: Vec<(String, String)>,
    pub plan: Plan,
    pub sign: bool,
}

/// An edit plan as it is kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    #[serde(with = "base64_text")]
    pub prefix: Vec<u8>,
    pub edits: Vec<Change>,
}

/// One edit: these octets of the content become those.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub at: Range<usize>,
    #[serde(with = "base64_text")]
    pub with: Vec<u8>,
}

impl From<&EditPlan> for Plan {
    fn from(plan: &EditPlan) -> Plan {
        let edits = plan.edits().iter().map(|e| Change { at: e.range.clone(), with: e.with.clone() }).collect();
        Plan { prefix: plan.prefix_bytes().to_vec(), edits }
    }
}

impl Plan {
    /// The plan to splice with, for a content of this many octets. None if it does not fit: the store is damaged.
    pub fn plan(&self, octets: usize) -> Option<EditPlan> {
        let mut plan = EditPlan::new();
        plan.prefix(&self.prefix);
        for edit in &self.edits {
            if edit.at.start > edit.at.end || edit.at.end > octets {
                return None;
            }
            plan.edit(edit.at.clone(), edit.with.clone()).ok()?;
        }
        Some(plan)
    }
}

impl Sheet {
    /// By which way it leaves: its upstream; notices have one of their own.
    pub(super) fn lane(&self, kind: super::Kind) -> &str {
        if kind == super::Kind::Mail { &self.upstream } else { "" }
    }
}

/// Shows no address.
impl std::fmt::Debug for Sheet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sheet({}, {} recipients)", self.reference, self.recipients.len())
    }
}

mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(octets))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
