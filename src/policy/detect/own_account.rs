//! Does a personal account look like a council user's own? Nobody's name is proof: this is evidence for a notice, not for a refusal.

use crate::policy::rule::Member;

/// Words in names and local parts that say an office, not a person.
pub(super) const OFFICES: &[&str] = &[
    "clerk",
    "deputy",
    "assistant",
    "chair",
    "chairman",
    "chairwoman",
    "chairperson",
    "vice",
    "cllr",
    "councillor",
    "council",
    "parish",
    "town",
    "admin",
    "office",
    "officer",
    "info",
    "enquiries",
    "rfo",
    "finance",
    "treasurer",
    "secretary",
    "hello",
    "mail",
    "email",
    "contact",
    "mrs",
    "mr",
    "ms",
    "miss",
    "dr",
    "sir",
    "dame",
    "rev",
    "revd",
    "the",
    "and",
];

/// Somebody of the council, by the names that can be had.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// The council address in normal form.
    pub address: &'a str,
    pub display: Option<&'a str>,
    pub registered: &'a [String],
}

impl<'a> User<'a> {
    pub fn of(member: &'a Member) -> User<'a> {
        User { address: &member.address, display: member.name.as_deref(), registered: &member.personal }
    }
}

/// Whether `account` (normal form, at a consumer domain, with the name beside it) is the user's, or looks like it.
pub fn is_own(user: User<'_>, account: &str, display: Option<&str>) -> bool {
    if user.registered.iter().any(|a| a == account) {
        return true;
    }
    let (Some(mine), Some(theirs)) = (local(user.address), local(account)) else { return false };
    if is_office_account(user.address, theirs) {
        return true;
    }
    let mut names: Vec<Vec<String>> = Vec::new();
    if let Some(name) = user.display {
        names.push(words(name));
    }
    names.push(words(mine));
    if let Some(other) = display.map(words)
        && other.len() >= 2
        && names.iter().any(|n| same_words(n, &other))
    {
        return true;
    }
    let whole = letters_of(theirs);
    let mut accounts = vec![whole.clone()];
    // Offices and titles beside the name: "cllr.jane.ashby", "cllrashby".
    accounts.push(words(theirs.split('+').next().unwrap_or_default()).concat());
    accounts.extend(["cllr", "councillor"].iter().filter_map(|title| whole.strip_prefix(title).map(str::to_string)));
    // A middle initial that the council does not write: "jane.m.ashby". Without the dots it may be anybody's name.
    let mut spelt = words(theirs.split('+').next().unwrap_or_default());
    if spelt.len() == 3 && spelt[1].chars().count() == 1 {
        spelt.remove(1);
        accounts.push(spelt.concat());
    }
    // The council's place beside the name: "janeashbywragby".
    let place = place(user.address).filter(|p| p.chars().count() >= 4);
    accounts.extend(place.and_then(|p| whole.strip_suffix(&p).or(whole.strip_prefix(&p)).map(str::to_string)));
    // Some providers give a household a name below theirs: jane@ashby.plus.com.
    let household = account.rsplit_once('@').and_then(|(_, domain)| domain.strip_suffix(".plus.com")).filter(|h| !h.contains('.'));
    accounts.extend(household.map(|h| format!("{}{}", whole, letters_of(h))));
    names.iter().any(|name| accounts.iter().any(|letters| looks_like(name, letters)))
}

/// The letters of a local part before its `+`, in lower case.
fn letters_of(local: &str) -> String {
    local.split('+').next().unwrap_or_default().chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

/// What the council's domain names: "wragby" of wragbyparishcouncil.gov.uk.
fn place(address: &str) -> Option<String> {
    let (_, domain) = address.rsplit_once('@')?;
    let label = letters_of(domain.split('.').next().unwrap_or_default());
    let kinds = ["parishcouncil", "towncouncil", "communitycouncil", "council", "pc", "tc"];
    Some(kinds.iter().find_map(|kind| label.strip_suffix(kind)).unwrap_or(&label).to_string())
}

/// `wragbyclerk@gmail.com` for the Clerk of Wragby: the office and the council's name, whoever holds it.
fn is_office_account(address: &str, account: &str) -> bool {
    let (Some(mine), Some(place)) = (local(address), place(address)) else { return false };
    let office = letters_of(mine);
    let theirs = letters_of(account);
    let Some(rest) = theirs.strip_prefix(&place).or(theirs.strip_suffix(&place)).filter(|_| place.chars().count() >= 4) else {
        return false;
    };
    // Between place and office there may stand what kind of council it is.
    let rest = ["parishcouncil", "towncouncil", "communitycouncil", "parish", "town", "council", "pc", "tc"]
        .iter()
        .find_map(|kind| rest.strip_prefix(kind).or(rest.strip_suffix(kind)))
        .unwrap_or(rest);
    OFFICES.contains(&office.as_str()) && rest == office
}

/// Forenames that are not the beginning of one another and mean the same person.
const SHORT: &[(&str, &[&str])] = &[
    ("robert", &["bob", "rob", "bobby"]),
    ("william", &["bill", "will", "billy"]),
    ("richard", &["dick", "rick"]),
    ("elizabeth", &["liz", "beth", "betty", "lizzie", "libby"]),
    ("margaret", &["maggie", "peggy", "meg"]),
    ("catherine", &["kate", "cathy", "katie"]),
    ("katherine", &["kate", "kathy", "katie"]),
    ("james", &["jim", "jimmy", "jamie"]),
    ("john", &["jack"]),
    ("michael", &["mike", "mick"]),
    ("anthony", &["tony"]),
    ("edward", &["ted", "ned"]),
    ("charles", &["charlie", "chas"]),
    ("patricia", &["pat", "trish", "tricia"]),
    ("andrew", &["drew"]),
    ("susan", &["sue"]),
    ("deborah", &["debbie", "deb"]),
];

fn is_short_for(short: &str, first: &str) -> bool {
    SHORT.iter().any(|(full, others)| *full == first && others.contains(&short) || *full == short && others.contains(&first))
}

fn local(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(l, _)| l)
}

/// A name's words, lower case, offices and titles off.
pub(super) fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase).filter(|w| !w.is_empty() && !OFFICES.contains(&w.as_str())).collect()
}

