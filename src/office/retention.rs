//! Retention as a Clerk asks about it: purge now and show the receipt, show how things stand, check the receipts.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::roles::Right;
use super::{Doer, Fault, counted, day, length, moment};
use crate::records::receipts::{Signed, Verified};
use crate::records::retention::{self, Overview};
use crate::records::trace::Question;
use crate::records::{Keeping, Options, Receipt};

/// Whether somebody says that the machine's clock is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    AsItSeems,
    /// However far it has run ahead of the last purge.
    Confirmed,
}

/// Purges now; the receipt, as it was signed. To confirm the clock is an act that is logged: it may delete a great deal.
pub fn run(options: &Options, clock: Clock, doer: &Doer) -> Result<Signed, Fault> {
    doer.may(Right::Retention)?;
    if clock == Clock::Confirmed {
        doer.log(options, Right::Retention, "confirmed the clock for the purge", Question::default())?;
    }
    let receipt = retention::run(options, clock == Clock::Confirmed)?;
    receipt_of(options, receipt.number)
}

/// The same at the desk, where each act has a reason: that it was asked for is logged whatever the clock.
pub fn purge(options: &Options, clock: Clock, doer: &Doer) -> Result<Signed, Fault> {
    let act = if clock == Clock::Confirmed { "purged now, with the clock confirmed" } else { "purged now" };
    doer.log(options, Right::Retention, act, Question::default())?;
    let receipt = retention::run(options, clock == Clock::Confirmed)?;
    receipt_of(options, receipt.number)
}

/// The receipt of this number, as it was signed.
pub fn receipt_of(options: &Options, number: u64) -> Result<Signed, Fault> {
    Keeping::open(options)?.receipt(number)?.ok_or(Fault::NoReceipt(number))
}

/// The latest receipts, the latest first.
pub fn receipts(options: &Options, most: usize) -> Result<Vec<Receipt>, Fault> {
    Keeping::open(options)?.receipts(most)?.iter().map(|signed| Ok(signed.receipt()?)).collect()
}

/// A receipt in plain words.
pub fn receipt_words(receipt: &Receipt, zone: &TimeZone) -> String {
    let mut out = format!("Receipt {}, {}\n", receipt.number, moment(receipt.time, zone));
    for class in &receipt.classes {
        let kept = receipt.retention.get(&class.class).map_or(String::new(), |r| format!(", kept {}", length(*r)));
        out.push_str(&format!(
            "  {:<10} {} deleted, {} erased, {} left{kept}{}\n",
            class.class,
            counted(class.rows, "row"),
            counted(class.keys, "key"),
            class.remaining,
            if class.held_back > 0 { format!("; {} kept for a case", class.held_back) } else { String::new() },
        ));
    }
    if let Some(anchor) = &receipt.access_log {
        out.push_str(&format!(
            "  The log of who looked begins after entry {} now ({})\n",
            anchor.number,
            &anchor.digest[..16.min(anchor.digest.len())]
        ));
    }
    for (case, rows) in &receipt.held_back {
        let beyond = if receipt.erasure.is_some() { "" } else { " beyond their time are" };
        out.push_str(&format!("  Case {case}: {}{beyond} kept under a hold.\n", counted(*rows, "row")));
    }
    if let Some(ahead) = receipt.clock_ahead {
        out.push_str(&clock_words(ahead));
    }
    if let Some(erasure) = &receipt.erasure {
        out.push_str(&format!(
            "  An erasure that a person asked for: {} deleted, {} cleared; {} of past mail forgotten\n",
            counted(erasure.rows_deleted, "row"),
            counted(erasure.rows_cleared, "row"),
            counted(erasure.contacts, "pair"),
        ));
    } else {
        out.push_str(&format!("  Rule {}\n", receipt.rule));
    }
    out
}

