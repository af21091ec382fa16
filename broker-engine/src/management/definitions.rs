//! `/api/definitions`: everything that is defined, of the node or of one virtual host, to take away and to bring back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{Administrator, User};
use super::error::Error;
use super::listing::to_json;
use super::upload::Upload;
use super::{Node, State};
use crate::broker::{self, Document, LIMITS, VHOST_LIMITS};

/// Bytes of the largest document: as much as RabbitMQ takes.
pub(super) const DOCUMENT_SIZE_MAX: usize = 20 << 20;

#[derive(Deserialize)]
pub(super) struct Wanted {
    /// The name of the file that a browser is to keep it in.
    download: Option<String>,
}

pub(super) async fn export(
    _administrator: Administrator,
    node: State,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let exporting = Arc::clone(&node);
    let document = blocking(move || Ok(exporting.broker.export())).await?;
    let mut members = to_json(&document)?;
    for vhost in members["vhosts"].as_array_mut().into_iter().flatten() {
        let limits = vhost["name"].as_str().map(|name| limits(&node, name));
        vhost["limits"] = limits.unwrap_or_else(|| json!({}));
    }
    members["rabbitmq_definition_format"] = json!("cluster");
    members["original_cluster_name"] = json!(node.name);
    members["explanation"] = json!(format!("Definitions of cluster '{}'", node.name));
    Ok(answer(&node, members, wanted))
}

pub(super) async fn export_vhost(
    _administrator: Administrator,
    node: State,
    Path(vhost): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Error> {
    let found = node.broker.vhost(&vhost).ok_or(Error::NotFound)?;
    let document = node.broker.export_vhost(&vhost).ok_or(Error::NotFound)?;
    let mut members = to_json(&document)?;
    let of_node = [
        "users",
        "vhosts",
        "permissions",
        "topic_permissions",
        "global_parameters",
    ];
    if let Some(members) = members.as_object_mut() {
        members.retain(|name, _| !of_node.contains(&name.as_str()));
    }
    let described = to_json(found.described())?;
    members["rabbitmq_definition_format"] = json!("single_virtual_host");
    members["original_vhost_name"] = json!(vhost);
    members["explanation"] = json!(format!("Definitions of virtual host '{vhost}'"));
    members["metadata"] = described["metadata"].clone();
    members["description"] = described["description"].clone();
    members["limits"] = limits(&node, &vhost);
    Ok(answer(&node, members, wanted))
}

pub(super) async fn import(
    _administrator: Administrator,
    user: User,
    node: State,
    upload: Upload,
) -> Result<Response, Error> {
    let document = parse(&upload.document)?;
    take_over(user, node, document).await?;
    Ok(upload.done())
}

pub(super) async fn import_vhost(
    _administrator: Administrator,
    user: User,
    node: State,
    Path(vhost): Path<String>,
    upload: Upload,
) -> Result<Response, Error> {
    node.check_vhost(&vhost)?;
    let document = parse(&upload.document)?.within(&vhost);
    take_over(user, node, document).await?;
    Ok(upload.done())
}

async fn take_over(user: User, node: State, document: Document) -> Result<(), Error> {
    for parameter in &document.parameters {
        node.check_changeable(&parameter.component)?;
    }
    let by = (!user.is_monitoring()).then(|| user.name().to_owned());
    blocking(move || {
        let imported = node.broker.import(&document, by.as_deref());
        imported.map_err(|error| match error {
            // What the document names and nobody has is the document's fault.
            broker::Error::NotFound(text) => Error::BadRequest(text),
            error @ (broker::Error::AccessRefused(_)
            | broker::Error::PreconditionFailed(_)
            | broker::Error::ResourceLocked(_)
            | broker::Error::NotAllowed(_)
            | broker::Error::CommandInvalid(_)
            | broker::Error::NotImplemented(_)
            | broker::Error::Store(_)) => error.into(),
        })
    })
    .await
}

fn parse(body: &[u8]) -> Result<Document, Error> {
    // Some editors put a byte order mark in front.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.is_empty() {
        return Ok(Document::default());
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| Error::BadRequest("failed_to_parse_json".to_owned()))?;
    serde_json::from_value(value).map_err(|cause| Error::BadRequest(cause.to_string()))
}

/// Imports wait for the volume, and large ones take their time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|cause| Error::Internal(cause.to_string()))?
}

fn limits(node: &Node, vhost: &str) -> Value {
    let found = node.broker.vhost(vhost);
    let limits = found.and_then(|vhost| vhost.parameter(VHOST_LIMITS, LIMITS));
    limits.unwrap_or_else(|| json!({}))
}

fn answer(node: &Node, mut members: Value, wanted: Wanted) -> Response {
    for name in ["rabbit_version", "rabbitmq_version", "product_version"] {
        members[name] = json!(node.version);
    }
    members["product_name"] = json!(node.product);
    let mut response = Json(members).into_response();
    let is_plain = |name: &String| {
        let mut letters = name.chars();
        letters.all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
    };
    if let Some(name) = wanted.download.filter(is_plain)
        && let Ok(value) = format!("attachment; filename={name}").parse()
    {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
