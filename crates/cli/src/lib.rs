//! Warren's companion command line: `broker`, `configuration`, `user`, `tags`,
//! `maintenance`, `audit` and `perf`.
//!
//! Owns arguments, output and waiting; every request goes through the `client` crate, so it works
//! against any server of this API. What `perf` measures is the `perf` crate's. What a command
//! prints is on stdout and complete; what it says while it works is on stderr.

mod audit;
mod broker;
mod configuration;
mod connect_info;
mod create;
mod error;
mod find;
mod maintenance;
mod output;
mod password;
mod session;
mod tags;
mod update;
mod user;
mod wait;

pub use error::Error;

/// The verbs, to be flattened into the binary's own command.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Create, look at, change, reboot and delete brokers
    ///
    /// Credentials, region and endpoint come from the same environment variables and profile files
    /// as for the AWS CLI; `source .warren/credentials.env` sets them for a server started by
    /// `warren dev`.
    #[command(subcommand)]
    Broker(broker::Command),
    /// Keep the settings of brokers in numbered revisions
    #[command(subcommand)]
    Configuration(configuration::Command),
    /// Users of brokers: look at them and change them
    #[command(subcommand)]
    User(user::Command),
    /// Tag brokers and other resources
    #[command(subcommand)]
    Tags(tags::Command),
    /// When brokers restart by themselves, for what, and what was done
    #[command(subcommand)]
    Maintenance(maintenance::Command),
    /// Who called what: the account's audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Put load on any AMQP 0-9-1 broker, check every message, and tell what it cost
    #[command(subcommand)]
    Perf(perf::command::Verb),
}

/// Runs one command to its end.
pub async fn run(command: Command) -> Result<(), Error> {
    let done = match command {
        Command::Broker(command) => broker::run(command).await,
        Command::Configuration(command) => configuration::run(command).await,
        Command::User(command) => user::run(command).await,
        Command::Tags(command) => tags::run(command).await,
        Command::Maintenance(command) => maintenance::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Perf(verb) => measure(verb).await,
    };
    match done {
        // Whoever read the output has seen enough of it.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Measuring blocks, for as long as it takes.
async fn measure(verb: perf::command::Verb) -> Result<(), Error> {
    let measured = tokio::task::spawn_blocking(|| verb.run(&["perf"])).await;
    match measured.map_err(|_| perf::Error::Panicked)? {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotAsItShould),
        Err(error) => Err(error.into()),
    }
}
