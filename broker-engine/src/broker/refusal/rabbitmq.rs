//! RabbitMQ's words and classes.

use super::{
    super::{error::Error, topology::Kind},
    Problem, Refusal, Request, What,
};

pub(super) fn answer(refusal: &Refusal<'_>) -> Error {
    match refusal {
        Refusal::NoSuch { what, .. } => Error::NotFound(format!("no {}", Told(*what))),
        Refusal::Forbidden {
            action, what, user, ..
        } => Error::AccessRefused(format!(
            "{action} access to {} refused for user '{user}'",
            Told(named(*what))
        )),
        Refusal::ForbiddenTopic {
            action,
            key,
            exchange,
            vhost,
            user,
        } => Error::AccessRefused(format!(
            "{action} access to topic '{key}' in exchange topic '{exchange}' in vhost '{vhost}' refused for user \
             '{user}'"
        )),
        Refusal::Locked { request, vhost } => locked(request.name, vhost),
        Refusal::Shared { queue, vhost } => locked(queue, vhost),
        Refusal::ConsumedExclusively { queue, vhost } => Error::AccessRefused(format!(
            "queue '{queue}' in vhost '{vhost}' in exclusive use"
        )),
        Refusal::InUse(what) => Error::PreconditionFailed(format!("{} in use", Told(*what))),
        Refusal::NotEmpty { queue, vhost } => {
            Error::PreconditionFailed(format!("queue '{queue}' in vhost '{vhost}' not empty"))
        }
        Refusal::Condition {
            queue,
            vhost,
            condition,
        } => Error::NotImplemented(format!(
            "cannot delete queue '{queue}' in vhost '{vhost}'. queue.delete operations with {condition} flag set are \
             not supported by quorum queues"
        )),
        Refusal::DefaultExchange(_) => {
            Error::AccessRefused("operation not permitted on the default exchange".to_owned())
        }
        Refusal::SystemExchange { exchange, vhost } => Error::AccessRefused(format!(
            "deletion of system exchange '{exchange}' in vhost '{vhost}' not allowed"
        )),
        Refusal::InternalExchange { exchange, vhost } => Error::AccessRefused(format!(
            "cannot publish to internal exchange '{exchange}' in vhost '{vhost}'"
        )),
        Refusal::ReservedName(Request { kind, name, .. }) => Error::AccessRefused(format!(
            "{kind} name '{name}' contains reserved prefix 'amq.*'"
        )),
        Refusal::Different {
            what,
            argument,
            received,
            current,
        } => Error::PreconditionFailed(format!(
            "inequivalent arg '{argument}' for {}: received {received} but current is {current}",
            Told(*what)
        )),
        Refusal::UnknownType("") => {
            Error::PreconditionFailed("invalid exchange type ''".to_owned())
        }
        Refusal::UnknownType(kind) => {
            Error::PreconditionFailed(format!("unknown exchange type '{kind}'"))
        }
        Refusal::DelayedType(_) => Error::PreconditionFailed(
            "Invalid argument, 'x-delayed-type' must be an existing exchange type".to_owned(),
        ),
        Refusal::Argument {
            what,
            argument,
            problem,
        } => invalid(*what, argument, problem),
        Refusal::NotForKind {
            what,
            argument,
            kind,
        } => Error::PreconditionFailed(format!(
            "invalid arg '{argument}' for {} of queue type rabbit_{}_queue",
            Told(*what),
            kind.name()
        )),
        Refusal::Property { what, property } => {
            Error::PreconditionFailed(format!("invalid property '{property}' for {}", Told(*what)))
        }
        Refusal::Streams(what) => Error::PreconditionFailed(format!(
            "{}: streams are not supported by this broker",
            Told(*what)
        )),
        Refusal::ServerNamed(kind) => Error::PreconditionFailed(format!(
            "Cannot declare a server-named queue for type rabbit_{}_queue",
            kind.name()
        )),
        Refusal::Weight { key } => Error::PreconditionFailed(if key.parse::<i64>().is_ok() {
            "The binding key must be greater than 0".to_owned()
        } else {
            format!("The binding key must be an integer: <<\"{key}\">>")
        }),
        Refusal::Match(value) => Error::PreconditionFailed(match value.as_str() {
            Some(word) => format!(
                "Invalid x-match field value <<\"{word}\">>; expected all, any, all-with-x, or any-with-x"
            ),
            None => format!(
                "Invalid x-match field type {} (value {value}); expected longstr",
                value.type_name()
            ),
        }),
        Refusal::QueuesOfVhost { queue, vhost, max } => Error::PreconditionFailed(format!(
            "cannot declare queue '{queue}': queue limit in vhost '{vhost}' ({max}) is reached"
        )),
        Refusal::QueuesOfNode { queue, max } => Error::PreconditionFailed(format!(
            "cannot declare queue '{queue}': queue limit in cluster ({max}) is reached"
        )),
        Refusal::ConnectionsOfNode { max } => Error::NotAllowed(format!(
            "connection refused: node connection limit ({max}) is reached"
        )),
        Refusal::ConnectionsOfVhost { vhost, user, max } => Error::NotAllowed(format!(
            "access to vhost '{vhost}' refused for user '{user}': connection limit ({max}) is reached"
        )),
        Refusal::ConnectionsOfUser { user, max } => Error::NotAllowed(format!(
            "connection refused for user '{user}': user connection limit ({max}) is reached"
        )),
        Refusal::ChannelsOfUser { user, max } => Error::NotAllowed(format!(
            "number of channels opened for user '{user}' has reached the maximum allowed user limit of {max}"
        )),
        Refusal::ChannelsOfNode { node, max } => Error::NotAllowed(format!(
            "number of channels opened on node '{node}' has reached the maximum allowed limit of {max}"
        )),
        Refusal::NoVhost(vhost) => Error::NotAllowed(format!("vhost {vhost} not found")),
        Refusal::ForbiddenVhost { vhost, user } => Error::NotAllowed(format!(
            "access to vhost '{vhost}' refused for user '{user}'"
        )),
    }
}

