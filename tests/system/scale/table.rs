//! The figures, as a table in Markdown.

use std::fmt;
use std::time::Duration;

use super::fleet::{Created, Idle};
use super::load::Latencies;

/// One size of the fleet.
pub(super) struct Row {
    pub(super) brokers: usize,
    pub(super) hosts: usize,
    pub(super) created: Created,
    pub(super) idle: Idle,
    pub(super) describe: Latencies,
    pub(super) list: Latencies,
}

#[derive(Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    pub(super) fn push(&mut self, row: Row) {
        self.0.push(row);
    }
}

const HEAD: &str = "\
| brokers (hosts) | created, brokers/s | CPU a creation, ms: API, worker, Postgres | DescribeBroker p50, p99 | ListBrokers (100) p50, p99 | sweep | cores at rest: API, worker, Postgres |
|---|---|---|---|---|---|---|";

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let both = |latencies: &Latencies| {
            let [half, most] = [0.5, 0.99].map(|fraction| ms(latencies.percentile(fraction)));
            format!("{half:.1} ms, {most:.1} ms")
        };
        let created = &self.created;
        let [api, worker, postgres] = [created.api, created.worker, created.postgres]
            .map(|cpu| cpu.used_s * 1e3 / created.brokers);
        let idle = &self.idle;
        write!(
            f,
            "| {} ({}) | {:.0} | {api:.1}, {worker:.1}, {postgres:.1} | {} | {} | {:.0} ms | {:.2}, {:.2}, {:.2} |",
            self.brokers,
            self.hosts,
            created.brokers / created.took.as_secs_f64(),
            both(&self.describe),
            both(&self.list),
            idle.sweep_s * 1e3,
            idle.api.cores(),
            idle.worker.cores(),
            idle.postgres.cores(),
        )
    }
}
