//! Brokers on the wire. The spelling of every member and enum here is what clients compare.

mod description;
mod instance;
mod ldap;
pub(super) mod maintenance;
mod replication;
mod update;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{body, error::Failure, query, router::ApiState, timestamp};
use crate::{
    app::{Caller, Page},
    model::broker::{Broker, CreateBroker, MaintenanceWindow, UpdateBroker},
};
use description::Description;
use update::Updated;

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
    let request = query::page(query.as_deref())?;
    let page = state.app.list_brokers(&caller, &request).await?;
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

pub(super) async fn update(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Updated>, Failure> {
    let request: UpdateBroker = body::json(&body)?;
    let updated = state.app.update_broker(&caller, &id, request).await?;
    Ok(Json(updated.into()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Promote {
    mode: Option<String>,
}

pub(super) async fn promote(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let request: Promote = body::json(&body)?;
    state
        .app
        .promote(&caller, &id, request.mode.as_deref())
        .await?;
    Ok(Json(json!({ "brokerId": id })))
}

/// Terraform asks for these on every refresh, and fails where they are unknown.
pub(super) async fn shared_resources(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Failure> {
    let request = query::page(query.as_deref())?;
    state
        .app
        .describe_shared_resources(&caller, &id, &request)
        .await?;
    Ok(Json(json!({ "sharedResources": [] })))
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

impl From<Page<Broker>> for List {
    fn from(page: Page<Broker>) -> Self {
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
            broker_summaries: page.items.into_iter().map(summary).collect(),
            next_token: page.next_token,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Window {
    day_of_week: String,
    time_of_day: String,
    time_zone: String,
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
