//! What the record keeps of a message so that other rules can be judged on it: the answers to what rules may ask, and nothing that
//! could be read out.
//!
//! No body, no subject, no file name, no matched text. Addresses are here only until the record's writer has hashed them. What a
//! message tells cheaply is kept always; what is dear (its text, its files) only where a rule had it looked into.

use super::condition::{Ambiguous, Automatic, Direction, Identifier, Link, Number, Rate};
use super::detect::attachments::{self, FileFacts};
use super::detect::identifiers;
use super::detect::impersonation::{How, Whose};
use super::detect::{self, passwords, recipients};
use super::facts::Facts;
use super::outside::{Authentication, Fact, Outer, Sources};
use super::people::Class;
use super::subject::{LoggedIn, Subject};
use super::truth::Truth;
use super::verdict::{Person, Verdict};
use crate::message::ProtectionLevel;
use crate::message::ambiguity::Kind;

/// People of one message who are kept, beside those of its envelope. A message that names more keeps their number only.
pub const PEOPLE: usize = 200;
/// Octets of files, as sent, that are decoded for the record alone.
const FILES: usize = 64 * 1024;

/// What is kept of one message. `A` is an address: readable until it is written, a keyed hash afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactVector<A> {
    /// [`detect::VERSION`] of then.
    pub detectors: u32,
    /// What the lists of partners and consumer domains were, as [`Remembers::lists`](super::remembers::Remembers).
    pub lists: u32,
    pub did: Did,
    pub ours: Seen<A>,
    /// As other mail programs read it.
    pub others: Vec<Seen<A>>,
    /// There are more readings than anybody can judge.
    pub too_many: bool,
}

/// What was done with the message, beside its disposition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Did {
    pub edited: bool,
    pub rerouted: bool,
    pub split: bool,
    pub told_sender: bool,
    pub told_clerk: bool,
    pub told_chair: bool,
}

/// One reading of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen<A> {
    pub direction: Direction,
    pub logged_in: LoggedIn,
    /// One for each of [`Answer::ALL`]; none where nobody looked.
    pub answers: [Option<bool>; Answer::ALL.len()],
    pub automatic: Option<Automatic>,
    pub protection: Option<ProtectionLevel>,
    /// One bit for each kind of ambiguity; none where the authors were not compared.
    pub ambiguities: Option<u16>,
    pub size: u64,
    pub inner_recipients: u64,
    pub clear_text: Option<u64>,
    pub addresses_in_text: Option<u64>,
    pub identifiers: Option<Identifiers>,
    pub files: Option<Vec<FileFacts>>,
    pub claims: Option<Vec<Claim<A>>>,
    /// Everybody who is named; none where there are too many.
    pub people: Option<Vec<Named<A>>>,
    pub virus: Asked<bool>,
    pub spf: Asked<Authentication>,
    pub dkim: Asked<Authentication>,
    pub dmarc: Asked<Authentication>,
    pub seen_together: Asked<bool>,
    pub first_contact: Asked<bool>,
    pub near_name: Asked<bool>,
    pub protected_before: Asked<bool>,
    pub rates: Vec<(Rate, Asked<u64>)>,
    /// Answers to the rules' own questions about words and header fields.
    pub remembered: Vec<(u32, bool)>,
    /// Overrides that a council sender wrote into the subject, of the rules of then.
    pub overrides: Vec<u32>,
}

/// What is yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account that logged in is the only author's.
    LoginIsAuthor,
    /// The account's name is known, and there is one author.
    LoginTells,
    ReversePathIsAligned,
    Confidential,
    Calendar,
    ListMail,
    Reply,
    ForwardedByHand,
    ForwardedAutomatically,
    OwnRecipient,
    PasswordBeside,
    PasswordAlone,
    PasswordOfAnother,
    TextDiffers,
    LookAlike,
    Numeric,
    Shortened,
    UnreadableText,
    CouncilSender,
    /// The sender may be told.
    TellSender,
    /// A tag may stand in the subject.
    Tagged,
}

