//! Does a condition hold? Three-valued, and no fact is asked for that cannot change the answer.

use super::case::Role;
use super::condition::{Condition, Disclosure, Forwarding, Impersonated, Protected, ReplyKind};
use super::detect::impersonation::How;
use super::outside::Authentication;
use super::rule::Rule;
use super::subject::{LoggedIn, Subject};
use super::truth::{Known, Truth};
use super::unreadable;
use crate::message::ProtectionLevel;

/// Whether the rule's `when` holds and no exception does.
pub fn matches<S: Subject>(rule: &Rule, subject: &S) -> Truth {
    let when = holds(&rule.when, subject);
    if matches!(when, Truth::False | Truth::Absent(_)) {
        return when;
    }
    // An exception that nothing here can tell lifts nothing.
    let exceptions = rule.unless.iter().map(|c| match holds(c, subject) {
        Truth::Absent(_) => Truth::False,
        other => other,
    });
    Truth::all([when, !Truth::any(exceptions)])
}

/// Whether `condition` holds of what is judged.
pub fn holds<S: Subject>(condition: &Condition, subject: &S) -> Truth {
    use Condition::*;
    match condition {
        Always => Truth::True,
        All(each) => Truth::all(each.iter().map(|c| holds(c, subject))),
        Any(each) => Truth::any(each.iter().map(|c| holds(c, subject))),
        Not(one) => !holds(one, subject),
        Is(_, one) => holds(one, subject),
        IfReadable(one) => unreadable::judge(one, subject),
        ProvenSender(who) => proven_sender(subject, who),
        Impersonates(whom) => impersonates(subject, whom).0,
        SendsAsOther(true) => sends_as_other(subject),
        SendsAsOther(false) => !sends_as_other(subject),
        Virus(wanted) => is(subject.virus(), *wanted),
        Spf(any) => one_of(subject.spf(), any),
        Dkim(any) => one_of(subject.dkim(), any),
        Dmarc(any) => one_of(subject.dmarc(), any),
        SeenTogether(wanted) => is(subject.seen_together(), *wanted),
        FirstContact(wanted) => is(subject.first_contact(), *wanted),
        NearName => subject.near_name().into(),
        Rate(test) => subject.rate(test.rate).map(|n| n >= test.at_least).into(),
        PasswordDisclosed(any) => Truth::any(any.iter().map(|which| disclosed(subject, *which))),
        NoPasswordDisclosed => !Truth::any([Disclosure::Beside, Disclosure::Later].map(|which| disclosed(subject, which))),
        UnknownFact(any) => Truth::any(any.iter().map(|outer| subject.is_unknown(*outer))),
        Role(any) => any.contains(&subject.role()).into(),
        Listener(any) => any.iter().any(|l| **l == *subject.listener()).into(),
        Direction(any) => one_of(subject.direction(), any),
        // Several authors or none: nobody can say who the sender is, so no name fits.
        Sender(who) => subject.only_author_is(who).into(),
        EnvelopeSender(who) => subject.reverse_path_is(who).into(),
        Recipient(who) => subject.any_recipient_is(who).into(),
        EveryRecipient(who) => subject.every_recipient_is(who).into(),
        EveryOutsider(who) => subject.every_outsider_is(who).into(),
        Number(number, span) => subject.number(*number).map(|n| span.holds(n)).into(),
        Pattern(used) => subject.has_words(used).into(),
        HeaderPresent(name, wanted) => is(subject.has_field(name), *wanted),
        Marked(any) => Truth::any(any.iter().map(|m| subject.is_marked(*m).into())),
        Protected(any) => {
            let protected = |level| match level {
                ProtectionLevel::Message => self::Protected::Message,
                ProtectionLevel::Attachments => self::Protected::Attachments,
                ProtectionLevel::None => self::Protected::Neither,
            };
            one_of(subject.protection().map(protected), any)
        }
        Forwarded(any) => Truth::any(any.iter().map(|f| subject.was_forwarded(*f).into())),
        NotForwarded => !Truth::any([Forwarding::ByHand, Forwarding::Automatic].map(|f| subject.was_forwarded(f).into())),
        PersonalAccount(any) => Truth::any(any.iter().map(|p| subject.uses_personal_account(*p).into())),
        Calendar(wanted) => is(subject.is_calendar(), *wanted),
        ListMail(wanted) => is(subject.is_list_mail(), *wanted),
        Automatic(any) => subject.automatic().map(|found| found.is_some_and(|kind| any.contains(&kind))).into(),
        NotAutomatic => subject.automatic().map(|found| found.is_none()).into(),
        Reply(ReplyKind::Any) => subject.is_reply().into(),
        Reply(ReplyKind::Not) => is(subject.is_reply(), false),
        Reply(ReplyKind::ToAll) => match Truth::from(subject.is_reply()) {
            Truth::False => Truth::False,
            reply => {
                let several = subject.number(super::condition::Number::RecipientCount).map(|n| n >= 2);
                Truth::all([reply, several.into()])
            }
        },
        Attachment(test) => is(subject.has_attachment(test), !test.absent),
        Ambiguous(wanted) => is(subject.is_ambiguous(), *wanted),
        AmbiguousIn(any) => subject.is_ambiguous_in(any).into(),
        Identifiers { kinds, count } => subject.identifiers(kinds).map(|n| count.holds(n)).into(),
        Links(kinds) => subject.has_link(kinds).into(),
        Dates(first, last) => (*first..=*last).contains(&subject.now().date()).into(),
        Hours(from, to) => {
            let now = subject.now().time();
            if from < to { (*from..*to).contains(&now) } else { now >= *from || now < *to }.into()
        }
        Weekdays(any) => any.contains(&subject.now().weekday()).into(),
        UnreadableText => subject.unreadable().map(|why| why.is_some()).into(),
    }
}

