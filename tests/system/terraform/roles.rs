//! Terraform as a role of the account, as pipelines run it.

use serde_json::{Value, json};

use super::program::Terraform;
use super::workspace::Workspace;
use crate::installation::Installation;

const ACCOUNT: &str = "acme";
const USER: &str = "pipeline";

#[test]
fn the_provider_may_do_what_the_role_that_it_assumes_may() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let installation = Installation::start();
    let account = installation.administer(&["account", "create", "--name", ACCOUNT]);
    let account = account.trim();
    installation.administer(&["user", "create", "--account", ACCOUNT, "--name", USER]);
    let key = installation.key(&["--account", ACCOUNT, "--user", USER]);
    role(&installation, account, "deployer", "AmazonMQFullAccess");
    role(&installation, account, "auditor", "AmazonMQReadOnlyAccess");

    let environment = Installation::environment(&key, &installation.endpoint(0));
    let workspace = Workspace::new(terraform, environment, &orders(account, "auditor"));
    let said = workspace.refused(&["apply", "-auto-approve", "-no-color"]);
    let denied = format!(
        "User: arn:aws:sts::{account}:assumed-role/auditor/terraform is not authorized to perform: \
         mq:CreateConfiguration"
    );
    assert!(said.contains(&denied), "{said}");

    workspace.write(&orders(account, "deployer"));
    workspace.apply();
    workspace.assert_settled();
    // Who may only read sees all of it.
    workspace.write(&orders(account, "auditor"));
    workspace.assert_settled();
}

/// A role that the user may assume.
fn role(installation: &Installation, account: &str, name: &str, policy: &str) {
    let trust = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": format!("arn:aws:iam::{account}:user/{USER}")},
    }});
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(file.path(), trust.to_string()).expect("the file is writable");
    let file = file.path().to_str().expect("a path of plain letters");
    installation.administer(&[
        "role",
        "create",
        "--account",
        ACCOUNT,
        "--name",
        name,
        "--trust-policy",
        file,
    ]);
    let principal = format!("role/{name}");
    installation.administer(&[
        "policy",
        "attach",
        "--account",
        ACCOUNT,
        "--principal",
        &principal,
        "--name",
        policy,
    ]);
}

fn orders(account: &str, role: &str) -> Value {
    json!({
        "provider": {"aws": {"assume_role": {
            "role_arn": format!("arn:aws:iam::{account}:role/{role}"),
            "session_name": "terraform",
        }}},
        "resource": {"aws_mq_configuration": {"orders": {
            "name": "orders", "engine_type": "RabbitMQ", "engine_version": "4.2",
            "data": "consumer_timeout = 60000\n",
        }}},
    })
}
