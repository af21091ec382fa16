//! What a policy may say: the names, types and ranges of its settings, and which of two wins.
//!
//! The texts are RabbitMQ's.

use serde_json::{Map, Value};

use super::{ApplyTo, PolicyKind};
use crate::{
    broker::{
        erlang::{Proplist, Term},
        parameter::Members,
        pattern::Pattern,
        queue::{Dialect, QueueKind},
    },
    store::Durability,
};

/// A policy's value, understood.
pub(super) struct Validated {
    pub(super) pattern: Pattern,
    pub(super) apply_to: ApplyTo,
    pub(super) priority: f64,
    pub(super) definition: Map<String, Value>,
}

/// Checks a policy's value. The errors are in RabbitMQ's order: the last member's first.
pub(super) fn validate(
    kind: PolicyKind,
    name: &str,
    members: &Map<String, Value>,
    dialect: Dialect,
) -> Result<Validated, Vec<String>> {
    let mut members = Members::new(name, members);
    let priority = members.mandatory("priority", |value| match value.as_f64() {
        Some(priority) => Ok(priority),
        None => Err(format!(
            "priority should be a number, actually was {}",
            Term(value)
        )),
    });
    let pattern = members.mandatory("pattern", |value| match value.as_str() {
        Some(text) => Pattern::new(text).map_err(|reason| {
            format!("pattern should be regular expression but is invalid: {reason}")
        }),
        None => Err(format!(
            "pattern should be a binary but was {}",
            Term(value)
        )),
    });
    let apply_to = members.optional("apply-to", |value| {
        let known = value.as_str().and_then(ApplyTo::from_name);
        known.ok_or_else(|| {
            let given = value
                .as_str()
                .map_or_else(|| Term(value).to_string(), str::to_owned);
            format!(
                "apply-to '{given}' unrecognised; should be one of: 'queues', 'classic_queues',  \
                 'quorum_queues', 'streams', 'exchanges', or 'all'"
            )
        })
    });
    let definition = members.mandatory("definition", |value| {
        validate_definition(kind, name, value, dialect)
    });
    members.finish()?;
    match (priority, pattern, definition) {
        (Some(priority), Some(pattern), Some(definition)) => Ok(Validated {
            pattern,
            apply_to: apply_to.unwrap_or(ApplyTo::All),
            priority,
            definition,
        }),
        // Whatever is missing was reported by `finish`.
        _ => Err(Vec::new()),
    }
}

fn validate_definition(
    kind: PolicyKind,
    name: &str,
    value: &Value,
    dialect: Dialect,
) -> Result<Map<String, Value>, String> {
    let settings = match value {
        Value::Object(settings) => settings,
        Value::Array(values) if !values.is_empty() => {
            return Err(format!("definition must be a dictionary: {}", Term(value)));
        }
        Value::Array(_) => return Err("no policy provided".to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let validator = match kind {
                PolicyKind::User => "policy_validator",
                PolicyKind::Operator => "operator_policy_validator",
            };
            return Err(format!(
                "parse error while reading policy {name}: {}. Validator: {validator}.",
                Term(value)
            ));
        }
    };
    if settings.is_empty() {
        return Err("no policy provided".to_owned());
    }
    for (key, value) in settings {
        if is_known(kind, key, dialect) {
            check(key, value)?;
        }
    }
    let unknown: Map<String, Value> = settings
        .iter()
        .filter(|(key, _)| !is_known(kind, key, dialect))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if unknown.is_empty() {
        Ok(settings.clone())
    } else {
        Err(format!(
            "{} are not recognised policy settings",
            Proplist(&unknown)
        ))
    }
}

/// Settings of mirrored queues, which RabbitMQ 3 knows. There is one node: nothing follows from them.
const MIRRORING: [&str; 6] = [
    "ha-mode",
    "ha-params",
    "ha-sync-mode",
    "ha-sync-batch-size",
    "ha-promote-on-shutdown",
    "ha-promote-on-failure",
];

/// What operators may bound.
const OPERATOR: [&str; 10] = [
    "durability",
    "expires",
    "message-ttl",
    "max-length",
    "max-length-bytes",
    "max-in-memory-length",
    "max-in-memory-bytes",
    "delivery-limit",
    "queue-version",
    "overflow",
];

const USER: [&str; 21] = [
    "alternate-exchange",
    "consumer-timeout",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "delivery-limit",
    "durability",
    "expires",
    "initial-cluster-size",
    "max-age",
    "max-in-memory-bytes",
    "max-in-memory-length",
    "max-length",
    "max-length-bytes",
    "message-ttl",
    "overflow",
    "queue-leader-locator",
    "queue-mode",
    "queue-version",
    "stream-filter-size-bytes",
    "stream-max-segment-size-bytes",
];

/// Known to both kinds of policy.
const BOTH: [&str; 2] = ["queue-master-locator", "target-group-size"];

