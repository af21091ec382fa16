//! Payloads of the durable queue: what is to be made true, never how.
//!
//! Payloads are kept readable for ever: a field may be added with a default, none may change
//! its meaning, because jobs of the previous release are still in the queue after an upgrade.

use serde::{Deserialize, Serialize};

use super::BrokerId;

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
}

impl Job {
    /// The job's name in the queue; equals the payload's `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BrokerCreate { .. } => "broker_create",
            Self::BrokerReboot { .. } => "broker_reboot",
            Self::BrokerDelete { .. } => "broker_delete",
        }
    }

    /// Jobs with one serial key run one at a time, oldest first.
    pub fn serial_key(&self) -> &str {
        match self {
            Self::BrokerCreate { broker_id, .. }
            | Self::BrokerReboot { broker_id, .. }
            | Self::BrokerDelete { broker_id } => broker_id.as_str(),
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
                Job::BrokerDelete { broker_id },
                format!(r#"{{"kind":"broker_delete","broker_id":"{id}"}}"#),
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
