//! The council's people: who has which role, whose account is suspended, who acts for whom, who has accounts of their own, and who has
//! read the monitoring notice. Changes stand beside the site file and count at once ([`crate::office::people`]).

pub(super) mod accounts;
pub(super) mod acting;
pub(super) mod suspended;

use askama::Template;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::frame::{Answer, Frame, Signed, Trouble, plain, show};
use crate::config::Settings;
use crate::config::settings::Duty;
use crate::office::acknowledgements::Standing;
use crate::office::people::{self, Refused, Reload};
use crate::office::{Fault, roles};
use crate::records::Options;

#[derive(Template)]
#[template(path = "people.html", config = "src/console/askama.toml")]
struct List {
    frame: Frame,
    people: Vec<Line>,
    read: usize,
    suspended: usize,
    acting: usize,
    accounts: usize,
    broken: Option<String>,
}

struct Line {
    name: String,
    addresses: String,
    roles: String,
    lent: Vec<String>,
    accounts: usize,
    suspended: bool,
    colour: &'static str,
    notice: &'static str,
    when: Option<String>,
}

/// A fault of a form: the field, and what is wrong with it.
pub(super) struct Wrong {
    pub at: String,
    pub text: String,
}

/// What a form of one entry says: which, and why.
#[derive(Default, serde::Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub token: String,
    /// Which form of the page.
    #[serde(default)]
    pub n: usize,
    #[serde(default)]
    pub who: String,
    #[serde(default)]
    pub role: String,
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub reason: String,
}

#[derive(serde::Deserialize)]
pub(super) struct Done {
    #[serde(default)]
    pub done: String,
}

pub(super) async fn list(signed: Signed) -> Answer {
    let doer = signed.doer("who is who")?;
    let now = Timestamp::now();
    let all = signed.ask(move |settings, options| people::list(settings, options, now, &doer)).await?;
    let people: Vec<Line> = all
        .into_iter()
        .map(|of| {
            let (colour, notice, when) = match of.notice {
                Standing::Read(at) => ("green", "Read", Some(day(&signed, at))),
                Standing::Earlier(at) => ("yellow", "Read an earlier one", Some(day(&signed, at))),
                Standing::Never => ("grey", "Not read", None),
            };
            Line {
                name: of.name,
                addresses: of.addresses.join(", "),
                roles: if of.roles.is_empty() { "officer".into() } else { of.roles.join(", ") },
                lent: of.lent.iter().map(|(role, until)| format!("{role} until {}", last_day(&signed, *until))).collect(),
                accounts: of.accounts,
                suspended: of.suspended,
                colour,
                notice,
                when,
            }
        })
        .collect();
    let at_desk = &signed.settings.at_desk;
    show(&List {
        read: people.iter().filter(|p| p.notice == "Read").count(),
        suspended: at_desk.suspended.iter().filter(|s| !s.is_over(now)).count(),
        acting: roles::lent(&signed.settings, now).count(),
        accounts: people.iter().map(|p| p.accounts).sum(),
        broken: at_desk.fault.clone(),
        frame: signed.frame("/people"),
        people,
    })
}

/// Changes something, and has the gateway take it up. It takes its time.
async fn change<T: Send + 'static>(
    signed: &Signed,
    act: impl FnOnce(&Settings, &Options, Reload<'_>) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Trouble> {
    let desk = signed.desk.clone();
    signed.ask(move |settings, options| act(settings, options, &|| (desk.around.reload)())).await
}

/// The page was looked at.
async fn look(signed: &Signed, what: &str) -> Result<(), Trouble> {
    let doer = signed.doer(what)?;
    signed.ask(move |_, options| people::look(options, &doer)).await
}

/// What is wrong with a form, and where; what is no fault of a form is a page of its own.
fn wrong(trouble: Trouble) -> Result<Wrong, Trouble> {
    let at = match &trouble {
        Trouble::Office(Fault::Purpose | Fault::People(Refused::LongReason)) => "reason",
        Trouble::Office(Fault::People(Refused::Past | Refused::TooLong)) => "day",
        Trouble::Office(Fault::People(Refused::NotYours)) => "role",
        Trouble::Office(Fault::People(Refused::NotOwn | Refused::Registered | Refused::TooMany | Refused::NoKey)) => "account",
        Trouble::Office(Fault::People(_) | Fault::Address(_) | Fault::Reload(_)) => "who",
        _ => return Err(trouble),
    };
    let Trouble::Office(fault) = trouble else { return Err(trouble) };
    let text = match &fault {
        Fault::Address(_) => "Enter a whole address, such as jo.elm@council.gov.uk".into(),
        fault => plain(fault),
    };
    Ok(Wrong { at: at.into(), text })
}

/// The same of the form of an entry, which has one field.
fn wrong_at(trouble: Trouble, n: usize) -> Result<Wrong, Trouble> {
    wrong(trouble).map(|wrong| Wrong { at: format!("reason-{n}"), ..wrong })
}

/// A day of three fields; none where all are empty.
fn date(day: &str, month: &str, year: &str) -> Result<Option<Date>, Wrong> {
    let fields = [day.trim(), month.trim(), year.trim()];
    if fields.iter().all(|f| f.is_empty()) {
        return Ok(None);
    }
    let read = || Date::new(fields[2].parse().ok()?, fields[1].parse().ok()?, fields[0].parse().ok()?).ok().filter(|d| d.year() > 2000);
    match read() {
        Some(date) => Ok(Some(date)),
        None => Err(Wrong { at: "day".into(), text: "Enter a day that there is, such as 10 12 2026.".into() }),
    }
}

/// "10 December 2026".
pub(super) fn day(signed: &Signed, at: Timestamp) -> String {
    at.to_zoned(signed.settings.time_zone.clone()).strftime("%-d %B %Y").to_string()
}

/// The last day of a time that ends with it.
pub(super) fn last_day(signed: &Signed, until: Timestamp) -> String {
    day(signed, until - SignedDuration::from_secs(1))
}

/// "Jo Elm acts for the Clerk until 10 December 2026" for each.
pub(super) fn acting_now(signed: &Signed, now: Timestamp) -> Vec<String> {
    roles::lent(&signed.settings, now)
        .map(|lent| format!("{} {} until {}", people::name_of(&signed.settings, &lent.to), acts(lent.role), last_day(signed, lent.until)))
        .collect()
}

fn acts(role: Duty) -> &'static str {
    match role {
        Duty::Clerk => "acts for the Clerk",
        Duty::Chair => "acts for the Chair",
        Duty::It => "acts for whoever runs the gateway",
        Duty::Investigator => "acts as investigator",
        Duty::Auditor => "acts as auditor",
        Duty::Member => "is a member",
    }
}

/// Those whom a form offers: name and address, in the order of the site file.
fn offered(signed: &Signed, but: &str) -> Vec<(String, String)> {
    people::everybody(&signed.settings)
        .into_iter()
        .filter(|i| i.name != but)
        .map(|i| {
            let (address, name) = (i.addresses[0].clone(), people::name_of(&signed.settings, &i.addresses[0]));
            let shown = if name == address { name } else { format!("{name} ({address})") };
            (address, shown)
        })
        .collect()
}

/// As the settings are after a change.
fn still_may(signed: &Signed) -> bool {
    let now = roles::insider(&signed.desk.settings(), &signed.session.person, Timestamp::now());
    now.is_some_and(|i| i.duties.iter().any(|d| roles::Right::People.of().contains(d)))
}
