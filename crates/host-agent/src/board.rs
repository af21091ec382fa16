//! The newest observation of each node, and a bell that rings when one changes.

use std::collections::BTreeMap;

use agent_api::NodeObservation;
use parking_lot::Mutex;
use tokio::sync::Notify;
use trace::TraceParent;
use uuid::Uuid;

#[derive(Debug, Default)]
pub(crate) struct Board {
    observations: Mutex<BTreeMap<Uuid, NodeObservation>>,
    /// What the newest change is a part of, if that is traced and was not told yet.
    cause: Mutex<Option<TraceParent>>,
    changed: Notify,
}

impl Board {
    /// Rings only when more than the time of the observation is new.
    pub(crate) fn post(&self, observation: NodeObservation, cause: Option<TraceParent>) {
        let old = self
            .observations
            .lock()
            .insert(observation.node_id, observation.clone());
        let news = old.is_none_or(|old| {
            NodeObservation {
                observed_at: observation.observed_at,
                ..old
            } != observation
        });
        if news {
            if cause.is_some() {
                *self.cause.lock() = cause;
            }
            self.changed.notify_one();
        }
    }

    pub(crate) fn take_cause(&self) -> Option<TraceParent> {
        self.cause.lock().take()
    }

    pub(crate) fn forget(&self, node_id: Uuid) {
        self.observations.lock().remove(&node_id);
    }

    pub(crate) fn all(&self) -> Vec<NodeObservation> {
        self.observations.lock().values().cloned().collect()
    }

    /// Returns when something changed since the last call returned.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agent_api::{Alarms, Phase};
    use chrono::{DateTime, TimeDelta};

    use super::*;

    fn observation() -> NodeObservation {
        NodeObservation {
            node_id: Uuid::from_u128(1),
            generation: 1,
            phase: Phase::Starting,
            process: None,
            restarts: 0,
            detail: None,
            launch: None,
            rejected: None,
            alarms: Alarms::default(),
            observed_at: DateTime::UNIX_EPOCH,
        }
    }

    async fn rang(board: &Board) -> bool {
        tokio::time::timeout(Duration::ZERO, board.changed())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn only_news_ring() {
        let board = Board::default();
        board.post(observation(), None);
        assert!(rang(&board).await);

        let later = observation().observed_at + TimeDelta::seconds(5);
        board.post(
            NodeObservation {
                observed_at: later,
                ..observation()
            },
            None,
        );
        assert!(!rang(&board).await);
        assert_eq!(board.all()[0].observed_at, later);

        board.post(
            NodeObservation {
                phase: Phase::Ready,
                ..observation()
            },
            None,
        );
        assert!(rang(&board).await);
        board.forget(Uuid::from_u128(1));
        assert!(board.all().is_empty());
    }
}