/// A thing as every text names it.
struct Told<'a>(What<'a>);

impl std::fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name, vhost) = self.0;
        write!(f, "{kind} '{name}' in vhost '{vhost}'")
    }
}

/// The default exchange has a name where it is about permissions.
fn named((kind, name, vhost): What<'_>) -> What<'_> {
    if name.is_empty() && kind == Kind::Exchange {
        (kind, "amq.default", vhost)
    } else {
        (kind, name, vhost)
    }
}

fn locked(queue: &str, vhost: &str) -> Error {
    Error::ResourceLocked(format!(
        "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally declared on \
         another connection or the exclusive property value does not match that of the original declaration."
    ))
}

fn invalid(what: What<'_>, argument: &str, problem: &Problem<'_>) -> Error {
    let reason = match problem {
        Problem::NotAnInteger(value) => {
            format!("\"expected integer, got {}\"", value.type_name())
        }
        Problem::NotAString(value) | Problem::NotABoolean(value) => {
            format!("{{unacceptable_type,{}}}", value.type_name())
        }
        Problem::NotAnExchange(value) => {
            return Error::PreconditionFailed(format!(
                "invalid type '{}' for arg '{argument}' in {}",
                value.type_name(),
                Told(what)
            ));
        }
        Problem::TooSmall { number: 0, .. } => "{value_zero,0}".to_owned(),
        Problem::TooSmall { number, .. } => format!("{{value_negative,{number}}}"),
        Problem::TooLarge { number, .. } => format!("{{max_value_exceeded,{number}}}"),
        Problem::WithoutExchange => "routing_key_but_no_dlx_defined".to_owned(),
        Problem::Told(reason) => reason.clone(),
    };
    Error::PreconditionFailed(format!(
        "invalid arg '{argument}' for {}: {reason}",
        Told(what)
    ))
}
