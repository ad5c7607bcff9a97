//! What can be proven of conditions without a message: one implies another, or they can never hold together.
//!
//! Both questions are answered on the safe side: `true` is a proof, `false` only says that none was found. Steps are bounded.

use super::case::Role;
use super::condition::{AttachmentTest, Condition, Direction, Number, ReplyKind, Span};
use super::people::Who;

/// Comparisons of two conditions that one question may take: a Clerk's rules take some hundred.
const STEPS: usize = 20_000;

/// Whether `a` holding means that `b` holds.
pub fn implies(a: &Condition, b: &Condition) -> bool {
    implied(a, b, &mut STEPS.clone())
}

fn implied(a: &Condition, b: &Condition, left: &mut usize) -> bool {
    use Condition::*;
    let Some(rest) = left.checked_sub(1) else { return false };
    *left = rest;
    match (a, b) {
        (_, Always) => true,
        (Is(_, a), b) => implied(a, b, left),
        (a, Is(_, b)) => implied(a, b, left),
        (IfReadable(a), b) => implied(a, b, left),
        (a, IfReadable(b)) => implied(a, b, left),
        // What must be implied wholly comes first, then what must imply wholly, then the choices.
        (a, All(each)) => each.iter().all(|b| implied(a, b, left)),
        (Any(each), b) => each.iter().all(|a| implied(a, b, left)),
        (All(each), b) => {
            if let Any(choices) = b
                && choices.iter().any(|b| implied(a, b, left))
            {
                return true;
            }
            each.iter().any(|a| implied(a, b, left))
        }
        (a, Any(each)) => each.iter().any(|b| implied(a, b, left)),
        (Not(a), Not(b)) => implied(b, a, left),
        (a, Not(b)) => disjoint(a, b),
        (a, b) => a == b || simple(a, b),
    }
}

/// Of two conditions that join nothing.
fn simple(a: &Condition, b: &Condition) -> bool {
    use Condition::*;
    match (a, b) {
        (Direction(a), Direction(b)) => subset(a, b),
        // Mail that comes in from the world is inbound, whatever it claims.
        (Role(a), Direction(b)) => a.iter().all(|r| *r == super::case::Role::Mx) && b.contains(&super::condition::Direction::Inbound),
        (Role(a), Role(b)) => subset(a, b),
        (Listener(a), Listener(b)) => subset(a, b),
        (Number(a, x), Number(b, y)) => number_implies(*a, *x, *b, *y),
        (Sender(a) | ProvenSender(a), Sender(b)) | (ProvenSender(a), ProvenSender(b)) | (EnvelopeSender(a), EnvelopeSender(b)) => {
            within(a, b)
        }
        (Recipient(a) | EveryRecipient(a), Recipient(b))
        | (EveryRecipient(a), EveryRecipient(b))
        | (EveryOutsider(a), EveryOutsider(b) | Recipient(b)) => within(a, b),
        (AmbiguousIn(a), AmbiguousIn(b)) => subset(a, b),
        (AmbiguousIn(_), Ambiguous(true)) => true,
        (Marked(a), Marked(b)) => subset(a, b),
        (Protected(a), Protected(b)) => subset(a, b),
        (Forwarded(a), Forwarded(b)) => subset(a, b),
        (PersonalAccount(a), PersonalAccount(b)) => subset(a, b),
        (Automatic(a), Automatic(b)) => subset(a, b),
        (Links(a), Links(b)) => subset(a, b),
        (PasswordDisclosed(a), PasswordDisclosed(b)) => subset(a, b),
        (Weekdays(a), Weekdays(b)) => subset(a, b),
        (Spf(a), Spf(b)) | (Dkim(a), Dkim(b)) | (Dmarc(a), Dmarc(b)) => subset(a, b),
        (UnknownFact(a), UnknownFact(b)) => subset(a, b),
        (Rate(a), Rate(b)) => a.rate == b.rate && a.at_least >= b.at_least,
        (Dates(first, last), Dates(from, to)) => from <= first && last <= to,
        (Reply(a), Reply(b)) => a == b || (*a == ReplyKind::ToAll && *b == ReplyKind::Any),
        (Pattern(a), Pattern(b)) => a.set == b.set && subset(&a.patterns, &b.patterns),
        (Attachment(a), Attachment(b)) => attachment_implies(a, b),
        (Identifiers { kinds: a, count: x }, Identifiers { kinds: b, count: y }) => {
            // More kinds find at least as many; nothing bounds how many more.
            subset(a, b) && y.at_most == u64::MAX && x.at_least >= y.at_least
        }
        _ => false,
    }
}

