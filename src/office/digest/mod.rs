//! The weekly digest: what the Clerk hears of the council's mail without asking, and whose own silence is noticed.
//!
//! What it says comes from counts, dates and rule titles, with and without a monitoring record. It is sent by the outbox, once for
//! each week whichever gateway comes first, and once for all weeks in which no gateway ran. Each says when the next one comes, so
//! that its reader misses it; `/health`, the figures and `check` miss it too, once the mail provider has not taken it for a day.

mod letter;
mod schedule;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub use self::letter::{Certificate, LATE, Report, Scanner, compose};
use self::letter::{HeldEnded, OverrideLine, RuleLine};
pub use self::schedule::Schedule;
use super::{Doer, Fault, rounds};
use crate::config::settings::{Digest, Settings};
use crate::office::roles::Right;
use crate::outbox::{self, Outbox, Page, Standing};
use crate::policy::condition::Condition;
use crate::policy::rule::Rule;
use crate::policy::{Mode, Policy};
use crate::records::access::Identity;
use crate::records::custody::{self, Covered, DigestStanding, Happened};
use crate::records::overrides::{self, Override};
use crate::records::trace::Question;
use crate::records::{Figures, Keeping, Options, StoreError};

/// What the digest needs of the settings.
#[derive(Clone)]
struct Site {
    store: Options,
    policy: Arc<Policy>,
    council: String,
    console: Option<String>,
    zone: TimeZone,
    digest: Option<Digest>,
    certificate: Option<PathBuf>,
    provider_ends: Option<Timestamp>,
    review: Option<Date>,
    notice: Option<(String, Date)>,
}

/// A stretch of time that a digest tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What a digest that somebody asks for tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// From the last moment at which one was due until now.
    SoFar,
    /// The week to which a day belongs.
    Week(Date),
}

/// What the running gateway knows besides.
#[derive(Clone, Debug)]
pub struct Live {
    pub standing: Standing,
    pub scanner: Scanner,
    /// Sentences of other parts.
    pub more: Vec<String>,
}

/// What is to be sent now, if anything is.
pub fn due(settings: &Settings, standing: &DigestStanding, now: Timestamp) -> Option<Covered> {
    let schedule = Schedule::new(settings.digest.as_ref()?, &settings.time_zone);
    let until = schedule.due(time(standing.told), now)?;
    Some(Covered { since: standing.told, until: until.as_millisecond() })
}

/// Whether a digest should have been delivered by now and was not.
pub fn is_overdue(settings: &Settings, standing: &DigestStanding, now: Timestamp) -> bool {
    let schedule = settings.digest.as_ref().map(|digest| Schedule::new(digest, &settings.time_zone));
    schedule.is_some_and(|schedule| schedule.is_overdue(time(standing.arrived), now))
}

/// What `check` says of a digest that did not come; nothing where all is well. Changes nothing.
pub fn missed(settings: &Settings, now: Timestamp) -> Result<Option<String>, StoreError> {
    let known = custody::digest_standing(&Options::of(settings), now.as_millisecond())?;
    let Some(standing) = known.filter(|standing| is_overdue(settings, standing, now)) else { return Ok(None) };
    let since = super::day(time(standing.arrived), &settings.time_zone);
    let last = if standing.delivered.is_some() { "the last one tells up to" } else { "none has come since" };
    Ok(Some(format!("The weekly digest is overdue: {last} {since}. Is the gateway running, and can it deliver ([outbox])?")))
}

/// Sends the digest, unless any gateway has; then false.
pub async fn send(settings: &Settings, outbox: &Outbox, covered: Covered, live: Live) -> Result<bool, Fault> {
    let Some(to) = settings.digest.as_ref().map(|digest| digest.to.clone()) else { return Ok(false) };
    let site = Site::of(settings);
    let span = Span { since: time(covered.since), until: time(covered.until) };
    let gather = move || site.report(span, Timestamp::now(), Counted::ToTheHour, live, Identity::from("the gateway"));
    let report = tokio::task::spawn_blocking(gather).await.unwrap_or(Err(Fault::Store(StoreError::Stopped)))?;
    Ok(outbox.digest(covered, &to, &compose(&report)).await?)
}

/// The digest as somebody asks for it; the access log hears of it where it looks into the record.
pub fn show(settings: &Settings, asked: Asked, now: Timestamp, who: Identity) -> Result<Page, Fault> {
    let span = span(settings, asked, now)?;
    let options = Options::of(settings);
    let gives_up = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?.pace.gives_up;
    let heaps = custody::open_beside(&options)?.heaps()?;
    let names = settings.upstreams.iter().map(|upstream| upstream.name.to_string());
    let standing = Standing::of(&heaps, names, i64::try_from(gives_up.as_millis()).unwrap_or(i64::MAX));
    let scanner = if settings.scan.is_some() { Scanner::Unasked } else { Scanner::None };
    let live = Live { standing, scanner, more: Vec::new() };
    Ok(compose(&Site::of(settings).report(span, now, Counted::UpToNow, live, who)?))
}

