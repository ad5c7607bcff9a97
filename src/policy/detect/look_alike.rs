//! Domains that a hurried reader takes for another: letters that look alike, a hyphen more or less, another ending, the whole name
//! with something behind it.
//!
//! Councils' names differ by a letter (Kirby and Kirkby, Norton and Morton), so that one letter more or less counts only where no
//! honest name would differ: in `parishcouncil` and the like, as a letter doubled or two changed places.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Endings below which nobody gets a name without showing who they are.
const VETTED: &[&str] = &["gov.uk", "police.uk", "nhs.uk", "mod.uk", "parliament.uk", "ac.uk", "sch.uk", "gov.wales", "gov.scot"];

/// What a council's name is made of beside the place, the longest first; the marked ones claim to be a council.
const GENERIC: &[(&str, bool)] = &[
    ("communitycouncil", true),
    ("villagecouncil", true),
    ("parishcouncil", true),
    ("parishmeeting", true),
    ("towncouncil", true),
    ("citycouncil", true),
    ("council", true),
    ("parish", false),
    ("town", false),
    ("pc", false),
    ("tc", false),
];

/// Shorter names are near to too many others.
const SHORTEST: usize = 5;

/// Whether nobody could have registered the domain (in normal form) to deceive.
pub fn is_vetted(domain: &str) -> bool {
    VETTED.iter().any(|v| domain.strip_suffix(v).is_some_and(|rest| rest.ends_with('.')))
}

/// A text as it looks: lower case, without accents that are easily missed, with letters for the digits and letters that pass for
/// them (UTS 39 §4, and what is read alike in the fonts of mail programs).
pub fn fold(text: &str) -> String {
    let plain: Cow<'_, str> = if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        let composed: String = text.nfkc().collect::<String>().to_lowercase();
        Cow::Owned(unicode_security::skeleton(&composed).filter(|c| !('\u{300}'..='\u{36f}').contains(c)).collect())
    };
    let mut out = String::with_capacity(plain.len() + 4);
    for c in plain.chars().flat_map(char::to_lowercase) {
        match c {
            '0' => out.push('o'),
            '1' | '|' | 'i' | 'j' => out.push('l'),
            '3' => out.push('e'),
            '4' => out.push('a'),
            '5' | '$' => out.push('s'),
            '7' => out.push('t'),
            '8' => out.push('b'),
            '9' | 'q' => out.push('g'),
            'm' => out.push_str("rn"),
            'w' => out.push_str("vv"),
            'd' => out.push_str("cl"),
            other => out.push(other),
        }
    }
    out
}

/// Whether `domain` passes for `original`, and is not it nor a part of it. Both in normal form.
pub fn passes_for(domain: &str, original: &str) -> bool {
    if domain == original || crate::policy::alignment::is_aligned(domain, original) || domain.len() > 253 {
        return false;
    }
    let (theirs, ours) = (Name::of(domain), Name::of(original));
    // The whole name, with its ending, as a part of another: wragby.gov.uk.example.com, wragby-gov-uk.com.
    let (whole, wanted) = (compact(domain), compact(original));
    if original.contains('.') && wanted.chars().count() >= SHORTEST + 3 && whole.contains(&wanted) && !is_vetted(domain) {
        return true;
    }
    if ours.letters.chars().count() < SHORTEST {
        return false;
    }
    if theirs.letters == ours.letters {
        // The same to the eye. Written alike and with another ending, it may be the shop of the same village: a council's name it must be.
        let disguised = theirs.written != ours.written;
        // Given with care, it may be the council's next name; but not one that differs from this by a hyphen.
        let beside = psl::suffix_str(domain) == psl::suffix_str(original);
        return disguised || if is_vetted(domain) { beside } else { ours.claims_council() };
    }
    let (place, own) = (theirs.place(), ours.place());
    if !place.is_empty() && place == own && !is_vetted(domain) && theirs.claims_council() && ours.generic().is_some() {
        return true;
    }
    // The council's whole name with more around it, registered by anybody: wragbyparishcouncil-payments.com.
    if !is_vetted(domain) && ours.claims_council() && theirs.letters.contains(&ours.letters) {
        return true;
    }
    is_slip(&theirs, &ours)
}

/// The part of a domain that somebody chose.
struct Name {
    /// As written, without hyphens and dots; of an IDN, its own letters.
    written: String,
    /// As it looks.
    letters: String,
}

impl Name {
    fn of(domain: &str) -> Name {
        let ending = psl::suffix_str(domain).unwrap_or_default();
        // Below a council's own name a department; below anybody else's only what they registered counts.
        let chosen = match psl::domain_str(domain) {
            Some(registered) if !is_vetted(domain) => registered,
            _ => domain,
        };
        let chosen = chosen.strip_suffix(ending).unwrap_or(chosen).trim_end_matches('.');
        let (shown, _) = idna::domain_to_unicode(chosen);
        let written: String = shown.chars().filter(|c| !matches!(c, '-' | '.')).collect();
        Name { letters: fold(&written), written }
    }

