//! Configurations: revisions that never change, and use that keeps them from being deleted.

use serde_json::{Value, json};

use crate::server::{Answer, Server, broker};
use crate::signer::encode;

const HEARTBEAT: &str = "IyB3aHkKaGVhcnRiZWF0ID0gNjAK";

async fn make(server: &Server, name: &str) -> Value {
    let request = json!({
        "name": name,
        "engineType": "RABBITMQ",
        "engineVersion": "3.13",
        "tags": {"team": "blue"},
    });
    server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .ok()
}

fn path(configuration: &Value) -> String {
    format!(
        "/v1/configurations/{}",
        configuration["id"].as_str().expect("an id")
    )
}

#[tokio::test]
async fn a_configuration_starts_with_the_engines_defaults() {
    let server = Server::start().await;
    let made = make(&server, "orders.v1~x").await;
    let id = made["id"].as_str().expect("an id");
    let description = "Auto-generated default for orders.v1~x on RabbitMQ 3.13";
    assert_eq!(made["name"], json!("orders.v1~x"));
    assert_eq!(made["authenticationStrategy"], json!("simple"));
    assert_eq!(made["latestRevision"]["revision"], json!(1));
    assert_eq!(made["latestRevision"]["description"], json!(description));
    assert_eq!(
        made["arn"],
        json!(format!(
            "arn:aws:mq:us-east-1:{}:configuration:{id}",
            server.account
        ))
    );

    let path = path(&made);
    let found = server.get("DescribeConfiguration", &path, "").await.ok();
    let expected = json!({
        "arn": made["arn"],
        "authenticationStrategy": "simple",
        "created": made["created"],
        "description": description,
        "engineType": "RabbitMQ",
        "engineVersion": "3.13",
        "id": id,
        "latestRevision": made["latestRevision"],
        "name": "orders.v1~x",
        "tags": {"team": "blue"},
    });
    assert_eq!(found, expected);
    let listed = server
        .get("ListConfigurations", "/v1/configurations", "")
        .await
        .ok();
    assert_eq!(
        listed,
        json!({"configurations": [expected], "maxResults": 20})
    );
    let revision = server
        .get(
            "DescribeConfigurationRevision",
            &format!("{path}/revisions/1"),
            "",
        )
        .await
        .ok();
    assert!(
        revision["data"]
            .as_str()
            .is_some_and(|data| !data.is_empty())
    );
}

#[tokio::test]
async fn every_update_is_a_revision_whose_data_comes_back_byte_for_byte() {
    let server = Server::start().await;
    let made = make(&server, "orders").await;
    let path = path(&made);
    let contents = [
        (HEARTBEAT.to_owned(), Some("Beat faster")),
        ("IyB3aHkK\naGVhcnRiZWF0\r\nID0gNjAK\n".to_owned(), None),
        (String::new(), Some("Über nothing")),
    ];
    for (index, (data, description)) in contents.iter().enumerate() {
        let mut request = json!({"data": data});
        if let Some(description) = description {
            request["description"] = json!(description);
        }
        let updated = server
            .put("UpdateConfiguration", &path, &request)
            .await
            .ok();
        let latest = &updated["latestRevision"];
        assert_eq!(latest["revision"], json!(index + 2));
        assert_eq!(
            latest.get("description"),
            description.map(|d| json!(d)).as_ref()
        );
        assert_eq!(updated["warnings"], json!([]));
    }
    for (index, (data, _)) in contents.iter().enumerate() {
        let revision = format!("{path}/revisions/{}", index + 2);
        let found = server
            .get("DescribeConfigurationRevision", &revision, "")
            .await
            .ok();
        assert_eq!(found["data"], json!(data));
        assert_eq!(found["configurationId"], made["id"]);
    }
    let mut numbers = Vec::new();
    let mut query = "maxResults=3".to_owned();
    loop {
        let page = server
            .get(
                "ListConfigurationRevisions",
                &format!("{path}/revisions"),
                &query,
            )
            .await
            .ok();
        assert_eq!(page["configurationId"], made["id"]);
        let revisions = page["revisions"].as_array().expect("a list");
        numbers.extend(
            revisions
                .iter()
                .map(|revision| revision["revision"].clone()),
        );
        let Some(token) = page["nextToken"].as_str() else {
            break;
        };
        query = format!("maxResults=3&nextToken={}", encode(token, false));
    }
    assert_eq!(numbers, [json!(1), json!(2), json!(3), json!(4)]);
    assert_eq!(
        server.audited().await,
        [
            "mq:CreateConfiguration",
            "mq:UpdateConfiguration",
            "mq:UpdateConfiguration",
            "mq:UpdateConfiguration"
        ]
    );
}

