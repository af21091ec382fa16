//! What an operator does with jobs by hand, and what that leaves behind.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use agent_api::NodeIntent;
use fleet_simulator::{Conduct, Host};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use warren::api::agent::Lifetimes;
use warren::app::PageRequest;
use warren::error::Error;
use warren::model::audit::AuditFilter;
use warren::model::broker::State;
use warren::model::clock::SystemClock;
use warren::model::entropy::SystemEntropy;
use warren::model::job::{JobState, QueuedJob};
use warren::model::{BrokerId, JobId};
use warren::reconcilers::enqueue_missing;

use crate::endpoint::Endpoint;
use crate::simulated_hosts::simulated;

/// An endpoint with one simulated host whose nodes do as they are told.
struct Stage {
    endpoint: Endpoint,
    host: Host,
    conduct: Arc<Mutex<Conduct>>,
}

impl Stage {
    async fn set(conduct: Conduct) -> Self {
        let endpoint = Endpoint::start(Lifetimes::default()).await;
        let conduct = Arc::new(Mutex::new(conduct));
        let script = {
            let conduct = Arc::clone(&conduct);
            move |_: &NodeIntent| *conduct.lock()
        };
        let host = simulated(&endpoint, script).await;
        Self {
            endpoint,
            host,
            conduct,
        }
    }

    fn turn(&self, conduct: Conduct) {
        *self.conduct.lock() = conduct;
        self.host.reconsider();
    }

    async fn only_job(&self, id: &BrokerId) -> QueuedJob {
        let app = &self.endpoint.fleet.app;
        let jobs = app.list_jobs(&JobState::ALL, Some(id), 10).await.unwrap();
        let [job] = <[QueuedJob; 1]>::try_from(jobs).unwrap();
        job
    }

    /// Puts jobs where one is missing, as the reconciler does, however lately the last one ended.
    async fn enqueue_missing(&self) -> usize {
        let pool = &self.endpoint.fleet.database.pool;
        enqueue_missing(pool, &SystemClock, &SystemEntropy, Duration::ZERO)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn nobody_goes_on_with_a_cancelled_job_until_it_is_retried() {
    let mut stage = Stage::set(Conduct::Stuck).await;
    stage.endpoint.fleet.work();
    let stop = CancellationToken::new();
    let life = async {
        let fleet = &stage.endpoint.fleet;
        let id = fleet.create("stuck").await;
        let seen = |node: &warren::model::node::Node| node.observed.is_some();
        stage.endpoint.node_of(&id, seen).await;
        let job = stage.only_job(&id).await;
        assert_eq!(job.request_id, Some(fleet.caller.request_id.to_string()));

        fleet.app.cancel_job(job.id, Some("stuck")).await.unwrap();
        let refused = fleet.app.cancel_job(job.id, None).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        stage.turn(Conduct::AT_ONCE);
        let ready = |node: &warren::model::node::Node| node.is_ready_at(1);
        stage.endpoint.node_of(&id, ready).await;
        assert_eq!(
            stage.enqueue_missing().await,
            0,
            "it was cancelled on purpose"
        );
        assert_eq!(stage.only_job(&id).await.state, JobState::Cancelled);
        let broker = fleet.broker(&id).await.unwrap();
        assert_eq!(broker.state(), State::CreationInProgress);

        fleet.app.retry_job(job.id, None).await.unwrap();
        fleet.reaches(&id, Some(State::Running)).await;
        assert_eq!(told(&stage).await, ["warren:RetryJob", "warren:CancelJob"]);

        fleet.delete(&id).await;
        fleet.reaches(&id, None).await;
        stop.cancel();
    };
    tokio::join!(stage.host.run(stop.clone()), life);
}

#[tokio::test]
async fn a_deletion_that_was_cancelled_waits_and_a_new_request_is_a_new_job() {
    let mut stage = Stage::set(Conduct::AT_ONCE).await;
    stage.endpoint.fleet.work();
    let stop = CancellationToken::new();
    let life = async {
        let fleet = &stage.endpoint.fleet;
        let id = fleet.create("clinging").await;
        fleet.reaches(&id, Some(State::Running)).await;
        stage.turn(Conduct::Stuck);
        fleet.reboot(&id).await;
        let reboot = newest(&stage, &id).await;
        fleet.app.cancel_job(reboot.id, None).await.unwrap();
        assert_eq!(stage.enqueue_missing().await, 0);

        fleet.delete(&id).await;
        let delete = newest(&stage, &id).await;
        assert_ne!(delete.id, reboot.id, "a deletion is work of its own");
        fleet.app.cancel_job(delete.id, None).await.unwrap();
        assert_eq!(stage.enqueue_missing().await, 0);
        let broker = fleet.broker(&id).await.unwrap();
        assert_eq!(broker.state(), State::DeletionInProgress);

        stage.turn(Conduct::AT_ONCE);
        fleet.app.retry_job(delete.id, None).await.unwrap();
        fleet.reaches(&id, None).await;
        stop.cancel();
    };
    tokio::join!(stage.host.run(stop.clone()), life);
}

#[tokio::test]
async fn unknown_and_finished_jobs_are_left_alone() {
    let mut stage = Stage::set(Conduct::AT_ONCE).await;
    stage.endpoint.fleet.work();
    let stop = CancellationToken::new();
    let life = async {
        let fleet = &stage.endpoint.fleet;
        let id = fleet.create("done").await;
        fleet.reaches(&id, Some(State::Running)).await;
        let job = loop {
            let job = stage.only_job(&id).await;
            if job.state == JobState::Done {
                break job;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        for refused in [
            fleet.app.retry_job(job.id, None).await,
            fleet.app.cancel_job(job.id, None).await,
        ] {
            assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        }
        let nobody = JobId(uuid::Uuid::nil());
        let missing = fleet.app.retry_job(nobody, None).await;
        assert!(
            matches!(missing, Err(Error::NotFound { .. })),
            "{missing:?}"
        );
        stop.cancel();
    };
    tokio::join!(stage.host.run(stop.clone()), life);
}

async fn newest(stage: &Stage, id: &BrokerId) -> QueuedJob {
    let app = &stage.endpoint.fleet.app;
    let jobs = app.list_jobs(&JobState::ALL, Some(id), 1).await.unwrap();
    jobs.into_iter().next().unwrap()
}

/// What operators did, newest first, as the account's owner reads it.
async fn told(stage: &Stage) -> Vec<String> {
    let fleet = &stage.endpoint.fleet;
    let filter = AuditFilter {
        principal_arn: Some("operator".to_owned()),
        ..AuditFilter::default()
    };
    let page = PageRequest {
        size: 10,
        token: None,
    };
    let events = fleet
        .app
        .list_audit_events(&fleet.caller, &filter, &page)
        .await;
    let events = events.unwrap().items.into_iter();
    events.map(|event| event.action).collect()
}
