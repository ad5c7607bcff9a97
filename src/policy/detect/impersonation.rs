//! Mail that passes for the council's, or for somebody of the council: a domain that looks like the council's, or a borrowed name.
//!
//! Only what a stranger shows is looked at: From at an address outside, and Reply-To where From is written as the council's own. Who
//! has a right to the name is let alone: partners, and names below endings that are given to nobody unseen (`gov.uk`); a person's
//! own registered account is theirs if it is proven.

use super::look_alike::{fold, is_vetted, passes_for};
use super::own_account;
use crate::policy::account_key;
use crate::policy::people::domain_of;
use crate::policy::rule::{CouncilFacts, Member};
use crate::smtp::address::normal_domain;

/// Addresses in From that are looked at: mail has one.
const AUTHORS: usize = 20;
/// Characters of a name that a reader sees.
const SHOWN: usize = 300;

/// A name that is not the sender's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'p> {
    pub to_be: Whose<'p>,
    pub how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'p> {
    Council,
    Clerk,
    Chair,
    Member(&'p Member),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    LookAlikeDomain,
    Name,
    /// A council address stands where the name should.
    AddressShown,
    /// The account itself bears the council's name: `wragbyclerk@gmail.com`.
    Account,
    /// Answers would go to such a one.
    ReplyTo,
    /// It is that person's own registered account: theirs, if it is proven.
    OwnAccount,
}

impl How {
    pub fn words(self) -> &'static str {
        match self {
            How::LookAlikeDomain => "its domain passes for the council's",
            How::Name => "it comes from outside under a name of the council's",
            How::AddressShown => "it shows a council address where a name should be, and comes from another",
            How::Account => "it comes from an outside account that bears the council's name",
            How::ReplyTo => "answers to it would go to somebody who passes for the council",
            How::OwnAccount => "it comes from somebody's own account, and nothing proves it",
        }
    }
}

/// What is known of the sender.
pub struct Shown<'a> {
    /// From: normal form, and the name beside it.
    pub authors: &'a [(String, Option<String>)],
    pub reply_to: &'a [(String, Option<String>)],
    /// From is written as the council's, and nothing but what is written says so (mx).
    pub unproven_council: bool,
}

/// Every claim that the message makes and has no right to. `is_council` and `is_partner` of an address in normal form.
pub fn claims<'p>(
    council: &'p CouncilFacts,
    shown: &Shown<'_>,
    is_council: &dyn Fn(&str) -> bool,
    is_partner: &dyn Fn(&str) -> bool,
) -> Vec<Claim<'p>> {
    let mut out = Vec::new();
    let reader = Reader::new(council);
    for (address, name) in shown.authors.iter().take(AUTHORS) {
        if !is_council(address) && !is_partner(address) {
            reader.look(address, name.as_deref(), is_council, &mut out);
        } else if is_council(address) && shown.unproven_council {
            let mut found = Vec::new();
            for (reply, name) in shown.reply_to.iter().take(AUTHORS).filter(|(reply, _)| !is_council(reply) && !is_partner(reply)) {
                reader.look(reply, name.as_deref(), is_council, &mut found);
            }
            out.extend(found.into_iter().map(|c| Claim { how: if c.how == How::OwnAccount { c.how } else { How::ReplyTo }, ..c }));
        }
    }
    out
}

/// Words that a council's own title is made of.
const COUNCIL_WORDS: &[&str] = &["parish", "town", "community", "village", "city", "council", "pc", "tc"];
/// Words that may stand about a title and say nothing against it.
const FILLERS: &[&str] = &[
    "the", "to", "of", "for", "at", "from", "and", "on", "behalf", "office", "admin", "rfo", "proper", "officer", "mr", "mrs", "ms",
    "miss", "dr",
];
const CLERK: &[&str] = &["clerk", "clerks"];
const CHAIR: &[&str] = &["chair", "chairman", "chairwoman", "chairperson", "mayor"];
/// Before a place they make another place of it: Market Rasen is not Rasen.
const QUALIFIERS: &[&str] = &[
    "north", "south", "east", "west", "great", "little", "upper", "lower", "old", "new", "market", "long", "middle", "high", "low",
    "nether", "over", "church", "st", "saint", "kings", "bishops", "abbots", "castle", "temple", "and", "with", "cum", "near", "next",
    "friends",
];

