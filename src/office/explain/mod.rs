//! What would happen to a message and why, by the same pure judge that judges in earnest: `lychgate explain`, and trying at the desk.
//!
//! No network, no store, nothing is written: a fact that would have to come from outside is unknown; only where no store was made yet
//! is it known that there was no mail before. Unlike the log, it shows
//! addresses and rule texts: whoever asks holds the message in hand.

mod changes;
pub mod show;

use std::sync::Arc;

use crate::config::Settings;
use crate::config::settings::{Database, Listener};
use crate::message::{RawMessage, Splice, View};
use crate::policy::outside::Fact;
use crate::policy::past::{self, Answer};
use crate::policy::verdict::FactSummary;
use crate::policy::{self, Case, Envelope, Facts, Login, Recipient, Role, Session, Verdict};
use crate::smtp::address::Charset;
use crate::smtp::data::{Content, Finished, LineEnds};
use crate::smtp::{Address, Reply, ReversePath, wording};

/// Stands where a real refusal has its own reference.
const REFERENCE: &str = "LG-XXXX";

/// What is supposed of a message, beside its octets.
#[derive(Clone, Debug, Default)]
pub struct Supposed {
    /// The envelope's sender; otherwise the From of the message. "" or "<>" for none.
    pub mail_from: Option<String>,
    /// The envelope's recipients; otherwise those in To, Cc and Bcc.
    pub rcpt_to: Vec<String>,
    /// The account that logged in (submission); otherwise the envelope's sender. "" for none.
    pub login: Option<String>,
    /// Also the rules that did not match, and why not.
    pub all: bool,
}

/// An address that is none.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is not a mail address: {1}")]
pub struct Fault(String, crate::smtp::address::AddressError);

/// One message explained.
pub struct Explained {
    pub file: String,
    pub envelope: Envelope,
    pub outcome: Outcome,
}

/// What would become of it.
pub enum Outcome {
    /// The gateway takes no such message, whatever the rules say.
    Refused(Reply),
    Judged(Box<Judged>),
}

pub struct Judged {
    pub verdict: Verdict,
    facts: FactSummary,
    /// Field by field, where it is delivered otherwise than it came.
    changes: Vec<changes::Change>,
    /// With `--all`: the rules that did not match, and why not.
    unmatched: Vec<(Arc<str>, String)>,
}

/// Judges a message as it stands in a file, which is called so. LF counts as CRLF, and an mbox From line is skipped. Errors where an
/// address is none.
pub fn explain(supposed: &Supposed, settings: &Settings, listener: &Listener, file: String, bytes: &[u8]) -> Result<Explained, Fault> {
    let received = receive(bytes, listener, settings);
    // The envelope is read from the message also where it is refused, to say whom it was for.
    let (message, refused) = match received {
        Ok(bytes) => (RawMessage::new(bytes), None),
        Err(reply) => (RawMessage::new(Vec::new()), Some(reply)),
    };
    let envelope = envelope(supposed, &message)?;
    if let Some(reply) = refused {
        return Ok(Explained { file, envelope, outcome: Outcome::Refused(reply) });
    }
    let session = session(supposed, listener, &envelope);
    let now = jiff::Timestamp::now().to_zoned(settings.time_zone.clone());
    let mut outside = policy::Outside::unknown("`explain` asks nobody");
    if !database_exists(settings) {
        nothing_was_sent_before(&message, &envelope, &session, &now, settings, &mut outside);
    }
    let case = Case { message: &message, envelope: &envelope, session: &session, now, outside: &outside };
    let facts = Facts::new(&case, &settings.policy);
    let verdict = policy::evaluate(&settings.policy, &facts);
    let unmatched = if supposed.all { policy::explain_all(&settings.policy, &facts) } else { Vec::new() };
    let summary = policy::explain_facts(&facts);
    drop(facts);
    let changes = match verdict.edits.as_slice() {
        [] => Vec::new(),
        edits => changes::changes(message.as_bytes(), &Splice::apply(&message, &verdict.plan).to_vec(), edits),
    };
    Ok(Explained { file, envelope, outcome: Outcome::Judged(Box::new(Judged { verdict, facts: summary, changes, unmatched })) })
}

fn database_exists(settings: &Settings) -> bool {
    match &settings.records.database {
        Database::Sqlite(file) => file.exists(),
        Database::Postgres(_) => true,
    }
}

