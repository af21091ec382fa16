//! What other threads may tell a connection: output, durable positions, alarms, the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::super::outbox::Outbox;
use crate::broker::{ConnectionReport, Point, Progress, StoreError, Waiter};

/// The part of a connection that is shared between threads.
#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) outbox: Arc<Outbox>,
    written: AtomicU64,
    synced: AtomicU64,
    is_log_failed: AtomicBool,
    has_news: AtomicBool,
    /// Why the connection must go, once somebody said so.
    ordered_out: OnceLock<String>,
    /// Whether deliveries may wait for an answer on this connection.
    expects_answers: AtomicBool,
    /// The time at which somebody asked to look for late answers; 0 when nobody did.
    patience_at_ms: AtomicU64,
    /// Who wants a report of the connection, with the history of how many periods.
    report_requests: Mutex<Vec<(u32, Sender<ConnectionReport>)>>,
}

impl Link {
    /// Something changed that the connection's task should look at.
    pub(crate) fn notify(&self) {
        self.has_news.store(true, Ordering::SeqCst);
        self.outbox.wake();
    }

    /// Has the connection look for late answers from now on.
    pub(crate) fn expect_answers(&self) {
        self.expects_answers.store(true, Ordering::Relaxed);
    }

    /// Asks the connection's task to look for late answers, if there may be any.
    pub(crate) fn check_patience(&self, now_ms: u64) {
        if self.expects_answers.load(Ordering::Relaxed) {
            self.patience_at_ms.store(now_ms.max(1), Ordering::SeqCst);
            self.notify();
        }
    }

    /// The time at which that was asked, once.
    pub(crate) fn take_patience_check(&self) -> Option<u64> {
        let at_ms = self.patience_at_ms.swap(0, Ordering::SeqCst);
        (at_ms > 0).then_some(at_ms)
    }

    /// Asks the connection's task for a report.
    pub(crate) fn request_report(&self, periods: u32, to: Sender<ConnectionReport>) {
        self.report_requests.lock().push((periods, to));
        self.notify();
    }

    /// Those that asked for a report.
    pub(crate) fn take_report_requests(&self) -> Vec<(u32, Sender<ConnectionReport>)> {
        std::mem::take(&mut *self.report_requests.lock())
    }

    /// Whether [`Link::notify`] was called since [`Link::take_news`].
    pub(crate) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::SeqCst)
    }

    /// As [`Link::has_news`], and forgets it.
    pub(crate) fn take_news(&self) -> bool {
        self.has_news() && self.has_news.swap(false, Ordering::SeqCst)
    }

    /// Has the connection closed with 320; the first reason counts.
    pub(crate) fn order_out(&self, reason: &str) {
        if self.ordered_out.set(reason.to_owned()).is_ok() {
            self.notify();
        }
    }

    /// Why the connection must go.
    pub(crate) fn ordered_out(&self) -> Option<&str> {
        self.ordered_out.get().map(String::as_str)
    }

    /// How far the log got, as far as the connection waits for it.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            written: Point(self.written.load(Ordering::SeqCst)),
            synced: Point(self.synced.load(Ordering::SeqCst)),
        }
    }

    /// Whether nothing further will ever be durable.
    pub(crate) fn is_log_failed(&self) -> bool {
        self.is_log_failed.load(Ordering::SeqCst)
    }
}

impl Waiter for Link {
    fn reached(&self, result: Result<Progress, StoreError>) {
        match result {
            Ok(Progress { written, synced }) => {
                self.written.fetch_max(written.0, Ordering::SeqCst);
                self.synced.fetch_max(synced.0, Ordering::SeqCst);
            }
            Err(error) => {
                tracing::debug!(%error, "a publisher is told that the log failed");
                self.is_log_failed.store(true, Ordering::SeqCst);
            }
        }
        self.notify();
    }
}
