//! Users of brokers on the wire.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{body, error::Failure, query, router::ApiState};
use crate::{
    app::Caller,
    model::broker::{UserChange, UserSummary, user::ChangeUser},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    broker_id: String,
    max_results: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    users: Vec<Summary>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_change: Option<&'static str>,
    username: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    broker_id: String,
    console_access: bool,
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Pending>,
    replication_user: bool,
    username: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    console_access: bool,
    groups: Vec<String>,
    pending_change: &'static str,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<List>, Failure> {
    let request = query::page(query.as_deref())?;
    let (broker, page) = state.app.list_users(&caller, &id, &request).await?;
    let summary = |user: UserSummary| Summary {
        pending_change: broker.pending_change(user.staged).map(UserChange::name),
        username: user.username,
    };
    Ok(Json(List {
        max_results: page.size,
        next_token: page.next_token,
        users: page.items.into_iter().map(summary).collect(),
        broker_id: broker.id.to_string(),
    }))
}

pub(super) async fn describe(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, username)): Path<(String, String)>,
) -> Result<Json<Description>, Failure> {
    let (broker, user) = state.app.describe_user(&caller, &id, &username).await?;
    let pending = broker.pending_change(user.staged()).map(|change| {
        let next = user.next();
        Pending {
            console_access: next.console_access,
            groups: next.groups,
            pending_change: change.name(),
        }
    });
    Ok(Json(Description {
        broker_id: broker.id.to_string(),
        console_access: user.console_access,
        groups: user.groups,
        pending,
        replication_user: user.replication_user,
        username: user.username,
    }))
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, username)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let request: ChangeUser = body::json(&body)?;
    let app = state.app;
    app.create_broker_user(&caller, &id, &username, request)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn update(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, username)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let request: ChangeUser = body::json(&body)?;
    let app = state.app;
    app.update_broker_user(&caller, &id, &username, request)
        .await?;
    Ok(Json(json!({})))
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, username)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    state
        .app
        .delete_broker_user(&caller, &id, &username)
        .await?;
    Ok(Json(json!({})))
}
