//! A repeated CreateBroker makes one broker, however the repetition comes about.

use serde_json::json;

use crate::server::{Server, broker};

#[tokio::test]
async fn a_replay_answers_with_the_same_broker() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["creatorRequestId"] = json!("token-1");
    let first = server
        .post("CreateBroker", "/v1/brokers", &request)
        .await
        .ok();
    let second = server
        .post("CreateBroker", "/v1/brokers", &request)
        .await
        .ok();
    assert_eq!(first, second);
}

#[tokio::test]
async fn replays_at_once_make_one_broker() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["creatorRequestId"] = json!("token-1");
    let calls = (0..12).map(|_| server.post("CreateBroker", "/v1/brokers", &request));
    let answers = futures_util::future::join_all(calls).await;
    let ids: std::collections::BTreeSet<String> = answers
        .into_iter()
        .map(|answer| answer.ok()["brokerId"].to_string())
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(server.count("brokers").await, 1);
    assert_eq!(server.count("jobs").await, 1);
    assert_eq!(server.count("configurations").await, 1);
}

#[tokio::test]
async fn a_token_used_for_another_request_is_a_conflict() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["creatorRequestId"] = json!("token-1");
    server.create(&request).await;
    request["brokerName"] = json!("invoices");
    let answer = server.post("CreateBroker", "/v1/brokers", &request).await;
    answer.is_error(409, "ConflictException");
}

#[tokio::test]
async fn a_taken_name_is_a_conflict_within_the_account_only() {
    let server = Server::start().await;
    server.create(&broker("orders")).await;
    let body = server
        .post("CreateBroker", "/v1/brokers", &broker("orders"))
        .await
        .is_error(409, "ConflictException");
    assert_eq!(body["errorAttribute"], json!("brokerName"));
    assert_eq!(
        body["message"],
        json!("Broker name [orders] already exists. Retry your request with another name.")
    );

    let other = server
        .send(
            &server.stranger,
            "POST",
            "/v1/brokers",
            "",
            broker("orders").to_string().as_bytes(),
        )
        .await;
    other.ok();
}

#[tokio::test]
async fn the_same_name_at_once_goes_to_one_caller() {
    let server = Server::start().await;
    let request = broker("orders");
    let calls = (0..8).map(|_| server.post("CreateBroker", "/v1/brokers", &request));
    let answers = futures_util::future::join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 7));
    for answer in lost {
        answer.is_error(409, "ConflictException");
    }
}
