//! Connections that come and go: how many a second a broker takes, and what each costs it.
//!
//! A connection is opened with all of its handshake and a channel, and closed as the protocol asks.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::connection::{Connection, Purpose};
use crate::latency::{Histogram, Percentiles};
use crate::load::{BrokerUse, Environment};
use crate::process::Process;
use crate::{Error, Target};

/// How many clients come and go, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Clients at once; each opens its next connection when the last one is closed
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub clients: u16,

    /// Seconds during which connections are opened
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub duration: f64,
}

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub seconds: f64,
    /// Connections that were opened and closed in good order.
    pub connections: u64,
    pub connections_per_s: f64,
    /// From the attempt to connect until the channel is open.
    pub opening: Option<Percentiles>,
    /// Of the broker's process, if that was given; CPU is for each connection.
    pub broker: Option<BrokerUse>,
}

/// Opens and closes connections.
///
/// # Errors
/// When the broker refuses one, or one fails.
pub fn run(target: &Target, options: &Options, environment: &Environment) -> Result<Report, Error> {
    if target.is_relay || options.duration.is_nan() || options.duration <= 0.0 {
        return Err(Error::Usage(
            "connections come and go at a broker, for some time".to_owned(),
        ));
    }
    let process = environment.broker_pid.map(Process::new).transpose()?;
    let before = process.map(Process::cpu).transpose()?;
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(options.duration);
    let clients = thread::scope(|scope| {
        let clients: Vec<_> = (0..options.clients)
            .map(|_| scope.spawn(|| client(target, environment, end)))
            .collect();
        let joined = clients.into_iter().map(|client| {
            let ended = client.join();
            ended.map_err(|_| Error::Panicked)?
        });
        joined.collect::<Result<Vec<_>, Error>>()
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let mut opening = Histogram::default();
    for client in &clients {
        opening.merge(client);
    }
    let connections = opening.len();
    let broker = match process.zip(before) {
        Some((process, before)) => {
            let cpu = process.cpu()?.since(&before);
            Some(BrokerUse::new(cpu, process.memory()?, connections))
        }
        None => None,
    };
    Ok(Report {
        seconds,
        connections,
        connections_per_s: connections as f64 / seconds,
        opening: opening.percentiles(),
        broker,
    })
}

/// How long each connection of one client took to open.
fn client(target: &Target, environment: &Environment, end: Instant) -> Result<Histogram, Error> {
    let mut opening = Histogram::default();
    while Instant::now() < end {
        let begun = Instant::now();
        let connection = Connection::open(target, environment.trust.as_ref(), Purpose::Idle)?;
        opening.record(begun.elapsed().as_nanos() as u64);
        connection.close()?;
    }
    Ok(opening)
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.add_row(["time".to_owned(), format!("{:.2} s", self.seconds)]);
        table.add_row([
            "connections".to_owned(),
            format!("{} ({:.0}/s)", self.connections, self.connections_per_s),
        ]);
        if let Some(opening) = self.opening {
            table.add_row(["opening".to_owned(), opening.to_string()]);
        }
        if let Some(broker) = &self.broker {
            for (name, value) in broker.rows("connection") {
                table.add_row([name.to_owned(), value]);
            }
        }
        write!(formatter, "{table}")
    }
}
