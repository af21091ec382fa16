//! When pending changes and upgrades may be applied without being asked.

use chrono::{DateTime, Datelike, Timelike, Utc, Weekday};
use serde::{Deserialize, Serialize};

use crate::model::Invalid;

const ATTRIBUTE: &str = "maintenanceWindowStartTime";

/// The start of a weekly two-hour window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceWindow {
    /// `MONDAY` to `SUNDAY`.
    pub day_of_week: String,
    /// 24-hour `HH:MM`.
    pub time_of_day: String,
    /// `Country/City`, `UTC` or an offset such as `+02:00`; kept as the caller wrote it.
    pub time_zone: String,
}

const DAYS: [&str; 7] = [
    "MONDAY",
    "TUESDAY",
    "WEDNESDAY",
    "THURSDAY",
    "FRIDAY",
    "SATURDAY",
    "SUNDAY",
];

impl MaintenanceWindow {
    /// Reads a requested window. The day is accepted in any case, the zone defaults to UTC.
    pub fn parse(day: &str, time: &str, zone: Option<&str>) -> Result<Self, Invalid> {
        let Some(day) = DAYS.into_iter().find(|name| name.eq_ignore_ascii_case(day)) else {
            return Err(Invalid::new(
                ATTRIBUTE,
                format!(
                    "Day of week [{day}] is invalid. Valid values are: [{}].",
                    DAYS.join(", ")
                ),
            ));
        };
        if !is_time(time) {
            return Err(Invalid::new(
                ATTRIBUTE,
                format!("Time of day [{time}] is invalid. Specify it in 24-hour format, [HH:MM]."),
            ));
        }
        let zone = zone.unwrap_or("UTC");
        if !is_zone(zone) {
            return Err(Invalid::new(
                ATTRIBUTE,
                format!(
                    "Time zone [{zone}] is invalid. Specify it in the Country/City format or as a \
                     UTC offset."
                ),
            ));
        }
        Ok(Self {
            day_of_week: day.to_owned(),
            time_of_day: time.to_owned(),
            time_zone: zone.to_owned(),
        })
    }

    /// The window given to a broker that asked for none: the hour in which it was created, one
    /// day on, which spreads an installation's brokers over the week.
    pub fn after(created_at: DateTime<Utc>) -> Self {
        let day = match created_at.weekday().succ() {
            Weekday::Mon => DAYS[0],
            Weekday::Tue => DAYS[1],
            Weekday::Wed => DAYS[2],
            Weekday::Thu => DAYS[3],
            Weekday::Fri => DAYS[4],
            Weekday::Sat => DAYS[5],
            Weekday::Sun => DAYS[6],
        };
        Self {
            day_of_week: day.to_owned(),
            time_of_day: format!("{:02}:00", created_at.hour()),
            time_zone: "UTC".to_owned(),
        }
    }
}

fn is_time(text: &str) -> bool {
    text.split_once(':').is_some_and(|(hour, minute)| {
        two_digits(hour).is_some_and(|hour| hour < 24)
            && two_digits(minute).is_some_and(|minute| minute < 60)
    })
}

fn is_zone(text: &str) -> bool {
    if text == "UTC" || text == "GMT" {
        return true;
    }
    let offset = text.strip_prefix("UTC").unwrap_or(text);
    if let Some(offset) = offset.strip_prefix(['+', '-']) {
        return is_time(offset);
    }
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_+-".contains(&b))
    };
    text.len() <= 64 && text.split('/').count() >= 2 && text.split('/').all(part)
}

fn two_digits(text: &str) -> Option<u8> {
    (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_kept_and_the_day_is_upper_case() {
        let window = MaintenanceWindow::parse("monday", "22:45", Some("Europe/Berlin")).unwrap();
        assert_eq!(window.day_of_week, "MONDAY");
        assert_eq!(window.time_zone, "Europe/Berlin");
        assert_eq!(
            MaintenanceWindow::parse("SUNDAY", "00:00", None)
                .unwrap()
                .time_zone,
            "UTC"
        );
        for zone in [
            "+02:00",
            "UTC-05:30",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
        ] {
            assert!(
                MaintenanceWindow::parse("FRIDAY", "01:00", Some(zone)).is_ok(),
                "{zone}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (day, time, zone) in [
            ("SOMEDAY", "10:00", "UTC"),
            ("MONDAY", "24:00", "UTC"),
            ("MONDAY", "9:00", "UTC"),
            ("MONDAY", "10:60", "UTC"),
            ("MONDAY", "10", "UTC"),
            ("MONDAY", "10:00", "here"),
            ("MONDAY", "10:00", "+25:00"),
            ("MONDAY", "10:00", "Europe/"),
        ] {
            let refused = MaintenanceWindow::parse(day, time, Some(zone)).unwrap_err();
            assert_eq!(refused.attribute, ATTRIBUTE);
        }
    }

    #[test]
    fn the_default_is_a_valid_window() {
        let sunday = DateTime::from_timestamp(1_700_000_000 - 2 * 86_400, 0).unwrap();
        assert_eq!(sunday.weekday(), Weekday::Sun);
        let window = MaintenanceWindow::after(sunday);
        assert_eq!(
            (window.day_of_week.as_str(), window.time_of_day.as_str()),
            ("MONDAY", "22:00")
        );
    }
}
