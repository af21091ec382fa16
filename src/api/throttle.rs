//! Counts each account's requests, in this process: of several behind one address, each counts the
//! requests that it gets.
//!
//! Also says which of the refused ones are worth telling in the audit log: what sheds load must not
//! become a write for each request of a flood.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::model::{
    AccountId,
    throttle::{Bucket, Rate},
};

/// Accounts above which those that have rested are forgotten.
const ACCOUNTS_MAX: usize = 10_000;

/// How long after a refusal that is told those after it are not.
const UNTOLD: TimeDelta = TimeDelta::minutes(1);

/// `None` in `rate`: nobody is counted.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Option<Rate>,
    buckets: Mutex<HashMap<AccountId, Counted>>,
}

#[derive(Debug)]
struct Counted {
    bucket: Bucket,
    told_at: Option<DateTime<Utc>>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Admitted,
    Refused {
        /// Whether it is the account's first in a while.
        is_told: bool,
    },
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Whether the account may send this request now.
    pub(super) fn admit(&self, account_id: &AccountId, now: DateTime<Utc>) -> Admission {
        let Some(rate) = self.rate else {
            return Admission::Admitted;
        };
        let mut buckets = self.buckets.lock();
        if buckets.len() >= ACCOUNTS_MAX && !buckets.contains_key(account_id) {
            buckets.retain(|_, counted| !counted.bucket.is_full(rate, now));
        }
        let counted = buckets
            .entry(account_id.clone())
            .or_insert_with(|| Counted {
                bucket: Bucket::full(rate, now),
                told_at: None,
            });
        if counted.bucket.take(rate, now) {
            return Admission::Admitted;
        }
        let is_told = counted.told_at.is_none_or(|at| now - at >= UNTOLD);
        if is_told {
            counted.told_at = Some(now);
        }
        Admission::Refused { is_told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_one_refusal_a_minute_is_told() {
        let rate = Rate {
            per_second: 1,
            burst: 1,
        };
        let throttle = Throttle::new(Some(rate));
        let account = AccountId::parse("123456789012").unwrap();
        let other = AccountId::parse("210987654321").unwrap();
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let refused = |is_told| Admission::Refused { is_told };
        let ask = |account, ms| throttle.admit(account, start + TimeDelta::milliseconds(ms));
        assert_eq!(ask(&account, 0), Admission::Admitted);
        assert_eq!(ask(&account, 1), refused(true));
        assert_eq!(ask(&account, 2), refused(false));
        assert_eq!(ask(&other, 2), Admission::Admitted);
        assert_eq!(ask(&other, 3), refused(true));
        assert_eq!(ask(&account, 60_000), Admission::Admitted);
        assert_eq!(ask(&account, 60_000), refused(false));
        assert_eq!(ask(&account, 60_001), refused(true));
        let unlimited = Throttle::new(None);
        assert_eq!(unlimited.admit(&account, start), Admission::Admitted);
    }
}
