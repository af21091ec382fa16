//! `/api/users`: logins, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::State;
use super::auth::Administrator;
use super::error::{Error, parse};
use crate::broker::PasswordHash;
use crate::broker::definitions::document::{Tags, User};

/// The only algorithm in which passwords are kept.
const HASHING_ALGORITHM: &str = "rabbit_password_hashing_sha256";

#[derive(Deserialize)]
pub(super) struct Put {
    password: Option<String>,
    password_hash: Option<String>,
    #[serde(default = "sha256")]
    hashing_algorithm: String,
    tags: Option<Tags>,
}

fn sha256() -> String {
    HASHING_ALGORITHM.to_owned()
}

pub(super) async fn list(_administrator: Administrator, node: State) -> Json<Value> {
    Json(node.broker.users().iter().map(describe).collect())
}

pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let users = node.broker.users();
    let user = users
        .iter()
        .find(|user| user.name == name)
        .ok_or(Error::NotFound)?;
    Ok(Json(describe(user)))
}

pub(super) async fn put(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let put: Put = parse(&body)?;
    let tags = put
        .tags
        .ok_or_else(|| Error::BadRequest("key 'tags' is missing".to_owned()))?;
    let (password_hash, hashing_algorithm) = match (put.password, put.password_hash) {
        (Some(password), None) => (
            PasswordHash::new(password.as_bytes()).to_string(),
            HASHING_ALGORITHM.to_owned(),
        ),
        (None, Some(hash)) => (hash, put.hashing_algorithm),
        (Some(_), Some(_)) => {
            let text = "both password and password_hash are given";
            return Err(Error::BadRequest(text.to_owned()));
        }
        (None, None) => {
            let text = "password or password_hash is needed: users without one cannot log in";
            return Err(Error::BadRequest(text.to_owned()));
        }
    };
    let is_new = !node.broker.users().iter().any(|user| user.name == name);
    let position = node.broker.put_user(&User {
        name,
        password_hash,
        hashing_algorithm,
        tags,
    })?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::NO_CONTENT
    })
}

pub(super) async fn delete(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
) -> Result<StatusCode, Error> {
    let position = node.broker.delete_user(&name)?.ok_or(Error::NotFound)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn describe(user: &User) -> Value {
    json!({
        "name": user.name,
        "password_hash": user.password_hash,
        "hashing_algorithm": user.hashing_algorithm,
        "tags": user.tags.0,
        "limits": {},
    })
}