    /// The council's word at the end of the name, as it looks, and whether it claims to be a council.
    fn generic(&self) -> Option<(String, bool)> {
        GENERIC
            .iter()
            .map(|(word, claims)| (fold(word), *claims))
            .find(|(word, _)| self.letters.ends_with(word.as_str()) && self.letters != *word)
    }

    fn claims_council(&self) -> bool {
        self.generic().is_some_and(|(_, claims)| claims)
    }

    /// The name without the council's word.
    fn place(&self) -> &str {
        let end = self.generic().map_or(0, |(word, _)| word.len());
        &self.letters[..self.letters.len() - end]
    }
}

fn compact(domain: &str) -> String {
    let (shown, _) = idna::domain_to_unicode(domain);
    fold(&shown.chars().filter(|c| !matches!(c, '-' | '.')).collect::<String>())
}

/// One slip of the finger between the names, of a kind that makes no other honest name.
fn is_slip(theirs: &Name, ours: &Name) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (theirs.letters.chars().collect(), ours.letters.chars().collect());
    let Some(slip) = Slip::between(&a, &b) else { return false };
    let place = ours.place().chars().count();
    match slip {
        Slip::Swapped(at) => at > 0 || b.len() > 2 * SHORTEST,
        // A letter twice, or a double letter once.
        Slip::Extra(at) if doubled(&a, at) => true,
        Slip::Missing(at) if doubled(&b, at) => true,
        // In the council's word: "parishcouncl" is nobody's honest name.
        Slip::Extra(at) | Slip::Missing(at) | Slip::Changed(at) => place < b.len() && at > place && ours.claims_council(),
    }
}

fn doubled(letters: &[char], at: usize) -> bool {
    let one = letters.get(at);
    one.is_some() && (one == letters.get(at + 1) || at.checked_sub(1).is_some_and(|before| one == letters.get(before)))
}

/// One difference, and where: in the longer name, or in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slip {
    Changed(usize),
    Swapped(usize),
    /// The first has a letter more.
    Extra(usize),
    /// The first has a letter less.
    Missing(usize),
}

