//! The AWS CLI and our own, against one installation.

use std::process::Command;

use serde_json::Value;
use test_support::directory;
use test_support::python::{client, printed, succeed};

use crate::tree::{Tree, clean};

#[test]
fn the_aws_cli_manages_a_broker() {
    let tree = Tree::start();
    let aws = |arguments: &[&str]| {
        let mut command = client("aws");
        tree.equip(&mut command);
        let printed = succeed(command.args(["--output", "json", "mq"]).args(arguments));
        if printed.trim().is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&printed).expect("the AWS CLI prints JSON")
        }
    };
    let created = aws(&[
        "create-broker",
        "--broker-name=from-aws-cli",
        "--engine-type=RABBITMQ",
        "--engine-version=3.13",
        "--deployment-mode=SINGLE_INSTANCE",
        "--host-instance-type=mq.m7g.medium",
        "--no-publicly-accessible",
        "--auto-minor-version-upgrade",
        "--users=Username=operator,Password=correct-horse-battery",
        "--tags=team=blue",
    ]);
    let id = created["BrokerId"].as_str().expect("an id");
    let found = aws(&["describe-broker", "--broker-id", id]);
    assert_eq!(found["EngineType"], "RabbitMQ");
    let arn = found["BrokerArn"].as_str().expect("an ARN");
    aws(&["create-tags", "--resource-arn", arn, "--tags", "stage=test"]);
    aws(&["delete-tags", "--resource-arn", arn, "--tag-keys", "team"]);
    assert_eq!(
        aws(&["list-tags", "--resource-arn", arn])["Tags"],
        serde_json::json!({"stage": "test"})
    );
    assert_eq!(aws(&["list-brokers"])["BrokerSummaries"][0]["BrokerId"], id);
    aws(&["delete-broker", "--broker-id", id]);
}

#[test]
fn our_own_verbs_do_the_same() {
    let tree = Tree::start();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(directory::binary("warren"));
        clean(&mut command);
        tree.equip(&mut command);
        command.args(arguments);
        command
    };
    let warren = |arguments: &[&str]| succeed(&mut command(arguments));
    let json = |arguments: &[&str]| -> Value {
        let printed = warren(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    };

    warren(&[
        "broker",
        "create",
        "orders",
        "--user",
        "operator",
        "--password",
        "correct-horse-battery",
        "--wait",
    ]);
    assert!(warren(&["broker", "list"]).contains("orders"));
    let shown = json(&["broker", "show", "orders"]);
    assert_eq!(shown["brokerState"], "RUNNING", "{shown}");
    let information = warren(&["broker", "connect-info", "orders"]);
    assert!(
        information.contains("amqps://") && information.contains("pika"),
        "{information}"
    );
    assert!(warren(&["user", "list", "orders"]).contains("operator"));

    let settings = tree.data.join("rabbitmq.conf");
    std::fs::write(&settings, "# Beat slower\nheartbeat = 120\n").expect("a file can be written");
    let made = json(&["configuration", "create", "calm"]);
    let file = settings.to_str().expect("a plain path");
    warren(&[
        "configuration",
        "update",
        "calm",
        file,
        "--description",
        "why",
    ]);
    assert!(warren(&["configuration", "revisions", "calm"]).contains("why"));
    assert_eq!(
        warren(&["configuration", "data", "calm"]),
        "# Beat slower\nheartbeat = 120\n"
    );
    let id = made["id"].as_str().expect("an id");
    let changes = ["--configuration", id, "--instance-type", "mq.m7g.large"];
    let updated = warren(&[&["broker", "update", "orders"], &changes[..]].concat());
    assert!(updated.contains("next reboot"), "{updated}");
    assert!(warren(&["broker", "show", "orders"]).contains("instance type mq.m7g.large"));

    warren(&["broker", "reboot", "orders", "--wait"]);
    let shown = json(&["broker", "show", "orders"]);
    assert_eq!(shown["hostInstanceType"], "mq.m7g.large", "{shown}");
    assert_eq!(shown["configurations"]["current"]["revision"], 2, "{shown}");
    warren(&["broker", "delete", "orders", "--wait"]);
    warren(&["configuration", "delete", "calm"]);
    assert!(!warren(&["configuration", "list"]).contains("calm"));
    assert!(!warren(&["broker", "list"]).contains("orders"));

    let missing = command(&["broker", "show", "orders"])
        .output()
        .expect("warren can be run");
    assert!(!missing.status.success());
    assert!(
        printed(&missing).contains("orders"),
        "{}",
        printed(&missing)
    );
}
