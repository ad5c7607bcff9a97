//! What the record of a message tells the judge. It must never say anything else than the message would have said; what it cannot
//! tell it says is open.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::case::Role;
use super::condition::{
    Ambiguous, AttachmentTest, Automatic, Direction, Disclosure, Forwarding, Identifier, Impersonated, Link, Marking, Number, PatternUse,
    PersonalAccount,
};
use super::detect::impersonation::How;
use super::detect::look_alike::passes_for;
use super::evaluate::Rulings;
use super::missing::Missing;
use super::outside::{Authentication, Outer};
use super::people::{AddressSet, Class, Who};
use super::route::Route;
use super::rule::{IfUnknown, Malformed, Policy, Rule};
use super::say::Template;
use super::subject::{Claimed, Edited, LoggedIn, Subject};
use super::truth::{Known, Truth};
use super::vector::{Answer, Asked, Claimant, FactVector, Named, Seen, bit, part};
use super::verdict::{Alternatives, FactSummary, FieldEdit, Mode};
use crate::message::ambiguity::Kind;
use crate::message::{EditPlan, ProtectionLevel};

/// An address that can be asked for, and not read out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    pub hash: u64,
    pub domain: Domain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Domain {
    Readable(Arc<str>),
    Hashed(u64),
}

/// Looks addresses up among those of one period, whose key hashes them.
pub struct Names<'k> {
    address: &'k dyn Fn(&str) -> u64,
    domain: &'k dyn Fn(&str) -> u64,
    /// Each set hashed once: by where it is, since a policy's sets stay where they are.
    sets: RefCell<HashMap<*const AddressSet, Arc<HashedSet>>>,
}

struct HashedSet {
    addresses: HashSet<u64>,
    domains: HashSet<u64>,
}

impl<'k> Names<'k> {
    pub fn new(address: &'k dyn Fn(&str) -> u64, domain: &'k dyn Fn(&str) -> u64) -> Names<'k> {
        Names { address, domain, sets: RefCell::default() }
    }

    fn of(&self, set: &Arc<AddressSet>) -> Arc<HashedSet> {
        let mut sets = self.sets.borrow_mut();
        let hashed =
            || HashedSet { addresses: set.addresses().map(self.address).collect(), domains: set.domains().map(self.domain).collect() };
        sets.entry(Arc::as_ptr(set)).or_insert_with(|| Arc::new(hashed())).clone()
    }

    fn is_in(&self, set: &Arc<AddressSet>, who: &Hashed) -> Known<bool> {
        let hashed = self.of(set);
        if hashed.addresses.contains(&who.hash) {
            return Ok(true);
        }
        match &who.domain {
            Domain::Readable(domain) => Ok(set.contains_domain(domain)),
            Domain::Hashed(domain) if hashed.domains.contains(domain) => Ok(true),
            Domain::Hashed(_) if set.has_below() => Err(Truth::Open(Missing::Names)),
            Domain::Hashed(_) => Ok(false),
        }
    }

    fn is(&self, who: &Who, address: &Hashed) -> Known<bool> {
        any(who.sets.iter().map(|set| self.is_in(set, address)))
    }
}

/// Three-valued: the first that holds settles it.
fn any(each: impl IntoIterator<Item = Known<bool>>) -> Known<bool> {
    let mut out = Ok(false);
    for known in each {
        match known {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(truth) => out = Err(truth),
        }
    }
    out
}

fn every(each: impl IntoIterator<Item = Known<bool>>) -> Known<bool> {
    any(each.into_iter().map(|known| known.map(|yes| !yes))).map(|some_not| !some_not)
}

/// One message of the record, as other rules are held against it.
pub struct Recorded<'r> {
    pub vector: &'r FactVector<Hashed>,
    pub policy: &'r Policy,
    pub names: &'r Names<'r>,
    pub role: Role,
    pub listener: &'r str,
    pub now: jiff::Zoned,
}

/// One reading of it.
struct Reading<'r> {
    record: &'r Recorded<'r>,
    seen: &'r Seen<Hashed>,
}

