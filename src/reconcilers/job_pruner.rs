//! Forgets jobs that are done when their time is over, in small transactions. Those that failed stay:
//! an operator has to see them.

use chrono::TimeDelta;

use crate::db::{self, Pool, Result};
use crate::model::clock::Clock;

const BATCH: i64 = 1_000;
/// Batches a run, so that a long backlog does not keep the other reconcilers waiting.
const BATCHES_MAX: usize = 20;

/// Returns how many jobs were forgotten.
pub async fn prune_jobs(pool: &Pool, clock: &dyn Clock, keep: TimeDelta) -> Result<u64> {
    let until = clock.now() - keep;
    let mut pruned = 0;
    for _ in 0..BATCHES_MAX {
        let mut conn = pool.acquire().await?;
        let batch = db::job_prune(&mut conn, until, BATCH).await?;
        pruned += batch;
        if batch < BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(pruned)
}
