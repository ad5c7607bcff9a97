//! The breach helper: from a message, or from what a rule saw, to the addresses that were shown, the 72 hours, and two drafts: the
//! report to the regulator (UK GDPR Article 33) and the note to those concerned (Article 34). A draft says what is not known; a person
//! judges, and sends.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::masks::Masks;
use super::roles::Right;
use super::{Doer, Fault, address, counted, moment};
use crate::config::Settings;
use crate::policy::people::Class;
use crate::records::holds::Scope;
use crate::records::rights::{Exposed, Kind, Request};
use crate::records::row::ClassCounts;
use crate::records::trace::Question;
use crate::records::{Keeping, Options};

/// Messages of one incident; what goes beyond is counted.
const MOST: usize = 1_000;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub reference: Option<String>,
    pub message_id: Option<String>,
    pub rule: Option<String>,
    pub since: Option<Timestamp>,
    /// Addresses of which the Clerk wants to know whether they were among the recipients.
    pub addresses: Vec<String>,
    /// When the council came to know of it; now, if not said. Given, the 72 hours are noted among the requests.
    pub known: Option<Timestamp>,
}

/// One message.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Event {
    pub time: Timestamp,
    pub reference: String,
    /// By role.
    pub sender: String,
    /// Somebody got it.
    pub delivered: bool,
    /// Outsiders' addresses that stood in its header when it came.
    pub visible_external: usize,
    pub recipients: ClassCounts,
    /// Domains of consumer providers among its recipients.
    pub consumer_domains: usize,
    pub other_domains: usize,
    /// Rules that matched, and what became of them.
    pub rules: Vec<String>,
    /// An enforced rule hid the addresses before it left.
    pub hidden: bool,
    /// Of the addresses that were given, those among its recipients.
    pub among: Vec<String>,
}

/// What the record can tell of an incident.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Breach {
    pub events: Vec<Event>,
    /// Messages beyond those that are listed.
    pub more: usize,
    /// Messages that were delivered with outsiders' addresses to be seen.
    pub exposing: usize,
    /// The largest number of addresses that one of them showed, and the sum over all: people may be counted twice in the sum.
    pub most_in_one: usize,
    pub shown_in_all: usize,
    /// Copies that showed them.
    pub copies: u64,
    pub known: Timestamp,
    pub report_by: Timestamp,
    /// The number under which the 72 hours are noted.
    pub request: Option<i64>,
    pub unknown: Vec<String>,
    pub report: String,
    pub note: String,
}

/// Looks at an incident. The look-up is logged; it is a named report, as it says whose message did what.
pub fn breach(
    settings: &Settings,
    options: &Options,
    asked: &Asked,
    now: Timestamp,
    zone: &TimeZone,
    doer: &Doer,
) -> Result<Breach, Fault> {
    let scope = Scope { reference: asked.reference.clone(), message_id: asked.message_id.clone(), since: asked.since, ..Scope::default() };
    let one = scope.reference.is_some() || scope.message_id.is_some();
    if !one && (asked.rule.is_none() || scope.since.is_none()) {
        return Err(Fault::WhichMessage);
    }
    let addresses = asked.addresses.iter().map(|a| address(a)).collect::<Result<Vec<_>, _>>()?;
    let question = Question {
        reference: asked.reference.clone(),
        message_id: asked.message_id.clone(),
        since: asked.since.unwrap_or_default(),
        until: now,
        ..Question::default()
    };
    doer.log(options, Right::Breach, "looked into a breach", question)?;
    let mut keeping = Keeping::open(options)?;
    let (found, more) = keeping.exposed(&scope, asked.rule.as_deref(), &addresses, MOST)?;
    if found.is_empty() {
        return Err(Fault::NothingFits);
    }
    let masks = Masks::new(settings, "");
    let events: Vec<Event> = found.iter().map(|e| event(settings, e, &masks)).collect();
    let known = asked.known.unwrap_or(now);
    let shown = |e: &&Event| e.delivered && !e.hidden && e.visible_external > 0;
    let exposing = events.iter().filter(shown);
    let mut breach = Breach {
        more,
        exposing: exposing.clone().count(),
        most_in_one: exposing.clone().map(|e| e.visible_external).max().unwrap_or(0),
        shown_in_all: exposing.clone().map(|e| e.visible_external).sum(),
        copies: exposing.map(|e| total(&e.recipients)).sum(),
        known,
        report_by: known + 72.hours(),
        request: None,
        unknown: unknown(&events, &addresses),
        report: String::new(),
        note: String::new(),
        events,
    };
    if let Some(known) = asked.known {
        let received = known.to_zoned(zone.clone()).date();
        let person = breach.events[0].reference.clone();
        let mut request =
            Request { id: 0, kind: Kind::Breach, person, received, known: Some(known), pauses: vec![], extended: None, closed: None };
        keeping.put_request(&mut request)?;
        breach.request = Some(request.id);
    }
    breach.report = report(settings, &breach, zone);
    breach.note = note(settings, &breach, zone);
    Ok(breach)
}

