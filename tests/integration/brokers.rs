//! Create, describe, list, reboot and delete, as a client sees them.

use serde_json::{Value, json};

use crate::server::{Server, broker};

#[tokio::test]
async fn a_new_broker_is_described_with_what_was_asked() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["tags"] = json!({"team": "blue"});
    request["engineType"] = json!("rabbitmq");
    request["deploymentMode"] = json!("single_instance");
    let created = server
        .post("CreateBroker", "/v1/brokers", &request)
        .await
        .ok();
    let id = created["brokerId"].as_str().expect("an id");
    let arn = format!("arn:aws:mq:us-east-1:{}:broker:orders:{id}", server.account);
    assert_eq!(created, json!({"brokerId": id, "brokerArn": arn}));

    let found = server
        .get("DescribeBroker", &format!("/v1/brokers/{id}"), "")
        .await
        .ok();
    let configuration = found["configurations"]["current"]["id"].clone();
    let expected = [
        ("brokerArn", json!(arn)),
        ("brokerName", json!("orders")),
        ("brokerState", json!("CREATION_IN_PROGRESS")),
        ("brokerInstances", json!([])),
        ("engineType", json!("RabbitMQ")),
        ("engineVersion", json!("4.2")),
        ("deploymentMode", json!("SINGLE_INSTANCE")),
        ("hostInstanceType", json!("mq.m7g.medium")),
        ("authenticationStrategy", json!("simple")),
        ("storageType", json!("ebs")),
        ("dataReplicationMode", json!("NONE")),
        ("autoMinorVersionUpgrade", json!(true)),
        ("publiclyAccessible", json!(false)),
        ("encryptionOptions", json!({"useAwsOwnedKey": true})),
        ("tags", json!({"team": "blue"})),
        ("users", json!([{"username": "operator"}])),
    ];
    for (member, value) in expected {
        assert_eq!(found[member], value, "{member}");
    }
    assert!(
        configuration
            .as_str()
            .is_some_and(|id| id.starts_with("c-")),
        "{found}"
    );
    assert_eq!(found["logs"]["general"], json!(false));
    assert_eq!(
        found["logs"].get("audit"),
        None,
        "RabbitMQ has no audit log"
    );
    assert_eq!(
        found["maintenanceWindowStartTime"]["timeZone"],
        json!("UTC")
    );
    assert!(
        found["subnetIds"]
            .as_array()
            .is_some_and(|subnets| !subnets.is_empty())
    );
    assert!(found["securityGroups"].as_array().is_none_or(Vec::is_empty));
    assert!(
        !found.to_string().contains("correct-horse"),
        "a password is never answered"
    );
}

#[tokio::test]
async fn every_engine_is_spelled_as_clients_compare_it() {
    let server = Server::start().await;
    for (asked, version, answered) in [
        ("RABBITMQ", "3.13", "RabbitMQ"),
        ("lavinmq", "2.9", "LavinMQ"),
    ] {
        let mut request = broker(&format!("engine-{answered}"));
        request["engineType"] = json!(asked);
        request["engineVersion"] = json!(version);
        let id = server.create(&request).await;
        let found = server.describe(&id).await;
        assert_eq!(
            (&found["engineType"], &found["engineVersion"]),
            (&json!(answered), &json!(version))
        );
    }
}

#[tokio::test]
async fn a_list_is_paged_to_its_end() {
    let server = Server::start().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        expected.push(server.create(&broker(&format!("b{number}"))).await);
    }
    let mut found = Vec::new();
    let mut query = "maxResults=3".to_owned();
    let mut pages = 0;
    loop {
        let page = server.get("ListBrokers", "/v1/brokers", &query).await.ok();
        pages += 1;
        for summary in page["brokerSummaries"].as_array().expect("a list") {
            found.push(summary["brokerId"].as_str().expect("an id").to_owned());
        }
        let Some(token) = page.get("nextToken") else {
            break;
        };
        let token = token.as_str().expect("a token is a string");
        assert!(!token.is_empty());
        query = format!(
            "maxResults=3&nextToken={}",
            crate::signer::encode(token, false)
        );
    }
    assert_eq!(pages, 3);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let all = server.get("ListBrokers", "/v1/brokers", "").await.ok();
    assert_eq!(all["brokerSummaries"].as_array().map(Vec::len), Some(7));
    assert_eq!(all.get("nextToken"), None);
    for query in [
        "maxResults=0",
        "maxResults=101",
        "maxResults=x",
        "nextToken=garbage",
    ] {
        let refused = server.get("ListBrokers", "/v1/brokers", query).await;
        refused.is_error(400, "BadRequestException");
    }
}

