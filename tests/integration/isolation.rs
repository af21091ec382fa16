//! Accounts and regions: what one cannot see of another.

use serde_json::json;

use crate::server::{Server, broker};
use crate::signer::encode;

#[tokio::test]
async fn another_account_finds_nothing_to_act_on() {
    let server = Server::start().await;
    let created = server
        .post("CreateBroker", "/v1/brokers", &broker("orders"))
        .await
        .ok();
    let id = created["brokerId"].as_str().expect("an id");
    let path = format!("/v1/brokers/{id}");
    server.settle(id).await;
    let before = server.describe(id).await;

    let listed = server
        .send(&server.stranger, "GET", "/v1/brokers", "", b"")
        .await
        .ok();
    assert_eq!(listed, json!({"brokerSummaries": []}));
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", path.clone()),
        ("POST", format!("{path}/reboot")),
    ] {
        let answer = server.send(&server.stranger, method, &path, "", b"").await;
        answer.is_error(404, "NotFoundException");
    }
    let tags = format!(
        "/v1/tags/{}",
        encode(created["brokerArn"].as_str().expect("an ARN"), false)
    );
    let calls: [(&str, &str, &[u8]); 3] = [
        ("GET", "", b""),
        ("POST", "", b"{\"tags\":{\"a\":\"b\"}}"),
        ("DELETE", "tagKeys=a", b""),
    ];
    for (method, query, body) in calls {
        let answer = server
            .send(&server.stranger, method, &tags, query, body)
            .await;
        assert!(
            [(403, "AccessDeniedException"), (404, "NotFoundException")]
                .contains(&(answer.status, answer.error_type())),
            "{method}: {}",
            answer.text
        );
    }
    assert_eq!(server.describe(id).await, before);
}

#[tokio::test]
async fn no_operation_finds_a_resource_of_another_account() {
    let server = Server::start().await;
    let created = server
        .post("CreateBroker", "/v1/brokers", &broker("orders"))
        .await
        .ok();
    let id = created["brokerId"].as_str().expect("an id");
    let arn = created["brokerArn"].as_str().expect("an ARN");
    server.settle(id).await;
    let before = server.describe(id).await;
    let configuration = before["configurations"]["current"]["id"].clone();
    let labels = [
        ("{broker-id}", id.to_owned()),
        ("{username}", "operator".to_owned()),
        ("{resource-arn}", encode(arn, false)),
        (
            "{configuration-id}",
            configuration.as_str().expect("an id").to_owned(),
        ),
        ("{configuration-revision}", "1".to_owned()),
    ];
    let mut asked = 0;
    for (method, path, operation) in warren::api::ROUTES {
        if !path.contains('{') {
            continue;
        }
        let path = labels
            .iter()
            .fold((*path).to_owned(), |path, (label, value)| {
                path.replace(label, value)
            });
        let query = if *operation == "DeleteTags" {
            "tagKeys=a"
        } else {
            ""
        };
        let answer = server
            .send(&server.stranger, method, &path, query, b"{}")
            .await;
        assert_eq!(
            (answer.status, answer.error_type()),
            (404, "NotFoundException"),
            "{operation}: {}",
            answer.text
        );
        asked += 1;
    }
    assert!(asked >= 19, "{asked}");
    assert_eq!(server.describe(id).await, before);
}

#[tokio::test]
async fn a_page_token_opens_nothing_for_another_account() {
    let server = Server::start().await;
    for number in 0..2 {
        server.create(&broker(&format!("b{number}"))).await;
    }
    let page = server
        .get("ListBrokers", "/v1/brokers", "maxResults=1")
        .await
        .ok();
    let token = encode(page["nextToken"].as_str().expect("a token"), false);
    let answer = server
        .send(
            &server.stranger,
            "GET",
            "/v1/brokers",
            &format!("nextToken={token}"),
            b"",
        )
        .await;
    assert!(answer.status == 400 || answer.ok() == json!({"brokerSummaries": []}));
}

#[tokio::test]
async fn every_change_is_audited_with_its_caller() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    server
        .delete("DeleteBroker", &format!("/v1/brokers/{id}"), "")
        .await
        .ok();
    assert_eq!(
        server.audited().await,
        ["mq:CreateBroker", "mq:DeleteBroker"]
    );
}
