//! Users of brokers on the wire.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use serde_json::Value;

use super::{error::Failure, query, router::ApiState};
use crate::{app::Caller, model::authorisation::Action};

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
struct Summary {
    username: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    broker_id: String,
    console_access: bool,
    groups: Vec<String>,
    replication_user: bool,
    username: String,
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<List>, Failure> {
    let request = query::page(query.as_deref())?;
    let (broker, page) = state.app.list_users(&caller, &id, &request).await?;
    let summary = |username| Summary { username };
    Ok(Json(List {
        broker_id: broker.id.to_string(),
        max_results: page.size,
        next_token: page.next_token,
        users: page.items.into_iter().map(summary).collect(),
    }))
}

pub(super) async fn describe(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, username)): Path<(String, String)>,
) -> Result<Json<Description>, Failure> {
    let (broker, user) = state.app.describe_user(&caller, &id, &username).await?;
    Ok(Json(Description {
        broker_id: broker.id.to_string(),
        console_access: user.console_access,
        groups: user.groups,
        replication_user: user.replication_user,
        username: user.username,
    }))
}

pub(super) async fn create(
    state: State<ApiState>,
    caller: Extension<Caller>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    change(Action::CreateUser, state, caller, path).await
}

pub(super) async fn update(
    state: State<ApiState>,
    caller: Extension<Caller>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    change(Action::UpdateUser, state, caller, path).await
}

pub(super) async fn delete(
    state: State<ApiState>,
    caller: Extension<Caller>,
    path: Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    change(Action::DeleteUser, state, caller, path).await
}

async fn change(
    action: Action,
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, _)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    state.app.change_user(&caller, action, &id).await?;
    Ok(Json(Value::Object(serde_json::Map::new())))
}
