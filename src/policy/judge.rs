//! Does a condition hold? Three-valued, and no fact is asked for that cannot change the answer.

use super::alignment::is_aligned;
use super::case::{Login, Role};
use super::condition::{Condition, Disclosure, Forwarding, Impersonated, Marking, PersonalAccount, Protected, ReplyKind};
use super::detect::attachments;
use super::detect::impersonation::{Claim, How, Whose};
use super::detect::look_alike::passes_for;
use super::facts::Facts;
use super::outside::{Authentication, Outer};
use super::people::{Class, domain_of};
use super::rule::Rule;
use super::truth::Truth;
use super::unreadable;
use crate::message::ProtectionLevel;

/// Domains of lists that a sender's is held against.
const LISTED: usize = 2_000;

/// Whether the rule's `when` holds and no exception does.
pub fn matches(rule: &Rule, facts: &Facts<'_>) -> Truth {
    let when = holds(&rule.when, facts);
    if matches!(when, Truth::False | Truth::Absent(_)) {
        return when;
    }
    // An exception that nothing here can tell lifts nothing.
    let exceptions = rule.unless.iter().map(|c| match holds(c, facts) {
        Truth::Absent(_) => Truth::False,
        other => other,
    });
    Truth::all([when, !Truth::any(exceptions)])
}

/// Whether `condition` holds of the message.
pub fn holds(condition: &Condition, facts: &Facts<'_>) -> Truth {
    use Condition::*;
    let outside = facts.case.outside;
    match condition {
        Always => Truth::True,
        All(each) => Truth::all(each.iter().map(|c| holds(c, facts))),
        Any(each) => Truth::any(each.iter().map(|c| holds(c, facts))),
        Not(one) => !holds(one, facts),
        Is(_, one) => holds(one, facts),
        IfReadable(one) => unreadable::judge(one, facts),
        ProvenSender(who) => proven_sender(facts, who),
        Impersonates(whom) => impersonates(facts, whom).0,
        SendsAsOther(true) => sends_as_other(facts),
        SendsAsOther(false) => !sends_as_other(facts),
        Virus(wanted) => facts.outer(Outer::Virus, &outside.virus).map_or_else(|t| t, |found| (found == *wanted).into()),
        Spf(any) => facts.outer(Outer::Spf, &outside.spf).map_or_else(|t| t, |found| any.contains(&found).into()),
        Dkim(any) => facts.outer(Outer::Dkim, &outside.dkim).map_or_else(|t| t, |found| any.contains(&found).into()),
        Dmarc(any) => facts.outer(Outer::Dmarc, &outside.dmarc).map_or_else(|t| t, |found| any.contains(&found).into()),
        SeenTogether(wanted) => facts.seen_together().map_or_else(|t| t, |seen| (seen == *wanted).into()),
        FirstContact(wanted) => facts.first_contact().map_or_else(|t| t, |first| (first == *wanted).into()),
        NearName => facts.near_name().map_or_else(|t| t, Truth::from),
        Rate(test) => facts.rate(test.rate).map_or_else(|t| t, |n| (n >= test.at_least).into()),
        PasswordDisclosed(any) => Truth::any(any.iter().map(|which| disclosed(facts, *which))),
        NoPasswordDisclosed => !Truth::any([Disclosure::Beside, Disclosure::Later].map(|which| disclosed(facts, which))),
        UnknownFact(any) => Truth::any(any.iter().map(|outer| facts.is_unknown(*outer))),
        simple => is_so(simple, facts).into(),
    }
}

