//! The customer's broker.
//!
//! Three sets of start-up values are kept apart: what is **staged** (accepted, waits for a reboot
//! or the maintenance window), what is **intended** (what the current generation of the nodes
//! shall run with) and what is **applied** (what every node last proved to run with). A broker's
//! state is never stored: [`state`] folds it from these facts.

pub mod action;
mod at_once;
pub mod deployment;
pub mod directory;
pub mod maintenance_window;
pub mod name;
pub mod replication;
pub mod request;
pub mod state;
pub mod storage_size;
pub mod user;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    BrokerId, Invalid, Scope,
    arn::ResourceArn,
    configuration::ConfigurationRef,
    engine::{EngineType, EngineVersion, UpgradeReason},
    node::Placement,
    tag::Tags,
};
pub use action::ActionRequired;
pub use deployment::{AuthenticationStrategy, DeploymentMode, SimulatedHosts, StorageType};
pub use directory::{Directory, DirectoryRequest, DraftDirectory};
pub use maintenance_window::MaintenanceWindow;
pub use replication::Replication;
use replication::{Phase, Role};
pub use request::{CreateBroker, Draft, UpdateBroker};
pub use state::State;
pub use user::{BrokerUser, PendingUser, UserChange, UserSummary};

/// What belongs to a broker and is told with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Where its nodes are, by their ordinals; those without a place are left out.
    pub places: Vec<Placement>,
    /// By name.
    pub users: Vec<UserSummary>,
    pub tags: Tags,
}

/// Subnets that callers left to us are named after the zone they stand for.
pub const LOCAL_SUBNET_PREFIX: &str = "subnet-local-";

#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    pub id: BrokerId,
    pub scope: Scope,
    /// Unique in its scope.
    pub name: String,
    pub creator_request_id: Option<String>,
    /// SHA-256 of the request that created it, to tell a replay from a reused token.
    pub creator_request_hash: Option<Vec<u8>>,
    pub engine_type: EngineType,
    pub deployment_mode: DeploymentMode,
    pub publicly_accessible: bool,
    pub storage_type: StorageType,
    pub subnet_ids: Vec<String>,
    pub settings: Settings,
    pub intended: Launch,
    /// `None` until the broker has run once.
    pub applied: Option<Launch>,
    pub staged: StagedLaunch,
    /// Configuration revisions that were applied before, oldest first.
    pub configuration_history: Vec<ConfigurationRef>,
    /// Each create or reboot is one generation of the nodes, from 1.
    pub generation: i64,
    /// The newest generation that every node proved; 0 before the first.
    pub applied_generation: i64,
    pub deletion_requested_at: Option<DateTime<Utc>>,
    /// Why the broker cannot become what was asked for, for operators.
    pub failure: Option<String>,
    /// What its nodes need its owner for.
    pub actions_required: Vec<ActionRequired>,
    /// Its part in a pair of brokers; a pair's row is the truth, this is what was read of it.
    pub replication: Option<Replication>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What takes effect without a restart, and what is fixed at creation.
///
/// The tag is for the previous release: it wants to read the strategy that is in [`Launch`] now,
/// and knows no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "authentication_strategy", rename = "simple")]
pub struct Settings {
    pub auto_minor_version_upgrade: bool,
    pub encryption: Encryption,
    pub maintenance_window: MaintenanceWindow,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    pub use_aws_owned_key: bool,
    pub kms_key_id: Option<String>,
}

/// What a node is started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub engine_version: EngineVersion,
    /// The engine release that serves it; `None` of brokers older than releases are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_release: Option<String>,
    pub host_instance_type: String,
    pub configuration: ConfigurationRef,
    #[serde(default)]
    pub general_logs: bool,
    /// ActiveMQ's log of what was done in its console and over JMX.
    #[serde(default)]
    pub audit_logs: bool,
    /// Empty when the caller never named any.
    #[serde(default)]
    pub security_groups: Vec<String>,
    #[serde(default)]
    pub authentication_strategy: AuthenticationStrategy,
    /// Whose users there are; kept when a broker goes back to users of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// Of each node's volume, where the owner may choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_size_gb: Option<i32>,
}

