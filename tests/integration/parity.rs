//! Strict parity brings back the refusals of Amazon MQ that protect nobody.

use serde_json::{Value, json};
use warren::model::parity::Parity;

use crate::server::{Server, broker};

async fn refused(server: &Server, path: &str, change: Value) -> Value {
    let answer = server.put("UpdateBroker", path, &change).await;
    answer.is_error(400, "BadRequestException")["message"].clone()
}

#[tokio::test]
async fn strict_parity_refuses_in_the_words_of_amazon_mq() {
    let server = Server::start_with(Parity::Strict).await;
    let mut request = broker("orders");
    request["autoMinorVersionUpgrade"] = json!(false);
    let body = server
        .post("CreateBroker", "/v1/brokers", &request)
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(
        body["message"],
        json!(
            "Brokers on [RabbitMQ] version [4.2] must have [autoMinorVersionUpgrade] set to [true]."
        )
    );
    let mut patch = broker("orders");
    patch["engineVersion"] = json!("3.13.7");
    let body = server
        .post("CreateBroker", "/v1/brokers", &patch)
        .await
        .is_error(400, "BadRequestException");
    assert_eq!(
        body["message"],
        json!(
            "Broker engine version [3.13.7] is invalid for broker engine type [RABBITMQ]. \
             Valid values: [4.2, 3.13]."
        )
    );

    let mut request = broker("orders");
    request["securityGroups"] = json!(["sg-1"]);
    let id = server.create(&request).await;
    let path = format!("/v1/brokers/{id}");
    let early = server.delete("DeleteBroker", &path, "").await;
    let early = early.is_error(400, "BadRequestException");
    assert_eq!(
        early["message"],
        json!(format!(
            "Broker [{id}] can't be deleted while in state [CREATION_IN_PROGRESS]. Try again later."
        ))
    );
    server.settle(&id).await;
    assert_eq!(
        refused(&server, &path, json!({"securityGroups": ["sg-2"]})).await,
        json!("Changing security groups is not supported for RabbitMQ brokers.")
    );
    assert_eq!(
        refused(&server, &path, json!({"autoMinorVersionUpgrade": false})).await,
        json!(
            "Brokers on [RabbitMQ] version [4.2] must have [autoMinorVersionUpgrade] set to [true]."
        )
    );
    let same = json!({"securityGroups": ["sg-1"], "autoMinorVersionUpgrade": true});
    let mut expected = same.clone();
    expected["brokerId"] = json!(id);
    assert_eq!(
        server.put("UpdateBroker", &path, &same).await.ok(),
        expected
    );
    server.delete("DeleteBroker", &path, "").await.ok();
}

#[tokio::test]
async fn extended_parity_allows_what_does_no_harm() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["autoMinorVersionUpgrade"] = json!(false);
    request["engineVersion"] = json!("3.13.7");
    let id = server.create(&request).await;
    let path = format!("/v1/brokers/{id}");
    server.settle(&id).await;
    let groups = json!({"securityGroups": ["sg-2"]});
    server.put("UpdateBroker", &path, &groups).await.ok();
    let found = server.describe(&id).await;
    assert_eq!(found["pendingSecurityGroups"], json!(["sg-2"]));
    assert_eq!(found.get("securityGroups"), None);
    server
        .post("RebootBroker", &format!("{path}/reboot"), &Value::Null)
        .await
        .ok();
    server.settle(&id).await;
    let found = server.describe(&id).await;
    assert_eq!(found["securityGroups"], json!(["sg-2"]));
    assert_eq!(found.get("pendingSecurityGroups"), None);
    assert_eq!(found["autoMinorVersionUpgrade"], json!(false));

    let young = server.create(&broker("young")).await;
    let deleted = server
        .delete("DeleteBroker", &format!("/v1/brokers/{young}"), "")
        .await;
    deleted.ok();
}
