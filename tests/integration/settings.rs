//! Configurations on their way to the nodes, and back when these do not take them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use warren::db;
use warren::model::audit::AuditFilter;
use warren::model::broker::State;
use warren::model::configuration::ConfigurationRef;
use warren::model::{BrokerId, ConfigurationId};

use crate::fleet::{Agents, Fleet};

const HEADERS: &str = "secure.management.http.headers.enabled";

/// A configuration with `text` as its second revision, which the broker shall have after the next reboot.
async fn stage(fleet: &Fleet, id: &BrokerId, text: &str) -> ConfigurationRef {
    let (app, caller) = (&fleet.app, &fleet.caller);
    let request = json!({"name": "next", "engineType": "RABBITMQ", "engineVersion": "4.2"});
    let request = serde_json::from_value(request).expect("a request");
    let made = app
        .create_configuration(caller, request)
        .await
        .expect("made");
    let update = serde_json::from_value(json!({"data": STANDARD.encode(text)}));
    let update = update.expect("a request");
    app.update_configuration(caller, made.id.as_str(), update)
        .await
        .expect("updated");
    let change = serde_json::from_value(json!({"configuration": {"id": made.id.as_str()}}));
    let change = change.expect("a request");
    app.update_broker(caller, id.as_str(), change)
        .await
        .expect("staged");
    reference(&made.id)
}

fn reference(id: &ConfigurationId) -> ConfigurationRef {
    ConfigurationRef {
        id: id.clone(),
        revision: 2,
    }
}

#[tokio::test]
async fn a_reboot_takes_the_settings_to_the_node() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet.work();
    let id = fleet.create("orders").await;
    let first = fleet.told(|intent| intent.generation == 1).await;
    assert_eq!(first.configuration.settings["consumer_timeout"], "1800000");
    assert_eq!(first.configuration.settings[HEADERS], "true");
    assert_eq!(first.proven_configuration, None);
    assert_eq!(
        first.defaults.policies[0].name,
        "AWS-DEFAULT-POLICY-SINGLE-INSTANCE"
    );
    let limits = first.defaults.limits.expect("limits of the instance type");
    assert_eq!((limits.connections_max, limits.queues_max), (100, 2500));
    fleet.reaches(&id, Some(State::Running)).await;

    let text = format!("heartbeat = 90\n{HEADERS} = false\n");
    let next = stage(&fleet, &id, &text).await;
    fleet.reboot(&id).await;
    let second = fleet.told(|intent| intent.generation == 2).await;
    assert_eq!(second.configuration.id, next.id.to_string());
    assert_eq!(second.configuration.settings["heartbeat"], "90");
    assert_eq!(second.configuration.settings[HEADERS], "false");
    assert_eq!(second.proven_configuration, Some(first.configuration));
    let running = fleet.reaches(&id, Some(State::Running)).await;
    assert_eq!(running.expect("a broker").current().configuration, next);
    fleet.stop().await;
}

#[tokio::test]
async fn a_configuration_that_nodes_do_not_take_is_dropped_and_told() {
    let mut fleet = Fleet::start(Agents::Conservative, 1).await;
    fleet.work();
    let id = fleet.create("orders").await;
    let created = fleet.reaches(&id, Some(State::Running)).await;
    let created = created.expect("a broker");
    let next = stage(&fleet, &id, "heartbeat = 90\n").await;
    fleet.reboot(&id).await;
    fleet.told(|intent| intent.generation == 2).await;

    let running = fleet.reaches(&id, Some(State::Running)).await;
    let running = running.expect("a broker");
    assert_eq!(running.applied_generation, 2);
    assert_eq!(
        running.current(),
        created.current(),
        "it goes on with what it had"
    );
    assert_eq!(
        running.next(),
        *created.current(),
        "and will after the next reboot"
    );
    assert_eq!(running.configuration_history, []);

    let (app, caller) = (&fleet.app, &fleet.caller);
    let described = app.describe_maintenance(caller, id.as_str()).await;
    let rejected = described.expect("described").rejected_configuration;
    let rejected = rejected.expect("a sign of what happened");
    assert_eq!((rejected.id, rejected.revision), (next.id.to_string(), 2));
    assert_eq!(rejected.reason, "the node did not come up with it");

    let filter = AuditFilter {
        action: Some("mq:RejectConfiguration".to_owned()),
        ..AuditFilter::default()
    };
    let mut conn = fleet.database.pool.acquire().await.expect("a connection");
    let events = db::audit_list(&mut conn, &caller.scope(), &filter, None, 10).await;
    let events = events.expect("events");
    assert_eq!(events.len(), 1, "told once");
    let error = events[0].error.as_ref().expect("why");
    assert_eq!(error.message, "the node did not come up with it");
    fleet.stop().await;
}

#[tokio::test]
async fn data_that_nobody_reads_any_more_keeps_no_broker_from_its_reboot() {
    let mut fleet = Fleet::start(Agents::Willing, 1).await;
    fleet.work();
    let id = fleet.create("orders").await;
    let created = fleet.reaches(&id, Some(State::Running)).await;
    let next = stage(&fleet, &id, "heartbeat = 90\n").await;
    sqlx::query("update configuration_revisions set data = '%' where configuration_id = $1")
        .bind(next.id.as_str())
        .execute(&fleet.database.pool)
        .await
        .expect("the row can be changed");
    fleet.reboot(&id).await;
    let running = fleet.reaches(&id, Some(State::Running)).await;
    let (created, running) = (created.expect("a broker"), running.expect("a broker"));
    assert_eq!(running.current(), created.current());
    assert_eq!(running.applied_generation, 2);
    fleet.stop().await;
}