/// Sends the same now, beside the ones of the week, which come at their time all the same. Says to how many.
pub fn send_now(settings: &Settings, asked: Asked, now: Timestamp, doer: &Doer) -> Result<usize, Fault> {
    let to = settings.digest.as_ref().map(|digest| digest.to.clone()).or(settings.council.clerk.clone().map(|clerk| vec![clerk]));
    let to = to.ok_or(Fault::NobodyToTell)?;
    let page = show(settings, asked, now, doer.who.clone())?;
    let options = Options::of(settings);
    doer.log(&options, Right::LookUp, "sent the digest", Question::default())?;
    let outbox = outbox::Options::of(settings).ok_or(Fault::NoOutbox)?;
    let letters = outbox::digest_letters(&to, &page, &outbox, now.as_millisecond())?;
    custody::open_beside(&options)?.accept(&letters, now.as_millisecond())?;
    Ok(letters.len())
}

fn span(settings: &Settings, asked: Asked, now: Timestamp) -> Result<Span, Fault> {
    // Where digests are switched off, weeks begin as they would by themselves.
    let usual = Digest { day: jiff::civil::Weekday::Monday, at: jiff::civil::time(8, 0, 0, 0), to: Vec::new() };
    let schedule = Schedule::new(settings.digest.as_ref().unwrap_or(&usual), &settings.time_zone);
    let (since, until) = match asked {
        Asked::SoFar => (schedule.last(now), now),
        Asked::Week(day) => schedule.week_of(day),
    };
    if since >= now {
        return Err(Fault::NotYet);
    }
    Ok(Span { since, until: until.min(now) })
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// Whether the hour that has begun counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// It is the next digest's.
    ToTheHour,
    UpToNow,
}

impl Site {
    fn of(settings: &Settings) -> Site {
        Site {
            store: Options::of(settings),
            policy: settings.policy.clone(),
            council: settings.council.name.clone(),
            console: settings.console.as_ref().and_then(|console| console.url.clone()),
            zone: settings.time_zone.clone(),
            digest: settings.digest.clone(),
            certificate: settings.tls.as_ref().map(|tls| tls.certificate.clone()),
            provider_ends: settings.console.as_ref().and_then(|console| console.saml.as_ref()?.provider.signs_until()),
            review: settings.council.review,
            notice: settings.monitoring.as_ref().map(|m| (m.notice_version.clone(), m.notice_date)),
        }
    }

    /// Gathers what it says. Reads the stores: not for a thread that others wait for.
    fn report(&self, span: Span, now: Timestamp, counted: Counted, live: Live, who: Identity) -> Result<Report, Fault> {
        let Span { since, until } = span;
        let end =
            if counted == Counted::UpToNow { until.saturating_add(jiff::SignedDuration::from_hours(1)).unwrap_or(until) } else { until };
        let earlier = since.saturating_sub(until.duration_since(since)).unwrap_or(Timestamp::MIN);
        let mut keeping = Keeping::open(&self.store)?;
        let (week, before) = (keeping.figures(since, end)?, keeping.figures(earlier, since)?);
        drop(keeping);
        let reasons = overrides::given(&self.store, since, end, "the digest: reasons for overrides", who)?;
        let forwards = |figures: &Figures| forwards(&self.policy, figures);
        let schedule = self.digest.as_ref().map(|digest| Schedule::new(digest, &self.zone));
        Ok(Report {
            council: self.council.clone(),
            console: self.console.clone(),
            zone: self.zone.clone(),
            now,
            since,
            until,
            next: schedule
                .map(|schedule| if counted == Counted::ToTheHour { schedule.after(until) } else { schedule.after(schedule.last(now)) }),
            by_hand: counted == Counted::UpToNow,
            rules: rule_lines(&self.policy, &week, &before),
            overrides: override_lines(&self.policy, &week, &before, reasons),
            forwarded: (forwards(&week), forwards(&before)),
            held: self.held_ended(since, end)?,
            week,
            before,
            standing: live.standing,
            certificate: self.certificate.as_deref().map_or(Certificate::None, certificate),
            provider_ends: self.provider_ends,
            review: self.review,
            notice: self.notice.clone(),
            scanner: live.scanner,
            dates: rounds::for_the_digest(&self.store, now, &self.zone)?,
            more: live.more,
        })
    }

