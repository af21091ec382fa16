//! Logins by TLS client certificate: who is let in, as whom, and who is not.

use std::path::PathBuf;

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Connection, ConnectionProperties};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{TestBroker, declare};

/// An authority that signs certificates for servers and clients.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(parameters, key),
            pem,
        }
    }

    /// Certificate and key of somebody.
    fn sign(&self, name: &str) -> (String, String) {
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::CommonName, name.to_owned());
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// A broker that asks its clients for certificates.
struct Node {
    broker: TestBroker,
    authority: Authority,
    _files: TempDir,
}

impl Node {
    async fn start(more: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new("authority");
        let (certificate, key) = authority.sign("server");
        let write = |name: &str, text: &str| -> PathBuf {
            let path = files.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let paths = [
            ("--tls-cert", write("cert.pem", &certificate)),
            ("--tls-key", write("key.pem", &key)),
            ("--tls-client-ca", write("ca.pem", &authority.pem)),
        ];
        let mut arguments = vec!["--amqps=127.0.0.1:0"];
        for (flag, path) in &paths {
            arguments.extend([*flag, path.to_str().unwrap()]);
        }
        arguments.extend(more);
        let broker = TestBroker::start_with(&arguments).await;
        broker
            .engine
            .broker()
            .put_user_with_password("worker", "unused", &[])
            .unwrap();
        Self {
            broker,
            authority,
            _files: files,
        }
    }

    async fn connect(
        &self,
        login: &str,
        identity: Option<(String, String)>,
    ) -> lapin::Result<Connection> {
        let port = self.broker.engine.addresses().amqps[0].port();
        let uri = format!("amqps://{login}localhost:{port}/%2f");
        let uri = match login {
            "" => format!("{uri}?auth_mechanism=external"),
            _ => uri,
        };
        let config = OwnedTLSConfig {
            identity: identity.map(|(pem, key)| OwnedIdentity::PKCS8 {
                pem: pem.into_bytes(),
                key: key.into_bytes(),
            }),
            cert_chain: Some(self.authority.pem.clone()),
        };
        let runtime = lapin::runtime::default_runtime()?;
        let properties = ConnectionProperties::default();
        Connection::connect_with_config(&uri, properties, config, runtime).await
    }
}

fn refusal(outcome: lapin::Result<Connection>) -> String {
    outcome.expect_err("the client is refused").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_logs_in_the_user_it_names_and_nobody_else() {
    let node = Node::start(&["--tls-login-from", "common-name"]).await;
    let worker = node.authority.sign("worker");
    let connection = node.connect("", Some(worker)).await.unwrap();
    declare(&connection.create_channel().await.unwrap(), "q").await;

    let stranger = node.authority.sign("stranger");
    let refused = refusal(node.connect("", Some(stranger)).await);
    assert!(
        refused.contains("Login was refused using authentication mechanism EXTERNAL"),
        "{refused}"
    );
    let forged = Authority::new("another").sign("worker");
    assert!(node.connect("", Some(forged)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_subject_names_the_user_unless_told_otherwise() {
    let node = Node::start(&[]).await;
    let worker = || Some(node.authority.sign("worker"));
    assert!(node.connect("", worker()).await.is_err());
    node.broker
        .engine
        .broker()
        .put_user_with_password("CN=worker", "unused", &[])
        .unwrap();
    node.connect("", worker()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_certificate_logs_in_by_password_or_not_at_all() {
    let node = Node::start(&[]).await;
    node.connect("test:secret@", None).await.unwrap();
    // As in RabbitMQ the socket ends without a word: EXTERNAL was not offered.
    assert!(node.connect("", None).await.is_err());

    let strict = Node::start(&["--tls-client-required"]).await;
    assert!(strict.connect("test:secret@", None).await.is_err());
    let anyone = strict.authority.sign("anyone");
    strict.connect("test:secret@", Some(anyone)).await.unwrap();
}