/// The parts of [`Launch`] that a reboot will change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedLaunch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<EngineVersion>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_release: Option<String>,
    /// Why the release is staged when it was not the owner who asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub general_logs: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_logs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_strategy: Option<AuthenticationStrategy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_size_gb: Option<i32>,
}

impl Launch {
    /// These values with the staged ones in their place.
    pub fn with(self, staged: StagedLaunch) -> Self {
        Self {
            engine_version: staged.engine_version.unwrap_or(self.engine_version),
            engine_release: staged.engine_release.or(self.engine_release),
            host_instance_type: staged.host_instance_type.unwrap_or(self.host_instance_type),
            configuration: staged.configuration.unwrap_or(self.configuration),
            general_logs: staged.general_logs.unwrap_or(self.general_logs),
            audit_logs: staged.audit_logs.unwrap_or(self.audit_logs),
            security_groups: staged.security_groups.unwrap_or(self.security_groups),
            authentication_strategy: staged
                .authentication_strategy
                .unwrap_or(self.authentication_strategy),
            directory: staged.directory.or(self.directory),
            storage_size_gb: staged.storage_size_gb.or(self.storage_size_gb),
        }
    }

    /// The least that has to be staged on these values to arrive at `next`: what is asked for
    /// again, or taken back, is not staged.
    pub fn difference(&self, next: Self) -> StagedLaunch {
        fn changed<T: PartialEq>(now: &T, next: T) -> Option<T> {
            (*now != next).then_some(next)
        }
        StagedLaunch {
            engine_version: changed(&self.engine_version, next.engine_version),
            engine_release: changed(&self.engine_release, next.engine_release).flatten(),
            upgrade: None,
            host_instance_type: changed(&self.host_instance_type, next.host_instance_type),
            configuration: changed(&self.configuration, next.configuration),
            general_logs: changed(&self.general_logs, next.general_logs),
            audit_logs: changed(&self.audit_logs, next.audit_logs),
            security_groups: changed(&self.security_groups, next.security_groups),
            authentication_strategy: changed(
                &self.authentication_strategy,
                next.authentication_strategy,
            ),
            directory: changed(&self.directory, next.directory).flatten(),
            storage_size_gb: changed(&self.storage_size_gb, next.storage_size_gb).flatten(),
        }
    }
}

/// Whether no engine serves brokers of this kind yet.
pub fn is_simulated(engine: EngineType, mode: DeploymentMode) -> bool {
    match engine {
        EngineType::ActiveMq => true,
        EngineType::LavinMq | EngineType::RabbitMq => mode != DeploymentMode::SingleInstance,
    }
}

impl Broker {
    pub fn arn(&self) -> ResourceArn {
        ResourceArn::broker(&self.scope, &self.name, &self.id)
    }

    pub fn state(&self) -> State {
        State::fold(&state::Facts {
            generation: self.generation,
            applied_generation: self.applied_generation,
            deletion_requested: self.deletion_requested_at.is_some(),
            failed: self.failure.is_some(),
            critical: !self.actions_required.is_empty(),
            replica: self.is_replica(),
        })
    }

    /// Whether another broker's messages arrive here, and no others.
    pub fn is_replica(&self) -> bool {
        let pair = self.replication.as_ref();
        pair.is_some_and(|pair| pair.role == Role::Replica && pair.phase != Phase::Pending)
    }

    /// Whether its pair begins or ends when it is rebooted.
    pub fn pair_waits(&self) -> bool {
        let pair = self.replication.as_ref();
        pair.is_some_and(|pair| pair.role == Role::Primary && pair.phase != Phase::Active)
    }

    /// What clients see as in force: the applied values, or the intended ones before the first
    /// start.
    pub fn current(&self) -> &Launch {
        self.applied.as_ref().unwrap_or(&self.intended)
    }

    /// What the next reboot will start the nodes with.
    pub fn next(&self) -> Launch {
        self.intended.clone().with(self.staged.clone())
    }

