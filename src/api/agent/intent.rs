//! `GET /v1/intent`: the long poll.

use std::time::Duration;

use agent_api::{HostIntent, IntentQuery, WAIT_MS_MAX};
use axum::Json;
use axum::extract::{Query, State};
use tokio::time::Instant;

use super::error::Error;
use super::peer::CallingHost;
use super::state::AgentState;
use crate::db;
use crate::model::HostId;

/// Answers at once when the intent is not of the version that the agent has; else when it changes,
/// when the time is up, or when this process stops.
pub(super) async fn intent(
    State(state): State<AgentState>,
    CallingHost(host): CallingHost,
    Query(query): Query<IntentQuery>,
) -> Result<Json<HostIntent>, Error> {
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms.min(WAIT_MS_MAX));
    let mut subscription = state.bell.subscribe(host.id);
    loop {
        // Waking up costs the version alone, however many nodes the host has.
        let version = version(&state, host.id).await?;
        let time_is_up = Instant::now() >= deadline || state.shutdown.is_cancelled();
        if version != query.since || time_is_up {
            return Ok(Json(read(&state, host.id).await?));
        }
        tokio::select! {
            () = subscription.rang() => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = state.shutdown.cancelled() => {}
        }
    }
}

async fn version(state: &AgentState, host_id: HostId) -> Result<i64, Error> {
    let mut conn = state.pool.acquire().await?;
    let version = db::host_intent_version(&mut conn, host_id).await?;
    version.ok_or(Error::UnknownHost)
}

async fn read(state: &AgentState, host_id: HostId) -> Result<HostIntent, Error> {
    let mut conn = state.pool.acquire().await?;
    let (version, nodes) = db::host_intent(&mut conn, host_id)
        .await?
        .ok_or(Error::UnknownHost)?;
    Ok(HostIntent { version, nodes })
}
