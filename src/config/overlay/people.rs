//! What was changed of people at the desk: `people.toml` in the folder of `[console]`, beside the operator's files and never in them.
//! It is read here and written by [`crate::office::people`].
//!
//! A file that is damaged keeps no mail waiting and gives nobody a right. What protects (a suspension, an own account) is kept as far as
//! it can be read, entry by entry; what gives a role is not believed at all. [`AtDesk::fault`] says what was wrong: `check` fails by it,
//! a reload is refused while the old people stay, and a gateway that starts with it says so in its log and in `/health`.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::settings::{Access, Duty};
use crate::policy::account_key::{self, AccountKey};
use crate::policy::people::domain_of;
use crate::smtp::Address;
use crate::smtp::address::Charset;

/// Its name in the folder.
pub const FILE: &str = "people.toml";
/// Entries of each kind.
pub const MOST: usize = 500;
/// Characters of a reason.
pub const REASON: usize = 300;
/// Days for which a role may be lent: a long illness, not a change of office, which belongs in the site file.
pub const LONGEST: i64 = 92;
/// Octets of the file.
const LARGEST: u64 = 1 << 20;
/// What the mark of a key is made of: no address, so that it is nobody's hash.
const MARKED: &str = "the key of these accounts";

/// An own account of somebody's, as a hash: nobody can read here whose account is which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Account {
    /// The council address, in normal form.
    pub of: String,
    pub account: String,
    /// The key it was hashed by ([`mark`]): under another it fits nobody.
    pub key: String,
    pub since: Timestamp,
    pub by: String,
}

/// Somebody whose mail is refused, and who cannot sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Suspension {
    /// In normal form. Whoever has more addresses in the site file is suspended with all of them.
    pub address: String,
    pub reason: String,
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    pub by: String,
}

/// A role that somebody has for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lent {
    /// In normal form.
    pub to: String,
    #[serde(with = "word")]
    pub role: Duty,
    pub reason: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Who lent it. It ends when they have that role no more.
    pub by: String,
}

impl Suspension {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// All of it.
#[derive(Clone, Default)]
pub struct AtDesk {
    pub accounts: Vec<Account>,
    pub suspended: Vec<Suspension>,
    pub lent: Vec<Lent>,
    /// What is wrong with the file.
    pub fault: Option<String>,
    /// Every address that may not send, and until when.
    closed: HashMap<String, Option<Timestamp>>,
}

/// Shows nobody.
impl std::fmt::Debug for AtDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let AtDesk { accounts, suspended, lent, fault, .. } = self;
        write!(f, "AtDesk({} accounts, {} suspended, {} lent, {fault:?})", accounts.len(), suspended.len(), lent.len())
    }
}

/// Names a key without telling it.
pub fn mark(key: &AccountKey) -> String {
    key.hash(MARKED)
}

impl AtDesk {
    /// What the folder holds; nothing where nothing was ever changed.
    pub fn read(folder: &Path) -> AtDesk {
        let path = folder.join(FILE);
        let text = std::fs::File::open(&path).and_then(|file| {
            let mut text = String::new();
            file.take(LARGEST + 1).read_to_string(&mut text)?;
            Ok(text)
        });
        match text {
            Ok(text) if text.len() as u64 > LARGEST => AtDesk::broken("it is too large"),
            Ok(text) => AtDesk::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => AtDesk::default(),
            Err(error) => AtDesk::broken(&error.to_string()),
        }
    }

    fn broken(why: &str) -> AtDesk {
        AtDesk { fault: Some(format!("{FILE} in the desk's folder cannot be used: {why}")), ..AtDesk::default() }
    }

    /// As [`Self::read`], of a text.
    pub fn parse(text: &str) -> AtDesk {
        let table = match text.parse::<toml::Table>() {
            Ok(table) => table,
            // Its own words quote the file, which is about people.
            Err(error) => {
                let line = error.span().map_or(0, |span| text.as_bytes()[..span.start.min(text.len())].split(|b| *b == b'\n').count());
                return AtDesk::broken(&format!("line {line} is not TOML"));
            }
        };
        let mut faults = Vec::new();
        let mut out = AtDesk {
            accounts: entries(&table, "account", &mut faults, Account::is_sound),
            suspended: entries(&table, "suspended", &mut faults, Suspension::is_sound),
            lent: entries(&table, "lent", &mut faults, Lent::is_sound),
            ..AtDesk::default()
        };
        faults.extend(table.keys().filter(|k| !["account", "suspended", "lent"].contains(&k.as_str())).map(|_| "an unknown key".into()));
        if let Some(first) = faults.first() {
            out.fault = AtDesk::broken(first).fault;
            out.lent.clear();
        }
        out
    }

