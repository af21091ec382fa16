//! CreateBroker and [`UpdateBroker`] as callers send them, and their translation into what is to
//! be created or changed.
//!
//! Members are spelled as on the wire; unknown ones are ignored. Everything is optional here, so
//! that what is missing is refused in the same words as what is wrong.

mod update;

use std::collections::HashSet;

use aws_lc_rs::digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    AuthenticationStrategy, DeploymentMode, Encryption, MaintenanceWindow, Settings, StorageType,
    name, user,
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
pub use update::{Update, UpdateBroker};

const SECURITY_GROUPS_MAX: usize = 5;

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
    pub ldap_server_metadata: Option<Withheld>,
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

/// A member that is recognised and dropped, because it may carry secrets and is refused anyway.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Withheld;

impl<'de> Deserialize<'de> for Withheld {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// A valid request, with every default in place that does not depend on stored rows.
#[derive(Debug, Clone)]
pub struct Draft {
    pub name: String,
    pub creator_request_id: Option<String>,
    pub engine_type: EngineType,
    pub engine_version: EngineVersion,
    pub instance_type: &'static InstanceType,
    pub deployment_mode: DeploymentMode,
    pub publicly_accessible: bool,
    pub storage_type: StorageType,
    /// Empty when the caller left the choice to us.
    pub subnet_ids: Vec<String>,
    pub settings: Settings,
    pub general_logs: bool,
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
        let engine_version = catalogue.choose(engine, self.engine_version.as_deref(), parity)?;
        let auto_minor_version_upgrade = self.auto_minor_version_upgrade.unwrap_or(true);
        check_auto_minor(
            "on",
            engine,
            &engine_version,
            auto_minor_version_upgrade,
            parity,
        )?;
        let deployment_mode = DeploymentMode::choose(&mode, engine)?;
        let instance_type = InstanceType::choose(&instance, engine)?;
        let storage_type = StorageType::choose(self.storage_type.as_deref(), engine)?;
        refuse("storageSize", self.storage_size.is_some())?;
        refuse("ldapServerMetadata", self.ldap_server_metadata.is_some())?;
        let primary = self.data_replication_primary_broker_arn.is_some();
        refuse("dataReplicationPrimaryBrokerArn", primary)?;
        check_replication(self.data_replication_mode.as_deref(), engine)?;
        let authentication_strategy =
            AuthenticationStrategy::choose(self.authentication_strategy.as_deref())?;
        let security_groups = self.security_groups.unwrap_or_default();
        check_security_groups(&security_groups)?;
        let subnet_ids = self.subnet_ids.unwrap_or_default();
        check_subnets(&subnet_ids)?;
        let tags = self.tags.unwrap_or_default();
        tag::check(&tags)?;
        Ok(Draft {
            creator_request_id: self.creator_request_id,
            settings: Settings {
                authentication_strategy,
                auto_minor_version_upgrade,
                encryption: encryption(self.encryption_options)?,
                maintenance_window: match self.maintenance_window_start_time {
                    Some(requested) => window(requested)?,
                    None => MaintenanceWindow::after(now),
                },
            },
            general_logs: general_logs(self.logs, engine)?.unwrap_or(false),
            security_groups,
            configuration: self.configuration.map(configuration).transpose()?,
            users: users(self.users.unwrap_or_default(), engine)?,
            engine_type: engine,
            name,
            engine_version,
            instance_type,
            deployment_mode,
            publicly_accessible,
            storage_type,
            subnet_ids,
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

fn check_replication(mode: Option<&str>, engine: EngineType) -> Result<(), Invalid> {
    match mode {
        None => Ok(()),
        Some(mode) if mode.eq_ignore_ascii_case("NONE") => Ok(()),
        Some(mode) => Err(Invalid::new(
            "dataReplicationMode",
            format!(
                "Data replication mode [{mode}] is not supported for engine type [{}].",
                engine.name(),
            ),
        )),
    }
}

fn check_security_groups(groups: &[String]) -> Result<(), Invalid> {
    if groups.len() > SECURITY_GROUPS_MAX {
        return Err(Invalid::new(
            "securityGroups",
            format!("Specify at most {SECURITY_GROUPS_MAX} security groups."),
        ));
    }
    match groups.iter().find(|id| !is_resource_id(id)) {
        None => Ok(()),
        Some(id) => Err(Invalid::new(
            "securityGroups",
            format!("Security group [{id}] is invalid."),
        )),
    }
}

fn check_subnets(subnets: &[String]) -> Result<(), Invalid> {
    if subnets.len() > 1 {
        let text = "Specify a single subnet in [SINGLE_INSTANCE] deployment mode.";
        return Err(Invalid::new("subnetIds", text));
    }
    match subnets.iter().find(|id| !is_resource_id(id)) {
        None => Ok(()),
        Some(id) => Err(Invalid::new(
            "subnetIds",
            format!("Subnet [{id}] is invalid."),
        )),
    }
}

fn is_resource_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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

/// What is asked of the general log, if anything.
fn general_logs(request: Option<LogsRequest>, engine: EngineType) -> Result<Option<bool>, Invalid> {
    let request = request.unwrap_or_default();
    if request.audit.is_some() && engine.is_rabbitmq_like() {
        let text = format!(
            "Audit logging is not supported for {} brokers.",
            engine.label()
        );
        return Err(Invalid::new("logs", text));
    }
    Ok(request.general)
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

fn users(requests: Vec<UserRequest>, engine: EngineType) -> Result<Vec<DraftUser>, Invalid> {
    user::check_count(requests.len(), engine)?;
    let mut names = HashSet::new();
    let mut drafts = Vec::with_capacity(requests.len());
    for request in requests {
        let draft = DraftUser {
            username: need("username", request.username)?,
            password: need("password", request.password)?,
            console_access: request.console_access.unwrap_or(false),
            replication_user: request.replication_user.unwrap_or(false),
            groups: request.groups.unwrap_or_default(),
        };
        user::check_username(&draft.username, engine)?;
        user::check_password(&draft.password)?;
        user::check_groups(&draft.groups)?;
        if draft.replication_user && draft.console_access {
            return Err(Invalid::new(
                "users",
                "Replication user couldn't have console access. [replicationUser] and \
                 [consoleAccess] are mutually exclusive parameters.",
            ));
        }
        if !names.insert(draft.username.clone()) {
            let text = format!("Username [{}] is given more than once.", draft.username);
            return Err(Invalid::new("users", text));
        }
        drafts.push(draft);
    }
    Ok(drafts)
}

#[cfg(test)]
mod tests;
