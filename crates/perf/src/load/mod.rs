//! One run of load on one broker: declares, publishes, consumes, verifies, measures, cleans up.

mod confirms;
mod consumer;
mod options;
mod progress;
mod publisher;
mod report;
mod topology;
mod verifier;

use std::io::IsTerminal as _;
use std::num::NonZeroU64;
use std::sync::Barrier;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use self::consumer::Consumed;
pub use self::options::{Ack, Options};
use self::progress::Progress;
use self::publisher::Published;
pub use self::report::{BrokerUse, Report};
use self::topology::Topology;
use self::verifier::Received;
use crate::body::Shape;
use crate::connection::{Connection, Purpose};
use crate::latency::Histogram;
use crate::process::Process;
pub use crate::stream::Trust;
use crate::{Error, Target};

/// How often the run looks whether it is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// What surrounds a run and is not part of the load.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Authorities for TLS.
    pub trust: Option<Trust>,
    /// The broker's process, to be measured.
    pub broker_pid: Option<u32>,
    /// Tell the rate on standard error each second, if it is a terminal.
    pub is_talkative: bool,
}

/// Runs a load to its end.
///
/// # Errors
/// When the load is contradictory, the broker refuses something, or a connection fails. What was
/// lost or damaged on the way is no error but in the report.
pub fn run(target: &Target, options: &Options, environment: &Environment) -> Result<Report, Error> {
    options.check(target.is_relay)?;
    let process = environment.broker_pid.map(Process::new).transpose()?;
    let trust = environment.trust.as_ref();
    let name = format!("warren-perf-{}", std::process::id());
    let topology = Topology::new(options, &name);
    let mut control = None;
    if !target.is_relay {
        let mut connection = Connection::open(target, trust, Purpose::Control)?;
        if options.existing_queue.is_none() {
            topology.declare(&mut connection)?;
        }
        control = Some(connection);
    }
    let open = |purpose: fn(u16) -> Purpose, count: u16| {
        let numbers = 0..count;
        let opened = numbers.map(|number| Connection::open(target, trust, purpose(number)));
        opened.collect::<Result<Vec<_>, _>>()
    };
    let mut consumers = open(Purpose::Consume, options.consumers)?;
    let mut publishers = open(Purpose::Publish, options.publishers)?;
    if !target.is_relay && options.backlog.is_none() {
        for (number, connection) in consumers.iter_mut().enumerate() {
            topology.consume(number, options, connection)?;
        }
    }
    let run = Run {
        target,
        options,
        topology: &topology,
        shape: Shape::new(options.size),
        progress: Progress::new(publishers.len(), consumers.len()),
    };
    let confirming = options.confirm.is_some() && !target.is_relay;
    if confirming {
        for connection in &mut publishers {
            connection.call(
                crate::wire::CONFIRM_SELECT,
                crate::wire::CONFIRM_SELECT_OK,
                |arguments| arguments.push(0),
            )?;
        }
    }
    let report = run.measure(publishers, consumers, process, environment.is_talkative);
    if let Some(mut control) = control {
        if !options.keep_queues && options.existing_queue.is_none() {
            topology.delete(&mut control)?;
        }
        control.close()?;
    }
    report
}

struct Run<'a> {
    target: &'a Target,
    options: &'a Options,
    topology: &'a Topology,
    shape: Shape,
    progress: Progress,
}

