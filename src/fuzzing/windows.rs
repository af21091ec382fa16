//! Maintenance windows: when they begin, in any zone, at any time.

use chrono::{DateTime, TimeDelta};

use crate::model::{broker::MaintenanceWindow, maintenance::Weekly};

/// Seconds since 1970 in four bytes, and a day, a time and a zone in lines.
pub fn windows(bytes: &[u8]) {
    let Some((seconds, text)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let (Some(day), Some(time)) = (lines.next(), lines.next()) else {
        return;
    };
    let Ok(window) = MaintenanceWindow::parse(day, time, lines.next()) else {
        return;
    };
    let Some(weekly) = Weekly::of(&window) else {
        return;
    };
    let seconds = i64::from(u32::from_le_bytes(*seconds));
    let now = DateTime::from_timestamp(seconds, 0).expect("within the calendar");
    // Zones have skipped whole days, and repeated some.
    let most = TimeDelta::days(9);
    let mut last = now;
    for _ in 0..3 {
        let next = weekly.next_start(last);
        assert!(next > last, "{window:?}: {next} after {last}");
        assert!(next - last <= most, "{window:?}: {next} long after {last}");
        // No start is passed by, however often one looks.
        let middle = last + (next - last) / 2;
        assert_eq!(weekly.next_start(middle), next, "{window:?} at {middle}");
        last = next;
    }
}
