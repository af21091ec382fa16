//! Why a command failed, in words for the one who typed it.

use std::path::PathBuf;
use std::time::Duration;

use client::BrokerState;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error(
        "no credentials: run `source {0}`, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile"
    )]
    NoCredentialsYet(PathBuf),
    #[error("there is no broker named {0}")]
    NoBroker(String),
    #[error("there is no configuration named {0}")]
    NoConfiguration(String),
    #[error("several configurations are named {0}: name one by its id")]
    AmbiguousConfiguration(String),
    #[error("the configuration's data is not base64")]
    NotBase64,
    #[error("cannot read {path}: {source}", path = .path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("broker {name} is {state}, and will not be {goal}")]
    Unreachable {
        name: String,
        state: BrokerState,
        goal: &'static str,
    },
    #[error("broker {name} is still {state} after {} s", waited.as_secs())]
    TooSlow {
        name: String,
        state: BrokerState,
        waited: Duration,
    },
    #[error("broker {0} has no AMQP endpoint yet: it is {1}")]
    NoEndpoint(String, BrokerState),
    #[error("broker {0} was deleted")]
    Gone(String),
    #[error("no password on the standard input")]
    NoPassword,
    #[error("cannot read the standard input: {0}")]
    Input(std::io::Error),
    #[error("cannot write the output: {0}")]
    Output(std::io::Error),
    #[error("the system's random number generator failed")]
    Random,
    #[error(transparent)]
    Perf(#[from] perf::Error),
    #[error("what was measured is not as it should be")]
    NotAsItShould,
}

impl From<client::ConfigError> for Error {
    fn from(error: client::ConfigError) -> Error {
        Error::Client(error.into())
    }
}
