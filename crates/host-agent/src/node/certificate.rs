//! A node's TLS certificate: asked for before the first start, renewed while the node runs.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::state::Files;
use crate::control_plane::ControlPlane;
use crate::identity::{after_seconds, key_and_request};
use crate::{Error, clock, files};

/// What the agent knows of the certificate without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) address: IpAddr,
    pub(super) renew_at: DateTime<Utc>,
}

/// Makes sure that the node has a certificate for `address`. One that is due is renewed; when
/// that fails it is used as it is, because serving on is better than waiting.
pub(super) async fn ensure(
    control: &ControlPlane,
    node_id: Uuid,
    node: &Files,
    address: IpAddr,
) -> Result<Facts, Error> {
    let held = files::read_json::<Facts>(&node.tls_facts())?
        .filter(|facts| facts.address == address && node.tls().exists());
    match held {
        Some(facts) if clock::now() < facts.renew_at => Ok(facts),
        Some(facts) => Ok(renew(control, node_id, node, address)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(%node_id, %error, "the node starts with a certificate that is due");
                facts
            })),
        None => renew(control, node_id, node, address).await,
    }
}

/// Gets a certificate for a fresh key. The facts are written last: a crash in between renews again.
pub(super) async fn renew(
    control: &ControlPlane,
    node_id: Uuid,
    node: &Files,
    address: IpAddr,
) -> Result<Facts, Error> {
    let (key_pem, csr_pem) = key_and_request()?;
    let answer = control.node_certificate(node_id, csr_pem).await?;
    let both = format!("{}{}", answer.certificate_pem, key_pem);
    files::write(&node.tls(), both.as_bytes())?;
    let renew_at = after_seconds(clock::now(), answer.renew_after_s);
    let facts = Facts { address, renew_at };
    files::write_json(&node.tls_facts(), &facts)?;
    Ok(facts)
}
