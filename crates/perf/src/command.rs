//! The tool's command line: one verb for each thing it can do.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::load::{self, Environment, Trust};
use crate::{Error, Target, relay, suite};

/// Measures AMQP 0-9-1 brokers
#[derive(Debug, clap::Parser)]
#[command(name = "warren-perf", version)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Put load on a broker, check what arrives, and print what it took
    Load(Box<Load>),
    /// Move bytes between publishers and consumers without any logic, to compare brokers with
    Relay {
        /// Where to listen
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Start a broker and a relay on this machine, and hold the broker to its targets
    Suite(suite::Options),
}

#[derive(Debug, clap::Args)]
struct Load {
    /// amqp://user:password@host:port/vhost, amqps://… or relay://host:port
    #[arg(value_name = "URI")]
    target: Target,

    #[command(flatten)]
    options: load::Options,

    /// Authorities to trust, in PEM; needed for amqps
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Process of the broker, if it runs on this machine, to report its CPU time and memory
    #[arg(long, value_name = "PID")]
    broker_pid: Option<u32>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Command {
    /// Does what was asked. False when everything could be measured and something was wrong: a
    /// message lost, a target missed.
    ///
    /// # Errors
    /// When it could not be measured.
    pub fn run(self) -> Result<bool, Error> {
        match self.verb {
            Verb::Load(load) => load.run(),
            Verb::Relay { listen } => {
                relay::run(listen, print_ready)?;
                Ok(true)
            }
            Verb::Suite(options) => {
                let relay = suite::Program {
                    path: std::env::current_exe()?,
                    arguments: vec!["relay".into()],
                };
                let outcome = suite::run(&options, &relay)?;
                if options.json {
                    println!("{}", json(&outcome.rows));
                } else {
                    println!("{outcome}");
                }
                Ok(outcome.holds())
            }
        }
    }
}

impl Load {
    fn run(self) -> Result<bool, Error> {
        let environment = Environment {
            trust: self.ca.as_deref().map(Trust::read).transpose()?,
            broker_pid: self.broker_pid,
            is_talkative: !self.json,
        };
        let report = load::run(&self.target, &self.options, &environment)?;
        if self.json {
            println!("{}", json(&report));
        } else {
            println!("{report}");
        }
        Ok(report.is_clean())
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).expect("reports hold nothing that JSON cannot")
}

/// One line, as brokers print it. Nobody reading it is no reason not to relay.
fn print_ready(address: SocketAddr) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "ready relay={address}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Command;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }
}
