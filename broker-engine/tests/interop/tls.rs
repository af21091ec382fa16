//! The same over TLS, with a certificate that can be replaced under open listeners.

use std::path::Path;

use lapin::tcp::OwnedTLSConfig;
use lapin::{Connection, ConnectionProperties};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::support::{TestBroker, confirm_mode, declare, get, publish};

fn write_certificate(directory: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

async fn connect(broker: &TestBroker, ca: String) -> lapin::Result<Connection> {
    let port = broker.engine.addresses().amqps[0].port();
    let uri = format!("amqps://test:secret@localhost:{port}/%2f");
    let config = OwnedTLSConfig {
        identity: None,
        cert_chain: Some(ca),
    };
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connect_with_config(&uri, ConnectionProperties::default(), config, runtime).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_the_certificate_can_publish() {
    let directory = tempfile::tempdir().unwrap();
    let ca = write_certificate(directory.path());
    let cert = directory.path().join("cert.pem");
    let key = directory.path().join("key.pem");
    let broker = TestBroker::start_with(&[
        "--amqps=127.0.0.1:0",
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ])
    .await;
    let connection = connect(&broker, ca).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    let body = vec![1; 500_000];
    publish(&channel, "", "q", &body).await;
    assert_eq!(get(&channel, "q").await, Some((body, false)));
}

/// Sends a command to the control socket and returns the answer.
async fn control(socket: &Path, command: &str) -> String {
    let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
    let line = format!("{{\"command\":\"{command}\"}}\n");
    stream.write_all(line.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_for_new_clients_and_leaves_the_old_ones_connected() {
    let directory = tempfile::tempdir().unwrap();
    let first = write_certificate(directory.path());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let broker = TestBroker::start_with(&[
        "--amqps=127.0.0.1:0",
        "--tls-cert",
        &path("cert.pem"),
        "--tls-key",
        &path("key.pem"),
        "--control",
        &path("control.sock"),
    ])
    .await;
    let old = connect(&broker, first.clone()).await.unwrap();
    let channel = old.create_channel().await.unwrap();
    declare(&channel, "q").await;

    let second = write_certificate(directory.path());
    let socket = directory.path().join("control.sock");
    assert!(control(&socket, "reload").await.contains("\"ok\":true"));

    assert!(
        connect(&broker, first).await.is_err(),
        "the old one is not shown any more"
    );
    connect(&broker, second.clone()).await.unwrap();
    confirm_mode(&channel).await;
    publish(&channel, "", "q", b"still here").await;

    std::fs::write(path("cert.pem"), "not a certificate").unwrap();
    let refusal = control(&socket, "reload").await;
    assert!(refusal.contains("\"ok\":false"), "{refusal}");
    connect(&broker, second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_listeners_are_for_loopback_only() {
    use clap::Parser;
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: broker_engine::options::Options,
    }
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let arguments = ["brokerd", "--data-dir", data_dir, "--amqp=0.0.0.0:0"];
    let started = broker_engine::Engine::start(Command::parse_from(arguments).options).await;
    let refusal = started.err().unwrap().to_string();
    assert!(refusal.contains("--amqps"), "{refusal}");
}
