//! A maintenance window that opens for many brokers in one moment.

use std::fmt;
use std::time::{Duration, Instant};

use client::UpdateBroker;
use futures_util::StreamExt;

use super::fleet::Fleet;

/// Longest time for one broker's turn.
const PATIENCE_A_BROKER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(100);

/// How it went.
pub(super) struct Window {
    due: usize,
    bound: usize,
    running_max: i64,
    took: Duration,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "A window of {} brokers, due in one moment, was used in {:.0} s: at most {} of them were away at once, of {} allowed.",
            self.due,
            self.took.as_secs_f64(),
            self.running_max,
            self.bound
        )
    }
}

/// Stages a change of `due` brokers by the API, opens their windows, and watches.
pub(super) fn used_at_once(fleet: &mut Fleet, due: usize, bound: usize) -> Window {
    let ids: Vec<String> = fleet.brokers[..due]
        .iter()
        .map(|(_, id)| id.clone())
        .collect();
    fleet.block_on(stage(fleet, due));
    let begin = Instant::now();
    let (running_max, completed) = fleet.block_on(async {
        open(fleet, &ids).await;
        let patience = Duration::from_secs(90)
            + PATIENCE_A_BROKER * u32::try_from(due).expect("fleets are small");
        let mut running_max = 0;
        loop {
            let (running, completed) = standing(fleet).await;
            running_max = running_max.max(running);
            if usize::try_from(completed) == Ok(due) || begin.elapsed() > patience {
                return (running_max, completed);
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    assert_eq!(
        usize::try_from(completed),
        Ok(due),
        "all of them, each once"
    );
    let bound_of_runs = i64::try_from(bound).expect("a bound is small");
    assert!(running_max <= bound_of_runs, "{running_max} at once");
    Window {
        due,
        bound,
        running_max,
        took: begin.elapsed(),
    }
}

async fn stage(fleet: &Fleet, due: usize) {
    let larger = UpdateBroker {
        host_instance_type: Some("mq.m7g.large".to_owned()),
        ..UpdateBroker::default()
    };
    let update = async |index: usize| {
        let (account, id) = &fleet.brokers[index];
        let updated = fleet.client(*account).update_broker(id, &larger).await;
        updated.expect("an update of a running broker is accepted");
    };
    futures_util::stream::iter(0..due)
        .map(update)
        .buffer_unordered(16)
        .collect::<Vec<()>>()
        .await;
}

async fn open(fleet: &Fleet, ids: &[String]) {
    sqlx::query(
        "update maintenance_schedules set next_start = now() - interval '1 minute'
         where broker_id = any ($1)",
    )
    .bind(ids)
    .execute(&fleet.pool)
    .await
    .expect("the schedules can be moved");
}

/// Brokers in the middle of it, and those that are through.
async fn standing(fleet: &Fleet) -> (i64, i64) {
    sqlx::query_as(
        "select count(*) filter (where outcome = 'started'),
                count(*) filter (where outcome = 'completed')
         from maintenance_runs",
    )
    .fetch_one(&fleet.pool)
    .await
    .expect("the runs can be counted")
}
