//! How long to wait before the next attempt.

use std::time::Duration;

/// Attempts of one call in all, as in the AWS SDKs' standard mode.
pub(crate) const ATTEMPTS_MAX: u32 = 3;
const FIRST_MS: u64 = 200;
const LONGEST_MS: u64 = 5_000;

/// Doubles with each failed attempt; `jitter` (any byte) takes up to half of it away, so that
/// clients that failed together do not come back together.
pub(crate) fn delay(failed_attempts: u32, jitter: u8) -> Duration {
    let full_ms = FIRST_MS
        .saturating_mul(1 << failed_attempts.saturating_sub(1).min(16))
        .min(LONGEST_MS);
    Duration::from_millis(full_ms - full_ms * u64::from(jitter) / 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_limit_and_jitter_takes_at_most_half() {
        assert_eq!(delay(1, 0), Duration::from_millis(200));
        assert_eq!(delay(2, 0), Duration::from_millis(400));
        assert_eq!(delay(40, 0), Duration::from_millis(5_000));
        assert!(delay(1, 255) >= Duration::from_millis(100));
    }
}