/// Where there is no store yet there was no mail before. A store that is there is not asked: who wrote to whom is looked up with
/// a purpose, in `trace`, and is nothing to be found out with made-up messages.
fn nothing_was_sent_before(
    message: &RawMessage,
    envelope: &Envelope,
    session: &Session,
    now: &jiff::Zoned,
    settings: &Settings,
    outside: &mut policy::Outside,
) {
    let nothing = policy::Outside::unasked();
    let case = Case { message, envelope, session, now: now.clone(), outside: nothing };
    let facts = Facts::new(&case, &settings.policy);
    Answer::of_nothing(&past::question(&facts, settings.policy.asked())).tell(outside);
    outside.rates = past::tallies(&facts).iter().map(|t| Fact::Known(t.adds)).collect();
}

/// The message as it would come over the wire: LF counts as CRLF, an mbox From line is skipped. From there on it goes through
/// the same machine as received content, so that what is refused unseen is refused here too, with the same words.
fn receive(bytes: &[u8], listener: &Listener, settings: &Settings) -> Result<Vec<u8>, Reply> {
    let bytes = match bytes.strip_prefix(b"From ") {
        Some(rest) => memchr::memchr(b'\n', rest).map_or(&rest[rest.len()..], |end| &rest[end + 1..]),
        None => bytes,
    };
    let mut lines = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 2);
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', bytes) {
        lines.extend_from_slice(&bytes[from..at]);
        if !lines.ends_with(b"\r") {
            lines.push(b'\r');
        }
        lines.push(b'\n');
        from = at + 1;
    }
    lines.extend_from_slice(&bytes[from..]);
    if !lines.is_empty() && !lines.ends_with(b"\n") {
        lines.extend_from_slice(b"\r\n");
    }
    let mut content = Content::chunked(usize::try_from(settings.limits.message_size).unwrap_or(usize::MAX));
    content.begin_chunk(lines.len());
    content.feed(&lines);
    match content.finish(line_ends(listener)) {
        Finished::Message { bytes, .. } => Ok(bytes),
        Finished::TooLarge => Err(wording::TOO_LARGE),
        Finished::NoMemory => Err(wording::NO_MEMORY),
        Finished::BareLineEnd => Err(wording::CONTENT_BARE_LINE_END),
        Finished::Nul => Err(wording::CONTENT_NUL),
    }
}

fn line_ends(listener: &Listener) -> LineEnds {
    match listener.role {
        _ if listener.normalise_line_ends => LineEnds::Normalise,
        Role::Connector => LineEnds::MendDoubled,
        Role::Submission | Role::Mx => LineEnds::Refuse,
    }
}

fn envelope(supposed: &Supposed, message: &RawMessage) -> Result<Envelope, Fault> {
    let view = View::new(message.as_bytes());
    let reverse_path = match supposed.mail_from.as_deref() {
        Some("" | "<>") => ReversePath::Null,
        Some(text) => ReversePath::Address(address(text)?),
        None => named_in(&view, &["From"]).into_iter().next().map_or(ReversePath::Null, ReversePath::Address),
    };
    let recipients = match supposed.rcpt_to.as_slice() {
        [] => named_in(&view, &["To", "Cc", "Bcc"]),
        given => given.iter().map(|text| address(text)).collect::<Result<_, _>>()?,
    };
    Ok(Envelope { reverse_path, recipients: recipients.into_iter().map(|address| Recipient { address, reply_code: 250 }).collect() })
}

fn address(text: &str) -> Result<Address, Fault> {
    let bare = text.trim().strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text.trim());
    Address::parse(bare, Charset::Utf8).map_err(|why| Fault(text.to_owned(), why))
}

/// The addresses in fields of these names, each once. What is no address cannot be a recipient.
fn named_in(view: &View<'_>, names: &[&str]) -> Vec<Address> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for name in names {
        for field in view.named(name) {
            for entry in view.addresses(field) {
                for mailbox in entry.mailboxes() {
                    if let Ok(address) = Address::parse(&format!("{}@{}", mailbox.local, mailbox.domain), Charset::Utf8)
                        && seen.insert(address.normal())
                    {
                        out.push(address);
                    }
                }
            }
        }
    }
    out
}

fn session(supposed: &Supposed, listener: &Listener, envelope: &Envelope) -> Session {
    let login = match (listener.role, supposed.login.as_deref()) {
        (Role::Submission, None) => envelope.reverse_path.address().map_or(Login::Hidden, |a| Login::Known(a.as_str().to_owned())),
        (Role::Submission, Some("")) | (Role::Connector | Role::Mx, _) => Login::None,
        (Role::Submission, Some(account)) => Login::Known(account.to_owned()),
    };
    Session { role: listener.role, listener: listener.name.clone(), login, tls: true }
}

#[cfg(test)]
mod tests;
