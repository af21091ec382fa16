//! `/api/whoami`: the caller.

use axum::Json;
use serde_json::{Value, json};

use super::auth::User;

pub(super) async fn show(User(identity): User) -> Json<Value> {
    Json(json!({"name": *identity.name, "tags": *identity.tags, "is_internal_user": true}))
}