/// Conditions on what the message and the session themselves show: never unknown.
fn is_so(condition: &Condition, facts: &Facts<'_>) -> bool {
    use Condition::*;
    let session = facts.case.session;
    match condition {
        Direction(any) => any.contains(&facts.direction()),
        Role(any) => any.contains(&session.role),
        Listener(any) => any.contains(&session.listener),
        // Several authors or none: nobody can say who the sender is, so no name fits.
        Sender(who) => matches!(facts.sender().authors.as_slice(), [(only, _)] if who.contains(only)),
        EnvelopeSender(who) => facts.sender().envelope.as_deref().is_some_and(|a| who.contains(a)),
        Recipient(who) => facts.recipients().iter().any(|p| who.contains(&p.address)),
        EveryRecipient(who) => !facts.recipients().is_empty() && facts.recipients().iter().all(|p| who.contains(&p.address)),
        EveryOutsider(who) => {
            let mut outsiders = facts.recipients().iter().filter(|p| p.class != Class::Internal).peekable();
            outsiders.peek().is_some() && outsiders.all(|p| who.contains(&p.address))
        }
        Number(number, span) => span.holds(facts.number(*number)),
        Pattern(used) => facts.found(used.set).is_some_and(|found| used.patterns.iter().any(|p| found.has(*p))),
        HeaderPresent(name, wanted) => facts.view().named(name).next().is_some() == *wanted,
        Marked(any) => any.iter().any(|m| match m {
            Marking::Confidential => facts.confidential().is_some(),
            Marking::Personal => facts.personal().is_some(),
        }),
        Protected(any) => any.iter().any(|p| {
            *p == match facts.protection() {
                ProtectionLevel::Message => self::Protected::Message,
                ProtectionLevel::Attachments => self::Protected::Attachments,
                ProtectionLevel::None => self::Protected::Neither,
            }
        }),
        Forwarded(any) => any.iter().any(|f| match f {
            Forwarding::ByHand => facts.forwarded().by_hand.is_some(),
            Forwarding::Automatic => facts.forwarded().automatic.is_some(),
        }),
        NotForwarded => facts.forwarded().by_hand.is_none() && facts.forwarded().automatic.is_none(),
        PersonalAccount(any) => any.iter().any(|p| personal_account(facts, *p)),
        Calendar(wanted) => facts.is_calendar() == *wanted,
        ListMail(wanted) => facts.is_list_mail() == *wanted,
        Automatic(any) => facts.automatic().is_some_and(|kind| any.contains(&kind)),
        NotAutomatic => facts.automatic().is_none(),
        Reply(kind) => match kind {
            ReplyKind::Any => facts.is_reply(),
            ReplyKind::Not => !facts.is_reply(),
            ReplyKind::ToAll => facts.is_reply() && facts.number(super::condition::Number::RecipientCount) >= 2,
        },
        Attachment(test) => attachments::first_fit(facts.view(), test).is_some() != test.absent,
        Ambiguous(wanted) => is_ambiguous(facts) == *wanted,
        AmbiguousIn(any) => {
            let authorless = facts.sender().authors.is_empty() && any.contains(&super::condition::Ambiguous::Author);
            authorless || facts.view().ambiguities().iter().any(|a| any.contains(&a.kind()))
        }
        Identifiers { kinds, count } => count.holds(facts.identifiers(kinds)),
        Links(kinds) => super::detect::links::has_any(facts.view(), kinds, &facts.policy.council.domains),
        Dates(first, last) => (*first..=*last).contains(&facts.case.now.date()),
        Hours(from, to) => {
            let now = facts.case.now.time();
            if from < to { (*from..*to).contains(&now) } else { now >= *from || now < *to }
        }
        Weekdays(any) => any.contains(&facts.case.now.weekday()),
        UnreadableText => !facts.view().documents().unreadable.is_empty(),
        // Judged above.
        Always | All(_) | Any(_) | Not(_) | Is(..) | IfReadable(_) | ProvenSender(_) | Impersonates(_) | SendsAsOther(_) => false,
        PasswordDisclosed(_) | NoPasswordDisclosed => false,
        Virus(_) | Spf(_) | Dkim(_) | Dmarc(_) | SeenTogether(_) | FirstContact(_) | NearName | Rate(_) | UnknownFact(_) => false,
    }
}

/// Whether a password is given away. Of an earlier message only the index of past mail knows.
fn disclosed(facts: &Facts<'_>, which: Disclosure) -> Truth {
    let found = facts.passwords();
    match which {
        Disclosure::Beside => found.beside.is_some().into(),
        Disclosure::Alone => found.alone.is_some().into(),
        Disclosure::Later if found.for_another.is_none() => Truth::False,
        Disclosure::Later => facts.outer(Outer::ProtectedBefore, &facts.case.outside.protected_before).map_or_else(|t| t, Truth::from),
    }
}

/// Readers may disagree, or nobody can say who wrote it.
fn is_ambiguous(facts: &Facts<'_>) -> bool {
    facts.sender().authors.len() != 1 || !facts.view().ambiguities().is_empty()
}

