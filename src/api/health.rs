//! Whether this process lives, and whether it can serve: it stays, and the database answers. For load balancers and
//! supervisors, without a signature.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{error::Failure, router::ApiState};

pub(super) async fn health(State(state): State<ApiState>) -> Result<Json<Value>, Failure> {
    state.app.health().await?;
    Ok(Json(json!({ "status": "ok" })))
}

/// Whether it should get requests: a process that leaves still answers, but another one is better asked.
pub(super) async fn readyz(state: State<ApiState>) -> Result<Json<Value>, Failure> {
    if state.stop.is_cancelled() {
        return Err(Failure::Leaving);
    }
    health(state).await
}

/// Whether the process answers at all: no reason to restart it, whatever its database does.
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
