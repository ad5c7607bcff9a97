//! Holds of records by case number: placed, listed, prolonged, lifted.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::roles::Right;
use super::{Doer, Fault, address, counted, day};
use crate::config::settings::TwoPeople;
use crate::records::custody::{self, Custody, Kind, State, Which};
use crate::records::holds::{Hold, Keeps, Scope, is_case_number};
use crate::records::trace::Question;
use crate::records::{Keeping, Options, StoreError};

/// How long before its end the Clerk is told that a hold ends.
const WARNING: i64 = 14;

/// What is to be held, and until when.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub case: String,
    pub scope: Scope,
    pub expires: Timestamp,
}

/// Places a hold: what it covers is kept from this moment. Held mail that it covers is kept with its content, whatever becomes of the
/// mail itself.
pub fn place(
    options: &Options,
    custody: Option<&mut dyn Custody>,
    wanted: Wanted,
    now: Timestamp,
    doer: &Doer,
) -> Result<(Hold, Keeps), Fault> {
    if !is_case_number(&wanted.case) {
        return Err(Fault::Case(wanted.case));
    }
    if wanted.scope.is_empty() {
        return Err(Fault::Everything);
    }
    if wanted.expires <= now {
        return Err(Fault::Over);
    }
    let scope = Scope { person: wanted.scope.person.as_deref().map(address).transpose()?, ..wanted.scope };
    let question = Question {
        sender: scope.person.clone(),
        recipient: scope.person.clone(),
        message_id: scope.message_id.clone(),
        reference: scope.reference.clone(),
        since: scope.since.unwrap_or_default(),
        until: scope.until.unwrap_or(now),
    };
    doer.may(Right::Holds)?;
    let together = doer.together(options, TwoPeople::Holds, &wanted.case, now)?;
    doer.log(options, Right::Holds, &format!("placed a hold for case {}{together}", wanted.case), question)?;
    let mut keeping = Keeping::open(options)?;
    let hold = Hold {
        id: 0,
        case: wanted.case,
        reason: doer.purpose.trim().into(),
        scope,
        placed: now,
        by: vec![doer.who.name().into()],
        expires: wanted.expires,
        warned: false,
    };
    let (hold, keeps) = keeping.hold(hold, now.as_millisecond())?;
    let messages = match custody {
        Some(custody) => keep_messages(&mut keeping, custody)?,
        None => 0,
    };
    Ok((hold, Keeps { messages, ..keeps }))
}

/// Keeps whatever held mail any hold covers; says how much was new. To be done when a hold is placed, and from time to time.
pub fn keep_messages(keeping: &mut Keeping, custody: &mut dyn Custody) -> Result<u64, StoreError> {
    let held = custody.list(Which { kind: Kind::Mail, state: State::Held, most: custody::MOST as usize, due: None })?;
    let mut new = 0;
    for parcel in held {
        new += keeping.keep_message(parcel.id, &parcel.sheet, || custody.content(parcel.id))? as u64;
    }
    Ok(new)
}

/// The holds, with what each keeps.
pub fn list(options: &Options, now: Timestamp, doer: &Doer) -> Result<Vec<(Hold, Keeps)>, Fault> {
    doer.log(options, Right::Holds, "listed holds", Question::default())?;
    Ok(Keeping::open(options)?.holds(now.as_millisecond())?)
}

/// The case of the hold of this number.
pub fn case_of(options: &Options, id: i64) -> Result<String, Fault> {
    let found = Keeping::open(options)?.holds(0)?.into_iter().map(|(hold, _)| hold).find(|hold| hold.id == id);
    found.map(|hold| hold.case).ok_or_else(|| Fault::NoHold(id.to_string()))
}

/// Ends the holds of a case; says how many there were. What only they kept is gone.
pub fn lift(options: &Options, case: &str, doer: &Doer) -> Result<usize, Fault> {
    let mut keeping = Keeping::open(options)?;
    if !keeping.holds(0)?.iter().any(|(h, _)| h.case == case) {
        return Err(Fault::NoHold(case.into()));
    }
    doer.may(Right::Holds)?;
    let together = doer.together(options, TwoPeople::Holds, case, Timestamp::now())?;
    doer.log(options, Right::Holds, &format!("lifted the hold of case {case}{together}"), Question::default())?;
    Ok(keeping.lift(case)?)
}

