//! What a queue's arguments ask for, checked once when it is declared.
//!
//! Owns the arguments' names, types, ranges and which kind of queue takes which. The texts are RabbitMQ's.

use super::{
    super::{
        deduplication::Deduplication,
        delay,
        error::Error,
        policy::{Applied, Policies},
        topology::Kind,
        value::{Table, Value},
    },
    QueueSettings,
};

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

    /// The arguments that RabbitMQ knows but this kind does not take.
    fn refused(self) -> &'static [&'static str] {
        match self {
            Self::Classic => &[
                "x-delivery-limit",
                "x-dead-letter-strategy",
                "x-quorum-initial-group-size",
                "x-max-in-memory-length",
                "x-max-in-memory-bytes",
                "x-max-age",
                "x-stream-max-segment-size-bytes",
                "x-initial-cluster-size",
            ],
            Self::Quorum => &[
                "x-max-priority",
                "x-queue-mode",
                "x-queue-version",
                "x-max-age",
                "x-stream-max-segment-size-bytes",
                "x-initial-cluster-size",
            ],
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
    pub(crate) priority_max: Option<u8>,
    pub(crate) is_single_active: bool,
    pub(crate) delivery_limit: Option<u64>,
    /// How long a consumer may keep a message; 0 for ever. Without it the node's limit holds.
    pub(crate) consumer_timeout_ms: Option<u64>,
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
        let arguments = Arguments::new((Kind::Queue, name, vhost), &settings.arguments);
        let kind = arguments.kind(dialect)?;
        let mut rules = Self {
            kind,
            ttl_ms: arguments.number("x-message-ttl", 0, u64::MAX)?,
            expires_ms: arguments.number("x-expires", 1, u64::MAX)?,
            length_max: arguments.number("x-max-length", 0, u64::MAX)?,
            bytes_max: arguments.number("x-max-length-bytes", 0, u64::MAX)?,
            overflow: arguments.overflow()?,
            dead_letter: arguments.dead_letter()?,
            priority_max: arguments
                .number("x-max-priority", 0, u64::from(u8::MAX))?
                .and_then(|priority| u8::try_from(priority).ok()),
            is_single_active: arguments.flag("x-single-active-consumer")?,
            delivery_limit: arguments.number("x-delivery-limit", 0, u64::MAX)?,
            consumer_timeout_ms: arguments.number("x-consumer-timeout", 0, u64::MAX)?,
            counts_returns: kind == QueueKind::Quorum,
            deduplication: Deduplication::new(&arguments)?,
            delays: delay::exchange_of(name, &settings.arguments),
        };
        arguments.word("x-queue-mode", &["default", "lazy"], "invalid_queue_mode")?;
        if dialect == Dialect::LavinMq {
            rules.counts_returns = rules.delivery_limit.is_some();
            return Ok(rules);
        }
        arguments.refuse(kind)?;
        if kind == QueueKind::Quorum {
            arguments.check_quorum(settings)?;
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

    /// Whether messages that leave go somewhere.
    pub(crate) fn hands_on(&self) -> bool {
        self.dead_letter.is_some() || self.delays.is_some()
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

/// The arguments of a declaration, read with RabbitMQ's refusals.
pub(crate) struct Arguments<'a> {
    table: &'a Table,
    what: String,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new((kind, name, vhost): (Kind, &str, &str), table: &'a Table) -> Self {
        Self {
            table,
            what: format!("{kind} '{name}' in vhost '{vhost}'"),
        }
    }
}

impl Arguments<'_> {
    fn invalid(&self, argument: &str, reason: impl std::fmt::Display) -> Error {
        Error::PreconditionFailed(format!(
            "invalid arg '{argument}' for {}: {reason}",
            self.what
        ))
    }

    fn wrong_type(&self, argument: &str, value: &Value) -> Error {
        self.invalid(
            argument,
            format!("{{unacceptable_type,{}}}", value.type_name()),
        )
    }

    pub(crate) fn number(&self, argument: &str, min: u64, max: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.table.get(argument) else {
            return Ok(None);
        };
        let number = value
            .as_i64()
            .ok_or_else(|| self.wrong_type(argument, value))?;
        match u64::try_from(number) {
            Err(_) => Err(self.invalid(argument, format!("{{value_negative,{number}}}"))),
            Ok(0) if min > 0 => Err(self.invalid(argument, "{value_zero,0}")),
            Ok(number) if number > max => {
                Err(self.invalid(argument, format!("{{max_value_exceeded,{number}}}")))
            }
            Ok(number) => Ok(Some(number)),
        }
    }

    pub(crate) fn text(&self, argument: &str) -> Result<Option<&str>, Error> {
        let Some(value) = self.table.get(argument) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(self.wrong_type(argument, value)),
        }
    }

    pub(crate) fn flag(&self, argument: &str) -> Result<bool, Error> {
        match self.table.get(argument) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(self.wrong_type(argument, value)),
        }
    }

    fn word<'a>(
        &'a self,
        argument: &str,
        words: &[&str],
        reason: &str,
    ) -> Result<Option<&'a str>, Error> {
        match self.text(argument)? {
            Some(word) if !words.contains(&word) => Err(self.invalid(argument, reason)),
            word => Ok(word),
        }
    }

    fn kind(&self, dialect: Dialect) -> Result<QueueKind, Error> {
        match self.text("x-queue-type")? {
            None | Some("classic") => Ok(QueueKind::Classic),
            Some("quorum") if dialect == Dialect::LavinMq => Ok(QueueKind::Classic),
            Some("quorum") => Ok(QueueKind::Quorum),
            Some("stream") => Err(Error::PreconditionFailed(format!(
                "{}: streams are not supported by this broker",
                self.what
            ))),
            Some(other) => Err(self.invalid(
                "x-queue-type",
                format!("\"unsupported queue type '{other}'\""),
            )),
        }
    }

    fn overflow(&self) -> Result<Overflow, Error> {
        let words = ["drop-head", "reject-publish", "reject-publish-dlx"];
        let word = self.word("x-overflow", &words, "invalid_overflow")?;
        Ok(word.map_or(Overflow::DropHead, Overflow::from_word))
    }

    fn dead_letter(&self) -> Result<Option<DeadLetter>, Error> {
        const KEY: &str = "x-dead-letter-routing-key";
        let exchange = self.text("x-dead-letter-exchange")?;
        let key = self.text(KEY)?;
        match (exchange, key) {
            (Some(exchange), key) => Ok(Some(DeadLetter {
                exchange: exchange.to_owned(),
                key: key.map(str::to_owned),
            })),
            (None, Some(_)) => Err(self.invalid(KEY, "routing_key_but_no_dlx_defined")),
            (None, None) => Ok(None),
        }
    }

    fn refuse(&self, kind: QueueKind) -> Result<(), Error> {
        let refused = kind.refused().iter();
        match refused
            .into_iter()
            .find(|argument| self.table.get(argument).is_some())
        {
            None => Ok(()),
            Some(argument) => Err(Error::PreconditionFailed(format!(
                "invalid arg '{argument}' for {} of queue type rabbit_{}_queue",
                self.what,
                kind.name()
            ))),
        }
    }

    fn check_quorum(&self, settings: &QueueSettings) -> Result<(), Error> {
        let refused = [
            ("auto-delete", settings.auto_delete),
            ("exclusive-owner", settings.exclusive.is_some()),
            ("non-durable", !settings.durable),
        ];
        match refused.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((property, _)) => Err(Error::PreconditionFailed(format!(
                "invalid property '{property}' for {}",
                self.what
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {unacceptable_type,longstr}",
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