fn personal_account(facts: &Facts<'_>, which: PersonalAccount) -> bool {
    match which {
        PersonalAccount::Recipient => facts.recipients().iter().any(|p| p.class == Class::Personal),
        PersonalAccount::OwnRecipient => facts.own_recipient(),
        PersonalAccount::Sender => facts.sender().authors.iter().any(|(a, _)| facts.policy.classify(a) == Class::Personal),
        PersonalAccount::ReplyTo => facts.reply_to().iter().any(|(a, _)| facts.policy.classify(a) == Class::Personal),
    }
}

/// The From author is in `who`, and the login says so too, or what the author's domain publishes in the DNS.
fn proven_sender(facts: &Facts<'_>, who: &super::people::Who) -> Truth {
    let [(author, _)] = facts.sender().authors.as_slice() else { return Truth::False };
    if !who.contains(author) {
        return Truth::False;
    }
    proven_author(facts, author)
}

fn proven_author(facts: &Facts<'_>, author: &str) -> Truth {
    match facts.login_is(author) {
        Some(same) => same.into(),
        None if facts.case.session.login == Login::Hidden => Truth::unknown("the login does not tell its name"),
        // A mail program that did not log in has nothing to prove itself by.
        None if facts.case.session.role == Role::Submission => Truth::False,
        None => proven_domain(facts, domain_of(author)),
    }
}

/// Whether the message passes for one of those, and by what. Somebody's own registered account is no borrowed name if it is proven.
pub(super) fn impersonates(facts: &Facts<'_>, whom: &Impersonated) -> (Truth, Option<How>) {
    let council = &facts.policy.council;
    let asked = |claim: &Claim<'_>| match claim.to_be {
        Whose::Council => whom.council,
        Whose::Clerk => whom.clerk,
        Whose::Chair => whom.chair,
        Whose::Member(member) => whom.people.contains(&member.address),
    };
    let mut own = None;
    for claim in facts.claims().iter().filter(|c| asked(c)) {
        if claim.how != How::OwnAccount {
            return (Truth::True, Some(claim.how));
        }
        own = Some(claim.how);
    }
    let strangers =
        || facts.sender().authors.iter().map(|(a, _)| a).filter(|a| !whom.people.contains(a) && !facts.policy.is_council(domain_of(a)));
    let listed = whom.people.sets.iter().flat_map(|set| set.domains()).filter(|d| !council.domains.iter().any(|own| own == d));
    if listed.take(LISTED).any(|domain| strangers().any(|a| passes_for(domain_of(a), domain))) {
        return (Truth::True, Some(How::LookAlikeDomain));
    }
    match (own, facts.sender().authors.as_slice()) {
        (Some(how), [(author, _)]) => (!proven_author(facts, author), Some(how)),
        _ => (Truth::False, None),
    }
}

/// The author's domain stands by the message: by DMARC where it has a policy, else by its own signature, or by SPF of a reverse path
/// of its own. What stands by a domain can only say of its users what the domain's owner lets them write.
fn proven_domain(facts: &Facts<'_>, author: &str) -> Truth {
    let outside = facts.case.outside;
    match facts.outer(Outer::Dmarc, &outside.dmarc) {
        Ok(Authentication::Pass) => return Truth::True,
        Ok(Authentication::Fail) => return Truth::False,
        // What the author's domain demands is not known.
        Err(truth) => return truth,
        Ok(Authentication::None) => {}
    }
    let dkim = facts.outer(Outer::Dkim, &outside.dkim).map_or_else(|t| t, |r| (r == Authentication::Pass).into());
    let reverse = facts.sender().envelope.as_deref().map(domain_of);
    let spf = match reverse {
        Some(domain) if is_aligned(domain, author) => {
            facts.outer(Outer::Spf, &outside.spf).map_or_else(|t| t, |r| (r == Authentication::Pass).into())
        }
        _ => Truth::False,
    };
    Truth::any([dkim, spf])
}

/// From is not the account that logged in. Without a login there is nothing to compare.
fn sends_as_other(facts: &Facts<'_>) -> Truth {
    match (&facts.case.session.login, facts.sender().authors.as_slice()) {
        (Login::None, _) => Truth::False,
        (Login::Hidden, _) => Truth::unknown("the login does not tell its name"),
        (Login::Known(_), [(author, _)]) => Truth::from(facts.login_is(author) != Some(true)),
        (Login::Known(_), _) => Truth::True,
    }
}
