//! AWS's own clients for JavaScript and Rust, against one installation each.

use std::process::Command;
use std::time::Duration;

use aws_sdk_mq::Client;
use aws_sdk_mq::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_mq::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_mq::operation::describe_broker::{DescribeBrokerError, DescribeBrokerOutput};
use aws_sdk_mq::types::{BrokerState, DeploymentMode, EngineType, User};
use test_support::programs::{self, Sources};
use test_support::{directory, python};

use crate::patience::PATIENCE;
use crate::tree::Tree;

/// How often a state is asked for: AWS's client has no waiters for brokers.
const POLL: Duration = Duration::from_millis(50);

#[test]
fn the_sdk_for_javascript_leads_a_broker_through_its_life() {
    let Some(mut node) = javascript() else {
        return;
    };
    let tree = Tree::start();
    tree.equip(&mut node);
    assert!(python::succeed(&mut node).contains("done"));
}

/// The program with its packages beside it, once for all tests.
fn javascript() -> Option<Command> {
    let sources = Sources {
        directory: directory::repository().join("tests/javascript"),
        files: &["package.json", "package-lock.json", "lifecycle.mjs"],
    };
    let place = programs::prepared("sdk-javascript", &sources, &["node", "npm"], |place| {
        vec![programs::npm_ci(place)]
    })?;
    let mut node = Command::new("node");
    programs::without_settings_of_aws(&mut node);
    node.arg(place.join("lifecycle.mjs"));
    Some(node)
}

#[tokio::test]
async fn the_sdk_for_rust_leads_a_broker_through_its_life() {
    let tree = tokio::task::spawn_blocking(Tree::start)
        .await
        .expect("an installation starts");
    let client = rust(&tree);
    let operator = User::builder()
        .username("operator")
        .password("correct-horse-battery")
        .build();
    let create = || {
        client
            .create_broker()
            .broker_name("from-rust")
            .engine_type(EngineType::Rabbitmq)
            .engine_version("4.2")
            .deployment_mode(DeploymentMode::SingleInstance)
            .host_instance_type("mq.m7g.medium")
            .publicly_accessible(false)
            .auto_minor_version_upgrade(true)
            .tags("team", "blue")
            .users(operator.clone())
    };
    let created = create().send().await.expect("the request is good");
    let id = created.broker_id().expect("an id");
    let arn = created.broker_arn().expect("an ARN");
    let taken = create().send().await.expect_err("the name is taken");
    let taken = taken.into_service_error();
    assert!(taken.is_conflict_exception(), "{taken:?}");

    let broker = until_running(&client, id).await;
    // Its answer says `RabbitMQ`, which the SDK's enum of requests does not know.
    let engine = broker.engine_type().expect("an engine type");
    assert_eq!(engine.as_str(), "RabbitMQ");
    assert!(broker.created().is_some());
    let instance = broker.broker_instances().first().expect("one instance");
    assert!(instance.endpoints()[0].starts_with("amqps://"));
    let tags = client.list_tags().resource_arn(arn).send().await;
    let tags = tags.expect("the broker is there");
    assert_eq!(
        tags.tags().and_then(|tags| tags.get("team")),
        Some(&"blue".to_owned())
    );

    let update = client
        .update_broker()
        .broker_id(id)
        .host_instance_type("mq.m7g.large");
    update.send().await.expect("the change is good");
    let staged = describe(&client, id).await.expect("the broker is there");
    assert_eq!(staged.pending_host_instance_type(), Some("mq.m7g.large"));
    let reboot = client.reboot_broker().broker_id(id);
    reboot.send().await.expect("a running broker can reboot");
    let broker = until_running(&client, id).await;
    assert_eq!(broker.host_instance_type(), Some("mq.m7g.large"));

    let mut pages = client.list_brokers().max_results(1).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("every page is there");
        found.extend(
            page.broker_summaries()
                .iter()
                .filter_map(|one| one.broker_id().map(str::to_owned)),
        );
    }
    assert_eq!(found, [id]);

    let delete = client.delete_broker().broker_id(id);
    delete
        .send()
        .await
        .expect("a running broker can be deleted");
    let missing = loop {
        match describe(&client, id).await {
            Ok(broker) => assert_eq!(
                broker.broker_state(),
                Some(&BrokerState::DeletionInProgress)
            ),
            Err(error) => break error,
        }
        tokio::time::sleep(POLL).await;
    };
    assert!(missing.is_not_found_exception(), "{missing:?}");
    assert_eq!(missing.code(), Some("NotFoundException"));
}

fn rust(tree: &Tree) -> Client {
    let settings = tree.credentials();
    let setting = |name: &str| settings.get(name).expect("dev writes it").clone();
    let credentials = Credentials::new(
        setting("AWS_ACCESS_KEY_ID"),
        setting("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "a test",
    );
    let config = aws_sdk_mq::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(setting("AWS_REGION")))
        .endpoint_url(setting("AWS_ENDPOINT_URL_MQ"))
        .credentials_provider(credentials)
        .build();
    Client::from_conf(config)
}

async fn describe(client: &Client, id: &str) -> Result<DescribeBrokerOutput, DescribeBrokerError> {
    let answer = client.describe_broker().broker_id(id).send().await;
    answer.map_err(SdkError::into_service_error)
}

async fn until_running(client: &Client, id: &str) -> DescribeBrokerOutput {
    let running = async {
        loop {
            let broker = describe(client, id).await.expect("the broker is there");
            if broker.broker_state() == Some(&BrokerState::Running) {
                return broker;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, running)
        .await
        .expect("the broker comes up")
}