    /// As it is written.
    pub fn text(&self) -> String {
        #[derive(Serialize)]
        struct File<'a> {
            account: &'a [Account],
            suspended: &'a [Suspension],
            lent: &'a [Lent],
        }
        let AtDesk { accounts, suspended, lent, .. } = self;
        let tables = toml::to_string(&File { account: accounts, suspended, lent }).expect("plain tables are TOML");
        format!("# Written by the console's page People; what the operator sets is in the site file.\n{tables}")
    }

    /// Works out which addresses are closed: all of whoever is suspended with one.
    pub fn settle(&mut self, access: &Access) {
        self.closed.clear();
        for suspension in &self.suspended {
            let all = access.insiders.iter().find(|i| i.addresses.contains(&suspension.address)).map(|i| i.addresses.as_slice());
            for address in all.unwrap_or(std::slice::from_ref(&suspension.address)) {
                let until = self.closed.entry(address.clone()).or_insert(suspension.until);
                *until = until.zip(suspension.until).map(|(a, b)| a.max(b));
            }
        }
    }

    /// Whether mail of this address (normal form) is refused now.
    pub fn is_suspended(&self, address: &str, now: impl FnOnce() -> Timestamp) -> bool {
        self.closed.get(address).is_some_and(|until| until.is_none_or(|until| now() < until))
    }

    /// Whether this log-in is. One without a domain is that of every domain of the council.
    pub fn is_suspended_login(&self, login: &str, domains: &[String], now: impl Fn() -> Timestamp) -> bool {
        if self.closed.is_empty() {
            return false;
        }
        let of = |text: &str| Address::parse(text, Charset::Utf8).is_ok_and(|a| self.is_suspended(&a.normal(), &now));
        if login.contains('@') { of(login) } else { domains.iter().any(|domain| of(&format!("{login}@{domain}"))) }
    }

    /// Whether anybody may be: what costs nothing where nobody is.
    pub fn suspends(&self) -> bool {
        !self.closed.is_empty()
    }
}

fn entries<T: DeserializeOwned>(
    table: &toml::Table,
    name: &str,
    faults: &mut Vec<String>,
    is_sound: impl Fn(&T) -> Result<(), &'static str>,
) -> Vec<T> {
    let list = match table.get(name) {
        None => return Vec::new(),
        Some(toml::Value::Array(list)) if list.len() <= MOST => list.as_slice(),
        Some(toml::Value::Array(list)) => {
            faults.push(format!("there are more than {MOST} [[{name}]]"));
            &list[..MOST]
        }
        Some(_) => {
            faults.push(format!("{name} is no list of tables"));
            return Vec::new();
        }
    };
    let mut out = Vec::with_capacity(list.len());
    for (number, value) in (1..).zip(list) {
        match value.clone().try_into::<T>().map_err(|_| "it lacks a key, or has one that is unknown or malformed") {
            Ok(entry) => match is_sound(&entry) {
                Ok(()) => out.push(entry),
                Err(why) => faults.push(format!("[[{name}]] number {number}: {why}")),
            },
            Err(why) => faults.push(format!("[[{name}]] number {number}: {why}")),
        }
    }
    out
}

fn is_normal(address: &str) -> bool {
    !domain_of(address).is_empty() && Address::parse(address, Charset::Utf8).is_ok_and(|a| a.normal() == address)
}

fn is_reason(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= REASON
}

impl Account {
    fn is_sound(&self) -> Result<(), &'static str> {
        match () {
            () if !is_normal(&self.of) => Err("the address is not in its normal form"),
            () if !account_key::is_well_formed(&self.account) || !account_key::is_well_formed(&self.key) => Err("that is no hash"),
            () => Ok(()),
        }
    }
}

impl Suspension {
    fn is_sound(&self) -> Result<(), &'static str> {
        match () {
            () if !is_normal(&self.address) => Err("the address is not in its normal form"),
            () if !is_reason(&self.reason) => Err("there is no reason, or it is too long"),
            () => Ok(()),
        }
    }
}

impl Lent {
    fn is_sound(&self) -> Result<(), &'static str> {
        match () {
            () if !is_normal(&self.to) || !is_normal(&self.by) => Err("the address is not in its normal form"),
            () if !is_reason(&self.reason) => Err("there is no reason, or it is too long"),
            () if self.role == Duty::Member => Err("nobody is a member for a time"),
            // The hour is for a clock that is put forward or back within the time.
            () if self.until <= self.since || self.until > self.since + SignedDuration::from_hours(24 * (LONGEST + 1) + 1) => {
                Err("a role is lent for 92 days at most")
            }
            () => Ok(()),
        }
    }
}

/// A role by the site file's word.
mod word {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::config::settings::Duty;

