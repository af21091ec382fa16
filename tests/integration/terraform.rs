//! The calls of Terraform's AWS provider in its order, and what it compares afterwards. A value that
//! differs from its plan is a difference for ever, so each is held letter by letter.

use serde_json::{Value, json};

use crate::server::Server;

/// What the provider sends for a broker with its usual arguments.
fn plan() -> Value {
    json!({
        "autoMinorVersionUpgrade": true,
        "brokerName": "orders",
        "creatorRequestId": "tf-20260101000000000000000001",
        "deploymentMode": "SINGLE_INSTANCE",
        "engineType": "RabbitMQ",
        "engineVersion": "3.13",
        "hostInstanceType": "mq.m7g.medium",
        "logs": {"general": false},
        "publiclyAccessible": true,
        "tags": {"team": "blue"},
        "users": [{
            "username": "operator",
            "password": "correct-horse-battery",
            "consoleAccess": false,
            "replicationUser": false,
            "groups": [],
        }],
    })
}

/// What the provider reads on each refresh.
async fn refresh(server: &Server, id: &str) -> Value {
    let found = server.describe(id).await;
    let path = format!("/v1/brokers/{id}");
    let shared = server
        .get(
            "DescribeSharedResources",
            &format!("{path}/shared-resources"),
            "",
        )
        .await
        .ok();
    assert_eq!(shared, json!({"sharedResources": []}));
    for user in found["users"].as_array().expect("a list") {
        let name = user["username"].as_str().expect("a name");
        let user = server
            .get("DescribeUser", &format!("{path}/users/{name}"), "")
            .await
            .ok();
        assert_eq!(user["consoleAccess"], json!(false));
        assert_eq!(user["groups"], json!([]));
    }
    found
}

/// What is in its state, member by member.
fn assert_no_difference(found: &Value, plan: &Value) {
    for member in [
        "autoMinorVersionUpgrade",
        "brokerName",
        "deploymentMode",
        "engineType",
        "engineVersion",
        "hostInstanceType",
        "publiclyAccessible",
        "tags",
    ] {
        assert_eq!(found[member], plan[member], "{member}");
    }
    assert_eq!(found["logs"]["general"], plan["logs"]["general"]);
    assert_eq!(found["logs"].get("audit"), None);
    assert_eq!(found.get("securityGroups"), plan.get("securityGroups"));
    assert_eq!(found["users"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["authenticationStrategy"], json!("simple"));
    assert_eq!(found["storageType"], json!("ebs"));
    assert_eq!(found["dataReplicationMode"], json!("NONE"));
    assert_eq!(found["encryptionOptions"], json!({"useAwsOwnedKey": true}));
    assert_eq!(found["subnetIds"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_broker_is_created_changed_and_destroyed_without_a_lasting_difference() {
    let server = Server::start().await;
    let mut plan = plan();
    let id = server.create(&plan).await;
    server.settle(&id).await;
    let created = refresh(&server, &id).await;
    assert_no_difference(&created, &plan);

    let configuration = json!({
        "name": "next", "engineType": "RabbitMQ", "engineVersion": "4.2", "tags": {},
    });
    let configuration = server
        .post("CreateConfiguration", "/v1/configurations", &configuration)
        .await
        .ok();
    let path = format!("/v1/brokers/{id}");
    let window = json!({"dayOfWeek": "MONDAY", "timeOfDay": "02:00", "timeZone": "UTC"});
    let next = json!({"id": configuration["id"], "revision": 1});
    for change in [
        json!({"securityGroups": ["sg-1"]}),
        json!({"configuration": next, "engineVersion": "4.2", "logs": {"general": true}}),
        json!({"hostInstanceType": "mq.m7g.large"}),
        json!({"autoMinorVersionUpgrade": false}),
        json!({"maintenanceWindowStartTime": window}),
        json!({"dataReplicationMode": "NONE"}),
    ] {
        let mut answer = server.put("UpdateBroker", &path, &change).await.ok();
        assert_eq!(answer["brokerId"], json!(id));
        answer
            .as_object_mut()
            .expect("an object")
            .remove("brokerId");
        assert_eq!(answer, change);
    }
    server
        .post("RebootBroker", &format!("{path}/reboot"), &Value::Null)
        .await
        .ok();
    // Its waiter takes an early RUNNING for the end of the reboot.
    assert_eq!(
        refresh(&server, &id).await["brokerState"],
        json!("REBOOT_IN_PROGRESS")
    );
    server.settle(&id).await;
    plan["securityGroups"] = json!(["sg-1"]);
    plan["engineVersion"] = json!("4.2");
    plan["logs"]["general"] = json!(true);
    plan["hostInstanceType"] = json!("mq.m7g.large");
    plan["autoMinorVersionUpgrade"] = json!(false);
    let changed = refresh(&server, &id).await;
    assert_no_difference(&changed, &plan);
    assert_eq!(changed["configurations"]["current"], next);
    assert_eq!(changed["maintenanceWindowStartTime"], window);
    assert_eq!(changed["subnetIds"], created["subnetIds"]);
    for (member, _) in changed.as_object().expect("an object") {
        assert!(!member.starts_with("pending"), "{member}");
    }

    server.delete("DeleteBroker", &path, "").await.ok();
    let going = server.describe(&id).await;
    assert_eq!(going["brokerState"], json!("DELETION_IN_PROGRESS"));
}

#[tokio::test]
async fn a_configuration_has_its_second_revision_right_after_its_creation() {
    let server = Server::start().await;
    let request = json!({
        "engineType": "RabbitMQ", "engineVersion": "3.13", "name": "orders", "tags": {"a": "b"},
    });
    let created = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .ok();
    let path = format!(
        "/v1/configurations/{}",
        created["id"].as_str().expect("an id")
    );
    // consumer_timeout = 60000, with a comment and odd spaces
    let data = "IyBXaHkKICBjb25zdW1lcl90aW1lb3V0ICA9IDYwMDAwICAgCg==";
    for revision in [2, 3] {
        let change = json!({"data": data, "description": "TfAccTest MQ Configuration"});
        server.put("UpdateConfiguration", &path, &change).await.ok();
        let found = server.get("DescribeConfiguration", &path, "").await.ok();
        assert_eq!(found["latestRevision"]["revision"], json!(revision));
        assert_eq!(
            found["latestRevision"]["description"],
            json!("TfAccTest MQ Configuration")
        );
        for member in ["engineType", "engineVersion", "name", "tags"] {
            assert_eq!(found[member], request[member], "{member}");
        }
        assert_eq!(found["authenticationStrategy"], json!("simple"));
        let revision = format!("{path}/revisions/{revision}");
        let revision = server
            .get("DescribeConfigurationRevision", &revision, "")
            .await
            .ok();
        assert_eq!(revision["data"], json!(data));
    }
    server.delete("DeleteConfiguration", &path, "").await.ok();
}
