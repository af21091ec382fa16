//! What the owner of a broker has to do, from what its nodes observe. Nobody clears it: it is there while the cause is.
//!
//! Of the codes of the developer guide, "Troubleshooting", four never come, for what they tell of cannot happen here:
//!
//! | code | why not |
//! |---|---|
//! | `INVALID_KMS_KEY` | customers' own keys are refused when a broker is created |
//! | `RABBITMQ_QUORUM_QUEUES_NOT_SUPPORTED_ON_CURRENT_VERSION` | every version that is served, 3.13 and newer, has quorum queues |
//! | `RABBITMQ_CLUSTER_DISK_USAGE_TOO_HIGH_FOR_INSTANCE_CHANGE` | a node keeps its volume and the room on it, whatever its instance type |
//! | `BROKER_ENI_DELETED` | a node's address is its host's: there is no interface that an owner could delete |
//!
//! `BROKER_RESTARTS` is ours: a node that ends again and again for another reason than memory would look healthy otherwise.

use serde::Deserialize;

use crate::model::node::{Alarms, Phase};

/// A reason for the state CRITICAL_ACTION_REQUIRED.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionRequired {
    /// The engine uses more memory than it may, and blocks publishers.
    MemoryAlarm,
    /// Less of the volume is free than must be, and the engine blocks publishers.
    DiskAlarm,
    /// A node ends again and again for want of memory.
    OutOfMemory,
    /// A node ends again and again for another reason.
    Restarts,
}

/// What a node's agent said of it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Health {
    pub phase: Phase,
    /// Not told by agents of earlier releases.
    pub alarms: Option<Alarms>,
}

impl ActionRequired {
    /// As on the wire: the codes of the guide, "Troubleshooting". Tools look for them, so LavinMQ's are the same.
    pub fn code(self) -> &'static str {
        match self {
            Self::MemoryAlarm => "RABBITMQ_MEMORY_ALARM",
            Self::DiskAlarm => "RABBITMQ_DISK_ALARM",
            Self::OutOfMemory => "BROKER_OOM",
            Self::Restarts => "BROKER_RESTARTS",
        }
    }

    /// For people.
    pub fn info(self) -> &'static str {
        match self {
            Self::MemoryAlarm => {
                "The broker uses more memory than it may, and holds publishers back. Consume or delete messages, close \
                 connections, or choose a larger instance type and reboot."
            }
            Self::DiskAlarm => {
                "The broker's volume is nearly full, and publishers are held back. Consume or delete messages, or \
                 choose a larger instance type and reboot."
            }
            Self::OutOfMemory => {
                "The broker stops again and again because it runs out of memory. Choose a larger instance type and \
                 reboot."
            }
            Self::Restarts => "The broker stops again and again soon after it is started.",
        }
    }

    /// Of all nodes of a broker, each reason once.
    pub fn of(nodes: &[Health]) -> Vec<Self> {
        let mut actions: Vec<Self> = nodes
            .iter()
            .flat_map(|node| {
                let alarms = node.alarms.unwrap_or_default();
                let is_looping = node.phase == Phase::CrashLooping;
                let raised = [
                    (Self::MemoryAlarm, alarms.memory),
                    (Self::DiskAlarm, alarms.disk),
                    (Self::OutOfMemory, is_looping && alarms.out_of_memory),
                    (Self::Restarts, is_looping && !alarms.out_of_memory),
                ];
                raised.into_iter().filter(|(_, is_on)| *is_on)
            })
            .map(|(action, _)| action)
            .collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    }

    /// Whether a broker in this need is not restarted: one that is short of something may not come back.
    pub fn forbids_reboot(self) -> bool {
        match self {
            Self::MemoryAlarm | Self::DiskAlarm => true,
            Self::OutOfMemory | Self::Restarts => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_observation_has_its_actions() {
        use ActionRequired::{DiskAlarm, MemoryAlarm, OutOfMemory, Restarts};
        let health = |phase, memory, disk, out_of_memory| Health {
            phase,
            alarms: Some(Alarms {
                memory,
                disk,
                out_of_memory,
            }),
        };
        let told_nothing = |phase| Health {
            phase,
            alarms: None,
        };
        let looping = Phase::CrashLooping;
        let cases = [
            (health(Phase::Ready, false, false, false), vec![]),
            (health(Phase::Ready, true, false, false), vec![MemoryAlarm]),
            (
                health(Phase::Starting, true, true, false),
                vec![MemoryAlarm, DiskAlarm],
            ),
            (health(looping, false, false, true), vec![OutOfMemory]),
            (health(looping, false, false, false), vec![Restarts]),
            (health(Phase::Starting, false, false, true), vec![]),
            (told_nothing(looping), vec![Restarts]),
            (told_nothing(Phase::Ready), vec![]),
        ];
        for (health, expected) in cases {
            assert_eq!(ActionRequired::of(&[health]), expected, "{health:?}");
            assert_eq!(ActionRequired::of(&[health, health]), expected, "each once");
        }
        assert_eq!(ActionRequired::of(&[]), []);
    }
}
