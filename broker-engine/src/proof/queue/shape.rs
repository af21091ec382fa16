//! Which queues there are, and what happens to them.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::super::node::text;
use crate::broker::{Table, Value};

/// A queue's arguments.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) durable: bool,
    pub(super) quorum: bool,
    pub(super) ttl_ms: Option<u64>,
    pub(super) length_max: Option<usize>,
    pub(super) bytes_max: Option<u64>,
    pub(super) overflow: Overflow,
    pub(super) buries: bool,
    pub(super) priority_max: Option<u8>,
    pub(super) single_active: bool,
    pub(super) delivery_limit: Option<u64>,
    /// How much of the queue memory holds.
    pub(super) cached_bytes_max: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overflow {
    DropHead,
    Reject,
    RejectAndBury,
}

/// RabbitMQ 4's limit for quorum queues that name none.
const DELIVERY_LIMIT: u64 = 20;

impl Shape {
    pub(super) fn arguments(&self) -> Table {
        let number = |value: u64| Value::I64(i64::try_from(value).expect("a small number"));
        let overflow = match self.overflow {
            Overflow::DropHead => "drop-head",
            Overflow::Reject => "reject-publish",
            Overflow::RejectAndBury => "reject-publish-dlx",
        };
        let length_max = self.length_max.map(|max| max as u64);
        let arguments = [
            ("x-queue-type", self.quorum.then(|| text("quorum"))),
            ("x-message-ttl", self.ttl_ms.map(number)),
            ("x-max-length", length_max.map(number)),
            ("x-max-length-bytes", self.bytes_max.map(number)),
            ("x-overflow", Some(text(overflow))),
            ("x-dead-letter-exchange", self.buries.then(|| text("dlx"))),
            ("x-max-priority", self.priority_max.map(Value::U8)),
            (
                "x-single-active-consumer",
                Some(Value::Bool(self.single_active)),
            ),
            ("x-delivery-limit", self.delivery_limit.map(number)),
        ];
        let given = arguments.into_iter();
        given
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// How often a message may come back.
    pub(super) fn returns_max(&self) -> Option<u64> {
        self.quorum
            .then(|| self.delivery_limit.unwrap_or(DELIVERY_LIMIT))
    }

    pub(super) fn is_limited(&self) -> bool {
        self.length_max.is_some() || self.bytes_max.is_some()
    }

    /// Whether a message goes to the log.
    pub(super) fn is_logging(&self, sent: &Sent) -> bool {
        self.durable && (sent.persistent || self.quorum)
    }

    pub(super) fn rejects(&self) -> bool {
        self.is_limited() && self.overflow != Overflow::DropHead
    }
}

/// A message as it is published.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) priority: u8,
    pub(super) persistent: bool,
    pub(super) expiration_ms: Option<u64>,
    pub(super) padding: usize,
}

/// How a node ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Crash {
    Clean,
    Kill,
    PowerCut(u64),
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Publish(Vec<Sent>),
    Get {
        no_ack: bool,
    },
    Subscribe {
        prefetch: u32,
        no_ack: bool,
        priority: i32,
    },
    Unsubscribe(prop::sample::Index),
    /// Which of the messages that are out, by bit.
    Ack(u64),
    Discard(u64),
    Requeue(u64),
    Purge,
    Pass(u64),
    Keep,
    Restart(Crash),
    Renew,
}

pub(super) fn shape() -> impl Strategy<Value = Shape> {
    let limits = (
        option::weighted(0.3, select(vec![0_u64, 5, 50])),
        option::weighted(0.3, 1..6_usize),
        option::weighted(0.2, 10..120_u64),
        select(vec![
            Overflow::DropHead,
            Overflow::Reject,
            Overflow::RejectAndBury,
        ]),
    );
    let rest = (
        any::<bool>(),
        prop::bool::weighted(0.25),
        prop::bool::weighted(0.5),
        option::weighted(0.25, select(vec![1_u8, 3, 9])),
        prop::bool::weighted(0.2),
        option::weighted(0.6, 0..4_u64),
        select(vec![0_u64, 100, 1 << 20]),
    );
    (limits, rest).prop_map(|((ttl_ms, length_max, bytes_max, overflow), rest)| {
        let (durable, quorum, buries, priority_max, single_active, limit, cached_bytes_max) = rest;
        Shape {
            durable: durable || quorum,
            quorum,
            ttl_ms,
            length_max,
            bytes_max,
            // A quorum queue takes the other word, and drops the oldest all the same.
            overflow: if quorum && overflow == Overflow::RejectAndBury {
                Overflow::DropHead
            } else {
                overflow
            },
            buries,
            priority_max: priority_max.filter(|_| !quorum),
            single_active,
            delivery_limit: limit.filter(|_| quorum),
            cached_bytes_max,
        }
    })
}

fn sent() -> impl Strategy<Value = Sent> {
    let expiration = option::weighted(0.2, select(vec![0_u64, 3, 20]));
    (0..12_u8, any::<bool>(), expiration, 0..60_usize).prop_map(
        |(priority, persistent, expiration_ms, padding)| Sent {
            priority,
            persistent,
            expiration_ms,
            padding,
        },
    )
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let crash = prop_oneof![
        Just(Crash::Clean),
        Just(Crash::Kill),
        any::<u64>().prop_map(Crash::PowerCut)
    ];
    let subscribe = (0..4_u32, prop::bool::weighted(0.2), 0..2_i32);
    prop_oneof![
        8 => vec(sent(), 1..5).prop_map(Op::Publish),
        4 => prop::bool::weighted(0.3).prop_map(|no_ack| Op::Get { no_ack }),
        2 => subscribe.prop_map(|(prefetch, no_ack, priority)| Op::Subscribe { prefetch, no_ack, priority }),
        1 => any::<prop::sample::Index>().prop_map(Op::Unsubscribe),
        4 => any::<u64>().prop_map(Op::Ack),
        2 => any::<u64>().prop_map(Op::Discard),
        4 => any::<u64>().prop_map(Op::Requeue),
        1 => Just(Op::Purge),
        3 => (0..40_u64).prop_map(Op::Pass),
        1 => Just(Op::Keep),
        2 => crash.prop_map(Op::Restart),
        1 => Just(Op::Renew),
    ]
}
