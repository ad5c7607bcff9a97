//! Whether two domains answer to the same owner (RFC 7489 §3.1: relaxed alignment), by the public suffix list.

use crate::smtp::address::normal_domain;

/// The domain that somebody registered, of which `domain` (in normal form) is or is a part: `parish.gov.uk` of `mail.parish.gov.uk`.
/// None of a public suffix itself, below which strangers live side by side.
pub fn organisational_domain(domain: &str) -> Option<&str> {
    psl::domain_str(domain.trim_end_matches('.'))
}

/// Whether `domain` speaks for addresses at `author`, and the other way round. In any form.
pub fn is_aligned(domain: &str, author: &str) -> bool {
    let (domain, author) = (normal_domain(domain), normal_domain(author));
    !domain.is_empty() && (domain == author || organisational_domain(&domain).is_some_and(|d| organisational_domain(&author) == Some(d)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn owners() {
        for (a, b, aligned) in [
            ("wragby.gov.uk", "wragby.gov.uk", true),
            ("mail.wragby.gov.uk", "wragby.gov.uk", true),
            ("WRAGBY.gov.uk.", "bounces.wragby.gov.uk", true),
            ("wragby.gov.uk", "wrentham.gov.uk", false),
            ("gov.uk", "wragby.gov.uk", false),
            ("co.uk", "x.co.uk", false),
            ("gmail.com", "mail.gmail.com", true),
            ("notwragby.gov.uk", "wragby.gov.uk", false),
            ("wragby.gov.uk.evil.example", "wragby.gov.uk", false),
            ("", "", false),
            ("test", "test", true),
            ("a.test", "b.a.test", true),
            ("xn--bcher-kva.de", "bücher.de", true),
            // Below a private suffix strangers live side by side.
            ("a.github.io", "b.github.io", false),
        ] {
            assert_eq!((is_aligned(a, b), is_aligned(b, a)), (aligned, aligned), "{a} {b}");
        }
    }

    proptest! {
        /// It is an equivalence on what can be registered.
        #[test]
        fn is_an_equivalence(names in proptest::collection::vec("(mail\\.)?(x|y)\\.(example|co\\.uk|gov\\.uk|com)", 3)) {
            let aligned = |i: usize, j: usize| is_aligned(&names[i], &names[j]);
            prop_assert!(aligned(0, 0));
            prop_assert_eq!(aligned(0, 1), aligned(1, 0));
            prop_assert!(!(aligned(0, 1) && aligned(1, 2)) || aligned(0, 2));
        }
    }
}
