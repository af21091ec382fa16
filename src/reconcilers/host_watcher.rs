//! Hosts whose agents fell silent, for operators. Nodes are not moved: their volumes are there.

use std::time::Duration;

use crate::db::{self, Pool, Result};
use crate::model::HostId;
use crate::model::clock::Clock;

/// Hosts that were heard of once, but not within `silent_after`: id and name.
pub async fn silent_hosts(
    pool: &Pool,
    clock: &dyn Clock,
    silent_after: Duration,
) -> Result<Vec<(HostId, String)>> {
    let mut conn = pool.acquire().await?;
    let heard_since = clock.now() - silent_after;
    db::hosts_silent(&mut conn, heard_since).await
}

/// Tells of each host once when it falls silent, and once when it is back.
pub(super) fn tell(before: &[(HostId, String)], now: &[(HostId, String)]) {
    for (id, name) in now.iter().filter(|host| !before.contains(host)) {
        tracing::warn!(host = %id, name, "the host's agent is silent; its nodes may serve on");
    }
    for (id, name) in before.iter().filter(|host| !now.contains(host)) {
        tracing::info!(host = %id, name, "the host's agent is heard again");
    }
}
