//! Engine releases by the command line: from who publishes them over HTTPS to the hosts that run them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::directory;
use test_support::network::eventually;
use test_support::python::{printed, succeed};

use crate::certificates;
use crate::patience::PATIENCE;
use crate::tree::{Tree, clean};

const BUILTIN: &str = "0.1.0";
const RELEASE: &str = "0.2.0";

/// Who has a key, files, and a server that is in trouble at first.
struct Publisher {
    directory: TempDir,
    key: String,
    server: Server,
}

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Publisher {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        certificates::write(directory.path());
        let secret = directory.path().join("secret");
        let keygen = || {
            let mut command = warren(&["catalog", "keygen", "--name", "releases-2026", "--out"]);
            command.arg(&secret);
            command
        };
        let key = succeed(&mut keygen()).trim().to_owned();
        assert!(key.starts_with("releases-2026:"), "{key}");
        let mode = std::fs::metadata(&secret)
            .expect("it was written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        refused(keygen(), "secret");
        Self {
            server: Server::start(directory.path()),
            directory,
            key,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A signed catalogue in a file.
    fn sign(&self, serial: i64) -> PathBuf {
        let draft = json!({"serial": serial, "releases": [{
            "engine_type": "RABBITMQ", "engine_version": "4.2.2", "release": RELEASE, "released": "2026-11-20",
            "end_of_support": null, "formats": {"reads": [1, 2], "writes": 2}, "file": "./engine",
            "url": format!("https://{}/engine", self.server.address),
        }]});
        let (unsigned, signed) = (self.path("draft.json"), self.path("catalogue.json"));
        std::fs::write(&unsigned, draft.to_string()).expect("the directory is writable");
        let mut command = warren(&["catalog", "sign", "--key"]);
        let text = succeed(command.arg(self.path("secret")).arg(unsigned));
        std::fs::write(&signed, text).expect("the directory is writable");
        signed
    }
}

impl Server {
    /// Serves `engine` in `directory` over TLS: refused at first, cut off, moved, and then whole.
    fn start(directory: &Path) -> Self {
        let certificates = CertificateDer::pem_file_iter(directory.join("leaf.pem"));
        let certificates = certificates
            .expect("it was written")
            .map(|one| one.expect("PEM"));
        let key = PrivateKeyDer::from_pem_file(directory.join("leaf.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(certificates.collect(), key)
            .expect("they belong together");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has free ports");
        let server = Self {
            address: listener.local_addr().expect("it is bound"),
            connections: Arc::default(),
        };
        let (config, connections) = (Arc::new(config), Arc::clone(&server.connections));
        let engine = directory.join("engine");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session =
                    rustls::ServerConnection::new(Arc::clone(&config)).expect("a session");
                let number = connections.fetch_add(1, Ordering::Relaxed);
                // A client that went away is its own business.
                let _ = serve(rustls::StreamOwned::new(session, stream), number, &engine);
            }
        });
        server
    }
}

type Tls = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

fn serve(stream: Tls, number: usize, engine: &Path) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut request = String::new();
    stream.read_line(&mut request)?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    let stream = stream.get_mut();
    let body = std::fs::read(engine)?;
    let length = body.len();
    if number == 0 {
        stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    } else if request.contains("/engine") && number > 1 {
        let to = "HTTP/1.1 302 Moved\r\nlocation: /moved\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(to.as_bytes())?;
    } else {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let sent = if number == 1 { length / 2 } else { length };
        stream.write_all(&body[..sent])?;
    }
    stream.conn.send_close_notify();
    stream.flush()
}

fn warren(arguments: &[&str]) -> Command {
    let mut command = Command::new(directory::binary("warren"));
    clean(&mut command);
    command.args(arguments);
    command
}

/// Runs what must not succeed, and must say why.
fn refused(mut command: Command, why: &str) {
    let output: Output = command.output().expect("warren can be run");
    assert!(!output.status.success(), "{}", printed(&output));
    assert!(
        printed(&output).contains(why),
        "{why}: {}",
        printed(&output)
    );
}

