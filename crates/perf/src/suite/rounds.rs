//! Cases that are loads: broker and relay in turn, the least of all rounds.

use super::cases::Load;
use super::outcome::Row;
use super::subject::{Setup, Site, Subject};
use super::{Options, Others};
use crate::load::{self, Environment, Options as LoadOptions, Report};
use crate::{Error, Target};

/// How much shorter rounds are where the relay is the measure, and how many more there are.
const SHORTER: u32 = 4;

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

    fn latest(&self) -> f64 {
        self.cpu_us.last().copied().unwrap_or_default()
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
    (target, pid): (&Target, u32),
    options: &LoadOptions,
    environment: &Environment,
    figures: &mut Figures,
    row: &mut Row,
) -> Result<Report, Error> {
    let environment = Environment {
        broker_pid: Some(pid),
        ..environment.clone()
    };
    let report = load::run(target, options, &environment)?;
    figures.add(&report);
    if !report.is_clean() {
        row.fail(format!(
            "{}: missing {}, duplicates {}, out of order {}, bad {}, refused {}, unconfirmed {}",
            target.address(),
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

/// What a load cost whom.
#[derive(Debug, Default)]
struct Compared {
    broker: Figures,
    relay: Figures,
    peer: Figures,
}

/// Broker, relay and, if there is one, peer in turn.
fn interleaved(
    load: &Load,
    options: &Options,
    others: &Others<'_>,
    row: &mut Row,
) -> Result<Compared, Error> {
    let site = Site::new()?;
    let setup = Setup {
        arguments: load.arguments,
        is_tls: load.is_tls,
        workers: None,
    };
    let broker = site.start(&options.brokerd, setup)?;
    let relay = Subject::relay(others.relay)?;
    let environment = Environment {
        trust: Some(site.trust()?),
        ..Environment::default()
    };
    // What it offers over TLS is not known.
    let peer = others.peer.as_ref().filter(|_| !load.is_tls);
    let load = options_of(load, options);
    let relay_load = relay_options(&load);
    let mut figures = Compared::default();
    for round in 1..=options.rounds {
        let report = measure(broker.at(), &load, &environment, &mut figures.broker, row)?;
        measure(
            relay.at(),
            &relay_load,
            &environment,
            &mut figures.relay,
            row,
        )?;
        if let Some(peer) = peer {
            let at = (&peer.target, peer.pid);
            measure(at, &load, &environment, &mut figures.peer, row)?;
        }
        let latency = report.latency.or(report.confirm_latency);
        let latency = latency.map_or_else(String::new, |points| {
            format!(", p50 {:.0} µs, p99 {:.0} µs", points.p50_us, points.p99_us)
        });
        let memory = report.broker.map_or(0, |broker| broker.memory.resident) >> 20;
        eprintln!(
            "    round {round}: {:.3} µs, relay {:.3} µs, peer {:.3} µs, {:.0}/s{latency}, {memory} MiB",
            figures.broker.latest(),
            figures.relay.latest(),
            figures.peer.latest(),
            report.consumed_per_s,
        );
    }
    broker.stop()?;
    row.rate_per_s = figures.broker.best_rate();
    Ok(figures)
}

/// CPU of the broker for each message.
pub(super) fn cpu(
    load: &Load,
    options: &Options,
    others: &Others<'_>,
    row: &mut Row,
) -> Result<(), Error> {
    let figures = interleaved(load, options, others, row)?;
    row.measured = figures.broker.least();
    row.median = figures.broker.median();
    row.relay = figures.relay.least();
    row.peer = figures.peer.least();
    Ok(())
}

/// CPU of the broker divided by that of the relay.
pub(super) fn against_relay(
    load: &Load,
    options: &Options,
    others: &Others<'_>,
    row: &mut Row,
) -> Result<(), Error> {
    // Of two small figures each must meet a moment in which nobody disturbs it: many short rounds do.
    let options = &Options {
        rounds: options.rounds * SHORTER,
        duration: options.duration / f64::from(SHORTER),
        ..options.clone()
    };
    let Compared {
        broker: ours,
        relay: floor,
        peer,
    } = interleaved(load, options, others, row)?;
    let ratio = |ours: Option<f64>, floor: Option<f64>| Some(ours? / floor?);
    row.measured = ratio(ours.least(), floor.least());
    row.median = ratio(ours.median(), floor.median());
    row.peer = ratio(peer.least(), floor.least());
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
        measure(two.at(), &load, &environment, &mut of_two, row)?;
        measure(one.at(), &load, &environment, &mut of_one, row)?;
        eprintln!(
            "    round {round}: two workers {:.3} µs, one {:.3} µs",
            of_two.latest(),
            of_one.latest(),
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
