//! Amazon resource names of brokers and configurations.
//!
//! `arn:aws:mq:<region>:<account>:broker:<name>:<id>` and
//! `arn:aws:mq:<region>:<account>:configuration:<id>`.

use std::fmt;

use super::{BrokerId, ConfigurationId, Region, Scope};
use crate::model::AccountId;

/// A resource of one account in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceArn {
    pub scope: Scope,
    pub resource: Resource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    Broker {
        name: String,
        id: BrokerId,
    },
    Configuration {
        id: ConfigurationId,
    },
    /// Every resource of the scope: what creating and listing are asked about.
    All,
}

impl ResourceArn {
    pub fn broker(scope: &Scope, name: &str, id: &BrokerId) -> Self {
        let resource = Resource::Broker {
            name: name.to_owned(),
            id: id.clone(),
        };
        Self {
            scope: scope.clone(),
            resource,
        }
    }

    pub fn configuration(scope: &Scope, id: &ConfigurationId) -> Self {
        Self {
            scope: scope.clone(),
            resource: Resource::Configuration { id: id.clone() },
        }
    }

    pub fn all(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            resource: Resource::All,
        }
    }

    /// Reads the ARN of a broker or a configuration; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("arn:aws:mq:")?;
        let mut parts = rest.split(':');
        let region = Region::parse(parts.next()?)?;
        let account_id = AccountId::parse(parts.next()?)?;
        let resource = match parts.next()? {
            "broker" => Resource::Broker {
                name: parts.next()?.to_owned(),
                id: BrokerId::parse(parts.next()?)?,
            },
            "configuration" => Resource::Configuration {
                id: ConfigurationId::parse(parts.next()?)?,
            },
            _ => return None,
        };
        parts.next().is_none().then_some(Self {
            scope: Scope { account_id, region },
            resource,
        })
    }
}

impl fmt::Display for ResourceArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:aws:mq:{}:{}:",
            self.scope.region, self.scope.account_id
        )?;
        match &self.resource {
            Resource::Broker { name, id } => write!(f, "broker:{name}:{id}"),
            Resource::Configuration { id } => write!(f, "configuration:{id}"),
            Resource::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROKER: &str = "arn:aws:mq:us-east-1:123456789012:broker:orders:\
                          b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10";
    const CONFIGURATION: &str =
        "arn:aws:mq:eu-north-1:123456789012:configuration:c-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10";

    #[test]
    fn what_is_written_reads_back() {
        for text in [BROKER, CONFIGURATION] {
            assert_eq!(ResourceArn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "arn:aws:sqs:us-east-1:123456789012:queue",
            "arn:aws:mq:us-east-1:123456789012:*",
            "arn:aws:mq:us-east-1:1234:configuration:c-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10",
            &format!("{BROKER}:more"),
            &BROKER.replace(":b-", ":c-"),
        ] {
            assert_eq!(ResourceArn::parse(text), None, "{text}");
        }
    }
}