impl<'r> Recorded<'r> {
    fn ours(&'r self) -> Reading<'r> {
        Reading { record: self, seen: &self.vector.ours }
    }
}

/// What rules say of a message of the record.
pub struct Told {
    /// As if no rule that is open had matched.
    pub verdict: super::Verdict,
    /// The strictest disposition that the open rules allow.
    pub at_most: &'static str,
    /// It is changed, or may be.
    pub may_edit: bool,
}

/// Judges a message of the record by other rules.
pub fn evaluate(record: &Recorded<'_>) -> Told {
    let verdict = super::evaluate(record.policy, &record.ours());
    let open =
        || verdict.open.iter().filter_map(|o| record.policy.rules.iter().find(|r| r.id == o.rule)).filter(|r| r.mode == Mode::Enforce);
    let hides = |rule: &Rule| rule.then.hide_recipients.is_some();
    let hidden = verdict.edits.iter().filter_map(|e| record.policy.rules.iter().find(|r| r.id == e.rule)).chain(open()).any(hides);
    // Where programs read a message in several ways, hiding its recipients may fail, and then it is refused.
    let may_still_show = hidden && !record.vector.others.is_empty();
    let rank = |word: &str| ["deliver", "hold", "defer", "reject"].iter().position(|w| *w == word);
    let of_open = open().flat_map(|rule| {
        let then = &rule.then;
        let unknown = match rule.if_unknown {
            IfUnknown::Defer => Some("defer"),
            IfUnknown::Hold => Some("hold"),
            IfUnknown::Skip => None,
        };
        [then.reject.as_ref().map(|_| "reject"), then.defer.as_ref().map(|_| "defer"), then.hold.as_ref().map(|_| "hold"), unknown]
    });
    let all = of_open.flatten().chain(may_still_show.then_some("reject")).chain([verdict.disposition.word()]);
    let at_most = all.max_by_key(|word| rank(word)).unwrap_or("deliver");
    let may_edit = !verdict.edits.is_empty() || open().any(|r| r.then.edits());
    Told { at_most, may_edit, verdict }
}

impl Reading<'_> {
    fn answer(&self, answer: Answer, missing: Missing) -> Known<bool> {
        self.seen.answers[answer as usize].ok_or(Truth::Open(missing))
    }

    fn people(&self, parts: u8) -> Known<impl Iterator<Item = &Named<Hashed>> + Clone> {
        let all = self.seen.people.as_ref().ok_or(Truth::Open(Missing::Names))?;
        Ok(all.iter().filter(move |p| p.parts & parts != 0))
    }

    /// The class by the lists of these rules.
    fn class(&self, person: &Named<Hashed>) -> Known<Class> {
        let policy = self.record.policy;
        if policy.remembers.lists == self.record.vector.lists || person.class == Class::Internal {
            return Ok(person.class);
        }
        let is = |set| self.record.names.is_in(set, &person.who);
        Ok(match (is(&policy.partners)?, is(&policy.consumer)?) {
            (true, _) => Class::Partner,
            (false, true) => Class::Personal,
            (false, false) => Class::External,
        })
    }

    fn count(&self, parts: u8, wanted: impl Fn(Class) -> bool) -> Known<u64> {
        let mut n = 0;
        for person in self.people(parts)? {
            n += u64::from(wanted(self.class(person)?));
        }
        Ok(n)
    }

    fn is_any(&self, parts: u8, class: Class) -> Known<bool> {
        let people = self.people(parts)?;
        any(people.map(|p| self.class(p).map(|c| c == class)))
    }

    fn asked<T: Copy>(&self, asked: &Asked<T>, outer: Outer) -> Known<T> {
        match asked {
            Asked::Known(value) => Ok(*value),
            Asked::Unknown(why) => Err(Truth::Unknown(why.clone())),
            Asked::Absent => Err(Truth::Absent(outer.source().absence().into())),
            Asked::Not => Err(Truth::Open(Missing::Unasked(outer))),
        }
    }
}

