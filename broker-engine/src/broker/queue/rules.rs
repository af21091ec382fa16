//! What a queue's arguments ask for, checked once when it is declared.
//!
//! Owns what arguments mean together; what each may be is for `arguments` to say.

use super::{
    super::{
        deduplication::Deduplication,
        delay,
        error::Error,
        policy::{Applied, Policies},
        refusal::{Problem, Refusal, What},
        topology::Kind,
    },
    QueueSettings,
    arguments::Arguments,
};
use crate::store::Durability;

/// Whose rules about arguments and limits hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// RabbitMQ 3.13.
    RabbitMq3,
    /// RabbitMQ 4: quorum queues have a delivery limit unless told otherwise.
    #[default]
    RabbitMq4,
    /// LavinMQ: every queue is classic, and may have a delivery limit.
    LavinMq,
}

/// How a queue is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueueKind {
    /// By this node, persistent messages in the log.
    #[default]
    Classic,
    /// By a quorum of which this node is the only member; every message is in the log.
    Quorum,
}

impl QueueKind {
    /// Its name in declarations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// What happens to a message too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// The oldest goes.
    #[default]
    DropHead,
    /// The newest is refused.
    Reject,
    /// The newest is refused and goes where dead messages go.
    RejectAndBury,
}

/// Where dead messages go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) exchange: String,
    /// Instead of the key it was published with.
    pub(crate) key: Option<String>,
}

/// What a queue does besides keeping messages in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) kind: QueueKind,
    pub(crate) ttl_ms: Option<u64>,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) length_max: Option<u64>,
    pub(crate) bytes_max: Option<u64>,
    pub(crate) overflow: Overflow,
    pub(crate) dead_letter: Option<DeadLetter>,
    /// Whether messages may say where they go when they die.
    pub(crate) asks_the_dead: bool,
    pub(crate) priority_max: Option<u8>,
    pub(crate) is_single_active: bool,
    pub(crate) delivery_limit: Option<u64>,
    /// How long a consumer may keep a message; 0 for ever. Without it the node's limit holds.
    pub(crate) consumer_timeout_ms: Option<u64>,
    /// What makes messages durable; without it the node's level does.
    pub(crate) durability: Option<Durability>,
    /// Whether redeliveries tell how often the message came back.
    pub(crate) counts_returns: bool,
    /// How messages that came before are recognised.
    pub(crate) deduplication: Option<Deduplication>,
    /// The exchange whose messages wait here until they are due.
    pub(crate) delays: Option<String>,
}

impl Overflow {
    pub(super) fn from_word(word: &str) -> Self {
        match word {
            "reject-publish" => Self::Reject,
            "reject-publish-dlx" => Self::RejectAndBury,
            _ => Self::DropHead,
        }
    }
}

impl Rules {
    /// The rules of a queue about to be declared, under the policies that hold for its name and kind.
    pub(crate) fn new(
        names: (&str, &str),
        settings: &QueueSettings,
        policies: &Policies,
        dialect: Dialect,
    ) -> Result<(Self, Applied), Error> {
        let declared = Self::declared(names, settings, dialect)?;
        let applied = policies.for_queue(names.0, declared.kind);
        Ok((declared.under(&applied, settings, dialect), applied))
    }

    /// What the declaration alone asks for.
    pub(super) fn declared(
        (name, vhost): (&str, &str),
        settings: &QueueSettings,
        dialect: Dialect,
    ) -> Result<Self, Error> {
        let what = (Kind::Queue, name, vhost);
        let mut arguments = Arguments::new(what, &settings.arguments, dialect);
        let kind = arguments.read_kind()?;
        let expires_ms = arguments.time_ms("x-expires", 1)?;
        let mut rules = Self {
            kind,
            expires_ms,
            ttl_ms: arguments.time_ms("x-message-ttl", 0)?,
            dead_letter: dead_letter(&arguments)?,
            asks_the_dead: dialect == Dialect::LavinMq,
            length_max: arguments.number("x-max-length", 0, u64::MAX)?,
            bytes_max: arguments.number("x-max-length-bytes", 0, u64::MAX)?,
            priority_max: arguments
                .number("x-max-priority", 0, u64::from(u8::MAX))?
                .and_then(|priority| u8::try_from(priority).ok()),
            overflow: overflow(&arguments, kind)?,
            is_single_active: arguments.flag("x-single-active-consumer")?,
            delivery_limit: arguments.delivery_limit()?,
            consumer_timeout_ms: arguments.number("x-consumer-timeout", 0, u64::MAX)?,
            counts_returns: kind == QueueKind::Quorum,
            durability: arguments.durability(settings, kind)?,
            deduplication: Deduplication::new(&arguments)?,
            delays: delay::exchange_of(name, &settings.arguments),
        };
        arguments.check_accepted()?;
        arguments.refuse(kind)?;
        if dialect == Dialect::LavinMq {
            rules.counts_returns = rules.delivery_limit.is_some();
        }
        if kind == QueueKind::Quorum {
            check_quorum(what, settings, dialect)?;
        }
        Ok(rules)
    }

    /// Whether it must look at the queue after a change.
    pub(crate) fn is_limited(&self) -> bool {
        self.length_max.is_some() || self.bytes_max.is_some()
    }

    /// Whether messages wait in another order than that of arrival.
    pub(crate) fn ranks(&self) -> bool {
        self.priority_max.is_some() || self.delays.is_some()
    }

