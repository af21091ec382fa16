//! What the core refuses, in the classes and words of RabbitMQ. Protocols map the class to their code and scope.

use super::topology::Kind;
use crate::store;

/// A refusal, or the end of the node's log. The text is what RabbitMQ puts after the code's name.
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

impl Error {
    pub(crate) fn no_such(kind: Kind, name: &str, vhost: &str) -> Self {
        Self::NotFound(format!("no {kind} '{name}' in vhost '{vhost}'"))
    }

    pub(crate) fn in_use(kind: Kind, name: &str, vhost: &str) -> Self {
        Self::PreconditionFailed(format!("{kind} '{name}' in vhost '{vhost}' in use"))
    }

    pub(crate) fn locked(queue: &str, vhost: &str) -> Self {
        Self::ResourceLocked(format!(
            "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally \
             declared on another connection or the exclusive property value does not match that of the original \
             declaration."
        ))
    }

    pub(crate) fn inequivalent(
        argument: &str,
        (kind, name, vhost): (Kind, &str, &str),
        received: impl std::fmt::Display,
        current: impl std::fmt::Display,
    ) -> Self {
        let values = (format!("'{received}'"), format!("'{current}'"));
        Self::inequivalent_as_told(argument, (kind, name, vhost), values)
    }

    /// As [`Error::inequivalent`], with both values as the text shows them.
    pub(crate) fn inequivalent_as_told(
        argument: &str,
        (kind, name, vhost): (Kind, &str, &str),
        (received, current): (String, String),
    ) -> Self {
        Self::PreconditionFailed(format!(
            "inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}': received {received} but current \
             is {current}"
        ))
    }
}
