//! Past mail: what a judgement asks of the index, and what the index is to remember of a message that was delivered.
//!
//! Nothing here is kept: these are the values that the gateway carries to the index and back. It hashes every one of them before
//! it writes (see `records::past`).

use std::collections::HashSet;
use std::time::Duration;

use super::case::{Login, Role};
use super::condition::{Direction, RateBy, RateOf};
use super::detect::near_name::{self, Named};
use super::detect::recipients;
use super::facts::Facts;
use super::outside::{Fact, Outer, Outside, Source, Wants};
use super::people::{Class, domain_of};
use super::truth::Truth;
use super::verdict::{Disposition, RecordLevel, Verdict};
use crate::message::{ProtectionLevel, View};

/// Addresses of one message that are remembered as having seen one another. A message that shows more is none that people reply
/// to all of.
pub const CIRCLE: usize = 200;
/// The same of a message from outside. Whom it reached is only its author's word: a stranger who lists a street's worth of
/// residents must not make the council's answer show them to one another.
pub const OUTSIDERS_CIRCLE: usize = 10;
/// Earlier messages that one message may name: In-Reply-To, then the latest of References.
const THREAD: usize = 32;
/// Octets of a Message-ID (RFC 5322 §2.1.1 bounds its line at 998).
const ID: usize = 998;

/// What one judgement asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The message's own Message-ID: what its other parts left behind is no earlier mail.
    pub message_id: Option<String>,
    pub contact: Option<Contact>,
    /// Recipients with a look-alike name, of whom any may be new to the sender.
    pub near_names: Option<(String, Vec<String>)>,
    pub seen_together: Option<Thread>,
    /// The sender, and those of whom any may have had a protected document from them.
    pub protected: Option<(String, Vec<String>)>,
}

/// Whether there was mail before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub sender: String,
    pub others: Vec<String>,
    /// It is a first contact where any of the others is new to the sender; otherwise only where all are.
    pub any: bool,
}

/// Whether all these had seen one another in a message of this thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Message-IDs without angle brackets.
    pub ids: Vec<String>,
    pub people: Vec<String>,
}

/// What the index says. What was not asked is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub first_contact: Option<bool>,
    pub near_name: Option<bool>,
    pub seen_together: Option<bool>,
    pub protected_before: Option<bool>,
}

impl Answer {
    /// What an index says in which nothing is.
    pub fn of_nothing(question: &Question) -> Answer {
        Answer {
            first_contact: question.contact.as_ref().map(|c| !c.others.is_empty()),
            near_name: question.near_names.as_ref().map(|(_, near)| !near.is_empty()),
            seen_together: question.seen_together.as_ref().map(|t| t.people.len() < 2),
            protected_before: question.protected.as_ref().map(|_| false),
        }
    }
}

impl Answer {
    /// Puts what is known where the judge looks for it.
    pub fn tell(self, outside: &mut Outside) {
        let known = [self.first_contact, self.near_name, self.seen_together, self.protected_before];
        for (fact, known) in outside.of_past().into_iter().zip(known) {
            if let Some(known) = known {
                *fact = Fact::Known(known);
            }
        }
    }
}

/// What is to be remembered of a delivered message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imprint {
    pub message_id: Option<String>,
    pub sender: String,
    pub others: Vec<String>,
    /// Sender and others had mail with one another.
    pub contact: bool,
    /// A protected document went from the sender to the others, and for how long that matters.
    pub protected_for: Option<Duration>,
    pub circle: Option<Circle>,
    /// What counts towards the policy's rates.
    pub tallies: Vec<Tally>,
}

/// Who saw one another in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle {
    pub people: Vec<String>,
    /// The council wrote it: several parts of one message add up.
    pub from_council: bool,
}

/// One of the policy's rates, for one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// What is counted of whom: a text that names the rate and the person, never written.
    pub keys: Vec<String>,
    /// Messages or recipients that this message adds to each.
    pub adds: u64,
    /// Seconds.
    pub per: u64,
    /// Parts of one message count as one: only recipients add up.
    pub once: bool,
}