fn number_implies(a: Number, x: Span, b: Number, y: Span) -> bool {
    if a == b {
        return y.at_least <= x.at_least && x.at_most <= y.at_most;
    }
    // What is part of the other is never more than it.
    (is_part_of(a, b) && y.at_most == u64::MAX && x.at_least >= y.at_least)
        || (is_part_of(b, a) && y.at_least == 0 && x.at_most <= y.at_most)
}

fn is_part_of(part: Number, whole: Number) -> bool {
    matches!((part, whole), (Number::VisiblePersonal, Number::VisibleExternal) | (Number::OutsiderCount, Number::RecipientCount))
}

fn attachment_implies(a: &AttachmentTest, b: &AttachmentTest) -> bool {
    let kinds = b.kinds.is_empty() || (!a.kinds.is_empty() && subset(&a.kinds, &b.kinds));
    let sizes = b.size.at_least <= a.size.at_least && a.size.at_most <= b.size.at_most;
    // None of the wider test is none of the narrower.
    match (a.absent, b.absent) {
        (false, false) => kinds && sizes,
        (true, true) => attachment_implies(&AttachmentTest { absent: false, ..b.clone() }, &AttachmentTest { absent: false, ..a.clone() }),
        _ => false,
    }
}

/// As they are written: what a list holds may change, its name does not.
fn within(a: &Who, b: &Who) -> bool {
    subset(&a.written, &b.written)
}

fn subset<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.iter().all(|x| b.contains(x))
}

fn apart<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    !a.iter().any(|x| b.contains(x))
}

/// Two parts of `condition` that can never hold together, if there are such.
pub fn contradiction(condition: &Condition) -> Option<(&Condition, &Condition)> {
    let parts = parts(condition);
    let mut left = STEPS;
    for (i, a) in parts.iter().enumerate() {
        for b in &parts[i + 1..] {
            left = left.checked_sub(1)?;
            if disjoint(a, b) {
                return Some((a, b));
            }
        }
    }
    // A choice of which each alternative is impossible by itself is impossible, too.
    parts.iter().find_map(|p| match p {
        Condition::Any(each) => {
            let impossible: Vec<_> = each.iter().map_while(contradiction).collect();
            (impossible.len() == each.len()).then(|| impossible.first().copied()).flatten()
        }
        _ => None,
    })
}

/// Whether `a` and `b` can never hold of one message.
pub fn disjoint(a: &Condition, b: &Condition) -> bool {
    let (a, b) = (parts(a), parts(b));
    a.iter().any(|x| b.iter().any(|y| apart_simply(x, y) || apart_simply(y, x)))
}

/// What holds together: the parts of nested `All`, named conditions opened.
pub fn parts(condition: &Condition) -> Vec<&Condition> {
    let mut out = Vec::new();
    let mut open = vec![condition];
    while let Some(next) = open.pop() {
        match next {
            Condition::All(each) => open.extend(each.iter().rev()),
            Condition::Is(_, one) => open.push(one),
            other => out.push(other),
        }
    }
    out
}

