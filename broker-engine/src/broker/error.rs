//! What the core refuses, in the classes and words of the profile's peer. Protocols map the class to their code and scope.

use crate::store;

/// A refusal, or the end of the node's log. The text is what the peer puts after the code's name.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The named thing does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The user may not do this, or nobody may.
    #[error("{0}")]
    AccessRefused(String),
    /// The state of the thing forbids it, or a redeclaration differs.
    #[error("{0}")]
    PreconditionFailed(String),
    /// An exclusive queue of another connection.
    #[error("{0}")]
    ResourceLocked(String),
    /// The virtual host cannot be entered. Ends a connection.
    #[error("{0}")]
    NotAllowed(String),
    /// The request makes no sense. Ends a connection.
    #[error("{0}")]
    CommandInvalid(String),
    /// RabbitMQ does not do this, so nobody can rely on it. Ends a connection.
    #[error("{0}")]
    NotImplemented(String),
    /// The message log cannot take it: full (try again later) or failed (the node is about to exit). Ends a connection.
    #[error("{0}")]
    Store(#[from] store::Error),
}
