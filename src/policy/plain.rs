//! A rule in plain English, for the schedule that a council adopts: what it looks for, what lifts it, what happens, who is told.

use super::condition::*;
use super::outside::Outer;
use super::people::Who;
use super::rule::{Hiding, IfUnknown, Policy, Rule};
use super::say::{Fill, Template, duration};
use super::verdict::{Mode, Person, RecordLevel};

/// "it goes to somebody outside the council, and it is marked confidential".
pub fn looks_for(rule: &Rule, policy: &Policy) -> String {
    says(&rule.when, policy)
}

/// Any condition.
pub fn condition(condition: &Condition, policy: &Policy) -> String {
    says(condition, policy)
}

/// Each exception as a phrase.
pub fn exceptions(rule: &Rule, policy: &Policy) -> Vec<String> {
    let mut out: Vec<String> = rule.unless.iter().map(|c| says(c, policy)).collect();
    if let Some(name) = &rule.override_name {
        out.push(format!("a council sender writes [{name}: reason] in the subject, which is recorded"));
    }
    out
}

/// What happens, as sentences without a full stop.
pub fn happens(rule: &Rule) -> Vec<String> {
    let then = &rule.then;
    let mut out = Vec::new();
    if let Some(text) = &then.reject {
        out.push(format!("It is not taken, and the sender's program hears: \"{}\"", template(text)));
    }
    if let Some(text) = &then.defer {
        out.push(format!("It waits at the sender's and is tried again; the sender's program hears: \"{}\"", template(text)));
    }
    if let Some(hold) = &then.hold {
        let end = if hold.release { "goes out" } else { "goes back to the sender" };
        out.push(format!("It waits until {} decides, for at most {}; then it {end}", person(hold.by), duration(hold.within)));
    }
    for word in then.words() {
        let sentence = match word {
            "hide-recipients" => match then.hide_recipients {
                Some(Hiding::Split) => "Each outsider gets a copy of their own, in which they see nobody else's address".to_string(),
                _ => "Outside addresses are hidden from one another; everybody still gets the message".to_string(),
            },
            "tag-subject" => format!("\"{}\" is put in front of the subject", then.tag_subject.as_deref().unwrap_or_default()),
            "add-header" => format!("The header field {} is added", list(then.add_header.iter().map(|(n, _)| n.clone()), "and")),
            "remove-header" => format!("The header field {} is removed", list(then.remove_header.iter().cloned(), "and")),
            "record" => match then.record {
                Some(RecordLevel::Nothing) => "Nothing of it is recorded".to_string(),
                Some(RecordLevel::Count) => "It is only counted, and nothing else of it is recorded".to_string(),
                Some(RecordLevel::Metadata) => "Who, when and which rules is recorded, never the text".to_string(),
                _ => "What was found is recorded in numbers, never the text".to_string(),
            },
            "banner" => match &then.banner {
                Some(banner) => format!("On top of its text is put: \"{}\"", template(&banner.text)),
                None => continue,
            },
            "drop" => "It is taken and thrown away".to_string(),
            "copy-to" => format!("A copy goes to {}", receivers(&then.copy_to)),
            "redirect" => format!("What is for {} goes to others instead", list(then.redirect.iter().map(|(who, _)| whom(who)), "or")),
            "redirect-to" => format!("It goes to {} instead", receivers(&then.redirect_to)),
            "require-tls" => "It leaves only over an encrypted line to a server that is proven".to_string(),
            "sign" => "It is signed with the council's key".to_string(),
            // Told above, or under "who is told".
            "reject" | "defer" | "hold" | "notify" => continue,
            other => format!("Also: {other}"),
        };
        out.push(sentence);
    }
    out
}

/// Who hears of it. A refused council sender is always told.
pub fn told(rule: &Rule) -> Vec<&'static str> {
    let mut out: Vec<&'static str> = Vec::new();
    let then = &rule.then;
    // On trial, the sender hears of whatever the rule would have done.
    let on_trial = rule.mode == Mode::Warn && (then.stops() || then.edits() || then.routes() || !then.notify.is_empty());
    if on_trial || then.reject.is_some() || then.hold.is_some() || then.notify.contains(&Person::Sender) {
        out.push("the sender, if it is a council address");
    }
    for who in [Person::Clerk, Person::Chair] {
        let holds = then.hold.as_ref().is_some_and(|hold| hold.by == who);
        if holds || then.notify.contains(&who) {
            out.push(person(who));
        }
    }
    out
}

