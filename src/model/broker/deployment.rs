//! How a broker is laid out: deployment mode, storage, and who authenticates its users.

use serde::{Deserialize, Serialize};

use crate::model::{Invalid, engine::EngineType};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeploymentMode {
    SingleInstance,
    ActiveStandbyMultiAz,
    ClusterMultiAz,
}

impl DeploymentMode {
    pub const ALL: [Self; 3] = [
        Self::SingleInstance,
        Self::ActiveStandbyMultiAz,
        Self::ClusterMultiAz,
    ];

    /// Accepts any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(text))
    }

    /// As stored and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleInstance => "SINGLE_INSTANCE",
            Self::ActiveStandbyMultiAz => "ACTIVE_STANDBY_MULTI_AZ",
            Self::ClusterMultiAz => "CLUSTER_MULTI_AZ",
        }
    }

    /// Reads a requested mode, and refuses what the engine cannot run.
    pub fn choose(text: &str, engine: EngineType) -> Result<Self, Invalid> {
        let refused = |message: String| Err(Invalid::new("deploymentMode", message));
        let Some(mode) = Self::parse(text) else {
            return refused(format!(
                "Broker deployment mode [{text}] is invalid. Valid values are: [SINGLE_INSTANCE]."
            ));
        };
        match (mode, engine) {
            (Self::SingleInstance, _) => Ok(mode),
            (Self::ActiveStandbyMultiAz, EngineType::RabbitMq | EngineType::LavinMq) => {
                refused(format!(
                    "Deployment mode [{}] is not supported for engine type [{}].",
                    mode.name(),
                    engine.name(),
                ))
            }
            (Self::ActiveStandbyMultiAz, EngineType::ActiveMq) | (Self::ClusterMultiAz, _) => {
                refused(format!(
                    "Deployment mode [{}] is not available yet. Valid values are: \
                     [SINGLE_INSTANCE].",
                    mode.name(),
                ))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StorageType {
    Ebs,
    Efs,
}

impl StorageType {
    pub const ALL: [Self; 2] = [Self::Ebs, Self::Efs];

    /// Accepts any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|storage| storage.name().eq_ignore_ascii_case(text))
    }

    /// As stored and in responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ebs => "ebs",
            Self::Efs => "efs",
        }
    }

    /// Reads a requested storage type; EBS when none is asked for.
    pub fn choose(text: Option<&str>, engine: EngineType) -> Result<Self, Invalid> {
        let Some(text) = text else {
            return Ok(Self::Ebs);
        };
        match Self::parse(text) {
            Some(Self::Ebs) => Ok(Self::Ebs),
            Some(Self::Efs) => Err(Invalid::new(
                "storageType",
                format!(
                    "Storage type [EFS] is not supported for engine type [{}].",
                    engine.name()
                ),
            )),
            None => Err(Invalid::new(
                "storageType",
                format!("Storage type [{text}] is invalid. Valid values are: [EBS]."),
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationStrategy {
    Simple,
    Ldap,
    ConfigManaged,
}

impl AuthenticationStrategy {
    pub const ALL: [Self; 3] = [Self::Simple, Self::Ldap, Self::ConfigManaged];

    /// Accepts any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.name().eq_ignore_ascii_case(text))
    }

    /// As stored and in responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Ldap => "ldap",
            Self::ConfigManaged => "config_managed",
        }
    }

    /// Reads a requested strategy; simple when none is asked for.
    pub fn choose(text: Option<&str>) -> Result<Self, Invalid> {
        let Some(text) = text else {
            return Ok(Self::Simple);
        };
        let refused = |message| Err(Invalid::new("authenticationStrategy", message));
        match Self::parse(text) {
            Some(Self::Simple) => Ok(Self::Simple),
            Some(strategy @ (Self::Ldap | Self::ConfigManaged)) => refused(format!(
                "Authentication strategy [{}] is not available yet. Valid values are: [SIMPLE].",
                strategy.name().to_uppercase(),
            )),
            None => refused(format!(
                "Authentication strategy [{text}] is invalid. Valid values are: [SIMPLE]."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_case_is_read() {
        assert_eq!(
            DeploymentMode::choose("single_instance", EngineType::RabbitMq),
            Ok(DeploymentMode::SingleInstance)
        );
        assert_eq!(
            StorageType::choose(Some("EBS"), EngineType::RabbitMq),
            Ok(StorageType::Ebs)
        );
        let simple = AuthenticationStrategy::choose(Some("SIMPLE"));
        assert_eq!(simple, Ok(AuthenticationStrategy::Simple));
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_name() {
        for (text, engine) in [
            ("CLUSTER_MULTI_AZ", EngineType::RabbitMq),
            ("ACTIVE_STANDBY_MULTI_AZ", EngineType::RabbitMq),
            ("ACTIVE_STANDBY_MULTI_AZ", EngineType::ActiveMq),
            ("CLUSTER_MULTI_AZ", EngineType::LavinMq),
            ("dm", EngineType::RabbitMq),
        ] {
            let refused = DeploymentMode::choose(text, engine).unwrap_err();
            assert_eq!(refused.attribute, "deploymentMode");
            assert!(
                refused.message.contains(&format!("[{text}]")),
                "{}",
                refused.message
            );
        }
        assert!(StorageType::choose(Some("efs"), EngineType::RabbitMq).is_err());
        assert!(AuthenticationStrategy::choose(Some("ldap")).is_err());
    }

    #[test]
    fn stored_and_written_forms_agree() {
        for mode in DeploymentMode::ALL {
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
        }
        for storage in StorageType::ALL {
            assert_eq!(serde_json::to_value(storage).unwrap(), storage.name());
        }
        for strategy in AuthenticationStrategy::ALL {
            assert_eq!(serde_json::to_value(strategy).unwrap(), strategy.name());
        }
    }
}
