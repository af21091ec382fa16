//! How a broker is laid out: deployment mode, storage, and who authenticates its users.

use serde::{Deserialize, Serialize};

use crate::model::{
    Invalid,
    engine::EngineType,
    instance_type::{Family, InstanceType},
};

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

    /// Which brokers of an engine type there are, simple ones first.
    pub fn of(engine: EngineType) -> &'static [Self] {
        match engine {
            EngineType::ActiveMq => &[Self::SingleInstance, Self::ActiveStandbyMultiAz],
            EngineType::LavinMq | EngineType::RabbitMq => {
                &[Self::SingleInstance, Self::ClusterMultiAz]
            }
        }
    }

    /// How many nodes a broker has.
    pub fn nodes(self) -> usize {
        match self {
            Self::SingleInstance => 1,
            Self::ActiveStandbyMultiAz => 2,
            Self::ClusterMultiAz => 3,
        }
    }

    /// Reads a requested mode, and refuses what nobody here can run.
    pub fn choose(text: &str, engine: EngineType, hosts: SimulatedHosts) -> Result<Self, Invalid> {
        let refused = |message: String| Err(Invalid::new("deploymentMode", message));
        let there_are = Self::of(engine);
        let served = match hosts {
            SimulatedHosts::Present => there_are,
            SimulatedHosts::Absent => &there_are[..1],
        };
        let names: Vec<_> = served.iter().map(|mode| mode.name()).collect();
        let names = names.join(", ");
        match Self::parse(text) {
            Some(mode) if served.contains(&mode) => Ok(mode),
            Some(mode) if there_are.contains(&mode) => refused(format!(
                "Deployment mode [{}] is not available yet. Valid values are: [{names}].",
                mode.name(),
            )),
            Some(mode) => refused(format!(
                "Deployment mode [{}] is not supported for engine type [{}].",
                mode.name(),
                engine.name(),
            )),
            None => refused(format!(
                "Broker deployment mode [{text}] is invalid. Valid values are: [{names}]."
            )),
        }
    }
}

/// Whether an installation has hosts that only play what their nodes would do: tests and
/// development have them, for what no engine serves yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SimulatedHosts {
    Present,
    #[default]
    Absent,
}

