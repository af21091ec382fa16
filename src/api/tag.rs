//! Tags on the wire. The ARN travels percent-encoded in the path.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, RawQuery, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};

use super::{body, error::Failure, query, router::ApiState};
use crate::{app::Caller, model::tag::Tags};

#[derive(Default, Deserialize)]
#[serde(default)]
struct CreateTags {
    tags: Option<Tags>,
}

#[derive(Serialize)]
pub(super) struct TagList {
    tags: Tags,
}

pub(super) async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(arn): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Failure> {
    let request: CreateTags = body::json(&body)?;
    state
        .app
        .create_tags(&caller, &arn, request.tags.unwrap_or_default())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(arn): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Failure> {
    let keys = query::values(query.as_deref(), "tagKeys");
    state.app.delete_tags(&caller, &arn, &keys).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(arn): Path<String>,
) -> Result<Json<TagList>, Failure> {
    Ok(Json(TagList {
        tags: state.app.list_tags(&caller, &arn).await?,
    }))
}
