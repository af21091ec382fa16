//! Whether this process can serve: the database answers. For load balancers, without a signature.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use super::{error::Failure, router::ApiState};

pub(super) async fn health(State(state): State<ApiState>) -> Result<Json<Value>, Failure> {
    state.app.health().await?;
    Ok(Json(json!({ "status": "ok" })))
}
