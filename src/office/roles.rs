//! Who may do what: one table, from role to right.
//!
//! The machine's own command line has the role `it` where nobody says who they are: whoever has the machine and its key file has what
//! is in them. That is why each act is in the access log, with the account; and why what takes two people asks for codes that are
//! mailed to both.

use crate::config::Settings;
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
}

impl Right {
    pub const ALL: [Right; 15] = [
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

/// Who bears this address.
pub fn insider<'a>(settings: &'a Settings, address: &str) -> Option<&'a Insider> {
    settings.access.insiders.iter().find(|i| i.addresses.iter().any(|a| a == address))
}

/// Who somebody is who signed in. Groups are what the identity provider said of them, where they came by it: if the site file gives roles
/// to groups, these alone decide, so that whoever is taken out of a group there has no role here. A group gives roles to addresses of the
/// council's only: a guest of the tenant's is not of the council.
pub fn signed_in(settings: &Settings, address: &str, groups: Option<&[String]>) -> Option<Insider> {
    let known = insider(settings, address);
    let mapped = settings.console.as_ref().and_then(|c| c.saml.as_ref()?.roles.as_ref());
    let (Some(groups), Some(mapped)) = (groups, mapped) else { return known.cloned() };
    let mut duties: Vec<Duty> = Vec::new();
    for duty in mapped.iter().filter(|(group, _)| groups.contains(group)).flat_map(|(_, duties)| duties) {
        if !duties.contains(duty) {
            duties.push(*duty);
        }
    }
    let domain = address.rsplit_once('@').map(|(_, domain)| domain)?;
    if duties.is_empty() || !settings.council.domains.iter().any(|d| d == domain) {
        return None;
    }
    // One person stays one, whatever they may do just now.
    let of = known.cloned().unwrap_or_else(|| Insider { name: address.into(), addresses: vec![address.into()], duties: Vec::new() });
    Some(Insider { duties, ..of })
}

/// Those who may do it, other than one.
pub fn others<'a>(settings: &'a Settings, right: Right, but: &str) -> impl Iterator<Item = &'a Insider> {
    let but = but.to_owned();
    settings.access.insiders.iter().filter(move |i| i.name != but && i.duties.iter().any(|d| right.of().contains(d)))
}

/// The table, for people to read.
pub fn words(settings: &Settings) -> String {
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
