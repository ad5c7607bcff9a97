//! Two people of nearly the same name: is a recipient outside perhaps not the one that was meant?
//!
//! A mail program completes "jane" to whoever it saw last. Names are compared as people mistake them: the same name elsewhere,
//! forename and surname exchanged, a letter or two wrong. Namesakes exist, so this asks for a second look and proves nothing;
//! together with a first contact it is rare enough to be worth one.

use super::own_account::words;

/// Somebody, by the names that can be had.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// In normal form.
    pub address: &'a str,
    pub display: Option<&'a str>,
}

/// Letters of a name that are looked at.
const LETTERS: usize = 64;
/// Fewer letters than this are no name that could be mistaken: "jo", "info".
const SHORTEST: usize = 5;
/// From so many letters on, two of them may be wrong.
const LONG: usize = 9;
/// A message to more people than this is no slip of the hand: its recipients are not held against one another.
const FEW: usize = 20;
/// People that a recipient is held against.
const MOST: usize = 500;

/// The addresses among `candidates` whose name is nearly that of one of the `others`, who may be the same people. `is_council`
/// tells the council's addresses, whose domain must not be imitated.
pub fn among(candidates: &[Named<'_>], others: &[Named<'_>], is_council: &dyn Fn(&str) -> bool) -> Vec<String> {
    let many = candidates.len() > FEW;
    let others: Vec<(Forms, bool, &str)> = others
        .iter()
        .filter(|o| !many || is_council(o.address))
        .take(MOST)
        .map(|o| (Forms::of(*o), is_council(o.address), o.address))
        .collect();
    let near = candidates.iter().filter(|candidate| {
        let forms = Forms::of(**candidate);
        others.iter().any(|(other, council, address)| {
            *address != candidate.address && (forms.is_near(other) || (*council && imitates(candidate.address, address)))
        })
    });
    near.map(|c| c.address.to_string()).collect()
}

/// The names of one person: of the local part and of the display name, offices and titles off.
struct Forms {
    names: Vec<Name>,
}

struct Name {
    words: Vec<String>,
    /// All of it, and with its words in the alphabet's order.
    letters: Vec<char>,
    sorted: Vec<char>,
}

impl Forms {
    fn of(named: Named<'_>) -> Forms {
        let local = named.address.rsplit_once('@').map_or(named.address, |(local, _)| local);
        // What follows a plus is a folder of the same person's.
        let local = local.split('+').next().unwrap_or_default();
        // A display name that is an address says nothing of its own.
        let display = named.display.filter(|d| !d.contains('@'));
        Forms { names: [Some(local), display].into_iter().flatten().filter_map(Name::of).collect() }
    }

    fn is_near(&self, other: &Forms) -> bool {
        self.names.iter().any(|a| other.names.iter().any(|b| a.is_near(b)))
    }
}

impl Name {
    fn of(text: &str) -> Option<Name> {
        let mut words = words(text);
        let letters: Vec<char> = words.iter().flat_map(|w| w.chars()).take(LETTERS).collect();
        words.sort();
        let sorted = words.iter().flat_map(|w| w.chars()).take(LETTERS).collect();
        (letters.len() >= SHORTEST).then_some(Name { words, letters, sorted })
    }

    fn is_near(&self, other: &Name) -> bool {
        let wrong = if self.letters.len().min(other.letters.len()) >= LONG { 2 } else { 1 };
        // Words in another order are the same name ("ashby.jane"); one long word is not taken apart.
        (self.words.len() > 1 && self.words == other.words)
            || within(&self.letters, &other.letters, wrong)
            || (self.words.len() > 1 && other.words.len() > 1 && within(&self.sorted, &other.sorted, wrong))
    }
}

/// The same local part, whatever it is, at a domain that could be taken for the council's: another ending, a letter wrong.
fn imitates(address: &str, council: &str) -> bool {
    let (Some((local, domain)), Some((theirs, real))) = (address.rsplit_once('@'), council.rsplit_once('@')) else { return false };
    if local != theirs || domain == real {
        return false;
    }
    let first = |d: &str| d.split('.').next().unwrap_or_default().to_string();
    let (a, b): (Vec<char>, Vec<char>) = (first(domain).chars().take(LETTERS).collect(), first(real).chars().take(LETTERS).collect());
    a.len().min(b.len()) >= SHORTEST && within(&a, &b, if a.len().min(b.len()) >= LONG { 2 } else { 1 })
}