impl Imprint {
    /// About the memory that it takes.
    pub fn weight(&self) -> usize {
        let of = |texts: &[String]| texts.iter().map(|t| t.len() + 24).sum::<usize>();
        let circle = self.circle.as_ref().map_or(0, |c| of(&c.people));
        of(&self.others) + circle + self.tallies.iter().map(|t| of(&t.keys) + 48).sum::<usize>() + 128
    }

    fn is_empty(&self) -> bool {
        !self.contact && self.protected_for.is_none() && self.circle.is_none() && self.tallies.is_empty()
    }
}

impl Facts<'_> {
    /// Whether all outsiders who are shown or get the message had seen one another. Mail that answers nothing needs no index.
    pub(super) fn seen_together(&self) -> Result<bool, Truth> {
        let fact = &self.case.outside.seen_together;
        if self.may_ask(fact) {
            if people(self).len() < 2 {
                return Ok(true);
            }
            if answered(self.view()).is_empty() {
                return Ok(false);
            }
        }
        self.outer(Outer::SeenTogether, fact)
    }

    pub(super) fn first_contact(&self) -> Result<bool, Truth> {
        let fact = &self.case.outside.first_contact;
        if self.may_ask(fact) && contact(self).is_none_or(|c| c.others.is_empty()) {
            return Ok(false);
        }
        self.outer(Outer::FirstContact, fact)
    }

    /// Whether a recipient outside is new, and nearly somebody else by name.
    pub(super) fn near_name(&self) -> Result<bool, Truth> {
        let fact = &self.case.outside.near_name;
        if self.may_ask(fact) && near_names(self).is_empty() {
            return Ok(false);
        }
        self.outer(Outer::NearName, fact)
    }

    /// There is an index, and it has not answered: what the message itself settles needs no answer.
    fn may_ask(&self, fact: &Fact<bool>) -> bool {
        self.knows_past() && !matches!(fact, Fact::Known(_))
    }

    fn knows_past(&self) -> bool {
        self.policy.sources().has(Source::Past)
    }
}

/// What the judgement hangs on, as a question.
pub fn question(facts: &Facts<'_>, wants: Wants) -> Question {
    let sender = || author(facts).unwrap_or_default();
    Question {
        message_id: facts.view().message_id().map(id_key),
        contact: wants.has(Outer::FirstContact).then(|| contact(facts).unwrap_or_else(|| Contact::none(sender()))),
        near_names: wants.has(Outer::NearName).then(|| (sender(), near_names(facts))),
        seen_together: wants.has(Outer::SeenTogether).then(|| Thread { ids: answered(facts.view()), people: people(facts) }),
        protected: wants.has(Outer::ProtectedBefore).then(|| (sender(), outsiders(facts))),
    }
}

impl Contact {
    fn none(sender: String) -> Contact {
        Contact { sender, others: Vec::new(), any: false }
    }
}

/// What the index is to remember, as far as any rule asks for it; none if nothing. Mail that is marked personal, or that is only
/// counted or not recorded at all, leaves nothing behind.
/// A password that follows within `password_within` follows its document.
pub fn imprint(facts: &Facts<'_>, verdict: &Verdict, tallies: Vec<Tally>, password_within: Duration) -> Option<Imprint> {
    let asked = facts.policy.asked();
    let unrecorded = verdict.personal || verdict.record < RecordLevel::Metadata;
    let elsewhere = verdict.route.drop.is_some() || !verdict.route.redirect.is_empty();
    if !facts.knows_past() || verdict.disposition != Disposition::Deliver || unrecorded || elsewhere {
        return None;
    }
    let mut imprint = Imprint { tallies, ..Imprint::default() };
    let contacts = asked.has(Outer::FirstContact) || asked.has(Outer::NearName);
    let protects =
        asked.has(Outer::ProtectedBefore) && facts.direction() == Direction::Outbound && facts.protection() == ProtectionLevel::Attachments;
    if (contacts || protects)
        && let Some(contact) = delivered(facts, verdict).filter(|c| !c.others.is_empty())
    {
        (imprint.contact, imprint.protected_for) = (contacts, protects.then_some(password_within));
        (imprint.sender, imprint.others) = (contact.sender, contact.others);
    }
    if asked.has(Outer::SeenTogether) {
        imprint.circle = circle(facts, verdict);
    }
    if imprint.is_empty() {
        return None;
    }
    imprint.message_id = facts.view().message_id().map(id_key);
    Some(imprint)
}

