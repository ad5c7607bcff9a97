//! What a message may have shown to whom, for a breach report: counts by class, and which of the addresses that the Clerk knows were
//! among its recipients. More the record cannot say, for it holds no address that could be read out.

use super::search;
use crate::records::StoreError;
use crate::records::holds::{Net, Scope};
use crate::records::keeping::{Keeping, reading};
use crate::records::row::Row;
use crate::records::sealing::Kind;
use crate::records::trace::normal;

/// One message of an incident.
pub struct Exposed {
    pub row: Row,
    /// Those of the given addresses that were among its recipients.
    pub among: Vec<String>,
}

impl Keeping {
    /// The messages of a scope that a rule matched, or all of them; oldest first. At most so many: the rest is counted in the second value.
    pub fn exposed(
        &mut self,
        scope: &Scope,
        rule: Option<&str>,
        addresses: &[String],
        most: usize,
    ) -> Result<(Vec<Exposed>, usize), StoreError> {
        let addresses: Vec<String> = addresses.iter().map(|a| normal(a)).collect();
        let Keeping { db, ring, .. } = self;
        reading(db, |tx| {
            let net = Net::all(tx, ring)?;
            let (mut found, mut more) = (Vec::new(), 0);
            search::everything(tx, ring, &net, scope, &mut |f, key| {
                if rule.is_some_and(|id| !f.row.rules.iter().any(|r| r.id == id)) {
                    return Ok(());
                }
                if found.len() >= most {
                    more += 1;
                    return Ok(());
                }
                let is_there = |a: &&String| {
                    let hash = key.hash(Kind::Recipient, a);
                    f.row.recipients.iter().any(|r| r.hash == hash)
                };
                let among = addresses.iter().filter(is_there).cloned().collect();
                found.push(Exposed { row: f.row, among });
                Ok(())
            })?;
            found.sort_by_key(|e| e.row.time);
            Ok((found, more))
        })
    }
}
