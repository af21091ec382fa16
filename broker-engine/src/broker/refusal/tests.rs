//! What each peer says of the same fact.

use super::*;

const QUEUE: What<'_> = (Kind::Queue, "q", "/");
const EXCHANGE: What<'_> = (Kind::Exchange, "e", "/");

/// Class and text.
fn said(dialect: Dialect, refusal: &Refusal<'_>) -> (&'static str, String) {
    let error = dialect.refuse(refusal);
    let class = match &error {
        Error::NotFound(_) => "404",
        Error::AccessRefused(_) => "403",
        Error::PreconditionFailed(_) => "406",
        Error::ResourceLocked(_) => "405",
        Error::NotAllowed(_) => "530",
        Error::CommandInvalid(_) => "503",
        Error::NotImplemented(_) => "540",
        Error::Store(_) => "541",
    };
    (class, error.to_string())
}

fn no_such(operation: Operation, kind: Kind, what: What<'_>) -> Refusal<'_> {
    let name = "d";
    let request = Request {
        operation,
        kind,
        name,
    };
    Refusal::NoSuch { request, what }
}

fn forbidden(request: Request<'static>, action: Action, what: What<'static>) -> Refusal<'static> {
    Refusal::Forbidden {
        request,
        action,
        what,
        user: "u",
    }
}

fn argument(argument: &'static str, problem: Problem<'static>) -> Refusal<'static> {
    Refusal::Argument {
        what: QUEUE,
        argument,
        problem,
    }
}

#[test]
fn what_is_not_there_is_told_by_what_it_was_needed_for() {
    use Operation::{Bind, Check, Consume, Get, Publish, Purge};
    let cases = [
        (
            no_such(Check, Kind::Queue, QUEUE),
            "Queue 'q' doesn't exists",
        ),
        (
            no_such(Check, Kind::Exchange, EXCHANGE),
            "Exchange 'e' doesn't exists",
        ),
        (no_such(Bind, Kind::Queue, QUEUE), "Queue 'q' not found"),
        (
            no_such(Bind, Kind::Queue, EXCHANGE),
            "Exchange 'e' not found",
        ),
        (
            no_such(Bind, Kind::Exchange, EXCHANGE),
            "Exchange 'e' doesn't exists",
        ),
        (no_such(Purge, Kind::Queue, QUEUE), "Queue 'q' not found"),
        (
            no_such(Consume, Kind::Queue, QUEUE),
            "Queue 'q' not declared",
        ),
        (
            no_such(Get, Kind::Queue, QUEUE),
            "No queue 'q' in vhost '/'",
        ),
        (
            no_such(Publish, Kind::Exchange, EXCHANGE),
            "No exchange 'e' in vhost '/'",
        ),
    ];
    for (refusal, text) in cases {
        assert_eq!(said(Dialect::LavinMq, &refusal), ("404", text.to_owned()));
        let Refusal::NoSuch {
            what: (kind, name, vhost),
            ..
        } = refusal
        else {
            unreachable!()
        };
        let text = format!("no {kind} '{name}' in vhost '{vhost}'");
        assert_eq!(said(Dialect::RabbitMq4, &refusal), ("404", text));
    }
}

