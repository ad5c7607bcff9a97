//! What one person asks and a second one approves, so that neither does it alone.
//!
//! A request is asked, confirmed by whoever asked, approved or refused by somebody else, and used once, within its time. At the command
//! line an address is only stated; so who asks and who approves each answer with a code that was mailed to them, and the log then says
//! that they were proven. This page knows the states; who may do what is the office's to say.

use aws_lc_rs::aead::NONCE_LEN;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Identity, Nonces, Period, RowPlace, Table, millis, open};
use crate::records::database::{Row, Statements, values};
use crate::records::sealing::{Kind, random_octets};
use crate::records::{Options, RecordClass, StoreError};

/// How long a request is good, in milliseconds.
pub const GOOD: i64 = 48 * 3_600_000;
/// How long a code is, in milliseconds.
pub const CODE_GOOD: i64 = 30 * 60_000;
/// Wrong answers until a code is void.
pub const TRIES: u32 = 5;
/// Codes for one person and one request: nobody's mailbox is filled.
pub const CODES: u32 = 6;

/// Under this word those write who change requests.
const SERIAL: &str = "access-request";

/// Somebody who has a part in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The entry of the site file that they are, whichever of its addresses they used.
    pub person: String,
    pub identity: Identity,
    pub at: Timestamp,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Who asked has yet to answer with the code that was mailed to them.
    Unconfirmed,
    Asked,
    Approved(Party),
    Refused(Party),
    Used,
}

impl State {
    pub fn word(&self) -> &'static str {
        match self {
            State::Unconfirmed => "unconfirmed",
            State::Asked => "asked",
            State::Approved(_) => "approved",
            State::Refused(_) => "refused",
            State::Used => "used",
        }
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub id: i64,
    /// `content`, `holds`, `reports`.
    pub act: String,
    /// On what: a reference, a case, an address.
    pub subject: String,
    pub why: String,
    pub asker: Party,
    pub ends: Timestamp,
    pub state: State,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<Code>,
}

/// What is kept of a code that was mailed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    person: String,
    hash: [u8; 16],
    until: Timestamp,
    /// Answers that are left.
    left: u32,
    /// Codes that were mailed to this person.
    sent: u32,
}

/// Why something was not done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("its time is over")]
    Over,
    #[error("it is {0}")]
    Is(&'static str),
    #[error("whoever asked has not confirmed it yet: lychgate requests confirm")]
    Unconfirmed,
    #[error("nobody has approved it yet")]
    NotApproved,
    #[error("the one who asked cannot approve it too, under whichever role or address: it takes a second person")]
    Same,
    #[error("somebody else asked it")]
    NotTheirs,
    #[error("it is for something else")]
    AnotherAct,
    #[error("no code is good at present; `lychgate requests code` mails one")]
    NoCode,
    #[error("that is not the code; {0} more can be tried")]
    WrongCode(u32),
    #[error("too many codes were mailed for it; ask anew")]
    TooManyCodes,
}

/// Hashes a code for a person and a request.
pub type Hash<'a> = dyn Fn(&str, &str) -> [u8; 16] + 'a;

impl Request {
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends
    }

    /// Its state, or `expired`.
    pub fn word(&self, now: Timestamp) -> &'static str {
        match &self.state {
            State::Unconfirmed | State::Asked | State::Approved(_) if self.is_over(now) => "expired",
            state => state.word(),
        }
    }

    fn in_time(&self, now: Timestamp) -> Result<(), Refused> {
        if self.is_over(now) { Err(Refused::Over) } else { Ok(()) }
    }

    /// Makes a code for somebody, in place of the one before: the digits, to be mailed.
    pub fn code_for(&mut self, person: &str, now: Timestamp, hash: &Hash<'_>) -> Result<Result<Zeroizing<String>, Refused>, StoreError> {
        if let Err(refused) = self.in_time(now) {
            return Ok(Err(refused));
        }
        let sent = self.codes.iter().find(|c| c.person == person).map_or(0, |c| c.sent) + 1;
        if sent > CODES {
            return Ok(Err(Refused::TooManyCodes));
        }
        let digits = digits()?;
        let until = now + jiff::SignedDuration::from_millis(CODE_GOOD);
        self.codes.retain(|c| c.person != person);
        self.codes.push(Code { person: person.into(), hash: hash(person, &digits), until, left: TRIES, sent });
        Ok(Ok(digits))
    }

    /// Holds an answer against the code of a person; a right one is used up.
    pub fn answered(&mut self, person: &str, answer: &str, now: Timestamp, hash: &Hash<'_>) -> Result<(), Refused> {
        let answer: String = answer.chars().filter(char::is_ascii_digit).collect();
        let code = self.codes.iter_mut().find(|c| c.person == person && c.left > 0 && now < c.until).ok_or(Refused::NoCode)?;
        if !bool::from(subtle::ConstantTimeEq::ct_eq(&hash(person, &answer)[..], &code.hash[..])) {
            code.left -= 1;
            return Err(Refused::WrongCode(code.left));
        }
        code.left = 0;
        Ok(())
    }

    /// Whoever asked was proven.
    pub fn confirm(&mut self, by: Party, now: Timestamp) -> Result<(), Refused> {
        self.in_time(now)?;
        match self.state {
            _ if self.asker.person != by.person => Err(Refused::NotTheirs),
            State::Unconfirmed => {
                (self.asker, self.state) = (by, State::Asked);
                Ok(())
            }
            _ => Err(Refused::Is(self.state.word())),
        }
    }

    /// Whether this person could approve it now.
    pub fn awaits(&self, person: &str, now: Timestamp) -> Result<(), Refused> {
        self.in_time(now)?;
        match self.state {
            State::Unconfirmed => Err(Refused::Unconfirmed),
            State::Asked if self.asker.person == person => Err(Refused::Same),
            State::Asked => Ok(()),
            _ => Err(Refused::Is(self.state.word())),
        }
    }

    /// A second person, who was proven, says yes.
    pub fn approve(&mut self, by: Party, now: Timestamp) -> Result<(), Refused> {
        self.awaits(&by.person, now)?;
        if self.asker.identity.address().is_some_and(|a| by.identity.address() == Some(a)) {
            return Err(Refused::Same);
        }
        self.state = State::Approved(by);
        Ok(())
    }

    /// Somebody says no, or whoever asked takes it back.
    pub fn refuse(&mut self, by: Party, now: Timestamp) -> Result<(), Refused> {
        self.in_time(now)?;
        match self.state {
            State::Unconfirmed | State::Asked | State::Approved(_) => {
                self.state = State::Refused(by);
                Ok(())
            }
            _ => Err(Refused::Is(self.state.word())),
        }
    }

    /// It is used, once, by whoever asked it and for what it was asked. Says who approved it.
    pub fn spend(&mut self, person: &str, act: &str, subject: &str, now: Timestamp) -> Result<Party, Refused> {
        self.in_time(now)?;
        let by = match &self.state {
            State::Approved(by) => by.clone(),
            State::Unconfirmed => return Err(Refused::Unconfirmed),
            State::Asked => return Err(Refused::NotApproved),
            state => return Err(Refused::Is(state.word())),
        };
        if self.asker.person != person {
            return Err(Refused::NotTheirs);
        }
        if (self.act.as_str(), self.subject.as_str()) != (act, subject) {
            return Err(Refused::AnotherAct);
        }
        self.state = State::Used;
        Ok(by)
    }
}

