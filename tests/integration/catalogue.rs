//! What brokers there can be, what is shared with them, and promotion.

use serde_json::{Value, json};

use crate::server::{Server, broker};
use crate::signer::encode;

#[tokio::test]
async fn engine_types_and_their_versions_are_listed_in_upper_case() {
    let server = Server::start().await;
    let ask = async |query: &str| {
        server
            .get(
                "DescribeBrokerEngineTypes",
                "/v1/broker-engine-types",
                query,
            )
            .await
    };
    let all = ask("").await.ok();
    let lavinmq = json!({"engineType": "LAVINMQ", "engineVersions": [{"name": "2.9"}]});
    let rabbitmq = json!({
        "engineType": "RABBITMQ",
        "engineVersions": [{"name": "4.2"}, {"name": "3.13"}],
    });
    let expected = json!({"brokerEngineTypes": [lavinmq, rabbitmq], "maxResults": 20});
    assert_eq!(all, expected);

    let one = ask("engineType=RabbitMQ").await.ok();
    assert_eq!(one["brokerEngineTypes"], json!([rabbitmq]));
    let none = ask("engineType=ACTIVEMQ").await.ok();
    assert_eq!(none["brokerEngineTypes"], json!([]));
    let refused = ask("engineType=KAFKA")
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(
        refused["message"],
        json!("Broker engine type [KAFKA] is invalid. Valid values are: [LAVINMQ, RABBITMQ].")
    );

    let first = ask("maxResults=1").await.ok();
    assert_eq!(first["brokerEngineTypes"], json!([lavinmq]));
    let token = encode(first["nextToken"].as_str().expect("a token"), false);
    let last = ask(&format!("maxResults=1&nextToken={token}")).await.ok();
    assert_eq!(last["brokerEngineTypes"], json!([rabbitmq]));
    assert_eq!(last.get("nextToken"), None);
}

#[tokio::test]
async fn instance_options_are_paged_and_filtered() {
    let server = Server::start().await;
    let path = "/v1/broker-instance-options";
    let mut found = Vec::new();
    let mut query = "engineType=RABBITMQ&maxResults=5".to_owned();
    loop {
        let page = server
            .get("DescribeBrokerInstanceOptions", path, &query)
            .await
            .ok();
        let options = page["brokerInstanceOptions"].as_array().expect("a list");
        assert!(options.len() <= 5);
        found.extend(options.clone());
        let Some(token) = page["nextToken"].as_str() else {
            break;
        };
        let token = encode(token, false);
        query = format!("engineType=RABBITMQ&maxResults=5&nextToken={token}");
    }
    let names: Vec<_> = found
        .iter()
        .map(|option| &option["hostInstanceType"])
        .collect();
    assert_eq!(names.len(), 13, "{names:?}");
    assert_eq!(found[0]["hostInstanceType"], json!("mq.t3.micro"));

    let one = "engineType=RABBITMQ&hostInstanceType=mq.m7g.large&storageType=EBS";
    let one = server
        .get("DescribeBrokerInstanceOptions", path, one)
        .await
        .ok();
    let zones = ["a", "b", "c"].map(|zone| json!({"name": format!("us-east-1{zone}")}));
    assert_eq!(
        one["brokerInstanceOptions"],
        json!([{
            "availabilityZones": zones,
            "engineType": "RABBITMQ",
            "hostInstanceType": "mq.m7g.large",
            "storageType": "EBS",
            "supportedDeploymentModes": ["SINGLE_INSTANCE"],
            "supportedEngineVersions": ["4.2", "3.13"],
        }])
    );
    for nothing in ["storageType=EFS", "hostInstanceType=mq.z9.huge"] {
        let none = server
            .get("DescribeBrokerInstanceOptions", path, nothing)
            .await
            .ok();
        assert_eq!(none["brokerInstanceOptions"], json!([]), "{nothing}");
    }
    for query in [
        "storageType=TAPE",
        "engineType=x",
        "nextToken=x",
        "maxResults=0",
    ] {
        let refused = server
            .get("DescribeBrokerInstanceOptions", path, query)
            .await;
        refused.is_error(400, "BadRequestException");
    }
}

#[tokio::test]
async fn nothing_is_shared_with_a_broker() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let path = format!("/v1/brokers/{id}/shared-resources");
    let none = server.get("DescribeSharedResources", &path, "").await.ok();
    assert_eq!(none, json!({"sharedResources": []}));
    server
        .get("DescribeSharedResources", &path, "nextToken=x")
        .await
        .is_error(400, "BadRequestException");
    let unknown = "/v1/brokers/b-00000000-0000-4000-8000-000000000000/shared-resources";
    server
        .get("DescribeSharedResources", unknown, "")
        .await
        .is_error(404, "NotFoundException");
}

#[tokio::test]
async fn no_broker_can_be_promoted() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let path = format!("/v1/brokers/{id}/promote");
    let refusals = [
        (
            json!({"mode": "switchover"}),
            "broker-id",
            format!(
                "Broker [{id}] can't be promoted. Data replication mode [CRDR] is not supported \
                 for engine type [RABBITMQ]."
            ),
        ),
        (
            json!({"mode": "SOMEHOW"}),
            "mode",
            "Promote mode [SOMEHOW] is invalid. Valid values are: [SWITCHOVER, FAILOVER]."
                .to_owned(),
        ),
        (Value::Null, "mode", "[mode] is required.".to_owned()),
    ];
    for (body, attribute, message) in refusals {
        let refused = server.post("Promote", &path, &body).await;
        let refused = refused.is_error(400, "BadRequestException");
        assert_eq!(
            refused,
            json!({"errorAttribute": attribute, "message": message})
        );
    }
    let unknown = "/v1/brokers/b-00000000-0000-4000-8000-000000000000/promote";
    server
        .post("Promote", unknown, &json!({"mode": "FAILOVER"}))
        .await
        .is_error(404, "NotFoundException");
}
