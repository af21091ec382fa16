//! Configurations on the wire. Data is a base64 string that comes back as it was sent.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{body, error::Failure, query, router::ApiState, timestamp};
use crate::{
    app::{Caller, ConfigurationDescription, Page},
    model::{
        configuration::{
            Configuration, ConfigurationRevision, CreateConfiguration, RevisionSummary,
            SanitizationWarning, UpdateConfiguration,
        },
        tag::Tags,
    },
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Created {
    arn: String,
    authentication_strategy: &'static str,
    created: String,
    id: String,
    latest_revision: Revision,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Updated {
    arn: String,
    created: String,
    id: String,
    latest_revision: Revision,
    name: String,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    #[serde(skip_serializing_if = "Option::is_none")]
    attribute_name: Option<String>,
    element_name: String,
    reason: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    arn: String,
    authentication_strategy: &'static str,
    created: String,
    /// The latest revision's.
    description: String,
    engine_type: &'static str,
    engine_version: String,
    id: String,
    latest_revision: Revision,
    name: String,
    tags: Tags,
}

#[derive(Serialize)]
struct Revision {
    created: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    revision: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    configurations: Vec<Description>,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionList {
    configuration_id: String,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    revisions: Vec<Revision>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionDescription {
    configuration_id: String,
    created: String,
    data: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Created>, Failure> {
    let request: CreateConfiguration = body::json(&body)?;
    let created = state.app.create_configuration(&caller, request).await?;
    Ok(Json(created.into()))
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<List>, Failure> {
    let request = query::page(query.as_deref())?;
    let page = state.app.list_configurations(&caller, &request).await?;
    Ok(Json(page.into()))
}

pub(super) async fn describe(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Description>, Failure> {
    let description = state.app.describe_configuration(&caller, &id).await?;
    Ok(Json(description.into()))
}

pub(super) async fn update(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Updated>, Failure> {
    let request: UpdateConfiguration = body::json(&body)?;
    let (updated, warnings) = state
        .app
        .update_configuration(&caller, &id, request)
        .await?;
    Ok(Json(Updated {
        warnings: warnings.into_iter().map(Warning::from).collect(),
        ..updated.into()
    }))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let id = state.app.delete_configuration(&caller, &id).await?;
    Ok(Json(json!({ "configurationId": id })))
}

pub(super) async fn revisions(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<RevisionList>, Failure> {
    let request = query::page(query.as_deref())?;
    let (configuration, page) = state
        .app
        .list_configuration_revisions(&caller, &id, &request)
        .await?;
    Ok(Json(RevisionList {
        configuration_id: configuration.id.to_string(),
        max_results: page.size,
        next_token: page.next_token,
        revisions: page.items.into_iter().map(Revision::from).collect(),
    }))
}

pub(super) async fn revision(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, revision)): Path<(String, String)>,
) -> Result<Json<RevisionDescription>, Failure> {
    let revision = state
        .app
        .describe_configuration_revision(&caller, &id, &revision)
        .await?;
    Ok(Json(revision.into()))
}

impl From<RevisionSummary> for Revision {
    fn from(revision: RevisionSummary) -> Self {
        Self {
            created: timestamp::format(revision.created_at),
            description: revision.description,
            revision: revision.revision,
        }
    }
}

impl From<ConfigurationRevision> for RevisionDescription {
    fn from(revision: ConfigurationRevision) -> Self {
        Self {
            configuration_id: revision.configuration_id.to_string(),
            created: timestamp::format(revision.summary.created_at),
            data: revision.data,
            description: revision.summary.description,
        }
    }
}

impl From<Configuration> for Created {
    fn from(configuration: Configuration) -> Self {
        Self {
            arn: configuration.arn().to_string(),
            authentication_strategy: configuration.authentication_strategy.name(),
            created: timestamp::format(configuration.created_at),
            id: configuration.id.to_string(),
            latest_revision: configuration.latest.into(),
            name: configuration.name,
        }
    }
}

impl From<Configuration> for Updated {
    fn from(configuration: Configuration) -> Self {
        Self {
            arn: configuration.arn().to_string(),
            created: timestamp::format(configuration.created_at),
            id: configuration.id.to_string(),
            latest_revision: configuration.latest.into(),
            name: configuration.name,
            warnings: Vec::new(),
        }
    }
}

impl From<SanitizationWarning> for Warning {
    fn from(warning: SanitizationWarning) -> Self {
        Self {
            attribute_name: warning.attribute,
            element_name: warning.element,
            reason: warning.reason.name(),
        }
    }
}

impl From<ConfigurationDescription> for Description {
    fn from(
        ConfigurationDescription {
            configuration,
            tags,
        }: ConfigurationDescription,
    ) -> Self {
        Self {
            arn: configuration.arn().to_string(),
            authentication_strategy: configuration.authentication_strategy.name(),
            created: timestamp::format(configuration.created_at),
            description: configuration.latest.description.clone(),
            engine_type: configuration.engine_type.label(),
            engine_version: configuration.engine_version.to_string(),
            id: configuration.id.to_string(),
            latest_revision: configuration.latest.into(),
            name: configuration.name,
            tags,
        }
    }
}

impl From<Page<ConfigurationDescription>> for List {
    fn from(page: Page<ConfigurationDescription>) -> Self {
        Self {
            configurations: page.items.into_iter().map(Description::from).collect(),
            max_results: page.size,
            next_token: page.next_token,
        }
    }
}
