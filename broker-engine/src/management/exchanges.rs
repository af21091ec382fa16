//! `/api/exchanges`: exchanges, made and deleted with the caller's permissions.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::auth::User;
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::rates::Windows;
use super::{State, operator, written};
use crate::broker::json as tables;
use crate::broker::{ExchangeDeclare, ExchangeKind, ExchangeSettings, Table, Vhost};

/// What paths call the exchange that has no name.
const DEFAULT: &str = "amq.default";

pub(super) async fn list(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    operator::list((&user, &node), &parameters, all)
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    operator::list_of_vhost((&user, &node), &parameters, &vhost, all)
}

pub(super) async fn show(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    let name = name_of(&name);
    let found = exchanges(&vhost)
        .into_iter()
        .find(|(other, _)| other == name);
    let (name, settings) = found.ok_or(Error::NotFound)?;
    let windows = Windows::of(&parameters)?;
    let described = describe(&vhost, (&name, &settings), &windows);
    Ok(Json(parameters.one(described)))
}

pub(super) async fn put(
    user: User,
    node: State,
    Path((vhost, name)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Error> {
    let body = Body::parse(&body)?;
    let [kind] = body.texts(["type"])?;
    let session = operator::enter(&user, &node, &vhost)?;
    let is_new = session.exchange_check(&name).is_err();
    let declared = session.exchange_declare(ExchangeDeclare {
        name,
        kind,
        durable: body.is_on("durable")?,
        auto_delete: body.is_on("auto_delete")?,
        internal: body.is_on("internal")?,
        arguments: body.table("arguments")?,
    });
    let position = declared.map_err(operator::refused)?;
    Arc::clone(&node).durable(position).await?;
    Ok(written(is_new))
}

pub(super) async fn delete(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let session = operator::enter(&user, &node, &vhost)?;
    let name = name_of(&name);
    if !name.is_empty() && session.exchange_check(name).is_err() {
        return Err(Error::NotFound);
    }
    let deleted = session.exchange_delete(name, parameters.is_on("if-unused"));
    let position = deleted.map_err(operator::refused)?;
    Arc::clone(&node).durable(position).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An exchange's name, from a path.
pub(super) fn name_of(path: &str) -> &str {
    if path == DEFAULT { "" } else { path }
}

/// All exchanges by name; the default one is first.
pub(super) fn exchanges(vhost: &Vhost) -> Vec<(String, ExchangeSettings)> {
    let default = ExchangeSettings {
        kind: ExchangeKind::Direct,
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: Table::default(),
    };
    let named = vhost.exchanges().into_iter();
    let mut exchanges: Vec<_> = named
        .map(|(name, settings)| (name.to_string(), settings))
        .chain([(String::new(), default)])
        .collect();
    exchanges.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
    exchanges
}

fn all(vhost: &Vhost, windows: &Windows) -> Vec<Value> {
    let exchanges = exchanges(vhost);
    exchanges
        .iter()
        .map(|(name, settings)| describe(vhost, (name, settings), windows))
        .collect()
}

fn describe(
    vhost: &Vhost,
    (name, settings): (&str, &ExchangeSettings),
    windows: &Windows,
) -> Value {
    let history = vhost.exchange_history(name, windows.periods());
    json!({
        "name": name,
        "vhost": **vhost.name(),
        "type": settings.kind.name(),
        "durable": settings.durable,
        "auto_delete": settings.auto_delete,
        "internal": settings.internal,
        "arguments": tables::from_table(&settings.arguments),
        "message_stats": windows.of_exchange(&history.unwrap_or_default()),
    })
}
