//! Where a message goes besides, or instead of, where its envelope says. Nobody who reads the message sees any of it.

use std::sync::Arc;

use crate::smtp::Address;

/// What the matching rules do to the envelope. Empty for nearly all mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// They get it, too.
    pub copies: Vec<Address>,
    /// They get it instead of everybody.
    pub redirect: Vec<Address>,
    /// Single recipients, in normal form, and who gets it in their place.
    pub moved: Vec<(String, Address)>,
    /// The rule that drops it: automatic mail for which nobody waits.
    pub drop: Option<Arc<str>>,
    /// The upstream must promise TLS with a verified certificate to the last hop (RFC 8689), for all recipients or none.
    pub require_tls: bool,
}

/// One recipient of the envelope that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    pub address: Address,
    /// The recipient of the client's envelope that it stands for, whose parameters (DSN) it keeps; none for a copy.
    pub stands_for: Option<usize>,
}

impl Route {
    pub fn is_as_sent(&self) -> bool {
        *self == Route::default()
    }

    /// Whether the envelope that leaves is another than the client's, not only a longer one.
    pub fn is_another(&self) -> bool {
        !self.redirect.is_empty() || !self.moved.is_empty() || self.require_tls
    }

    /// The envelope that leaves, each address once.
    pub fn legs<'e>(&self, recipients: impl Iterator<Item = (usize, &'e Address)>) -> Vec<Leg> {
        let mut legs: Vec<Leg> = Vec::new();
        let mut add = |address: &Address, stands_for: Option<usize>| {
            let normal = address.normal();
            if !legs.iter().any(|l| l.address.normal() == normal) {
                legs.push(Leg { address: address.clone(), stands_for });
            }
        };
        if self.redirect.is_empty() {
            for (index, address) in recipients {
                let normal = address.normal();
                match self.moved.iter().find(|(from, _)| *from == normal) {
                    Some((_, to)) => add(to, Some(index)),
                    None => add(address, Some(index)),
                }
            }
        } else {
            self.redirect.iter().for_each(|address| add(address, None));
        }
        self.copies.iter().for_each(|address| add(address, None));
        legs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::address::Charset;

    #[test]
    fn legs() {
        let a = |text: &str| Address::parse(text, Charset::Ascii).unwrap();
        let to = [a("elm@x.uk"), a("oak@x.uk")];
        let leave = |route: &Route| {
            route.legs(to.iter().enumerate()).into_iter().map(|l| (l.address.as_str().to_string(), l.stands_for)).collect::<Vec<_>>()
        };
        let plain = Route::default();
        assert!(plain.is_as_sent() && !plain.is_another());
        assert_eq!(leave(&plain), [("elm@x.uk".into(), Some(0)), ("oak@x.uk".into(), Some(1))]);
        let copied = Route { copies: vec![a("clerk@x.uk"), a("OAK@X.uk")], ..Route::default() };
        assert!(!copied.is_as_sent() && !copied.is_another());
        assert_eq!(leave(&copied).len(), 3);
        let moved = Route { moved: vec![("elm@x.uk".into(), a("oak@x.uk"))], ..Route::default() };
        assert_eq!(leave(&moved), [("oak@x.uk".into(), Some(0))]);
        let redirected = Route { redirect: vec![a("clerk@x.uk")], ..moved };
        assert_eq!(leave(&redirected), [("clerk@x.uk".into(), None)]);
    }
}
