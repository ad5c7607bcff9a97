//! Requests and their clock, as the Clerk works with them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::office::roles::Right;
use crate::office::{Doer, Fault, about, address, moment};
use crate::records::rights::{Kind, Request};
use crate::records::trace::Question;
use crate::records::{Keeping, Options};

/// What is to happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Pause,
    Resume,
    Extend,
    Close,
}

/// Notes that a request came in; the clock runs from that day. A breach is noted by [`crate::office::breach`].
pub fn receive(options: &Options, person: &str, kind: Kind, received: Date, doer: &Doer) -> Result<Request, Fault> {
    let person = address(person)?;
    doer.log(options, Right::Rights, &format!("received a request ({})", kind.word()), about(&person))?;
    let mut request = Request { id: 0, kind, person, received, known: None, pauses: Vec::new(), extended: None, closed: None };
    Keeping::open(options)?.put_request(&mut request)?;
    Ok(request)
}

/// Notes that somebody who is signed in asks for a copy of what is kept of them. Errors if such a request of theirs is open: a second one
/// would not come sooner.
pub(in crate::office) fn ask_own(options: &Options, person: &str, received: Date, doer: &Doer) -> Result<Request, Fault> {
    let mut keeping = Keeping::open(options)?;
    if let Some(open) = keeping.requests()?.iter().find(|r| r.kind == Kind::Access && r.closed.is_none() && r.person == person) {
        return Err(Fault::Asked(open.id));
    }
    doer.note(options, "asked for a copy of what is kept of them", about(person))?;
    let mut request = Request {
        id: 0,
        kind: Kind::Access,
        person: person.into(),
        received,
        known: None,
        pauses: Vec::new(),
        extended: None,
        closed: None,
    };
    keeping.put_request(&mut request)?;
    Ok(request)
}

/// Changes a request on a day; the doer's purpose is the reason, or the outcome.
pub fn change(options: &Options, id: i64, change: Change, on: Date, doer: &Doer) -> Result<Request, Fault> {
    let mut keeping = Keeping::open(options)?;
    let mut request = keeping.requests()?.into_iter().find(|r| r.id == id).ok_or(Fault::NoRequest(id))?;
    let (verb, done) = match change {
        Change::Pause => ("paused", request.pause(on, &doer.purpose)),
        Change::Resume => ("resumed", request.resume(on)),
        Change::Extend => ("extended", request.extend(on, &doer.purpose)),
        Change::Close => ("closed", request.close(on, &doer.purpose)),
    };
    done.map_err(|why| Fault::Request(id, why))?;
    doer.log(options, Right::Rights, &format!("{verb} request {id}"), of(&request))?;
    keeping.put_request(&mut request)?;
    Ok(request)
}

/// One request. That somebody looked is logged, beside the person's name.
pub fn one(options: &Options, id: i64, doer: &Doer) -> Result<Request, Fault> {
    doer.may(Right::Rights)?;
    let request = Keeping::open(options)?.requests()?.into_iter().find(|r| r.id == id).ok_or(Fault::NoRequest(id))?;
    doer.log(options, Right::Rights, &format!("looked at request {id}"), of(&request))?;
    Ok(request)
}

/// All requests that are kept, oldest first.
pub fn list(options: &Options, doer: &Doer) -> Result<Vec<Request>, Fault> {
    doer.log(options, Right::Rights, "listed people's requests", Question::default())?;
    Ok(Keeping::open(options)?.requests()?)
}

/// The question that stands for a request's person in the access log; of a breach its message.
fn of(request: &Request) -> Question {
    if request.kind == Kind::Breach {
        Question { reference: Some(request.person.clone()), ..Question::default() }
    } else {
        about(&request.person)
    }
}

/// What is due within the next days or over it already, for the digest: without the person's address.
pub fn due(keeping: &mut Keeping, now: Timestamp, within_days: i64, zone: &TimeZone) -> Result<Vec<String>, Fault> {
    let today = now.to_zoned(zone.clone()).date();
    let mut out = Vec::new();
    for request in keeping.requests()?.into_iter().filter(|r| r.closed.is_none()) {
        if let Some(by) = request.report_by() {
            let over = if by < now { "is over" } else { "ends" };
            out.push(format!(
                "Breach {} ({}): the 72 hours for the report to the regulator {over} on {}.",
                request.id,
                request.person,
                moment(by, zone)
            ));
        } else if request.is_paused() {
            out.push(format!("Request {} ({}) stands still until the person answers.", request.id, request.kind.word()));
        } else if let Some(day) = request.due(today).filter(|day| *day <= today.saturating_add(within_days.days())) {
            let said = day.strftime("%A %-d %B %Y");
            let over = if day < today { "was due" } else { "is due" };
            out.push(format!("Request {} ({}) {over} on {said}.", request.id, request.kind.word()));
        }
    }
    Ok(out)
}

/// A request in plain words.
pub fn words(request: &Request, now: Timestamp, zone: &TimeZone) -> String {
    let today = now.to_zoned(zone.clone()).date();
    let day = |d: Date| d.strftime("%A %-d %B %Y").to_string();
    let mut out =
        format!("Request {}: {} for {}\n  Received:  {}\n", request.id, request.kind.word(), request.person, day(request.received));
    for pause in &request.pauses {
        let until = pause.until.map_or("still".into(), day);
        out.push_str(&format!("  Paused:    {} to {until}: {}\n", day(pause.from), pause.reason));
    }
    if let Some(extended) = &request.extended {
        out.push_str(&format!("  Extended:  on {} by two months: {}\n", day(extended.on), extended.reason));
    }
    match (&request.closed, request.report_by(), request.due(today)) {
        (Some(closed), ..) => out.push_str(&format!("  Closed:    {}: {}\n", day(closed.on), closed.outcome)),
        (None, Some(by), _) => out.push_str(&format!("  Report by: {}\n", moment(by, zone))),
        (None, None, Some(due)) if request.is_paused() => {
            out.push_str(&format!("  Due:       the clock stands still; if it ran again from today, {}\n", day(due)));
        }
        (None, None, Some(due)) => out.push_str(&format!("  Due:       {}\n", day(due))),
        (None, None, None) => {}
    }
    out
}
