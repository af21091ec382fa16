//! Failures in the words and the form of the query protocol.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use super::{MEDIA_TYPE, NAMESPACE, xml::Element};
use crate::{
    api::{auth, error::Failure},
    error::Error,
    model::{RequestId, session::NoSession},
};

const ACCESS_DENIED: &str = "AccessDenied";

/// The answer to a call that failed. Faults of ours say nothing but the request's id.
pub(in crate::api) fn render(failure: &Failure, request_id: RequestId) -> Response {
    let answer = failure.answer();
    let kind = if answer.status.is_server_error() {
        "Receiver"
    } else {
        "Sender"
    };
    let message = answer.message.unwrap_or_else(|| {
        format!("An internal error occurred. Quote request id {request_id} to your operator.")
    });
    let error = Element::new("Error")
        .text("Type", kind)
        .text("Code", code(failure))
        .text("Message", message);
    let document = Element::new("ErrorResponse")
        .attribute("xmlns", NAMESPACE)
        .child(error)
        .text("RequestId", request_id);
    let status = match answer.status {
        // The query protocol knows no operation by its path.
        StatusCode::NOT_FOUND => StatusCode::BAD_REQUEST,
        _ if code(failure) == ACCESS_DENIED => StatusCode::FORBIDDEN,
        status => status,
    };
    (status, [(CONTENT_TYPE, MEDIA_TYPE)], document.to_string()).into_response()
}

/// What STS calls the failure where that differs from what Amazon MQ calls it.
pub(in crate::api) fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::Authentication(error) => match error {
            auth::Error::Missing => "MissingAuthenticationToken",
            auth::Error::Incomplete(_) => "IncompleteSignature",
            auth::Error::UnknownKey => "InvalidClientTokenId",
            auth::Error::ExpiredToken => "ExpiredToken",
            auth::Error::Mismatch
            | auth::Error::Expired { .. }
            | auth::Error::NotYetCurrent { .. }
            | auth::Error::Scope(_) => "SignatureDoesNotMatch",
        },
        Failure::UnknownOperation | Failure::UnknownAction(_) => "InvalidAction",
        Failure::Throttled => "Throttling",
        Failure::Serialization(_) | Failure::BodyTooLarge | Failure::BodyIncomplete => {
            "ValidationError"
        }
        Failure::Leaving | Failure::Panicked => "InternalFailure",
        Failure::Domain(error) => match error {
            Error::Forbidden(_) => ACCESS_DENIED,
            Error::NoSession(reason) => no_session(reason),
            Error::Invalid(_)
            | Error::NotFound { .. }
            | Error::AlreadyExists { .. }
            | Error::NotAllowed(_)
            | Error::Conflict { .. }
            | Error::QuotaExceeded { .. } => "ValidationError",
            Error::Unavailable { .. } => "ServiceUnavailable",
            Error::Internal(_) => "InternalFailure",
        },
    }
}

fn no_session(reason: &NoSession) -> &'static str {
    match reason {
        NoSession::Violated(_) | NoSession::Invalid(_) => "ValidationError",
        NoSession::MalformedPolicy(_) => "MalformedPolicyDocument",
        NoSession::Tags(_) | NoSession::TransitiveWithoutTag | NoSession::TagIsInherited => {
            "InvalidParameterValue"
        }
        NoSession::TagsTooLarge(_) | NoSession::PolicyTooLarge(_) => "PackedPolicyTooLarge",
        NoSession::Root | NoSession::Mfa => ACCESS_DENIED,
    }
}
