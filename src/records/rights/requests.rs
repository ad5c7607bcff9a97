//! Requests and their clock: one calendar month from the day of receipt, longer by what is waited for the person, and by two months
//! where a request is complex; a breach that was noticed has 72 hours.
//!
//! UK GDPR Article 12(3) and 12A, Article 33(1). How months are counted is in the regulator's guidance on the right of access: the same
//! date of the next month; where there is none its last day; where that is a weekend or a public holiday, the next working day.

use jiff::civil::{Date, Weekday};
use jiff::{Span, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::records::database::values;
use crate::records::keeping::{Keeping, Named, next_number};
use crate::records::sealing::Table;
use crate::records::{RecordClass, StoreError};

/// What was asked for, or what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Access,
    Rectification,
    Erasure,
    /// Personal data got where it should not: the regulator is to hear of it within 72 hours, unless no risk is likely.
    Breach,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Access => "access",
            Kind::Rectification => "rectification",
            Kind::Erasure => "erasure",
            Kind::Breach => "breach",
        }
    }

    pub fn of(word: &str) -> Option<Kind> {
        [Kind::Access, Kind::Rectification, Kind::Erasure, Kind::Breach].into_iter().find(|k| k.word() == word)
    }
}

/// A request as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    #[serde(skip)]
    pub id: i64,
    pub kind: Kind,
    /// Whose data; for a breach the reference of the message.
    pub person: String,
    /// The day it was received.
    pub received: Date,
    /// When a breach became known; 72 hours count from it.
    #[serde(default)]
    pub known: Option<Timestamp>,
    #[serde(default)]
    pub pauses: Vec<Pause>,
    #[serde(default)]
    pub extended: Option<Extended>,
    #[serde(default)]
    pub closed: Option<Closed>,
}

/// The clock stands still while the person is to say what they mean, or who they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub from: Date,
    pub until: Option<Date>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    pub on: Date,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub on: Date,
    pub outcome: String,
}

/// Why a request cannot be changed so, in words for whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it is closed")]
    Closed,
    #[error("its clock stands still already: resume it first")]
    Paused,
    #[error("its clock is running: there is nothing to resume")]
    Running,
    #[error("that day is before the day it was received, or before the pause began")]
    TooEarly,
    #[error("it was extended already: the law allows two more months once")]
    Extended,
    #[error("the time is over: an extension must be told within the first month")]
    TooLate,
    #[error("the 72 hours of a breach cannot be paused or extended: report what is known, and the rest later (Article 33(4))")]
    Breach,
}

impl Request {
    /// The last day for the answer. While the clock stands still, as if it ran again from `today`. None for a breach: [`Self::report_by`].
    pub fn due(&self, today: Date) -> Option<Date> {
        if self.kind == Kind::Breach {
            return None;
        }
        let months: i64 = if self.extended.is_some() { 3 } else { 1 };
        // The same date of that month, or its last day: which is how jiff adds months too.
        let due = self.received.saturating_add(months.months());
        let waited: i32 = self.pauses.iter().map(|p| days(p.from, p.until.unwrap_or_else(|| today.max(p.from)))).sum();
        Some(working_day(due.saturating_add(Span::new().days(waited))))
    }

    /// 72 hours after a breach became known.
    pub fn report_by(&self) -> Option<Timestamp> {
        self.known.map(|known| known + 72.hours())
    }

    pub fn is_paused(&self) -> bool {
        self.pauses.last().is_some_and(|p| p.until.is_none())
    }

    pub fn pause(&mut self, from: Date, reason: &str) -> Result<(), Refused> {
        self.may_wait()?;
        if self.is_paused() {
            return Err(Refused::Paused);
        }
        let earliest = self.pauses.last().and_then(|p| p.until).unwrap_or(self.received);
        if from < earliest {
            return Err(Refused::TooEarly);
        }
        self.pauses.push(Pause { from, until: None, reason: reason.into() });
        Ok(())
    }

    pub fn resume(&mut self, on: Date) -> Result<(), Refused> {
        self.may_wait()?;
        let last = self.pauses.last_mut().filter(|p| p.until.is_none()).ok_or(Refused::Running)?;
        if on < last.from {
            return Err(Refused::TooEarly);
        }
        last.until = Some(on);
        Ok(())
    }