/// What happens when something could not be found out; empty where nothing needs finding out.
pub fn if_unknown(rule: &Rule) -> &'static str {
    let asks = |c: &Condition| Outer::WORDS.iter().any(|(_, o)| c.needs(o.source()));
    // An exception that says `not unknown` lifts nothing then, and the rule goes on.
    let settled = |c: &Condition| c.mentions(&|inner| matches!(inner, Condition::Not(one) if matches!(&**one, Condition::UnknownFact(_))));
    let exceptions = |open: bool| rule.unless.iter().any(|c| c.mentions(&asks) && settled(c) != open);
    if !rule.when.mentions(&asks) && !exceptions(true) {
        return if exceptions(false) { "If that cannot be found out at the moment, the rule applies all the same." } else { "" };
    }
    match rule.if_unknown {
        IfUnknown::Defer => "If that cannot be found out at the moment, the message waits and is tried again.",
        IfUnknown::Hold => "If that cannot be found out at the moment, the message is held.",
        IfUnknown::Skip => "If that cannot be found out at the moment, the rule does not apply.",
    }
}

/// The rule's own text with its places named: "17" is not known here.
pub fn template(text: &Template) -> String {
    text.fill(|fill| {
        match fill {
            Fill::Count => "(number)",
            Fill::Subject => "(subject)",
            Fill::Files => "(files)",
            Fill::Domains => "(domains)",
            Fill::Direction => "(direction)",
        }
        .to_string()
    })
}

fn person(who: Person) -> &'static str {
    match who {
        Person::Sender => "the sender",
        Person::Clerk => "the Clerk",
        Person::Chair => "the Chair",
    }
}

/// Addresses of the council's own, out of its rules.
fn receivers(addresses: &[crate::smtp::Address]) -> String {
    list(addresses.iter().map(|a| a.as_str().to_string()), "and")
}

fn list(items: impl IntoIterator<Item = String>, last: &str) -> String {
    let items: Vec<String> = items.into_iter().collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [front @ .., end] => format!("{} {last} {end}", front.join(", ")),
    }
}

fn or<T: Copy>(items: &[T], say: impl Fn(T) -> &'static str) -> String {
    list(items.iter().map(|i| say(*i).to_string()), "or")
}

fn either(yes: bool, so: &str, not: &str) -> String {
    if yes { so.into() } else { not.into() }
}

/// Whom a condition names, as people call them; single addresses are not shown in a paper that is adopted in public.
fn whom(who: &Who) -> String {
    let one = |text: &String| match text.as_str() {
        "@council" => "the council".to_string(),
        "@clerk" => "the Clerk".to_string(),
        "@chair" => "the Chair".to_string(),
        "@councillors" => "a councillor".to_string(),
        "@staff" => "a member of staff".to_string(),
        "@partners" => "one of the council's partners".to_string(),
        "@consumer" => "a personal account".to_string(),
        text => match (text.strip_prefix('@'), text.rsplit_once('@')) {
            (Some(name), _) => format!("somebody on the list \"{name}\""),
            (None, Some((_, domain))) => format!("a certain address at {domain}"),
            (None, None) => format!("somebody at {}", text.trim_start_matches('.')),
        },
    };
    list(who.written.iter().map(one), "or")
}

