//! Refusals in RabbitMQ's JSON.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::broker;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    NotAuthorised(&'static str),
    #[error("Not Found")]
    NotFound,
    /// What the user may not do in a virtual host.
    #[error("{0}")]
    Refused(String),
    /// What an operation in a virtual host is about is not there.
    #[error("{0}")]
    NoSuch(String),
    /// What a change is about is not there.
    #[error("{0}")]
    Missing(&'static str),
    #[error("{0}")]
    BadRequest(String),
    /// The node is set up not to do it for anybody.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<broker::Error> for Error {
    fn from(error: broker::Error) -> Self {
        match error {
            broker::Error::NotFound(_) => Self::NotFound,
            broker::Error::AccessRefused(text)
            | broker::Error::PreconditionFailed(text)
            | broker::Error::ResourceLocked(text)
            | broker::Error::NotAllowed(text)
            | broker::Error::CommandInvalid(text)
            | broker::Error::NotImplemented(text) => Self::BadRequest(text),
            broker::Error::Store(cause) => Self::Internal(cause.to_string()),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, error) = match &self {
            Self::NotAuthorised(_) | Self::Refused(_) => {
                (StatusCode::UNAUTHORIZED, "not_authorised")
            }
            Self::NotFound => (StatusCode::NOT_FOUND, "Object Not Found"),
            Self::Missing(_) | Self::NoSuch(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::NotAllowed(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Internal(cause) => {
                tracing::error!(error = cause, "a management request failed");
                let body = json!({"error": "internal_error", "reason": "see the broker logfile"});
                return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
            }
        };
        let body = Json(json!({"error": error, "reason": self.to_string()}));
        let mut response = (status, body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"RabbitMQ Management\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The answer for paths that do not exist.
pub(super) async fn not_found() -> Error {
    Error::NotFound
}
