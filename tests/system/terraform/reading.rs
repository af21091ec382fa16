//! Data sources, and configurations, whose text must come back as it was written.

use serde_json::{Value, json};

use super::program::Terraform;
use super::workspace::{Workspace, assert_alike};
use crate::tree::Tree;

/// As people write it: comments, indents, empty lines.
const RABBITMQ: &str = "# Orders wait long.\n\n  consumer_timeout   =  60000  \nheartbeat = 60\n";

#[test]
fn a_configuration_comes_back_as_it_was_written() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let tree = Tree::start();
    let orders = |data: &str, description: &str, team: &str| {
        json!({"resource": {"aws_mq_configuration": {"orders": {
            "name": "orders", "engine_type": "RabbitMQ", "engine_version": "4.2",
            "data": data, "description": description, "tags": {"team": team},
        }}}})
    };
    let workspace = Workspace::new(
        terraform,
        tree.credentials(),
        &orders(RABBITMQ, "Ours", "blue"),
    );
    workspace.apply();
    workspace.assert_settled();
    let longer = RABBITMQ.replace("60000", "90000");
    workspace.write(&orders(&longer, "Ours, \u{fc}berarbeitet", "red"));
    workspace.apply();
    workspace.assert_settled();
    let listed = tree.aws(&["list-configurations"]);
    let found = &listed["Configurations"][0];
    assert_eq!(found["LatestRevision"]["Revision"], 3);
    assert_eq!(
        found["LatestRevision"]["Description"],
        "Ours, \u{fc}berarbeitet"
    );
    assert_eq!(found["Tags"], json!({"team": "red"}));
}

#[test]
fn data_sources_say_what_the_api_says() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let tree = Tree::start();
    let configuration = json!({
        "resource": {"aws_mq_broker": {"orders": {
            "broker_name": "orders",
            "auto_minor_version_upgrade": true,
            "engine_type": "RabbitMQ",
            "engine_version": "4.2",
            "host_instance_type": "mq.m7g.medium",
            "user": {"username": "operator", "password": "correct-horse-battery"},
        }}},
        "data": {
            "aws_caller_identity": {"this": {}},
            "aws_mq_broker": {
                "by_id": {"broker_id": "${aws_mq_broker.orders.id}"},
                "by_name": {"broker_name": "${aws_mq_broker.orders.broker_name}"},
            },
            "aws_mq_broker_engine_types": {
                "all": {},
                "rabbitmq": {"engine_type": "RABBITMQ"},
            },
            "aws_mq_broker_instance_type_offerings": {
                "all": {},
                "large": {
                    "engine_type": "RABBITMQ",
                    "host_instance_type": "mq.m7g.large",
                    "storage_type": "EBS",
                },
            },
        },
        "output": {
            "account": {"value": "${data.aws_caller_identity.this.account_id}"},
            "by_id": {"value": "${data.aws_mq_broker.by_id}", "sensitive": true},
            "by_name": {"value": "${data.aws_mq_broker.by_name}", "sensitive": true},
            "engines": {"value": "${data.aws_mq_broker_engine_types.all.broker_engine_types}"},
            "rabbitmq": {"value": "${data.aws_mq_broker_engine_types.rabbitmq.broker_engine_types}"},
            "offerings": {
                "value": "${data.aws_mq_broker_instance_type_offerings.all.broker_instance_options}",
            },
            "large": {
                "value": "${data.aws_mq_broker_instance_type_offerings.large.broker_instance_options}",
            },
        },
    });
    let workspace = Workspace::new(terraform, tree.credentials(), &configuration);
    workspace.apply();
    workspace.assert_settled();
    let said = workspace.outputs();

    assert_eq!(said["by_id"], said["by_name"]);
    let broker = workspace.attributes("aws_mq_broker");
    let arn = broker["arn"].as_str().expect("an ARN");
    assert_eq!(arn.split(':').nth(4), said["account"].as_str());
    for (name, value) in &broker {
        if let Some(found) = said["by_id"].get(name).filter(|_| name != "user") {
            assert_alike(name, found, value);
        }
    }
    let users: Vec<_> = list(&said["by_id"]["user"]);
    assert_eq!(users.len(), 1);
    assert_eq!(users[0]["username"], "operator");

    let engines = tree.aws(&["describe-broker-engine-types", "--max-results", "100"]);
    let engines = list(&engines["BrokerEngineTypes"]);
    let named = |name: &str, found: &[Value]| {
        found
            .iter()
            .map(|found| found[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        named("engine_type", &list(&said["engines"])),
        named("EngineType", &engines)
    );
    let rabbitmq = list(&said["rabbitmq"]);
    assert_eq!(named("engine_type", &rabbitmq), ["RABBITMQ"]);
    assert_eq!(
        rabbitmq[0]["engine_versions"],
        json!([{"name": "4.2"}, {"name": "3.13"}])
    );

    // More of them than one page has.
    let mut options = 0;
    for engine in ["ACTIVEMQ", "RABBITMQ", "LAVINMQ"] {
        let page = tree.aws(&[
            "describe-broker-instance-options",
            "--max-results",
            "100",
            "--engine-type",
            engine,
        ]);
        assert_eq!(page.get("NextToken"), None);
        options += list(&page["BrokerInstanceOptions"]).len();
    }
    assert_eq!(list(&said["offerings"]).len(), options);
    let large = list(&said["large"]);
    assert_eq!(named("host_instance_type", &large), ["mq.m7g.large"]);
    assert_eq!(named("storage_type", &large), ["EBS"]);
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("a list").clone()
}
