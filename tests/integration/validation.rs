//! What CreateBroker refuses, word for word: people search for these sentences.

use serde_json::{Value, json};

use crate::server::{Server, broker};

/// The change to a good request, and the attribute and message it is refused with.
fn refusals() -> Vec<(Value, &'static str, &'static str)> {
    let user =
        |name: &str, password: &str| json!({"users": [{"username": name, "password": password}]});
    vec![
        (
            json!({"engineType": "KAFKA"}),
            "engineType",
            "Broker engine type [KAFKA] is invalid. Valid values are: [LAVINMQ, RABBITMQ].",
        ),
        (
            json!({"engineType": "ACTIVEMQ", "engineVersion": "5.18"}),
            "engineType",
            "Broker engine type [ACTIVEMQ] is not available yet. Valid values are: [LAVINMQ, RABBITMQ].",
        ),
        (
            json!({"engineVersion": "3.8"}),
            "engineVersion",
            "Broker engine version [3.8] is invalid for broker engine type [RABBITMQ]. Valid values: [4.2, 3.13].",
        ),
        (
            json!({"deploymentMode": "CLUSTER_MULTI_AZ"}),
            "deploymentMode",
            "Deployment mode [CLUSTER_MULTI_AZ] is not available yet. Valid values are: [SINGLE_INSTANCE].",
        ),
        (
            json!({"users": []}),
            "users",
            "Specify exactly one user for engine type [RABBITMQ].",
        ),
        (
            user("guest", "correct-horse-battery"),
            "username",
            "Username [guest] is prohibited.",
        ),
        (
            user("operator", "short"),
            "password",
            "Password is invalid. It must be 12-250 characters long.",
        ),
        (
            user("operator", "aaaabbbbcccc"),
            "password",
            "Password is invalid. It must contain at least 4 unique characters.",
        ),
        (
            user("operator", "correct,horse,battery"),
            "password",
            "Password is invalid. It must not contain commas, colons, or equal signs (,:=).",
        ),
        (
            json!({"logs": {"audit": true}}),
            "logs",
            "Audit logging is not supported for RabbitMQ brokers.",
        ),
        (
            json!({"subnetIds": ["subnet-1", "subnet-2"]}),
            "subnetIds",
            "Specify a single subnet in [SINGLE_INSTANCE] deployment mode.",
        ),
        (
            json!({"storageType": "EFS"}),
            "storageType",
            "Storage type [EFS] is not supported for engine type [RABBITMQ].",
        ),
    ]
}

#[tokio::test]
async fn each_refusal_names_the_attribute_and_the_reason() {
    let server = Server::start().await;
    for (change, attribute, message) in refusals() {
        let mut request = broker("orders");
        for (member, value) in change.as_object().expect("a change is an object") {
            request[member] = value.clone();
        }
        let body = server
            .post("CreateBroker", "/v1/brokers", &request)
            .await
            .is_error(400, "BadRequestException");
        assert_eq!(
            body,
            json!({"errorAttribute": attribute, "message": message}),
            "{change}"
        );
    }
    let listed = server.get("ListBrokers", "/v1/brokers", "").await.ok();
    assert_eq!(
        listed["brokerSummaries"],
        json!([]),
        "nothing refused leaves a trace"
    );
}

#[tokio::test]
async fn required_members_are_missed_by_name() {
    let server = Server::start().await;
    for member in [
        "brokerName",
        "deploymentMode",
        "engineType",
        "hostInstanceType",
        "publiclyAccessible",
    ] {
        let mut request = broker("orders");
        request
            .as_object_mut()
            .expect("a request is an object")
            .remove(member);
        let body = server
            .post("CreateBroker", "/v1/brokers", &request)
            .await
            .is_error(400, "BadRequestException");
        assert_eq!(body["errorAttribute"], json!(member), "{body}");
    }
}

#[tokio::test]
async fn names_and_instance_types_out_of_range_are_refused() {
    let server = Server::start().await;
    let too_long = "n".repeat(51);
    let changes = [
        ("brokerName", ""),
        ("brokerName", "with space"),
        ("brokerName", &too_long),
        ("hostInstanceType", "db.t3.micro"),
        ("authenticationStrategy", "MAGIC"),
        ("dataReplicationMode", "CRDR"),
    ];
    for (member, value) in changes {
        let mut request = broker("orders");
        request[member] = json!(value);
        let body = server
            .post("CreateBroker", "/v1/brokers", &request)
            .await
            .is_error(400, "BadRequestException");
        assert_eq!(body["errorAttribute"], json!(member), "{body}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let server = Server::start().await;
    let bodies: [&[u8]; 6] = [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{\"brokerName\": 7}",
        b"{\"brokerName\": \"a\", \"users\": \"b\"}",
    ];
    for body in bodies {
        let answer = server
            .send(&server.key, "POST", "/v1/brokers", "", body)
            .await;
        crate::shapes::check("CreateBroker", &answer);
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(["BadRequestException", "SerializationException"].contains(&answer.error_type()));
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let server = Server::start().await;
    let body = vec![b' '; 8 * 1024 * 1024];
    let answer = server
        .send(&server.key, "POST", "/v1/brokers", "", &body)
        .await;
    crate::shapes::check("CreateBroker", &answer);
    answer.is_error(413, "RequestEntityTooLargeException");
}

/// The database keeps it with more digits than can be read back: nobody's log may be lost by it.
#[tokio::test]
async fn a_huge_number_in_a_request_leaves_the_audit_log_readable() {
    let server = Server::start().await;
    let body = br#"{"brokerName": 1.7976931348623157e308, "huge": [-1e308]}"#;
    let answer = server
        .send(&server.key, "POST", "/v1/brokers", "", body)
        .await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    let answer = server
        .send(&server.key, "GET", "/v1/audit-events", "", b"")
        .await;
    assert!(answer.ok()["events"][0]["requestParameters"]["huge"].is_array());
}

/// Postgres has no such character in a text: it must not get as far.
#[tokio::test]
async fn the_zero_character_is_no_servers_error_anywhere() {
    let server = Server::start().await;
    for (method, path, operation) in warren::api::ROUTES {
        let path = path
            .split('/')
            .map(|part| if part.starts_with('{') { "%00" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for name in [
            "maxResults",
            "nextToken",
            "tagKeys",
            "eventName",
            "principalArn",
        ] {
            let query = format!("{name}=%00");
            let answer = server.send(&server.key, method, &path, &query, b"{}").await;
            assert!(answer.status < 500, "{operation}: {}", answer.text);
        }
    }
    for member in [
        "brokerName",
        "engineType",
        "creatorRequestId",
        "tags",
        "users",
    ] {
        let mut request = broker("zero");
        request[member] = match member {
            "tags" => json!({"a": "\0"}),
            "users" => json!([{"username": "\0", "password": "correct-horse-\0battery"}]),
            _ => json!("\0"),
        };
        let answer = server.post("CreateBroker", "/v1/brokers", &request).await;
        assert!(answer.status < 500, "{member}: {}", answer.text);
    }
}
