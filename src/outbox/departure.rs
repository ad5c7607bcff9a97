//! The fields that a message gets last, over what really leaves: the council's signature, and the stamp that says "judged already".

use super::{dkim, stamp};
use crate::config::settings::{Dkim, Stamp};
use crate::message::view::View;
use crate::message::{EditPlan, RawMessage, Splice};
use crate::policy::detect::recipients;
use crate::policy::people::domain_of;

/// What stands at the gate for whatever leaves by it.
pub struct Departure<'a> {
    /// None where it is not signed.
    pub dkim: &'a [Dkim],
    pub stamp: Option<&'a Stamp>,
    pub reverse_path: &'a str,
    /// Seconds since 1970.
    pub now: i64,
}

impl Departure<'_> {
    /// Puts the fields in front of what the plan makes of the message.
    pub fn seal(&self, message: &RawMessage, plan: &mut EditPlan) {
        if !self.dkim.is_empty() {
            let leaves = Splice::apply(message, plan).to_vec();
            let authors = author_domains(&View::new(message.as_bytes()));
            if let [author] = authors.as_slice()
                && let Some(signature) = dkim::field(self.dkim, author, &leaves)
            {
                plan.prefix(signature.as_bytes());
            }
        }
        if let Some(stamp) = self.stamp {
            let leaves = Splice::apply(message, plan).to_vec();
            plan.prefix(stamp::field(stamp, self.reverse_path, &leaves, self.now).as_bytes());
        }
    }
}

/// The domains of From, at most two: with more than one nobody is its author.
pub fn author_domains(view: &View<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (address, _) in recipients::named(view, &["From"]) {
        let domain = domain_of(&address);
        if !out.iter().any(|d| d == domain) {
            out.push(domain.to_string());
        }
        if out.len() == 2 {
            break;
        }
    }
    out
}
