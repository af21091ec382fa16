//! CreateBroker and [`UpdateBroker`] as callers send them, and their translation into what is to
//! be created or changed.
//!
//! Members are spelled as on the wire; unknown ones are ignored. Everything is optional here, so
//! that what is missing is refused in the same words as what is wrong.

mod logs;
mod network;
mod update;
mod users;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    AuthenticationStrategy, DeploymentMode, DirectoryRequest, DraftDirectory, Encryption,
    MaintenanceWindow, Settings, SimulatedHosts, StorageType, name,
    replication::{self, Mode},
    storage_size,
};
use crate::model::{
    Invalid,
    engine::{Catalogue, EngineType, EngineVersion},
    instance_type::InstanceType,
    maintenance::Weekly,
    parity::Parity,
    password::Password,
    tag::{self, Tags},
};
pub use update::{Found, Update, UpdateBroker};

/// A CreateBroker request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateBroker {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication_strategy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_minor_version_upgrade: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broker_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<ConfigurationRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_replication_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_replication_primary_broker_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_options: Option<EncryptionRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_type: Option<String>,
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
    pub publicly_accessible: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_size: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subnet_ids: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<UserRequest>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigurationRequest {
    pub id: Option<String>,
    pub revision: Option<i32>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EncryptionRequest {
    pub kms_key_id: Option<String>,
    pub use_aws_owned_key: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogsRequest {
    pub audit: Option<bool>,
    pub general: Option<bool>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WindowRequest {
    pub day_of_week: Option<String>,
    pub time_of_day: Option<String>,
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserRequest {
    pub console_access: Option<bool>,
    pub groups: Option<Vec<String>>,
    pub password: Option<Password>,
    pub replication_user: Option<bool>,
    pub username: Option<String>,
}

/// A valid request, with every default in place that does not depend on stored rows.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: String,
    pub creator_request_id: Option<String>,
    pub engine_type: EngineType,
    pub engine_version: EngineVersion,
    pub engine_release: Option<String>,
    pub instance_type: &'static InstanceType,
    pub deployment_mode: DeploymentMode,
    pub publicly_accessible: bool,
    pub storage_type: StorageType,
    pub storage_size_gb: Option<i32>,
    /// Empty when the caller left the choice to us.
    pub subnet_ids: Vec<String>,
    pub settings: Settings,
    pub authentication_strategy: AuthenticationStrategy,
    pub directory: Option<DraftDirectory>,
    /// Whose replica it shall be.
    pub primary_arn: Option<String>,
    pub general_logs: bool,
    pub audit_logs: bool,
    pub security_groups: Vec<String>,
    pub configuration: Option<ConfigurationChoice>,
    pub users: Vec<DraftUser>,
    pub tags: Tags,
}

/// An existing configuration that the caller named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationChoice {
    pub id: String,
    /// The latest when absent.
    pub revision: Option<i32>,
}

#[derive(Debug, Clone)]
pub struct DraftUser {
    pub username: String,
    pub password: Password,
    pub console_access: bool,
    pub replication_user: bool,
    pub groups: Vec<String>,
}

impl CreateBroker {
    /// SHA-256 of the request without its passwords, which are compared with their hashes
    /// instead: a fast hash of a password must not be stored.
    pub fn fingerprint(&self) -> Vec<u8> {
        let text = serde_json::to_vec(self).unwrap_or_default();
        digest::digest(&digest::SHA256, &text).as_ref().to_vec()
    }

    /// Checks every member and fills in the defaults.
    pub fn draft(
        self,
        catalogue: &Catalogue,
        parity: Parity,
        hosts: SimulatedHosts,
        now: DateTime<Utc>,
    ) -> Result<Draft, Invalid> {
        let name = need("brokerName", self.broker_name)?;
        let engine_name = need("engineType", self.engine_type)?;
        let mode = need("deploymentMode", self.deployment_mode)?;
        let instance = need("hostInstanceType", self.host_instance_type)?;
        let publicly_accessible = need("publiclyAccessible", self.publicly_accessible)?;
        name::check(&name)?;
        check_token(self.creator_request_id.as_deref())?;
        let engine = catalogue.engine_type(&engine_name)?;
        let version = self.engine_version.as_deref();
        let engine_version = catalogue.choose_for_new(engine, version, parity, now.date_naive())?;
        let engine_release = catalogue
            .find(engine, &engine_version)
            .map(|line| line.release.clone());
        let auto_minor_version_upgrade = self.auto_minor_version_upgrade.unwrap_or(true);
        check_auto_minor(
            "on",
            engine,
            &engine_version,
            auto_minor_version_upgrade,
            parity,
        )?;
        let deployment_mode = DeploymentMode::choose(&mode, engine, hosts)?;
        let instance_type = InstanceType::choose(&instance, engine, deployment_mode)?;
        let storage_type = StorageType::choose(
            self.storage_type.as_deref(),
            engine,
            deployment_mode,
            instance_type,
        )?;
        let storage = storage_size::Of {
            engine,
            version: &engine_version,
            mode: deployment_mode,
            instance: instance_type,
        };
        let storage_size_gb = storage.choose(self.storage_size)?;
        let replicates = self.data_replication_mode.as_deref();
        let primary_arn = replica_of(
            replicates
                .map(|text| Mode::choose(text, engine))
                .transpose()?,
            self.data_replication_primary_broker_arn,
        )?;
        if primary_arn.is_some() {
            replication::check_layout(deployment_mode, instance_type)?;
        }
        let strategy = self.authentication_strategy.as_deref();
        let authentication_strategy = AuthenticationStrategy::choose(strategy, engine)?;
        let directory = directory(self.ldap_server_metadata, engine)?;
        check_directory(authentication_strategy, directory.is_some())?;
        let security_groups = self.security_groups.unwrap_or_default();
        network::check_security_groups(&security_groups)?;
        let subnet_ids = self.subnet_ids.unwrap_or_default();
        network::check_subnets(&subnet_ids, deployment_mode)?;
        let logs = logs::read(self.logs, engine)?;
        let tags = self.tags.unwrap_or_default();
        tag::check(&tags)?;
        Ok(Draft {
            creator_request_id: self.creator_request_id,
            settings: Settings {
                auto_minor_version_upgrade,
                encryption: encryption(self.encryption_options)?,
                maintenance_window: match self.maintenance_window_start_time {
                    Some(requested) => window(requested)?,
                    None => MaintenanceWindow::after(now),
                },
            },
            general_logs: logs.general.unwrap_or(false),
            audit_logs: logs.audit.unwrap_or(false),
            security_groups,
            configuration: self.configuration.map(configuration).transpose()?,
            users: users::read(
                self.users.unwrap_or_default(),
                engine,
                primary_arn.is_some(),
            )?,
            engine_type: engine,
            name,
            engine_version,
            engine_release,
            instance_type,
            deployment_mode,
            publicly_accessible,
            storage_type,
            storage_size_gb,
            subnet_ids,
            authentication_strategy,
            directory,
            primary_arn,
            tags,
        })
    }
}

fn need<T>(attribute: &'static str, value: Option<T>) -> Result<T, Invalid> {
    value.ok_or_else(|| Invalid::missing(attribute))
}

fn refuse(attribute: &'static str, present: bool) -> Result<(), Invalid> {
    if !present {
        return Ok(());
    }
    Err(Invalid::new(
        attribute,
        format!("[{attribute}] is not available yet."),
    ))
}

fn check_token(token: Option<&str>) -> Result<(), Invalid> {
    let plain =
        |token: &str| token.len() <= 255 && token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_none_or(|token| !token.is_empty() && plain(token)) {
        return Ok(());
    }
    Err(Invalid::new(
        "creatorRequestId",
        "[creatorRequestId] is invalid. It must be 1-255 printable ASCII characters long.",
    ))
}

/// The primary of a broker that is created to be a replica.
fn replica_of(mode: Option<Mode>, primary: Option<String>) -> Result<Option<String>, Invalid> {
    let attribute = "dataReplicationPrimaryBrokerArn";
    let text = match (mode, &primary) {
        (Some(Mode::Crdr), Some(_)) | (Some(Mode::None) | None, None) => return Ok(primary),
        (Some(Mode::Crdr), None) => "is required",
        (Some(Mode::None) | None, Some(_)) => "is only supported",
    };
    Err(Invalid::new(
        attribute,
        format!("[{attribute}] {text} with data replication mode [CRDR]."),
    ))
}

/// A directory, which is for ActiveMQ.
fn directory(
    request: Option<DirectoryRequest>,
    engine: EngineType,
) -> Result<Option<DraftDirectory>, Invalid> {
    if request.is_some() && engine.is_rabbitmq_like() {
        let text = format!(
            "[ldapServerMetadata] is not supported for engine type [{}].",
            engine.name()
        );
        return Err(Invalid::new("ldapServerMetadata", text));
    }
    request.map(DirectoryRequest::draft).transpose()
}

/// Brokers whose users are in a directory have one, and no others.
fn check_directory(strategy: AuthenticationStrategy, is_there: bool) -> Result<(), Invalid> {
    let refused = |text: &str| Err(Invalid::new("ldapServerMetadata", text));
    match (strategy, is_there) {
        (AuthenticationStrategy::Ldap, false) => {
            refused("[ldapServerMetadata] is required with authentication strategy [LDAP].")
        }
        (AuthenticationStrategy::Simple | AuthenticationStrategy::ConfigManaged, true) => {
            refused("[ldapServerMetadata] is only supported with authentication strategy [LDAP].")
        }
        (AuthenticationStrategy::Ldap, true)
        | (AuthenticationStrategy::Simple | AuthenticationStrategy::ConfigManaged, false) => Ok(()),
    }
}

fn encryption(request: Option<EncryptionRequest>) -> Result<Encryption, Invalid> {
    let request = request.unwrap_or_default();
    if request.kms_key_id.is_some() || request.use_aws_owned_key == Some(false) {
        return Err(Invalid::new(
            "encryptionOptions",
            "Customer managed keys are not available yet. [useAwsOwnedKey] must be [true].",
        ));
    }
    Ok(Encryption {
        use_aws_owned_key: true,
        kms_key_id: None,
    })
}

/// Amazon MQ keeps newer brokers on the latest patch, whether their owners want it or not.
fn check_auto_minor(
    relation: &str,
    engine: EngineType,
    version: &EngineVersion,
    upgrade: bool,
    parity: Parity,
) -> Result<(), Invalid> {
    let must = match engine {
        EngineType::ActiveMq => version.minor() >= (5, 18),
        EngineType::RabbitMq => version.minor() >= (3, 13),
        EngineType::LavinMq => false,
    };
    if upgrade || !must || !parity.is_strict() {
        return Ok(());
    }
    Err(Invalid::new(
        "autoMinorVersionUpgrade",
        format!(
            "Brokers {relation} [{}] version [{version}] must have [autoMinorVersionUpgrade] set \
             to [true].",
            engine.label(),
        ),
    ))
}

fn window(request: WindowRequest) -> Result<MaintenanceWindow, Invalid> {
    let day = need("dayOfWeek", request.day_of_week)?;
    let time = need("timeOfDay", request.time_of_day)?;
    let window = MaintenanceWindow::parse(&day, &time, request.time_zone.as_deref())?;
    if Weekly::of(&window).is_none() {
        return Err(Invalid::new(
            "maintenanceWindowStartTime",
            format!("Time zone [{}] is unknown.", window.time_zone),
        ));
    }
    Ok(window)
}

fn configuration(request: ConfigurationRequest) -> Result<ConfigurationChoice, Invalid> {
    let id = need("configuration", request.id)?;
    // Clients that have no revision to name send 0.
    Ok(ConfigurationChoice {
        id,
        revision: request.revision.filter(|revision| *revision != 0),
    })
}

#[cfg(test)]
mod tests;
