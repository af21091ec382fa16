//! What the owner of a broker sets, as clients notice it.

use std::io::Write as _;
use std::process::Command;

use broker_engine::codec::amqp::{
    BasicConsume, ConnectionOpen, ConnectionTuneOk, FieldTable, FieldValue, Method, QueueDeclare,
};
use serde_json::json;

use crate::api::Api;
use crate::raw::Raw;
use crate::support::TestBroker;

async fn broker(settings: &serde_json::Value, more: &[&str]) -> TestBroker {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.json");
    std::fs::write(&file, settings.to_string()).unwrap();
    let flag = format!("--settings={}", file.display());
    TestBroker::open(directory, &[&[flag.as_str()], more].concat()).await
}

/// The heartbeat interval and the number of channels that clients are offered.
fn tuned(raw: &mut Raw) -> (u16, u16) {
    let payload = raw.expect(0, "connection.tune");
    let Ok(Method::ConnectionTune(tune)) = Method::decode(&payload) else {
        panic!("{payload:?}");
    };
    (tune.heartbeat_s, tune.channel_max)
}

fn declare(raw: &mut Raw, queue: &str, kind: &str) {
    let kind = FieldValue::from(kind);
    raw.send(
        1,
        &QueueDeclare {
            reserved_1: 0,
            queue,
            passive: false,
            durable: true,
            exclusive: false,
            auto_delete: false,
            no_wait: false,
            arguments: FieldTable(vec![("x-queue-type".to_owned(), kind)]),
        },
    );
}

