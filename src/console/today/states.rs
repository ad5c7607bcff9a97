//! How each part of the gateway is, and what to do first where one is not well. `/health` says the same in a word.

use jiff::{SignedDuration, Timestamp};

use crate::console::frame::Signed;
use crate::observe::{Part as Of, PartState};
use crate::office::counted;
use crate::office::digest::{self, Schedule};
use crate::office::upkeep::{self, Level};
use crate::records::Options;
use crate::records::custody::{Counts, DigestStanding};

/// A part, in words.
pub(super) struct Part {
    pub what: &'static str,
    pub state: String,
    pub colour: &'static str,
    /// Figures, and what to do first.
    pub says: String,
}

impl Part {
    fn new(what: &'static str, (state, colour): (&str, &'static str), says: impl Into<String>) -> Part {
        Part { what, state: state.into(), colour, says: says.into() }
    }
}

const WELL: (&str, &str) = ("Well", "green");
const NOT_WELL: (&str, &str) = ("Not well", "orange");
const URGENT: (&str, &str) = ("Urgent", "red");

/// Those that are only well or not, with what to do first.
const PLAIN: [(Of, &str, &str); 8] = [
    (Of::Listeners, "Mail comes in", "Ask whoever runs the gateway: it is not listening."),
    (
        Of::Upstream,
        "The mail provider answers",
        "Mail waits at the senders\u{2019} and goes when the provider is back. If that takes hours, ring the provider.",
    ),
    (
        Of::Rules,
        "The rules",
        "A change of the rules was refused, or what was changed here is left out; the old ones stay in force. Ask whoever runs the gateway to check them.",
    ),
    (
        Of::Records,
        "The record is written",
        "Look whether the disk is full. Mail is delivered all the same, unless the record is mandatory.",
    ),
    (Of::Retention, "Old records are deleted", "No purge has ended for two days: ask whoever runs the gateway to look at its log."),
    (Of::Scanner, "The virus scanner answers", "Mail that must be scanned waits. Ask whoever runs the machine to start clamd."),
    (
        Of::People,
        "Suspended accounts and lent roles",
        "The file of the page People is damaged: nobody has a role that was lent, and a suspension may not count. Ask whoever runs the gateway to check it.",
    ),
    (Of::Dns, "Names can be looked up", "Rules that ask about senders wait or let mail pass, as each says."),
];

pub(super) fn all(signed: &Signed, counts: &Counts, digest: Option<&DigestStanding>, readable: bool, now: Timestamp) -> Vec<Part> {
    let mut out: Vec<Part> = PLAIN.into_iter().filter_map(|(part, what, first)| plain(signed, part, what, first)).collect();
    out.push(queue(signed, counts));
    out.extend(certificate(signed, now));
    out.extend(provider(signed, now));
    out.extend(disk(signed));
    out.extend(weekly(signed, digest, now));
    out.extend(desk(signed, readable));
    out
}

fn plain(signed: &Signed, part: Of, what: &'static str, first: &str) -> Option<Part> {
    let health = signed.desk.around.metrics.health();
    Some(match health.part(part) {
        PartState::Ok => Part::new(what, WELL, ""),
        PartState::Degraded => Part::new(what, NOT_WELL, first),
        PartState::Failed => Part::new(what, ("Failed", "red"), first),
        // What a site does not have is not shown.
        PartState::Unknown if matches!(part, Of::Upstream | Of::Records) => Part::new(what, ("Not known yet", "grey"), ""),
        PartState::Unknown => return None,
    })
}

/// What is in the gateway's own care: how much waits, and since when.
fn queue(signed: &Signed, counts: &Counts) -> Part {
    let health = signed.desk.around.metrics.health();
    let waiting = counts.mail + counts.notices;
    let mut says = if waiting == 0 { "Nothing waits.".to_string() } else { format!("{} to be delivered", counted(waiting, "message")) };
    if waiting > 0 {
        let oldest = counts.oldest.and_then(|at| Timestamp::from_millisecond(at).ok());
        let since =
            oldest.map(|at| at.to_zoned(signed.settings.time_zone.clone()).strftime("; the oldest since %-d %B, %H:%M").to_string());
        says.push_str(&since.unwrap_or_default());
        says.push('.');
    }
    if counts.stopped > 0 {
        says.push_str(&format!(" {} stopped by hand: ask whoever runs the gateway to let it go.", counted(counts.stopped, "message")));
    }
    if counts.broken > 0 {
        says.push_str(&format!(" {} set aside that cannot be opened: ask whoever runs the gateway.", counted(counts.broken, "message")));
    }
    let slow = health.part(Of::Queue) == PartState::Degraded;
    let blocked = health.part(Of::Outbox) == PartState::Degraded;
    if blocked {
        says.push_str(" The gateway cannot send mail of its own: look at its outgoing account ([outbox]).");
    } else if slow {
        says.push_str(" It has waited for more than an hour, or the provider does not answer: ring the provider.");
    }
    Part::new("Mail that waits to be delivered", if slow || blocked { NOT_WELL } else { WELL }, says)
}

