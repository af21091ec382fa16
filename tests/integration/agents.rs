//! The host agents' endpoints: who is let in, for what, and a whole agent over mutual TLS.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent_api::{
    CertificateRequest, CertificateResponse, EnrolResponse, HostIntent, HostReport,
    NodeObservation, Phase,
};
use axum::http::StatusCode;
use chrono::TimeDelta;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use signing::TrustedKeys;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warren::api::agent::Lifetimes;
use warren::db;
use warren::model::clock::{Clock, SystemClock};
use warren::model::node::Node;
use warren::pki::KeyAndRequest;

use crate::endpoint::Endpoint;

#[tokio::test]
async fn a_token_enrols_one_key_and_only_while_it_is_valid() {
    let endpoint = Endpoint::start(Lifetimes::default()).await;
    endpoint.token("good", "host", TimeDelta::hours(1)).await;
    endpoint.token("old", "host", TimeDelta::seconds(-1)).await;
    let (ours, theirs) = (
        KeyAndRequest::generate().unwrap().csr_pem,
        KeyAndRequest::generate().unwrap().csr_pem,
    );

    assert_eq!(
        endpoint.enrol("unknown", &ours).await.unwrap_err(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        endpoint.enrol("old", &ours).await.unwrap_err(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        endpoint.enrol("good", "no CSR").await.unwrap_err(),
        StatusCode::BAD_REQUEST
    );
    let first = endpoint.enrol("good", &ours).await.unwrap();
    let again = endpoint.enrol("good", &ours).await.unwrap();
    assert_eq!(
        first.host_id, again.host_id,
        "a lost answer can be asked for again"
    );
    assert_eq!(
        endpoint.enrol("good", &theirs).await.unwrap_err(),
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn without_a_known_hosts_certificate_nothing_is_told() {
    let endpoint = Endpoint::start(Lifetimes::default()).await;
    let request = KeyAndRequest::generate().unwrap();
    let stranger = endpoint.authority.issue_client(
        &request.csr_pem,
        Uuid::from_u128(1),
        SystemClock.now(),
        Duration::from_secs(60),
    );
    let stranger = stranger.unwrap().pem;
    for (certificate, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some(stranger.as_str()), StatusCode::FORBIDDEN),
    ] {
        let path = "/v1/intent?since=0&wait_ms=0";
        let answer = endpoint
            .call::<HostIntent>(certificate, "GET", path, &())
            .await;
        assert_eq!(answer.unwrap_err(), status);
    }
}

#[tokio::test]
async fn a_host_gets_certificates_and_reports_only_for_its_own_nodes() {
    let mut endpoint = Endpoint::start(Lifetimes::default()).await;
    let node = endpoint.intended_node("guarded").await;
    let (ours, stranger) = (endpoint.host("host").await, endpoint.host("stranger").await);
    let path = format!("/v1/nodes/{}/certificate", node.id);
    let body = CertificateRequest {
        csr_pem: KeyAndRequest::generate().unwrap().csr_pem,
    };
    let ask = async |host: &EnrolResponse| {
        let certificate = Some(host.certificate_pem.as_str());
        endpoint
            .call::<CertificateResponse>(certificate, "POST", &path, &body)
            .await
    };
    assert!(ask(&ours).await.is_ok());
    assert_eq!(ask(&stranger).await.unwrap_err(), StatusCode::NOT_FOUND);

    let report = HostReport {
        agent_version: "0".to_owned(),
        capacity: agent_api::Capacity {
            cpus: 1,
            memory_bytes: 1,
            disk_free_bytes: 1,
        },
        nodes: vec![NodeObservation {
            node_id: node.id.0,
            generation: node.generation,
            phase: Phase::Ready,
            process: None,
            restarts: 0,
            detail: None,
            launch: None,
            rejected: None,
            alarms: agent_api::Alarms::default(),
            observed_at: SystemClock.now(),
        }],
    };
    for (host, seen) in [(&stranger, false), (&ours, true)] {
        let certificate = Some(host.certificate_pem.as_str());
        endpoint
            .call::<()>(certificate, "POST", "/v1/report", &report)
            .await
            .unwrap();
        let mut conn = endpoint.fleet.database.pool.acquire().await.unwrap();
        let node = db::node_fetch(&mut conn, node.id).await.unwrap().unwrap();
        assert_eq!(node.observed.is_some(), seen);
    }
}

#[tokio::test]
async fn the_long_poll_answers_when_intent_changes_and_when_the_time_is_up() {
    let mut endpoint = Endpoint::start(Lifetimes::default()).await;
    let host = endpoint.host("host").await;
    let certificate = Some(host.certificate_pem.as_str());
    let poll = async |endpoint: &Endpoint, since: i64, wait_ms: u64| {
        let path = format!("/v1/intent?since={since}&wait_ms={wait_ms}");
        endpoint
            .call::<HostIntent>(certificate, "GET", &path, &())
            .await
            .unwrap()
    };
    let first = poll(&endpoint, -1, 30_000).await;
    assert_eq!((first.version, first.nodes.len()), (0, 0));
    assert_eq!(poll(&endpoint, 0, 50).await.version, 0);

    endpoint.fleet.work();
    let (changed, _) = tokio::join!(poll(&endpoint, 0, 30_000), endpoint.fleet.create("awaited"));
    assert_eq!(changed.nodes.len(), 1);
    assert!(changed.version > 0);

    let endless = poll(&endpoint, changed.version, 30_000);
    let stop = async { endpoint.shutdown.cancel() };
    let (unchanged, ()) = tokio::join!(endless, stop);
    assert_eq!(
        unchanged.version, changed.version,
        "shutdown ends the long polls"
    );
}

/// An agent of the fleet's host at work.
pub(crate) struct RunningAgent {
    stop: CancellationToken,
    task: JoinHandle<Result<(), host_agent::Error>>,
}

impl RunningAgent {
    /// Enrols over mutual TLS and starts nodes with `executable`.
    async fn start(endpoint: &Endpoint, data_dir: &Path, executable: &Path) -> Self {
        Self::start_trusting(endpoint, data_dir, executable, TrustedKeys::default()).await
    }

    /// Runs the engine releases of these keys as well.
    pub(crate) async fn start_trusting(
        endpoint: &Endpoint,
        data_dir: &Path,
        executable: &Path,
        engine_keys: TrustedKeys,
    ) -> Self {
        endpoint
            .token("one-time", "host", TimeDelta::hours(1))
            .await;
        let options = host_agent::Options {
            control_url: format!("https://{}", endpoint.listen().await),
            ca_pem: endpoint.authority.certificate_pem().to_owned(),
            token: Some("one-time".to_owned()),
            data_dir: data_dir.to_owned(),
            executable: executable.to_owned(),
            engine_keys,
            timing: host_agent::Timing::default(),
        };
        let stop = CancellationToken::new();
        let on_stop = host_agent::OnStop::StopNodes;
        let task = tokio::spawn(host_agent::run(options, stop.clone(), on_stop));
        Self { stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_agent_enrols_runs_its_nodes_renews_its_certificate_and_deletes_them() {
    let lifetimes = Lifetimes {
        host: Duration::from_secs(3),
        ..Lifetimes::default()
    };
    let mut endpoint = Endpoint::start(lifetimes).await;
    let dir = tempfile::tempdir().unwrap();
    let executable = dir.path().join("node.sh");
    std::fs::write(&executable, "#!/bin/sh\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&executable, std::fs::Permissions::from_mode(0o700)).unwrap();
    let agent = RunningAgent::start(&endpoint, &dir.path().join("agent"), &executable).await;

    endpoint.fleet.work();
    let id = endpoint.fleet.create("supervised").await;
    let started = |node: &Node| {
        node.observed
            .as_ref()
            .is_some_and(|seen| seen.process.is_some())
    };
    let node = endpoint.node_of(&id, started).await;
    assert_eq!(
        node.observed.unwrap().phase,
        Phase::Starting,
        "nobody answers AMQP there"
    );
    let volume = dir.path().join("agent/volumes").join(node.id.to_string());
    assert!(volume.exists());

    let first = serial(&endpoint).await;
    let renewed = async {
        while serial(&endpoint).await == first {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .expect("never renewed");

    endpoint.fleet.delete(&id).await;
    endpoint.fleet.reaches(&id, None).await;
    assert!(!volume.exists());
    agent.stop().await;
}

#[tokio::test]
async fn a_nodes_certificate_is_renewed_under_the_running_engine() {
    let lifetimes = Lifetimes {
        node: Duration::from_secs(4),
        ..Lifetimes::default()
    };
    let mut endpoint = Endpoint::start(lifetimes).await;
    let dir = tempfile::tempdir().unwrap();
    let executable = Path::new(env!("CARGO_BIN_EXE_warren"));
    let agent = RunningAgent::start(&endpoint, &dir.path().join("agent"), executable).await;
    endpoint.fleet.work();
    let id = endpoint.fleet.create("renewed").await;
    let ready = |node: &Node| {
        node.observed
            .as_ref()
            .is_some_and(|seen| seen.phase == Phase::Ready)
    };
    let before = endpoint.node_of(&id, ready).await;

    let authority = endpoint.authority.certificate_pem();
    let first = shown_certificate(authority, &before).await;
    let renewed = async {
        while shown_certificate(authority, &before).await == first {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed)
        .await
        .expect("never renewed");

    let after = endpoint.node_of(&id, ready).await;
    assert_eq!(
        after.observed.unwrap().process,
        before.observed.unwrap().process,
        "the same process shows the new one"
    );
    endpoint.fleet.delete(&id).await;
    endpoint.fleet.reaches(&id, None).await;
    agent.stop().await;
}

/// The certificate that a node shows, verified as its clients do.
async fn shown_certificate(authority: &str, node: &Node) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
    roots.add(certificate).unwrap();
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let place = node.placement.as_ref().unwrap();
    let stream = TcpStream::connect((place.address, place.amqps_port))
        .await
        .unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector
        .connect(place.address.into(), stream)
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    session.peer_certificates().unwrap()[0].to_vec()
}

async fn serial(endpoint: &Endpoint) -> Option<String> {
    let mut conn = endpoint.fleet.database.pool.acquire().await.unwrap();
    let host = db::host_fetch(&mut conn, endpoint.fleet.host_id)
        .await
        .unwrap();
    host.and_then(|host| host.certificate_serial)
}
