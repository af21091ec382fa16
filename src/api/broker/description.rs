//! DescribeBroker's answer: what the broker is, and what is pending.

use serde::Serialize;

use super::{
    Window,
    instance::{self, Instance},
    ldap::LdapServer,
    replication::ReplicationSummary,
};
use crate::{
    api::timestamp,
    app::BrokerDescription,
    model::{
        broker::{Broker, Launch, State as BrokerState, Surroundings, UserChange},
        configuration::ConfigurationRef,
        tag::Tags,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct Description {
    actions_required: Vec<ActionRequired>,
    authentication_strategy: &'static str,
    auto_minor_version_upgrade: bool,
    broker_arn: String,
    broker_id: String,
    broker_instances: Vec<Instance>,
    broker_name: String,
    broker_state: &'static str,
    configurations: Configurations,
    created: String,
    #[serde(flatten)]
    replication: ReplicationSummary,
    deployment_mode: &'static str,
    encryption_options: Encryption,
    engine_type: &'static str,
    engine_version: String,
    host_instance_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ldap_server_metadata: Option<LdapServer>,
    logs: Logs,
    maintenance_window_start_time: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_authentication_strategy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_ldap_server_metadata: Option<LdapServer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_security_groups: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_storage_size: Option<i32>,
    publicly_accessible: bool,
    /// Absent unless the client set some: an invented value is a lasting difference to Terraform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage_size: Option<i32>,
    storage_type: &'static str,
    subnet_ids: Vec<String>,
    tags: Tags,
    users: Vec<User>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionRequired {
    action_required_code: &'static str,
    action_required_info: &'static str,
}

#[derive(Serialize)]
struct Configurations {
    current: ConfigurationRef,
    history: Vec<ConfigurationRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<ConfigurationRef>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Encryption {
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_key_id: Option<String>,
    use_aws_owned_key: bool,
}

/// `audit` is there for ActiveMQ alone: the others have no audit log, and clients take its presence
/// for a change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logs {
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_log_group: Option<String>,
    general: bool,
    general_log_group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<PendingLogs>,
}

#[derive(Serialize)]
struct PendingLogs {
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<bool>,
    general: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_change: Option<&'static str>,
    username: String,
}

impl From<BrokerDescription> for Description {
    fn from(description: BrokerDescription) -> Self {
        let BrokerDescription {
            broker,
            surroundings,
        } = description;
        let Surroundings {
            places,
            users,
            tags,
        } = surroundings;
        let (now, next) = (broker.current(), broker.next());
        Self {
            actions_required: actions(&broker),
            authentication_strategy: now.authentication_strategy.name(),
            auto_minor_version_upgrade: broker.settings.auto_minor_version_upgrade,
            broker_arn: broker.arn().to_string(),
            broker_id: broker.id.to_string(),
            broker_instances: instance::of(&broker, &places),
            broker_state: broker.state().name(),
            configurations: configurations(&broker, &next),
            created: timestamp::format(broker.created_at),
            replication: broker.replication.as_ref().into(),
            deployment_mode: broker.deployment_mode.name(),
            encryption_options: Encryption {
                kms_key_id: broker.settings.encryption.kms_key_id.clone(),
                use_aws_owned_key: broker.settings.encryption.use_aws_owned_key,
            },
            engine_type: broker.engine_type.label(),
            engine_version: now.engine_version.to_string(),
            host_instance_type: now.host_instance_type.clone(),
            ldap_server_metadata: now.directory.clone().map(LdapServer::from),
            logs: logs(&broker, now, &next),
            maintenance_window_start_time: broker.settings.maintenance_window.clone().into(),
            pending_authentication_strategy: (next.authentication_strategy
                != now.authentication_strategy)
                .then(|| next.authentication_strategy.name()),
            pending_engine_version: (next.engine_version != now.engine_version)
                .then(|| next.engine_version.to_string()),
            pending_host_instance_type: (next.host_instance_type != now.host_instance_type)
                .then(|| next.host_instance_type.clone()),
            pending_ldap_server_metadata: (next.directory != now.directory)
                .then(|| next.directory.clone().map(LdapServer::from))
                .flatten(),
            pending_security_groups: (next.security_groups != now.security_groups)
                .then(|| next.security_groups.clone()),
            pending_storage_size: next
                .storage_size_gb
                .filter(|next| Some(*next) != now.storage_size_gb),
            publicly_accessible: broker.publicly_accessible,
            security_groups: now.security_groups.clone(),
            storage_size: now.storage_size_gb,
            storage_type: broker.storage_type.name(),
            users: users
                .into_iter()
                .map(|user| User {
                    pending_change: broker.pending_change(user.staged).map(UserChange::name),
                    username: user.username,
                })
                .collect(),
            tags,
            broker_name: broker.name,
            subnet_ids: broker.subnet_ids,
        }
    }
}

fn logs(broker: &Broker, now: &Launch, next: &Launch) -> Logs {
    let group = |kind| format!("/aws/amazonmq/broker/{}/{kind}", broker.id);
    let has_audit = !broker.engine_type.is_rabbitmq_like();
    let is_pending = (next.general_logs, next.audit_logs) != (now.general_logs, now.audit_logs);
    Logs {
        audit: has_audit.then_some(now.audit_logs),
        audit_log_group: has_audit.then(|| group("audit")),
        general: now.general_logs,
        general_log_group: group("general"),
        pending: is_pending.then_some(PendingLogs {
            audit: has_audit.then_some(next.audit_logs),
            general: next.general_logs,
        }),
    }
}

/// The current configuration is always told; before the first start it is pending as well.
fn configurations(broker: &Broker, next: &Launch) -> Configurations {
    let applied = broker
        .applied
        .as_ref()
        .map(|applied| &applied.configuration);
    let pending = Some(&next.configuration).filter(|next| Some(*next) != applied);
    Configurations {
        current: broker.current().configuration.clone(),
        history: broker.configuration_history.clone(),
        pending: pending.cloned(),
    }
}

/// Those of a broker that is in the state for it; in others they are on their way already.
fn actions(broker: &Broker) -> Vec<ActionRequired> {
    if broker.state() != BrokerState::CriticalActionRequired {
        return Vec::new();
    }
    let required = broker.actions_required.iter().map(|action| ActionRequired {
        action_required_code: action.code(),
        action_required_info: action.info(),
    });
    required.collect()
}
