//! Tags on brokers and configurations.

use std::collections::BTreeMap;

use super::Invalid;

pub type Tags = BTreeMap<String, String>;

const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;

/// Checks tags that a caller wants to set.
pub fn check(tags: &Tags) -> Result<(), Invalid> {
    for (key, value) in tags {
        check_key(key)?;
        if value.chars().count() > VALUE_CHARS_MAX {
            return Err(refused(format!(
                "The value of tag [{key}] is too long. Valid length: 0-{VALUE_CHARS_MAX} characters."
            )));
        }
        if !value.chars().all(allowed) {
            return Err(refused(format!(
                "The value of tag [{key}] contains invalid characters. {CHARSET}"
            )));
        }
    }
    Ok(())
}

const CHARSET: &str = "Valid characters are letters, numbers, spaces and + - = . _ : / @.";

fn check_key(key: &str) -> Result<(), Invalid> {
    if !(1..=KEY_CHARS_MAX).contains(&key.chars().count()) {
        return Err(refused(format!(
            "Tag key [{key}] is invalid. Valid length: 1-{KEY_CHARS_MAX} characters."
        )));
    }
    if !key.chars().all(allowed) {
        return Err(refused(format!(
            "Tag key [{key}] contains invalid characters. {CHARSET}"
        )));
    }
    if key
        .get(..4)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("aws:"))
    {
        return Err(refused(format!(
            "Tag key [{key}] is invalid. Tag keys must not start with the reserved prefix [aws:]."
        )));
    }
    Ok(())
}

fn allowed(c: char) -> bool {
    c.is_alphanumeric() || c == ' ' || "+-=._:/@".contains(c)
}

fn refused(message: String) -> Invalid {
    Invalid::new("tags", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> Tags {
        Tags::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn limits_are_exact() {
        assert!(check(&tag(&"k".repeat(128), &"v".repeat(256))).is_ok());
        assert!(check(&tag(&"k".repeat(129), "")).is_err());
        assert!(check(&tag("k", &"v".repeat(257))).is_err());
        assert!(check(&tag("", "v")).is_err());
        assert!(check(&tag("Cost Center/å", "a@b:c=d+e-f.g_h")).is_ok());
        assert!(check(&tag("k", "semi;colon")).is_err());
    }

    #[test]
    fn the_reserved_prefix_is_refused_in_any_case() {
        for key in ["aws:owner", "AWS:owner", "Aws:x"] {
            assert!(check(&tag(key, "v")).is_err(), "{key}");
        }
        assert!(check(&tag("awsome", "v")).is_ok());
    }
}
