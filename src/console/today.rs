//! The first page: what passed, what needs a decision, how everything is. Nothing on it is about anybody, but for who acts for whom.

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::frame::{Answer, Frame, Signed, show};
use crate::office::roles::Right;
use crate::records::custody::{self, Counts};
use crate::records::{Figures, Keeping, tally};

/// Days of the chart.
const DAYS: i64 = 28;

#[derive(Template)]
#[template(path = "today.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    date: String,
    figures: [Figure; 4],
    chart: Vec<Bar>,
    highest: u64,
    table: Vec<Day>,
    held: u64,
    may_decide: bool,
    waiting: u64,
    stopped: u64,
    broken: u64,
    oldest: Option<String>,
    parts: Vec<Part>,
    /// Whoever looks has read the monitoring notice as it is now.
    has_read: bool,
    /// Who acts for whom.
    acting: Vec<String>,
}

struct Figure {
    kind: &'static str,
    words: &'static str,
    today: u64,
    week: u64,
}

/// A day in the chart: heights and places in its own units, from below.
struct Bar {
    x: i64,
    parts: Vec<(&'static str, i64, i64)>,
    label: Option<String>,
}

struct Day {
    date: String,
    passed: u64,
    mended: u64,
    held: u64,
    refused: u64,
}

struct Part {
    what: &'static str,
    state: &'static str,
    colour: &'static str,
    first: &'static str,
}

/// Passed untouched, mended, held, refused (or put off).
fn split(figures: &Figures) -> [u64; 4] {
    let mended = figures.outcome(tally::Outcome::Hidden) + figures.outcome(tally::Outcome::Changed);
    let passed = figures.disposition("deliver").saturating_sub(mended);
    [passed, mended, figures.disposition("hold"), figures.disposition("reject") + figures.disposition("defer")]
}

pub(super) async fn page(signed: Signed) -> Answer {
    let zone = signed.settings.time_zone.clone();
    let now = Timestamp::now();
    let (days, week, counts) = signed
        .ask(move |_, options| {
            let mut keeping = Keeping::open(options)?;
            let midnight = now.to_zoned(zone).start_of_day().map_or(now, |z| z.timestamp());
            let mut days = Vec::new();
            for back in (0..DAYS).rev() {
                let from = midnight - SignedDuration::from_hours(24 * back);
                // The hour that is running counts today.
                let until = if back == 0 { now + SignedDuration::from_hours(1) } else { from + SignedDuration::from_hours(24) };
                days.push((from, keeping.figures(from, until)?));
            }
            let week = keeping.figures(midnight - SignedDuration::from_hours(24 * 6), now + SignedDuration::from_hours(1))?;
            let counts = if options.custody.is_there() { custody::open_beside(options)?.counts()? } else { Counts::default() };
            Ok((days, week, counts))
        })
        .await?;
    let zone = signed.settings.time_zone.clone();
    let date = |time: Timestamp, form: &str| time.to_zoned(zone.clone()).strftime(form).to_string();
    let splits: Vec<(Timestamp, [u64; 4])> = days.iter().map(|(from, figures)| (*from, split(figures))).collect();
    let today = splits.last().map_or([0; 4], |(_, s)| *s);
    let weekly = split(&week);
    let highest = splits.iter().map(|(_, s)| s.iter().sum::<u64>()).max().unwrap_or(0).max(1);
    let chart =
        splits.iter().enumerate().map(|(n, (from, s))| bar(n as i64, s, highest, (n % 7 == 0).then(|| date(*from, "%-d %b")))).collect();
    let figure = |n: usize, kind, words| Figure { kind, words, today: today[n], week: weekly[n] };
    let may_decide = signed.may(Right::Held);
    let mut frame = signed.frame("/");
    if let Some(item) = frame.menu.iter_mut().find(|item| item.href == "/held") {
        item.count = usize::try_from(counts.held).unwrap_or(0);
    }
    show(&Page {
        frame,
        date: date(now, "%A %-d %B %Y"),
        figures: [
            figure(0, "passed", "passed untouched"),
            figure(1, "mended", "mended"),
            figure(2, "held", "held"),
            figure(3, "refused", "refused"),
        ],
        chart,
        highest,
        table: splits
            .iter()
            .rev()
            .filter(|(_, s)| s.iter().sum::<u64>() > 0)
            .map(|(from, [passed, mended, held, refused])| Day {
                date: date(*from, "%A %-d %B"),
                passed: *passed,
                mended: *mended,
                held: *held,
                refused: *refused,
            })
            .collect(),
        held: counts.held,
        may_decide,
        waiting: counts.mail + counts.notices,
        stopped: counts.stopped,
        broken: counts.broken,
        oldest: counts.oldest.and_then(|at| Timestamp::from_millisecond(at).ok()).map(|at| date(at, "%-d %B, %H:%M")),
        parts: parts(&signed),
        has_read: super::mine::has_read(&signed).is_some(),
        acting: super::people::acting_now(&signed, now),
    })
}

/// A column 20 wide in a field 160 high.
fn bar(n: i64, split: &[u64; 4], highest: u64, label: Option<String>) -> Bar {
    let mut parts = Vec::new();
    let mut top = 160;
    for (kind, count) in ["passed", "mended", "held", "refused"].into_iter().zip(split) {
        let height = i64::try_from(count * 160 / highest).unwrap_or(160).max(i64::from(*count > 0));
        if height > 0 {
            top -= height;
            parts.push((kind, top, height));
        }
    }
    Bar { x: n * 25, parts, label }
}

/// The parts of the gateway, and what to do first where one is not well.
fn parts(signed: &Signed) -> Vec<Part> {
    let (_, report) = signed.desk.around.metrics.health().report();
    let known: [(&str, &str, &str); 9] = [
        ("listeners", "Mail comes in", "Ask whoever runs the gateway: it is not listening."),
        (
            "upstream",
            "The mail provider answers",
            "Mail waits at the senders' and goes when the provider is back. If that takes hours, ring the provider.",
        ),
        ("rules", "The rules", "A change of the rules was refused; the old ones stay in force. `lychgate check` says why."),
        (
            "records",
            "The record is written",
            "Look whether the disk is full. Mail is delivered all the same, unless the record is mandatory.",
        ),
        ("outbox", "Notices and kept mail leave", "They wait: look at the outgoing mail account of the gateway."),
        ("retention", "Old records are deleted", "No purge has ended for two days: ask whoever runs the gateway to look at its log."),
        ("scanner", "The virus scanner answers", "Mail that must be scanned waits. Ask whoever runs the machine to start clamd."),
        (
            "people",
            "Suspended accounts and lent roles",
            "The file of the page People is damaged: nobody has a role that was lent, and a suspension may not count. `lychgate check` says where.",
        ),
        ("dns", "Names can be looked up", "Rules that ask about senders wait or let mail pass, as each says."),
    ];
    let components = &report["components"];
    known
        .into_iter()
        .filter_map(|(key, what, first)| {
            let (state, colour) = match components[key].as_str()? {
                "ok" => ("Well", "green"),
                "degraded" => ("Not well", "yellow"),
                "failed" => ("Failed", "red"),
                _ => ("Not known yet", "grey"),
            };
            Some(Part { what, state, colour, first: if matches!(colour, "yellow" | "red") { first } else { "" } })
        })
        .collect()
}
