//! Whether a declaration says the same of something as the one that made it.
//!
//! What differs first, in RabbitMQ's order, is told.

use super::{
    exchange::ExchangeSettings,
    queue::Dialect,
    refusal::{Refusal, What},
    value::{Table, Value},
};

/// Of exchanges.
pub(super) fn check_exchange<'a>(
    what: What<'a>,
    received: &'a ExchangeSettings,
    current: &'a ExchangeSettings,
    dialect: Dialect,
) -> Result<(), Refusal<'a>> {
    if received.kind != current.kind {
        return Err(different(what, "type", received.kind, current.kind));
    }
    let flags = [
        ("durable", received.durable, current.durable),
        ("auto_delete", received.auto_delete, current.auto_delete),
        ("internal", received.internal, current.internal),
    ];
    for (name, received, current) in flags {
        if received != current {
            return Err(different(what, name, received, current));
        }
    }
    let is_compared = |argument: &str| match dialect {
        Dialect::LavinMq => argument.starts_with("x-") || OF_EXCHANGES.contains(&argument),
        Dialect::RabbitMq3 | Dialect::RabbitMq4 => OF_EXCHANGES.contains(&argument),
    };
    check_arguments(what, is_compared, &received.arguments, &current.arguments)
}

/// Arguments of exchanges that a redeclaration must repeat.
const OF_EXCHANGES: [&str; 6] = [
    "alternate-exchange",
    "hash-header",
    "x-delayed-type",
    "x-message-deduplication",
    "x-cache-size",
    "x-cache-ttl",
];

/// Arguments with a meaning to the broker must be the same; others may differ.
pub(super) fn check_arguments<'a>(
    what: What<'a>,
    is_compared: impl Fn(&str) -> bool,
    received: &'a Table,
    current: &'a Table,
) -> Result<(), Refusal<'a>> {
    let names = received.0.iter().chain(&current.0);
    let names = names.map(|(name, _)| name.as_str());
    for argument in names.filter(|name| is_compared(name)) {
        match (received.get(argument), current.get(argument)) {
            (Some(received), Some(current)) if !received.is_equivalent(current) => {
                return Err(different(what, argument, received, current));
            }
            (Some(_), Some(_)) | (None, None) => {}
            (received, current) if is_default(argument, received.or(current)) => {}
            (received, current) => {
                let told = |value: Option<&Value>| {
                    value.map_or_else(
                        || "none".to_owned(),
                        |v| format!("the value '{v}' of type '{}'", v.type_name()),
                    )
                };
                return Err(Refusal::Different {
                    what,
                    argument,
                    received: told(received),
                    current: told(current),
                });
            }
        }
    }
    Ok(())
}

/// A property or an argument that has both times a value, and not the same.
pub(super) fn different<'a>(
    what: What<'a>,
    argument: &'a str,
    received: impl std::fmt::Display,
    current: impl std::fmt::Display,
) -> Refusal<'a> {
    Refusal::Different {
        what,
        argument,
        received: format!("'{received}'"),
        current: format!("'{current}'"),
    }
}

/// Whether naming an argument so says no more than leaving it out.
fn is_default(argument: &str, value: Option<&Value>) -> bool {
    argument == "x-queue-type" && value.and_then(Value::as_str) == Some("classic")
}
