//! The arguments of declarations and subscriptions: names, types, ranges, and which kind of queue takes which.
//!
//! The order in which arguments are looked at is RabbitMQ's. An argument that nobody knows is kept and means nothing.

use super::{
    Queue, QueueSettings,
    rules::{Dialect, QueueKind},
};
use crate::{
    broker::{
        error::Error,
        refusal::{Problem, Refusal, What},
        topology::Kind,
        value::{Table, Value},
    },
    store::Durability,
};

/// RabbitMQ's longest time: ten years, in milliseconds.
const TIME_MAX_MS: u64 = 315_360_000_000;

/// What every kind of queue takes.
const SHARED: [&str; 9] = [
    "x-expires",
    "x-message-ttl",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-single-active-consumer",
    "x-queue-type",
];

const CLASSIC: [&str; 4] = [
    "x-max-priority",
    "x-queue-mode",
    "x-queue-version",
    "x-queue-master-locator",
];

const LEADER_LOCATOR: &str = "x-queue-leader-locator";

const QUORUM: [&str; 6] = [
    "x-dead-letter-strategy",
    "x-max-in-memory-length",
    "x-max-in-memory-bytes",
    "x-quorum-initial-group-size",
    "x-delivery-limit",
    LEADER_LOCATOR,
];

const STREAM: [&str; 3] = [
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size",
];

const DURABILITY: &str = "x-warren-durability";

/// What no kind of RabbitMQ's queues knows, but this broker acts on.
const OWN: [&str; 6] = [
    DURABILITY,
    "x-consumer-timeout",
    "x-message-deduplication",
    "x-cache-size",
    "x-cache-ttl",
    "x-deduplication-header",
];

/// Whether RabbitMQ knows an argument but does not take it for this kind of queue.
fn is_refused(argument: &str, kind: QueueKind, dialect: Dialect) -> bool {
    let of_others: [&[&str]; 2] = match (kind, dialect) {
        (_, Dialect::LavinMq) => return false,
        (QueueKind::Classic, Dialect::RabbitMq4) if argument == LEADER_LOCATOR => return false,
        (QueueKind::Classic, _) => [&QUORUM, &STREAM],
        (QueueKind::Quorum, _) => [&CLASSIC, &STREAM],
    };
    of_others.concat().contains(&argument)
}

/// Whether a redeclaration must agree on an argument.
pub(crate) fn is_compared(argument: &str, kind: QueueKind, dialect: Dialect) -> bool {
    let own: &[&str] = match kind {
        QueueKind::Classic => &CLASSIC,
        QueueKind::Quorum => &QUORUM,
    };
    let is_known = [&SHARED, own, &OWN].concat().contains(&argument);
    is_known || dialect == Dialect::LavinMq
}

/// The arguments of one declaration.
pub(crate) struct Arguments<'a> {
    table: &'a Table,
    what: What<'a>,
    dialect: Dialect,
    /// What the kind of queue decides about, once it is known.
    kind: Option<QueueKind>,
}

impl<'a> Arguments<'a> {
    pub(crate) fn new(what: What<'a>, table: &'a Table, dialect: Dialect) -> Self {
        Self {
            table,
            what,
            dialect,
            kind: None,
        }
    }

    /// The kind of queue that is asked for. What that kind does not take is not looked at from now on.
    pub(super) fn read_kind(&mut self) -> Result<QueueKind, Error> {
        let kind = match self.text("x-queue-type")? {
            None | Some("classic") => QueueKind::Classic,
            Some("quorum") if self.dialect == Dialect::LavinMq => QueueKind::Classic,
            Some("quorum") => QueueKind::Quorum,
            Some("stream") => {
                return Err(self.dialect.refuse(&Refusal::Streams(self.what)));
            }
            Some(other) => {
                return Err(self.invalid(
                    "x-queue-type",
                    format!("\"unsupported queue type '{other}'\""),
                ));
            }
        };
        self.kind = Some(kind);
        Ok(kind)
    }

