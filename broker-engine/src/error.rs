//! Why an engine does not start, or ends.

use std::io;
use std::path::PathBuf;

use crate::{broker, listener};

/// A failure of the whole process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("data directory {path}: {source}", path = path.display())]
    DataDir { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Broker(#[from] broker::Error),
    #[error(transparent)]
    Listener(#[from] listener::Error),
    #[error("{path}: {reason}", path = path.display())]
    File { path: PathBuf, reason: String },
    #[error("cannot start the thread of timers: {0}")]
    Timers(io::Error),
    #[error("cannot write the ready line: {0}")]
    Ready(io::Error),
}