/// What the message adds to each of the policy's rates, in their order.
pub fn tallies(facts: &Facts<'_>) -> Vec<Tally> {
    let sender = author(facts).unwrap_or_default();
    let accepted = facts.case.envelope.accepted().count() as u64;
    facts
        .policy
        .rates()
        .iter()
        .map(|rate| {
            let of = rate.of.name();
            let by = rate.by.name();
            let per = rate.per;
            // Without a name for the account the sender stands for it.
            let account = match &facts.case.session.login {
                Login::Known(name) => name.to_lowercase(),
                Login::Hidden | Login::None => sender.clone(),
            };
            let key = |who: &str| format!("{of} {by} {per} {who}");
            let keys = match rate.by {
                RateBy::Login => vec![key(&account)],
                RateBy::Sender => vec![key(&sender)],
                RateBy::Pair => {
                    let mut seen = HashSet::new();
                    let recipients = facts.case.envelope.accepted().map(|r| r.address.normal());
                    recipients.filter(|r| seen.insert(r.clone())).map(|r| key(&format!("{sender} {r}"))).collect()
                }
            };
            let adds = match (rate.of, rate.by) {
                (RateOf::Recipients, RateBy::Login | RateBy::Sender) => accepted,
                _ => 1,
            };
            Tally { keys, adds, per, once: rate.of == RateOf::Messages }
        })
        .collect()
}

/// Who wrote it, as a reader sees it: bulk mail has another reverse path each time.
fn author(facts: &Facts<'_>) -> Option<String> {
    match facts.sender().authors.as_slice() {
        [(only, _)] => Some(only.clone()),
        _ => facts.sender().who.clone(),
    }
}

fn outsiders(facts: &Facts<'_>) -> Vec<String> {
    facts.recipients().iter().filter(|p| p.class != Class::Internal).map(|p| p.address.clone()).collect()
}

/// Who may be new to whom; none for mail within the council.
fn contact(facts: &Facts<'_>) -> Option<Contact> {
    let sender = author(facts).unwrap_or_default();
    match facts.direction() {
        Direction::Internal => None,
        // Any new outsider is one whom the sender writes to for the first time.
        Direction::Outbound => Some(Contact { sender, others: outsiders(facts), any: true }),
        // A correspondent of one addressee is no stranger to the others who get the same message.
        Direction::Inbound => Some(Contact { sender, others: facts.recipients().iter().map(|p| p.address.clone()).collect(), any: false }),
    }
}

/// The same of those who really got this part of the message.
fn delivered(facts: &Facts<'_>, verdict: &Verdict) -> Option<Contact> {
    let mut contact = contact(facts)?;
    let reached = reached(facts, verdict);
    contact.others.retain(|a| reached.contains(a));
    Some(contact)
}

/// Only the envelope says who gets it: the client's recipients that were accepted, but for those whose mail goes to somebody else.
fn reached(facts: &Facts<'_>, verdict: &Verdict) -> HashSet<String> {
    let moved = |address: &str| verdict.route.moved.iter().any(|(from, _)| from == address);
    facts.case.envelope.accepted().map(|r| r.address.normal()).filter(|a| !moved(a)).collect()
}

/// Outsiders whom the message shows, or who get it: whoever gets it sees those who are shown.
fn people(facts: &Facts<'_>) -> Vec<String> {
    let mut seen = HashSet::new();
    let shown = facts.visible().all.iter().filter(|(_, class)| class.is_stranger()).map(|(a, _)| a.clone());
    let got = facts.recipients().iter().filter(|p| p.class.is_stranger()).map(|p| p.address.clone());
    shown.chain(got).filter(|a| seen.insert(a.clone())).collect()
}

