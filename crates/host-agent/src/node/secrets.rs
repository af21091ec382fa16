//! What only this host and its node know: the monitoring user, and the users of the first start.

use std::path::Path;

use agent_api::{Defaults, UserIntent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Error, files};

/// The user of the agent's round trips. The node keeps it in memory, hides it from the broker's
/// owner, and lets only loopback peers use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Monitoring {
    pub(super) name: String,
    pub(super) password: String,
}

impl Monitoring {
    /// A user with a fresh random password.
    pub(super) fn generate() -> Result<Self, Error> {
        let mut bytes = [0_u8; 24];
        rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut bytes)
            .map_err(|_| Error::Unavailable("the random number generator failed".to_owned()))?;
        let password = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            name: "warren.monitoring".to_owned(),
            password,
        })
    }

    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        files::read_json(path)
    }
}

/// RabbitMQ's definitions document: the users with all permissions on the default virtual host, and
/// what else this has from the start.
pub(super) fn definitions(users: &[UserIntent], defaults: &Defaults) -> Value {
    let users: Vec<&UserIntent> = users.iter().filter(|user| !user.removed).collect();
    let accounts = users.iter().map(|user| {
        json!({
            "name": user.name,
            "password_hash": user.password_hash,
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": user.tags,
        })
    });
    let permissions = users.iter().map(|user| {
        json!({ "user": user.name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" })
    });
    let policies = defaults.policies.iter().map(|policy| {
        json!({
            "vhost": "/",
            "name": policy.name,
            "pattern": policy.pattern,
            "apply-to": policy.apply_to,
            "priority": policy.priority,
            "definition": policy.definition,
        })
    });
    let limits = defaults.limits.iter().map(|limits| {
        json!({
            "vhost": "/",
            "component": "vhost-limits",
            "name": "limits",
            "value": {
                "max-connections": limits.connections_max,
                "max-queues": limits.queues_max,
            },
        })
    });
    json!({
        "users": accounts.collect::<Vec<_>>(),
        "vhosts": [{ "name": "/" }],
        "permissions": permissions.collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
        "parameters": limits.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use agent_api::{PolicyIntent, VhostLimits};

    use super::*;

    #[test]
    fn every_generation_has_another_password() {
        let (first, second) = (
            Monitoring::generate().unwrap(),
            Monitoring::generate().unwrap(),
        );
        assert_eq!(first.password.len(), 48);
        assert_ne!(first.password, second.password);
    }

    #[test]
    fn definitions_carry_hashes_and_permissions() {
        let user = UserIntent {
            name: "ann".to_owned(),
            password_hash: "aGFzaA==".to_owned(),
            tags: vec!["administrator".to_owned()],
            revision: 0,
            removed: false,
        };
        let gone = UserIntent {
            name: "ben".to_owned(),
            removed: true,
            ..user.clone()
        };
        let defaults = Defaults {
            policies: vec![PolicyIntent {
                name: "lazy".to_owned(),
                pattern: ".*".to_owned(),
                apply_to: "all".to_owned(),
                priority: 0,
                definition: [("queue-mode".to_owned(), "lazy".to_owned())].into(),
            }],
            limits: Some(VhostLimits {
                connections_max: 100,
                queues_max: 2500,
            }),
        };
        let document = definitions(&[gone, user], &defaults);
        assert_eq!(document["users"].as_array().unwrap().len(), 1);
        assert_eq!(document["policies"][0]["definition"]["queue-mode"], "lazy");
        assert_eq!(document["parameters"][0]["value"]["max-queues"], 2500);
        assert_eq!(document["users"][0]["password_hash"], "aGFzaA==");
        assert_eq!(document["users"][0]["tags"], json!(["administrator"]));
        assert_eq!(document["permissions"][0]["user"], "ann");
        assert_eq!(
            document["permissions"][0]["vhost"],
            document["vhosts"][0]["name"]
        );
    }
}
