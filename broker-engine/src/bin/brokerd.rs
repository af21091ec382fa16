//! The broker as a process of its own: flags, logging, signals.

use std::io::IsTerminal as _;

use anyhow::Context;
use broker_engine::options::Options;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// An AMQP 0-9-1 message broker
///
/// Prints one line on standard output when it is ready, and logs to standard error. Ends cleanly on
/// SIGTERM and SIGINT. Without users, `guest` with password `guest` may connect from this machine.
#[derive(Parser)]
#[command(name = "brokerd", version)]
struct Command {
    #[command(flatten)]
    options: Options,

    /// What is logged, such as `info` or `broker_engine=debug`
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Agents start every artefact with the role's name, as the `warren` binary wants it.
    let mut arguments = std::env::args_os().peekable();
    let program = arguments.next();
    arguments.next_if(|first| first == "node");
    let command = Command::parse_from(program.into_iter().chain(arguments));
    let filter = EnvFilter::try_new(&command.log).context("--log")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopping.cancel();
    });
    Ok(broker_engine::run(command.options, shutdown).await?)
}