/// The council's names, ready to be found in others.
struct Reader<'p> {
    council: &'p CouncilFacts,
    /// The place, as it looks, word by word.
    place: Vec<String>,
}

impl<'p> Reader<'p> {
    fn new(council: &'p CouncilFacts) -> Reader<'p> {
        let place = tokens(&council.name).into_iter().filter(|w| !is_any(w, COUNCIL_WORDS) && !is_any(w, &["the", "of"])).collect();
        Reader { council, place }
    }

    /// One outside address with the name beside it.
    fn look(&self, address: &str, name: Option<&str>, is_council: &dyn Fn(&str) -> bool, out: &mut Vec<Claim<'p>>) {
        let domain = domain_of(address);
        let local = address.rsplit_once('@').map_or("", |(local, _)| local);
        if self.council.domains.iter().any(|d| passes_for(domain, d)) {
            out.push(Claim { to_be: Whose::Council, how: How::LookAlikeDomain });
            self.by_account(local, out);
        }
        if is_vetted(domain) {
            return;
        }
        self.by_local_part(local, out);
        let Some(name) = name.map(|n| n.chars().take(SHOWN).collect::<String>()) else { return };
        if says_via(&name, address) {
            return;
        }
        self.by_address_shown(&name, is_council, out);
        let words = tokens(&name);
        self.by_title(&words, out);
        self.by_person(&words, address, out);
    }

    /// At a look-alike domain the account says whose.
    fn by_account(&self, local: &str, out: &mut Vec<Claim<'p>>) {
        let same = |a: &Option<String>| a.as_deref().and_then(|a| a.rsplit_once('@')).is_some_and(|(l, _)| fold(l) == fold(local));
        if same(&self.council.clerk) || is_any(&fold(local), CLERK) {
            out.push(Claim { to_be: Whose::Clerk, how: How::LookAlikeDomain });
        }
        if same(&self.council.chair) || is_any(&fold(local), CHAIR) {
            out.push(Claim { to_be: Whose::Chair, how: How::LookAlikeDomain });
        }
        let members = self.council.people.iter().filter(|m| same(&Some(m.address.clone())));
        out.extend(members.map(|m| Claim { to_be: Whose::Member(m), how: How::LookAlikeDomain }));
    }

    /// The account is made of the place and the council's own words, and of nothing else.
    fn by_local_part(&self, local: &str, out: &mut Vec<Claim<'p>>) {
        let letters: String = local.chars().filter(|c| c.is_alphanumeric()).take(80).collect();
        let letters = fold(letters.trim_end_matches(|c: char| c.is_ascii_digit()));
        let plain = |domain: &String| fold(&domain.chars().filter(|c| c.is_alphanumeric()).collect::<String>());
        if self.council.domains.iter().any(|d| letters.contains(&plain(d))) {
            out.push(Claim { to_be: Whose::Council, how: How::Account });
        }
        let place = self.place.concat();
        if place.is_empty() {
            return;
        }
        for (at, _) in letters.match_indices(&place) {
            let rest = [&letters[..at], &letters[at + place.len()..]];
            let words: Option<Vec<&str>> = rest.iter().try_fold(Vec::new(), |mut all, part| {
                all.extend(split_words(part)?);
                Some(all)
            });
            let Some(words) = words else { continue };
            let has = |any: &[&str]| words.iter().any(|w| any.contains(w));
            if has(CLERK) {
                out.push(Claim { to_be: Whose::Clerk, how: How::Account });
            }
            if has(CHAIR) && has(COUNCIL_WORDS) {
                out.push(Claim { to_be: Whose::Chair, how: How::Account });
            }
            if has(&["council", "clerk"]) || (has(&["pc", "tc"]) && words.len() > 1) {
                out.push(Claim { to_be: Whose::Council, how: How::Account });
            }
            return;
        }
    }

    /// `"clerk@wragby.gov.uk" <x@elsewhere.example>`.
    fn by_address_shown(&self, name: &str, is_council: &dyn Fn(&str) -> bool, out: &mut Vec<Claim<'p>>) {
        use unicode_normalization::UnicodeNormalization as _;
        let name: String = name.nfkc().collect();
        let delimiter = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '[' | ']' | '"' | '\'' | ',' | ';' | ':');
        for word in name.split(delimiter).filter(|w| w.len() <= 320) {
            let Some((local, domain)) = word.rsplit_once('@') else { continue };
            let address = crate::smtp::address::normal(local, domain.trim_end_matches('.'));
            let own = is_council(&address) || self.council.domains.iter().any(|d| passes_for(&normal_domain(domain), d));
            if local.is_empty() || !own {
                continue;
            }
            out.push(Claim { to_be: Whose::Council, how: How::AddressShown });
            if self.council.clerk.as_deref() == Some(&*address) {
                out.push(Claim { to_be: Whose::Clerk, how: How::AddressShown });
            }
            if self.council.chair.as_deref() == Some(&*address) {
                out.push(Claim { to_be: Whose::Chair, how: How::AddressShown });
            }
            let members = self.council.people.iter().filter(|m| m.address == address);
            out.extend(members.map(|m| Claim { to_be: Whose::Member(m), how: How::AddressShown }));
        }
    }

