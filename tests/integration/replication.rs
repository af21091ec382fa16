//! Cross-Region data replication: pairs are made, turned round and parted; on simulated hosts, so
//! that no message is replicated.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fleet::simulate;
use crate::server::{OTHER_REGION, Server, activemq, broker};

fn standby(name: &str) -> Value {
    let mut request = activemq(name);
    request["deploymentMode"] = json!("ACTIVE_STANDBY_MULTI_AZ");
    request
}

fn replica_of(arn: &Value) -> Value {
    let mut request = standby("orders");
    request["dataReplicationMode"] = json!("CRDR");
    request["dataReplicationPrimaryBrokerArn"] = arn.clone();
    request["users"] = json!([
        {"username": "operator", "password": "correct-horse-battery", "consoleAccess": true},
        {"username": "bridge", "password": "correct-horse-battery", "replicationUser": true},
    ]);
    request
}

fn path(id: &str) -> String {
    format!("/v1/brokers/{id}")
}

/// Waits until a broker of the other region is in this state.
async fn reaches(server: &Server, id: &str, state: &str) -> Value {
    let search = async {
        loop {
            let answer = server
                .elsewhere("DescribeBroker", "GET", &path(id), &Value::Null)
                .await;
            let broker = answer.ok();
            if broker["brokerState"] == state {
                return broker;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), search).await;
    found.expect("the broker gets there")
}

async fn make_pair(server: &Server) -> (String, String) {
    let primary = server.create(&standby("orders")).await;
    let arn = server.reaches(&primary, "RUNNING").await["brokerArn"].clone();
    let made = server
        .elsewhere("CreateBroker", "POST", "/v1/brokers", &replica_of(&arn))
        .await
        .ok();
    let replica = made["brokerId"].as_str().expect("an id").to_owned();
    reaches(server, &replica, "RUNNING").await;
    (primary, replica)
}

async fn reboot(server: &Server, id: &str) {
    let path = format!("{}/reboot", path(id));
    server.post("RebootBroker", &path, &Value::Null).await.ok();
}

fn metadata(role: &str, counterpart: &str, region: &str) -> Value {
    json!({
        "dataReplicationRole": role,
        "dataReplicationCounterpart": {"brokerId": counterpart, "region": region},
    })
}

#[tokio::test]
async fn a_pair_begins_is_turned_round_and_ends() {
    let server = Server::start_simulated().await;
    let _hosts = simulate(server.pool()).await;
    let (primary, replica) = make_pair(&server).await;
    let waiting = server.describe(&primary).await;
    assert_eq!(waiting["dataReplicationMode"], json!("NONE"));
    assert_eq!(waiting["pendingDataReplicationMode"], json!("CRDR"));
    assert_eq!(
        waiting["pendingDataReplicationMetadata"],
        metadata("PRIMARY", &replica, OTHER_REGION)
    );

    reboot(&server, &primary).await;
    let running = server.reaches(&primary, "RUNNING").await;
    assert_eq!(running["dataReplicationMode"], json!("CRDR"));
    assert_eq!(
        running["dataReplicationMetadata"],
        metadata("PRIMARY", &replica, OTHER_REGION)
    );
    let copy = reaches(&server, &replica, "REPLICA").await;
    assert_eq!(
        copy["dataReplicationMetadata"],
        metadata("REPLICA", &primary, "us-east-1")
    );

    let global = server
        .elsewhere(
            "UpdateBroker",
            "PUT",
            &path(&replica),
            &json!({"hostInstanceType": "mq.m5.xlarge"}),
        )
        .await;
    assert_eq!(
        global.is_error(400, "BadRequestException"),
        json!({
            "errorAttribute": "hostInstanceType",
            "message": "Global broker attribute [Optional[hostInstanceType]] cannot be modified in \
                        Replica broker directly.",
        })
    );
    let delete = server.delete("DeleteBroker", &path(&primary), "").await;
    assert_eq!(
        delete.is_error(400, "BadRequestException")["message"],
        json!(format!(
            "Broker [{primary}] can't be deleted while it is paired with broker [{replica}] for \
             data replication. Set [dataReplicationMode] of the primary broker to [NONE] and reboot \
             it first."
        ))
    );

    let promote = |id: &str| format!("{}/promote", path(id));
    let mode = json!({"mode": "SWITCHOVER"});
    let wrong = server.post("Promote", &promote(&primary), &mode).await;
    assert_eq!(
        wrong.is_error(400, "BadRequestException")["message"],
        json!(format!(
            "Broker [{primary}] can't be promoted. It is the primary broker of its pair."
        ))
    );
    server
        .elsewhere("Promote", "POST", &promote(&replica), &mode)
        .await
        .ok();
    let state = server.describe(&primary).await["brokerState"].clone();
    assert!(
        state == "REBOOT_IN_PROGRESS" || state == "REPLICA",
        "{state}"
    );
    let copy = server.reaches(&primary, "REPLICA").await;
    assert_eq!(
        copy["dataReplicationMetadata"],
        metadata("REPLICA", &replica, OTHER_REGION)
    );
    reaches(&server, &replica, "RUNNING").await;
    // And back, without asking how the primary is.
    let mode = json!({"mode": "failover"});
    server.post("Promote", &promote(&primary), &mode).await.ok();
    server.reaches(&primary, "RUNNING").await;
    reaches(&server, &replica, "REPLICA").await;

    let none = json!({"dataReplicationMode": "NONE"});
    let updated = server
        .put("UpdateBroker", &path(&primary), &none)
        .await
        .ok();
    assert_eq!(updated["dataReplicationMode"], json!("CRDR"));
    assert_eq!(updated["pendingDataReplicationMode"], json!("NONE"));
    reboot(&server, &primary).await;
    let alone = server.reaches(&primary, "RUNNING").await;
    assert_eq!(alone["dataReplicationMode"], json!("NONE"));
    assert_eq!(alone.get("dataReplicationMetadata"), None);
    reaches(&server, &replica, "RUNNING").await;
    server
        .delete("DeleteBroker", &path(&primary), "")
        .await
        .ok();
}

#[tokio::test]
async fn what_can_be_no_pair_is_refused_with_the_reason() {
    let server = Server::start_simulated().await;
    let _hosts = simulate(server.pool()).await;
    let single = server.create(&activemq("single")).await;
    let single = server.reaches(&single, "RUNNING").await["brokerArn"].clone();
    let primary = server.create(&standby("orders")).await;
    let early = server.describe(&primary).await;
    let arn = early["brokerArn"].clone();
    let running = server.reaches(&primary, "RUNNING").await;
    assert_eq!(running["brokerArn"], arn);
    let refuse = async |change: &dyn Fn(&mut Value)| {
        let mut request = replica_of(&arn);
        change(&mut request);
        let answer = server
            .elsewhere("CreateBroker", "POST", "/v1/brokers", &request)
            .await;
        answer.is_error(400, "BadRequestException")["message"]
            .as_str()
            .expect("a message")
            .to_owned()
    };
    assert_eq!(
        refuse(&|request| request["dataReplicationPrimaryBrokerArn"] = Value::Null).await,
        "[dataReplicationPrimaryBrokerArn] is required with data replication mode [CRDR]."
    );
    assert_eq!(
        refuse(&|request| request["dataReplicationMode"] = json!("NONE")).await,
        "[dataReplicationPrimaryBrokerArn] is only supported with data replication mode [CRDR]."
    );
    assert_eq!(
        refuse(&|request| request["deploymentMode"] = json!("SINGLE_INSTANCE")).await,
        "Data replication mode [CRDR] is not supported in [SINGLE_INSTANCE] deployment mode."
    );
    assert_eq!(
        refuse(&|request| request["hostInstanceType"] = json!("mq.t3.micro")).await,
        "Data replication mode [CRDR] is not supported for host instance type [mq.t3.micro]."
    );
    assert_eq!(
        refuse(&|request| request["users"][1]["replicationUser"] = json!(false)).await,
        "Specify exactly one replication user for data replication mode [CRDR]."
    );
    assert_eq!(
        refuse(&|request| request["engineVersion"] = json!("5.18")).await,
        format!(
            "Broker [{primary}] can't be the primary broker of a replica. Both must have the same \
             engine version."
        )
    );
    let unknown =
        "arn:aws:mq:us-east-1:000000000000:broker:x:b-00000000-0000-4000-8000-000000000000";
    assert_eq!(
        refuse(&|request| request["dataReplicationPrimaryBrokerArn"] = json!(unknown)).await,
        format!("Can't find requested broker [{unknown}]. Make sure your broker exists.")
    );
    assert!(
        refuse(&|request| request["dataReplicationPrimaryBrokerArn"] = single.clone())
            .await
            .ends_with("It must be an active/standby ActiveMQ broker of instance type [mq.m5.large] or larger.")
    );
    let near = server
        .post("CreateBroker", "/v1/brokers", &{
            let mut request = replica_of(&arn);
            request["brokerName"] = json!("near");
            request
        })
        .await;
    assert!(
        near.is_error(400, "BadRequestException")["message"]
            .as_str()
            .is_some_and(|message| message.ends_with("The replica must be in another region."))
    );
    let alone = json!({"dataReplicationMode": "CRDR"});
    let refused = server.put("UpdateBroker", &path(&primary), &alone).await;
    assert_eq!(
        refused.is_error(400, "BadRequestException")["message"],
        json!("Create a replica broker to set data replication mode [CRDR].")
    );
    let rabbit = server.create(&broker("rabbit")).await;
    let mode = json!({"mode": "FAILOVER"});
    for (id, reason) in [
        (primary.as_str(), "It is not the replica of a broker."),
        (
            rabbit.as_str(),
            "Data replication mode [CRDR] is not supported for engine type [RABBITMQ].",
        ),
    ] {
        let refused = server
            .post("Promote", &format!("{}/promote", path(id)), &mode)
            .await;
        assert_eq!(
            refused.is_error(400, "BadRequestException")["message"],
            json!(format!("Broker [{id}] can't be promoted. {reason}"))
        );
    }
}

#[tokio::test]
async fn a_pair_that_has_not_begun_goes_with_its_replica() {
    let server = Server::start_simulated().await;
    let _hosts = simulate(server.pool()).await;
    let (primary, replica) = make_pair(&server).await;
    server
        .elsewhere("DeleteBroker", "DELETE", &path(&replica), &Value::Null)
        .await
        .ok();
    let alone = server.describe(&primary).await;
    assert_eq!(alone.get("pendingDataReplicationMode"), None);
    reboot(&server, &primary).await;
    let running = server.reaches(&primary, "RUNNING").await;
    assert_eq!(running["dataReplicationMode"], json!("NONE"));
}