fn certificate(signed: &Signed, now: Timestamp) -> Option<Part> {
    let ends = Timestamp::from_second(signed.desk.around.metrics.health().certificate_ends()?).ok()?;
    let first = "Ask whoever runs the gateway to renew it and to reload";
    Some(ending(signed, "The certificate", ends, now, "mail programs refuse the gateway", first))
}

/// Of the identity provider. What it signed with an old one is refused by no clock, but it signs with another by then.
fn provider(signed: &Signed, now: Timestamp) -> Option<Part> {
    let saml = signed.settings.console.as_ref()?.saml.as_ref()?;
    let first = "Ask whoever runs the gateway to fetch the identity provider\u{2019}s metadata again and to reload";
    let what = "The certificate of the identity provider";
    Some(ending(signed, what, saml.provider.signs_until()?, now, "nobody may be able to sign in with the council\u{2019}s account", first))
}

/// A certificate that ends: what happens then, and what to do first.
fn ending(signed: &Signed, what: &'static str, ends: Timestamp, now: Timestamp, then: &str, first: &str) -> Part {
    let (days, level) = upkeep::certificate(ends, now);
    let date = ends.to_zoned(signed.settings.time_zone.clone()).strftime("%-d %B %Y");
    let left = counted(days.unsigned_abs(), "day");
    let (state, says) = match level {
        Level::Well => (WELL, format!("Good until {date}, {left} from now.")),
        _ if ends <= now => (URGENT, format!("It was good until {date}: {then}. {first} now.")),
        Level::Soon => (NOT_WELL, format!("It ends on {date}, {left} from now. {first}.")),
        Level::Urgent => (URGENT, format!("It ends on {date}, {left} from now; then {then}. {first} today.")),
    };
    Part::new(what, state, says)
}

fn disk(signed: &Signed) -> Option<Part> {
    let free = upkeep::free(&Options::of(&signed.settings))?;
    let room = if free >= 1_000_000_000 { format!("{} GB", free / 1_000_000_000) } else { format!("{} MB", free / 1_000_000) };
    let (state, says) = match upkeep::disk(free) {
        Level::Well => (WELL, format!("{room} free.")),
        Level::Soon => (NOT_WELL, format!("{room} free. Ask whoever runs the machine to make room.")),
        Level::Urgent => {
            (URGENT, format!("{room} free: soon nothing can be held or recorded. Ask whoever runs the machine to make room now."))
        }
    };
    Some(Part::new("Room on the disk", state, says))
}

fn weekly(signed: &Signed, standing: Option<&DigestStanding>, now: Timestamp) -> Option<Part> {
    let settings = &signed.settings;
    let zone = &settings.time_zone;
    let schedule = Schedule::new(settings.digest.as_ref()?, zone);
    let day = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%A %-d %B, %H:%M").to_string();
    let last = standing.and_then(|known| known.delivered).and_then(|at| Timestamp::from_millisecond(at).ok());
    let last = last.map_or("None was sent yet.".to_string(), |at| format!("The last one was delivered on {}.", day(at)));
    if standing.is_some_and(|known| digest::is_overdue(settings, known, now)) {
        return Some(Part::new(
            "The weekly digest",
            NOT_WELL,
            format!("{last} The next one is overdue: look whether the gateway can send mail ([outbox])."),
        ));
    }
    let next = schedule.after(schedule.last(now));
    Some(Part::new(
        "The weekly digest",
        WELL,
        format!("{last} The next one comes on {}.", day(next.max(now + SignedDuration::from_secs(1)))),
    ))
}

fn desk(signed: &Signed, readable: bool) -> Option<Part> {
    let (state, says) = match (upkeep::desk(&signed.settings)?, readable) {
        (true, true) => (WELL, ""),
        (true, false) => (NOT_WELL, "What it keeps cannot be read: see Papers for what to do."),
        (false, _) => (
            NOT_WELL,
            "The gateway cannot write there, so nothing can be changed at the desk. Ask whoever runs the machine to look at [console] folder.",
        ),
    };
    Some(Part::new("The desk\u{2019}s folder", state, says))
}
