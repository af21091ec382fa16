//! Tags, whose resource is an ARN in the path.

use serde_json::json;

use crate::server::{Server, broker};
use crate::signer::encode;

#[tokio::test]
async fn tags_are_merged_listed_and_removed() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["tags"] = json!({"team": "blue", "stage": "test"});
    let created = server
        .post("CreateBroker", "/v1/brokers", &request)
        .await
        .ok();
    let arn = created["brokerArn"].as_str().expect("an ARN");
    let path = format!("/v1/tags/{}", encode(arn, false));

    let change = json!({"tags": {"stage": "live", "Cost Center": "a/b"}});
    assert_eq!(server.post("CreateTags", &path, &change).await.status, 204);
    let listed = server.get("ListTags", &path, "").await.ok();
    assert_eq!(
        listed,
        json!({"tags": {"team": "blue", "stage": "live", "Cost Center": "a/b"}})
    );

    let removal = server
        .delete("DeleteTags", &path, "tagKeys=stage&tagKeys=Cost%20Center")
        .await;
    assert_eq!(removal.status, 204);
    let listed = server.get("ListTags", &path, "").await.ok();
    assert_eq!(listed, json!({"tags": {"team": "blue"}}));
    let id = created["brokerId"].as_str().expect("an id");
    assert_eq!(server.describe(id).await["tags"], json!({"team": "blue"}));
}

#[tokio::test]
async fn a_configuration_has_tags_too() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let configuration = server.describe(&id).await["configurations"]["current"]["id"].clone();
    let arn = format!(
        "arn:aws:mq:us-east-1:{}:configuration:{}",
        server.account,
        configuration.as_str().expect("an id")
    );
    let path = format!("/v1/tags/{}", encode(&arn, false));
    assert_eq!(
        server
            .post("CreateTags", &path, &json!({"tags": {"a": "b"}}))
            .await
            .status,
        204
    );
    assert_eq!(
        server.get("ListTags", &path, "").await.ok(),
        json!({"tags": {"a": "b"}})
    );
}

#[tokio::test]
async fn an_unknown_resource_is_not_found() {
    let server = Server::start().await;
    let arn = format!(
        "arn:aws:mq:us-east-1:{}:broker:x:b-00000000-0000-4000-8000-000000000000",
        server.account
    );
    let path = format!("/v1/tags/{}", encode(&arn, false));
    server
        .get("ListTags", &path, "")
        .await
        .is_error(404, "NotFoundException");
    server
        .post("CreateTags", &path, &json!({"tags": {"a": "b"}}))
        .await
        .is_error(404, "NotFoundException");
    server
        .delete("DeleteTags", &path, "tagKeys=a")
        .await
        .is_error(404, "NotFoundException");
}

#[tokio::test]
async fn more_than_fifty_tags_are_refused_as_a_whole() {
    let server = Server::start().await;
    let created = server
        .post("CreateBroker", "/v1/brokers", &broker("orders"))
        .await
        .ok();
    let path = format!(
        "/v1/tags/{}",
        encode(created["brokerArn"].as_str().expect("an ARN"), false)
    );
    let many: serde_json::Map<_, _> = (0..51)
        .map(|number| (format!("k{number}"), json!("v")))
        .collect();
    server
        .post("CreateTags", &path, &json!({"tags": many}))
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(
        server.get("ListTags", &path, "").await.ok(),
        json!({"tags": {}})
    );
}
