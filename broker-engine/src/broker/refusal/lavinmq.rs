//! LavinMQ's words and classes, version 2.9. What only RabbitMQ refuses has RabbitMQ's.

use super::{
    super::{access::Action, error::Error, topology::Kind},
    Operation, Problem, Refusal, Request, rabbitmq,
};

/// How the names start that no client may give.
const RESERVED: &str = r#"["mqtt.", "amq."]"#;

pub(super) fn answer(refusal: &Refusal<'_>) -> Error {
    match refusal {
        Refusal::NoSuch {
            request,
            what: (kind, name, vhost),
        } => Error::NotFound(no_such(*request, (*kind, name, vhost))),
        Refusal::Forbidden {
            request,
            action,
            what: (kind, name, _),
            user,
        } => Error::AccessRefused(forbidden(*request, *action, (*kind, name), user)),
        Refusal::Locked { request, .. } => Error::ResourceLocked(match request.operation {
            Operation::Delete | Operation::Purge => {
                format!("Queue '{}' is exclusive", request.name)
            }
            Operation::Declare
            | Operation::Check
            | Operation::Bind
            | Operation::Unbind
            | Operation::Consume
            | Operation::Get
            | Operation::Publish => "Exclusive queue".to_owned(),
        }),
        Refusal::Shared { .. } => Error::ResourceLocked("Not an exclusive queue".to_owned()),
        Refusal::ConsumedExclusively { queue, vhost } => Error::AccessRefused(format!(
            "Queue '{queue}' in vhost '{vhost}' in exclusive use"
        )),
        Refusal::InUse((kind, name, _)) => {
            Error::PreconditionFailed(format!("{} '{name}' in use", capital(*kind)))
        }
        Refusal::NotEmpty { queue, .. } => {
            Error::PreconditionFailed(format!("Queue '{queue}' is not empty"))
        }
        Refusal::DefaultExchange(request) => Error::AccessRefused(default_exchange(*request)),
        Refusal::SystemExchange { .. } | Refusal::ReservedName(_) => Error::AccessRefused(format!(
            "Prefix {RESERVED} forbidden, please choose another name"
        )),
        Refusal::InternalExchange { exchange, vhost } => Error::AccessRefused(format!(
            "Exchange '{exchange}' in vhost '{vhost}' is internal"
        )),
        Refusal::Different {
            what: (kind, name, _),
            ..
        } => Error::PreconditionFailed(format!(
            "Existing {kind} '{name}' declared with other arguments"
        )),
        Refusal::UnknownType(kind) | Refusal::DelayedType(Some(kind)) => {
            Error::PreconditionFailed(format!("unknown exchange type '{kind}'"))
        }
        Refusal::DelayedType(None) => {
            Error::PreconditionFailed("Missing required argument 'x-delayed-type'".to_owned())
        }
        Refusal::Argument {
            argument, problem, ..
        } => match invalid(argument, problem) {
            Some(text) => Error::PreconditionFailed(text),
            None => rabbitmq::answer(refusal),
        },
        Refusal::Weight { .. } => {
            Error::PreconditionFailed("Routing key must to be a number".to_owned())
        }
        Refusal::Match(_) => Error::PreconditionFailed("x-match must be 'any' or 'all'".to_owned()),
        Refusal::QueuesOfVhost { vhost, max, .. } => {
            Error::AccessRefused(format!("queue limit in vhost '{vhost}' ({max}) is reached"))
        }
        Refusal::ConnectionsOfVhost { vhost, max, .. } => Error::NotAllowed(format!(
            "access to vhost '{vhost}' refused: connection limit ({max}) is reached"
        )),
        Refusal::NoVhost(_) => Error::NotAllowed("vhost not found".to_owned()),
        Refusal::ForbiddenVhost { vhost, user } => {
            Error::NotAllowed(format!("'{user}' doesn't have access to '{vhost}'"))
        }
        Refusal::ForbiddenTopic { .. }
        | Refusal::Condition { .. }
        | Refusal::NotForKind { .. }
        | Refusal::Property { .. }
        | Refusal::Streams(_)
        | Refusal::ServerNamed(_)
        | Refusal::QueuesOfNode { .. }
        | Refusal::ConnectionsOfNode { .. }
        | Refusal::ConnectionsOfUser { .. }
        | Refusal::ChannelsOfUser { .. }
        | Refusal::ChannelsOfNode { .. } => rabbitmq::answer(refusal),
    }
}

