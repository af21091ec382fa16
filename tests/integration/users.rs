//! Users of RabbitMQ brokers: the first one is seen, all are changed at the broker itself.

use serde_json::{Value, json};

use crate::server::{Server, broker};

#[tokio::test]
async fn the_first_user_is_listed_and_described() {
    let server = Server::start().await;
    let mut request = broker("orders");
    request["users"][0]["consoleAccess"] = json!(false);
    let id = server.create(&request).await;
    let users = format!("/v1/brokers/{id}/users");
    let listed = server.get("ListUsers", &users, "").await.ok();
    assert_eq!(
        listed,
        json!({"brokerId": id, "maxResults": 20, "users": [{"username": "operator"}]})
    );
    let found = server
        .get("DescribeUser", &format!("{users}/operator"), "")
        .await
        .ok();
    assert_eq!(
        found,
        json!({
            "brokerId": id,
            "username": "operator",
            "consoleAccess": false,
            "replicationUser": false,
            "groups": [],
        })
    );
}

#[tokio::test]
async fn unknown_users_and_brokers_are_not_found() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    for name in ["nobody", "a%00b", "x%2Fy%20z"] {
        let path = format!("/v1/brokers/{id}/users/{name}");
        let refused = server.get("DescribeUser", &path, "").await;
        let refused = refused.is_error(404, "NotFoundException");
        assert_eq!(refused["errorAttribute"], json!("username"));
    }
    let unknown = "/v1/brokers/b-00000000-0000-4000-8000-000000000000/users";
    server
        .get("ListUsers", unknown, "")
        .await
        .is_error(404, "NotFoundException");
    server
        .delete("DeleteUser", &format!("{unknown}/operator"), "")
        .await
        .is_error(404, "NotFoundException");
}

#[tokio::test]
async fn changes_are_referred_to_the_brokers_own_console() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let path = format!("/v1/brokers/{id}/users/operator");
    let body = json!({"password": "another-password-1"});
    for refused in [
        server.post("CreateUser", &path, &body).await,
        server.put("UpdateUser", &path, &body).await,
        server.delete("DeleteUser", &path, "").await,
    ] {
        let refused: Value = refused.is_error(400, "BadRequestException");
        assert_eq!(
            refused["message"],
            json!(
                "To manage broker users, please use the RabbitMQ web console, or the management API"
            )
        );
    }
}