impl SimulatedHosts {
    pub fn when(present: bool) -> Self {
        if present { Self::Present } else { Self::Absent }
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

    /// Reads a requested storage type. EBS is for one zone and for instances of a size, EFS for
    /// ActiveMQ alone, and its default.
    pub fn choose(
        text: Option<&str>,
        engine: EngineType,
        mode: DeploymentMode,
        instance: &InstanceType,
    ) -> Result<Self, Invalid> {
        let refused = |message: String| Err(Invalid::new("storageType", message));
        let storage = match text.map(|text| (text, Self::parse(text))) {
            None if engine.is_rabbitmq_like() => Self::Ebs,
            None => Self::Efs,
            Some((_, Some(storage))) => storage,
            Some((text, None)) => {
                let valid = if engine.is_rabbitmq_like() {
                    "EBS"
                } else {
                    "EBS, EFS"
                };
                return refused(format!(
                    "Storage type [{text}] is invalid. Valid values are: [{valid}]."
                ));
            }
        };
        match (storage, engine.is_rabbitmq_like()) {
            (Self::Ebs, true) | (Self::Efs, false) => Ok(storage),
            (Self::Efs, true) => refused(format!(
                "Storage type [EFS] is not supported for engine type [{}].",
                engine.name()
            )),
            (Self::Ebs, false) if mode == DeploymentMode::ActiveStandbyMultiAz => refused(
                "Storage type [EBS] is not supported in [ACTIVE_STANDBY_MULTI_AZ] deployment mode."
                    .to_owned(),
            ),
            (Self::Ebs, false) if instance.family != Family::M5 => refused(format!(
                "Storage type [EBS] is not supported for host instance type [{}].",
                instance.name
            )),
            (Self::Ebs, false) => Ok(storage),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticationStrategy {
    #[default]
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

    /// Reads a requested strategy; simple when none is asked for. Directories are for ActiveMQ,
    /// and what the configuration says for the others, whose engine does not act on it yet.
    pub fn choose(text: Option<&str>, engine: EngineType) -> Result<Self, Invalid> {
        let Some(text) = text else {
            return Ok(Self::Simple);
        };
        let refused = |message| Err(Invalid::new("authenticationStrategy", message));
        let valid = if engine.is_rabbitmq_like() {
            "SIMPLE"
        } else {
            "SIMPLE, LDAP"
        };
        match (Self::parse(text), engine.is_rabbitmq_like()) {
            (Some(strategy @ Self::Simple), _) | (Some(strategy @ Self::Ldap), false) => {
                Ok(strategy)
            }
            (Some(Self::ConfigManaged), true) => refused(format!(
                "Authentication strategy [CONFIG_MANAGED] is not available yet. Valid values are: \
                 [{valid}]."
            )),
            (Some(strategy @ (Self::Ldap | Self::ConfigManaged)), _) => refused(format!(
                "Authentication strategy [{}] is not supported for engine type [{}].",
                strategy.name().to_uppercase(),
                engine.name(),
            )),
            (None, _) => refused(format!(
                "Authentication strategy [{text}] is invalid. Valid values are: [{valid}]."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: SimulatedHosts = SimulatedHosts::Absent;
    const PRESENT: SimulatedHosts = SimulatedHosts::Present;

    #[test]
    fn any_case_is_read() {
        assert_eq!(
            DeploymentMode::choose("single_instance", EngineType::RabbitMq, ABSENT),
            Ok(DeploymentMode::SingleInstance)
        );
        let large = InstanceType::find("mq.m5.large").unwrap();
        let single = DeploymentMode::SingleInstance;
        assert_eq!(
            StorageType::choose(Some("EBS"), EngineType::RabbitMq, single, large),
            Ok(StorageType::Ebs)
        );
        for engine in EngineType::ALL {
            let simple = AuthenticationStrategy::choose(Some("SIMPLE"), engine);
            assert_eq!(simple, Ok(AuthenticationStrategy::Simple));
        }
    }

    #[test]
    fn modes_are_those_of_the_engine_and_of_the_hosts_there_are() {
        let choose = |text, engine, hosts| {
            DeploymentMode::choose(text, engine, hosts).map_err(|refused| {
                assert_eq!(refused.attribute, "deploymentMode");
                refused.message
            })
        };
        let (cluster, standby) = ("CLUSTER_MULTI_AZ", "ACTIVE_STANDBY_MULTI_AZ");
        for (text, engine) in [
            (cluster, EngineType::RabbitMq),
            (standby, EngineType::ActiveMq),
            (cluster, EngineType::LavinMq),
        ] {
            assert_eq!(
                choose(text, engine, ABSENT).unwrap_err(),
                format!(
                    "Deployment mode [{text}] is not available yet. Valid values are: \
                     [SINGLE_INSTANCE]."
                )
            );
            assert_eq!(choose(text, engine, PRESENT).unwrap().name(), text);
        }
        for (text, engine) in [
            (standby, EngineType::RabbitMq),
            (cluster, EngineType::ActiveMq),
        ] {
            assert_eq!(
                choose(text, engine, PRESENT).unwrap_err(),
                format!(
                    "Deployment mode [{text}] is not supported for engine type [{}].",
                    engine.name()
                )
            );
        }
        assert_eq!(
            choose("dm", EngineType::ActiveMq, PRESENT).unwrap_err(),
            "Broker deployment mode [dm] is invalid. Valid values are: [SINGLE_INSTANCE, \
             ACTIVE_STANDBY_MULTI_AZ]."
        );
    }

    #[test]
    fn storage_is_what_the_engine_the_zones_and_the_instances_allow() {
        let choose = |text, engine, mode, instance| {
            let instance = InstanceType::find(instance).unwrap();
            StorageType::choose(text, engine, mode, instance).map_err(|refused| refused.message)
        };
        let (single, standby) = (
            DeploymentMode::SingleInstance,
            DeploymentMode::ActiveStandbyMultiAz,
        );
        let active = EngineType::ActiveMq;
        assert_eq!(
            choose(None, active, single, "mq.t3.micro"),
            Ok(StorageType::Efs)
        );
        assert_eq!(
            choose(None, active, standby, "mq.m5.large"),
            Ok(StorageType::Efs)
        );
        let ebs = Some("ebs");
        assert_eq!(
            choose(ebs, active, single, "mq.m5.large"),
            Ok(StorageType::Ebs)
        );
        assert_eq!(
            choose(ebs, active, single, "mq.t3.micro").unwrap_err(),
            "Storage type [EBS] is not supported for host instance type [mq.t3.micro]."
        );
        assert_eq!(
            choose(ebs, active, standby, "mq.m5.large").unwrap_err(),
            "Storage type [EBS] is not supported in [ACTIVE_STANDBY_MULTI_AZ] deployment mode."
        );
        let rabbit = EngineType::RabbitMq;
        assert_eq!(
            choose(None, rabbit, single, "mq.m7g.large"),
            Ok(StorageType::Ebs)
        );
        assert_eq!(
            choose(Some("efs"), rabbit, single, "mq.m7g.large").unwrap_err(),
            "Storage type [EFS] is not supported for engine type [RABBITMQ]."
        );
        assert_eq!(
            choose(Some("tape"), active, single, "mq.m5.large").unwrap_err(),
            "Storage type [tape] is invalid. Valid values are: [EBS, EFS]."
        );
    }

    #[test]
    fn strategies_are_those_of_the_engine() {
        let choose = |text, engine| {
            AuthenticationStrategy::choose(Some(text), engine).map_err(|refused| refused.message)
        };
        assert_eq!(
            choose("ldap", EngineType::ActiveMq),
            Ok(AuthenticationStrategy::Ldap)
        );
        assert_eq!(
            choose("LDAP", EngineType::RabbitMq).unwrap_err(),
            "Authentication strategy [LDAP] is not supported for engine type [RABBITMQ]."
        );
        assert_eq!(
            choose("config_managed", EngineType::ActiveMq).unwrap_err(),
            "Authentication strategy [CONFIG_MANAGED] is not supported for engine type [ACTIVEMQ]."
        );
        assert!(choose("config_managed", EngineType::RabbitMq).is_err());
        assert!(choose("kerberos", EngineType::ActiveMq).is_err());
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
