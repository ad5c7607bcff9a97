//! The first page: what passed, what needs a decision, how everything is. Nothing on it is about anybody, but for who acts for whom.

mod states;

use askama::Template;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Redirect};
use jiff::{SignedDuration, Timestamp};

use self::states::Part;
use super::frame::{Answer, Frame, Signed, show};
use crate::office::adopted;
use crate::office::rights::requests;
use crate::office::roles::Right;
use crate::records::custody::{self, Counts};
use crate::records::{Figures, Keeping, tally};

/// Days of the chart.
const DAYS: i64 = 28;
/// Requests that are due within so many days are told of.
const DUE: i64 = 7;

#[derive(Template)]
#[template(path = "today.html", config = "src/console/askama.toml")]
struct Page {
    frame: Frame,
    date: String,
    left_out: Option<String>,
    figures: [Figure; 4],
    chart: Vec<Bar>,
    highest: u64,
    table: Vec<Day>,
    held: u64,
    may_decide: bool,
    /// Papers that the configuration has left behind.
    stale: usize,
    /// Requests that are due; nobody is named.
    due: Vec<String>,
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

/// Passed untouched, mended, held, refused (or put off).
fn split(figures: &Figures) -> [u64; 4] {
    let mended = figures.outcome(tally::Outcome::Hidden) + figures.outcome(tally::Outcome::Changed);
    let passed = figures.disposition("deliver").saturating_sub(mended);
    [passed, mended, figures.disposition("hold"), figures.disposition("reject") + figures.disposition("defer")]
}

pub(super) async fn page(signed: Signed, headers: HeaderMap) -> Answer {
    // Whoever had to sign in for another page goes on to it.
    if let Some(wanted) = signed.desk.cookie.wanted(&headers) {
        return Ok(([(header::SET_COOKIE, signed.desk.cookie.forget_wanted())], Redirect::to(wanted)).into_response());
    }
    let zone = signed.settings.time_zone.clone();
    let now = Timestamp::now();
    let answers = signed.may(Right::Rights);
    let (days, week, counts, digest, stale, due) = signed
        .ask(move |settings, options| {
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
            let digest = custody::digest_standing(options, now.as_millisecond())?;
            let due = if answers { requests::due(&mut keeping, now, DUE, &settings.time_zone)? } else { Vec::new() };
            // What the desk keeps may be out of reach; that is told among the parts.
            Ok((days, week, counts, digest, adopted::stale(settings).ok(), due))
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
        left_out: signed.settings.rules.left_out.clone(),
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
        stale: stale.unwrap_or_default(),
        due,
        parts: states::all(&signed, &counts, digest.as_ref(), stale.is_some(), now),
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
