//! Logins on a broker. Only hashes of their passwords are ever kept.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{Invalid, engine::EngineType, password::Password};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUser {
    pub username: String,
    /// As made by [`Password::hash`].
    pub password_hash: String,
    pub console_access: bool,
    pub replication_user: bool,
    pub groups: Vec<String>,
    /// What the next start of the broker makes of the login.
    pub pending: Option<PendingUser>,
    /// Whether the broker was created with it.
    pub is_bootstrap: bool,
    /// Higher than that of any earlier change of the broker's users that acts at once; 0 without one.
    pub revision: i64,
    /// Since when it is to be gone. Kept so that the nodes get to know.
    pub removed_at: Option<DateTime<Utc>>,
}

/// A login as lists tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    pub username: String,
    /// What the next start of the broker makes of the login.
    pub staged: Option<UserChange>,
}

/// A login as it will be, and how it comes to be so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingUser {
    pub change: UserChange,
    pub password_hash: String,
    pub console_access: bool,
    pub replication_user: bool,
    pub groups: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UserChange {
    Create,
    Update,
    Delete,
}

impl UserChange {
    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }
}

/// A change of a login as callers send it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ChangeUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_access: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Password>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_user: Option<bool>,
}

impl ChangeUser {
    /// Checks every member that is there.
    pub fn check(&self) -> Result<(), Invalid> {
        self.password.as_ref().map_or(Ok(()), check_password)?;
        self.groups.as_deref().map_or(Ok(()), check_groups)
    }
}

impl BrokerUser {
    /// A login that exists, or has to wait for a start to exist.
    pub fn new(username: String, next: PendingUser) -> Self {
        let pending = (next.change == UserChange::Create).then(|| next.clone());
        Self {
            username,
            password_hash: next.password_hash,
            console_access: next.console_access,
            replication_user: next.replication_user,
            groups: next.groups,
            pending,
            is_bootstrap: false,
            revision: 0,
            removed_at: None,
        }
    }

    /// What the next start of the broker makes of the login.
    pub fn staged(&self) -> Option<UserChange> {
        self.pending.as_ref().map(|pending| pending.change)
    }

    /// What has been asked of the login last.
    pub fn next(&self) -> PendingUser {
        self.pending.clone().unwrap_or_else(|| PendingUser {
            change: UserChange::Update,
            password_hash: self.password_hash.clone(),
            console_access: self.console_access,
            replication_user: self.replication_user,
            groups: self.groups.clone(),
        })
    }

    /// Has the next start make `next` of the login: what it is already is not pending, and a login
    /// that is yet to be made is made like that.
    pub fn stage(&mut self, next: PendingUser) {
        let creates = self.staged() == Some(UserChange::Create);
        let unchanged = (&next.password_hash, next.console_access)
            == (&self.password_hash, self.console_access)
            && (next.replication_user, &next.groups) == (self.replication_user, &self.groups);
        self.pending = if creates {
            Some(PendingUser {
                change: UserChange::Create,
                ..next
            })
        } else {
            Some(next).filter(|next| next.change == UserChange::Delete || !unchanged)
        };
    }

    /// The login after a start; `None` when it is gone then.
    pub fn started(self) -> Option<Self> {
        match self.staged() {
            Some(UserChange::Delete) => None,
            Some(UserChange::Create | UserChange::Update) | None => {
                let next = PendingUser {
                    change: UserChange::Update,
                    ..self.next()
                };
                Some(Self {
                    is_bootstrap: self.is_bootstrap,
                    revision: self.revision,
                    removed_at: self.removed_at,
                    ..Self::new(self.username, next)
                })
            }
        }
    }
}

/// Refuses what no login can be both.
pub fn check_roles(replication_user: bool, console_access: bool) -> Result<(), Invalid> {
    if !(replication_user && console_access) {
        return Ok(());
    }
    Err(Invalid::new(
        "",
        "Replication user couldn't have console access. [replicationUser] and [consoleAccess] are \
         mutually exclusive parameters.",
    ))
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

/// Checks the names of a login's groups: each 2 to 100 letters, digits and `-._~`.
pub fn check_groups(groups: &[String]) -> Result<(), Invalid> {
    let plain = |group: &&String| {
        (2..=100).contains(&group.len())
            && group
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    match groups.iter().find(|group| !plain(group)) {
        None => Ok(()),
        Some(group) => Err(Invalid::new(
            "groups",
            format!(
                "Group [{group}] is invalid. It must be 2-100 characters long and can contain only \
                 alphanumeric characters, dashes, periods, underscores, and tildes (- . _ ~)."
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(change: UserChange, groups: &[&str]) -> PendingUser {
        PendingUser {
            change,
            password_hash: "hash".into(),
            console_access: false,
            replication_user: false,
            groups: groups.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_login_is_made_changed_and_removed_by_starts() {
        let mut user = BrokerUser::new("ada".into(), next(UserChange::Create, &["a"]));
        assert_eq!(user.pending, Some(next(UserChange::Create, &["a"])));
        user.stage(next(UserChange::Update, &["b"]));
        assert_eq!(
            user.pending,
            Some(next(UserChange::Create, &["b"])),
            "still to be made"
        );

        let mut user = user.started().unwrap();
        assert_eq!(
            (user.pending.clone(), user.groups.clone()),
            (None, vec!["b".to_owned()])
        );
        user.stage(next(UserChange::Update, &["b"]));
        assert_eq!(user.pending, None, "it is so already");
        user.stage(next(UserChange::Update, &["c"]));
        assert_eq!(user.groups, ["b"], "until the next start");
        user.stage(next(UserChange::Update, &["b"]));
        assert_eq!(user.pending, None, "taken back");
        user.stage(next(UserChange::Delete, &["b"]));
        assert_eq!(user.pending, Some(next(UserChange::Delete, &["b"])));
        assert_eq!(user.started(), None);
    }

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
