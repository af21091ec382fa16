//! The writer: puts what was appended into the files, syncs it for all who wait, and tells them.
//!
//! What somebody waits for is written at once, and synced if they wait for that. The rest is left for a moment, so that
//! entries nobody waits for cost no write of their own.

use std::{
    io::IoSlice,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use parking_lot::MutexGuard;

use super::{
    Durability, Point, Position, Waiter, doubt,
    error::Error,
    log::{Chunk, Inner, Log, OpenFile, PENDING_BYTES_SOON},
    record::SyncedEnd,
};

/// What is written at once.
const WRITE_BYTES_MAX: usize = 4 << 20;
/// How many pieces are written at once; systems have a limit of 1,024.
const WRITE_PIECES_MAX: usize = 256;
/// How long something may stay unwritten although nobody waits for it.
const UNWRITTEN_MAX: Duration = Duration::from_millis(5);
/// How long something written may stay unsynced although nobody waits for it.
const UNSYNCED_MAX: Duration = Duration::from_millis(100);
/// How long nothing happens before the log is told how far it is synced: otherwise the next entry tells that.
const IDLE_MAX: Duration = Duration::from_millis(100);

impl Log {
    /// Writes everything appended so far, syncs it if somebody waits for that (or `must_sync`), and tells who waited.
    pub(super) fn write(&self, must_sync: bool) {
        if must_sync || self.is_sync_wanted() {
            self.write_and_sync();
        } else {
            self.write_only();
        }
    }

    /// As [`Log::write`], with a record that tells how far the log is synced.
    pub(super) fn write_told(&self, must_sync: bool) {
        let mut inner = self.inner.lock();
        if inner.failed.is_none() && inner.is_sync_untold() {
            inner.tell_sync();
        }
        drop(inner);
        self.write(must_sync);
    }

    /// Writes everything appended so far, and leaves it to others to sync it. False when the log failed.
    pub(super) fn write_only(&self) -> bool {
        self.write_out(self.unsynced.lock()).is_some()
    }

    fn is_sync_wanted(&self) -> bool {
        let inner = self.inner.lock();
        inner.wanted.synced > inner.progress.synced
    }

    /// Writes what is pending. Returns what is written now, and where that ends, unless the log failed.
    fn write_out(
        &self,
        mut unsynced: MutexGuard<'_, Vec<Arc<OpenFile>>>,
    ) -> Option<(Point, SyncedEnd)> {
        let mut inner = self.inner.lock();
        if inner.failed.is_some() {
            return None;
        }
        let chunks = std::mem::take(&mut inner.pending);
        let bytes = std::mem::take(&mut inner.pending_bytes);
        let target = inner.appended;
        let end = (inner.current.number, inner.end);
        drop(inner);
        if let Err(error) = write_chunks(&chunks, &mut unsynced) {
            drop(unsynced);
            self.fail(Error::Failed(
                format!("writing {bytes} bytes: {error}").into(),
            ));
            return None;
        }
        drop(chunks);
        let mut inner = self.inner.lock();
        inner.progress.written = target;
        inner.written_end = end;
        drop(unsynced);
        self.tell(inner);
        Some((target, SyncedEnd::new(end.0, end.1)))
    }

    fn write_and_sync(&self) {
        let _syncing = self.syncing.lock();
        let Some((target, end)) = self.write_out(self.unsynced.lock()) else {
            return;
        };
        // Others may write on in the meantime.
        let files = std::mem::take(&mut *self.unsynced.lock());
        self.inner.lock().is_syncing = true;
        let synced = self.sync(&files);
        if let Err(error) = synced {
            // A second sync might succeed without the bytes: see `doubt`.
            doubt::raise(&*self.disk);
            self.fail(Error::Failed(format!("syncing the log: {error}").into()));
            return;
        }
        let mut inner = self.inner.lock();
        inner.is_syncing = false;
        inner.progress.synced = inner.progress.synced.max(target);
        inner.synced_end = inner.synced_end.max(end);
        self.tell(inner);
    }

    fn sync(&self, files: &[Arc<OpenFile>]) -> std::io::Result<()> {
        #[cfg(test)]
        if super::mutation::Mutation::ConfirmBeforeSync.is_on() {
            return Ok(());
        }
        files.iter().try_for_each(|file| file.file.sync_data())
    }

    /// Tells who waited for what is reached now.
    fn tell(&self, mut inner: MutexGuard<'_, Inner>) {
        let progress = inner.progress;
        let reached: Vec<_> = inner
            .waiters
            .extract_if(.., |(position, _)| progress.covers(*position))
            .collect();
        self.progress.notify_all();
        drop(inner);
        for (_, waiter) in reached {
            waiter.reached(Ok(progress));
        }
    }

    /// The writer's thread.
    pub(super) fn run_writer(&self) {
        let mut overdue = None;
        while let Some(work) = self.await_work(&mut overdue) {
            match work {
                Work::Write => self.write(false),
                Work::Sync => self.write(true),
                Work::Tell => self.write_told(false),
            }
        }
    }

    /// Waits until there is something to do; none when nothing will ever be to do.
    fn await_work(&self, unsynced: &mut Option<Unsynced>) -> Option<Work> {
        let mut inner = self.inner.lock();
        loop {
            if inner.failed.is_some() {
                return None;
            }
            self.note_unsynced(&inner, unsynced);
            let sync_at = unsynced.as_ref().map(|unsynced| unsynced.sync_at);
            let must_sync = sync_at.is_some_and(|sync_at| sync_at <= Instant::now());
            if must_sync {
                return Some(Work::Sync);
            }
            if self.is_urgent(&inner) {
                return Some(Work::Write);
            }
            if inner.pending.is_empty() {
                if inner.is_closed {
                    return None;
                }
                if let Some(sync_at) = sync_at {
                    self.work.wait_until(&mut inner, sync_at);
                } else if inner.is_sync_untold() {
                    let is_idle = self.work.wait_for(&mut inner, IDLE_MAX).timed_out();
                    if is_idle && inner.pending.is_empty() && !inner.is_closed {
                        return Some(Work::Tell);
                    }
                } else {
                    self.work.wait(&mut inner);
                }
            } else {
                inner.is_dozing = true;
                let is_time = self.work.wait_for(&mut inner, UNWRITTEN_MAX).timed_out();
                inner.is_dozing = false;
                if is_time || inner.is_closed {
                    return Some(Work::Write);
                }
            }
        }
    }

    /// Keeps the time at which what nobody waits for is to be synced.
    fn note_unsynced(&self, inner: &Inner, unsynced: &mut Option<Unsynced>) {
        if unsynced
            .as_ref()
            .is_some_and(|unsynced| unsynced.first <= inner.progress.synced)
        {
            *unsynced = None;
        }
        if unsynced.is_none()
            && inner.progress.synced < inner.appended
            && self.syncs_soon.load(Ordering::Relaxed)
        {
            *unsynced = Some(Unsynced {
                first: Point(inner.progress.synced.0 + 1),
                sync_at: Instant::now() + UNSYNCED_MAX,
            });
        }
    }

    /// Whether somebody waits for the writer.
    fn is_urgent(&self, inner: &Inner) -> bool {
        !inner.progress.includes(inner.wanted) || inner.pending_bytes > PENDING_BYTES_SOON
    }

    /// From now on what nobody waits for is synced soon.
    pub(super) fn sync_soon(&self) {
        if !self.syncs_soon.swap(true, Ordering::Relaxed) {
            let _inner = self.inner.lock();
            self.work.notify_one();
        }
    }

    /// Ends the log: every waiter, now or later, gets the error.
    pub(super) fn fail(&self, error: Error) {
        tracing::error!(%error, "the message log failed; nothing after this is durable");
        let mut inner = self.inner.lock();
        if inner.failed.is_none() {
            inner.failed = Some(error.clone());
        }
        let waiters = std::mem::take(&mut inner.waiters);
        self.work.notify_all();
        self.chores.notify_all();
        self.progress.notify_all();
        drop(inner);
        for (_, waiter) in waiters {
            waiter.reached(Err(error.clone()));
        }
    }

    pub(super) fn when_durable(&self, position: Position, waiter: Arc<dyn Waiter>) {
        let mut inner = self.inner.lock();
        let result = if inner.progress.covers(position) {
            Ok(inner.progress)
        } else if let Some(error) = inner.failed.clone() {
            Err(error)
        } else {
            inner.wanted = inner.wanted.raised_to(position);
            inner.waiters.push((position, waiter));
            let is_kept_waiting = inner.is_syncing && position.level() == Durability::Write;
            self.work.notify_one();
            drop(inner);
            if is_kept_waiting {
                self.write_only();
            }
            return;
        };
        drop(inner);
        waiter.reached(result);
    }

    pub(super) fn wait(&self, position: Position) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        while !inner.progress.covers(position) {
            if let Some(error) = inner.failed.clone() {
                return Err(error);
            }
            inner.wanted = inner.wanted.raised_to(position);
            self.advance(&mut inner);
        }
        Ok(())
    }
}

