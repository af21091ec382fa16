//! `POST /v1/certificate` and `POST /v1/nodes/{node_id}/certificate`: the next certificate of a
//! host, and of a node on it. The names come from what is stored, never from the request.

use std::net::IpAddr;

use agent_api::{CertificateRequest, CertificateResponse};
use axum::Json;
use axum::extract::{Path, State};
use uuid::Uuid;

use super::error::Error;
use super::peer::CallingHost;
use super::state::AgentState;
use crate::db;
use crate::model::NodeId;
use crate::pki::Certificate;

pub(super) async fn host(
    State(state): State<AgentState>,
    CallingHost(host): CallingHost,
    Json(request): Json<CertificateRequest>,
) -> Result<Json<CertificateResponse>, Error> {
    let (now, lifetime) = (state.clock.now(), state.lifetimes.host);
    let certificate = state
        .authority
        .issue_client(&request.csr_pem, host.id.0, now, lifetime)?;
    let mut conn = state.pool.acquire().await?;
    db::host_set_certificate(&mut conn, host.id, &certificate.serial_hex).await?;
    Ok(Json(response(&state, certificate)))
}

pub(super) async fn node(
    State(state): State<AgentState>,
    CallingHost(host): CallingHost,
    Path(node_id): Path<Uuid>,
    Json(request): Json<CertificateRequest>,
) -> Result<Json<CertificateResponse>, Error> {
    let mut conn = state.pool.acquire().await?;
    let node = db::node_fetch(&mut conn, NodeId(node_id)).await?;
    let placement = node.and_then(|node| node.placement);
    let placement = placement
        .filter(|place| place.host_id == host.id)
        .ok_or(Error::UnknownNode)?;
    let (now, lifetime) = (state.clock.now(), state.lifetimes.node);
    let certificate = state.authority.issue_server(
        &request.csr_pem,
        &[placement.address],
        &names(placement.address),
        now,
        lifetime,
    )?;
    Ok(Json(response(&state, certificate)))
}

/// Names besides the address. `localhost` proves nothing about a machine, so only nodes that
/// nobody else can reach carry it.
fn names(address: IpAddr) -> Vec<String> {
    if address.is_loopback() {
        vec!["localhost".to_owned()]
    } else {
        Vec::new()
    }
}

fn response(state: &AgentState, certificate: Certificate) -> CertificateResponse {
    CertificateResponse {
        certificate_pem: certificate.pem,
        ca_pem: state.authority.certificate_pem().to_owned(),
        renew_after_s: certificate.renew_after.as_secs(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_nodes_are_called_localhost() {
        assert_eq!(names("127.83.12.4".parse().unwrap()), ["localhost"]);
        assert!(names("10.0.0.7".parse().unwrap()).is_empty());
    }
}
