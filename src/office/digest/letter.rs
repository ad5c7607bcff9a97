//! The digest as its reader sees it: what to do first, the week in figures beside the week before, what waits, which dates come.
//!
//! Written for a Clerk who has ten hours a week. Pure. **Never:** an address, a subject, a word of a message, a name; the reasons that
//! senders gave are masked.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use crate::office::{counted, day, moment};
use crate::outbox::{LaneStanding, Page, Standing};
use crate::records::Figures;
use crate::records::tally::Outcome;

/// Rules that are named, and reasons of each override; what is beyond is counted.
const RULES: usize = 12;
const REASONS: usize = 3;
/// Mail that waits longer than this to be delivered is told of.
pub const LATE: SignedDuration = SignedDuration::from_hours(1);
/// A certificate that ends within so many days, and a review that is due within them, are something to do.
const CERTIFICATE: i64 = 21;
const REVIEW: i64 = 60;

/// All that it says.
#[derive(Clone, Debug)]
pub struct Report {
    pub council: String,
    /// Where the console is, if there is one.
    pub console: Option<String>,
    pub zone: TimeZone,
    pub now: Timestamp,
    pub since: Timestamp,
    pub until: Timestamp,
    /// When the next one comes by itself; none where they are switched off.
    pub next: Option<Timestamp>,
    /// Somebody asked for it: it is not the one of the week.
    pub by_hand: bool,
    pub week: Figures,
    /// As long a time before it.
    pub before: Figures,
    pub rules: Vec<RuleLine>,
    pub overrides: Vec<OverrideLine>,
    /// Forwards to personal accounts that rules saw.
    pub forwarded: (u64, u64),
    pub held: HeldEnded,
    pub standing: Standing,
    pub certificate: Certificate,
    /// When the identity provider's certificate ends; none where there is none.
    pub provider_ends: Option<Timestamp>,
    pub review: Option<Date>,
    /// The monitoring notice: its version, and when it was given.
    pub notice: Option<(String, Date)>,
    pub scanner: Scanner,
    /// Sentences about requests, holds of records and the purge.
    pub dates: Vec<String>,
    /// Sentences of other parts, such as the use of a sealed code.
    pub more: Vec<String>,
}

/// What became of messages that were held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldEnded {
    pub released: u64,
    pub returned: u64,
    pub released_at_end: u64,
    pub returned_at_end: u64,
}

/// How often a rule matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLine {
    pub title: String,
    /// "refused", "would be held".
    pub what: String,
    pub week: u64,
    pub before: u64,
}

/// How often a rule was overridden, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideLine {
    pub title: String,
    /// As it stands in a subject: "show-recipients".
    pub word: String,
    pub week: u64,
    pub before: u64,
    /// As their senders wrote them; masked when they are shown.
    pub reasons: Vec<String>,
}

/// The gateway's own certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// No listener uses TLS.
    None,
    Ends(Timestamp),
    Unreadable,
}

/// The virus scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanner {
    None,
    /// Nobody has asked it yet.
    Unasked,
    Answers,
    Silent,
}

/// The letter.
pub fn compose(report: &Report) -> Page {
    let mut out = Lines::default();
    let (from, to) = (moment(report.since, &report.zone), moment(report.until, &report.zone));
    out.line(format!("The mail gateway of {}, {from} to {to}.", report.council));
    if report.by_hand && report.next.is_some() {
        out.line("Somebody asked for this one; the digest of the week comes at its time.");
    }
    let hours = report.until.duration_since(report.since).as_hours();
    // The clocks change: a week may have an hour more or less.
    let days = ((hours + 12) / 24).unsigned_abs();
    out.line(match days {
        0 => "In brackets: as long a time before.".to_string(),
        1 => "In brackets: the day before.".to_string(),
        n => format!("In brackets: the {n} days before."),
    });
    to_do(report, &mut out);
    figures(report, &mut out);
    rules(report, &mut out);
    waiting(report, &mut out);
    dates(report, &mut out);
    out.line("");
    match report.next {
        Some(next) => {
            out.line(format!("The next digest comes on {}.", moment(next, &report.zone)));
            out.line("If it does not, something is wrong: ask whoever runs the gateway to look at it that day.");
        }
        None => out.line("Digests are switched off: the next one comes only when somebody asks for it."),
    }
    let upto = Zoned::new(report.until, report.zone.clone()).strftime("%-d %B %Y").to_string();
    let subject = match days {
        _ if report.by_hand => format!("Mail gateway: as of {upto}"),
        7 => format!("Mail gateway: the week to {upto}"),
        n => format!("Mail gateway: {} to {upto}", counted(n.max(1), "day")),
    };
    Page { subject, text: out.text }
}

#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn line(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn item(&mut self, text: impl AsRef<str>) {
        self.line(format!("- {}", text.as_ref()));
    }
}