fn clock_words(ahead: i64) -> String {
    format!(
        "  The machine's clock is {} ahead of what can be true, so nothing was deleted on its word. First look at the clock. If it is\n  right (the gateway was switched off for so long): lychgate retention run --confirm\n",
        counted((ahead / 86_400_000).unsigned_abs(), "day"),
    )
}

/// How things stand, the last receipt, and the public key of receipts in hexadecimal.
pub fn overview(options: &Options, now: Timestamp) -> Result<(Overview, Option<Receipt>, String), Fault> {
    let mut keeping = Keeping::open(options)?;
    let last = keeping.receipts(1)?.first().map(Signed::receipt).transpose()?;
    let key = keeping.receipt_key()?;
    Ok((keeping.retention(now.as_millisecond())?, last, key))
}

/// "90 days".
pub fn kept(time: std::time::Duration) -> String {
    length(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// What each class is, in a Clerk's words.
pub fn class_words(class: &str) -> &'static str {
    match class {
        "events" => "Ordinary mail: one row a message, without its text. Recipients are hashes.",
        "incidents" => "Mail that a rule with a clause of the policy acted on, warned of, or stopped.",
        "access" => "Who looked at the record, when, for what and why.",
        "contacts" => "The index of past mail: hashes of who had mail with whom, and nothing that can be read.",
        "held" => "Held mail with its content, until it is decided.",
        _ => "",
    }
}

/// `retention show` in plain words.
pub fn overview_words(overview: &Overview, last: Option<&Receipt>, options: &Options, now: Timestamp, zone: &TimeZone) -> String {
    let mut out = String::new();
    for class in &overview.classes {
        out.push_str(&format!("{}\n  {}\n", class.class, class_words(&class.class)));
        out.push_str(&format!("  Kept {}, then deleted, and its key with it: backups cannot be read either.\n", length(class.retention)));
        match (class.rows, class.oldest_expires) {
            (0, _) => out.push_str("  There is nothing of it.\n"),
            (n, Some(expires)) if expires <= now => {
                out.push_str(&format!(
                    "  There are {}. The oldest was due on {} and goes with the next purge.\n",
                    counted(n, "row"),
                    day(expires, zone)
                ));
            }
            (n, Some(expires)) => out.push_str(&format!("  There are {}. The oldest goes on {}.\n", counted(n, "row"), day(expires, zone))),
            (n, None) => out.push_str(&format!("  There are {}.\n", counted(n, "row"))),
        }
        if class.held_back > 0 {
            out.push_str(&format!("  Besides, {} beyond their time are kept for a case.\n", counted(class.held_back, "row")));
        }
        out.push('\n');
    }
    out.push_str(&format!(
        "held\n  {}\n  Kept {} at most after it came.\n\n",
        class_words("held"),
        length(options.retention.held.as_millis() as i64)
    ));
    if overview.held_back.is_empty() {
        out.push_str("No hold keeps anything beyond its time.\n");
    }
    for (case, rows) in &overview.held_back {
        out.push_str(&format!("Case {case} keeps {} beyond their time: `lychgate hold-records list` says why.\n", counted(*rows, "row")));
    }
    match overview.purged {
        Some(at) => out.push_str(&format!("The last purge was on {}.\n", moment(at, zone))),
        None => out.push_str("There has been no purge yet: the gateway does it when it runs.\n"),
    }
    if let Some(last) = last {
        out.push_str(&format!("The last receipt is number {}, of {}.\n", last.number, moment(last.time, zone)));
    }
    if overview.clock_ahead > 0 {
        out.push_str(&clock_words(overview.clock_ahead));
    }
    out
}

/// When the next purge begins by itself, at the latest; none before the first.
pub fn next(options: &Options, overview: &Overview) -> Option<Timestamp> {
    let every = jiff::SignedDuration::try_from(retention::every(options)).ok()?;
    overview.purged.and_then(|at| at.checked_add(every).ok())
}

/// Whether every receipt is as it was signed.
pub fn verify(options: &Options) -> Result<Verified, Fault> {
    Ok(Keeping::open(options)?.verify_receipts()?)
}