fn same_words(a: &[String], b: &[String]) -> bool {
    a.len() >= 2 && a.len() == b.len() && a.iter().all(|w| b.contains(w))
}

/// The account's letters are the surname, with nothing beside it but the forenames or their initials.
fn looks_like(name: &[String], letters: &str) -> bool {
    match name {
        [] => false,
        // A single word ("jashby", "ashby") must be the whole account.
        [only] => only.chars().count() >= 4 && letters == only,
        [forenames @ .., surname] => {
            let whole: String = name.concat();
            if letters == whole {
                return whole.chars().count() >= 5;
            }
            if surname.chars().count() < 3 {
                return false;
            }
            letters.match_indices(surname.as_str()).any(|(at, _)| {
                let rest = format!("{}{}", &letters[..at], &letters[at + surname.len()..]);
                let initials: String = forenames.iter().filter_map(|f| f.chars().next()).collect();
                let first = forenames.first().map(String::as_str).unwrap_or_default();
                (rest.is_empty() && surname.chars().count() >= 5)
                    || (!rest.is_empty()
                        && (rest == initials
                            || rest == first
                            || is_short_for(&rest, first)
                            || rest == forenames.concat()
                            || initials.starts_with(&rest)
                            || (rest.chars().count() >= 3 && first.starts_with(&rest))))
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike() {
        let own = |address: &str, display: Option<&str>, account: &str, shown: Option<&str>| {
            is_own(User { address, display, registered: &[] }, account, shown)
        };
        let jane = Some("Cllr Jane Ashby");
        for account in [
            "jane.ashby@gmail.com",
            "janeashby57@gmail.com",
            "j.ashby@btinternet.com",
            "ashbyj@sky.com",
            "ashby.jane@gmail.com",
            "jane-ashby+pc@gmail.com",
            "ashby1957@aol.com",
            "janashby@me.com",
            "cllr.jane.ashby@gmail.com",
            "cllrashby@gmail.com",
            "janeashbywragby@gmail.com",
            "jane.m.ashby@gmail.com",
            "jane@ashby.plus.com",
        ] {
            assert!(own("cllr.ashby@wragby.gov.uk", jane, account, None), "{account}");
        }
        for account in [
            "tom.ashby@gmail.com",
            "tjashby@gmail.com",
            "janet.ashby@gmail.com",
            "jo.ashby@gmail.com",
            "tom@ashby.plus.com",
            "cllr.smith@gmail.com",
            "jane.smith@gmail.com",
            "ashbyflowers@gmail.com",
            "bob@gmail.com",
            "clerk@gmail.com",
        ] {
            assert!(!own("cllr.ashby@wragby.gov.uk", jane, account, None), "{account}");
        }
        assert!(own("bob.elm@wragby.gov.uk", Some("Robert Elm"), "robert.elm@gmail.com", None));
        assert!(own("r.elm@wragby.gov.uk", Some("Robert Elm"), "bobelm@gmail.com", None));
        for account in ["wragbyclerk@gmail.com", "wragby.parish.clerk@btinternet.com", "clerk.wragby@gmail.com", "wragbypc.clerk@gmail.com"]
        {
            assert!(own("clerk@wragbyparishcouncil.gov.uk", None, account, None), "{account}");
        }
        for account in
            ["clerk@gmail.com", "wragby@gmail.com", "wragbychurch.clerk@gmail.com", "louthclerk@gmail.com", "wragbychair@gmail.com"]
        {
            assert!(!own("clerk@wragbyparishcouncil.gov.uk", None, account, None), "{account}");
        }
        assert!(own("cllr.ashby@wragby.gov.uk", jane, "rosebud12@gmail.com", Some("Jane Ashby")));
        assert!(own("j.ashby@wragby.gov.uk", None, "jashby@gmail.com", None));
        assert!(own("jashby@wragby.gov.uk", None, "j.ashby@gmail.com", None));
        assert!(!own("clerk@wragby.gov.uk", Some("Parish Clerk"), "clerk.office@gmail.com", None));
        assert!(!own("clerk@wragby.gov.uk", None, "mary@gmail.com", Some("Mary")));
        assert!(is_own(User { address: "clerk@x.uk", display: None, registered: &["m@gmail.com".into()] }, "m@gmail.com", None));
    }

    proptest::proptest! {
        /// Whatever joins forename and surname, in whichever order and with whatever digits, is the same person; another surname is
        /// another.
        #[test]
        fn spellings_of_one_name(first in "[a-z]{3,8}", last in "[a-z]{5,9}", joint in "[._-]?", digits in "[0-9]{0,4}", swapped: bool, initial: bool) {
            proptest::prop_assume!(!OFFICES.contains(&first.as_str()) && !OFFICES.contains(&last.as_str()));
            let given = if initial { first[..1].to_string() } else { first.clone() };
            let name = if swapped { format!("{last}{joint}{given}") } else { format!("{given}{joint}{last}") };
            let display = format!("{first} {last}");
            let user = User { address: "clerk@wragby.gov.uk", display: Some(&display), registered: &[] };
            let account = format!("{name}{digits}@gmail.com");
            proptest::prop_assert!(is_own(user, &account, None), "{} {}", display, account);
            let other = format!("{}@gmail.com", name.replace(&last, "qqqqqq"));
            proptest::prop_assert!(last.contains("qqqqqq") || !is_own(user, &other, None), "{} {}", display, other);
        }
    }
}