fn apart_simply(a: &Condition, b: &Condition) -> bool {
    use Condition::*;
    match (a, b) {
        (Direction(a), Direction(b)) => apart(a, b),
        (Role(roles), Direction(d)) => {
            roles.iter().all(|r| *r == super::case::Role::Mx) && !d.contains(&super::condition::Direction::Inbound)
        }
        (Role(a), Role(b)) => apart(a, b),
        (Listener(a), Listener(b)) => apart(a, b),
        (Number(a, x), Number(b, y)) => {
            (a == b && (x.at_least > y.at_most || y.at_least > x.at_most)) || (is_part_of(*a, *b) && x.at_least > y.at_most)
        }
        (Protected(a), Protected(b)) => apart(a, b),
        (Automatic(a), Automatic(b)) => apart(a, b),
        (Automatic(_), NotAutomatic) | (Forwarded(_), NotForwarded) => true,
        (Calendar(a), Calendar(b)) | (ListMail(a), ListMail(b)) | (Ambiguous(a), Ambiguous(b)) | (SendsAsOther(a), SendsAsOther(b)) => {
            a != b
        }
        (Virus(a), Virus(b)) | (SeenTogether(a), SeenTogether(b)) | (FirstContact(a), FirstContact(b)) => a != b,
        (Spf(a), Spf(b)) | (Dkim(a), Dkim(b)) | (Dmarc(a), Dmarc(b)) => apart(a, b),
        (HeaderPresent(a, x), HeaderPresent(b, y)) => a == b && x != y,
        (Reply(a), Reply(b)) => (*a == ReplyKind::Not) != (*b == ReplyKind::Not),
        (Dates(first, last), Dates(from, to)) => last < from || to < first,
        (Weekdays(a), Weekdays(b)) => apart(a, b),
        (Attachment(a), Attachment(b)) => a.absent && !b.absent && attachment_implies(b, &AttachmentTest { absent: false, ..a.clone() }),
        // Nothing is both so and not so. `Not` of what is unknown is unknown, which never holds either.
        (a, Not(b)) => implies(a, b),
        _ => false,
    }
}

/// The roles of listeners at which `condition` may hold, as far as it says so itself. `listeners` gives those of names.
pub fn roles(condition: &Condition, listeners: &[(std::sync::Arc<str>, Role)]) -> Vec<Role> {
    let mut out = vec![Role::Submission, Role::Connector, Role::Mx];
    for part in parts(condition) {
        match part {
            Condition::Role(any) => out.retain(|r| any.contains(r)),
            Condition::Direction(any) if !any.contains(&Direction::Inbound) => out.retain(|r| *r != Role::Mx),
            Condition::Listener(names) if !listeners.is_empty() => {
                out.retain(|r| listeners.iter().any(|(name, role)| role == r && names.contains(name)));
            }
            Condition::Any(each) => {
                let some: Vec<Role> = each.iter().flat_map(|c| roles(c, listeners)).collect();
                out.retain(|r| some.contains(r));
            }
            _ => {}
        }
    }
    out
}

