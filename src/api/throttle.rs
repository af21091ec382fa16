//! Counts each account's requests, in this process: of several behind one address, each counts the
//! requests that it gets.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::model::{
    AccountId,
    throttle::{Bucket, Rate},
};

/// Accounts above which those that have rested are forgotten.
const ACCOUNTS_MAX: usize = 10_000;

/// `None` in `rate`: nobody is counted.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Option<Rate>,
    buckets: Mutex<HashMap<AccountId, Bucket>>,
}

impl Throttle {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Whether the account may send this request now.
    pub(super) fn admits(&self, account_id: &AccountId, now: DateTime<Utc>) -> bool {
        let Some(rate) = self.rate else {
            return true;
        };
        let mut buckets = self.buckets.lock();
        if buckets.len() >= ACCOUNTS_MAX && !buckets.contains_key(account_id) {
            buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        }
        buckets
            .entry(account_id.clone())
            .or_insert_with(|| Bucket::full(rate, now))
            .take(rate, now)
    }
}
