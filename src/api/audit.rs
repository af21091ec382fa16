//! The audit log: what each call asked, and how it ended. And the list of it all.
//!
//! As CloudTrail does, it tells of every call whose signature is good, whatever becomes of it: done,
//! refused by a policy, or failed. Calls with keys that are unknown, disabled or expired, with a wrong
//! signature, or signed too early or too late are not told of: nobody is known to have made them, and
//! whoever has heard a key's id could fill its owner's log. Metrics count them
//! (`warren_api_refusals_total`), and each is a line of the process's own log. The same holds of paths
//! that lead nowhere.
//!
//! Of an account's throttled calls the first in a minute is told, by each process: an event for
//! every one would be a write for every request of the flood that throttling keeps out.

use std::collections::BTreeMap;

use axum::{
    Extension, Json,
    extract::{MatchedPath, RawQuery, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    auth::SignedBody,
    error::{Failed, Failure},
    query,
    router::{self, ApiState},
    sts::{self, Form},
};
use crate::{
    app::{CallNote, Caller, EndedCall},
    error::Error,
    model::{
        Invalid,
        audit::{AuditError, AuditFilter, storable, without_secrets},
    },
};

/// What the log says of an answer that no change's transaction told of.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) resource_arn: String,
    pub(super) response: Value,
}

/// Notes what a call asks before it is carried out and, unless a change's transaction did, tells
/// how it ended. A call that cannot be told of is not answered.
pub(super) async fn tell(
    State(state): State<ApiState>,
    path: MatchedPath,
    Extension(mut caller): Extension<Caller>,
    Extension(SignedBody(body)): Extension<SignedBody>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (parts, rest) = request.into_parts();
    let (asked, form) = Asked::read(&parts, Some(path.as_str()), &body);
    let mut request = Request::from_parts(parts, rest);
    let is_sts = form.is_some();
    if let Some(form) = form {
        request.extensions_mut().insert(form);
    }
    caller.note = CallNote::new(asked.parameters);
    request.extensions_mut().insert(caller.clone());
    let mut response = next.run(request).await;
    if caller.note.is_told() {
        return Ok(response);
    }
    let failed = response.extensions().get::<Failed>();
    let error = failed.map(|Failed(failure)| told_error(failure, is_sts));
    let told = response.extensions_mut().remove::<Told>();
    let (resource_arn, answer) = told.map(|told| (told.resource_arn, told.response)).unzip();
    let call = EndedCall {
        action: asked.action,
        is_read: asked.is_read,
        resource_arn,
        response: answer,
        error,
    };
    match state.app.audit_call(&caller, call).await {
        Ok(()) => Ok(response),
        // The caller learns what went wrong first.
        Err(error) if response.status().is_server_error() => {
            tracing::error!(%error, "a failed call is missing in the audit log");
            Ok(response)
        }
        Err(error) => Ok(Failure::from(error).into_response()),
    }
}

/// Tells of a call that was not even carried out. What cannot be told is only logged: the caller is
/// refused all the same.
pub(super) async fn tell_refused(
    state: &ApiState,
    mut caller: Caller,
    (parts, body): (&Parts, &[u8]),
    failure: &Failure,
) {
    let route = parts.extensions.get::<MatchedPath>();
    let (asked, form) = Asked::read(parts, route.map(MatchedPath::as_str), body);
    caller.note = CallNote::new(asked.parameters);
    let call = EndedCall {
        action: asked.action,
        is_read: asked.is_read,
        resource_arn: None,
        response: None,
        error: Some(told_error(failure, form.is_some())),
    };
    if let Err(error) = state.app.audit_call(&caller, call).await {
        tracing::error!(%error, "a refused call is missing in the audit log");
    }
}

/// A failure under the name that its caller was told.
fn told_error(failure: &Failure, is_sts: bool) -> AuditError {
    let answer = failure.answer();
    let code = match is_sts {
        true => sts::code(failure),
        false => answer.code,
    };
    AuditError {
        code: code.to_owned(),
        message: storable(&answer.message.unwrap_or_default()),
    }
}

/// A call as it came.
struct Asked {
    /// The action's name in policies.
    action: String,
    /// Whether it only looks.
    is_read: bool,
    /// All that the caller named, without its secrets; `None` when that is nothing.
    parameters: Option<Value>,
}

impl Asked {
    /// The call and, of the service that gives out sessions, its parameters. `route` is the path with
    /// names in braces where the caller's values stand.
    fn read(parts: &Parts, route: Option<&str>, body: &[u8]) -> (Self, Option<Form>) {
        let query = parts.uri.query().unwrap_or_default();
        if route == Some(sts::PATH) {
            let form = match parts.method == Method::GET {
                true => Form::of_query(query),
                false => Form::of_body(body),
            };
            return (Self::of_form(&form), Some(form));
        }
        let paths = (route.unwrap_or_default(), parts.uri.path());
        (Self::of_route(&parts.method, paths, query, body), None)
    }

    fn of_form(form: &Form) -> Self {
        let action = match form.action() {
            "" => "Unknown",
            action => action,
        };
        Self {
            action: storable(&format!("sts:{action}")),
            is_read: true,
            parameters: shown(form.parameters()),
        }
    }

    fn of_route(method: &Method, (route, path): (&str, &str), query: &str, body: &[u8]) -> Self {
        // Nothing but an object has members to tell of.
        let mut parameters: Map<_, _> = serde_json::from_slice(body).unwrap_or_default();
        parameters.extend(labels(route, path));
        parameters.extend(pairs(query));
        let operation = router::operation(method, Some(route));
        Self {
            action: format!("mq:{operation}"),
            is_read: method == Method::GET,
            parameters: shown(parameters),
        }
    }
}

