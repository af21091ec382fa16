//! When a broker's windows are: once a week at a wall clock's time, whatever that clock does.
//!
//! A time that daylight saving skips begins as much later as the clock jumps; one that comes twice
//! begins the first time. A window is over two hours after it began, not by the wall clock.

use chrono::{DateTime, TimeDelta, Utc};
use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};

use crate::model::{Invalid, broker::MaintenanceWindow};

/// How long a window is open.
pub const WINDOW: TimeDelta = TimeDelta::hours(2);
/// How often an owner may move the window before the next one.
pub const ADJUSTMENTS_MAX: i32 = 4;

/// A weekly moment in its zone.
#[derive(Debug, Clone)]
pub struct Weekly {
    day: civil::Weekday,
    time: civil::Time,
    zone: TimeZone,
}

/// What is kept of a broker's windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The start of the window that is open or comes next.
    pub next_start: DateTime<Utc>,
    /// How often the owner moved it since the one before.
    pub adjustments: i32,
}

/// How a window stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    NotYet,
    Open,
    Over,
}

impl Weekly {
    /// The moment that a window names; `None` when its zone is unknown.
    pub fn of(window: &MaintenanceWindow) -> Option<Self> {
        let (hour, minute) = window.time_of_day.split_once(':')?;
        Some(Self {
            day: day(&window.day_of_week)?,
            time: civil::Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()?,
            zone: zone(&window.time_zone)?,
        })
    }

    /// The first start after `after`.
    pub fn next_start(&self, after: DateTime<Utc>) -> DateTime<Utc> {
        let zoned = timestamp(after).to_zoned(self.zone.clone());
        // The day before, because an earlier start may be shifted into the day of `after`.
        let mut date = zoned.date().saturating_sub(8.days());
        date = date.saturating_add(i64::from(self.day.since(date.weekday())).days());
        loop {
            let start = self.start_on(date);
            if start > after {
                return start;
            }
            date = date.saturating_add(1.week());
        }
    }