fn capital(kind: Kind) -> &'static str {
    match kind {
        Kind::Exchange => "Exchange",
        Kind::Queue => "Queue",
    }
}

fn no_such(request: Request<'_>, (kind, name, vhost): (Kind, &str, &str)) -> String {
    let Request {
        operation,
        kind: destination,
        ..
    } = request;
    let capital = capital(kind);
    match (operation, destination) {
        (Operation::Get | Operation::Publish, _) => {
            format!("No {kind} '{name}' in vhost '{vhost}'")
        }
        (Operation::Consume, _) => format!("{capital} '{name}' not declared"),
        (Operation::Check, _) | (Operation::Bind, Kind::Exchange) => {
            format!("{capital} '{name}' doesn't exists")
        }
        (Operation::Bind, Kind::Queue)
        | (Operation::Declare | Operation::Delete | Operation::Unbind | Operation::Purge, _) => {
            format!("{capital} '{name}' not found")
        }
    }
}

fn forbidden(
    request: Request<'_>,
    action: Action,
    (kind, name): (Kind, &str),
    user: &str,
) -> String {
    let Request {
        operation,
        kind: subject_kind,
        name: subject,
    } = request;
    let whole = |verb: &str| {
        format!("User '{user}' doesn't have permissions to {verb}{subject_kind} '{subject}'")
    };
    match (operation, subject_kind) {
        (Operation::Declare | Operation::Check, Kind::Exchange) => whole("declare "),
        (Operation::Declare | Operation::Check | Operation::Consume | Operation::Get, _) => {
            whole("")
        }
        (Operation::Delete, _) => whole("delete "),
        // Whoever may not read is told that he may not write.
        (Operation::Purge, _) => {
            format!("User '{user}' doesn't have write permissions to queue '{subject}'")
        }
        (Operation::Unbind, Kind::Queue) => {
            format!("User doesn't have {action} permissions to {kind} '{name}'")
        }
        (Operation::Bind, _) | (Operation::Unbind, Kind::Exchange) => {
            format!("User '{user}' doesn't have {action} permissions to {kind} '{name}'")
        }
        (Operation::Publish, _) => {
            format!("User '{user}' not allowed to publish to exchange '{subject}'")
        }
    }
}

fn default_exchange(request: Request<'_>) -> String {
    let refused = match (request.operation, request.kind) {
        // It is bound like any other, and refuses by itself: by its name.
        (Operation::Bind | Operation::Unbind, Kind::Queue) => {
            return "Access refused to ".to_owned();
        }
        (Operation::Bind, Kind::Exchange) => "bind to",
        (Operation::Unbind, Kind::Exchange) => "unbind from",
        (Operation::Delete, _) => "delete",
        (
            Operation::Declare
            | Operation::Check
            | Operation::Purge
            | Operation::Consume
            | Operation::Get
            | Operation::Publish,
            _,
        ) => "declare",
    };
    format!("Not allowed to {refused} the default exchange")
}

/// What is said of arguments that LavinMQ looks at.
fn invalid(argument: &str, problem: &Problem<'_>) -> Option<String> {
    const PRIORITY: &str = "x-priority";
    let text = match problem {
        Problem::NotAnInteger(_) if argument == PRIORITY => {
            format!("{argument} must be an integer")
        }
        Problem::TooLarge { .. } | Problem::TooSmall { .. } if argument == PRIORITY => {
            format!("{argument} out of bounds, must fit a 32-bit integer")
        }
        Problem::NotAnInteger(_) => format!("{argument} header not an integer"),
        Problem::NotAString(_) | Problem::NotAnExchange(_) => {
            format!("{argument} header not a string")
        }
        Problem::NotABoolean(_) => format!("{argument} header not a boolean"),
        Problem::TooSmall { min, .. } => {
            format!("{argument} header less than minimum value {min}")
        }
        Problem::TooLarge { max, .. } => {
            format!("{argument} header greater than maximum value {max}")
        }
        Problem::WithoutExchange => {
            format!("x-dead-letter-exchange required if {argument} is defined")
        }
        Problem::Told(_) => return None,
    };
    Some(text)
}
