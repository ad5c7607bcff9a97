//! Why a rule matched, or did not, in plain words that show no address and no text of the message.

use std::sync::Arc;

use super::condition::{Condition, Disclosure, Forwarding, Marking, PersonalAccount};
use super::detect::attachments;
use super::facts::Facts;
use super::judge;
use super::outside::{Authentication, Fact};
use super::people::Class;
use super::rule::{Policy, Rule};
use super::say::list;
use super::truth::Truth;
use super::verdict::{FactSummary, Mode};
use crate::message::ProtectionLevel;

/// Every rule that did not match, and why not.
pub fn explain_all(policy: &Policy, facts: &Facts<'_>) -> Vec<(Arc<str>, String)> {
    let mut out = Vec::new();
    let others = super::readings::others(facts);
    let readers: Vec<Facts<'_>> = others.readings.iter().map(|other| super::readings::seen_by(facts, other)).collect();
    let matches_elsewhere = |rule: &Rule| {
        readers.iter().any(|f| super::evaluate::exempt_reason(policy, rule, f).is_none() && judge::matches(rule, f) == Truth::True)
    };
    for rule in policy.rules() {
        if rule.mode == Mode::Off {
            out.push((rule.id.clone(), "it is off".to_string()));
            continue;
        }
        // Matched as another reader sees it: told among the matches.
        if matches_elsewhere(rule) {
            continue;
        }
        if let Some(why) = super::evaluate::exempt_reason(policy, rule, facts) {
            out.push((rule.id.clone(), why));
            continue;
        }
        match judge::matches(rule, facts) {
            Truth::True => {}
            Truth::Unknown(why) => out.push((rule.id.clone(), format!("it cannot be told: {why}"))),
            Truth::Absent(why) => out.push((rule.id.clone(), format!("it cannot be judged here: {why}"))),
            Truth::Open(missing) => out.push((rule.id.clone(), format!("it cannot be told: {}", missing.words()))),
            Truth::False => out.push((rule.id.clone(), why_not(rule, facts))),
        }
    }
    out
}

/// What `explain` prints under `facts`: all of them, whether a rule asked or not.
pub fn explain_facts(facts: &Facts<'_>) -> FactSummary {
    facts.summary(true)
}

/// Why a rule matched: what its conditions found, the telling ones first; direction and the like only if there is nothing else.
pub fn because(rule: &Rule, facts: &Facts<'_>) -> Vec<String> {
    let mut telling = Vec::new();
    let mut plain = Vec::new();
    collect(&rule.when, facts, &mut telling, &mut plain);
    if telling.is_empty() { plain } else { telling }
}

fn collect(condition: &Condition, facts: &Facts<'_>, telling: &mut Vec<String>, plain: &mut Vec<String>) {
    match condition {
        Condition::All(each) => each.iter().for_each(|c| collect(c, facts, telling, plain)),
        Condition::Any(each) => {
            // The first that holds is enough, and asking the others might cost.
            if let Some(c) = each.iter().find(|c| judge::holds(c, facts).is_true()) {
                collect(c, facts, telling, plain);
            }
        }
        Condition::Is(_, one) => collect(one, facts, telling, plain),
        Condition::IfReadable(one) => collect(one, facts, telling, plain),
        Condition::Not(one) => push(telling, says(one, facts)),
        Condition::Always => push(plain, "the rule is for every message".into()),
        Condition::Direction(_)
        | Condition::Role(_)
        | Condition::Listener(_)
        | Condition::Dates(..)
        | Condition::Hours(..)
        | Condition::Weekdays(_) => {
            push(plain, says(condition, facts));
        }
        Condition::Protected(_) => says_protection(facts).into_iter().for_each(|s| push(telling, s)),
        _ => push(telling, says(condition, facts)),
    }
}

fn push(out: &mut Vec<String>, sentence: String) {
    if !sentence.is_empty() && !out.contains(&sentence) {
        out.push(sentence);
    }
}

fn why_not(rule: &Rule, facts: &Facts<'_>) -> String {
    match judge::holds(&rule.when, facts) {
        Truth::False => first_false(&rule.when, facts),
        _ => match rule.unless.iter().find(|c| judge::holds(c, facts).is_true()) {
            Some(exception) => {
                let mut found = Vec::new();
                let mut plain = Vec::new();
                collect(exception, facts, &mut found, &mut plain);
                found.extend(plain);
                format!("an exception holds: {}", found.join(", "))
            }
            None => "it does not apply".to_string(),
        },
    }
}

