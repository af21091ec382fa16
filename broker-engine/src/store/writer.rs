//! The writer: puts what was appended into the files, syncs it for all who wait, and tells them.
//!
//! What somebody waits for is written at once. The rest is left for a moment, so that entries nobody waits for cost no
//! write of their own.

use std::{io::IoSlice, sync::Arc, time::Duration};

use parking_lot::MutexGuard;

use super::{
    Durability, Waiter,
    error::Error,
    ids::Position,
    log::{Chunk, Inner, Log, OpenFile, PENDING_BYTES_SOON},
};

/// What is written at once.
const WRITE_BYTES_MAX: usize = 4 << 20;
/// How many pieces are written at once; systems have a limit of 1,024.
const WRITE_PIECES_MAX: usize = 256;
/// How long something may stay unwritten although nobody waits for it.
const UNWRITTEN_MAX: Duration = Duration::from_millis(5);
/// How long something written may stay unsynced although nobody waits for it.
const UNSYNCED_MAX: Duration = Duration::from_millis(100);

impl Log {
    /// Writes everything appended so far, syncs it if somebody waits for that (or `must_sync`), and tells who waited.
    pub(super) fn write(&self, must_sync: bool) {
        if must_sync || self.is_sync_wanted() {
            self.write_and_sync();
        } else {
            self.write_only();
        }
    }

    /// Writes everything appended so far, and leaves it to others to sync it. False when the log failed.
    pub(super) fn write_only(&self) -> bool {
        self.write_out(self.unsynced.lock()).is_some()
    }

    fn is_sync_wanted(&self) -> bool {
        let inner = self.inner.lock();
        self.options.durability == Durability::Sync && inner.wanted > inner.durable
    }

    /// Writes what is pending. Returns what is written now, unless the log failed.
    fn write_out(&self, mut unsynced: MutexGuard<'_, Vec<Arc<OpenFile>>>) -> Option<Position> {
        let mut inner = self.inner.lock();
        if inner.failed.is_some() {
            return None;
        }
        let chunks = std::mem::take(&mut inner.pending);
        let bytes = std::mem::take(&mut inner.pending_bytes);
        let target = inner.position;
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
        inner.written = target;
        inner.written_end = end;
        if self.options.durability == Durability::Write {
            inner.durable = target;
        }
        drop(unsynced);
        self.tell(inner);
        Some(target)
    }

    fn write_and_sync(&self) {
        let _syncing = self.syncing.lock();
        let Some(target) = self.write_out(self.unsynced.lock()) else {
            return;
        };
        // Others may write on in the meantime.
        let files = std::mem::take(&mut *self.unsynced.lock());
        if let Err(error) = self.sync(&files) {
            self.fail(Error::Failed(format!("syncing the log: {error}").into()));
            return;
        }
        let mut inner = self.inner.lock();
        inner.durable = inner.durable.max(target);
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
        let durable = inner.durable;
        let reached: Vec<_> = inner
            .waiters
            .extract_if(.., |(position, _)| *position <= durable)
            .collect();
        self.progress.notify_all();
        drop(inner);
        for (_, waiter) in reached {
            waiter.reached(Ok(durable));
        }
    }

    /// The writer's thread.
    pub(super) fn run_writer(&self) {
        loop {
            let mut must_sync = false;
            let mut inner = self.inner.lock();
            while !self.is_urgent(&inner) {
                if inner.failed.is_some() || (inner.is_closed && inner.pending.is_empty()) {
                    return;
                }
                if !inner.pending.is_empty() {
                    inner.is_dozing = true;
                    let is_time = self.work.wait_for(&mut inner, UNWRITTEN_MAX).timed_out();
                    inner.is_dozing = false;
                    if is_time || inner.is_closed {
                        break;
                    }
                } else if inner.durable == inner.position {
                    self.work.wait(&mut inner);
                } else if self.work.wait_for(&mut inner, UNSYNCED_MAX).timed_out() {
                    must_sync = inner.pending.is_empty();
                    break;
                }
            }
            if inner.failed.is_some() {
                return;
            }
            drop(inner);
            self.write(must_sync);
        }
    }

    /// Whether somebody waits for the writer.
    fn is_urgent(&self, inner: &Inner) -> bool {
        inner.wanted > inner.durable
            || inner.wanted_written > inner.written
            || inner.pending_bytes > PENDING_BYTES_SOON
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
        let result = if inner.durable >= position {
            Ok(inner.durable)
        } else if let Some(error) = inner.failed.clone() {
            Err(error)
        } else {
            inner.wanted = inner.wanted.max(position);
            inner.waiters.push((position, waiter));
            self.work.notify_one();
            return;
        };
        drop(inner);
        waiter.reached(result);
    }

    pub(super) fn wait(&self, position: Position) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        while inner.durable < position {
            if let Some(error) = inner.failed.clone() {
                return Err(error);
            }
            inner.wanted = inner.wanted.max(position);
            self.advance(&mut inner);
        }
        Ok(())
    }
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