fn is(known: Known<bool>, wanted: bool) -> Truth {
    known.map(|found| found == wanted).into()
}

fn one_of<T: PartialEq>(known: Known<T>, any: &[T]) -> Truth {
    known.map(|found| any.contains(&found)).into()
}

/// Whether a password is given away. Of an earlier message only the index of past mail knows.
fn disclosed<S: Subject>(subject: &S, which: Disclosure) -> Truth {
    match which {
        Disclosure::Beside | Disclosure::Alone => subject.discloses(which).into(),
        Disclosure::Later => match subject.discloses(which) {
            Ok(true) => subject.protected_before().into(),
            other => other.into(),
        },
    }
}

/// The From author is in `who`, and the login says so too, or what the author's domain publishes in the DNS.
fn proven_sender<S: Subject>(subject: &S, who: &super::people::Who) -> Truth {
    match subject.only_author_is(who) {
        Ok(true) => proven_author(subject),
        other => other.into(),
    }
}

fn proven_author<S: Subject>(subject: &S) -> Truth {
    match subject.login_is_author() {
        Err(truth) => truth,
        Ok(Some(same)) => same.into(),
        Ok(None) if subject.logged_in() == LoggedIn::Hidden => Truth::unknown("the login does not tell its name"),
        // A mail program that did not log in has nothing to prove itself by.
        Ok(None) if subject.role() == Role::Submission => Truth::False,
        Ok(None) => proven_domain(subject),
    }
}

/// Whether the message passes for one of those, and by what. Somebody's own registered account is no borrowed name if it is proven.
pub(super) fn impersonates<S: Subject>(subject: &S, whom: &Impersonated) -> (Truth, Option<How>) {
    let claimed = match subject.claims(whom) {
        Ok(claimed) => claimed,
        Err(truth) => return (truth, None),
    };
    if claimed.others.is_some() {
        return (Truth::True, claimed.others);
    }
    let listed = subject.passes_for_listed(whom);
    if listed == Ok(true) {
        return (Truth::True, Some(How::LookAlikeDomain));
    }
    let own = match (claimed.own, subject.author_count()) {
        (Some(_), Ok(1)) => !proven_author(subject),
        (Some(_), Err(truth)) => truth,
        _ => Truth::False,
    };
    (Truth::any([listed.into(), own]), claimed.own)
}

/// The author's domain stands by the message: by DMARC where it has a policy, else by its own signature, or by SPF of a reverse path
/// of its own. What stands by a domain can only say of its users what the domain's owner lets them write.
fn proven_domain<S: Subject>(subject: &S) -> Truth {
    match subject.dmarc() {
        Ok(Authentication::Pass) => return Truth::True,
        Ok(Authentication::Fail) => return Truth::False,
        // What the author's domain demands is not known.
        Err(truth) => return truth,
        Ok(Authentication::None) => {}
    }
    let dkim = subject.dkim().map(|r| r == Authentication::Pass).into();
    let spf = match subject.reverse_path_is_aligned() {
        Ok(true) => subject.spf().map(|r| r == Authentication::Pass).into(),
        other => other.into(),
    };
    Truth::any([dkim, spf])
}

/// From is not the account that logged in. Without a login there is nothing to compare.
fn sends_as_other<S: Subject>(subject: &S) -> Truth {
    match (subject.logged_in(), subject.author_count()) {
        (LoggedIn::No, _) => Truth::False,
        (LoggedIn::Hidden, _) => Truth::unknown("the login does not tell its name"),
        (LoggedIn::AsNamed, Ok(1)) => subject.login_is_author().map(|same| same != Some(true)).into(),
        (LoggedIn::AsNamed, Ok(_)) => Truth::True,
        (LoggedIn::AsNamed, Err(truth)) => truth,
    }
}