fn first_false(condition: &Condition, facts: &Facts<'_>) -> String {
    match condition {
        Condition::All(each) => {
            each.iter().find(|c| judge::holds(c, facts) == Truth::False).map(|c| first_false(c, facts)).unwrap_or_default()
        }
        Condition::Any(each) => each.iter().map(|c| first_false(c, facts)).collect::<Vec<_>>().join("; "),
        Condition::Is(name, one) => format!("not {name}: {}", first_false(one, facts)),
        Condition::IfReadable(one) => first_false(one, facts),
        Condition::Number(number, span) => format!("{} (the rule asks for {span})", says(&Condition::Number(*number, *span), facts)),
        other => says(other, facts),
    }
}

/// What is so where this condition looks, whether it holds or not.
fn says(condition: &Condition, facts: &Facts<'_>) -> String {
    use Condition::*;
    match condition {
        Always => "the rule is for every message".into(),
        All(each) | Any(each) => each.iter().map(|c| says(c, facts)).collect::<Vec<_>>().join(", "),
        Not(one) | IfReadable(one) => says(one, facts),
        UnreadableText => super::unreadable::why(facts).unwrap_or_else(|| "all its text could be read".into()),
        Is(name, one) => format!("{name}: {}", says(one, facts)),
        Direction(_) => format!("it is {}", facts.direction().word()),
        Role(_) => format!("it came through a listener for {}", role_word(facts)),
        Listener(_) => format!("it came through the listener {}", facts.case.session.listener),
        Sender(who) => match facts.sender().authors.as_slice() {
            [(only, _)] => format!("the sender is {}{who}", if who.contains(only) { "" } else { "not " }),
            [] => "it names no sender".into(),
            many => format!("it names {} senders", many.len()),
        },
        ProvenSender(who) => {
            format!("the sender is {}proven to be {who}", if judge::holds(condition, facts).is_true() { "" } else { "not " })
        }
        EnvelopeSender(who) => format!("the reverse path is {}{who}", if judge::holds(condition, facts).is_true() { "" } else { "not " }),
        Recipient(who) => {
            let n = facts.recipients().iter().filter(|p| who.contains(&p.address)).count();
            if n == 0 {
                format!("no recipient is {who}")
            } else {
                format!("{n} of the recipients {} {who}", if n == 1 { "is" } else { "are" })
            }
        }
        EveryRecipient(who) => {
            format!("{} recipient is {who}", if judge::holds(condition, facts).is_true() { "every" } else { "not every" })
        }
        EveryOutsider(who) => format!("{} outsider is {who}", if judge::holds(condition, facts).is_true() { "every" } else { "not every" }),
        Number(number, _) => number.sentence(facts.number(*number)),
        Pattern(used) => {
            let place = facts.policy.patterns.get(used.set).map(|s| s.kind.words()).unwrap_or_default();
            let n = facts.found(used.set).map_or(0, |f| used.patterns.iter().filter(|p| f.has(**p)).count());
            match n {
                0 => format!("{place} has none of the rule's words"),
                1 => format!("{place} has words that the rule names"),
                n => format!("{place} has {n} of the rule's words"),
            }
        }
        HeaderPresent(name, _) => {
            format!("the header field {name} is {}", if facts.view().named(name).next().is_some() { "there" } else { "not there" })
        }
        Marked(any) => {
            let found = any.iter().find_map(|m| match m {
                Marking::Confidential => facts.confidential(),
                Marking::Personal => facts.personal(),
            });
            found.map_or_else(
                || format!("it is not marked {}", any.iter().map(|m| m.name()).collect::<Vec<_>>().join(" or ")),
                str::to_string,
            )
        }
        Protected(_) => says_protection(facts).join(", "),
        Forwarded(any) => {
            let found = any.iter().find_map(|f| match f {
                Forwarding::ByHand => facts.forwarded().by_hand,
                Forwarding::Automatic => facts.forwarded().automatic,
            });
            found.unwrap_or("nothing shows that it was forwarded").into()
        }
        NotForwarded => facts.forwarded().automatic.or(facts.forwarded().by_hand).unwrap_or("nothing shows that it was forwarded").into(),
        PersonalAccount(any) => any.iter().map(|p| says_personal(facts, *p)).collect::<Vec<_>>().join(", "),
        Calendar(_) => if facts.is_calendar() { "it is an invitation" } else { "it is no invitation" }.into(),
        ListMail(_) => if facts.is_list_mail() { "it comes from a mailing list" } else { "it comes from no mailing list" }.into(),
        Automatic(_) | NotAutomatic => match facts.automatic() {
            Some(kind) => format!("it is automatic mail ({})", kind.name()),
            None => "a person sent it".into(),
        },
        Reply(_) => if facts.is_reply() { "it is a reply" } else { "it is no reply" }.into(),
        Attachment(test) => match attachments::first_fit(facts.view(), test) {
            Some(name) => format!("{} is attached", clean(&name)),
            None => "no attachment is of that kind".into(),
        },
        Ambiguous(_) | AmbiguousIn(_) => {
            let n = facts.sender().authors.len();
            let asked = |a: &&crate::message::Ambiguity| match condition {
                AmbiguousIn(any) => any.contains(&a.kind()),
                _ => true,
            };
            let mut found: Vec<String> = facts.view().ambiguities().iter().filter(asked).take(3).map(|a| clean(&a.to_string())).collect();
            if n == 0 || n > 1 && matches!(condition, Ambiguous(_)) {
                found.insert(0, if n == 0 { "it names no sender".into() } else { format!("it names {n} senders") });
            }
            if found.is_empty() { "every reader sees the same".into() } else { found.join(", ") }
        }
        Identifiers { kinds, .. } => {
            let n = facts.identifiers(kinds);
            let found: Vec<String> = facts.identifiers_by_kind(kinds).iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
            let found = if found.is_empty() { kinds.iter().map(|k| k.name().to_string()).collect() } else { found };
            format!("{n} identifier{} ({})", if n == 1 { "" } else { "s" }, found.join(", "))
        }
        Links(_) => if judge::holds(condition, facts).is_true() { "a link is not what it seems" } else { "no link is of that kind" }.into(),
        SendsAsOther(_) => match judge::holds(&Condition::SendsAsOther(true), facts) {
            Truth::True => "From is not the account that logged in".into(),
            Truth::False => "From is the account that logged in".into(),
            Truth::Unknown(why) | Truth::Absent(why) => why.to_string(),
            Truth::Open(missing) => missing.words(),
        },
        Dates(first, last) => {
            format!("the day is {}between {first} and {last}", if judge::holds(condition, facts).is_true() { "" } else { "not " })
        }
        Hours(from, to) => {
            format!(
                "the time is {}between {} and {}",
                if judge::holds(condition, facts).is_true() { "" } else { "not " },
                hour(*from),
                hour(*to)
            )
        }
        Weekdays(_) => format!("it is a {:?}", facts.case.now.weekday()),
        Impersonates(whom) => match judge::impersonates(facts, whom) {
            (Truth::True, Some(how)) => how.words().into(),
            (Truth::Unknown(why) | Truth::Absent(why), _) => {
                format!("it comes from somebody's own account, and it cannot be told whether they sent it: {why}")
            }
            _ => format!("it does not pass for {}", whom.written.join(" or ")),
        },
        PasswordDisclosed(any) => says_password(any, facts),
        NoPasswordDisclosed => says_password(&[Disclosure::Beside, Disclosure::Later], facts),
        _ => says_outer(condition, facts),
    }
}

