//! Regular expressions on names, in the syntax of RabbitMQ's (PCRE): look-around and back-references included, because
//! operators exclude names by `^(?!amq\.)`.
//!
//! What can be matched in linear time is; the rest gives up, and does not match, after a bounded number of steps.

use fancy_regex::{Regex, RegexBuilder};

/// Steps of one match before it counts as none.
const BACKTRACKS_MAX: usize = 100_000;

/// A regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles a pattern. The error tells what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text)
            .backtrack_limit(BACKTRACKS_MAX)
            .build()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    /// Whether it matches anywhere in a name.
    pub(crate) fn is_match(&self, name: &str) -> bool {
        self.0.is_match(name).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn look_around_excludes_names_and_nonsense_is_refused() {
        let pattern = Pattern::new(r"^(?!amq\.).*").unwrap();
        assert!(pattern.is_match("orders") && !pattern.is_match("amq.gen-1"));
        assert!(Pattern::new("(").is_err());
    }

    #[test]
    fn a_pattern_that_would_take_forever_matches_nothing() {
        let pattern = Pattern::new(r"^(?=(a+)+$)(a|aa)+\1b$").unwrap();
        assert!(!pattern.is_match(&"a".repeat(64)));
    }
}
