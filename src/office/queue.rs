//! The council's mail that waits to be delivered: what waits since when, and trying it now, stopping it, letting it go on.

use jiff::Timestamp;

use super::held::{about, reference, time};
use super::roles::Right;
use super::{Doer, Fault};
use crate::policy::people::domain_of;
use crate::records::Options;
use crate::records::custody::{self, Becomes, Custody, Decided, Decision, Fate, Kind, NewParcel, Parcel, State, Which};

/// One message or copy.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Waiting {
    pub id: String,
    /// Which copy of a split.
    pub copy: Option<String>,
    pub state: &'static str,
    pub upstream: String,
    pub since: Timestamp,
    pub next: Timestamp,
    pub gives_up: Timestamp,
    pub attempts: u32,
    /// Where it is still to go, by domain.
    pub to: Vec<String>,
    /// The upstream's last word.
    pub last: Option<String>,
}

/// What is done with what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Hasten,
    Stop,
    Start,
}

/// What waits, is stopped, or is set aside; oldest first.
pub fn list(options: &Options) -> Result<Vec<Waiting>, Fault> {
    Ok(all(custody::open_beside(options)?.as_mut())?.iter().map(Waiting::of).collect())
}

/// Does it with all parcels of these references, or with all that wait if there are none; says with how many.
pub fn act(options: &Options, act: Act, ids: &[String], doer: &Doer) -> Result<usize, Fault> {
    let mut custody = custody::open_beside(options)?;
    let wanted: Vec<String> = ids.iter().map(|id| reference(id)).collect();
    let chosen: Vec<Parcel> = all(custody.as_mut())?
        .into_iter()
        .filter(|p| p.state != State::Broken && (wanted.is_empty() || wanted.contains(&reference(&p.sheet.reference))))
        .collect();
    if let Some(id) = ids.iter().find(|id| !chosen.iter().any(|p| reference(&p.sheet.reference) == reference(id))) {
        return Err(Fault::NotQueued(id.clone()));
    }
    let mut done = 0;
    for parcel in &chosen {
        doer.log(options, Right::Queue, act.words(), about(&parcel.sheet))?;
        let now = Timestamp::now().as_millisecond();
        let decided = custody.decide(parcel.id, now, &mut |p| {
            let (state, due) = match (act, p.state) {
                (Act::Hasten, State::Waiting) | (Act::Start, State::Stopped) => (State::Waiting, now),
                (Act::Stop, State::Waiting) => (State::Stopped, p.due),
                _ => return Ok(Decision::of(Becomes::Same)),
            };
            Ok(Decision::of(Becomes::This(Box::new(NewParcel { id: None, state, due, ends: p.ends, sheet: p.sheet.clone() }))))
        })?;
        // One that is being delivered at this moment needs nothing.
        done += usize::from(matches!(decided, Decided::Done(_)));
    }
    Ok(done)
}

fn all(custody: &mut dyn Custody) -> Result<Vec<Parcel>, Fault> {
    let mut parcels = Vec::new();
    for state in [State::Waiting, State::Stopped, State::Broken] {
        parcels.extend(custody.list(Which { kind: Kind::Mail, state, most: custody::MOST as usize, due: None })?);
    }
    Ok(parcels)
}

impl Act {
    fn words(self) -> &'static str {
        match self {
            Act::Hasten => "try waiting mail now",
            Act::Stop => "stop waiting mail",
            Act::Start => "let stopped mail go on",
        }
    }
}

impl Waiting {
    fn of(parcel: &Parcel) -> Waiting {
        let sheet = &parcel.sheet;
        let open = sheet.recipients.iter().filter(|r| r.state.is_open());
        let mut to: Vec<String> = open.clone().map(|r| domain_of(&r.address).to_string()).collect();
        to.sort();
        to.dedup();
        let last = open.filter_map(|r| if let Fate::Later { reply } = &r.state { Some(reply.clone()) } else { None }).next_back();
        Waiting {
            id: sheet.reference.clone(),
            copy: sheet.copy.map(|c| format!("{} of {}", c.number, c.of)),
            state: parcel.state.word(),
            upstream: sheet.upstream.clone(),
            since: time(sheet.taken),
            next: time(parcel.due),
            gives_up: time(parcel.ends),
            attempts: parcel.attempts,
            to,
            last,
        }
    }
}
