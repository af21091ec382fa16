//! Whether this process lives, and whether it can serve: the database answers. For load balancers and
//! supervisors, without a signature.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{error::Failure, router::ApiState};

pub(super) async fn health(State(state): State<ApiState>) -> Result<Json<Value>, Failure> {
    state.app.health().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Whether the process answers at all: no reason to restart it, whatever its database does.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
