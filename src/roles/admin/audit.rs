//! `warren admin audit`: the audit log of all accounts as JSON lines.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::print;
use crate::{
    db::{self, AuditPosition},
    roles::{Error, Installation},
};

const BATCH: u32 = 500;
/// Between two looks for events that came since.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints CloudTrail records, oldest first, one a line, from the event after `after` on. With
/// `follow` it goes on until `shutdown`. Every event is printed once, and none is missed: of a
/// transaction that is still open, and of those that began after it, nothing is printed yet.
pub async fn follow_audit(
    installation: &Installation,
    after: Option<Uuid>,
    follow: bool,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let pool = &installation.pool;
    let mut position = AuditPosition::default();
    if let Some(id) = after {
        let mut conn = pool.acquire().await.map_err(db::Error::from)?;
        let found = db::audit_position(&mut conn, id).await?;
        position = found.ok_or(Error::NoAuditEvent(id))?;
    }
    loop {
        let mut conn = pool.acquire().await.map_err(db::Error::from)?;
        let events = db::audit_follow(&mut conn, position, BATCH).await?;
        drop(conn);
        let is_last = events.is_empty();
        for (at, event) in events {
            print(&event.record().to_string())?;
            position = at;
        }
        if !is_last {
            continue;
        }
        if !follow {
            return Ok(());
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
