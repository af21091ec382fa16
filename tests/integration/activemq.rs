//! ActiveMQ brokers, and clusters: every rule and state, on hosts that simulate their nodes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use warren::model::broker::SimulatedHosts;
use warren::model::parity::Parity;

use crate::fleet::simulate;
use crate::server::{Server, activemq, broker};

fn with(mut request: Value, changes: &Value) -> Value {
    for (member, value) in changes.as_object().expect("changes are an object") {
        request[member] = value.clone();
    }
    request
}

fn standby(name: &str) -> Value {
    with(
        activemq(name),
        &json!({"deploymentMode": "ACTIVE_STANDBY_MULTI_AZ"}),
    )
}

async fn refused(server: &Server, request: &Value) -> (Value, Value) {
    let answer = server.post("CreateBroker", "/v1/brokers", request).await;
    let body = answer.is_error(400, "BadRequestException");
    (body["errorAttribute"].clone(), body["message"].clone())
}

#[tokio::test]
async fn real_hosts_get_no_broker_that_no_engine_serves() {
    let server = Server::start().await;
    assert_eq!(
        refused(&server, &activemq("orders")).await,
        (
            json!("engineType"),
            json!(
                "Broker engine type [ACTIVEMQ] is not available yet. Valid values are: [LAVINMQ, \
                 RABBITMQ]."
            )
        )
    );
    let cluster = json!({"deploymentMode": "CLUSTER_MULTI_AZ"});
    assert_eq!(
        refused(&server, &with(broker("orders"), &cluster)).await,
        (
            json!("deploymentMode"),
            json!(
                "Deployment mode [CLUSTER_MULTI_AZ] is not available yet. Valid values are: \
                 [SINGLE_INSTANCE]."
            )
        )
    );
    let request = json!({"name": "orders", "engineType": "ACTIVEMQ"});
    let answer = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await;
    answer.is_error(400, "BadRequestException");
    assert_eq!(server.count("brokers").await, 0);
}

#[tokio::test]
async fn every_rule_of_creation_is_told_in_words() {
    let server = Server::start_simulated().await;
    for (change, attribute, message) in [
        (
            json!({"engineVersion": "5.17.6"}),
            "engineVersion",
            "Broker engine version [5.17.6] is invalid for broker engine type [ACTIVEMQ]. Valid \
             values: [5.19, 5.18].",
        ),
        (
            json!({"deploymentMode": "CLUSTER_MULTI_AZ"}),
            "deploymentMode",
            "Deployment mode [CLUSTER_MULTI_AZ] is not supported for engine type [ACTIVEMQ].",
        ),
        (
            json!({"deploymentMode": "dm"}),
            "deploymentMode",
            "Broker deployment mode [dm] is invalid. Valid values are: [SINGLE_INSTANCE, \
             ACTIVE_STANDBY_MULTI_AZ].",
        ),
        (
            json!({"hostInstanceType": "mq.m7g.large"}),
            "hostInstanceType",
            "Broker instance type [mq.m7g.large] is invalid for broker engine type [ACTIVEMQ]. \
             Valid values: [mq.t3.micro, mq.m5.large, mq.m5.xlarge, mq.m5.2xlarge, mq.m5.4xlarge].",
        ),
        (
            json!({"deploymentMode": "ACTIVE_STANDBY_MULTI_AZ", "storageType": "EBS"}),
            "storageType",
            "Storage type [EBS] is not supported in [ACTIVE_STANDBY_MULTI_AZ] deployment mode.",
        ),
        (
            json!({"hostInstanceType": "mq.t3.micro", "storageType": "EBS"}),
            "storageType",
            "Storage type [EBS] is not supported for host instance type [mq.t3.micro].",
        ),
        (
            json!({"storageSize": 100}),
            "storageSize",
            "[storageSize] is only supported for RabbitMQ brokers on version [4.2] and newer in \
             [CLUSTER_MULTI_AZ] deployment mode on mq.m7g instance types.",
        ),
        (
            json!({"subnetIds": ["subnet-1", "subnet-2"]}),
            "subnetIds",
            "Specify a single subnet in [SINGLE_INSTANCE] deployment mode.",
        ),
        (
            json!({"deploymentMode": "ACTIVE_STANDBY_MULTI_AZ", "subnetIds": ["subnet-1"]}),
            "subnetIds",
            "Specify exactly two subnets in [ACTIVE_STANDBY_MULTI_AZ] deployment mode.",
        ),
        (json!({"users": []}), "users", "Specify at least one user."),
        (
            json!({"authenticationStrategy": "config_managed"}),
            "authenticationStrategy",
            "Authentication strategy [CONFIG_MANAGED] is not supported for engine type [ACTIVEMQ].",
        ),
        (
            json!({"authenticationStrategy": "ldap"}),
            "ldapServerMetadata",
            "[ldapServerMetadata] is required with authentication strategy [LDAP].",
        ),
    ] {
        let request = with(activemq("orders"), &change);
        assert_eq!(
            refused(&server, &request).await,
            (json!(attribute), json!(message))
        );
    }
    let both = json!([{
        "username": "operator", "password": "correct-horse-battery",
        "consoleAccess": true, "replicationUser": true,
    }]);
    let answer = server
        .post(
            "CreateBroker",
            "/v1/brokers",
            &with(activemq("orders"), &json!({"users": both})),
        )
        .await;
    assert_eq!(
        answer.is_error(400, "BadRequestException"),
        json!({
            "message": "Replication user couldn't have console access. [replicationUser] and \
                        [consoleAccess] are mutually exclusive parameters."
        })
    );
    assert_eq!(server.count("brokers").await, 0);
}

