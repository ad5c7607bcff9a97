//! What is in the gateway's own care until it is delivered or decided: held mail, copies of a split, notices, bounces.
//!
//! A **deposit** is one content, as it came, and the **parcels** that are made of it: a parcel has an envelope, a plan of edits and a
//! state of its own, all on its [`Sheet`], and leaves or goes alone. A deposit is on the disk, sealed, before [`Custody::accept`]
//! returns; only then may a client hear 250. From there each step is one transaction, and a crash at any point leaves a message that
//! will be delivered or decided: at worst one that its upstream took, and whose word we did not keep, goes a second time (RFC 1047).
//!
//! The methods are whole operations. What several gateways on one database could both take is leased to one of them.

use std::time::Duration;

use super::place::Options;
use super::{RecordClass, StoreError};

mod digest;
pub mod sheet;
mod store;

pub use digest::{Covered, DigestStanding, Happened, Happenings, Heap, digest_standing};
pub use sheet::{Asked, Copy, Fate, Hold, Origin, Plan, Recipient, Record, RuleNote, Sheet, SplitCopy};
pub use store::new_id;
pub(super) use store::{SCHEMA, create, migrate};

/// Longer than any parcel waits and any telling is remembered: when a custody key may go.
pub(super) const KEPT: Duration = Duration::from_secs(15 * 86_400);
/// How long it is remembered that a person was told.
pub const TOLD: Duration = Duration::from_secs(7 * 86_400);
/// Parcels in custody at one time.
pub const MOST: u64 = 50_000;
/// No parcel is put off for longer: one that seems to be was put off by a clock that was ahead, and is due.
pub(super) const FARTHEST: Duration = Duration::from_secs(86_400);
/// How long a parcel is one gateway's to deliver, unless it says again that it is.
pub const LEASE: Duration = Duration::from_secs(60);

/// By what a parcel leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The gateway's own mail.
    Notice = 1,
    /// The council's mail.
    Mail = 2,
}

/// Where a parcel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be delivered when it is due.
    Waiting = 1,
    /// Kept back by an operator.
    Stopped = 2,
    /// Waits for people.
    Held = 3,
    /// Cannot be opened: set aside, so that the others go on.
    Broken = 4,
    /// No message: the list of what became of a split's copies, until all are settled.
    Tally = 5,
}

/// One content and what is made of it.
#[derive(Clone)]
pub struct Deposit {
    pub kind: Kind,
    /// RFC 5322 octets, as they came.
    pub content: Vec<u8>,
    pub parcels: Vec<NewParcel>,
    /// What is remembered with it, and for how many milliseconds (at most [`TOLD`]): [`Custody::is_told`].
    pub told: Vec<(Vec<u8>, i64)>,
}

/// A parcel that is to be.
#[derive(Clone, Debug)]
pub struct NewParcel {
    /// A number of [`new_id`]'s, where others are to refer to it before it is there.
    pub id: Option<i64>,
    pub state: State,
    /// When it is next looked at: tried, or for held mail warned of or ended.
    pub due: i64,
    /// When it is given up.
    pub ends: i64,
    pub sheet: Sheet,
}

/// A parcel as it stands.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub id: i64,
    pub kind: Kind,
    pub state: State,
    pub due: i64,
    pub ends: i64,
    /// Deliveries that were tried.
    pub attempts: u32,
    pub sheet: Sheet,
}

/// What was leased.
#[derive(Debug, Default)]
pub struct Claim {
    /// Oldest first.
    pub parcels: Vec<Parcel>,
    /// When the next one is due that nobody has leased.
    pub next: Option<i64>,
}

/// What becomes of a parcel.
#[derive(Clone, Debug)]
pub enum Becomes {
    /// It stays as it is, and may be leased again.
    Same,
    /// It has another state, time or sheet. One that was tried is counted as tried.
    This(Box<NewParcel>),
    /// Others of the same content take its place.
    These(Vec<NewParcel>),
    /// Delivered, refused, cancelled: it goes, and its content with the last that needs it.
    Nothing,
}

/// A decision: what becomes of a parcel, and what comes into custody with it, or neither.
#[derive(Clone)]
pub struct Decision {
    pub becomes: Becomes,
    /// Notices and bounces.
    pub also: Vec<Deposit>,
    /// What is entered on the list of a split: its parcel, and what became of whom.
    pub tally: Option<(i64, Vec<(String, Fate)>)>,
}

/// Makes what a split's sender hears when the last copy is settled, from the list and the time.
pub type OnSplitEnd = Box<dyn Fn(&Sheet, i64) -> Vec<Deposit> + Send>;

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// There is no such parcel.
    Absent,
    /// It is being delivered at this moment.
    Busy,
    /// Done; the parcels that took its place.
    Done(Vec<i64>),
}

/// Which parcels.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    pub kind: Kind,
    pub state: State,
    /// At most so many, oldest first.
    pub most: usize,
    /// Due by then.
    pub due: Option<i64>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub notices: u64,
    pub mail: u64,
    pub stopped: u64,
    pub held: u64,
    pub broken: u64,
    /// When the oldest of the council's mail that waits was due first; none if none waits.
    pub oldest: Option<i64>,
}