    /// By two further months, told to the person within the first (Article 12(3)).
    pub fn extend(&mut self, on: Date, reason: &str) -> Result<(), Refused> {
        self.may_wait()?;
        if self.extended.is_some() {
            return Err(Refused::Extended);
        }
        if self.due(on).is_some_and(|due| on > due) {
            return Err(Refused::TooLate);
        }
        self.extended = Some(Extended { on, reason: reason.into() });
        Ok(())
    }

    pub fn close(&mut self, on: Date, outcome: &str) -> Result<(), Refused> {
        if self.closed.is_some() {
            return Err(Refused::Closed);
        }
        self.closed = Some(Closed { on, outcome: outcome.into() });
        Ok(())
    }

    fn may_wait(&self) -> Result<(), Refused> {
        match (&self.closed, self.kind) {
            (Some(_), _) => Err(Refused::Closed),
            (None, Kind::Breach) => Err(Refused::Breach),
            (None, _) => Ok(()),
        }
    }
}

fn days(from: Date, until: Date) -> i32 {
    (until - from).get_days().max(0)
}

/// This day, or the next that is neither a weekend nor a bank holiday of England and Wales.
fn working_day(mut day: Date) -> Date {
    while matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) || is_bank_holiday(day) {
        day = day.saturating_add(1.day());
    }
    day
}

/// Bank holidays of England and Wales by their rules (Banking and Financial Dealings Act 1971). What is proclaimed for one year only is
/// not known here: then a date comes out a day too early, never too late.
fn is_bank_holiday(day: Date) -> bool {
    use Weekday::{Monday, Saturday, Sunday};
    let (year, weekday) = (day.year(), day.weekday());
    let easter = easter(year);
    match (day.month(), day.day()) {
        // A holiday on a weekend moves to the next working day.
        (1, 1) => true,
        (1, 2 | 3) => weekday == Monday,
        (12, 25 | 26) => true,
        (12, 27) => weekday == Monday || day.saturating_sub(2.days()).weekday() == Sunday,
        (12, 28) => day.saturating_sub(3.days()).weekday() == Saturday || weekday == Monday,
        (5, d) if weekday == Monday => d <= 7 || d > 24,
        (8, d) if weekday == Monday => d > 24,
        _ => day == easter.saturating_sub(2.days()) || day == easter.saturating_add(1.day()),
    }
}

/// Easter Sunday of the Gregorian calendar (the anonymous algorithm, Meeus, Astronomical Algorithms, ch. 8).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    let part = |n: i32| i8::try_from(n).expect("a month or a day");
    Date::new(year, part(n / 31), part(n % 31 + 1)).expect("Easter is in March or April")
}

impl Keeping {
    /// Adds a request, or replaces the one of this number.
    pub fn put_request(&mut self, request: &mut Request) -> Result<(), StoreError> {
        let Keeping { db, ring, nonces, .. } = self;
        let key = Named::only(ring, RecordClass::Rights)?;
        db.transaction(|tx| {
            if request.id == 0 {
                request.id = next_number(tx, "request")?;
            }
            let sealed = key.seal_json(nonces, Table::Request, request.id, request)?;
            tx.execute(
                "INSERT INTO request (id, closed, sealed) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE
                 SET closed = excluded.closed, sealed = excluded.sealed",
                values![request.id, closed(request), &sealed],
            )?;
            Ok(())
        })
    }

    /// All requests that are still kept, oldest first.
    pub fn requests(&mut self) -> Result<Vec<Request>, StoreError> {
        let Keeping { db, ring, .. } = self;
        let key = Named::only(ring, RecordClass::Rights)?;
        let rows =
            db.statements().all("SELECT id, sealed FROM request ORDER BY id", &[], |row| Ok((row.integer(0)?, row.octets(1)?.to_vec())))?;
        rows.into_iter().map(|(id, sealed)| Ok(Request { id, ..key.open_json(Table::Request, id, &sealed)? })).collect()
    }
}