impl Subject for Reading<'_> {
    type Others = ();

    fn role(&self) -> Role {
        self.record.role
    }

    fn listener(&self) -> &str {
        self.record.listener
    }

    fn now(&self) -> &jiff::Zoned {
        &self.record.now
    }

    fn logged_in(&self) -> LoggedIn {
        self.seen.logged_in
    }

    fn direction(&self) -> Known<Direction> {
        Ok(self.seen.direction)
    }

    fn author_count(&self) -> Known<usize> {
        Ok(self.people(part::AUTHOR)?.count())
    }

    fn only_author_is(&self, who: &Who) -> Known<bool> {
        let mut authors = self.people(part::AUTHOR)?;
        match (authors.next(), authors.next()) {
            (Some(only), None) => self.record.names.is(who, &only.who),
            _ => Ok(false),
        }
    }

    fn login_is_author(&self) -> Known<Option<bool>> {
        let tells = self.answer(Answer::LoginTells, Missing::Names)?;
        Ok(if tells { Some(self.answer(Answer::LoginIsAuthor, Missing::Names)?) } else { None })
    }

    fn reverse_path_is(&self, who: &Who) -> Known<bool> {
        any(self.people(part::REVERSE_PATH)?.map(|p| self.record.names.is(who, &p.who)))
    }

    fn reverse_path_is_aligned(&self) -> Known<bool> {
        self.answer(Answer::ReversePathIsAligned, Missing::Names)
    }

    fn any_recipient_is(&self, who: &Who) -> Known<bool> {
        any(self.people(part::RECIPIENT)?.map(|p| self.record.names.is(who, &p.who)))
    }

    fn every_recipient_is(&self, who: &Who) -> Known<bool> {
        let all = self.people(part::RECIPIENT)?;
        if all.clone().next().is_none() { Ok(false) } else { every(all.map(|p| self.record.names.is(who, &p.who))) }
    }

    fn every_outsider_is(&self, who: &Who) -> Known<bool> {
        let outsiders = self.people(part::RECIPIENT)?.filter(|p| p.class != Class::Internal);
        if outsiders.clone().next().is_none() { Ok(false) } else { every(outsiders.map(|p| self.record.names.is(who, &p.who))) }
    }

    fn uses_personal_account(&self, which: PersonalAccount) -> Known<bool> {
        match which {
            PersonalAccount::Recipient => self.is_any(part::RECIPIENT, Class::Personal),
            PersonalAccount::OwnRecipient => self.answer(Answer::OwnRecipient, Missing::OwnRecipient),
            PersonalAccount::Sender => self.is_any(part::AUTHOR, Class::Personal),
            PersonalAccount::ReplyTo => self.is_any(part::REPLY_TO, Class::Personal),
        }
    }

    fn claims(&self, whom: &Impersonated) -> Known<Claimed> {
        let claims = self.seen.claims.as_ref().ok_or(Truth::Open(Missing::Claims))?;
        let mut claimed = Claimed::default();
        for claim in claims {
            let asked = match &claim.to_be {
                Claimant::Council => whom.council,
                Claimant::Clerk => whom.clerk,
                Claimant::Chair => whom.chair,
                Claimant::Member(member) => self.record.names.is(&whom.people, member)?,
            };
            match (asked, claim.own) {
                (false, _) => {}
                (true, true) => claimed.own = Some(How::OwnAccount),
                // By what it passes for them does not matter to the verdict.
                (true, false) => return Ok(Claimed { others: Some(How::Name), own: None }),
            }
        }
        Ok(claimed)
    }

    fn passes_for_listed(&self, whom: &Impersonated) -> Known<bool> {
        let policy = self.record.policy;
        let listed = || whom.people.sets.iter().flat_map(|set| set.domains()).filter(|d| !policy.is_council(d));
        if listed().next().is_none() {
            return Ok(false);
        }
        any(self.people(part::AUTHOR)?.filter(|p| p.class != Class::Internal).map(|author| {
            if self.record.names.is(&whom.people, &author.who)? {
                return Ok(false);
            }
            match &author.who.domain {
                Domain::Readable(domain) => Ok(listed().take(super::message::LISTED).any(|d| passes_for(domain, d))),
                Domain::Hashed(_) => Err(Truth::Open(Missing::Names)),
            }
        }))
    }

    fn number(&self, number: Number) -> Known<u64> {
        match number {
            Number::Size => Ok(self.seen.size),
            Number::InnerRecipients => Ok(self.seen.inner_recipients),
            Number::ClearText => self.seen.clear_text.ok_or(Truth::Open(Missing::ClearText)),
            Number::AddressesInText => self.seen.addresses_in_text.ok_or(Truth::Open(Missing::AddressesInText)),
            Number::VisibleExternal => self.count(part::VISIBLE, Class::is_stranger),
            Number::VisiblePersonal => self.count(part::VISIBLE, |c| c == Class::Personal),
            Number::RecipientCount => Ok(self.count(part::ENVELOPE, |_| true)?.max(self.count(part::COUNTED, |_| true)?)),
            Number::OutsiderCount => {
                let outsider = |c| c != Class::Internal;
                Ok(self.count(part::ENVELOPE, outsider)?.max(self.count(part::COUNTED, outsider)?))
            }
        }
    }

    fn has_words(&self, used: &PatternUse) -> Known<bool> {
        let id = self.record.policy.remembers.word(used);
        let known = id.and_then(|id| self.seen.remembered.iter().find(|(known, _)| *known == id));
        known.map(|(_, found)| *found).ok_or(Truth::Open(Missing::Words))
    }

    fn has_field(&self, name: &str) -> Known<bool> {
        let id = self.record.policy.remembers.field(name);
        let known = id.and_then(|id| self.seen.remembered.iter().find(|(known, _)| *known == id));
        known.map(|(_, found)| *found).ok_or(Truth::Open(Missing::Field))
    }

    fn is_marked(&self, marking: Marking) -> Known<bool> {
        match marking {
            Marking::Confidential => self.answer(Answer::Confidential, Missing::BodyMark),
            // Nothing is kept of what is marked personal.
            Marking::Personal => Ok(false),
        }
    }

    fn protection(&self) -> Known<ProtectionLevel> {
        self.seen.protection.ok_or(Truth::Open(Missing::Protection))
    }

    fn was_forwarded(&self, way: Forwarding) -> Known<bool> {
        match way {
            Forwarding::ByHand => self.answer(Answer::ForwardedByHand, Missing::Quotes),
            Forwarding::Automatic => self.answer(Answer::ForwardedAutomatically, Missing::Quotes),
        }
    }

    fn is_calendar(&self) -> Known<bool> {
        self.answer(Answer::Calendar, Missing::Field)
    }

    fn is_list_mail(&self) -> Known<bool> {
        self.answer(Answer::ListMail, Missing::Field)
    }

    fn automatic(&self) -> Known<Option<Automatic>> {
        Ok(self.seen.automatic)
    }

    fn is_reply(&self) -> Known<bool> {
        self.answer(Answer::Reply, Missing::Field)
    }

    fn has_attachment(&self, test: &AttachmentTest) -> Known<bool> {
        let files = self.seen.files.as_ref().ok_or(Truth::Open(Missing::Attachments))?;
        any(files.iter().map(|file| file.fits(test).ok_or(Truth::Open(Missing::Attachments))))
    }

    fn is_ambiguous(&self) -> Known<bool> {
        match self.author_count()? {
            1 => self.seen.ambiguities.map(|bits| bits != 0).ok_or(Truth::Open(Missing::OtherReaders)),
            _ => Ok(true),
        }
    }

    fn is_ambiguous_in(&self, kinds: &[Ambiguous]) -> Known<bool> {
        let of_authors = kinds.contains(&Ambiguous::Author);
        if of_authors && self.author_count()? == 0 {
            return Ok(true);
        }
        match self.seen.ambiguities {
            Some(bits) => Ok(kinds.iter().any(|kind| bits & bit(*kind) != 0)),
            // Nothing else was odd.
            None if of_authors => Err(Truth::Open(Missing::OtherReaders)),
            None => Ok(false),
        }
    }

    fn identifiers(&self, kinds: &[Identifier]) -> Known<u64> {
        let found = self.seen.identifiers.as_ref().ok_or(Truth::Open(Missing::Identifiers))?;
        let mut bits = kinds.iter().fold(0u8, |bits, kind| bits | 1 << *kind as u8);
        let mut sum = 0;
        let several = bits.count_ones() > 1;
        while bits != 0 {
            sum += found.counts[bits.trailing_zeros() as usize];
            bits &= bits - 1;
        }
        if several && found.overlap { Err(Truth::Open(Missing::Identifiers)) } else { Ok(sum) }
    }

    fn has_link(&self, kinds: &[Link]) -> Known<bool> {
        any(kinds.iter().map(|kind| self.answer(Answer::of_link(*kind), Missing::Links)))
    }

    fn discloses(&self, which: Disclosure) -> Known<bool> {
        let answer = match which {
            Disclosure::Beside => Answer::PasswordBeside,
            Disclosure::Alone => Answer::PasswordAlone,
            Disclosure::Later => Answer::PasswordOfAnother,
        };
        self.answer(answer, Missing::Passwords)
    }

    fn unreadable(&self) -> Known<Option<String>> {
        let some = self.answer(Answer::UnreadableText, Missing::UnreadableText)?;
        Ok(some.then(|| "a file could not be read".into()))
    }

    fn virus(&self) -> Known<bool> {
        self.asked(&self.seen.virus, Outer::Virus)
    }

    fn spf(&self) -> Known<Authentication> {
        self.asked(&self.seen.spf, Outer::Spf)
    }

    fn dkim(&self) -> Known<Authentication> {
        self.asked(&self.seen.dkim, Outer::Dkim)
    }

    fn dmarc(&self) -> Known<Authentication> {
        self.asked(&self.seen.dmarc, Outer::Dmarc)
    }

    fn seen_together(&self) -> Known<bool> {
        self.asked(&self.seen.seen_together, Outer::SeenTogether)
    }

    fn first_contact(&self) -> Known<bool> {
        self.asked(&self.seen.first_contact, Outer::FirstContact)
    }

    fn near_name(&self) -> Known<bool> {
        self.asked(&self.seen.near_name, Outer::NearName)
    }

    fn protected_before(&self) -> Known<bool> {
        self.asked(&self.seen.protected_before, Outer::ProtectedBefore)
    }

    fn rate(&self, rate: usize) -> Known<u64> {
        let wanted = self.record.policy.rates.get(rate);
        match self.seen.rates.iter().find(|(kept, _)| Some(kept) == wanted) {
            Some((_, asked)) => self.asked(asked, Outer::Rate),
            None => Err(Truth::Open(Missing::Unasked(Outer::Rate))),
        }
    }

    fn is_unknown(&self, outer: Outer) -> Truth {
        let known = match outer {
            Outer::Virus => self.virus().map(drop),
            Outer::Spf => self.spf().map(drop),
            Outer::Dkim => self.dkim().map(drop),
            Outer::Dmarc => self.dmarc().map(drop),
            Outer::SeenTogether => self.seen_together().map(drop),
            Outer::FirstContact => self.first_contact().map(drop),
            Outer::NearName => self.near_name().map(drop),
            Outer::ProtectedBefore => self.protected_before().map(drop),
            Outer::Rate => (0..self.record.policy.rates.len()).try_for_each(|rate| self.rate(rate).map(drop)),
        };
        match known {
            Ok(()) => Truth::False,
            Err(Truth::Unknown(_)) => Truth::True,
            Err(other) => other,
        }
    }

    fn is_council_sender(&self) -> Known<bool> {
        self.answer(Answer::CouncilSender, Missing::Names)
    }

    fn override_reason(&self, name: &str) -> Known<Option<String>> {
        if !self.is_council_sender()? || !self.answer(Answer::Tagged, Missing::Override)? {
            return Ok(None);
        }
        let id = self.record.policy.remembers.override_tag(name);
        if id.is_some_and(|id| self.seen.overrides.contains(&id)) {
            return Ok(Some("as it was given".into()));
        }
        // Whether the rules of then had that tag is not known.
        Err(Truth::Open(Missing::Override))
    }

    fn sender_to_tell(&self) -> Option<String> {
        (self.answer(Answer::TellSender, Missing::Names) == Ok(true)).then(|| "the sender".into())
    }

    fn because(&self, _: &Rule) -> Vec<String> {
        Vec::new()
    }

    fn fill(&self, _: &Rule, _: &Template) -> String {
        String::new()
    }

    fn others(&self) {}

    fn judge_others<'p>(&self, policy: &'p Policy, (): &(), each: &mut dyn FnMut(Rulings<'p>)) {
        for seen in &self.record.vector.others {
            each(Rulings::of(policy, &Reading { record: self.record, seen }));
        }
    }

    fn why_malformed(&self, policy: &Policy, (): &()) -> Option<(String, Vec<String>)> {
        let unreadable = self.seen.ambiguities.is_some_and(|bits| bits & bit(Kind::Unreadable) != 0);
        let several = !self.record.vector.others.is_empty();
        (unreadable || self.record.vector.too_many || policy.malformed == Malformed::Reject && several).then(Default::default)
    }

    /// What would be changed, by the rules that ask for it; the octets are gone.
    fn edit(&self, _: &Policy, editing: &[&Rule], (): &()) -> Edited {
        let edits = editing.iter().filter(|r| r.then.edits());
        Edited::Made {
            plan: EditPlan::new(),
            edits: edits.map(|r| FieldEdit { field: r.then.words().join(", "), rule: r.id.clone() }).collect(),
        }
    }

    fn alternatives(&self, _: &[&Rule], _: &Self::Others) -> Alternatives {
        Alternatives::default()
    }

    fn route(&self, _: &[&Rule]) -> Route {
        Route::default()
    }

    fn summary(&self) -> FactSummary {
        FactSummary::default()
    }
}