fn shown(parameters: Map<String, Value>) -> Option<Value> {
    (!parameters.is_empty()).then(|| without_secrets(Value::Object(parameters)))
}

/// The values of the names in the route's braces.
fn labels(route: &str, path: &str) -> Map<String, Value> {
    let names = route.split('/').zip(path.split('/'));
    names
        .filter_map(|(name, value)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            let value = percent_decode_str(value).decode_utf8_lossy();
            Some((name.to_owned(), json!(value)))
        })
        .collect()
}

/// Names and values of a query; a name that comes again has a list. What signs is left out.
fn pairs(query: &str) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in query::pairs(query) {
        if !name.starts_with("X-Amz-") {
            values.entry(name).or_default().push(value);
        }
    }
    values
        .into_iter()
        .map(|(name, mut values)| match values.len() {
            1 => (name, json!(values.pop())),
            _ => (name, json!(values)),
        })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List {
    events: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// ListAuditEvents: CloudTrail records, newest first.
pub(super) async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<List>, Failure> {
    let query = query.as_deref();
    let text = |name| query::value(query, name);
    let filter = AuditFilter {
        action: text("eventName").map(|name| match name.contains(':') {
            true => name,
            false => format!("mq:{name}"),
        }),
        principal_arn: text("principalArn"),
        resource_arn: text("resourceArn"),
        read_only: text("readOnly").map(|text| boolean(&text)).transpose()?,
        since: text("startTime")
            .map(|text| time("startTime", &text))
            .transpose()?,
        until: text("endTime")
            .map(|text| time("endTime", &text))
            .transpose()?,
    };
    let page = query::page(query)?;
    let page = state.app.list_audit_events(&caller, &filter, &page).await?;
    Ok(Json(List {
        events: page.items.iter().map(|event| event.record()).collect(),
        next_token: page.next_token,
    }))
}

fn boolean(text: &str) -> Result<bool, Error> {
    let wrong = || Invalid::new("readOnly", "[readOnly] must be true or false.");
    Ok(text.parse().map_err(|_| wrong())?)
}

fn time(name: &'static str, text: &str) -> Result<DateTime<Utc>, Error> {
    let wrong = || {
        Invalid::new(
            name,
            format!("[{name}] must be a time in ISO 8601 with its zone."),
        )
    };
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    Ok(time.to_utc())
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod fuzzing {
    use super::*;

    /// A request's query and body behind a line's end: what is told of it can be stored, and has no secret.
    pub fn parameters(bytes: &[u8]) {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (query, body) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 1..]));
        let Ok(query) = std::str::from_utf8(query) else {
            return;
        };
        for (route, path) in [
            ("/v1/brokers/{broker-id}/users/{username}", query),
            ("/v1/brokers", "/v1/brokers"),
        ] {
            let asked = Asked::of_route(&Method::POST, (route, path), query, body);
            told(asked);
        }
        told(Asked::of_form(&Form::of_query(query)));
        told(Asked::of_form(&Form::of_body(body)));
    }

    fn told(asked: Asked) {
        assert!(asked.action.contains(':') && !asked.action.contains('\0'));
        if let Some(told) = asked.parameters {
            assert!(is_storable(&told), "{told}");
            assert_eq!(without_secrets(told.clone()), told);
        }
    }

    /// Postgres keeps no U+0000, nor fractions as they were sent.
    fn is_storable(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(_) => true,
            Value::Number(number) => !number.is_f64(),
            Value::String(text) => !text.contains('\0'),
            Value::Array(items) => items.iter().all(is_storable),
            Value::Object(members) => members
                .iter()
                .all(|(name, value)| !name.contains('\0') && is_storable(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, route: &str, path: &str, query: &str, body: &str) -> Asked {
        Asked::of_route(method, (route, path), query, body.as_bytes())
    }

    #[test]
    fn a_call_is_told_with_all_it_named_and_none_of_its_secrets() {
        let route = "/v1/brokers/{broker-id}/users/{username}";
        let body = r#"{"password": "correct-horse", "groups": ["a"]}"#;
        let call = asked(
            &Method::POST,
            route,
            "/v1/brokers/b-1/users/a%20b",
            "",
            body,
        );
        assert_eq!((&*call.action, call.is_read), ("mq:CreateUser", false));
        assert_eq!(
            call.parameters.unwrap(),
            json!({"broker-id": "b-1", "username": "a b", "password": "****", "groups": ["a"]})
        );
        let query = "tagKeys=a&tagKeys=b&X-Amz-Signature=00";
        let call = asked(
            &Method::DELETE,
            "/v1/tags/{resource-arn}",
            "/v1/tags/arn%3Aaws",
            query,
            "",
        );
        assert_eq!(
            call.parameters.unwrap(),
            json!({"resource-arn": "arn:aws", "tagKeys": ["a", "b"]})
        );
        let call = asked(&Method::GET, "/v1/brokers", "/v1/brokers", "", "");
        assert_eq!((&*call.action, call.is_read), ("mq:ListBrokers", true));
        assert_eq!(call.parameters, None);
    }

    #[test]
    fn a_call_for_a_session_is_told_by_its_form() {
        let form = Form::of_body(b"Action=AssumeRole&RoleSessionName=a+b");
        let call = Asked::of_form(&form);
        assert_eq!((&*call.action, call.is_read), ("sts:AssumeRole", true));
        assert_eq!(call.parameters.unwrap(), json!({"roleSessionName": "a b"}));
        assert_eq!(Asked::of_form(&Form::default()).action, "sts:Unknown");
    }
}