#[tokio::test]
async fn an_active_standby_broker_lives_through_its_states() {
    let server = Server::start_simulated().await;
    let request = with(
        standby("orders"),
        &json!({
            "logs": {"audit": true, "general": true},
            "securityGroups": ["sg-1"],
            "users": [
                {"username": "ada", "password": "correct-horse-battery", "consoleAccess": true},
                {"username": "grace~1", "password": "correct-horse-battery", "groups": ["admins"]},
            ],
        }),
    );
    let id = server.create(&request).await;
    let created = server.describe(&id).await;
    assert_eq!(created["brokerState"], json!("CREATION_IN_PROGRESS"));
    assert_eq!(created["brokerInstances"], json!([]));
    assert_eq!(created["engineType"], json!("ActiveMQ"));
    assert_eq!(created["storageType"], json!("efs"));
    assert_eq!(created["subnetIds"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        created["users"],
        json!([
            {"username": "ada", "pendingChange": "CREATE"},
            {"username": "grace~1", "pendingChange": "CREATE"},
        ])
    );
    assert_eq!(
        created["logs"],
        json!({
            "audit": true,
            "auditLogGroup": format!("/aws/amazonmq/broker/{id}/audit"),
            "general": true,
            "generalLogGroup": format!("/aws/amazonmq/broker/{id}/general"),
        })
    );

    let hosts = simulate(server.pool()).await;
    let running = server.reaches(&id, "RUNNING").await;
    assert_eq!(
        running["users"],
        json!([{"username": "ada"}, {"username": "grace~1"}])
    );
    let instances = running["brokerInstances"].as_array().expect("a list");
    assert_eq!(instances.len(), 2);
    for instance in instances {
        let address = instance["ipAddress"].as_str().expect("an address");
        assert!(
            address.starts_with("24") || address.starts_with("25"),
            "{address}"
        );
        assert_eq!(
            instance["consoleURL"],
            json!(format!("https://{address}:8162"))
        );
        let endpoints = [
            "ssl:61617",
            "amqp+ssl:5671",
            "stomp+ssl:61614",
            "mqtt+ssl:8883",
            "wss:61619",
        ];
        let endpoints = endpoints.map(|endpoint| {
            let (scheme, port) = endpoint.split_once(':').expect("scheme and port");
            format!("{scheme}://{address}:{port}")
        });
        assert_eq!(instance["endpoints"], json!(endpoints));
    }
    assert_ne!(instances[0]["ipAddress"], instances[1]["ipAddress"]);

    let path = format!("/v1/brokers/{id}");
    let change = json!({
        "engineVersion": "5.19",
        "hostInstanceType": "mq.m5.xlarge",
        "logs": {"audit": false, "general": true},
        "securityGroups": ["sg-2"],
    });
    let updated = server.put("UpdateBroker", &path, &change).await.ok();
    assert_eq!(updated["logs"], json!({"audit": false, "general": true}));
    let pending = server.describe(&id).await;
    assert_eq!(pending["pendingHostInstanceType"], json!("mq.m5.xlarge"));
    assert_eq!(pending["pendingSecurityGroups"], json!(["sg-2"]));
    assert_eq!(pending["logs"]["audit"], json!(true));
    assert_eq!(
        pending["logs"]["pending"],
        json!({"audit": false, "general": true})
    );
    assert_eq!(pending.get("pendingEngineVersion"), None);
    server
        .post("RebootBroker", &format!("{path}/reboot"), &Value::Null)
        .await
        .ok();
    let rebooted = server.reaches(&id, "RUNNING").await;
    assert_eq!(rebooted["hostInstanceType"], json!("mq.m5.xlarge"));
    assert_eq!(rebooted["logs"]["audit"], json!(false));
    assert_eq!(rebooted["logs"].get("pending"), None);

    server.delete("DeleteBroker", &path, "").await.ok();
    let gone = async {
        while server.count("nodes").await + server.count("brokers").await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone)
        .await
        .expect("nothing is left");
    drop(hosts);
}

#[tokio::test]
async fn users_change_at_the_next_start() {
    let server = Server::start_simulated().await;
    let id = server.create(&activemq("orders")).await;
    let path = format!("/v1/brokers/{id}");
    let user = |name: &str| format!("{path}/users/{name}");
    let body = json!({"password": "correct-horse-battery"});
    let early = server.post("CreateUser", &user("early"), &body).await;
    early.is_error(400, "BadRequestException");
    let _hosts = simulate(server.pool()).await;
    server.reaches(&id, "RUNNING").await;

    let ada = json!({
        "password": "correct-horse-battery", "groups": ["admins", "users"], "consoleAccess": true,
    });
    server.post("CreateUser", &user("ada"), &ada).await.ok();
    let taken = server.post("CreateUser", &user("ada"), &ada).await;
    assert_eq!(
        taken.is_error(409, "ConflictException"),
        json!({
            "errorAttribute": "username",
            "message": "User name [ada] already exists. Retry your request with another name.",
        })
    );
    let change = json!({"groups": ["readers"]});
    server
        .put("UpdateUser", &user("operator"), &change)
        .await
        .ok();
    let found = server.get("DescribeUser", &user("operator"), "").await.ok();
    assert_eq!(found["groups"], json!([]));
    assert_eq!(
        found["pending"],
        json!({"consoleAccess": false, "groups": ["readers"], "pendingChange": "UPDATE"})
    );
    let listed = server
        .get("ListUsers", &format!("{path}/users"), "")
        .await
        .ok();
    assert_eq!(
        listed["users"],
        json!([
            {"username": "ada", "pendingChange": "CREATE"},
            {"username": "operator", "pendingChange": "UPDATE"},
        ])
    );
    // Repeated, it is no change; the second of two is the one that counts.
    let same = json!({"groups": [], "password": "correct-horse-battery"});
    server
        .put("UpdateUser", &user("operator"), &same)
        .await
        .ok();
    let found = server.get("DescribeUser", &user("operator"), "").await.ok();
    assert_eq!(found.get("pending"), None);
    server
        .put("UpdateUser", &user("operator"), &change)
        .await
        .ok();

    let reboot = async || {
        let answer = server
            .post("RebootBroker", &format!("{path}/reboot"), &Value::Null)
            .await;
        answer.ok();
        server.reaches(&id, "RUNNING").await
    };
    let running = reboot().await;
    assert_eq!(
        running["users"],
        json!([{"username": "ada"}, {"username": "operator"}])
    );
    let found = server.get("DescribeUser", &user("operator"), "").await.ok();
    assert_eq!(found["groups"], json!(["readers"]));

    server.delete("DeleteUser", &user("ada"), "").await.ok();
    let going = server.put("UpdateUser", &user("ada"), &change).await;
    going.is_error(409, "ConflictException");
    // Made again before the start that would remove it, it is changed instead.
    server.post("CreateUser", &user("ada"), &body).await.ok();
    let found = server.get("DescribeUser", &user("ada"), "").await.ok();
    assert_eq!(found["pending"]["pendingChange"], json!("UPDATE"));
    server.delete("DeleteUser", &user("ada"), "").await.ok();
    // One that no start has made goes at once.
    server.post("CreateUser", &user("brief"), &body).await.ok();
    server.delete("DeleteUser", &user("brief"), "").await.ok();
    let gone = server.get("DescribeUser", &user("brief"), "").await;
    gone.is_error(404, "NotFoundException");
    let running = reboot().await;
    assert_eq!(running["users"], json!([{"username": "operator"}]));

    for (operation, change, attribute) in [
        ("CreateUser", json!({}), json!("password")),
        (
            "CreateUser",
            json!({"password": "short"}),
            json!("password"),
        ),
        (
            "CreateUser",
            json!({"password": "correct-horse-battery", "groups": ["a b"]}),
            json!("groups"),
        ),
        (
            "CreateUser",
            json!({
                "password": "correct-horse-battery", "consoleAccess": true, "replicationUser": true,
            }),
            Value::Null,
        ),
    ] {
        let answer = server.post(operation, &user("new"), &change).await;
        let body = answer.is_error(400, "BadRequestException");
        assert_eq!(body["errorAttribute"], attribute, "{change}");
    }
    let short = server.post("CreateUser", &user("x"), &body).await;
    assert_eq!(
        short.is_error(400, "BadRequestException")["errorAttribute"],
        json!("username")
    );
    let unknown = server.put("UpdateUser", &user("nobody"), &change).await;
    unknown.is_error(404, "NotFoundException");
}

#[tokio::test]
async fn a_directory_keeps_the_users_and_its_secret_is_never_told() {
    let server = Server::start_simulated().await;
    let directory = json!({
        "hosts": ["ldap.example.org"],
        "roleBase": "ou=groups,dc=example,dc=org",
        "roleSearchMatching": "(member:=uid={1})",
        "serviceAccountPassword": "open-sesame-1",
        "serviceAccountUsername": "cn=amq,dc=example,dc=org",
        "userBase": "ou=users,dc=example,dc=org",
        "userSearchMatching": "(uid={0})",
        "userSearchSubtree": true,
    });
    let mut told = directory.clone();
    told.as_object_mut()
        .expect("an object")
        .remove("serviceAccountPassword");
    let request = with(
        activemq("orders"),
        &json!({
            "authenticationStrategy": "LDAP",
            "ldapServerMetadata": directory,
            "creatorRequestId": "once",
        }),
    );
    let id = server.create(&request).await;
    assert_eq!(server.create(&request).await, id, "a replay");
    let mut other = request.clone();
    other["ldapServerMetadata"]["serviceAccountPassword"] = json!("open-sesame-2");
    let conflict = server.post("CreateBroker", "/v1/brokers", &other).await;
    conflict.is_error(409, "ConflictException");
    server.settle(&id).await;
    let found = server.describe(&id).await;
    assert_eq!(found["authenticationStrategy"], json!("ldap"));
    assert_eq!(found["ldapServerMetadata"], told);
    assert!(!found.to_string().contains("open-sesame"));

    let path = format!("/v1/brokers/{id}");
    let same = json!({"ldapServerMetadata": directory});
    let updated = server.put("UpdateBroker", &path, &same).await.ok();
    assert_eq!(updated["ldapServerMetadata"], told);
    let found = server.describe(&id).await;
    assert_eq!(found.get("pendingLdapServerMetadata"), None);
    let mut moved = directory.clone();
    moved["hosts"] = json!(["ldap.example.org", "ldap-2.example.org"]);
    let change = json!({"ldapServerMetadata": moved});
    server.put("UpdateBroker", &path, &change).await.ok();
    let found = server.describe(&id).await;
    assert_eq!(found["ldapServerMetadata"], told);
    assert_eq!(found["pendingLdapServerMetadata"]["hosts"], moved["hosts"]);

    let change = json!({"authenticationStrategy": "SIMPLE"});
    server.put("UpdateBroker", &path, &change).await.ok();
    let found = server.describe(&id).await;
    assert_eq!(found["pendingAuthenticationStrategy"], json!("simple"));
    let change = json!({"authenticationStrategy": "SIMPLE", "ldapServerMetadata": directory});
    let refused = server.put("UpdateBroker", &path, &change).await;
    assert_eq!(
        refused.is_error(400, "BadRequestException")["message"],
        json!("[ldapServerMetadata] is only supported with authentication strategy [LDAP].")
    );
    let rabbit = with(broker("other"), &json!({"ldapServerMetadata": directory}));
    let answer = server.post("CreateBroker", "/v1/brokers", &rabbit).await;
    assert_eq!(
        answer.is_error(400, "BadRequestException")["message"],
        json!("[ldapServerMetadata] is not supported for engine type [RABBITMQ].")
    );
}

#[tokio::test]
async fn a_cluster_is_one_instance_whose_storage_grows() {
    let server = Server::start_simulated().await;
    let request = with(
        broker("orders"),
        &json!({
            "deploymentMode": "CLUSTER_MULTI_AZ",
            "hostInstanceType": "mq.m7g.large",
            "storageSize": 50,
        }),
    );
    let small = with(request.clone(), &json!({"storageSize": 10}));
    assert_eq!(
        refused(&server, &small).await,
        (
            json!("storageSize"),
            json!(
                "Storage size [10] is invalid for host instance type [mq.m7g.large]. Specify a \
                 multiple of 5 between [15] and [16384]."
            )
        )
    );
    let tiny = with(request.clone(), &json!({"hostInstanceType": "mq.t3.micro"}));
    assert_eq!(refused(&server, &tiny).await.0, json!("hostInstanceType"));
    let id = server.create(&request).await;
    let _hosts = simulate(server.pool()).await;
    let running = server.reaches(&id, "RUNNING").await;
    assert_eq!(server.count("nodes").await, 3);
    assert_eq!(running["subnetIds"].as_array().map(Vec::len), Some(3));
    assert_eq!(running["storageSize"], json!(50));
    let instances = running["brokerInstances"].as_array().expect("a list");
    assert_eq!(instances.len(), 1);
    assert_eq!(instances[0].get("ipAddress"), None);
    assert_eq!(instances[0]["endpoints"].as_array().map(Vec::len), Some(1));

    let path = format!("/v1/brokers/{id}");
    let grow = json!({"storageSize": 100});
    let updated = server.put("UpdateBroker", &path, &grow).await.ok();
    assert_eq!(updated["storageSize"], json!(100));
    let found = server.describe(&id).await;
    assert_eq!(found["storageSize"], json!(50));
    assert_eq!(found["pendingStorageSize"], json!(100));
    let shrink = server
        .put("UpdateBroker", &path, &json!({"storageSize": 45}))
        .await;
    assert_eq!(
        shrink.is_error(400, "BadRequestException")["message"],
        json!(
            "Storage size [50] can't be changed to [45]. The storage size can only be increased."
        )
    );
}

#[tokio::test]
async fn configurations_are_cleaned_and_what_went_is_told() {
    let server = Server::start_simulated().await;
    let request = json!({"name": "orders", "engineType": "ActiveMQ", "engineVersion": "5.18"});
    let made = server
        .post("CreateConfiguration", "/v1/configurations", &request)
        .await
        .ok();
    assert_eq!(
        made["latestRevision"]["description"],
        json!("Auto-generated default for orders on ActiveMQ 5.18")
    );
    let path = format!("/v1/configurations/{}", made["id"].as_str().expect("an id"));
    let put = async |text: &str| {
        let request = json!({"data": STANDARD.encode(text)});
        server.put("UpdateConfiguration", &path, &request).await
    };
    let data = async |revision: i32| {
        let path = format!("{path}/revisions/{revision}");
        let found = server.get("DescribeConfigurationRevision", &path, "").await;
        let data = found.ok()["data"].as_str().expect("data").to_owned();
        String::from_utf8(STANDARD.decode(data).expect("base64")).expect("text")
    };
    let default = data(1).await;
    let kept = put(&default).await.ok();
    assert_eq!(kept["warnings"], json!([]));
    assert_eq!(data(2).await, default);

    let dirty = "<broker xmlns=\"http://activemq.apache.org/schema/core\" brokerName=\"b\" \
                 persistent=\"${p}\">\r\n  <jetty/><plugins/>\r\n</broker>\r\n";
    let cleaned = put(dirty).await.ok();
    assert_eq!(
        cleaned["warnings"],
        json!([
            {
                "attributeName": "brokerName",
                "elementName": "broker",
                "reason": "DISALLOWED_ATTRIBUTE_REMOVED",
            },
            {
                "attributeName": "persistent",
                "elementName": "broker",
                "reason": "INVALID_ATTRIBUTE_VALUE_REMOVED",
            },
            {"elementName": "jetty", "reason": "DISALLOWED_ELEMENT_REMOVED"},
        ])
    );
    assert_eq!(
        data(3).await,
        "<broker xmlns=\"http://activemq.apache.org/schema/core\">\r\n  <plugins/>\r\n</broker>\r\n"
    );
    let broken = put("<broker>").await;
    assert_eq!(
        broken.is_error(400, "BadRequestException"),
        json!({
            "errorAttribute": "data",
            "message": "The specified XML configuration data is invalid: the root node was opened \
                        but never closed.",
        })
    );
    let rabbit = put("heartbeat = 60").await;
    rabbit.is_error(400, "BadRequestException");
    assert_eq!(server.count("configuration_revisions").await, 3);
}

#[tokio::test]
async fn options_tell_the_modes_and_storage_that_there_are() {
    let server = Server::start_simulated().await;
    let ask = async |query: &str| {
        let path = "/v1/broker-instance-options";
        let answer = server
            .get("DescribeBrokerInstanceOptions", path, query)
            .await;
        answer.ok()["brokerInstanceOptions"].clone()
    };
    let options = ask("engineType=ACTIVEMQ&hostInstanceType=mq.m5.large").await;
    let modes = |options: &Value, storage: &str| {
        let mut options = options.as_array().expect("a list").iter();
        let option = options.find(|option| option["storageType"] == storage);
        option.map(|option| option["supportedDeploymentModes"].clone())
    };
    assert_eq!(modes(&options, "EBS"), Some(json!(["SINGLE_INSTANCE"])));
    assert_eq!(
        modes(&options, "EFS"),
        Some(json!(["SINGLE_INSTANCE", "ACTIVE_STANDBY_MULTI_AZ"]))
    );
    let options = ask("engineType=ACTIVEMQ&hostInstanceType=mq.t3.micro").await;
    assert_eq!(modes(&options, "EBS"), None);
    let options = ask("engineType=RABBITMQ&hostInstanceType=mq.m7g.large").await;
    assert_eq!(
        modes(&options, "EBS"),
        Some(json!(["SINGLE_INSTANCE", "CLUSTER_MULTI_AZ"]))
    );
    assert_eq!(modes(&options, "EFS"), None);
}

#[tokio::test]
async fn strict_or_not_decides_whether_a_deletion_waits_for_the_creation() {
    for (parity, waits) in [(Parity::Extended, true), (Parity::Strict, false)] {
        let server = Server::start_as(parity, SimulatedHosts::Present).await;
        let id = server.create(&standby("orders")).await;
        let path = format!("/v1/brokers/{id}");
        let answer = server.delete("DeleteBroker", &path, "").await;
        if waits {
            answer.ok();
            let state = server.describe(&id).await["brokerState"].clone();
            assert_eq!(state, json!("DELETION_IN_PROGRESS"));
        } else {
            answer.is_error(400, "BadRequestException");
        }
    }
}
