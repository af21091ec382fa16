//! Engine types and instance options on the wire. Unlike brokers, these are told in upper case.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use serde::Serialize;

use super::{error::Failure, query, router::ApiState};
use crate::{
    app::{Caller, EngineVersions, InstanceOption, OptionFilter},
    model::broker::StorageType,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EngineTypes {
    broker_engine_types: Vec<EngineType>,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EngineType {
    engine_type: &'static str,
    engine_versions: Vec<Name>,
}

#[derive(Serialize)]
struct Name {
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceOptions {
    broker_instance_options: Vec<Instance>,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    availability_zones: Vec<Name>,
    engine_type: &'static str,
    host_instance_type: &'static str,
    storage_type: &'static str,
    supported_deployment_modes: Vec<&'static str>,
    supported_engine_versions: Vec<String>,
}

pub(super) async fn engine_types(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<EngineTypes>, Failure> {
    let request = query::page(query.as_deref())?;
    let engine = query::value(query.as_deref(), "engineType");
    let page = state
        .app
        .describe_engine_types(&caller, engine.as_deref(), &request)
        .await?;
    Ok(Json(EngineTypes {
        broker_engine_types: page.items.into_iter().map(EngineType::from).collect(),
        max_results: page.size,
        next_token: page.next_token,
    }))
}

pub(super) async fn instance_options(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<InstanceOptions>, Failure> {
    let query = query.as_deref();
    let request = query::page(query)?;
    let filter = OptionFilter {
        engine_type: query::value(query, "engineType"),
        host_instance_type: query::value(query, "hostInstanceType"),
        storage_type: query::value(query, "storageType"),
    };
    let page = state
        .app
        .describe_instance_options(&caller, &filter, &request)
        .await?;
    Ok(Json(InstanceOptions {
        broker_instance_options: page.items.into_iter().map(Instance::from).collect(),
        max_results: page.size,
        next_token: page.next_token,
    }))
}

impl From<EngineVersions> for EngineType {
    fn from(engine: EngineVersions) -> Self {
        Self {
            engine_type: engine.engine_type.name(),
            engine_versions: names(engine.versions),
        }
    }
}

impl From<InstanceOption> for Instance {
    fn from(option: InstanceOption) -> Self {
        Self {
            availability_zones: names(option.availability_zones),
            engine_type: option.engine_type.name(),
            host_instance_type: option.instance_type.name,
            storage_type: match option.storage_type {
                StorageType::Ebs => "EBS",
                StorageType::Efs => "EFS",
            },
            supported_deployment_modes: option
                .deployment_modes
                .into_iter()
                .map(|mode| mode.name())
                .collect(),
            supported_engine_versions: option.versions,
        }
    }
}

fn names(names: Vec<String>) -> Vec<Name> {
    names.into_iter().map(|name| Name { name }).collect()
}
