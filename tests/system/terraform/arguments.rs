//! Every argument of `aws_mq_broker` that can be changed, at once and later.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_support::network::eventually;

use super::program::Terraform;
use super::workspace::{Workspace, merge, text_of};
use crate::patience::PATIENCE;
use crate::tree::Tree;

const BROKER: &str = "aws_mq_broker.orders";

/// A broker under Terraform.
struct Orders {
    tree: Tree,
    workspace: Workspace,
    configuration: Value,
}

impl Orders {
    fn apply(terraform: Terraform, broker: &Value) -> Self {
        let tree = Tree::start();
        let configuration = json!({"resource": {"aws_mq_broker": {"orders": broker}}});
        let workspace = Workspace::new(terraform, tree.credentials(), &configuration);
        workspace.apply();
        Self {
            tree,
            workspace,
            configuration,
        }
    }

    fn write(&mut self, changes: &Value) {
        let changes = json!({"resource": {"aws_mq_broker": {"orders": changes}}});
        merge(&mut self.configuration, &changes);
        self.workspace.write(&self.configuration);
    }

    /// Applies changes, which a new plan must not find again; returns the broker.
    fn change(&mut self, changes: &Value) -> Value {
        self.write(changes);
        self.workspace.apply();
        self.workspace.assert_settled();
        self.describe()
    }

    fn id(&self) -> String {
        text_of(&self.workspace.attributes("aws_mq_broker")["id"])
    }

    fn describe(&self) -> Value {
        self.tree
            .aws(&["describe-broker", "--broker-id", &self.id()])
    }
}

/// A broker with every argument that RabbitMQ has and that has no meaning for another engine only.
fn every_argument() -> Value {
    json!({
        "apply_immediately": true,
        "authentication_strategy": "simple",
        "auto_minor_version_upgrade": true,
        "broker_name": "orders",
        "data_replication_mode": "NONE",
        "deployment_mode": "SINGLE_INSTANCE",
        "encryption_options": {"use_aws_owned_key": true},
        "engine_type": "RabbitMQ",
        "engine_version": "3.13",
        "host_instance_type": "mq.m7g.medium",
        "logs": {"general": true},
        "maintenance_window_start_time":
            {"day_of_week": "MONDAY", "time_of_day": "02:00", "time_zone": "Europe/Berlin"},
        "publicly_accessible": true,
        "storage_type": "ebs",
        "tags": {"team": "blue", "stage": "test"},
        "user": {"username": "operator", "password": "correct-horse-battery"},
    })
}

#[test]
fn every_argument_that_changes_is_applied_and_read_back() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let mut orders = Orders::apply(terraform, &every_argument());
    orders.workspace.assert_settled();
    let id = orders.id();
    let created = orders.describe();
    assert_eq!(created["EngineVersion"], "3.13");
    assert_eq!(created["Logs"]["General"], true);

    // What acts at once reboots nothing.
    let node = orders.tree.nodes();
    let window = json!({"day_of_week": "FRIDAY", "time_of_day": "23:30", "time_zone": "UTC"});
    let broker = orders.change(&json!({
        "maintenance_window_start_time": window,
        "tags": {"team": "red", "stage": null, "cost-centre": "1+1 = @2/3"},
    }));
    let window = json!({"DayOfWeek": "FRIDAY", "TimeOfDay": "23:30", "TimeZone": "UTC"});
    assert_eq!(broker["MaintenanceWindowStartTime"], window);
    let tags = json!({"team": "red", "cost-centre": "1+1 = @2/3"});
    assert_eq!(broker["Tags"], tags);
    assert_eq!(orders.tree.nodes(), node);

    let broker = orders.change(&json!({"host_instance_type": "mq.m7g.large"}));
    assert_eq!(broker["HostInstanceType"], "mq.m7g.large");
    assert_ne!(orders.tree.nodes(), node);

    let broker = orders.change(&json!({"engine_version": "4.2", "logs": {"general": false}}));
    assert_eq!(broker["EngineVersion"], "4.2");
    assert_eq!(broker["Logs"]["General"], false);

    let broker = orders.change(&json!({"auto_minor_version_upgrade": false}));
    assert_eq!(broker["AutoMinorVersionUpgrade"], false);

    // Several at once, one of which is a window again.
    let broker = orders.change(&json!({
        "auto_minor_version_upgrade": true,
        "host_instance_type": "mq.m7g.medium",
        "logs": null,
        "tags": null,
    }));
    assert_eq!(broker["HostInstanceType"], "mq.m7g.medium");
    assert_eq!(broker["Tags"], json!({}));
    assert_eq!(broker["BrokerId"], json!(id));

    // Another name is another broker.
    let broker = orders.change(&json!({"broker_name": "invoices"}));
    assert_eq!(broker["BrokerName"], "invoices");
    assert_ne!(orders.id(), id);
    orders.workspace.destroy();
}

#[test]
fn a_change_that_is_not_applied_immediately_is_planned_until_the_broker_reboots() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let mut broker = every_argument();
    merge(&mut broker, &json!({"apply_immediately": false}));
    let mut orders = Orders::apply(terraform, &broker);
    orders.workspace.assert_settled();
    let node = orders.tree.nodes();

    orders.write(&json!({"host_instance_type": "mq.m7g.large", "engine_version": "4.2"}));
    // Saying it twice is no other change.
    for _ in 0..2 {
        orders.workspace.apply();
        let staged = orders.describe();
        assert_eq!(staged["BrokerState"], "RUNNING");
        assert_eq!(staged["HostInstanceType"], "mq.m7g.medium");
        assert_eq!(staged["PendingHostInstanceType"], "mq.m7g.large");
        assert_eq!(staged["EngineVersion"], "3.13");
        assert_eq!(staged["PendingEngineVersion"], "4.2");
        let planned = [(BROKER.to_owned(), "update".to_owned())];
        assert_eq!(orders.workspace.plan(), planned.into());
    }
    assert_eq!(orders.tree.nodes(), node);

    orders
        .tree
        .aws(&["reboot-broker", "--broker-id", &orders.id()]);
    let broker = eventually("the broker is up again", PATIENCE, || {
        Some(orders.describe()).filter(|broker| broker["BrokerState"] == "RUNNING")
    });
    assert_eq!(broker["HostInstanceType"], "mq.m7g.large");
    assert_eq!(broker["EngineVersion"], "4.2");
    assert_eq!(orders.workspace.plan(), BTreeMap::new());
}

#[test]
fn a_broker_that_was_deleted_behind_its_back_is_made_again() {
    let Some(terraform) = Terraform::asked_for() else {
        return;
    };
    let orders = Orders::apply(terraform, &every_argument());
    let lost = orders.id();
    orders.tree.aws(&["delete-broker", "--broker-id", &lost]);
    eventually("the broker is gone", PATIENCE, || {
        let left = orders.tree.aws(&["list-brokers"]);
        (left["BrokerSummaries"] == json!([])).then_some(())
    });
    let planned = [(BROKER.to_owned(), "create".to_owned())];
    assert_eq!(orders.workspace.plan(), planned.into());
    orders.workspace.apply();
    orders.workspace.assert_settled();
    assert_ne!(orders.id(), lost);
    assert_eq!(orders.describe()["BrokerState"], "RUNNING");
}