fn says(condition: &Condition, policy: &Policy) -> String {
    use Condition::*;
    match condition {
        Always => "it is any message".into(),
        All(each) => {
            // What narrows most is said in the order of the journey: who to whom first.
            let mut parts: Vec<&Condition> = each.iter().collect();
            parts.sort_by_key(|c| !matches!(c, Direction(_) | Role(_) | Listener(_)));
            parts.into_iter().map(|c| group(c, policy)).collect::<Vec<_>>().join(", and ")
        }
        Any(each) => format!("either {}", each.iter().map(|c| group(c, policy)).collect::<Vec<_>>().join(", or ")),
        Not(one) if matches!(&**one, UnknownFact(_)) => "that can be found out".into(),
        Not(one) => format!("it is not so that {}", group(one, policy)),
        Is(_, one) => says(one, policy),
        Direction(any) => or(any, |d| match d {
            self::Direction::Outbound => "it goes to somebody outside the council",
            self::Direction::Internal => "it goes from the council to the council only",
            self::Direction::Inbound => "it comes from outside",
        }),
        Role(any) => or(any, |r| match r {
            super::case::Role::Submission => "it is sent by a mail program with a password",
            super::case::Role::Connector => "it is handed over by the provider",
            super::case::Role::Mx => "it comes in from the internet",
        }),
        Listener(any) => format!("it comes through the listener {}", list(any.iter().map(|l| format!("\"{l}\"")), "or")),
        Sender(who) => format!("its From names {}", whom(who)),
        ProvenSender(who) => format!("it is proven to come from {}", whom(who)),
        EnvelopeSender(who) => format!("its reverse path is {}", whom(who)),
        Recipient(who) => format!("at least one recipient is {}", whom(who)),
        EveryRecipient(who) => format!("every recipient is {}", whom(who)),
        EveryOutsider(who) => format!("everybody outside who gets it is {}", whom(who)),
        Number(number, span) => numbers(*number, *span),
        Pattern(used) => pattern(used, policy),
        HeaderPresent(name, yes) => format!("it has {} header field {name}", either(*yes, "the", "no")),
        Marked(any) => format!("it is marked {}", or(any, |m| m.name())),
        Protected(any) => or(any, |p| match p {
            self::Protected::Message => "the message is encrypted",
            self::Protected::Attachments => "its attachments need a password to open",
            self::Protected::Neither => "neither the message nor every attachment is encrypted",
        }),
        Forwarded(any) => format!(
            "it was forwarded {}",
            or(any, |f| match f {
                Forwarding::ByHand => "by hand",
                Forwarding::Automatic => "by a mailbox rule",
            })
        ),
        NotForwarded => "it is no forward".into(),
        PersonalAccount(any) => or(any, |p| match p {
            self::PersonalAccount::Recipient => "a recipient has a personal account",
            self::PersonalAccount::OwnRecipient => "a recipient is, or looks like, a council user's own account",
            self::PersonalAccount::Sender => "it is sent from a personal account",
            self::PersonalAccount::ReplyTo => "answers to it would go to a personal account",
        }),
        Calendar(yes) => either(*yes, "it is an invitation", "it is no invitation"),
        ListMail(yes) => either(*yes, "it comes from a mailing list", "it comes from no mailing list"),
        Automatic(any) if any.len() == self::Automatic::WORDS.len() => {
            "a machine sent it (a bounce, an out-of-office reply, a receipt)".into()
        }
        Automatic(any) => format!("a machine sent it ({})", or(any, |a| a.name())),
        NotAutomatic => "a person sent it".into(),
        Reply(kind) => match kind {
            ReplyKind::Any => "it is a reply",
            ReplyKind::ToAll => "it is a reply to several people",
            ReplyKind::Not => "it is no reply",
        }
        .into(),
        Attachment(test) => attachment(test),
        Ambiguous(yes) => either(*yes, "mail programs may show it in different ways", "every mail program shows the same"),
        AmbiguousIn(any) => {
            format!("mail programs may show it in different ways ({})", list(any.iter().map(|a| a.name().replace('-', " ")), "or"))
        }
        Identifiers { kinds, count } => {
            let all = kinds.len() == Identifier::WORDS.len();
            let names = if all {
                "numbers of people or accounts".to_string()
            } else {
                format!("numbers of these kinds: {}", list(kinds.iter().map(|k| identifier(*k).to_string()), "or"))
            };
            format!("it has {count} {names}")
        }
        Links(any) => format!(
            "it has a link {}",
            or(any, |l| match l {
                Link::TextDiffers => "whose text names another place than it leads to",
                Link::LookAlike => "to a look-alike of a trusted domain",
                Link::Numeric => "to a bare number instead of a name",
                Link::Shortened => "through a link shortener",
            })
        ),
        SendsAsOther(yes) => either(*yes, "its From is not the account that logged in", "its From is the account that logged in"),
        Dates(first, last) => format!("the day is from {first} to {last}, both included"),
        Hours(from, to) => {
            format!("the time of day is from {:02}:{:02} to {:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
        }
        Weekdays(any) => format!("the day is a {}", list(any.iter().map(|d| format!("{d:?}")), "or")),
        Virus(yes) => either(*yes, "the virus scanner finds something", "the virus scanner finds nothing"),
        Spf(any) => format!("the sending machine's right to send for its domain (SPF) is {}", or(any, result)),
        Dkim(any) => format!("the signature of its domain (DKIM) is {}", or(any, result)),
        Dmarc(any) => format!("the proof of the domain in From (DMARC) is {}", or(any, result)),
        SeenTogether(yes) => {
            either(*yes, "all outsiders on it have seen one another before", "not all outsiders on it have seen one another before")
        }
        FirstContact(yes) => either(*yes, "there was no mail between the two before", "there was mail between the two before"),
        NearName => "it goes to somebody new whose name is nearly that of a councillor, an employee or another recipient".into(),
        Rate(test) => match policy.rates().get(test.rate) {
            Some(rate) => {
                let of = match rate.of {
                    RateOf::Messages => "messages",
                    RateOf::Recipients => "recipients",
                };
                let by = match rate.by {
                    RateBy::Login => "one account",
                    RateBy::Sender => "one sender",
                    RateBy::Pair => "one sender to one recipient",
                };
                format!("it is at least the {} of {of} from {by} within {}", ordinal(test.at_least), duration(rate.per))
            }
            None => "very much is sent".into(),
        },
        UnknownFact(any) => {
            format!("it cannot be found out: {}", or(any, |o| Outer::WORDS.iter().find(|(_, x)| *x == o).map_or("", |(w, _)| w)))
        }
        Impersonates(claimed) => format!("it passes for {}", list(claimed.written.iter().map(|w| passed_for(w)), "or")),
        PasswordDisclosed(any) => or(any, |d| match d {
            Disclosure::Beside => "it carries a protected document and the password that opens it",
            Disclosure::Later => "it carries the password of a protected document that went to the same recipient before",
            Disclosure::Alone => "a password stands in it",
        }),
        IfReadable(one) => says(one, policy),
        UnreadableText => "an attached document could not be read".into(),
        NoPasswordDisclosed => "it does not carry the password of a protected document".into(),
    }
}

fn passed_for(word: &str) -> String {
    match word {
        "council" => "the council".into(),
        "clerk" => "the Clerk".into(),
        "chair" => "the Chair".into(),
        "councillors" => "a councillor".into(),
        list => format!("somebody on the list \"{}\"", list.trim_start_matches('@')),
    }
}

/// Joined conditions in the midst of others stand in brackets.
fn group(condition: &Condition, policy: &Policy) -> String {
    let mut inner = condition;
    loop {
        inner = match inner {
            Condition::Is(_, one) => one,
            Condition::IfReadable(one) => one,
            _ => break,
        };
    }
    match inner {
        Condition::All(each) | Condition::Any(each) if each.len() > 1 => format!("({})", says(inner, policy)),
        _ => says(inner, policy),
    }
}

fn result(found: super::outside::Authentication) -> &'static str {
    use super::outside::Authentication;
    match found {
        Authentication::Pass => "good",
        Authentication::Fail => "bad",
        Authentication::None => "not there",
    }
}

