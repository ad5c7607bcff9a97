//! People at the desk: accounts that may not send, accounts of people's own, roles for a time. The operator's files are never touched:
//! what is changed here stands in `people.toml` in the console's folder ([`crate::config::overlay::people`]), and counts at once.
//!
//! Nobody gives what they do not have: a role is lent only by whoever has it from the site file, to somebody else of the site file, and is
//! not lent on. Nobody suspends themselves, or the last who could lift it.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::roles::{Right, bearer, insider, lent};
use super::{Doer, Fault, about, acknowledgements, address, atomic};
use crate::config::overlay::people::{self as overlay, Account, AtDesk, FILE, LONGEST, Lent, MOST, REASON, Suspension};
use crate::config::settings::{Duty, Insider};
use crate::config::{Settings, own_accounts};
use crate::policy::account_key::{AccountKey, is_registered};
use crate::policy::people::domain_of;
use crate::records::Options;
use crate::records::trace::Question;

/// Own accounts of one person: nobody has more, and each makes every look-up a little slower.
const EACH: usize = 10;
/// What is over stays in the file for so long, and then in the access log alone.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Why somebody's entry was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the site has no [console], and so no folder to write in")]
    NoDesk,
    #[error("{0}. Ask whoever runs the gateway to mend or remove the file; nothing can be changed until then")]
    Broken(String),
    #[error("{0} is not at a domain of the council")]
    NotCouncil(String),
    #[error("{0} is nobody of the site file: name a councillor, an officer, or somebody with a role")]
    Unknown(String),
    #[error("your own account was suspended a moment ago")]
    You,
    #[error("you cannot suspend yourself")]
    Yourself,
    #[error("nobody would be left who could lift it: somebody else with the right to must be there first")]
    Last,
    #[error("you have that right only for a time: whoever has it from the site file is not suspended by you")]
    Above,
    #[error("they are suspended already: lift that first")]
    Suspended,
    #[error("they are suspended: lift that first")]
    IsSuspended,
    #[error("you do not have that role from the site file, so that you cannot lend it")]
    NotYours,
    #[error("lend it to somebody else: you have it")]
    ToYourself,
    #[error("they have that role already")]
    HasIt,
    #[error("the last day must be today or later")]
    Past,
    #[error("a role is lent for {LONGEST} days at most; for longer it belongs in the site file")]
    TooLong,
    #[error("an own account is one outside the council")]
    NotOwn,
    #[error("that account is registered already")]
    Registered,
    #[error("{EACH} own accounts are the most that one person can have")]
    TooMany,
    #[error("there is no room for more entries: remove some that are over")]
    Full,
    #[error("a reason has {REASON} characters at most")]
    LongReason,
    #[error("that is not there any more")]
    Gone,
    #[error("the site's key cannot be read, so that no account can be registered")]
    NoKey,
}

/// Reads the site file anew; errors say why the old stays.
pub type Reload<'a> = &'a dyn Fn() -> Result<(), String>;

