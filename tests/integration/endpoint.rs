//! The host agents' endpoints over a fleet's database, as routes to call and as a TLS listener.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_api::{EnrolRequest, EnrolResponse};
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use chrono::TimeDelta;
use http_body_util::BodyExt;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use warren::api::agent::{self, AgentState, Lifetimes};
use warren::db::{self, HostToken};
use warren::listener::{self, Certificates, Clients, Listener, Peer, PeerCertificate, Tls};
use warren::model::clock::{Clock, SystemClock};
use warren::model::entropy::SystemEntropy;
use warren::model::node::Node;
use warren::pki::{Authority, KeyAndRequest};

use crate::fleet::{Agents, Fleet};

pub(crate) struct Endpoint {
    pub(crate) fleet: Fleet,
    pub(crate) router: Router,
    pub(crate) authority: Arc<Authority>,
    pub(crate) shutdown: CancellationToken,
}

impl Endpoint {
    pub(crate) async fn start(lifetimes: Lifetimes) -> Self {
        let fleet = Fleet::start(Agents::Silent, 2).await;
        let authority = Arc::new(Authority::generate(SystemClock.now()).unwrap());
        let shutdown = CancellationToken::new();
        let state = AgentState::start(
            fleet.database.pool.clone(),
            Arc::clone(&authority),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            lifetimes,
            shutdown.clone(),
        );
        let router = agent::router(state);
        Self {
            fleet,
            router,
            authority,
            shutdown,
        }
    }

    /// A token for the fleet's own host, or for another.
    pub(crate) async fn token(&self, token: &str, host_name: &str, valid: TimeDelta) {
        let now = SystemClock.now();
        let mut conn = self.fleet.database.pool.acquire().await.unwrap();
        let hash = digest(&SHA256, token.as_bytes());
        let host = HostToken {
            host_name: host_name.to_owned(),
            zone: "a".to_owned(),
            provisioner: "fake".to_owned(),
        };
        db::host_token_create(&mut conn, hash.as_ref(), &host, now + valid, now)
            .await
            .unwrap();
    }

    /// A call under a client certificate, as the listener passes it on.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        certificate_pem: Option<&str>,
        method: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, StatusCode> {
        let der = certificate_pem.map(|pem| {
            CertificateDer::from_pem_slice(pem.as_bytes())
                .unwrap()
                .to_vec()
        });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .extension(PeerCertificate(der))
            .body(Body::from(serde_json::to_vec(body).unwrap()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        if !status.is_success() {
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(body["message"].is_string(), "{body}");
            return Err(status);
        }
        let bytes = if bytes.is_empty() {
            "null".into()
        } else {
            bytes
        };
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    pub(crate) async fn enrol(
        &self,
        token: &str,
        csr_pem: &str,
    ) -> Result<EnrolResponse, StatusCode> {
        let request = EnrolRequest {
            token: token.to_owned(),
            csr_pem: csr_pem.to_owned(),
            agent_version: "0".to_owned(),
        };
        self.call(None, "POST", "/v1/enrol", &request).await
    }

    /// The certificate of an enrolled host of this name.
    pub(crate) async fn host(&self, name: &str) -> EnrolResponse {
        self.token(name, name, TimeDelta::hours(1)).await;
        let request = KeyAndRequest::generate().unwrap();
        self.enrol(name, &request.csr_pem).await.unwrap()
    }

    /// The node of a broker on the fleet's host, once it is intended.
    pub(crate) async fn intended_node(&mut self, name: &str) -> Node {
        self.fleet.work();
        let id = self.fleet.create(name).await;
        self.node_of(&id, |node| node.intended.is_some()).await
    }

    /// Serves the agents' endpoints over TLS; tells where.
    pub(crate) async fn listen(&self) -> SocketAddr {
        let (key, certificate) = self
            .authority
            .issue_own_server(
                &["127.0.0.1".parse().unwrap()],
                &[],
                SystemClock.now(),
                Duration::from_secs(600),
            )
            .unwrap();
        let tls = Tls {
            certificates: Arc::new(
                Certificates::from_pem(certificate.pem.as_bytes(), key.as_bytes()).unwrap(),
            ),
            clients: Clients::Optional {
                ca_pem: self.authority.certificate_pem().to_owned(),
            },
        };
        let listener = Listener::tls("127.0.0.1:0".parse().unwrap(), &tls)
            .await
            .unwrap();
        let address = listener.address();
        let attach = axum::middleware::from_fn(listener::attach_peer_certificate);
        let service = self
            .router
            .clone()
            .layer(attach)
            .into_make_service_with_connect_info::<Peer>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        address
    }

    pub(crate) async fn node_of(
        &self,
        id: &warren::model::BrokerId,
        wanted: impl Fn(&Node) -> bool,
    ) -> Node {
        let search = async {
            loop {
                let mut conn = self.fleet.database.pool.acquire().await.unwrap();
                let nodes = db::nodes_of_broker(&mut conn, id).await.unwrap();
                if let Some(node) = nodes.into_iter().find(&wanted) {
                    return node;
                }
                drop(conn);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), search)
            .await
            .expect("no such node")
    }
}
