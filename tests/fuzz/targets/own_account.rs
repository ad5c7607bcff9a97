//! Own accounts: a councillor's own name at a consumer domain is seen as theirs however it is written, and nobody else's is.

use lychgate::policy::detect::own_account::{User, is_own};

use super::input::Input;
use super::{Given, Target};

pub const TARGET: Target = Target {
    name: "own_account",
    run,
    seeds: || super::texts(&["a", "\u{1}bc", "\u{2}\u{3}cdefgh", "\u{5}\u{9}\u{4}12"]),
    given: Given::Nothing,
};

const FIRST: [&str; 8] = ["jane", "thomas", "margaret", "rhys", "susan", "oliver", "priya", "gareth"];
const LAST: [&str; 8] = ["ashby", "thornton", "bennett", "kowalski", "winterbourne", "hughes", "patel", "fairclough"];

fn run(octets: &[u8]) {
    let mut input = Input::new(octets);
    let (f, l) = (input.below(8), input.below(8));
    let (first, last) = (FIRST[f], LAST[l]);
    let digits = if input.flag() { input.digits(2) } else { String::new() };
    let domain = input.pick(&["gmail.com", "btinternet.com", "hotmail.co.uk"]);
    let name = format!("Cllr {first} {last}");
    let office = format!("cllr.{last}@wragbyparishcouncil.gov.uk");
    let user = User { address: &office, display: Some(&name), registered: &[] };
    let initial = &first[..1];
    for own in [
        format!("{first}.{last}{digits}@{domain}"),
        format!("{first}{last}{digits}@{domain}"),
        format!("{initial}.{last}{digits}@{domain}"),
        format!("{last}.{first}{digits}@{domain}"),
        format!("{last}{initial}{digits}@{domain}"),
        format!("{first}-{last}+council@{domain}"),
    ] {
        assert!(is_own(user, &own, None), "{own} is {name}'s");
    }
    let anything = String::from_utf8_lossy(input.take(12)).to_lowercase();
    assert!(is_own(user, &format!("{anything}@{domain}"), Some(&format!("{first} {last}"))), "the name beside it says so");
    // Somebody else of either name, and somebody of neither.
    let (other_first, other_last) = (FIRST[(f + 1 + input.below(7)) % 8], LAST[(l + 1 + input.below(7)) % 8]);
    for other in [format!("{first}.{other_last}{digits}@{domain}"), format!("{other_first}.{last}{digits}@{domain}"), format!("{other_first}{other_last}@{domain}")] {
        // `t.ashby` may be either's; a whole other forename is not.
        if other_first[..1] != first[..1] || other.starts_with(first) {
            assert!(!is_own(user, &other, None), "{other} is not {name}'s");
        }
    }
    // Whatever the account, a name that is registered is theirs.
    let registered = [format!("{anything}@{domain}")];
    assert!(is_own(User { registered: &registered, ..user }, &registered[0], None));
}
