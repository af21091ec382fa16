//! What came out of a run, for people and for programs.

use std::fmt;

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::latency::Percentiles;
use crate::process::{CpuUsed, Memory};

/// The outcome of a load.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// From the first publish until the last message came.
    pub seconds: f64,
    pub published: u64,
    pub consumed: u64,
    pub published_per_s: f64,
    pub consumed_per_s: f64,
    /// Published and never delivered.
    pub missing: u64,
    /// Delivered again without the redelivered flag, or to two consumers of a queue.
    pub duplicates: u64,
    pub out_of_order: u64,
    pub bad_bodies: u64,
    pub redelivered: u64,
    /// Publishes answered with a nack.
    pub refused: u64,
    /// Publishes that came back because no queue took them.
    pub returned: u64,
    pub unconfirmed: u64,
    /// From when a message was due to be sent to when its consumer read it; with a rate only.
    pub latency: Option<Percentiles>,
    /// From a write to the confirm of its last message.
    pub confirm_latency: Option<Percentiles>,
    /// Of the broker's process, if that was given.
    pub broker: Option<BrokerUse>,
}

/// What a load cost the broker.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BrokerUse {
    /// CPU for each consumed message, or each published one when nobody consumes.
    pub per_message: CpuUsed,
    pub memory: Memory,
}

impl BrokerUse {
    pub(crate) fn new(cpu: CpuUsed, memory: Memory, messages: u64) -> Self {
        let share = 1.0 / messages.max(1) as f64;
        Self {
            per_message: CpuUsed {
                total_us: cpu.total_us * share,
                user_us: cpu.user_us * share,
                system_us: cpu.system_us * share,
            },
            memory,
        }
    }

    /// Names and values for people; `what` is what the CPU is for.
    pub(crate) fn rows(&self, what: &str) -> [(&'static str, String); 2] {
        let cpu = self.per_message;
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        [
            (
                "broker CPU",
                format!(
                    "{:.3} µs/{what} ({:.3} user, {:.3} system)",
                    cpu.total_us, cpu.user_us, cpu.system_us
                ),
            ),
            (
                "broker memory",
                format!(
                    "{:.1} MiB resident, {:.1} MiB anonymous, {:.1} MiB at most",
                    mebibytes(self.memory.resident),
                    mebibytes(self.memory.anonymous),
                    mebibytes(self.memory.resident_max)
                ),
            ),
        ]
    }
}

impl Report {
    /// Whether everything arrived once, in order and whole.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        [
            self.missing,
            self.duplicates,
            self.out_of_order,
            self.bad_bodies,
            self.refused,
            self.returned,
            self.unconfirmed,
        ]
        .iter()
        .all(|count| *count == 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let mut row = |name: &str, value: String| {
            table.add_row([name.to_owned(), value]);
        };
        row("time", format!("{:.2} s", self.seconds));
        row(
            "published",
            format!("{} ({:.0}/s)", self.published, self.published_per_s),
        );
        row(
            "consumed",
            format!("{} ({:.0}/s)", self.consumed, self.consumed_per_s),
        );
        for (name, points) in [
            ("latency", self.latency),
            ("confirms", self.confirm_latency),
        ] {
            if let Some(points) = points {
                row(name, points.to_string());
            }
        }
        for (name, value) in self.broker.iter().flat_map(|broker| broker.rows("message")) {
            row(name, value);
        }
        for (name, count) in [
            ("missing", self.missing),
            ("duplicates", self.duplicates),
            ("out of order", self.out_of_order),
            ("bad bodies", self.bad_bodies),
            ("redelivered", self.redelivered),
            ("refused", self.refused),
            ("returned", self.returned),
            ("unconfirmed", self.unconfirmed),
        ] {
            row(name, count.to_string());
        }
        write!(formatter, "{table}")
    }
}