fn to_do(report: &Report, out: &mut Lines) {
    let mut all: Vec<String> = Vec::new();
    let held: u64 = report.standing.lanes.iter().map(|l| l.held).sum();
    if let Some(until) = report.standing.lanes.iter().filter_map(|l| l.held_until).min().filter(|_| held > 0) {
        let until = moment(time(until), &report.zone);
        let place = report.console.as_ref().map_or_else(|| "lychgate held list".to_string(), |url| format!("{url}/held"));
        all.push(match held {
            1 => format!("A held message waits for a decision, until {until}: {place}"),
            _ => format!("{held} held messages wait for a decision, the first until {until}: {place}"),
        });
    }
    for lane in &report.standing.lanes {
        all.extend(late(lane, report));
    }
    if report.standing.notices_since.is_some_and(|since| report.now.duration_since(time(since)) > LATE) {
        let letters = counted(report.standing.notices, "letter");
        all.push(format!("{letters} of the gateway's own cannot be delivered. Ask whoever runs the gateway to look at [outbox]."));
    }
    match report.certificate {
        Certificate::Ends(end) if end <= report.now => {
            all.push(format!(
                "The gateway's certificate ended on {}: mail programs refuse it. Have it renewed today.",
                day(end, &report.zone)
            ));
        }
        Certificate::Ends(end) if days_to(report, end) <= CERTIFICATE => {
            all.push(format!("The gateway's certificate ends on {}. Have it renewed.", day(end, &report.zone)));
        }
        Certificate::Unreadable => all.push("The gateway's certificate cannot be read. Ask whoever runs the gateway.".into()),
        Certificate::None | Certificate::Ends(_) => {}
    }
    if let Some(end) = report.provider_ends.filter(|end| days_to(report, *end) <= CERTIFICATE) {
        let verb = if end <= report.now { "ended" } else { "ends" };
        all.push(format!(
            "The identity provider's certificate {verb} on {}. Have its metadata fetched again, or nobody may be able to sign in.",
            day(end, &report.zone)
        ));
    }
    let today = report.now.to_zoned(report.zone.clone()).date();
    if let Some(review) = report.review.filter(|review| *review <= today.saturating_add(REVIEW.days())) {
        let verb = if review < today { "was" } else { "is" };
        all.push(format!("The policy {verb} to be reviewed by the end of {}: put it on an agenda.", review.strftime("%B %Y")));
    }
    all.extend(report.dates.iter().cloned());
    if report.scanner == Scanner::Silent {
        all.push("The virus scanner does not answer. Ask whoever runs the gateway; mail that must be scanned waits meanwhile.".into());
    }
    all.extend(report.more.iter().cloned());
    out.heading("TO DO");
    if all.is_empty() {
        out.item("Nothing.");
    }
    all.iter().for_each(|text| out.item(text));
}

fn late(lane: &LaneStanding, report: &Report) -> Vec<String> {
    let mut all = Vec::new();
    let messages = counted(lane.waiting, "message");
    let waits = if lane.waiting == 1 { "waits" } else { "wait" };
    match lane.waiting_since.map(time) {
        Some(since) if lane.answers.silent.is_some() => all.push(format!(
            "The mail provider ({}) does not answer: {messages} {waits}, the oldest since {}. Ask whoever runs the gateway.",
            lane.name,
            moment(since, &report.zone)
        )),
        Some(since) if report.now.duration_since(since) > LATE => all.push(format!(
            "{messages} {waits} to leave by {}, the oldest since {}: lychgate queue list",
            lane.name,
            moment(since, &report.zone)
        )),
        _ => {}
    }
    if lane.stopped > 0 {
        let is = if lane.stopped == 1 { "is" } else { "are" };
        all.push(format!(
            "{} {is} stopped and will not leave until somebody says so: lychgate queue list",
            counted(lane.stopped, "message")
        ));
    }
    if lane.set_aside > 0 {
        let messages = counted(lane.set_aside, "message");
        all.push(format!("{messages} cannot be opened and will not leave: lychgate queue list, and ask whoever runs the gateway."));
    }
    all
}

