//! `/api/bindings`, and the bindings of one queue or exchange.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::auth::User;
use super::body::Body;
use super::error::Error;
use super::listing::Parameters;
use super::{State, exchanges, operator};
use crate::broker::json as tables;
use crate::broker::{Binding, Table, Vhost};

/// What stands for no key and no arguments.
const NO_PROPERTIES: &str = "~";

/// Bytes of the digest that tells arguments apart.
const DIGEST_LEN: usize = 16;

/// Vhost, source, `q` or `e`, and destination.
type Place = Path<(String, String, String, String)>;

pub(super) async fn list(
    user: User,
    node: State,
    parameters: Parameters,
) -> Result<Json<Value>, Error> {
    let vhosts = operator::all(&user, &node);
    let bindings = vhosts.iter().flat_map(|vhost| described(vhost, |_| true));
    Ok(Json(parameters.list(bindings.collect())?))
}

pub(super) async fn list_of_vhost(
    user: User,
    node: State,
    parameters: Parameters,
    Path(vhost): Path<String>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    Ok(Json(parameters.list(described(&vhost, |_| true))?))
}

pub(super) async fn list_of_queue(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, queue)): Path<(String, String)>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    vhost.queue(&queue).ok_or(Error::NotFound)?;
    let is_of_queue = |binding: &Binding| binding.is_to_queue && binding.destination == queue;
    Ok(Json(parameters.list(described(&vhost, is_of_queue))?))
}

/// Where messages go from an exchange, or from where they come to it.
pub(super) async fn list_of_exchange(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, name, side)): Path<(String, String, String)>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    let name = exchanges::name_of(&name);
    let mut known = exchanges::exchanges(&vhost).into_iter();
    known
        .find(|(other, _)| other == name)
        .ok_or(Error::NotFound)?;
    let is_meant = |binding: &Binding| match &*side {
        "source" => binding.source == name,
        _ => !binding.is_to_queue && binding.destination == name,
    };
    if !matches!(&*side, "source" | "destination") {
        return Err(Error::NotFound);
    }
    Ok(Json(parameters.list(described(&vhost, is_meant))?))
}

pub(super) async fn list_between(
    user: User,
    node: State,
    parameters: Parameters,
    Path((vhost, source, kind, destination)): Place,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    let ends = Ends::new(&source, &kind, &destination)?;
    Ok(Json(
        parameters.list(described(&vhost, |binding| ends.are_of(binding)))?,
    ))
}

