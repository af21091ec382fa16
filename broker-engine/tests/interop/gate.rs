//! The gate: an engine that has opened its volume, and whose clients still have to wait.

use std::path::Path;

use lapin::tcp::OwnedTLSConfig;
use lapin::{Connection, ConnectionProperties};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::support::{TestBroker, confirm_mode, declare, get, publish};

async fn control(socket: &Path, command: &str) -> serde_json::Value {
    let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
    let line = format!("{{\"command\":\"{command}\"}}\n");
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

async fn pass(gate: &str, login: &str, ca: &str) -> lapin::Result<Connection> {
    let port = gate.rsplit(':').next().unwrap();
    let uri = format!("amqps://{login}@localhost:{port}/%2f");
    let config = OwnedTLSConfig {
        identity: None,
        cert_chain: Some(ca.to_owned()),
    };
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connect_with_config(&uri, ConnectionProperties::default(), config, runtime).await
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_gate_only_the_monitoring_user_is_served_until_it_opens() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let socket = directory.path().join("control.sock");
    let broker = TestBroker::start_with(&[
        "--gate=127.0.0.1:0",
        "--tls-cert",
        &write("cert.pem", &made.cert.pem()),
        "--tls-key",
        &write("key.pem", &made.signing_key.serialize_pem()),
        "--monitoring-user-file",
        &write("monitoring.json", r#"{"name":"watch","password":"dog"}"#),
        "--control",
        socket.to_str().unwrap(),
    ])
    .await;
    let addresses = broker.engine.addresses().clone();
    let ca = made.cert.pem();
    let status = control(&socket, "status").await;
    assert_eq!(status["ready"], false);
    assert_eq!(status["release"], broker_engine::RELEASE);
    let gate = status["gate"].as_str().unwrap().to_owned();

    for closed in [addresses.amqp[0], addresses.management[0]] {
        let refused = TcpStream::connect(closed).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    assert!(pass(&gate, "test:secret", &ca).await.is_err());
    let watch = pass(&gate, "watch:dog", &ca).await.unwrap();
    let channel = watch.create_channel().await.unwrap();
    declare(&channel, "round").await;
    confirm_mode(&channel).await;
    publish(&channel, "", "round", b"trip").await;
    assert_eq!(
        get(&channel, "round").await,
        Some((b"trip".to_vec(), false))
    );

    assert_eq!(control(&socket, "open").await["ok"], true);
    broker.engine.opened().await;
    let status = control(&socket, "status").await;
    assert_eq!((&status["ready"], status.get("gate")), (&true.into(), None));
    broker.channel().await;
    TcpStream::connect(addresses.management[0]).await.unwrap();
    assert_eq!(control(&socket, "open").await["ok"], true, "twice is once");
    let closed = TcpStream::connect(gate).await.unwrap_err();
    assert_eq!(closed.kind(), std::io::ErrorKind::ConnectionRefused);
}
