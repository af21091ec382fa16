//! Topic permissions: which keys a user may publish with, and bind by, on a topic exchange.
//!
//! They narrow what the ordinary permissions allow; an exchange without one is not narrowed. A pattern may name
//! `{username}` and `{vhost}`, which stand for the connection's own, as literal text. Any other name in braces, such as
//! MQTT's `{client_id}`, has no value here and stands for itself.

use std::collections::BTreeMap;

use regex::Regex;

use super::{
    access::Action,
    definitions::{
        document::TopicPermission,
        record::{Change, Record},
    },
    error::Error,
};

/// User, virtual host, exchange.
type Key = (String, String, String);

/// The topic permissions of a node.
#[derive(Default)]
pub(super) struct TopicPermissions(BTreeMap<Key, TopicPermission>);

impl TopicPermissions {
    pub(super) fn insert(&mut self, permission: TopicPermission) {
        self.0.insert(key(&permission), permission);
    }

    pub(super) fn remove(&mut self, permission: &TopicPermission) {
        self.0.remove(&key(permission));
    }

    /// All of them, by user, virtual host and exchange.
    pub(super) fn list(&self) -> impl Iterator<Item = &TopicPermission> {
        self.0.values()
    }

    /// What holds for a user in a virtual host.
    pub(super) fn rules(&self, user: &str, vhost: &str) -> TopicRules {
        let own = self
            .list()
            .filter(|permission| permission.user == user && permission.vhost == vhost);
        let rules = own.map(|permission| {
            let pattern = |text: &str| expand(text, user, vhost);
            let rule = TopicRule {
                write: pattern(&permission.write),
                read: pattern(&permission.read),
            };
            (permission.exchange.clone(), rule)
        });
        TopicRules(rules.collect())
    }
}

/// What a user may do with topics, by exchange.
#[derive(Debug, Default)]
pub(super) struct TopicRules(BTreeMap<String, TopicRule>);

/// `None` where the pattern cannot be understood with the values put in: it matches nothing.
#[derive(Debug)]
struct TopicRule {
    write: Option<Regex>,
    read: Option<Regex>,
}

impl TopicRules {
    /// Whether an exchange is narrowed at all.
    pub(super) fn narrows(&self, exchange: &str) -> bool {
        !self.0.is_empty() && self.0.contains_key(exchange)
    }

    /// Whether a key may be used with an exchange.
    pub(super) fn allows(&self, action: Action, exchange: &str, key: &str) -> bool {
        let Some(rule) = self.0.get(exchange) else {
            return true;
        };
        let pattern = match action {
            Action::Write => &rule.write,
            Action::Read => &rule.read,
            Action::Configure => return true,
        };
        pattern.as_ref().is_some_and(|regex| regex.is_match(key))
    }
}

/// Refuses patterns that could never be understood.
pub(super) fn check(permission: &TopicPermission) -> Result<(), Error> {
    for text in [&permission.write, &permission.read] {
        if let Err(error) = Regex::new(&with_values(text, "user", "vhost")) {
            return Err(Error::CommandInvalid(format!(
                "the permission '{text}' is not understood: {error}"
            )));
        }
    }
    Ok(())
}

pub(super) fn record(permission: &TopicPermission) -> Record {
    let TopicPermission {
        user,
        vhost,
        exchange,
        write,
        read,
    } = permission.clone();
    Record::TopicPermission {
        user,
        vhost,
        exchange,
        write,
        read,
    }
}

/// What removes some from the durable definitions.
pub(super) fn unset(permissions: &[TopicPermission]) -> Vec<Change> {
    let records = permissions
        .iter()
        .map(|permission| record(permission).unset());
    records.collect()
}

fn key(permission: &TopicPermission) -> Key {
    let TopicPermission {
        user,
        vhost,
        exchange,
        ..
    } = permission.clone();
    (user, vhost, exchange)
}

fn expand(text: &str, user: &str, vhost: &str) -> Option<Regex> {
    Regex::new(&with_values(text, user, vhost)).ok()
}

/// The pattern with the values of its variables; an empty one matches the empty key only, as RabbitMQ has it.
fn with_values(text: &str, user: &str, vhost: &str) -> String {
    if text.is_empty() {
        return "^$".to_owned();
    }
    let text = text
        .replace("{username}", &regex::escape(user))
        .replace("{vhost}", &regex::escape(vhost));
    text.replace("{client_id}", &regex::escape("{client_id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(write: &str, read: &str) -> TopicPermission {
        TopicPermission {
            user: "a.b".into(),
            vhost: "/".into(),
            exchange: "amq.topic".into(),
            write: write.into(),
            read: read.into(),
        }
    }

    fn rules(write: &str, read: &str) -> TopicRules {
        let mut permissions = TopicPermissions::default();
        permissions.insert(permission(write, read));
        permissions.rules("a.b", "/")
    }

    #[test]
    fn the_values_of_variables_are_literal_text_and_others_are_not_narrowed() {
        let rules = rules(r"^{username}\.", "");
        let writes = |key: &str| rules.allows(Action::Write, "amq.topic", key);
        assert!(writes("a.b.c"));
        assert!(
            !writes("axb.c"),
            "the dot of the name stands for nothing else"
        );
        assert!(!rules.allows(Action::Read, "amq.topic", "a.b.c"));
        assert!(rules.allows(Action::Read, "amq.topic", ""));
        assert!(rules.allows(Action::Read, "other", "a.b.c"));
        assert!(!rules.narrows("other"));
    }

    #[test]
    fn a_variable_without_a_value_stands_for_itself_and_nonsense_is_refused() {
        let rules = rules("^{client_id}-x$", ".*");
        assert!(!rules.allows(Action::Write, "amq.topic", "me-x"));
        assert!(rules.allows(Action::Write, "amq.topic", "{client_id}-x"));
        assert!(check(&permission("^{client_id}-{vhost}$", "")).is_ok());
        assert!(check(&permission("(", "")).is_err());
    }
}
