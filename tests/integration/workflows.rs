//! Workflows with a real database: clean, each step failed, each step crashed and resumed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use warren::model::broker::State;
use warren::model::clock::SystemClock;
use warren::model::entropy::SystemEntropy;
use warren::provision::fake::Behaviour;
use warren::reconcilers;
use warren::workflows::{Fault, Faults, Timing, When};

use crate::fleet::{Agents, Fleet};

/// Every step of the workflows, in order.
const STEPS: [&str; 13] = [
    "broker_create.ensure_node_rows",
    "broker_create.ensure_placement",
    "broker_create.ensure_intent",
    "broker_create.wait_ready",
    "broker_create.mark_applied",
    "broker_users.ensure_logins",
    "broker_reboot.ensure_intent",
    "broker_reboot.wait_ready",
    "broker_reboot.mark_applied",
    "broker_delete.ensure_intent_absent",
    "broker_delete.wait_absent",
    "broker_delete.release_placement",
    "broker_delete.delete_rows",
];

/// Tells of every point that a workflow passes.
struct Recorder(mpsc::UnboundedSender<(String, When)>);

impl Faults for Recorder {
    fn at(&self, step: &str, when: When) -> Result<(), Fault> {
        self.0
            .send((step.to_owned(), when))
            .expect("the test listens");
        Ok(())
    }
}

/// Breaks the first passage of one point.
struct Once {
    step: &'static str,
    when: When,
    fault: Fault,
    done: std::sync::atomic::AtomicBool,
}

impl Faults for Once {
    fn at(&self, step: &str, when: When) -> Result<(), Fault> {
        let here = step == self.step && when == self.when;
        if here && !self.done.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return Err(self.fault);
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_clean_life_passes_every_step_and_leaves_nothing() {
    let (sender, mut points) = mpsc::unbounded_channel();
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet.work_with(Fleet::options(Arc::new(Recorder(sender))));
    Box::pin(fleet.live_through("clean")).await;
    fleet.stop().await;

    let mut finished = Vec::new();
    while let Ok((step, when)) = points.try_recv() {
        if when == When::After && !finished.contains(&step) {
            finished.push(step);
        }
    }
    assert_eq!(finished, STEPS);
}

/// A fault at each point of each step, in lives of their own, a few at a time.
async fn every_point_survives(fault: Fault) {
    let mut lives = JoinSet::new();
    for step in STEPS {
        for when in [When::Before, When::After] {
            if lives.len() >= 4 {
                lives
                    .join_next()
                    .await
                    .expect("some are left")
                    .expect("a life went wrong");
            }
            lives.spawn(async move {
                let faults = Arc::new(Once {
                    step,
                    when,
                    fault,
                    done: false.into(),
                });
                let mut fleet = Fleet::start(Agents::Willing, 1).await;
                fleet.work_with(Fleet::options(Arc::clone(&faults) as Arc<dyn Faults>));
                Box::pin(fleet.live_through("survivor")).await;
                fleet.stop().await;
                let broken = faults.done.load(std::sync::atomic::Ordering::SeqCst);
                assert!(broken, "{step} {when:?} was never passed");
            });
        }
    }
    while let Some(life) = lives.join_next().await {
        life.expect("a life went wrong");
    }
}

#[tokio::test]
async fn a_failure_before_or_after_any_step_is_retried_to_the_same_end() {
    every_point_survives(Fault::Fail).await;
}

#[tokio::test]
async fn a_worker_that_dies_before_or_after_any_step_is_taken_over() {
    every_point_survives(Fault::Crash).await;
}

#[tokio::test]
async fn two_workers_share_brokers_without_sharing_places() {
    const BROKERS: u16 = 8;
    let mut fleet = Fleet::start(Agents::Willing, BROKERS).await;
    fleet.work();
    fleet.work();
    let mut ids = Vec::new();
    for number in 0..BROKERS {
        ids.push(fleet.create(&format!("broker-{number}")).await);
    }
    for id in &ids {
        fleet.reaches(id, Some(State::Running)).await;
    }
    let mut places = fleet.places().await;
    places.dedup();
    assert_eq!(places.len(), usize::from(BROKERS));
    for id in &ids {
        fleet.delete(id).await;
    }
    for id in &ids {
        fleet.reaches(id, None).await;
    }
    fleet.is_empty().await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_place_whose_answer_was_lost_is_not_made_twice() {
    let mut fleet = Fleet::start(Agents::Willing, 2).await;
    fleet
        .provisioner
        .script([
            Behaviour::Pending,
            Behaviour::Unreachable,
            Behaviour::AnswerLost,
        ])
        .await;
    fleet.work();
    let id = fleet.create("slow").await;
    fleet.reaches(&id, Some(State::Running)).await;
    assert_eq!(fleet.provisioner.given().await.len(), 1);
    fleet.stop().await;
}

#[tokio::test]
async fn deletion_wins_over_a_creation_that_waits() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet
        .provisioner
        .script(std::iter::repeat_n(Behaviour::Pending, 10_000))
        .await;
    fleet.work();
    let id = fleet.create("regretted").await;
    fleet.reaches(&id, Some(State::CreationInProgress)).await;
    fleet.delete(&id).await;
    fleet.provisioner.unscript().await;
    fleet.reaches(&id, None).await;
    fleet.is_empty().await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_refused_place_fails_the_creation_and_the_broker_can_be_deleted() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet
        .provisioner
        .script([Behaviour::Refuse("the zone is full".to_owned())])
        .await;
    fleet.work();
    let id = fleet.create("homeless").await;
    let failed = fleet
        .reaches(&id, Some(State::CreationFailed))
        .await
        .unwrap();
    assert_eq!(failed.failure.as_deref(), Some("the zone is full"));
    fleet.delete(&id).await;
    fleet.reaches(&id, None).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_node_that_loops_in_its_creation_fails_it_with_its_words() {
    let mut fleet = Fleet::start(Agents::Looping, 1).await;
    let mut options = Fleet::options(Arc::new(warren::workflows::NoFaults));
    options.timing = Timing {
        crash_loop_max: Duration::ZERO,
        ..options.timing
    };
    fleet.work_with(options);
    let id = fleet.create("looping").await;
    let failed = fleet
        .reaches(&id, Some(State::CreationFailed))
        .await
        .unwrap();
    assert!(failed.failure.unwrap().contains("no such profile"));
    fleet.stop().await;
}

#[tokio::test]
async fn a_broker_without_a_job_gets_exactly_one() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    let id = fleet.create("forgotten").await;
    let pool = fleet.database.pool.clone();
    sqlx::query("delete from jobs")
        .execute(&pool)
        .await
        .unwrap();

    let look = || reconcilers::enqueue_missing(&pool, &SystemClock, &SystemEntropy, Duration::ZERO);
    let (first, second) = tokio::join!(look(), look());
    assert_eq!(
        first.unwrap() + second.unwrap(),
        1,
        "two at once enqueue one job"
    );
    assert_eq!(look().await.unwrap(), 0, "the second time changes nothing");

    fleet.work();
    fleet.reaches(&id, Some(State::Running)).await;
    assert_eq!(look().await.unwrap(), 0);
    fleet.stop().await;
}