#[tokio::test]
async fn data_that_the_engine_would_not_take_is_refused_with_the_reason() {
    let server = Server::start().await;
    let made = make(&server, "orders").await;
    for (data, message) in [
        (
            // heartbeat = 5
            "aGVhcnRiZWF0ID0gNQ==",
            "Value [5] of configuration key [heartbeat] in line [1] is invalid. \
             Valid values: [60-3600].",
        ),
        (
            // vm_memory_high_watermark.relative = 0.9
            "dm1fbWVtb3J5X2hpZ2hfd2F0ZXJtYXJrLnJlbGF0aXZlID0gMC45",
            "Configuration key [vm_memory_high_watermark.relative] in line [1] is not supported \
             for broker engine type [RABBITMQ] version [3.13]. Valid keys are: \
             [consumer_timeout, heartbeat, \
             management.restrictions.operator_policy_changes.disabled, \
             quorum_queue.property_equivalence.relaxed_checks_on_redeclaration, \
             secure.management.http.headers.enabled], and those of OAuth 2.0.",
        ),
        (
            "heartbeat = 60",
            "The configuration data must be base64 encoded.",
        ),
        (
            "PGJyb2tlci8+",
            "Line [1] of the configuration is invalid. Specify settings in the format \
             [key = value].",
        ),
    ] {
        let refused = server
            .put("UpdateConfiguration", &path(&made), &json!({"data": data}))
            .await
            .is_error(400, "BadRequestException");
        assert_eq!(
            refused,
            json!({"errorAttribute": "data", "message": message})
        );
    }
    let missing = server
        .put("UpdateConfiguration", &path(&made), &json!({}))
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(missing["errorAttribute"], json!("data"));
    assert_eq!(server.count("configuration_revisions").await, 1);
}

#[tokio::test]
async fn a_configuration_in_use_is_not_deleted() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    server.settle(&id).await;
    let current = server.describe(&id).await["configurations"]["current"].clone();
    let mut request = json!({"name": "next", "engineType": "RABBITMQ"});
    let next = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .ok();
    let change = json!({"configuration": {"id": next["id"]}});
    server
        .put("UpdateBroker", &format!("/v1/brokers/{id}"), &change)
        .await
        .ok();
    // The one that runs, and the one that will.
    for used in [&current, &next] {
        let refused = server.delete("DeleteConfiguration", &path(used), "").await;
        let refused = refused.is_error(409, "ConflictException");
        let name = used["id"].as_str().expect("an id");
        assert_eq!(
            refused,
            json!({
                "errorAttribute": "configuration_id",
                "message": format!(
                    "Configuration [{name}] is in use by broker [{id}] and can't be deleted."
                ),
            })
        );
    }
    request["name"] = json!("unused");
    request["tags"] = json!({"a": "b"});
    let unused = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .ok();
    let deleted = server
        .delete("DeleteConfiguration", &path(&unused), "")
        .await
        .ok();
    assert_eq!(deleted, json!({"configurationId": unused["id"]}));
    server
        .delete("DeleteConfiguration", &path(&unused), "")
        .await
        .is_error(404, "NotFoundException");
    assert_eq!(server.count("tags").await, 0);
}

