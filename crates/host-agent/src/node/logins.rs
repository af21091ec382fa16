//! Users that the control plane changes while the node lives.
//!
//! A change is handed to the engine until it said that it is done, and then never again: the broker's own administrators
//! may change the same user afterwards. Handing it over twice changes nothing.

use agent_api::{NodeIntent, UserIntent};
use serde::{Deserialize, Serialize};

use super::state::Files;
use crate::{Error, files};

/// Every installation of RabbitMQ has it, with a password that everybody knows.
const WELL_KNOWN_USER: &str = "guest";

/// The revision of users up to which this node's engine has them.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Applied {
    revision: i64,
}

/// What the engine reads.
#[derive(Debug, Serialize)]
struct Change<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    password_hash: &'a str,
    tags: &'a [String],
    removed: bool,
}

impl<'a> From<&'a UserIntent> for Change<'a> {
    fn from(user: &'a UserIntent) -> Self {
        Self {
            name: &user.name,
            password_hash: if user.removed {
                ""
            } else {
                &user.password_hash
            },
            tags: &user.tags,
            removed: user.removed,
        }
    }
}

/// The newest revision of the intended users, if the engine does not have it.
pub(super) fn due(intent: &NodeIntent, node: &Files) -> Result<Option<i64>, Error> {
    let newest = intent.users.iter().map(|user| user.revision).max();
    let applied = applied(node)?;
    Ok(newest.filter(|newest| *newest > applied))
}

/// Writes what the engine does not have yet, in the order in which it was changed.
pub(super) fn write(intent: &NodeIntent, node: &Files) -> Result<(), Error> {
    let applied = applied(node)?;
    let mut users: Vec<&UserIntent> = intent
        .users
        .iter()
        .filter(|user| user.revision > applied)
        .collect();
    users.sort_by_key(|user| user.revision);
    let mut changes: Vec<Change<'_>> = users.into_iter().map(Change::from).collect();
    changes.push(Change {
        name: WELL_KNOWN_USER,
        password_hash: "",
        tags: &[],
        removed: true,
    });
    files::write_json(&node.logins(), &changes)
}

/// Notes that the engine has all users up to `revision`.
pub(super) fn done(node: &Files, revision: i64) -> Result<(), Error> {
    files::write_json(&node.logins_applied(), &Applied { revision })
}

fn applied(node: &Files) -> Result<i64, Error> {
    let applied = files::read_json::<Applied>(&node.logins_applied())?;
    Ok(applied.unwrap_or_default().revision)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::command::tests::intent;
    use super::*;

    fn user(name: &str, revision: i64, removed: bool) -> UserIntent {
        UserIntent {
            name: name.to_owned(),
            password_hash: "aGFzaA==".to_owned(),
            tags: vec!["management".to_owned()],
            revision,
            removed,
        }
    }

    #[test]
    fn only_what_the_engine_does_not_have_is_handed_over_and_never_again() {
        let directory = tempfile::tempdir().unwrap();
        let node = Files {
            dir: directory.path().to_owned(),
        };
        let mut intent = NodeIntent {
            users: vec![user("first", 0, false)],
            ..intent()
        };
        let written = |intent: &NodeIntent| {
            write(intent, &node).unwrap();
            let changes: Vec<Value> = files::read_json(&node.logins()).unwrap().unwrap();
            let told = changes.iter().map(|change| {
                let name = change["name"].as_str().unwrap().to_owned();
                (name, change["removed"].as_bool().unwrap())
            });
            told.collect::<Vec<_>>()
        };
        let guest = ("guest".to_owned(), true);
        assert_eq!(due(&intent, &node).unwrap(), None);
        assert_eq!(written(&intent), std::slice::from_ref(&guest));

        intent
            .users
            .extend([user("b", 2, true), user("a", 1, false)]);
        assert_eq!(due(&intent, &node).unwrap(), Some(2));
        let both = [
            ("a".to_owned(), false),
            ("b".to_owned(), true),
            guest.clone(),
        ];
        assert_eq!(written(&intent), both);
        let text = std::fs::read_to_string(node.logins()).unwrap();
        assert_eq!(
            text.matches("aGFzaA==").count(),
            1,
            "who goes needs no hash"
        );

        done(&node, 2).unwrap();
        assert_eq!(due(&intent, &node).unwrap(), None);
        assert_eq!(written(&intent), [guest]);
    }
}
