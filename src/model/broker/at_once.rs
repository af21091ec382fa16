//! Changes of users that act at once: those of RabbitMQ and LavinMQ brokers.
//!
//! These brokers have tags, not groups: a user's groups are its tags, and console access without any is the tag that
//! lets a user look at the broker.

use super::user::{self, BrokerUser, ChangeUser, PendingUser, UserChange};
use crate::model::{Invalid, engine::EngineType, password::Password};

/// The tag that lets a login manage the broker.
const ADMINISTRATOR: &str = "administrator";

/// What lets a login see the broker's console, and no more.
const MANAGEMENT: &str = "management";

/// The tags that Amazon MQ for RabbitMQ supports.
const TAGS: [&str; 4] = [ADMINISTRATOR, MANAGEMENT, "monitoring", "policymaker"];

impl BrokerUser {
    /// RabbitMQ's tags: the groups, and what console access and the administrator's place stand for.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = self.groups.clone();
        let is_viewer = self.console_access && tags.is_empty() && !self.is_bootstrap;
        for (tag, applies) in [(ADMINISTRATOR, self.is_bootstrap), (MANAGEMENT, is_viewer)] {
            if applies && !tags.iter().any(|other| other == tag) {
                tags.push(tag.to_owned());
            }
        }
        tags
    }
}

impl ChangeUser {
    /// The user to be, by its first password's hash.
    pub fn create_at_once(
        &self,
        username: &str,
        engine: EngineType,
        hash: impl FnOnce(&Password) -> String,
    ) -> Result<BrokerUser, Invalid> {
        user::check_username(username, engine)?;
        let password = self
            .password
            .as_ref()
            .ok_or_else(|| Invalid::missing("password"))?;
        let next = PendingUser {
            change: UserChange::Update,
            password_hash: String::new(),
            console_access: false,
            replication_user: false,
            groups: Vec::new(),
        };
        let new = BrokerUser::new(username.to_owned(), next);
        self.check_tags(engine)?;
        Ok(BrokerUser {
            password_hash: hash(password),
            ..self.apply(new)
        })
    }

    /// The user as it will be. What the request leaves out stays.
    pub fn update_at_once(
        &self,
        user: BrokerUser,
        engine: EngineType,
        hash: impl FnOnce(&Password) -> String,
    ) -> Result<BrokerUser, Invalid> {
        self.check_tags(engine)?;
        let password_hash = self.password.as_ref().map(hash);
        let user = self.apply(user);
        Ok(BrokerUser {
            password_hash: password_hash.unwrap_or_else(|| user.password_hash.clone()),
            ..user
        })
    }

    fn apply(&self, user: BrokerUser) -> BrokerUser {
        BrokerUser {
            console_access: self.console_access.unwrap_or(user.console_access),
            groups: self.groups.clone().unwrap_or(user.groups),
            ..user
        }
    }

    fn check_tags(&self, engine: EngineType) -> Result<(), Invalid> {
        if self.replication_user == Some(true) {
            let text = format!(
                "[replicationUser] is not supported for {} brokers.",
                engine.label()
            );
            return Err(Invalid::new("replicationUser", text));
        }
        let groups = self.groups.as_deref().unwrap_or_default();
        self.check()?;
        if let Some(other) = groups.iter().find(|group| !TAGS.contains(&group.as_str())) {
            return Err(Invalid::new(
                "groups",
                format!(
                    "Group [{other}] is invalid for {} brokers, whose users have tags. Valid values: [{}].",
                    engine.label(),
                    TAGS.join(", ")
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(json: &str) -> ChangeUser {
        serde_json::from_str(json).unwrap()
    }

    fn create(json: &str) -> Result<BrokerUser, Invalid> {
        change(json).create_at_once("ann", EngineType::RabbitMq, |_| "hash".to_owned())
    }

    #[test]
    fn groups_are_tags_and_console_access_is_the_least_of_them() {
        let tags = |members: &str| {
            let json = format!(r#"{{"password":"correct-horse-battery"{members}}}"#);
            create(&json).unwrap().tags()
        };
        assert!(tags("").is_empty());
        assert!(tags(r#","consoleAccess":false,"groups":[],"replicationUser":false"#).is_empty());
        assert_eq!(tags(r#","consoleAccess":true"#), ["management"]);
        assert_eq!(tags(r#","groups":["monitoring"]"#), ["monitoring"]);
        assert_eq!(
            tags(r#","consoleAccess":true,"groups":["administrator"]"#),
            ["administrator"]
        );
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name_and_the_first_user_stays_administrator() {
        let first = BrokerUser {
            is_bootstrap: true,
            ..create(r#"{"password":"correct-horse-battery"}"#).unwrap()
        };
        assert_eq!(first.tags(), ["administrator"]);
        let update = |json: &str| {
            change(json)
                .update_at_once(first.clone(), EngineType::RabbitMq, |_| "new".to_owned())
                .unwrap()
        };
        let renewed = update(r#"{"password":"another-horse-battery"}"#);
        assert_eq!(renewed.password_hash, "new");
        assert_eq!(renewed.tags(), ["administrator"]);
        let grouped = update(r#"{"groups":["monitoring"],"consoleAccess":true}"#);
        assert_eq!(grouped.password_hash, "hash");
        assert_eq!(grouped.tags(), ["monitoring", "administrator"]);
    }

    #[test]
    fn what_these_brokers_do_not_have_is_refused() {
        let password = r#""password":"correct-horse-battery""#;
        for (members, attribute) in [
            (r#"{}"#.to_owned(), "password"),
            (r#"{"password":"short"}"#.to_owned(), "password"),
            (format!(r#"{{{password},"groups":["admins"]}}"#), "groups"),
            (
                format!(r#"{{{password},"replicationUser":true}}"#),
                "replicationUser",
            ),
        ] {
            assert_eq!(
                create(&members).unwrap_err().attribute,
                attribute,
                "{members}"
            );
        }
        let request = change(&format!("{{{password}}}"));
        let guest = request.create_at_once("guest", EngineType::RabbitMq, |_| String::new());
        assert_eq!(guest.unwrap_err().attribute, "username");
        assert!(!format!("{request:?}").contains("horse"));
    }
}
