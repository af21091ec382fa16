//! Brokers on the wire. The spelling of every member and enum here is what clients compare.

use std::net::{IpAddr, SocketAddr};

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{body, error::Failure, query, router::ApiState, timestamp};
use crate::{
    app::{BrokerDescription, BrokerPage, Caller},
    model::{
        broker::{Broker, CreateBroker, Launch, MaintenanceWindow, State as BrokerState},
        configuration::ConfigurationRef,
        node::Placement,
        page,
        tag::Tags,
    },
};

/// AWS has no data replication for these engines; the member is always there.
const NO_REPLICATION: &str = "NONE";
const HTTPS_PORT: u16 = 443;

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let request: CreateBroker = body::json(&body)?;
    let created = state.app.create_broker(&caller, request).await?;
    Ok(Json(json!({
        "brokerArn": created.broker_arn.to_string(),
        "brokerId": created.broker_id,
    })))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<List>, Failure> {
    let size = query::value(query.as_deref(), "maxResults");
    let size = page::size(size.as_deref()).map_err(crate::error::Error::from)?;
    let token = query::value(query.as_deref(), "nextToken");
    let page = state
        .app
        .list_brokers(&caller, size, token.as_deref())
        .await?;
    Ok(Json(page.into()))
}

pub(super) async fn describe(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Description>, Failure> {
    Ok(Json(state.app.describe_broker(&caller, &id).await?.into()))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id = state.app.delete_broker(&caller, &id).await?;
    Ok(Json(json!({ "brokerId": id })))
}

pub(super) async fn reboot(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    state.app.reboot_broker(&caller, &id).await?;
    Ok(Json(json!({})))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    broker_summaries: Vec<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    broker_arn: String,
    broker_id: String,
    broker_name: String,
    broker_state: &'static str,
    created: String,
    deployment_mode: &'static str,
    engine_type: &'static str,
    host_instance_type: String,
}

impl From<BrokerPage> for List {
    fn from(page: BrokerPage) -> Self {
        let summary = |broker: Broker| Summary {
            broker_arn: broker.arn().to_string(),
            broker_id: broker.id.to_string(),
            broker_state: broker.state().name(),
            created: timestamp::format(broker.created_at),
            deployment_mode: broker.deployment_mode.name(),
            engine_type: broker.engine_type.label(),
            host_instance_type: broker.current().host_instance_type.clone(),
            broker_name: broker.name,
        };
        Self {
            broker_summaries: page.brokers.into_iter().map(summary).collect(),
            next_token: page.next_token,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
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
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    day_of_week: String,
    time_of_day: String,
    time_zone: String,
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
        let next = broker.intended.clone().with(broker.staged.clone());
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
            engine_version: broker.current().engine_version.to_string(),
            host_instance_type: broker.current().host_instance_type.clone(),
            logs: Logs {
                general: broker.settings.general_logs,
                general_log_group: format!("/aws/amazonmq/broker/{}/general", broker.id),
            },
            maintenance_window_start_time: broker.settings.maintenance_window.clone().into(),
            pending_engine_version: (next.engine_version != broker.current().engine_version)
                .then(|| next.engine_version.to_string()),
            pending_host_instance_type: (next.host_instance_type
                != broker.current().host_instance_type)
                .then(|| next.host_instance_type.clone()),
            publicly_accessible: broker.publicly_accessible,
            security_groups: broker.settings.security_groups.clone(),
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

impl From<MaintenanceWindow> for Window {
    fn from(window: MaintenanceWindow) -> Self {
        Self {
            day_of_week: window.day_of_week,
            time_of_day: window.time_of_day,
            time_zone: window.time_zone,
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
