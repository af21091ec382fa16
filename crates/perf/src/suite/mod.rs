//! The engine's speed targets, measured: a broker and a relay of our own starting, side by side.
//!
//! The figure is CPU of the broker's process for each consumed message: the least of several
//! rounds, interleaved with the relay's, because neighbours on a machine only ever add.

mod cases;
mod outcome;
mod peer;
mod rounds;
mod standing;
mod subject;

use std::path::PathBuf;

use self::cases::{CASES, Case, Kind};
pub use self::outcome::{Outcome, Row};
use self::peer::Peer;
pub use self::subject::Program;
use crate::{Error, Target};

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The broker's program; started with `--data-dir`, `--amqp` and more
    #[arg(long, value_name = "PATH")]
    pub brokerd: PathBuf,

    /// Rounds of each case; the least counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,

    /// Seconds of publishing in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub duration: f64,

    /// Only this case; repeatable
    #[arg(long = "case", value_name = "NAME", value_parser = case_names())]
    pub cases: Vec<String>,

    /// Smaller numbers of messages, queues and connections where cases count those
    #[arg(long)]
    pub quick: bool,

    /// Start RabbitMQ as its Debian package installs it, and put the same loads on it
    #[arg(long, conflicts_with = "peer")]
    pub rabbitmq: bool,

    /// Put the same loads on this broker, which runs on this machine
    #[arg(long, value_name = "URI", requires = "peer_pid")]
    pub peer: Option<Target>,

    /// That broker's process
    #[arg(long, value_name = "PID", requires = "peer")]
    pub peer_pid: Option<u32>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What a load is put on besides the broker.
struct Others<'a> {
    relay: &'a Program,
    peer: Option<Peer>,
}

fn case_names() -> clap::builder::PossibleValuesParser {
    CASES
        .iter()
        .map(|case| case.name)
        .collect::<Vec<_>>()
        .into()
}

/// Measures the chosen cases one after the other. A case that fails says so in its row.
///
/// # Errors
/// When the broker's program cannot be asked what it offers, or its peer does not start.
pub fn run(options: &Options, relay: &Program) -> Result<Outcome, Error> {
    raise_file_limit();
    let help = subject::help(&options.brokerd)?;
    let chosen = CASES.iter().filter(|case| {
        options.cases.is_empty() || options.cases.iter().any(|name| name == case.name)
    });
    let others = Others {
        relay,
        peer: Peer::new(options)?,
    };
    let mut rows = Vec::new();
    for case in chosen {
        eprintln!("{}: {}", case.name, case.title(options.quick));
        let mut row = Row::new(case, options.quick);
        match case.needs.filter(|flag| !help.contains(flag)) {
            Some(flag) => row.note = format!("not served: the broker has no {flag}"),
            None => match measure(case, options, &others, &mut row) {
                Ok(()) => {}
                Err(error) => row.fail(format!("failed: {error}")),
            },
        }
        eprintln!("    {}", row.line());
        rows.push(row);
    }
    Ok(Outcome { rows })
}

fn measure(
    case: &Case,
    options: &Options,
    others: &Others<'_>,
    row: &mut Row,
) -> Result<(), Error> {
    match &case.kind {
        Kind::Cpu(load) => rounds::cpu(load, options, others, row),
        Kind::AgainstRelay(load) => rounds::against_relay(load, options, others, row),
        Kind::Workers(load) => rounds::workers(load, options, row),
        Kind::Idle { is_tls } => standing::idle(*is_tls, options, row),
        Kind::Backlog => standing::backlog(options, row),
        Kind::Declares(count) => standing::declares(*count, options, row),
        Kind::QueueMemory(count) => standing::queue_memory(*count, options, row),
        Kind::QueueDisk(count) => standing::queue_disk(*count, options, row),
        Kind::RestartBacklog => standing::restart_backlog(options, row),
        Kind::RestartQueues(count) => standing::restart_queues(*count, options, row),
    }
}

/// Thousands of connections need as many files, here and in the broker, which inherits the limit.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, the cases with many connections will say so.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
