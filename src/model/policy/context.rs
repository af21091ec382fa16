//! What a request says of itself, its sender and its resource: the condition keys.

use std::collections::BTreeMap;

/// Condition keys and their values. Keys are compared without case, as IAM does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// With one more value of a key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.add(key, value);
        self
    }

    pub fn add(&mut self, key: &str, value: impl Into<String>) {
        self.0
            .entry(key.to_ascii_lowercase())
            .or_default()
            .push(value.into());
    }

    /// With this value of a key alone, whatever it had before.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_ascii_lowercase(), vec![value.into()]);
    }

    /// With what `others` say of keys that these do not name.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (key, values) in others.0 {
            self.0.entry(key).or_insert(values);
        }
        self
    }

    /// The values of a key; `None` when the request lacks it.
    pub(super) fn values(&self, key: &str) -> Option<&[String]> {
        self.0.get(&key.to_ascii_lowercase()).map(Vec::as_slice)
    }

    /// The value of a key that has just one.
    pub(super) fn single(&self, key: &str) -> Option<&str> {
        match self.values(key)? {
            [value] => Some(value),
            _ => None,
        }
    }
}
