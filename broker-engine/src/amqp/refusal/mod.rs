//! Why the protocol refuses what a client sent: the facts. The peer of the profile puts them into words.
//!
//! Owns the list of refusals that are AMQP's own; those of the broker are told as the broker says them. Code, scope and
//! text of each are for `rabbitmq` and `lavinmq` to say: clients compare texts.

mod lavinmq;
mod rabbitmq;

use super::error::Error;
use crate::broker::Dialect;
use crate::codec::amqp::{self as codec, Frame, FrameKind};

/// What is wrong with a message's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    NotANumber,
    /// Digits, and something behind them.
    Leftover,
    Negative,
    TooLong,
}

/// What should have come instead of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Method,
    /// A content header, and not one of the class that came, if one came.
    Header(Option<u16>),
    Body,
}

/// What came instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    Publish,
    /// Any other method.
    Method,
    Header,
    Body,
}

impl From<FrameKind> for Came {
    fn from(kind: FrameKind) -> Self {
        match kind {
            FrameKind::Method | FrameKind::Heartbeat => Self::Method,
            FrameKind::Header => Self::Header,
            FrameKind::Body => Self::Body,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Refusal<'a> {
    ConfirmInTransaction,
    TransactionInConfirm,
    NotTransactional,
    PrefetchSize(u32),
    FlowOff,
    Immediate,
    RecoverWithoutRequeue,
    Unimplemented,
    /// No queue was declared that an empty name could stand for.
    NoQueueDeclared,
    /// The name of a queue or an exchange, whose kind is told.
    InvalidName(&'a str),
    NoRoomForMessage,
    NoRoomForQueue,
    MessageSize {
        size: u64,
        max: u64,
    },
    Lifetime {
        expiration: &'a str,
        problem: Lifetime,
    },
    User {
        claimed: &'a str,
        user: &'a str,
    },
    DeliveryMode(u8),
    /// Keys of copies that are none.
    Copies {
        header: &'a str,
        type_name: &'a str,
    },
    /// An answer is asked for, and nobody on the channel takes it.
    NoReplyConsumer,
    ReplyConsumerThere,
    ReplyConsumerAcknowledges,
    ConsumersOfChannel {
        max: u64,
    },
    TagInUse(&'a str),
    QosOfChannel {
        queue: &'a str,
        vhost: &'a str,
    },
    UnknownTag(u64),
    /// The transaction has settled it.
    SettledTag(u64),
    Overdue {
        channel: u16,
        limit_ms: u64,
    },
    OutOfTurn {
        due: Due,
        came: Came,
    },
    NotOpen(u16),
    OpenAlready,
    ChannelsOfConnection {
        count: usize,
        max: u16,
    },
    /// A method that has no place in this state of the connection, as RabbitMQ calls the states.
    OutOfPlace(&'a str),
    /// A frame that has no place where it came.
    MisplacedFrame(&'a Frame<'a>),
    /// A frame that is not what its kind says.
    BrokenFrame(&'a Frame<'a>),
    /// Bytes behind which no further frame can be found.
    Stream(&'a codec::Error),
    /// A method whose fields cannot be read.
    Fields {
        payload: &'a [u8],
        error: &'a codec::Error,
    },
    Login {
        mechanism: &'a str,
    },
    /// A limit that the client chose lower or higher than it may be; 0 asks for none.
    Negotiated {
        limit: &'a str,
        chosen: u32,
        min: u32,
        max: u32,
    },
    SecretOfPassword,
    VhostGone(&'a str),
    LogFailed,
}

impl Refusal<'_> {
    /// The refusal as the peer says it.
    pub(crate) fn said_by(&self, dialect: Dialect) -> Error {
        match dialect {
            Dialect::RabbitMq3 | Dialect::RabbitMq4 => rabbitmq::answer(self),
            Dialect::LavinMq => lavinmq::answer(self),
        }
    }
}

/// Why connections are closed by the node.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Farewell<'a> {
    Shutdown,
    VhostDeleted(&'a str),
    UserDeleted(&'a str),
}

impl Farewell<'_> {
    /// The reason as the peer says it.
    pub(crate) fn said_by(self, dialect: Dialect) -> String {
        match dialect {
            Dialect::RabbitMq3 | Dialect::RabbitMq4 => rabbitmq::farewell(self),
            Dialect::LavinMq => lavinmq::farewell(self),
        }
    }
}

#[cfg(test)]
mod tests;
