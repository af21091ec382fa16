//! The only way to the volume: files in one directory, read and written at positions.
//!
//! Everything the store keeps goes through this trait, so that a test can lose power, fill the volume or break a sync,
//! and so that nothing is ever memory-mapped (an error on a mapping kills the process and cannot be injected).
//!
//! What survives a power cut: bytes for which [`DiskFile::sync_data`] returned after they were written, in a file whose
//! name was covered by a [`Disk::sync_dir`] that returned after it was created, renamed or removed. Nothing else is
//! promised, in any order.

mod faulty;
mod real;

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

pub use faulty::{Fault, FaultyDisk};
pub use real::RealDisk;

/// A flat directory of files.
pub trait Disk: Send + Sync + 'static {
    /// Creates an empty file; an existing one is an error.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens an existing file to read and write.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, atomically replacing a file that has it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file; handles that are open stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that can still be written to the volume.
    fn available_bytes(&self) -> io::Result<u64>;
    /// Takes the directory for this process until the guard is dropped; `None` when another process has it.
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>>;
}

/// An open file.
#[expect(
    clippy::len_without_is_empty,
    reason = "an empty file is no case of its own"
)]
pub trait DiskFile: Send + Sync {
    /// Fills `buffer` from `offset`; an end of file before that is `UnexpectedEof`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, extending the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// As [`DiskFile::write_at`] of all pieces, one after the other; at most 1,024. They are used up.
    fn write_pieces_at(&self, pieces: &mut [IoSlice<'_>], offset: u64) -> io::Result<()> {
        let bytes: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| piece.iter().copied())
            .collect();
        self.write_at(&bytes, offset)
    }
    /// Makes the file at least `len` bytes long, with the space really taken; what is there stays.
    fn preallocate(&self, len: u64) -> io::Result<()>;
    /// Cuts or extends the file to `len` bytes.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Makes everything written so far, and the length, durable.
    fn sync_data(&self) -> io::Result<()>;
}