    fn start_on(&self, date: civil::Date) -> DateTime<Utc> {
        let start = self.zone.to_ambiguous_zoned(date.to_datetime(self.time));
        // Out of range only at the ends of the calendar, nine thousand years from now.
        let start = start.compatible().map(|zoned| zoned.timestamp());
        let start = start.unwrap_or(Timestamp::MAX);
        DateTime::from_timestamp(start.as_second(), 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl Schedule {
    /// The schedule of a broker that never had one.
    pub fn first(window: &MaintenanceWindow, now: DateTime<Utc>) -> Self {
        Self {
            next_start: start_after(window, now),
            adjustments: 0,
        }
    }

    /// The window after the one that was used, or is over.
    #[must_use]
    pub fn next(self, window: &MaintenanceWindow, now: DateTime<Utc>) -> Self {
        Self {
            next_start: start_after(window, self.next_start.max(now - WINDOW)),
            adjustments: 0,
        }
    }

    /// The schedule after its owner moved the window.
    pub fn moved(self, window: &MaintenanceWindow, now: DateTime<Utc>) -> Result<Self, Invalid> {
        if self.adjustments >= ADJUSTMENTS_MAX {
            return Err(Invalid::new(
                "maintenanceWindowStartTime",
                format!(
                    "You can adjust the maintenance window up to {ADJUSTMENTS_MAX} times before \
                     the next window, which is at {}.",
                    self.next_start.to_rfc3339()
                ),
            ));
        }
        Ok(Self {
            next_start: start_after(window, now),
            adjustments: self.adjustments + 1,
        })
    }

    pub fn opening(self, now: DateTime<Utc>) -> Opening {
        if now < self.next_start {
            Opening::NotYet
        } else if now < self.next_start + WINDOW {
            Opening::Open
        } else {
            Opening::Over
        }
    }
}

/// A zone that this release no longer knows counts as UTC: better a window at another hour than
/// none.
fn start_after(window: &MaintenanceWindow, after: DateTime<Utc>) -> DateTime<Utc> {
    let utc = MaintenanceWindow {
        time_zone: "UTC".to_owned(),
        ..window.clone()
    };
    match Weekly::of(window).or_else(|| Weekly::of(&utc)) {
        Some(weekly) => weekly.next_start(after),
        None => after + TimeDelta::weeks(1),
    }
}

fn day(name: &str) -> Option<civil::Weekday> {
    Some(match name {
        "MONDAY" => civil::Weekday::Monday,
        "TUESDAY" => civil::Weekday::Tuesday,
        "WEDNESDAY" => civil::Weekday::Wednesday,
        "THURSDAY" => civil::Weekday::Thursday,
        "FRIDAY" => civil::Weekday::Friday,
        "SATURDAY" => civil::Weekday::Saturday,
        "SUNDAY" => civil::Weekday::Sunday,
        _ => return None,
    })
}

/// `Country/City`, `UTC`, `GMT`, or an offset from it such as `+02:00` or `UTC-05:30`.
fn zone(name: &str) -> Option<TimeZone> {
    let offset = name.strip_prefix("UTC").unwrap_or(name);
    if let Some(sign @ ('+' | '-')) = offset.chars().next() {
        let (hours, minutes) = offset[1..].split_once(':')?;
        let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
        let seconds = if sign == '-' { -seconds } else { seconds };
        return Some(TimeZone::fixed(
            jiff::tz::Offset::from_seconds(seconds).ok()?,
        ));
    }
    TimeZone::get(name).ok()
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_second(at.timestamp()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(day: &str, time: &str, zone: &str) -> MaintenanceWindow {
        MaintenanceWindow::parse(day, time, Some(zone)).unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn starts(window: &MaintenanceWindow, after: &str, count: usize) -> Vec<String> {
        let weekly = Weekly::of(window).unwrap();
        let mut after = at(after);
        let next = || {
            after = weekly.next_start(after);
            after.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn a_time_that_daylight_saving_skips_begins_later_and_no_week_is_left_out() {
        let berlin = window("SUNDAY", "02:30", "Europe/Berlin");
        assert_eq!(
            starts(&berlin, "2026-03-16T00:00:00Z", 3),
            [
                "2026-03-22T01:30:00Z",
                "2026-03-29T01:30:00Z",
                "2026-04-05T00:30:00Z"
            ]
        );
    }

    #[test]
    fn a_time_that_comes_twice_begins_once() {
        let berlin = window("SUNDAY", "02:30", "Europe/Berlin");
        assert_eq!(
            starts(&berlin, "2026-10-19T00:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-11-01T01:30:00Z"]
        );
    }

    #[test]
    fn zones_may_be_offsets() {
        for (zone, expected) in [
            ("UTC", "2026-11-23T22:45:00Z"),
            ("+02:00", "2026-11-23T20:45:00Z"),
            ("UTC-05:30", "2026-11-24T04:15:00Z"),
            ("America/Los_Angeles", "2026-11-24T06:45:00Z"),
            ("Pacific/Kiritimati", "2026-11-23T08:45:00Z"),
        ] {
            let window = window("MONDAY", "22:45", zone);
            assert_eq!(
                starts(&window, "2026-11-21T00:00:00Z", 1),
                [expected],
                "{zone}"
            );
        }
        assert!(zone("Mars/Olympus").is_none());
    }

    /// Ten years of every start, in zones with odd rules: each a week after the one before as the
    /// wall clock shows it, none lost, none twice.
    #[test]
    fn ten_years_have_a_start_each_week_at_the_wall_clocks_time() {
        let zones = [
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/Santiago",
            "Australia/Lord_Howe",
            "Africa/Casablanca",
            "Asia/Kathmandu",
            "Asia/Gaza",
            "Pacific/Apia",
            "-03:30",
        ];
        for name in zones {
            for (day, time) in [
                ("SUNDAY", "00:00"),
                ("SUNDAY", "02:30"),
                ("SATURDAY", "23:59"),
            ] {
                let window = window(day, time, name);
                let weekly = Weekly::of(&window).unwrap();
                let mut start = weekly.next_start(at("2026-01-01T00:00:00Z"));
                let mut weeks = 0;
                while start < at("2036-01-01T00:00:00Z") {
                    let next = weekly.next_start(start);
                    let hours = (next - start).num_minutes() as f64 / 60.0;
                    assert!((166.0..=170.0).contains(&hours), "{name} {start} {next}");
                    let local = timestamp(next).to_zoned(weekly.zone.clone());
                    let late = local.time().duration_since(weekly.time).as_secs();
                    assert!(
                        (0..=7200).contains(&late) || local.date().weekday() != weekly.day,
                        "{name} {local}"
                    );
                    // Asked anywhere between, the answer is the same.
                    assert_eq!(weekly.next_start(start + TimeDelta::days(3)), next);
                    assert_eq!(weekly.next_start(next - TimeDelta::seconds(1)), next);
                    start = next;
                    weeks += 1;
                }
                assert!((521..=523).contains(&weeks), "{name} {weeks}");
            }
        }
    }

    #[test]
    fn a_window_opens_for_two_hours_and_is_never_used_twice() {
        let window = window("MONDAY", "03:00", "UTC");
        let schedule = Schedule::first(&window, at("2026-11-21T00:00:00Z"));
        assert_eq!(schedule.next_start, at("2026-11-23T03:00:00Z"));
        for (now, opening) in [
            ("2026-11-23T02:59:59Z", Opening::NotYet),
            ("2026-11-23T03:00:00Z", Opening::Open),
            ("2026-11-23T04:59:59Z", Opening::Open),
            ("2026-11-23T05:00:00Z", Opening::Over),
            ("2027-01-01T00:00:00Z", Opening::Over),
        ] {
            assert_eq!(schedule.opening(at(now)), opening, "{now}");
        }
        // Used: even a clock that then steps back a day finds the next week's.
        let used = schedule.next(&window, at("2026-11-23T03:00:05Z"));
        assert_eq!(used.next_start, at("2026-11-30T03:00:00Z"));
        assert_eq!(used.opening(at("2026-11-22T03:00:05Z")), Opening::NotYet);
        // Missed for weeks: a window that is open now is not skipped.
        let late = schedule.next(&window, at("2026-12-14T04:00:00Z"));
        assert_eq!(late.next_start, at("2026-12-14T03:00:00Z"));
    }

    #[test]
    fn a_window_moves_four_times_and_then_waits() {
        let (monday, friday) = (
            window("MONDAY", "03:00", "UTC"),
            window("FRIDAY", "03:00", "UTC"),
        );
        let now = at("2026-11-21T00:00:00Z");
        let mut schedule = Schedule::first(&monday, now);
        for _ in 0..ADJUSTMENTS_MAX {
            schedule = schedule.moved(&friday, now).unwrap();
        }
        let refused = schedule.moved(&monday, now).unwrap_err();
        assert_eq!(refused.attribute, "maintenanceWindowStartTime");
        let after = schedule.next(&friday, schedule.next_start);
        assert!(after.moved(&monday, now).is_ok());
    }
}