/// The same program under another name, which it tells wherever it is asked.
fn write_engine(path: &Path) {
    let mut program = std::fs::read(directory::binary("warren")).expect("it was built");
    let (is, shall) = (BUILTIN.as_bytes(), RELEASE.as_bytes());
    let mut at = 0;
    while let Some(next) = program[at..]
        .windows(is.len())
        .position(|window| window == is)
    {
        at += next;
        program[at..at + is.len()].copy_from_slice(shall);
    }
    assert!(at > 0, "the program does not name its release");
    std::fs::write(path, program).expect("the directory is writable");
}

#[test]
fn a_release_goes_from_its_publisher_over_https_to_the_nodes() {
    let publisher = Publisher::new();
    write_engine(&publisher.path("engine"));
    let authority = publisher.path("ca.pem").display().to_string();
    let tree = Tree::start_with(&[
        ("WARREN_ENGINE_KEYS", &publisher.key),
        ("SSL_CERT_FILE", &authority),
    ]);
    let equipped = |arguments: &[&str]| {
        let mut command = warren(arguments);
        tree.equip(&mut command);
        command.envs(tree.variables("admin.env"));
        command
    };
    let import = |file: &Path, keys: &[&str]| {
        let mut command = equipped(&["catalog", "import"]);
        for key in keys {
            command.args(["--engine-key", key]);
        }
        command.arg(file);
        command
    };

    let newer = std::fs::read(publisher.sign(2)).expect("it was signed");
    let ours = [publisher.key.as_str()];
    let older = publisher.sign(1);
    let signed = publisher.path("newer.json");
    std::fs::write(&signed, &newer).expect("the directory is writable");
    refused(import(&signed, &[]), "no key is trusted");
    let stranger = Publisher::new();
    refused(import(&signed, &[&stranger.key]), "not trusted");
    let mut document: Value = serde_json::from_slice(&newer).expect("a document is JSON");
    let payload = document["payload"].as_str().expect("a payload");
    document["payload"] = json!(payload.replacen('A', "B", 1));
    let tampered = publisher.path("tampered.json");
    std::fs::write(&tampered, document.to_string()).expect("the directory is writable");
    refused(import(&tampered, &ours), "not trusted");
    assert_eq!(
        succeed(&mut import(&signed, &ours)),
        "1 releases imported\n"
    );
    assert_eq!(
        succeed(&mut import(&signed, &ours)),
        "1 releases imported\n"
    );
    refused(import(&older, &ours), "not newer");
    let listed = succeed(&mut equipped(&["catalog", "list"]));
    let line = listed.lines().find(|line| line.contains("4.2.2"));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    assert!(
        line.contains(RELEASE) && line.contains("2026-11-20"),
        "{line}"
    );

    let run = |arguments: &[&str]| succeed(&mut equipped(arguments));
    let create = ["broker", "create", "orders", "--engine-version", "4.2.1"];
    let password = ["--password", "correct-horse-battery", "--wait"];
    run(&[&create[..], &password].concat());
    assert_eq!(publisher.server.connections.load(Ordering::Relaxed), 0);
    run(&["broker", "update", "orders", "--engine-version", "4.2.2"]);
    run(&["broker", "reboot", "orders", "--wait"]);
    let shown = run(&["broker", "show", "orders", "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).expect("it is JSON");
    assert_eq!(shown["engineVersion"], "4.2.2", "{shown}");
    assert_eq!(shown["brokerState"], "RUNNING", "{shown}");
    let engines = |pid: &u32| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        program
            .components()
            .any(|part| part.as_os_str() == "engines")
            .then_some(())
    };
    eventually("the node runs the release", PATIENCE, || {
        tree.nodes().iter().find_map(engines)
    });
    // Refused, cut off, moved, whole; and never again.
    assert_eq!(publisher.server.connections.load(Ordering::Relaxed), 4);
    run(&["broker", "reboot", "orders", "--wait"]);
    assert_eq!(publisher.server.connections.load(Ordering::Relaxed), 4);
    run(&["broker", "delete", "orders", "--wait"]);
}
