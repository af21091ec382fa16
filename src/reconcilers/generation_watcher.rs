//! Hosts that run generations nobody asked for: they were told by a database that has been replaced by
//! an older copy. Their brokers get a later generation, so that what runs is what is intended here.

use crate::db::{self, Pool, Result};
use crate::model::clock::Clock;

/// Returns how many brokers were moved on; the jobs follow by [`super::enqueue_missing`].
pub async fn catch_up(pool: &Pool, clock: &dyn Clock) -> Result<usize> {
    let mut conn = pool.acquire().await?;
    let brokers = db::brokers_catch_up(&mut conn, clock.now()).await?;
    for broker in &brokers {
        tracing::warn!(%broker, "its host runs a generation that nobody asked for; it is replaced");
    }
    Ok(brokers.len())
}