/// What a purge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Notices that waited too long.
    pub notices: u64,
    /// Parcels that could not be opened, and whose time was over.
    pub broken: u64,
    /// Memories of who was told.
    pub told: u64,
    pub keys: u64,
}

/// The store of what is in custody, owned by one thread. Times are milliseconds since 1970.
pub trait Custody: Send {
    /// Takes deposits, all of them or none; durable when this returns. Says the parcels of each. [`StoreError::QueueFull`] beyond [`MOST`].
    fn accept(&mut self, deposits: &[Deposit], now: i64) -> Result<Vec<Vec<i64>>, StoreError>;

    /// Whether this was told, and is still remembered.
    fn is_told(&mut self, what: &[u8], now: i64) -> Result<bool, StoreError>;

    /// Leases what is due on a lane (an upstream; none for notices) to this gateway, oldest first. What cannot be opened is set aside,
    /// and said.
    fn claim(&mut self, kind: Kind, lane: &str, most: usize, now: i64) -> Result<Claim, StoreError>;

    /// Keeps these leases of this gateway's for another [`LEASE`]; says which it has no more. Another gateway may deliver those: nothing
    /// more of them may be sent.
    fn renew(&mut self, ids: &[i64], now: i64) -> Result<Vec<i64>, StoreError>;

    /// What became of leased parcels, in one transaction. One whose lease was lost meanwhile goes only if it was delivered.
    fn settle(&mut self, settled: Vec<(i64, Decision)>, now: i64) -> Result<(), StoreError>;

    /// Decides about a parcel that is not being delivered, seeing it as it stands.
    fn decide(&mut self, id: i64, now: i64, act: &mut dyn FnMut(&Parcel) -> Result<Decision, StoreError>) -> Result<Decided, StoreError>;

    /// Parcels, oldest first.
    fn list(&mut self, which: Which) -> Result<Vec<Parcel>, StoreError>;

    /// One parcel.
    fn parcel(&mut self, id: i64) -> Result<Option<Parcel>, StoreError>;

    /// A parcel's content, as it came. None if there is no such parcel.
    fn content(&mut self, id: i64) -> Result<Option<Vec<u8>>, StoreError>;

    fn counts(&mut self) -> Result<Counts, StoreError>;

    /// The same by upstream, with the oldest of each.
    fn heaps(&mut self) -> Result<Vec<Heap>, StoreError>;

    /// What came of held mail, and what was split, within these times; in whole hours, the last not included.
    fn happenings(&mut self, since: i64, until: i64) -> Result<Happenings, StoreError>;

    /// How the weekly digests stand. The first call begins the watch.
    fn digest(&mut self, now: i64) -> Result<DigestStanding, StoreError>;

    /// Takes the letters of a digest into custody and notes that it was sent, or finds that it was before: then false, and nothing is
    /// taken.
    fn send_digest(&mut self, digest: Covered, letters: &[Deposit], now: i64) -> Result<bool, StoreError>;

    /// Notes that a letter was delivered, if it is a digest's; to be said before it is settled.
    fn digest_delivered(&mut self, parcel: i64, now: i64) -> Result<(), StoreError>;

    /// Says what is done when a split has ended; nothing, unless this was called.
    fn on_split_end(&mut self, compose: OnSplitEnd);

    /// What leaves by an upstream that is no more gets another; says how many parcels.
    fn adopt(&mut self, lanes: &[&str], heir: &str) -> Result<u64, StoreError>;

    /// Drops notices that waited too long, memories, and keys. The council's mail is never dropped here: whoever delivers or holds it
    /// decides, and tells its sender.
    fn purge(&mut self, now: i64) -> Result<Purged, StoreError>;
}

/// Opens what [`super::prepare`] made.
pub fn open(options: &Options) -> Result<Box<dyn Custody>, StoreError> {
    Ok(Box::new(store::Store::open(options)?))
}

/// Opens it to look and decide beside a gateway that may be delivering: what that has leased is left alone.
pub fn open_beside(options: &Options) -> Result<Box<dyn Custody>, StoreError> {
    Ok(Box::new(store::Store::open_beside(options)?))
}

impl State {
    /// For people and programs.
    pub fn word(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Stopped => "stopped",
            State::Held => "held",
            State::Broken => "set-aside",
            State::Tally => "list",
        }
    }

    fn of(number: i64) -> Result<State, StoreError> {
        [State::Waiting, State::Stopped, State::Held, State::Broken, State::Tally]
            .into_iter()
            .find(|s| *s as i64 == number)
            .ok_or(StoreError::Damaged)
    }

    /// Held mail has a retention and keys of its own.
    fn class(self) -> RecordClass {
        if self == State::Held { RecordClass::Held } else { RecordClass::Custody }
    }
}

impl Kind {
    fn of(number: i64) -> Result<Kind, StoreError> {
        [Kind::Notice, Kind::Mail].into_iter().find(|k| *k as i64 == number).ok_or(StoreError::Damaged)
    }
}

impl Decision {
    pub fn of(becomes: Becomes) -> Decision {
        Decision { becomes, also: Vec::new(), tally: None }
    }

    /// It goes, and nothing comes.
    pub fn done() -> Decision {
        Decision::of(Becomes::Nothing)
    }
}

#[cfg(test)]
mod tests;
