//! What is so about one message, each fact worked out when a rule first asks for it, and kept.

use std::cell::{Cell, OnceCell, RefCell};

use super::account_key;
use super::case::{Case, Login, Role};
use super::condition::{Automatic, Direction, Link, Number};
use super::detect::encryption::Wrapper;
use super::detect::forwarding::{self, Forwarded};
use super::detect::impersonation::{self, Claim, Shown};
use super::detect::marking::{self, Marks};
use super::detect::own_account::{self, User};
use super::detect::passwords::{self, Passwords};
use super::detect::recipients::{self, Visible};
use super::detect::{automatic, identifiers, prefixes};
use super::outside::{self, Fact, Outer, Wants};
use super::pattern::{Found, Kind};
use super::people::{Class, domain_of};
use super::rule::Policy;
use super::truth::Truth;
use super::vector::Seen;
use super::verdict::FactSummary;
use crate::message::{ProtectionLevel, Question, View};

/// The facts of one case under one policy.
pub struct Facts<'a> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) policy: &'a Policy,
    pub(super) view: View<'a>,
    pub(super) sender: OnceCell<Sender>,
    pub(super) recipients: OnceCell<Vec<Party>>,
    pub(super) direction: OnceCell<Direction>,
    pub(super) visible: OnceCell<Visible>,
    pub(super) inner: OnceCell<Visible>,
    pub(super) marks: OnceCell<Marks>,
    pub(super) body_mark: OnceCell<Option<&'static str>>,
    pub(super) document_mark: OnceCell<Option<String>>,
    pub(super) automatic: OnceCell<Option<Automatic>>,
    pub(super) calendar: OnceCell<bool>,
    pub(super) forwarded: OnceCell<Forwarded>,
    pub(super) protection: OnceCell<ProtectionLevel>,
    pub(super) attachment_text: OnceCell<String>,
    pub(super) addresses_in_text: OnceCell<usize>,
    pub(super) own_recipient: OnceCell<bool>,
    pub(super) claims: OnceCell<Vec<Claim<'a>>>,
    pub(super) passwords: OnceCell<Passwords>,
    pub(super) identifiers: OnceCell<Vec<Vec<identifiers::Hit>>>,
    pub(super) found: Vec<OnceCell<Found>>,
    /// By kind, where it was asked for.
    pub(super) links: Cell<[Option<bool>; 4]>,
    pub(super) wanted: Cell<Wants>,
    /// What other readers see, as it is to be kept; none if nobody wants it.
    pub(super) kept_readings: RefCell<Option<Vec<Seen<String>>>>,
}

/// Who sent it, as the envelope and the From field say.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    /// The reverse path in normal form; none for `<>`.
    pub envelope: Option<String>,
    /// The From authors in normal form, with the names beside them.
    pub authors: Vec<(String, Option<String>)>,
    /// The reverse path, or the only From author where that is empty.
    pub who: Option<String>,
    /// `who` is at one of the council's domains.
    pub is_council: bool,
}

/// Somebody who gets the message.
#[derive(Clone, Debug)]
pub struct Party {
    pub address: String,
    pub display: Option<String>,
    pub class: Class,
}

impl<'a> Facts<'a> {
    pub fn new(case: &'a Case<'a>, policy: &'a Policy) -> Facts<'a> {
        Facts::seen(case, policy, View::new(case.message.as_bytes()))
    }

    /// The same case as the reader of `view` sees it.
    pub(super) fn seen(case: &'a Case<'a>, policy: &'a Policy, view: View<'a>) -> Facts<'a> {
        Facts {
            case,
            policy,
            view,
            sender: OnceCell::new(),
            recipients: OnceCell::new(),
            direction: OnceCell::new(),
            visible: OnceCell::new(),
            inner: OnceCell::new(),
            marks: OnceCell::new(),
            body_mark: OnceCell::new(),
            document_mark: OnceCell::new(),
            automatic: OnceCell::new(),
            calendar: OnceCell::new(),
            forwarded: OnceCell::new(),
            protection: OnceCell::new(),
            attachment_text: OnceCell::new(),
            addresses_in_text: OnceCell::new(),
            own_recipient: OnceCell::new(),
            claims: OnceCell::new(),
            passwords: OnceCell::new(),
            identifiers: OnceCell::new(),
            found: policy.patterns.iter().map(|_| OnceCell::new()).collect(),
            links: Cell::default(),
            wanted: Cell::new(Wants::default()),
            kept_readings: RefCell::new(None),
        }
    }