#[test]
fn what_is_forbidden_is_told_by_what_it_was_wanted_for() {
    use Operation::{Bind, Consume, Declare, Delete, Get, Publish, Purge, Unbind};
    let queue = |operation| Request::queue(operation, "q");
    let exchange = |operation| Request::exchange(operation, "e");
    let (configure, read, write) = (Action::Configure, Action::Read, Action::Write);
    let cases = [
        (
            forbidden(exchange(Declare), configure, EXCHANGE),
            "User 'u' doesn't have permissions to declare exchange 'e'",
        ),
        (
            forbidden(exchange(Declare), write, (Kind::Exchange, "alternate", "/")),
            "User 'u' doesn't have permissions to declare exchange 'e'",
        ),
        (
            forbidden(exchange(Delete), configure, EXCHANGE),
            "User 'u' doesn't have permissions to delete exchange 'e'",
        ),
        (
            forbidden(queue(Delete), configure, QUEUE),
            "User 'u' doesn't have permissions to delete queue 'q'",
        ),
        (
            forbidden(queue(Declare), configure, QUEUE),
            "User 'u' doesn't have permissions to queue 'q'",
        ),
        (
            forbidden(queue(Consume), read, QUEUE),
            "User 'u' doesn't have permissions to queue 'q'",
        ),
        (
            forbidden(queue(Get), read, QUEUE),
            "User 'u' doesn't have permissions to queue 'q'",
        ),
        (
            forbidden(queue(Purge), read, QUEUE),
            "User 'u' doesn't have write permissions to queue 'q'",
        ),
        (
            forbidden(queue(Bind), read, EXCHANGE),
            "User 'u' doesn't have read permissions to exchange 'e'",
        ),
        (
            forbidden(queue(Bind), write, QUEUE),
            "User 'u' doesn't have write permissions to queue 'q'",
        ),
        (
            forbidden(queue(Unbind), read, EXCHANGE),
            "User doesn't have read permissions to exchange 'e'",
        ),
        (
            forbidden(queue(Unbind), write, QUEUE),
            "User doesn't have write permissions to queue 'q'",
        ),
        (
            forbidden(exchange(Bind), write, EXCHANGE),
            "User 'u' doesn't have write permissions to exchange 'e'",
        ),
        (
            forbidden(exchange(Unbind), write, EXCHANGE),
            "User 'u' doesn't have write permissions to exchange 'e'",
        ),
        (
            forbidden(exchange(Publish), write, EXCHANGE),
            "User 'u' not allowed to publish to exchange 'e'",
        ),
    ];
    for (refusal, text) in cases {
        assert_eq!(said(Dialect::LavinMq, &refusal), ("403", text.to_owned()));
    }
    let default = forbidden(
        Request::exchange(Publish, ""),
        write,
        (Kind::Exchange, "", "/"),
    );
    let text = "write access to exchange 'amq.default' in vhost '/' refused for user 'u'";
    assert_eq!(said(Dialect::RabbitMq4, &default), ("403", text.to_owned()));
}

