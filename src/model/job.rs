//! Payloads of the durable queue: what is to be made true, never how.
//!
//! Payloads are kept readable for ever: a field may be added with a default, none may change
//! its meaning, because jobs of the previous release are still in the queue after an upgrade.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{BrokerId, JobId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    BrokerCreate {
        broker_id: BrokerId,
        generation: i64,
    },
    BrokerReboot {
        broker_id: BrokerId,
        generation: i64,
    },
    BrokerDelete {
        broker_id: BrokerId,
    },
    /// The broker's nodes get to know its users.
    BrokerUsers {
        broker_id: BrokerId,
    },
}

/// A job as it stands in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct QueuedJob {
    pub id: JobId,
    pub job: Job,
    pub state: JobState,
    /// When it may run next.
    pub run_at: DateTime<Utc>,
    /// Runs in a row that failed, the one that runs included.
    pub attempts: i32,
    /// Who runs it, or ran it last.
    pub worker: Option<String>,
    pub lease_until: Option<DateTime<Utc>>,
    /// What the last run failed with.
    pub last_error: Option<String>,
    /// Of the API call that it comes from.
    pub request_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Ready,
    Running,
    Done,
    /// It failed too often, or for good.
    Failed,
    /// An operator took it out of the queue.
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 5] = [
        Self::Ready,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether an operator can have it run again, or at once.
    pub fn can_be_retried(self) -> bool {
        match self {
            Self::Ready | Self::Failed | Self::Cancelled => true,
            Self::Running | Self::Done => false,
        }
    }

    /// Whether there is something to take out of the queue.
    pub fn can_be_cancelled(self) -> bool {
        match self {
            Self::Ready | Self::Running => true,
            Self::Done | Self::Failed | Self::Cancelled => false,
        }
    }
}

impl Job {
    /// The broker that it works on.
    pub fn broker_id(&self) -> &BrokerId {
        match self {
            Self::BrokerCreate { broker_id, .. }
            | Self::BrokerReboot { broker_id, .. }
            | Self::BrokerDelete { broker_id }
            | Self::BrokerUsers { broker_id } => broker_id,
        }
    }

    /// The job's name in the queue; equals the payload's `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BrokerCreate { .. } => "broker_create",
            Self::BrokerReboot { .. } => "broker_reboot",
            Self::BrokerDelete { .. } => "broker_delete",
            Self::BrokerUsers { .. } => "broker_users",
        }
    }

    /// What stays as it is when nobody works on the job any more.
    pub fn left_behind(&self) -> &'static str {
        match self {
            Self::BrokerCreate { .. } => {
                "The broker stays CREATION_IN_PROGRESS. Its place and, if its host was told already, \
                 its process and volume stay until the broker is deleted. Retrying the job goes on \
                 where it was."
            }
            Self::BrokerReboot { .. } => {
                "The broker stays REBOOT_IN_PROGRESS. If its host was told already, the restart happens \
                 all the same, and what was staged is in force without anyone noting it. Retrying the \
                 job, or the next reboot, notes it."
            }
            Self::BrokerDelete { .. } => {
                "The broker stays DELETION_IN_PROGRESS, and nothing makes it serve again. If its host \
                 was told already, its messages are gone; its address and its name stay taken. \
                 Retrying the job finishes the deletion."
            }
            Self::BrokerUsers { .. } => {
                "The broker's node does not hear of the change of a user. The next such change, or the next \
                 reboot, tells it of all of them."
            }
        }
    }

    /// Jobs with one serial key run one at a time, oldest first.
    pub fn serial_key(&self) -> &str {
        match self {
            Self::BrokerCreate { broker_id, .. }
            | Self::BrokerReboot { broker_id, .. }
            | Self::BrokerDelete { broker_id }
            | Self::BrokerUsers { broker_id } => broker_id.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_of_every_job_is_fixed() {
        let id = "b-8d0f6d1c-2f34-4a44-9f6f-8a8f3c8f4f10";
        let broker_id = BrokerId::parse(id).unwrap();
        let cases = [
            (
                Job::BrokerCreate {
                    broker_id: broker_id.clone(),
                    generation: 1,
                },
                format!(r#"{{"kind":"broker_create","broker_id":"{id}","generation":1}}"#),
            ),
            (
                Job::BrokerReboot {
                    broker_id: broker_id.clone(),
                    generation: 2,
                },
                format!(r#"{{"kind":"broker_reboot","broker_id":"{id}","generation":2}}"#),
            ),
            (
                Job::BrokerDelete {
                    broker_id: broker_id.clone(),
                },
                format!(r#"{{"kind":"broker_delete","broker_id":"{id}"}}"#),
            ),
            (
                Job::BrokerUsers { broker_id },
                format!(r#"{{"kind":"broker_users","broker_id":"{id}"}}"#),
            ),
        ];
        for (job, stored) in cases {
            assert_eq!(serde_json::to_string(&job).unwrap(), stored);
            assert_eq!(serde_json::from_str::<Job>(&stored).unwrap(), job);
            assert!(stored.contains(&format!(r#""kind":"{}""#, job.kind())));
            assert_eq!(job.serial_key(), id);
        }
    }
}