fn identifier(kind: Identifier) -> &'static str {
    match kind {
        Identifier::NationalInsurance => "National Insurance",
        Identifier::Nhs => "NHS",
        Identifier::BankAccount => "bank account",
        Identifier::TaxReference => "tax reference",
        Identifier::Passport => "passport",
        Identifier::DrivingLicence => "driving licence",
        Identifier::PaymentCard => "payment card",
    }
}

fn numbers(number: Number, span: Span) -> String {
    let many = |things: &str| format!("{span} {things}");
    match number {
        Number::RecipientCount => format!("it has {}", many("recipients")),
        Number::OutsiderCount => format!("it has {}", many("recipients outside the council")),
        Number::VisibleExternal => format!("everybody on it can see {}", many("outside addresses (partners not counted)")),
        Number::VisiblePersonal => format!("everybody on it can see {}", many("addresses of personal accounts")),
        Number::InnerRecipients => format!("{} inside its signed or encrypted part", many("addresses stand")),
        Number::ClearText => format!("{} can be read outside what is protected", many("characters")),
        Number::AddressesInText => format!("{} stand in its text or attachments", many("personal addresses")),
        Number::Size => format!("it is of {}", sizes(span)),
    }
}

fn sizes(span: Span) -> String {
    let size = |n: u64| match n {
        n if n >= 1_000_000 && n % 100_000 == 0 => format!("{} MB", n as f64 / 1e6),
        n if n >= 1_000 && n % 100 == 0 => format!("{} kB", n as f64 / 1e3),
        n => format!("{n} bytes"),
    };
    match (span.at_least, span.at_most) {
        (a, u64::MAX) => format!("at least {}", size(a)),
        (0, b) => format!("at most {}", size(b)),
        (a, b) => format!("{} to {}", size(a), size(b)),
    }
}