/// Whether one becomes the other with at most `most` letters put in, left out, changed, or exchanged with their neighbour
/// (restricted Damerau-Levenshtein distance).
fn within(a: &[char], b: &[char], most: usize) -> bool {
    if a.len().abs_diff(b.len()) > most {
        return false;
    }
    if a == b {
        return true;
    }
    let width = b.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    let mut row: Vec<usize> = vec![0; width];
    for i in 1..=a.len() {
        row[0] = i;
        for j in 1..width {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + cost);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row[j] = least;
        }
        // Distances never fall again from one row to the next but one.
        if row.iter().chain(&last).all(|d| *d > most) {
            return false;
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[width - 1] <= most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(candidate: (&str, Option<&str>), other: (&str, Option<&str>)) -> bool {
        let named = |(address, display)| Named { address, display };
        !among(&[named(candidate)], &[named(other)], &|a| a.ends_with("@wragbyparishcouncil.gov.uk")).is_empty()
    }

    #[test]
    fn names_that_are_mistaken_for_one_another() {
        let jane = ("jane.ashby@wragbyparishcouncil.gov.uk", Some("Cllr Jane Ashby"));
        for (address, display) in [
            ("jane.ashby@gmail.com", None),
            ("janeashby@sky.com", None),
            ("ashby.jane@btinternet.com", None),
            ("jayne.ashby@gmail.com", None),
            ("jane.asbhy@gmail.com", None),
            ("jane.ashbey@gmail.com", None),
            ("jane_ashby57@gmail.com", None),
            ("jane.ashby+news@gmail.com", None),
            ("rosebud@gmail.com", Some("Jane Ashby")),
            ("rosebud@gmail.com", Some("Ashby, Jane (Mrs)")),
            ("rosebud@gmail.com", Some("Jayne Ashby")),
        ] {
            assert!(near((address, display), jane), "{address} {display:?}");
        }
        for (address, display) in [
            ("jane.smith@gmail.com", None),
            ("ashby@gmail.com", None),
            ("tom.ashby@gmail.com", None),
            ("jashby@gmail.com", None),
            ("info@ashby.co.uk", None),
            ("jane@gmail.com", Some("Jane")),
            ("rosebud@gmail.com", Some("jane.ashby@wragbyparishcouncil.gov.uk")),
            ("rosebud@gmail.com", None),
        ] {
            assert!(!near((address, display), jane), "{address} {display:?}");
        }
        // An office is no name, wherever it is.
        assert!(!near(("clerk@other-council.gov.uk", Some("Parish Clerk")), ("clerk@wragbyparishcouncil.gov.uk", Some("The Clerk"))));
        // Nobody is nearly themselves.
        assert!(!near(jane, jane));
    }

    #[test]
    fn a_domain_that_could_be_the_councils() {
        let clerk = ("clerk@wragbyparishcouncil.gov.uk", None);
        for address in [
            "clerk@wragbyparishcouncil.org.uk",
            "clerk@wragbyparishcouncil.co.uk",
            "clerk@wragbyparishcouncl.gov.uk",
            "clerk@wragbyparishcouncil.gov.uk.com",
        ] {
            assert!(near((address, None), clerk), "{address}");
        }
        for address in ["clerk@wrentham.gov.uk", "clerk@gmail.com", "chair@wragbyparishcouncil.org.uk"] {
            assert!(!near((address, None), clerk), "{address}");
        }
    }

    #[test]
    fn others_on_the_same_message() {
        let named = |address| Named { address, display: None };
        let both = [named("ann.green@gmail.com"), named("anne.green@gmail.com"), named("bob.hill@sky.com")];
        assert_eq!(among(&both, &both, &|_| false), ["ann.green@gmail.com", "anne.green@gmail.com"]);
        // A mailing to a street has namesakes: only the council's own people count then.
        let street: Vec<String> = (0..30).map(|n| format!("ann.green{n}@gmail.com")).collect();
        let street: Vec<Named<'_>> = street.iter().map(|a| named(a)).collect();
        assert!(among(&street, &street, &|_| false).is_empty());
    }

    /// The same, straight from the definition.
    fn distance(a: &[char], b: &[char]) -> usize {
        match (a, b) {
            ([], rest) | (rest, []) => rest.len(),
            ([a0 @ .., x], [b0 @ .., y]) => {
                let mut least = (distance(a0, b) + 1).min(distance(a, b0) + 1).min(distance(a0, b0) + usize::from(x != y));
                if let ([a1 @ .., p], [b1 @ .., q]) = (a0, b0)
                    && (p, x) == (y, q)
                {
                    least = least.min(distance(a1, b1) + 1);
                }
                least
            }
        }
    }

    proptest! {
        #[test]
        fn distances_are_as_defined(a in "[a-c]{0,6}", b in "[a-c]{0,6}", most in 0usize..3) {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(within(&a, &b, most), distance(&a, &b) <= most);
        }

        #[test]
        fn being_near_goes_both_ways(a in ".{0,12}@[a-z]{1,6}", b in ".{0,12}@[a-z]{1,6}", x in proptest::option::of(".{0,14}"), y in proptest::option::of(".{0,14}")) {
            let forms = |address: &str, display: Option<&str>| Forms::of(Named { address, display });
            let (one, other) = (forms(&a, x.as_deref()), forms(&b, y.as_deref()));
            prop_assert_eq!(one.is_near(&other), other.is_near(&one));
        }

        /// One slip of the hand in a long name is always seen.
        #[test]
        fn a_slip_is_seen(name in "[a-z]{4,8}[.][a-z]{5,9}", at in 0usize..9, letter in "[a-z]") {
            let mut slipped = name.clone();
            let at = at.min(name.len() - 1);
            if name.as_bytes()[at] != b'.' {
                slipped.replace_range(at..=at, &letter);
            }
            let offices = |n: &str| words(n).concat().len() + 1 < n.len();
            prop_assume!(!offices(&name) && !offices(&slipped));
            let (a, b) = (format!("{name}@gmail.com"), format!("{slipped}@wragby.uk"));
            prop_assert!(near((&a, None), (&b, None)), "{} {}", a, b);
        }
    }
}
