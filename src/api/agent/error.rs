//! What an agent is told when it is not served.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{db, pki};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No client certificate, or not one of a host.
    #[error("A host's certificate is needed.")]
    Unidentified,
    /// The host of the certificate is not, or no longer, known.
    #[error("This host is not known; enrol it again.")]
    UnknownHost,
    #[error("The token is not valid: unknown, expired, or used with another key.")]
    Token,
    #[error("The certificate signing request cannot be used.")]
    Request(#[source] pki::Error),
    /// No such node on the calling host.
    #[error("This host has no such node.")]
    UnknownNode,
    #[error("The control plane is temporarily unavailable.")]
    Unavailable(#[source] db::Error),
    #[error("The control plane has an internal error.")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unidentified => StatusCode::UNAUTHORIZED,
            Self::UnknownHost | Self::Token => StatusCode::FORBIDDEN,
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::UnknownNode => StatusCode::NOT_FOUND,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::Unavailable(_) => Self::Unavailable(error),
            db::Error::Taken(_)
            | db::Error::Stale
            | db::Error::Inconsistent { .. }
            | db::Error::Query(_)
            | db::Error::Migrate(_) => Self::Internal(Box::new(error)),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        db::Error::from(error).into()
    }
}

impl From<pki::Error> for Error {
    fn from(error: pki::Error) -> Self {
        match error {
            pki::Error::Request(_) | pki::Error::KeyAlgorithm => Self::Request(error),
            pki::Error::Name(_)
            | pki::Error::Authority(_)
            | pki::Error::Sign(_)
            | pki::Error::Random
            | pki::Error::Validity => Self::Internal(Box::new(error)),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let cause = std::error::Error::source(&self).map(ToString::to_string);
        if status.is_server_error() {
            tracing::error!(error = %self, cause, "an agent was not served");
        } else {
            tracing::warn!(error = %self, cause, "an agent was refused");
        }
        (status, Json(json!({ "message": self.to_string() }))).into_response()
    }
}