    /// What is judged.
    pub fn case(&self) -> &'a Case<'a> {
        self.case
    }

    /// From here on what other readers see is kept beside, for the record.
    pub fn keep_readings(&self) {
        self.kept_readings.replace(Some(Vec::new()));
    }

    /// What was missed from outside in all that was judged so far.
    pub fn wants(&self) -> Wants {
        self.wanted.get()
    }

    /// A fact from outside, or what it makes of a condition that needs it.
    /// What another reading of the same message hangs on.
    pub(super) fn also_wants(&self, wants: Wants) {
        self.wanted.set(self.wanted.get().and(wants));
    }

    pub(super) fn outer<T: Copy>(&self, outer: Outer, fact: &Fact<T>) -> Result<T, Truth> {
        outside::known(Some(fact), outer, self.policy.sources, &self.wanted)
    }

    /// Messages or recipients of the policy's rate of that number, this message counted.
    pub(super) fn rate(&self, rate: usize) -> Result<u64, Truth> {
        outside::known(self.case.outside.rates.get(rate), Outer::Rate, self.policy.sources, &self.wanted)
    }

    /// Whether a fact could not be had.
    pub(super) fn is_unknown(&self, outer: Outer) -> Truth {
        let outside = self.case.outside;
        let answer = match outer {
            Outer::Virus => self.outer(outer, &outside.virus).map(|_| ()),
            Outer::Spf => self.outer(outer, &outside.spf).map(|_| ()),
            Outer::Dkim => self.outer(outer, &outside.dkim).map(|_| ()),
            Outer::Dmarc => self.outer(outer, &outside.dmarc).map(|_| ()),
            Outer::SeenTogether => self.seen_together().map(|_| ()),
            Outer::FirstContact => self.first_contact().map(|_| ()),
            Outer::NearName => self.near_name().map(|_| ()),
            Outer::ProtectedBefore => self.outer(outer, &outside.protected_before).map(|_| ()),
            Outer::Rate => (0..self.policy.rates.len()).map(|rate| self.rate(rate)).find(|r| r.is_err()).unwrap_or(Ok(0)).map(|_| ()),
        };
        match answer {
            Ok(()) => Truth::False,
            Err(Truth::Unknown(_)) if !self.wanted.get().has(outer) => Truth::True,
            Err(other) => other,
        }
    }

