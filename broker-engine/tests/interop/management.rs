//! The management API as a supervisor and an operator use it.

use reqwest::StatusCode;
use serde_json::json;

use crate::api::{ADMINISTRATOR, Api};
use crate::support::{TestBroker, confirm_mode, declare, publish};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_gets_rabbitmqs_refusal() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let (status, body) = api.see("/overview", ("test", "wrong")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        body,
        json!({"error": "not_authorised", "reason": "Login failed"})
    );
    let (status, _) = api.see("/none", ADMINISTRATOR).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_depths_and_health_are_told() {
    let broker = TestBroker::start().await;
    let (_connection, channel) = broker.channel().await;
    declare(&channel, "q").await;
    confirm_mode(&channel).await;
    publish(&channel, "", "q", b"x").await;
    let api = Api::new(&broker);
    let (_, queue) = api.see("/queues/%2F/q", ADMINISTRATOR).await;
    assert_eq!(
        (&queue["messages"], &queue["durable"]),
        (&json!(1), &json!(true))
    );
    let (_, overview) = api.see("/overview", ADMINISTRATOR).await;
    assert_eq!(overview["object_totals"]["connections"], 1);
    assert_eq!(overview["queue_totals"]["messages"], 1);
    let (status, body) = api.see("/health/checks/alarms", ADMINISTRATOR).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"status": "ok"})));
    let (status, body) = api
        .see("/health/checks/port-listener/1", ADMINISTRATOR)
        .await;
    assert_eq!(
        (status, &body["missing"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_made_over_http_may_do_what_its_tags_and_permissions_say() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let user = json!({"password": "p", "tags": "management"});
    assert_eq!(api.put("/users/eve", user.clone()).await.0, 201);
    assert_eq!(api.put("/users/eve", user).await.0, 204);
    let (status, body) = api.see("/users", ("eve", "p")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["reason"], "Not administrator user");
    let (_, queues) = api.see("/queues", ("eve", "p")).await;
    assert_eq!(queues, json!([]));

    let uri = format!("amqp://eve:p@{}/%2f", broker.address());
    let properties = lapin::ConnectionProperties::default;
    assert!(
        lapin::Connection::connect(&uri, properties())
            .await
            .is_err()
    );
    let permission = json!({"configure": "^own", "write": "", "read": ".*"});
    assert_eq!(api.put("/permissions/%2F/eve", permission).await.0, 201);
    let connection = lapin::Connection::connect(&uri, properties())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    declare(&channel, "own-queue").await;
    let options = lapin::options::QueueDeclareOptions::default();
    let refused = channel
        .queue_declare("other".into(), options, Default::default())
        .await;
    let refusal = refused.unwrap_err().to_string();
    assert!(
        refusal.contains("configure access to queue 'other'"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_uploaded_as_browsers_send_files() {
    let broker = TestBroker::start().await;
    let api = Api::new(&broker);
    let form = |document: &str, next: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"d.json\"\r\n\
             Content-Type: application/json\r\n\r\n{document}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"redirect\"\r\n\r\n{next}\r\n--b--\r\n"
        )
    };
    let document = r#"{"vhosts": [{"name": "uploaded"}]}"#;
    let (status, next) = api
        .upload("/definitions", form(document, "../#/done"))
        .await;
    assert_eq!((status, next.as_deref()), (303, Some("../#/done")));
    assert_eq!(api.get("/vhosts/uploaded").await["name"], "uploaded");
    // Nobody is sent elsewhere, and a form without a document changes nothing.
    let elsewhere = form(document, "https://elsewhere.example/");
    assert_eq!(api.upload("/definitions", elsewhere).await, (204, None));
    let nothing = form("{", "../#/done");
    assert_eq!(api.upload("/definitions", nothing).await.0, 400);
    let (status, _) = api.upload("/definitions", "--b--\r\n".to_owned()).await;
    assert_eq!(status, 400);
}
