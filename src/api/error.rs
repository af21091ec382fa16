//! The one map from what went wrong to what the client is told.
//!
//! Every kind of failure is named here: a new one does not compile until its status is decided.
//! Faults of ours say nothing but a fixed sentence and the request's id; their cause is for the
//! log.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::auth;
use crate::error::Error;

/// Why a request is not answered as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Domain(#[from] Error),
    #[error(transparent)]
    Authentication(#[from] auth::Error),
    /// The body is not JSON, or a member has the wrong type.
    #[error("{0}")]
    Serialization(String),
    #[error("Request entity is too large.")]
    BodyTooLarge,
    #[error("The request body did not arrive in full.")]
    BodyIncomplete,
    #[error("Unknown operation.")]
    UnknownOperation,
    /// No action of the query protocol; empty when none was named.
    #[error("Could not find operation {0} for version 2011-06-15")]
    UnknownAction(String),
    /// More requests than the account may send.
    #[error("Rate exceeded")]
    Throttled,
    /// The process is asked whether it is ready, while it stops.
    #[error("the process stops")]
    Leaving,
    #[error("a handler panicked")]
    Panicked,
}

/// A failure as the client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The error's name, in `X-Amzn-ErrorType`.
    pub(super) code: &'static str,
    pub(super) attribute: Option<&'static str>,
    /// `None` for faults of ours.
    pub(super) message: Option<String>,
    pub(super) retry_after_s: Option<u64>,
}

impl Failure {
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Domain(error) => domain(error),
            Self::Authentication(error) => authentication(error),
            Self::Serialization(text) => {
                caller(StatusCode::BAD_REQUEST, "SerializationException", text)
            }
            Self::BodyTooLarge => caller(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
                self,
            ),
            Self::BodyIncomplete => {
                caller(StatusCode::REQUEST_TIMEOUT, "RequestTimeoutException", self)
            }
            // Not NotFoundException: clients would take that for a resource that is gone.
            Self::UnknownOperation => {
                caller(StatusCode::NOT_FOUND, "UnknownOperationException", self)
            }
            Self::UnknownAction(_) => caller(StatusCode::BAD_REQUEST, "InvalidAction", self),
            // SDKs retry this, with growing pauses.
            Self::Throttled => caller(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                self,
            ),
            Self::Leaving => ours(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailableException",
            ),
            Self::Panicked => ours(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerErrorException",
            ),
        }
    }
}

fn domain(error: &Error) -> Answer {
    let (status, code, attribute) = match error {
        Error::NotFound { kind, .. } => {
            (StatusCode::NOT_FOUND, "NotFoundException", kind.attribute())
        }
        Error::AlreadyExists { kind, .. } => (
            StatusCode::CONFLICT,
            "ConflictException",
            kind.name_attribute(),
        ),
        Error::Invalid(invalid) => (
            StatusCode::BAD_REQUEST,
            "BadRequestException",
            invalid.attribute,
        ),
        Error::NotAllowed(_) => (StatusCode::BAD_REQUEST, "BadRequestException", "broker-id"),
        Error::Conflict { attribute, .. } => {
            (StatusCode::CONFLICT, "ConflictException", *attribute)
        }
        // Not ForbiddenException: Terraform takes that for a broker that is gone.
        Error::Forbidden(_) => (StatusCode::FORBIDDEN, "AccessDeniedException", ""),
        // Only the service that gives out sessions answers this, and in words of its own.
        Error::NoSession(_) => (StatusCode::BAD_REQUEST, "BadRequestException", ""),
        Error::QuotaExceeded { attribute, .. } => {
            (StatusCode::BAD_REQUEST, "BadRequestException", *attribute)
        }
        Error::Unavailable { retry_after, .. } => {
            let answer = ours(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailableException",
            );
            return Answer {
                retry_after_s: Some(retry_after.as_secs().max(1)),
                ..answer
            };
        }
        Error::Internal(_) => {
            return ours(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerErrorException",
            );
        }
    };
    let attribute = Some(attribute).filter(|attribute| !attribute.is_empty());
    Answer {
        attribute,
        ..caller(status, code, error)
    }
}

fn authentication(error: &auth::Error) -> Answer {
    let (status, code) = match error {
        auth::Error::Missing => (StatusCode::FORBIDDEN, "MissingAuthenticationTokenException"),
        auth::Error::Incomplete(_) => (StatusCode::BAD_REQUEST, "IncompleteSignatureException"),
        auth::Error::UnknownKey => (StatusCode::FORBIDDEN, "UnrecognizedClientException"),
        auth::Error::ExpiredToken => (StatusCode::FORBIDDEN, "ExpiredTokenException"),
        auth::Error::Mismatch
        | auth::Error::Expired { .. }
        | auth::Error::NotYetCurrent { .. }
        | auth::Error::Scope(_) => (StatusCode::FORBIDDEN, "InvalidSignatureException"),
    };
    caller(status, code, error)
}