fn total(c: &ClassCounts) -> u64 {
    [c.internal, c.partner, c.personal, c.external].into_iter().map(u64::from).sum()
}

fn event(settings: &Settings, exposed: &Exposed, masks: &Masks<'_>) -> Event {
    let row = &exposed.row;
    let domains: BTreeSet<&String> = row.external_domains.iter().collect();
    let consumer = domains.iter().filter(|d| settings.policy.classify(&format!("x@{d}")) == Class::Personal).count();
    let acts = |id: &str| settings.policy.rules().iter().find(|r| *r.id == *id);
    let hidden = row
        .rules
        .iter()
        .any(|r| r.mode == "enforce" && r.overridden.is_none() && acts(&r.id).is_some_and(|rule| rule.then.hide_recipients.is_some()));
    Event {
        time: row.time,
        reference: row.reference.clone(),
        sender: masks.who(&address(&row.sender).unwrap_or_default()),
        delivered: row.outcome_code.is_some_and(|c| c / 100 == 2),
        visible_external: row.facts.visible_external,
        recipients: row.classes,
        consumer_domains: consumer,
        other_domains: domains.len() - consumer,
        rules: row
            .rules
            .iter()
            .map(|r| match &r.overridden {
                Some(_) => format!("{} (overridden by the sender)", r.id),
                None => format!("{} ({})", r.id, r.mode),
            })
            .collect(),
        hidden,
        among: exposed.among.clone(),
    }
}

/// What the record cannot tell.
fn unknown(events: &[Event], addresses: &[String]) -> Vec<String> {
    let mut out = vec![
        "Whose addresses they were: the record holds hashes. The sender's own Sent copy shows them all.".to_string(),
        "What the text and the files said: no copy is kept. Whether they told of health, belief or money decides how great the risk is."
            .into(),
        "Whether anybody read it, forwarded it, or has deleted it.".into(),
        "Whether one person was shown in several messages: then the sum counts them several times.".into(),
    ];
    if events.iter().any(|e| e.hidden) {
        out.push("Where a rule hid addresses, it hid those that the policy does not trust; partners and the council's own may have stayed visible.".into());
    }
    if addresses.is_empty() {
        out.push("Whether given people were among the recipients: give their addresses with --address, and the record says so.".into());
    }
    out
}