    pub fn serialize<S: Serializer>(duty: &Duty, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(duty.word())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duty, D::Error> {
        let text = String::deserialize(d)?;
        let known = Duty::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, duty)| *duty).ok_or_else(|| D::Error::custom("not a role"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Insider;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn desk() -> AtDesk {
        let key = AccountKey::of_site_key(&[7; 32]);
        let (since, by) = (at("2026-11-26T10:00:00Z"), "clerk@x.uk".to_string());
        AtDesk {
            accounts: vec![Account { of: "jo@x.uk".into(), account: key.hash("jo.elm@gmail.com"), key: mark(&key), since, by: by.clone() }],
            suspended: vec![
                Suspension { address: "al@x.uk".into(), reason: "Broken into".into(), since, until: None, by: by.clone() },
                Suspension {
                    address: "jo@x.uk".into(),
                    reason: "A \"week\"\n[[lent]]".into(),
                    since,
                    until: Some(at("2026-12-03T00:00:00Z")),
                    by: by.clone(),
                },
            ],
            lent: vec![Lent {
                to: "sam@x.uk".into(),
                role: Duty::Clerk,
                reason: "Holiday".into(),
                since,
                until: at("2026-12-11T00:00:00Z"),
                by,
            }],
            ..AtDesk::default()
        }
    }

    #[test]
    fn what_is_written_is_what_is_read_and_names_no_account() {
        let desk = desk();
        let text = desk.text();
        let again = AtDesk::parse(&text);
        assert_eq!(again.fault, None, "{text}");
        assert_eq!((&again.accounts, &again.suspended, &again.lent), (&desk.accounts, &desk.suspended, &desk.lent));
        assert!(!text.contains("gmail") && !text.contains("jo.elm"), "{text}");
        assert!(AtDesk::parse("").fault.is_none() && AtDesk::parse(&AtDesk::default().text()).fault.is_none());
        assert!(!format!("{desk:?}").contains('@'));
    }

    #[test]
    fn a_suspension_holds_for_all_addresses_of_one_person_and_ends_by_itself() {
        let mut desk = desk();
        let insider =
            Insider { name: "al".into(), addresses: vec!["al@x.uk".into(), "press@x.uk".into()], duties: vec![Duty::Investigator] };
        desk.settle(&Access { insiders: vec![insider], two_people: vec![] });
        let is = |address: &str, now: &str| desk.is_suspended(address, || at(now));
        for now in ["2026-11-26T10:00:00Z", "2036-01-01T00:00:00Z"] {
            assert!(is("al@x.uk", now) && is("press@x.uk", now), "{now}");
            assert!(!is("clerk@x.uk", now));
        }
        assert!(is("jo@x.uk", "2026-12-02T23:59:59Z") && !is("jo@x.uk", "2026-12-03T00:00:00Z"));
        let login = |login: &str| desk.is_suspended_login(login, &["x.uk".into()], || at("2026-11-27T00:00:00Z"));
        assert!(login("jo") && login("Jo@X.uk") && login("press") && !login("sam") && !login("jo@y.uk") && !login("not an address"));
    }

    #[test]
    fn the_longer_of_two_suspensions_counts() {
        let mut desk = desk();
        desk.suspended.push(Suspension { address: "jo@x.uk".into(), until: None, ..desk.suspended[1].clone() });
        desk.settle(&Access::default());
        assert!(desk.is_suspended("jo@x.uk", || at("2030-01-01T00:00:00Z")));
    }

    #[test]
    fn a_damaged_file_protects_as_far_as_it_can_be_read_and_gives_nobody_anything() {
        let whole = desk().text();
        let cases = [
            ("not TOML", format!("{whole}\n[[lent"), 0),
            ("a key too many", format!("{whole}\nroles = [\"it\"]\n"), 2),
            ("a table too many", format!("{whole}\n[access]\nx = 1\n"), 2),
            ("no such role", whole.replace("role = \"clerk\"", "role = \"king\""), 2),
            ("a member", whole.replace("role = \"clerk\"", "role = \"member\""), 2),
            ("too long", whole.replace("2026-12-11T", "2027-12-11T"), 2),
            ("ends before it begins", whole.replace("2026-12-11T", "2026-01-11T"), 2),
            ("no reason", whole.replace("\"Broken into\"", "\" \""), 1),
            ("no address", whole.replace("\"al@x.uk\"", "\"al\""), 1),
            ("another form", whole.replace("\"al@x.uk\"", "\"Al@X.uk\""), 1),
            ("an account in the clear", whole.replacen("account = \"account:", "account = \"jo@gmail.com", 1), 2),
        ];
        for (what, text, suspended) in cases {
            assert_ne!(text, whole, "{what}");
            let read = AtDesk::parse(&text);
            assert!(read.fault.as_deref().is_some_and(|f| !f.contains('@')), "{what}: {:?}", read.fault);
            assert!(read.lent.is_empty(), "{what}");
            assert_eq!(read.suspended.len(), suspended, "{what}");
        }
        let many =
            "[[suspended]]\naddress = \"a@x.uk\"\nreason = \"r\"\nsince = \"2026-11-26T10:00:00Z\"\nby = \"c@x.uk\"\n".repeat(MOST + 1);
        let read = AtDesk::parse(&many);
        assert!(read.fault.is_some() && read.suspended.len() == MOST);
    }
}
