//! Who may do what: one table, from role to right.
//!
//! The machine's own command line has the role `it` where nobody says who they are: whoever has the machine and its key file has what
//! is in them. That is why each act is in the access log, with the account; and why what takes two people asks for codes that are
//! mailed to both.

use jiff::Timestamp;

use super::moment;
use crate::config::Settings;
use crate::config::overlay::people::Lent;
use crate::config::settings::{Duty, Insider, TwoPeople};

/// What somebody may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Look messages up in the record: what was decided, not what they said. Hold other rules against it.
    LookUp,
    /// Look up all that somebody at the council sent or received.
    Report,
    /// See what is held, without its content.
    Held,
    Release,
    /// Send held mail back.
    Refuse,
    /// Read held mail.
    OpenContent,
    /// Hasten and stop mail that waits to be delivered.
    Queue,
    /// Keep records for a case.
    Holds,
    /// Exports, corrections and erasures that people ask for.
    Rights,
    Breach,
    /// Purge now.
    Retention,
    /// Read and verify the access log.
    Audit,
    /// Site key, loss of keys, the break-glass code.
    Keys,
    Backup,
    /// Change rules.
    Rules,
    /// Suspend accounts, register own accounts, lend roles for a time.
    People,
}

impl Right {
    pub const ALL: [Right; 16] = [
        Right::LookUp,
        Right::Report,
        Right::Held,
        Right::Release,
        Right::Refuse,
        Right::OpenContent,
        Right::Queue,
        Right::Holds,
        Right::Rights,
        Right::Breach,
        Right::Retention,
        Right::Audit,
        Right::Keys,
        Right::Backup,
        Right::Rules,
        Right::People,
    ];

    /// Whoever has one of these roles has the right.
    pub fn of(self) -> &'static [Duty] {
        use Duty::*;
        match self {
            Right::LookUp => &[Clerk, Chair, It, Investigator],
            Right::Report => &[Clerk, Chair, Investigator],
            Right::Held => &[Clerk, Chair, It, Investigator],
            Right::Release | Right::Refuse => &[Clerk, Chair, It],
            Right::OpenContent => &[Clerk, Chair, Investigator],
            Right::Queue => &[Clerk, It],
            Right::Holds => &[Clerk, Chair, It, Investigator],
            Right::Rights => &[Clerk, It],
            Right::Breach => &[Clerk, Chair, It, Investigator],
            Right::Retention => &[Clerk, It],
            Right::Audit => &[Clerk, Chair, It, Auditor],
            Right::Keys | Right::Backup => &[It],
            Right::Rules => &[Clerk, It],
            Right::People => &[Clerk, Chair, It],
        }
    }

    /// What whoever has it may do.
    pub fn words(self) -> &'static str {
        match self {
            Right::LookUp => "look messages up in the record",
            Right::Report => "look up all that somebody at the council sent or received",
            Right::Held => "see what is held, without its content",
            Right::Release => "let held mail go",
            Right::Refuse => "send held mail back",
            Right::OpenContent => "read held mail",
            Right::Queue => "hasten and stop mail that waits",
            Right::Holds => "hold records for a case",
            Right::Rights => "answer what people ask about themselves",
            Right::Breach => "look into a breach",
            Right::Retention => "purge now",
            Right::Audit => "read and verify the access log",
            Right::Keys => "change keys and make the break-glass code",
            Right::Backup => "back up and restore",
            Right::Rules => "change rules",
            Right::People => "suspend accounts, register own accounts and lend roles",
        }
    }
}

/// The right that what takes two people needs of each of them.
pub fn right_of(act: TwoPeople) -> Right {
    match act {
        TwoPeople::Content => Right::OpenContent,
        TwoPeople::Holds => Right::Holds,
        TwoPeople::Reports => Right::Report,
    }
}

/// Who bears this address (normal form) in the site file, with the roles that it gives them: also staff, who may look at what is their own.
pub fn bearer(settings: &Settings, address: &str) -> Option<Insider> {
    let insider = settings.access.insiders.iter().find(|i| i.addresses.iter().any(|a| a == address)).cloned();
    insider.or_else(|| {
        let officer = settings.people.staff.iter().find(|p| p.address == address)?;
        Some(Insider { name: officer.address.clone(), addresses: vec![officer.address.clone()], duties: Vec::new() })
    })
}

/// Who somebody is now who signed in. Groups are what the identity provider said of them, where they came by it: if the site file gives
/// roles to groups, these alone decide beside what is lent, so that whoever is taken out of a group there has no role here. A group gives
/// roles to addresses of the council's only: a guest of the tenant's is not of the council.
pub fn signed_in(settings: &Settings, address: &str, groups: Option<&[String]>, now: Timestamp) -> Option<Insider> {
    let mapped = settings.console.as_ref().and_then(|c| c.saml.as_ref()?.roles.as_ref());
    let (Some(groups), Some(mapped)) = (groups, mapped) else { return insider(settings, address, now) };
    let mut duties: Vec<Duty> = Vec::new();
    for duty in mapped.iter().filter(|(group, _)| groups.contains(group)).flat_map(|(_, duties)| duties) {
        if !duties.contains(duty) {
            duties.push(*duty);
        }
    }
    let domain = address.rsplit_once('@').map(|(_, domain)| domain)?;
    if !settings.council.domains.iter().any(|d| d == domain) {
        return None;
    }
    // One person stays one, whatever they may do just now.
    let of =
        bearer(settings, address).unwrap_or_else(|| Insider { name: address.into(), addresses: vec![address.into()], duties: Vec::new() });
    as_now(settings, Insider { duties, ..of }, now).filter(|insider| !insider.duties.is_empty())
}

