//! What a user reads when something cannot be had.

use serde_json::{Value, json};

use super::program::Terraform;
use super::workspace::{Workspace, merge};
use crate::tree::Tree;

fn broker(changes: &Value) -> Value {
    let mut arguments = json!({
        "broker_name": "orders",
        "auto_minor_version_upgrade": true,
        "engine_type": "RabbitMQ",
        "engine_version": "4.2",
        "host_instance_type": "mq.m7g.medium",
        "user": {"username": "operator", "password": "correct-horse-battery"},
    });
    merge(&mut arguments, changes);
    json!({"resource": {"aws_mq_broker": {"orders": arguments}}})
}

#[test]
fn refusals_reach_the_user_in_the_words_of_the_api() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let tree = Tree::start();
    let workspace = Workspace::new(terraform.clone(), tree.credentials(), &broker(&json!({})));
    let apply = ["apply", "-auto-approve", "-no-color"];
    for (changes, text) in [
        (
            json!({"host_instance_type": "mq.m9.huge"}),
            "[mq.m9.huge] is invalid",
        ),
        (
            json!({"deployment_mode": "CLUSTER_MULTI_AZ"}),
            "Deployment mode [CLUSTER_MULTI_AZ] is not available yet.",
        ),
        (
            json!({"engine_version": "2.8"}),
            "Broker engine version [2.8] is invalid for broker engine type [RABBITMQ].",
        ),
        (
            json!({"encryption_options": {
                "use_aws_owned_key": false,
                "kms_key_id": "arn:aws:kms:us-east-1:123456789012:key/orders",
            }}),
            "Customer managed keys are not available yet.",
        ),
    ] {
        workspace.write(&broker(&changes));
        let said = workspace.refused(&apply);
        assert!(said.contains("BadRequestException"), "{said}");
        assert!(said.contains(text), "{said}");
    }
    let left = tree.aws(&["list-brokers"]);
    assert_eq!(left["BrokerSummaries"], json!([]), "nothing is left behind");

    // A wrong key is found before anything is planned.
    let mut environment = tree.credentials();
    environment.insert("AWS_SECRET_ACCESS_KEY".to_owned(), "x".repeat(40));
    let stranger = Workspace::new(terraform, environment, &broker(&json!({})));
    let said = stranger.refused(&["plan", "-no-color"]);
    assert!(said.contains("SignatureDoesNotMatch"), "{said}");
}