/// Ends holds that cannot be read, and that stop every purge; says how many there were.
pub fn lift_unreadable(options: &Options, doer: &Doer) -> Result<usize, Fault> {
    // Nobody can say of which case.
    doer.may(Right::Holds)?;
    let together = doer.together(options, TwoPeople::Holds, "unreadable", Timestamp::now())?;
    let act = format!("lifted holds that cannot be read{together}");
    doer.log(options, Right::Holds, &act, Question::default())?;
    Ok(Keeping::open(options)?.lift_unreadable()?)
}

/// Prolongs the holds of a case.
pub fn prolong(options: &Options, case: &str, expires: Timestamp, now: Timestamp, doer: &Doer) -> Result<usize, Fault> {
    if expires <= now {
        return Err(Fault::Over);
    }
    let mut keeping = Keeping::open(options)?;
    let of_case: Vec<Hold> = keeping.holds(0)?.into_iter().map(|(h, _)| h).filter(|h| h.case == case).collect();
    if of_case.is_empty() {
        return Err(Fault::NoHold(case.into()));
    }
    doer.may(Right::Holds)?;
    let together = doer.together(options, TwoPeople::Holds, case, now)?;
    doer.log(options, Right::Holds, &format!("prolonged the hold of case {case} until {expires}{together}"), Question::default())?;
    for hold in &of_case {
        let mut by = hold.by.clone();
        by.push(doer.who.name().into());
        keeping.amend_hold(&Hold { expires, warned: false, by, ..hold.clone() })?;
    }
    Ok(of_case.len())
}

/// Holds that end soon and of which the Clerk was not told, and what they are to be told of each; [`told`] notes that it was.
pub fn ending(keeping: &mut Keeping, now: Timestamp, zone: &TimeZone) -> Result<Vec<(Hold, String)>, Fault> {
    let mut soon = soon(keeping, now, zone)?;
    soon.retain(|(hold, _)| !hold.warned);
    Ok(soon)
}

/// All holds that end soon.
pub fn soon(keeping: &mut Keeping, now: Timestamp, zone: &TimeZone) -> Result<Vec<(Hold, String)>, Fault> {
    let mut soon = keeping.holds(now.as_millisecond())?;
    soon.retain(|(hold, _)| hold.expires <= now + (WARNING * 24).hours());
    let tell = |(hold, keeps): (Hold, Keeps)| {
        let text = format!(
            "The hold of records for case {} ends on {}; {} then go. If the case is still open: lychgate hold-records prolong --case {} --expires DATE --reason TEXT",
            hold.case,
            day(hold.expires, zone),
            counted(keeps.rows, "row"),
            if hold.case.contains(' ') { format!("\"{}\"", hold.case) } else { hold.case.clone() },
        );
        (hold, text)
    };
    Ok(soon.into_iter().map(tell).collect())
}

/// The Clerk has been told that it ends; they are told once.
pub fn told(keeping: &mut Keeping, hold: Hold) -> Result<(), Fault> {
    Ok(keeping.amend_hold(&Hold { warned: true, ..hold })?)
}

/// A hold in plain words.
pub fn words(hold: &Hold, keeps: &Keeps, zone: &TimeZone) -> String {
    let messages =
        if keeps.messages > 0 { format!(" and {} with their content", counted(keeps.messages, "held message")) } else { String::new() };
    format!(
        "Case {}: {}\n  Because:   {}\n  Placed:    {} by {}\n  Ends:      {}\n  Keeps:     {}{messages}; {} of them beyond their time\n",
        hold.case,
        hold.scope.words(),
        hold.reason,
        day(hold.placed, zone),
        hold.by.join(" and "),
        day(hold.expires, zone),
        counted(keeps.rows, "row"),
        keeps.held_back,
    )
}
