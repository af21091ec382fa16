//! What a request's members violate of a service's model, told all at once and in the words of
//! AWS's query services.

use std::{fmt, ops::RangeInclusive};

/// Violations found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraints(Vec<String>);

/// At least one violation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violated(Vec<String>);

impl Constraints {
    /// A required member, whose absence is a violation.
    pub fn need<'a>(&mut self, at: &str, value: Option<&'a str>) -> Option<&'a str> {
        if value.is_none() {
            self.violate(format!("Value null at '{at}'"), "not be null");
        }
        value
    }

    /// The length of a text, in characters.
    pub fn length(&mut self, at: &str, value: &str, valid: RangeInclusive<usize>) {
        let value_at = format!("Value '{value}' at '{at}'");
        self.bounds(value_at, value.chars().count(), valid, "have length");
    }

    /// How many members a list has.
    pub fn count(&mut self, at: &str, count: usize, max: usize) {
        self.bounds(format!("Value at '{at}'"), count, 0..=max, "have length");
    }

    pub fn range(&mut self, at: &str, value: usize, valid: RangeInclusive<usize>) {
        let value_at = format!("Value '{value}' at '{at}'");
        self.bounds(value_at, value, valid, "have value");
    }

    /// The characters of a text; `pattern` is how the service's model writes what `fits` tests.
    pub fn characters(&mut self, at: &str, value: &str, pattern: &str, fits: fn(char) -> bool) {
        if !value.chars().all(fits) {
            self.violate(
                format!("Value '{value}' at '{at}'"),
                &format!("satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    pub fn integer(&mut self, at: &str, value: &str) -> Option<usize> {
        let number = value.parse().ok();
        if number.is_none() {
            self.violate(format!("Value '{value}' at '{at}'"), "be an integer");
        }
        number
    }

    pub fn check(self) -> Result<(), Violated> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Violated(self.0))
    }

    fn bounds(&mut self, at: String, size: usize, valid: RangeInclusive<usize>, verb: &str) {
        if size < *valid.start() {
            let min = valid.start();
            self.violate(at, &format!("{verb} greater than or equal to {min}"));
        } else if size > *valid.end() {
            let max = valid.end();
            self.violate(at, &format!("{verb} less than or equal to {max}"));
        }
    }

    fn violate(&mut self, value_at: String, constraint: &str) {
        self.0.push(format!(
            "{value_at} failed to satisfy constraint: Member must {constraint}"
        ));
    }
}

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let plural = if count == 1 { "" } else { "s" };
        let all = self.0.join("; ");
        write!(f, "{count} validation error{plural} detected: {all}")
    }
}

impl std::error::Error for Violated {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_are_told_together_as_aws_tells_them() {
        let mut constraints = Constraints::default();
        constraints.length("roleSessionName", "a", 2..=64);
        assert_eq!(
            constraints.clone().check().unwrap_err().to_string(),
            "1 validation error detected: Value 'a' at 'roleSessionName' failed to satisfy \
             constraint: Member must have length greater than or equal to 2"
        );
        constraints.need("roleArn", None);
        constraints.range("durationSeconds", 60, 900..=43_200);
        assert_eq!(
            constraints.check().unwrap_err().to_string(),
            "3 validation errors detected: Value 'a' at 'roleSessionName' failed to satisfy \
             constraint: Member must have length greater than or equal to 2; Value null at \
             'roleArn' failed to satisfy constraint: Member must not be null; Value '60' at \
             'durationSeconds' failed to satisfy constraint: Member must have value greater than \
             or equal to 900"
        );
    }

    #[test]
    fn what_fits_violates_nothing() {
        let mut constraints = Constraints::default();
        constraints.length("a", "å", 1..=1);
        constraints.count("b", 50, 50);
        constraints.characters("c", "xyz", "[a-z]*", |c| c.is_ascii_lowercase());
        assert_eq!(constraints.integer("d", "7"), Some(7));
        assert_eq!(constraints.check(), Ok(()));
    }
}
