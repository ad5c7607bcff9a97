//! What the world says of a message: a virus scanner's word, and look-ups in the DNS for SPF, DKIM and DMARC.
//!
//! Nothing here decides about mail. Each question has a time limit, and what could not be had comes back as unknown, with a reason
//! that shows neither an address nor a word of the message; it is never taken for an absence.

pub mod authentication;
pub mod clamd;
pub mod dns;

use crate::config::Settings;
use authentication::Authenticator;
use clamd::Scanner;

/// The sources that one site has, beside its own records.
pub struct Evidence {
    pub scanner: Option<Scanner>,
    pub authenticator: Option<Authenticator>,
}

impl Evidence {
    /// Asks nobody yet. Look-ups run on the runtime that this is called on, whoever waits for them, so that all threads share one
    /// cache; without one there are none.
    pub fn new(settings: &Settings) -> Result<Evidence, dns::ResolverError> {
        let authenticator = settings.dns.as_ref().map(|dns| Authenticator::new(dns, &settings.hostname)).transpose()?;
        Ok(Evidence { scanner: settings.scan.clone().map(Scanner::new), authenticator })
    }
}
