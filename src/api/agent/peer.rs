//! Who calls: the host of the client certificate, which still must be known.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::Error;
use super::state::AgentState;
use crate::listener::PeerCertificate;
use crate::model::HostId;
use crate::model::host::Host;
use crate::{db, pki};

/// The calling host, as stored.
pub(super) struct CallingHost(pub(super) Host);

impl FromRequestParts<AgentState> for CallingHost {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &AgentState) -> Result<Self, Error> {
        let certificate = parts
            .extensions
            .get::<PeerCertificate>()
            .and_then(|p| p.0.as_deref());
        let host_id = certificate
            .and_then(pki::host_id_of)
            .ok_or(Error::Unidentified)?;
        let mut conn = state.pool.acquire().await?;
        let host = db::host_fetch(&mut conn, HostId(host_id)).await?;
        Ok(Self(host.ok_or(Error::UnknownHost)?))
    }
}
