//! How many requests an account may send: a token bucket.

use chrono::{DateTime, Utc};

/// So many requests a second in the long run, and so many at once after a rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

impl Rate {
    /// Amazon MQ's, over all operations of an account.
    pub const AMAZON_MQ: Self = Self {
        per_second: 15,
        burst: 100,
    };
}

/// What an account has left of its rate.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    tokens: f64,
    filled_at: DateTime<Utc>,
}

impl Bucket {
    pub fn full(rate: Rate, now: DateTime<Utc>) -> Self {
        Self {
            tokens: rate.burst.into(),
            filled_at: now,
        }
    }

    /// Takes one request's token; false when there is none. A clock that steps back fills nothing.
    pub fn take(&mut self, rate: Rate, now: DateTime<Utc>) -> bool {
        let elapsed_ms = (now - self.filled_at).num_milliseconds().max(0);
        let gained = elapsed_ms as f64 / 1000.0 * f64::from(rate.per_second);
        self.tokens = (self.tokens + gained).min(rate.burst.into());
        self.filled_at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Whether forgetting it changes nothing.
    pub fn is_full(&self, rate: Rate, now: DateTime<Utc>) -> bool {
        let mut later = *self;
        later.take(rate, now) && later.tokens >= f64::from(rate.burst) - 1.0
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let rate = Rate::AMAZON_MQ;
        let start = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let mut bucket = Bucket::full(rate, start);
        let taken = |bucket: &mut Bucket, now, asked: u32| {
            (0..asked).filter(|_| bucket.take(rate, now)).count()
        };
        assert_eq!(taken(&mut bucket, start, 150), 100);
        assert_eq!(taken(&mut bucket, start + TimeDelta::seconds(1), 150), 15);
        assert_eq!(
            taken(&mut bucket, start + TimeDelta::milliseconds(1100), 150),
            1
        );
        // A step back gives nothing, and the time is not given twice.
        assert_eq!(taken(&mut bucket, start, 150), 0);
        assert_eq!(taken(&mut bucket, start + TimeDelta::hours(1), 150), 100);
    }
}
