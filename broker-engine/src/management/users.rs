//! `/api/users`: logins, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::auth::Administrator;
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::{State, written};
use crate::broker::definitions::document::{Tags, User};
use crate::broker::{PasswordHash, Position};

/// As many tags as RabbitMQ lets a user have.
const TAGS_MAX: usize = 20;

pub(super) async fn list(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let users = node.broker.users();
    Ok(Json(parameters.list(users.iter().map(describe).collect())?))
}

pub(super) async fn list_without_permissions(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let permissions = node.broker.permissions();
    let users = node.broker.users();
    let outside = users.iter().filter(|user| {
        let mut permissions = permissions.iter();
        !permissions.any(|permission| permission.user == user.name)
    });
    Ok(Json(parameters.list(outside.map(describe).collect())?))
}

pub(super) async fn show(
    _administrator: Administrator,
    node: State,
    parameters: Parameters,
    Path(name): Path<String>,
) -> Result<Json<Value>, Error> {
    let users = node.broker.users();
    let user = users
        .iter()
        .find(|user| user.name == name)
        .ok_or(Error::NotFound)?;
    Ok(Json(parameters.one(describe(user))))
}

pub(super) async fn put(
    _administrator: Administrator,
    node: State,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let user = read(name, &Body::parse(&body)?)?;
    let is_new = !node
        .broker
        .users()
        .iter()
        .any(|other| other.name == user.name);
    let position = node.broker.put_user(&user)?;
    Arc::clone(&node).durable(Some(position)).await?;
    Ok(written(is_new))
}

fn read(name: String, body: &Body) -> Result<User, Error> {
    let refusal = |text: &str| Error::BadRequest(text.to_owned());
    let tags = body
        .get("tags")
        .ok_or_else(|| refusal("tags_not_present"))
        .and_then(|tags| {
            let tags: Result<Tags, _> = serde_json::from_value(tags.clone());
            tags.map_err(|_| refusal("tags must be a list or a string"))
        })?;
    if tags.0.len() > TAGS_MAX {
        return Err(Error::BadRequest(format!(
            "A user can have at most {TAGS_MAX} tags (received {})",
            tags.0.len()
        )));
    }
    let text = |member: &str| match body.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(Error::BadRequest(format!("{member} must be a string"))),
    };
    let fresh = |password: &[u8]| PasswordHash::new(password);
    let (password_hash, hashing_algorithm) = match (text("password")?, text("password_hash")?) {
        (Some(password), None) => {
            let hash = fresh(password.as_bytes());
            (hash.to_string(), hash.algorithm().to_owned())
        }
        (None, hash) => {
            let algorithm = text("hashing_algorithm")?.map(str::to_owned);
            let algorithm = algorithm.unwrap_or_else(|| fresh(b"").algorithm().to_owned());
            // Without either, nobody can log in by password.
            (hash.unwrap_or_default().to_owned(), algorithm)
        }
        (Some(_), Some(_)) => {
            return Err(refusal("both_password_and_password_hash_are_provided"));
        }
    };
    let limits = match body.get("limits") {
        None => Map::new(),
        Some(Value::Object(limits)) => limits.clone(),
        Some(_) => return Err(refusal("limits must be an object")),
    };
    Ok(User {
        name,
        password_hash,
        hashing_algorithm,
        tags,
        limits,
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

/// Users that are not there count as deleted.
pub(super) async fn delete_many(
    _administrator: Administrator,
    node: State,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let body = Body::parse(&body)?;
    let [users] = body.needed(["users"])?;
    let names: Option<Vec<&str>> = users
        .as_array()
        .and_then(|users| users.iter().map(Value::as_str).collect());
    let names =
        names.ok_or_else(|| Error::BadRequest("users must be a list of names".to_owned()))?;
    let mut last = None;
    for name in names {
        last = Position::of_both(last, node.broker.delete_user(name)?);
    }
    Arc::clone(&node).durable(last).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn describe(user: &User) -> Value {
    json!({
        "name": user.name,
        "password_hash": user.password_hash,
        "hashing_algorithm": user.hashing_algorithm,
        "tags": user.tags.0,
        "limits": user.limits,
    })
}
