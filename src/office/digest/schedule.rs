//! When a digest is due, by the council's clock. Pure: the time comes in.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::config::settings::Digest;

/// Two digests are at least so far apart: who moves its hour on the day itself does not get it twice.
const APART: SignedDuration = SignedDuration::from_hours(20);
/// A digest that was not delivered so long after it was due is missed.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

/// One moment in each week. Where the clock skips it, it is the moment after the gap; where the clock shows it twice, the first.
#[derive(Clone, Debug)]
pub struct Schedule {
    day: Weekday,
    at: Time,
    zone: TimeZone,
}

impl Schedule {
    pub fn new(digest: &Digest, zone: &TimeZone) -> Schedule {
        Schedule { day: digest.day, at: digest.at, zone: zone.clone() }
    }

    /// The first moment after the digest that tells up to `told`.
    pub fn after(&self, told: Timestamp) -> Timestamp {
        let from = told.saturating_add(APART).unwrap_or(told);
        self.moments(from, -1..=15).find(|moment| *moment >= from).unwrap_or(Timestamp::MAX)
    }

    /// The moment that has come last, or comes now.
    pub fn last(&self, now: Timestamp) -> Timestamp {
        self.moments(now, -8..=1).filter(|moment| *moment <= now).last().unwrap_or(Timestamp::MIN)
    }

    /// Up to when a digest is due that follows the one which tells up to `told`; none while none is. One for all weeks that were missed.
    pub fn due(&self, told: Timestamp, now: Timestamp) -> Option<Timestamp> {
        (self.after(told) <= now).then(|| self.last(now))
    }

    /// Whether the digest that follows the one which tells up to `arrived` should have been delivered by now.
    pub fn is_overdue(&self, arrived: Timestamp, now: Timestamp) -> bool {
        now.duration_since(self.after(arrived)) > PATIENCE
    }

    /// The week of the digest that tells of this day.
    pub fn week_of(&self, day: Date) -> (Timestamp, Timestamp) {
        let begins = self.moment(day).unwrap_or(Timestamp::MIN);
        let since = self.last(begins);
        let until = self.moments(since, 1..=8).find(|moment| *moment > since).unwrap_or(Timestamp::MAX);
        (since, until)
    }

    /// The moments of the days around a time, in order.
    fn moments(&self, around: Timestamp, days: std::ops::RangeInclusive<i32>) -> impl Iterator<Item = Timestamp> {
        let today = around.to_zoned(self.zone.clone()).date();
        let days: Vec<Date> = days.map(|n| today.saturating_add(n.days())).filter(|day| day.weekday() == self.day).collect();
        days.into_iter().filter_map(|day| self.moment(day))
    }

    fn moment(&self, day: Date) -> Option<Timestamp> {
        Some(day.to_datetime(self.at).to_zoned(self.zone.clone()).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};

    use super::*;

    fn london() -> TimeZone {
        TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0").unwrap()
    }

    fn schedule(day: Weekday, hour: i8, minute: i8) -> Schedule {
        Schedule::new(&Digest { day, at: time(hour, minute, 0, 0), to: vec!["clerk@wragby.gov.uk".into()] }, &london())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn each_monday_at_eight_by_the_councils_clock() {
        let monday = schedule(Weekday::Monday, 8, 0);
        // The clocks go back on Sunday 25 October 2026 and forward on Sunday 28 March 2027.
        for (told, next) in [
            ("2026-10-12T07:00:00Z", "2026-10-19T07:00:00Z"),
            ("2026-10-19T07:00:00Z", "2026-10-26T08:00:00Z"),
            ("2027-03-22T08:00:00Z", "2027-03-29T07:00:00Z"),
            ("2026-11-17T12:34:56Z", "2026-11-23T08:00:00Z"),
        ] {
            assert_eq!(monday.after(at(told)), at(next), "{told}");
            assert_eq!(monday.due(at(told), at(next) - 1.second()), None, "{told}");
            assert_eq!(monday.due(at(told), at(next)), Some(at(next)), "{told}");
        }
    }

    #[test]
    fn an_hour_that_is_skipped_or_comes_twice_is_one_moment() {
        let sunday = schedule(Weekday::Sunday, 1, 30);
        // 01:30 does not exist on 28 March 2027; on 25 October 2026 it comes at 00:30 and at 01:30 UTC.
        assert_eq!(sunday.after(at("2027-03-21T01:30:00Z")), at("2027-03-28T01:30:00Z"));
        assert_eq!(sunday.after(at("2026-10-18T00:30:00Z")), at("2026-10-25T00:30:00Z"));
        assert_eq!(sunday.due(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z")), None, "the second time");
    }

    #[test]
    fn weeks_that_were_missed_are_one_digest() {
        let monday = schedule(Weekday::Monday, 8, 0);
        assert_eq!(monday.due(at("2026-11-02T08:00:00Z"), at("2026-11-25T10:00:00Z")), Some(at("2026-11-23T08:00:00Z")));
        assert_eq!(monday.due(at("2026-11-23T08:00:00Z"), at("2026-11-25T10:00:00Z")), None);
    }

    #[test]
    fn who_moves_its_hour_or_installs_it_on_the_day_gets_no_digest_of_an_hour() {
        let nine = schedule(Weekday::Monday, 9, 0);
        assert_eq!(nine.after(at("2026-11-23T08:00:00Z")), at("2026-11-30T09:00:00Z"));
        let tuesday = schedule(Weekday::Tuesday, 8, 0);
        assert_eq!(tuesday.after(at("2026-11-23T08:00:00Z")), at("2026-11-24T08:00:00Z"), "one of a day says that it is");
    }

    #[test]
    fn silence_is_noticed_a_day_after_the_moment() {
        let monday = schedule(Weekday::Monday, 8, 0);
        let arrived = at("2026-11-16T08:00:00Z");
        assert!(!monday.is_overdue(arrived, at("2026-11-24T08:00:00Z")));
        assert!(monday.is_overdue(arrived, at("2026-11-24T08:00:01Z")));
    }

    #[test]
    fn a_day_belongs_to_one_week() {
        let monday = schedule(Weekday::Monday, 8, 0);
        let week = (at("2026-11-16T08:00:00Z"), at("2026-11-23T08:00:00Z"));
        for day in [date(2026, 11, 16), date(2026, 11, 18), date(2026, 11, 22)] {
            assert_eq!(monday.week_of(day), week, "{day}");
        }
        assert_eq!(monday.week_of(date(2026, 10, 21)), (at("2026-10-19T07:00:00Z"), at("2026-10-26T08:00:00Z")));
    }
}
