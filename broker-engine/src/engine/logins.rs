//! Users that whoever runs the broker adds, changes or removes beside its own administrators.
//!
//! What the file says is made so, however often it is read; users that it does not name are left alone.

use std::path::Path;

use serde::Deserialize;

use super::secrets;
use crate::broker::definitions::document::{Permission, Tags, User};
use crate::broker::{Broker, DEFAULT_VHOST, Document};
use crate::error::Error;

/// What is to become of one user.
#[derive(Deserialize)]
pub(super) struct Change {
    name: String,
    /// RabbitMQ's form: base64(salt ++ sha256(salt ++ password)).
    #[serde(default)]
    password_hash: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    removed: bool,
}

pub(super) fn read(file: &Path) -> Result<Vec<Change>, Error> {
    // The parser's own message could quote what must stay secret.
    serde_json::from_str(&secrets::read(file)?).map_err(|_| Error::File {
        path: file.to_owned(),
        reason: "expected a list of users".to_owned(),
    })
}

/// Makes it so, and waits for the log.
pub(super) fn apply(broker: &Broker, file: Option<&Path>) -> Result<(), Error> {
    let Some(file) = file else { return Ok(()) };
    for change in read(file)? {
        if change.removed {
            if let Some(position) = broker.delete_user(&change.name)? {
                tracing::info!(user = change.name, "removed a user");
                broker.wait(position)?;
            }
        } else {
            put(broker, change)?;
        }
    }
    Ok(())
}

/// A new user comes with its permission in one entry of the log, so that a crash leaves both or neither.
fn put(broker: &Broker, change: Change) -> Result<(), Error> {
    let users = broker.users();
    let old = users.into_iter().find(|user| user.name == change.name);
    let is_new = old.is_none();
    let user = User {
        name: change.name.clone(),
        password_hash: change.password_hash,
        hashing_algorithm: "rabbit_password_hashing_sha256".to_owned(),
        tags: Tags(change.tags),
        limits: old
            .as_ref()
            .map(|old| old.limits.clone())
            .unwrap_or_default(),
    };
    if old.as_ref() == Some(&user) {
        return Ok(());
    }
    let all = || ".*".to_owned();
    let permission = Permission {
        user: change.name,
        vhost: DEFAULT_VHOST.to_owned(),
        configure: all(),
        write: all(),
        read: all(),
    };
    tracing::info!(user = user.name, is_new, "put a user");
    let document = Document {
        users: vec![user],
        permissions: is_new.then_some(permission).into_iter().collect(),
        ..Document::default()
    };
    Ok(broker.import(&document, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::PasswordHash;

    #[test]
    fn named_users_become_as_told_and_others_stay() {
        let broker = Broker::in_memory();
        broker.put_user_with_password("kept", "k", &[]).unwrap();
        broker.put_user_with_password("gone", "g", &[]).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("logins.json");
        let told = |password: &str, tag: &str| {
            let hash = PasswordHash::new(password.as_bytes());
            let text = format!(
                r#"[{{"name":"ann","password_hash":"{hash}","tags":["{tag}"]}},
                    {{"name":"gone","removed":true}}, {{"name":"never","removed":true}}]"#
            );
            std::fs::write(&file, text).unwrap();
            apply(&broker, Some(&file)).unwrap();
            apply(&broker, Some(&file)).unwrap();
        };
        let login = |name: &str, password: &str| {
            let identity = broker.authenticate(name, password.as_bytes(), false);
            identity.map(|identity| identity.tags.to_vec())
        };

        told("first", "management");
        assert_eq!(login("ann", "first"), Some(vec!["management".to_owned()]));
        let identity = broker.authenticate("ann", b"first", false).unwrap();
        assert!(broker.session(&identity, "/").is_ok());
        assert_eq!(login("gone", "g"), None);
        assert!(login("kept", "k").is_some());

        broker.delete_permission("ann", "/").unwrap();
        told("second", "monitoring");
        assert_eq!(login("ann", "second"), Some(vec!["monitoring".to_owned()]));
        let has_permission = broker.permissions().iter().any(|it| it.user == "ann");
        assert!(
            !has_permission,
            "what was taken from a user is not given back"
        );
    }
}