/// Facts from outside.
fn says_outer(condition: &Condition, facts: &Facts<'_>) -> String {
    use Condition::*;
    let truth = judge::holds(condition, facts);
    if let Truth::Unknown(why) | Truth::Absent(why) = &truth {
        return why.to_string();
    }
    let outside = facts.case.outside;
    let is = |wanted: bool| truth.is_true() == wanted;
    let result = |what: &str, fact: &Fact<Authentication>| match fact {
        Fact::Known(result) => format!("{what}: {}", result.name()),
        _ => format!("{what} is not known"),
    };
    match condition {
        Virus(wanted) => if is(*wanted) { "a virus was found in it" } else { "no virus was found" }.into(),
        Spf(_) => result("SPF", &outside.spf),
        Dkim(_) => result("DKIM", &outside.dkim),
        Dmarc(_) => result("DMARC", &outside.dmarc),
        SeenTogether(wanted) => if is(*wanted) {
            "all who can be seen had seen one another before"
        } else {
            "not all who can be seen had seen one another before"
        }
        .into(),
        FirstContact(wanted) => {
            if is(*wanted) { "there was no mail between them before" } else { "there was mail between them before" }.into()
        }
        NearName => {
            if is(true) { "it goes to somebody new whose name is nearly another's" } else { "nobody new has nearly another's name" }.into()
        }
        Rate(test) => {
            let rate = facts.policy.rates.get(test.rate);
            let n = facts.rate(test.rate).unwrap_or_default();
            rate.map_or_else(String::new, |r| format!("{n} {} by this {} within {}", r.of.name(), r.by.name(), super::say::duration(r.per)))
        }
        UnknownFact(any) => {
            let n: Vec<&str> = any.iter().filter(|o| facts.is_unknown(**o).is_true()).map(|o| o.name()).collect();
            if n.is_empty() { "all that was asked is known".into() } else { format!("{} could not be had", n.join(", ")) }
        }
        _ => String::new(),
    }
}