/// The regulator's headings, as on its form for reporting a breach; "NOT KNOWN" is to be filled in.
fn report(settings: &Settings, b: &Breach, zone: &TimeZone) -> String {
    let first = &b.events[0];
    let last = &b.events[b.events.len() - 1];
    let when =
        if b.events.len() == 1 { moment(first.time, zone) } else { format!("{} to {}", moment(first.time, zone), moment(last.time, zone)) };
    let references = b.events.iter().take(20).map(|e| e.reference.as_str()).collect::<Vec<_>>().join(", ");
    let what = if b.exposing == 0 {
        "The gateway's record shows no message that was delivered with outsiders' addresses to be seen by others. Check below what is not known before this is closed as no breach.".to_string()
    } else {
        format!(
            "{} was sent with e-mail addresses of people outside the council to be seen by the others who got it. The most in one message: {}. Copies that showed them: {}.",
            counted(b.exposing as u64, "message"),
            counted_addresses(b.most_in_one),
            b.copies,
        )
    };
    let consumer = b.events.iter().map(|e| u64::from(e.recipients.personal)).max().unwrap_or(0);
    format!(
        "DRAFT report of a personal data breach (UK GDPR Article 33)\n\
         To be reported by {by}, unless no risk to anybody is likely. What is not known yet may follow later (Article 33(4)).\n\n\
         1. The organisation\n   {council}. Registration number: NOT KNOWN. Contact: {clerk}\n\n\
         2. What happened\n   {what}\n   Messages: {references}\n\n\
         3. When it happened, when it was discovered, and how\n   Happened: {when}\n   Known since: {known}\n   How it was discovered: NOT KNOWN\n\n\
         4. Whose data, which data, how many\n   People: residents and others outside the council who are on the messages' address lines. About {most} (in one message), at most {all} in all.\n   Data: e-mail addresses, and the names that stood beside them. Recipients at consumer providers, in one message: {consumer}.\n   Special categories (health, belief, politics …): NOT KNOWN; the text of the messages decides.\n   Children or vulnerable people: NOT KNOWN\n\n\
         5. Likely consequences\n   Unwanted mail and fraud by mail; that somebody wrote to the council about this matter is known to others. Whether more: NOT KNOWN\n\n\
         6. What was done, and what will be\n   Recipients asked to delete the message: NOT KNOWN\n   People told (Article 34): NOT KNOWN\n   The council's mail gateway holds the policy's rules against each message; these matched: {rules}\n\n\
         7. Others who were told (police, insurer, other regulators)\n   NOT KNOWN\n\n\
         8. If later than 72 hours: why\n   NOT KNOWN\n\n\
         What the record cannot tell:\n{unknown}",
        by = moment(b.report_by, zone),
        council = settings.council.name,
        clerk = settings.council.clerk.as_deref().unwrap_or("NOT KNOWN"),
        known = moment(b.known, zone),
        most = counted_addresses(b.most_in_one),
        all = counted_addresses(b.shown_in_all),
        rules = rules(b),
        unknown = b.unknown.iter().map(|u| format!("  - {u}\n")).collect::<String>(),
    )
}

/// "1 address", "17 addresses".
fn counted_addresses(n: usize) -> String {
    if n == 1 { "1 address".into() } else { format!("{n} addresses") }
}

fn rules(b: &Breach) -> String {
    let all: BTreeSet<&str> = b.events.iter().flat_map(|e| e.rules.iter().map(String::as_str)).collect();
    if all.is_empty() { "none".into() } else { all.into_iter().collect::<Vec<_>>().join(", ") }
}

/// To those concerned, in plain words (Article 34(2)).
fn note(settings: &Settings, b: &Breach, zone: &TimeZone) -> String {
    format!(
        "DRAFT note to the people concerned (UK GDPR Article 34). Send it to each of them alone, not to all at once.\n\n\
         Subject: Your e-mail address was shown to others\n\n\
         Dear NAME,\n\n\
         On {when} {council} sent an e-mail about SUBJECT. Your e-mail address could be seen by the others who got it. We are sorry.\n\n\
         What this means for you: others now know your address, and that you had mail from us about this. You may get unwanted mail. Be careful with messages that seem to come from us and ask for money, passwords or haste; telephone us if in doubt.\n\n\
         What we have done: WHAT WAS DONE (for example: asked everybody to delete the message and not to use the addresses).\n\n\
         What you can do: if you have the message, please delete it. If this puts you at risk or causes you trouble, tell us at once.\n\n\
         Contact: {clerk}. You can complain to the Information Commissioner (ico.org.uk).\n",
        when = moment(b.events[0].time, zone),
        council = settings.council.name,
        clerk = settings.council.clerk.as_deref().unwrap_or("THE CLERK'S ADDRESS"),
    )
}

/// In plain words, without the drafts.
pub fn words(b: &Breach, zone: &TimeZone) -> String {
    let mut out = format!("The 72 hours end on {}.\n\n", moment(b.report_by, zone));
    for e in &b.events {
        out.push_str(&format!(
            "{}  {}\n  From {}; {}\n  {} of outsiders to be seen{}; recipients: {} at the council, {} at partners, {} at consumer providers, {} others\n  Rules: {}\n",
            moment(e.time, zone),
            e.reference,
            e.sender,
            if e.delivered { "delivered" } else { "not delivered as far as is known: nobody saw it" },
            counted_addresses(e.visible_external),
            if e.hidden { ", hidden before it left" } else { "" },
            e.recipients.internal,
            e.recipients.partner,
            e.recipients.personal,
            e.recipients.external,
            if e.rules.is_empty() { "none".into() } else { e.rules.join(", ") },
        ));
        if !e.among.is_empty() {
            out.push_str(&format!("  Among its recipients: {}\n", e.among.join(", ")));
        }
        out.push('\n');
    }
    if b.more > 0 {
        out.push_str(&format!("There are {} more: ask for a shorter time.\n", b.more));
    }
    out
}
