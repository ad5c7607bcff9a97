//! The access log: who looked at what is kept, or did something with it, when and why.
//!
//! Entries are sealed like everything else and chained by their digests ([`chain`]), so that one which is altered, taken out, moved
//! or cut off shows ([`verify`]). Nothing changes an entry; those whose retention is over go from the front, and leave a signed
//! anchor. Beside the log stand what two people do together ([`requests`]) and the code for when there is no second one ([`glass`]).

use aws_lc_rs::aead::NONCE_LEN;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::database::{Database, Row, Schema, values};
use super::keyring::{Keyring, Period, millis};
use super::sealing::{Nonces, RowPlace, Table};
use super::trace::{Question, open};
use super::{Options, RecordClass, StoreError};
use crate::observe::crash::{self, Point};

pub mod chain;
pub mod glass;
pub mod requests;
pub mod verify;

pub use verify::{Break, Kind, Verified, verify};

pub(super) const SCHEMA: Schema = Schema {
    part: "access",
    // The log was a table of the record's, without a chain. `place` is what an entry's seal is bound to: its number, but for entries
    // of that time. Their digests are filled in when the log is first written to.
    versions: &["CREATE TABLE access_log (number INTEGER PRIMARY KEY, place INTEGER NOT NULL, period INTEGER NOT NULL,
                             expires INTEGER NOT NULL, sealed BLOB NOT NULL, digest BLOB);
         INSERT INTO access_log (number, place, period, expires, sealed)
             SELECT row_number() OVER (ORDER BY id), id, period, expires, sealed FROM access;
         DROP TABLE access;
         CREATE TABLE access_chain (one INTEGER PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL);
         CREATE TABLE access_anchor (one INTEGER PRIMARY KEY, number INTEGER NOT NULL, digest BLOB NOT NULL, made INTEGER NOT NULL,
                                     signature BLOB NOT NULL);
         CREATE TABLE access_request (id INTEGER PRIMARY KEY, period INTEGER NOT NULL, ends INTEGER NOT NULL, sealed BLOB NOT NULL)"],
};

/// Who does something, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// Proven: signed in, or answered a code that was mailed to this address.
    Signed(String),
    /// At the machine's own command line: the account of the operating system, and the address that its user says is theirs.
    Terminal { user: String, stated: Option<String> },
}

/// An account of this machine's.
impl From<&str> for Identity {
    fn from(user: &str) -> Identity {
        Identity::Terminal { user: user.into(), stated: None }
    }
}

impl Identity {
    /// The address, proven or stated.
    pub fn address(&self) -> Option<&str> {
        match self {
            Identity::Signed(address) => Some(address),
            Identity::Terminal { stated, .. } => stated.as_deref(),
        }
    }

    /// Whether it was proven.
    pub fn is_signed(&self) -> bool {
        matches!(self, Identity::Signed(_))
    }

    /// The address, or the account where none was given.
    pub fn name(&self) -> &str {
        match self {
            Identity::Signed(name) | Identity::Terminal { stated: Some(name), .. } | Identity::Terminal { user: name, stated: None } => {
                name
            }
        }
    }
}

/// "clerk@x.uk (proven)", "clerk@x.uk (as stated by the account root)", "the account root".
impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Identity::Signed(address) => write!(f, "{address} (proven)"),
            Identity::Terminal { user, stated: Some(address) } => write!(f, "{address} (as stated by the account {user})"),
            Identity::Terminal { user, stated: None } => write!(f, "the account {user}"),
        }
    }
}

/// What one entry of the log says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub time: Timestamp,
    /// The address, or the account where none was given.
    pub who: String,
    pub purpose: String,
    pub sender: Option<String>,
    pub recipient: Option<String>,
    pub message_id: Option<String>,
    pub reference: Option<String>,
    pub since: Timestamp,
    pub until: Timestamp,
    /// How it is known who it was; entries of before this was kept do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

/// An entry and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Numbered {
    pub number: i64,
    #[serde(flatten)]
    pub access: Access,
}

/// Writes who did what to whose rows and why. It is on the disk when this returns: nothing is shown or changed before.
pub fn log(options: &Options, question: &Question, purpose: &str, who: impl Into<Identity>) -> Result<(), StoreError> {
    let (mut db, mut ring) = open(options)?;
    append(&mut db, &mut ring, options, question, purpose, &who.into())
}

pub(super) fn append(
    db: &mut Database,
    ring: &mut Keyring,
    options: &Options,
    question: &Question,
    purpose: &str,
    who: &Identity,
) -> Result<(), StoreError> {
    let time = Timestamp::now();
    let retention = options.retention_of(RecordClass::Access);
    let period = ring.at(RecordClass::Access, time.as_millisecond(), retention)?;
    let access = Access {
        time,
        who: who.name().into(),
        purpose: purpose.into(),
        sender: question.sender.clone(),
        recipient: question.recipient.clone(),
        message_id: question.message_id.clone(),
        reference: question.reference.clone(),
        since: question.since,
        until: question.until,
        identity: Some(who.clone()),
    };
    let mut sealed = vec![0; NONCE_LEN];
    serde_json::to_writer(&mut sealed, &access).map_err(|_| StoreError::Damaged)?;
    let expires = time.as_millisecond().saturating_add(millis(retention));
    chain::adopt(db, ring)?;
    let head = db.transaction(|tx| {
        tx.serial(chain::SERIAL)?;
        let before = chain::settle(tx, ring, time.as_millisecond())?;
        let number = before.number + 1;
        period.key.seal(&place(number, period.starts), &mut Nonces::new(), &mut sealed)?;
        let head = before.next(number, number, period.starts, &sealed);
        tx.execute(
            "INSERT INTO access_log (number, place, period, expires, sealed, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            values![number, number, period.starts, expires, &sealed, &head.digest[..]],
        )?;
        chain::keep_head(tx, &head)?;
        Ok(head)
    })?;
    crash::here(Point::AccessLogged);
    ring.set_access_head(&head)
}

/// The log, oldest first. Entries whose key is gone are passed over.
pub fn accesses(options: &Options) -> Result<Vec<Access>, StoreError> {
    Ok(entries(options, Timestamp::MIN)?.into_iter().map(|n| n.access).collect())
}

/// Entries since then, oldest first. One that cannot be opened is left out: [`verify`] says so.
pub fn entries(options: &Options, since: Timestamp) -> Result<Vec<Numbered>, StoreError> {
    let (mut db, ring) = open(options)?;
    let mut all = Vec::new();
    // A key serves for a day at most.
    let from = since.as_millisecond().saturating_sub(86_400_000);
    let sql = "SELECT number, place, period, sealed FROM access_log WHERE period >= ?1 ORDER BY number";
    let read = |row: &dyn Row| Ok((row.integer(0)?, row.integer(1)?, row.integer(2)?, row.octets(3)?.to_vec()));
    for (number, at, starts, mut sealed) in db.statements().all(sql, values![from], read)? {
        if let Some(period) = ring.period(RecordClass::Access, starts)?
            && let Ok(access) = opened(&period, at, &mut sealed)
            && access.time >= since
        {
            all.push(Numbered { number, access });
        }
    }
    Ok(all)
}

fn opened(period: &Period, at: i64, sealed: &mut [u8]) -> Result<Access, StoreError> {
    let plain = period.key.open(&place(at, period.starts), sealed)?;
    serde_json::from_slice(plain).map_err(|_| StoreError::Damaged)
}

fn place(row: i64, period: i64) -> RowPlace {
    RowPlace { table: Table::Access, row, class: RecordClass::Access, period }
}

#[cfg(test)]
pub(crate) mod tests;
