use serde_json::{Value, json};

use super::{Policies, Policy, PolicyKind};
use crate::broker::queue::{Dialect, QueueKind};

fn parse(kind: PolicyKind, name: &str, value: Value) -> Result<Policy, String> {
    Policy::parse(kind, name, &value, Dialect::RabbitMq4).map_err(|error| error.to_string())
}

fn refusal(kind: PolicyKind, definition: Value) -> String {
    let value = json!({"pattern": "", "definition": definition, "priority": 0});
    parse(kind, "p", value).unwrap_err()
}

fn policies(list: &[(PolicyKind, &str, Value)]) -> Policies {
    let mut policies = Policies::default();
    for (kind, name, value) in list {
        policies.insert(*kind, parse(*kind, name, value.clone()).unwrap());
    }
    policies
}

#[test]
fn what_a_policy_may_not_say_is_refused_in_the_words_of_rabbitmq() {
    let cases = [
        (
            json!({"foo": "bar"}),
            "Validation failed\n\n[{<<\"foo\">>,<<\"bar\">>}] are not recognised policy settings\n",
        ),
        (
            json!({"message-ttl": "1"}),
            "Validation failed\n\n<<\"1\">> is not a valid message TTL\n",
        ),
        (
            json!({"expires": 0}),
            "Validation failed\n\n0 is not a valid queue expiry\n",
        ),
        (
            json!({"overflow": "drop"}),
            "Validation failed\n\n<<\"drop\">> is not a valid overflow value\n",
        ),
        (json!({}), "Validation failed\n\nno policy provided\n"),
    ];
    for (definition, text) in cases {
        assert_eq!(refusal(PolicyKind::User, definition), text);
    }
    assert_eq!(
        refusal(PolicyKind::Operator, json!({"dead-letter-exchange": "x"})),
        "Validation failed\n\n[{<<\"dead-letter-exchange\">>,<<\"x\">>}] are not recognised policy settings\n"
    );
    let value =
        json!({"pattern": "", "definition": {"max-length": 1}, "priority": "x", "apply-to": "q"});
    assert_eq!(
        parse(PolicyKind::User, "p", value).unwrap_err(),
        "Validation failed\n\napply-to 'q' unrecognised; should be one of: 'queues', 'classic_queues',  \
         'quorum_queues', 'streams', 'exchanges', or 'all'\npriority should be a number, actually was <<\"x\">>\n"
    );
}

#[test]
fn mirroring_is_known_to_rabbitmq_3_only() {
    let value = json!({"pattern": ".*", "definition": {"ha-mode": "all"}, "priority": 0});
    let parse = |dialect| Policy::parse(PolicyKind::User, "ha", &value, dialect);
    assert!(parse(Dialect::RabbitMq3).is_ok());
    assert!(parse(Dialect::LavinMq).is_ok());
    assert!(parse(Dialect::RabbitMq4).is_err());
}

#[test]
fn the_highest_priority_that_matches_holds() {
    use PolicyKind::User;
    let policy = |pattern: &str, priority: i64, apply_to: &str| {
        json!({"pattern": pattern, "priority": priority, "apply-to": apply_to,
               "definition": {"max-length": priority}})
    };
    let policies = policies(&[
        (User, "low", policy(".*", 0, "all")),
        (User, "high", policy("^a", 5, "queues")),
        (User, "quorum", policy("^a", 9, "quorum_queues")),
        (User, "none", policy("^b", 9, "all")),
    ]);
    let name = |name, kind| policies.for_queue(name, kind).show().policy;
    assert_eq!(name("ab", QueueKind::Classic).as_deref(), Some("high"));
    assert_eq!(name("ab", QueueKind::Quorum).as_deref(), Some("quorum"));
    assert_eq!(name("c", QueueKind::Classic).as_deref(), Some("low"));
    assert_eq!(
        policies.for_exchange("ab").show().policy.as_deref(),
        Some("low")
    );
}

#[test]
fn an_operator_bounds_numbers_and_decides_the_rest() {
    let policies = policies(&[
        (
            PolicyKind::User,
            "u",
            json!({"pattern": "", "priority": 0, "definition":
                {"max-length": 10, "message-ttl": 5, "overflow": "reject-publish", "dead-letter-exchange": "x"}}),
        ),
        (
            PolicyKind::Operator,
            "o",
            json!({"pattern": "", "priority": 0, "definition":
                {"max-length": 3, "message-ttl": 7, "overflow": "drop-head", "expires": 9}}),
        ),
    ]);
    let applied = policies.for_queue("q", QueueKind::Classic).show();
    assert_eq!(
        Value::Object(applied.definition.unwrap()),
        json!({"max-length": 3, "message-ttl": 5, "overflow": "drop-head", "expires": 9,
               "dead-letter-exchange": "x"})
    );
    assert_eq!(applied.operator_policy.as_deref(), Some("o"));
}

#[test]
fn a_policy_with_a_setting_that_a_queue_does_not_know_is_not_applied_to_it() {
    let policies = policies(&[(
        PolicyKind::User,
        "p",
        json!({"pattern": "", "priority": 0, "definition": {"delivery-limit": -1, "max-length": 1}}),
    )]);
    let name = |kind| policies.for_queue("q", kind).show().policy;
    assert_eq!(name(QueueKind::Classic), None);
    assert_eq!(name(QueueKind::Quorum).as_deref(), Some("p"));
}
