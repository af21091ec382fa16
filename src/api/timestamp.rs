//! Times as clients read them: ISO 8601 with milliseconds and `Z`.

use chrono::{DateTime, SecondsFormat, Utc};

pub(super) fn format(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_always_there() {
        let time = DateTime::from_timestamp(1_608_655_133, 703_999_999).unwrap();
        assert_eq!(format(time), "2020-12-22T16:38:53.703Z");
        assert_eq!(format(DateTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }
}