impl Answer {
    pub const ALL: [Answer; 21] = [
        Answer::LoginIsAuthor,
        Answer::LoginTells,
        Answer::ReversePathIsAligned,
        Answer::Confidential,
        Answer::Calendar,
        Answer::ListMail,
        Answer::Reply,
        Answer::ForwardedByHand,
        Answer::ForwardedAutomatically,
        Answer::OwnRecipient,
        Answer::PasswordBeside,
        Answer::PasswordAlone,
        Answer::PasswordOfAnother,
        Answer::TextDiffers,
        Answer::LookAlike,
        Answer::Numeric,
        Answer::Shortened,
        Answer::UnreadableText,
        Answer::CouncilSender,
        Answer::TellSender,
        Answer::Tagged,
    ];

    pub fn of_link(link: Link) -> Answer {
        match link {
            Link::TextDiffers => Answer::TextDiffers,
            Link::LookAlike => Answer::LookAlike,
            Link::Numeric => Answer::Numeric,
            Link::Shortened => Answer::Shortened,
        }
    }
}

/// A fact from outside, as it was had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked<T> {
    /// No rule hung on it.
    Not,
    /// The site had no such source.
    Absent,
    Known(T),
    /// It could not be had, and why.
    Unknown(std::sync::Arc<str>),
}

/// Identifiers of each kind by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    /// By the number of the kind.
    pub counts: [u64; 7],
    /// Some of two kinds overlap, so that several kinds together are not their sum.
    pub overlap: bool,
}

/// A name that the message bears and has no right to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<A> {
    pub to_be: Claimant<A>,
    /// It may be that person's own account.
    pub own: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimant<A> {
    Council,
    Clerk,
    Chair,
    Member(A),
}

/// Somebody whom the message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<A> {
    pub who: A,
    pub class: Class,
    /// What they are to the message: bits of [`part`].
    pub parts: u8,
}

/// What somebody is to a message.
pub mod part {
    /// Gets it, as rules see it.
    pub const RECIPIENT: u8 = 1;
    /// Stands in the envelope, accepted.
    pub const ENVELOPE: u8 = 2;
    /// A reader sees them.
    pub const VISIBLE: u8 = 4;
    /// Counts among the header's recipients.
    pub const COUNTED: u8 = 8;
    pub const AUTHOR: u8 = 16;
    pub const REPLY_TO: u8 = 32;
    pub const REVERSE_PATH: u8 = 64;
}

impl FactVector<String> {
    /// What is kept of a message that was judged; `facts` must have been asked to keep other readings before.
    pub fn of(facts: &Facts<'_>, verdict: &Verdict) -> FactVector<String> {
        let told = |person: Person| verdict.notices.iter().any(|n| n.person == person);
        let others = facts.kept_readings.borrow_mut().take().unwrap_or_default();
        FactVector {
            detectors: detect::VERSION,
            lists: facts.policy.remembers.lists,
            did: Did {
                edited: !verdict.edits.is_empty(),
                rerouted: !verdict.route.is_as_sent() || verdict.route.drop.is_some(),
                split: verdict.split,
                told_sender: told(Person::Sender),
                told_clerk: told(Person::Clerk),
                told_chair: told(Person::Chair),
            },
            ours: look(facts),
            // Only our own reading can know of others, and only then are there any to count.
            too_many: !others.is_empty() && Subject::others(facts).too_many || others.is_empty() && is_beyond_reading(facts),
            others,
        }
    }

    /// About the memory that it takes.
    pub fn weight(&self) -> usize {
        std::iter::once(&self.ours).chain(&self.others).map(Seen::weight).sum::<usize>() + 64
    }
}

impl Seen<String> {
    fn weight(&self) -> usize {
        let people = self.people.as_ref().map_or(0, |all| all.iter().map(|p| p.who.len() + size_of::<Named<String>>()).sum());
        let files = self.files.as_ref().map_or(0, |all| all.len() * size_of::<FileFacts>());
        size_of::<Self>() + people + files + self.remembered.len() * 8 + self.rates.len() * 48
    }
}

