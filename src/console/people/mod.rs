//! The council's people: who has which role, whose account is suspended, who acts for whom, who has accounts of their own, and who has
//! read the monitoring notice. Changes stand beside the site file and count at once ([`crate::office::people`]).

pub(super) mod accounts;
pub(super) mod acting;
pub(super) mod suspended;

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::fields::{Field, Sent, Summary, Typed};
use super::frame::{Answer, Frame, Signed, Trouble, show};
use crate::config::Settings;
use crate::config::settings::Duty;
use crate::office::acknowledgements::Standing;
use crate::office::people::{self, Refused, Reload};
use crate::office::roles::Right;
use crate::office::{Doer, Fault, roles};
use crate::records::Options;
use crate::smtp::address::{Address, Charset};

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
    /// Groups at the identity provider decide about whoever signs in there.
    by_groups: bool,
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

/// The page of one kind of entry: those that there are, each with a form that ends it, and a form for a new one.
#[derive(Template)]
#[template(path = "people-page.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    summary: Summary,
    done: Option<&'static str>,
    title: &'static str,
    intro: &'static str,
    notes: Vec<String>,
    cards: Vec<Card>,
    words: Words,
    fields: Vec<Field>,
    /// In place of the form for a new one.
    why_not: Option<&'static str>,
}

/// What the forms of such a page say, and where they lead.
struct Words {
    open: &'static str,
    end: &'static str,
    act: &'static str,
    new: &'static str,
    button: &'static str,
    to: &'static str,
    is_grave: bool,
}

/// An entry.
struct Card {
    heading: String,
    tag: Option<&'static str>,
    facts: Vec<(&'static str, String)>,
    /// The name of its form on the page.
    form: String,
    hidden: Vec<(&'static str, String)>,
    why: Field,
}

/// What a reason is for.
const WHY: &str = "A few words; they stand beside the entry and in the access log.";

/// The name of the form of the entry of this number.
fn entry(n: usize) -> String {
    format!("entry-{n}")
}

/// A form that ends an entry, as it came. Which of the page's it was is a number of ours, or none.
fn ending(signed: &Signed, sent: Sent) -> Result<(Typed, Doer), Trouble> {
    signed.must(&[Right::People])?;
    signed.sent(sent.text("token"))?;
    let n = sent.text("form").strip_prefix("entry-").and_then(|n| n.parse().ok()).unwrap_or_default();
    let doer = signed.doer(sent.text("reason"))?;
    Ok((Typed::new(entry(n), sent), doer))
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
    let saml = signed.settings.console.as_ref().and_then(|console| console.saml.as_ref());
    show(&List {
        by_groups: saml.is_some_and(|saml| saml.roles.is_some()),
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

/// The field of a form for a new entry that something is wrong with.
fn at(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Purpose | Fault::People(Refused::LongReason) => Some("reason"),
        Fault::People(Refused::Past | Refused::TooLong) => Some("last"),
        Fault::People(Refused::NotYours) => Some("role"),
        Fault::People(Refused::NotOwn | Refused::Registered | Refused::TooMany | Refused::NoKey) => Some("account"),
        Fault::People(_) | Fault::Address(_) | Fault::Reload(_) => Some("who"),
        _ => None,
    }
}

/// The same of the form of an entry, which has one field.
fn at_entry(fault: &Fault) -> Option<&'static str> {
    at(fault).map(|_| "reason")
}

/// What is no whole address is noted.
fn needs_address(typed: &mut Typed, name: &'static str, missing: &str) {
    if Address::parse(typed.text(name), Charset::Utf8).is_err() {
        typed.note(name, missing);
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
    now.is_some_and(|i| i.duties.iter().any(|d| Right::People.of().contains(d)))
}
