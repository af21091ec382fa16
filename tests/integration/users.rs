//! Users of RabbitMQ brokers: they act at once, and strict parity refers to the broker itself.

use serde_json::{Value, json};
use warren::model::broker::State;
use warren::model::broker::user::ChangeUser;
use warren::model::parity::Parity;

use crate::fleet::{Agents, Fleet};
use crate::server::{Server, broker};

async fn running(server: &Server) -> String {
    let id = server.create(&broker("orders")).await;
    server.settle(&id).await;
    id
}

async fn names(server: &Server, id: &str) -> Value {
    let path = format!("/v1/brokers/{id}/users");
    server.get("ListUsers", &path, "").await.ok()["users"].clone()
}

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
    let id = running(&server).await;
    for name in ["nobody", "a%00b", "x%2Fy%20z"] {
        let path = format!("/v1/brokers/{id}/users/{name}");
        for refused in [
            server.get("DescribeUser", &path, "").await,
            server.put("UpdateUser", &path, &json!({})).await,
            server.delete("DeleteUser", &path, "").await,
        ] {
            let refused = refused.is_error(404, "NotFoundException");
            assert_eq!(refused["errorAttribute"], json!("username"));
        }
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
async fn users_are_made_changed_and_removed_at_once() {
    let server = Server::start().await;
    let id = running(&server).await;
    let path = format!("/v1/brokers/{id}/users/reader");
    let password = "correct-horse-battery";
    let request = json!({"password": password, "consoleAccess": true, "groups": [],
        "replicationUser": false});
    assert_eq!(
        server.post("CreateUser", &path, &request).await.ok(),
        json!({})
    );
    let described = server.get("DescribeUser", &path, "").await.ok();
    assert_eq!(described["consoleAccess"], json!(true));
    assert!(described["pending"].is_null(), "it acts at once");
    let both = json!([{"username": "operator"}, {"username": "reader"}]);
    assert_eq!(names(&server, &id).await, both);
    assert_eq!(server.describe(&id).await["users"], both);

    let taken = server.post("CreateUser", &path, &request).await;
    let taken = taken.is_error(409, "ConflictException");
    assert_eq!(taken["errorAttribute"], json!("username"));

    let change = json!({"groups": ["monitoring"]});
    assert_eq!(
        server.put("UpdateUser", &path, &change).await.ok(),
        json!({})
    );
    let described = server.get("DescribeUser", &path, "").await.ok();
    assert_eq!(described["groups"], json!(["monitoring"]));
    assert_eq!(
        described["consoleAccess"],
        json!(true),
        "what is not named stays"
    );

    assert_eq!(server.delete("DeleteUser", &path, "").await.ok(), json!({}));
    assert_eq!(names(&server, &id).await, json!([{"username": "operator"}]));
    server
        .get("DescribeUser", &path, "")
        .await
        .is_error(404, "NotFoundException");
    server.post("CreateUser", &path, &request).await.ok();
    assert_eq!(names(&server, &id).await, both, "a name may come back");

    let audited = server.audited().await;
    let users = audited.iter().filter(|action| action.ends_with("User"));
    let expected = [
        "mq:CreateUser",
        "mq:UpdateUser",
        "mq:DeleteUser",
        "mq:CreateUser",
    ];
    assert_eq!(users.collect::<Vec<_>>(), expected);
    assert!(
        !server.holds(password).await,
        "no password is kept in clear"
    );
}

#[tokio::test]
async fn users_that_a_broker_cannot_have_are_refused() {
    let server = Server::start().await;
    let creating = server.create(&broker("early")).await;
    let path = format!("/v1/brokers/{creating}/users/reader");
    let request = json!({"password": "correct-horse-battery"});
    server
        .post("CreateUser", &path, &request)
        .await
        .is_error(400, "BadRequestException");

    let id = running(&server).await;
    for (name, request, attribute) in [
        ("reader", json!({}), "password"),
        ("reader", json!({"password": "short"}), "password"),
        ("guest", request.clone(), "username"),
        ("x", request.clone(), "username"),
        (
            "reader",
            json!({"password": "correct-horse-battery", "groups": ["admins"]}),
            "groups",
        ),
        (
            "reader",
            json!({"password": "correct-horse-battery", "replicationUser": true}),
            "replicationUser",
        ),
    ] {
        let path = format!("/v1/brokers/{id}/users/{name}");
        let refused = server.post("CreateUser", &path, &request).await;
        let refused = refused.is_error(400, "BadRequestException");
        assert_eq!(refused["errorAttribute"], json!(attribute), "{request}");
    }
    assert_eq!(names(&server, &id).await, json!([{"username": "operator"}]));
}

#[tokio::test]
async fn strict_parity_refers_to_the_brokers_own_console() {
    let server = Server::start_with(Parity::Strict).await;
    let id = running(&server).await;
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

#[tokio::test]
async fn the_nodes_are_told_of_every_change_in_its_order() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet.work();
    let id = fleet.create("orders").await;
    fleet.reaches(&id, Some(State::Running)).await;
    let request = json!({"password": "correct-horse-battery"});
    let request: ChangeUser = serde_json::from_value(request).unwrap();
    let (app, caller) = (&fleet.app, &fleet.caller);
    app.create_broker_user(caller, id.as_str(), "ann", request.clone())
        .await
        .unwrap();
    app.create_broker_user(caller, id.as_str(), "ben", request)
        .await
        .unwrap();
    app.delete_broker_user(caller, id.as_str(), "ann")
        .await
        .unwrap();
    let told = fleet
        .told(|intent| intent.users.iter().any(|user| user.revision == 3))
        .await;
    let users: Vec<_> = told
        .users
        .iter()
        .map(|user| (user.name.as_str(), user.revision, user.removed))
        .collect();
    assert_eq!(
        users,
        [("ann", 3, true), ("ben", 2, false), ("operator", 0, false)]
    );
    assert_eq!(told.generation, 1, "nothing is restarted for it");
    fleet.stop().await;
}
