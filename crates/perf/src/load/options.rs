//! What a load consists of.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::body::SIZE_MIN;

/// A load on one broker.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Publishing connections
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub publishers: u16,

    /// Consuming connections; without any, messages stay in their queues and are not verified
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub consumers: u16,

    /// Queues. Publishers and consumers are spread over them, or they over publishers and consumers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub queues: u16,

    /// Body size; at least 16
    #[arg(long, value_name = "BYTES", default_value_t = SIZE_MIN)]
    pub size: usize,

    /// How consumers acknowledge: auto, each, or N for one multiple ack for every N messages
    #[arg(long, value_name = "auto|each|N", default_value = "auto")]
    pub ack: Ack,

    /// Unacknowledged messages of a consumer at most; 0 for no limit
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub prefetch: u16,

    /// Use publisher confirms, with at most this many publishes unconfirmed for each publisher
    #[arg(long, value_name = "WINDOW", value_parser = clap::value_parser!(u32).range(1..))]
    pub confirm: Option<u32>,

    /// Persistent messages and durable queues
    #[arg(long)]
    pub persistent: bool,

    /// Messages a second of all publishers together, each on time and in a write of its own
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,

    /// Publish through a topic exchange with this many bindings, spread over the queues
    #[arg(long, value_name = "BINDINGS", conflicts_with = "fanout")]
    pub topic: Option<u32>,

    /// Distinct routing keys to publish with in turn; as many as there are bindings by default
    #[arg(long, value_name = "N", requires = "topic")]
    pub keys: Option<u32>,

    /// Publish through a fanout exchange: every queue gets every message
    #[arg(long)]
    pub fanout: bool,

    /// How long publishers publish
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub duration: f64,

    /// Publish this many messages for each publisher, however long it takes
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,

    /// Consumers begin when so many messages are in the queues, or everything is published
    #[arg(long, value_name = "N")]
    pub backlog: Option<u64>,

    /// Publishers wait while more messages than this are on their way to consumers
    #[arg(long, value_name = "N")]
    pub backlog_max: Option<u64>,

    /// Without a message for so long after the last publish, the rest counts as missing
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub patience: f64,

    /// Leave the queues and what is in them
    #[arg(long)]
    pub keep_queues: bool,

    /// Use this queue, which exists, instead of declaring one
    #[arg(long, value_name = "NAME", conflicts_with_all = ["topic", "fanout", "queues"])]
    pub existing_queue: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            publishers: 1,
            consumers: 1,
            queues: 1,
            size: SIZE_MIN,
            ack: Ack::Auto,
            prefetch: 1000,
            confirm: None,
            persistent: false,
            rate: None,
            topic: None,
            keys: None,
            fanout: false,
            duration: 5.0,
            messages: None,
            backlog: None,
            backlog_max: None,
            patience: 10.0,
            keep_queues: false,
            existing_queue: None,
        }
    }
}

impl Options {
    pub(crate) fn check(&self, is_relay: bool) -> Result<(), Error> {
        let usage = |reason: &str| Err(Error::Usage(reason.to_owned()));
        if self.size < SIZE_MIN {
            return usage("--size must be at least 16");
        }
        if self.publishers == 0 || self.queues == 0 {
            return usage("there must be a publisher and a queue");
        }
        if !(self.duration >= 0.0 && self.patience >= 0.0) {
            return usage("durations must not be negative");
        }
        if self.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
            return usage("--rate must be positive");
        }
        if let (Some(bindings), keys) = (self.topic, self.keys.unwrap_or(1))
            && (bindings < u32::from(self.queues) || keys == 0 || keys > bindings)
        {
            return usage("a topic needs a binding for each queue and for each key");
        }
        if let Ack::Multiple(count) = self.ack
            && self.prefetch > 0
            && count > u32::from(self.prefetch)
        {
            return usage("--prefetch must allow for as many messages as are acknowledged at once");
        }
        if u32::from(self.publishers) * u32::from(self.queues) > u32::from(u16::MAX) {
            return usage("at most 65,535 pairs of publisher and queue can be told apart");
        }
        if self.backlog > self.backlog_max.or(self.backlog) {
            return usage("--backlog-max must allow for --backlog");
        }
        if is_relay && self.backlog.is_some() {
            return usage("a relay has no queues");
        }
        if self.fanout && self.consumers > 0 && self.consumers < self.queues {
            return usage("a fan-out needs a consumer for each queue");
        }
        if is_relay && self.publishers != self.consumers {
            return usage("a relay pairs each publisher with a consumer");
        }
        Ok(())
    }

    /// How many messages a published one becomes.
    pub(crate) fn copies(&self) -> u64 {
        if self.fanout {
            u64::from(self.queues)
        } else {
            1
        }
    }
}

/// How consumers acknowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// The broker takes messages as acknowledged when it sends them.
    Auto,
    /// One ack for each message.
    Each,
    /// One ack with `multiple` for so many messages.
    Multiple(u32),
}

impl FromStr for Ack {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "each" => Ok(Self::Each),
            number => match number.parse() {
                Ok(count) if count > 0 => Ok(Self::Multiple(count)),
                _ => Err("expected auto, each or a positive number".to_owned()),
            },
        }
    }
}

impl fmt::Display for Ack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Each => formatter.write_str("each"),
            Self::Multiple(count) => count.fmt(formatter),
        }
    }
}
