//! Wrong stores and queues, to see that the tests notice.
//!
//! A mutation is of the thread that turned it on: histories that drive the log by hand run in one thread.

use std::cell::Cell;

/// One thing done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Entries count as synced when they are written.
    ConfirmBeforeSync,
    /// Entries count as written when they are appended.
    ConfirmBeforeWrite,
    /// Messages count as durable when they are written, whatever their queues ask for.
    ForgetLevel,
    /// Records and messages are taken as they are found.
    SkipChecksum,
    /// Acknowledgements do not reach the log.
    ForgetAck,
    /// Messages that come back to a queue vanish from it.
    LoseRequeue,
    /// The log is not told what was handed out.
    ForgetMark,
}

thread_local! {
    static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// Ends a mutation when it is dropped.
pub(crate) struct Wrong;

impl Mutation {
    /// Every mutation there is.
    pub(crate) const ALL: [Self; 7] = [
        Self::ConfirmBeforeSync,
        Self::ConfirmBeforeWrite,
        Self::ForgetLevel,
        Self::SkipChecksum,
        Self::ForgetAck,
        Self::LoseRequeue,
        Self::ForgetMark,
    ];

    /// Does it wrong in this thread until the guard is dropped.
    pub(crate) fn turn_on(self) -> Wrong {
        ON.set(Some(self));
        Wrong
    }

    /// Whether it is to be done wrong here.
    pub(crate) fn is_on(self) -> bool {
        ON.get() == Some(self)
    }
}

impl Drop for Wrong {
    fn drop(&mut self) {
        ON.set(None);
    }
}