    /// "Clerk to Wragby Parish Council", "Wragby PC", "Wragby Clerk".
    fn by_title(&self, words: &[String], out: &mut Vec<Claim<'p>>) {
        let n = self.place.len();
        if n == 0 || words.len() < n {
            return;
        }
        let has = |any: &[&str]| words.iter().any(|w| is_any(w, any));
        for at in 0..=words.len() - n {
            if words[at..at + n] != self.place[..] || at.checked_sub(1).is_some_and(|before| self.is_other_place(words, before)) {
                continue;
            }
            let after = &words[at + n..];
            let named = match after {
                [a, b, ..] if is_any(b, &["council"]) => is_any(a, COUNCIL_WORDS),
                [a, ..] => is_any(a, &["council", "pc", "tc"]),
                [] => false,
            } || (at >= 2 && is_any(&words[at - 1], &["of"]) && is_any(&words[at - 2], &["council"]));
            // A title and the place, and no word that could be another body's: "Clerk to Wragby School Governors".
            let only = words
                .iter()
                .enumerate()
                .all(|(i, w)| (at..at + n).contains(&i) || [COUNCIL_WORDS, FILLERS, CLERK, CHAIR].iter().any(|set| is_any(w, set)));
            if !named && !(only && (has(CLERK) || has(CHAIR))) {
                continue;
            }
            if named {
                out.push(Claim { to_be: Whose::Council, how: How::Name });
            }
            if has(CLERK) {
                out.push(Claim { to_be: Whose::Clerk, how: How::Name });
            }
            if has(CHAIR) {
                out.push(Claim { to_be: Whose::Chair, how: How::Name });
            }
            return;
        }
    }

    /// The word there makes another place, or another body, of what follows.
    fn is_other_place(&self, words: &[String], before: usize) -> bool {
        let word = &words[before];
        if !is_any(word, QUALIFIERS) {
            return false;
        }
        // "Clerk and RFO": an "and" behind a title joins no places.
        let joined = is_any(word, &["and", "with"]);
        !joined || before.checked_sub(1).is_some_and(|i| ![COUNCIL_WORDS, FILLERS, CLERK, CHAIR].iter().any(|set| is_any(&words[i], set)))
    }

    /// Forename and surname of somebody of the council, with nothing beside them but titles, initials and the council's own words.
    fn by_person(&self, words: &[String], address: &str, out: &mut Vec<Claim<'p>>) {
        for member in &self.council.people {
            if account_key::is_registered(&member.personal, address, self.council.account_key.as_ref()) {
                let claims = self.persons(member).map(|to_be| Claim { to_be, how: How::OwnAccount });
                out.extend(claims);
                continue;
            }
            let name = tokens(member.name.as_deref().unwrap_or_default());
            let name: Vec<String> = name.into_iter().filter(|w| !is_any(w, own_account::OFFICES)).collect();
            let (Some(first), Some(last)) = (name.first(), name.last()) else { continue };
            if name.len() < 2 || !words.contains(first) || !words.contains(last) {
                continue;
            }
            let more = |w: &String| {
                name.contains(w)
                    || is_initial(w)
                    || self.place.contains(w)
                    || [COUNCIL_WORDS, FILLERS, CLERK, CHAIR, own_account::OFFICES].iter().any(|set| is_any(w, set))
            };
            if words.iter().all(more) {
                out.extend(self.persons(member).map(|to_be| Claim { to_be, how: How::Name }));
            }
        }
    }

