//! `POST /v1/enrol`: a one-time token becomes a host's identity.

use agent_api::{EnrolRequest, EnrolResponse};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::State;

use super::error::Error;
use super::state::AgentState;
use crate::model::HostId;
use crate::{db, pki};

/// The token is looked up by its hash, which says nothing about how much of a guess was right.
pub(super) async fn enrol(
    State(state): State<AgentState>,
    Json(request): Json<EnrolRequest>,
) -> Result<Json<EnrolResponse>, Error> {
    let key = pki::public_key_of(&request.csr_pem)?;
    let token_hash = digest(&SHA256, request.token.as_bytes());
    let key_hash = digest(&SHA256, &key);
    let now = state.clock.now();

    let mut transaction = db::begin(&state.pool).await?;
    let token = db::host_token_redeem(
        &mut transaction,
        token_hash.as_ref(),
        key_hash.as_ref(),
        now,
    )
    .await?
    .ok_or(Error::Token)?;
    let host = db::host_create(
        &mut transaction,
        HostId(state.entropy.uuid_at(now)),
        &token.host_name,
        &token.zone,
        &token.provisioner,
        now,
    )
    .await?;
    let lifetime = state.lifetimes.host;
    let certificate = state
        .authority
        .issue_client(&request.csr_pem, host.id.0, now, lifetime)?;
    db::host_set_certificate(&mut transaction, host.id, &certificate.serial_hex).await?;
    transaction.commit().await?;

    tracing::info!(host = %host.id, name = host.name, zone = host.zone, "enrolled a host");
    Ok(Json(EnrolResponse {
        host_id: host.id.0,
        host_name: host.name,
        zone: host.zone,
        certificate_pem: certificate.pem,
        ca_pem: state.authority.certificate_pem().to_owned(),
        renew_after_s: certificate.renew_after.as_secs(),
    }))
}
