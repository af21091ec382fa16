//! What makes the agent give up, or a step of it fail.

use std::io;
use std::path::PathBuf;

/// A failure of the agent itself. A node's misfortunes are observations, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {source}")]
    Damaged {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("another agent runs on {0}")]
    Locked(PathBuf),
    #[error("{0} is not owned by this user alone, so sockets cannot be kept in it")]
    RuntimeDir(PathBuf),
    #[error("this host is not enrolled: pass a one-time token")]
    NoToken,
    #[error("the control plane refused: {status} {message}")]
    Refused { status: u16, message: String },
    #[error("the control plane cannot be reached: {0}")]
    Unreachable(#[source] reqwest::Error),
    #[error("the certificate authority or the host's identity cannot be used: {0}")]
    Tls(String),
    #[error("a key cannot be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error("{0:?} is not a name for a volume directory")]
    VolumeName(String),
    #[error(transparent)]
    Engine(#[from] crate::engines::Rejected),
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// Whether asking again with the same words can help.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unavailable(_) => true,
            Self::Engine(rejected) => !rejected.is_final(),
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::File { .. }
            | Self::Damaged { .. }
            | Self::Locked(_)
            | Self::RuntimeDir(_)
            | Self::NoToken
            | Self::Tls(_)
            | Self::Key(_)
            | Self::VolumeName(_) => false,
        }
    }
}
