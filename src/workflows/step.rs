//! Why a workflow ends before its last step, and what that means for its job.

use std::time::Duration;

use crate::jobs::Outcome;
use crate::{db, provision};

/// What stops a workflow for now or for good.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// Nothing is left to do.
    #[error("finished")]
    Finished,
    #[error("waits until {reason}")]
    Wait {
        reason: &'static str,
        check_after: Duration,
    },
    #[error(transparent)]
    Database(#[from] db::Error),
    #[error(transparent)]
    Provisioner(#[from] provision::Error),
    /// What the workflow needs is not there.
    #[error("{0}")]
    Missing(String),
    #[error("a fault was injected")]
    Injected,
    #[error("the worker died on purpose")]
    Crashed,
}

impl From<sqlx::Error> for Halt {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

pub(super) fn outcome(result: Result<(), Halt>) -> Outcome {
    match result {
        Ok(()) | Err(Halt::Finished) => Outcome::Done,
        Err(Halt::Wait { check_after, .. }) => Outcome::Wait(check_after),
        Err(Halt::Crashed) => Outcome::Abandoned,
        Err(
            halt @ (Halt::Database(_) | Halt::Provisioner(_) | Halt::Missing(_) | Halt::Injected),
        ) => Outcome::Retry(text(&halt)),
    }
}

/// The error with its causes, for operators.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_no_failure_and_a_crash_writes_nothing() {
        let second = Duration::from_secs(1);
        let wait = Halt::Wait {
            reason: "it rains",
            check_after: second,
        };
        assert_eq!(outcome(Err(wait)), Outcome::Wait(second));
        assert_eq!(outcome(Err(Halt::Finished)), Outcome::Done);
        assert_eq!(outcome(Err(Halt::Crashed)), Outcome::Abandoned);
        let failed = outcome(Err(db::Error::Unavailable(sqlx::Error::PoolTimedOut).into()));
        let Outcome::Retry(reason) = failed else {
            panic!("{failed:?}")
        };
        assert!(
            reason.starts_with("the database is unavailable: "),
            "{reason}"
        );
    }
}
