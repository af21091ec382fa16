//! DescribeBroker's answer: what the broker is, and what is pending.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::{NO_REPLICATION, Window};
use crate::{
    api::timestamp,
    app::BrokerDescription,
    model::{
        broker::{Broker, Launch, State as BrokerState},
        configuration::ConfigurationRef,
        node::Placement,
        tag::Tags,
    },
};

const HTTPS_PORT: u16 = 443;

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
    data_replication_mode: &'static str,
    deployment_mode: &'static str,
    encryption_options: Encryption,
    engine_type: &'static str,
    engine_version: String,
    host_instance_type: String,
    logs: Logs,
    maintenance_window_start_time: Window,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_host_instance_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_security_groups: Option<Vec<String>>,
    publicly_accessible: bool,
    /// Absent unless the client set some: an invented value is a lasting difference to Terraform.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security_groups: Vec<String>,
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
struct Instance {
    #[serde(rename = "consoleURL")]
    console_url: String,
    endpoints: Vec<String>,
    #[serde(rename = "ipAddress")]
    ip_address: String,
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

/// Without `audit`: these engines have no audit log, and clients take its presence for a change.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logs {
    general: bool,
    general_log_group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<PendingLogs>,
}

#[derive(Serialize)]
struct PendingLogs {
    general: bool,
}

#[derive(Serialize)]
struct User {
    username: String,
}

impl From<BrokerDescription> for Description {
    fn from(description: BrokerDescription) -> Self {
        let BrokerDescription {
            broker,
            nodes,
            users,
            tags,
        } = description;
        let (now, next) = (broker.current(), broker.next());
        let placements = nodes.iter().filter_map(|node| node.placement.as_ref());
        Self {
            actions_required: actions(broker.state()),
            authentication_strategy: broker.settings.authentication_strategy.name(),
            auto_minor_version_upgrade: broker.settings.auto_minor_version_upgrade,
            broker_arn: broker.arn().to_string(),
            broker_id: broker.id.to_string(),
            broker_instances: placements
                .filter(|_| broker.has_run())
                .map(Instance::from)
                .collect(),
            broker_state: broker.state().name(),
            configurations: configurations(&broker, &next),
            created: timestamp::format(broker.created_at),
            data_replication_mode: NO_REPLICATION,
            deployment_mode: broker.deployment_mode.name(),
            encryption_options: Encryption {
                kms_key_id: broker.settings.encryption.kms_key_id.clone(),
                use_aws_owned_key: broker.settings.encryption.use_aws_owned_key,
            },
            engine_type: broker.engine_type.label(),
            engine_version: now.engine_version.to_string(),
            host_instance_type: now.host_instance_type.clone(),
            logs: Logs {
                general: now.general_logs,
                general_log_group: format!("/aws/amazonmq/broker/{}/general", broker.id),
                pending: (next.general_logs != now.general_logs).then_some(PendingLogs {
                    general: next.general_logs,
                }),
            },
            maintenance_window_start_time: broker.settings.maintenance_window.clone().into(),
            pending_engine_version: (next.engine_version != now.engine_version)
                .then(|| next.engine_version.to_string()),
            pending_host_instance_type: (next.host_instance_type != now.host_instance_type)
                .then(|| next.host_instance_type.clone()),
            pending_security_groups: (next.security_groups != now.security_groups)
                .then(|| next.security_groups.clone()),
            publicly_accessible: broker.publicly_accessible,
            security_groups: now.security_groups.clone(),
            storage_type: broker.storage_type.name(),
            users: users
                .into_iter()
                .map(|user| User {
                    username: user.username,
                })
                .collect(),
            tags,
            broker_name: broker.name,
            subnet_ids: broker.subnet_ids,
        }
    }
}

impl From<&Placement> for Instance {
    fn from(place: &Placement) -> Self {
        let console = match (place.management_port, place.address) {
            (HTTPS_PORT, IpAddr::V4(address)) => address.to_string(),
            (HTTPS_PORT, IpAddr::V6(address)) => format!("[{address}]"),
            (port, address) => SocketAddr::new(address, port).to_string(),
        };
        Self {
            console_url: format!("https://{console}"),
            endpoints: vec![format!(
                "amqps://{}",
                SocketAddr::new(place.address, place.amqps_port)
            )],
            ip_address: place.address.to_string(),
        }
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

fn actions(state: BrokerState) -> Vec<ActionRequired> {
    match state {
        BrokerState::CriticalActionRequired => vec![ActionRequired {
            action_required_code: "BROKER_RESTARTS",
            action_required_info: "The broker stops again and again soon after it is started.",
        }],
        BrokerState::CreationFailed
        | BrokerState::CreationInProgress
        | BrokerState::DeletionInProgress
        | BrokerState::RebootInProgress
        | BrokerState::Running => Vec::new(),
    }
}