fn consume(raw: &mut Raw, tag: &str) {
    raw.send(
        1,
        &BasicConsume {
            reserved_1: 0,
            queue: "q",
            consumer_tag: tag,
            no_local: false,
            no_ack: true,
            exclusive: false,
            no_wait: false,
            arguments: FieldTable::default(),
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_offered_the_heartbeat_that_is_set() {
    let plain = TestBroker::start().await;
    assert_eq!(
        tuned(&mut Raw::log_in(plain.address(), "secret")),
        (60, 2047)
    );
    let set = broker(&json!({"heartbeat": "601"}), &[]).await;
    assert_eq!(
        tuned(&mut Raw::log_in(set.address(), "secret")),
        (601, 2047)
    );
    let lavinmq = json!({"amqp.heartbeat": "300", "amqp.channel_max": "16"});
    let set = broker(&lavinmq, &["--profile=lavinmq-2.9"]).await;
    assert_eq!(tuned(&mut Raw::log_in(set.address(), "secret")), (300, 16));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quorum_queue_may_be_declared_again_as_another_type_when_checks_are_relaxed() {
    let key = "quorum_queue.property_equivalence.relaxed_checks_on_redeclaration";
    for (relaxed, answer) in [("true", "queue.declare-ok"), ("false", "channel.close")] {
        let broker = broker(&json!({ key: relaxed }), &[]).await;
        let mut raw = Raw::open(broker.address());
        declare(&mut raw, "orders", "quorum");
        raw.expect(1, "queue.declare-ok");
        declare(&mut raw, "orders", "classic");
        raw.expect(1, answer);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operator_policies_stay_as_they_are_when_their_changes_are_disabled() {
    let key = "management.restrictions.operator_policy_changes.disabled";
    let policy = json!({"pattern": ".*", "definition": {"max-length": 9}});
    let fixed = broker(&json!({ key: "true" }), &[]).await;
    let api = Api::new(&fixed);
    let path = "/operator-policies/%2F/bound";
    assert_eq!(api.put(path, policy.clone()).await.0, 405);
    assert_eq!(api.delete(path).await.0, 405);
    let parameter = json!({"value": policy});
    let by_parameter = "/parameters/operator_policy/%2F/bound";
    assert_eq!(api.put(by_parameter, parameter.clone()).await.0, 405);
    let imported = json!({"parameters": [{"vhost": "/", "component": "operator_policy",
        "name": "bound", "value": policy}]});
    assert_eq!(api.post("/definitions", imported).await.0, 405);
    assert_eq!(api.get("/operator-policies").await, json!([]));
    assert_eq!(api.put("/policies/%2F/own", policy.clone()).await.0, 201);

    let open = broker(&json!({ key: "false" }), &[]).await;
    assert_eq!(Api::new(&open).put(path, policy).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_be_careful_when_that_is_set() {
    let wanted = [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        (
            "strict-transport-security",
            "max-age=47304000; includeSubDomains",
        ),
    ];
    for is_set in [true, false] {
        let settings = json!({"secure.management.http.headers.enabled": is_set.to_string()});
        let broker = broker(&settings, &[]).await;
        Api::new(&broker);
        let address = broker.engine.addresses().management[0];
        for path in ["/", "/api/overview", "/nowhere"] {
            let answer = reqwest::get(format!("http://{address}{path}"))
                .await
                .unwrap();
            for (name, value) in wanted {
                let told = answer
                    .headers()
                    .get(name)
                    .map(|told| told.to_str().unwrap());
                assert_eq!(told, is_set.then_some(value), "{path} {name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_has_no_more_queues_virtual_hosts_and_consumers_than_it_may() {
    let limits = [
        "--queues-max=2",
        "--vhosts-max=2",
        "--consumers-per-channel-max=2",
    ];
    let broker = broker(&json!({}), &limits).await;
    let api = Api::new(&broker);
    assert_eq!(api.put("/vhosts/second", json!({})).await.0, 201);
    let (status, refused) = api.put("/vhosts/third", json!({})).await;
    assert_eq!(status, 400);
    assert_eq!(
        refused["reason"],
        "cannot create vhost 'third': vhost limit of 2 is reached"
    );
    assert_eq!(api.put("/vhosts/second", json!({})).await.0, 204);

    let durable = json!({"durable": true});
    assert_eq!(api.put("/queues/second/q", durable.clone()).await.0, 201);
    assert_eq!(api.put("/queues/%2F/q", durable.clone()).await.0, 201);
    let (status, refused) = api.put("/queues/%2F/one-more", durable.clone()).await;
    assert_eq!(status, 400);
    let reason = refused["reason"].as_str().unwrap();
    let text = "cannot declare queue 'one-more': queue limit in cluster (2) is reached";
    assert!(reason.ends_with(text), "{reason}");
    assert_eq!(api.put("/queues/%2F/q", durable.clone()).await.0, 204);

    let mut raw = Raw::open(broker.address());
    for tag in ["a", "b"] {
        consume(&mut raw, tag);
        raw.expect(1, "basic.consume-ok");
    }
    consume(&mut raw, "c");
    let payload = raw.expect(0, "connection.close");
    let text = "NOT_ALLOWED - reached maximum (2) of consumers per channel";
    assert!(String::from_utf8_lossy(&payload).contains(text));

    assert_eq!(api.delete("/vhosts/second").await.0, 204);
    assert_eq!(api.put("/queues/%2F/one-more", durable).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_is_trusted_tells_who_the_client_is() {
    let settings = json!({"amqp.tcp_proxy_protocol": "true",
        "amqp.proxy_protocol_trusted_sources": "127.0.0.0/8"});
    let broker = broker(&settings, &["--profile=lavinmq-2.9"]).await;
    let mut balanced = std::net::TcpStream::connect(broker.address()).unwrap();
    balanced
        .write_all(b"PROXY TCP4 203.0.113.7 127.0.0.1 40000 5672\r\n")
        .unwrap();
    let mut raw = Raw::log_in_on(balanced, "secret");
    raw.expect(0, "connection.tune");
    raw.send(
        0,
        &ConnectionTuneOk {
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat_s: 0,
        },
    );
    raw.send(
        0,
        &ConnectionOpen {
            virtual_host: "/",
            reserved_1: "",
            reserved_2: false,
        },
    );
    raw.expect(0, "connection.open-ok");
    let connections = Api::new(&broker).get("/connections").await;
    assert_eq!(connections[0]["peer_host"], "203.0.113.7");
    assert_eq!(connections[0]["peer_port"], 40000);
    // Who comes without a balancer comes in as well.
    Raw::open(broker.address());
}

#[test]
fn a_check_says_what_is_wrong_and_serves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.json");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_brokerd"))
            .current_dir(directory.path())
            .args(["--check", "--profile=rabbitmq-4.2", "--settings"])
            .arg(&file)
            .output()
            .unwrap()
    };
    assert!(check(r#"{"heartbeat": "60"}"#).status.success());
    let refused = check(r#"{"heartbeat": "soon"}"#);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains("setting 'heartbeat': 'soon' is not"),
        "{text}"
    );
    assert!(!directory.path().join("brokerd-data").exists());
}
