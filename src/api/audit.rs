//! The audit log: what each call asked, and how it ended. And the list of it all.

use std::{borrow::Cow, collections::BTreeMap};

use axum::{
    Extension, Json,
    extract::{MatchedPath, RawQuery, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    body,
    error::{Failed, Failure},
    query,
    router::{ApiState, ROUTES},
    sts,
};
use crate::{
    app::{CallNote, Caller, EndedCall},
    error::Error,
    model::{
        Invalid,
        audit::{AuditError, AuditFilter, storable, without_secrets},
    },
};

/// Notes what a call asks before it is carried out and, unless a change's transaction did, tells
/// how it ended. A call that cannot be told of is not answered.
pub(super) async fn tell(
    State(state): State<ApiState>,
    path: MatchedPath,
    Extension(mut caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    let body = body::read(body).await?;
    let asked = Asked {
        method: &parts.method,
        route: path.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query(),
        body: &body,
    };
    let (action, is_read) = asked.action();
    caller.note = CallNote::new(asked.parameters());
    parts.extensions.insert(caller.clone());
    let response = next.run(Request::from_parts(parts, body.into())).await;
    if caller.note.is_told() {
        return Ok(response);
    }
    let error = response
        .extensions()
        .get::<Failed>()
        .map(|Failed(failure)| {
            let answer = failure.answer();
            AuditError {
                code: answer.code.to_owned(),
                message: storable(&answer.message.unwrap_or_default()),
            }
        });
    let call = EndedCall {
        action,
        is_read,
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

/// A call as it came.
struct Asked<'a> {
    method: &'a Method,
    /// Its path with names in braces where the caller's values stand.
    route: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    body: &'a [u8],
}

impl Asked<'_> {
    /// The action's name in policies, and whether it only looks.
    fn action(&self) -> (String, bool) {
        if self.route == sts::PATH {
            let form = self.form();
            let action = form
                .get("Action")
                .and_then(Value::as_str)
                .unwrap_or("Unknown");
            return (format!("sts:{action}"), true);
        }
        let operation = ROUTES
            .iter()
            .find(|(method, path, _)| *method == self.method.as_str() && *path == self.route)
            .map_or("Unknown", |(_, _, operation)| *operation);
        (format!("mq:{operation}"), self.method == Method::GET)
    }

    /// All that the caller named, without its secrets; `None` when that is nothing.
    fn parameters(&self) -> Option<Value> {
        let mut parameters = match self.route == sts::PATH {
            true => self.form(),
            // Nothing but an object has members to tell of.
            false => serde_json::from_slice(self.body).unwrap_or_default(),
        };
        parameters.extend(self.labels());
        parameters.extend(pairs(self.query.unwrap_or_default()));
        (!parameters.is_empty()).then(|| without_secrets(Value::Object(parameters)))
    }

    /// The values of the names in the route's braces.
    fn labels(&self) -> Map<String, Value> {
        let names = self.route.split('/').zip(self.path.split('/'));
        names
            .filter_map(|(name, value)| {
                let name = name.strip_prefix('{')?.strip_suffix('}')?;
                Some((name.to_owned(), json!(decode(value))))
            })
            .collect()
    }

    fn form(&self) -> Map<String, Value> {
        let form = String::from_utf8_lossy(self.body).replace('+', "%20");
        pairs(&form)
            .chain(pairs(self.query.unwrap_or_default()))
            .collect()
    }
}

/// Names and values of a query; a name that comes again has a list. What signs is left out.
fn pairs(query: &str) -> impl Iterator<Item = (String, Value)> + use<> {
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).into_owned();
        if !name.starts_with("X-Amz-") {
            values
                .entry(name)
                .or_default()
                .push(decode(value).into_owned());
        }
    }
    values
        .into_iter()
        .map(|(name, mut values)| match values.len() {
            1 => (name, json!(values.pop())),
            _ => (name, json!(values)),
        })
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked<'a>(
        method: &'a Method,
        route: &'a str,
        path: &'a str,
        query: &'a str,
        body: &'a str,
    ) -> Asked<'a> {
        Asked {
            method,
            route,
            path,
            query: Some(query),
            body: body.as_bytes(),
        }
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
        assert_eq!(call.action(), ("mq:CreateUser".to_owned(), false));
        assert_eq!(
            call.parameters().unwrap(),
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
            call.parameters().unwrap(),
            json!({"resource-arn": "arn:aws", "tagKeys": ["a", "b"]})
        );
        let call = asked(&Method::GET, "/v1/brokers", "/v1/brokers", "", "");
        assert_eq!(call.action(), ("mq:ListBrokers".to_owned(), true));
        assert_eq!(call.parameters(), None);
    }

    #[test]
    fn a_call_for_a_session_is_told_by_its_form() {
        let form = "Action=AssumeRole&RoleSessionName=a+b";
        let call = asked(&Method::POST, "/", "/", "", form);
        assert_eq!(call.action(), ("sts:AssumeRole".to_owned(), true));
        assert_eq!(
            call.parameters().unwrap(),
            json!({"Action": "AssumeRole", "RoleSessionName": "a b"})
        );
    }
}