#[tokio::test]
async fn a_page_of_exactly_all_has_no_token() {
    let server = Server::start().await;
    for number in 0..2 {
        server.create(&broker(&format!("b{number}"))).await;
    }
    let page = server
        .get("ListBrokers", "/v1/brokers", "maxResults=2")
        .await
        .ok();
    assert_eq!(page["brokerSummaries"].as_array().map(Vec::len), Some(2));
    assert_eq!(page.get("nextToken"), None);
}

#[tokio::test]
async fn a_reboot_flips_the_state_before_it_answers() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let reboot = format!("/v1/brokers/{id}/reboot");
    let early = server.post("RebootBroker", &reboot, &Value::Null).await;
    early.is_error(400, "BadRequestException");

    server.settle(&id).await;
    assert_eq!(server.describe(&id).await["brokerState"], json!("RUNNING"));
    let answer = server
        .post("RebootBroker", &reboot, &Value::Null)
        .await
        .ok();
    assert_eq!(answer, json!({}));
    assert_eq!(
        server.describe(&id).await["brokerState"],
        json!("REBOOT_IN_PROGRESS")
    );
    let again = server.post("RebootBroker", &reboot, &Value::Null).await;
    again.is_error(400, "BadRequestException");
}

#[tokio::test]
async fn a_deletion_flips_the_state_before_it_answers_and_can_be_repeated() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let path = format!("/v1/brokers/{id}");
    for _ in 0..2 {
        let answer = server.delete("DeleteBroker", &path, "").await.ok();
        assert_eq!(answer, json!({"brokerId": id}));
        assert_eq!(
            server.describe(&id).await["brokerState"],
            json!("DELETION_IN_PROGRESS")
        );
    }
    let listed = server.get("ListBrokers", "/v1/brokers", "").await.ok();
    assert_eq!(
        listed["brokerSummaries"][0]["brokerState"],
        json!("DELETION_IN_PROGRESS")
    );
}

#[tokio::test]
async fn an_unknown_broker_is_not_found_by_any_operation() {
    let server = Server::start().await;
    for id in ["b-00000000-0000-4000-8000-000000000000", "nonsense"] {
        let path = format!("/v1/brokers/{id}");
        for answer in [
            server.get("DescribeBroker", &path, "").await,
            server.delete("DeleteBroker", &path, "").await,
            server
                .post("RebootBroker", &format!("{path}/reboot"), &Value::Null)
                .await,
        ] {
            let body = answer.is_error(404, "NotFoundException");
            let message =
                format!("Can't find requested broker [{id}]. Make sure your broker exists.");
            assert_eq!(
                body,
                json!({"errorAttribute": "broker-id", "message": message})
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_operation_is_refused_in_the_same_form() {
    let server = Server::start().await;
    for (method, path) in [
        ("GET", "/v2/brokers"),
        ("PATCH", "/v1/brokers"),
        ("GET", "/v1"),
        ("GET", "/v1/brokers/"),
    ] {
        let answer = server.send(&server.key, method, path, "", b"").await;
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path}: {}",
            answer.status
        );
        assert!(
            answer.headers.contains_key("x-amzn-errortype"),
            "{method} {path}"
        );
        let body: Value = serde_json::from_str(&answer.text).expect("errors are JSON");
        assert!(body["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn health_needs_no_signature() {
    let server = Server::start().await;
    let answer = server.unsigned("GET", "/health").await;
    assert_eq!(answer.status, 200);
}
