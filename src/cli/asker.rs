//! Who is at the command line: the account of the operating system, and the address that they say is theirs.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use crate::config::Settings;
use crate::office::{Doer, Fault};
use crate::records::access::Identity;

/// Longest line that is read from standard input.
const LINE: u64 = 200;

/// Whoever calls.
pub(super) struct Asker {
    /// `--as`: an address, or `clerk` or `chair` for theirs.
    pub stated: Option<String>,
}

impl Asker {
    pub(super) fn identity(&self, settings: &Settings) -> Result<Identity, Fault> {
        let of = |address: &Option<String>| address.clone().ok_or(Fault::WhoAreYou);
        let stated = match self.stated.as_deref() {
            None => None,
            Some("clerk") => Some(of(&settings.council.clerk)?),
            Some("chair") => Some(of(&settings.council.chair)?),
            Some(address) => Some(address.to_string()),
        };
        Ok(Identity::Terminal { user: user(), stated })
    }

    pub(super) fn doer(&self, settings: &Settings, purpose: &str) -> Result<Doer, Fault> {
        Doer::new(settings, self.identity(settings)?, purpose)
    }
}

/// The account that asks, as far as the machine knows it.
fn user() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|v| std::env::var(v).ok().filter(|s| !s.is_empty()))
        .unwrap_or_else(|| "unknown".into())
}

/// One line from standard input: a code is never an argument, which every account of the machine could read.
pub(super) fn secret(what: &str) -> Result<Zeroizing<String>, Fault> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        super::complain(&format!("{what}: "));
    }
    let mut line = Zeroizing::new(String::with_capacity(LINE as usize));
    stdin.lock().take(LINE).read_line(&mut line).map_err(|source| Fault::Io { path: "standard input".into(), source })?;
    Ok(line)
}