/// One of the council's people.
#[derive(Clone, Debug)]
pub struct Somebody {
    pub name: String,
    pub addresses: Vec<String>,
    /// From the site file.
    pub roles: Vec<&'static str>,
    /// Lent, and until when.
    pub lent: Vec<(&'static str, Timestamp)>,
    pub accounts: usize,
    pub suspended: bool,
    pub notice: acknowledgements::Standing,
}

/// All of the council's people, as they are now.
pub fn list(settings: &Settings, options: &Options, now: Timestamp, doer: &Doer) -> Result<Vec<Somebody>, Fault> {
    doer.log(options, Right::People, "looked at who is who", Question::default())?;
    // Who may send matters more than who has read what.
    let read = acknowledgements::read(settings).unwrap_or_else(|error| {
        tracing::error!(event = "acknowledgements_unreadable", %error);
        Vec::new()
    });
    let somebody = |of: Insider| Somebody {
        name: name_of(settings, &of.addresses[0]),
        roles: of.duties.iter().map(|d| d.word()).collect(),
        lent: lent(settings, now).filter(|l| of.addresses.contains(&l.to)).map(|l| (l.role.word(), l.until)).collect(),
        accounts: of.addresses.iter().map(|a| accounts_of(settings, a)).sum(),
        suspended: of.addresses.iter().any(|a| settings.at_desk.is_suspended(a, || now)),
        notice: acknowledgements::standing(settings, &read, &of),
        addresses: of.addresses,
    };
    Ok(everybody(settings).into_iter().map(somebody).collect())
}

/// That somebody looked at suspensions, lent roles or own accounts.
pub fn look(options: &Options, doer: &Doer) -> Result<(), Fault> {
    doer.log(options, Right::People, "looked at people", Question::default())
}

/// Each person once.
pub fn everybody(settings: &Settings) -> Vec<Insider> {
    let mut all = settings.access.insiders.clone();
    for officer in &settings.people.staff {
        if !all.iter().any(|i| i.addresses.contains(&officer.address)) {
            all.extend(bearer(settings, &officer.address));
        }
    }
    all
}

/// "Ann Elm", or what the site file calls them, or the address.
pub fn name_of(settings: &Settings, address: &str) -> String {
    let of = bearer(settings, address);
    let bears = |a: &str| a == address || of.as_ref().is_some_and(|o| o.addresses.iter().any(|own| own == a));
    let named = settings.people.councillors.iter().chain(&settings.people.staff).find(|p| p.name.is_some() && bears(&p.address));
    named.and_then(|p| p.name.clone()).or(of.map(|o| o.name)).unwrap_or_else(|| address.into())
}

/// Registered accounts of theirs, in the site file or here.
fn accounts_of(settings: &Settings, address: &str) -> usize {
    settings.people.councillors.iter().chain(&settings.people.staff).filter(|p| p.address == address).map(|p| p.own_accounts.len()).sum()
}

/// The end of a day that is the last one.
pub fn end_of(day: Date, zone: &TimeZone) -> Option<Timestamp> {
    Some(day.checked_add(1.day()).ok()?.to_zoned(zone.clone()).ok()?.timestamp())
}

/// Suspends an account: its mail is refused and it cannot sign in, until somebody lifts it or the last day is over. Mail to it, and mail
/// of its that is held, is not touched.
pub fn suspend(
    settings: &Settings,
    options: &Options,
    who: &str,
    last_day: Option<Date>,
    now: Timestamp,
    doer: &Doer,
    reload: Reload<'_>,
) -> Result<Vec<String>, Fault> {
    let (by, at) = (by(doer)?, council_address(settings, who)?);
    let until = until(settings, last_day, now)?;
    let theirs = bearer(settings, &at).map_or_else(|| vec![at.clone()], |b| b.addresses);
    let own = bearer(settings, &by).unwrap_or_else(|| Insider { name: by.clone(), addresses: vec![by.clone()], duties: Vec::new() });
    if own.addresses.contains(&at) {
        return Err(Refused::Yourself.into());
    }
    let may = |duties: &[Duty]| duties.iter().any(|d| Right::People.of().contains(d));
    if !may(&own.duties) && bearer(settings, &at).is_some_and(|b| may(&b.duties)) {
        return Err(Refused::Above.into());
    }
    let reason = doer.purpose.trim().to_string();
    change(settings, options, doer, "suspended an account", about(&at), now, reload, |desk, _| {
        if desk.suspended.iter().any(|s| theirs.contains(&s.address) && !s.is_over(now)) {
            return Err(Refused::Suspended);
        }
        let mut left = settings.access.insiders.iter().filter(|i| may(&i.duties) && !i.addresses.contains(&at));
        if !left.any(|i| !i.addresses.iter().any(|a| desk.is_suspended(a, || now))) {
            return Err(Refused::Last);
        }
        desk.suspended.push(Suspension { address: at.clone(), reason, since: now, until, by });
        Ok(())
    })?;
    Ok(theirs)
}

/// Lifts it.
pub fn lift(settings: &Settings, options: &Options, who: &str, now: Timestamp, doer: &Doer, reload: Reload<'_>) -> Result<(), Fault> {
    let at = address(who)?;
    change(settings, options, doer, "lifted a suspension", about(&at), now, reload, |desk, _| {
        let before = desk.suspended.len();
        desk.suspended.retain(|s| s.address != at);
        if desk.suspended.len() == before { Err(Refused::Gone) } else { Ok(()) }
    })
}

/// Lends a role until the end of a day.
#[expect(clippy::too_many_arguments, reason = "what is asked, of what, when and by whom")]
pub fn lend(
    settings: &Settings,
    options: &Options,
    role: Duty,
    to: &str,
    last_day: Date,
    now: Timestamp,
    doer: &Doer,
    reload: Reload<'_>,
) -> Result<(), Fault> {
    let (by, to) = (by(doer)?, address(to)?);
    doer.may(Right::People)?;
    let own = bearer(settings, &by).ok_or_else(|| Refused::Unknown(by.clone()))?;
    // What is lent to the lender is not theirs to lend; and nobody is made a member for a time.
    if role == Duty::Member || !own.duties.contains(&role) {
        return Err(Refused::NotYours.into());
    }
    let deputy = bearer(settings, &to).ok_or_else(|| Refused::Unknown(to.clone()))?;
    if deputy.name == own.name {
        return Err(Refused::ToYourself.into());
    }
    let Some(present) = insider(settings, &to, now) else { return Err(Refused::IsSuspended.into()) };
    if present.duties.contains(&role) {
        return Err(Refused::HasIt.into());
    }
    let today = now.to_zoned(settings.time_zone.clone()).date();
    if last_day > today.saturating_add(LONGEST.days()) {
        return Err(Refused::TooLong.into());
    }
    let until = until(settings, Some(last_day), now)?.ok_or(Refused::Past)?;
    let reason = doer.purpose.trim().to_string();
    change(settings, options, doer, &format!("lent the role {}", role.word()), about(&to), now, reload, |desk, _| {
        desk.lent.push(Lent { to: to.clone(), role, reason, since: now, until, by });
        Ok(())
    })
}

/// Takes a role back before its time.
pub fn take_back(
    settings: &Settings,
    options: &Options,
    role: Duty,
    from: &str,
    now: Timestamp,
    doer: &Doer,
    reload: Reload<'_>,
) -> Result<(), Fault> {
    let from = address(from)?;
    change(settings, options, doer, &format!("took the role {} back", role.word()), about(&from), now, reload, |desk, _| {
        let before = desk.lent.len();
        desk.lent.retain(|l| l.role != role || l.to != from);
        if desk.lent.len() == before { Err(Refused::Gone) } else { Ok(()) }
    })
}

/// Registers an account of somebody's own. Only its hash is written; the access log does not name it either.
pub fn register(
    settings: &Settings,
    options: &Options,
    who: &str,
    account: &str,
    now: Timestamp,
    doer: &Doer,
    reload: Reload<'_>,
) -> Result<(), Fault> {
    let (by, of, account) = (by(doer)?, council_address(settings, who)?, address(account)?);
    if !everybody(settings).iter().any(|i| i.addresses.contains(&of)) {
        return Err(Refused::Unknown(of).into());
    }
    if settings.policy.is_council(domain_of(&account)) {
        return Err(Refused::NotOwn.into());
    }
    let registered = settings.people.councillors.iter().chain(&settings.people.staff).filter(|p| p.address == of);
    let known: Vec<String> = registered.flat_map(|p| p.own_accounts.clone()).collect();
    change(settings, options, doer, "registered an own account", about(&of), now, reload, |desk, key| {
        let key = key.ok_or(Refused::NoKey)?;
        let hash = key.hash(&account);
        if is_registered(&known, &account, Some(&key)) || desk.accounts.iter().any(|a| a.of == of && a.account == hash) {
            return Err(Refused::Registered);
        }
        if known.len() >= EACH {
            return Err(Refused::TooMany);
        }
        desk.accounts.push(Account { of: of.clone(), account: hash, key: overlay::mark(&key), since: now, by });
        Ok(())
    })
}

/// Removes a registered account, by its hash.
pub fn unregister(
    settings: &Settings,
    options: &Options,
    who: &str,
    hash: &str,
    now: Timestamp,
    doer: &Doer,
    reload: Reload<'_>,
) -> Result<(), Fault> {
    let of = address(who)?;
    change(settings, options, doer, "removed an own account", about(&of), now, reload, |desk, _| {
        let before = desk.accounts.len();
        desk.accounts.retain(|a| a.of != of || a.account != hash);
        if desk.accounts.len() == before { Err(Refused::Gone) } else { Ok(()) }
    })
}

/// The key of the site's accounts now; entries that another made fit nobody.
pub fn key_mark(settings: &Settings) -> Option<String> {
    own_accounts::key(&settings.records.key_file).ok().as_ref().map(overlay::mark)
}

/// Whoever does it, by an address: a role that is lent, or mail that is refused, is somebody's doing.
fn by(doer: &Doer) -> Result<String, Fault> {
    address(doer.who.address().ok_or(Fault::WhoAreYou)?)
}

fn council_address(settings: &Settings, text: &str) -> Result<String, Fault> {
    let at = address(text)?;
    if settings.policy.is_council(domain_of(&at)) { Ok(at) } else { Err(Refused::NotCouncil(at).into()) }
}

fn until(settings: &Settings, last_day: Option<Date>, now: Timestamp) -> Result<Option<Timestamp>, Fault> {
    let Some(day) = last_day else { return Ok(None) };
    let until = end_of(day, &settings.time_zone).ok_or(Refused::Past)?;
    if until <= now { Err(Refused::Past.into()) } else { Ok(Some(until)) }
}

/// One change at a time: read anew, changed, in the access log, written, and taken up by the gateway; or as it was.
static TURN: Mutex<()> = Mutex::new(());

#[expect(clippy::too_many_arguments, reason = "what is changed, and all that a change takes")]
fn change(
    settings: &Settings,
    options: &Options,
    doer: &Doer,
    act: &str,
    about: Question,
    now: Timestamp,
    reload: Reload<'_>,
    edit: impl FnOnce(&mut AtDesk, Option<AccountKey>) -> Result<(), Refused>,
) -> Result<(), Fault> {
    doer.may(Right::People)?;
    if doer.purpose.trim().is_empty() {
        return Err(Fault::Purpose);
    }
    if doer.purpose.trim().chars().count() > REASON {
        return Err(Refused::LongReason.into());
    }
    let folder = &settings.console.as_ref().ok_or(Refused::NoDesk)?.folder;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut desk = AtDesk::read(folder);
    if let Some(fault) = desk.fault {
        return Err(Refused::Broken(fault).into());
    }
    // As it is under the lock: two who suspend each other at the same moment are not both gone.
    desk.settle(&settings.access);
    if desk.is_suspended(&by(doer)?, || now) {
        return Err(Refused::You.into());
    }
    edit(&mut desk, own_accounts::key(&settings.records.key_file).ok())?;
    desk.suspended.retain(|s| s.until.is_none_or(|until| now < until + KEPT));
    desk.lent.retain(|l| now < l.until + KEPT);
    if desk.suspended.len().max(desk.lent.len()).max(desk.accounts.len()) > MOST {
        return Err(Refused::Full.into());
    }
    doer.log(options, Right::People, act, about)?;
    let path = folder.join(FILE);
    let before = fs::read_to_string(&path).ok();
    let io = |source| Fault::Io { path: path.clone(), source };
    atomic::write(folder, FILE, desk.text()).map_err(io)?;
    if let Err(why) = reload() {
        put_back(folder, before).map_err(io)?;
        return Err(Fault::Reload(why.trim().chars().take(500).collect()));
    }
    Ok(())
}

fn put_back(folder: &Path, before: Option<String>) -> std::io::Result<()> {
    match before {
        Some(text) => atomic::write(folder, FILE, &text),
        None => fs::remove_file(folder.join(FILE)),
    }
}

#[cfg(test)]
mod tests;
