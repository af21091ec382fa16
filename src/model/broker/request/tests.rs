//! What CreateBroker accepts, and in which words it refuses.

use serde_json::{Value, json};

use super::*;
use crate::model::engine::EngineRelease;

fn catalogue() -> Catalogue {
    let line = |engine_type, version| {
        EngineRelease::builtin(engine_type, EngineVersion::parse(version).unwrap())
    };
    Catalogue::new(vec![
        line(EngineType::RabbitMq, "3.13"),
        line(EngineType::RabbitMq, "4.2"),
        line(EngineType::LavinMq, "2.9"),
    ])
}

fn minimal() -> Value {
    json!({
        "brokerName": "orders",
        "engineType": "RABBITMQ",
        "deploymentMode": "SINGLE_INSTANCE",
        "hostInstanceType": "mq.m7g.large",
        "publiclyAccessible": false,
        "users": [{"username": "admin", "password": "correct-horse-1"}],
    })
}

fn with(member: &str, value: Value) -> Value {
    let mut request = minimal();
    request[member] = value;
    request
}

fn draft(request: Value) -> Result<Draft, Invalid> {
    draft_with(Parity::Extended, request)
}

fn draft_with(parity: Parity, request: Value) -> Result<Draft, Invalid> {
    let request: CreateBroker = serde_json::from_value(request).unwrap();
    let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    request.draft(&catalogue(), parity, SimulatedHosts::Absent, now)
}

#[test]
fn the_smallest_request_gets_every_default() {
    let draft = draft(minimal()).unwrap();
    assert_eq!(draft.engine_version.as_str(), "4.2");
    assert_eq!(draft.storage_type, StorageType::Ebs);
    assert!(draft.subnet_ids.is_empty());
    assert!(draft.settings.auto_minor_version_upgrade);
    assert!(draft.settings.encryption.use_aws_owned_key);
    assert!(!draft.general_logs);
    assert_eq!(draft.settings.maintenance_window.time_zone, "UTC");
    assert!(draft.configuration.is_none());
}

#[test]
fn what_terraform_sends_is_accepted() {
    let mut request = minimal();
    request["autoMinorVersionUpgrade"] = json!(false);
    request["engineType"] = json!("RabbitMQ");
    request["engineVersion"] = json!("3.13");
    request["storageType"] = json!("ebs");
    request["authenticationStrategy"] = json!("simple");
    request["creatorRequestId"] = json!("tf-20260101000000000000000001");
    request["encryptionOptions"] = json!({"useAwsOwnedKey": true});
    request["logs"] = json!({"general": true});
    request["dataReplicationMode"] = json!("NONE");
    request["securityGroups"] = json!(["sg-0123456789abcdef0"]);
    request["subnetIds"] = json!(["subnet-0123"]);
    request["configuration"] = json!({"id": "c-1", "revision": 0});
    request["users"] = json!([{
        "username": "admin", "password": "correct-horse-1",
        "consoleAccess": false, "replicationUser": false, "groups": [],
    }]);
    request["somethingNew"] = json!({"of": "tomorrow"});
    let draft = draft(request).unwrap();
    assert!(!draft.settings.auto_minor_version_upgrade);
    assert!(draft.general_logs);
    let choice = ConfigurationChoice {
        id: "c-1".into(),
        revision: None,
    };
    assert_eq!(draft.configuration, Some(choice));
}

#[test]
fn every_required_member_is_asked_for_by_name() {
    for member in [
        "brokerName",
        "engineType",
        "deploymentMode",
        "hostInstanceType",
        "publiclyAccessible",
    ] {
        let mut request = minimal();
        request.as_object_mut().unwrap().remove(member);
        let refused = draft(request).unwrap_err();
        assert_eq!(
            refused,
            Invalid::new(member, format!("[{member}] is required."))
        );
    }
}