    pub fn view(&self) -> &View<'a> {
        &self.view
    }

    pub fn sender(&self) -> &Sender {
        self.sender.get_or_init(|| {
            let envelope = self.case.envelope.reverse_path.address().map(|a| a.normal());
            let mut authors = recipients::named(&self.view, &["From"]);
            match self.view.reading().answer(Question::Author) {
                1 => authors.truncate(1),
                2 => drop(authors.drain(..authors.len().saturating_sub(1))),
                _ => {}
            }
            let who = envelope.clone().or_else(|| match authors.as_slice() {
                [(only, _)] => Some(only.clone()),
                _ => None,
            });
            let is_council = who.as_deref().is_some_and(|w| self.policy.is_council(domain_of(w)));
            Sender { envelope, authors, who, is_council }
        })
    }

    /// The sender is the council's, on a listener where that means something: on mx anybody can write a council address.
    pub fn is_council_sender(&self) -> bool {
        self.case.session.role != Role::Mx && self.sender().is_council
    }

    /// Where a notice for the sender goes, if there may be one: no backscatter, and no answer to automatic mail (RFC 3834 §2).
    pub fn sender_to_tell(&self) -> Option<String> {
        if !self.is_council_sender() || self.automatic().is_some() {
            return None;
        }
        self.case.envelope.reverse_path.address().map(|a| a.as_str().to_string()).or_else(|| self.sender().who.clone())
    }

    /// Everybody who gets the message, each once. On a connector a provider may hand over one message in parts: there, where the
    /// sender is the council's, To and Cc count too, so that every part is judged alike.
    pub fn recipients(&self) -> &[Party] {
        self.recipients.get_or_init(|| {
            let mut out: Vec<Party> = Vec::new();
            let mut seen = std::collections::HashSet::new();
            let envelope: Vec<String> = self.case.envelope.accepted().map(|r| r.address.normal()).collect();
            let header = recipients::named(&self.view, &["To", "Cc"]);
            let accepted: std::collections::HashSet<&str> = envelope.iter().map(String::as_str).collect();
            let join = self.case.session.role == Role::Connector && self.sender().is_council;
            for (address, display) in &header {
                if (join || accepted.contains(address.as_str())) && seen.insert(address.clone()) {
                    out.push(Party { class: self.policy.classify(address), address: address.clone(), display: display.clone() });
                }
            }
            for address in envelope.iter().cloned() {
                if seen.insert(address.clone()) {
                    out.push(Party { class: self.policy.classify(&address), address, display: None });
                }
            }
            out
        })
    }

    /// DESIGN "direction": on mx always inbound, since a council sender there may be forged.
    pub fn direction(&self) -> Direction {
        *self.direction.get_or_init(|| {
            if self.case.session.role == Role::Mx {
                return Direction::Inbound;
            }
            let is_outsider = |domain: &str| !self.policy.is_council(domain);
            if self.case.envelope.accepted().any(|r| is_outsider(&crate::smtp::address::normal_domain(r.address.domain()))) {
                return Direction::Outbound;
            }
            if !self.sender().is_council {
                return Direction::Inbound;
            }
            let named = recipients::named(&self.view, &["To", "Cc"]);
            if named.iter().any(|(a, _)| is_outsider(domain_of(a))) { Direction::Outbound } else { Direction::Internal }
        })
    }

    pub fn visible(&self) -> &Visible {
        self.visible.get_or_init(|| recipients::visible(&self.view, self.policy))
    }

    pub fn inner_recipients(&self) -> &Visible {
        self.inner.get_or_init(|| recipients::inner(&self.view, self.policy))
    }

    /// Why the message counts as confidential; the body is looked at only if the header says nothing.
    pub fn confidential(&self) -> Option<&str> {
        let look = || {
            marking::in_body(&self.view.body_text().new)
                .or_else(|| self.view.other_alternatives("sensitiv").iter().find_map(|text| marking::in_body(text)))
        };
        let in_body = || *self.body_mark.get_or_init(look);
        self.header_marks().confidential.or_else(in_body).or_else(|| self.document_mark())
    }

    /// Why an attached document's label means confidential. Where the council has no labels, no document is opened for them.
    fn document_mark(&self) -> Option<&str> {
        let settings = &self.policy.marking;
        let mark = || settings.has_labels().then(|| marking::in_documents(&self.view.documents().labels, settings)).flatten();
        self.document_mark.get_or_init(mark).as_deref()
    }

    pub fn personal(&self) -> Option<&'static str> {
        self.header_marks().personal
    }

    pub(super) fn header_marks(&self) -> &Marks {
        self.marks.get_or_init(|| marking::in_header(&self.view, &self.policy.marking))
    }

    pub fn automatic(&self) -> Option<Automatic> {
        *self.automatic.get_or_init(|| automatic::kind(&self.view, self.case.envelope.reverse_path.address().is_none()))
    }

    pub fn is_list_mail(&self) -> bool {
        automatic::is_list_mail(&self.view)
    }

    pub fn is_calendar(&self) -> bool {
        *self.calendar.get_or_init(|| automatic::is_calendar(&self.view))
    }

    /// Evidence of forwarding, automatic and by hand.
    pub fn forwarded(&self) -> &Forwarded {
        self.forwarded.get_or_init(|| {
            let automatic = self.forwarded_automatically();
            let is_party = |a: &str| {
                self.sender().who.as_deref() == Some(a)
                    || self.sender().authors.iter().any(|(author, _)| author == a)
                    || self.recipients().iter().any(|p| p.address == a)
                    || self.visible().all.iter().any(|(v, _)| v == a)
            };
            let is_report = matches!(self.automatic(), Some(Automatic::Bounce | Automatic::Receipt));
            Forwarded { by_hand: forwarding::by_hand(&self.view, is_report, is_party), automatic }
        })
    }

    /// Evidence in header and envelope of a mailbox that forwards by itself.
    pub(super) fn forwarded_automatically(&self) -> Option<&'static str> {
        let outbound = self.direction() == Direction::Outbound;
        let inside =
            |a: &str| outbound && a.rsplit_once('@').is_some_and(|(_, d)| self.policy.is_council(&crate::smtp::address::normal_domain(d)));
        forwarding::automatic(&self.view, self.case.envelope.reverse_path.as_str(), inside)
    }

    /// The service that encrypts the message on its way.
    pub fn wrapper(&self) -> Option<&Wrapper> {
        self.policy.encryption.wrapper(&self.view, &self.case.session.listener)
    }

    pub fn protection(&self) -> ProtectionLevel {
        *self.protection.get_or_init(|| match self.wrapper() {
            Some(_) => ProtectionLevel::Message,
            None => self.view.protection().level(self.policy.encryption.least),
        })
    }

    /// A reply: it answers another message, and its subject does not say that it was forwarded.
    pub fn is_reply(&self) -> bool {
        match prefixes::strip_one(self.view.subject()) {
            Some((prefixes::Prefix::Reply, _)) => true,
            Some((prefixes::Prefix::Forward, _)) => false,
            None => self.view.named("In-Reply-To").next().is_some(),
        }
    }

    pub fn number(&self, number: Number) -> u64 {
        let n = match number {
            Number::Size => self.case.message.len(),
            Number::VisibleExternal => self.visible().external(),
            Number::VisiblePersonal => self.visible().personal(),
            Number::InnerRecipients => self.inner_recipients().all.len(),
            Number::ClearText => self.view.protection().clear_text,
            Number::AddressesInText => self.addresses_in_text(),
            Number::RecipientCount => self.count_recipients(|_| true),
            Number::OutsiderCount => self.count_recipients(|class| class != Class::Internal),
        };
        n as u64
    }

    /// Of envelope or header, the larger: one part of a message that was handed over in parts must not look small.
    fn count_recipients(&self, wanted: impl Fn(Class) -> bool) -> usize {
        let mut envelope: Vec<String> =
            self.case.envelope.accepted().map(|r| r.address.normal()).filter(|a| wanted(self.policy.classify(a))).collect();
        envelope.sort_unstable();
        envelope.dedup();
        let header = recipients::named(&self.view, &["To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc"]);
        envelope.len().max(header.iter().filter(|(a, _)| wanted(self.policy.classify(a))).count())
    }

    fn addresses_in_text(&self) -> usize {
        *self.addresses_in_text.get_or_init(|| {
            let mut seen = std::collections::HashSet::new();
            for text in [self.view.body_text().all.as_str(), self.attachment_text()] {
                for_each_address(text, |address| {
                    if self.policy.classify(&address) == Class::Personal {
                        seen.insert(address);
                    }
                });
            }
            seen.len()
        })
    }

    /// All text beside the body that somebody may see: inside attached files and messages, in the body's other alternatives, and
    /// what is there though it is not shown.
    pub fn attachment_text(&self) -> &str {
        self.attachment_text.get_or_init(|| {
            let documents = self.view.documents();
            let pieces = [&documents.text, &documents.hidden, &documents.alternative, &self.view.body_text().hidden];
            let mut out = String::with_capacity(pieces.iter().map(|p| p.len() + 1).sum());
            for piece in pieces.into_iter().filter(|p| !p.is_empty()) {
                out.push_str(piece);
                out.push('\n');
            }
            out
        })
    }

    /// How many distinct identifiers of these kinds stand in subject, body and attached text.
    pub fn identifiers(&self, kinds: &[super::condition::Identifier]) -> u64 {
        self.identifiers_by_kind(kinds).iter().map(|(_, n)| *n as u64).sum()
    }

    /// The same for each kind that is there. Counts only: the values stay in the message.
    pub fn identifiers_by_kind(&self, kinds: &[super::condition::Identifier]) -> Vec<(super::condition::Identifier, usize)> {
        let texts = self.identifiers.get_or_init(|| {
            [self.view.subject(), self.view.body_text().all.as_str(), self.attachment_text()].map(identifiers::find).into()
        });
        identifiers::distinct(texts, kinds, &self.policy.own_accounts)
    }

    /// Passwords that the message gives away.
    pub fn passwords(&self) -> &Passwords {
        self.passwords.get_or_init(|| passwords::look(&self.view, self.attachment_text()))
    }

    /// Whether a recipient at a consumer domain is, or looks like, the sender's own account or another council user's.
    pub fn own_recipient(&self) -> bool {
        *self.own_recipient.get_or_init(|| {
            let members = &self.policy.council.people;
            let sender = self.sender();
            let authors = sender.authors.iter().filter(|(a, _)| self.policy.is_council(domain_of(a))).take(20);
            // A mailbox that forwards by itself has its owner's name in To, where From is somebody else's.
            let header = recipients::named(&self.view, &["To", "Cc", "Resent-From"]);
            let named = |address: &str| header.iter().find(|(a, _)| a == address).and_then(|(_, name)| name.as_deref());
            let mut users: Vec<User<'_>> = authors
                .map(|(address, display)| User { address, display: display.as_deref(), registered: &[] })
                .chain(sender.who.as_deref().filter(|_| sender.is_council).map(|address| User {
                    address,
                    display: named(address),
                    registered: &[],
                }))
                .collect();
            users.extend(members.iter().map(User::of));
            let strangers = self.recipients().iter().filter(|p| p.class.is_stranger());
            strangers.into_iter().any(|p| {
                users.iter().any(|u| {
                    account_key::is_registered(u.registered, &p.address, self.policy.council.account_key.as_ref())
                        || (p.class == Class::Personal && own_account::is_own(*u, &p.address, p.display.as_deref()))
                })
            })
        })
    }

    /// Names of the council and its people that the message bears and has no right to.
    pub fn claims(&self) -> &[Claim<'a>] {
        self.claims.get_or_init(|| {
            let policy = self.policy;
            let reply_to = self.reply_to();
            let shown = Shown {
                authors: &self.sender().authors,
                reply_to: &reply_to,
                unproven_council: self.case.session.role == Role::Mx && !self.sender().authors.is_empty(),
            };
            let is_council = |address: &str| policy.is_council(domain_of(address));
            let is_partner = |address: &str| policy.partners.contains(address);
            impersonation::claims(&policy.council, &shown, &is_council, &is_partner)
        })
    }

    /// The author, where there is one.
    pub(super) fn only_author(&self) -> Option<&str> {
        match self.sender().authors.as_slice() {
            [(only, _)] => Some(only),
            _ => None,
        }
    }

    /// Whether a link is of one of these kinds. What was found is remembered for the record.
    pub(super) fn has_link(&self, kinds: &[Link]) -> bool {
        let found = super::detect::links::has_any(&self.view, kinds, &self.policy.council.domains);
        let mut links = self.links.get();
        for kind in kinds {
            // Of several that were asked for together one was found, and nobody knows which.
            if !found || kinds.len() == 1 {
                links[*kind as usize] = Some(found);
            }
        }
        self.links.set(links);
        found
    }

    /// Addresses of Reply-To, in normal form.
    pub fn reply_to(&self) -> Vec<(String, Option<String>)> {
        recipients::named(&self.view, &["Reply-To"])
    }

    /// The account that AUTH proved, as an address where it is one.
    pub fn login_is(&self, author: &str) -> Option<bool> {
        match &self.case.session.login {
            Login::Known(name) => {
                let name = name.to_lowercase();
                Some(match name.rsplit_once('@') {
                    Some((local, domain)) => crate::smtp::address::normal(local, domain) == author,
                    None => author.rsplit_once('@').is_some_and(|(local, domain)| local == name && self.policy.is_council(domain)),
                })
            }
            Login::Hidden | Login::None => None,
        }
    }

    /// Which patterns of a set are in their text. One pass over the text, for all rules.
    pub fn found(&self, set: usize) -> Option<&Found> {
        let patterns = self.policy.patterns.get(set)?;
        let cell = self.found.get(set)?;
        Some(cell.get_or_init(|| match &patterns.kind {
            Kind::Subject => patterns.search([prefixes::strip(self.view.subject())]),
            Kind::BodyNew => patterns.search([self.view.body_text().new.as_str()]),
            Kind::BodyQuoted => patterns.search([self.view.body_text().quoted.as_str()]),
            Kind::BodyAll => patterns.search([self.view.body_text().all.as_str()]),
            Kind::Text => patterns.search([self.view.subject(), self.view.body_text().all.as_str(), self.attachment_text()]),
            Kind::Header(name) => {
                let texts: Vec<_> = self.view.named(name).map(|f| self.view.text(f)).collect();
                patterns.search(texts.iter().map(|t| t.as_ref()))
            }
            Kind::AttachmentName => {
                let names: Vec<&str> = super::detect::attachments::names(&self.view).collect();
                patterns.search(names)
            }
        }))
    }

    /// What the facts came to. `protection` is said only if a rule asked for it, or if `all` is wanted: looking into every
    /// attachment for the record alone would cost more than the judging.
    pub fn summary(&self, all: bool) -> FactSummary {
        let protected = if all { Some(self.protection()) } else { self.protection.get().copied() };
        let confidential = if all || self.body_mark.get().is_some() { self.confidential() } else { self.header_marks().confidential };
        let marked = if confidential.is_some() {
            Some("confidential")
        } else if self.personal().is_some() {
            Some("personal")
        } else {
            None
        };
        FactSummary {
            direction: self.direction().word().to_string(),
            marked: marked.map(str::to_string),
            protected: protected.unwrap_or(ProtectionLevel::None).word().to_string(),
            visible_external: self.visible().external(),
        }
    }
}

/// Finds what looks like addresses in running text, in normal form.
fn for_each_address(text: &str, mut found: impl FnMut(String)) {
    let bytes = text.as_bytes();
    let is_local = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    for at in memchr::memchr_iter(b'@', bytes) {
        // 64 octets of local part and 253 of domain (RFC 5321 §4.5.3.1) bound the work for each `@`.
        let local = bytes[..at].iter().rev().take(64).take_while(|b| is_local(**b)).count();
        let domain = bytes[at + 1..].iter().take(253).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')).count();
        let (local, domain) = (&text[at - local..at], text[at + 1..at + 1 + domain].trim_end_matches(['.', '-']));
        let local = local.trim_start_matches(['.', '\'', '/', '=', '*', '_', '`', '{', '|']);
        if !local.is_empty() && domain.contains('.') {
            found(crate::smtp::address::normal(local, domain));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_in_running_text() {
        let mut out = Vec::new();
        super::for_each_address("Jo <jo@gmail.com>, 'al.b@sky.com'. @x me@ you@x é@gmail.com mailto:K@AOL.com.", |a| out.push(a));
        assert_eq!(out, ["jo@gmail.com", "al.b@sky.com", "k@aol.com"]);
    }
}
