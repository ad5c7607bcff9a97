//! A look-up in the record that is a report on somebody at the council: all that they sent or received, not one message.
//!
//! "Did Mrs Ashby get the agenda?" is everyday work and stays so. To list a councillor's mail is to watch a person, and may take two.

use jiff::Timestamp;

use super::roles::Right;
use super::{Doer, Fault, address};
use crate::config::Settings;
use crate::config::settings::TwoPeople;
use crate::policy::people::Class;
use crate::records::Options;

/// Whether this may be looked up; what is to be logged with it.
pub fn allowed(
    settings: &Settings,
    options: &Options,
    sender: Option<&str>,
    recipient: Option<&str>,
    one_message: bool,
    now: Timestamp,
    doer: &Doer,
) -> Result<String, Fault> {
    doer.may(Right::LookUp)?;
    if one_message || !settings.access.two_people.contains(&TwoPeople::Reports) {
        return Ok(String::new());
    }
    let ours = |given: &str| address(given).ok().filter(|a| settings.policy.classify(a) == Class::Internal);
    match sender.and_then(ours).or_else(|| recipient.and_then(ours)) {
        Some(person) => {
            doer.may(Right::Report)?;
            doer.together(options, TwoPeople::Reports, &person, now)
        }
        None => Ok(String::new()),
    }
}
