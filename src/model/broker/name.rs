//! Broker names.

use crate::model::Invalid;

/// 1 to 50 letters, digits, dashes and underscores.
pub fn check(name: &str) -> Result<(), Invalid> {
    let valid = (1..=50).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if valid {
        return Ok(());
    }
    Err(Invalid::new(
        "brokerName",
        format!(
            "Broker name [{name}] is invalid. It must be 1-50 characters long and can contain \
             only letters, numbers, dashes, and underscores."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_one_to_fifty_characters_pass() {
        for name in ["a", "Orders_2-eu", &"n".repeat(50)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "a b", "a.b", "å", "a~b", "a/b", &"n".repeat(51)] {
            assert_eq!(check(name).unwrap_err().attribute, "brokerName", "{name}");
        }
    }
}
