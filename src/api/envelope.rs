//! What every answer has: a request id, a JSON body even when it is an error, and one line in
//! the log. A handler that panics answers 500 like any other fault of ours.

use std::{panic::AssertUnwindSafe, time::Instant};

use axum::{
    Json,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use serde::Serialize;
use trace::TraceParent;
use tracing::{Instrument, Span, field::Empty};

use super::{
    error::{Failed, Failure},
    router::{ApiState, operation},
    sts,
};
use crate::model::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "errorAttribute", skip_serializing_if = "Option::is_none")]
    error_attribute: Option<&'static str>,
    message: &'a str,
}

pub(super) async fn wrap(
    State(state): State<ApiState>,
    mut request: Request,
    next: Next,
) -> Response {
    let request_id = RequestId(state.app.entropy.uuid());
    request.extensions_mut().insert(request_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>();
    let operation = operation(&method, route.map(MatchedPath::as_str));
    let span = tracing::error_span!("call", %request_id, operation);
    let traced = traced(&request, request_id, operation);
    let told = trace::of(&traced).or_else(|| caller_of(&request));
    if let Some(told) = told {
        request.extensions_mut().insert(told);
    }
    let _in_flight = state.metrics.api_begins();
    let path = request.uri().path().to_owned();
    let started = Instant::now();
    let answering = next.run(request).instrument(traced.clone());
    let response = AssertUnwindSafe(answering.instrument(span.clone()))
        .catch_unwind()
        .await;
    let mut response = response.unwrap_or_else(|_| Failure::Panicked.into_response());
    let failed = response.extensions_mut().remove::<Failed>();
    if let Some(Failed(failure)) = &failed {
        response = if path == sts::PATH {
            sts::render(failure, request_id)
        } else {
            render(failure, request_id)
        };
    }
    let refusal = failed.as_ref().map(|Failed(failure)| failure.answer().code);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    state.metrics.api_answered(operation, status, refusal, took);
    traced.record("http.response.status_code", status);
    traced.record("error.type", refusal);
    if response.status().is_server_error() {
        traced.record("otel.status_code", "ERROR");
    }
    span.in_scope(|| {
        log(
            &method,
            &path,
            request_id,
            &response,
            started,
            failed.as_ref(),
        );
    });
    let value = HeaderValue::from_str(&request_id.to_string()).expect("a UUID is a header value");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

/// Who asks whether the process is well is not traced.
const PROBES: [&str; 3] = ["Health", "Healthz", "Readyz"];

/// The request, as a part of what its caller traces. Names of attributes: OpenTelemetry's semantic
/// conventions for HTTP.
fn traced(request: &Request, request_id: RequestId, operation: &'static str) -> Span {
    if PROBES.contains(&operation) {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "call",
        otel.name = operation,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = request.method().as_str(),
        http.route = request.extensions().get().map(MatchedPath::as_str),
        http.response.status_code = Empty,
        "error.type" = Empty,
        warren.request_id = %request_id,
    );
    trace::join(&span, caller_of(request));
    span
}

/// What the client traces the request as.
fn caller_of(request: &Request) -> Option<TraceParent> {
    let header = request.headers().get(trace::HEADER)?;
    header.to_str().ok()?.parse().ok()
}

fn render(failure: &Failure, request_id: RequestId) -> Response {
    let answer = failure.answer();
    let message = answer.message.unwrap_or_else(|| {
        format!("An internal error occurred. Quote request id {request_id} to your operator.")
    });
    let body = Body {
        error_attribute: answer.attribute,
        message: &message,
    };
    let mut response = (answer.status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(ERROR_TYPE, HeaderValue::from_static(answer.code));
    if let Some(seconds) = answer.retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn log(
    method: &Method,
    path: &str,
    request_id: RequestId,
    response: &Response,
    started: Instant,
    failed: Option<&Failed>,
) {
    let status = response.status().as_u16();
    let elapsed_ms = started.elapsed().as_millis();
    match failed {
        Some(Failed(failure)) if response.status().is_server_error() => {
            tracing::error!(%method, path, status, elapsed_ms, %request_id, cause = cause(failure),
                "request failed");
        }
        Some(Failed(failure)) => {
            let code = failure.answer().code;
            tracing::info!(%method, path, status, elapsed_ms, %request_id, code, "request refused");
        }
        None => tracing::info!(%method, path, status, elapsed_ms, %request_id, "request"),
    }
}

/// The chain of private causes, for the log only.
fn cause(failure: &Failure) -> String {
    let mut text = failure.to_string();
    let mut source = std::error::Error::source(failure);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use axum::{
        Router,
        body::Body,
        http::{Request, StatusCode},
        middleware::from_fn_with_state,
        routing::get,
    };
    use http_body_util::BodyExt;
    use serde_json::Value;
    use sqlx::postgres::PgPoolOptions;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        app::{App, Settings},
        error::Error,
        model::{clock::SystemClock, entropy::SystemEntropy},
        secrets::MasterKey,
    };

    async fn answer<H, T>(handler: H) -> (StatusCode, String, String, Value)
    where
        H: axum::handler::Handler<T, ApiState>,
        T: 'static,
    {
        let state = ApiState::new(App {
            pool: PgPoolOptions::new()
                .acquire_timeout(Duration::from_millis(50))
                .connect_lazy("postgres://127.0.0.1:1/none")
                .unwrap(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            master_key: MasterKey::from_bytes([7; 32]),
            settings: Arc::new(Settings::new(Vec::new())),
        });
        let router = Router::new()
            .route("/v1", get(handler))
            .layer(from_fn_with_state(state.clone(), wrap))
            .with_state(state);
        let request = Request::get("/v1").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let header = |name: HeaderName| response.headers()[name].to_str().unwrap().to_owned();
        let (status, code, id) = (response.status(), header(ERROR_TYPE), header(REQUEST_ID));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, code, id, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn faults_of_ours_tell_the_request_id_and_nothing_else() {
        async fn broken() -> Result<(), Failure> {
            Err(Error::internal("role postgres does not exist").into())
        }
        async fn panics() {
            panic!("index out of bounds");
        }
        for (status, code, id, body) in [answer(broken).await, answer(panics).await] {
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(code, "InternalServerErrorException");
            let text =
                format!("An internal error occurred. Quote request id {id} to your operator.");
            assert_eq!(body, serde_json::json!({ "message": text }));
        }
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_unavailable() {
        let (status, code, _, _) = answer(super::super::health::health).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(code, "ServiceUnavailableException");
    }
}
