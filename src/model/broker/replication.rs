//! Cross-Region data replication: two active/standby brokers of an account in two regions, of which
//! one takes what the other is sent.
//!
//! ```text
//!   replica created ──► PENDING ──primary rebooted──► ACTIVE ◄──► ENDING ──primary rebooted──► none
//!                                                       │
//!                                              promoted: the roles change
//! ```

use serde::{Deserialize, Serialize};

use super::{Broker, DeploymentMode, State};
use crate::model::{BrokerId, Invalid, Region, engine::EngineType, instance_type::InstanceType};

/// A broker's part in a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    pub role: Role,
    pub phase: Phase,
    pub counterpart: Counterpart,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counterpart {
    pub broker_id: BrokerId,
    pub region: Region,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    Primary,
    Replica,
}

impl Role {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Replica => "REPLICA",
        }
    }
}

/// How far a pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Begins when the primary is rebooted.
    Pending,
    Active,
    /// Ends when the primary is rebooted.
    Ending,
}

impl Phase {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Ending => "ending",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    None,
    Crdr,
}

impl Mode {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Crdr => "CRDR",
        }
    }

    /// Reads a requested mode, in any case; replication is for ActiveMQ.
    pub fn choose(text: &str, engine: EngineType) -> Result<Self, Invalid> {
        let refused = |message| Err(Invalid::new(ATTRIBUTE, message));
        let known = [Self::None, Self::Crdr];
        let mode = known
            .into_iter()
            .find(|mode| mode.name().eq_ignore_ascii_case(text));
        match mode {
            Some(Self::Crdr) if engine.is_rabbitmq_like() => refused(format!(
                "Data replication mode [{text}] is not supported for engine type [{}].",
                engine.name()
            )),
            Some(mode) => Ok(mode),
            None => refused(format!(
                "Data replication mode [{text}] is invalid. Valid values are: [NONE, CRDR]."
            )),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromoteMode {
    /// When both have the same state.
    Switchover,
    /// At once, whatever has not arrived.
    Failover,
}

impl PromoteMode {
    /// Accepts any case.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let known = [
            ("SWITCHOVER", Self::Switchover),
            ("FAILOVER", Self::Failover),
        ];
        let found = known
            .into_iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, mode)| mode).ok_or_else(|| {
            let text = format!(
                "Promote mode [{text}] is invalid. Valid values are: [SWITCHOVER, FAILOVER]."
            );
            Invalid::new("mode", text)
        })
    }
}

const ATTRIBUTE: &str = "dataReplicationMode";
const PRIMARY_ATTRIBUTE: &str = "dataReplicationPrimaryBrokerArn";

/// Refuses a replica that no pair can have: the developer guide, "Cross-Region data replication",
/// prerequisites.
pub fn check_layout(mode: DeploymentMode, instance: &InstanceType) -> Result<(), Invalid> {
    if mode != DeploymentMode::ActiveStandbyMultiAz {
        let text = format!(
            "Data replication mode [CRDR] is not supported in [{}] deployment mode.",
            mode.name()
        );
        return Err(Invalid::new(ATTRIBUTE, text));
    }
    if instance.name == "mq.t3.micro" {
        let text = format!(
            "Data replication mode [CRDR] is not supported for host instance type [{}].",
            instance.name
        );
        return Err(Invalid::new(ATTRIBUTE, text));
    }
    Ok(())
}

/// Refuses a primary that cannot have this replica.
pub fn check_primary(
    primary: &Broker,
    region: &Region,
    replica_version: (u32, u32),
) -> Result<(), Invalid> {
    let refused = |reason: &str| {
        let text = format!(
            "Broker [{}] can't be the primary broker of a replica. {reason}",
            primary.id
        );
        Err(Invalid::new(PRIMARY_ATTRIBUTE, text))
    };
    if primary.replication.is_some() {
        return refused("It is paired with another broker.");
    }
    if primary.scope.region == *region {
        return refused("The replica must be in another region.");
    }
    if primary.state() != State::Running {
        return refused("It must be in state [RUNNING].");
    }
    if primary.current().engine_version.minor() != replica_version {
        return refused("Both must have the same engine version.");
    }
    match InstanceType::find(&primary.current().host_instance_type) {
        Some(instance) if check_layout(primary.deployment_mode, instance).is_ok() => Ok(()),
        Some(_) | None => refused(
            "It must be an active/standby ActiveMQ broker of instance type [mq.m5.large] or larger.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_in_any_case_and_only_activemq_replicates() {
        let choose = |text, engine| Mode::choose(text, engine).map_err(|refused| refused.message);
        assert_eq!(choose("crdr", EngineType::ActiveMq), Ok(Mode::Crdr));
        for engine in EngineType::ALL {
            assert_eq!(choose("none", engine), Ok(Mode::None));
        }
        assert_eq!(
            choose("CRDR", EngineType::RabbitMq).unwrap_err(),
            "Data replication mode [CRDR] is not supported for engine type [RABBITMQ]."
        );
        assert_eq!(
            choose("sync", EngineType::ActiveMq).unwrap_err(),
            "Data replication mode [sync] is invalid. Valid values are: [NONE, CRDR]."
        );
        assert_eq!(PromoteMode::parse("failover"), Ok(PromoteMode::Failover));
        assert!(PromoteMode::parse("sideways").is_err());
    }

    #[test]
    fn a_pair_is_of_active_standby_brokers_of_a_size() {
        let large = InstanceType::find("mq.m5.large").unwrap();
        let micro = InstanceType::find("mq.t3.micro").unwrap();
        let standby = DeploymentMode::ActiveStandbyMultiAz;
        assert_eq!(check_layout(standby, large), Ok(()));
        assert!(check_layout(standby, micro).is_err());
        assert!(check_layout(DeploymentMode::SingleInstance, large).is_err());
    }

    #[test]
    fn what_is_stored_is_what_is_read() {
        for phase in [Phase::Pending, Phase::Active, Phase::Ending] {
            assert_eq!(serde_json::to_value(phase).unwrap(), phase.name());
        }
        for role in [Role::Primary, Role::Replica] {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
    }
}
