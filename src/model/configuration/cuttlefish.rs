//! The format of `rabbitmq.conf`: one `key = value` a line, comments behind `#`.
//!
//! Reads syntax alone; which keys there may be is the `settings` beside this file.

use crate::model::Invalid;

/// One setting, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub value: String,
    /// From 1.
    pub line: usize,
}

/// The settings of a text, in its order. A later one of the same key wins.
pub fn parse(text: &str) -> Result<Vec<Entry>, Invalid> {
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refused = |reason: &str| {
            Invalid::new(
                "data",
                format!("Line [{line_number}] of the configuration is invalid. {reason}"),
            )
        };
        let (key, rest) = line
            .split_once('=')
            .ok_or_else(|| refused("Specify settings in the format [key = value]."))?;
        let key = key.trim();
        if !is_key(key) {
            return Err(refused(
                "A key consists of words of letters, digits, dashes and underscores, separated by \
                 periods.",
            ));
        }
        let value = value(rest.trim()).ok_or_else(|| refused("The quoted value has no end."))?;
        if value.is_empty() {
            return Err(refused("The value is missing."));
        }
        if value.chars().any(char::is_control) {
            return Err(refused("The value contains control characters."));
        }
        entries.push(Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            line: line_number,
        });
    }
    Ok(entries)
}

fn is_key(key: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    key.split('.').all(word)
}

/// A value in single quotes as it is between them, any other up to a comment.
fn value(rest: &str) -> Option<&str> {
    if let Some(quoted) = rest.strip_prefix('\'') {
        return quoted.split_once('\'').map(|(value, _)| value);
    }
    Some(match rest.find(" #").or_else(|| rest.find("\t#")) {
        Some(comment) => rest[..comment].trim_end(),
        None if rest.starts_with('#') => "",
        None => rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String, usize)> {
        let entries = parse(text).unwrap().into_iter();
        entries.map(|e| (e.key, e.value, e.line)).collect()
    }

    #[test]
    fn settings_are_read_with_their_lines() {
        let text = "# a comment\r\n\r\nheartbeat=60\n  a.b-c_1.d =  x = y  # why\n q = 'a # b' \n\
                    u = https://h/#part\n";
        let expected = [
            ("heartbeat", "60", 3),
            ("a.b-c_1.d", "x = y", 4),
            ("q", "a # b", 5),
            ("u", "https://h/#part", 6),
        ];
        let expected = expected.map(|(k, v, l)| (k.to_owned(), v.to_owned(), l));
        assert_eq!(pairs(text), expected);
        assert!(pairs("").is_empty());
    }

    #[test]
    fn what_is_no_setting_is_refused_by_its_line() {
        for text in [
            "heartbeat",
            "= 60",
            "a..b = 1",
            "a b = 1",
            "å = 1",
            "a =",
            "a = # only a comment",
            "a = ''",
            "a = 'open",
            "a = \u{0}",
            "[{rabbit, []}].",
        ] {
            let refused = parse(&format!("heartbeat = 60\n{text}")).unwrap_err();
            assert_eq!(refused.attribute, "data");
            assert!(
                refused
                    .message
                    .starts_with("Line [2] of the configuration is invalid. "),
                "{text}: {}",
                refused.message
            );
        }
    }
}
