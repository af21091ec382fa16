//! How far a generation with a way back has come. Pure.
//!
//! Invariant: once [`Trial::Passed`] there is no way back by itself: clients may have been let in,
//! and what they were confirmed lies where only the new process is known to find it.

use agent_api::{Fallback, NodeIntent};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Exits before the gate that are enough.
const EXITS_MAX: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub(super) enum Trial {
    /// Clients are kept out.
    Waiting {
        /// Since the generation began; since its first process once there was one.
        since: DateTime<Utc>,
        has_started: bool,
        exits: u32,
    },
    /// The process proved itself, or there is no way back.
    Passed,
    /// The node runs its fallback.
    RolledBack { reason: String },
}

impl Trial {
    pub(super) fn begin(intent: &NodeIntent, now: DateTime<Utc>) -> Self {
        match intent.fallback {
            Some(_) => Self::Waiting {
                since: now,
                has_started: false,
                exits: 0,
            },
            None => Self::Passed,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting { .. })
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::RolledBack { reason } => Some(reason),
            Self::Waiting { .. } | Self::Passed => None,
        }
    }

    /// A process is started.
    pub(super) fn starts(&mut self, now: DateTime<Utc>) {
        if let Self::Waiting {
            since, has_started, ..
        } = self
            && !*has_started
        {
            (*since, *has_started) = (now, true);
        }
    }

    /// A process ended before it proved itself. Whether that was one too many.
    pub(super) fn exited(&mut self) -> bool {
        match self {
            Self::Waiting { exits, .. } => {
                *exits = exits.saturating_add(1);
                *exits >= EXITS_MAX
            }
            Self::Passed | Self::RolledBack { .. } => false,
        }
    }

    /// When patience ends; `None` when there is nothing to be patient about.
    pub(super) fn deadline(&self, fallback: Option<&Fallback>) -> Option<DateTime<Utc>> {
        let Self::Waiting { since, .. } = self else {
            return None;
        };
        let patience = i64::try_from(fallback?.gate_s).unwrap_or(i64::MAX / 1_000);
        since.checked_add_signed(TimeDelta::try_seconds(patience)?)
    }

    /// What the node is to run: what is intended, or what it ran before.
    pub(super) fn launch(&self, intent: &NodeIntent) -> NodeIntent {
        let mut launch = intent.clone();
        let fallback = launch.fallback.take();
        if let Some(fallback) = fallback.filter(|_| self.reason().is_some()) {
            launch.engine = fallback.engine;
            launch.profile = fallback.profile;
            launch.limits = fallback.limits;
        }
        launch
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::tests::intent;
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn with_fallback() -> NodeIntent {
        let before = intent();
        NodeIntent {
            profile: "rabbitmq-4.3".to_owned(),
            fallback: Some(Fallback {
                engine: before.engine.clone(),
                profile: before.profile.clone(),
                limits: before.limits.clone(),
                copy_volume: false,
                gate_s: 10,
            }),
            ..before
        }
    }

    #[test]
    fn without_a_way_back_there_is_nothing_to_pass() {
        let mut trial = Trial::begin(&intent(), at(0));
        assert_eq!(trial, Trial::Passed);
        assert!(!trial.exited());
        assert_eq!(trial.deadline(None), None);
    }

    #[test]
    fn three_exits_or_the_deadline_are_enough_and_time_counts_from_the_first_start() {
        let intent = with_fallback();
        let mut trial = Trial::begin(&intent, at(0));
        let deadline = |trial: &Trial| trial.deadline(intent.fallback.as_ref());
        assert_eq!(deadline(&trial), Some(at(10)));
        trial.starts(at(5));
        trial.starts(at(7));
        assert_eq!(deadline(&trial), Some(at(15)));
        assert_eq!(
            [trial.exited(), trial.exited(), trial.exited()],
            [false, false, true]
        );
    }

    #[test]
    fn a_rolled_back_node_runs_what_it_ran_before() {
        let intent = with_fallback();
        assert_eq!(Trial::Passed.launch(&intent).profile, "rabbitmq-4.3");
        let back = Trial::RolledBack {
            reason: "it would not start".to_owned(),
        };
        assert_eq!(back.launch(&intent), super::super::command::tests::intent());
        assert_eq!(back.reason(), Some("it would not start"));
    }
}
