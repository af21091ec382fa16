//! UpdateBroker as callers send it, and its translation into what is to be changed.
//!
//! A member that is left out stays as it is. A member that repeats what the broker has, or will
//! have, changes nothing and is never refused.

use serde::{Deserialize, Serialize};

use super::{
    ConfigurationChoice, ConfigurationRequest, LogsRequest, WindowRequest, Withheld,
    check_auto_minor, check_replication, check_security_groups, configuration, general_logs,
    refuse, window,
};
use crate::model::{
    Invalid,
    broker::{AuthenticationStrategy, Broker, MaintenanceWindow, StagedLaunch},
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
    pub ldap_server_metadata: Option<Withheld>,
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
    /// Whether replication was asked for to be as it always is, off.
    pub no_replication: bool,
    pub engine_version: Option<EngineVersion>,
    pub general_logs: Option<bool>,
    pub host_instance_type: Option<String>,
    pub maintenance_window: Option<MaintenanceWindow>,
    /// Whether it was asked for that nothing be shared, as it always is.
    pub no_shares: bool,
    pub security_groups: Option<Vec<String>>,
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
        refuse("storageSize", self.storage_size.is_some())?;
        refuse("ldapServerMetadata", self.ldap_server_metadata.is_some())?;
        let shares = self.resource_share_arns.as_deref();
        refuse(
            "resourceShareArns",
            shares.is_some_and(|arns| !arns.is_empty()),
        )?;
        check_replication(self.data_replication_mode.as_deref(), engine)?;
        let authentication_strategy = self
            .authentication_strategy
            .map(|text| AuthenticationStrategy::choose(Some(&text)))
            .transpose()?;
        let from = &broker.intended;
        let engine_version = self
            .engine_version
            .map(|text| catalogue.upgrade(engine, &from.engine_version, &text, parity))
            .transpose()?;
        let host_instance_type = match self.host_instance_type {
            Some(name) if name != from.host_instance_type => {
                let to = InstanceType::change(&from.host_instance_type, &name, engine)?;
                Some(to.name.to_owned())
            }
            unchanged => unchanged,
        };
        if let Some(groups) = &self.security_groups {
            check_security_groups(groups)?;
            let changes = *groups != broker.next().security_groups;
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
                let next = broker.next().engine_version;
                check_auto_minor("on", engine, &next, upgrade, parity)?;
            }
            // A broker that was made under other rules keeps what it has.
            Some(_) | None => {}
        }
        Ok(Update {
            authentication_strategy,
            auto_minor_version_upgrade: self.auto_minor_version_upgrade,
            configuration: self.configuration.map(configuration).transpose()?,
            no_replication: self.data_replication_mode.is_some(),
            engine_version,
            general_logs: general_logs(self.logs, engine)?,
            host_instance_type,
            maintenance_window: self.maintenance_window_start_time.map(window).transpose()?,
            no_shares: self.resource_share_arns.is_some(),
            security_groups: self.security_groups,
        })
    }
}

impl Update {
    /// Makes `broker` what this update and the found configuration say: at once, or staged.
    pub fn apply(&self, broker: &mut Broker, configuration: Option<&ConfigurationRef>) {
        let settings = &mut broker.settings;
        if let Some(upgrade) = self.auto_minor_version_upgrade {
            settings.auto_minor_version_upgrade = upgrade;
        }
        if let Some(window) = &self.maintenance_window {
            settings.maintenance_window = window.clone();
        }
        let next = broker.next();
        let next = next.with(StagedLaunch {
            engine_version: self.engine_version.clone(),
            host_instance_type: self.host_instance_type.clone(),
            configuration: configuration.cloned(),
            general_logs: self.general_logs,
            security_groups: self.security_groups.clone(),
        });
        broker.stage(next);
    }
}
