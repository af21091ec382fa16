//! Policies, limits, virtual hosts and definitions, set over HTTP and met over AMQP.

use std::path::Path;

use broker_engine::codec::amqp::{
    ChannelOpen, ConnectionOpen, ConnectionTuneOk, FieldTable, QueueDeclare,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::{ADMINISTRATOR, Api};
use crate::raw::Raw;
use crate::support::{Process, TestBroker, confirm_mode, declare, get, publish};

/// A connection that asks for a virtual host; what comes next is for the caller.
fn enter(broker: &TestBroker, vhost: &str) -> Raw {
    let mut raw = Raw::log_in(broker.address(), "secret");
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
            virtual_host: vhost,
            reserved_1: "",
            reserved_2: false,
        },
    );
    raw
}

fn declare_queue(raw: &mut Raw, queue: &str) {
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
            arguments: FieldTable::default(),
        },
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_applied_to_a_queue_in_use_and_survives_a_restart() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "orders").await;
    confirm_mode(&channel).await;
    for body in [b"1", b"2", b"3"] {
        publish(&channel, "", "orders", body).await;
    }
    let policy =
        json!({"pattern": "^(?!amq\\.)", "definition": {"max-length": 2}, "apply-to": "queues"});
    let path = "/policies/%2F/short";
    assert_eq!(api.put(path, policy.clone()).await.0, 201);
    assert_eq!(api.put(path, policy).await.0, 204);
    let queue = api.get("/queues/%2F/orders").await;
    assert_eq!(queue["messages"], 2);
    assert_eq!(queue["policy"], "short");
    assert_eq!(
        queue["effective_policy_definition"],
        json!({"max-length": 2})
    );
    let operator = json!({"pattern": ".*", "definition": {"max-length": 1}, "priority": 1});
    let bound = "/operator-policies/%2F/bound";
    assert_eq!(api.put(bound, operator).await.0, 201);
    let queue = api.get("/queues/%2F/orders").await;
    assert_eq!(
        (&queue["messages"], &queue["operator_policy"]),
        (&json!(1), &json!("bound"))
    );
    let shown = api.get(path).await;
    assert_eq!(
        shown,
        json!({"vhost": "/", "name": "short", "pattern": "^(?!amq\\.)", "apply-to": "queues",
               "definition": {"max-length": 2}, "priority": 0})
    );

    let broker = broker.restart().await;
    let api = Api::new(&broker);
    let (_connection, channel) = broker.channel().await;
    confirm_mode(&channel).await;
    publish(&channel, "", "orders", b"4").await;
    assert_eq!(api.delete(bound).await.0, 204);
    assert_eq!(api.delete(bound).await.0, 404);
    publish(&channel, "", "orders", b"5").await;
    publish(&channel, "", "orders", b"6").await;
    assert_eq!(get(&channel, "orders").await.unwrap().0, b"5");
    assert_eq!(api.get("/policies").await.as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_as_rabbitmq_does() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let cases = [
        (
            "/policies/%2F/p",
            json!({"pattern": ".*", "definition": {"nonsense": 1}}),
            400,
            "Validation failed\n\n[{<<\"nonsense\">>,1}] are not recognised policy settings\n",
        ),
        (
            "/policies/%2F/p",
            json!({"pattern": ".*"}),
            400,
            "[{key_missing,definition}]",
        ),
        (
            "/policies/none/p",
            json!({"pattern": ".*", "definition": {"max-length": 1}}),
            404,
            "vhost_not_found",
        ),
        (
            "/parameters/policy/%2F/p",
            json!({"value": {}}),
            400,
            "policies may not be set using this method",
        ),
        (
            "/parameters/shovel/%2F/s",
            json!({"value": {}}),
            400,
            "Validation failed\n\ncomponent shovel not found\n",
        ),
        (
            "/vhost-limits/%2F/max-bananas",
            json!({"value": 1}),
            400,
            "Validation failed\n\nUnrecognised terms [{<<\"max-bananas\">>,1}] in limits\n",
        ),
        (
            "/user-limits/test/max-bananas",
            json!({"value": 1}),
            400,
            "Unrecognised terms [{<<\"max-bananas\">>,1}] in user-limits",
        ),
        (
            "/permissions/%2F/nobody",
            json!({"configure": "", "write": "", "read": ""}),
            400,
            "vhost_or_user_not_found",
        ),
        (
            "/users/u",
            json!({"password": "p"}),
            400,
            "tags_not_present",
        ),
        (
            "/vhosts/v",
            json!({"default_queue_type": "nonsense"}),
            400,
            "nonsense is not a valid queue type",
        ),
    ];
    for (path, body, status, reason) in cases {
        let (got, answer) = api.put(path, body).await;
        assert_eq!(
            (got, answer["reason"].as_str()),
            (status, Some(reason)),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_say_who_may_make_policies_and_where() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let policymaker = ("maker", "p");
    let user = json!({"password": "p", "tags": "policymaker"});
    assert_eq!(api.put("/users/maker", user).await.0, 201);
    assert_eq!(api.put("/vhosts/own", json!({})).await.0, 201);
    let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
    assert_eq!(api.put("/permissions/own/maker", all).await.0, 201);
    let policy = || Some(json!({"pattern": "", "definition": {"max-length": 1}}));
    let cases = [
        (Method::PUT, "/policies/own/p", policy(), 201),
        (Method::PUT, "/policies/%2F/p", policy(), 404),
        (Method::PUT, "/operator-policies/own/p", policy(), 401),
        (Method::GET, "/policies", None, 200),
        (Method::GET, "/parameters", None, 200),
        (Method::GET, "/definitions", None, 401),
        (
            Method::PUT,
            "/vhost-limits/own/max-queues",
            Some(json!({"value": 1})),
            401,
        ),
        (Method::DELETE, "/vhosts/own", None, 401),
    ];
    for (method, path, body, status) in cases {
        let (got, _) = api.ask(method.clone(), path, policymaker, body).await;
        assert_eq!(got.as_u16(), status, "{method} {path}");
    }
    let user = json!({"password": "p", "tags": ["management"]});
    assert_eq!(api.put("/users/maker", user).await.0, 204);
    let (status, body) = api
        .ask(Method::PUT, "/policies/own/p", policymaker, policy())
        .await;
    assert_eq!(
        (status.as_u16(), &body["reason"]),
        (401, &json!("User not authorised to access object"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_close_with_rabbitmqs_codes_and_texts() {
    let options = [
        "--connections-max=2",
        "--channels-max-per-node=2",
        "--node-name=n",
    ];
    let broker = TestBroker::start_with(&options).await;
    let api = Api::new(&broker);
    let limit = async |path: &str, value: i64| {
        assert_eq!(api.put(path, json!({"value": value})).await.0, 204);
    };
    let mut raw = Raw::open(broker.address());
    limit("/vhost-limits/%2F/max-queues", 1).await;
    declare_queue(&mut raw, "one");
    raw.expect(1, "queue.declare-ok");
    declare_queue(&mut raw, "two");
    raw.expect_close(
        1,
        406,
        "PRECONDITION_FAILED - cannot declare queue 'two': queue limit in vhost '/' (1) is reached",
    );
    assert_eq!(
        api.get("/vhost-limits/%2F").await,
        json!([{"vhost": "/", "value": {"max-queues": 1}}])
    );
    assert_eq!(api.delete("/vhost-limits/%2F/max-queues").await.0, 204);
    assert_eq!(api.get("/vhost-limits").await, json!([]));

    limit("/vhost-limits/%2F/max-connections", 1).await;
    enter(&broker, "/").expect_close(
        0,
        530,
        "NOT_ALLOWED - access to vhost '/' refused for user 'test': connection limit (1) is reached",
    );
    limit("/vhost-limits/%2F/max-connections", -1).await;
    limit("/user-limits/test/max-connections", 1).await;
    enter(&broker, "/").expect_close(
        0,
        530,
        "NOT_ALLOWED - connection refused for user 'test': user connection limit (1) is reached",
    );
    assert_eq!(
        api.get("/users/test").await["limits"],
        json!({"max-connections": 1})
    );
    assert_eq!(api.delete("/user-limits/test/max-connections").await.0, 204);

    let mut second = enter(&broker, "/");
    second.expect(0, "connection.open-ok");
    enter(&broker, "/").expect_close(
        0,
        530,
        "NOT_ALLOWED - connection refused: node connection limit (2) is reached",
    );
    second.open_channel(1);
    second.open_channel(2);
    second.send(3, &ChannelOpen { reserved_1: "" });
    second.expect_close(
        0,
        530,
        "NOT_ALLOWED - number of channels opened on node 'n' has reached the maximum allowed limit of 2",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_channels_are_limited_over_all_its_connections() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let mut first = Raw::open(broker.address());
    let limit = json!({"value": 2});
    assert_eq!(
        api.put("/user-limits/test/max-channels", limit).await.0,
        204
    );
    let mut second = Raw::open(broker.address());
    second.send(2, &ChannelOpen { reserved_1: "" });
    second.expect_close(
        0,
        530,
        "NOT_ALLOWED - number of channels opened for user 'test' has reached the maximum allowed user limit of 2",
    );
    first.open_channel(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_in_a_virtual_host_or_is_a_user_that_goes_is_closed() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let described = json!({"description": "shop", "tags": "a,b", "default_queue_type": "quorum"});
    assert_eq!(api.put("/vhosts/shop", described).await.0, 201);
    let shop = api.get("/vhosts/shop").await;
    assert_eq!(
        (
            &shop["description"],
            &shop["tags"],
            &shop["default_queue_type"]
        ),
        (&json!("shop"), &json!(["a", "b"]), &json!("quorum"))
    );
    let mut raw = enter(&broker, "shop");
    raw.expect(0, "connection.open-ok");
    raw.open_channel(1);
    declare_queue(&mut raw, "q");
    raw.expect(1, "queue.declare-ok");
    assert_eq!(api.get("/queues/shop/q").await["type"], "quorum");
    let mut other = Raw::open(broker.address());
    assert_eq!(api.delete("/vhosts/shop").await.0, 204);
    raw.expect_close(0, 320, "CONNECTION_FORCED - vhost 'shop' is deleted");
    assert_eq!(api.delete("/vhosts/shop").await.0, 404);
    enter(&broker, "shop").expect_close(0, 530, "NOT_ALLOWED - vhost shop not found");

    let user = json!({"password": "p", "tags": "administrator"});
    assert_eq!(api.put("/users/boss", user).await.0, 201);
    let (status, _) = api
        .ask(Method::DELETE, "/users/test", ("boss", "p"), None)
        .await;
    assert_eq!(status.as_u16(), 204);
    other.expect_close(0, 320, "CONNECTION_FORCED - user 'test' is deleted");
}

/// One of everything that a document can hold, as RabbitMQ writes it.
fn document() -> Value {
    json!({
        "rabbit_version": "3.13.7",
        "users": [
            {"name": "test", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
             "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator"],
             "limits": {"max-channels": 50}},
            {"name": "plain", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha512",
             "tags": "monitoring", "limits": []},
        ],
        "vhosts": [
            {"name": "/", "metadata": {"description": "Default virtual host", "tags": []}},
            {"name": "shop", "description": "d", "tags": ["t"], "metadata": {"default_queue_type": "classic"}},
        ],
        "permissions": [{"user": "test", "vhost": "shop", "configure": ".*", "write": ".*", "read": "^a"}],
        "topic_permissions":
            [{"user": "test", "vhost": "shop", "exchange": "t", "write": "^w", "read": "^r"}],
        "parameters": [
            {"vhost": "shop", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 5}},
            {"vhost": "shop", "component": "operator_policy", "name": "o",
             "value": {"pattern": "", "definition": {"max-length": 9}, "priority": 1, "apply-to": "queues"}},
        ],
        "global_parameters": [{"name": "g", "value": {"a": 1}}],
        "policies": [{"vhost": "shop", "name": "p", "pattern": "^q", "apply-to": "all",
                      "definition": {"message-ttl": 60000}, "priority": 2}],
        "queues": [
            {"name": "q", "vhost": "shop", "durable": true, "auto_delete": false,
             "arguments": {"x-queue-type": "classic", "x-max-length": 7}},
            {"name": "old", "vhost": "shop", "durable": true, "auto_delete": false, "arguments": []},
        ],
        "exchanges": [
            {"name": "t", "vhost": "shop", "type": "topic", "durable": true, "auto_delete": false,
             "internal": false, "arguments": {}},
            {"name": "inner", "vhost": "shop", "type": "fanout", "durable": true, "auto_delete": false,
             "internal": true, "arguments": {}},
        ],
        "bindings": [
            {"source": "t", "vhost": "shop", "destination": "inner", "destination_type": "exchange",
             "routing_key": "a.*", "arguments": {}},
            {"source": "inner", "vhost": "shop", "destination": "q", "destination_type": "queue",
             "routing_key": "", "arguments": {"x": 1}},
        ],
    })
}

const MEMBERS: [&str; 10] = [
    "users",
    "vhosts",
    "permissions",
    "topic_permissions",
    "parameters",
    "global_parameters",
    "policies",
    "queues",
    "exchanges",
    "bindings",
];

fn same(left: &Value, right: &Value) {
    for member in MEMBERS {
        assert_eq!(left[member], right[member], "{member}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_come_back_as_they_were_taken_away() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    assert_eq!(api.post("/definitions", document()).await.0, 204);
    // The document changed the password of its importer: "test12", from RabbitMQ's documentation.
    let login = ("test", "test12");
    let export = async |api: &Api| {
        let (status, body) = api.ask(Method::GET, "/definitions", login, None).await;
        assert_eq!(status.as_u16(), 200);
        body
    };
    let exported = export(&api).await;
    assert_eq!(exported["rabbitmq_definition_format"], "cluster");
    assert_eq!(exported["users"][1]["limits"], json!({"max-channels": 50}));
    assert_eq!(exported["queues"].as_array().unwrap().len(), 2);
    assert_eq!(exported["bindings"][0]["arguments"], json!({"x": 1}));
    assert_eq!(exported["vhosts"][1]["limits"], json!({"max-queues": 5}));

    let copy = TestBroker::start().await;
    let copied = Api::new(&copy);
    assert_eq!(copied.post("/definitions", exported.clone()).await.0, 204);
    same(&export(&copied).await, &exported);

    let file = copy.directory.path().join("definitions.json");
    std::fs::write(&file, exported.to_string()).unwrap();
    let from_file = fresh(&file).await;
    let api = Api::new(&from_file);
    let mut started = export_as(&api, ADMINISTRATOR).await;
    // The flags of the process made its own user again.
    started["users"] = exported["users"].clone();
    started["permissions"] = exported["permissions"].clone();
    same(&started, &exported);
}

async fn fresh(definitions: &Path) -> TestBroker {
    TestBroker::start_with(&["--definitions", definitions.to_str().unwrap()]).await
}

async fn export_as(api: &Api, login: (&str, &str)) -> Value {
    api.ask(Method::GET, "/definitions", login, None).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_fails_at_its_end_changes_nothing() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let before = api.get("/definitions").await;
    let failing = [
        (
            "bindings",
            json!([{"source": "none", "vhost": "shop", "destination": "q", "destination_type": "queue",
                    "routing_key": "", "arguments": {}}]),
            "no exchange 'none' in vhost 'shop'",
        ),
        (
            "queues",
            json!([{"name": "q", "vhost": "shop", "arguments": {"x-max-length": -1}}]),
            "invalid arg 'x-max-length' for queue 'q' in vhost 'shop': {value_negative,-1}",
        ),
        (
            "permissions",
            json!([{"user": "test", "vhost": "nowhere", "configure": "", "write": "", "read": ""}]),
            "Please create virtual host \"nowhere\" prior to importing definitions.",
        ),
        (
            "permissions",
            json!([{"user": "test", "vhost": "shop", "configure": "(", "write": "", "read": ""}]),
            "the permission '(' is not understood",
        ),
        (
            "policies",
            json!([{"vhost": "shop", "name": "p", "pattern": "", "definition": {"x": 1}}]),
            "[{<<\"x\">>,1}] are not recognised policy settings\n (vhost: \"shop\" / component: \"policy\" / key: \"p\")",
        ),
    ];
    for (member, value, reason) in failing {
        let mut document = document();
        document[member] = value;
        let (status, answer) = api.post("/definitions", document).await;
        assert_eq!(status, 400, "{member}");
        let told = answer["reason"].as_str().unwrap();
        assert!(told.contains(reason), "{told}");
        same(&api.get("/definitions").await, &before);
    }
    let (status, answer) = api.post("/definitions", json!("{}")).await;
    assert_eq!((status, &answer["error"]), (400, &json!("bad_request")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_definitions_of_one_virtual_host_move_to_another() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let mut whole = document();
    whole["users"] = json!([]);
    assert_eq!(api.post("/definitions", whole).await.0, 204);
    let one = api.get("/definitions/shop").await;
    assert_eq!(one["queues"][0].get("vhost"), None);
    assert_eq!(one["original_vhost_name"], "shop");
    assert_eq!(api.put("/vhosts/copy", json!({})).await.0, 201);
    assert_eq!(api.post("/definitions/copy", one.clone()).await.0, 204);
    let copy = api.get("/definitions/copy").await;
    for member in ["parameters", "policies", "queues", "exchanges", "bindings"] {
        assert_eq!(copy[member], one[member], "{member}");
    }
    let (status, body) = api.post("/definitions/none", one).await;
    assert_eq!((status, &body["reason"]), (404, &json!("vhost_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start_managed(directory.path());
    let api = Api::at(process.management.unwrap());
    let mut whole = document();
    whole["users"] = json!([]);
    assert_eq!(api.post("/definitions", whole).await.0, 204);
    assert_eq!(api.put("/vhosts/gone", json!({})).await.0, 201);
    assert_eq!(api.delete("/vhosts/gone").await.0, 204);
    let user = json!({"password": "p", "tags": "", "limits": {"max-connections": 3}});
    assert_eq!(api.put("/users/u", user).await.0, 201);
    let before = api.get("/definitions").await;
    drop(process);
    let process = Process::start_managed(directory.path());
    let api = Api::at(process.management.unwrap());
    same(&api.get("/definitions").await, &before);
}