/// Who has seen one another in this message, once it is delivered. None where a rule took addresses out.
fn circle(facts: &Facts<'_>, verdict: &Verdict) -> Option<Circle> {
    facts.view().message_id()?;
    let touched = |field: &str| recipients::VISIBLE.iter().any(|v| v.eq_ignore_ascii_case(field));
    if verdict.edits.iter().any(|e| touched(&e.field)) {
        return None;
    }
    let from_council = facts.is_council_sender();
    if from_council {
        let mut people: Vec<String> = facts.visible().all.iter().filter(|(_, class)| class.is_stranger()).map(|(a, _)| a.clone()).collect();
        if !(2..=CIRCLE).contains(&people.len()) {
            return None;
        }
        // Whoever did not get it has not seen the others.
        let reached = reached(facts, verdict);
        people.retain(|a| reached.contains(a));
        return (!people.is_empty()).then_some(Circle { people, from_council });
    }
    let people: Vec<String> = recipients::named(facts.view(), &["From", "Reply-To", "To", "Cc"])
        .into_iter()
        .map(|(address, _)| address)
        .filter(|a| facts.policy.classify(a).is_stranger())
        .collect();
    (2..=OUTSIDERS_CIRCLE).contains(&people.len()).then_some(Circle { people, from_council })
}

/// Recipients outside whose name is nearly that of somebody else: of the council, or on the same message.
fn near_names(facts: &Facts<'_>) -> Vec<String> {
    if facts.direction() != Direction::Outbound || facts.case.session.role == Role::Mx {
        return Vec::new();
    }
    let council = &facts.policy.council;
    let registered = |address: &str| council.people.iter().any(|m| m.personal.iter().any(|p| p == address));
    let sender = author(facts);
    let is_sender = |address: &str| sender.as_deref() == Some(address);
    let members = council.people.iter().map(|m| Named { address: &m.address, display: m.name.as_deref() });
    let parties = facts.recipients().iter().map(|p| Named { address: &p.address, display: p.display.as_deref() });
    let others: Vec<Named<'_>> = members.chain(parties).filter(|n| !is_sender(n.address)).collect();
    let candidates = facts.recipients().iter().filter(|p| p.class != Class::Internal && !registered(&p.address) && !is_sender(&p.address));
    let candidates: Vec<Named<'_>> = candidates.map(|p| Named { address: &p.address, display: p.display.as_deref() }).collect();
    let is_council = |address: &str| facts.policy.is_council(domain_of(address));
    near_name::among(&candidates, &others, &is_council)
}

/// The messages that this one answers: their Message-IDs without angle brackets, each once, the nearest first.
fn answered(view: &View<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut add = |ids: Vec<String>| {
        for id in ids {
            if out.len() < THREAD && !out.contains(&id) {
                out.push(id);
            }
        }
    };
    for name in ["In-Reply-To", "References"] {
        for field in view.named(name) {
            let text = view.unfolded(field);
            let mut ids = ids(&text);
            // The last of References is the message answered (RFC 5322 §3.6.4).
            ids.reverse();
            add(ids);
        }
    }
    out
}

/// What stands in angle brackets.
fn ids(text: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = &rest[start + 1..];
        let Some(end) = memchr::memchr2(b'>', b'<', rest) else { break };
        if rest[end] == b'>'
            && (1..=ID).contains(&end)
            && let Ok(id) = std::str::from_utf8(&rest[..end]).map(str::trim)
            && !id.is_empty()
        {
            out.push(id.to_string());
        }
        rest = &rest[end..];
    }
    out
}

