//! What differs from run to run, and what it is called in the observations.
//!
//! Names that a broker makes up are numbered as they first appear; a script may use the numbered names, which stand for
//! the real ones. Times close to now are told as `now`. The fields of a death are told in the order of their names:
//! RabbitMQ 3.10 sorts some deaths and not others, and 3.13 none.

use std::sync::LazyLock;

use regex::{Captures, Regex};

static MADE_UP: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(amq\.gen-|amq\.ctag-|amq\.rabbitmq\.reply-to\.)[A-Za-z0-9+/=._-]+";
    Regex::new(pattern).expect("it is a pattern")
});

static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"time: T\((\d+)\)").expect("it is a pattern"));

/// A table in `x-death`, whose only array is that of routing keys.
static DEATH: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\{(count: l\(\d+\), [^{}]*)\}";
    Regex::new(pattern).expect("it is a pattern")
});

static FIELD: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"[a-z-]+: (?:\[[^\]]*\]|"[^"]*"|[^,]*)"#;
    Regex::new(pattern).expect("it is a pattern")
});

/// Of `connection.start`: what tells the versions.
static SELF: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"\b(cluster_name|copyright|information|platform|version): "[^"]*""#;
    Regex::new(pattern).expect("it is a pattern")
});

/// How far a clock may be off, in seconds.
const TIME_OFF_MAX: u64 = 3600;

/// The names of one scenario.
pub(crate) struct Names {
    prefix: String,
    /// Real name and the one in the log.
    made_up: Vec<(String, String)>,
}

impl Names {
    pub(crate) fn new(prefix: String) -> Self {
        Self {
            prefix,
            made_up: Vec::new(),
        }
    }

    /// A line of a script with the names as they are.
    pub(crate) fn real(&self, line: &str) -> String {
        let mut line = line.replace('~', &self.prefix);
        for (real, plain) in &self.made_up {
            line = line.replace(plain, real);
        }
        line
    }

    /// An observation without what differs from run to run.
    pub(crate) fn plain(&mut self, text: &str) -> String {
        let text = text.replace(&self.prefix, "~");
        let text = TIME.replace_all(&text, |found: &Captures<'_>| {
            let now = std::time::UNIX_EPOCH
                .elapsed()
                .unwrap_or_default()
                .as_secs();
            match found[1].parse::<u64>() {
                Ok(time) if time.abs_diff(now) < TIME_OFF_MAX => "time: now".to_owned(),
                _ => found[0].to_owned(),
            }
        });
        let text = DEATH.replace_all(&text, |found: &Captures<'_>| {
            let mut fields: Vec<_> = FIELD
                .find_iter(&found[1])
                .map(|field| field.as_str())
                .collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(", "))
        });
        let text = MADE_UP.replace_all(&text, |found: &Captures<'_>| self.number(found));
        if text.starts_with("connection.start ") {
            return SELF.replace_all(&text, "$1: …").into_owned();
        }
        text.into_owned()
    }

    fn number(&mut self, found: &Captures<'_>) -> String {
        let real = &found[0];
        if let Some((_, plain)) = self.made_up.iter().find(|(known, _)| known == real) {
            return plain.clone();
        }
        let kind = &found[1];
        let before = self.made_up.iter();
        let count = before.filter(|(_, plain)| plain.starts_with(kind)).count();
        let plain = format!("{kind}{}", count + 1);
        self.made_up.push((real.to_owned(), plain.clone()));
        plain
    }
}
