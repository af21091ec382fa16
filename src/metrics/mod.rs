//! What operators' monitoring reads: counters of this process, and gauges of the fleet.
//!
//! Owns the names, the labels and the text form. Knows nobody: callers tell it what happened in
//! plain words.
//!
//! **Invariant:** the number of series is bounded. Labels come from fixed sets (operations, error
//! codes, kinds of jobs, steps), but for those of hosts and brokers, which [`Fleet`] cuts off.

mod calls;
mod fleet;
mod text;
mod work;

use std::sync::Arc;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use calls::Calls;
use work::Work;

pub use fleet::{BrokerStanding, Fleet, HostStanding, JobsStanding};
pub use text::CONTENT_TYPE;

/// The counters of one process. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    calls: Calls,
    work: Work,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("warren");
        let calls = Calls::register(&mut registry);
        let work = Work::register(&mut registry);
        Self(Arc::new(Inner {
            registry,
            calls,
            work,
        }))
    }
}

/// Connections to the database that a process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStanding {
    pub idle: u64,
    pub used: u64,
    pub max: u64,
}

/// Bucket bounds in seconds, from a query to a call that nobody waits for any more.
fn durations() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}