#[test]
fn refusals_use_the_words_people_search_for() {
    let window = json!({"dayOfWeek": "MONDAY", "timeOfDay": "25:00"});
    let two_users = json!([
        {"username": "admin", "password": "correct-horse-1"},
        {"username": "other", "password": "correct-horse-2"},
    ]);
    let exclusive = json!([{
        "username": "admin", "password": "correct-horse-1",
        "consoleAccess": true, "replicationUser": true,
    }]);
    let cases = [
        (
            "users",
            json!([]),
            "users",
            "Specify exactly one user for engine type [RABBITMQ].",
        ),
        (
            "users",
            two_users,
            "users",
            "Specify exactly one user for engine type [RABBITMQ].",
        ),
        (
            "users",
            exclusive,
            "",
            "Replication user couldn't have console access. [replicationUser] and \
             [consoleAccess] are mutually exclusive parameters.",
        ),
        (
            "logs",
            json!({"audit": false}),
            "logs",
            "Audit logging is not supported for RabbitMQ brokers.",
        ),
        (
            "subnetIds",
            json!(["subnet-1", "subnet-2"]),
            "subnetIds",
            "Specify a single subnet in [SINGLE_INSTANCE] deployment mode.",
        ),
        (
            "engineType",
            json!("ActiveMQ"),
            "engineType",
            "Broker engine type [ACTIVEMQ] is not available yet. \
             Valid values are: [LAVINMQ, RABBITMQ].",
        ),
        (
            "deploymentMode",
            json!("CLUSTER_MULTI_AZ"),
            "deploymentMode",
            "Deployment mode [CLUSTER_MULTI_AZ] is not available yet. \
             Valid values are: [SINGLE_INSTANCE].",
        ),
        (
            "storageType",
            json!("EFS"),
            "storageType",
            "Storage type [EFS] is not supported for engine type [RABBITMQ].",
        ),
        (
            "dataReplicationMode",
            json!("CRDR"),
            "dataReplicationMode",
            "Data replication mode [CRDR] is not supported for engine type [RABBITMQ].",
        ),
        (
            "maintenanceWindowStartTime",
            window,
            "maintenanceWindowStartTime",
            "Time of day [25:00] is invalid. Specify it in 24-hour format, [HH:MM].",
        ),
    ];
    for (member, value, attribute, message) in cases {
        assert_eq!(
            draft(with(member, value)).unwrap_err(),
            Invalid::new(attribute, message)
        );
    }
}

#[test]
fn values_that_cannot_be_stored_or_kept_are_refused() {
    for (member, value) in [
        ("creatorRequestId", json!("")),
        ("creatorRequestId", json!("nul\u{0}")),
        ("creatorRequestId", json!("x".repeat(256))),
        ("subnetIds", json!(["sub\u{0}net"])),
        ("securityGroups", json!(["a", "b", "c", "d", "e", "f"])),
        (
            "encryptionOptions",
            json!({"useAwsOwnedKey": false, "kmsKeyId": "k"}),
        ),
        (
            "ldapServerMetadata",
            json!({"serviceAccountPassword": "hidden"}),
        ),
        ("storageSize", json!(10)),
        ("hostInstanceType", json!("mq.z9.huge")),
    ] {
        assert_eq!(draft(with(member, value)).unwrap_err().attribute, member);
    }
}

#[test]
fn only_strict_parity_insists_on_minor_upgrades() {
    let request = with("autoMinorVersionUpgrade", json!(false));
    assert!(draft(request.clone()).is_ok());
    assert_eq!(
        draft_with(Parity::Strict, request).unwrap_err(),
        Invalid::new(
            "autoMinorVersionUpgrade",
            "Brokers on [RabbitMQ] version [4.2] must have [autoMinorVersionUpgrade] set to [true]."
        )
    );
    assert!(draft_with(Parity::Strict, minimal()).is_ok());
}

#[test]
fn a_password_is_in_no_printed_or_stored_form() {
    let mut request = minimal();
    request["ldapServerMetadata"] = json!({"serviceAccountPassword": "ldap-secret-99"});
    let request: CreateBroker = serde_json::from_value(request).unwrap();
    let stored = serde_json::to_string(&request).unwrap();
    for text in [stored, format!("{request:?}")] {
        assert!(text.contains("admin"));
        assert!(
            !text.contains("correct-horse-1") && !text.contains("ldap-secret-99"),
            "{text}"
        );
    }
}

#[test]
fn the_fingerprint_tells_requests_apart_by_all_but_passwords() {
    let print = |request: Value| {
        serde_json::from_value::<CreateBroker>(request)
            .unwrap()
            .fingerprint()
    };
    let users = json!([{"username": "admin", "password": "another-password-1"}]);
    assert_eq!(print(minimal()), print(with("users", users)));
    assert_ne!(print(minimal()), print(with("brokerName", json!("other"))));
    assert_ne!(print(minimal()), print(with("tags", json!({"a": "b"}))));
}