    fn get(&self, argument: &str) -> Option<&'a Value> {
        let is_refused = self
            .kind
            .is_some_and(|kind| is_refused(argument, kind, self.dialect));
        self.table.get(argument).filter(|_| !is_refused)
    }

    pub(super) fn refused(&self, argument: &str, problem: Problem<'_>) -> Error {
        self.dialect.refuse(&Refusal::Argument {
            what: self.what,
            argument,
            problem,
        })
    }

    /// Refuses what only one of the peers looks at, in its words.
    fn invalid(&self, argument: &str, reason: impl Into<String>) -> Error {
        self.refused(argument, Problem::Told(reason.into()))
    }

    fn integer(&self, argument: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.get(argument) else {
            return Ok(None);
        };
        value
            .as_i64()
            .map(Some)
            .ok_or_else(|| self.refused(argument, Problem::NotAnInteger(value)))
    }

    pub(crate) fn number(&self, argument: &str, min: u64, max: u64) -> Result<Option<u64>, Error> {
        let Some(number) = self.integer(argument)? else {
            return Ok(None);
        };
        let value = u64::try_from(number).ok();
        if let Some(value) = value.filter(|value| (min..=max).contains(value)) {
            return Ok(Some(value));
        }
        let problem = match value {
            Some(value) if value > max => Problem::TooLarge { number, max },
            _ => Problem::TooSmall { number, min },
        };
        Err(self.refused(argument, problem))
    }

    /// A time in milliseconds.
    pub(super) fn time_ms(&self, argument: &str, min: u64) -> Result<Option<u64>, Error> {
        let time_ms = self.number(argument, min, u64::MAX)?;
        match time_ms {
            Some(time_ms) if time_ms > TIME_MAX_MS && self.dialect != Dialect::LavinMq => {
                Err(self.invalid(argument, format!("{{value_too_large,{time_ms}}}")))
            }
            time_ms => Ok(time_ms),
        }
    }

    pub(crate) fn text(&self, argument: &str) -> Result<Option<&'a str>, Error> {
        let Some(value) = self.get(argument) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) => Ok(Some(text)),
            None => Err(self.refused(argument, Problem::NotAString(value))),
        }
    }

    pub(crate) fn flag(&self, argument: &str) -> Result<bool, Error> {
        match self.get(argument) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => Err(self.refused(argument, Problem::NotABoolean(value))),
        }
    }

    /// One of some words. LavinMQ takes any.
    pub(super) fn word(
        &self,
        argument: &str,
        words: &[&str],
        reason: &str,
    ) -> Result<Option<&'a str>, Error> {
        match self.text(argument)? {
            Some(word) if !words.contains(&word) && self.dialect != Dialect::LavinMq => {
                Err(self.invalid(argument, reason))
            }
            word => Ok(word),
        }
    }

    /// How often a message may come back. RabbitMQ does not look at the value: what is no number is no limit. One
    /// below zero is none in RabbitMQ 4, and is reached at once in RabbitMQ 3.
    pub(super) fn delivery_limit(&self) -> Result<Option<u64>, Error> {
        const LIMIT: &str = "x-delivery-limit";
        const NEVER: u64 = u64::MAX;
        let below = match self.dialect {
            Dialect::LavinMq => return self.number(LIMIT, 0, u64::MAX),
            Dialect::RabbitMq4 => NEVER,
            Dialect::RabbitMq3 => 0,
        };
        let limit = self.get(LIMIT).map(|value| {
            let number = value.as_i64();
            number.map_or(NEVER, |number| u64::try_from(number).unwrap_or(below))
        });
        Ok(limit)
    }

    /// What makes messages durable; none for the node's level. Quorum queues have one level, and queues that do not
    /// outlive the node have none.
    pub(super) fn durability(
        &self,
        settings: &QueueSettings,
        kind: QueueKind,
    ) -> Result<Option<Durability>, Error> {
        let only = (kind == QueueKind::Quorum).then_some(Durability::Sync);
        let Some(word) = self.text(DURABILITY)? else {
            return Ok(only);
        };
        let Some(level) = Durability::from_name(word) else {
            let reason = format!("\"unknown level '{word}', expected 'sync' or 'write'\"");
            return Err(self.invalid(DURABILITY, reason));
        };
        if !settings.durable || settings.exclusive.is_some() {
            let reason = "\"only queues that are durable and not exclusive have a level\"";
            return Err(self.invalid(DURABILITY, reason));
        }
        if only.is_some_and(|only| only != level) {
            return Err(self.invalid(DURABILITY, "\"quorum queues are always 'sync'\""));
        }
        Ok(Some(level))
    }

    /// What only clusters act on, and the storage of other brokers: checked, and without a meaning on one node.
    pub(super) fn check_accepted(&self) -> Result<(), Error> {
        if self.dialect == Dialect::LavinMq {
            return Ok(());
        }
        let strategies = ["at-most-once", "at-least-once"];
        self.word(
            "x-dead-letter-strategy",
            &strategies,
            "invalid_dlx_strategy",
        )?;
        for argument in ["x-max-in-memory-length", "x-max-in-memory-bytes"] {
            self.number(argument, 0, u64::MAX)?;
        }
        if let Some(mode) = self.text("x-queue-mode")?
            && !["default", "lazy"].contains(&mode)
        {
            let reason = format!("\"unsupported queue mode '{mode}'\"");
            return Err(self.invalid("x-queue-mode", reason));
        }
        if let Some(version) = self.number("x-queue-version", 0, u64::MAX)?
            && !(1..=2).contains(&version)
        {
            let reason = format!("\"unsupported queue version '{version}'\"");
            return Err(self.invalid("x-queue-version", reason));
        }
        self.number("x-quorum-initial-group-size", 1, u64::MAX)?;
        let locators = ["client-local", "balanced", "random", "least-leaders"];
        self.word(LEADER_LOCATOR, &locators, "invalid_queue_locator_arg")?;
        Ok(())
    }

    /// Refuses the first argument that is known and not for this kind of queue.
    pub(super) fn refuse(&self, kind: QueueKind) -> Result<(), Error> {
        let mut names = self.table.0.iter().map(|(name, _)| name);
        match names.find(|name| is_refused(name, kind, self.dialect)) {
            None => Ok(()),
            Some(argument) => Err(self.not_for(argument, kind)),
        }
    }

    fn not_for(&self, argument: &str, kind: QueueKind) -> Error {
        self.dialect.refuse(&Refusal::NotForKind {
            what: self.what,
            argument,
            kind,
        })
    }
}