/// Eight random digits, without a bias.
fn digits() -> Result<Zeroizing<String>, StoreError> {
    loop {
        let n = u32::from_be_bytes(random_octets()?);
        // The largest multiple of 10⁸ that fits.
        if n < 4_200_000_000 {
            return Ok(Zeroizing::new(format!("{:08}", n % 100_000_000)));
        }
    }
}

/// Keeps a new request; gives it its number.
pub fn add(options: &Options, request: Request, now: i64) -> Result<Request, StoreError> {
    let (mut db, mut ring) = open(options)?;
    let retention = options.retention_of(RecordClass::Access);
    let period = ring.at(RecordClass::Access, now, retention)?;
    db.transaction(|tx| {
        tx.serial(SERIAL)?;
        let id = tx.number("SELECT max(id) FROM access_request", &[])? + 1;
        let request = Request { id, ..request };
        let sealed = sealed(&period, &request)?;
        let ends = now.saturating_add(millis(retention));
        tx.execute(
            "INSERT INTO access_request (id, period, ends, sealed) VALUES (?1, ?2, ?3, ?4)",
            values![id, period.starts, ends, &sealed],
        )?;
        Ok(request)
    })
}

/// All requests that are kept, the latest first.
pub fn all(options: &Options) -> Result<Vec<Request>, StoreError> {
    let (mut db, ring) = open(options)?;
    let read = |row: &dyn Row| Ok((row.integer(0)?, row.integer(1)?, row.octets(2)?.to_vec()));
    let mut all = Vec::new();
    for (id, starts, mut sealed) in db.statements().all("SELECT id, period, sealed FROM access_request ORDER BY id DESC", &[], read)? {
        if let Some(period) = ring.period(RecordClass::Access, starts)?
            && let Ok(request) = opened(&period, id, &mut sealed)
        {
            all.push(request);
        }
    }
    Ok(all)
}

/// Does something with a request, seeing it as it stands; what `act` changed is kept, also where it refuses. None if there is none.
pub fn change<T>(
    options: &Options,
    id: i64,
    act: impl FnOnce(&mut Request, &Hash<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let (mut db, ring) = open(options)?;
    db.transaction(|tx| {
        tx.serial(SERIAL)?;
        let this = format!("SELECT period, sealed FROM access_request WHERE id = ?1{}", tx.for_update());
        let found = tx.first(&this, values![id], |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))?;
        let Some((starts, mut octets)) = found else { return Ok(None) };
        let Some(period) = ring.period(RecordClass::Access, starts)? else { return Ok(None) };
        let mut request = opened(&period, id, &mut octets)?;
        let hash = |person: &str, code: &str| period.key.hash_16(Kind::Code, format!("{id}\0{person}\0{code}").as_bytes());
        let done = act(&mut request, &hash)?;
        tx.execute("UPDATE access_request SET sealed = ?2 WHERE id = ?1", values![id, &sealed(&period, &request)?])?;
        Ok(Some(done))
    })
}

/// Those whose retention is over go.
pub(in crate::records) fn purge(tx: &mut (dyn Statements + '_), now: i64) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM access_request WHERE ends <= ?1", values![now])
}

fn place(row: i64, period: i64) -> RowPlace {
    RowPlace { table: Table::Approval, row, class: RecordClass::Access, period }
}

fn sealed(period: &Period, request: &Request) -> Result<Vec<u8>, StoreError> {
    let mut sealed = vec![0; NONCE_LEN];
    serde_json::to_writer(&mut sealed, request).map_err(|_| StoreError::Damaged)?;
    period.key.seal(&place(request.id, period.starts), &mut Nonces::new(), &mut sealed)?;
    Ok(sealed)
}

fn opened(period: &Period, id: i64, sealed: &mut [u8]) -> Result<Request, StoreError> {
    let plain = period.key.open(&place(id, period.starts), sealed)?;
    serde_json::from_slice(plain).map_err(|_| StoreError::Damaged)
}