/// There are too many readings for any to have been judged.
fn is_beyond_reading(facts: &Facts<'_>) -> bool {
    facts.view().questions().next().is_some() && Subject::others(facts).too_many
}

/// What is kept of one reading.
pub(super) fn look(facts: &Facts<'_>) -> Seen<String> {
    let view = facts.view();
    let into = view.looked_into();
    let outside = facts.case.outside;
    let sources = facts.policy.sources;
    // What the message itself settles needs no answer, and is known all the same.
    let past = |fact: &Fact<bool>, settled: &dyn Fn() -> Result<bool, Truth>| match (settled(), fact) {
        (Ok(value), _) => Asked::Known(value),
        (Err(Truth::Absent(_)), _) => Asked::Absent,
        (Err(_), Fact::Unknown(why)) => Asked::Unknown(why.clone()),
        (Err(_), _) => Asked::Not,
    };
    let named = people(facts);
    let has_outsider = facts.recipients().iter().any(|p| p.class != Class::Internal);
    Seen {
        direction: facts.direction(),
        logged_in: facts.logged_in(),
        answers: answers(facts),
        automatic: facts.automatic(),
        protection: protection(facts),
        ambiguities: ambiguities(facts),
        size: facts.case.message.len() as u64,
        inner_recipients: facts.number(Number::InnerRecipients),
        clear_text: into.protection.then(|| view.protection().clear_text as u64),
        addresses_in_text: facts.addresses_in_text.get().map(|n| *n as u64),
        identifiers: facts.identifiers.get().map(|texts| Identifiers {
            counts: std::array::from_fn(|i| {
                let (_, kind) = Identifier::WORDS[i];
                identifiers::distinct(texts, &[kind], &facts.policy.own_accounts).iter().map(|(_, n)| *n as u64).sum()
            }),
            overlap: identifiers::overlap(texts),
        }),
        files: (into.documents || into.protection || attachments::sent_size(view) <= FILES).then(|| attachments::survey(view)),
        claims: claims(facts),
        people: (named.len() <= PEOPLE + facts.case.envelope.recipients.len()).then_some(named),
        virus: kept(&outside.virus, Outer::Virus, sources),
        spf: kept(&outside.spf, Outer::Spf, sources),
        dkim: kept(&outside.dkim, Outer::Dkim, sources),
        dmarc: kept(&outside.dmarc, Outer::Dmarc, sources),
        seen_together: past(&outside.seen_together, &|| facts.seen_together()),
        first_contact: past(&outside.first_contact, &|| facts.first_contact()),
        // To compare every name for the record alone would be dear.
        near_name: past(&outside.near_name, &|| match outside.near_name {
            Fact::Unasked if has_outsider => facts.outer(Outer::NearName, &outside.near_name),
            _ => facts.near_name(),
        }),
        protected_before: kept(&outside.protected_before, Outer::ProtectedBefore, sources),
        rates: facts.policy.rates.iter().zip(&outside.rates).map(|(rate, fact)| (*rate, kept(fact, Outer::Rate, sources))).collect(),
        remembered: remembered(facts),
        overrides: overrides(facts),
    }
}

fn kept<T: Clone>(fact: &Fact<T>, outer: Outer, sources: Sources) -> Asked<T> {
    match fact {
        Fact::Known(value) => Asked::Known(value.clone()),
        _ if !sources.has(outer.source()) => Asked::Absent,
        Fact::Unknown(why) => Asked::Unknown(why.clone()),
        Fact::Unasked => Asked::Not,
    }
}

