//! The definitions document that RabbitMQ exports and imports, of a node or of one virtual host.
//!
//! Members that are not known are accepted and ignored, so that exports of later versions can be given. In the document
//! of a virtual host the members do not name it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::broker::{json, value::Table};

/// A definitions document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// Runtime parameters of virtual hosts, without policies.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Runtime parameters of the node.
    #[serde(default)]
    pub global_parameters: Vec<GlobalParameter>,
    /// Policies.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Exchanges that are not predeclared.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// Queues that are not exclusive.
    #[serde(default)]
    pub queues: Vec<Queue>,
    /// Bindings between them.
    #[serde(default)]
    pub bindings: Vec<Binding>,
}

impl Document {
    /// What is in the document of one virtual host, all of it in `vhost`.
    #[must_use]
    pub fn within(mut self, vhost: &str) -> Self {
        self.name_vhost(vhost);
        Self {
            users: Vec::new(),
            vhosts: Vec::new(),
            permissions: Vec::new(),
            topic_permissions: Vec::new(),
            global_parameters: Vec::new(),
            ..self
        }
    }

    /// As [`Document::within`] takes it: without the name.
    #[must_use]
    pub fn without_vhost(mut self) -> Self {
        self.name_vhost("");
        self
    }

    fn name_vhost(&mut self, name: &str) {
        self.vhosts_named().for_each(|vhost| name.clone_into(vhost));
    }

    fn vhosts_named(&mut self) -> impl Iterator<Item = &mut String> {
        let parameters = self.parameters.iter_mut().map(|it| &mut it.vhost);
        let policies = self.policies.iter_mut().map(|it| &mut it.vhost);
        let exchanges = self.exchanges.iter_mut().map(|it| &mut it.vhost);
        let queues = self.queues.iter_mut().map(|it| &mut it.vhost);
        let bindings = self.bindings.iter_mut().map(|it| &mut it.vhost);
        parameters
            .chain(policies)
            .chain(exchanges)
            .chain(queues)
            .chain(bindings)
    }
}

/// A runtime parameter of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalParameter {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// What the policy is.
    #[serde(flatten)]
    pub value: Map<String, Value>,
}

/// An exchange.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// `direct`, `fanout` and the like.
    #[serde(rename = "type")]
    pub kind: String,
    /// Survives a restart.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Gone with its last binding.
    #[serde(default)]
    pub auto_delete: bool,
    /// Clients may not publish to it.
    #[serde(default)]
    pub internal: bool,
    /// Arguments of the declaration.
    #[serde(default, with = "json::arguments")]
    pub arguments: Table,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Survives a restart.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Gone with its last consumer.
    #[serde(default)]
    pub auto_delete: bool,
    /// Arguments of the declaration.
    #[serde(default, with = "json::arguments")]
    pub arguments: Table,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vhost: String,
    /// The exchange that is bound to.
    pub source: String,
    /// What is bound.
    pub destination: String,
    /// Which of both that is.
    pub destination_type: DestinationType,
    /// The key.
    #[serde(default)]
    pub routing_key: String,
    /// Arguments of the binding.
    #[serde(default, with = "json::arguments")]
    pub arguments: Table,
}

/// What a binding leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationType {
    /// A queue.
    Queue,
    /// An exchange.
    Exchange,
}

fn yes() -> bool {
    true
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Base64 of a salt of four bytes and the hash of salt and password; empty when it has no password.
    #[serde(default)]
    pub password_hash: String,
    /// `rabbit_password_hashing_sha256`, `…_sha512` or `…_md5`; the first when absent.
    #[serde(default = "sha256")]
    pub hashing_algorithm: String,
    /// `administrator`, `monitoring` and the like.
    #[serde(default)]
    pub tags: Tags,
    /// `max-connections` and `max-channels`.
    #[serde(default, deserialize_with = "members")]
    pub limits: Map<String, Value>,
}

/// Members; older exports write none as an empty list.
fn members<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(members) => Ok(members),
        Value::Null => Ok(Map::new()),
        Value::Array(values) if values.is_empty() => Ok(Map::new()),
        other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => Err(
            serde::de::Error::custom(format_args!("expected members, got {other}")),
        ),
    }
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "VhostForm", into = "VhostForm")]
pub struct Vhost {
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// For programs.
    pub tags: Tags,
    /// The type of queues that name none.
    pub default_queue_type: Option<String>,
    /// Whether messages were to be traced; kept, and without effect.
    pub tracing: bool,
}

/// Newer exports have what describes a virtual host in `metadata`, and null or `undefined` for no type.
#[derive(Serialize, Deserialize)]
struct VhostForm {
    name: String,
    #[serde(flatten)]
    own: Described,
    #[serde(default)]
    metadata: Described,
    #[serde(default)]
    tracing: bool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Described {
    description: Option<String>,
    tags: Option<Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_queue_type: Option<String>,
}

impl From<Vhost> for VhostForm {
    fn from(vhost: Vhost) -> Self {
        let own = Described {
            description: Some(vhost.description),
            tags: Some(vhost.tags),
            default_queue_type: vhost.default_queue_type,
        };
        Self {
            name: vhost.name,
            metadata: own.clone(),
            own,
            tracing: vhost.tracing,
        }
    }
}

impl From<VhostForm> for Vhost {
    fn from(form: VhostForm) -> Self {
        let VhostForm { own, metadata, .. } = form;
        let default_queue_type = own.default_queue_type.or(metadata.default_queue_type);
        Self {
            name: form.name,
            description: own.description.or(metadata.description).unwrap_or_default(),
            tags: own.tags.or(metadata.tags).unwrap_or_default(),
            default_queue_type: default_queue_type.filter(|kind| kind != "undefined"),
            tracing: form.tracing,
        }
    }
}

/// A runtime parameter of a virtual host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Where.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vhost: String,
    /// What it is for: `vhost-limits`, `operator_policy` and the like.
    pub component: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
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
