//! What other rules would have done to what is recorded, and what cannot be told.
//!
//! Every message is judged by the real rules on the facts that the record kept of it. Where a rule needs something that was not kept,
//! the verdict stays open between two; nothing is guessed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault};
use crate::policy::detect;
use crate::policy::missing::Missing;
use crate::policy::recorded::{self, Names, Recorded, Told};
use crate::policy::{Mode, Policy};
use crate::records::row::Row;
use crate::records::{Options, replay};

/// Differences that are listed; more are counted.
pub const LISTED: usize = 1_000;

/// Dispositions from the mildest to the strictest.
pub const DISPOSITIONS: [&str; 4] = ["deliver", "hold", "defer", "reject"];

/// Between these two, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Between {
    pub least: u64,
    pub most: u64,
}

/// What happened, and what would have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    pub happened: u64,
    pub would: Between,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that were judged anew.
    pub messages: u64,
    /// Messages of which no facts were kept: refused before any rule was asked, or recorded by an earlier version.
    pub without_facts: u64,
    /// Rows that could not be opened.
    pub unreadable: u64,
    /// Messages that an earlier version of the detectors looked into: what it found stands.
    pub earlier_detectors: u64,
    pub dispositions: [Compared; 4],
    pub mended: Compared,
    pub warned: Compared,
    pub rules: BTreeMap<String, Compared>,
    /// What rules needed that was not kept, and for how many messages they stay open for it.
    pub open: BTreeMap<(String, Missing), u64>,
    /// Messages of which it cannot be told what would have become of them.
    pub undecided: u64,
    /// Messages that would certainly have fared otherwise.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    pub reference: String,
    pub time: Timestamp,
    pub was: String,
    /// The mildest and the strictest that it would have been.
    pub would: [&'static str; 2],
    pub was_mended: bool,
    pub would_be_mended: bool,
    pub rules: Vec<String>,
}

/// Judges everything since then by these rules.
pub fn run(options: &Options, policy: &Policy, zone: &TimeZone, since: Timestamp, doer: &Doer) -> Result<Report, Fault> {
    doer.may(Right::LookUp)?;
    if doer.purpose.trim().is_empty() {
        return Err(Fault::Purpose);
    }
    let mut report = Report::default();
    let purpose = format!("replay: {}", doer.purpose.trim());
    let unreadable = replay::each(options, since, &purpose, doer.who.clone(), &mut |row, names| report.add(row, names, policy, zone))?;
    report.unreadable += unreadable;
    Ok(report)
}

impl Report {
    fn add(&mut self, row: &Row, names: &Names<'_>, policy: &Policy, zone: &TimeZone) {
        let vector = match row.fact_vector() {
            Ok(Some(vector)) => vector,
            Ok(None) => {
                self.without_facts += 1;
                return;
            }
            Err(_) => {
                self.unreadable += 1;
                return;
            }
        };
        self.messages += 1;
        self.earlier_detectors += u64::from(vector.detectors != detect::VERSION);
        let now = row.time.to_zoned(zone.clone());
        let record = Recorded { vector: &vector, policy, names, role: row.role, listener: &row.listener, now };
        let told = recorded::evaluate(&record);
        self.count(row, vector.did.edited, &told, policy);
    }

    fn count(&mut self, row: &Row, was_mended: bool, told: &Told, policy: &Policy) {
        let rank = |word: &str| DISPOSITIONS.iter().position(|d| *d == word).unwrap_or_default();
        let (was, least, most) = (rank(&row.disposition), rank(told.verdict.disposition.word()), rank(told.at_most));
        for (i, compared) in self.dispositions.iter_mut().enumerate() {
            compared.add(i == was, i == least && i == most, (least..=most).contains(&i));
        }
        self.undecided += u64::from(least != most);
        // What is held is changed when it is released.
        let leaves = |rank: usize| rank <= 1;
        let (mended, may_be_mended) = (!told.verdict.edits.is_empty() && leaves(most), told.may_edit && leaves(least));
        self.mended.add(was_mended, mended, may_be_mended);
        let mode = |id: &str| policy.rules().iter().find(|r| *r.id == *id).map(|r| r.mode);
        let warns = told.verdict.matches.iter().any(|m| m.mode == Mode::Warn && m.overridden.is_none());
        let may_warn = warns || told.verdict.open.iter().any(|o| mode(&o.rule) == Some(Mode::Warn));
        self.warned.add(row.rules.iter().any(|r| r.mode == "warn" && r.overridden.is_none()), warns, may_warn);
        for rule in &row.rules {
            self.rules.entry(rule.id.clone()).or_default().happened += 1;
        }
        for found in &told.verdict.matches {
            self.rules.entry(found.rule.to_string()).or_default().add(false, true, true);
        }
        for open in &told.verdict.open {
            // In another reading it may have matched for certain.
            if !told.verdict.matches.iter().any(|m| m.rule == open.rule) {
                self.rules.entry(open.rule.to_string()).or_default().add(false, false, true);
            }
            *self.open.entry((open.rule.to_string(), open.missing)).or_default() += 1;
        }
        if !(least..=most).contains(&was) || (was_mended && !may_be_mended) || (!was_mended && mended) {
            self.different += 1;
            if self.differences.len() < LISTED {
                self.differences.push(Difference {
                    reference: row.reference.clone(),
                    time: row.time,
                    was: row.disposition.clone(),
                    would: [DISPOSITIONS[least], DISPOSITIONS[most]],
                    was_mended,
                    would_be_mended: mended,
                    rules: told.verdict.matches.iter().map(|m| m.rule.to_string()).collect(),
                });
            }
        }
    }
}

