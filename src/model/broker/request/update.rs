//! UpdateBroker as callers send it, and its translation into what is to be changed.
//!
//! A member that is left out stays as it is. A member that repeats what the broker has, or will
//! have, changes nothing and is never refused.

use serde::{Deserialize, Serialize};

use super::{
    ConfigurationChoice, ConfigurationRequest, LogsRequest, WindowRequest, check_auto_minor,
    check_directory, configuration, directory, logs, network, refuse, window,
};
use crate::model::{
    Invalid,
    broker::{
        AuthenticationStrategy, Broker, Directory, DirectoryRequest, DraftDirectory,
        MaintenanceWindow, StagedLaunch,
        replication::{Mode, Role},
        storage_size,
    },
    configuration::ConfigurationRef,
    engine::{Catalogue, EngineVersion},
    instance_type::InstanceType,
    parity::Parity,
};

/// An UpdateBroker request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UpdateBroker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_replication_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap_server_metadata: Option<DirectoryRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_window_start_time: Option<WindowRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_share_arns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_size: Option<i64>,
}

/// A valid request: what it names, and nothing else. The configuration is yet to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    pub authentication_strategy: Option<AuthenticationStrategy>,
    pub auto_minor_version_upgrade: Option<bool>,
    pub configuration: Option<ConfigurationChoice>,
    /// Its password is yet to be compared with the one there is, or sealed.
    pub directory: Option<DraftDirectory>,
    pub replication: Option<Mode>,
    pub engine_version: Option<EngineVersion>,
    /// The release of that version, when it is not the one that the broker has.
    pub engine_release: Option<String>,
    pub general_logs: Option<bool>,
    pub audit_logs: Option<bool>,
    pub host_instance_type: Option<String>,
    pub maintenance_window: Option<MaintenanceWindow>,
    /// Whether it was asked for that nothing be shared, as it always is.
    pub no_shares: bool,
    pub security_groups: Option<Vec<String>>,
    pub storage_size_gb: Option<i32>,
}

/// What an update refers to, found or made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub configuration: Option<ConfigurationRef>,
    pub directory: Option<Directory>,
}

impl UpdateBroker {
    /// Checks every member against what the broker is, and what the next reboot will make it.
    pub fn check(
        self,
        broker: &Broker,
        catalogue: &Catalogue,
        parity: Parity,
    ) -> Result<Update, Invalid> {
        let engine = broker.engine_type;
        let next = broker.next();
        let shares = self.resource_share_arns.as_deref();
        refuse(
            "resourceShareArns",
            shares.is_some_and(|arns| !arns.is_empty()),
        )?;
        let replication = self.data_replication_mode.as_deref();
        let replication = replication
            .map(|text| Mode::choose(text, engine))
            .transpose()?;
        check_global(broker, &self, replication)?;
        if replication == Some(Mode::Crdr) && broker.replication.is_none() {
            let text = "Create a replica broker to set data replication mode [CRDR].";
            return Err(Invalid::new("dataReplicationMode", text));
        }
        let authentication_strategy = self
            .authentication_strategy
            .map(|text| AuthenticationStrategy::choose(Some(&text), engine))
            .transpose()?;
        let directory = directory(self.ldap_server_metadata, engine)?;
        let strategy = authentication_strategy.unwrap_or(next.authentication_strategy);
        let is_there = strategy == AuthenticationStrategy::Ldap && next.directory.is_some();
        check_directory(strategy, directory.is_some() || is_there)?;
        let from = &broker.intended;
        let engine_version = self
            .engine_version
            .map(|text| catalogue.upgrade(engine, from, &text, parity))
            .transpose()?;
        let engine_release = match &engine_version {
            Some(version) if *version == from.engine_version => from.engine_release.clone(),
            Some(version) => catalogue
                .find(engine, version)
                .map(|line| line.release.clone()),
            None => None,
        };
        let host_instance_type = match self.host_instance_type {
            Some(name) if name != from.host_instance_type => {
                let to = InstanceType::change(
                    &from.host_instance_type,
                    &name,
                    engine,
                    broker.deployment_mode,
                )?;
                Some(to.name.to_owned())
            }
            unchanged => unchanged,
        };
        if let Some(groups) = &self.security_groups {
            network::check_security_groups(groups)?;
            let changes = *groups != next.security_groups;
            if changes && parity.is_strict() && engine.is_rabbitmq_like() {
                let text = format!(
                    "Changing security groups is not supported for {} brokers.",
                    engine.label()
                );
                return Err(Invalid::new("securityGroups", text));
            }
        }
        let had = broker.settings.auto_minor_version_upgrade;
        let upgrade = self.auto_minor_version_upgrade.unwrap_or(had);
        match &engine_version {
            Some(to) if *to != from.engine_version => {
                check_auto_minor("upgrading to", engine, to, upgrade, parity)?;
            }
            Some(_) | None if had => {
                check_auto_minor("on", engine, &next.engine_version, upgrade, parity)?;
            }
            // A broker that was made under other rules keeps what it has.
            Some(_) | None => {}
        }
        let storage_size_gb = match self.storage_size {
            None => None,
            Some(size) => {
                let version = engine_version.as_ref().unwrap_or(&next.engine_version);
                let instance = host_instance_type.as_ref();
                let instance = instance.unwrap_or(&next.host_instance_type);
                storage_size(broker, version, instance, size)?
            }
        };
        let logs = logs::read(self.logs, engine)?;
        Ok(Update {
            authentication_strategy,
            auto_minor_version_upgrade: self.auto_minor_version_upgrade,
            configuration: self.configuration.map(configuration).transpose()?,
            replication,
            directory,
            engine_version,
            engine_release,
            general_logs: logs.general,
            audit_logs: logs.audit,
            host_instance_type,
            maintenance_window: self.maintenance_window_start_time.map(window).transpose()?,
            no_shares: self.resource_share_arns.is_some(),
            security_groups: self.security_groups,
            storage_size_gb,
        })
    }
}