    /// A member, and the office that they hold.
    fn persons(&self, member: &'p Member) -> impl Iterator<Item = Whose<'p>> + use<'p> {
        let holds = |office: &Option<String>| office.as_deref() == Some(&*member.address);
        let clerk = holds(&self.council.clerk).then_some(Whose::Clerk);
        let chair = holds(&self.council.chair).then_some(Whose::Chair);
        [Some(Whose::Member(member)), clerk, chair].into_iter().flatten()
    }
}

/// "Wragby Parish Council via DocuSign" from DocuSign: a service that says which it is, as mailing lists do.
fn says_via(name: &str, address: &str) -> bool {
    let Some((_, service)) = name.to_lowercase().rsplit_once(" via ").map(|(who, service)| (who.to_string(), service.to_string())) else {
        return false;
    };
    let service: String = service.chars().filter(|c| c.is_alphanumeric()).collect();
    let (local, domain) = address.rsplit_once('@').unwrap_or(("", address));
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let registered = psl::domain_str(domain).unwrap_or(domain);
    let label = plain(registered.split('.').next().unwrap_or_default());
    service.len() >= 3 && (service.starts_with(&label) && !label.is_empty() || label.starts_with(&service) || plain(local) == service)
}

/// A name's words as they look.
fn tokens(name: &str) -> Vec<String> {
    let name: String = name.chars().filter(|c| !matches!(c, '\'' | '’' | '‘' | '`' | '\u{200b}'..='\u{200f}' | '\u{ad}')).collect();
    let name = name.replace("P.C.", "PC").replace("T.C.", "TC").replace('&', " and ");
    name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(40).map(fold).collect()
}

/// One letter, of which some look like two.
fn is_initial(word: &str) -> bool {
    word.chars().count() == 1 || ["rn", "vv", "cl"].contains(&word)
}

/// Whether a folded word is one of these.
fn is_any(word: &str, any: &[&str]) -> bool {
    any.iter().any(|a| fold(a) == word)
}

