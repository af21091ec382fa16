//! The definitions document that RabbitMQ exports: users, virtual hosts and permissions of it.
//!
//! Other members are accepted and ignored, so that a whole export can be given.

use serde::{Deserialize, Serialize};

/// A definitions document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Logins.
    #[serde(default)]
    pub users: Vec<User>,
    /// Virtual hosts.
    #[serde(default)]
    pub vhosts: Vec<Vhost>,
    /// Who may do what where.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Who may use which keys of topic exchanges.
    #[serde(default)]
    pub topic_permissions: Vec<TopicPermission>,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Base64 of a salt of four bytes and the hash of salt and password.
    pub password_hash: String,
    /// `rabbit_password_hashing_sha256`, the only one supported, or absent.
    #[serde(default = "sha256")]
    pub hashing_algorithm: String,
    /// `administrator`, `monitoring` and the like.
    #[serde(default)]
    pub tags: Tags,
}

fn sha256() -> String {
    crate::broker::password::SHA256.to_owned()
}

/// Tags, which older exports write as one string with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TagsForm")]
pub struct Tags(pub Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum TagsForm {
    List(Vec<String>),
    Text(String),
}

impl From<TagsForm> for Tags {
    fn from(form: TagsForm) -> Self {
        match form {
            TagsForm::List(tags) => Self(tags),
            TagsForm::Text(text) => Self(
                text.split(',')
                    .map(str::trim)
                    .filter(|tag| !tag.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
        }
    }
}

/// A virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vhost {
    /// Its name.
    pub name: String,
}

/// What a user may do in a virtual host: regular expressions that names must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Whose.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// Names it may declare and delete.
    pub configure: String,
    /// Names it may publish to and bind.
    pub write: String,
    /// Names it may consume from and bind from.
    pub read: String,
}

/// Which keys a user may use with a topic exchange: regular expressions, in which `{username}` and `{vhost}` stand for
/// the connection's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPermission {
    /// Whose.
    pub user: String,
    /// Where.
    pub vhost: String,
    /// Which exchange.
    pub exchange: String,
    /// Keys it may publish with.
    pub write: String,
    /// Keys it may bind by.
    pub read: String,
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn both_forms_of_tags_and_unknown_members_are_read() {
        let text = r#"{"rabbit_version":"3.13","users":[
            {"name":"a","password_hash":"x","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"],"limits":{}},
            {"name":"b","password_hash":"y","tags":"monitoring, management"}],
            "queues":[{"name":"q"}]}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        assert_eq!(document.users[0].tags.0, ["administrator"]);
        assert_eq!(document.users[1].tags.0, ["monitoring", "management"]);
    }
}
