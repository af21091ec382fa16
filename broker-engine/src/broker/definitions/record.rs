//! The durable definitions, as keys and values of the log's definitions lane.
//!
//! A value is JSON and complete in itself; its key follows from it, so that a change replaces what it changes.

use serde::{Deserialize, Serialize};

use super::super::{error::Error, value::Table};

/// A definition.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    /// The number of the next queue: no queue's number is used twice, not even after it is gone.
    Counter { queue_next: u32 },
    /// A virtual host.
    Vhost {
        name: String,
        #[serde(default)]
        description: String,
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default)]
        default_queue_type: Option<String>,
        #[serde(default)]
        tracing: bool,
    },
    /// A login.
    User {
        name: String,
        password_hash: String,
        hashing_algorithm: String,
        tags: Vec<String>,
        #[serde(default)]
        limits: serde_json::Map<String, serde_json::Value>,
    },
    /// What a user may do in a virtual host, as regular expressions on names.
    Permission {
        user: String,
        vhost: String,
        configure: String,
        write: String,
        read: String,
    },
    /// Which keys of a topic exchange a user may use, as regular expressions.
    TopicPermission {
        user: String,
        vhost: String,
        exchange: String,
        write: String,
        read: String,
    },
    /// A durable exchange.
    Exchange {
        vhost: String,
        name: String,
        kind: String,
        auto_delete: bool,
        internal: bool,
        arguments: Table,
    },
    /// A durable queue.
    Queue {
        vhost: String,
        name: String,
        id: u32,
        auto_delete: bool,
        arguments: Table,
    },
    /// A binding between the two.
    Binding {
        vhost: String,
        exchange: String,
        queue: String,
        key: String,
        arguments: Table,
    },
    /// A runtime parameter of a virtual host.
    Parameter {
        vhost: String,
        component: String,
        name: String,
        value: serde_json::Value,
    },
    /// A runtime parameter of the node.
    GlobalParameter {
        name: String,
        value: serde_json::Value,
    },
    /// A binding between two exchanges.
    ExchangeBinding {
        vhost: String,
        source: String,
        destination: String,
        key: String,
        arguments: Table,
    },
}

/// A key and its new value, or none to remove it.
pub(crate) type Change = (Vec<u8>, Option<Vec<u8>>);

impl Record {
    pub(crate) fn set(&self) -> Change {
        let value =
            serde_json::to_vec(self).expect("records have string keys and no failing serialisers");
        (self.key(), Some(value))
    }

    pub(crate) fn unset(&self) -> Change {
        (self.key(), None)
    }

    pub(crate) fn from_value(value: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(value).map_err(|error| {
            crate::store::Error::Damaged(format!("a definition: {error}").into()).into()
        })
    }

    /// Kind, then each part of the identity with its length in front: no two identities give the same bytes.
    fn key(&self) -> Vec<u8> {
        let arguments;
        let (kind, parts): (u8, Vec<&str>) = match self {
            Self::Counter { .. } => (b'c', Vec::new()),
            Self::Vhost { name, .. } => (b'v', vec![name]),
            Self::User { name, .. } => (b'u', vec![name]),
            Self::Permission { user, vhost, .. } => (b'p', vec![user, vhost]),
            Self::TopicPermission {
                user,
                vhost,
                exchange,
                ..
            } => (b't', vec![user, vhost, exchange]),
            Self::Parameter {
                vhost,
                component,
                name,
                ..
            } => (b'm', vec![vhost, component, name]),
            Self::GlobalParameter { name, .. } => (b'g', vec![name]),
            Self::Exchange { vhost, name, .. } => (b'e', vec![vhost, name]),
            Self::Queue { vhost, name, .. } => (b'q', vec![vhost, name]),
            Self::Binding {
                vhost,
                exchange,
                queue,
                key,
                arguments: table,
            } => {
                arguments = serde_json::to_string(table)
                    .expect("tables have string keys and no failing serialisers");
                (b'b', vec![vhost, exchange, queue, key, &arguments])
            }
            Self::ExchangeBinding {
                vhost,
                source,
                destination,
                key,
                arguments: table,
            } => {
                arguments = serde_json::to_string(table)
                    .expect("tables have string keys and no failing serialisers");
                (b'x', vec![vhost, source, destination, key, &arguments])
            }
        };
        let mut bytes = vec![kind];
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Record;
    use crate::broker::value::{Table, Value};

    #[test]
    fn a_record_survives_the_log_bit_by_bit() {
        let arguments = Table(vec![
            (
                "nan".to_owned(),
                Value::F64(f64::from_bits(0x7ff8_0000_0000_0001)),
            ),
            ("bytes".to_owned(), Value::String(vec![0, 255])),
        ]);
        let queue = Record::Queue {
            vhost: "/".into(),
            name: "q".into(),
            id: 7,
            auto_delete: false,
            arguments,
        };
        let (key, value) = queue.set();
        let read = Record::from_value(&value.unwrap()).unwrap();
        assert_eq!(read.unset(), (key, None));
        let Record::Queue { arguments, .. } = read else {
            panic!("another record")
        };
        let Some(Value::F64(nan)) = arguments.get("nan") else {
            panic!("another value")
        };
        assert_eq!(nan.to_bits(), 0x7ff8_0000_0000_0001);
    }

    #[test]
    fn records_of_earlier_releases_are_read() {
        let vhost = Record::from_value(br#"{"vhost":{"name":"/"}}"#).unwrap();
        assert!(
            matches!(vhost, Record::Vhost { name, tags, .. } if name == "/" && tags.is_empty())
        );
        let user = br#"{"user":{"name":"u","password_hash":"","hashing_algorithm":"a","tags":[]}}"#;
        assert!(matches!(
            Record::from_value(user).unwrap(),
            Record::User { limits, .. } if limits.is_empty()
        ));
    }

    #[test]
    fn identities_that_run_together_have_different_keys() {
        let permission = |user: &str, vhost: &str| {
            let [configure, write, read] = [(); 3].map(|()| String::new());
            Record::Permission {
                user: user.into(),
                vhost: vhost.into(),
                configure,
                write,
                read,
            }
            .unset()
            .0
        };
        assert_ne!(permission("ab", "c"), permission("a", "bc"));
    }
}