/// What the writer's thread does next.
enum Work {
    /// To write, and to sync what somebody waits for.
    Write,
    /// To sync what nobody waits for as well.
    Sync,
    /// To tell how far the log is synced.
    Tell,
}

/// What is not synced yet, and when it must be.
struct Unsynced {
    first: Point,
    sync_at: Instant,
}

/// Writes chunks in order, those that lie together at once.
fn write_chunks(chunks: &[Chunk], unsynced: &mut Vec<Arc<OpenFile>>) -> std::io::Result<()> {
    let mut rest = chunks;
    let mut pieces = Vec::with_capacity(chunks.len().min(WRITE_PIECES_MAX));
    while let Some(first) = rest.first() {
        pieces.clear();
        let mut len = 0;
        for chunk in rest {
            let is_next =
                Arc::ptr_eq(&chunk.file, &first.file) && chunk.offset == first.offset + len as u64;
            if !is_next || len >= WRITE_BYTES_MAX || pieces.len() == WRITE_PIECES_MAX {
                break;
            }
            pieces.push(IoSlice::new(&chunk.bytes));
            len += chunk.bytes.len();
        }
        first.file.file.write_pieces_at(&mut pieces, first.offset)?;
        if !unsynced.iter().any(|file| Arc::ptr_eq(file, &first.file)) {
            unsynced.push(Arc::clone(&first.file));
        }
        rest = &rest[pieces.len()..];
    }
    Ok(())
}