fn is_known(kind: PolicyKind, key: &str, dialect: Dialect) -> bool {
    let own: &[&str] = match kind {
        PolicyKind::User => &USER,
        PolicyKind::Operator => &OPERATOR,
    };
    let is_mirroring = dialect != Dialect::RabbitMq4 && MIRRORING.contains(&key);
    own.contains(&key) || BOTH.contains(&key) || is_mirroring
}

/// Bytes of RabbitMQ's largest segment of a stream.
const SEGMENT_BYTES_MAX: u64 = 3_000_000_000;

fn check(key: &str, value: &Value) -> Result<(), String> {
    let at_least = |min: u64| value.as_u64().is_some_and(|number| number >= min);
    let one_of = |words: &[&str]| value.as_str().is_some_and(|word| words.contains(&word));
    let (is_valid, what) = match key {
        "alternate-exchange" => (value.is_string(), "alternate exchange name"),
        "consumer-timeout" => (at_least(0), "consumer timeout"),
        "dead-letter-exchange" => (value.is_string(), "dead letter exchange name"),
        "dead-letter-routing-key" => (value.is_string(), "dead letter routing key"),
        "dead-letter-strategy" => (
            one_of(&["at-most-once", "at-least-once"]),
            "dead letter strategy",
        ),
        "message-ttl" => (at_least(0), "message TTL"),
        "expires" => (at_least(1), "queue expiry"),
        "max-length" => (at_least(0), "maximum length"),
        "max-length-bytes" => (at_least(0), "maximum length in bytes"),
        "max-in-memory-length" | "max-in-memory-bytes" => (at_least(0), "maximum memory in bytes"),
        "queue-mode" => (one_of(&["default", "lazy"]), "queue-mode value"),
        "queue-version" => (matches!(value.as_u64(), Some(1 | 2)), "queue-version value"),
        "overflow" => (
            one_of(&["drop-head", "reject-publish", "reject-publish-dlx"]),
            "overflow value",
        ),
        "durability" => (
            value
                .as_str()
                .is_some_and(|word| Durability::from_name(word).is_some()),
            "durability: sync or write",
        ),
        "delivery-limit" => (value.is_i64() || value.is_u64(), "delivery limit"),
        "max-age" => (value.as_str().is_some_and(is_age), "max age"),
        "queue-leader-locator" => (
            one_of(&["client-local", "balanced", "random", "least-leaders"]),
            "queue leader locator value",
        ),
        "initial-cluster-size" => (at_least(0), "cluster size"),
        "target-group-size" => (at_least(1), "target group size"),
        "stream-max-segment-size-bytes" => (
            value
                .as_u64()
                .is_some_and(|bytes| bytes <= SEGMENT_BYTES_MAX),
            "segment size",
        ),
        "stream-filter-size-bytes" => (
            value
                .as_u64()
                .is_some_and(|bytes| (16..=255).contains(&bytes)),
            "filter size. Valid range is 16-255",
        ),
        _ => return Ok(()),
    };
    if is_valid {
        return Ok(());
    }
    Err(format!("{} is not a valid {what}", Term(value)))
}

/// A number and a unit: years, months, days, hours, minutes or seconds.
fn is_age(text: &str) -> bool {
    let Some(number) = text.strip_suffix(['Y', 'M', 'D', 'h', 'm', 's']) else {
        return false;
    };
    number.parse::<u32>().is_ok_and(|number| number > 0)
}

/// Whether a kind of queue knows a setting. A policy with one that it does not know is not applied to it at all.
pub(super) fn suits(kind: QueueKind, key: &str) -> bool {
    let unknown: &[&str] = match kind {
        QueueKind::Classic => &[
            "max-age",
            "stream-max-segment-size-bytes",
            "initial-cluster-size",
            "delivery-limit",
            "dead-letter-strategy",
            "max-in-memory-length",
            "max-in-memory-bytes",
            "target-group-size",
        ],
        QueueKind::Quorum => &[
            "queue-mode",
            "ha-mode",
            "ha-params",
            "ha-sync-mode",
            "ha-promote-on-shutdown",
            "ha-promote-on-failure",
            "queue-master-locator",
            "max-age",
            "stream-max-segment-size-bytes",
            "initial-cluster-size",
        ],
    };
    !unknown.contains(&key)
}

/// What holds when a user's and an operator's policy both set something.
pub(super) fn merge(key: &str, user: Value, operator: Value) -> Value {
    if key == "durability" {
        // The stricter level, whoever asks for it.
        return if user == Durability::Sync.name() {
            user
        } else {
            operator
        };
    }
    let (Some(own), Some(bound)) = (user.as_i64(), operator.as_i64()) else {
        return operator;
    };
    match key {
        "queue-version" => operator,
        // A negative limit is none: any other is stricter.
        "delivery-limit" if own < 0 || bound < 0 => own.max(bound).into(),
        _ => own.min(bound).into(),
    }
}
