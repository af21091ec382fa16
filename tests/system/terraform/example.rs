//! The module of `infra/examples`, as its README says to use it.

use serde_json::{Value, json};
use test_support::directory;
use test_support::network::eventually;

use super::program::Terraform;
use super::workspace::{Workspace, assert_alike};
use crate::patience::PATIENCE;
use crate::tree::Tree;

const BROKER: &str = "module.broker.aws_mq_broker.this";
const CONFIGURATION: &str = "module.broker.aws_mq_configuration.this";

#[test]
fn the_example_is_applied_changed_imported_and_destroyed() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let tree = Tree::start();
    let source = directory::repository().join("infra/examples/terraform");
    let mut workspace = Workspace::copy(terraform, tree.credentials(), &source);
    workspace.set("endpoint", format!("http://127.0.0.1:{}", tree.port));
    workspace.run(&["fmt", "-check", "-recursive"]);
    workspace.run(&["validate"]);

    workspace.apply();
    workspace.assert_settled();
    workspace.assert_read_alike("aws_mq_broker");
    workspace.assert_read_alike("aws_mq_configuration");
    let made = workspace.outputs()["broker"].clone();
    let endpoint = made["endpoints"][0].as_str().expect("an endpoint");
    assert!(endpoint.starts_with("amqps://"), "{made}");
    let id = made["id"].as_str().expect("an id");
    let broker = tree.aws(&["describe-broker", "--broker-id", id]);
    assert_eq!(broker["BrokerState"], "RUNNING");
    assert_eq!(broker["BrokerArn"], made["arn"]);
    assert_eq!(broker["Tags"], json!({"made-by": "terraform"}));
    assert_eq!(current(&broker)["Revision"], 2);

    let node = tree.nodes();
    workspace.set("consumer_timeout_ms", "60000");
    workspace.apply();
    workspace.assert_settled();
    assert_eq!(workspace.outputs()["broker"], made, "the endpoints stay");
    let broker = tree.aws(&["describe-broker", "--broker-id", id]);
    assert_eq!(current(&broker)["Revision"], 3);
    assert_ne!(tree.nodes(), node, "the change has rebooted the broker");

    let node = tree.nodes();
    workspace.set("password", "another-horse-battery");
    assert_eq!(
        workspace.plan().into_iter().collect::<Vec<_>>(),
        [],
        "the provider leaves users of a RabbitMQ broker alone"
    );

    imported_as_it_was(&workspace, id);
    assert_eq!(tree.nodes(), node, "an import changes nothing");

    workspace.destroy();
    let left = tree.aws(&["list-brokers"]);
    assert_eq!(left["BrokerSummaries"], json!([]));
    eventually("the node's process is gone", PATIENCE, || {
        tree.nodes().is_empty().then_some(())
    });
}

/// Forgets both resources and takes them in again: what is read says all that was applied.
fn imported_as_it_was(workspace: &Workspace, id: &str) {
    let before = ["aws_mq_broker", "aws_mq_configuration"].map(|kind| workspace.attributes(kind));
    let configuration = before[1]["id"].as_str().expect("an id");
    workspace.run(&["state", "rm", BROKER, CONFIGURATION]);
    workspace.import(CONFIGURATION, configuration);
    workspace.import(BROKER, id);
    let after = ["aws_mq_broker", "aws_mq_configuration"].map(|kind| workspace.attributes(kind));
    for (before, after) in before.iter().zip(&after) {
        for (name, value) in before {
            match name.as_str() {
                // Not of the broker, but of how it is changed.
                "apply_immediately" | "timeouts" => {}
                "user" => {
                    assert_eq!(after[name][0]["username"], value[0]["username"]);
                    assert_eq!(after[name][0]["password"], "", "it is told to nobody");
                }
                _ => assert_alike(name, &after[name], value),
            }
        }
    }
    // Only `apply_immediately` is new to it, which the broker is not told.
    let planned = workspace.plan();
    let only = [(BROKER.to_owned(), "update".to_owned())];
    assert_eq!(planned, only.into());
    workspace.apply();
    workspace.assert_settled();
}

fn current(broker: &Value) -> &Value {
    &broker["Configurations"]["Current"]
}
