//! Why a client is refused: the facts. The peer of the profile puts them into words.
//!
//! Owns the list of refusals that clients can meet. Class and text of each are for `rabbitmq` and `lavinmq` to say, all of
//! them in one place: clients compare texts, and tell classes by their reply codes.

mod lavinmq;
mod rabbitmq;

use super::{
    access::Action,
    error::Error,
    queue::{Dialect, QueueKind},
    topology::Kind,
    value::Value,
};

/// What a refusal is about: its kind, its name, and its virtual host.
pub(crate) type What<'a> = (Kind, &'a str, &'a str);

/// What a client wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Declare,
    /// To declare passively: to see whether it is there.
    Check,
    Delete,
    Bind,
    Unbind,
    Purge,
    Consume,
    Get,
    Publish,
}

/// An operation and what it is done to; the destination of a binding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) operation: Operation,
    pub(crate) kind: Kind,
    pub(crate) name: &'a str,
}

impl<'a> Request<'a> {
    pub(crate) fn queue(operation: Operation, name: &'a str) -> Self {
        Self {
            operation,
            kind: Kind::Queue,
            name,
        }
    }

    pub(crate) fn exchange(operation: Operation, name: &'a str) -> Self {
        Self {
            operation,
            kind: Kind::Exchange,
            name,
        }
    }
}

/// What is wrong with the value of an argument.
#[derive(Debug)]
pub(crate) enum Problem<'a> {
    NotAnInteger(&'a Value),
    NotAString(&'a Value),
    NotABoolean(&'a Value),
    /// It should name an exchange to hand messages on to.
    NotAnExchange(&'a Value),
    TooSmall {
        number: i64,
        min: u64,
    },
    TooLarge {
        number: i64,
        max: u64,
    },
    /// A key for dead messages without an exchange for them.
    WithoutExchange,
    /// Only one of the peers looks at this, in these words.
    Told(String),
}

#[derive(Debug)]
pub(crate) enum Refusal<'a> {
    NoSuch {
        request: Request<'a>,
        what: What<'a>,
    },
    Forbidden {
        request: Request<'a>,
        action: Action,
        what: What<'a>,
        user: &'a str,
    },
    ForbiddenTopic {
        action: Action,
        key: &'a str,
        exchange: &'a str,
        vhost: &'a str,
        user: &'a str,
    },
    /// An exclusive queue of another connection, or one that is to be shared.
    Locked {
        request: Request<'a>,
        vhost: &'a str,
    },
    /// A shared queue that is to be exclusive.
    Shared {
        queue: &'a str,
        vhost: &'a str,
    },
    /// A consumer wants it for itself, or has it.
    ConsumedExclusively {
        queue: &'a str,
        vhost: &'a str,
    },
    InUse(What<'a>),
    NotEmpty {
        queue: &'a str,
        vhost: &'a str,
    },
    /// Quorum queues go without conditions.
    Condition {
        queue: &'a str,
        vhost: &'a str,
        condition: &'a str,
    },
    DefaultExchange(Request<'a>),
    SystemExchange {
        exchange: &'a str,
        vhost: &'a str,
    },
    InternalExchange {
        exchange: &'a str,
        vhost: &'a str,
    },
    ReservedName(Request<'a>),
    /// A redeclaration differs in an argument or a property; both values as they are told.
    Different {
        what: What<'a>,
        argument: &'a str,
        received: String,
        current: String,
    },
    UnknownType(&'a str),
    /// What a delayed exchange chooses queues as is missing or unknown.
    DelayedType(Option<&'a str>),
    Argument {
        what: What<'a>,
        argument: &'a str,
        problem: Problem<'a>,
    },
    NotForKind {
        what: What<'a>,
        argument: &'a str,
        kind: QueueKind,
    },
    Property {
        what: What<'a>,
        property: &'a str,
    },
    Streams(What<'a>),
    ServerNamed(QueueKind),
    /// The binding key of a consistent hash.
    Weight {
        key: &'a str,
    },
    /// How a binding of a headers exchange matches.
    Match(&'a Value),
    QueuesOfVhost {
        queue: &'a str,
        vhost: &'a str,
        max: u64,
    },
    QueuesOfNode {
        queue: &'a str,
        max: u64,
    },
    ConnectionsOfNode {
        max: u64,
    },
    ConnectionsOfVhost {
        vhost: &'a str,
        user: &'a str,
        max: u64,
    },
    ConnectionsOfUser {
        user: &'a str,
        max: u64,
    },
    ChannelsOfUser {
        user: &'a str,
        max: u64,
    },
    ChannelsOfNode {
        node: &'a str,
        max: u64,
    },
    NoVhost(&'a str),
    ForbiddenVhost {
        vhost: &'a str,
        user: &'a str,
    },
}

impl Dialect {
    /// The refusal as the peer says it.
    pub(crate) fn refuse(self, refusal: &Refusal<'_>) -> Error {
        match self {
            Self::RabbitMq3 | Self::RabbitMq4 => rabbitmq::answer(refusal),
            Self::LavinMq => lavinmq::answer(refusal),
        }
    }
}

#[cfg(test)]
mod tests;
