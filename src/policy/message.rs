//! What a message tells the judge: the facts, as answers to his questions.

use super::alignment::is_aligned;
use super::case::{Login, Role};
use super::condition::{
    Ambiguous, AttachmentTest, Automatic, Direction, Disclosure, Forwarding, Identifier, Impersonated, Link, Marking, Number, PatternUse,
    PersonalAccount,
};
use super::detect::attachments;
use super::detect::impersonation::{Claim, How, Whose};
use super::detect::look_alike::passes_for;
use super::evaluate::Rulings;
use super::facts::Facts;
use super::outside::{Authentication, Outer};
use super::people::{Class, Who, domain_of};
use super::route::Route;
use super::rule::{Policy, Rule};
use super::say::Template;
use super::subject::{Claimed, Edited, LoggedIn, Subject};
use super::truth::{Known, Truth};
use super::verdict::{Alternatives, FactSummary};
use super::{edits, explain, readings, unreadable, vector};
use crate::message::reading::Others;
use crate::message::{ProtectionLevel, subject};

/// Domains of lists that a sender's is held against.
pub(super) const LISTED: usize = 2_000;

impl Subject for Facts<'_> {
    type Others = Others;

    fn role(&self) -> Role {
        self.case.session.role
    }

    fn listener(&self) -> &str {
        &self.case.session.listener
    }

    fn now(&self) -> &jiff::Zoned {
        &self.case.now
    }

    fn logged_in(&self) -> LoggedIn {
        match self.case.session.login {
            Login::None => LoggedIn::No,
            Login::Known(_) => LoggedIn::AsNamed,
            Login::Hidden => LoggedIn::Hidden,
        }
    }

    fn direction(&self) -> Known<Direction> {
        Ok(self.direction())
    }

    fn author_count(&self) -> Known<usize> {
        Ok(self.sender().authors.len())
    }

    fn only_author_is(&self, who: &Who) -> Known<bool> {
        Ok(self.only_author().is_some_and(|only| who.contains(only)))
    }

    fn login_is_author(&self) -> Known<Option<bool>> {
        Ok(self.only_author().and_then(|only| self.login_is(only)))
    }

    fn reverse_path_is(&self, who: &Who) -> Known<bool> {
        Ok(self.sender().envelope.as_deref().is_some_and(|a| who.contains(a)))
    }

    fn reverse_path_is_aligned(&self) -> Known<bool> {
        let reverse = self.sender().envelope.as_deref().map(domain_of);
        Ok(self.only_author().zip(reverse).is_some_and(|(author, domain)| is_aligned(domain, domain_of(author))))
    }

    fn any_recipient_is(&self, who: &Who) -> Known<bool> {
        Ok(self.recipients().iter().any(|p| who.contains(&p.address)))
    }

    fn every_recipient_is(&self, who: &Who) -> Known<bool> {
        Ok(!self.recipients().is_empty() && self.recipients().iter().all(|p| who.contains(&p.address)))
    }

    fn every_outsider_is(&self, who: &Who) -> Known<bool> {
        let mut outsiders = self.recipients().iter().filter(|p| p.class != Class::Internal).peekable();
        Ok(outsiders.peek().is_some() && outsiders.all(|p| who.contains(&p.address)))
    }

    fn uses_personal_account(&self, which: PersonalAccount) -> Known<bool> {
        let is_personal = |(address, _): &(String, Option<String>)| self.policy.classify(address) == Class::Personal;
        Ok(match which {
            PersonalAccount::Recipient => self.recipients().iter().any(|p| p.class == Class::Personal),
            PersonalAccount::OwnRecipient => self.own_recipient(),
            PersonalAccount::Sender => self.sender().authors.iter().any(is_personal),
            PersonalAccount::ReplyTo => self.reply_to().iter().any(is_personal),
        })
    }

    fn claims(&self, whom: &Impersonated) -> Known<Claimed> {
        let asked = |claim: &Claim<'_>| match claim.to_be {
            Whose::Council => whom.council,
            Whose::Clerk => whom.clerk,
            Whose::Chair => whom.chair,
            Whose::Member(member) => whom.people.contains(&member.address),
        };
        let mut claimed = Claimed::default();
        for claim in self.claims().iter().filter(|c| asked(c)) {
            if claim.how != How::OwnAccount {
                return Ok(Claimed { others: Some(claim.how), own: None });
            }
            claimed.own = Some(claim.how);
        }
        Ok(claimed)
    }

    fn passes_for_listed(&self, whom: &Impersonated) -> Known<bool> {
        let council = &self.policy.council;
        let strangers =
            || self.sender().authors.iter().map(|(a, _)| a).filter(|a| !whom.people.contains(a) && !self.policy.is_council(domain_of(a)));
        let listed = whom.people.sets.iter().flat_map(|set| set.domains()).filter(|d| !council.domains.iter().any(|own| own == d));
        Ok(listed.take(LISTED).any(|domain| strangers().any(|a| passes_for(domain_of(a), domain))))
    }

    fn number(&self, number: Number) -> Known<u64> {
        Ok(self.number(number))
    }

    fn has_words(&self, used: &PatternUse) -> Known<bool> {
        Ok(self.found(used.set).is_some_and(|found| used.patterns.iter().any(|p| found.has(*p))))
    }

    fn has_field(&self, name: &str) -> Known<bool> {
        Ok(self.view().named(name).next().is_some())
    }

    fn is_marked(&self, marking: Marking) -> Known<bool> {
        Ok(match marking {
            Marking::Confidential => self.confidential().is_some(),
            Marking::Personal => self.personal().is_some(),
        })
    }

    fn protection(&self) -> Known<ProtectionLevel> {
        Ok(self.protection())
    }

    fn was_forwarded(&self, way: Forwarding) -> Known<bool> {
        Ok(match way {
            Forwarding::ByHand => self.forwarded().by_hand.is_some(),
            Forwarding::Automatic => self.forwarded().automatic.is_some(),
        })
    }

    fn is_calendar(&self) -> Known<bool> {
        Ok(self.is_calendar())
    }

    fn is_list_mail(&self) -> Known<bool> {
        Ok(self.is_list_mail())
    }

    fn automatic(&self) -> Known<Option<Automatic>> {
        Ok(self.automatic())
    }

    fn is_reply(&self) -> Known<bool> {
        Ok(self.is_reply())
    }

    fn has_attachment(&self, test: &AttachmentTest) -> Known<bool> {
        Ok(attachments::first_fit(self.view(), test).is_some())
    }

    /// Readers may disagree, or nobody can say who wrote it.
    fn is_ambiguous(&self) -> Known<bool> {
        Ok(self.sender().authors.len() != 1 || !self.view().ambiguities().is_empty())
    }

    fn is_ambiguous_in(&self, kinds: &[Ambiguous]) -> Known<bool> {
        let authorless = self.sender().authors.is_empty() && kinds.contains(&Ambiguous::Author);
        Ok(authorless || self.view().ambiguities().iter().any(|a| kinds.contains(&a.kind())))
    }

    fn identifiers(&self, kinds: &[Identifier]) -> Known<u64> {
        Ok(self.identifiers(kinds))
    }

    fn has_link(&self, kinds: &[Link]) -> Known<bool> {
        Ok(self.has_link(kinds))
    }

    fn discloses(&self, which: Disclosure) -> Known<bool> {
        let found = self.passwords();
        Ok(match which {
            Disclosure::Beside => found.beside.is_some(),
            Disclosure::Alone => found.alone.is_some(),
            Disclosure::Later => found.for_another.is_some(),
        })
    }

    fn unreadable(&self) -> Known<Option<String>> {
        Ok(unreadable::why(self))
    }

    fn virus(&self) -> Known<bool> {
        self.outer(Outer::Virus, &self.case.outside.virus)
    }

    fn spf(&self) -> Known<Authentication> {
        self.outer(Outer::Spf, &self.case.outside.spf)
    }

    fn dkim(&self) -> Known<Authentication> {
        self.outer(Outer::Dkim, &self.case.outside.dkim)
    }

    fn dmarc(&self) -> Known<Authentication> {
        self.outer(Outer::Dmarc, &self.case.outside.dmarc)
    }

    fn seen_together(&self) -> Known<bool> {
        self.seen_together()
    }

    fn first_contact(&self) -> Known<bool> {
        self.first_contact()
    }

    fn near_name(&self) -> Known<bool> {
        self.near_name()
    }

    fn protected_before(&self) -> Known<bool> {
        self.outer(Outer::ProtectedBefore, &self.case.outside.protected_before)
    }

    fn rate(&self, rate: usize) -> Known<u64> {
        self.rate(rate)
    }

    fn is_unknown(&self, outer: Outer) -> Truth {
        self.is_unknown(outer)
    }

    fn is_council_sender(&self) -> Known<bool> {
        Ok(self.is_council_sender())
    }

    fn override_reason(&self, name: &str) -> Known<Option<String>> {
        Ok(if self.is_council_sender() { subject::override_reason(self.view(), name) } else { None })
    }

    fn sender_to_tell(&self) -> Option<String> {
        self.sender_to_tell()
    }

    fn because(&self, rule: &Rule) -> Vec<String> {
        explain::because(rule, self)
    }

    fn fill(&self, rule: &Rule, template: &Template) -> String {
        edits::fill(self, rule, template)
    }

    fn others(&self) -> Others {
        readings::others(self)
    }

    fn judge_others<'p>(&self, policy: &'p Policy, others: &Others, each: &mut dyn FnMut(Rulings<'p>)) {
        for other in &others.readings {
            let seen = readings::seen_by(self, other);
            let mut second = Rulings::of(policy, &seen);
            second.say_who_reads_so(other);
            each(second);
            if let Some(kept) = self.kept_readings.borrow_mut().as_mut() {
                kept.push(vector::look(&seen));
            }
            self.also_wants(seen.wants());
        }
    }

    fn why_malformed(&self, policy: &Policy, others: &Others) -> Option<(String, Vec<String>)> {
        readings::why_malformed(policy, self.view(), others)
    }

    fn edit(&self, _: &Policy, editing: &[&Rule], others: &Others) -> Edited {
        edits::edited(self, editing, others)
    }

    fn alternatives(&self, editing: &[&Rule], others: &Others) -> Alternatives {
        edits::alternatives(self, editing, others)
    }

    fn route(&self, editing: &[&Rule]) -> Route {
        edits::route(self, editing)
    }

    fn summary(&self) -> FactSummary {
        self.summary(false)
    }
}