/// The person of this name, as the site file has them.
pub fn named(settings: &Settings, name: &str) -> Option<Insider> {
    let insider = settings.access.insiders.iter().find(|i| i.name == name).cloned();
    insider.or_else(|| bearer(settings, name).filter(|b| b.name == name))
}

/// Who bears this address, with the roles that they have now: those that are lent to them stand last. Nobody, while they are suspended.
pub fn insider(settings: &Settings, address: &str, now: Timestamp) -> Option<Insider> {
    bearer(settings, address).and_then(|bearer| as_now(settings, bearer, now))
}

fn as_now(settings: &Settings, mut insider: Insider, now: Timestamp) -> Option<Insider> {
    if insider.addresses.iter().any(|a| settings.at_desk.is_suspended(a, || now)) {
        return None;
    }
    for lent in lent(settings, now).filter(|lent| insider.addresses.contains(&lent.to)) {
        if !insider.duties.contains(&lent.role) {
            insider.duties.push(lent.role);
        }
    }
    Some(insider)
}

/// The roles that are lent now. Whoever has a role no more has lent it no more; one that was lent is not lent on.
pub fn lent(settings: &Settings, now: Timestamp) -> impl Iterator<Item = &Lent> {
    settings.at_desk.lent.iter().filter(move |lent| {
        let is_on = lent.since <= now && now < lent.until;
        is_on && bearer(settings, &lent.by).is_some_and(|by| by.duties.contains(&lent.role))
    })
}

/// Those who may do it now, other than one and without whoever has the right only from that one, or the one from them: of two people
/// none has made the other.
pub fn others(settings: &Settings, right: Right, but: &str, now: Timestamp) -> Vec<Insider> {
    let staff = settings.people.staff.iter().filter_map(|p| bearer(settings, &p.address).filter(|b| b.name == p.address));
    let mut all: Vec<Insider> = settings.access.insiders.iter().cloned().chain(staff).collect();
    let mut seen = std::collections::HashSet::new();
    all.retain(|i| i.name != but && seen.insert(i.name.clone()));
    let one = named(settings, but);
    let without = |insider: &Insider, other: Option<&Insider>| {
        let bears = bearer(settings, &insider.addresses[0]).map(|b| b.duties).unwrap_or_default();
        let theirs =
            lent(settings, now).filter(|l| insider.addresses.contains(&l.to) && !other.is_some_and(|o| o.addresses.contains(&l.by)));
        bears.into_iter().chain(theirs.map(|l| l.role)).any(|d| right.of().contains(&d))
    };
    let independent = |i: &Insider| without(i, one.as_ref()) && one.as_ref().is_none_or(|one| without(one, Some(i)));
    all.into_iter().filter_map(|i| as_now(settings, i, now)).filter(independent).collect()
}

/// The table, for people to read.
pub fn words(settings: &Settings, now: Timestamp) -> String {
    let mut out = String::new();
    for right in Right::ALL {
        let roles: Vec<&str> = right.of().iter().map(|d| d.word()).collect();
        let two = settings.access.two_people.iter().any(|t| right_of(*t) == right);
        let two = if two { "; takes two people" } else { "" };
        out.push_str(&format!("{:<62}{}{two}\n", right.words(), roles.join(", ")));
    }
    out.push('\n');
    for insider in &settings.access.insiders {
        let roles: Vec<&str> = insider.duties.iter().map(|d| d.word()).collect();
        let name = if insider.addresses.contains(&insider.name) { String::new() } else { format!("{}: ", insider.name) };
        out.push_str(&format!("{name}{} is {}\n", insider.addresses.join(", "), roles.join(", ")));
    }
    let zone = &settings.time_zone;
    for lent in lent(settings, now) {
        out.push_str(&format!("{} is {} until {}, lent by {}\n", lent.to, lent.role.word(), moment(lent.until, zone), lent.by));
    }
    for suspension in settings.at_desk.suspended.iter().filter(|s| !s.is_over(now)) {
        let until = suspension.until.map_or("somebody lifts it".into(), |until| moment(until, zone));
        out.push_str(&format!("{} is suspended until {until}\n", suspension.address));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_the_same() {
        let page = include_str!("../../README.md");
        for right in Right::ALL {
            let roles: Vec<&str> = right.of().iter().map(|d| d.word()).collect();
            let row = format!("| {} | {} |", right.words(), roles.join(", "));
            assert!(page.contains(&row), "README.md has no row {row}");
        }
    }

    #[test]
    fn the_council_s_own_rules_hold_of_the_table() {
        let may = |duty: Duty, right: Right| right.of().contains(&duty);
        for right in Right::ALL {
            // A councillor as such may do none of it, an auditor looks at the log alone.
            assert!(!may(Duty::Member, right), "{right:?}");
            assert_eq!(may(Duty::Auditor, right), right == Right::Audit, "{right:?}");
            // Somebody may.
            assert!(!right.of().is_empty());
        }
        // Whoever runs the machine reads nobody's mail by that, and an investigator lets nothing go.
        assert!(!may(Duty::It, Right::OpenContent) && !may(Duty::It, Right::Report));
        assert!(!may(Duty::Investigator, Right::Release) && !may(Duty::Investigator, Right::Refuse));
        // There are two kinds of people for what takes two.
        for act in [TwoPeople::Content, TwoPeople::Holds, TwoPeople::Reports] {
            assert!(may(Duty::Clerk, right_of(act)) && may(Duty::Chair, right_of(act)), "{act:?}");
        }
    }
}
