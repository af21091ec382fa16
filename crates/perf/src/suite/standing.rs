//! Cases about what stands: connections, queues and messages that cost memory, disk and restarts.

use std::thread;
use std::time::{Duration, Instant};

use super::Options;
use super::outcome::Row;
use super::subject::{Setup, Site, Subject};
use crate::connection::{Connection, Purpose};
use crate::load::{self, Environment, Options as LoadOptions};
use crate::process::Process;
use crate::wire::{self, Put};
use crate::{Error, Target};

/// Connections that declare queues side by side, so that they share the broker's syncs.
const DECLARING: usize = 64;

/// Time for a broker to give back what it only needed for a moment.
const REST: Duration = Duration::from_secs(2);

const BACKLOG_QUEUE: &str = "warren-perf-backlog";

fn anonymous(subject: &Subject) -> Result<f64, Error> {
    Ok(Process::new(subject.pid())?.memory()?.anonymous as f64)
}

/// KiB of heap for each connection that only waits.
pub(super) fn idle(is_tls: bool, options: &Options, row: &mut Row) -> Result<(), Error> {
    let count = match (options.quick, is_tls) {
        (false, false) => 4000,
        (false, true) => 2000,
        (true, false) => 500,
        (true, true) => 250,
    };
    let site = Site::new()?;
    let setup = Setup {
        is_tls,
        ..Setup::default()
    };
    let broker = site.start(&options.brokerd, setup)?;
    let trust = site.trust()?;
    let open = || Connection::open(&broker.target, Some(&trust), Purpose::Idle);
    // What the first connection sets up for all is not the price of a connection.
    let first = open()?;
    thread::sleep(REST);
    let before = anonymous(&broker)?;
    let connections = (0..count).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    thread::sleep(REST);
    let after = anonymous(&broker)?;
    row.measured = Some((after - before) / 1024.0 / f64::from(count));
    drop((first, connections));
    broker.stop()
}

fn fill(options: &Options) -> Result<(Site, Subject, u64, f64), Error> {
    let count = if options.quick { 500_000 } else { 10_000_000 };
    let site = Site::new()?;
    let broker = site.start(&options.brokerd, Setup::default())?;
    let mut control = Connection::open(&broker.target, None, Purpose::Control)?;
    declare(&mut control, BACKLOG_QUEUE, false)?;
    thread::sleep(REST);
    let before = anonymous(&broker)?;
    let load = LoadOptions {
        persistent: true,
        consumers: 0,
        confirm: Some(10_000),
        messages: Some(count),
        keep_queues: true,
        existing_queue: Some(BACKLOG_QUEUE.to_owned()),
        ..LoadOptions::default()
    };
    let report = load::run(&broker.target, &load, &Environment::default())?;
    eprintln!("    filled at {:.0}/s", report.published_per_s);
    control.close()?;
    Ok((site, broker, count, before))
}

/// Bytes of heap for each ready message.
pub(super) fn backlog(options: &Options, row: &mut Row) -> Result<(), Error> {
    let (_site, broker, count, before) = fill(options)?;
    thread::sleep(REST);
    let after = anonymous(&broker)?;
    row.measured = Some((after - before) / count as f64);
    broker.stop()
}

/// Seconds from the start of the process until the queue tells how much it holds.
pub(super) fn restart_backlog(options: &Options, row: &mut Row) -> Result<(), Error> {
    let (site, broker, count, _) = fill(options)?;
    broker.stop()?;
    let mut seconds = Vec::new();
    for _ in 0..options.rounds.min(3) {
        let start = Instant::now();
        let broker = site.start(&options.brokerd, Setup::default())?;
        let mut control = Connection::open(&broker.target, None, Purpose::Control)?;
        let ready = declare(&mut control, BACKLOG_QUEUE, true)?;
        seconds.push(start.elapsed().as_secs_f64());
        if u64::from(ready) != count {
            row.fail(format!("{ready} of {count} messages after the restart"));
        }
        control.close()?;
        broker.stop()?;
    }
    row.measured = seconds.iter().copied().min_by(f64::total_cmp);
    Ok(())
}

