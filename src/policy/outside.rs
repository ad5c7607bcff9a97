//! What had to come from outside the message: a scanner's word, look-ups in the DNS, the index of past mail.
//!
//! A message is judged first with nothing asked. Where the verdict hangs on a fact from outside, [`Facts::wants`] then says which;
//! the gateway asks for those only, and the message is judged again. Mail that no such rule could touch costs no look-up.
//!
//! [`Facts::wants`]: super::Facts::wants

use std::cell::Cell;
use std::sync::Arc;

use super::truth::Truth;

/// A fact from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// Nobody asked yet.
    #[default]
    Unasked,
    Known(T),
    /// It could not be had, and why, in words for the Clerk.
    Unknown(Arc<str>),
}

impl<T> Fact<T> {
    pub fn unknown(why: &str) -> Fact<T> {
        Fact::Unknown(why.into())
    }
}

/// Which fact. The words are the contract's, for `unknown = ["virus"]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outer {
    Virus,
    Spf,
    Dkim,
    Dmarc,
    SeenTogether,
    FirstContact,
    /// A recipient who is new to the sender and nearly somebody else by name.
    NearName,
    /// A protected document went from this sender to one of these recipients before.
    ProtectedBefore,
    Rate,
}

impl Outer {
    pub const WORDS: &[(&str, Outer)] = &[
        ("virus", Outer::Virus),
        ("spf", Outer::Spf),
        ("dkim", Outer::Dkim),
        ("dmarc", Outer::Dmarc),
        ("seen-together", Outer::SeenTogether),
        ("first-contact", Outer::FirstContact),
        ("near-name", Outer::NearName),
        ("password-disclosed", Outer::ProtectedBefore),
        ("rate", Outer::Rate),
    ];

    pub fn name(self) -> &'static str {
        Outer::WORDS.iter().find(|(_, o)| *o == self).map_or("", |(w, _)| w)
    }

    /// The part of the gateway that knows it.
    pub fn source(self) -> Source {
        match self {
            Outer::Virus => Source::Scanner,
            Outer::Spf | Outer::Dkim | Outer::Dmarc => Source::Dns,
            Outer::SeenTogether | Outer::FirstContact | Outer::NearName | Outer::ProtectedBefore => Source::Past,
            Outer::Rate => Source::Counts,
        }
    }
}

/// Where facts from outside come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Scanner,
    Dns,
    /// The index of past mail.
    Past,
    /// What was counted lately.
    Counts,
}

/// Which sources this site has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    pub scanner: bool,
    pub dns: bool,
    pub past: bool,
    /// Some upstream's certificate is checked, so that TLS can be promised to it.
    pub tls: bool,
    /// There is a key that mail can be signed with.
    pub signing: bool,
    /// What was sent of late is counted.
    pub counts: bool,
}

impl Sources {
    pub const ALL: Sources = Sources { scanner: true, dns: true, past: true, tls: true, signing: true, counts: true };

    pub fn has(self, source: Source) -> bool {
        match source {
            Source::Scanner => self.scanner,
            Source::Dns => self.dns,
            Source::Past => self.past,
            Source::Counts => self.counts,
        }
    }
}

impl Source {
    /// Why nothing is known, where the site has no such source.
    pub fn absence(self) -> &'static str {
        match self {
            Source::Scanner => "no virus scanner is set up ([scan] in the site file)",
            Source::Dns => "no look-ups in the DNS are set up ([dns] in the site file)",
            Source::Past => "no index of past mail is kept ([monitoring] in the site file)",
            Source::Counts => "nothing is counted",
        }
    }
}

/// The outcome of SPF, DKIM or DMARC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Authentication {
    Pass,
    Fail,
    /// The domain says nothing, or the message is not signed.
    None,
}

impl Authentication {
    pub const WORDS: &[(&str, Authentication)] =
        &[("pass", Authentication::Pass), ("fail", Authentication::Fail), ("none", Authentication::None)];

    pub fn name(self) -> &'static str {
        Authentication::WORDS.iter().find(|(_, a)| *a == self).map_or("", |(w, _)| w)
    }
}

