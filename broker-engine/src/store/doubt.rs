//! The note that a sync of the log failed.
//!
//! An operating system that could not write pages back may forget that they were never written: files read as if all
//! were well, later syncs succeed, and the next power cut takes the bytes. A start after a failed sync therefore writes
//! what it reads once more before it builds on it. The note only has to outlive the process: with the power go the pages
//! in doubt as well.

use std::io;

use super::disk::Disk;

/// The file that is the note.
pub(super) const NAME: &str = "sync-failed";

/// Notes that a sync failed. When not even that succeeds, nothing better can be done.
pub(super) fn raise(disk: &dyn Disk) {
    let noted = disk.create(NAME);
    if let Err(error) = noted
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        tracing::error!(%error, "the failed sync could not be noted");
    }
}

/// Everything was written once more, and synced.
pub(super) fn settle(disk: &dyn Disk) -> io::Result<()> {
    tracing::warn!("a sync had failed: the log was written once more");
    disk.remove(NAME)?;
    disk.sync_dir()
}