impl Slip {
    /// The one slip that makes `b` of `a`; none where they are equal or more would be needed.
    fn between(a: &[char], b: &[char]) -> Option<Slip> {
        let at = a.iter().zip(b).take_while(|(x, y)| x == y).count();
        let (rest_a, rest_b) = (&a[at..], &b[at..]);
        match (rest_a, rest_b) {
            ([], []) => None,
            ([_, more @ ..], same) if more == same => Some(Slip::Extra(at)),
            (same, [_, more @ ..]) if more == same => Some(Slip::Missing(at)),
            ([_, x @ ..], [_, y @ ..]) if x == y => Some(Slip::Changed(at)),
            ([p, q, x @ ..], [r, s, y @ ..]) if p == s && q == r && x == y => Some(Slip::Swapped(at)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WRAGBY: &str = "wragbyparishcouncil.gov.uk";

    #[test]
    fn hits() {
        for domain in [
            "wragbyparishcouncil-gov.uk",
            "wragbyparishcouncil.gov.uk.example.com",
            "wragbyparishcouncil-gov-uk.com",
            "wragbyparishcouncilgovuk.com",
            "login.wragbyparishcouncil.gov.uk.evil.example",
            "wragbyparishcouncil.org.uk",
            "wragbyparishcouncil.co.uk",
            "wragbyparishcouncil.com",
            "wragby-parish-council.org.uk",
            "wragby-parishcouncil.gov.uk",
            "wragbyparishcounci1.gov.uk",
            "wragbypar1shc0uncil.org.uk",
            "vvragbyparishcouncil.gov.uk",
            "wraqbyparishcouncil.org.uk",
            "wragbyparishcouncl.gov.uk",
            "wragbyparishcouncill.gov.uk",
            "wragbyparishcuoncil.co.uk",
            "wragbyparrishcouncil.org.uk",
            "wargbyparishcouncil.gov.uk",
            "wraggbyparishcouncil.org.uk",
            "wragbyparishcounsil.com",
            "wragbyparishcouncil-payments.com",
            "secure-wragbyparishcouncil.co.uk",
            "wragbytowncouncil.org.uk",
            "wragbycouncil.com",
            // Cyrillic а; Greek ο.
            &crate::smtp::address::normal_domain("wrаgbyparishcouncil.gov.uk"),
            &crate::smtp::address::normal_domain("wragbyparishcοuncil.org.uk"),
            &crate::smtp::address::normal_domain("wràgbyparishcouncil.org.uk"),
        ] {
            assert!(passes_for(domain, WRAGBY), "{domain}");
        }
        for (domain, original) in [
            ("market-rasen-tc.org.uk", "marketrasentc.org.uk"),
            ("marketrasentowncouncil.com", "marketrasentc.gov.uk"),
            ("wragby.gov.uk.evil.example", "wragby.gov.uk"),
            ("wragby-gov-uk.com", "wragby.gov.uk"),
            ("linc0lnshire.gov.uk", "lincolnshire.gov.uk"),
            ("lincolnshire-gov.uk", "lincolnshire.gov.uk"),
            ("lincolnshrie.gov.uk", "lincolnshire.gov.uk"),
        ] {
            assert!(passes_for(domain, original), "{domain} {original}");
        }
    }

    #[test]
    fn near_misses() {
        for domain in [
            WRAGBY,
            "mail.wragbyparishcouncil.gov.uk",
            "wraxbyparishcouncil.gov.uk",
            "wraxbyparishcouncil.org.uk",
            "wraghamparishcouncil.gov.uk",
            "wrentham-tc.gov.uk",
            "wrenthamtowncouncil.gov.uk",
            "gautbyparishcouncil.gov.uk",
            "panton-and-wragbyparish.gov.uk",
            "westbarkwithparishcouncil.gov.uk",
            "wragby.co.uk",
            "wragbyparish.org",
            "wragbypc.co.uk",
            "wragbychurch.org.uk",
            "wragby.lincs.sch.uk",
            "lincolnshire.gov.uk",
            "e-lindsey.gov.uk",
            "parishcouncil.org.uk",
            "gov.uk",
            "uk",
            "",
            "gmail.com",
            "wragbyparishcouncil.onmicrosoft.com",
            "wragbyparishcouncil.sharepoint.com",
            "wragbyparishcouncil.example.com",
            "nalc.gov.uk",
            "council.example",
            "wragbyfloodgroup.org.uk",
        ] {
            assert!(!passes_for(domain, WRAGBY), "{domain}");
        }
        for (domain, original) in [
            ("kirbyparishcouncil.org.uk", "kirkbyparishcouncil.org.uk"),
            ("asbyparishcouncil.gov.uk", "ashbyparishcouncil.gov.uk"),
            ("nortonparishcouncil.org.uk", "mortonparishcouncil.org.uk"),
            ("barnabyparishcouncil.org.uk", "barnbyparishcouncil.org.uk"),
            ("eastonparishcouncil.org.uk", "westonparishcouncil.org.uk"),
            ("greatmortonparishcouncil.org.uk", "greatnortonparishcouncil.org.uk"),
            ("caistorparishcouncil.org.uk", "caisterparishcouncil.org.uk"),
            ("wragby.co.uk", "wragby.gov.uk"),
            ("wragby.org.uk", "wragby.gov.uk"),
            ("wragbyparishcouncil.gov.uk", "wragbyparishcouncil.org.uk"),
            ("ely.org.uk", "ely.gov.uk"),
            ("sly.gov.uk", "ely.gov.uk"),
            ("northkelseyparishcouncil.org.uk", "southkelseyparishcouncil.org.uk"),
        ] {
            assert!(!passes_for(domain, original), "{domain} {original}");
        }
    }

    /// The number of single edits and swaps of neighbours between two words, by the plain table (Damerau, restricted).
    fn distance(a: &[char], b: &[char]) -> usize {
        let mut d = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                d[i][j] = match (i, j) {
                    (0, n) | (n, 0) => n,
                    _ => {
                        let changed = d[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                        let mut best = changed.min(d[i - 1][j] + 1).min(d[i][j - 1] + 1);
                        if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                            best = best.min(d[i - 2][j - 2] + 1);
                        }
                        best
                    }
                };
            }
        }
        d[a.len()][b.len()]
    }

    proptest! {
        /// One slip is found exactly where the table says one.
        #[test]
        fn a_slip_is_a_distance_of_one(a in "[abc]{0,8}", b in "[abc]{0,8}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(Slip::between(&a, &b).is_some(), distance(&a, &b) == 1);
        }

        /// No domain passes for itself or for what it is a part of; nothing panics.
        #[test]
        fn never_for_itself(domain in "[a-z0-9.-]{0,40}|\\PC{0,20}", below in "[a-z]{1,8}") {
            prop_assert!(!passes_for(&domain, &domain));
            let part = format!("{below}.{WRAGBY}");
            prop_assert!(!passes_for(&part, WRAGBY));
            let _ = passes_for(&domain, WRAGBY);
            let once = fold(&domain);
            prop_assert!(!domain.is_ascii() || fold(&once) == once);
        }

        /// Digits for letters, and hyphens anywhere, deceive nobody here.
        #[test]
        fn disguises_are_seen(digits in proptest::collection::vec(any::<bool>(), 19), hyphen in 1usize..18) {
            let name: String = "wragbyparishcouncil".chars().zip(&digits).map(|(c, swap)| match (c, swap) {
                ('i' | 'l', true) => '1',
                ('o', true) => '0',
                ('a', true) => '4',
                ('s', true) => '5',
                (c, _) => c,
            }).collect();
            let domain = format!("{}-{}.org.uk", &name[..hyphen], &name[hyphen..]);
            prop_assert!(passes_for(&domain, WRAGBY), "{}", domain);
        }
    }
}
