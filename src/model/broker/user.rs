//! Logins on a broker. Only hashes of their passwords are ever kept.

use std::collections::HashSet;

use crate::model::{Invalid, engine::EngineType, password::Password};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUser {
    pub username: String,
    /// As made by [`Password::hash`].
    pub password_hash: String,
    pub console_access: bool,
    pub replication_user: bool,
    pub groups: Vec<String>,
}

/// Checks a name for a login: 2 to 100 letters, digits, dashes, periods and underscores; tildes
/// only for ActiveMQ, and never `guest` for the others.
pub fn check_username(username: &str, engine: EngineType) -> Result<(), Invalid> {
    let refused = |message: String| Err(Invalid::new("username", message));
    let (extra, characters) = if engine.is_rabbitmq_like() {
        (&b"-._"[..], "dashes, periods, and underscores (- . _)")
    } else {
        (
            &b"-._~"[..],
            "dashes, periods, underscores, and tildes (- . _ ~)",
        )
    };
    let valid = (2..=100).contains(&username.len())
        && username
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || extra.contains(&byte));
    if !valid {
        return refused(format!(
            "Username [{username}] is invalid. It must be 2-100 characters long and can contain \
             only alphanumeric characters, {characters}."
        ));
    }
    if engine.is_rabbitmq_like() && username == "guest" {
        return refused("Username [guest] is prohibited.".to_owned());
    }
    Ok(())
}

/// Checks a password: 12 to 250 printable ASCII characters, at least 4 of them different, no
/// comma, colon or equal sign. The message never repeats it.
pub fn check_password(password: &Password) -> Result<(), Invalid> {
    let refused = |message: &str| Err(Invalid::new("password", message));
    let clear = password.expose();
    if !clear.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return refused("Password is invalid. It must contain only printable ASCII characters.");
    }
    if !(12..=250).contains(&clear.len()) {
        return refused("Password is invalid. It must be 12-250 characters long.");
    }
    if clear.bytes().collect::<HashSet<_>>().len() < 4 {
        return refused("Password is invalid. It must contain at least 4 unique characters.");
    }
    if clear.contains([',', ':', '=']) {
        return refused(
            "Password is invalid. It must not contain commas, colons, or equal signs (,:=).",
        );
    }
    Ok(())
}

/// Checks how many logins a broker is created with.
pub fn check_count(count: usize, engine: EngineType) -> Result<(), Invalid> {
    if engine.is_rabbitmq_like() && count != 1 {
        return Err(Invalid::new(
            "users",
            format!(
                "Specify exactly one user for engine type [{}].",
                engine.name()
            ),
        ));
    }
    if count == 0 {
        return Err(Invalid::new("users", "Specify at least one user."));
    }
    Ok(())
}

/// Checks a login's groups: at most 20, each 2 to 100 letters, digits and `-._~`.
pub fn check_groups(groups: &[String]) -> Result<(), Invalid> {
    let plain = |group: &String| {
        (2..=100).contains(&group.len())
            && group
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    if groups.len() <= 20 && groups.iter().all(plain) {
        return Ok(());
    }
    Err(Invalid::new(
        "groups",
        "Groups are invalid. A user can have at most 20 groups of 2-100 alphanumeric characters, \
         dashes, periods, underscores, and tildes (- . _ ~).",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_follow_the_engines_rules() {
        let rabbit = |name: &str| check_username(name, EngineType::RabbitMq);
        for name in ["ab", "admin", "a.b-c_d", &"u".repeat(100)] {
            assert!(rabbit(name).is_ok(), "{name}");
        }
        for name in ["", "a", "guest", "a~b", "a b", "a,b", &"u".repeat(101)] {
            assert_eq!(rabbit(name).unwrap_err().attribute, "username", "{name}");
        }
        assert!(check_username("a~b", EngineType::ActiveMq).is_ok());
        assert!(check_username("guest", EngineType::ActiveMq).is_ok());
    }

    #[test]
    fn weak_passwords_are_refused_and_never_repeated() {
        for clear in [
            "short",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "with,comma-12345",
            "with:colon-12345",
            "with=equal-12345",
            "nicht-druckbar-\u{e9}",
            &"abcd".repeat(63),
        ] {
            let refused = check_password(&Password::new(clear)).unwrap_err();
            assert_eq!(refused.attribute, "password", "{clear}");
            assert!(!refused.message.contains(clear));
        }
        assert!(check_password(&Password::new("abcdabcdabcd")).is_ok());
        assert!(check_password(&Password::new("a b!c\"d;e/f12")).is_ok());
    }

    #[test]
    fn rabbitmq_takes_exactly_one_user() {
        for count in [0, 2] {
            assert_eq!(
                check_count(count, EngineType::RabbitMq)
                    .unwrap_err()
                    .message,
                "Specify exactly one user for engine type [RABBITMQ]."
            );
        }
        assert!(check_count(1, EngineType::RabbitMq).is_ok());
        assert!(check_count(3, EngineType::ActiveMq).is_ok());
    }
}
