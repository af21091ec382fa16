//! What can go wrong in the store, as its callers must tell it apart.

use std::{io, sync::Arc};

/// A store error. Cheap to clone because one failed sync answers many waiters.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No room for another log file: nothing was written or promised, and a later attempt may succeed.
    #[error("no space left on the volume for the message log")]
    NoSpace,
    /// The log broke (a write or a sync failed). Nothing after that is durable; the node must exit.
    #[error("the message log failed: {0}")]
    Failed(Arc<str>),
    /// The store was closed.
    #[error("the message log is closed")]
    Closed,
    /// Another process has the data directory open.
    #[error("the data directory is in use by another process")]
    Locked,
    /// The stored bytes of a message do not match their checksum.
    #[error("a stored message is damaged: {0}")]
    Damaged(Arc<str>),
    /// The message is not in the queue (any more).
    #[error("the queue does not hold this message")]
    NoMessage,
    /// An entry above the limits of the record format.
    #[error("the entry is too large: {0}")]
    TooLarge(Arc<str>),
    /// Files of a format this release does not read.
    #[error("{0}")]
    Format(Arc<str>),
    /// The disk refused an operation at open.
    #[error("{context}: {source}")]
    Io {
        /// What was being done.
        context: Arc<str>,
        /// The operating system's answer.
        source: Arc<io::Error>,
    },
}

impl Error {
    /// An I/O error with what was being done.
    pub(crate) fn io(context: impl Into<Arc<str>>) -> impl FnOnce(io::Error) -> Self {
        let context = context.into();
        move |source| {
            if is_full(&source) {
                return Self::NoSpace;
            }
            Self::Io {
                context,
                source: Arc::new(source),
            }
        }
    }
}

/// Whether the volume (or a quota on it) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
