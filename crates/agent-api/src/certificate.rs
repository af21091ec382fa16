//! Enrolment and certificates. Private keys never leave the host: it sends signing requests,
//! and the control plane alone decides which names a certificate carries.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Redeems a one-time token for a host identity. Until the token expires it may be sent again with
/// the same key, because the answer to the first request may have been lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    pub token: String,
    pub csr_pem: String,
    pub agent_version: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolResponse {
    pub host_id: Uuid,
    pub host_name: String,
    pub zone: String,
    /// Leaf first, PEM.
    pub certificate_pem: String,
    pub ca_pem: String,
    /// Seconds until the agent should ask for its next certificate.
    pub renew_after_s: u64,
}

/// Asks for the next certificate of the calling host, or of one of its nodes. The request's key is
/// all that counts: names in it are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateRequest {
    pub csr_pem: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateResponse {
    /// Leaf first, PEM.
    pub certificate_pem: String,
    pub ca_pem: String,
    /// Seconds until the holder should ask for the next one.
    pub renew_after_s: u64,
}