fn attachment(test: &AttachmentTest) -> String {
    let kinds = if test.kinds.is_empty() {
        "any file".to_string()
    } else {
        format!("a file of these kinds: {}", list(test.kinds.iter().map(|k| k.name().replace('-', " ")), "or"))
    };
    let size = if test.size.at_least > 0 || test.size.at_most < u64::MAX { format!(" of {}", sizes(test.size)) } else { String::new() };
    if test.absent { format!("it does not have {kinds}{size} attached") } else { format!("it has {kinds}{size} attached") }
}

fn pattern(used: &PatternUse, policy: &Policy) -> String {
    let Some(set) = policy.patterns.get(used.set) else { return "it has words that the rule names".into() };
    let shown: Vec<String> = used.patterns.iter().filter_map(|p| set.words(*p)).map(|w| format!("\"{w}\"")).collect();
    let more = used.patterns.len() - shown.len();
    let mut shown = if shown.len() > 12 { list(shown[..12].iter().cloned().chain(["others".into()]), "or") } else { list(shown, "or") };
    if more > 0 {
        if !shown.is_empty() {
            shown.push_str(", or ");
        }
        shown.push_str(if more == 1 { "what a pattern of the rule finds" } else { "what patterns of the rule find" });
    }
    format!("{} has {shown}", set.kind.words())
}

fn ordinal(n: u64) -> String {
    let end = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn conditions_as_sentences() {
        use Condition::*;
        let policy = Policy::default();
        let who = |text: &str| Who { sets: vec![], written: vec![text.into()] };
        let cases = [
            (
                All(vec![Marked(vec![Marking::Confidential]), Direction(vec![self::Direction::Outbound])]),
                "it goes to somebody outside the council, and it is marked confidential",
            ),
            (Any(vec![Calendar(true), ListMail(true)]), "either it is an invitation, or it comes from a mailing list"),
            (
                All(vec![Reply(ReplyKind::Any), Any(vec![Calendar(true), Sender(who("jo@x.uk"))])]),
                "it is a reply, and (either it is an invitation, or its From names a certain address at x.uk)",
            ),
            (
                Not(Box::new(EveryOutsider(who("@partners")))),
                "it is not so that everybody outside who gets it is one of the council's partners",
            ),
            (Is("x".into(), Arc::new(Calendar(false))), "it is no invitation"),
            (
                Number(self::Number::VisibleExternal, Span::at_least(3)),
                "everybody on it can see at least 3 outside addresses (partners not counted)",
            ),
            (Number(self::Number::Size, Span::at_least(15_000_000)), "it is of at least 15 MB"),
            (
                Attachment(AttachmentTest { kinds: vec![AttachmentKind::DoubleExtension], size: Span::at_least(0), absent: false }),
                "it has a file of these kinds: double extension attached",
            ),
            (Recipient(who("@media")), "at least one recipient is somebody on the list \"media\""),
        ];
        for (condition, expected) in cases {
            assert_eq!(says(&condition, &policy), expected);
        }
        assert_eq!([1, 2, 3, 11, 300].map(ordinal).join(" "), "1st 2nd 3rd 11th 300th");
    }
}