/// When a closed request's retention begins; 0 while it is open.
fn closed(request: &Request) -> i64 {
    let at = |c: &Closed| c.on.to_zoned(jiff::tz::TimeZone::UTC).map_or(i64::MAX, |z| z.timestamp().as_millisecond());
    request.closed.as_ref().map_or(0, at)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn request(received: Date) -> Request {
        Request { id: 0, kind: Kind::Access, person: "a@x.uk".into(), received, known: None, pauses: vec![], extended: None, closed: None }
    }

    #[test]
    fn a_month_is_a_calendar_month_that_ends_on_a_working_day() {
        for (received, due) in [
            (date(2026, 9, 3), date(2026, 10, 5)),    // 3 October is a Saturday
            (date(2026, 9, 30), date(2026, 10, 30)),  // the guidance's own kind of example
            (date(2026, 8, 31), date(2026, 9, 30)),   // September has 30 days
            (date(2027, 1, 31), date(2027, 3, 1)),    // 28 February 2027 is a Sunday
            (date(2028, 1, 31), date(2028, 2, 29)),   // leap year
            (date(2026, 11, 25), date(2026, 12, 29)), // Christmas, Boxing Day on a Saturday: Monday 28th instead
            (date(2027, 11, 27), date(2027, 12, 29)), // both on the weekend: 27th and 28th instead
            (date(2026, 12, 1), date(2027, 1, 4)),    // New Year's Day, then a weekend
            (date(2027, 2, 26), date(2027, 3, 30)),   // Good Friday to Easter Monday
            (date(2026, 4, 4), date(2026, 5, 5)),     // early May bank holiday
            (date(2027, 4, 30), date(2027, 6, 1)),    // 30 May is a Sunday, then the spring bank holiday
        ] {
            assert_eq!(request(received).due(received), Some(due), "{received}");
        }
    }

    #[test]
    fn easter_is_where_the_calendar_has_it() {
        for (year, month, day) in [(2024, 3, 31), (2025, 4, 20), (2026, 4, 5), (2027, 3, 28), (2038, 4, 25), (2285, 3, 22)] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn pauses_add_the_days_that_were_waited_and_two_months_come_once() {
        let mut r = request(date(2026, 9, 1));
        assert_eq!(r.resume(date(2026, 9, 2)), Err(Refused::Running));
        assert_eq!(r.pause(date(2026, 8, 31), "who?"), Err(Refused::TooEarly));
        r.pause(date(2026, 9, 10), "Which of two people of this name?").unwrap();
        assert_eq!(r.pause(date(2026, 9, 11), "again"), Err(Refused::Paused));
        // While it waits the due date moves with the days: 1 October and four days.
        assert_eq!(r.due(date(2026, 9, 14)), Some(date(2026, 10, 5)));
        r.resume(date(2026, 9, 16)).unwrap();
        assert_eq!(r.due(date(2026, 9, 30)), Some(date(2026, 10, 7)));
        assert_eq!(r.extend(date(2026, 10, 8), "complex"), Err(Refused::TooLate));
        r.extend(date(2026, 10, 7), "three years of mail").unwrap();
        assert_eq!(r.due(date(2026, 10, 7)), Some(date(2026, 12, 7)));
        assert_eq!(r.extend(date(2026, 10, 7), "more"), Err(Refused::Extended));
        r.close(date(2026, 10, 9), "sent").unwrap();
        assert_eq!(r.pause(date(2026, 10, 10), "x"), Err(Refused::Closed));
        assert_eq!(r.close(date(2026, 10, 10), "x"), Err(Refused::Closed));
    }

    #[test]
    fn a_breach_has_72_hours_and_no_pause() {
        let known: Timestamp = "2026-09-04T16:30:00Z".parse().unwrap();
        let mut r = Request { kind: Kind::Breach, known: Some(known), ..request(date(2026, 9, 4)) };
        // Over a weekend: hours are hours.
        assert_eq!((r.due(date(2026, 9, 4)), r.report_by()), (None, Some("2026-09-07T16:30:00Z".parse().unwrap())));
        assert_eq!(r.pause(date(2026, 9, 5), "x"), Err(Refused::Breach));
    }
}
