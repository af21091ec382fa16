//! What can go wrong for a caller of the control plane, without a word about transport.
//!
//! `Display` prints only what the caller may read; the cause is a source and is for the log.

use std::time::Duration;

use crate::model::{
    Invalid, authorisation::Denied, broker::state::NotAllowed, quota::Exceeded, session::NoSession,
};

pub type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such resource, or one of another account.
    #[error("{}", .kind.not_found(.id))]
    NotFound { kind: Kind, id: String },
    /// A name that is taken.
    #[error("{}", .kind.already_exists(.name))]
    AlreadyExists { kind: Kind, name: String },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The resource's state does not allow the request.
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
    /// The request contradicts what is stored.
    #[error("{public}")]
    Conflict {
        attribute: &'static str,
        public: String,
    },
    #[error(transparent)]
    Forbidden(#[from] Denied),
    /// A session that cannot be had.
    #[error(transparent)]
    NoSession(#[from] NoSession),
    /// More than the account may have.
    #[error("{public}")]
    QuotaExceeded {
        attribute: &'static str,
        public: String,
    },
    /// A dependency does not answer; the request can be repeated.
    #[error("The service is temporarily unavailable.")]
    Unavailable {
        retry_after: Duration,
        source: Cause,
    },
    /// A fault of ours.
    #[error("An internal error occurred.")]
    Internal(#[source] Cause),
}

/// What a resource is, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccessKey,
    Account,
    Broker,
    Configuration,
    ConfigurationRevision,
    Job,
    Policy,
    /// A user or a role of an account.
    Principal,
    /// A broker or a configuration, named by its ARN.
    Resource,
    User,
}

impl Kind {
    /// The request member that names such a resource.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::AccessKey => "accessKeyId",
            Self::Account => "account",
            Self::Broker => "broker-id",
            Self::Configuration => "configuration_id",
            Self::ConfigurationRevision => "revision",
            Self::Job => "job",
            Self::Policy => "policy",
            Self::Principal => "principal",
            Self::Resource => "resource-arn",
            Self::User => "username",
        }
    }

    /// The request member that gives such a resource its name.
    pub fn name_attribute(self) -> &'static str {
        match self {
            Self::Broker => "brokerName",
            Self::User => "username",
            Self::AccessKey
            | Self::Account
            | Self::Configuration
            | Self::ConfigurationRevision
            | Self::Job
            | Self::Policy
            | Self::Principal
            | Self::Resource => "name",
        }
    }

    fn noun(self) -> &'static str {
        match self {
            Self::AccessKey => "access key",
            Self::Account => "account",
            Self::Broker => "broker",
            Self::Configuration => "configuration",
            Self::ConfigurationRevision => "configuration revision",
            Self::Job => "job",
            Self::Policy => "policy",
            Self::Principal => "principal",
            Self::Resource => "resource",
            Self::User => "user",
        }
    }

    fn not_found(self, id: &str) -> String {
        let noun = self.noun();
        format!("Can't find requested {noun} [{id}]. Make sure your {noun} exists.")
    }

    fn already_exists(self, name: &str) -> String {
        let noun = self.noun();
        let noun = noun[..1].to_uppercase() + &noun[1..];
        format!("{noun} name [{name}] already exists. Retry your request with another name.")
    }
}

impl From<Exceeded> for Error {
    fn from(exceeded: Exceeded) -> Self {
        Self::QuotaExceeded {
            attribute: exceeded.quota.attribute(),
            public: exceeded.to_string(),
        }
    }
}

impl Error {
    pub fn not_found(kind: Kind, id: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            id: id.into(),
        }
    }

    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_people_search_for() {
        assert_eq!(
            Error::not_found(Kind::Broker, "b-1").to_string(),
            "Can't find requested broker [b-1]. Make sure your broker exists."
        );
        assert_eq!(
            Error::AlreadyExists {
                kind: Kind::Broker,
                name: "x".into()
            }
            .to_string(),
            "Broker name [x] already exists. Retry your request with another name."
        );
    }

    #[test]
    fn a_private_cause_is_never_displayed() {
        let internal = Error::internal("password authentication failed for user postgres");
        assert_eq!(internal.to_string(), "An internal error occurred.");
    }
}
