//! Who is who: sets of addresses and domains, and the class that an address falls in.

use std::collections::HashSet;
use std::sync::Arc;

use crate::smtp::address::{normal, normal_domain};

/// Where an address stands to the council.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// At one of the council's domains.
    Internal,
    /// In the list `partners`: the council's trusted outside.
    Partner,
    /// At a consumer or ISP domain: most likely somebody's own account.
    Personal,
    /// Any other outsider.
    External,
}

impl Class {
    pub fn word(self) -> &'static str {
        match self {
            Class::Internal => "internal",
            Class::Partner => "partner",
            Class::Personal => "personal",
            Class::External => "external",
        }
    }

    /// An outsider whom the council does not trust: hidden from the others, and counted.
    pub fn is_stranger(self) -> bool {
        matches!(self, Class::Personal | Class::External)
    }
}

/// One entry of a list or an address condition, in normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// `jo@x.uk`
    Address(String),
    /// `x.uk`: that domain.
    Domain(String),
    /// `.x.uk`: every domain below it, kept without the dot.
    Below(String),
    /// `@name`: a list.
    List(String),
}

/// Why a text is no address pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternFault {
    Empty,
    /// `*.x.uk`, which is written `.x.uk` here.
    Star,
    NotAnAddress,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, PatternFault> {
        let text = text.trim();
        if text.is_empty() {
            return Err(PatternFault::Empty);
        }
        if text.contains('*') {
            return Err(PatternFault::Star);
        }
        if let Some(name) = text.strip_prefix('@') {
            // `@x.uk` is a domain to most people who write it.
            return if name.contains('.') {
                domain(name).map(Pattern::Domain)
            } else if is_name(name) {
                Ok(Pattern::List(name.to_string()))
            } else {
                Err(PatternFault::NotAnAddress)
            };
        }
        if let Some(below) = text.strip_prefix('.') {
            return domain(below).map(Pattern::Below);
        }
        match text.rsplit_once('@') {
            Some((local, d)) if !local.is_empty() && !local.contains(char::is_whitespace) => {
                Ok(Pattern::Address(normal(local, &domain(d)?)))
            }
            Some(_) => Err(PatternFault::NotAnAddress),
            None => domain(text).map(Pattern::Domain),
        }
    }
}

fn domain(text: &str) -> Result<String, PatternFault> {
    let d = normal_domain(text);
    let well_formed = !d.is_empty()
        && d.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    if well_formed { Ok(d) } else { Err(PatternFault::NotAnAddress) }
}

pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Addresses, domains, and everything below some domains. Looking up costs the same however long the list is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    addresses: HashSet<String>,
    domains: HashSet<String>,
    below: HashSet<String>,
}

impl AddressSet {
    /// Lists are not looked up here: whoever builds a set resolves them.
    pub fn insert(&mut self, pattern: Pattern) {
        match pattern {
            Pattern::Address(a) => drop(self.addresses.insert(a)),
            Pattern::Domain(d) => drop(self.domains.insert(d)),
            Pattern::Below(d) => drop(self.below.insert(d)),
            Pattern::List(_) => {}
        }
    }

    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.domains.is_empty() && self.below.is_empty()
    }

    /// Whether it names single addresses, so that a domain alone does not decide.
    pub fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }

    /// `address` in normal form.
    pub fn contains(&self, address: &str) -> bool {
        let domain = domain_of(address);
        (!self.addresses.is_empty() && self.addresses.contains(address)) || self.contains_domain(domain)
    }

    /// `domain` in normal form.
    pub fn contains_domain(&self, domain: &str) -> bool {
        if domain.is_empty() {
            return false;
        }
        if self.domains.contains(domain) {
            return true;
        }
        if self.below.is_empty() {
            return false;
        }
        let mut rest = domain;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.below.contains(parent) {
                return true;
            }
            rest = parent;
        }
        false
    }

    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().map(String::as_str)
    }

    /// Whether it names all domains below some.
    pub fn has_below(&self) -> bool {
        !self.below.is_empty()
    }

    /// The same set has the same digest.
    pub fn digest(&self) -> [u8; 8] {
        let mut hasher = blake3::Hasher::new();
        for texts in [&self.addresses, &self.domains, &self.below] {
            let mut sorted: Vec<&str> = texts.iter().map(String::as_str).collect();
            sorted.sort_unstable();
            for text in sorted {
                hasher.update(text.as_bytes());
                hasher.update(b"\n");
            }
            hasher.update(b"\0");
        }
        hasher.finalize().as_bytes()[..8].try_into().expect("eight of thirty-two octets")
    }

    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.domains.iter().map(String::as_str)
    }
}

/// The domain of an address in normal form; all of it, if it has no `@`.
pub fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, d)| d)
}

/// The sets that one condition names, and how the Clerk wrote them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub sets: Vec<Arc<AddressSet>>,
    /// As in the file: `@clerk`, `x.uk`.
    pub written: Vec<String>,
}

impl Who {
    /// `address` in normal form.
    pub fn contains(&self, address: &str) -> bool {
        self.sets.iter().any(|s| s.contains(address))
    }
}

impl std::fmt::Display for Who {
    /// Masked: single addresses are not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, text) in self.written.iter().enumerate() {
            if i > 0 {
                f.write_str(if i + 1 == self.written.len() { " or " } else { ", " })?;
            }
            match text.rsplit_once('@') {
                Some((local, domain)) if !local.is_empty() => write!(f, "an address at {domain}")?,
                _ => f.write_str(text)?,
            }
        }
        Ok(())
    }
}

/// The consumer domains that ship, one a line, `#` comments.
pub const CONSUMER_DOMAINS: &str = include_str!("../../rules/shared/consumer-domains.txt");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert_eq!(Pattern::parse("Jo@X.uk"), Ok(Pattern::Address("jo@x.uk".into())));
        assert_eq!(Pattern::parse("X.uk"), Ok(Pattern::Domain("x.uk".into())));
        assert_eq!(Pattern::parse(".police.uk"), Ok(Pattern::Below("police.uk".into())));
        assert_eq!(Pattern::parse("@clerk"), Ok(Pattern::List("clerk".into())));
        assert_eq!(Pattern::parse("@x.uk"), Ok(Pattern::Domain("x.uk".into())));
        assert_eq!(Pattern::parse("*.x.uk"), Err(PatternFault::Star));
        assert_eq!(Pattern::parse("Jo Elm <jo@x.uk>"), Err(PatternFault::NotAnAddress));
        assert_eq!(Pattern::parse(" "), Err(PatternFault::Empty));
    }

    #[test]
    fn sets() {
        let mut set = AddressSet::default();
        for text in ["jo@x.uk", "lincolnshire.gov.uk", ".police.uk"] {
            set.insert(Pattern::parse(text).unwrap());
        }
        for yes in ["jo@x.uk", "a@lincolnshire.gov.uk", "pc@lincs.police.uk", "pc@a.lincs.police.uk"] {
            assert!(set.contains(yes), "{yes}");
        }
        for no in ["jim@x.uk", "a@sub.lincolnshire.gov.uk", "pc@police.uk", "pc@notpolice.uk", "", "@"] {
            assert!(!set.contains(no), "{no}");
        }
    }
}
