//! What can go wrong while measuring.

use std::io;
use std::path::PathBuf;

/// Why a measurement could not be made, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("cannot connect to {address}")]
    Connect {
        address: String,
        #[source]
        source: io::Error,
    },
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the broker closed the connection without a word")]
    Disconnected,
    #[error("the broker refused: {code} {text}")]
    Refused { code: u16, text: String },
    #[error("the broker sent what AMQP 0-9-1 does not allow here: {0}")]
    Protocol(String),
    #[error("the broker did not answer in time")]
    TimedOut,
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("TLS: {0}")]
    Tls(String),
    #[error("{program} did not become ready: {reason}")]
    Start { program: String, reason: String },
    #[error("process {pid} cannot be watched: {source}")]
    Process {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error("a load thread panicked")]
    Panicked,
}

impl Error {
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }
}