    /// Whether messages that leave may go somewhere.
    pub(crate) fn hands_on(&self) -> bool {
        self.dead_letter.is_some() || self.delays.is_some() || self.asks_the_dead
    }

    /// Whether every message here waits for a limited time.
    pub(crate) fn is_timed(&self) -> bool {
        self.ttl_ms.is_some() || self.delays.is_some()
    }

    /// Whether publishers are refused when the queue is full.
    pub(crate) fn rejects(&self) -> bool {
        self.is_limited() && self.overflow != Overflow::DropHead
    }
}

fn overflow(arguments: &Arguments<'_>, kind: QueueKind) -> Result<Overflow, Error> {
    let words = ["drop-head", "reject-publish", "reject-publish-dlx"];
    let word = arguments.word("x-overflow", &words, "invalid_overflow")?;
    let overflow = word.map_or(Overflow::DropHead, Overflow::from_word);
    // RabbitMQ's quorum queues take the word and do not do it.
    let is_ignored = kind == QueueKind::Quorum && overflow == Overflow::RejectAndBury;
    Ok(if is_ignored {
        Overflow::DropHead
    } else {
        overflow
    })
}

fn dead_letter(arguments: &Arguments<'_>) -> Result<Option<DeadLetter>, Error> {
    const KEY: &str = "x-dead-letter-routing-key";
    let exchange = arguments.text("x-dead-letter-exchange")?;
    let key = arguments.text(KEY)?;
    match (exchange, key) {
        (Some(exchange), key) => Ok(Some(DeadLetter {
            exchange: exchange.to_owned(),
            key: key.map(str::to_owned),
        })),
        (None, Some(_)) => Err(arguments.refused(KEY, Problem::WithoutExchange)),
        (None, None) => Ok(None),
    }
}

fn check_quorum(what: What<'_>, settings: &QueueSettings, dialect: Dialect) -> Result<(), Error> {
    let refused = [
        ("auto-delete", settings.auto_delete),
        ("exclusive-owner", settings.exclusive.is_some()),
        ("non-durable", !settings.durable),
    ];
    match refused.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((property, _)) => Err(dialect.refuse(&Refusal::Property { what, property })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::value::Value;

    fn rules(arguments: &[(&str, Value)]) -> Result<Rules, String> {
        let settings = QueueSettings {
            durable: true,
            exclusive: None,
            auto_delete: false,
            arguments: arguments
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        };
        let rules = Rules::new(
            ("q", "/"),
            &settings,
            &Policies::default(),
            Dialect::RabbitMq4,
        );
        rules
            .map(|(rules, _)| rules)
            .map_err(|error| error.to_string())
    }

    fn text(value: &str) -> Value {
        Value::String(value.into())
    }

    #[test]
    fn an_argument_of_the_wrong_type_or_range_is_refused_in_the_words_of_rabbitmq() {
        let cases = [
            (
                vec![("x-message-ttl", text("1"))],
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': \"expected integer, got longstr\"",
            ),
            (
                vec![("x-message-ttl", Value::I64(315_360_000_001))],
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_too_large,315360000001}",
            ),
            (
                vec![("x-queue-version", Value::I32(3))],
                "invalid arg 'x-queue-version' for queue 'q' in vhost '/': \"unsupported queue version '3'\"",
            ),
            (
                vec![("x-single-active-consumer", text("yes"))],
                "invalid arg 'x-single-active-consumer' for queue 'q' in vhost '/': {unacceptable_type,longstr}",
            ),
            (
                vec![("x-queue-leader-locator", text("here"))],
                "invalid arg 'x-queue-leader-locator' for queue 'q' in vhost '/': invalid_queue_locator_arg",
            ),
            (
                vec![("x-message-ttl", Value::I32(-1))],
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}",
            ),
            (
                vec![("x-expires", Value::I32(0))],
                "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}",
            ),
            (
                vec![("x-max-priority", Value::I32(256))],
                "invalid arg 'x-max-priority' for queue 'q' in vhost '/': {max_value_exceeded,256}",
            ),
            (
                vec![("x-dead-letter-routing-key", text("k"))],
                "invalid arg 'x-dead-letter-routing-key' for queue 'q' in vhost '/': \
                 routing_key_but_no_dlx_defined",
            ),
            (
                vec![("x-overflow", text("drop"))],
                "invalid arg 'x-overflow' for queue 'q' in vhost '/': invalid_overflow",
            ),
            (
                vec![("x-delivery-limit", Value::I32(3))],
                "invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type \
                 rabbit_classic_queue",
            ),
            (
                vec![
                    ("x-queue-type", text("quorum")),
                    ("x-max-priority", Value::U8(3)),
                ],
                "invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type \
                 rabbit_quorum_queue",
            ),
            (
                vec![("x-queue-type", text("stream"))],
                "queue 'q' in vhost '/': streams are not supported by this broker",
            ),
        ];
        for (arguments, refusal) in cases {
            assert_eq!(rules(&arguments), Err(refusal.to_owned()));
        }
    }

    #[test]
    fn a_quorum_queue_has_a_delivery_limit_unless_told_otherwise() {
        let quorum = ("x-queue-type", text("quorum"));
        let limit = |arguments: &[_]| rules(arguments).unwrap().delivery_limit;
        assert_eq!(limit(std::slice::from_ref(&quorum)), Some(20));
        let named = ("x-delivery-limit", Value::I64(3));
        assert_eq!(limit(&[quorum, named]), Some(3));
        assert_eq!(limit(&[]), None);
    }
}
