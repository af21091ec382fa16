//! What the queue asks of those who know the work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use trace::TraceParent;

use crate::model::JobId;

/// A job under this worker's lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub id: JobId,
    pub kind: String,
    pub payload: Value,
    pub serial_key: String,
    /// Runs that did not end in an outcome, or ended in [`Outcome::Retry`], this one included.
    pub attempts: i32,
    /// Of the API call that it comes from, for logs.
    pub request_id: Option<String>,
    /// What that call was traced as.
    pub trace: Option<TraceParent>,
    /// Increases with every claim.
    pub(super) fence: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// Nothing is wrong, but something has to happen first. The job runs again when it is woken,
    /// or after this time.
    Wait(Duration),
    /// Something went wrong that may go away: again after a delay that grows with each attempt.
    Retry(String),
    /// It will never work.
    Fail(String),
    /// The run broke off like a process that dies: nothing is written, the lease runs out.
    Abandoned,
}

impl Outcome {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Wait(_) => "waits",
            Self::Retry(_) => "retried",
            Self::Fail(_) => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// Does the work of one kind of job. A run may be broken off at any await, and may be repeated.
pub trait Handler: Send + Sync {
    fn run(&self, claim: Claim) -> BoxFuture<'_, Outcome>;
}

/// Handlers by kind.
pub type Handlers = BTreeMap<&'static str, Arc<dyn Handler>>;