pub(super) async fn post(
    user: User,
    node: State,
    Path((vhost, source, kind, destination)): Place,
    body: Bytes,
) -> Result<Response, Error> {
    let body = Body::parse(&body)?;
    let arguments = body.table("arguments")?;
    let key = body.get("routing_key").and_then(Value::as_str);
    let key = key.unwrap_or_default();
    let session = operator::enter(&user, &node, &vhost)?;
    let ends = Ends::new(&source, &kind, &destination)?;
    let bound = if ends.is_to_queue {
        session.queue_bind(&destination, ends.source, key, &arguments)
    } else {
        session.exchange_bind(&destination, ends.source, key, &arguments)
    };
    let position = bound.map_err(operator::refused)?;
    Arc::clone(&node).durable(position).await?;
    let place = format!(
        "{}/{}",
        quoted(&destination),
        properties_key(key, &arguments)
    );
    let mut response = StatusCode::CREATED.into_response();
    let place =
        HeaderValue::from_str(&place).map_err(|cause| Error::Internal(cause.to_string()))?;
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

pub(super) async fn show(
    user: User,
    node: State,
    Path((vhost, source, kind, destination, properties)): Path<(
        String,
        String,
        String,
        String,
        String,
    )>,
) -> Result<Json<Value>, Error> {
    let vhost = operator::look(&user, &node, &vhost)?;
    let binding = Ends::new(&source, &kind, &destination)?.find(&vhost, &properties)?;
    Ok(Json(describe(&vhost, &binding)))
}

pub(super) async fn delete(
    user: User,
    node: State,
    Path((vhost, source, kind, destination, properties)): Path<(
        String,
        String,
        String,
        String,
        String,
    )>,
) -> Result<StatusCode, Error> {
    let session = operator::enter(&user, &node, &vhost)?;
    let ends = Ends::new(&source, &kind, &destination)?;
    let Binding { key, arguments, .. } = ends.find(session.vhost(), &properties)?;
    let unbound = if ends.is_to_queue {
        session.queue_unbind(&destination, ends.source, &key, &arguments)
    } else {
        session.exchange_unbind(&destination, ends.source, &key, &arguments)
    };
    let position = unbound.map_err(operator::refused)?;
    Arc::clone(&node).durable(position).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What bindings join.
struct Ends<'a> {
    source: &'a str,
    is_to_queue: bool,
    destination: &'a str,
}

impl<'a> Ends<'a> {
    fn new(source: &'a str, kind: &str, destination: &'a str) -> Result<Self, Error> {
        let is_to_queue = match kind {
            "q" => true,
            "e" => false,
            _ => return Err(Error::NotFound),
        };
        Ok(Self {
            source: exchanges::name_of(source),
            is_to_queue,
            destination,
        })
    }

    fn are_of(&self, binding: &Binding) -> bool {
        binding.source == self.source
            && binding.is_to_queue == self.is_to_queue
            && binding.destination == self.destination
    }

    fn find(&self, vhost: &Vhost, properties: &str) -> Result<Binding, Error> {
        let mut bindings = vhost.bindings().into_iter();
        bindings
            .find(|binding| {
                self.are_of(binding) && names(properties, &binding.key, &binding.arguments)
            })
            .ok_or(Error::NotFound)
    }
}

fn described(vhost: &Vhost, is_meant: impl Fn(&Binding) -> bool) -> Vec<Value> {
    let bindings = vhost.bindings().into_iter().filter(is_meant);
    bindings.map(|binding| describe(vhost, &binding)).collect()
}

fn describe(vhost: &Vhost, binding: &Binding) -> Value {
    json!({
        "source": binding.source,
        "vhost": **vhost.name(),
        "destination": binding.destination,
        "destination_type": if binding.is_to_queue { "queue" } else { "exchange" },
        "routing_key": binding.key,
        "arguments": tables::from_table(&binding.arguments),
        "properties_key": properties_key(&binding.key, &binding.arguments),
    })
}

/// What tells a binding from others between the same two, in a path: the key, and a digest of the
/// arguments if there are any.
fn properties_key(key: &str, arguments: &Table) -> String {
    if arguments.0.is_empty() {
        return if key.is_empty() {
            NO_PROPERTIES.to_owned()
        } else {
            quoted(key)
        };
    }
    let text = tables::from_table(arguments).to_string();
    let digest = digest(&SHA256, text.as_bytes());
    let digest = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..DIGEST_LEN]);
    format!("{}{NO_PROPERTIES}{digest}", quoted(key))
}

/// Whether this is what a client makes of a binding's `properties_key`: some quote it once more for the path, some
/// take it for quoted already.
fn names(properties: &str, key: &str, arguments: &Table) -> bool {
    let known = properties_key(key, arguments);
    properties == known || unquoted(&known).is_some_and(|plain| properties == plain)
}

/// A text as it stands in a query.
fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => {
                quoted.push(char::from(byte));
            }
            b' ' => quoted.push('+'),
            _ => quoted.push_str(&format!("%{byte:02X}")),
        }
    }
    quoted
}

/// What [`quoted`] was made from, as far as paths are concerned: a plus sign stays one there.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker;

    #[test]
    fn a_binding_is_found_whether_or_not_its_key_was_quoted_again() {
        let none = Table::default();
        assert!(names("order.*.eu", "order.*.eu", &none));
        assert!(names("order.%2A.eu", "order.*.eu", &none));
        assert!(names("~", "", &none));
        assert!(!names("order.*.us", "order.*.eu", &none));
        assert!(names("ä%", "ä%", &none));
    }

    #[test]
    fn bindings_are_told_apart_by_key_and_arguments() {
        let arguments = |n| Table(vec![("n".to_owned(), broker::Value::I64(n))]);
        assert_eq!(properties_key("", &Table::default()), "~");
        assert_eq!(properties_key("a b~#", &Table::default()), "a+b%7E%23");
        let first = properties_key("k", &arguments(1));
        assert!(first.starts_with("k~"), "{first}");
        assert_ne!(first, properties_key("k", &arguments(2)));
    }
}