/// All that was asked outside about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    pub virus: Fact<bool>,
    pub spf: Fact<Authentication>,
    /// Of a signature of the From author's own domain.
    pub dkim: Fact<Authentication>,
    pub dmarc: Fact<Authentication>,
    /// All visible outsiders had seen one another before.
    pub seen_together: Fact<bool>,
    /// No earlier mail either way: for outbound mail, between the sender and one of the outsiders; for inbound, between the sender
    /// and any of those who get it.
    pub first_contact: Fact<bool>,
    /// One of the recipients with a look-alike name is new to the sender.
    pub near_name: Fact<bool>,
    pub protected_before: Fact<bool>,
    /// By the policy's rates, in their order.
    pub rates: Vec<Fact<u64>>,
}

static UNASKED: Outside = Outside {
    virus: Fact::Unasked,
    spf: Fact::Unasked,
    dkim: Fact::Unasked,
    dmarc: Fact::Unasked,
    seen_together: Fact::Unasked,
    first_contact: Fact::Unasked,
    near_name: Fact::Unasked,
    protected_before: Fact::Unasked,
    rates: Vec::new(),
};

impl Outside {
    /// Nothing was asked.
    pub fn unasked() -> &'static Outside {
        &UNASKED
    }

    /// What the index of past mail says: first contact, near name, seen together, protected before.
    pub fn of_past(&mut self) -> [&mut Fact<bool>; 4] {
        [&mut self.first_contact, &mut self.near_name, &mut self.seen_together, &mut self.protected_before]
    }

    /// Whatever was not asked cannot be told, for this reason.
    pub fn settle(&mut self, why: &str) {
        fn settle<T>(fact: &mut Fact<T>, why: &str) {
            if matches!(fact, Fact::Unasked) {
                *fact = Fact::unknown(why);
            }
        }
        settle(&mut self.virus, why);
        for fact in [&mut self.spf, &mut self.dkim, &mut self.dmarc] {
            settle(fact, why);
        }
        for fact in self.of_past() {
            settle(fact, why);
        }
        self.rates.iter_mut().for_each(|fact| settle(fact, why));
    }

    /// Nothing can be asked here, for this reason.
    pub fn unknown(why: &str) -> Outside {
        let mut out = Outside::default();
        out.settle(why);
        out
    }
}

/// The facts from outside that a judgement came to hang on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants(u16);

impl Wants {
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn has(self, outer: Outer) -> bool {
        self.0 & (1 << outer as u16) != 0
    }

    pub fn any_of(self, source: Source) -> bool {
        Outer::WORDS.iter().any(|(_, o)| o.source() == source && self.has(*o))
    }

    /// These and those.
    pub fn and(self, other: Wants) -> Wants {
        Wants(self.0 | other.0)
    }

    pub fn with(self, outer: Outer) -> Wants {
        Wants(self.0 | (1 << outer as u16))
    }
}

/// What is known of `fact`: its value, or the truth of any condition that needs it. Notes that it was wanted.
pub(super) fn known<T: Copy>(fact: Option<&Fact<T>>, outer: Outer, sources: Sources, wanted: &Cell<Wants>) -> Result<T, Truth> {
    if !sources.has(outer.source()) && !matches!(fact, Some(Fact::Known(_))) {
        return Err(Truth::Absent(outer.source().absence().into()));
    }
    match fact {
        Some(Fact::Known(value)) => Ok(*value),
        Some(Fact::Unknown(why)) => Err(Truth::Unknown(why.clone())),
        Some(Fact::Unasked) | None => {
            wanted.set(wanted.get().with(outer));
            Err(Truth::unknown("it was not asked for"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_wanted() {
        let wanted = Cell::new(Wants::default());
        assert!(matches!(known(Some(&Fact::<bool>::Unasked), Outer::Virus, Sources::default(), &wanted), Err(Truth::Absent(_))));
        assert!(wanted.get().is_empty());
        assert!(matches!(known(Some(&Fact::<bool>::Unasked), Outer::Virus, Sources::ALL, &wanted), Err(Truth::Unknown(_))));
        assert!(wanted.get().has(Outer::Virus) && wanted.get().any_of(Source::Scanner) && !wanted.get().any_of(Source::Past));
        assert_eq!(known(Some(&Fact::Known(true)), Outer::Rate, Sources::ALL, &wanted), Ok(true));
        let mut outside = Outside { virus: Fact::Known(true), rates: vec![Fact::Unasked], ..Outside::default() };
        outside.settle("why");
        assert_eq!((outside.virus, outside.rates), (Fact::Known(true), vec![Fact::unknown("why")]));
    }
}