/// A replica has from its primary what both must have alike.
fn check_global(
    broker: &Broker,
    request: &UpdateBroker,
    replication: Option<Mode>,
) -> Result<(), Invalid> {
    let is_replica = broker.replication.as_ref().map(|pair| pair.role) == Some(Role::Replica);
    let current = broker.next();
    let version = request.engine_version.as_deref();
    let changed = [
        (
            "engineVersion",
            version.is_some_and(|version| version != current.engine_version.as_str()),
        ),
        (
            "hostInstanceType",
            request
                .host_instance_type
                .as_ref()
                .is_some_and(|instance| *instance != current.host_instance_type),
        ),
        ("dataReplicationMode", replication == Some(Mode::None)),
    ];
    match changed
        .into_iter()
        .find(|(_, changed)| is_replica && *changed)
    {
        None => Ok(()),
        Some((attribute, _)) => Err(Invalid::new(
            attribute,
            format!(
                "Global broker attribute [Optional[{attribute}]] cannot be modified in Replica \
                 broker directly."
            ),
        )),
    }
}

/// A volume only grows.
fn storage_size(
    broker: &Broker,
    version: &EngineVersion,
    instance: &str,
    requested: i64,
) -> Result<Option<i32>, Invalid> {
    let storage = storage_size::Of {
        engine: broker.engine_type,
        version,
        mode: broker.deployment_mode,
        instance: InstanceType::choose(instance, broker.engine_type, broker.deployment_mode)?,
    };
    let size = storage.choose(Some(requested))?;
    let now = broker.current().storage_size_gb;
    if let (Some(now), Some(size)) = (now, size)
        && size < now
    {
        return Err(Invalid::new(
            "storageSize",
            format!(
                "Storage size [{now}] can't be changed to [{size}]. The storage size can only be \
                 increased."
            ),
        ));
    }
    Ok(size)
}

impl Update {
    /// Makes `broker` what this update and what it refers to say: at once, or staged.
    pub fn apply(&self, broker: &mut Broker, found: &Found) {
        let settings = &mut broker.settings;
        if let Some(upgrade) = self.auto_minor_version_upgrade {
            settings.auto_minor_version_upgrade = upgrade;
        }
        if let Some(window) = &self.maintenance_window {
            settings.maintenance_window = window.clone();
        }
        let mut next = broker.next().with(StagedLaunch {
            engine_version: self.engine_version.clone(),
            engine_release: self.engine_release.clone(),
            upgrade: None,
            host_instance_type: self.host_instance_type.clone(),
            configuration: found.configuration.clone(),
            general_logs: self.general_logs,
            audit_logs: self.audit_logs,
            security_groups: self.security_groups.clone(),
            authentication_strategy: self.authentication_strategy,
            directory: found.directory.clone(),
            storage_size_gb: self.storage_size_gb,
        });
        if self.engine_version.is_some() {
            next.engine_release.clone_from(&self.engine_release);
        }
        broker.stage(next);
    }
}
