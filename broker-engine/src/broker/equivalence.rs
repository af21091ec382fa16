//! Whether a declaration says the same of something as the one that made it.
//!
//! The texts are RabbitMQ's. What differs first, in RabbitMQ's order, is told.

use super::{
    error::Error,
    exchange::ExchangeSettings,
    queue::Dialect,
    topology::Kind,
    value::{Table, Value},
};

/// Of exchanges.
pub(super) fn check_exchange(
    what: (Kind, &str, &str),
    received: &ExchangeSettings,
    current: &ExchangeSettings,
    dialect: Dialect,
) -> Result<(), Error> {
    if received.kind != current.kind {
        return Err(Error::inequivalent(
            "type",
            what,
            received.kind,
            current.kind,
        ));
    }
    let flags = [
        ("durable", received.durable, current.durable),
        ("auto_delete", received.auto_delete, current.auto_delete),
        ("internal", received.internal, current.internal),
    ];
    for (name, received, current) in flags {
        if received != current {
            return Err(Error::inequivalent(name, what, received, current));
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
pub(super) fn check_arguments(
    what: (Kind, &str, &str),
    is_compared: impl Fn(&str) -> bool,
    received: &Table,
    current: &Table,
) -> Result<(), Error> {
    let names = received.0.iter().chain(&current.0);
    let names = names.map(|(name, _)| name.as_str());
    for argument in names.filter(|name| is_compared(name)) {
        match (received.get(argument), current.get(argument)) {
            (Some(received), Some(current)) if !received.is_equivalent(current) => {
                let values = (format!("'{received}'"), format!("'{current}'"));
                return Err(Error::inequivalent_as_told(argument, what, values));
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
                let values = (told(received), told(current));
                return Err(Error::inequivalent_as_told(argument, what, values));
            }
        }
    }
    Ok(())
}

/// Whether naming an argument so says no more than leaving it out.
fn is_default(argument: &str, value: Option<&Value>) -> bool {
    argument == "x-queue-type" && value.and_then(Value::as_str) == Some("classic")
}