#[tokio::test]
async fn a_name_is_given_once() {
    let server = Server::start().await;
    make(&server, "orders").await;
    let request = json!({"name": "orders", "engineType": "RabbitMQ"});
    let refused = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .is_error(409, "ConflictException");
    assert_eq!(
        refused,
        json!({
            "errorAttribute": "name",
            "message": "Configuration name [orders] already exists. \
                        Retry your request with another name.",
        })
    );
    for (member, value) in [
        ("name", json!("with space")),
        ("name", json!("")),
        ("engineType", json!("KAFKA")),
        ("engineVersion", json!("3.8")),
        ("authenticationStrategy", json!("MAGIC")),
    ] {
        let mut request = json!({"name": "other", "engineType": "RABBITMQ"});
        request[member] = value;
        let refused = server
            .post("CreateConfiguration", "/v1/configurations", &request)
            .await
            .is_error(400, "BadRequestException");
        assert_eq!(refused["errorAttribute"], json!(member));
    }
}

#[tokio::test]
async fn calls_at_once_leave_one_name_and_no_gap() {
    let server = Server::start().await;
    let body = json!({"name": "orders", "engineType": "RABBITMQ"}).to_string();
    let create = || {
        server.send(
            &server.key,
            "POST",
            "/v1/configurations",
            "",
            body.as_bytes(),
        )
    };
    let answers = futures_util::future::join_all((0..6).map(|_| create())).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert_eq!(made.len(), 1);
    for answer in refused {
        answer.is_error(409, "ConflictException");
    }

    let path = path(&made[0].ok());
    let body = json!({"data": HEARTBEAT}).to_string();
    let update = || server.send(&server.key, "PUT", &path, "", body.as_bytes());
    let answers = futures_util::future::join_all((0..6).map(|_| update())).await;
    let number = |answer: &Answer| answer.ok()["latestRevision"]["revision"].as_i64();
    let mut numbers: Vec<_> = answers.iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn the_default_of_a_broker_may_share_its_name_with_that_of_an_earlier_one() {
    let server = Server::start().await;
    make(&server, "orders-configuration").await;
    server.create(&broker("orders")).await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let server = Server::start().await;
    let made = make(&server, "orders").await;
    let unknown = "/v1/configurations/c-00000000-0000-4000-8000-000000000000";
    for missing in [
        server.get("DescribeConfiguration", unknown, "").await,
        server
            .get(
                "ListConfigurationRevisions",
                &format!("{unknown}/revisions"),
                "",
            )
            .await,
        server
            .get(
                "DescribeConfigurationRevision",
                &format!("{unknown}/revisions/1"),
                "",
            )
            .await,
        server
            .put("UpdateConfiguration", unknown, &json!({"data": HEARTBEAT}))
            .await,
    ] {
        let missing = missing.is_error(404, "NotFoundException");
        assert_eq!(missing["errorAttribute"], json!("configuration_id"));
    }
    let revisions = format!("{}/revisions", path(&made));
    server
        .get(
            "DescribeConfigurationRevision",
            &format!("{revisions}/2"),
            "",
        )
        .await
        .is_error(404, "NotFoundException");
    server
        .get(
            "DescribeConfigurationRevision",
            &format!("{revisions}/latest"),
            "",
        )
        .await
        .is_error(400, "BadRequestException");
    let stranger = server
        .send(&server.stranger, "GET", &path(&made), "", b"")
        .await;
    stranger.is_error(404, "NotFoundException");
}

#[tokio::test]
async fn three_hundred_revisions_are_the_most() {
    let server = Server::start().await;
    let made = make(&server, "orders").await;
    let path = path(&made);
    let request = json!({"data": HEARTBEAT});
    for revision in 2..=300 {
        let body = request.to_string();
        let updated = server
            .send(&server.key, "PUT", &path, "", body.as_bytes())
            .await
            .ok();
        assert_eq!(updated["latestRevision"]["revision"], json!(revision));
    }
    let refused = server
        .put("UpdateConfiguration", &path, &request)
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(
        refused["message"],
        json!("The maximum number of revisions of a configuration, [300], is reached.")
    );
}
