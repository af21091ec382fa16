//! What only ActiveMQ brokers have: users that Terraform keeps, XML, several instances, audit logs.
//! No engine serves them yet: their hosts are simulated.

use serde_json::{Value, json};

use super::program::Terraform;
use super::simulated::Simulated;
use super::workspace::{Workspace, merge, text_of};
use crate::tree::aws;

/// As people write it: a declaration, comments, indents.
const DATA: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<broker xmlns="http://activemq.apache.org/schema/core">
  <!-- Nobody may fill the disk. -->
  <plugins>
    <forcePersistencyModeBrokerPlugin persistenceFlag="true"/>
    <statisticsBrokerPlugin/>
    <timeStampingBrokerPlugin ttlCeiling="86400000" zeroExpirationOverride="86400000"/>
  </plugins>
</broker>
"#;

fn whole(broker: &Value, data: &str) -> Value {
    let mut arguments = json!({
        "apply_immediately": true,
        "authentication_strategy": "simple",
        "auto_minor_version_upgrade": true,
        "broker_name": "orders",
        "configuration": {
            "id": "${aws_mq_configuration.orders.id}",
            "revision": "${aws_mq_configuration.orders.latest_revision}",
        },
        "deployment_mode": "ACTIVE_STANDBY_MULTI_AZ",
        "encryption_options": {"use_aws_owned_key": true},
        "engine_type": "ActiveMQ",
        "engine_version": "5.18",
        "host_instance_type": "mq.m5.large",
        "logs": {"audit": true, "general": true},
        "security_groups": ["sg-0123456789abcdef0"],
        "storage_type": "efs",
        "subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        "user": [
            user("ada", "correct-horse-battery", true, &["admins", "operators"]),
            user("grace", "correct-horse-battery", false, &[]),
        ],
    });
    merge(&mut arguments, broker);
    json!({"resource": {
        "aws_mq_broker": {"orders": arguments},
        "aws_mq_configuration": {"orders": {
            "name": "orders", "engine_type": "ActiveMQ", "engine_version": "5.18",
            "authentication_strategy": "simple", "data": data,
        }},
    }})
}

fn user(name: &str, password: &str, console_access: bool, groups: &[&str]) -> Value {
    json!({
        "username": name,
        "password": password,
        "console_access": console_access,
        "groups": groups,
    })
}

/// The provider keeps groups as a set, and sends them in an order of its own.
fn sorted(groups: &Value) -> Vec<String> {
    let groups = groups.as_array().expect("a list");
    let mut names: Vec<_> = groups.iter().map(text_of).collect();
    names.sort_unstable();
    names
}

#[test]
fn users_xml_and_all_that_rabbitmq_lacks_are_applied_and_read_back() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let simulated = Simulated::start();
    let workspace = Workspace::new(
        terraform,
        simulated.environment.clone(),
        &whole(&json!({}), DATA),
    );
    workspace.apply();
    workspace.assert_settled();
    workspace.assert_read_alike("aws_mq_broker");
    workspace.assert_read_alike("aws_mq_configuration");
    let id = text_of(&workspace.attributes("aws_mq_broker")["id"]);
    let describe = || {
        aws(
            &simulated.environment,
            &["describe-broker", "--broker-id", &id],
        )
    };
    let users = || {
        let broker = describe();
        let users = broker["Users"].as_array().expect("a list").clone();
        users
            .into_iter()
            .map(|user| {
                assert_eq!(user.get("PendingChange"), None, "{user}");
                let name = text_of(&user["Username"]);
                let of = ["describe-user", "--broker-id", &id, "--username", &name];
                let user = aws(&simulated.environment, &of);
                (name, user["ConsoleAccess"] == true, sorted(&user["Groups"]))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        users(),
        [
            (
                "ada".to_owned(),
                true,
                vec!["admins".to_owned(), "operators".to_owned()]
            ),
            ("grace".to_owned(), false, vec![]),
        ]
    );
    let broker = describe();
    assert_eq!(broker["BrokerInstances"].as_array().map(Vec::len), Some(2));
    assert_eq!(broker["Logs"]["Audit"], true);

    // One is made, one changed, one removed; the reboot applies it.
    let others = json!({"user": [
        user("ada", "another-horse-battery", false, &["operators"]),
        user("linus", "correct-horse-battery", true, &[]),
    ]});
    workspace.write(&whole(&others, DATA));
    workspace.apply();
    workspace.assert_settled();
    assert_eq!(
        users(),
        [
            ("ada".to_owned(), false, vec!["operators".to_owned()]),
            ("linus".to_owned(), true, vec![]),
        ]
    );

    // The provider knows XML that says the same.
    let mut changes = others;
    workspace.write(&whole(&changes, &DATA.replace("  ", "\t")));
    workspace.assert_settled();

    merge(
        &mut changes,
        &json!({
            "engine_version": "5.19",
            "host_instance_type": "mq.m5.xlarge",
            "logs": {"audit": false},
            "security_groups": ["sg-0123456789abcdef1", "sg-0123456789abcdef2"],
        }),
    );
    workspace.write(&whole(&changes, &DATA.replace("86400000", "3600000")));
    workspace.apply();
    workspace.assert_settled();
    let broker = describe();
    assert_eq!(broker["EngineVersion"], "5.19");
    assert_eq!(broker["HostInstanceType"], "mq.m5.xlarge");
    assert_eq!(broker["Logs"]["Audit"], false);
    assert_eq!(broker["SecurityGroups"].as_array().map(Vec::len), Some(2));
    assert_eq!(broker["Configurations"]["Current"]["Revision"], 3);

    workspace.run(&["state", "rm", "aws_mq_broker.orders"]);
    workspace.import("aws_mq_broker.orders", &id);
    // Passwords are told to nobody: to the provider each may be another now.
    let planned = workspace.plan();
    assert_eq!(planned.keys().collect::<Vec<_>>(), ["aws_mq_broker.orders"]);
    workspace.apply();
    workspace.assert_settled();
    assert_eq!(text_of(&workspace.attributes("aws_mq_broker")["id"]), id);
    workspace.destroy();
    let left = aws(&simulated.environment, &["list-brokers"]);
    assert_eq!(left["BrokerSummaries"], json!([]));
}