    fn held_ended(&self, since: Timestamp, until: Timestamp) -> Result<HeldEnded, Fault> {
        let all = custody::open_beside(&self.store)?.happenings(since.as_millisecond(), until.as_millisecond())?;
        let of = |what: Happened| all.iter().filter(|((happened, _), _)| *happened == what).map(|(_, n)| n).sum();
        Ok(HeldEnded {
            released: of(Happened::Released),
            returned: of(Happened::Returned),
            released_at_end: of(Happened::ReleasedAtEnd),
            returned_at_end: of(Happened::ReturnedAtEnd),
        })
    }
}

/// The lines about rules, for a test of their words.
#[cfg(test)]
pub(super) fn letter_lines(policy: &Policy, week: &Figures, before: &Figures) -> (Vec<RuleLine>, Vec<OverrideLine>, (u64, u64)) {
    let forwarded = (forwards(policy, week), forwards(policy, before));
    (rule_lines(policy, week, before), override_lines(policy, week, before, Vec::new()), forwarded)
}

/// What a rule does to a message, after the fact.
fn done(rule: &Rule) -> &'static str {
    let then = &rule.then;
    match () {
        () if then.reject.is_some() => "refused",
        () if then.hold.is_some() => "held",
        () if then.defer.is_some() => "told to come again later",
        () if then.drop => "dropped",
        () if then.hide_recipients.is_some() => "addresses hidden",
        () if then.edits() => "changed",
        () if !then.notify.is_empty() => "told of",
        () => "noted",
    }
}

/// The rules that matched in either week: what acts before what only warns or watches, then those that matched most.
fn rule_lines(policy: &Policy, week: &Figures, before: &Figures) -> Vec<RuleLine> {
    let mut lines: Vec<(Mode, RuleLine)> = Vec::new();
    let mut names: Vec<&String> = week.rules.keys().chain(before.rules.keys()).map(|(rule, _)| rule).collect();
    names.sort();
    names.dedup();
    for name in names {
        let rule = policy.rules().iter().find(|rule| *rule.id == **name);
        let title = rule.map_or_else(|| name.clone(), |rule| rule.title.to_string());
        let done = rule.map_or("matched", done);
        for (mode, what) in [
            (Mode::Enforce, done.to_string()),
            (Mode::Warn, format!("warned only (in force: {done})")),
            (Mode::Observe, format!("watched only (in force: {done})")),
        ] {
            let (week, before) = (week.rule(name, mode.word()), before.rule(name, mode.word()));
            if week + before > 0 {
                lines.push((mode, RuleLine { title: title.clone(), what, week, before }));
            }
        }
    }
    lines.sort_by(|(a, x), (b, y)| b.cmp(a).then(y.week.cmp(&x.week)).then(y.before.cmp(&x.before)).then(x.title.cmp(&y.title)));
    lines.into_iter().map(|(_, line)| line).collect()
}

fn override_lines(policy: &Policy, week: &Figures, before: &Figures, given: Vec<Override>) -> Vec<OverrideLine> {
    let mut lines = Vec::new();
    for ((name, mode), _) in week.rules.iter().chain(before.rules.iter()) {
        let rule = policy.rules().iter().find(|rule| *rule.id == **name);
        let title = rule.map_or_else(|| name.clone(), |rule| rule.title.to_string());
        if mode != "overridden" || lines.iter().any(|line: &OverrideLine| line.title == title) {
            continue;
        }
        let word = rule.and_then(|rule| rule.override_name.as_deref()).unwrap_or("override").to_string();
        let reasons = given.iter().filter(|one| one.rule == *name && !one.reason.trim().is_empty()).map(|one| one.reason.clone()).collect();
        let (week, before) = (week.rule(name, "overridden"), before.rule(name, "overridden"));
        lines.push(OverrideLine { title, word, week, before, reasons });
    }
    lines
}

/// How often rules that ask for it saw a forward to a personal account, in whatever mode they are.
fn forwards(policy: &Policy, figures: &Figures) -> u64 {
    let asks = |rule: &Rule| {
        let forwarded = |c: &Condition| matches!(c, Condition::Forwarded(_));
        let personal = |c: &Condition| matches!(c, Condition::PersonalAccount(_));
        rule.when.requires(&forwarded) && rule.when.requires(&personal)
    };
    // One message may match several such rules: the one that saw most is what can be said.
    let seen = |rule: &Rule| [Mode::Enforce, Mode::Warn, Mode::Observe].iter().map(|mode| figures.rule(&rule.id, mode.word())).sum();
    policy.rules().iter().filter(|rule| asks(rule)).map(seen).max().unwrap_or(0)
}

fn certificate(path: &Path) -> Certificate {
    let Ok(octets) = std::fs::read(path) else { return Certificate::Unreadable };
    let end = CertificateDer::pem_slice_iter(&octets).next().and_then(Result::ok).and_then(|leaf| {
        let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).ok()?;
        Timestamp::from_second(leaf.validity().not_after.timestamp()).ok()
    });
    end.map_or(Certificate::Unreadable, Certificate::Ends)
}
