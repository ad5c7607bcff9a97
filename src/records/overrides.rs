//! The reasons that senders gave for overriding a rule, where the record keeps them.

use jiff::Timestamp;

use super::access::{self, Identity};
use super::replay::period_rows;
use super::trace::{self, Question};
use super::{Options, RecordClass, StoreError};

/// Reasons of one look; what is beyond is left out.
pub const MOST: usize = 1_000;

/// One override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub time: Timestamp,
    pub reference: String,
    /// The rule's id.
    pub rule: String,
    /// As the sender wrote it.
    pub reason: String,
}

/// The overrides within these times, oldest first, after writing to the access log who looked and why. None where nothing is recorded.
pub fn given(options: &Options, since: Timestamp, until: Timestamp, purpose: &str, who: Identity) -> Result<Vec<Override>, StoreError> {
    if options.monitoring.is_none() {
        return Ok(Vec::new());
    }
    access::log(options, &Question { since, until, ..Question::default() }, purpose, who)?;
    let (mut db, ring) = trace::open(options)?;
    let mut found = Vec::new();
    // A message whose sender overrode a rule is an incident.
    for period in ring.periods(RecordClass::Incidents, since.as_millisecond(), until.as_millisecond())? {
        period_rows(db.statements(), RecordClass::Incidents, &period, since, &mut |row, _| {
            if row.time >= until || found.len() >= MOST {
                return;
            }
            for rule in &row.rules {
                if let Some(reason) = &rule.overridden {
                    let (rule, reason) = (rule.id.clone(), reason.clone());
                    found.push(Override { time: row.time, reference: row.reference.clone(), rule, reason });
                }
            }
        })?;
    }
    found.sort_by_key(|o| o.time);
    Ok(found)
}