/// Folded letters as council words one after another; none where something is left over.
fn split_words(letters: &str) -> Option<Vec<&'static str>> {
    let known = || [COUNCIL_WORDS, CLERK, CHAIR, FILLERS].into_iter().flatten();
    let mut out = Vec::new();
    let mut rest = letters;
    while !rest.is_empty() {
        let fits = known().map(|word| (word, fold(word))).filter(|(_, folded)| rest.starts_with(folded.as_str()));
        let (word, folded) = fits.max_by_key(|(_, folded)| folded.len())?;
        out.push(*word);
        rest = &rest[folded.len()..];
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn council() -> CouncilFacts {
        let member = |name: &str, address: &str, personal: &[&str]| Member {
            address: address.into(),
            name: Some(name.into()),
            personal: personal.iter().map(|p| p.to_string()).collect(),
        };
        CouncilFacts {
            name: "Wragby Parish Council".into(),
            domains: vec!["wragbyparishcouncil.gov.uk".into()],
            clerk: Some("clerk@wragbyparishcouncil.gov.uk".into()),
            chair: Some("chair@wragbyparishcouncil.gov.uk".into()),
            people: vec![
                member("Margaret O'Brien", "clerk@wragbyparishcouncil.gov.uk", &[]),
                member("Cllr Jane Ashby", "chair@wragbyparishcouncil.gov.uk", &["jane.ashby57@btinternet.com"]),
                member("Tom Elm", "cllr.elm@wragbyparishcouncil.gov.uk", &[]),
            ],
            account_key: None,
        }
    }

    /// Whose names From claims, as short words.
    fn claimed(from: &str, reply_to: Option<&str>) -> Vec<String> {
        let split = |text: &str| match text.rsplit_once(" <") {
            Some((name, address)) => (address.trim_end_matches('>').to_string(), Some(name.trim_matches('"').to_string())),
            None => (text.to_string(), None),
        };
        let council = council();
        let (authors, reply): (Vec<_>, Vec<_>) = (vec![split(from)], reply_to.map(split).into_iter().collect());
        let shown = Shown { authors: &authors, reply_to: &reply, unproven_council: true };
        let is_council = |a: &str| domain_of(a) == "wragbyparishcouncil.gov.uk";
        let is_partner = |a: &str| domain_of(a) == "lincolnshire.gov.uk" || a == "auditor@audit.example";
        let mut out: Vec<String> = claims(&council, &shown, &is_council, &is_partner)
            .iter()
            .map(|c| {
                let own = if c.how == How::OwnAccount { "own " } else { "" };
                match c.to_be {
                    Whose::Council => format!("{own}council"),
                    Whose::Clerk => format!("{own}clerk"),
                    Whose::Chair => format!("{own}chair"),
                    Whose::Member(m) => format!("{own}{}", m.address.split('@').next().unwrap_or_default().trim_start_matches("cllr.")),
                }
            })
            .collect();
        out.sort();
        out.dedup();
        out
    }

    #[test]
    fn hits() {
        for (from, whose) in [
            ("Wragby Parish Council <office@mail.example>", "council"),
            ("Clerk to Wragby Parish Council <clerk@outlook.com>", "clerk council"),
            ("Wragby Parish Council (Clerk) <x@gmail.com>", "clerk council"),
            ("WRAGBY PARISH COUNCIL <x@gmail.com>", "council"),
            ("Wragby PC <x@gmail.com>", "council"),
            ("Wragby Clerk <x@gmail.com>", "clerk"),
            ("The Clerk, Wragby <x@gmail.com>", "clerk"),
            ("Chairman of Wragby Parish Council <x@gmail.com>", "chair council"),
            ("Wragby Town Council <x@gmail.com>", "council"),
            ("Accounts - Wragby Parish Council <pay@supplier.example>", "council"),
            ("Wrаgby Parish Cοuncil <x@gmail.com>", "council"),
            ("Wragby P.C. Clerk & RFO <x@gmail.com>", "clerk council"),
            ("Parish Council of Wragby <x@gmail.com>", "council"),
            ("Margaret O'Brien <m.obrien@mail.example>", "clerk"),
            ("Margaret O’Brien (Clerk) <x@gmail.com>", "clerk"),
            ("O'Brien, Margaret <x@gmail.com>", "clerk"),
            ("Jane Ashby <jane.ashby99@gmail.com>", "chair"),
            ("Cllr. Jane M. Ashby <x@gmail.com>", "chair"),
            ("Jane Ashby, Chair of Wragby PC <x@gmail.com>", "chair council"),
            ("Tom Elm <tom.elm@gmail.com>", "elm"),
            ("Councillor Tom Elm <x@mail.example>", "elm"),
            ("\"clerk@wragbyparishcouncil.gov.uk\" <x@evil.example>", "clerk council"),
            ("\"Clerk <clerk@wragbyparishcouncil.gov.uk>\" <x@evil.example>", "clerk council"),
            ("\"clerk＠wragbyparishcouncil.gov.uk\" <x@evil.example>", "clerk council"),
            ("\"allotments@wragbyparishcouncil.gov.uk\" <x@evil.example>", "council"),
            ("\"clerk@wragbyparishcouncil-gov.uk\" <x@evil.example>", "council"),
            ("clerk@wragbyparishcouncil-gov.uk", "clerk council"),
            ("chair@wragbyparishcouncil.org.uk", "chair council"),
            ("Bob <cllr.elm@wragbyparishcouncil.gov.uk.example.com>", "council elm"),
            ("allotments@wragbyparishcounci1.gov.uk", "council"),
            ("wragbyclerk@gmail.com", "clerk council"),
            ("wragby.parish.clerk@outlook.com", "clerk council"),
            ("wragbyparishcouncil@gmail.com", "council"),
            ("clerk.wragby.pc2024@gmail.com", "clerk council"),
            ("chair.wragbyparishcouncil@gmail.com", "chair council"),
            ("wragbyparishcouncil.gov.uk@gmail.com", "council"),
            // The Chair's own account, if it is proven.
            ("Jane Ashby <jane.ashby57@btinternet.com>", "own chair"),
        ] {
            assert_eq!(claimed(from, None).join(" "), whose, "{from}");
        }
    }

    #[test]
    fn near_misses() {
        for from in [
            "Clerk <clerk@wragbyparishcouncil.gov.uk>",
            "Parish Clerk <clerk@gautbyparishcouncil.gov.uk>",
            "The Clerk <clerk@gautby-pc.org.uk>",
            "Clerk to Gautby Parish Council <gautbyclerk@gmail.com>",
            "Great Wragby Parish Council <x@gwpc.example>",
            "West Wragby PC <x@gmail.com>",
            "Panton and Wragby Parish Council <x@gmail.com>",
            "Panton & Wragby Town Council <x@gmail.com>",
            "Friends of Wragby Library <x@gmail.com>",
            "Wragby <x@gmail.com>",
            "Wragby Parish Church <vicar@gmail.com>",
            "Wragby Primary School Clerk to Governors <clerk@wragby.lincs.sch.uk>",
            "Wragby School Governors' Clerk <x@gmail.com>",
            "Wragby Football Club Chairman <x@gmail.com>",
            "Wragby Rovers Chair <x@gmail.com>",
            "Bob Ashby <bob.ashby@gmail.com>",
            "Ashby Family <ashby@gmail.com>",
            "J Ashby <jashby@gmail.com>",
            "Jane Smith <jane@gmail.com>",
            "Ashby & Sons <accounts@ashby.example>",
            "Jane Ashby-Smith Interiors <jane@interiors.example>",
            "Tom and Elm Nurseries <sales@nursery.example>",
            "Tom's Elm Furniture <tom@elm.example>",
            "Margaret Brien <m@gmail.com>",
            "Cllr Jane Ashby <cllr.j.ashby@e-lindsey.gov.uk>",
            "Wragby Parish Council <noreply@lincolnshire.gov.uk>",
            "Wragby Parish Council Audit <auditor@audit.example>",
            "Wragby Parish Council via DocuSign <dse@eumail.docusign.net>",
            "Wragby Parish Council via Eventbrite <noreply@eventbrite.com>",
            "'clerk@wragbyparishcouncil.gov.uk' via Residents <residents@lists.example>",
            "\"jo@outside.example\" <jo@outside.example>",
            "edith@wragbypc.co.uk",
            "wragbychurch@gmail.com",
            "wragbyparishchurch@gmail.com",
            "wragbychairs@gmail.com",
            "wragbytown@gmail.com",
            "wragbytownfc@gmail.com",
            "gautbyclerk@gmail.com",
            "clerk@gmail.com",
            "council@gmail.com",
            "wragham.parish.council@gmail.com",
            "Wragham Parish Council <clerk@wraghamparishcouncil.org.uk>",
            "Wrentham Town Council <clerk@wrenthamtowncouncil.gov.uk>",
            "",
            "@",
        ] {
            assert_eq!(claimed(from, None), [] as [&str; 0], "{from}");
        }
    }

    #[test]
    fn answers_elsewhere() {
        let clerk = "Clerk <clerk@wragbyparishcouncil.gov.uk>";
        assert_eq!(claimed(clerk, Some("clerk@wragbyparishcouncil-gov.uk")), ["clerk", "council"]);
        assert_eq!(claimed(clerk, Some("Clerk to Wragby Parish Council <cl3rk@gmail.com>")), ["clerk", "council"]);
        assert_eq!(claimed(clerk, Some("wragbyclerk@gmail.com")), ["clerk", "council"]);
        // The council's own web form, answered to a resident.
        assert!(claimed("Website <website@wragbyparishcouncil.gov.uk>", Some("Edith Page <edith@gmail.com>")).is_empty());
        assert!(claimed(clerk, Some("chair@wragbyparishcouncil.gov.uk")).is_empty());
    }

    proptest! {
        /// The council's name is seen whatever stands around it that is no place; a name without any of its words never is.
        #[test]
        fn what_is_named_is_seen(before in "(Accounts|Office|Clerk|Invoices|Notice)?", after in "[ a-z(),-]{0,20}", other in "[c-f]{3,9} [c-f]{3,9}") {
            let display = format!("{before} Wragby Parish Council {after}");
            let address = "x@mail.example".to_string();
            let all = |display: &str| {
                let authors = [(address.clone(), Some(display.to_string()))];
                let shown = Shown { authors: &authors, reply_to: &[], unproven_council: true };
                let council = council();
                claims(&council, &shown, &|_| false, &|_| false).len()
            };
            prop_assert!(after.contains("via") || all(&display) > 0, "{}", display);
            prop_assert_eq!(all(&other), 0);
        }

        #[test]
        fn nothing_panics(address in "\\PC{0,40}", display in "\\PC{0,400}") {
            let authors = [(address.clone(), Some(display))];
            let council = council();
            let shown = Shown { authors: &authors, reply_to: &authors, unproven_council: true };
            let _ = claims(&council, &shown, &|a| a.len() % 2 == 0, &|_| false);
        }
    }
}
