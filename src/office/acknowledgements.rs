//! Who has read the monitoring notice as it is now (SI 2018/356, regulation 4(1)(c): all reasonable efforts to inform every user). Each
//! says so for themselves; what they read is named by the mark of its text, so that a changed notice is to be read again.
//!
//! `acknowledgements.toml` stands beside `people.toml` and changes nothing that the gateway does, so that nothing reloads by it.

use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::people::{Refused, everybody};
use super::{Doer, Fault, about, atomic};
use crate::config::Settings;
use crate::config::settings::Insider;
use crate::documents::{self, Kind, Live, Paper};
use crate::records::Options;

const FILE: &str = "acknowledgements.toml";
/// Octets of the file.
const LARGEST: u64 = 1 << 20;

/// The latest that somebody read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledged {
    /// The first address, in normal form.
    pub who: String,
    /// The notice's mark.
    pub notice: String,
    pub at: Timestamp,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    acknowledged: Vec<Acknowledged>,
}

/// How somebody stands to the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Never,
    /// An earlier one, then.
    Earlier(Timestamp),
    Read(Timestamp),
}

/// The notice as it is now.
pub fn notice(settings: &Settings) -> Paper {
    documents::make(Kind::Notice, settings, &Live::default())
}

/// All that was acknowledged; nothing where nobody ever did. A file that cannot be read is an error: nobody is said to have read what they
/// may not have.
pub fn read(settings: &Settings) -> Result<Vec<Acknowledged>, Fault> {
    let Some(console) = &settings.console else { return Ok(Vec::new()) };
    let path = console.folder.join(FILE);
    let io = |source| Fault::Io { path: path.clone(), source };
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(io)?,
    };
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).map_err(io)?;
    let damaged = |_| io(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is damaged: whoever runs the gateway may remove it"));
    Ok(toml::from_str::<File>(&text).map_err(damaged)?.acknowledged)
}

pub fn standing(settings: &Settings, read: &[Acknowledged], of: &Insider) -> Standing {
    let mark = notice(settings).mark();
    match read.iter().find(|a| of.addresses.contains(&a.who)) {
        None => Standing::Never,
        Some(read) if read.notice == mark => Standing::Read(read.at),
        Some(read) => Standing::Earlier(read.at),
    }
}

/// Whoever is signed in has read the notice whose mark this is. Errors if it was changed since it was shown.
pub fn acknowledge(settings: &Settings, options: &Options, of: &Insider, mark: &str, now: Timestamp, doer: &Doer) -> Result<(), Fault> {
    static TURN: Mutex<()> = Mutex::new(());
    let folder = &settings.console.as_ref().ok_or(Refused::NoDesk)?.folder;
    if notice(settings).mark() != mark {
        return Err(Refused::Gone.into());
    }
    let who = of.addresses[0].clone();
    doer.note(options, "acknowledged the monitoring notice", about(&who))?;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut acknowledged = read(settings)?;
    // One entry each, of those who are there: it cannot grow.
    let everybody = everybody(settings);
    acknowledged.retain(|a| !of.addresses.contains(&a.who) && everybody.iter().any(|i| i.addresses.contains(&a.who)));
    acknowledged.push(Acknowledged { who, notice: mark.into(), at: now });
    let text = toml::to_string(&File { acknowledged }).expect("plain tables are TOML");
    atomic::write(folder, FILE, &text).map_err(|source| Fault::Io { path: folder.join(FILE), source })
}