/// Declares a durable queue, or with `is_passive` asks for it. Returns how many messages are ready.
fn declare(control: &mut Connection, queue: &str, is_passive: bool) -> Result<u32, Error> {
    control.call_for(
        wire::QUEUE_DECLARE,
        wire::QUEUE_DECLARE_OK,
        |arguments| {
            arguments.put_u16(0);
            arguments.put_short(queue);
            arguments.put_u8(0b10 | u8::from(is_passive));
            arguments.put_u32(0);
        },
        |mut answer| {
            answer.short()?;
            answer.u32()
        },
    )
}

fn queue_name(number: usize) -> String {
    format!("warren-perf-empty-{number}")
}

/// Declares queues over many connections. Returns how many seconds that took.
fn declare_many(target: &Target, count: usize) -> Result<f64, Error> {
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..DECLARING)
            .map(|first| {
                scope.spawn(move || -> Result<(), Error> {
                    let mut control = Connection::open(target, None, Purpose::Control)?;
                    for number in (first..count).step_by(DECLARING) {
                        declare(&mut control, &queue_name(number), false)?;
                    }
                    control.close()
                })
            })
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| Error::Panicked)?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

fn fewer_if_quick(count: usize, options: &Options) -> usize {
    if options.quick { count / 10 } else { count }
}

/// Microseconds for each declaration of a durable queue that was not there, answered when it is durable.
pub(super) fn declares(count: usize, options: &Options, row: &mut Row) -> Result<(), Error> {
    let count = fewer_if_quick(count, options);
    let mut micros = Vec::new();
    for _ in 0..options.rounds {
        let site = Site::new()?;
        let broker = site.start(&options.brokerd, Setup::default())?;
        let seconds = declare_many(&broker.target, count)?;
        micros.push(seconds * 1e6 / count as f64);
        broker.stop()?;
    }
    micros.sort_unstable_by(f64::total_cmp);
    row.measured = micros.first().copied();
    row.median = micros.get(micros.len() / 2).copied();
    row.rate_per_s = row.measured.map(|micros| 1e6 / micros);
    Ok(())
}

/// Bytes of heap for each empty durable queue.
pub(super) fn queue_memory(count: usize, options: &Options, row: &mut Row) -> Result<(), Error> {
    let count = fewer_if_quick(count, options);
    let site = Site::new()?;
    let broker = site.start(&options.brokerd, Setup::default())?;
    declare_many(&broker.target, 1)?;
    thread::sleep(REST);
    let before = anonymous(&broker)?;
    declare_many(&broker.target, count)?;
    thread::sleep(REST);
    let after = anonymous(&broker)?;
    row.measured = Some((after - before) / count as f64);
    broker.stop()
}

/// Bytes on disk for each empty durable queue, after a clean stop.
pub(super) fn queue_disk(count: usize, options: &Options, row: &mut Row) -> Result<(), Error> {
    let count = fewer_if_quick(count, options);
    let mut bytes = [0.0; 2];
    for (bytes, count) in bytes.iter_mut().zip([1, count + 1]) {
        let site = Site::new()?;
        let broker = site.start(&options.brokerd, Setup::default())?;
        declare_many(&broker.target, count)?;
        broker.stop()?;
        *bytes = site.disk_bytes()? as f64;
    }
    row.measured = Some((bytes[1] - bytes[0]).max(0.0) / count as f64);
    Ok(())
}

/// Seconds from the start of the process until the last queue answers.
pub(super) fn restart_queues(count: usize, options: &Options, row: &mut Row) -> Result<(), Error> {
    let count = fewer_if_quick(count, options);
    let site = Site::new()?;
    let broker = site.start(&options.brokerd, Setup::default())?;
    declare_many(&broker.target, count)?;
    broker.stop()?;
    let mut seconds = Vec::new();
    for _ in 0..options.rounds.min(3) {
        let start = Instant::now();
        let broker = site.start(&options.brokerd, Setup::default())?;
        let mut control = Connection::open(&broker.target, None, Purpose::Control)?;
        declare(&mut control, &queue_name(count - 1), true)?;
        seconds.push(start.elapsed().as_secs_f64());
        control.close()?;
        broker.stop()?;
    }
    row.measured = seconds.iter().copied().min_by(f64::total_cmp);
    Ok(())
}
