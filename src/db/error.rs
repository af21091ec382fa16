//! What a database function can fail with, and how the rest of the control plane sees it.

use std::time::Duration;

use crate::error::Error as DomainError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique value is in use. The transaction is void.
    #[error("the value is already taken: {0:?}")]
    Taken(Unique),
    /// Somebody else changed the row first.
    #[error("the row was changed meanwhile")]
    Stale,
    /// A stored value does not fit its type: a fault of ours, or a hand in the database.
    #[error("column {column} of {table} row {row} is inconsistent")]
    Inconsistent {
        table: &'static str,
        column: &'static str,
        row: String,
    },
    /// The database cannot be reached, or asks to try again.
    #[error("the database is unavailable")]
    Unavailable(#[source] sqlx::Error),
    #[error("a query failed")]
    Query(#[source] sqlx::Error),
    #[error("the schema cannot be migrated")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
}

/// The unique constraints whose violation means something to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    AccountId,
    AccountName,
    AccessKeyId,
    BrokerName,
    CreatorRequestId,
    NodeAddress,
    PrincipalName,
}

impl Unique {
    const ALL: [Self; 7] = [
        Self::AccountId,
        Self::AccountName,
        Self::AccessKeyId,
        Self::BrokerName,
        Self::CreatorRequestId,
        Self::NodeAddress,
        Self::PrincipalName,
    ];

    fn constraint(self) -> &'static str {
        match self {
            Self::AccountId => "accounts_pkey",
            Self::AccountName => "accounts_name_key",
            Self::AccessKeyId => "access_keys_pkey",
            Self::BrokerName => "brokers_name_key",
            Self::CreatorRequestId => "brokers_creator_request_id_key",
            Self::NodeAddress => "nodes_address_key",
            Self::PrincipalName => "principals_pkey",
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let Some(database) = error.as_database_error() {
            let unique = database
                .constraint()
                .filter(|_| database.is_unique_violation())
                .and_then(|name| Unique::ALL.into_iter().find(|u| u.constraint() == name));
            if let Some(unique) = unique {
                return Self::Taken(unique);
            }
            if database.code().is_some_and(|code| is_transient(&code)) {
                return Self::Unavailable(error);
            }
            return Self::Query(error);
        }
        let unreachable = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        );
        if unreachable {
            Self::Unavailable(error)
        } else {
            Self::Query(error)
        }
    }
}

/// SQLSTATE classes 08 (connection), 40 (rollback), 53 (resources) and 57P (shutdown).
fn is_transient(code: &str) -> bool {
    ["08", "40", "53", "57P"]
        .iter()
        .any(|class| code.starts_with(class))
}

impl From<Error> for DomainError {
    /// Callers match what they expect before; what is left is unavailability or a fault of ours.
    fn from(error: Error) -> Self {
        match error {
            Error::Unavailable(_) => Self::Unavailable {
                retry_after: Duration::from_secs(1),
                source: Box::new(error),
            },
            Error::Taken(_)
            | Error::Stale
            | Error::Inconsistent { .. }
            | Error::Query(_)
            | Error::Migrate(_) => Self::internal(error),
        }
    }
}

impl From<sqlx::Error> for DomainError {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_restarts_is_unavailable_and_not_broken() {
        for code in ["08006", "40001", "53300", "57P01"] {
            assert!(is_transient(code), "{code}");
        }
        for code in ["23505", "42601", "57014", "22001"] {
            assert!(!is_transient(code), "{code}");
        }
        assert!(matches!(
            Error::from(sqlx::Error::PoolTimedOut),
            Error::Unavailable(_)
        ));
    }
}