impl Run<'_> {
    fn measure(
        &self,
        publishers: Vec<Connection>,
        consumers: Vec<Connection>,
        process: Option<Process>,
        is_talkative: bool,
    ) -> Result<Report, Error> {
        let start = Barrier::new(publishers.len() + 1);
        thread::scope(|scope| {
            let consuming: Vec<_> = consumers
                .into_iter()
                .enumerate()
                .map(|(number, connection)| scope.spawn(move || self.consume(connection, number)))
                .collect();
            let publishing: Vec<_> = publishers
                .into_iter()
                .enumerate()
                .map(|(number, connection)| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        self.publish(connection, number)
                    })
                })
                .collect();
            let before = process.map(Process::cpu).transpose();
            start.wait();
            let started = Instant::now();
            let mut talk = Talk::new(is_talkative);
            while !publishing.iter().all(ScopedJoinHandle::is_finished) {
                thread::sleep(LOOK_INTERVAL);
                talk.tell(&self.progress);
                if consuming.iter().any(ScopedJoinHandle::is_finished) {
                    // A consumer ends early only by an error.
                    self.progress.stop();
                }
            }
            self.progress.end_publishing();
            let publish_time = started.elapsed();
            self.drain(started, &mut talk, &consuming);
            let time = if self.options.consumers == 0 {
                publish_time
            } else {
                started.elapsed()
            };
            let broker = match (process, before) {
                (Some(process), Ok(Some(before))) => {
                    Some((process.cpu()?.since(&before), process.memory()?))
                }
                (_, Err(error)) => {
                    self.progress.stop();
                    return Err(error);
                }
                _ => None,
            };
            self.progress.stop();
            let published = join(publishing)?;
            let consumed = join(consuming)?;
            let (published, _): (Vec<_>, Vec<_>) = published.into_iter().unzip();
            Ok(self.report(&published, consumed, publish_time, time, broker))
        })
    }

    /// Waits until everything that was published came, or nothing comes any more.
    fn drain(
        &self,
        started: Instant,
        talk: &mut Talk,
        consuming: &[ScopedJoinHandle<'_, Result<Consumed, Error>>],
    ) {
        if self.options.consumers == 0 {
            return;
        }
        let due = self.progress.published_total() * self.options.copies();
        let mut last = (0, started);
        loop {
            let received = self.progress.received_total();
            if received >= due || consuming.iter().any(ScopedJoinHandle::is_finished) {
                return;
            }
            if received > last.0 {
                last = (received, Instant::now());
            } else if last.1.elapsed().as_secs_f64() > self.options.patience {
                return;
            }
            thread::sleep(LOOK_INTERVAL);
            talk.tell(&self.progress);
        }
    }

    fn publish(
        &self,
        mut connection: Connection,
        number: usize,
    ) -> Result<(Published, Option<Connection>), Error> {
        // Pacing within microseconds; where it is refused, pacing is coarser and nothing else.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let published = publisher::run(
            &mut connection,
            &self.topology.publishers[number],
            self.options,
            &self.shape,
            &self.progress,
            number,
            self.target.is_relay,
        )?;
        if self.target.is_relay {
            // The relay ends a pair when one side goes: only after the last byte arrived.
            return Ok((published, Some(connection)));
        }
        connection.close()?;
        Ok((published, None))
    }

    fn consume(&self, mut connection: Connection, number: usize) -> Result<Consumed, Error> {
        if let Some(backlog) = self.options.backlog {
            while !self.progress.has_backlog(backlog) {
                thread::sleep(LOOK_INTERVAL);
            }
            self.topology
                .consume(number, self.options, &mut connection)?;
        }
        let consumed = consumer::run(
            &mut connection,
            self.options,
            &self.shape,
            &self.progress,
            number,
            self.target.is_relay,
        )?;
        if !self.target.is_relay {
            connection.close()?;
        }
        Ok(consumed)
    }

    fn report(
        &self,
        published: &[Published],
        consumed: Vec<Consumed>,
        publish_time: Duration,
        time: Duration,
        broker: Option<(crate::process::CpuUsed, crate::process::Memory)>,
    ) -> Report {
        let (mut latency, mut confirm_latency) = (Histogram::default(), Histogram::default());
        let mut queues: Vec<Received> = Vec::new();
        queues.resize_with(self.topology.queue_count(), Received::default);
        for (number, consumer) in consumed.into_iter().enumerate() {
            latency.merge(&consumer.latency);
            match self.topology.consumers[number].as_slice() {
                [queue] => queues[*queue].merge(consumer.received),
                // Flows keep the queues apart: the whole record stands at the first.
                [first, ..] => queues[*first].merge(consumer.received),
                [] => {}
            }
        }
        let mut missing = 0;
        if self.options.consumers > 0 {
            for publisher in published {
                for (flow, count) in &publisher.flows {
                    missing += self.missing(&queues, *flow, *count);
                }
            }
        }
        for publisher in published {
            confirm_latency.merge(&publisher.confirm_latency);
        }
        let sum = |of: fn(&Received) -> u64| queues.iter().map(of).sum();
        let published_total = self.progress.published_total();
        let consumed_total = self.progress.received_total();
        let messages = if self.options.consumers > 0 {
            consumed_total
        } else {
            published_total
        };
        Report {
            seconds: time.as_secs_f64(),
            published: published_total,
            consumed: consumed_total,
            published_per_s: published_total as f64 / publish_time.as_secs_f64(),
            consumed_per_s: consumed_total as f64 / time.as_secs_f64(),
            missing,
            duplicates: sum(|received| received.duplicates),
            out_of_order: sum(|received| received.out_of_order),
            bad_bodies: sum(|received| received.bad_bodies),
            redelivered: sum(|received| received.redelivered),
            refused: published.iter().map(|publisher| publisher.refused).sum(),
            returned: published.iter().map(|publisher| publisher.returned).sum(),
            unconfirmed: published
                .iter()
                .map(|publisher| publisher.unconfirmed)
                .sum(),
            latency: latency.percentiles(),
            confirm_latency: confirm_latency.percentiles(),
            broker: broker.map(|(cpu, memory)| BrokerUse::new(cpu, memory, messages)),
        }
    }

    fn missing(&self, queues: &[Received], flow: u16, count: u64) -> u64 {
        let recorded_at = |queue: usize| {
            let consumers = &self.topology.consumers;
            let first = consumers
                .iter()
                .find(|queues| queues.contains(&queue))
                .and_then(|queues| queues.first());
            first.copied().unwrap_or(queue)
        };
        match self.topology.queue_of(flow) {
            Some(queue) => queues[recorded_at(queue)].missing(flow, count),
            // Each consumer of a fan-out has one queue, or the copies could not be told apart.
            None => queues
                .iter()
                .map(|received| received.missing(flow, count))
                .sum(),
        }
    }
}

fn join<T>(threads: Vec<ScopedJoinHandle<'_, Result<T, Error>>>) -> Result<Vec<T>, Error> {
    let ended: Vec<_> = threads.into_iter().map(ScopedJoinHandle::join).collect();
    ended
        .into_iter()
        .map(|ended| ended.map_err(|_| Error::Panicked)?)
        .collect()
}

/// The rate of each second, for who watches.
struct Talk {
    last: Option<(Instant, u64, u64)>,
}

impl Talk {
    fn new(is_talkative: bool) -> Self {
        let is_watched = is_talkative && std::io::stderr().is_terminal();
        Self {
            last: is_watched.then(|| (Instant::now(), 0, 0)),
        }
    }

    fn tell(&mut self, progress: &Progress) {
        let Some((at, published, received)) = &mut self.last else {
            return;
        };
        let seconds = at.elapsed().as_secs_f64();
        if seconds < 1.0 {
            return;
        }
        let now = (progress.published_total(), progress.received_total());
        eprintln!(
            "{:>12.0} published/s {:>12.0} consumed/s {:>12} on their way",
            (now.0 - *published) as f64 / seconds,
            (now.1 - *received) as f64 / seconds,
            now.0.saturating_sub(now.1),
        );
        (*at, *published, *received) = (Instant::now(), now.0, now.1);
    }
}