impl Queue {
    /// The rank that a subscription's arguments ask for, after checking them.
    ///
    /// # Errors
    /// `PreconditionFailed` for an argument of the wrong type, or one of another kind of queue.
    pub fn consumer_priority(&self, table: &Table) -> Result<i32, Error> {
        const PRIORITY: &str = "x-priority";
        const FAILOVER: &str = "x-cancel-on-ha-failover";
        let dialect = self.core.dialect;
        let names = (Kind::Queue, &*self.name, &*self.vhost);
        let arguments = Arguments::new(names, table, dialect);
        let priority = arguments.integer(PRIORITY)?.unwrap_or(0);
        if dialect == Dialect::LavinMq {
            let (number, max) = (priority, i32::MAX.unsigned_abs().into());
            let problem = Problem::TooLarge { number, max };
            return i32::try_from(priority).map_err(|_| arguments.refused(PRIORITY, problem));
        }
        let refused: &[&str] = match (self.kind(), dialect) {
            (QueueKind::Classic, Dialect::RabbitMq3) => {
                arguments.flag(FAILOVER)?;
                &["x-stream-offset"]
            }
            (QueueKind::Quorum, Dialect::RabbitMq3) => &[FAILOVER, "x-stream-offset"],
            (_, Dialect::RabbitMq4 | Dialect::LavinMq) => &[
                "x-stream-offset",
                "x-stream-filter",
                "x-stream-match-unfiltered",
            ],
        };
        let mut names = table.0.iter().map(|(name, _)| name.as_str());
        match names.find(|name| refused.contains(name)) {
            None => Ok(clamped(priority)),
            Some(argument) => Err(arguments.not_for(argument, self.kind())),
        }
    }
}

fn clamped(priority: i64) -> i32 {
    let bounded = priority.clamp(i32::MIN.into(), i32::MAX.into());
    i32::try_from(bounded).unwrap_or_default()
}
