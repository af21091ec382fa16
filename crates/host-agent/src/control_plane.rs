//! The calls to the control plane, over mutual TLS: the protocol of the `agent-api` crate, for agents
//! and for whatever stands in for one.

use std::sync::Arc;
use std::time::Duration;

use agent_api::{
    CertificateRequest, CertificateResponse, EnrolRequest, EnrolResponse, HostIntent, HostReport,
};
use parking_lot::RwLock;
use reqwest::{Client, RequestBuilder, Response};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use uuid::Uuid;

use crate::Error;
use crate::identity::Identity;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A client under the host's identity, exchanged when the identity is renewed.
pub struct ControlPlane {
    url: String,
    client: RwLock<Client>,
}

impl ControlPlane {
    /// Connects with the first call.
    pub fn connect(url: &str, identity: &Identity) -> Result<Self, Error> {
        let client = RwLock::new(client(&identity.ca_pem, Some(identity))?);
        Ok(Self {
            url: trimmed(url),
            client,
        })
    }

    /// Later calls present the new identity; calls under way end under the old one.
    pub(crate) fn present(&self, identity: &Identity) -> Result<(), Error> {
        *self.client.write() = client(&identity.ca_pem, Some(identity))?;
        Ok(())
    }

    pub(crate) async fn host_certificate(
        &self,
        csr_pem: String,
    ) -> Result<CertificateResponse, Error> {
        let call = self.client().post(format!("{}/v1/certificate", self.url));
        json(
            call.timeout(CALL_TIMEOUT)
                .json(&CertificateRequest { csr_pem }),
        )
        .await
    }

    pub(crate) async fn node_certificate(
        &self,
        node_id: Uuid,
        csr_pem: String,
    ) -> Result<CertificateResponse, Error> {
        let call = self
            .client()
            .post(format!("{}/v1/nodes/{node_id}/certificate", self.url));
        json(
            call.timeout(CALL_TIMEOUT)
                .json(&CertificateRequest { csr_pem }),
        )
        .await
    }

    /// The host's intent, at once when it is not of version `since`, else after `wait`.
    pub async fn intent(&self, since: i64, wait: Duration) -> Result<HostIntent, Error> {
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let url = format!("{}/v1/intent?since={since}&wait_ms={wait_ms}", self.url);
        json(self.client().get(url).timeout(CALL_TIMEOUT + wait)).await
    }

    /// Tells what was observed.
    pub async fn report(&self, report: &HostReport) -> Result<(), Error> {
        let call = self.client().post(format!("{}/v1/report", self.url));
        send(call.timeout(CALL_TIMEOUT).json(report))
            .await
            .map(drop)
    }

    fn client(&self) -> Client {
        self.client.read().clone()
    }
}

/// Redeems the token; the only call without an identity.
pub(crate) async fn enrol(
    url: &str,
    ca_pem: &str,
    request: &EnrolRequest,
) -> Result<EnrolResponse, Error> {
    let call = client(ca_pem, None)?.post(format!("{}/v1/enrol", trimmed(url)));
    json(call.timeout(CALL_TIMEOUT).json(request)).await
}

fn trimmed(url: &str) -> String {
    url.trim_end_matches('/').to_owned()
}

fn client(ca_pem: &str, identity: Option<&Identity>) -> Result<Client, Error> {
    let tls = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots
            .add(certificate.map_err(|e| tls(&e))?)
            .map_err(|e| tls(&e))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| tls(&e))?
        .with_root_certificates(roots);
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|e| tls(&e))?;
            let key =
                PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|e| tls(&e))?;
            config
                .with_client_auth_cert(chain, key)
                .map_err(|e| tls(&e))?
        }
    };
    Client::builder()
        .tls_backend_preconfigured(config)
        .https_only(true)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
        .map_err(Error::Unreachable)
}

async fn json<T: for<'de> Deserialize<'de>>(call: RequestBuilder) -> Result<T, Error> {
    send(call).await?.json().await.map_err(Error::Unreachable)
}

async fn send(call: RequestBuilder) -> Result<Response, Error> {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    // What the call is made for, if that is traced.
    let call = match trace::current() {
        Some(span) => call.header(trace::HEADER, span.to_string()),
        None => call,
    };
    let response = call.send().await.map_err(Error::Unreachable)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let refusal = response.json::<Refusal>().await;
    let message = refusal.map_or_else(|_| "without a reason".to_owned(), |said| said.message);
    Err(Error::Refused { status, message })
}