fn answers(facts: &Facts<'_>) -> [Option<bool>; Answer::ALL.len()] {
    let view = facts.view();
    let into = view.looked_into();
    let login = facts.login_is_author().unwrap_or_default();
    let passwords = facts.passwords.get();
    let password = |which: fn(&passwords::Passwords) -> bool| passwords.map(which);
    // Where the body was read anyway, its marks cost little more. What it quotes is dear: that a rule must have asked.
    let confidential = || match facts.body_mark.get().is_some() || into.body {
        true => facts.document_mark.get().is_some() || !facts.policy.marking.has_labels() || into.documents,
        false => facts.header_marks().confidential.is_some(),
    };
    let forwarded = facts.forwarded.get().is_some();
    let no_stranger = || !facts.recipients().iter().any(|p| p.class.is_stranger());
    let links = facts.links.get();
    Answer::ALL.map(|answer| match answer {
        Answer::LoginIsAuthor => Some(login == Some(true)),
        Answer::LoginTells => Some(login.is_some()),
        Answer::ReversePathIsAligned => facts.reverse_path_is_aligned().ok(),
        Answer::Confidential if facts.header_marks().confidential.is_some() => Some(true),
        Answer::Confidential => confidential().then(|| facts.confidential().is_some()),
        Answer::Calendar => Some(facts.is_calendar()),
        Answer::ListMail => Some(facts.is_list_mail()),
        Answer::Reply => Some(facts.is_reply()),
        Answer::ForwardedByHand => forwarded.then(|| facts.forwarded().by_hand.is_some()),
        Answer::ForwardedAutomatically if forwarded => Some(facts.forwarded().automatic.is_some()),
        Answer::ForwardedAutomatically => Some(facts.forwarded_automatically().is_some()),
        Answer::OwnRecipient => (facts.own_recipient.get().is_some() || no_stranger()).then(|| facts.own_recipient()),
        Answer::PasswordBeside => password(|p| p.beside.is_some()),
        Answer::PasswordAlone => password(|p| p.alone.is_some()),
        Answer::PasswordOfAnother => password(|p| p.for_another.is_some()),
        Answer::TextDiffers => links[Link::TextDiffers as usize],
        Answer::LookAlike => links[Link::LookAlike as usize],
        Answer::Numeric => links[Link::Numeric as usize],
        Answer::Shortened => links[Link::Shortened as usize],
        Answer::UnreadableText => into.documents.then(|| !view.documents().unreadable.is_empty()),
        Answer::CouncilSender => Some(facts.is_council_sender()),
        Answer::TellSender => Some(facts.sender_to_tell().is_some()),
        Answer::Tagged => Some(view.named("Subject").any(|f| view.text(f).contains('['))),
    })
}

fn protection(facts: &Facts<'_>) -> Option<ProtectionLevel> {
    match facts.view().looked_into().protection {
        true => Some(facts.protection()),
        // A service that encrypts on the way is told by a header field.
        false => facts.protection.get().copied().or_else(|| facts.wrapper().map(|_| ProtectionLevel::Message)),
    }
}

/// Whether another parser finds other authors is asked only of mail that is odd otherwise, or that a rule asked about.
fn ambiguities(facts: &Facts<'_>) -> Option<u16> {
    let view = facts.view();
    let bits = |kinds: &[crate::message::Ambiguity]| kinds.iter().fold(0, |bits, a| bits | bit(a.kind()));
    match view.looked_into().ambiguities {
        true => Some(bits(view.ambiguities())),
        false if view.odd().is_empty() => None,
        false => Some(bits(view.ambiguities())),
    }
}

/// The bit of one kind of ambiguity.
pub(super) fn bit(kind: Kind) -> u16 {
    1 << Ambiguous::WORDS.iter().position(|(_, k)| *k == kind).unwrap_or(15)
}

