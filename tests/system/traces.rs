//! One call of the API as a collector sees it: a trace through API, worker and agent.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use parking_lot::Mutex;
use prost::Message as _;
use test_support::network::eventually;
use tokio::runtime::Runtime;

use crate::installation::Installation;
use crate::patience::PATIENCE;

/// A span as it arrived, with the service that it is of.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace_id: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    request_id: Option<String>,
    failed: bool,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// Takes OTLP over HTTP on a loopback port.
struct Collector {
    _runtime: Runtime,
    address: SocketAddr,
    spans: Spans,
}

impl Collector {
    fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime can be built");
        let spans = Spans::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)));
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self {
            _runtime: runtime,
            address,
            spans,
        }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that arrived of the trace that this call is in.
    fn trace(&self, call: &str) -> Vec<Span> {
        let spans = self.spans.lock();
        let first = spans.iter().find(|span| span.name == call);
        let of_trace = |first: &Span| {
            let spans = spans.iter().filter(|span| span.trace_id == first.trace_id);
            spans.cloned().collect()
        };
        first.map(of_trace).unwrap_or_default()
    }
}

async fn take(State(spans): State<Spans>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP in protobuf");
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.unwrap_or_default().attributes;
        let service = text(&resource, "service.name").unwrap_or_default();
        let of_scopes = of_resource.scope_spans.into_iter();
        spans
            .lock()
            .extend(of_scopes.flat_map(|scope| scope.spans).map(|span| {
                Span {
                    service: service.clone(),
                    request_id: text(&span.attributes, "warren.request_id"),
                    failed: span
                        .status
                        .is_some_and(|status| status.code() == StatusCode::Error),
                    name: span.name,
                    trace_id: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                }
            }));
    }
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    let Value::StringValue(text) = attribute.value.as_ref()?.value.as_ref()? else {
        return None;
    };
    Some(text.clone())
}

fn ids(trace: &[Span]) -> BTreeSet<Vec<u8>> {
    trace.iter().map(|span| span.id.clone()).collect()
}

#[test]
fn one_call_is_one_trace_through_api_worker_and_agent() {
    const CALLER_SPAN: &str = "00f067aa0ba902b7";
    const STORY: [(&str, &str); 8] = [
        ("warren-serve", "CreateBroker"),
        ("warren-worker", "broker_create"),
        ("warren-worker", "broker_create.ensure_placement"),
        ("warren-worker", "broker_create.mark_applied"),
        ("warren-agent", "bring the node up"),
        ("warren-serve", "node_certificate"),
        ("warren-agent", "report"),
        ("warren-serve", "report"),
    ];
    let collector = Collector::start();
    let installation = Installation::traced(&collector.endpoint());
    let mut remote = installation.remote();
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    remote.call(&format!("trace 00-{trace_id}-{CALLER_SPAN}-01"));
    let id = remote.create("traced");
    remote.running(&id);
    let trace = eventually("the whole story has arrived", PATIENCE, || {
        let trace = collector.trace("CreateBroker");
        let told: BTreeSet<_> = trace
            .iter()
            .map(|span| (span.service.as_str(), span.name.as_str()))
            .collect();
        let whole = STORY.iter().all(|part| told.contains(part));
        // Each process sends by itself, and a span after those within it.
        let ids = ids(&trace);
        let joined = trace
            .iter()
            .all(|span| ids.contains(&span.parent) || hex::encode(&span.parent) == CALLER_SPAN);
        (whole && joined).then(|| trace.clone())
    });
    let ids = ids(&trace);
    assert_eq!(ids.len(), trace.len(), "each span once");
    for span in &trace {
        if ["CreateBroker", "DescribeBroker"].contains(&span.name.as_str()) {
            let parent = hex::encode(&span.parent);
            assert_eq!(
                parent, "00f067aa0ba902b7",
                "a part of what its caller traces"
            );
        } else {
            assert!(ids.contains(&span.parent), "{span:?} has no parent");
        }
        assert!(!span.failed, "{span:?}");
    }
    // The request id, by which the logs are found, stands on the spans of all three.
    let story = || trace.iter().filter(|span| span.name != "DescribeBroker");
    let request_ids: BTreeSet<_> = story().filter_map(|span| span.request_id.clone()).collect();
    assert_eq!(request_ids.len(), 1, "{request_ids:?}");
    let with_id = story().filter(|span| span.request_id.is_some());
    let services: BTreeSet<_> = with_id.map(|span| span.service.as_str()).collect();
    assert_eq!(
        services,
        BTreeSet::from(["warren-agent", "warren-serve", "warren-worker"])
    );
    let log = installation.apis[0].process.log();
    let request_id = request_ids.first().expect("one");
    assert!(
        log.contains(request_id),
        "{request_id} is in no line of the log"
    );
    // Heartbeats and long polls are nobody's trace.
    let spans = collector.spans.lock();
    assert!(spans.iter().all(|span| span.name != "intent"));
}
