//! What Docker and `rabbitmqctl` do for suites that start and stop brokers themselves.
//!
//! Owns an HTTP server on loopback with as much of Docker's API as these suites use: whatever the image, a container
//! is a `brokerd`. `POST /rabbitmqctl/{command}` is for the stand-in of `rabbitmqctl` in `shared/bin`, and is about
//! the first of them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::runtime::{self, Runtime};

use crate::brokerd::{Brokerd, LIKE_REFERENCE};

/// Brokers that a suite has started, by number.
type Brokers = Arc<Mutex<Vec<Container>>>;

#[derive(Default)]
struct Container {
    broker: Option<Brokerd>,
    /// The command that waits for its start.
    command: String,
}

/// The server, and what runs behind it; both end with it.
pub(crate) struct Containers {
    brokers: Brokers,
    address: SocketAddr,
    /// Dropped last: requests may be on their way.
    _runtime: Runtime,
}

impl Containers {
    /// Without any container.
    pub(crate) fn start() -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime can be made");
        let brokers = Brokers::default();
        let shared = Arc::clone(&brokers);
        let app = Router::new().fallback(move |method: Method, uri: Uri, body: Bytes| {
            let brokers = Arc::clone(&shared);
            async move {
                let answered = tokio::task::spawn_blocking(move || {
                    answer(&brokers, &method, uri.path(), &body)
                });
                let answered = answered.await.expect("containers start and stop");
                answered.map_or_else(
                    || (StatusCode::NOT_FOUND, String::new()),
                    |value| (StatusCode::OK, value.to_string()),
                )
            }
        });
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .expect("loopback has free ports");
        let address = listener.local_addr().expect("a listener has an address");
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            brokers,
            address,
            _runtime: runtime,
        }
    }

    /// Without any container but this broker.
    pub(crate) fn of(broker: Brokerd) -> Self {
        let containers = Self::start();
        containers.brokers.lock().push(Container {
            broker: Some(broker),
            ..Container::default()
        });
        containers
    }

    /// Tells a program where Docker and `rabbitmqctl` are.
    pub(crate) fn describe_to(&self, command: &mut Command) {
        let stand_ins = crate::python::here().join("shared/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(stand_ins).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(paths.collect::<Vec<PathBuf>>());
        command
            .env("DOCKER_HOST", format!("tcp://{}", self.address))
            .env("RABBITMQCTL_URL", format!("http://{}", self.address))
            .env("PATH", path.expect("paths have no separators in them"));
    }
}

/// What is answered, once it is done; nothing when nobody knows what is asked for.
fn answer(brokers: &Brokers, method: &Method, path: &str, body: &[u8]) -> Option<Value> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let number = || segments.get(1)?.parse::<usize>().ok();
    let mut brokers = brokers.lock();
    match (method.as_str(), &*segments) {
        ("POST", ["images", "create"]) => Some(json!({})),
        ("POST", ["containers", "create"]) => {
            brokers.push(Container::default());
            Some(json!({"Id": (brokers.len() - 1).to_string()}))
        }
        ("POST", ["containers", _, "start"]) => {
            match &mut brokers.get_mut(number()?)?.broker {
                Some(broker) => broker.start_again(),
                missing @ None => *missing = Some(Brokerd::start_with(&[LIKE_REFERENCE])),
            }
            Some(json!({}))
        }
        ("GET", ["containers", _, "json"]) => {
            let broker = brokers.get(number()?)?.broker.as_ref()?;
            let bound = |port: u16| json!([{"HostIp": broker.host.to_string(), "HostPort": port.to_string()}]);
            let ports = json!({"5672/tcp": bound(broker.amqp), "5671/tcp": bound(broker.amqps)});
            Some(json!({"NetworkSettings": {"Ports": ports}}))
        }
        ("POST", ["containers", _, "kill"]) => {
            brokers.get_mut(number()?)?.broker.as_mut()?.kill();
            Some(json!({}))
        }
        ("DELETE", ["containers", _]) => {
            brokers.get_mut(number()?)?.broker = None;
            Some(json!({}))
        }
        ("POST", ["containers", id, "exec"]) => {
            let asked: Value = serde_json::from_slice(body).ok()?;
            let command = asked["Cmd"][1].as_str()?;
            command.clone_into(&mut brokers.get_mut(number()?)?.command);
            Some(json!({"Id": id}))
        }
        ("POST", ["exec", _, "start"]) => {
            let container = brokers.get_mut(number()?)?;
            control(container.broker.as_mut()?, &container.command)
        }
        ("GET", ["exec", ..]) => Some(json!({"Running": false, "ExitCode": 0})),
        ("POST", ["rabbitmqctl", command]) => {
            control(brokers.first_mut()?.broker.as_mut()?, command)
        }
        _ => None,
    }
}

/// What `rabbitmqctl` does: the application of RabbitMQ is all there is of a `brokerd`.
fn control(broker: &mut Brokerd, command: &str) -> Option<Value> {
    match command {
        "stop_app" => broker.stop(),
        "start_app" => broker.start_again(),
        _ => return None,
    }
    Some(json!({}))
}
