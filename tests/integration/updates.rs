//! UpdateBroker: what applies at once, what is pending, and what a reboot makes of it.

use serde_json::{Value, json};

use crate::server::{Server, broker};

struct Running {
    server: Server,
    id: String,
}

impl Running {
    async fn start() -> Self {
        let server = Server::start().await;
        let mut request = broker("orders");
        request["engineVersion"] = json!("3.13");
        let id = server.create(&request).await;
        server.settle(&id).await;
        Self { server, id }
    }

    fn path(&self) -> String {
        format!("/v1/brokers/{}", self.id)
    }

    async fn update(&self, change: Value) -> Value {
        self.server
            .put("UpdateBroker", &self.path(), &change)
            .await
            .ok()
    }

    async fn refusal(&self, change: Value) -> Value {
        let answer = self.server.put("UpdateBroker", &self.path(), &change).await;
        answer.is_error(400, "BadRequestException")
    }

    async fn describe(&self) -> Value {
        self.server.describe(&self.id).await
    }

    async fn reboot(&self) {
        let path = format!("{}/reboot", self.path());
        self.server
            .post("RebootBroker", &path, &Value::Null)
            .await
            .ok();
    }
}

#[tokio::test]
async fn pending_values_are_told_and_applied_by_a_reboot() {
    let broker = Running::start().await;
    let first = broker.describe().await["configurations"]["current"].clone();
    let data = json!({"data": "aGVhcnRiZWF0ID0gNjAK"});
    let configuration = first["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/configurations/{configuration}");
    broker
        .server
        .put("UpdateConfiguration", &path, &data)
        .await
        .ok();

    // The calls of Terraform, one after the other.
    let second = json!({"id": configuration, "revision": 2});
    let answer = broker
        .update(json!({
            "configuration": {"id": configuration},
            "engineVersion": "4.2",
            "logs": {"general": true},
        }))
        .await;
    let expected = json!({
        "brokerId": broker.id,
        "configuration": second,
        "engineVersion": "4.2",
        "logs": {"general": true},
    });
    assert_eq!(answer, expected);
    let answer = broker
        .update(json!({"hostInstanceType": "mq.m7g.large"}))
        .await;
    assert_eq!(
        answer,
        json!({"brokerId": broker.id, "hostInstanceType": "mq.m7g.large"})
    );
    let before = broker.describe().await;
    for (member, value) in [
        ("brokerState", json!("RUNNING")),
        ("engineVersion", json!("3.13")),
        ("pendingEngineVersion", json!("4.2")),
        ("hostInstanceType", json!("mq.m7g.medium")),
        ("pendingHostInstanceType", json!("mq.m7g.large")),
        (
            "configurations",
            json!({"current": first, "history": [], "pending": second}),
        ),
    ] {
        assert_eq!(before[member], value, "{member}");
    }
    assert_eq!(before["logs"]["general"], json!(false));
    assert_eq!(before["logs"]["pending"], json!({"general": true}));

    broker.reboot().await;
    let during = broker.describe().await;
    assert_eq!(during["brokerState"], json!("REBOOT_IN_PROGRESS"));
    assert_eq!(during["engineVersion"], json!("3.13"));
    assert_eq!(during["pendingEngineVersion"], json!("4.2"));

    broker.server.settle(&broker.id).await;
    let after = broker.describe().await;
    for (member, value) in [
        ("brokerState", json!("RUNNING")),
        ("engineVersion", json!("4.2")),
        ("hostInstanceType", json!("mq.m7g.large")),
        (
            "configurations",
            json!({"current": second, "history": [first]}),
        ),
    ] {
        assert_eq!(after[member], value, "{member}");
    }
    assert_eq!(after["logs"]["general"], json!(true));
    for absent in ["pendingEngineVersion", "pendingHostInstanceType"] {
        assert_eq!(after.get(absent), None, "{absent}");
    }
    assert_eq!(after["logs"].get("pending"), None);
}

#[tokio::test]
async fn the_window_and_minor_upgrades_apply_at_once() {
    let broker = Running::start().await;
    let window = json!({"dayOfWeek": "FRIDAY", "timeOfDay": "03:30", "timeZone": "Europe/Oslo"});
    let answer = broker
        .update(json!({
            "autoMinorVersionUpgrade": false,
            "maintenanceWindowStartTime": window,
        }))
        .await;
    let expected = json!({
        "brokerId": broker.id,
        "autoMinorVersionUpgrade": false,
        "maintenanceWindowStartTime": window,
    });
    assert_eq!(answer, expected);
    let found = broker.describe().await;
    assert_eq!(found["autoMinorVersionUpgrade"], json!(false));
    assert_eq!(found["maintenanceWindowStartTime"], window);
}