/// The directions in which it may hold, as far as it says so itself.
pub fn directions(condition: &Condition) -> Vec<Direction> {
    let mut out = vec![Direction::Outbound, Direction::Internal, Direction::Inbound];
    for part in parts(condition) {
        match part {
            Condition::Direction(any) => out.retain(|d| any.contains(d)),
            Condition::Role(any) if any.iter().all(|r| *r == Role::Mx) => out.retain(|d| *d == Direction::Inbound),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::policy::condition::{AttachmentKind, Automatic, Marking, Protected};

    fn number(n: Number, least: u64, most: u64) -> Condition {
        Condition::Number(n, Span { at_least: least, at_most: most })
    }

    #[test]
    fn what_implies_what() {
        use Condition::*;
        let outbound = || Direction(vec![super::Direction::Outbound]);
        let confidential = || Marked(vec![Marking::Confidential]);
        let yes = [
            (All(vec![outbound(), confidential()]), outbound()),
            (All(vec![outbound(), confidential(), Calendar(true)]), All(vec![confidential(), outbound()])),
            (outbound(), Direction(vec![super::Direction::Outbound, super::Direction::Internal])),
            (Role(vec![super::Role::Mx]), Direction(vec![super::Direction::Inbound])),
            (number(super::Number::VisibleExternal, 5, 9), number(super::Number::VisibleExternal, 3, u64::MAX)),
            (number(super::Number::VisiblePersonal, 3, u64::MAX), number(super::Number::VisibleExternal, 3, u64::MAX)),
            (Any(vec![Calendar(true), ListMail(true)]), Any(vec![ListMail(true), Calendar(true), outbound()])),
            (Is("x".into(), Arc::new(All(vec![outbound(), Calendar(true)]))), outbound()),
            (Not(Box::new(Any(vec![Calendar(true), ListMail(true)]))), Not(Box::new(Calendar(true)))),
            (Calendar(false), Not(Box::new(Calendar(true)))),
            (Reply(ReplyKind::ToAll), Reply(ReplyKind::Any)),
            (outbound(), Always),
        ];
        for (a, b) in yes {
            assert!(implies(&a, &b), "{a:?} -> {b:?}");
        }
        let no = [
            (outbound(), All(vec![outbound(), confidential()])),
            (Direction(vec![super::Direction::Outbound, super::Direction::Internal]), outbound()),
            (Any(vec![Calendar(true), ListMail(true)]), Calendar(true)),
            (number(super::Number::VisibleExternal, 3, u64::MAX), number(super::Number::VisiblePersonal, 3, u64::MAX)),
            (Always, outbound()),
            (Role(vec![super::Role::Submission]), outbound()),
            (Not(Box::new(Calendar(true))), ListMail(true)),
        ];
        for (a, b) in no {
            assert!(!implies(&a, &b), "{a:?} -> {b:?}");
        }
    }

    #[test]
    fn what_can_never_be() {
        use Condition::*;
        let never = [
            vec![Direction(vec![super::Direction::Outbound]), Direction(vec![super::Direction::Inbound])],
            vec![Role(vec![super::Role::Mx]), Direction(vec![super::Direction::Outbound])],
            vec![number(super::Number::VisibleExternal, 0, 2), number(super::Number::VisibleExternal, 3, u64::MAX)],
            vec![number(super::Number::VisiblePersonal, 4, u64::MAX), number(super::Number::VisibleExternal, 0, 3)],
            vec![Automatic(vec![super::super::condition::Automatic::Reply]), NotAutomatic],
            vec![Calendar(true), Not(Box::new(Any(vec![Calendar(true), ListMail(true)])))],
            vec![
                Protected(vec![super::super::condition::Protected::Neither]),
                Protected(vec![super::super::condition::Protected::Message]),
            ],
        ];
        for parts in never {
            assert!(contradiction(&All(parts.clone())).is_some(), "{parts:?}");
        }
        let may = [
            vec![Direction(vec![super::Direction::Inbound]), Role(vec![super::Role::Mx])],
            vec![Marked(vec![Marking::Confidential]), Marked(vec![Marking::Personal])],
            vec![number(super::Number::VisibleExternal, 0, 3), number(super::Number::VisibleExternal, 3, u64::MAX)],
            vec![
                Attachment(AttachmentTest { kinds: vec![AttachmentKind::Script], size: Span::at_least(0), absent: true }),
                Attachment(AttachmentTest { kinds: vec![AttachmentKind::Video], size: Span::at_least(0), absent: false }),
            ],
        ];
        for parts in may {
            assert!(contradiction(&All(parts.clone())).is_none(), "{parts:?}");
        }
    }

    /// A message as these conditions see it.
    #[derive(Clone, Debug)]
    struct World {
        direction: Direction,
        role: Role,
        external: u64,
        personal: u64,
        calendar: bool,
        automatic: Option<Automatic>,
        protected: Protected,
        confidential: bool,
        private: bool,
        reply: ReplyKind,
        weekday: usize,
    }

    const DAYS: [jiff::civil::Weekday; 3] = [jiff::civil::Weekday::Monday, jiff::civil::Weekday::Friday, jiff::civil::Weekday::Sunday];

    fn holds(c: &Condition, w: &World) -> bool {
        match c {
            Condition::Always => true,
            Condition::All(each) => each.iter().all(|c| holds(c, w)),
            Condition::Any(each) => each.iter().any(|c| holds(c, w)),
            Condition::Not(one) => !holds(one, w),
            Condition::Is(_, one) => holds(one, w),
            Condition::Direction(any) => any.contains(&w.direction),
            Condition::Role(any) => any.contains(&w.role),
            Condition::Number(Number::VisibleExternal, span) => span.holds(w.external),
            Condition::Number(_, span) => span.holds(w.personal),
            Condition::Calendar(yes) => *yes == w.calendar,
            Condition::Automatic(any) => w.automatic.is_some_and(|a| any.contains(&a)),
            Condition::NotAutomatic => w.automatic.is_none(),
            Condition::Protected(any) => any.contains(&w.protected),
            Condition::Marked(any) => any.iter().any(|m| match m {
                Marking::Confidential => w.confidential,
                Marking::Personal => w.private,
            }),
            Condition::Reply(kind) => match kind {
                ReplyKind::Any => w.reply != ReplyKind::Not,
                ReplyKind::Not => w.reply == ReplyKind::Not,
                ReplyKind::ToAll => w.reply == ReplyKind::ToAll,
            },
            Condition::Weekdays(any) => any.contains(&DAYS[w.weekday]),
            other => panic!("{other:?} is not made here"),
        }
    }

    fn world() -> impl Strategy<Value = World> {
        let automatic = prop_oneof![Just(None), Just(Some(Automatic::Reply)), Just(Some(Automatic::Bounce))];
        let protected = prop_oneof![Just(Protected::Message), Just(Protected::Attachments), Just(Protected::Neither)];
        let reply = prop_oneof![Just(ReplyKind::Any), Just(ReplyKind::Not), Just(ReplyKind::ToAll)];
        let role = prop_oneof![Just(Role::Submission), Just(Role::Connector), Just(Role::Mx)];
        let direction = prop_oneof![Just(Direction::Outbound), Just(Direction::Internal), Just(Direction::Inbound)];
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (direction, role, 0u64..6, 0u64..6, automatic, protected, reply, 0usize..3, flags).prop_map(
            |(direction, role, external, personal, automatic, protected, reply, weekday, (calendar, confidential, private))| World {
                // As in the world: on mx all is inbound, and who is personal is external.
                direction: if role == Role::Mx { Direction::Inbound } else { direction },
                role,
                external,
                personal: personal.min(external),
                calendar,
                automatic,
                protected,
                confidential,
                private,
                reply,
                weekday,
            },
        )
    }

    fn conditions() -> impl Strategy<Value = Condition> {
        use proptest::sample::subsequence;
        let span = (0u64..6, 0u64..6).prop_map(|(a, b)| Span { at_least: a.min(b), at_most: if a > b { u64::MAX } else { b } });
        let leaf = prop_oneof![
            Just(Condition::Always),
            subsequence(vec![Direction::Outbound, Direction::Internal, Direction::Inbound], 1..3).prop_map(Condition::Direction),
            subsequence(vec![Role::Submission, Role::Connector, Role::Mx], 1..3).prop_map(Condition::Role),
            (prop_oneof![Just(Number::VisibleExternal), Just(Number::VisiblePersonal)], span).prop_map(|(n, s)| Condition::Number(n, s)),
            any::<bool>().prop_map(Condition::Calendar),
            subsequence(vec![Automatic::Reply, Automatic::Bounce], 1..=2).prop_map(Condition::Automatic),
            Just(Condition::NotAutomatic),
            subsequence(vec![Protected::Message, Protected::Attachments, Protected::Neither], 1..3).prop_map(Condition::Protected),
            subsequence(vec![Marking::Confidential, Marking::Personal], 1..=2).prop_map(Condition::Marked),
            prop_oneof![Just(ReplyKind::Any), Just(ReplyKind::Not), Just(ReplyKind::ToAll)].prop_map(Condition::Reply),
            subsequence(DAYS.to_vec(), 1..3).prop_map(Condition::Weekdays),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::All),
                prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::Any),
                inner.clone().prop_map(|c| Condition::Not(Box::new(c))),
                inner.prop_map(|c| Condition::Is("x".into(), Arc::new(c))),
            ]
        })
    }

    proptest! {
        /// Held against worlds: what is called a proof has no counter-example.
        #[test]
        fn a_proof_has_no_counter_example(a in conditions(), b in conditions(), worlds in prop::collection::vec(world(), 40)) {
            if implies(&a, &b) {
                for w in &worlds {
                    prop_assert!(!holds(&a, w) || holds(&b, w), "{a:?}\n->\n{b:?}\n{w:?}");
                }
            }
            if disjoint(&a, &b) {
                for w in &worlds {
                    prop_assert!(!(holds(&a, w) && holds(&b, w)), "{a:?}\nnever with\n{b:?}\n{w:?}");
                }
            }
            if contradiction(&a).is_some() {
                for w in &worlds {
                    prop_assert!(!holds(&a, w), "never {a:?}\n{w:?}");
                }
            }
            let (may, ways) = (roles(&a, &[]), directions(&a));
            for w in worlds.iter().filter(|w| holds(&a, w)) {
                prop_assert!(may.contains(&w.role) && ways.contains(&w.direction), "{a:?}\n{w:?}");
            }
        }

        /// Everything implies itself, and what is joined to it.
        #[test]
        fn a_condition_implies_itself(a in conditions(), b in conditions()) {
            prop_assert!(implies(&Condition::All(vec![a.clone(), b.clone()]), &a), "{a:?}");
            prop_assert!(implies(&a, &Condition::Any(vec![b, a.clone()])), "{a:?}");
        }
    }
}
