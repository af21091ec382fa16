//! Whether a declaration says the same of something as the one that made it.
//!
//! The texts are RabbitMQ's. What differs first, in RabbitMQ's order, is told.

use super::{
    error::Error,
    exchange::ExchangeSettings,
    topology::Kind,
    value::{Table, Value},
};

/// Of exchanges.
pub(super) fn check_exchange(
    what: (Kind, &str, &str),
    received: &ExchangeSettings,
    current: &ExchangeSettings,
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
    check_arguments(what, &received.arguments, &current.arguments, |argument| {
        argument.starts_with("x-") || argument == "alternate-exchange" || argument == "hash-header"
    })
}

/// Arguments with a meaning to the broker must be the same; others may differ.
pub(super) fn check_arguments(
    (kind, name, vhost): (Kind, &str, &str),
    received: &Table,
    current: &Table,
    is_compared: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let names = received
        .0
        .iter()
        .chain(&current.0)
        .map(|(name, _)| name)
        .filter(|name| is_compared(name));
    for argument in names {
        let is_same = match (received.get(argument), current.get(argument)) {
            (Some(received), Some(current)) => received.is_equivalent(current),
            // Not to name the kind is to name the usual one.
            (None, Some(kind)) | (Some(kind), None) => {
                argument == "x-queue-type" && kind.as_str() == Some("classic")
            }
            (None, None) => true,
        };
        if !is_same {
            let describe = |value: Option<&Value>| {
                value.map_or_else(
                    || "none".to_owned(),
                    |v| format!("the value '{v}' of type '{}'", v.type_name()),
                )
            };
            return Err(Error::PreconditionFailed(format!(
                "inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}': received {} but current is {}",
                describe(received.get(argument)),
                describe(current.get(argument))
            )));
        }
    }
    Ok(())
}