#[tokio::test]
async fn repeated_values_change_nothing_and_the_old_ones_take_a_change_back() {
    let broker = Running::start().await;
    let before = broker.describe().await;
    let configuration = before["configurations"]["current"].clone();
    let same = json!({
        "authenticationStrategy": "SIMPLE",
        "autoMinorVersionUpgrade": true,
        "configuration": configuration,
        "dataReplicationMode": "NONE",
        "engineVersion": "3.13",
        "hostInstanceType": "mq.m7g.medium",
        "logs": {"general": false},
        "maintenanceWindowStartTime": before["maintenanceWindowStartTime"],
        "resourceShareArns": [],
        "securityGroups": [],
    });
    let mut expected = same.clone();
    expected["brokerId"] = json!(broker.id);
    expected["authenticationStrategy"] = json!("simple");
    assert_eq!(broker.update(same.clone()).await, expected);
    assert_eq!(broker.describe().await, before);
    assert_eq!(
        broker.update(json!({})).await,
        json!({"brokerId": broker.id})
    );

    broker
        .update(json!({"engineVersion": "4.2", "hostInstanceType": "mq.m7g.large"}))
        .await;
    assert_ne!(broker.describe().await, before);
    broker.update(same).await;
    assert_eq!(broker.describe().await, before);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_nothing_of_it_is_kept() {
    let broker = Running::start().await;
    let before = broker.describe().await;
    for (change, attribute, message) in [
        (
            json!({"autoMinorVersionUpgrade": false, "engineVersion": "3.8"}),
            "engineVersion",
            "Broker engine version [3.8] is invalid for broker engine type [RABBITMQ]. \
             Valid values: [4.2, 3.13].",
        ),
        (
            json!({"logs": {"audit": true}}),
            "logs",
            "Audit logging is not supported for RabbitMQ brokers.",
        ),
        (
            json!({"configuration": {"id": "c-1"}}),
            "configuration",
            "Can't find requested configuration [c-1]. Make sure your configuration exists.",
        ),
        (
            json!({"dataReplicationMode": "CRDR"}),
            "dataReplicationMode",
            "Data replication mode [CRDR] is not supported for engine type [RABBITMQ].",
        ),
        (
            json!({"storageSize": 25}),
            "storageSize",
            "[storageSize] is only supported for RabbitMQ brokers on version [4.2] and newer in \
             [CLUSTER_MULTI_AZ] deployment mode on mq.m7g instance types.",
        ),
    ] {
        let body = broker.refusal(change).await;
        assert_eq!(
            body,
            json!({"errorAttribute": attribute, "message": message})
        );
    }
    for change in [
        json!({"hostInstanceType": "mq.z9.huge"}),
        json!({"securityGroups": ["a", "b", "c", "d", "e", "f"]}),
        json!({"maintenanceWindowStartTime": {"dayOfWeek": "MONDAY"}}),
        json!({"authenticationStrategy": "LDAP"}),
        json!({"ldapServerMetadata": {"serviceAccountPassword": "hidden-secret"}}),
        json!({"resourceShareArns": ["arn:aws:ram:us-east-1:1:resource-share/x"]}),
        json!({"configuration": {"id": before["configurations"]["current"]["id"], "revision": 2}}),
    ] {
        broker.refusal(change).await;
    }
    assert_eq!(broker.describe().await, before);
}

#[tokio::test]
async fn only_a_broker_that_has_run_is_updated() {
    let server = Server::start().await;
    let id = server.create(&broker("orders")).await;
    let path = format!("/v1/brokers/{id}");
    let change = json!({"hostInstanceType": "mq.m7g.large"});
    let early = server.put("UpdateBroker", &path, &change).await;
    let early = early.is_error(400, "BadRequestException");
    assert_eq!(
        early["message"],
        json!(format!(
            "Broker [{id}] can't be updated while in state [CREATION_IN_PROGRESS]. \
             It must be in state [RUNNING]."
        ))
    );
    server.settle(&id).await;
    server.put("UpdateBroker", &path, &change).await.ok();
    assert!(
        server
            .audited()
            .await
            .contains(&"mq:UpdateBroker".to_owned())
    );
    let unknown = "/v1/brokers/b-00000000-0000-4000-8000-000000000000";
    server
        .put("UpdateBroker", unknown, &change)
        .await
        .is_error(404, "NotFoundException");
}
