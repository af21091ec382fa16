//! `POST /v1/report`: what an agent observes, and who has been waiting for it.

use agent_api::{HostReport, NodeObservation, Phase};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::error::Error;
use super::peer::CallingHost;
use super::state::AgentState;
use crate::db;
use crate::model::host::Host;

/// Observations of nodes that are not the host's, and those of an older generation than the last,
/// are passed over: the agent learns of it from its next intent.
pub(super) async fn report(
    State(state): State<AgentState>,
    CallingHost(host): CallingHost,
    Json(report): Json<HostReport>,
) -> Result<StatusCode, Error> {
    // Most reports are heartbeats, which say of every node what is known. Nobody holds one connection
    // and waits for another: with many hosts at once none would be left.
    let mut conn = state.pool.acquire().await?;
    let news = db::nodes_news(&mut conn, host.id, &report.nodes).await?;
    drop(conn);
    for observation in &report.nodes {
        let id = &observation.node_id;
        if news.unknown.contains(id) && observation.phase != Phase::Absent {
            state.strangers.tell(*id, &host);
        }
        if !news.changed.contains(id) {
            continue;
        }
        observe(&state, &host, observation).await?;
    }
    let mut conn = state.pool.acquire().await?;
    db::host_touch(&mut conn, host.id, &report.capacity, state.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One transaction for each node: a job is woken exactly when it can see the observation. What is lost
/// with the machine is told again by the next heartbeat.
async fn observe(
    state: &AgentState,
    host: &Host,
    observation: &NodeObservation,
) -> Result<(), Error> {
    let now = state.clock.now();
    let mut transaction = db::begin_quick(&state.pool).await?;
    let observed = db::node_observe(&mut transaction, host.id, observation, now).await?;
    if observed.is_none() && db::node_overtaken(&mut transaction, host.id, observation).await? {
        let (node, generation) = (observation.node_id, observation.generation);
        tracing::warn!(host = %host.id, %node, generation, "a host is ahead of the database");
    }
    // Nothing waits for a node that is coming up.
    let is_awaited = observation.phase != Phase::Starting;
    if let Some(observed) = observed.filter(|observed| observed.changed && is_awaited) {
        db::job_wake(&mut transaction, observed.broker_id.as_str(), now).await?;
    }
    transaction.commit().await?;
    Ok(())
}
