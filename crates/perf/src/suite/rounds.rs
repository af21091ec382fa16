//! Cases that are loads: broker and relay in turn, the least of all rounds.

use super::Options;
use super::cases::Load;
use super::outcome::Row;
use super::subject::{Program, Setup, Site, Subject};
use crate::Error;
use crate::load::{self, Environment, Options as LoadOptions, Report};

/// The figures of one subject over all rounds.
#[derive(Debug, Default)]
struct Figures {
    cpu_us: Vec<f64>,
    rates: Vec<f64>,
}

impl Figures {
    fn add(&mut self, report: &Report) {
        self.rates.push(report.consumed_per_s);
        self.cpu_us
            .extend(report.broker.map(|broker| broker.per_message.total_us));
    }

    fn least(&self) -> Option<f64> {
        self.cpu_us.iter().copied().min_by(f64::total_cmp)
    }

    fn median(&self) -> Option<f64> {
        let mut sorted = self.cpu_us.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    fn best_rate(&self) -> Option<f64> {
        self.rates.iter().copied().max_by(f64::total_cmp)
    }
}

fn options_of(load: &Load, options: &Options) -> LoadOptions {
    LoadOptions {
        duration: options.duration,
        ..(load.options)()
    }
}

/// The relay carries the same frames one to one: copies are the broker's work.
fn relay_options(options: &LoadOptions) -> LoadOptions {
    let queues = if options.fanout { 1 } else { options.queues };
    LoadOptions {
        consumers: options.publishers,
        queues,
        fanout: false,
        ..options.clone()
    }
}

fn measure(
    subject: &Subject,
    options: &LoadOptions,
    environment: &Environment,
    figures: &mut Figures,
    row: &mut Row,
) -> Result<Report, Error> {
    let environment = Environment {
        broker_pid: Some(subject.pid()),
        ..environment.clone()
    };
    let report = load::run(&subject.target, options, &environment)?;
    figures.add(&report);
    if !report.is_clean() {
        row.fail(format!(
            "missing {}, duplicates {}, out of order {}, bad {}, refused {}, unconfirmed {}",
            report.missing,
            report.duplicates,
            report.out_of_order,
            report.bad_bodies,
            report.refused,
            report.unconfirmed
        ));
    }
    Ok(report)
}

/// Broker and relay in turn; returns both figures.
fn interleaved(
    load: &Load,
    options: &Options,
    relay: &Program,
    row: &mut Row,
) -> Result<(Figures, Figures), Error> {
    let site = Site::new()?;
    let setup = Setup {
        arguments: load.arguments,
        is_tls: load.is_tls,
        workers: None,
    };
    let broker = site.start(&options.brokerd, setup)?;
    let relay = Subject::relay(relay)?;
    let environment = Environment {
        trust: Some(site.trust()?),
        ..Environment::default()
    };
    let load = options_of(load, options);
    let relay_load = relay_options(&load);
    let (mut ours, mut floor) = (Figures::default(), Figures::default());
    for round in 1..=options.rounds {
        let report = measure(&broker, &load, &environment, &mut ours, row)?;
        measure(&relay, &relay_load, &environment, &mut floor, row)?;
        let latency = report.latency.or(report.confirm_latency);
        let latency = latency.map_or_else(String::new, |points| {
            format!(", p50 {:.0} µs, p99 {:.0} µs", points.p50_us, points.p99_us)
        });
        let memory = report.broker.map_or(0, |broker| broker.memory.resident) >> 20;
        eprintln!(
            "    round {round}: {:.3} µs, relay {:.3} µs, {:.0}/s{latency}, {memory} MiB",
            ours.cpu_us.last().copied().unwrap_or_default(),
            floor.cpu_us.last().copied().unwrap_or_default(),
            report.consumed_per_s,
        );
    }
    broker.stop()?;
    row.rate_per_s = ours.best_rate();
    Ok((ours, floor))
}

/// CPU of the broker for each message.
pub(super) fn cpu(
    load: &Load,
    options: &Options,
    relay: &Program,
    row: &mut Row,
) -> Result<(), Error> {
    let (ours, floor) = interleaved(load, options, relay, row)?;
    row.measured = ours.least();
    row.median = ours.median();
    row.relay = floor.least();
    Ok(())
}

/// CPU of the broker divided by that of the relay.
pub(super) fn against_relay(
    load: &Load,
    options: &Options,
    relay: &Program,
    row: &mut Row,
) -> Result<(), Error> {
    let (ours, floor) = interleaved(load, options, relay, row)?;
    let ratio = |ours: Option<f64>, floor: Option<f64>| Some(ours? / floor?);
    row.measured = ratio(ours.least(), floor.least());
    row.median = ratio(ours.median(), floor.median());
    if let (Some(ours), Some(floor)) = (ours.least(), floor.least()) {
        let figures = format!("{ours:.1} µs against {floor:.1} µs");
        row.note = if row.note.is_empty() {
            figures
        } else {
            format!("{figures}; {}", row.note)
        };
    }
    Ok(())
}

/// CPU with two worker threads divided by that with one.
pub(super) fn workers(load: &Load, options: &Options, row: &mut Row) -> Result<(), Error> {
    let start = |workers| -> Result<_, Error> {
        let site = Site::new()?;
        let setup = Setup {
            arguments: load.arguments,
            is_tls: load.is_tls,
            workers: Some(workers),
        };
        let broker = site.start(&options.brokerd, setup)?;
        Ok((site, broker))
    };
    let (_one_site, one) = start(1)?;
    let (_two_site, two) = start(2)?;
    let load = options_of(load, options);
    let (mut of_one, mut of_two) = (Figures::default(), Figures::default());
    let environment = Environment::default();
    for round in 1..=options.rounds {
        measure(&two, &load, &environment, &mut of_two, row)?;
        measure(&one, &load, &environment, &mut of_one, row)?;
        eprintln!(
            "    round {round}: two workers {:.3} µs, one {:.3} µs",
            of_two.cpu_us.last().copied().unwrap_or_default(),
            of_one.cpu_us.last().copied().unwrap_or_default(),
        );
    }
    one.stop()?;
    two.stop()?;
    let ratio = |two: Option<f64>, one: Option<f64>| Some(two? / one?);
    row.measured = ratio(of_two.least(), of_one.least());
    row.median = ratio(of_two.median(), of_one.median());
    row.rate_per_s = of_two.best_rate();
    if let (Some(one), Some(two), false) = (of_one.least(), of_two.least(), row.is_failed()) {
        row.note = format!("{two:.3} µs against {one:.3} µs");
    }
    Ok(())
}