fn figures(report: &Report, out: &mut Lines) {
    let (week, before) = (&report.week, &report.before);
    let outcome = |outcome: Outcome| move |f: &Figures| f.outcome(outcome);
    let mended = |f: &Figures| f.outcome(Outcome::Hidden) + f.outcome(Outcome::Changed);
    let plain = |f: &Figures| f.disposition("deliver").saturating_sub(mended(f));
    let provider = |f: &Figures| f.outcome(Outcome::ProviderRefused) + f.outcome(Outcome::Bounced);
    out.heading("MAIL");
    let mut line = |what: &str, of: &dyn Fn(&Figures) -> u64, always: bool| {
        let (week, before) = (of(week), of(before));
        if always || week + before > 0 {
            out.line(format!("{what}: {week} ({before})"));
        }
    };
    line("Judged", &Figures::judged, true);
    line("  passed as it came", &plain, true);
    line("  passed with addresses hidden", &outcome(Outcome::Hidden), true);
    line("  passed with another change", &outcome(Outcome::Changed), false);
    line("  held", &|f| f.disposition("hold"), true);
    line("  refused", &|f| f.disposition("reject"), true);
    line("  told to come again later", &|f| f.disposition("defer"), false);
    line("Warned about, and passed", &outcome(Outcome::Warned), true);
    line("Refused by the mail provider or by where it went", &provider, false);
    out.line(format!("Forwarded to personal accounts: {} ({})", report.forwarded.0, report.forwarded.1));
    let held = &report.held;
    if *held != HeldEnded::default() {
        let mut ended = vec![format!("{} let go", held.released), format!("{} sent back or cancelled", held.returned)];
        let undecided = held.returned_at_end + held.released_at_end;
        if undecided > 0 {
            ended.push(format!(
                "{undecided} where nobody decided in time ({} went back, {} went out)",
                held.returned_at_end, held.released_at_end
            ));
        }
        out.line(format!("Held mail that was decided: {}", ended.join(", ")));
    }
}

fn rules(report: &Report, out: &mut Lines) {
    if !report.rules.is_empty() {
        out.heading("RULES");
    }
    for rule in report.rules.iter().take(RULES) {
        out.line(format!("{}: {}: {} ({})", rule.title, rule.what, rule.week, rule.before));
    }
    if report.rules.len() > RULES {
        out.line(format!("and {} more that matched", counted((report.rules.len() - RULES) as u64, "rule")));
    }
    let overrides: u64 = report.overrides.iter().map(|o| o.week).sum();
    let before: u64 = report.overrides.iter().map(|o| o.before).sum();
    out.heading(&format!("OVERRIDES BY SENDERS: {overrides} ({before})"));
    for one in report.overrides.iter().filter(|o| o.week > 0) {
        out.line(format!("[{}] {}: {} ({})", one.word, one.title, one.week, one.before));
        for reason in one.reasons.iter().take(REASONS) {
            out.line(format!("  \"{}\"", masked(reason)));
        }
        if one.reasons.len() > REASONS {
            out.line(format!("  and {}: lychgate trace", counted((one.reasons.len() - REASONS) as u64, "more reason")));
        }
    }
}

fn waiting(report: &Report, out: &mut Lines) {
    out.heading("WAITING NOW");
    let lanes = &report.standing.lanes;
    let sum = |of: fn(&LaneStanding) -> u64| lanes.iter().map(of).sum::<u64>();
    let oldest = |of: fn(&LaneStanding) -> Option<i64>| {
        let since = lanes.iter().filter_map(of).min();
        since.map_or_else(String::new, |since| format!(", the oldest since {}", moment(time(since), &report.zone)))
    };
    let next = lanes.iter().filter_map(|l| l.held_until).min();
    let next = next.map_or_else(String::new, |until| format!(", the next ends {}", moment(time(until), &report.zone)));
    out.line(format!("Held: {}{}{next}", sum(|l| l.held), oldest(|l| l.held_since)));
    out.line(format!("To be delivered: {}{}", sum(|l| l.waiting), oldest(|l| l.waiting_since)));
}

fn dates(report: &Report, out: &mut Lines) {
    out.heading("DATES");
    if let Certificate::Ends(end) = report.certificate
        && end > report.now
    {
        let left = counted(days_to(report, end).unsigned_abs(), "day");
        out.line(format!("The gateway's certificate ends on {}, in {left}.", day(end, &report.zone)));
    }
    match report.review {
        Some(review) => out.line(format!("Review of the policy: by the end of {}.", review.strftime("%B %Y"))),
        None => out.line("Review of the policy: no date is set ([council] review)."),
    }
    if let Some((version, given)) = &report.notice {
        out.line(format!("Monitoring notice {version}, given on {}.", given.strftime("%-d %B %Y")));
    }
    match report.scanner {
        Scanner::Answers => out.line("The virus scanner answers."),
        Scanner::Unasked => out.line("The virus scanner was not asked."),
        Scanner::None | Scanner::Silent => {}
    }
}

fn days_to(report: &Report, end: Timestamp) -> i64 {
    end.duration_since(report.now).as_hours() / 24
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// "Mrs Ashby (01507 600000) asked": "M. A. (…) asked". No name, no number, no address; the sense mostly stays.
fn masked(reason: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars().filter(|c| c.is_alphanumeric());
        match (chars.next(), chars.next()) {
            _ if word.contains('@') || word.chars().any(char::is_numeric) => "…".to_string(),
            (Some(first), Some(_)) if first.is_uppercase() => format!("{first}."),
            _ => word.to_string(),
        }
    };
    let words: Vec<String> = reason.split_whitespace().take(16).map(word).collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(120).collect()
}

#[cfg(test)]
mod tests;