fn caller(status: StatusCode, code: &'static str, message: impl ToString) -> Answer {
    let message = Some(message.to_string());
    Answer {
        status,
        code,
        attribute: None,
        message,
        retry_after_s: None,
    }
}

fn ours(status: StatusCode, code: &'static str) -> Answer {
    Answer {
        status,
        code,
        attribute: None,
        message: None,
        retry_after_s: None,
    }
}

/// A failure on its way out. [`super::envelope`] logs it and writes the body: only there is the
/// request's id known.
#[derive(Clone)]
pub(super) struct Failed(pub(super) std::sync::Arc<Failure>);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.answer().status.into_response();
        response
            .extensions_mut()
            .insert(Failed(std::sync::Arc::new(self)));
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        error::Kind,
        model::{
            BrokerId, Invalid, authorisation::Denied, broker::State, broker::state, parity::Parity,
        },
    };

    fn line(failure: impl Into<Failure>) -> (u16, &'static str, Option<&'static str>) {
        let answer = failure.into().answer();
        (answer.status.as_u16(), answer.code, answer.attribute)
    }

    #[test]
    fn callers_mistakes_are_named_as_clients_know_them() {
        let id = BrokerId::from_uuid(uuid::Uuid::nil());
        let not_allowed = State::CreationInProgress
            .check(state::Request::Reboot, Parity::Extended, &id)
            .unwrap_err();
        let denied = Denied {
            principal_arn: "arn".into(),
            action: "mq:ListBrokers",
            resource_arn: "arn".into(),
            refusal: None,
        };
        let bad = "BadRequestException";
        let not_found = |kind| Error::not_found(kind, "x");
        let taken = Error::AlreadyExists {
            kind: Kind::Broker,
            name: "x".into(),
        };
        let quota = Error::QuotaExceeded {
            attribute: "brokerName",
            public: String::new(),
        };
        let conflict = Error::Conflict {
            attribute: "creatorRequestId",
            public: String::new(),
        };
        for (failure, expected) in [
            (
                not_found(Kind::Broker),
                (404, "NotFoundException", Some("broker-id")),
            ),
            (
                not_found(Kind::Resource),
                (404, "NotFoundException", Some("resource-arn")),
            ),
            (taken, (409, "ConflictException", Some("brokerName"))),
            (Invalid::new("users", "x").into(), (400, bad, Some("users"))),
            (not_allowed.into(), (400, bad, Some("broker-id"))),
            (
                conflict,
                (409, "ConflictException", Some("creatorRequestId")),
            ),
            (denied.into(), (403, "AccessDeniedException", None)),
            (quota, (400, bad, Some("brokerName"))),
        ] {
            assert_eq!(line(failure), expected);
        }
    }

    #[test]
    fn no_failure_is_forbidden_exception() {
        // Terraform drops a resource from its state when it reads that name.
        let now = chrono::DateTime::UNIX_EPOCH;
        let expired = auth::Error::Expired {
            valid_until: now,
            now,
        };
        let early = auth::Error::NotYetCurrent {
            signed_at: now,
            now,
        };
        for (failure, expected) in [
            (
                auth::Error::Missing,
                (403, "MissingAuthenticationTokenException", None),
            ),
            (
                auth::Error::Incomplete("x".into()),
                (400, "IncompleteSignatureException", None),
            ),
            (
                auth::Error::UnknownKey,
                (403, "UnrecognizedClientException", None),
            ),
            (
                auth::Error::Mismatch,
                (403, "InvalidSignatureException", None),
            ),
            (expired, (403, "InvalidSignatureException", None)),
            (early, (403, "InvalidSignatureException", None)),
            (
                auth::Error::Scope("x".into()),
                (403, "InvalidSignatureException", None),
            ),
        ] {
            assert_eq!(line(failure), expected);
        }
    }

    #[test]
    fn our_faults_say_nothing() {
        let source = || "connection to 10.0.0.7 refused".into();
        let unavailable = Error::Unavailable {
            retry_after: Duration::from_millis(1),
            source: source(),
        };
        for failure in [
            Failure::Domain(Error::Internal(source())),
            Failure::Domain(unavailable),
            Failure::Panicked,
        ] {
            let answer = failure.answer();
            assert!(answer.status.is_server_error());
            assert_eq!(answer.message, None);
        }
    }
}