impl Compared {
    fn add(&mut self, happened: bool, surely: bool, maybe: bool) {
        self.happened += u64::from(happened);
        self.would.least += u64::from(surely);
        self.would.most += u64::from(maybe);
    }
}

impl std::fmt::Display for Between {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.least == self.most {
            true => write!(f, "{}", self.least),
            false => write!(f, "between {} and {}", self.least, self.most),
        }
    }
}

/// The report in plain words.
pub fn words(report: &Report, zone: &TimeZone) -> String {
    let mut out = format!("{} judged by these rules, on what the record kept of them.\n\n", super::counted(report.messages, "message"));
    let mut line = |what: &str, c: &Compared| out.push_str(&format!("  {what:<12} {:>8}   would be {}\n", c.happened, c.would));
    let said = ["delivered", "held", "put off", "refused"];
    for (what, compared) in said.iter().zip(&report.dispositions) {
        line(what, compared);
    }
    line("mended", &report.mended);
    line("warned", &report.warned);
    if !report.rules.is_empty() {
        out.push_str("\nBy rule: how often it matched, and how often it would have\n");
    }
    for (rule, c) in &report.rules {
        out.push_str(&format!("  {rule:<32} {:>8}   would be {}\n", c.happened, c.would));
    }
    if !report.open.is_empty() {
        out.push_str(&format!(
            "\nWhat cannot be told: {} could have fared in more than one way.\n",
            super::counted(report.undecided, "message")
        ));
    }
    for ((rule, missing), n) in &report.open {
        out.push_str(&format!(
            "  {rule} needs {}, which the record does not keep: open for {}\n",
            missing.words(),
            super::counted(*n, "message")
        ));
    }
    if report.different > 0 {
        out.push_str(&format!("\n{} would certainly have fared otherwise\n", super::counted(report.different, "message")));
    }
    for d in &report.differences {
        let would = if d.would[0] == d.would[1] { d.would[0].to_string() } else { format!("{} to {}", d.would[0], d.would[1]) };
        let mended = |yes: bool| if yes { ", mended" } else { "" };
        let rules = if d.rules.is_empty() { "no rule".to_string() } else { d.rules.join(", ") };
        out.push_str(&format!(
            "  {}  {}  was {}{}, would be {would}{}: {rules}\n",
            d.reference,
            super::moment(d.time, zone),
            d.was,
            mended(d.was_mended),
            mended(d.would_be_mended)
        ));
    }
    if report.different > report.differences.len() as u64 {
        out.push_str(&format!("  and {} more\n", report.different - report.differences.len() as u64));
    }
    for (n, what) in [
        (report.without_facts, "left out: refused before any rule was asked, or recorded before facts were kept"),
        (report.unreadable, "could not be opened: altered, or just expired"),
        (report.earlier_detectors, "looked into by an earlier version of the gateway: what it found stands"),
    ] {
        if n > 0 {
            out.push_str(&format!("\n{} {what}.\n", super::counted(n, "message")));
        }
    }
    out.push_str("\nThis look and its purpose were written to the access log.\n");
    out
}

/// One object a line: the sums, each rule, what stays open, each difference.
pub fn json(report: &Report) -> String {
    let names = DISPOSITIONS.iter().zip(&report.dispositions).map(|(name, c)| (name.to_string(), serde_json::json!(c)));
    let mut lines = vec![serde_json::json!({
        "kind": "sums",
        "messages": report.messages,
        "dispositions": names.collect::<serde_json::Map<_, _>>(),
        "mended": report.mended,
        "warned": report.warned,
        "undecided": report.undecided,
        "different": report.different,
        "without_facts": report.without_facts,
        "unreadable": report.unreadable,
        "earlier_detectors": report.earlier_detectors,
    })];
    lines.extend(
        report.rules.iter().map(|(id, c)| serde_json::json!({ "kind": "rule", "id": id, "happened": c.happened, "would": c.would })),
    );
    let open = report.open.iter();
    lines.extend(
        open.map(|((rule, missing), n)| serde_json::json!({ "kind": "open", "rule": rule, "needs": missing.words(), "messages": n })),
    );
    for difference in &report.differences {
        let mut line = serde_json::json!(difference);
        line["kind"] = "difference".into();
        lines.push(line);
    }
    lines.iter().map(|l| format!("{l}\n")).collect()
}