#[test]
fn queues_and_exchanges_are_refused_in_the_words_of_lavinmq() {
    use Operation::{Bind, Check, Consume, Declare, Delete, Purge, Unbind};
    let (queue, exchange, vhost) = ("q", "e", "/");
    let locked = |operation| Refusal::Locked {
        request: Request::queue(operation, "q"),
        vhost,
    };
    let default = |request| Refusal::DefaultExchange(request);
    let prefix = r#"Prefix ["mqtt.", "amq."] forbidden, please choose another name"#;
    let cases = [
        (locked(Declare), "405", "Exclusive queue"),
        (locked(Check), "405", "Exclusive queue"),
        (locked(Consume), "405", "Exclusive queue"),
        (locked(Delete), "405", "Queue 'q' is exclusive"),
        (locked(Purge), "405", "Queue 'q' is exclusive"),
        (
            Refusal::Shared { queue, vhost },
            "405",
            "Not an exclusive queue",
        ),
        (
            Refusal::ConsumedExclusively { queue, vhost },
            "403",
            "Queue 'q' in vhost '/' in exclusive use",
        ),
        (Refusal::InUse(QUEUE), "406", "Queue 'q' in use"),
        (Refusal::InUse(EXCHANGE), "406", "Exchange 'e' in use"),
        (
            Refusal::NotEmpty { queue, vhost },
            "406",
            "Queue 'q' is not empty",
        ),
        (
            default(Request::exchange(Declare, "")),
            "403",
            "Not allowed to declare the default exchange",
        ),
        (
            default(Request::exchange(Delete, "")),
            "403",
            "Not allowed to delete the default exchange",
        ),
        (
            default(Request::exchange(Bind, "e")),
            "403",
            "Not allowed to bind to the default exchange",
        ),
        (
            default(Request::exchange(Unbind, "e")),
            "403",
            "Not allowed to unbind from the default exchange",
        ),
        (
            default(Request::queue(Bind, "q")),
            "403",
            "Access refused to ",
        ),
        (Refusal::SystemExchange { exchange, vhost }, "403", prefix),
        (
            Refusal::ReservedName(Request::queue(Declare, "amq.q")),
            "403",
            prefix,
        ),
        (
            Refusal::InternalExchange { exchange, vhost },
            "403",
            "Exchange 'e' in vhost '/' is internal",
        ),
        (
            Refusal::UnknownType("odd"),
            "406",
            "unknown exchange type 'odd'",
        ),
        (
            Refusal::DelayedType(None),
            "406",
            "Missing required argument 'x-delayed-type'",
        ),
        (
            Refusal::DelayedType(Some("odd")),
            "406",
            "unknown exchange type 'odd'",
        ),
        (
            Refusal::Weight { key: "x" },
            "406",
            "Routing key must to be a number",
        ),
        (
            Refusal::Match(&Value::Void),
            "406",
            "x-match must be 'any' or 'all'",
        ),
        (
            Refusal::QueuesOfVhost {
                queue,
                vhost,
                max: 3,
            },
            "403",
            "queue limit in vhost '/' (3) is reached",
        ),
        (
            Refusal::ConnectionsOfVhost {
                vhost,
                user: "u",
                max: 3,
            },
            "530",
            "access to vhost '/' refused: connection limit (3) is reached",
        ),
        (Refusal::NoVhost("v"), "530", "vhost not found"),
        (
            Refusal::ForbiddenVhost { vhost, user: "u" },
            "530",
            "'u' doesn't have access to '/'",
        ),
    ];
    for (refusal, class, text) in cases {
        assert_eq!(
            said(Dialect::LavinMq, &refusal),
            (class, text.to_owned()),
            "{refusal:?}"
        );
    }
    let different = Refusal::Different {
        what: EXCHANGE,
        argument: "type",
        received: "'a'".to_owned(),
        current: "'b'".to_owned(),
    };
    let text = "Existing exchange 'e' declared with other arguments";
    assert_eq!(said(Dialect::LavinMq, &different), ("406", text.to_owned()));
}

#[test]
fn arguments_are_refused_in_the_words_of_lavinmq() {
    let void = &Value::Void;
    let (number, min, max) = (0, 1, 255);
    let cases = [
        (
            argument("a", Problem::NotAnInteger(void)),
            "a header not an integer",
        ),
        (
            argument("a", Problem::NotAString(void)),
            "a header not a string",
        ),
        (
            argument("a", Problem::NotAnExchange(void)),
            "a header not a string",
        ),
        (
            argument("a", Problem::NotABoolean(void)),
            "a header not a boolean",
        ),
        (
            argument("a", Problem::TooSmall { number, min }),
            "a header less than minimum value 1",
        ),
        (
            argument("a", Problem::TooLarge { number: 256, max }),
            "a header greater than maximum value 255",
        ),
        (
            argument("x-dead-letter-routing-key", Problem::WithoutExchange),
            "x-dead-letter-exchange required if x-dead-letter-routing-key is defined",
        ),
        (
            argument("x-priority", Problem::NotAnInteger(void)),
            "x-priority must be an integer",
        ),
        (
            argument(
                "x-priority",
                Problem::TooLarge {
                    number: i64::MAX,
                    max,
                },
            ),
            "x-priority out of bounds, must fit a 32-bit integer",
        ),
        (
            argument("a", Problem::Told("odd".to_owned())),
            "invalid arg 'a' for queue 'q' in vhost '/': odd",
        ),
    ];
    for (refusal, text) in cases {
        assert_eq!(said(Dialect::LavinMq, &refusal), ("406", text.to_owned()));
    }
}
