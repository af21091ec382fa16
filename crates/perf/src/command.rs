//! The tool's command line: one verb for each thing it can do.

use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::load::{self, Environment, Trust};
use crate::{Error, Target, churn, relay, suite};

/// Measures AMQP 0-9-1 brokers
#[derive(Debug, clap::Parser)]
#[command(name = "warren-perf", version)]
pub struct Command {
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be measured; to be flattened into a command of its own or of a larger program.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Put load on a broker, check what arrives, and print what it took
    Load(Box<Load>),
    /// Open and close connections, and print how long that takes
    Churn(Churn),
    /// Move bytes between publishers and consumers without any logic, to compare brokers with
    Relay {
        /// Where to listen
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Start a broker and a relay on this machine, and hold the broker to its targets
    Suite(suite::Options),
}

/// What every load is put on, and how it is told.
#[derive(Debug, clap::Args)]
struct Subject {
    /// amqp://user:password@host:port/vhost, amqps://… or relay://host:port
    #[arg(value_name = "URI")]
    target: Target,

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

/// A load and the broker it is put on.
#[derive(Debug, clap::Args)]
pub struct Load {
    #[command(flatten)]
    subject: Subject,

    #[command(flatten)]
    options: load::Options,
}

/// Connections that come and go, and where.
#[derive(Debug, clap::Args)]
pub struct Churn {
    #[command(flatten)]
    subject: Subject,

    #[command(flatten)]
    options: churn::Options,
}

impl Verb {
    /// Does what was asked. False when everything could be measured and something was wrong: a
    /// message lost, a target missed. `own` is what this program is called with to be given a verb.
    ///
    /// # Errors
    /// When it could not be measured.
    pub fn run(self, own: &[&str]) -> Result<bool, Error> {
        match self {
            Self::Load(load) => load.run(),
            Self::Churn(churn) => churn.run(),
            Self::Relay { listen } => {
                relay::run(listen, print_ready)?;
                Ok(true)
            }
            Self::Suite(options) => {
                let relay = suite::Program {
                    path: std::env::current_exe()?,
                    arguments: own.iter().chain(&["relay"]).map(Into::into).collect(),
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

impl Subject {
    fn environment(&self) -> Result<Environment, Error> {
        Ok(Environment {
            trust: self.ca.as_deref().map(Trust::read).transpose()?,
            broker_pid: self.broker_pid,
            is_talkative: !self.json,
        })
    }

    fn print<T: serde::Serialize + Display>(&self, report: &T) {
        if self.json {
            println!("{}", json(report));
        } else {
            println!("{report}");
        }
    }
}

impl Load {
    fn run(self) -> Result<bool, Error> {
        let environment = self.subject.environment()?;
        let report = load::run(&self.subject.target, &self.options, &environment)?;
        self.subject.print(&report);
        Ok(report.is_clean())
    }
}

impl Churn {
    fn run(self) -> Result<bool, Error> {
        let environment = self.subject.environment()?;
        let report = churn::run(&self.subject.target, &self.options, &environment)?;
        self.subject.print(&report);
        Ok(true)
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