fn hour(time: jiff::civil::Time) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

fn role_word(facts: &Facts<'_>) -> &'static str {
    match facts.case.session.role {
        super::case::Role::Submission => "submission",
        super::case::Role::Connector => "a connector",
        super::case::Role::Mx => "mx",
    }
}

/// Where a password stands and what it opens, never what it is.
fn says_password(any: &[Disclosure], facts: &Facts<'_>) -> String {
    let found = facts.passwords();
    for which in any {
        let holds = || judge::holds(&Condition::PasswordDisclosed(vec![*which]), facts);
        match which {
            Disclosure::Beside => {
                if let Some(evidence) = &found.beside {
                    return evidence.clone();
                }
            }
            Disclosure::Alone => {
                if let Some(evidence) = &found.alone {
                    return evidence.clone();
                }
            }
            Disclosure::Later => match (&found.for_another, holds()) {
                (Some(evidence), Truth::True) => return format!("{evidence}, and a protected document went to the same recipient before"),
                (Some(_), Truth::Unknown(why) | Truth::Absent(why)) => return why.to_string(),
                _ => {}
            },
        }
    }
    "no password is given away".into()
}

fn says_protection(facts: &Facts<'_>) -> Vec<String> {
    match facts.protection() {
        ProtectionLevel::Message => match facts.wrapper() {
            Some(wrapper) => vec![format!("it goes by a service that encrypts it ({})", clean(&wrapper.header))],
            None => vec!["the message is encrypted".into()],
        },
        ProtectionLevel::Attachments => vec!["its attachments are protected".into()],
        ProtectionLevel::None => {
            let open = facts.view().protection().open(facts.policy.encryption.least);
            let open: Vec<String> = open.iter().map(|(name, why)| format!("{} {why}", clean(name))).take(5).collect();
            if open.is_empty() { vec!["it is not encrypted".into()] } else { open }
        }
    }
}

fn says_personal(facts: &Facts<'_>, which: PersonalAccount) -> String {
    let domains = |class: &dyn Fn(&super::facts::Party) -> bool| {
        let mut out: Vec<String> = Vec::new();
        for p in facts.recipients().iter().filter(|p| class(p)) {
            let domain = super::people::domain_of(&p.address).to_string();
            if !out.contains(&domain) {
                out.push(domain);
            }
        }
        list(&out, 3)
    };
    match which {
        PersonalAccount::Recipient => match domains(&|p| p.class == Class::Personal) {
            d if d.is_empty() => "no recipient is a personal account".into(),
            d => format!("a recipient is a personal account ({d})"),
        },
        PersonalAccount::OwnRecipient if facts.own_recipient() => {
            format!("a recipient looks like a council user's own account ({})", domains(&|p| p.class.is_stranger()))
        }
        PersonalAccount::OwnRecipient => "no recipient looks like a council user's own account".into(),
        PersonalAccount::Sender => match judge::holds(&Condition::PersonalAccount(vec![which]), facts) {
            Truth::True => "the sender uses a personal account".into(),
            _ => "the sender uses no personal account".into(),
        },
        PersonalAccount::ReplyTo => match judge::holds(&Condition::PersonalAccount(vec![which]), facts) {
            Truth::True => "answers go to a personal account".into(),
            _ => "answers go to no personal account".into(),
        },
    }
}

/// A name out of the message, fit to stand in a sentence: no control characters, not endless, no address.
pub(super) fn clean(text: &str) -> String {
    let mut out: String =
        text.chars().filter(|c| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')).take(60).collect();
    if out.contains('@') {
        out = out.split_whitespace().map(|w| if w.contains('@') { "…" } else { w }).collect::<Vec<_>>().join(" ");
    }
    out
}
