//! What can go wrong between a call and its answer.

use crate::config::ConfigError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Service(#[from] Box<ServiceError>),
    /// No answer, after all attempts.
    #[error("cannot reach {endpoint}: {cause}")]
    Unreachable { endpoint: String, cause: String },
    /// An answer that is not one of the API's.
    #[error("{endpoint} answered with status {status}, which is not an answer of this API")]
    Unintelligible { endpoint: String, status: u16 },
}

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct ServiceError {
    pub status: u16,
    /// E.g. `NotFoundException`.
    pub code: String,
    pub message: String,
    /// The request member or path label that is wrong.
    pub error_attribute: Option<String>,
    pub request_id: Option<String>,
}

impl Error {
    /// The resource does not exist (any more).
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Service(error) if error.code == "NotFoundException")
    }

    /// Worth another attempt, by the rules of the AWS SDKs: no answer, a server fault, throttling.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } => true,
            Error::Unintelligible { status, .. } => transient_status(*status),
            Error::Service(error) => {
                transient_status(error.status)
                    || matches!(
                        error.code.as_str(),
                        "TooManyRequestsException" | "ThrottlingException" | "Throttling"
                    )
            }
            Error::Config(_) => false,
        }
    }
}

fn transient_status(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}
