//! Requests to the management API: a method, a path, a body.
//!
//! The input is an octet for the method, the path up to the end of the line, and the body.

use std::{cell::LazyCell, net::SocketAddr, sync::Arc};

use axum::{
    body::Body,
    http::{Method, Request, header::AUTHORIZATION},
};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

use super::node::Node;
use crate::{
    amqp::read_headers,
    management::{self, Peer},
};

const METHODS: [Method; 5] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::HEAD,
];

/// `guest` with the password `guest`.
const LOGIN: &str = "Basic Z3Vlc3Q6Z3Vlc3Q=";

thread_local! {
    static RUNTIME: LazyCell<Runtime> = LazyCell::new(|| {
        let built = Builder::new_current_thread().enable_time().build();
        built.expect("a runtime can be built")
    });
}

/// A request of an administrator.
pub fn requests(bytes: &[u8]) {
    let Some((method, rest)) = bytes.split_first() else {
        return;
    };
    let end = rest.iter().position(|byte| *byte == b'\n');
    let (path, body) = rest.split_at(end.unwrap_or(rest.len()));
    let body = body.get(1..).unwrap_or_default().to_vec();
    let request = Request::builder()
        .method(METHODS[usize::from(*method) % METHODS.len()].clone())
        .uri(path)
        .header(AUTHORIZATION, LOGIN)
        .extension(Peer(SocketAddr::from(([127, 0, 0, 1], 40_000))));
    let Ok(request) = request.body(Body::from(body)) else {
        return;
    };
    let node = Node::new();
    let server = node.server();
    let router = management::router(Arc::new(management::Node {
        broker: Arc::clone(&node.broker),
        name: "rabbit@localhost".to_owned(),
        product: "RabbitMQ",
        version: "4.2.1",
        listeners: Vec::new(),
        clients: server,
        read_headers,
        operator_policies_fixed: false,
        security_headers: true,
    }));
    let response = RUNTIME.with(|runtime| runtime.block_on(router.oneshot(request)));
    let response = response.expect("a router answers");
    assert_ne!(response.status().as_u16(), 500, "an error of our own");
    node.broker.store().write();
    assert!(node.broker.failed().is_none());
    let again = Node::open(node.disk.kill()).expect("the log can be opened");
    assert_eq!(again.damage, []);
}
