//! The retention schedule.

use super::{Live, Part, heading, list, period, say};
use crate::config::Settings;

pub(super) fn schedule(settings: &Settings, live: Option<&Live>) -> Vec<Part> {
    let retention = &settings.records.retention;
    let monitored = settings.monitoring.is_some();
    let row = |what: &str, holds: &str, long: String, then: &str| vec![what.into(), holds.into(), long, then.into()];
    let gone = "Deleted with its key: no backup can be read either";
    let mut rows = Vec::new();
    if monitored {
        rows.push(row(
            "Ordinary mail",
            "One row a message: when, what was decided, recipients as codes; no text",
            period(retention.events),
            gone,
        ));
        rows.push(row("Mail on which a rule acted", "The same, with the rules and their clauses", period(retention.incidents), gone));
        rows.push(row("Index of past mail", "Codes of who had mail with whom, where a rule asks", period(retention.contacts), gone));
    }
    rows.push(row(
        "Held mail",
        "The message itself, until somebody decides",
        period(retention.held),
        "Delivered or returned, then deleted",
    ));
    rows.push(row(
        "Access log",
        "Who looked, when, at what, why",
        period(retention.access),
        "Deleted from the front; what is left stays provable",
    ));
    rows.push(row("Counts by the hour", "How many, by rule and outcome; nobody's name", "25 months".into(), "Deleted"));
    rows.push(row("Receipts of purges and erasures", "How much went, under which rule; nobody's name", "25 months".into(), "Deleted"));
    let mut out = vec![
        Part::Table(["What", "What is in it", "How long", "Then"].map(String::from).to_vec(), rows),
        say(
            "A purge runs every day by itself and leaves a signed receipt. What is under a hold by case number is kept for that case, until the hold ends, and the receipts say so.",
        ),
    ];
    if let Some(overview) = live.and_then(|live| live.retention.as_ref()) {
        out.push(heading("At this moment"));
        let mut items: Vec<String> =
            overview.classes.iter().map(|class| format!("{}: {} rows{}", class.class, class.rows, held_back(class.held_back))).collect();
        for (case, rows) in &overview.held_back {
            items.push(format!("case {case} keeps {rows} rows beyond their time"));
        }
        items.push(match overview.purged {
            Some(at) => format!("last purge: {}", at.to_zoned(settings.time_zone.clone()).strftime("%-d %B %Y")),
            None => "no purge yet".into(),
        });
        out.push(list(items));
    }
    out
}

fn held_back(rows: u64) -> String {
    if rows == 0 { String::new() } else { format!(", {rows} of them beyond their time for a case") }
}