    /// Keeps `next` for the next reboot.
    pub fn stage(&mut self, next: Launch) {
        let before = std::mem::replace(&mut self.staged, self.intended.difference(next));
        let same_engine = before.engine_version == self.staged.engine_version
            && before.engine_release == self.staged.engine_release;
        if same_engine {
            self.staged.upgrade = before.upgrade;
        }
    }

    /// Whether no engine serves such brokers yet, so that only simulated hosts can have them.
    pub fn is_simulated(&self) -> bool {
        is_simulated(self.engine_type, self.deployment_mode)
    }

    /// What waits of a login of the broker, for which `staged` is staged. ActiveMQ's first start makes
    /// its logins; the others have theirs from the beginning.
    pub fn pending_change(&self, staged: Option<UserChange>) -> Option<UserChange> {
        let made_by_start = !self.engine_type.is_rabbitmq_like() && !self.has_run();
        staged.or_else(|| made_by_start.then_some(UserChange::Create))
    }

    /// Whether the broker has ever run, so that its nodes' addresses can be told.
    pub fn has_run(&self) -> bool {
        self.applied_generation > 0
    }

    /// Refuses to restart a broker that raises an alarm, unless that is how its owner means to end it: with another
    /// instance type or configuration.
    pub fn check_alarms(&self) -> Result<(), Invalid> {
        let mut actions = self.actions_required.iter();
        let Some(action) = actions.find(|action| action.forbids_reboot()) else {
            return Ok(());
        };
        if self.staged.host_instance_type.is_some() || self.staged.configuration.is_some() {
            return Ok(());
        }
        let text = format!(
            "Broker [{}] can't be rebooted while it raises [{}]. Resolve the alarm first: {}",
            self.id,
            action.code(),
            action.info(),
        );
        Err(Invalid::new("broker-id", text))
    }

    /// Starts the next generation with everything that is staged.
    pub fn next_generation(&mut self, now: DateTime<Utc>) {
        let staged = std::mem::take(&mut self.staged);
        self.intended = self.intended.clone().with(staged);
        self.generation += 1;
        self.updated_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConfigurationId;

    fn launch() -> Launch {
        Launch {
            engine_version: EngineVersion::parse("3.13").unwrap(),
            engine_release: None,
            host_instance_type: "mq.m7g.medium".into(),
            configuration: ConfigurationRef {
                id: ConfigurationId::from_uuid(uuid::Uuid::nil()),
                revision: 1,
            },
            general_logs: false,
            audit_logs: false,
            security_groups: vec!["sg-1".into()],
            authentication_strategy: AuthenticationStrategy::Simple,
            directory: None,
            storage_size_gb: None,
        }
    }

    #[test]
    fn only_what_differs_is_staged_and_leads_where_it_should() {
        assert_eq!(launch().difference(launch()), StagedLaunch::default());
        let next = Launch {
            engine_version: EngineVersion::parse("4.2").unwrap(),
            security_groups: Vec::new(),
            ..launch()
        };
        let staged = launch().difference(next.clone());
        assert_eq!(staged.security_groups, Some(Vec::new()));
        assert_eq!(staged.host_instance_type, None);
        assert_eq!(launch().with(staged), next);
    }

    #[test]
    fn launch_values_of_earlier_releases_read_back() {
        let stored = r#"{"engine_version":"3.13","host_instance_type":"mq.m7g.medium",
            "configuration":{"id":"c-00000000-0000-0000-0000-000000000000","revision":1}}"#;
        let read: Launch = serde_json::from_str(stored).unwrap();
        let expected = Launch {
            security_groups: Vec::new(),
            ..launch()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn settings_are_read_by_the_previous_release_and_read_its() {
        let settings = Settings {
            auto_minor_version_upgrade: true,
            encryption: Encryption {
                use_aws_owned_key: true,
                kms_key_id: None,
            },
            maintenance_window: MaintenanceWindow::after(DateTime::UNIX_EPOCH),
        };
        let stored = serde_json::to_value(&settings).unwrap();
        assert_eq!(stored["authentication_strategy"], "simple");
        assert_eq!(
            serde_json::from_value::<Settings>(stored).unwrap(),
            settings
        );
    }
}