fn claims(facts: &Facts<'_>) -> Option<Vec<Claim<String>>> {
    // Who writes as the council on its own listener passes for nobody.
    let is_ours = facts.is_council_sender() && facts.sender().authors.iter().all(|(a, _)| facts.policy.classify(a) == Class::Internal);
    if facts.claims.get().is_none() && is_ours {
        return Some(Vec::new());
    }
    let claim = |claim: &super::detect::impersonation::Claim<'_>| Claim {
        to_be: match claim.to_be {
            Whose::Council => Claimant::Council,
            Whose::Clerk => Claimant::Clerk,
            Whose::Chair => Claimant::Chair,
            Whose::Member(member) => Claimant::Member(member.address.clone()),
        },
        own: claim.how == How::OwnAccount,
    };
    Some(facts.claims().iter().take(PEOPLE).map(claim).collect())
}

fn remembered(facts: &Facts<'_>) -> Vec<(u32, bool)> {
    let remembers = &facts.policy.remembers;
    let mut out: Vec<(u32, bool)> = Vec::new();
    for (id, used) in &remembers.words {
        if let Some(found) = facts.found.get(used.set).and_then(|cell| cell.get())
            && !out.iter().any(|(known, _)| known == id)
        {
            out.push((*id, used.patterns.iter().any(|p| found.has(*p))));
        }
    }
    out.extend(remembers.fields.iter().map(|(id, name)| (*id, facts.view().named(name).next().is_some())));
    out
}

fn overrides(facts: &Facts<'_>) -> Vec<u32> {
    let written = |name: &str| matches!(Subject::override_reason(facts, name), Ok(Some(_)));
    if !facts.is_council_sender() || !facts.view().subject().contains('[') {
        return Vec::new();
    }
    facts.policy.remembers.overrides.iter().filter(|(_, name)| written(name)).map(|(id, _)| *id).collect()
}

/// Everybody who is named, each once.
fn people(facts: &Facts<'_>) -> Vec<Named<String>> {
    let mut all = People::default();
    let policy = facts.policy;
    for party in facts.recipients() {
        all.add(&party.address, part::RECIPIENT, || party.class);
    }
    for recipient in facts.case.envelope.accepted() {
        let address = recipient.address.normal();
        all.add(&address, part::ENVELOPE, || policy.classify(&address));
    }
    let view = facts.view();
    // What counts among the recipients of the header is what is visible, but for where answers go, unless readers differ.
    let counted_too = ["Reply-To", "Mail-Followup-To", "Apparently-To"];
    let same = !counted_too.iter().any(|n| view.named(n).next().is_some()) && view.odd().is_empty();
    for (address, class) in &facts.visible().all {
        all.add(address, if same { part::VISIBLE | part::COUNTED } else { part::VISIBLE }, || *class);
    }
    if !same {
        for (address, _) in recipients::named(view, &["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"]) {
            all.add(&address, part::COUNTED, || policy.classify(&address));
        }
    }
    for (address, _) in facts.reply_to() {
        all.add(&address, part::REPLY_TO, || policy.classify(&address));
    }
    let sender = facts.sender();
    for (address, _) in &sender.authors {
        all.add(address, part::AUTHOR, || policy.classify(address));
    }
    if let Some(address) = &sender.envelope {
        all.add(address, part::REVERSE_PATH, || policy.classify(address));
    }
    all.list
}

#[derive(Default)]
struct People {
    list: Vec<Named<String>>,
    /// Where each stands, once there are more than a few.
    places: std::collections::HashMap<String, usize>,
}

/// So few are looked through.
const FEW: usize = 8;

impl People {
    fn add(&mut self, address: &str, parts: u8, class: impl FnOnce() -> Class) {
        let place = match self.list.len() > FEW {
            true => self.places.get(address).copied(),
            false => self.list.iter().position(|p| p.who == address),
        };
        if let Some(place) = place {
            self.list[place].parts |= parts;
            return;
        }
        self.list.push(Named { who: address.to_string(), class: class(), parts });
        if self.list.len() == FEW + 1 {
            self.places = self.list.iter().enumerate().map(|(i, p)| (p.who.clone(), i)).collect();
        } else if self.list.len() > FEW {
            self.places.insert(address.to_string(), self.list.len() - 1);
        }
    }
}