/// A Message-ID as it is looked up.
fn id_key(id: &str) -> String {
    let id = id.trim();
    let mut end = id.len().min(ID);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    let id = &id[..end];
    id.strip_prefix('<').and_then(|i| i.strip_suffix('>')).unwrap_or(id).trim().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::RawMessage;
    use crate::policy::condition::Rate;
    use crate::policy::rule::CouncilFacts;
    use crate::policy::{Case, Envelope, Policy, Recipient, Session, Sources, evaluate};
    use crate::smtp::address::Charset;
    use crate::smtp::{Address, ReversePath};

    const CLERK: &str = "clerk@wragby.uk";
    const DAY: Duration = Duration::from_secs(86_400);

    fn policy() -> Policy {
        let all = Outer::WORDS.iter().fold(Wants::default(), |all, (_, o)| all.with(*o));
        let council = CouncilFacts { domains: vec!["wragby.uk".into()], ..CouncilFacts::default() };
        let rates = vec![
            Rate { of: RateOf::Messages, by: RateBy::Login, per: 60 },
            Rate { of: RateOf::Recipients, by: RateBy::Sender, per: 60 },
            Rate { of: RateOf::Recipients, by: RateBy::Pair, per: 60 },
        ];
        Policy { council, asked: all, sources: Sources::ALL, rates, ..Policy::default() }
    }

    fn of<T>(policy: &Policy, role: Role, from: &str, to: &[(&str, u16)], header: &str, see: impl FnOnce(&Facts<'_>) -> T) -> T {
        let message = RawMessage::new(format!("From: {from}\r\n{}\r\n\r\nText\r\n", header.replace('\n', "\r\n")).into_bytes());
        let address = |a: &str| Address::parse(a, Charset::Utf8).unwrap();
        let envelope = Envelope {
            reverse_path: ReversePath::Address(address(from)),
            recipients: to.iter().map(|(a, code)| Recipient { address: address(a), reply_code: *code }).collect(),
        };
        let session = Session { role, listener: "in".into(), login: Login::Known("Clerk".into()), tls: true };
        let now = "2026-05-14T10:00[Europe/London]".parse().unwrap();
        see(&Facts::new(&Case { message: &message, envelope: &envelope, session: &session, now, outside: Outside::unasked() }, policy))
    }

    fn left(role: Role, from: &str, to: &[(&str, u16)], header: &str) -> Option<Imprint> {
        let policy = policy();
        of(&policy, role, from, to, header, |facts| imprint(facts, &evaluate(&policy, facts), Vec::new(), DAY))
    }

    #[test]
    fn what_a_message_leaves_behind() {
        let header = "To: a@gmail.com, B@Sky.com\nCc: c@aol.com\nMessage-ID: <m1@wragby.uk>";
        let out = left(Role::Connector, CLERK, &[("a@gmail.com", 250), ("b@sky.com", 250), ("c@aol.com", 550)], header).unwrap();
        assert_eq!((out.message_id.as_deref(), out.sender.as_str()), (Some("m1@wragby.uk"), CLERK));
        assert_eq!(out.others, ["a@gmail.com", "b@sky.com"], "who was refused has no mail");
        let circle = out.circle.unwrap();
        assert_eq!((circle.people.as_slice(), circle.from_council), (&["a@gmail.com".to_string(), "b@sky.com".into()][..], true));
        assert_eq!((out.contact, out.protected_for), (true, None));

        let inside = left(Role::Mx, "a@gmail.com", &[(CLERK, 250)], &header.replace("a@gmail.com, ", "")).unwrap();
        let circle = inside.circle.unwrap();
        assert!(!circle.from_council && circle.people == ["a@gmail.com", "b@sky.com", "c@aol.com"], "{circle:?}");
        // A council address in From proves nothing on mx.
        let forged = left(Role::Mx, CLERK, &[(CLERK, 250)], header).unwrap();
        assert!(!forged.circle.unwrap().from_council);
        // One outsider saw nobody, mail within the council no outsider, and without a Message-ID nobody can answer it.
        let one = left(Role::Connector, CLERK, &[("a@gmail.com", 250)], "To: a@gmail.com\nMessage-ID: <m>").unwrap();
        assert_eq!((one.circle, one.contact), (None, true));
        assert_eq!(left(Role::Connector, CLERK, &[("cllr@wragby.uk", 250)], "To: cllr@wragby.uk\nMessage-ID: <m>"), None);
        let nameless = left(Role::Connector, CLERK, &[("a@gmail.com", 250), ("b@sky.com", 250)], "To: a@gmail.com, b@sky.com").unwrap();
        assert_eq!(nameless.circle, None);
        assert_eq!(left(Role::Connector, CLERK, &[("a@gmail.com", 250)], "Sensitivity: Personal\nTo: a@gmail.com"), None);
    }

    #[test]
    fn circles_have_a_bound_that_depends_on_whose_word_it_is() {
        let street = |n: usize| (0..n).map(|i| format!("r{i}@gmail.com")).collect::<Vec<_>>();
        for (n, from_council, from_outside) in [(1, 0, 2), (9, 9, 10), (10, 10, 0), (200, 200, 0), (201, 0, 0)] {
            let people = street(n);
            let to: Vec<(&str, u16)> = people.iter().map(|a| (a.as_str(), 250)).collect();
            let header = format!("To: {}\nMessage-ID: <m>", people.join(",\n "));
            let size = |imprint: Option<Imprint>| imprint.and_then(|i| i.circle).map_or(0, |c| c.people.len());
            assert_eq!(size(left(Role::Connector, CLERK, &to, &header)), from_council, "{n}");
            assert_eq!(size(left(Role::Mx, "x@sky.com", &[(CLERK, 250)], &header)), from_outside, "{n}");
        }
    }

    #[test]
    fn nothing_is_left_that_nobody_asks_for_or_that_the_site_does_not_keep() {
        let to = [("a@gmail.com", 250)];
        for policy in [Policy { asked: Wants::default(), ..policy() }, Policy { sources: Sources::default(), ..policy() }] {
            let out = of(&policy, Role::Connector, CLERK, &to, "To: a@gmail.com\nMessage-ID: <m>", |facts| {
                imprint(facts, &evaluate(&policy, facts), Vec::new(), DAY)
            });
            assert_eq!(out, None);
        }
    }

    #[test]
    fn what_is_counted_of_whom() {
        let policy = policy();
        let to = [("a@gmail.com", 250), ("A@GMAIL.com", 250), ("b@sky.com", 250), ("no@sky.com", 550)];
        let all = of(&policy, Role::Submission, CLERK, &to, "To: a@gmail.com", tallies);
        let shown: Vec<(Vec<&str>, u64, bool)> =
            all.iter().map(|t| (t.keys.iter().map(String::as_str).collect(), t.adds, t.once)).collect();
        assert_eq!(
            shown,
            [
                (vec!["messages login 60 clerk"], 1, true),
                (vec!["recipients sender 60 clerk@wragby.uk"], 3, false),
                (vec!["recipients pair 60 clerk@wragby.uk a@gmail.com", "recipients pair 60 clerk@wragby.uk b@sky.com"], 1, false),
            ]
        );
    }

    #[test]
    fn threads_are_read_from_the_nearest_and_bounded() {
        let answered = |header: &str| answered(&View::new(format!("{}\r\n\r\n", header.replace('\n', "\r\n")).as_bytes()));
        assert_eq!(answered("In-Reply-To: <b@x>\nReferences: <a@x>\n <b@x> <c@x>"), ["b@x", "c@x", "a@x"]);
        assert_eq!(answered("In-Reply-To: your message of Monday <a@x>, <unended"), ["a@x"]);
        assert!(answered("Subject: Re: x").is_empty() && answered("References: <> << >").is_empty());
        let many: String = (0..5_000).map(|n| format!(" <{n}@x>\n")).collect();
        let found = answered(&format!("References:{}", many.trim_end()));
        assert_eq!((found.len(), found[0].as_str()), (THREAD, "4999@x"));
        assert!(answered(&format!("References: <{}>", "a".repeat(2_000))).is_empty());
    }

    proptest! {
        /// Whatever stands there: what is found stood in brackets, and `id_key` of it is itself.
        #[test]
        fn ids_stood_in_brackets(text in "[<>a-c@ \\t]{0,40}|.{0,40}") {
            for id in ids(text.as_bytes()) {
                let stood = text.match_indices('<').any(|(at, _)| text[at + 1..].split_once('>').is_some_and(|(inside, _)| inside.trim() == id));
                prop_assert!(stood, "{} in {}", id, text);
                prop_assert_eq!(id_key(&format!("<{id}>")), id);
            }
        }
    }
}
