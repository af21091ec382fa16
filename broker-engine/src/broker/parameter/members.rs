//! The members of a parameter's value, each checked once, and the refusals collected as RabbitMQ words them.

use serde_json::{Map, Value};

use crate::broker::{
    erlang::{Proplist, Term},
    error::Error,
};

/// The members that were not looked at yet.
pub(crate) struct Members<'a> {
    name: &'a str,
    left: Map<String, Value>,
    errors: Vec<String>,
}

impl<'a> Members<'a> {
    pub(crate) fn new(name: &'a str, members: &Map<String, Value>) -> Self {
        Self {
            name,
            left: members.clone(),
            errors: Vec::new(),
        }
    }

    /// A member that must be there. None when it is not, or not valid.
    pub(crate) fn mandatory<T>(
        &mut self,
        key: &str,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.left.contains_key(key) {
            let text = format!("Key \"{key}\" not found in {}", self.name);
            self.errors.push(text);
        }
        self.optional(key, check)
    }

    /// A member that may be there.
    pub(crate) fn optional<T>(
        &mut self,
        key: &str,
        check: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.left.remove(key)?;
        match check(&value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Whole numbers, of any sign.
    pub(crate) fn integer(&mut self, key: &str) -> Option<i64> {
        self.optional(key, |value| {
            value
                .as_i64()
                .ok_or_else(|| format!("{key} should be a number, actually was {}", Term(value)))
        })
    }

    /// What was wrong, the latest first; members that nobody asked for are wrong as well.
    pub(crate) fn finish(mut self) -> Result<(), Vec<String>> {
        if !self.left.is_empty() {
            let unknown = Proplist(&self.left);
            let text = format!("Unrecognised terms {unknown} in {}", self.name);
            self.errors.push(text);
        }
        self.errors.reverse();
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }
}

/// The value has no members at all.
pub(crate) fn not_a_list(name: &str, value: &Value) -> String {
    format!("{name} not a list {}", Term(value))
}

/// The refusal of a parameter.
pub(crate) fn refusal(errors: Vec<String>) -> Error {
    let mut text = "Validation failed\n\n".to_owned();
    for error in errors {
        text.push_str(&error);
        text.push('\n');
    }
    Error::PreconditionFailed(text)
}
